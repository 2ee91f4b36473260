//! An index whose keys come in random order, made so that filling it stays cheap as it grows.
//!
//! A key written straight into a large tree rewrites a page of its own: 4 KiB for 24 bytes. So
//! keys wait in a small **young** tree, and each filing moves one slice of the key space, a 32nd,
//! into the **old** one: the keys that waited for their turn lie close together there and share
//! the pages they rewrite. A reader asks both.

use crate::db::Fault;
use redb::{
    ReadOnlyTable, ReadTransaction, ReadableTableMetadata, TableDefinition, Value, WriteTransaction,
};
use std::cmp::Ordering;

/// Filings until every slice had its turn. More would make the young tree, which each filing
/// rewrites, the larger part of the work below some ten million keys.
const SLICES: u64 = 32;

/// An index by keys of `N` bytes whose first byte is evenly spread.
#[derive(Clone, Copy)]
pub(crate) struct Index<const N: usize, V: 'static + Value> {
    old: TableDefinition<'static, &'static [u8; N], V>,
    young: TableDefinition<'static, &'static [u8; N], V>,
}

/// Values that are stored as themselves.
pub(crate) trait Plain: 'static + for<'a> Value<SelfType<'a> = Self> + Copy + Ord {}
impl<T: 'static + for<'a> Value<SelfType<'a> = T> + Copy + Ord> Plain for T {}

impl<const N: usize, V: Plain> Index<N, V> {
    pub(crate) const fn new(old: &'static str, young: &'static str) -> Self {
        Self { old: TableDefinition::new(old), young: TableDefinition::new(young) }
    }

    pub(crate) fn create(&self, txn: &WriteTransaction) -> Result<(), Fault> {
        txn.open_table(self.old)?;
        txn.open_table(self.young)?;
        Ok(())
    }

    pub(crate) fn delete(&self, txn: &WriteTransaction) -> Result<(), Fault> {
        txn.delete_table(self.old)?;
        txn.delete_table(self.young)?;
        Ok(())
    }

    /// Adds rows, as the `filing`-th time that any are added. Sorted, so that neighbours share
    /// the pages they change.
    pub(crate) fn add(
        &self,
        txn: &WriteTransaction,
        filing: u64,
        mut rows: Vec<([u8; N], V)>,
    ) -> Result<(), Fault> {
        let mut young = txn.open_table(self.young)?;
        let (first, last) = slice(filing);
        {
            use redb::ReadableTable;
            let mut old = txn.open_table(self.old)?;
            for row in young.range::<&[u8; N]>(&first..=&last)? {
                let (key, value) = row?;
                old.insert(key.value(), value.value())?;
            }
        }
        young.retain_in::<&[u8; N], _>(&first..=&last, |_, _| false)?;
        rows.sort_unstable();
        for (key, value) in &rows {
            young.insert(key, *value)?;
        }
        Ok(())
    }

    pub(crate) fn open(&self, txn: &ReadTransaction) -> Result<OpenIndex<N, V>, Fault> {
        Ok(OpenIndex { old: txn.open_table(self.old)?, young: txn.open_table(self.young)? })
    }
}

/// The first and the last key of the slice whose turn it is.
fn slice<const N: usize>(filing: u64) -> ([u8; N], [u8; N]) {
    let width = 256 / SLICES;
    let start = (filing % SLICES) * width;
    let (mut first, mut last) = ([0; N], [0xff; N]);
    first[0] = start as u8;
    last[0] = (start + width - 1) as u8;
    (first, last)
}

/// An index in one snapshot.
pub(crate) struct OpenIndex<const N: usize, V: 'static + Value> {
    old: ReadOnlyTable<&'static [u8; N], V>,
    young: ReadOnlyTable<&'static [u8; N], V>,
}

impl<const N: usize, V: Plain> OpenIndex<N, V> {
    pub(crate) fn get(&self, key: &[u8; N]) -> Result<Option<V>, Fault> {
        let found = match self.young.get(key)? {
            Some(found) => Some(found),
            None => self.old.get(key)?,
        };
        Ok(found.map(|value| value.value()))
    }

    pub(crate) fn len(&self) -> Result<u64, Fault> {
        Ok(self.young.len()? + self.old.len()?)
    }

    /// Rows from `first` to `last`, both included, in the order of their keys.
    pub(crate) fn range(
        &self,
        first: &[u8; N],
        last: &[u8; N],
    ) -> Result<impl Iterator<Item = Result<([u8; N], V), Fault>>, Fault> {
        let read = |row: Result<
            (redb::AccessGuard<'_, &'static [u8; N]>, redb::AccessGuard<'_, V>),
            _,
        >| {
            let (key, value) = row?;
            Ok((*key.value(), value.value()))
        };
        let mut old = self.old.range::<&[u8; N]>(first..=last)?.map(read).peekable();
        let mut young = self.young.range::<&[u8; N]>(first..=last)?.map(read).peekable();
        Ok(std::iter::from_fn(move || {
            let order = match (old.peek(), young.peek()) {
                (Some(Ok((old, _))), Some(Ok((young, _)))) => old.cmp(young),
                (Some(_), _) => Ordering::Less,
                (None, _) => Ordering::Greater,
            };
            if order == Ordering::Greater { young.next() } else { old.next() }
        }))
    }

    /// The last row from `first` to `last`, both included.
    pub(crate) fn last(
        &self,
        first: &[u8; N],
        last: &[u8; N],
    ) -> Result<Option<([u8; N], V)>, Fault> {
        let old = self.old.range::<&[u8; N]>(first..=last)?.next_back().transpose()?;
        let young = self.young.range::<&[u8; N]>(first..=last)?.next_back().transpose()?;
        let rows = [old, young].into_iter().flatten();
        Ok(rows.map(|(key, value)| (*key.value(), value.value())).max_by_key(|row| row.0))
    }

    /// Every row in the order of the keys.
    pub(crate) fn all(&self) -> Result<impl Iterator<Item = Result<([u8; N], V), Fault>>, Fault> {
        self.range(&[0; N], &[0xff; N])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slices_of_one_round_are_the_whole_key_space_each_key_once() {
        let mut next = 0u16;
        for filing in 7 * SLICES..8 * SLICES {
            let (first, last) = slice::<16>(filing);
            assert_eq!((u16::from(first[0]), &first[1..]), (next, &[0; 15][..]));
            assert_eq!(&last[1..], &[0xff; 15]);
            next = u16::from(last[0]) + 1;
        }
        assert_eq!(next, 256);
    }
}
