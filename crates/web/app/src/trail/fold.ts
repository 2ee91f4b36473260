import type { Checked } from "./line";
import { dayOf, type Day } from "./days";
import type { Reason } from "./unusual";
import type { Talk } from "../waiting/waiting";

/** A line with all that is known of it on this device. */
export interface Shown extends Checked {
  readonly reasons: readonly Reason[];
  /** What was said about it. */
  readonly talk: Talk | null;
  /** The address that this person sells under and that the line is about. */
  readonly alias?: `0x${string}` | null;
}

export type Row =
  | { readonly kind: "one"; readonly key: string; readonly line: Shown }
  /** Repeats under one sentence; each of them is still there to be opened. */
  | { readonly kind: "fold"; readonly key: string; readonly lines: readonly Shown[]; readonly isMachine: boolean };

export interface DayRows {
  readonly day: Day;
  readonly rows: readonly Row[];
}

/** Machines fold from two on, people from three on: two looks are worth two lines. */
const MACHINES_MIN = 2;
const PEOPLE_MIN = 3;

/** By day, newest first. A line that is unusual, that did not check or that was talked about never folds. */
export function foldDays(lines: readonly Shown[]): DayRows[] {
  const days = new Map<Day, Shown[]>();
  for (const line of lines) {
    const day = dayOf(line.facts.atMs);
    const those = days.get(day);
    if (those) those.push(line);
    else days.set(day, [line]);
  }
  return [...days].sort(([a], [b]) => (a < b ? 1 : -1)).map(([day, those]) => ({ day, rows: fold(day, those) }));
}

function fold(day: Day, lines: readonly Shown[]): Row[] {
  const alike = new Map<string, Shown[]>();
  for (const line of lines) {
    const key = likeness(line);
    const those = alike.get(key);
    if (those) those.push(line);
    else alike.set(key, [line]);
  }
  const rows: Row[] = [];
  for (const [key, those] of alike) {
    const isMachine = those[0]?.facts.isMachine ?? false;
    if (those.length >= (isMachine ? MACHINES_MIN : PEOPLE_MIN)) {
      rows.push({ kind: "fold", key: `${day} ${key}`, lines: those, isMachine });
    } else {
      for (const line of those) rows.push({ kind: "one", key: String(line.line.index), line });
    }
  }
  return rows.sort((a, b) => newest(b) - newest(a));
}

function likeness({ line, facts, organisation, sentence, reasons, problems, talk }: Shown): string {
  if (reasons.length > 0 || problems.length > 0 || talk) return `alone ${line.index}`;
  return facts.isMachine ? `machine ${organisation}` : `person ${organisation} ${sentence}`;
}

function newest(row: Row): number {
  return row.kind === "one" ? row.line.facts.atMs : Math.max(...row.lines.map(({ facts }) => facts.atMs));
}
