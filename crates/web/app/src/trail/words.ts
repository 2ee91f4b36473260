import { t, tOr, span, when } from "../i18n";
import { receivedOf, type Checked } from "./line";
import type { Reason } from "./unusual";

/** So much later than it happened that the person should know: a short queue at the organisation is none of it. */
const LATE_MS = 3_600_000;

export const REASON_KEYS = {
  refused: "unusual.refused",
  withoutPermission: "unusual.withoutPermission",
  emergency: "unusual.emergency",
  noReason: "unusual.noReason",
  sensitive: "unusual.sensitive",
  night: "unusual.night",
  newActor: "unusual.newActor",
  late: "unusual.late",
  failed: "unusual.failed",
} as const satisfies Record<Reason, string>;

/** "Reported 9 h later", or nothing. */
export function lateness({ line, facts }: Checked): string {
  const late = receivedOf(line) - facts.atMs;
  return late > LATE_MS ? t("line.late", { span: span(late) }) : "";
}

/** How far it is on its way to the chain, as this site says: only a check against the chain shows it. */
export function lockWords({ state }: Checked): string {
  return t(state === "final" ? "lock.final" : state === "mined" ? "lock.mined" : "lock.recorded");
}

export function signatureWords({ signedBy, organisation }: Checked): string {
  return signedBy ? t("line.signed", { organisation }) : t("line.relayed");
}

/** A code of the reading, in words; an unknown one as it came. */
export function purposeWords(code: string): string {
  return code === "-" ? t("purpose.none") : tOr(`purpose.${code}`, code);
}

export function categoryWords(code: string): string {
  return tOr(`category.${code}`, code);
}

export function lockedWhen({ anchor }: Checked): string {
  return anchor ? when(anchor.timeS * 1000, "moment") : "";
}

/** A sentence may begin with what kind of news it is; that is set apart, and not said twice. */
const LEADS: Readonly<Record<string, Reason | null>> = {
  "Refused.": "refused", "Emergency.": "emergency", "Unusual.": null, "Automatic check:": null,
};

export function leadOf(sentence: string): { readonly lead: string; readonly says: Reason | null; readonly rest: string } {
  for (const [lead, says] of Object.entries(LEADS)) {
    if (sentence.startsWith(`${lead} `)) return { lead, says, rest: sentence.slice(lead.length + 1) };
  }
  return { lead: "", says: null, rest: sentence };
}
