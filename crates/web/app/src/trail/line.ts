import { t } from "../i18n";
import {
  aliasOf, bindingOf, checkLine, organisationOf, type AnchorState, type Binding, type Hex, type Line, type LineAnchor, type ListedOrganisation,
  type Problem, type TrustFile,
} from "../ledger";
import { factsOf, sentence, type Facts } from "../reading";
import { erasedBy, erasureOf, type Erased, type ErasureTold } from "./erasure";
import { subjectOf } from "./subject";

/** How far a line is on its way to the chain. News of the chain tell no root: a proof does. */
export interface Locking {
  readonly state: AnchorState;
  readonly anchor: Omit<LineAnchor, "root"> | null;
}

/** A line as the server gave it, and what this device found when it checked it. */
export interface Checked extends Locking {
  readonly line: Line;
  readonly facts: Facts;
  readonly sentence: string;
  readonly commitment: string;
  readonly signedBy: string | null;
  readonly problems: readonly Problem[];
  /** What it binds or joins, if both keys signed that. */
  readonly binds: Binding | null;
  /** What it says was erased, if the person signed that. */
  readonly erases?: Erased | null;
  /** What it says of an erasure. */
  readonly erasure?: ErasureTold | null;
  /** The organisation that reported, or whose word was passed on. */
  readonly organisation: string;
}

/** The line's number in its trail; 0 if the server did not say. */
export function ordinalOf({ place }: Line): number {
  return "open" in place ? place.open.ordinal : 0;
}

export function receivedOf({ place, report }: Line): number {
  return "open" in place ? place.open.receivedMs : report.timeMs;
}

export async function check(line: Line, trust: TrustFile, listed: readonly ListedOrganisation[]): Promise<Checked> {
  // By its key, or, where the operator passes on the word of one without a key, by its id.
  const nameOf = (address: Hex) =>
    organisationOf(trust, address, line.report.timeMs)?.name ?? listed.find(({ id }) => id === address)?.name ?? null;
  const facts = factsOf(line, nameOf);
  const { commitment, signedBy, problems } = await checkLine(line, trust);
  return {
    line, state: line.state, anchor: line.anchor, facts, commitment, signedBy, problems, binds: await bindingOf(line, trust) ?? await aliasOf(line, trust),
    erases: await erasedBy(line, trust), erasure: await erasureOf(line, trust), sentence: sentence(facts),
    organisation: facts.organisation ?? t(signedBy !== null && subjectOf(signedBy) === line.report.subject ? "line.you" : "line.unknownOrganisation"),
  };
}
