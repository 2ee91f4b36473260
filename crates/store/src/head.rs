//! `head.redb`: what was just acknowledged. Every key is at the end of its table, so that a commit
//! writes a handful of pages however large the log is.

use crate::db::{Fault, STATE};
use medtrail_ledger::ports::{Batch, RowHeader, Tail};
use medtrail_ledger::tile::{TILE_BYTES, TILE_HEIGHT, TileId};
use redb::{
    ReadTransaction, ReadableTable, Table, TableDefinition, TableError, TableHandle,
    WriteTransaction,
};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Stored tiles, in both files: level and index, big-endian, so that each level grows at its end.
pub(crate) const TILES: TableDefinition<&[u8; 9], &[u8]> = TableDefinition::new("tiles");
/// Small values the binary keeps: origin, chain, registry.
pub(crate) const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");

const TAIL_ROW: &str = "tail";
const SHAPE_ROW: &str = "rows-per-table";
const KEPT_FROM_ROW: &str = "kept-from";

const TAIL_VERSION: u8 = 1;

/// The tail as it is stored, behind a version byte.
#[derive(Serialize, Deserialize)]
struct TailRow {
    size: u64,
    epoch: u64,
    received_ms: u64,
    peaks: Vec<[u8; 32]>,
    checkpoint: Vec<u8>,
}

pub(crate) fn tile_key(id: TileId) -> [u8; 9] {
    let mut key = [id.level; 9];
    key[1..].copy_from_slice(&id.index.to_be_bytes());
    key
}

pub(crate) fn tile_id(key: &[u8; 9]) -> TileId {
    let (level, index) = key.split_at(1);
    TileId { level: level[0], index: u64::from_be_bytes(index.try_into().expect("8 bytes")) }
}

/// Full tiles of `level` within the first `size` entries.
pub(crate) fn full_tiles(level: u8, size: u64) -> u64 {
    size.checked_shr((u32::from(level) + 1) * TILE_HEIGHT).unwrap_or(0)
}

/// Rows stand in one table per this many entries: a filed table is dropped whole, which frees its
/// pages without touching its keys one by one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) rows_per_table: u64,
}

impl Shape {
    fn table(self, index: u64) -> u64 {
        index / self.rows_per_table
    }

    /// The entries of `range` cut at table borders.
    fn pieces(self, range: Range<u64>) -> impl Iterator<Item = (u64, Range<u64>)> {
        let mut next = range.start;
        std::iter::from_fn(move || {
            let table = self.table(next);
            let end = range.end.min((table + 1) * self.rows_per_table);
            let piece = next..end;
            next = end;
            (!piece.is_empty()).then_some((table, piece))
        })
    }
}

const ROWS_PREFIX: &str = "rows-";

fn rows_table(number: u64) -> String {
    format!("{ROWS_PREFIX}{number:012}")
}

fn definition(name: &str) -> TableDefinition<'_, u64, &'static [u8]> {
    TableDefinition::new(name)
}

/// Fills a new file.
pub(crate) fn create(txn: &WriteTransaction, shape: Shape) -> Result<(), Fault> {
    let mut state = txn.open_table(STATE)?;
    state.insert(SHAPE_ROW, shape.rows_per_table.to_le_bytes().as_slice())?;
    state.insert(KEPT_FROM_ROW, 0u64.to_le_bytes().as_slice())?;
    put_tail(&mut state, &Tail::default())?;
    txn.open_table(TILES)?;
    txn.open_table(META)?;
    Ok(())
}

/// How rows are cut into tables, chosen when the file was created.
pub(crate) fn shape(txn: &ReadTransaction) -> Result<Shape, Fault> {
    let rows_per_table = number(&txn.open_table(STATE)?, SHAPE_ROW)?;
    if rows_per_table == 0 {
        return Err(Fault::Damaged(format!("state row {SHAPE_ROW}: 0")));
    }
    Ok(Shape { rows_per_table })
}

/// The first entry whose row still stands here; older ones are filed.
pub(crate) fn kept_from(txn: &ReadTransaction) -> Result<u64, Fault> {
    number(&txn.open_table(STATE)?, KEPT_FROM_ROW)
}

pub(crate) fn tail(txn: &ReadTransaction) -> Result<Tail, Fault> {
    get_tail(&txn.open_table(STATE)?)
}

/// Fences every older writer of this log.
pub(crate) fn next_epoch(txn: &WriteTransaction) -> Result<Tail, Fault> {
    let mut state = txn.open_table(STATE)?;
    let mut tail = get_tail(&state)?;
    tail.epoch += 1;
    put_tail(&mut state, &tail)?;
    Ok(tail)
}

