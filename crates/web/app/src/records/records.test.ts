import { describe, expect, it } from "vitest";
import { reportHash, sha256, type Hex } from "../ledger";
import { utf8 } from "../ledger/bytes";
import { deletionOf, isWritten, ownRecord, resourceOf, titleText, uploadOf, type Listed } from "./api";
import { shown } from "./read";

const MARI: Hex = `0x${"ab".repeat(20)}`;
const SUBJECT: Hex = `0x${"ab".repeat(20).padStart(64, "0")}`;
const bytes = (text: string) => new Uint8Array(utf8(text));

describe("an upload", () => {
  const around = { log: `0x${"11".repeat(32)}` as Hex, address: MARI, subject: SUBJECT, nowMs: 1_795_000_000_000 };
  const file = { title: "My letter", name: "letter.txt", mediaType: "text/plain", bytes: bytes("hello") };

  it("is a new record of the person's own, and names its bytes", async () => {
    const { report, details } = await uploadOf(file, [], around);
    expect(report).toMatchObject({ kind: 2, action: 67, actor: MARI, subject: SUBJECT, record: ownRecord(SUBJECT, "upload", "letter.txt") });
    expect(report.toVersion).toBe(sha256(bytes("hello")));
    expect(report.details).toBe(sha256(utf8(details)));
    expect(report.fromVersion).toBe(`0x${"0".repeat(64)}`);
    expect(JSON.parse(details)).toEqual({
      version: "medtrail/version-v1", bytes: 5, purposes: [],
      about: { title: "My letter", mediaType: "text/plain", resourceType: null, confidentiality: null, topics: [] },
    });
  });

  it("of the same name is the next version, and of a FHIR resource has its type", async () => {
    const record = ownRecord(SUBJECT, "upload", "allergy.json");
    const known = [{ record, head: `0x${"77".repeat(32)}` }] as unknown as Listed[];
    const resource = { title: "A", name: "allergy.json", mediaType: "application/json", bytes: bytes('{"resourceType":"AllergyIntolerance"}') };
    const { report, details } = await uploadOf(resource, known, around);
    expect(report).toMatchObject({ action: 85, fromVersion: `0x${"77".repeat(32)}` });
    expect(JSON.parse(details).about).toMatchObject({ resourceType: "AllergyIntolerance", mediaType: "application/fhir+json" });
  });

  it("has an id that differs wherever what it is made of differs", () => {
    const id = ownRecord(SUBJECT, "watch", "2026-03-02");
    for (const other of [ownRecord(`0x${"22".repeat(32)}`, "watch", "2026-03-02"), ownRecord(SUBJECT, "watch2", "026-03-02"), ownRecord(SUBJECT, "", "watch2026-03-02")]) {
      expect(other).not.toBe(id);
    }
  });
});

describe("a deletion", () => {
  const around = { log: `0x${"11".repeat(32)}` as Hex, address: MARI, subject: SUBJECT, nowMs: 1_795_000_000_000 };
  const head: Hex = `0x${"77".repeat(32)}`;
  const zero: Hex = `0x${"0".repeat(64)}`;
  const about = { title: "A", mediaType: "text/plain", resourceType: null, confidentiality: "R", topics: ["HIV"] };
  const listed = { record: head, subject: SUBJECT, head, versions: 1, current: { ...about, version: head, index: 4, bytes: 5 } } as unknown as Listed;

  it("names what it was, and nothing after it", () => {
    const { report, details } = deletionOf(listed, around);
    expect(report).toMatchObject({ kind: 2, action: 68, record: head, fromVersion: head, toVersion: zero, details: sha256(utf8(details)) });
    expect(JSON.parse(details)).toEqual({ version: "medtrail/version-v1", about, bytes: 0, purposes: [] });
  });

  it("is of what is there", () => {
    expect(() => deletionOf({ ...listed, head: zero }, around)).toThrow();
    expect(() => deletionOf({ ...listed, current: null }, around)).toThrow();
  });

  it("is done only if the server wrote down what was signed", () => {
    const draft = deletionOf(listed, around);
    const written = { record: head, version: zero, receipt: { reportHash: reportHash(draft.report) } };
    expect(isWritten(written, draft)).toBe(true);
    for (const other of [null, {}, { ...written, version: head }, { ...written, record: zero }, { ...written, receipt: { reportHash: zero } }]) {
      expect(isWritten(other, draft)).toBe(false);
    }
  });
});

describe("what a file says of itself", () => {
  const of = (resource: object) => resourceOf(bytes(JSON.stringify(resource)));

  it("is its type, the strictest of its levels, and its topics", () => {
    const security = [{ code: "R" }, { code: "N" }, { code: "SUD" }, { code: "anything" }, {}];
    expect(of({ resourceType: "Condition", meta: { security } })).toEqual({
      mediaType: "application/fhir+json", resourceType: "Condition", confidentiality: "R", topics: ["SUD"],
    });
    expect(of({ resourceType: "Condition" })).toMatchObject({ confidentiality: null, topics: [] });
  });

  it("is nothing if it is no resource", () => {
    for (const other of [{}, { resourceType: 5 }, { resourceType: "no type" }, []]) expect(of(other)).toBeNull();
    expect(resourceOf(new Uint8Array([0xff]))).toBeNull();
  });

  it("has a name on one line, of a length that fits", () => {
    expect(titleText("  a\n\tb  ")).toBe("a b");
    expect([...titleText("\u{1f600}".repeat(300))]).toHaveLength(200);
  });
});

describe("what a person sees of a record", () => {
  it("is its plain lines", () => {
    const allergy = { resourceType: "AllergyIntolerance", code: { text: "Penicillin" }, criticality: "high", reaction: [{ manifestation: [{ text: "rash" }, { coding: [{ display: "fever" }] }] }] };
    expect(shown(bytes(JSON.stringify(allergy)), "application/fhir+json")).toEqual({ kind: "rows", rows: [
      { name: "What", value: "Penicillin" }, { name: "Reaction", value: "rash, fever" }, { name: "Severity", value: "high" },
    ] });
    const pressure = { resourceType: "Observation", code: { coding: [{ code: "85354-9", display: "Blood pressure" }] }, component: [
      { code: { text: "systolic" }, valueQuantity: { value: 120, unit: "mmHg" } }, { code: { text: "diastolic" }, valueQuantity: { value: 80, unit: "mmHg" } },
    ], effectiveDateTime: "2026-11-01" };
    expect(shown(bytes(JSON.stringify(pressure)), "application/fhir+json")).toMatchObject({ rows: [
      { value: "Blood pressure" }, { value: "systolic: 120 mmHg; diastolic: 80 mmHg" }, { name: "When", value: "2026-11-01" },
    ] });
  });

  it("is a text where it is one, and a file where it is none", () => {
    expect(shown(bytes("hello"), "text/plain")).toEqual({ kind: "text", text: "hello" });
    expect(shown(bytes("{broken"), "application/fhir+json")).toEqual({ kind: "text", text: "{broken" });
    expect(shown(new Uint8Array([255, 254]), "text/plain").kind).toBe("file");
    expect(shown(bytes("%PDF"), "application/pdf").kind).toBe("file");
  });
});
