import { s } from "../i18n/sales";
import { hexToBytes } from "../ledger/bytes";
import { sha256 } from "../ledger/merkle";
import type { Hex, Verdict } from "../ledger/types";
import { hashOf } from "../market/delivery";
import { download } from "../market/download";
import { orNull } from "../sales/open";
import type { Calling, MyCall } from "./calling.svelte";
import { hasCalls } from "./check";
import { callChainOf } from "./open";

export interface SealedCheck {
  readonly name: "file" | "key";
  readonly verdict: Verdict;
  readonly words: string;
}

/** The sealed file of a call on its way to its buyer. What is in it the commands open and check: it may be gigabytes of many people. */
export class Sealed {
  isBusy = $state(false);
  progress = $state.raw({ done: 0, all: 0 });
  checks = $state.raw<readonly SealedCheck[]>([]);
  file = $state.raw<Uint8Array<ArrayBuffer> | null>(null);
  /** The key, as the chain shows it. */
  k = $state.raw<Hex | null>(null);

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
}
