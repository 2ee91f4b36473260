// @vitest-environment node
import { describe, expect, it } from "vitest";
import { render, type Document } from "../permit";
import type { Hex } from "../ledger";
import { answerOf, checkAll, type Checked, type Known } from "./check";
import { answer, CLINIC, grant, grantFields, KADRI, KADRI_KEY, MARI, MARI_KEY, NOW, OTHER, OTHER_KEY, REGISTRIES, sign, told } from "./testing";
import { pastWords } from "./words";

const DAY_S = 86_400;

async function check(permissions: readonly unknown[], change: object = {}, known: Partial<Known> = {}): Promise<Checked[]> {
  const read = answerOf(answer(permissions, change), MARI);
  if (read === null) throw new Error("not an answer");
  return checkAll(read, { registries: REGISTRIES, address: MARI, nowMs: NOW, takenBack: new Set(), epochMin: 0, ...known });
}

const problems = async (...given: Parameters<typeof check>) => (await check(...given)).map((one) => one.problems);

function delegation(rights = "SEE PERMIT"): Document {
  const fields = { statement: "", subject: MARI, delegate: KADRI, rights, epoch: 0, expiresAt: NOW / 1000 + DAY_S, salt: `0x${"52".repeat(32)}` as Hex };
  return { delegation: { ...fields, statement: render({ delegation: fields }, "en") ?? "" } };
}

