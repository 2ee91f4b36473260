//! What final blocks show of calls, and which entries are owed: asked again in every tick; a start is
//! a tick.

use super::told::CallAct;
use super::trade::{OnChain, Standing};
use super::{Calls, CallsError};
use crate::anchorer::Problem;
use crate::sales::SalesError;
use alloy_primitives::B256;
use medtrail_ledger::directory::{AcceptanceRow, CallRow, CallState, DirectoryChange};
use medtrail_ledger::ports::{RegistryError, Tips};

const ADVICE: &str = "nothing at first: it is tried again; if it lasts, check disk and chain";

impl Calls {
    /// One look at every call that is under way, and what follows from it. To be called every few
    /// seconds. Blocks; one at a time.
    ///
    /// # Errors
    /// Where the chain cannot be read at all. What is in the way of one call holds up no other.
    pub fn tick(&self) -> Result<(), CallsError> {
        let looked = self.look_at_all();
        let problem = match &looked {
            Ok(problem) => problem.clone(),
            Err(error) => Some(Problem { what: format!("calls wait: {error}"), advice: ADVICE }),
        };
        self.note(problem);
        looked.map(drop)
    }

    /// What is in the way of the first call that does not get on.
    fn look_at_all(&self) -> Result<Option<Problem>, CallsError> {
        let tips = self.0.sales.trade().tips()?;
        let open: Vec<B256> = self.service().0.live.rows().board.open().map(|row| row.id).collect();
        let mut first = None;
        for id in open {
            match self.advance(id, &tips).and_then(|()| self.deliver(id, &tips)) {
                Ok(()) => {}
                // The others would only wait for the same node.
                Err(
                    error @ CallsError::Sales(SalesError::ChainUnreadable(
                        RegistryError::Unreachable(_),
                    )),
                ) => return Err(error),
                Err(error) => {
                    _ = first.get_or_insert(Problem {
                        what: format!("call {id}: {error}"),
                        advice: ADVICE,
                    });
                }
            }
        }
        Ok(first)
    }

    /// What a final block shows of one call, and the entries that are owed.
    pub(super) fn advance(&self, id: B256, tips: &Tips) -> Result<(), CallsError> {
        let standing = self.0.trade.standing(id, tips.finalized.block.hash)?;
        let Some(row) = self.opened(id, &standing, tips)? else { return Ok(()) };
        let acceptances = self.acceptances_of(id);
        for one in &acceptances {
            if one.accepted_entry.is_none() {
                self.tell_accepted(&row, one)?;
            }
            if one.ended_entry.is_none() {
                self.note_end(&row, one, &standing, tips)?;
            }
            if one.withdrawal.is_some() {
                self.note_withdrawal(one.id)?;
            }
        }
        let is_over = matches!(standing.on_chain, OnChain::Closed { .. });
        if let (CallState::Open { opened_at_s }, true) = (row.state, is_over) {
            self.put_state(id, |_| Some(CallState::Closed { opened_at_s }))?;
        }
        Ok(())
    }

    /// Shows a call once a final block does; drops one whose opening can come no more.
    fn opened(
        &self,
        id: B256,
        standing: &Standing,
        tips: &Tips,
    ) -> Result<Option<CallRow>, CallsError> {
        let Some(row) = self.row(id) else { return Ok(None) };
        if row.state != CallState::Heard {
            return Ok(Some(row));
        }
        if standing.on_chain != OnChain::None {
            let opened_at_s = standing.opened_at_s;
            self.put_state(id, |_| Some(CallState::Open { opened_at_s }))?;
            return Ok(self.row(id));
        }
        // Nobody accepts what is not open: nothing else is dropped with it.
        if row.deliver_by_s < tips.finalized.time_s {
            let live = &self.service().0.live;
            let _act = live.begin()?;
            live.apply(vec![DirectoryChange::DropCall(id)])?;
        }
        Ok(None)
    }

    /// Enters how it ended for a seller, if it did.
    fn note_end(
        &self,
        call: &CallRow,
        row: &AcceptanceRow,
        standing: &Standing,
        tips: &Tips,
    ) -> Result<(), CallsError> {
        if let Some(ms) = row.withdrawn_ms {
            return self.tell_end(call, row, CallAct::Withdrawn, ms / 1000);
        }
        let (is_bound, is_over) = match standing.on_chain {
            OnChain::None => return Ok(()),
            OnChain::Open { is_bound } => (is_bound, false),
            OnChain::Closed { is_bound } => (is_bound, true),
        };
        let final_block = tips.finalized.block.hash;
        let paid = match is_bound {
            true => self.0.trade.paid_place(call.id, row.seller, final_block)?,
            false => None,
        };
        match (paid, is_over) {
            (Some(_), _) => {
                let at_s = standing.settled_at_s.unwrap_or(tips.finalized.time_s);
                self.tell_end(call, row, CallAct::Settled, at_s)
            }
            // The contract keeps no time of it: it was closed by then.
            (None, true) => self.tell_end(call, row, CallAct::Closed, tips.finalized.time_s),
            (None, false) => Ok(()),
        }
    }

    pub(super) fn row(&self, id: B256) -> Option<CallRow> {
        self.service().0.live.rows().board.call(id).cloned()
    }

    pub(super) fn acceptances_of(&self, id: B256) -> Vec<AcceptanceRow> {
        self.service().0.live.rows().board.acceptances_of(id).cloned().collect()
    }

    /// Moves a call to where its state leads; what is elsewhere by now stays.
    fn put_state(
        &self,
        id: B256,
        next: impl FnOnce(&CallState) -> Option<CallState>,
    ) -> Result<(), CallsError> {
        let live = &self.service().0.live;
        let _act = live.begin()?;
        let row = live.rows().board.call(id).cloned();
        let mut row = row.ok_or(CallsError::NoSuchCall)?;
        if let Some(state) = next(&row.state) {
            row.state = state;
            live.apply(vec![DirectoryChange::PutCall(row)])?;
        }
        Ok(())
    }
}
