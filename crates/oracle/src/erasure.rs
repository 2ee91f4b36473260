//! Erasure: a person asks by a signed document, thirty days pass, and the keys are destroyed.
//!
//! One key seals the lines of a subject from one erasure that was asked for to the next: an *era*.
//! Asking ends it, so that what comes later is not erased with it. What is told of an erasure is
//! sealed under the log's key and outlives it.

mod details;
mod holds;
mod steps;

pub(crate) use details::erasure_in;
pub use details::{Act, Done, Part, VERSION, read_done};
pub use holds::{HoldError, TEXT_CHARS_MAX};
pub use steps::EraserState;
pub(crate) use steps::run;

use crate::opener::EntryError;
use crate::permissions::{Entered, PermissionError};
use crate::sequencer::PlaceError;
use crate::service::Service;
use alloy_primitives::{Address, B256};
use details::{By, Told};
use medtrail_ledger::directory::{DirectoryChange, ErasureRow, ErasureState};
use medtrail_ledger::entry::subject_of;
use medtrail_ledger::ports::{JournalError, MasterKeys};
use medtrail_ledger::vault::Shelves;
use medtrail_permit::documents::{Document, Erase};
use medtrail_permit::signed::{PermissionDetails, Signed};
use std::sync::Arc;

/// From asking to erasing, in milliseconds: 30 days.
pub const WAIT_MS: u64 = 30 * 24 * 3600 * 1000;
/// For how long what organisations reported about a person is kept at least, in milliseconds: six
/// years of 365.25 days (45 CFR 164.528).
pub const KEEP_MS: u64 = 6 * 31_557_600 * 1000;

/// How a log erases.
#[derive(Clone)]
pub struct Erasing {
    /// From asking to erasing, in milliseconds.
    pub wait_ms: u64,
    /// For how long what organisations reported is kept at least, in milliseconds.
    pub keep_ms: u64,
    /// The vault, if there is one.
    pub records: Option<Arc<dyn Shelves>>,
    /// The master keys; none: no old copy of the key file is made unreadable.
    pub masters: Option<Arc<dyn MasterKeys>>,
}

impl Default for Erasing {
    fn default() -> Self {
        Self { wait_ms: WAIT_MS, keep_ms: KEEP_MS, records: None, masters: None }
    }
}

/// What is erased.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// The bytes of records. All lines stay.
    Records,
    /// The same, and lines.
    Everything,
}

impl Form {
    /// What the document asks for: up to line 0 means no line.
    pub fn of(erase: &Erase) -> Self {
        if erase.upToOrdinal == 0 { Self::Records } else { Self::Everything }
    }

    /// Its name in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Records => "records",
            Self::Everything => "everything",
        }
    }
}

/// Why the law keeps something from being erased.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Obstacle {
    /// Somebody ordered that it be kept.
    Hold {
        /// Why.
        reason: String,
        /// Who ordered it.
        ordered_by: String,
    },
    /// What organisations reported must be kept for some years.
    Duty {
        /// Until when, milliseconds since 1970.
        until_ms: u64,
    },
}

impl std::fmt::Display for Obstacle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Hold { reason, ordered_by } => {
                write!(f, "a legal hold, ordered by {ordered_by}: {reason}")
            }
            Self::Duty { until_ms } => write!(
                f,
                "what organisations reported must be kept; the duty ends at {until_ms} ms since 1970"
            ),
        }
    }
}

/// How far an erasure is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Stage {
    /// It waits for its day, and can be cancelled.
    Waiting,
    /// The person took it back, at this time in milliseconds since 1970.
    Cancelled(u64),
    /// The law stood in its way.
    Refused {
        /// When, milliseconds since 1970.
        at_ms: u64,
        /// Why.
        obstacle: Obstacle,
    },
    /// It is being done.
    Erasing,
    /// It was done, at this time in milliseconds since 1970.
    Done(u64),
}

/// A person's erasure.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OwnErasure {
    /// The id of what they signed.
    pub id: B256,
    /// What they signed.
    pub signed: Signed,
    /// What goes.
    pub form: Form,
    /// The subject ids whose lines go, and up to which.
    pub parts: Vec<(B256, u64)>,
    /// When it was asked for, milliseconds since 1970.
    pub asked_ms: u64,
    /// When it is done, milliseconds since 1970.
    pub due_ms: u64,
    /// How far it is.
    pub stage: Stage,
}

/// What a person must know to ask for an erasure, and what came of those they asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Erasures {
    /// Newest first.
    pub erasures: Vec<OwnErasure>,
    /// Lines in the address's own part: what a document over everything must name.
    pub lines: u64,
    /// From asking to erasing, in milliseconds.
    pub wait_ms: u64,
    /// What keeps the records from being erased now.
    pub keeps_records: Option<Obstacle>,
    /// What keeps the lines from being erased now.
    pub keeps_lines: Option<Obstacle>,
}

