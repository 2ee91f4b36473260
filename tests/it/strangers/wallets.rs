//! Reports signed by EIP-712 code that is not ours: ethers and viem. Both write the structs down
//! for themselves.

use super::tools::Stranger;
use crate::site::{Node, Settings, Site, person_id};
use alloy::primitives::Address;
use ethers_core::types::transaction::eip712::TypedData;
use ethers_signers::{LocalWallet, Signer};
use medtrail_ledger::entry::details_hash;
use medtrail_ledger::receipt::Receipt;
use medtrail_ledger::trust::TrustFile;
use serde_json::{Value, json};

const ETHERS: [u8; 32] = [0x51; 32];
const VIEM: [u8; 32] = [0x52; 32];

/// A log that knows both keys, and its trust file.
async fn log_of_two() -> (Site, Node, TrustFile) {
    let known = |name: &str, secret: &[u8; 32]| {
        let wallet = LocalWallet::from_bytes(secret).unwrap();
        (name.to_owned(), Address::from(wallet.address().0), 0)
    };
    let organisations = vec![known("Ethers", &ETHERS), known("Viem", &VIEM)];
    let site = Site::new(Settings { organisations, ..Settings::without_a_chain() });
    let node = site.serve();
    let trust = node.trust().await;
    (site, node, trust)
}

fn typed(trust: &TrustFile, report: &Value) -> TypedData {
    let fields = [
        ("log", "bytes32"),
        ("eventId", "bytes32"),
        ("kind", "uint8"),
        ("action", "uint8"),
        ("timeMs", "uint64"),
        ("subject", "bytes32"),
        ("actor", "address"),
        ("record", "bytes32"),
        ("fromVersion", "bytes32"),
        ("toVersion", "bytes32"),
        ("permission", "bytes32"),
        ("details", "bytes32"),
    ];
    let struct_of = |fields: &[(&str, &str)]| -> Vec<Value> {
        fields.iter().map(|(name, kind)| json!({ "name": name, "type": kind })).collect()
    };
    let domain = [
        ("name", "string"),
        ("version", "string"),
        ("chainId", "uint256"),
        ("verifyingContract", "address"),
    ];
    let document = json!({
        "types": { "EIP712Domain": struct_of(&domain), "Report": struct_of(&fields) },
        "primaryType": "Report",
        "domain": {
            "name": "Medtrail", "version": "1",
            "chainId": trust.chain_id, "verifyingContract": trust.registry,
        },
        "message": report,
    });
    serde_json::from_value(document).unwrap()
}

async fn send(node: &Node, report: &Value, details: &str, signature: &str) -> (u16, String) {
    let body = format!(r#"{{"report":{report},"details":{details},"signature":"{signature}"}}"#);
    let answer = node.post("application/json", body).await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_signed_by_ethers_is_accepted_and_one_with_a_byte_changed_is_not() {
    let (_site, node, trust) = log_of_two().await;
    let wallet = LocalWallet::from_bytes(&ETHERS).unwrap();
    let zero = format!("0x{}", "00".repeat(32));
    let details = r#"{"resourceType":"AuditEvent","action":"R","id":"ethers-1"}"#;
    let report = json!({
        "log": trust.log,
        "eventId": format!("0x{}", "ab".repeat(32)),
        "kind": 1,
        "action": u32::from(b'R'),
        "timeMs": 1_770_000_000_000_u64,
        "subject": person_id(1),
        "actor": Address::from(wallet.address().0),
        "record": zero,
        "fromVersion": zero,
        "toVersion": zero,
        "permission": zero,
        "details": details_hash(details.as_bytes()),
    });
    let signed = wallet.sign_typed_data(&typed(&trust, &report)).await.unwrap();
    let bytes = signed.to_vec();
    let text = alloy::primitives::hex::encode_prefixed(&bytes);

    for (byte, bit) in [(0, 1), (31, 0x80), (40, 1), (63, 1), (64, 1)] {
        let mut other = bytes.clone();
        other[byte] ^= bit;
        let other = alloy::primitives::hex::encode_prefixed(&other);
        let (status, said) = send(&node, &report, details, &other).await;
        assert!((400..500).contains(&status), "byte {byte}: {status} {said}");
    }
    let mut later = report.clone();
    later["timeMs"] = json!(1_770_000_000_001_u64);
    let (status, said) = send(&node, &later, details, &text).await;
    assert!((400..500).contains(&status), "{status} {said}");
    let (status, said) = send(&node, &report, &details.replace("-1", "-2"), &text).await;
    assert!((400..500).contains(&status), "{status} {said}");

    let (status, said) = send(&node, &report, details, &text).await;
    assert_eq!(status, 201, "{said}");
    let receipt: Receipt = serde_json::from_str(&said).unwrap();
    assert_eq!(receipt.index, 0, "what was refused was not written");
    receipt.verify(&trust.log_keys(trust.operator.keys[0].address).unwrap()).unwrap();
    node.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_signed_by_viem_is_accepted_and_one_with_a_byte_changed_is_not() {
    let (_site, node, trust) = log_of_two().await;
    let task = json!({
        "url": node.url, "secret": format!("0x{}", "52".repeat(32)), "chainId": trust.chain_id,
        "registry": trust.registry, "log": trust.log, "subject": person_id(2),
    });
    let Some(seen) = Stranger::Node("viem.mjs").run(task).await else { return };
    for answer in seen["changed"].as_array().unwrap() {
        let status = answer["status"].as_u64().unwrap();
        assert!((400..500).contains(&status), "{answer}");
    }
    assert_eq!(seen["changed"].as_array().unwrap().len(), 3);
    assert_eq!(seen["taken"]["status"], 201, "{seen:#}");
    let receipt: Receipt = serde_json::from_value(seen["taken"]["body"].clone()).unwrap();
    assert_eq!(receipt.index, 0, "what was refused was not written");
    receipt.verify(&trust.log_keys(trust.operator.keys[0].address).unwrap()).unwrap();
    node.stop();
}
