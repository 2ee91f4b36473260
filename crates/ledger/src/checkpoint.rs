//! Checkpoints: a head of the log as a C2SP note, signed twice. The Ed25519 line is for every
//! transparency-log tool; the EIP-712 line is what a contract can hold the operator to.

use crate::merkle::Hash;
use crate::note::{Note, NoteError, NoteSignature, VerifierKey, key_id};
use crate::schema;
use crate::signature::{self, SIGNATURE_BYTES, SignatureError};
use alloy_primitives::{Address, B256};
use alloy_sol_types::{Eip712Domain, SolStruct};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

/// The type byte of a signature whose algorithm C2SP does not name, and our name for ours.
pub const EIP712: u8 = 0xff;
/// Stands in the key id of EIP-712 lines.
pub const EIP712_ALGORITHM: &str = "medtrail.eip712/v1";

/// A head of the log: C2SP tlog-checkpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checkpoint {
    /// The log's name, unique and without blanks.
    pub origin: String,
    /// Entries.
    pub size: u64,
    /// RFC 9162 root over them.
    pub root: Hash,
}

/// A checkpoint with its signature lines, none of them checked yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignedCheckpoint {
    /// What was signed.
    pub checkpoint: Checkpoint,
    note: Note,
}

/// Why a checkpoint is not one, or not by whom it should be.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The note around it is broken, or its Ed25519 line is missing or wrong.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Not origin, size and root on three lines.
    #[error("a checkpoint has three lines: origin, decimal size, base64 root")]
    Body,
    /// From another log than the one asked about.
    #[error("this checkpoint is of {found}, not of {expected}")]
    Origin {
        /// Origin in the note.
        found: String,
        /// Origin asked about.
        expected: String,
    },
    /// The operator's EIP-712 line is missing.
    #[error("no EIP-712 signature of operator {0}")]
    NoOperator(Address),
    /// The operator's EIP-712 line cannot be read or was made by another key.
    #[error("the EIP-712 signature of operator {0} is wrong")]
    WrongOperator(Address),
    /// The signature inside the line does not come through the door.
    #[error("the operator's EIP-712 signature: {0}")]
    Signature(#[from] SignatureError),
}

impl Checkpoint {
    /// The text that is signed.
    pub fn body(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, BASE64.encode(self.root))
    }

    /// Reads the text of a note.
    pub fn parse_body(text: &str) -> Result<Self, CheckpointError> {
        let mut lines = text.split('\n');
        let (Some(origin), Some(size), Some(root), Some(""), None) =
            (lines.next(), lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(CheckpointError::Body);
        };
        let parsed: u64 = size.parse().map_err(|_| CheckpointError::Body)?;
        let decoded = BASE64.decode(root).map_err(|_| CheckpointError::Body)?;
        let root: Hash = decoded.try_into().map_err(|_| CheckpointError::Body)?;
        // One spelling for each size: no sign, no leading zeros.
        let canonical = parsed.to_string() == size && crate::note::is_key_name(origin);
        let checkpoint = Self { origin: origin.to_owned(), size: parsed, root };
        canonical.then_some(checkpoint).ok_or(CheckpointError::Body)
    }

    /// The digest an operator signs for this head at this time.
    pub fn eip712_digest(&self, log: B256, time_ms: u64, domain: &Eip712Domain) -> B256 {
        let head = schema::Checkpoint {
            log,
            size: self.size,
            root: B256::from(self.root),
            timeMs: time_ms,
        };
        head.eip712_signing_hash(domain)
    }
}

/// The id of an operator's key in EIP-712 lines.
pub fn operator_key_id(origin: &str, operator: Address) -> [u8; 4] {
    key_id(origin, EIP712, &[EIP712_ALGORITHM.as_bytes(), operator.as_slice()].concat())
}

impl SignedCheckpoint {
    /// Puts a checkpoint and the two signatures of its log together.
    pub fn assemble(
        checkpoint: Checkpoint,
        note_key: &VerifierKey,
        ed25519: [u8; 64],
        operator: Address,
        time_ms: u64,
        eip712: [u8; SIGNATURE_BYTES],
    ) -> Self {
        let ed25519_line = NoteSignature {
            name: note_key.name.clone(),
            key_id: note_key.id(),
            signature: ed25519.to_vec(),
        };
        let eip712_line = NoteSignature {
            name: checkpoint.origin.clone(),
            key_id: operator_key_id(&checkpoint.origin, operator),
            signature: [time_ms.to_be_bytes().as_slice(), &eip712].concat(),
        };
        let note = Note { text: checkpoint.body(), signatures: vec![ed25519_line, eip712_line] };
        Self { checkpoint, note }
    }

    /// Reads a signed note.
    pub fn parse(bytes: &[u8]) -> Result<Self, CheckpointError> {
        let note = Note::parse(bytes)?;
        Ok(Self { checkpoint: Checkpoint::parse_body(&note.text)?, note })
    }

    /// The note as it travels.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.note.to_bytes()
    }

    /// Signature lines beside the log's own two: nobody here knows their keys.
    pub fn lines_of_others(&self) -> usize {
        self.note.signatures.len().saturating_sub(2)
    }

    /// Checks that the log's own key signed, and that it is the log asked about.
    pub fn verify_log(&self, key: &VerifierKey) -> Result<(), CheckpointError> {
        if self.checkpoint.origin != key.name {
            let (found, expected) = (self.checkpoint.origin.clone(), key.name.clone());
            return Err(CheckpointError::Origin { found, expected });
        }
        Ok(self.note.verify(key)?)
    }

    /// Checks that the operator's hot key signed, and returns when, in milliseconds.
    pub fn verify_operator(
        &self,
        operator: Address,
        log: B256,
        domain: &Eip712Domain,
    ) -> Result<u64, CheckpointError> {
        let origin = &self.checkpoint.origin;
        let key_id = operator_key_id(origin, operator);
        let line = self.note.by(origin, key_id)?.ok_or(CheckpointError::NoOperator(operator))?;
        let (time, signed) = line
            .signature
            .split_first_chunk::<8>()
            .ok_or(CheckpointError::WrongOperator(operator))?;
        let time_ms = u64::from_be_bytes(*time);
        let digest = self.checkpoint.eip712_digest(log, time_ms, domain);
        match signature::parse(signed)?.recover(digest)? {
            signer if signer == operator => Ok(time_ms),
            _ => Err(CheckpointError::WrongOperator(operator)),
        }
    }
}
