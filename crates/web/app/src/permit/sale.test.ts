// @vitest-environment node
import { describe, expect, it } from "vitest";
import { utf8 } from "../ledger/bytes";
import { vectors } from "../ledger/testing";
import type { Hex } from "../ledger/types";
import { datasetBytes, datasetId, datasetOf, type Dataset } from "./dataset";
import { offerLanguage, renderOffer } from "./offer-words";
import {
  approvalOf, approvalProblem, cohortId, DELETION_STATEMENT, deletionOf, offerProblem, orderProblem, saleId, saleStructHash, saleTypeString, type Market, type Offer,
  type Order, type SaleStruct,
} from "./sale";

const MARKET: Market = { chainId: 31338, dataMarket: "0x5fbdb2315678afecb367f032d93f642f64180aa3" };
const hex = (byte: string, bytes = 32): Hex => `0x${byte.repeat(bytes)}`;

it.each([["sales", 7], ["deletion", 2]])("%s.json: documents hash as a wallet hashes them", (name, count) => {
  const { documents } = vectors<{ documents: { primaryType: Exclude<SaleStruct, "Cohort" | "CohortAcceptance">; message: never; typeString: string; structHash: Hex; digest: Hex }[] }>(name);
  expect(documents).toHaveLength(count);
  // viem writes every number as text.
  const numbers = (value: unknown): unknown => (typeof value !== "object" || value === null ? value
    : Object.fromEntries(Object.entries(value).map(([name, inner]) =>
      [name, ["accessS", "expiresAt", "epoch", "deliverBy", "grace", "deletedAt"].includes(name) ? BigInt(inner as string) : numbers(inner)])));
  for (const { primaryType, message, typeString, structHash, digest } of documents) {
    const value = numbers(message) as never;
    expect(saleTypeString(primaryType)).toBe(typeString);
    expect(saleStructHash(primaryType, value)).toBe(structHash);
    if (primaryType !== "Terms") expect(saleId(primaryType, value, MARKET)).toBe(digest);
  }
});

it("cohorts.json: documents of a call to many hash as a wallet hashes them", () => {
  type Vector = { primaryType: "Cohort" | "CohortAcceptance"; message: object; typeString: string; structHash: Hex; digest: Hex };
  const { documents } = vectors<{ documents: Vector[] }>("cohorts");
  expect(documents).toHaveLength(6);
  const market = { chainId: MARKET.chainId, cohortMarket: MARKET.dataMarket };
  for (const { primaryType, message, typeString, structHash, digest } of documents) {
    // viem writes every number as text.
    const value = Object.fromEntries(Object.entries(message).map(([name, inner]) =>
      [name, ["places", "place", "deliverBy", "grace", "epoch", "expiresAt"].includes(name) ? BigInt(inner as string) : inner])) as never;
    expect(saleTypeString(primaryType)).toBe(typeString);
    expect(saleStructHash(primaryType, value)).toBe(structHash);
    expect(cohortId(primaryType, value, market)).toBe(digest);
    expect(cohortId(primaryType, value, { ...market, chainId: 1 })).not.toBe(digest);
  }
});

const told = vectors<{ dataset: string; offer: Offer; en: string; et: string }[]>("offers");
const read = (text: string): Dataset => datasetOf(utf8(text)) as Dataset;

describe("offers.json", () => {
  it("are made alike in both languages, and known in them", () => {
    expect(told.length).toBeGreaterThan(20);
    for (const { dataset: text, offer, en, et } of told) {
      const dataset = read(text);
      expect([renderOffer(offer, dataset, "en"), renderOffer(offer, dataset, "et")]).toEqual([en, et]);
      const worded = (statement: string): Offer => ({ ...offer, terms: { ...offer.terms, statement } });
      expect([en, et, `${en} `].map((statement) => offerLanguage(worded(statement), dataset))).toEqual(["en", "et", null]);
      expect([en, et, `${et} `].map((statement) => offerProblem(worded(statement), dataset))).toEqual([null, null, "statement"]);
    }
  });

  it("name datasets that have one spelling", () => {
    for (const { dataset: text, offer } of told) {
      expect(new TextDecoder().decode(datasetBytes(read(text)))).toBe(text);
      expect(datasetId(read(text))).toBe(offer.terms.dataset);
      const others = [
        `${text} `, text.replace(",", ", "), text.replace("dataset-v1", "dataset-v2"), text.replace("{", '{"mood":1,'),
        text.replaceAll(".rs", ".r"), text.replaceAll("patient/", "user/"), text.replace(/"toS":\d+/, '"toS":61'),
        text.replace('"form":"as-it-is"', '"form":"de-identified"').replace(/,"layout":"\w+"/, ""),
      ];
      for (const other of others) expect(datasetOf(utf8(other)), other).toBeNull();
    }
  });
});

