//! What somebody asked and somebody else is to answer; corrections.

use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};

/// What somebody asked, and somebody else is to answer: a question about a line, or a claim. Made
/// from the log's entries alone; their texts stay there, under their subject's key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct InquiryRow {
    /// The commitment of the entry that opened it.
    pub id: B256,
    /// Where that stands.
    pub index: u64,
    /// Which sort it is.
    pub sort: InquirySort,
    /// In whose trail it stands.
    pub subject: B256,
    /// The organisation: asked, or whose claim it is.
    pub organisation: Address,
    /// When it was asked, milliseconds since 1970.
    pub asked_ms: u64,
    /// The entry that answered it, if one has.
    pub answer: Option<u64>,
    /// The entry that says that nobody answered in time.
    pub unanswered: Option<u64>,
}

/// A sort of inquiry.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum InquirySort {
    /// A person asks an organisation about a line.
    Question {
        /// Where the line stands.
        line: u64,
        /// Until when an answer is due, milliseconds since 1970.
        due_ms: u64,
        /// A correction is asked for, not a reason.
        is_correction: bool,
    },
    /// A payer says that something was billed for a person.
    Claim,
}

/// A line that was corrected by who had reported it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CorrectionRow {
    /// The line.
    pub line: u64,
    /// The correction.
    pub by: u64,
    /// The line was about somebody else: what it says is not shown any more.
    pub is_wrong_person: bool,
}
