//! The transaction sender: what to do next about the operator's transactions. Pure.
//!
//! [`step`] is asked at every tick with what the chain shows, what the disk remembers and what is
//! due; it answers with commands in order. Start-up is the same tick: there is no recovery path.
//! Random histories that try to break it are in `tests/sender`.
//!
//! Invariants:
//! - Every attempt is on disk before it is sent ([`Step::Build`]).
//! - No intent is made while another stands in no block.
//! - There is no nonce counter: a new intent takes the account's nonce at the pinned head. What
//!   the disk remembers only tells whether somebody else moved it.
//! - All attempts of a nonce carry the same call and gas limit, so it does not matter which is
//!   mined; none is forgotten until one is final.

mod fees;
mod reason;
#[cfg(test)]
mod tests;

pub use fees::{Fees, MARKET_MULTIPLE_MAX};
pub use reason::{Alarm, Stop, Wait};

use alloy_primitives::{Address, B256};
use medtrail_ledger::plan::{
    Attempt, BlockRef, Call, ChainView, Intent, IntentState, Plan, PlanChange,
};

/// Entries one anchor may add; the registry's `GROWTH_MAX`. More are anchored in steps.
pub const GROWTH_MAX: u64 = 1 << 26;

/// What the sender may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// No attempt offers more, wei per gas.
    pub max_fee_cap: u128,
    /// Blocks an attempt is given before a dearer one replaces it.
    pub bump_after_blocks: u64,
    /// Mined transactions that may wait for finality at once. The ring's 64: beyond it an anchor
    /// could leave the ring before it is final.
    pub unfinal_max: usize,
}

impl Limits {
    /// The usual limits under a fee cap in wei per gas.
    pub const fn with_fee_cap(max_fee_cap: u128) -> Self {
        Self { max_fee_cap, bump_after_blocks: 3, unfinal_max: 64 }
    }
}

/// What this machine knows beside chain and plan.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Local {
    /// The account whose key signs here.
    pub account: Address,
    /// What that account is for.
    pub duty: Duty,
    /// An attempt that a node refused as underpriced: replaced without waiting.
    pub underpriced: Option<B256>,
}

/// What an account is for. Each has one only: two that share a nonce would hold each other up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Duty {
    /// The operator's: it opens and anchors the log.
    Anchors {
        /// Entries in the log on disk.
        entries: u64,
    },
    /// The relay's: it settles sales, which anybody may.
    Settlements,
}

/// A call that should be made now, prepared and found good at the view's head.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Due {
    /// What to do.
    pub call: Call,
    /// Gas limit.
    pub gas: u64,
    /// For an anchor, the signed note over exactly its size: kept for ever with the intent.
    pub note: Vec<u8>,
}

/// One command. They are carried out in order; the first that fails ends the tick.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Makes these changes durable, in one transaction.
    Save(Vec<PlanChange>),
    /// Has a new attempt signed, makes intent and attempt durable in one transaction, and only
    /// then sends it.
    Build(Box<Build>),
    /// Sends an attempt that is on disk, once more: nodes forget.
    Send(Attempt),
    /// Nothing can be planned now.
    Wait(Wait),
    /// Tells the operator, and goes on.
    Alarm(Alarm),
    /// Tells the operator, and sends nothing.
    Stop(Stop),
}

/// An attempt to be signed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Build {
    /// The intent with all its attempts so far.
    pub intent: Intent,
    /// The new attempt's fees.
    pub fees: Fees,
    /// Head now.
    pub at_block: u64,
    /// Saved together with the intent.
    pub with: Vec<PlanChange>,
}

/// Whether `steps` leave the way open for something new.
pub fn is_idle(steps: &[Step]) -> bool {
    steps.iter().all(|step| matches!(step, Step::Save(_) | Step::Alarm(_)))
}

/// Hashes whose receipts the next view must show: all attempts of what is not final.
pub fn watched(plan: &Plan, account: Address) -> Vec<B256> {
    let open = plan.intents.iter().filter(|intent| {
        intent.account == account && !matches!(intent.state, IntentState::Final(_))
    });
    open.flat_map(|intent| intent.attempts.iter().map(|attempt| attempt.hash)).collect()
}

