// @vitest-environment node
import { hashTypedData } from "viem/utils";
import { describe, expect, it } from "vitest";
import type { Ask } from "../ledger/chain";
import type { Hex } from "../ledger/types";
import { KADRI, MARI, NOW, OTHER, OTHER_KEY } from "../permissions/testing";
import { approvalOf, deletionOf, saleId } from "../permit/sale";
import { REFUSAL_OF, SELECTORS, SETTLED } from "./abi";
import { catalogueOf, marketOf, offerViewOf, ruleFor, saleOf, type OfferView, type SaleView } from "./api";
import { isKnownMarket, judgeOffer, saleFlaws } from "./check";
import { MarketChain, type SellerFacts, type Standing } from "./chain";
import { etherOf, weiOf } from "./price";
import { progressOf } from "./progress";
import { abiAnswer, DATASET, LOG, MARKET, marketAnswer, NOW_S, offer, offerAnswer, order, saleAnswer, textOf } from "./testing";
import { refusalIn } from "./transact";
import { approvalForWallet, deletionForWallet, offerForWallet, randomWord } from "./typed-data";
import { lengthWords } from "./words";

const viewOf = (answer: object): OfferView => {
  const view = offerViewOf(answer);
  if (view === null) throw new Error("an offer");
  return view;
};
const sale = (change: object = {}): SaleView => {
  const view = saleOf(saleAnswer(order(), change));
  if (view === null) throw new Error("a sale");
  return view;
};
const WITHDRAWAL = { askedMs: NOW, dueMs: NOW + 30 * 86_400_000, state: "waiting" };
const SOUND: SellerFacts = { controller: MARI, isFrozen: false, isOpen: true };

describe("a price", () => {
  it("is what was typed, to the last unit", () => {
    const typed = { "0.05": "50000000000000000", "1": "1000000000000000000", "0,000000000000000001": "1", " 2.50 ": "2500000000000000000" };
    for (const [text, wei] of Object.entries(typed)) expect(weiOf(text), text).toBe(wei);
    for (const other of ["", "0", "0.0", "-1", "1e3", "0x1", "1.0000000000000000001", ".5", "1.", "١", "1 000", "999999999999999999999", "NaN"]) expect(weiOf(other), other).toBeNull();
  });

  it("is told as ether without losing any of it", () => {
    expect([etherOf("50000000000000000"), etherOf("1"), etherOf(10n ** 18n), etherOf("0")]).toEqual(["0.05", "0.000000000000000001", "1", "0"]);
    expect(weiOf(etherOf("123456789012345678901"))).toBe("123456789012345678901");
  });

  it("is asked for during lengths of time in their own unit", () => {
    expect([172_800, 86_400, 7_200, 90, 60, 1].map(lengthWords)).toEqual(["2 days", "one day", "2 hours", "90 seconds", "one minute", "one second"]);
  });
});

describe("what the wallet signs", () => {
  const parsed = (text: string) => JSON.parse(text) as Parameters<typeof hashTypedData>[0] & { types: Record<string, unknown> };

  it("is the offer and the approval whose ids this page counted", () => {
    const shown = parsed(offerForWallet(offer(), MARKET));
    expect(hashTypedData(shown)).toBe(saleId("Offer", offer(), MARKET));
    const approval = approvalOf(order(), MARKET, order().deliverBy + order().grace);
    expect(hashTypedData(parsed(approvalForWallet(approval, MARKET)))).toBe(saleId("SaleApproval", approval, MARKET));
    const deletion = deletionOf(order(), MARKET, NOW_S);
    expect(hashTypedData(parsed(deletionForWallet(deletion, MARKET)))).toBe(saleId("Deletion", deletion, MARKET));
    expect([shown.domain, Object.keys(shown.types)]).toEqual([
      { name: "Medtrail", version: "1", chainId: 31338, verifyingContract: MARKET.dataMarket }, ["EIP712Domain", "Offer", "Terms"]]);
    expect(randomWord()).toMatch(/^0x[0-9a-f]{64}$/);
    expect(randomWord()).not.toBe(randomWord());
  });
});

