//! `spool.redb`: a gateway's [`Spool`] on disk. One row an event and a report, each a version byte
//! and postcard; what waits stands in two small tables of numbers, so that a long history costs
//! nothing. The counts change in the same commit as the rows they count.
//!
//! Rows hold what the custodian's own software sent, in clear: the folder is its owner's only.

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
/// Events in one transaction of [`SpoolDb::forget`]: others write in between.
const FORGOTTEN_AT_ONCE: usize = 256;

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
mod tests {
    use super::*;
    use tempfile::TempDir;

    const LIMITS: SpoolLimits = SpoolLimits { count: 4, bytes: 100 };

    fn event(id: u8, text: &str) -> NewEvent {
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        NewEvent { id: B256::repeat_byte(id), received_ms: 7, bytes }
    }

    fn report(event: u64) -> NewReport {
        NewReport { event, document: Bytes::from_static(b"signed") }
    }

    fn spool() -> (TempDir, SpoolDb) {
        let dir = TempDir::new().unwrap();
        let spool = SpoolDb::open(dir.path(), LIMITS).unwrap();
        (dir, spool)
    }

    #[test]
    fn the_same_event_twice_gives_the_same_answer_also_after_a_restart() {
        let (dir, spool) = spool();
        let both = [event(1, "a"), event(1, "a"), event(1, "b"), event(2, "b")];
        let taken = [Taken::New(1), Taken::Known(1), Taken::Conflict(1), Taken::New(2)];
        assert_eq!(spool.take(&both).unwrap(), taken);
        drop(spool);
        let spool = SpoolDb::open(dir.path(), LIMITS).unwrap();
        assert_eq!(spool.take(&[event(2, "b")]).unwrap(), [Taken::Known(2)]);
        assert_eq!(spool.unsigned(9).unwrap().len(), 2);
        assert_eq!(spool.event(1).unwrap().unwrap().bytes, Bytes::from_static(b"a"));
    }

    #[test]
    fn a_full_spool_takes_nothing_but_knows_what_it_has() {
        let (_dir, spool) = spool();
        spool.take(&[event(1, "a"), event(2, "b"), event(3, "c")]).unwrap();
        let before = spool.usage().unwrap();
        let refused = spool.take(&[event(4, "d"), event(5, "e")]);
        assert!(matches!(refused, Err(SpoolError::Full { count: 3, bytes: 3 })));
        let refused = spool.take(&[event(4, &"d".repeat(98))]);
        assert!(matches!(refused, Err(SpoolError::Full { .. })));
        assert_eq!(spool.usage().unwrap(), before);
        assert_eq!(spool.take(&[event(3, "c")]).unwrap(), [Taken::Known(3)]);
        spool.sign(&[1, 2, 3], &[report(1), report(2), report(3)]).unwrap();
        spool.settle(&[(1, ReportState::SetAside("no".into()))]).unwrap();
        assert_eq!(spool.take(&[event(4, "d"), event(5, "e")]).unwrap().len(), 2);
    }

    #[test]
    fn numbers_have_no_gaps_and_an_event_is_numbered_once() {
        let (dir, spool) = spool();
        spool.take(&[event(1, "a"), event(2, "b")]).unwrap();
        assert_eq!(spool.sign(&[1], &[report(1), report(1)]).unwrap(), 1);
        let again = spool.sign(&[2, 1], &[report(2), report(1)]);
        assert!(matches!(again, Err(SpoolError::NotWaiting(1))));
        drop(spool);
        let spool = SpoolDb::open(dir.path(), LIMITS).unwrap();
        assert_eq!(spool.sign(&[2], &[report(2)]).unwrap(), 3);
        let numbers: Vec<_> =
            spool.waiting(9, &BTreeSet::new()).unwrap().iter().map(|row| row.sequence).collect();
        assert_eq!(numbers, [1, 2, 3]);
    }

