// Who may speak for a person, and since when, as in crates/permit (person.rs).
import type { Hex } from "../ledger/types";
import {
  documentId, named, problemOf, signerOf, type Delegation, type Document, type Guardianship,
} from "./documents";
import type { Act, Pseudonym, Refusal, World } from "./world";

/** A document with what was computed of it once. */
export interface Known {
  id: Hex;
  document: Document;
  receivedMs: number | null;
  signer: Hex | null | "invalid";
  countersigner: Hex | null | "invalid";
  /** See [`problemOf`]. */
  problem: string | null;
}

/** How somebody spoke: by a signature off chain, or through the registry under this name. */
export interface Hand {
  by: "key" | "registry";
  who: Hex;
}

/** What somebody said, and when. */
export interface Said {
  hand: Hand;
  atMs: number;
}

/** Somebody who acts for a person. */
interface Representative {
  known: Known;
  who: Hex;
  rights: string[];
  delegation: Delegation | null;
  guardianship: Guardianship | null;
}

export async function knownOf({ documents, registries }: World): Promise<Known[]> {
  return Promise.all(documents.map(async ({ signed: { document, signature, countersignature }, receivedMs }) => {
    const id = documentId(document, registries);
    const [signer, countersigner] = await Promise.all([signerOf(id, signature), signerOf(id, countersignature)]);
    return { id, document, receivedMs, signer, countersigner, problem: problemOf(document) };
  }));
}

/** Who signed a document, where the log has a line that says since when. */
export function recorded({ signer, receivedMs }: Known): Said[] {
  if (signer === null || signer === "invalid" || receivedMs === null) return [];
  return [{ hand: { by: "key", who: signer }, atMs: receivedMs }];
}

const isAddress = (subject: Hex): boolean => subject.startsWith(`0x${"0".repeat(24)}`);

export class Person {
  private constructor(
    private readonly world: World,
    private readonly known: readonly Known[],
    /** Their address; null: they have none. */
    readonly address: Hex | null,
    private readonly pseudonym: Pseudonym | null,
  ) {}

  /** Whom an act is about; null: nobody. */
  static of({ report: { subject } }: Act, world: World, known: readonly Known[]): Person | null {
    if (/^0x0*$/.test(subject)) return null;
    if (isAddress(subject)) return new Person(world, known, named(subject), null);
    const pseudonym = world.pseudonyms.find((kept) => kept.pseudonym === subject) ?? null;
    return new Person(world, known, pseudonym?.bound?.subject ?? null, pseudonym);
  }

  /** By which addresses documents name them. */
  get names(): Hex[] {
    const pseudonym = this.pseudonym === null ? null : named(this.pseudonym.pseudonym);
    return [this.address, pseudonym].filter((name) => name !== null);
  }

  /** Whether they could be asked at a time: an address always, a pseudonym once it is bound. */
  hadKey(timeMs: number): boolean {
    if (this.pseudonym === null) return this.address !== null;
    return this.pseudonym.bound !== null && this.pseudonym.bound.receivedMs <= timeMs;
  }

  /** From when on, not before a time, there was somebody to ask: the person, once they had a key, or a guardian who may permit; null: nobody yet. */
  askedSince(timeMs: number): number | null {
    const withKey = this.pseudonym === null ? (this.address === null ? [] : [timeMs])
      : this.pseudonym.bound === null ? [] : [Math.max(this.pseudonym.bound.receivedMs, timeMs)];
    const all = this.names.flatMap((name) => this.representatives(name));
    const byGuardian = all.flatMap((one) => {
      if (one.guardianship === null || !one.rights.includes("PERMIT")) return [];
      const since = recorded(one.known).map(({ atMs }) => Math.max(atMs, timeMs));
      return since.filter((sinceMs) => this.stands(one, sinceMs));
    });
    const since = [...withKey, ...byGuardian];
    return since.length === 0 ? null : Math.min(...since);
  }

  /** Why this hand could not give at one time what still stands, as far as the right goes, at another; null: it could. */
  stopped(subject: Hex, { hand, atMs }: Said, timeMs: number): Refusal | null {
    if (this.isFrozen(subject, atMs)) return "frozen";
    return this.speaks(subject, hand, [atMs, timeMs]);
  }

