//! Proofs: one entry with all that is needed to check it against an anchor on the chain.

use crate::entry::commitment_of;
use crate::merkle::{PathError, leaf_hash, verify_inclusion};
use crate::plan::Anchor;
use crate::schema::{self, Place, Report, ReportBatch};
use crate::signature::{self, SignatureError};
use alloy_primitives::{Address, B256, Bytes};
use alloy_sol_types::Eip712Domain;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

/// The version this code writes.
pub const VERSION: &str = "medtrail/proof-v1";

/// Bytes of a proof file read at most.
pub const PROOF_BYTES_MAX: usize = 4 << 20;

/// `medtrail/proof-v1`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Proof {
    /// [`VERSION`].
    pub version: String,
    /// Index of the entry, from 0.
    pub index: u64,
    /// What was reported.
    pub report: Report,
    /// Its place: opened for its subject, hashed for everyone else.
    pub place: ShownPlace,
    /// The details document, byte for byte, or its absence.
    pub details: Option<Document>,
    /// Whose word it is.
    pub evidence: Evidence,
    /// Inclusion path into the anchored root, leaf to root.
    pub path: Vec<B256>,
    /// The signed note over the anchored size.
    pub checkpoint: String,
    /// The anchor, as the chain can be asked for it.
    pub anchor: AnchorClaim,
    /// Where that anchor is to leave the registry's ring: the way to a later one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extension: Option<Extension>,
}

/// A place, or only its hash.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ShownPlace {
    /// For the subject: number, previous line, time and salt.
    Open(Place),
    /// For everyone else: enough to recompute the commitment.
    Hash(B256),
}

impl ShownPlace {
    /// The struct hash of the place.
    pub fn hash(&self) -> B256 {
        match self {
            Self::Open(place) => place.hash(),
            Self::Hash(hash) => *hash,
        }
    }
}

/// A document's bytes, as JSON can carry them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Document {
    /// UTF-8 text as it was received.
    Text(String),
    /// Anything else.
    Base64(String),
}

impl Document {
    /// Carries these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Base64(BASE64.encode(bytes)),
        }
    }

    /// The bytes, or `None` if the base64 is broken, or holds what [`Document::of`] carries as
    /// text: a document has one form.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        match self {
            Self::Text(text) => Some(text.as_bytes().to_vec()),
            Self::Base64(text) => {
                let bytes = BASE64.decode(text).ok()?;
                std::str::from_utf8(&bytes).is_err().then_some(bytes)
            }
        }
    }
}

/// Whose word an entry is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Evidence {
    /// The actor signed this report.
    Signed(Bytes),
    /// The actor signed a batch that this report is in.
    Batch(BatchEvidence),
    /// Nobody signed: the operator's word only.
    Relayed,
}

/// A report's place in a signed batch.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BatchEvidence {
    /// Reports in the batch.
    pub count: u64,
    /// This one's index among them.
    pub index: u64,
    /// Root over all their report hashes.
    pub root: B256,
    /// Inclusion path of this report's hash, leaf to root.
    pub path: Vec<B256>,
    /// The actor's signature of the `ReportBatch`.
    pub signature: Bytes,
}

