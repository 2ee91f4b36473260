// What the server says was asked to be erased, taken apart and checked here: an erasure that nobody signed for, or sooner than
// was signed, would be the server's own.
import { isHex } from "../ledger/bytes";
import type { Hex } from "../ledger";
import { documentId, documentOf, problemOf, render, signerOf, subjectOf, type Erase, type Registries } from "../permit";

const STATES = ["waiting", "cancelled", "refused", "erasing", "done"] as const;
export type State = (typeof STATES)[number];

const FORMS = ["records", "everything"] as const;
export type Form = (typeof FORMS)[number];

/** What the law keeps, or who ordered that it be kept. */
export type Keeps =
  | { readonly kind: "legal-hold"; readonly reason: string; readonly orderedBy: string }
  | { readonly kind: "retention"; readonly untilMs: number };

/** One of `medtrail/erasures-v1`. The document is not read yet. */
export interface Told {
  readonly id: Hex;
  readonly form: Form;
  readonly document: unknown;
  readonly signature: Hex | null;
  readonly state: State;
  readonly askedMs: number;
  readonly dueMs: number;
  readonly endedMs: number | null;
  readonly reason: Keeps | null;
}

export interface Answer {
  readonly log: Hex;
  readonly lines: number;
  readonly keepsRecords: Keeps | null;
  readonly keepsLines: Keeps | null;
  /** How many addresses that this person sells under it does not cover. */
  readonly aliases: number;
  readonly erasures: readonly { readonly told: Told | null; readonly raw: unknown }[];
}

export type Problem = "malformed" | "id" | "statement" | "invalid" | "person" | "log" | "form" | "signature" | "unsigned" | "soon" | "state" | "missing";

export interface Checked {
  readonly id: Hex | null;
  readonly told: Told | null;
  readonly erase: Erase | null;
  readonly problems: readonly Problem[];
  /** What came, for a person to show to somebody. */
  readonly raw: unknown;
}

export interface Known {
  readonly registries: Registries;
  readonly address: Hex;
  readonly log: Hex;
  readonly nowMs: number;
  /** What this page asked for, and what it cancelled. */
  readonly asked: ReadonlyMap<Hex, Erase>;
  readonly cancelled: ReadonlySet<Hex>;
}

/** What a person reads before they sign: that it is done so long after. */
const WAIT_MS = 30 * 86_400_000;
/** How far a device's clock may be off before the server's word is doubted. */
const CLOCK_MS_MAX = 24 * 3_600_000;
const TIME_MS_MAX = 8_640_000_000_000_000;
const TEXT_MAX = 2_000;

type Members = Readonly<Record<string, unknown>>;

const membersOf = (value: unknown): Members | null => (typeof value === "object" && value !== null ? value as Members : null);
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;
const isTime = (value: unknown): value is number => isCount(value) && value <= TIME_MS_MAX;
const lower = (value: unknown): unknown => (typeof value === "string" ? value.toLowerCase() : value);

/** Undefined: not of its form. */
function keepsOf(value: unknown): Keeps | null | undefined {
  if (value === null) return null;
  const { kind, reason, orderedBy, untilMs } = membersOf(value) ?? {};
  if (kind === "retention") return isTime(untilMs) ? { kind, untilMs } : undefined;
  if (kind !== "legal-hold" || typeof reason !== "string" || typeof orderedBy !== "string") return undefined;
  return { kind, reason: reason.slice(0, TEXT_MAX), orderedBy: orderedBy.slice(0, TEXT_MAX) };
}

/** Reads an answer; null if it is none about this address and this log: for another one a signature would erase nothing here. */
export function answerOf(value: unknown, address: Hex, log: Hex): Answer | null {
  const members = membersOf(value);
  if (members?.["version"] !== "medtrail/erasures-v1") return null;
  const [subject, of] = [lower(members["subject"]), lower(members["log"])];
  const [keepsRecords, keepsLines] = [keepsOf(members["keepsRecords"] ?? null), keepsOf(members["keepsLines"] ?? null)];
  const { lines, erasures } = members;
  if (!isHex(subject, 32) || BigInt(subject) !== BigInt(address) || of !== log.toLowerCase()) return null;
  if (!isCount(lines) || keepsRecords === undefined || keepsLines === undefined || !Array.isArray(erasures)) return null;
  const aliases = Array.isArray(members["aliases"]) ? members["aliases"].length : 0;
  return { log, lines, keepsRecords, keepsLines, aliases, erasures: erasures.map((raw: unknown) => ({ told: toldOf(raw), raw })) };
}

