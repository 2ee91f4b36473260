// @vitest-environment node
import { secp256k1 } from "@noble/curves/secp256k1";
import { keccak256 } from "viem/utils";
import { describe, expect, it } from "vitest";
import { base64, hexToBytes, utf8 } from "./bytes";
import { commitmentOf } from "./entry";
import { checkLine, checkPart } from "./line";
import { leafHash, rootOf, sha256 } from "./merkle";
import { digest, reportHash, structHash } from "./schema";
import { fixtureTrust } from "./testing";
import type { Hex, Line, Report, TrailPart, TrustFile } from "./types";

const CLINIC = hexToBytes(`0x${"05".repeat(32)}`);
const NOBODY = hexToBytes(`0x${"02".repeat(32)}`);
const SUBJECT: Hex = `0x${"00".repeat(12)}${"5a".repeat(20)}`;
const ZERO: Hex = `0x${"00".repeat(32)}`;

const addressOf = (key: Uint8Array): Hex => `0x${keccak256(secp256k1.getPublicKey(key, false).slice(1)).slice(26)}`;

function sign(hash: Hex, key: Uint8Array): Hex {
  const signature = secp256k1.sign(hexToBytes(hash), key);
  return `0x${signature.toCompactHex()}${signature.recovery === 0 ? "1b" : "1c"}`;
}

async function trusted(): Promise<TrustFile> {
  const trust = await fixtureTrust();
  const clinic = trust.organisations[0];
  if (clinic) clinic.keys = [{ address: addressOf(CLINIC), fromMs: 10, untilMs: 1_000 }];
  return trust;
}

async function line(number: number, previous: Hex, change: Partial<Report> = {}, key = CLINIC): Promise<Line> {
  const trust = await trusted();
  const details = { text: `{"number":${number}}` };
  const report: Report = {
    log: trust.log, eventId: `0x${String(number).padStart(64, "0")}`, kind: 1, action: 82, timeMs: 20 + number, subject: SUBJECT,
    actor: addressOf(key), record: ZERO, fromVersion: ZERO, toVersion: ZERO, permission: ZERO,
    details: sha256(utf8(details.text)), ...change,
  };
  return {
    version: "medtrail/line-v1", index: 100 + number, report,
    place: { open: { ordinal: number, previous, receivedMs: 30 + number, salt: `0x${"07".repeat(32)}` } },
    details, evidence: { signed: sign(digest(reportHash(report), trust), key) }, state: "recorded", anchor: null,
  };
}

async function trail(length: number): Promise<{ part: TrailPart; lines: Line[] }> {
  const lines: Line[] = [];
  let last = ZERO;
  for (let number = 1; number <= length; number += 1) {
    const next = await line(number, last);
    last = commitmentOf(next.report, next.place);
    lines.push(next);
  }
  return { part: { subject: SUBJECT, organisation: null, lines: length, last: length === 0 ? null : last }, lines };
}

describe("a line", () => {
  it("that was signed by a named organisation has no problem", async () => {
    const one = await line(1, ZERO);
    expect(await checkLine(one, await trusted())).toEqual({
      commitment: commitmentOf(one.report, one.place), signedBy: addressOf(CLINIC), problems: [],
    });
    expect(await checkLine({ ...one, details: null }, await trusted())).toMatchObject({ problems: [] });
  });

  it("may be signed in a batch", async () => {
    const [one, two, trust] = [await line(1, ZERO), await line(2, ZERO), await trusted()];
    const leaves = [one, two].map(({ report }) => leafHash(reportHash(report)));
    const root = rootOf(leaves);
    const signature = sign(digest(structHash("ReportBatch", { root, count: 2 }), trust), CLINIC);
    const batch = { count: 2, index: 1, root, path: [leaves[0] as Hex], signature };
    expect(await checkLine({ ...two, evidence: { batch } }, trust)).toMatchObject({ signedBy: addressOf(CLINIC), problems: [] });
    expect(await checkLine({ ...one, evidence: { batch } }, trust)).toMatchObject({ signedBy: null, problems: ["signature"] });
    const shorter = { ...batch, path: [] };
    expect(await checkLine({ ...two, evidence: { batch: shorter } }, trust)).toMatchObject({ problems: ["signature"] });
  });

  it("has its problems told", async () => {
    const [one, trust] = [await line(1, ZERO), await trusted()];
    const problems = async (changed: Line) => (await checkLine(changed, trust)).problems;
    const report = (change: Partial<Report>): Line => ({ ...one, report: { ...one.report, ...change } });
    expect(await problems({ ...one, details: { text: "{}" } })).toEqual(["details"]);
    // Base64 is for bytes that are no text: a second form of one document is refused.
    expect(await problems({ ...one, details: { base64: base64(utf8('{"number":1}')) } })).toEqual(["details"]);
    expect(await problems(report({ timeMs: 22 }))).toEqual(["signature"]);
    expect(await problems(report({ log: ZERO }))).toEqual(["otherLog", "signature"]);
    expect(await problems({ ...one, evidence: { signed: "0x" } })).toEqual(["signature"]);
    expect(await problems({ ...one, evidence: "relayed" })).toEqual(["relayedByStranger"]);
    const operator = trust.operator.keys[0]?.address as Hex;
    expect(await problems({ ...report({ actor: operator }), evidence: "relayed" })).toEqual([]);
    expect(await problems(await line(1, ZERO, {}, NOBODY))).toEqual(["stranger"]);
    expect(await problems(await line(1, ZERO, { timeMs: 9 }))).toEqual(["stranger"]);
    expect(await problems(await line(1, ZERO, { timeMs: 1_000 }))).toEqual(["stranger"]);
  });

  it("is no stranger's if the person it is about signed it, and only then", async () => {
    const trust = await trusted();
    const subject = (key: Hex): Hex => `0x${key.slice(2).padStart(64, "0")}`;
    const { signedBy } = await checkLine(await line(1, ZERO, {}, NOBODY), trust);
    const own = await line(1, ZERO, { subject: subject(signedBy as Hex) }, NOBODY);
    expect(await checkLine(own, trust)).toMatchObject({ signedBy, problems: [] });
    const byAnother = await line(1, ZERO, { subject: subject(`0x${"99".repeat(20)}`) }, NOBODY);
    expect((await checkLine(byAnother, trust)).problems).toEqual(["stranger"]);
  });

  it("that is malformed is said to be, whatever the server sent", async () => {
    const [one, trust] = [await line(1, ZERO), await trusted()];
    for (const change of [
      { kind: 256 }, { kind: -1 }, { kind: 1.5 }, { timeMs: 2 ** 53 }, { subject: "0x" }, { actor: SUBJECT }, { record: null },
      { log: "0x1" }, { details: ZERO.toUpperCase() },
    ]) {
      const changed = { ...one, report: { ...one.report, ...change } as Report };
      expect(await checkLine(changed, trust), JSON.stringify(change)).toMatchObject({ signedBy: null, problems: ["malformed"] });
    }
    const evidence = { signed: 7 } as unknown as Line["evidence"];
    expect(await checkLine({ ...one, evidence }, trust)).toMatchObject({ problems: ["signature"] });
  });
});

