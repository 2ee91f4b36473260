// What the server says is permitted, taken apart and checked here: a permission that nobody gave, or not in these words,
// would be the server's own.
import { isHex } from "../ledger/bytes";
import type { Hex } from "../ledger";
import {
  documentId, documentOf, problemOf, signerOf, subjectOf, type Document, type Registries,
} from "../permit";

const STATES = ["standing", "revoked", "expired", "ended"] as const;

export type State = (typeof STATES)[number];

/** What the chain says of one, as this site says. */
export interface OnChain {
  readonly grantedAtS: number | null;
  readonly revokedAtS: number | null;
  readonly isFinal: boolean;
}

/** One of `medtrail/permissions-v1`. The document is not read yet. */
export interface Told {
  readonly id: Hex;
  readonly index: number | null;
  readonly receivedMs: number | null;
  readonly document: unknown;
  readonly signature: Hex | null;
  readonly state: State;
  readonly revokedMs: number | null;
  readonly onChain: OnChain | null;
}

/** `medtrail/permissions-v1`; a permission that is not of its form is null, and `raw` has what came instead. */
export interface Answer {
  readonly subject: Hex;
  readonly controller: Hex;
  readonly epoch: number;
  readonly permissions: readonly { readonly told: Told | null; readonly raw: unknown }[];
  readonly isChainRead: boolean;
}

/** Why one is not what it says. */
export type Problem =
  | "malformed" | "id" | "statement" | "invalid" | "person" | "signature" | "unsigned" | "state" | "missing";

export interface Checked {
  readonly id: Hex | null;
  readonly told: Told | null;
  readonly document: Document | null;
  readonly problems: readonly Problem[];
  /** By this device: what the server calls standing may be over by now. */
  readonly state: State;
  /** Who signed, if it was not the person's own key. */
  readonly by: Hex | null;
  /** Nobody's signature was given: that it stands on the chain is the server's word. */
  readonly isOnChainOnly: boolean;
  /** What came, for a person to show to somebody. */
  readonly raw: unknown;
}

/** What this device knows besides: the person's own acts since the page was opened. */
export interface Known {
  readonly registries: Registries;
  readonly address: Hex;
  readonly nowMs: number;
  readonly takenBack: ReadonlySet<Hex>;
  /** Everything of an epoch before this one has ended. */
  readonly epochMin: number;
}

/** So often nobody takes everything back; with a number near the highest nothing could be given any more. */
const EPOCH_MAX = 1_000_000;
/** How far a device's clock may be off before the server's word on what is over is doubted. */
const CLOCK_MS_MAX = 24 * 3_600_000;
const TIME_MS_MAX = 8_640_000_000_000_000;

type Members = Readonly<Record<string, unknown>>;

const membersOf = (value: unknown): Members | null => (typeof value === "object" && value !== null ? value as Members : null);
const isTime = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0 && Number(value) <= TIME_MS_MAX;
const isTimeOrNull = (value: unknown): value is number | null => value === null || isTime(value);
const isTimeS = (value: unknown): value is number | null => value === null || (isTime(value) && isTime(value * 1000));
const lower = (value: unknown): unknown => (typeof value === "string" ? value.toLowerCase() : value);

/** Reads an answer; null if it is none about this address. */
export function answerOf(value: unknown, address: Hex): Answer | null {
  const members = membersOf(value);
  if (members?.["version"] !== "medtrail/permissions-v1") return null;
  const { epoch, permissions, chain } = members;
  const [subject, controller] = [lower(members["subject"]), lower(members["controller"])];
  const isEpoch = Number.isSafeInteger(epoch) && Number(epoch) >= 0 && Number(epoch) <= EPOCH_MAX;
  if (!isHex(subject, 32) && !isHex(subject, 20)) return null;
  const isOwn = BigInt(subject) === BigInt(address);
  if (!isOwn || !isHex(controller, 20) || !isEpoch || !Array.isArray(permissions)) return null;
  if (chain !== "read" && chain !== "unreadable") return null;
  return {
    subject, controller, epoch: Number(epoch), isChainRead: chain === "read",
    permissions: permissions.map((raw: unknown) => ({ told: toldOf(raw), raw })),
  };
}

function toldOf(value: unknown): Told | null {
  const members = membersOf(value);
  if (members === null) return null;
  const { index = null, receivedMs, document, state, revokedMs = null } = members;
  const [id, signature] = [lower(members["id"]), lower(members["signature"] ?? null)];
  const found = STATES.find((known) => known === state);
  const onChain = onChainOf(members["onChain"] ?? null);
  if (!isHex(id, 32) || found === undefined || onChain === undefined) return null;
  if (signature !== null && !(typeof signature === "string" && /^0x(?:[0-9a-f]{2})*$/.test(signature))) return null;
  if (!isTimeOrNull(index) || !isTimeOrNull(receivedMs ?? null) || !isTimeOrNull(revokedMs)) return null;
  return {
    id, index, receivedMs: (receivedMs ?? null) as number | null, document, signature: signature as Hex | null,
    state: found, revokedMs, onChain,
  };
}

