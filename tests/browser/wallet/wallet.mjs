// A wallet put together from MetaMask's own published packages: provider, engine, middleware, keyring and sign-in check.
// Only its windows are missing: each question waits here until the test answers it, and shows what a person would be shown.
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { createWalletClient, http } from "viem";
import { privateKeyToAccount } from "viem/accounts";

const require = createRequire(import.meta.url);
const { detectSIWE, isValidSIWEOrigin } = require("@metamask/controller-utils");
const { createWalletMiddleware } = require("@metamask/eth-json-rpc-middleware");
const { default: SimpleKeyring } = require("@metamask/eth-simple-keyring");
const { JsonRpcEngine, createAsyncMiddleware } = require("@metamask/json-rpc-engine");
const { createEngineStream } = require("@metamask/json-rpc-middleware-stream");
const ObjectMultiplex = require("@metamask/object-multiplex");
const { providerErrors, rpcErrors } = require("@metamask/rpc-errors");
const { Duplex } = require("readable-stream");

const bundle = build({
  entryPoints: [fileURLToPath(new URL("in-page.mjs", import.meta.url))],
  bundle: true, write: false, format: "iife", platform: "browser", logLevel: "error", minify: true,
  alias: { stream: "readable-stream" }, absWorkingDir: fileURLToPath(new URL(".", import.meta.url)),
  inject: [fileURLToPath(new URL("process.mjs", import.meta.url))],
  define: { global: "globalThis" },
}).then(({ outputFiles: [file] }) => file.text);

