// What a person reads of a line: taken from the report and its details document and nothing else, so that the server,
// with the same two, says the same (tests/vectors/lines.json).
import { documentBytes, utf8 } from "../ledger/bytes";
import { kindWord } from "../ledger/entry";
import { sha256 } from "../ledger/merkle";
import type { Document, Evidence, Hex, Report } from "../ledger/types";
import { fit } from "./clean";
import {
  dataOf, eventOf, hasCode, IMPORT, isPatient, recordOf, userOf, type Agent, type Coding, type Event, type Party,
} from "./event";
import { get, parseTree, text } from "./json";
import { saidOf, type SaidVerb } from "./said";
import { sourceOf, type SourceVerb } from "./source";
import { CATEGORIES, ROLES, TOPICS } from "./tables";
import { addressOf, readerOf, vaultOf } from "./vault";

export const NAME_MAX = 80;
export const CODE_MAX = 64;
const QUERY_MAX = 200;
const CATEGORIES_MAX = 4;

export type Verb =
  | "read" | "search" | "create" | "change" | "delete" | "use" | "passOn" | "receive" | "ask" | "account" | "none"
  | PermissionVerb | SaidVerb | SourceVerb | ErasureVerb | VaultVerb | SaleVerb;
/** What people asked to be erased, and what came of it. */
export type ErasureVerb =
  | "eraseAsk" | "eraseAskRecords" | "eraseCancel" | "eraseDuty" | "eraseHold" | "eraseDone" | "eraseDoneRecords";
/** What people gave and took back, and a change that was not permitted. */
export type PermissionVerb =
  | "permitRead" | "permitChange" | "permitBoth" | "approve" | "delegate" | "guard" | "takeBack" | "takeBackAll"
  | "notPermit";
/** What happens in the vault beside reading and writing. */
export type VaultVerb = "lookFor" | "askChange" | "declineChange" | "withdrawChange" | "expireChange";
/** What happens to sales, and a buyer who downloads. */
export type SaleVerb =
  | "salePaid" | "saleSettled" | "saleRefunded" | "saleWithdrawn" | "saleDeleted" | "saleSilent" | "saleOptOut"
  | "saleOptIn" | "download" | "lookSold" | "callAccepted" | "callWithdrawn" | "callSettled" | "callClosed";
export type Flag = "unusual" | "noReason" | "atNight";

/** Who did something: a name, or a role and a number. */
export interface Who {
  name: string | null;
  id: string | null;
  role: string | null;
}

/** What can be told of a line. Texts that came from outside are cleaned and cut. */
export interface Facts {
  /** The log's word for its kind. */
  kind: string;
  /** The organisation that reports, or for which was relayed; null if nobody knows its name. */
  organisation: string | null;
  /** Only the operator's word: no signature beside it. What the log enters of its own acts is not called so. */
  relayed: boolean;
  who: Who | null;
  /** For which other organisation. */
  onBehalfOf: string | null;
  /** Of data passed on: to whom, or from whom. Of a permission: whose it is. Of a request that ended: who had asked. Of a sale: who buys. */
  counterpart: string | null;
  /** No person did this. */
  isMachine: boolean;
  /** The person of the trail did this. */
  isSelf: boolean;
  verb: Verb;
  /** Which data, as codes (`allergies`, …, `other`), each once, at most four. */
  categories: string[];
  /** There are more categories than these. */
  more: boolean;
  /** A sensitive topic (v3-ActCode). */
  topic: string | null;
  /** The first record, as the organisation names it. */
  resource: string | null;
  /** Purpose of use (v3-ActReason). */
  purpose: string | null;
  /** An emergency was declared. */
  emergency: boolean;
  /** The data are of a sensitive topic, or restricted. */
  sensitive: boolean;
  /** It was tried and did not succeed. */
  failed: boolean;
  /** It was asked for, and not allowed. */
  refused: boolean;
  query: string | null;
  /** noReason: a person gave none; atNight: from 22 to 6 on the reporter's clock; unusual: sensitive, and one of the two. */
  flags: Flag[];
  /** Where the data came from. */
  origin: string | null;
  atMs: number;
  /** What was asked, answered, billed or given as the reason, in the words of who said it. */
  said?: string;
  /** The day for which something was billed. */
  day?: string;
  /** Of a change: of what, in the words of who reports it. Never of sensitive data. */
  item?: string;
  /** What it was; of a change that was refused, the title of the record. */
  before?: string;
  /** What it is now, or was to be. */
  after?: string;
}

