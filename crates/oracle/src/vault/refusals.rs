//! What a person is told of an act in the vault that nobody had permitted.

use super::bench::NotPermitted;
use super::{Vault, VaultError, Why};
use crate::intake::ReportError;
use crate::opener::Entry;
use alloy_primitives::{Address, B256};
use medtrail_ledger::entry::{Kind, commitment, details_hash, event_id};
use medtrail_ledger::schema::Report;
use medtrail_ledger::vault::{About, RecordRow, VersionDetails};
use serde::Serialize;

/// What was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Refused {
    Write,
    Read,
}

/// `medtrail/refusal-v1` of the vault.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    version: &'static str,
    refused: Refused,
    /// Which record, where one was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<B256>,
    /// Where the report stands that was refused, if it had got a place.
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    commitment: Option<B256>,
    reason: Why,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<B256>,
    #[serde(skip_serializing_if = "Option::is_none")]
    organisation: Option<Address>,
    /// What was tried, in words.
    #[serde(flatten)]
    titles: Titles,
}

/// Titles of a record's version that counts, and of the one that was refused; none of a record that
/// is sensitive, for a line is read over a person's shoulder too.
#[derive(Clone, Default, Serialize)]
pub(super) struct Titles {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) before: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) after: Option<String>,
}

impl Titles {
    /// Of a version, and of the record that it was to be one of.
    pub(super) fn of(row: Option<&RecordRow>, details: &VersionDetails, to: B256) -> Self {
        let (now, wanted) = (row.and_then(RecordRow::about), &details.about);
        let is_marked = |about: &About| {
            !about.topics.is_empty() || matches!(about.confidentiality.as_deref(), Some("R" | "V"))
        };
        if now.into_iter().chain([wanted]).any(is_marked) {
            return Self::default();
        }
        Self {
            before: now.map(|now| now.title.clone()),
            after: (!to.is_zero()).then(|| wanted.title.clone()),
        }
    }
}

impl Vault {
    /// Tells the person of a report that did not get, or did not keep, its effect. `event` makes it
    /// the same refusal however often it is tried.
    pub(super) fn refuse(
        &self,
        (what, titles): (Refused, Titles),
        report: &Report,
        entry: Option<&Entry>,
        organisation: Option<Address>,
        no: NotPermitted,
        event: B256,
    ) -> Result<(), VaultError> {
        let index = entry.map(|entry| entry.index);
        let commitment = entry.map(|entry| commitment(&entry.report, &entry.place));
        let is_named = |record: &B256| !record.is_zero();
        let details = serde_json::to_vec(&Document {
            version: "medtrail/refusal-v1",
            refused: what,
            record: Some(report.record).filter(is_named),
            index,
            commitment,
            reason: no.why,
            document: no.document,
            organisation,
            titles,
        });
        let details = details.expect("plain data encodes");
        let word: &[u8] = match what {
            Refused::Write => b"refused write\0",
            Refused::Read => b"refused read\0",
        };
        let refusal = Report {
            eventId: event_id(Address::ZERO, &[word, event.as_slice()].concat()),
            kind: Kind::Refusal.number(),
            timeMs: self.now_ms(),
            subject: report.subject,
            record: report.record,
            permission: commitment.unwrap_or_default(),
            details: details_hash(&details),
            ..self.0.service.own_report()
        };
        match self.0.service.enter_own(refusal, details) {
            // The same report, refused before: its person was told then.
            Ok(_) | Err(ReportError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
