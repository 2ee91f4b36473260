// Reads proofs, receipts and trust files as strictly as the Rust side: unknown and doubled fields are refused, and a
// proof has one spelling, so that a changed byte is always a changed proof.
import { equal, isHex, textOf, utf8 } from "./bytes";
import { parseVerifierKey } from "./note";
import type { Hex, Proof, Receipt, TrustFile } from "./types";

export const PROOF_VERSION = "medtrail/proof-v1";
export const RECEIPT_VERSION = "medtrail/receipt-v1";
export const TRUST_VERSION = "medtrail/trust-v1";
/** Bytes of a file read at most. */
export const PROOF_BYTES_MAX = 4 << 20;

/** Why a file is not read; the message says which field and what is wrong with it. */
export class FormatError extends Error {
  override readonly name = "FormatError";
}

type Reader<T> = (value: unknown, at: string) => T;

const wrong = (at: string, words: string) => new FormatError(`${at === "" ? "" : `${at}: `}${words}`);

const hex = (bytes: number): Reader<Hex> => (value, at) => {
  if (isHex(value, bytes)) return value;
  throw wrong(at, `expected 0x and ${2 * bytes} lower-case hex digits`);
};

const anyHex: Reader<Hex> = (value, at) => {
  if (typeof value === "string" && isHex(value, (value.length - 2) / 2)) return value;
  throw wrong(at, "expected 0x and lower-case hex digits");
};

/** People write trust files: addresses in upper case or with a checksum mean the same there. */
const looseHex = (bytes: number): Reader<Hex> => (value, at) => {
  if (typeof value !== "string") throw wrong(at, "expected a text");
  return hex(bytes)(`0x${value.replace(/^0x/, "").toLowerCase()}`, at);
};

const whole = (max = Number.MAX_SAFE_INTEGER): Reader<number> => (value, at) => {
  if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= max) return value;
  throw wrong(at, `expected a whole number from 0 to ${max}`);
};

const text: Reader<string> = (value, at) => {
  if (typeof value !== "string") throw wrong(at, "expected a text");
  // JSON can spell half a character, which has no bytes.
  if (/\p{Surrogate}/u.test(value)) throw wrong(at, "half a character (a lone surrogate)");
  return value;
};

const list = <T>(item: Reader<T>): Reader<T[]> => (value, at) => {
  if (!Array.isArray(value)) throw wrong(at, "expected a list");
  return value.map((found, place) => item(found, `${at}[${place}]`));
};

type Readers<T> = { [K in keyof Required<T>]: Reader<T[K] & {}> | Reader<T[K]> };

/** Fields in the order of the type, which is the order they are spelled in; none may be there beside them. */
function struct<T extends object>(fields: Readers<T>, optional: readonly (keyof T & string)[] = []): Reader<T> {
  return (value, at) => {
    const under = (name: string) => (at === "" ? name : `${at}.${name}`);
    if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong(at, "expected an object");
    for (const name of Object.keys(value)) if (!Object.hasOwn(fields, name)) throw wrong(under(name), "unknown field");
    const read: Record<string, unknown> = {};
    for (const [name, reader] of Object.entries(fields) as [keyof T & string, Reader<unknown>][]) {
      const isThere = Object.hasOwn(value, name);
      if (!isThere && optional.includes(name)) continue;
      if (!isThere) throw wrong(under(name), "missing");
      read[name] = reader((value as Record<string, unknown>)[name], under(name));
    }
    return read as T;
  };
}

/** Exactly one of these members. */
const oneOf = (forms: Record<string, Reader<unknown>>): Reader<unknown> => (value, at) => {
  const names = typeof value === "object" && value !== null ? Object.keys(value) : [];
  const [name] = names;
  const reader = names.length === 1 && name !== undefined && Object.hasOwn(forms, name) ? forms[name] : undefined;
  if (reader === undefined || name === undefined) throw wrong(at, `expected one of ${Object.keys(forms).join(", ")}`);
  return { [name]: reader((value as Record<string, unknown>)[name], `${at}.${name}`) };
};

const version = <V extends string>(expected: V): Reader<V> => (value, at) => {
  if (value === expected) return expected;
  throw wrong(at, `is ${JSON.stringify(value)}, this checks ${JSON.stringify(expected)}`);
};

const hash = hex(32);
const report = struct<Proof["report"]>({
  log: hash, eventId: hash, kind: whole(255), action: whole(255), timeMs: whole(), subject: hash, actor: hex(20),
  record: hash, fromVersion: hash, toVersion: hash, permission: hash, details: hash,
});
const place = struct({ ordinal: whole(), previous: hash, receivedMs: whole(), salt: hash });
const shownPlace = oneOf({ open: place, hash }) as Reader<Proof["place"]>;
const someDocument = oneOf({ text, base64: text });
const details: Reader<Proof["details"]> = (value, at) =>
  value === null ? null : (someDocument(value, at) as Proof["details"]);
const signedForms = oneOf({
  signed: anyHex,
  batch: struct({ count: whole(), index: whole(), root: hash, path: list(hash), signature: anyHex }),
});
const evidence: Reader<Proof["evidence"]> = (value, at) =>
  value === "relayed" ? "relayed" : (signedForms(value, at) as Proof["evidence"]);

