// What the service says of calls to many, read narrowly: what is not of this form is not there. Whether it is true is said by
// check.ts.
import type { Hex } from "../ledger/types";
import type { Dataset } from "../permit/dataset";
import type { Cohort } from "../permit/sale";
import { get, list, text } from "../reading/json";
import { ADDRESS, askedOf, complete, datasetIn, HASH, hex, pageOf, termsOf, whole, withdrawalOf, type Page, type Withdrawal } from "../sales/api";

const OWN_STATES = ["accepted", "withdrawn", "delivered", "paid", "ended"] as const;
export type OwnState = (typeof OWN_STATES)[number];

/** The reader's own acceptance. */
export interface OwnAcceptance {
  readonly id: Hex;
  readonly seller: Hex;
  readonly place: number;
  readonly epoch: number;
  readonly expiresAt: number;
  readonly acceptedMs: number;
  readonly state: OwnState;
  /** The key of a file that it is in may have been seen. */
  readonly isShown: boolean;
  /** They want what was delivered of theirs deleted; null: they did not ask. */
  readonly withdrawal: Withdrawal | null;
}

/** A part of the file that its seller wants deleted. */
export interface PartWithdrawal extends Withdrawal {
  /** What the files of the person begin with, after `person-`. */
  readonly label: string;
  /** The acceptance, or what stands for it in the manifest: what is signed about. */
  readonly part: Hex;
}

const DELIVERY_STATES = ["collecting", "making", "ready", "settling", "settled", "over"] as const;

/** How far the file is, for the call's buyer. */
export interface CallDelivery {
  readonly state: (typeof DELIVERY_STATES)[number];
  readonly refusal: string | null;
  readonly file: Hex | null;
  readonly bytes: number | null;
  readonly lock: Hex | null;
  readonly sellers: number;
  readonly paid: number;
}

const STATES = ["heard", "open", "late", "closed"] as const;

/** `medtrail/call-view-v1`. */
export interface CallView {
  readonly id: Hex;
  readonly cohort: Cohort;
  /** The very text whose hash the terms have. */
  readonly text: string;
  readonly dataset: Dataset | null;
  readonly heardMs: number;
  readonly state: (typeof STATES)[number];
  /** Places that are accepted; told to the buyer only. */
  readonly accepted: number | null;
  readonly own: readonly OwnAcceptance[];
  /** Of what the service proposes only this is taken: all else of an acceptance follows from the call. Null: nothing. */
  readonly proposed: { readonly place: number; readonly epoch: number } | null;
  readonly delivery: CallDelivery | null;
  /** Told to the buyer only. */
  readonly withdrawals: readonly PartWithdrawal[];
}

export function cohortOf(node: unknown): Cohort | null {
  return complete<Cohort>({
    buyer: hex(node, "buyer", ADDRESS), log: hex(node, "log", HASH), token: hex(node, "token", ADDRESS), price: text(node, "price"),
    places: whole(node, "places"), recipient: hex(node, "recipient", HASH), deliverBy: whole(node, "deliverBy"), grace: whole(node, "grace"),
    terms: termsOf(get(node, "terms")), salt: hex(node, "salt", HASH),
  });
}

function ownOf(node: unknown): OwnAcceptance | null {
  const withdrawal = withdrawalOf(node);
  if (withdrawal === null) return null;
  const read = complete<Omit<OwnAcceptance, "withdrawal">>({
    id: hex(node, "id", HASH), seller: hex(node, "seller", ADDRESS), place: whole(node, "place"), epoch: whole(node, "epoch"),
    expiresAt: whole(node, "expiresAtS"), acceptedMs: whole(node, "acceptedMs"),
    state: OWN_STATES.find((one) => one === text(node, "state")) ?? null, isShown: get(node, "isShown") === true,
  });
  return read && { ...read, withdrawal: withdrawal === "none" ? null : withdrawal };
}

function partOf(node: unknown): PartWithdrawal | null {
  const [label, asked] = [text(node, "label"), askedOf(node)];
  const part = hex(node, "part", HASH);
  return asked !== null && part !== null && label !== null && /^[0-9a-f]{16}$/.test(label) ? { ...asked, label, part } : null;
}

function deliveryOf(node: unknown): CallDelivery | null {
  const told = complete<Pick<CallDelivery, "state" | "sellers" | "paid">>({
    state: DELIVERY_STATES.find((one) => one === text(node, "state")) ?? null, sellers: whole(node, "sellers"), paid: whole(node, "paid"),
  });
  return told && { ...told, refusal: text(node, "refusal"), file: hex(node, "file", HASH), bytes: whole(node, "bytes"), lock: hex(node, "lock", HASH) };
}

export function callViewOf(value: unknown): CallView | null {
  const own = list(value, "own").map(ownOf);
  // Read as one that nobody accepted, a person could not take theirs back.
  if (own.includes(null)) return null;
  const withdrawals = list(value, "withdrawals").map(partOf);
  // Read as one of which nothing is to be deleted, its buyer would keep what they were asked to delete.
  if (withdrawals.includes(null)) return null;
  const said = text(value, "dataset");
  const read = complete<Pick<CallView, "id" | "cohort" | "text" | "heardMs" | "state">>({
    id: hex(value, "id", HASH), cohort: cohortOf(get(value, "cohort")), text: said, heardMs: whole(value, "heardMs"),
    state: STATES.find((one) => one === text(value, "state")) ?? null,
  });
  const asked = get(value, "proposed") ?? null;
  return read && {
    ...read, dataset: datasetIn(said), accepted: whole(value, "accepted"), own: own as OwnAcceptance[],
    proposed: asked === null ? null : complete<NonNullable<CallView["proposed"]>>({ place: whole(asked, "place"), epoch: whole(asked, "epoch") }),
    delivery: deliveryOf(get(value, "delivery")), withdrawals: withdrawals as PartWithdrawal[],
  };
}

export const callsOf = (value: unknown): Page<CallView> => pageOf(value, "calls", callViewOf);

/** The ids of the catalogue: all else of a call is believed only where the whole of it recomputes. */
export const catalogueOf = (value: unknown): Page<Hex> => pageOf(value, "calls", (one) => hex(one, "id", HASH));
