// What the chain says of calls to many, asked through the person's own wallet.
import type { Ask } from "../ledger/chain";
import type { Hex } from "../ledger/types";
import type { CohortMarket } from "../permit/sale";
import { small, strange, TradeChain } from "../sales/chain";
import { callData, SETTLED_MANY, settledManyIn } from "./abi";

/** How a call stands in the contract; times in seconds, null: not so far. */
export interface CallStanding {
  readonly status: "none" | "open" | "closed";
  readonly openedAtS: number | null;
  /** Of the first settlement: since then everybody knows the key, and nobody can say no any more. */
  readonly settledAtS: number | null;
  readonly paid: number;
}

const STATUS = ["none", "open", "closed"] as const;

export class CallChain extends TradeChain {
  constructor(ask: Ask, { chainId, cohortMarket }: CohortMarket, consentRegistry: Hex) {
    super(ask, cohortMarket, chainId, consentRegistry);
  }

  async standing(call: Hex): Promise<CallStanding> {
    const [place = -1, openedAtS = 0, settledAtS = 0, paid = 0] =
      (await this.words(this.market, callData("standing", call), 4, "standing")).map((word) => small(word, "standing"));
    const status = STATUS[place];
    if (status === undefined) throw strange("standing");
    return { status, openedAtS: openedAtS || null, settledAtS: settledAtS || null, paid };
  }

  /** Whether this seller was paid in this call. */
  async isPaid(call: Hex, seller: Hex): Promise<boolean> {
    const [paid] = await this.words(this.market, callData("placeOf", call, seller), 2, "placeOf");
    return small(paid, "placeOf") === 1;
  }

  /** The seller's count of "take everything back": an acceptance of another one is dead. */
  async epoch(seller: Hex): Promise<number> {
    const [epoch] = await this.words(this.consents, callData("epochOf", seller), 1, "epochOf");
    return small(epoch, "epochOf");
  }

  /** When an acceptance was ended in the registry, seconds; null: it was not. */
  async revokedAtS(seller: Hex, acceptance: Hex): Promise<number | null> {
    const [, revokedAt] = await this.words(this.consents, callData("standingOf", seller, acceptance), 2, "standing");
    return small(revokedAt, "standing") || null;
  }

  /** What the first settlement showed to everybody; null: there was none. */
  async settled(call: Hex): Promise<{ readonly k: Hex; readonly file: Hex } | null> {
    const { settledAtS } = await this.standing(call);
    if (settledAtS === null) return null;
    // Every settlement of a call has the same key and file: the contract sees to it.
    return (await this.events(SETTLED_MANY, call, settledAtS)).map(({ data }) => settledManyIn(data)).find((one) => one !== null) ?? null;
  }
}
