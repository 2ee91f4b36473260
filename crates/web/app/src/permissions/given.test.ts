import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Document } from "../permit";
import { session } from "../session/session.svelte";
import { Given } from "./given.svelte";
import { answer, grant, MARI, MARI_KEY, NOW, OTHER_KEY, REGISTRIES, sign, told } from "./testing";

/** A server that writes down what it gets; `lies` may change what it lists. */
function serve({ lies = (listed: unknown[]) => listed, change = {} as object, domain = {} as object } = {}) {
  const written: { document: Document; signature: string }[] = [];
  const server = { written, posts: 0, fails: 0, lies, listed: [] as unknown[], epoch: 0 };
  vi.stubGlobal("fetch", async (path: string, { method = "GET", body }: RequestInit = {}) => {
    const json = (value: unknown, status = 200) => new Response(JSON.stringify(value), { status });
    if (path === "/.well-known/medtrail.json") return json({ chainId: 31338, registry: REGISTRIES.anchorRegistry, organisations: [] });
    if (path === "/v1/organisations") return json({ organisations: [] });
    if (path === "/v1/session") return json({}, 401);
    if (path === "/v1/permissions" && method === "GET") {
      return json({ version: "medtrail/permissions-domain-v1", chainId: 31338, consentRegistry: REGISTRIES.consentRegistry, ...domain });
    }
    if (path === "/v1/permissions") {
      server.posts += 1;
      if (server.fails > 0) {
        server.fails -= 1;
        throw new TypeError("down");
      }
      const given = JSON.parse(String(body)) as { document: Document; signature: string };
      written.push(given);
      const { document } = given;
      if ("grant" in document) server.listed.push(told(document));
      if ("revoke" in document) server.listed = server.listed.map((one) => ({ ...(one as object), state: "revoked", revokedMs: NOW }));
      if ("revokeAll" in document) {
        server.epoch += 1;
        server.listed = server.listed.map((one) => ({ ...(one as object), state: "ended" }));
      }
      return json({ index: 9, id: told(document).id, ...change }, 201);
    }
    return json(answer(server.lies(server.listed), { epoch: server.epoch }));
  });
  return server;
}

function wallet(key: Uint8Array | null = MARI_KEY, shape = (signature: string) => signature) {
  const asked: string[] = [];
  session.wallet = {
    info: { uuid: "u", name: "W", icon: "", rdns: "w" },
    provider: {
      async request({ method, params }) {
        asked.push(method);
        if (method === "eth_chainId") return "0x7a6a";
        if (key === null) throw Object.assign(new Error("no"), { code: 4001 });
        const [, text] = params as [string, string];
        const { primaryType, message } = JSON.parse(text) as { primaryType: string; message: Record<string, string> };
        const fields = Object.fromEntries(Object.entries(message).map(([name, value]) => [name, ["epoch", "expiresAt"].includes(name) ? Number(value) : value]));
        const name = primaryType[0]?.toLowerCase() + primaryType.slice(1);
        return shape(sign({ [name]: fields } as unknown as Document, key));
      },
    },
  };
  return asked;
}

async function opened(): Promise<Given> {
  const given = new Given(MARI);
  await given.open();
  return given;
}

