//! From a report to its commitment, and the ids and keyed values on the way.

use crate::merkle::{Hash, leaf_hash, node_hash};
use crate::ports::{EventKey, RecordTag, SecretKey, SubjectTag};
use crate::schema::{Entry, Place, Report};
use alloy_primitives::{Address, B256, keccak256};
use alloy_sol_types::SolValue;
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

/// What an entry is about. Fixed: kinds are added, never renumbered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Somebody looked.
    Access,
    /// Data were changed.
    Change,
    /// Data passed from one holder to another.
    HandOver,
    /// A permission was given or revoked.
    Permission,
    /// A sale, as the chain shows it.
    Sale,
    /// Data were delivered to a buyer.
    Delivery,
    /// A source was registered, lost, moved, or came back.
    Source,
    /// Something was not allowed.
    Refusal,
    /// The roster before an anchor.
    Roster,
    /// Content was erased.
    Erasure,
    /// A pseudonym joined a subject.
    Binding,
    /// A question: asked, answered, or left unanswered.
    Question,
    /// An earlier entry was wrong.
    Correction,
    /// A custodian's daily count.
    Coverage,
    /// Something was billed.
    Claim,
    /// The operator did something.
    Operation,
    /// A notice was sent.
    Notice,
    /// A kind this version does not know: shown as "other", never dropped.
    Other(u8),
}

const KINDS: [(Kind, &str); 17] = [
    (Kind::Access, "access"),
    (Kind::Change, "change"),
    (Kind::HandOver, "hand-over"),
    (Kind::Permission, "permission"),
    (Kind::Sale, "sale"),
    (Kind::Delivery, "delivery"),
    (Kind::Source, "source"),
    (Kind::Refusal, "refusal"),
    (Kind::Roster, "roster"),
    (Kind::Erasure, "erasure"),
    (Kind::Binding, "binding"),
    (Kind::Question, "question"),
    (Kind::Correction, "correction"),
    (Kind::Coverage, "coverage"),
    (Kind::Claim, "claim"),
    (Kind::Operation, "operation"),
    (Kind::Notice, "notice"),
];

impl Kind {
    /// The kind of a number; any number is a kind.
    pub fn from_number(number: u8) -> Self {
        match usize::from(number).checked_sub(1).and_then(|place| KINDS.get(place)) {
            Some((kind, _)) => *kind,
            None => Self::Other(number),
        }
    }

    /// The number that stands in a report.
    pub fn number(self) -> u8 {
        match self {
            Self::Other(number) => number,
            known => {
                let place = KINDS.iter().position(|(kind, _)| *kind == known);
                place.map_or(0, |place| place as u8 + 1)
            }
        }
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        KINDS.iter().find(|(kind, _)| *kind == self).map_or("other", |(_, word)| word)
    }

    /// Entries of these kinds take their salt from the log's key and their index, whoever they
    /// are about: their ordinal is known to others, or there is none.
    pub fn is_salted_by_index(self) -> bool {
        matches!(self, Self::Roster | Self::Erasure | Self::Operation)
    }

    /// Rows of these kinds are sealed under the log's key, whoever they are about: what is told of
    /// an erasure must be readable after it.
    pub fn is_sealed_by_the_log(self) -> bool {
        self.has_no_subject() || self == Self::Erasure
    }

    /// Entries of these kinds concern no person.
    pub fn has_no_subject(self) -> bool {
        matches!(self, Self::Roster | Self::Operation)
    }
}

/// The id of a custodian's event: `keccak256(abi.encode(custodian, SHA-256(its id)))`. A custodian
/// without ids of its own passes the bytes it sent.
pub fn event_id(custodian: Address, id: &[u8]) -> B256 {
    let hashed: [u8; 32] = Sha256::digest(id).into();
    keccak256((custodian, B256::from(hashed)).abi_encode())
}