/** The name of an address: of every address the same, or by the address. */
export type Names = string | null | ((address: Hex) => string | null);

/** The same for one address. */
export type NameOf = (address: Hex) => string | null;

export const ADDRESS = /^(?:0x)?([0-9a-fA-F]{40})$/;

/** The facts of a line. A details document that does not hash to what was reported is not read. */
export function factsOf(line: { report: Report; details: Document | null; evidence: Evidence }, names: Names): Facts {
  const bytes = line.details === null ? null : documentBytes(line.details);
  const isReported = bytes !== null && sha256(bytes) === line.report.details;
  return reading(line.report, isReported ? bytes : null, line.evidence === "relayed", names);
}

/** Kinds that the log enters of its own acts: nobody else could have signed them. */
const OF_THE_LOG = new Set(["permission", "sale", "delivery", "roster", "erasure", "binding", "operation", "notice"]);

/**
 * The facts of a report and the bytes of its details document, which the caller has checked. Whose word it is comes from
 * `isRelayed` (nobody signed) alone: a document could say that a signed report is another organisation's, or that the
 * operator's own invention is somebody's.
 */
export function reading(report: Report, details: Uint8Array | null, isRelayed: boolean, names: Names): Facts {
  const nameOf: NameOf = (address) => (typeof names === "function" ? names(address) : names);
  const kind = kindWord(report.kind);
  const facts: Facts = {
    // The actor of a relayed report is the operator: never name it as who reports.
    kind, organisation: isRelayed ? null : fit(nameOf(report.actor), NAME_MAX), relayed: isRelayed && !OF_THE_LOG.has(kind),
    who: null, onBehalfOf: null, counterpart: null, isMachine: false, isSelf: false, verb: verbOf(report), categories: [],
    more: false, topic: null, resource: null, purpose: null, emergency: false, sensitive: false, failed: false,
    refused: kind === "refusal", query: null, flags: [], origin: null, atMs: report.timeMs,
  };
  const tree = details === null ? null : parseTree(details);
  const nameIn = (named: unknown, idMember: string) => {
    const [, id] = ADDRESS.exec(text(named, idMember) ?? "") ?? [];
    return fit((id === undefined ? null : nameOf(`0x${id.toLowerCase()}`)) ?? text(named, "name"), NAME_MAX);
  };
  const version = text(tree, "version");
  if (version === "medtrail/relayed-v1") {
    // Signed, it is a document that this version cannot read: its envelope is the log's.
    if (!isRelayed) return facts;
    const relayed = { ...facts, relayed: true, organisation: nameIn(tree, "organisation") };
    const document = text(tree, "document");
    const inner = document === null ? null : parseTree(utf8(document));
    return {
      ...relayed, ...(vaultOf(relayed, report, inner, true, nameOf) ?? told(relayed, report, inner)), ...saidOf(kind, inner, "organisation"),
    };
  }
  if (version === "medtrail/binding-v1" && isRelayed && kind === "binding") {
    const named = get(tree, "organisation");
    return named === undefined ? facts : { ...facts, organisation: nameIn(named, "id") };
  }
  if (version === "medtrail/permission-v1" && isRelayed && kind === "permission") {
    return { ...facts, ...permissionOf(get(tree, "document"), nameOf) };
  }
  if ((version === "medtrail/accounting-v1" || version === "medtrail/look-v1") && isRelayed && kind === "access") {
    const reader = addressOf(tree, "reader");
    if (reader !== null) return { ...facts, relayed: false, ...readerOf(reader, nameOf) };
    return { ...facts, relayed: false, ...(version === "medtrail/look-v1" ? {} : { isSelf: true, verb: "account" }) };
  }
  if (version === "medtrail/sale-v1" && isRelayed && kind === "sale") return { ...facts, ...saleOf(tree, nameOf) };
  if (version === "medtrail/call-v1" && isRelayed && kind === "sale") return { ...facts, ...callOf(tree, nameOf) };
  if (version === "medtrail/download-v1" && isRelayed && kind === "access") {
    return { ...facts, relayed: false, verb: "download", ...buyerOf(addressOf(tree, "reader"), nameOf) };
  }
  if (version === "medtrail/erasure-v1" && isRelayed && kind === "erasure") {
    return { ...facts, verb: erasureVerb(tree) ?? facts.verb };
  }
  if (version === "medtrail/refusal-v1" && isRelayed && kind === "refusal") {
    // What else is refused only its kind tells.
    const verbs: Readonly<Record<string, Verb>> = { change: "notPermit", write: "change", read: "read" };
    const refused = text(tree, "refused") ?? "";
    const verb = Object.hasOwn(verbs, refused) ? verbs[refused] : undefined;
    if (verb === undefined) return facts;
    const titles = verb === "change" ? toldOf({ before: text(tree, "before"), after: text(tree, "after") }) : {};
    return { ...facts, relayed: false, verb, organisation: nameIn({ id: get(tree, "organisation") }, "id"), ...titles };
  }
  const said = saidOf(kind, tree, isRelayed ? "log" : "organisation");
  const id = said !== null && isRelayed ? get(tree, "organisation") : undefined;
  const named = typeof id === "string" ? { organisation: nameIn({ id }, "id") } : {};
  const own = vaultOf(facts, report, tree, !isRelayed, nameOf) ?? sourceOf(report, tree, !isRelayed);
  return { ...facts, ...(own ?? told(facts, report, tree)), ...said, ...named };
}

