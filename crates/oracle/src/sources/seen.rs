//! What asking a source once more makes of it: a pure look at the row and the answer.

use alloy_primitives::B256;
use medtrail_ledger::directory::{SourceFinding, SourceFound, SourceRow, SourceState};
use medtrail_ledger::source::{Elsewhere, Unanswered};

/// When a source is asked, and when it is lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Rules {
    pub(super) every_ms: u64,
    pub(super) lost_after: u32,
}

/// The row after an answer at `now_ms`; where that is worth an entry, it is owed. `subject` is whose
/// trail tells it, `kept` who else has the bytes.
pub(super) fn seen(
    row: &SourceRow,
    answer: Result<B256, Unanswered>,
    now_ms: u64,
    rules: Rules,
    subject: B256,
    kept: Elsewhere,
) -> SourceRow {
    let due_ms = now_ms.saturating_add(rules.every_ms);
    let mut next = SourceRow { probed_ms: Some(now_ms), due_ms, ..row.clone() };
    let what = match answer {
        Ok(found) => {
            (next.failed, next.failing_since_ms) = (0, None);
            match (found == row.version, row.state) {
                (true, SourceState::Lost | SourceState::Changed) => {
                    Some(SourceFound::Back { since_ms: row.since_ms })
                }
                (true, SourceState::Moved) => {
                    (next.state, next.since_ms) = (SourceState::Here, now_ms);
                    None
                }
                (true, SourceState::Here) => None,
                // Told once, however often it changes after that.
                (false, SourceState::Changed) => None,
                (false, _) => Some(SourceFound::Changed { found, kept }),
            }
        }
        Err(_) => {
            next.failed = row.failed.saturating_add(1);
            let since_ms = *next.failing_since_ms.get_or_insert(now_ms);
            let is_lost = next.failed >= rules.lost_after && row.state != SourceState::Lost;
            is_lost.then_some(SourceFound::Lost { since_ms, tries: next.failed, kept })
        }
    };
    next.owed = what.map(|what| SourceFinding { what, at_ms: now_ms, subject });
    next
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::Address;
    use medtrail_ledger::directory::SourceOwner;
    use medtrail_ledger::inquiry::LineRef;

    const RULES: Rules = Rules { every_ms: 100, lost_after: 3 };
    const VERSION: B256 = B256::repeat_byte(7);

    fn row(state: SourceState) -> SourceRow {
        SourceRow {
            id: B256::repeat_byte(1),
            index: 5,
            subject: B256::repeat_byte(2),
            record: B256::repeat_byte(3),
            version: VERSION,
            by: SourceOwner::Organisation(Address::repeat_byte(4)),
            registered_ms: 1,
            told_at: 5,
            after: LineRef { index: 5, commitment: B256::repeat_byte(1) },
            has_url: true,
            state,
            since_ms: 1,
            failed: 0,
            failing_since_ms: None,
            probed_ms: None,
            due_ms: 1,
            owed: None,
        }
    }

    fn ask(row: &SourceRow, answer: Result<B256, Unanswered>, now_ms: u64) -> SourceRow {
        seen(row, answer, now_ms, RULES, row.subject, Elsewhere::Nowhere)
    }

    #[test]
    fn silence_is_told_after_so_many_tries_and_once() {
        let silence = Err(Unanswered::Unreached);
        let first = ask(&row(SourceState::Here), silence, 10);
        assert_eq!((first.failed, first.failing_since_ms, first.owed), (1, Some(10), None));
        assert_eq!((first.due_ms, first.probed_ms), (110, Some(10)));
        let second = ask(&first, silence, 110);
        assert_eq!((second.failed, second.owed), (2, None));
        // An answer in between begins anew.
        assert_eq!(ask(&second, Ok(VERSION), 150).failed, 0);
        let third = ask(&second, silence, 210);
        let kept = Elsewhere::Nowhere;
        let what = SourceFound::Lost { since_ms: 10, tries: 3, kept };
        let finding = SourceFinding { what, at_ms: 210, subject: third.subject };
        assert_eq!(third.owed, Some(finding));
        let lost = SourceRow { state: SourceState::Lost, owed: None, ..third };
        assert_eq!(ask(&lost, silence, 310).owed, None);
    }

    #[test]
    fn the_same_bytes_bring_it_back_and_others_never_do() {
        let other = B256::repeat_byte(8);
        for state in [SourceState::Lost, SourceState::Changed] {
            let what = ask(&row(state), Ok(VERSION), 10).owed.unwrap().what;
            assert_eq!(what, SourceFound::Back { since_ms: 1 });
        }
        for state in [SourceState::Here, SourceState::Moved, SourceState::Lost] {
            let what = ask(&row(state), Ok(other), 10).owed.unwrap().what;
            assert_eq!(what, SourceFound::Changed { found: other, kept: Elsewhere::Nowhere });
        }
        assert_eq!(ask(&row(SourceState::Changed), Ok(B256::ZERO), 10).owed, None);
        let there = ask(&row(SourceState::Moved), Ok(VERSION), 10);
        assert_eq!((there.state, there.since_ms, there.owed), (SourceState::Here, 10, None));
    }
}
