// The documents by which a person allows, takes back, delegates and erases (EIP-712), and what makes one valid by itself,
// as in crates/permit (documents.rs, check.rs).
import { hexToBytes, isHex, textOf, utf8 } from "../ledger/bytes";
import { digest, structHashOf, type Field } from "../ledger/schema";
import { recover, SignatureError } from "../ledger/signature";
import type { Hex } from "../ledger/types";
import { parsePurposes } from "./purposes";
import { parseScopes } from "./scopes";
import { languageOf } from "./statements";

export interface Grant {
  statement: string; subject: Hex; grantee: Hex; scopes: string; purposes: string; epoch: number; expiresAt: number; salt: Hex;
}

export interface ChangeApproval {
  statement: string; subject: Hex; custodian: Hex; record: Hex; fromVersion: Hex; toVersion: Hex; epoch: number;
  expiresAt: number; salt: Hex;
}

export interface Revoke {
  subject: Hex; permission: Hex;
}

export interface RevokeAll {
  subject: Hex; epoch: number;
}

export interface RecoveryPolicy {
  statement: string; subject: Hex; trustees: Hex[]; needed: number; delayS: number; epoch: number;
}

export interface Delegation {
  statement: string; subject: Hex; delegate: Hex; rights: string; epoch: number; expiresAt: number; salt: Hex;
}

export interface Guardianship {
  statement: string; subject: Hex; guardian: Hex; custodian: Hex; rights: string; ground: string; expiresAt: number;
}

export interface Erase {
  statement: string; subject: Hex; log: Hex; upToOrdinal: number; expiresAt: number;
}

interface Documents {
  grant: Grant; changeApproval: ChangeApproval; revoke: Revoke; revokeAll: RevokeAll; recoveryPolicy: RecoveryPolicy;
  delegation: Delegation; guardianship: Guardianship; erase: Erase;
}

type Kind = keyof Documents;

/** Any document, as JSON has it: `{ grant: {…} }`. */
export type Document = { [K in Kind]: { [Name in K]: Documents[K] } }[Kind];

type Fields<T> = readonly (readonly [Field[0], keyof T & string])[];

/** The fields of each document in their order, and the registry whose domain it has. */
export const TYPES: { readonly [K in Kind]: { name: string; owner: "consent" | "anchor"; fields: Fields<Documents[K]> } } = {
  grant: { name: "Grant", owner: "consent", fields: [
    ["string", "statement"], ["address", "subject"], ["address", "grantee"], ["string", "scopes"], ["string", "purposes"],
    ["uint64", "epoch"], ["uint64", "expiresAt"], ["bytes32", "salt"],
  ] },
  changeApproval: { name: "ChangeApproval", owner: "consent", fields: [
    ["string", "statement"], ["address", "subject"], ["address", "custodian"], ["bytes32", "record"],
    ["bytes32", "fromVersion"], ["bytes32", "toVersion"], ["uint64", "epoch"], ["uint64", "expiresAt"], ["bytes32", "salt"],
  ] },
  revoke: { name: "Revoke", owner: "consent", fields: [["address", "subject"], ["bytes32", "permission"]] },
  revokeAll: { name: "RevokeAll", owner: "consent", fields: [["address", "subject"], ["uint64", "epoch"]] },
  recoveryPolicy: { name: "RecoveryPolicy", owner: "consent", fields: [
    ["string", "statement"], ["address", "subject"], ["address[]", "trustees"], ["uint8", "needed"], ["uint64", "delayS"],
    ["uint64", "epoch"],
  ] },
  delegation: { name: "Delegation", owner: "anchor", fields: [
    ["string", "statement"], ["address", "subject"], ["address", "delegate"], ["string", "rights"], ["uint64", "epoch"],
    ["uint64", "expiresAt"], ["bytes32", "salt"],
  ] },
  guardianship: { name: "Guardianship", owner: "anchor", fields: [
    ["string", "statement"], ["bytes32", "subject"], ["address", "guardian"], ["address", "custodian"], ["string", "rights"],
    ["string", "ground"], ["uint64", "expiresAt"],
  ] },
  erase: { name: "Erase", owner: "anchor", fields: [
    ["string", "statement"], ["address", "subject"], ["bytes32", "log"], ["uint64", "upToOrdinal"], ["uint64", "expiresAt"],
  ] },
};

