import { fireEvent, render, screen } from "@testing-library/svelte";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Hex } from "../ledger/types";
import { KADRI, MARI, MARI_KEY, NOW, OTHER, OTHER_KEY } from "../permissions/testing";
import { approvalOf, saleId, type Offer, type SaleApproval } from "../permit/sale";
import { DATA_MARKET, orderData, SELECTORS, wordsData } from "../sales/abi";
import { COIN } from "../sales/credits";
import { abiAnswer, DATASET, LOG, MARKET, marketAnswer, NOW_S, offer, offerAnswer, order, saleAnswer, signed, textOf } from "../sales/testing";
import Money from "../sales/Money.svelte";
import { session } from "../session/session.svelte";
import SaleItem from "./SaleItem.svelte";
import { Selling } from "./selling.svelte";

const WITHDRAWAL = { askedMs: NOW, dueMs: NOW + 30 * 86_400_000, state: "waiting" };
const ORDER_ID = saleId("Order", order(), MARKET);

/** A service that lists what it was given; `posts` is what it was told. */
function serve({ market = marketAnswer() as object, sales = [saleAnswer()] as object[], offers = [] as object[], change = {} as object, refuse = null as string | null, isSlow = false } = {}) {
  const server = { posts: [] as { path: string; method: string; body: unknown }[], sales, offers, out: false };
  vi.stubGlobal("fetch", async (path: string, { method = "GET", body }: RequestInit = {}) => {
    const json = (value: unknown, status = 200) => new Response(JSON.stringify(value), { status });
    if (path === "/.well-known/medtrail.json") return json({ chainId: 31338, registry: OTHER, log: LOG, organisations: [] });
    if (path === "/v1/session") return json({}, 401);
    if (path === "/v1/market") return json(market);
    if (method !== "GET") {
      const given = (body === undefined ? null : JSON.parse(String(body))) as unknown;
      server.posts.push({ path, method, body: given });
      if (refuse !== null) return json({ type: `/problems/${refuse}` }, 403);
      if (path === "/v1/market/opt-out") {
        server.out = (given as { isOut: boolean }).isOut;
        return json({ isOut: server.out, sinceMs: NOW });
      }
      if (path === "/v1/offers") {
        const { offer: of, dataset, signature } = given as { offer: Offer; dataset: string; signature: Hex };
        server.offers = [offerAnswer(of, { dataset, signature, ...change })];
        return json(server.offers[0], 201);
      }
      if (path.endsWith("/approval")) server.sales = [saleAnswer(order(), { isApproved: true, state: "preparing", ...change })];
      if (path.endsWith("/decline") && !isSlow) server.sales = [saleAnswer(order(), { state: "over", refusal: "not-approved" })];
      if (path.startsWith("/v1/sales") && path.endsWith("/withdrawal")) server.sales = [saleAnswer(order(), { state: "settled", withdrawal: WITHDRAWAL, ...change })];
      else if (path.endsWith("/withdrawal")) server.offers = server.offers.map((one) => ({ ...one, state: "withdrawn" }));
      return json(server.sales[0] ?? server.offers[0]);
    }
    if (path.startsWith("/v1/sales")) return json({ version: "medtrail/sales-v1", sales: server.sales, next: null });
    if (path.startsWith("/v1/offers")) return json({ version: "medtrail/offers-v1", offers: server.offers, next: null });
    return json({ isOut: server.out, sinceMs: NOW });
  });
  return server;
}

