//! The way of a delivery: what [`medtrail_market::delivery::step`] asks for is done, one step after
//! the other, each durable before the next. A start is a tick like any other.

use super::offers::dataset_in;
use super::orders::order_in;
use super::told::SaleAct;
use super::trade::Shown;
use super::{Ends, Sales, SalesError, locked};
use crate::anchorer::Problem;
use crate::behind::warn_once;
use crate::refusals::Refusals;
use alloy_primitives::B256;
use medtrail_ledger::directory::{OfferRow, SaleRow, SaleState};
use medtrail_ledger::plan::Call;
use medtrail_ledger::ports::{JournalError, KeyTag, RegistryError, Tips};
use medtrail_market::delivery::{
    Alarm, Approval, OnChain, Refusal, Seen, State, Step, fault, step,
};
use medtrail_permit::sale::Order;

/// Seconds between two looks at sales that are not delivered and not refunded yet: nobody has to.
const DONE_PAUSE_S: u64 = 20;
/// Steps of one sale in one tick: more than a delivery has.
const STEPS_MAX: usize = 12;

const REFUSALS: Refusals<Refusal> = Refusals(&[
    (1, Refusal::Documents, "documents"),
    (2, Refusal::Recipient, "recipient"),
    (3, Refusal::Windows, "windows"),
    (4, Refusal::OptedOut, "opted-out"),
    (5, Refusal::Child, "child"),
    (6, Refusal::Withdrawn, "withdrawn"),
    (7, Refusal::NotApproved, "not-approved"),
    (8, Refusal::Nothing, "nothing"),
    (9, Refusal::Late, "late"),
    (10, Refusal::Refunded, "refunded"),
]);

pub(super) fn refusal_word(number: u8) -> &'static str {
    REFUSALS.word(number)
}

fn refusal_of(number: u8) -> Refusal {
    REFUSALS.refusal_of(number).unwrap_or(Refusal::Documents)
}

fn state(row: &SaleRow) -> State {
    match row.state {
        SaleState::New => State::New,
        SaleState::Keyed { .. } => State::Keyed,
        SaleState::Sealed { file, .. } => State::Sealed { file: file.hash },
        SaleState::Entered { file, index } => State::Entered { file: file.hash, index },
        SaleState::Shown { file, index } => State::Shown { file: file.hash, index },
        SaleState::Settled { .. } => State::Settled,
        SaleState::Refusing { refusal } | SaleState::Over { refusal } => {
            State::Over(refusal_of(refusal))
        }
    }
}

impl Sales {
    /// One look at the market and at every sale that is under way, and what follows from it. To be
    /// called every few seconds. Blocks; one at a time.
    ///
    /// # Errors
    /// Where chain or disk cannot be read at all. What is in the way of one sale holds up no other.
    pub fn tick(&self) -> Result<(), SalesError> {
        let looked = self.look_at_all();
        let problem = match &looked {
            Ok(problem) => problem.clone(),
            Err(error) => Some(Problem {
                what: format!("sales wait: {error}"),
                advice: "nothing at first: it is tried again; if it lasts, check disk and chain",
            }),
        };
        let mut known = locked(&self.0.delivering);
        warn_once(known.as_ref(), problem.as_ref());
        *known = problem;
        looked.map(drop)
    }

    /// What is in the way of the first sale that does not get on.
    fn look_at_all(&self) -> Result<Option<Problem>, SalesError> {
        let tips = self.0.trade.tips()?;
        self.follow(&tips)?;
        let now_s = self.now_ms() / 1000;
        let looks_at_done = {
            let mut looked_s = locked(&self.0.done_looked_s);
            let is_time = now_s.abs_diff(*looked_s) >= DONE_PAUSE_S;
            if is_time {
                *looked_s = now_s;
            }
            is_time
        };
        if looks_at_done {
            self.sweep()?;
        }
        let open: Vec<B256> = {
            let rows = self.0.service.0.live.rows();
            let open = rows.stall.open().filter(|row| looks_at_done || !row.state.is_done());
            open.map(|row| row.id).collect()
        };
        let mut first = None;
        for id in open {
            match self.advance(id, &tips) {
                Ok(()) => {}
                // The others would only wait for the same node.
                Err(error @ SalesError::ChainUnreadable(RegistryError::Unreachable(_))) => {
                    return Err(error);
                }
                Err(error) => _ = first.get_or_insert(Problem {
                    what: format!("sale {id}: {error}"),
                    advice: "nothing at first: it is tried again; if it lasts, check disk and chain",
                }),
            }
        }
        Ok(first)
    }

    /// Removes files of sales that are known no more: they were erased.
    fn sweep(&self) -> Result<(), SalesError> {
        for order in self.0.parcels.orders()? {
            if self.0.service.0.live.rows().stall.sale(order).is_none() {
                self.0.parcels.remove(order)?;
            }
        }
        let rows = self.0.service.0.live.rows();
        locked(&self.0.seen).retain(|order, _| rows.stall.is_open(*order));
        locked(&self.0.settling).retain(|order, _| rows.stall.is_open(*order));
        Ok(())
    }

