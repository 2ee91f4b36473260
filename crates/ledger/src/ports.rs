//! What the engine asks of disk, keys and chain. No runtime: implementations choose threads.
//!
//! Every method says what is durable once it returns.

use crate::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::consents::ConsentRecord;
use crate::merkle::Hash;
use crate::plan::{
    AnchorRecord, Attempt, BlockRef, Call, ChainView, Header, Plan, PlanChange, Watch,
};
use crate::signature::SIGNATURE_BYTES;
use crate::tile::TileId;
use alloy_primitives::{Address, B256, Bytes};
use std::io::{self, Write};
use std::ops::{Range, RangeInclusive};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A subject as the disk knows it: HMAC-SHA-256 under the log's key, first 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct SubjectTag(pub [u8; 16]);

/// A reported event as the disk knows it: HMAC-SHA-256 under the log's key over actor, subject and
/// event id, first 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct EventKey(pub [u8; 16]);

/// A record as the disk knows it; all zero where an entry concerns no record.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct RecordTag(pub [u8; 16]);

/// What of a row stands in clear, so that the indexes can be rebuilt without any key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RowHeader {
    /// Whose trail.
    pub subject: SubjectTag,
    /// The subject's n-th entry, from 1; 0 where no person is concerned.
    pub ordinal: u64,
    /// Which report.
    pub event: EventKey,
    /// Which record.
    pub record: RecordTag,
}

impl RowHeader {
    /// Bytes of an encoded header, version byte included.
    pub const BYTES: usize = 1 + 16 + 8 + 16 + 16;
    /// The row format this code writes.
    pub const VERSION: u8 = 1;

    /// `version ‖ subject ‖ ordinal (big-endian) ‖ event ‖ record`.
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        out[0] = Self::VERSION;
        out[1..17].copy_from_slice(&self.subject.0);
        out[17..25].copy_from_slice(&self.ordinal.to_be_bytes());
        out[25..41].copy_from_slice(&self.event.0);
        out[41..57].copy_from_slice(&self.record.0);
        out
    }

    /// The header of a row, or `None` if the row is too short or of a version unknown here.
    pub fn decode(row: &[u8]) -> Option<Self> {
        let bytes = row.get(..Self::BYTES)?;
        (bytes[0] == Self::VERSION).then(|| Self {
            subject: SubjectTag(bytes[1..17].try_into().expect("16 bytes")),
            ordinal: u64::from_be_bytes(bytes[17..25].try_into().expect("8 bytes")),
            event: EventKey(bytes[25..41].try_into().expect("16 bytes")),
            record: RecordTag(bytes[41..57].try_into().expect("16 bytes")),
        })
    }
}

/// The end of the log, as last made durable.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tail {
    /// Entries in the log.
    pub size: u64,
    /// Grows by one at each open for writing: a writer of an older epoch is fenced.
    pub epoch: u64,
    /// Roots of the complete subtrees of `size`, largest first (RFC 9162 section 2.1).
    pub peaks: Vec<Hash>,
    /// The signed note over exactly `size` entries; empty before the first commit.
    pub checkpoint: Vec<u8>,
    /// The newest `receivedMs`; it never decreases.
    pub received_ms: u64,
}

/// One group commit: everything of it becomes durable, or nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Batch {
    /// Sealed rows in index order; the first stands at `Tail::size`. Each opens with a [`RowHeader`].
    pub rows: Vec<Vec<u8>>,
    /// Stored tiles this batch completed or widened, each whole (level 0 holds commitments, the
    /// levels above hold hashes; see [`TileId`]).
    pub tiles: Vec<(TileId, Vec<u8>)>,
    /// The peaks after this batch.
    pub peaks: Vec<Hash>,
    /// The signed note over the log after this batch.
    pub checkpoint: Vec<u8>,
    /// The newest `receivedMs` after this batch.
    pub received_ms: u64,
}

/// Where a subject's trail ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TrailHead {
    /// Number of the last entry, from 1.
    pub ordinal: u64,
    /// Its place in the log.
    pub index: u64,
}

