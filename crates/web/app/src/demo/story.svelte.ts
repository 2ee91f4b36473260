// The story that the demo tells. Outside the demo there is none: /demo/story.json answers 404, and the page shows no
// strip, no acts and no demo wallet. The page that verifies asks too: nothing here may pull in the page's texts.
import type { Chain } from "../session/wallets.svelte";

export interface Act {
  readonly number: number;
  readonly title: string;
  readonly text: string;
  /** Where in the page it plays. */
  readonly places?: readonly { readonly label: string; readonly path: string }[];
  readonly buttons: readonly { readonly label: string; readonly post: string }[];
  readonly isOpen: boolean;
}

export interface Account {
  readonly role: string;
  readonly name: string;
  readonly address: string;
  readonly privateKey: string;
}

export interface Story {
  readonly strip: string;
  readonly acts: readonly Act[];
  readonly accounts: readonly Account[];
  readonly wallet: string;
  readonly gateways?: readonly { readonly name: string; readonly url: string }[];
  /** For whom somebody acts: `by` for `of`. */
  readonly people?: readonly { readonly by: string; readonly of: string; readonly name: string }[];
  /** What wallets are told to add. */
  readonly chain?: Chain;
}

/** A path of the demo on this very server: what the story names is loaded, or posted to. */
export function isDemoPath(path: string): boolean {
  return /^\/demo\/[\w./-]*$/.test(path) && !path.includes("..");
}

/** A place of this very page. */
export function isPagePath(path: string): boolean {
  return /^#(?:\/[\w-]+)+$/.test(path);
}

class Demo {
  story = $state.raw<Story | null>(null);

  async start(): Promise<void> {
    const response = await fetch("/demo/story.json", { cache: "no-store" }).catch(() => null);
    if (!response?.ok) return;
    this.story = (await response.json()) as Story;
    const { wallet, accounts, chain } = this.story;
    if (!isDemoPath(wallet)) return;
    const { announce } = (await import(/* @vite-ignore */ wallet)) as typeof import("../demo-wallet");
    announce(accounts, chain ?? null);
  }
}

export const demo = new Demo();
