// The sentence a person reads of facts, in English. None of the log's own words stands here.
import type { Facts } from "./facts";
import { saidSentence } from "./said";
import { sourceSentence } from "./source";
import { CATEGORIES, PURPOSES, TOPICS } from "./tables";

export function sentence(facts: Facts): string {
  if (facts.verb === "none") return relayed(facts, otherKind(facts));
  const told = permission(facts) ?? saidSentence(facts) ?? sourceSentence(facts);
  if (told !== null) return relayed(facts, told);
  const parts = [
    facts.refused ? "Refused." : facts.emergency ? "Emergency." : facts.flags.includes("unusual") ? "Unusual." : null,
    act(facts), ending(facts), purpose(facts),
  ];
  return relayed(facts, parts.filter((part) => part !== null).join(" "));
}

/** What is said of permissions, erasures and sales; null for all other lines. */
function permission(facts: Facts): string | null {
  const whom = facts.counterpart ?? "somebody";
  const asking = facts.counterpart ?? "an organisation without a name";
  const may = (what: string) => {
    const reason = purpose(facts);
    const marked = facts.sensitive ? ", also sensitive ones" : "";
    return `You gave ${whom} permission to ${what} ${data(facts)}${marked}.${reason === null ? "" : ` ${reason}`}`;
  };
  switch (facts.verb) {
    case "permitRead":
      return may("read");
    case "permitChange":
      return may("change");
    case "permitBoth":
      return may("read and change");
    case "approve":
      return `You approved one change by ${whom}.`;
    case "delegate":
      return `You let ${whom} act for you.`;
    case "guard":
      return `${facts.counterpart ?? "Somebody"} was named to act for you.`;
    case "account":
      return "You took a table of who was given your data.";
    case "takeBack":
      return "You took back a permission.";
    case "takeBackAll":
      return "You took back all permissions that you had given.";
    case "eraseAsk":
      return "You asked that your records and the lines until then be erased.";
    case "eraseAskRecords":
      return "You asked that your records be erased.";
    case "eraseCancel":
      return "You took back what you had asked to be erased. Nothing was erased.";
    case "eraseDuty":
      return "Nothing was erased: the law obliges this service to keep it for now.";
    case "eraseHold":
      return "Nothing was erased: this service was ordered to keep it.";
    case "eraseDone":
      return "Your records and the lines until you asked were erased, as you wished.";
    case "eraseDoneRecords":
      return "Your records were erased, as you wished.";
    case "salePaid":
      return `${capital(whom)} paid for data that you offer. Nothing is delivered unless you approve.`;
    case "saleSettled":
      return `The money for a sale to ${whom} was paid out.`;
    case "saleRefunded":
      return `The money for a sale to ${whom} went back. Nothing was opened.`;
    case "saleWithdrawn":
      return `You asked ${whom} to delete what you had sold.`;
    case "saleDeleted":
      return `${capital(whom)} signed that what you had sold is deleted.`;
    case "saleSilent":
      return `${capital(whom)} did not say in time whether what you had sold is deleted.`;
    case "saleOptOut":
      return "You said no to all sales of your data.";
    case "saleOptIn":
      return "You took back your no to all sales of your data.";
    case "callAccepted":
      return `You agreed to sell a copy of your data to ${whom}, together with others.`;
    case "callWithdrawn":
      return `You took back that you sell to ${whom} together with others.`;
    case "callSettled":
      return `The money for a sale to ${whom}, together with others, was paid out.`;
    case "callClosed":
      return `The money for a sale to ${whom}, together with others, went back. You were not paid.`;
    case "download":
      return `${capital(whom)} downloaded the sealed copy of what you sell.`;
    case "lookSold":
      return `${capital(whom)} looked at ${data(facts)} that you sold.`;
    case "notPermit":
      return `A change by ${facts.organisation ?? "an organisation without a name"} was not permitted by you.`;
    case "lookFor":
      return `${whom} looked at ${data(facts)} for you.`;
    case "askChange":
      return `${facts.organisation ?? "An organisation without a name"} asks you to allow a change in ${data(facts)}.`;
    case "declineChange":
      return `You said no to a change that ${asking} had asked for.`;
    case "withdrawChange":
      return `${capital(asking)} no longer asks you for a change.`;
    case "expireChange":
      return `A change that ${asking} had asked for was not answered in time.`;
    default:
      return null;
  }
}

const capital = (words: string) => words.replace(/^[a-z]/, (letter) => letter.toUpperCase());

/** Who did what, as one sentence. */
function act(facts: Facts): string {
  const without = facts.kind === "refusal" ? " without your permission" : "";
  const unasked = facts.purpose === "BTG" && !facts.refused ? "; you could not be asked" : "";
  return `${opening(facts)} ${done(facts)}${without}${unasked}.`;
}

