//! A log of two tiles and three anchors as it is published, honest or with a lie built into it, and
//! its replay.

use alloy_primitives::{Address, B256, address, hex, keccak256};
use ed25519_dalek::{Signer, SigningKey};
use medtrail_ledger::audit::Tally;
use medtrail_ledger::audit::content::{LastBatch, Opened, Rules};
use medtrail_ledger::audit::history::History;
use medtrail_ledger::audit::rows::{RowsReplay, SealedRow};
use medtrail_ledger::audit::tree::{TreeReplay, Wanted};
use medtrail_ledger::checkpoint::{Checkpoint, SignedCheckpoint};
use medtrail_ledger::edge::RightEdge;
use medtrail_ledger::entry::{Keyed, Kind, commitment, details_hash, event_id};
use medtrail_ledger::merkle::{Hash, leaf_hash};
use medtrail_ledger::note::VerifierKey;
use medtrail_ledger::plan::{Anchor, AnchorRecord, BlockRef, Header, LogHead};
use medtrail_ledger::ports::{RowHeader, SecretKey as Secret};
use medtrail_ledger::proof::Evidence;
use medtrail_ledger::schema::{Place, Report, digest, domain, log_id};
use medtrail_ledger::signature::{self, SIGNATURE_BYTES};
use medtrail_ledger::tile::{TileId, hashes};
use medtrail_ledger::trust::{self, Key, Operator, Organisation, TrustFile};
use medtrail_ledger::verify::AnchorSeen;
use secp256k1::{Message, SecretKey};
use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

pub(crate) const CHAIN_ID: u64 = 31338;
pub(crate) const REGISTRY: Address = address!("0x5FbDB2315678afecb367f032d93F642f64180aa3");
pub(crate) const ORIGIN: &str = "log.example/medtrail";
pub(crate) const NOW_MS: u64 = 1_767_605_400_120;
/// A full tile, and partial ones on two levels.
pub(crate) const ENTRIES: u64 = 300;
/// Inside a tile, at its end, and in the next; a tail follows.
pub(crate) const ANCHORED: [u64; 3] = [100, 256, 280];
/// People the log is about; every eighth entry is about nobody.
const PEOPLE: u64 = 7;
/// The operator's own word.
pub(crate) const RELAYED: u64 = 9;

pub(crate) static HONEST: LazyLock<Log> = LazyLock::new(Log::honest);

pub(crate) fn secret(number: u8) -> SecretKey {
    SecretKey::from_secret_bytes([number; 32]).unwrap()
}

pub(crate) fn address_of(secret: &SecretKey) -> Address {
    signature::address_of(&secp256k1::PublicKey::from_secret_key(secret))
}

pub(crate) fn sign(secret: &SecretKey, digest: B256) -> [u8; SIGNATURE_BYTES] {
    let signature = secp256k1::ecdsa::RecoverableSignature::sign_ecdsa_recoverable(
        Message::from_digest(digest.0),
        secret,
    );
    let (recovery, compact) = signature.serialize_compact();
    let mut bytes = [0; SIGNATURE_BYTES];
    bytes[..64].copy_from_slice(&compact);
    bytes[64] = 27 + u8::from(recovery != secp256k1::ecdsa::RecoveryId::Zero);
    bytes
}

/// What is published of a log, and what its keys open.
#[derive(Clone)]
pub(crate) struct Log {
    pub(crate) id: B256,
    pub(crate) entries: Vec<Opened>,
    /// Files of the tree by path.
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    /// Lines of the rows, without newlines.
    pub(crate) lines: Vec<Vec<u8>>,
    pub(crate) checkpoint: Vec<u8>,
    pub(crate) claims: Vec<AnchorRecord>,
    pub(crate) history: History,
}

pub(crate) fn tags() -> Keyed {
    Keyed::derived(&Secret([7; 32]), "medtrail tags v1")
}

pub(crate) fn note_key() -> SigningKey {
    SigningKey::from_bytes(&[3; 32])
}

impl Log {
    pub(crate) fn honest() -> Self {
        Self::with(|_, _, _| {})
    }

