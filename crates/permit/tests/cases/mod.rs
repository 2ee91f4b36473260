//! What must be said of which act: the cases of `tests/vectors/permits.json`, each with the answer
//! that a person wrote down, not the code.

#![allow(dead_code, reason = "each test binary uses its own part")]

mod changes;
mod clocks;
mod coverage;
mod people;
mod representatives;
pub(crate) mod sold;
mod times;

use crate::support::{DAY_MS, Scene};
use alloy_primitives::B256;
use medtrail_permit::permits::{Basis, Pending, Refusal, Verdict};

/// One case.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) scene: Scene,
    pub(crate) expected: Verdict,
    /// Until when somebody is asked about it.
    pub(crate) until_ms: Option<u64>,
}

impl Case {
    /// Who can always be asked is asked from the receipt of an emergency change on; of all others it
    /// is said case by case.
    fn new(name: &'static str, scene: Scene, expected: Verdict) -> Self {
        let act = &scene.act;
        let is_emergency = act.report.kind == 2 && act.need.purposes.iter().any(|one| one == "BTG");
        let has_address = act.report.subject.0[..12] == [0; 12] && !act.report.subject.is_zero();
        let until_ms = (is_emergency && has_address).then_some(act.received_ms + 30 * DAY_MS);
        Self { name, scene, expected, until_ms }
    }

    fn until(self, until_ms: impl Into<Option<u64>>) -> Self {
        Self { until_ms: until_ms.into(), ..self }
    }
}

pub(crate) fn all() -> Vec<Case> {
    let parts = [
        times::cases(),
        coverage::cases(),
        changes::cases(),
        people::cases(),
        representatives::cases(),
        clocks::cases(),
        sold::cases(),
    ];
    parts.into_iter().flatten().collect()
}

fn counts(
    name: &'static str,
    reason: Basis,
    document: impl Into<Option<B256>>,
    scene: Scene,
) -> Case {
    Case::new(name, scene, Verdict::Counts { reason, document: document.into() })
}

fn not(
    name: &'static str,
    reason: Refusal,
    document: impl Into<Option<B256>>,
    scene: Scene,
) -> Case {
    Case::new(name, scene, Verdict::DoesNotCount { reason, document: document.into() })
}

fn waits(
    name: &'static str,
    reason: Pending,
    document: impl Into<Option<B256>>,
    scene: Scene,
) -> Case {
    Case::new(name, scene, Verdict::Unconfirmed { reason, document: document.into() })
}
