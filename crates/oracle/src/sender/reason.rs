//! Why the sender holds, warns or stops; each with what the operator should do.

use alloy_primitives::{Address, B256};
use medtrail_ledger::ports::SendError;

/// Nothing is wrong, but nothing can be planned at this head. The next tick looks again.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Wait {
    /// The chain's nonce and the receipts contradict each other: a node behind a load balancer
    /// lags, or the chain moved between two reads.
    #[error("the node's answers about nonce {nonce} do not fit together yet")]
    ViewsDisagree {
        /// The nonce in question.
        nonce: u64,
    },
    /// A reorganisation took away transactions below ours that are not ours to repeat; sent now,
    /// ours would sit behind a gap.
    #[error("nonce {nonce} must wait until the chain is at it again; it is at {at}")]
    NonceGap {
        /// Our lowest nonce without a block.
        nonce: u64,
        /// The account's nonce at the head.
        at: u64,
    },
    /// Something was prepared on another head than the chain's.
    #[error("the registry moved on while an anchor was prepared")]
    HeadMoved,
    /// Finality stands still. More anchors would only have to be watched.
    #[error("{count} mined transactions wait to become final")]
    Unfinal {
        /// How many.
        count: usize,
    },
}

/// Something an operator must see. The sender goes on.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Alarm {
    /// The market is above the fee cap, or the price was raised as far as it may be.
    #[error("fees: at most {cap} wei per gas may be offered now, the base fee is {base_fee}")]
    FeeCap {
        /// `min(hard cap, 5 × market)`.
        cap: u128,
        /// The next block's base fee.
        base_fee: u128,
    },
    /// The account cannot pay the next transaction.
    #[error("balance: the account holds {balance} wei, the next transaction may need {needed}")]
    Balance {
        /// At the head.
        balance: u128,
        /// Gas limit × fee cap.
        needed: u128,
    },
    /// A transaction was mined but its call failed. It is planned again from the chain's state.
    #[error("the call of nonce {nonce} failed in block {block}")]
    CallFailed {
        /// Its nonce.
        nonce: u64,
        /// Where.
        block: u64,
    },
    /// The nonce at the head is beyond everything sent from here.
    #[error("the account's nonce is {found}, but only {expected} transactions were sent from here")]
    ForeignNonceSeen {
        /// The nonce that our own transactions explain.
        expected: u64,
        /// The nonce at the head.
        found: u64,
    },
    /// The receipt says done and final, the registry at the finalized block does not.
    #[error("the receipt of nonce {nonce} is final, but the registry does not show its effect")]
    RegistryDisagrees {
        /// Its nonce.
        nonce: u64,
    },
    /// A node refused a transaction, or its answer was lost.
    #[error("transaction {tx}: {error}")]
    Send {
        /// Its hash.
        tx: B256,
        /// What the node said.
        error: SendError,
    },
}

impl Alarm {
    /// What the operator should do.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::FeeCap { .. } => {
                "wait for the market, or raise chain.fee_cap_gwei; if the fees look normal, ask \
                 why the transaction is not mined (block gas limit, a node without peers)"
            }
            Self::Balance { .. } => "send coin to the operator's account",
            Self::CallFailed { .. } => {
                "nothing, if it stays the only one; if it repeats, look at the registry's reason \
                 in the transaction"
            }
            Self::ForeignNonceSeen { .. } => {
                "find out who else uses the operator's key; once that transaction is final the \
                 sender stops"
            }
            Self::RegistryDisagrees { .. } => "check the node: it contradicts itself; use another",
            Self::Send { error: SendError::InsufficientFunds(_), .. } => {
                "send coin to the operator's account"
            }
            Self::Send { .. } => {
                "nothing at first: every tick sends again; if it lasts, check the node"
            }
        }
    }
}

/// The sender sends nothing. Every tick looks again, so the cause can be removed at run time.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Stop {
    /// The chain knows more entries than this disk: it was restored from an old backup. To write
    /// on would fork the log.
    #[error("the chain has {anchored} entries, this disk only {entries}: a restored old backup")]
    RestoredBackup {
        /// Entries anchored on the chain.
        anchored: u64,
        /// Entries on disk.
        entries: u64,
    },
    /// A finalized transaction of our account that was not sent from here.
    #[error("somebody else used nonce {nonce} of the operator's account")]
    ForeignNonce {
        /// The first nonce not sent from here.
        nonce: u64,
    },
    /// The registry names another operator for this log.
    #[error("the registry's operator of this log is {found}, not this account")]
    NotOperator {
        /// Who may anchor.
        found: Address,
    },
    /// The cold key closed the log.
    #[error("the log is closed in the registry")]
    Closed,
}

impl Stop {
    /// What the operator should do.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::RestoredBackup { .. } => {
                "put the newest copy of the data folder back: what is missing here was \
                 acknowledged and anchored"
            }
            Self::ForeignNonce { .. } => {
                "if the key was stolen, rotate the operator with the cold key; if it was you, use \
                 a key that signs nothing else"
            }
            Self::NotOperator { .. } => "configure the key of the operator that the registry names",
            Self::Closed => "open a successor log; entries of this one can no longer be anchored",
        }
    }
}
