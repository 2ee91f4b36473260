import { fireEvent, render, screen } from "@testing-library/svelte";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Hex } from "../ledger/types";
import { MARI, MARI_KEY, NOW, OTHER, OTHER_KEY } from "../permissions/testing";
import { acceptanceOf, settledBy } from "../permit/cohort";
import { cohortId, type Cohort, type CohortAcceptance } from "../permit/sale";
import { CONSENT_REGISTRY, SELECTORS, wordsData } from "../sales/abi";
import { abiAnswer, NOW_S, signed } from "../sales/testing";
import { session } from "../session/session.svelte";
import CallItem from "../sell/CallItem.svelte";
import Calls from "../sell/Calls.svelte";
import { CALL_SELECTORS, callData, COHORT_MARKET } from "./abi";
import { Answering } from "./answering.svelte";
import { callAnswer, callIdOf, CALLING, cardAnswer, cohort, ownAnswer, WITHDRAWAL } from "./testing";

const ID = callIdOf(cohort());
type Posted = { path: string; method: string; body: { acceptance: CohortAcceptance; signature: Hex; country: string } | null };

/** A service with these calls; `place` is the lowest that is free. */
function serve({ open = [callAnswer()] as ReturnType<typeof callAnswer>[], mine = [] as ReturnType<typeof callAnswer>[], place = 7, epoch = 0, refuse = [] as string[], written = {} as object } = {}) {
  const server = { posts: [] as Posted[], asked: [] as string[], mine, open, place };
  vi.stubGlobal("fetch", async (path: string, { method = "GET", body }: RequestInit = {}) => {
    const json = (value: unknown, status = 200) => new Response(JSON.stringify(value), { status });
    server.asked.push(path);
    const one = server.mine[0] ?? server.open[0] ?? callAnswer();
    if (path === "/v1/session") return json({}, 401);
    if (method !== "GET") {
      const given = body === undefined ? null : JSON.parse(String(body)) as Posted["body"];
      server.posts.push({ path, method, body: given });
      const reason = refuse.shift();
      if (reason !== undefined) return json({ type: `/problems/${reason}` }, 409);
      const own = path.endsWith("/withdrawal") ? one.own.map((last) => ({ ...last, withdrawal: WITHDRAWAL })) : method === "DELETE" ? one.own.map((last) => ({ ...last, state: "withdrawn" }))
        : [...one.own, ownAnswer(one.cohort, {}, { place: given?.acceptance.place ?? 0, seller: given?.acceptance.seller ?? MARI, expiresAt: given?.acceptance.expiresAt ?? 0 })];
      server.mine = [{ ...one, own, ...written }];
      return json(server.mine[0], 201);
    }
    if (path.startsWith("/v1/calls?as=seller")) return json({ version: "medtrail/calls-v1", calls: server.mine, next: null });
    if (path.startsWith("/v1/calls?")) return json({ version: "medtrail/calls-v1", calls: server.open.map((call) => ({ ...cardAnswer(call.cohort), id: call.id })), next: null });
    const found = [...server.mine, ...server.open].find(({ id }) => path.includes(id));
    return found ? json({ ...found, proposed: { place: server.place, epoch, price: "1", terms: {} } }) : json({ type: "/problems/no-such-call" }, 404);
  });
  return server;
}

const STANDING = abiAnswer(1, NOW_S - 60, 0, 0);

