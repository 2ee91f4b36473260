//! Seals rows under their subject's key, and derives what is keyed.

use alloy_primitives::B256;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use medtrail_ledger::entry::{Keyed, derive};
use medtrail_ledger::ports::{RowHeader, SecretKey};

/// Random bytes in a row's nonce, drawn once a batch.
const DRAW_BYTES: usize = 4;
/// Header, draw, place and tag take less.
const AROUND_BYTES_MAX: usize = 160;

/// What one subject's key is used for: salts, and the seal of rows.
pub(crate) struct SubjectKeys {
    salt: Keyed,
    seal: LessSafeKey,
}

/// Drawn once for each batch that is built. The nonce of a row is its index and this: an index is
/// sealed a second time only after a commit failed, with a new draw, and perhaps another report.
#[derive(Clone, Copy)]
pub(crate) struct Draw([u8; DRAW_BYTES]);

impl Draw {
    /// A fresh one.
    pub(crate) fn fresh() -> Result<Self, NoRandomness> {
        let mut bytes = [0; DRAW_BYTES];
        aws_lc_rs::rand::fill(&mut bytes).map_err(|_| NoRandomness)?;
        Ok(Self(bytes))
    }
}

/// The system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random bytes")]
pub(crate) struct NoRandomness;

impl SubjectKeys {
    pub(crate) fn new(key: &SecretKey) -> Self {
        let sealing = derive(key, "medtrail rows v1");
        let unbound =
            UnboundKey::new(&AES_256_GCM, &sealing.0).expect("32 bytes are an AES-256 key");
        Self { salt: Keyed::derived(key, "medtrail salt v1"), seal: LessSafeKey::new(unbound) }
    }

    /// The salt of the subject's n-th entry; of entry `number` for kinds that are salted by index.
    pub(crate) fn salt(&self, log: B256, subject: B256, number: u64) -> B256 {
        self.salt.salt(log, subject, number)
    }

    /// `header ‖ draw ‖ AES-256-GCM(plain)`; log, index and header are bound in. `length` is about
    /// that of what is written.
    pub(crate) fn seal(
        &self,
        log: B256,
        index: u64,
        header: &RowHeader,
        draw: Draw,
        length: usize,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Vec<u8> {
        let clear = header.encode();
        let mut row = Vec::with_capacity(length + AROUND_BYTES_MAX);
        row.extend_from_slice(&clear);
        row.extend_from_slice(&draw.0);
        let start = row.len();
        write(&mut row);
        let tag = self
            .seal
            .seal_in_place_separate_tag(
                nonce(index, draw),
                bound(log, index, &clear),
                &mut row[start..],
            )
            .expect("a row is far below AES-GCM's limit");
        row.extend_from_slice(tag.as_ref());
        row
    }

    /// What was sealed, or `None` if this is not that row of that log under this key.
    pub(crate) fn open(&self, log: B256, index: u64, row: &[u8]) -> Option<Vec<u8>> {
        let (clear, rest) = row.split_first_chunk::<{ RowHeader::BYTES }>()?;
        let (draw, sealed) = rest.split_first_chunk::<DRAW_BYTES>()?;
        let mut buffer = sealed.to_vec();
        let opened = self
            .seal
            .open_in_place(nonce(index, Draw(*draw)), bound(log, index, clear), &mut buffer)
            .ok()?;
        let length = opened.len();
        buffer.truncate(length);
        Some(buffer)
    }
}

fn nonce(index: u64, draw: Draw) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    bytes[..8].copy_from_slice(&index.to_be_bytes());
    bytes[8..].copy_from_slice(&draw.0);
    Nonce::assume_unique_for_key(bytes)
}

fn bound(
    log: B256,
    index: u64,
    header: &[u8; RowHeader::BYTES],
) -> Aad<[u8; 40 + RowHeader::BYTES]> {
    let mut bytes = [0; 40 + RowHeader::BYTES];
    bytes[..32].copy_from_slice(log.as_slice());
    bytes[32..40].copy_from_slice(&index.to_be_bytes());
    bytes[40..].copy_from_slice(header);
    Aad::from(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use medtrail_ledger::ports::{EventKey, RecordTag, SubjectTag};
    use proptest::prelude::*;

    fn header() -> RowHeader {
        RowHeader {
            subject: SubjectTag([1; 16]),
            ordinal: 7,
            event: EventKey([2; 16]),
            record: RecordTag([3; 16]),
        }
    }

    proptest! {
        #[test]
        fn a_sealed_row_opens_only_whole_in_its_place_and_under_its_key(
            plain in prop::collection::vec(any::<u8>(), 0..300), flip in any::<(u16, u8)>(),
        ) {
            let keys = SubjectKeys::new(&SecretKey([5; 32]));
            let log = B256::repeat_byte(8);
            let draw = Draw::fresh().unwrap();
            let row = keys.seal(log, 9, &header(), draw, plain.len(), |out| out.extend_from_slice(&plain));
            prop_assert_eq!(keys.open(log, 9, &row), Some(plain));
            prop_assert_eq!(RowHeader::decode(&row), Some(header()));
            prop_assert_eq!(keys.open(log, 10, &row), None);
            prop_assert_eq!(keys.open(B256::ZERO, 9, &row), None);
            prop_assert_eq!(SubjectKeys::new(&SecretKey([6; 32])).open(log, 9, &row), None);
            let mut changed = row.clone();
            let place = usize::from(flip.0) % changed.len();
            changed[place] ^= 1 << (flip.1 % 8);
            prop_assert_eq!(keys.open(log, 9, &changed), None);
            prop_assert_eq!(keys.open(log, 9, &row[..row.len() - 1]), None);
        }
    }

    /// A row of format 1, sealed once: every later version must open it.
    const FIXTURE: &str = include_str!("../tests/data/row-v1.hex");

    #[test]
    fn a_row_of_format_1_opens_for_ever() {
        use crate::row::{Row, encode_report, with_place};
        use alloy_primitives::{Address, hex};
        use medtrail_ledger::entry::details_hash;
        use medtrail_ledger::proof::Evidence;
        use medtrail_ledger::schema::Report;

        let (keys, log) = (SubjectKeys::new(&SecretKey([5; 32])), B256::repeat_byte(8));
        let details = br#"{"resourceType":"AuditEvent"}"#.to_vec();
        let mut signature = vec![0x11; 64];
        signature.push(27);
        let row = Row {
            report: Report {
                log,
                eventId: B256::repeat_byte(1),
                kind: 2,
                action: b'U',
                timeMs: 1_767_605_400_120,
                subject: B256::repeat_byte(2),
                actor: Address::repeat_byte(3),
                record: B256::repeat_byte(4),
                toVersion: B256::repeat_byte(6),
                details: details_hash(&details),
                ..Report::default()
            },
            previous: B256::repeat_byte(7),
            received_ms: 1_767_605_400_999,
            evidence: Evidence::Signed(signature.into()),
            details: Some(details),
        };
        let encoded = encode_report(&row.report, &row.evidence, row.details.as_deref());
        let sealed = keys.seal(log, 9, &header(), Draw([1, 2, 3, 4]), encoded.len(), |out| {
            with_place(&row.previous, row.received_ms, &encoded, out);
        });
        let stored = hex::decode(FIXTURE.trim()).unwrap();
        assert_eq!(hex::encode(&sealed), hex::encode(&stored), "the format changed: version it");
        let opened = keys.open(log, 9, &stored).unwrap();
        assert_eq!(Row::decode(log, &opened), Some(row));
    }
}
