// `medtrail/manifest-v1`: what a delivery holds, and where each part of it comes from; as manifest.rs in crates/market has it.
// Its hash stands in the log, so its spelling needs no check of its own.
import { isHex, textOf } from "../ledger/bytes";
import type { Hex } from "../ledger/types";
import { get, list, text } from "../reading/json";
import { MANIFEST } from "./tar";

export const MANIFEST_BYTES_MAX = 32 << 20;
const RECORDS_MAX = 10_000;
/** What a delivery holds at most, opened. */
const DELIVERY_BYTES_MAX = 1 << 30;

export interface File {
  readonly path: string;
  readonly hash: Hex;
  readonly bytes: number;
}

/** The version that a record is, or was made of. */
export interface Original {
  readonly version: Hex;
  readonly mediaType: string;
  readonly source: string;
  /** Null: the person uploaded it. */
  readonly signer: Hex | null;
  /** Its place in the log. */
  readonly index: number;
}

export interface Entry {
  readonly path: string;
  /** Where in the file, from 1; null: it is the file. */
  readonly number: number | null;
  readonly word: "signedByOrganisation" | "uploadedByPerson";
  readonly origin: { readonly open: Original } | { readonly hidden: Hex };
}

export type Counts = readonly (readonly [path: string, count: number])[];

/** By what records were made harmless, and what was left out of them. */
export interface Made {
  readonly tool: string;
  readonly profile: string;
  readonly elements: Counts;
  readonly resources: Counts;
}

/** What a delivery holds, of one seller or of many. */
export interface Listed {
  /** Null: the records are as they are. */
  readonly made: Made | null;
  readonly files: readonly File[];
  readonly records: readonly Entry[];
}

export interface Manifest extends Listed {
  readonly order: Hex;
  readonly dataset: Hex;
}

function hash(node: unknown, name: string): Hex | null {
  const found = text(node, name);
  return isHex(found, 32) ? found : null;
}

function whole(node: unknown, name: string): number | null {
  const found = get(node, name);
  return Number.isSafeInteger(found) && (found as number) >= 0 ? (found as number) : null;
}

/** `data.ndjson`, `records/000001.json`: plain names that lead nowhere else. */
function isPath(path: string): boolean {
  const names = path.split("/");
  return path.length <= 100 && path !== MANIFEST && names.length <= 2 && names.every((name) => /^(?!\.)[A-Za-z0-9._-]+$/.test(name));
}

export function fileOf(node: unknown): File | null {
  const [path, sum, bytes] = [text(node, "path"), hash(node, "hash"), whole(node, "bytes")];
  return path !== null && isPath(path) && sum !== null && bytes !== null ? { path, hash: sum, bytes } : null;
}

function originalOf(node: unknown): Original | null {
  const [version, mediaType, source, index] = [hash(node, "version"), text(node, "mediaType"), text(node, "source"), whole(get(node, "proof"), "index")];
  const signer = get(node, "signer");
  const isSigner = signer === undefined || (typeof signer === "string" && isHex(signer.toLowerCase(), 20));
  if (version === null || mediaType === null || source === null || index === null || !isSigner) return null;
  return { version, mediaType, source, index, signer: typeof signer === "string" ? (signer.toLowerCase() as Hex) : null };
}

export function entryOf(node: unknown): Entry | null {
  const [path, word, origin] = [text(node, "path"), text(node, "word"), get(node, "origin")];
  if (path === null || (word !== "signedByOrganisation" && word !== "uploadedByPerson")) return null;
  const number = get(node, "number") === undefined ? null : whole(node, "number");
  const [open, hidden] = [originalOf(get(origin, "open")), hash(origin, "hidden")];
  if (open !== null) return { path, number, word, origin: { open } };
  return hidden === null ? null : { path, number, word, origin: { hidden } };
}

const counts = (node: unknown): [string, number][] =>
  (typeof node === "object" && node !== null ? Object.entries(node).filter((pair): pair is [string, number] => typeof pair[1] === "number") : []);

export const removedOf = (node: unknown): Pick<Made, "elements" | "resources"> =>
  ({ elements: counts(get(node, "elements")), resources: counts(get(node, "resources")) });

/** The tree of a manifest of either kind; null for any other bytes. */
export function treeOf(bytes: Uint8Array): unknown {
  if (bytes.length > MANIFEST_BYTES_MAX) return null;
  try {
    return JSON.parse(textOf(bytes) ?? "") as unknown;
  } catch {
    return null;
  }
}

/** Files in their order, each once, and not too many; null: they are none. */
export function filesOf(value: unknown, most: number): readonly File[] | null {
  const files = list(value, "files").map(fileOf);
  if (files.length > most || files.includes(null)) return null;
  const known = files as File[];
  const isSorted = known.every(({ path }, place) => place === 0 || (known[place - 1]?.path ?? "") < path);
  return isSorted && known.reduce((sum, file) => sum + file.bytes, 0) <= DELIVERY_BYTES_MAX ? known : null;
}

/** Whether a record stands in this file in the form that was agreed on. */
export function isFormed({ number, word, origin }: Entry, file: File | undefined, isMade: boolean): boolean {
  if (file === undefined) return false;
  if (isMade) return "hidden" in origin && number !== null && number >= 1;
  return "open" in origin && number === null && file.hash === origin.open.version && (word === "signedByOrganisation") === (origin.open.signer !== null);
}

/** Reads a manifest; null for any other bytes. */
export function manifestOf(bytes: Uint8Array): Manifest | null {
  const value = treeOf(bytes);
  const [order, dataset, told] = [hash(value, "order"), hash(value, "dataset"), get(value, "made")];
  const [files, records] = [filesOf(value, RECORDS_MAX), list(value, "records").map(entryOf)];
  if (text(value, "version") !== "medtrail/manifest-v1" || order === null || dataset === null) return null;
  if (files === null || records.length > RECORDS_MAX || records.includes(null)) return null;
  const made = told === undefined ? null : { tool: text(told, "tool") ?? "", profile: text(told, "profile") ?? "", ...removedOf(get(told, "removed")) };
  const byPath = new Map(files.map((file) => [file.path, file]));
  const isEachFormed = (records as Entry[]).every((entry) => isFormed(entry, byPath.get(entry.path), made !== null));
  return isEachFormed ? { order, dataset, made, files, records: records as Entry[] } : null;
}
