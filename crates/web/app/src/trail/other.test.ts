import { afterEach, describe, expect, it, vi } from "vitest";
import { session } from "../session/session.svelte";
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
