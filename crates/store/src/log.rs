//! `log.redb`: what is filed. Rows and full tiles, and three indexes made from the rows' headers.

use crate::db::{Fault, STATE};
use crate::head::{TILES, number};
use crate::index::Index;
use medtrail_ledger::ports::{EventKey, RecordTag, RowHeader, SubjectTag, TrailHead};
use redb::{ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};
use std::ops::Range;

/// Rows by index.
pub(crate) const ROWS: TableDefinition<u64, &[u8]> = TableDefinition::new("rows");
/// Subject tag and big-endian ordinal to index; entries without a person stand in none.
pub(crate) const TRAILS: Index<24, u64> = Index::new("trails", "trails-young");
/// Event key to index.
pub(crate) const EVENTS: Index<16, u64> = Index::new("events", "events-young");
/// Record tag and big-endian index; entries without a record stand in none.
pub(crate) const RECORDS: Index<24, ()> = Index::new("records", "records-young");

const FILED_ROW: &str = "filed";
/// How often the indexes were added to.
const FILINGS_ROW: &str = "filings";
/// Stands only while the indexes are being rebuilt: entries indexed so far.
const REINDEXED_ROW: &str = "reindexed";

/// Fills a new file.
pub(crate) fn create(txn: &WriteTransaction) -> Result<(), Fault> {
    set_filed(txn, 0)?;
    txn.open_table(ROWS)?;
    txn.open_table(TILES)?;
    create_indexes(txn)
}

fn create_indexes(txn: &WriteTransaction) -> Result<(), Fault> {
    TRAILS.create(txn)?;
    EVENTS.create(txn)?;
    RECORDS.create(txn)?;
    txn.open_table(STATE)?.insert(FILINGS_ROW, 0u64.to_le_bytes().as_slice())?;
    Ok(())
}

/// Entries filed so far.
pub(crate) fn filed(txn: &ReadTransaction) -> Result<u64, Fault> {
    number(&txn.open_table(STATE)?, FILED_ROW)
}

pub(crate) fn filed_in(txn: &WriteTransaction) -> Result<u64, Fault> {
    number(&txn.open_table(STATE)?, FILED_ROW)
}

pub(crate) fn set_filed(txn: &WriteTransaction, filed: u64) -> Result<(), Fault> {
    txn.open_table(STATE)?.insert(FILED_ROW, filed.to_le_bytes().as_slice())?;
    Ok(())
}

/// How far an unfinished rebuild of the indexes has come; `None` if they are whole.
pub(crate) fn reindexed(txn: &ReadTransaction) -> Result<Option<u64>, Fault> {
    let state = txn.open_table(STATE)?;
    let started = state.get(REINDEXED_ROW)?.is_some();
    started.then(|| number(&state, REINDEXED_ROW)).transpose()
}

/// Throws the indexes away, and notes that they are incomplete from here on.
pub(crate) fn begin_reindex(txn: &WriteTransaction) -> Result<(), Fault> {
    TRAILS.delete(txn)?;
    EVENTS.delete(txn)?;
    RECORDS.delete(txn)?;
    create_indexes(txn)?;
    txn.open_table(STATE)?.insert(REINDEXED_ROW, 0u64.to_le_bytes().as_slice())?;
    Ok(())
}

/// Indexes the next rows, at most `limit`; returns how many are indexed now.
pub(crate) fn reindex_some(txn: &WriteTransaction, limit: u64) -> Result<u64, Fault> {
    let (filed, start) = {
        let state = txn.open_table(STATE)?;
        (number(&state, FILED_ROW)?, number(&state, REINDEXED_ROW)?)
    };
    let end = filed.min(start + limit);
    let mut indexes = IndexRows::default();
    visit(&txn.open_table(ROWS)?, start..end, |index, row| indexes.add(index, row))?;
    indexes.write(txn)?;
    let mut state = txn.open_table(STATE)?;
    if end == filed {
        state.remove(REINDEXED_ROW)?;
    } else {
        state.insert(REINDEXED_ROW, end.to_le_bytes().as_slice())?;
    }
    Ok(end)
}

