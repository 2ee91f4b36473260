//! The way of a delivery: what [`medtrail_market::delivery::step`] asks for is done, one step after
//! the other, each durable before the next. A start is a tick like any other.

use super::offers::{dataset_in, told};
use super::orders::order_in;
use super::told::SaleAct;
use super::trade::Shown;
use super::{Ends, Sales, SalesError, locked};
use crate::anchorer::Problem;
use crate::opener::EntryError;
use crate::service::Service;
use alloy_primitives::{Address, B256};
use aws_lc_rs::hmac;
use medtrail_ledger::directory::{OfferRow, SaleRow, SaleState, SealedFile};
use medtrail_ledger::entry::{event_id, subject_of};
use medtrail_ledger::plan::{Anchor, Call};
use medtrail_ledger::ports::{JournalError, KeyFile, KeyTag, SecretKey, Tips};
use medtrail_market::archive;
use medtrail_market::assemble::{AssembleError, Sale, assemble};
use medtrail_market::delivery::{
    Alarm, Approval, Entered, OnChain, Refusal, Seen, State, Step, fault, step,
};
use medtrail_market::entry::{Delivered, DeliveryDetails, report};
use medtrail_market::seal::{LockKey, SealError, Sealed, seal};
use medtrail_market::secret::SaleSecret;
use medtrail_market::year_at;
use medtrail_permit::sale::Order;
use std::io::Write;

/// Seconds between two looks at sales that are not delivered and not refunded yet: nobody has to.
const DONE_PAUSE_S: u64 = 20;
/// Steps of one sale in one tick: more than a delivery has.
const STEPS_MAX: usize = 12;

/// What a sale's own key is made into. Each is 32 bytes that tell nothing of the others.
#[derive(Clone, Copy)]
enum Purpose {
    /// The outer seal's key, which the contract shows.
    Lock,
    /// What hides origins and moves dates.
    Secret,
    /// The random bytes in the entry's details.
    Details,
}

fn derived(key: &SecretKey, purpose: Purpose) -> [u8; 32] {
    let label: &[u8] = match purpose {
        Purpose::Lock => b"medtrail/sale/lock",
        Purpose::Secret => b"medtrail/sale/secret",
        Purpose::Details => b"medtrail/sale/details",
    };
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key.0), label);
    tag.as_ref().try_into().expect("HMAC-SHA-256 has 32 bytes")
}

/// The key of the outer seal of a sale, if there is one.
pub(super) fn key_of(keys: &dyn KeyFile, order: B256) -> Result<Option<B256>, JournalError> {
    let key = keys.open(KeyTag::Sale(order))?;
    Ok(key.map(|key| derived(&key, Purpose::Lock).into()))
}

/// Refusals as they are stored: a number never changes its meaning.
const REFUSALS: [(u8, Refusal, &str); 10] = [
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
];

fn number_of(refusal: Refusal) -> u8 {
    let found = REFUSALS.iter().find(|(_, known, _)| *known == refusal);
    found.map_or(0, |(number, ..)| *number)
}

pub(super) fn refusal_word(number: u8) -> &'static str {
    let found = REFUSALS.iter().find(|(known, ..)| *known == number);
    found.map_or("other", |(.., word)| *word)
}

fn refusal_of(number: u8) -> Refusal {
    let found = REFUSALS.iter().find(|(known, ..)| *known == number);
    found.map_or(Refusal::Documents, |(_, refusal, _)| *refusal)
}

fn state(row: &SaleRow) -> State {
    match row.state {
        SaleState::New => State::New,
        SaleState::Keyed { .. } => State::Keyed,
        SaleState::Sealed { file, .. } => State::Sealed { file: file.hash },
        SaleState::Entered { file, index } => State::Entered { file: file.hash, index },
        SaleState::Shown { file, index } => State::Shown { file: file.hash, index },
        SaleState::Settled { .. } => State::Settled,
        SaleState::Over { refusal } => State::Over(refusal_of(refusal)),
    }
}

