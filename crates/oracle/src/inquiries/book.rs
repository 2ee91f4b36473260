//! What is asked and corrected, by all that it is looked up by. Filled from the directory, and by
//! each change of it.

use alloy_primitives::{Address, B256};
use medtrail_ledger::directory::{Contents, CorrectionRow, InquiryRow, InquirySort};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Inquiries and corrections.
#[derive(Default)]
pub(crate) struct Book {
    /// By where they stand.
    rows: BTreeMap<u64, InquiryRow>,
    ids: HashMap<B256, u64>,
    of_subject: HashMap<B256, BTreeSet<u64>>,
    of_organisation: HashMap<Address, BTreeSet<u64>>,
    /// Questions about each line.
    of_line: HashMap<u64, Vec<u64>>,
    /// By their answers.
    answers: HashMap<u64, u64>,
    /// Questions that wait for their answers, by when these are due.
    open: BTreeSet<(u64, u64)>,
    corrections: HashMap<u64, BTreeMap<u64, CorrectionRow>>,
    /// By the corrections.
    corrected: HashMap<u64, u64>,
}

impl Book {
    /// Takes out of the directory's contents what stands in the book.
    pub(crate) fn of(contents: &mut Contents) -> Self {
        let mut book = Self::default();
        std::mem::take(&mut contents.inquiries).into_iter().for_each(|row| book.put(row));
        std::mem::take(&mut contents.corrections).into_iter().for_each(|row| book.correct(row));
        book
    }

    pub(crate) fn put(&mut self, row: InquiryRow) {
        let index = row.index;
        self.ids.insert(row.id, index);
        self.of_subject.entry(row.subject).or_default().insert(index);
        self.of_organisation.entry(row.organisation).or_default().insert(index);
        if let Some(answer) = row.answer {
            self.answers.insert(answer, index);
        }
        if let InquirySort::Question { line, due_ms, .. } = row.sort {
            let of_line = self.of_line.entry(line).or_default();
            if !of_line.contains(&index) {
                of_line.push(index);
            }
            match is_open(&row) {
                true => self.open.insert((due_ms, index)),
                false => self.open.remove(&(due_ms, index)),
            };
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
        if let Some(indexes) = self.of_organisation.get_mut(&row.organisation) {
            indexes.remove(&row.index);
        }
        if let Some(answer) = row.answer {
            self.answers.remove(&answer);
        }
        if let InquirySort::Question { line, due_ms, .. } = row.sort {
            self.open.remove(&(due_ms, row.index));
            if let Some(indexes) = self.of_line.get_mut(&line) {
                indexes.retain(|index| *index != row.index);
            }
        }
    }

    pub(crate) fn correct(&mut self, row: CorrectionRow) {
        self.corrections.entry(row.line).or_default().insert(row.by, row);
        self.corrected.insert(row.by, row.line);
    }

    pub(crate) fn get(&self, id: B256) -> Option<&InquiryRow> {
        self.rows.get(self.ids.get(&id)?)
    }

    /// The inquiry that this entry opened or answered.
    pub(crate) fn at(&self, index: u64) -> Option<&InquiryRow> {
        self.rows.get(self.answers.get(&index).unwrap_or(&index))
    }

    /// All questions that were ever asked about a line, oldest first.
    pub(crate) fn about(&self, line: u64) -> impl Iterator<Item = &InquiryRow> {
        self.of_line.get(&line).into_iter().flatten().filter_map(|index| self.rows.get(index))
    }

    /// What stands in the trails of these subject ids, newest first.
    pub(crate) fn of_subjects(&self, subjects: &[B256]) -> impl Iterator<Item = &InquiryRow> {
        let mut indexes: Vec<u64> =
            subjects.iter().filter_map(|one| self.of_subject.get(one)).flatten().copied().collect();
        indexes.sort_unstable_by(|one, other| other.cmp(one));
        indexes.into_iter().filter_map(|index| self.rows.get(&index))
    }

    /// What an organisation was asked, and what it claims, newest first.
    pub(crate) fn of_organisation(&self, id: Address) -> impl Iterator<Item = &InquiryRow> {
        let indexes = self.of_organisation.get(&id).into_iter().flatten().rev();
        indexes.filter_map(|index| self.rows.get(index))
    }

    /// Questions whose answers were due before this time.
    pub(crate) fn due_before(&self, time_ms: u64) -> Vec<InquiryRow> {
        let due = self.open.range(..(time_ms, 0));
        due.filter_map(|(_, index)| self.rows.get(index)).cloned().collect()
    }

    /// Questions that wait for their answers.
    pub(crate) fn waiting(&self) -> usize {
        self.open.len()
    }

    /// The corrections of a line, oldest first.
    pub(crate) fn corrections_of(&self, line: u64) -> impl Iterator<Item = &CorrectionRow> {
        self.corrections.get(&line).into_iter().flat_map(BTreeMap::values)
    }

    /// The line that this entry corrects.
    pub(crate) fn corrected_by(&self, index: u64) -> Option<u64> {
        self.corrected.get(&index).copied()
    }
}

/// Whether a question waits for its answer; whether a claim does.
pub(crate) fn is_open(row: &InquiryRow) -> bool {
    row.answer.is_none() && row.unanswered.is_none()
}
