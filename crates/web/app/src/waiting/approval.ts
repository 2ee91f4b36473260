// The permission for exactly one change: what a person signs who says yes to it.
import type { Hex, Report } from "../ledger";
import { render, type ChangeApproval } from "../permit";

/** How long what was approved may still be done, seconds. */
const APPROVED_S = 7 * 86_400;

/** Of the change that a report names: its record, its two versions, and whoever signed it. */
export function approvalOf(
  { record, fromVersion, toVersion, actor }: Pick<Report, "record" | "fromVersion" | "toVersion" | "actor">,
  { subject, epoch, nowMs, salt }: { subject: Hex; epoch: number; nowMs: number; salt: Hex },
): ChangeApproval {
  // On a full minute: a wallet shows no seconds.
  const expiresAt = Math.ceil((nowMs / 1000 + APPROVED_S) / 60) * 60;
  const fields = { statement: "", subject, custodian: actor, record, fromVersion, toVersion, epoch, expiresAt, salt };
  return { ...fields, statement: render({ changeApproval: fields }, "en") ?? "" };
}