describe("the service's answers", () => {
  it("name the market, or say that there is none", () => {
    expect(marketOf(marketAnswer({ dataMarket: MARKET.dataMarket.toUpperCase().replace("0X", "0x") }))).toEqual(MARKET);
    expect(marketOf({ version: "medtrail/market-v1", dataMarket: null })).toBe("off");
    for (const change of [{ version: "x" }, { dataMarket: "0x1" }, { chainId: "31338" }, { rules: { default: "yes", countries: {} } }, { rules: null }, { rules: { ...MARKET.rules, deliverySMin: -1, graceSMin: 1 } }]) {
      expect(marketOf(marketAnswer(change)), JSON.stringify(change)).toBeNull();
    }
    expect([ruleFor(MARKET, "EE"), ruleFor(MARKET, "DE"), ruleFor(MARKET, "SE"), ruleFor(MARKET, "constructor")]).toEqual(["on", "de-identified", "off", "off"]);
  });

  it("are read whole or not at all", () => {
    expect(viewOf(offerAnswer())).toMatchObject({ offer: offer(), dataset: DATASET, state: "open" });
    for (const change of [{ id: "0x1" }, { offer: { ...offer(), price: 5 } }, { offer: null }, { signature: "0xabc" }, { signature: null }, { state: "sold" }, { dataset: 5 }, { listedMs: 1.5 }]) {
      expect(offerViewOf(offerAnswer(offer(), change)), JSON.stringify(change)).toBeNull();
    }
    expect(viewOf(offerAnswer(offer(), { dataset: "{}" })).dataset).toBeNull();
    expect(sale({ leftOut: { outOfPeriod: 3, other: "x", none: 0 } }).leftOut).toEqual([["outOfPeriod", 3]]);
    expect(sale({ withdrawal: WITHDRAWAL }).withdrawal).toEqual(WITHDRAWAL);
    expect(sale({ withdrawal: undefined }).withdrawal).toBeNull();
    expect(sale({ delivery: { index: 1, bytes: 2, file: LOG, lock: LOG } }).delivery).toBeNull();
    for (const change of [{ state: "gone" }, { role: "admin" }, { order: {} }, { dataset: null }, { withdrawal: { ...WITHDRAWAL, state: "shrugged" } }, { withdrawal: { ...WITHDRAWAL, dueMs: null } }, { withdrawal: 1 }]) expect(saleOf(saleAnswer(order(), change)), JSON.stringify(change)).toBeNull();
  });

  it("of many are counted where they cannot be read", () => {
    const { id, listedMs, dataset } = offerAnswer();
    const one = { id, listedMs, recordsAtLeast: 50, dataset, price: "5", token: `0x${"0".repeat(40)}`, accessS: 0, expiresAtS: NOW_S, purpose: "HRESCH", types: ["Observation"] };
    expect(catalogueOf({ offers: [one, { ...one, dataset: "x" }, 5], next: "abc" })).toMatchObject({ found: [{ id, dataset: DATASET }], next: "abc", unread: 2 });
    expect(catalogueOf(null)).toEqual({ found: [], next: null, unread: 0 });
  });
});