/// Why the evidence of an entry is none.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvidenceError {
    /// The signature does not come through the door.
    #[error("signature: {0}")]
    Signature(#[from] SignatureError),
    /// It is somebody else's.
    #[error("signature: signed by {signer}, but the report names actor {actor}")]
    Signer {
        /// Who signed.
        signer: Address,
        /// Who should have.
        actor: Address,
    },
    /// The report is not in the batch.
    #[error("batch path: {0}")]
    Path(#[from] PathError),
}

impl BatchEvidence {
    /// Who signed the batch.
    pub fn signer(&self, domain: &Eip712Domain) -> Result<Address, SignatureError> {
        let signed = ReportBatch { root: self.root, count: self.count };
        signature::parse(&self.signature)?.recover(schema::digest(&signed, domain))
    }

    /// Checks that the report with this hash stands in the batch.
    pub fn verify_place(&self, report_hash: B256) -> Result<(), PathError> {
        let path: Vec<_> = self.path.iter().map(|hash| hash.0).collect();
        let leaf = leaf_hash(&report_hash.0);
        verify_inclusion(&self.root.0, self.count, self.index, &leaf, &path)
    }
}

impl Evidence {
    /// Checks that the report's actor signed it; `Ok(false)` if nobody claims to have.
    pub fn verify(&self, report: &Report, domain: &Eip712Domain) -> Result<bool, EvidenceError> {
        let signer = match self {
            Self::Relayed => return Ok(false),
            Self::Signed(bytes) => {
                signature::parse(bytes)?.recover(schema::digest(report, domain))?
            }
            Self::Batch(batch) => {
                batch.verify_place(report.hash())?;
                batch.signer(domain)?
            }
        };
        match signer == report.actor {
            true => Ok(true),
            false => Err(EvidenceError::Signer { signer, actor: report.actor }),
        }
    }
}

/// Where a proof says its anchor is. Nothing of it is believed before the chain has said the same.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AnchorClaim {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// AnchorRegistry's address.
    pub registry: Address,
    /// The log's id there.
    pub log: B256,
    /// The n-th anchor of the log, from 1.
    pub number: u64,
    /// Entries covered.
    pub size: u64,
    /// Root over them.
    pub root: B256,
    /// Time of the block, in seconds.
    pub time_s: u64,
    /// The transaction.
    pub tx: B256,
    /// The block's number.
    pub block: u64,
}

impl AnchorClaim {
    /// The claim in the registry's words.
    pub fn anchor(&self) -> Anchor {
        Anchor { number: self.number, size: self.size, root: self.root, time_s: self.time_s }
    }
}

/// The way from a proof's anchor to a later one that the registry's ring still holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Extension {
    /// The later anchor.
    pub anchor: Anchor,
    /// Consistency path from the proof's anchor to it.
    pub path: Vec<B256>,
}

/// Why a file is no proof, before anything in it is checked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// Longer than [`PROOF_BYTES_MAX`].
    #[error("a proof has at most {PROOF_BYTES_MAX} bytes, this has {0}")]
    TooLong(usize),
    /// Not JSON of this shape; says which field and where.
    #[error("not a proof: {0}")]
    Json(#[from] serde_json::Error),
    /// Another version.
    #[error("version: is {0:?}, this checks {VERSION:?}")]
    Version(String),
    /// The same values written another way. Each proof has one spelling, so that a changed byte
    /// is always a changed proof.
    #[error("byte {at}: written another way than Medtrail writes it (line {line})")]
    Spelling {
        /// Offset of the first byte that differs.
        at: usize,
        /// Its line, from 1.
        line: usize,
    },
}

impl Proof {
    /// The one spelling of this proof: pretty JSON, newline at the end.
    pub fn to_bytes(&self) -> Vec<u8> {
        spell(self)
    }

    /// Reads a proof file.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        if bytes.len() > PROOF_BYTES_MAX {
            return Err(FormatError::TooLong(bytes.len()));
        }
        let proof: Self = serde_json::from_slice(bytes)?;
        if proof.version != VERSION {
            return Err(FormatError::Version(proof.version));
        }
        require_spelling(bytes, &proof.to_bytes())?;
        Ok(proof)
    }

    /// The commitment of the entry.
    pub fn commitment(&self) -> B256 {
        commitment_of(self.report.hash(), self.place.hash())
    }
}

/// The one spelling of a document of ours.
pub fn spell<T: Serialize>(document: &T) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(document).expect("our documents are JSON");
    bytes.push(b'\n');
    bytes
}

/// Refuses bytes that mean the same as `spelled` but are not the same.
pub fn require_spelling(bytes: &[u8], spelled: &[u8]) -> Result<(), FormatError> {
    if bytes == spelled {
        return Ok(());
    }
    let common = bytes.iter().zip(spelled).take_while(|(left, right)| left == right).count();
    let line = 1 + bytes[..common].iter().filter(|byte| **byte == b'\n').count();
    Err(FormatError::Spelling { at: common, line })
}
