import { s } from "../i18n/sales";
import { hexToBytes } from "../ledger/bytes";
import type { Hex, Verdict } from "../ledger/types";
import type { SaleView } from "../sales/api";
import { chainOf, orNull } from "../sales/open";
import { askText, Refused } from "../server/client";
import type { BuyerKey } from "./age-key";
import { anchoredIn } from "./anchored";
import type { Buying } from "./buying.svelte";
import { contentsOf, DeliveryError, hashOf, isKey, loggedIn, unsealed, type Contents, type Logged } from "./delivery";
import { download } from "./download";

export interface Check {
  readonly name: "proof" | "entry" | "file" | "chainFile" | "key" | "opened";
  readonly verdict: Verdict;
  readonly words: string;
}

/** One delivery on its way from the service to its buyer's eyes: each step checked on this device. */
export class Opening {
  isBusy = $state(false);
  /** What goes on now, and how far. */
  doing = $state<"download" | "open" | null>(null);
  progress = $state.raw({ done: 0, all: 0 });
  checks = $state.raw<readonly Check[]>([]);
  contents = $state.raw<Contents | null>(null);
  file = $state.raw<Uint8Array<ArrayBuffer> | null>(null);
  proof = $state.raw<string | null>(null);

  readonly isWrong = $derived(this.checks.some(({ verdict }) => verdict === "red"));

  #logged: Logged | null = null;

  constructor(private readonly buying: Buying) {}

  #say(name: Check["name"], verdict: Verdict, words: string): void {
    this.checks = [...this.checks.filter((one) => one.name !== name), { name, verdict, words }];
  }

  readonly #onprogress = (done: number, all: number): void => { this.progress = { done, all }; };

  async #step<T>(doing: "download" | "open", what: () => Promise<T>): Promise<T> {
    this.isBusy = true;
    this.doing = doing;
    this.progress = { done: 0, all: 0 };
    try {
      return await what();
    } finally {
      this.isBusy = false;
      this.doing = null;
    }
  }

  /** Reads the proof and the file, and holds one against the other. Throws what went wrong on the way; what is false is said. */
  fetch(view: SaleView): Promise<void> {
    return this.#step("download", async () => {
      const { delivery } = view;
      if (delivery === null) throw new Error("there is no delivery yet");
      await this.#readProof(view);
      const file = await download(`/v1/sales/${view.id}/delivery`, delivery.bytes, this.#onprogress, this.buying.signal);
      const hash = await hashOf(file);
      const named = this.#logged?.file ?? delivery.file;
      if (hash !== named || hash !== delivery.file) {
        this.#say("file", "red", s("check.fileOther", { sum: hash, named }));
        return;
      }
      this.file = file;
      this.#say("file", this.#logged === null ? "amber" : "green", s(this.#logged === null ? "check.fileTold" : "check.file", { sum: hash }));
    });
  }

  async #readProof(view: SaleView): Promise<void> {
    try {
      this.proof = await askText(`/v1/sales/${view.id}/proof`, { signal: this.buying.signal });
    } catch (error) {
      if (!(error instanceof Refused) || error.kind !== "not-anchored") throw error;
      this.#say("proof", "amber", s("check.notAnchored"));
      return;
    }
    try {
      this.#logged = loggedIn(this.proof, view);
    } catch (error) {
      if (!(error instanceof DeliveryError)) throw error;
      this.#say("entry", "red", s(`fault.${error.fault}`));
      return;
    }
    this.#say("entry", "green", s("check.entry", { index: this.#logged.index }));
    await this.#verify(this.proof);
  }

  async #verify(proof: string): Promise<void> {
    const { verdict, words } = await anchoredIn(proof, this.buying.trust);
    this.#say("proof", verdict, words);
  }

  /** Takes the seals off with the key that the chain shows and the buyer's own. */
  open(view: SaleView, keys: readonly BuyerKey[]): Promise<void> {
    return this.#step("open", async () => {
      if (this.file === null) throw new Error("the file comes before it is opened");
      if (this.#logged === null) await this.#readProof(view);
      const logged = this.#logged;
      if (logged === null) throw new Error(s("check.noProof"));
      const k = await this.#key(view, logged);
      if (k === null) return;
      try {
        const plain = await unsealed(this.file, hexToBytes(k), keys.map(({ secret }) => secret), this.#onprogress);
        this.contents = await contentsOf(plain, logged, view);
        this.#say("opened", "green", s("check.opened", { files: this.contents.manifest.files.length, records: this.contents.manifest.records.length }));
      } catch (error) {
        if (!(error instanceof DeliveryError)) throw error;
        this.#say("opened", "red", s(`fault.${error.fault}`));
      }
    });
  }

  async #key(view: SaleView, logged: Logged): Promise<Hex | null> {
    const { market } = this.buying;
    const chain = market && await chainOf(market);
    const shown = await orNull(chain?.settled(view.id));
    const k = shown?.k ?? view.key;
    if (k === null) throw new Error(s("check.noKey"));
    if (!isKey(k, logged)) {
      this.#say("key", "red", s("fault.key"));
      return null;
    }
    this.#say("key", shown === null ? "amber" : "green", s(shown === null ? "check.keyTold" : "check.key", { k }));
    if (shown?.file) {
      const isSame = shown.file === logged.file;
      this.#say("chainFile", isSame ? "green" : "red", s(isSame ? "check.chainFile" : "check.chainFileOther", { sum: shown.file }));
      if (!isSame) return null;
    }
    return k;
  }
}
