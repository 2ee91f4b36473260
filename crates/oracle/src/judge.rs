//! Judges every change at a custodian: where it was not permitted, the log enters a refusal beside
//! it, so that its person is told.
//!
//! Like feeds and anchors it hangs behind the head: the writer tells which entries are changes and
//! never waits; whoever tells too fast is not heard, and then the rows are read. How far the log was
//! judged stands in the directory. After a crash some of it is judged again, which changes nothing:
//! the refusal's event id is made from the change it refuses.
//!
//! Whoever broke the glass is not refused: what their person says to it, and by when, the judge
//! keeps in the book of [`emergencies`](crate::emergencies).
//!
//! People without a key are judged where a document about them stands (`judge/guarded.rs`).

mod guarded;
mod refusal;

use crate::anchorer::Problem;
use crate::behind::{RETRY, SAVE_ENTRIES, Told, warn_once};
use crate::emergencies::{Stood, Ticking, may_answer};
use crate::intake::ReportError;
use crate::opener::EntryError;
use crate::permissions::Permissions;
use crate::service::Service;
use alloy_primitives::Address;
use guarded::Seen;
use medtrail_ledger::consents::ConsentRecord;
use medtrail_ledger::directory::DirectoryChange;
use medtrail_ledger::entry::{Kind, address_of};
use medtrail_ledger::ports::{JournalError, RegistryError};
use medtrail_ledger::schema::Report;
use medtrail_ledger::vault::is_version;
use medtrail_permit::consents;
use medtrail_permit::permits::{Verdict, permits};
use std::collections::{BTreeMap, HashMap};
use std::sync::PoisonError;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Changes that are known and not judged; above it no more are looked for.
const WAITING_MAX: usize = 65_536;
/// How often the judge looks up when nothing is told.
const PAUSE: Duration = Duration::from_millis(250);
/// How long what rests on a block that is not final is left alone.
const FINAL_RETRY: Duration = Duration::from_secs(5);
/// The time after which it is saved how far the judge is, if that changed.
const SAVE_PAUSE: Duration = Duration::from_secs(60);
/// Subjects whose state on chain is kept while one round lasts.
const READ_SUBJECTS_MAX: usize = 1024;

/// How judging is doing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Judging {
    /// Changes that are known and not judged yet.
    pub waiting: u64,
    /// What is in the way; none: it is only their turn that they wait for.
    pub problem: Option<Problem>,
}

/// What came of a look at a change.
enum Outcome {
    /// It was judged; where it does not count, the refusal is in the log.
    Done,
    /// Whether it counts hangs on a block that is not final.
    NotFinal,
}

