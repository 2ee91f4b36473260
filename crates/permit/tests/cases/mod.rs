//! What must be said of which act: the cases of `tests/vectors/permits.json`, each with the answer
//! that a person wrote down, not the code.

#![allow(dead_code, reason = "each test binary uses its own part")]

mod changes;
mod coverage;
mod people;
mod representatives;
mod times;

use crate::support::Scene;
use alloy_primitives::B256;
use medtrail_permit::permits::{Basis, Pending, Refusal, Verdict};

/// One case.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) scene: Scene,
    pub(crate) expected: Verdict,
}

pub(crate) fn all() -> Vec<Case> {
    let parts = [
        times::cases(),
        coverage::cases(),
        changes::cases(),
        people::cases(),
        representatives::cases(),
    ];
    parts.into_iter().flatten().collect()
}

fn counts(
    name: &'static str,
    reason: Basis,
    document: impl Into<Option<B256>>,
    scene: Scene,
) -> Case {
    Case { name, scene, expected: Verdict::Counts { reason, document: document.into() } }
}

fn not(
    name: &'static str,
    reason: Refusal,
    document: impl Into<Option<B256>>,
    scene: Scene,
) -> Case {
    Case { name, scene, expected: Verdict::DoesNotCount { reason, document: document.into() } }
}

fn waits(
    name: &'static str,
    reason: Pending,
    document: impl Into<Option<B256>>,
    scene: Scene,
) -> Case {
    Case { name, scene, expected: Verdict::Unconfirmed { reason, document: document.into() } }
}
