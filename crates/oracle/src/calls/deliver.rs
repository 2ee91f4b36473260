//! The way of a delivery to a call: what [`medtrail_market::cohort::delivery::step`] asks for is done,
//! one step after the other, each durable before the next. A start is a tick like any other.

use super::listing::{cohort_in, dataset_in};
use super::look::Ends;
use super::{Calls, CallsError, locked};
use crate::refusals::Refusals;
use alloy_primitives::B256;
use medtrail_ledger::directory::{
    AcceptanceRow, CallDelivery, CallRow, CallState, DirectoryChange, FileKey,
};
use medtrail_ledger::ports::{JournalError, Tips};
use medtrail_market::cohort::delivery::{Alarm, Refusal, State, Step, step};
use std::collections::BTreeSet;

/// Steps of one call in one tick: more than a delivery has that nobody says no to.
const STEPS_MAX: usize = 12;

const REFUSALS: Refusals<Refusal> = Refusals(&[
    (1, Refusal::Documents, "documents"),
    (2, Refusal::Recipient, "recipient"),
    (3, Refusal::Windows, "windows"),
    (4, Refusal::Nobody, "nobody"),
    (5, Refusal::Late, "late"),
    (6, Refusal::Closed, "closed"),
]);

pub(super) fn refusal_word(number: u8) -> &'static str {
    REFUSALS.word(number)
}

fn refusal_of(number: u8) -> Refusal {
    REFUSALS.refusal_of(number).unwrap_or(Refusal::Documents)
}

fn state(delivery: &CallDelivery) -> State {
    let of = |key: &FileKey, sellers: &[B256]| (key.lock, sellers.to_vec());
    match delivery {
        CallDelivery::Collecting => State::Collecting,
        CallDelivery::Keyed { key, sellers } => {
            let (lock, sellers) = of(key, sellers);
            State::Keyed { lock, sellers }
        }
        CallDelivery::Sealed { key, file, sellers } => {
            let (lock, sellers) = of(key, sellers);
            State::Sealed { lock, file: file.hash, sellers }
        }
        CallDelivery::Shown { key, file, sellers } => {
            let (lock, sellers) = of(key, sellers);
            State::Shown { lock, file: file.hash, sellers }
        }
        CallDelivery::Settled { .. } => State::Settled,
        CallDelivery::Refusing { refusal, .. } | CallDelivery::Over { refusal } => {
            State::Over(refusal_of(*refusal))
        }
    }
}

impl Calls {
    /// Takes one call as far as it goes now.
    pub(super) fn deliver(&self, id: B256, tips: &Tips) -> Result<(), CallsError> {
        let is_heard = |row: &CallRow| row.state != CallState::Heard;
        if !self.row(id).as_ref().is_some_and(is_heard) {
            return Ok(());
        }
        let ends = self.ends(id, tips)?;
        locked(&self.0.paid).insert(id, ends.at_final.paid);
        for _ in 0..STEPS_MAX {
            let Some(row) = self.row(id) else { return Ok(()) };
            if matches!(row.delivery, CallDelivery::Refusing { .. }) {
                self.destroy(&row)?;
                continue;
            }
            if row.delivery.is_done() {
                locked(&self.0.settling).remove(&id);
                return Ok(());
            }
            if !self.take_step(&row, &ends, tips)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// One step; `false`: nothing more can be done now.
    fn take_step(&self, row: &CallRow, ends: &Ends, tips: &Tips) -> Result<bool, CallsError> {
        let looked = self.look(row, ends, tips)?;
        let next = step(&state(&row.delivery), &looked.seen);
        if !matches!(next, Step::Settle(_)) {
            locked(&self.0.settling).remove(&row.id);
        }
        match next {
            Step::Wait => return Ok(false),
            Step::Alarm(alarm) => return Err(raised(alarm).into()),
            Step::Settle(claims) => {
                self.settle(row, &looked, claims)?;
                return Ok(false);
            }
            Step::Key(sellers) => {
                let all = looked.seen.sellers.iter().map(|seller| seller.acceptance).collect();
                return self.draw(row, sellers, &all);
            }
            Step::Seal(sellers) => {
                return self.make(row, &cohort_in(row)?, &dataset_in(row)?, &sellers);
            }
            Step::Enter(missing) => self.enter(row, &missing)?,
            Step::Finish => {
                let CallDelivery::Shown { key, file, sellers } = row.delivery.clone() else {
                    return Ok(false);
                };
                self.to(row, CallDelivery::Settled { key, file, sellers })?;
            }
            Step::Refuse(refusal) => self.refuse(row, refusal)?,
        }
        Ok(true)
    }

    /// Moves a delivery on from where it was seen; `false`: it is elsewhere by now, and stays.
    pub(super) fn to(&self, seen: &CallRow, next: CallDelivery) -> Result<bool, CallsError> {
        self.to_if(seen, |_| Ok(Some(next)))
    }

    /// The same in one act with a last look at who accepted: nobody's yes or no comes in between.
    pub(super) fn to_if(
        &self,
        seen: &CallRow,
        next: impl FnOnce(&[AcceptanceRow]) -> Result<Option<CallDelivery>, CallsError>,
    ) -> Result<bool, CallsError> {
        let live = &self.service().0.live;
        let _act = live.begin()?;
        let Some(mut row) = self.row(seen.id) else { return Ok(false) };
        if row.delivery != seen.delivery {
            return Ok(false);
        }
        let Some(next) = next(&self.acceptances_of(row.id))? else { return Ok(false) };
        if let CallDelivery::Shown { key, .. } = &next {
            row.shown = Some(key.lock);
        }
        row.delivery = next;
        live.apply(vec![DirectoryChange::PutCall(row)])?;
        Ok(true)
    }

    /// Whether all who said yes by now were looked at: files only lose sellers, so that whoever is
    /// not in the first one is in none.
    pub(super) fn are_all(acceptances: &[AcceptanceRow], looked: &BTreeSet<B256>) -> bool {
        let mut living = acceptances.iter().filter(|one| one.withdrawn_ms.is_none());
        living.all(|one| looked.contains(&one.id))
    }

    /// Ends a delivery, and then destroys what was made for it.
    pub(super) fn refuse(&self, row: &CallRow, refusal: Refusal) -> Result<(), CallsError> {
        let (refusal, attempt) = (REFUSALS.number_of(refusal), row.delivery.attempt());
        self.to(row, CallDelivery::Refusing { refusal, attempt })?;
        Ok(())
    }

    /// File first: the key alone opens nothing. A crash in between does it again.
    fn destroy(&self, row: &CallRow) -> Result<(), CallsError> {
        let CallDelivery::Refusing { refusal, attempt } = row.delivery else { return Ok(()) };
        // A crash may have left the key that would have come next.
        for attempt in attempt.max(1)..=attempt.saturating_add(1) {
            self.discard(row.id, attempt)?;
        }
        self.to(row, CallDelivery::Over { refusal })?;
        Ok(())
    }
}

fn raised(alarm: Alarm) -> JournalError {
    JournalError::Damaged(match alarm {
        Alarm::OtherFile => "the log names another file than the one that is kept".to_owned(),
        Alarm::SettledByOthers => {
            "it was settled with a key that was never shown here: who else has this log's keys?"
                .to_owned()
        }
    })
}
