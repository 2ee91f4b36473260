// What a person sees of a record: a FHIR resource in plain lines, a text as a text, anything else as a file to save.
import { get, list, parseTree, text } from "../reading/json";

/** A name and what stands there. */
export interface Row {
  readonly name: string;
  readonly value: string;
}

export type Shown =
  | { readonly kind: "rows"; readonly rows: readonly Row[] }
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "file" };

const TEXT_MAX = 20_000;
const LIST_MAX = 20;

/** The words of a CodeableConcept. */
function concept(node: unknown): string | null {
  const [first] = list(node, "coding");
  return text(node, "text") ?? text(first, "display") ?? text(first, "code");
}

function quantity(node: unknown): string | null {
  const value = get(node, "value");
  if (typeof value !== "number" && typeof value !== "string") return null;
  return [String(value), text(node, "unit") ?? text(node, "code")].filter(Boolean).join(" ");
}

function name(node: unknown): string | null {
  const [first] = list(node, "name");
  return text(first, "text") ?? ([...list(first, "given"), text(first, "family")].filter((part) => typeof part === "string").join(" ") || null);
}

type Reader = (resource: unknown) => string | null;

const first = (member: string, of: (node: unknown) => string | null): Reader => (resource) => of(list(resource, member)[0]);
const all = (member: string, of: (node: unknown) => string | null): Reader => (resource) =>
  list(resource, member).slice(0, LIST_MAX).map(of).filter(Boolean).join("; ") || null;
const member = (path: string): Reader => (resource) => text(resource, path);
const within = (path: string, of: (node: unknown) => string | null): Reader => (resource) => of(get(resource, path));

/** What the commonest resource types say, in the order in which people read it. */
const READERS: readonly (readonly [name: string, read: Reader])[] = [
  ["What", (resource) => within("code", concept)(resource) ?? within("vaccineCode", concept)(resource) ?? within("medicationCodeableConcept", concept)(resource)
    ?? within("type", concept)(resource) ?? first("type", concept)(resource) ?? name(resource) ?? member("title")(resource) ?? member("description")(resource)],
  ["Value", (resource) => within("valueQuantity", quantity)(resource) ?? within("valueCodeableConcept", concept)(resource) ?? member("valueString")(resource)],
  ["Parts", all("component", (part) => [concept(get(part, "code")), quantity(get(part, "valueQuantity"))].filter(Boolean).join(": ") || null)],
  ["Dose", all("dosageInstruction", (dose) => text(dose, "text"))],
  ["Reaction", all("reaction", (one) => list(one, "manifestation").map(concept).filter(Boolean).join(", ") || text(one, "description"))],
  ["Severity", (resource) => member("criticality")(resource) ?? within("severity", concept)(resource)],
  ["State", (resource) => within("clinicalStatus", concept)(resource) ?? member("status")(resource)],
  ["Confirmed", within("verificationStatus", concept)],
  ["When", (resource) => ["effectiveDateTime", "onsetDateTime", "recordedDate", "authoredOn", "occurrenceDateTime", "performedDateTime", "issued", "date"]
    .map((path) => text(resource, path)).find(Boolean) ?? text(get(resource, "period"), "start")],
  ["Born", member("birthDate")],
  ["Note", all("note", (note) => text(note, "text"))],
  ["Conclusion", member("conclusion")],
];

/** Bytes as a person can read them. The bytes were checked before. */
export function shown(bytes: Uint8Array, mediaType: string): Shown {
  const tree = mediaType.includes("json") ? parseTree(bytes) : null;
  if (text(tree, "resourceType") !== null) {
    const rows = READERS.flatMap(([name, read]) => {
      const value = read(tree);
      return value ? [{ name, value }] : [];
    });
    if (rows.length > 0) return { kind: "rows", rows };
  }
  if (!mediaType.startsWith("text/") && !mediaType.includes("json")) return { kind: "file" };
  try {
    const whole = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return { kind: "text", text: whole.slice(0, TEXT_MAX) };
  } catch {
    return { kind: "file" };
  }
}
