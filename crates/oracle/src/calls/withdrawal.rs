//! After a call was delivered: a seller wants their part of the file deleted. As after a sale, but the
//! buyer is told which part, and of de-identified data not whose it is.

use super::listing::DAY_MS;
use super::told::CallAct;
use super::{CallView, Calls, CallsError, locked};
use crate::sales::{Deleted, SalesError};
use alloy_primitives::{Address, B256};
use medtrail_ledger::directory::{
    AcceptanceRow, DeliveredRow, DirectoryChange, PartWithdrawalRow, WithdrawalLine,
};
use medtrail_permit::sale::Deletion;

impl Calls {
    /// A seller wants what was delivered of theirs deleted, paid or not. Once for a call; the same
    /// again changes nothing.
    ///
    /// # Errors
    /// [`CallsError::NotDelivered`] before the key was shown, and for whoever is in no file whose key
    /// was: [`Self::withdraw`] is what ends it then.
    pub async fn withdraw_part(&self, who: Address, id: B256) -> Result<CallView, CallsError> {
        self.blocking(move |calls| {
            let view = calls.view_for(who, id)?;
            if view.own.is_empty() {
                return Err(CallsError::NotAccepted);
            }
            let mut asked = calls.0.sales.asked_now();
            // The end of a day, as the buyer is told the day only.
            asked.due_ms = asked.due_ms.next_multiple_of(DAY_MS);
            let mut is_delivered = false;
            // Two addresses that were joined afterwards have a part each.
            for own in view.own.iter().filter(|own| own.is_shown) {
                let Some(DeliveredRow { name, .. }) = own.row.delivered else { continue };
                let asked = asked.clone();
                calls.change(own.row.id, |one| {
                    one.withdrawal.get_or_insert(PartWithdrawalRow { name, asked });
                    Ok(())
                })?;
                calls.note_withdrawal(own.row.id)?;
                is_delivered = true;
            }
            match is_delivered {
                true => calls.view_for(who, id),
                false => Err(CallsError::NotDelivered),
            }
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
            if let Some(acceptance) = calls.answer(id, part, text)? {
                calls.note_withdrawal(acceptance)?;
            }
            calls.view_for(who, id)
        })
        .await
    }

    /// Keeps the buyer's word; of which acceptance it is. None: its seller was erased, and has no trail
    /// that could say so.
    fn answer(&self, id: B256, part: B256, text: Vec<u8>) -> Result<Option<B256>, CallsError> {
        let live = &self.service().0.live;
        let _act = live.begin()?;
        let is_it = |one: &PartWithdrawalRow| one.name.part == part;
        let is_its = |one: &AcceptanceRow| one.withdrawal.as_ref().is_some_and(is_it);
        let acceptance = self.acceptances_of(id).into_iter().find(is_its);
        let (change, of) = match acceptance {
            Some(mut row) => {
                row.withdrawal.iter_mut().for_each(|one| one.asked.answer(text.clone()));
                let of = row.id;
                (DirectoryChange::PutAcceptance(row), Some(of))
            }
            None => {
                let mut row = self.row(id).ok_or(CallsError::NoSuchCall)?;
                let one = row.withdrawals.iter_mut().find(|one| is_it(one));
                one.ok_or(SalesError::NotAsked)?.asked.answer(text);
                (DirectoryChange::PutCall(row), None)
            }
        };
        live.apply(vec![change])?;
        Ok(of)
    }

    /// Enters what is owed of a withdrawal; each once.
    pub(super) fn note_withdrawal(&self, acceptance: B256) -> Result<(), CallsError> {
        // A line of silence is never to stand behind the buyer's word.
        let _one_at_a_time = locked(&self.0.telling);
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
