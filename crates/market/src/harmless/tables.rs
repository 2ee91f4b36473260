//! Which elements of which resources survive: a list of what may pass, since a list of what may not
//! never ends. What stands in no table is dropped, whatever its name.

/// How one element is taken over.
#[derive(Clone, Copy)]
pub(super) enum Rule {
    /// One of these codes.
    Code(&'static str),
    /// `CodeableConcept`: of each coding system and code.
    Concept,
    /// `Coding`: the same.
    Coding,
    /// `Quantity` with a unit that is known.
    Quantity,
    /// `Range`, `Ratio`: two quantities of these names.
    Two(&'static str, &'static str),
    /// `date`, `dateTime`, `instant`, as the profile takes them.
    Date,
    /// A date of birth, or one that may be measured as a value: of it the year at most, in every
    /// profile.
    Birth,
    /// `Period`.
    Period,
    /// A `Period` that is measured as a value: of its ends the years at most, in every profile.
    Years,
    Boolean,
    /// A reference to a resource of this type that is chosen for the same delivery.
    Reference(&'static str),
    /// An element of parts.
    Parts(&'static [Field]),
    /// It changes what the rest means and cannot be taken over.
    Never,
}

/// What happens to the resource, or to the part of one, where an element cannot be taken over.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// It goes on without.
    No,
    /// It would mean something else: it is dropped, if the element stood there.
    IfThere,
    /// It is nothing without: it is dropped.
    Always,
}

/// One element of a table.
#[derive(Clone, Copy)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) rule: Rule,
    pub(super) many: bool,
    pub(super) need: Need,
}

const fn one(name: &'static str, rule: Rule) -> Field {
    Field { name, rule, many: false, need: Need::No }
}

const fn many(name: &'static str, rule: Rule) -> Field {
    Field { name, rule, many: true, need: Need::No }
}

/// A modifier element.
const fn modifier(name: &'static str, rule: Rule) -> Field {
    Field { name, rule, many: false, need: Need::IfThere }
}

const fn always(name: &'static str, rule: Rule) -> Field {
    Field { name, rule, many: false, need: Need::Always }
}

use Rule::{
    Birth, Boolean, Code, Coding, Concept, Date, Never, Parts, Period, Quantity, Reference, Two,
    Years,
};

const RANGE: Rule = Two("low", "high");
const RATIO: Rule = Two("numerator", "denominator");

/// With one bound less, or of more people, it is another range.
const REFERENCE_RANGE: Rule = Parts(&[
    modifier("low", Quantity),
    modifier("high", Quantity),
    modifier("type", Concept),
    Field { name: "appliesTo", rule: Concept, many: true, need: Need::IfThere },
    modifier("age", Never),
]);

const COMPONENT: Rule = Parts(&[
    always("code", Concept),
    one("valueQuantity", Quantity),
    one("valueCodeableConcept", Concept),
    one("valueBoolean", Boolean),
    one("valueRange", RANGE),
    one("valueRatio", RATIO),
    one("valueDateTime", Birth),
    one("valuePeriod", Years),
    one("dataAbsentReason", Concept),
    many("interpretation", Concept),
    many("referenceRange", REFERENCE_RANGE),
]);

const DOSAGE: Rule = Parts(&[
    one("asNeededBoolean", Boolean),
    one("route", Concept),
    many(
        "doseAndRate",
        Parts(&[
            one("type", Concept),
            one("doseQuantity", Quantity),
            one("doseRange", RANGE),
            one("rateQuantity", Quantity),
            one("rateRatio", RATIO),
        ]),
    ),
]);

const REACTION: Rule = Parts(&[
    one("substance", Concept),
    many("manifestation", Concept),
    one("onset", Date),
    one("severity", Code("mild moderate severe")),
    one("exposureRoute", Concept),
]);

/// The tables, by type.
pub(super) const TABLES: [(&str, &[Field]); 10] = [
    (
        "Patient",
        &[
            modifier("active", Boolean),
            one("gender", Code("male female other unknown")),
            one("birthDate", Birth),
            modifier("deceasedBoolean", Boolean),
            modifier("deceasedDateTime", Date),
            modifier("link", Never),
        ],
    ),
    (
        "Observation",
        &[
            always(
                "status",
                Code(
                    "registered preliminary final amended corrected cancelled entered-in-error \
                     unknown",
                ),
            ),
            many("category", Concept),
            always("code", Concept),
            one("subject", Reference("Patient")),
            one("encounter", Reference("Encounter")),
            one("effectiveDateTime", Date),
            one("effectivePeriod", Period),
            one("effectiveInstant", Date),
            one("valueQuantity", Quantity),
            one("valueCodeableConcept", Concept),
            one("valueBoolean", Boolean),
            one("valueRange", RANGE),
            one("valueRatio", RATIO),
            one("valueDateTime", Birth),
            one("valuePeriod", Years),
            one("dataAbsentReason", Concept),
            many("interpretation", Concept),
            one("bodySite", Concept),
            one("method", Concept),
            many("referenceRange", REFERENCE_RANGE),
            many("hasMember", Reference("Observation")),
            many("derivedFrom", Reference("Observation")),
            many("component", COMPONENT),
        ],
    ),
    (
        "Condition",
        &[
            modifier("clinicalStatus", Concept),
            modifier("verificationStatus", Concept),
            many("category", Concept),
            one("severity", Concept),
            always("code", Concept),
            many("bodySite", Concept),
            one("subject", Reference("Patient")),
            one("encounter", Reference("Encounter")),
            one("onsetDateTime", Date),
            one("onsetPeriod", Period),
            one("abatementDateTime", Date),
            one("abatementPeriod", Period),
            one("recordedDate", Date),
        ],
    ),
    (
        "MedicationRequest",
        &[
            always(
                "status",
                Code("active on-hold cancelled completed entered-in-error stopped draft unknown"),
            ),
            always(
                "intent",
                Code(
                    "proposal plan order original-order reflex-order filler-order instance-order \
                     option",
                ),
            ),
            modifier("doNotPerform", Boolean),
            always("medicationCodeableConcept", Concept),
            one("subject", Reference("Patient")),
            one("encounter", Reference("Encounter")),
            one("authoredOn", Date),
            many("reasonCode", Concept),
            many("dosageInstruction", DOSAGE),
        ],
    ),
    (
        "MedicationStatement",
        &[
            always(
                "status",
                Code(
                    "active completed entered-in-error intended stopped on-hold unknown not-taken",
                ),
            ),
            always("medicationCodeableConcept", Concept),
            one("subject", Reference("Patient")),
            one("context", Reference("Encounter")),
            one("effectiveDateTime", Date),
            one("effectivePeriod", Period),
            one("dateAsserted", Date),
            many("reasonCode", Concept),
            many("dosage", DOSAGE),
        ],
    ),
    (
        "AllergyIntolerance",
        &[
            modifier("clinicalStatus", Concept),
            modifier("verificationStatus", Concept),
            one("type", Code("allergy intolerance")),
            many("category", Code("food medication environment biologic")),
            one("criticality", Code("low high unable-to-assess")),
            always("code", Concept),
            one("patient", Reference("Patient")),
            one("encounter", Reference("Encounter")),
            one("onsetDateTime", Date),
            one("onsetPeriod", Period),
            one("recordedDate", Date),
            one("lastOccurrence", Date),
            many("reaction", REACTION),
        ],
    ),
    (
        "Immunization",
        &[
            always("status", Code("completed entered-in-error not-done")),
            one("statusReason", Concept),
            always("vaccineCode", Concept),
            one("patient", Reference("Patient")),
            one("encounter", Reference("Encounter")),
            one("occurrenceDateTime", Date),
            one("primarySource", Boolean),
            one("site", Concept),
            one("route", Concept),
            one("doseQuantity", Quantity),
            modifier("isSubpotent", Boolean),
        ],
    ),
    (
        "Procedure",
        &[
            always(
                "status",
                Code(
                    "preparation in-progress not-done on-hold stopped completed entered-in-error \
                     unknown",
                ),
            ),
            one("category", Concept),
            always("code", Concept),
            one("subject", Reference("Patient")),
            one("encounter", Reference("Encounter")),
            one("performedDateTime", Date),
            one("performedPeriod", Period),
            many("reasonCode", Concept),
            many("bodySite", Concept),
            one("outcome", Concept),
        ],
    ),
    (
        "Encounter",
        &[
            always(
                "status",
                Code(
                    "planned arrived triaged in-progress onleave finished cancelled \
                     entered-in-error unknown",
                ),
            ),
            always("class", Coding),
            many("type", Concept),
            one("subject", Reference("Patient")),
            one("period", Period),
            many("reasonCode", Concept),
            one("length", Quantity),
        ],
    ),
    (
        "DiagnosticReport",
        &[
            always(
                "status",
                Code(
                    "registered partial preliminary final amended corrected appended cancelled \
                     entered-in-error unknown",
                ),
            ),
            many("category", Concept),
            always("code", Concept),
            one("subject", Reference("Patient")),
            one("encounter", Reference("Encounter")),
            one("effectiveDateTime", Date),
            one("effectivePeriod", Period),
            many("result", Reference("Observation")),
            many("conclusionCode", Concept),
        ],
    ),
];

/// Names of elements that are commonly dropped, as the report may say them. Any other name is a
/// stranger's word, and the report says `*`.
pub(super) const DROPPED: &str = "id meta text contained extension identifier performer note display \
    name telecom address photo contact communication generalPractitioner managingOrganization \
    maritalStatus multipleBirthBoolean multipleBirthInteger recorder asserter requester participant \
    location hospitalization serviceProvider diagnosis account lotNumber expirationDate manufacturer \
    device specimen presentedForm conclusion imagingStudy media basedOn partOf issued valueString \
    valueInteger valueTime valueSampledData unit userSelected version onsetAge onsetRange onsetString \
    abatementAge abatementRange abatementString stage evidence informationSource medicationReference \
    reportedBoolean reportedReference dispenseRequest substitution groupIdentifier authoredOn sequence \
    patientInstruction timing priority recorded fundingSource education programEligibility reaction \
    protocolApplied complication followUp focalDevice usedReference usedCode report language focus age \
    description performedString performedAge reference type";

/// The table of a type.
pub(super) fn table(resource: &str) -> Option<(&'static str, &'static [Field])> {
    TABLES.into_iter().find(|(name, _)| *name == resource)
}
