//! Changes that were made without asking, and what their people say to them.

use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};

/// An emergency change: it took effect, and its person is asked about it. Made from the log's entries;
/// what was changed stays there, under its subject's key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EmergencyRow {
    /// The commitment of the change's entry.
    pub id: B256,
    /// Where that stands.
    pub index: u64,
    /// In whose trail it stands.
    pub subject: B256,
    /// Which record was changed.
    pub record: B256,
    /// Whose word it is, if an organisation's.
    pub organisation: Option<Address>,
    /// When the log took it, milliseconds since 1970.
    pub received_ms: u64,
    /// Since and until when somebody is asked, milliseconds since 1970; none: nobody can be yet.
    pub clock: Option<(u64, u64)>,
    /// They were reminded, or it was too late to.
    pub is_reminded: bool,
    /// What they say.
    pub answer: Option<EmergencyAnswer>,
    /// The entry that says that nobody answered in time.
    pub unanswered: Option<u64>,
}

/// What a person says to an emergency change.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EmergencyAnswer {
    /// That it was right; else that it was not.
    pub is_yes: bool,
    /// The entry that says so; none: it stands on the chain.
    pub index: Option<u64>,
    /// When the log took or found it, milliseconds since 1970.
    pub at_ms: u64,
}
