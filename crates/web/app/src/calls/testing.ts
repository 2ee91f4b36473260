// For tests: a call of Kadri's, and the service's and the chain's words about it.
import { datasetId } from "../permit/dataset";
import { acceptanceOf, renderCohort, settledBy, type Taking } from "../permit/cohort";
import { cohortId, type Cohort } from "../permit/sale";
import { KADRI, MARI, NOW } from "../permissions/testing";
import { DATASET, LOG, MARKET, marketAnswer, NOW_S, RECIPIENT, textOf } from "../sales/testing";
import { COHORT_MARKET } from "./abi";
import type { CallMarket } from "./check";

export const CALLING: CallMarket = { ...MARKET, cohortMarket: COHORT_MARKET };
export const callingAnswer = (change: object = {}): object => marketAnswer({ cohortMarket: COHORT_MARKET, ...change });

export function cohort(change: Partial<Cohort> = {}, dataset = DATASET): Cohort {
  const terms = { statement: "", purpose: "HRESCH", dataset: datasetId(dataset), salt: `0x${"61".repeat(32)}` as const };
  const bare: Cohort = {
    buyer: KADRI, log: LOG, token: `0x${"0".repeat(40)}`, price: "50000000000000000", places: 50, recipient: RECIPIENT, deliverBy: NOW_S + 300_000, grace: 86_400,
    terms, salt: `0x${"62".repeat(32)}`, ...change,
  };
  return { ...bare, terms: { ...bare.terms, statement: renderCohort(bare, dataset, "en") ?? "" } };
}

export const callIdOf = (of: Cohort) => cohortId("Cohort", of, CALLING);

/** A seller's acceptance, as the service tells of it. */
export function ownAnswer(of: Cohort = cohort(), change: object = {}, taken: Partial<Taking> = {}) {
  const taking: Taking = { place: 7, seller: MARI, epoch: 0, expiresAt: settledBy(of), ...taken };
  const id = cohortId("CohortAcceptance", acceptanceOf(of, CALLING, taking), CALLING);
  const { place, seller, epoch, expiresAt } = taking;
  return { id, seller, place, epoch, expiresAtS: expiresAt, country: "EE", acceptedMs: NOW - 5_000, withdrawnMs: null, state: "accepted", isShown: false, withdrawal: null as object | null, ...change };
}

/** How it tells that somebody wants their data deleted. */
export const WITHDRAWAL = { askedMs: NOW - 5, dueMs: NOW + 30 * 86_400_000, state: "waiting" };

/** How the service tells of a call. */
export function callAnswer(of: Cohort = cohort(), change: object = {}) {
  return {
    version: "medtrail/call-view-v1", id: callIdOf(of), cohort: of, dataset: textOf(DATASET), heardMs: NOW - 60_000, state: "open", accepted: null, own: [] as object[],
    proposed: null as object | null, delivery: null as object | null, withdrawals: [] as object[], ...change,
  };
}

/** How it stands in the catalogue. */
export const cardAnswer = (of: Cohort = cohort()) => ({
  id: callIdOf(of), heardMs: NOW - 60_000, buyer: of.buyer, price: of.price, token: of.token, places: of.places, deliverByS: of.deliverBy, purpose: of.terms.purpose,
  types: ["Observation"], dataset: textOf(DATASET),
});
