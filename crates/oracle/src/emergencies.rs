//! Changes that were made without asking: each took effect, and for 30 days its person is asked
//! whether it was right.
//!
//! The judge, who finds them, keeps the book of them and watches the clock. When it has
//! run out the log enters, once, that nobody answered: that permits nothing, and the person may still
//! say yes or no.

pub(crate) mod book;
mod clock;

pub(crate) use clock::{Stood, Ticking};

use crate::inquiries::{PAGE_MAX, Whose, Wish};
use crate::opener::{Entry, EntryError};
use crate::service::Service;
use alloy_primitives::{Address, B256};
use medtrail_ledger::directory::{EmergencyAnswer, EmergencyRow};
use medtrail_ledger::entry::Kind;

/// Whether an entry of this kind may answer an emergency change, or make somebody who can.
pub(crate) fn may_answer(kind: Kind) -> bool {
    matches!(kind, Kind::Permission | Kind::Binding)
}

/// An emergency change and what its person says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EmergencyView {
    /// The commitment of the change's entry: by it a person says no.
    pub id: B256,
    /// The change; none: it cannot be opened any more.
    pub line: Option<Entry>,
    /// Where it stands.
    pub index: u64,
    /// In whose trail.
    pub subject: B256,
    /// Whose word it is, if an organisation's.
    pub organisation: Option<Address>,
    /// When the log took it, milliseconds since 1970.
    pub received_ms: u64,
    /// Since and until when somebody is asked, milliseconds since 1970; none: nobody can be yet.
    pub clock: Option<(u64, u64)>,
    /// What they say.
    pub answer: Option<EmergencyAnswer>,
    /// The entry that says that nobody answered in time.
    pub unanswered: Option<u64>,
}

impl EmergencyView {
    /// How it stands: `open`, `confirmed`, `denied`, `unanswered`, or `nobody-to-ask`.
    pub fn state(&self) -> &'static str {
        match (self.answer, self.unanswered, self.clock) {
            (Some(answer), ..) if answer.is_yes => "confirmed",
            (Some(_), ..) => "denied",
            (None, Some(_), _) => "unanswered",
            (None, None, None) => "nobody-to-ask",
            (None, None, Some(_)) => "open",
        }
    }
}

impl Service {
    /// A page of emergency changes, newest first, and the `before` of the next one: those in a
    /// person's trail, or those that an organisation made. `open` leaves out what was answered and
    /// what nobody answered in time. Blocks.
    ///
    /// # Errors
    /// Where the disk cannot be read.
    pub fn emergencies(
        &self,
        whose: Whose,
        wish: Wish,
    ) -> Result<(Vec<EmergencyView>, Option<u64>), EntryError> {
        // Before the rows are locked: both are in the directory.
        let parts = self.parts_asked_for(whose);
        let limit = wish.limit.clamp(1, PAGE_MAX);
        let is_wished = |row: &&EmergencyRow| {
            wish.before.is_none_or(|before| row.index < before)
                && (!wish.open || book::is_open(row))
        };
        let mut found: Vec<EmergencyRow> = {
            let rows = self.0.live.rows();
            match whose {
                Whose::Organisation(id) => {
                    let of = rows.emergencies.of_organisation(id).filter(is_wished);
                    of.take(limit + 1).cloned().collect()
                }
                _ => {
                    let of = rows.emergencies.of_subjects(&parts).filter(is_wished);
                    of.take(limit + 1).cloned().collect()
                }
            }
        };
        let has_more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| has_more).map(|row| row.index);
        let views = found.into_iter().map(|row| self.emergency_view(row));
        Ok((views.collect::<Result<_, _>>()?, next))
    }

    fn emergency_view(&self, row: EmergencyRow) -> Result<EmergencyView, EntryError> {
        let line = self.opened_row(row.index)?;
        let EmergencyRow { id, index, subject, organisation, received_ms, .. } = row;
        let EmergencyRow { clock, answer, unanswered, .. } = row;
        Ok(EmergencyView {
            id,
            line,
            index,
            subject,
            organisation,
            received_ms,
            clock,
            answer,
            unanswered,
        })
    }

    /// Whether the entry at `index` says that nobody answered about a change of this organisation.
    pub(crate) fn is_told_of(&self, organisation: Address, index: u64) -> bool {
        let rows = self.0.live.rows();
        let row = rows.emergencies.told_at(index);
        row.is_some_and(|row| row.organisation == Some(organisation))
    }
}
