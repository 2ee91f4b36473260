// What the chain says about a log and its anchors, asked over JSON-RPC. A proof only says where to ask: nothing here is
// copied from it.
import { keccak256 } from "viem/utils";
import { isHex, utf8 } from "./bytes";
import type { Anchor, Hex, Proof, TrustFile } from "./types";

/** Where the contract stands on every chain: CREATE2 commits this address to its code. */
export const REGISTRY: Hex = "0x20efe734e5ab02434c29f92ba0f603241feae028";
/** Anchors the registry's ring holds. */
const RING = 64n;
const REQUEST_MS = 10_000;
const ANSWER_BYTES_MAX = 4 << 20;

/** An `Anchored` event, as the chain has it. */
export interface AnchorSeen {
  number: bigint;
  size: bigint;
  root: Hex;
  timeS: bigint;
  operator: Hex;
  tx: Hex;
  block: bigint;
}

/** What the chain says about a proof's log and anchor. */
export interface ChainFacts {
  chainId: bigint;
  registryStands: boolean;
  isOpen: boolean;
  noteKey: Hex;
  anchor: AnchorSeen | null;
  /** Null: there is no extension, or the ring cannot say any more. */
  extensionLives: boolean | null;
  finalized: bigint;
}

/** What the registry says of the log that a trust file names. */
export interface Registered {
  chainId: bigint;
  isOpen: boolean;
  noteKey: Hex;
  anchored: bigint;
  anchorWithinS: bigint;
}

/** Whoever answers for the chain. */
export interface ChainReader {
  facts(proof: Proof, trust: TrustFile | null): Promise<ChainFacts>;
  registered(trust: TrustFile): Promise<Registered>;
}

/** The chain could not be read, so nothing was checked. */
export class ChainError extends Error {
  override readonly name = "ChainError";
  /** The JSON-RPC error code, if the node answered with one. */
  readonly code: number | null;

  constructor(message: string, code: number | null = null) {
    super(message);
    this.code = code;
  }
}

/** One JSON-RPC question; throws a [`ChainError`] if there is no answer. */
export type Ask = (method: string, params: readonly unknown[]) => Promise<unknown>;

/** A node by its URL. */
export function rpc(url: string, fetcher: typeof fetch = fetch): Ask {
  const endpoint = URL.canParse(url) ? new URL(url) : null;
  if (endpoint === null || !/^https?:$/.test(endpoint.protocol)) throw new ChainError(`not a JSON-RPC URL: ${url}`);
  let last = 0;
  return async (method, params) => {
    const id = (last += 1);
    let answer: unknown;
    try {
      // A node never redirects, and needs to know nothing about who asks.
      const response = await fetcher(endpoint.href, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ jsonrpc: "2.0", id, method, params }),
        credentials: "omit",
        referrerPolicy: "no-referrer",
        redirect: "error",
        cache: "no-store",
        signal: AbortSignal.timeout(REQUEST_MS),
      });
      if (!response.ok) throw new ChainError(`HTTP status ${response.status}`);
      answer = JSON.parse(await limited(response));
    } catch (error) {
      if (error instanceof ChainError) throw error;
      const isLate = error instanceof Error && error.name === "TimeoutError";
      throw new ChainError(isLate ? `no answer within ${REQUEST_MS / 1000} s` : `no answer (${String(error)})`);
    }
    const { id: answered, result, error } = (answer ?? {}) as { id?: unknown; result?: unknown; error?: NodeError };
    if (error !== undefined && error !== null) {
      throw new ChainError(`error ${error.code}: ${error.message}`, Number(error.code));
    }
    if (answered !== id || result === undefined) throw new ChainError(`unexpected answer to ${method}`);
    return result;
  };
}

interface NodeError {
  code: number;
  message: string;
}

async function limited(response: Response): Promise<string> {
  const text = new TextDecoder();
  let [whole, bytes] = ["", 0];
  const reader = response.body?.getReader();
  for (let part = await reader?.read(); part?.value !== undefined; part = await reader?.read()) {
    bytes += part.value.length;
    if (bytes > ANSWER_BYTES_MAX) {
      await reader?.cancel();
      throw new ChainError(`an answer of more than ${ANSWER_BYTES_MAX} bytes`);
    }
    whole += text.decode(part.value, { stream: true });
  }
  return whole + text.decode();
}