/// Why the disk could not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The storage engine refused; after this, only a reopened file may be trusted.
    #[error("storage: {0}")]
    Storage(String),
    /// Bytes on disk are not what this version wrote; says which and where.
    #[error("damaged: {0}")]
    Damaged(String),
    /// The disk is full. Nothing was written; try again once there is room.
    #[error("disk full: {0}")]
    Full(String),
    /// A sync to disk failed, see [`CommitError::Fatal`].
    #[error("a sync to disk failed, exit: {0}")]
    Fatal(String),
}

impl JournalError {
    /// Whether the process must exit, since no file it holds can be trusted any more.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Fatal(_))
    }
}

/// Why a commit did not come back with a new tail.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// The tail on disk is not the tail this batch was built on: another writer, or a lost race.
    /// Nothing was written.
    #[error("another writer moved the log: built on {expected} entries, the disk has {found}")]
    Fenced {
        /// Entries the batch was built on.
        expected: u64,
        /// Entries on disk.
        found: u64,
    },
    /// It is not known whether the batch is durable. Nobody may be told either way; close,
    /// reopen, and read the tail.
    #[error("outcome unknown, reload from disk: {0}")]
    Unknown(String),
    /// The disk is full. Nothing was written, and the file must be reopened.
    #[error("disk full: {0}")]
    Full(String),
    /// A sync to disk failed. The kernel may have dropped what it could not write and call it
    /// clean, so that not even a file reopened by this process shows what is on disk: exit.
    #[error("a sync to disk failed, outcome unknown, exit: {0}")]
    Fatal(String),
    /// The batch could never be filed: a row without a header this version knows, or a tile that
    /// is none. Nothing was written; the caller has a bug.
    #[error("malformed batch: {0}")]
    Malformed(String),
}

impl CommitError {
    /// Whether the process must exit, since no file it holds can be trusted any more.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Fatal(_))
    }
}

/// The log on disk. Blocking; call it off the async threads.
pub trait Journal: Send + Sync {
    /// The end of the log as last committed.
    fn tail(&self) -> Result<Tail, JournalError>;
    /// Makes `batch` durable directly after `tail` and returns the new tail. Once it returns
    /// `Ok`, the batch survives power loss.
    fn commit(&self, tail: &Tail, batch: &Batch) -> Result<Tail, CommitError>;
    /// Begins a commit directly after `tail` whose rows are handed over as they are sealed, so that
    /// the disk's work begins while others are on their way. Whoever holds it must not commit.
    fn begin<'a>(&'a self, tail: &Tail) -> Box<dyn Appending + 'a> {
        Box::new(Gathered { journal: self, tail: tail.clone(), rows: vec![], tiles: vec![] })
    }
    /// The end of a trail among the **filed** entries; newer ones are the overlay's to know.
    fn last_of(&self, subject: SubjectTag) -> Result<Option<TrailHead>, JournalError>;
    /// Where a report stands among the **filed** entries.
    fn find(&self, event: EventKey) -> Result<Option<u64>, JournalError>;
    /// Indexes of filed entries of one subject with ordinals from `from` on, at most `limit`.
    fn trail(&self, subject: SubjectTag, from: u64, limit: usize)
    -> Result<Vec<u64>, JournalError>;
    /// Rows by index, filed or not; shorter than the range only at the end of the log.
    fn rows(&self, range: Range<u64>) -> Result<Vec<Vec<u8>>, JournalError>;
    /// One stored tile as last written (8,192 bytes when full), or `None` if nothing of it exists.
    fn tile(&self, id: TileId) -> Result<Option<Vec<u8>>, JournalError>;
    /// How many entries, from the first on, are filed.
    fn filed(&self) -> Result<u64, JournalError>;
    /// Files entries up to `size`, some at a time, and returns how many are filed now. An entry
    /// is filed durably before it is dropped from the head: a crash leaves a double, never a hole.
    fn file_up_to(&self, size: u64) -> Result<u64, JournalError>;
}

