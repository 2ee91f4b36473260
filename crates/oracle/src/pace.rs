//! How the writer lets a group gather before it commits it.

use crate::sequencer::{Ask, BATCH_ENTRIES_MAX};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// The writer idles for this part of a commit's time at most.
const GATHERING_PART: u32 = 4;
/// It never idles longer than this, however slow the disk was.
const GATHERING_MAX: Duration = Duration::from_millis(5);
/// How often it looks who has come meanwhile.
const GATHERING_PAUSE: Duration = Duration::from_micros(20);
/// How long the writer looks for the next report before it sleeps. To be woken costs a lone
/// reporter, who comes back at once, a tenth of a commit.
const WATCHFUL: Duration = Duration::from_micros(200);

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
    /// Waits for whatever comes first. Returns whether anything will.
    ///
    /// Whoever else has work gets the processor: it looks, and gives way.
    pub(crate) fn first(&self, queue: &mut mpsc::Receiver<Ask>, asked: &mut Vec<Ask>) -> bool {
        let watching = Instant::now();
        while watching.elapsed() < WATCHFUL {
            match queue.try_recv() {
                Ok(ask) => {
                    asked.push(ask);
                    return true;
                }
                Err(mpsc::error::TryRecvError::Empty) => std::thread::yield_now(),
                Err(mpsc::error::TryRecvError::Disconnected) => return false,
            }
        }
        queue.blocking_recv_many(asked, BATCH_ENTRIES_MAX) > 0
    }

    /// A group that begins with so many.
    pub(crate) fn gathering(&self, gathered: usize) -> Gathering {
        let usual = self.groups[0].max(self.groups[1]).min(BATCH_ENTRIES_MAX);
        let patience = (self.commit / GATHERING_PART).min(GATHERING_MAX);
        Gathering { usual, gathered, patience }
    }

    pub(crate) fn done(&mut self, group: Gathering, commit: Duration) {
        self.groups = [group.gathered, self.groups[0]];
        self.commit = commit;
    }
}

/// A group that gathers.
pub(crate) struct Gathering {
    usual: usize,
    gathered: usize,
    /// How long the writer may still idle for it.
    patience: Duration,
}

impl Gathering {
    /// Waits for the next of as many as came of late, as long as it pays. A lone reporter never
    /// waits. Returns whether anybody came.
    pub(crate) fn more(&mut self, queue: &mut mpsc::Receiver<Ask>, asked: &mut Vec<Ask>) -> bool {
        loop {
            // Who is here already is taken, however many came of late: they would only wait.
            while self.gathered < BATCH_ENTRIES_MAX {
                match queue.try_recv() {
                    Ok(ask) => asked.push(ask),
                    Err(mpsc::error::TryRecvError::Empty) => break,
                    Err(mpsc::error::TryRecvError::Disconnected) => return !asked.is_empty(),
                }
                self.gathered += 1;
            }
            if !asked.is_empty() {
                return true;
            }
            if self.gathered >= self.usual || self.patience.is_zero() {
                return false;
            }
            let idle = Instant::now();
            std::thread::sleep(GATHERING_PAUSE);
            self.patience = self.patience.saturating_sub(idle.elapsed());
        }
    }
}
