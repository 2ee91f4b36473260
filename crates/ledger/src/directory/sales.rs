//! Sales: what is offered, what was ordered, and how far each delivery is.

use alloy_primitives::{Address, B256, Bytes};
use serde::{Deserialize, Serialize};

/// An offer that somebody signed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OfferRow {
    /// Its id (EIP-712, the market's domain).
    pub id: B256,
    /// Who sells: a person's address, or one that they sell under.
    pub seller: Address,
    /// The document, as JSON.
    pub document: Vec<u8>,
    /// The description of the dataset, byte for byte: the terms name its hash.
    pub dataset: Vec<u8>,
    /// By who acts for the seller.
    pub signature: Bytes,
    /// Where the seller lives (ISO 3166-1 alpha-2): by its rule the offer was taken.
    pub country: String,
    /// Until when it can be bought, seconds since 1970.
    pub expires_at_s: u64,
    /// When it was listed, milliseconds since 1970.
    pub listed_ms: u64,
    /// How many records were what it offers, then.
    pub records: u64,
    /// When its seller took it out of the list.
    pub withdrawn_ms: Option<u64>,
}

/// The seller's yes to an order, to be carried to the contract.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ApprovalRow {
    /// Until when it is good, seconds since 1970.
    pub expires_at_s: u64,
    /// By who acts for the seller.
    pub signature: Bytes,
}

/// That a seller wants what was delivered deleted, and what the buyer says to it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WithdrawalRow {
    /// When the seller asked, milliseconds since 1970.
    pub asked_ms: u64,
    /// Until when the buyer has time.
    pub due_ms: u64,
    /// The entry that says so.
    pub asked_entry: Option<u64>,
    /// What the buyer signed, as JSON with its signature.
    pub deletion: Option<Vec<u8>>,
    /// The entry of that, or of the buyer's silence.
    pub ended_entry: Option<u64>,
}

/// What an entry says of a withdrawal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WithdrawalLine {
    /// The seller asked.
    Asked,
    /// The buyer signed that it is deleted.
    Deleted,
    /// The buyer said nothing in time.
    NotAnswered,
}

/// What a buyer has said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WithdrawalAnswer {
    /// Nothing yet.
    Waiting,
    /// That it is deleted.
    Deleted,
    /// Nothing in time.
    NotAnswered,
}

impl WithdrawalRow {
    /// Asked for now; the buyer has `time_ms`.
    pub fn new(asked_ms: u64, time_ms: u64) -> Self {
        let due_ms = asked_ms.saturating_add(time_ms);
        Self { asked_ms, due_ms, asked_entry: None, deletion: None, ended_entry: None }
    }

    /// The entry that is owed next, and the second that it tells of; none: all that can be told is.
    pub fn owed(&self, now_ms: u64) -> Option<(WithdrawalLine, u64)> {
        let (line, ms) = match (self.asked_entry, self.ended_entry, &self.deletion) {
            (None, ..) => (WithdrawalLine::Asked, self.asked_ms),
            (.., Some(_), _) => return None,
            (.., None, Some(_)) => (WithdrawalLine::Deleted, now_ms),
            (.., None, None) if now_ms >= self.due_ms => (WithdrawalLine::NotAnswered, self.due_ms),
            (.., None, None) => return None,
        };
        Some((line, ms / 1000))
    }

    /// Whether more can come: the buyer's word, or its absence.
    pub fn is_running(&self) -> bool {
        self.asked_entry.is_none() || self.ended_entry.is_none()
    }

    /// How it stands by what the entries say.
    pub fn answer_told(&self) -> WithdrawalAnswer {
        match (&self.deletion, self.ended_entry) {
            (Some(_), _) => WithdrawalAnswer::Deleted,
            (None, Some(_)) => WithdrawalAnswer::NotAnswered,
            (None, None) => WithdrawalAnswer::Waiting,
        }
    }

    /// How it stands by the clock alone.
    pub fn answer_at(&self, now_ms: u64) -> WithdrawalAnswer {
        match &self.deletion {
            Some(_) => WithdrawalAnswer::Deleted,
            None if now_ms >= self.due_ms => WithdrawalAnswer::NotAnswered,
            None => WithdrawalAnswer::Waiting,
        }
    }

