// @vitest-environment node
import { describe, expect, it } from "vitest";
import { factsOf, sentence, type Facts } from ".";
import { clean } from "./clean";
import { reading } from "./facts";
import { CATEGORIES, PURPOSES, ROLES, TOPICS } from "./tables";
import { textOf, utf8 } from "../ledger/bytes";
import { documentHash } from "../ledger/entry";
import { repositoryFile, vectors } from "../ledger/testing";
import type { Evidence, Report } from "../ledger/types";

interface Told {
  name: string;
  report: Report;
  details: string | null;
  evidence: "signed" | "relayed";
  organisationName: string | null;
  facts: Facts;
  sentence: string;
}

describe("lines.json", () => {
  const lines = vectors<Told[]>("lines");

  it("has lines", () => expect(lines.length).toBeGreaterThan(20));

  const evidenceOf = ({ evidence }: Told): Evidence => (evidence === "relayed" ? evidence : { signed: "0x" });

  it("has both whose word may be claimed falsely", () => {
    const claims = (details: string | null) => details?.includes("medtrail/relayed-v1") ?? false;
    expect(lines.some(({ evidence, details }) => evidence === "signed" && claims(details))).toBe(true);
    expect(lines.some(({ evidence, details }) => evidence === "relayed" && !claims(details))).toBe(true);
  });

  it.each(lines)("$name", (line) => {
    const { report, details, evidence, organisationName, ...expected } = line;
    const bytes = details === null ? null : utf8(details);
    const facts = reading(report, bytes, evidence === "relayed", organisationName);
    expect({ name: expected.name, facts, sentence: sentence(facts) }).toEqual(expected);
    if (details === null || documentHash({ text: details }) !== report.details) return;
    expect(factsOf({ report, details: { text: details }, evidence: evidenceOf(line) }, organisationName)).toEqual(facts);
  });

  it("tells nothing of a document that is not the reported one", () => {
    const told = lines.find(({ details, facts }) => details !== null && facts.who?.name);
    if (!told?.details) throw new Error("no line with a name");
    const { report, details } = told;
    const evidence = evidenceOf(told);
    const facts = factsOf({ report, details: { text: `${details} ` }, evidence }, "A Clinic");
    expect(documentHash({ text: details })).toBe(report.details);
    expect(facts).toEqual(factsOf({ report, details: null, evidence }, "A Clinic"));
    expect(facts.who).toBeNull();
  });
});

describe("the tables", () => {
  const rust = textOf(repositoryFile("crates/fhir/src/words.rs")) as string;
  const table = (name: string) => rust.match(new RegExp(`const ${name}: [^=]*= \\[([^;]*?)\\n\\];`))?.[1] ?? "";
  const strings = (source: string) => [...source.matchAll(/"([^"]*)"/g)].map(([, text]) => text);

  it.each([["TOPICS", TOPICS], ["PURPOSES", PURPOSES], ["ROLES", ROLES]])("of %s are the server's", (name, own) => {
    expect(strings(table(name))).toEqual([...own].flat());
  });

  it("of categories are the server's", () => {
    expect(strings(table("CATEGORIES"))).toEqual(CATEGORIES.flatMap(([code, words, types]) => [...types, code, words]));
  });
});

it("lets no foreign text break a line", () => {
  const pairs = [
    ["  Dr\r\n\tLiis\u00a0 Kask ", "Dr Liis Kask"], ["\u202eksaK\u202c \u200bsiiL\ufeff", "ksaK siiL"],
    ["\u001b[31m**red**\0", "[31mred"], ["a\u2028b\u0085c\u00add", "a b cd"],
    ["x".repeat(10_000), `${"x".repeat(20)}…`], ["ab ".repeat(9), "ab ab ab ab ab ab ab…"],
    [`${"x".repeat(20)} `, "x".repeat(20)], [" \u200b ", ""], ["\u{e0041}a\u{1f600}", "a\u{1f600}"],
  ] as const;
  for (const [foreign, shown] of pairs) expect(clean(foreign, 20)).toBe(shown);
});
