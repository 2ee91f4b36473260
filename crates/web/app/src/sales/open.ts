// The market of this service, and the chain that it is on.
import { s } from "../i18n/sales";
import { wallet as through, type Ask } from "../ledger/chain";
import type { TrustFile } from "../ledger/types";
import { ask, Refused } from "../server/client";
import { session } from "../session/session.svelte";
import { marketOf, type MarketInfo } from "./api";
import { MarketChain } from "./chain";

export interface Opened {
  /** Null: nothing is sold here. */
  readonly market: MarketInfo | null;
  readonly trust: TrustFile;
}

export async function openMarket(signal: AbortSignal): Promise<Opened> {
  const told = ask<unknown>("/v1/market", { signal }).catch((error: unknown) => {
    // A service that is older than sales.
    if (error instanceof Refused && error.status === 404) return null;
    throw error;
  });
  const [trust, answer] = await Promise.all([ask<TrustFile>("/.well-known/medtrail.json", { signal }), told]);
  if (answer === null) return { market: null, trust };
  const market = marketOf(answer);
  if (market === "off") return { market: null, trust };
  // Under another chain or for another log a signature would sell something else.
  if (market === null || market.chainId !== trust.chainId || market.log !== trust.log) throw new Error(s("market.notThat"));
  return { market, trust };
}

/** The chain as the person's wallet sees it; null: there is no wallet that was let in here. */
export async function chainOf(market: MarketInfo): Promise<MarketChain | null> {
  const ask = await nodeAsk();
  return ask && new MarketChain(ask, market, market.consentRegistry);
}

/** The node behind the person's wallet. */
export async function nodeAsk(): Promise<Ask | null> {
  const wallet = await session.findWallet();
  return wallet && through({ request: (question) => wallet.provider.request(question) });
}

/** What the chain says, or null if it cannot be asked just now: that is told as a doubt, and stops nothing else. */
export async function orNull<T>(answer: Promise<T> | undefined): Promise<T | null> {
  return (await answer?.catch(() => null)) ?? null;
}
