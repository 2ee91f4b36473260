import { fireEvent, render, screen } from "@testing-library/svelte";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Hex } from "../ledger/types";
import { KADRI, KADRI_KEY, MARI, NOW, OTHER, OTHER_KEY } from "../permissions/testing";
import { DELETION_STATEMENT, saleId, type Deletion, type Order } from "../permit/sale";
import { buyData, DATA_MARKET, orderData, REFUSAL_OF, SELECTORS, wordsData } from "../sales/abi";
import { offerViewOf, type OfferView } from "../sales/api";
import { abiAnswer, LOG, MARKET, marketAnswer, NOW_S, offer, offerAnswer, order, saleAnswer, signed, textOf, DATASET } from "../sales/testing";
import { session } from "../session/session.svelte";
import Buy from "./Buy.svelte";
import { Buying } from "./buying.svelte";
import Market from "./Market.svelte";
import PurchaseItem from "./Purchase.svelte";
import { keptOrders, keepOrder } from "./orders";

const ID = saleId("Order", order(), MARKET);
const TX: Hex = `0x${"ee".repeat(32)}`;
const VIEW = offerViewOf(offerAnswer()) as OfferView;

const WITHDRAWAL = { askedMs: NOW - 5, dueMs: NOW + 30 * 86_400_000, state: "waiting" };
/** A purchase whose seller wants it deleted. */
const asked = (change: object = {}) => saleAnswer(order(), { role: "buyer", state: "settled", isApproved: true, key: LOG, withdrawal: WITHDRAWAL, ...change });

function serve({ sales = [] as object[], catalogue = [] as object[], market = marketAnswer() as object } = {}) {
  const server = { told: [] as unknown[], sales, deletions: [] as { path: string; deletion: Deletion; signature: Hex }[], refuse: 0, written: {} as object };
  vi.stubGlobal("fetch", async (path: string, { method = "GET", body }: RequestInit = {}) => {
    const json = (value: unknown, status = 200) => new Response(JSON.stringify(value), { status });
    if (path === "/.well-known/medtrail.json") return json({ chainId: 31338, registry: OTHER, log: LOG, organisations: [] });
    if (path === "/v1/session") return json({}, 401);
    if (path === "/v1/market") return json(market);
    if (path === "/v1/sales" && method === "POST") {
      const { order: told } = JSON.parse(String(body)) as { order: Order };
      server.told.push(told);
      server.sales = [saleAnswer(told, { role: "buyer", state: "seen" })];
      return json(server.sales[0], 201);
    }
    if (path.endsWith("/deletion")) {
      server.deletions.push({ path, ...JSON.parse(String(body)) as { deletion: Deletion; signature: Hex } });
      if ((server.refuse -= 1) >= 0) return json({ type: "/problems/not-withdrawn" }, 409);
      server.sales = [asked({ withdrawal: { ...WITHDRAWAL, state: "deleted" }, ...server.written })];
      return json(server.sales[0]);
    }
    if (path.startsWith("/v1/sales")) return json({ version: "medtrail/sales-v1", sales: server.sales, next: null });
    if (path.startsWith("/v1/offers/")) return json(offerAnswer());
    return json({ version: "medtrail/offers-v1", offers: catalogue, next: null });
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
        if (method === "eth_call") {
          const name = Object.entries(SELECTORS).find(([, selector]) => first.data.startsWith(selector))?.[0] ?? "";
          const answer = answers[name] ?? { standing: abiAnswer(0, 0, 0, 0, 0), controllerOf: abiAnswer(MARI), freezeOf: abiAnswer(0, 0), isOpen: abiAnswer(1) }[name] ?? "0x";
          if (answer instanceof Error) throw answer;
          return answer;
        }
        if (answers["send"] instanceof Error) throw answers["send"];
        if (method === "eth_signTypedData_v4") {
          const { message } = JSON.parse(String((params as unknown[])[1])) as { message: Record<string, string> };
          sent.push(message);
          return signed(saleId("Deletion", { ...message, deletedAt: Number(message["deletedAt"]) } as never, MARKET), (answers["key"] ?? KADRI_KEY) as Uint8Array);
        }
        sent.push(first);
        return TX;
      },
    },
  };
  return sent;
}

async function opened(): Promise<Buying> {
  const buying = new Buying(KADRI);
  await buying.open();
  return buying;
}

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