/// SHA-256 of a details document, byte for byte as received.
pub fn details_hash(document: &[u8]) -> B256 {
    B256::from(<[u8; 32]>::from(Sha256::digest(document)))
}

/// The commitment from the hashes of its two halves. Reporters and contracts, who must not see
/// the place opened, recompute it from these.
pub fn commitment_of(report_hash: B256, place_hash: B256) -> B256 {
    Entry::hash_of(report_hash, place_hash)
}

/// The commitment of a report in its place: all that is ever public of an entry.
pub fn commitment(report: &Report, place: &Place) -> B256 {
    commitment_of(report.hash(), place.hash())
}

/// The RFC 9162 root over report hashes, which a [`ReportBatch`](crate::schema::ReportBatch) signs.
pub fn batch_root(report_hashes: &[B256]) -> Hash {
    let leaves: Vec<Hash> = report_hashes.iter().map(|hash| leaf_hash(&hash.0)).collect();
    subtree_root(&leaves)
}

/// The inclusion path of each report in the tree of [`batch_root`], leaf to root, in order.
pub fn batch_paths(report_hashes: &[B256]) -> Vec<Vec<Hash>> {
    let mut level: Vec<Hash> = report_hashes.iter().map(|hash| leaf_hash(&hash.0)).collect();
    let mut paths = vec![Vec::new(); level.len()];
    let mut height = 0;
    while level.len() > 1 {
        for (leaf, path) in paths.iter_mut().enumerate() {
            // The last node of a level may have no sibling: it rises as it is.
            path.extend(level.get((leaf >> height) ^ 1));
        }
        level = level
            .chunks(2)
            .map(|pair| match pair {
                [left, right] => node_hash(left, right),
                _ => pair[0],
            })
            .collect();
        height += 1;
    }
    paths
}

fn subtree_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => crate::merkle::empty_root(),
        [only] => *only,
        _ => {
            let split = 1 << (leaves.len() - 1).ilog2();
            let (left, right) = leaves.split_at(split);
            node_hash(&subtree_root(left), &subtree_root(right))
        }
    }
}

type HmacSha256 = Hmac<Sha256>;

/// HMAC-SHA-256 with the key's schedule done once: the writer salts every entry.
#[derive(Clone)]
pub struct Keyed(HmacSha256);

impl Keyed {
    /// Values under this key as it is.
    pub fn new(key: &SecretKey) -> Self {
        Self(HmacSha256::new_from_slice(&key.0).expect("HMAC takes keys of any length"))
    }

    /// Values under a key derived from this one for one use (HKDF-SHA-256, RFC 5869).
    pub fn derived(key: &SecretKey, purpose: &str) -> Self {
        Self::new(&derive(key, purpose))
    }

    fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.0.clone();
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().into()
    }

    fn tag(&self, parts: &[&[u8]]) -> [u8; 16] {
        let mac = self.mac(parts);
        std::array::from_fn(|place| mac[place])
    }

    /// The salt of a subject's n-th entry: `HMAC(key, log ‖ subject ‖ uint64be number)`. For kinds
    /// that are salted by index, `number` is the index and the key is the log's.
    pub fn salt(&self, log: B256, subject: B256, number: u64) -> B256 {
        B256::from(self.mac(&[log.as_slice(), subject.as_slice(), &number.to_be_bytes()]))
    }

    /// How the disk names a subject.
    pub fn subject_tag(&self, subject: B256) -> SubjectTag {
        SubjectTag(self.tag(&[b"subject\0", subject.as_slice()]))
    }

    /// How the disk names one subject's copy of an event that `actor` reported. The actor is in
    /// it although an event id is made of its custodian: who knows another's event id must not be
    /// able to report under it first, nor learn whether it was reported.
    pub fn event_key(&self, actor: Address, subject: B256, event_id: B256) -> EventKey {
        let parts = [actor.as_slice(), subject.as_slice(), event_id.as_slice()];
        EventKey(self.tag(&[b"event\0", &parts.concat()]))
    }

    /// How the disk names a record; all zero for none.
    pub fn record_tag(&self, record: B256) -> RecordTag {
        if record.is_zero() {
            return RecordTag([0; 16]);
        }
        RecordTag(self.tag(&[b"record\0", record.as_slice()]))
    }
}

