// A buyer's call to many: what sellers read, and what makes its documents valid by themselves; as in crates/permit
// (sale/cohort.rs), held to tests/vectors/calls.json and cohorts.json.
import { checksummed } from "../ledger/schema";
import type { Dataset } from "./dataset";
import { datasetId } from "./dataset";
import { partsOf, priceIn, timeIn } from "./offer-words";
import { PURPOSES } from "./purposes";
import { cohortId, GRACE_S_MAX, isPrice, isTime, isZero, saleStructHash, termsProblem, type Cohort, type CohortAcceptance, type CohortMarket } from "./sale";
import type { Hex } from "../ledger/types";
import type { Language } from "./statements";

export const PLACES_MAX = 10_000;

const LANGUAGES: readonly Language[] = ["en", "et"];

/** The statement of a call for this dataset; null if the fields cannot be told, or the terms name another dataset. */
export function renderCohort(cohort: Cohort, dataset: Dataset, language: Language): string | null {
  const purpose = PURPOSES.get(cohort.terms.purpose);
  if (cohort.terms.dataset !== datasetId(dataset) || purpose === undefined) return null;
  const { data, from, to, only, form, origin } = partsOf(dataset, language);
  const [buyer, until, hours] = [checksummed(cohort.buyer), timeIn(cohort.deliverBy, language), Math.ceil(cohort.grace / 3600)];
  const price = priceIn(cohort.price, cohort.token, language);
  if (language === "en") {
    return `I sell to ${buyer} a copy of health data of the person who signs this: ${data}, from ${from} to ${to}.${only} Form: `
      + `${form}. Origin: ${origin}. Only for: ${purpose.english}. Price: ${price}, paid to the address that signs this. The buyer `
      + `pays up to ${cohort.places} people alike and gets the data of all in one file, by ${until}; the money waits for ${hours} `
      + "hours more. I can take this back until the first of them is paid; after that I am paid, and the copy cannot be called "
      + "back. The sale is public forever: both addresses, price and time. (Medtrail cohort 1)";
  }
  return `Müün ostjale ${buyer} koopia selle isiku terviseandmetest, kes sellele alla kirjutab, mis hõlmab järgmist: ${data}, `
    + `ajavahemikust ${from} kuni ${to}.${only} Kuju: ${form}. Päritolu: ${origin}. Lubatud eesmärk: ${purpose.estonian}. Hind: `
    + `${price}, mille saab aadress, mis sellele alla kirjutab. Ostja maksab kõigile ühepalju, kuni ${cohort.places} inimesele, ja `
    + `saab kõigi andmed ühes failis hiljemalt ${until}; raha ootab veel ${hours} tundi. Saan selle tagasi võtta, kuni esimesele `
    + "neist on makstud; pärast seda makstakse ka mulle ja koopiat ei saa tagasi võtta. Müük jääb igaveseks avalikuks: mõlemad "
    + "aadressid, hind ja aeg. (Medtrail ühismüük 1)";
}

/** In which language the statement says what the fields say; null: in none. */
export function cohortLanguage(cohort: Cohort, dataset: Dataset): Language | null {
  return LANGUAGES.find((language) => renderCohort(cohort, dataset, language) === cohort.terms.statement) ?? null;
}

/** The field that makes a call invalid by itself; null: it is valid. */
export function cohortProblem(cohort: Cohort, dataset: Dataset): string | null {
  if (isZero(cohort.buyer)) return "buyer";
  if (isZero(cohort.log)) return "log";
  if (!isPrice(cohort.price)) return "price";
  if (!Number.isInteger(cohort.places) || cohort.places < 1 || cohort.places > PLACES_MAX) return "places";
  if (isZero(cohort.recipient)) return "recipient";
  if (!isTime(cohort.deliverBy)) return "deliverBy";
  if (!Number.isInteger(cohort.grace) || cohort.grace < 1 || cohort.grace > GRACE_S_MAX) return "grace";
  if (!isTime(settledBy(cohort))) return "deliverBy";
  if (isZero(cohort.salt)) return "salt";
  return termsProblem(cohort.terms, dataset, () => cohortLanguage(cohort, dataset) !== null);
}

/** The last second at which the contract pays for it. */
export const settledBy = ({ deliverBy, grace }: Cohort): number => deliverBy + grace;

export interface Taking {
  readonly place: number;
  readonly seller: Hex;
  readonly epoch: number;
  readonly expiresAt: number;
}

/** The acceptance that one seller is asked for. */
export function acceptanceOf(cohort: Cohort, market: CohortMarket, { place, seller, epoch, expiresAt }: Taking): CohortAcceptance {
  const { token, price, terms } = cohort;
  return { cohort: cohortId("Cohort", cohort, market), place, seller, token, price, terms, epoch, expiresAt };
}

/** What makes an acceptance invalid against the call that it is shown with; null: nothing. */
export function acceptanceProblem(acceptance: CohortAcceptance, cohort: Cohort, market: CohortMarket, dataset: Dataset): string | null {
  const found = cohortProblem(cohort, dataset);
  if (found !== null) return found;
  if (acceptance.cohort !== cohortId("Cohort", cohort, market)) return "cohort";
  if (!Number.isInteger(acceptance.place) || acceptance.place < 0 || acceptance.place >= cohort.places) return "place";
  if (isZero(acceptance.seller) || acceptance.seller === cohort.buyer) return "seller";
  if (acceptance.token !== cohort.token) return "token";
  if (acceptance.price !== cohort.price) return "price";
  // Other terms in the wallet than in the call: the seller would read one sale and sign another.
  if (saleStructHash("Terms", acceptance.terms) !== saleStructHash("Terms", cohort.terms)) return "terms";
  if (!Number.isSafeInteger(acceptance.epoch) || acceptance.epoch < 0) return "epoch";
  return isTime(acceptance.expiresAt) && acceptance.expiresAt >= settledBy(cohort) ? null : "expiresAt";
}
