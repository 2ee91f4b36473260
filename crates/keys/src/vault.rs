//! The seal of the vault: each person's rows under a key of their own, which can be destroyed
//! without touching the trail.

use alloy::primitives::B256;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hmac;
use medtrail_ledger::entry::{Keyed, derive};
use medtrail_ledger::ports::{JournalError, KeyFile, KeyTag, SecretKey};
use medtrail_ledger::vault::{Unsealed, VaultSeal};
use std::fmt;
use std::sync::Arc;

/// AES-256-GCM over rows, HMAC-SHA-256 over their keys.
///
/// A sealed row is `nonce ‖ ciphertext ‖ GCM tag`; what is authenticated besides it is `log ‖
/// place`. Nonces are 96 random bits: a person's key seals far fewer rows than 2^32.
pub struct VaultKeys {
    names: hmac::Key,
    own: RandomizedNonceKey,
    tags: Keyed,
    keys: Arc<dyn KeyFile>,
    log: B256,
}

impl VaultKeys {
    /// The seal of the vault of `log`, whose key is `log_key`; people's keys are made in and taken
    /// from `keys`.
    pub fn new(log_key: &SecretKey, log: B256, keys: Arc<dyn KeyFile>) -> Self {
        let names = derive(log_key, "medtrail vault names v1");
        Self {
            names: hmac::Key::new(hmac::HMAC_SHA256, &names.0),
            own: cipher(&derive(log_key, "medtrail vault v1")),
            tags: Keyed::derived(log_key, "medtrail tags v1"),
            keys,
            log,
        }
    }

    /// The tag of a subject's vault key in the key file.
    pub fn tag(&self, subject: B256) -> KeyTag {
        KeyTag::Vault(self.tags.subject_tag(subject))
    }

    fn bound_to(&self, place: &[u8]) -> Aad<Vec<u8>> {
        Aad::from([self.log.as_slice(), place].concat())
    }

    fn seal_under(&self, key: &RandomizedNonceKey, place: &[u8], plain: &[u8]) -> Vec<u8> {
        let mut sealed = vec![0; NONCE_LEN];
        sealed.extend_from_slice(plain);
        let (nonce, tag) = key
            .seal_in_place_separate_tag(self.bound_to(place), &mut sealed[NONCE_LEN..])
            .expect("a row is within GCM's limits, and the system gives random bytes");
        sealed[..NONCE_LEN].copy_from_slice(nonce.as_ref());
        sealed.extend_from_slice(tag.as_ref());
        sealed
    }

    fn open_under(&self, key: &RandomizedNonceKey, place: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut row = sealed.to_vec();
        let length = key.open_in_place(nonce, self.bound_to(place), &mut row).ok()?.len();
        row.truncate(length);
        Some(row)
    }
}

fn cipher(key: &SecretKey) -> RandomizedNonceKey {
    RandomizedNonceKey::new(&AES_256_GCM, &key.0).expect("AES-256 takes every key of 32 bytes")
}

fn cipher_of(subject_key: &SecretKey) -> RandomizedNonceKey {
    cipher(&derive(subject_key, "medtrail vault rows v1"))
}

impl VaultSeal for VaultKeys {
    fn name(&self, table: &str, key: &[u8]) -> [u8; 32] {
        // No table's name has a zero byte: no two pairs share an encoding.
        let whole = [self.log.as_slice(), table.as_bytes(), &[0], key].concat();
        hmac::sign(&self.names, &whole).as_ref().try_into().expect("SHA-256 gives 32 bytes")
    }

    fn seal(
        &self,
        subject: Option<B256>,
        place: &[u8],
        plain: &[u8],
    ) -> Result<Vec<u8>, JournalError> {
        let Some(subject) = subject else { return Ok(self.seal_under(&self.own, place, plain)) };
        let tag = self.tag(subject);
        let key = match self.keys.open(tag)? {
            Some(key) => key,
            None => {
                let made = self.keys.create(&[tag])?.pop();
                made.ok_or_else(|| JournalError::Storage("no key was made".to_owned()))?
            }
        };
        Ok(self.seal_under(&cipher_of(&key), place, plain))
    }

    fn open(
        &self,
        subject: Option<B256>,
        place: &[u8],
        sealed: &[u8],
    ) -> Result<Unsealed, JournalError> {
        let opened = match subject {
            None => self.open_under(&self.own, place, sealed),
            Some(subject) => match self.keys.open(self.tag(subject))? {
                None => return Ok(Unsealed::Erased),
                Some(key) => self.open_under(&cipher_of(&key), place, sealed),
            },
        };
        Ok(opened.map_or(Unsealed::Damaged, Unsealed::Plain))
    }
}

