import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Refused, Unreachable } from "../server/client";
import { switchTo } from "./chain";
import { explain, hasCode, isDeclined } from "./explain";
import { hexOf, session } from "./session.svelte";
import { iconOf, wallets, type Wallet } from "./wallets.svelte";

const MARI = "0x3c44cdddb6a900fa2b585dd299e03d12fa4293bc";
const CHAIN = { chainId: 31338, name: "Demo", rpcUrl: "http://127.0.0.1:8545", symbol: "ETH" };

type Answers = Record<string, (params: unknown) => unknown>;

function walletOf(answers: Answers, uuid = "u1", rdns = "a.wallet") {
  const listeners = new Map<string, (value: never) => void>();
  const asked: string[] = [];
  const wallet: Wallet = {
    info: { uuid, name: "A wallet", icon: "data:image/png;base64,AA", rdns },
    provider: {
      async request({ method, params }) {
        asked.push(method);
        const answer = answers[method];
        if (!answer) throw Object.assign(new Error(method), { code: -32601 });
        return answer(params);
      },
      on: (event, listener) => void listeners.set(event, listener),
      removeListener: (event) => void listeners.delete(event),
    },
  };
  return { wallet, asked, tell: (event: string, value: unknown) => listeners.get(event)?.(value as never), listeners };
}

/** Answers of the server by method and path. */
function serve(answers: Record<string, [number, unknown]>) {
  const asked: { name: string; body: unknown }[] = [];
  vi.stubGlobal("fetch", async (path: string, { method = "GET", body }: RequestInit = {}) => {
    const name = `${method} ${path.split("?")[0]}`;
    asked.push({ name, body: body ? JSON.parse(String(body)) : undefined });
    const [status, content] = answers[name] ?? [404, {}];
    return new Response(status === 204 ? null : JSON.stringify(content), { status });
  });
  return asked;
}

/** The text the server writes (crates/api, siwe), with some of it changed. */
function text(change: Partial<Record<"domain" | "address" | "uri" | "chainId" | "issuedMs" | "lifeMs" | "end", string | number>> = {}): string {
  const now = Date.now();
  const { domain, address, uri, chainId, issuedMs, lifeMs, end } = {
    domain: location.host, address: MARI, uri: location.origin, chainId: 31338, issuedMs: now, lifeMs: 300_000, end: "", ...change,
  };
  const [from, until] = [new Date(Number(issuedMs)), new Date(Number(issuedMs) + Number(lifeMs))].map((date) => date.toISOString());
  return `${domain} wants you to sign in with your Ethereum account:\n${address}\n\nSee your own lines.\n\nURI: ${uri}\nVersion: 1\n`
    + `Chain ID: ${chainId}\nNonce: 0123456789abcdef\nIssued At: ${from}\nExpiration Time: ${until}${end}`;
}

const who = () => ({ address: MARI, roles: ["person"], organisation: null, expiresMs: Date.now() + 1_000 });
const declined = () => { throw Object.assign(new Error("User rejected the request."), { code: 4001 }); };