/// `tag ‖ number (big-endian)`: sorts by tag, then by number.
pub(crate) fn tagged(tag: &[u8; 16], number: u64) -> [u8; 24] {
    let mut key = [0; 24];
    key[..16].copy_from_slice(tag);
    key[16..].copy_from_slice(&number.to_be_bytes());
    key
}

/// The number of a [`tagged`] key.
pub(crate) fn number_of(key: &[u8; 24]) -> u64 {
    u64::from_be_bytes(key[16..].try_into().expect("8 bytes"))
}

/// Index rows of some entries.
#[derive(Default)]
pub(crate) struct IndexRows {
    trails: Vec<([u8; 24], u64)>,
    events: Vec<([u8; 16], u64)>,
    records: Vec<([u8; 24], ())>,
}

impl IndexRows {
    pub(crate) fn add(&mut self, index: u64, row: &[u8]) -> Result<(), Fault> {
        let header = RowHeader::decode(row)
            .ok_or_else(|| Fault::Damaged(format!("entry {index} has no known header")))?;
        if header.ordinal > 0 {
            self.trails.push((tagged(&header.subject.0, header.ordinal), index));
        }
        self.events.push((header.event.0, index));
        if header.record != RecordTag([0; 16]) {
            self.records.push((tagged(&header.record.0, index), ()));
        }
        Ok(())
    }

    pub(crate) fn write(self, txn: &WriteTransaction) -> Result<(), Fault> {
        let filings = {
            let mut state = txn.open_table(STATE)?;
            let filings = number(&state, FILINGS_ROW)?;
            state.insert(FILINGS_ROW, (filings + 1).to_le_bytes().as_slice())?;
            filings
        };
        TRAILS.add(txn, filings, self.trails)?;
        EVENTS.add(txn, filings, self.events)?;
        RECORDS.add(txn, filings, self.records)
    }
}

pub(crate) fn last_of(
    txn: &ReadTransaction,
    subject: SubjectTag,
) -> Result<Option<TrailHead>, Fault> {
    let (first, last) = (tagged(&subject.0, 0), tagged(&subject.0, u64::MAX));
    let last = TRAILS.open(txn)?.last(&first, &last)?;
    Ok(last.map(|(key, index)| TrailHead { ordinal: number_of(&key), index }))
}

pub(crate) fn find(txn: &ReadTransaction, event: EventKey) -> Result<Option<u64>, Fault> {
    EVENTS.open(txn)?.get(&event.0)
}

pub(crate) fn trail(
    txn: &ReadTransaction,
    subject: SubjectTag,
    from: u64,
    limit: usize,
) -> Result<Vec<u64>, Fault> {
    let (first, last) = (tagged(&subject.0, from), tagged(&subject.0, u64::MAX));
    let trail = TRAILS.open(txn)?;
    trail.range(&first, &last)?.take(limit).map(|row| Ok(row?.1)).collect()
}

pub(crate) fn of_record(
    txn: &ReadTransaction,
    record: RecordTag,
    from: u64,
    limit: usize,
) -> Result<Vec<u64>, Fault> {
    let (first, last) = (tagged(&record.0, from), tagged(&record.0, u64::MAX));
    let records = RECORDS.open(txn)?;
    records.range(&first, &last)?.take(limit).map(|row| Ok(number_of(&row?.0))).collect()
}

/// Visits rows that stand here, in order.
pub(crate) fn visit_rows(
    txn: &ReadTransaction,
    range: Range<u64>,
    each: impl FnMut(u64, &[u8]) -> Result<(), Fault>,
) -> Result<(), Fault> {
    visit(&txn.open_table(ROWS)?, range, each)
}

fn visit(
    rows: &impl ReadableTable<u64, &'static [u8]>,
    range: Range<u64>,
    mut each: impl FnMut(u64, &[u8]) -> Result<(), Fault>,
) -> Result<(), Fault> {
    if range.is_empty() {
        return Ok(());
    }
    let mut expected = range.start;
    for row in rows.range(range.clone())? {
        let (index, row) = row?;
        if index.value() != expected {
            break;
        }
        each(expected, row.value())?;
        expected += 1;
    }
    if expected != range.end {
        return Err(Fault::Damaged(format!("table rows has no entry {expected}")));
    }
    Ok(())
}