/** The person's own wallet (EIP-1193) as a node. */
export function wallet(provider: { request(question: { method: string; params: unknown[] }): Promise<unknown> }): Ask {
  return async (method, params) => {
    try {
      return await withTimeout(provider.request({ method, params: [...params] }));
    } catch (error) {
      if (error instanceof ChainError) throw error;
      const { code, message } = (error ?? {}) as Partial<NodeError>;
      throw new ChainError(`the wallet: ${message ?? String(error)}`, typeof code === "number" ? code : null);
    }
  };
}

async function withTimeout<T>(answer: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new ChainError(`no answer within ${REQUEST_MS / 1000} s`)), REQUEST_MS);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}

const keccak = (text: string): Hex => keccak256(utf8(text));
const selector = (signature: string) => keccak(signature).slice(0, 10);
const ANCHORED = keccak("Anchored(bytes32,address,uint64,uint64,bytes32,uint64)");
const HEAD = selector("head(bytes32)");
const LOG_INFO = selector("logInfo(bytes32)");
const LIVING = selector("living(bytes32,(uint64,uint64,bytes32,uint64))");
const ZERO: Hex = `0x${"0".repeat(64)}`;

const strange = (method: string) => new ChainError(`unexpected answer to ${method}`);

function quantity(value: unknown, method: string): bigint {
  if (typeof value === "string" && /^0x[0-9a-fA-F]{1,16}$/.test(value)) return BigInt(value);
  throw strange(method);
}

function bytes32(value: unknown, method: string): Hex {
  const lower = typeof value === "string" ? value.toLowerCase() : value;
  if (isHex(lower, 32)) return lower;
  throw strange(method);
}

/** The words of an ABI answer: exactly `count` of them. */
function words(value: unknown, count: number, method: string): Hex[] {
  const lower = typeof value === "string" ? value.toLowerCase() : value;
  if (!isHex(lower, 32 * count)) throw strange(method);
  return Array.from({ length: count }, (_, place): Hex => `0x${lower.slice(2 + 64 * place, 66 + 64 * place)}`);
}

function uint(word: Hex | undefined, bits: number, method: string): bigint {
  const value = BigInt(word ?? "0x");
  if (word === undefined || value >> BigInt(bits) !== 0n) throw strange(method);
  return value;
}

function address(word: Hex | undefined, method: string): Hex {
  uint(word, 160, method);
  return `0x${(word ?? ZERO).slice(26)}`;
}

const pad = (value: bigint | number): string => BigInt(value).toString(16).padStart(64, "0");

