//! The entry of each seller's delivery in a call to many (kind 6).

use crate::entry::{Delivered, report as of_a_sale};
use medtrail_ledger::entry::event_id;
use medtrail_ledger::schema::Report;

/// The report of one seller's delivery, [`Delivered::order`] the acceptance's id. Its event id is
/// made of the acceptance and the lock: a file that is made anew has entries of its own, and under
/// one key the log takes one of each seller.
pub fn report(of: &Delivered<'_>) -> Report {
    let event = [of.order.as_slice(), of.lock.as_slice()].concat();
    Report { eventId: event_id(of.actor, &event), ..of_a_sale(of) }
}
