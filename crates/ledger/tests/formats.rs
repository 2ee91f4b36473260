//! What is handed out, and whether anything but the very same bytes still checks.
//!
//! A small log from fixed keys makes one receipt, one proof and one trust file. They are committed
//! in `tests/data/formats`: what was once handed out must verify for ever, whatever this code
//! becomes. `MEDTRAIL_BLESS=1` writes files that are not there yet, and never changes one that is.

use alloy_primitives::{Address, B256, Bytes, address, b256, keccak256};
use ed25519_dalek::{Signer, SigningKey};
use medtrail_ledger::checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint};
use medtrail_ledger::edge::RightEdge;
use medtrail_ledger::entry::{batch_paths, batch_root, commitment, details_hash, event_id};
use medtrail_ledger::merkle::{Hash, verify_consistency, verify_inclusion};
use medtrail_ledger::note::{Note, NoteError, VerifierKey};
use medtrail_ledger::plan::Anchor;
use medtrail_ledger::ports::RowHeader;
use medtrail_ledger::proof::{
    self, AnchorClaim, BatchEvidence, Document, Evidence, Extension, Proof, ShownPlace,
    require_spelling, spell,
};
use medtrail_ledger::receipt::{self, Receipt};
use medtrail_ledger::schema::{Place, Report, ReportBatch, digest, domain, log_id};
use medtrail_ledger::signature::{self, SIGNATURE_BYTES};
use medtrail_ledger::tile::{TileId, TileReader, parse_tile_path};
use medtrail_ledger::trust::{self, Key, LogKeys, Operator, Organisation, TrustFile};
use medtrail_ledger::verify::{AnchorSeen, ChainFacts, Findings, Verdict, verify};
use proptest::prelude::*;
use secp256k1::{Message, SecretKey};
use std::collections::HashMap;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::LazyLock;

const CHAIN_ID: u64 = 31338;
const REGISTRY: Address = address!("0x5FbDB2315678afecb367f032d93F642f64180aa3");
const ORIGIN: &str = "log.example/medtrail";
const NOW_MS: u64 = 1_767_605_400_120;
/// Entries in the log, and those that its anchor covers.
const ENTRIES: u64 = 13;
const ANCHORED: u64 = 11;
/// Signed alone, with a details document.
const ALONE: u64 = 4;
/// One of three that were signed together.
const TOGETHER: u64 = 7;
/// The operator's own word.
const RELAYED: u64 = 9;

fn secret(number: u8) -> SecretKey {
    SecretKey::from_secret_bytes([number; 32]).unwrap()
}

fn address_of(secret: &SecretKey) -> Address {
    signature::address_of(&secp256k1::PublicKey::from_secret_key(secret))
}

