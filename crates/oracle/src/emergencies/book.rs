//! Emergency changes, by all that they are looked up by. Filled from the directory, and by each
//! change of it.

use alloy_primitives::{Address, B256};
use medtrail_ledger::directory::EmergencyRow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// How long before the end somebody is reminded, in milliseconds: a week.
pub(super) const REMIND_BEFORE_MS: u64 = 7 * 24 * 3_600_000;

/// All of them.
#[derive(Default)]
pub(crate) struct Emergencies {
    /// By where they stand.
    rows: BTreeMap<u64, EmergencyRow>,
    ids: HashMap<B256, u64>,
    of_subject: HashMap<B256, BTreeSet<u64>>,
    of_organisation: HashMap<Address, BTreeSet<u64>>,
    /// Those that wait for an answer, by when the time for it ends.
    open: BTreeSet<(u64, u64)>,
    /// Those whose people are to be reminded, by when.
    unreminded: BTreeSet<(u64, u64)>,
    /// By the entries that say that nobody answered.
    told: HashMap<u64, u64>,
}

impl Emergencies {
    pub(crate) fn put(&mut self, row: EmergencyRow) {
        self.drop(row.id);
        let index = row.index;
        self.ids.insert(row.id, index);
        self.of_subject.entry(row.subject).or_default().insert(index);
        if let Some(id) = row.organisation {
            self.of_organisation.entry(id).or_default().insert(index);
        }
        if let Some((_, until_ms)) = row.clock.filter(|_| is_open(&row)) {
            self.open.insert((until_ms, index));
            if !row.is_reminded {
                self.unreminded.insert((reminder_ms(until_ms), index));
            }
        }
        if let Some(told) = row.unanswered {
            self.told.insert(told, index);
        }
        self.rows.insert(index, row);
    }

    pub(crate) fn drop(&mut self, id: B256) {
        let Some(row) = self.ids.remove(&id).and_then(|index| self.rows.remove(&index)) else {
            return;
        };
        if let Some(indexes) = self.of_subject.get_mut(&row.subject) {
            indexes.remove(&row.index);
        }
        let of = row.organisation.and_then(|id| self.of_organisation.get_mut(&id));
        if let Some(indexes) = of {
            indexes.remove(&row.index);
        }
        if let Some((_, until_ms)) = row.clock {
            self.open.remove(&(until_ms, row.index));
            self.unreminded.remove(&(reminder_ms(until_ms), row.index));
        }
        if let Some(told) = row.unanswered {
            self.told.remove(&told);
        }
    }

    pub(crate) fn get(&self, id: B256) -> Option<&EmergencyRow> {
        self.rows.get(self.ids.get(&id)?)
    }

    /// Of which one this entry says that nobody answered.
    pub(crate) fn told_at(&self, index: u64) -> Option<&EmergencyRow> {
        self.rows.get(self.told.get(&index)?)
    }

    /// Those in the trails of these subject ids, newest first.
    pub(crate) fn of_subjects(&self, subjects: &[B256]) -> impl Iterator<Item = &EmergencyRow> {
        let of = subjects.iter().filter_map(|one| self.of_subject.get(one));
        let mut indexes: Vec<u64> = of.flatten().copied().collect();
        indexes.sort_unstable_by(|one, other| other.cmp(one));
        indexes.into_iter().filter_map(|index| self.rows.get(&index))
    }

    /// What an organisation changed without asking, newest first.
    pub(crate) fn of_organisation(&self, id: Address) -> impl Iterator<Item = &EmergencyRow> {
        let indexes = self.of_organisation.get(&id).into_iter().flatten().rev();
        indexes.filter_map(|index| self.rows.get(index))
    }

    /// Those whose time for an answer ended before this time.
    pub(super) fn due_before(&self, time_ms: u64) -> Vec<EmergencyRow> {
        self.before(&self.open, time_ms)
    }

    /// Those whose people were to be reminded before this time.
    pub(super) fn to_remind_before(&self, time_ms: u64) -> Vec<EmergencyRow> {
        self.before(&self.unreminded, time_ms)
    }

    fn before(&self, due: &BTreeSet<(u64, u64)>, time_ms: u64) -> Vec<EmergencyRow> {
        let due = due.range(..(time_ms, 0));
        due.filter_map(|(_, index)| self.rows.get(index)).cloned().collect()
    }

    /// Those that wait for an answer.
    pub(super) fn waiting(&self) -> usize {
        self.open.len()
    }
}

/// Whether one waits for an answer, in its time.
pub(super) fn is_open(row: &EmergencyRow) -> bool {
    row.answer.is_none() && row.unanswered.is_none()
}

fn reminder_ms(until_ms: u64) -> u64 {
    until_ms.saturating_sub(REMIND_BEFORE_MS)
}
