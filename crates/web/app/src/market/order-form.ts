// What a buyer chooses, and the order that it makes.
import type { Hex } from "../ledger/types";
import type { Offer, Order } from "../permit/sale";
import type { MarketInfo } from "../sales/api";

/** The contract's own limits. */
const GRACE_S_MAX = 90 * 86_400;
const WINDOW_S_MAX = 366 * 86_400;

/** A payment takes a while to reach a block, and the windows are measured from there. */
const slackS = (leastS: number) => Math.max(120, Math.min(3_600, Math.floor(leastS / 2)));

/** How long may be given, in seconds, the shortest first: what the service asks for at least, and multiples of it. */
export function windowChoices({ deliverySMin, graceSMin }: Pick<MarketInfo, "deliverySMin" | "graceSMin">): {
  readonly deliver: readonly number[]; readonly grace: readonly number[];
} {
  const times = [1, 2, 4, 8];
  const grace = times.map((count) => Math.max(graceSMin, 1) * count).filter((seconds) => seconds <= GRACE_S_MAX);
  const deliver = times.map((count) => Math.max(deliverySMin, 1) * count).filter((seconds) => seconds + slackS(deliverySMin) + (grace.at(-1) ?? 0) < WINDOW_S_MAX);
  return { deliver, grace };
}

export interface Chosen {
  readonly offer: Offer;
  readonly buyer: Hex;
  readonly recipient: Hex;
  readonly deliverS: number;
  readonly graceS: number;
  /** The clock of the chain, if it could be read. */
  readonly nowS: number;
  readonly salt: Hex;
}

export function orderFrom({ offer, buyer, recipient, deliverS, graceS, nowS, salt }: Chosen): Order {
  return { offer, buyer, recipient, deliverBy: nowS + deliverS + slackS(deliverS), grace: graceS, salt };
}
