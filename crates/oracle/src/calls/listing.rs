//! What is called for, and how it looks: to everybody, who learns nothing of any seller; to its
//! buyer; and to who may accept it.

use super::given::Delivery;
use super::{Calls, CallsError};
use crate::sales::Side;
use alloy_primitives::{Address, B256};
use medtrail_ledger::directory::{
    AcceptanceRow, CallDelivery, CallRow, CallState, DirectoryChange, PartName, PartWithdrawalRow,
    WithdrawalAnswer,
};
use medtrail_ledger::ports::JournalError;
use medtrail_market::cohort::delivery::{OnChain, Refusal, fault};
use medtrail_permit::dataset::Dataset;
use medtrail_permit::sale::{Cohort, CohortAcceptance, cohort};

/// Calls of one buyer that are not closed.
const CALLS_MAX: usize = 64;
/// Calls of one page at most.
const PAGE_MAX: usize = 100;
pub(super) const DAY_MS: u64 = 24 * 3_600_000;
/// Calls that are looked at for one page.
const LOOKED_AT_MAX: usize = 2_000;

/// A page, and where the next one begins: when a call was heard of, and which.
pub type Page<T> = (Vec<T>, Option<(u64, B256)>);

/// A call as everybody sees it.
#[derive(Clone, PartialEq, Debug)]
pub struct CallCard {
    /// Its id.
    pub id: B256,
    /// When it was heard of, milliseconds since 1970.
    pub heard_ms: u64,
    /// What it asks and gives.
    pub cohort: Cohort,
    /// The description of the dataset.
    pub dataset: String,
    /// The types that its scopes name.
    pub types: Vec<String>,
}

/// The caller's own acceptance.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Own {
    /// The row.
    pub row: AcceptanceRow,
    /// In one word.
    pub state: &'static str,
    /// The key of a file that it is in may have been seen: deletion can be asked for, and nothing be
    /// taken back.
    pub is_shown: bool,
}

/// A call, as it looks to one caller.
#[derive(Clone, PartialEq, Debug)]
pub struct CallView {
    /// The row.
    pub row: CallRow,
    /// The document.
    pub cohort: Cohort,
    /// In one word.
    pub state: &'static str,
    /// How many places are accepted; told to the buyer only.
    pub accepted: Option<u64>,
    /// What the caller accepted, newest last.
    pub own: Vec<Own>,
    /// What the caller may sign now to accept; only where a call was asked for.
    pub proposed: Option<CohortAcceptance>,
    /// How its delivery stands; told to the buyer only.
    pub delivery: Option<Delivery>,
    /// Parts of the file that are to be deleted, by day; told to the buyer only.
    pub withdrawals: Vec<AskedPart>,
}

/// A part of the file that its seller wants deleted, as its buyer is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AskedPart {
    /// Which.
    pub name: PartName,
    /// The day on which it was asked for: its beginning, milliseconds since 1970.
    pub asked_ms: u64,
    /// Until when the buyer has time.
    pub due_ms: u64,
    /// What they said.
    pub answer: WithdrawalAnswer,
}

impl Calls {
    /// Lists a call that its buyer opened, or is about to see final. The same again is answered
    /// alike.
    ///
    /// # Errors
    /// [`CallsError::NotOpened`] where the contract shows no money at its newest block.
    pub async fn list(
        &self,
        who: Address,
        cohort: Cohort,
        dataset: String,
    ) -> Result<(CallView, bool), CallsError> {
        self.blocking(move |calls| calls.list_now(who, &cohort, dataset)).await
    }

    fn list_now(
        &self,
        who: Address,
        cohort: &Cohort,
        text: String,
    ) -> Result<(CallView, bool), CallsError> {
        let id = cohort.id(&self.market());
        let fault_at = |field, rule| Err(CallsError::Field { field, rule });
        if !self.0.sales.is_party(who, cohort.buyer) {
            return fault_at("cohort.buyer", "the address that you are signed in with");
        }
        // Looked up before the chain is asked: nobody is to wait for that behind the rows.
        if self.row(id).is_some() {
            return Ok((self.view_for(who, id)?, false));
        }
        let dataset = Dataset::parse(text.as_bytes())?;
        cohort::check(cohort, &dataset)?;
        if cohort.log != self.service().trust().log {
            return fault_at("cohort.log", "this log's id");
        }
        let tips = self.0.sales.trade().tips()?;
        let standing = self.0.trade.standing(id, tips.head.block.hash)?;
        match standing.on_chain {
            OnChain::None => return Err(CallsError::NotOpened),
            OnChain::Open { is_bound: false } => {}
            OnChain::Open { .. } | OnChain::Closed { .. } => return Err(CallsError::TooLate),
        }
        if cohort.deliverBy <= self.now_ms() / 1000 {
            return Err(CallsError::TooLate);
        }
        let windows = &self.0.sales.rules().windows;
        match fault(cohort, &dataset, windows, standing.opened_at_s) {
            None => {}
            Some(Refusal::Recipient) => {
                return fault_at("cohort.recipient", "a key that can be sealed to");
            }
            Some(_) => {
                let rule = "later, and grace longer: GET /v1/market has this operator's windows";
                return fault_at("cohort.deliverBy", rule);
            }
        }
        let row = CallRow {
            id,
            buyer: cohort.buyer,
            document: serde_json::to_vec(cohort).expect("a call is JSON"),
            dataset: text.into_bytes(),
            deliver_by_s: cohort.deliverBy,
            heard_ms: self.now_ms(),
            state: CallState::Heard,
            delivery: CallDelivery::Collecting,
            shown: None,
            withdrawals: Vec::new(),
        };
        let is_new = self.put(row)?;
        // It is kept: what is in the way of a look at it (a contract of which no final block knows
        // yet) is in the way of the next tick's, and told there.
        if let Err(error) = self.advance(id, &tips) {
            tracing::debug!("call {id} is looked at again: {error}");
        }
        Ok((self.view_for(who, id)?, is_new))
    }

