import { s } from "../i18n/sales";
import type { Hex } from "../ledger";
import { Refused } from "../server/client";
import { session } from "../session/session.svelte";
import type { Purse, Waiting } from "./credits";
import { explain } from "./explain";
import { mined, transact } from "./transact";

/** What a person does in a market while its page is open: read again and again, changed one thing at a time. */
export abstract class Work implements Purse {
  phase = $state<"loading" | "ready" | "off" | "failed">("loading");
  error = $state("");
  /** What came back, and could not be sent. */
  waiting = $state.raw<readonly Waiting[]>([]);
  /** Whether the chain could be asked, through the wallet, for all that waits. */
  hasRead = $state(false);
  isBusy = $state(false);

  protected stop = new AbortController();

  get signal(): AbortSignal {
    return this.stop.signal;
  }

  close(): void {
    this.stop.abort();
  }

  /** Again, quietly: what cannot be read now may be in a moment. */
  async poll(): Promise<void> {
    if (this.phase === "ready" && !this.isBusy) await this.read().catch(() => undefined);
  }

  abstract read(): Promise<void>;
  abstract withdraw(waiting: Waiting, to: Hex): Promise<void>;

  protected async doing<T>(what: () => Promise<T>): Promise<T> {
    this.isBusy = true;
    try {
      return await what();
    } catch (error) {
      if (error instanceof Refused && error.status === 401) void session.probe();
      throw error;
    } finally {
      this.isBusy = false;
    }
  }

  /** It is done: that the lists cannot be read just now is another matter. */
  protected async readAfter(): Promise<void> {
    await this.read().catch((error: unknown) => { this.error = explain(error); });
  }

  /** Has the wallet send a call, and waits until it stands in a block. */
  protected send(from: Hex, chainId: number, to: Hex, data: Hex): Promise<void> {
    return this.doing(async () => {
      const tx = await transact({ from, to, data }, chainId);
      if (!await mined(tx, this.signal)) throw new Error(s("tx.failed", { tx }));
      await this.readAfter();
    });
  }
}
