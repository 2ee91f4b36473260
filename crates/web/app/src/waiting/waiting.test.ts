import { describe, expect, it } from "vitest";
import type { Hex, Report } from "../ledger";
import type { Checked } from "../trail/line";
import { approvalOf } from "./approval";
import { connectionsOf } from "./connections";
import { sayingOf } from "./sayings";
import { linesOfDay, mayAsk, talksOf, waitingOf } from "./waiting";

const NOW = Date.parse("2026-11-28T10:00:00Z");
const word = (byte: number): Hex => `0x${byte.toString(16).padStart(2, "0").repeat(32)}`;
const HOSPITAL: Hex = `0x${"aa".repeat(20)}`;
const ZERO: Hex = `0x${"0".repeat(64)}`;

let index = 0;
/** A line as it stands after all checks of it. */
function line(kind: number, details: object | null, over: { report?: Partial<Report>; signed?: boolean; facts?: object; organisation?: string; problems?: string[] } = {}): Checked {
  index += 1;
  const text = details === null ? null : { text: JSON.stringify(details) };
  const report = {
    log: word(1), eventId: word(index), kind, action: 0, timeMs: NOW, subject: word(2), actor: HOSPITAL, record: ZERO, fromVersion: ZERO,
    toVersion: ZERO, permission: ZERO, details: word(3), ...over.report,
  };
  return {
    line: { index, report, details: text, evidence: over.signed ? { signed: "0x" } : "relayed", place: { hash: word(4) } },
    facts: { atMs: NOW, isSelf: false, emergency: false, isMachine: false, ...over.facts }, commitment: word(100 + index), problems: over.problems ?? [],
    organisation: over.organisation ?? "Harbour Hospital", sentence: "S", signedBy: null, binds: null, state: "recorded", anchor: null,
  } as unknown as Checked;
}

const asked = (of: Checked, more: object = {}) => line(12, {
  version: "medtrail/question-v1", act: "asked", line: { index: of.line.index, commitment: of.commitment }, organisation: HOSPITAL,
  wants: "reason", dueMs: NOW + 1_000, ...more,
});
const answered = (question: Checked, signed = true) => line(12,
  { version: "medtrail/question-v1", act: "answered", question: question.commitment, text: "She was on duty." }, { signed });
const billed = (more: object = {}) => line(15, { version: "medtrail/claim-v1", act: "billed", day: "2026-11-27", service: { text: "MRI" }, ...more }, { signed: true });
const requested = (record = word(50)) => line(12, {
  version: "medtrail/change-request-v1", act: "asked", about: { title: "Allergies", mediaType: "application/fhir+json" }, why: "A reaction", untilMs: NOW + 1_000,
}, { signed: true, report: { record, fromVersion: word(51), toVersion: word(52) } });
const approvedBy = (request: Checked, over: object = {}) => line(4, { version: "medtrail/permission-v1", document: { changeApproval: {
  record: request.line.report.record, fromVersion: request.line.report.fromVersion, toVersion: request.line.report.toVersion,
  custodian: request.line.report.actor, ...over,
} } });

describe("what lines say", () => {
  it("is nothing if the line did not check, has no content, or its kind is another", () => {
    const of = line(1, {});
    expect(sayingOf(asked(of))?.act).toBe("asked");
    expect(sayingOf({ ...asked(of), problems: ["details"] })).toBeNull();
    expect(sayingOf(line(12, null))).toBeNull();
    expect(sayingOf(line(1, { version: "medtrail/question-v1", act: "asked", line: { commitment: word(1) }, wants: "reason", dueMs: 1 }))).toBeNull();
  });

  it("is a person's word only where the log itself wrote it: nobody may ask or answer in a person's name", () => {
    const signed = line(12, { version: "medtrail/question-v1", act: "asked", line: { commitment: word(1) }, wants: "reason", dueMs: 1 }, { signed: true });
    expect(sayingOf(signed)).toBeNull();
    const reply = { version: "medtrail/claim-v1", act: "answered", claim: word(9), answer: "yes" };
    expect(sayingOf(line(15, reply))?.act).toBe("replied");
    expect(sayingOf(line(15, reply, { signed: true }))).toBeNull();
    expect(sayingOf(line(15, { version: "medtrail/relayed-v1", document: JSON.stringify(reply) }))).toBeNull();
  });

  it("is an organisation's word by its signature or in the log's envelope", () => {
    const words = { version: "medtrail/question-v1", act: "answered", question: word(9), text: "Because" };
    expect(sayingOf(line(12, words, { signed: true }))).toEqual({ act: "answered", question: word(9), text: "Because" });
    expect(sayingOf(line(12, { version: "medtrail/relayed-v1", document: JSON.stringify(words) }))).toEqual({ act: "answered", question: word(9), text: "Because" });
  });
});

