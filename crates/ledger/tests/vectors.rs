//! The vectors that Rust, Solidity and the page share, in `tests/vectors` of the repository.
//!
//! Each test makes its file anew and compares; `MEDTRAIL_BLESS=1` writes it. The files are data
//! for others: what this crate claims is checked on the other side by code that shares none of it.

use alloy_primitives::{Address, B256, Bytes, U256, address, keccak256};
use alloy_sol_types::SolStruct;
use medtrail_ledger::binding::alias::{self, AliasDetails, Language};
use medtrail_ledger::edge::RightEdge;
use medtrail_ledger::merkle::empty_root;
use medtrail_ledger::schema::{
    Binding, Checkpoint, Coverage, Entry, Place, Report, ReportBatch, digest, domain,
};
use medtrail_ledger::signature::{self, SIGNATURE_BYTES};
use medtrail_ledger::tile::{TileId, TileReader};
use secp256k1::{Message, SecretKey};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::convert::Infallible;
use std::path::PathBuf;

const REGISTRY: Address = address!("0x5FbDB2315678afecb367f032d93F642f64180aa3");

fn agrees_with_the_file(name: &str, made: &Value) {
    agrees_with_the_text(name, &format!("{made:#}\n"));
}

fn agrees_with_the_text(name: &str, text: &str) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors");
    let file = folder.join(name);
    if std::env::var_os("MEDTRAIL_BLESS").is_some() {
        std::fs::write(&file, text).unwrap();
    }
    let stored = std::fs::read_to_string(&file).unwrap();
    assert!(stored == text, "{name} is not what this code makes; MEDTRAIL_BLESS=1 rewrites it");
}

#[test]
fn the_tree_vectors_cover_every_pair_of_sizes_up_to_64() {
    let commitments: Vec<B256> =
        (0..64u64).map(|index| keccak256(U256::from(index).to_be_bytes::<32>())).collect();
    let mut edge = RightEdge::empty();
    commitments.iter().for_each(|commitment| edge.append(&commitment.0));
    let tiles: HashMap<TileId, Vec<u8>> = edge.changed_tiles().into_iter().collect();
    let mut reader = TileReader::new(|id| Ok::<_, Infallible>(tiles.get(&id).cloned()));
    let mut nodes: Vec<B256> = Vec::new();
    let mut places = HashMap::new();
    let mut intern = |path: Vec<[u8; 32]>| -> Vec<usize> {
        let place = |hash: [u8; 32]| {
            *places.entry(hash).or_insert_with(|| {
                nodes.push(B256::from(hash));
                nodes.len() - 1
            })
        };
        path.into_iter().map(place).collect()
    };
    let mut roots = vec![B256::from(empty_root())];
    let (mut inclusion, mut consistency) = (Vec::new(), Vec::new());
    for size in 1..=64u64 {
        roots.push(B256::from(reader.root(size).unwrap()));
        let mut paths = Vec::new();
        for index in 0..size {
            paths.push(intern(reader.inclusion_path(index, size).unwrap()));
        }
        inclusion.push(paths);
        let mut paths = Vec::new();
        for old in 1..=size {
            paths.push(intern(reader.consistency_path(old, size).unwrap()));
        }
        consistency.push(paths);
    }
    // One line a field: a quarter of a million lines of indexes would be no easier to read.
    let fields = [
        ("version", json!(1)),
        ("commitments", json!(commitments)),
        ("roots", json!(roots)),
        ("nodes", json!(nodes)),
        ("inclusion", json!(inclusion)),
        ("consistency", json!(consistency)),
    ];
    let lines = fields.map(|(name, value)| format!("\"{name}\": {value}"));
    agrees_with_the_text("merkle.json", &format!("{{\n{}\n}}\n", lines.join(",\n")));
}