impl fmt::Debug for VaultKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VaultKeys").field("log", &self.log).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use medtrail_ledger::ports::{Era, MasterKeys, SubjectTag};
    use std::collections::HashMap;
    use std::sync::Mutex;

    const LOG: B256 = B256::repeat_byte(0x11);

    /// Keys in memory.
    #[derive(Default)]
    struct Ring(Mutex<HashMap<KeyTag, SecretKey>>);

    impl KeyFile for Ring {
        fn open(&self, tag: KeyTag) -> Result<Option<SecretKey>, JournalError> {
            Ok(self.0.lock().unwrap().get(&tag).cloned())
        }
        fn create(&self, tags: &[KeyTag]) -> Result<Vec<SecretKey>, JournalError> {
            let mut ring = self.0.lock().unwrap();
            let made = tags
                .iter()
                .map(|tag| ring.entry(*tag).or_insert_with(|| SecretKey(*crate::random())).clone());
            Ok(made.collect())
        }
        fn destroy(&self, tag: KeyTag) -> Result<(), JournalError> {
            self.0.lock().unwrap().remove(&tag);
            Ok(())
        }
        fn end_era(&self, _: SubjectTag, _: u64) -> Result<(), JournalError> {
            unreachable!("the vault has no eras")
        }
        fn era(&self, _: SubjectTag, _: u64) -> Result<Era, JournalError> {
            unreachable!("the vault has no eras")
        }
        fn erase(&self, _: &[(SubjectTag, u64)], _: &[KeyTag]) -> Result<(), JournalError> {
            unreachable!("the eraser does")
        }
        fn is_rewrap_due(&self) -> Result<bool, JournalError> {
            unreachable!("the eraser asks")
        }
        fn rewrap(&self, _: &dyn MasterKeys) -> Result<u64, JournalError> {
            unreachable!("the eraser does")
        }
    }

    fn seal() -> (VaultKeys, Arc<Ring>) {
        let ring = Arc::<Ring>::default();
        (VaultKeys::new(&SecretKey([5; 32]), LOG, ring.clone()), ring)
    }

    #[test]
    fn a_row_opens_only_for_its_subject_in_its_place_and_while_the_key_lives() {
        let (seal, ring) = seal();
        let (anna, mart) = (B256::repeat_byte(1), B256::repeat_byte(2));
        let sealed = seal.seal(Some(anna), b"place", b"row").unwrap();
        seal.seal(Some(mart), b"place", b"row").unwrap();
        let plain = Unsealed::Plain(b"row".to_vec());
        assert_eq!(seal.open(Some(anna), b"place", &sealed).unwrap(), plain);
        assert_eq!(seal.open(Some(anna), b"elsewhere", &sealed).unwrap(), Unsealed::Damaged);
        assert_eq!(seal.open(Some(mart), b"place", &sealed).unwrap(), Unsealed::Damaged);
        assert_eq!(seal.open(None, b"place", &sealed).unwrap(), Unsealed::Damaged);
        let stranger = VaultKeys::new(&SecretKey([5; 32]), B256::ZERO, ring.clone());
        assert_eq!(stranger.open(Some(anna), b"place", &sealed).unwrap(), Unsealed::Damaged);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(seal.open(Some(anna), b"place", &changed).unwrap(), Unsealed::Damaged);
            assert_eq!(seal.open(Some(anna), b"place", &sealed[..at]).unwrap(), Unsealed::Damaged);
        }
        ring.destroy(seal.tag(anna)).unwrap();
        assert_eq!(seal.open(Some(anna), b"place", &sealed).unwrap(), Unsealed::Erased);
    }

    #[test]
    fn a_name_is_the_same_for_ever_and_another_for_each_table_key_and_log() {
        let (seal, ring) = seal();
        let name = seal.name("records", &[7; 32]);
        assert_eq!(name, seal.name("records", &[7; 32]));
        let other = VaultKeys::new(&SecretKey([6; 32]), LOG, ring.clone());
        let elsewhere = VaultKeys::new(&SecretKey([5; 32]), B256::ZERO, ring);
        let others = [
            seal.name("shelves", &[7; 32]),
            seal.name("records", &[8; 32]),
            other.name("records", &[7; 32]),
            elsewhere.name("records", &[7; 32]),
        ];
        assert!(!others.contains(&name));
    }

    #[test]
    fn debug_shows_no_secret() {
        assert_eq!(format!("{:?}", seal().0), format!("VaultKeys {{ log: {LOG:?}, .. }}"));
    }
}
