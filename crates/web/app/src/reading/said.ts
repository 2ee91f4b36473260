// Questions, corrections, claims and notices: who may say what of them, and the sentences.
import { fit } from "./clean";
import type { Facts } from "./facts";
import { get, text } from "./json";

const SAID_MAX = 200;
const DAY_MAX = 64;

export type SaidVerb =
  | "askWhy" | "askCorrection" | "answer" | "noAnswer" | "noWord" | "correct" | "didNotHappen" | "wrongPerson" | "bill" | "hadIt"
  | "hadItNot" | "endGuard" | "joinAlias" | "noticeByMail" | "noticeByWebhook";

/** Whose word a document is: the log's own (nobody signed it, no envelope around it), or an organisation's. */
export type Voice = "log" | "organisation";

/** What such a document tells, if it may tell it; null for all others. */
export function saidOf(kind: string, tree: unknown, by: Voice): Partial<Facts> | null {
  const said = (words: string | null) => {
    const fitting = fit(words, SAID_MAX);
    return fitting === null ? {} : { said: fitting };
  };
  const own = by === "log" ? { relayed: false } : {};
  switch (`${kind} ${text(tree, "version") ?? ""} ${text(tree, "act") ?? ""} ${by}`) {
    case "question medtrail/question-v1 asked log": {
      const verb = text(tree, "wants") === "correction" ? "askCorrection" : "askWhy";
      return { ...own, verb, ...said(text(tree, "text")) };
    }
    case "question medtrail/question-v1 unanswered log":
      return { ...own, verb: "noAnswer" };
    case "question medtrail/emergency-v1 unanswered log":
      return { ...own, verb: "noWord" };
    case "question medtrail/question-v1 answered organisation":
      return { ...own, verb: "answer", ...said(text(tree, "text")) };
    case "correction medtrail/correction-v1 corrected organisation": {
      const mistake = text(tree, "mistake");
      const verb = mistake === "wrongPerson" || mistake === "didNotHappen" ? mistake : "correct";
      return { ...own, verb, ...said(text(tree, "reason")) };
    }
    case "claim medtrail/claim-v1 billed organisation": {
      const day = fit(text(tree, "day"), DAY_MAX);
      return { ...own, verb: "bill", ...(day === null ? {} : { day }), ...said(text(get(tree, "service"), "text")) };
    }
    case "binding medtrail/guardianship-end-v1  organisation":
      return get(tree, "act") === undefined ? { ...own, verb: "endGuard", ...said(text(tree, "order")) } : null;
    case "binding medtrail/alias-v1  log":
      return get(tree, "act") === undefined ? { ...own, verb: "joinAlias" } : null;
    case "claim medtrail/claim-v1 answered log":
      return { ...own, verb: text(tree, "answer") === "yes" ? "hadIt" : "hadItNot", ...said(text(tree, "text")) };
  }
  if (kind === "notice" && text(tree, "version") === "medtrail/notice-v1" && by === "log") {
    const channel = text(tree, "channel");
    if (channel === "email") return { ...own, verb: "noticeByMail" };
    if (channel === "webhook") return { ...own, verb: "noticeByWebhook" };
  }
  return null;
}

const MONTHS = [
  "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
  "December",
];

/** `2026-11-27` as people write it. */
function dayOf(day: string): string | null {
  const [, year, month, date] = /^(\d{4})-(\d{2})-(\d{2})$/.exec(day) ?? [];
  const name = MONTHS[Number(month) - 1];
  return name === undefined || date === undefined ? null : `${date.replace(/^0+/, "")} ${name} ${year}`;
}

/** What is said of them; null for all other lines. */
export function saidSentence({ verb, organisation, said, day }: Facts): string | null {
  const who = organisation ?? "an organisation without a name";
  const capital = organisation ?? "An organisation without a name";
  const quoted = (before: string) => (said === undefined ? `${before}.` : `${before}: “${said}”`);
  switch (verb) {
    case "askWhy":
      return quoted(`You asked ${who} why`);
    case "askCorrection":
      return quoted(`You asked ${who} to correct a line`);
    case "answer":
      return quoted(`${capital} answered your question`);
    case "noAnswer":
      return `${capital} did not answer your question in time.`;
    case "noWord":
      return `Nobody said within 30 days whether an emergency change by ${who} was right.`;
    case "correct":
      return quoted(`${capital} corrected an earlier line`);
    case "didNotHappen":
      return quoted(`${capital} says that what an earlier line tells did not happen`);
    case "wrongPerson":
      return quoted(`${capital} had recorded a line here by mistake`);
    case "bill": {
      const written = day === undefined ? null : dayOf(day);
      const on = written === null ? "" : ` on ${written}`;
      return `${capital} was billed for ${said === undefined ? "something" : `“${said}”`} for you${on}. Was this you?`;
    }
    case "endGuard":
      return quoted(`${capital} ended that somebody may act for you, by this order`);
    case "joinAlias":
      return "You joined an address to your trail, to sell under.";
    case "hadIt":
      return quoted("You said that you had what was billed");
    case "hadItNot":
      return quoted("You said that what was billed was not you");
    case "noticeByMail":
      return "You were told by e-mail to have a look.";
    case "noticeByWebhook":
      return "Your own service was told that there is something new.";
    default:
      return null;
  }
}
