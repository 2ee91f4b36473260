import type { MarketInfo } from "../sales/api";
import { explain } from "../sales/explain";
import { Work } from "../sales/work.svelte";
import { hasCalls, type CallMarket } from "./check";

/** What a person does with calls to many, where the market has them. */
export abstract class CallWork extends Work {
  abstract readonly market: MarketInfo | null;

  async start(): Promise<void> {
    this.error = "";
    // The place may be opened again after it was closed.
    if (this.signal.aborted) this.stop = new AbortController();
    try {
      if (hasCalls(this.market)) await this.read();
      this.phase = hasCalls(this.market) ? "ready" : "off";
    } catch (error) {
      if (this.signal.aborted) return;
      [this.phase, this.error] = ["failed", explain(error)];
    }
  }

  protected callMarket(): CallMarket {
    const { market } = this;
    if (!hasCalls(market)) throw new Error("a market with calls comes before what is done in it");
    return market;
  }
}
