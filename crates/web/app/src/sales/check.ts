// Whether what the service says of an offer or a sale is what somebody signed. It is believed in nothing that can be
// checked; what could not be checked is said.
import type { Hex } from "../ledger/types";
import { signerOf } from "../permit/documents";
import { offerProblem, orderProblem, saleId } from "../permit/sale";
import { CONSENT_REGISTRY, DATA_MARKET } from "./abi";
import type { MarketInfo, OfferView, SaleView } from "./api";
import type { SellerFacts } from "./chain";

/** What is wrong: then nobody should pay, or sign. */
export type Flaw =
  | "dataset" | "fields" | "id" | "log" | "signature" | "signer" | "closed" | "frozen" | "expired";

/** What could not be checked. */
export type Doubt =
  /** There is no wallet, or it could not ask the chain. */
  | "chain"
  /** The signature is of a form that only the seller's own contract can check. */
  | "wallet"
  /** The contract is not the one that this page knows. */
  | "contract";

export interface Judged {
  readonly flaws: readonly Flaw[];
  readonly doubts: readonly Doubt[];
}

/** Whether money goes to the contract whose rules this page knows. */
export function isKnownMarket({ dataMarket, consentRegistry }: Pick<MarketInfo, "dataMarket" | "consentRegistry">): boolean {
  return dataMarket === DATA_MARKET && consentRegistry === CONSENT_REGISTRY;
}

/** `facts`: null, the chain was not asked. */
export async function judgeOffer({ id, offer, dataset, signature }: OfferView, market: MarketInfo, facts: SellerFacts | null, nowMs: number): Promise<Judged> {
  const flaws: Flaw[] = [];
  const doubts: Doubt[] = isKnownMarket(market) ? [] : ["contract"];
  if (dataset === null) flaws.push("dataset");
  else if (offerProblem(offer, dataset) !== null) flaws.push("fields");
  if (saleId("Offer", offer, market) !== id) flaws.push("id");
  if (offer.log !== market.log) flaws.push("log");
  if (offer.expiresAt * 1000 <= nowMs) flaws.push("expired");

  // A signature of another length is a contract's own (ERC-1271).
  const signer = signature.length === 132 ? await signerOf(id, signature) : null;
  if (signer === "invalid") flaws.push("signature");
  else if (signer === null) doubts.push("wallet");
  if (facts === null) {
    doubts.push("chain");
    if (signer !== null && signer !== "invalid" && signer !== offer.seller) doubts.push("wallet");
  } else {
    // Whoever signed must still act for the seller: else it can be paid for and never be settled.
    if (signer !== null && signer !== "invalid" && signer !== facts.controller) flaws.push("signer");
    if (facts.isFrozen) flaws.push("frozen");
    if (!facts.isOpen) flaws.push("closed");
  }
  return { flaws, doubts: [...new Set(doubts)] };
}

/** What is wrong with a sale as it is told; empty: its ids are those of what stands in it. */
export function saleFlaws({ id, offerId, order, dataset, role }: SaleView, market: MarketInfo, own: readonly Hex[]): readonly Flaw[] {
  const flaws: Flaw[] = [];
  if (dataset === null) flaws.push("dataset");
  else if (orderProblem(order, dataset) !== null) flaws.push("fields");
  if (saleId("Order", order, market) !== id || saleId("Offer", order.offer, market) !== offerId) flaws.push("id");
  if (order.offer.log !== market.log) flaws.push("log");
  const party = role === "seller" ? order.offer.seller : order.buyer;
  if (!own.includes(party)) flaws.push("signer");
  return flaws;
}
