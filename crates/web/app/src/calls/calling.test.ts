import { fireEvent, render, screen } from "@testing-library/svelte";
import { createHash } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { encodeAbiParameters } from "viem/utils";
import type { Hex } from "../ledger/types";
import MyCallItem from "../market/MyCall.svelte";
import { KADRI, MARI, NOW } from "../permissions/testing";
import type { Cohort } from "../permit/sale";
import { REFUSAL_OF, SELECTORS, wordsData } from "../sales/abi";
import { abiAnswer, DATASET, LOG, NOW_S, textOf } from "../sales/testing";
import { session } from "../session/session.svelte";
import { CALL_SELECTORS, cohortData, COHORT_MARKET, SETTLED_MANY } from "./abi";
import { Calling, type MyCall } from "./calling.svelte";
import { keepCall, keptCalls } from "./kept";
import { Sealed } from "./sealed.svelte";
import { callAnswer, callIdOf, CALLING, cohort } from "./testing";

const ID = callIdOf(cohort());
const TX: Hex = `0x${"ee".repeat(32)}`;
const DRAFT = { cohort: cohort(), dataset: DATASET, text: textOf(DATASET) };
const KEPT = { id: ID, cohort: cohort(), text: textOf(DATASET), tx: TX, atMs: NOW };
const FILE = new TextEncoder().encode("sealed twice");
const sha = (bytes: Uint8Array): Hex => `0x${createHash("sha256").update(bytes).digest("hex")}`;
const K: Hex = `0x${"4b".repeat(32)}`;
const LOCK = sha(Buffer.from(K.slice(2), "hex"));
const delivery = (change: object = {}) => ({ state: "ready", refusal: null, file: sha(FILE), bytes: FILE.length, sellers: 3, paid: 0, lock: LOCK, ...change });

function serve({ calls = [] as object[], refuse = null as string | null, file = FILE } = {}) {
  const server = { told: [] as { cohort: Cohort; dataset: string }[], calls, asked: [] as string[] };
  vi.stubGlobal("fetch", async (path: string, { method = "GET", body }: RequestInit = {}) => {
    const json = (value: unknown, status = 200) => new Response(JSON.stringify(value), { status });
    server.asked.push(path);
    if (method === "POST") {
      if (refuse !== null) return json({ type: `/problems/${refuse}` }, 409);
      const given = JSON.parse(String(body)) as { cohort: Cohort; dataset: string };
      server.told.push(given);
      server.calls = [callAnswer(given.cohort, { state: "heard", accepted: 0 })];
      return json(server.calls[0], 201);
    }
    if (path.endsWith("/delivery")) return new Response(file.slice(), { headers: { etag: '"1"' } });
    return json({ version: "medtrail/calls-v1", calls: server.calls, next: null });
  });
  return server;
}

function wallet(answers: Record<string, unknown> = {}) {
  const sent: object[] = [];
  session.wallet = {
    info: { uuid: "u", name: "W", icon: "", rdns: "w" },
    provider: {
      async request({ method, params }) {
        const [first] = (params ?? []) as [{ data: string }];
        if (method === "eth_chainId") return "0x7a6a";
        if (method === "eth_accounts") return [KADRI];
        if (method === "eth_getBlockByNumber") return { number: "0x5", timestamp: `0x${(answers["nowS"] as number ?? NOW_S).toString(16)}` };
        if (method === "eth_getTransactionReceipt") return { status: answers["receipt"] ?? "0x1", logs: [] };
        if (method === "eth_getLogs") return answers["logs"] ?? [];
        if (method === "eth_call") {
          const name = Object.entries({ ...CALL_SELECTORS, creditOf: SELECTORS.creditOf }).find(([, selector]) => first.data.startsWith(selector))?.[0] ?? "";
          const answer = answers[name] ?? { standing: abiAnswer(1, NOW_S, 0, 0), creditOf: abiAnswer(0) }[name] ?? "0x";
          if (answer instanceof Error) throw answer;
          return answer;
        }
        if (answers["send"] instanceof Error) throw answers["send"];
        sent.push(first);
        return TX;
      },
    },
  };
  return sent;
}

/** What a settlement left on the chain. */
const settled = (file = sha(FILE), k = K, id = ID) => ({
  standing: abiAnswer(1, NOW_S - 9, NOW_S, 2),
  logs: [{
    address: COHORT_MARKET, topics: [SETTLED_MANY, id], removed: false, transactionHash: TX,
    data: encodeAbiParameters([{ type: "bytes32" }, { type: "bytes32" }, { type: "uint32" }], [k, file, 2]),
  }],
});

