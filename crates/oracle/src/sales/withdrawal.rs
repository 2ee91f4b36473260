//! After a sale: its seller wants what was delivered deleted. The buyer is told, and signs that it
//! is, or their silence is an entry. Nothing here can make anybody delete.

use super::orders::order_in;
use super::told::SaleAct;
use super::{SaleView, Sales, SalesError, locked};
use alloy_primitives::{Address, B256, Bytes};
use medtrail_ledger::directory::{SaleState, WithdrawalLine, WithdrawalRow};
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
            let asked = sales.asked_now();
            sales.change(id, |row| match row.state {
                SaleState::Shown { .. } | SaleState::Settled { .. } => {
                    row.withdrawal.get_or_insert(asked);
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
            let market = sales.market();
            let own = Deletion::of(&order_in(&row)?, &market, deleted.deletion.deletedAt);
            let text = sales.said_deleted(&deleted, &own, own.id(&market))?;
            sales.change(id, |row| match &mut row.withdrawal {
                None => Err(SalesError::NotAsked),
                Some(one) => {
                    one.answer(text);
                    Ok(())
                }
            })?;
            sales.note_withdrawal(id)?;
            sales.view_for(who, id)
        })
        .await
    }

    /// That deletion is asked for now, and until when the buyer has time.
    pub(crate) fn asked_now(&self) -> WithdrawalRow {
        WithdrawalRow::new(self.now_ms(), self.0.rules.withdrawal_ms)
    }

    /// What is kept of a buyer's word, once it is exactly their `own` statement and they signed it.
    pub(crate) fn said_deleted(
        &self,
        deleted: &Deleted,
        own: &Deletion,
        digest: B256,
    ) -> Result<Vec<u8>, SalesError> {
        let Deleted { deletion, signature: bytes } = deleted;
        if deletion != own {
            let rule = "the statement of this order, by its buyer";
            return Err(SalesError::Field { field: "deletion", rule });
        }
        if deletion.deletedAt > self.now_ms() / 1000 + 300 {
            let rule = "not in the future";
            return Err(SalesError::Field { field: "deletion.deletedAt", rule });
        }
        let by = signature::parse(bytes).and_then(|signature| signature.recover(digest));
        // Of a key no chain need be asked: it may be away when the time is nearly over.
        let is_signed = by == Ok(own.buyer) || {
            let head = self.0.trade.tips()?.head.block.hash;
            self.0.trade.accepts(own.buyer, digest, bytes, head)?
        };
        if !is_signed {
            return Err(SalesError::Signature);
        }
        Ok(json!({ "document": deletion, "signature": bytes }).to_string().into_bytes())
    }

    /// Enters what is owed of a withdrawal; each once.
    pub(super) fn note_withdrawal(&self, id: B256) -> Result<(), SalesError> {
        // A line of silence is never to stand behind the buyer's word.
        let _one_at_a_time = locked(&self.0.telling);
        loop {
            let (row, dataset) = {
                let rows = self.0.service.0.live.rows();
                let row = rows.stall.sale(id).cloned().ok_or(SalesError::NoSuchSale)?;
                let offer = rows.stall.offer(row.offer).ok_or(SalesError::NoSuchOffer)?;
                (row, offer.dataset.clone())
            };
            let owed = row.withdrawal.as_ref().and_then(|one| one.owed(self.now_ms()));
            let Some((line, at_s)) = owed else { return Ok(()) };
            let act = match line {
                WithdrawalLine::Asked => SaleAct::Withdrawn,
                WithdrawalLine::Deleted => SaleAct::Deleted,
                WithdrawalLine::NotAnswered => SaleAct::NotAnswered,
            };
            let index = self.tell(&row, &dataset, act, at_s)?;
            self.change(id, |row| {
                if let Some(one) = &mut row.withdrawal {
                    one.note(line, index);
                }
                Ok(())
            })?;
        }
    }
}
