//! Keeps the book of questions, claims and corrections, and the register of sources, behind the
//! head, and tells a person when the time for an answer has passed.
//!
//! The book is made from entries alone. How far it is made is saved with what it holds, so that
//! after a crash some entries are read again, which changes nothing. An entry that says that nobody
//! answered has an event id made from its question: it is entered once.

use super::book::is_open;
use crate::anchorer::Problem;
use crate::behind::{Obstacle, RETRY, SAVE_ENTRIES, Told, warn_once};
use crate::opener::EntryError;
use crate::service::Service;
use alloy_primitives::Address;
use medtrail_ledger::directory::{DirectoryChange, InquiryRow, InquirySort};
use medtrail_ledger::entry::{Kind, details_hash, event_id};
use medtrail_ledger::inquiry::{LineRef, Question, Unanswered};
use medtrail_ledger::ports::JournalError;
use medtrail_ledger::schema::Report;
use std::sync::PoisonError;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;
use tokio::sync::watch;

/// How often the clerk looks up when nothing is told.
const PAUSE: Duration = Duration::from_millis(250);
/// How long after its time an answer may still be on its way to the disk: it got its time from the
/// log before.
const GRACE_MS: u64 = 1_500;

/// Whether entries of this kind may change the book.
pub(crate) fn is_inquiry(kind: Kind) -> bool {
    matches!(kind, Kind::Question | Kind::Claim | Kind::Correction | Kind::Source)
}

/// How the book of inquiries is doing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Clerking {
    /// Questions that wait for their answers.
    pub open: u64,
    /// What is in the way of the book.
    pub problem: Option<Problem>,
}

/// The clerk. Runs on a thread of its own.
pub(crate) struct Clerk {
    service: Service,
    told: Receiver<Told>,
    ended: watch::Receiver<bool>,
    /// The next entry to look at.
    next: u64,
    saved: u64,
}

impl Clerk {
    pub(crate) fn new(
        service: Service,
        told: Receiver<Told>,
        ended: watch::Receiver<bool>,
    ) -> Result<Self, JournalError> {
        let next = service.begin_at(service.0.live.inquired(), DirectoryChange::Inquired)?;
        Ok(Self { service, told, ended, next, saved: next })
    }

    /// Keeps the book until the writer has ended.
    pub(crate) fn run(mut self) {
        while !*self.ended.borrow() {
            let done = self.follow().and_then(|()| self.close_overdue());
            let failed = done.is_err();
            self.tell(done.err());
            if failed {
                std::thread::sleep(RETRY);
            }
        }
        if let Err(error) = self.save(Vec::new(), self.next) {
            tracing::warn!("how far the book of questions is made is not saved: {error}");
        }
    }

    fn tell(&self, obstacle: Option<Obstacle>) {
        let waiting = "questions and answers wait to be noted";
        let problem = obstacle.map(|obstacle| obstacle.problem(waiting));
        let open = self.service.0.live.rows().book.waiting() as u64;
        let mut now = self.service.0.clerking.lock().unwrap_or_else(PoisonError::into_inner);
        warn_once(now.problem.as_ref(), problem.as_ref());
        *now = Clerking { open, problem };
        drop(now);
        self.service.stop_if_lost();
    }

    /// Takes in what is told, or finds what nobody told.
    fn follow(&mut self) -> Result<(), Obstacle> {
        match self.told.recv_timeout(PAUSE) {
            Ok(told) => {
                self.look_up_to(told.first)?;
                if self.next >= told.first && self.next < told.end {
                    let indexes = told.which.iter().map(|(index, _)| *index);
                    self.note(indexes.filter(|index| *index >= self.next).collect(), told.end)?;
                }
            }
            Err(RecvTimeoutError::Timeout) => self.look_up_to(self.service.head().size)?,
            // The writer is about to end.
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(PAUSE),
        }
        Ok(())
    }

