import type { Hex } from "../ledger";
import { Selling } from "./selling.svelte";

/** How many buyers wait for a person's yes. */
export async function countAsking(address: Hex, aliases: readonly Hex[]): Promise<number> {
  const selling = new Selling(address, () => aliases, true);
  await selling.open();
  selling.close();
  return selling.asking.length;
}
