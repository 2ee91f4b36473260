import { s } from "../i18n/sales";
import type { Hex, TrustFile } from "../ledger";
import { utf8 } from "../ledger/bytes";
import { datasetOf, type Dataset } from "../permit/dataset";
import { deletionOf, orderProblem, saleId, type Deletion, type Order } from "../permit/sale";
import { buyData, buyWithPermitData, orderData, wordsData } from "../sales/abi";
import { isEther, saleOf, salesOf, type MarketInfo, type OfferView, type SaleView } from "../sales/api";
import { saleFlaws, type Flaw } from "../sales/check";
import type { MarketChain, Standing } from "../sales/chain";
import { waitingFor, type Waiting } from "../sales/credits";
import { explain } from "../sales/explain";
import { chainOf, openMarket, orNull } from "../sales/open";
import { progressOf, type Progress } from "../sales/progress";
import { signSale } from "../sales/sign";
import { learn } from "../sales/tokens.svelte";
import { mined, NotSent, transact } from "../sales/transact";
import { deletionForWallet } from "../sales/typed-data";
import { Work } from "../sales/work.svelte";
import { allPages } from "../sell/selling.svelte";
import { ask } from "../server/client";
import { isDeclined } from "../session/explain";
import { opening } from "../session/opening";
import { allowed, type Asking, type Given } from "./allow";
import { forgetOrder, keepOrder, keptOrders, type Kept } from "./orders";

/** One purchase: from this device, from the service, or both. */
export interface Purchase {
  readonly id: Hex;
  readonly order: Order;
  readonly dataset: Dataset | null;
  readonly atMs: number | null;
  /** Null: the service does not know it, yet. */
  readonly view: SaleView | null;
  readonly flaws: readonly Flaw[];
  readonly chain: Standing | null;
  readonly progress: Progress;
  /** The payment as this device sent it. */
  readonly tx: Hex | null;
}

/** What a buyer bought: kept on this device, known to the service, and seen on the chain. */
export class Buying extends Work {
  readonly address: Hex;
  market = $state.raw<MarketInfo | null>(null);
  trust = $state.raw<TrustFile | null>(null);
  purchases = $state.raw<readonly Purchase[]>([]);
  hasChain = $state(false);
  /** What the wallet is asked for; null: nothing. */
  asking = $state<Asking | null>(null);
  /** In this attempt the market was allowed, by transaction, to take the price: it stays so if the buyer does not pay. */
  hasAllowed = $state(false);
  readAtMs = $state(0);

  /** Whether the service or the chain will say more: of money the chain may be ahead, and the key comes from the service after it. */
  readonly isRunning = $derived(this.purchases.some(({ progress, view }) =>
    progress.end === "running" || (view !== null && !["settled", "refunded", "over"].includes(view.state))));

  /** Signed, and perhaps not taken: it is sent again without asking the wallet again. */
  readonly #said = new Map<Hex, { readonly deletion: Deletion; readonly signature: Hex }>();

  constructor(address: string) {
    super();
    this.address = address.toLowerCase() as Hex;
  }

  open(): Promise<void> {
    return opening(this, this.signal, async () => {
      const { market, trust } = await openMarket(this.signal);
      [this.market, this.trust] = [market, trust];
      if (market === null) return "off";
      await this.read();
      return "ready";
    }, explain);
  }

  /** Again, quietly: what cannot be read now may be in a moment. */
  override async poll(): Promise<void> {
    if (this.phase !== "ready" || this.isBusy) return;
    await this.read().catch((error: unknown) => { if (!this.signal.aborted) this.error = explain(error); });
  }

  async read(): Promise<void> {
    const { market } = this;
    if (market === null) return;
    const { found } = await allPages("/v1/sales?as=buyer", salesOf, this.signal);
    const chain = await chainOf(market);
    const nowS = (await orNull(chain?.nowS())) ?? null;
    this.hasChain = nowS !== null;
    if (chain !== null) void learn(chain, found.map(({ order }) => order.offer.token));
    const views = new Map(found.filter(({ role }) => role === "buyer").map((view) => [view.id, view]));
    const kept = new Map(keptOrders(market, this.address).map((one) => [one.id, one]));
    const ids = [...new Set([...kept.keys(), ...views.keys()])];
    const all = await Promise.all(ids.map((id) => this.#purchase(id, kept.get(id) ?? null, views.get(id) ?? null, market, chain, nowS ?? Math.floor(Date.now() / 1000))));
    const since = ({ atMs, view }: Purchase) => atMs ?? (view?.paidAtS ?? 0) * 1000;
    this.purchases = all.sort((a, b) => since(b) - since(a));
    // What came back, and could not be sent.
    const traded = this.purchases.filter(({ flaws }) => flaws.length === 0).map(({ order }) => ({ account: order.buyer, token: order.offer.token }));
    const waiting = await waitingFor(chain, [this.address], traded);
    [this.hasRead, this.waiting] = [waiting !== null, waiting ?? []];
    this.readAtMs = Date.now();
    this.error = "";
  }

  async #purchase(id: Hex, kept: Kept | null, view: SaleView | null, market: MarketInfo, chain: MarketChain | null, nowS: number): Promise<Purchase> {
    // What this device kept is believed before what the service tells.
    const order = kept?.order ?? view?.order;
    if (order === undefined) throw new Error("a purchase is kept, or told");
    const standing = await orNull(chain?.standing(id));
    return {
      id, order, dataset: kept ? datasetOf(utf8(kept.text)) : view?.dataset ?? null, atMs: kept?.atMs ?? null, view,
      flaws: view ? saleFlaws(view, market, [this.address]) : [], chain: standing, progress: progressOf(order, view, standing, nowS), tx: kept?.tx ?? null,
    };
  }

  /** The clock of the chain, or of this device. */
  async nowS(): Promise<number> {
    const chain = this.market && await chainOf(this.market);
    return (await orNull(chain?.nowS())) ?? Math.floor(Date.now() / 1000);
  }

  protected override async doing<T>(what: () => Promise<T>): Promise<T> {
    try {
      return await super.doing(what);
    } finally {
      this.asking = null;
    }
  }

  #say(data: Hex): Promise<void> {
    const { chainId, dataMarket } = this.#market();
    return this.send(this.address, chainId, dataMarket, data);
  }

