//! Does what the sender decided, in order: saves, signs, sends. For each account that has a plan.

use crate::anchorer::{Problem, State, TickError};
use crate::sender::{Alarm, Build, Step};
use alloy_primitives::B256;
use medtrail_ledger::plan::{Attempt, Plan, PlanChange};
use medtrail_ledger::ports::{
    Courier, CourierError, JournalError, Outbox, Registry, SendError, TxFields,
};
use std::sync::Arc;

/// What one account sends with.
pub(crate) struct Dispatch<'a, R> {
    pub(crate) registry: &'a R,
    pub(crate) outbox: &'a Arc<dyn Outbox>,
    pub(crate) courier: &'a Arc<dyn Courier>,
}

/// How it went, as far as it went.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) state: State,
    pub(crate) problem: Option<Problem>,
    /// An attempt that a node refused as underpriced.
    pub(crate) underpriced: Option<B256>,
}

impl Outcome {
    fn note(&mut self, problem: impl Into<Problem>) {
        self.problem.get_or_insert_with(|| problem.into());
    }
}

impl<R: Registry> Dispatch<'_, R> {
    /// Does what was decided, in order; the first failure ends the tick.
    pub(crate) async fn carry_out(
        &self,
        plan: &mut Plan,
        steps: Vec<Step>,
        outcome: &mut Outcome,
    ) -> Result<(), TickError> {
        outcome.state = State::Idle;
        for step in steps {
            match step {
                Step::Save(changes) => self.save(plan, changes).await?,
                Step::Build(build) => {
                    outcome.state = State::Sending;
                    let (changes, attempt) = self.build(*build).await?;
                    // Crash before this line: nothing was sent, the nonce is free. After it: the
                    // next tick finds the attempt on disk and sends it.
                    self.save(plan, changes).await?;
                    self.send(&attempt, outcome).await;
                }
                Step::Send(attempt) => {
                    outcome.state = State::Sending;
                    self.send(&attempt, outcome).await;
                }
                Step::Wait(wait) => {
                    outcome.state = State::Waiting;
                    outcome.note(&wait);
                }
                Step::Alarm(alarm) => outcome.note(&alarm),
                Step::Stop(stop) => {
                    outcome.state = State::Stopped;
                    outcome.problem = Some((&stop).into());
                }
            }
        }
        Ok(())
    }

    async fn build(&self, build: Build) -> Result<(Vec<PlanChange>, Attempt), CourierError> {
        let Build { mut intent, fees, at_block, with: mut changes } = build;
        let target = self.registry.encode(&intent.call);
        let fields = TxFields {
            chain_id: target.chain_id,
            to: target.to,
            nonce: intent.nonce,
            gas: intent.gas,
            tip: fees.tip,
            max_fee: fees.max_fee,
            data: target.data,
            at_block,
        };
        let courier = self.courier.clone();
        let attempt = blocking(move || courier.build(&fields)).await?;
        intent.attempts.push(attempt.clone());
        changes.push(PlanChange::PutIntent(intent));
        Ok((changes, attempt))
    }

    /// Sends what is on disk. Whatever comes back changes nothing but the next tick's patience.
    async fn send(&self, attempt: &Attempt, outcome: &mut Outcome) {
        let Err(error) = self.registry.send(&attempt.raw).await else { return };
        if error.is_fine() {
            return;
        }
        if matches!(error, SendError::Underpriced(_)) {
            outcome.underpriced = Some(attempt.hash);
        }
        outcome.note(&Alarm::Send { tx: attempt.hash, error });
    }

    pub(crate) async fn save(
        &self,
        plan: &mut Plan,
        changes: Vec<PlanChange>,
    ) -> Result<(), JournalError> {
        if changes.is_empty() {
            return Ok(());
        }
        let outbox = self.outbox.clone();
        let changes = blocking(move || outbox.save(&changes).map(|()| changes)).await?;
        changes.iter().for_each(|change| plan.apply(change));
        Ok(())
    }
}

/// Runs what blocks off the async threads.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(failed) => match failed.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only a runtime that is shutting down cancels blocking work before it began.
            Err(_) => std::future::pending().await,
        },
    }
}
