import { list, t, when } from "../i18n";
import { organisationOf, type Hex, type ListedOrganisation, type TrustFile } from "../ledger";
import { checksummed } from "../ledger/schema";
import {
  dataOf, parsePurposes, parseScopes, PURPOSES, statementOf, type Document, type Grant, type Scope,
} from "../permit";
import { endOf, type Checked } from "./check";

/** In the order in which people say them. */
const LETTERS = ["r", "s", "c", "u", "d"] as const;

/** Whoever may see data may search them, and nobody thinks of it as something else. */
function verbs(interactions: string): string {
  const letters = LETTERS.filter((letter) => interactions.includes(letter) && !(letter === "s" && interactions.includes("r")));
  return list(letters.map((letter) => t(`permissions.verb.${letter}`)));
}

/** "see and add allergies and diagnoses": data with which the same may be done stand together. */
export function actsOf(scopes: readonly Scope[]): string {
  const together = new Map<string, string[]>();
  for (const scope of scopes) {
    const words = verbs(scope.interactions);
    together.set(words, [...(together.get(words) ?? []), dataOf(scope, "en")]);
  }
  return [...together].map(([words, data]) => `${words} ${list(data)}`).join("; ");
}

export function purposesOf(codes: readonly string[]): string {
  return codes.map((code) => PURPOSES.get(code)?.english ?? code).join("; ");
}

/** Whom a document is for, as a person can compare it with what the wallet shows. */
export function partyOf(document: Document): Hex | null {
  if ("grant" in document) return document.grant.grantee;
  if ("changeApproval" in document) return document.changeApproval.custodian;
  if ("delegation" in document) return document.delegation.delegate;
  return "guardianship" in document ? document.guardianship.guardian : null;
}

/** The name of an organisation: by its keys in the trust file, or by the id it is listed under; null: it is nobody's here. */
export function nameOf(address: Hex, listed: readonly ListedOrganisation[], trust: TrustFile | null, nowMs: number): string | null {
  const byKey = trust && organisationOf(trust, address, nowMs)?.name;
  return byKey ?? listed.find(({ id }) => id.toLowerCase() === address)?.name ?? null;
}

/** What a permission says, in one sentence. */
export function sentenceOf(document: Document, name: string | null): string {
  const who = name ?? t("permissions.unknown");
  if ("grant" in document) return t("permissions.may", { who, acts: actsOf(parseScopes(document.grant.scopes) ?? []) });
  if ("changeApproval" in document) return t("permissions.mayChange", { who });
  if ("delegation" in document || "guardianship" in document) return t("permissions.acts", { who });
  return t("permissions.else");
}

export const reasonsOf = ({ purposes }: Grant): string => purposesOf(parsePurposes(purposes) ?? []);

/** What happened to one that does not stand any more. */
export function pastWords({ state, told, document }: Checked): string {
  const revokedMs = told?.revokedMs ?? (told?.onChain?.revokedAtS ? told.onChain.revokedAtS * 1000 : null);
  if (state === "revoked") return revokedMs === null ? t("permissions.takenBack") : t("permissions.takenBackAt", { time: when(revokedMs, "moment") });
  const endMs = document && endOf(document);
  return state === "expired" && endMs ? t("permissions.overSince", { time: when(endMs, "moment") }) : t("permissions.endedWithAll");
}

export { checksummed, statementOf };
