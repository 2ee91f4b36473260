import { s } from "../i18n/sales";
import type { Hex } from "../ledger";
import { acceptanceOf, acceptanceProblem, settledBy } from "../permit/cohort";
import { cohortId } from "../permit/sale";
import { wordsData } from "../sales/abi";
import type { MarketInfo } from "../sales/api";
import { waitingFor, type Waiting } from "../sales/credits";
import { orNull } from "../sales/open";
import { signSale } from "../sales/sign";
import { learn } from "../sales/tokens.svelte";
import { acceptanceForWallet } from "../sales/typed-data";
import { allPages } from "../sell/selling.svelte";
import { ask, Refused } from "../server/client";
import { callData } from "./abi";
import { callsOf, callViewOf, catalogueOf, type CallView, type OwnAcceptance } from "./api";
import type { CallChain, CallStanding } from "./chain";
import { judgeCall, type CallMarket, type JudgedCall } from "./check";
import { callChainOf } from "./open";
import { mineOf, type Mine, type OwnOnChain } from "./progress";
import { CallWork } from "./work.svelte";

/** A call as a seller meets it. */
export interface Call {
  readonly view: CallView;
  readonly judged: JudgedCall;
  readonly chain: CallStanding | null;
  readonly mine: Mine;
}

const AT_ONCE = 25;

/** What buyers call for, and what a person answered, while the page is open: checked on this device. */
export class Answering extends CallWork {
  calls = $state.raw<readonly Call[]>([]);
  unread = $state(0);
  /** There are more in the catalogue. */
  hasMore = $state(false);

  readonly open = $derived(this.calls.filter(({ mine }) => mine.own === null));
  readonly answered = $derived(this.calls.filter(({ mine }) => mine.own !== null));

  /** Calls of others do not change: each is asked for once. */
  readonly #known = new Map<Hex, CallView | null>();
  #pages = 1;
  /** Signed, and perhaps not taken: it is sent again without asking the wallet again. */
  readonly #signed = new Map<Hex, Hex>();

  /** `aliases`: the addresses that the person sells under besides their own. */
  constructor(private readonly told: () => MarketInfo | null, readonly address: Hex, readonly aliases: () => readonly Hex[]) {
    super();
  }

  get market(): MarketInfo | null {
    return this.told();
  }

  get own(): readonly Hex[] {
    return [this.address, ...this.aliases()];
  }

  async more(): Promise<void> {
    this.#pages += 1;
    await this.doing(() => this.read());
  }