/** A wallet with these keys, and a node behind it. */
function wallet(keys: readonly (readonly [Hex, Uint8Array])[] | null, answers: Record<string, unknown> = {}) {
  const asked: { method: string; params: unknown }[] = [];
  session.wallet = {
    info: { uuid: "u", name: "W", icon: "", rdns: "w" },
    provider: {
      async request({ method, params }) {
        asked.push({ method, params });
        const [first, second] = (params ?? []) as [unknown, unknown];
        if (method === "eth_chainId") return "0x7a6a";
        if (method === "eth_accounts") return (keys ?? [[MARI]]).map(([address]) => address);
        if (method === "eth_getBlockByNumber") return { number: "0x5", timestamp: `0x${NOW_S.toString(16)}` };
        if (method === "eth_getTransactionReceipt") return { status: answers["receipt"] ?? "0x1", logs: [] };
        if (method === "eth_call") {
          const { data } = first as { data: string };
          const name = Object.entries(SELECTORS).find(([, selector]) => data.startsWith(selector))?.[0] ?? "";
          const answer = answers[name] ?? { standing: abiAnswer(1, NOW_S, 0, 0, 0), controllerOf: abiAnswer(MARI), freezeOf: abiAnswer(0, 0), isOpen: abiAnswer(1), epochOf: abiAnswer(0), creditOf: abiAnswer(0) }[name];
          if (answer instanceof Error) throw answer;
          return answer ?? "0x";
        }
        if (keys === null) throw Object.assign(new Error("no"), { code: 4001 });
        if (method === "eth_sendTransaction") return `0x${"ee".repeat(32)}`;
        const key = keys.find(([address]) => address === first)?.[1];
        if (!key) throw new Error("no such account");
        const { primaryType, message } = JSON.parse(String(second)) as { primaryType: "Offer" | "SaleApproval"; message: Record<string, unknown> };
        const numbers = Object.fromEntries(Object.entries(message).map(([name, value]) => [name, ["accessS", "expiresAt", "epoch"].includes(name) ? Number(value) : value]));
        return signed(saleId(primaryType, numbers as never, MARKET), key);
      },
    },
  };
  return asked;
}

async function opened(aliases: readonly Hex[] = []): Promise<Selling> {
  const selling = new Selling(MARI, () => aliases);
  await selling.open();
  return selling;
}

const draft = (of: Offer = offer()) => ({ offer: of, dataset: DATASET, text: textOf(DATASET), country: "EE" });
const sent = (asked: { method: string; params: unknown }[]) => asked.filter(({ method }) => method === "eth_sendTransaction").map(({ params }) => (params as [object])[0]);

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

describe("an offer", () => {
  it("is signed as this page made it, and listed", async () => {
    const server = serve();
    const asked = wallet([[MARI, MARI_KEY]]);
    const selling = await opened();
    await selling.offer(draft());
    expect(server.posts).toEqual([{ path: "/v1/offers", method: "POST", body: { offer: offer(), dataset: textOf(DATASET), signature: signed(saleId("Offer", offer(), MARKET)), country: "EE" } }]);
    expect(asked.filter(({ method }) => method === "eth_signTypedData_v4")).toHaveLength(1);
    expect(selling.offers.map(({ view, flaws }) => [view.state, flaws])).toEqual([["open", []]]);
    await selling.withdrawOffer(selling.offers[0]?.view.id ?? "0x");
    expect(selling.offers.map(({ view }) => view.state)).toEqual(["withdrawn"]);
  });

  it("is signed by the address that sells, and by no other of the person's", async () => {
    const server = serve();
    wallet([[MARI, MARI_KEY], [OTHER, OTHER_KEY]]);
    const selling = await opened([OTHER]);
    await selling.offer(draft(offer({ seller: OTHER })));
    expect((server.posts[0]?.body as { signature: Hex }).signature).toBe(signed(saleId("Offer", offer({ seller: OTHER }), MARKET), OTHER_KEY));
    // The wallet's key of that address is another.
    wallet([[OTHER, MARI_KEY]]);
    await expect(selling.offer(draft(offer({ seller: OTHER, price: "7" })))).rejects.toThrow("another account");
    wallet([[MARI, MARI_KEY]]);
    await expect(selling.offer(draft(offer({ seller: OTHER, price: "7" })))).rejects.toThrow("shows this page no account");
    expect(server.posts).toHaveLength(1);
  });

  it("says if the service wrote down something else, or refuses, and asks the wallet once", async () => {
    serve({ change: { id: LOG } });
    wallet([[MARI, MARI_KEY]]);
    await expect((await opened()).offer(draft())).rejects.toThrow("something else");
    serve({ refuse: "market-rule" });
    const asked = wallet([[MARI, MARI_KEY]]);
    const selling = await opened();
    for (let time = 0; time < 2; time += 1) await expect(selling.offer(draft())).rejects.toMatchObject({ kind: "market-rule" });
    expect(asked.filter(({ method }) => method === "eth_signTypedData_v4")).toHaveLength(1);
  });

  it("of somebody else, or with other words, is marked in the list", async () => {
    serve({ offers: [offerAnswer(offer({ seller: KADRI })), offerAnswer(offer(), { dataset: "{}" }), { id: "x" }] });
    const selling = await opened();
    expect(selling.offers.map(({ flaws }) => flaws)).toEqual([["signer"], ["dataset"]]);
    expect(selling.unread).toBe(1);
  });
});

