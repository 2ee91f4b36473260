// A token that a price is in. What it is called and how it counts comes from its own contract, asked through the person's
// wallet, and never from the service: that could call a worthless token by a good name, or move the point.
import { concat, hexToBytes, isHex, textOf, utf8 } from "../ledger/bytes";
import { keccak, structHashOf, typeStringOf, type Field } from "../ledger/schema";
import type { Hex } from "../ledger/types";
import { answerWords, argumentsOf } from "./abi";
import { DECIMALS_MAX } from "./price";

/** Whoever asks a contract on the chain that the market is on. */
export interface Caller {
  call(to: Hex, data: Hex): Promise<unknown>;
}

export interface Token {
  readonly address: Hex;
  /** What its contract calls it, if that can be shown without misleading anybody. Whoever made it chose that. */
  readonly symbol: string | null;
  /** Null: it does not say how many, and its smallest units are told. */
  readonly decimals: number | null;
}

/** What somebody has of a token, and how much of it a spender may take. */
export interface Holding {
  readonly balance: bigint;
  readonly allowance: bigint;
}

const selector = (signature: string) => keccak(utf8(signature)).slice(0, 10) as Hex;

export const TOKEN_SELECTORS = {
  symbol: selector("symbol()"),
  name: selector("name()"),
  decimals: selector("decimals()"),
  version: selector("version()"),
  balanceOf: selector("balanceOf(address)"),
  allowance: selector("allowance(address,address)"),
  approve: selector("approve(address,uint256)"),
  nonces: selector("nonces(address)"),
  separator: selector("DOMAIN_SEPARATOR()"),
  permitType: selector("PERMIT_TYPEHASH()"),
} as const;

const callOf = (name: keyof typeof TOKEN_SELECTORS, ...words: readonly (Hex | bigint)[]): Hex => `${TOKEN_SELECTORS[name]}${argumentsOf(...words)}`;

export const approveData = (spender: Hex, units: bigint): Hex => callOf("approve", spender, units);

/** A text that a contract answered: as `string`, or as the `bytes32` of tokens that are older than the rule. */
export function textIn(answer: unknown): string | null {
  const hex = typeof answer === "string" ? answer.toLowerCase() : "";
  if (isHex(hex, 32)) return textOf(hexToBytes(hex.replace(/(?:00)+$/, "") as Hex));
  if (!/^0x(?:[0-9a-f]{64}){2,12}$/.test(hex) || BigInt(`0x${hex.slice(2, 66)}`) !== 32n) return null;
  const length = BigInt(`0x${hex.slice(66, 130)}`);
  if (length > BigInt((hex.length - 130) / 2)) return null;
  return textOf(hexToBytes(`0x${hex.slice(130, 130 + 2 * Number(length))}`));
}

/** A symbol that may stand beside an amount: no sign that turns the line around, and not the name of the chain's own coin. */
export function symbolIn(answer: unknown): string | null {
  const found = textIn(answer);
  return found !== null && /^[A-Za-z0-9$][A-Za-z0-9$.+_-]{0,15}$/.test(found) && !/^w?(?:ETH(?:ER(?:EUM)?)?|wei)$/i.test(found) ? found : null;
}

/** Of what a token need not have, or the chain does not say just now. */
const asked = (chain: Caller, token: Hex, data: Hex): Promise<unknown> => chain.call(token, data).catch(() => null);

const numberIn = (answer: unknown): bigint | null => {
  const [word] = answerWords(answer, 1) ?? [];
  return word === undefined ? null : BigInt(word);
};

/** Null: what stands at this address, if anything, answers like no token. */
export async function holdingOf(chain: Caller, token: Hex, owner: Hex, spender: Hex): Promise<Holding | null> {
  const [balance, allowance] = (await Promise.all([
    chain.call(token, callOf("balanceOf", owner)), chain.call(token, callOf("allowance", owner, spender)),
  ])).map(numberIn);
  return balance === null || balance === undefined || allowance === null || allowance === undefined ? null : { balance, allowance };
}

export async function tokenAt(chain: Caller, token: Hex): Promise<Token> {
  const [symbol, decimals] = await Promise.all([asked(chain, token, callOf("symbol")), asked(chain, token, callOf("decimals"))]);
  const count = numberIn(decimals);
  return { address: token, symbol: symbolIn(symbol), decimals: count !== null && count <= BigInt(DECIMALS_MAX) ? Number(count) : null };
}

const PERMIT: readonly Field[] = [["address", "owner"], ["address", "spender"], ["uint256", "value"], ["uint256", "nonce"], ["uint256", "deadline"]];
const PERMIT_TYPE = keccak(utf8(typeStringOf("Permit", PERMIT)));

const DOMAINS: readonly (readonly Field[])[] = [
  [["string", "name"], ["string", "version"], ["uint256", "chainId"], ["address", "verifyingContract"]],
  [["string", "name"], ["uint256", "chainId"], ["address", "verifyingContract"]],
];

export interface Permit {
  readonly owner: Hex;
  readonly spender: Hex;
  readonly value: bigint;
  readonly nonce: bigint;
  /** Seconds. */
  readonly deadline: bigint;
}

/** Under which a token takes permits, and its owner's next number. */
export interface PermitDomain {
  readonly fields: readonly Field[];
  readonly values: Readonly<Record<string, string | number>>;
  readonly separator: Hex;
  readonly nonce: bigint;
}

/**
 * Whether a token takes permits by signature (ERC-2612). Null: it does not, or under a domain that this page cannot make
 * itself; then its owner allows by transaction.
 */
export async function permitDomainOf(chain: Caller, token: Hex, owner: Hex, chainId: number): Promise<PermitDomain | null> {
  const [separator, nonces, named, versioned, type] = await Promise.all([
    asked(chain, token, callOf("separator")), asked(chain, token, callOf("nonces", owner)), asked(chain, token, callOf("name")),
    asked(chain, token, callOf("version")), asked(chain, token, callOf("permitType")),
  ]);
  const [told] = answerWords(separator, 1) ?? [];
  const [nonce, name] = [numberIn(nonces), textIn(named)];
  // Some tokens call another document a permit.
  const isOther = (answerWords(type, 1)?.[0] ?? PERMIT_TYPE) !== PERMIT_TYPE;
  if (told === undefined || nonce === null || name === null || isOther) return null;
  const values = { name, version: textIn(versioned) ?? "1", chainId, verifyingContract: token };
  const fields = DOMAINS.find((one) => structHashOf("EIP712Domain", one, values) === told);
  return fields === undefined ? null : { fields, values, separator: told, nonce };
}

/** What is signed. */
export function permitId(permit: Permit, { separator }: PermitDomain): Hex {
  return keccak(concat(Uint8Array.of(0x19, 0x01), hexToBytes(separator), hexToBytes(structHashOf("Permit", PERMIT, permit))));
}

export function permitForWallet(permit: Permit, { fields, values }: PermitDomain): string {
  const typed = (of: readonly Field[]) => of.map(([type, name]) => ({ name, type }));
  return JSON.stringify({
    domain: Object.fromEntries(fields.map(([, name]) => [name, values[name]])),
    types: { EIP712Domain: typed(fields), Permit: typed(PERMIT) },
    primaryType: "Permit",
    message: { ...permit, value: permit.value.toString(), nonce: permit.nonce.toString(), deadline: permit.deadline.toString() },
  });
}
