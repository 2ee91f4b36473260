//! What the writer is asked and answers, what it tells those who follow it, and why it cannot.

use crate::room::Answer;
use alloy_primitives::B256;
use medtrail_ledger::edge::EdgeError;
use medtrail_ledger::entry::Kind;
use medtrail_ledger::merkle::Hash;
use medtrail_ledger::ports::{CommitError, JournalError, NotaryError, RowHeader, SubjectTag};
use std::sync::Arc;
use tokio::sync::oneshot;

/// What the writer is asked.
pub(crate) enum Ask {
    /// A place for a report.
    Place(Box<Waiting>),
    /// The end of an era of some subjects: lines that come after it are sealed under another key.
    EndEra(EndEra),
    /// To take what already waits, and end.
    Stop,
}

/// A report that was checked, hashed and encoded, and waits for its place.
pub(crate) struct Waiting {
    pub(crate) header: RowHeader,
    pub(crate) report_hash: B256,
    pub(crate) subject: B256,
    /// Whether the salt comes from the log's key and the index.
    pub(crate) is_salted_by_index: bool,
    /// Whether its row is sealed under the log's key.
    pub(crate) is_sealed_by_the_log: bool,
    /// Told to those who follow the log, so that they need not open every row.
    pub(crate) kind: Kind,
    /// Where the index of filed entries has this event, asked when `filed` entries were filed.
    pub(crate) known: Option<u64>,
    pub(crate) filed: u64,
    pub(crate) encoded: Vec<u8>,
    pub(crate) answer: Answer,
}

/// Asks that the keys under which these subjects' lines stand so far seal no more.
pub(crate) struct EndEra {
    /// The first is the one that `expected` is about.
    pub(crate) subjects: Vec<SubjectTag>,
    /// The ordinal of the first subject's last line, as the asker knows it.
    pub(crate) expected: Option<u64>,
    /// Gets the ordinals of the last lines, durable; or, where it is another than was expected, and
    /// nothing was done, that one.
    pub(crate) answer: oneshot::Sender<Result<Result<Vec<u64>, u64>, JournalError>>,
}

/// Where a report stands now. Durable when it is handed out.
#[derive(Debug)]
pub(crate) enum Placed {
    /// It was appended.
    New(Box<Appended>),
    /// It, or another report of the same event, stands there already.
    Known { index: u64 },
}

/// A fresh entry, with its way into the checkpoint of the same commit.
#[derive(Debug)]
pub(crate) struct Appended {
    pub(crate) index: u64,
    pub(crate) place_hash: B256,
    pub(crate) path: Vec<Hash>,
    pub(crate) head: Arc<Head>,
}

/// The end of the log as everyone may see it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Head {
    /// Entries.
    pub size: u64,
    /// RFC 9162 root over them.
    pub root: Hash,
    /// The signed note.
    pub checkpoint: String,
    /// Newest `receivedMs`.
    pub received_ms: u64,
}

/// What one commit appended, for those who follow the log. Durable when it is handed out.
#[derive(Debug)]
pub(crate) struct Committed {
    /// Index of the first of them. A follower that finds a gap before it reads the rows.
    pub(crate) first: u64,
    pub(crate) headers: Vec<RowHeader>,
    /// What each of them is about: not every row need be opened to find what concerns somebody.
    pub(crate) kinds: Vec<Kind>,
}

/// Why a report got no place.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// The queue, or what waits for the filer, is full. Nothing was written; come back.
    #[error("the log takes no more reports just now; come back")]
    Busy,
    /// The disk is full. Nothing was written; come back.
    #[error("the disk is full; nothing was written")]
    DiskFull,
    /// It is not known whether the report was written. Send the same report again: it gets the
    /// same place if it was.
    #[error("it is not known whether this was written; send the same report again")]
    OutcomeUnknown,
    /// The writer has stopped; the process is about to end.
    #[error("the log has stopped taking reports")]
    Stopped,
}

/// Why the writer ended. The process must end with it, and start anew from the disk.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SequencerError {
    /// The disk cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A commit failed so that nothing held in memory may be trusted.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// What stands on disk is not what was signed.
    #[error("the log on disk contradicts itself: {0}")]
    Contradiction(String),
    /// No checkpoint can be signed, not even the first.
    #[error(transparent)]
    Notary(#[from] NotaryError),
}

impl From<EdgeError> for SequencerError {
    fn from(error: EdgeError) -> Self {
        Self::Contradiction(error.to_string())
    }
}
