//! The log's note key, and the notary that signs every checkpoint with it and the operator's key.

use crate::file::{self, FileError};
use crate::operator::{OperatorKey, Request};
use alloy::primitives::{Address, B256, hex};
use alloy::sol_types::Eip712Domain;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signer, SigningKey};
use medtrail_ledger::checkpoint::{Checkpoint, SignedCheckpoint};
use medtrail_ledger::note::{ED25519, VerifierKey, is_key_name};
use medtrail_ledger::ports::{Notary, NotaryError, Vouched};
use medtrail_ledger::{schema, signature};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use zeroize::Zeroizing;

/// What a private note key opens with.
const HEAD: &str = "PRIVATE+KEY+";
/// A name of 1,000 bytes, and the rest.
const FILE_BYTES_MAX: u64 = 1100;

/// The Ed25519 key (RFC 8032) of the log's C2SP signed notes, wiped when dropped.
///
/// The file is one line, `PRIVATE+KEY+<name>+<key id>+<base64 of 0x01 ‖ seed>`: the form that Go's
/// `golang.org/x/mod/sumdb/note` made common, so that every tool for transparency logs can use the
/// key, and the algorithm byte says how. It is not wrapped: the service must come up unattended,
/// the master key that could wrap it lies in the same folder, and this key alone convinces nobody,
/// since each checkpoint carries the operator's signature too.
pub struct NoteKey {
    key: SigningKey,
    verifier: VerifierKey,
}

/// The name cannot stand in a note: it is empty, or has a blank or a plus sign.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0:?} cannot be the name of a note key")]
pub struct InvalidName(pub String);

/// Why there is no note key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoteKeyError {
    /// The file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The name.
    #[error(transparent)]
    Name(#[from] InvalidName),
}

impl NoteKey {
    /// A new random key for the log called `origin`, in a new file (mode 0600; durable when this
    /// returns).
    ///
    /// # Errors
    /// See [`NoteKeyError`]; an existing file is never overwritten.
    pub fn create(path: &Path, origin: &str) -> Result<Self, NoteKeyError> {
        let made = Self::from_seed(origin, &crate::random())?;
        file::create(path, made.to_line().as_bytes())?;
        Ok(made)
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// See [`NoteKeyError`].
    pub fn load(path: &Path) -> Result<Self, NoteKeyError> {
        let text = file::read(path, FILE_BYTES_MAX)?;
        let key = std::str::from_utf8(&text).ok().and_then(Self::parse);
        let malformed = FileError::Malformed {
            path: path.to_owned(),
            wanted: "a note key (PRIVATE+KEY+name+id+base64)",
        };
        Ok(key.ok_or(malformed)?)
    }

    /// From an RFC 8032 seed, which the caller keeps and wipes.
    ///
    /// # Errors
    /// [`InvalidName`].
    pub fn from_seed(origin: &str, seed: &[u8; 32]) -> Result<Self, InvalidName> {
        if !is_key_name(origin) {
            return Err(InvalidName(origin.to_owned()));
        }
        let key = SigningKey::from_bytes(seed);
        let verifier = VerifierKey::new(origin, key.verifying_key().as_bytes())
            .expect("the name was checked, and a signing key has a verifying key");
        Ok(Self { key, verifier })
    }

    fn parse(line: &str) -> Option<Self> {
        let line = line.strip_suffix('\n').unwrap_or(line).strip_prefix(HEAD)?;
        let mut parts = line.splitn(3, '+');
        let (name, id, encoded) = (parts.next()?, parts.next()?, parts.next()?);
        let bytes = Zeroizing::new(BASE64.decode(encoded).ok()?);
        let (&ED25519, seed) = bytes.split_first()? else { return None };
        let key = Self::from_seed(name, seed.try_into().ok()?).ok()?;
        // The id is over the public key: a damaged seed does not pass for a new key.
        (hex::encode(key.verifier.id()) == id).then_some(key)
    }

    fn to_line(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new([ED25519; 33]);
        bytes[1..].copy_from_slice(self.key.as_bytes());
        let encoded = Zeroizing::new(BASE64.encode(&bytes[..]));
        let (name, id) = (&self.verifier.name, hex::encode(self.verifier.id()));
        Zeroizing::new(format!("{HEAD}{name}+{id}+{}\n", *encoded))
    }

    /// What others check notes with; its `Display` is the C2SP `vkey`.
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// The 32 bytes that the registry stores when the log is opened.
    pub fn public_key(&self) -> B256 {
        B256::from(self.verifier.as_bytes())
    }

    /// The Ed25519 signature over a note's text.
    pub fn sign(&self, text: &[u8]) -> [u8; 64] {
        self.key.sign(text).to_bytes()
    }
}

impl fmt::Debug for NoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NoteKey({})", self.verifier)
    }
}

