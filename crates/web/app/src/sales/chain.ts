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

export const strange = (what: string) => new ChainError(`unexpected answer to ${what}`);

export function small(word: Hex | undefined, what: string): number {
  const value = BigInt(word ?? "0x");
  if (word === undefined || value > BigInt(Number.MAX_SAFE_INTEGER)) throw strange(what);
  return Number(value);
}

/** An event as a node tells it, with what it was filtered by checked: a filter is a request and not a promise. */
export interface Told {
  readonly data: string;
  readonly tx: string;
}

const lower = (value: unknown) => String(value).toLowerCase();

/** A contract of sales on its chain, and whom it asks about people. */
export class TradeChain {
  readonly #chainId: number;

  constructor(protected readonly ask: Ask, protected readonly market: Hex, chainId: number, protected readonly consents: Hex) {
    this.#chainId = chainId;
  }

  /** What a contract answers, on the market's chain. */
  async call(to: Hex, data: Hex): Promise<unknown> {
    // A wallet may be on another chain at any time, and there the same address is something else.
    const chainId = await this.ask("eth_chainId", []);
    if (Number(chainId) !== this.#chainId) throw new ChainError(`the wallet is on chain ${Number(chainId)}, this is chain ${this.#chainId}`);
    return this.ask("eth_call", [{ to, data }, "latest"]);
  }

  protected async words(to: Hex, data: Hex, count: number, what: string): Promise<readonly Hex[]> {
    const found = answerWords(await this.call(to, data), count);
    if (found === null) throw strange(what);
    return found;
  }

  /** Who acts for somebody, and whether their wallet is frozen. */
  async person(account: Hex): Promise<Pick<SellerFacts, "controller" | "isFrozen">> {
    const [[controller], [frozenUntil]] = await Promise.all([
      this.words(this.consents, wordsData("controllerOf", account), 1, "controllerOf"),
      this.words(this.consents, wordsData("freezeOf", account), 2, "freezeOf"),
    ]);
    if (controller === undefined || BigInt(controller) >> 160n !== 0n) throw strange("controllerOf");
    return { controller: `0x${controller.slice(26)}`, isFrozen: BigInt(frozenUntil ?? "0x0") !== 0n };
  }

  /** Smallest units of a token, or wei, that wait for an account. */
  async credit(account: Hex, token: Hex): Promise<bigint> {
    const [amount] = await this.words(this.market, wordsData("creditOf", account, token), 1, "creditOf");
    return BigInt(amount ?? "0x0");
  }

  /** The market's events of this kind about one id, in the blocks of one second. */
  protected async events(topic: Hex, id: Hex, atS: number): Promise<readonly Told[]> {
    // Nodes give events of few blocks only: the time at which it happened says in which.
    const [from, next] = [await this.#blockAt(atS), await this.#blockAt(atS + 1)];
    const [fromBlock, toBlock] = [from, Math.max(from, next - 1)].map((number) => `0x${number.toString(16)}`);
    const found = await this.ask("eth_getLogs", [{ address: this.market, topics: [topic, id], fromBlock, toBlock }]);
    const logs = (Array.isArray(found) ? found : []) as { address?: unknown; topics?: unknown[]; data?: unknown; removed?: unknown; transactionHash?: unknown }[];
    return logs.flatMap((log) => {
      const [first, second] = Array.isArray(log?.topics) ? log.topics.map(lower) : [];
      const isIts = lower(log?.address) === this.market && first === topic && second === id && log.removed !== true;
      return isIts ? [{ data: lower(log.data), tx: lower(log.transactionHash) }] : [];
    });
  }

  /** The time of the newest block: the contract's clock. */
  async nowS(): Promise<number> {
    return (await this.#block("latest")).timeS;
  }

  async #block(tag: string): Promise<{ readonly number: number; readonly timeS: number }> {
    const block = (await this.ask("eth_getBlockByNumber", [tag, false])) as { number?: unknown; timestamp?: unknown } | null;
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

export class MarketChain extends TradeChain {
  constructor(ask: Ask, { chainId, dataMarket }: Market, consentRegistry: Hex) {
    super(ask, dataMarket, chainId, consentRegistry);
  }

  async offer(offer: Offer): Promise<SellerFacts> {
    const [person, [open]] = await Promise.all([this.person(offer.seller), this.words(this.market, offerData(offer), 1, "isOpen")]);
    return { ...person, isOpen: small(open, "isOpen") === 1 };
  }

  async standing(order: Hex): Promise<Standing> {
    const found = await this.words(this.market, wordsData("standing", order), 5, "standing");
    const [place, ...times] = found.map((word) => small(word, "standing"));
    const status = STATUS[place ?? -1];
    if (status === undefined) throw strange("standing");
    const [paidAtS = null, approvedAtS = null, endedAtS = null, revokedAtS = null] = times.map((timeS) => (timeS === 0 ? null : timeS));
    return { status, paidAtS, approvedAtS, endedAtS, revokedAtS };
  }

  async epoch(seller: Hex): Promise<number> {
    const [epoch] = await this.words(this.market, wordsData("epochOf", seller), 1, "epochOf");
    return small(epoch, "epochOf");
  }

  /** What the settlement of an order showed to everybody; null: it is not settled. */
  async settled(order: Hex): Promise<Settled | null> {
    const { status, endedAtS } = await this.standing(order);
    if (status !== "settled" || endedAtS === null) return null;
    for (const { data: k, tx } of await this.events(SETTLED, order, endedAtS)) {
      if (!isHex(k, 32)) continue;
      const call = (await this.ask("eth_getTransactionByHash", [tx])) as { to?: unknown; input?: unknown } | null;
      const shown = lower(call?.to) === this.market ? settledIn(call?.input) : null;
      return { k, file: shown?.k === k ? shown.file : null };
    }
    return null;
  }
}
