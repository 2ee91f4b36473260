// `medtrail/dataset-v1`: which data a sale is about, and in what form they are delivered; as in crates/permit (dataset.rs);
// tests/vectors/offers.json holds both to it.
import { textOf, utf8 } from "../ledger/bytes";
import { sha256 } from "../ledger/merkle";
import type { Hex } from "../ledger/types";
import { parseScopes, scopeText, type Scope } from "./scopes";

export type Profile = "hipaa-safe-harbor-v1" | "shifted-dates-v1";
export type Layout = "ndjson" | "bundle";

export interface Dataset {
  scopes: readonly Scope[];
  /** Only data with one of these codes (`system|code`); none: whatever their codes. */
  codes: readonly string[];
  fromS: number;
  toS: number;
  form: { profile: Profile; layout: Layout } | "as-it-is";
  origin: "signed" | "signed-and-uploaded";
}

const VERSION = "medtrail/dataset-v1";
const BYTES_MAX = 16_384;
const CODES_MAX = 64;
const CODE_BYTES_MAX = 128;
/** The last second of the year 9999. */
const TIME_S_MAX = 253_402_300_799;
const TOKEN = /^(?:(?!["%&*,?\\`<>|])[!-~])+\|(?:(?!["%&*,?\\`<>|])[!-~])+$/;

/** The bytes of a description, in their one spelling. */
export function datasetBytes({ scopes, codes, fromS, toS, form, origin }: Dataset): Uint8Array {
  const how = form === "as-it-is" ? { form } : { form: "de-identified", profile: form.profile, layout: form.layout };
  return utf8(JSON.stringify({ version: VERSION, scopes: scopes.map(scopeText).join(" "), codes, fromS, toS, ...how, origin }));
}

/** What a sale's terms name it by. */
export function datasetId(dataset: Dataset): Hex {
  return sha256(datasetBytes(dataset));
}

const isTime = (timeS: unknown): timeS is number => Number.isInteger(timeS) && (timeS as number) >= 0 && (timeS as number) % 60 === 0;

/** Reads a description, strictly; null for any other bytes. */
export function datasetOf(bytes: Uint8Array): Dataset | null {
  if (bytes.length > BYTES_MAX) return null;
  let value: unknown;
  try {
    value = JSON.parse(textOf(bytes) ?? "");
  } catch {
    return null;
  }
  if (typeof value !== "object" || value === null) return null;
  const { scopes: text, codes, fromS, toS, form, profile, layout, origin } = value as Record<string, unknown>;
  const scopes = typeof text === "string" ? parseScopes(text) : null;
  if (scopes?.every(({ context, interactions }) => context === "patient" && [...interactions].join("") === "rs") !== true) return null;
  if (!Array.isArray(codes) || codes.length > CODES_MAX) return null;
  const isCode = (code: unknown, place: number) =>
    typeof code === "string" && code.length <= CODE_BYTES_MAX && TOKEN.test(code) && (place === 0 || codes[place - 1] < code);
  if (!codes.every(isCode)) return null;
  if (!isTime(fromS) || !isTime(toS) || fromS >= toS || toS > TIME_S_MAX) return null;
  const isHow = form === "as-it-is"
    || (form === "de-identified" && (profile === "hipaa-safe-harbor-v1" || profile === "shifted-dates-v1")
      && (layout === "ndjson" || layout === "bundle"));
  if (!isHow || (origin !== "signed" && origin !== "signed-and-uploaded")) return null;
  const how = form === "as-it-is" ? form : { profile: profile as Profile, layout: layout as Layout };
  const dataset: Dataset = { scopes, codes: codes as string[], fromS, toS, form: how, origin };
  return textOf(datasetBytes(dataset)) === textOf(bytes) ? dataset : null;
}