fn example_report() -> Report {
    Report {
        log: keccak256("log"),
        eventId: keccak256("event"),
        kind: 1,
        action: b'R',
        timeMs: 1_767_605_400_120,
        subject: keccak256("subject"),
        actor: address!("0x976EA74026E726554dB657fA54763abd0C3a0aa9"),
        record: keccak256("record"),
        fromVersion: B256::ZERO,
        toVersion: keccak256("version"),
        permission: B256::ZERO,
        details: keccak256("details"),
    }
}

fn example_place() -> Place {
    Place {
        ordinal: 7,
        previous: keccak256("previous"),
        receivedMs: u64::MAX,
        salt: keccak256("salt"),
    }
}

fn document<T: SolStruct>(value: &T, message: Value) -> Value {
    let domain = domain(31338, REGISTRY);
    json!({
        "primaryType": T::NAME,
        "typeString": T::eip712_encode_type(),
        "typeHash": value.eip712_type_hash(),
        "message": message,
        "structHash": value.eip712_hash_struct(),
        "digest": value.eip712_signing_hash(&domain),
    })
}

/// Numbers as decimal strings: a JSON number above 2^53 is another one in JavaScript.
fn report_json(report: &Report) -> Value {
    let mut value = serde_json::to_value(report).unwrap();
    value["timeMs"] = json!(report.timeMs.to_string());
    value
}

fn place_json(place: &Place) -> Value {
    let mut value = serde_json::to_value(place).unwrap();
    value["ordinal"] = json!(place.ordinal.to_string());
    value["receivedMs"] = json!(place.receivedMs.to_string());
    value
}

#[test]
fn the_document_vectors_hold_every_struct_of_the_log() {
    let (report, place) = (example_report(), example_place());
    let entry = Entry { report: report.clone(), place: place.clone() };
    let (root, log) = (keccak256("root"), keccak256("log"));
    let batch = ReportBatch { root, count: 1000 };
    let head = Checkpoint { log, size: 5214, root, timeMs: 1_767_605_400_120 };
    let person = address!("0x14dC79964da2C08b23698B3D3cc7Ca32193d9955");
    let binding = medtrail_ledger::binding::document(
        "Kalda Family Doctors",
        report.actor,
        report.subject,
        person,
        1_767_605_459,
    );
    let coverage = Coverage {
        log,
        custodian: report.actor,
        fromMs: 1_767_571_200_000,
        toMs: 1_767_657_600_000,
        reports: 5214,
    };
    assert_eq!(
        medtrail_ledger::entry::commitment(&report, &place),
        entry.eip712_hash_struct(),
        "the commitment is the entry's struct hash"
    );
    let made = json!({
        "version": 1,
        "domain": {
            "name": "Medtrail", "version": "1", "chainId": 31338, "verifyingContract": REGISTRY,
        },
        "domainSeparator": domain(31338, REGISTRY).separator(),
        "documents": [
            document(&report, report_json(&report)),
            document(&place, place_json(&place)),
            document(&entry, json!({"report": report_json(&report), "place": place_json(&place)})),
            document(&batch, json!({"root": root, "count": "1000"})),
            document(&head, json!({
                "log": log, "size": "5214", "root": root, "timeMs": "1767605400120",
            })),
            document(&binding, json!({
                "statement": binding.statement, "subject": binding.subject,
                "custodian": binding.custodian, "pseudonym": binding.pseudonym,
                "expiresAt": "1767605459",
            })),
            document(&coverage, json!({
                "log": log, "custodian": report.actor, "fromMs": "1767571200000",
                "toMs": "1767657600000", "reports": "5214",
            })),
        ],
    });
    agrees_with_the_file("documents.json", &made);
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

#[test]
fn the_signature_door_opens_and_stays_shut_as_the_vectors_say() {
    let secret = SecretKey::from_secret_bytes([7; 32]).unwrap();
    let signer = signature::address_of(&secp256k1::PublicKey::from_secret_key(&secret));
    let digest = keccak256("a report");
    let good = sign(&secret, digest);
    let order = U256::from_be_bytes::<32>(secp256k1::constants::CURVE_ORDER);
    let s = U256::from_be_slice(&good[32..64]);
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.to_vec();
        change(&mut bytes);
        bytes
    };
    let put = |place: usize, value: U256| {
        with(&move |bytes| bytes[place..place + 32].copy_from_slice(&value.to_be_bytes::<32>()))
    };
    let other_v = 27 + (28 - good[64]);
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("as a wallet signs", good.to_vec()),
        ("another digest's, found by its key", sign(&secret, keccak256("another")).to_vec()),
        ("the other v: another signer, or none", with(&|b| b[64] = other_v)),
        ("empty", vec![]),
        ("64 bytes, as in EIP-2098", good[..64].to_vec()),
        ("66 bytes", with(&|b| b.push(0))),
        ("v is 0", with(&|b| b[64] -= 27)),
        ("v is 29", with(&|b| b[64] = 29)),
        ("v is 37, as in EIP-155", with(&|b| b[64] = 37)),
        ("r is 0", put(0, U256::ZERO)),
        ("r is the order", put(0, order)),
        ("r is above the order", put(0, order + U256::from(1))),
        ("s is 0", put(32, U256::ZERO)),
        ("s is in the upper half", {
            let mut twin = put(32, order - s);
            twin[64] = other_v;
            twin
        }),
        ("s is just above half the order", put(32, (order >> 1) + U256::from(1))),
        ("s is the order", put(32, order)),
        ("r is no point of the curve", put(0, U256::from(5))),
    ];
    let described: Vec<Value> = cases
        .iter()
        .map(|(name, bytes)| {
            let outcome = signature::parse(bytes).and_then(|signature| signature.recover(digest));
            let mut case = json!({
                "name": name, "digest": digest, "signature": Bytes::copy_from_slice(bytes),
            });
            match outcome {
                Ok(address) => case["signer"] = json!(address),
                Err(error) => case["refusal"] = json!(error.to_string()),
            }
            case
        })
        .collect();
    assert_eq!(described[0]["signer"], json!(signer));
    assert_ne!(described[1]["signer"], json!(signer));
    for refused in &described[3..] {
        assert!(refused.get("refusal").is_some(), "{refused}");
    }
    agrees_with_the_file("signatures.json", &json!({"version": 1, "cases": described}));
}

