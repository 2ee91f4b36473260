// What the market could not send: it waits there, by account and token, for whoever acts for the account.
import type { Hex } from "../ledger/types";
import type { TradeChain } from "./chain";
import { orNull } from "./open";

/** Wei, or smallest units of a token. */
export interface Waiting {
  readonly account: Hex;
  readonly token: Hex;
  readonly units: bigint;
}

export const COIN: Hex = `0x${"0".repeat(40)}`;

/** Whoever shows what waits, and takes it out. */
export interface Purse {
  readonly waiting: readonly Waiting[];
  /** Whether the chain could be asked for all of it. */
  readonly hasRead: boolean;
  readonly isBusy: boolean;
  withdraw(waiting: Waiting, to: Hex): Promise<void>;
}

/** What waits: of each account in the chain's coin, and in the tokens that it traded in. Null: the chain could not be asked for all. */
export async function waitingFor(chain: TradeChain | null, accounts: readonly Hex[], traded: readonly Omit<Waiting, "units">[]): Promise<readonly Waiting[] | null> {
  const pairs = new Map([...accounts.map((account) => ({ account, token: COIN })), ...traded].map((one) => [one.account + one.token, one]));
  const found = await Promise.all([...pairs.values()].map(async (one) => ({ ...one, units: await orNull(chain?.credit(one.account, one.token)) })));
  const read = found.flatMap(({ units, ...one }) => (units === null ? [] : [{ ...one, units }]));
  return read.length === found.length ? read.filter(({ units }) => units > 0n) : null;
}
