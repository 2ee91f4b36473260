// The demo's wallet: invented people whose keys everybody knows, so that the story can be played without installing
// anything. It announces itself like every other wallet (EIP-6963) and asks in a red frame before it does anything.
// Its keys come with the demo's story; outside the demo this file is not served.
import { privateKeyToAccount } from "viem/accounts";
import { formatEther } from "viem/utils";
import type { Account } from "./demo/story.svelte";
import type { Chain, Provider } from "./session/wallets.svelte";
import { drawPrompt, type Question } from "./demo-wallet/prompt";
import { plainTypedData, type TypedData } from "./demo-wallet/typed-data";

/** What EIP-1193 and EIP-1474 ask of a refusal. */
class WalletError extends Error {
  constructor(readonly code: number, message: string) {
    super(message);
  }
}

interface Sent {
  readonly from: string;
  readonly to: `0x${string}`;
  readonly data?: `0x${string}`;
  readonly value?: `0x${string}`;
}

/** What wallets pass on to a node without asking anybody. */
const READ: readonly string[] = [
  "eth_blockNumber", "eth_call", "eth_estimateGas", "eth_gasPrice", "eth_getBalance", "eth_getBlockByNumber", "eth_getCode", "eth_getLogs",
  "eth_getTransactionByHash", "eth_getTransactionCount", "eth_getTransactionReceipt",
];

/** The chain, through the demo's own server: the page's policy lets nothing in it speak to any other. */
async function ask(method: string, params: readonly unknown[] | object): Promise<unknown> {
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
  const response = await fetch("/demo/rpc", { method: "POST", headers: { "content-type": "application/json" }, body });
  const { result, error } = (await response.json()) as { result?: unknown; error?: { code: number; message: string; data?: unknown } };
  if (error) throw Object.assign(new WalletError(error.code, error.message), { data: error.data });
  if (!response.ok || result === undefined) throw new WalletError(-32603, "The demo’s chain does not answer.");
  return result;
}

type Listener = (value: never) => void;