/// Why an erasure was not cancelled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CancelError {
    /// There is none that waits.
    #[error("no erasure of yours is waiting")]
    None,
    /// Keys are being destroyed.
    #[error("it is being done now, and cannot be stopped any more")]
    TooLate,
    /// The disk.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl Service {
    /// Takes a person's wish that what is kept about them be erased. Sending it again gives the
    /// same entry.
    pub(crate) async fn ask_erasure(&self, signed: Signed) -> Result<Entered, PermissionError> {
        self.act(move |service| service.ask_erasure_now(&signed)).await
    }

    /// How a person's erasures stand. Blocks.
    ///
    /// # Errors
    /// Where the disk cannot be read.
    pub fn erasures(&self, subject: Address) -> Result<Erasures, EntryError> {
        self.0.recent.reach(self.head().size)?;
        let word = subject_of(subject);
        let lines = self.part(word)?.last.map_or(0, |line| line.ordinal);
        let mut rows: Vec<ErasureRow> = {
            let rows = self.0.live.rows();
            rows.erasures.values().filter(|row| row.subject == subject).cloned().collect()
        };
        rows.sort_by_key(|row| std::cmp::Reverse((row.asked_ms, row.id)));
        let hold = self.hold_on(&self.parts(subject));
        let ends: Vec<(B256, u64)> = self.ends_of(subject)?;
        let duty = self.duty_on(&ends)?;
        Ok(Erasures {
            erasures: rows.into_iter().filter_map(own).collect(),
            lines,
            wait_ms: self.0.erasing.wait_ms,
            keeps_lines: hold.clone().or(duty),
            keeps_records: hold,
        })
    }

    /// The parts of a person, each with the ordinal of its last line.
    fn ends_of(&self, subject: Address) -> Result<Vec<(B256, u64)>, JournalError> {
        let end = |part| Ok((part, self.part(part)?.last.map_or(0, |line| line.ordinal)));
        self.parts(subject).into_iter().map(end).collect()
    }

    /// Takes back the erasure that waits. The person's session is enough: nothing is lost by it.
    ///
    /// # Errors
    /// [`CancelError`].
    pub async fn cancel_erasure(&self, subject: Address) -> Result<B256, CancelError> {
        self.act(move |service| {
            let waiting = service.open_erasure(subject).ok_or(CancelError::None)?;
            service.cancel_now(waiting, By::Session)
        })
        .await
    }

    /// Takes back the erasure that a recorded revocation names, if it waits.
    pub(crate) async fn cancel_revoked(&self, id: B256) {
        let cancelled = self.act(move |service| {
            let row = service.0.live.rows().erasures.get(&id).cloned();
            match row.filter(|row| row.state == ErasureState::Waiting) {
                Some(row) => service.cancel_now(row, By::Revocation).map(drop),
                None => Ok(()),
            }
        });
        if let Err(error) = cancelled.await {
            // The revocation is in the log: it is found on the day, if not before.
            tracing::warn!("an erasure that was revoked is not cancelled yet: {error}");
        }
    }

    fn cancel_now(&self, row: ErasureRow, by: By) -> Result<B256, CancelError> {
        if row.state != ErasureState::Waiting {
            return Err(CancelError::TooLate);
        }
        let (id, at_ms) = (row.id, (self.0.now_ms)());
        let owed = self.owe_erasure(&row, &Told::cancelled(&row, by), at_ms);
        let cancelled = ErasureRow { state: ErasureState::Cancelled { at_ms }, ..row };
        self.0.live.apply(vec![DirectoryChange::PutErasure(cancelled), owed])?;
        Ok(id)
    }

    /// The person's erasure that is neither done nor over.
    fn open_erasure(&self, subject: Address) -> Option<ErasureRow> {
        let rows = self.0.live.rows();
        let is_open = |row: &&ErasureRow| {
            matches!(row.state, ErasureState::Waiting | ErasureState::Erasing { .. })
        };
        rows.erasures.values().filter(is_open).find(|row| row.subject == subject).cloned()
    }

    fn ask_erasure_now(&self, signed: &Signed) -> Result<Entered, PermissionError> {
        let Document::Erase(erase) = &signed.document else {
            return Err(PermissionError::Type(signed.document.word()));
        };
        let id = signed.document.id(&self.registries());
        self.require_valid(signed)?;
        let known = self.0.live.rows().erasures.get(&id).cloned();
        // By another hand it is another's word, and is weighed as that.
        let signer = signed.signer(&self.registries()).ok();
        let is_it = |row: &ErasureRow| {
            let kept = PermissionDetails::read(&row.signed).ok();
            kept.and_then(|kept| kept.signer(&self.registries()).ok()) == signer
        };
        if let Some(row) = known.filter(is_it) {
            return self.entered(&row, false);
        }
        let row = self.weigh(id, erase, signed)?;
        let told = match &row.state {
            ErasureState::Refused { details, .. } => details.clone(),
            _ => Told::asked(&row, signed).encode(),
        };
        let owed = self.owe_details(&row, details::act_of(&row), told, row.asked_ms);
        self.0.live.apply(vec![DirectoryChange::PutErasure(row.clone()), owed])?;
        self.entered(&row, true)
    }

    /// Everything that decides whether a wish is taken. The chain is asked, and the era ends, last.
    fn weigh(
        &self,
        id: B256,
        erase: &Erase,
        signed: &Signed,
    ) -> Result<ErasureRow, PermissionError> {
        let now_ms = (self.0.now_ms)();
        if erase.log != self.trust().log {
            return Err(PermissionError::OtherLog);
        }
        if now_ms / 1000 >= erase.expiresAt {
            return Err(PermissionError::Expired);
        }
        let word = subject_of(erase.subject);
        self.require_voice(signed, word, &self.papers(word)?)?;
        // From here on it is the person who is told.
        if self.open_erasure(erase.subject).is_some() {
            return Err(PermissionError::ErasureWaits);
        }
        let form = Form::of(erase);
        let subjects = self.parts(erase.subject);
        let row = ErasureRow {
            id,
            subject: erase.subject,
            signed: encoded(signed),
            parts: Vec::new(),
            subjects: subjects.clone(),
            asked_ms: now_ms,
            due_ms: now_ms.saturating_add(self.0.erasing.wait_ms),
            state: ErasureState::Waiting,
        };
        if form == Form::Records {
            return Ok(match self.hold_on(&subjects) {
                Some(obstacle) => refused(row, signed, &obstacle, now_ms),
                None => row,
            });
        }
        let ends = self.ends_of(erase.subject)?;
        let last = ends.first().map_or(0, |(_, last)| *last);
        if last != erase.upToOrdinal {
            return Err(PermissionError::Lines { last, asked: erase.upToOrdinal });
        }
        let hold = self.hold_on(&subjects);
        if let Some(obstacle) = hold.map_or_else(|| self.duty_on(&ends), |hold| Ok(Some(hold)))? {
            return Ok(refused(ErasureRow { parts: ends, ..row }, signed, &obstacle, now_ms));
        }
        let ends = self.end_eras(&subjects, erase.upToOrdinal)?;
        let parts = subjects.into_iter().zip(ends).filter(|(_, end)| *end > 0).collect();
        Ok(ErasureRow { parts, ..row })
    }

    /// Has the writer end the era of these subjects; its lines are counted between two commits.
    fn end_eras(&self, subjects: &[B256], expected: u64) -> Result<Vec<u64>, PermissionError> {
        use crate::sequencer::{Ask, EndEra};
        let (answer, answered) = tokio::sync::oneshot::channel();
        let subjects = subjects.iter().map(|one| self.0.tags.subject_tag(*one)).collect();
        let asked = Ask::EndEra(EndEra { subjects, expected: Some(expected), answer });
        let stopped = || PermissionError::Report(PlaceError::Stopped.into());
        self.0.queue.blocking_send(asked).map_err(|_| stopped())?;
        match answered.blocking_recv().map_err(|_| stopped())?? {
            Ok(ends) => Ok(ends),
            Err(last) => Err(PermissionError::Lines { last, asked: expected }),
        }
    }

    /// Where what was asked, or the refusal, stands. What is owed is entered first.
    fn entered(&self, row: &ErasureRow, is_new: bool) -> Result<Entered, PermissionError> {
        self.pay();
        let act = details::act_of(row);
        let event = details::event_of(row.subject, row.id, act);
        let busy = || PermissionError::Report(PlaceError::Busy.into());
        let index = self.find_own(subject_of(row.subject), event)?.ok_or_else(busy)?;
        let id = row.id;
        if act == Act::Refused
            && let Some(Stage::Refused { obstacle, .. }) = own(row.clone()).map(|own| own.stage)
        {
            return Err(PermissionError::ErasureRefused { index, obstacle });
        }
        Ok(Entered { id, receipt: self.receipt(index)?, is_new })
    }
}

