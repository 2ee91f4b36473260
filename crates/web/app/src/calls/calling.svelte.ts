import { s } from "../i18n/sales";
import type { Hex } from "../ledger";
import { utf8 } from "../ledger/bytes";
import { cohortProblem } from "../permit/cohort";
import { datasetOf, type Dataset } from "../permit/dataset";
import { cohortId, deletionOfPart, type Cohort, type Deletion } from "../permit/sale";
import { allowed, type Asking, type Given } from "../market/allow";
import { wordsData } from "../sales/abi";
import { isEther, type MarketInfo } from "../sales/api";
import { waitingFor, type Waiting } from "../sales/credits";
import { orNull } from "../sales/open";
import { signSale } from "../sales/sign";
import { learn } from "../sales/tokens.svelte";
import { tokenAt, holdingOf, type Token } from "../sales/token";
import { mined, NotSent, transact } from "../sales/transact";
import { partDeletionForWallet } from "../sales/typed-data";
import { allPages } from "../sell/selling.svelte";
import { ask } from "../server/client";
import { isDeclined } from "../session/explain";
import { cohortData, openWithPermitData } from "./abi";
import { callsOf, callViewOf, type CallView, type PartWithdrawal } from "./api";
import { totalOf, type CallDraft } from "./call-form";
import type { CallChain, CallStanding } from "./chain";
import { judgeCall, type CallFlaw, type CallMarket } from "./check";
import { forgetCall, keepCall, keptCalls, type KeptCall } from "./kept";
import { callChainOf } from "./open";
import { calledOf, type Called } from "./progress";
import { CallWork } from "./work.svelte";

/** One call of the buyer's: from this device, from the service, or both. */
export interface MyCall {
  readonly id: Hex;
  readonly cohort: Cohort;
  readonly text: string;
  readonly dataset: Dataset | null;
  readonly atMs: number;
  /** Null: the service does not know it, yet. */
  readonly view: CallView | null;
  readonly flaws: readonly CallFlaw[];
  readonly chain: CallStanding | null;
  readonly called: Called;
  /** The payment as this device sent it. */
  readonly tx: Hex | null;
}

type Said = { readonly deletion: Deletion; readonly signature: Hex };

/** What a buyer calls for: kept on this device, known to the service, and seen on the chain. */
export class Calling extends CallWork {
  calls = $state.raw<readonly MyCall[]>([]);
  /** What the wallet is asked for; null: nothing. */
  asking = $state<Asking | null>(null);
  readAtMs = $state(0);

  /** Signed, and perhaps not taken: it is sent again without asking the wallet again. */
  readonly #said = new Map<Hex, Said>();

  constructor(readonly market: MarketInfo, readonly address: Hex) {
    super();
  }

  async read(): Promise<void> {
    const market = this.callMarket();
    const { found } = await allPages("/v1/calls?as=buyer", callsOf, this.signal);
    const chain = await callChainOf(market);
    const nowS = (await orNull(chain?.nowS())) ?? Math.floor(Date.now() / 1000);
    const views = new Map(found.map((view) => [view.id, view]));
    const kept = new Map(keptCalls(market, this.address).map((one) => [one.id, one]));
    const ids = [...new Set([...kept.keys(), ...views.keys()])];
    const all = await Promise.all(ids.map((id) => this.#call(id, kept.get(id) ?? null, views.get(id) ?? null, market, chain, nowS)));
    this.calls = all.sort((a, b) => b.atMs - a.atMs);
    const waiting = await waitingFor(chain, [this.address], this.calls.map(({ cohort: { token } }) => ({ account: this.address, token })));
    [this.hasRead, this.waiting, this.readAtMs] = [waiting !== null, waiting ?? [], Date.now()];
    if (chain !== null) void learn(chain, this.calls.map(({ cohort }) => cohort.token));
    this.error = "";
  }

  async #call(id: Hex, kept: KeptCall | null, view: CallView | null, market: CallMarket, chain: CallChain | null, nowS: number): Promise<MyCall> {
    // What this device kept is believed before what the service tells.
    const known = kept ?? (view && { cohort: view.cohort, text: view.text, atMs: view.heardMs, tx: null });
    if (known === null) throw new Error("a call is kept, or told");
    const { cohort, text, atMs, tx } = known;
    const standing = await orNull(chain?.standing(id));
    const isOwn = view === null || view.cohort.buyer === this.address;
    return {
      id, cohort, text, dataset: datasetOf(utf8(text)), atMs, view, tx, chain: standing, called: calledOf(cohort, view, standing, nowS),
      flaws: [...(view ? judgeCall(view, market, standing).flaws : []), ...(isOwn ? [] : ["buyer" as const])],
    };
  }

  protected override async doing<T>(what: () => Promise<T>): Promise<T> {
    try {
      return await super.doing(what);
    } finally {
      this.asking = null;
    }
  }

  #say(data: Hex): Promise<void> {
    const { chainId, cohortMarket } = this.callMarket();
    return this.send(this.address, chainId, cohortMarket, data);
  }

