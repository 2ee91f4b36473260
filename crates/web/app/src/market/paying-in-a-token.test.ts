import { fireEvent, render, screen } from "@testing-library/svelte";
import { decodeFunctionData, encodeAbiParameters, encodeErrorResult, hashStruct, hashTypedData, parseAbi } from "viem/utils";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { repositoryFile } from "../ledger/testing";
import type { Hex } from "../ledger/types";
import { signerOf } from "../permit/documents";
import { saleId, type Order } from "../permit/sale";
import { KADRI, KADRI_KEY, MARI, NOW, OTHER, OTHER_KEY } from "../permissions/testing";
import { DATA_MARKET, SELECTORS } from "../sales/abi";
import { offerViewOf, type OfferView } from "../sales/api";
import { abiAnswer, LOG, MARKET, marketAnswer, NOW_S, offer, offerAnswer, order, saleAnswer, signed } from "../sales/testing";
import { session } from "../session/session.svelte";
import Buy from "./Buy.svelte";
import { Buying } from "./buying.svelte";
import { keptOrders } from "./orders";

const TOKEN: Hex = `0x${"70".repeat(20)}`;
const PRICE = 12_500_000n;
const OFFER = offer({ token: TOKEN, price: PRICE.toString() });
const VIEW = offerViewOf(offerAnswer(OFFER)) as OfferView;
const ORDER: Order = order({ offer: OFFER });
const ERC20 = parseAbi([
  "function symbol() view returns (string)", "function name() view returns (string)", "function decimals() view returns (uint8)", "function version() view returns (string)",
  "function balanceOf(address) view returns (uint256)", "function allowance(address,address) view returns (uint256)", "function approve(address,uint256) returns (bool)",
  "function nonces(address) view returns (uint256)", "function DOMAIN_SEPARATOR() view returns (bytes32)", "function PERMIT_TYPEHASH() view returns (bytes32)",
]);
const { abi } = JSON.parse(new TextDecoder().decode(repositoryFile("abi/DataMarket.json"))) as { abi: never };
const DOMAIN = { name: "Plain", version: "1", chainId: 31338, verifyingContract: TOKEN };
const DOMAIN_TYPES = { EIP712Domain: [{ name: "name", type: "string" }, { name: "version", type: "string" }, { name: "chainId", type: "uint256" }, { name: "verifyingContract", type: "address" }] };
const PERMIT = { Permit: ["owner address", "spender address", "value uint256", "nonce uint256", "deadline uint256"].map((field) => ({ name: field.split(" ")[0] ?? "", type: field.split(" ")[1] ?? "" })) };

interface Ways {
  balance?: bigint;
  allowance?: bigint;
  /** Whether it says that it takes permits; and whether it then does. */
  speaksPermit?: boolean;
  takesPermit?: boolean;
  takesFee?: boolean;
  /** An allowance changes by way of none only. */
  isStubborn?: boolean;
  /** The owner lowers what the page asked for. */
  lowers?: boolean;
  failsApproval?: boolean;
  isNone?: boolean;
  declines?: readonly string[];
  key?: Uint8Array;
}

const declined = () => Object.assign(new Error("User rejected the request."), { code: 4001 });
const reverted = (data: Hex = "0x") => Object.assign(new Error("execution reverted"), { code: 3, data });
const word = (value: bigint): Hex => encodeAbiParameters([{ type: "uint256" }], [value]);
const text = (value: string): Hex => encodeAbiParameters([{ type: "string" }], [value]);

