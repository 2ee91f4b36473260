// @vitest-environment node
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { bytesToHex, utf8 } from "../ledger/bytes";
import { spell } from "../ledger/parse";
import { fixture, PROOF_BYTES, repositoryFile } from "../ledger/testing";
import type { Hex, Report } from "../ledger/types";
import { secretText } from "../market/age-key";
import { DeliveryError, hashOf, isKey, unsealed } from "../market/delivery";
import { recordsOf } from "../market/records";
import { header, padding } from "../market/tar";
import { datasetOf } from "../permit/dataset";
import { acceptanceOf } from "../permit/cohort";
import { cohortId, type Cohort, type CohortMarket } from "../permit/sale";
import { callContentsOf, loggedCallIn, type CalledFor } from "./delivery";
import { cohortManifestOf, isPart } from "./manifest";

const bytes32 = (byte: number) => new Uint8Array(32).fill(byte);
const WORD: Hex = `0x${"10".repeat(32)}`;
const sha = (bytes: Uint8Array): Hex => `0x${createHash("sha256").update(bytes).digest("hex")}`;
const text = (path: string) => new TextDecoder().decode(repositoryFile(`tests/data/delivery/${path}`));
type Manifest = { market: CohortMarket; cohort: Cohort; dataset: string; consents: Record<string, unknown>[]; persons: Record<string, unknown>[]; files: Record<string, unknown>[]; made?: object };

/** The files that crates/market sealed once, and for ever open: the lock is 32 bytes of 1, the buyer's key of 0x42. */
function kept(name: string) {
  const told = text(`cohort-v1-${name}.manifest.json`);
  const { market, cohort, dataset } = JSON.parse(told) as Manifest;
  const entries = JSON.parse(text(`cohort-v1-${name}.entries.json`)) as { report: Report; details: string }[];
  const proofs = entries.map(({ report, details }, at) => proof(report, details, at));
  const described = datasetOf(utf8(dataset));
  if (described === null) throw new Error("a description");
  const called: CalledFor = { market, cohort, text: dataset, dataset: described };
  return { told, entries, proofs, called, file: new Uint8Array(repositoryFile(`tests/data/delivery/cohort-v1-${name}.age`)) };
}

const proof = (report: object, details: string, index = 7): string =>
  new TextDecoder().decode(spell({ ...fixture(), index, report: { ...fixture().report, ...report }, details: { text: details } }));

const fault = (what: Promise<unknown>) => what.then(() => "none", (error: unknown) => (error instanceof DeliveryError ? error.fault : String(error)));
const faultOf = (what: () => unknown) => fault(Promise.resolve().then(what));
const opened = async (name: string) => {
  const one = kept(name);
  return { ...one, plain: await unsealed(one.file, bytes32(1), [secretText(bytes32(0x42))]), logged: loggedCallIn(one.proofs, one.called.cohort) };
};

/** The archive with another manifest in it, which the log is made to name. */
function changed(plain: Uint8Array, told: string, to: string): Uint8Array<ArrayBuffer> {
  const rest = plain.subarray(512 + utf8(told).length + padding(utf8(told).length));
  const bytes = utf8(to);
  return Uint8Array.from([...header("manifest.json", bytes.length), ...bytes, ...new Uint8Array(padding(bytes.length)), ...rest]);
}

it("a part is the one that the manifest has under its label, by what hides it or by the acceptance", () => {
  for (const name of ["as-it-is", "de-identified"]) {
    const manifest = cohortManifestOf(utf8(text(`cohort-v1-${name}.manifest.json`)));
    if (manifest === null) throw new Error("a manifest");
    const parts = manifest.persons.map(({ label, consent }): { label: string; part: Hex } => {
      if ("hidden" in consent) return { label, part: consent.hidden };
      const taking = manifest.consents.find(({ place }) => place === consent.place);
      return { label, part: cohortId("CohortAcceptance", acceptanceOf(manifest.cohort, manifest, taking as never), manifest) };
    });
    expect(parts.map((one) => isPart(manifest, one))).toEqual([true, true, true]);
    expect([{ ...parts[0], label: parts[1]?.label }, { ...parts[0], part: WORD }, { ...parts[0], label: "0".repeat(16) }].map((one) => isPart(manifest, one as never))).toEqual([false, false, false]);
  }
});

