import { demo } from "../demo/story.svelte";
import { t } from "../i18n";
import type { Hex } from "../ledger";
import { forget, idOf, isGuarded, keep, kept, nameFor, type Other } from "./people";

/** Whom the person who is signed in acts for: what they keep on this device, and in the demo whom its story names. */
export class People {
  #kept = $state.raw<readonly Other[]>([]);
  /** Whose trail could not be looked at any more, a moment ago. */
  over = $state<string | null>(null);

  readonly all: readonly Other[] = $derived.by(() => {
    const told = (demo.story?.people ?? []).filter(({ by }) => by.toLowerCase() === this.own.toLowerCase())
      .flatMap(({ of, name }) => { const id = idOf(of); return id === null ? [] : [{ of: id, name: nameFor(name) }]; });
    return [...this.#kept, ...told.filter(({ of }) => !this.#kept.some((one) => one.of === of))];
  });

  constructor(readonly own: string) {
    this.#kept = kept(own);
  }

  isKept(of: Hex): boolean {
    return this.#kept.some((one) => one.of === of);
  }

  nameOf(of: Hex): string {
    return this.all.find((one) => one.of === of)?.name || t("whose.somebody");
  }

  /** "Jaan (you are the guardian)". */
  wordsOf(of: Hex): string {
    return t(isGuarded(of) ? "whose.guardian" : "whose.delegate", { name: this.nameOf(of) });
  }

  keep(other: Other): boolean {
    const isDone = keep(this.own, other);
    this.#kept = kept(this.own);
    return isDone;
  }

  forget(of: Hex): void {
    forget(this.own, of);
    this.#kept = kept(this.own);
  }
}