describe("paying", () => {
  it("keeps the order, sends exactly the price to the contract, and tells the service", async () => {
    const server = serve();
    const sent = wallet();
    const buying = await opened();
    expect(await buying.pay(order(), VIEW)).toBe(ID);
    expect(sent).toEqual([{ from: KADRI, to: DATA_MARKET, data: buyData(order(), VIEW.signature), value: "0xb1a2bc2ec50000" }]);
    expect(server.told).toEqual([order()]);
    expect(keptOrders(MARKET, KADRI)).toMatchObject([{ id: ID, order: order(), tx: TX }]);
  });

  it("is found again after the page was closed in the middle of it", async () => {
    serve();
    wallet({ receipt: "0x0" });
    await expect((await opened()).pay(order(), VIEW)).rejects.toThrow("it failed");
    wallet({ standing: abiAnswer(1, NOW_S, 0, 0, 0) });
    const [purchase] = (await opened()).purchases;
    expect(purchase).toMatchObject({ id: ID, view: null, tx: TX, progress: { isSeenOnChain: true, end: "running" } });
  });

  it("keeps nothing of what the person declined, or the contract would refuse", async () => {
    serve();
    wallet({ send: Object.assign(new Error("no"), { code: 4001 }) });
    await expect((await opened()).pay(order(), VIEW)).rejects.toMatchObject({ code: 4001 });
    const data = [...REFUSAL_OF].find(([, name]) => name === "OfferCancelledBefore")?.[0];
    const sent = wallet({ buy: Object.assign(new Error("reverted"), { code: 3, data }) });
    await expect((await opened()).pay(order(), VIEW)).rejects.toThrow("The seller cancelled this offer");
    expect([sent, keptOrders(MARKET, KADRI)]).toEqual([[], []]);
    // What a wallet says besides may have happened all the same.
    wallet({ send: Object.assign(new Error("lost"), { code: -32603 }) });
    await expect((await opened()).pay(order(), VIEW)).rejects.toMatchObject({ code: -32603 });
    expect(keptOrders(MARKET, KADRI)).toMatchObject([{ id: ID, tx: null }]);
  });

  it("pays nothing where the browser would not keep the order, or the order is none", async () => {
    serve();
    const sent = wallet();
    const buying = await opened();
    await expect(buying.pay(order({ recipient: `0x${"00".repeat(32)}` }), VIEW)).rejects.toThrow("not what it should be");
    vi.spyOn(Storage.prototype, "setItem").mockImplementation(() => { throw new DOMException("full", "QuotaExceededError"); });
    await expect(buying.pay(order(), VIEW)).rejects.toThrow("Nothing was paid");
    expect(sent).toEqual([]);
  });
});

describe("what was bought", () => {
  it("comes from this device and from the service, each once, and is another buyer's never", async () => {
    keepOrder(MARKET, { id: ID, order: order(), text: textOf(DATASET), tx: TX, atMs: NOW });
    const later = order({ salt: `0x${"63".repeat(32)}` });
    serve({ sales: [saleAnswer(order(), { role: "buyer" }), saleAnswer(later, { role: "buyer", paidAtS: NOW_S + 5 }), saleAnswer(order({ buyer: OTHER }), { role: "buyer", paidAtS: 1 })] });
    wallet({ standing: abiAnswer(1, NOW_S, 0, 0, 0) });
    const buying = await opened();
    expect(buying.purchases.map(({ id, flaws, view }) => [id === ID, flaws, view !== null])).toEqual([[false, [], true], [true, [], true], [false, ["signer"], true]]);
    expect([keptOrders(MARKET, OTHER), keptOrders({ ...MARKET, chainId: 1 }, KADRI)]).toEqual([[], []]);
    localStorage.setItem(localStorage.key(0) ?? "", "[1,{}");
    expect(keptOrders(MARKET, KADRI)).toEqual([]);
  });

  it("is asked for again while the chain is ahead of the service, which has the key", async () => {
    const server = serve({ sales: [saleAnswer(order(), { role: "buyer", state: "settling", isApproved: true })] });
    wallet({ standing: abiAnswer(2, NOW_S, 0, NOW_S + 9, 0) });
    const buying = await opened();
    expect([buying.purchases[0]?.progress.end, buying.isRunning]).toEqual(["settled", true]);
    server.sales = [saleAnswer(order(), { role: "buyer", state: "settled", isApproved: true, key: LOG })];
    await buying.poll();
    expect([buying.purchases[0]?.view?.key, buying.isRunning]).toEqual([LOG, false]);
  });

  it("comes back into the contract where it could not be sent, in whatever it was paid, and is taken out", async () => {
    const token: Hex = `0x${"70".repeat(20)}`;
    const inToken = order({ offer: offer({ token }) });
    serve({ sales: [saleAnswer(inToken, { role: "buyer", state: "refunded" }), saleAnswer(order({ buyer: OTHER, offer: offer({ token: OTHER }) }), { role: "buyer", state: "refunded" })] });
    const sent = wallet({ standing: abiAnswer(3, NOW_S, 0, NOW_S + 9, 0), creditOf: abiAnswer(7) });
    const { container } = render(Market, { address: KADRI, place: { name: "bought" } });
    await vi.waitFor(() => expect(container.textContent).toContain(`7 smallest units of the token ${token} wait for `));
    expect(container.textContent).toContain("0.000000000000000007 ETH wait for ");
    // Of a sale that is not theirs nothing is asked.
    expect(container.textContent?.toLowerCase()).not.toContain(`token ${OTHER} wait`);
    await fireEvent.click(screen.getAllByRole("button", { name: "Take it out" })[1] as HTMLElement);
    await vi.waitFor(() => expect(sent).toEqual([{ from: KADRI, to: DATA_MARKET, data: wordsData("withdraw", KADRI, token, KADRI), value: "0x0" }]));
  });

  it("is taken back after the deadline, and not before", async () => {
    serve({ sales: [saleAnswer(order(), { role: "buyer", state: "over", refusal: "not-approved" })] });
    const end = order().deliverBy + order().grace;
    wallet({ standing: abiAnswer(1, NOW_S, 0, 0, 0), nowS: end });
    expect((await opened()).purchases[0]?.progress.mayRefund).toBe(false);
    const sent = wallet({ standing: abiAnswer(1, NOW_S, 0, 0, 0), nowS: end + 1 });
    const buying = await opened();
    const [purchase] = buying.purchases;
    if (!purchase?.progress.mayRefund) throw new Error("the deadline is over");
    await buying.refund(purchase);
    expect(sent).toEqual([{ from: KADRI, to: DATA_MARKET, data: orderData("refund", order()), value: "0x0" }]);
  });
});

