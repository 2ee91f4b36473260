import { describe, expect, it } from "vitest";
import { sha256, type Hex, type Line, type TrustFile } from "../ledger";
import { utf8 } from "../ledger/bytes";
import { fixtureTrust } from "../ledger/testing";
import { documentId, render, type Document, type Erase } from "../permit";
import { KADRI_KEY, MARI, MARI_KEY, NOW, sign } from "../permissions/testing";
import { erasedBy, erasureOf } from "./erasure";
import { healthOf } from "./health";
import type { Checked } from "./line";
import { subjectOf } from "./subject";

const PSEUDONYM = `0x${"9a".repeat(32)}`;
const own = subjectOf(MARI);

function erase(trust: TrustFile, change: Partial<Erase> = {}): Document {
  const fields: Erase = { statement: "", subject: MARI, log: trust.log, upToOrdinal: 12, expiresAt: NOW / 1000, ...change };
  return { erase: { ...fields, statement: change.statement ?? render({ erase: fields }, "en") ?? "" } };
}

function line(trust: TrustFile, document: Document, change: object = {}, key = MARI_KEY): Line {
  const registries = { chainId: trust.chainId, consentRegistry: trust.registry, anchorRegistry: trust.registry };
  const parts = [{ subject: own, from: 1, through: 12 }, { subject: PSEUDONYM, from: 1, through: 4 }];
  const text = JSON.stringify({
    version: "medtrail/erasure-v1", act: "done", erasure: documentId(document, registries), form: "everything", document,
    signature: sign(document, key, registries), parts, ...change,
  });
  const report = { kind: 10, timeMs: NOW, subject: own, details: sha256(utf8(text)) };
  return { index: 20, report, details: { text }, place: { hash: "0x" }, evidence: "relayed" } as unknown as Line;
}

describe("a line that tells of an erasure", () => {
  it("explains the lines that its person signed for, and no more of their own", async () => {
    const trust = await fixtureTrust();
    const all = new Map([[own, 12], [PSEUDONYM, 4]]);
    expect(await erasedBy(line(trust, erase(trust)), trust)).toEqual(all);
    const fewer = await erasedBy(line(trust, erase(trust, { upToOrdinal: 7 })), trust);
    expect(fewer?.get(own)).toBe(7);
  });

  it("explains nothing without what the person signed: else a server could hide lines and call them erased", async () => {
    const trust = await fixtureTrust();
    const good = erase(trust);
    for (const change of [
      { act: "asked" }, { act: "refused" }, { version: "medtrail/erasure-v2" }, { document: null }, { signature: "0x" }, { signature: undefined },
      { parts: null }, { parts: [{ subject: own, through: "12" }] }, { document: { revoke: { subject: MARI, permission: PSEUDONYM } } },
    ]) expect(await erasedBy(line(trust, good, change), trust), JSON.stringify(change)).toBeNull();
    expect(await erasedBy(line(trust, good, {}, KADRI_KEY), trust)).toBeNull();
    for (const change of [{ log: `0x${"07".repeat(32)}` as Hex }, { subject: `0x${"22".repeat(20)}` as Hex }, { statement: "Erase nothing." }]) {
      expect(await erasedBy(line(trust, erase(trust, change)), trust), JSON.stringify(change)).toBeNull();
    }
    const sound = line(trust, good);
    expect(await erasedBy({ ...sound, report: { ...sound.report, kind: 4 } }, trust)).toBeNull();
    expect(await erasedBy({ ...sound, details: { text: "{}" } }, trust)).toBeNull();
    expect(await erasedBy(sound, { ...trust, chainId: 1 })).toBeNull();
  });

  it("keeps a trail sound whose first lines are gone, and no other", () => {
    const part = (lines: number) => ({ subject: own, organisation: null, lines, last: `0x${"11".repeat(32)}` as Hex });
    const told = (through: number) => ({
      line: { index: 7, report: { subject: own }, place: { hash: "0x" } }, binds: null, problems: [], erases: new Map([[own, through]]),
    }) as unknown as Checked;
    // The line itself says nothing of where it stands here: only what is missing counts.
    expect(healthOf(own, [part(3)], [told(3)]).missing).toEqual([]);
    expect(healthOf(own, [part(3)], [told(2)]).missing).toEqual([{ organisation: null, number: 3 }]);
    expect(healthOf(own, [part(3)], []).missing).toHaveLength(3);
  });
});

describe("what a line says of an erasure", () => {
  it("is its day, and whether it shows what the person signed for it", async () => {
    const trust = await fixtureTrust();
    const asked = { act: "asked", dueMs: NOW + 1 };
    expect(await erasureOf(line(trust, erase(trust), asked), trust)).toMatchObject({ act: "asked", form: "everything", dueMs: NOW + 1, isSigned: true });
    expect(await erasureOf(line(trust, erase(trust)), trust)).toMatchObject({ act: "done", dueMs: null, isSigned: true });
    for (const change of [{ signature: "0x00" }, { signature: undefined }, { erasure: PSEUDONYM }, { form: "records" }, { document: { revoke: {} } }]) {
      expect((await erasureOf(line(trust, erase(trust), { ...asked, ...change }), trust))?.isSigned, JSON.stringify(change)).toBe(false);
    }
    expect((await erasureOf(line(trust, erase(trust), asked, KADRI_KEY), trust))?.isSigned).toBe(false);
  });

  it("is nothing without an act, a form, a number or a day that are some", async () => {
    const trust = await fixtureTrust();
    for (const change of [{ act: "begun" }, { form: "some" }, { erasure: 7 }, { act: "asked" }, { act: "asked", dueMs: "soon" }, { act: "asked", dueMs: 1e300 }, { version: "x" }]) {
      expect(await erasureOf(line(trust, erase(trust), change), trust), JSON.stringify(change)).toBeNull();
    }
  });
});
