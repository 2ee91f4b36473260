// Places of the page stand behind the `#`: they need nothing from the server, and what stands there (an invite's
// code) is never sent to one.

export type Place =
  | { readonly name: "home" }
  | { readonly name: "trail" }
  | { readonly name: "statement"; readonly month: string }
  | { readonly name: "connect" }
  | { readonly name: "waiting" }
  | { readonly name: "records" }
  | { readonly name: "desk" }
  | { readonly name: "permissions" }
  | { readonly name: "organisations" }
  | { readonly name: "invite"; readonly code: string }
  | { readonly name: "unknown" };

export function placeOf(hash: string): Place {
  const invite = /^#invite=([\w-]+)$/.exec(hash)?.[1];
  if (invite) return { name: "invite", code: invite };
  const month = /^#\/trail\/statement\/(\d{4}-(?:0[1-9]|1[0-2]))$/.exec(hash)?.[1];
  if (month) return { name: "statement", month };
  switch (hash) {
    case "": case "#": case "#/": return { name: "home" };
    case "#/trail": return { name: "trail" };
    case "#/trail/connect": return { name: "connect" };
    case "#/waiting": return { name: "waiting" };
    case "#/records": return { name: "records" };
    case "#/desk": return { name: "desk" };
    case "#/permissions": return { name: "permissions" };
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
