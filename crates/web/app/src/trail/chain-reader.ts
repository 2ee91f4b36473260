import { reader, wallet as through, type ChainReader } from "../ledger";
import type { Wallet } from "../session/wallets.svelte";

/**
 * The chain as the person's wallet sees it: this page's policy lets it connect to this server only, which is the one
 * that should not have to be believed. Null: there is no wallet.
 */
export function readerThrough(wallet: Wallet | null): ChainReader | null {
  return wallet && reader(through({ request: (question) => wallet.provider.request(question) }));
}