    /// Finds inquiries below `size` that nobody told.
    fn look_up_to(&mut self, size: u64) -> Result<(), Obstacle> {
        while self.next < size && !*self.ended.borrow() {
            let rows = self.service.rows_from(self.next, size)?;
            let end = self.next + rows.len() as u64;
            let mut found = Vec::new();
            for (index, row) in rows {
                match self.service.0.opener.open(index, &row) {
                    Ok(entry) if is_inquiry(Kind::from_number(entry.report.kind)) => {
                        found.push(index);
                    }
                    Ok(_) | Err(EntryError::Erased(_) | EntryError::Damaged(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            self.note(found, end)?;
        }
        Ok(())
    }

    /// Notes these entries, in order; all before `end` are known then.
    fn note(&mut self, indexes: Vec<u64>, end: u64) -> Result<(), Obstacle> {
        for index in indexes {
            self.service.note(index)?;
        }
        if end - self.saved >= SAVE_ENTRIES {
            self.save(Vec::new(), end)?;
        }
        self.next = end;
        Ok(())
    }

    fn save(&mut self, mut changes: Vec<DirectoryChange>, end: u64) -> Result<(), JournalError> {
        if end == self.saved {
            return Ok(());
        }
        changes.push(DirectoryChange::Inquired(end));
        let live = &self.service.0.live;
        let _one_at_a_time = live.begin()?;
        live.apply(changes)?;
        self.saved = end;
        Ok(())
    }

    /// Tells of every question whose time has passed. Only once the book has caught up with what
    /// was acknowledged: an answer that came in time must not be called missing.
    fn close_overdue(&mut self) -> Result<(), Obstacle> {
        let now_ms = (self.service.0.now_ms)();
        let overdue = self.service.0.live.rows().book.due_before(now_ms.saturating_sub(GRACE_MS));
        if overdue.is_empty() {
            return Ok(());
        }
        self.look_up_to(self.service.head().size)?;
        for row in overdue {
            let is_still_open = self.service.0.live.rows().book.get(row.id).is_some_and(is_open);
            if is_still_open && !*self.ended.borrow() {
                self.tell_unanswered(&row)?;
            }
        }
        Ok(())
    }

    fn tell_unanswered(&self, row: &InquiryRow) -> Result<(), Obstacle> {
        let InquirySort::Question { line, due_ms, .. } = row.sort else { return Ok(()) };
        let asked = match self.service.open_row(row.index) {
            Ok(asked) => asked,
            // Nobody can read what was asked any more.
            Err(EntryError::Erased(_) | EntryError::Damaged(_)) => {
                let live = &self.service.0.live;
                let _one_at_a_time = live.begin()?;
                return Ok(live.apply(vec![DirectoryChange::DropInquiry(row.id)])?);
            }
            Err(error) => return Err(error.into()),
        };
        let line = LineRef { index: line, commitment: asked.report.permission };
        let told = Unanswered::new(row.id, line, row.organisation, due_ms);
        let details = serde_json::to_vec(&Question::Unanswered(told)).expect("plain data encodes");
        let event = [b"unanswered\0", row.id.as_slice()].concat();
        let report = Report {
            eventId: event_id(Address::ZERO, &event),
            kind: Kind::Question.number(),
            // Not now: entered again after a crash it must be the very same.
            timeMs: due_ms,
            subject: row.subject,
            permission: row.id,
            details: details_hash(&details),
            ..self.service.own_report()
        };
        let index = self.service.enter_own(report, details)?;
        self.service.note(index)?;
        Ok(())
    }
}

impl Service {
    /// Brings an entry into the book, durably. Blocks.
    pub(crate) fn note(&self, index: u64) -> Result<(), EntryError> {
        let entry = match self.open_row(index) {
            Ok(entry) => entry,
            Err(EntryError::Erased(_)) => return Ok(()),
            Err(error @ EntryError::Damaged(_)) => {
                tracing::error!("it is not noted: {error}");
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let _one_at_a_time = self.0.live.begin()?;
        if let Some(change) = self.fold(&entry)? {
            self.0.live.apply(vec![change])?;
        }
        Ok(())
    }

    /// How the book of inquiries is doing.
    pub fn clerking(&self) -> Clerking {
        self.0.clerking.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