describe("an offer", () => {
  const judged = (answer: object, facts: SellerFacts | null = SOUND, market = MARKET) => judgeOffer(viewOf(answer), market, facts, NOW);

  it("is sound if words, number, key and chain agree", async () => {
    expect(await judged(offerAnswer())).toEqual({ flaws: [], doubts: [] });
    expect(await judged(offerAnswer(), null)).toEqual({ flaws: [], doubts: ["chain"] });
  });

  it("is not, with anything of it changed", async () => {
    const sweet = { ...offer(), terms: { ...offer().terms, statement: "Free of charge." } };
    const cases: [object, SellerFacts | null, string[]][] = [
      [offerAnswer(offer(), { dataset: "{}" }), SOUND, ["dataset"]],
      [offerAnswer(sweet), SOUND, ["fields"]],
      [offerAnswer(offer(), { offer: { ...offer(), price: "1" } }), SOUND, ["fields", "id"]],
      [offerAnswer(offer(), { dataset: textOf({ ...DATASET, origin: "signed-and-uploaded" }) }), SOUND, ["fields"]],
      [offerAnswer(offer({ log: `0x${"66".repeat(32)}` })), SOUND, ["log"]],
      [offerAnswer(offer(), { signature: `0x${"00".repeat(65)}` }), SOUND, ["signature"]],
      [offerAnswer(offer(), {}, OTHER_KEY), SOUND, ["signer"]],
      [offerAnswer(), { ...SOUND, controller: OTHER }, ["signer"]],
      [offerAnswer(), { ...SOUND, isFrozen: true }, ["frozen"]],
      [offerAnswer(), { ...SOUND, isOpen: false }, ["closed"]],
    ];
    for (const [answer, facts, flaws] of cases) expect((await judged(answer, facts)).flaws, flaws.join()).toEqual(flaws);
    expect((await judgeOffer(viewOf(offerAnswer()), MARKET, SOUND, offer().expiresAt * 1000)).flaws).toEqual(["expired"]);
  });

  it("is doubtful under a contract that nobody knows, and where only a contract can check the signature", async () => {
    const other = { ...MARKET, dataMarket: `0x${"66".repeat(20)}` as Hex };
    expect(isKnownMarket(MARKET) && !isKnownMarket(other)).toBe(true);
    expect((await judged(offerAnswer(), SOUND, other)).doubts).toEqual(["contract"]);
    expect(await judged(offerAnswer(offer(), { signature: `0x${"ab".repeat(100)}` }))).toEqual({ flaws: [], doubts: ["wallet"] });
    // By another's key it may be right: whom control moved to says the chain only.
    expect((await judged(offerAnswer(offer(), {}, OTHER_KEY), null)).doubts).toEqual(["chain", "wallet"]);
    expect(await judged(offerAnswer(offer(), {}, OTHER_KEY), { ...SOUND, controller: OTHER })).toEqual({ flaws: [], doubts: [] });
  });
});

describe("a sale as it is told", () => {
  it("is of what stands in it, and of the person", () => {
    expect(saleFlaws(sale(), MARKET, [MARI])).toEqual([]);
    expect(saleFlaws(sale(), MARKET, [OTHER])).toEqual(["signer"]);
    expect(saleFlaws(sale({ role: "buyer" }), MARKET, [KADRI])).toEqual([]);
    expect(saleFlaws(sale({ id: LOG }), MARKET, [MARI])).toEqual(["id"]);
    expect(saleFlaws(sale({ order: order({ buyer: OTHER }) }), MARKET, [MARI])).toEqual(["id"]);
    expect(saleFlaws(sale({ dataset: "{}" }), MARKET, [MARI])).toEqual(["dataset"]);
  });
});

