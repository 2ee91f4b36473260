//! What the transaction sender plans, remembers and sees. Pure data.

use alloy_primitives::{Address, B256, Bytes};
use serde::{Deserialize, Serialize};

/// One block, by number and hash: a number alone means nothing across a reorganisation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BlockRef {
    /// Height.
    pub number: u64,
    /// Hash.
    pub hash: B256,
}

/// A root in the registry, as its `Anchor` struct: the words a verifier holds against the ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Anchor {
    /// The n-th anchor of this log, from 1; 0 stands for "none yet".
    pub number: u64,
    /// Entries covered.
    pub size: u64,
    /// RFC 9162 root over them.
    pub root: B256,
    /// Timestamp of the block that took it, in seconds.
    pub time_s: u64,
}

/// What a transaction is for. All attempts of one nonce carry the same call.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Call {
    /// Opens the log in the registry.
    Open {
        /// The log's origin.
        origin: String,
        /// Address that may rotate the operator and close the log.
        cold_key: Address,
        /// Ed25519 key of the log's notes.
        note_key: B256,
        /// The promised longest time to an anchor, in seconds.
        anchor_within_s: u32,
    },
    /// Extends the anchored head.
    Anchor {
        /// The log.
        log: B256,
        /// The head this extends.
        old: Anchor,
        /// New size.
        size: u64,
        /// New root.
        root: B256,
        /// RFC 9162 consistency proof from `old.size` to `size`.
        proof: Vec<B256>,
    },
    /// Pays a seller for a delivery, by an account of its own. Shows the delivery's key.
    Settle {
        /// The market contract.
        market: Address,
        /// The order's id.
        order: B256,
        /// ABI-encoded call.
        data: Bytes,
    },
    /// Pays sellers of a call to many, by the same account. Shows the file's key.
    SettleMany {
        /// The cohort market's contract.
        market: Address,
        /// The call's id.
        call: B256,
        /// Whom it pays, by their acceptances.
        claims: Vec<B256>,
        /// Gas that the worst of these claims take, beside the transaction's own: a seller can
        /// become the worst after any estimate.
        gas: u64,
        /// ABI-encoded call.
        data: Bytes,
    },
}

/// How far an intent has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum IntentState {
    /// Not in a canonical block that we know of.
    Pending,
    /// In a canonical block that may still be reorganised away.
    Mined(BlockRef),
    /// In a finalized block, whether the call succeeded there or failed: nothing of this nonce
    /// can change any more.
    Final(BlockRef),
    /// In a canonical block that may still be reorganised away, but the call failed there: the
    /// nonce is spent and nothing was done.
    Failed(BlockRef),
}

/// One nonce of one account and what it is for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Intent {
    /// Sending account.
    pub account: Address,
    /// Its nonce.
    pub nonce: u64,
    /// What is done.
    pub call: Call,
    /// Gas limit. Like the call it never changes, so attempts differ in their fees only.
    pub gas: u64,
    /// How far it has come.
    pub state: IntentState,
    /// Head when the intent was made.
    pub made_at_block: u64,
    /// Every signed form ever built for this nonce, oldest first: a replaced one can still be
    /// mined after a reorganisation, so all are kept until one is final.
    pub attempts: Vec<Attempt>,
}

/// One signed transaction.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Attempt {
    /// Transaction hash, known before it is sent.
    pub hash: B256,
    /// EIP-2718 bytes.
    pub raw: Bytes,
    /// Priority fee, wei per gas.
    pub tip: u128,
    /// Fee cap, wei per gas.
    pub max_fee: u128,
    /// Head when it was built.
    pub built_at_block: u64,
}

/// How far the chain was read.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Cursor {
    /// Hash of block 0: another one means another chain, such as a local node that was restarted.
    pub genesis: B256,
    /// Newest block read.
    pub head: BlockRef,
    /// Newest finalized block read.
    pub finalized: BlockRef,
    /// The last blocks read, oldest first, `head` last, at most [`Cursor::RECENT_MAX`]: a
    /// reorganisation while we were down shows here.
    pub recent: Vec<BlockRef>,
}

impl Cursor {
    /// Blocks remembered by hash. A deeper reorganisation is still survived: the follower then
    /// goes back to the finalized block.
    pub const RECENT_MAX: usize = 256;
}

/// An anchor of ours as the chain shows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AnchorRecord {
    /// The anchor.
    pub anchor: Anchor,
    /// Transaction that made it.
    pub tx: B256,
    /// Block that holds it.
    pub block: BlockRef,
    /// Whether that block is finalized.
    pub is_final: bool,
}