/// A commit in the making. Nothing of it is durable, nor visible to any reader, before
/// [`finish`](Self::finish) has returned; dropped before that, it never was.
pub trait Appending {
    /// Takes rows that follow those it has, and tiles over them. What goes wrong is told at the
    /// end.
    fn push(&mut self, rows: Vec<Vec<u8>>, tiles: Vec<(TileId, Vec<u8>)>);
    /// Appends the rows of `rest` and what else is in it, and makes all of it durable, as
    /// [`Journal::commit`] does.
    fn finish(self: Box<Self>, rest: Batch) -> Result<Tail, CommitError>;
}

/// For journals that commit in one go.
struct Gathered<'a, J: ?Sized> {
    journal: &'a J,
    tail: Tail,
    rows: Vec<Vec<u8>>,
    tiles: Vec<(TileId, Vec<u8>)>,
}

impl<J: Journal + ?Sized> Appending for Gathered<'_, J> {
    fn push(&mut self, mut rows: Vec<Vec<u8>>, mut tiles: Vec<(TileId, Vec<u8>)>) {
        self.rows.append(&mut rows);
        self.tiles.append(&mut tiles);
    }

    fn finish(mut self: Box<Self>, rest: Batch) -> Result<Tail, CommitError> {
        let Batch { rows, tiles, .. } = rest;
        self.push(rows, tiles);
        let whole = Batch { rows: self.rows, tiles: self.tiles, ..rest };
        self.journal.commit(&self.tail, &whole)
    }
}

/// What the sender must remember across a crash.
pub trait Outbox: Send + Sync {
    /// The whole plan as last saved.
    fn load(&self) -> Result<Plan, JournalError>;
    /// Makes all changes durable together, in order.
    fn save(&self, changes: &[PlanChange]) -> Result<(), JournalError>;
    /// The signed note kept for an anchored size.
    fn kept_checkpoint(&self, size: u64) -> Result<Option<Vec<u8>>, JournalError>;
}

/// Names a key in the key file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum KeyTag {
    /// The log's own key: tags, salts of entries without a person.
    Log,
    /// The key shared with one custodian, by its address.
    Custodian([u8; 20]),
    /// One subject's key, which seals its lines now.
    Subject(SubjectTag),
    /// The key of what one subject has in the vault: it can be destroyed while the trail stays.
    Vault(SubjectTag),
    /// The key of an era of a subject that has ended: it opens lines up to this ordinal.
    Era(SubjectTag, u64),
    /// The key of one sale, by its order: all that is drawn for it is made of this.
    Sale(B256),
}

/// 32 random bytes that are wiped when dropped.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct SecretKey(pub [u8; 32]);

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretKey(…)")
    }
}

/// Wraps keys under the master key, bound to this log and this tag.
pub trait KeyWrap: Send + Sync {
    /// A wrapped form of `key` that opens only for the same tag.
    fn wrap(&self, tag: KeyTag, key: &SecretKey) -> Vec<u8>;
    /// The key, or `None` if these bytes were not wrapped here for this tag.
    fn unwrap(&self, tag: KeyTag, wrapped: &[u8]) -> Option<SecretKey>;
    /// A fresh random key.
    fn fresh(&self) -> SecretKey;
}

/// By which key a line opens that does not open under its subject's present one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Era {
    /// No era that has ended reaches so far.
    Present,
    /// By this key of an era that has ended.
    Ended(SecretKey),
    /// By none: the era was erased.
    Erased,
}

/// The master keys of one key file: the one in use, and the one that takes its place.
pub trait MasterKeys: Send + Sync {
    /// A new master key, durable beside the one in use. Nothing is wrapped under it yet; one that an
    /// earlier call left is replaced.
    fn next(&self) -> Result<Box<dyn KeyWrap>, JournalError>;
    /// Destroys the master key in use and puts the next one in its place; durable when this
    /// returns. To be called once the key file is wrapped under the next one.
    fn turn(&self) -> Result<(), JournalError>;
}

