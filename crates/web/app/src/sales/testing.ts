// For tests: an offer, an order and a sale of everybody's keys, and the service's and the chain's words about them.
import { secp256k1 } from "@noble/curves/secp256k1";
import type { Hex } from "../ledger/types";
import { KADRI, MARI, MARI_KEY, NOW } from "../permissions/testing";
import { datasetBytes, datasetId, type Dataset } from "../permit/dataset";
import { renderOffer } from "../permit/offer-words";
import { saleId, type Offer, type Order } from "../permit/sale";
import { parseScope } from "../permit/scopes";
import { CONSENT_REGISTRY, DATA_MARKET } from "./abi";
import type { MarketInfo } from "./api";

export const LOG: Hex = `0x${"10".repeat(32)}`;
export const MARKET: MarketInfo = {
  chainId: 31338, dataMarket: DATA_MARKET, consentRegistry: CONSENT_REGISTRY, log: LOG, cohortMarket: null, rules: { default: "off", countries: { EE: "on", DE: "de-identified" } },
  deliverySMin: 172_800, graceSMin: 86_400,
};
export const NOW_S = NOW / 1000;
export const RECIPIENT: Hex = "0x8f40c5adb68f25624ae5b214ea767a6ec94d829d3d7b5e1ad1ba6f3e2138285f";

export const DATASET: Dataset = {
  scopes: [parseScope("patient/Observation.rs")], codes: ["http://loinc.org|15074-8"], fromS: 1_759_838_400, toS: 1_767_614_400,
  form: { profile: "shifted-dates-v1", layout: "ndjson" }, origin: "signed",
};

export const textOf = (dataset: Dataset): string => new TextDecoder().decode(datasetBytes(dataset));

export function offer(change: Partial<Offer> = {}, dataset = DATASET): Offer {
  const terms = { statement: "", purpose: "HRESCH", dataset: datasetId(dataset), salt: `0x${"61".repeat(32)}` as Hex };
  const bare: Offer = {
    seller: MARI, log: LOG, token: `0x${"0".repeat(40)}`, price: "50000000000000000", accessS: 0, expiresAt: Math.ceil(NOW_S / 60) * 60 + 86_400 * 30, epoch: 0, terms, ...change,
  };
  return { ...bare, terms: { ...bare.terms, statement: renderOffer(bare, dataset, "en") ?? "" } };
}

export const order = (change: Partial<Order> = {}): Order =>
  ({ offer: offer(), buyer: KADRI, recipient: RECIPIENT, deliverBy: NOW_S + 300_000, grace: 86_400, salt: `0x${"62".repeat(32)}`, ...change });

export function signed(id: Hex, key: Uint8Array = MARI_KEY): Hex {
  const signature = secp256k1.sign(id.slice(2), key);
  return `0x${signature.toCompactHex()}${signature.recovery === 0 ? "1b" : "1c"}`;
}

export function marketAnswer(change: object = {}): object {
  const { deliverySMin, graceSMin, rules, ...rest } = MARKET;
  return { version: "medtrail/market-v1", ...rest, rules: { ...rules, deliverySMin, graceSMin }, ...change };
}

/** How the service tells of an offer. */
export function offerAnswer(of: Offer = offer(), change: object = {}, key: Uint8Array = MARI_KEY) {
  const id = saleId("Offer", of, MARKET);
  return {
    version: "medtrail/offer-v1", id, offer: of, dataset: textOf(DATASET), signature: signed(id, key), country: "EE", listedMs: NOW - 60_000,
    state: "open", ...change,
  };
}

/** How the service tells of a sale. */
export function saleAnswer(of: Order = order(), change: object = {}) {
  return {
    version: "medtrail/sale-view-v1", id: saleId("Order", of, MARKET), offer: saleId("Offer", of.offer, MARKET), order: of, dataset: textOf(DATASET), role: "seller",
    state: "waiting", refusal: null, isApproved: false, paidAtS: NOW_S, endedAtS: null, revokedAtS: null, delivery: null, key: null, withdrawal: null, leftOut: null, ...change,
  };
}

const word = (value: number | bigint | string): string => BigInt(value).toString(16).padStart(64, "0");

/** An answer of a node: words of an ABI. */
export const abiAnswer = (...values: readonly (number | bigint | string)[]): Hex => `0x${values.map(word).join("")}`;
