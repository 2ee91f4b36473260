//! What the consent registry on the chain has recorded about one subject. Pure data.

use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};

/// An event of the registry, and whether any reorganisation can still take it back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsentRecord {
    /// What happened.
    pub event: ConsentEvent,
    /// Its block is final.
    pub is_final: bool,
}

/// Times are those of the blocks, in seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum ConsentEvent {
    /// A permission was given on chain.
    #[serde(rename_all = "camelCase")]
    Granted {
        /// The document's id.
        permission: B256,
        /// When.
        at_s: u64,
    },
    /// A permission was taken back for ever.
    #[serde(rename_all = "camelCase")]
    Revoked {
        /// The document's id.
        permission: B256,
        /// When.
        at_s: u64,
    },
    /// All permissions of earlier epochs were taken back.
    #[serde(rename_all = "camelCase")]
    EpochStarted {
        /// The epoch that began.
        epoch: u64,
        /// When.
        at_s: u64,
    },
    /// A recovery ended: somebody else acts for the subject, and a freeze is over.
    #[serde(rename_all = "camelCase")]
    ControlMoved {
        /// Who acts from here on.
        controller: Address,
        /// When.
        at_s: u64,
    },
    /// Permitting stopped, also where an unfreezing had begun.
    #[serde(rename_all = "camelCase")]
    Frozen {
        /// When.
        at_s: u64,
    },
    /// Permitting goes on, later.
    #[serde(rename_all = "camelCase")]
    UnfreezeStarted {
        /// From when on.
        until_s: u64,
    },
}
