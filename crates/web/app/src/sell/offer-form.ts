// What a person chooses to sell, and the offer that it makes: all of it from this page, nothing from the server but its rules.
import type { Hex } from "../ledger/types";
import { untilS, type Term } from "../permissions/grant";
import { datasetBytes, datasetId, datasetOf, type Dataset, type Layout } from "../permit/dataset";
import { renderOffer } from "../permit/offer-words";
import { WORDS } from "../permit/resources";
import { offerProblem, type Offer } from "../permit/sale";
import { parseScope } from "../permit/scopes";
import { ruleFor, type MarketInfo } from "../sales/api";
import { HARMLESS_TYPES } from "../sales/harmless";
import { ETHER_DECIMALS, unitsOf } from "../sales/price";
import { dayOf, noonOf } from "../trail/days";

export const FORMS = ["hipaa-safe-harbor-v1", "shifted-dates-v1", "as-it-is"] as const;
export type Form = (typeof FORMS)[number];

/** For what somebody is likely to sell; a sale is for one of them. */
export const SALE_PURPOSES = ["HRESCH", "BIORCH", "CLINTRCH", "DSRCH", "PUBHLTH", "HQUALIMP", "HMARKT"] as const;

/** Times to look that a seller can choose; none: the copy is all. */
export const ACCESS_S = [0, 7, 30, 90, 365].map((days) => days * 86_400);

/** What a price is in. */
export interface Unit {
  readonly token: Hex;
  readonly decimals: number;
}

export const ETHER: Unit = { token: `0x${"0".repeat(40)}`, decimals: ETHER_DECIMALS };

/** Which data, and in what form. */
export interface DataChoices {
  readonly types: readonly string[];
  /** As typed: codes with blanks, commas or new lines between. Empty: whatever their codes. */
  readonly codes: string;
  /** Days, `2026-11-22`. */
  readonly from: string;
  readonly to: string;
  readonly form: Form;
  readonly layout: Layout;
  readonly origin: Dataset["origin"];
}

export interface Choices extends DataChoices {
  readonly purpose: string;
  /** Null: a token that the chain was not asked about yet, or that is none. */
  readonly unit: Unit | null;
  /** As typed, in that unit. */
  readonly price: string;
  /** For how long after a sale the buyer may also look, seconds; 0: not at all. Of de-identified data there is no look. */
  readonly accessS: number;
  readonly term: Term;
  readonly date: string;
  readonly seller: Hex | "";
  readonly country: string;
}

/** What is not chosen yet, or cannot be. */
export type Missing = "types" | "typesForm" | "codes" | "period" | "form" | "purpose" | "token" | "price" | "until" | "seller" | "country";

/** What the choices do not say. */
export interface Around {
  readonly market: MarketInfo;
  readonly epoch: number;
  readonly nowMs: number;
  readonly salt: Hex;
}

export interface Draft {
  readonly offer: Offer;
  readonly dataset: Dataset;
  /** The description's very text. */
  readonly text: string;
  readonly country: string;
}

const LOINC = "http://loinc.org|";

/** Codes as a description has them: each once, in order. A bare LOINC code is taken for one. */
export function codesIn(typed: string): readonly string[] {
  const codes = typed.split(/[\s,;]+/).filter((code) => code !== "").map((code) => (/^\d{1,7}-\d$/.test(code) ? LOINC + code : code));
  return [...new Set(codes)].sort();
}

/** Midnight at the begin of a day, or of the next one; seconds. NaN: no such day. */
function midnightS(day: string, hours: 0 | 24): number {
  const noon = /^\d{4}-\d\d-\d\d$/.test(day) ? noonOf(day) : NaN;
  if (Number.isNaN(noon) || dayOf(noon) !== day) return NaN;
  return Math.floor(new Date(noon).setHours(hours, 0, 0, 0) / 60_000) * 60;
}

/** Types that have a name which a wallet shows, the person's own first. */
export const namedTypes = (types: Iterable<string>): readonly string[] => [...types].filter((type) => WORDS.has(type));