    #[test]
    fn a_report_ends_once_and_is_kept_with_its_end() {
        let (_dir, spool) = spool();
        spool.sign(&[], &[report(0), report(0)]).unwrap();
        let receipt = ReportState::Receipted(Bytes::from_static(b"receipt"));
        let aside = ReportState::SetAside("422".into());
        spool.settle(&[(2, receipt.clone())]).unwrap();
        spool.settle(&[(2, receipt.clone())]).unwrap();
        let refused = spool.settle(&[(1, aside.clone()), (2, aside)]);
        assert!(matches!(refused, Err(SpoolError::NotWaiting(2))));
        assert_eq!(spool.report(1).unwrap().unwrap().state, ReportState::Waiting);
        assert_eq!(spool.report(2).unwrap().unwrap().state, receipt);
        assert!(matches!(spool.replace(2, Bytes::new()), Err(SpoolError::NotWaiting(2))));
        spool.replace(1, Bytes::from_static(b"anew")).unwrap();
        let usage = Usage { waiting: 1, waiting_bytes: 4, sequence: 2, ..Usage::default() };
        assert_eq!(spool.usage().unwrap(), usage);
    }

    #[test]
    fn a_second_gateway_and_a_foreign_file_are_refused() {
        let (dir, _spool) = spool();
        let second = SpoolDb::open(dir.path(), LIMITS);
        assert!(matches!(second, Err(OpenError::AlreadyOpen { .. })));
        let other = TempDir::new().unwrap();
        drop(redb::Database::create(other.path().join(FileName::Spool.as_str())).unwrap());
        let foreign = SpoolDb::open(other.path(), LIMITS);
        assert!(matches!(foreign, Err(OpenError::Damaged { .. })));
    }
    #[test]
    fn an_event_of_many_patients_waits_for_room_but_not_for_ever() {
        let (_dir, spool) = spool();
        spool.take(&[event(1, "a"), event(2, "b")]).unwrap();
        spool.sign(&[1], &[report(1)]).unwrap();
        let before = spool.usage().unwrap();
        let many = vec![report(2); 9];
        let refused = spool.sign(&[2], &many);
        assert!(matches!(refused, Err(SpoolError::Full { count: 2, .. })));
        assert_eq!(spool.usage().unwrap(), before);
        assert_eq!(spool.unsigned(9).unwrap().len(), 1);
        spool.settle(&[(1, ReportState::Receipted(Bytes::new()))]).unwrap();
        assert_eq!(spool.sign(&[2], &many).unwrap(), 2);
        let refused = spool.take(&[event(3, "c")]);
        assert!(matches!(refused, Err(SpoolError::Full { count: 9, .. })));
    }

    #[test]
    fn the_limit_of_bytes_holds_for_reports_too() {
        let (_dir, spool) = spool();
        spool.take(&[event(1, "a"), event(2, "b")]).unwrap();
        spool.sign(&[1], &[report(1)]).unwrap();
        let long = NewReport { event: 2, document: vec![0; 195].into() };
        let refused = spool.sign(&[2], std::slice::from_ref(&long));
        assert!(matches!(refused, Err(SpoolError::Full { bytes: 7, .. })));
        let fits = NewReport { document: vec![0; 194].into(), ..long };
        assert_eq!(spool.sign(&[2], &[fits]).unwrap(), 2);
    }

    #[test]
    fn a_forgotten_event_leaves_its_receipts_and_is_still_known() {
        let (dir, spool) = spool();
        let old = |id, text| NewEvent { received_ms: 6, ..event(id, text) };
        spool.take(&[old(1, "a"), old(2, "b"), old(3, "c"), event(4, "d")]).unwrap();
        let reports = [1, 1, 2, 3, 4].map(report);
        spool.sign(&[1, 2, 3, 4], &reports).unwrap();
        let receipt = || ReportState::Receipted(Bytes::from_static(b"receipt"));
        let wrong = ReportState::WrongReceipt { answer: Bytes::new(), reason: "no".into() };
        spool.settle(&[(1, receipt()), (3, wrong), (4, receipt()), (5, receipt())]).unwrap();
        // One report of event 1 waits still, one of 2 is evidence, 4 is too young.
        assert_eq!(spool.forget(7).unwrap(), 1);
        assert_eq!(spool.event(3).unwrap(), None);
        let row = spool.report(4).unwrap().unwrap();
        assert_eq!((row.report.document.len(), row.state), (0, receipt()));
        spool.settle(&[(2, receipt())]).unwrap();
        assert_eq!(spool.forget(7).unwrap(), 1);
        assert_eq!(spool.forget(8).unwrap(), 1);
        assert_eq!(spool.event(2).unwrap().unwrap().bytes, Bytes::from_static(b"b"));
        drop(spool);
        let spool = SpoolDb::open(dir.path(), LIMITS).unwrap();
        assert_eq!(spool.take(&[event(3, "c")]).unwrap(), [Taken::Known(3)]);
        assert_eq!(spool.take(&[event(3, "x")]).unwrap(), [Taken::Conflict(3)]);
        // The youngest was forgotten: its number is not given again.
        assert_eq!(spool.take(&[event(5, "e")]).unwrap(), [Taken::New(5)]);
    }

