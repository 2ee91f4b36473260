//! What happened, as it is judged: a report in its place, and what it needs to have been permitted.

use crate::purposes::BREAK_GLASS;
pub use crate::scopes::Data;
use crate::scopes::Interactions;
use alloy_primitives::{Address, B256};
use medtrail_ledger::entry::Kind;
use medtrail_ledger::schema::Report;
use serde::{Deserialize, Serialize};

/// How far a report may lie behind what it reports before its permission must stand at both times.
pub const DELAY_MS_MAX: u64 = 5 * 60_000;

/// A report in the log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Act {
    /// What was reported.
    pub report: Report,
    /// Its entry's commitment: by it a person says no to what waits for confirmation.
    pub commitment: B256,
    /// Its place in the log.
    pub index: u64,
    /// The log's time.
    pub received_ms: u64,
    /// It happens in the log's own vault, where it is asked for before it happens: only the time of
    /// receipt decides.
    pub in_vault: bool,
    /// Whose signature of the report was verified; none if it was relayed.
    pub signer: Option<Address>,
    /// By which addresses whoever used the data goes: the organisation's id, and the key that
    /// signed. Of a hand-over: the receiver's. Never the operator's for something relayed.
    pub party: Vec<Address>,
    /// What it takes.
    pub need: Need,
}

/// What an act needs a permission for, read from its details document.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Need {
    /// Which data; none told is data of an unknown type.
    pub data: Vec<Data>,
    /// Purposes of use that were told; each must be covered.
    pub purposes: Vec<String>,
    /// It was a search, not a look at one thing.
    pub is_search: bool,
}

impl Need {
    /// Whether somebody declared that the person could not be asked.
    pub fn is_emergency(&self) -> bool {
        self.purposes.iter().any(|purpose| purpose == BREAK_GLASS)
    }
}

impl Act {
    /// The times at which a permission must stand. A report that comes late must not outlive its
    /// permission: else who lost it would report as of yesterday. A clock that runs ahead (by the
    /// five minutes that are tolerated) is taken as now.
    pub(super) fn moments(&self) -> Vec<u64> {
        let happened = self.report.timeMs.min(self.received_ms);
        match self.received_ms - happened {
            _ if self.in_vault => vec![self.received_ms],
            0..=DELAY_MS_MAX => vec![happened],
            _ => vec![happened, self.received_ms],
        }
    }

    /// Which interactions a permission must allow; none where the report contradicts itself.
    ///
    /// What a change did is told twice, by its action and by its versions, and each counts: who may
    /// only add must not get by with an overwriting that calls itself an addition.
    pub(super) fn interactions(&self) -> Option<Interactions> {
        const CHANGES: Interactions =
            Interactions::CREATE.and(Interactions::UPDATE).and(Interactions::DELETE);
        let Report { action, fromVersion: from, toVersion: to, .. } = &self.report;
        match Kind::from_number(self.report.kind) {
            Kind::Access => match action {
                b'R' if !self.need.is_search => Some(Interactions::READ),
                b'R' | b'E' => Some(Interactions::SEARCH),
                0 => Some(Interactions::READ.and(Interactions::SEARCH)),
                _ => None,
            },
            Kind::Change => {
                let by_action = match action {
                    b'C' => Interactions::CREATE,
                    b'U' => Interactions::UPDATE,
                    b'D' => Interactions::DELETE,
                    b'E' | 0 => CHANGES,
                    _ => return None,
                };
                let by_versions = match (from.is_zero(), to.is_zero()) {
                    (true, true) => Interactions::NONE,
                    (true, false) => Interactions::CREATE,
                    (false, true) => Interactions::DELETE,
                    (false, false) => Interactions::UPDATE,
                };
                Some(by_action.and(by_versions))
            }
            // Whoever gets a copy can read it, whatever the giver calls what it did.
            Kind::HandOver => Some(Interactions::READ),
            _ => None,
        }
    }
}

/// Whether entries of this kind are judged: looking, changing and passing on. What the log enters
/// of its own acts, sources, questions and bills need no permission; a delivery has its order, which
/// the market judges.
pub fn is_judged(kind: Kind) -> bool {
    matches!(kind, Kind::Access | Kind::Change | Kind::HandOver)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn act(time_ms: u64, received_ms: u64, in_vault: bool) -> Act {
        Act {
            report: Report { timeMs: time_ms, ..Report::default() },
            commitment: B256::ZERO,
            index: 0,
            received_ms,
            in_vault,
            signer: None,
            party: Vec::new(),
            need: Need::default(),
        }
    }

    #[test]
    fn a_permission_must_stand_when_it_happened_and_when_it_is_told_late() {
        let late = 1000 + DELAY_MS_MAX;
        assert_eq!(act(1000, 1000, false).moments(), [1000]);
        assert_eq!(act(1000, late, false).moments(), [1000]);
        assert_eq!(act(1000, late + 1, false).moments(), [1000, late + 1]);
        assert_eq!(act(1000, late + 1, true).moments(), [late + 1]);
        assert_eq!(act(late, 1000, false).moments(), [1000], "a clock that runs ahead");
    }

    #[test]
    fn only_looking_changing_and_passing_on_are_judged() {
        let judged = (0..=255).filter(|number| is_judged(Kind::from_number(*number)));
        assert_eq!(judged.collect::<Vec<u8>>(), [1, 2, 3]);
    }
}
