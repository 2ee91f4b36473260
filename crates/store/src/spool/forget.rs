//! Old events are forgotten, their receipts are not: what keeps a gateway's disk from filling.

use super::{EVENTS, FORGOTTEN, OF_EVENT, REPORTS, SpoolDb, Stop, damaged, decode, encode, row_in};
use alloy_primitives::Bytes;
use medtrail_ledger::custodian::{EventRow, ReportRow, ReportState, SpoolError};
use medtrail_ledger::entry::details_hash;
use redb::{ReadableTable, WriteTransaction};

/// Events in one transaction of [`SpoolDb::forget`]: others write in between.
pub(super) const FORGOTTEN_AT_ONCE: usize = 256;

impl SpoolDb {
    /// Drops the bytes of events that came before `received_before_ms` and whose reports all have
    /// their receipts, with those of the reports. The receipts stay, and so does what tells a
    /// repeated event from a new one: ids and hashes. Events with a report that waits, was set
    /// aside or got a wrong receipt stay whole. The file does not shrink: its pages are written
    /// over as they are used again. Returns how many were dropped.
    ///
    /// # Errors
    /// [`SpoolError::Disk`]; what was dropped before it stays dropped.
    pub fn forget(&self, received_before_ms: u64) -> Result<u64, SpoolError> {
        let (mut forgotten, mut next) = (0, 0);
        loop {
            let some = self.write(|txn, _| forget_some(txn, received_before_ms, next))?;
            forgotten += some.forgotten;
            match some.next {
                Some(number) => next = number,
                None => return Ok(forgotten),
            }
        }
    }
}

/// How far [`SpoolDb::forget`] came.
struct Forgot {
    forgotten: u64,
    /// Where to go on, if there is more.
    next: Option<u64>,
}

fn forget_some(txn: &WriteTransaction, before_ms: u64, from: u64) -> Result<Forgot, Stop> {
    let mut events = txn.open_table(EVENTS)?;
    let mut rows: Vec<EventRow> = Vec::new();
    let mut next = None;
    for row in events.range(from..)? {
        let row: EventRow = decode("events", row?.1.value())?;
        // They stand in the order of arrival: what follows is younger.
        if row.received_ms >= before_ms {
            break;
        }
        if rows.len() == FORGOTTEN_AT_ONCE {
            next = Some(row.number);
            break;
        }
        rows.push(row);
    }
    let mut reports = txn.open_table(REPORTS)?;
    let of_event = txn.open_table(OF_EVENT)?;
    let mut hashes = txn.open_table(FORGOTTEN)?;
    let mut forgotten = 0;
    for event in rows {
        let mut settled = Vec::new();
        for pair in of_event.range((event.number, 0)..=(event.number, u64::MAX))? {
            let (_, sequence) = pair?.0.value();
            let row: Option<ReportRow> = row_in("reports", &reports, sequence)?;
            settled.push(row.ok_or_else(|| damaged(format!("report {sequence} is not there")))?);
        }
        let is_receipted = |row: &ReportRow| matches!(row.state, ReportState::Receipted(_));
        if settled.is_empty() || !settled.iter().all(is_receipted) {
            continue;
        }
        for mut row in settled {
            row.report.document = Bytes::new();
            reports.insert(row.sequence, encode(&row)?.as_slice())?;
        }
        hashes.insert(event.number, &details_hash(&event.bytes).0)?;
        events.remove(event.number)?;
        forgotten += 1;
    }
    Ok(Forgot { forgotten, next })
}
