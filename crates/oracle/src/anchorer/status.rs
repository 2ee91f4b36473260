//! How the anchorer is doing, in words an operator can act on.

use super::read_back::ReadBackError;
use crate::follower::FollowError;
use crate::sender::{Alarm, Stop, Wait};
use medtrail_ledger::plan::{Anchor, BlockRef};
use medtrail_ledger::ports::{
    CourierError, JournalError, NotaryError, PreflightError, RegistryError,
};

/// What the last tick found. The default stands until the first tick is over.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Status {
    /// In one word.
    pub state: State,
    /// What is wrong, and what to do about it.
    pub problem: Option<Problem>,
    /// The newest block seen.
    pub head: Option<BlockRef>,
    /// Entries on disk.
    pub entries: u64,
    /// Entries that no mined anchor covers.
    pub lag_entries: u64,
    /// Seconds since the newest mined anchor, while entries wait for the next one.
    pub lag_s: u64,
    /// Size of the anchor that was sent but stands in no block.
    pub pending: Option<u64>,
    /// The newest anchor in a block.
    pub mined: Option<Anchor>,
    /// The newest anchor in a finalized block.
    pub settled: Option<Anchor>,
}

/// The anchorer in one word.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum State {
    /// No tick is over yet.
    #[default]
    Starting,
    /// Nothing is due.
    Idle,
    /// A transaction is under way.
    Sending,
    /// Something is due, but must wait.
    Waiting,
    /// This tick failed; the next one tries again.
    Failing,
    /// Nothing is sent until an operator has acted.
    Stopped,
}

/// Something an operator should know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// What happened, in words.
    pub what: String,
    /// What to do.
    pub advice: &'static str,
}

impl From<&Alarm> for Problem {
    fn from(alarm: &Alarm) -> Self {
        Self { what: alarm.to_string(), advice: alarm.advice() }
    }
}

impl From<&Stop> for Problem {
    fn from(stop: &Stop) -> Self {
        Self { what: stop.to_string(), advice: stop.advice() }
    }
}

impl From<&Wait> for Problem {
    fn from(wait: &Wait) -> Self {
        Self { what: wait.to_string(), advice: "nothing: the next tick looks again" }
    }
}

/// Why a tick ended early. Whatever was not yet saved was not sent either.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TickError {
    /// The chain could not be followed.
    #[error(transparent)]
    Follow(#[from] FollowError),
    /// The chain could not be read.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Plan or log could not be read or written.
    #[error(transparent)]
    Disk(#[from] JournalError),
    /// What is on disk is not what was signed.
    #[error(transparent)]
    ReadBack(#[from] ReadBackError),
    /// The registry does not know the log, and opening it is not this anchorer's to do.
    #[error("the registry does not know this log")]
    NotOpen,
    /// The registry would refuse the call.
    #[error(transparent)]
    Preflight(#[from] PreflightError),
    /// A checkpoint for a part of the log could not be signed.
    #[error(transparent)]
    Notary(#[from] NotaryError),
    /// The transaction could not be signed.
    #[error(transparent)]
    Courier(#[from] CourierError),
}

impl TickError {
    /// What the operator should do.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Follow(error) => error.advice(),
            Self::Registry(error) | Self::Preflight(PreflightError::Registry(error)) => {
                error.advice()
            }
            Self::Disk(_) => "free space or replace the disk, then restart",
            Self::ReadBack(_) => {
                "nothing was anchored: run `medtrail fsck`; restore the damaged tiles from a \
                 backup or a mirror"
            }
            Self::NotOpen => "open the log, or configure the registry it was opened in",
            Self::Preflight(_) => "look at the registry's reason; the log may have been closed",
            Self::Notary(_) | Self::Courier(_) => "check the key and the signer",
        }
    }

    /// Whether trying again without an operator is pointless.
    pub fn is_stop(&self) -> bool {
        matches!(
            self,
            Self::ReadBack(_)
                | Self::Follow(FollowError::Vanished { .. })
                | Self::Courier(CourierError::Disagreement { .. })
        )
    }
}
