// How long a person is asked whether an emergency change was right: the twin of clock.rs in crates/permit, which says why.
import { CHANGE } from "./candidate";
import { knownOf, Person } from "./person";
import { BREAK_GLASS } from "./purposes";
import type { Act, World } from "./world";

/** 30 days. */
export const CONFIRM_MS = 30 * 24 * 3_600_000;

/** Since when, and until when, somebody is asked; milliseconds since 1970. */
export interface Clock {
  readonly sinceMs: number;
  readonly untilMs: number;
}

/** The clock of an emergency change; null: it is none, or there was nobody yet who could be asked. */
export async function clock(act: Act, world: World): Promise<Clock | null> {
  if (act.report.kind !== CHANGE || !act.need.purposes.includes(BREAK_GLASS)) return null;
  const sinceMs = Person.of(act, world, await knownOf(world))?.askedSince(act.receivedMs) ?? null;
  return sinceMs === null ? null : { sinceMs, untilMs: sinceMs + CONFIRM_MS };
}
