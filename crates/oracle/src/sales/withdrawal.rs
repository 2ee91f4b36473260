//! After a sale: its seller wants what was delivered deleted. The buyer is told, and signs that it
//! is, or their silence is an entry. Nothing here can make anybody delete.

use super::orders::order_in;
use super::told::SaleAct;
use super::{SaleView, Sales, SalesError};
use alloy_primitives::{Address, B256, Bytes};
use medtrail_ledger::directory::{SaleRow, SaleState, SaleWithdrawalRow};
use medtrail_ledger::signature;
use medtrail_permit::sale::Deletion;
use serde_json::json;

/// How long a buyer has to answer: a month (GDPR Art. 12(3)) as 30 days.
pub const WITHDRAWAL_MS: u64 = 30 * 24 * 3_600_000;

/// What a buyer says to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Deleted {
    /// The document.
    pub deletion: Deletion,
    /// By the buyer.
    pub signature: Bytes,
}

impl Sales {
    /// The seller wants what was delivered deleted. Once for a sale; the same again changes nothing.
    ///
    /// # Errors
    /// [`SalesError::NotDelivered`] before the key was shown: `decline` is what ends it then.
    pub async fn withdraw_sale(&self, who: Address, id: B256) -> Result<SaleView, SalesError> {
        self.blocking(move |sales| {
            let (row, _) = sales.rows_for(who, id)?;
            if !sales.is_party(who, row.seller) {
                return Err(SalesError::NoSuchSale);
            }
            let asked_ms = sales.now_ms();
            let due_ms = asked_ms + sales.0.rules.withdrawal_ms;
            sales.change(id, |row| match row.state {
                SaleState::Shown { .. } | SaleState::Settled { .. } => {
                    row.withdrawal.get_or_insert(SaleWithdrawalRow {
                        asked_ms,
                        due_ms,
                        asked_entry: None,
                        deletion: None,
                        ended_entry: None,
                    });
                    Ok(())
                }
                _ => Err(SalesError::NotDelivered),
            })?;
            sales.note_withdrawal(id)?;
            sales.view_for(who, id)
        })
        .await
    }

    /// The buyer's word that it is deleted; also after the time was over, which the entry of their
    /// silence then stands before.
    ///
    /// # Errors
    /// [`SalesError::Signature`]; [`SalesError::NotAsked`] where nobody asked.
    pub async fn deleted(
        &self,
        who: Address,
        id: B256,
        deleted: Deleted,
    ) -> Result<SaleView, SalesError> {
        self.blocking(move |sales| {
            let (row, _) = sales.rows_for(who, id)?;
            if row.buyer != who {
                return Err(SalesError::NoSuchSale);
            }
            let Deleted { deletion, signature: bytes } = deleted;
            let market = sales.market();
            if deletion != Deletion::of(&order_in(&row)?, &market, deletion.deletedAt) {
                let rule = "the statement of this order, by its buyer";
                return Err(SalesError::Field { field: "deletion", rule });
            }
            if deletion.deletedAt > sales.now_ms() / 1000 + 300 {
                let rule = "not in the future";
                return Err(SalesError::Field { field: "deletion.deletedAt", rule });
            }
            let digest = deletion.id(&market);
            let by = signature::parse(&bytes).and_then(|signature| signature.recover(digest));
            let head = sales.0.trade.tips()?.head.block.hash;
            if by != Ok(row.buyer) && !sales.0.trade.accepts(row.buyer, digest, &bytes, head)? {
                return Err(SalesError::Signature);
            }
            let text = json!({ "document": deletion, "signature": bytes }).to_string();
            sales.change(id, |row| match &mut row.withdrawal {
                None => Err(SalesError::NotAsked),
                Some(one) => {
                    if one.deletion.is_none() {
                        // Owed again, also after an entry of silence.
                        (one.deletion, one.ended_entry) = (Some(text.into_bytes()), None);
                    }
                    Ok(())
                }
            })?;
            sales.note_withdrawal(id)?;
            sales.view_for(who, id)
        })
        .await
    }

    /// Enters what is owed of a withdrawal; each once.
    pub(super) fn note_withdrawal(&self, id: B256) -> Result<(), SalesError> {
        let (row, offer) = {
            let rows = self.0.service.0.live.rows();
            let row = rows.stall.sale(id).cloned().ok_or(SalesError::NoSuchSale)?;
            let offer = rows.stall.offer(row.offer).cloned();
            (row, offer.ok_or(SalesError::NoSuchOffer)?)
        };
        let Some(one) = &row.withdrawal else { return Ok(()) };
        let dataset = &offer.dataset;
        if one.asked_entry.is_none() {
            let index = self.tell(&row, dataset, SaleAct::Withdrawn, one.asked_ms / 1000)?;
            self.put(id, |one| one.asked_entry = Some(index))?;
        }
        let now_ms = self.now_ms();
        if one.deletion.is_some() {
            let index = self.tell(&row, dataset, SaleAct::Deleted, now_ms / 1000)?;
            if one.ended_entry != Some(index) {
                self.put(id, |one| one.ended_entry = Some(index))?;
            }
        } else if now_ms >= one.due_ms && one.ended_entry.is_none() {
            let index = self.tell(&row, dataset, SaleAct::NotAnswered, one.due_ms / 1000)?;
            self.put(id, |one| one.ended_entry = Some(index))?;
        }
        Ok(())
    }

    fn put(
        &self,
        id: B256,
        put: impl FnOnce(&mut SaleWithdrawalRow),
    ) -> Result<SaleRow, SalesError> {
        self.change(id, |row| {
            if let Some(one) = &mut row.withdrawal {
                put(one);
            }
            Ok(())
        })
    }
}
