//! Addresses of people beside their own.

use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};

/// A fresh address of a person, which joined their own. It says who may see what is reported about
/// it, and moves nothing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AliasRow {
    /// The fresh address: it joins once.
    pub alias: Address,
    /// The address that it joined.
    pub subject: Address,
    /// The id of what both keys signed.
    pub id: B256,
    /// How far it is.
    pub state: AliasState,
}

/// How far an alias is. Rows on disk name a state by its place here.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum AliasState {
    /// Both keys signed. Whether its entries are in the log or not, it has joined.
    Entering {
        /// The `medtrail/alias-v1` document of both entries.
        details: Vec<u8>,
        /// The time of both, milliseconds since 1970.
        time_ms: u64,
    },
    /// Both entries are in the log; the signatures stand there.
    Entered {
        /// The entry in the alias's trail, and the one in that of the address it joined.
        entries: [u64; 2],
    },
}