/** What there is of these foreign words, cleaned and cut. */
function toldOf(words: Readonly<Record<string, string | null>>): Record<string, string> {
  return Object.fromEntries(Object.entries(words).flatMap(([name, word]) => {
    const cut = fit(word, CODE_MAX);
    return cut === null ? [] : [[name, cut] as const];
  }));
}

/** What a report alone tells. */
function verbOf({ kind, action }: Report): Verb {
  const letter = String.fromCharCode(action);
  switch (kindWord(kind)) {
    case "hand-over":
      return letter === "C" ? "receive" : "passOn";
    case "change":
      return letter === "C" ? "create" : letter === "D" ? "delete" : "change";
    case "access":
    case "refusal":
      return ({ C: "create", U: "change", D: "delete", R: "read" } as const)[letter as "C"] ?? "use";
    default:
      return "none";
  }
}

function refusedErasure(reason: string | null): ErasureVerb | null {
  return reason === "retention" ? "eraseDuty" : reason === "legal-hold" ? "eraseHold" : null;
}

/** What the log tells of an erasure. */
function erasureVerb(tree: unknown): ErasureVerb | null {
  const isRecords = text(tree, "form") === "records";
  switch (text(tree, "act")) {
    case "asked":
      return isRecords ? "eraseAskRecords" : "eraseAsk";
    case "cancelled":
      return "eraseCancel";
    case "refused":
      return refusedErasure(text(get(tree, "reason"), "kind"));
    case "done":
      return isRecords ? "eraseDoneRecords" : "eraseDone";
    default:
      return null;
  }
}

/** What the log tells of a sale, or of what a person wants of all sales. */
function saleOf(tree: unknown, nameOf: NameOf): Partial<Facts> {
  const verbs: Readonly<Record<string, SaleVerb>> = {
    paid: "salePaid", settled: "saleSettled", refunded: "saleRefunded", withdrawn: "saleWithdrawn",
    deleted: "saleDeleted", "not-answered": "saleSilent", "opted-out": "saleOptOut", "opted-in": "saleOptIn",
  };
  const act = text(tree, "act") ?? "";
  const verb = Object.hasOwn(verbs, act) ? verbs[act] : undefined;
  return verb === undefined ? {} : { verb, ...buyerOf(addressOf(get(tree, "order"), "buyer"), nameOf) };
}

