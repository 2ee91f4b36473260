import { t } from "../i18n";
import { isHex } from "../ledger/bytes";
import type { Hex, ListedOrganisation, TrustFile } from "../ledger";
import type { Document } from "../permit";
import { ask } from "../server/client";
import { explain } from "../session/explain";
import { opening } from "../session/opening";
import { subjectOf } from "../trail/subject";
import { answerOf, checkAll, type Answer, type Checked } from "./check";
import { Signing } from "./signing.svelte";
import { nameOf } from "./words";

/** What was written a moment ago may not be read yet. */
const AGAIN_MS = 300;

/** What a person permits, while the page is open: all of it checked on this device, and the ways to change it. */
export class Given {
  readonly address: Hex;
  permissions = $state.raw<readonly Checked[]>([]);
  organisations = $state.raw<readonly ListedOrganisation[]>([]);
  trust = $state.raw<TrustFile | null>(null);
  phase = $state<"loading" | "ready" | "failed">("loading");
  error = $state("");
  checkedAtMs = $state(0);
  answer = $state.raw<Answer | null>(null);

  readonly standing = $derived(this.permissions.filter(({ state, problems }) => problems.length === 0 && state === "standing"));
  readonly past = $derived(this.permissions.filter(({ state, problems }) => problems.length === 0 && state !== "standing"));
  readonly wrong = $derived(this.permissions.filter(({ problems }) => problems.length > 0));

  readonly #signing: Signing;
  readonly #stop = new AbortController();
  readonly #takenBack = new Set<Hex>();
  /** What this page gave: if the server leaves it out, that is to be seen. */
  readonly #given = new Map<Hex, Document>();
  #epochMin = 0;

  /** To whom something can be given, by the name that the keys have: the list alone could put another's name beside them. */
  readonly grantees: readonly { readonly id: Hex; readonly name: string }[] = $derived(this.organisations
    .filter(({ id, reportsBy }) => reportsBy !== "nothing" && isHex(String(id).toLowerCase(), 20))
    .map(({ id, name }) => ({ id: id.toLowerCase() as Hex, name: this.nameOf(id) ?? name })));

  constructor(address: string) {
    this.address = address.toLowerCase() as Hex;
    this.#signing = new Signing(this.address);
  }

  /** Whether the wallet or the server is being asked: one thing at a time. */
  get isBusy(): boolean {
    return this.#signing.isBusy;
  }

  nameOf(address: Hex): string | null {
    return nameOf(address.toLowerCase() as Hex, this.organisations, this.trust, this.checkedAtMs || Date.now());
  }

  /** Whether this wallet's key is, as the site says, not the person's any more. */
  get isMoved(): boolean {
    return this.answer !== null && this.answer.controller !== this.address;
  }

  get epoch(): number {
    return Math.max(this.answer?.epoch ?? 0, this.#epochMin);
  }

  open(): Promise<void> {
    return opening(this, this.#stop.signal, async () => {
      await this.#learn();
      await this.#read();
      return "ready";
    });
  }

  close(): void {
    this.#stop.abort();
  }

  /** Reads again: permissions may have been given elsewhere. */
  async refresh(): Promise<void> {
    await this.#read();
  }

  async #learn(): Promise<void> {
    const { signal } = this.#stop;
    const [trust, { organisations }] = await Promise.all([
      this.#signing.learn(signal),
      ask<{ organisations: ListedOrganisation[] }>("/v1/organisations", { signal }),
    ]);
    this.trust = trust;
    this.organisations = organisations;
  }

  async #read(): Promise<void> {
    await this.#readOnce();
    // Before an alarm about what was done just now the server gets the chance to catch up.
    if (!this.permissions.some(({ problems }) => problems.includes("state") || problems.includes("missing"))) return;
    await new Promise((later) => setTimeout(later, AGAIN_MS));
    await this.#readOnce();
  }

  async #readOnce(): Promise<void> {
    const { address } = this;
    const { registries } = this.#signing;
    if (registries === null) throw new Error("the contract comes before the permissions");
    const told = await ask<unknown>(`/v1/subjects/${subjectOf(address)}/permissions`, { signal: this.#stop.signal });
    const answer = answerOf(told, address);
    if (answer === null) throw new Error(t("permissions.notThat"));
    const nowMs = Date.now();
    const checked = await checkAll(answer, { registries, address, nowMs, takenBack: this.#takenBack, epochMin: this.#epochMin });
    const missing = [...this.#given].filter(([id]) => !checked.some((one) => one.id === id)).map(([id, document]): Checked => ({
      id, told: null, document, problems: ["missing"], state: "standing", by: null, isOnChainOnly: false, raw: document,
    }));
    this.permissions = [...missing, ...checked];
    this.answer = answer;
    this.checkedAtMs = nowMs;
    this.error = "";
  }

  /** Has it signed and written down. False: the person said no in the wallet, and nothing was done. Throws what went wrong. */
  async sign(document: Document): Promise<boolean> {
    const id = await this.#signing.sign(document);
    if (id === null) return false;
    this.#remember(document, id);
    // It is done: that the list cannot be read just now is another matter.
    await this.#read().catch((error: unknown) => { this.error = explain(error); });
    return true;
  }

  #remember(document: Document, id: Hex): void {
    if ("revoke" in document) this.#takenBack.add(document.revoke.permission);
    else if ("revokeAll" in document) {
      this.#epochMin = document.revokeAll.epoch + 1;
      this.#given.clear();
    } else this.#given.set(id, document);
  }
}