const proof = struct<Proof>({
  version: version(PROOF_VERSION), index: whole(), report, place: shownPlace, details, evidence, path: list(hash),
  checkpoint: text,
  anchor: struct<Proof["anchor"]>({
    chainId: whole(), registry: hex(20), log: hash, number: whole(), size: whole(), root: hash, timeS: whole(), tx: hash,
    block: whole(),
  }),
  extension: struct({
    anchor: struct({ number: whole(), size: whole(), root: hash, timeS: whole() }), path: list(hash),
  }),
}, ["extension"]);

const receipt = struct<Receipt>({
  version: version(RECEIPT_VERSION), index: whole(), reportHash: hash, placeHash: hash, path: list(hash),
  checkpoint: text,
});

const keys = list(struct<TrustFile["operator"]["keys"][number]>(
  { address: looseHex(20), fromMs: whole(), untilMs: orNone(whole()) }, ["untilMs"],
));
const trust = struct<TrustFile>({
  version: version(TRUST_VERSION), chainId: whole(), registry: looseHex(20), log: looseHex(32), origin: text,
  operator: struct({ name: text, domain: text, noteKey: text, keys }),
  organisations: list(struct<TrustFile["organisations"][number]>(
    { name: text, registerNumber: orNone(text), domain: text, keys }, ["registerNumber"],
  )),
}, ["organisations"]);

/** Null means absent, as it does to the Rust side. */
function orNone<T>(reader: Reader<T>): Reader<T> {
  return (value, at) => (value === null ? (undefined as T) : reader(value, at));
}

/** JSON of UTF-8 bytes in which no field stands twice. */
function json(bytes: Uint8Array): unknown {
  const found = textOf(bytes);
  if (found === null) throw new FormatError("not UTF-8");
  let value: unknown;
  try {
    value = JSON.parse(found);
  } catch (error) {
    throw new FormatError(error instanceof Error ? error.message : "not JSON");
  }
  if (fieldsOf(value, DEPTH_MAX) !== fieldsIn(found)) throw new FormatError("a field stands twice");
  return value;
}

/** Levels of nesting at most, as many as the Rust side reads. */
const DEPTH_MAX = 128;

/** Fields of a value and of all in it. */
function fieldsOf(value: unknown, depthLeft: number): number {
  if (typeof value !== "object" || value === null) return 0;
  if (depthLeft === 0) throw new FormatError(`nested deeper than ${DEPTH_MAX} levels`);
  const inside = Object.values(value).reduce<number>((sum, part) => sum + fieldsOf(part, depthLeft - 1), 0);
  return inside + (Array.isArray(value) ? 0 : Object.keys(value).length);
}

/** Fields as they stand in valid JSON: strings before a colon. */
function fieldsIn(json: string): number {
  const colon = /\s*:/y;
  let fields = 0;
  for (let at = json.indexOf('"'); at >= 0; at = json.indexOf('"', at + 1)) {
    do at = json.indexOf('"', at + 1);
    while (isEscaped(json, at));
    colon.lastIndex = at + 1;
    if (colon.test(json)) fields += 1;
  }
  return fields;
}

function isEscaped(json: string, at: number): boolean {
  let slashes = 0;
  while (json[at - 1 - slashes] === "\\") slashes += 1;
  return slashes % 2 === 1;
}

/** The one spelling of a document of ours: two blanks of indent, fields in the order of the type, a newline. */
export function spell(document: object): Uint8Array {
  return utf8(`${JSON.stringify(document, null, 2)}\n`);
}

function requireSpelling(bytes: Uint8Array, spelled: Uint8Array): void {
  if (equal(bytes, spelled)) return;
  let at = 0;
  while (at < bytes.length && bytes[at] === spelled[at]) at += 1;
  const line = 1 + bytes.subarray(0, at).filter((byte) => byte === 0x0a).length;
  throw new FormatError(`byte ${at}: written another way than Medtrail writes it (line ${line})`);
}

function read<T extends object>(bytes: Uint8Array, what: string, reader: Reader<T>): T {
  if (bytes.length > PROOF_BYTES_MAX) {
    throw new FormatError(`a proof has at most ${PROOF_BYTES_MAX} bytes, this has ${bytes.length}`);
  }
  try {
    return reader(json(bytes), "");
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new FormatError(`not a ${what}: ${error.message}`);
  }
}

export function parseProof(bytes: Uint8Array): Proof {
  const parsed = read(bytes, "proof", proof);
  requireSpelling(bytes, spell(parsed));
  return parsed;
}

export function parseReceipt(bytes: Uint8Array): Receipt {
  const parsed = read(bytes, "receipt", receipt);
  requireSpelling(bytes, spell(parsed));
  return parsed;
}

/** Whether this says of itself that it is a receipt. */
export function isReceipt(bytes: Uint8Array): boolean {
  try {
    const value = json(bytes) as { version?: unknown } | null;
    return value?.version === RECEIPT_VERSION;
  } catch {
    return false;
  }
}

/** Reads a trust file and checks what can be checked of it alone. Its spelling is free. */
export async function parseTrust(source: string | Uint8Array): Promise<TrustFile> {
  const parsed = read(typeof source === "string" ? utf8(source) : source, "trust file", trust);
  const file = { ...parsed, organisations: parsed.organisations ?? [] };
  try {
    const { name } = await parseVerifierKey(file.operator.noteKey);
    if (name === file.origin) return file;
    throw new FormatError(`is named ${JSON.stringify(name)}, it must be named like the origin`);
  } catch (error) {
    throw new FormatError(`operator.noteKey: ${error instanceof Error ? error.message : String(error)}`);
  }
}
