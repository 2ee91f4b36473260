//! Sources by all that they are looked up by. Filled from the directory, and by each change of it.

use alloy_primitives::B256;
use medtrail_ledger::directory::{SourceOwner, SourceRow};
use std::collections::{BTreeSet, HashMap};

/// All sources.
#[derive(Default)]
pub(crate) struct Register {
    rows: HashMap<B256, SourceRow>,
    /// By where they were registered.
    of_subject: HashMap<B256, BTreeSet<(u64, B256)>>,
    of_owner: HashMap<SourceOwner, BTreeSet<(u64, B256)>>,
    /// Those that are asked, by when that is due.
    due: BTreeSet<(u64, B256)>,
    /// Those of which something was found that is no entry yet.
    owed: BTreeSet<B256>,
}

impl Register {
    pub(crate) fn put(&mut self, row: SourceRow) {
        self.unplan(row.id);
        self.of_subject.entry(row.subject).or_default().insert((row.index, row.id));
        self.of_owner.entry(row.by).or_default().insert((row.index, row.id));
        match row.owed {
            // Not asked again before it was told.
            Some(_) => self.owed.insert(row.id),
            None => row.has_url && self.due.insert((row.due_ms, row.id)),
        };
        self.rows.insert(row.id, row);
    }

    fn unplan(&mut self, id: B256) {
        if let Some(before) = self.rows.get(&id) {
            self.due.remove(&(before.due_ms, id));
            self.owed.remove(&id);
        }
    }

    pub(crate) fn drop(&mut self, id: B256) {
        self.unplan(id);
        let Some(row) = self.rows.remove(&id) else { return };
        if let Some(ids) = self.of_subject.get_mut(&row.subject) {
            ids.remove(&(row.index, id));
        }
        if let Some(ids) = self.of_owner.get_mut(&row.by) {
            ids.remove(&(row.index, id));
        }
    }

    pub(crate) fn get(&self, id: B256) -> Option<&SourceRow> {
        self.rows.get(&id)
    }

    /// Those in the trails of these subject ids, newest first.
    pub(crate) fn of_subjects(&self, subjects: &[B256]) -> impl Iterator<Item = &SourceRow> {
        let ids = subjects.iter().filter_map(|subject| self.of_subject.get(subject)).flatten();
        let mut ids: Vec<(u64, B256)> = ids.copied().collect();
        ids.sort_unstable_by(|one, other| other.cmp(one));
        ids.into_iter().filter_map(|(_, id)| self.rows.get(&id))
    }

    /// Those that somebody registered, newest first.
    pub(crate) fn of_owner(&self, owner: SourceOwner) -> impl Iterator<Item = &SourceRow> {
        let ids = self.of_owner.get(&owner).into_iter().flatten().rev();
        ids.filter_map(|(_, id)| self.rows.get(id))
    }

    pub(crate) fn count_of_subjects(&self, subjects: &[B256]) -> usize {
        subjects.iter().filter_map(|one| self.of_subject.get(one)).map(BTreeSet::len).sum()
    }

    pub(crate) fn count_of_owner(&self, owner: SourceOwner) -> usize {
        self.of_owner.get(&owner).map_or(0, BTreeSet::len)
    }

    /// Those to be asked by now, the longest due first; with them those that are due later than
    /// `never_ms`: that is no time that this clock has ever set.
    pub(crate) fn due(&self, now_ms: u64, never_ms: u64) -> Vec<SourceRow> {
        let past = self.due.range(..(now_ms.saturating_add(1), B256::ZERO));
        let odd = self.due.range((never_ms, B256::ZERO)..);
        past.chain(odd).filter_map(|(_, id)| self.rows.get(id)).cloned().collect()
    }

    pub(crate) fn owed(&self) -> Vec<SourceRow> {
        self.owed.iter().filter_map(|id| self.rows.get(id)).cloned().collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }
}
