//! The refusal of a change: what its person is told.

use super::{Judge, Obstacle};
use crate::opener::Entry;
use alloy_primitives::{Address, B256};
use medtrail_ledger::entry::{Kind, details_hash, event_id};
use medtrail_ledger::schema::Report;
use medtrail_permit::permits::{Act, Refusal};
use serde::Serialize;

/// `medtrail/refusal-v1`: what a person is told of a change that they did not permit.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RefusedChange {
    version: &'static str,
    refused: &'static str,
    /// Where the change stands.
    index: u64,
    commitment: B256,
    /// Why it does not count.
    reason: Refusal,
    /// The document that came nearest, or that says no.
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<B256>,
    /// Whose word the change is.
    #[serde(skip_serializing_if = "Option::is_none")]
    organisation: Option<Address>,
}

/// Once for each change.
pub(super) fn event_of(act: &Act) -> B256 {
    event_id(Address::ZERO, &[b"refused change\0", act.commitment.as_slice()].concat())
}

impl Judge {
    pub(super) fn refuse(
        &self,
        entry: &Entry,
        act: &Act,
        reason: Refusal,
        document: Option<B256>,
    ) -> Result<(), Obstacle> {
        let details = serde_json::to_vec(&RefusedChange {
            version: "medtrail/refusal-v1",
            refused: "change",
            index: entry.index,
            commitment: act.commitment,
            reason,
            document,
            organisation: self.service.0.live.reporter_of(entry),
        });
        let details = details.expect("plain data encodes");
        let report = Report {
            eventId: event_of(act),
            kind: Kind::Refusal.number(),
            timeMs: (self.service.0.now_ms)(),
            // Under a pseudonym that was bound nothing is entered any more.
            subject: self.service.subject_now(entry.report.subject),
            permission: act.commitment,
            details: details_hash(&details),
            ..self.service.own_report()
        };
        self.service.enter_own(report, details)?;
        Ok(())
    }
}
