//! What is said of an act, and why.

use alloy_primitives::B256;
use serde::{Deserialize, Serialize};

/// Whether an act counts as permitted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "camelCase")]
pub enum Verdict {
    /// It was permitted.
    #[serde(rename_all = "camelCase")]
    Counts {
        /// By what.
        reason: Basis,
        /// The document it rests on; none for an act of the person's own.
        document: Option<B256>,
    },
    /// It was not.
    #[serde(rename_all = "camelCase")]
    DoesNotCount {
        /// Why.
        reason: Refusal,
        /// The document that came nearest, or that says no.
        document: Option<B256>,
    },
    /// It took effect and waits for the person's word.
    #[serde(rename_all = "camelCase")]
    Unconfirmed {
        /// Why nobody was asked.
        reason: Pending,
        /// The document that it named or that came nearest.
        document: Option<B256>,
    },
}

impl Verdict {
    /// 2 counts, 1 waits, 0 does not count.
    pub fn rank(&self) -> u8 {
        match self {
            Self::Counts { .. } => 2,
            Self::Unconfirmed { .. } => 1,
            Self::DoesNotCount { .. } => 0,
        }
    }
}

/// Why it counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Basis {
    /// A grant covers it.
    Grant,
    /// An approval of exactly this change.
    Approval,
    /// An approval of exactly this change that was given afterwards, where the person could not be
    /// asked before.
    Confirmed,
    /// The person did it.
    Own,
    /// Somebody looked who may see what the person may see.
    Representative,
    /// A settled order covers it.
    Sale,
}

/// Why it waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Pending {
    /// The person has no key, and nobody who acts for them has said anything.
    NoKey,
    /// The glass was broken.
    Emergency,
}

/// Why it does not count. In the order in which a document is judged: of several documents that do
/// not permit an act, the one that came furthest is told.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Refusal {
    /// Entries of this kind need no permission: nobody asks.
    Kind,
    /// It is about nobody: nobody can allow it.
    NoSubject,
    /// It was reported more than five minutes before it happened.
    Ahead,
    /// Kind and action contradict each other.
    Contradiction,
    /// It names no permission, and none was ever given to who did it.
    NoPermission,
    /// It names a permission that nobody has shown; one for another chain or registry is such.
    UnknownDocument,
    /// What it names is neither a grant nor an approval.
    NotAPermission,
    /// The document is not valid, see [`check`](crate::check::check).
    InvalidDocument,
    /// The person would have read something else.
    InvalidStatement,
    /// It is about somebody else.
    WrongSubject,
    /// It was given to somebody else.
    WrongGrantee,
    /// An approval of a change does not allow anything else.
    NotAChange,
    /// A sale allows looking, and nothing else.
    NotALook,
    /// A sale of a delivery, which gives no look besides: its time of access is none, or its form
    /// hides the originals.
    DeliveryOnly,
    /// It is about another record.
    WrongRecord,
    /// It is about another change of the record.
    WrongVersions,
    /// Its scopes do not allow this with such data.
    WrongScope,
    /// The data bear a mark that it does not name.
    MarkNotNamed,
    /// The act gives no purpose, and every permission has one.
    NoPurpose,
    /// It was given for another purpose.
    WrongPurpose,
    /// No signature, and not on chain.
    NotSigned,
    /// A signature that is none.
    InvalidSignature,
    /// Signed by somebody who does not act for the person.
    NotTheController,
    /// Signed by a key that had lost control when the log received it.
    ControlMoved,
    /// Signed by somebody who acts for the person, but may not permit, not any more or not yet.
    NoRight,
    /// The person's permissions were frozen when it was given.
    Frozen,
    /// The market does not know the order as settled.
    NotSettled,
    /// On chain, but not final.
    NotFinal,
    /// It was given later.
    NotYetGiven,
    /// It was taken back.
    Revoked,
    /// All of its epoch was taken back, or it is of one that had not begun when it was given.
    WrongEpoch,
    /// It had ended.
    Expired,
    /// The change that it allowed was made before.
    Used,
    /// Who acts for the person said no to this very entry.
    Contested,
}
