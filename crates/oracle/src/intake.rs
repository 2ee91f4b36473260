//! Checks a report before it may wait for a place. Runs on the reporter's thread: the one writer
//! never looks at a signature.

use crate::inquiries::{WordError, check_word};
use crate::sequencer::PlaceError;
use alloy_primitives::{Address, B256, Bytes};
use medtrail_ledger::entry::{Kind, details_hash};
use medtrail_ledger::ports::JournalError;
use medtrail_ledger::proof::{Evidence, EvidenceError};
use medtrail_ledger::schema::Eip712Domain;
use medtrail_ledger::schema::Report;
use medtrail_ledger::trust::TrustFile;
use medtrail_permit::guardianship_end::{EndError, GuardianshipEnd};
use serde_json::value::RawValue;

/// Bytes of a details document at most.
pub const DETAILS_BYTES_MAX: usize = 262_144;
/// How far ahead of the log's clock a reported time may be, in milliseconds.
pub const AHEAD_MS_MAX: u64 = 5 * 60 * 1000;

/// A report as it comes in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Submission {
    /// What is said to have happened.
    pub report: Report,
    /// The actor's signature.
    pub evidence: Evidence,
    /// The details document, byte for byte.
    pub details: Option<Vec<u8>>,
}

/// Why a report was not taken. Each names the field and the rule; nothing was written, and the
/// same report, corrected, is taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// Signed for another log.
    #[error("report.log is {found}; this log is {expected}")]
    Log {
        /// The log named.
        found: B256,
        /// This log.
        expected: B256,
    },
    /// No kind that a custodian may report.
    #[error("report.kind is {0}; a custodian reports {REPORTED}")]
    Kind(u8),
    /// No FHIR AuditEvent action.
    #[error("report.action is {0}; it must be the ASCII code of C, R, U, D or E, or 0 for none")]
    Action(u8),
    /// The event must have an id.
    #[error("report.eventId is zero; it must be derived from the custodian's event id")]
    EventId,
    /// Further ahead of our clock than clocks drift.
    #[error(
        "report.timeMs is {found}, more than {AHEAD_MS_MAX} ms ahead of this log's clock ({now}); \
         check the reporting system's clock"
    )]
    Ahead {
        /// The reported time.
        found: u64,
        /// The log's time.
        now: u64,
    },
    /// Nobody who reports here has this key now.
    #[error(
        "report.actor {0} is not a key that any organisation of this log has now; the operator \
         adds it with its address"
    )]
    UnknownCustodian(Address),
    /// The document is not the one that was signed for.
    #[error("report.details is {expected}, but the document sent hashes to {found} (SHA-256)")]
    Details {
        /// What was signed.
        expected: B256,
        /// What was sent.
        found: B256,
    },
    /// The document is too long.
    #[error("the details document has {0} bytes; at most {DETAILS_BYTES_MAX} are taken")]
    DetailsTooLong(usize),
    /// The document names itself one that only the log writes: a view would tell of somebody else.
    #[error("the details document is a {0}, which only the log itself or its vault takes")]
    LogsDocument(String),
    /// No end of a guardianship as an organisation may say it.
    #[error("the details document: {0}")]
    End(#[from] EndError),
    /// A question, claim or correction that an organisation may not say so.
    #[error("the details document: {0}")]
    Word(#[from] WordError),
    /// No, or not the actor's, signature.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// Not signed at all.
    #[error("signature: a report must be signed by its actor")]
    Unsigned,
    /// A report without a signature by somebody other than the operator.
    #[error(
        "report.actor {0} is not the operator, who alone may enter a report without a signature"
    )]
    NotOperator(Address),
    /// The same event was reported before, otherwise.
    #[error(
        "report.eventId {event} was reported before with another content, as entry {index}; a \
         correction is a report of its own"
    )]
    Conflict {
        /// The event.
        event: B256,
        /// Its entry.
        index: u64,
    },
    /// The pseudonym was bound to a person: the report is about another subject now.
    #[error("report.subject is a pseudonym that was bound; report for {to} from now on")]
    Moved {
        /// The subject that has its entries now.
        to: B256,
    },
    /// It stands in the log, and what was in it was erased: no receipt can be made of it any more.
    #[error("this event was reported before, as entry {index}, whose content was erased")]
    Erased {
        /// Its entry.
        index: u64,
    },
    /// It got no place.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The disk could not be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

