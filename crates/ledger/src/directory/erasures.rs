//! What people want erased, and what the law keeps.

use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};

/// A person's wish that what is kept about them be erased.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ErasureRow {
    /// The id of the signed document.
    pub id: B256,
    /// The person.
    pub subject: Address,
    /// The `medtrail/permission-v1` document: what was signed, with its signature.
    pub signed: Vec<u8>,
    /// The subject ids whose lines go, each with the ordinal of the last one that does; none where
    /// only the records do.
    pub parts: Vec<(B256, u64)>,
    /// The subject ids whose records go.
    pub subjects: Vec<B256>,
    /// When it was asked for, milliseconds since 1970.
    pub asked_ms: u64,
    /// When it is done, milliseconds since 1970.
    pub due_ms: u64,
    /// How far it is.
    pub state: ErasureState,
}

/// How far an erasure is. Rows on disk name a state by its place here.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ErasureState {
    /// It waits for its day.
    Waiting,
    /// The person took it back.
    Cancelled {
        /// When, milliseconds since 1970.
        at_ms: u64,
    },
    /// The law stood in its way.
    Refused {
        /// When, milliseconds since 1970.
        at_ms: u64,
        /// The `medtrail/erasure-v1` document that says why.
        details: Vec<u8>,
    },
    /// Nothing stands in its way any more: the keys are being destroyed.
    Erasing {
        /// Its time, milliseconds since 1970.
        at_ms: u64,
        /// The epoch of permissions that ends with it, where lines go.
        ends_epoch: Option<u64>,
    },
    /// The keys are destroyed.
    Done {
        /// When, milliseconds since 1970.
        at_ms: u64,
        /// Its entry.
        index: u64,
    },
}

/// An order to keep what is held about somebody.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HoldRow {
    /// Its id.
    pub id: B256,
    /// Whom it concerns.
    pub subject: B256,
    /// Why.
    pub reason: String,
    /// Who ordered it.
    pub ordered_by: String,
    /// Since when, milliseconds since 1970.
    pub since_ms: u64,
}