    /// A log whose operator has changed report or place of some entries before committing to them.
    pub(crate) fn with(lie: impl Fn(u64, &mut Report, &mut Place)) -> Self {
        let (operator, clinic) = (secret(1), secret(2));
        let id = log_id(CHAIN_ID, REGISTRY, address_of(&operator), ORIGIN);
        let tags = tags();
        let salts = Keyed::derived(&Secret([8; 32]), "medtrail salt v1");
        let mut trails: HashMap<B256, (u64, B256)> = HashMap::new();
        let mut edge = RightEdge::empty();
        let mut heads = Vec::new();
        let mut entries = Vec::new();
        for index in 0..ENTRIES {
            let is_relayed = index == RELAYED;
            let actor = address_of(if is_relayed { &operator } else { &clinic });
            let details = format!(r#"{{"id":{index}}}"#).into_bytes();
            let subject = match index % (PEOPLE + 1) {
                PEOPLE => B256::ZERO,
                person => keccak256(person.to_be_bytes()),
            };
            let mut report = Report {
                log: id,
                eventId: event_id(actor, &index.to_be_bytes()),
                kind: 1,
                action: b'R',
                timeMs: NOW_MS + index,
                subject,
                actor,
                details: details_hash(&details),
                ..Report::default()
            };
            let (ordinal, previous) = match trails.get(&subject) {
                _ if subject.is_zero() => (0, B256::ZERO),
                None => (1, B256::ZERO),
                Some((ordinal, previous)) => (ordinal + 1, *previous),
            };
            let received_ms = NOW_MS + index + 80;
            let salt = salts.salt(id, subject, if ordinal == 0 { index } else { ordinal });
            let mut place = Place { ordinal, previous, receivedMs: received_ms, salt };
            lie(index, &mut report, &mut place);
            let evidence = match is_relayed {
                true => Evidence::Relayed,
                false => {
                    let digest = digest(&report, &domain(CHAIN_ID, REGISTRY));
                    Evidence::Signed(sign(&clinic, digest).into())
                }
            };
            let commitment = commitment(&report, &place);
            trails.insert(subject, (ordinal, commitment));
            edge.append(&commitment.0);
            heads.push(edge.root());
            let header = RowHeader {
                subject: tags.subject_tag(report.subject),
                ordinal: match Kind::from_number(report.kind).has_no_subject() {
                    true => 0,
                    false => place.ordinal,
                },
                event: tags.event_key(
                    if is_relayed { Address::ZERO } else { report.actor },
                    report.subject,
                    report.eventId,
                ),
                record: tags.record_tag(report.record),
            };
            let details = Some(details);
            entries.push(Opened {
                index,
                header,
                commitment,
                previous,
                report,
                place,
                evidence,
                details,
            });
        }
        let claims: Vec<_> = ANCHORED
            .iter()
            .zip(1..)
            .map(|(size, number)| {
                let root = heads[*size as usize - 1].into();
                let time_s = NOW_MS / 1000 + number;
                let block = BlockRef { number: 60 + number, hash: keccak256(number.to_be_bytes()) };
                let anchor = Anchor { number, size: *size, root, time_s };
                let tx = keccak256([number as u8]);
                AnchorRecord { anchor, tx, block, is_final: true }
            })
            .collect();
        let mut log = Self {
            id,
            lines: entries.iter().map(line).collect(),
            entries,
            files: published(&edge),
            checkpoint: Vec::new(),
            history: history(id, &claims),
            claims,
        };
        log.checkpoint = log.signed(ENTRIES, edge.root(), &operator);
        log
    }

    /// The same where the chain holds the anchors of another, and the operator says so.
    pub(crate) fn claiming(self, other: &Self) -> Self {
        Self { history: other.history.clone(), claims: other.claims.clone(), ..self }
    }

    /// A note over any head, by the log's key and this operator.
    pub(crate) fn signed(&self, size: u64, root: Hash, operator: &SecretKey) -> Vec<u8> {
        let head = Checkpoint { origin: ORIGIN.into(), size, root };
        let time_ms = NOW_MS + 80 + ENTRIES;
        let ed25519 = note_key().sign(head.body().as_bytes()).to_bytes();
        let digest = head.eip712_digest(self.id, time_ms, &domain(CHAIN_ID, REGISTRY));
        let key = VerifierKey::new(ORIGIN, note_key().verifying_key().as_bytes()).unwrap();
        let (by, eip712) = (address_of(operator), sign(operator, digest));
        SignedCheckpoint::assemble(head, &key, ed25519, by, time_ms, eip712).to_bytes()
    }

    /// Replays what is published, as the command does.
    pub(crate) fn audit(&self) -> Tally {
        let mut tally = Tally::default();
        self.history.check(&mut tally);
        let signed = SignedCheckpoint::parse(&self.checkpoint).unwrap();
        let time_ms = self.history.check_signatures(&signed, Some(&trust()), &mut tally);
        let claims = serde_json::to_vec(&self.claims).unwrap();
        self.history.compare_claims(Some(&claims), &mut tally);
        let size = signed.checkpoint.size;
        let (root, _) = self.replay(size, &mut tally);
        self.history.check_length(size, time_ms, &mut tally);
        self.history.check_root(&signed, time_ms, root, &mut tally);
        self.history.check_gaps(&mut tally);
        tally
    }

    /// Tiles and rows; the rows that were taken.
    pub(crate) fn replay(&self, size: u64, tally: &mut Tally) -> (Option<Hash>, Vec<SealedRow>) {
        let mut tree = TreeReplay::new(size, self.history.anchors.clone());
        let (mut rows, mut taken) = (RowsReplay::new(), Vec::new());
        let mut lines = self.lines.iter();
        while let Some(Wanted { id, width }) = tree.wanted() {
            let file = |path: String| self.files.get(&path).map(Vec::as_slice);
            let (bundle, leaves) = (file(id.entries_path(width)), file(id.path(width)));
            let Some(commitments) = tree.take(bundle, leaves, tally) else { break };
            for made in tree.made() {
                made.compare(file(made.path()), tally);
            }
            for commitment in &commitments {
                let Some(row) = rows.take(lines.next().map(Vec::as_slice), commitment, tally)
                else {
                    break;
                };
                taken.push(row);
            }
        }
        let is_whole = tree.size() == size;
        if is_whole {
            rows.finish(lines.next().map(Vec::as_slice), tally);
        }
        (is_whole.then(|| tree.root()), taken)
    }

    /// Holds each entry by itself against the rules.
    pub(crate) fn check_entries(&self, trust: Option<&TrustFile>, tally: &mut Tally) {
        let operators = &self.history.operators;
        let rules = Rules::new(self.id, domain(CHAIN_ID, REGISTRY), tags(), trust, operators);
        let mut batch = LastBatch::default();
        for entry in &self.entries {
            if let Err(fault) = rules.check(entry, &mut batch) {
                tally.fault(*fault);
            }
        }
    }
}

/// An entry as a line of the rows.
pub(crate) fn line(entry: &Opened) -> Vec<u8> {
    let sealed = [entry.header.encode().as_slice(), b"sealed", &entry.index.to_be_bytes()].concat();
    format!(
        r#"{{"index":{},"commitment":"{}","row":"{}"}}"#,
        entry.index,
        entry.commitment,
        hex::encode_prefixed(sealed)
    )
    .into_bytes()
}

fn published(edge: &RightEdge) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for (id, stored) in edge.changed_tiles() {
        let width = stored.len() / 32;
        let TileId { level, .. } = id;
        if level > 0 {
            files.insert(id.path(width), stored);
            continue;
        }
        let commitments = hashes(&stored);
        let leaves: Vec<_> = commitments.iter().map(leaf_hash).collect();
        let bundle: Vec<u8> =
            commitments.iter().flat_map(|one| [&[0, 32], one.as_slice()].concat()).collect();
        files.insert(id.path(width), leaves.concat());
        files.insert(id.entries_path(width), bundle);
    }
    files
}

