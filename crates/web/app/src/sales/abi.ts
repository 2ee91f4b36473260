// The calls of the market contract, and what it answers. Every one of its arguments is a row of 32-byte words, but for the
// signature of the offer in `buy` and `buyWithPermit`: no general encoder is needed. Held to abi/DataMarket.json by abi.test.ts.
import { isHex, utf8 } from "../ledger/bytes";
import { keccak } from "../ledger/schema";
import type { Hex } from "../ledger/types";
import { saleStructHash, type Offer, type Order } from "../permit/sale";

/** Where the contract stands on every chain: CREATE2 commits this address to its code, and to that of the two it asks. */
export const DATA_MARKET: Hex = "0x5c0341486f74e9d660b368827c0a0309e8800670";
/** Who acts for whom, likewise. */
export const CONSENT_REGISTRY: Hex = "0x5d10e45be3b392b490d061888c2deb2370e50a04";

const OFFER = "(address,bytes32,address,uint256,uint64,uint64,uint64,bytes32)";
const ORDER = `(${OFFER},address,bytes32,uint64,uint64,bytes32)`;
const ANCHOR = "(uint64,uint64,bytes32,uint64)";

const selector = (signature: string) => keccak(utf8(signature)).slice(0, 10) as Hex;

export const SELECTORS = {
  buy: selector(`buy(${ORDER},bytes)`),
  buyWithPermit: selector(`buyWithPermit(${ORDER},bytes,uint256,uint8,bytes32,bytes32)`),
  approve: selector(`approve(${ORDER})`),
  decline: selector(`decline(${ORDER})`),
  refund: selector(`refund(${ORDER})`),
  revoke: selector(`revoke(${ORDER})`),
  settle: selector(`settle(${ORDER},(bytes32,bytes32,uint64,address,bytes32,bytes32,bytes32),${ANCHOR},uint64,bytes32[],(uint64,bytes))`),
  cancelOffer: selector("cancelOffer(address,bytes32)"),
  withdraw: selector("withdraw(address,address,address)"),
  standing: selector("standing(bytes32)"),
  isOpen: selector(`isOpen(${OFFER})`),
  epochOf: selector("epochOf(address)"),
  creditOf: selector("creditOf(address,address)"),
  controllerOf: selector("controllerOf(address)"),
  freezeOf: selector("freezeOf(address)"),
} as const;

/** `Settled(order, seller, buyer, k)`: the first three are indexed. */
export const SETTLED = keccak(utf8("Settled(bytes32,address,address,bytes32)"));

/** What the contract says where it refuses. */
const REFUSALS = [
  "ZeroAddress()", "NotBuyer(address,address)", "NotController(address,address)", "InvalidSignature(address,bytes32)",
  "OrderNotNew(bytes32)", "OrderNotPaid(bytes32,uint8)", "OrderNotSettled(bytes32,uint8)", "AlreadyApproved(bytes32)",
  "OfferExpired(uint64)", "OfferCancelledBefore(address,bytes32)", "WindowOutOfRange(uint64,uint64)",
  "WrongValue(uint256,uint256)", "WrongAmountArrived(uint256,uint256)", "SellerFrozen(address,uint64)",
  "TooLate(bytes32,uint256)", "RefundableLater(bytes32,uint256)", "NothingToWithdraw(address,address)",
  "PaymentFailed(address,uint256)", "TooLittleGas(uint256)", "SafeERC20FailedOperation(address)",
  // Of calls to many.
  "CohortNotNew(bytes32)", "CohortNotOpen(bytes32)", "NoPlaces()", "ClosableLater(bytes32,uint256)",
] as const;

export type Refusal = (typeof REFUSALS)[number] extends infer T ? (T extends `${infer Name}(${string}` ? Name : never) : never;

export const REFUSAL_OF: ReadonlyMap<string, Refusal> =
  new Map(REFUSALS.map((one) => [selector(one), one.slice(0, one.indexOf("(")) as Refusal]));