impl Service {
    /// The newest anchor that is final and covers entry `index`. Blocks.
    pub(crate) fn final_anchor_over(&self, index: u64) -> Result<Option<Anchor>, JournalError> {
        let anchors = self.anchors()?;
        let newest = anchors.iter().rev().find(|record| record.is_final);
        Ok(newest.map(|record| record.anchor).filter(|anchor| anchor.size > index))
    }
}

impl Sales {
    /// One look at the market and at every sale that is under way, and what follows from it. To be
    /// called every few seconds. Blocks; one at a time.
    ///
    /// # Errors
    /// Where chain or disk cannot be read at all. What is in the way of one sale holds up no other.
    pub fn tick(&self) -> Result<(), SalesError> {
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
        let open: Vec<B256> = {
            let rows = self.0.service.0.live.rows();
            let open = rows.stall.open().filter(|row| looks_at_done || !row.state.is_done());
            open.map(|row| row.id).collect()
        };
        let mut first = None;
        for id in open {
            if let Err(error) = self.advance(id, &tips) {
                first.get_or_insert(Problem {
                    what: format!("sale {id}: {error}"),
                    advice: "nothing at first: it is tried again; if it lasts, check disk and chain",
                });
            }
        }
        let mut problem = locked(&self.0.problem);
        crate::behind::warn_once(problem.as_ref(), first.as_ref());
        *problem = first;
        Ok(())
    }

