// An AuditEvent (FHIR R4) as far as a person's line tells of it. Whether it keeps the rules was judged when it was taken;
// nothing fails here.
import { base64Bytes } from "../ledger/bytes";
import { get, list, text } from "./json";

export interface Coding {
  system: string;
  code: string;
  display: string | null;
}

export interface Party {
  /** `Type/id` without base URL and history; anything else as it was sent. */
  reference: string | null;
  /** `system|value`. */
  identifier: string | null;
  identifierValue: string | null;
  display: string | null;
  resourceType: string | null;
}

export interface Agent {
  codes: Coding[];
  who: Party;
  altId: string | null;
  name: string | null;
  requestor: boolean;
  roles: Coding[];
  purposes: Coding[];
}

export interface Entity {
  what: Party;
  kind: Coding;
  role: Coding;
  labels: Coding[];
  /** Decoded from base64 as far as it is text. */
  query: string | null;
  /** What changed in it: its description, and the details `before` and `after`, if all are told. */
  change: { item: string; before: string; after: string } | null;
}

export interface Event {
  /** The number of its kind: 1 access, 2 change, 3 hand-over. */
  kind: number;
  /** ASCII of `action`, 0 if there is none. */
  action: number;
  outcome: string | null;
  code: Coding;
  subtypes: Coding[];
  purposes: Coding[];
  agents: Agent[];
  entities: Entity[];
  observer: Party;
  site: string | null;
  /** The hour on the sender's clock, if `recorded` carries an offset. */
  localHour: number | null;
  /** The patient is told by an agent, as no entity is one. */
  isPatientAgent: boolean;
}

export const IMPORT = "110107";
const EXPORT = "110106";
/** SNOMED CT "Patient Advocate": in disclosures, who authorised it. */
const PATIENT_ADVOCATE = "429577009";

export function eventOf(tree: unknown): Event {
  const agents = list(tree, "agent").map(agentOf);
  const entities = list(tree, "entity").map(entityOf);
  const code = codingOf(get(tree, "type"));
  const letter = text(tree, "action");
  const action = letter?.length === 1 && letter <= "\u007f" ? letter.charCodeAt(0) : 0;
  const isHandOver = code.code === EXPORT || code.code === IMPORT;
  const source = get(tree, "source");
  const hasPatient = entities.some((entity) => isPatient(entity) && isNamed(tree, entity.what));
  return {
    kind: isHandOver ? 3 : "CUD".includes(String.fromCharCode(action)) ? 2 : 1,
    action,
    outcome: text(tree, "outcome"),
    code,
    subtypes: list(tree, "subtype").map(codingOf),
    purposes: list(tree, "purposeOfEvent").flatMap(concept),
    agents,
    entities,
    observer: partyOf(get(source, "observer")),
    site: text(source, "site"),
    localHour: localHour(text(tree, "recorded") ?? ""),
    isPatientAgent: !hasPatient && agents.some(({ who }) => who.resourceType === "Patient" && isNamed(tree, who)),
  };
}

/** The person, or what acted in a person's place: by the codes that BALP gives to users, else who requested it. */
export function userOf({ agents }: Event): Agent | null {
  const having = (...codes: string[]) => agents.find((agent) => agent.codes.some(({ code }) => codes.includes(code)));
  return having("IRCP", "AUT", "INF", "CST", "UserOauthAgent", "UserSamlAgent") ?? having(PATIENT_ADVOCATE)
    ?? agents.find(({ requestor }) => requestor) ?? null;
}

export function isPatient({ what, role }: Entity): boolean {
  const hasRole = role.code === "1" && (role.system === "" || role.system.endsWith("/object-role"));
  return hasRole || what.resourceType === "Patient";
}

/** Entities that are neither a patient nor the transaction. */
export function dataOf({ entities }: Event): Entity[] {
  return entities.filter((entity) =>
    !isPatient(entity) && entity.kind.code !== "XrequestId" && entity.role.code !== "13");
}

/** The first record, as the organisation names it. */
export function recordOf(event: Event): string | null {
  const names = dataOf(event).map(({ what }) => what.reference ?? what.identifier);
  return names.find((name) => name !== null) ?? null;
}

