//! How much may wait for the writer: for everybody together, and for each organisation as much as
//! it leaves free. One that runs wild takes half, two take a third each; whoever reports a little
//! always finds room.

use crate::sequencer::{PlaceError, Placed};
use alloy_primitives::Address;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

/// Reports that wait for their answers at most.
pub const QUEUE_REPORTS_MAX: usize = 16_384;
/// Bytes of these reports at most, encoded: a report may be a thousand times as long as another.
pub const QUEUE_BYTES_MAX: usize = 256 << 20;
/// What the shortest report takes of these bytes, so that they bound the number too.
const REPORT_BYTES_MIN: usize = QUEUE_BYTES_MAX / QUEUE_REPORTS_MAX;

/// All the room there is. Counted in bytes; a report holds its part from before it is queued until
/// it is answered, so that the group on its way to the disk counts too.
#[derive(Default)]
pub(crate) struct Room {
    held: Arc<AtomicUsize>,
    /// One for each organisation that has reported: as many as are listed.
    shares: Mutex<HashMap<Address, Arc<Share>>>,
}

/// What one organisation holds.
pub(crate) struct Share {
    all: Arc<AtomicUsize>,
    own: AtomicUsize,
}

/// Part of the room, given back when dropped.
pub(crate) struct Held {
    share: Arc<Share>,
    bytes: usize,
}

impl Room {
    pub(crate) fn share_of(&self, whose: Address) -> Arc<Share> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Share { all: self.held.clone(), own: AtomicUsize::new(0) });
        shares.entry(whose).or_insert_with(new).clone()
    }
}

impl Share {
    /// Room for a report of so many bytes; `None` if everybody together, or this organisation,
    /// holds too much.
    pub(crate) fn take(self: &Arc<Self>, bytes: usize) -> Option<Held> {
        let bytes = bytes.max(REPORT_BYTES_MIN);
        // Given back by the drop, also where it turns out to be too much.
        let all = self.all.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let own = self.own.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let held = Held { share: self.clone(), bytes };
        QUEUE_BYTES_MAX.checked_sub(all).is_some_and(|free| own <= free).then_some(held)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.share.own.fetch_sub(self.bytes, Ordering::Relaxed);
        self.share.all.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Where a reporter waits, and what its report holds until then.
pub(crate) struct Answer {
    reporter: oneshot::Sender<Result<Placed, PlaceError>>,
    held: Option<Held>,
}

impl Answer {
    pub(crate) fn new() -> (Self, oneshot::Receiver<Result<Placed, PlaceError>>) {
        let (reporter, answer) = oneshot::channel();
        (Self { reporter, held: None }, answer)
    }

    pub(crate) fn hold(&mut self, held: Held) {
        self.held = Some(held);
    }

    /// Tells the reporter; the outcome comes back if nobody waits any more.
    pub(crate) fn send(
        self,
        outcome: Result<Placed, PlaceError>,
    ) -> Result<(), Result<Placed, PlaceError>> {
        // First: who hears of it may send the next at once.
        drop(self.held);
        self.reporter.send(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(share: &Arc<Share>, bytes: usize) -> Vec<Held> {
        std::iter::from_fn(|| share.take(bytes)).collect()
    }

    #[test]
    fn however_many_run_wild_a_share_is_left_for_the_next() {
        let room = Room::default();
        let mut held = Vec::new();
        for wild in 1..=7 {
            held.push(fill(&room.share_of(Address::repeat_byte(wild)), 1));
            // The first took half, the second a quarter, and so on: each as much as it left.
            assert_eq!(held[usize::from(wild) - 1].len(), QUEUE_REPORTS_MAX >> wild);
            assert!(room.share_of(Address::repeat_byte(0xa0 + wild)).take(1).is_some());
        }
        drop(held);
        assert_eq!(room.held.load(Ordering::Relaxed), 0);
        assert_eq!(fill(&room.share_of(Address::ZERO), 1).len(), QUEUE_REPORTS_MAX / 2);
    }

    #[test]
    fn long_reports_take_more_of_it_and_what_is_refused_takes_nothing() {
        let room = Room::default();
        let share = room.share_of(Address::ZERO);
        let held = fill(&share, 256 << 10);
        assert_eq!(held.len(), (QUEUE_BYTES_MAX / 2) / (256 << 10));
        assert!(share.take(QUEUE_BYTES_MAX).is_none());
        drop(held);
        assert!(share.take(QUEUE_BYTES_MAX / 2).is_some());
        assert!(share.take(QUEUE_BYTES_MAX / 2 + 1).is_none());
        assert_eq!(room.held.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn an_answer_gives_its_room_back_whether_or_not_somebody_waits() {
        let room = Room::default();
        let share = room.share_of(Address::ZERO);
        for is_waiting in [true, false] {
            let (mut answer, waiting) = Answer::new();
            answer.hold(share.take(1).unwrap());
            let waiting = is_waiting.then_some(waiting);
            assert_eq!(answer.send(Err(PlaceError::Busy)).is_ok(), waiting.is_some());
        }
        let (mut answer, _waiting) = Answer::new();
        answer.hold(share.take(1).unwrap());
        drop(answer);
        assert_eq!(room.held.load(Ordering::Relaxed), 0);
    }
}