function idOf({ standing: [first] }: Given): `0x${string}` {
  if (!first?.id) throw new Error("nothing stands");
  return first.id;
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

describe("giving and taking back", () => {
  it("is signed, written down, and stands at once", async () => {
    const server = serve();
    const asked = wallet(MARI_KEY, (signature) => signature.toUpperCase().replace("0X", "0x"));
    const given = await opened();
    expect([given.phase, given.standing.length, given.isMoved]).toEqual(["ready", 0, false]);
    const document = grant();
    expect(await given.sign(document)).toBe(true);
    expect(server.written).toEqual([{ version: "medtrail/permission-v1", document, signature: sign(document, MARI_KEY) }]);
    expect(asked).toEqual(["eth_chainId", "eth_signTypedData_v4"]);
    expect(given.standing.map((one) => one.document)).toEqual([document]);

    const id = idOf(given);
    expect(await given.sign({ revoke: { subject: MARI, permission: id } })).toBe(true);
    expect([given.standing.length, given.past.map(({ state }) => state)]).toEqual([0, ["revoked"]]);
  });

  it("ends all of an epoch, and goes on in the next", async () => {
    serve();
    wallet();
    const given = await opened();
    await given.sign(grant());
    await given.sign({ revokeAll: { subject: MARI, epoch: given.epoch } });
    expect([given.epoch, given.standing.length, given.past.map(({ state }) => state), given.wrong.length]).toEqual([1, 0, ["ended"], 0]);
    await given.sign(grant({ epoch: 1 }));
    expect(given.standing).toHaveLength(1);
  });

  it("is quiet about a no in the wallet, and nothing is sent", async () => {
    const server = serve();
    wallet(null);
    const given = await opened();
    expect(await given.sign(grant())).toBe(false);
    expect([server.posts, given.isBusy, given.permissions.length]).toEqual([0, false, 0]);
  });

  it("sends no signature of another account, or of a form that does not count", async () => {
    const server = serve();
    for (const shape of [(signature: string) => signature.replace(/1[bc]$/, "00"), () => "0x", () => "undefined"]) {
      wallet(MARI_KEY, shape);
      await expect((await opened()).sign(grant())).rejects.toThrow("another account");
    }
    wallet(OTHER_KEY);
    await expect((await opened()).sign(grant())).rejects.toThrow("another account");
    expect(server.posts).toBe(0);
  });

  it("asks the wallet once, however often it takes to send", async () => {
    const server = serve();
    const asked = wallet();
    const given = await opened();
    const document = grant();
    server.fails = 1;
    await expect(given.sign(document)).rejects.toThrow();
    expect(await given.sign(document)).toBe(true);
    expect([server.posts, asked.filter((method) => method === "eth_signTypedData_v4").length]).toEqual([2, 1]);
  });

  it("says if the server wrote down something else", async () => {
    serve({ change: { id: `0x${"01".repeat(32)}` } });
    wallet();
    await expect((await opened()).sign(grant())).rejects.toThrow("something else");
  });
});

describe("a server that is not honest", () => {
  it("is seen when it leaves out what was given here", async () => {
    serve({ lies: () => [] });
    wallet();
    const given = await opened();
    await given.sign(grant());
    expect(given.wrong.map(({ problems }) => problems)).toEqual([["missing"]]);
  });

  it("is seen when it lets stand what was taken back here", async () => {
    serve({ lies: (listed) => listed.map((one) => ({ ...(one as object), state: "standing", revokedMs: null })) });
    wallet();
    const given = await opened();
    await given.sign(grant());
    const id = idOf(given);
    await given.sign({ revoke: { subject: MARI, permission: id } });
    expect([given.standing.length, given.wrong.map(({ problems }) => problems)]).toEqual([0, [["state"]]]);
  });

  it("gets a moment to catch up first", async () => {
    let reads = 0;
    serve({ lies: (listed) => (listed.length > 0 && (reads += 1) === 1 ? [] : listed) });
    wallet();
    const given = await opened();
    await given.sign(grant());
    expect([given.standing.length, given.wrong.length]).toEqual([1, 0]);
  });

  // The contract is kept once it was good: each case needs the module anew.
  it.each([{ chainId: 1 }, { consentRegistry: `0x${"00".repeat(20)}` }, { consentRegistry: "me" }, { version: "x" }])(
    "cannot have anything signed under another name: %o", async (domain) => {
      vi.resetModules();
      const { Given: Fresh } = await import("./given.svelte");
      serve({ domain });
      const given = new Fresh(MARI);
      await given.open();
      expect([given.phase, given.error]).toEqual(["failed", "What this site gave is not what it should be, so nothing was passed to your wallet."]);
      await expect(given.sign(grant())).rejects.toThrow();
    });
});
