// One settled order, judged against one look, as in crates/permit (sold.rs): the sale is the permission.
import { utf8 } from "../ledger/bytes";
import type { Hex } from "../ledger/types";
import { momentsOf, refusesData, refusesPurposes } from "./candidate";
import { datasetOf, type Dataset } from "./dataset";
import type { Person } from "./person";
import { orderProblem, saleId } from "./sale";
import type { Act, Refusal, Sold, World } from "./world";

const ACCESS = 1;

/** Why the order of this id does not permit an act; null: it does; undefined: no such order is known. */
export function refusedBySale(id: Hex, act: Act, interactions: string, person: Person, world: World): Refusal | null | undefined {
  const { market } = world;
  if (market === undefined) return undefined;
  const sold = (world.sales ?? []).find(({ order }) => saleId("Order", order, market) === id);
  if (sold === undefined) return undefined;
  const missed = misses(sold, act, interactions, person);
  if (missed !== null) return missed;
  return momentsOf(act).map((moment) => fell(id, sold, moment, person)).find((found) => found !== null) ?? null;
}

/** What needs no clock. A copy made harmless gives no look: the originals are what it hides. */
function misses({ order, dataset: text }: Sold, act: Act, interactions: string, person: Person): Refusal | null {
  const dataset = datasetOf(utf8(text));
  if (dataset === null) return "invalidDocument";
  const problem = orderProblem(order, dataset);
  if (problem !== null) return problem === "statement" ? "invalidStatement" : "invalidDocument";
  const { offer, buyer } = order;
  if (!person.names.includes(offer.seller)) return "wrongSubject";
  if (!act.party.includes(buyer)) return "wrongGrantee";
  if (act.report.kind !== ACCESS) return "notALook";
  if (offer.accessS === 0 || dataset.form !== "as-it-is") return "deliveryOnly";
  // A search that found nothing has no data to tell of.
  const isEmpty = act.need.isSearch && act.need.data.length === 0;
  const uncovered = isEmpty ? null : refusesData(dataset.scopes, act.need, interactions) ?? otherCode(dataset, act);
  return uncovered ?? refusesPurposes([offer.terms.purpose], act.need);
}

function otherCode({ codes }: Dataset, { need: { data } }: Act): Refusal | null {
  const told = (parameters: readonly string[]) =>
    parameters.flatMap((one) => /^(?:vaccine-)?code=(.*)$/s.exec(one)?.slice(1) ?? []);
  const isSold = codes.length === 0
    || (data.length > 0 && data.every(({ parameters }) => told(parameters).some((code) => codes.includes(code))));
  return isSold ? null : "wrongScope";
}

/** Why it did not stand at a moment; null: it did. */
function fell(id: Hex, { order: { offer }, settled, revokedS }: Sold, moment: number, person: Person): Refusal | null {
  if (settled === null) return "notSettled";
  if (!settled.isFinal) return "notFinal";
  const givenMs = settled.atS * 1000;
  if (givenMs > moment) return "notYetGiven";
  const isEnded = revokedS !== null && revokedS * 1000 <= moment;
  if (isEnded || person.isRevoked(id, offer.seller, moment)) return "revoked";
  if (!person.isOfOneEpoch(offer.seller, givenMs, moment)) return "wrongEpoch";
  return moment >= (settled.atS + offer.accessS) * 1000 ? "expired" : null;
}
