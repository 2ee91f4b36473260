// @vitest-environment node
import { encodeAbiParameters, encodeFunctionData, hashStruct, hashTypedData, parseAbi } from "viem/utils";
import { describe, expect, it } from "vitest";
import { isHex } from "../ledger/bytes";
import { ChainError } from "../ledger/chain";
import { repositoryFile } from "../ledger/testing";
import type { Hex } from "../ledger/types";
import { KADRI, MARI } from "../permissions/testing";
import { saleStructHash } from "../permit/sale";
import { amountOf, unitsOf } from "./price";
import { buyWithPermitData, DATA_MARKET } from "./abi";
import { order } from "./testing";
import { approveData, holdingOf, permitDomainOf, permitForWallet, permitId, symbolIn, textIn, tokenAt, TOKEN_SELECTORS, type Caller, type Permit } from "./token";
import { learn, tokenKnown } from "./tokens.svelte";
import { priceWords } from "./words";

const TOKEN: Hex = `0x${"70".repeat(20)}`;
const ERC20 = parseAbi([
  "function symbol() view returns (string)", "function name() view returns (string)", "function decimals() view returns (uint8)", "function version() view returns (string)",
  "function balanceOf(address) view returns (uint256)", "function allowance(address,address) view returns (uint256)", "function approve(address,uint256) returns (bool)",
  "function nonces(address) view returns (uint256)", "function DOMAIN_SEPARATOR() view returns (bytes32)", "function PERMIT_TYPEHASH() view returns (bytes32)",
]);
const text = (value: string): Hex => encodeAbiParameters([{ type: "string" }], [value]);
const number = (value: bigint): Hex => encodeAbiParameters([{ type: "uint256" }], [value]);

/** A token that answers these, and reverts for the rest. */
function token(answers: Partial<Record<keyof typeof TOKEN_SELECTORS, Hex>>): Caller & { readonly asked: Hex[] } {
  const asked: Hex[] = [];
  return {
    asked,
    async call(to, data) {
      asked.push(data);
      const [name] = Object.entries(TOKEN_SELECTORS).find(([, selector]) => data.startsWith(selector)) ?? [];
      const answer = to === TOKEN ? answers[name as keyof typeof TOKEN_SELECTORS] : "0x";
      if (answer === undefined) throw new ChainError("execution reverted", 3);
      return answer;
    },
  };
}

const permitOf = (value = 5n): Permit => ({ owner: KADRI, spender: DATA_MARKET, value, nonce: 3n, deadline: 1_800_000_000n });
const PERMIT_TYPES = { Permit: ["address owner", "address spender", "uint256 value", "uint256 nonce", "uint256 deadline"].map((field) => ({ type: field.split(" ")[0] ?? "", name: field.split(" ")[1] ?? "" })) };
const separatorOf = (domain: object, names: readonly string[]): Hex => {
  const all: Record<string, string> = { name: "string", version: "string", chainId: "uint256", verifyingContract: "address" };
  return hashStruct({ data: domain, primaryType: "EIP712Domain", types: { EIP712Domain: names.map((name) => ({ name, type: all[name] ?? "" })) } } as never);
};

describe("calls to a token and to the market", () => {
  it("are those that viem makes", () => {
    for (const [name, selector] of Object.entries(TOKEN_SELECTORS)) {
      const functionName = { separator: "DOMAIN_SEPARATOR", permitType: "PERMIT_TYPEHASH" }[name] ?? name;
      const { inputs } = ERC20.find((one) => one.name === functionName) as { inputs: readonly { type: string }[] };
      const args = inputs.map(({ type }) => (type === "address" ? MARI : 7n));
      expect(encodeFunctionData({ abi: ERC20, functionName, args } as never).slice(0, 10), name).toBe(selector);
    }
    expect(approveData(DATA_MARKET, 12_500_000n)).toBe(encodeFunctionData({ abi: ERC20, functionName: "approve", args: [DATA_MARKET, 12_500_000n] }));
  });

  it("pay with a permit as viem would", () => {
    const { abi } = JSON.parse(new TextDecoder().decode(repositoryFile("abi/DataMarket.json"))) as { abi: never };
    const given = order();
    const offer = { ...given.offer, price: BigInt(given.offer.price), accessS: 0n, expiresAt: BigInt(given.offer.expiresAt), epoch: 0n, terms: saleStructHash("Terms", given.offer.terms) };
    const shaped = { ...given, offer, deliverBy: BigInt(given.deliverBy), grace: BigInt(given.grace) };
    const [r, s]: Hex[] = [`0x${"0a".repeat(32)}`, `0x${"0b".repeat(32)}`];
    for (const signature of [`0x${"ab".repeat(65)}`, "0x", `0x${"cd".repeat(96)}`] as Hex[]) {
      expect(buyWithPermitData(given, signature, 1_800_000_000n, `${r ?? "0x"}${s?.slice(2)}1c` as Hex))
        .toBe(encodeFunctionData({ abi, functionName: "buyWithPermit", args: [shaped, signature, 1_800_000_000n, 28, r, s] } as never));
    }
    expect(() => buyWithPermitData(given, "0x", 1n, `0x${"0a".repeat(64)}`)).toThrow(TypeError);
    expect(() => buyWithPermitData(given, "0xabc", 1n, `0x${"0a".repeat(65)}`)).toThrow(TypeError);
  });
});

