import { describe, expect, it } from "vitest";
import type { Hex } from "../ledger";
import { addressOf, MARI, MARI_KEY, NOW, OTHER, OTHER_KEY, REGISTRIES, sign } from "../permissions/testing";
import { documentId, type Erase } from "../permit";
import { answerOf, checkAll, eraseOf, type Problem } from "./erasures";

const LOG: Hex = `0x${"10".repeat(32)}`;
const DAY = 86_400_000;

function erase(change: Partial<Erase> = {}): Erase {
  const made = eraseOf("everything", { subject: MARI, log: LOG, lines: 137, nowMs: NOW - DAY });
  if (made === null) throw new Error("there are lines");
  return { ...made, ...change };
}

function told(of: Erase, change: object = {}, key = MARI_KEY) {
  return {
    id: documentId({ erase: of }, REGISTRIES), form: of.upToOrdinal === 0 ? "records" : "everything", document: { erase: of },
    signature: sign({ erase: of }, key) as Hex | null, parts: [], state: "waiting", askedMs: NOW - DAY, dueMs: NOW + 29 * DAY, endedMs: null, reason: null,
    ...change,
  };
}

const answer = (erasures: readonly unknown[], change: object = {}) => ({
  version: "medtrail/erasures-v1", subject: `0x${MARI.slice(2).padStart(64, "0")}`, log: LOG, lines: 137, waitMs: 30 * DAY,
  keepsRecords: null, keepsLines: null, erasures, ...change,
});

async function problems(one: unknown, { asked = new Map<Hex, Erase>(), cancelled = new Set<Hex>() } = {}): Promise<readonly (readonly Problem[])[]> {
  const read = answerOf(answer(one === null ? [] : [one]), MARI, LOG);
  if (read === null) throw new Error("an answer");
  return (await checkAll(read, { registries: REGISTRIES, address: MARI, log: LOG, nowMs: NOW, asked, cancelled })).map((checked) => checked.problems);
}

describe("what is signed", () => {
  it("names the records, or the last line too, in words made here", () => {
    const around = { subject: MARI, log: LOG, lines: 137, nowMs: NOW };
    const [records, everything] = [eraseOf("records", around), eraseOf("everything", around)];
    expect([records?.upToOrdinal, everything?.upToOrdinal]).toEqual([0, 137]);
    expect(records?.statement).toContain("Its lines stay.");
    expect(everything?.statement).toContain("up to line 137");
    for (const one of [records, everything]) expect([one?.expiresAt && one.expiresAt % 60, Number(one?.expiresAt) * 1000 > NOW]).toEqual([0, true]);
  });

  it("is never records alone where everything was meant", () => {
    expect(eraseOf("everything", { subject: MARI, log: LOG, lines: 0, nowMs: NOW })).toBeNull();
  });
});

describe("an answer", () => {
  it("is about this person and this service", () => {
    expect(answerOf(answer([]), MARI, LOG)).toMatchObject({ lines: 137, keepsRecords: null });
    const wrong = [
      null, {}, answer([], { version: "x" }), answer([], { subject: `0x${OTHER.slice(2).padStart(64, "0")}` }), answer([], { log: `0x${"11".repeat(32)}` }),
      answer([], { lines: -1 }), answer([], { lines: 2 ** 53 }), answer([], { erasures: {} }), answer([], { keepsLines: { kind: "whim" } }),
      answer([], { keepsRecords: { kind: "retention", untilMs: "soon" } }),
    ];
    for (const value of wrong) expect(answerOf(value, MARI, LOG), JSON.stringify(value)).toBeNull();
  });

  it("says what the law keeps, and who ordered it", () => {
    expect(answerOf(answer([]), MARI, LOG)).toMatchObject({ aliases: 0 });
    expect(answerOf(answer([], { aliases: [MARI] }), MARI, LOG)).toMatchObject({ aliases: 1 });
    const keepsLines = { kind: "retention", untilMs: NOW + DAY };
    const keepsRecords = { kind: "legal-hold", reason: "A case", orderedBy: "The court" };
    expect(answerOf(answer([], { keepsLines, keepsRecords }), MARI, LOG)).toMatchObject({ keepsLines, keepsRecords });
  });
});

describe("an erasure that the server tells of", () => {
  it("holds if the person signed it, for this service, in these words", async () => {
    expect(await problems(told(erase()))).toEqual([[]]);
    const refused = { state: "refused", endedMs: NOW, reason: { kind: "retention", untilMs: NOW + DAY } };
    expect(await problems(told(erase(), refused))).toEqual([[]]);
    expect(await problems(told(erase(), { state: "cancelled", endedMs: NOW }))).toEqual([[]]);
  });

  it("does not hold otherwise", async () => {
    const cases: [unknown, Problem][] = [
      [told(erase(), { id: `0x${"01".repeat(32)}` }), "id"],
      [told(erase({ upToOrdinal: 138 })), "statement"],
      [told(erase(), {}, OTHER_KEY), "signature"],
      [told(erase(), { signature: "0x" }), "signature"],
      [told(erase(), { signature: null }), "unsigned"],
      [told(erase(), { form: "records" }), "form"],
      [told(erase(), { dueMs: NOW + DAY }), "soon"],
      [told(erase(), { state: "done", endedMs: NOW }), "state"],
      [told(erase(), { state: "refused", endedMs: NOW }), "state"],
      [told(erase(), { document: { revoke: { subject: MARI, permission: LOG } } }), "malformed"],
      [told(erase(), { state: "soon" }), "malformed"],
      ["x", "malformed"],
    ];
    for (const [one, problem] of cases) expect((await problems(one))[0], problem).toContain(problem);
    const ofOther = eraseOf("records", { subject: OTHER, log: LOG, lines: 1, nowMs: NOW }) as Erase;
    expect((await problems(told(ofOther, {}, OTHER_KEY)))[0]).toEqual(["person", "signature"]);
    const elsewhere = eraseOf("records", { subject: MARI, log: `0x${"12".repeat(32)}`, lines: 1, nowMs: NOW }) as Erase;
    expect((await problems(told(elsewhere)))[0]).toEqual(["log"]);
    expect(addressOf(MARI_KEY)).toBe(MARI);
  });

  it("is missed if this page asked for it, and is no more what this page cancelled", async () => {
    const asked = erase();
    const id = documentId({ erase: asked }, REGISTRIES);
    expect(await problems(null, { asked: new Map([[id, asked]]) })).toEqual([["missing"]]);
    expect(await problems(told(asked), { asked: new Map([[id, asked]]) })).toEqual([[]]);
    expect(await problems(told(asked), { cancelled: new Set([id]) })).toEqual([["state"]]);
  });
});
