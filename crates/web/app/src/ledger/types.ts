// The documents of the log as JSON carries them (docs/formats.md, the HTTP interface), with the spellings of the Rust side.
// Whole numbers are JS numbers: what stands above 2^53 - 1 is refused where a file is read.

/** `0x` and lower-case hex. */
export type Hex = `0x${string}`;

/** EIP-712 `Report`: what an organisation says happened. Times end in Ms (milliseconds since 1970) or S (seconds). */
export interface Report {
  log: Hex;
  eventId: Hex;
  kind: number;
  action: number;
  timeMs: number;
  subject: Hex;
  actor: Hex;
  record: Hex;
  fromVersion: Hex;
  toVersion: Hex;
  permission: Hex;
  details: Hex;
}

/** EIP-712 `Place`: the n-th line of a trail, and the commitment of the one before. */
export interface Place {
  ordinal: number;
  previous: Hex;
  receivedMs: number;
  salt: Hex;
}

/** Opened for the person; hashed for everyone else. */
export type ShownPlace = { open: Place } | { hash: Hex };

/** A document's bytes: text where they are UTF-8, base64 where they are not. */
export type Document = { text: string } | { base64: string };

export interface BatchEvidence {
  count: number;
  index: number;
  root: Hex;
  path: Hex[];
  signature: Hex;
}

/** Whose word a line is; relayed: nobody signed, the operator's word only. */
export type Evidence = { signed: Hex } | { batch: BatchEvidence } | "relayed";

/** An anchor in the registry's words. */
export interface Anchor {
  number: number;
  size: number;
  root: Hex;
  timeS: number;
}

/** Where a proof says its anchor is: says where to ask, and is not believed. */
export interface AnchorClaim {
  chainId: number;
  registry: Hex;
  log: Hex;
  number: number;
  size: number;
  root: Hex;
  timeS: number;
  tx: Hex;
  block: number;
}

export interface Extension {
  anchor: Anchor;
  path: Hex[];
}

/** `medtrail/proof-v1`. */
export interface Proof {
  version: "medtrail/proof-v1";
  index: number;
  report: Report;
  place: ShownPlace;
  details: Document | null;
  evidence: Evidence;
  path: Hex[];
  checkpoint: string;
  anchor: AnchorClaim;
  extension?: Extension;
}

/** `medtrail/receipt-v1`. */
export interface Receipt {
  version: "medtrail/receipt-v1";
  index: number;
  reportHash: Hex;
  placeHash: Hex;
  path: Hex[];
  checkpoint: string;
}

/** A key and when it speaks: from `fromMs` on, and before `untilMs` if that is there. */
export interface Key {
  address: Hex;
  fromMs: number;
  untilMs?: number;
}

export interface Operator {
  name: string;
  domain: string;
  /** C2SP verifier key, named like the origin. */
  noteKey: string;
  keys: Key[];
}

export interface Organisation {
  name: string;
  registerNumber?: string;
  domain: string;
  keys: Key[];
}

/** `medtrail/trust-v1`: whose log is meant, and who speaks when. */
export interface TrustFile {
  version: "medtrail/trust-v1";
  chainId: number;
  registry: Hex;
  log: Hex;
  origin: string;
  operator: Operator;
  organisations: Organisation[];
}

/** recorded: on the operator's disk; mined: in a block; final: the block is final. */
export type AnchorState = "recorded" | "mined" | "final";

/** The anchor that covers a line. */
export interface LineAnchor extends Anchor {
  tx: Hex;
  block: number;
}

/** `medtrail/line-v1`: one line of a trail as the server hands it to its person (place open) or its reporter. */
export interface Line {
  version: "medtrail/line-v1";
  index: number;
  report: Report;
  place: ShownPlace;
  details: Document | null;
  evidence: Evidence;
  state: AnchorState;
  anchor: LineAnchor | null;
}

/** One subject id of a trail: the address itself, or a pseudonym that was connected to it. */
export interface TrailPart {
  subject: Hex;
  organisation: Hex | null;
  /** How many lines the server says there are. */
  lines: number;
  /** The commitment of the newest of them. */
  last: Hex | null;
}

/** `medtrail/trail-page-v1`: newest first over all parts. */
export interface TrailPage {
  version: "medtrail/trail-page-v1";
  subject: Hex;
  parts: TrailPart[];
  lines: Line[];
  next: number | null;
}

export interface DayCount {
  day: string;
  lines: number;
}

/** `event: anchor` of the feed: lines with an index below `size` take this state. */
export interface AnchorNews {
  number: number;
  size: number;
  state: "mined" | "final";
  tx: Hex;
  block: number;
  timeS: number;
}

/** One of `GET /v1/organisations`. */
export interface ListedOrganisation {
  id: Hex;
  name: string;
  registerNumber: string | null;
  domain: string;
  keys: Key[];
  reportsBy: "signature" | "apiKey" | "nothing";
  sinceMs: number | null;
  lastHeardMs: number | null;
}

/** How a step came out. */
export type Verdict = "green" | "amber" | "red";

/** One step of a check, in words with its numbers: the same as `medtrail verify` prints. */
export interface Finding {
  name: string;
  verdict: Verdict;
  words: string;
}
