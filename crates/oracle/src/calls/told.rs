//! The entries of a call in the trail of whoever accepted it: that they did, that they took it back,
//! how it ended for them, and what came of it when they wanted their data deleted afterwards. The
//! delivery's own entry is `market`'s.

use super::{Calls, CallsError};
use crate::own::kept_json;
use alloy_primitives::B256;
use medtrail_ledger::directory::{AcceptanceRow, CallRow, DirectoryChange};
use medtrail_ledger::entry::{Kind, details_hash, event_id, subject_of};
use medtrail_ledger::schema::Report;
use serde::Serialize;
use serde_json::value::RawValue;

/// The version of the details.
const VERSION: &str = "medtrail/call-v1";

/// What happened to an acceptance.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum CallAct {
    /// The seller accepted a place.
    Accepted,
    /// The seller took it back.
    Withdrawn,
    /// A final block shows the seller as paid.
    Settled,
    /// A final block shows that the money went back, and the seller as not paid.
    Closed,
    /// The seller wants what was delivered of theirs deleted.
    DeletionAsked,
    /// The buyer signed that it is.
    Deleted,
    /// The buyer said nothing in time.
    NotAnswered,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CallDetails<'a> {
    version: &'static str,
    act: CallAct,
    /// The document, whole: with what follows it is the acceptance, whose id the entry names.
    call: &'a RawValue,
    dataset: &'a str,
    place: u32,
    epoch: u64,
    expires_at: u64,
    at_s: u64,
    /// By what the file names the part that is to be deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<B256>,
    /// What the buyer signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    deletion: Option<&'a RawValue>,
}

impl CallAct {
    fn is_of_withdrawal(self) -> bool {
        matches!(self, Self::DeletionAsked | Self::Deleted | Self::NotAnswered)
    }

    fn event(self, acceptance: B256) -> Vec<u8> {
        let act: &[u8] = match self {
            Self::Accepted => b"accepted\0",
            Self::Withdrawn => b"withdrawn\0",
            Self::Settled => b"settled\0",
            Self::Closed => b"closed\0",
            Self::DeletionAsked => b"deletion-asked\0",
            Self::Deleted => b"deleted\0",
            Self::NotAnswered => b"not-answered\0",
        };
        [b"call\0", act, acceptance.as_slice()].concat()
    }
}

impl Calls {
    /// Enters what happened to an acceptance, once for each act. Blocks.
    pub(super) fn tell(
        &self,
        call: &CallRow,
        row: &AcceptanceRow,
        act: CallAct,
        at_s: u64,
    ) -> Result<u64, CallsError> {
        let withdrawal = row.withdrawal.as_ref().filter(|_| act.is_of_withdrawal());
        let deletion = withdrawal.and_then(|one| one.asked.deletion.as_deref());
        let deletion = deletion.filter(|_| act == CallAct::Deleted).map(kept_json);
        let document = kept_json(&call.document);
        let details = CallDetails {
            version: VERSION,
            act,
            call: &document,
            dataset: &String::from_utf8_lossy(&call.dataset),
            place: row.place,
            epoch: row.epoch,
            expires_at: row.expires_at_s,
            at_s,
            part: withdrawal.map(|one| one.name.part),
            deletion: deletion.as_deref(),
        };
        let details = serde_json::to_vec(&details).expect("plain data encodes");
        let service = self.service();
        let report = Report {
            // By the seller: the operator's key may change between two tries.
            eventId: event_id(row.seller, &act.event(row.id)),
            kind: Kind::Sale.number(),
            action: if act == CallAct::Accepted { b'C' } else { b'U' },
            timeMs: self.now_ms(),
            subject: subject_of(row.seller),
            record: row.id,
            permission: row.id,
            details: details_hash(&details),
            ..service.own_report()
        };
        Ok(service.enter_once(report, details)?)
    }

    /// Enters that a place was accepted, and keeps where.
    pub(super) fn tell_accepted(
        &self,
        call: &CallRow,
        row: &AcceptanceRow,
    ) -> Result<(), CallsError> {
        let index = self.tell(call, row, CallAct::Accepted, row.accepted_ms / 1000)?;
        self.change(row.id, |row| {
            row.accepted_entry = Some(index);
            Ok(())
        })
    }

    /// Enters how it ended for a seller, and keeps where.
    pub(super) fn tell_end(
        &self,
        call: &CallRow,
        row: &AcceptanceRow,
        act: CallAct,
        at_s: u64,
    ) -> Result<(), CallsError> {
        let index = self.tell(call, row, act, at_s)?;
        self.change(row.id, |row| {
            (row.ended_entry, row.is_paid) = (Some(index), act == CallAct::Settled);
            Ok(())
        })
    }

    /// Changes an acceptance as it is now; durable when this returns. What was erased stays erased.
    pub(super) fn change(
        &self,
        id: B256,
        change: impl FnOnce(&mut AcceptanceRow) -> Result<(), CallsError>,
    ) -> Result<(), CallsError> {
        let live = &self.service().0.live;
        let _act = live.begin()?;
        let row = live.rows().board.acceptance(id).cloned();
        let mut row = row.ok_or(CallsError::NotAccepted)?;
        change(&mut row)?;
        live.apply(vec![DirectoryChange::PutAcceptance(row)])?;
        Ok(())
    }
}
