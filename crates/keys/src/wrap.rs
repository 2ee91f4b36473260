//! The master key: every key in `keys.redb` is sealed under it.

use crate::file::{self, FileError};
use alloy::primitives::{B256, hex};
use aws_lc_rs::aead::{AES_256_GCM, Aad, MAX_TAG_LEN, NONCE_LEN, Nonce, RandomizedNonceKey};
use medtrail_ledger::ports::{KeyTag, KeyWrap, SecretKey};
use std::fmt;
use std::path::Path;
use zeroize::Zeroizing;

/// How a wrapped key opens.
const VERSION: u8 = 1;
/// `version ‖ nonce ‖ sealed key ‖ GCM tag`.
pub const WRAPPED_BYTES: usize = 1 + NONCE_LEN + 32 + MAX_TAG_LEN;

/// What `master.key` opens with, so that no other 64 hex digits are ever taken for one.
const FILE_HEAD: &str = "medtrail/master-key-v1 ";
const FILE_BYTES: usize = FILE_HEAD.len() + 64 + 1;

/// AES-256-GCM (NIST SP 800-38D) over the keys of one log.
///
/// What is authenticated besides the key is `log ‖ tag`: a wrapped key copied to another subject's
/// row, or into another log, does not open. Nonces are 96 random bits, good for 2^32 wraps under
/// one master key; a log wraps once a subject.
///
/// aws-lc wipes its key schedule when it is freed.
pub struct MasterKey {
    key: RandomizedNonceKey,
    log: B256,
}

impl MasterKey {
    /// Makes `master.key` (mode 0600; durable when this returns) for `log`.
    ///
    /// # Errors
    /// [`FileError::Exists`] if a master key stands there: without it all content is lost.
    pub fn create(path: &Path, log: B256) -> Result<Self, FileError> {
        let key = crate::random();
        let mut text = Zeroizing::new([0; FILE_BYTES]);
        text[..FILE_HEAD.len()].copy_from_slice(FILE_HEAD.as_bytes());
        hex::encode_to_slice(&key[..], &mut text[FILE_HEAD.len()..FILE_BYTES - 1])
            .expect("64 characters hold 32 bytes");
        text[FILE_BYTES - 1] = b'\n';
        file::create(path, &text[..])?;
        Ok(Self::from_bytes(&key, log))
    }

    /// Reads `master.key` for use with `log`.
    ///
    /// # Errors
    /// [`FileError::Malformed`] if it is another kind of file or another version.
    pub fn load(path: &Path, log: B256) -> Result<Self, FileError> {
        let malformed = || FileError::Malformed {
            path: path.to_owned(),
            wanted: "a master key (medtrail/master-key-v1 and 64 hex digits)",
        };
        let text = file::read(path, FILE_BYTES as u64)?;
        let digits = text.strip_prefix(FILE_HEAD.as_bytes()).ok_or_else(malformed)?;
        let digits = digits.strip_suffix(b"\n").unwrap_or(digits);
        let mut key = Zeroizing::new([0; 32]);
        hex::decode_to_slice(digits, &mut key[..]).map_err(|_| malformed())?;
        Ok(Self::from_bytes(&key, log))
    }

    /// From 32 bytes the caller keeps and wipes.
    pub fn from_bytes(key: &[u8; 32], log: B256) -> Self {
        let key = RandomizedNonceKey::new(&AES_256_GCM, key)
            .expect("AES-256 takes every key of 32 bytes");
        Self { key, log }
    }

    /// `log ‖ type ‖ name`. One type byte, and one length a type: no two tags share an encoding.
    fn bound_to(&self, tag: KeyTag) -> Vec<u8> {
        let mut bytes = self.log.to_vec();
        match tag {
            KeyTag::Log => bytes.push(1),
            KeyTag::Custodian(address) => {
                bytes.push(2);
                bytes.extend_from_slice(&address);
            }
            KeyTag::Subject(subject) => {
                bytes.push(3);
                bytes.extend_from_slice(&subject.0);
            }
            KeyTag::Vault(subject) => {
                bytes.push(4);
                bytes.extend_from_slice(&subject.0);
            }
            KeyTag::Era(subject, through) => {
                bytes.push(5);
                bytes.extend_from_slice(&subject.0);
                bytes.extend_from_slice(&through.to_be_bytes());
            }
            KeyTag::Sale(order) => {
                bytes.push(6);
                bytes.extend_from_slice(order.as_slice());
            }
        }
        bytes
    }
}

impl KeyWrap for MasterKey {
    fn wrap(&self, tag: KeyTag, key: &SecretKey) -> Vec<u8> {
        // Sealed where it is finally stored, and never moved: no copy of the key is left behind.
        let mut sealed = Zeroizing::new(key.0);
        let (nonce, gcm_tag) = self
            .key
            .seal_in_place_separate_tag(Aad::from(self.bound_to(tag)), &mut sealed[..])
            .expect("32 bytes are within GCM's limits, and the system gives random bytes");
        let mut wrapped = Vec::with_capacity(WRAPPED_BYTES);
        wrapped.push(VERSION);
        wrapped.extend_from_slice(nonce.as_ref());
        wrapped.extend_from_slice(&sealed[..]);
        wrapped.extend_from_slice(gcm_tag.as_ref());
        wrapped
    }

