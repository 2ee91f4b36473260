// @vitest-environment node
import { expect, it } from "vitest";
import { repositoryFile } from "../ledger/testing";
import { elementsOf, HARMLESS_TYPES, type Holds } from "./harmless";

/** What a rule of the tables is to a reader. */
const RULES: Readonly<Record<string, Holds>> = {
  Code: "code", Concept: "concept", Coding: "concept", Quantity: "quantity", RANGE: "quantity", RATIO: "quantity", Date: "date", Period: "date",
  Birth: "year", Years: "year", Boolean: "yes", Reference: "link", DOSAGE: "parts", COMPONENT: "parts", REACTION: "parts", REFERENCE_RANGE: "parts",
};

it("tells of each type the very elements that the service lets pass", () => {
  const source = new TextDecoder().decode(repositoryFile("crates/market/src/harmless/tables.rs"));
  const tables = source.slice(source.indexOf("TABLES: ["), source.indexOf("/// Names of elements that are commonly dropped"));
  const told = tables.split(/\n {4}\(\n {8}"/).slice(1).map((table) => {
    const fields = [...table.matchAll(/(?:one|many|modifier|always)\(\s*"(\w+)",\s*(\w+)/g)].filter(([, , rule]) => rule !== "Never");
    return [table.slice(0, table.indexOf('"')), fields.map(([, name, rule]) => `${name}:${RULES[rule ?? ""]}`)];
  });
  expect(told).toHaveLength(10);
  expect([...HARMLESS_TYPES].map((type) => [type, elementsOf(type).map(({ name, holds }) => `${name}:${holds}`)])).toEqual(told);
  expect(elementsOf("DocumentReference")).toEqual([]);
});
