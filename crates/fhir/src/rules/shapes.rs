//! The elements of AuditEvent, Provenance and of the datatypes they are made of, as R4 (4.0.1) defines them.

/// What an element holds.
#[derive(Clone, Copy)]
pub(super) enum Holds {
    /// Text that is not only white space.
    Text,
    /// A URI, or a code or id: text without white space inside.
    Token,
    /// R4 `id`: 1 to 64 of `A-Z a-z 0-9 - .`
    Id,
    Bool,
    Instant,
    DateTime,
    Base64,
    /// One of these codes (a required binding).
    Code(&'static [&'static str]),
    /// A datatype or backbone element.
    Shape(&'static Shape),
    /// A resource of any type; only its type is looked at.
    Resource,
    /// XHTML of a narrative; kept, never shown.
    Xhtml,
}

/// An element: name, what it holds, how often.
pub(super) struct Element {
    pub(super) name: &'static str,
    pub(super) holds: Holds,
    pub(super) is_required: bool,
    pub(super) is_list: bool,
}

/// A group of elements.
pub(super) struct Shape {
    pub(super) elements: &'static [Element],
    /// Backbone elements and resources may carry `modifierExtension`.
    pub(super) is_backbone: bool,
}

pub(super) const fn one(name: &'static str, holds: Holds) -> Element {
    Element { name, holds, is_required: false, is_list: false }
}

pub(super) const fn list(name: &'static str, holds: Holds) -> Element {
    Element { is_list: true, ..one(name, holds) }
}

pub(super) const fn needed(element: Element) -> Element {
    Element { is_required: true, ..element }
}

pub(super) const fn datatype(elements: &'static [Element]) -> Shape {
    Shape { elements, is_backbone: false }
}

pub(super) const fn backbone(elements: &'static [Element]) -> Shape {
    Shape { elements, is_backbone: true }
}

use Holds::{Base64, Bool, Code, DateTime, Id, Instant, Resource, Text, Token, Xhtml};

pub(super) static AUDIT_EVENT: Shape = backbone(&[
    needed(one("resourceType", Code(&["AuditEvent"]))),
    one("id", Id),
    one("meta", Holds::Shape(&META)),
    one("implicitRules", Token),
    one("language", Token),
    one("text", Holds::Shape(&NARRATIVE)),
    list("contained", Resource),
    needed(one("type", Holds::Shape(&CODING))),
    list("subtype", Holds::Shape(&CODING)),
    one("action", Code(&["C", "R", "U", "D", "E"])),
    one("period", Holds::Shape(&PERIOD)),
    needed(one("recorded", Instant)),
    one("outcome", Code(&["0", "4", "8", "12"])),
    one("outcomeDesc", Text),
    list("purposeOfEvent", Holds::Shape(&CODEABLE_CONCEPT)),
    needed(list("agent", Holds::Shape(&AGENT))),
    needed(one("source", Holds::Shape(&SOURCE))),
    list("entity", Holds::Shape(&ENTITY)),
]);

pub(super) static PROVENANCE: Shape = backbone(&[
    needed(one("resourceType", Code(&["Provenance"]))),
    one("id", Id),
    one("meta", Holds::Shape(&META)),
    one("implicitRules", Token),
    one("language", Token),
    one("text", Holds::Shape(&NARRATIVE)),
    list("contained", Resource),
    needed(list("target", Holds::Shape(&REFERENCE))),
    one("occurredPeriod", Holds::Shape(&PERIOD)),
    one("occurredDateTime", DateTime),
    needed(one("recorded", Instant)),
    list("policy", Token),
    one("location", Holds::Shape(&REFERENCE)),
    list("reason", Holds::Shape(&CODEABLE_CONCEPT)),
    one("activity", Holds::Shape(&CODEABLE_CONCEPT)),
    needed(list("agent", Holds::Shape(&PROVENANCE_AGENT))),
    list("entity", Holds::Shape(&PROVENANCE_ENTITY)),
    list("signature", Holds::Shape(&SIGNATURE)),
]);

static PROVENANCE_AGENT: Shape = backbone(&[
    one("type", Holds::Shape(&CODEABLE_CONCEPT)),
    list("role", Holds::Shape(&CODEABLE_CONCEPT)),
    needed(one("who", Holds::Shape(&REFERENCE))),
    one("onBehalfOf", Holds::Shape(&REFERENCE)),
]);

static PROVENANCE_ENTITY: Shape = backbone(&[
    needed(one("role", Code(&["derivation", "revision", "quotation", "source", "removal"]))),
    needed(one("what", Holds::Shape(&REFERENCE))),
    list("agent", Holds::Shape(&PROVENANCE_AGENT)),
]);

/// Kept, and never taken for a signature of ours.
static SIGNATURE: Shape = datatype(&[
    needed(list("type", Holds::Shape(&CODING))),
    needed(one("when", Instant)),
    needed(one("who", Holds::Shape(&REFERENCE))),
    one("onBehalfOf", Holds::Shape(&REFERENCE)),
    one("targetFormat", Token),
    one("sigFormat", Token),
    one("data", Base64),
]);

