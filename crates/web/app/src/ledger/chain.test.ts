// @vitest-environment node
import { describe, expect, it, vi } from "vitest";
import { agreeing, ChainError, reader, rpc, saidByRing, wallet, type Ask } from "./chain";
import { fakeChain, fakeNode, fakeReader, fixture, fixtureTrust, PROOF_BYTES, RECEIPT_BYTES } from "./testing";
import type { Finding, Hex } from "./types";
import { verifyProof } from "./verify";

const told = (findings: Finding[]) => Object.fromEntries(findings.map(({ name, verdict }) => [name, verdict]));

describe("the chain", () => {
  const answering = (answer: unknown, status = 200) =>
    vi.fn(async () => new Response(JSON.stringify(answer), { status })) as unknown as typeof fetch;

  it("is asked over HTTP, and an answer is one only if it is to this question", async () => {
    const fetcher = answering({ jsonrpc: "2.0", id: 1, result: "0x7a6a" });
    expect(await rpc("http://localhost:1/", fetcher)("eth_chainId", [])).toBe("0x7a6a");
    const [, init] = vi.mocked(fetcher).mock.calls[0] ?? [];
    expect(init).toMatchObject({ method: "POST", redirect: "error", credentials: "omit", referrerPolicy: "no-referrer" });
    const failed = (fetch_: typeof fetch) => rpc("http://localhost:1/", fetch_)("eth_chainId", []);
    await expect(failed(answering({ id: 2, result: "0x1" }))).rejects.toThrow(ChainError);
    await expect(failed(answering({ id: 1 }))).rejects.toThrow("unexpected answer");
    await expect(failed(answering({}, 503))).rejects.toThrow("HTTP status 503");
    await expect(failed(answering({ id: 1, error: { code: -32000, message: "no" } }))).rejects.toThrow("error -32000: no");
    await expect(failed(answering({ id: 1, result: "0".repeat(4 << 20) }))).rejects.toThrow("more than");
    const silent = vi.fn(async () => { throw new DOMException("late", "TimeoutError"); }) as unknown as typeof fetch;
    await expect(failed(silent)).rejects.toThrow("no answer within 10 s");
    expect(() => rpc("file:///etc/passwd")).toThrow("not a JSON-RPC URL");
  });

  it("may be the person's wallet", async () => {
    const provider = { request: vi.fn(async () => "0x1") };
    expect(await wallet(provider)("eth_chainId", [])).toBe("0x1");
    const refusing = { request: async () => { throw Object.assign(new Error("no"), { code: 4001 }); } };
    await expect(wallet(refusing)("eth_chainId", [])).rejects.toMatchObject({ name: "ChainError", code: 4001 });
  });

  it("is not believed where an answer does not fit the question", async () => {
    const [proof, trust, node] = [fixture(), await fixtureTrust(), fakeNode(await fakeChain())];
    const lying = (method: string, change: (answer: never) => unknown) => {
      const ask: Ask = async (asked, params) => {
        const answer = await node(asked, params);
        return asked === method ? change(answer as never) : answer;
      };
      return reader(ask).facts(proof, trust);
    };
    const events = (change: object) => lying("eth_getLogs", ([event]: object[]) => [{ ...event, ...change }]);
    for (const change of [
      { removed: true }, { address: `0x${"12".repeat(20)}` }, { topics: [] }, { data: "0x" }, { blockNumber: "seven" },
      { data: `0x${"ff".repeat(96)}` },
    ]) await expect(events(change), JSON.stringify(change)).rejects.toThrow("unexpected answer to eth_getLogs");
    await expect(lying("eth_call", () => "0x")).rejects.toThrow("unexpected answer to logInfo");
    await expect(lying("eth_getCode", () => null)).rejects.toThrow("unexpected answer to eth_getCode");
    await expect(lying("eth_chainId", () => 31_338)).rejects.toThrow("unexpected answer to eth_chainId");
    expect((await lying("eth_getLogs", () => [])).anchor).toBeNull();
  });

  it("without a finalized block has finalized nothing but its beginning", async () => {
    const node = fakeNode(await fakeChain());
    const young: Ask = async (method, params) => {
      if (params[0] === "finalized") throw new ChainError("error -39001: Unknown block", -39_001);
      return node(method, params);
    };
    expect((await reader(young).facts(fixture(), await fixtureTrust())).finalized).toBe(0n);
  });

  it("of two endpoints is what both say, final as far as both say", async () => {
    const [trust, one] = [await fixtureTrust(), await fakeChain()];
    const other = { ...one, finalized: one.claim.block - 1 };
    const findings = await verifyProof(PROOF_BYTES, trust, agreeing(fakeReader(one), fakeReader(other)));
    expect(told(findings)).toMatchObject({ anchor: "green", final: "amber" });
    const liar = { ...one, operator: `0x${"12".repeat(20)}` as Hex };
    await expect(verifyProof(PROOF_BYTES, trust, agreeing(fakeReader(one), fakeReader(liar)))).rejects.toThrow(
      "your two endpoints disagree about anchor",
    );
    const registered = agreeing(fakeReader(one), fakeReader({ ...one, noteKey: `0x${"12".repeat(32)}` }));
    await expect(verifyProof(RECEIPT_BYTES, trust, registered)).rejects.toThrow("disagree about noteKey");
  });

  it("says nothing of an anchor that has left the ring", () => {
    for (const [lives, at, count, expected] of [
      [true, 70n, 70n, true], [false, 70n, 70n, false], [false, 7n, 70n, false], [false, 6n, 70n, null],
      [false, 71n, 70n, false], [false, 0n, 70n, false],
    ] as const) expect(saidByRing(lives, at, count), `${at} of ${count}`).toBe(expected);
  });
});
