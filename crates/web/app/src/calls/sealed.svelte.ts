import { s } from "../i18n/sales";
import { hexToBytes } from "../ledger/bytes";
import { sha256 } from "../ledger/merkle";
import { spell } from "../ledger/parse";
import type { Hex, TrustFile, Verdict } from "../ledger/types";
import type { BuyerKey } from "../market/age-key";
import { anchoredIn } from "../market/anchored";
import { DeliveryError, hashOf, isKey, unsealed } from "../market/delivery";
import { download } from "../market/download";
import { pageOf } from "../sales/api";
import { orNull } from "../sales/open";
import { allPages } from "../sell/selling.svelte";
import { ask } from "../server/client";
import type { Calling, MyCall } from "./calling.svelte";
import { hasCalls, type CallMarket } from "./check";
import { callContentsOf, loggedCallIn, type CallContents } from "./delivery";
import { callChainOf } from "./open";

export interface SealedCheck {
  readonly name: "file" | "key" | "entries" | "proof" | "opened" | "signed" | "paid";
  readonly verdict: Verdict;
  readonly words: string;
}

/** People whose entries and payments this page asks for, one by one: of more the commands check all. */
const PEOPLE_MAX = 500;
const PROOFS_AT_ONCE = 100;
const PLACES_TOLD_MAX = 20;

/** The sealed file of a call on its way to its buyer's eyes: each step checked on this device. */
export class Sealed {
  isBusy = $state(false);
  progress = $state.raw({ done: 0, all: 0 });
  checks = $state.raw<readonly SealedCheck[]>([]);
  file = $state.raw<Uint8Array<ArrayBuffer> | null>(null);
  /** The key, as the chain shows it. */
  k = $state.raw<Hex | null>(null);
  contents = $state.raw<CallContents | null>(null);
  trust = $state.raw<TrustFile | null>(null);

  readonly isWrong = $derived(this.checks.some(({ verdict }) => verdict === "red"));

  constructor(private readonly calling: Calling) {}

