//! What a row holds below its seal.

use alloy_primitives::{Address, B256, Bytes};
use medtrail_ledger::entry::details_hash;
use medtrail_ledger::proof::{BatchEvidence, Evidence};
use medtrail_ledger::schema::{Place, Report};
use medtrail_ledger::signature::SIGNATURE_BYTES;
use medtrail_ledger::{ports::RowHeader, schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

type Word = [u8; 32];

/// A report as stored: postcard, without what the row's place in the log already says (`log`,
/// `ordinal`), without the salt, which is never stored, and without words that are zero.
#[derive(Serialize, Deserialize)]
struct StoredReport<'a> {
    event_id: Word,
    kind: u8,
    action: u8,
    time_ms: u64,
    subject: Word,
    actor: [u8; 20],
    record: Option<Word>,
    from_version: Option<Word>,
    to_version: Option<Word>,
    permission: Option<Word>,
    evidence: StoredEvidence,
    #[serde(borrow)]
    details: StoredDetails<'a>,
}

#[derive(Serialize, Deserialize)]
enum StoredEvidence {
    Relayed,
    Signed(Box<StoredSignature>),
    Batch { count: u64, index: u64, root: Word, path: Vec<Word>, signature: Box<StoredSignature> },
}

#[derive(Serialize, Deserialize)]
struct StoredSignature {
    r: Word,
    s: Word,
    v: u8,
}

#[derive(Serialize, Deserialize)]
enum StoredDetails<'a> {
    /// Only the hash: the document is elsewhere, or was never sent.
    Hash(Word),
    /// The document; its hash is one SHA-256 away.
    Document(#[serde(borrow, with = "serde_bytes")] Cow<'a, [u8]>),
}

/// A signed report without its details takes less.
const FIXED_BYTES_MAX: usize = 400;
/// The part of a place that is stored below the seal, in front of the report.
const PLACE_BYTES: usize = 40;

/// A row, opened: everything of an entry but its salt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Row {
    pub(crate) report: Report,
    pub(crate) previous: B256,
    pub(crate) received_ms: u64,
    pub(crate) evidence: Evidence,
    pub(crate) details: Option<Vec<u8>>,
}

/// The bytes of a report, ready for [`with_place`]. Made by the reporter's thread, so that the one
/// writer only copies them.
pub(crate) fn encode_report(
    report: &Report,
    evidence: &Evidence,
    details: Option<&[u8]>,
) -> Vec<u8> {
    let word = |value: B256| (!value.is_zero()).then_some(value.0);
    let stored = StoredReport {
        event_id: report.eventId.0,
        kind: report.kind,
        action: report.action,
        time_ms: report.timeMs,
        subject: report.subject.0,
        actor: report.actor.into_array(),
        record: word(report.record),
        from_version: word(report.fromVersion),
        to_version: word(report.toVersion),
        permission: word(report.permission),
        evidence: StoredEvidence::of(evidence),
        details: match details {
            Some(document) => StoredDetails::Document(Cow::Borrowed(document)),
            None => StoredDetails::Hash(report.details.0),
        },
    };
    let room = Vec::with_capacity(FIXED_BYTES_MAX + details.map_or(0, <[u8]>::len));
    postcard::to_extend(&stored, room).expect("plain data encodes")
}

/// What is sealed: `previous ‖ uint64be receivedMs ‖ report`.
pub(crate) fn with_place(previous: &B256, received_ms: u64, report: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(previous.as_slice());
    out.extend_from_slice(&received_ms.to_be_bytes());
    out.extend_from_slice(report);
}

impl Row {
    /// Reads what [`with_place`] wrote, or `None` if these bytes are nothing of the kind.
    pub(crate) fn decode(log: B256, opened: &[u8]) -> Option<Self> {
        let (place, report) = opened.split_at_checked(PLACE_BYTES)?;
        let (stored, rest) = postcard::take_from_bytes::<StoredReport<'_>>(report).ok()?;
        if !rest.is_empty() {
            return None;
        }
        let word = |value: Option<Word>| value.map_or(B256::ZERO, B256::from);
        let (details_word, details) = match stored.details {
            StoredDetails::Hash(hash) => (B256::from(hash), None),
            StoredDetails::Document(document) => {
                (details_hash(&document), Some(document.into_owned()))
            }
        };
        Some(Self {
            report: Report {
                log,
                eventId: B256::from(stored.event_id),
                kind: stored.kind,
                action: stored.action,
                timeMs: stored.time_ms,
                subject: B256::from(stored.subject),
                actor: Address::from(stored.actor),
                record: word(stored.record),
                fromVersion: word(stored.from_version),
                toVersion: word(stored.to_version),
                permission: word(stored.permission),
                details: details_word,
            },
            previous: B256::from_slice(&place[..32]),
            received_ms: u64::from_be_bytes(place[32..].try_into().ok()?),
            evidence: stored.evidence.into_evidence(),
            details,
        })
    }