    /// Puts a call on the list, unless it stands there by now.
    fn put(&self, row: CallRow) -> Result<bool, CallsError> {
        let live = &self.service().0.live;
        let _act = live.begin()?;
        let (is_known, open) = {
            let rows = live.rows();
            let is_open = |row: &&CallRow| !matches!(row.state, CallState::Closed { .. });
            let open = rows.board.calls_of(row.buyer).filter(is_open).count();
            (rows.board.call(row.id).is_some(), open)
        };
        if is_known {
            return Ok(false);
        }
        if open >= CALLS_MAX {
            return Err(CallsError::TooMany(open));
        }
        live.apply(vec![DirectoryChange::PutCall(row)])?;
        Ok(true)
    }

    /// What is called for now, newest first. Of whom places were accepted it does not tell.
    ///
    /// # Errors
    /// Where a row makes no sense.
    pub fn catalogue(
        &self,
        resource: Option<&str>,
        before: Option<(u64, B256)>,
        limit: usize,
    ) -> Result<Page<CallCard>, CallsError> {
        let (now_s, limit) = (self.now_ms() / 1000, limit.clamp(1, PAGE_MAX));
        let rows: Vec<CallRow> = {
            let rows = self.service().0.live.rows();
            let before = before.unwrap_or((u64::MAX, B256::repeat_byte(0xff)));
            rows.board.calls_before(before).take(LOOKED_AT_MAX).cloned().collect()
        };
        let is_all = rows.len() < LOOKED_AT_MAX;
        let mut cards: Vec<CallCard> = Vec::new();
        for row in &rows {
            if cards.len() == limit {
                let last = cards.last().map(|card| (card.heard_ms, card.id));
                return Ok((cards, last));
            }
            if takes_acceptances(row, now_s) {
                let card = card(row)?;
                let fits = |one: &String| resource.is_none_or(|wish| one == wish || one == "*");
                if card.types.iter().any(fits) {
                    cards.push(card);
                }
            }
        }
        let last = rows.last().map(|row| (row.heard_ms, row.id));
        Ok((cards, last.filter(|_| !is_all)))
    }

    /// A call, for whoever is signed in, with what they may sign to accept it as `seller`: their own
    /// address, or one that they sell under.
    ///
    /// # Errors
    /// [`CallsError::NoSuchCall`] also for one that no final block shows, but to its buyer.
    pub async fn call(
        &self,
        who: Address,
        id: B256,
        seller: Option<Address>,
    ) -> Result<CallView, CallsError> {
        self.blocking(move |calls| {
            let mut view = calls.view_for(who, id)?;
            let is_in = view.own.iter().any(|own| own.row.withdrawn_ms.is_none());
            let now_s = calls.now_ms() / 1000;
            // A buyer is told how many accepted, and nobody buys of themselves.
            if !is_in && view.accepted.is_none() && takes_acceptances(&view.row, now_s) {
                view.proposed = calls.propose(who, &view.row, &view.cohort, seller)?;
            }
            Ok(view)
        })
        .await
    }

    /// The calls of a buyer, or those that a seller accepted, newest first.
    pub async fn calls_of(
        &self,
        who: Address,
        side: Side,
        before: Option<(u64, B256)>,
        limit: usize,
    ) -> Result<Page<CallView>, CallsError> {
        self.blocking(move |calls| {
            let limit = limit.clamp(1, PAGE_MAX);
            let mut found: Vec<(u64, B256)> = Vec::new();
            for name in calls.0.sales.names_of(who) {
                let rows = calls.service().0.live.rows();
                let board = &rows.board;
                let place = |row: &CallRow| (row.heard_ms, row.id);
                match side {
                    Side::Buyer => found.extend(board.calls_of(name).map(place)),
                    Side::Seller => {
                        let own = board.acceptances_by(name);
                        found.extend(own.filter_map(|row| board.call(row.call)).map(place));
                    }
                }
            }
            found.retain(|place| before.is_none_or(|before| *place < before));
            found.sort_unstable_by(|one, other| other.cmp(one));
            found.dedup();
            let next = found.get(limit - 1).copied().filter(|_| found.len() > limit);
            found.truncate(limit);
            let views = found.into_iter().map(|(_, id)| calls.view_for(who, id));
            Ok((views.collect::<Result<_, _>>()?, next))
        })
        .await
    }

