//! A group commit, written to the head while it gathers.

use crate::db::{Fault, Writing};
use crate::head::{self, Shape};
use crate::store::Store;
use medtrail_ledger::ports::{Appending, Batch, CommitError, Tail};
use medtrail_ledger::tile::TileId;

/// Rows after `built_on`, in a transaction that is not committed.
pub(crate) struct Append<'a> {
    shape: Shape,
    built_on: Tail,
    /// Where the next row stands.
    next: u64,
    writing: Result<Writing<'a>, Fault>,
}

impl<'a> Append<'a> {
    pub(crate) fn begin(store: &'a Store, built_on: &Tail) -> Self {
        let writing = store.head.begin().and_then(|mut writing| {
            writing.with(|txn| head::expect_tail(txn, built_on))?;
            Ok(writing)
        });
        Self { shape: store.shape, built_on: built_on.clone(), next: built_on.size, writing }
    }

    fn put(&mut self, rows: &[Vec<u8>], tiles: &[(TileId, Vec<u8>)]) {
        let Ok(writing) = &mut self.writing else { return };
        let (shape, next) = (self.shape, self.next);
        let put = writing.with(|txn| {
            head::put_rows(txn, shape, next, rows)?;
            head::put_tiles(txn, tiles)
        });
        match put {
            Ok(()) => self.next += rows.len() as u64,
            // The transaction ends here, so that the file can be opened again.
            Err(fault) => self.writing = Err(fault),
        }
    }

    pub(crate) fn end(mut self, rest: &Batch) -> Result<Tail, Fault> {
        self.put(&rest.rows, &rest.tiles);
        let mut writing = self.writing?;
        let (built_on, size) = (&self.built_on, self.next);
        let tail = writing.with(|txn| head::put_end(txn, built_on, size, rest))?;
        writing.commit()?;
        Ok(tail)
    }
}

impl Appending for Append<'_> {
    fn push(&mut self, rows: Vec<Vec<u8>>, tiles: Vec<(TileId, Vec<u8>)>) {
        self.put(&rows, &tiles);
    }

    fn finish(self: Box<Self>, rest: Batch) -> Result<Tail, CommitError> {
        Ok(self.end(&rest)?)
    }
}
