import { s } from "../i18n/sales";
import type { Hex, TrustFile } from "../ledger";
import { approvalOf, approvalProblem, saleId } from "../permit/sale";
import { ask } from "../server/client";
import { opening } from "../session/opening";
import { offersOf, offerViewOf, saleOf, salesOf, type MarketInfo, type OfferView, type SaleView } from "../sales/api";
import { judgeOffer, saleFlaws, type Flaw } from "../sales/check";
import type { MarketChain, Standing } from "../sales/chain";
import { waitingFor, type Waiting } from "../sales/credits";
import { explain } from "../sales/explain";
import { chainOf, openMarket, orNull } from "../sales/open";
import { progressOf, type Progress } from "../sales/progress";
import { signSale } from "../sales/sign";
import { learn } from "../sales/tokens.svelte";
import { tokenAt, holdingOf, type Token } from "../sales/token";
import { orderData, wordsData } from "../sales/abi";
import { approvalForWallet, offerForWallet } from "../sales/typed-data";
import { Work } from "../sales/work.svelte";
import { get } from "../reading/json";
import type { Draft } from "./offer-form";

export interface MyOffer {
  readonly view: OfferView;
  readonly flaws: readonly Flaw[];
}

export interface MySale {
  readonly view: SaleView;
  readonly flaws: readonly Flaw[];
  readonly chain: Standing | null;
  readonly progress: Progress;
}

const PAGES_MAX = 20;

/** Reads a list to its end, or so far that nobody would scroll. */
export async function allPages<T>(path: string, read: (value: unknown) => { found: readonly T[]; next: string | null; unread: number }, signal: AbortSignal): Promise<{ found: readonly T[]; unread: number }> {
  const found: T[] = [];
  let unread = 0;
  let before = "";
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const answer = read(await ask<unknown>(`${path}${before}`, { signal }));
    found.push(...answer.found);
    unread += answer.unread;
    if (answer.next === null) break;
    before = `&before=${encodeURIComponent(answer.next)}`;
  }
  return { found, unread };
}

/** What a person sells, while the page is open: checked on this device, and the ways to change it. */
export class Selling extends Work {
  market = $state.raw<MarketInfo | null>(null);
  trust = $state.raw<TrustFile | null>(null);
  offers = $state.raw<readonly MyOffer[]>([]);
  sales = $state.raw<readonly MySale[]>([]);
  /** The person sells nothing at all, and since when. */
  isOut = $state(false);
  outSinceMs = $state<number | null>(null);
  /** What the service told in no form that this page knows. */
  unread = $state(0);
  readAtMs = $state(0);