describe("a buyer who waits", () => {
  it("is approved by one signature that costs nothing", async () => {
    const server = serve();
    const asked = wallet([[MARI, MARI_KEY]]);
    const selling = await opened();
    expect(selling.asking).toHaveLength(1);
    await selling.approve(selling.asking[0]?.view as never);
    const approval = approvalOf(order(), MARKET, order().deliverBy + order().grace);
    expect(server.posts).toEqual([{ path: `/v1/sales/${ORDER_ID}/approval`, method: "POST", body: { approval, signature: signed(saleId("SaleApproval", approval, MARKET)) } }]);
    expect([sent(asked), selling.asking]).toEqual([[], []]);
  });

  it("is approved by whoever acts for the seller now", async () => {
    const server = serve();
    wallet([[OTHER, OTHER_KEY]], { controllerOf: abiAnswer(OTHER) });
    const selling = await opened();
    await selling.approve(selling.sales[0]?.view as never);
    const { approval, signature } = server.posts[0]?.body as { approval: SaleApproval; signature: Hex };
    expect(signature).toBe(signed(saleId("SaleApproval", approval, MARKET), OTHER_KEY));
  });

  it("gets no signature where the sale is not what it says", async () => {
    serve({ sales: [saleAnswer(order(), { dataset: "{}" }), saleAnswer(order({ buyer: OTHER }), { id: ORDER_ID })] });
    const asked = wallet([[MARI, MARI_KEY]]);
    const selling = await opened();
    expect([selling.asking, selling.sales.map(({ flaws }) => flaws)]).toEqual([[], [["dataset"], ["id"]]]);
    await expect(selling.approve(selling.sales[0]?.view as never)).rejects.toThrow("not what it should be");
    expect(asked.some(({ method }) => method === "eth_signTypedData_v4")).toBe(false);
  });

  it("is told no, and the money given back by transaction", async () => {
    const server = serve();
    const asked = wallet([[MARI, MARI_KEY]]);
    const selling = await opened();
    await selling.decline(ORDER_ID);
    expect([server.posts[0]?.path, selling.sales[0]?.progress.end]).toEqual([`/v1/sales/${ORDER_ID}/decline`, "over"]);
    await selling.declineOnChain(selling.sales[0]?.view as never);
    expect(sent(asked)).toEqual([{ from: MARI, to: DATA_MARKET, data: orderData("decline", order()), value: "0x0" }]);
  });

  it("asks nothing any more once they said no, also while the service has not written it down", async () => {
    serve({ isSlow: true });
    wallet([[MARI, MARI_KEY]]);
    const selling = await opened();
    await selling.decline(ORDER_ID);
    expect([selling.sales[0]?.view.state, selling.asking]).toEqual(["waiting", []]);
  });
});

