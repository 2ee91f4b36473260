// What waits for the person, and what was said about each line: folded from the lines alone.
import { isHex } from "../ledger/bytes";
import type { Hex } from "../ledger";
import { BREAK_GLASS, CONFIRM_MS } from "../permit";
import { receivedOf, type Checked } from "../trail/line";
import { custodianOf, sayingOf, type Saying } from "./sayings";

type Of<A extends Saying["act"]> = Extract<Saying, { act: A }>;

/** A question about a line, and what became of it. */
export interface Question {
  readonly line: Checked;
  readonly said: Of<"asked">;
  readonly answers: readonly { readonly line: Checked; readonly said: Of<"answered"> }[];
  /** The log says that nobody answered in time. */
  readonly isLate: boolean;
}

/** Something that was billed, and the person's last word to it. */
export interface Claim {
  readonly line: Checked;
  readonly said: Of<"billed">;
  readonly reply: Of<"replied"> | null;
}

/** A change that an organisation asks for. */
export interface Change {
  readonly line: Checked;
  readonly said: Of<"changeAsked">;
  readonly state: "open" | "approved" | "done" | "declined" | "withdrawn" | "expired";
}

/** A change that was made without asking, since the person could not be asked. */
export interface Emergency {
  readonly line: Checked;
  /** Until when the person is asked, by the time of the line itself; an answer after it is as good. */
  readonly untilMs: number;
  /** The log says that nobody answered in time. */
  readonly isTold: boolean;
  /** Silent: nobody answered in time. It permits nothing, and can still be answered. */
  readonly state: "open" | "silent" | "confirmed" | "denied";
}

/** An erasure that was asked for: it runs until it is cancelled, or done. */
export interface Clock {
  readonly line: Checked;
  readonly dueMs: number;
  readonly form: "records" | "everything";
  /** False: nobody shows that the person signed it. */
  readonly isSigned: boolean;
  readonly state: "running" | "cancelled" | "refused" | "done";
}

export interface Waiting {
  readonly clocks: readonly Clock[];
  readonly questions: readonly Question[];
  readonly claims: readonly Claim[];
  readonly changes: readonly Change[];
  readonly emergencies: readonly Emergency[];
  /** How many of these ask something of the person now. */
  readonly open: number;
}

/** What was said about one line. */
export interface Talk {
  readonly questions: readonly Question[];
  readonly corrections: readonly { readonly line: Checked; readonly said: Of<"corrected"> }[];
}

const CHANGE = 2;

interface Said<A extends Saying["act"]> {
  readonly line: Checked;
  readonly said: Of<A>;
}

/** What the lines say, oldest first. */
class Sayings {
  readonly #all: readonly { readonly line: Checked; readonly said: Saying }[];

  constructor(lines: readonly Checked[]) {
    const oldestFirst = [...lines].sort((a, b) => a.line.index - b.line.index);
    this.#all = oldestFirst.flatMap((line) => {
      const said = sayingOf(line);
      return said === null ? [] : [{ line, said }];
    });
  }

  of<A extends Saying["act"]>(act: A): readonly Said<A>[] {
    return this.#all.filter((one): one is Said<A> => one.said.act === act);
  }
}

function questionsOf(sayings: Sayings): readonly Question[] {
  const [answers, late] = [sayings.of("answered"), sayings.of("unanswered")];
  return sayings.of("asked").map(({ line, said }) => ({
    line, said,
    answers: answers.filter((answer) => answer.said.question === line.commitment),
    isLate: late.some((one) => one.said.question === line.commitment),
  }));
}

function clocksOf(lines: readonly Checked[]): readonly Clock[] {
  const told = lines.filter(({ problems, line }) => problems.length === 0 && line.evidence === "relayed");
  return told.flatMap((line) => {
    const { erasure } = line;
    if (erasure?.act !== "asked" || erasure.dueMs === null) return [];
    const end = told.find((one) => one.line.index > line.line.index && one.erasure?.erasure === erasure.erasure && one.erasure.act !== "asked")?.erasure;
    // That it is done shows what was signed; anybody's word would end a clock that still runs.
    const state = end && end.act !== "asked" && (end.act !== "done" || end.isSigned) ? end.act : "running";
    return [{ line, dueMs: erasure.dueMs, form: erasure.form, isSigned: erasure.isSigned, state }];
  });
}

const BINDING = 11;

/** Who had no key when a line came could not be asked before their organisation was connected: that is the last line of that part. */
function askedSince({ line }: Checked, lines: readonly Checked[]): number {
  const { subject } = line.report;
  const isAddress = subject.startsWith(`0x${"0".repeat(24)}`);
  const bound = isAddress ? undefined : lines.findLast(({ line: { report }, problems }) =>
    report.kind === BINDING && report.subject === subject && problems.length === 0);
  return Math.max(receivedOf(line), bound === undefined ? 0 : receivedOf(bound.line));
}

