//! Numbers that organisations give their reports (`Medtrail-Sequence`): what is missing between
//! them was made and did not come.
//!
//! In memory, from the first number on that came since this process started: the numbers are the
//! organisation's own, and its daily coverage is what stands in the log.

use crate::limits::GAPS_MAX;
use crate::problem::{self, Problem};
use actix_web::http::header::HeaderMap;
use alloy_primitives::Address;
use serde::Serialize;
use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::{Mutex, PoisonError};
use utoipa::ToSchema;

/// What came of an organisation's numbers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Coverage {
    from: u64,
    to: u64,
    gaps: Vec<(u64, u64)>,
}

/// What came of an organisation's numbers, as it is told.
#[derive(Serialize, ToSchema)]
#[schema(as = Coverage)]
pub(crate) struct Told {
    /// The lowest number seen. For the organisation and the operator alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<u64>,
    /// The highest number seen. For the organisation and the operator alone: others could tell by
    /// it which of the log's entries are the organisation's.
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<u64>,
    /// What is missing between them, oldest first: pairs of first and last number. At most 100;
    /// older ones are forgotten.
    gaps: Vec<(u64, u64)>,
}

/// The numbers of all organisations.
#[derive(Default)]
pub(crate) struct Sequences(Mutex<HashMap<Address, Coverage>>);

impl Sequences {
    /// Notes that these numbers came, with something new or only with what had come before. A signed
    /// report can be repeated by anybody who has seen it, its person above all: so a repeat widens
    /// nothing. It may fill a gap, for its answer may have been lost.
    pub(crate) fn note(&self, organisation: Address, numbers: &RangeInclusive<u64>, is_new: bool) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (first, last) = (*numbers.start(), *numbers.end());
        match all.get_mut(&organisation) {
            Some(coverage) if is_new => coverage.note(first, last),
            Some(coverage) => coverage.fill(first, last),
            None if is_new => {
                all.insert(organisation, Coverage { from: first, to: last, gaps: Vec::new() });
            }
            None => {}
        }
    }

    /// What came of this organisation's numbers; `None` if it gives none.
    pub(crate) fn of(&self, organisation: Address) -> Option<Coverage> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&organisation).cloned()
    }
}

impl Coverage {
    /// All of it, or what everybody may know.
    pub(crate) fn told(self, is_all: bool) -> Told {
        let Self { from, to, gaps } = self;
        Told { from: is_all.then_some(from), to: is_all.then_some(to), gaps }
    }

    fn note(&mut self, first: u64, last: u64) {
        if first > self.to + 1 {
            self.gaps.push((self.to + 1, first - 1));
        }
        if last + 1 < self.from {
            self.gaps.insert(0, (last + 1, self.from - 1));
        }
        self.from = self.from.min(first);
        self.to = self.to.max(last);
        self.gaps = self.gaps_without(first, last);
        let too_many = self.gaps.len().saturating_sub(GAPS_MAX);
        self.gaps.drain(..too_many);
    }

    /// What came again fills gaps, unless by cutting one in two it would have an old one forgotten.
    fn fill(&mut self, first: u64, last: u64) {
        let left = self.gaps_without(first, last);
        if left.len() <= GAPS_MAX {
            self.gaps = left;
        }
    }

    fn gaps_without(&self, first: u64, last: u64) -> Vec<(u64, u64)> {
        let left = self.gaps.iter().flat_map(|(from, to)| {
            let before = (*from, (*to).min(first.wrapping_sub(1)));
            let after = ((*from).max(last + 1), *to);
            let is_touched = *from <= last && first <= *to;
            let parts = if is_touched { [before, after] } else { [(*from, *to), (1, 0)] };
            parts.into_iter().filter(|(from, to)| from <= to)
        });
        left.collect()
    }
}