/// The key file: apart from the log and its backups, so that a destroyed key stays destroyed.
pub trait KeyFile: Send + Sync {
    /// The key, or `None` if it never existed or was destroyed.
    fn open(&self, tag: KeyTag) -> Result<Option<SecretKey>, JournalError>;
    /// A new random key for each tag that has none; all durable when this returns. Answers in the
    /// order of `tags`.
    fn create(&self, tags: &[KeyTag]) -> Result<Vec<SecretKey>, JournalError>;
    /// Removes the wrapped key; durable when this returns.
    fn destroy(&self, tag: KeyTag) -> Result<(), JournalError>;
    /// Ends the era of a subject whose last line has this ordinal: its key opens them from now on
    /// and seals no more. Durable when this returns; ending it again changes nothing.
    fn end_era(&self, subject: SubjectTag, through: u64) -> Result<(), JournalError>;
    /// By which key the line of this ordinal opens, if not by its subject's present one.
    fn era(&self, subject: SubjectTag, ordinal: u64) -> Result<Era, JournalError>;
    /// Destroys the keys of all ended eras of these subjects up to these ordinals, and notes that
    /// they were erased; destroys `others` too, and notes that a [`rewrap`](Self::rewrap) is due.
    /// All of it is durable together when this returns.
    fn erase(&self, eras: &[(SubjectTag, u64)], others: &[KeyTag]) -> Result<(), JournalError>;
    /// Whether bytes of destroyed keys may still stand in the file, or in copies of it that the
    /// present master key opens.
    fn is_rewrap_due(&self) -> Result<bool, JournalError>;
    /// Writes all living keys into a new file under a new master key, and destroys the present one:
    /// no older copy of this file opens any more. Returns how many keys were wrapped. A crash at any
    /// moment leaves a file and a master key that fit.
    fn rewrap(&self, masters: &dyn MasterKeys) -> Result<u64, JournalError>;
}

/// Sealed files on their way to buyers. Blocking.
pub trait Parcels: Send + Sync {
    /// Keeps what `write` writes under this order. Durable when this returns; on an error there is
    /// what was there before.
    fn put(
        &self,
        order: B256,
        write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), JournalError>;
    /// The bytes of the file of this order; none if there is none.
    fn bytes(&self, order: B256) -> Result<Option<u64>, JournalError>;
    /// Up to `most` bytes of it from `offset` on.
    fn read(&self, order: B256, offset: u64, most: usize) -> Result<Vec<u8>, JournalError>;
    /// Removes it; durable when this returns.
    fn remove(&self, order: B256) -> Result<(), JournalError>;
    /// The orders of all files.
    fn orders(&self) -> Result<Vec<B256>, JournalError>;
}

/// Seals rows that tell who is whose patient, so that a disk without its keys does not.
pub trait RowSeal: Send + Sync {
    /// What row `key` of `table` is called on disk: always the same, and unguessable without the
    /// log's key.
    fn name(&self, table: &str, key: &[u8]) -> [u8; 32];
    /// A sealed form of `plain` that opens only at the same place; another one each time.
    fn seal(&self, place: &[u8], plain: &[u8]) -> Vec<u8>;
    /// The row, or `None` if these bytes were not sealed here, at this place, for this log.
    fn open(&self, place: &[u8], sealed: &[u8]) -> Option<Vec<u8>>;
}

