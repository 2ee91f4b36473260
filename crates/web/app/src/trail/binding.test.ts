import { secp256k1 } from "@noble/curves/secp256k1";
import { hashTypedData, keccak256 } from "viem";
import { describe, expect, it } from "vitest";
import { plainTypedData } from "../demo-wallet/typed-data";
import { aliasDocument, bindingOf, digest, sha256, statementOf, structHash, type Binding, type Hex, type Line, type TrustFile } from "../ledger";
import { utf8 } from "../ledger/bytes";
import { fixtureTrust } from "../ledger/testing";
import { documentOf, forWallet, tidy, type Offer } from "./binding";
import { healthOf } from "./health";
import type { Checked } from "./line";
import { subjectOf } from "./subject";

const NOW = 1_795_000_000_000;
const [MARI_KEY, CLINIC_KEY] = [new Uint8Array(32).fill(7), new Uint8Array(32).fill(5)];
const addressOf = (key: Uint8Array): Hex => `0x${keccak256(secp256k1.getPublicKey(key, false).slice(1)).slice(26)}`;
const MARI = addressOf(MARI_KEY);
const FIELDS = { subject: MARI, custodian: addressOf(CLINIC_KEY), pseudonym: `0x${"9a".repeat(32)}`, expiresAt: NOW / 1000 + 60 } as const;
const BINDING: Binding = { ...FIELDS, statement: statementOf("Clinic", FIELDS) };

async function trusted(): Promise<TrustFile> {
  const keys = [{ address: FIELDS.custodian, fromMs: 1 }];
  return { ...await fixtureTrust(), organisations: [{ name: "Clinic", domain: "clinic.example", keys }] };
}

async function offer(change: { domain?: object; message?: object; primaryType?: string; name?: string } = {}): Promise<Offer> {
  const { chainId, registry } = await trusted();
  return {
    id: "b1", organisation: { id: FIELDS.custodian, name: change.name ?? "Clinic" }, expiresMs: NOW,
    typedData: {
      domain: { name: "Medtrail", version: "1", chainId, verifyingContract: registry, ...change.domain },
      primaryType: change.primaryType ?? "Binding", message: { ...BINDING, expiresAt: String(FIELDS.expiresAt), ...change.message },
    },
  };
}

describe("the document that connects an organisation", () => {
  it("has the words of the log's own template", () => {
    const zeros = `0x${"00".repeat(19)}`;
    const pseudonym: Hex = `0x${"09".repeat(32)}`;
    expect(statementOf("Clinic", { subject: `${zeros}01` as Hex, custodian: `${zeros}02` as Hex, pseudonym, expiresAt: 1_767_605_459 })).toBe(
      `Clinic (${zeros}02) keeps entries about me under the pseudonym ${pseudonym}. Join them with my trail, that of ${zeros}01. `
      + "This does not let anybody see or change my data. It cannot be undone. Valid until 2026-01-05 09:30 UTC. (Medtrail binding 1)");
  });

  it("is the page's own, and what a wallet makes of it is what the log checks", async () => {
    const trust = await trusted();
    const document = documentOf(await offer(), trust, MARI.toUpperCase().replace("0X", "0x"), NOW);
    expect(document).toEqual(BINDING);
    const given = JSON.parse(forWallet(BINDING, trust));
    expect(hashTypedData(given)).toBe(digest(structHash("Binding", BINDING), trust));
    expect(given.types.EIP712Domain).toHaveLength(4);
  });

  it("is refused if anything in it is not what the person asked for", async () => {
    const trust = await trusted();
    const other: Hex = `0x${"22".repeat(20)}`;
    for (const change of [
      { primaryType: "Permit" }, { domain: { chainId: 1 } }, { domain: { verifyingContract: other } }, { domain: { name: "Token" } },
      { domain: { version: "2" } }, { message: { statement: "I say hello." } }, { message: { subject: other } }, { message: { custodian: other } },
      { message: { pseudonym: subjectOf(MARI) } }, { message: { pseudonym: `0x${"9b".repeat(32)}` } }, { message: { expiresAt: "1" } }, { name: "Hospital" },
      // Words that fit the fields, but a person or an organisation that do not fit.
      { message: { subject: other, statement: statementOf("Clinic", { ...FIELDS, subject: other }) } },
      { message: { custodian: other, statement: statementOf("Clinic", { ...FIELDS, custodian: other }) } },
      { name: "Hospital", message: { statement: statementOf("Hospital", FIELDS) } },
    ]) expect(documentOf(await offer(change), trust, MARI, NOW), JSON.stringify(change)).toBeNull();
    expect(documentOf(await offer(), trust, MARI, NOW + 60_000)).toBeNull();
  });

  it("takes a code as people write it down", () => {
    expect(tidy(" kald a7\tq2 ")).toBe("KALDA7Q2");
  });

  it("is shown by the demo's wallet with nothing left out", async () => {
    const given = JSON.parse(forWallet(BINDING, await trusted()));
    const shown = plainTypedData({ ...given, message: { statement: "I connect.", inner: { list: ["a", "b"] } } });
    expect(shown).toEqual([["Document", "Binding"], ["statement", "I connect."], ["inner.list.0", "a"], ["inner.list.1", "b"]]);
  });
});