beforeEach(() => {
  vi.useFakeTimers();
  session.who = null;
  session.wallet = null;
  session.error = "";
  session.ended = null;
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("signing in", () => {
  it("signs the server's own text with the address that was asked for", async () => {
    const asked = serve({
      "GET /.well-known/medtrail.json": [200, { chainId: 31338 }], "GET /v1/session/nonce": [200, { message: text() }], "POST /v1/session": [200, who()],
    });
    const signed: unknown[] = [];
    const { wallet } = walletOf({
      eth_requestAccounts: () => [MARI], personal_sign: (params) => { signed.push(params); return "0xsig"; },
    });
    await session.signIn(wallet);
    expect(signed).toEqual([[hexOf(text()), MARI]]);
    expect(asked.at(-1)).toEqual({ name: "POST /v1/session", body: { message: text(), signature: "0xsig", bearer: false } });
    expect([session.who?.address, session.error]).toEqual([MARI, ""]);
  });

  it("asks no wallet to sign a text for anything but this page, this account, this chain and now", async () => {
    const lies = [
      { domain: "shop.example" }, { address: `0x${"1".repeat(40)}` }, { uri: "https://shop.example" }, { uri: `${location.origin}.example` },
      { chainId: 1 }, { lifeMs: 86_400_000 }, { lifeMs: -1 }, { issuedMs: Date.now() - 3 * 86_400_000 }, { end: "\nResources:\n- urn:recap:x" },
      { end: "\n" }, { domain: `${location.host}\nshop.example` },
    ];
    for (const message of [...lies.map(text), "I owe you 5 ETH."]) {
      serve({ "GET /.well-known/medtrail.json": [200, { chainId: 31338 }], "GET /v1/session/nonce": [200, { message }] });
      const { wallet, asked } = walletOf({ eth_requestAccounts: () => [MARI], personal_sign: () => "0xsig" });
      await session.signIn(wallet);
      expect([asked, session.who], message).toEqual([["eth_requestAccounts"], null]);
      expect(session.error, message).toContain("it was not signed");
    }
  });

  it("is quiet about a no in the wallet, wherever it comes", async () => {
    serve({ "GET /.well-known/medtrail.json": [200, { chainId: 31338 }], "GET /v1/session/nonce": [200, { message: text() }] });
    await session.signIn(walletOf({ eth_requestAccounts: declined }).wallet);
    await session.signIn(walletOf({ eth_requestAccounts: () => [MARI], personal_sign: declined }).wallet);
    expect([session.error, session.who, session.isBusy]).toEqual(["", null, false]);
  });

  it("says what the server refused, and what to do", async () => {
    serve({ "GET /v1/session/nonce": [429, { type: "/problems/too-many-requests", title: "Asked too often" }] });
    await session.signIn(walletOf({ eth_requestAccounts: () => [MARI] }).wallet);
    expect(session.error).toBe("That was too often. Wait a little and try again.");
  });

  it("ends when the wallet takes another account, or none", async () => {
    for (const accounts of [["0x0000000000000000000000000000000000000001"], []]) {
      const asked = serve({
        "GET /.well-known/medtrail.json": [200, { chainId: 31338 }], "GET /v1/session/nonce": [200, { message: text() }], "POST /v1/session": [200, who()], "DELETE /v1/session": [204, null],
      });
      const { wallet, tell } = walletOf({ eth_requestAccounts: () => [MARI], personal_sign: () => "0xsig" });
      await session.signIn(wallet);
      tell("accountsChanged", accounts);
      await vi.waitFor(() => expect(asked.at(-1)?.name).toBe("DELETE /v1/session"));
      expect([session.who, session.ended]).toEqual([null, "account"]);
    }
  });

  it("goes on while the wallet tells the same account in other letters", async () => {
    serve({ "GET /.well-known/medtrail.json": [200, { chainId: 31338 }], "GET /v1/session/nonce": [200, { message: text() }], "POST /v1/session": [200, who()] });
    const { wallet, tell } = walletOf({ eth_requestAccounts: () => [MARI], personal_sign: () => "0xsig" });
    await session.signIn(wallet);
    tell("accountsChanged", [MARI.toUpperCase().replace("0X", "0x")]);
    expect(session.who?.address).toBe(MARI);
  });

  it("ends at its time", async () => {
    serve({ "GET /v1/session": [200, who()] });
    await session.probe();
    expect(session.who?.address).toBe(MARI);
    vi.advanceTimersByTime(1_001);
    expect([session.who, session.ended]).toEqual([null, "expired"]);
  });

  it("stays when the server cannot be asked, and ends when it says so", async () => {
    serve({ "GET /v1/session": [200, who()] });
    await session.probe();
    vi.stubGlobal("fetch", async () => { throw new TypeError("down"); });
    await session.probe();
    expect(session.who?.address).toBe(MARI);
    serve({ "GET /v1/session": [401, { title: "Signed out" }] });
    await session.probe();
    expect([session.who, session.ended]).toEqual([null, "elsewhere"]);
  });
});

describe("a page that opens", () => {
  beforeEach(() => {
    localStorage.clear();
    session.who = undefined;
  });
  afterEach(() => vi.restoreAllMocks());

  it("asks the server only if somebody may be signed in", async () => {
    const asked = serve({ "GET /v1/session": [200, who()] });
    await session.start();
    expect([session.who, asked]).toEqual([null, []]);
    await session.probe();
    session.who = undefined;
    await session.start();
    expect([(session.who as { address?: string } | null | undefined)?.address, asked.length]).toEqual([MARI, 2]);
  });

  it("asks nothing after signing out, nor once the time is over", async () => {
    const asked = serve({ "GET /v1/session": [200, who()], "DELETE /v1/session": [204, null] });
    await session.probe();
    await session.signOut();
    await session.start();
    expect(asked.map(({ name }) => name)).toEqual(["GET /v1/session", "DELETE /v1/session"]);
    localStorage.setItem("medtrail.session.until", String(Date.now() - 1));
    await session.start();
    expect([asked.length, localStorage.length, session.who]).toEqual([2, 0, null]);
  });

  it("asks where the browser keeps no notes", async () => {
    for (const name of ["getItem", "setItem", "removeItem"] as const) {
      vi.spyOn(Storage.prototype, name).mockImplementation(() => { throw new DOMException("no", "SecurityError"); });
    }
    const asked = serve({ "GET /v1/session": [200, who()] });
    await session.start();
    expect([asked.length, session.who?.address]).toEqual([1, MARI]);
  });
});

describe("an error in words", () => {
  it("finds the code at any depth, and where phones put it", () => {
    expect(hasCode({ cause: { cause: { code: 4902 } } }, 4902)).toBe(true);
    expect(hasCode({ code: -32603, data: { originalError: { code: 4902 } } }, 4902)).toBe(true);
    expect(isDeclined({ cause: { code: 4001 } })).toBe(true);
    expect(hasCode({ code: 4001 }, 4902)).toBe(false);
  });

  it("shows the wallet's own words, details first", () => {
    expect(explain({ code: -32000, message: "Missing or invalid parameters", details: "chainId must match" })).toBe("Your wallet said: chainId must match");
    expect(explain(new Error("This page's own words."))).toBe("This page's own words.");
    expect(explain({ code: -32002 })).toContain("already has a question open");
    expect(explain(new Unreachable(null))).toContain("No answer");
    expect(explain(new Refused(409, "x-y", "binding of a subject"))).toBe("The server said no (x-y).");
    expect(explain(new Refused(502, "", "Bad gateway"))).toBe("The server said no (502).");
    expect(explain(undefined)).not.toBe("");
  });

  it("ends on a chain of causes that goes round", () => {
    const round: { cause?: unknown } = {};
    round.cause = round;
    expect(hasCode(round, 4001)).toBe(false);
  });
});

describe("the wallet's chain", () => {
  it("is left alone if it is the right one", async () => {
    const { wallet, asked } = walletOf({ eth_chainId: () => "0x7a6a" });
    await switchTo(wallet, 31338, CHAIN);
    expect(asked).toEqual(["eth_chainId"]);
  });

  it("is added if the wallet does not know it, and read again", async () => {
    let active = "0x1";
    const { wallet, asked } = walletOf({
      eth_chainId: () => active,
      wallet_switchEthereumChain: () => { throw Object.assign(new Error("unknown"), { code: 4902 }); },
      wallet_addEthereumChain: (params) => {
        expect(params).toEqual([{ chainId: "0x7a6a", chainName: "Demo", rpcUrls: [CHAIN.rpcUrl], nativeCurrency: { name: "ETH", symbol: "ETH", decimals: 18 } }]);
        active = "0x7a6a";
        return null;
      },
    });
    await switchTo(wallet, 31338, CHAIN);
    expect(asked).toEqual(["eth_chainId", "wallet_switchEthereumChain", "wallet_addEthereumChain", "eth_chainId"]);
  });

  it("is not believed to be switched: added, but the switch declined, answers null too", async () => {
    const { wallet } = walletOf({
      eth_chainId: () => "0x1", wallet_addEthereumChain: () => null,
      wallet_switchEthereumChain: () => { throw Object.assign(new Error("unknown"), { code: 4902 }); },
    });
    await expect(switchTo(wallet, 31338, CHAIN)).rejects.toThrow("on another chain");
  });

  it("passes on a no, and an unknown chain that nobody can describe", async () => {
    const no = walletOf({ eth_chainId: () => "0x1", wallet_switchEthereumChain: declined }).wallet;
    await expect(switchTo(no, 31338, CHAIN)).rejects.toMatchObject({ code: 4001 });
    const unknown = walletOf({
      eth_chainId: () => "0x1", wallet_switchEthereumChain: () => { throw Object.assign(new Error("unknown"), { code: 4902 }); },
    }).wallet;
    await expect(switchTo(unknown, 31338, null)).rejects.toMatchObject({ code: 4902 });
  });
});

describe("wallets that announce themselves", () => {
  const announce = (detail: unknown) => dispatchEvent(new CustomEvent("eip6963:announceProvider", { detail }));

  it("are listed once each, MetaMask first, whenever they come", () => {
    const asked = vi.fn();
    addEventListener("eip6963:requestProvider", asked);
    const stop = wallets.start();
    const [other, metamask] = [walletOf({}, "u1").wallet, walletOf({}, "u2", "io.metamask").wallet];
    for (const wallet of [other, metamask, other]) announce(wallet);
    announce(null);
    announce({ info: {} });
    expect(wallets.found.map(({ info }) => info.uuid)).toEqual(["u2", "u1"]);
    expect(asked).toHaveBeenCalledOnce();
    stop();
  });

  it("may bring a picture as data only", () => {
    const { wallet } = walletOf({});
    const withIcon = (icon: string) => iconOf({ ...wallet, info: { ...wallet.info, icon } });
    expect(withIcon("data:image/svg+xml,%3Csvg/%3E")).not.toBeNull();
    expect([withIcon("https://tracker.example/a.png"), withIcon("javascript:alert(1)"), withIcon("data:text/html,x")]).toEqual([null, null, null]);
  });
});
