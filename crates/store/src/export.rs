use crate::store::Store;
use medtrail_ledger::merkle::Hash;
use medtrail_ledger::ports::{Journal, JournalError};
use medtrail_ledger::tile::{TILE_HASHES, TileId, hashes};
use std::collections::VecDeque;
use std::ops::Range;

/// One entry as it stands on disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Exported {
    /// Its place in the log.
    pub index: u64,
    /// Its commitment, from the tiles.
    pub commitment: Hash,
    /// Its row, still sealed.
    pub row: Vec<u8>,
}

/// Entries in order, at most one tile's worth of them in memory.
#[derive(Debug)]
pub struct Export<'a> {
    store: &'a Store,
    rest: Range<u64>,
    ready: VecDeque<Exported>,
}

/// Reads the entries of `range` as far as the log reaches now. Beside a writer this is sound:
/// what is in the log never changes.
pub fn export(store: &Store, range: Range<u64>) -> Result<Export<'_>, JournalError> {
    let rest = range.start..range.end.min(store.tail()?.size);
    Ok(Export { store, rest, ready: VecDeque::new() })
}

impl Export<'_> {
    fn read_some(&mut self) -> Result<(), JournalError> {
        let start = self.rest.start;
        let id = TileId { level: 0, index: start / TILE_HASHES as u64 };
        let end = self.rest.end.min((id.index + 1) * TILE_HASHES as u64);
        let tile = hashes(&self.store.tile(id)?.unwrap_or_default());
        let rows = self.store.rows(start..end)?;
        for (index, row) in (start..end).zip(rows) {
            let place = (index % TILE_HASHES as u64) as usize;
            let commitment = *tile.get(place).ok_or_else(|| {
                JournalError::Damaged(format!("no commitment of entry {index} in {id:?}"))
            })?;
            self.ready.push_back(Exported { index, commitment, row });
        }
        self.rest.start = end;
        Ok(())
    }
}

impl Iterator for Export<'_> {
    type Item = Result<Exported, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ready.is_empty() && !self.rest.is_empty() {
            let read = self.read_some();
            if let Err(error) = read {
                // One error ends it: what follows a damage is for fsck to look at.
                self.rest.start = self.rest.end;
                return Some(Err(error));
            }
        }
        self.ready.pop_front().map(Ok)
    }
}
