//! The entries of a sale: that it was paid, how it ended, that a buyer downloaded, and what a person
//! wants of sales in general. The delivery's own entry is `market`'s.

use super::{Sales, SalesError};
use crate::own::{kept_json, random};
use alloy_primitives::{Address, B256};
use medtrail_ledger::directory::{DirectoryChange, OptOutRow, PendingEntry, SaleRow};
use medtrail_ledger::entry::{Kind, details_hash, event_id, subject_of};
use medtrail_ledger::schema::Report;
use serde::Serialize;
use serde_json::value::RawValue;

/// The version of the details of an entry of kind 5.
const SALE_VERSION: &str = "medtrail/sale-v1";
/// The version of the details of the entry that a download leaves.
pub(crate) const DOWNLOAD_VERSION: &str = "medtrail/download-v1";
pub(crate) const HOUR_MS: u64 = 3_600_000;

/// What happened to a sale on chain.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum SaleAct {
    Paid,
    Settled,
    Refunded,
    /// The seller wants what was delivered deleted.
    Withdrawn,
    /// The buyer signed that it is.
    Deleted,
    /// The buyer said nothing in time.
    NotAnswered,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SaleDetails<'a> {
    version: &'static str,
    act: SaleAct,
    /// The document, whole: with the dataset it is what a permission by this sale is judged by.
    order: &'a RawValue,
    dataset: &'a str,
    at_s: u64,
    /// What the buyer signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    deletion: Option<&'a RawValue>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OptOutDetails {
    version: &'static str,
    act: &'static str,
    at_s: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DownloadDetails {
    pub(crate) version: &'static str,
    pub(crate) reader: Address,
    /// The sale's order; of a call to many the seller's acceptance.
    pub(crate) order: B256,
    pub(crate) file: B256,
}

impl Sales {
    /// Enters what happened: on chain, at a final block, or between the two. Once for each act of a
    /// sale. Blocks.
    pub(super) fn tell(
        &self,
        row: &SaleRow,
        dataset: &[u8],
        act: SaleAct,
        at_s: u64,
    ) -> Result<u64, SalesError> {
        let order = kept_json(&row.document);
        let dataset = String::from_utf8_lossy(dataset);
        let deletion = row.withdrawal.as_ref().and_then(|one| one.deletion.as_deref());
        let deletion = deletion.filter(|_| act == SaleAct::Deleted).map(kept_json);
        let details = SaleDetails {
            version: SALE_VERSION,
            act,
            order: &order,
            dataset: &dataset,
            at_s,
            deletion: deletion.as_deref(),
        };
        let details = serde_json::to_vec(&details).expect("plain data encodes");
        let service = &self.0.service;
        let subject = subject_of(row.seller);
        // By the seller: the operator's key may change between two tries.
        let event = event_id(row.seller, &event(act, row.id));
        let report = Report {
            eventId: event,
            kind: Kind::Sale.number(),
            action: if act == SaleAct::Paid { b'C' } else { b'U' },
            timeMs: self.now_ms(),
            subject,
            record: row.id,
            permission: row.id,
            details: details_hash(&details),
            ..service.own_report()
        };
        Ok(service.enter_once(report, details)?)
    }

    /// The promise of the entry that says what a person wants of sales.
    pub(super) fn owe_opt_out(&self, row: &OptOutRow) -> Result<DirectoryChange, SalesError> {
        let act = if row.is_out { "opted-out" } else { "opted-in" };
        let details = OptOutDetails { version: SALE_VERSION, act, at_s: row.since_ms / 1000 };
        Ok(DirectoryChange::PutPending(PendingEntry {
            event: event_id(self.0.service.operator(), &random::<32>()?),
            kind: Kind::Sale.number(),
            subject: subject_of(row.subject),
            time_ms: row.since_ms,
            details: serde_json::to_vec(&details).expect("plain data encodes"),
        }))
    }

    /// Enters that a buyer downloads; durable when this returns. A download in pieces is one line an
    /// hour. Blocks.
    pub(super) fn note_download(&self, row: &SaleRow, file: B256) -> Result<(), SalesError> {
        let service = &self.0.service;
        let (subject, time_ms) = (subject_of(row.seller), self.now_ms());
        let hour = time_ms / HOUR_MS;
        let id = [b"download\0", row.id.as_slice(), &hour.to_be_bytes()].concat();
        let event = event_id(row.buyer, &id);
        let details =
            DownloadDetails { version: DOWNLOAD_VERSION, reader: row.buyer, order: row.id, file };
        let details = serde_json::to_vec(&details).expect("plain data encodes");
        let report = Report {
            eventId: event,
            kind: Kind::Access.number(),
            action: b'R',
            timeMs: time_ms,
            subject,
            record: row.id,
            permission: row.id,
            details: details_hash(&details),
            ..service.own_report()
        };
        service.enter_once(report, details)?;
        Ok(())
    }
}

fn event(act: SaleAct, order: B256) -> Vec<u8> {
    let act: &[u8] = match act {
        SaleAct::Paid => b"paid\0",
        SaleAct::Settled => b"settled\0",
        SaleAct::Refunded => b"refunded\0",
        SaleAct::Withdrawn => b"withdrawn\0",
        SaleAct::Deleted => b"deleted\0",
        SaleAct::NotAnswered => b"not-answered\0",
    };
    [b"sale\0", act, order.as_slice()].concat()
}
