//! Reads over both files.
//!
//! An entry is in the head, in the log, or (after filing, until its table is dropped) in both.
//! A reader therefore takes its snapshot of the head **first** and that of the log second: what
//! the first no longer shows was filed before it was taken, so the second shows it. The other way
//! round, an entry filed and dropped in between would be in neither.

use crate::db::Fault;
use crate::head::{self, TILES, full_tiles, tile_key};
use crate::log;
use crate::store::Store;
use medtrail_ledger::tile::TileId;
use redb::ReadTransaction;
use std::ops::Range;
use std::sync::atomic::Ordering;

impl Store {
    /// Visits the rows of `range` in order, as far as the log reaches.
    pub(crate) fn visit_rows(
        &self,
        range: Range<u64>,
        mut visit: impl FnMut(u64, &[u8]) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        if range.end <= self.filed.load(Ordering::SeqCst) {
            return self.log.read(|txn| log::visit_rows(txn, range, visit));
        }
        self.head.read(|head| {
            let kept_from = head::kept_from(head)?;
            let end = range.end.min(head::tail(head)?.size);
            let from_log = range.start..end.min(kept_from);
            if !from_log.is_empty() {
                self.log.read(|log| log::visit_rows(log, from_log, &mut visit))?;
            }
            head::visit_rows(head, self.shape, range.start.max(kept_from)..end, visit)
        })
    }

    pub(crate) fn stored_tile(&self, id: TileId) -> Result<Option<Vec<u8>>, Fault> {
        let filed = self.filed.load(Ordering::SeqCst);
        if id.index >= full_tiles(id.level, filed)
            && let Some(tile) = self.head.read(|txn| tile_in(txn, id))?
        {
            return Ok(Some(tile));
        }
        self.log.read(|txn| tile_in(txn, id))
    }
}

pub(crate) fn tile_in(txn: &ReadTransaction, id: TileId) -> Result<Option<Vec<u8>>, Fault> {
    let tile = txn.open_table(TILES)?.get(&tile_key(id))?;
    Ok(tile.map(|tile| tile.value().to_vec()))
}
