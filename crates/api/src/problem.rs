//! Every refusal of this interface, in one place: RFC 9457 `application/problem+json`.
//!
//! A [`Kind`] is stable: programs match on its `type`. What happened in this very case stands in
//! `detail`, the member to blame in `field`, and what to do about it in `advice`.

use crate::limits::DETAIL_CHARS_MAX;
use actix_web::error::BlockingError;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError};
use medtrail_ledger::ports::JournalError;
use medtrail_ledger::proof::EvidenceError;
use medtrail_oracle::intake::ReportError;
use medtrail_oracle::opener::EntryError;
use medtrail_oracle::sequencer::PlaceError;
use serde::Serialize;
use std::fmt;

/// One way to be refused.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) slug: &'static str,
    pub(crate) status: StatusCode,
    title: &'static str,
    advice: &'static str,
    /// Seconds after which trying again makes sense.
    pub(crate) retry_after_s: Option<u32>,
}

/// Declares the kinds, and the list of all of them.
macro_rules! kinds {
    ($($name:ident = $slug:literal $status:ident $(after $seconds:literal)?:
        $title:literal, $advice:literal;)+) => {
        $(pub(crate) static $name: Kind = Kind {
            slug: $slug,
            status: StatusCode::$status,
            title: $title,
            advice: $advice,
            retry_after_s: [$(Some($seconds),)? None][0],
        };)+
        /// All kinds, as `/problems/…` explains them.
        pub(crate) static KINDS: &[&Kind] = &[$(&$name),+];
    };
}

kinds! {
    MALFORMED_JSON = "malformed-json" BAD_REQUEST: "The body is not JSON",
        "Mend the JSON at the line and column named.";
    MALFORMED_REQUEST = "malformed-request" BAD_REQUEST: "The request could not be read",
        "Send the whole body, framed as HTTP asks.";
    INVALID_FIELD = "invalid-field" UNPROCESSABLE_ENTITY: "A field breaks its rule",
        "Correct the field named and send the request again.";
    INVALID_QUERY = "invalid-query" UNPROCESSABLE_ENTITY: "A query parameter breaks its rule",
        "Correct the parameter named.";
    WRONG_LOG = "wrong-log" UNPROCESSABLE_ENTITY: "Made for another log",
        "Take the log's id from /.well-known/medtrail.json and sign the report anew.";
    KIND_NOT_REPORTED = "kind-not-reported" UNPROCESSABLE_ENTITY: "No kind a custodian reports",
        "Use a kind that custodians report and sign the report anew.";
    UNKNOWN_ACTION = "unknown-action" UNPROCESSABLE_ENTITY: "No FHIR AuditEvent action",
        "Use 67, 82, 85, 68 or 69 (C, R, U, D, E), or 0, and sign the report anew.";
    EVENT_ID_MISSING = "event-id-missing" UNPROCESSABLE_ENTITY: "The event has no id",
        "Derive eventId from your own event id and sign the report anew.";
    TIME_AHEAD = "time-ahead" UNPROCESSABLE_ENTITY: "The event lies in the future",
        "Set the reporting system's clock and sign the report anew.";
    DETAILS_MISMATCH = "details-mismatch" UNPROCESSABLE_ENTITY: "Other details than were signed",
        "Send the details byte for byte as they were hashed: SHA-256 over the JSON value itself, \
         without the blanks around it.";
    DETAILS_TOO_LONG = "details-too-long" PAYLOAD_TOO_LARGE: "The details are too long",
        "Shorten the details, or keep the document and report its hash alone.";
    SIGNATURE_REFUSED = "signature-refused" UNPROCESSABLE_ENTITY: "The signature is not acceptable",
        "Sign the EIP-712 digest with the actor's key and send r, s and v (27 or 28), s in the \
         lower half of the order.";
    SIGNER_MISMATCH = "signer-mismatch" UNPROCESSABLE_ENTITY: "Signed by somebody else",
        "Sign with the key of report.actor, over this very report, chain and registry.";
    UNSIGNED = "unsigned" UNPROCESSABLE_ENTITY: "Not signed",
        "Sign the report with its actor's key.";
    UNKNOWN_CUSTODIAN = "unknown-custodian" FORBIDDEN: "Not a key of any organisation here",
        "Ask the operator to add this address to your organisation.";
    EVENT_CONFLICT = "event-conflict" CONFLICT: "The event was reported otherwise before",
        "Leave it if the first report is right; else report a correction (kind 13) under an \
         event id of its own.";
    ROOT_MISMATCH = "root-mismatch" UNPROCESSABLE_ENTITY: "The root is not that of the items",
        "Compute the RFC 9162 root over the items' report hashes in their order, and sign it.";
    COUNT_MISMATCH = "count-mismatch" UNPROCESSABLE_ENTITY: "The count is not that of the items",
        "Send exactly the items that were signed.";
    TOO_MANY_REPORTS = "too-many-reports" PAYLOAD_TOO_LARGE: "Too many reports at once",
        "Send them in several requests.";
    BODY_TOO_LONG = "body-too-long" PAYLOAD_TOO_LARGE: "The body is too long",
        "Send less at once.";
    BODY_TOO_SLOW = "body-too-slow" REQUEST_TIMEOUT: "The body did not come in time",
        "Send the request again, faster or with less in it.";
    MEDIA_TYPE = "media-type" UNSUPPORTED_MEDIA_TYPE: "Not a media type taken here",
        "Send application/json or application/x-ndjson in UTF-8, not compressed.";
    BUSY = "busy" SERVICE_UNAVAILABLE after 1: "The log takes no more reports just now",
        "Send the same report again after the time named; nothing was written.";
    DISK_FULL = "disk-full" SERVICE_UNAVAILABLE after 60: "The log's disk is full",
        "Send the same report again later; nothing was written.";
    OUTCOME_UNKNOWN = "outcome-unknown" SERVICE_UNAVAILABLE after 1: "Written or not: not known",
        "Send the very same report again: if it was written it gets the same place.";
    STOPPED = "stopped" SERVICE_UNAVAILABLE after 5: "The log has stopped taking reports",
        "Send the same report again once the log is back.";
    STORAGE = "storage" SERVICE_UNAVAILABLE after 5: "The log's disk could not be read",
        "Ask again later; the operator has been told.";
    DAMAGED = "damaged" INTERNAL_SERVER_ERROR: "Bytes on the log's disk are damaged",
        "Nothing you can do: the operator must run `medtrail fsck`.";
    INTERNAL = "internal" INTERNAL_SERVER_ERROR: "A fault of ours",
        "Tell the operator the id in X-Request-Id.";
    NO_SUCH_ENTRY = "no-such-entry" NOT_FOUND: "No entry that you may see",
        "Send the header Medtrail-Place with the placeHash of the entry's receipt.";
    NOT_ANCHORED = "not-anchored" NOT_FOUND after 10: "Recorded, but not anchored yet",
        "Ask again after the log's next anchor; until then the receipt stands for the entry.";
    NOT_FOUND = "not-found" NOT_FOUND: "Nothing here",
        "Check the path.";
    METHOD_NOT_ALLOWED = "method-not-allowed" METHOD_NOT_ALLOWED: "Not a method of this path",
        "Use one of the methods in Allow.";
}

