// What a buyer calls for, and the call that it makes: all of it from this page, nothing from the server but its rules.
import type { Hex } from "../ledger/types";
import { cohortProblem, PLACES_MAX, renderCohort } from "../permit/cohort";
import { datasetBytes, datasetId, type Dataset } from "../permit/dataset";
import type { Cohort } from "../permit/sale";
import { untilS } from "../permissions/grant";
import type { MarketInfo } from "../sales/api";
import { unitsOf } from "../sales/price";
import { datasetFrom, missingInData, SALE_PURPOSES, type DataChoices, type Unit } from "../sell/offer-form";

export interface CallChoices extends DataChoices {
  readonly purpose: string;
  /** Null: a token that the chain was not asked about yet, or that is none. */
  readonly unit: Unit | null;
  /** As typed, in that unit, of each place. */
  readonly price: string;
  /** As typed. */
  readonly places: string;
  /** The last day to deliver, `2026-12-22`. */
  readonly deliver: string;
  readonly graceS: number;
  readonly recipient: Hex | null;
}

export const CALL_MISSING = ["types", "codes", "period", "typesForm", "purpose", "token", "price", "places", "deliver", "recipient"] as const;
export type CallMissing = (typeof CALL_MISSING)[number];

/** What the choices do not say. */
export interface AroundCall {
  readonly market: MarketInfo;
  readonly buyer: Hex;
  /** The clock of the chain, if it could be read. */
  readonly nowS: number;
  readonly salts: readonly [Hex, Hex];
}

export interface CallDraft {
  readonly cohort: Cohort;
  readonly dataset: Dataset;
  /** The description's very text. */
  readonly text: string;
}

/** The contract's own limit. */
const WINDOW_S_MAX = 366 * 86_400;
/** Answers are taken until a day before the file is due, so one day alone would take none. */
const COLLECTING_S = 86_400;
/** A payment takes a while to reach a block. */
const SLACK_S = 3_600;

const placesIn = (typed: string): number | null => (/^\d{1,5}$/.test(typed.trim()) ? Number(typed) : null);

/** When the file is due; null: no such day, or one that leaves too little time or too much. */
export function dueS({ deliver, graceS }: Pick<CallChoices, "deliver" | "graceS">, { deliverySMin }: Pick<MarketInfo, "deliverySMin">, nowS: number): number | null {
  const due = untilS({ term: "date", date: deliver }, nowS * 1000);
  const leastS = Math.max(deliverySMin, COLLECTING_S) + SLACK_S;
  return due !== null && due >= nowS + leastS && due + graceS < nowS + WINDOW_S_MAX ? due : null;
}

/** All that is missing, in the order of the form. */
export function missingInCall(choices: CallChoices, market: MarketInfo, nowS: number): readonly CallMissing[] {
  const { unit, purpose, recipient } = choices;
  const places = placesIn(choices.places);
  const wrong = new Set<CallMissing>(missingInData(choices));
  const rest: readonly (readonly [CallMissing, boolean])[] = [
    ["purpose", !(SALE_PURPOSES as readonly string[]).includes(purpose)], ["token", unit === null],
    ["price", unit !== null && unitsOf(choices.price, unit.decimals) === null], ["places", places === null || places < 1 || places > PLACES_MAX],
    ["deliver", dueS(choices, market, nowS) === null], ["recipient", recipient === null],
  ];
  for (const [missing, isSo] of rest) if (isSo) wrong.add(missing);
  return CALL_MISSING.filter((one) => wrong.has(one));
}

/** The call that the choices make, or the first of them that is missing. */
export function callFrom(choices: CallChoices, { market, buyer, nowS, salts: [termsSalt, salt] }: AroundCall): CallDraft | CallMissing {
  const [missing] = missingInCall(choices, market, nowS);
  if (missing !== undefined) return missing;
  const { unit, recipient, graceS: grace } = choices;
  const [dataset, price, places, deliverBy] = [datasetFrom(choices), unit && unitsOf(choices.price, unit.decimals), placesIn(choices.places), dueS(choices, market, nowS)];
  if (dataset === null || unit === null || price === null || places === null || deliverBy === null || recipient === null) throw new Error("nothing is missing");
  const terms = { statement: "", purpose: choices.purpose, dataset: datasetId(dataset), salt: termsSalt };
  const bare: Cohort = { buyer, log: market.log, token: unit.token, price, places, recipient, deliverBy, grace, terms, salt };
  const cohort: Cohort = { ...bare, terms: { ...terms, statement: renderCohort(bare, dataset, "en") ?? "" } };
  if (cohortProblem(cohort, dataset) !== null) throw new Error("what the form asks for has a statement");
  return { cohort, dataset, text: new TextDecoder().decode(datasetBytes(dataset)) };
}

/** What all places cost together. */
export const totalOf = ({ price, places }: Pick<Cohort, "price" | "places">): bigint => BigInt(price) * BigInt(places);