    fn advance(&self, id: B256, tips: &Tips) -> Result<(), SalesError> {
        let ends = self.ends(id, tips)?;
        locked(&self.0.seen).insert(id, ends);
        for _ in 0..STEPS_MAX {
            let (row, offer) = {
                let rows = self.0.service.0.live.rows();
                let row = rows.stall.sale(id).cloned().ok_or(SalesError::NoSuchSale)?;
                let offer = rows.stall.offer(row.offer).cloned();
                (row, offer.ok_or(SalesError::NoSuchOffer)?)
            };
            self.note_chain(&row, &offer, &ends)?;
            self.note_withdrawal(id)?;
            let order = order_in(&row)?;
            if row.state.is_done() {
                locked(&self.0.settling).remove(&id);
                return Ok(());
            }
            if matches!(row.state, SaleState::Refusing { .. }) {
                self.destroy(id)?;
                continue;
            }
            let has_vanished = ends.at_final.on_chain == OnChain::None
                && order.settled_by().is_none_or(|until_s| until_s < tips.finalized.time_s);
            if has_vanished {
                // Its payment was reorganised away, and can come back no more.
                self.refuse(id, Refusal::Late)?;
                continue;
            }
            let seen = self.look(&row, &offer, &order, &ends, tips)?;
            let next = step(&state(&row), &seen);
            if next != Step::Settle {
                locked(&self.0.settling).remove(&id);
            }
            match next {
                Step::Wait => return Ok(()),
                Step::Alarm(alarm) => return Err(raised(alarm).into()),
                Step::Settle => return self.settle(&row, &order, tips),
                Step::Key => self.draw(&row)?,
                Step::Seal => self.make(&row, &offer, &order)?,
                Step::Enter => self.enter(&row)?,
                Step::Adopt(entered) => self.to(id, |state| match *state {
                    SaleState::Sealed { file, .. } => {
                        Some(SaleState::Entered { file, index: entered.index })
                    }
                    _ => None,
                })?,
                Step::Finish => self.to(id, |state| match *state {
                    SaleState::Shown { file, index } => Some(SaleState::Settled { file, index }),
                    _ => None,
                })?,
                Step::Refuse(refusal) => self.refuse(id, refusal)?,
            }
        }
        Ok(())
    }

