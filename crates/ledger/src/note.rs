//! C2SP signed notes: a text and its signature lines, whoever signed them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signature as Ed25519Signature, VerifyingKey};
use sha2::{Digest, Sha256};

/// Signature lines read at most; C2SP asks for at least 16.
pub const SIGNATURES_MAX: usize = 64;
/// Bytes of a note read at most.
pub const NOTE_BYTES_MAX: usize = 65_536;

/// The first byte of an Ed25519 key in a verifier key and in its key id.
pub const ED25519: u8 = 0x01;

/// Why these bytes are no signed note, or not one by this key.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// Longer than [`NOTE_BYTES_MAX`].
    #[error("a note has at most {NOTE_BYTES_MAX} bytes, this has {0}")]
    TooLong(usize),
    /// Not UTF-8, or with a control character other than the newline.
    #[error("a note is UTF-8 text without control characters")]
    NotText,
    /// No blank line between text and signatures, or no newline at the end of either.
    #[error("a note has a text, a blank line, and signature lines, each ended by a newline")]
    Shape,
    /// A signature line that cannot be read.
    #[error("signature line {0} is not \"— name base64\"")]
    Line(usize),
    /// More than [`SIGNATURES_MAX`] lines.
    #[error("a note has at most {SIGNATURES_MAX} signature lines")]
    TooMany,
    /// The key asked for has not signed.
    #[error("not signed by {0}")]
    NotSigned(String),
    /// A line claims to be by this key and is not.
    #[error("the signature of {0} is wrong")]
    WrongSignature(String),
    /// A key that stands in more than one line: which of them it means is anybody's guess.
    #[error("more than one signature line of {0}")]
    Repeated(String),
    /// A verifier key that cannot be read.
    #[error("a verifier key is \"name+8 hex digits+base64\", and its id must match")]
    VerifierKey,
}

/// A parsed note.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Note {
    /// The signed text, last newline included, blank line excluded.
    pub text: String,
    /// Its signature lines in order.
    pub signatures: Vec<NoteSignature>,
}

/// One signature line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoteSignature {
    /// Name of the key.
    pub name: String,
    /// Its id.
    pub key_id: [u8; 4],
    /// What follows the id.
    pub signature: Vec<u8>,
}

/// `SHA-256(name ‖ 0x0A ‖ type ‖ key)[..4]` (C2SP signed-note).
pub fn key_id(name: &str, kind: u8, key: &[u8]) -> [u8; 4] {
    let mut hasher = Sha256::new();
    hasher.update(name);
    hasher.update([0x0a, kind]);
    hasher.update(key);
    let digest = hasher.finalize();
    std::array::from_fn(|place| digest[place])
}

/// Whether a name can stand in a signature line: no blanks, no plus sign.
pub fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+')
}

impl Note {
    /// Reads a note. Signatures are not checked: ask for each key by itself.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLong(bytes.len()));
        }
        let whole = std::str::from_utf8(bytes).map_err(|_| NoteError::NotText)?;
        if whole.chars().any(|c| c.is_control() && c != '\n') {
            return Err(NoteError::NotText);
        }
        // The last blank line separates: the text may hold others.
        let split = whole.rfind("\n\n").ok_or(NoteError::Shape)?;
        let (text, lines) = (&whole[..=split], &whole[split + 2..]);
        let lines = lines.strip_suffix('\n').filter(|_| !text.is_empty());
        let mut signatures = Vec::new();
        for (number, line) in lines.ok_or(NoteError::Shape)?.split('\n').enumerate() {
            if number == SIGNATURES_MAX {
                return Err(NoteError::TooMany);
            }
            let parsed = NoteSignature::parse(line).ok_or(NoteError::Line(number + 1))?;
            signatures.push(parsed);
        }
        Ok(Self { text: text.to_owned(), signatures })
    }

    /// The note as it travels.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = self.text.clone();
        out.push('\n');
        for line in &self.signatures {
            out.push_str(&line.to_line());
        }
        out.into_bytes()
    }

    /// The one signature by a key, or `None` if it has not signed. A second line by the same key
    /// could say something else, and checking one of them would pass for checking both.
    pub fn by(&self, name: &str, key_id: [u8; 4]) -> Result<Option<&NoteSignature>, NoteError> {
        let mut lines =
            self.signatures.iter().filter(|line| line.name == name && line.key_id == key_id);
        match (lines.next(), lines.next()) {
            (found, None) => Ok(found),
            _ => Err(NoteError::Repeated(name.to_owned())),
        }
    }

    /// Checks the Ed25519 line of `key` over the text.
    pub fn verify(&self, key: &VerifierKey) -> Result<(), NoteError> {
        let line = self.by(&key.name, key.id())?;
        let line = line.ok_or_else(|| NoteError::NotSigned(key.name.clone()))?;
        let wrong = |_| NoteError::WrongSignature(key.name.clone());
        let signature = Ed25519Signature::from_slice(&line.signature).map_err(wrong)?;
        // Strict: refuses small-order keys and the second encodings that plain checks accept.
        key.key.verify_strict(self.text.as_bytes(), &signature).map_err(wrong)
    }
}

impl NoteSignature {
    fn parse(line: &str) -> Option<Self> {
        let (name, encoded) = line.strip_prefix("— ")?.split_once(' ')?;
        let bytes = BASE64.decode(encoded).ok()?;
        let (key_id, signature) = bytes.split_first_chunk::<4>()?;
        let usable = is_key_name(name) && !signature.is_empty();
        usable.then(|| Self {
            name: name.to_owned(),
            key_id: *key_id,
            signature: signature.to_vec(),
        })
    }

    fn to_line(&self) -> String {
        let bytes = [self.key_id.as_slice(), &self.signature].concat();
        format!("— {} {}\n", self.name, BASE64.encode(bytes))
    }
}

/// An Ed25519 key that checks notes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifierKey {
    /// Name of the key; a log's is its origin.
    pub name: String,
    key: VerifyingKey,
}

impl VerifierKey {
    /// A key by its name and 32 bytes.
    pub fn new(name: &str, key: &[u8; 32]) -> Result<Self, NoteError> {
        let key = VerifyingKey::from_bytes(key).map_err(|_| NoteError::VerifierKey)?;
        let named = is_key_name(name).then(|| Self { name: name.to_owned(), key });
        named.ok_or(NoteError::VerifierKey)
    }

    /// Reads the C2SP form `name+id+base64(0x01 ‖ key)`.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let mut parts = text.splitn(3, '+');
        let (name, id, encoded) = (parts.next(), parts.next(), parts.next());
        let (Some(name), Some(id), Some(encoded)) = (name, id, encoded) else {
            return Err(NoteError::VerifierKey);
        };
        let bytes = BASE64.decode(encoded).map_err(|_| NoteError::VerifierKey)?;
        let key: [u8; 32] = match bytes.split_first() {
            Some((&ED25519, key)) => key.try_into().map_err(|_| NoteError::VerifierKey)?,
            _ => return Err(NoteError::VerifierKey),
        };
        let parsed = Self::new(name, &key)?;
        let matches = alloy_primitives::hex::encode(parsed.id()) == id;
        matches.then_some(parsed).ok_or(NoteError::VerifierKey)
    }

    /// The key's id in signature lines.
    pub fn id(&self) -> [u8; 4] {
        key_id(&self.name, ED25519, self.key.as_bytes())
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }
}

impl std::fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let encoded = BASE64.encode([&[ED25519], self.key.as_bytes().as_slice()].concat());
        write!(f, "{}+{}+{encoded}", self.name, alloy_primitives::hex::encode(self.id()))
    }
}