  private speaks(subject: Hex, hand: Hand, [first, ...more]: readonly [number, ...number[]]): Refusal | null {
    const refusal = this.controls(subject, hand, first);
    if (refusal === null) return null;
    const representatives = this.representatives(subject).filter(({ who }) => who === hand.who);
    const may = (one: Representative) =>
      one.rights.includes("PERMIT") && [first, ...more].every((timeMs) => this.stands(one, timeMs));
    if (representatives.some(may)) return null;
    return representatives.length > 0 ? "noRight" : refusal;
  }

  /** Why this hand is not the person's own; null: it is. */
  private controls(subject: Hex, { by, who }: Hand, timeMs: number): Refusal | null {
    if (this.address !== subject) return "notTheController";
    if (by === "registry") return who === subject ? null : "notTheController";
    return this.lacksControl(subject, who, timeMs);
  }

  /** Why a key is not the person's at a time; null: it is. */
  lacksControl(subject: Hex, key: Hex, timeMs: number): Refusal | null {
    const moves = this.world.chain.controllers
      .filter((move) => move.subject === subject && move.atS * 1000 <= timeMs)
      .sort((one, other) => one.atS - other.atS);
    const newest = moves.at(-1);
    if (key === (newest?.controller ?? subject)) return newest?.isFinal === false ? "notFinal" : null;
    return key === subject || moves.some(({ controller }) => controller === key) ? "controlMoved" : "notTheController";
  }

  isFrozen(subject: Hex, timeMs: number): boolean {
    return this.world.chain.freezes.some((freeze) => freeze.subject === subject && freeze.fromS * 1000 <= timeMs
      && (freeze.untilS === null || timeMs < freeze.untilS * 1000));
  }

  /** Whether what was given for an epoch was of the epoch of that time, and none ended since. */
  isOfLivingEpoch(subject: Hex, epoch: number, givenMs: number, timeMs: number): boolean {
    // What the chain ends it ends by time: it knows nothing of a RevokeAll that nobody carried there.
    const hasEnded = this.epochStarts(subject).some(({ atMs }) => givenMs < atMs && atMs <= timeMs);
    return !hasEnded && this.epoch(subject, givenMs) === epoch && this.epoch(subject, timeMs) === epoch;
  }

  /** Whether no epoch of a subject ended between two times. */
  isOfOneEpoch(subject: Hex, fromMs: number, untilMs: number): boolean {
    const hasEnded = this.epochStarts(subject).some(({ atMs }) => fromMs < atMs && atMs <= untilMs);
    return !hasEnded && this.epoch(subject, fromMs) === this.epoch(subject, untilMs);
  }

  private epochStarts(subject: Hex): { atMs: number; epoch: number }[] {
    const starts = this.world.chain.epochs.filter((start) => start.subject === subject && start.epoch > 0);
    return starts.map(({ atS, epoch }) => ({ atMs: atS * 1000, epoch }));
  }

  private epoch(subject: Hex, timeMs: number): number {
    const started = this.epochStarts(subject).filter(({ atMs }) => atMs <= timeMs).map(({ epoch }) => epoch);
    const after = this.known.flatMap((known) => {
      if (!("revokeAll" in known.document) || known.problem !== null) return [];
      const { subject: about, epoch } = known.document.revokeAll;
      const counts = recorded(known).some(({ hand, atMs }) =>
        about === subject && atMs <= timeMs && this.mayEndEpoch(subject, hand, atMs));
      return counts ? [epoch + 1] : [];
    });
    return Math.max(0, ...started, ...after);
  }

  /** The person, or a guardian, whose right is of no epoch itself. */
  private mayEndEpoch(subject: Hex, hand: Hand, timeMs: number): boolean {
    return this.controls(subject, hand, timeMs) === null || this.representatives(subject).some((one) =>
      one.guardianship !== null && hand.by === "key" && hand.who === one.who && one.rights.includes("PERMIT")
      && this.stands(one, timeMs));
  }

