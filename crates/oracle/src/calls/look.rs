//! All that a step of a delivery is judged by, read anew before each.

use super::listing::{cohort_in, dataset_in};
use super::stand::Stood;
use super::trade::Standing as AtBlock;
use super::{Calls, CallsError};
use alloy_primitives::{Address, B256};
use medtrail_ledger::directory::{AcceptanceRow, CallDelivery, CallRow};
use medtrail_ledger::plan::{Anchor, Call, IntentState};
use medtrail_ledger::ports::Tips;
use medtrail_market::cohort::delivery::{OnChain, Seen, Seller, Standing, fault};
use medtrail_permit::dataset::Form;
use medtrail_permit::sale::Cohort;
use std::collections::{BTreeMap, BTreeSet};

/// A call at both ends of what can still change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ends {
    pub(super) at_final: AtBlock,
    pub(super) at_head: AtBlock,
}

/// What was seen, and what is needed of it to do the next step.
pub(super) struct Looked {
    pub(super) seen: Seen,
    /// The anchor under which entries count; final, and the contract still knows it.
    pub(super) anchor: Option<Anchor>,
    /// Acceptances for whose sellers somebody else acts by now.
    pub(super) moved: BTreeSet<B256>,
}

impl Calls {
    pub(super) fn ends(&self, id: B256, tips: &Tips) -> Result<Ends, CallsError> {
        let at = |block| self.0.trade.standing(id, block);
        let at_final = at(tips.finalized.block.hash)?;
        let at_head = match tips.head.block == tips.finalized.block {
            true => at_final,
            false => at(tips.head.block.hash)?,
        };
        Ok(Ends { at_final, at_head })
    }

    pub(super) fn look(
        &self,
        row: &CallRow,
        ends: &Ends,
        tips: &Tips,
    ) -> Result<Looked, CallsError> {
        let (cohort, dataset) = (cohort_in(row)?, dataset_in(row)?);
        let windows = &self.0.sales.rules().windows;
        let Ends { at_final, at_head } = *ends;
        // Of two clocks the later: one that is slow would show the key too late.
        let now_s = (self.now_ms() / 1000).max(tips.head.time_s);
        let margin_s = self.0.margin_s;
        let mut looked = Looked {
            seen: Seen {
                now_s,
                final_s: Some(tips.finalized.time_s),
                deliver_by_s: cohort.deliverBy,
                grace_s: cohort.grace,
                margin_s,
                places: cohort.places,
                at_final: Some(at_final.on_chain),
                at_head: Some(at_head.on_chain),
                fault: fault(&cohort, &dataset, windows, at_final.opened_at_s),
                is_kept: self.is_kept(row)?,
                sellers: Vec::new(),
            },
            anchor: None,
            moved: BTreeSet::new(),
        };
        let rows = self.concerned(row);
        let is_waiting = row.delivery == CallDelivery::Collecting
            && rows.len() < cohort.places as usize
            && now_s < cohort.deliverBy.saturating_sub(margin_s);
        if is_waiting || row.delivery.is_done() {
            return Ok(looked);
        }
        looked.anchor = self.anchor_at(tips.head.block.hash)?;
        let sent = self.sent(row)?;
        let barred = match row.delivery.is_shown() {
            true => BTreeSet::new(),
            false => self.barred(&rows, dataset.form())?,
        };
        for (id, one) in &rows {
            let Some(one) = one else {
                looked.seen.sellers.push(gone(*id));
                continue;
            };
            let (seller, has_moved) = self.seller(row, one, ends, tips, looked.anchor.as_ref())?;
            if has_moved {
                looked.moved.insert(*id);
            }
            let (is_barred, is_sent) = (barred.contains(id), sent.contains(id));
            looked.seen.sellers.push(Seller { is_barred, is_sent, ..seller });
        }
        if !row.delivery.is_shown() {
            let sellers = &mut looked.seen.sellers;
            let stands = |seller: &Seller| {
                !seller.is_barred && matches!(seller.standing, Standing::Sure | Standing::Unsure)
            };
            // Only of those who could be in it: one address that said no leaves the other.
            let standing = rows.iter().zip(sellers.iter()).filter(|(_, seller)| stands(seller));
            let standing = standing.filter_map(|((_, one), _)| one.as_ref());
            let twice = self.twice(&cohort, standing);
            sellers.iter_mut().for_each(|one| one.is_barred |= twice.contains(&one.acceptance));
        }
        Ok(looked)
    }

    /// Those of the file or, before there is one, all who have a place, by place. None: erased.
    fn concerned(&self, row: &CallRow) -> Vec<(B256, Option<AcceptanceRow>)> {
        let rows = self.service().0.live.rows();
        if row.delivery == CallDelivery::Collecting {
            let living = rows.board.acceptances_of(row.id).filter(|one| one.withdrawn_ms.is_none());
            let mut living: Vec<AcceptanceRow> = living.cloned().collect();
            living.sort_by_key(|one| (one.place, one.id));
            return living.into_iter().map(|one| (one.id, Some(one))).collect();
        }
        let of = |id: &B256| (*id, rows.board.acceptance(*id).cloned());
        row.delivery.sellers().iter().map(of).collect()
    }

