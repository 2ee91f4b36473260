//! A key in this process: from a Web3 keystore, or from bytes.

use crate::file::{self, FileError};
use crate::operator::{Request, SignError, Signer};
use alloy::primitives::{Address, B256};
use alloy::signers::k256::elliptic_curve::rand_core::OsRng;
use alloy::signers::local::PrivateKeySigner;
use medtrail_ledger::signature::{SIGNATURE_BYTES, address_of};
use secp256k1::ecdsa::RecoverableSignature;
use secp256k1::{Message, PublicKey, SecretKey};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::fmt;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use zeroize::Zeroizing;

/// The shortest passphrase a new keystore is sealed with. The library fixes scrypt at N = 2^13,
/// 32 times less work than geth's 2^18, so the passphrase has to carry more of the weight.
pub const PASSPHRASE_BYTES_MIN: usize = 16;

/// A keystore has some 500 bytes.
const KEYSTORE_BYTES_MAX: u64 = 16 * 1024;
/// scrypt takes 128·N·r bytes: 1 GiB with r = 8. geth's default needs a quarter of it.
const SCRYPT_BYTES_MAX: u64 = 1 << 30;

/// Zero, or not below the order of secp256k1.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("these 32 bytes are no secp256k1 key")]
pub struct InvalidKey;

/// Why a keystore could not be made or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeystoreError {
    /// The file.
    #[error(transparent)]
    File(#[from] FileError),
    /// Shorter than [`PASSPHRASE_BYTES_MIN`].
    #[error("a passphrase has at least {PASSPHRASE_BYTES_MIN} bytes, this has {0}")]
    WeakPassphrase(usize),
    /// Not a version 3 keystore (Web3 Secret Storage), or with parameters nobody uses.
    #[error("not a version 3 keystore that can be opened here: {0}")]
    Unsupported(&'static str),
    /// The passphrase does not open it, or the file was altered.
    #[error("the passphrase does not open this keystore")]
    Locked,
    /// It opened, and holds no key.
    #[error(transparent)]
    Invalid(#[from] InvalidKey),
    /// The library could not seal the key.
    #[error("the keystore could not be written: {0}")]
    Sealing(alloy::signers::local::LocalSignerError),
}

/// A secp256k1 key in memory, wiped when dropped. Signs with libsecp256k1: constant time, nonces by
/// RFC 6979, always low s.
pub struct LocalSigner {
    // Boxed, so that moving the signer leaves no copy behind.
    secret: Box<SecretKey>,
    address: Address,
}

impl LocalSigner {
    /// From 32 bytes that the caller keeps and wipes.
    ///
    /// # Errors
    /// [`InvalidKey`] for zero, or for the order of secp256k1 and above.
    pub fn from_bytes(secret: &[u8; 32]) -> Result<Self, InvalidKey> {
        let secret = SecretKey::from_secret_bytes(*secret).map_err(|_| InvalidKey)?;
        let address = address_of(&PublicKey::from_secret_key(&secret));
        Ok(Self { secret: Box::new(secret), address })
    }

    /// A new random key in a new keystore (version 3, scrypt, mode 0600; durable when this
    /// returns). Blocking: scrypt takes from tens of milliseconds to seconds.
    ///
    /// # Errors
    /// See [`KeystoreError`]; an existing file is never overwritten.
    pub fn create(path: &Path, passphrase: &SecretString) -> Result<Self, KeystoreError> {
        let passphrase = passphrase.expose_secret();
        if passphrase.len() < PASSPHRASE_BYTES_MIN {
            return Err(KeystoreError::WeakPassphrase(passphrase.len()));
        }
        let secret = crate::random();
        let signer = Self::from_bytes(&secret)?;
        let keystore = seal(path, &secret, passphrase)?;
        file::create(path, &keystore)?;
        Ok(signer)
    }

    /// Opens a version 3 keystore, ours or another wallet's. Blocking, as [`Self::create`].
    ///
    /// # Errors
    /// See [`KeystoreError`].
    pub fn load(path: &Path, passphrase: &SecretString) -> Result<Self, KeystoreError> {
        check_parameters(&file::read(path, KEYSTORE_BYTES_MAX)?)?;
        let opened = PrivateKeySigner::decrypt_keystore(path, passphrase.expose_secret())
            .map_err(|_| KeystoreError::Locked)?;
        let secret = Zeroizing::new(opened.to_bytes().0);
        Ok(Self::from_bytes(&secret)?)
    }

    pub(crate) fn sign_digest(&self, digest: B256) -> [u8; SIGNATURE_BYTES] {
        let signature = RecoverableSignature::sign_ecdsa_recoverable(
            Message::from_digest(digest.0),
            &self.secret,
        );
        let (recovery, compact) = signature.serialize_compact();
        let mut bytes = [0; SIGNATURE_BYTES];
        bytes[..64].copy_from_slice(&compact);
        bytes[64] = 27 + u8::from(recovery);
        bytes
    }
}

impl Signer for LocalSigner {
    fn address(&self) -> Address {
        self.address
    }

    fn sign(&self, request: &Request<'_>) -> Result<[u8; SIGNATURE_BYTES], SignError> {
        Ok(self.sign_digest(request.digest()))
    }

    fn is_remote(&self) -> bool {
        false
    }
}

impl Drop for LocalSigner {
    fn drop(&mut self) {
        self.secret.non_secure_erase();
    }
}

impl fmt::Debug for LocalSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalSigner").field("address", &self.address).finish_non_exhaustive()
    }
}

