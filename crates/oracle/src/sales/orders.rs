//! Orders: found on the chain or told of, what a seller says to them, and how they look to both
//! sides.

use super::deliver::{key_of, refusal_word};
use super::offers::{dataset_in, offer_in};
use super::trade::Bought;
use super::{Ends, Sales, SalesError, locked};
use alloy_primitives::{Address, B256, Bytes};
use medtrail_ledger::directory::{
    ApprovalRow, DirectoryChange, OfferRow, SaleRow, SaleState, SealedFile,
};
use medtrail_ledger::ports::{RegistryError, Tips};
use medtrail_ledger::proof::{Document, Proof};
use medtrail_market::delivery::OnChain;
use medtrail_permit::sale::{Order, SaleApproval, check};

/// Blocks that are read at once: what public nodes answer.
const BLOCKS_AT_ONCE: u64 = 2_000;
/// Sellers that are asked about at once.
const SELLERS_AT_ONCE: usize = 200;
/// Reads of the chain in one tick: after a long break it catches up over several.
const READS_A_TICK: usize = 32;
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

/// A seller's yes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Approved {
    /// The document.
    pub approval: SaleApproval,
    /// By who acts for the seller.
    pub signature: Bytes,
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
    /// Reads on from where the market was read to, up to the final block: each order of an offer
    /// that stands here is taken in. The cursor and what was found are durable together.
    pub(super) fn follow(&self, tips: &Tips) -> Result<(), SalesError> {
        let live = &self.0.service.0.live;
        let finalized = tips.finalized.block.number;
        let Some(mut read) = live.rows().stall.traded else {
            // Nothing could be bought of offers that were not listed yet.
            live.apply(vec![DirectoryChange::Traded(finalized)])?;
            return Ok(());
        };
        for _ in 0..READS_A_TICK {
            if read >= finalized {
                break;
            }
            let last = finalized.min(read + BLOCKS_AT_ONCE);
            let sellers = live.rows().stall.sellers_at(0);
            let mut found = Vec::new();
            for some in sellers.chunks(SELLERS_AT_ONCE) {
                found.extend(self.0.trade.bought(some, read + 1..=last)?);
            }
            let _act = live.begin()?;
            let mut changes = Vec::new();
            for bought in found {
                changes.extend(self.row_of(&bought)?.map(DirectoryChange::PutSale));
            }
            changes.push(DirectoryChange::Traded(last));
            live.apply(changes)?;
            read = last;
        }
        Ok(())
    }

    /// The row of an order that an event tells of; none if it is known, or of no offer that stands
    /// here.
    fn row_of(&self, bought: &Bought) -> Result<Option<SaleRow>, SalesError> {
        let rows = self.0.service.0.live.rows();
        if rows.stall.sale(bought.order).is_some() {
            return Ok(None);
        }
        let Some(offer) = rows.stall.offer(bought.offer) else { return Ok(None) };
        let order = Order {
            offer: offer_in(offer)?,
            buyer: bought.buyer,
            recipient: bought.recipient,
            deliverBy: bought.deliver_by,
            grace: bought.grace,
            salt: bought.salt,
        };
        if order.id(&self.market()) != bought.order {
            return Err(RegistryError::Nonsense(format!("order {} is none", bought.order)).into());
        }
        Ok(Some(self.new_row(bought.order, offer, &order)))
    }

    fn new_row(&self, id: B256, offer: &OfferRow, order: &Order) -> SaleRow {
        SaleRow {
            id,
            offer: offer.id,
            seller: offer.seller,
            buyer: order.buyer,
            document: serde_json::to_vec(order).expect("an order is JSON"),
            heard_ms: self.now_ms(),
            approval: None,
            declined_ms: None,
            paid_at_s: None,
            paid_entry: None,
            ended_at_s: None,
            ended_entry: None,
            left_out: Vec::new(),
            withdrawal: None,
            state: SaleState::New,
        }
    }

    /// Takes in an order that somebody paid, before it is found at a final block.
    ///
    /// # Errors
    /// [`SalesError::NoSuchOffer`], [`SalesError::NotPaid`].
    pub async fn take(&self, who: Address, order: Order) -> Result<(SaleView, bool), SalesError> {
        self.blocking(move |sales| {
            let id = order.id(&sales.market());
            let live = &sales.0.service.0.live;
            let is_new = live.rows().stall.sale(id).is_none();
            if is_new {
                let offer = order.offer.id(&sales.market());
                let offer = live.rows().stall.offer(offer).cloned();
                let offer = offer.ok_or(SalesError::NoSuchOffer)?;
                let head = sales.0.trade.tips()?.head.block.hash;
                if sales.0.trade.standing(id, head)?.on_chain == OnChain::None {
                    return Err(SalesError::NotPaid);
                }
                let _act = live.begin()?;
                if live.rows().stall.sale(id).is_none() {
                    let row = sales.new_row(id, &offer, &order);
                    live.apply(vec![DirectoryChange::PutSale(row)])?;
                }
            }
            Ok((sales.view_for(who, id)?, is_new))
        })
        .await
    }

    /// A sale, for its seller or buyer.
    ///
    /// # Errors
    /// [`SalesError::NoSuchSale`] for everybody else.
    pub async fn sale(&self, who: Address, id: B256) -> Result<SaleView, SalesError> {
        self.blocking(move |sales| sales.view_for(who, id)).await
    }

    /// The sales of somebody, newest first, and the `before` of the next page.
    pub async fn sales_of(
        &self,
        who: Address,
        side: Option<Side>,
        before_ms: Option<u64>,
        limit: usize,
    ) -> Result<(Vec<SaleView>, Option<u64>), SalesError> {
        self.blocking(move |sales| {
            let limit = limit.clamp(1, PAGE_MAX);
            let mut found: Vec<(u64, B256)> = Vec::new();
            for name in sales.names_of(who) {
                let rows = sales.0.service.0.live.rows();
                let of = rows.stall.sales_of(name).filter(|row| {
                    let is_seller = sales_side(row, name) == Side::Seller;
                    side.is_none_or(|side| (side == Side::Seller) == is_seller)
                        && before_ms.is_none_or(|before_ms| row.heard_ms < before_ms)
                });
                found.extend(of.take(limit + 1).map(|row| (row.heard_ms, row.id)));
            }
            found.sort_unstable_by(|one, other| other.cmp(one));
            found.dedup();
            let next = found.get(limit - 1).filter(|_| found.len() > limit).map(|(at, _)| *at);
            found.truncate(limit);
            let views = found.into_iter().map(|(_, id)| sales.view_for(who, id));
            Ok((views.collect::<Result<_, _>>()?, next))
        })
        .await
    }

    /// Keeps the seller's signed yes, to be carried when it is settled.
    ///
    /// # Errors
    /// [`SalesError::Signature`]; [`SalesError::NoSuchSale`] if the approval's signature is good, but
    /// of no sale here.
    pub async fn approve(
        &self,
        who: Address,
        id: B256,
        approved: Approved,
    ) -> Result<SaleView, SalesError> {
        self.blocking(move |sales| {
            let (row, offer) = sales.rows_for(who, id)?;
            let order = order_in(&row)?;
            let Approved { approval, signature } = approved;
            check::approval(&approval, &order, &sales.market(), &dataset_in(&offer)?)?;
            let head = sales.0.trade.tips()?.head.block.hash;
            let digest = approval.id(&sales.market());
            if !sales.is_by_seller(row.seller, digest, &signature, head)? {
                return Err(SalesError::Signature);
            }
            let expires_at_s = approval.expiresAt;
            let approval = ApprovalRow { expires_at_s, signature };
            sales.change(id, |row| match row.state.is_done() || row.declined_ms.is_some() {
                true => Err(SalesError::TooLate),
                false => {
                    row.approval = Some(approval);
                    Ok(())
                }
            })?;
            sales.view_for(who, id)
        })
        .await
    }

    /// The seller's no, without a transaction: it is never delivered, and the buyer takes the money
    /// back after the deadline.
    ///
    /// # Errors
    /// [`SalesError::TooLate`] once the key may have been seen.
    pub async fn decline(&self, who: Address, id: B256) -> Result<SaleView, SalesError> {
        self.blocking(move |sales| {
            let (row, _) = sales.rows_for(who, id)?;
            if !sales.is_party(who, row.seller) {
                return Err(SalesError::NoSuchSale);
            }
            let now_ms = sales.now_ms();
            sales.change(id, |row| match row.state {
                SaleState::Shown { .. } | SaleState::Settled { .. } => Err(SalesError::TooLate),
                _ => {
                    row.declined_ms.get_or_insert(now_ms);
                    Ok(())
                }
            })?;
            sales.view_for(who, id)
        })
        .await
    }

    /// A piece of the sealed file, for its buyer: `(bytes from `offset` on, file)`. The trail has the
    /// line that says so when this returns.
    ///
    /// # Errors
    /// [`SalesError::NoFile`] before the log has the delivery, and where the file is gone.
    pub async fn download(&self, who: Address, id: B256) -> Result<SealedFile, SalesError> {
        self.blocking(move |sales| {
            let (row, _) = sales.rows_for(who, id)?;
            if row.buyer != who {
                return Err(SalesError::NoSuchSale);
            }
            let file = match row.state.file() {
                Some((file, Some(_))) => file,
                _ => return Err(SalesError::NoFile),
            };
            if sales.0.parcels.bytes(id)? != Some(file.bytes) {
                return Err(SalesError::NoFile);
            }
            sales.note_download(&row, file.hash)?;
            Ok(file)
        })
        .await
    }

    /// Bytes of a file that [`Self::download`] let somebody have.
    pub async fn piece(&self, id: B256, offset: u64, most: usize) -> Result<Vec<u8>, SalesError> {
        self.blocking(move |sales| Ok(sales.0.parcels.read(id, offset, most)?)).await
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

    /// The rows of a sale, for whoever is a side of it.
    pub(super) fn rows_for(
        &self,
        who: Address,
        id: B256,
    ) -> Result<(SaleRow, OfferRow), SalesError> {
        let rows = self.0.service.0.live.rows();
        let row = rows.stall.sale(id).cloned().ok_or(SalesError::NoSuchSale)?;
        let offer = rows.stall.offer(row.offer).cloned().ok_or(SalesError::NoSuchSale)?;
        drop(rows);
        match who == row.buyer || self.is_party(who, row.seller) {
            true => Ok((row, offer)),
            false => Err(SalesError::NoSuchSale),
        }
    }

    /// Changes a sale as it is now; durable when this returns.
    pub(super) fn change(
        &self,
        id: B256,
        change: impl FnOnce(&mut SaleRow) -> Result<(), SalesError>,
    ) -> Result<SaleRow, SalesError> {
        let live = &self.0.service.0.live;
        let _act = live.begin()?;
        let row = live.rows().stall.sale(id).cloned();
        let mut row = row.ok_or(SalesError::NoSuchSale)?;
        change(&mut row)?;
        live.apply(vec![DirectoryChange::PutSale(row.clone())])?;
        Ok(row)
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
        locked(&self.0.seen).insert(id, ends);
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
            SaleState::Settled { .. } => key_of(self.0.service.0.keys.as_ref(), id)?,
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
        let mut row = row;
        if side == Side::Buyer {
            // What else the seller has is not the buyer's to know.
            row.left_out.clear();
        }
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

fn sales_side(row: &SaleRow, name: Address) -> Side {
    if row.seller == name { Side::Seller } else { Side::Buyer }
}

pub(super) fn order_in(row: &SaleRow) -> Result<Order, SalesError> {
    let order = serde_json::from_slice(&row.document);
    Ok(order.map_err(|error| {
        medtrail_ledger::ports::JournalError::Damaged(format!("order {}: {error}", row.id))
    })?)
}

fn state_of(row: &SaleRow, ends: &Ends, is_approved: bool) -> (&'static str, Option<&'static str>) {
    let refusal = match row.state {
        SaleState::Over { refusal } => Some(refusal_word(refusal)),
        _ => None,
    };
    let state = match (&row.state, ends.at_final.on_chain) {
        (_, OnChain::Settled) => "settled",
        (_, OnChain::Refunded) => "refunded",
        (SaleState::Over { .. }, _) => "over",
        (_, OnChain::None) => "seen",
        (SaleState::Shown { .. } | SaleState::Settled { .. }, _) => "settling",
        (SaleState::Entered { .. }, _) => "delivered",
        _ if row.declined_ms.is_some() => "over",
        _ if is_approved => "preparing",
        _ => "waiting",
    };
    (state, refusal)
}