/// A key for one use out of another (HKDF-SHA-256 without salt; `purpose` is the info).
pub fn derive(key: &SecretKey, purpose: &str) -> SecretKey {
    let mut out = [0; 32];
    let expanded = Hkdf::<Sha256>::new(None, &key.0).expand(purpose.as_bytes(), &mut out);
    expanded.expect("32 bytes are within HKDF's limit");
    SecretKey(out)
}

/// The pseudonym of a custodian's patient: `HMAC(K, "subject" ‖ 0x00 ‖ identifier)`, drawn again
/// with a counter while its top 96 bits are zero, so that it can never be read as an address.
pub fn pseudonym(custodian_key: &SecretKey, identifier: &[u8]) -> B256 {
    let keyed = Keyed::new(custodian_key);
    let mut drawn = keyed.mac(&[b"subject\0", identifier]);
    let mut counter = 1u32;
    while drawn[..12] == [0; 12] {
        drawn = keyed.mac(&[b"subject\0", identifier, &counter.to_be_bytes()]);
        counter += 1;
    }
    B256::from(drawn)
}

/// The id of a record: `HMAC(K, "record" ‖ 0x00 ‖ uint32 length ‖ source id ‖ external id)`.
pub fn record_id(custodian_key: &SecretKey, source: &[u8], external: &[u8]) -> B256 {
    let length = (source.len() as u32).to_be_bytes();
    B256::from(Keyed::new(custodian_key).mac(&[b"record\0", &length, source, external]))
}

/// The subject of a person with a key: their address, left-padded.
pub fn subject_of(address: Address) -> B256 {
    address.into_word()
}

/// The address that a subject id is, if it is one; a pseudonym is none.
pub fn address_of(subject: B256) -> Option<Address> {
    let is_address = !subject.is_zero() && subject.0[..12] == [0; 12];
    is_address.then(|| Address::from_word(subject))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::verify_inclusion;

    #[test]
    fn every_report_of_a_batch_has_a_path_to_its_root() {
        for count in 1..=40u64 {
            let hashes: Vec<B256> = (0..count).map(|n| keccak256(n.to_be_bytes())).collect();
            let root = batch_root(&hashes);
            let paths = batch_paths(&hashes);
            for (index, path) in (0..count).zip(&paths) {
                let leaf = leaf_hash(&hashes[index as usize].0);
                verify_inclusion(&root, count, index, &leaf, path).unwrap();
            }
        }
    }

    #[test]
    fn kinds_have_the_numbers_they_were_given() {
        let words = [(1, "access"), (8, "refusal"), (17, "notice"), (0, "other"), (18, "other")];
        for (number, word) in words {
            assert_eq!(Kind::from_number(number).word(), word);
        }
        for number in 0..=255 {
            assert_eq!(Kind::from_number(number).number(), number);
        }
    }

    #[test]
    fn ids_differ_wherever_what_they_are_made_of_differs() {
        let (one, two) = (SecretKey([1; 32]), SecretKey([2; 32]));
        assert_ne!(pseudonym(&one, b"ab"), pseudonym(&two, b"ab"));
        assert_ne!(pseudonym(&one, b"ab"), record_id(&one, b"a", b"b"));
        assert_ne!(record_id(&one, b"a", b"bc"), record_id(&one, b"ab", b"c"));
        let (a, b) = (Address::repeat_byte(1), Address::repeat_byte(2));
        assert_ne!(event_id(a, b"1"), event_id(b, b"1"));
        assert_eq!(Keyed::new(&one).record_tag(B256::ZERO), RecordTag([0; 16]));
    }
}
