import type { Facts } from "../reading";
import type { Line } from "../ledger";
import { isNight } from "./days";

export type Reason =
  | "refused" | "withoutPermission" | "emergency" | "noReason" | "sensitive" | "night" | "newActor" | "late" | "failed";

/** What a line needs to be judged by. */
export interface Judged {
  readonly facts: Pick<Facts, "who" | "isMachine" | "isSelf" | "purpose" | "emergency" | "sensitive" | "failed" | "refused" | "atMs">;
  readonly organisation: string;
  readonly kind: number;
  readonly hasPermission: boolean;
  readonly receivedMs: number;
}

const CHANGE = 2;
const REFUSAL = 8;
const USES: readonly number[] = [1, CHANGE, 3];
const LATE_MS = 24 * 3_600_000;
/** So many lines must stand before somebody new is worth a word: at the start everybody is new. */
const KNOWN_MIN = 10;

/**
 * Which changes nobody had permitted. A change names no permission where a standing one covers it, and whoever has none may
 * name any: the log judges each, and beside one that was not permitted stands a line that names it.
 */
export function refusedBy(lines: readonly { readonly line: Line }[]): ReadonlySet<string> {
  const refusals = lines.filter(({ line }) => line.report.kind === REFUSAL && line.evidence === "relayed");
  return new Set(refusals.map(({ line }) => line.report.permission));
}

/** Why each line deserves a look, in the order given, which must be oldest first. */
export function reasons(lines: readonly Judged[]): Reason[][] {
  const known = new Set<string>();
  return lines.map((line, index) => {
    const { facts, kind } = line;
    const found: Reason[] = [];
    if (facts.refused) found.push("refused");
    if (kind === CHANGE && !line.hasPermission && !facts.refused) found.push("withoutPermission");
    if (facts.emergency) found.push("emergency");
    if (facts.failed) found.push("failed");
    if (line.receivedMs - facts.atMs > LATE_MS) found.push("late");
    if (USES.includes(kind) && !facts.isMachine && !facts.isSelf) {
      if (!facts.purpose) found.push("noReason");
      if (facts.sensitive) found.push("sensitive");
      if (isNight(facts.atMs)) found.push("night");
      const who = `${line.organisation}\n${facts.who?.id ?? facts.who?.name ?? ""}`;
      if (!known.has(who) && index >= KNOWN_MIN) found.push("newActor");
      known.add(who);
    }
    return found;
  });
}
