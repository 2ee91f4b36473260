//! Bindings on their way from a code to two entries.

use alloy_primitives::{Address, B256, Bytes};
use serde::{Deserialize, Serialize};

/// A pseudonym on its way to a person, or there.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BindingRow {
    /// Its id: [`code_hash`](super::code_hash) of the code from the desk.
    pub id: B256,
    /// Whose pseudonym it is.
    pub organisation: Address,
    /// The pseudonym.
    pub pseudonym: B256,
    /// Until when code and document are good, milliseconds since 1970.
    pub expires_ms: u64,
    /// How far it is.
    pub state: BindingState,
}

/// What a binding's document says beside pseudonym and expiry; with them it is made anew, byte
/// for byte.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BindingParties {
    /// The organisation's name when the document was made: it stands in the statement.
    pub name: String,
    /// The key that must countersign.
    pub custodian: Address,
    /// The person who came with the code.
    pub subject: Address,
}

/// How far a binding is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum BindingState {
    /// The desk gave its code out, nobody knows by which key: by an API key, or written before
    /// [`Self::IssuedBy`] was. The organisation's newest key countersigns.
    Issued,
    /// A person came with the code; nobody else may from now on.
    Claimed(BindingParties),
    /// The person signed.
    Signed {
        /// Who.
        parties: BindingParties,
        /// The person's signature.
        signature: Bytes,
    },
    /// Both signed. The pseudonym is moved from here on, whether or not its entries are in the log.
    Entering {
        /// Who.
        parties: BindingParties,
        /// The person's signature.
        signature: Bytes,
        /// The organisation's signature.
        countersignature: Bytes,
        /// The time of both entries, milliseconds since 1970.
        time_ms: u64,
    },
    /// Both entries are in the log; the signatures stand there.
    Entered {
        /// Who has the pseudonym's entries now.
        subject: Address,
        /// The last entry of the pseudonym's trail, and the same in the address's.
        entries: [u64; 2],
    },
    /// Another binding of the same pseudonym came first; it was told.
    Refused,
    /// The desk gave its code out by this key, which must countersign: its gateway alone knows the
    /// code. Last, since rows on disk name a state by its place here.
    IssuedBy(Address),
}