describe("how far a sale is", () => {
  const standing = (change: Partial<Standing> = {}): Standing => ({ status: "paid", paidAtS: NOW_S, approvedAtS: null, endedAtS: null, revokedAtS: null, ...change });
  const told = (view: SaleView | null, chain: Standing | null, nowS = NOW_S) => {
    const { steps, ...rest } = progressOf(order(), view, chain, nowS);
    return { steps: steps.map(({ state }) => state[0]).join(""), ...rest };
  };
  const END = order().deliverBy + order().grace;
  const DELIVERY = { index: 1, bytes: 2, file: LOG, lock: LOG, isAnchored: false };

  it("goes from paid to settled", () => {
    const steps = [
      [null, standing({ status: "none", paidAtS: null })], [sale({ state: "seen" }), standing()], [sale({ isApproved: true, state: "preparing" }), standing()],
      [sale({ isApproved: true, state: "delivered", delivery: DELIVERY }), standing()],
      [sale({ isApproved: true, state: "settling", delivery: { ...DELIVERY, isAnchored: true } }), standing()],
      [sale({ isApproved: true, state: "settled", delivery: { ...DELIVERY, isAnchored: true } }), standing({ status: "settled" })],
    ] as const;
    expect(steps.map(([view, chain]) => told(view, chain).steps)).toEqual(["nllll", "dnlll", "ddnll", "dddnl", "ddddn", "ddddd"]);
    expect(told(sale(), standing({ approvedAtS: NOW_S })).steps).toBe("ddnll");
  });

  it("believes the chain about money", () => {
    expect(told(sale({ state: "settled" }), standing())).toMatchObject({ end: "running", isDisputed: false });
    expect(told(sale({ state: "waiting" }), standing({ status: "settled" }))).toMatchObject({ end: "settled", steps: "ddddd" });
    expect(told(sale({ state: "settled" }), standing({ status: "refunded" }))).toMatchObject({ end: "refunded", isDisputed: true, mayDownload: false });
    expect(told(sale({ state: "refunded" }), standing({ status: "settled" }))).toMatchObject({ end: "settled", isDisputed: true });
    expect(told(sale(), standing({ status: "none" }))).toMatchObject({ isDisputed: true, isSeenOnChain: false });
    expect(told(sale(), null)).toMatchObject({ isDisputed: false, isSeenOnChain: false, steps: "dnlll" });
    expect(told(null, standing())).toMatchObject({ isSeenOnChain: true, steps: "dnlll" });
  });

  it("lets the buyer take back what the contract still holds, from the second after the deadline on", () => {
    const may = (view: SaleView | null, chain: Standing | null, nowS: number) => told(view, chain, nowS).mayRefund;
    expect([may(sale(), standing(), END), may(sale(), standing(), END + 1)]).toEqual([false, true]);
    expect(may(sale({ state: "over", refusal: "late" }), null, END + 1)).toBe(true);
    expect(may(null, null, END + 1)).toBe(false);
    for (const status of ["none", "settled", "refunded"] as const) expect(may(sale({ state: "over" }), standing({ status }), END + 1), status).toBe(false);
  });

  it("stops where it came to nothing", () => {
    expect(told(sale({ state: "over", refusal: "not-approved" }), standing())).toMatchObject({ end: "over", steps: "dssss", mayDownload: false });
    expect(told(sale({ state: "refunded" }), null)).toMatchObject({ end: "refunded", steps: "dssss" });
  });
});

