//! The day comes: the entry first, then the keys, then every old copy of the key file.
//!
//! Each step may be repeated after a crash: the entry's event id and time are fixed with the state,
//! destroying a key twice destroys it, and what is due of the key file stands in the key file.

use super::details::{self, Act, By, Told};
use super::{Form, Obstacle, own};
use crate::anchorer::Problem;
use crate::erasure;
use crate::intake::ReportError;
use crate::opener::EntryError;
use crate::sequencer::Ask;
use crate::service::Service;
use alloy_primitives::B256;
use medtrail_ledger::directory::{
    CallRow, DirectoryChange, ErasureRow, ErasureState, PendingEntry,
};
use medtrail_ledger::entry::{Kind, address_of, details_hash, subject_of};
use medtrail_ledger::ports::{JournalError, KeyTag};
use medtrail_ledger::schema::Report;
use medtrail_permit::consents;
use medtrail_permit::documents::Document;
use medtrail_permit::permits;
use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How often it is looked whether a day has come.
const PAUSE: Duration = Duration::from_millis(250);
/// How long it is left alone after something failed.
const RETRY: Duration = Duration::from_secs(2);

/// Why an erasure could not be done now. It is tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stuck {
    #[error(transparent)]
    Entry(#[from] EntryError),
    #[error(transparent)]
    Log(#[from] ReportError),
}

impl From<JournalError> for Stuck {
    fn from(error: JournalError) -> Self {
        Self::Entry(error.into())
    }
}

impl Stuck {
    fn is_fatal(&self) -> bool {
        matches!(self, Self::Entry(EntryError::Journal(error)) if error.is_fatal())
    }
}

/// Erases what is due until the writer has ended.
pub(crate) fn run(service: &Service, ended: &watch::Receiver<bool>) {
    let mut not_before = Instant::now();
    while !*ended.borrow() {
        std::thread::sleep(PAUSE);
        if Instant::now() < not_before {
            continue;
        }
        let done = service.erase_due();
        let problem = done.as_ref().err().map(|error| Problem {
            what: format!("an erasure waits: {error}"),
            advice: "check the disk; if the log is busy, nothing: it is tried again",
        });
        *service.0.eraser_problem.lock().unwrap_or_else(PoisonError::into_inner) = problem;
        if let Err(error) = done {
            if error.is_fatal() {
                tracing::error!("an erasure failed, the process ends: {error}");
                let _ = service.0.queue.blocking_send(Ask::Stop);
                return;
            }
            tracing::warn!("an erasure waits: {error}");
            not_before = Instant::now() + RETRY;
        }
    }
}

/// How erasing is doing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EraserState {
    /// Erasures whose day has not come, or that are being done.
    pub waiting: u64,
    /// What is in the way of one whose day has come.
    pub problem: Option<Problem>,
}

impl Service {
    /// How erasing is doing.
    pub fn eraser(&self) -> EraserState {
        let is_open = |row: &&ErasureRow| {
            matches!(row.state, ErasureState::Waiting | ErasureState::Erasing { .. })
        };
        let waiting = self.0.live.rows().erasures.values().filter(is_open).count() as u64;
        let problem = self.0.eraser_problem.lock().unwrap_or_else(PoisonError::into_inner);
        EraserState { waiting, problem: problem.clone() }
    }

    /// Does whatever is due. Blocks.
    pub(crate) fn erase_due(&self) -> Result<(), Stuck> {
        let now_ms = (self.0.now_ms)();
        let is_due = |row: &&ErasureRow| match row.state {
            ErasureState::Waiting => row.due_ms <= now_ms,
            ErasureState::Erasing { .. } => true,
            _ => false,
        };
        let due: Vec<B256> = {
            let rows = self.0.live.rows();
            rows.erasures.values().filter(is_due).map(|row| row.id).collect()
        };
        for id in due {
            let _one_at_a_time = self.0.live.begin()?;
            let stepped = self.step(id);
            self.pay();
            self.stop_if_lost();
            stepped?;
        }
        self.rewrap_if_due()
    }