function toldOf(value: unknown): Told | null {
  const members = membersOf(value);
  if (members === null) return null;
  const { document, askedMs, dueMs, endedMs = null } = members;
  const [id, signature] = [lower(members["id"]), lower(members["signature"] ?? null)];
  const [state, form] = [STATES.find((one) => one === members["state"]), FORMS.find((one) => one === members["form"])];
  const reason = keepsOf(members["reason"] ?? null);
  if (!isHex(id, 32) || state === undefined || form === undefined || reason === undefined) return null;
  if (signature !== null && !(typeof signature === "string" && /^0x(?:[0-9a-f]{2})*$/.test(signature))) return null;
  if (!isTime(askedMs) || !isTime(dueMs) || !(endedMs === null || isTime(endedMs))) return null;
  return { id, form, document, signature: signature as Hex | null, state, askedMs, dueMs, endedMs, reason };
}

/** Each erasure with what is wrong with it, newest first; before them what this page asked for and the server leaves out. */
export async function checkAll(answer: Answer, known: Known): Promise<Checked[]> {
  const checked = await Promise.all(answer.erasures.map(({ told, raw }) => checkOne(told, raw, known)));
  const missing = [...known.asked].filter(([id]) => !checked.some((one) => one.id === id)).map(([id, erase]): Checked =>
    ({ id, told: null, erase, problems: ["missing"], raw: { erase } }));
  return [...missing, ...checked];
}

async function checkOne(told: Told | null, raw: unknown, { registries, address, log, nowMs, cancelled }: Known): Promise<Checked> {
  const document = told === null ? null : documentOf(told.document);
  if (told === null || document === null || !("erase" in document)) {
    return { id: told?.id ?? null, told, erase: null, problems: ["malformed"], raw };
  }
  const { erase } = document;
  const id = documentId(document, registries);
  const signer = await signerOf(id, told.signature ?? undefined);
  const wrong = problemOf(document);
  const isToCome = told.state === "waiting";
  const isLie = (isToCome && (cancelled.has(id) || told.endedMs !== null))
    // What is over had to be told as over, and what is done had its day.
    || (told.state === "done" && told.dueMs > nowMs + CLOCK_MS_MAX)
    || (told.state === "refused") !== (told.reason !== null);
  const found: (Problem | false)[] = [
    id !== told.id && "id",
    wrong !== null && (wrong.startsWith("statement") ? "statement" : "invalid"),
    subjectOf(document) !== address && "person",
    erase.log !== log.toLowerCase() && "log",
    (erase.upToOrdinal === 0 ? "records" : "everything") !== told.form && "form",
    signer === null ? "unsigned" : signer !== address && "signature",
    told.state !== "refused" && told.state !== "cancelled" && told.dueMs - told.askedMs < WAIT_MS && "soon",
    isLie && "state",
  ];
  return { id, told, erase, problems: found.filter((one) => one !== false), raw };
}

/** How long what was signed may still be written down. */
const SIGNED_S = 3_600;

/** What a person signs. On a full minute: a wallet shows no seconds. Null: there are no lines to name. */
export function eraseOf(form: Form, { subject, log, lines, nowMs }: { subject: Hex; log: Hex; lines: number; nowMs: number }): Erase | null {
  // Line 0 means records alone: nobody may sign that who wants everything erased.
  if (form === "everything" && lines === 0) return null;
  const expiresAt = Math.ceil((nowMs / 1000 + SIGNED_S) / 60) * 60;
  const fields = { statement: "", subject, log: log.toLowerCase() as Hex, upToOrdinal: form === "records" ? 0 : lines, expiresAt };
  const statement = render({ erase: fields }, "en");
  if (statement === null) throw new Error("an erasure has a statement");
  return { ...fields, statement };
}
