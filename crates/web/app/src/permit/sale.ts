// What is signed in a sale (EIP-712, the market contract's domain), and what makes it valid by itself; as in crates/permit
// (sale.rs, sale/check.rs), held to tests/vectors/sales.json and deletion.json. A price is a decimal text: beyond 2^53 a JSON number means several things.
import { concat, hexToBytes, isHex, utf8 } from "../ledger/bytes";
import { digest, keccak, type Domain } from "../ledger/schema";
import type { Hex } from "../ledger/types";
import { datasetId, type Dataset } from "./dataset";
import { offerLanguage } from "./offer-words";
import { PURPOSES } from "./purposes";

export interface Terms {
  statement: string; purpose: string; dataset: Hex; salt: Hex;
}

export interface Offer {
  seller: Hex; log: Hex; token: Hex; price: string; accessS: number; expiresAt: number; epoch: number; terms: Terms;
}

export interface Order {
  offer: Offer; buyer: Hex; recipient: Hex; deliverBy: number; grace: number; salt: Hex;
}

export interface SaleApproval {
  order: Hex; seller: Hex; buyer: Hex; token: Hex; price: string; terms: Terms; expiresAt: number;
}

/** One buyer's call to many sellers. */
export interface Cohort {
  buyer: Hex; log: Hex; token: Hex; price: string; places: number; recipient: Hex; deliverBy: number; grace: number; terms: Terms; salt: Hex;
}

export interface CohortAcceptance {
  cohort: Hex; place: number; seller: Hex; token: Hex; price: string; terms: Terms; epoch: number; expiresAt: number;
}

/** A buyer's word that what was delivered is gone, after its seller asked for that. */
export interface Deletion {
  statement: string; order: Hex; buyer: Hex; deletedAt: number;
}

interface Structs {
  Terms: Terms; Offer: Offer; Order: Order; SaleApproval: SaleApproval; Deletion: Deletion; Cohort: Cohort; CohortAcceptance: CohortAcceptance;
}

export type SaleStruct = keyof Structs;

/** The fields of each struct in their order; a type that is a struct's name is that struct. */
export const SALE_TYPES: { readonly [K in SaleStruct]: readonly (readonly [type: string, name: keyof Structs[K] & string])[] } = {
  Terms: [["string", "statement"], ["string", "purpose"], ["bytes32", "dataset"], ["bytes32", "salt"]],
  Offer: [
    ["address", "seller"], ["bytes32", "log"], ["address", "token"], ["uint256", "price"], ["uint64", "accessS"],
    ["uint64", "expiresAt"], ["uint64", "epoch"], ["Terms", "terms"],
  ],
  Order: [
    ["Offer", "offer"], ["address", "buyer"], ["bytes32", "recipient"], ["uint64", "deliverBy"], ["uint64", "grace"],
    ["bytes32", "salt"],
  ],
  SaleApproval: [
    ["bytes32", "order"], ["address", "seller"], ["address", "buyer"], ["address", "token"], ["uint256", "price"],
    ["Terms", "terms"], ["uint64", "expiresAt"],
  ],
  Cohort: [
    ["address", "buyer"], ["bytes32", "log"], ["address", "token"], ["uint256", "price"], ["uint32", "places"],
    ["bytes32", "recipient"], ["uint64", "deliverBy"], ["uint64", "grace"], ["Terms", "terms"], ["bytes32", "salt"],
  ],
  CohortAcceptance: [
    ["bytes32", "cohort"], ["uint32", "place"], ["address", "seller"], ["address", "token"], ["uint256", "price"],
    ["Terms", "terms"], ["uint64", "epoch"], ["uint64", "expiresAt"],
  ],
  Deletion: [["string", "statement"], ["bytes32", "order"], ["address", "buyer"], ["uint64", "deletedAt"]],
};

const isStruct = (type: string): type is SaleStruct => Object.hasOwn(SALE_TYPES, type);

function reached(name: SaleStruct): SaleStruct[] {
  const inner = SALE_TYPES[name].map(([type]) => type).filter(isStruct);
  return [...new Set(inner.flatMap((one) => [one, ...reached(one)]))].sort();
}

/** EIP-712's encodeType: a struct, then those that it reaches, by name. */
export function saleTypeString(name: SaleStruct): string {
  const told = (one: SaleStruct) => `${one}(${SALE_TYPES[one].map((field) => field.join(" ")).join(",")})`;
  return [name, ...reached(name)].map(told).join("");
}

function word(type: string, value: unknown): Uint8Array {
  if (isStruct(type)) return hexToBytes(saleStructHash(type, value as Structs[typeof type]));
  if (type === "string" && typeof value === "string") return hexToBytes(keccak(utf8(value)));
  if (type === "bytes32" && isHex(value, 32)) return hexToBytes(value);
  if (type === "address" && isHex(value, 20)) return concat(new Uint8Array(12), hexToBytes(value));
  if (type.startsWith("uint")) {
    const isDecimal = typeof value === "string" && /^(?:0|[1-9]\d{0,77})$/.test(value);
    const whole = isDecimal || Number.isSafeInteger(value) || typeof value === "bigint" ? BigInt(value as string | number | bigint) : -1n;
    if (whole >= 0n && whole >> BigInt(type.slice(4)) === 0n) return hexToBytes(`0x${whole.toString(16).padStart(64, "0")}`);
  }
  throw new TypeError(`no ${type}: ${String(value)}`);
}

