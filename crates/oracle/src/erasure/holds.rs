//! Legal holds: what the operator was ordered to keep, and what the law says must be kept.

use super::Obstacle;
use crate::accounting::is_accounting;
use crate::opener::EntryError;
use crate::own::{NoRandomness, random};
use crate::service::Service;
use alloy_primitives::B256;
use medtrail_ledger::directory::{DirectoryChange, HoldRow, PendingEntry};
use medtrail_ledger::entry::{Kind, event_id};
use medtrail_ledger::ports::JournalError;
use medtrail_ledger::proof::Evidence;
use serde::Serialize;

/// Characters of a reason, and of who ordered a hold, at most.
pub const TEXT_CHARS_MAX: usize = 500;
/// Lines of a trail that are looked at together.
const CHUNK: u64 = 128;

/// Why a hold was not set or lifted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HoldError {
    /// It concerns nobody.
    #[error("subject: an address, or a pseudonym, is held; this is zero")]
    Subject,
    /// The entry would say nothing, or a page of it.
    #[error("{0}: 1 to {TEXT_CHARS_MAX} characters, on one line")]
    Text(&'static str),
    /// There is no such hold.
    #[error("there is no hold {0}")]
    Unknown(B256),
    /// No random bytes.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// The disk.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// `medtrail/hold-v1`: the details of an entry of kind 16.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HoldDetails<'a> {
    version: &'static str,
    act: &'static str,
    hold: B256,
    subject: B256,
    reason: &'a str,
    ordered_by: &'a str,
}

fn text(field: &'static str, text: &str) -> Result<(), HoldError> {
    let is_plain = text.trim() == text && !text.chars().any(char::is_control);
    match (1..=TEXT_CHARS_MAX).contains(&text.chars().count()) && is_plain {
        true => Ok(()),
        false => Err(HoldError::Text(field)),
    }
}

impl Service {
    /// All legal holds, oldest first. For the operator.
    pub fn holds(&self) -> Vec<HoldRow> {
        let mut holds: Vec<_> = self.0.live.rows().holds.values().cloned().collect();
        holds.sort_by_key(|hold| (hold.since_ms, hold.id));
        holds
    }

    /// Holds what is kept about `subject`, an address or a pseudonym: nothing of it is erased.
    ///
    /// # Errors
    /// [`HoldError`].
    pub async fn add_hold(
        &self,
        subject: B256,
        reason: String,
        ordered_by: String,
    ) -> Result<HoldRow, HoldError> {
        self.act(move |service| {
            if subject.is_zero() {
                return Err(HoldError::Subject);
            }
            text("reason", &reason)?;
            text("orderedBy", &ordered_by)?;
            let since_ms = (service.0.now_ms)();
            let id = B256::from(random::<32>()?);
            let hold = HoldRow { id, subject, reason, ordered_by, since_ms };
            let owed = service.owe_hold("hold-added", &hold, &hold.reason, &hold.ordered_by)?;
            service.0.live.apply(vec![DirectoryChange::PutHold(hold.clone()), owed])?;
            Ok(hold)
        })
        .await
    }

    /// Lifts a hold.
    ///
    /// # Errors
    /// [`HoldError`].
    pub async fn lift_hold(
        &self,
        id: B256,
        reason: String,
        ordered_by: String,
    ) -> Result<(), HoldError> {
        self.act(move |service| {
            text("reason", &reason)?;
            text("orderedBy", &ordered_by)?;
            let hold = service.0.live.rows().holds.get(&id).cloned();
            let hold = hold.ok_or(HoldError::Unknown(id))?;
            let owed = service.owe_hold("hold-lifted", &hold, &reason, &ordered_by)?;
            Ok(service.0.live.apply(vec![DirectoryChange::DropHold(id), owed])?)
        })
        .await
    }

    fn owe_hold(
        &self,
        act: &'static str,
        hold: &HoldRow,
        reason: &str,
        ordered_by: &str,
    ) -> Result<DirectoryChange, HoldError> {
        let HoldRow { id, subject, .. } = *hold;
        let details =
            HoldDetails { version: "medtrail/hold-v1", act, hold: id, subject, reason, ordered_by };
        Ok(DirectoryChange::PutPending(PendingEntry {
            event: event_id(self.operator(), &random::<32>()?),
            kind: Kind::Operation.number(),
            subject: B256::ZERO,
            time_ms: (self.0.now_ms)(),
            details: serde_json::to_vec(&details).expect("plain data encodes"),
        }))
    }

    /// The first hold on any of these subject ids.
    pub(super) fn hold_on(&self, subjects: &[B256]) -> Option<Obstacle> {
        let held = self.holds().into_iter().find(|hold| subjects.contains(&hold.subject))?;
        Some(Obstacle::Hold { reason: held.reason, ordered_by: held.ordered_by })
    }

    /// The duty to keep what organisations reported, as long as the newest of these lines is young.
    /// By when the log received it: no reporter can make a line older than it is.
    pub(super) fn duty_on(&self, parts: &[(B256, u64)]) -> Result<Option<Obstacle>, EntryError> {
        let keep_ms = self.0.erasing.keep_ms;
        if keep_ms == 0 {
            return Ok(None);
        }
        let mut newest_ms = None;
        for &(subject, through) in parts {
            newest_ms = newest_ms.max(self.newest_reported(subject, through)?);
        }
        let until_ms = newest_ms.map_or(0, |at_ms: u64| at_ms.saturating_add(keep_ms));
        Ok((until_ms > (self.0.now_ms)()).then_some(Obstacle::Duty { until_ms }))
    }

    /// When the newest line that an organisation reported was received, among the first `through`.
    fn newest_reported(&self, subject: B256, through: u64) -> Result<Option<u64>, EntryError> {
        self.0.recent.reach(self.head().size)?;
        let part = self.part(subject)?;
        let mut below = through;
        while below > 0 {
            let first = below.saturating_sub(CHUNK) + 1;
            for place in part.places(first, below + 1 - first)?.into_iter().rev() {
                let entry = match self.open_row(place.index) {
                    Ok(entry) => entry,
                    // What is older was erased too.
                    Err(EntryError::Erased(_)) => return Ok(None),
                    Err(error) => return Err(error),
                };
                let kind = Kind::from_number(entry.report.kind);
                let is_own = entry.evidence == Evidence::Relayed
                    && entry.details.as_deref().is_some_and(is_accounting);
                if matches!(kind, Kind::Access | Kind::Change | Kind::HandOver) && !is_own {
                    return Ok(Some(entry.place.receivedMs));
                }
            }
            below = first - 1;
        }
        Ok(None)
    }
}
