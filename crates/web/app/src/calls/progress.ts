// How far a call is, for a seller and for its buyer. Of money the chain has the last word; of files the service has the first.
import { settledBy } from "../permit/cohort";
import type { Cohort } from "../permit/sale";
import type { CallView, OwnAcceptance, OwnState } from "./api";
import type { CallStanding } from "./chain";

/**
 * What a seller is told of their own answer: as the service has it; once the chain shows the key whether they are in the file;
 * and that they ended it on the chain before that.
 */
export type Answer = OwnState | "bound" | "leftOut" | "revoked";

/** What the chain says of one acceptance; null: it was not asked. */
export interface OwnOnChain {
  readonly isPaid: boolean;
  readonly revokedAtS: number | null;
}

export interface Mine {
  readonly own: OwnAcceptance | null;
  readonly answer: Answer | null;
  readonly mayAccept: boolean;
  readonly mayTakeBack: boolean;
  /** Ending it on the chain would still change something. */
  readonly mayRevoke: boolean;
  readonly mayAskDeletion: boolean;
  /** The service says one thing about the money, and the chain another. */
  readonly isDisputed: boolean;
}

export function mineOf({ cohort, state, own: all }: CallView, chain: CallStanding | null, told: OwnOnChain | null, nowS: number): Mine {
  const own = all.at(-1) ?? null;
  const isBound = chain !== null && chain.settledAtS !== null;
  const isLiving = own?.state === "accepted" || own?.state === "delivered";
  const isOver = chain?.status === "closed";
  // Of the same second as the first settlement it counts as before it.
  const isRevoked = told !== null && told.revokedAtS !== null && (chain?.settledAtS == null || told.revokedAtS <= chain.settledAtS);
  const answer = (state: OwnState): Answer => {
    if (told?.isPaid === true) return "paid";
    if (isLiving && isRevoked) return "revoked";
    if (!isLiving || (!isBound && !isOver)) return state;
    if (isOver) return "ended";
    return state === "delivered" ? "bound" : "leftOut";
  };
  return {
    own, answer: own && answer(own.state),
    mayAccept: (own === null || own.state === "withdrawn") && state === "open" && !isBound && !isOver && nowS < cohort.deliverBy,
    mayTakeBack: isLiving && !isBound && !isOver,
    mayRevoke: (isLiving || own?.state === "withdrawn") && chain?.status === "open" && !isBound && !isRevoked,
    // Two addresses that were joined afterwards have a part each.
    mayAskDeletion: all.some(({ isShown, withdrawal }) => isShown && withdrawal === null),
    isDisputed: own?.state === "paid" && told?.isPaid === false,
  };
}

export interface Called {
  readonly settleUntilS: number;
  /** Whether the rest of the money can be taken back. */
  readonly mayClose: boolean;
  readonly mayDownload: boolean;
  /** Whether the chain shows the key. */
  readonly isShown: boolean;
}

export function calledOf(cohort: Cohort, view: CallView | null, chain: CallStanding | null, nowS: number): Called {
  const settleUntilS = settledBy(cohort);
  const isSealed = view?.delivery != null && ["ready", "settling", "settled"].includes(view.delivery.state) && view.delivery.file !== null && view.delivery.bytes !== null;
  return {
    settleUntilS, mayClose: chain?.status === "open" && (nowS > settleUntilS || chain.paid === cohort.places), mayDownload: isSealed,
    isShown: chain !== null && chain.settledAtS !== null,
  };
}