async function started(): Promise<Calling> {
  const calling = new Calling(CALLING, KADRI);
  await calling.start();
  return calling;
}

const one = ({ calls }: Calling): MyCall => {
  const [call] = calls;
  if (!call) throw new Error("one");
  return call;
};

beforeEach(() => {
  vi.useFakeTimers({ now: NOW, shouldAdvanceTime: true });
  localStorage.clear();
  session.who = { address: KADRI, roles: [], organisation: null, expiresMs: NOW + 1_000_000 };
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
  session.wallet = null;
  session.who = null;
});

describe("opening a call", () => {
  it("keeps it, pays for all places at once, and lists it", async () => {
    const server = serve();
    const sent = wallet();
    const calling = await started();
    expect(await calling.pay(DRAFT)).toBe(ID);
    expect(sent).toEqual([{ from: KADRI, to: COHORT_MARKET, data: cohortData("open", cohort()), value: `0x${(50_000_000_000_000_000n * 50n).toString(16)}` }]);
    expect(server.told).toEqual([{ cohort: cohort(), dataset: textOf(DATASET) }]);
    expect(keptCalls(CALLING, KADRI)).toMatchObject([{ id: ID, cohort: cohort(), tx: TX }]);
    expect(one(calling)).toMatchObject({ id: ID, view: { state: "heard", accepted: 0 }, flaws: [] });
  });

  it("is found again where the service did not hear of it, and told by a press", async () => {
    serve({ refuse: "not-opened" });
    wallet();
    const calling = await started();
    await calling.pay(DRAFT);
    expect(one(calling)).toMatchObject({ view: null, tx: TX, chain: { status: "open" } });
    await expect(calling.tell(one(calling))).rejects.toMatchObject({ kind: "not-opened" });
    const server = serve();
    await calling.tell(one(calling));
    expect([server.told.length, one(calling).view?.state]).toEqual([1, "heard"]);
  });

  it("keeps nothing of what the buyer declined, or the contract would refuse; of another fault it does", async () => {
    serve();
    wallet({ send: Object.assign(new Error("no"), { code: 4001 }) });
    await expect((await started()).pay(DRAFT)).rejects.toMatchObject({ code: 4001 });
    const data = [...REFUSAL_OF].find(([, name]) => name === "CohortNotNew")?.[0];
    const sent = wallet({ open: Object.assign(new Error("reverted"), { code: 3, data }) });
    await expect((await started()).pay(DRAFT)).rejects.toThrow("This call was opened before");
    expect([sent, keptCalls(CALLING, KADRI)]).toEqual([[], []]);
    wallet({ send: Object.assign(new Error("lost"), { code: -32603 }) });
    await expect((await started()).pay(DRAFT)).rejects.toMatchObject({ code: -32603 });
    expect(keptCalls(CALLING, KADRI)).toMatchObject([{ id: ID, tx: null }]);
  });

  it("pays nothing where the browser would not keep it, or it is no call of the buyer's", async () => {
    serve();
    const sent = wallet();
    const calling = await started();
    for (const wrong of [cohort({ buyer: MARI }), cohort({ log: K }), { ...cohort(), price: "1" }]) {
      await expect(calling.pay({ ...DRAFT, cohort: wrong })).rejects.toThrow("nothing was passed");
    }
    vi.spyOn(Storage.prototype, "setItem").mockImplementation(() => { throw new DOMException("full", "QuotaExceededError"); });
    await expect(calling.pay(DRAFT)).rejects.toThrow("Nothing was paid");
    expect(sent).toEqual([]);
  });
});