describe("the chain, asked through the wallet", () => {
  const ID = saleId("Order", order(), MARKET);
  const TX: Hex = `0x${"ee".repeat(32)}`;
  const K: Hex = `0x${"4b".repeat(32)}`;

  function chain(answers: Record<string, unknown>, chainId = "0x7a6a"): MarketChain {
    const ask: Ask = async (method, params) => {
      if (method === "eth_chainId") return chainId;
      if (method !== "eth_call") return answers[method];
      const { to, data } = (params as [{ to: string; data: string }])[0];
      const of = Object.entries(SELECTORS).find(([, selector]) => data.startsWith(selector))?.[0] ?? "";
      expect(to).toBe(["controllerOf", "freezeOf"].includes(of) ? MARKET.consentRegistry : MARKET.dataMarket);
      return answers[of];
    };
    return new MarketChain(ask, MARKET, MARKET.consentRegistry);
  }

  it("says how an order and its seller stand", async () => {
    const node = chain({ standing: abiAnswer(1, 100, 0, 0, 0), controllerOf: abiAnswer(OTHER), freezeOf: abiAnswer(5, 1), isOpen: abiAnswer(1), epochOf: abiAnswer(3), creditOf: abiAnswer(10n ** 18n) });
    expect(await node.standing(ID)).toEqual({ status: "paid", paidAtS: 100, approvedAtS: null, endedAtS: null, revokedAtS: null });
    expect(await node.offer(offer())).toEqual({ controller: OTHER, isFrozen: true, isOpen: true });
    expect([await node.epoch(MARI), await node.credit(MARI, LOG.slice(0, 42) as Hex)]).toEqual([3, 10n ** 18n]);
    expect(await chain({ eth_getBlockByNumber: { number: "0x1", timestamp: "0x64" } }).nowS()).toBe(100);
  });

  it("is not asked on another chain, and not believed in other forms", async () => {
    await expect(chain({ standing: abiAnswer(1, 1, 0, 0, 0) }, "0x1").standing(ID)).rejects.toThrow("chain 1");
    for (const answer of ["0x", abiAnswer(1, 2), abiAnswer(4, 0, 0, 0, 0), abiAnswer(1, 2n ** 60n, 0, 0, 0), null]) {
      await expect(chain({ standing: answer }).standing(ID), String(answer)).rejects.toThrow("unexpected answer");
    }
    await expect(chain({ controllerOf: abiAnswer(2n ** 200n), freezeOf: abiAnswer(0, 0), isOpen: abiAnswer(1) }).offer(offer())).rejects.toThrow("controllerOf");
    await expect(chain({ eth_getBlockByNumber: null }).nowS()).rejects.toThrow("unexpected");
  });

  it("shows the key of the very order, by the very contract, in the block of that time", async () => {
    const log = { address: MARKET.dataMarket.toUpperCase().replace("0X", "0x"), topics: [SETTLED, ID, LOG, LOG], data: K, transactionHash: TX };
    // A block every five seconds; some chains have two of one second.
    const times = Array.from({ length: 100 }, (_, number) => 1_000 + 5 * Math.floor(number / 2));
    const asked: unknown[] = [];
    const settled = (change: object, standing: Hex = abiAnswer(2, 100, 0, 1_105, 0)) => new MarketChain(async (method, params) => {
      if (method === "eth_chainId") return "0x7a6a";
      if (method === "eth_call") return standing;
      if (method === "eth_getTransactionByHash") return { to: OTHER, input: "0x" };
      if (method === "eth_getBlockByNumber") {
        const number = params[0] === "latest" ? 99 : Number(params[0]);
        return { number: `0x${number.toString(16)}`, timestamp: `0x${(times[number] ?? 0).toString(16)}` };
      }
      asked.push(params);
      return [{ ...log, ...change }];
    }, MARKET, MARKET.consentRegistry).settled(ID);
    expect(await settled({})).toEqual({ k: K, file: null });
    expect(asked).toEqual([[{ address: MARKET.dataMarket, topics: [SETTLED, ID], fromBlock: "0x2a", toBlock: "0x2b" }]]);
    // In the newest blocks of all.
    expect(await settled({}, abiAnswer(2, 100, 0, 1_245, 0))).not.toBeNull();
    expect(asked.at(-1)).toEqual([{ address: MARKET.dataMarket, topics: [SETTLED, ID], fromBlock: "0x62", toBlock: "0x63" }]);
    for (const change of [{ address: OTHER }, { topics: [SETTLED, LOG] }, { topics: [LOG, ID] }, { topics: null }, { data: "0x" }, { removed: true }]) expect(await settled(change), JSON.stringify(change)).toBeNull();
    expect(await settled({}, abiAnswer(1, 100, 0, 0, 0))).toBeNull();
    expect(await settled({}, abiAnswer(3, 100, 0, 1_105, 0))).toBeNull();
  });

  it("refuses in words wherever a wallet puts them", () => {
    const data = "0xc0ffee00";
    expect(refusalIn({ code: -32603, data })).toBeNull();
    const late = [...REFUSAL_OF].find(([, name]) => name === "TooLate")?.[0] ?? "";
    for (const error of [{ data: late }, { data: { data: late } }, { cause: { data: `${late}00ff` } }, { data: { originalError: { data: late.toUpperCase().replace("0X", "0x") } } }, { error: { data: late } }]) {
      expect(refusalIn(error), JSON.stringify(error)).toBe("TooLate");
    }
    const round: { cause?: unknown } = {};
    round.cause = round;
    expect([refusalIn(round), refusalIn(null), refusalIn("x")]).toEqual([null, null, null]);
  });
});
