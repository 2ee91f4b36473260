//! The entry of a delivery (kind 6), and its details `medtrail/delivery-v1`.

use crate::seal::Sealed;
use alloy_primitives::{Address, B256};
use medtrail_ledger::entry::{Kind, details_hash, event_id, subject_of};
use medtrail_ledger::schema::Report;
use serde::{Deserialize, Serialize};

/// The version of the details this code writes.
pub const VERSION: &str = "medtrail/delivery-v1";
/// Bytes of details that are read.
const DETAILS_BYTES_MAX: usize = 512;

/// What the entry says besides the report.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeliveryDetails {
    /// [`VERSION`].
    pub version: String,
    /// 32 random bytes: the contract sees the hash of these details, and nobody is to guess them.
    pub random: B256,
    /// The manifest's hash.
    pub manifest: B256,
}

/// Why bytes are no details of a delivery.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DetailsError {
    /// Longer than is read.
    #[error("{0} bytes, at most {DETAILS_BYTES_MAX} are read")]
    Bytes(usize),
    /// Not of this form.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// Another version, or another spelling.
    #[error("not {VERSION:?} in its one spelling")]
    Form,
}

impl DeliveryDetails {
    /// Details of a delivery.
    pub fn new(random: B256, manifest: B256) -> Self {
        Self { version: VERSION.to_owned(), random, manifest }
    }

    /// Their bytes, in their one spelling.
    pub fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("hashes are JSON")
    }

    /// Reads details, strictly.
    pub fn parse(bytes: &[u8]) -> Result<Self, DetailsError> {
        if bytes.len() > DETAILS_BYTES_MAX {
            return Err(DetailsError::Bytes(bytes.len()));
        }
        let details: Self = serde_json::from_slice(bytes)?;
        let is_ours = details.version == VERSION && details.bytes() == bytes;
        if is_ours { Ok(details) } else { Err(DetailsError::Form) }
    }
}

/// What a delivery's report is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Delivered<'a> {
    /// The log.
    pub log: B256,
    /// The order's id.
    pub order: B256,
    /// Whose data they are.
    pub seller: Address,
    /// Who delivers: the operator.
    pub actor: Address,
    /// When the file was sealed.
    pub time_ms: u64,
    /// SHA-256 of the outer key.
    pub lock: B256,
    /// The outer file.
    pub sealed: Sealed,
    /// The details.
    pub details: &'a DeliveryDetails,
}

/// The report of a delivery. Its event id is made of the order alone: the log takes one.
pub fn report(of: &Delivered<'_>) -> Report {
    Report {
        log: of.log,
        eventId: event_id(of.actor, of.order.as_slice()),
        kind: Kind::Delivery.number(),
        action: b'E',
        timeMs: of.time_ms,
        subject: subject_of(of.seller),
        actor: of.actor,
        record: of.order,
        fromVersion: of.lock,
        toVersion: of.sealed.hash,
        permission: of.order,
        details: details_hash(&of.details.bytes()),
    }
}
