//! By which channels people are told, and what is on its way to them.

use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};

/// The channels by which a person wants to be told.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ChannelsRow {
    /// Who.
    pub subject: Address,
    /// Of entries from this one on.
    pub since: u64,
    /// By e-mail.
    pub email: Option<EmailChannel>,
    /// By webhook.
    pub webhook: Option<WebhookChannel>,
    /// When a code was sent last, milliseconds since 1970.
    pub code_sent_ms: u64,
}

/// An e-mail address for notices.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EmailChannel {
    /// The address.
    pub address: String,
    /// Once a day; else at once.
    pub is_daily: bool,
    /// Of the mail (BCP 47).
    pub language: String,
    /// Who reads it showed its code.
    pub is_confirmed: bool,
    /// [`secret_hash`](super::secret_hash) of that code.
    pub code_hash: B256,
    /// When that was drawn, milliseconds since 1970.
    pub code_made_ms: u64,
}

/// A webhook for notices.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WebhookChannel {
    /// Where to.
    pub url: String,
    /// The key of its signatures.
    pub secret: Vec<u8>,
}

/// Something that is to be told, until it was and the log has its entry.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DueNotice {
    /// The event id of its entry.
    pub id: B256,
    /// Whom.
    pub subject: Address,
    /// How.
    pub sort: DueSort,
    /// About these entries.
    pub about: Vec<u64>,
    /// Not before, milliseconds since 1970.
    pub due_ms: u64,
    /// How often it was tried.
    pub tries: u32,
    /// It was sent; its entry is owed.
    pub is_sent: bool,
}

/// How something is told.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum DueSort {
    /// A mail that asks whether its address is right.
    Confirm {
        /// Where to.
        to: String,
        /// Of the mail.
        language: String,
        /// What it holds.
        code: String,
    },
    /// A mail at once.
    Mail,
    /// The mail of a day.
    Digest,
    /// A webhook.
    Webhook,
}
