//! Brings the log to the chain: one tick after the other, each from what chain and disk say.
//!
//! A tick follows the chain, looks at it, asks [`sender::step`] what to do, and does it in order.
//! Nothing is kept in memory that the next tick could not read again, so a crash anywhere is a
//! tick that ended early. Entries are taken all the while: anchors come behind the head of the
//! log, never in front of it.

mod read_back;
mod status;

pub use read_back::ReadBackError;
pub use status::{Problem, State, Status, TickError};

use crate::dispatch::{Dispatch, Outcome, blocking};
use crate::follower::{FollowError, Resume, follow};
use crate::sender::{self, Due, Duty, GROWTH_MAX, Limits, Local, Step};
use alloy_primitives::B256;
use medtrail_ledger::checkpoint::Checkpoint;
use medtrail_ledger::plan::{Anchor, Call, ChainView, IntentState, Plan, Watch};
use medtrail_ledger::ports::{Courier, Journal, Notary, Outbox, Registry, Tail};
use read_back::read_back;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Seconds until something that could not be planned is prepared again: reading the new leaves
/// back is the dear part of a tick.
const PREPARE_AGAIN_S: u64 = 15;

/// What is anchored, where and how often.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// The log.
    pub log: B256,
    /// Its origin, as in its checkpoints.
    pub origin: String,
    /// The call that opens the log, made if the registry does not know it.
    pub open: Option<Call>,
    /// A block at or before the log's opening: where following starts without a cursor.
    pub since_block: u64,
    /// Seconds after an anchor until the next, if the log grew.
    pub interval_s: u64,
    /// Entries after which the next anchor does not wait for the interval.
    pub entries_max: u64,
    /// Fees and patience.
    pub limits: Limits,
}

/// What the anchorer reads, writes and signs with.
pub struct Ports<R> {
    /// The chain.
    pub registry: R,
    /// The log on disk.
    pub journal: Arc<dyn Journal>,
    /// The plan on disk.
    pub outbox: Arc<dyn Outbox>,
    /// Signs checkpoints of a part of the log, where one anchor cannot take all of it.
    pub notary: Arc<dyn Notary>,
    /// Signs transactions.
    pub courier: Arc<dyn Courier>,
}

/// The anchorer of one log.
pub struct Anchorer<R> {
    ports: Ports<R>,
    config: Config,
    status: watch::Sender<Status>,
    /// The plan as on disk; `None` whenever that is not certain.
    plan: Option<Plan>,
    underpriced: Option<B256>,
    resume: Resume,
    /// Nothing is prepared before this time.
    prepare_from_s: u64,
    /// Why: shown until it is tried again.
    held: Option<(State, Problem)>,
}

impl<R: Registry> Anchorer<R> {
    /// An anchorer that has not looked yet, and where its status can be read.
    pub fn new(ports: Ports<R>, config: Config) -> (Self, watch::Receiver<Status>) {
        let (status, receiver) = watch::channel(Status::default());
        let anchorer = Self {
            ports,
            config,
            status,
            plan: None,
            underpriced: None,
            resume: Resume::default(),
            prepare_from_s: 0,
            held: None,
        };
        (anchorer, receiver)
    }

    /// Ticks every `poll` until `stop`. A tick that is under way is dropped where it stands, as in
    /// a crash. `now_s` is the wall clock, in seconds.
    pub async fn run(mut self, poll: Duration, now_s: impl Fn() -> u64, stop: CancellationToken) {
        let ticking = async {
            loop {
                self.tick(now_s()).await;
                tokio::time::sleep(poll).await;
            }
        };
        stop.run_until_cancelled(ticking).await;
    }