fn history(log: B256, claims: &[AnchorRecord]) -> History {
    let operator = address_of(&secret(1));
    let anchors: Vec<_> = claims
        .iter()
        .map(|claim| {
            let AnchorRecord { anchor, tx, block, .. } = *claim;
            AnchorSeen { anchor, operator, tx, block: block.number }
        })
        .collect();
    let newest = anchors.last().unwrap().anchor;
    History {
        chain_id: CHAIN_ID,
        registry: REGISTRY,
        log,
        finalized: Header {
            block: BlockRef { number: 90, hash: keccak256("the finalized block") },
            parent: keccak256("its parent"),
            time_s: NOW_MS / 1000 + 30,
        },
        opener: operator,
        origin: ORIGIN.into(),
        opened_s: NOW_MS / 1000 - 5,
        operators: vec![operator],
        ring: anchors.iter().rev().map(|seen| (seen.anchor.number, true)).collect(),
        head: LogHead { operator, size: newest.size, time_s: newest.time_s, count: newest.number },
        anchors,
        note_key: note_key().verifying_key().to_bytes().into(),
        anchor_within_s: 3600,
    }
}

pub(crate) fn trust() -> TrustFile {
    let key = |secret| vec![Key { address: address_of(&secret), from_ms: 1, until_ms: None }];
    let (operator, clinic) = (secret(1), secret(2));
    TrustFile {
        version: trust::VERSION.into(),
        chain_id: CHAIN_ID,
        registry: REGISTRY,
        log: log_id(CHAIN_ID, REGISTRY, address_of(&operator), ORIGIN),
        origin: ORIGIN.into(),
        operator: Operator {
            name: "An Operator".into(),
            domain: "log.example".into(),
            note_key: VerifierKey::new(ORIGIN, note_key().verifying_key().as_bytes())
                .unwrap()
                .to_string(),
            keys: key(operator),
        },
        organisations: vec![Organisation {
            name: "A Clinic".into(),
            register_number: None,
            domain: "clinic.example".into(),
            keys: key(clinic),
        }],
    }
}
