// The page as the binary serves it, over the interfaces as they are written down, with a person's lines from the fixtures.
// A stand-in for the log, not for the page: everything the browser gets from `dist` is the real thing.
import { createServer } from "node:http";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import { getAddress, recoverMessageAddress } from "viem";
import { accounts, fixture } from "../fixtures/mari.mjs";
import { CONSENT_REGISTRY, idOf, permissions, signerOf } from "../fixtures/permissions.mjs";

const DIST = fileURLToPath(new URL("../../../crates/web/app/dist/", import.meta.url));
const TYPES = {
  ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml",
};
const CSP = (connect) =>
  `default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src ${connect}; form-action 'none'; `
  + "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types svelte-trusted-html";

const STORY = {
  strip: "Invented people. Test money. The chain runs on your machine: it shows how checks work; on a public chain they bind the operator.",
  acts: [
    { number: 1, title: "Watch", text: "A doctor opens Mari’s allergies. Look at her trail while you press.", isOpen: true,
      buttons: [{ label: "A doctor looks now", post: "/demo/look" }] },
    { number: 2, title: "Cheat", text: "As operator, try to hide a line.", isOpen: false, buttons: [] },
  ],
  accounts: accounts.filter(({ index }) => index <= 5),
  wallet: "/demo/wallet.js",
  gateways: [{ name: "Kalda Family Doctors", url: "http://127.0.0.1:8090" }],
  chain: { chainId: 31338, name: "Medtrail demo", rpcUrl: "http://127.0.0.1:8545", symbol: "ETH" },
};

/**
 * Starts one; `change(data)` may spoil what it answers, as a dishonest operator would, and `more` answers what this does not:
 * undefined where it does not either.
 */
