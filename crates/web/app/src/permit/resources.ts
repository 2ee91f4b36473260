// FHIR R4's resource types, and what a person calls the commonest. The same stand in crates/permit (resources.rs);
// tests/vectors/statements.json holds both to it.

/** Every resource type of FHIR R4 (4.0.1). */
export const TYPES: ReadonlySet<string> = new Set(`
  Account ActivityDefinition AdverseEvent AllergyIntolerance Appointment AppointmentResponse AuditEvent Basic
  Binary BiologicallyDerivedProduct BodyStructure Bundle CapabilityStatement CarePlan CareTeam CatalogEntry
  ChargeItem ChargeItemDefinition Claim ClaimResponse ClinicalImpression CodeSystem Communication
  CommunicationRequest CompartmentDefinition Composition ConceptMap Condition Consent Contract Coverage
  CoverageEligibilityRequest CoverageEligibilityResponse DetectedIssue Device DeviceDefinition DeviceMetric
  DeviceRequest DeviceUseStatement DiagnosticReport DocumentManifest DocumentReference EffectEvidenceSynthesis
  Encounter Endpoint EnrollmentRequest EnrollmentResponse EpisodeOfCare EventDefinition Evidence EvidenceVariable
  ExampleScenario ExplanationOfBenefit FamilyMemberHistory Flag Goal GraphDefinition Group GuidanceResponse
  HealthcareService ImagingStudy Immunization ImmunizationEvaluation ImmunizationRecommendation ImplementationGuide
  InsurancePlan Invoice Library Linkage List Location Measure MeasureReport Media Medication
  MedicationAdministration MedicationDispense MedicationKnowledge MedicationRequest MedicationStatement
  MedicinalProduct MedicinalProductAuthorization MedicinalProductContraindication MedicinalProductIndication
  MedicinalProductIngredient MedicinalProductInteraction MedicinalProductManufactured MedicinalProductPackaged
  MedicinalProductPharmaceutical MedicinalProductUndesirableEffect MessageDefinition MessageHeader
  MolecularSequence NamingSystem NutritionOrder Observation ObservationDefinition OperationDefinition
  OperationOutcome Organization OrganizationAffiliation Parameters Patient PaymentNotice PaymentReconciliation
  Person PlanDefinition Practitioner PractitionerRole Procedure Provenance Questionnaire QuestionnaireResponse
  RelatedPerson RequestGroup ResearchDefinition ResearchElementDefinition ResearchStudy ResearchSubject
  RiskAssessment RiskEvidenceSynthesis Schedule SearchParameter ServiceRequest Slot Specimen SpecimenDefinition
  StructureDefinition StructureMap Subscription Substance SubstanceNucleicAcid SubstancePolymer SubstanceProtein
  SubstanceReferenceInformation SubstanceSourceMaterial SubstanceSpecification SupplyDelivery SupplyRequest Task
  TerminologyCapabilities TestReport TestScript ValueSet VerificationResult VisionPrescription
`.trim().split(/\s+/));

/** A type in English; in Estonian in the partitive plural, which all verbs of a scope take. */
export const WORDS: ReadonlyMap<string, readonly [english: string, estonian: string]> = new Map([
  ["Observation", ["measurements", "mõõtmistulemusi"]],
  ["AllergyIntolerance", ["allergies", "allergiaid"]],
  ["MedicationRequest", ["prescriptions", "retsepte"]],
  ["MedicationStatement", ["medicines in use", "kasutatavaid ravimeid"]],
  ["MedicationAdministration", ["medicines given", "manustatud ravimeid"]],
  ["MedicationDispense", ["medicines handed out", "väljastatud ravimeid"]],
  ["Condition", ["diagnoses", "diagnoose"]],
  ["DocumentReference", ["documents", "dokumente"]],
  ["Composition", ["clinical summaries", "epikriise"]],
  ["Binary", ["files", "faile"]],
  ["DiagnosticReport", ["test results", "uuringute vastuseid"]],
  ["Encounter", ["visits", "visiite"]],
  ["EpisodeOfCare", ["episodes of care", "raviepisoode"]],
  ["Immunization", ["vaccinations", "vaktsineerimisi"]],
  ["Procedure", ["procedures", "protseduure"]],
  ["Patient", ["personal details", "isikuandmeid"]],
  ["RelatedPerson", ["details of relatives", "lähedaste andmeid"]],
  ["ImagingStudy", ["imaging studies", "pildiuuringuid"]],
  ["Media", ["photos and recordings", "fotosid ja salvestisi"]],
  ["CarePlan", ["care plans", "raviplaane"]],
  ["CareTeam", ["care teams", "ravimeeskondi"]],
  ["Goal", ["goals of care", "ravieesmärke"]],
  ["Appointment", ["appointments", "vastuvõtuaegu"]],
  ["ServiceRequest", ["referrals and orders", "saatekirju ja tellimusi"]],
  ["FamilyMemberHistory", ["family history", "pereliikmete terviseandmeid"]],
  ["Coverage", ["insurance", "kindlustusandmeid"]],
  ["Claim", ["bills", "raviarveid"]],
  ["ExplanationOfBenefit", ["payments of the insurer", "kindlustusandja makseid"]],
  ["Consent", ["permissions", "lube ja nõusolekuid"]],
  ["QuestionnaireResponse", ["answers to questionnaires", "küsimustike vastuseid"]],
  ["Device", ["devices", "seadmeid"]],
  ["AuditEvent", ["lines about who used the data", "ridu andmete kasutamise kohta"]],
  ["Provenance", ["origins of data", "andmete päritolu kirjeid"]],
  ["Communication", ["messages", "sõnumeid"]],
  ["Specimen", ["samples", "proove"]],
  ["RiskAssessment", ["risk assessments", "riskihinnanguid"]],
  ["NutritionOrder", ["diets", "dieete"]],
  ["VisionPrescription", ["prescriptions for glasses", "prilliretsepte"]],
  ["MolecularSequence", ["genetic sequences", "geenijärjestusi"]],
  ["ClinicalImpression", ["clinical assessments", "arsti hinnanguid"]],
]);