/// Both keys of one log. Needs nothing but them: a checkpoint is signed before anything is told
/// to anybody, so this stands in the path of every acknowledgement.
#[derive(Debug)]
pub struct NotaryKeys {
    note: NoteKey,
    operator: Arc<OperatorKey>,
    log: B256,
    domain: Eip712Domain,
}

impl NotaryKeys {
    /// The notary of the log `log`, whose anchors are in `registry` on chain `chain_id`.
    pub fn new(
        note: NoteKey,
        operator: Arc<OperatorKey>,
        log: B256,
        chain_id: u64,
        registry: Address,
    ) -> Self {
        Self { note, operator, log, domain: schema::domain(chain_id, registry) }
    }

    /// What others check this log's notes with.
    pub fn verifier(&self) -> &VerifierKey {
        self.note.verifier()
    }

    fn document(&self, checkpoint: &Checkpoint, time_ms: u64) -> schema::Checkpoint {
        schema::Checkpoint {
            log: self.log,
            size: checkpoint.size,
            root: B256::from(checkpoint.root),
            timeMs: time_ms,
        }
    }
}

fn refused(error: impl std::error::Error) -> NotaryError {
    NotaryError(error.to_string())
}

impl Notary for NotaryKeys {
    fn vouch(&self, checkpoint: &Checkpoint, time_ms: u64) -> Result<Vouched, NotaryError> {
        // Another origin would need another note key: a line under the wrong name helps nobody.
        if checkpoint.origin != self.verifier().name {
            return Err(NotaryError(format!("{} is not this log", checkpoint.origin)));
        }
        let document = self.document(checkpoint, time_ms);
        let request = Request::Checkpoint { document: &document, domain: &self.domain };
        let eip712 = self.operator.sign_unchecked(&request).map_err(refused)?;
        Ok(Vouched { time_ms, signature: *eip712.as_bytes() })
    }

    fn check(&self, checkpoint: &Checkpoint, vouched: &Vouched) -> Result<(), NotaryError> {
        let document = self.document(checkpoint, vouched.time_ms);
        let request = Request::Checkpoint { document: &document, domain: &self.domain };
        let signature = signature::parse(&vouched.signature).map_err(refused)?;
        self.operator.check(&request, &signature).map_err(refused)
    }

    fn is_ours(&self, signed: &SignedCheckpoint) -> bool {
        let operator = self.operator.address();
        signed.verify_log(self.verifier()).is_ok()
            && signed.verify_operator(operator, self.log, &self.domain).is_ok()
    }

    fn note(&self, checkpoint: &Checkpoint) -> [u8; 64] {
        self.note.sign(checkpoint.body().as_bytes())
    }

