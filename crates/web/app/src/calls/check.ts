// Whether what the service says of a call is what a buyer opened. A call has no signature: that its buyer paid for it in the
// contract, which takes it from nobody else, is what makes it theirs. What could not be checked is said.
import { acceptanceOf, cohortProblem } from "../permit/cohort";
import { cohortId } from "../permit/sale";
import { CONSENT_REGISTRY } from "../sales/abi";
import type { MarketInfo } from "../sales/api";
import { COHORT_MARKET } from "./abi";
import type { CallView } from "./api";
import type { CallStanding } from "./chain";

/** What is wrong: then nobody should sign, or pay. */
export type CallFlaw = "dataset" | "fields" | "id" | "log" | "notPaid" | "own" | "buyer";

/** What could not be checked. */
export type CallDoubt =
  /** There is no wallet, or it could not ask the chain. */
  | "chain"
  /** The contract is not the one that this page knows. */
  | "contract";

export interface JudgedCall {
  readonly flaws: readonly CallFlaw[];
  readonly doubts: readonly CallDoubt[];
}

/** A market that has calls to many. */
export interface CallMarket extends MarketInfo {
  readonly cohortMarket: `0x${string}`;
}

export const hasCalls = (market: MarketInfo | null): market is CallMarket => market !== null && market.cohortMarket !== null;

/** `chain`: null, it was not asked. */
export function judgeCall({ id, cohort, dataset, state, own }: CallView, market: CallMarket, chain: CallStanding | null): JudgedCall {
  const flaws: CallFlaw[] = [];
  if (dataset === null) flaws.push("dataset");
  else if (cohortProblem(cohort, dataset) !== null) flaws.push("fields");
  if (cohortId("Cohort", cohort, market) !== id) flaws.push("id");
  if (cohort.log !== market.log) flaws.push("log");
  // What is revoked on the chain is revoked by its id.
  if (own.some((one) => cohortId("CohortAcceptance", acceptanceOf(cohort, market, one), market) !== one.id)) flaws.push("own");
  // One that was heard of just now may be ahead of this node; nobody but its buyer sees that.
  if (chain?.status === "none" && state !== "heard") flaws.push("notPaid");
  const doubts: CallDoubt[] = market.cohortMarket === COHORT_MARKET && market.consentRegistry === CONSENT_REGISTRY ? [] : ["contract"];
  return { flaws, doubts: chain === null ? ["chain", ...doubts] : doubts };
}
