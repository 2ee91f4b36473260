// @vitest-environment node
import { describe, expect, it } from "vitest";
import { aliasDocument, aliasOf } from "./alias";
import { bindingOf } from "./binding";
import { utf8 } from "./bytes";
import { sha256 } from "./merkle";
import { digest, structHash } from "./schema";
import { fixtureTrust, vectors } from "./testing";
import type { Hex, Line, TrustFile } from "./types";

interface Aliases {
  domain: { chainId: number; verifyingContract: Hex };
  subject: Hex;
  alias: Hex;
  expiresAt: number;
  cases: { name: string; timeMs: number; details: string; id?: Hex; refusal?: string }[];
}

const { domain, subject, alias, expiresAt, cases } = vectors<Aliases>("aliases");

async function trusted(): Promise<TrustFile> {
  return { ...await fixtureTrust(), chainId: domain.chainId, registry: domain.verifyingContract.toLowerCase() as Hex, organisations: [] };
}

const lineOf = (text: string, timeMs: number, change: object = {}): Line =>
  ({ report: { kind: 11, timeMs, details: sha256(utf8(text)), ...change }, details: { text } }) as unknown as Line;

describe("a line that joins an address to sell under", () => {
  it.each(cases)("$name", async ({ details, timeMs, id }) => {
    const trust = await trusted();
    const joined = await aliasOf(lineOf(details, timeMs), trust);
    expect(joined && digest(structHash("Binding", joined), trust)).toBe(id ?? null);
    // And it is no organisation's.
    expect(await bindingOf(lineOf(details, timeMs), trust)).toBeNull();
  });

  it("is nothing under another kind, with other bytes, or with a member more", async () => {
    const [{ details, timeMs }] = cases as [Aliases["cases"][number]];
    const trust = await trusted();
    expect(await aliasOf(lineOf(details, timeMs), trust)).not.toBeNull();
    expect(await aliasOf(lineOf(details, timeMs, { kind: 1 }), trust)).toBeNull();
    expect(await aliasOf(lineOf(details, timeMs, { details: sha256(utf8("{}")) }), trust)).toBeNull();
    expect(await aliasOf(lineOf(details.replace("{", "{\"a\":1,"), timeMs), trust)).toBeNull();
    expect(await aliasOf({ ...lineOf(details, timeMs), details: null }, trust)).toBeNull();
  });

  it("has the words of the log's own templates", () => {
    const told = (language: "en" | "et") => aliasDocument(subject.toLowerCase() as Hex, alias.toLowerCase() as Hex, expiresAt, language).statement;
    const statements = cases.slice(0, 2).map(({ details }) => (JSON.parse(details) as { document: { statement: string } }).document.statement);
    expect([told("en"), told("et")]).toEqual(statements);
  });
});
