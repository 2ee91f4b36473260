//! Where records are kept, and when somebody looks whether they still are.

use crate::inquiry::LineRef;
use crate::source::Elsewhere;
use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};

/// A place where a version of a record is kept, as the log's entries tell it, and how asking it goes.
/// Words and addresses stay in the entries, under their subject's key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SourceRow {
    /// The commitment of the entry that registered it.
    pub id: B256,
    /// Where that stands.
    pub index: u64,
    /// In whose trail.
    pub subject: B256,
    /// Of which record.
    pub record: B256,
    /// SHA-256 of the bytes that are kept there.
    pub version: B256,
    /// Who registered it.
    pub by: SourceOwner,
    /// When, milliseconds since 1970.
    pub registered_ms: u64,
    /// The entry that says where it is now.
    pub told_at: u64,
    /// The last entry about it.
    pub after: LineRef,
    /// It has an address that can be asked.
    pub has_url: bool,
    /// How it stands.
    pub state: SourceState,
    /// Since when, milliseconds since 1970.
    pub since_ms: u64,
    /// How often in a row it did not answer.
    pub failed: u32,
    /// Since when it does not, milliseconds since 1970.
    pub failing_since_ms: Option<u64>,
    /// When it was asked last, milliseconds since 1970.
    pub probed_ms: Option<u64>,
    /// When it is asked next, milliseconds since 1970.
    pub due_ms: u64,
    /// What was found and is no entry yet.
    pub owed: Option<SourceFinding>,
}

/// Who registered a source.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum SourceOwner {
    /// An organisation, by its id.
    Organisation(Address),
    /// The person whose data it is.
    Person(Address),
}

/// How a source stands, by the entries of the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum SourceState {
    /// Registered, or found with the same bytes since.
    Here,
    /// Moved, and not yet found there.
    Moved,
    /// It does not answer.
    Lost,
    /// It answers with other bytes.
    Changed,
}

/// What asking a source has found: all that its entry will say, so that it is the same after a crash.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SourceFinding {
    /// What it is now.
    pub what: SourceFound,
    /// When that was found, milliseconds since 1970.
    pub at_ms: u64,
    /// In whose trail it is told.
    pub subject: B256,
}

/// What was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum SourceFound {
    /// It does not answer.
    Lost {
        /// Since when, milliseconds since 1970.
        since_ms: u64,
        /// How often it was tried.
        tries: u32,
        /// Who else has it.
        kept: Elsewhere,
    },
    /// It answers with other bytes.
    Changed {
        /// Their SHA-256.
        found: B256,
        /// Who else has what was registered.
        kept: Elsewhere,
    },
    /// It answers with the same bytes again.
    Back {
        /// Since when it was away, milliseconds since 1970.
        since_ms: u64,
    },
}