describe("a part of a trail", () => {
  it("is complete with every line from the first to the newest, in any order, among lines of others", async () => {
    const { part, lines } = await trail(5);
    const other = await line(1, ZERO, { subject: `0x${"66".repeat(32)}` });
    expect(checkPart(part, [...lines].reverse().concat(other, lines.slice(0, 2)))).toEqual({
      complete: true, count: 5, missing: [], broken: [],
    });
    expect(checkPart({ ...part, lines: 0, last: null }, [])).toEqual({ complete: true, count: 0, missing: [], broken: [] });
  });

  it("misses each line that is left out", async () => {
    const { part, lines } = await trail(5);
    for (const left of [0, 1, 2, 3, 4]) {
      const found = checkPart(part, lines.filter((_, place) => place !== left));
      expect(found).toEqual({ complete: false, count: 4, missing: [left + 1], broken: [] });
    }
    // Leaving out the newest and counting one less: the last one told does not fit.
    expect(checkPart({ ...part, lines: 4 }, lines.slice(0, 4))).toMatchObject({ complete: false, broken: [4] });
    expect(checkPart({ ...part, lines: 0 }, [])).toMatchObject({ complete: false });
  });

  it("is broken where a line was altered, put in, or told twice", async () => {
    const { part, lines } = await trail(5);
    const third = lines[2] as Line;
    const altered = { ...third, report: { ...third.report, timeMs: 1 } };
    expect(checkPart(part, lines.with(2, altered))).toMatchObject({ complete: false, missing: [], broken: [4] });
    expect(checkPart(part, [...lines, altered])).toMatchObject({ complete: false, broken: expect.arrayContaining([3]) });
    const sixth = await line(6, part.last as Hex);
    expect(checkPart(part, [...lines, sixth])).toMatchObject({ complete: false, count: 6, broken: [6] });
    const newest = lines[4] as Line;
    expect(checkPart(part, lines.with(4, { ...newest, report: { ...newest.report, timeMs: 1 } }))).toMatchObject({ broken: [5] });
    const first = await line(1, `0x${"99".repeat(32)}`);
    expect(checkPart({ ...part, lines: 1, last: commitmentOf(first.report, first.place) }, [first])).toMatchObject({ broken: [1] });
    expect(checkPart(part, lines.with(2, { ...third, place: { hash: ZERO } }))).toMatchObject({ missing: [3], broken: [0] });
    const malformed = { ...third, report: { ...third.report, kind: 999 } };
    expect(checkPart(part, lines.with(2, malformed))).toMatchObject({ missing: [3], broken: [0] });
  });

  it("of which the first lines were erased is whole without them, and without no other", async () => {
    const { part, lines } = await trail(5);
    expect(checkPart(part, lines.slice(2), 2)).toMatchObject({ complete: true, count: 3, missing: [], broken: [] });
    expect(checkPart(part, lines.slice(2), 1)).toMatchObject({ complete: false, missing: [2] });
    expect(checkPart(part, lines.slice(3), 2)).toMatchObject({ complete: false, missing: [3] });
    expect(checkPart(part, lines.slice(2, 4), 2)).toMatchObject({ complete: false, missing: [5] });
    expect(checkPart(part, [], 5)).toMatchObject({ complete: true, count: 0 });
    expect(checkPart({ ...part, lines: 6 }, [], 5)).toMatchObject({ complete: false, missing: [6] });
  });

  it("with a count that nobody could have sent lists no more than a thousand missing", async () => {
    const { part, lines } = await trail(2);
    const found = checkPart({ ...part, lines: Number.MAX_SAFE_INTEGER }, lines);
    expect(found.missing).toHaveLength(1_000);
    expect(found.complete).toBe(false);
  });
});
