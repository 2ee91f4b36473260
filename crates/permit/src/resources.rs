//! FHIR R4's resource types, and what a person calls the commonest: a scope names types, a person
//! reads words.

/// Every resource type of FHIR R4 (4.0.1).
const TYPES: [&str; 146] = [
    "Account",
    "ActivityDefinition",
    "AdverseEvent",
    "AllergyIntolerance",
    "Appointment",
    "AppointmentResponse",
    "AuditEvent",
    "Basic",
    "Binary",
    "BiologicallyDerivedProduct",
    "BodyStructure",
    "Bundle",
    "CapabilityStatement",
    "CarePlan",
    "CareTeam",
    "CatalogEntry",
    "ChargeItem",
    "ChargeItemDefinition",
    "Claim",
    "ClaimResponse",
    "ClinicalImpression",
    "CodeSystem",
    "Communication",
    "CommunicationRequest",
    "CompartmentDefinition",
    "Composition",
    "ConceptMap",
    "Condition",
    "Consent",
    "Contract",
    "Coverage",
    "CoverageEligibilityRequest",
    "CoverageEligibilityResponse",
    "DetectedIssue",
    "Device",
    "DeviceDefinition",
    "DeviceMetric",
    "DeviceRequest",
    "DeviceUseStatement",
    "DiagnosticReport",
    "DocumentManifest",
    "DocumentReference",
    "EffectEvidenceSynthesis",
    "Encounter",
    "Endpoint",
    "EnrollmentRequest",
    "EnrollmentResponse",
    "EpisodeOfCare",
    "EventDefinition",
    "Evidence",
    "EvidenceVariable",
    "ExampleScenario",
    "ExplanationOfBenefit",
    "FamilyMemberHistory",
    "Flag",
    "Goal",
    "GraphDefinition",
    "Group",
    "GuidanceResponse",
    "HealthcareService",
    "ImagingStudy",
    "Immunization",
    "ImmunizationEvaluation",
    "ImmunizationRecommendation",
    "ImplementationGuide",
    "InsurancePlan",
    "Invoice",
    "Library",
    "Linkage",
    "List",
    "Location",
    "Measure",
    "MeasureReport",
    "Media",
    "Medication",
    "MedicationAdministration",
    "MedicationDispense",
    "MedicationKnowledge",
    "MedicationRequest",
    "MedicationStatement",
    "MedicinalProduct",
    "MedicinalProductAuthorization",
    "MedicinalProductContraindication",
    "MedicinalProductIndication",
    "MedicinalProductIngredient",
    "MedicinalProductInteraction",
    "MedicinalProductManufactured",
    "MedicinalProductPackaged",
    "MedicinalProductPharmaceutical",
    "MedicinalProductUndesirableEffect",
    "MessageDefinition",
    "MessageHeader",
    "MolecularSequence",
    "NamingSystem",
    "NutritionOrder",
    "Observation",
    "ObservationDefinition",
    "OperationDefinition",
    "OperationOutcome",
    "Organization",
    "OrganizationAffiliation",
    "Parameters",
    "Patient",
    "PaymentNotice",
    "PaymentReconciliation",
    "Person",
    "PlanDefinition",
    "Practitioner",
    "PractitionerRole",
    "Procedure",
    "Provenance",
    "Questionnaire",
    "QuestionnaireResponse",
    "RelatedPerson",
    "RequestGroup",
    "ResearchDefinition",
    "ResearchElementDefinition",
    "ResearchStudy",
    "ResearchSubject",
    "RiskAssessment",
    "RiskEvidenceSynthesis",
    "Schedule",
    "SearchParameter",
    "ServiceRequest",
    "Slot",
    "Specimen",
    "SpecimenDefinition",
    "StructureDefinition",
    "StructureMap",
    "Subscription",
    "Substance",
    "SubstanceNucleicAcid",
    "SubstancePolymer",
    "SubstanceProtein",
    "SubstanceReferenceInformation",
    "SubstanceSourceMaterial",
    "SubstanceSpecification",
    "SupplyDelivery",
    "SupplyRequest",
    "Task",
    "TerminologyCapabilities",
    "TestReport",
    "TestScript",
    "ValueSet",
    "VerificationResult",
    "VisionPrescription",
];

