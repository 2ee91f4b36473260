import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse, type AST } from "svelte/compiler";
import { describe, expect, it } from "vitest";
import first from "./en.json";
import sales from "./sales.json";
import { plural, span, t } from ".";

const SOURCE = join(import.meta.dirname, "..");
/** Outside the dictionary: the demo's wallet is a wallet, not the page; the verifier's words are those of the command. */
const OTHERS = /^(ledger|reading|verify|demo-wallet)/;

const files = (readdirSync(SOURCE, { recursive: true }) as string[])
  .filter((file) => /\.(ts|svelte)$/.test(file) && !/\.test\.ts$/.test(file) && !OTHERS.test(file));
/** The second part is loaded with what sells; no text stands in both. */
const en: Readonly<Record<string, string>> = { ...first, ...sales };
const keys = Object.keys(en);

/** Texts a person reads or hears, as they stand in the markup. */
function literals(component: string): string[] {
  const found: string[] = [];
  const walk = (node: unknown): void => {
    if (Array.isArray(node)) return node.forEach(walk);
    if (typeof node !== "object" || node === null) return;
    const { type } = node as { type?: string };
    if (type === "Text") found.push((node as AST.Text).data);
    if (type === "Attribute") {
      const { name, value } = node as AST.Attribute;
      const isRead = ["aria-label", "title", "placeholder", "alt", "label"].includes(name);
      if (isRead && Array.isArray(value)) value.forEach((part) => { if (part.type === "Text") found.push(part.data); });
      return;
    }
    for (const [name, inner] of Object.entries(node)) if (name !== "css" && name !== "parent") walk(inner);
  };
  walk(parse(readFileSync(join(SOURCE, component), "utf8"), { modern: true }).fragment);
  return found;
}

describe("the dictionary", () => {
  it("has each text once", () => {
    expect(Object.keys(first).filter((key) => key in sales)).toEqual([]);
    // In JSON the second of two would hide the first without a word.
    for (const part of ["en.json", "sales.json"]) {
      const written = [...readFileSync(join(import.meta.dirname, part), "utf8").matchAll(/^ {2}"([^"]+)":/gm)].map(([, key]) => key ?? "");
      expect(written.filter((key, place) => written.indexOf(key) !== place), part).toEqual([]);
      expect(written.length).toBe(Object.keys(part === "en.json" ? first : sales).length);
    }
  });

  it("holds every text: no component has words of its own", () => {
    const words = files.filter((file) => file.endsWith(".svelte"))
      .flatMap((file) => literals(file).filter((text) => /\p{L}{2}/u.test(text.replace(/&\w+;/g, ""))).map((text) => `${file}: ${text.trim()}`));
    expect(words).toEqual(["shell/Header.svelte: Medtrail"]);
  });

  it("holds no text that nothing shows", () => {
    const source = files.map((file) => readFileSync(join(SOURCE, file), "utf8")).join("\n");
    const isNamed = (key: string) => source.includes(`"${key}"`);
    // Families whose last part comes from data: `t(`live.${…}`)`.
    const isBuilt = (key: string) => source.includes(`\`${key.replace(/[^.]+$/, "")}\${`);
    const unused = keys.filter((key) => {
      const stem = key.replace(/\.(one|other)$/, "");
      return !isNamed(key) && !isNamed(stem) && !isBuilt(key);
    });
    expect(unused).toEqual([]);
  });

  it("has a form for one beside each form for others", () => {
    const lonely = keys.filter((key) => key.endsWith(".other") && key !== "category.other" && !keys.includes(key.replace(/other$/, "one")));
    expect(lonely).toEqual([]);
  });

  it("has no word that a patient should not have to know, outside what explains the check", () => {
    const technical = /^(drawer|step|problem)\./;
    const forbidden = /\b(subject|controller|custodian|actor|entry|entries|commitment|roster|checkpoint|anchor|refusal|binding|withheld|merkle|hash|hashes)\b/i;
    expect(keys.filter((key) => !technical.test(key) && forbidden.test(en[key] ?? ""))).toEqual([]);
  });
});

describe("a text", () => {
  it("has its values filled in, and numbers in the language's form", () => {
    expect(t("all.some", { shown: 12, count: 5214 })).toBe("12 of 5,214 lines.");
  });

  it("takes the form of its count", () => {
    expect(plural("alarm.missing", 1, { numbers: "51" })).toBe("A line is missing: number 51.");
    expect(plural("alarm.missing", 2, { numbers: "51 and 52" })).toBe("2 lines are missing: numbers 51 and 52.");
  });

  it("tells a length of time in its largest unit", () => {
    expect([span(60_000), span(59 * 60_000), span(9.4 * 3_600_000), span(49 * 3_600_000)])
      .toEqual(["one minute", "59 min", "9 h", "2 days"]);
  });
});
