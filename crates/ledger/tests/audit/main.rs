//! Replays of a log: honest, changed on its way, or built upon a lie. Each lie is found and named.

mod content;
mod history;
mod joins;
mod kept;
mod log;
mod published;

use log::Log;
use medtrail_ledger::audit::{Check, Flaw, Tally};
use medtrail_ledger::verify::Verdict;

/// The first fault must be this one, about this entry.
fn assert_found(tally: &Tally, flaw: Flaw, index: impl Into<Option<u64>>) {
    let fault = tally.first_fault().unwrap_or_else(|| panic!("nothing found: {tally:#?}"));
    assert_eq!((fault.flaw, fault.index), (flaw, index.into()), "{fault:#?}");
    assert_eq!(tally.verdict(), Verdict::Red);
    assert_eq!(tally.of(flaw.check()).unwrap().verdict(), Verdict::Red);
}

#[test]
fn an_honest_log_is_green_and_everything_is_counted() {
    let tally = Log::honest().audit();
    assert_eq!(tally.verdict(), Verdict::Green, "{tally:#?}");
    let count = |check| tally.of(check).unwrap().count;
    // Two bundles, two leaf tiles and one above.
    assert_eq!((count(Check::Tiles), count(Check::Anchors), count(Check::Rows)), (5, 3, 300));
    assert_eq!(count(Check::Trails), 263);
}
