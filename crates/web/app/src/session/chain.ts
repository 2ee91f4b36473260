import { t } from "../i18n";
import { hasCode } from "./explain";
import type { Chain, Wallet } from "./wallets.svelte";

/** Tells the wallet of a chain that it may not know. */
export async function addChain(wallet: Wallet, { chainId, name, rpcUrl, symbol }: Chain): Promise<void> {
  await wallet.provider.request({
    method: "wallet_addEthereumChain",
    params: [{
      chainId: hexOf(chainId), chainName: name, rpcUrls: [rpcUrl], nativeCurrency: { name: symbol, symbol, decimals: 18 },
    }],
  });
}

/** As EIP-3085 wants it: no zeros in front. */
const hexOf = (chainId: number) => `0x${chainId.toString(16)}`;

/**
 * Brings the wallet to a chain, before anything with `domain.chainId` is signed: wallets refuse typed data of a chain
 * that is not their active one. `chain` is what to add if the wallet does not know it (error 4902).
 */
export async function switchTo(wallet: Wallet, chainId: number, chain: Chain | null): Promise<void> {
  const active = async () => Number(await wallet.provider.request({ method: "eth_chainId" }));
  if ((await active()) === chainId) return;
  try {
    await wallet.provider.request({ method: "wallet_switchEthereumChain", params: [{ chainId: hexOf(chainId) }] });
  } catch (error) {
    if (!hasCode(error, 4902) || chain?.chainId !== chainId) throw error;
    await addChain(wallet, chain);
  }
  // A chain that was added, but whose switch was declined, resolves all the same: only the wallet knows where it is.
  if ((await active()) !== chainId) throw new Error(t("error.otherChain"));
}