const number = (value: bigint | number | string): string => {
  const whole = BigInt(value);
  if (whole < 0n || whole >> 256n !== 0n) throw new RangeError(`no uint256: ${String(value)}`);
  return whole.toString(16).padStart(64, "0");
};

function word(hex: Hex): string {
  if (!isHex(hex, 20) && !isHex(hex, 32)) throw new TypeError(`neither an address nor a hash: ${String(hex)}`);
  return hex.slice(2).padStart(64, "0");
}

/** The terms stand in it as their hash. */
function offerWords({ seller, log, token, price, accessS, expiresAt, epoch, terms }: Offer): string {
  return [
    word(seller), word(log), word(token), number(price), number(accessS), number(expiresAt), number(epoch),
    word(saleStructHash("Terms", terms)),
  ].join("");
}

const ORDER_WORDS = 13;

function orderWords({ offer, buyer, recipient, deliverBy, grace, salt }: Order): string {
  return offerWords(offer) + word(buyer) + word(recipient) + number(deliverBy) + number(grace) + word(salt);
}

/** Addresses, hashes and numbers as the words of a call. */
export const argumentsOf = (...words: readonly (Hex | bigint)[]): string => words.map((one) => (typeof one === "bigint" ? number(one) : word(one))).join("");

/** An order, the offer's signature, and the words that stand behind its place. */
function buying(order: Order, signature: Hex, more: readonly string[]): string {
  const bytes = signature.slice(2);
  if (!/^(?:[0-9a-f]{2})*$/.test(bytes)) throw new TypeError("a signature is bytes");
  const padded = bytes.padEnd(Math.ceil(bytes.length / 64) * 64, "0");
  return `${orderWords(order)}${number((ORDER_WORDS + 1 + more.length) * 32)}${more.join("")}${number(bytes.length / 2)}${padded}`;
}

export const buyData = (order: Order, signature: Hex): Hex => `${SELECTORS.buy}${buying(order, signature, [])}`;

/** `permit`: the 65 bytes that a key signed under the token's own domain. */
export function buyWithPermitData(order: Order, signature: Hex, deadline: bigint, permit: Hex): Hex {
  if (!isHex(permit, 65)) throw new TypeError("a permit is signed by a key");
  const [r, s, v]: readonly Hex[] = [`0x${permit.slice(2, 66)}`, `0x${permit.slice(66, 130)}`, `0x${permit.slice(130)}`];
  return `${SELECTORS.buyWithPermit}${buying(order, signature, [number(deadline), number(v as Hex), word(r as Hex), word(s as Hex)])}`;
}

export function orderData(act: "approve" | "decline" | "refund" | "revoke", order: Order): Hex {
  return `${SELECTORS[act]}${orderWords(order)}`;
}

export const offerData = (offer: Offer): Hex => `${SELECTORS.isOpen}${offerWords(offer)}`;

export function wordsData(act: "cancelOffer" | "withdraw" | "standing" | "epochOf" | "creditOf" | "controllerOf" | "freezeOf", ...words: readonly Hex[]): Hex {
  return `${SELECTORS[act]}${words.map(word).join("")}`;
}

/** The words of an answer: exactly so many. Null: it is none. */
export function answerWords(value: unknown, count: number): readonly Hex[] | null {
  const lower = typeof value === "string" ? value.toLowerCase() : value;
  if (!isHex(lower, 32 * count)) return null;
  return Array.from({ length: count }, (_, place): Hex => `0x${lower.slice(2 + 64 * place, 66 + 64 * place)}`);
}

/** What a settlement showed of the delivery: the key, and the hash of the file. Null: no call of `settle`. */
export function settledIn(input: unknown): { readonly k: Hex; readonly file: Hex } | null {
  const data = typeof input === "string" ? input.toLowerCase() : "";
  if (!data.startsWith(SELECTORS.settle) || !/^0x[0-9a-f]*$/.test(data)) return null;
  const at = (place: number): Hex => `0x${data.slice(10 + 64 * place, 74 + 64 * place)}`;
  const [k, file] = [at(ORDER_WORDS), at(ORDER_WORDS + 4)];
  return isHex(k, 32) && isHex(file, 32) ? { k, file } : null;
}

