// What is judged, and all that is known when it is: given, nothing is asked for. The shapes are those of crates/permit
// (act.rs, world.rs, verdict.rs), which also say what each field means.
import type { Hex, Report } from "../ledger/types";
import type { Registries, Signed } from "./documents";
import type { Market, Order } from "./sale";
import type { Data } from "./scopes";

/** A report in the log. */
export interface Act {
  report: Report;
  commitment: Hex;
  index: number;
  receivedMs: number;
  inVault: boolean;
  /** Whose signature of the report was verified; null if it was relayed. */
  signer: Hex | null;
  /** By which addresses whoever used the data goes; of a hand-over, who receives them. */
  party: Hex[];
  need: Need;
}

/** What an act needs a permission for. */
export interface Need {
  data: Data[];
  purposes: string[];
  isSearch: boolean;
}

/** A document, and `receivedMs` of its line of kind 4; null: it stands on chain only. */
export interface Held {
  signed: Signed;
  receivedMs: number | null;
}

/** What the consent registry says: what gives as of `finalized`, what takes away as of `latest`. */
export interface ChainState {
  standings: { subject: Hex; id: Hex; granted: { atS: number; isFinal: boolean } | null; revokedS: number | null }[];
  epochs: { subject: Hex; epoch: number; atS: number }[];
  controllers: { subject: Hex; controller: Hex; atS: number; isFinal: boolean }[];
  freezes: { subject: Hex; fromS: number; untilS: number | null }[];
}

export interface Pseudonym {
  pseudonym: Hex;
  /** Keys of the organisation that keeps it: only it can say who is a guardian. */
  keepers: Hex[];
  bound: { subject: Hex; receivedMs: number } | null;
}

export interface World {
  registries: Registries;
  documents: Held[];
  chain: ChainState;
  pseudonyms: Pseudonym[];
  /** Where approvals were used up. */
  uses: { approval: Hex; index: number }[];
  /** Guardianships that an organisation ended by a signed report; left out: none. */
  ends?: { guardianship: Hex; by: Hex; receivedMs: number }[];
  /** The market whose orders may be permissions; left out: none is. */
  market?: Market;
  /** Sales that the log tells of; left out: none. */
  sales?: Sold[];
}

/** A sale, and how the market shows its order: settled as of `finalized`, revoked as of `latest`. */
export interface Sold {
  order: Order;
  /** The exact text of the description. */
  dataset: string;
  settled: { atS: number; isFinal: boolean } | null;
  revokedS: number | null;
}

export type Basis = "grant" | "approval" | "confirmed" | "own" | "representative" | "sale";
export type Pending = "noKey" | "emergency";

/** Why an act does not count, in the order in which a document is judged. */
export const REFUSALS = [
  "kind", "noSubject", "ahead", "contradiction", "noPermission", "unknownDocument", "notAPermission", "invalidDocument",
  "invalidStatement", "wrongSubject", "wrongGrantee", "notAChange", "notALook", "deliveryOnly", "wrongRecord", "wrongVersions",
  "wrongScope", "markNotNamed", "noPurpose", "wrongPurpose", "notSigned", "invalidSignature", "notTheController", "controlMoved",
  "noRight", "frozen", "notSettled", "notFinal", "notYetGiven", "revoked", "wrongEpoch", "expired", "used", "contested",
] as const;

export type Refusal = (typeof REFUSALS)[number];

/** The one that came further. */
export function further(one: Refusal, other: Refusal): Refusal {
  return REFUSALS.indexOf(other) > REFUSALS.indexOf(one) ? other : one;
}

/** What is said of an act, why, and the document it rests on. */
export type Verdict =
  | { verdict: "counts"; reason: Basis; document: Hex | null }
  | { verdict: "doesNotCount"; reason: Refusal; document: Hex | null }
  | { verdict: "unconfirmed"; reason: Pending; document: Hex | null };