function done(facts: Facts): string {
  const { verb, counterpart } = facts;
  const words = data(facts);
  const isTried = facts.failed || facts.kind === "refusal";
  const to = (word: string) => (counterpart === null ? "" : ` ${word} ${counterpart}`);
  switch (verb) {
    case "ask":
      return facts.refused ? "asked to see your data" : "asked to see your data and was allowed";
    case "passOn":
      return `${isTried ? `tried to pass ${words}` : `passed ${words}`} on${to("to")}`;
    case "receive":
      return `${isTried ? "tried to get" : "received"} ${words}${to("from")}`;
    case "read":
      return `${isTried ? "tried to read" : facts.emergency ? "opened" : "read"} ${words}`;
    case "search":
      return `${isTried ? "tried to search" : "searched"} ${words}`;
    case "create":
      return `${isTried ? "tried to add to" : "added to"} ${words}`;
    case "change":
      return isTried ? `tried to change ${changed(facts) ?? words}` : `changed ${[words, changed(facts) ?? []].flat().join(": ")}`;
    case "delete":
      return `${isTried ? "tried to delete" : "deleted"} ${words}`;
    default:
      return `${isTried ? "tried to use" : "used"} ${words}`;
  }
}

/** From what to what, in foreign words. */
function changed({ item, before, after }: Facts): string | null {
  if (before === undefined || after === undefined) return null;
  return item === undefined ? `“${before}” to “${after}”` : `“${item}” from “${before}” to “${after}”`;
}

function opening({ organisation, onBehalfOf, isSelf, isMachine, who }: Facts): string {
  const name = organisation ?? "an organisation without a name";
  const onBehalf = onBehalfOf === null ? "" : ` for ${onBehalfOf}`;
  if (isSelf) return organisation === null ? "You" : `You, through ${organisation},`;
  if (isMachine) return `Automatic check: ${name}${onBehalf}`;
  if (who === null) return `${organisation ?? "An organisation without a name"}${onBehalf}`;
  if (who.name !== null) return `${who.name}, ${name}${onBehalf},`;
  const number = who.id === null ? "" : `no. ${who.id}, `;
  const article = who.role !== null && /^[aeiou]/i.test(who.role) ? "An" : "A";
  const person = who.role === null ? "Somebody" : `${article} ${who.role}`;
  return `${person} at ${name}${onBehalf} (${number}name not given)`;
}

function data({ topic, categories, more, verb }: Facts): string {
  const adjective = topic === null ? undefined : TOPICS.get(topic);
  if (adjective !== undefined) {
    const isNote = categories.length === 1 && categories[0] === "documents";
    if (!isNote) return `your ${adjective} records`;
    return verb === "create" ? `your ${adjective} notes` : `${/^[aeiouH]/.test(adjective) ? "an" : "a"} ${adjective} note`;
  }
  const words = categories.map((code) => CATEGORIES.find(([known]) => known === code)?.[1] ?? "other records");
  if (more && words.length > 0) words.push("more");
  const last = words.pop();
  if (last === undefined) return "your data";
  return words.length === 0 ? `your ${last}` : `your ${words.join(", ")} and ${last}`;
}

function ending({ kind, verb, refused, failed }: Facts): string | null {
  const isWriting = verb === "create" || verb === "change" || verb === "delete";
  if (kind === "refusal") return isWriting ? "Nothing changed." : "Nothing was shown.";
  if (refused) return "The answer was no.";
  return failed ? "It did not succeed." : null;
}

function purpose({ purpose: code, flags }: Facts): string | null {
  if (code === null) return flags.includes("noReason") ? "No reason given." : null;
  // The emergency was said at the start.
  if (code === "BTG") return null;
  return PURPOSES.get(code) ?? `The reason given is “${code}”.`;
}

function relayed({ relayed: is, organisation }: Facts, text: string): string {
  if (!is) return text;
  return organisation === null ? `${text} Only the operator of this service says so.` : `${text} Not signed by ${organisation}.`;
}

/** What stands for kinds that are no looking, changing or passing on. */
function otherKind({ kind, organisation }: Facts): string {
  const who = organisation ?? "An organisation without a name";
  switch (kind) {
    case "permission":
      return "A permission was given or taken back in your name.";
    case "sale":
      return "A sale of your data went one step further.";
    case "delivery":
      return "A copy of your data was delivered to a buyer.";
    case "source":
      return `${who} told something new about where your data are kept.`;
    case "roster":
      return "The lines of everybody were counted.";
    case "erasure":
      return "The content of lines was erased.";
    case "binding":
      return organisation === null ? "Something was connected to your trail." : `${who} was connected to your trail.`;
    case "question":
      return "A question about a line was asked or answered.";
    case "correction":
      return `${who} corrected an earlier line.`;
    case "coverage":
      return `${who} told how many lines it has sent.`;
    case "claim":
      return `${who} billed something for you.`;
    case "operation":
      return "The operator of this service worked on it.";
    case "notice":
      return "A notice was sent to you.";
    default:
      return "Something happened that this version cannot name.";
  }
}