/// The numbers of a request with so many reports: `n`, or `n-m` for several.
pub(crate) fn numbers(
    headers: &HeaderMap,
    reports: usize,
) -> Result<Option<RangeInclusive<u64>>, Problem> {
    let Some(header) = headers.get("medtrail-sequence") else { return Ok(None) };
    let refused =
        |rule: String| Problem::new(&problem::INVALID_FIELD, rule).at("Medtrail-Sequence");
    let text = header.to_str().unwrap_or_default();
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    // Below 2^63: a sum with one can never overflow.
    let number =
        |text: &str| text.parse().ok().filter(|number: &u64| (1..1 << 63).contains(number));
    let read = number(first).zip(number(last)).filter(|(first, last)| first <= last);
    let (first, last) = read.ok_or_else(|| {
        refused(
            "Medtrail-Sequence must be a number from 1, or the first and last of a range".into(),
        )
    })?;
    if last - first + 1 != reports as u64 {
        let rule =
            format!("Medtrail-Sequence has {} numbers for {reports} reports", last - first + 1);
        return Err(refused(rule));
    }
    Ok(Some(first..=last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::{HeaderName, HeaderValue};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const CLINIC: Address = Address::repeat_byte(7);

    proptest! {
        #[test]
        fn gaps_are_what_did_not_come_between_the_lowest_and_the_highest(
            came in prop::collection::vec((1u64..60, 0u64..6), 1..40)
        ) {
            let (sequences, mut seen) = (Sequences::default(), BTreeSet::new());
            for (first, more) in came {
                sequences.note(CLINIC, &(first..=first + more), true);
                seen.extend(first..=first + more);
            }
            let Coverage { from, to, gaps } = sequences.of(CLINIC).unwrap();
            prop_assert_eq!((Some(&from), Some(&to)), (seen.first(), seen.last()));
            let missing: Vec<u64> = (from..=to).filter(|number| !seen.contains(number)).collect();
            let told: Vec<u64> = gaps.iter().flat_map(|(from, to)| *from..=*to).collect();
            prop_assert_eq!(told, missing);
        }
    }

    #[test]
    fn only_so_many_gaps_are_kept_and_they_are_the_newest() {
        let sequences = Sequences::default();
        for number in 0..=GAPS_MAX as u64 + 1 {
            sequences.note(CLINIC, &(2 * number + 1..=2 * number + 1), true);
        }
        let gaps = sequences.of(CLINIC).unwrap().gaps;
        assert_eq!((gaps.len(), gaps[0]), (GAPS_MAX, (4, 4)));
        // Nobody pushes one out by repeating.
        sequences.note(CLINIC, &(1_000..=1_001), true);
        let gaps = sequences.of(CLINIC).unwrap().gaps;
        for number in 400..410 {
            sequences.note(CLINIC, &(2 * number..=2 * number), false);
        }
        assert_eq!(sequences.of(CLINIC).unwrap().gaps, gaps);
    }

    #[test]
    fn what_came_again_fills_a_gap_and_makes_none() {
        let sequences = Sequences::default();
        let note = |first, last, is_new| sequences.note(CLINIC, &(first..=last), is_new);
        note(1 << 62, 1 << 62, false);
        assert_eq!(sequences.of(CLINIC), None);
        note(10, 10, true);
        note(20, 20, true);
        for (first, last) in [(1, 1), (15, 15), (20, 30), (1 << 62, 1 << 62)] {
            note(first, last, false);
        }
        let told = sequences.of(CLINIC).unwrap();
        assert_eq!(told, Coverage { from: 10, to: 20, gaps: vec![(11, 14), (16, 19)] });
    }

    #[test]
    fn a_header_numbers_each_report_once() {
        let read = |text: &'static str, reports| {
            let mut headers = HeaderMap::new();
            let name = HeaderName::from_static("medtrail-sequence");
            headers.insert(name, HeaderValue::from_static(text));
            numbers(&headers, reports).map_err(|problem| problem.kind.slug)
        };
        assert_eq!(read("7", 1), Ok(Some(7..=7)));
        assert_eq!(read("7-9", 3), Ok(Some(7..=9)));
        assert_eq!(numbers(&HeaderMap::new(), 3).unwrap(), None);
        for (text, reports) in [
            ("7-9", 2),
            ("7", 2),
            ("9-7", 1),
            ("0", 1),
            ("", 1),
            ("x", 1),
            ("9223372036854775808", 1),
        ] {
            assert_eq!(read(text, reports), Err("invalid-field"), "{text} for {reports}");
        }
    }
}
