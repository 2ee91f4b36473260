// Wallets announce themselves (EIP-6963). `window.ethereum` is not asked: with two wallets installed it is whichever
// came last.

import { untrack } from "svelte";

export interface Provider {
  request(request: { readonly method: string; readonly params?: readonly unknown[] | object }): Promise<unknown>;
  on?(event: string, listener: (value: never) => void): void;
  removeListener?(event: string, listener: (value: never) => void): void;
}

export interface Wallet {
  readonly info: { readonly uuid: string; readonly name: string; readonly icon: string; readonly rdns: string };
  readonly provider: Provider;
}

class Wallets {
  /** In the order they came; MetaMask first, since that is what most people have. */
  found = $state.raw<readonly Wallet[]>([]);

  start(): () => void {
    // Wallets answer at once: an effect that starts this must not depend on what they answer.
    const announced = (event: Event) => untrack(() => {
      const wallet = (event as CustomEvent<Wallet>).detail;
      if (!wallet?.info?.uuid || this.found.some(({ info }) => info.uuid === wallet.info.uuid)) return;
      const isFirst = wallet.info.rdns === "io.metamask";
      this.found = isFirst ? [wallet, ...this.found] : [...this.found, wallet];
    });
    addEventListener("eip6963:announceProvider", announced);
    this.ask();
    return () => removeEventListener("eip6963:announceProvider", announced);
  }

  /** Wallets that were there before the page answer this. */
  ask(): void {
    dispatchEvent(new Event("eip6963:requestProvider"));
  }
}

export const wallets = new Wallets();

/** Only pictures that are data: the page's policy lets it fetch none. */
export function iconOf({ info }: Wallet): string | null {
  return /^data:image\/(png|svg\+xml|webp|jpeg|gif)[;,]/.test(info.icon) ? info.icon : null;
}

export async function accountsOf(wallet: Wallet, canPrompt: boolean): Promise<string[]> {
  const method = canPrompt ? "eth_requestAccounts" : "eth_accounts";
  const accounts = await wallet.provider.request({ method });
  return Array.isArray(accounts) ? accounts.filter((account) => typeof account === "string") : [];
}

export interface Chain {
  readonly chainId: number;
  readonly name: string;
  readonly rpcUrl: string;
  readonly symbol: string;
}
