import { secp256k1 } from "@noble/curves/secp256k1";
import { describe, expect, it } from "vitest";
import { digest, leafHash, nodeHash, recover, reportHash, sha256, structHash, type Hex } from "../ledger";
import { hexToBytes, textOf, utf8 } from "../ledger/bytes";
import { addressOf, MARI_KEY } from "../permissions/testing";
import { batchForWallet, ZERO } from "../session/report";
import { ownRecord, type Listed } from "./api";
import { batchOf, bodyBytes, outcomesOf, partsOf, planOf } from "./bundle";

const MARI = addressOf(MARI_KEY);
const SUBJECT: Hex = `0x${MARI.slice(2).padStart(64, "0")}`;
const AROUND = { log: `0x${"11".repeat(32)}` as Hex, address: MARI, subject: SUBJECT, nowMs: 1_795_000_000_000 };
const bytes = (text: string) => new Uint8Array(utf8(text));

const FILE = `{
  "resourceType": "Bundle", "type": "collection",
  "entry": [
    { "fullUrl": "urn:a", "resource": {"resourceType":"Observation", "id":"o1", "code":{"text":"Weight \\"kg\\" }]"}, "valueQuantity":{"value":70.10}} },
    {"fullUrl":"urn:b","resource":{ "resourceType":"AllergyIntolerance","code":{"text":"Penicillin"},"meta":{"security":[{"code":"N"},{"code":"R"},{"code":"HIV"},{"code":"HIV"}]}}},
    {"request": {"method": "GET"}},
    {"resource": {"no": "type"}}
  ]
}`;

const partsOfFile = (file = FILE) => {
  const parts = partsOf(bytes(file));
  if (parts === null) throw new Error("a bundle");
  return parts;
};
const plan = (known: readonly Listed[] = [], file = FILE) => planOf(partsOfFile(file), known, AROUND);

describe("a bundle", () => {
  it("is taken apart into the very characters of its resources", () => {
    expect(partsOfFile().map((part) => [part.name, textOf(part.bytes)])).toEqual([
      ["Observation/o1", `{"resourceType":"Observation", "id":"o1", "code":{"text":"Weight \\"kg\\" }]"}, "valueQuantity":{"value":70.10}}`],
      ["urn:b", `{ "resourceType":"AllergyIntolerance","code":{"text":"Penicillin"},"meta":{"security":[{"code":"N"},{"code":"R"},{"code":"HIV"},{"code":"HIV"}]}}`],
      [null, `{"no": "type"}`],
    ]);
  });

  it("is read as every other reader does, where a name stands twice or a value is odd", () => {
    const twice = `{"entry":[1],"resourceType":"Bundle","entry":[null,-1.5e3,"x]",[],{},true,{"resource":{"resourceType":"A"},"res\\u006furce":{"resourceType":"Bb"}}]}`;
    expect(partsOfFile(twice).map((part) => textOf(part.bytes))).toEqual([`{"resourceType":"Bb"}`]);
    const told = JSON.parse(twice) as { entry: { resource?: object }[] };
    expect(told.entry.at(-1)?.resource).toEqual({ resourceType: "Bb" });
    expect(partsOfFile(`{"resourceType":"Bundle","entry":[]}`)).toEqual([]);
  });

  it("is nothing else", () => {
    for (const other of ["", "{", "[]", `{"resourceType":"Patient"}`, `{"resourceType":"Bundle"}`, `{"resourceType":"Bundle","entry":{}}`, "null"]) {
      expect(partsOf(bytes(other)), other).toBeNull();
    }
    expect(partsOf(new Uint8Array([0x7b, 0xff, 0x7d]))).toBeNull();
  });

  it("makes a record of each resource, with its type and how private it says it is", async () => {
    const { items, same, skipped } = await plan();
    expect([items.length, same, skipped]).toEqual([2, 0, 1]);
    expect(items.map(({ title }) => title)).toEqual(['Weight "kg" }] (Observation)', "Penicillin (AllergyIntolerance)"]);
    const [first, second] = items;
    expect(first?.draft.report).toMatchObject({ kind: 2, action: 67, record: ownRecord(SUBJECT, "bundle", "Observation/o1"), fromVersion: ZERO, toVersion: sha256(first?.bytes ?? bytes("")) });
    expect(JSON.parse(second?.draft.details ?? "")).toMatchObject({
      bytes: second?.bytes.length, about: { resourceType: "AllergyIntolerance", mediaType: "application/fhir+json", confidentiality: "R", topics: ["HIV"] },
    });
    expect(new Set(items.map(({ draft }) => draft.report.eventId)).size).toBe(2);
  });

  it("changes what is there, leaves what is the same, and takes nothing twice", async () => {
    const { items: [first] } = await plan();
    if (!first) throw new Error("a record");
    const listed = (head: Hex) => [{ record: first.draft.report.record, head }] as unknown as Listed[];
    expect(await plan(listed(first.draft.report.toVersion))).toMatchObject({ same: 1, items: [{ title: "Penicillin (AllergyIntolerance)" }] });
    expect((await plan(listed(`0x${"77".repeat(32)}`))).items[0]?.draft.report).toMatchObject({ action: 85, fromVersion: `0x${"77".repeat(32)}` });
    const twice = await plan([], FILE.replace("urn:b", "x").replace(`{"request": {"method": "GET"}}`, `{"resource":{"resourceType":"Observation","id":"o1"}}`));
    expect([twice.items.length, twice.skipped]).toEqual([2, 2]);
  });
});

