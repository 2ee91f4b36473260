// One grant or approval, judged against one act, as in crates/permit (candidate.rs).
import type { Hex } from "../ledger/types";
import { subjectOf, type ChangeApproval, type Document, type Grant } from "./documents";
import { recorded, type Known, type Person, type Said } from "./person";
import { parsePurposes, purposeCovers } from "./purposes";
import { isMarked, parseScopes, scopeAllows, type Data, type Scope } from "./scopes";
import { further, type Act, type Need, type Refusal, type World } from "./world";

export const CHANGE = 2;

/** How far a report may lie behind what it reports before its permission must stand at both times. */
export const DELAY_MS_MAX = 5 * 60_000;

interface Gift extends Said {
  isFinal: boolean;
}

/** The times at which a permission must stand. A clock that runs ahead is taken as now. */
export function momentsOf({ report: { timeMs }, receivedMs, inVault }: Act): number[] {
  if (inVault) return [receivedMs];
  const happened = Math.min(timeMs, receivedMs);
  return receivedMs - happened > DELAY_MS_MAX ? [happened, receivedMs] : [happened];
}

export class Candidate {
  private constructor(
    readonly id: Hex,
    private readonly document: Document,
    private readonly grant: Grant | null,
    private readonly approval: ChangeApproval | null,
    private readonly shown: readonly Known[],
  ) {}

  /** The permission of an id, or why there is none. */
  static find(id: Hex, known: readonly Known[]): Candidate | Refusal {
    const shown = known.filter((one) => one.id === id);
    const [first] = shown;
    if (first === undefined) return "unknownDocument";
    const { document } = first;
    if ("grant" in document) return new Candidate(id, document, document.grant, null, shown);
    if ("changeApproval" in document) return new Candidate(id, document, null, document.changeApproval, shown);
    return "notAPermission";
  }

  get isApproval(): boolean {
    return this.approval !== null;
  }

  /** Why it does not permit an act that needs these interactions; null: it does. */
  refuses(act: Act, interactions: string, person: Person, world: World): Refusal | null {
    const uncovered = this.misses(act, interactions, person);
    if (uncovered !== null) return uncovered;
    const isBroken = this.shown.some(({ signer }) => signer === "invalid");
    let furthest: Refusal = isBroken ? "invalidSignature" : "notSigned";
    for (const gift of this.gifts(world)) {
      const refusal = momentsOf(act).map((moment) => this.fell(gift, moment, person)).find((found) => found !== null);
      if (refusal === undefined) return this.isUsed(act, world) ? "used" : null;
      furthest = further(furthest, refusal);
    }
    return furthest;
  }

  /**
   * Whether it approves the change that an act made, if need be afterwards. One that was given before must
   * still have stood: what ended by then confirms nothing.
   */
  confirms(act: Act, person: Person, world: World): boolean {
    const stood = (gift: Gift) =>
      momentsOf(act).every((moment) => this.fell(gift, Math.max(moment, gift.atMs), person) === null);
    return this.isApproval && this.misses(act, "", person) === null && !this.isUsed(act, world)
      && this.gifts(world).some(stood);
  }

  /** Why it is not about this act, whatever the time; null: it is. */
  misses(act: Act, interactions: string, person: Person): Refusal | null {
    const problem = this.shown[0]?.problem ?? null;
    if (problem !== null) return problem === "statement" ? "invalidStatement" : "invalidDocument";
    if (!person.names.includes(subjectOf(this.document))) return "wrongSubject";
    const party = this.grant?.grantee ?? this.approval?.custodian;
    if (party === undefined || !act.party.includes(party)) return "wrongGrantee";
    if (this.grant !== null) return misuse(this.grant, act, interactions);
    return this.approval === null ? null : otherChange(this.approval, act);
  }

  private gifts(world: World): Gift[] {
    const signed = this.shown.flatMap(recorded).map((said) => ({ ...said, isFinal: true }));
    const onChain = world.chain.standings.flatMap(({ id, subject, granted }): Gift[] => {
      if (id !== this.id || granted === null) return [];
      return [{ hand: { by: "registry", who: subject }, atMs: granted.atS * 1000, isFinal: granted.isFinal }];
    });
    return [...signed, ...onChain];
  }

  /** Why it did not stand at a moment, given so; null: it did. */
  private fell(gift: Gift, moment: number, person: Person): Refusal | null {
    const subject = subjectOf(this.document);
    const { epoch, expiresAt } = (this.grant ?? this.approval) as Grant | ChangeApproval;
    const stopped = person.stopped(subject, gift, Math.max(moment, gift.atMs));
    if (stopped !== null) return stopped;
    if (!gift.isFinal) return "notFinal";
    if (gift.atMs > moment) return "notYetGiven";
    if (person.isRevoked(this.id, subject, moment)) return "revoked";
    if (!person.isOfLivingEpoch(subject, epoch, gift.atMs, moment)) return "wrongEpoch";
    return moment >= expiresAt * 1000 ? "expired" : null;
  }

  private isUsed({ index }: Act, { uses }: World): boolean {
    return this.isApproval && uses.some((use) => use.approval === this.id && use.index !== index);
  }
}

function otherChange({ record, fromVersion, toVersion }: ChangeApproval, { report }: Act): Refusal | null {
  if (report.kind !== CHANGE) return "notAChange";
  if (record !== report.record) return "wrongRecord";
  return fromVersion === report.fromVersion && toVersion === report.toVersion ? null : "wrongVersions";
}

const UNKNOWN: Data = { resource: null, confidentiality: null, topics: [], parameters: [] };

function misuse(grant: Grant, { need }: Act, interactions: string): Refusal | null {
  const [scopes, codes] = [parseScopes(grant.scopes), parsePurposes(grant.purposes)];
  if (scopes === null || codes === null) return "invalidDocument";
  return refusesData(scopes, need, interactions) ?? refusesPurposes(codes, need);
}

/** Why these scopes do not allow it with all data that it needs; untold data are of an unknown type. */
export function refusesData(scopes: readonly Scope[], need: Need, interactions: string): Refusal | null {
  const allows = (letter: string, data: Data) => scopes.some((scope) => scopeAllows(scope, letter, data));
  for (const data of need.data.length === 0 ? [UNKNOWN] : need.data) {
    for (const letter of interactions) {
      if (allows(letter, data)) continue;
      const isMarkMissing = isMarked(data) && allows(letter, { ...data, confidentiality: null, topics: [] });
      return isMarkMissing ? "markNotNamed" : "wrongScope";
    }
  }
  return null;
}

/** Why these purposes do not cover all that were told. */
export function refusesPurposes(codes: readonly string[], need: Need): Refusal | null {
  if (need.purposes.length === 0) return "noPurpose";
  const isFor = (asked: string) => codes.some((granted) => purposeCovers(granted, asked));
  return need.purposes.every(isFor) ? null : "wrongPurpose";
}
