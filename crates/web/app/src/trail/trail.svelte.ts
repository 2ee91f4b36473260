import { addressIn, type Line, type ListedOrganisation, type TrailPage, type TrailPart, type TrustFile } from "../ledger";
import { ask } from "../server/client";
import { explain } from "../session/explain";
import { session } from "../session/session.svelte";
import { afterNews, openFeed } from "./feed";
import type { Shown } from "./fold";
import { healthOf, mayBeLate, withLine, type Health } from "./health";
import { check, receivedOf, type Checked } from "./line";
import { subjectOf } from "./subject";
import { reasons, refusedBy } from "./unusual";
import { talksOf, waitingOf } from "../waiting/waiting";

const PAGE_LINES = 200;
/** So many lines are checked before the page may draw again (about 50 ms). */
const SLICE_LINES = 20;
const REOPEN_MS = 2_000;
const AGAIN_MS = 300;

/** One person's trail while it is open: all lines, each checked on this device, and what comes live. */
export class Trail {
  lines = $state.raw<readonly Checked[]>([]);
  organisations = $state.raw<readonly ListedOrganisation[]>([]);
  trust = $state.raw<TrustFile | null>(null);
  health = $state.raw<Health | null>(null);
  phase = $state<"loading" | "ready" | "failed">("loading");
  error = $state("");
  /** Lines read so far, and how many there are to read. */
  progress = $state.raw({ read: 0, all: 0 });
  checkedAtMs = $state(0);
  connection = $state<"live" | "waiting" | "off">("off");
  /** What the server says there is: so many lines under each name that this person has at an organisation. */
  parts = $state.raw<readonly TrailPart[]>([]);
  /** Indexes that came while the page was open, newest first. */
  arrived = $state.raw<readonly number[]>([]);

  /** Newest first, each with what is unusual about it. */
  readonly shown: readonly Shown[] = $derived.by(() => {
    const oldestFirst = [...this.lines].sort((a, b) => a.facts.atMs - b.facts.atMs || a.line.index - b.line.index);
    const refused = refusedBy(this.lines);
    const judged = reasons(oldestFirst.map(({ line, facts, organisation, commitment }) => ({
      facts, organisation, kind: line.report.kind, hasPermission: !refused.has(commitment), receivedMs: receivedOf(line),
    })));
    const talks = talksOf(this.lines);
    const shown = (checked: Checked, index: number): Shown =>
      ({
        ...checked, reasons: judged[index] ?? [], talk: talks.get(checked.commitment) ?? null, alias: this.#aliasOf(checked),
      });
    return oldestFirst.map(shown).reverse();
  });

  /** The time by which clocks are told: they run on while no line comes. */
  nowMs = $state(Date.now());

