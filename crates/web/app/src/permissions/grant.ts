// What a person chooses in the form, and the permission it makes: nothing of it comes from the server but whom it is for.
import { bytesToHex, isHex } from "../ledger/bytes";
import type { Hex } from "../ledger";
import { purposeCovers, render, WORDS, type Grant } from "../permit";
import { CATEGORIES } from "../reading/tables";
import { dayOf, noonOf } from "../trail/days";

/** Looking is finding too: who may see data may search them. */
const LETTERS = { read: "rs", add: "crs", change: "crus" } as const;

export type Extent = keyof typeof LETTERS;
export const EXTENTS = Object.keys(LETTERS) as Extent[];

const MONTHS = { month: 1, half: 6, year: 12 } as const;

export type Term = keyof typeof MONTHS | "date";
export const TERMS: readonly Term[] = [...(Object.keys(MONTHS) as (keyof typeof MONTHS)[]), "date"];

/** For what a person is likely to allow something; a code here may be wider than another. */
export const PURPOSE_CODES = ["TREAT", "COC", "CAREMGT", "ETREAT", "HPAYMT", "PATRQT", "HRESCH", "PUBHLTH"] as const;

/** About permissions, and about who used the data: the person has both, and no care needs them. */
const OWN_GROUPS = ["permissions", "trail"];

/** Data as the lines of the trail group them, of the types that have a plain name: a wallet shows no other. */
export const GROUPS: readonly { readonly code: string; readonly types: readonly string[] }[] = CATEGORIES
  .filter(([code]) => !OWN_GROUPS.includes(code))
  .map(([code, , types]) => ({ code, types: types.filter((type) => WORDS.has(type)) }))
  .filter(({ types }) => types.length > 0);

export interface Choices {
  /** The id of the organisation; empty: none is chosen yet. */
  readonly grantee: string;
  readonly extent: Extent;
  readonly isAll: boolean;
  readonly groups: readonly string[];
  readonly purposes: readonly string[];
  readonly term: Term;
  /** The last day, `2027-05-22`, if the term is a date. */
  readonly date: string;
}

/** The end of the year 9999: a wallet shows years in four digits. */
const TIME_S_MAX = 253_402_300_799;

/** What is not chosen yet, or cannot be. */
export type Missing = "grantee" | "groups" | "purposes" | "until";

/** What the choices do not say. */
export interface Around {
  readonly subject: Hex;
  readonly epoch: number;
  readonly nowMs: number;
  readonly salt: Hex;
}

/** As a calendar has it: a month after 31 January is the last day of February. */
export function addMonths(ms: number, months: number): number {
  const at = new Date(ms);
  const day = at.getDate();
  at.setDate(1);
  at.setMonth(at.getMonth() + months);
  at.setDate(Math.min(day, new Date(at.getFullYear(), at.getMonth() + 1, 0).getDate()));
  return at.getTime();
}

/** When it ends, seconds since 1970, on a full minute: a wallet shows no seconds. Null: no such day, or one that is over. */
export function untilS({ term, date }: Pick<Choices, "term" | "date">, nowMs: number): number | null {
  const endMs = term === "date" ? endOf(date) : addMonths(nowMs, MONTHS[term]);
  const seconds = Math.ceil(endMs / 60_000) * 60;
  return seconds * 1000 > nowMs && seconds <= TIME_S_MAX ? seconds : null;
}

/** The midnight at which a day ends, on this device's clock. */
function endOf(date: string): number {
  const noon = /^\d{4}-\d\d-\d\d$/.test(date) ? noonOf(date) : NaN;
  // The 31st of February would be a day in March.
  if (Number.isNaN(noon) || dayOf(noon) !== date) return NaN;
  return new Date(noon).setHours(24, 0, 0, 0);
}

/** The permission that the choices make, or the first of them that is missing. */
export function grantOf(choices: Choices, { subject, epoch, nowMs, salt }: Around): Grant | Missing {
  const grantee = choices.grantee.toLowerCase();
  if (!isHex(grantee, 20)) return "grantee";
  const types = GROUPS.filter(({ code }) => choices.groups.includes(code)).flatMap((group) => group.types);
  if (!choices.isAll && types.length === 0) return "groups";
  const codes = PURPOSE_CODES.filter((code) => choices.purposes.includes(code));
  // What another one covers would make the text longer and say nothing.
  const purposes = codes.filter((code) => !codes.some((wider) => wider !== code && purposeCovers(wider, code)));
  if (purposes.length === 0) return "purposes";
  const expiresAt = untilS(choices, nowMs);
  if (expiresAt === null) return "until";
  const letters = LETTERS[choices.extent];
  const scopes = (choices.isAll ? ["*"] : types).map((type) => `patient/${type}.${letters}`).join(" ");
  const fields = { statement: "", subject, grantee, scopes, purposes: purposes.join(" "), epoch, expiresAt, salt };
  const statement = render({ grant: fields }, "en");
  if (statement === null) throw new Error("what the form offers has a statement");
  return { ...fields, statement };
}

/** 32 random bytes: two permissions that say the same are two. */
export function newSalt(): Hex {
  return bytesToHex(crypto.getRandomValues(new Uint8Array(32)));
}
