// @vitest-environment node
import { describe, expect, it } from "vitest";
import { utf8 } from "../ledger/bytes";
import { vectors } from "../ledger/testing";
import { documentOf, problemOf, signedOf, type Document, type Registries, type Signed } from "./documents";
import { clock, CONFIRM_MS } from "./clock";
import { permits } from "./permits";
import { PURPOSES, parsePurposes, purposeCovers } from "./purposes";
import { parseScope, parseScopes, ScopeError, scopeCovers, scopeText, type ScopeRule } from "./scopes";
import { languageOf, render } from "./statements";
import { REFUSALS, type Act, type Verdict, type World } from "./world";

interface Cases {
  registries: Registries;
  documents: Signed[];
  cases: (Omit<World, "registries" | "documents"> & {
    name: string; act: Act; documents: { document: number; receivedMs: number | null }[]; expected: Verdict;
    confirmUntilMs?: number;
  })[];
}

describe("permits.json", () => {
  const { registries, documents, cases } = vectors<Cases>("permits");
  const worldOf = ({ documents: held, chain, pseudonyms, uses, ends, market, sales }: Cases["cases"][number]): World => ({
    registries, chain, pseudonyms, uses, ...(ends === undefined ? {} : { ends }),
    ...(market === undefined ? {} : { market }), ...(sales === undefined ? {} : { sales }),
    documents: held.map(({ document, receivedMs }) => ({ signed: documents[document] as Signed, receivedMs })),
  });

  it("has a case for every reason", () => {
    const reasons = new Set(cases.map(({ expected }) => expected.reason));
    expect([...reasons].sort()).toEqual(
      [...REFUSALS, "grant", "approval", "confirmed", "own", "representative", "sale", "noKey", "emergency"].sort(),
    );
    expect(cases.length).toBeGreaterThan(220);
  });

  it.each(cases)("$name", async (one) => {
    expect(await permits(one.act, worldOf(one))).toEqual(one.expected);
    const asked = await clock(one.act, worldOf(one));
    expect(asked?.untilMs).toBe(one.confirmUntilMs);
    expect((asked?.untilMs ?? CONFIRM_MS) - (asked?.sinceMs ?? 0)).toBe(CONFIRM_MS);
  });

  it("answers the same in whatever order it is told", async () => {
    for (const one of cases) {
      const { chain, ...world } = worldOf(one);
      const reversed = Object.fromEntries(Object.entries(chain).map(([name, list]) => [name, [...list].reverse()]));
      const held = [...world.documents, ...world.documents].reverse();
      const other = { ...world, documents: held, chain: reversed as unknown as World["chain"] };
      expect(await permits(one.act, other), one.name).toEqual(one.expected);
    }
  });

  it("reads its documents as the log records them", () => {
    for (const signed of documents) {
      const text = JSON.stringify({ version: "medtrail/permission-v1", ...signed });
      expect(signedOf(utf8(text))).toEqual(signed);
      expect(signedOf(utf8(text.replace("permission-v1", "permission-v2")))).toBeNull();
      expect(signedOf(utf8(text.replace("{", '{"mood":1,')))).toBeNull();
      expect(signedOf(utf8(text + " ".repeat(65_536)))).toBeNull();
    }
    expect(signedOf(utf8("null"))).toBeNull();
    expect(signedOf(Uint8Array.of(0xff))).toBeNull();
  });
});