/** The registries that own the documents: one signed for another chain or registry has another id. */
export interface Registries {
  chainId: number; consentRegistry: Hex; anchorRegistry: Hex;
}

/** A document and who signed it. */
export interface Signed {
  document: Document;
  /** 65 bytes; absent: given on chain only. */
  signature?: Hex;
  /** Of a guardianship: the custodian's. */
  countersignature?: Hex;
}

function kindOf(document: Document): Kind {
  return Object.keys(document)[0] as Kind;
}

function fieldsOf(document: Document): Documents[Kind] {
  return Object.values(document)[0] as Documents[Kind];
}

/** Its id, which is what is signed: the EIP-712 digest under the registry that owns it. */
export function documentId(document: Document, { chainId, consentRegistry, anchorRegistry }: Registries): Hex {
  const { name, owner, fields } = TYPES[kindOf(document)];
  const registry = owner === "consent" ? consentRegistry : anchorRegistry;
  return digest(structHashOf(name, fields, fieldsOf(document)), { chainId, registry });
}

/** A subject as a document names it: an address as it is, of a pseudonym the last 20 bytes. */
export function named(subject: Hex): Hex {
  return `0x${subject.slice(-40)}`;
}

/** Whom a document is about, as [`named`]. */
export function subjectOf(document: Document): Hex {
  return named(fieldsOf(document).subject);
}

/** The statement of a document; null: it has none. */
export function statementOf(document: Document): string | null {
  const fields = fieldsOf(document);
  return "statement" in fields ? fields.statement : null;
}

/** Who signed: an address; null: nobody; "invalid": no signature of the accepted form. */
export async function signerOf(id: Hex, signature: Hex | undefined): Promise<Hex | null | "invalid"> {
  if (signature === undefined) return null;
  try {
    return await recover(id, hexToBytes(signature));
  } catch (error) {
    if (error instanceof SignatureError) return "invalid";
    throw error;
  }
}

const RIGHTS = ["SEE", "PERMIT", "SEE PERMIT"];
const STATEMENT_BYTES_MAX = 16_384;
const GROUND_BYTES_MAX = 160;
const TRUSTEES_MAX = 16;
const DAY_S = 86_400;
/** The last second of the year 9999: a statement writes years in four digits. */
const TIME_S_MAX = 253_402_300_799;

const isZero = (hex: Hex): boolean => /^0x0*$/.test(hex);
const isTime = (timeS: number): boolean => timeS >= 1 && timeS <= TIME_S_MAX;