/** A reader of the chain behind one node. */
export function reader(ask: Ask): ChainReader {
  const call = (registry: Hex, data: string) => ask("eth_call", [{ to: registry, data }, "latest"]);

  async function block(tag: string): Promise<bigint | null> {
    try {
      const found = (await ask("eth_getBlockByNumber", [tag, false])) as { number?: unknown } | null;
      return found === null ? null : quantity(found.number, "eth_getBlockByNumber");
    } catch (error) {
      // A young chain has no block of that name (execution-apis: "Unknown block").
      const isUnknown = error instanceof ChainError && error.code !== null
        && (error.code === -39001 || /unknown block|block.*not found/i.test(error.message));
      if (isUnknown) return null;
      throw error;
    }
  }

  async function finalized(): Promise<bigint> {
    const [newest, final] = [await block("latest"), await block("finalized")];
    if (newest === null) throw new ChainError("no newest block");
    if ((final ?? 0n) > newest) throw new ChainError("the chain moved meanwhile: try again");
    return final ?? 0n;
  }

  async function logInfo(registry: Hex, log: Hex) {
    const found = words(await call(registry, LOG_INFO + log.slice(2)), 7, "logInfo");
    // A closed log has no operator any more, but its cold key stays, and so do its proofs.
    const isOpen = address(found[0], "logInfo") !== `0x${"0".repeat(40)}`;
    return { isOpen, noteKey: found[1] ?? ZERO, anchorWithinS: uint(found[2], 32, "logInfo") };
  }

  async function head(registry: Hex, log: Hex) {
    const found = words(await call(registry, HEAD + log.slice(2)), 4, "head");
    return { size: uint(found[1], 40, "head"), count: uint(found[3], 24, "head") };
  }

  async function anchored({ anchor: claim }: Proof): Promise<AnchorSeen | null> {
    const number = `0x${pad(claim.number)}`;
    const at = `0x${claim.block.toString(16)}`;
    const method = "eth_getLogs";
    const filter = { address: claim.registry, topics: [ANCHORED, claim.log, null, number], fromBlock: at, toBlock: at };
    const found = await ask(method, [filter]);
    if (!Array.isArray(found)) throw strange(method);
    const [event] = found as Record<string, unknown>[];
    if (event === undefined) return null;
    // A filter is a request and not a promise: what comes back is checked.
    const topics = Array.isArray(event.topics) ? event.topics.map((topic) => bytes32(topic, method)) : [];
    const isStray = String(event.address).toLowerCase() !== claim.registry || event.removed === true
      || topics.length !== 4 || topics[0] !== ANCHORED || topics[1] !== claim.log || topics[3] !== number;
    if (isStray) throw strange(method);
    const data = words(event.data, 3, method);
    return {
      number: BigInt(claim.number),
      size: uint(data[0], 64, method),
      root: data[1] ?? ZERO,
      timeS: uint(data[2], 64, method),
      operator: address(topics[2], method),
      tx: bytes32(event.transactionHash, method),
      block: quantity(event.blockNumber, method),
    };
  }

  async function extensionLives(registry: Hex, log: Hex, { number, size, root, timeS }: Anchor) {
    const data = LIVING + log.slice(2) + pad(number) + pad(size) + root.slice(2) + pad(timeS);
    const [lives] = words(await call(registry, data), 1, "living");
    // Read after it: an anchor that left the ring in between is counted as gone.
    const { count } = await head(registry, log);
    return saidByRing(uint(lives, 1, "living") === 1n, BigInt(number), count);
  }

  return {
    async facts(proof, trust) {
      const { anchor: claim, extension } = proof;
      const chainId = quantity(await ask("eth_chainId", []), "eth_chainId");
      const facts: ChainFacts = {
        chainId, registryStands: false, isOpen: false, noteKey: ZERO, anchor: null, extensionLives: null, finalized: 0n,
      };
      if (chainId !== BigInt(claim.chainId)) return facts;
      // The registry's rules are known if its address commits to them, or the verifier's own trust file names it.
      const isKnown = claim.registry === REGISTRY || trust?.registry === claim.registry;
      const code = isKnown ? await ask("eth_getCode", [claim.registry, "latest"]) : "0x";
      if (typeof code !== "string" || !/^0x([0-9a-fA-F]{2})*$/.test(code)) throw strange("eth_getCode");
      facts.registryStands = code !== "0x";
      if (!facts.registryStands) return facts;
      facts.finalized = await finalized();
      const { isOpen, noteKey } = await logInfo(claim.registry, claim.log);
      facts.isOpen = isOpen;
      if (!isOpen) return facts;
      facts.noteKey = noteKey;
      facts.anchor = await anchored(proof);
      if (extension !== undefined) {
        facts.extensionLives = await extensionLives(claim.registry, claim.log, extension.anchor);
      }
      return facts;
    },
    async registered({ chainId: named, registry, log }) {
      const chainId = quantity(await ask("eth_chainId", []), "eth_chainId");
      if (chainId !== BigInt(named)) return { chainId, isOpen: false, noteKey: ZERO, anchored: 0n, anchorWithinS: 0n };
      const { size } = await head(registry, log);
      const { isOpen, noteKey, anchorWithinS } = await logInfo(registry, log);
      return { chainId, isOpen, noteKey, anchored: size, anchorWithinS };
    },
  };
}

/** What the ring says of an anchor with this number, after `count` of them: nothing, once it has left the ring. */
export function saidByRing(lives: boolean, number: bigint, count: bigint): boolean | null {
  const hasLeft = number > 0n && number + RING <= count;
  return lives || !hasLeft ? lives : null;
}

/** Two nodes that must say the same: one that lies is found out unless the other lies alike. */
export function agreeing(one: ChainReader, other: ChainReader): ChainReader {
  const same = <T extends object>(left: T, right: T, except: keyof T): void => {
    for (const field of Object.keys(left) as (keyof T)[]) {
      if (field === except || plain(left[field]) === plain(right[field])) continue;
      throw new ChainError(
        `your two endpoints disagree about ${String(field)}: one of them lags, or lies. Ask again in a minute, or ask a third`,
      );
    }
  };
  return {
    async facts(proof, trust) {
      const [left, right] = await Promise.all([one.facts(proof, trust), other.facts(proof, trust)]);
      same(left, right, "finalized");
      return { ...left, finalized: left.finalized < right.finalized ? left.finalized : right.finalized };
    },
    async registered(trust) {
      const [left, right] = await Promise.all([one.registered(trust), other.registered(trust)]);
      same(left, right, "anchored");
      return { ...left, anchored: left.anchored < right.anchored ? left.anchored : right.anchored };
    },
  };
}

function plain(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) => (typeof inner === "bigint" ? String(inner) : inner));
}