/// The keystore's text. The library writes files only, by the umask's mode and unsynced, so it
/// writes into a folder of its own; what a crash leaves there is ciphertext.
fn seal(path: &Path, secret: &[u8; 32], passphrase: &str) -> Result<Vec<u8>, KeystoreError> {
    const NAME: &str = "sealed";
    let folder = path.with_extension("sealing");
    let _ = fs::remove_dir_all(&folder);
    DirBuilder::new().mode(file::FOLDER_MODE).create(&folder).map_err(FileError::io(&folder))?;
    let sealed =
        PrivateKeySigner::encrypt_keystore(&folder, &mut OsRng, secret, passphrase, Some(NAME))
            .map_err(KeystoreError::Sealing)
            .and_then(|_| Ok(fs::read(folder.join(NAME)).map_err(FileError::io(&folder))?));
    fs::remove_dir_all(&folder).map_err(FileError::io(&folder))?;
    sealed
}

/// What the library takes on trust: it slices the derived key and the IV without looking, and
/// allocates whatever scrypt asks for. A damaged file must be an error, not a panic.
fn check_parameters(text: &[u8]) -> Result<(), KeystoreError> {
    #[derive(Deserialize)]
    struct Keystore {
        version: u8,
        crypto: Crypto,
    }
    #[derive(Deserialize)]
    struct Crypto {
        cipher: String,
        cipherparams: CipherParams,
        kdfparams: KdfParams,
    }
    #[derive(Deserialize)]
    struct CipherParams {
        iv: String,
    }
    #[derive(Deserialize)]
    struct KdfParams {
        dklen: u8,
        #[serde(default)]
        n: u32,
        #[serde(default)]
        r: u32,
    }

    let Keystore { version, crypto } = serde_json::from_slice(text)
        .map_err(|_| KeystoreError::Unsupported("it is not the JSON of one"))?;
    let KdfParams { dklen, n, r } = crypto.kdfparams;
    let refusals = [
        (version != 3, "another version"),
        (crypto.cipher != "aes-128-ctr", "another cipher than aes-128-ctr"),
        (crypto.cipherparams.iv.len() != 32, "an IV of other than 16 bytes"),
        (dklen != 32, "a derived key of other than 32 bytes"),
        (u64::from(n) * u64::from(r) * 128 > SCRYPT_BYTES_MAX, "scrypt needs more than 1 GiB"),
        // RFC 7914 section 2; zero where the key is derived by PBKDF2.
        (n != 0 && (!n.is_power_of_two() || n.ilog2() >= r.saturating_mul(16)), "scrypt's N"),
    ];
    match refusals.into_iter().find(|(refused, _)| *refused) {
        Some((_, reason)) => Err(KeystoreError::Unsupported(reason)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn passphrase() -> SecretString {
        SecretString::from("correct horse battery staple")
    }

    fn keystore() -> (tempfile::TempDir, PathBuf, Address) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys/operator.json");
        file::create_folder(path.parent().unwrap()).unwrap();
        let address = LocalSigner::create(&path, &passphrase()).unwrap().address();
        (folder, path, address)
    }

    #[test]
    fn a_keystore_opens_with_its_passphrase_and_with_no_other() {
        let (_folder, path, address) = keystore();
        assert_eq!(LocalSigner::load(&path, &passphrase()).unwrap().address(), address);
        let refusal = LocalSigner::load(&path, &SecretString::from("another")).unwrap_err();
        assert!(matches!(refusal, KeystoreError::Locked));
        // Private, and nothing but the keystore is left.
        let keys = path.parent().unwrap();
        file::check_folder(keys).unwrap();
        assert_eq!(fs::read_dir(keys).unwrap().count(), 1);
    }

    #[test]
    fn a_key_is_never_overwritten_and_never_sealed_weakly() {
        let (_folder, path, address) = keystore();
        let refusal = LocalSigner::create(&path, &passphrase()).unwrap_err();
        assert!(matches!(refusal, KeystoreError::File(FileError::Exists(_))));
        assert_eq!(LocalSigner::load(&path, &passphrase()).unwrap().address(), address);
        let refusal =
            LocalSigner::create(&path, &SecretString::from("fifteen bytes !")).unwrap_err();
        assert!(matches!(refusal, KeystoreError::WeakPassphrase(15)));
    }

    #[test]
    fn a_keystore_of_another_wallet_opens() {
        // Made by eth-account 0.14.0.
        let text = r#"{
            "address": "9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F",
            "crypto": {
                "cipher": "aes-128-ctr",
                "cipherparams": {
                    "iv": "86006135f8f1b0b68d04f0129c41cf91"
                },
                "ciphertext": "a58ae8c08ba7f5ed234a04fdfe3e271ec0af7a2d8ecf3ddf84ccaf40771cbbe0",
                "kdf": "scrypt",
                "kdfparams": {
                    "dklen": 32,
                    "n": 4096,
                    "r": 8,
                    "p": 1,
                    "salt": "17f5088faba9cdb4846f710c4d2ad651"
                },
                "mac": "1c788b9d67207fef538f5b4a0ab315985b9dffaf30d894bd3b9988f309175636"
            },
            "id": "9cdd2466-662f-4030-b322-057148832b28",
            "version": 3
        }"#;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("operator.json");
        file::create(&path, text.as_bytes()).unwrap();
        let signer = LocalSigner::load(&path, &SecretString::from("testpassword")).unwrap();
        assert_eq!(signer.secret.as_secret_bytes(), &[0x46; 32]);
    }

    #[test]
    fn a_damaged_keystore_is_an_error_and_no_panic() {
        let (_folder, path, _) = keystore();
        let good: serde_json::Value =
            serde_json::from_slice(&file::read(&path, KEYSTORE_BYTES_MAX).unwrap()).unwrap();
        let damages = [
            ("/version", serde_json::json!(4)),
            ("/crypto/cipher", serde_json::json!("aes-128-cbc")),
            ("/crypto/cipherparams/iv", serde_json::json!("00")),
            ("/crypto/kdfparams/dklen", serde_json::json!(8)),
            ("/crypto/kdfparams/n", serde_json::json!(1u32 << 31)),
            ("/crypto/kdfparams/n", serde_json::json!(8191)),
            ("/crypto/kdfparams/r", serde_json::json!(0)),
        ];
        for (place, value) in damages {
            let mut damaged = good.clone();
            *damaged.pointer_mut(place).unwrap() = value;
            fs::remove_file(&path).unwrap();
            file::create(&path, damaged.to_string().as_bytes()).unwrap();
            let refusal = LocalSigner::load(&path, &passphrase()).unwrap_err();
            assert!(matches!(refusal, KeystoreError::Unsupported(_)), "{place}: {refusal}");
        }
        let mut altered = good;
        altered["crypto"]["ciphertext"] = "00".repeat(32).into();
        fs::remove_file(&path).unwrap();
        file::create(&path, altered.to_string().as_bytes()).unwrap();
        let refusal = LocalSigner::load(&path, &passphrase()).unwrap_err();
        assert!(matches!(refusal, KeystoreError::Locked));
    }

    #[test]
    fn zero_and_the_order_are_no_keys() {
        assert!(LocalSigner::from_bytes(&[0; 32]).is_err());
        assert!(LocalSigner::from_bytes(&[0xff; 32]).is_err());
    }
}