fn encoded(signed: &Signed) -> Vec<u8> {
    serde_json::to_vec(&PermissionDetails::of(signed.clone())).expect("plain data encodes")
}

fn refused(row: ErasureRow, signed: &Signed, obstacle: &Obstacle, at_ms: u64) -> ErasureRow {
    let details = Told::refused(&row, signed, obstacle).encode();
    ErasureRow { state: ErasureState::Refused { at_ms, details }, ..row }
}

/// A row as its person may see it.
fn own(row: ErasureRow) -> Option<OwnErasure> {
    let signed = PermissionDetails::read(&row.signed).ok()?;
    let Document::Erase(erase) = &signed.document else { return None };
    let form = Form::of(erase);
    let stage = match row.state {
        ErasureState::Waiting => Stage::Waiting,
        ErasureState::Cancelled { at_ms } => Stage::Cancelled(at_ms),
        ErasureState::Refused { at_ms, details } => {
            Stage::Refused { at_ms, obstacle: details::obstacle_in(&details)? }
        }
        ErasureState::Erasing { .. } => Stage::Erasing,
        ErasureState::Done { at_ms, .. } => Stage::Done(at_ms),
    };
    let ErasureRow { id, parts, asked_ms, due_ms, .. } = row;
    Some(OwnErasure { id, signed, form, parts, asked_ms, due_ms, stage })
}