    /// Makes every older copy of the key file unreadable, if a key was destroyed since the last
    /// time.
    fn rewrap_if_due(&self) -> Result<(), Stuck> {
        let Some(masters) = &self.0.erasing.masters else { return Ok(()) };
        if self.0.keys.is_rewrap_due()? {
            let started = Instant::now();
            let keys = self.0.keys.rewrap(&**masters)?;
            let took_ms = started.elapsed().as_millis() as u64;
            tracing::info!(keys, took_ms, "all keys are wrapped under a new master key");
        }
        Ok(())
    }

    fn step(&self, id: B256) -> Result<(), Stuck> {
        // It may have been cancelled since.
        let row = self.0.live.rows().erasures.get(&id).cloned();
        let Some(row) = row else { return Ok(()) };
        let row = match &row.state {
            ErasureState::Waiting => match self.begin_erasing(row)? {
                Some(row) => row,
                None => return Ok(()),
            },
            ErasureState::Erasing { .. } => row,
            _ => return Ok(()),
        };
        self.erase(row)
    }

    /// Looks a last time what stands in its way. None: something did.
    fn begin_erasing(&self, row: ErasureRow) -> Result<Option<ErasureRow>, Stuck> {
        let at_ms = (self.0.now_ms)();
        let word = subject_of(row.subject);
        let papers = self.papers(word)?;
        let takes_back =
            |one: &Document| matches!(one, Document::Revoke(revoke) if revoke.permission == row.id);
        if papers.documents().iter().any(|one| takes_back(&one.signed.document)) {
            let owed = self.owe_erasure(&row, &Told::cancelled(&row, By::Revocation), at_ms);
            let state = ErasureState::Cancelled { at_ms };
            self.0
                .live
                .apply(vec![DirectoryChange::PutErasure(ErasureRow { state, ..row }), owed])?;
            return Ok(None);
        }
        if let Some(obstacle) = self.in_the_way(&row)? {
            let Some(signed) = own(row.clone()).map(|own| own.signed) else { return Ok(None) };
            let told = Told::refused(&row, &signed, &obstacle);
            let owed = self.owe_erasure(&row, &told, at_ms);
            let state = ErasureState::Refused { at_ms, details: told.encode() };
            self.0
                .live
                .apply(vec![DirectoryChange::PutErasure(ErasureRow { state, ..row }), owed])?;
            return Ok(None);
        }
        let ends_epoch = match row.parts.is_empty() {
            true => None,
            false => {
                // What the chain cannot say now it says of itself whenever it is read.
                let read = self.0.permissions.consents.about(row.subject).unwrap_or_default();
                let world = papers.world(self.registries(), consents::fold(row.subject, &read));
                permits::epoch(subject_of(row.subject), at_ms, &world)
            }
        };
        let row = ErasureRow { state: ErasureState::Erasing { at_ms, ends_epoch }, ..row };
        self.0.live.apply(vec![DirectoryChange::PutErasure(row.clone())])?;
        Ok(Some(row))
    }

    fn in_the_way(&self, row: &ErasureRow) -> Result<Option<Obstacle>, Stuck> {
        Ok(match self.hold_on(&row.subjects) {
            Some(hold) => Some(hold),
            None => self.duty_on(&row.parts)?,
        })
    }

