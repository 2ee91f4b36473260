// An answer that an organisation signs: the report of kind 12, and its document, as docs/formats.md has them.
import { utf8 } from "../ledger/bytes";
import { sha256, type Hex, type Report } from "../ledger";
import { eventId, ZERO } from "../session/report";

const QUESTION = 12;
/** What is signed, and the exact bytes it names. */
export interface Answer {
  readonly report: Report;
  readonly details: string;
}

/** The same words to the same question are the same event, whoever presses twice. */
export function answerOf(
  question: { readonly id: Hex; readonly subject: Hex }, words: string, { log, actor, nowMs }: { log: Hex; actor: Hex; nowMs: number },
): Answer {
  const details = JSON.stringify({ version: "medtrail/question-v1", act: "answered", question: question.id, text: words, language: "en" });
  const hash = sha256(utf8(details));
  const report: Report = {
    log, eventId: eventId(actor, `answer ${question.id} ${hash}`), kind: QUESTION, action: 0, timeMs: nowMs, subject: question.subject, actor, record: ZERO,
    fromVersion: ZERO, toVersion: ZERO, permission: question.id, details: hash,
  };
  return { report, details };
}