  /** What asks something of the person. */
  readonly waiting = $derived(waitingOf(this.lines.filter((line) => this.#aliasOf(line) === null), this.nowMs));

  readonly #subject: `0x${string}`;
  readonly #stop = new AbortController();
  #newestAtOpen = -1;
  #closeFeed: (() => void) | undefined;
  /** Lines and pages are taken one after the other: a check takes time, and a later one must not overtake it. */
  #queue: Promise<void> = Promise.resolve();

  constructor(address: string) {
    this.#subject = subjectOf(address);
  }

  /** Another address of this person, if the line is about it. What it asks of them, its own key answers: else it would tell who they are. */
  #aliasOf({ line }: Checked): `0x${string}` | null {
    const subject = line.report.subject.toLowerCase();
    return subject === this.#subject ? null : addressIn(subject);
  }

  async open(): Promise<void> {
    this.phase = "loading";
    this.error = "";
    try {
      await this.#learn();
      await this.#catchUp();
      this.#newestAtOpen = this.#newest();
      this.phase = "ready";
      this.#follow();
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      this.phase = "failed";
      this.error = explain(error);
      // It may be that there is no session any more; then the page asks for one.
      void session.probe();
    }
  }

  /** Who speaks here, with which keys. */
  async #learn(): Promise<void> {
    const { signal } = this.#stop;
    const [trust, { organisations }] = await Promise.all([
      ask<TrustFile>("/.well-known/medtrail.json", { signal }),
      ask<{ organisations: ListedOrganisation[] }>("/v1/organisations", { signal }),
    ]);
    this.trust = trust;
    this.organisations = organisations;
  }

  /** Lets the clocks run; called now and then while the page is open. */
  tick(): void {
    this.nowMs = Date.now();
  }

  close(): void {
    this.#stop.abort();
    this.#closeFeed?.();
    this.connection = "off";
  }

  /** The keys as they stand now: an organisation may be newer than this page. */
  async freshTrust(): Promise<TrustFile> {
    await this.#learn();
    if (!this.trust) throw new Error("the keys were just read");
    return this.trust;
  }

  /** Asks the server again for what it has. */
  refresh(): void {
    this.#then(() => this.#catchUp());
  }

  #follow(): void {
    this.#closeFeed?.();
    const newest = this.#newest();
    this.#closeFeed = openFeed(this.#subject, newest < 0 ? null : newest, {
      line: (line) => this.#then(async () => this.#arrive(line)),
      anchor: (news) => this.#then(async () => {
        this.lines = this.lines.map((checked) => {
          const locking = afterNews(checked.line.index, checked, news);
          return locking === checked ? checked : { ...checked, ...locking };
        });
      }),
      reset: () => this.#then(() => this.#catchUp(true)),
      opened: () => {
        this.connection = "live";
        // Also the first time: between the last page and this moment a line may have come.
        this.#then(() => this.#catchUp());
      },
      waiting: () => { this.connection = "waiting"; },
      closed: () => void this.#reopen(),
    });
  }

  /** The newest index that is known, or -1. */
  #newest(): number {
    return this.lines.reduce((most, { line }) => Math.max(most, line.index), -1);
  }

  async #reopen(): Promise<void> {
    this.connection = "waiting";
    await session.probe();
    if (!session.who || this.#stop.signal.aborted) return;
    setTimeout(() => { if (!this.#stop.signal.aborted) this.#follow(); }, REOPEN_MS);
  }

  #then(step: () => Promise<void>): void {
    this.#queue = this.#queue.then(step).catch((error: unknown) => {
      if (!this.#stop.signal.aborted) this.error = explain(error);
    });
  }

  async #arrive(line: Line): Promise<void> {
    const isNew = !this.lines.some((checked) => checked.line.index === line.index);
    await this.#take([line]);
    const taken = this.lines.find((checked) => checked.line.index === line.index);
    if (!isNew || !taken) return;
    const isOfKnownPart = this.parts.some(({ subject }) => subject.toLowerCase() === line.report.subject.toLowerCase());
    this.parts = withLine(this.parts, taken);
    this.arrived = [line.index, ...this.arrived];
    const health = healthOf(this.#subject, this.parts, this.lines);
    // Before an alarm the server gets the chance to give what is missing; a new part is only known to it.
    if (!isOfKnownPart || mayBeLate(health)) await this.#catchUp(true);
    else this.#found(health);
  }

  /** Reads pages until one holds nothing new, or all of them if lines are missing. */
  async #catchUp(mustReadAll = false, isSecondTry = false): Promise<void> {
    let before: number | null = null;
    do {
      const cursor: string = before === null ? "" : `&before=${before}`;
      const page: TrailPage = await ask<TrailPage>(
        `/v1/subjects/${this.#subject}/trail?limit=${PAGE_LINES}${cursor}`, { signal: this.#stop.signal });
      if (before === null) {
        this.parts = page.parts;
        this.progress = { read: 0, all: page.parts.reduce((sum, { lines }) => sum + lines, 0) };
      }
      const known = new Set(this.lines.map(({ line }) => line.index));
      const unknown = page.lines.map(({ index }) => index).filter((index) => !known.has(index));
      const hasNew = unknown.length > 0;
      await this.#take(page.lines);
      // What came while the stream was cut is news too. Older lines, of an organisation just connected, are not.
      if (this.phase === "ready") this.arrived = [...unknown.filter((index) => index > this.#newestAtOpen), ...this.arrived];
      // All that is below stands already, unless something is missing there.
      const isComplete = this.lines.length >= this.progress.all;
      before = page.next !== null && (hasNew || mustReadAll || !isComplete) ? page.next : null;
    } while (before !== null);
    // A line may have come between the count and the pages, either way round: that is no alarm. What is still missing
    // when it is asked for again is.
    this.parts = this.lines.reduce(withLine, this.parts);
    const health = healthOf(this.#subject, this.parts, this.lines);
    if (!mayBeLate(health) || isSecondTry) return this.#found(health);
    await new Promise((later) => setTimeout(later, AGAIN_MS));
    return this.#catchUp(true, true);
  }

  #found(health: Health): void {
    this.health = health;
    this.error = "";
    this.checkedAtMs = Date.now();
    this.tick();
  }

  async #take(given: readonly Line[]): Promise<void> {
    const kept = new Map(this.lines.map((checked) => [checked.line.index, checked]));
    let hasLearnt = false;
    for (const [count, line] of given.entries()) {
      if (count % SLICE_LINES === SLICE_LINES - 1) await new Promise((drawn) => setTimeout(drawn, 0));
      const before = kept.get(line.index);
      if (before && isSame(before.line, line)) {
        kept.set(line.index, { ...before, line, state: line.state, anchor: line.anchor });
        continue;
      }
      let checked = await this.#check(line);
      // An organisation, or a key of one, may be newer than this page.
      if (checked.problems.includes("stranger") && !hasLearnt) {
        hasLearnt = true;
        await this.#learn();
        checked = await this.#check(line);
      }
      kept.set(line.index, checked);
      this.progress = { ...this.progress, read: kept.size };
    }
    this.lines = [...kept.values()].sort((a, b) => b.line.index - a.line.index);
  }

  async #check(line: Line): Promise<Checked> {
    if (!this.trust) throw new Error("lines come after the keys they are checked with");
    return check(line, this.trust, this.organisations);
  }
}

/** Whether only its place on the chain can have changed: then it need not be checked again. */
function isSame(a: Line, b: Line): boolean {
  const content = ({ state: _, anchor: __, ...rest }: Line) => JSON.stringify(rest);
  return content(a) === content(b);
}