/** A wallet with these keys; `rpc` (an URL) answers what wallets pass on to a node. */
export async function testWallet({ keys, chainId = 1, rpc = null }) {
  const keyring = new SimpleKeyring(keys);
  const accounts = await keyring.getAccounts();
  const chains = new Set([chainId]);
  const permitted = new Map();
  const questions = [];
  const waiting = [];
  const connections = new Set();
  const hex = (number) => `0x${number.toString(16)}`;
  let selected = accounts[0];

  function ask(type, origin, details) {
    return new Promise((approved, rejected) => {
      const question = {
        type, origin, details,
        approve: approved,
        reject: () => rejected(providerErrors.userRejectedRequest("MetaMask: User denied message signature.")),
      };
      const next = waiting.shift();
      if (next) next(question);
      else questions.push(question);
    });
  }

  const accountsFor = (origin) => (permitted.has(origin) ? [permitted.get(origin)] : []);

  function tell(origin, method, params) {
    for (const { origin: of, engine } of connections) {
      if (of === origin || origin === null) engine.emit("notification", { jsonrpc: "2.0", method, params });
    }
  }

  function switchTo(to) {
    if (to === chainId) return;
    chainId = to;
    tell(null, "metamask_chainChanged", { chainId: hex(chainId), networkVersion: String(chainId), isConnected: true });
  }

  /** As MetaMask's signature controller: the document's chain must be the active one. */
  function checkChain({ domain }) {
    if (domain.chainId !== undefined && Number(domain.chainId) !== chainId) {
      throw rpcErrors.invalidInput(`Provided chainId "${domain.chainId}" must match the active chainId "${chainId}"`);
    }
  }

  const permissionsAndChains = (origin) => createAsyncMiddleware(async ({ method, params }, answer, next) => {
    switch (method) {
      case "metamask_getProviderState":
        answer.result = { accounts: accountsFor(origin), chainId: hex(chainId), isUnlocked: true, networkVersion: String(chainId), isConnected: true };
        return;
      case "metamask_sendDomainMetadata": answer.result = true; return;
      case "eth_chainId": answer.result = hex(chainId); return;
      case "eth_requestAccounts":
        if (!permitted.has(origin)) {
          await ask("connect", origin, { accounts });
          permitted.set(origin, selected);
          tell(origin, "metamask_accountsChanged", accountsFor(origin));
        }
        answer.result = accountsFor(origin);
        return;
      case "wallet_switchEthereumChain": {
        const to = Number(params[0].chainId);
        if (!chains.has(to)) throw providerErrors.custom({ code: 4902, message: `Unrecognized chain ID "${params[0].chainId}". Try adding the chain using wallet_addEthereumChain first.` });
        await ask("switch", origin, { chainId: to });
        switchTo(to);
        answer.result = null;
        return;
      }
      case "wallet_addEthereumChain": {
        const [chain] = params;
        await ask("add", origin, chain);
        chains.add(Number(chain.chainId));
        // Whoever adds it, but rejects the switch that follows, gets `null` all the same.
        await ask("switch", origin, { chainId: Number(chain.chainId) }).then(() => switchTo(Number(chain.chainId)), () => {});
        answer.result = null;
        return;
      }
      default: return next();
    }
  });

  const node = createAsyncMiddleware(async ({ method, params }, answer, next) => {
    if (rpc === null || !method.startsWith("eth_")) return next();
    const response = await fetch(rpc, {
      method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
    });
    const { result, error } = await response.json();
    if (error) throw rpcErrors.internal({ message: error.message, data: error.data });
    answer.result = result;
  });

  function engineFor(origin) {
    const engine = new JsonRpcEngine();
    engine.push(permissionsAndChains(origin));
    engine.push(createWalletMiddleware({
      getAccounts: async () => accountsFor(origin),
      async processPersonalMessage(message) {
        const siwe = detectSIWE(message);
        const isOwnDomain = siwe.isSIWEMessage && isValidSIWEOrigin({ ...message, origin, siwe });
        await ask("personal_sign", origin, { text: Buffer.from(message.data.slice(2), "hex").toString(), isSignIn: siwe.isSIWEMessage, isOwnDomain });
        return keyring.signPersonalMessage(message.from, message.data);
      },
      async processTypedMessageV4(message) {
        const document = JSON.parse(message.data);
        checkChain(document);
        await ask("typed_data", origin, document);
        return keyring.signTypedData(message.from, document, { version: "V4" });
      },
      async processTransaction({ from, to, data, value }) {
        await ask("transaction", origin, { from, to, data, value });
        const account = keys.map((key) => privateKeyToAccount(key)).find(({ address }) => address.toLowerCase() === from.toLowerCase());
        const chain = { id: chainId, name: "test", nativeCurrency: { name: "ETH", symbol: "ETH", decimals: 18 }, rpcUrls: { default: { http: [rpc] } } };
        return createWalletClient({ account, chain, transport: http(rpc) }).sendTransaction({ to, data, value: BigInt(value ?? 0) });
      },
    }));
    engine.push(node);
    return engine;
  }

  function connect(frame, origin) {
    const engine = engineFor(origin);
    const pipe = new Duplex({
      objectMode: true,
      read() {},
      write(message, _, done) {
        // The page may be gone meanwhile: then nobody waits for this.
        frame.evaluate((text) => window.__walletReceive?.(text), JSON.stringify(message)).then(() => done(), () => done());
      },
    });
    const streams = new ObjectMultiplex();
    pipe.pipe(streams).pipe(pipe);
    const outer = streams.createStream("metamask-provider");
    outer.pipe(createEngineStream({ engine })).pipe(outer);
    const connection = { origin, engine, pipe };
    connections.add(connection);
    return connection;
  }

  return {
    accounts,
    async install(context) {
      // Who asks is what the browser says, never what the page says.
      const byPage = new Map();
      await context.exposeBinding("__walletSend", ({ frame }, text) => {
        const url = frame.url();
        if (!/^https?:/.test(url)) return;
        const origin = new URL(url).origin;
        const known = byPage.get(frame);
        const connection = known?.origin === origin ? known : connect(frame, origin);
        byPage.set(frame, connection);
        connection.pipe.push(JSON.parse(text));
      });
      await context.addInitScript({ content: await bundle });
    },
    /** The next question of this type, as a person would see it. */
    async next(type) {
      const question = questions.shift() ?? await new Promise((found, late) => {
        const timer = setTimeout(() => late(new Error(`the wallet was not asked for ${type}`)), 10_000);
        waiting.push((one) => { clearTimeout(timer); found(one); });
      });
      if (question.type !== type) throw new Error(`the wallet was asked for ${question.type}, not ${type}`);
      return question;
    },
    /** The person takes another of their accounts. */
    select(account) {
      selected = account;
      for (const origin of permitted.keys()) {
        permitted.set(origin, account);
        tell(origin, "metamask_accountsChanged", [account]);
      }
    },
    /** The person takes the page's permission away, in the wallet. */
    revoke() {
      for (const origin of permitted.keys()) {
        permitted.delete(origin);
        tell(origin, "metamask_accountsChanged", []);
      }
    },
  };
}
