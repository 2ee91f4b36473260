//! The elements of Consent as R4 (4.0.1) defines them: what is made here is held against them.

use super::r4::shape_issues;
use super::shapes::{
    CODEABLE_CONCEPT, CODING, Holds, IDENTIFIER, META, NARRATIVE, PERIOD, REFERENCE, Shape,
    backbone, datatype, list, needed, one,
};
use crate::json::Node;
use Holds::{Base64, Bool, Code, DateTime, Id, Resource, Text, Token};

static CONSENT: Shape = backbone(&[
    needed(one("resourceType", Code(&["Consent"]))),
    one("id", Id),
    one("meta", Holds::Shape(&META)),
    one("implicitRules", Token),
    one("language", Token),
    one("text", Holds::Shape(&NARRATIVE)),
    list("contained", Resource),
    list("identifier", Holds::Shape(&IDENTIFIER)),
    needed(one(
        "status",
        Code(&["draft", "proposed", "active", "rejected", "inactive", "entered-in-error"]),
    )),
    needed(one("scope", Holds::Shape(&CODEABLE_CONCEPT))),
    needed(list("category", Holds::Shape(&CODEABLE_CONCEPT))),
    one("patient", Holds::Shape(&REFERENCE)),
    one("dateTime", DateTime),
    list("performer", Holds::Shape(&REFERENCE)),
    list("organization", Holds::Shape(&REFERENCE)),
    one("sourceAttachment", Holds::Shape(&ATTACHMENT)),
    list("policy", Holds::Shape(&POLICY)),
    one("policyRule", Holds::Shape(&CODEABLE_CONCEPT)),
    list("verification", Holds::Shape(&VERIFICATION)),
    one("provision", Holds::Shape(&PROVISION)),
]);

static ATTACHMENT: Shape = datatype(&[
    one("contentType", Token),
    one("language", Token),
    one("data", Base64),
    one("url", Token),
    one("hash", Base64),
    one("title", Text),
    one("creation", DateTime),
]);

static POLICY: Shape = backbone(&[one("authority", Token), one("uri", Token)]);

static VERIFICATION: Shape = backbone(&[
    needed(one("verified", Bool)),
    one("verifiedWith", Holds::Shape(&REFERENCE)),
    one("verificationDate", DateTime),
]);

static PROVISION: Shape = backbone(&[
    one("type", Code(&["deny", "permit"])),
    one("period", Holds::Shape(&PERIOD)),
    list("actor", Holds::Shape(&ACTOR)),
    list("action", Holds::Shape(&CODEABLE_CONCEPT)),
    list("securityLabel", Holds::Shape(&CODING)),
    list("purpose", Holds::Shape(&CODING)),
    list("class", Holds::Shape(&CODING)),
    list("code", Holds::Shape(&CODEABLE_CONCEPT)),
    one("dataPeriod", Holds::Shape(&PERIOD)),
    list("data", Holds::Shape(&DATA)),
    list("provision", Holds::Shape(&PROVISION)),
]);

static ACTOR: Shape = backbone(&[
    needed(one("role", Holds::Shape(&CODEABLE_CONCEPT))),
    needed(one("reference", Holds::Shape(&REFERENCE))),
]);

static DATA: Shape = backbone(&[
    needed(one("meaning", Code(&["instance", "related", "dependents", "authoredby"]))),
    needed(one("reference", Holds::Shape(&REFERENCE))),
]);

/// Asserts that a text is a Consent.
pub(crate) fn assert_consent(text: &str) {
    let tree = Node::parse(text.as_bytes()).unwrap();
    let issues = shape_issues(&tree, &CONSENT, "Consent");
    assert!(issues.is_empty(), "{issues:#?}\n{text}");
    // ppc-1 of R4.
    assert!(tree.get("policy").is_some() || tree.get("policyRule").is_some());
}
