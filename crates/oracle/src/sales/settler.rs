//! Sends settlements, by an account of its own: one that anchors must not wait for a sale, nor the
//! other way round. The sender's rules are the same, and so is its memory.

use super::Sales;
use crate::anchorer::{Problem, TickError};
use crate::calls::Calls;
use crate::dispatch::{Dispatch, Outcome, blocking};
use crate::sender::{self, Due, Duty, Limits, Local};
use alloy_primitives::B256;
use medtrail_ledger::plan::{Call, ChainView, IntentState, Plan, Watch};
use medtrail_ledger::ports::{Courier, Outbox, PreflightError, Registry};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What the settler reads, writes and signs with.
pub struct Ports<R> {
    /// The chain.
    pub registry: R,
    /// The plan on disk, shared with the anchorer: each account has its own intents.
    pub outbox: Arc<dyn Outbox>,
    /// Signs transactions: the relay's key.
    pub courier: Arc<dyn Courier>,
}

/// Settles the sales of one log.
pub struct Settler<R> {
    ports: Ports<R>,
    sales: Sales,
    calls: Option<Calls>,
    log: B256,
    limits: Limits,
    plan: Option<Plan>,
    underpriced: Option<B256>,
}

impl<R: Registry> Settler<R> {
    /// A settler that has not looked yet.
    pub fn new(ports: Ports<R>, sales: Sales, log: B256, limits: Limits) -> Self {
        Self { ports, sales, calls: None, log, limits, plan: None, underpriced: None }
    }

    /// The same, sending what calls to many have due too. Whoever looks at calls is another task
    /// ([`Calls::run`]): a file of many takes its time.
    pub fn with_calls(self, calls: Calls) -> Self {
        Self { calls: Some(calls), ..self }
    }

    /// Looks at all sales, and then sends what is due, every `poll` until `stop`. A look that is under
    /// way is ended first; sending is dropped where it stands, as in a crash.
    pub async fn run(mut self, poll: Duration, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let sales = self.sales.clone();
            // What went wrong it has told: settlements that are under way go on all the same.
            let _ = blocking(move || sales.tick()).await;
            let sending = async {
                self.tick().await;
                tokio::time::sleep(poll).await;
            };
            stop.run_until_cancelled(sending).await;
        }
    }

    /// One look at the chain, and what follows for settlements.
    pub async fn tick(&mut self) {
        let mut outcome = Outcome::default();
        let mut plan = self.plan.take();
        match self.try_tick(&mut plan, &mut outcome).await {
            Ok(()) => self.plan = plan,
            Err(error) => {
                outcome.problem = Some(Problem { what: error.to_string(), advice: error.advice() });
                self.plan = plan.filter(|_| !matches!(error, TickError::Disk(_)));
            }
        }
        self.underpriced = outcome.underpriced;
        self.sales.note_sending(outcome.problem);
    }

    async fn try_tick(
        &mut self,
        kept: &mut Option<Plan>,
        outcome: &mut Outcome,
    ) -> Result<(), TickError> {
        let plan = match kept {
            Some(plan) => plan,
            None => {
                let outbox = self.ports.outbox.clone();
                kept.insert(blocking(move || outbox.load()).await?)
            }
        };
        let mut due = self.sales.due();
        due.extend(self.calls.as_ref().map(Calls::due).into_iter().flatten());
        let account = self.ports.courier.account();
        let attempts = sender::watched(plan, account);
        if due.is_empty() && attempts.is_empty() {
            return Ok(());
        }
        let watch = Watch { account, log: self.log, attempts };
        let view = self.ports.registry.view(&watch).await?;
        let underpriced = self.underpriced.take();
        let local = Local { account, duty: Duty::Settlements, underpriced };
        let mut steps = sender::step(&view, plan, &local, None, &self.limits);
        if sender::is_idle(&steps)
            && let Some(due) = self.prepare(&view, plan, due, outcome).await?
        {
            steps = sender::step(&view, plan, &local, Some(due), &self.limits);
        }
        let Ports { registry, outbox, courier } = &self.ports;
        Dispatch { registry, outbox, courier }.carry_out(plan, steps, outcome).await
    }

    /// The first settlement that is not under way and that the contract would take now. One that it
    /// refuses holds up no other.
    async fn prepare(
        &self,
        view: &ChainView,
        plan: &Plan,
        due: Vec<Call>,
        outcome: &mut Outcome,
    ) -> Result<Option<Due>, TickError> {
        let account = self.ports.courier.account();
        for call in due {
            if is_under_way(plan, &call) {
                continue;
            }
            match self.ports.registry.preflight(view.head, account, &call).await {
                Ok(gas) => return Ok(Some(Due { call, gas, note: Vec::new() })),
                Err(PreflightError::Reverts(reason)) => {
                    outcome.problem.get_or_insert_with(|| Problem {
                        what: format!("a settlement would be refused: {reason}"),
                        advice: "nothing at first: the sale is looked at again; if it lasts, look \
                                 at the order",
                    });
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }
}

/// Whether a call was sent, or something that it must wait for.
fn is_under_way(plan: &Plan, wanted: &Call) -> bool {
    plan.intents.iter().any(|intent| match (&intent.call, wanted, intent.state) {
        // One that failed is planned again; one that succeeded the contract refuses.
        (
            Call::Settle { order: one, .. },
            Call::Settle { order: other, .. },
            IntentState::Pending | IntentState::Mined(_),
        ) => one == other,
        // What is due may have been found due before this one was planned.
        (
            Call::SettleMany { call: one, claims: sent, .. },
            Call::SettleMany { call: other, claims, .. },
            state,
        ) => {
            let is_open = !matches!(state, IntentState::Final(_));
            let is_sent = || claims.iter().any(|claim| sent.contains(claim));
            one == other && is_open && (state == IntentState::Pending || is_sent())
        }
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{Address, Bytes};
    use medtrail_ledger::plan::{BlockRef, Intent};

    fn batch(call: u8, claims: &[u8]) -> Call {
        let claims = claims.iter().map(|claim| B256::repeat_byte(*claim)).collect();
        let (market, call) = (Address::ZERO, B256::repeat_byte(call));
        Call::SettleMany { market, call, claims, gas: 1, data: Bytes::new() }
    }

    fn plan(call: Call, state: IntentState) -> Plan {
        let (account, attempts) = (Address::ZERO, Vec::new());
        let intent = Intent { account, nonce: 1, call, gas: 1, state, made_at_block: 1, attempts };
        Plan { intents: vec![intent], ..Plan::default() }
    }

    #[test]
    fn of_one_call_one_batch_waits_for_its_block_and_no_claim_is_sent_twice() {
        let block = BlockRef { number: 1, hash: B256::ZERO };
        let [pending, mined] = [IntentState::Pending, IntentState::Mined(block)];
        let [failed, settled] = [IntentState::Failed(block), IntentState::Final(block)];
        for (state, same, apart) in [
            (pending, true, true),
            (mined, true, false),
            (failed, true, false),
            (settled, false, false),
        ] {
            let plan = plan(batch(1, &[1, 2]), state);
            assert_eq!(is_under_way(&plan, &batch(1, &[2, 3])), same, "{state:?}");
            assert_eq!(is_under_way(&plan, &batch(1, &[3, 4])), apart, "{state:?}");
            assert!(!is_under_way(&plan, &batch(2, &[1, 2])), "{state:?}");
        }
    }
}