/// What to do at this head. Without `due` it only looks after what is under way; asked again with
/// `due` and the same view, it also plans.
pub fn step(
    view: &ChainView,
    plan: &Plan,
    local: &Local,
    due: Option<Due>,
    limits: &Limits,
) -> Vec<Step> {
    if let Some(stop) = refusal(view, local) {
        return vec![Step::Stop(stop)];
    }
    let mut round = Round::default();
    for intent in plan.intents.iter().filter(|intent| intent.account == local.account) {
        if let Err(stop) = round.look_at(view, intent) {
            return vec![Step::Stop(stop)];
        }
    }
    if let Err(stop) = round.look_beyond(view) {
        return vec![Step::Stop(stop)];
    }
    let next = match (round.lowest_pending(), &round.wait) {
        (_, Some(wait)) => vec![Step::Wait(wait.clone())],
        (Some(intent), None) => push_on(view, intent, local, limits),
        (None, None) => due.map_or_else(Vec::new, |due| begin(view, &round, local, due, limits)),
    };
    round.forget_settled();
    let mut steps = Vec::new();
    if !round.changes.is_empty() {
        steps.push(Step::Save(round.changes));
    }
    steps.extend(round.alarms.into_iter().map(Step::Alarm));
    steps.extend(next);
    steps
}

/// What forbids to send anything at all.
fn refusal(view: &ChainView, local: &Local) -> Option<Stop> {
    let head = &view.log_head;
    let Duty::Anchors { entries } = local.duty else { return None };
    if head.size > entries {
        return Some(Stop::RestoredBackup { anchored: head.size, entries });
    }
    if head.operator == local.account {
        return None;
    }
    match (head.operator.is_zero(), head.count) {
        // Never opened, or its opening was reorganised away: the intent says which.
        (true, 0) => None,
        (true, _) => Some(Stop::Closed),
        (false, _) => Some(Stop::NotOperator { found: head.operator }),
    }
}

/// One tick's look at all intents of the account.
#[derive(Default)]
struct Round {
    /// As they stand at this head, by nonce.
    intents: Vec<Intent>,
    changes: Vec<PlanChange>,
    alarms: Vec<Alarm>,
    wait: Option<Wait>,
}

impl Round {
    fn look_at(&mut self, view: &ChainView, intent: &Intent) -> Result<(), Stop> {
        let nonce = intent.nonce;
        let mut now = intent.clone();
        now.state = match (intent.state, receipt_of(view, intent)) {
            (IntentState::Final(block), _) => IntentState::Final(block),
            (_, Some((block, true))) => self.done(view, intent, block),
            (_, Some((block, false))) => {
                self.alarms.push(Alarm::CallFailed { nonce, block: block.number });
                let settled = block.number <= view.finalized.number;
                if settled { IntentState::Final(block) } else { IntentState::Failed(block) }
            }
            (_, None) if view.nonce_finalized > nonce => return Err(Stop::ForeignNonce { nonce }),
            (state, None) if view.nonce_head > nonce => {
                self.wait.get_or_insert(Wait::ViewsDisagree { nonce });
                state
            }
            // This is also how a reorganisation shows.
            (_, None) => IntentState::Pending,
        };
        if now.state != intent.state {
            self.changes.push(PlanChange::PutIntent(now.clone()));
        }
        self.intents.push(now);
        Ok(())
    }

    fn done(&mut self, view: &ChainView, intent: &Intent, block: BlockRef) -> IntentState {
        let shown = &view.log_finalized;
        let takes_effect = match &intent.call {
            Call::Open { .. } => !shown.operator.is_zero() || shown.count > 0,
            Call::Anchor { size, .. } => shown.size >= *size,
            // A receipt that says it succeeded is all there is to see here.
            Call::Settle { .. } | Call::SettleMany { .. } => true,
        };
        match (block.number <= view.finalized.number, takes_effect) {
            (true, true) => IntentState::Final(block),
            (true, false) => {
                self.alarms.push(Alarm::RegistryDisagrees { nonce: intent.nonce });
                IntentState::Mined(block)
            }
            (false, _) => IntentState::Mined(block),
        }
    }

    /// Compares the account's nonce with the newest one used from here.
    fn look_beyond(&mut self, view: &ChainView) -> Result<(), Stop> {
        let Some(newest) = self.intents.last() else { return Ok(()) };
        let expected = newest.nonce + 1;
        if view.nonce_finalized > expected {
            return Err(Stop::ForeignNonce { nonce: expected });
        }
        if view.nonce_head > expected {
            // Not final yet: a reorganisation may still undo it, so this only holds.
            self.alarms.push(Alarm::ForeignNonceSeen { expected, found: view.nonce_head });
            self.wait.get_or_insert(Wait::ViewsDisagree { nonce: expected });
        }
        if newest.state != IntentState::Pending && view.nonce_head < expected {
            self.wait.get_or_insert(Wait::ViewsDisagree { nonce: newest.nonce });
        }
        Ok(())
    }

    fn lowest_pending(&self) -> Option<&Intent> {
        self.intents.iter().find(|intent| intent.state == IntentState::Pending)
    }

    fn unfinal(&self) -> usize {
        self.intents.iter().filter(|intent| !matches!(intent.state, IntentState::Final(_))).count()
    }