    fn assemble(
        &self,
        checkpoint: Checkpoint,
        note: [u8; 64],
        vouched: Vouched,
    ) -> SignedCheckpoint {
        SignedCheckpoint::assemble(
            checkpoint,
            self.verifier(),
            note,
            self.operator.address(),
            vouched.time_ms,
            vouched.signature,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use medtrail_ledger::checkpoint::CheckpointError;

    const ORIGIN: &str = "log.example/medtrail";
    const CHAIN: u64 = 412_346;
    const REGISTRY: Address = Address::repeat_byte(0x22);
    const LOG: B256 = B256::repeat_byte(0x11);

    /// The key pair of Go's `sumdb/note` package documentation.
    const GO_PRIVATE: &str =
        "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
    const GO_PUBLIC: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

    #[test]
    fn a_key_of_gos_note_package_is_read() {
        let key = NoteKey::parse(GO_PRIVATE).unwrap();
        assert_eq!(key.verifier().to_string(), GO_PUBLIC);
        assert_eq!(key.to_line().trim_end(), GO_PRIVATE);
    }

    #[test]
    fn the_file_brings_back_the_same_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("note.key");
        let made = NoteKey::create(&path, ORIGIN).unwrap();
        let loaded = NoteKey::load(&path).unwrap();
        assert_eq!(loaded.verifier(), made.verifier());
        assert_eq!(loaded.sign(b"text"), made.sign(b"text"));
        let again = NoteKey::create(&path, ORIGIN);
        assert!(matches!(again, Err(NoteKeyError::File(FileError::Exists(_)))));
    }

    #[test]
    fn no_damaged_key_is_read_as_another() {
        let at = GO_PRIVATE.rfind('+').unwrap();
        let (id_at, seed_at) = (at - 1, at + 10);
        for place in [0, HEAD.len(), id_at, seed_at, GO_PRIVATE.len() - 1] {
            let mut damaged = GO_PRIVATE.as_bytes().to_vec();
            damaged[place] = if damaged[place] == b'A' { b'B' } else { b'A' };
            assert!(NoteKey::parse(std::str::from_utf8(&damaged).unwrap()).is_none(), "{place}");
        }
        assert!(NoteKey::parse("").is_none());
        assert!(NoteKey::parse(&GO_PRIVATE[..at]).is_none());
    }

    #[test]
    fn a_name_that_cannot_stand_in_a_note_is_refused() {
        for name in ["", "two words", "a+b", "line\nbreak"] {
            assert_eq!(NoteKey::from_seed(name, &[1; 32]).unwrap_err(), InvalidName(name.into()));
        }
    }

    #[test]
    fn debug_shows_the_verifier_key_and_no_secret() {
        let shown = format!("{:?}", NoteKey::parse(GO_PRIVATE).unwrap());
        assert!(shown.contains(GO_PUBLIC) && !shown.contains("AYEKFALV"), "{shown}");
    }

    #[test]
    fn a_checkpoint_is_signed_by_both_keys_and_for_this_log_only() {
        let note = NoteKey::from_seed(ORIGIN, &[9; 32]).unwrap();
        let operator = Arc::new(OperatorKey::from_bytes(&[8; 32]).unwrap());
        let (vkey, address) = (note.verifier().clone(), operator.address());
        let notary = NotaryKeys::new(note, operator, LOG, CHAIN, REGISTRY);
        let head = Checkpoint { origin: ORIGIN.into(), size: 70_000, root: [3; 32] };

        let bytes = notary.sign(head.clone(), 1_795_000_000_123).unwrap().to_bytes();
        let signed = SignedCheckpoint::parse(&bytes).unwrap();
        assert_eq!(signed.checkpoint, head);
        signed.verify_log(&vkey).unwrap();
        let domain = schema::domain(CHAIN, REGISTRY);
        assert_eq!(signed.verify_operator(address, LOG, &domain), Ok(1_795_000_000_123));

        let wrong = Err(CheckpointError::WrongOperator(address));
        assert_eq!(signed.verify_operator(address, B256::ZERO, &domain), wrong);
        let elsewhere = schema::domain(CHAIN + 1, REGISTRY);
        assert_eq!(signed.verify_operator(address, LOG, &elsewhere), wrong);

        let foreign = Checkpoint { origin: "another.example".into(), ..head };
        assert!(notary.sign(foreign, 0).is_err());
    }
}