class DemoWallet implements Provider {
  readonly #keys: ReadonlyMap<string, { readonly name: string; readonly privateKey: `0x${string}` }>;
  readonly #listeners = new Map<string, Set<Listener>>();
  readonly #chains: Set<number>;
  #chainId: number;
  #connected: string[] = [];
  /** One question at a time, in the order they came. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(accounts: readonly Account[], chain: Chain | null) {
    // Whoever plays it first is the patient: her trail is what the demo shows.
    const byInterest = [...accounts].sort((a, b) => Number(b.role === "patient") - Number(a.role === "patient"));
    this.#keys = new Map(byInterest.map(({ address, name, privateKey }) =>
      [address.toLowerCase(), { name, privateKey: privateKey as `0x${string}` }]));
    this.#chainId = chain?.chainId ?? 1;
    this.#chains = new Set([this.#chainId]);
    const kept = sessionStorage.getItem(KEPT);
    if (kept && this.#keys.has(kept)) this.#connected = [kept];
  }

  async request({ method, params }: { readonly method: string; readonly params?: readonly unknown[] | object }): Promise<unknown> {
    const [first, second] = Array.isArray(params) ? (params as unknown[]) : [];
    if (READ.includes(method)) return ask(method, params ?? []);
    switch (method) {
      case "eth_chainId": return `0x${this.#chainId.toString(16)}`;
      case "eth_accounts": return this.#connected;
      case "eth_requestAccounts": return this.#connect();
      case "personal_sign": return this.#signText(String(first), String(second));
      case "eth_signTypedData_v4": return this.#signDocument(String(first), second);
      case "eth_sendTransaction": return this.#send(first as Sent);
      case "wallet_switchEthereumChain": return this.#switch(Number((first as { chainId: string }).chainId));
      case "wallet_addEthereumChain": {
        const chainId = Number((first as { chainId: string }).chainId);
        await this.#ask({ title: "Add a chain", lines: [["Chain", String(chainId)]], choices: [] });
        this.#chains.add(chainId);
        return this.#switch(chainId);
      }
      case "wallet_revokePermissions":
        this.#become([]);
        return null;
      default: throw new WalletError(4200, `The demo wallet knows no ${method}.`);
    }
  }

  on(event: string, listener: Listener): void {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners.add(listener));
  }

  removeListener(event: string, listener: Listener): void {
    this.#listeners.get(event)?.delete(listener);
  }

  async #connect(): Promise<string[]> {
    const choices = [...this.#keys].map(([address, { name }]) => ({ value: address, label: name }));
    const chosen = await this.#ask({ title: "Who are you?", lines: [["This page asks for", "your address"]], choices });
    this.#become([chosen]);
    return this.#connected;
  }

  async #signText(hex: string, address: string): Promise<string> {
    const account = this.#account(address);
    const bytes = Uint8Array.from(hex.slice(2).match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
    const text = new TextDecoder().decode(bytes);
    await this.#ask({ title: "Sign in", from: this.#nameOf(address), text, lines: [], choices: [] });
    return account.signMessage({ message: { raw: bytes } });
  }

  async #signDocument(address: string, given: unknown): Promise<string> {
    const account = this.#account(address);
    const document = (typeof given === "string" ? JSON.parse(given) : given) as TypedData;
    if (Number(document.domain.chainId) !== this.#chainId) {
      throw new WalletError(-32603, `The document is for chain ${document.domain.chainId}, the wallet is on ${this.#chainId}.`);
    }
    await this.#ask({
      title: "Sign a document", from: this.#nameOf(address), lines: plainTypedData(document), choices: [],
    });
    const { EIP712Domain: _, ...types } = document.types;
    return account.signTypedData({
      domain: { ...document.domain, chainId: this.#chainId } as object, types, primaryType: document.primaryType, message: document.message,
    } as never);
  }

  async #send({ from, to, data = "0x", value = "0x0" }: Sent): Promise<unknown> {
    const account = this.#account(from);
    const call = { from, to, data, value };
    const words = (name: string, params: readonly unknown[]) => ask(name, params) as Promise<string>;
    // What it costs, or why it would fail, is known before anybody is asked.
    const [gas, price, nonce] = await Promise.all([words("eth_estimateGas", [call]), words("eth_gasPrice", []), words("eth_getTransactionCount", [from, "pending"])]);
    const gasMost = (BigInt(gas) * 13n) / 10n;
    await this.#ask({
      title: "Send a transaction", from: this.#nameOf(from), choices: [],
      lines: [["To the contract", to], ["You send", `${formatEther(BigInt(value))} ETH`], ["Fee, at most", `${formatEther(gasMost * BigInt(price) * 2n)} ETH`], ["Call", data.slice(0, 10)]],
    });
    const raw = await account.signTransaction({
      chainId: this.#chainId, type: "eip1559", to, data, value: BigInt(value), gas: gasMost, nonce: Number(nonce),
      maxFeePerGas: BigInt(price) * 2n, maxPriorityFeePerGas: BigInt(price),
    });
    return ask("eth_sendRawTransaction", [raw]);
  }

  #switch(chainId: number): null {
    if (!this.#chains.has(chainId)) throw new WalletError(4902, `Unknown chain ${chainId}. Add it first.`);
    if (chainId !== this.#chainId) {
      this.#chainId = chainId;
      this.#tell("chainChanged", `0x${chainId.toString(16)}`);
    }
    return null;
  }

  #account(address: string) {
    const key = this.#keys.get(address.toLowerCase());
    if (!key || !this.#connected.includes(address.toLowerCase())) throw new WalletError(4100, "This account is not connected.");
    return privateKeyToAccount(key.privateKey);
  }

  #nameOf(address: string): string {
    return this.#keys.get(address.toLowerCase())?.name ?? address;
  }

  #become(accounts: string[]): void {
    this.#connected = accounts;
    const [first] = accounts;
    if (first) sessionStorage.setItem(KEPT, first);
    else sessionStorage.removeItem(KEPT);
    this.#tell("accountsChanged", accounts);
  }

  #tell(event: string, value: unknown): void {
    for (const listener of this.#listeners.get(event) ?? []) listener(value as never);
  }

  async #ask(question: Question): Promise<string> {
    const turn = this.#last.then(() => drawPrompt(question));
    this.#last = turn;
    const answer = await turn;
    if (answer === null) throw new WalletError(4001, "User rejected the request.");
    return answer;
  }
}

const KEPT = "medtrail-demo-account";

const ICON = `data:image/svg+xml,${encodeURIComponent(
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="6" fill="#b3123a"/><path d="M7 11h18v12H7zM7 11l12-4v4M20 16h5v3h-5z" fill="none" stroke="#fff" stroke-width="2"/></svg>',
)}`;

/** Announces the wallet now, and whenever a page asks again. */
export function announce(accounts: readonly Account[], chain: Chain | null): void {
  const detail = Object.freeze({
    info: Object.freeze({ uuid: crypto.randomUUID(), name: "Demo wallet", icon: ICON, rdns: "demo.medtrail.wallet" }),
    provider: new DemoWallet(accounts, chain),
  });
  const tell = () => dispatchEvent(new CustomEvent("eip6963:announceProvider", { detail }));
  addEventListener("eip6963:requestProvider", tell);
  tell();
}
