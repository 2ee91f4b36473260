// The tables of codes in plain words. The same stand in the FHIR crate (words.rs); tests/vectors/lines.json holds both to it.

/** Resource types by category, the commonest first: [code, words after "your", types]. */
export const CATEGORIES: readonly (readonly [code: string, words: string, types: readonly string[]])[] = [
  ["measurements", "measurements", ["Observation"]],
  ["allergies", "allergies", ["AllergyIntolerance"]],
  ["medicines", "medicines", [
    "MedicationRequest", "MedicationStatement", "MedicationAdministration", "MedicationDispense", "Medication",
  ]],
  ["diagnoses", "diagnoses", ["Condition"]],
  ["documents", "documents", ["DocumentReference", "Composition", "Binary", "DocumentManifest"]],
  ["testResults", "test results", ["DiagnosticReport"]],
  ["visits", "visits", ["Encounter", "EpisodeOfCare"]],
  ["vaccinations", "vaccinations", ["Immunization"]],
  ["procedures", "procedures", ["Procedure"]],
  ["personalDetails", "personal details", ["Patient", "RelatedPerson", "Person"]],
  ["images", "images", ["ImagingStudy", "Media"]],
  ["carePlan", "care plan", ["CarePlan", "CareTeam", "Goal"]],
  ["appointments", "appointments", ["Appointment", "Schedule", "Slot"]],
  ["orders", "orders", ["ServiceRequest", "Task"]],
  ["familyHistory", "family history", ["FamilyMemberHistory"]],
  ["bills", "insurance and bills", ["Coverage", "Claim", "ClaimResponse", "ExplanationOfBenefit"]],
  ["permissions", "permissions", ["Consent"]],
  ["answers", "answers to questions", ["QuestionnaireResponse"]],
  ["devices", "devices", ["Device", "DeviceUseStatement"]],
  ["trail", "trail", ["AuditEvent", "Provenance"]],
  ["messages", "messages", ["Communication", "CommunicationRequest"]],
  ["lists", "lists", ["List", "Bundle"]],
];

/** Sensitive topics (v3-ActCode, information sensitivity) as an adjective. */
export const TOPICS: ReadonlyMap<string, string> = new Map([
  ["PSY", "psychiatric"],
  ["PSYTHPN", "psychotherapy"],
  ["MH", "mental health"],
  ["BH", "behavioural health"],
  ["HIV", "HIV"],
  ["STD", "sexual health"],
  ["SEX", "sexual health"],
  ["ETH", "substance use"],
  ["SUD", "substance use"],
  ["SDV", "sexual or domestic violence"],
  ["DVD", "developmental"],
  ["GDIS", "genetic"],
  ["SCA", "sickle cell"],
  ["PREGNANT", "pregnancy"],
]);

/** Purposes of use (v3-ActReason). */
export const PURPOSES: ReadonlyMap<string, string> = new Map([
  ["TREAT", "For your treatment."],
  ["CAREMGT", "To organise your care."],
  ["CLINTRL", "For a clinical trial."],
  ["CLINTRLNPC", "For a clinical trial without treatment."],
  ["CLINTRLPC", "For a clinical trial with treatment."],
  ["CLINTRCH", "For research on a clinical trial."],
  ["COC", "To coordinate your care."],
  ["COVERAGE", "For your insurance."],
  ["ETREAT", "For your emergency treatment."],
  ["HPAYMT", "For payment."],
  ["CLMATTCH", "For a bill."],
  ["REMITADV", "For a payment advice."],
  ["HOPERAT", "To run the organisation."],
  ["HSYSADMIN", "To run its computers."],
  ["HCOMPL", "To check that rules are kept."],
  ["HQUALIMP", "To improve quality."],
  ["PATSFTY", "For patient safety."],
  ["PATADMIN", "For patient administration."],
  ["TRAIN", "For training of staff."],
  ["HTEST", "For a test."],
  ["HRESCH", "For research."],
  ["BIORCH", "For biomedical research."],
  ["DSRCH", "For research on a disease."],
  ["POARCH", "For research on ancestry."],
  ["PUBHLTH", "For public health."],
  ["DISASTER", "For help in a disaster."],
  ["HMARKT", "For marketing."],
  ["HLEGAL", "For a legal matter."],
  ["PATRQT", "At your request."],
  ["FAMRQT", "At your family's request."],
  ["PWATRNY", "At the request of who may act for you."],
]);

/** Jobs: SNOMED CT, ISCO-08 and FHIR practitioner-role codes. */
export const ROLES: ReadonlyMap<string, string> = new Map([
  ["nurse", "nurse"],
  ["224535009", "nurse"],
  ["106292003", "nurse"],
  ["2221", "nurse"],
  ["309453006", "midwife"],
  ["2222", "midwife"],
  ["doctor", "doctor"],
  ["158965000", "doctor"],
  ["309343006", "doctor"],
  ["2211", "doctor"],
  ["2212", "specialist doctor"],
  ["59058001", "family doctor"],
  ["80584001", "psychiatrist"],
  ["pharmacist", "pharmacist"],
  ["46255001", "pharmacist"],
  ["2262", "pharmacist"],
  ["researcher", "researcher"],
  ["ict", "computer specialist"],
]);

/** A category in words: "test results". */
export function dataWords(category: string): string {
  return CATEGORIES.find(([known]) => known === category)?.[1] ?? "other records";
}