  async read(): Promise<void> {
    const market = this.callMarket();
    const { signal } = this;
    const answered = await allPages("/v1/calls?as=seller", callsOf, signal);
    const theirs = new Set(answered.found.map(({ id }) => id));
    const { ids, unread, next } = await this.#catalogue(signal);
    const views = await Promise.all(ids.filter((id) => !theirs.has(id)).map((id) => this.#view(id, signal)));
    const others = views.flatMap((view) => (view === null || view === "gone" || this.own.includes(view.cohort.buyer) ? [] : [view]));
    const chain = await callChainOf(market);
    const nowS = (await orNull(chain?.nowS())) ?? Math.floor(Date.now() / 1000);
    const calls = await Promise.all([...answered.found, ...others].map((view) => this.#call(view, market, chain, nowS)));
    [this.calls, this.unread, this.hasMore] = [calls, answered.unread + unread + views.filter((view) => view === null).length, next];
    const traded = calls.filter(({ judged }) => judged.flaws.length === 0).flatMap(({ view: { own, cohort } }) => own.map(({ seller }) => ({ account: seller, token: cohort.token })));
    const waiting = await waitingFor(chain, this.own, traded);
    [this.hasRead, this.waiting] = [waiting !== null, waiting ?? []];
    if (chain !== null) void learn(chain, calls.map(({ view }) => view.cohort.token));
    this.error = "";
  }

  async #catalogue(signal: AbortSignal): Promise<{ ids: readonly Hex[]; unread: number; next: boolean }> {
    let [ids, unread, before]: [readonly Hex[], number, string] = [[], 0, ""];
    for (let page = 0; page < this.#pages; page += 1) {
      const answer = catalogueOf(await ask<unknown>(`/v1/calls?limit=${AT_ONCE}${before}`, { signal }));
      [ids, unread] = [[...new Set([...ids, ...answer.found])], unread + answer.unread];
      if (answer.next === null) return { ids, unread, next: false };
      before = `&before=${encodeURIComponent(answer.next)}`;
    }
    return { ids, unread, next: true };
  }

  /** Null: an answer that is none. One may be gone since the catalogue was written. */
  async #view(id: Hex, signal: AbortSignal): Promise<CallView | "gone" | null> {
    const known = this.#known.get(id);
    if (known !== undefined) return known;
    const answer = await ask<unknown>(`/v1/calls/${id}`, { signal }).catch((error: unknown) => {
      if (error instanceof Refused && error.status === 404) return "gone" as const;
      throw error;
    });
    if (answer === "gone") return answer;
    const found = callViewOf(answer);
    const view = found?.id === id ? found : null;
    this.#known.set(id, view);
    return view;
  }

  async #call(view: CallView, market: CallMarket, chain: CallChain | null, nowS: number): Promise<Call> {
    const own = view.own.at(-1);
    const [standing, told] = await Promise.all([orNull(chain?.standing(view.id)), own && chain ? orNull(this.#told(chain, view.id, own)) : null]);
    return { view, judged: judgeCall(view, market, standing), chain: standing, mine: mineOf(view, standing, told, nowS) };
  }

  async #told(chain: CallChain, call: Hex, { seller, id }: OwnAcceptance): Promise<OwnOnChain> {
    const [isPaid, revokedAtS] = await Promise.all([chain.isPaid(call, seller), chain.revokedAtS(seller, id)]);
    return { isPaid, revokedAtS };
  }

  /** The yes to one place, of those that are free the one that the service proposes now. It costs the seller nothing. */
  accept(id: Hex, seller: Hex, country: string): Promise<void> {
    return this.doing(async () => {
      const market = this.callMarket();
      const chain = await callChainOf(market);
      if (chain === null) throw new Error(s("wallet.needed"));
      const [view, standing, person, epoch] = await Promise.all([
        ask<unknown>(`/v1/calls/${id}?seller=${seller}`, { signal: this.signal }).then(callViewOf), chain.standing(id), chain.person(seller), chain.epoch(seller),
      ]);
      // Without money there nobody would be paid, and the chain was asked just now.
      if (view === null || view.id !== id || view.dataset === null || judgeCall(view, market, standing).flaws.length > 0 || standing.status !== "open") throw new Error(s("call.notThat"));
      if (standing.settledAtS !== null) throw new Error(s("refused.call-too-far"));
      if (person.isFrozen) throw new Error(s("call.frozen"));
      const { cohort, dataset, proposed, own } = view;
      if (proposed === null) throw new Error(s("call.full"));
      if (proposed.epoch !== epoch) throw new Error(s("call.epoch"));
      // One that was taken back is spent, and so is its end.
      const acceptance = acceptanceOf(cohort, market, { place: proposed.place, seller, epoch, expiresAt: settledBy(cohort) + own.length });
      if (acceptanceProblem(acceptance, cohort, market, dataset) !== null) throw new Error(s("call.notThat"));
      const signed = cohortId("CohortAcceptance", acceptance, market);
      const signature = this.#signed.get(signed) ?? await signSale(person.controller, acceptanceForWallet(acceptance, market), signed, market.chainId);
      this.#signed.set(signed, signature);
      const written = callViewOf(await ask<unknown>(`/v1/calls/${id}/acceptances`, { method: "POST", body: { acceptance, signature, country } }));
      if (written?.own.some((one) => one.id === signed && one.state !== "withdrawn") !== true) throw new Error(s("sell.otherWritten"));
      this.#signed.delete(signed);
      await this.readAfter();
    });
  }

  /** The buyer is asked to delete what was delivered of theirs. Asked again it stays as it was. */
  askDeletion(id: Hex): Promise<void> {
    return this.doing(async () => {
      const written = callViewOf(await ask<unknown>(`/v1/calls/${id}/withdrawal`, { method: "POST" }));
      if (written?.id !== id || !written.own.some(({ withdrawal }) => withdrawal !== null)) throw new Error(s("deletion.notWritten"));
      await this.readAfter();
    });
  }

  /** With the service: no file that is made from now on has their data, and the log writes down none for them. */
  takeBack(id: Hex): Promise<void> {
    return this.doing(async () => {
      const written = callViewOf(await ask<unknown>(`/v1/calls/${id}/acceptances`, { method: "DELETE" }));
      if (written?.id !== id || written.own.at(-1)?.state !== "withdrawn") throw new Error(s("call.notTakenBack"));
      await this.readAfter();
    });
  }

  /** On the chain: then the contract does not take it either, whatever the service does. */
  revoke({ view: { own } }: Call): Promise<void> {
    const last = own.at(-1);
    if (last === undefined) throw new Error("an acceptance comes before it is revoked");
    const { chainId, consentRegistry } = this.callMarket();
    return this.send(last.seller, chainId, consentRegistry, callData("revoke", last.seller, last.id));
  }

  withdraw({ account, token }: Waiting, to: Hex): Promise<void> {
    const { chainId, cohortMarket } = this.callMarket();
    return this.send(account, chainId, cohortMarket, wordsData("withdraw", account, token, to));
  }
}