/** A wallet with these keys, and a node behind it that answers by the first four bytes of a call. */
function wallet(keys: readonly (readonly [Hex, Uint8Array])[] | null, answers: Record<string, Hex> = {}) {
  const asked: { method: string; params: unknown }[] = [];
  const known: Record<string, Hex> = {
    [CALL_SELECTORS.standing]: STANDING, [CALL_SELECTORS.placeOf]: abiAnswer(0, 0), [CALL_SELECTORS.standingOf]: abiAnswer(0, 0), [CALL_SELECTORS.epochOf]: abiAnswer(0), [SELECTORS.freezeOf]: abiAnswer(0, 0), [SELECTORS.creditOf]: abiAnswer(0),
    ...answers,
  };
  session.wallet = {
    info: { uuid: "u", name: "W", icon: "", rdns: "w" },
    provider: {
      async request({ method, params }) {
        asked.push({ method, params });
        const [first, second] = (params ?? []) as [unknown, unknown];
        if (method === "eth_chainId") return "0x7a6a";
        if (method === "eth_accounts") return (keys ?? [[MARI]]).map(([address]) => address);
        if (method === "eth_getBlockByNumber") return { number: "0x5", timestamp: `0x${NOW_S.toString(16)}` };
        if (method === "eth_getTransactionReceipt") return { status: "0x1", logs: [] };
        if (method === "eth_call") {
          const { data } = first as { data: string };
          if (data.startsWith(SELECTORS.controllerOf)) return known[SELECTORS.controllerOf] ?? `0x${data.slice(10)}`;
          return known[data.slice(0, 10)] ?? "0x";
        }
        if (keys === null) throw Object.assign(new Error("no"), { code: 4001 });
        if (method === "eth_sendTransaction") return `0x${"ee".repeat(32)}`;
        const key = keys.find(([address]) => address === first)?.[1];
        if (!key) throw new Error("no such account");
        const { message } = JSON.parse(String(second)) as { message: Record<string, unknown> };
        const numbers = Object.fromEntries(Object.entries(message).map(([name, value]) => [name, ["place", "expiresAt", "epoch"].includes(name) ? Number(value) : value]));
        return signed(cohortId("CohortAcceptance", numbers as never, CALLING), key);
      },
    },
  };
  return asked;
}

const signings = (asked: { method: string }[]) => asked.filter(({ method }) => method === "eth_signTypedData_v4").length;

async function started(aliases: readonly Hex[] = []): Promise<Answering> {
  const answering = new Answering(() => CALLING, MARI, () => aliases);
  await answering.start();
  return answering;
}

beforeEach(() => {
  vi.useFakeTimers({ now: NOW, shouldAdvanceTime: true });
  session.who = { address: MARI, roles: [], organisation: null, expiresMs: NOW + 1_000_000 };
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  session.wallet = null;
  session.who = null;
});

describe("calls that a seller can answer", () => {
  it("are each asked for whole, once, and checked against the chain", async () => {
    const server = serve({ open: [callAnswer(), callAnswer(cohort({ salt: `0x${"63".repeat(32)}` })), callAnswer(cohort({ buyer: MARI }))] });
    wallet(null);
    const answering = await started();
    await answering.poll();
    // Her own call is not for her to answer.
    expect(answering.open.map(({ judged, mine }) => [judged, mine.mayAccept])).toEqual([[{ flaws: [], doubts: [] }, true], [{ flaws: [], doubts: [] }, true]]);
    expect(server.asked.filter((path) => path === `/v1/calls/${ID}`)).toHaveLength(1);
  });

  it("are shown though one is gone since the list was written", async () => {
    const server = serve({ open: [callAnswer(), callAnswer(cohort({ salt: `0x${"63".repeat(32)}` }))] });
    wallet(null);
    const list = fetch;
    vi.stubGlobal("fetch", (path: string, init?: RequestInit) => (path === `/v1/calls/${server.open[1]?.id}` ? Promise.resolve(new Response(JSON.stringify({ type: "/problems/no-such-call" }), { status: 404 })) : list(path, init)));
    const answering = await started();
    expect([answering.phase, answering.unread, answering.open.map(({ view }) => view.id)]).toEqual(["ready", 0, [ID]]);
  });

  it("are not there where the service has no such market, and nothing is asked", async () => {
    const server = serve();
    const answering = new Answering(() => ({ ...CALLING, cohortMarket: null }), MARI, () => []);
    await answering.start();
    expect([answering.phase, server.asked]).toEqual(["off", []]);
  });

  it("are not shown if words, number or money are not their own", async () => {
    const softer: Cohort = { ...cohort(), terms: { ...cohort().terms, statement: "Nothing is sold." } };
    serve({ open: [callAnswer(softer)] });
    wallet(null);
    const answering = await started();
    const { container } = render(Calls, { answering, isOut: false, ontold: () => {} });
    await vi.waitFor(() => expect(container.textContent).toContain("This does not check, so it is not shown."));
    expect(container.textContent).not.toContain("Nothing is sold.");
    expect(screen.queryByRole("button", { name: "Accept…" })).toBeNull();
    wallet([[MARI, MARI_KEY]]);
    await expect(answering.accept(callIdOf(softer), MARI, "EE")).rejects.toThrow("nothing was passed to your wallet");
  });
});

