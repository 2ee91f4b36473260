// What people, organisations and payers say to each other in a trail, read from the checked bytes of its lines: a
// server that leaves something out, or adds it, would have to change a line.
import { documentBytes, isHex, utf8 } from "../ledger/bytes";
import { kindWord } from "../ledger/entry";
import type { Hex } from "../ledger";
import { knownCategory } from "../reading/facts";
import { get, parseTree, text } from "../reading/json";
import type { Checked } from "../trail/line";

export type Saying =
  /** The person asks about a line. */
  | { readonly act: "asked"; readonly line: Hex; readonly wants: "reason" | "correction"; readonly text: string | null; readonly dueMs: number }
  | { readonly act: "answered"; readonly question: Hex; readonly text: string }
  | { readonly act: "unanswered"; readonly question: Hex }
  /** Nobody said in time whether an emergency change was right. */
  | { readonly act: "silent"; readonly line: Hex }
  /** A payer says what was billed. */
  | { readonly act: "billed"; readonly day: string; readonly service: string; readonly place: string | null; readonly amount: string | null; /** The data that it would have left, if that is known. */ readonly category: string | null }
  | { readonly act: "replied"; readonly claim: Hex; readonly answer: "yes" | "no"; readonly text: string | null }
  | { readonly act: "corrected"; readonly line: Hex; readonly reason: string; readonly isMistake: boolean }
  /** An organisation asks for a change of a record. */
  | { readonly act: "changeAsked"; readonly title: string; readonly mediaType: string; readonly why: string; readonly untilMs: number }
  | { readonly act: "changeEnded"; readonly request: Hex; readonly how: "declined" | "withdrawn" | "expired" }
  | { readonly act: "approved"; readonly record: Hex; readonly from: Hex; readonly to: Hex; readonly custodian: Hex }
  /** The person said no to a line by name. */
  | { readonly act: "tookBack"; readonly permission: Hex };

/** A text as it was given: it is shown as text, and cut nowhere, for an answer is evidence. */
const TEXT_MAX = 4_000;

/** What a line says, if it is one of these and checks. */
export function sayingOf({ line, problems }: Checked): Saying | null {
  if (problems.length > 0 || line.details === null) return null;
  const bytes = documentBytes(line.details);
  const outer = bytes === null ? null : parseTree(bytes);
  const isRelayed = line.evidence === "relayed";
  // The word of an organisation without a signature comes in the log's envelope.
  const inner = isRelayed && text(outer, "version") === "medtrail/relayed-v1" ? text(outer, "document") : null;
  const tree = inner === null ? outer : parseTree(utf8(inner));
  /** The log's own, in the person's name or its own: nobody else may say such a thing. */
  const isOwn = isRelayed && inner === null;
  const kind = kindWord(line.report.kind);
  const act = text(tree, "act");
  switch (text(tree, "version")) {
    case "medtrail/question-v1": return kind === "question" ? question(tree, act, isOwn) : null;
    case "medtrail/emergency-v1": return kind === "question" && act === "unanswered" && isOwn ? silence(tree) : null;
    case "medtrail/claim-v1": return kind === "claim" ? claim(tree, act, isOwn) : null;
    case "medtrail/correction-v1": return kind === "correction" ? correction(tree) : null;
    case "medtrail/change-request-v1": return kind === "question" ? change(tree, act, line.report.permission) : null;
    case "medtrail/permission-v1": return kind === "permission" && isOwn ? permission(get(tree, "document")) : null;
    default: return null;
  }
}

/** Whom an approval of what a line did names: who signed the line, or the organisation for which it was entered. */
export function custodianOf({ line: { report, details, evidence } }: Checked): Hex {
  const bytes = details === null || evidence !== "relayed" ? null : documentBytes(details);
  const tree = bytes === null ? null : parseTree(bytes);
  return (text(tree, "version") === "medtrail/relayed-v1" ? hex(tree, "organisation", 20) : null) ?? report.actor;
}

function hex(node: unknown, name: string, bytes: number): Hex | null {
  const found = text(node, name)?.toLowerCase() ?? null;
  return isHex(found, bytes) ? found : null;
}

function moment(node: unknown, name: string): number | null {
  const found = get(node, name);
  return typeof found === "number" && Number.isSafeInteger(found) && found >= 0 && found <= 8.64e15 ? found : null;
}

function short(node: unknown, name: string): string | null {
  const found = text(node, name);
  return found === null || found === "" ? null : found.slice(0, TEXT_MAX);
}

function question(tree: unknown, act: string | null, isOwn: boolean): Saying | null {
  if (act === "asked" && isOwn) {
    const [line, dueMs, wants] = [hex(get(tree, "line"), "commitment", 32), moment(tree, "dueMs"), text(tree, "wants")];
    if (line === null || dueMs === null || (wants !== "reason" && wants !== "correction")) return null;
    return { act, line, wants, text: short(tree, "text"), dueMs };
  }
  const id = hex(tree, "question", 32);
  if (id === null) return null;
  const words = short(tree, "text");
  if (act === "answered" && words !== null) return { act, question: id, text: words };
  return act === "unanswered" && isOwn ? { act, question: id } : null;
}

function silence(tree: unknown): Saying | null {
  const line = hex(get(tree, "line"), "commitment", 32);
  return line === null ? null : { act: "silent", line };
}

function claim(tree: unknown, act: string | null, isOwn: boolean): Saying | null {
  if (act === "billed") {
    const service = get(tree, "service");
    const [day, what] = [text(tree, "day"), short(service, "text")];
    if (day === null || !/^\d{4}-\d\d-\d\d$/.test(day) || what === null) return null;
    const sum = get(tree, "amount");
    const [value, currency] = [text(sum, "value"), text(sum, "currency")];
    const amount = value && currency ? `${value} ${currency}` : null;
    return { act, day, service: what, place: short(service, "place"), amount, category: knownCategory(text(service, "resource") ?? "") };
  }
  const [id, answer] = [hex(tree, "claim", 32), text(tree, "answer")];
  if (act !== "answered" || !isOwn || id === null || (answer !== "yes" && answer !== "no")) return null;
  return { act: "replied", claim: id, answer, text: short(tree, "text") };
}

function correction(tree: unknown): Saying | null {
  const [line, reason] = [hex(get(tree, "line"), "commitment", 32), short(tree, "reason")];
  if (line === null || reason === null) return null;
  return { act: "corrected", line, reason, isMistake: text(tree, "mistake") !== null };
}

function change(tree: unknown, act: string | null, first: Hex): Saying | null {
  if (act === "asked") {
    const about = get(tree, "about");
    const [title, mediaType, why, untilMs] = [short(about, "title"), short(about, "mediaType"), short(tree, "why"), moment(tree, "untilMs")];
    return title === null || why === null || untilMs === null ? null
      : { act: "changeAsked", title, mediaType: mediaType ?? "", why, untilMs };
  }
  return act === "declined" || act === "withdrawn" || act === "expired" ? { act: "changeEnded", request: first, how: act } : null;
}

function permission(document: unknown): Saying | null {
  const approval = get(document, "changeApproval");
  const [record, from, to] = [hex(approval, "record", 32), hex(approval, "fromVersion", 32), hex(approval, "toVersion", 32)];
  const custodian = hex(approval, "custodian", 20);
  if (record && from && to && custodian) return { act: "approved", record, from, to, custodian };
  const taken = hex(get(document, "revoke"), "permission", 32);
  return taken === null ? null : { act: "tookBack", permission: taken };
}