/// Refuses to build on a tail that moved.
pub(crate) fn expect_tail(txn: &WriteTransaction, built_on: &Tail) -> Result<(), Fault> {
    let found = get_tail(&txn.open_table(STATE)?)?;
    if (found.size, found.epoch) != (built_on.size, built_on.epoch) {
        return Err(Fault::Fenced { expected: built_on.size, found: found.size });
    }
    Ok(())
}

/// Writes rows from `first` on.
pub(crate) fn put_rows(
    txn: &WriteTransaction,
    shape: Shape,
    first: u64,
    rows: &[Vec<u8>],
) -> Result<(), Fault> {
    check_rows(rows)?;
    let mut left = rows.iter();
    for (table, piece) in shape.pieces(first..first + rows.len() as u64) {
        let name = rows_table(table);
        let mut table = txn.open_table(definition(&name))?;
        for (index, row) in piece.zip(&mut left) {
            table.insert(index, row.as_slice())?;
        }
    }
    Ok(())
}

/// Writes tiles, each in the place of what stood of it.
pub(crate) fn put_tiles(txn: &WriteTransaction, tiles: &[(TileId, Vec<u8>)]) -> Result<(), Fault> {
    if tiles.is_empty() {
        return Ok(());
    }
    check_tiles(tiles)?;
    let mut table = txn.open_table(TILES)?;
    for (id, bytes) in tiles {
        table.insert(&tile_key(*id), bytes.as_slice())?;
    }
    Ok(())
}

/// Writes the tail of a log of `size` entries, once their rows and tiles are written, and returns
/// it.
pub(crate) fn put_end(
    txn: &WriteTransaction,
    built_on: &Tail,
    size: u64,
    batch: &Batch,
) -> Result<Tail, Fault> {
    let tail = Tail {
        size,
        epoch: built_on.epoch,
        peaks: batch.peaks.clone(),
        checkpoint: batch.checkpoint.clone(),
        received_ms: batch.received_ms,
    };
    put_tail(&mut txn.open_table(STATE)?, &tail)?;
    Ok(tail)
}

/// What the filer could not digest must not be acknowledged.
fn check_rows(rows: &[Vec<u8>]) -> Result<(), Fault> {
    match rows.iter().position(|row| RowHeader::decode(row).is_none()) {
        Some(place) => Err(Fault::Malformed(format!("row {place} has no known header"))),
        None => Ok(()),
    }
}

fn check_tiles(tiles: &[(TileId, Vec<u8>)]) -> Result<(), Fault> {
    let is_tile = |bytes: &[u8]| {
        !bytes.is_empty() && bytes.len() <= TILE_BYTES && bytes.len().is_multiple_of(32)
    };
    match tiles.iter().find(|(_, bytes)| !is_tile(bytes)) {
        Some((id, bytes)) => Err(Fault::Malformed(format!("{id:?} has {} bytes", bytes.len()))),
        None => Ok(()),
    }
}

/// Drops what is filed: whole row tables, and the full tiles over them. Returns where the kept
/// rows begin now.
pub(crate) fn drop_filed(txn: &WriteTransaction, shape: Shape, filed: u64) -> Result<u64, Fault> {
    let mut state = txn.open_table(STATE)?;
    let kept_from = number(&state, KEPT_FROM_ROW)?;
    let keep_from = shape.table(filed) * shape.rows_per_table;
    if keep_from <= kept_from {
        return Ok(kept_from);
    }
    for table in shape.table(kept_from)..shape.table(keep_from) {
        txn.delete_table(definition(&rows_table(table)))?;
    }
    let mut tiles = txn.open_table(TILES)?;
    for level in 0u8.. {
        let full = full_tiles(level, keep_from);
        if full == 0 {
            break;
        }
        let first = tile_key(TileId { level, index: 0 });
        let end = tile_key(TileId { level, index: full });
        tiles.retain_in::<&[u8; 9], _>(&first..&end, |_, _| false)?;
    }
    state.insert(KEPT_FROM_ROW, keep_from.to_le_bytes().as_slice())?;
    Ok(keep_from)
}

