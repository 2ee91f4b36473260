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

export interface Manifest {
  readonly order: Hex;
  readonly dataset: Hex;
  /** Null: the records are as they are. */
  readonly made: {
    readonly tool: string;
    readonly profile: string;
    readonly elements: readonly (readonly [path: string, count: number])[];
    readonly resources: readonly (readonly [path: string, count: number])[];
  } | null;
  readonly files: readonly File[];
  readonly records: readonly Entry[];
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

function fileOf(node: unknown): File | null {
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

function entryOf(node: unknown): Entry | null {
  const [path, word, origin] = [text(node, "path"), text(node, "word"), get(node, "origin")];
  if (path === null || (word !== "signedByOrganisation" && word !== "uploadedByPerson")) return null;
  const number = get(node, "number") === undefined ? null : whole(node, "number");
  const [open, hidden] = [originalOf(get(origin, "open")), hash(origin, "hidden")];
  if (open !== null) return { path, number, word, origin: { open } };
  return hidden === null ? null : { path, number, word, origin: { hidden } };
}

const counts = (node: unknown): [string, number][] =>
  (typeof node === "object" && node !== null ? Object.entries(node).filter((pair): pair is [string, number] => typeof pair[1] === "number") : []);

/** Reads a manifest; null for any other bytes. */
export function manifestOf(bytes: Uint8Array): Manifest | null {
  if (bytes.length > MANIFEST_BYTES_MAX) return null;
  let value: unknown;
  try {
    value = JSON.parse(textOf(bytes) ?? "");
  } catch {
    return null;
  }
  const [order, dataset, told] = [hash(value, "order"), hash(value, "dataset"), get(value, "made")];
  const [files, records] = [list(value, "files").map(fileOf), list(value, "records").map(entryOf)];
  if (text(value, "version") !== "medtrail/manifest-v1" || order === null || dataset === null) return null;
  if (Math.max(files.length, records.length) > RECORDS_MAX || files.includes(null) || records.includes(null)) return null;
  const known = files as File[];
  if (!known.every(({ path }, place) => place === 0 || (known[place - 1]?.path ?? "") < path)) return null;
  if (known.reduce((sum, file) => sum + file.bytes, 0) > DELIVERY_BYTES_MAX) return null;
  const removed = get(told, "removed");
  const made = told === undefined ? null : {
    tool: text(told, "tool") ?? "", profile: text(told, "profile") ?? "",
    elements: counts(get(removed, "elements")), resources: counts(get(removed, "resources")),
  };
  const byPath = new Map(known.map((file) => [file.path, file]));
  const isFormed = ({ path, number, word, origin }: Entry) => {
    const file = byPath.get(path);
    if (file === undefined) return false;
    if (made !== null) return "hidden" in origin && number !== null && number >= 1;
    return "open" in origin && number === null && file.hash === origin.open.version && (word === "signedByOrganisation") === (origin.open.signer !== null);
  };
  return (records as Entry[]).every(isFormed) ? { order, dataset, made, files: known, records: records as Entry[] } : null;
}