describe("an acceptance", () => {
  it("is of the place that the service proposes and of nothing else that it says", async () => {
    const server = serve({ place: 3 });
    const asked = wallet([[MARI, MARI_KEY]]);
    const answering = await started();
    await answering.accept(ID, MARI, "EE");
    const acceptance = acceptanceOf(cohort(), CALLING, { place: 3, seller: MARI, epoch: 0, expiresAt: settledBy(cohort()) });
    expect(server.posts).toEqual([{ path: `/v1/calls/${ID}/acceptances`, method: "POST", body: { acceptance, signature: signed(cohortId("CohortAcceptance", acceptance, CALLING)), country: "EE" } }]);
    expect(signings(asked)).toBe(1);
    expect(answering.answered.map(({ judged, mine }) => [judged.flaws, mine.answer, mine.mayTakeBack])).toEqual([[[], "accepted", true]]);
  });

  it("asks again where somebody was faster, for the place that is free then", async () => {
    const server = serve({ refuse: ["place-taken"] });
    const asked = wallet([[MARI, MARI_KEY]]);
    const answering = await started();
    await expect(answering.accept(ID, MARI, "EE")).rejects.toMatchObject({ kind: "place-taken" });
    server.place = 8;
    await answering.accept(ID, MARI, "EE");
    expect([server.posts.map(({ body }) => body?.acceptance.place), signings(asked)]).toEqual([[7, 8], 2]);
  });

  it("that may not have arrived is sent again without another signature", async () => {
    serve({ refuse: ["chain-unreadable"] });
    const asked = wallet([[MARI, MARI_KEY]]);
    const answering = await started();
    await expect(answering.accept(ID, MARI, "EE")).rejects.toMatchObject({ kind: "chain-unreadable" });
    await answering.accept(ID, MARI, "EE");
    expect(signings(asked)).toBe(1);
  });

  it("after one that was taken back is another one", async () => {
    const server = serve({ open: [], mine: [callAnswer(cohort(), { own: [ownAnswer(cohort(), { state: "withdrawn" })] })] });
    wallet([[MARI, MARI_KEY]]);
    const answering = await started();
    expect(answering.answered[0]?.mine).toMatchObject({ answer: "withdrawn", mayAccept: true });
    await answering.accept(ID, MARI, "EE");
    expect(server.posts[0]?.body?.acceptance.expiresAt).toBe(settledBy(cohort()) + 1);
  });

  it("is signed by who acts for the seller, and by nobody who is frozen", async () => {
    const server = serve();
    wallet([[MARI, MARI_KEY], [OTHER, OTHER_KEY]], { [SELECTORS.controllerOf]: abiAnswer(OTHER) });
    await (await started()).accept(ID, MARI, "EE");
    const body = server.posts[0]?.body;
    expect([body?.acceptance.seller, body?.signature]).toEqual([MARI, signed(cohortId("CohortAcceptance", body?.acceptance as CohortAcceptance, CALLING), OTHER_KEY)]);
    wallet([[MARI, MARI_KEY]], { [SELECTORS.freezeOf]: abiAnswer(NOW_S + 9, 1) });
    serve();
    await expect((await started()).accept(ID, MARI, "EE")).rejects.toThrow("frozen");
  });

  it("is not asked for where the money, the time or the epoch is not there, or all places are taken", async () => {
    const server = serve();
    for (const [standing, words] of [[abiAnswer(0, 0, 0, 0), "nothing was passed"], [abiAnswer(2, 5, 0, 0), "nothing was passed"], [abiAnswer(1, 5, NOW_S, 1), "takes no answer any more"]] as const) {
      const asked = wallet([[MARI, MARI_KEY]], { [CALL_SELECTORS.standing]: standing });
      await expect((await started()).accept(ID, MARI, "EE")).rejects.toThrow(words);
      expect(signings(asked)).toBe(0);
    }
    const asked = wallet([[MARI, MARI_KEY]], { [CALL_SELECTORS.epochOf]: abiAnswer(2) });
    await expect((await started()).accept(ID, MARI, "EE")).rejects.toThrow("do not agree");
    expect([signings(asked), server.posts]).toEqual([0, []]);
    // A place that the call does not have.
    serve({ place: 50 });
    wallet([[MARI, MARI_KEY]]);
    await expect((await started()).accept(ID, MARI, "EE")).rejects.toThrow("nothing was passed");
  });

  it("is not believed where the service wrote down something else", async () => {
    serve({ written: { own: [ownAnswer(cohort(), {}, { place: 9 })] } });
    wallet([[MARI, MARI_KEY]]);
    await expect((await started()).accept(ID, MARI, "EE")).rejects.toThrow("something else");
  });

  it("is taken back with the service, and on the chain by the id that was signed", async () => {
    const mine = callAnswer(cohort(), { own: [ownAnswer()] });
    const server = serve({ open: [], mine: [mine] });
    const asked = wallet([[MARI, MARI_KEY]]);
    const answering = await started();
    const [call] = answering.answered;
    if (!call) throw new Error("one");
    await answering.revoke(call);
    expect(asked.filter(({ method }) => method === "eth_sendTransaction").map(({ params }) => (params as [object])[0]))
      .toMatchObject([{ from: MARI, to: CONSENT_REGISTRY, data: callData("revoke", MARI, ownAnswer().id) }]);
    await answering.takeBack(ID);
    expect(server.posts).toEqual([{ path: `/v1/calls/${ID}/acceptances`, method: "DELETE", body: null }]);
    expect(answering.answered.map(({ mine: { answer } }) => answer)).toEqual(["withdrawn"]);
    serve({ open: [], mine: [mine], written: { own: [ownAnswer()] } });
    await expect((await started()).takeBack(ID)).rejects.toThrow("did not write down");
  });

  it("has money of its own market to take out", async () => {
    serve({ open: [], mine: [callAnswer(cohort(), { own: [ownAnswer(cohort(), { state: "paid" })], state: "closed" })] });
    const asked = wallet([[MARI, MARI_KEY]], { [SELECTORS.creditOf]: abiAnswer(5), [CALL_SELECTORS.placeOf]: abiAnswer(1, 7) });
    const answering = await started();
    const [waiting] = answering.waiting;
    if (!waiting) throw new Error("it waits");
    await answering.withdraw(waiting, OTHER);
    expect(asked.filter(({ method }) => method === "eth_sendTransaction").map(({ params }) => (params as [object])[0]))
      .toMatchObject([{ to: COHORT_MARKET, data: wordsData("withdraw", MARI, waiting.token, OTHER) }]);
  });
});

