// Places of the page stand behind the `#`: they need nothing from the server, and what stands there (an invite's
// code, or that of a mail) is sent to one only by what it is for.

import type { Hex } from "../ledger/types";

export type Place =
  | { readonly name: "home" }
  /** `of`: whose; null: one's own. */
  | { readonly name: "trail"; readonly of: Hex | null }
  | { readonly name: "statement"; readonly month: string }
  | { readonly name: "connect" }
  | { readonly name: "waiting" }
  | { readonly name: "records" }
  | { readonly name: "erasure" }
  | { readonly name: "notices" }
  | { readonly name: "confirm"; readonly code: string }
  | { readonly name: "desk" }
  | { readonly name: "permissions" }
  | { readonly name: "sell" }
  | { readonly name: "market" }
  | { readonly name: "offer"; readonly id: Hex }
  | { readonly name: "bought" }
  | { readonly name: "calls" }
  | { readonly name: "organisations" }
  | { readonly name: "invite"; readonly code: string }
  | { readonly name: "unknown" };

export function placeOf(hash: string): Place {
  const invite = /^#invite=([\w-]+)$/.exec(hash)?.[1];
  if (invite) return { name: "invite", code: invite };
  const month = /^#\/trail\/statement\/(\d{4}-(?:0[1-9]|1[0-2]))$/.exec(hash)?.[1];
  if (month) return { name: "statement", month };
  const confirm = /^#\/notices\/confirm\/([\w-]{1,128})$/.exec(hash)?.[1];
  if (confirm) return { name: "confirm", code: confirm };
  // An address in 32 bytes is the same one.
  const of = /^#\/trail\?of=0x(?:0{24})?([0-9a-f]{40}|[0-9a-f]{64})$/i.exec(hash)?.[1];
  if (of) return { name: "trail", of: `0x${of.toLowerCase()}` };
  const offer = /^#\/market\/offer\/(0x[0-9a-f]{64})$/i.exec(hash)?.[1];
  if (offer) return { name: "offer", id: offer.toLowerCase() as Hex };
  switch (hash) {
    case "": case "#": case "#/": return { name: "home" };
    // The mails lead to #/data: their link, too, says nothing.
    case "#/trail": case "#/data": return { name: "trail", of: null };
    case "#/trail/connect": return { name: "connect" };
    case "#/waiting": return { name: "waiting" };
    case "#/records": return { name: "records" };
    case "#/erasure": return { name: "erasure" };
    case "#/notices": return { name: "notices" };
    case "#/desk": return { name: "desk" };
    case "#/permissions": return { name: "permissions" };
    case "#/sell": return { name: "sell" };
    case "#/market": return { name: "market" };
    case "#/market/bought": return { name: "bought" };
    case "#/market/calls": return { name: "calls" };
    case "#/organisations": return { name: "organisations" };
    default: return { name: "unknown" };
  }
}

class Router {
  place = $state.raw<Place>(placeOf(location.hash));

  start(): () => void {
    const read = () => { this.place = placeOf(location.hash); };
    read();
    addEventListener("hashchange", read);
    return () => removeEventListener("hashchange", read);
  }

  go(hash: string): void {
    location.hash = hash;
  }
}

export const router = new Router();
