// Whom somebody acts for, as this device knows them. No service lists them for anybody: their right stands in the other
// person's trail, and only who asks for that trail is told whether they may see it. A pseudonym has no name either; the one
// that is given here is kept here, and sent to nobody.
import { isHex } from "../ledger/bytes";
import type { Hex } from "../ledger";
import { clean } from "../reading/clean";

/** Somebody else: an address in 20 bytes, or, of a person without a key, the 32 bytes that an organisation knows them by. */
export interface Other {
  readonly of: Hex;
  /** Empty: none was given. */
  readonly name: string;
}

/** Beyond this the switch is no help to anybody. */
export const PEOPLE_MAX = 20;
const NAME_LETTERS_MAX = 40;

/** The id in what somebody pasted: alone, or in a link to this page. Null: there is none. */
export function idOf(text: string): Hex | null {
  const found = /^(?:\S*#\/trail\?of=)?(0x[0-9a-f]{40}|0x[0-9a-f]{64})$/.exec(text.trim().toLowerCase())?.[1] as Hex | undefined;
  if (found === undefined || BigInt(found) === 0n) return null;
  // An address in 32 bytes is the same person as in 20.
  return found.length === 66 && found.startsWith(`0x${"00".repeat(12)}`) ? `0x${found.slice(26)}` : found;
}

/** By what right somebody looks: only for a person without a key there are guardians. */
export function isGuarded(of: Hex): boolean {
  return of.length === 66;
}

export function nameFor(text: string): string {
  return clean(text, NAME_LETTERS_MAX);
}

export function placeFor(of: Hex): string {
  return `#/trail?of=${of}`;
}

/** Two people may share a device: what one keeps the other is not shown. */
const keyOf = (own: string) => `medtrail.people.${own.toLowerCase()}`;

export function kept(own: string): readonly Other[] {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(keyOf(own)) ?? "[]");
    return Array.isArray(found) ? found.slice(0, PEOPLE_MAX).flatMap(otherOf) : [];
  } catch {
    // No notes are kept here, or they are not ours.
    return [];
  }
}

function otherOf(value: unknown): Other[] {
  if (typeof value !== "object" || value === null) return [];
  const { of, name } = value as Record<string, unknown>;
  if (typeof of !== "string" || typeof name !== "string" || !(isHex(of, 20) || isHex(of, 32)) || idOf(of) !== of) return [];
  return [{ of, name: nameFor(name) }];
}

/** Keeps somebody, under another name if they are kept already. False: this device keeps no notes, or no more of them. */
export function keep(own: string, other: Other): boolean {
  const before = kept(own);
  const isKnown = before.some(({ of }) => of === other.of);
  if (!isKnown && before.length >= PEOPLE_MAX) return false;
  const named = { of: other.of, name: nameFor(other.name) };
  return write(own, isKnown ? before.map((one) => (one.of === other.of ? named : one)) : [...before, named]);
}

export function forget(own: string, of: Hex): void {
  write(own, kept(own).filter((one) => one.of !== of));
}

function write(own: string, people: readonly Other[]): boolean {
  try {
    if (people.length === 0) localStorage.removeItem(keyOf(own));
    else localStorage.setItem(keyOf(own), JSON.stringify(people));
    return true;
  } catch {
    return false;
  }
}