describe("what waits", () => {
  it("is a bill until the person has answered, whose last word counts", () => {
    const claim = billed();
    const told = waitingOf([billed({ service: { text: "MRI", resource: "ImagingStudy" } })], NOW).claims[0];
    expect([told?.said.category, waitingOf([claim], NOW).claims[0]?.said.category]).toEqual(["images", null]);
    expect(waitingOf([claim], NOW).open).toBe(1);
    const reply = (answer: string) => line(15, { version: "medtrail/claim-v1", act: "answered", claim: claim.commitment, answer });
    const [yes, no] = [reply("yes"), reply("no")];
    expect(waitingOf([no, claim, yes], NOW)).toMatchObject({ open: 0, claims: [{ reply: { answer: "no" } }] });
  });

  it("is a change until it is answered, taken back or over", () => {
    const request = requested();
    expect(waitingOf([request], NOW).changes[0]?.state).toBe("open");
    expect(waitingOf([request], NOW + 1_000).changes[0]?.state).toBe("expired");
    expect(waitingOf([request, approvedBy(request)], NOW).changes[0]?.state).toBe("approved");
    for (const how of ["declined", "withdrawn", "expired"] as const) {
      const end = line(12, { version: "medtrail/change-request-v1", act: how }, { report: { permission: request.commitment as Hex } });
      expect(waitingOf([request, end], NOW)).toMatchObject({ open: 0, changes: [{ state: how }] });
    }
    const { record, fromVersion, toVersion } = request.line.report;
    const made = line(2, {}, { signed: true, report: { record, fromVersion, toVersion } });
    expect(waitingOf([request, approvedBy(request), made], NOW).changes[0]?.state).toBe("done");
  });

  it("is not answered by an approval of something else, for somebody else, or of before", () => {
    const before = approvedBy(requested());
    const request = requested();
    for (const other of [before, approvedBy(request, { record: word(60) }), approvedBy(request, { toVersion: word(60) }), approvedBy(request, { custodian: `0x${"bb".repeat(20)}` })]) {
      expect(waitingOf([request, other], NOW).changes.find(({ line }) => line === request)?.state).toBe("open");
    }
  });

  it("is an emergency change until the person says yes or no to it", () => {
    const change = line(2, {}, { signed: true, facts: { emergency: true, purpose: "BTG" }, report: { record: word(70), fromVersion: word(71), toVersion: word(72) } });
    expect(waitingOf([change], NOW)).toMatchObject({ open: 1, emergencies: [{ state: "open" }] });
    expect(waitingOf([change, approvedBy(change)], NOW).emergencies[0]?.state).toBe("confirmed");
    // What was entered for an organisation without a key is approved for that organisation.
    const relayed = line(2, { version: "medtrail/relayed-v1", organisation: `0x${"bb".repeat(20)}`, document: "{}" }, { facts: { emergency: true, purpose: "BTG" }, report: { record: word(70), fromVersion: word(71), toVersion: word(72) } });
    expect(waitingOf([relayed, approvedBy(relayed)], NOW).emergencies[0]?.state).toBe("open");
    expect(waitingOf([relayed, approvedBy(relayed, { custodian: `0x${"bb".repeat(20)}` })], NOW).emergencies[0]?.state).toBe("confirmed");
    const no = line(4, { version: "medtrail/permission-v1", document: { revoke: { permission: change.commitment } } });
    expect(waitingOf([change, approvedBy(change), no], NOW).emergencies[0]?.state).toBe("denied");
    const calm = line(2, {}, { signed: true });
    expect(waitingOf([calm], NOW).emergencies).toEqual([]);
    const treated = line(2, {}, { signed: true, facts: { emergency: true, purpose: "ETREAT" } });
    expect(waitingOf([treated], NOW).emergencies).toEqual([]);
  });

  it("is asked about an emergency for 30 days of the line's own time, and after them it waits no more but can be answered", () => {
    const month = 30 * 86_400_000;
    const at = (one: Checked, receivedMs: number) => ({ ...one, line: { ...one.line, place: { open: { ordinal: 1, receivedMs } } } }) as unknown as Checked;
    const own = { subject: `0x${"0".repeat(24)}${"ab".repeat(20)}` as Hex, record: word(70), fromVersion: word(71), toVersion: word(72) };
    const glass = { signed: true, facts: { emergency: true, purpose: "BTG" } };
    const change = at(line(2, {}, { ...glass, report: own }), NOW - 1_000);
    const untilMs = NOW - 1_000 + month;
    expect(waitingOf([change], untilMs - 1)).toMatchObject({ open: 1, emergencies: [{ state: "open", untilMs, isTold: false }] });
    expect(waitingOf([change], untilMs)).toMatchObject({ open: 0, emergencies: [{ state: "silent", isTold: false }] });
    const silence = (receivedMs: number, over: object = {}) => at(line(12,
      { version: "medtrail/emergency-v1", act: "unanswered", line: { index: change.line.index, commitment: change.commitment }, sinceMs: NOW, dueMs: untilMs }, over), receivedMs);
    expect(waitingOf([change, silence(untilMs + 1)], untilMs + 2)).toMatchObject({ open: 0, emergencies: [{ state: "silent", isTold: true }] });
    // Silence is the log's to tell, and not before its time.
    expect(waitingOf([change, silence(NOW + 1)], NOW + 2)).toMatchObject({ open: 1, emergencies: [{ state: "open", isTold: false }] });
    expect(waitingOf([change, silence(untilMs + 1, { signed: true })], NOW).emergencies[0]?.isTold).toBe(false);
    const yes = at(approvedBy(change), untilMs + 86_400_000);
    expect(waitingOf([change, silence(untilMs + 1), yes], untilMs + month).emergencies[0]?.state).toBe("confirmed");
    const no = line(4, { version: "medtrail/permission-v1", document: { revoke: { permission: change.commitment } } });
    expect(waitingOf([change, silence(untilMs + 1), no], untilMs + month).emergencies[0]?.state).toBe("denied");
    // Who had no key is asked since the day of the connection.
    const before = at(line(2, {}, { ...glass, report: { ...own, subject: word(9) } }), NOW - month);
    const bound = at(line(11, {}, { report: { subject: word(9) } }), NOW);
    expect(waitingOf([before, bound], NOW).emergencies[0]).toMatchObject({ state: "open", untilMs: NOW + month });
    // A guardian was asked before that: the log's own line says until when.
    const asked = at(line(12, { version: "medtrail/emergency-v1", act: "unanswered",
      line: { index: before.line.index, commitment: before.commitment }, sinceMs: NOW - month, dueMs: NOW + 5 }, { report: { timeMs: NOW + 5 } }), NOW + 6);
    expect(waitingOf([before, bound, asked], NOW + 7).emergencies[0]).toMatchObject({ state: "silent", untilMs: NOW + 5, isTold: true });
  });
});