  #say(name: SealedCheck["name"], verdict: Verdict, words: string): void {
    this.checks = [...this.checks.filter((one) => one.name !== name), { name, verdict, words }];
  }

  async #busy(what: () => Promise<void>): Promise<void> {
    this.isBusy = true;
    this.progress = { done: 0, all: 0 };
    try {
      await what();
    } finally {
      this.isBusy = false;
    }
  }

  /** Reads the file, and holds it against what the service says, and against the chain where it was shown one. */
  fetch({ id, view }: MyCall): Promise<void> {
    return this.#busy(async () => {
      const { file: named = null, bytes = null } = view?.delivery ?? {};
      if (named === null || bytes === null) throw new Error("there is no file yet");
      const shown = await this.#shown(id);
      const file = await download(`/v1/calls/${id}/delivery`, bytes, (done, all) => { this.progress = { done, all }; }, this.calling.signal);
      const sum = await hashOf(file);
      const wanted = shown?.file ?? named;
      if (sum !== named || sum !== wanted) return this.#say("file", "red", s("check.fileOther", { sum, named: wanted }));
      this.file = file;
      if (shown === null) this.#say("file", "amber", s("check.fileTold", { sum }));
      else this.#say("file", "green", s("check.chainFile", { sum }));
    });
  }

  async #shown(id: Hex) {
    const { market } = this.calling;
    const chain = hasCalls(market) ? await callChainOf(market) : null;
    return orNull(chain?.settled(id));
  }

  /** The key from the chain, and never from the service. */
  readKey({ id, view }: MyCall): Promise<void> {
    return this.#busy(async () => {
      const shown = await this.#shown(id);
      if (shown === null) throw new Error(s("check.noKey"));
      // The lock is only the service's word: another one says that it told of another file.
      const lock = view?.delivery?.lock ?? null;
      if (lock !== null && sha256(hexToBytes(shown.k)) !== lock) return this.#say("key", "red", s("fault.key"));
      this.k = shown.k;
      this.#say("key", lock === null ? "amber" : "green", s("ask.key", { k: shown.k }));
    });
  }

  /** Takes the seals off with the key that the chain shows and the buyer's own, and holds all that is in it against the call. */
  open(call: MyCall, keys: readonly BuyerKey[]): Promise<void> {
    return this.#busy(async () => {
      const { market } = this.calling;
      const { id, cohort, text, dataset, view } = call;
      if (this.file === null || dataset === null || !hasCalls(market)) throw new Error("the file comes before it is opened");
      if ((view?.delivery?.sellers ?? 0) > PEOPLE_MAX) throw new RangeError("tooLong");
      const shown = await this.#shown(id);
      if (shown === null) throw new Error(s("check.noKey"));
      try {
        const logged = await this.#logged(call, shown);
        const plain = await unsealed(this.file, hexToBytes(shown.k), keys.map(({ secret }) => secret), (done, all) => { this.progress = { done, all }; });
        const contents = await callContentsOf(plain, logged, { market, cohort, text, dataset });
        const { manifest: { files, records, persons }, byOthers } = contents;
        this.#say("opened", "green", s("check.callOpened", { people: persons.length, files: files.length, records: records.length }));
        if (byOthers.length === 0) this.#say("signed", "green", s("check.signed"));
        else this.#say("signed", "amber", s("check.byOthers", { places: places(byOthers) }));
        await this.#paid(call, contents, market);
        if (!this.isWrong) this.contents = contents;
      } catch (error) {
        if (!(error instanceof DeliveryError)) throw error;
        this.#say("opened", "red", s(`fault.${error.fault}`));
      }
    });
  }

  /** What the log says of the delivery, as the contract was shown it. */
  async #logged({ id, cohort }: MyCall, shown: { readonly k: Hex; readonly file: Hex }) {
    const { signal } = this.calling;
    // A page of proofs is one document: each is spelt again as it is when it stands alone.
    const read = (value: unknown) => pageOf(value, "proofs", (one) => (typeof one === "object" && one !== null ? new TextDecoder().decode(spell(one)) : null));
    const { found: proofs } = await allPages(`/v1/calls/${id}/proofs?limit=${PROOFS_AT_ONCE}`, read, signal);
    const logged = loggedCallIn(proofs, cohort);
    if (logged.file !== shown.file) throw new DeliveryError("file");
    if (!isKey(shown.k, logged)) throw new DeliveryError("key");
    this.k = shown.k;
    this.#say("key", "green", s("check.key", { k: shown.k }));
    this.#say("entries", "green", s("check.entries", { count: proofs.length }));
    this.trust ??= await orNull(ask<TrustFile>("/.well-known/medtrail.json", { signal }));
    // They all say the same, and the contract asked for that of each who was paid.
    const { verdict, words } = await anchoredIn(proofs[0] ?? "", this.trust);
    this.#say("proof", verdict, words);
    return logged;
  }

  /** Who is in the file and was not paid said no while the money was on its way: their data are not the buyer's to use. */
  async #paid({ id }: MyCall, { manifest: { consents } }: CallContents, market: CallMarket): Promise<void> {
    const chain = await callChainOf(market);
    const told = chain && await orNull(Promise.all([chain.standing(id), ...consents.map(({ seller }) => chain.isPaid(id, seller))]));
    if (!told) return this.#say("paid", "amber", s("check.paidUnread"));
    const [{ paid }, ...each] = told;
    const unpaid = consents.flatMap(({ place }, at) => (each[at] === true ? [] : [place]));
    if (paid > consents.length - unpaid.length) return this.#say("paid", "red", s("check.paidForNothing"));
    if (unpaid.length > 0) return this.#say("paid", "amber", s("check.unpaid", { places: places(unpaid) }));
    this.#say("paid", "green", s("check.allPaid"));
  }
}

const places = (all: readonly number[]): string => `${all.slice(0, PLACES_TOLD_MAX).join(", ")}${all.length > PLACES_TOLD_MAX ? " …" : ""}`;
