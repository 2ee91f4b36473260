//! `spool.redb`: a gateway's [`Spool`] on disk. One row an event and a report, each a version byte
//! and postcard; what waits stands in two small tables of numbers, so that a long history costs
//! nothing. The counts change in the same commit as the rows they count.
//!
//! Rows hold what the custodian's own software sent, in clear: the folder is its owner's only.

mod forget;
mod retry;

use crate::OpenError;
use crate::db::{Db, DbOptions, Fault, STATE};
use crate::files::{FileName, Files, Folder};
use alloy_primitives::{Address, B256, Bytes};
use medtrail_ledger::custodian::{
    DeskCode, EventRow, NewEvent, NewReport, ReportRow, ReportState, Spool, SpoolError,
    SpoolLimits, Taken, Usage,
};
use medtrail_ledger::entry::details_hash;
use redb::{
    ReadTransaction, ReadableTable, ReadableTableMetadata, TableDefinition, WriteTransaction,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

type Rows = TableDefinition<'static, u64, &'static [u8]>;
type Numbers = TableDefinition<'static, u64, ()>;

const EVENTS: Rows = TableDefinition::new("events");
const BY_ID: TableDefinition<&[u8; 32], u64> = TableDefinition::new("by-id");
/// SHA-256 of the bytes of events that were forgotten: sent again they are still known.
const FORGOTTEN: TableDefinition<u64, &[u8; 32]> = TableDefinition::new("forgotten");
const UNSIGNED: Numbers = TableDefinition::new("unsigned");
const REPORTS: Rows = TableDefinition::new("reports");
/// Event and report, for each report of an event.
const OF_EVENT: TableDefinition<(u64, u64), ()> = TableDefinition::new("of-event");
const WAITING: Numbers = TableDefinition::new("waiting");
/// Codes of the desk that nobody has used, by their hashes.
const CODES: TableDefinition<&[u8; 32], &[u8]> = TableDefinition::new("codes");
/// Codes that were countersigned.
const USED_CODES: TableDefinition<&[u8; 32], &[u8]> = TableDefinition::new("used-codes");
/// Pseudonyms with the address that was countersigned for.
const SUBJECTS: TableDefinition<&[u8; 32], &[u8; 20]> = TableDefinition::new("subjects");

const VERSION: u8 = 1;
const USAGE: &str = "usage";
const OPTIONS: DbOptions =
    DbOptions { name: FileName::Spool, cache_bytes: 8 << 20, check_every_page: false };

/// The [`Spool`] over one redb file.
#[derive(Debug)]
pub struct SpoolDb {
    db: Db,
    limits: SpoolLimits,
}

/// What a transaction came to.
enum Stop {
    Disk(Fault),
    Refused(SpoolError),
}

impl<E: Into<Fault>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Disk(error.into())
    }
}

fn disk(fault: Fault) -> SpoolError {
    SpoolError::Disk(fault.into())
}

fn damaged(what: impl Into<String>) -> Fault {
    Fault::Damaged(format!("{}: {}", FileName::Spool, what.into()))
}

impl SpoolDb {
    /// Opens the spool in `dir`, or makes one there.
    ///
    /// # Errors
    /// [`OpenError::AlreadyOpen`] if another gateway has it; else as for the log's files.
    pub fn open(dir: &Path, limits: SpoolLimits) -> Result<Self, OpenError> {
        Self::open_on(Arc::new(Folder::lock(dir)?), limits)
    }

    /// The same over other files than those of a folder.
    ///
    /// # Errors
    /// As for [`Self::open`].
    pub fn open_on(files: Arc<dyn Files>, limits: SpoolLimits) -> Result<Self, OpenError> {
        let db = match Db::open(OPTIONS, &files)? {
            Some(db) => db,
            None => Db::create(OPTIONS, &files, create)?,
        };
        Ok(Self { db, limits })
    }

    fn read<R>(
        &self,
        body: impl FnOnce(&ReadTransaction) -> Result<R, Fault>,
    ) -> Result<R, SpoolError> {
        self.db.read(body).map_err(disk)
    }