describe("the file of a call to many", () => {
  it.each(["as-it-is", "de-identified"])("that the service made opens for its buyer, and is what its manifest says: %s", async (name) => {
    const { file, plain, logged, called } = await opened(name);
    expect([await hashOf(file), isKey(bytesToHex(bytes32(1)), logged)]).toEqual([logged.file, true]);
    const contents = await callContentsOf(plain, logged, called);
    const { manifest, byOthers } = contents;
    expect([manifest.persons.length, manifest.consents.map(({ place }) => place), byOthers]).toEqual([3, [10, 20, 30], []]);
    const records = recordsOf(contents);
    expect(records.length).toBe(manifest.persons.reduce((all, { records: count }) => all + count, 0));
    expect(records.every(({ type }) => type !== null)).toBe(true);
    const isNamed = manifest.persons.some(({ consent }) => "place" in consent);
    expect([isNamed, manifest.made === null]).toEqual(name === "as-it-is" ? [true, true] : [false, false]);
  });

  it("has proofs that are spelt in a page of them as each is alone", () => {
    expect(spell(JSON.parse(new TextDecoder().decode(PROOF_BYTES)) as object)).toEqual(Uint8Array.from(PROOF_BYTES));
  });

  it("has lines in the log that are of one delivery of this call, each once", async () => {
    const { entries, called, proofs } = kept("as-it-is");
    const told = (all: readonly string[]) => faultOf(() => loggedCallIn(all, called.cohort));
    const [first, second] = entries as [(typeof entries)[0], (typeof entries)[0]];
    const one = (change: object, details = second.details) => [proof(first.report, first.details), proof({ ...second.report, ...change }, details)];
    expect(await told(one({}))).toBe("none");
    for (const change of [{ log: WORD.replace("10", "11") }, { kind: 5 }, { action: 82 }, { record: WORD }, { permission: WORD }]) expect(await told(one(change)), JSON.stringify(change)).toBe("entry");
    for (const change of [{ fromVersion: WORD }, { toVersion: WORD }]) expect(await told(one(change))).toBe("entries");
    const elsewhere = second.details.replace(/"manifest":"0x../, '"manifest":"0x77');
    expect(await told(one({ details: sha(utf8(elsewhere)) }, elsewhere))).toBe("entries");
    expect(await told(one({}, elsewhere))).toBe("details");
    expect([await told([]), await told([...proofs, proofs[0] as string])]).toEqual(["entries", "entries"]);
  });

  it("is refused where it was made for another call, or somebody in it accepted another, or was not entered", async () => {
    const { plain, told, logged, called, proofs } = await opened("de-identified");
    const elsewhere = { ...called.market, chainId: 1 };
    expect(await fault(callContentsOf(plain, logged, { ...called, market: elsewhere }))).toBe("call");
    expect(await fault(callContentsOf(plain, logged, { ...called, cohort: { ...called.cohort, places: 49 } }))).toBe("call");
    expect(await fault(callContentsOf(plain, logged, { ...called, text: `${called.text} ` }))).toBe("dataset");
    expect(await fault(callContentsOf(plain, { ...logged, manifest: WORD }, called))).toBe("otherManifest");
    // One line too few, and one too many.
    expect(await fault(callContentsOf(plain, loggedCallIn(proofs.slice(1), called.cohort), called))).toBe("notEntered");
    const more = new Map([...logged.subjects, [WORD, WORD] as const]);
    expect(await fault(callContentsOf(plain, { ...logged, subjects: more }, called))).toBe("notInFile");
    const other = (change: (manifest: Manifest) => void) => {
      const manifest = JSON.parse(told) as Manifest;
      change(manifest);
      const to = JSON.stringify(manifest);
      return callContentsOf(changed(plain, told, to), { ...logged, manifest: sha(utf8(to)) }, called);
    };
    expect(await fault(other(() => {}))).toBe("none");
    const consent = (change: object) => (manifest: Manifest) => Object.assign(manifest.consents[1] as object, change);
    for (const change of [{ epoch: 1 }, { expiresAt: 1_767_960_001 }, { seller: `0x${"09".repeat(20)}` }]) expect(await fault(other(consent(change))), JSON.stringify(change)).toMatch(/notEntered|consent/);
    expect(await fault(other(consent({ place: 21 })))).toBe("notEntered");
    // Signed by somebody else, which the chain may know to be right.
    const signed = (JSON.parse(told) as Manifest).consents[0]?.["signature"];
    expect((await other(consent({ signature: signed }))).byOthers).toEqual([20]);
    expect((await other(consent({ signature: "0x1234" }))).byOthers).toEqual([20]);
  });

  it("has a manifest in which everybody and everything stands once, in order, under a consent and a label of its own", () => {
    for (const name of ["as-it-is", "de-identified"]) {
      const told = text(`cohort-v1-${name}.manifest.json`);
      const read = (change: (manifest: Manifest) => void) => {
        const manifest = JSON.parse(told) as Manifest;
        change(manifest);
        return cohortManifestOf(utf8(JSON.stringify(manifest))) !== null;
      };
      expect(read(() => {})).toBe(true);
      const wrong: ((manifest: Manifest) => void)[] = [
        (it) => Object.assign(it, { version: "medtrail/manifest-v1" }),
        (it) => it.consents.reverse(),
        (it) => it.persons.reverse(),
        (it) => it.files.reverse(),
        (it) => it.consents.pop(),
        (it) => it.persons.pop(),
        (it) => it.files.pop(),
        (it) => Object.assign(it.consents[1] as object, { seller: it.consents[0]?.["seller"] }),
        (it) => Object.assign(it.consents[1] as object, { signature: "0x" }),
        (it) => Object.assign(it.persons[1] as object, { consent: it.persons[0]?.["consent"] }),
        (it) => Object.assign(it.persons[1] as object, { consent: name === "as-it-is" ? { hidden: WORD } : { place: 10 } }),
        (it) => Object.assign(it.persons[1] as object, { records: [] }),
        (it) => Object.assign(it.persons[1] as object, { records: it.persons[0]?.["records"] }),
        (it) => Object.assign(it.persons[0] as object, { label: "00" }),
        (it) => Object.assign(it.persons[0] as object, name === "as-it-is" ? { removed: {} } : { removed: undefined }),
        (it) => (it.made ? delete it.made : Object.assign(it, { made: { tool: "", profile: "" } })),
      ];
      for (const [at, change] of wrong.entries()) expect(read(change), `${name} ${at}`).toBe(false);
    }
    expect([cohortManifestOf(utf8("{}")), cohortManifestOf(utf8("[")), cohortManifestOf(new Uint8Array())]).toEqual([null, null, null]);
  });
});