  #market(): MarketInfo {
    if (this.market === null) throw new Error("the market comes before what is bought in it");
    return this.market;
  }

  /** In a token: what must be before it can be paid, and moves nothing yet. */
  async #allowed(order: Order, offerSignature: Hex, market: MarketInfo): Promise<Given | null> {
    const { token, price } = order.offer;
    if (isEther(token)) return null;
    const chain = await chainOf(market);
    if (chain === null) throw new Error(s("wallet.needed"));
    await learn(chain, [token]);
    return allowed({
      chain, chainId: market.chainId, spender: market.dataMarket, buyer: this.address, token, price: BigInt(price), signal: this.signal,
      paying: ({ deadline, signature }) => buyWithPermitData(order, offerSignature, deadline, signature),
      ontold: (asking) => {
        this.asking = asking;
        if (asking === "allowing") this.hasAllowed = true;
      },
    });
  }

  /** Pays. The order is kept before the wallet is asked to: whatever happens then, the money can be found again. */
  pay(order: Order, { dataset, text, signature }: OfferView): Promise<Hex> {
    return this.doing(async () => {
      const market = this.#market();
      if (dataset === null || orderProblem(order, dataset) !== null) throw new Error(s("sale.notThat"));
      const id = saleId("Order", order, market);
      this.hasAllowed = false;
      const given = await this.#allowed(order, signature, market);
      const kept: Kept = { id, order, text, tx: null, atMs: Date.now() };
      if (!keepOrder(market, kept)) throw new Error(s("buy.notKept"));
      let tx: Hex;
      try {
        this.asking = "pay";
        const data = given ? buyWithPermitData(order, signature, given.deadline, given.signature) : buyData(order, signature);
        const value = isEther(order.offer.token) ? BigInt(order.offer.price) : 0n;
        tx = await transact({ from: this.address, to: market.dataMarket, data, value }, market.chainId);
      } catch (error) {
        // Nothing was sent; of any other fault nobody knows that.
        if (isDeclined(error) || error instanceof NotSent) forgetOrder(market, this.address, id);
        throw error;
      }
      keepOrder(market, { ...kept, tx });
      if (!await mined(tx, this.signal)) throw new Error(s("tx.failed", { tx }));
      await this.#tell(order);
      await this.readAfter();
      return id;
    });
  }

  /** So that the service need not wait for its own look at the chain; it finds the order there anyway. */
  async #tell(order: Order): Promise<void> {
    await ask("/v1/sales", { method: "POST", body: { order } }).catch(() => undefined);
  }

  tell(order: Order): Promise<void> {
    return this.doing(async () => {
      const view = saleOf(await ask<unknown>("/v1/sales", { method: "POST", body: { order } }));
      if (view?.id !== saleId("Order", order, this.#market())) throw new Error(s("sale.notThat"));
      await this.read();
    });
  }

  refund({ order }: Purchase): Promise<void> {
    return this.#say(orderData("refund", order));
  }

  withdraw({ account, token }: Waiting, to: Hex): Promise<void> {
    return this.#say(wordsData("withdraw", account, token, to));
  }

  /** The buyer's word that it is deleted. Nobody is to say that who was not asked, or of another order than they know. */
  sayDeleted({ id, order, view, flaws }: Purchase): Promise<void> {
    return this.doing(async () => {
      const market = this.#market();
      const isAsked = (view?.withdrawal ?? null) !== null;
      if (!isAsked || flaws.length > 0 || order.buyer !== this.address || view?.id !== id || saleId("Order", order, market) !== id) throw new Error(s("sale.notThat"));
      const said = this.#said.get(id) ?? await this.#deletion(order, market);
      this.#said.set(id, said);
      const written = saleOf(await ask<unknown>(`/v1/sales/${id}/deletion`, { method: "POST", body: said }));
      if (written?.id !== id || written.withdrawal?.state !== "deleted") throw new Error(s("sell.otherWritten"));
      this.#said.delete(id);
      await this.readAfter();
    });
  }

  async #deletion(order: Order, market: MarketInfo): Promise<{ deletion: Deletion; signature: Hex }> {
    const deletion = deletionOf(order, market, Math.floor(Date.now() / 1000));
    const signature = await signSale(this.address, deletionForWallet(deletion, market), saleId("Deletion", deletion, market), market.chainId);
    return { deletion, signature };
  }

  /** Of an order that never came to the chain. */
  forget({ id }: Purchase): void {
    forgetOrder(this.#market(), this.address, id);
    this.purchases = this.purchases.filter((one) => one.id !== id);
  }
}
