//! How the writer lets a group gather before it commits it.

use crate::sequencer::{Ask, BATCH_ENTRIES_MAX};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// A group gathers for this part of a commit's time at most.
const GATHERING_PART: u32 = 4;
/// A group never gathers longer than this, however slow the disk was.
const GATHERING_MAX: Duration = Duration::from_millis(5);
/// How often it looks who has come meanwhile.
const GATHERING_PAUSE: Duration = Duration::from_micros(20);

/// How large groups have been of late, and how long their commits took.
///
/// Reporters that were answered together come back together, but not at the same instant: a writer
/// that starts with the first of them commits a few, then all the others, and each waits twice.
#[derive(Default)]
pub(crate) struct Pace {
    groups: [usize; 2],
    commit: Duration,
}

impl Pace {
    /// Waits for as many as came of late, but never longer than a part of a commit. A lone
    /// reporter never waits.
    pub(crate) fn gather(&self, queue: &mut mpsc::Receiver<Ask>, asked: &mut Vec<Ask>) {
        let usual = self.groups[0].max(self.groups[1]).min(BATCH_ENTRIES_MAX);
        let until = Instant::now() + (self.commit / GATHERING_PART).min(GATHERING_MAX);
        while asked.len() < usual && Instant::now() < until {
            match queue.try_recv() {
                Ok(ask) => asked.push(ask),
                Err(mpsc::error::TryRecvError::Empty) => std::thread::sleep(GATHERING_PAUSE),
                Err(mpsc::error::TryRecvError::Disconnected) => return,
            }
        }
    }

    pub(crate) fn done(&mut self, group: usize, commit: Duration) {
        self.groups = [group, self.groups[0]];
        self.commit = commit;
    }
}