    /// Without a proposal: what was done is not to be answered with a chain that cannot be read.
    pub(super) fn view_for(&self, who: Address, id: B256) -> Result<CallView, CallsError> {
        let row = self.row(id).ok_or(CallsError::NoSuchCall)?;
        let is_buyer = self.0.sales.is_party(who, row.buyer);
        if row.state == CallState::Heard && !is_buyer {
            return Err(CallsError::NoSuchCall);
        }
        let cohort = cohort_in(&row)?;
        let now_s = self.now_ms() / 1000;
        let acceptances = self.acceptances_of(id);
        let living = acceptances.iter().filter(|one| one.withdrawn_ms.is_none()).count() as u64;
        let withdrawals = match is_buyer {
            true => asked_of(&row, &acceptances, self.now_ms()),
            false => Vec::new(),
        };
        let mut own: Vec<AcceptanceRow> = acceptances;
        own.retain(|one| self.0.sales.is_party(who, one.seller));
        own.sort_by_key(|one| (one.accepted_ms, one.id));
        let state = match row.state {
            CallState::Heard => "heard",
            CallState::Closed { .. } => "closed",
            CallState::Open { .. } if cohort.deliverBy <= now_s => "late",
            CallState::Open { .. } => "open",
        };
        let own = own.into_iter().map(|one| {
            let state = own_state(&one, &row.delivery);
            let is_shown = row.has_shown(&one);
            Own { row: one, state, is_shown }
        });
        let own = own.collect();
        Ok(CallView {
            cohort,
            state,
            accepted: is_buyer.then_some(living),
            own,
            proposed: None,
            delivery: if is_buyer { Some(self.delivery_of(&row)?) } else { None },
            withdrawals,
            row,
        })
    }
}

/// In an order of places, or with the second of the asking, it would tell whose they are; and so would
/// an erasure that took one away.
fn asked_of(call: &CallRow, acceptances: &[AcceptanceRow], now_ms: u64) -> Vec<AskedPart> {
    let living = acceptances.iter().filter_map(|one| one.withdrawal.as_ref());
    let told = |one: &PartWithdrawalRow| {
        let PartWithdrawalRow { name, asked } = one;
        let asked_ms = asked.asked_ms - asked.asked_ms % DAY_MS;
        AskedPart { name: *name, asked_ms, due_ms: asked.due_ms, answer: asked.answer_at(now_ms) }
    };
    let mut asked: Vec<AskedPart> = living.chain(&call.withdrawals).map(told).collect();
    asked.sort_by_key(|one| (one.asked_ms, one.name.label));
    asked
}

fn own_state(row: &AcceptanceRow, delivery: &CallDelivery) -> &'static str {
    let is_in = delivery.sellers().contains(&row.id);
    let is_delivered = delivery.file().is_some_and(|(key, file, _)| {
        row.delivered.is_some_and(|one| one.lock == key.lock && one.file == file.hash)
    });
    match (row.withdrawn_ms, row.ended_entry) {
        (Some(_), _) => "withdrawn",
        (None, Some(_)) if row.is_paid => "paid",
        (None, Some(_)) => "ended",
        (None, None) if is_in && is_delivered => "delivered",
        (None, None) if is_in || *delivery == CallDelivery::Collecting => "accepted",
        // Not in the file, and no later one has more sellers.
        (None, None) => "ended",
    }
}

/// Whether a place of it can be accepted, as far as the log knows.
pub(super) fn takes_acceptances(row: &CallRow, now_s: u64) -> bool {
    let is_open = matches!(row.state, CallState::Open { .. }) && now_s < row.deliver_by_s;
    // Files only lose sellers.
    is_open && row.delivery == CallDelivery::Collecting
}

pub(super) fn cohort_in(row: &CallRow) -> Result<Cohort, CallsError> {
    let damaged = |error| JournalError::Damaged(format!("call {}: {error}", row.id));
    Ok(serde_json::from_slice(&row.document).map_err(damaged)?)
}

pub(super) fn dataset_in(row: &CallRow) -> Result<Dataset, CallsError> {
    let damaged = |error| JournalError::Damaged(format!("call {}: {error}", row.id));
    Ok(Dataset::parse(&row.dataset).map_err(damaged)?)
}

fn card(row: &CallRow) -> Result<CallCard, CallsError> {
    let dataset = dataset_in(row)?;
    let scopes = dataset.scopes().iter();
    let mut types: Vec<String> =
        scopes.map(|scope| scope.resource().unwrap_or("*").to_owned()).collect();
    types.sort();
    types.dedup();
    Ok(CallCard {
        id: row.id,
        heard_ms: row.heard_ms,
        cohort: cohort_in(row)?,
        dataset: String::from_utf8_lossy(&row.dataset).into_owned(),
        types,
    })
}