describe("statements.json", () => {
  const told = vectors<{ document: Document; en: string; et: string }[]>("statements");

  it("are made alike in both languages, and known in them", () => {
    expect(told.length).toBeGreaterThan(240);
    for (const { document, en, et } of told) {
      expect([render(document, "en"), render(document, "et")]).toEqual([en, et]);
      const [kind, fields] = Object.entries(document)[0] as [string, object];
      const worded = (statement: string) => ({ [kind]: { ...fields, statement } }) as unknown as Document;
      expect([en, et, `${en} `].map((text) => languageOf(worded(text)))).toEqual(["en", "et", null]);
      expect([en, et, `${et} `, "x".repeat(16_385)].map((text) => problemOf(worded(text))))
        .toEqual([null, null, "statement", "statementBytes"]);
      expect(documentOf(worded(en))).toEqual(worded(en));
    }
  });

  it("of fields out of bounds there is none", () => {
    const find = (kind: string) => structuredClone(told.map(({ document }) => document).find((one) => kind in one)) as
      unknown as Record<string, Record<string, unknown>>;
    const zero = `0x${"0".repeat(40)}`;
    const changes: [kind: string, field: string, value: unknown][] = [
      ["recoveryPolicy", "needed", 0], ["recoveryPolicy", "needed", 99], ["recoveryPolicy", "delayS", 172_799],
      ["recoveryPolicy", "delayS", 7_776_001], ["recoveryPolicy", "trustees", []], ["delegation", "delegate", zero],
      ["delegation", "rights", "PERMIT SEE"], ["guardianship", "guardian", zero], ["erase", "upToOrdinal", -1],
      ["erase", "expiresAt", 253_402_300_800], ["guardianship", "ground", " x"], ["guardianship", "ground", "a  b"],
      ["guardianship", "ground", "\u202ex"], ["guardianship", "ground", "say \"x\""], ["guardianship", "ground", ""],
      ["guardianship", "ground", "x".repeat(161)], ["guardianship", "ground", "a\nb"],
    ];
    for (const [kind, field, value] of changes) {
      const document = find(kind);
      (document[kind] as Record<string, unknown>)[field] = value;
      expect(problemOf(document as unknown as Document), `${kind}.${field} ${String(value)}`).toBe(field);
    }
  });
});

describe("scopes", () => {
  it("of version 1 mean what version 2 spells out", () => {
    const pairs = [
      ["patient/*.read", "patient/*.rs"], ["user/Observation.write", "user/Observation.cud"], ["system/*.*", "system/*.cruds"],
    ] as const;
    for (const [old, text] of pairs) expect(scopeText(parseScope(old))).toBe(text);
  });

  it.each<[string, ScopeRule]>([
    ["", "context"], ["Patient/*.r", "context"], ["patient/Observation", "resource"], ["patient/Diary.r", "resource"],
    ["patient/*.", "interactions"], ["patient/*.sr", "interactions"], ["patient/*.rr", "interactions"],
    ["patient/*.toString", "interactions"], ["patient/*.r?", "parameter"], ["patient/*.r?code:in=x", "parameter"],
    ["patient/*.r?code=x&code=y", "secondParameter"], ["patient/*.r?code=x,y", "value"], ["patient/*.r?code=õ", "value"],
    ["patient/*.r?_security=N", "mark"], ["patient/*.read?code=x", "oldWithParameter"],
    [`patient/*.r?code=${"x".repeat(256)}`, "bytes"],
  ])("%s is none", (text, rule) => {
    expect(() => parseScope(text)).toThrow(ScopeError);
    expect(() => parseScope(text)).toThrow(new RegExp(`: ${rule}$`));
  });

  it("are a partial order", () => {
    const texts = ["patient/*.", "patient/Observation.", "user/*."].flatMap((head) => ["r", "rs", "cruds"].flatMap((letters) =>
      ["", "?category=a", "?category=x|a", "?_security=R", "?_security=V", "?_security=PSY"].map((end) => head + letters + end)));
    const scopes = texts.map(parseScope);
    for (const a of scopes) {
      expect(scopeCovers(a, a)).toBe(true);
      for (const b of scopes) {
        if (a !== b) expect(scopeCovers(a, b) && scopeCovers(b, a)).toBe(false);
        if (scopeCovers(a, b)) expect(scopes.every((c) => !scopeCovers(b, c) || scopeCovers(a, c))).toBe(true);
      }
    }
  });

  it("of a list lie in no other", () => {
    expect(parseScopes("patient/Observation.r patient/Condition.r")).toHaveLength(2);
    const broken = ["", "patient/*.rs patient/*.read", "patient/*.r patient/*.r?code=x", "patient/*.r  patient/*.c"];
    for (const text of broken) expect(parseScopes(text), text).toBeNull();
  });
});

it("purposes cover what stands below them", () => {
  expect(PURPOSES.size).toBe(59);
  expect(purposeCovers("HRESCH", "CLINTRCHPC") && purposeCovers("TREAT", "BTG")).toBe(true);
  const nots = [["BTG", "TREAT"], ["TREAT", "HRESCH"], ["XPARTY", "XPARTY"], ["PurposeOfUse", "TREAT"]] as const;
  for (const [granted, asked] of nots) expect(purposeCovers(granted, asked)).toBe(false);
  expect(parsePurposes("TREAT HRESCH")).toEqual(["TREAT", "HRESCH"]);
  for (const text of ["", "TREAT TREAT", "TREAT  HRESCH", "treat"]) expect(parsePurposes(text), text).toBeNull();
});
