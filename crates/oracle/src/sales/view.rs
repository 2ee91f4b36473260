//! How a sale looks to its two sides. Nobody else sees that there is one.

use super::catalogue::Ended;
use super::deliver::refusal_word;
use super::orders::order_in;
use super::{Ends, Sales, SalesError, locked};
use alloy_primitives::{Address, B256};
use medtrail_ledger::directory::{SaleRow, SaleState, SealedFile};
use medtrail_ledger::ports::Tips;
use medtrail_ledger::proof::{Document, Proof};
use medtrail_market::delivery::OnChain;
use medtrail_permit::sale::Order;

/// Sales that are shown at once.
const PAGE_MAX: usize = 100;

/// Which side of a sale.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// It is the caller's data.
    Seller,
    /// The caller pays.
    Buyer,
}

/// A sale, as it looks to one side.
#[derive(Clone, PartialEq, Debug)]
pub struct SaleView {
    /// The row.
    pub row: SaleRow,
    /// The order.
    pub order: Order,
    /// The description of the dataset.
    pub dataset: String,
    /// Whose view.
    pub side: Side,
    /// In one word.
    pub state: &'static str,
    /// Why it is not delivered.
    pub refusal: Option<&'static str>,
    /// The seller said yes: by a signature that is kept, or on chain.
    pub is_approved: bool,
    /// When it was paid.
    pub paid_at_s: Option<u64>,
    /// When it was settled or refunded.
    pub ended_at_s: Option<u64>,
    /// When the seller ended access.
    pub revoked_at_s: Option<u64>,
    /// The file and its entry's place.
    pub delivery: Option<(SealedFile, u64)>,
    /// SHA-256 of the key.
    pub lock: Option<B256>,
    /// An anchor that is final covers the entry.
    pub is_anchored: bool,
    /// What opens the outer seal, once the chain shows it to everybody.
    pub key: Option<B256>,
}

impl Sales {
    /// A sale, for its seller or buyer.
    ///
    /// # Errors
    /// [`SalesError::NoSuchSale`] for everybody else.
    pub async fn sale(&self, who: Address, id: B256) -> Result<SaleView, SalesError> {
        self.blocking(move |sales| sales.view_for(who, id)).await
    }

    /// The sales of somebody, newest first, and where the next page begins.
    pub async fn sales_of(
        &self,
        who: Address,
        side: Option<Side>,
        before: Option<Ended>,
        limit: usize,
    ) -> Result<(Vec<SaleView>, Option<Ended>), SalesError> {
        self.blocking(move |sales| {
            let limit = limit.clamp(1, PAGE_MAX);
            let mut found: Vec<Ended> = Vec::new();
            for name in sales.names_of(who) {
                let rows = sales.0.service.0.live.rows();
                let of = rows.stall.sales_of(name).filter(|row| {
                    let own = if row.seller == name { Side::Seller } else { Side::Buyer };
                    side.is_none_or(|side| side == own)
                        && before.is_none_or(|before| (row.heard_ms, row.id) < before)
                });
                found.extend(of.take(limit + 1).map(|row| (row.heard_ms, row.id)));
            }
            found.sort_unstable_by(|one, other| other.cmp(one));
            found.dedup();
            let next = found.get(limit - 1).copied().filter(|_| found.len() > limit);
            found.truncate(limit);
            let views = found.into_iter().map(|(_, id)| sales.view_for(who, id));
            Ok((views.collect::<Result<_, _>>()?, next))
        })
        .await
    }

    /// The proof of a delivery's entry, with its details, for both sides.
    ///
    /// # Errors
    /// [`SalesError::NoFile`] before there is a delivery; as for any proof before an anchor.
    pub async fn proof(&self, who: Address, id: B256) -> Result<Proof, SalesError> {
        self.blocking(move |sales| {
            let (row, _) = sales.rows_for(who, id)?;
            let Some((_, Some(index))) = row.state.file() else { return Err(SalesError::NoFile) };
            let service = &sales.0.service;
            let details = service.entry(index)?.details;
            let details = details.as_deref().map(Document::of);
            Ok(Proof { details, ..service.proof(index)? })
        })
        .await
    }

    /// An order at both ends.
    pub(super) fn ends(&self, id: B256, tips: &Tips) -> Result<Ends, SalesError> {
        let at = |block| self.0.trade.standing(id, block);
        let at_final = at(tips.finalized.block.hash)?;
        let at_head = match tips.head.block == tips.finalized.block {
            true => at_final,
            false => at(tips.head.block.hash)?,
        };
        let ends = Ends { at_final, at_head };
        Ok(ends)
    }

    pub(super) fn view_for(&self, who: Address, id: B256) -> Result<SaleView, SalesError> {
        let (row, offer) = self.rows_for(who, id)?;
        let known = locked(&self.0.seen).get(&id).copied().filter(|_| !row.state.is_done());
        let ends = match known {
            Some(ends) => ends,
            None => self.ends(id, &self.0.trade.tips()?)?,
        };
        let order = order_in(&row)?;
        let side = if who == row.buyer { Side::Buyer } else { Side::Seller };
        let is_approved = row.approval.is_some() || ends.at_head.approved_at_s.is_some();
        let delivery = row.state.file().and_then(|(file, index)| Some((file, index?)));
        let key = match row.state {
            SaleState::Settled { .. } => Some(self.lock_key(id)?),
            _ => None,
        };
        let lock = match delivery {
            Some((_, index)) => Some(self.0.service.entry(index)?.report.fromVersion),
            None => None,
        };
        let is_anchored = match delivery {
            Some((_, index)) => self.0.service.final_anchor_over(index)?.is_some(),
            None => false,
        };
        let (state, refusal) = state_of(&row, &ends, is_approved);
        Ok(SaleView {
            dataset: String::from_utf8_lossy(&offer.dataset).into_owned(),
            order,
            side,
            state,
            refusal,
            is_approved,
            paid_at_s: Some(ends.at_head.paid_at_s).filter(|at_s| *at_s != 0),
            ended_at_s: ends.at_head.ended_at_s,
            revoked_at_s: ends.at_head.revoked_at_s,
            delivery,
            lock,
            is_anchored,
            key,
            row,
        })
    }
}

fn state_of(row: &SaleRow, ends: &Ends, is_approved: bool) -> (&'static str, Option<&'static str>) {
    let refusal = match row.state {
        SaleState::Refusing { refusal } | SaleState::Over { refusal } => {
            Some(refusal_word(refusal))
        }
        _ => None,
    };
    let state = match (&row.state, ends.at_final.on_chain) {
        (_, OnChain::Settled) => "settled",
        (_, OnChain::Refunded) => "refunded",
        (SaleState::Refusing { .. } | SaleState::Over { .. }, _) => "over",
        (_, OnChain::None) => "seen",
        (SaleState::Shown { .. } | SaleState::Settled { .. }, _) => "settling",
        (SaleState::Entered { .. }, _) => "delivered",
        _ if row.declined_ms.is_some() => "over",
        _ if is_approved => "preparing",
        _ => "waiting",
    };
    (state, refusal)
}