export function waitingOf(lines: readonly Checked[], nowMs: number): Waiting {
  const sayings = new Sayings(lines);
  const [replies, ends, approvals, noes] =
    [sayings.of("replied"), sayings.of("changeEnded"), sayings.of("approved"), sayings.of("tookBack")];
  const claims = sayings.of("billed").map(({ line, said }): Claim => ({
    line, said, reply: replies.findLast((one) => one.said.claim === line.commitment)?.said ?? null,
  }));
  const changesMade = lines.filter(({ line, problems }) => problems.length === 0 && line.report.kind === CHANGE);
  const isApproved = (made: Checked) => {
    const { report, index } = made.line;
    return approvals.some(({ line, said }) => line.line.index > index && said.record === report.record && said.from === report.fromVersion
      && said.to === report.toVersion && said.custodian === custodianOf(made));
  };
  const changes = sayings.of("changeAsked").map(({ line, said }): Change => {
    const { report } = line.line;
    const ended = ends.find((one) => one.said.request === line.commitment);
    const isDone = changesMade.some((made) => made.line.index > line.line.index && made.line.report.record === report.record
      && made.line.report.fromVersion === report.fromVersion && made.line.report.toVersion === report.toVersion);
    const state = ended?.said.how ?? (isDone ? "done" : isApproved(line) ? "approved" : said.untilMs <= nowMs ? "expired" : "open");
    return { line, said, state };
  });
  const silences = sayings.of("silent");
  const oldestFirst = [...lines].sort((a, b) => a.line.index - b.line.index);
  // Emergency treatment is no broken glass: it takes a permission, and waits for nobody.
  const isUrgent = ({ facts }: Checked) => facts.emergency && facts.purpose === BREAK_GLASS && !facts.isSelf;
  const emergencies = changesMade.filter(isUrgent).map((line): Emergency => {
    const isDenied = noes.some((one) => one.said.permission === line.commitment);
    const earliest = receivedOf(line.line) + CONFIRM_MS;
    const told = silences.find((one) => one.said.line === line.commitment && receivedOf(one.line.line) >= earliest);
    // The log's line is of the end: a guardian may have been asked before the person could be.
    const byLog = told ? Math.max(earliest, told.line.line.report.timeMs) : Infinity;
    const untilMs = Math.min(askedSince(line, oldestFirst) + CONFIRM_MS, byLog);
    const isTold = told !== undefined;
    const isSilent = isTold || untilMs <= nowMs;
    return { line, untilMs, isTold, state: isDenied ? "denied" : isApproved(line) ? "confirmed" : isSilent ? "silent" : "open" };
  });
  const questions = questionsOf(sayings);
  const clocks = clocksOf(lines);
  const open = clocks.filter(({ state }) => state === "running").length + claims.filter(({ reply }) => reply === null).length + changes.filter(({ state }) => state === "open").length
    + emergencies.filter(({ state }) => state === "open").length;
  const newestFirst = <T extends { readonly line: Checked }>(all: readonly T[]) => [...all].sort((a, b) => b.line.line.index - a.line.line.index);
  return {
    questions: newestFirst(questions), claims: newestFirst(claims), changes: newestFirst(changes),
    emergencies: newestFirst(emergencies), clocks: newestFirst(clocks), open,
  };
}

/** What was said about lines, by their commitments. */
export function talksOf(lines: readonly Checked[]): ReadonlyMap<string, Talk> {
  const sayings = new Sayings(lines);
  const talks = new Map<string, { questions: Question[]; corrections: Said<"corrected">[] }>();
  const talkOf = (line: Hex) => {
    const talk = talks.get(line) ?? { questions: [], corrections: [] };
    talks.set(line, talk);
    return talk;
  };
  for (const question of questionsOf(sayings)) talkOf(question.said.line).questions.push(question);
  for (const correction of sayings.of("corrected")) {
    // Only whose word the line is may correct it.
    const of = lines.find(({ commitment }) => commitment === correction.said.line);
    if (of !== undefined && of.organisation === correction.line.organisation) talkOf(correction.said.line).corrections.push(correction);
  }
  return talks;
}

/** Whether a question about this line may be asked now: about what an organisation did, once at a time. */
export function mayAsk({ line, facts, problems }: Checked, talk: Talk | null): boolean {
  if (problems.length > 0 || ![1, CHANGE, 3].includes(line.report.kind) || facts.isSelf || !isHex(line.report.eventId, 32)) return false;
  return (talk?.questions ?? []).every(({ answers, isLate }) => answers.length > 0 || isLate);
}

/** Days of a line as the day of a bill might be meant: the day before and after belong to it somewhere on earth. */
export function linesOfDay(lines: readonly Checked[], day: string, payer: string): readonly Checked[] {
  const noonMs = Date.parse(`${day}T12:00:00Z`);
  const isThen = (ms: number) => Math.abs(ms - noonMs) <= 26 * 3_600_000;
  return lines.filter(({ line, facts, organisation, problems }) =>
    problems.length === 0 && [1, CHANGE, 3].includes(line.report.kind) && organisation !== payer && !facts.isMachine && isThen(facts.atMs));
}