/** What the log tells of the acceptance of a call to many. */
function callOf(tree: unknown, nameOf: NameOf): Partial<Facts> {
  const verbs: Readonly<Record<string, SaleVerb>> = {
    accepted: "callAccepted", withdrawn: "callWithdrawn", settled: "callSettled", closed: "callClosed",
    "deletion-asked": "saleWithdrawn", deleted: "saleDeleted", "not-answered": "saleSilent",
  };
  const act = text(tree, "act") ?? "";
  const verb = Object.hasOwn(verbs, act) ? verbs[act] : undefined;
  return verb === undefined ? {} : { verb, ...buyerOf(addressOf(get(tree, "call"), "buyer"), nameOf) };
}

function buyerOf(buyer: Hex | null, nameOf: NameOf): Partial<Facts> {
  if (buyer === null) return {};
  return { counterpart: fit(nameOf(buyer), NAME_MAX) ?? `${buyer.slice(0, 8)}…${buyer.slice(38)}` };
}

/** What a document tells that the person, or who acts for them, signed. */
function permissionOf(documents: unknown, nameOf: NameOf): Partial<Facts> {
  const [word] = typeof documents === "object" && documents !== null && !Array.isArray(documents)
    ? Object.keys(documents) : [];
  const document = word === undefined ? undefined : get(documents, word);
  const whom = (member: string) => {
    const [, digits] = ADDRESS.exec(text(document, member) ?? "") ?? [];
    if (digits === undefined) return null;
    const address: Hex = `0x${digits.toLowerCase()}`;
    // What stands where nobody knows a name.
    return fit(nameOf(address), NAME_MAX) ?? `${address.slice(0, 8)}…${address.slice(38)}`;
  };
  switch (word) {
    case "grant":
      return grantOf(document, whom("grantee"));
    case "changeApproval":
      return { verb: "approve", counterpart: whom("custodian") };
    case "delegation":
      return { verb: "delegate", counterpart: whom("delegate") };
    case "guardianship":
      return { verb: "guard", counterpart: whom("guardian") };
    case "revoke":
      return { verb: "takeBack" };
    case "revokeAll":
      return { verb: "takeBackAll" };
    default:
      return {};
  }
}

/** Of scopes that were checked when they were recorded; what cannot be read adds nothing. */
function grantOf(grant: unknown, counterpart: string | null): Partial<Facts> {
  const allowed = { read: false, change: false, everything: false, sensitive: false };
  const found = new Set<string>();
  for (const scope of (text(grant, "scopes") ?? "").split(" ")) {
    const [, resource, letters, parameter = ""] = /^patient\/([^.?]*)\.([^?]*)(?:\?(.*))?$/s.exec(scope) ?? [];
    if (resource === undefined || letters === undefined) continue;
    allowed.read ||= letters === "read" || letters === "*" || (letters !== "write" && /[rs]/.test(letters));
    allowed.change ||= letters === "write" || letters === "*" || (letters !== "read" && /[cud]/.test(letters));
    allowed.sensitive ||= parameter.startsWith("_security=");
    if (resource === "*") allowed.everything = true;
    else found.add(knownCategory(resource) ?? "other");
  }
  const verb = allowed.read ? (allowed.change ? "permitBoth" : "permitRead") : allowed.change ? "permitChange" : null;
  if (verb === null) return {};
  if (allowed.everything) found.clear();
  const purposes = text(grant, "purposes");
  return {
    verb,
    counterpart,
    categories: [...found].slice(0, CATEGORIES_MAX),
    more: found.size > CATEGORIES_MAX,
    sensitive: allowed.sensitive,
    // Of several a line would tell only a part.
    purpose: purposes === null || purposes.includes(" ") ? null : fit(purposes, CODE_MAX),
  };
}