/// One refusal.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) kind: &'static Kind,
    detail: String,
    field: Option<String>,
    /// The entry that stands in the way.
    index: Option<u64>,
}

impl Problem {
    pub(crate) fn new(kind: &'static Kind, detail: impl Into<String>) -> Self {
        let mut detail = detail.into();
        if let Some((end, _)) = detail.char_indices().nth(DETAIL_CHARS_MAX) {
            detail.truncate(end);
            detail.push('…');
        }
        Self { kind, detail, field: None, index: None }
    }

    /// Names the member to blame.
    pub(crate) fn at(mut self, field: impl AsRef<str>) -> Self {
        self.field = Some(field.as_ref().chars().take(DETAIL_CHARS_MAX).collect());
        self
    }

    /// One answer for an entry that is absent, erased, or not this caller's: they must not differ
    /// in a byte.
    pub(crate) fn no_such_entry() -> Self {
        Self::new(&NO_SUCH_ENTRY, "there is no entry of this index that you have shown to know")
    }
}

impl From<&ReportError> for Problem {
    fn from(error: &ReportError) -> Self {
        let (kind, field) = match error {
            ReportError::Log { .. } => (&WRONG_LOG, "report.log"),
            ReportError::Kind(_) => (&KIND_NOT_REPORTED, "report.kind"),
            ReportError::Action(_) => (&UNKNOWN_ACTION, "report.action"),
            ReportError::EventId => (&EVENT_ID_MISSING, "report.eventId"),
            ReportError::Ahead { .. } => (&TIME_AHEAD, "report.timeMs"),
            ReportError::UnknownCustodian(_) => (&UNKNOWN_CUSTODIAN, "report.actor"),
            ReportError::Details { .. } => (&DETAILS_MISMATCH, "details"),
            ReportError::DetailsTooLong(_) => (&DETAILS_TOO_LONG, "details"),
            ReportError::Evidence(EvidenceError::Signer { .. }) => (&SIGNER_MISMATCH, "signature"),
            ReportError::Evidence(_) => (&SIGNATURE_REFUSED, "signature"),
            ReportError::Unsigned | ReportError::NotOperator(_) => (&UNSIGNED, "signature"),
            ReportError::Conflict { .. } => (&EVENT_CONFLICT, "report.eventId"),
            ReportError::Place(error) => return error.into(),
            ReportError::Journal(error) => return error.into(),
            // `ReportError` may grow: until its place is here, nothing is known of whose fault it is.
            other => {
                tracing::error!("no problem is known for: {other}");
                return Self::new(&INTERNAL, "the report was not taken");
            }
        };
        let index = match error {
            ReportError::Conflict { index, .. } => Some(*index),
            _ => None,
        };
        Self { index, ..Self::new(kind, error.to_string()).at(field) }
    }
}