describe("what a token says of itself", () => {
  it("is a text, as today or as before the rule, and nothing that misleads", () => {
    const old: Hex = `0x${Buffer.from("MKR").toString("hex").padEnd(64, "0")}`;
    expect([textIn(text("USD Coin")), textIn(text("")), textIn(old), textIn(text("x".repeat(200)))]).toEqual(["USD Coin", "", "MKR", "x".repeat(200)]);
    for (const other of ["0x", null, 5, "0x12", number(32n) + number(2n ** 200n).slice(2), number(64n) + number(1n).slice(2), number(32n) + number(33n).slice(2) + "61".repeat(32), text("x".repeat(2000))]) expect(textIn(other), String(other).slice(0, 80)).toBeNull();
    expect(["USDC", "USDC.e", "aUSD-2", "$X"].map((one) => symbolIn(text(one)))).toEqual(["USDC", "USDC.e", "aUSD-2", "$X"]);
    for (const other of ["ETH", "eth", "WETH", "Ether", "wei", "USDC (token 0x1)", "USDC\u202e", "", "US DC", "€", "x".repeat(17), " ETH"]) expect(symbolIn(text(other)), other).toBeNull();
  });

  it("is asked of the token, and what it does not say is not made up", async () => {
    expect(await tokenAt(token({ symbol: text("PLN"), decimals: number(6n) }), TOKEN)).toEqual({ address: TOKEN, symbol: "PLN", decimals: 6 });
    expect(await tokenAt(token({ decimals: number(77n) }), TOKEN)).toEqual({ address: TOKEN, symbol: null, decimals: null });
    expect(await holdingOf(token({ balanceOf: number(9n), allowance: number(4n) }), TOKEN, KADRI, DATA_MARKET)).toEqual({ balance: 9n, allowance: 4n });
    // An address without code answers nothing.
    expect(await holdingOf(token({ balanceOf: "0x", allowance: "0x" }), TOKEN, KADRI, DATA_MARKET)).toBeNull();
    await expect(holdingOf(token({}), TOKEN, KADRI, DATA_MARKET)).rejects.toThrow(ChainError);
  });

  it("is how a price is told from then on, always with the address", async () => {
    const units = "12500000";
    const address = TOKEN;
    expect(priceWords(units, address)).toBe(`12500000 smallest units of the token ${address}`);
    await learn(null, [address]);
    await learn(token({ symbol: text("PLN") }), [address]);
    expect(tokenKnown(address)).toBeNull();
    const chain = token({ symbol: text("PLN"), decimals: number(6n) });
    await learn(chain, [address, address, `0x${"0".repeat(40)}`]);
    await learn(chain, [address]);
    expect([priceWords(units, address), chain.asked.length]).toEqual([`12.5 PLN (token ${address})`, 2]);
    expect([unitsOf("12,5", 6), unitsOf("0.0000001", 6), unitsOf("3", 0), unitsOf("3.5", 0), amountOf("5", 6), amountOf("5", 0), amountOf("0", 6)])
      .toEqual(["12500000", null, "3", null, "0.000005", "5", "0"]);
  });
});

describe("a permit", () => {
  const domain = { name: "Plain", version: "1", chainId: 31338, verifyingContract: TOKEN };
  const ALL = ["name", "version", "chainId", "verifyingContract"];
  const SPEAKS = { name: text("Plain"), nonces: number(3n), separator: separatorOf(domain, ALL) };
  const found = (answers: object) => permitDomainOf(token(answers), TOKEN, KADRI, 31338);

  it("is what the wallet hashes, under the token's own domain", async () => {
    const without = { name: "Plain", chainId: 31338, verifyingContract: TOKEN };
    const cases: [object, object][] = [
      [SPEAKS, domain],
      [{ ...SPEAKS, version: text("2"), separator: separatorOf({ ...domain, version: "2" }, ALL) }, { ...domain, version: "2" }],
      [{ ...SPEAKS, separator: separatorOf(without, ["name", "chainId", "verifyingContract"]) }, without],
    ];
    for (const [answers, expected] of cases) {
      const told = await found(answers);
      if (told === null) throw new Error("it takes permits");
      const id = permitId(permitOf(), told);
      expect(id).toBe(hashTypedData({ domain: expected, types: PERMIT_TYPES, primaryType: "Permit", message: permitOf() } as never));
      const shown = JSON.parse(permitForWallet(permitOf(), told)) as Parameters<typeof hashTypedData>[0] & { domain: object };
      expect([hashTypedData(shown), shown.domain, told.nonce]).toEqual([id, expected, 3n]);
      expect(isHex(id, 32)).toBe(true);
    }
  });

  it("is asked for nowhere else", async () => {
    const dai = `0x${"ea".repeat(32)}` as Hex;
    for (const [answers, why] of [
      [{ ...SPEAKS, separator: separatorOf({ ...domain, chainId: 1 }, ALL) }, "another chain"],
      [{ ...SPEAKS, separator: separatorOf({ ...domain, verifyingContract: MARI }, ALL) }, "another contract"],
      [{ ...SPEAKS, permitType: dai }, "another document"],
      [{ ...SPEAKS, nonces: "0x" }, "no numbers"],
      [{ name: SPEAKS.name, nonces: SPEAKS.nonces }, "no domain"],
      [{ ...SPEAKS, name: "0x" }, "no name"],
    ] as const) expect(await found(answers), why).toBeNull();
  });
});