export async function startServer({ isDemo = true, change = () => {}, more = () => undefined } = {}) {
  if (!existsSync(`${DIST}index.html`)) throw new Error("the page is not built: npm run build -w @medtrail/app");
  const data = { ...fixture(), permissions: permissions(), domain: { version: "medtrail/permissions-domain-v1", chainId: 31338, consentRegistry: CONSENT_REGISTRY } };
  change(data);
  const startedMs = Date.now();
  const nowMs = () => data.nowMs + (Date.now() - startedMs);
  const nonces = new Set();
  const streams = new Set();
  /** Those of another's trail, while she may look. */
  const looking = new Set();
  const heard = [];
  let who = null;
  let binding = null;

  const problem = (status, kind, title) => [status, { type: `/problems/${kind}`, title, status, detail: title, advice: "Try something else." }];
  const body = async (request) => {
    let text = "";
    for await (const part of request) text += part;
    return text === "" ? undefined : JSON.parse(text);
  };

  /** What stands in the log, newest first, in pages. */
  function trail(query) {
    const limit = Number(query.get("limit") ?? 50);
    const before = Number(query.get("before") ?? Infinity);
    const all = [...data.page.lines].sort((a, b) => b.index - a.index).filter(({ index }) => index < before);
    const lines = all.slice(0, limit);
    const next = all.length > limit ? lines.at(-1).index : null;
    server.afterTrail?.();
    return { version: "medtrail/trail-page-v1", subject: data.subject, parts: data.page.parts, lines, next };
  }

  /** Heeds what was signed, as the log does. */
  function permit({ document, signature }) {
    const id = idOf(document);
    const { permissions: all } = data.permissions;
    const end = (state, isMeant) => all.filter((one) => one.state === "standing" && isMeant(one)).forEach((one) => {
      one.state = state;
      if (state === "revoked") one.revokedMs = nowMs();
    });
    if (document.grant) all.push({ id, index: 400, receivedMs: nowMs(), document, signature, state: "standing", revokedMs: null, onChain: null });
    if (document.revoke) end("revoked", (one) => one.id === document.revoke.permission);
    if (document.revokeAll) {
      end("ended", () => true);
      data.permissions.epoch = document.revokeAll.epoch + 1;
    }
    return id;
  }

  const routes = {
    "GET /.well-known/medtrail.json": () => [200, data.trust],
    "GET /v1/organisations": () => [200, { organisations: data.organisations }],
    "GET /v1/session/nonce": ({ query, host: asked }) => {
      const host = server.signInAt ?? asked;
      const nonce = `n${nonces.size}abcdefgh`;
      nonces.add(nonce);
      return [200, {
        message: `${host} wants you to sign in with your Ethereum account:\n${getAddress(query.get("address"))}\n\nSee your own lines.\n\nURI: http://${host}\nVersion: 1\n`
          + `Chain ID: 31338\nNonce: ${nonce}\nIssued At: ${new Date(nowMs()).toISOString()}\nExpiration Time: ${new Date(nowMs() + 300_000).toISOString()}`,
        expiresMs: nowMs() + 300_000,
      }];
    },
    "POST /v1/session": async ({ request }) => {
      const { message, signature } = await body(request);
      const claimed = message.split("\n")[1];
      const signer = await recoverMessageAddress({ message, signature });
      if (signer.toLowerCase() !== claimed.toLowerCase()) return problem(401, "signature-refused", "Not signed by the address");
      who = { address: signer.toLowerCase(), roles: ["person"], organisation: null, expiresMs: nowMs() + server.sessionMs };
      return [200, who];
    },
    "GET /v1/session": () => (who ? [200, who] : problem(401, "signed-out", "Signed out")),
    "DELETE /v1/session": () => {
      who = null;
      for (const stream of streams) stream.end();
      return [204];
    },
    "POST /v1/bindings": async ({ request }) => {
      const { code } = await body(request);
      if (code !== "KALDA7Q2") return problem(404, "no-such-code", "No such code");
      binding = { id: "b1", typedData: data.typedData, organisation: { id: data.organisations.find(({ name }) => name === "Lumi Laboratory").id, name: "Lumi Laboratory" }, expiresMs: nowMs() + 3_600_000 };
      return [200, binding];
    },
    "POST /v1/bindings/b1/signature": async ({ request }) => {
      binding.signature = (await body(request)).signature;
      return [204];
    },
    "GET /v1/permissions": () => [200, data.domain],
    "POST /v1/permissions": async ({ request }) => {
      if (!who) return problem(401, "signed-out", "Signed out");
      const given = await body(request);
      if (await signerOf(given.document, given.signature) !== data.mari) return problem(422, "signature-refused", "Not signed by the person");
      return [201, { index: 400 + server.written.push(given), id: permit(given), receipt: {} }];
    },
    "POST /demo/look": () => {
      server.push(data.live[0]);
      return [200, { text: "Dr Liis Kask opened the allergies." }];
    },
  };

  const http = createServer(async (request, response) => {
    const url = new URL(request.url, "http://localhost");
    const name = `${request.method} ${url.pathname}`;
    heard.push(name);
    const send = (status, content, type = "application/json", headers = {}) => {
      const isJson = type === "application/json";
      response.writeHead(status, { "content-type": status >= 400 ? "application/problem+json" : type, "cache-control": "no-store", "x-content-type-options": "nosniff", ...headers });
      response.end(content === undefined ? "" : isJson ? JSON.stringify(content) : content);
    };
    try {
      // As a proxy does that lost the server behind it.
      if (server.isDown && /\/trail$/.test(url.pathname)) return request.socket.destroy();
      const route = routes[name];
      if (route) return send(...await route({ request, query: url.searchParams, host: request.headers.host }));
      const [, subject, what] = /^\/v1\/subjects\/(0x[0-9a-f]{64})\/(trail|feed|permissions)$/.exec(url.pathname) ?? [];
      if (what) {
        if (!who) return send(...problem(401, "signed-out", "Signed out"));
        if (what === "permissions") {
          const isOwn = subject === data.subject && who.address === data.mari;
          return isOwn ? send(200, data.permissions) : send(...problem(403, "no-such-trail", "Not yours"));
        }
        const isHis = subject === data.his.subject;
        const isKnown = isHis ? server.mayLook && who.address === data.mari : BigInt(subject) === BigInt(who.address);
        if (!isKnown) return send(...problem(404, "no-such-trail", "No trail that you may see"));
        if (isHis && what === "trail") return send(200, { version: "medtrail/trail-page-v1", subject, ...data.his.page, next: null });
        if (!isHis && who.address !== data.mari) {
          if (what === "trail") return send(200, { version: "medtrail/trail-page-v1", subject, parts: [{ subject, organisation: null, lines: 0, last: null }], lines: [], next: null });
        }
        if (what === "trail") return send(200, trail(url.searchParams));
        response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
        response.write("retry: 300\n\n");
        const open = isHis ? looking : streams;
        open.add(response);
        response.on("close", () => open.delete(response));
        return undefined;
      }
      if (url.pathname.startsWith("/v1/")) {
        const given = request.method === "GET" ? undefined : await body(request);
        const answer = more({ method: request.method, path: url.pathname, query: url.searchParams, body: given, who: who?.address ?? null, problem });
        if (answer) return send(...answer);
      }
      const [, entry] = /^\/v1\/entries\/(\d+)\/proof$/.exec(url.pathname) ?? [];
      if (entry) return send(200, server.proofOf(Number(entry)), "text/plain");
      if (url.pathname === "/demo/story.json") return isDemo ? send(200, STORY) : send(...problem(404, "not-found", "Not found"));
      const path = url.pathname === "/" ? "index.html" : url.pathname === "/verify" ? "verify/index.html" : url.pathname.slice(1);
      const isWallet = path === "demo/wallet.js";
      if ((isWallet && !isDemo) || path.includes("..")) return send(...problem(404, "not-found", "Not found"));
      const file = await readFile(DIST + path).catch(() => null);
      if (!file) return send(...problem(404, "not-found", "Not found"));
      const connect = path === "verify/index.html" ? "'self' https: http://localhost:* http://127.0.0.1:*" : "'self'";
      return send(200, file, TYPES[extname(path)], { "content-security-policy": CSP(connect) });
    } catch (error) {
      return send(...problem(500, "fault", String(error)));
    }
  });

  await new Promise((listens) => http.listen(0, "127.0.0.1", listens));
  const emit = (event, id, value) => {
    for (const stream of streams) stream.write(`event: ${event}\n${id === null ? "" : `id: ${id}\n`}data: ${JSON.stringify(value)}\n\n`);
  };
  const server = {
    url: `http://localhost:${http.address().port}`,
    data, heard, written: [], mayLook: true, sessionMs: 12 * 3_600_000, isDown: false,
    get binding() { return binding; },
    get streams() { return streams.size; },
    /** A line is reported now: it stands in the trail, and goes to whoever listens unless it is to be kept from them. */
    push(line, { isTold = true } = {}) {
      data.page.lines.push(line);
      const part = data.page.parts.find(({ subject }) => subject === line.report.subject);
      part.lines += 1;
      part.last = server.commitments.get(line.index) ?? part.last;
      if (isTold) emit("line", line.index, line);
    },
    /** A line about her son, who is not she. */
    pushHis() {
      const { page: { lines, parts: [part] }, live } = data.his;
      lines.push(live);
      part.lines += 1;
      part.last = data.commitments[live.index];
      for (const stream of looking) stream.write(`event: line\nid: ${live.index}\ndata: ${JSON.stringify(live)}\n\n`);
    },
    /** Her right to look ends: the stream just ends, and afterwards there is no such trail. */
    endLook() {
      server.mayLook = false;
      for (const stream of looking) stream.end();
    },
    anchor(state) { emit("anchor", null, { ...data.anchor, state }); },
    emit,
    /** In the spelling that verifiers insist on; there is no chain here for it to hold against. */
    proofOf(wanted) {
      const { index, report, place, details, evidence, anchor } = data.page.lines.find((line) => line.index === wanted);
      const { chainId, registry, log } = data.trust;
      const proof = {
        version: "medtrail/proof-v1", index, report, place, details, evidence, path: [], checkpoint: "none",
        anchor: { chainId, registry, log, ...anchor },
      };
      return `${JSON.stringify(proof, null, 2)}\n`;
    },
    /** The line breaks: the browser comes back by itself. */
    cut() {
      for (const stream of streams) stream.destroy();
    },
    /** The session ends on the server's side, streams and all. */
    expire() {
      who = null;
      for (const stream of streams) stream.end();
    },
    commitments: new Map(data.live.map((line) => [line.index, data.commitments[line.index]])),
    async stop() {
      for (const stream of [...streams, ...looking]) stream.end();
      http.closeAllConnections();
      await new Promise((closed) => http.close(closed));
    },
  };
  return server;
}