describe("a call on the page", () => {
  const item = async (options: Parameters<typeof serve>[0] = {}, answers: Record<string, Hex> = {}) => {
    const server = serve(options);
    const asked = wallet([[MARI, MARI_KEY]], answers);
    const answering = await started([OTHER]);
    const [call] = answering.calls;
    if (!call) throw new Error("one");
    const told: string[] = [];
    return { server, asked, told, ...render(CallItem, { call, answering, isOut: false, ontold: (what: string) => { told.push(what); } }) };
  };

  it("shows what is signed and what comes of it before the wallet opens", async () => {
    const { container, asked, told, server } = await item();
    expect(container.textContent).toMatch(/pays each person 0\.05 ETH for a copy of such data\. Up to 50 people can take part\./);
    await fireEvent.click(screen.getByRole("button", { name: "Accept…" }));
    expect(container.querySelector("div blockquote")?.textContent).toBe(cohort().terms.statement);
    expect(container.textContent).toContain("if the key is on its way by then, the buyer opens the old file, and your data are in it");
    await fireEvent.click(screen.getByRole("button", { name: "Accept with my wallet" }));
    expect(screen.getByRole("alert").textContent).toBe("Choose the address to sell under.");
    await fireEvent.click(screen.getByRole("radio", { name: /^Your own address/ }));
    expect(container.textContent).toContain("It can never be taken away.");
    expect(signings(asked)).toBe(0);
    await fireEvent.click(screen.getByRole("button", { name: "Accept with my wallet" }));
    await vi.waitFor(() => expect(told).toEqual(["You said yes. You can take it back until the key is shown."]));
    expect(server.posts[0]?.body?.country).toBe("EE");
  });

  it("lets nobody sell by the rule of a country that does not allow it", async () => {
    const { server } = await item();
    await fireEvent.click(screen.getByRole("button", { name: "Accept…" }));
    await fireEvent.click(screen.getByRole("radio", { name: /^Your own address/ }));
    await fireEvent.change(screen.getByLabelText("Where you live"), { target: { value: "other" } });
    await fireEvent.input(screen.getByLabelText("Its two letters, as in FI"), { target: { value: "se" } });
    await fireEvent.click(screen.getByRole("button", { name: "Accept with my wallet" }));
    expect(screen.getAllByRole("alert").at(-1)?.textContent).toContain("The rule for your country does not allow to sell data in this form.");
    expect(server.posts).toEqual([]);
  });

  it("says that there is nothing to sell in words that fit a call", async () => {
    await item({ refuse: ["nothing-to-sell"] });
    await fireEvent.click(screen.getByRole("button", { name: "Accept…" }));
    await fireEvent.click(screen.getByRole("radio", { name: /^Your own address/ }));
    await fireEvent.click(screen.getByRole("button", { name: "Accept with my wallet" }));
    await screen.findByText("None of your records here is what this buyer asks for, so there is nothing to sell.");
  });

  it("tells somebody whose data are in a file what taking it back may be worth", async () => {
    const { container } = await item({ open: [], mine: [callAnswer(cohort(), { own: [ownAnswer(cohort(), { state: "delivered" })] })] });
    expect(container.textContent).toContain("Your data are in a file for this buyer, still sealed.");
    expect(container.textContent).toContain("then your data are in it, and you are not paid");
  });

  it("gives nothing back once the chain shows the key, and says whom the money still waits for", async () => {
    const { container } = await item({ open: [], mine: [callAnswer(cohort(), { own: [ownAnswer(cohort(), { state: "delivered" })] })] }, { [CALL_SELECTORS.standing]: abiAnswer(1, 5, NOW_S, 1) });
    expect(container.textContent).toContain("The key is shown, and the buyer can open the file. Your money comes next.");
    expect([screen.queryByText("Take it back…"), screen.queryByRole("button", { name: "End it on the chain" })]).toEqual([null, null]);
  });

  it("shows what was ended on the chain as ended, though the service still counts it", async () => {
    const { container } = await item({ open: [], mine: [callAnswer(cohort(), { own: [ownAnswer()] })] }, { [CALL_SELECTORS.standingOf]: abiAnswer(0, NOW_S - 5) });
    expect(container.textContent).toContain("You ended it on the chain, so nobody can be paid for it.");
    expect([screen.queryByRole("button", { name: "End it on the chain" }), screen.queryByText("Take it back…") !== null]).toEqual([null, true]);
  });

  it("lets whoever is in a file whose key is out ask for deletion, once, paid or not", async () => {
    const inFile = (state: string, change: object = {}) => ({ open: [], mine: [callAnswer(cohort(), { own: [ownAnswer(cohort(), { state, isShown: true, ...change })] })] });
    for (const [state, isShown] of [["accepted", false], ["delivered", false], ["withdrawn", false]] as const) {
      const { container, unmount } = await item(inFile(state, { isShown }));
      expect(container.textContent, state).not.toContain("Ask the buyer to delete");
      unmount();
    }
    const unpaid = await item(inFile("ended"));
    expect(unpaid.container.textContent).toContain("by a mark in the file, never by your address");
    unpaid.unmount();
    const { container, server, told } = await item(inFile("paid"), { [CALL_SELECTORS.placeOf]: abiAnswer(1, 7) });
    await fireEvent.click(screen.getByRole("button", { name: "Ask the buyer to delete" }));
    await vi.waitFor(() => expect(told).toEqual(["The buyer is asked to delete what was delivered."]));
    expect(server.posts).toEqual([{ path: `/v1/calls/${ID}/withdrawal`, method: "POST", body: null }]);
    container.remove();
    const after = await item(inFile("paid", { withdrawal: { ...WITHDRAWAL, state: "not-answered" } }), { [CALL_SELECTORS.placeOf]: abiAnswer(1, 7) });
    expect([after.container.textContent?.includes("The buyer did not answer until 22 Dec 2026"), after.container.textContent?.includes("Ask the buyer to delete")]).toEqual([true, false]);
  });

  it("is not believed to have asked where the site wrote nothing down, nor shown in words that it does not know", async () => {
    const own = ownAnswer(cohort(), { state: "paid", isShown: true });
    serve({ open: [], mine: [callAnswer(cohort(), { own: [own] })], written: { own: [own] } });
    wallet([[MARI, MARI_KEY]]);
    await expect((await started()).askDeletion(ID)).rejects.toThrow("did not write down that you asked");
    serve({ open: [], mine: [callAnswer(cohort(), { own: [{ ...own, withdrawal: { ...WITHDRAWAL, state: "done" } }] })] });
    expect((await started()).unread).toBe(1);
  });

  it("says so where the service says paid and the chain does not", async () => {
    const { container } = await item({ open: [], mine: [callAnswer(cohort(), { own: [ownAnswer(cohort(), { state: "paid" })] })] });
    expect(container.textContent).toContain("This site and the chain do not say the same about the money.");
  });
});