describe("an erasure that runs", () => {
  const told = (act: string, over: object = {}) =>
    ({ ...line(10, {}), erasure: { act, erasure: word(90), form: "records", dueMs: act === "asked" ? NOW + 86_400_000 : null, isSigned: true, ...over } }) as unknown as Checked;

  it("waits until it is cancelled, refused or done", () => {
    const asked = told("asked");
    expect(waitingOf([asked], NOW)).toMatchObject({ open: 1, clocks: [{ state: "running", form: "records", dueMs: NOW + 86_400_000, isSigned: true }] });
    for (const act of ["cancelled", "refused", "done"] as const) {
      expect(waitingOf([asked, told(act)], NOW)).toMatchObject({ open: 0, clocks: [{ state: act }] });
    }
  });

  it("is not ended by another one, by one before it, by a line that is wrong, or by a word that nobody signed", () => {
    const before = told("cancelled");
    const asked = told("asked");
    for (const other of [before, told("cancelled", { erasure: word(91) }), { ...told("cancelled"), problems: ["details"] } as unknown as Checked, told("done", { isSigned: false })]) {
      expect(waitingOf([asked, other], NOW).open).toBe(1);
    }
    const signed = told("asked");
    expect(waitingOf([{ ...signed, line: { ...signed.line, evidence: { signed: "0x" } } } as unknown as Checked], NOW).clocks).toEqual([]);
  });
});