/** Text that a wallet shows as it stands. */
function isPlain(text: string): boolean {
  return /^(?! )(?:(?!["*<>\\`{}]| {2})[ -~\u00c0-\u017f])+(?<! )$/.test(text) && utf8(text).length <= GROUND_BYTES_MAX;
}

/** The field that makes a document invalid by itself, whoever signed it; null: it is valid. */
export function problemOf(document: Document): string | null {
  const fields = fieldsOf(document);
  if (isZero(fields.subject)) return "subject";
  if ("epoch" in fields && !Number.isSafeInteger(fields.epoch)) return "epoch";
  if ("expiresAt" in fields && !isTime(fields.expiresAt)) return "expiresAt";
  if ("salt" in fields && isZero(fields.salt)) return "salt";
  if ("rights" in fields && !RIGHTS.includes(fields.rights)) return "rights";
  if ("custodian" in fields && isZero(fields.custodian)) return "custodian";
  const found = ownProblem(document);
  const statement = statementOf(document);
  if (found !== null || statement === null) return found;
  if (utf8(statement).length > STATEMENT_BYTES_MAX) return "statementBytes";
  return languageOf(document) === null ? "statement" : null;
}

function ownProblem(document: Document): string | null {
  if ("grant" in document) {
    const { grantee, scopes, purposes } = document.grant;
    if (isZero(grantee)) return "grantee";
    // A person can give what is theirs, not what others may see.
    if (parseScopes(scopes)?.every(({ context }) => context === "patient") !== true) return "scopes";
    return parsePurposes(purposes) === null ? "purposes" : null;
  }
  if ("changeApproval" in document) {
    const { record, fromVersion, toVersion } = document.changeApproval;
    if (isZero(record)) return "record";
    return fromVersion === toVersion ? "toVersion" : null;
  }
  if ("revoke" in document) return isZero(document.revoke.permission) ? "permission" : null;
  if ("recoveryPolicy" in document) {
    const { subject, trustees, needed, delayS } = document.recoveryPolicy;
    const isAscending = trustees.every((one, place) => place === 0 || (trustees[place - 1] as Hex) < one);
    const isOther = trustees.every((one) => one !== subject && !isZero(one));
    if (trustees.length < 1 || trustees.length > TRUSTEES_MAX || !isAscending || !isOther) return "trustees";
    if (needed < 1 || needed > trustees.length) return "needed";
    return delayS < 2 * DAY_S || delayS > 90 * DAY_S ? "delayS" : null;
  }
  if ("delegation" in document) {
    const { subject, delegate } = document.delegation;
    return isZero(delegate) || delegate === subject ? "delegate" : null;
  }
  if ("guardianship" in document) {
    const { guardian, ground } = document.guardianship;
    if (isZero(guardian)) return "guardian";
    return isPlain(ground) ? null : "ground";
  }
  if ("erase" in document) {
    const { log, upToOrdinal } = document.erase;
    if (isZero(log)) return "log";
    return upToOrdinal < 0 || !Number.isSafeInteger(upToOrdinal) ? "upToOrdinal" : null;
  }
  return null;
}

function valueOf(type: Field[0], value: unknown): unknown {
  const lower = typeof value === "string" ? value.toLowerCase() : value;
  switch (type) {
    case "bytes32":
      return isHex(lower, 32) ? lower : null;
    case "address":
      return isHex(lower, 20) ? lower : null;
    case "address[]": {
      const items = Array.isArray(value) ? value.map((item) => valueOf("address", item)) : [null];
      return items.includes(null) ? null : items;
    }
    case "string":
      return typeof value === "string" && !/\p{Surrogate}/u.test(value) ? value : null;
    default: {
      const max = type === "uint8" ? 255 : Number.MAX_SAFE_INTEGER;
      return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= max ? value : null;
    }
  }
}

/** Reads a document as JSON has it; null if it is none: a field too many, too few, or of another type. */
export function documentOf(value: unknown): Document | null {
  if (typeof value !== "object" || value === null) return null;
  const [kind, ...more] = Object.keys(value);
  if (kind === undefined || more.length > 0 || !Object.hasOwn(TYPES, kind)) return null;
  const given = (value as Record<string, unknown>)[kind];
  const fields: readonly Field[] = TYPES[kind as Kind].fields;
  if (typeof given !== "object" || given === null || Object.keys(given).length !== fields.length) return null;
  const read = fields.map(([type, name]) =>
    [name, valueOf(type, Object.hasOwn(given, name) ? (given as Record<string, unknown>)[name] : null)] as const);
  if (read.some(([, found]) => found === null)) return null;
  return { [kind]: Object.fromEntries(read) } as unknown as Document;
}

const DETAILS_BYTES_MAX = 65_536;
const MEMBERS = ["version", "document", "signature", "countersignature"];

/** Reads the details of a line of kind 4 (`medtrail/permission-v1`); null if they are none. Who signed is not checked. */
export function signedOf(bytes: Uint8Array): Signed | null {
  if (bytes.length > DETAILS_BYTES_MAX) return null;
  let value: unknown;
  try {
    value = JSON.parse(textOf(bytes) ?? "");
  } catch {
    return null;
  }
  if (typeof value !== "object" || value === null) return null;
  const { version, document, signature, countersignature } = value as Record<string, unknown>;
  const read = documentOf(document);
  const isRead = version === "medtrail/permission-v1" && Object.keys(value).every((name) => MEMBERS.includes(name));
  const bytesOf = (hex: unknown) => (typeof hex === "string" && /^0x(?:[0-9a-f]{2})*$/i.test(hex) ? hex.toLowerCase() as Hex : null);
  const [own, other] = [signature ?? undefined, countersignature ?? undefined].map((hex) => (hex === undefined ? hex : bytesOf(hex)));
  if (!isRead || read === null || own === null || other === null) return null;
  return {
    document: read, ...(own === undefined ? {} : { signature: own }), ...(other === undefined ? {} : { countersignature: other }),
  };
}
