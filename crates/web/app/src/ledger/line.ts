// What this device checks of the lines it is handed, before a person reads them.
import { verifyEvidence, commitmentOf, documentHash, EvidenceError } from "./entry";
import { isOperator, operatorSpeaks, organisationOf } from "./trust";
import type { Hex, Line, Report, ShownPlace, TrailPart, TrustFile } from "./types";

/**
 * What is wrong with a line:
 * - `malformed`: a field is not of its type, nothing else was checked
 * - `otherLog`: it was reported to another log
 * - `details`: the details document is not the one that was reported
 * - `signature`: the signature is not its actor's
 * - `stranger`: signed by somebody the trust file does not name at that time, and not by the person it is about
 * - `relayedByStranger`: nobody signed, and the actor is no operator
 */
export type Problem = "malformed" | "otherLog" | "details" | "signature" | "stranger" | "relayedByStranger";

export interface CheckedLine {
  /** All zero if the line is malformed. */
  commitment: Hex;
  /** The actor, if its signature was found right. */
  signedBy: Hex | null;
  problems: Problem[];
}

const NONE: Hex = `0x${"0".repeat(64)}`;

/** Null if a field is not of its type: the server is not believed to hand out what it says it does. */
function tryCommitment(report: Report, place: ShownPlace): Hex | null {
  try {
    return commitmentOf(report, place);
  } catch {
    return null;
  }
}

/** Recomputes a line's commitment, its details' hash and its signature. */
export async function checkLine(line: Line, trust: TrustFile): Promise<CheckedLine> {
  const { report, place, details, evidence } = line;
  const commitment = tryCommitment(report, place);
  if (commitment === null) return { commitment: NONE, signedBy: null, problems: ["malformed"] };
  const problems: Problem[] = [];
  if (report.log !== trust.log) problems.push("otherLog");
  if (details !== null && documentHash(details) !== report.details) problems.push("details");
  let isSigned: boolean;
  try {
    isSigned = await verifyEvidence(evidence, report, trust);
  } catch (error) {
    if (!(error instanceof EvidenceError || error instanceof TypeError)) throw error;
    return { commitment, signedBy: null, problems: [...problems, "signature"] };
  }
  if (!isSigned) {
    if (!isOperator(trust, report.actor)) problems.push("relayedByStranger");
    return { commitment, signedBy: null, problems };
  }
  // What a person signed about themself is their own word: no trust file names people.
  const isOwn = report.subject === `0x${report.actor.slice(2).padStart(64, "0")}`;
  const isNamed = isOwn || organisationOf(trust, report.actor, report.timeMs) !== null
    || operatorSpeaks(trust, report.actor, report.timeMs);
  if (!isNamed) problems.push("stranger");
  return { commitment, signedBy: report.actor, problems };
}

/** Numbers of lines that are listed as missing at most: a count that the server invents must not fill the memory. */
const MISSING_MAX = 1_000;

export interface CheckedPart {
  /** Every line from 1 to the newest is here, each names the one before, and the newest is the one told. */
  complete: boolean;
  /** Different lines of the part that are here. */
  count: number;
  /** Their numbers that are not here, lowest first, at most 1,000. */
  missing: number[];
  /**
   * Numbers of lines that do not follow the one before, stand twice, or are not where the server's count ends; 0 for
   * one that does not say where it stands.
   */
  broken: number[];
}

/**
 * Checks that lines make up a part of a trail: numbers 1 to n, each naming the one before, the newest as told. Those up to
 * `erasedThrough` were erased as the person asked, which the caller has checked: they need not be there.
 */
export function checkPart(part: TrailPart, lines: readonly Line[], erasedThrough = 0): CheckedPart {
  const broken = new Set<number>();
  const placed = new Map<number, { previous: Hex; commitment: Hex }>();
  for (const { report, place } of lines) {
    if (report.subject !== part.subject) continue;
    const commitment = tryCommitment(report, place);
    // A line whose place is hidden from its person, or that is malformed, says nothing of where it stands.
    if (!("open" in place) || commitment === null) {
      broken.add(0);
      continue;
    }
    const { ordinal, previous } = place.open;
    const known = placed.get(ordinal);
    if (known !== undefined && known.commitment !== commitment) broken.add(ordinal);
    if (ordinal < 1 || ordinal > part.lines) broken.add(ordinal);
    placed.set(ordinal, { previous, commitment });
  }
  for (const [ordinal, { previous }] of placed) {
    const before = ordinal === 1 ? NONE : placed.get(ordinal - 1)?.commitment;
    if (before !== undefined && previous !== before) broken.add(ordinal);
  }
  const newest = placed.get(part.lines);
  // What the newest line was nobody can show any more, if it was erased.
  const isErased = newest === undefined && part.lines <= erasedThrough;
  const isLast = part.lines === 0 ? part.last === null : isErased || newest?.commitment === part.last;
  if (newest !== undefined && !isLast) broken.add(part.lines);
  const missing: number[] = [];
  for (let ordinal = erasedThrough + 1; ordinal <= part.lines && missing.length < MISSING_MAX; ordinal += 1) {
    if (!placed.has(ordinal)) missing.push(ordinal);
  }
  const complete = missing.length === 0 && broken.size === 0 && isLast;
  return { complete, count: placed.size, missing, broken: [...broken].sort((left, right) => left - right) };
}
