import { fireEvent, render, screen } from "@testing-library/svelte";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Hex } from "../ledger/types";
import MyCallItem from "../market/MyCall.svelte";
import { KADRI, KADRI_KEY, MARI, NOW, OTHER_KEY } from "../permissions/testing";
import { cohortId, DELETION_STATEMENT, deletionOfPart, type Deletion } from "../permit/sale";
import { abiAnswer, NOW_S, signed } from "../sales/testing";
import { session } from "../session/session.svelte";
import { CALL_SELECTORS, COHORT_MARKET } from "./abi";
import { Calling, type MyCall } from "./calling.svelte";
import { callAnswer, callIdOf, CALLING, cohort, WITHDRAWAL } from "./testing";

const ID = callIdOf(cohort());
const PART: Hex = `0x${"7a".repeat(32)}`;
const ASKED = { ...WITHDRAWAL, label: "00112233445566aa", part: PART };
const asked = (change: object = {}, of = cohort()) => callAnswer(of, { state: "closed", accepted: 3, withdrawals: [{ ...ASKED, ...change }] });

function serve(calls: object[], { refuse = 0, written = null as object | null } = {}) {
  const server = { calls, said: [] as { path: string; deletion: Deletion; signature: Hex }[], refuse };
  vi.stubGlobal("fetch", async (path: string, { method = "GET", body }: RequestInit = {}) => {
    const json = (value: unknown, status = 200) => new Response(JSON.stringify(value), { status });
    if (method === "POST") {
      server.said.push({ path, ...JSON.parse(String(body)) as { deletion: Deletion; signature: Hex } });
      if (server.refuse-- > 0) return json({ type: "/problems/busy" }, 503);
      server.calls = [written ?? asked({ state: "deleted" })];
      return json(server.calls[0]);
    }
    return json({ version: "medtrail/calls-v1", calls: server.calls, next: null });
  });
  return server;
}

/** A wallet that signs with this key. */
function wallet(key = KADRI_KEY) {
  const shown: { domain: object; message: Record<string, unknown> }[] = [];
  session.wallet = {
    info: { uuid: "u", name: "W", icon: "", rdns: "w" },
    provider: {
      async request({ method, params }) {
        const [first, second] = (params ?? []) as [{ data: string }, string];
        if (method === "eth_chainId") return "0x7a6a";
        if (method === "eth_accounts") return [KADRI];
        if (method === "eth_getBlockByNumber") return { number: "0x5", timestamp: `0x${NOW_S.toString(16)}` };
        if (method === "eth_getLogs") return [];
        if (method === "eth_call") return first.data.startsWith(CALL_SELECTORS.standing) ? abiAnswer(2, NOW_S - 9, NOW_S, 2) : abiAnswer(0);
        const given = JSON.parse(second) as (typeof shown)[number];
        shown.push(given);
        return signed(cohortId("Deletion", { ...given.message, deletedAt: Number(given.message["deletedAt"]) } as never, CALLING), key);
      },
    },
  };
  return shown;
}

async function started() {
  const calling = new Calling(CALLING, KADRI);
  await calling.start();
  const [call] = calling.calls;
  if (!call) throw new Error("one");
  return { calling, call };
}

const say = ({ calling, call }: { calling: Calling; call: MyCall }) => calling.sayDeleted(call, { ...ASKED, state: "waiting" });

beforeEach(() => {
  vi.useFakeTimers({ now: NOW, shouldAdvanceTime: true });
  localStorage.clear();
  session.who = { address: KADRI, roles: [], organisation: null, expiresMs: NOW + 1_000_000 };
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  session.wallet = null;
  session.who = null;
});

describe("a buyer who is asked to delete a part of a file", () => {
  it("is told which, and signs the words that everybody signs, of that part and under the market of calls", async () => {
    const server = serve([asked()]);
    const shown = wallet();
    const { calling, call } = await started();
    const told: string[] = [];
    const { container } = render(MyCallItem, { call, calling, ontold: (what: string) => told.push(what) });
    expect(container.textContent).toContain("You have until 22 Dec 2026, 14:32 to sign that it is done.");
    expect(container.textContent).toContain("person-00112233445566aa");
    await fireEvent.click(screen.getByRole("button", { name: "Sign that it is deleted" }));
    await vi.waitFor(() => expect(told).toEqual(["You signed that it is deleted. The seller is told."]));
    const deletion = deletionOfPart(PART, KADRI, NOW_S);
    expect(shown).toMatchObject([{ domain: { verifyingContract: COHORT_MARKET }, message: { statement: DELETION_STATEMENT, order: PART } }]);
    expect(server.said).toEqual([{ path: `/v1/calls/${ID}/deletion`, deletion, signature: signed(cohortId("Deletion", deletion, CALLING), KADRI_KEY) }]);
    expect(calling.calls[0]?.view?.withdrawals).toMatchObject([{ state: "deleted" }]);
  });

  it("is asked for one signature, also if it is sent twice, and for none by another key", async () => {
    const server = serve([asked()], { refuse: 1 });
    const shown = wallet();
    const first = await started();
    await expect(say(first)).rejects.toMatchObject({ status: 503 });
    await say(first);
    expect([shown.length, server.said[0]]).toEqual([1, server.said[1]]);
    const other = serve([asked()]);
    wallet(OTHER_KEY);
    await expect(say(await started())).rejects.toThrow("another account");
    expect(other.said).toEqual([]);
  });

  it("signs nothing that nobody asked for, or of another call than they know", async () => {
    const shown = wallet();
    serve([callAnswer(cohort(), { accepted: 3 })]);
    await expect(say(await started())).rejects.toThrow("nothing was passed");
    serve([asked({}, cohort({ buyer: MARI }))]);
    await expect(say(await started())).rejects.toThrow("nothing was passed");
    serve([{ ...asked(), id: PART }]);
    await expect(say(await started())).rejects.toThrow("nothing was passed");
    expect(shown).toEqual([]);
    // Words or marks that the page does not know are told as unread, never as nothing.
    for (const odd of [{ state: "done" }, { label: "<b>" }, { part: "0x12" }]) {
      serve([asked(odd)]);
      await expect(started(), JSON.stringify(odd)).rejects.toThrow("one");
    }
  });

  it("is not told that it was written down where something else was", async () => {
    serve([asked()], { written: asked() });
    wallet();
    await expect(say(await started())).rejects.toThrow("something else");
  });
});