function sign(binding: Binding, trust: TrustFile, key: Uint8Array): string {
  const signature = secp256k1.sign(digest(structHash("Binding", binding), trust).slice(2), key);
  return `0x${signature.toCompactHex()}${signature.recovery === 0 ? "1b" : "1c"}`;
}

async function connection(change: object = {}, timeMs = NOW): Promise<Line> {
  const trust = await trusted();
  const text = JSON.stringify({
    version: "medtrail/binding-v1", organisation: { id: FIELDS.custodian, name: "Clinic" }, document: BINDING,
    signature: sign(BINDING, trust, MARI_KEY), countersignature: sign(BINDING, trust, CLINIC_KEY), ...change,
  });
  const report = { kind: 11, timeMs, subject: subjectOf(MARI), details: sha256(utf8(text)) };
  return { index: 1, report, details: { text }, place: { hash: "0x" }, evidence: "relayed" } as unknown as Line;
}

describe("a line that connects", () => {
  it("binds with both signatures, its statement, in time, and by a key that the trust file names; else nothing", async () => {
    const trust = await trusted();
    expect(await bindingOf(await connection(), trust)).toEqual(BINDING);
    const [mine, theirs] = [sign(BINDING, trust, MARI_KEY), sign(BINDING, trust, CLINIC_KEY)];
    for (const change of [
      { version: "medtrail/binding-v2" }, { signature: theirs }, { countersignature: mine }, { signature: "0x" }, { signature: undefined },
      { organisation: { name: "Hospital" } }, { organisation: null }, { document: null }, { document: { ...BINDING, statement: "I" } },
      { document: { ...BINDING, pseudonym: `0x${"9b".repeat(32)}` } },
    ]) expect(await bindingOf(await connection(change), trust), JSON.stringify(change)).toBeNull();
    expect(await bindingOf(await connection({}, FIELDS.expiresAt * 1000), trust)).toBeNull();
    expect(await bindingOf(await connection(), { ...trust, organisations: [] })).toBeNull();
    expect(await bindingOf(await connection(), { ...trust, chainId: 1 })).toBeNull();
    const line = await connection();
    expect(await bindingOf({ ...line, details: { text: "{}" } }, trust)).toBeNull();
    expect(await bindingOf({ ...line, report: { ...line.report, kind: 1 } }, trust)).toBeNull();
  });

  it("says which parts there must be, and which there must not", () => {
    const own = subjectOf(MARI);
    const checked = (subject: Hex, binds: Binding | null = null) => ({ line: { index: 7, report: { subject }, place: { hash: "0x" } }, binds, problems: [] }) as unknown as Checked;
    const part = (subject: Hex) => ({ subject, organisation: null, lines: 0, last: null });
    const found = (parts: Hex[], lines: Checked[]) => {
      const { absent, foreign, isSound } = healthOf(own, parts.map(part), lines);
      return { absent, foreign, isSound };
    };
    const theirs = FIELDS.pseudonym;
    expect(found([own], [])).toEqual({ absent: [], foreign: [], isSound: true });
    expect(found([], [])).toMatchObject({ isSound: false });
    expect(found([own], [checked(own, BINDING)])).toMatchObject({ absent: [FIELDS.custodian], foreign: [], isSound: false });
    expect(found([own, theirs], [checked(own, BINDING), checked(theirs)])).toMatchObject({ absent: [], foreign: [] });
    expect(found([own, theirs], [checked(theirs)])).toMatchObject({ foreign: [7], isSound: false });
    // An address to sell under is a part as well, and is missed if it is left out.
    const alias: Hex = `0x${"33".repeat(20)}`;
    const joins = aliasDocument(MARI, alias, FIELDS.expiresAt, "en");
    const sold = subjectOf(alias);
    expect(found([own, sold], [checked(own, joins), checked(sold, joins)])).toMatchObject({ absent: [], foreign: [] });
    expect(found([own, sold], [checked(sold)])).toMatchObject({ foreign: [7], isSound: false });
    expect(healthOf(own, [own].map(part), [checked(own, joins)])).toMatchObject({ absent: [], absentAliases: [alias], isSound: false });
    // Somebody else's connection explains nothing here.
    const others = { ...BINDING, subject: `0x${"22".repeat(20)}` } as Binding;
    expect(found([own, theirs], [checked(own, others), checked(theirs)])).toMatchObject({ foreign: [7], absent: [] });
  });
});