static AGENT: Shape = backbone(&[
    one("type", Holds::Shape(&CODEABLE_CONCEPT)),
    list("role", Holds::Shape(&CODEABLE_CONCEPT)),
    one("who", Holds::Shape(&REFERENCE)),
    one("altId", Text),
    one("name", Text),
    needed(one("requestor", Bool)),
    one("location", Holds::Shape(&REFERENCE)),
    list("policy", Token),
    one("media", Holds::Shape(&CODING)),
    one("network", Holds::Shape(&NETWORK)),
    list("purposeOfUse", Holds::Shape(&CODEABLE_CONCEPT)),
]);

static NETWORK: Shape =
    backbone(&[one("address", Text), one("type", Code(&["1", "2", "3", "4", "5"]))]);

static SOURCE: Shape = backbone(&[
    one("site", Text),
    needed(one("observer", Holds::Shape(&REFERENCE))),
    list("type", Holds::Shape(&CODING)),
]);

static ENTITY: Shape = backbone(&[
    one("what", Holds::Shape(&REFERENCE)),
    one("type", Holds::Shape(&CODING)),
    one("role", Holds::Shape(&CODING)),
    one("lifecycle", Holds::Shape(&CODING)),
    list("securityLabel", Holds::Shape(&CODING)),
    one("name", Text),
    one("description", Text),
    one("query", Base64),
    list("detail", Holds::Shape(&DETAIL)),
]);

/// `value[x]` is checked apart: one of two, and one must be there.
pub(super) static DETAIL: Shape = backbone(&[
    needed(one("type", Text)),
    one("valueString", Text),
    one("valueBase64Binary", Base64),
]);

pub(super) static META: Shape = datatype(&[
    one("versionId", Id),
    one("lastUpdated", Instant),
    one("source", Token),
    list("profile", Token),
    list("security", Holds::Shape(&CODING)),
    list("tag", Holds::Shape(&CODING)),
]);

pub(super) static NARRATIVE: Shape = datatype(&[
    needed(one("status", Code(&["generated", "extensions", "additional", "empty"]))),
    needed(one("div", Xhtml)),
]);

pub(super) static CODING: Shape = datatype(&[
    one("system", Token),
    one("version", Text),
    one("code", Text),
    one("display", Text),
    one("userSelected", Bool),
]);

pub(super) static CODEABLE_CONCEPT: Shape =
    datatype(&[list("coding", Holds::Shape(&CODING)), one("text", Text)]);

pub(super) static PERIOD: Shape = datatype(&[one("start", DateTime), one("end", DateTime)]);

pub(super) static REFERENCE: Shape = datatype(&[
    one("reference", Text),
    one("type", Token),
    one("identifier", Holds::Shape(&IDENTIFIER)),
    one("display", Text),
]);

pub(super) static IDENTIFIER: Shape = datatype(&[
    one("use", Code(&["usual", "official", "temp", "secondary", "old"])),
    one("type", Holds::Shape(&CODEABLE_CONCEPT)),
    one("system", Token),
    one("value", Text),
    one("period", Holds::Shape(&PERIOD)),
    one("assigner", Holds::Shape(&REFERENCE)),
]);

/// What the `value[x]` of an extension may be (R4 2.1.20.0.1, "open type list"), and what is
/// checked of it: for large datatypes only that it is there.
pub(super) fn extension_value(name: &str) -> Option<Option<Holds>> {
    let checked = match name {
        "valueBase64Binary" => Base64,
        "valueBoolean" => Bool,
        "valueString" | "valueMarkdown" => Text,
        "valueCode" | "valueUri" | "valueUrl" | "valueCanonical" | "valueOid" | "valueUuid" => {
            Token
        }
        "valueId" => Id,
        "valueInstant" => Instant,
        "valueDateTime" => DateTime,
        "valueCodeableConcept" => Holds::Shape(&CODEABLE_CONCEPT),
        "valueCoding" => Holds::Shape(&CODING),
        "valueIdentifier" => Holds::Shape(&IDENTIFIER),
        "valuePeriod" => Holds::Shape(&PERIOD),
        "valueReference" => Holds::Shape(&REFERENCE),
        "valueMeta" => Holds::Shape(&META),
        "valueDate"
        | "valueTime"
        | "valueDecimal"
        | "valueInteger"
        | "valuePositiveInt"
        | "valueUnsignedInt"
        | "valueAddress"
        | "valueAge"
        | "valueAnnotation"
        | "valueAttachment"
        | "valueContactPoint"
        | "valueCount"
        | "valueDistance"
        | "valueDuration"
        | "valueHumanName"
        | "valueMoney"
        | "valueQuantity"
        | "valueRange"
        | "valueRatio"
        | "valueSampledData"
        | "valueSignature"
        | "valueTiming"
        | "valueContactDetail"
        | "valueContributor"
        | "valueDataRequirement"
        | "valueExpression"
        | "valueParameterDefinition"
        | "valueRelatedArtifact"
        | "valueTriggerDefinition"
        | "valueUsageContext"
        | "valueDosage" => return Some(None),
        _ => return None,
    };
    Some(Some(checked))
}
