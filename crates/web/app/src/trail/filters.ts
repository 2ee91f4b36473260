import { dayOf, type Day } from "./days";
import type { Shown } from "./fold";

export interface Filters {
  who: string;
  what: string;
  why: string;
  from: Day | "";
  until: Day | "";
  by: "all" | "people" | "machines";
  isUnusualOnly: boolean;
}

export function noFilters(): Filters {
  return { who: "", what: "", why: "", from: "", until: "", by: "all", isUnusualOnly: false };
}

export function isFiltered(filters: Filters): boolean {
  return Object.entries(noFilters()).some(([name, value]) => filters[name as keyof Filters] !== value);
}

export function matches(shown: Shown, filters: Filters): boolean {
  const { facts, organisation, reasons } = shown;
  const day = dayOf(facts.atMs);
  return (filters.who === "" || filters.who === organisation || filters.who === personOf(shown))
    && (filters.what === "" || facts.categories.includes(filters.what))
    && (filters.why === "" || purposeOf(shown) === filters.why)
    && (filters.from === "" || day >= filters.from)
    && (filters.until === "" || day <= filters.until)
    && (filters.by === "all" || (filters.by === "machines") === facts.isMachine)
    && (!filters.isUnusualOnly || reasons.length > 0);
}

export function personOf({ facts }: Shown): string {
  return facts.who?.name ?? facts.who?.id ?? "";
}

/** "-" where no reason was given: that too can be looked for. */
export function purposeOf({ facts }: Shown): string {
  return facts.purpose ?? "-";
}

export interface Choices {
  readonly organisations: readonly string[];
  readonly people: readonly string[];
  readonly what: readonly string[];
  readonly why: readonly string[];
}

/** Only what occurs is offered. */
export function choicesOf(lines: readonly Shown[]): Choices {
  const sorted = (values: Iterable<string>) => [...new Set(values)].filter((value) => value !== "").sort();
  return {
    organisations: sorted(lines.map(({ organisation }) => organisation)),
    people: sorted(lines.filter(({ facts }) => !facts.isMachine).map(personOf)),
    what: sorted(lines.flatMap(({ facts }) => facts.categories)),
    why: sorted(lines.map(purposeOf)),
  };
}
