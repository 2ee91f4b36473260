import { addressIn, checkPart, type Hex, type TrailPart } from "../ledger";
import { ordinalOf, type Checked } from "./line";

/** What this device found about the whole trail: the sum over its parts. */
export interface Health {
  readonly isSound: boolean;
  readonly count: number;
  /** Numbers that should be there and are not, with the organisation whose part it is (null: your own). */
  readonly missing: readonly { readonly organisation: string | null; readonly number: number }[];
  readonly broken: readonly { readonly organisation: string | null; readonly number: number }[];
  /** Indexes of lines whose content, number or signature is not what it should be. */
  readonly wrong: readonly number[];
  /** Indexes of lines about an id that is neither this person nor one that they and an organisation connected. */
  readonly foreign: readonly number[];
  /** Keys of organisations whose lines this person connected, and which are left out altogether. */
  readonly absent: readonly Hex[];
  /** Addresses that this person sells under and joined, and whose lines are left out. */
  readonly absentAliases: readonly Hex[];
}

/**
 * Which parts there must be is not what the server says: the person's own id, and each pseudonym that a line in this trail
 * shows to be theirs by both signatures, or other address of theirs.
 */
export function healthOf(own: Hex, parts: readonly TrailPart[], lines: readonly Checked[]): Health {
  const missing: Health["missing"][number][] = [];
  const broken: Health["broken"][number][] = [];
  let [count, areComplete] = [0, true];
  for (const part of parts) {
    const ofPart = lines.filter(({ line }) => line.report.subject.toLowerCase() === part.subject.toLowerCase());
    const erased = lines.map(({ erases }) => erases?.get(part.subject.toLowerCase()) ?? 0);
    const found = checkPart(part, ofPart.map(({ line }) => line), Math.max(0, ...erased));
    count += found.count;
    areComplete &&= found.complete;
    missing.push(...found.missing.map((number) => ({ organisation: part.organisation, number })));
    broken.push(...found.broken.map((number) => ({ organisation: part.organisation, number })));
  }
  const bound = new Map<string, Hex>();
  for (const { binds } of lines) {
    if (binds && own === `0x${binds.subject.slice(2).padStart(64, "0")}`) bound.set(binds.pseudonym, binds.custodian);
  }
  const subjects = new Set(parts.map(({ subject }) => subject.toLowerCase()));
  const isMine = (subject: string) => subjects.has(subject) && (subject === own || bound.has(subject));
  const isAlias = ([pseudonym]: readonly [string, Hex]) => addressIn(pseudonym) !== null;
  const left = [...bound].filter(([pseudonym]) => !subjects.has(pseudonym));
  const absent = left.filter((one) => !isAlias(one)).map(([, custodian]) => custodian);
  const absentAliases = left.filter(isAlias).map(([, alias]) => alias);
  const indexes = (those: readonly Checked[]) => those.map(({ line }) => line.index);
  const wrong = indexes(lines.filter(({ problems }) => problems.length > 0));
  const foreign = indexes(lines.filter(({ line }) => !isMine(line.report.subject.toLowerCase())));
  const isSound = areComplete && subjects.has(own) && wrong.length + foreign.length + left.length === 0;
  return { isSound, count, missing, broken, wrong, foreign, absent, absentAliases };
}

/** Whether the server may only be behind: then it is asked once more before anybody is alarmed. */
export function mayBeLate({ missing, foreign, absent, absentAliases }: Health): boolean {
  return missing.length + foreign.length + absent.length + absentAliases.length > 0;
}

/** The parts as they must stand once this line is there: a line that came live is ahead of what the server said of them. */
export function withLine(parts: readonly TrailPart[], { line, commitment }: Checked): readonly TrailPart[] {
  const ordinal = ordinalOf(line);
  return parts.map((part) =>
    part.subject.toLowerCase() === line.report.subject.toLowerCase() && ordinal > part.lines
      ? { ...part, lines: ordinal, last: commitment as `0x${string}` }
      : part);
}