/// Everything the sender remembers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    /// Intents by account and nonce. Final ones are dropped, except the newest: its nonce tells
    /// whether somebody else uses the key.
    pub intents: Vec<Intent>,
    /// How far the chain was read.
    pub cursor: Option<Cursor>,
    /// All our anchors, oldest first.
    pub anchors: Vec<AnchorRecord>,
}

impl Plan {
    /// Does to this plan in memory what saving `change` does to the one on disk.
    /// [`PlanChange::KeepCheckpoint`] concerns the disk only.
    pub fn apply(&mut self, change: &PlanChange) {
        match change {
            PlanChange::PutIntent(intent) => {
                let key = (intent.account, intent.nonce);
                match self.intents.binary_search_by_key(&key, |known| (known.account, known.nonce))
                {
                    Ok(place) => self.intents[place] = intent.clone(),
                    Err(place) => self.intents.insert(place, intent.clone()),
                }
            }
            PlanChange::DropIntent { account, nonce } => {
                self.intents.retain(|known| (known.account, known.nonce) != (*account, *nonce));
            }
            PlanChange::SetCursor(cursor) => self.cursor = Some(cursor.clone()),
            PlanChange::PutAnchor(record) => {
                let number = record.anchor.number;
                match self.anchors.binary_search_by_key(&number, |known| known.anchor.number) {
                    Ok(place) => self.anchors[place] = record.clone(),
                    Err(place) => self.anchors.insert(place, record.clone()),
                }
            }
            PlanChange::DropAnchor { number } => {
                self.anchors.retain(|known| known.anchor.number != *number);
            }
            PlanChange::KeepCheckpoint { .. } => {}
        }
    }
}

/// One durable change of the plan.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PlanChange {
    /// Adds or replaces the intent with this account and nonce.
    PutIntent(Intent),
    /// Forgets an intent whose effect is final.
    DropIntent {
        /// Sending account.
        account: Address,
        /// Its nonce.
        nonce: u64,
    },
    /// Moves the cursor.
    SetCursor(Cursor),
    /// Adds or replaces the anchor with this number.
    PutAnchor(AnchorRecord),
    /// Forgets an anchor that a reorganisation took away.
    DropAnchor {
        /// Its number.
        number: u64,
    },
    /// Keeps the signed checkpoint of an anchored size for ever.
    KeepCheckpoint {
        /// Entries it covers.
        size: u64,
        /// The signed note.
        note: Vec<u8>,
    },
}

/// The registry's head slot of one log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LogHead {
    /// Who may anchor; zero if the log was never opened.
    pub operator: Address,
    /// Anchored entries.
    pub size: u64,
    /// Time of the newest anchor, seconds.
    pub time_s: u64,
    /// Number of anchors.
    pub count: u64,
}

/// What became of one transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Receipt {
    /// Its hash.
    pub tx: B256,
    /// The block that holds it.
    pub block: BlockRef,
    /// Whether that block is an ancestor of the view's head (or the head): nodes keep answering
    /// with receipts of blocks that a reorganisation took away.
    pub is_canonical: bool,
    /// Whether the call did what it says, or failed and only spent the nonce.
    pub succeeded: bool,
}

/// A block's place in the chain of hashes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// This block.
    pub block: BlockRef,
    /// Hash of the block before.
    pub parent: B256,
    /// Timestamp, seconds.
    pub time_s: u64,
}

/// Whose state a [`ChainView`] shows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Watch {
    /// The sending account.
    pub account: Address,
    /// The log.
    pub log: B256,
    /// Hashes of all attempts that are not final.
    pub attempts: Vec<B256>,
}

/// The chain at one instant: everything here was read at the same block hash.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChainView {
    /// The block everything is pinned to.
    pub head: BlockRef,
    /// Timestamp of `head`, seconds.
    pub head_time_s: u64,
    /// The newest finalized block; never above `head`.
    pub finalized: BlockRef,
    /// Our account's nonce at `head`.
    pub nonce_head: u64,
    /// Our account's nonce at `finalized`.
    pub nonce_finalized: u64,
    /// Our account's balance at `head`, wei.
    pub balance: u128,
    /// Base fee of the next block, wei per gas.
    pub base_fee: u128,
    /// The market's priority fee, wei per gas.
    pub market_tip: u128,
    /// The registry's head slot at `head`.
    pub log_head: LogHead,
    /// The registry's head slot at `finalized`.
    pub log_finalized: LogHead,
    /// Receipts of the watched attempts; an attempt without one stands in no block known here.
    pub receipts: Vec<Receipt>,
}
