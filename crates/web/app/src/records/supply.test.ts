import { describe, expect, it } from "vitest";
import type { Hex, Report } from "../ledger";
import { vectors } from "../ledger/testing";
import type { Checked } from "../trail/line";
import { isOfLine, type Version } from "./api";
import { wayOf } from "./supply";

const word = (byte: number): Hex => `0x${byte.toString(16).padStart(2, "0").repeat(32)}`;
const ZERO: Hex = `0x${"0".repeat(64)}`;
const [RECORD, LAB_RECORD] = [word(1), word(2)];
const KEY: Hex = `0x${"aa".repeat(20)}`;

let index = 0;
function line(kind: number, organisation: string | null, report: Partial<Report> = {}, over: object = {}): Checked {
  index += 1;
  return {
    line: { index, report: { kind, action: 0, record: RECORD, fromVersion: ZERO, toVersion: ZERO, actor: KEY, ...report } },
    facts: { organisation, isSelf: false }, organisation: organisation ?? "x", commitment: word(100 + index), problems: [], signedBy: KEY, ...over,
  } as unknown as Checked;
}

const made = line(2, "Fjord Hospital", { action: 67, toVersion: word(9) });
const given = line(3, "Fjord Hospital");
const taken = line(3, "Lab", { record: LAB_RECORD });
const TRAIL = [made, given, taken];

const holder = (name: string | null, change: object = {}) => ({ organisation: KEY, name, record: RECORD, sinceMs: 5, from: null, isConfirmed: true, ...change });
const named = (...lines: Checked[]) => lines.map(({ commitment, line: { index: at } }) => ({ index: at, commitment, isSigned: true }));
const step = (what: string, lines: Checked[], change: object = {}) => ({
  what, atMs: 5, by: 0, to: null, lines: named(...lines), confirmation: "oneSide", fromVersion: ZERO, toVersion: ZERO, permission: null,
  notPermitted: null, derivedFrom: [], ...change,
});
const CREATED = step("created", [made], { toVersion: word(9) });
const HANDED = step("handedOver", [given, taken], { to: 1, confirmation: "bothSides" });
const answer = (steps: unknown[], change: object = {}, holders: unknown[] = [holder("Fjord Hospital"), holder("Lab", { record: LAB_RECORD, from: 0 })]) => ({
  version: "medtrail/record-chain-v1", subject: ZERO, isWhole: true, lines: [],
  chain: { version: "medtrail/supply-chain-v1", record: RECORD, holders, steps }, ...change,
});

function isShown(steps: unknown[], lines = TRAIL) {
  return wayOf(answer(steps), RECORD, lines)?.steps.map((one) => one.isShown);
}

describe("where a record went", () => {
  it("is shown if the lines of the trail say the same", () => {
    const way = wayOf(answer([CREATED, HANDED]), RECORD, TRAIL);
    expect(way?.steps.map(({ what, by, to, isShown: is }) => [what, by.name, to?.name, is])).toEqual([
      ["created", "Fjord Hospital", undefined, true], ["handedOver", "Fjord Hospital", "Lab", true],
    ]);
    expect(way?.leftOut).toEqual([]);
  });

  it("is not shown by lines that are missing, wrong, of another kind, of other versions, or counted twice", () => {
    expect(isShown([CREATED, HANDED], [made, given])).toEqual([true, false]);
    expect(isShown([CREATED], [{ ...made, problems: ["signature"] }])).toEqual([false]);
    expect(isShown([{ ...CREATED, lines: named(given) }])).toEqual([false]);
    expect(isShown([{ ...CREATED, toVersion: word(8) }])).toEqual([false]);
    expect(isShown([{ ...CREATED, what: "deleted" }])).toEqual([false]);
    expect(isShown([{ ...CREATED, lines: [] }])).toEqual([false]);
    expect(isShown([{ ...HANDED, lines: named(given, given) }])).toEqual([false]);
    expect(isShown([{ ...HANDED, lines: named(given) }])).toEqual([false]);
    // A name beside somebody else's signature.
    expect(isShown([{ ...CREATED, by: 1 }])).toEqual([false]);
  });

  it("is missed if the drawing leaves a line out that the trail has", () => {
    expect(wayOf(answer([CREATED]), RECORD, TRAIL)?.leftOut).toEqual([given]);
    expect(wayOf(answer([CREATED], { isWhole: false }), RECORD, TRAIL)?.leftOut).toEqual([]);
  });

  it("is the person's own where they signed it", () => {
    const own = line(2, null, { action: 67, toVersion: word(9) }, { facts: { organisation: null, isSelf: true } });
    const way = wayOf(answer([{ ...CREATED, lines: named(own) }], {}, [holder(null)]), RECORD, [own]);
    expect([way?.holders[0]?.isPerson, way?.steps[0]?.isShown]).toEqual([true, true]);
    const relayed = { ...own, signedBy: null };
    expect(wayOf(answer([{ ...CREATED, lines: named(own) }], {}, [holder("Lab")]), RECORD, [relayed])?.steps[0]?.isShown).toBe(false);
  });

  it("is not read from anything else", () => {
    const wrong = [
      null, {}, answer([], { version: "x" }), answer([], { isWhole: 1 }), answer([{ ...CREATED, by: 7 }]), answer([{ ...HANDED, to: 7 }]),
      answer([{ ...CREATED, what: "sold" }]), answer([{ ...CREATED, lines: [{ commitment: "0x" }] }]), answer([CREATED], {}, [{}]),
    ];
    for (const value of wrong) expect(wayOf(value, RECORD, TRAIL), JSON.stringify(value)).toBeNull();
    expect(wayOf(answer([]), word(7), TRAIL)).toBeNull();
  });

  it("has the form that the server writes", () => {
    const chain = vectors<{ record: Hex }>("../data/formats/supply-chain-v1");
    const way = wayOf(answer([], { chain }), chain.record, []);
    expect(way?.holders.map(({ name, isConfirmed }) => [name, isConfirmed])).toEqual([["Fjord Hospital", true], ["Lab", true], ["the other side", false]]);
    expect(way?.steps.map(({ what, confirmation }) => [what, confirmation])).toEqual([["created", "oneSide"], ["handedOver", "bothSides"], ["handedOver", "notConfirmed"]]);
  });
});

it("a version is that of its line, or not to be relied on", () => {
  const version = { version: word(9), from: ZERO, index: made.line.index, actor: KEY } as unknown as Version;
  expect(isOfLine(version, RECORD, made)).toBe(true);
  for (const [changed, of] of [[{ ...version, version: word(8) }, made], [{ ...version, from: word(8) }, made], [{ ...version, actor: `0x${"bb".repeat(20)}` as Hex }, made],
    [version, undefined], [version, { ...made, problems: ["details"] as const }], [version, given]] as const) {
    expect(isOfLine(changed, RECORD, of as Checked | undefined)).toBe(false);
  }
  expect(isOfLine(version, word(7), made)).toBe(false);
});