it("connections are those under way, read narrowly", () => {
  const one = (state: string, change: object = {}) => ({ id: "0x1", organisation: { id: HOSPITAL, name: "Harbour" }, state, expiresMs: NOW + 1, ...change });
  const states = (own: unknown[]) => connectionsOf({ own }, NOW).map(({ state }) => state);
  expect(states([one("to-sign"), one("to-countersign"), one("entering"), one("entered"), one("refused"), one("toString")])).toEqual(["toSign", "toConfirm", "toConfirm"]);
  expect(states([one("to-sign", { expiresMs: NOW }), one("entering", { expiresMs: NOW }), one("to-sign", { organisation: null }), null])).toEqual(["toConfirm"]);
  expect(connectionsOf(null, NOW)).toEqual([]);
});

describe("what was said about a line", () => {
  it("is asked once at a time", () => {
    const look = line(1, {}, { signed: true });
    expect(mayAsk(look, null)).toBe(true);
    const question = asked(look);
    const talk = (lines: Checked[]) => talksOf(lines).get(look.commitment) ?? null;
    expect(mayAsk(look, talk([look, question]))).toBe(false);
    expect(mayAsk(look, talk([look, question, answered(question)]))).toBe(true);
    expect(talk([look, question, answered(question)])?.questions[0]?.answers).toHaveLength(1);
    const late = line(12, { version: "medtrail/question-v1", act: "unanswered", question: question.commitment });
    expect(talk([look, question, late])?.questions[0]?.isLate).toBe(true);
  });

  it("is not asked of what the person did, of the log's own lines, or of a line that is wrong", () => {
    expect(mayAsk(line(1, {}, { facts: { isSelf: true } }), null)).toBe(false);
    expect(mayAsk(line(8, {}), null)).toBe(false);
    expect(mayAsk(line(1, {}, { problems: ["signature"] }), null)).toBe(false);
  });

  it("is a correction only by whose word the line is", () => {
    const look = line(1, {}, { signed: true });
    const mend = (organisation: string) => line(13,
      { version: "medtrail/correction-v1", line: { index: 1, commitment: look.commitment }, reason: "Wrong patient", mistake: "wrongPerson" }, { signed: true, organisation });
    expect(talksOf([look, mend("Harbour Hospital")]).get(look.commitment)?.corrections).toHaveLength(1);
    expect(talksOf([look, mend("Somebody else")]).get(look.commitment)?.corrections ?? []).toEqual([]);
  });
});

it("lines of a day may account for a bill: by others than the payer, on that day wherever it was", () => {
  const look = (atMs: number, organisation: string) => line(1, {}, { organisation, facts: { atMs } });
  const noon = Date.parse("2026-11-27T12:00:00Z");
  const lines = [look(noon, "Harbour"), look(noon, "Insurance"), look(noon - 3 * 86_400_000, "Harbour")];
  expect(linesOfDay(lines, "2026-11-27", "Insurance")).toEqual([lines[0]]);
});

it("an approval is for exactly the change, and ends on a full minute", () => {
  const { report } = requested().line;
  const approval = approvalOf(report, { subject: `0x${"cc".repeat(20)}`, epoch: 3, nowMs: NOW + 1, salt: word(5) });
  expect(approval).toMatchObject({ record: report.record, fromVersion: report.fromVersion, toVersion: report.toVersion, custodian: HOSPITAL, epoch: 3 });
  expect(approval.expiresAt % 60).toBe(0);
  expect(approval.statement).toContain(report.toVersion);
});
