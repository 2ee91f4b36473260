//! What people and organisations ask each other: why was this done, this line is wrong, this was
//! billed for you.
//!
//! All of it is entries. A person asks and answers by a session, so those are the log's own
//! entries; an organisation answers, claims and corrects by its signed report, or by API key, which
//! stands as relayed. The [`clerk`] makes the book of it behind the head.

mod acts;
pub(crate) mod book;
pub mod clerk;
mod fold;
mod words;

pub use acts::{Ask, Noted};
pub use words::WordError;
pub(crate) use words::{check_word, check_word_of};

use crate::intake::ReportError;
use crate::opener::{Entry, EntryError};
use crate::service::Service;
use alloy_primitives::{Address, B256};
use medtrail_ledger::directory::{CorrectionRow, InquiryRow, InquirySort};
use medtrail_ledger::inquiry::{
    self, Answered, Asked, Billed, BilledAnswer, Claim, Question, Wanted,
};
use medtrail_ledger::ports::JournalError;
use medtrail_ledger::proof::Evidence;

/// How long an organisation has for an answer, unless configured otherwise, in milliseconds: the
/// month of GDPR Art. 12(3), as 30 days.
pub const ANSWER_WITHIN_MS: u64 = 30 * 24 * 3_600_000;
/// Questions of one person that may wait for their answers.
pub const OPEN_OF_PERSON_MAX: usize = 64;
/// Questions to one organisation that may.
pub const OPEN_OF_ORGANISATION_MAX: usize = 20_000;
/// Questions about one line, in all.
pub const ASKED_ABOUT_LINE_MAX: usize = 16;
/// Answers of a person to one claim: who erred may say so.
pub const REPLIES_MAX: usize = 8;
/// Inquiries in one answer.
pub const PAGE_MAX: usize = 200;

/// Why nothing was asked, answered or corrected. Nothing was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InquiryError {
    /// Not a line of who asks, or none.
    #[error("there is no such line of yours")]
    NoSuchLine,
    /// The log's own line: no organisation stands behind it.
    #[error("this line is the log's own word: no organisation can be asked about it")]
    NobodyToAsk,
    /// A question about the line waits for its answer.
    #[error("a question about this line waits for its answer already")]
    Open {
        /// It.
        id: B256,
    },
    /// This line was asked about often enough.
    #[error("this line was asked about {ASKED_ABOUT_LINE_MAX} times")]
    AskedOften,
    /// This person asks a lot.
    #[error("{OPEN_OF_PERSON_MAX} of your questions wait for their answers")]
    TooManyOfPerson,
    /// This organisation is asked a lot.
    #[error("{OPEN_OF_ORGANISATION_MAX} questions to this organisation wait for their answers")]
    TooManyOfOrganisation,
    /// A field breaks its rule.
    #[error(transparent)]
    Field(#[from] inquiry::InquiryError),
    /// None that concerns who asks.
    #[error("there is no such inquiry that concerns you")]
    NoSuchInquiry,
    /// It has its answer.
    #[error("it was answered; correct that answer if it was wrong")]
    Answered {
        /// The answer's entry.
        index: u64,
    },
    /// The signed report is another than the path says.
    #[error("report.{0} is not that of this inquiry")]
    Mismatch(&'static str),
    /// Not a line that this organisation reported.
    #[error("this line was not reported by you")]
    NotReported,
    /// Corrected to the same end before.
    #[error("the answer was changed as often as it can be")]
    RepliedOften,
    /// It got no place.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The disk could not be read.
    #[error(transparent)]
    Entry(#[from] EntryError),
}

impl From<JournalError> for InquiryError {
    fn from(error: JournalError) -> Self {
        Self::Entry(error.into())
    }
}

/// Whose inquiries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Whose {
    /// Those in the trail of this person, over all parts.
    Person(Address),
    /// The same by any subject id, for whoever acts for the person.
    About(B256),
    /// Those that this organisation is asked, or that it claims.
    Organisation(Address),
}

/// Which inquiries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wish {
    /// Claims, not questions.
    pub claims: bool,
    /// Only those without an answer.
    pub open: bool,
    /// Only with a smaller index: the `next` of the page before.
    pub before: Option<u64>,
    /// At most; none above [`PAGE_MAX`].
    pub limit: usize,
}

/// A question and what became of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QuestionView {
    /// The commitment of the entry that asked.
    pub id: B256,
    /// Where that stands.
    pub index: u64,
    /// When the log took it, milliseconds since 1970.
    pub asked_ms: u64,
    /// In whose trail.
    pub subject: B256,
    /// What was asked.
    pub asked: Asked,
    /// The line it is about, unless it cannot be opened.
    pub line: Option<Entry>,
    /// The answer.
    pub answer: Option<AnswerView>,
    /// The entry that says that nobody answered in time.
    pub unanswered: Option<u64>,
}

