// @vitest-environment node
import type { Abi, AbiFunction } from "viem";
import { concat as join, decodeErrorResult, encodeAbiParameters, encodeErrorResult, encodeFunctionData, getCreate2Address, toEventSelector } from "viem/utils";
import { describe, expect, it } from "vitest";
import { repositoryFile } from "../ledger/testing";
import type { Hex } from "../ledger/types";
import { saleStructHash, type Offer } from "../permit/sale";
import { answerWords, buyData, CONSENT_REGISTRY, DATA_MARKET, offerData, orderData, REFUSAL_OF, SELECTORS, SETTLED, settledIn, wordsData } from "./abi";
import { COHORT_MARKET } from "../calls/abi";
import { offer, order } from "./testing";

const file = (name: string) => JSON.parse(new TextDecoder().decode(repositoryFile(`abi/${name}.json`))) as { abi: Abi; bytecode: Hex };
const { abi } = file("DataMarket");
const consents = file("ConsentRegistry").abi;

const numbers = (of: Offer) => ({
  ...of, price: BigInt(of.price), accessS: BigInt(of.accessS), expiresAt: BigInt(of.expiresAt), epoch: BigInt(of.epoch), terms: saleStructHash("Terms", of.terms),
});
const given = order();
const shaped = { ...given, offer: numbers(given.offer), deliverBy: BigInt(given.deliverBy), grace: BigInt(given.grace) };
const encode = (functionName: string, ...args: unknown[]) => encodeFunctionData({ abi, functionName, args });

describe("the calls of the market", () => {
  it("are those that viem makes of abi/DataMarket.json", () => {
    for (const signature of [`0x${"ab".repeat(65)}`, "0x", `0x${"cd".repeat(96)}`] as Hex[]) expect(buyData(given, signature)).toBe(encode("buy", shaped, signature));
    for (const act of ["approve", "decline", "refund", "revoke"] as const) expect(orderData(act, given), act).toBe(encode(act, shaped));
    expect(offerData(offer())).toBe(encode("isOpen", numbers(offer())));
    const [seller, id, zero]: Hex[] = [given.offer.seller, `0x${"77".repeat(32)}`, `0x${"0".repeat(40)}`];
    if (!seller || !id || !zero) throw new Error("three");
    expect(wordsData("cancelOffer", seller, id)).toBe(encode("cancelOffer", seller, id));
    expect(wordsData("withdraw", seller, zero, seller)).toBe(encode("withdraw", seller, zero, seller));
    expect(wordsData("standing", id)).toBe(encode("standing", id));
    expect(wordsData("epochOf", seller)).toBe(encode("epochOf", seller));
    expect(wordsData("creditOf", seller, zero)).toBe(encode("creditOf", seller, zero));
    for (const functionName of ["controllerOf", "freezeOf"] as const) {
      expect(wordsData(functionName, seller)).toBe(encodeFunctionData({ abi: consents, functionName, args: [seller] }));
    }
  });

  it("say what no call says: a number too large, a signature that is no bytes", () => {
    expect(() => orderData("refund", { ...given, grace: -1 })).toThrow(RangeError);
    expect(() => orderData("refund", { ...given, salt: "0x12" })).toThrow(TypeError);
    expect(() => buyData(given, "0xabc")).toThrow(TypeError);
  });

  it("are all there are of their names", () => {
    const named = new Set([...abi, ...consents].flatMap((one) => (one.type === "function" ? [(one as AbiFunction).name] : [])));
    expect(Object.keys(SELECTORS).filter((name) => !named.has(name))).toEqual([]);
  });
});

describe("what the market says", () => {
  it("refuses under the names of its errors", () => {
    const dummies: Record<string, unknown> = { address: `0x${"11".repeat(20)}`, bytes32: `0x${"22".repeat(32)}`, uint8: 1, uint64: 2n, uint256: 3n };
    const many = file("CohortMarket").abi;
    const isNew = (one: Abi[number]) => one.type === "error" && !abi.some((other) => other.type === "error" && other.name === one.name);
    const all = [...abi, ...many.filter(isNew)];
    const errors = all.filter((one) => one.type === "error");
    const told = errors.flatMap(({ name, inputs }) => {
      const known = inputs.every(({ type }) => type in dummies);
      const data = known ? encodeErrorResult({ abi: all, errorName: name, args: inputs.map(({ type }) => dummies[type]) }) : "0x";
      return REFUSAL_OF.has(data.slice(0, 10)) ? [[REFUSAL_OF.get(data.slice(0, 10)), decodeErrorResult({ abi: all, data }).errorName]] : [];
    });
    expect(told).toHaveLength(REFUSAL_OF.size);
    for (const [ours, theirs] of told) expect(ours).toBe(theirs);
  });

  it("settles with an event and a call that show key and file", () => {
    const event = abi.find((one) => one.type === "event" && one.name === "Settled");
    expect(event?.type === "event" && toEventSelector(event)).toBe(SETTLED);
    const [k, toVersion]: Hex[] = [`0x${"4b".repeat(32)}`, `0x${"5f".repeat(32)}`];
    const [zero, account]: Hex[] = [`0x${"0".repeat(64)}`, `0x${"09".repeat(20)}`];
    const input = encode("settle", shaped, { k, eventId: zero, timeMs: 5n, actor: account, toVersion, details: zero, place: zero },
      { number: 1n, size: 2n, root: zero, timeS: 3n }, 7n, [zero, zero], { expiresAt: 9n, signature: "0xabcd" });
    expect(settledIn(input.toUpperCase().replace("0X", "0x"))).toEqual({ k, file: toVersion });
    for (const other of [encode("refund", shaped), input.slice(0, 600), `${input.slice(0, 10)}zz`, "0x", null, 5]) expect(settledIn(other)).toBeNull();
  });

  it("is so many words, and no other", () => {
    expect(answerWords(`0x${"0".repeat(63)}1${"0".repeat(62)}ab`, 2)).toEqual([`0x${"0".repeat(63)}1`, `0x${"0".repeat(62)}ab`]);
    for (const other of ["0x", `0x${"0".repeat(64)}`, `0x${"g".repeat(128)}`, null, undefined, 7]) expect(answerWords(other, 2)).toBeNull();
  });
});

it("knows the contracts by the addresses that their code has", () => {
  const salt = `0x${Buffer.from("medtrail registry").toString("hex").padEnd(64, "0")}` as const;
  const at = (bytecode: Hex) => getCreate2Address({ from: "0x4e59b44847b379578588920cA78FbF26c0B4956C", salt, bytecode }).toLowerCase() as Hex;
  const [anchors, consent] = [at(file("AnchorRegistry").bytecode), at(file("ConsentRegistry").bytecode)];
  expect(consent).toBe(CONSENT_REGISTRY);
  const made = encodeAbiParameters([{ type: "address" }, { type: "address" }], [anchors, consent]);
  expect(at(join([file("DataMarket").bytecode, made]))).toBe(DATA_MARKET);
  expect(at(join([file("CohortMarket").bytecode, made]))).toBe(COHORT_MARKET);
});