/** A chain with one token and the market's rules about it, behind a wallet. */
function chain({ balance = PRICE, allowance = 0n, speaksPermit = false, takesPermit = true, takesFee = false, isStubborn = false, lowers = false, failsApproval = false, isNone = false, declines = [], key = KADRI_KEY }: Ways = {}) {
  const state = { allowance, opened: [] as string[], sent: [] as { to: string; name: string; value: string }[], paid: 0n };
  const permitId = (deadline: bigint) => hashTypedData({ domain: DOMAIN, types: PERMIT, primaryType: "Permit", message: { owner: KADRI, spender: DATA_MARKET, value: PRICE, nonce: 3n, deadline } } as never);
  const tokenCall = (data: Hex): Hex => {
    const { functionName, args } = decodeFunctionData({ abi: ERC20, data });
    if (isNone) return "0x";
    switch (functionName) {
      case "symbol": return text("PLN");
      case "name": return text("Plain");
      case "decimals": return word(6n);
      case "balanceOf": return word(String(args?.[0]).toLowerCase() === KADRI ? balance : 0n);
      case "allowance": return word(String(args?.[0]).toLowerCase() === KADRI && String(args?.[1]).toLowerCase() === DATA_MARKET ? state.allowance : 0n);
      case "nonces": if (speaksPermit) return word(3n); throw reverted();
      case "DOMAIN_SEPARATOR": if (speaksPermit) return hashStruct({ data: DOMAIN, primaryType: "EIP712Domain", types: DOMAIN_TYPES }); throw reverted();
      case "approve": if (isStubborn && state.allowance > 0n && args?.[1] !== 0n) throw reverted(); return word(1n);
      default: throw reverted();
    }
  };
  /** What the contract would do; throws what it would say. */
  const marketCall = async (data: Hex) => {
    const { functionName, args } = decodeFunctionData({ abi, data }) as { functionName: string; args: readonly unknown[] };
    let may = state.allowance;
    if (functionName === "buyWithPermit") {
      const [, , deadline, v, r, s] = args as [unknown, unknown, bigint, number, Hex, Hex];
      const signature = `${r}${s.slice(2)}${v.toString(16)}` as Hex;
      if (takesPermit && deadline > BigInt(NOW_S) && await signerOf(permitId(deadline), signature) === KADRI) may = PRICE;
    }
    if (may < PRICE || balance < PRICE) throw reverted();
    if (takesFee) throw reverted(encodeErrorResult({ abi, errorName: "WrongAmountArrived", args: [PRICE - 1n, PRICE] } as never));
  };
  session.wallet = {
    info: { uuid: "u", name: "W", icon: "", rdns: "w" },
    provider: {
      async request({ method, params }) {
        const [first, second] = (params ?? []) as [{ to: Hex; data: Hex; value: string }, string];
        if (method === "eth_chainId") return "0x7a6a";
        if (method === "eth_accounts") return [KADRI];
        if (method === "eth_getBlockByNumber") return { number: "0x5", timestamp: `0x${NOW_S.toString(16)}` };
        if (method === "eth_getTransactionReceipt") return { status: failsApproval ? "0x0" : "0x1", logs: [] };
        if (method === "eth_call") {
          if (first.to === TOKEN) return tokenCall(first.data);
          const name = Object.entries(SELECTORS).find(([, selector]) => first.data.startsWith(selector))?.[0] ?? "";
          if (name.startsWith("buy")) return marketCall(first.data).then(() => "0x");
          return { standing: abiAnswer(0, 0, 0, 0, 0), controllerOf: abiAnswer(MARI), freezeOf: abiAnswer(0, 0), isOpen: abiAnswer(1) }[name] ?? "0x";
        }
        if (method === "eth_signTypedData_v4") {
          state.opened.push("permit");
          if (declines.includes("permit")) throw declined();
          return signed(hashTypedData(JSON.parse(second) as never), key);
        }
        if (method !== "eth_sendTransaction") throw new Error(method);
        const isToken = first.to === TOKEN;
        const name = isToken ? "approve" : (decodeFunctionData({ abi, data: first.data }) as { functionName: string }).functionName;
        state.opened.push(name);
        if (declines.includes(name)) throw declined();
        if (isToken) {
          const units = decodeFunctionData({ abi: ERC20, data: first.data }).args?.[1] as bigint;
          if (!failsApproval) state.allowance = lowers ? units / 2n : units;
          state.sent.push({ to: first.to, name: `approve ${units}`, value: first.value });
        } else {
          await marketCall(first.data);
          state.paid += 1n;
          state.sent.push({ to: first.to, name, value: first.value });
        }
        return `0x${"ee".repeat(32)}`;
      },
    },
  };
  return state;
}

const APPROVE = { to: TOKEN, name: `approve ${PRICE}`, value: "0x0" };
const pays = (name: string) => ({ to: DATA_MARKET, name, value: "0x0" });

async function opened(): Promise<Buying> {
  const buying = new Buying(KADRI);
  await buying.open();
  return buying;
}

beforeEach(() => {
  vi.useFakeTimers({ now: NOW, shouldAdvanceTime: true });
  localStorage.clear();
  session.who = { address: KADRI, roles: [], organisation: null, expiresMs: NOW + 1_000_000 };
  vi.stubGlobal("fetch", async (path: string, { method = "GET", body }: RequestInit = {}) => {
    const json = (value: unknown, status = 200) => new Response(JSON.stringify(value), { status });
    if (path === "/.well-known/medtrail.json") return json({ chainId: 31338, registry: OTHER, log: LOG, organisations: [] });
    if (path === "/v1/session") return json({}, 401);
    if (path === "/v1/market") return json(marketAnswer());
    if (method === "POST") return json(saleAnswer((JSON.parse(String(body)) as { order: Order }).order, { role: "buyer", state: "seen" }), 201);
    return json({ version: "medtrail/sales-v1", sales: [], next: null });
  });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  session.wallet = null;
  session.who = null;
});

