import { nodeAsk } from "../sales/open";
import { CallChain } from "./chain";
import type { CallMarket } from "./check";

/** The cohort market as the person's wallet sees it; null: there is no wallet that was let in here. */
export async function callChainOf(market: CallMarket): Promise<CallChain | null> {
  const ask = await nodeAsk();
  return ask && new CallChain(ask, market, market.consentRegistry);
}