  async #chain(): Promise<CallChain> {
    const chain = await callChainOf(this.callMarket());
    if (chain === null) throw new Error(s("wallet.needed"));
    return chain;
  }

  /** The clock of the chain, or of this device. */
  async nowS(): Promise<number> {
    const chain = await callChainOf(this.callMarket());
    return (await orNull(chain?.nowS())) ?? Math.floor(Date.now() / 1000);
  }

  /** What stands at this address, as its own contract tells; null: no token. */
  async tokenAt(address: Hex): Promise<Token | null> {
    const chain = await this.#chain();
    if (await holdingOf(chain, address, this.address, this.callMarket().cohortMarket) === null) return null;
    await learn(chain, [address]);
    return tokenAt(chain, address);
  }

  /** In a token: what must be before it can be paid, and moves nothing yet. */
  async #allowed(cohort: Cohort, market: CallMarket): Promise<Given | null> {
    if (isEther(cohort.token)) return null;
    const chain = await this.#chain();
    await learn(chain, [cohort.token]);
    return allowed({
      chain, chainId: market.chainId, spender: market.cohortMarket, buyer: this.address, token: cohort.token, price: totalOf(cohort), signal: this.signal,
      paying: ({ deadline, signature }) => openWithPermitData(cohort, deadline, signature), ontold: (asking) => { this.asking = asking; },
    });
  }

  /** Pays for all places, and lists it. The call is kept before the wallet is asked: whatever happens then, the money can be found again. */
  pay({ cohort, dataset, text }: CallDraft): Promise<Hex> {
    return this.doing(async () => {
      const market = this.callMarket();
      if (cohortProblem(cohort, dataset) !== null || cohort.buyer !== this.address || cohort.log !== market.log) throw new Error(s("call.notThat"));
      const id = cohortId("Cohort", cohort, market);
      const given = await this.#allowed(cohort, market);
      const kept: KeptCall = { id, cohort, text, tx: null, atMs: Date.now() };
      if (!keepCall(market, kept)) throw new Error(s("buy.notKept"));
      let tx: Hex;
      try {
        this.asking = "pay";
        const data = given ? openWithPermitData(cohort, given.deadline, given.signature) : cohortData("open", cohort);
        tx = await transact({ from: this.address, to: market.cohortMarket, data, value: isEther(cohort.token) ? totalOf(cohort) : 0n }, market.chainId);
      } catch (error) {
        // Nothing was sent; of any other fault nobody knows that.
        if (isDeclined(error) || error instanceof NotSent) forgetCall(market, this.address, id);
        throw error;
      }
      keepCall(market, { ...kept, tx });
      if (!await mined(tx, this.signal)) throw new Error(s("tx.failed", { tx }));
      // The service may not have this block yet: then it is told later, by a press.
      await this.#tell(kept).catch(() => undefined);
      await this.readAfter();
      return id;
    });
  }

  async #tell({ id, cohort, text }: Pick<MyCall, "id" | "cohort" | "text">): Promise<void> {
    const view = callViewOf(await ask<unknown>("/v1/calls", { method: "POST", body: { cohort, dataset: text } }));
    if (view?.id !== id) throw new Error(s("sell.otherWritten"));
  }

  /** Nobody finds a call that the service was not told of. */
  tell(call: MyCall): Promise<void> {
    return this.doing(async () => {
      await this.#tell(call);
      await this.read();
    });
  }

  /** The buyer's word that one part of the file is deleted. Nobody is to say that who was not asked, or of another call than they know. */
  sayDeleted({ id, cohort, view, flaws }: MyCall, { part }: PartWithdrawal): Promise<void> {
    return this.doing(async () => {
      const market = this.callMarket();
      const isAsked = view?.withdrawals.some((one) => one.part === part) ?? false;
      if (!isAsked || flaws.length > 0 || cohort.buyer !== this.address || view?.id !== id || cohortId("Cohort", cohort, market) !== id) throw new Error(s("call.notThat"));
      const said = this.#said.get(part) ?? await this.#deletion(part, market);
      this.#said.set(part, said);
      const written = callViewOf(await ask<unknown>(`/v1/calls/${id}/deletion`, { method: "POST", body: said }));
      if (written?.id !== id || written.withdrawals.find((one) => one.part === part)?.state !== "deleted") throw new Error(s("sell.otherWritten"));
      this.#said.delete(part);
      await this.readAfter();
    });
  }

  async #deletion(part: Hex, market: CallMarket): Promise<Said> {
    const deletion = deletionOfPart(part, this.address, Math.floor(Date.now() / 1000));
    const signature = await signSale(this.address, partDeletionForWallet(deletion, market), cohortId("Deletion", deletion, market), market.chainId);
    return { deletion, signature };
  }

  /** The money of all places that were not paid comes back. */
  end({ cohort }: MyCall): Promise<void> {
    return this.#say(cohortData("close", cohort));
  }

  withdraw({ account, token }: Waiting, to: Hex): Promise<void> {
    return this.#say(wordsData("withdraw", account, token, to));
  }

  /** Of a call that never came to the chain. */
  forget({ id }: MyCall): void {
    forgetCall(this.callMarket(), this.address, id);
    this.calls = this.calls.filter((one) => one.id !== id);
  }
}
