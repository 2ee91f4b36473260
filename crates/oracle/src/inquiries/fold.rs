//! What an entry changes in the book: a pure look at the entry, and at the one it names.

use crate::opener::{Entry, EntryError};
use crate::service::Service;
use alloy_primitives::{Address, B256};
use medtrail_ledger::directory::{CorrectionRow, DirectoryChange, InquiryRow, InquirySort};
use medtrail_ledger::entry::{Kind, commitment};
use medtrail_ledger::inquiry::{Answered, Asked, Billed, Claim, Correction, Mistake, Question};
use medtrail_ledger::proof::Evidence;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// `medtrail/relayed-v1`: a document, and for which organisation the operator enters it.
#[derive(Serialize, Deserialize)]
pub(super) struct Relayed {
    version: String,
    organisation: Address,
    name: String,
    document: String,
}

impl Relayed {
    const VERSION: &str = "medtrail/relayed-v1";

    pub(super) fn new(organisation: Address, name: String, document: String) -> Self {
        Self { version: Self::VERSION.to_owned(), organisation, name, document }
    }
}

/// Whose word an entry's document is.
pub(super) enum Word {
    /// The log's own, for a person or the clock.
    Own(Vec<u8>),
    /// An organisation's: signed, or by its API key.
    Of(Address, Vec<u8>),
}

impl Service {
    /// The document of an entry, without its envelope, and whose word it is. None: nobody's who is
    /// known here.
    pub(super) fn word_of(&self, entry: &Entry) -> Option<Word> {
        let details = entry.details.as_deref()?;
        if entry.evidence != Evidence::Relayed {
            let organisation = self.0.live.organisation_of(entry.report.actor)?;
            return Some(Word::Of(organisation, details.to_vec()));
        }
        Some(match serde_json::from_slice::<Relayed>(details) {
            Ok(relayed) if relayed.version == Relayed::VERSION => {
                Word::Of(relayed.organisation, relayed.document.into_bytes())
            }
            _ => Word::Own(details.to_vec()),
        })
    }

    /// What the book changes by this entry. The same entry again changes nothing more.
    pub(super) fn fold(&self, entry: &Entry) -> Result<Option<DirectoryChange>, EntryError> {
        if Kind::from_number(entry.report.kind) == Kind::Source {
            return self.fold_source(entry);
        }
        let Some(word) = self.word_of(entry) else { return Ok(None) };
        Ok(match (Kind::from_number(entry.report.kind), word) {
            (Kind::Question, Word::Own(bytes)) => match read(&bytes) {
                Some(Question::Asked(asked)) => self.fold_asked(entry, &asked),
                Some(Question::Unanswered(told)) => self.fold_unanswered(entry, told.question),
                _ => None,
            },
            (Kind::Question, Word::Of(organisation, bytes)) => read(&bytes)
                .filter(|answered: &Answered| answered.question == entry.report.permission)
                .and_then(|_| self.fold_answered(entry, organisation)),
            (Kind::Claim, Word::Of(organisation, bytes)) => {
                read::<Billed>(&bytes).and_then(|_| self.fold_billed(entry, organisation))
            }
            (Kind::Claim, Word::Own(bytes)) => match read(&bytes) {
                Some(Claim::Answered(answer)) => self.fold_reply(entry, answer.claim),
                _ => None,
            },
            (Kind::Correction, Word::Of(organisation, bytes)) => match read(&bytes) {
                Some(correction) => self.fold_correction(entry, organisation, &correction)?,
                None => None,
            },
            _ => None,
        })
    }

    fn fold_asked(&self, entry: &Entry, asked: &Asked) -> Option<DirectoryChange> {
        let id = commitment(&entry.report, &entry.place);
        let is_correction = asked.wants == medtrail_ledger::inquiry::Wanted::Correction;
        let sort =
            InquirySort::Question { line: asked.line.index, due_ms: asked.due_ms, is_correction };
        self.opened(entry, id, sort, asked.organisation)
    }

    fn fold_billed(&self, entry: &Entry, organisation: Address) -> Option<DirectoryChange> {
        let id = commitment(&entry.report, &entry.place);
        self.opened(entry, id, InquirySort::Claim, organisation)
    }

    fn opened(
        &self,
        entry: &Entry,
        id: B256,
        sort: InquirySort,
        organisation: Address,
    ) -> Option<DirectoryChange> {
        // Read again after a crash, it must not lose its answer.
        if entry.report.subject.is_zero() || self.0.live.rows().book.get(id).is_some() {
            return None;
        }
        Some(DirectoryChange::PutInquiry(InquiryRow {
            id,
            index: entry.index,
            sort,
            subject: entry.report.subject,
            organisation,
            asked_ms: entry.place.receivedMs,
            answer: None,
            unanswered: None,
        }))
    }

    fn fold_answered(&self, entry: &Entry, organisation: Address) -> Option<DirectoryChange> {
        let rows = self.0.live.rows();
        let row = rows.book.get(entry.report.permission)?;
        let is_its = matches!(row.sort, InquirySort::Question { .. })
            && row.organisation == organisation
            && row.subject == entry.report.subject
            && row.index < entry.index;
        // The first answer stands; what comes after is a correction of it, or nothing.
        let is_first = row.answer.is_none_or(|answer| entry.index < answer);
        let answered = InquiryRow { answer: Some(entry.index), ..row.clone() };
        (is_its && is_first).then_some(DirectoryChange::PutInquiry(answered))
    }

    fn fold_unanswered(&self, entry: &Entry, id: B256) -> Option<DirectoryChange> {
        let rows = self.0.live.rows();
        let row = rows.book.get(id).filter(|row| row.unanswered.is_none())?;
        let told = InquiryRow { unanswered: Some(entry.index), ..row.clone() };
        Some(DirectoryChange::PutInquiry(told))
    }

    fn fold_reply(&self, entry: &Entry, id: B256) -> Option<DirectoryChange> {
        let rows = self.0.live.rows();
        // Who erred may say so: the last answer stands.
        let is_later = |row: &&InquiryRow| row.answer.is_none_or(|answer| answer < entry.index);
        let row = rows.book.get(id).filter(is_later)?;
        let answered = InquiryRow { answer: Some(entry.index), ..row.clone() };
        Some(DirectoryChange::PutInquiry(answered))
    }

    fn fold_correction(
        &self,
        entry: &Entry,
        organisation: Address,
        correction: &Correction,
    ) -> Result<Option<DirectoryChange>, EntryError> {
        let named = correction.line;
        let is_known = self.corrected_by(entry.index).is_some();
        let is_earlier = named.index < entry.index;
        if is_known || !is_earlier || entry.report.permission != named.commitment {
            return Ok(None);
        }
        let line = match self.open_row(named.index) {
            Ok(line) => line,
            Err(EntryError::Erased(_) | EntryError::Damaged(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let is_named = commitment(&line.report, &line.place) == named.commitment;
        let is_theirs = self.0.live.reporter_of(&line) == Some(organisation);
        let subject = |entry: &Entry| self.subject_now(entry.report.subject);
        let is_in_trail = subject(&line) == subject(entry) && !line.report.subject.is_zero();
        let is_wrong_person = correction.mistake == Some(Mistake::WrongPerson);
        let row = CorrectionRow { line: named.index, by: entry.index, is_wrong_person };
        let is_it = is_named && is_theirs && is_in_trail;
        Ok(is_it.then_some(DirectoryChange::PutCorrection(row)))
    }
}

pub(super) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    serde_json::from_slice(bytes).ok()
}