describe("a buyer's calls", () => {
  it("are those of this device and of the service, each once, and another's is told as such", async () => {
    keepCall(CALLING, KEPT);
    const later = cohort({ salt: `0x${"63".repeat(32)}` });
    serve({ calls: [callAnswer(cohort(), { accepted: 2 }), callAnswer(later, { accepted: 0 }), callAnswer(cohort({ buyer: MARI }))] });
    wallet();
    const { calls } = await started();
    expect(calls.map(({ id, flaws }) => [id === ID, flaws])).toEqual([[true, []], [false, []], [false, ["buyer"]]]);
    // What this device kept is believed before what the service tells under its number.
    serve({ calls: [{ ...callAnswer(cohort({ price: "1" })), id: ID }] });
    expect(one(await started())).toMatchObject({ id: ID, cohort: cohort(), flaws: ["id"] });
    localStorage.setItem(`medtrail.calls.31338.${COHORT_MARKET}.${KADRI}`, '[{"cohort":{}},5]');
    expect(keptCalls(CALLING, KADRI)).toEqual([]);
  });

  it("give the rest back by a transaction once time is over", async () => {
    keepCall(CALLING, KEPT);
    serve();
    const sent = wallet({ nowS: cohort().deliverBy + cohort().grace + 1 });
    const calling = await started();
    expect(one(calling).called.mayClose).toBe(true);
    await calling.end(one(calling));
    expect(sent).toMatchObject([{ to: COHORT_MARKET, data: cohortData("close", cohort()) }]);
    await calling.withdraw({ account: KADRI, token: cohort().token, units: 1n }, MARI);
    expect(sent[1]).toMatchObject({ to: COHORT_MARKET, data: wordsData("withdraw", KADRI, cohort().token, MARI) });
  });
});

describe("the sealed file", () => {
  const opened = async (answers: Record<string, unknown>, change: object = {}, file = FILE) => {
    const server = serve({ calls: [callAnswer(cohort(), { accepted: 3, delivery: delivery(change) })], file });
    wallet(answers);
    const calling = await started();
    return { server, call: one(calling), sealed: new Sealed(calling) };
  };

  it("is believed from the service before the first is paid, and held against the chain after", async () => {
    const before = await opened({});
    await before.sealed.fetch(before.call);
    expect(before.sealed.checks.map(({ verdict }) => verdict)).toEqual(["amber"]);
    expect(before.server.asked.at(-1)).toBe(`/v1/calls/${ID}/delivery`);
    await expect(before.sealed.readKey(before.call)).rejects.toThrow("not shown yet");
    const after = await opened(settled());
    await after.sealed.fetch(after.call);
    await after.sealed.readKey(after.call);
    expect([after.sealed.checks.map(({ verdict }) => verdict), after.sealed.k]).toEqual([["green", "green"], K]);
  });

  it("is refused where it is another than the service or the chain names, and a key that fits no lock is not shown", async () => {
    for (const [answers, change, file] of [[{}, {}, Uint8Array.from(FILE, (byte) => byte + 1)], [settled(LOG), {}, FILE], [{}, { file: LOG }, FILE]] as const) {
      const { sealed, call } = await opened(answers, change, file);
      await sealed.fetch(call);
      expect([sealed.isWrong, sealed.file]).toEqual([true, null]);
    }
    const { sealed, call } = await opened(settled(sha(FILE), LOG));
    await sealed.readKey(call);
    expect([sealed.isWrong, sealed.k]).toEqual([true, null]);
  });

  it("has no key in an event of another call, another contract, or one that was undone", async () => {
    const [log] = settled().logs;
    for (const wrong of [{ ...log, address: MARI }, { ...log, topics: [SETTLED_MANY, LOG] }, { ...log, removed: true }, { ...log, data: "0x12" }]) {
      const { sealed, call } = await opened({ ...settled(), logs: [wrong] });
      await expect(sealed.readKey(call)).rejects.toThrow("not shown yet");
    }
  });
});

describe("a call on its buyer's page", () => {
  const item = async (answers: Record<string, unknown>, change: object) => {
    serve({ calls: [callAnswer(cohort(), { accepted: 11, ...change })] });
    wallet(answers);
    const calling = await started();
    return render(MyCallItem, { call: one(calling), calling, ontold: () => {} });
  };

  it("tells how far it is: who said yes, who is in the file, who was paid", async () => {
    const { container } = await item(settled(), { delivery: delivery({ state: "settling", paid: 1 }) });
    for (const words of ["11 people said yes, of 50 places.", "The file has the data of 3 people.", "2 were paid.", "People are being paid, and the key is public.", "Together 2.5 ETH for all 50 places."]) {
      expect(container.textContent).toContain(words);
    }
    await fireEvent.click(screen.getByRole("button", { name: "Read the key from the chain" }));
    await vi.waitFor(() => expect(container.textContent).toContain(`The chain shows the key: ${K}`));
  });

  it("tells why it came to nothing, and that the rest comes back later", async () => {
    const { container } = await item({}, { delivery: delivery({ state: "over", refusal: "nobody", file: null, bytes: null, lock: null, sellers: 0 }) });
    expect(container.textContent).toContain("It came to nothing: nobody who said yes has such data.");
    expect(container.textContent).toContain("you can take back then");
    expect(screen.queryByRole("button", { name: "Download and check" })).toBeNull();
  });
});