describe("what the server says is permitted", () => {
  it("is sound if the person signed it in these words", async () => {
    const [one] = await check([told(grant())]);
    expect(one).toMatchObject({ problems: [], state: "standing", by: null, isOnChainOnly: false });
    expect(await problems([told({ grant: { ...grantFields(), statement: render(grant(), "et") ?? "" } })])).toEqual([[]]);
  });

  it("is red if anything of it is not as it was signed", async () => {
    const document = grant();
    const changed: Document = { grant: { ...grantFields(), scopes: "patient/*.rs" } };
    const wider = grant({ scopes: "patient/*.rs" });
    const cases: [unknown, string[]][] = [
      // Other fields under the old words, with the old number and signature.
      [{ ...told(document), document: changed }, ["id", "statement", "signature"]],
      // Words, number and fields fit, but nobody signed that.
      [{ ...told(wider), signature: sign(document, MARI_KEY) }, ["signature"]],
      [told(document, { id: `0x${"01".repeat(32)}` }), ["id"]],
      [told({ grant: { ...grantFields(), statement: "I allow everything." } }), ["statement"]],
      [told(grant({ scopes: "user/*.rs" })), ["invalid"]],
      [told(grant({ subject: OTHER }), {}, OTHER_KEY), ["person", "signature"]],
      [told(document, {}, OTHER_KEY), ["signature"]],
      [told(document, { signature: "0x00" }), ["signature"]],
      [told(document, { signature: null }), ["unsigned"]],
      [told(document, { signature: null, onChain: { grantedAtS: null, revokedAtS: null, isFinal: false } }), ["unsigned"]],
      // Signed under the name of another contract.
      [told(document, { signature: sign(document, MARI_KEY, { ...REGISTRIES, consentRegistry: CLINIC }) }), ["signature"]],
    ];
    for (const [given, expected] of cases) expect(await problems([given]), expected.join()).toEqual([expected]);
  });

  it("is red if it has not the form, and hides nothing of what came", async () => {
    const broken = [
      null, 7, "grant", {}, told(grant(), { state: "fine" }), told(grant(), { id: "0x" }), told(grant(), { receivedMs: "now" }),
      told(grant(), { receivedMs: Number.MAX_SAFE_INTEGER }), told(grant(), { signature: "sig" }), told(grant(), { onChain: {} }),
      told(grant(), { document: { grant: { ...grantFields(), mood: 1 } } }), told(grant(), { document: { wish: {} } }),
      told(grant(), { onChain: { grantedAtS: 1e16, revokedAtS: null, isFinal: true } }),
    ];
    const found = await check(broken);
    expect(found.map((one) => one.problems)).toEqual(broken.map(() => ["malformed"]));
    expect(found.map(({ raw }) => raw)).toEqual(broken);
  });

  it("is over by this device's own clock", async () => {
    const document = grant({ expiresAt: NOW / 1000 });
    const [one] = await check([told(document)]);
    expect([one?.state, one?.problems]).toEqual(["expired", []]);
    expect(one && pastWords(one)).toMatch(/^Over since 22 Nov 2026/);
    expect((await check([told(grant({ expiresAt: NOW / 1000 + 60 }))]))[0]?.state).toBe("standing");
  });

  it("is red if its state cannot be", async () => {
    const document = grant();
    expect(await problems([told(document)], { epoch: 1 })).toEqual([["state"]]);
    expect(await problems([told(grant({ epoch: 3 }))])).toEqual([["state"]]);
    expect(await problems([told(document, { revokedMs: NOW })])).toEqual([["state"]]);
    expect(await problems([told(document, { onChain: { grantedAtS: 1, revokedAtS: 2, isFinal: true } })])).toEqual([["state"]]);
    expect(await problems([told(document, { state: "expired" })])).toEqual([["state"]]);
    // A device's clock may be off.
    expect(await problems([told(grant({ expiresAt: NOW / 1000 + 3600 }), { state: "expired" })])).toEqual([[]]);
    // Taken back here, or by a signature that stands in the same list.
    const { id } = told(document);
    expect(await problems([told(document)], {}, { takenBack: new Set([id]) })).toEqual([["state"]]);
    expect(await problems([told(document)], {}, { epochMin: 1 })).toEqual([["state"]]);
    const revoke: Document = { revoke: { subject: MARI, permission: id } };
    expect(await problems([told(document), told(revoke)])).toEqual([["state"]]);
    expect(await problems([told(document), told({ revokeAll: { subject: MARI, epoch: 0 } })])).toEqual([["state"]]);
    // By somebody else it takes nothing back, and is shown for what it is.
    expect(await problems([told(document), told(revoke, {}, OTHER_KEY)])).toEqual([[], ["signature"]]);
  });

  it("may be taken back, or ended, as the server says", async () => {
    const found = await check([
      told(grant(), { state: "revoked", revokedMs: NOW - 1000 }), told(grant(), { state: "ended" }), told(grant({ epoch: 0 }), { state: "revoked" }),
    ], { epoch: 1 });
    expect(found.map((one) => one.problems)).toEqual([[], [], []]);
    expect(found.map(pastWords)).toEqual(["Taken back 22 Nov 2026, 14:31.", "Ended when everything was taken back.", "Taken back."]);
  });

  it("may come from who acts for the person, and then that is said", async () => {
    const document = grant();
    expect(await problems([told(document, {}, KADRI_KEY)])).toEqual([["signature"]]);
    const [, byDelegate] = await check([told(delegation()), told(document, {}, KADRI_KEY)]);
    expect([byDelegate?.problems, byDelegate?.by]).toEqual([[], KADRI]);
    expect(await problems([told(delegation("SEE")), told(document, {}, KADRI_KEY)])).toEqual([[], ["signature"]]);
    // Nobody appoints themself.
    expect(await problems([told(delegation(), {}, KADRI_KEY), told(document, {}, KADRI_KEY)])).toEqual([["signature"], ["signature"]]);
    const [moved] = await check([told(document, {}, KADRI_KEY)], { controller: KADRI });
    expect([moved?.problems, moved?.by]).toEqual([[], KADRI]);
  });

  it("may stand on the chain alone, and then that is the server's word", async () => {
    const [one] = await check([told(grant(), { signature: null, receivedMs: null, onChain: { grantedAtS: 5, revokedAtS: null, isFinal: false } })]);
    expect([one?.problems, one?.isOnChainOnly]).toEqual([[], true]);
  });

  it("is no answer if it is about somebody else, or of another form", () => {
    expect(answerOf(answer([]), MARI)).toMatchObject({ epoch: 0, isChainRead: true });
    expect(answerOf(answer([], { subject: MARI }), MARI)).not.toBeNull();
    for (const change of [
      { version: "medtrail/permissions-v2" }, { subject: `0x${OTHER.slice(2).padStart(64, "0")}` }, { subject: "me" }, { controller: null },
      // With the highest number a person could never give anything again.
      { epoch: -1 }, { epoch: "0" }, { epoch: Number.MAX_SAFE_INTEGER }, { permissions: {} }, { chain: true },
    ]) expect(answerOf(answer([], change), MARI), JSON.stringify(change)).toBeNull();
    for (const value of [null, [], "x", undefined]) expect(answerOf(value, MARI)).toBeNull();
  });
});