    fn seller(
        &self,
        row: &CallRow,
        one: &AcceptanceRow,
        ends: &Ends,
        tips: &Tips,
        anchor: Option<&Anchor>,
    ) -> Result<(Seller, bool), CallsError> {
        let lock = row.delivery.file().map(|(key, ..)| key.lock);
        let delivered = one.delivered.filter(|delivered| Some(delivered.lock) == lock);
        let is_paid_at = |at: &AtBlock, block| -> Result<bool, CallsError> {
            if at.settled_at_s.is_none() {
                return Ok(false);
            }
            Ok(self.0.trade.paid_place(row.id, one.seller, block)?.is_some())
        };
        let is_paid_at_final =
            one.is_paid || is_paid_at(&ends.at_final, tips.finalized.block.hash)?;
        let is_paid_at_head = is_paid_at_final || is_paid_at(&ends.at_head, tips.head.block.hash)?;
        let bound_at_s = match ends.at_head.on_chain {
            OnChain::Open { is_bound: true } => ends.at_head.settled_at_s,
            _ => None,
        };
        let stood = match is_paid_at_head {
            // Of who is paid nothing is asked any more.
            true => Stood { standing: Standing::Sure, has_moved: false },
            false => self.stood(one, bound_at_s, tips.head.block.hash)?,
        };
        let seller = Seller {
            acceptance: one.id,
            place: one.place,
            seller: one.seller,
            standing: stood.standing,
            is_barred: false,
            entered: delivered.map(|delivered| delivered.file),
            is_anchored: delivered
                .is_some_and(|one| anchor.is_some_and(|anchor| one.index < anchor.size)),
            is_sent: false,
            is_paid_at_head,
            is_paid_at_final,
        };
        Ok((seller, stood.has_moved))
    }

    /// The newest anchor that is final, if the contract still knows it.
    fn anchor_at(&self, head: B256) -> Result<Option<Anchor>, CallsError> {
        let Some(anchor) = self.service().final_anchor_over(0)? else { return Ok(None) };
        let log = self.service().trust().log;
        let is_living = self.0.sales.trade().is_living(log, &anchor, head)?;
        Ok(is_living.then_some(anchor))
    }

    /// Claims that were sent, until it is final what became of them. One that failed counts: it is
    /// known then whether that was a wallet's doing, and whoever causes it pays with their time.
    fn sent(&self, row: &CallRow) -> Result<BTreeSet<B256>, CallsError> {
        let mut sent = BTreeSet::new();
        if !row.delivery.is_shown() {
            return Ok(sent);
        }
        for intent in self.service().0.outbox.load()?.intents {
            let is_over = matches!(intent.state, IntentState::Final(_));
            if let (Call::SettleMany { call, claims, .. }, false) = (intent.call, is_over)
                && call == row.id
            {
                sent.extend(claims);
            }
        }
        Ok(sent)
    }

    /// Whom the log says no to, whatever stands on the chain.
    fn barred(
        &self,
        rows: &[(B256, Option<AcceptanceRow>)],
        form: Form,
    ) -> Result<BTreeSet<B256>, CallsError> {
        let mut barred = BTreeSet::new();
        for one in rows.iter().filter_map(|(_, one)| one.as_ref()) {
            let person = self.0.sales.person_of(one.seller);
            let is_allowed = self.0.sales.rules().of(&one.country).allows(form);
            let says_no = self.says_no(one) || !is_allowed;
            if says_no || self.0.sales.is_guarded(person).map_err(CallsError::from)? {
                barred.insert(one.id);
            }
        }
        Ok(barred)
    }

    pub(super) fn says_no(&self, one: &AcceptanceRow) -> bool {
        let person = self.0.sales.person_of(one.seller);
        one.withdrawn_ms.is_some() || self.0.sales.has_opted_out(person)
    }

    /// Of several that are one person's all but that of the lowest place, and the buyer's own: two
    /// addresses may have been joined since.
    pub(super) fn twice<'a>(
        &self,
        cohort: &Cohort,
        rows: impl IntoIterator<Item = &'a AcceptanceRow>,
    ) -> Vec<B256> {
        let buyer = self.0.sales.person_of(cohort.buyer);
        let mut persons: BTreeMap<Address, &AcceptanceRow> = BTreeMap::new();
        let mut twice = Vec::new();
        for row in rows {
            let person = self.0.sales.person_of(row.seller);
            if person == buyer {
                twice.push(row.id);
                continue;
            }
            match persons.get(&person) {
                Some(known) if known.place <= row.place => twice.push(row.id),
                Some(known) => {
                    twice.push(known.id);
                    persons.insert(person, row);
                }
                None => _ = persons.insert(person, row),
            }
        }
        twice
    }
}

/// Of whom nothing is known any more: the seller was erased. Their data get into no other file, and
/// nobody else waits for them.
fn gone(acceptance: B256) -> Seller {
    Seller {
        acceptance,
        place: u32::MAX,
        seller: Address::ZERO,
        standing: Standing::Ended,
        is_barred: true,
        entered: None,
        is_anchored: false,
        is_sent: false,
        is_paid_at_head: false,
        is_paid_at_final: false,
    }
}
