// @vitest-environment node
import type { Abi, AbiFunction } from "viem";
import { encodeAbiParameters, encodeFunctionData, hashTypedData, toEventSelector } from "viem/utils";
import { describe, expect, it } from "vitest";
import { repositoryFile, vectors } from "../ledger/testing";
import type { Hex } from "../ledger/types";
import { MARI, OTHER } from "../permissions/testing";
import { acceptanceOf, settledBy } from "../permit/cohort";
import { cohortId, saleStructHash, type CohortAcceptance } from "../permit/sale";
import { acceptanceForWallet } from "../sales/typed-data";
import { CALL_SELECTORS, callData, cohortData, openWithPermitData, SETTLED_MANY, settledManyIn } from "./abi";
import { CALLING, cohort } from "./testing";

const abiOf = (name: string) => (JSON.parse(new TextDecoder().decode(repositoryFile(`abi/${name}.json`))) as { abi: Abi }).abi;
const [abi, consents] = [abiOf("CohortMarket"), abiOf("ConsentRegistry")];
const given = cohort();
const shaped = {
  ...given, price: BigInt(given.price), deliverBy: BigInt(given.deliverBy), grace: BigInt(given.grace), terms: saleStructHash("Terms", given.terms),
};
const encode = (functionName: string, ...args: unknown[]) => encodeFunctionData({ abi, functionName, args });
const ID: Hex = `0x${"77".repeat(32)}`;

describe("the calls of the cohort market", () => {
  it("are those that viem makes of abi/CohortMarket.json", () => {
    for (const act of ["open", "close"] as const) expect(cohortData(act, given), act).toBe(encode(act, shaped));
    const [r, s]: Hex[] = [`0x${"ab".repeat(32)}`, `0x${"cd".repeat(32)}`];
    expect(openWithPermitData(given, 5n, `${r}${s?.slice(2)}1b` as Hex)).toBe(encode("openWithPermit", shaped, 5n, 27, r, s));
    expect(() => openWithPermitData(given, 5n, "0x12")).toThrow(TypeError);
    expect(callData("standing", ID)).toBe(encode("standing", ID));
    expect(callData("placeOf", ID, MARI)).toBe(encode("placeOf", ID, MARI));
    expect(callData("epochOf", MARI)).toBe(encodeFunctionData({ abi: consents, functionName: "epochOf", args: [MARI] }));
    expect(callData("standingOf", OTHER, ID)).toBe(encodeFunctionData({ abi: consents, functionName: "standing", args: [OTHER, ID] }));
    expect(callData("revoke", OTHER, ID)).toBe(encodeFunctionData({ abi: consents, functionName: "revoke", args: [OTHER, ID] }));
  });

  it("have the names that the contracts have, where two do not share one", () => {
    const named = new Set([...abi, ...consents].flatMap((one) => (one.type === "function" ? [(one as AbiFunction).name] : [])));
    expect(Object.keys(CALL_SELECTORS).filter((name) => !named.has(name))).toEqual(["standingOf"]);
  });

  it("settle with an event that shows key and file", () => {
    const event = abi.find((one) => one.type === "event" && one.name === "Settled");
    expect(event?.type === "event" && toEventSelector(event)).toBe(SETTLED_MANY);
    const [k, file]: Hex[] = [`0x${"4b".repeat(32)}`, `0x${"5f".repeat(32)}`];
    const data = encodeAbiParameters([{ type: "bytes32" }, { type: "bytes32" }, { type: "uint32" }], [k as Hex, file as Hex, 16]);
    expect(settledManyIn(data)).toEqual({ k, file });
    for (const other of ["0x", k, `${data}00`, null]) expect(settledManyIn(other)).toBeNull();
  });
});

describe("an acceptance in the wallet", () => {
  it("is the document of the vectors, under the cohort market's own domain", () => {
    type Vector = { primaryType: string; message: Record<string, string>; digest: Hex };
    const { documents, domain } = vectors<{ documents: Vector[]; domain: { chainId: number; verifyingContract: Hex } }>("cohorts");
    const acceptances = documents.filter(({ primaryType }) => primaryType === "CohortAcceptance");
    expect(acceptances).toHaveLength(4);
    for (const { message, digest } of acceptances) {
      const acceptance = { ...message, ...Object.fromEntries(["place", "epoch", "expiresAt"].map((name) => [name, Number(message[name])])) } as unknown as CohortAcceptance;
      const typed = JSON.parse(acceptanceForWallet(acceptance, { chainId: domain.chainId, cohortMarket: domain.verifyingContract }));
      expect(hashTypedData(typed)).toBe(digest);
    }
  });

  it("has the id that the page counts, and says all that a person reads", () => {
    const acceptance = acceptanceOf(given, CALLING, { place: 3, seller: MARI, epoch: 1, expiresAt: settledBy(given) });
    const typed = JSON.parse(acceptanceForWallet(acceptance, CALLING));
    expect(hashTypedData(typed)).toBe(cohortId("CohortAcceptance", acceptance, CALLING));
    expect(typed.message).toMatchObject({ place: "3", seller: MARI, price: given.price, terms: { statement: given.terms.statement } });
  });
});
