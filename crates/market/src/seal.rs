//! The two seals of a delivery, both age files that any age tool opens: the inner one for the
//! buyer's key, the outer one for a key that is made for this sale and shown when it is paid.
//!
//! Until then the buyer holds bytes that open for nobody; afterwards the key that the chain shows
//! to everybody opens them for the buyer only.

use age::stream::StreamReader;
use age::x25519::{Identity, Recipient};
use age::{DecryptError, EncryptError};
use alloy_primitives::B256;
use bech32::{Bech32, Hrp};
use sha2::{Digest, Sha256};
use std::io::{self, Read, Write};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// The key of the outer seal: 32 random bytes that are an age identity.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct LockKey([u8; 32]);

impl std::fmt::Debug for LockKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LockKey(…)")
    }
}

/// Why nothing was sealed or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// Everybody could open what is sealed to such a key, or nobody.
    #[error("the recipient is no X25519 key that can be sealed to: make it with an age tool")]
    Recipient,
    /// Not the text of an age key.
    #[error("not an age {0}: it begins with {1}")]
    Text(&'static str, &'static str),
    /// Sealing.
    #[error("sealing: {0}")]
    Encrypt(#[from] EncryptError),
    /// No age file, or none for this key.
    #[error("{layer} seal: {source}")]
    Decrypt {
        /// Outer or inner.
        layer: &'static str,
        /// Why.
        source: DecryptError,
    },
    /// Reading or writing.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl LockKey {
    /// These random bytes.
    pub fn new(random: [u8; 32]) -> Self {
        Self(random)
    }

    /// The bytes: what the contract is shown.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// SHA-256 of the bytes: the lock that the entry of the delivery names.
    pub fn lock(&self) -> B256 {
        B256::from(<[u8; 32]>::from(Sha256::digest(self.0)))
    }

    /// As an age tool takes it: `AGE-SECRET-KEY-1…`.
    pub fn text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(bech32_of("age-secret-key-", &self.0));
        text.make_ascii_uppercase();
        text
    }

    fn identity(&self) -> Identity {
        self.text().parse().expect("32 bytes are an age identity")
    }
}

/// The buyer's own key.
pub struct BuyerKey(Identity);

impl BuyerKey {
    /// Reads `AGE-SECRET-KEY-1…`.
    pub fn parse(text: &str) -> Result<Self, SealError> {
        let none = SealError::Text("identity", "AGE-SECRET-KEY-1");
        text.trim().parse().map(Self).map_err(|_| none)
    }

    /// What an order names as its recipient.
    pub fn recipient(&self) -> B256 {
        key_of(&self.0.to_public().to_string()).expect("a recipient that was just made")
    }
}

/// The 32 bytes of `age1…`.
pub fn key_of(recipient: &str) -> Result<B256, SealError> {
    let none = || SealError::Text("recipient", "age1");
    let (hrp, bytes) = bech32::decode(recipient).map_err(|_| none())?;
    let known = hrp == Hrp::parse_unchecked("age") && bytes.len() == 32;
    let key = known.then(|| B256::from_slice(&bytes)).ok_or_else(none)?;
    // Another checksum, or upper case, is another spelling.
    if text_of(key) == recipient { Ok(key) } else { Err(none()) }
}

/// `age1…` of 32 bytes.
pub fn text_of(key: B256) -> String {
    bech32_of("age", key.as_slice())
}

fn bech32_of(prefix: &str, bytes: &[u8]) -> String {
    let prefix = Hrp::parse_unchecked(prefix);
    bech32::encode::<Bech32>(prefix, bytes).expect("32 bytes are short enough")
}

/// Whether an order's recipient can be sealed to.
///
/// A point of low order makes one secret with every key: what is sealed to it opens for everybody
/// once the contract shows the outer key, and the age library panics on it. A second spelling of a
/// point is refused too: its owner's tool could not open the file.
pub fn is_recipient(key: B256) -> bool {
    let is_low = x25519_dalek::x25519([0x40; 32], key.0) == [0; 32];
    // The prime 2^255 - 19, little endian.
    let mut prime = [0xff; 32];
    (prime[0], prime[31]) = (0xed, 0x7f);
    !is_low && key.0.iter().rev().lt(prime.iter().rev())
}

fn recipient(key: B256) -> Result<Recipient, SealError> {
    if !is_recipient(key) {
        return Err(SealError::Recipient);
    }
    text_of(key).parse().map_err(|_| SealError::Recipient)
}

/// What was sealed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sealed {
    /// SHA-256 of the outer file.
    pub hash: B256,
    /// Its bytes.
    pub bytes: u64,
}

/// Writes the outer file of what `plain` writes. Each call makes another file of the same: its hash
/// goes into the entry, so the file must be on disk before the entry is.
pub fn seal(
    buyer: B256,
    key: &LockKey,
    to: impl Write,
    plain: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<Sealed, SealError> {
    let inner = recipient(buyer)?;
    let outer = key.identity().to_public();
    let counted = Counted { to, hash: Sha256::new(), bytes: 0 };
    let outer = encryptor(&outer)?.wrap_output(counted)?;
    let mut inner = encryptor(&inner)?.wrap_output(outer)?;
    plain(&mut inner)?;
    let mut counted = inner.finish()?.finish()?;
    counted.flush()?;
    let hash = B256::from(<[u8; 32]>::from(counted.hash.finalize()));
    Ok(Sealed { hash, bytes: counted.bytes })
}

fn encryptor(recipient: &Recipient) -> Result<age::Encryptor, EncryptError> {
    age::Encryptor::with_recipients(std::iter::once(recipient as &dyn age::Recipient))
}

/// Opens both seals. What is read is checked piece by piece; only an end without error says that
/// nothing is missing.
pub fn open<R: Read>(
    key: &LockKey,
    buyer: &BuyerKey,
    from: R,
) -> Result<impl Read + use<R>, SealError> {
    let outer = decrypted("outer", &key.identity(), from)?;
    decrypted("inner", &buyer.0, outer)
}

fn decrypted<R: Read>(
    layer: &'static str,
    identity: &Identity,
    from: R,
) -> Result<StreamReader<R>, SealError> {
    let wrong = |source| SealError::Decrypt { layer, source };
    let identities = std::iter::once(identity as &dyn age::Identity);
    age::Decryptor::new(from).map_err(wrong)?.decrypt(identities).map_err(wrong)
}

/// Counts and hashes what passes.
pub(crate) struct Counted<T> {
    pub(crate) to: T,
    pub(crate) hash: Sha256,
    pub(crate) bytes: u64,
}

impl<T: Write> Write for Counted<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

impl<T: Read> Read for Counted<T> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.to.read(into)?;
        self.hash.update(&into[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}
