import { aliasDocument, type Binding, type Hex } from "../ledger";

/** How long what both keys sign is good, in seconds: both are at hand. */
const GOOD_S = 3_600;

/** What joins a fresh address to the one that is signed in: made here, and only here. */
export function joining(address: string, alias: Hex, nowMs: number): Binding {
  return aliasDocument(address.toLowerCase() as Hex, alias, Math.floor(nowMs / 1000) + GOOD_S, "en");
}
