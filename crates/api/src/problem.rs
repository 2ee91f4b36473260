//! Errors as RFC 9457 problem documents: what was wrong, and what to do. Every error of the engine
//! is translated here and nowhere else.

use crate::limits::RETRY_AFTER_S;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError};
use medtrail_ledger::ports::JournalError;
use medtrail_oracle::intake::ReportError;
use medtrail_oracle::opener::EntryError;
use medtrail_oracle::sequencer::PlaceError;
use serde::Serialize;
use std::fmt;

/// A problem document.
#[derive(Debug, Serialize)]
pub(crate) struct Problem {
    /// `/problems/<slug>`: stable, for programs.
    r#type: String,
    title: &'static str,
    status: u16,
    /// For people: the field, the rule, and what to do.
    detail: String,
    /// The field to blame, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'static str>,
    /// The entry that stands in the way, for conflicts.
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<u64>,
    #[serde(skip)]
    retry_after_s: Option<u64>,
}

impl Problem {
    pub(crate) fn new(
        status: StatusCode,
        slug: &str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            r#type: format!("/problems/{slug}"),
            title,
            status: status.as_u16(),
            detail: detail.into(),
            field: None,
            index: None,
            retry_after_s: None,
        }
    }

    fn at(mut self, field: &'static str) -> Self {
        self.field = Some(field);
        self
    }

    fn again(mut self) -> Self {
        self.retry_after_s = Some(RETRY_AFTER_S);
        self
    }

    /// The body cannot be read as JSON of the right shape.
    pub(crate) fn unreadable(error: &serde_json::Error) -> Self {
        let (slug, title) = ("malformed", "The body cannot be read");
        // serde_json names field, line and column.
        Self::new(StatusCode::BAD_REQUEST, slug, title, error.to_string())
    }

    /// A rule about a field is broken.
    pub(crate) fn rule(field: &'static str, detail: impl Into<String>) -> Self {
        let (slug, title) = ("rule", "The report breaks a rule");
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, slug, title, detail).at(field)
    }

    /// Too much of something.
    pub(crate) fn too_large(detail: impl Into<String>) -> Self {
        let (slug, title) = ("too-large", "Too large");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, slug, title, detail)
    }

    /// Nothing here, or nothing that this caller may know of: both look the same.
    pub(crate) fn not_found() -> Self {
        let detail = "Nothing is here, or nothing that you may see.";
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found", detail)
    }

    /// The disk failed.
    pub(crate) fn storage(error: &JournalError) -> Self {
        // The cause may name paths: it is for the operator, not for callers.
        tracing::error!("{error}");
        let detail = "The log's disk cannot be read just now. Come back, or tell the operator.";
        let title = "Storage trouble";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "storage", title, detail).again()
    }
}

impl From<&ReportError> for Problem {
    fn from(error: &ReportError) -> Self {
        let words = error.to_string();
        match error {
            ReportError::Log { .. } => Self::rule("report.log", words),
            ReportError::Kind(_) => Self::rule("report.kind", words),
            ReportError::Action(_) => Self::rule("report.action", words),
            ReportError::EventId => Self::rule("report.eventId", words),
            ReportError::Ahead { .. } => Self::rule("report.timeMs", words),
            ReportError::Details { .. } => Self::rule("report.details", words),
            ReportError::Evidence(_) | ReportError::Unsigned => {
                let (slug, title) = ("signature", "The signature is refused");
                let status = StatusCode::UNPROCESSABLE_ENTITY;
                Self::new(status, slug, title, words).at("signature")
            }
            ReportError::DetailsTooLong(_) => Self::too_large(words).at("details"),
            ReportError::UnknownCustodian(_) | ReportError::NotOperator(_) => {
                let (slug, title) = ("unknown-custodian", "Nobody who reports here");
                Self::new(StatusCode::FORBIDDEN, slug, title, words).at("report.actor")
            }
            ReportError::Conflict { index, .. } => {
                let (slug, title) = ("conflict", "The event was reported otherwise before");
                let problem = Self::new(StatusCode::CONFLICT, slug, title, words);
                Self { index: Some(*index), ..problem.at("report.eventId") }
            }
            ReportError::Place(error) => Self::from(error),
            ReportError::Journal(error) => Self::storage(error),
            // `ReportError` may grow; a new one is at least told in its own words.
            _ => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "rule", "The report is refused", words)
            }
        }
    }
}

impl From<&PlaceError> for Problem {
    fn from(error: &PlaceError) -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let (slug, title) = match error {
            PlaceError::Busy => ("busy", "Busy"),
            PlaceError::DiskFull => ("disk-full", "The disk is full"),
            PlaceError::OutcomeUnknown => ("outcome-unknown", "Outcome unknown"),
            _ => ("stopped", "The log has stopped"),
        };
        Self::new(status, slug, title, error.to_string()).again()
    }
}

impl From<EntryError> for Problem {
    fn from(error: EntryError) -> Self {
        match error {
            EntryError::Journal(error) => Self::storage(&error),
            EntryError::NotAnchored { .. } => {
                let title = "No anchor covers it yet";
                let status = StatusCode::NOT_FOUND;
                Self::new(status, "not-anchored", title, error.to_string()).again()
            }
            EntryError::Damaged(index) => {
                Self::storage(&JournalError::Damaged(format!("entry {index}")))
            }
            _ => Self::not_found(),
        }
    }
}

impl From<JournalError> for Problem {
    fn from(error: JournalError) -> Self {
        Self::storage(&error)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        response.insert_header((CONTENT_TYPE, "application/problem+json"));
        if let Some(seconds) = self.retry_after_s {
            response.insert_header((RETRY_AFTER, seconds.to_string()));
        }
        response.body(serde_json::to_vec(self).unwrap_or_default())
    }
}