/// An organisation's answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AnswerView {
    /// Where it stands.
    pub index: u64,
    /// When the log took it, milliseconds since 1970.
    pub at_ms: u64,
    /// What it says.
    pub answered: Answered,
    /// The organisation signed it; else it is the operator's word for it.
    pub is_signed: bool,
}

/// A claim and what the person says to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClaimView {
    /// The commitment of the claim's entry.
    pub id: B256,
    /// Where that stands.
    pub index: u64,
    /// When the log took it, milliseconds since 1970.
    pub asked_ms: u64,
    /// In whose trail.
    pub subject: B256,
    /// Whose claim it is.
    pub organisation: Address,
    /// What was billed.
    pub billed: Billed,
    /// The organisation signed it.
    pub is_signed: bool,
    /// What the person says: where it stands, when the log took it, and the answer.
    pub reply: Option<(u64, u64, BilledAnswer)>,
}

impl Service {
    /// How long an organisation has for an answer, in milliseconds.
    pub fn answer_within_ms(&self) -> u64 {
        self.0.answer_within_ms
    }

    /// A page of questions, newest first, and the `before` of the next one. Blocks.
    ///
    /// # Errors
    /// Where the disk cannot be read.
    pub fn questions(
        &self,
        whose: Whose,
        wish: Wish,
    ) -> Result<(Vec<QuestionView>, Option<u64>), EntryError> {
        let (rows, next) = self.inquiries(whose, Wish { claims: false, ..wish });
        let views = rows.into_iter().filter_map(|row| self.question_view(&row).transpose());
        Ok((views.collect::<Result<_, _>>()?, next))
    }

    /// The same of claims. Blocks.
    ///
    /// # Errors
    /// Where the disk cannot be read.
    pub fn claims(
        &self,
        whose: Whose,
        wish: Wish,
    ) -> Result<(Vec<ClaimView>, Option<u64>), EntryError> {
        let (rows, next) = self.inquiries(whose, Wish { claims: true, ..wish });
        let views = rows.into_iter().filter_map(|row| self.claim_view(&row).transpose());
        Ok((views.collect::<Result<_, _>>()?, next))
    }

    /// The corrections of a line, oldest first.
    pub fn corrections_of(&self, line: u64) -> Vec<CorrectionRow> {
        self.0.live.rows().book.corrections_of(line).copied().collect()
    }

    /// The line that the entry at `index` corrects, if that counts: whoever did not report a line
    /// corrects nothing.
    pub fn corrected_by(&self, index: u64) -> Option<u64> {
        self.0.live.rows().book.corrected_by(index)
    }

    /// The inquiry that the entry at `index` opened or answered.
    pub fn inquiry_at(&self, index: u64) -> Option<InquiryRow> {
        self.0.live.rows().book.at(index).cloned()
    }

    /// Whether the entry at `index` is addressed to this organisation: a question to it, or a
    /// person's answer to its claim; or says that nobody answered about a change of its own.
    pub fn is_addressed(&self, organisation: Address, index: u64) -> bool {
        if self.is_told_of(organisation, index) {
            return true;
        }
        let rows = self.0.live.rows();
        rows.book.at(index).is_some_and(|row| {
            row.organisation == organisation
                && match row.sort {
                    InquirySort::Question { .. } => row.index == index,
                    InquirySort::Claim => row.answer == Some(index),
                }
        })
    }

    /// One question, for who is asked or who asks. Blocks.
    ///
    /// # Errors
    /// Where the disk cannot be read.
    pub fn question(&self, whose: Whose, id: B256) -> Result<Option<QuestionView>, EntryError> {
        let row = self.inquiry(whose, id);
        let row = row.filter(|row| matches!(row.sort, InquirySort::Question { .. }));
        Ok(row.map(|row| self.question_view(&row)).transpose()?.flatten())
    }

    fn inquiry(&self, whose: Whose, id: B256) -> Option<InquiryRow> {
        let row = self.0.live.rows().book.get(id).cloned()?;
        let concerns = match whose {
            Whose::Person(person) => self.parts(person).contains(&row.subject),
            Whose::About(subject) => self.parts_about(subject).contains(&row.subject),
            Whose::Organisation(id) => row.organisation == id,
        };
        concerns.then_some(row)
    }