    /// Runs `body` and commits it with the counts; nothing of it happens if it refuses.
    fn write<R>(
        &self,
        body: impl FnOnce(&WriteTransaction, &mut Usage) -> Result<R, Stop>,
    ) -> Result<R, SpoolError> {
        let mut writing = self.db.begin().map_err(disk)?;
        let outcome = writing.with(|txn| {
            let mut usage = usage_in(&txn.open_table(STATE)?)?;
            match body(txn, &mut usage) {
                Ok(done) => {
                    txn.open_table(STATE)?.insert(USAGE, encode(&usage)?.as_slice())?;
                    Ok(Ok(done))
                }
                Err(Stop::Refused(refusal)) => Ok(Err(refusal)),
                Err(Stop::Disk(fault)) => Err(fault),
            }
        });
        let done = outcome.map_err(disk)??;
        writing.commit().map_err(disk)?;
        Ok(done)
    }

    /// Whether so much may wait. What is made of an event may be more than the event was: there is
    /// `times` as much room for it as for what comes in.
    fn holds(&self, usage: &Usage, times: u64) -> bool {
        let SpoolLimits { count, bytes } = self.limits;
        usage.unsigned + usage.waiting <= count.saturating_mul(times)
            && usage.unsigned_bytes + usage.waiting_bytes <= bytes.saturating_mul(times)
    }
}

fn full(usage: &Usage) -> Stop {
    Stop::Refused(SpoolError::Full {
        count: usage.unsigned + usage.waiting,
        bytes: usage.unsigned_bytes + usage.waiting_bytes,
    })
}

fn create(txn: &WriteTransaction) -> Result<(), Fault> {
    txn.open_table(EVENTS)?;
    txn.open_table(BY_ID)?;
    txn.open_table(FORGOTTEN)?;
    txn.open_table(UNSIGNED)?;
    txn.open_table(REPORTS)?;
    txn.open_table(OF_EVENT)?;
    txn.open_table(WAITING)?;
    txn.open_table(CODES)?;
    txn.open_table(USED_CODES)?;
    txn.open_table(SUBJECTS)?;
    Ok(())
}

fn encode(value: &impl Serialize) -> Result<Vec<u8>, Fault> {
    postcard::to_extend(value, vec![VERSION]).map_err(|error| Fault::Malformed(error.to_string()))
}

fn decode<T: DeserializeOwned>(table: &str, row: &[u8]) -> Result<T, Fault> {
    let value = match row.split_first() {
        Some((&VERSION, bytes)) => postcard::take_from_bytes(bytes).ok(),
        _ => None,
    };
    match value {
        Some((value, [])) => Ok(value),
        _ => Err(damaged(format!("a row of table {table}"))),
    }
}

fn usage_in(state: &impl ReadableTable<&'static str, &'static [u8]>) -> Result<Usage, Fault> {
    state.get(USAGE)?.map_or_else(|| Ok(Usage::default()), |row| decode("state", row.value()))
}

fn row_in<T: DeserializeOwned>(
    name: &str,
    table: &impl ReadableTable<u64, &'static [u8]>,
    number: u64,
) -> Result<Option<T>, Fault> {
    table.get(number)?.map(|row| decode(name, row.value())).transpose()
}

fn oldest<T: DeserializeOwned>(
    txn: &ReadTransaction,
    waiting: Numbers,
    rows: Rows,
    limit: usize,
    left_out: &BTreeSet<u64>,
) -> Result<Vec<T>, Fault> {
    let rows = txn.open_table(rows)?;
    let mut found = Vec::new();
    for number in txn.open_table(waiting)?.range::<u64>(..)? {
        if found.len() == limit {
            break;
        }
        let number = number?.0.value();
        if left_out.contains(&number) {
            continue;
        }
        let row = row_in("that waits", &rows, number)?;
        found.push(row.ok_or_else(|| damaged(format!("row {number} waits and is not there")))?);
    }
    Ok(found)
}

fn take_one(txn: &WriteTransaction, usage: &mut Usage, event: &NewEvent) -> Result<Taken, Fault> {
    let mut by_id = txn.open_table(BY_ID)?;
    let mut events = txn.open_table(EVENTS)?;
    let forgotten = txn.open_table(FORGOTTEN)?;
    let known = by_id.get(&event.id.0)?.map(|number| number.value());
    if let Some(number) = known {
        let row: Option<EventRow> = row_in("events", &events, number)?;
        let is_same = match (row, forgotten.get(number)?) {
            (Some(row), _) => row.bytes == event.bytes,
            (None, Some(hash)) => *hash.value() == details_hash(&event.bytes).0,
            (None, None) => return Err(damaged(format!("event {number} is not there"))),
        };
        return Ok(if is_same { Taken::Known(number) } else { Taken::Conflict(number) });
    }
    // A number is never used again, or the reports of a forgotten event became another's.
    let last = events.last()?.map_or(0, |(number, _)| number.value());
    let number = last.max(forgotten.last()?.map_or(0, |(number, _)| number.value())) + 1;
    let NewEvent { id, received_ms, bytes } = event.clone();
    usage.unsigned += 1;
    usage.unsigned_bytes += bytes.len() as u64;
    events.insert(number, encode(&EventRow { number, id, received_ms, bytes })?.as_slice())?;
    by_id.insert(&id.0, number)?;
    txn.open_table(UNSIGNED)?.insert(number, ())?;
    Ok(Taken::New(number))
}

