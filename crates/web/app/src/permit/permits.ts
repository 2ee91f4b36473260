// Whether an act was permitted: the twin of `permits` in crates/permit, which says why each rule is as it is, written anew
// so that the page believes no server. tests/vectors/permits.json holds both to the same answers.
import type { Hex } from "../ledger/types";
import { Candidate, CHANGE, DELAY_MS_MAX, momentsOf } from "./candidate";
import { knownOf, Person, type Known } from "./person";
import { BREAK_GLASS } from "./purposes";
import { refusedBySale } from "./sold";
import { REFUSALS, type Act, type Basis, type Refusal, type Verdict, type World } from "./world";

const ACCESS = 1;
const HAND_OVER = 3;

/** Whether an act counts as permitted, and why. */
export async function permits(act: Act, world: World): Promise<Verdict> {
  const refuse = (reason: Refusal): Verdict => ({ verdict: "doesNotCount", reason, document: null });
  if (![ACCESS, CHANGE, HAND_OVER].includes(act.report.kind)) return refuse("kind");
  if (act.report.timeMs > act.receivedMs + DELAY_MS_MAX) return refuse("ahead");
  const known = await knownOf(world);
  const person = Person.of(act, world, known);
  if (person === null) return refuse("noSubject");
  const interactions = interactionsOf(act);
  if (interactions === null) return refuse("contradiction");
  const own = ownAct(act, person);
  if (own !== null) return own;
  const judge = (id: Hex): Judged => {
    const found = Candidate.find(id, known);
    const bySale = found === "unknownDocument" ? refusedBySale(id, act, interactions, person, world) : undefined;
    if (bySale !== undefined) return bySale === null ? { basis: "sale", id } : { refusal: bySale, id };
    const refusal = typeof found === "string" ? found : found.refuses(act, interactions, person, world);
    if (refusal !== null || typeof found === "string") return { refusal: refusal ?? "unknownDocument", id };
    return { basis: found.isApproval ? "approval" : "grant", id };
  };
  const { permission } = act.report;
  const judged = isZero(permission) ? anyGrant(act, person, known, judge) : judge(permission);
  if ("basis" in judged) return { verdict: "counts", reason: judged.basis, document: judged.id };
  return pending(act, person, world, known, judged);
}

type Refused = { refusal: Refusal; id: Hex | null };
type Judged = { basis: Basis; id: Hex } | Refused;

const isZero = (hex: Hex): boolean => /^0x0*$/.test(hex);

/** Which interactions a permission must allow; null where the report contradicts itself. */
function interactionsOf({ report: { kind, action, fromVersion, toVersion }, need }: Act): string | null {
  const letter = action === 0 ? "" : String.fromCharCode(action);
  if (kind === HAND_OVER) return "r";
  if (kind === ACCESS) {
    const looks: Record<string, string> = { R: need.isSearch ? "s" : "r", E: "s", "": "rs" };
    return looks[letter] ?? null;
  }
  // What a change did is told twice, and each counts: an overwriting may call itself an addition.
  const changes: Record<string, string> = { C: "c", U: "u", D: "d", E: "cud", "": "cud" };
  const [hasFrom, hasTo] = [!isZero(fromVersion), !isZero(toVersion)];
  const byVersions = hasFrom ? (hasTo ? "u" : "d") : hasTo ? "c" : "";
  const byAction = changes[letter];
  return byAction === undefined ? null : [..."crud"].filter((one) => (byAction + byVersions).includes(one)).join("");
}

function ownAct(act: Act, person: Person): Verdict | null {
  const { signer } = act;
  if (signer === null) return null;
  const isLook = act.report.kind === ACCESS;
  const { address } = person;
  if (address !== null && person.lacksControl(address, signer, act.receivedMs) === null) {
    // A freeze stops what a stolen key could do, and never looking.
    const isStopped = !isLook && person.isFrozen(address, act.receivedMs);
    return isStopped
      ? { verdict: "doesNotCount", reason: "frozen", document: null }
      : { verdict: "counts", reason: "own", document: null };
  }
  const sees = isLook && person.names.flatMap((name) => person.representatives(name)).find((one) =>
    one.who === signer && one.rights.includes("SEE") && momentsOf(act).every((moment) => person.stands(one, moment)));
  return sees ? { verdict: "counts", reason: "representative", document: sees.known.id } : null;
}

const ordered = (ids: readonly Hex[]): Hex[] => [...new Set(ids)].sort();

/** Any grant about this person to who did it; of several that count, the lowest id is told. */
function anyGrant(act: Act, person: Person, known: readonly Known[], judge: (id: Hex) => Judged): Judged {
  const grants = known.filter(({ document }) =>
    "grant" in document && person.names.includes(document.grant.subject) && act.party.includes(document.grant.grantee));
  let nearest: Refused = { refusal: "noPermission", id: null };
  for (const id of ordered(grants.map((one) => one.id))) {
    const judged = judge(id);
    if ("basis" in judged) return judged;
    if (REFUSALS.indexOf(judged.refusal) > REFUSALS.indexOf(nearest.refusal)) nearest = judged;
  }
  return nearest;
}

/** What nothing permits, and perhaps could not be permitted. */
function pending(act: Act, person: Person, world: World, known: readonly Known[], { refusal, id }: Refused): Verdict {
  const isEmergency = act.need.purposes.includes(BREAK_GLASS);
  const refuse = (reason: Refusal): Verdict => ({ verdict: "doesNotCount", reason, document: id });
  if (person.hadKey(act.receivedMs) && !isEmergency) return refuse(refusal);
  if (person.isContested(act.commitment)) return refuse("contested");
  const confirming = ordered(known.map((one) => one.id)).find((one) => {
    const found = Candidate.find(one, known);
    return typeof found !== "string" && found.confirms(act, person, world);
  });
  if (confirming !== undefined) return { verdict: "counts", reason: "confirmed", document: confirming };
  // Somebody who acts for them was asked, and took it back.
  if (!isEmergency && (refusal === "revoked" || refusal === "wrongEpoch")) return refuse(refusal);
  return { verdict: "unconfirmed", reason: isEmergency ? "emergency" : "noKey", document: id };
}
