//! Moves entries from the head to the log.

use crate::db::Fault;
use crate::head::{self, TILES, full_tiles, tile_key};
use crate::log::{self, IndexRows, ROWS};
use crate::store::Store;
use medtrail_ledger::tile::TileId;
use redb::{ReadTransaction, WriteTransaction};
use std::ops::Range;
use std::sync::atomic::Ordering;

impl Store {
    /// One transaction after the other until `size` is filed; what is filed is then dropped.
    pub(crate) fn file(&self, size: u64) -> Result<u64, Fault> {
        // First what a crash left between filing and dropping.
        let mut filed = self.filed_now();
        self.drop_filed(filed)?;
        let size = size.min(self.head.read(|txn| Ok(head::tail(txn)?.size))?);
        while filed < size {
            filed = self.file_some(size)?;
            self.drop_filed(filed)?;
        }
        Ok(filed)
    }

    /// Files one transaction's worth. It is durable before anything is dropped from the head.
    fn file_some(&self, size: u64) -> Result<u64, Fault> {
        let filing = |head: &ReadTransaction, log: &WriteTransaction| {
            // Read inside the transaction, not remembered: an earlier commit may have happened
            // although we were told that it failed.
            let start = log::filed_in(log)?;
            let end = size.min(start + self.options.rows_per_filing).max(start);
            self.copy_rows(head, log, start..end)?;
            copy_tiles(head, log, start, end)?;
            log::set_filed(log, end)?;
            Ok(end)
        };
        let filed = self.head.read(|head| self.log.write(|log| filing(head, log)))?;
        // Readers may go by this: what is filed never leaves the log again.
        self.filed.fetch_max(filed, Ordering::SeqCst);
        Ok(filed)
    }

    fn copy_rows(
        &self,
        head: &ReadTransaction,
        log: &WriteTransaction,
        range: Range<u64>,
    ) -> Result<(), Fault> {
        let mut rows = log.open_table(ROWS)?;
        let mut indexes = IndexRows::default();
        head::visit_rows(head, self.shape, range, |index, row| {
            indexes.add(index, row)?;
            rows.insert(index, row)?;
            Ok(())
        })?;
        indexes.write(log)
    }

    fn drop_filed(&self, filed: u64) -> Result<(), Fault> {
        // A glance first: most filings complete no table, and a commit here costs the writer one.
        let next_border = self.kept_from.load(Ordering::SeqCst) + self.shape.rows_per_table;
        if filed >= next_border {
            let kept_from = self.head.write(|txn| head::drop_filed(txn, self.shape, filed))?;
            self.kept_from.fetch_max(kept_from, Ordering::SeqCst);
        }
        Ok(())
    }
}

/// Copies the tiles that become full between two sizes; partial ones stay in the head.
fn copy_tiles(
    head: &ReadTransaction,
    log: &WriteTransaction,
    from: u64,
    to: u64,
) -> Result<(), Fault> {
    let source = head.open_table(TILES)?;
    let mut target = log.open_table(TILES)?;
    for level in 0u8.. {
        if full_tiles(level, to) == 0 {
            break;
        }
        for index in full_tiles(level, from)..full_tiles(level, to) {
            let id = TileId { level, index };
            let key = tile_key(id);
            let tile = source
                .get(&key)?
                .ok_or_else(|| Fault::Damaged(format!("no full tile {id:?} to file")))?;
            target.insert(&key, tile.value())?;
        }
    }
    Ok(())
}