/// A type, and what a person calls such data: English; Estonian in the partitive plural, which all
/// verbs of a scope take.
const WORDS: [(&str, &str, &str); 40] = [
    ("Observation", "measurements", "mõõtmistulemusi"),
    ("AllergyIntolerance", "allergies", "allergiaid"),
    ("MedicationRequest", "prescriptions", "retsepte"),
    ("MedicationStatement", "medicines in use", "kasutatavaid ravimeid"),
    ("MedicationAdministration", "medicines given", "manustatud ravimeid"),
    ("MedicationDispense", "medicines handed out", "väljastatud ravimeid"),
    ("Condition", "diagnoses", "diagnoose"),
    ("DocumentReference", "documents", "dokumente"),
    ("Composition", "clinical summaries", "epikriise"),
    ("Binary", "files", "faile"),
    ("DiagnosticReport", "test results", "uuringute vastuseid"),
    ("Encounter", "visits", "visiite"),
    ("EpisodeOfCare", "episodes of care", "raviepisoode"),
    ("Immunization", "vaccinations", "vaktsineerimisi"),
    ("Procedure", "procedures", "protseduure"),
    ("Patient", "personal details", "isikuandmeid"),
    ("RelatedPerson", "details of relatives", "lähedaste andmeid"),
    ("ImagingStudy", "imaging studies", "pildiuuringuid"),
    ("Media", "photos and recordings", "fotosid ja salvestisi"),
    ("CarePlan", "care plans", "raviplaane"),
    ("CareTeam", "care teams", "ravimeeskondi"),
    ("Goal", "goals of care", "ravieesmärke"),
    ("Appointment", "appointments", "vastuvõtuaegu"),
    ("ServiceRequest", "referrals and orders", "saatekirju ja tellimusi"),
    ("FamilyMemberHistory", "family history", "pereliikmete terviseandmeid"),
    ("Coverage", "insurance", "kindlustusandmeid"),
    ("Claim", "bills", "raviarveid"),
    ("ExplanationOfBenefit", "payments of the insurer", "kindlustusandja makseid"),
    ("Consent", "permissions", "lube ja nõusolekuid"),
    ("QuestionnaireResponse", "answers to questionnaires", "küsimustike vastuseid"),
    ("Device", "devices", "seadmeid"),
    ("AuditEvent", "lines about who used the data", "ridu andmete kasutamise kohta"),
    ("Provenance", "origins of data", "andmete päritolu kirjeid"),
    ("Communication", "messages", "sõnumeid"),
    ("Specimen", "samples", "proove"),
    ("RiskAssessment", "risk assessments", "riskihinnanguid"),
    ("NutritionOrder", "diets", "dieete"),
    ("VisionPrescription", "prescriptions for glasses", "prilliretsepte"),
    ("MolecularSequence", "genetic sequences", "geenijärjestusi"),
    ("ClinicalImpression", "clinical assessments", "arsti hinnanguid"),
];

/// The type as FHIR R4 spells it, if it is one.
pub(crate) fn known(name: &str) -> Option<&'static str> {
    TYPES.iter().find(|known| **known == name).copied()
}

/// What a person calls data of this type: none for an uncommon one.
pub(crate) fn words(name: &str) -> Option<(&'static str, &'static str)> {
    let found = WORDS.iter().find(|(known, ..)| *known == name);
    found.map(|(_, english, estonian)| (*english, *estonian))
}

/// Every resource type of FHIR R4.
pub fn types() -> impl Iterator<Item = &'static str> {
    TYPES.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_sorted_and_every_word_is_of_one() {
        assert!(TYPES.is_sorted());
        assert!(WORDS.iter().all(|(name, ..)| known(name).is_some()));
    }

    #[test]
    fn no_two_types_are_told_in_the_same_words() {
        for (place, (name, english, estonian)) in WORDS.iter().enumerate() {
            for other in &WORDS[..place] {
                assert!(other.0 != *name && other.1 != *english && other.2 != *estonian, "{name}");
            }
        }
    }
}