  readonly asking = $derived(this.sales.filter(({ view, flaws, progress }) =>
    flaws.length === 0 && view.state === "waiting" && !view.isApproved && !this.#declined.has(view.id) && progress.end === "running"));

  /** To whom they said no: the service takes a moment until it says so. */
  #declined = $state.raw<ReadonlySet<Hex>>(new Set());
  /** Signed, and perhaps not taken: it is sent again without asking the wallet again. */
  readonly #signed = new Map<Hex, Hex>();

  /** `aliases`: the addresses that the person sells under besides their own. */
  constructor(readonly address: Hex, readonly aliases: () => readonly Hex[], private readonly onlySales = false) {
    super();
  }

  get own(): readonly Hex[] {
    return [this.address, ...this.aliases()];
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

  async read(): Promise<void> {
    const { market } = this;
    if (market === null) return;
    const { signal } = this;
    const [sales, offers, out] = await Promise.all([
      allPages("/v1/sales?as=seller", salesOf, signal),
      this.onlySales ? { found: [], unread: 0 } : allPages("/v1/offers?as=seller", offersOf, signal),
      this.onlySales ? null : ask<unknown>("/v1/market/opt-out", { signal }),
    ]);
    const chain = await chainOf(market);
    const nowMs = Date.now();
    const nowS = (await orNull(chain?.nowS())) ?? Math.floor(nowMs / 1000);
    this.sales = await Promise.all(sales.found.filter(({ role }) => role === "seller").map((view) => this.#sale(view, market, chain, nowS)));
    this.offers = await Promise.all(offers.found.map((view) => this.#offer(view, market, nowMs)));
    this.unread = sales.unread + offers.unread;
    if (out !== null) this.#setOut(out);
    await this.#readWaiting(chain);
    if (chain !== null) void learn(chain, [...this.sales.map(({ view }) => view.order.offer.token), ...this.offers.map(({ view }) => view.offer.token)]);
    this.readAtMs = nowMs;
    this.error = "";
  }

  async #sale(view: SaleView, market: MarketInfo, chain: MarketChain | null, nowS: number): Promise<MySale> {
    const flaws = saleFlaws(view, market, this.own);
    const standing = await orNull(chain?.standing(view.id));
    return { view, flaws, chain: standing, progress: progressOf(view.order, view, standing, nowS) };
  }

  async #offer(view: OfferView, market: MarketInfo, nowMs: number): Promise<MyOffer> {
    const { flaws } = await judgeOffer(view, market, null, nowMs);
    const isOwn = this.own.includes(view.offer.seller);
    return { view, flaws: [...flaws.filter((flaw) => flaw !== "expired"), ...(isOwn ? [] : ["signer" as const])] };
  }

  async #readWaiting(chain: MarketChain | null): Promise<void> {
    if (this.onlySales) return;
    // Of a token only an address that sold in it can have any.
    const traded = this.sales.filter(({ flaws }) => flaws.length === 0).map(({ view: { order: { offer } } }) => ({ account: offer.seller, token: offer.token }));
    const found = await waitingFor(chain, this.own, traded);
    [this.hasRead, this.waiting] = [found !== null, found ?? []];
  }

  #setOut(answer: unknown): void {
    const sinceMs = get(answer, "sinceMs");
    this.isOut = get(answer, "isOut") === true;
    this.outSinceMs = this.isOut && typeof sinceMs === "number" ? sinceMs : null;
  }

  #market(): MarketInfo {
    if (this.market === null) throw new Error("the market comes before what is sold in it");
    return this.market;
  }

  /** The seller's count of cancellations of all offers: an offer of another one is dead. */
  async epochOf(seller: Hex): Promise<number> {
    const chain = await chainOf(this.#market());
    if (chain === null) throw new Error(s("wallet.needed"));
    return chain.epoch(seller);
  }

  /** What stands at this address, as its own contract tells; null: no token. */
  async tokenAt(address: Hex): Promise<Token | null> {
    const market = this.#market();
    const chain = await chainOf(market);
    if (chain === null) throw new Error(s("wallet.needed"));
    if (await holdingOf(chain, address, this.address, market.dataMarket) === null) return null;
    await learn(chain, [address]);
    return tokenAt(chain, address);
  }

  /** Who signs for an address: itself, or whom control moved to. */
  async #signerFor(seller: Hex, order: SaleView["order"] | null): Promise<Hex> {
    if (order === null) return seller;
    const chain = await chainOf(this.#market());
    return (await orNull(chain?.offer(order.offer)))?.controller ?? seller;
  }

  async #signature(id: Hex, sign: () => Promise<Hex>): Promise<Hex> {
    const signature = this.#signed.get(id) ?? await sign();
    this.#signed.set(id, signature);
    return signature;
  }

  offer({ offer, text, country }: Draft): Promise<void> {
    return this.doing(async () => {
      const market = this.#market();
      const id = saleId("Offer", offer, market);
      const signature = await this.#signature(id, () => signSale(offer.seller, offerForWallet(offer, market), id, market.chainId));
      const written = offerViewOf(await ask<unknown>("/v1/offers", { method: "POST", body: { offer, dataset: text, signature, country } }));
      if (written?.id !== id || saleId("Offer", written.offer, market) !== id) throw new Error(s("sell.otherWritten"));
      this.#signed.delete(id);
      await this.readAfter();
    });
  }

  withdrawOffer(id: Hex): Promise<void> {
    return this.doing(async () => {
      await ask(`/v1/offers/${id}/withdrawal`, { method: "POST" });
      await this.readAfter();
    });
  }

  /** On the chain: then nobody can even pay. */
  cancelOffer({ id, offer }: OfferView): Promise<void> {
    return this.#tell(offer.seller, wordsData("cancelOffer", offer.seller, id));
  }

  /** The yes to this one buyer. It is carried when the sale is settled, and costs the seller nothing. */
  approve({ id, order, dataset }: SaleView): Promise<void> {
    return this.doing(async () => {
      const market = this.#market();
      const approval = approvalOf(order, market, order.deliverBy + order.grace);
      if (dataset === null || approvalProblem(approval, order, market, dataset) !== null) throw new Error(s("sale.notThat"));
      const signed = saleId("SaleApproval", approval, market);
      const signature = await this.#signature(signed, async () =>
        signSale(await this.#signerFor(order.offer.seller, order), approvalForWallet(approval, market), signed, market.chainId));
      const written = saleOf(await ask<unknown>(`/v1/sales/${id}/approval`, { method: "POST", body: { approval, signature } }));
      if (written?.id !== id) throw new Error(s("sell.otherWritten"));
      this.#signed.delete(signed);
      await this.readAfter();
    });
  }

  decline(id: Hex): Promise<void> {
    return this.doing(async () => {
      await ask(`/v1/sales/${id}/decline`, { method: "POST" });
      this.#declined = new Set([...this.#declined, id]);
      await this.readAfter();
    });
  }

  /** On the chain: the money goes back at once. */
  declineOnChain({ order }: SaleView): Promise<void> {
    return this.#tell(order.offer.seller, orderData("decline", order));
  }

  endAccess({ order }: SaleView): Promise<void> {
    return this.#tell(order.offer.seller, orderData("revoke", order));
  }

  /** The buyer is asked to delete what was delivered. Asked again it stays as it was. */
  askDeletion(id: Hex): Promise<void> {
    return this.doing(async () => {
      const written = saleOf(await ask<unknown>(`/v1/sales/${id}/withdrawal`, { method: "POST" }));
      if (written?.id !== id || written.withdrawal === null) throw new Error(s("deletion.notWritten"));
      await this.readAfter();
    });
  }

  withdraw({ account, token }: Waiting, to: Hex): Promise<void> {
    return this.#tell(account, wordsData("withdraw", account, token, to));
  }

  setOut(isOut: boolean): Promise<void> {
    return this.doing(async () => {
      this.#setOut(await ask<unknown>("/v1/market/opt-out", { method: "PUT", body: { isOut } }));
      await this.readAfter();
    });
  }

  #tell(from: Hex, data: Hex): Promise<void> {
    const { chainId, dataMarket } = this.#market();
    return this.send(from, chainId, dataMarket, data);
  }
}