  /** Whether a document of this id was taken back by somebody who could, until a time. */
  isRevoked(id: Hex, subject: Hex, timeMs: number): boolean {
    return this.takesBack(id, timeMs, ({ hand, atMs }) => this.speaks(subject, hand, [atMs]) === null);
  }

  /** Whether somebody who speaks for them said no to an entry, at any time. */
  isContested(commitment: Hex): boolean {
    return this.takesBack(commitment, Infinity, ({ hand, atMs }) =>
      this.names.some((name) => this.speaks(name, hand, [atMs]) === null));
  }

  private takesBack(id: Hex, timeMs: number, may: (said: Said) => boolean): boolean {
    const signed = this.known.flatMap((known) => {
      if (!("revoke" in known.document)) return [];
      const { subject, permission } = known.document.revoke;
      return permission === id && this.names.includes(subject) ? recorded(known) : [];
    });
    const onChain = this.world.chain.standings.flatMap((standing): Said[] => {
      if (standing.id !== id || standing.revokedS === null) return [];
      return [{ hand: { by: "registry", who: standing.subject }, atMs: standing.revokedS * 1000 }];
    });
    return [...signed, ...onChain].some((said) => said.atMs <= timeMs && may(said));
  }

  /** Everybody who was ever said to act for a subject. */
  representatives(subject: Hex): Representative[] {
    return this.known.flatMap((known): Representative[] => {
      const { document } = known;
      if ("delegation" in document && document.delegation.subject === subject) {
        const { delegate: who, rights } = document.delegation;
        return [{ known, who, rights: rights.split(" "), delegation: document.delegation, guardianship: null }];
      }
      if ("guardianship" in document && named(document.guardianship.subject) === subject) {
        const { guardian: who, rights } = document.guardianship;
        return [{ known, who, rights: rights.split(" "), delegation: null, guardianship: document.guardianship }];
      }
      return [];
    });
  }

  /** Whether somebody acts for the person at a time. */
  stands({ known, delegation, guardianship }: Representative, timeMs: number): boolean {
    if (known.problem !== null) return false;
    if (delegation !== null) return this.delegates(known, delegation, timeMs);
    return guardianship !== null && this.guards(known, guardianship, timeMs);
  }

  /** Only the person delegates: a delegate who could would outlive their dismissal. */
  private delegates(known: Known, { subject, delegate, epoch, expiresAt }: Delegation, timeMs: number): boolean {
    const onChain = this.world.chain.standings.flatMap((standing): Said[] => {
      if (standing.id !== known.id || standing.subject !== subject || standing.granted?.isFinal !== true) return [];
      return [{ hand: { by: "registry", who: subject }, atMs: standing.granted.atS * 1000 }];
    });
    const isGiven = ({ hand, atMs }: Said) => atMs <= timeMs && this.controls(subject, hand, atMs) === null
      && !this.isFrozen(subject, atMs) && this.isOfLivingEpoch(subject, epoch, atMs, timeMs);
    return [...recorded(known), ...onChain].some(isGiven) && timeMs < expiresAt * 1000
      && !this.takesBack(known.id, timeMs, ({ hand, atMs }) =>
        this.controls(subject, hand, atMs) === null || hand.who === delegate);
  }

  /** By the word of the organisation that keeps the pseudonym, while nobody else speaks for it. */
  private guards(known: Known, { subject, guardian, custodian, expiresAt }: Guardianship, timeMs: number): boolean {
    if (this.pseudonym?.pseudonym !== subject) return false;
    const { keepers } = this.pseudonym;
    const isSigned = recorded(known).some(({ hand, atMs }) => hand.who === guardian && atMs <= timeMs);
    return isSigned && known.countersigner === custodian && keepers.includes(custodian) && !this.hadKey(timeMs)
      && timeMs < expiresAt * 1000
      && !this.takesBack(known.id, timeMs, ({ hand }) => keepers.includes(hand.who) || hand.who === guardian)
      && !(this.world.ends ?? []).some((end) =>
        end.guardianship === known.id && end.receivedMs <= timeMs && keepers.includes(end.by));
  }
}
