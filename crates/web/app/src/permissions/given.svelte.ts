import { t } from "../i18n";
import { demo } from "../demo/story.svelte";
import { isHex } from "../ledger/bytes";
import type { Hex, ListedOrganisation, TrustFile } from "../ledger";
import { documentId, signerOf, type Document, type Registries } from "../permit";
import { ask, Refused } from "../server/client";
import { switchTo } from "../session/chain";
import { explain, isDeclined } from "../session/explain";
import { session } from "../session/session.svelte";
import { subjectOf } from "../trail/subject";
import { answerOf, checkAll, type Answer, type Checked } from "./check";
import { forWallet } from "./typed-data";
import { nameOf } from "./words";

/** What was written a moment ago may not be read yet. */
const AGAIN_MS = 300;

/** `GET /v1/permissions`: the contract under whose name permissions are signed. It is deployed once and stays. */
interface Domain {
  readonly version: string;
  readonly chainId: number;
  readonly consentRegistry: string;
}
let domain: Promise<Domain> | null = null;

function domainOnce(): Promise<Domain> {
  domain ??= ask<Domain>("/v1/permissions").catch((error: unknown) => {
    domain = null;
    throw error;
  });
  return domain;
}

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
  /** Whether the wallet or the server is being asked: one thing at a time. */
  isBusy = $state(false);

  readonly standing = $derived(this.permissions.filter(({ state, problems }) => problems.length === 0 && state === "standing"));
  readonly past = $derived(this.permissions.filter(({ state, problems }) => problems.length === 0 && state !== "standing"));
  readonly wrong = $derived(this.permissions.filter(({ problems }) => problems.length > 0));

  registries: Registries | null = null;
  readonly #stop = new AbortController();
  readonly #takenBack = new Set<Hex>();
  /** What this page gave: if the server leaves it out, that is to be seen. */
  readonly #given = new Map<Hex, Document>();
  #epochMin = 0;
  /** Signed, and perhaps not written down: it is sent again without asking the wallet again. */
  #unsent: { readonly id: Hex; readonly signature: Hex } | null = null;

  /** To whom something can be given, by the name that the keys have: the list alone could put another's name beside them. */
  readonly grantees: readonly { readonly id: Hex; readonly name: string }[] = $derived(this.organisations
    .filter(({ id, reportsBy }) => reportsBy !== "nothing" && isHex(String(id).toLowerCase(), 20))
    .map(({ id, name }) => ({ id: id.toLowerCase() as Hex, name: this.nameOf(id) ?? name })));

  constructor(address: string) {
    this.address = address.toLowerCase() as Hex;
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

  async open(): Promise<void> {
    this.phase = "loading";
    this.error = "";
    try {
      await this.#learn();
      await this.#read();
      this.phase = "ready";
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      this.phase = "failed";
      this.error = explain(error);
      // It may be that there is no session any more; then the page asks for one.
      void session.probe();
    }
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
    const [trust, { organisations }, { version, chainId, consentRegistry: given }] = await Promise.all([
      ask<TrustFile>("/.well-known/medtrail.json", { signal }),
      ask<{ organisations: ListedOrganisation[] }>("/v1/organisations", { signal }),
      domainOnce(),
    ]);
    const consentRegistry = String(given).toLowerCase();
    const isOurs = version === "medtrail/permissions-domain-v1" && chainId === trust.chainId && isHex(consentRegistry, 20);
    // Under the name of another contract a signature could mean something else, or nothing.
    if (!isOurs || /^0x0*$/.test(consentRegistry)) throw new Error(t("permissions.notThat"));
    this.registries = { chainId, consentRegistry, anchorRegistry: trust.registry };
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
    const { address, registries } = this;
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
    this.isBusy = true;
    try {
      const { registries } = this;
      if (registries === null) throw new Error("the contract comes before the signature");
      const id = documentId(document, registries);
      const signature = this.#unsent?.id === id ? this.#unsent.signature : await this.#signature(document, id, registries);
      this.#unsent = { id, signature };
      await this.#send(document, id, signature);
      this.#unsent = null;
      this.#remember(document, id);
    } catch (error) {
      if (isDeclined(error)) return false;
      throw error;
    } finally {
      this.isBusy = false;
    }
    // It is done: that the list cannot be read just now is another matter.
    await this.#read().catch((error: unknown) => { this.error = explain(error); });
    return true;
  }

  async #signature(document: Document, id: Hex, registries: Registries): Promise<Hex> {
    const wallet = await session.findWallet();
    if (!wallet) throw new Error(t("connect.noWallet"));
    await switchTo(wallet, registries.chainId, demo.story?.chain ?? null);
    const given = await wallet.provider.request({ method: "eth_signTypedData_v4", params: [this.address, forWallet(document, registries)] });
    const signature = String(given).toLowerCase() as Hex;
    const isHexText = /^0x(?:[0-9a-f]{2})*$/.test(signature);
    if (!isHexText || await signerOf(id, signature) !== this.address) throw new Error(t("permissions.otherSigner"));
    return signature;
  }

  async #send(document: Document, id: Hex, signature: Hex): Promise<void> {
    try {
      const body = { version: "medtrail/permission-v1", document, signature };
      const written = await ask<{ id: string }>("/v1/permissions", { method: "POST", body });
      if (String(written?.id).toLowerCase() !== id) throw new Error(t("permissions.otherWritten"));
    } catch (error) {
      // What the server refused it refuses again; of what got no answer nobody knows.
      if (error instanceof Refused && error.status < 500) this.#unsent = null;
      if (error instanceof Refused && error.status === 401) void session.probe();
      throw error;
    }
  }

  #remember(document: Document, id: Hex): void {
    if ("revoke" in document) this.#takenBack.add(document.revoke.permission);
    else if ("revokeAll" in document) {
      this.#epochMin = document.revokeAll.epoch + 1;
      this.#given.clear();
    } else this.#given.set(id, document);
  }
}
