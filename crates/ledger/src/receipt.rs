//! Receipts: what a reporter holds the moment its report is durable.

use crate::checkpoint::{CheckpointError, SignedCheckpoint};
use crate::entry::commitment_of;
use crate::merkle::{PathError, leaf_hash, verify_inclusion};
use crate::trust::LogKeys;
use alloy_primitives::B256;
use serde::{Deserialize, Serialize};

/// The version this code writes.
pub const VERSION: &str = "medtrail/receipt-v1";

/// `medtrail/receipt-v1`: the log's signed word that a report stands at an index.
///
/// It shows the place only as a hash, so that a reporter learns nothing about the person's other
/// entries. With the log's `anchorWithinS` on chain it is a promise with a date.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Receipt {
    /// [`VERSION`].
    pub version: String,
    /// Index of the entry, from 0.
    pub index: u64,
    /// EIP-712 struct hash of the report.
    pub report_hash: B256,
    /// EIP-712 struct hash of its place.
    pub place_hash: B256,
    /// Inclusion path into the checkpoint, leaf to root.
    pub path: Vec<B256>,
    /// The signed note that covers it.
    pub checkpoint: String,
}

/// Why a receipt binds nobody.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// Another version, or not a receipt.
    #[error("version is {0:?}, this checks {VERSION:?}")]
    Version(String),
    /// The checkpoint is broken or signed by others.
    #[error("checkpoint: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// The path does not lead into the checkpoint.
    #[error("path: {0}")]
    Path(#[from] PathError),
}

impl Receipt {
    /// The commitment of the entry.
    pub fn commitment(&self) -> B256 {
        commitment_of(self.report_hash, self.place_hash)
    }

    /// Checks everything that stands in it against the log's keys; returns the checkpoint and when
    /// the operator signed it, in milliseconds.
    pub fn verify(&self, keys: &LogKeys) -> Result<(SignedCheckpoint, u64), ReceiptError> {
        if self.version != VERSION {
            return Err(ReceiptError::Version(self.version.clone()));
        }
        let signed = SignedCheckpoint::parse(self.checkpoint.as_bytes())?;
        let time_ms = keys.verify(&signed)?;
        let path: Vec<_> = self.path.iter().map(|hash| hash.0).collect();
        let leaf = leaf_hash(&self.commitment().0);
        let head = &signed.checkpoint;
        verify_inclusion(&head.root, head.size, self.index, &leaf, &path)?;
        Ok((signed, time_ms))
    }
}
