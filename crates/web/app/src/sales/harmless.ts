// What is left of a resource that is de-identified: the elements that may pass, by type. A list for people to read before
// they sell or buy; crates/market (harmless/tables.rs) does it, and harmless.test.ts holds this to that.
import type { Profile } from "../permit/dataset";

/** What an element holds: the kinds of words that a person needs. */
export type Holds = "code" | "concept" | "quantity" | "date" | "year" | "yes" | "link" | "parts";

const LETTERS: Readonly<Record<string, Holds>> = { c: "code", k: "concept", q: "quantity", d: "date", y: "year", b: "yes", l: "link", p: "parts" };

const TABLE: Readonly<Record<string, string>> = {
  Patient: "active:b gender:c birthDate:y deceasedBoolean:b deceasedDateTime:d",
  Observation: `status:c category:k code:k subject:l encounter:l effectiveDateTime:d effectivePeriod:d effectiveInstant:d valueQuantity:q
    valueCodeableConcept:k valueBoolean:b valueRange:q valueRatio:q valueDateTime:y valuePeriod:y dataAbsentReason:k interpretation:k bodySite:k
    method:k referenceRange:p hasMember:l derivedFrom:l component:p`,
  Condition: `clinicalStatus:k verificationStatus:k category:k severity:k code:k bodySite:k subject:l encounter:l onsetDateTime:d onsetPeriod:d
    abatementDateTime:d abatementPeriod:d recordedDate:d`,
  MedicationRequest: "status:c intent:c doNotPerform:b medicationCodeableConcept:k subject:l encounter:l authoredOn:d reasonCode:k dosageInstruction:p",
  MedicationStatement: `status:c medicationCodeableConcept:k subject:l context:l effectiveDateTime:d effectivePeriod:d dateAsserted:d reasonCode:k
    dosage:p`,
  AllergyIntolerance: `clinicalStatus:k verificationStatus:k type:c category:c criticality:c code:k patient:l encounter:l onsetDateTime:d
    onsetPeriod:d recordedDate:d lastOccurrence:d reaction:p`,
  Immunization: `status:c statusReason:k vaccineCode:k patient:l encounter:l occurrenceDateTime:d primarySource:b site:k route:k doseQuantity:q
    isSubpotent:b`,
  Procedure: "status:c category:k code:k subject:l encounter:l performedDateTime:d performedPeriod:d reasonCode:k bodySite:k outcome:k",
  Encounter: "status:c class:k type:k subject:l period:d reasonCode:k length:q",
  DiagnosticReport: "status:c category:k code:k subject:l encounter:l effectiveDateTime:d effectivePeriod:d result:l conclusionCode:k",
};

/** Types of which anything passes. */
export const HARMLESS_TYPES: ReadonlySet<string> = new Set(Object.keys(TABLE));

export interface Element {
  readonly name: string;
  readonly holds: Holds;
}

/** What stands in a resource of this type when it is de-identified; nothing: no resource of this type passes. */
export function elementsOf(type: string): readonly Element[] {
  const row = Object.hasOwn(TABLE, type) ? TABLE[type] : undefined;
  return (row?.split(/\s+/) ?? []).map((field) => {
    const [name = "", letter = ""] = field.split(":");
    return { name, holds: LETTERS[letter] ?? "parts" };
  });
}

/** How a date looks in this form. */
export const datesAs = (profile: Profile): "year" | "moved" => (profile === "hipaa-safe-harbor-v1" ? "year" : "moved");
