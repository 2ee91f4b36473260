//! How long a person is asked whether an emergency change was right.
//!
//! The clock permits nothing and forbids nothing: silence is no word of the person. Until its end
//! they are asked, at its end everybody is told that nobody answered, and an answer after it is as
//! good as one before.

use super::act::Act;
use super::person::{self, Person};
use super::world::World;
use medtrail_ledger::entry::Kind;

/// How long who acts for a person is asked about an emergency change, in milliseconds: 30 days.
pub const CONFIRM_MS: u64 = 30 * 24 * 3_600_000;

/// When somebody is asked about an emergency change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Clock {
    /// Since when: from its receipt, or since there was somebody to ask. Milliseconds since 1970.
    pub since_ms: u64,
    /// Until when, milliseconds since 1970.
    pub until_ms: u64,
}

/// The clock of an emergency change; none: it is no such change, or there was nobody yet who could
/// be asked. Whether it still needs an answer says [`permits`](super::permits).
///
/// A look has none: no document confirms one, so that its clock could only run out.
pub fn clock(act: &Act, world: &World) -> Option<Clock> {
    let is_change = Kind::from_number(act.report.kind) == Kind::Change;
    if !is_change || !act.need.is_emergency() {
        return None;
    }
    let known = person::known(world);
    let person = Person::of(act, world, &known)?;
    let since_ms = person.asked_since_ms(act.received_ms)?;
    Some(Clock { since_ms, until_ms: since_ms.saturating_add(CONFIRM_MS) })
}