describe("one signature for many", () => {
  it("is over the root of the tree of their hashes (RFC 9162)", async () => {
    const { items } = await plan();
    const [one, two] = items.map(({ draft }) => leafHash(reportHash(draft.report)));
    if (!one || !two) throw new Error("two records");
    expect(batchOf(items)).toEqual({ root: nodeHash(one, two), count: 2 });
    expect(batchOf(items.slice(0, 1))).toEqual({ root: one, count: 1 });
    expect(bodyBytes(items)).toBeGreaterThan(items.reduce((sum, { bytes: content }) => sum + content.length, 0));
  });

  it("is what the wallet shows: struct, domain and numbers as text", async () => {
    const trust = { chainId: 31338, registry: `0x${"a0".repeat(20)}` as Hex };
    const batch = batchOf((await plan()).items);
    const shown = JSON.parse(batchForWallet(batch, trust)) as { primaryType: string; message: object; types: { ReportBatch: unknown } };
    expect(shown).toMatchObject({ primaryType: "ReportBatch", message: { root: batch.root, count: "2" } });
    expect(shown.types.ReportBatch).toEqual([{ name: "root", type: "bytes32" }, { name: "count", type: "uint64" }]);
    const id = digest(structHash("ReportBatch", batch), trust);
    const signature = secp256k1.sign(id.slice(2), MARI_KEY);
    expect(await recover(id, hexToBytes(`0x${signature.toCompactHex()}${signature.recovery === 0 ? "1b" : "1c"}`))).toBe(MARI);
  });

  it("has an outcome for each: written only if it is what was signed", async () => {
    const { items } = await plan();
    const written = ({ draft: { report } }: (typeof items)[number], change: object = {}) =>
      ({ written: { index: 1, record: report.record, version: report.toVersion, receipt: { reportHash: reportHash(report) }, ...change } });
    const [one, two] = items as [(typeof items)[number], (typeof items)[number]];
    const problems = (results: unknown) => outcomesOf(results, items).map(({ problem }) => problem);
    expect(problems({ results: [written(one), written(two)] })).toEqual([null, null]);
    expect(problems({ results: [written(one), { problem: { type: "/problems/vault-full" } }] })).toEqual([null, "vault-full"]);
    expect(problems({ results: [written(two), written(one)] })).toEqual(["other-written", "other-written"]);
    expect(problems({ results: [written(one, { version: ZERO }), written(two, { receipt: {} })] })).toEqual(["other-written", "other-written"]);
    for (const nothing of [undefined, null, {}, { results: [] }, { results: "x" }]) expect(problems(nothing)).toEqual(["other-written", "other-written"]);
  });
});