describe("a seller who wants it deleted", () => {
  const purchased = async () => {
    const buying = await opened();
    const [purchase] = buying.purchases;
    if (!purchase) throw new Error("one purchase");
    return { buying, purchase };
  };

  it("gets the buyer's word, in words and of an order that this page made", async () => {
    const server = serve({ sales: [asked()] });
    const shown = wallet({ standing: abiAnswer(2, NOW_S, 0, NOW_S + 9, 0) });
    const { buying, purchase } = await purchased();
    const told: string[] = [];
    const { container } = render(PurchaseItem, { purchase, buying, ontold: (what: string) => told.push(what) });
    expect(container.textContent).toContain("You have until 22 Dec 2026, 14:32 to sign that it is done.");
    expect(container.querySelector("blockquote")?.textContent).toBe(DELETION_STATEMENT);
    await fireEvent.click(screen.getByRole("button", { name: "Sign that it is deleted" }));
    await vi.waitFor(() => expect(told).toEqual(["You signed that it is deleted. The seller is told."]));
    const deletion = { statement: DELETION_STATEMENT, order: ID, buyer: KADRI, deletedAt: NOW_S };
    expect(shown).toEqual([{ ...deletion, deletedAt: String(NOW_S) }]);
    expect(server.deletions).toEqual([{ path: `/v1/sales/${ID}/deletion`, deletion, signature: signed(saleId("Deletion", deletion, MARKET), KADRI_KEY) }]);
    expect(buying.purchases[0]?.view?.withdrawal?.state).toBe("deleted");
  });

  it("gets it late too, and what was deleted is not offered again", async () => {
    serve({ sales: [asked({ withdrawal: { ...WITHDRAWAL, state: "not-answered" } })] });
    wallet({ standing: abiAnswer(2, NOW_S, 0, NOW_S + 9, 0) });
    const late = await purchased();
    const first = render(PurchaseItem, { ...late, ontold: () => {} });
    expect([first.container.textContent, screen.queryByRole("button", { name: "Sign that it is deleted" }) !== null, screen.queryByRole("button", { name: "Download and check" }) !== null])
      .toEqual([expect.stringContaining("You did not answer until"), true, true]);
    first.unmount();
    serve({ sales: [asked({ withdrawal: { ...WITHDRAWAL, state: "deleted" } })] });
    render(PurchaseItem, { ...await purchased(), ontold: () => {} });
    expect([screen.queryByRole("button", { name: "Sign that it is deleted" }), screen.queryByRole("button", { name: "Download and check" })]).toEqual([null, null]);
  });

  it("gets nothing signed where nobody asked, or the site tells of another order", async () => {
    const shown = wallet({ standing: abiAnswer(2, NOW_S, 0, NOW_S + 9, 0) });
    serve({ sales: [asked({ withdrawal: null })] });
    const none = await purchased();
    await expect(none.buying.sayDeleted(none.purchase)).rejects.toThrow("nothing was passed to your wallet");
    // The number of one order, under which another stands.
    serve({ sales: [asked({ order: order({ salt: `0x${"63".repeat(32)}` }) })] });
    const other = await purchased();
    await expect(other.buying.sayDeleted(other.purchase)).rejects.toThrow("nothing was passed to your wallet");
    // The same, where this device kept the true one.
    keepOrder(MARKET, { id: ID, order: order(), text: textOf(DATASET), tx: TX, atMs: NOW });
    const kept = await purchased();
    expect(kept.purchase.flaws).toEqual(["id"]);
    await expect(kept.buying.sayDeleted(kept.purchase)).rejects.toThrow("nothing was passed to your wallet");
    serve({ sales: [saleAnswer(order({ buyer: OTHER }), { role: "buyer", state: "settled", withdrawal: WITHDRAWAL })] });
    localStorage.clear();
    const anothers = await purchased();
    await expect(anothers.buying.sayDeleted(anothers.purchase)).rejects.toThrow("nothing was passed to your wallet");
    expect(shown).toEqual([]);
  });

  it("is told of one signature, also if it is sent twice, and of none by another key", async () => {
    const server = serve({ sales: [asked()] });
    server.refuse = 1;
    const shown = wallet({ standing: abiAnswer(2, NOW_S, 0, NOW_S + 9, 0) });
    const { buying, purchase } = await purchased();
    await expect(buying.sayDeleted(purchase)).rejects.toMatchObject({ kind: "not-withdrawn" });
    vi.setSystemTime(NOW + 60_000);
    await buying.sayDeleted(purchase);
    expect([shown.length, server.deletions[0]]).toEqual([1, server.deletions[1]]);
    serve({ sales: [asked()] });
    wallet({ standing: abiAnswer(2, NOW_S, 0, NOW_S + 9, 0), key: OTHER_KEY });
    const again = await purchased();
    await expect(again.buying.sayDeleted(again.purchase)).rejects.toThrow("another account");
    const silent = serve({ sales: [asked()] });
    silent.written = { withdrawal: WITHDRAWAL };
    wallet({ standing: abiAnswer(2, NOW_S, 0, NOW_S + 9, 0) });
    const unwritten = await purchased();
    await expect(unwritten.buying.sayDeleted(unwritten.purchase)).rejects.toThrow("wrote down something else");
  });
});

