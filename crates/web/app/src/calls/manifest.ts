// `medtrail/cohort-manifest-v1`: what the file of a call to many holds, and the consents that it was made of; as
// cohort/manifest.rs in crates/market has it. Whether the acceptances are valid is said by delivery.ts.
import type { Hex } from "../ledger/types";
import { acceptanceOf, type Taking } from "../permit/cohort";
import { cohortId, type Cohort } from "../permit/sale";
import { get, list, text } from "../reading/json";
import { ADDRESS, complete, HASH, hex, whole } from "../sales/api";
import { entryOf, filesOf, isFormed, removedOf, treeOf, type Counts, type Entry, type File, type Listed, type Made } from "../market/manifest";
import { cohortOf } from "./api";

const SELLERS_MAX = 10_000;
const RECORDS_MAX = 50_000;
const SIGNATURE_BYTES_MAX = 2_048;

/** One seller's consent: with the call it makes the acceptance again, which the signature is over. */
export interface Consent extends Taking {
  readonly signature: Hex;
}

/** One person's part of the file. */
export interface Person {
  /** What their files begin with, after `person-`. */
  readonly label: string;
  /** Whose consent it is: that of a place or, de-identified, what hides it. */
  readonly consent: { readonly place: number } | { readonly hidden: Hex };
  readonly records: number;
}

/** Records and what was left out stand together for all; a record's path says whose it is. */
export interface CohortManifest extends Listed {
  readonly chainId: number;
  readonly cohortMarket: Hex;
  readonly cohort: Cohort;
  /** The description of the data, byte for byte. */
  readonly dataset: string;
  readonly consents: readonly Consent[];
  readonly persons: readonly Person[];
}

function consentOf(node: unknown): Consent | null {
  const signature = text(node, "signature")?.toLowerCase() ?? "";
  if (!/^0x(?:[0-9a-f]{2})+$/.test(signature) || signature.length > 2 + 2 * SIGNATURE_BYTES_MAX) return null;
  const taking = complete<Taking>({ place: whole(node, "place"), seller: hex(node, "seller", ADDRESS), epoch: whole(node, "epoch"), expiresAt: whole(node, "expiresAt") });
  return taking && { ...taking, signature: signature as Hex };
}

interface Part extends Person {
  readonly entries: readonly Entry[];
  readonly removed: Pick<Made, "elements" | "resources">;
}

function partOf(node: unknown, isMade: boolean, places: ReadonlySet<number>): Part | null {
  const [label, told] = [text(node, "label"), get(node, "consent")];
  const [place, hidden] = [whole(told, "place"), hex(told, "hidden", HASH)];
  const consent = isMade ? hidden && { hidden } : place !== null && places.has(place) ? { place } : null;
  const entries = list(node, "records").map(entryOf);
  if (label === null || !/^[0-9a-f]{16}$/.test(label) || consent === null || entries.length === 0 || entries.includes(null)) return null;
  const isOwn = ({ path }: Entry) => path.startsWith(`person-${label}`) && /^[./]/.test(path.slice(23));
  if (!(entries as Entry[]).every(isOwn) || (get(node, "removed") !== undefined) !== isMade) return null;
  return { label, consent, records: entries.length, entries: entries as Entry[], removed: removedOf(get(node, "removed")) };
}

const rises = <T>(all: readonly T[], of: (one: T) => number | string): boolean =>
  all.every((one, at) => at === 0 || of(all[at - 1] as T) < of(one));

function sum(all: readonly Counts[]): Counts {
  const sums = new Map<string, number>();
  for (const [path, count] of all.flat()) sums.set(path, (sums.get(path) ?? 0) + count);
  return [...sums].sort(([one], [other]) => (one < other ? -1 : 1));
}

/** Each file is somebody's, and each record stands in one in the form that was agreed on. */
function isWhole(parts: readonly Part[], files: readonly File[], isMade: boolean): boolean {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const entries = parts.flatMap((part) => part.entries);
  return entries.length <= RECORDS_MAX && entries.every((entry) => isFormed(entry, byPath.get(entry.path), isMade)) && new Set(entries.map(({ path }) => path)).size === files.length;
}

/** Reads a manifest; null for any other bytes. */
export function cohortManifestOf(bytes: Uint8Array): CohortManifest | null {
  const value = treeOf(bytes);
  const [market, told] = [get(value, "market"), get(value, "made")];
  const read = complete<Pick<CohortManifest, "chainId" | "cohortMarket" | "cohort" | "dataset" | "files">>({
    chainId: whole(market, "chainId"), cohortMarket: hex(market, "cohortMarket", ADDRESS), cohort: cohortOf(get(value, "cohort")), dataset: text(value, "dataset"),
    files: filesOf(value, RECORDS_MAX),
  });
  const consents = list(value, "consents").map(consentOf);
  if (text(value, "version") !== "medtrail/cohort-manifest-v1" || read === null || consents.includes(null)) return null;
  const known = consents as Consent[];
  const places = new Set(known.map(({ place }) => place));
  const parts = list(value, "persons").map((one) => partOf(one, told !== undefined, places));
  if (known.length < 1 || known.length > SELLERS_MAX || parts.length !== known.length || parts.includes(null)) return null;
  const all = parts as Part[];
  const isOrdered = rises(known, ({ place }) => place) && rises(all, ({ label }) => label);
  const named = all.map(({ consent }) => ("place" in consent ? consent.place : consent.hidden));
  const isEachOnce = new Set(known.map(({ seller }) => seller)).size === known.length && new Set(named).size === named.length;
  if (!isOrdered || !isEachOnce || !isWhole(all, read.files, told !== undefined)) return null;
  const made = told === undefined ? null : {
    tool: text(told, "tool") ?? "", profile: text(told, "profile") ?? "",
    elements: sum(all.map(({ removed }) => removed.elements)), resources: sum(all.map(({ removed }) => removed.resources)),
  };
  return { ...read, made, consents: known, persons: all.map(({ label, consent, records }) => ({ label, consent, records })), records: all.flatMap(({ entries }) => entries) };
}

/** Whether the file has this part under this label: named by what hides its consent or, as it is, by the acceptance's id. */
export function isPart({ chainId, cohortMarket, cohort, consents, persons }: CohortManifest, { label, part }: { readonly label: string; readonly part: Hex }): boolean {
  const consent = persons.find((person) => person.label === label)?.consent;
  if (consent === undefined) return false;
  if ("hidden" in consent) return consent.hidden === part;
  const taking = consents.find(({ place }) => place === consent.place);
  const market = { chainId, cohortMarket };
  return taking !== undefined && cohortId("CohortAcceptance", acceptanceOf(cohort, market, taking), market) === part;
}
