import { t } from "../i18n";
import type { Hex } from "../ledger";
import { Signing } from "../permissions/signing.svelte";
import type { Erase } from "../permit";
import { ask } from "../server/client";
import { explain } from "../session/explain";
import { opening } from "../session/opening";
import { subjectOf } from "../trail/subject";
import { answerOf, checkAll, eraseOf, type Answer, type Checked, type Form } from "./erasures";

/** What was written a moment ago may not be read yet. */
const AGAIN_MS = 300;

/** What a person asked to be erased, while the page is open: all of it checked on this device, and the ways to ask and to cancel. */
export class Own {
  readonly address: Hex;
  phase = $state<"loading" | "ready" | "failed">("loading");
  error = $state("");
  answer = $state.raw<Answer | null>(null);
  erasures = $state.raw<readonly Checked[]>([]);
  readAtMs = $state(0);
  isCancelling = $state(false);

  readonly running = $derived(this.erasures.filter(({ told, problems }) =>
    problems.length === 0 && (told?.state === "waiting" || told?.state === "erasing")));
  readonly past = $derived(this.erasures.filter(({ told, problems }) =>
    problems.length === 0 && told?.state !== "waiting" && told?.state !== "erasing"));
  readonly wrong = $derived(this.erasures.filter(({ problems }) => problems.length > 0));

  readonly #signing: Signing;
  readonly #stop = new AbortController();
  readonly #asked = new Map<Hex, Erase>();
  readonly #cancelled = new Set<Hex>();
  #log: Hex | null = null;

  constructor(address: string) {
    this.address = address.toLowerCase() as Hex;
    this.#signing = new Signing(this.address);
  }

  get isBusy(): boolean {
    return this.#signing.isBusy || this.isCancelling;
  }

  open(): Promise<void> {
    return opening(this, this.#stop.signal, async () => {
      this.#log = (await this.#signing.learn(this.#stop.signal)).log;
      await this.read();
      return "ready";
    });
  }

  close(): void {
    this.#stop.abort();
  }

  async read(): Promise<void> {
    await this.#readOnce();
    // Before an alarm about what was done just now the server gets the chance to catch up.
    if (!this.erasures.some(({ problems }) => problems.includes("state") || problems.includes("missing"))) return;
    await new Promise((later) => setTimeout(later, AGAIN_MS));
    await this.#readOnce();
  }

  async #readOnce(): Promise<void> {
    const { address } = this;
    const [log, { registries }] = [this.#log, this.#signing];
    if (registries === null || log === null) throw new Error("the contract comes before what was signed");
    const told = await ask<unknown>(`/v1/subjects/${subjectOf(address)}/erasure`, { signal: this.#stop.signal });
    const answer = answerOf(told, address, log);
    if (answer === null) throw new Error(t("permissions.notThat"));
    const nowMs = Date.now();
    this.erasures = await checkAll(answer, { registries, address, log, nowMs, asked: this.#asked, cancelled: this.#cancelled });
    this.answer = answer;
    this.readAtMs = nowMs;
    this.error = "";
  }

  /** What is signed, of how it stands now. Null: there is no line to name. */
  async statement(form: Form): Promise<Erase | null> {
    await this.read();
    if (this.answer === null) throw new Error("it was just read");
    const { log, lines } = this.answer;
    return eraseOf(form, { subject: this.address, log, lines, nowMs: Date.now() });
  }

  /** False: the person said no in the wallet, and nothing was done. Throws what went wrong. */
  async sign(erase: Erase): Promise<boolean> {
    const id = await this.#signing.sign({ erase });
    if (id === null) return false;
    this.#asked.set(id, erase);
    await this.#readAfter();
    return true;
  }

  async cancel({ id }: Checked): Promise<void> {
    this.isCancelling = true;
    try {
      await ask(`/v1/subjects/${subjectOf(this.address)}/erasure`, { method: "DELETE" });
      if (id !== null) this.#cancelled.add(id);
    } finally {
      this.isCancelling = false;
    }
    await this.#readAfter();
  }

  /** It is done: that it cannot be read just now is another matter. */
  async #readAfter(): Promise<void> {
    await this.read().catch((error: unknown) => { this.error = explain(error); });
  }
}