const { dataset: text, offer: bare, en } = told.find(({ dataset }) => dataset.includes("15074-8")) as (typeof told)[number];
const dataset = read(text);
const offer: Offer = { ...bare, terms: { ...bare.terms, statement: en } };
const order: Order = { offer, buyer: hex("03", 20), recipient: hex("09"), deliverBy: 1_767_873_600, grace: 86_400, salt: hex("62") };

it("an offer and an order are valid as they are and not with a field changed", () => {
  expect(orderProblem(order, dataset)).toBeNull();
  const changes: [Partial<Offer>, string][] = [
    [{ price: "1" }, "statement"], [{ price: "0" }, "price"], [{ price: "0x1" }, "price"], [{ price: "01" }, "price"],
    [{ price: (2n ** 128n).toString() }, "price"], [{ accessS: 1e9 }, "accessS"], [{ expiresAt: 0 }, "expiresAt"],
    [{ epoch: 2 ** 53 }, "epoch"], [{ seller: hex("00", 20) }, "seller"], [{ log: hex("00") }, "log"],
    [{ terms: { ...offer.terms, purpose: "HRESCH TREAT" } }, "purpose"], [{ terms: { ...offer.terms, salt: hex("00") } }, "salt"],
    [{ terms: { ...offer.terms, dataset: hex("01") } }, "dataset"],
  ];
  for (const [change, field] of changes) expect(offerProblem({ ...offer, ...change }, dataset), field).toBe(field);
  const orders: [Partial<Order>, string][] = [
    [{ buyer: offer.seller }, "buyer"], [{ recipient: hex("00") }, "recipient"], [{ grace: 0 }, "grace"],
    [{ grace: 90 * 86_400 + 1 }, "grace"], [{ deliverBy: 253_402_300_799 }, "deliverBy"], [{ salt: hex("00") }, "salt"],
  ];
  for (const [change, field] of orders) expect(orderProblem({ ...order, ...change }, dataset), field).toBe(field);
});

it("an approval is of one order and outlives it", () => {
  const approval = approvalOf(order, MARKET, order.deliverBy + order.grace);
  expect(approvalProblem(approval, order, MARKET, dataset)).toBeNull();
  const softer = { ...offer.terms, statement: "Nothing is sold." };
  const changes = [
    { buyer: hex("07", 20) }, { price: "1" }, { token: hex("07", 20) }, { seller: hex("07", 20) }, { terms: softer },
    { expiresAt: order.deliverBy + order.grace - 1 }, { order: hex("00") },
  ];
  for (const change of changes) {
    expect(approvalProblem({ ...approval, ...change }, order, MARKET, dataset)).toBe(Object.keys(change)[0]);
  }
  expect(approvalProblem(approval, { ...order, salt: hex("63") }, MARKET, dataset)).toBe("order");
  expect(approvalProblem(approval, order, { ...MARKET, dataMarket: hex("05", 20) }, dataset)).toBe("order");
});

it("a buyer's word is of one order, and says what the vectors say", () => {
  const { documents } = vectors<{ documents: { message: { statement: string } }[] }>("deletion");
  expect(documents[0]?.message.statement).toBe(DELETION_STATEMENT);
  const said = deletionOf(order, MARKET, 1_800_000_000);
  expect(said).toEqual({ statement: DELETION_STATEMENT, order: saleId("Order", order, MARKET), buyer: order.buyer, deletedAt: 1_800_000_000 });
  const ids = [said, deletionOf({ ...order, salt: hex("63") }, MARKET, 1_800_000_000), deletionOf(order, MARKET, 1_800_000_001)].map((one) => saleId("Deletion", one, MARKET));
  expect(new Set([...ids, saleId("Deletion", said, { ...MARKET, chainId: 1 })]).size).toBe(4);
});