fn sign(secret: &SecretKey, digest: B256) -> [u8; SIGNATURE_BYTES] {
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

struct Line {
    report: Report,
    place: Place,
    evidence: Evidence,
    details: Vec<u8>,
}

/// A log of [`ENTRIES`] entries about one person.
struct Log {
    id: B256,
    operator: SecretKey,
    clinic: SecretKey,
    note: SigningKey,
    lines: Vec<Line>,
    tiles: HashMap<TileId, Vec<u8>>,
}

impl Log {
    fn new() -> Self {
        let (operator, clinic) = (secret(1), secret(2));
        let id = log_id(CHAIN_ID, REGISTRY, address_of(&operator), ORIGIN);
        let reports: Vec<_> = (0..ENTRIES)
            .map(|index| {
                let actor = if index == RELAYED { &operator } else { &clinic };
                let (actor, details) = (address_of(actor), format!(r#"{{"id":"ä{index}"}}"#));
                let report = Report {
                    log: id,
                    eventId: event_id(actor, &index.to_be_bytes()),
                    kind: 1,
                    action: b'R',
                    timeMs: NOW_MS + index,
                    subject: keccak256("a person"),
                    actor,
                    record: keccak256("a record"),
                    details: details_hash(details.as_bytes()),
                    ..Report::default()
                };
                (report, details.into_bytes())
            })
            .collect();
        let together = [TOGETHER - 1, TOGETHER, TOGETHER + 1];
        let hashes = together.map(|index| reports[index as usize].0.hash());
        let (root, paths) = (B256::from(batch_root(&hashes)), batch_paths(&hashes));
        let batch = ReportBatch { root, count: 3 };
        let batch = Bytes::from(sign(&clinic, digest(&batch, &domain(CHAIN_ID, REGISTRY))));
        let mut edge = RightEdge::empty();
        let (mut lines, mut previous) = (Vec::new(), B256::ZERO);
        for (index, (report, details)) in (0..).zip(reports) {
            let evidence = match together.iter().position(|one| *one == index) {
                Some(place) => Evidence::Batch(BatchEvidence {
                    count: 3,
                    index: place as u64,
                    root,
                    path: words(&paths[place]),
                    signature: batch.clone(),
                }),
                None if index == RELAYED => Evidence::Relayed,
                None => {
                    let digest = digest(&report, &domain(CHAIN_ID, REGISTRY));
                    Evidence::Signed(sign(&clinic, digest).into())
                }
            };
            let place = Place {
                ordinal: index + 1,
                previous,
                receivedMs: NOW_MS + index + 80,
                salt: keccak256(index.to_be_bytes()),
            };
            previous = commitment(&report, &place);
            edge.append(&previous.0);
            lines.push(Line { report, place, evidence, details });
        }
        let tiles = edge.changed_tiles().into_iter().collect();
        Self { id, operator, clinic, note: SigningKey::from_bytes(&[3; 32]), lines, tiles }
    }

    fn reader(
        &self,
    ) -> TileReader<impl Fn(TileId) -> Result<Option<Vec<u8>>, Infallible> + use<'_>> {
        TileReader::new(|id| Ok(self.tiles.get(&id).cloned()))
    }

    fn root(&self, size: u64) -> Hash {
        self.reader().root(size).unwrap()
    }

    fn verifier(&self) -> VerifierKey {
        VerifierKey::new(ORIGIN, self.note.verifying_key().as_bytes()).unwrap()
    }

    fn head(&self, size: u64) -> SignedCheckpoint {
        let head = Checkpoint { origin: ORIGIN.into(), size, root: self.root(size) };
        self.signed(head, &self.operator)
    }

    fn signed(&self, head: Checkpoint, operator: &SecretKey) -> SignedCheckpoint {
        let time_ms = NOW_MS + head.size + 80;
        let ed25519 = self.note.sign(head.body().as_bytes()).to_bytes();
        let digest = head.eip712_digest(self.id, time_ms, &domain(CHAIN_ID, REGISTRY));
        let (by, eip712) = (address_of(operator), sign(operator, digest));
        SignedCheckpoint::assemble(head, &self.verifier(), ed25519, by, time_ms, eip712)
    }

    fn trust(&self) -> TrustFile {
        let key = |secret| vec![Key { address: address_of(secret), from_ms: 1, until_ms: None }];
        TrustFile {
            version: trust::VERSION.into(),
            chain_id: CHAIN_ID,
            registry: REGISTRY,
            log: self.id,
            origin: ORIGIN.into(),
            operator: Operator {
                name: "An Operator".into(),
                domain: "log.example".into(),
                note_key: self.verifier().to_string(),
                keys: key(&self.operator),
            },
            organisations: vec![Organisation {
                name: "A Clinic".into(),
                register_number: Some("10000001".into()),
                domain: "clinic.example".into(),
                keys: key(&self.clinic),
            }],
        }
    }

    fn keys(&self) -> LogKeys {
        self.trust().log_keys(address_of(&self.operator)).unwrap()
    }

    fn receipt(&self, index: u64) -> Receipt {
        let line = &self.lines[index as usize];
        Receipt {
            version: receipt::VERSION.into(),
            index,
            report_hash: line.report.hash(),
            place_hash: line.place.hash(),
            path: words(&self.reader().inclusion_path(index, ENTRIES).unwrap()),
            checkpoint: text(&self.head(ENTRIES)),
        }
    }

    fn anchor(&self, number: u64, size: u64) -> Anchor {
        Anchor { number, size, root: self.root(size).into(), time_s: NOW_MS / 1000 + number }
    }

    /// With everything in it: details, and a way to a later anchor.
    fn proof(&self, index: u64) -> Proof {
        let line = &self.lines[index as usize];
        let Anchor { number, size, root, time_s } = self.anchor(2, ANCHORED);
        let path = self.reader().consistency_path(ANCHORED, ENTRIES).unwrap();
        Proof {
            version: proof::VERSION.into(),
            index,
            report: line.report.clone(),
            place: ShownPlace::Hash(line.place.hash()),
            details: Some(Document::of(&line.details)),
            evidence: line.evidence.clone(),
            path: words(&self.reader().inclusion_path(index, ANCHORED).unwrap()),
            checkpoint: text(&self.head(ANCHORED)),
            anchor: AnchorClaim {
                chain_id: CHAIN_ID,
                registry: REGISTRY,
                log: self.id,
                number,
                size,
                root,
                time_s,
                tx: keccak256("a transaction"),
                block: 70,
            },
            extension: Some(Extension { anchor: self.anchor(34, ENTRIES), path: words(&path) }),
        }
    }

    /// What an honest node says of the log, whatever proof it is asked about.
    fn chain(&self) -> ChainFacts {
        ChainFacts {
            chain_id: CHAIN_ID,
            registry_stands: true,
            is_open: true,
            note_key: self.note.verifying_key().to_bytes().into(),
            anchor: Some(AnchorSeen {
                anchor: self.anchor(2, ANCHORED),
                operator: address_of(&self.operator),
                tx: keccak256("a transaction"),
                block: 70,
            }),
            extension_lives: Some(true),
            finalized: 90,
        }
    }

    /// As `medtrail verify` does: the chain is asked about the extension that stands there.
    fn verify(&self, proof: &Proof) -> Findings {
        let later = self.anchor(34, ENTRIES);
        let extension_lives = proof.extension.as_ref().map(|one| one.anchor == later);
        verify(proof, Some(&self.trust()), &ChainFacts { extension_lives, ..self.chain() })
    }
}

fn words(path: &[Hash]) -> Vec<B256> {
    path.iter().map(B256::from).collect()
}

fn text(head: &SignedCheckpoint) -> String {
    String::from_utf8(head.to_bytes()).unwrap()
}

/// The step of this name came out so; the words are for the message.
fn assert_step(findings: &Findings, name: &str, verdict: Verdict) {
    let step = findings.steps.iter().find(|step| step.name == name);
    assert_eq!(step.map(|step| step.verdict), Some(verdict), "{name}: {findings:#?}");
}

mod fixtures {
    use super::*;

    fn committed(name: &str, made: &[u8]) -> Vec<u8> {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/formats");
        let file = folder.join(name);
        if std::env::var_os("MEDTRAIL_BLESS").is_some() && !file.exists() {
            std::fs::write(&file, made).unwrap();
        }
        let stored = std::fs::read(&file).unwrap();
        // Deterministic signatures: the writer has one spelling, too.
        assert!(stored == made, "this code writes {name} another way than it was handed out");
        stored
    }

    #[test]
    fn a_proof_and_a_trust_file_handed_out_once_verify_for_ever() {
        let log = Log::new();
        let bytes = committed("proof-v1.json", &log.proof(ALONE).to_bytes());
        let proof = Proof::parse(&bytes).unwrap();
        let trust = committed("trust-v1.json", &spell(&log.trust()));
        let trust = TrustFile::parse(&trust).unwrap();
        // The chain's words, written down here: nothing of them comes from the code under test.
        let root = b256!("0x8661b4757519dd68e7554dbf69bd9340fc25b4ed352bebb1492dce07430b2a3f");
        let chain = ChainFacts {
            chain_id: 31338,
            registry_stands: true,
            is_open: true,
            note_key: b256!("0xed4928c628d1c2c6eae90338905995612959273a5c63f93636c14614ac8737d1"),
            anchor: Some(AnchorSeen {
                anchor: Anchor { number: 2, size: 11, root, time_s: 1_767_605_402 },
                operator: address!("0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1"),
                tx: keccak256("a transaction"),
                block: 70,
            }),
            extension_lives: Some(true),
            finalized: 90,
        };
        let findings = verify(&proof, Some(&trust), &chain);
        assert_eq!(findings.verdict(), Verdict::Green, "{findings:#?}");
    }

    #[test]
    fn a_receipt_handed_out_once_verifies_for_ever() {
        let log = Log::new();
        let bytes = committed("receipt-v1.json", &spell(&log.receipt(ALONE)));
        let receipt: Receipt = serde_json::from_slice(&bytes).unwrap();
        require_spelling(&bytes, &spell(&receipt)).unwrap();
        let (signed, time_ms) = receipt.verify(&log.keys()).unwrap();
        assert_eq!((signed.checkpoint.size, time_ms), (13, 1_767_605_400_213));
    }
}

mod spelling {
    use super::*;

    /// Every file that differs from `bytes` in one place: another byte, one less, one more.
    fn neighbours(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
        (0..bytes.len()).flat_map(move |at| {
            let with = |byte: u8| {
                let mut changed = bytes.to_vec();
                changed[at] = byte;
                changed
            };
            let (mut less, mut more) = (bytes.to_vec(), bytes.to_vec());
            less.remove(at);
            more.insert(at, bytes[at]);
            let here = bytes[at];
            let others = [here ^ 1, here ^ 2, here ^ 0x20, b' ', b'0', b'"', b'\n', 0xff];
            let others: Vec<_> =
                others.into_iter().filter(|byte| *byte != here).map(with).collect();
            others.into_iter().chain([less, more])
        })
    }

    #[test]
    fn no_proof_that_differs_in_one_place_verifies_green() {
        let log = Log::new();
        for index in [ALONE, TOGETHER] {
            let bytes = log.proof(index).to_bytes();
            assert_eq!(log.verify(&Proof::parse(&bytes).unwrap()).verdict(), Verdict::Green);
            for (number, changed) in neighbours(&bytes).enumerate() {
                // Doubling one of two equal bytes gives the same file twice, but never the first.
                assert_ne!(changed, bytes);
                if let Ok(proof) = Proof::parse(&changed) {
                    let verdict = log.verify(&proof).verdict();
                    let shown = String::from_utf8_lossy(&changed);
                    assert_ne!(verdict, Verdict::Green, "change {number}: {shown}");
                }
            }
        }
    }

    #[test]
    fn no_receipt_that_differs_in_one_place_binds_anybody() {
        let log = Log::new();
        let bytes = spell(&log.receipt(ALONE));
        for changed in neighbours(&bytes) {
            let Ok(receipt) = serde_json::from_slice::<Receipt>(&changed) else { continue };
            let checked = require_spelling(&changed, &spell(&receipt)).is_ok()
                && receipt.verify(&log.keys()).is_ok();
            assert!(!checked, "{}", String::from_utf8_lossy(&changed));
        }
    }

    #[test]
    fn a_field_more_twice_or_elsewhere_makes_no_proof() {
        let log = Log::new();
        let good = String::from_utf8(log.proof(ALONE).to_bytes()).unwrap();
        let replaced = |from: &str, to: &str| {
            assert!(good.contains(from), "{from}");
            good.replacen(from, to, 1)
        };
        let cases = [
            replaced("  \"index\"", "  \"index\": 4,\n  \"index\""),
            replaced("  \"index\"", "  \"more\": 4,\n  \"index\""),
            replaced("\"number\": 34", "\"more\": 1,\n      \"number\": 34"),
            replaced("\"index\": 4", "\"index\": 4.0"),
            replaced("\"index\": 4", "\"index\": 4e0"),
            replaced("\"index\": 4", "\"index\": \"4\""),
            replaced("\"index\": 4", "\"index\": 18446744073709551620"),
            replaced("ä4", "\\u00e44"),
            replaced("/medtrail\\n", "\\/medtrail\\n"),
            replaced("medtrail/proof-v1", "medtrail/proof-v2"),
            format!("{good}\n"),
            format!("\u{feff}{good}"),
            good.replace('\n', "\r\n"),
            good.trim_end().to_owned(),
        ];
        for case in cases {
            assert!(Proof::parse(case.as_bytes()).is_err(), "{case}");
        }
    }

    #[test]
    fn a_document_has_one_form() {
        let log = Log::new();
        let mut proof = log.proof(ALONE);
        // The same bytes in the form for what is not text: another file with the same meaning.
        proof.details = Some(Document::Base64("eyJpZCI6IsOkNCJ9".into()));
        assert_step(&log.verify(&proof), "details", Verdict::Red);
        for bytes in [&b"\xff\x00"[..], b"", "ä".as_bytes()] {
            assert_eq!(Document::of(bytes).bytes().as_deref(), Some(bytes));
        }
        for broken in ["/wA", "/wB=", "/wA=\n", "_wA="] {
            assert_eq!(Document::Base64(broken.into()).bytes(), None, "{broken}");
        }
    }
}

mod findings {
    use super::*;

    #[test]
    fn the_operator_s_word_is_never_green_and_a_missing_signature_is_red() {
        let log = Log::new();
        let relayed = log.verify(&log.proof(RELAYED));
        assert_eq!(relayed.verdict(), Verdict::Amber, "{relayed:#?}");
        assert_step(&relayed, "report", Verdict::Amber);
        let mut stripped = log.proof(ALONE);
        stripped.evidence = Evidence::Relayed;
        assert_step(&log.verify(&stripped), "report", Verdict::Red);
        let mut lent = log.proof(RELAYED);
        lent.evidence = log.proof(ALONE).evidence;
        assert_step(&log.verify(&lent), "report", Verdict::Red);
        let mut lent = log.proof(ALONE);
        lent.evidence = log.proof(TOGETHER).evidence;
        assert_step(&log.verify(&lent), "report", Verdict::Red);
    }

    #[test]
    fn a_log_that_nobody_named_is_amber_and_one_that_the_chain_does_not_know_is_red() {
        let log = Log::new();
        let proof = log.proof(ALONE);
        let unnamed = verify(&proof, None, &log.chain());
        assert_eq!(unnamed.verdict(), Verdict::Amber, "{unnamed:#?}");
        let mut other = log.trust();
        other.log = keccak256("another");
        let other = verify(&proof, Some(&other), &log.chain());
        assert_eq!(other.verdict(), Verdict::Amber);
        assert_step(&other, "log", Verdict::Amber);
        assert_step(&other, "report", Verdict::Amber);
        let cases: [&dyn Fn(&mut ChainFacts); 4] = [
            &|chain| chain.chain_id += 1,
            &|chain| chain.registry_stands = false,
            &|chain| chain.is_open = false,
            &|chain| chain.anchor = None,
        ];
        for change in cases {
            let mut chain = log.chain();
            change(&mut chain);
            assert_step(&verify(&proof, Some(&log.trust()), &chain), "anchor", Verdict::Red);
        }
    }

    #[test]
    fn each_word_of_the_anchor_is_held_against_the_chain() {
        let log = Log::new();
        let cases: [&dyn Fn(&mut AnchorClaim); 6] = [
            &|claim| claim.number += 1,
            &|claim| claim.size += 1,
            &|claim| claim.root = keccak256("another"),
            &|claim| claim.time_s += 1,
            &|claim| claim.tx = keccak256("another"),
            &|claim| claim.block += 1,
        ];
        for change in cases {
            let mut proof = log.proof(ALONE);
            change(&mut proof.anchor);
            assert_step(&log.verify(&proof), "anchor", Verdict::Red);
        }
    }

    #[test]
    fn a_block_that_is_not_final_is_amber() {
        let log = Log::new();
        let chain = ChainFacts { finalized: 69, ..log.chain() };
        let findings = verify(&log.proof(ALONE), Some(&log.trust()), &chain);
        assert_eq!(findings.verdict(), Verdict::Amber);
        assert_step(&findings, "final", Verdict::Amber);
    }

    /// A proof is fetched with a way to a living anchor, and read when 64 more have been made.
    #[test]
    fn an_extension_whose_anchor_left_the_ring_too_spoils_no_proof() {
        let log = Log::new();
        let aged = ChainFacts { extension_lives: None, ..log.chain() };
        let findings = verify(&log.proof(ALONE), Some(&log.trust()), &aged);
        assert_eq!(findings.verdict(), Verdict::Amber, "{findings:#?}");
        assert_step(&findings, "extension", Verdict::Amber);
        let invented = ChainFacts { extension_lives: Some(false), ..log.chain() };
        let findings = verify(&log.proof(ALONE), Some(&log.trust()), &invented);
        assert_step(&findings, "extension", Verdict::Red);
        let mut fork = log.proof(ALONE);
        fork.extension.as_mut().unwrap().path[0] = keccak256("a fork");
        assert_step(&log.verify(&fork), "extension", Verdict::Red);
    }

    /// Whoever has stolen the note key and can lie as a node still lacks the operator's.
    #[test]
    fn an_operator_whom_the_trust_file_does_not_name_at_that_time_is_not_green() {
        let log = Log::new();
        let thief = secret(9);
        let mut proof = log.proof(ALONE);
        let head = log.head(ANCHORED).checkpoint;
        proof.checkpoint = text(&log.signed(head, &thief));
        let mut chain = log.chain();
        chain.anchor.as_mut().unwrap().operator = address_of(&thief);
        let findings = verify(&proof, Some(&log.trust()), &chain);
        assert_eq!(findings.verdict(), Verdict::Amber, "{findings:#?}");
        assert_step(&findings, "checkpoint", Verdict::Amber);
        let mut retired = log.trust();
        retired.operator.keys[0].until_ms = Some(NOW_MS + ANCHORED + 80);
        let findings = verify(&log.proof(ALONE), Some(&retired), &log.chain());
        assert_step(&findings, "checkpoint", Verdict::Amber);
    }

    #[test]
    fn a_note_key_that_the_registry_does_not_have_is_red() {
        let log = Log::new();
        let chain = ChainFacts { note_key: keccak256("another"), ..log.chain() };
        let findings = verify(&log.proof(ALONE), Some(&log.trust()), &chain);
        assert_step(&findings, "checkpoint", Verdict::Red);
    }

    #[test]
    fn signature_lines_that_nobody_checks_are_said_to_be_unchecked() {
        let log = Log::new();
        let mut proof = log.proof(ALONE);
        proof.checkpoint.push_str("— witness.example/w AAAAAAAAAAAA\n");
        let findings = log.verify(&proof);
        assert_eq!(findings.verdict(), Verdict::Amber, "{findings:#?}");
        assert_step(&findings, "cosigned", Verdict::Amber);
    }
}

mod checkpoints {
    use super::*;
    use signed_note::{Note as ForeignNote, StandardVerifier, VerifierList};

    #[test]
    fn a_key_speaks_in_one_line_only() {
        let log = Log::new();
        let head = log.head(ANCHORED);
        log.keys().verify(&head).unwrap();
        let lines: Vec<String> = text(&head).lines().map(|line| format!("{line}\n")).collect();
        let [origin, size, root, blank, ed25519, eip712] = &lines[..] else { panic!("{lines:?}") };
        let text = [origin, size, root, blank].map(String::as_str).concat();
        let parse = |lines: &[&str]| {
            SignedCheckpoint::parse(format!("{text}{}", lines.concat()).as_bytes()).unwrap()
        };
        let keys = log.keys();
        // The order says nothing, nor do lines of others.
        keys.verify(&parse(&[eip712, ed25519])).unwrap();
        keys.verify(&parse(&["— someone AAAAAAA=\n", eip712, ed25519])).unwrap();
        for twice in [[ed25519, ed25519, eip712], [ed25519, eip712, eip712]] {
            let refused = keys.verify(&parse(&twice.map(String::as_str)));
            let repeated = Err(CheckpointError::Note(NoteError::Repeated(ORIGIN.into())));
            assert_eq!(refused, repeated, "{twice:?}");
        }
        // A second line of the operator's that is no signature at all.
        let id = medtrail_ledger::checkpoint::operator_key_id(ORIGIN, keys.operator);
        let second = Note {
            text: String::new(),
            signatures: vec![medtrail_ledger::note::NoteSignature {
                name: ORIGIN.into(),
                key_id: id,
                signature: vec![7],
            }],
        };
        let second = String::from_utf8(second.to_bytes()).unwrap();
        assert!(keys.verify(&parse(&[ed25519, eip712, second.trim_start()])).is_err());
        assert!(keys.verify(&parse(&[ed25519])).is_err());
        assert!(keys.verify(&parse(&[eip712])).is_err());
    }

    #[test]
    fn each_key_signs_for_one_log_one_time_and_one_head() {
        let log = Log::new();
        let (head, keys) = (log.head(ANCHORED), log.keys());
        assert_eq!(keys.verify(&head), Ok(NOW_MS + ANCHORED + 80));
        let others = [
            LogKeys { chain_id: 1, ..keys.clone() },
            LogKeys { registry: Address::ZERO, ..keys.clone() },
            LogKeys { log: B256::ZERO, ..keys.clone() },
            LogKeys { operator: address_of(&secret(9)), ..keys.clone() },
            LogKeys {
                note_key: VerifierKey::new("other", keys.note_key.as_bytes()).unwrap(),
                ..keys
            },
        ];
        for other in others {
            assert!(other.verify(&head).is_err(), "{other:?}");
        }
    }

    #[test]
    fn a_checkpoint_has_one_spelling() {
        let root = "ERERERERERERERERERERERERERERERERERERERERERE=";
        let good = format!("a.example/log\n12\n{root}\n");
        let parsed = Checkpoint::parse_body(&good).unwrap();
        assert_eq!((parsed.size, parsed.root, parsed.body()), (12, [0x11; 32], good.clone()));
        let cases = [
            format!("{good}more\n"),
            good.trim_end().to_owned(),
            good.replace("12", "+12"),
            good.replace("12", "012"),
            good.replace("12", "-12"),
            good.replace("12", "12 "),
            good.replace("12", "18446744073709551616"),
            good.replace("12", "１２"),
            good.replace("RE=", "RF="),
            good.replace("RE=", "RE"),
            good.replace("RE=", "REREQ=="),
            good.replace("a.example", "a example"),
            good.replace("a.example", "a\u{2003}example"),
            good.replace("a.example", "a+example"),
            format!("\n12\n{root}\n"),
            String::new(),
        ];
        for case in cases {
            assert_eq!(Checkpoint::parse_body(&case), Err(CheckpointError::Body), "{case:?}");
        }
    }

    #[test]
    fn another_implementation_opens_our_checkpoints() {
        let log = Log::new();
        let head = log.head(ENTRIES);
        let verifier = StandardVerifier::new(&log.verifier().to_string()).unwrap();
        let note = ForeignNote::from_bytes(&head.to_bytes()).unwrap();
        assert_eq!(note.text(), head.checkpoint.body().as_bytes());
        let known = VerifierList::new(vec![Box::new(verifier)]);
        let (verified, others) = note.verify(&known).unwrap();
        assert_eq!((verified.len(), others.len()), (1, 1));
        assert_eq!(note.to_bytes(), head.to_bytes());
    }

    #[test]
    fn a_verifier_key_reads_back_and_no_other_spelling_does() {
        let key = Log::new().verifier();
        let text = key.to_string();
        assert_eq!(VerifierKey::parse(&text), Ok(key));
        let (name, rest) = text.split_once('+').unwrap();
        let (id, encoded) = rest.split_once('+').unwrap();
        for broken in [
            format!("{name}x+{id}+{encoded}"),
            format!("{name}+{}+{encoded}", id.to_uppercase()),
            format!("{name}+{id}+{}", &encoded[..encoded.len() - 1]),
            format!("{name}+{id}+{encoded}="),
            format!("{name}+{id}"),
            format!("+{id}+{encoded}"),
            format!("{name}+{id}+{encoded}\n"),
        ] {
            assert!(VerifierKey::parse(&broken).is_err(), "{broken}");
        }
    }

    proptest! {
        /// What both read, they read alike; what we refuse and they take, we refuse for a reason.
        #[test]
        fn notes_are_read_as_another_implementation_reads_them(
            text in r"[a-zé\n ]{0,40}", gap in prop_oneof![Just("\n"), Just("\n\n"), Just("")],
            lines in prop::collection::vec(
                r"— [a-z.\u{2003}+]{0,4} (AAAAA[A-D]{3}|AAAAAA[AB]=|AAAA[A-D]{4}|[A-Z=\-]{4,8})", 0..4,
            ),
            end in prop_oneof![4 => Just("\n"), 1 => Just("")],
        ) {
            let whole = format!("{text}{gap}{}{end}", lines.join("\n"));
            let (ours, theirs) = (Note::parse(whole.as_bytes()), ForeignNote::from_bytes(whole.as_bytes()));
            match (ours, theirs) {
                (Ok(ours), Ok(theirs)) => {
                    prop_assert_eq!(ours.text.as_bytes(), theirs.text());
                    prop_assert_eq!(ours.to_bytes(), whole.as_bytes());
                    prop_assert_eq!(theirs.to_bytes(), whole.as_bytes());
                }
                (ours, theirs) => prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{:?}", whole),
            }
        }
    }
}

mod trust_files {
    use super::*;

    #[test]
    fn a_trust_file_that_contradicts_itself_or_says_more_than_is_known_is_refused() {
        let log = Log::new();
        let good = String::from_utf8(spell(&log.trust())).unwrap();
        assert_eq!(TrustFile::parse(good.as_bytes()).unwrap(), log.trust());
        let replaced = |from: &str, to: &str| {
            assert!(good.contains(from), "{from}");
            good.replacen(from, to, 1)
        };
        let cases = [
            replaced("trust-v1", "trust-v2"),
            replaced("\"origin\": \"log", "\"origin\": \"other"),
            replaced("\"noteKey\": \"log", "\"noteKey\": \"other"),
            replaced("  \"chainId\"", "  \"chainId\": 1,\n  \"chainId\""),
            replaced("\"fromMs\"", "\"from\""),
            replaced("\"fromMs\": 1", "\"fromMs\": -1"),
            replaced("\"fromMs\": 1", "\"revoked\": true, \"fromMs\": 1"),
        ];
        for case in cases {
            assert!(TrustFile::parse(case.as_bytes()).is_err(), "{case}");
        }
    }

    #[test]
    fn a_key_speaks_from_its_first_to_before_its_last_millisecond() {
        let log = Log::new();
        let clinic = address_of(&log.clinic);
        let mut trust = log.trust();
        trust.organisations[0].keys[0] = Key { address: clinic, from_ms: 10, until_ms: Some(20) };
        let speaks = |time_ms| trust.organisation_of(clinic, time_ms).is_some();
        assert_eq!([9, 10, 19, 20].map(speaks), [false, true, true, false]);
    }
}

mod no_bytes_make_a_parser_panic {
    use super::*;

    static LOG: LazyLock<Log> = LazyLock::new(Log::new);

    fn poke(bytes: &[u8]) {
        let log = &*LOG;
        let _ = Note::parse(bytes).map(|note| note.verify(&log.verifier()));
        let _ = SignedCheckpoint::parse(bytes).map(|signed| log.keys().verify(&signed));
        let _ = signature::parse(bytes).map(|signature| signature.recover(B256::ZERO));
        let _ = Proof::parse(bytes).map(|proof| log.verify(&proof));
        let _ = TrustFile::parse(bytes);
        let _ = serde_json::from_slice::<Receipt>(bytes).map(|one| one.verify(&log.keys()));
        let _ = RowHeader::decode(bytes);
        if let Ok(text) = std::str::from_utf8(bytes) {
            let _ = VerifierKey::parse(text);
            let _ = Checkpoint::parse_body(text);
            let _ = parse_tile_path(text);
            let _ = Document::Base64(text.to_owned()).bytes();
        }
    }

    proptest! {
        #[test]
        fn at_random(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            poke(&bytes);
        }

        #[test]
        fn near_what_is_well_formed(
            which in 0..4usize, at in any::<prop::sample::Index>(), length in 0..40usize,
            put in prop::collection::vec(any::<u8>(), 0..8),
        ) {
            let log = &*LOG;
            let mut bytes = match which {
                0 => log.proof(TOGETHER).to_bytes(),
                1 => spell(&log.receipt(ALONE)),
                2 => spell(&log.trust()),
                _ => log.head(ANCHORED).to_bytes(),
            };
            let start = at.index(bytes.len());
            let end = (start + length).min(bytes.len());
            bytes.splice(start..end, put);
            poke(&bytes);
        }

        #[test]
        fn in_place_of_a_path(
            sizes in prop::array::uniform3(prop_oneof![any::<u64>(), 0..70u64, u64::MAX - 3..]),
            hashes in prop::collection::vec(any::<Hash>(), 0..70),
        ) {
            let [index, size, to] = sizes;
            let _ = verify_inclusion(&[0; 32], size, index, &[1; 32], &hashes);
            let _ = verify_consistency(size, to, &[0; 32], &[1; 32], &hashes);
        }

        #[test]
        fn as_a_name_of_a_tile(level: u8, index: u64, size: u64, path in "(x?[0-9]{3}/){0,8}[0-9]{3}(.p/[0-9]{1,4})?") {
            let width = TileId { level, index }.width_at(size);
            // A tile that begins beyond the log is empty.
            let first = u128::from(index) << (8 * (u32::from(level.min(8)) + 1));
            prop_assert!(width == 0 || first < u128::from(size));
            if let Some((index, width)) = parse_tile_path(&path) {
                let id = TileId { level: 0, index };
                prop_assert_eq!(id.path(width), format!("tile/0/{path}"));
            }
        }
    }

    #[test]
    fn a_tile_far_beyond_the_log_is_empty() {
        for index in [1 << 56, u64::MAX, 3 << 56] {
            assert_eq!(TileId { level: 0, index }.width_at(1000), 0, "{index}");
        }
    }
}
