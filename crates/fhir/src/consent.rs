//! A person's permission (a grant) as a Consent (FHIR R4), to be read only: what counts is the
//! document that was signed, and that is in it.
//!
//! A Consent never reads as more than was signed. Its base policy is *opt-out with exceptions*, and
//! R4 takes no `type` at the root: who reads only the outside reads that nothing is permitted. Each
//! scope of what stands is one nested rule of type `permit` that repeats grantee, purposes and time,
//! so that none is wider by itself; what does not stand has none. What R4 has no element for stands
//! in a `modifierExtension`: by R4's rules who does not know it must not use that rule.

mod narrative;
mod rule;
mod search;

pub use search::{ConsentSearch, PARAMETERS, read};

#[cfg(test)]
mod tests;

use crate::moment;
use crate::provenance::SUBJECT_SYSTEM;
use alloy_primitives::{Address, B256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

/// System of permission ids in what is made here.
pub const PERMISSION_SYSTEM: &str = "urn:medtrail:permission";
/// System of addresses (of grantees and signers) in what is made here.
pub const ADDRESS_SYSTEM: &str = "urn:medtrail:address";
/// Extension: how the permission stands, in the words of `/v1/subjects/{subject}/permissions`.
pub const STATE_EXTENSION: &str = "urn:medtrail:permission-state";
/// Extension: SMART scopes as they were signed.
pub const SCOPE_EXTENSION: &str = "urn:medtrail:smart-scope";
/// Modifier extension: the rule is for data only that fit this search parameter too
/// (`name=value`), or for `_security=` of a topic, that bear this topic and are not marked V.
pub const WITHIN_EXTENSION: &str = "urn:medtrail:only-where";

const TERMS: &str = "http://terminology.hl7.org/CodeSystem";

/// The language of a narrative.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Language {
    /// English.
    En,
    /// Estonian.
    Et,
}

impl Language {
    /// As FHIR writes it (BCP 47).
    pub fn code(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Et => "et",
        }
    }
}

/// How a permission stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It permits what it says.
    Standing,
    /// It was taken back.
    Revoked {
        /// When, milliseconds since 1970.
        at_ms: u64,
    },
    /// Its time is over.
    Expired,
    /// Something else ended it, or it never stood: its epoch, or the right of who gave it.
    Ended,
}

impl Standing {
    fn word(self) -> &'static str {
        match self {
            Self::Standing => "standing",
            Self::Revoked { .. } => "revoked",
            Self::Expired => "expired",
            Self::Ended => "ended",
        }
    }
}

/// Who signed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signer {
    /// The person's own key.
    Person,
    /// Somebody who acts for the person.
    Other(Address),
    /// Nobody here: a contract gave it on the chain.
    Contract,
}

/// One scope of a permission.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scope {
    /// As it was signed, in its canonical spelling.
    pub text: String,
    /// A resource type of FHIR R4; none: all.
    pub resource: Option<String>,
    /// Some of `c r u d s`.
    pub letters: String,
    /// Only data for which this holds: name and value of a search parameter.
    pub parameter: Option<(String, String)>,
}

/// What a Consent is made from.
#[derive(Clone, Debug)]
pub struct Permission<'a> {
    /// The index of its first line in the log.
    pub index: u64,
    /// The document's id: the EIP-712 digest that was signed.
    pub id: B256,
    /// The document with its signature, as the log keeps it (`medtrail/permission-v1`).
    pub signed: &'a [u8],
    /// Whose permission it is.
    pub subject: B256,
    /// To whom it is given.
    pub grantee: Address,
    /// The grantee's name, if it is an organisation of the directory.
    pub grantee_name: Option<&'a str>,
    /// Who signed it.
    pub signer: Signer,
    /// What may be done with which data.
    pub scopes: &'a [Scope],
    /// For what (v3-ActReason).
    pub purposes: &'a [&'a str],
    /// Topics that no scope covers unless it names them (v3-ActCode).
    pub topics: &'a [&'a str],
    /// When the log received it, milliseconds since 1970.
    pub recorded_ms: u64,
    /// When it began to count.
    pub from_ms: u64,
    /// The first millisecond in which it does not count any more by itself.
    pub until_ms: u64,
    /// How it stands.
    pub standing: Standing,
    /// What the person read, or the same in another language.
    pub statement: &'a str,
    /// The language of `statement`.
    pub language: Language,
}

impl Permission<'_> {
    /// `Consent.status`. Nothing here is ever `rejected` or `entered-in-error`: the log holds what
    /// was given, and takes nothing out.
    pub fn status(&self) -> &'static str {
        match self.standing {
            Standing::Standing => "active",
            _ => "inactive",
        }
    }

    /// Between when and when it could permit something, `[start, end)`; none if it never could, or
    /// nobody can tell until when.
    pub fn span(&self) -> Option<(u64, u64)> {
        let end_ms = match self.standing {
            Standing::Ended => return None,
            Standing::Revoked { at_ms } => at_ms.min(self.until_ms),
            Standing::Standing | Standing::Expired => self.until_ms,
        };
        (self.from_ms < end_ms).then_some((self.from_ms, end_ms))
    }

    /// The Consent. `source` is where its line stands.
    pub fn consent(&self, source: &str) -> Value {
        let mut consent = json!({
            "resourceType": "Consent",
            "id": self.index.to_string(),
            "meta": { "source": source },
            "language": self.language.code(),
            "text": { "status": "generated", "div": narrative::div(self) },
            "extension": [{ "url": STATE_EXTENSION, "valueCode": self.standing.word() }],
            "identifier": [{ "system": PERMISSION_SYSTEM, "value": self.id }],
            "status": self.status(),
            "scope": concept(&format!("{TERMS}/consentscope"), "patient-privacy"),
            // Consent Document.
            "category": [concept("http://loinc.org", "59284-0")],
            "patient": self.patient(),
            "dateTime": moment::written(self.recorded_ms),
            "sourceAttachment": {
                "contentType": "application/json",
                "data": BASE64.encode(self.signed),
                "url": source,
                "title": "medtrail/permission-v1: the document that was signed, and its signature",
            },
            // As an event names the permission that it rests on.
            "policy": [{ "uri": format!("urn:eip712:{}", self.id) }],
            "policyRule": concept(&format!("{TERMS}/v3-ActCode"), "OPTOUTE"),
            "provision": rule::root(self),
        });
        if let Some(performer) = self.performer() {
            consent["performer"] = json!([performer]);
        }
        consent
    }

    fn patient(&self) -> Value {
        json!({
            "type": "Patient",
            "identifier": { "system": SUBJECT_SYSTEM, "value": self.subject },
        })
    }

    fn performer(&self) -> Option<Value> {
        match self.signer {
            Signer::Person => Some(self.patient()),
            Signer::Other(address) => Some(json!({
                "type": "RelatedPerson",
                "identifier": { "system": ADDRESS_SYSTEM, "value": address },
            })),
            Signer::Contract => None,
        }
    }
}

fn concept(system: &str, code: &str) -> Value {
    json!({ "coding": [{ "system": system, "code": code }] })
}