const REPORTED: &str = "1 access, 2 change, 3 hand-over, 7 source, 11 the end of a guardianship, \
                        12 question, 13 correction, 14 coverage or 15 claim; the log itself \
                        writes the others";

/// Checks the submissions of one request: a batch's signature is recovered once, not once a report.
pub(crate) struct Intake<'a> {
    trust: &'a TrustFile,
    now_ms: u64,
    domain: Eip712Domain,
    batch: Option<(B256, u64, Bytes, Address)>,
}

impl<'a> Intake<'a> {
    pub(crate) fn new(trust: &'a TrustFile, now_ms: u64) -> Self {
        let domain = medtrail_ledger::schema::domain(trust.chain_id, trust.registry);
        Self { trust, now_ms, domain, batch: None }
    }

    /// Checks a custodian's report: everything that can be checked without the log.
    pub(crate) fn check(&mut self, submission: &Submission) -> Result<(), ReportError> {
        let report = &submission.report;
        let kind = Kind::from_number(report.kind);
        if !is_reported(kind) && kind != Kind::Binding {
            return Err(ReportError::Kind(report.kind));
        }
        self.check_content(submission)?;
        if kind == Kind::Binding {
            GuardianshipEnd::read(report, submission.details.as_deref().unwrap_or_default())?;
        } else if let Some(details) = submission.details.as_deref() {
            let versions = versions(details);
            if let Some(version) = reserved_version(&versions) {
                return Err(ReportError::LogsDocument(version));
            }
            check_word(report, details, &versions)?;
        }
        // The signature last but one: everything above is cheaper. The organisation after it, so
        // that only the holder of a key learns whether it is known here.
        self.check_signature(submission)?;
        match self.trust.organisation_of(report.actor, self.now_ms) {
            Some(_) => Ok(()),
            None => Err(ReportError::UnknownCustodian(report.actor)),
        }
    }

    /// Checks a report of this kind that comes through the vault, which has read its details. Whose
    /// key it is decides who was permitted what.
    pub(crate) fn check_in_vault(
        &mut self,
        submission: &Submission,
        kind: Kind,
    ) -> Result<(), ReportError> {
        if Kind::from_number(submission.report.kind) != kind {
            return Err(ReportError::Kind(submission.report.kind));
        }
        self.check_content(submission)?;
        self.check_signature(submission)
    }

    /// Checks what the operator itself enters for a custodian without a key: only its own word.
    pub(crate) fn check_relayed(&self, submission: &Submission) -> Result<(), ReportError> {
        let actor = submission.report.actor;
        if submission.evidence != Evidence::Relayed || !self.trust.is_operator(actor) {
            return Err(ReportError::NotOperator(actor));
        }
        self.check_content(submission)
    }

    fn check_content(&self, submission: &Submission) -> Result<(), ReportError> {
        let report = &submission.report;
        if report.log != self.trust.log {
            return Err(ReportError::Log { found: report.log, expected: self.trust.log });
        }
        if !matches!(report.action, 0 | b'C' | b'R' | b'U' | b'D' | b'E') {
            return Err(ReportError::Action(report.action));
        }
        if report.eventId.is_zero() {
            return Err(ReportError::EventId);
        }
        if report.timeMs > self.now_ms + AHEAD_MS_MAX {
            return Err(ReportError::Ahead { found: report.timeMs, now: self.now_ms });
        }
        let Some(document) = &submission.details else { return Ok(()) };
        if document.len() > DETAILS_BYTES_MAX {
            return Err(ReportError::DetailsTooLong(document.len()));
        }
        let (expected, found) = (report.details, details_hash(document));
        if found != expected {
            return Err(ReportError::Details { expected, found });
        }
        Ok(())
    }

    fn check_signature(&mut self, submission: &Submission) -> Result<(), ReportError> {
        let report = &submission.report;
        let Evidence::Batch(batch) = &submission.evidence else {
            return match submission.evidence.verify(report, &self.domain)? {
                true => Ok(()),
                false => Err(ReportError::Unsigned),
            };
        };
        batch.verify_place(report.hash()).map_err(EvidenceError::from)?;
        let signer = match &self.batch {
            Some((root, count, signature, signer))
                if (*root, *count, signature) == (batch.root, batch.count, &batch.signature) =>
            {
                *signer
            }
            _ => {
                let signer = batch.signer(&self.domain).map_err(EvidenceError::from)?;
                let signature = batch.signature.clone();
                self.batch = Some((batch.root, batch.count, signature, signer));
                signer
            }
        };
        match signer == report.actor {
            true => Ok(()),
            false => Err(EvidenceError::Signer { signer, actor: report.actor }.into()),
        }
    }
}