/** What an AuditEvent, or what is shared of one, tells beside the report. */
function told(facts: Facts, report: Report, document: unknown): Partial<Facts> {
  const tree = text(document, "version") === "medtrail/shared-v1" ? (get(document, "event") ?? document) : document;
  if (text(tree, "resourceType") !== "AuditEvent" || facts.verb === "none") return {};
  const event = eventOf(tree);
  // What was signed is the report: a document that tells of another act changes no verb.
  const isSameAct = event.kind === report.kind && event.action === report.action;
  const act = { verb: facts.verb, failed: facts.failed, refused: facts.refused, ...(isSameAct ? actOf(event, facts) : {}) };
  const people = peopleOf(event, act.verb, facts.organisation);
  const data = dataFacts(event);
  const purpose = purposeOf(event);
  // Who looks over a person's shoulder is not to read what is sensitive.
  const changed = act.verb === "change" && !data.sensitive ? changeOf(event) : {};
  return { ...act, ...people, ...data, ...changed, ...purpose, flags: flagsOf(event, { ...act, ...people, ...data, ...purpose }) };
}

function actOf(event: Event, { verb }: Facts): Partial<Facts> {
  const isSubtype = (...codes: string[]) => event.subtypes.some(({ code }) => codes.includes(code));
  const isFailure = event.outcome !== null && event.outcome !== "0";
  if (event.kind === 3) return { verb: event.code.code === IMPORT ? "receive" : "passOn", failed: isFailure };
  if (isSubtype("AuthZ-Consent", "AuthZ-Role")) return { verb: "ask", refused: isFailure };
  if (event.kind !== 1 || event.action !== 0x45) return { verb, failed: isFailure };
  const isSearch = isSubtype("search", "search-type", "search-system");
  const hasQuery = event.entities.some(({ query }) => query !== null);
  return { verb: isSearch || hasQuery ? "search" : "use", failed: isFailure };
}

function peopleOf(event: Event, verb: Verb, organisation: string | null) {
  const isHandOver = event.kind === 3;
  const user = userOf(event);
  const isPatientUser = user !== null && isThePatient(event, user);
  // A legacy event may call nobody requestor: whoever is no machine may have been a person, and a person's look must
  // never pass as an automatic one.
  const acting = user === null ? (isHandOver ? [] : event.agents) : [user];
  const person = isPatientUser ? null : (acting.find(isPerson) ?? null);
  const isAllMachine = event.agents.length > 0 && event.agents.every((agent) => isMachine(agent) || !agent.requestor);
  const byCode = (code: string) => event.agents.find((agent) => hasCode(agent, code));
  const counterpart = isHandOver ? byCode(verb === "receive" ? "110153" : "110152") : undefined;
  const provider = nameOfParty(byCode("PROV")?.who);
  return {
    // Who authorises that data are passed on does not pass them on.
    isSelf: isPatientUser && !isHandOver,
    isMachine: person === null && !isPatientUser && !isHandOver && isAllMachine,
    who: person === null ? null : whoOf(person),
    counterpart: nameOfParty(counterpart?.who),
    onBehalfOf: provider === organisation ? null : provider,
    origin: nameOfParty(event.observer) ?? fit(event.site, NAME_MAX),
  };
}

function isThePatient(event: Event, { who }: Agent): boolean {
  if (who.resourceType !== "Patient") return false;
  const same = (one: string | null, other: string | null) => one !== null && one === other;
  return event.isPatientAgent || event.entities.some((entity) => isPatient(entity)
    && (same(entity.what.reference, who.reference) || same(entity.what.identifier, who.identifier)));
}

/** Device, or one of the codes of DICOM and BALP that machines alone have. */
function isMachine(agent: Agent): boolean {
  return agent.who.resourceType === "Device"
    || hasCode(agent, "110150", "110152", "110153", "110154", "110155", "authserver", "AuthzOauthService", "custodian");
}

function isPerson(agent: Agent): boolean {
  const isOrganisation = agent.who.resourceType === "Organization" || hasCode(agent, "PROV", "homeCommunityId");
  return !isMachine(agent) && !isOrganisation;
}

