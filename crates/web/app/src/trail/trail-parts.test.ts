import { describe, expect, it } from "vitest";
import { countDays, squares } from "./calendar";
import { addDays, dayOf, isNight, weekdayOf } from "./days";
import { afterNews } from "./feed";
import { foldDays, type Shown } from "./fold";
import { matches, noFilters } from "./filters";
import { reasons, refusedBy, type Judged } from "./unusual";
import { leadOf } from "./words";

// Tests run in Tallinn: 23:47 there is 21:47 in UTC in winter.
const NIGHT = Date.parse("2026-11-21T21:47:00Z");
const NOON = Date.parse("2026-11-21T10:00:00Z");

function facts(over: Partial<Shown["facts"]> = {}): Shown["facts"] {
  return {
    kind: "access", organisation: "Kalda", relayed: false, who: { name: "Dr Liis Kask", id: null, role: null }, onBehalfOf: null, counterpart: null,
    isMachine: false, isSelf: false, verb: "read", categories: ["allergies"], more: false, topic: null, resource: null, purpose: "TREAT",
    emergency: false, sensitive: false, failed: false, refused: false, query: null, flags: [], origin: null, atMs: NOON, ...over,
  };
}

function judged(over: Partial<Judged> = {}, of: Partial<Shown["facts"]> = {}): Judged {
  return { facts: facts(of), organisation: "Kalda", kind: 1, hasPermission: false, receivedMs: over.receivedMs ?? of.atMs ?? NOON, ...over };
}

let index = 0;
function shown(over: Partial<Shown["facts"]> = {}, rest: Partial<Shown> = {}): Shown {
  index += 1;
  return {
    line: { index } as Shown["line"], state: "recorded", anchor: null, facts: facts(over), sentence: "S", commitment: "0x", signedBy: "0x",
    problems: [], binds: null, organisation: over.organisation ?? "Kalda", reasons: [], talk: null, ...rest,
  };
}

describe("what is unusual", () => {
  it("is nothing about a doctor who treats at noon", () => {
    expect(reasons([judged()])).toEqual([[]]);
  });

  it("is a night, on this device's clock", () => {
    expect(isNight(NIGHT)).toBe(true);
    expect(reasons([judged({}, { atMs: NIGHT })])).toEqual([["night"]]);
    expect(isNight(Date.parse("2026-11-21T04:01:00Z"))).toBe(false);
  });

  it("is no night for a machine", () => {
    expect(reasons([judged({}, { atMs: NIGHT, isMachine: true })])).toEqual([[]]);
  });

  it("is an emergency, a refusal, no reason, and a report a day late", () => {
    expect(reasons([
      judged({}, { emergency: true }), judged({ kind: 8 }, { refused: true }), judged({}, { purpose: null }),
      judged({ receivedMs: NOON + 25 * 3_600_000 }),
    ])).toEqual([["emergency"], ["refused"], ["noReason"], ["late"]]);
  });

  it("is a change without permission, and none with it", () => {
    expect(reasons([judged({ kind: 2 }), judged({ kind: 2, hasPermission: true })])).toEqual([["withoutPermission"], []]);
  });

  it("is what the log says was not permitted, and nothing that only names no permission", () => {
    const line = (kind: number, permission: string, evidence: string) =>
      ({ line: { report: { kind, permission }, evidence } as unknown as Shown["line"] });
    const refused = refusedBy([line(8, "0xaa", "relayed"), line(2, "0xbb", "signed"), line(8, "0xcc", "signed")]);
    expect([...refused]).toEqual(["0xaa"]);
  });

  it("is somebody new, once others are known", () => {
    const known = Array.from({ length: 10 }, () => judged());
    const stranger = judged({}, { who: { name: "Dr Other", id: null, role: null } });
    expect(reasons([...known, stranger, stranger]).slice(10)).toEqual([["newActor"], []]);
    expect(reasons([stranger])).toEqual([[]]);
  });
});

