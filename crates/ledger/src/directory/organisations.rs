//! Organisations, and by what they report: keys, invites, API keys.

use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};

/// A signing key of an organisation.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct KeyRow {
    /// Its address.
    pub address: Address,
    /// From when it speaks, milliseconds since 1970.
    pub from_ms: u64,
    /// Until when, if it has ended.
    pub until_ms: Option<u64>,
}

/// An organisation that was added while the log ran, or further keys of a configured one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OrganisationRow {
    /// Its id, for ever.
    pub id: Address,
    /// Name.
    pub name: String,
    /// Number in a public register.
    pub register_number: Option<String>,
    /// Internet domain.
    pub domain: String,
    /// The address that was named when it was added: no other key may enrol first.
    pub expected_key: Option<Address>,
    /// Signing keys, newest last.
    pub keys: Vec<KeyRow>,
    /// When it was added, milliseconds since 1970.
    pub since_ms: u64,
}

/// A one-time code with which a key joins an organisation.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct InviteRow {
    /// [`invite_hash`](super::invite_hash) of its code.
    pub code_hash: B256,
    /// Whom it invites.
    pub organisation: Address,
    /// Until when, milliseconds since 1970.
    pub expires_ms: u64,
    /// The key that used it.
    pub used_by: Option<Address>,
}

/// An API key: its secret is never kept.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ApiKeyRow {
    /// Its public part.
    pub id: String,
    /// Whose it is.
    pub organisation: Address,
    /// [`secret_hash`](super::secret_hash) of its secret part.
    pub secret_hash: B256,
    /// When it was made, milliseconds since 1970.
    pub created_ms: u64,
    /// When it was revoked.
    pub revoked_ms: Option<u64>,
}