/** Name, or role and number; an agent that tells neither is somebody all the same. */
function whoOf({ name, who, altId, roles }: Agent): Who {
  const first = (found: (string | null | undefined)[]) => found.find((value) => value != null) ?? null;
  return {
    name: fit(name, NAME_MAX) ?? fit(who.display, NAME_MAX),
    id: fit(who.identifierValue, CODE_MAX) ?? fit(altId, CODE_MAX),
    role: first(roles.map(({ code }) => ROLES.get(code))) ?? first(roles.map(({ display }) => fit(display, CODE_MAX))),
  };
}

function nameOfParty(party: Party | undefined): string | null {
  return party === undefined ? null : (fit(party.display, NAME_MAX) ?? fit(party.identifierValue, NAME_MAX));
}

function dataFacts(event: Event) {
  const data = dataOf(event);
  const found = new Set<string>();
  for (const { what, kind, query } of data) {
    const coded = kind.system === "http://hl7.org/fhir/resource-types" ? kind.code : null;
    const type = what.resourceType ?? coded;
    const category = type !== null ? (knownCategory(type) ?? "other") : query !== null ? searched(query) : null;
    if (category !== null) found.add(category);
  }
  // The record that was touched is the patient's own data sheet.
  const isSheet = event.entities.some((entity) => isPatient(entity) && entity.kind.code === "2");
  if (found.size === 0 && isSheet) found.add("personalDetails");
  const labels = event.entities.flatMap((entity) => entity.labels);
  const topic = labels.find(({ code }) => TOPICS.has(code))?.code ?? null;
  const isRestricted = labels.some(({ system, code }) =>
    system.endsWith("/v3-Confidentiality") && (code === "R" || code === "V"));
  const query = data.map((entity) => entity.query).find((one) => one !== null) ?? null;
  return {
    categories: [...found].slice(0, CATEGORIES_MAX),
    more: found.size > CATEGORIES_MAX,
    resource: fit(recordOf(event), CODE_MAX),
    query: fit(query, QUERY_MAX),
    topic,
    sensitive: topic !== null || isRestricted,
  };
}

/** From what to what, of what: all of it or nothing. */
function changeOf(event: Event): Partial<Facts> {
  const change = dataOf(event).find((entity) => entity.change !== null)?.change ?? null;
  const told = change === null ? {} : toldOf({ ...change });
  return Object.keys(told).length === 3 ? told : {};
}

export function knownCategory(type: string): string | null {
  return CATEGORIES.find(([, , types]) => types.includes(type))?.[0] ?? null;
}

/** The category that a raw search asks for: the last path segment that is a known resource type. */
function searched(query: string): string | null {
  const trimmed = query.replace(/^\p{White_Space}+/u, "").replace(/^(?:GET|POST) /, "");
  const [path = ""] = trimmed.split(/[? \r\n]/, 1);
  return path.split("/").reverse().map(knownCategory).find((category) => category !== null) ?? null;
}

function purposeOf(event: Event) {
  const all: Coding[] = [
    ...(userOf(event)?.purposes ?? []), ...event.purposes, ...event.agents.flatMap(({ purposes }) => purposes),
  ];
  // One declared emergency outweighs every other reason given beside it.
  const urgent = ["BTG", "ETREAT"].find((code) => all.some((purpose) => purpose.code === code)) ?? null;
  const given = all.map(({ code, display }) => fit(code === "" ? display : code, CODE_MAX));
  return { emergency: urgent !== null, purpose: urgent ?? given.find((one) => one !== null) ?? null };
}

type Flagged = Pick<Facts, "isMachine" | "isSelf" | "verb" | "who" | "purpose" | "sensitive" | "emergency">;

function flagsOf({ localHour }: Event, facts: Flagged): Flag[] {
  if (facts.isMachine || facts.isSelf || facts.verb === "ask" || facts.who === null) return [];
  const isUnreasoned = facts.purpose === null;
  const isAtNight = localHour !== null && (localHour < 6 || localHour >= 22);
  const isUnusual = facts.sensitive && !facts.emergency && (isUnreasoned || isAtNight);
  const flags: [Flag, boolean][] = [["unusual", isUnusual], ["noReason", isUnreasoned], ["atNight", isAtNight]];
  return flags.filter(([, is]) => is).map(([flag]) => flag);
}
