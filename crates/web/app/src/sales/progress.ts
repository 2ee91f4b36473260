// How far a sale is, from what the service says and what the chain says. Of money the chain has the last word; of the
// delivery the service has the first, and the buyer's device the last.
import type { Order } from "../permit/sale";
import type { SaleView } from "./api";
import type { Standing } from "./chain";

export const STEPS = ["paid", "approved", "delivered", "locked", "settled"] as const;
export type Step = (typeof STEPS)[number];
export type StepState = "done" | "now" | "later" | "stopped";

export interface Progress {
  readonly steps: readonly { readonly name: Step; readonly state: StepState }[];
  /** Running; settled: the seller was paid; refunded: the buyer was; over: nothing is delivered, and the money still waits. */
  readonly end: "running" | "settled" | "refunded" | "over";
  /** Until when it can still be settled; from the next second on anybody refunds it. */
  readonly settleUntilS: number;
  readonly mayRefund: boolean;
  /** Whether the sealed file may be there to download. */
  readonly mayDownload: boolean;
  /** The service says one thing about the money, and the chain another. */
  readonly isDisputed: boolean;
  /** Whether the money was seen on the chain, and not only by the service. */
  readonly isSeenOnChain: boolean;
}

const DELIVERED = ["delivered", "settling", "settled"];

/** `view` null: the service does not know the order, yet. `chain` null: it was not asked. */
export function progressOf(order: Order, view: SaleView | null, chain: Standing | null, nowS: number): Progress {
  const settleUntilS = order.deliverBy + order.grace;
  const state = view?.state ?? null;
  const isChainPaid = chain !== null && chain.status !== "none";
  const isPaid = chain === null ? state !== null : isChainPaid;
  const end = endOf(state, chain);
  const isApproved = view?.isApproved === true || (chain?.approvedAtS ?? null) !== null || end === "settled";
  const isDelivered = (view?.delivery ?? null) !== null || DELIVERED.includes(state ?? "") || end === "settled";
  const isLocked = view?.delivery?.isAnchored === true || state === "settling" || end === "settled";
  const reached: Readonly<Record<Step, boolean>> = {
    paid: isPaid, approved: isApproved, delivered: isDelivered, locked: isLocked, settled: end === "settled",
  };
  const isStopped = end === "refunded" || end === "over";
  const next = STEPS.find((step) => !reached[step]);
  const steps = STEPS.map((name) => ({ name, state: stateOf(reached[name], name === next, isStopped) }));
  const isMoneyThere = chain === null ? end === "over" : chain.status === "paid";
  const isSaidSettled = state === "settled";
  const isSaidRefunded = state === "refunded";
  const isDisputed = chain !== null && (
    (isSaidSettled && chain.status === "refunded") || (isSaidRefunded && chain.status === "settled")
    || (state !== null && chain.status === "none"));
  return {
    steps, end, settleUntilS, mayRefund: isMoneyThere && nowS > settleUntilS,
    mayDownload: isDelivered && end !== "refunded" && end !== "over", isDisputed, isSeenOnChain: isChainPaid,
  };
}

function endOf(state: string | null, chain: Standing | null): Progress["end"] {
  if (chain?.status === "settled") return "settled";
  if (chain?.status === "refunded") return "refunded";
  if (state === "over") return "over";
  // Where the chain was asked, and still holds the money, nobody was paid yet.
  if (chain?.status === "paid") return "running";
  if (state === "settled" || state === "refunded") return state;
  return "running";
}

function stateOf(isReached: boolean, isNext: boolean, isStopped: boolean): StepState {
  if (isReached) return "done";
  if (isStopped) return "stopped";
  return isNext ? "now" : "later";
}
