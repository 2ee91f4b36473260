// A transaction of the market, by the person's wallet. It is tried first, so that a refusal of the contract is told in words
// and costs nothing.
import { s, sOr } from "../i18n/sales";
import { demo } from "../demo/story.svelte";
import { isHex } from "../ledger/bytes";
import type { Hex } from "../ledger/types";
import { switchTo } from "../session/chain";
import { session } from "../session/session.svelte";
import { accountsOf, type Wallet } from "../session/wallets.svelte";
import { t, short } from "../i18n";
import { REFUSAL_OF, type Refusal } from "./abi";

export interface Transaction {
  readonly from: Hex;
  readonly to: Hex;
  readonly data: Hex;
  /** Wei. */
  readonly value?: bigint;
}

/** What this page found out before anything was sent. */
export class NotSent extends Error {}

/** The contract would refuse it. */
export class Reverted extends NotSent {
  constructor(readonly refusal: Refusal) {
    super(sOr(`reverted.${refusal}`, s("reverted.unnamed", { name: refusal })));
    this.name = "Reverted";
  }
}

/** What the contract said, wherever a wallet puts it. */
export function refusalIn(error: unknown): Refusal | null {
  const seen = new Set<unknown>();
  const find = (value: unknown): Refusal | null => {
    if (typeof value === "string") return REFUSAL_OF.get(value.slice(0, 10).toLowerCase()) ?? null;
    if (typeof value !== "object" || value === null || seen.has(value) || seen.size > 32) return null;
    seen.add(value);
    for (const name of ["data", "cause", "originalError", "error"]) {
      const found = find((value as Record<string, unknown>)[name]);
      if (found !== null) return found;
    }
    return null;
  };
  return find(error);
}

/** The wallet of the person, on the right chain, with this account in it. */
export async function walletWith(account: Hex, chainId: number): Promise<Wallet> {
  const wallet = await session.findWallet();
  if (!wallet) throw new Error(t("connect.noWallet"));
  await switchTo(wallet, chainId, demo.story?.chain ?? null);
  const accounts = await accountsOf(wallet, false);
  // Wallets show a page the accounts that the person chose; one that is not among them signs nothing.
  if (!accounts.some((one) => one.toLowerCase() === account)) throw new Error(s("wallet.otherAccount", { address: short(account) }));
  return wallet;
}

const callOf = ({ from, to, data, value = 0n }: Transaction) => ({ from, to, data, value: `0x${value.toString(16)}` });

/** What came of trying it without sending it: the market's refusal, another fault, or null where it would do what it should. */
async function tried(wallet: Wallet, transaction: Transaction): Promise<Refusal | "fault" | null> {
  try {
    await wallet.provider.request({ method: "eth_call", params: [callOf(transaction), "latest"] });
    return null;
  } catch (error) {
    return refusalIn(error) ?? "fault";
  }
}

/** Whether it would go through, as far as the chain can tell now. Throws the market's refusal. */
export async function wouldDo(transaction: Transaction, chainId: number): Promise<boolean> {
  const found = await tried(await walletWith(transaction.from, chainId), transaction);
  if (found !== null && found !== "fault") throw new Reverted(found);
  return found === null;
}

/** Sends it; the hash of what was sent. Throws what went wrong, a no in the wallet included. */
export async function transact(transaction: Transaction, chainId: number): Promise<Hex> {
  const wallet = await walletWith(transaction.from, chainId);
  const found = await tried(wallet, transaction);
  // Any other fault the wallet finds out by itself, and says it in its own words.
  if (found !== null && found !== "fault") throw new Reverted(found);
  const sent = String(await wallet.provider.request({ method: "eth_sendTransaction", params: [callOf(transaction)] })).toLowerCase();
  if (!isHex(sent, 32)) throw new Error(s("wallet.noHash"));
  return sent;
}

const POLL_MS = 1_000;

/** Waits until it stands in a block: whether it did what it should. */
export async function mined(tx: Hex, signal: AbortSignal, pollMs = POLL_MS): Promise<boolean> {
  for (;;) {
    const wallet = await session.findWallet();
    const receipt = (await wallet?.provider.request({ method: "eth_getTransactionReceipt", params: [tx] }).catch(() => null)) as
      { status?: unknown } | null | undefined;
    if (receipt) return Number(receipt.status) === 1;
    if (signal.aborted) throw signal.reason;
    await new Promise((later) => setTimeout(later, pollMs));
    if (signal.aborted) throw signal.reason;
  }
}
