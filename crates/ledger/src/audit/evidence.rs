//! `medtrail/audit-evidence-v1`: the first fault of an audit, with what a stranger needs to see it.

use super::content::Opened;
use super::history::History;
use super::{Check, Fault, Flaw};
use crate::consents::ConsentRecord;
use crate::plan::BlockRef;
use crate::proof::{Evidence, FormatError, require_spelling, spell};
use crate::schema::{Place, Report};
use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};

/// The version this code writes.
pub const VERSION: &str = "medtrail/audit-evidence-v1";

/// `medtrail/audit-evidence-v1`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuditEvidence {
    /// [`VERSION`].
    pub version: String,
    /// EIP-155 chain id of the endpoint that was asked.
    pub chain_id: u64,
    /// AnchorRegistry's address.
    pub registry: Address,
    /// The log's id there.
    pub log: B256,
    /// The log's origin, from the chain.
    pub origin: String,
    /// The finalized block at which the chain was read.
    pub finalized: BlockRef,
    /// Which check found it.
    pub check: Check,
    /// What is wrong.
    pub flaw: Flaw,
    /// In words.
    pub words: String,
    /// The entry it is about.
    pub index: Option<u64>,
    /// The published file it was found in.
    pub file: Option<String>,
    /// What should be there.
    pub expected: Option<String>,
    /// What is there.
    pub found: Option<String>,
    /// The anchor that it contradicts, or that covers the entry.
    pub anchor: Option<AnchorEvent>,
    /// The signed note as it was published.
    pub checkpoint: Option<String>,
    /// Hashes out of the published tiles.
    pub path: Option<TreePath>,
    /// The entry itself, where keys have opened it: somebody's line.
    pub entry: Option<OpenedEntry>,
    /// Of a fault of permissions: all that the entry was judged by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged: Option<Judged>,
}

/// What `permits` was asked, and what it answered. Whoever has this asks it again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Judged {
    /// The entry's place in the log.
    pub index: u64,
    /// Its commitment.
    pub commitment: B256,
    /// By which addresses whoever did it goes.
    pub party: Vec<Address>,
    /// Its details document, as it was signed.
    pub details: Option<String>,
    /// The documents of that trail that stand before it.
    pub documents: Vec<RecordedDocument>,
    /// What the consent registry recorded about the person, in the order of the chain.
    pub chain: Vec<ConsentRecord>,
    /// Where it is about a pseudonym, what that was judged by beside: who keeps it, whose it became.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pseudonyms: Vec<serde_json::Value>,
    /// What ended guardianships.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ends: Vec<serde_json::Value>,
    /// Where it names an order: the market that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub market: Option<serde_json::Value>,
    /// That order, as the log tells it, and how the market shows it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sales: Vec<serde_json::Value>,
    /// The consent registry that was read.
    pub consent_registry: Address,
    /// Whether it counts: `counts`, `doesNotCount`, `unconfirmed`.
    pub verdict: String,
    /// Why.
    pub reason: String,
    /// The document that permits it, comes nearest or says no.
    pub document: Option<B256>,
}

/// A document as an entry of kind 4 records it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecordedDocument {
    /// The entry.
    pub index: u64,
    /// When the log received it.
    pub received_ms: u64,
    /// `medtrail/permission-v1`.
    pub details: String,
}

/// An `Anchored` event, as the chain has it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AnchorEvent {
    /// The n-th anchor of the log, from 1.
    pub number: u64,
    /// Entries covered.
    pub size: u64,
    /// Root over them.
    pub root: B256,
    /// Time of the block, in seconds.
    pub time_s: u64,
    /// Who made it.
    pub operator: Address,
    /// The transaction.
    pub tx: B256,
    /// The block's number.
    pub block: u64,
}

/// Where hashes out of the published tiles lead (RFC 9162).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum TreePath {
    /// From the entry's commitment to the root that the tiles give at this size.
    Inclusion {
        /// The entry.
        index: u64,
        /// Its commitment, from the tiles.
        commitment: B256,
        /// Entries under the root.
        size: u64,
        /// The root.
        root: B256,
        /// Leaf to root.
        path: Vec<B256>,
    },
    /// From the root that the tiles give at the anchor's size to that of the checkpoint: if the
    /// operator signed the second and anchored another first, it has told two histories.
    Consistency {
        /// The anchor's size.
        from: u64,
        /// The tiles' root there.
        from_root: B256,
        /// The checkpoint's size.
        to: u64,
        /// The tiles' root there.
        to_root: B256,
        /// Hashes.
        path: Vec<B256>,
    },
}

/// What stands in an entry but its details.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OpenedEntry {
    /// What was reported.
    pub report: Report,
    /// Its place.
    pub place: Place,
    /// Whose word it is.
    pub evidence: Evidence,
}

impl From<&Opened> for OpenedEntry {
    fn from(entry: &Opened) -> Self {
        let Opened { report, place, evidence, .. } = entry.clone();
        Self { report, place, evidence }
    }
}

impl AuditEvidence {
    /// Of a fault, without paths.
    pub fn new(fault: &Fault, history: &History, checkpoint: Option<&[u8]>) -> Self {
        let covering = || fault.index.and_then(|index| history.covering(index));
        let anchor = fault.anchor.as_ref().or_else(covering).map(|seen| AnchorEvent {
            number: seen.anchor.number,
            size: seen.anchor.size,
            root: seen.anchor.root,
            time_s: seen.anchor.time_s,
            operator: seen.operator,
            tx: seen.tx,
            block: seen.block,
        });
        Self {
            version: VERSION.to_owned(),
            chain_id: history.chain_id,
            registry: history.registry,
            log: history.log,
            origin: history.origin.clone(),
            finalized: history.finalized.block,
            check: fault.flaw.check(),
            flaw: fault.flaw,
            words: fault.words.clone(),
            index: fault.index,
            file: fault.file.clone(),
            expected: fault.expected.clone(),
            found: fault.found.clone(),
            anchor,
            checkpoint: checkpoint.and_then(|note| String::from_utf8(note.to_vec()).ok()),
            path: None,
            entry: None,
            judged: None,
        }
    }

    /// The one spelling of it.
    pub fn to_bytes(&self) -> Vec<u8> {
        spell(self)
    }

    /// Reads an evidence file.
    pub fn parse(bytes: &[u8]) -> Result<Self, EvidenceFileError> {
        let file: Self = serde_json::from_slice(bytes)?;
        if file.version != VERSION {
            return Err(EvidenceFileError::Version(file.version));
        }
        require_spelling(bytes, &file.to_bytes())?;
        Ok(file)
    }
}

/// Why a file is no evidence.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvidenceFileError {
    /// Not JSON of this shape.
    #[error("not an evidence file: {0}")]
    Json(#[from] serde_json::Error),
    /// Another version.
    #[error("version is {0:?}, this reads {VERSION:?}")]
    Version(String),
    /// The same values written another way.
    #[error(transparent)]
    Spelling(#[from] FormatError),
}