export function hasCode({ codes }: Agent, ...wanted: string[]): boolean {
  return codes.some(({ code }) => wanted.includes(code));
}

function codingOf(node: unknown): Coding {
  return { system: text(node, "system") ?? "", code: text(node, "code") ?? "", display: text(node, "display") };
}

/** The codings of a CodeableConcept; one without a coding gives its text. */
function concept(node: unknown): Coding[] {
  const words = text(node, "text");
  const [first, ...more] = list(node, "coding").map(codingOf);
  if (first !== undefined) return [{ ...first, display: words ?? first.display }, ...more];
  return words === null ? [] : [{ system: "", code: "", display: words }];
}

function partyOf(node: unknown): Party {
  const sent = text(node, "reference");
  const reference = sent === null ? null : shortReference(sent);
  const identifier = get(node, "identifier");
  const value = text(identifier, "value");
  const slash = reference?.indexOf("/") ?? -1;
  const named = slash < 0 ? null : (reference?.slice(0, slash) ?? null);
  return {
    reference,
    identifier: value === null ? null : `${text(identifier, "system") ?? ""}|${value}`,
    identifierValue: value,
    display: text(node, "display"),
    resourceType: named !== null && /^[A-Za-z]*$/.test(named) ? named : text(node, "type"),
  };
}

/** `Type/id` without base URL and history (R4 references). */
function shortReference(reference: string): string {
  const [current = reference] = reference.split("/_history/", 1);
  if (!/^https?:\/\//.test(current)) return current;
  const [, base = "", short] = /^(.*)\/([^/]*\/[^/]*)$/s.exec(current) ?? [];
  return short === undefined || /[/:]$/.test(base) ? current : short;
}

function agentOf(node: unknown): Agent {
  const type = get(node, "type");
  return {
    codes: type === undefined ? [] : concept(type),
    who: partyOf(get(node, "who")),
    altId: text(node, "altId"),
    name: text(node, "name"),
    requestor: get(node, "requestor") === true,
    roles: list(node, "role").flatMap(concept),
    purposes: list(node, "purposeOfUse").flatMap(concept),
  };
}

const LOSSY = new TextDecoder("utf-8", { ignoreBOM: true });

function entityOf(node: unknown): Entity {
  const bytes = base64Bytes((text(node, "query") ?? "!").replace(/[ \t\n\f\r]/g, ""));
  return {
    what: partyOf(get(node, "what")),
    kind: codingOf(get(node, "type")),
    role: codingOf(get(node, "role")),
    labels: list(node, "securityLabel").map(codingOf),
    query: bytes === null ? null : LOSSY.decode(bytes),
    change: changeOf(node),
  };
}

function changeOf(entity: unknown): Entity["change"] {
  const value = (kind: string) => text(list(entity, "detail").find((detail) => text(detail, "type") === kind), "valueString");
  const [item, before, after] = [text(entity, "description"), value("before"), value("after")];
  return item === null || before === null || after === null ? null : { item, before, after };
}

/** Whether this names a patient. A contained one is named by its first identifier. */
function isNamed(tree: unknown, who: Party): boolean {
  if (who.identifier !== null || who.reference === null) return who.identifier !== null;
  if (!who.reference.startsWith("#")) return true;
  const local = who.reference.slice(1);
  const contained = list(tree, "contained").find((node) => text(node, "id") === local);
  return text(list(contained, "identifier")[0], "value") !== null;
}

/** The hour of an R4 `instant` on the writer's clock, if an offset says where that clock hangs ("Z" does not). */
function localHour(instant: string): number | null {
  const form = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:Z|[+-](\d\d):(\d\d))$/;
  const [found, ...parts] = form.exec(instant) ?? [];
  if (found === undefined || found.endsWith("Z")) return null;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, zoneHour = 0, zoneMinute = 0] = parts.map(Number);
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const days = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1] ?? 0;
  const isDate = year > 0 && day > 0 && day <= days;
  // A leap second is allowed by R4.
  const isTime = hour <= 23 && minute <= 59 && second <= 60;
  const isZone = zoneMinute <= 59 && zoneHour * 60 + zoneMinute <= 14 * 60;
  return isDate && isTime && isZone ? hour : null;
}
