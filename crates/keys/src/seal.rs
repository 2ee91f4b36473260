//! The seal of what is kept beside the log: who its organisations are, and who is whose patient.

use alloy::primitives::B256;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hmac;
use medtrail_ledger::entry::derive;
use medtrail_ledger::ports::{RowSeal, SecretKey};
use std::fmt;

/// AES-256-GCM (NIST SP 800-38D) over rows, HMAC-SHA-256 over their keys, both under keys derived
/// from the log's.
///
/// A sealed row is `nonce ‖ ciphertext ‖ GCM tag`, 28 bytes longer than the row. What is
/// authenticated besides it is `log ‖ place`. Nonces are 96 random bits, good for 2^32 rows under
/// one log's key: rows are written when people act, not when reports come in.
pub struct DirectorySeal {
    rows: RandomizedNonceKey,
    names: hmac::Key,
    log: B256,
}

impl DirectorySeal {
    /// The seal of `log`, whose key is `log_key` ([`KeyTag::Log`](medtrail_ledger::ports::KeyTag)).
    pub fn new(log_key: &SecretKey, log: B256) -> Self {
        let rows = derive(log_key, "medtrail directory v1");
        let names = derive(log_key, "medtrail directory names v1");
        Self {
            rows: RandomizedNonceKey::new(&AES_256_GCM, &rows.0)
                .expect("AES-256 takes every key of 32 bytes"),
            names: hmac::Key::new(hmac::HMAC_SHA256, &names.0),
            log,
        }
    }

    fn bound_to(&self, place: &[u8]) -> Aad<Vec<u8>> {
        Aad::from([self.log.as_slice(), place].concat())
    }
}

impl RowSeal for DirectorySeal {
    fn name(&self, table: &str, key: &[u8]) -> [u8; 32] {
        // No table's name has a zero byte: no two pairs share an encoding.
        let whole = [self.log.as_slice(), table.as_bytes(), &[0], key].concat();
        hmac::sign(&self.names, &whole).as_ref().try_into().expect("SHA-256 gives 32 bytes")
    }

    fn seal(&self, place: &[u8], plain: &[u8]) -> Vec<u8> {
        let mut sealed = vec![0; NONCE_LEN];
        sealed.extend_from_slice(plain);
        let (nonce, tag) = self
            .rows
            .seal_in_place_separate_tag(self.bound_to(place), &mut sealed[NONCE_LEN..])
            .expect("a row is within GCM's limits, and the system gives random bytes");
        sealed[..NONCE_LEN].copy_from_slice(nonce.as_ref());
        sealed.extend_from_slice(tag.as_ref());
        sealed
    }

    fn open(&self, place: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut row = sealed.to_vec();
        let length = self.rows.open_in_place(nonce, self.bound_to(place), &mut row).ok()?.len();
        row.truncate(length);
        Some(row)
    }
}

impl fmt::Debug for DirectorySeal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectorySeal").field("log", &self.log).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::primitives::hex;
    use proptest::prelude::*;

    const LOG: B256 = B256::repeat_byte(0x11);

    fn seal() -> DirectorySeal {
        DirectorySeal::new(&SecretKey([5; 32]), LOG)
    }

    proptest! {
        #[test]
        fn a_sealed_row_opens_only_whole_in_its_place_and_log_and_under_its_key(
            plain in prop::collection::vec(any::<u8>(), 0..300), place: [u8; 8], other: [u8; 8],
            flip in any::<(u16, u8)>(),
        ) {
            prop_assume!(place != other);
            let seal = seal();
            let sealed = seal.seal(&place, &plain);
            prop_assert_eq!(sealed.len(), plain.len() + 28);
            prop_assert_eq!(seal.open(&place, &sealed), Some(plain));
            prop_assert_eq!(seal.open(&other, &sealed), None);
            let elsewhere = DirectorySeal::new(&SecretKey([5; 32]), B256::ZERO);
            prop_assert_eq!(elsewhere.open(&place, &sealed), None);
            let stranger = DirectorySeal::new(&SecretKey([6; 32]), LOG);
            prop_assert_eq!(stranger.open(&place, &sealed), None);

            let at = usize::from(flip.0) % sealed.len();
            prop_assert_eq!(seal.open(&place, &sealed[..at]), None);
            let mut changed = sealed;
            changed[at] ^= 1 << (flip.1 % 8);
            prop_assert_eq!(seal.open(&place, &changed), None);
        }
    }

    #[test]
    fn the_same_row_is_never_sealed_into_the_same_bytes() {
        let seal = seal();
        assert_ne!(
            seal.seal(b"place", b"row")[NONCE_LEN..],
            seal.seal(b"place", b"row")[NONCE_LEN..]
        );
    }

    #[test]
    fn a_name_is_the_same_for_ever_and_another_for_each_table_key_and_log() {
        let name = seal().name("bindings", &[7; 32]);
        let others = [
            seal().name("pending", &[7; 32]),
            seal().name("bindings", &[8; 32]),
            DirectorySeal::new(&SecretKey([6; 32]), LOG).name("bindings", &[7; 32]),
            DirectorySeal::new(&SecretKey([5; 32]), B256::ZERO).name("bindings", &[7; 32]),
        ];
        assert!(!others.contains(&name));
        assert_eq!(
            hex::encode(name),
            "de8266f26b8cc834b1d92ee8e0b8808fab26adb93a4f84042f01d7a0e0f74c5e"
        );
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", DirectorySeal::new(&SecretKey([0xab; 32]), LOG));
        assert_eq!(shown, format!("DirectorySeal {{ log: {LOG:?}, .. }}"));
    }
}
