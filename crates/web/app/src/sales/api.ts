// What the service says of sales, read narrowly: what is not of this form is not there. Whether it is true is said by check.ts.
import { isHex, utf8 } from "../ledger/bytes";
import type { Hex } from "../ledger/types";
import { datasetOf, type Dataset } from "../permit/dataset";
import type { Market, Offer, Order, Terms } from "../permit/sale";
import { get, list, text } from "../reading/json";

export type Rule = "off" | "de-identified" | "on";

/** `GET /v1/market`. */
export interface MarketInfo extends Market {
  readonly consentRegistry: Hex;
  readonly log: Hex;
  /** The contract of calls to many; null: there are none here. */
  readonly cohortMarket: Hex | null;
  readonly rules: { readonly default: Rule; readonly countries: Readonly<Record<string, Rule>> };
  readonly deliverySMin: number;
  readonly graceSMin: number;
}

/** Whether a price is in the chain's own coin. */
export const isEther = (token: Hex): boolean => /^0x0*$/.test(token);

export type OfferState = "open" | "expired" | "cancelled" | "withdrawn";

/** `medtrail/offer-v1`. */
export interface OfferView {
  readonly id: Hex;
  readonly offer: Offer;
  /** The very text whose hash the terms have. */
  readonly text: string;
  readonly dataset: Dataset | null;
  readonly signature: Hex;
  readonly listedMs: number;
  readonly state: OfferState;
}

/** One of the catalogue: nobody's name stands in it. */
export interface Listed {
  readonly id: Hex;
  readonly listedMs: number;
  readonly price: string;
  readonly token: Hex;
  readonly expiresAtS: number;
  readonly purpose: string;
  readonly dataset: Dataset;
  readonly recordsAtLeast: number;
}

const SALE_STATES = ["seen", "waiting", "preparing", "delivered", "settling", "settled", "refunded", "over"] as const;
export type SaleState = (typeof SALE_STATES)[number];

const WITHDRAWAL_STATES = ["waiting", "deleted", "not-answered"] as const;

/** The seller wants what was delivered deleted. */
export interface Withdrawal {
  readonly askedMs: number;
  /** Until when the buyer has time. */
  readonly dueMs: number;
  readonly state: (typeof WITHDRAWAL_STATES)[number];
}

/** `medtrail/sale-view-v1`. */
export interface SaleView {
  readonly id: Hex;
  readonly offerId: Hex;
  readonly order: Order;
  readonly text: string;
  readonly dataset: Dataset | null;
  readonly role: "seller" | "buyer";
  readonly state: SaleState;
  readonly refusal: string | null;
  readonly isApproved: boolean;
  readonly paidAtS: number | null;
  readonly endedAtS: number | null;
  readonly revokedAtS: number | null;
  readonly delivery: { readonly index: number; readonly bytes: number; readonly file: Hex; readonly lock: Hex; readonly isAnchored: boolean } | null;
  readonly key: Hex | null;
  /** Null: nobody asked. */
  readonly withdrawal: Withdrawal | null;
  readonly leftOut: readonly (readonly [reason: string, records: number])[];
}

export const ADDRESS = 20;
export const HASH = 32;

/** Hex in lower case: addresses come as people compare them. */
export function hex(node: unknown, name: string, bytes: number): Hex | null {
  const found = text(node, name)?.toLowerCase();
  return isHex(found, bytes) ? found : null;
}

export function whole(node: unknown, name: string): number | null {
  const found = get(node, name);
  return Number.isSafeInteger(found) && (found as number) >= 0 ? (found as number) : null;
}

/** All of them, or null if one is not there. */
export function complete<T extends object>(fields: { readonly [K in keyof T]: T[K] | null }): T | null {
  return Object.values(fields).includes(null) ? null : (fields as T);
}

export function termsOf(node: unknown): Terms | null {
  return complete<Terms>({
    statement: text(node, "statement"), purpose: text(node, "purpose"), dataset: hex(node, "dataset", HASH), salt: hex(node, "salt", HASH),
  });
}

function offerOf(node: unknown): Offer | null {
  return complete<Offer>({
    seller: hex(node, "seller", ADDRESS), log: hex(node, "log", HASH), token: hex(node, "token", ADDRESS), price: text(node, "price"),
    accessS: whole(node, "accessS"), expiresAt: whole(node, "expiresAt"), epoch: whole(node, "epoch"), terms: termsOf(get(node, "terms")),
  });
}

export function orderOf(node: unknown): Order | null {
  return complete<Order>({
    offer: offerOf(get(node, "offer")), buyer: hex(node, "buyer", ADDRESS), recipient: hex(node, "recipient", HASH),
    deliverBy: whole(node, "deliverBy"), grace: whole(node, "grace"), salt: hex(node, "salt", HASH),
  });
}

const isRule = (value: unknown): value is Rule => value === "off" || value === "de-identified" || value === "on";

