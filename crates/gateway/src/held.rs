//! Reports that the log does not take now while it may take others: they are passed over, and
//! tried again for as long as they wait. In memory: after a restart each is simply tried anew.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The first wait after a refusal; it doubles up to [`WAIT_LAST`].
const WAIT_FIRST: Duration = Duration::from_secs(1);
/// The longest wait.
const WAIT_LAST: Duration = Duration::from_secs(600);
/// So many failures in a row before a report is passed over: fewer may be the log's own trouble.
pub(crate) const FAILURES_MAX: u32 = 5;
/// Told in `/status` at most.
const LISTED_MAX: usize = 100;

/// Why a report waits though the log is there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Why {
    /// The log's clock is behind the report's time.
    Ahead,
    /// The log says that its patient moved, and does not show by whose will.
    Moved,
    /// The log signs receipts with a key that the enrolment does not name, or not for now.
    Key,
    /// The log fails on it.
    Failing,
}

#[derive(Clone, Copy, Debug)]
struct One {
    why: Why,
    tries: u32,
    /// Passed over until then.
    due_ms: u64,
}

impl One {
    /// Due beyond the longest wait is due too: the clock was set back meanwhile.
    fn is_due(&self, now_ms: u64) -> bool {
        let latest_ms = now_ms.saturating_add(WAIT_LAST.as_millis() as u64);
        !(now_ms + 1..=latest_ms).contains(&self.due_ms)
    }
}

/// All of them.
#[derive(Clone, Default, Debug)]
pub(crate) struct Held {
    reports: BTreeMap<u64, One>,
    /// What was said last of each kind: the text of each report would take too much memory.
    said: BTreeMap<Why, String>,
}

impl Held {
    /// Passes a report over for a while. Whether it is the first time for this reason.
    pub(crate) fn hold(&mut self, sequence: u64, why: Why, said: String, now_ms: u64) -> bool {
        let before = self.reports.get(&sequence).filter(|one| one.why == why);
        let tries = before.map_or(0, |one| one.tries) + 1;
        let wait = WAIT_FIRST.saturating_mul(1 << tries.min(12)).min(WAIT_LAST);
        let due_ms = now_ms.saturating_add(wait.as_millis() as u64);
        let is_first = before.is_none_or(|one| one.due_ms == 0);
        self.reports.insert(sequence, One { why, tries, due_ms });
        self.said.insert(why, said);
        is_first
    }

    /// Notes that the log failed on a report. Whether it is passed over now, since it failed
    /// [`FAILURES_MAX`] times.
    pub(crate) fn fail(&mut self, sequence: u64, said: String, now_ms: u64) -> bool {
        let before = self.reports.get(&sequence).filter(|one| one.why == Why::Failing);
        let tries = before.map_or(0, |one| one.tries) + 1;
        if tries < FAILURES_MAX {
            self.reports.insert(sequence, One { why: Why::Failing, tries, due_ms: 0 });
            return false;
        }
        self.hold(sequence, Why::Failing, said, now_ms);
        true
    }

    /// It waits no more.
    pub(crate) fn end(&mut self, sequence: u64) {
        self.reports.remove(&sequence);
    }

    /// Which to leave out of the next sending of at most `limit`: of those that are due only half
    /// as many are tried, so that old trouble never holds up what is new.
    pub(crate) fn passed_over(&self, limit: usize, now_ms: u64) -> BTreeSet<u64> {
        let mut due = 0;
        let is_left_out = |(_, one): &(&u64, &One)| {
            due += usize::from(one.is_due(now_ms));
            !one.is_due(now_ms) || due > limit.div_ceil(2)
        };
        self.reports.iter().filter(is_left_out).map(|(number, _)| *number).collect()
    }

    /// Forgets what is due: none of it waits any more, or it would have been found.
    pub(crate) fn forget_due(&mut self, now_ms: u64) {
        self.reports.retain(|_, one| !one.is_due(now_ms));
    }

    /// When the next one is due.
    pub(crate) fn next_ms(&self) -> Option<u64> {
        self.reports.values().map(|one| one.due_ms).min()
    }

    fn shown(&self) -> impl Iterator<Item = (u64, Why)> {
        let is_passed_over = |(_, one): &(&u64, &One)| one.due_ms > 0;
        self.reports.iter().filter(is_passed_over).map(|(number, one)| (*number, one.why))
    }

    /// The oldest of them, each with what was said of its kind.
    pub(crate) fn listed(&self) -> Vec<(u64, String)> {
        let said = |why| self.said.get(&why).cloned().unwrap_or_default();
        self.shown().take(LISTED_MAX).map(|(number, why)| (number, said(why))).collect()
    }

    /// One alarm for each reason that is left.
    pub(crate) fn alarms(&self) -> Vec<String> {
        let mut counted: BTreeMap<Why, (u64, u64)> = BTreeMap::new();
        for (number, why) in self.shown() {
            counted.entry(why).or_insert((number, 0)).1 += 1;
        }
        let alarm = |(why, (oldest, count)): (&Why, &(u64, u64))| {
            let said = self.said.get(why).map_or("", String::as_str);
            format!("{count} reports wait, passed over, the oldest is {oldest}: {said}")
        };
        counted.iter().map(alarm).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_passed_over_until_it_is_due_and_its_waits_grow_to_ten_minutes() {
        let (mut held, mut now_ms, mut last) = (Held::default(), 5, 0);
        for _ in 0..40 {
            held.hold(7, Why::Ahead, "ahead".to_owned(), now_ms);
            assert_eq!(held.passed_over(9, now_ms), [7].into());
            let due_ms = held.next_ms().unwrap();
            assert!(due_ms - now_ms >= last && due_ms - now_ms <= 600_000);
            last = due_ms - now_ms;
            now_ms = due_ms;
            assert!(held.passed_over(9, now_ms).is_empty());
        }
        assert_eq!(last, 600_000);
        held.hold(7, Why::Ahead, "ahead".to_owned(), now_ms);
        assert!(held.passed_over(9, now_ms - 1).is_empty(), "the clock was set back");
        held.end(7);
        assert_eq!((held.next_ms(), held.alarms().len()), (None, 0));
    }

    #[test]
    fn a_failure_is_the_log_s_until_it_repeats_and_what_was_refused_starts_anew() {
        let mut held = Held::default();
        for _ in 1..FAILURES_MAX {
            assert!(!held.fail(7, "500".to_owned(), 1));
            assert!(held.passed_over(9, 1).is_empty() && held.alarms().is_empty());
        }
        assert!(held.fail(7, "500".to_owned(), 1));
        assert!(held.alarms()[0].contains("the oldest is 7: 500"), "{:?}", held.alarms());
        assert!(held.hold(7, Why::Moved, "moved".to_owned(), 1));
        assert!(!held.hold(7, Why::Moved, "moved".to_owned(), 1));
        assert!(!held.fail(7, "500".to_owned(), 1));
    }

    #[test]
    fn many_that_are_due_leave_half_of_a_sending_to_others() {
        let mut held = Held::default();
        for number in 1..=10 {
            held.hold(number, Why::Ahead, String::new(), 1);
        }
        assert_eq!(held.passed_over(4, 1).len(), 10);
        let due: BTreeSet<u64> = [3, 4, 5, 6, 7, 8, 9, 10].into();
        assert_eq!(held.passed_over(4, 1_000_000), due);
        assert_eq!(held.alarms().len(), 1);
    }
}
