//! After a call was delivered: a seller wants their part of the file deleted. As after a sale, but the
//! buyer is told which part, and of de-identified data not whose it is.

use super::told::CallAct;
use super::{CallView, Calls, CallsError};
use crate::sales::{Deleted, SalesError};
use alloy_primitives::{Address, B256};
use medtrail_ledger::directory::{AcceptanceRow, PartWithdrawalRow, WithdrawalLine};
use medtrail_permit::sale::Deletion;

impl Calls {
    /// A seller wants what was delivered of theirs deleted, paid or not. Once for a call; the same
    /// again changes nothing.
    ///
    /// # Errors
    /// [`SalesError::NotDelivered`] before the key was shown, and for whoever is not in the file:
    /// [`Self::withdraw`] is what ends it then.
    pub async fn withdraw_part(&self, who: Address, id: B256) -> Result<CallView, CallsError> {
        self.blocking(move |calls| {
            let view = calls.view_for(who, id)?;
            let row = view.row;
            if view.own.is_empty() {
                return Err(CallsError::NotAccepted);
            }
            let own = view.own.iter().find(|own| own.is_shown).map(|own| &own.row);
            let own = own.ok_or(SalesError::NotDelivered)?;
            let (label, part) = calls.part_of(&row, own)?.ok_or(CallsError::NotAccepted)?;
            let asked = calls.0.sales.asked_now();
            calls.change(own.id, |one| {
                one.withdrawal.get_or_insert(PartWithdrawalRow { label, part, asked });
                Ok(())
            })?;
            calls.note_withdrawal(own.id)?;
            calls.view_for(who, id)
        })
        .await
    }

    /// The buyer's word that one part is deleted, which the statement names as the file does; also
    /// after the time was over.
    ///
    /// # Errors
    /// [`SalesError::Signature`]; [`SalesError::NotAsked`] where nobody asked for that part.
    pub async fn deleted(
        &self,
        who: Address,
        id: B256,
        deleted: Deleted,
    ) -> Result<CallView, CallsError> {
        self.blocking(move |calls| {
            let row = calls.row(id).filter(|row| row.buyer == who);
            let row = row.ok_or(CallsError::NoSuchCall)?;
            let (part, at_s) = (deleted.deletion.order, deleted.deletion.deletedAt);
            let own = Deletion::of_part(part, row.buyer, at_s);
            let digest = own.id_in_calls(&calls.market());
            let text = calls.0.sales.said_deleted(&deleted, &own, digest)?;
            let is_it = |one: &AcceptanceRow| {
                one.withdrawal.as_ref().is_some_and(|withdrawal| withdrawal.part == part)
            };
            let asked = calls.acceptances_of(id).into_iter().find(is_it);
            let asked = asked.ok_or(SalesError::NotAsked)?;
            calls.change(asked.id, |one| {
                if let Some(withdrawal) = &mut one.withdrawal {
                    withdrawal.asked.answer(text);
                }
                Ok(())
            })?;
            calls.note_withdrawal(asked.id)?;
            calls.view_for(who, id)
        })
        .await
    }

    /// Enters what is owed of a withdrawal; each once.
    pub(super) fn note_withdrawal(&self, acceptance: B256) -> Result<(), CallsError> {
        loop {
            let (row, call) = {
                let rows = self.service().0.live.rows();
                let row = rows.board.acceptance(acceptance).cloned();
                let row = row.ok_or(CallsError::NotAccepted)?;
                let call = rows.board.call(row.call).cloned().ok_or(CallsError::NoSuchCall)?;
                (row, call)
            };
            let owed = row.withdrawal.as_ref().and_then(|one| one.asked.owed(self.now_ms()));
            let Some((line, at_s)) = owed else { return Ok(()) };
            let act = match line {
                WithdrawalLine::Asked => CallAct::DeletionAsked,
                WithdrawalLine::Deleted => CallAct::Deleted,
                WithdrawalLine::NotAnswered => CallAct::NotAnswered,
            };
            let index = self.tell(&call, &row, act, at_s)?;
            self.change(acceptance, |row| {
                if let Some(withdrawal) = &mut row.withdrawal {
                    withdrawal.asked.note(line, index);
                }
                Ok(())
            })?;
        }
    }
}