    /// Enters what final blocks show: that it was paid, and how it ended.
    fn note_chain(&self, row: &SaleRow, offer: &OfferRow, ends: &Ends) -> Result<(), SalesError> {
        let Ends { at_final, .. } = ends;
        if at_final.on_chain == OnChain::None {
            return Ok(());
        }
        if row.paid_entry.is_none() {
            let at_s = at_final.paid_at_s;
            let index = self.tell(row, &offer.dataset, SaleAct::Paid, at_s)?;
            self.change(row.id, |row| {
                row.paid_entry = Some(index);
                Ok(())
            })?;
        }
        let act = match at_final.on_chain {
            OnChain::Settled => SaleAct::Settled,
            OnChain::Refunded => SaleAct::Refunded,
            OnChain::None | OnChain::Paid => return Ok(()),
        };
        if row.ended_entry.is_none() {
            let at_s = at_final.ended_at_s.unwrap_or_default();
            let index = self.tell(row, &offer.dataset, act, at_s)?;
            self.change(row.id, |row| {
                row.ended_entry = Some(index);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// All that a step is judged by.
    fn look(
        &self,
        row: &SaleRow,
        offer: &OfferRow,
        order: &Order,
        ends: &Ends,
        tips: &Tips,
    ) -> Result<Seen, SalesError> {
        let Ends { at_final, at_head } = *ends;
        let dataset = dataset_in(offer)?;
        let paid_at_s = at_final.paid_at_s;
        let was_withdrawn = |ms: u64| ms / 1000 < paid_at_s;
        let fault = match offer.withdrawn_ms {
            Some(ms) if was_withdrawn(ms) => Some(Refusal::Withdrawn),
            _ => fault(order, &dataset, &self.0.rules.windows, paid_at_s),
        };
        let person = self.person_of(row.seller);
        let entered = self.entered(row)?;
        let index = row.state.file().and_then(|(_, index)| index);
        let anchor = match index {
            Some(index) => self.0.service.final_anchor_over(index)?,
            None => None,
        };
        let is_anchored = match anchor {
            Some(anchor) => {
                let log = self.0.service.trust().log;
                self.0.trade.is_living(log, &anchor, tips.head.block.hash)?
            }
            None => false,
        };
        Ok(Seen {
            // Of two clocks the later: one that is slow would show the key too late.
            now_s: (self.now_ms() / 1000).max(tips.head.time_s),
            deliver_by_s: order.deliverBy,
            grace_s: order.grace,
            at_final: Some(at_final.on_chain),
            at_head: Some(at_head.on_chain),
            fault,
            approval: self.approval(row, order, ends, tips)?,
            opted_out: self.has_opted_out(person),
            is_child: self.is_guarded(person)?,
            entered,
            is_anchored,
            is_kept: self.0.parcels.bytes(row.id)?.is_some(),
        })
    }

    /// Of the seller's consent, as it is at the head.
    fn approval(
        &self,
        row: &SaleRow,
        order: &Order,
        ends: &Ends,
        tips: &Tips,
    ) -> Result<Approval, SalesError> {
        if row.declined_ms.is_some() {
            return Ok(Approval::Withdrawn);
        }
        if ends.at_final.approved_at_s.is_some() {
            return Ok(Approval::Given);
        }
        let head = tips.head.block.hash;
        if ends.at_head.approved_at_s.is_some() {
            return Ok(Approval::Waiting);
        }
        let is_stopped = !self.0.trade.is_open(&order.offer, head)?
            || self.is_frozen(row.seller, &self.chain_of(row.seller)?);
        if is_stopped {
            return Ok(Approval::Withdrawn);
        }
        let Some(approval) = &row.approval else { return Ok(Approval::Waiting) };
        let document = order.approval(&self.market(), approval.expires_at_s);
        let digest = document.id(&self.market());
        let lasts = order.settled_by().is_some_and(|until| approval.expires_at_s >= until);
        match lasts && self.is_by_seller(row.seller, digest, &approval.signature, head)? {
            true => Ok(Approval::Given),
            // Of a key that lost control meanwhile: another approval may come.
            false => Ok(Approval::Waiting),
        }
    }

    /// Moves a sale to where its state leads; what is elsewhere by now stays.
    pub(super) fn to(
        &self,
        id: B256,
        next: impl FnOnce(&SaleState) -> Option<SaleState>,
    ) -> Result<(), SalesError> {
        self.change(id, |row| {
            if let Some(next) = next(&row.state) {
                row.state = next;
            }
            Ok(())
        })?;
        Ok(())
    }

    /// Notes that the key may be seen, and has the settlement sent.
    fn settle(&self, row: &SaleRow, order: &Order, tips: &Tips) -> Result<(), SalesError> {
        let Some((file, Some(index))) = row.state.file() else { return Ok(()) };
        let service = &self.0.service;
        let Some(anchor) = service.final_anchor_over(index)? else { return Ok(()) };
        if !self.0.trade.is_living(service.trust().log, &anchor, tips.head.block.hash)? {
            return Ok(());
        }
        // Durable before anybody is shown it: from here on the buyer may have it. A no that was taken
        // since this was looked at counts, and the next tick says so.
        let person = self.person_of(row.seller);
        let row = self.change(row.id, |row| {
            let is_stopped = row.declined_ms.is_some() || self.has_opted_out(person);
            if matches!(row.state, SaleState::Entered { .. }) && !is_stopped {
                row.state = SaleState::Shown { file, index };
            }
            Ok(())
        })?;
        if !matches!(row.state, SaleState::Shown { .. }) {
            return Ok(());
        }
        let entry = service.entry(index)?;
        let approval = row.approval.clone().map(|row| (row.expires_at_s, row.signature));
        let path = service.path(index, anchor.size)?;
        let data = self.0.trade.settle(&Shown {
            order,
            report: &entry.report,
            place: entry.place.hash(),
            key: self.lock_key(row.id)?,
            anchor,
            index,
            path: path.into_iter().map(B256::from).collect(),
            approval,
        });
        let market = self.market().data_market;
        let call = Call::Settle { market, order: row.id, data };
        locked(&self.0.settling).insert(row.id, call);
        Ok(())
    }

    /// Ends a sale, and then destroys what was made for it.
    pub(super) fn refuse(&self, id: B256, refusal: Refusal) -> Result<(), SalesError> {
        self.to(id, |_| Some(SaleState::Refusing { refusal: REFUSALS.number_of(refusal) }))
    }

    /// File first: the key alone opens nothing. A crash in between does it again.
    fn destroy(&self, id: B256) -> Result<(), SalesError> {
        self.0.parcels.remove(id)?;
        self.0.service.0.keys.destroy(KeyTag::Sale(id))?;
        self.to(id, |state| match *state {
            SaleState::Refusing { refusal } => Some(SaleState::Over { refusal }),
            _ => None,
        })
    }
}

fn raised(alarm: Alarm) -> JournalError {
    JournalError::Damaged(match alarm {
        Alarm::OtherFile => "the log names another file than the one that is kept".to_owned(),
        Alarm::FileLost => "the file that the log names is gone".to_owned(),
        Alarm::SettledByOthers => {
            "it was settled with a key that was never shown here: who else has this log's keys?"
                .to_owned()
        }
    })
}