impl From<&PlaceError> for Problem {
    fn from(error: &PlaceError) -> Self {
        let kind = match error {
            PlaceError::Busy => &BUSY,
            PlaceError::DiskFull => &DISK_FULL,
            PlaceError::OutcomeUnknown => &OUTCOME_UNKNOWN,
            _ => &STOPPED,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<&JournalError> for Problem {
    /// What fails on the disk may name files: it is for the operator, not for callers.
    fn from(error: &JournalError) -> Self {
        tracing::error!("a request failed: {error}");
        match error {
            JournalError::Damaged(_) => Self::new(&DAMAGED, "what was asked for is damaged"),
            JournalError::Full(_) => Self::new(&DISK_FULL, "the disk is full; nothing was written"),
            _ => Self::new(&STORAGE, "the disk could not be read; nothing was written"),
        }
    }
}

impl From<JournalError> for Problem {
    fn from(error: JournalError) -> Self {
        Self::from(&error)
    }
}

impl From<EntryError> for Problem {
    fn from(error: EntryError) -> Self {
        match error {
            // An erased entry has no place left by which a caller could show that it knows of it.
            EntryError::Absent { .. } | EntryError::Erased(_) => Self::no_such_entry(),
            EntryError::NotAnchored { .. } => Self::new(&NOT_ANCHORED, error.to_string()),
            EntryError::Journal(error) => error.into(),
            other => JournalError::Damaged(other.to_string()).into(),
        }
    }
}

impl From<BlockingError> for Problem {
    fn from(error: BlockingError) -> Self {
        tracing::error!("a request's thread ended early: {error}");
        Self::new(&INTERNAL, "the request could not be carried out")
    }
}

/// What is the same in every case of a kind.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Words {
    r#type: String,
    title: &'static str,
    status: u16,
    advice: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_s: Option<u32>,
}

impl From<&Kind> for Words {
    fn from(kind: &Kind) -> Self {
        Self {
            r#type: format!("/problems/{}", kind.slug),
            title: kind.title,
            status: kind.status.as_u16(),
            advice: kind.advice,
            retry_after_s: kind.retry_after_s,
        }
    }
}

impl Serialize for Problem {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Wire<'a> {
            #[serde(flatten)]
            words: Words,
            detail: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            field: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            index: Option<u64>,
        }
        let field = self.field.as_deref();
        let wire = Wire { words: self.kind.into(), detail: &self.detail, field, index: self.index };
        wire.serialize(serializer)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.slug, self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.kind.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.kind.status);
        response.insert_header((CONTENT_TYPE, "application/problem+json"));
        if let Some(seconds) = self.kind.retry_after_s {
            response.insert_header((RETRY_AFTER, seconds.to_string()));
        }
        response.body(serde_json::to_vec(self).expect("a problem is JSON"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn each_kind_has_a_type_of_its_own_and_says_what_to_do() {
        let slugs: HashSet<_> = KINDS.iter().map(|kind| kind.slug).collect();
        assert_eq!(slugs.len(), KINDS.len());
        for kind in KINDS {
            assert!(kind.status.as_u16() >= 400, "{}", kind.slug);
            assert!(kind.advice.ends_with('.') && !kind.advice.contains("  "), "{}", kind.slug);
            let is_unavailable = kind.status == StatusCode::SERVICE_UNAVAILABLE;
            assert!(!is_unavailable || kind.retry_after_s.is_some(), "{}", kind.slug);
        }
    }

    #[test]
    fn a_problem_quotes_no_more_of_a_caller_than_its_limit() {
        let problem = Problem::new(&MALFORMED_JSON, "ü".repeat(1_000_000)).at("é".repeat(5_000));
        assert_eq!(problem.detail.chars().count(), DETAIL_CHARS_MAX + 1);
        assert_eq!(problem.field.unwrap().chars().count(), DETAIL_CHARS_MAX);
    }
}
