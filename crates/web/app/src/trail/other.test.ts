import { afterEach, describe, expect, it, vi } from "vitest";
import { session } from "../session/session.svelte";
import type { Checked } from "./line";
import { Trail } from "./trail.svelte";

const JAAN = `0x${"b2".repeat(32)}`;

class Source {
  static last: Source | null = null;
  static readonly CLOSED = 2;
  readyState = 1;
  onopen: (() => void) | null = null;
  onerror: (() => void) | null = null;
  constructor(readonly url: string) { Source.last = this; }
  addEventListener(): void {}
  close(): void { this.readyState = Source.CLOSED; }
}

/** A log that shows an empty trail until it says no. */
function serve(no: { status: number; kind: string } | null) {
  const log = { no, asked: 0 };
  vi.stubGlobal("EventSource", Source);
  vi.stubGlobal("fetch", (path: string) => {
    const answer = (status: number, body: unknown) => Promise.resolve(new Response(JSON.stringify(body), { status }));
    if (!path.includes("/trail?")) return answer(200, path.endsWith("organisations") ? { organisations: [] } : { organisations: [] });
    log.asked += 1;
    if (log.no) return answer(log.no.status, { type: `/problems/${log.no.kind}` });
    return answer(200, { parts: [{ subject: JAAN, organisation: null, lines: 0, last: null }], lines: [], next: null });
  });
  vi.spyOn(session, "probe").mockResolvedValue(undefined);
  return log;
}

afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

describe("somebody else's trail", () => {
  it("is over when the log knows of no such trail for who asks, and nothing of it is kept", async () => {
    const log = serve(null);
    const trail = new Trail(JAAN, true);
    await trail.open();
    expect([trail.phase, trail.isOver]).toEqual(["ready", false]);
    log.no = { status: 404, kind: "no-such-trail" };
    Source.last?.onerror?.();
    await vi.waitFor(() => { expect(trail.isOver).toBe(true); });
    expect([trail.lines, trail.parts, trail.health, Source.last?.readyState]).toEqual([[], [], null, Source.CLOSED]);
  });

  it("goes on while the log is away, or cannot tell", async () => {
    for (const no of [{ status: 503, kind: "chain-unreadable" }, { status: 429, kind: "too-many-requests" }, { status: 404, kind: "" }]) {
      const log = serve(null);
      const trail = new Trail(JAAN, true);
      await trail.open();
      const before = log.asked;
      log.no = no;
      Source.last?.onerror?.();
      await vi.waitFor(() => { expect(log.asked).toBeGreaterThan(before); });
      await new Promise((later) => setTimeout(later, 20));
      expect([trail.isOver, trail.connection, trail.health !== null], no.kind).toEqual([false, "waiting", true]);
      trail.close();
    }
  });

  it("marks what a guardian took back where the log says so, under the pseudonym and under the address it became", () => {
    const GROWN = `0x${"00".repeat(12)}${"c3".repeat(20)}`;
    const line = (index: number, kind: number, subject: string, commitment: string, permission: string) => ({
      line: {
        index, evidence: kind === 8 ? "relayed" : "signed", details: null, place: { open: { receivedMs: index, ordinal: index } },
        report: { kind, subject, permission, timeMs: index },
      },
      facts: { who: null, verb: "change", isMachine: false, isSelf: false, purpose: "TREAT", emergency: false, sensitive: false, failed: false,
        refused: kind === 8, atMs: 43_200_000 + index },
      commitment, organisation: "Kalda", problems: [], binds: null, sentence: "", signedBy: null,
    }) as unknown as Checked;
    for (const subject of [JAAN, GROWN]) {
      const trail = new Trail(JAAN, true);
      trail.lines = [line(1, 2, JAAN, "0xaa", "0x00"), line(2, 2, JAAN, "0xbb", "0x00"), line(3, 8, subject, "0xcc", "0xbb")];
      const reasons = new Map(trail.shown.map((shown) => [shown.commitment, shown.reasons]));
      expect([reasons.get("0xaa"), reasons.get("0xbb"), reasons.get("0xcc")], subject)
        .toEqual([[], ["withoutPermission"], ["refused"]]);
    }
  });

  it("was never there for a stranger", async () => {
    serve({ status: 404, kind: "no-such-trail" });
    const trail = new Trail(JAAN, true);
    await trail.open();
    expect([trail.isOver, trail.error]).toEqual([true, ""]);
  });

  it("is no word for one's own: that stays a failure, and is told", async () => {
    serve({ status: 404, kind: "no-such-trail" });
    const trail = new Trail(JAAN);
    await trail.open();
    expect([trail.isOver, trail.phase, trail.error]).toEqual([false, "failed", "These lines are not yours to see."]);
  });
});
