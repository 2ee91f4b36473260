import { describe, expect, it } from "vitest";
import { sha256, type Hex } from "../ledger";
import { utf8 } from "../ledger/bytes";
import { ownRecord, uploadOf, type Listed } from "./api";
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
