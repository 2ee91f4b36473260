// @vitest-environment node
import { describe, expect, it } from "vitest";
import { utf8 } from "../ledger/bytes";
import { vectors } from "../ledger/testing";
import type { Hex } from "../ledger/types";
import { acceptanceOf, acceptanceProblem, cohortLanguage, cohortProblem, renderCohort, settledBy } from "./cohort";
import { datasetOf, type Dataset } from "./dataset";
import type { Cohort, CohortMarket } from "./sale";

const MARKET: CohortMarket = { chainId: 31338, cohortMarket: "0x5fbdb2315678afecb367f032d93f642f64180aa3" };
const hex = (byte: string, bytes = 32): Hex => `0x${byte.repeat(bytes)}`;
const told = vectors<{ dataset: string; cohort: Cohort; en: string; et: string }[]>("calls");
const read = (text: string): Dataset => datasetOf(utf8(text)) as Dataset;

describe("calls.json", () => {
  it("are made alike in both languages, and known in them", () => {
    expect(told.length).toBeGreaterThan(15);
    for (const { dataset: text, cohort, en, et } of told) {
      const dataset = read(text);
      expect([renderCohort(cohort, dataset, "en"), renderCohort(cohort, dataset, "et")]).toEqual([en, et]);
      const worded = (statement: string): Cohort => ({ ...cohort, terms: { ...cohort.terms, statement } });
      expect([en, et, `${en} `].map((statement) => cohortLanguage(worded(statement), dataset))).toEqual(["en", "et", null]);
      expect([en, et, `${et} `].map((statement) => cohortProblem(worded(statement), dataset))).toEqual([null, null, "statement"]);
    }
  });
});

const [{ dataset: text, cohort: bare, en }] = told.filter(({ dataset }) => dataset.includes("15074-8")) as [(typeof told)[number]];
const dataset = read(text);
const cohort: Cohort = { ...bare, terms: { ...bare.terms, statement: en } };

it("a call is valid as it is and not with a field changed", () => {
  const changes: [Partial<Cohort>, string][] = [
    [{ buyer: hex("00", 20) }, "buyer"], [{ buyer: hex("05", 20) }, "statement"], [{ log: hex("00") }, "log"], [{ price: "0" }, "price"], [{ price: "1" }, "statement"],
    [{ price: (2n ** 128n).toString() }, "price"], [{ token: hex("70", 20) }, "statement"], [{ places: 0 }, "places"], [{ places: 10_001 }, "places"], [{ places: 1.5 }, "places"],
    [{ places: cohort.places + 1 }, "statement"], [{ recipient: hex("00") }, "recipient"], [{ deliverBy: 0 }, "deliverBy"], [{ deliverBy: 253_402_300_799 }, "deliverBy"],
    [{ deliverBy: cohort.deliverBy + 60 }, "statement"], [{ grace: 0 }, "grace"], [{ grace: 90 * 86_400 + 1 }, "grace"], [{ salt: hex("00") }, "salt"],
    [{ terms: { ...cohort.terms, purpose: "HRESCH TREAT" } }, "purpose"], [{ terms: { ...cohort.terms, purpose: "PUBHLTH" } }, "statement"],
    [{ terms: { ...cohort.terms, salt: hex("00") } }, "salt"], [{ terms: { ...cohort.terms, dataset: hex("01") } }, "dataset"],
  ];
  expect(cohortProblem(cohort, dataset)).toBeNull();
  for (const [change, field] of changes) expect(cohortProblem({ ...cohort, ...change }, dataset), JSON.stringify(change)).toBe(field);
});

it("an acceptance is of one call, in its words, and outlives it", () => {
  const acceptance = acceptanceOf(cohort, MARKET, { place: 0, seller: hex("07", 20), epoch: 3, expiresAt: settledBy(cohort) });
  expect(acceptanceProblem(acceptance, cohort, MARKET, dataset)).toBeNull();
  const changes = [
    { cohort: hex("01") }, { place: cohort.places }, { place: -1 }, { seller: cohort.buyer }, { seller: hex("00", 20) }, { token: hex("07", 20) }, { price: "1" },
    { terms: { ...cohort.terms, statement: "Nothing is sold." } }, { epoch: -1 }, { expiresAt: settledBy(cohort) - 1 },
  ];
  for (const change of changes) expect(acceptanceProblem({ ...acceptance, ...change }, cohort, MARKET, dataset)).toBe(Object.keys(change)[0]);
  expect(acceptanceProblem(acceptance, { ...cohort, salt: hex("63") }, MARKET, dataset)).toBe("cohort");
  expect(acceptanceProblem(acceptance, cohort, { ...MARKET, chainId: 1 }, dataset)).toBe("cohort");
});
