//! Calls to many: what buyers called for, and who accepted a place.

use alloy_primitives::{Address, B256, Bytes};
use serde::{Deserialize, Serialize};

/// A call that a buyer opened, or says to have.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CallRow {
    /// Its id (EIP-712, the cohort market's domain).
    pub id: B256,
    /// Who buys.
    pub buyer: Address,
    /// The document, as JSON.
    pub document: Vec<u8>,
    /// The description of the dataset, byte for byte: the terms name its hash.
    pub dataset: Vec<u8>,
    /// Until when it is to be delivered, seconds since 1970.
    pub deliver_by_s: u64,
    /// When it was heard of, milliseconds since 1970.
    pub heard_ms: u64,
    /// How far it is.
    pub state: CallState,
}

/// How far a call is. A variant is named by its place: new ones stand last.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum CallState {
    /// No final block shows it as opened.
    Heard,
    /// A final block shows the money; places can be accepted.
    Open {
        /// The time of the block that opened it, seconds since 1970.
        opened_at_s: u64,
    },
    /// A final block shows that all was paid, or that the rest went back.
    Closed {
        /// The time of the block that opened it, seconds since 1970.
        opened_at_s: u64,
    },
}

/// A seller's acceptance of one place of a call.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AcceptanceRow {
    /// Its id (EIP-712, the cohort market's domain).
    pub id: B256,
    /// Of which call.
    pub call: B256,
    /// Who sells: a person's address, or one that they sell under.
    pub seller: Address,
    /// Which place.
    pub place: u32,
    /// The seller's epoch in the ConsentRegistry.
    pub epoch: u64,
    /// Until when it is good, seconds since 1970.
    pub expires_at_s: u64,
    /// By who acts for the seller.
    pub signature: Bytes,
    /// Where the seller lives (ISO 3166-1 alpha-2): by its rule the acceptance was taken.
    pub country: String,
    /// When it was taken, milliseconds since 1970.
    pub accepted_ms: u64,
    /// The entry that says so.
    pub accepted_entry: Option<u64>,
    /// When the seller took it back, milliseconds since 1970.
    pub withdrawn_ms: Option<u64>,
    /// The entry that says that it was taken back, or how the call ended for this seller.
    pub ended_entry: Option<u64>,
}