const UNTIL_S: u64 = 1_770_206_400;

/// What the person reads is fixed: a new wording is a new template beside these.
#[test]
fn the_statements_of_an_alias_are_read_as_here() {
    let (own, fresh) = (Address::repeat_byte(0x11), Address::repeat_byte(0x22));
    let read = |language| alias::document(own, fresh, UNTIL_S, language).statement;
    assert_eq!(
        read(Language::En),
        format!(
            "{fresh} is an address of mine, to sell under. Whoever signs in as {own} sees what is \
             reported about both. Whoever signs in as {fresh} sees nothing about {own}. Neither can \
             permit anything for the other. It cannot be undone. Valid until 2026-02-04 12:00 UTC. \
             (Medtrail alias 1)"
        )
    );
    assert_eq!(
        read(Language::Et),
        format!(
            "{fresh} on minu aadress, mille alt müün. Kes logib sisse aadressiga {own}, näeb, mida \
             kummagi kohta teatatakse. Kes logib sisse aadressiga {fresh}, ei näe aadressi {own} \
             kohta midagi. Kumbki ei saa teise eest midagi lubada. Seda ei saa tagasi võtta. Kehtib \
             kuni 04.02.2026 kell 12:00 UTC. (Medtrail müügiaadress 1)"
        )
    );
}

