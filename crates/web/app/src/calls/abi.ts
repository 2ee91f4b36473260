// The calls of the cohort market's contract, and what it answers: rows of 32-byte words, all of them. Held to
// abi/CohortMarket.json by abi.test.ts.
import { isHex, utf8 } from "../ledger/bytes";
import { keccak } from "../ledger/schema";
import type { Hex } from "../ledger/types";
import { saleStructHash, type Cohort } from "../permit/sale";
import { answerWords, argumentsOf } from "../sales/abi";

/** Where the contract stands on every chain: CREATE2 commits this address to its code, and to that of the two it asks. */
export const COHORT_MARKET: Hex = "0x26c6adb3fbbe3ffe388a65266936832b1ce18234";

const COHORT = "(address,bytes32,address,uint256,uint32,bytes32,uint64,uint64,bytes32,bytes32)";

const selector = (signature: string) => keccak(utf8(signature)).slice(0, 10) as Hex;

export const CALL_SELECTORS = {
  open: selector(`open(${COHORT})`),
  openWithPermit: selector(`openWithPermit(${COHORT},uint256,uint8,bytes32,bytes32)`),
  close: selector(`close(${COHORT})`),
  standing: selector("standing(bytes32)"),
  placeOf: selector("placeOf(bytes32,address)"),
  /** These of the registry in which acceptances are revoked. */
  epochOf: selector("epochOf(address)"),
  revoke: selector("revoke(address,bytes32)"),
  standingOf: selector("standing(address,bytes32)"),
} as const;

/** `Settled(cohort, k, toVersion, paid)`: the first is indexed. */
export const SETTLED_MANY = keccak(utf8("Settled(bytes32,bytes32,bytes32,uint32)"));

/** The terms stand in it as their hash. */
const cohortWords = ({ buyer, log, token, price, places, recipient, deliverBy, grace, terms, salt }: Cohort): string => argumentsOf(
  buyer, log, token, BigInt(price), BigInt(places), recipient, BigInt(deliverBy), BigInt(grace), saleStructHash("Terms", terms), salt);

export const cohortData = (act: "open" | "close", cohort: Cohort): Hex => `${CALL_SELECTORS[act]}${cohortWords(cohort)}`;

/** `permit`: the 65 bytes that a key signed under the token's own domain. */
export function openWithPermitData(cohort: Cohort, deadline: bigint, permit: Hex): Hex {
  if (!isHex(permit, 65)) throw new TypeError("a permit is signed by a key");
  const [r, s, v]: readonly Hex[] = [`0x${permit.slice(2, 66)}`, `0x${permit.slice(66, 130)}`, `0x${permit.slice(130)}`];
  return `${CALL_SELECTORS.openWithPermit}${cohortWords(cohort)}${argumentsOf(deadline, BigInt(v as Hex), r as Hex, s as Hex)}`;
}

export const callData = (act: "standing" | "placeOf" | "epochOf" | "revoke" | "standingOf", ...words: readonly Hex[]): Hex => `${CALL_SELECTORS[act]}${argumentsOf(...words)}`;

/** What a settlement showed to everybody: the key, and the hash of the file. Null: no such event. */
export function settledManyIn(data: unknown): { readonly k: Hex; readonly file: Hex } | null {
  const [k, file] = answerWords(data, 3) ?? [];
  return k === undefined || file === undefined ? null : { k, file };
}
