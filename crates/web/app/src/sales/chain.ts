// What the chain says of offers and orders, asked through the person's own wallet: this page's policy lets it connect to
// this server only, which is the one that should not have to be believed.
import { ChainError, type Ask } from "../ledger/chain";
import { isHex } from "../ledger/bytes";
import type { Hex } from "../ledger/types";
import type { Market, Offer } from "../permit/sale";
import { answerWords, offerData, SETTLED, settledIn, wordsData } from "./abi";

export type Status = "none" | "paid" | "settled" | "refunded";
const STATUS: readonly Status[] = ["none", "paid", "settled", "refunded"];

/** How an order stands; times in seconds, null: not so far. */
export interface Standing {
  readonly status: Status;
  readonly paidAtS: number | null;
  readonly approvedAtS: number | null;
  readonly endedAtS: number | null;
  readonly revokedAtS: number | null;
}

/** What decides whether an offer can be paid, and settled. */
export interface SellerFacts {
  /** Who acts for the seller. */
  readonly controller: Hex;
  readonly isFrozen: boolean;
  readonly isOpen: boolean;
}

/** What a settlement showed to everybody. */
export interface Settled {
  readonly k: Hex;
  /** SHA-256 of the sealed file, as the contract was shown it. Null: another contract called it, whose call this cannot read. */
  readonly file: Hex | null;
}

const strange = (what: string) => new ChainError(`unexpected answer to ${what}`);

function small(word: Hex | undefined, what: string): number {
  const value = BigInt(word ?? "0x");
  if (word === undefined || value > BigInt(Number.MAX_SAFE_INTEGER)) throw strange(what);
  return Number(value);
}

export class MarketChain {
  readonly #ask: Ask;
  readonly #market: Hex;
  readonly #consents: Hex;
  readonly #chainId: number;

  constructor(ask: Ask, { chainId, dataMarket }: Market, consentRegistry: Hex) {
    [this.#ask, this.#market, this.#consents, this.#chainId] = [ask, dataMarket, consentRegistry, chainId];
  }

  /** What a contract answers, on the market's chain. */
  async call(to: Hex, data: Hex): Promise<unknown> {
    // A wallet may be on another chain at any time, and there the same address is something else.
    const chainId = await this.#ask("eth_chainId", []);
    if (Number(chainId) !== this.#chainId) throw new ChainError(`the wallet is on chain ${Number(chainId)}, this is chain ${this.#chainId}`);
    return this.#ask("eth_call", [{ to, data }, "latest"]);
  }

  async #call(to: Hex, data: Hex, words: number, what: string): Promise<readonly Hex[]> {
    const found = answerWords(await this.call(to, data), words);
    if (found === null) throw strange(what);
    return found;
  }

  async offer(offer: Offer): Promise<SellerFacts> {
    const [[controller], [frozenUntil], [open]] = await Promise.all([
      this.#call(this.#consents, wordsData("controllerOf", offer.seller), 1, "controllerOf"),
      this.#call(this.#consents, wordsData("freezeOf", offer.seller), 2, "freezeOf"),
      this.#call(this.#market, offerData(offer), 1, "isOpen"),
    ]);
    if (controller === undefined || BigInt(controller) >> 160n !== 0n) throw strange("controllerOf");
    return { controller: `0x${controller.slice(26)}`, isFrozen: BigInt(frozenUntil ?? "0x0") !== 0n, isOpen: small(open, "isOpen") === 1 };
  }

  async standing(order: Hex): Promise<Standing> {
    const found = await this.#call(this.#market, wordsData("standing", order), 5, "standing");
    const [place, ...times] = found.map((word) => small(word, "standing"));
    const status = STATUS[place ?? -1];
    if (status === undefined) throw strange("standing");
    const [paidAtS = null, approvedAtS = null, endedAtS = null, revokedAtS = null] = times.map((timeS) => (timeS === 0 ? null : timeS));
    return { status, paidAtS, approvedAtS, endedAtS, revokedAtS };
  }

  async epoch(seller: Hex): Promise<number> {
    const [epoch] = await this.#call(this.#market, wordsData("epochOf", seller), 1, "epochOf");
    return small(epoch, "epochOf");
  }

  /** Smallest units of a token, or wei, that wait for an account. */
  async credit(account: Hex, token: Hex): Promise<bigint> {
    const [amount] = await this.#call(this.#market, wordsData("creditOf", account, token), 1, "creditOf");
    return BigInt(amount ?? "0x0");
  }

  /** What the settlement of an order showed to everybody; null: it is not settled. */
  async settled(order: Hex): Promise<Settled | null> {
    const { status, endedAtS } = await this.standing(order);
    if (status !== "settled" || endedAtS === null) return null;
    // Nodes give events of few blocks only: the time at which it was settled says in which.
    const [from, next] = [await this.#blockAt(endedAtS), await this.#blockAt(endedAtS + 1)];
    const [fromBlock, toBlock] = [from, Math.max(from, next - 1)].map((number) => `0x${number.toString(16)}`);
    const found = await this.#ask("eth_getLogs", [{ address: this.#market, topics: [SETTLED, order], fromBlock, toBlock }]);
    const lower = (value: unknown) => String(value).toLowerCase();
    for (const log of (Array.isArray(found) ? found : []) as { address?: unknown; topics?: unknown[]; data?: unknown; removed?: unknown; transactionHash?: unknown }[]) {
      const [topic, id] = Array.isArray(log?.topics) ? log.topics.map(lower) : [];
      const [k, tx] = [lower(log?.data), lower(log?.transactionHash)];
      // A filter is a request and not a promise: what comes back is checked.
      if (lower(log?.address) !== this.#market || topic !== SETTLED || id !== order || log.removed === true || !isHex(k, 32)) continue;
      const call = (await this.#ask("eth_getTransactionByHash", [tx])) as { to?: unknown; input?: unknown } | null;
      const shown = lower(call?.to) === this.#market ? settledIn(call?.input) : null;
      return { k, file: shown?.k === k ? shown.file : null };
    }
    return null;
  }

  /** The time of the newest block: the contract's clock. */
  async nowS(): Promise<number> {
    return (await this.#block("latest")).timeS;
  }

  async #block(tag: string): Promise<{ readonly number: number; readonly timeS: number }> {
    const block = (await this.#ask("eth_getBlockByNumber", [tag, false])) as { number?: unknown; timestamp?: unknown } | null;
    const [number, timeS] = [Number(block?.number ?? NaN), Number(block?.timestamp ?? NaN)];
    if (![number, timeS].every((value) => Number.isSafeInteger(value) && value >= 0)) throw strange("eth_getBlockByNumber");
    return { number, timeS };
  }

  /** The first block that is not older than this, or the one that will come next: halved, some thirty questions for any chain. */
  async #blockAt(timeS: number): Promise<number> {
    let [low, high] = [0, (await this.#block("latest")).number + 1];
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if ((await this.#block(`0x${middle.toString(16)}`)).timeS >= timeS) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