#[test]
fn two_keys_join_an_address_and_nothing_else_does() {
    let of = domain(31337, REGISTRY);
    let key = |seed: u8| SecretKey::from_secret_bytes([seed; 32]).unwrap();
    let address = |seed| signature::address_of(&secp256k1::PublicKey::from_secret_key(&key(seed)));
    let signed = |document: Binding, by: [u8; 2], at: &_| {
        let [signature, countersignature] =
            by.map(|seed| Bytes::from(sign(&key(seed), digest(&document, at))));
        let version = alias::VERSION.to_owned();
        AliasDetails { version, document, signature, countersignature }
    };
    let document = alias::document(address(1), address(2), UNTIL_S, Language::En);
    let whole = signed(document.clone(), [1, 2], &of);
    let with = |change: &dyn Fn(&mut Binding)| {
        let mut changed = document.clone();
        change(&mut changed);
        changed.statement = alias::statement(&changed, Language::En);
        signed(changed, [1, 2], &of)
    };
    let estonian = alias::document(address(1), address(2), UNTIL_S, Language::Et);
    let zeros = Bytes::from([0; 65]);
    let (in_time, late) = (UNTIL_S * 1000 - 1, UNTIL_S * 1000);
    let cases: Vec<(&str, AliasDetails, u64)> = vec![
        ("as a person signs it", whole.clone(), in_time),
        ("in Estonian", signed(estonian, [1, 2], &of), in_time),
        ("too late", whole.clone(), late),
        ("by the own address twice", signed(document.clone(), [1, 1], &of), in_time),
        ("by the alias twice", signed(document.clone(), [2, 2], &of), in_time),
        ("each in the other's place", signed(document.clone(), [2, 1], &of), in_time),
        ("by a stranger for the alias", signed(document.clone(), [1, 3], &of), in_time),
        ("by a stranger for the person", signed(document.clone(), [3, 2], &of), in_time),
        (
            "without the alias",
            AliasDetails { countersignature: zeros.clone(), ..whole.clone() },
            in_time,
        ),
        ("without the person", AliasDetails { signature: zeros, ..whole.clone() }, in_time),
        ("for another chain", signed(document.clone(), [1, 2], &domain(1, REGISTRY)), in_time),
        (
            "for another registry",
            signed(document.clone(), [1, 2], &domain(31337, Address::repeat_byte(9))),
            in_time,
        ),
        (
            "an address and itself",
            { signed(alias::document(address(1), address(1), UNTIL_S, Language::En), [1, 1], &of) },
            in_time,
        ),
        ("two fields, two addresses", with(&|one| one.pseudonym = address(3).into_word()), in_time),
        ("a pseudonym", with(&|one| one.pseudonym = B256::repeat_byte(9)), in_time),
        (
            "other words",
            {
                let statement = format!("{} ", document.statement);
                signed(Binding { statement, ..document.clone() }, [1, 2], &of)
            },
            in_time,
        ),
        (
            "the words of another time",
            { signed(Binding { expiresAt: UNTIL_S + 60, ..document.clone() }, [1, 2], &of) },
            in_time,
        ),
        (
            "another version",
            AliasDetails { version: "medtrail/binding-v1".into(), ..whole },
            in_time,
        ),
    ];
    let described: Vec<Value> = cases
        .into_iter()
        .map(|(name, details, time_ms)| {
            let outcome = details.verify(&of, time_ms / 1000);
            let text = serde_json::to_string(&details).unwrap();
            assert_eq!(serde_json::from_str::<AliasDetails>(&text).unwrap(), details);
            let mut case = json!({ "name": name, "timeMs": time_ms, "details": text });
            match outcome {
                Ok(()) => case["id"] = json!(digest(&details.document, &of)),
                Err(error) => case["refusal"] = json!(error.to_string()),
            }
            case
        })
        .collect();
    let binds = |case: &&Value| case.get("id").is_some();
    assert_eq!(described.iter().filter(binds).count(), 2);
    assert!(described[..2].iter().all(|case| binds(&case)));
    let made = json!({
        "version": 1,
        "domain": { "chainId": 31337, "verifyingContract": REGISTRY },
        "subject": address(1), "alias": address(2), "expiresAt": UNTIL_S,
        "cases": described,
    });
    agrees_with_the_file("aliases.json", &made);
}
