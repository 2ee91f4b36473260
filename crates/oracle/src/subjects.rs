//! The subjects the writer has met of late: their keys, and where their trails end.

use crate::sealer::SubjectKeys;
use alloy_primitives::B256;
use alloy_primitives::map::HashMap;
use medtrail_ledger::ports::SubjectTag;

/// Subjects that stay in memory at least; at most twice as many.
const SUBJECTS_KEPT: usize = 16_384;

/// One person's keys and the end of their trail, unfiled entries included.
pub(crate) struct Subject {
    pub(crate) keys: SubjectKeys,
    pub(crate) ordinal: u64,
    pub(crate) last: B256,
}

/// The subjects of late, in two generations: the older is dropped when the younger is full.
#[derive(Default)]
pub(crate) struct Subjects {
    young: HashMap<SubjectTag, Subject>,
    old: HashMap<SubjectTag, Subject>,
}

impl Subjects {
    pub(crate) fn age(&mut self) {
        if self.young.len() >= SUBJECTS_KEPT {
            self.old = std::mem::take(&mut self.young);
        }
    }

    /// Whether it is known; if so it stays.
    pub(crate) fn keep(&mut self, tag: SubjectTag) -> bool {
        if self.young.contains_key(&tag) {
            return true;
        }
        match self.old.remove(&tag) {
            Some(subject) => self.young.insert(tag, subject).is_none(),
            None => false,
        }
    }

    pub(crate) fn insert(&mut self, tag: SubjectTag, subject: Subject) {
        self.young.insert(tag, subject);
    }

    /// Forgets its keys: they must seal no more.
    pub(crate) fn forget(&mut self, tag: SubjectTag) {
        self.young.remove(&tag);
        self.old.remove(&tag);
    }

    /// A subject that was kept or inserted since the last aging.
    pub(crate) fn get(&mut self, tag: SubjectTag) -> Option<&mut Subject> {
        self.young.get_mut(&tag)
    }
}
