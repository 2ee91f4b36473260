//! What those have in common who follow the log behind its head: the judge, the clerk, the herald
//! and the prober. Each is a thread of its own that nobody waits for; how far it is stands in the
//! directory, and what it read again after a crash changes nothing.

use crate::anchorer::Problem;
use crate::intake::ReportError;
use crate::opener::EntryError;
use crate::sequencer::Committed;
use crate::service::Service;
use medtrail_ledger::directory::DirectoryChange;
use medtrail_ledger::entry::Kind;
use medtrail_ledger::ports::JournalError;
use std::time::Duration;

/// How long is left alone what failed: the disk, the log or the chain was busy.
pub(crate) const RETRY: Duration = Duration::from_secs(2);
/// Entries after which it is saved how far somebody is, although nothing in them mattered.
pub(crate) const SAVE_ENTRIES: u64 = 16_384;
/// Commits that somebody who is told may lag behind before they have to read rows.
pub(crate) const TOLD_MAX: usize = 1024;
/// Rows read at once where nobody told which of them matter.
const ROWS_AT_ONCE: u64 = 1024;

/// What a commit appended, for those who follow only some of it.
#[derive(Debug)]
pub(crate) struct Told {
    /// Index of its first entry.
    pub(crate) first: u64,
    /// Index after its last entry.
    pub(crate) end: u64,
    /// Indexes of those entries in it that concern who is told, and what they are about.
    pub(crate) which: Vec<(u64, Kind)>,
}

impl Told {
    pub(crate) fn of(commit: &Committed, concerns: fn(Kind) -> bool) -> Self {
        let end = commit.first + commit.headers.len() as u64;
        let kinds = (commit.first..).zip(commit.kinds.iter().copied());
        let which = kinds.filter(|(_, kind)| concerns(*kind)).collect();
        Self { first: commit.first, end, which }
    }
}

/// Why somebody does not go on now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Obstacle {
    #[error(transparent)]
    Entry(#[from] EntryError),
    #[error(transparent)]
    Log(#[from] ReportError),
    #[error("there is no thread for it: {0}")]
    Thread(#[from] std::io::Error),
}

impl From<JournalError> for Obstacle {
    fn from(error: JournalError) -> Self {
        Self::Entry(error.into())
    }
}

impl Obstacle {
    /// As the operator is told of it: `waiting` says what does not go on.
    pub(crate) fn problem(&self, waiting: &str) -> Problem {
        Problem {
            what: format!("{waiting}: {self}"),
            advice: "nothing at first: it is tried again; if it lasts, check the disk",
        }
    }
}

/// Warns of a problem when it is a new one.
pub(crate) fn warn_once(before: Option<&Problem>, now: Option<&Problem>) {
    if let Some(problem) = now.filter(|now| before != Some(now)) {
        tracing::warn!("{}", problem.what);
    }
}

impl Service {
    /// Where to begin: as far as `word` in the directory says. A log without that word, which ran
    /// before there was anybody to follow it, is followed from here on.
    pub(crate) fn begin_at(
        &self,
        known: Option<u64>,
        word: fn(u64) -> DirectoryChange,
    ) -> Result<u64, JournalError> {
        let size = self.head().size;
        match known {
            Some(entries) => Ok(entries.min(size)),
            None => {
                self.0.live.apply(vec![word(size)])?;
                Ok(size)
            }
        }
    }

    /// The next rows below `size`, with their indexes; at least one.
    pub(crate) fn rows_from(
        &self,
        next: u64,
        size: u64,
    ) -> Result<impl ExactSizeIterator<Item = (u64, Vec<u8>)> + use<>, JournalError> {
        let rows = self.0.journal.rows(next..size.min(next + ROWS_AT_ONCE))?;
        if rows.is_empty() {
            return Err(JournalError::Damaged(format!("row {next} is missing")));
        }
        Ok(rows.into_iter().enumerate().map(move |(place, row)| (next + place as u64, row)))
    }
}