    /// Notes where an entry stands. One of silence that was written while the buyer's word came in
    /// leaves that one owed.
    pub fn note(&mut self, line: WithdrawalLine, index: u64) {
        match line {
            WithdrawalLine::Asked => self.asked_entry = Some(index),
            WithdrawalLine::NotAnswered if self.deletion.is_some() => {}
            WithdrawalLine::Deleted | WithdrawalLine::NotAnswered => {
                self.ended_entry = Some(index);
            }
        }
    }

    /// Takes the buyer's word, of which the first counts: owed again, also after an entry of silence.
    pub fn answer(&mut self, text: Vec<u8>) {
        if self.deletion.is_none() {
            (self.deletion, self.ended_entry) = (Some(text), None);
        }
    }
}

/// An order that was paid.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SaleRow {
    /// The order's id (EIP-712, the market's domain).
    pub id: B256,
    /// Of which offer.
    pub offer: B256,
    /// Who sells.
    pub seller: Address,
    /// Who buys.
    pub buyer: Address,
    /// The order, as JSON.
    pub document: Vec<u8>,
    /// When it was heard of, milliseconds since 1970.
    pub heard_ms: u64,
    /// What the seller signed, if they did.
    pub approval: Option<ApprovalRow>,
    /// When the seller said no here.
    pub declined_ms: Option<u64>,
    /// The entry that says that a final block shows it as paid.
    pub paid_entry: Option<u64>,
    /// The entry that says how it ended, by a final block.
    pub ended_entry: Option<u64>,
    /// What of the person's records was not what was sold, by reason.
    pub left_out: Vec<(String, u64)>,
    /// The seller wants it deleted.
    pub withdrawal: Option<WithdrawalRow>,
    /// How far it is.
    pub state: SaleState,
}

/// A sealed file, and what its entry says of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SealedFile {
    /// SHA-256 of it.
    pub hash: B256,
    /// Its bytes.
    pub bytes: u64,
    /// The manifest's hash.
    pub manifest: B256,
    /// When it was sealed, milliseconds since 1970.
    pub time_ms: u64,
}

/// How far a delivery is. A variant is named by its place: new ones stand last.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum SaleState {
    /// Nothing was done.
    New,
    /// Its key is kept.
    Keyed {
        /// The year in which it was drawn: ages are counted from it.
        year: u16,
    },
    /// The file is kept.
    Sealed {
        /// The year of the key.
        year: u16,
        /// The file.
        file: SealedFile,
    },
    /// The log has its entry.
    Entered {
        /// The file.
        file: SealedFile,
        /// The entry's place.
        index: u64,
    },
    /// The key may have been seen by anybody.
    Shown {
        /// The file.
        file: SealedFile,
        /// The entry's place.
        index: u64,
    },
    /// Settled, for good.
    Settled {
        /// The file.
        file: SealedFile,
        /// The entry's place.
        index: u64,
    },
    /// It will not be delivered; what was made for it is gone.
    Over {
        /// Why, by its number.
        refusal: u8,
    },
    /// It will not be delivered, and what was made for it is being destroyed.
    Refusing {
        /// Why, by its number.
        refusal: u8,
    },
}

impl SaleState {
    /// Whether nothing is left to do.
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Settled { .. } | Self::Over { .. })
    }

    /// The file, and its entry's place where the log has it.
    pub fn file(&self) -> Option<(SealedFile, Option<u64>)> {
        match *self {
            Self::New | Self::Keyed { .. } | Self::Over { .. } | Self::Refusing { .. } => None,
            Self::Sealed { file, .. } => Some((file, None)),
            Self::Entered { file, index }
            | Self::Shown { file, index }
            | Self::Settled { file, index } => Some((file, Some(index))),
        }
    }
}

/// Up to which final block a market was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MarketCursor {
    /// Its number.
    pub block: u64,
    /// Its time, seconds since 1970: what had expired by then nobody bought later.
    pub time_s: u64,
}

/// Whether a person wants nothing of theirs sold, whatever was signed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OptOutRow {
    /// Whose.
    pub subject: Address,
    /// They do.
    pub is_out: bool,
    /// Since when, milliseconds since 1970.
    pub since_ms: u64,
}