/// Whether custodians report this kind; the log itself writes the others.
fn is_reported(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Access
            | Kind::Change
            | Kind::HandOver
            | Kind::Source
            | Kind::Question
            | Kind::Correction
            | Kind::Coverage
            | Kind::Claim
    )
}

/// Documents that the log itself writes. Whoever could sign one would let a view say that another
/// organisation reported, or that two people signed.
const LOGS_DOCUMENTS: [&str; 12] = [
    "medtrail/accounting-",
    "medtrail/look-",
    // An organisation says one, but in a report of kind 11 alone.
    "medtrail/guardianship-end-",
    "medtrail/relayed-",
    "medtrail/binding-",
    "medtrail/alias-",
    "medtrail/operation-",
    "medtrail/refusal-",
    "medtrail/notice-",
    "medtrail/erasure-",
    "medtrail/hold-",
    "medtrail/emergency-",
];

/// Documents that only the vault takes: from their bytes alone everybody knows that what they tell
/// happened there.
const VAULTS_DOCUMENTS: [&str; 3] =
    ["medtrail/version-", "medtrail/read-", "medtrail/change-request-"];

/// Every text that a document gives as its version. Readers differ in which of two members of the
/// same name they take: any of them counts.
pub(crate) fn versions(document: &[u8]) -> Vec<String> {
    serde_json::from_slice(document).map_or_else(|_| Vec::new(), |Versions(versions)| versions)
}

/// The version of a document that only the log or its vault writes.
fn reserved_version(versions: &[String]) -> Option<String> {
    let reserved = LOGS_DOCUMENTS.iter().chain(&VAULTS_DOCUMENTS);
    let is_reserved = |version: &&String| reserved.clone().any(|one| version.starts_with(one));
    versions.iter().find(is_reserved).cloned()
}

/// Every text that a document gives as its version.
struct Versions(Vec<String>);

impl<'de> serde::Deserialize<'de> for Versions {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(VersionsVisitor)
    }
}

struct VersionsVisitor;

impl<'de> serde::de::Visitor<'de> for VersionsVisitor {
    type Value = Versions;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Versions, A::Error> {
        let mut versions = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            // Kept as it stands: nothing in it may end the reading before the next member.
            let value: &RawValue = map.next_value()?;
            if name == "version" {
                versions.extend(serde_json::from_str::<String>(value.get()));
            }
        }
        Ok(Versions(versions))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_of_the_log_are_known_however_they_are_written() {
        for document in [
            r#"{"version":"medtrail/relayed-v1","organisation":"0x22"}"#,
            r#" {"resourceType":"AuditEvent","version":"medtrail\/operation-v9"} "#,
            r#"{"\u0076ersion":"\u006dedtrail/binding-v1"}"#,
            r#"{"version":"medtrail/refusal-v1","version":"2"}"#,
            r#"{"version":1,"version":"medtrail/relayed-v1"}"#,
            r#"{"version":1e400,"version":{"a":"\ud800"},"version":"medtrail/relayed-v1"}"#,
            r#"{"x":[1e400],"version":"medtrail/relayed-v1"}"#,
            r#"{"x":"\ud800","version":"medtrail/relayed-v1"}"#,
            r#"{"resourceType":"AuditEvent","version":"medtrail/version-v1"}"#,
            r#"{"version":"medtrail/read-v1"}"#,
            r#"{"version":"medtrail/change-request-v1"}"#,
        ] {
            assert!(reserved_version(&versions(document.as_bytes())).is_some(), "{document}");
        }
        for document in [
            r#"{"version":"medtrail/shared-v1","event":{"version":"medtrail/relayed-v1"}}"#,
            r#"{"resourceType":"AuditEvent"}"#,
            r#"["version","medtrail/relayed-v1"]"#,
            r#""medtrail/relayed-v1""#,
            "no JSON",
        ] {
            assert_eq!(reserved_version(&versions(document.as_bytes())), None, "{document}");
        }
    }
}