/// Visits rows that stand here, in order.
pub(crate) fn visit_rows(
    txn: &ReadTransaction,
    shape: Shape,
    range: Range<u64>,
    mut visit: impl FnMut(u64, &[u8]) -> Result<(), Fault>,
) -> Result<(), Fault> {
    for (table, piece) in shape.pieces(range) {
        let name = rows_table(table);
        let table = txn.open_table(definition(&name))?;
        let mut expected = piece.start;
        for row in table.range(piece.clone())? {
            let (index, row) = row?;
            if index.value() != expected {
                break;
            }
            visit(expected, row.value())?;
            expected += 1;
        }
        if expected != piece.end {
            return Err(Fault::Damaged(format!("table {name} has no entry {expected}")));
        }
    }
    Ok(())
}

/// One row, if it stands here.
pub(crate) fn row(
    txn: &ReadTransaction,
    shape: Shape,
    index: u64,
) -> Result<Option<Vec<u8>>, Fault> {
    match txn.open_table(definition(&rows_table(shape.table(index)))) {
        Ok(table) => Ok(table.get(index)?.map(|row| row.value().to_vec())),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Rows that stand here but belong to no entry of the log, or should have been dropped.
pub(crate) fn rows_outside(txn: &ReadTransaction, kept: Range<u64>) -> Result<Vec<u64>, Fault> {
    let mut outside = Vec::new();
    for table in txn.list_tables()?.filter(|table| table.name().starts_with(ROWS_PREFIX)) {
        let table = txn.open_table(definition(table.name()))?;
        for row in table.range(..kept.start)?.chain(table.range(kept.end..)?) {
            outside.push(row?.0.value());
        }
    }
    Ok(outside)
}

fn get_tail(state: &impl ReadableTable<&'static str, &'static [u8]>) -> Result<Tail, Fault> {
    let damaged = |what: &str| Fault::Damaged(format!("state row {TAIL_ROW}: {what}"));
    let row = state.get(TAIL_ROW)?.ok_or_else(|| damaged("missing"))?;
    let (&version, bytes) = row.value().split_first().ok_or_else(|| damaged("empty"))?;
    if version != TAIL_VERSION {
        return Err(damaged("unknown version"));
    }
    let row: TailRow = postcard::from_bytes(bytes).map_err(|error| damaged(&error.to_string()))?;
    let TailRow { size, epoch, received_ms, peaks, checkpoint } = row;
    Ok(Tail { size, epoch, peaks, checkpoint, received_ms })
}

fn put_tail(state: &mut Table<'_, &str, &[u8]>, tail: &Tail) -> Result<(), Fault> {
    let Tail { size, epoch, peaks, checkpoint, received_ms } = tail.clone();
    let row = TailRow { size, epoch, received_ms, peaks, checkpoint };
    let bytes = postcard::to_extend(&row, vec![TAIL_VERSION])
        .map_err(|error| Fault::Malformed(error.to_string()))?;
    state.insert(TAIL_ROW, bytes.as_slice())?;
    Ok(())
}

/// A number in a file's own rows.
pub(crate) fn number(
    state: &impl ReadableTable<&'static str, &'static [u8]>,
    name: &str,
) -> Result<u64, Fault> {
    let row = state.get(name)?;
    let bytes = row.and_then(|row| row.value().try_into().ok());
    bytes.map(u64::from_le_bytes).ok_or_else(|| Fault::Damaged(format!("state row {name}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_where_tables_end() {
        let shape = Shape { rows_per_table: 10 };
        let pieces = |range| shape.pieces(range).collect::<Vec<_>>();
        assert_eq!(pieces(7..31), [(0, 7..10), (1, 10..20), (2, 20..30), (3, 30..31)]);
        assert_eq!(pieces(10..20), [(1, 10..20)]);
        assert_eq!(pieces(5..5), []);
    }

    #[test]
    fn tile_keys_sort_by_level_then_position_and_read_back() {
        let ids = [(0, 0), (0, 255), (0, 256), (0, u64::MAX), (1, 0), (2, 3)];
        let ids = ids.map(|(level, index)| TileId { level, index });
        let keys = ids.map(tile_key);
        assert!(keys.is_sorted());
        assert_eq!(keys.map(|key| tile_id(&key)), ids);
    }

    #[test]
    fn a_tile_is_full_once_its_last_entry_is_in() {
        let full = |size| [0, 1, 2, 7].map(|level| full_tiles(level, size));
        assert_eq!(full(255), [0, 0, 0, 0]);
        assert_eq!(full(256), [1, 0, 0, 0]);
        assert_eq!(full(65_535), [255, 0, 0, 0]);
        assert_eq!(full(65_536), [256, 1, 0, 0]);
        assert_eq!(full(u64::MAX), [(1 << 56) - 1, (1 << 48) - 1, (1 << 40) - 1, 0]);
    }
}
