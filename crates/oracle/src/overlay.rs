//! What the indexes do not know yet: entries that are durable but not filed.

use alloy_primitives::map::HashMap;
use medtrail_ledger::ports::{EventKey, RowHeader, SubjectTag, TrailHead};
use std::collections::VecDeque;

/// Entries one generation holds. Generations are dropped whole once the filer is past them, so
/// that forgetting costs nothing an entry.
const GENERATION_ENTRIES: u64 = 65_536;

/// Event keys and trail ends of the newest entries, about 60 bytes an entry.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    generations: VecDeque<Generation>,
}

#[derive(Debug)]
struct Generation {
    first: u64,
    events: HashMap<EventKey, u32>,
    trails: HashMap<SubjectTag, TrailHead>,
}

impl Overlay {
    /// Index of the first entry known here; entries below it may be known all the same.
    pub(crate) fn first(&self) -> Option<u64> {
        self.generations.front().map(|generation| generation.first)
    }

    /// Takes in the entry at `index`: one more than the last taken in.
    pub(crate) fn insert(&mut self, index: u64, header: &RowHeader) {
        let is_full = |generation: &Generation| index - generation.first >= GENERATION_ENTRIES;
        if self.generations.back().is_none_or(is_full) {
            // As large as the one before it became: a map that grows copies itself each time.
            let like = self.generations.back().map(|full| (full.events.len(), full.trails.len()));
            let (events, trails) = like.unwrap_or_default();
            self.generations.push_back(Generation {
                first: index,
                events: HashMap::with_capacity_and_hasher(events, Default::default()),
                trails: HashMap::with_capacity_and_hasher(trails, Default::default()),
            });
        }
        let newest = self.generations.back_mut().expect("one was just made");
        newest.events.insert(header.event, (index - newest.first) as u32);
        if header.ordinal > 0 {
            newest.trails.insert(header.subject, TrailHead { ordinal: header.ordinal, index });
        }
    }

    /// Where a report stands, if it is among these.
    pub(crate) fn find(&self, event: EventKey) -> Option<u64> {
        self.generations.iter().rev().find_map(|generation| {
            generation.events.get(&event).map(|place| generation.first + u64::from(*place))
        })
    }

    /// The end of a trail, if it is among these.
    pub(crate) fn last_of(&self, subject: SubjectTag) -> Option<TrailHead> {
        self.generations
            .iter()
            .rev()
            .find_map(|generation| generation.trails.get(&subject).copied())
    }

    /// Forgets generations that are filed whole, but for one: a reporter's thread looks into the
    /// index before it queues, and what was filed since then must still be found here.
    pub(crate) fn forget_below(&mut self, filed: u64) {
        while self.generations.len() > 2 && self.generations[2].first <= filed {
            self.generations.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use medtrail_ledger::ports::RecordTag;

    fn header(index: u64) -> RowHeader {
        let mut event = [0; 16];
        event[..8].copy_from_slice(&index.to_be_bytes());
        let subject = SubjectTag([(index % 3) as u8 + 1; 16]);
        RowHeader {
            subject,
            ordinal: index / 3 + 1,
            event: EventKey(event),
            record: RecordTag([0; 16]),
        }
    }

    #[test]
    fn the_newest_entries_are_found_and_filed_generations_are_forgotten_late() {
        let mut overlay = Overlay::default();
        let size = 3 * GENERATION_ENTRIES + 5;
        (10..size).for_each(|index| overlay.insert(index, &header(index)));
        assert_eq!(overlay.find(header(10).event), Some(10));
        assert_eq!(overlay.find(header(9).event), None);
        let last = size - 1;
        let expected = TrailHead { ordinal: header(last).ordinal, index: last };
        assert_eq!(overlay.last_of(header(last).subject), Some(expected));

        overlay.forget_below(GENERATION_ENTRIES + 10);
        assert_eq!(overlay.find(header(10).event), Some(10), "one filed generation stays");
        overlay.forget_below(2 * GENERATION_ENTRIES + 10);
        assert_eq!(overlay.find(header(10).event), None);
        assert_eq!(overlay.first(), Some(GENERATION_ENTRIES + 10));
        overlay.forget_below(u64::MAX);
        assert_eq!(overlay.find(header(last).event), Some(last), "the newest stay");
    }

    #[test]
    fn an_entry_without_a_person_ends_no_trail() {
        let mut overlay = Overlay::default();
        overlay.insert(0, &RowHeader { ordinal: 0, ..header(0) });
        assert_eq!(overlay.last_of(header(0).subject), None);
    }
}