/** `"off"`: nothing is sold here. Null: an answer that is none. */
export function marketOf(value: unknown): MarketInfo | "off" | null {
  if (text(value, "version") !== "medtrail/market-v1") return null;
  if (get(value, "dataMarket") === null) return "off";
  const rules = get(value, "rules");
  const ruled = get(rules, "default");
  const named = get(rules, "countries");
  if (!isRule(ruled) || typeof named !== "object" || named === null) return null;
  const countries = Object.fromEntries(Object.entries(named).filter((pair): pair is [string, Rule] => /^[A-Z]{2}$/.test(pair[0]) && isRule(pair[1])));
  const read = complete<Omit<MarketInfo, "cohortMarket">>({
    chainId: whole(value, "chainId"), dataMarket: hex(value, "dataMarket", ADDRESS), consentRegistry: hex(value, "consentRegistry", ADDRESS),
    log: hex(value, "log", HASH), rules: { default: ruled, countries }, deliverySMin: whole(rules, "deliverySMin"), graceSMin: whole(rules, "graceSMin"),
  });
  return read && { ...read, cohortMarket: hex(value, "cohortMarket", ADDRESS) };
}

export function ruleFor({ rules }: Pick<MarketInfo, "rules">, country: string): Rule {
  return Object.hasOwn(rules.countries, country) ? (rules.countries[country] as Rule) : rules.default;
}

export const datasetIn = (said: string | null): Dataset | null => (said === null ? null : datasetOf(utf8(said)));

const OFFER_STATES: readonly string[] = ["open", "expired", "cancelled", "withdrawn"];

export function offerViewOf(value: unknown): OfferView | null {
  const [said, state, signature] = [text(value, "dataset"), text(value, "state"), text(value, "signature")?.toLowerCase()];
  if (said === null || state === null || !OFFER_STATES.includes(state) || signature === undefined || !/^0x(?:[0-9a-f]{2})+$/.test(signature)) return null;
  const read = complete<Omit<OfferView, "dataset">>({
    id: hex(value, "id", HASH), offer: offerOf(get(value, "offer")), text: said, signature: signature as Hex,
    listedMs: whole(value, "listedMs"), state: state as OfferState,
  });
  return read && { ...read, dataset: datasetIn(said) };
}

export interface Page<T> {
  readonly found: readonly T[];
  readonly next: string | null;
  /** How many of the answer were of no form that this page knows. */
  readonly unread: number;
}

export function pageOf<T>(value: unknown, name: string, read: (one: unknown) => T | null): Page<T> {
  const all = list(value, name);
  const found = all.flatMap((one) => read(one) ?? []);
  const next = get(value, "next");
  return { found, next: typeof next === "string" || typeof next === "number" ? String(next) : null, unread: all.length - found.length };
}

export function catalogueOf(value: unknown): Page<Listed> {
  return pageOf(value, "offers", (one) => complete<Listed>({
    id: hex(one, "id", HASH), listedMs: whole(one, "listedMs"), price: text(one, "price"), token: hex(one, "token", ADDRESS),
    expiresAtS: whole(one, "expiresAtS"), purpose: text(one, "purpose"), dataset: datasetIn(text(one, "dataset")),
    recordsAtLeast: whole(one, "recordsAtLeast"),
  }));
}

export const offersOf = (value: unknown): Page<OfferView> => pageOf(value, "offers", offerViewOf);
export const salesOf = (value: unknown): Page<SaleView> => pageOf(value, "sales", saleOf);

function deliveryOf(node: unknown): SaleView["delivery"] {
  const isAnchored = get(node, "isAnchored");
  return complete<NonNullable<SaleView["delivery"]>>({
    index: whole(node, "index"), bytes: whole(node, "bytes"), file: hex(node, "file", HASH), lock: hex(node, "lock", HASH),
    isAnchored: typeof isAnchored === "boolean" ? isAnchored : null,
  });
}

/** `"none"`: nobody asked. Null: somebody did, in words that this page does not know. */
export function withdrawalOf(value: unknown): Withdrawal | "none" | null {
  const node = get(value, "withdrawal") ?? null;
  return node === null ? "none" : askedOf(node);
}

export function askedOf(node: unknown): Withdrawal | null {
  const state = WITHDRAWAL_STATES.find((one) => one === text(node, "state")) ?? null;
  return complete<Withdrawal>({ askedMs: whole(node, "askedMs"), dueMs: whole(node, "dueMs"), state });
}

export function saleOf(value: unknown): SaleView | null {
  const [said, role, state] = [text(value, "dataset"), text(value, "role"), text(value, "state")];
  const known = SALE_STATES.find((one) => one === state);
  if (said === null || (role !== "seller" && role !== "buyer") || known === undefined) return null;
  const withdrawal = withdrawalOf(value);
  // Read as one whom nobody asked, a buyer would never be told.
  if (withdrawal === null) return null;
  const read = complete<Pick<SaleView, "id" | "offerId" | "order">>({
    id: hex(value, "id", HASH), offerId: hex(value, "offer", HASH), order: orderOf(get(value, "order")),
  });
  const counts = get(value, "leftOut");
  const leftOut = typeof counts === "object" && counts !== null ? Object.entries(counts).filter(([, count]) => Number.isSafeInteger(count) && count > 0) : [];
  return read && {
    ...read, text: said, dataset: datasetIn(said), role, state: known, refusal: text(value, "refusal"), isApproved: get(value, "isApproved") === true,
    paidAtS: whole(value, "paidAtS"), endedAtS: whole(value, "endedAtS"), revokedAtS: whole(value, "revokedAtS"),
    delivery: deliveryOf(get(value, "delivery")), key: hex(value, "key", HASH),
    withdrawal: withdrawal === "none" ? null : withdrawal, leftOut,
  };
}