    /// One look at the chain and what follows from it.
    pub async fn tick(&mut self, now_s: u64) {
        let mut status = Status { head: self.status.borrow().head, ..Status::default() };
        if let Err(error) = self.try_tick(now_s, &mut status).await {
            status.state = if error.is_stop() { State::Stopped } else { State::Failing };
            status.problem = Some(Problem { what: error.to_string(), advice: error.advice() });
            if matches!(error, TickError::Disk(_)) {
                self.plan = None;
            }
        }
        if self.prepare_from_s == now_s + PREPARE_AGAIN_S {
            self.held = status.problem.clone().map(|problem| (status.state, problem));
        } else if now_s < self.prepare_from_s
            && status.problem.is_none()
            && let Some((state, problem)) = self.held.clone()
        {
            (status.state, status.problem) = (state, Some(problem));
        }
        if let Some(plan) = &self.plan {
            self.describe(plan, now_s, &mut status);
        }
        if let Some(problem) = &status.problem
            && self.status.borrow().problem.as_ref() != Some(problem)
        {
            tracing::warn!(advice = problem.advice, "{}", problem.what);
        }
        self.status.send_replace(status);
    }

    async fn try_tick(&mut self, now_s: u64, status: &mut Status) -> Result<(), TickError> {
        let mut plan = match self.plan.take() {
            Some(plan) => plan,
            None => {
                let outbox = self.ports.outbox.clone();
                blocking(move || outbox.load()).await?
            }
        };
        let done = self.tick_on(&mut plan, now_s, status).await;
        self.plan = Some(plan);
        done
    }

    async fn tick_on(
        &mut self,
        plan: &mut Plan,
        now_s: u64,
        status: &mut Status,
    ) -> Result<(), TickError> {
        let journal = self.ports.journal.clone();
        let tail = blocking(move || journal.tail()).await?;
        status.entries = tail.size;

        let (log, account) = (self.config.log, self.ports.courier.account());
        let since = self.config.since_block;
        let seen = follow(&self.ports.registry, log, plan, since, self.resume).await;
        self.resume = match seen {
            Err(FollowError::Gap { .. }) => Resume::LastFinal,
            _ => Resume::Cursor,
        };
        self.dispatch().save(plan, seen?).await?;
        let watch = Watch { account, log, attempts: sender::watched(plan, account) };
        let view = self.ports.registry.view(&watch).await?;
        status.head = Some(view.head);
        if let Some(missing) = missing_anchors(plan, &view) {
            self.resume = Resume::LastFinal;
            status.problem = Some(Problem { what: missing.to_string(), advice: missing.advice() });
        }

        let underpriced = self.underpriced.take();
        let duty = Duty::Anchors { entries: tail.size };
        let local = Local { account, duty, underpriced };
        let limits = self.config.limits;
        let mut steps = sender::step(&view, plan, &local, None, &limits);
        if sender::is_idle(&steps) && now_s >= self.prepare_from_s {
            // Set before preparing, so that a preparation that fails is not repeated at once.
            self.prepare_from_s = now_s + PREPARE_AGAIN_S;
            match self.prepare(&view, plan, &tail, now_s).await {
                Ok(None) => self.prepare_from_s = 0,
                Ok(Some(due)) => {
                    steps = sender::step(&view, plan, &local, Some(due), &limits);
                    if steps.iter().any(|step| matches!(step, Step::Build(_))) {
                        self.prepare_from_s = 0;
                    }
                }
                // What is under way goes on even if nothing new can be prepared.
                Err(error) => {
                    self.carry_out(plan, steps, status).await?;
                    return Err(error);
                }
            }
        }
        self.carry_out(plan, steps, status).await
    }

    /// What should be done now, read back from disk and tried at the view's head.
    async fn prepare(
        &self,
        view: &ChainView,
        plan: &Plan,
        tail: &Tail,
        now_s: u64,
    ) -> Result<Option<Due>, TickError> {
        let head = &view.log_head;
        let (call, note) = if head.operator.is_zero() {
            match &self.config.open {
                Some(open) => (open.clone(), Vec::new()),
                None => return Err(TickError::NotOpen),
            }
        } else {
            if !self.is_time(view, tail, now_s) {
                return Ok(None);
            }
            // The contract wants the whole old anchor; only the follower knows its root.
            let old = plan.anchors.last().map_or_else(Anchor::default, |newest| newest.anchor);
            if (old.number, old.size) != (head.count, head.size) {
                return Ok(None);
            }
            self.next_anchor(old, tail).await?
        };
        let from = self.ports.courier.account();
        let gas = self.ports.registry.preflight(view.head, from, &call).await?;
        Ok(Some(Due { call, gas, note }))
    }