    /// Drops final intents, but never the newest: see [`Plan::intents`].
    fn forget_settled(&mut self) {
        let Some((_, older)) = self.intents.split_last() else { return };
        for intent in older.iter().filter(|intent| matches!(intent.state, IntentState::Final(_))) {
            let (account, nonce) = (intent.account, intent.nonce);
            self.changes.push(PlanChange::DropIntent { account, nonce });
        }
    }
}

/// Where any attempt of the intent stands in the canonical chain, and whether its call succeeded.
fn receipt_of(view: &ChainView, intent: &Intent) -> Option<(BlockRef, bool)> {
    let ours = |tx: B256| intent.attempts.iter().any(|attempt| attempt.hash == tx);
    let found = view.receipts.iter().find(|receipt| receipt.is_canonical && ours(receipt.tx))?;
    Some((found.block, found.succeeded))
}

/// The lowest intent without a block: a dearer attempt if it is time, else the newest one again.
fn push_on(view: &ChainView, intent: &Intent, local: &Local, limits: &Limits) -> Vec<Step> {
    let (nonce, at) = (intent.nonce, view.nonce_head);
    if nonce > at {
        return vec![Step::Wait(Wait::NonceGap { nonce, at })];
    }
    // Saved without an attempt it never is; but then the first one is due.
    let Some(newest) = intent.attempts.last() else {
        return match Fees::fresh(view, limits.max_fee_cap) {
            Some(fees) => vec![build(view, intent.clone(), fees, Vec::new())],
            None => vec![Step::Alarm(fee_cap(view, limits))],
        };
    };
    let waited = view.head.number.saturating_sub(newest.built_at_block);
    let overtaken = newest.max_fee < view.base_fee || local.underpriced == Some(newest.hash);
    if waited < limits.bump_after_blocks && !overtaken {
        return vec![Step::Send(newest.clone())];
    }
    let again = Step::Send(newest.clone());
    match Fees::bumped(newest, view, limits.max_fee_cap) {
        None => vec![Step::Alarm(fee_cap(view, limits)), again],
        Some(fees) => match unaffordable(view, intent.gas, fees) {
            Some(alarm) => vec![Step::Alarm(alarm), again],
            None => vec![build(view, intent.clone(), fees, Vec::new())],
        },
    }
}

/// Plans what is due at the nonce of the pinned head.
fn begin(view: &ChainView, round: &Round, local: &Local, due: Due, limits: &Limits) -> Vec<Step> {
    let count = round.unfinal();
    if count >= limits.unfinal_max {
        return vec![Step::Wait(Wait::Unfinal { count })];
    }
    if !fits(view, local, &due.call) {
        return vec![Step::Wait(Wait::HeadMoved)];
    }
    let Some(fees) = Fees::fresh(view, limits.max_fee_cap) else {
        return vec![Step::Alarm(fee_cap(view, limits))];
    };
    if let Some(alarm) = unaffordable(view, due.gas, fees) {
        return vec![Step::Alarm(alarm)];
    }
    let with = match &due.call {
        Call::Open { .. } | Call::Settle { .. } | Call::SettleMany { .. } => Vec::new(),
        Call::Anchor { size, .. } => {
            vec![PlanChange::KeepCheckpoint { size: *size, note: due.note }]
        }
    };
    let intent = Intent {
        account: local.account,
        nonce: view.nonce_head,
        call: due.call,
        gas: due.gas,
        state: IntentState::Pending,
        made_at_block: view.head.number,
        attempts: Vec::new(),
    };
    vec![build(view, intent, fees, with)]
}

/// Whether the call is this account's, and goes on exactly from what the registry shows.
fn fits(view: &ChainView, local: &Local, call: &Call) -> bool {
    let head = &view.log_head;
    match (call, local.duty) {
        (Call::Open { .. }, Duty::Anchors { .. }) => head.operator.is_zero(),
        (Call::Anchor { old, size, .. }, Duty::Anchors { entries }) => {
            head.operator == local.account
                && (old.number, old.size) == (head.count, head.size)
                && (old.size + 1..=old.size + GROWTH_MAX).contains(size)
                && *size <= entries
        }
        (Call::Settle { .. } | Call::SettleMany { .. }, Duty::Settlements) => true,
        _ => false,
    }
}

fn build(view: &ChainView, intent: Intent, fees: Fees, with: Vec<PlanChange>) -> Step {
    Step::Build(Box::new(Build { intent, fees, at_block: view.head.number, with }))
}

fn fee_cap(view: &ChainView, limits: &Limits) -> Alarm {
    Alarm::FeeCap { cap: Fees::cap(view, limits.max_fee_cap), base_fee: view.base_fee }
}

fn unaffordable(view: &ChainView, gas: u64, fees: Fees) -> Option<Alarm> {
    let needed = fees.max_fee.saturating_mul(u128::from(gas));
    (view.balance < needed).then_some(Alarm::Balance { balance: view.balance, needed })
}
