//! Events that stand twice, found by sorting in runs of bounded size: a set of all events would
//! grow with the log.

use crate::ports::EventKey;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Events of one run: 24 bytes each.
pub const RUN_EVENTS: usize = 1 << 20;

/// An event, and the entry that reports it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct EventAt {
    /// Which event.
    pub event: EventKey,
    /// Where.
    pub index: u64,
}

impl EventAt {
    /// Bytes of one in a run.
    pub const BYTES: usize = 24;

    /// As it stands in a run.
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        out[..16].copy_from_slice(&self.event.0);
        out[16..].copy_from_slice(&self.index.to_be_bytes());
        out
    }

    /// Reads what [`encode`](Self::encode) wrote.
    pub fn decode(bytes: &[u8; Self::BYTES]) -> Self {
        let (event, index) = bytes.split_at(16);
        let event = EventKey(event.try_into().expect("16 bytes"));
        Self { event, index: u64::from_be_bytes(index.try_into().expect("8 bytes")) }
    }
}

/// One event at two places.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Double {
    /// Which event.
    pub event: EventKey,
    /// Its first place.
    pub first: u64,
    /// Its second.
    pub second: u64,
}

/// All doubles among sorted runs, by event. Holds one event a run.
pub struct Doubles<R> {
    runs: Vec<R>,
    heads: BinaryHeap<Reverse<(EventAt, usize)>>,
    last: Option<EventAt>,
}

impl<E, R: Iterator<Item = Result<EventAt, E>>> Doubles<R> {
    /// Merges runs, each sorted.
    pub fn among(runs: Vec<R>) -> Result<Self, E> {
        let mut merged = Self { heads: BinaryHeap::with_capacity(runs.len()), runs, last: None };
        for run in 0..merged.runs.len() {
            merged.advance(run)?;
        }
        Ok(merged)
    }

    fn advance(&mut self, run: usize) -> Result<(), E> {
        if let Some(next) = self.runs[run].next() {
            self.heads.push(Reverse((next?, run)));
        }
        Ok(())
    }
}

impl<E, R: Iterator<Item = Result<EventAt, E>>> Iterator for Doubles<R> {
    type Item = Result<Double, E>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(Reverse((found, run))) = self.heads.pop() {
            if let Err(error) = self.advance(run) {
                return Some(Err(error));
            }
            let before = self.last.replace(found);
            if let Some(before) = before.filter(|before| before.event == found.event) {
                let (event, first, second) = (found.event, before.index, found.index);
                return Some(Ok(Double { event, first, second }));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;
    use std::convert::Infallible;

    proptest! {
        #[test]
        fn every_double_is_found_however_the_runs_are_cut(
            events in prop::collection::vec(0u8..60, 0..120), cut in 1usize..40,
        ) {
            let at = |(index, event): (usize, &u8)| EventAt {
                event: EventKey([*event; 16]), index: index as u64,
            };
            let all: Vec<EventAt> = events.iter().enumerate().map(at).collect();
            let runs = all.chunks(cut).map(|run| {
                let mut run = run.to_vec();
                run.sort_unstable();
                let bytes: Vec<_> = run.iter().map(EventAt::encode).collect();
                bytes.into_iter().map(|bytes| Ok::<_, Infallible>(EventAt::decode(&bytes)))
            });
            let found: Vec<Double> =
                Doubles::among(runs.collect()).unwrap().map(|double| double.unwrap()).collect();

            let mut places: HashMap<EventKey, Vec<u64>> = HashMap::new();
            all.iter().for_each(|at| places.entry(at.event).or_default().push(at.index));
            let doubled: usize = places.values().map(|places| places.len() - 1).sum();
            prop_assert_eq!(found.len(), doubled);
            for Double { event, first, second } in found {
                let at = &places[&event];
                let place = at.iter().position(|index| *index == second).unwrap();
                prop_assert_eq!(at[place - 1], first);
            }
        }
    }
}