fn settle_one(
    txn: &WriteTransaction,
    usage: &mut Usage,
    sequence: u64,
    end: &ReportState,
) -> Result<(), Stop> {
    let not_waiting = Stop::Refused(SpoolError::NotWaiting(sequence));
    let mut reports = txn.open_table(REPORTS)?;
    let row: Option<ReportRow> = row_in("reports", &reports, sequence)?;
    let Some(mut row) = row.filter(|_| *end != ReportState::Waiting) else {
        return Err(not_waiting);
    };
    if row.state == *end {
        return Ok(());
    }
    if row.state != ReportState::Waiting {
        return Err(not_waiting);
    }
    row.state = end.clone();
    usage.waiting -= 1;
    usage.waiting_bytes -= row.report.document.len() as u64;
    usage.set_aside += u64::from(!matches!(end, ReportState::Receipted(_)));
    reports.insert(sequence, encode(&row)?.as_slice())?;
    txn.open_table(WAITING)?.remove(sequence)?;
    Ok(())
}

impl Spool for SpoolDb {
    fn take(&self, events: &[NewEvent]) -> Result<Vec<Taken>, SpoolError> {
        self.write(|txn, usage| {
            let before = *usage;
            let taken = events.iter().map(|event| take_one(txn, usage, event));
            let taken: Vec<_> = taken.collect::<Result<_, Fault>>()?;
            // What is known already needs no room: its sender hears so even at the brim.
            if *usage != before && !self.holds(usage, 1) {
                return Err(full(&before));
            }
            Ok(taken)
        })
    }

    fn unsigned(&self, limit: usize) -> Result<Vec<EventRow>, SpoolError> {
        self.read(|txn| oldest(txn, UNSIGNED, EVENTS, limit, &BTreeSet::new()))
    }

    fn sign(&self, events: &[u64], reports: &[NewReport]) -> Result<u64, SpoolError> {
        self.write(|txn, usage| {
            let before = *usage;
            let rows = txn.open_table(EVENTS)?;
            let mut unsigned = txn.open_table(UNSIGNED)?;
            for &number in events {
                // Two makers of reports, or one that asks again after a commit it did not hear
                // of: the second must not number the same event twice.
                if unsigned.remove(number)?.is_none() {
                    return Err(Stop::Refused(SpoolError::NotWaiting(number)));
                }
                let row: Option<EventRow> = row_in("events", &rows, number)?;
                usage.unsigned -= 1;
                usage.unsigned_bytes -= row.map_or(0, |row| row.bytes.len() as u64);
            }
            let first = usage.sequence + 1;
            let mut table = txn.open_table(REPORTS)?;
            let mut of_event = txn.open_table(OF_EVENT)?;
            let mut waiting = txn.open_table(WAITING)?;
            for report in reports {
                usage.sequence += 1;
                usage.waiting += 1;
                usage.waiting_bytes += report.document.len() as u64;
                let sequence = usage.sequence;
                let row =
                    ReportRow { sequence, report: report.clone(), state: ReportState::Waiting };
                table.insert(sequence, encode(&row)?.as_slice())?;
                of_event.insert((report.event, sequence), ())?;
                waiting.insert(sequence, ())?;
            }
            if before.waiting > 0 && !self.holds(usage, 2) {
                return Err(full(&before));
            }
            Ok(first)
        })
    }

    fn waiting(
        &self,
        limit: usize,
        passed_over: &BTreeSet<u64>,
    ) -> Result<Vec<ReportRow>, SpoolError> {
        self.read(|txn| oldest(txn, WAITING, REPORTS, limit, passed_over))
    }