    fn erase(&self, row: ErasureRow) -> Result<(), Stuck> {
        let ErasureState::Erasing { at_ms, ends_epoch } = row.state else { return Ok(()) };
        let details = Told::done(&row, ends_epoch).encode();
        let report = self.erasure_report(&row, Act::Done, &details, at_ms);
        let index = self.enter_own(report, details)?;
        let tag = |subject: &B256| self.0.tags.subject_tag(*subject);
        let eras: Vec<_> = row.parts.iter().map(|(part, end)| (tag(part), *end)).collect();
        let mut others: Vec<_> = row.subjects.iter().map(|one| KeyTag::Vault(tag(one))).collect();
        // What was offered tells what there was, and a sale's key opens where it came from.
        let (offers, sales) = self.sold_by(&row.subjects);
        let (acceptances, calls) = self.accepted_by(&row.subjects);
        others.extend(sales.iter().map(|sale| KeyTag::Sale(*sale)));
        // First the rows: which they are stands in a row that their key opens.
        if let Some(records) = &self.0.erasing.records {
            row.subjects.iter().try_for_each(|subject| records.clear(*subject))?;
        }
        self.0.keys.erase(&eras, &others)?;
        // What was read of it before is no key, but as telling.
        row.subjects.iter().for_each(|subject| self.0.papers.forget(*subject));
        let form = if row.parts.is_empty() { Form::Records } else { Form::Everything };
        let gone = self.guarded_of(row.parts.iter().map(|(part, _)| *part));
        let done = ErasureRow { state: ErasureState::Done { at_ms, index }, ..row };
        let mut changes: Vec<_> = offers.into_iter().map(DirectoryChange::DropOffer).collect();
        changes.extend(sales.into_iter().map(DirectoryChange::DropSale));
        changes.extend(acceptances.into_iter().map(DirectoryChange::DropAcceptance));
        changes.extend(calls.into_iter().map(DirectoryChange::PutCall));
        changes.extend(gone.into_iter().map(DirectoryChange::DropGuarded));
        changes.push(DirectoryChange::PutErasure(done));
        self.0.live.apply(changes)?;
        tracing::info!(entry = index, form = form.word(), "erased");
        Ok(())
    }

    /// Offers and sales of these subjects themselves: what somebody sells under an alias is erased
    /// with the alias.
    fn sold_by(&self, subjects: &[B256]) -> (Vec<B256>, Vec<B256>) {
        let rows = self.0.live.rows();
        let sellers = || subjects.iter().filter_map(|subject| address_of(*subject));
        let offers = sellers().flat_map(|seller| rows.stall.offers_of(seller));
        let sales = sellers().flat_map(|seller| {
            rows.stall.sales_of(seller).filter(move |sale| sale.seller == seller)
        });
        (offers.map(|offer| offer.id).collect(), sales.map(|sale| sale.id).collect())
    }

    /// Acceptances of these subjects themselves, as for what they sell; and calls as they are without
    /// them. What was to be deleted stays so: gone from the buyer's list at the same time as the
    /// acceptance, it would tell whose it was.
    fn accepted_by(&self, subjects: &[B256]) -> (Vec<B256>, Vec<CallRow>) {
        let rows = self.0.live.rows();
        let sellers = subjects.iter().filter_map(|subject| address_of(*subject));
        let own: Vec<_> = sellers.flat_map(|seller| rows.board.acceptances_by(seller)).collect();
        let mut calls: BTreeMap<B256, CallRow> = BTreeMap::new();
        for row in &own {
            let (Some(asked), Some(call)) = (&row.withdrawal, rows.board.call(row.call)) else {
                continue;
            };
            let call = calls.entry(row.call).or_insert_with(|| call.clone());
            call.withdrawals.push(asked.clone());
        }
        (own.into_iter().map(|row| row.id).collect(), calls.into_values().collect())
    }

    fn erasure_report(&self, row: &ErasureRow, act: Act, details: &[u8], at_ms: u64) -> Report {
        Report {
            eventId: details::event_of(row.subject, row.id, act),
            kind: Kind::Erasure.number(),
            subject: subject_of(row.subject),
            timeMs: at_ms,
            permission: row.id,
            details: details_hash(details),
            ..self.own_report()
        }
    }

    /// The promise of an entry about an erasure.
    pub(super) fn owe_erasure(&self, row: &ErasureRow, told: &Told, at_ms: u64) -> DirectoryChange {
        self.owe_details(row, told.act(), told.encode(), at_ms)
    }

    pub(super) fn owe_details(
        &self,
        row: &ErasureRow,
        act: erasure::Act,
        details: Vec<u8>,
        time_ms: u64,
    ) -> DirectoryChange {
        DirectoryChange::PutPending(PendingEntry {
            event: details::event_of(row.subject, row.id, act),
            kind: Kind::Erasure.number(),
            subject: subject_of(row.subject),
            time_ms,
            details,
        })
    }
}
