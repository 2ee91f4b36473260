//! The trust file: whose log a verifier means. A proof says which log it is from; only this, or
//! the chain, says whose that is and which keys speak for it.

use crate::checkpoint::{CheckpointError, SignedCheckpoint};
use crate::note::{NoteError, VerifierKey};
use crate::schema;
use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};

/// The version this code writes.
pub const VERSION: &str = "medtrail/trust-v1";

/// `medtrail/trust-v1`, served at `/.well-known/medtrail.json` and kept by whoever verifies.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrustFile {
    /// [`VERSION`].
    pub version: String,
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// AnchorRegistry's address.
    pub registry: Address,
    /// The log's id there.
    pub log: B256,
    /// The log's origin.
    pub origin: String,
    /// Who runs it.
    pub operator: Operator,
    /// Who reports to it.
    #[serde(default)]
    pub organisations: Vec<Organisation>,
}

/// Who runs a log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Operator {
    /// Name.
    pub name: String,
    /// Internet domain.
    pub domain: String,
    /// Ed25519 key of the notes, as a C2SP verifier key.
    pub note_key: String,
    /// Hot keys, newest last.
    pub keys: Vec<Key>,
}

/// Somebody who reports.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Organisation {
    /// Name.
    pub name: String,
    /// Number in a public register, if it stands in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub register_number: Option<String>,
    /// Internet domain.
    pub domain: String,
    /// Signing keys, newest last.
    pub keys: Vec<Key>,
}

/// A key and when it speaks.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Key {
    /// Its address.
    pub address: Address,
    /// From when, milliseconds since 1970.
    pub from_ms: u64,
    /// Until when; absent while it is in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
}

impl Key {
    /// Whether it speaks at this time.
    pub fn speaks_at(&self, time_ms: u64) -> bool {
        self.from_ms <= time_ms && self.until_ms.is_none_or(|until| time_ms < until)
    }
}

/// Why this is no trust file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// Not JSON of this shape.
    #[error("not a trust file: {0}")]
    Json(#[from] serde_json::Error),
    /// Another version.
    #[error("version is {0:?}, this reads {VERSION:?}")]
    Version(String),
    /// The note key cannot be read, or is not named after the log's origin.
    #[error("operator.noteKey: {0}")]
    NoteKey(#[from] NoteError),
    /// The note key is another log's.
    #[error("operator.noteKey is named {0:?}, it must be named like the origin")]
    NoteKeyName(String),
}

impl TrustFile {
    /// Reads a trust file and checks what can be checked of it alone.
    pub fn parse(json: &[u8]) -> Result<Self, TrustError> {
        let file: Self = serde_json::from_slice(json)?;
        if file.version != VERSION {
            return Err(TrustError::Version(file.version));
        }
        let key = VerifierKey::parse(&file.operator.note_key)?;
        if key.name != file.origin {
            return Err(TrustError::NoteKeyName(key.name));
        }
        Ok(file)
    }

    /// The keys that speak for the log, the operator's being the one of this address.
    pub fn log_keys(&self, operator: Address) -> Result<LogKeys, NoteError> {
        Ok(LogKeys {
            chain_id: self.chain_id,
            registry: self.registry,
            log: self.log,
            note_key: VerifierKey::parse(&self.operator.note_key)?,
            operator,
        })
    }

    /// Whether this address is a key of the operator, at any time.
    pub fn is_operator(&self, address: Address) -> bool {
        self.operator.keys.iter().any(|key| key.address == address)
    }

    /// Whether the operator speaks by this address at this time.
    pub fn operator_speaks(&self, address: Address, time_ms: u64) -> bool {
        let mut keys = self.operator.keys.iter();
        keys.any(|key| key.address == address && key.speaks_at(time_ms))
    }

    /// The organisation that speaks by this address at this time.
    pub fn organisation_of(&self, address: Address, time_ms: u64) -> Option<&Organisation> {
        self.organisations.iter().find(|organisation| {
            organisation.keys.iter().any(|key| key.address == address && key.speaks_at(time_ms))
        })
    }
}

/// The keys that speak for one log, from a trust file or from the chain: never from a proof.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogKeys {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// AnchorRegistry's address.
    pub registry: Address,
    /// The log's id.
    pub log: B256,
    /// Ed25519 key of its notes, named like its origin.
    pub note_key: VerifierKey,
    /// The operator's hot key.
    pub operator: Address,
}

impl LogKeys {
    /// The EIP-712 domain of the log's documents.
    pub fn domain(&self) -> alloy_sol_types::Eip712Domain {
        schema::domain(self.chain_id, self.registry)
    }

    /// Checks both signatures of a checkpoint; returns when the operator signed, in milliseconds.
    pub fn verify(&self, signed: &SignedCheckpoint) -> Result<u64, CheckpointError> {
        signed.verify_log(&self.note_key)?;
        signed.verify_operator(self.operator, self.log, &self.domain())
    }
}
