//! Orders: found on the chain or told of, what a seller says to them, and how they look to both
//! sides.

use super::offers::{dataset_in, offer_in};
use super::trade::Bought;
use super::{SaleView, Sales, SalesError};
use alloy_primitives::{Address, B256, Bytes};
use medtrail_ledger::directory::{
    ApprovalRow, DirectoryChange, MarketCursor, OfferRow, SaleRow, SaleState, SealedFile,
};
use medtrail_ledger::ports::{RegistryError, Tips};
use medtrail_market::delivery::OnChain;
use medtrail_permit::sale::{Order, SaleApproval, check};

/// Blocks that are read at once: what public nodes answer.
const BLOCKS_AT_ONCE: u64 = 2_000;
/// Sellers that are asked about at once.
const SELLERS_AT_ONCE: usize = 200;
/// Reads of the chain in one tick: after a long break it catches up over several.
const READS_A_TICK: usize = 32;

/// A seller's yes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Approved {
    /// The document.
    pub approval: SaleApproval,
    /// By who acts for the seller.
    pub signature: Bytes,
}

impl Sales {
    /// Reads on from where the market was read to, up to the final block: each order of an offer
    /// that stands here is taken in. The cursor and what was found are durable together.
    pub(super) fn follow(&self, tips: &Tips) -> Result<(), SalesError> {
        let live = &self.0.service.0.live;
        let finalized =
            MarketCursor { block: tips.finalized.block.number, time_s: tips.finalized.time_s };
        let Some(mut read) = live.rows().stall.traded else {
            // Nothing could be bought of offers that were not listed yet.
            live.apply(vec![DirectoryChange::Traded(finalized)])?;
            return Ok(());
        };
        for _ in 0..READS_A_TICK {
            if read.block >= finalized.block {
                break;
            }
            let last = match finalized.block - read.block <= BLOCKS_AT_ONCE {
                true => finalized,
                // Of the blocks in between only the order is known: none is older than the last.
                false => MarketCursor { block: read.block + BLOCKS_AT_ONCE, ..read },
            };
            let sellers = live.rows().stall.sellers_at(read.time_s);
            let mut found = Vec::new();
            for some in sellers.chunks(SELLERS_AT_ONCE) {
                found.extend(self.0.trade.bought(some, read.block + 1..=last.block)?);
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
            paid_entry: None,
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
}

pub(super) fn order_in(row: &SaleRow) -> Result<Order, SalesError> {
    let order = serde_json::from_slice(&row.document);
    Ok(order.map_err(|error| {
        medtrail_ledger::ports::JournalError::Damaged(format!("order {}: {error}", row.id))
    })?)
}
