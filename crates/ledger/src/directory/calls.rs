//! Calls to many: what buyers called for, and who accepted a place.

use super::{SealedFile, WithdrawalRow};
use alloy_primitives::{Address, B256, Bytes, FixedBytes};
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
    /// How far its delivery is.
    pub delivery: CallDelivery,
    /// The lock of the file whose key may have been seen, whatever became of it.
    pub shown: Option<B256>,
    /// What sellers wanted deleted who were erased since: for the buyer it stays as it was.
    pub withdrawals: Vec<PartWithdrawalRow>,
}

impl CallRow {
    /// Whether the key of a file with this acceptance's data may have been seen.
    pub fn has_shown(&self, acceptance: &AcceptanceRow) -> bool {
        let lock = acceptance.delivered.map(|delivered| delivered.lock);
        lock.is_some() && lock == self.shown
    }
}

/// How far the delivery of a call is. A variant is named by its place: new ones stand last.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum CallDelivery {
    /// Acceptances come in.
    Collecting,
    /// The key of a file is kept.
    Keyed {
        /// Which.
        key: FileKey,
        /// Whom the file is to be made of, by their acceptances.
        sellers: Vec<B256>,
    },
    /// The file is kept.
    Sealed {
        /// Its key.
        key: FileKey,
        /// The file.
        file: SealedFile,
        /// Who is in it.
        sellers: Vec<B256>,
    },
    /// The key may have been seen by anybody.
    Shown {
        /// Which.
        key: FileKey,
        /// The file.
        file: SealedFile,
        /// Who is in it.
        sellers: Vec<B256>,
    },
    /// Settled as far as it can be, for good.
    Settled {
        /// The key, which everybody knows.
        key: FileKey,
        /// The file.
        file: SealedFile,
        /// Who is in it.
        sellers: Vec<B256>,
    },
    /// It will not be delivered, and what was made for it is being destroyed.
    Refusing {
        /// Why, by its number.
        refusal: u8,
        /// Which attempt was the last; zero: none was made.
        attempt: u32,
    },
    /// It will not be delivered; what was made for it is gone.
    Over {
        /// Why, by its number.
        refusal: u8,
    },
}

/// The key of one file of a call, by what is known of it without it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FileKey {
    /// Which file of the call it is, from 1 on: each has a key of its own.
    pub attempt: u32,
    /// The year in which it was drawn: ages are counted from it.
    pub year: u16,
    /// SHA-256 of what opens the outer seal.
    pub lock: B256,
}

impl CallDelivery {
    /// Whether nothing is left to do.
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Settled { .. } | Self::Over { .. })
    }

    /// Whether the key may have been seen.
    pub fn is_shown(&self) -> bool {
        matches!(self, Self::Shown { .. } | Self::Settled { .. })
    }

    /// The last attempt to make a file; zero: there was none.
    pub fn attempt(&self) -> u32 {
        match self {
            Self::Collecting | Self::Over { .. } => 0,
            Self::Keyed { key, .. }
            | Self::Sealed { key, .. }
            | Self::Shown { key, .. }
            | Self::Settled { key, .. } => key.attempt,
            Self::Refusing { attempt, .. } => *attempt,
        }
    }

    /// The file that is made, its key, and who is in it.
    pub fn file(&self) -> Option<(FileKey, SealedFile, &[B256])> {
        match self {
            Self::Sealed { key, file, sellers }
            | Self::Shown { key, file, sellers }
            | Self::Settled { key, file, sellers } => Some((*key, *file, sellers)),
            _ => None,
        }
    }

    /// Of whom a file is made, or to be made.
    pub fn sellers(&self) -> &[B256] {
        match self {
            Self::Keyed { sellers, .. } => sellers,
            other => other.file().map_or(&[], |(.., sellers)| sellers),
        }
    }
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
    /// It ended with the seller being paid.
    pub is_paid: bool,
    /// The last delivery of it that was entered.
    pub delivered: Option<DeliveredRow>,
    /// The seller wants what was delivered deleted.
    pub withdrawal: Option<PartWithdrawalRow>,
}

/// One person's part of a file, by what the file calls it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PartName {
    /// The person's label, whose hex digits their files begin with.
    pub label: FixedBytes<8>,
    /// The acceptance's id or, of de-identified data, the hash that stands for it in the manifest.
    pub part: B256,
}

/// That a seller wants their part of a file deleted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PartWithdrawalRow {
    /// Which.
    pub name: PartName,
    /// That it was asked for, and what was said to it.
    pub asked: WithdrawalRow,
}

/// The entry of a delivery of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DeliveredRow {
    /// SHA-256 of the key.
    pub lock: B256,
    /// SHA-256 of the file, as the entry names it.
    pub file: B256,
    /// The entry's place.
    pub index: u64,
    /// Which part of the file it is.
    pub name: PartName,
}