describe("repeats", () => {
  it("of a machine become one row from two on, per organisation and day", () => {
    const machine = { isMachine: true, organisation: "Lumi" };
    const [day] = foldDays([shown(machine), shown(machine), shown({ ...machine, organisation: "Tide" })]);
    expect(day?.rows.map((row) => (row.kind === "fold" ? row.lines.length : 1))).toEqual([2, 1]);
  });

  it("of a person become one row from three on, if they read the same", () => {
    const [day] = foldDays([shown(), shown(), shown(), shown({}, { sentence: "Other" })]);
    expect(day?.rows.map((row) => row.kind).sort()).toEqual(["fold", "one"]);
    expect(foldDays([shown(), shown()])[0]?.rows).toHaveLength(2);
  });

  it("never hide what is unusual or does not check", () => {
    const machine = { isMachine: true };
    const [day] = foldDays([shown(machine, { reasons: ["emergency"] }), shown(machine, { problems: ["details"] }), shown(machine)]);
    expect(day?.rows.every(({ kind }) => kind === "one")).toBe(true);
  });

  it("stay with their own day, newest day first", () => {
    const days = foldDays([shown({ atMs: NOON }), shown({ atMs: NOON + 86_400_000 })]);
    expect(days.map(({ day }) => day)).toEqual(["2026-11-22", "2026-11-21"]);
  });
});

describe("a filter", () => {
  it("finds by organisation, person, data, reason, day and kind of user", () => {
    const line = shown({ atMs: NOON });
    const hits = (over: object) => matches(line, { ...noFilters(), ...over });
    expect([hits({}), hits({ who: "Kalda" }), hits({ who: "Dr Liis Kask" }), hits({ what: "allergies" }), hits({ why: "TREAT" }),
      hits({ from: "2026-11-21", until: "2026-11-21" }), hits({ by: "people" })]).toEqual(Array(7).fill(true));
    expect([hits({ who: "Lumi" }), hits({ what: "notes" }), hits({ why: "-" }), hits({ from: "2026-11-22" }), hits({ until: "2026-11-20" }),
      hits({ by: "machines" }), hits({ isUnusualOnly: true })]).toEqual(Array(7).fill(false));
  });
});

describe("the calendar", () => {
  it("has whole weeks from Monday, and ends today", () => {
    const today = "2026-11-25";
    expect(weekdayOf(today)).toBe(2);
    const drawn = squares([{ day: today, people: 4, machines: 9 }, { day: "2026-11-24", people: 1, machines: 0 }], today, 2);
    expect(drawn).toHaveLength(10);
    expect(drawn[0]).toMatchObject({ day: "2026-11-16", week: 0, weekday: 0, level: 0 });
    expect(drawn.at(-1)).toMatchObject({ day: today, week: 1, weekday: 2, level: 4 });
    expect(drawn.at(-2)?.level).toBe(1);
  });

  it("counts people and machines apart, by the device's days", () => {
    expect(countDays([{ atMs: NIGHT, isMachine: false }, { atMs: NIGHT + 3_600_000, isMachine: true }]))
      .toEqual([{ day: "2026-11-21", people: 1, machines: 0 }, { day: "2026-11-22", people: 0, machines: 1 }]);
  });

  it("does not lose a day where the clocks change", () => {
    expect(addDays("2026-10-25", 1)).toBe("2026-10-26");
    expect(dayOf(Date.parse("2026-10-25T23:30:00+02:00"))).toBe("2026-10-25");
  });
});

describe("news of the chain", () => {
  const news = { number: 3, size: 10, state: "mined", tx: "0xaa", block: 7, timeS: 1 } as const;
  const recorded = { state: "recorded", anchor: null } as const;

  it("move lines below the size, and no others", () => {
    expect(afterNews(9, recorded, news)).toMatchObject({ state: "mined", anchor: { number: 3, block: 7 } });
    expect(afterNews(10, recorded, news)).toBe(recorded);
  });

  it("leave a line the place on the chain that it had first", () => {
    const mined = afterNews(1, recorded, news);
    const final = afterNews(1, mined, { ...news, number: 4, size: 12, state: "final", block: 8 });
    expect(final).toMatchObject({ state: "final", anchor: { number: 3, block: 7 } });
    expect(afterNews(1, final, news)).toBe(final);
  });
});

describe("a sentence", () => {
  it("has its kind of news set apart, and nothing lost", () => {
    expect(leadOf("Emergency. Dr Saar opened it.")).toEqual({ lead: "Emergency.", says: "emergency", rest: "Dr Saar opened it." });
    expect(leadOf("Dr Emergency. read it.")).toEqual({ lead: "", says: null, rest: "Dr Emergency. read it." });
  });
});
