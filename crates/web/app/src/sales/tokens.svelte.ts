// The tokens that this page has asked the chain about, so that every price in one is told alike.
import { SvelteMap } from "svelte/reactivity";
import type { Hex } from "../ledger/types";
import { isEther } from "./api";
import { tokenAt, type Caller, type Token } from "./token";

/** Whoever lists thousands of tokens does not have the wallet ask about each. */
const TOKENS_MAX = 50;

const known = new SvelteMap<Hex, Token>();

/** Null: it was not asked. */
export const tokenKnown = (token: Hex): Token | null => known.get(token) ?? null;

/** Asks about those that are not known yet. What the chain does not say now is asked for the next time. */
export async function learn(chain: Caller | null, tokens: readonly Hex[]): Promise<void> {
  if (chain === null) return;
  const unknown = [...new Set(tokens)].filter((token) => !isEther(token) && !known.has(token)).slice(0, TOKENS_MAX - known.size);
  await Promise.all(unknown.map(async (address) => {
    const token = await tokenAt(chain, address);
    if (token.decimals !== null) known.set(address, token);
  }));
}
