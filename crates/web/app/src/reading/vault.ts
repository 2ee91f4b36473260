// What a person reads of what happened in Medtrail's own vault: versions, looks, requests for changes.
import { kindWord } from "../ledger/entry";
import type { Hex, Report } from "../ledger/types";
import { fit } from "./clean";
import { ADDRESS, CODE_MAX, knownCategory, NAME_MAX, type Facts, type NameOf, type Verb } from "./facts";
import { get, list, text } from "./json";
import { TOPICS } from "./tables";

/**
 * What a document of the vault tells; null if it is none, or not in its place. Who signed stands beside the report: a
 * document that only the log writes is read only where nobody did.
 */
export function vaultOf(
  facts: Facts, report: Report, tree: unknown, isSigned: boolean, nameOf: NameOf,
): Partial<Facts> | null {
  const version = text(tree, "version");
  const kind = kindWord(report.kind);
  const isPersons = (address: Hex) => report.subject === `0x${"0".repeat(24)}${address.slice(2).toLowerCase()}`;
  if (version === "medtrail/version-v1" && kind === "change") {
    const isSelf = isSigned && isPersons(report.actor);
    return { isSelf, ...aboutOf(tree), ...(isSelf ? {} : purposesOf(tree)) };
  }
  if (version === "medtrail/read-v1" && kind === "access") {
    const verb: Verb = get(tree, "listed") === undefined ? facts.verb : "search";
    const reader = isSigned ? null : addressOf(tree, "reader");
    if (reader === null) return { verb, ...purposesOf(tree) };
    if (isPersons(reader)) return { verb, isSelf: true };
    // By an order: nobody acts for the person there.
    const looks = isZero(report.permission) ? readerOf(reader, nameOf) : { ...readerOf(reader, nameOf), verb: "lookSold" as const };
    return { ...looks, ...purposesOf(tree) };
  }
  if (version === "medtrail/change-request-v1" && kind === "question") return requestOf(tree, isSigned, nameOf);
  return null;
}

const isZero = (hex: Hex): boolean => /^0x0*$/.test(hex);

/** Somebody looked who acts for the person. */
export function readerOf(reader: Hex, nameOf: NameOf): Partial<Facts> {
  const counterpart = fit(nameOf(reader), NAME_MAX) ?? `${reader.slice(0, 8)}…${reader.slice(38)}`;
  return { verb: "lookFor", counterpart };
}

function requestOf(tree: unknown, isSigned: boolean, nameOf: NameOf): Partial<Facts> | null {
  const act = text(tree, "act");
  if (isSigned) return act === "asked" ? { verb: "askChange", ...aboutOf(tree) } : null;
  const verbs = { declined: "declineChange", withdrawn: "withdrawChange", expired: "expireChange" } as const;
  const verb = act !== null && Object.hasOwn(verbs, act) ? verbs[act as keyof typeof verbs] : null;
  if (verb === null) return null;
  const organisation = addressOf(tree, "organisation");
  const counterpart = organisation === null ? null : fit(nameOf(organisation), NAME_MAX);
  // Nobody said no: that is the log's own finding.
  return { verb, ...aboutOf(tree), counterpart, relayed: verb !== "expireChange" };
}

function aboutOf(tree: unknown): Partial<Facts> {
  const about = get(tree, "about");
  if (about === undefined) return {};
  const type = text(about, "resourceType");
  const topic = list(about, "topics").find((code): code is string => typeof code === "string" && TOPICS.has(code)) ?? null;
  const level = text(about, "confidentiality");
  return {
    categories: type === null ? [] : [knownCategory(type) ?? "other"],
    resource: fit(text(about, "title"), CODE_MAX),
    topic,
    sensitive: topic !== null || level === "R" || level === "V",
  };
}

function purposesOf(tree: unknown): Partial<Facts> {
  const all = list(tree, "purposes").filter((code) => typeof code === "string");
  const urgent = ["BTG", "ETREAT"].find((code) => all.includes(code)) ?? null;
  const given = all.map((code) => fit(code, CODE_MAX)).find((code) => code !== null) ?? null;
  return { emergency: urgent !== null, purpose: urgent ?? given };
}

export function addressOf(node: unknown, name: string): Hex | null {
  const [, digits] = ADDRESS.exec(text(node, name) ?? "") ?? [];
  return digits === undefined ? null : `0x${digits.toLowerCase()}`;
}
