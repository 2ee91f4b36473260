// SMART on FHIR scopes: strict reading, one canonical spelling, and what covers what, as in crates/permit (scopes.rs).
import { isAtLeast, MARKS, type Confidentiality } from "./confidentiality";
import { TYPES } from "./resources";

const SCOPE_BYTES_MAX = 256;
const SCOPES_MAX = 32;
const SCOPES_BYTES_MAX = 2048;

/** The parameter that names a mark of confidentiality. */
export const SECURITY = "_security";

const CONTEXTS = ["patient", "user", "system"] as const;
const LETTERS = "cruds";
/** Version 1 in letters of version 2. */
const OLD: Readonly<Record<string, string>> = { read: "rs", write: "cud", "*": LETTERS };

export interface Parameter {
  name: string;
  value: string;
}

export interface Scope {
  context: (typeof CONTEXTS)[number];
  /** A resource type of FHIR R4; null: all. */
  resource: string | null;
  /** Some of c r u d s, in this order. */
  interactions: string;
  parameter: Parameter | null;
}

/** What is known of data that were used. */
export interface Data {
  /** Null, or a type that FHIR R4 does not have: only a scope for all types covers. */
  resource: string | null;
  /** Null: normal. */
  confidentiality: Confidentiality | null;
  /** Codes of sensitive topics (v3-ActCode). */
  topics: string[];
  /** Search parameters that these data are known to fit, as `name=value`. */
  parameters: string[];
}

/** The rule that a scope breaks. */
export type ScopeRule =
  | "context" | "resource" | "interactions" | "parameter" | "secondParameter" | "value" | "mark" | "oldWithParameter" | "bytes";

/** A scope that is none, and why. */
export class ScopeError extends Error {
  override readonly name = "ScopeError";

  constructor(readonly scope: string, readonly rule: ScopeRule) {
    super(`scope ${JSON.stringify(scope.slice(0, 80))}: ${rule}`);
  }
}

/** `text` around the first `by`; null if there is none. */
function split(text: string, by: string): [string, string] | null {
  const place = text.indexOf(by);
  return place < 0 ? null : [text.slice(0, place), text.slice(place + 1)];
}

/** Reads one scope; throws a [`ScopeError`]. */
export function parseScope(text: string): Scope {
  const wrong = (rule: ScopeRule) => new ScopeError(text, rule);
  if (new TextEncoder().encode(text).length > SCOPE_BYTES_MAX) throw wrong("bytes");
  const [first, afterContext] = split(text, "/") ?? ["", ""];
  const context = CONTEXTS.find((known) => known === first);
  if (context === undefined) throw wrong("context");
  const [type, afterType] = split(afterContext, ".") ?? ["", ""];
  if (type !== "*" && !TYPES.has(type)) throw wrong("resource");
  const [letters, restriction] = split(afterType, "?") ?? [afterType, null];
  const old = Object.hasOwn(OLD, letters) ? OLD[letters] : undefined;
  if (old === undefined && !/^(?=.)c?r?u?d?s?$/.test(letters)) throw wrong("interactions");
  if (old !== undefined && restriction !== null) throw wrong("oldWithParameter");
  const parameter = restriction === null ? null : parseParameter(restriction, wrong);
  return { context, resource: type === "*" ? null : type, interactions: old ?? letters, parameter };
}

function parseParameter(text: string, wrong: (rule: ScopeRule) => ScopeError): Parameter {
  if (text.includes("&")) throw wrong("secondParameter");
  const [name, value] = split(text, "=") ?? ["", ""];
  if (!/^[A-Za-z0-9_-]+$/.test(name) || value === "") throw wrong("parameter");
  // An escape or a list would be a second spelling of another scope; the rest is not to stand in what a wallet shows.
  if (!/^[!-~]+$/.test(value) || /["%&*,?\\`<>]/.test(value)) throw wrong("value");
  if (name === SECURITY && !MARKS.has(value)) throw wrong("mark");
  return { name, value };
}

/** The one spelling of a scope. */
export function scopeText({ context, resource, interactions, parameter }: Scope): string {
  const restriction = parameter === null ? "" : `?${parameter.name}=${parameter.value}`;
  return `${context}/${resource ?? "*"}.${interactions}${restriction}`;
}

function parameterCovers(wider: Parameter, narrower: Parameter): boolean {
  if (wider.name !== narrower.name) return false;
  if (wider.value === narrower.value) return true;
  // Who may see what is very restricted may see what is restricted.
  if (wider.name === SECURITY) return wider.value === "V" && narrower.value === "R";
  // FHIR's token search: a code without a system fits that code of any system.
  return !wider.value.includes("|") && split(narrower.value, "|")?.[1] === wider.value;
}

const hasAll = (letters: string, needed: string) => [...needed].every((letter) => letters.includes(letter));

/** Whether all that the narrower scope allows is allowed by the wider one: a partial order. */
export function scopeCovers(wider: Scope, narrower: Scope): boolean {
  if (wider.context !== narrower.context || !hasAll(wider.interactions, narrower.interactions)) return false;
  if (wider.resource !== null && wider.resource !== narrower.resource) return false;
  // A scope without a mark ends where the marks begin.
  if (wider.parameter === null) return narrower.parameter?.name !== SECURITY;
  return narrower.parameter !== null && parameterCovers(wider.parameter, narrower.parameter);
}

/** Whether a permission must name a mark before it covers these data. */
export function isMarked({ confidentiality, topics }: Data): boolean {
  return isAtLeast(confidentiality ?? "N", "R") || topics.length > 0;
}

/** Whether a scope allows one interaction (a letter) with these data. */
export function scopeAllows({ interactions, resource, parameter }: Scope, letter: string, data: Data): boolean {
  if (!interactions.includes(letter) || (resource !== null && resource !== data.resource)) return false;
  if (parameter === null) return !isMarked(data);
  const level = data.confidentiality ?? "N";
  if (parameter.name !== SECURITY) {
    const facts = data.parameters.map((fact) => split(fact, "=")).filter((fact) => fact !== null);
    return !isMarked(data) && facts.some(([name, value]) => parameterCovers(parameter, { name, value }));
  }
  if (parameter.value === "V") return isAtLeast(level, "R");
  // A topic does not open what is very restricted.
  return parameter.value === "R" ? level === "R" : level !== "V" && data.topics.includes(parameter.value);
}

/** Scopes with one blank between them, none within another; null if that is no such list. */
export function parseScopes(text: string): Scope[] | null {
  const parts = text.split(" ");
  if (new TextEncoder().encode(text).length > SCOPES_BYTES_MAX || parts.length > SCOPES_MAX) return null;
  try {
    const scopes = parts.map(parseScope);
    const isWithin = (scope: Scope) => scopes.some((other) => other !== scope && scopeCovers(other, scope));
    return scopes.some(isWithin) ? null : scopes;
  } catch (error) {
    if (error instanceof ScopeError) return null;
    throw error;
  }
}
