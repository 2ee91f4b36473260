// Where a record came from and where it went, as the server draws it, held against the lines of the trail that were checked on
// this device: the drawing alone is nobody's word.
import { isHex } from "../ledger/bytes";
import type { Hex } from "../ledger";
import { get, list, text } from "../reading/json";
import { ZERO } from "../session/report";
import type { Checked } from "../trail/line";

const WHATS = ["created", "changed", "deleted", "handedOver"] as const;
export type What = (typeof WHATS)[number];

const CONFIRMATIONS = ["oneSide", "bothSides", "waiting", "notConfirmed"] as const;
export type Confirmation = (typeof CONFIRMATIONS)[number];

export interface Holder {
  /** Its name, or what another side called it; null: nobody named it. */
  readonly name: string | null;
  readonly isPerson: boolean;
  readonly sinceMs: number;
  /** It has said itself that it holds it. */
  readonly isConfirmed: boolean;
}

export interface Step {
  readonly what: What;
  readonly atMs: number;
  readonly by: Holder;
  readonly to: Holder | null;
  /** Its lines in the trail, as checked here. */
  readonly lines: readonly Checked[];
  readonly confirmation: Confirmation;
  readonly isNotPermitted: boolean;
  /** Its lines are in the trail, and say what is drawn. */
  readonly isShown: boolean;
}

export interface Way {
  readonly holders: readonly Holder[];
  readonly steps: readonly Step[];
  /** Lines of the trail about this very record that the drawing leaves out. */
  readonly leftOut: readonly Checked[];
  readonly isWhole: boolean;
}

const [CHANGE, HAND_OVER] = [2, 3];
const [CREATE, UPDATE, DELETE] = [67, 85, 68];

function number(node: unknown, name: string): number | null {
  const found = get(node, name);
  return Number.isSafeInteger(found) && Number(found) >= 0 ? Number(found) : null;
}

/** Reads `medtrail/record-chain-v1`; null if it is none about this record. */
export function wayOf(value: unknown, record: Hex, lines: readonly Checked[]): Way | null {
  const chain = get(value, "chain");
  const isWhole = get(value, "isWhole");
  if (text(value, "version") !== "medtrail/record-chain-v1" || text(chain, "version") !== "medtrail/supply-chain-v1") return null;
  if (text(chain, "record")?.toLowerCase() !== record || typeof isWhole !== "boolean") return null;
  const sound = lines.filter(({ problems }) => problems.length === 0);
  const byCommitment = new Map(sound.map((line) => [line.commitment, line]));
  const told = list(chain, "steps").map((step) => stepOf(step, byCommitment));
  const persons = new Set(told.flatMap((step) => (step?.lines.some(isPersons) ? [step.by] : [])));
  const holders = list(chain, "holders").map((holder, place) => holderOf(holder, persons.has(place)));
  const steps = told.map((step): Step | null => {
    const [by, to] = [step && holders[step.by], step?.to == null ? null : holders[step.to]];
    if (step === null || !by || to === undefined) return null;
    return { ...step, by, to, isShown: step.isShown && isNamed(step.lines, by, to) };
  });
  if (holders.includes(null) || steps.includes(null)) return null;
  const drawn = new Set(told.flatMap((step) => step?.lines.map(({ commitment }) => commitment) ?? []));
  const leftOut = !isWhole ? [] : sound.filter(({ line, commitment }) =>
    line.report.record === record && [CHANGE, HAND_OVER].includes(line.report.kind) && !drawn.has(commitment));
  return { holders: holders as Holder[], steps: steps as Step[], leftOut, isWhole };
}

/** Signed by the very person it is about. */
const isPersons = ({ facts, signedBy }: Checked): boolean => facts.isSelf && signedBy !== null;

function holderOf(value: unknown, isPerson: boolean): Holder | null {
  const [sinceMs, isConfirmed] = [number(value, "sinceMs"), get(value, "isConfirmed")];
  if (sinceMs === null || typeof isConfirmed !== "boolean") return null;
  return { name: text(value, "name"), isPerson, sinceMs, isConfirmed };
}

type Told = Omit<Step, "by" | "to"> & { readonly by: number; readonly to: number | null };

function stepOf(value: unknown, lines: ReadonlyMap<string, Checked>): Told | null {
  const what = WHATS.find((one) => one === text(value, "what"));
  const confirmation = CONFIRMATIONS.find((one) => one === text(value, "confirmation"));
  const [atMs, by, to] = [number(value, "atMs"), number(value, "by"), number(value, "to")];
  if (what === undefined || confirmation === undefined || atMs === null || by === null) return null;
  const named = list(value, "lines").map((line) => text(line, "commitment")?.toLowerCase());
  if (!named.every((commitment) => isHex(commitment, 32))) return null;
  const found = named.flatMap((commitment) => lines.get(commitment ?? "") ?? []);
  const isThat = ({ line: { report } }: Checked): boolean => {
    if (what === "handedOver") return report.kind === HAND_OVER;
    const isOfVersions = report.fromVersion === text(value, "fromVersion") && report.toVersion === text(value, "toVersion");
    const isOther = report.action === CREATE || report.action === UPDATE;
    const isDeletion = report.action === DELETE || (!isOther && report.toVersion === ZERO && report.fromVersion !== ZERO);
    return report.kind === CHANGE && isOfVersions && (what === "deleted") === isDeletion;
  };
  // Two sides are two lines, never one that is counted twice.
  const isCounted = new Set(named).size === named.length && named.length === (confirmation === "bothSides" ? 2 : 1);
  return {
    what, atMs, by, to, lines: found, confirmation, isNotPermitted: number(value, "notPermitted") !== null,
    isShown: isCounted && found.length === named.length && found.every(isThat),
  };
}

/** Whoever's word a line is must be one of the two that are drawn. */
function isNamed(lines: readonly Checked[], by: Holder, to: Holder | null): boolean {
  return lines.every((line) => {
    const name = line.facts.organisation ?? null;
    return isPersons(line) ? by.isPerson : name === by.name || (to !== null && name === to.name);
  });
}
