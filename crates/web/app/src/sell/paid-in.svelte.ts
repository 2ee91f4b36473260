import type { Hex } from "../ledger";
import { isHex } from "../ledger/bytes";
import { isEther } from "../sales/api";
import type { Token } from "../sales/token";
import { ETHER } from "./offer-form";

/** In what a price is meant: the chain's coin, or a token that was asked what it is before a price in it means anything. */
export class PaidIn {
  kind = $state<"coin" | "token">("coin");
  typed = $state("");
  token = $state.raw<Token | null>(null);

  /** Null: a token that is not known yet. */
  readonly unit = $derived(this.kind === "coin" ? ETHER : this.token && { token: this.token.address, decimals: this.token.decimals ?? 0 });

  /** Another token, or none yet: what was known of the last one counts for nothing. */
  readonly changed = (): void => {
    this.token = null;
  };

  /** Asks the token; whether one stands there. Null: another was named meanwhile. */
  async look(tokenAt: (address: Hex) => Promise<Token | null>): Promise<boolean | null> {
    const address = this.#address();
    const found = isHex(address, 20) && !isEther(address) ? await tokenAt(address) : null;
    if (address !== this.#address() || this.kind !== "token") return null;
    this.token = found;
    return found !== null;
  }

  #address(): string {
    return this.typed.trim().toLowerCase();
  }
}
