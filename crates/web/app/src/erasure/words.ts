import { t, when } from "../i18n";
import type { Keeps } from "./erasures";

/** What the law keeps, until when, or who ordered it: a person can ask those. */
export function keepsWords(keeps: Keeps): string {
  return keeps.kind === "retention" ? t("erasure.keeps.retention", { date: when(keeps.untilMs, "date") })
    : t("erasure.keeps.hold", { by: keeps.orderedBy, reason: keeps.reason });
}