/** The description that the choices make; null: something of it is missing. */
export function datasetFrom(choices: DataChoices): Dataset | null {
  const types = namedTypes(new Set(choices.types)).slice().sort();
  const scopes = types.map((type) => parseScope(`patient/${type}.rs`));
  const [fromS, toS] = [midnightS(choices.from, 0), midnightS(choices.to, 24)];
  const form = choices.form === "as-it-is" ? choices.form : { profile: choices.form, layout: choices.layout };
  const dataset: Dataset = { scopes, codes: codesIn(choices.codes), fromS, toS, form, origin: choices.origin };
  // Read back as the service reads it.
  return types.length > 0 && fromS < toS && datasetOf(datasetBytes(dataset)) !== null ? dataset : null;
}

const isPeriod = ({ from, to }: DataChoices): boolean => midnightS(from, 0) >= 0 && midnightS(from, 0) < midnightS(to, 24);

/** Nothing of these types passes: who sells that sells nothing. */
const isEmptyForm = ({ form, types }: DataChoices): boolean => form !== "as-it-is" && !types.some((type) => HARMLESS_TYPES.has(type));

/** What a description lacks. */
export function missingInData(choices: DataChoices): readonly ("types" | "codes" | "period" | "typesForm")[] {
  const hasTypes = namedTypes(choices.types).length > 0;
  // Types and period being there, what is left that can be wrong with a description is a code.
  const hasCodes = !hasTypes || !isPeriod(choices) || datasetFrom(choices) !== null;
  const found = [["types", !hasTypes], ["codes", !hasCodes], ["period", !isPeriod(choices)], ["typesForm", hasTypes && isEmptyForm(choices)]] as const;
  return found.flatMap(([missing, isSo]) => (isSo ? [missing] : []));
}

/** All that is missing, in the order of the form. */
export function missingIn(choices: Choices, market: MarketInfo, nowMs: number): readonly Missing[] {
  const data = missingInData(choices);
  const isCountry = /^[A-Z]{2}$/.test(choices.country);
  const rule = isCountry ? ruleFor(market, choices.country) : "off";
  const found: readonly (readonly [Missing, boolean])[] = [
    ["types", data.includes("types")], ["codes", data.includes("codes")], ["period", data.includes("period")],
    ["country", rule === "off"], ["form", rule === "de-identified" && choices.form === "as-it-is"], ["typesForm", data.includes("typesForm")],
    ["purpose", !(SALE_PURPOSES as readonly string[]).includes(choices.purpose)], ["token", choices.unit === null],
    ["price", choices.unit !== null && unitsOf(choices.price, choices.unit.decimals) === null],
    ["until", untilS(choices, nowMs) === null], ["seller", choices.seller === ""],
  ];
  return found.flatMap(([missing, isSo]) => (isSo ? [missing] : []));
}

/** The steps before the wallet opens, and what each asks. */
export const STEPS = ["what", "form", "terms", "address"] as const;
export type Step = (typeof STEPS)[number];

export const ASKED: Readonly<Record<Step, readonly Missing[]>> = {
  what: ["types", "codes", "period"], form: ["country", "form", "typesForm"], terms: ["purpose", "token", "price", "until"], address: ["seller"],
};

/** The offer that the choices make, or the first of them that is missing. */
export function draftFrom(choices: Choices, { market, epoch, nowMs, salt }: Around): Draft | Missing {
  const [missing] = missingIn(choices, market, nowMs);
  if (missing !== undefined) return missing;
  const { unit } = choices;
  const [dataset, price, expiresAt] = [datasetFrom(choices), unit && unitsOf(choices.price, unit.decimals), untilS(choices, nowMs)];
  if (dataset === null || unit === null || price === null || expiresAt === null || choices.seller === "") throw new Error("nothing is missing");
  const terms = { statement: "", purpose: choices.purpose, dataset: datasetId(dataset), salt };
  const bare: Offer = { seller: choices.seller, log: market.log, token: unit.token, price, accessS: dataset.form === "as-it-is" ? choices.accessS : 0, expiresAt, epoch, terms };
  const offer: Offer = { ...bare, terms: { ...terms, statement: renderOffer(bare, dataset, "en") ?? "" } };
  if (offerProblem(offer, dataset) !== null) throw new Error("what the form offers has a statement");
  return { offer, dataset, text: new TextDecoder().decode(datasetBytes(dataset)), country: choices.country };
}
