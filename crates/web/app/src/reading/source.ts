// What a person reads of the places where records are kept: who may say what of them, and the sentences.
import { kindWord } from "../ledger/entry";
import type { Report } from "../ledger/types";
import { fit } from "./clean";
import { NAME_MAX, type Facts } from "./facts";
import { get, text } from "./json";

const TITLE_MAX = 200;

export type SourceVerb =
  | "registerSource" | "moveSource" | "lostHere" | "lostElsewhere" | "lostNowhere" | "changedHere" | "changedElsewhere"
  | "changedNowhere" | "sourceBack";

function verbOf(tree: unknown, isSigned: boolean): SourceVerb | null {
  const kept = text(tree, "kept");
  switch (`${text(tree, "act") ?? ""} ${isSigned ? "signed" : "log"}`) {
    case "registered signed":
      return "registerSource";
    case "moved signed":
      return "moveSource";
    case "lost log":
      return kept === "here" ? "lostHere" : kept === "elsewhere" ? "lostElsewhere" : "lostNowhere";
    case "changed log":
      return kept === "here" ? "changedHere" : kept === "elsewhere" ? "changedElsewhere" : "changedNowhere";
    case "back log":
      return "sourceBack";
    default:
      return null;
  }
}

/**
 * What such a document tells; null if it is none, or not said by who may say it: a source is registered and moved by a
 * signature, and lost, changed and back by the log alone.
 */
export function sourceOf(report: Report, tree: unknown, isSigned: boolean): Partial<Facts> | null {
  if (text(tree, "version") !== "medtrail/source-v1" || kindWord(report.kind) !== "source") return null;
  const verb = verbOf(tree, isSigned);
  if (verb === null) return null;
  const told = isSigned ? tree : get(tree, "source");
  const said = fit(text(told, "title"), TITLE_MAX);
  const isSelf = isSigned && report.subject === `0x${"0".repeat(24)}${report.actor.slice(2).toLowerCase()}`;
  const counterpart = fit(text(told, "keeper"), NAME_MAX);
  return { verb, isSelf, counterpart, relayed: false, ...(said === null ? {} : { said }) };
}

/** What is said of them; null for all other lines. */
export function sourceSentence({ verb, organisation, isSelf, counterpart, said }: Facts): string | null {
  const who = isSelf ? "You" : organisation ?? "An organisation without a name";
  const keeper = counterpart ?? "Somebody without a name";
  const what = said ?? "data of yours";
  switch (verb) {
    case "registerSource":
      return `${who} told where this is kept, with ${counterpart ?? "somebody without a name"}: ${what}.`;
    case "moveSource":
      return `${who} told of a new place for data of yours, with ${counterpart ?? "somebody without a name"}.`;
    case "lostHere":
      return `${keeper} stopped answering. Still kept here: ${what}.`;
    case "lostElsewhere":
      return `${keeper} stopped answering. Still kept elsewhere: ${what}.`;
    case "lostNowhere":
      return `${keeper} stopped answering. Kept nowhere else: ${what}.`;
    case "changedHere":
      return `${keeper} gives other data than before. Kept here as it was: ${what}.`;
    case "changedElsewhere":
      return `${keeper} gives other data than before. Kept elsewhere as it was: ${what}.`;
    case "changedNowhere":
      return `${keeper} gives other data than before. Kept nowhere as it was: ${what}.`;
    case "sourceBack":
      return `${keeper} answers again, and nothing has changed: ${what}.`;
    default:
      return null;
  }
}
