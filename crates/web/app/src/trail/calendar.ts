import { addDays, dayOf, weekdayOf, type Day } from "./days";

export interface DayCount {
  readonly day: Day;
  readonly people: number;
  readonly machines: number;
}

export interface Square extends DayCount {
  /** Column from the left, and weekday from the top (Monday is 0). */
  readonly week: number;
  readonly weekday: number;
  /** 0 for none, 1 to 4 by how many people compared with the busiest day. */
  readonly level: number;
}

/** How many lines each day has; days without any are left out. Oldest first. */
export function countDays(lines: readonly { readonly atMs: number; readonly isMachine: boolean }[]): DayCount[] {
  const days = new Map<Day, { people: number; machines: number }>();
  for (const { atMs, isMachine } of lines) {
    const day = dayOf(atMs);
    const count = days.get(day) ?? { people: 0, machines: 0 };
    count[isMachine ? "machines" : "people"] += 1;
    days.set(day, count);
  }
  return [...days].map(([day, count]) => ({ day, ...count })).sort((a, b) => (a.day < b.day ? -1 : 1));
}

/** Whole weeks, the last of them with today. Machines count for nothing here: they would drown the people. */
export function squares(counts: readonly DayCount[], today: Day, weeks: number): Square[] {
  const byDay = new Map(counts.map((count) => [count.day, count]));
  const first = addDays(today, -weekdayOf(today) - 7 * (weeks - 1));
  const shown: Square[] = [];
  for (let day = first, index = 0; day <= today; day = addDays(day, 1), index += 1) {
    const { people = 0, machines = 0 } = byDay.get(day) ?? {};
    shown.push({ day, people, machines, week: Math.floor(index / 7), weekday: index % 7, level: 0 });
  }
  const most = Math.max(1, ...shown.map(({ people }) => people));
  return shown.map((square) => ({ ...square, level: Math.ceil((4 * square.people) / most) }));
}