/** EIP-712's hashStruct. Throws on a value that is not of its type. */
export function saleStructHash<K extends SaleStruct>(name: K, value: Structs[K]): Hex {
  const words = SALE_TYPES[name].map(([type, field]) => word(type, value[field]));
  return keccak(concat(hexToBytes(keccak(utf8(saleTypeString(name)))), ...words));
}

/** The market contract whose sales they are. */
export interface Market {
  chainId: number; dataMarket: Hex;
}

/** Those of the cohort market, whose domain is its own. */
type CohortStruct = "Cohort" | "CohortAcceptance" | "Deletion";

/** The cohort market whose calls they are. */
export interface CohortMarket {
  chainId: number; cohortMarket: Hex;
}

/** The id of a document of a call to many, under the domain of the cohort market. */
export function cohortId<K extends CohortStruct>(name: K, value: Structs[K], market: CohortMarket): Hex {
  return digest(saleStructHash(name, value), { chainId: market.chainId, registry: market.cohortMarket });
}

/** The id of a document, which is what is signed. */
export function saleId<K extends Exclude<SaleStruct, "Terms" | "Cohort" | "CohortAcceptance">>(name: K, value: Structs[K], { chainId, dataMarket }: Market): Hex {
  const domain: Domain = { chainId, registry: dataMarket };
  return digest(saleStructHash(name, value), domain);
}

/** The approval that an order's seller is asked for. */
export function approvalOf(order: Order, market: Market, expiresAt: number): SaleApproval {
  const { seller, token, price, terms } = order.offer;
  return { order: saleId("Order", order, market), seller, buyer: order.buyer, token, price, terms, expiresAt };
}

/** What a buyer signs. Every one of them says the same, so it is written here and taken from nobody. */
export const DELETION_STATEMENT = "I have deleted what was delivered to me for this order, and every copy and part of it that I had. "
  + "I have told everybody to whom I passed any of it on that its seller has withdrawn. (Medtrail deletion 1)";

/** The statement of this order, by its buyer. */
export function deletionOf(order: Order, market: Market, deletedAt: number): Deletion {
  return deletionOfPart(saleId("Order", order, market), order.buyer, deletedAt);
}

/** The statement of one person's part of the file of a call to many, by the acceptance or what stands for it in the manifest. */
export function deletionOfPart(part: Hex, buyer: Hex, deletedAt: number): Deletion {
  return { statement: DELETION_STATEMENT, order: part, buyer, deletedAt };
}

const ACCESS_S_MAX = 10 * 366 * 86_400;
export const GRACE_S_MAX = 90 * 86_400;
const STATEMENT_BYTES_MAX = 16_384;
const TIME_S_MAX = 253_402_300_799;

export const isZero = (hex: Hex): boolean => /^0x0*$/.test(hex);
export const isTime = (timeS: number): boolean => Number.isInteger(timeS) && timeS >= 1 && timeS <= TIME_S_MAX;

/** Whether a price is one: from 1 on, in 128 bits. */
export const isPrice = (price: string): boolean => /^[1-9]\d{0,38}$/.test(price) && BigInt(price) >> 128n === 0n;

/** What terms lack by themselves; null: nothing. `known`: whether their statement says what the fields of its document say. */
export function termsProblem({ purpose, dataset: named, salt, statement }: Terms, dataset: Dataset, known: () => boolean): string | null {
  if (!PURPOSES.has(purpose)) return "purpose";
  if (isZero(salt)) return "salt";
  if (named !== datasetId(dataset)) return "dataset";
  return utf8(statement).length <= STATEMENT_BYTES_MAX && known() ? null : "statement";
}

/** The field that makes an offer invalid by itself; null: it is valid. */
export function offerProblem(offer: Offer, dataset: Dataset): string | null {
  if (isZero(offer.seller)) return "seller";
  if (isZero(offer.log)) return "log";
  if (!isPrice(offer.price)) return "price";
  if (!Number.isInteger(offer.accessS) || offer.accessS < 0 || offer.accessS > ACCESS_S_MAX) return "accessS";
  if (!isTime(offer.expiresAt)) return "expiresAt";
  if (!Number.isSafeInteger(offer.epoch) || offer.epoch < 0) return "epoch";
  return termsProblem(offer.terms, dataset, () => offerLanguage(offer, dataset) !== null);
}

/** The same of an order. */
export function orderProblem(order: Order, dataset: Dataset): string | null {
  const found = offerProblem(order.offer, dataset);
  if (found !== null) return found;
  if (isZero(order.buyer) || order.buyer === order.offer.seller) return "buyer";
  if (isZero(order.recipient)) return "recipient";
  if (!Number.isInteger(order.grace) || order.grace < 1 || order.grace > GRACE_S_MAX) return "grace";
  if (!isTime(order.deliverBy) || !isTime(order.deliverBy + order.grace)) return "deliverBy";
  return isZero(order.salt) ? "salt" : null;
}

/** The same of an approval, against the order that it is shown with. */
export function approvalProblem(approval: SaleApproval, order: Order, market: Market, dataset: Dataset): string | null {
  const found = orderProblem(order, dataset);
  if (found !== null) return found;
  const asked = approvalOf(order, market, approval.expiresAt);
  for (const name of ["order", "seller", "buyer", "token", "price"] as const) {
    if (approval[name] !== asked[name]) return name;
  }
  if (saleStructHash("Terms", approval.terms) !== saleStructHash("Terms", asked.terms)) return "terms";
  return isTime(approval.expiresAt) && approval.expiresAt >= order.deliverBy + order.grace ? null : "expiresAt";
}