/// Why a change could not be judged now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Obstacle {
    #[error(transparent)]
    Chain(#[from] RegistryError),
    #[error(transparent)]
    Entry(#[from] EntryError),
    #[error(transparent)]
    Log(#[from] ReportError),
}

impl From<JournalError> for Obstacle {
    fn from(error: JournalError) -> Self {
        Self::Entry(error.into())
    }
}

impl Obstacle {
    fn problem(&self) -> Problem {
        let (what, advice) = match self {
            Self::Chain(error) => (format!("changes wait to be judged: {error}"), error.advice()),
            Self::Entry(error) => (format!("changes wait to be judged: {error}"), "check the disk"),
            Self::Log(error) => {
                let advice = "nothing at first: refusals are entered once the log takes reports";
                (format!("refusals wait for their place: {error}"), advice)
            }
        };
        Problem { what, advice }
    }

    /// Whether others would meet it too, so that nothing else is tried for a while.
    pub(crate) fn stops_all(&self) -> bool {
        matches!(self, Self::Chain(RegistryError::Unreachable(_)) | Self::Log(_))
    }
}

/// The judge. Runs on a thread of its own.
pub(crate) struct Judge {
    service: Service,
    told: Receiver<Told>,
    ended: watch::Receiver<bool>,
    /// The next entry to look at; every change before it was judged or waits.
    next: u64,
    /// Where this process began to judge.
    began: u64,
    /// Up to where it is known about which pseudonyms documents stand, while that is less.
    guarded_until: u64,
    /// Changes by index, and when each is tried again.
    waiting: BTreeMap<u64, Instant>,
    /// The same of entries that may answer an emergency change.
    answers: BTreeMap<u64, Instant>,
    ticking: Ticking,
    saved: u64,
    saved_at: Instant,
    /// Nothing is judged before then.
    paused_until: Instant,
    problem: Option<Problem>,
    /// What is in the way of the clocks of emergencies.
    late: Option<Problem>,
}

impl Judge {
    pub(crate) fn new(
        service: Service,
        told: Receiver<Told>,
        ended: watch::Receiver<bool>,
    ) -> Result<Self, JournalError> {
        let (next, guarded_until) = guarded::begin(&service)?;
        let now = Instant::now();
        let (saved, saved_at, paused_until) = (next, now, now);
        Ok(Self {
            service,
            told,
            ended,
            next,
            began: next,
            guarded_until,
            waiting: BTreeMap::new(),
            answers: BTreeMap::new(),
            ticking: Ticking::default(),
            saved,
            saved_at,
            paused_until,
            problem: None,
            late: None,
        })
    }

    /// Judges until the writer has ended.
    pub(crate) fn run(mut self) {
        while !*self.ended.borrow() {
            match self.listen() {
                Ok(()) if Instant::now() < self.paused_until => {}
                Ok(()) => self.judge_due(),
                Err(obstacle) => self.pause(&obstacle),
            }
            self.keep_time();
            self.tell();
            self.save_if_due();
        }
        self.save();
    }

    /// Takes in what is told, or finds what nobody told.
    fn listen(&mut self) -> Result<(), Obstacle> {
        if self.is_behind_with_documents() && Instant::now() >= self.paused_until {
            return self.catch_up();
        }
        if self.is_behind_with_documents() || !self.has_room() {
            std::thread::sleep(PAUSE);
            return Ok(());
        }
        match self.told.recv_timeout(PAUSE) {
            Ok(told) => self.hear(told)?,
            // What could not be told, since the queue was full, nobody tells again.
            Err(RecvTimeoutError::Timeout) => self.look_up_to(self.service.head().size)?,
            // The writer is about to end.
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(PAUSE),
        }
        while self.has_room()
            && let Ok(told) = self.told.try_recv()
        {
            self.hear(told)?;
        }
        Ok(())
    }

    fn pause(&mut self, obstacle: &Obstacle) {
        let problem = obstacle.problem();
        warn_once(self.problem.as_ref(), Some(&problem));
        self.problem = Some(problem);
        self.paused_until = Instant::now() + RETRY;
    }

    fn has_room(&self) -> bool {
        self.waiting.len() + self.answers.len() < WAITING_MAX
    }

    /// What waits for its day, and must not wait for what cannot be judged.
    fn keep_time(&mut self) {
        if *self.ended.borrow() {
            return;
        }
        let Some(done) = self.ticking.tick(&self.service) else { return };
        let problem = done.err().map(|obstacle| obstacle.problem());
        warn_once(self.late.as_ref(), problem.as_ref());
        self.late = problem;
    }

    fn hear(&mut self, told: Told) -> Result<(), Obstacle> {
        self.look_up_to(told.first)?;
        if self.next >= told.first && self.next < told.end {
            let known = self.next;
            let fresh = told.which.into_iter().filter(|(index, _)| *index >= known);
            let fresh: Vec<_> = fresh.collect();
            self.note_told(&fresh)?;
            fresh.into_iter().for_each(|(index, kind)| self.take(index, kind));
            self.next = told.end;
        }
        Ok(())
    }

    fn take(&mut self, index: u64, kind: Kind) {
        if kind == Kind::Change {
            self.waiting.insert(index, Instant::now());
        } else if may_answer(kind) {
            self.answers.insert(index, Instant::now());
        }
    }

    /// Finds what nobody told below `size`, as long as there is room.
    fn look_up_to(&mut self, size: u64) -> Result<(), Obstacle> {
        while self.next < size && self.has_room() && !*self.ended.borrow() {
            let Seen { kinds, end, failed, .. } = self.read(self.next, size)?;
            kinds.into_iter().for_each(|(index, kind)| self.take(index, kind));
            self.next = end;
            failed.map_or(Ok(()), Err)?;
        }
        Ok(())
    }

    /// Judges whatever is due. What fails comes last the next time: one trail that cannot be read
    /// must not keep all others waiting.
    fn judge_due(&mut self) {
        let now = Instant::now();
        let mut due: Vec<(Instant, u64)> =
            self.waiting.iter().map(|(index, due)| (*due, *index)).collect();
        due.retain(|(due, _)| *due <= now);
        due.sort_unstable();
        if due.is_empty() && self.answers.values().all(|due| *due > now) {
            // What was in the way of those that wait still is, as far as anybody knows.
            return;
        }
        let mut chain = Readings::default();
        let mut problem = None;
        for (_, index) in due {
            if *self.ended.borrow() {
                return;
            }
            let wait = match self.judge(index, &mut chain) {
                Ok(Outcome::Done) => {
                    self.waiting.remove(&index);
                    self.save_if_due();
                    continue;
                }
                Ok(Outcome::NotFinal) => FINAL_RETRY,
                Err(obstacle) => {
                    self.waiting.insert(index, Instant::now() + RETRY);
                    if obstacle.stops_all() {
                        return self.pause(&obstacle);
                    }
                    if problem.is_none() {
                        tracing::warn!("change {index}: {}", obstacle.problem().what);
                        problem = Some(obstacle.problem());
                    }
                    continue;
                }
            };
            self.waiting.insert(index, Instant::now() + wait);
        }
        match self.hear_answers(now) {
            Ok(failed) => problem = problem.or(failed),
            Err(obstacle) => return self.pause(&obstacle),
        }
        let is_held_back =
            || self.waiting.values().chain(self.answers.values()).any(|due| *due > now);
        self.problem = problem.or_else(|| {
            is_held_back().then(|| Problem {
                what: "changes wait until a block of the chain is final".to_owned(),
                advice: "nothing: it takes minutes, as long as the chain's `finalized` moves",
            })
        });
    }

    /// Takes in what may answer an emergency change. What hangs on a block or a binding that is not
    /// final comes again, and so does what failed: the first of that is told.
    fn hear_answers(&mut self, now: Instant) -> Result<Option<Problem>, Obstacle> {
        let mut problem = None;
        let due: Vec<u64> =
            self.answers.iter().filter(|(_, due)| **due <= now).map(|(index, _)| *index).collect();
        for index in due {
            if *self.ended.borrow() {
                break;
            }
            let heard = match self.service.open_row(index) {
                Ok(entry) => self.service.hear_answer(&entry),
                Err(EntryError::Erased(_) | EntryError::Damaged(_)) => Ok(Stood::Settled),
                Err(error) => Err(error.into()),
            };
            match heard {
                Ok(Stood::Waits | Stood::Settled) => {
                    self.answers.remove(&index);
                    continue;
                }
                Ok(Stood::NotFinal) => {}
                Err(obstacle) if obstacle.stops_all() => return Err(obstacle),
                Err(obstacle) => {
                    problem.get_or_insert(obstacle.problem());
                }
            }
            self.answers.insert(index, Instant::now() + RETRY);
        }
        Ok(problem)
    }

    fn judge(&self, index: u64, chain: &mut Readings) -> Result<Outcome, Obstacle> {
        let entry = match self.service.open_row(index) {
            Ok(entry) if is_change(&entry.report) => entry,
            Ok(_) | Err(EntryError::Erased(_)) => return Ok(Outcome::Done),
            Err(error @ EntryError::Damaged(_)) => {
                tracing::error!("it is not judged: {error}");
                return Ok(Outcome::Done);
            }
            Err(error) => return Err(error.into()),
        };
        // The vault judges its own before they count, and enters its own refusals.
        if is_version(entry.details.as_deref()) {
            return Ok(Outcome::Done);
        }
        let Permissions { consents, need } = &self.service.0.permissions;
        let act = self.service.act_of(&entry, need(&entry.report, entry.details.as_deref()));
        if act.need.is_emergency() && self.service.note_emergency(&entry, &act)? == Stood::NotFinal
        {
            return Ok(Outcome::NotFinal);
        }
        let Some(subject) = address_of(entry.report.subject) else {
            return self.judge_guarded(&entry, &act);
        };
        let records = chain.read(subject, entry.place.receivedMs, || {
            let at_ms = (self.service.0.now_ms)();
            Ok((at_ms, consents.about(subject)?))
        })?;
        let papers = self.service.papers(entry.report.subject)?;
        let judge = |records: &[ConsentRecord]| {
            let chain = consents::fold(subject, records);
            permits(&act, &papers.world(self.service.registries(), chain))
        };
        let Verdict::DoesNotCount { reason, document } = judge(records) else {
            return Ok(Outcome::Done);
        };
        // A refusal stays in the log for ever, so it must not rest on a block that may go.
        let is_open = consents::kinder(records).is_some_and(|others| {
            let is_refused = |one: &Vec<_>| matches!(judge(one), Verdict::DoesNotCount { .. });
            !others.iter().all(is_refused)
        });
        if is_open {
            return Ok(Outcome::NotFinal);
        }
        self.refuse(&entry, &act, reason, document)?;
        Ok(Outcome::Done)
    }

    fn tell(&self) {
        let is_behind =
            !self.waiting.is_empty() || !self.answers.is_empty() || self.is_behind_with_documents();
        let problem = self.problem.clone().filter(|_| is_behind);
        let problem = problem.or_else(|| self.late.clone());
        let now = Judging { waiting: self.waiting.len() as u64, problem };
        *self.service.0.judging.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    /// Everything below this was judged.
    fn judged(&self) -> u64 {
        let first = |of: &BTreeMap<u64, Instant>| of.first_key_value().map(|(index, _)| *index);
        let waits = first(&self.waiting).into_iter().chain(first(&self.answers));
        waits.min().unwrap_or(self.next)
    }

    fn save_if_due(&mut self) {
        let behind = self.judged() - self.saved;
        if behind >= SAVE_ENTRIES || (behind > 0 && self.saved_at.elapsed() >= SAVE_PAUSE) {
            self.save();
        }
    }

    fn save(&mut self) {
        let judged = self.judged();
        if judged == self.saved {
            return;
        }
        let live = &self.service.0.live;
        let changes = vec![DirectoryChange::Judged(judged), DirectoryChange::Guarded(judged)];
        match live.begin().and_then(|_one_at_a_time| live.apply(changes)) {
            Ok(()) => self.saved = judged,
            // Some of it is judged again after the next start, which changes nothing.
            Err(error) => tracing::warn!("how far the log was judged is not saved: {error}"),
        }
        self.saved_at = Instant::now();
        self.service.stop_if_lost();
    }
}

impl Service {
    /// How judging is doing.
    pub fn judging(&self) -> Judging {
        self.0.judging.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What the chain said of subjects in one round.
#[derive(Default)]
struct Readings(HashMap<Address, (u64, Vec<ConsentRecord>)>);

impl Readings {
    /// What it says of one, asked again for what was received later than it was asked last: who
    /// takes something back at the same time must be heard.
    fn read(
        &mut self,
        subject: Address,
        received_ms: u64,
        ask: impl FnOnce() -> Result<(u64, Vec<ConsentRecord>), RegistryError>,
    ) -> Result<&[ConsentRecord], RegistryError> {
        if self.0.get(&subject).is_none_or(|(at_ms, _)| *at_ms <= received_ms) {
            if self.0.len() >= READ_SUBJECTS_MAX {
                self.0.clear();
            }
            self.0.insert(subject, ask()?);
        }
        Ok(self.0.get(&subject).map_or(&[], |(_, records)| records))
    }
}

/// Whether the judge looks at entries of this kind.
pub(crate) fn concerns(kind: Kind) -> bool {
    kind == Kind::Change || may_answer(kind)
}

fn is_change(report: &Report) -> bool {
    Kind::from_number(report.kind) == Kind::Change
}