    fn advance(&self, id: B256, tips: &Tips) -> Result<(), SalesError> {
        let ends = self.ends(id, tips)?;
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
            let has_vanished = ends.at_final.on_chain == OnChain::None
                && order.settled_by().is_none_or(|until_s| until_s < tips.finalized.time_s);
            if has_vanished {
                // Its payment was reorganised away, and can come back no more.
                return self.refuse(id, Refusal::Late);
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
                (row.paid_at_s, row.paid_entry) = (Some(at_s), Some(index));
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
                (row.ended_at_s, row.ended_entry) = (Some(at_s), Some(index));
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

    /// The log's entry for this order.
    fn entered(&self, row: &SaleRow) -> Result<Option<Entered>, SalesError> {
        let service = &self.0.service;
        let event = event_id(service.operator(), row.id.as_slice());
        let Some(index) = service.find_own(subject_of(row.seller), event)? else {
            return Ok(None);
        };
        match service.entry(index) {
            Ok(entry) => Ok(Some(Entered { index, file: entry.report.toVersion })),
            // What was erased is known by its place.
            Err(EntryError::Erased(_)) => {
                let file = row.state.file().map(|(file, _)| file.hash).unwrap_or_default();
                Ok(Some(Entered { index, file }))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn key(&self, order: B256) -> Result<SecretKey, SalesError> {
        let key = self.0.service.0.keys.open(KeyTag::Sale(order))?;
        Ok(key.ok_or_else(|| JournalError::Damaged(format!("the key of sale {order} is gone")))?)
    }

    /// Moves a sale to where its state leads; what is elsewhere by now stays.
    fn to(
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

    /// Draws all that is random of a sale; durable before anything is made with it.
    fn draw(&self, row: &SaleRow) -> Result<(), SalesError> {
        self.0.service.0.keys.create(&[KeyTag::Sale(row.id)])?;
        let year = year_at(self.now_ms() / 1000);
        self.to(row.id, |_| Some(SaleState::Keyed { year }))
    }

    /// Assembles and seals; the file is durable before its hash is.
    fn make(&self, row: &SaleRow, offer: &OfferRow, order: &Order) -> Result<(), SalesError> {
        let (SaleState::Keyed { year } | SaleState::Sealed { year, .. }) = row.state else {
            return Ok(());
        };
        let (dataset, key) = (dataset_in(offer)?, self.key(row.id)?);
        let kept = self.0.vault.all_of(self.person_of(row.seller))?;
        let records: Vec<_> = kept.iter().map(|one| one.record()).collect();
        let secret = SaleSecret::new(derived(&key, Purpose::Secret));
        let sale = Sale { order: row.id, dataset: &dataset, secret: &secret, year };
        let made = match assemble(&sale, &records) {
            Ok(made) => made,
            Err(AssembleError::Nothing { .. } | AssembleError::TooMuch) => {
                return self.refuse(row.id, Refusal::Nothing);
            }
            Err(error) => return Err(JournalError::Damaged(error.to_string()).into()),
        };
        drop(records);
        drop(kept);
        let lock = LockKey::new(derived(&key, Purpose::Lock));
        let mut sealed: Option<Result<Sealed, SealError>> = None;
        self.0.parcels.put(row.id, &mut |to: &mut dyn Write| {
            let done = seal(order.recipient, &lock, to, |plain| archive::write(&made, plain));
            let outcome = match &done {
                Ok(_) => Ok(()),
                Err(error) => Err(std::io::Error::other(error.to_string())),
            };
            sealed = Some(done);
            outcome
        })?;
        let Some(Ok(Sealed { hash, bytes })) = sealed else {
            return Err(JournalError::Storage("nothing was sealed".to_owned()).into());
        };
        let manifest = made.manifest.hash();
        let file = SealedFile { hash, bytes, manifest, time_ms: self.now_ms() };
        let left_out = told(&made.left_out);
        self.change(row.id, |row| {
            row.state = SaleState::Sealed { year, file };
            row.left_out = left_out;
            Ok(())
        })?;
        Ok(())
    }

    fn details_of(&self, id: B256, file: &SealedFile) -> Result<DeliveryDetails, SalesError> {
        let random = derived(&self.key(id)?, Purpose::Details);
        Ok(DeliveryDetails::new(random.into(), file.manifest))
    }

    fn report_of(
        &self,
        row: &SaleRow,
        actor: Address,
        file: &SealedFile,
        details: &DeliveryDetails,
    ) -> Result<medtrail_ledger::schema::Report, SalesError> {
        let lock = LockKey::new(derived(&self.key(row.id)?, Purpose::Lock)).lock();
        let sealed = Sealed { hash: file.hash, bytes: file.bytes };
        Ok(report(&Delivered {
            log: self.0.service.trust().log,
            order: row.id,
            seller: row.seller,
            actor,
            time_ms: file.time_ms,
            lock,
            sealed,
            details,
        }))
    }

    /// Enters the delivery. A crash after it finds the entry by its event.
    fn enter(&self, row: &SaleRow) -> Result<(), SalesError> {
        let SaleState::Sealed { file, .. } = row.state else { return Ok(()) };
        let details = self.details_of(row.id, &file)?;
        let report = self.report_of(row, self.0.service.operator(), &file, &details)?;
        let index = self.0.service.enter_own(report, details.bytes())?;
        self.to(row.id, |_| Some(SaleState::Entered { file, index }))
    }

    /// Notes that the key may be seen, and has the settlement sent.
    fn settle(&self, row: &SaleRow, order: &Order, tips: &Tips) -> Result<(), SalesError> {
        let Some((file, Some(index))) = row.state.file() else { return Ok(()) };
        let service = &self.0.service;
        let Some(anchor) = service.final_anchor_over(index)? else { return Ok(()) };
        if !self.0.trade.is_living(service.trust().log, &anchor, tips.head.block.hash)? {
            return Ok(());
        }
        // Durable before anybody is shown it: from here on the buyer may have it.
        self.to(row.id, |state| match state {
            SaleState::Entered { .. } => Some(SaleState::Shown { file, index }),
            _ => None,
        })?;
        let entry = service.entry(index)?;
        let approval = row.approval.clone().map(|row| (row.expires_at_s, row.signature));
        let path = service.path(index, anchor.size)?;
        let data = self.0.trade.settle(&Shown {
            order,
            report: &entry.report,
            place: entry.place.hash(),
            key: derived(&self.key(row.id)?, Purpose::Lock).into(),
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

    /// Destroys what was made: file first, since the key alone opens nothing.
    fn refuse(&self, id: B256, refusal: Refusal) -> Result<(), SalesError> {
        self.0.parcels.remove(id)?;
        self.0.service.0.keys.destroy(KeyTag::Sale(id))?;
        self.to(id, |_| Some(SaleState::Over { refusal: number_of(refusal) }))
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