    /// The subject ids in whose trails something is looked for; none for an organisation.
    pub(crate) fn parts_asked_for(&self, whose: Whose) -> Vec<B256> {
        match whose {
            Whose::Person(person) => self.parts(person),
            Whose::About(subject) => self.parts_about(subject),
            Whose::Organisation(_) => Vec::new(),
        }
    }

    fn inquiries(&self, whose: Whose, wish: Wish) -> (Vec<InquiryRow>, Option<u64>) {
        // Before the book is locked: both are in the directory.
        let parts = self.parts_asked_for(whose);
        let rows = self.0.live.rows();
        let limit = wish.limit.clamp(1, PAGE_MAX);
        let is_wished = |row: &&InquiryRow| {
            (row.sort == InquirySort::Claim) == wish.claims
                && wish.before.is_none_or(|before| row.index < before)
                && (!wish.open || row.answer.is_none())
        };
        let mut found: Vec<InquiryRow> = match whose {
            Whose::Person(_) | Whose::About(_) => {
                let rows = rows.book.of_subjects(&parts).filter(is_wished);
                rows.take(limit + 1).cloned().collect()
            }
            Whose::Organisation(id) => {
                let rows = rows.book.of_organisation(id).filter(is_wished);
                rows.take(limit + 1).cloned().collect()
            }
        };
        let has_more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| has_more).map(|row| row.index);
        (found, next)
    }

    /// An entry that belongs to an inquiry; none if it was erased, or is damaged.
    pub(crate) fn opened_row(&self, index: u64) -> Result<Option<Entry>, EntryError> {
        match self.open_row(index) {
            Ok(entry) => Ok(Some(entry)),
            Err(EntryError::Erased(_) | EntryError::Damaged(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn question_view(&self, row: &InquiryRow) -> Result<Option<QuestionView>, EntryError> {
        let InquirySort::Question { line, .. } = row.sort else { return Ok(None) };
        let Some(entry) = self.opened_row(row.index)? else { return Ok(None) };
        let Some(fold::Word::Own(bytes)) = self.word_of(&entry) else { return Ok(None) };
        let Some(Question::Asked(asked)) = fold::read(&bytes) else { return Ok(None) };
        let answer = row.answer.map(|index| self.answer_view(index)).transpose()?.flatten();
        Ok(Some(QuestionView {
            id: row.id,
            index: row.index,
            asked_ms: row.asked_ms,
            subject: row.subject,
            asked,
            line: self.opened_row(line)?,
            answer,
            unanswered: row.unanswered,
        }))
    }

    fn answer_view(&self, index: u64) -> Result<Option<AnswerView>, EntryError> {
        let Some(entry) = self.opened_row(index)? else { return Ok(None) };
        let Some(fold::Word::Of(_, bytes)) = self.word_of(&entry) else { return Ok(None) };
        Ok(fold::read(&bytes).map(|answered| AnswerView {
            index,
            at_ms: entry.place.receivedMs,
            answered,
            is_signed: entry.evidence != Evidence::Relayed,
        }))
    }

    fn claim_view(&self, row: &InquiryRow) -> Result<Option<ClaimView>, EntryError> {
        let Some(entry) = self.opened_row(row.index)? else { return Ok(None) };
        let Some(fold::Word::Of(organisation, bytes)) = self.word_of(&entry) else {
            return Ok(None);
        };
        let Some(billed) = fold::read(&bytes) else { return Ok(None) };
        let reply = match row.answer.map(|index| self.opened_row(index)).transpose()?.flatten() {
            None => None,
            Some(entry) => match self.word_of(&entry) {
                Some(fold::Word::Own(bytes)) => match fold::read(&bytes) {
                    Some(Claim::Answered(answer)) => {
                        Some((entry.index, entry.place.receivedMs, answer))
                    }
                    _ => None,
                },
                _ => None,
            },
        };
        Ok(Some(ClaimView {
            id: row.id,
            index: row.index,
            asked_ms: row.asked_ms,
            subject: row.subject,
            organisation,
            billed,
            is_signed: entry.evidence != Evidence::Relayed,
            reply,
        }))
    }
}

impl QuestionView {
    /// How it stands: `open`, `answered`, `answered-late` or `unanswered`.
    pub fn state(&self) -> &'static str {
        match (&self.answer, self.unanswered) {
            (Some(answer), _) if answer.at_ms > self.asked.due_ms => "answered-late",
            (Some(_), _) => "answered",
            (None, Some(_)) => "unanswered",
            (None, None) => "open",
        }
    }

    /// Whether a correction is asked for.
    pub fn wants_correction(&self) -> bool {
        self.asked.wants == Wanted::Correction
    }
}