    #[test]
    fn forgetting_goes_on_where_one_transaction_ends() {
        let dir = TempDir::new().unwrap();
        let limits = SpoolLimits { count: 10_000, bytes: 1 << 20 };
        let spool = SpoolDb::open(dir.path(), limits).unwrap();
        let count = 2 * FORGOTTEN_AT_ONCE as u64 + 1;
        let id = |number: u64| B256::left_padding_from(&number.to_be_bytes());
        let events: Vec<_> =
            (1..=count).map(|number| NewEvent { id: id(number), ..event(0, "e") }).collect();
        spool.take(&events).unwrap();
        let numbers: Vec<_> = (1..=count).collect();
        let reports: Vec<_> = numbers.iter().copied().map(report).collect();
        spool.sign(&numbers, &reports).unwrap();
        let receipt = ReportState::Receipted(Bytes::new());
        let ends: Vec<_> = numbers.iter().map(|number| (*number, receipt.clone())).collect();
        spool.settle(&ends).unwrap();
        assert_eq!(spool.forget(7).unwrap(), 0);
        assert_eq!(spool.forget(8).unwrap(), count);
        assert_eq!(spool.forget(8).unwrap(), 0);
    }

    #[test]
    fn a_pseudonym_is_connected_with_one_address_for_ever() {
        let (dir, spool) = spool();
        let (mari, mallory) = (Address::repeat_byte(1), Address::repeat_byte(2));
        let code = |hash, pseudonym| DeskCode {
            code_hash: B256::repeat_byte(hash),
            pseudonym: B256::repeat_byte(pseudonym),
            expires_ms: 5,
            subject: None,
        };
        let by = |code: DeskCode, subject| DeskCode { subject: Some(subject), ..code };
        for code in [code(1, 7), code(2, 7), code(3, 8)] {
            spool.keep_code(&code).unwrap();
        }
        spool.keep_code(&by(code(1, 7), mari)).unwrap();
        spool.keep_code(&by(code(1, 7), mari)).unwrap();
        drop(spool);
        let spool = SpoolDb::open(dir.path(), LIMITS).unwrap();
        let others = [
            by(code(1, 7), mallory),
            by(code(2, 7), mallory),
            // The same code for another pseudonym, and once more for nobody.
            by(code(1, 9), mallory),
            code(1, 7),
        ];
        for other in others {
            let refused = spool.keep_code(&other);
            assert!(matches!(refused, Err(SpoolError::Bound(to)) if to == mari), "{other:?}");
        }
        spool.keep_code(&by(code(2, 7), mari)).unwrap();
        assert_eq!(spool.subject_of(B256::repeat_byte(7)).unwrap(), Some(mari));
        assert_eq!(spool.subject_of(B256::repeat_byte(9)).unwrap(), None);
        assert_eq!(spool.unused_codes().unwrap(), 1);
        spool.drop_codes(5).unwrap();
        assert_eq!(spool.code(B256::repeat_byte(3)).unwrap(), Some(code(3, 8)));
        spool.drop_codes(6).unwrap();
        assert_eq!(spool.code(B256::repeat_byte(3)).unwrap(), None);
        assert_eq!(spool.code(B256::repeat_byte(1)).unwrap(), Some(by(code(1, 7), mari)));
    }
}