    /// The place, given what stands outside the seal.
    pub(crate) fn place(&self, header: &RowHeader, salt: B256) -> Place {
        schema::Place {
            ordinal: header.ordinal,
            previous: self.previous,
            receivedMs: self.received_ms,
            salt,
        }
    }
}

impl StoredEvidence {
    fn of(evidence: &Evidence) -> Self {
        match evidence {
            Evidence::Relayed => Self::Relayed,
            Evidence::Signed(bytes) => Self::Signed(StoredSignature::of(bytes)),
            Evidence::Batch(batch) => Self::Batch {
                count: batch.count,
                index: batch.index,
                root: batch.root.0,
                path: batch.path.iter().map(|hash| hash.0).collect(),
                signature: StoredSignature::of(&batch.signature),
            },
        }
    }

    fn into_evidence(self) -> Evidence {
        match self {
            Self::Relayed => Evidence::Relayed,
            Self::Signed(signature) => Evidence::Signed(signature.bytes()),
            Self::Batch { count, index, root, path, signature } => Evidence::Batch(BatchEvidence {
                count,
                index,
                root: B256::from(root),
                path: path.into_iter().map(B256::from).collect(),
                signature: signature.bytes(),
            }),
        }
    }
}

impl StoredSignature {
    /// Whatever is stored has come through the signature door, so it has 65 bytes.
    fn of(bytes: &Bytes) -> Box<Self> {
        let whole: &[u8; SIGNATURE_BYTES] =
            bytes.as_ref().try_into().expect("checked by the signature door");
        Box::new(Self {
            r: whole[..32].try_into().expect("32 bytes"),
            s: whole[32..64].try_into().expect("32 bytes"),
            v: whole[64],
        })
    }

    fn bytes(&self) -> Bytes {
        [self.r.as_slice(), &self.s, &[self.v]].concat().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn word() -> impl Strategy<Value = B256> {
        prop_oneof![Just(B256::ZERO), any::<[u8; 32]>().prop_map(B256::from)]
    }

    fn signature() -> impl Strategy<Value = Bytes> {
        prop::collection::vec(any::<u8>(), SIGNATURE_BYTES).prop_map(Bytes::from)
    }

    fn evidence() -> impl Strategy<Value = Evidence> {
        let batch = (any::<u64>(), any::<u64>(), word(), prop::collection::vec(word(), 0..8));
        prop_oneof![
            Just(Evidence::Relayed),
            signature().prop_map(Evidence::Signed),
            (batch, signature()).prop_map(|((count, index, root, path), signature)| {
                Evidence::Batch(BatchEvidence { count, index, root, path, signature })
            }),
        ]
    }

    prop_compose! {
        fn report()(
            words in prop::array::uniform7(word()),
            kind in any::<u8>(), action in any::<u8>(), time_ms in any::<u64>(),
            actor in any::<[u8; 20]>(),
        ) -> Report {
            let [event, subject, record, from, to, permission, details] = words;
            Report {
                log: B256::repeat_byte(9), eventId: event, kind, action, timeMs: time_ms, subject,
                actor: Address::from(actor), record, fromVersion: from, toVersion: to, permission,
                details,
            }
        }
    }

    proptest! {
        #[test]
        fn a_row_reads_back_as_it_was_written(
            mut report in report(), evidence in evidence(), previous in word(),
            received_ms in any::<u64>(),
            details in prop::option::of(prop::collection::vec(any::<u8>(), 0..600)),
        ) {
            if let Some(document) = &details {
                report.details = details_hash(document);
            }
            let mut bytes = Vec::new();
            let encoded = encode_report(&report, &evidence, details.as_deref());
            with_place(&previous, received_ms, &encoded, &mut bytes);
            let row = Row { report, previous, received_ms, evidence, details };
            prop_assert_eq!(Row::decode(B256::repeat_byte(9), &bytes), Some(row));
            bytes.push(0);
            prop_assert_eq!(Row::decode(B256::repeat_byte(9), &bytes), None);
        }

        #[test]
        fn no_bytes_make_decoding_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            Row::decode(B256::ZERO, &bytes);
        }
    }
}