describe("the page of a buyer", () => {
  it("lets nobody pay before the key was saved, and says against what they are not protected", async () => {
    serve();
    wallet();
    const buying = await opened();
    const { container } = render(Buy, { view: VIEW, buying });
    const pay = () => screen.getByRole<HTMLButtonElement>("button", { name: "Pay with my wallet" });
    expect(container.textContent).toContain("You are protected against no delivery. You are not protected against poor or false content.");
    expect(pay().disabled).toBe(true);
    await fireEvent.click(screen.getByRole("button", { name: "Make it" }));
    expect(container.querySelector("code")?.textContent).toMatch(/^age1[a-z0-9]{58}$/);
    expect(pay().disabled).toBe(true);
    vi.stubGlobal("URL", Object.assign(URL, { createObjectURL: () => "blob:x", revokeObjectURL: () => undefined }));
    await fireEvent.click(screen.getByRole("button", { name: "Save the key as a file" }));
    expect(pay().disabled).toBe(false);
    await fireEvent.click(screen.getByRole("radio", { name: "I have an age key already" }));
    expect(pay().disabled).toBe(true);
    await fireEvent.input(screen.getByRole("textbox"), { target: { value: "age1nothing" } });
    expect([pay().disabled, container.textContent]).toEqual([true, expect.stringContaining("no age key that can be sealed to")]);
  });

  it("shows the catalogue to everybody, and holds it to what was asked", async () => {
    const { id, listedMs, dataset } = offerAnswer();
    const one = { id, listedMs, dataset, recordsAtLeast: 50, price: "50000000000000000", token: `0x${"0".repeat(40)}`, accessS: 0, expiresAtS: offer().expiresAt, purpose: "HRESCH", types: ["Observation"] };
    serve({ catalogue: [one] });
    const { container } = render(Market, { address: null, place: { name: "market" } });
    await vi.waitFor(() => expect(container.textContent).toContain("One offer."));
    expect([container.textContent, container.querySelector("article a")?.getAttribute("href")]).toEqual([expect.stringContaining("At least 50 records."), `#/market/offer/${id}`]);
    await fireEvent.change(screen.getByLabelText("Data"), { target: { value: "Condition" } });
    await fireEvent.click(screen.getByRole("button", { name: "Look" }));
    await vi.waitFor(() => expect(container.textContent).toContain("Nobody offers that here."));
  });

  it("opens an offer only where it checks", async () => {
    serve();
    wallet({ isOpen: abiAnswer(0) });
    const { container } = render(Market, { address: KADRI, place: { name: "offer", id: VIEW.id } });
    await vi.waitFor(() => expect(container.textContent).toContain("Do not pay for it."));
    expect(screen.queryByRole("button", { name: "Pay with my wallet" })).toBeNull();
  });
});