describe("a buyer who has the data", () => {
  const shown = async (state: string, change: object = {}) => {
    const selling = await opened();
    const told: string[] = [];
    const view = { ...selling.sales[0]?.view, state, ...change };
    const item = render(SaleItem, { sale: { ...selling.sales[0], view } as never, selling, ontold: (what: string) => told.push(what) });
    return { selling, told, ...item };
  };

  it("is asked to delete them, after words of what that can and cannot do", async () => {
    const server = serve({ sales: [saleAnswer(order(), { state: "settled", isApproved: true })] });
    wallet([[MARI, MARI_KEY]]);
    const { selling, told, container } = await shown("settled");
    expect(container.textContent).toContain("It cannot make them delete, and nobody can see whether they did.");
    await fireEvent.click(screen.getByRole("button", { name: "Ask the buyer to delete", hidden: true }));
    await vi.waitFor(() => expect(told).toEqual(["The buyer is asked to delete what was delivered."]));
    expect(server.posts).toEqual([{ path: `/v1/sales/${ORDER_ID}/withdrawal`, method: "POST", body: null }]);
    expect(selling.sales[0]?.view.withdrawal).toEqual(WITHDRAWAL);
  });

  it("is asked once, and before that has been given them", async () => {
    serve();
    wallet([[MARI, MARI_KEY]]);
    for (const state of ["waiting", "preparing", "delivered", "refunded", "over"]) {
      const { container, unmount } = await shown(state);
      expect(container.textContent, state).not.toContain("Ask the buyer to delete");
      unmount();
    }
    for (const [state, words] of [["waiting", "The buyer has until 22 Dec 2026, 14:32 to sign"], ["deleted", "The buyer signed that it is."], ["not-answered", "The buyer did not answer until 22 Dec 2026, 14:32"]]) {
      const { container, unmount } = await shown("settled", { withdrawal: { ...WITHDRAWAL, state } });
      expect([container.textContent?.includes(words ?? ""), container.textContent?.includes("Ask the buyer to delete")], state).toEqual([true, false]);
      unmount();
    }
    // The words of a sale that does not check are nobody's.
    const { container } = await shown("settled", {});
    expect(container.textContent).toContain("Ask the buyer to delete");
    serve({ sales: [saleAnswer(order(), { id: LOG, state: "settled" })] });
    const wrong = await shown("settled");
    expect(wrong.container.textContent).not.toContain("Ask the buyer to delete");
  });

  it("was not asked where the site wrote nothing down, or another sale", async () => {
    wallet([[MARI, MARI_KEY]]);
    for (const change of [{ withdrawal: null }, { id: LOG }]) {
      serve({ change });
      await expect((await opened()).askDeletion(ORDER_ID)).rejects.toThrow("did not write down that you asked");
    }
  });
});