describe("paying in a token", () => {
  it("takes a transaction by which the market may take just the price, and sends no coin", async () => {
    const state = chain();
    const buying = await opened();
    expect(await buying.pay(ORDER, VIEW)).toBe(saleId("Order", ORDER, MARKET));
    expect([state.sent, state.paid, state.opened]).toEqual([[APPROVE, pays("buy")], 1n, ["approve", "buy"]]);
    expect(keptOrders(MARKET, KADRI)).toHaveLength(1);
  });

  it("takes a signature in its place where the token takes one, and nothing where it may already", async () => {
    const signing = chain({ speaksPermit: true });
    await (await opened()).pay(ORDER, VIEW);
    expect([signing.sent, signing.opened]).toEqual([[pays("buyWithPermit")], ["permit", "buyWithPermit"]]);
    const before = chain({ speaksPermit: true, allowance: PRICE });
    await (await opened()).pay(ORDER, VIEW);
    expect([before.sent, before.opened]).toEqual([[pays("buy")], ["buy"]]);
  });

  it("falls back to the transaction where the signature would do nothing", async () => {
    for (const ways of [{ takesPermit: false }, { key: OTHER_KEY }]) {
      const state = chain({ speaksPermit: true, ...ways });
      await (await opened()).pay(ORDER, VIEW);
      expect(state.sent, JSON.stringify(ways)).toEqual([APPROVE, pays("buy")]);
    }
  });

  it("takes back a smaller allowance first where the token wants that, and only there", async () => {
    const stubborn = chain({ allowance: 3n, isStubborn: true });
    await (await opened()).pay(ORDER, VIEW);
    expect(stubborn.sent.map(({ name }) => name)).toEqual(["approve 0", `approve ${PRICE}`, "buy"]);
    const plain = chain({ allowance: 3n });
    await (await opened()).pay(ORDER, VIEW);
    expect(plain.sent.map(({ name }) => name)).toEqual([`approve ${PRICE}`, "buy"]);
  });
});

describe("nothing is paid, no order kept, and the reason told", () => {
  const refuses = async (ways: Ways, words: string) => {
    const state = chain(ways);
    const buying = await opened();
    await expect(buying.pay(ORDER, VIEW)).rejects.toThrow(words);
    expect([state.paid, keptOrders(MARKET, KADRI), buying.isBusy, buying.asking]).toEqual([0n, [], false, null]);
    return state;
  };

  it("where the buyer has too little, before any wallet opens", async () => {
    const state = await refuses({ balance: PRICE - 1n, speaksPermit: true }, `You have 12.499999 PLN (token ${TOKEN}), and the price is 12.5 PLN (token ${TOKEN}). Nothing was paid.`);
    expect(state.opened).toEqual([]);
  });

  it("where no token stands at the address, before any wallet opens", async () => {
    const state = await refuses({ isNone: true }, "No token answers at");
    expect(state.opened).toEqual([]);
  });

  it("where the token keeps a part of it, which the contract says before it is sent", async () => {
    const words = "it keeps a part of each transfer";
    expect((await refuses({ takesFee: true }, words)).sent).toEqual([APPROVE]);
    expect((await refuses({ takesFee: true, speaksPermit: true }, words)).sent).toEqual([]);
    expect((await refuses({ takesFee: true, allowance: PRICE }, words)).sent).toEqual([]);
  });

  it("where the allowance failed, or was made smaller in the wallet", async () => {
    await refuses({ failsApproval: true }, "The transaction that lets the market take the price failed");
    await refuses({ lowers: true }, "less than the price");
  });

  it("where the buyer says no, at each of the questions", async () => {
    expect((await refuses({ speaksPermit: true, declines: ["permit"] }, "rejected")).opened).toEqual(["permit"]);
    expect((await refuses({ speaksPermit: true, declines: ["buyWithPermit"] }, "rejected")).sent).toEqual([]);
    expect((await refuses({ declines: ["approve"] }, "rejected")).sent).toEqual([]);
    expect((await refuses({ declines: ["buy"] }, "rejected")).sent).toEqual([APPROVE]);
  });
});

it("the page names the token's address before it pays, and says what stays if the buyer stops half way", async () => {
  chain({ declines: ["buy"] });
  const buying = await opened();
  const { container } = render(Buy, { view: VIEW, buying });
  expect(container.textContent).toContain(`go by its address, ${TOKEN}.`);
  expect(container.textContent).toContain("In its smallest units it is 12500000.");
  await fireEvent.click(screen.getByRole("button", { name: "Make it" }));
  vi.stubGlobal("URL", Object.assign(URL, { createObjectURL: () => "blob:x", revokeObjectURL: () => undefined }));
  await fireEvent.click(screen.getByRole("button", { name: "Save the key as a file" }));
  await fireEvent.click(screen.getByRole("button", { name: "Pay with my wallet" }));
  await vi.waitFor(() => expect(container.textContent).toContain("You had let the market take the price, and it still may, but only in a payment that you send yourself."));
});