/// Signs checkpoints with the log's note key and the operator's hot key. Signs whatever it is asked
/// to: the caller has checked it.
///
/// In two halves, so that two threads can share them: both signatures of a checkpoint stand in the
/// way of every lone reporter.
pub trait Notary: Send + Sync {
    /// The operator's half: EIP-712, by a key that may be held far away.
    fn vouch(&self, checkpoint: &Checkpoint, time_ms: u64) -> Result<Vouched, NotaryError>;
    /// Whether that half is the operator's, over this checkpoint: asked before anybody is shown it,
    /// which may be after it is on disk.
    fn check(&self, checkpoint: &Checkpoint, vouched: &Vouched) -> Result<(), NotaryError>;
    /// Whether both halves of a checkpoint are of these keys.
    fn is_ours(&self, signed: &SignedCheckpoint) -> bool;
    /// The log's half: Ed25519, by the note key.
    fn note(&self, checkpoint: &Checkpoint) -> [u8; 64];
    /// The note with both. Signs nothing.
    fn assemble(
        &self,
        checkpoint: Checkpoint,
        note: [u8; 64],
        vouched: Vouched,
    ) -> SignedCheckpoint;
    /// One after the other.
    fn sign(&self, checkpoint: Checkpoint, time_ms: u64) -> Result<SignedCheckpoint, NotaryError> {
        let vouched = self.vouch(&checkpoint, time_ms)?;
        self.check(&checkpoint, &vouched)?;
        let note = self.note(&checkpoint);
        Ok(self.assemble(checkpoint, note, vouched))
    }
}

/// The operator's signature of a checkpoint at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Vouched {
    /// Milliseconds since 1970.
    pub time_ms: u64,
    /// Over the EIP-712 digest.
    pub signature: [u8; SIGNATURE_BYTES],
}

/// Why no signature came back.
#[derive(Debug, thiserror::Error)]
#[error("the notary did not sign: {0}")]
pub struct NotaryError(pub String);

// ---------------------------------------------------------------------------------------- chain

/// A call as the chain wants it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// The contract.
    pub to: Address,
    /// ABI-encoded call.
    pub data: Bytes,
}

/// The anchor registry on the chain, read and written through JSON-RPC.
///
/// Reads are repeatable and pinned to a block hash where it matters; nothing here is durable.
/// The caller ends its tick at any [`RegistryError`] and changes nothing.
pub trait Registry: Send + Sync {
    /// The contract call for `call`. Pure.
    fn encode(&self, call: &Call) -> Target;
    /// The chain at one head; fails with [`RegistryError::Moved`] if that head was reorganised
    /// away while it was read.
    fn view(&self, watch: &Watch) -> impl Future<Output = Result<ChainView, RegistryError>> + Send;
    /// What `call` would do on top of `at`: its gas limit (estimate and a margin), or why it fails.
    fn preflight(
        &self,
        at: BlockRef,
        from: Address,
        call: &Call,
    ) -> impl Future<Output = Result<u64, PreflightError>> + Send;
    /// Hands a signed transaction to every configured node. `Ok` and most errors say nothing
    /// about the future: only a receipt in a finalized block does.
    fn send(&self, raw: &Bytes) -> impl Future<Output = Result<(), SendError>> + Send;
    /// The canonical block of this height, or `None` if the node has none.
    fn block(
        &self,
        number: u64,
    ) -> impl Future<Output = Result<Option<Header>, RegistryError>> + Send;
    /// The newest block and the newest finalized block.
    fn tips(&self) -> impl Future<Output = Result<Tips, RegistryError>> + Send;
    /// The log's anchors in the block with this hash, in order.
    fn anchored_in(
        &self,
        log: B256,
        block: BlockRef,
    ) -> impl Future<Output = Result<Vec<AnchorRecord>, RegistryError>> + Send;
    /// The log's anchors in `blocks`, in order. For finalized blocks only: a range is not bound
    /// to a hash, and a lagging node answers it with fewer logs and no error.
    fn anchored_between(
        &self,
        log: B256,
        blocks: RangeInclusive<u64>,
    ) -> impl Future<Output = Result<Vec<AnchorRecord>, RegistryError>> + Send;
}

/// The consent registry on the chain, read about one subject at a time. Blocking; call it off the
/// async threads. Nothing here is durable: the chain is.
pub trait Consents: Send + Sync {
    /// Its address.
    fn registry(&self) -> Address;
    /// All that it has recorded about `subject`, in the order of the chain, up to the newest block.
    fn about(&self, subject: Address) -> Result<Vec<ConsentRecord>, RegistryError>;
}