/** Undefined: not of its form. */
function onChainOf(value: unknown): OnChain | null | undefined {
  if (value === null) return null;
  const { grantedAtS = null, revokedAtS = null, isFinal } = membersOf(value) ?? {};
  if (!isTimeS(grantedAtS) || !isTimeS(revokedAtS) || typeof isFinal !== "boolean") return undefined;
  return { grantedAtS, revokedAtS, isFinal };
}

/** Each permission with what is wrong with it, in the order they came; what takes back is no permission and only heeded. */
export async function checkAll(answer: Answer, known: Known): Promise<Checked[]> {
  const read = await Promise.all(answer.permissions.map(({ told, raw }) => readOne(told, raw, known)));
  // Who acts for the person says the chain, and documents that they signed themself.
  const own = new Set([known.address, answer.controller]);
  const delegates = new Set(read.flatMap(({ document, signer, problems }) =>
    document !== null && "delegation" in document && problems.length === 0 && own.has(signer as Hex)
      && document.delegation.rights.includes("PERMIT") ? [document.delegation.delegate] : []));
  const signed = read.map((one) => withSigner(one, own, delegates, known.address));

  const sound = signed.filter(({ problems }) => problems.length === 0).flatMap(({ document }) => document ?? []);
  const takenBack = new Set([...known.takenBack, ...sound.flatMap((one) => ("revoke" in one ? [one.revoke.permission] : []))]);
  const epoch = Math.max(answer.epoch, known.epochMin, ...sound.map((one) => ("revokeAll" in one ? one.revokeAll.epoch + 1 : 0)));
  return signed.map((one) => withState(one, { takenBack, epoch, nowMs: known.nowMs })).filter(({ document, problems }) =>
    document === null || problems.length > 0 || !("revoke" in document || "revokeAll" in document));
}

interface Read extends Omit<Checked, "by" | "isOnChainOnly"> {
  readonly signer: Hex | "invalid" | null;
}

async function readOne(told: Told | null, raw: unknown, { registries, address }: Known): Promise<Read> {
  const document = told === null ? null : documentOf(told.document);
  if (told === null || document === null) {
    return { id: told?.id ?? null, told, document: null, problems: ["malformed"], state: told?.state ?? "standing", signer: null, raw };
  }
  const id = documentId(document, registries);
  const signer = await signerOf(id, told.signature ?? undefined);
  const wrong = problemOf(document);
  const found: (Problem | false)[] = [
    id !== told.id && "id",
    wrong !== null && (wrong.startsWith("statement") ? "statement" : "invalid"),
    subjectOf(document) !== address && "person",
  ];
  return { id, told, document, problems: found.filter((one) => one !== false), state: told.state, signer, raw };
}

function withSigner({ signer, ...one }: Read, own: ReadonlySet<Hex>, delegates: ReadonlySet<Hex>, address: Hex): Checked {
  const { told, document, problems } = one;
  const isGivenOnChain = (told?.onChain ?? null) !== null && told?.onChain?.grantedAtS !== null;
  const isOnChainOnly = told !== null && signer === null && isGivenOnChain;
  // Who acts for somebody appoints nobody else.
  const may = document !== null && "delegation" in document ? own : new Set([...own, ...delegates]);
  const problem: Problem | null = document === null ? null
    : signer === null ? (isGivenOnChain ? null : "unsigned")
      : signer === "invalid" || !may.has(signer) ? "signature" : null;
  const by = problem === null && signer !== null && signer !== "invalid" && signer !== address ? signer : null;
  return { ...one, problems: problem === null ? problems : [...problems, problem], by, isOnChainOnly };
}

function withState(one: Checked, { takenBack, epoch, nowMs }: { takenBack: ReadonlySet<Hex>; epoch: number; nowMs: number }): Checked {
  const { document, told, problems } = one;
  if (document === null || told === null || "revoke" in document || "revokeAll" in document) return one;
  const [fields] = Object.values(document) as [{ epoch?: number; expiresAt?: number }];
  const endMs = (fields.expiresAt ?? Infinity) * 1000;
  const isTakenBack = one.id !== null && takenBack.has(one.id);
  // A policy counts its own epochs.
  const isOfOtherEpoch = fields.epoch !== undefined && !("recoveryPolicy" in document) && fields.epoch !== epoch;
  const isLie = told.state === "standing"
    ? isTakenBack || isOfOtherEpoch || told.revokedMs !== null || (told.onChain?.revokedAtS ?? null) !== null
    : told.state === "expired" && endMs > nowMs + CLOCK_MS_MAX;
  const state = told.state === "standing" && nowMs >= endMs ? "expired" : told.state;
  return { ...one, state, problems: isLie ? [...problems, "state"] : problems };
}

/** When a permission ends, milliseconds since 1970; null: it has no end of its own. */
export function endOf(document: Document): number | null {
  const [{ expiresAt }] = Object.values(document) as [{ expiresAt?: number }];
  return expiresAt === undefined ? null : expiresAt * 1000;
}
