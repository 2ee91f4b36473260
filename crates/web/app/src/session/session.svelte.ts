import { ask, Refused } from "../server/client";
import { t } from "../i18n";
import { explain, isDeclined } from "./explain";
import { isSignInTo } from "./message";
import { accountsOf, wallets, type Wallet } from "./wallets.svelte";

export interface Who {
  readonly address: string;
  readonly roles: readonly string[];
  readonly organisation: string | null;
  readonly expiresMs: number;
}

export type EndReason = "asked" | "expired" | "account" | "elsewhere";

/** Longest delay of a browser's timer. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/**
 * That somebody was signed in on this device, and until when: whoever was not need not be asked for, and the browser's console
 * keeps no refusal. It opens nothing; the cookie does, which no script can read.
 */
const HINT = "medtrail.session.until";

const hint = {
  /** Null: nothing was noted. Undefined: this browser keeps no notes, so nobody knows. */
  read(): number | null | undefined {
    try {
      const found = localStorage.getItem(HINT);
      return found === null ? null : Number(found);
    } catch {
      return undefined;
    }
  },
  write(untilMs: number | null): void {
    try {
      if (untilMs === null) localStorage.removeItem(HINT);
      else localStorage.setItem(HINT, String(untilMs));
    } catch {
      // Then it is asked for each time.
    }
  },
};

class Session {
  /** `undefined` until the server was asked. */
  who = $state.raw<Who | null | undefined>(undefined);
  wallet = $state.raw<Wallet | null>(null);
  isBusy = $state(false);
  error = $state("");
  ended = $state.raw<EndReason | null>(null);

  #timer: ReturnType<typeof setTimeout> | undefined;
  #detach: (() => void) | undefined;

  /** When the page opens: who is signed in, if anybody may be. */
  async start(): Promise<void> {
    const untilMs = hint.read();
    if (untilMs !== undefined && !(Number(untilMs) > Date.now())) {
      hint.write(null);
      this.who = null;
      return;
    }
    await this.probe();
  }

  /** Who the cookie says we are. */
  async probe(): Promise<void> {
    try {
      this.#become(await ask<Who>("/v1/session"));
    } catch (error) {
      if (error instanceof Refused && error.status === 401) {
        this.#end(this.who ? "elsewhere" : null);
      } else if (this.who === undefined) {
        this.who = null;
        this.error = explain(error);
      }
    }
  }

  async signIn(wallet: Wallet): Promise<void> {
    this.isBusy = true;
    this.error = "";
    try {
      const [address] = await accountsOf(wallet, true);
      if (!address) return;
      const [{ message }, { chainId }] = await Promise.all([
        ask<{ message: string }>(`/v1/session/nonce?address=${address}`),
        ask<{ chainId: number }>("/.well-known/medtrail.json"),
      ]);
      if (!isSignInTo(message, { origin: location.origin, address, chainId, nowMs: Date.now() })) throw new Error(t("error.notOurs"));
      const signature = await wallet.provider.request({ method: "personal_sign", params: [hexOf(message), address] });
      const who = await ask<Who>("/v1/session", { method: "POST", body: { message, signature, bearer: false } });
      this.#attach(wallet);
      this.#become(who);
    } catch (error) {
      // Saying no is an answer, not a fault.
      this.error = isDeclined(error) ? "" : explain(error);
    } finally {
      this.isBusy = false;
    }
  }

  async signOut(reason: EndReason = "asked"): Promise<void> {
    this.#end(reason);
    try {
      await ask("/v1/session", { method: "DELETE", keepalive: true });
    } catch (error) {
      if (!(error instanceof Refused && error.status === 401)) this.error = explain(error);
    }
  }

  /** The wallet that holds the key of who is signed in: after a reload nobody has chosen one yet. */
  async findWallet(): Promise<Wallet | null> {
    if (this.wallet) return this.wallet;
    const address = this.who?.address.toLowerCase();
    for (const wallet of wallets.found) {
      const accounts = await accountsOf(wallet, false).catch(() => []);
      if (address && accounts.some((account) => account.toLowerCase() === address)) {
        this.#attach(wallet);
        return wallet;
      }
    }
    return null;
  }

  #attach(wallet: Wallet): void {
    this.#detach?.();
    // Another account, or none: whoever holds the device now may be somebody else.
    const changed = (accounts: readonly string[]) => {
      const [first] = accounts;
      if (this.who && first?.toLowerCase() !== this.who.address.toLowerCase()) void this.signOut("account");
    };
    wallet.provider.on?.("accountsChanged", changed as (value: never) => void);
    this.#detach = () => wallet.provider.removeListener?.("accountsChanged", changed as (value: never) => void);
    this.wallet = wallet;
  }

  #become(who: Who): void {
    this.who = who;
    this.ended = null;
    hint.write(who.expiresMs);
    clearTimeout(this.#timer);
    const left = who.expiresMs - Date.now();
    this.#timer = setTimeout(() => this.#end("expired"), Math.min(Math.max(left, 0), TIMER_MS_MAX));
  }

  #end(reason: EndReason | null): void {
    clearTimeout(this.#timer);
    this.#detach?.();
    this.#detach = undefined;
    hint.write(null);
    this.wallet = null;
    this.who = null;
    this.ended = reason;
  }
}

export const session = new Session();

/** `personal_sign` takes bytes: a text that begins with 0x would be taken for them. */
export function hexOf(text: string): string {
  return `0x${Array.from(new TextEncoder().encode(text), (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