    fn is_time(&self, view: &ChainView, tail: &Tail, now_s: u64) -> bool {
        let head = &view.log_head;
        let grown = tail.size.saturating_sub(head.size);
        // The later of the two clocks: the chain's stands still where blocks come on demand only,
        // and ours may be wrong.
        let waited_s = now_s.max(view.head_time_s).saturating_sub(head.time_s);
        let due = head.count == 0
            || grown >= self.config.entries_max
            || waited_s >= self.config.interval_s;
        grown > 0 && due
    }

    async fn next_anchor(&self, old: Anchor, tail: &Tail) -> Result<(Call, Vec<u8>), TickError> {
        let size = tail.size.min(old.size + GROWTH_MAX);
        let (journal, notary) = (self.ports.journal.clone(), self.ports.notary.clone());
        let (tail, origin, log) = (tail.clone(), self.config.origin.clone(), self.config.log);
        blocking(move || {
            let fresh = read_back(journal.as_ref(), &old, &tail, size)?;
            let note = if size == tail.size {
                tail.checkpoint
            } else {
                let checkpoint = Checkpoint { origin, size, root: fresh.root };
                notary.sign(checkpoint, tail.received_ms)?.to_bytes()
            };
            let proof = fresh.proof.into_iter().map(B256::from).collect();
            Ok((Call::Anchor { log, old, size, root: fresh.root.into(), proof }, note))
        })
        .await
    }

    fn dispatch(&self) -> Dispatch<'_, R> {
        let Ports { registry, outbox, courier, .. } = &self.ports;
        Dispatch { registry, outbox, courier }
    }

    async fn carry_out(
        &mut self,
        plan: &mut Plan,
        steps: Vec<Step>,
        status: &mut Status,
    ) -> Result<(), TickError> {
        let mut outcome = Outcome { problem: status.problem.take(), ..Outcome::default() };
        let done = self.dispatch().carry_out(plan, steps, &mut outcome).await;
        (status.state, status.problem) = (outcome.state, outcome.problem);
        self.underpriced = outcome.underpriced;
        done
    }

    fn describe(&self, plan: &Plan, now_s: u64, status: &mut Status) {
        let newest = |wanted: &dyn Fn(bool) -> bool| {
            let mut found = plan.anchors.iter().rev().filter(|record| wanted(record.is_final));
            found.next().map(|record| record.anchor)
        };
        status.mined = newest(&|_| true);
        status.settled = newest(&|is_final| is_final);
        let (covered, since_s) = status.mined.map_or((0, now_s), |a| (a.size, a.time_s));
        status.lag_entries = status.entries.saturating_sub(covered);
        status.lag_s = if status.lag_entries > 0 { now_s.saturating_sub(since_s) } else { 0 };
        status.pending =
            plan.intents.iter().find_map(|intent| match (&intent.call, intent.state) {
                (Call::Anchor { size, .. }, IntentState::Pending) => Some(*size),
                _ => None,
            });
    }
}

/// Whether events were left out, without a gap that would show it: those of the newest anchors.
fn missing_anchors(plan: &Plan, view: &ChainView) -> Option<FollowError> {
    let read_to = plan.cursor.as_ref().map(|cursor| cursor.head);
    let known = plan.anchors.last().map_or(0, |record| record.anchor.number);
    let count = view.log_head.count;
    (read_to == Some(view.head) && known != count).then_some(FollowError::Missing { known, count })
}