/// The two ends of the part of the chain that can still change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tips {
    /// The newest block.
    pub head: Header,
    /// The newest finalized block.
    pub finalized: Header,
}

/// Why the chain could not be read. Nothing is known; the next tick asks again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// No node answered in time, or the connection failed.
    #[error("no node of the chain answers: {0}")]
    Unreachable(String),
    /// A node answered with a JSON-RPC error.
    #[error("the node answered with error {code}: {message}")]
    Node {
        /// JSON-RPC error code.
        code: i64,
        /// The node's words.
        message: String,
    },
    /// The answer is not what the method promises, or contradicts another answer.
    #[error("the node's answer makes no sense: {0}")]
    Nonsense(String),
    /// The head was reorganised away while it was read.
    #[error("the chain moved while it was read")]
    Moved,
    /// The node serves another chain than the configured one.
    #[error("the node serves chain {found}, not chain {expected}")]
    WrongChain {
        /// Configured chain id.
        expected: u64,
        /// The node's chain id.
        found: u64,
    },
}

impl RegistryError {
    /// What the operator should do.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::WrongChain { .. } => "correct chain.rpc or chain.chain_id",
            Self::Nonsense(_) => {
                "correct chain.registry if it is wrong (`medtrail doctor` says); else check the node"
            }
            _ => "nothing at first: entries are still taken; if it lasts, check the node",
        }
    }
}

/// Why a call is not worth a transaction.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PreflightError {
    /// The contract refuses it in this state.
    #[error("the contract refuses the call: {0}")]
    Reverts(String),
    /// The chain could not be asked.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

/// What a node said to a transaction it did not simply take.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The node has it already. Fine: every tick sends again.
    #[error("already known")]
    AlreadyKnown,
    /// The nonce is used: an attempt was mined. Fine: the next view shows which.
    #[error("nonce too low")]
    NonceTooLow,
    /// The fees are below the node's replacement rule or minimum, or below the base fee.
    #[error("underpriced: {0}")]
    Underpriced(String),
    /// The account cannot pay gas limit × fee cap.
    #[error("insufficient funds: {0}")]
    InsufficientFunds(String),
    /// Anything else, lost replies and time-outs included: the transaction may be out or not.
    #[error("unknown outcome: {0}")]
    Unknown(String),
}

impl SendError {
    /// Whether the attempt is out there all the same, so that nobody needs to know.
    pub fn is_fine(&self) -> bool {
        matches!(self, Self::AlreadyKnown | Self::NonceTooLow)
    }
}

/// An EIP-1559 transaction without value, before it is signed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TxFields {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Called contract.
    pub to: Address,
    /// The account's nonce.
    pub nonce: u64,
    /// Gas limit.
    pub gas: u64,
    /// `maxPriorityFeePerGas`, wei.
    pub tip: u128,
    /// `maxFeePerGas`, wei.
    pub max_fee: u128,
    /// ABI-encoded call.
    pub data: Bytes,
    /// Head at this moment; only noted in [`Attempt::built_at_block`].
    pub at_block: u64,
}

/// Signs transactions, so that whoever plans them never sees a key. Blocking.
pub trait Courier: Send + Sync {
    /// The account that pays and signs.
    fn account(&self) -> Address;
    /// The signed transaction, its hash known. The same fields give the same bytes (RFC 6979), so
    /// that a crash between signing and saving loses nothing. Sends nothing.
    fn build(&self, fields: &TxFields) -> Result<Attempt, CourierError>;
}

/// Why no signed transaction came back. Nothing was sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CourierError {
    /// The signer did not answer or refused.
    #[error("the signer did not sign: {0}")]
    Signer(String),
    /// Two encoders disagree on the bytes: an upgrade broke one of them.
    #[error("two encoders disagree on transaction {nonce}: refusing to send it")]
    Disagreement {
        /// The transaction's nonce.
        nonce: u64,
    },
}