    fn replace(&self, sequence: u64, document: Bytes) -> Result<(), SpoolError> {
        self.write(|txn, usage| {
            let mut reports = txn.open_table(REPORTS)?;
            let row: Option<ReportRow> = row_in("reports", &reports, sequence)?;
            let row = row.filter(|row| row.state == ReportState::Waiting);
            let Some(mut row) = row else {
                return Err(Stop::Refused(SpoolError::NotWaiting(sequence)));
            };
            usage.waiting_bytes -= row.report.document.len() as u64;
            usage.waiting_bytes += document.len() as u64;
            row.report.document = document;
            reports.insert(sequence, encode(&row)?.as_slice())?;
            Ok(())
        })
    }

    fn settle(&self, ends: &[(u64, ReportState)]) -> Result<(), SpoolError> {
        self.write(|txn, usage| {
            ends.iter().try_for_each(|(sequence, end)| settle_one(txn, usage, *sequence, end))
        })
    }

    fn report(&self, sequence: u64) -> Result<Option<ReportRow>, SpoolError> {
        self.read(|txn| row_in("reports", &txn.open_table(REPORTS)?, sequence))
    }

    fn event(&self, number: u64) -> Result<Option<EventRow>, SpoolError> {
        self.read(|txn| row_in("events", &txn.open_table(EVENTS)?, number))
    }

    fn usage(&self) -> Result<Usage, SpoolError> {
        self.read(|txn| usage_in(&txn.open_table(STATE)?))
    }

    fn keep_code(&self, code: &DeskCode) -> Result<(), SpoolError> {
        let hash = &code.code_hash.0;
        self.write(|txn, _| {
            let mut unused = txn.open_table(CODES)?;
            let mut used = txn.open_table(USED_CODES)?;
            let mut subjects = txn.open_table(SUBJECTS)?;
            let before = used.get(hash)?.map(|row| decode::<DeskCode>("used-codes", row.value()));
            let before = before.transpose()?;
            let named = subjects.get(&code.pseudonym.0)?.map(|named| Address::from(named.value()));
            for subject in before.and_then(|code| code.subject).into_iter().chain(named) {
                if code.subject != Some(subject) {
                    return Err(Stop::Refused(SpoolError::Bound(subject)));
                }
            }
            let row = encode(code)?;
            match code.subject {
                None => unused.insert(hash, row.as_slice()).map(drop)?,
                Some(subject) => {
                    unused.remove(hash)?;
                    used.insert(hash, row.as_slice())?;
                    subjects.insert(&code.pseudonym.0, &subject.into_array())?;
                }
            }
            Ok(())
        })
    }

    fn code(&self, code_hash: B256) -> Result<Option<DeskCode>, SpoolError> {
        self.read(|txn| {
            for table in [USED_CODES, CODES] {
                if let Some(row) = txn.open_table(table)?.get(&code_hash.0)? {
                    return decode("codes", row.value()).map(Some);
                }
            }
            Ok(None)
        })
    }

    fn unused_codes(&self) -> Result<u64, SpoolError> {
        self.read(|txn| Ok(txn.open_table(CODES)?.len()?))
    }

    fn drop_codes(&self, expired_before_ms: u64) -> Result<(), SpoolError> {
        self.write(|txn, _| {
            let mut codes = txn.open_table(CODES)?;
            let mut expired = Vec::new();
            for row in codes.range::<&[u8; 32]>(..)? {
                let code: DeskCode = decode("codes", row?.1.value())?;
                if code.expires_ms < expired_before_ms {
                    expired.push(code.code_hash);
                }
            }
            for hash in expired {
                codes.remove(&hash.0)?;
            }
            Ok(())
        })
    }

    fn keep_subject(&self, pseudonym: B256, subject: Address) -> Result<(), SpoolError> {
        self.write(|txn, _| {
            let mut subjects = txn.open_table(SUBJECTS)?;
            let known = subjects.get(&pseudonym.0)?.map(|known| Address::from(known.value()));
            match known {
                Some(known) if known != subject => Err(Stop::Refused(SpoolError::Bound(known))),
                Some(_) => Ok(()),
                None => {
                    subjects.insert(&pseudonym.0, &subject.into_array())?;
                    Ok(())
                }
            }
        })
    }

    fn subject_of(&self, pseudonym: B256) -> Result<Option<Address>, SpoolError> {
        self.read(|txn| {
            let subjects = txn.open_table(SUBJECTS)?;
            Ok(subjects.get(&pseudonym.0)?.map(|subject| Address::from(subject.value())))
        })
    }
}

#[cfg(test)]
mod tests;