describe("money and the word against all sales", () => {
  it("waits in the contract until it is taken out", async () => {
    serve();
    const asked = wallet([[MARI, MARI_KEY]], { creditOf: abiAnswer(10n ** 17n) });
    const selling = await opened();
    expect([selling.hasRead, selling.waiting]).toEqual([true, [{ account: MARI, token: COIN, units: 10n ** 17n }]]);
    await selling.withdraw({ account: MARI, token: COIN, units: 1n }, KADRI);
    expect(sent(asked)).toEqual([{ from: MARI, to: DATA_MARKET, data: wordsData("withdraw", MARI, COIN, KADRI), value: "0x0" }]);
  });

  it("waits in a token too, for the address that sold in it, and is taken out of that", async () => {
    const token: Hex = `0x${"70".repeat(20)}`;
    serve({ sales: [saleAnswer(order({ offer: offer({ token }) }), { state: "settled" }), saleAnswer(order({ offer: offer({ token: OTHER }) }), { id: LOG, state: "settled" })] });
    const asked = wallet([[MARI, MARI_KEY]], { creditOf: abiAnswer(7) });
    const selling = await opened();
    expect(selling.waiting).toEqual([{ account: MARI, token: COIN, units: 7n }, { account: MARI, token, units: 7n }]);
    const { container } = render(Money, { purse: selling, ontold: () => {} });
    expect(container.textContent).toContain(`7 smallest units of the token ${token} wait for `);
    const [, second] = screen.getAllByRole("button", { name: "Take it out" });
    await fireEvent.click(second as HTMLElement);
    await vi.waitFor(() => expect(sent(asked)).toEqual([{ from: MARI, to: DATA_MARKET, data: wordsData("withdraw", MARI, token, MARI), value: "0x0" }]));
  });

  it("is not sent where the contract would refuse it, and a failure in the block is told", async () => {
    serve();
    const refusal = Object.assign(new Error("execution reverted"), { code: 3, data: "" });
    const asked = wallet([[MARI, MARI_KEY]], { withdraw: refusal });
    const { REFUSAL_OF } = await import("../sales/abi");
    refusal.data = [...REFUSAL_OF].find(([, name]) => name === "NothingToWithdraw")?.[0] ?? "";
    const selling = await opened();
    await expect(selling.withdraw({ account: MARI, token: COIN, units: 1n }, MARI)).rejects.toThrow("Nothing waits for this address.");
    expect(sent(asked)).toEqual([]);
    wallet([[MARI, MARI_KEY]], { receipt: "0x0" });
    await expect(selling.withdraw({ account: MARI, token: COIN, units: 1n }, MARI)).rejects.toThrow("it failed");
  });

  it("is turned on and off", async () => {
    const server = serve();
    const selling = await opened();
    await selling.setOut(true);
    expect([server.posts, selling.isOut, selling.outSinceMs]).toEqual([[{ path: "/v1/market/opt-out", method: "PUT", body: { isOut: true } }], true, NOW]);
    await selling.setOut(false);
    expect([selling.isOut, selling.outSinceMs]).toEqual([false, null]);
  });
});

describe("a market that is none", () => {
  it("is off, also at a service that is older than sales", async () => {
    serve({ market: { version: "medtrail/market-v1", dataMarket: null } });
    expect((await opened()).phase).toBe("off");
    vi.stubGlobal("fetch", async (path: string) => (path === "/v1/market" ? new Response("{}", { status: 404 }) : new Response(JSON.stringify({ chainId: 31338, log: LOG }))));
    expect((await opened()).phase).toBe("off");
  });

  it("of another chain or log has nothing signed", async () => {
    for (const change of [{ chainId: 1 }, { log: `0x${"66".repeat(32)}` }, { dataMarket: "0x12" }]) {
      serve({ market: marketAnswer(change) });
      const selling = await opened();
      expect([selling.phase, selling.error]).toEqual(["failed", expect.stringContaining("not what it should be")]);
    }
  });
});

describe("a sale as it is shown", () => {
  it("names buyer and price, and shows the very words before the wallet is asked", async () => {
    serve();
    const asked = wallet(null);
    const selling = await opened();
    const told: string[] = [];
    const { container } = render(SaleItem, { sale: selling.asking[0] as never, selling, ontold: (what: string) => told.push(what) });
    expect(container.textContent).toContain("pays 0.05 ETH for a copy of your data");
    expect(container.textContent?.toLowerCase()).toContain(KADRI);
    expect(container.querySelector("blockquote")).toBeNull();
    await fireEvent.click(screen.getByRole("button", { name: "Approve…" }));
    expect(container.querySelector("blockquote")?.textContent).toBe(offer().terms.statement);
    expect(asked.some(({ method }) => method === "eth_signTypedData_v4")).toBe(false);
    await fireEvent.click(screen.getByRole("button", { name: "Approve with my wallet" }));
    await vi.waitFor(() => expect(told).toEqual(["You did not sign. Nothing was changed."]));
  });

  it("offers nothing to press where it does not check", async () => {
    serve({ sales: [saleAnswer(order(), { id: LOG })] });
    const selling = await opened();
    const { container } = render(SaleItem, { sale: selling.sales[0] as never, selling, ontold: () => {} });
    expect([container.querySelectorAll("button").length, container.textContent]).toEqual([0, expect.stringContaining("Sign nothing of it")]);
  });
});