    fn unwrap(&self, tag: KeyTag, wrapped: &[u8]) -> Option<SecretKey> {
        if wrapped.len() != WRAPPED_BYTES || wrapped[0] != VERSION {
            return None;
        }
        let (nonce, sealed) = wrapped[1..].split_at(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut opened = Zeroizing::new(sealed.to_vec());
        let key = self.key.open_in_place(nonce, Aad::from(self.bound_to(tag)), &mut opened).ok()?;
        Some(SecretKey((&*key).try_into().ok()?))
    }

    fn fresh(&self) -> SecretKey {
        SecretKey(*crate::random())
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKey").field("log", &self.log).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use medtrail_ledger::ports::SubjectTag;
    use proptest::prelude::*;

    const LOG: B256 = B256::repeat_byte(0x11);

    fn tags() -> impl Strategy<Value = KeyTag> {
        prop_oneof![
            Just(KeyTag::Log),
            any::<[u8; 20]>().prop_map(KeyTag::Custodian),
            any::<[u8; 16]>().prop_map(|tag| KeyTag::Subject(SubjectTag(tag))),
            any::<[u8; 16]>().prop_map(|tag| KeyTag::Vault(SubjectTag(tag))),
            any::<([u8; 16], u64)>().prop_map(|(tag, end)| KeyTag::Era(SubjectTag(tag), end)),
            any::<[u8; 32]>().prop_map(|order| KeyTag::Sale(order.into())),
        ]
    }

    proptest! {
        #[test]
        fn a_wrapped_key_opens_for_its_tag_and_for_no_other(
            master: [u8; 32], secret: [u8; 32], tag in tags(), other in tags(),
        ) {
            let master = MasterKey::from_bytes(&master, LOG);
            let wrapped = master.wrap(tag, &SecretKey(secret));
            prop_assert_eq!(wrapped.len(), WRAPPED_BYTES);
            prop_assert_eq!(master.unwrap(tag, &wrapped), Some(SecretKey(secret)));
            if other != tag {
                prop_assert_eq!(master.unwrap(other, &wrapped), None);
            }
        }

        #[test]
        fn no_changed_bit_no_other_log_and_no_other_length_opens(
            secret: [u8; 32], tag in tags(), at in 0..WRAPPED_BYTES, bit in 0..8u8, log: [u8; 32],
        ) {
            prop_assume!(log != LOG.0);
            let master = MasterKey::from_bytes(&[7; 32], LOG);
            let wrapped = master.wrap(tag, &SecretKey(secret));

            let elsewhere = MasterKey::from_bytes(&[7; 32], log.into());
            prop_assert_eq!(elsewhere.unwrap(tag, &wrapped), None);
            prop_assert_eq!(master.unwrap(tag, &wrapped[..at]), None);
            prop_assert_eq!(master.unwrap(tag, &[&wrapped[..], &[0]].concat()), None);

            let mut changed = wrapped;
            changed[at] ^= 1 << bit;
            prop_assert_eq!(master.unwrap(tag, &changed), None);
        }
    }

    #[test]
    fn the_same_key_is_never_wrapped_into_the_same_bytes() {
        let master = MasterKey::from_bytes(&[7; 32], LOG);
        let key = master.fresh();
        assert_ne!(master.wrap(KeyTag::Log, &key), master.wrap(KeyTag::Log, &key));
        assert_ne!(master.fresh(), key);
    }

    #[test]
    fn the_file_brings_back_the_same_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let made = MasterKey::create(&path, LOG).unwrap();
        let wrapped = made.wrap(KeyTag::Log, &SecretKey([5; 32]));
        let loaded = MasterKey::load(&path, LOG).unwrap();
        assert_eq!(loaded.unwrap(KeyTag::Log, &wrapped), Some(SecretKey([5; 32])));
        assert!(matches!(MasterKey::create(&path, LOG), Err(FileError::Exists(_))));
    }

    #[test]
    fn a_damaged_or_foreign_file_is_refused() {
        for content in ["", "medtrail/master-key-v2 00", &"00".repeat(32)] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("master.key");
            file::create(&path, content.as_bytes()).unwrap();
            assert!(matches!(MasterKey::load(&path, LOG), Err(FileError::Malformed { .. })));
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        file::create(&path, format!("{FILE_HEAD}{}\n", "zz".repeat(32)).as_bytes()).unwrap();
        assert!(matches!(MasterKey::load(&path, LOG), Err(FileError::Malformed { .. })));
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", MasterKey::from_bytes(&[0xab; 32], LOG));
        assert!(!shown.contains("abab") && !shown.contains("171, 171"), "{shown}");
    }

    /// Keys wrapped once in format 1: every later version must open them.
    #[test]
    fn keys_wrapped_in_format_1_open_for_ever() {
        let master = MasterKey::from_bytes(&[7; 32], LOG);
        let tag = SubjectTag([4; 16]);
        let tags =
            [KeyTag::Log, KeyTag::Custodian([3; 20]), KeyTag::Subject(tag), KeyTag::Vault(tag)];
        let lines: Vec<&str> = include_str!("../tests/data/wrapped-v1.hex").lines().collect();
        assert_eq!(lines.len(), tags.len());
        for (tag, line) in tags.into_iter().zip(lines) {
            let wrapped = hex::decode(line).unwrap();
            assert_eq!(master.unwrap(tag, &wrapped), Some(SecretKey([9; 32])), "{tag:?}");
        }
    }
}
