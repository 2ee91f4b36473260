//! A key is lost, and a trustee moves control to another one on a real chain: from then on the old
//! key permits nothing, and the new one permits and sees the trail. Without a policy nobody can.

use crate::gateway::{sign_in_as, try_sign_in_as};
use crate::site::{Custodian, Node, Site};
use alloy::primitives::{Address, B256, Bytes, keccak256};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol;
use alloy::sol_types::SolCall;
use journeys::anvil::{ACCOUNTS, Anvil, Mining, Options};
use medtrail_chain::Contract;
use medtrail_ledger::entry::Kind;
use medtrail_ledger::schema::Report;
use medtrail_ledger::trust::TrustFile;
use medtrail_permit::documents::{Document, Grant, RecoveryPolicy, Registries};
use medtrail_permit::statements::{Language, worded};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DAY_S: u64 = 86_400;

sol! {
    struct Policy {
        string statement;
        address subject;
        address[] trustees;
        uint8 needed;
        uint64 delayS;
        uint64 epoch;
    }

    struct Approval {
        address trustee;
        uint64 expiresAt;
        bytes signature;
    }

    function registerPolicy(Policy calldata policy, bytes calldata signature) external;
    function startRecovery(
        Policy calldata policy,
        bytes calldata policySignature,
        address newController,
        Approval[] calldata approvals
    ) external;
    function finishRecovery(address subject) external;
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn registries(trust: &TrustFile) -> Registries {
    Registries {
        chain_id: trust.chain_id,
        consent_registry: Contract::ConsentRegistry.address(),
        anchor_registry: trust.registry,
    }
}

fn signature(by: &PrivateKeySigner, document: &Document, trust: &TrustFile) -> Bytes {
    let digest = document.id(&registries(trust));
    by.sign_hash_sync(&digest).unwrap().as_bytes().to_vec().into()
}

/// A transaction of an account whose key anvil has; whether it succeeded.
async fn send(anvil: &Anvil, from: Address, data: Vec<u8>) -> bool {
    let to = Contract::ConsentRegistry.address();
    // Its own estimate would refuse what reverts: here it is to be mined.
    let transaction =
        json!({ "from": from, "to": to, "data": Bytes::from(data), "gas": "0xf4240" });
    let hash = anvil.call("eth_sendTransaction", json!([transaction])).await.unwrap();
    loop {
        let receipt = anvil.call("eth_getTransactionReceipt", json!([hash])).await.unwrap();
        if let Some(status) = receipt["status"].as_str() {
            return status == "0x1";
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn until_final(anvil: &Anvil) {
    let mined = anvil.block_number().await;
    while anvil.finalized_number().await < mined {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// A grant about a person to somebody, by whichever key; the status of the answer.
async fn give(
    node: &Node,
    trust: &TrustFile,
    of: Address,
    by: &PrivateKeySigner,
    to: Address,
) -> u16 {
    let grant = Document::Grant(Grant {
        statement: String::new(),
        subject: of,
        grantee: to,
        scopes: "patient/*.cruds".into(),
        purposes: "TREAT".into(),
        epoch: 0,
        expiresAt: now_s() + 30 * DAY_S,
        salt: B256::repeat_byte(1),
    });
    let grant = worded(grant, Language::En).unwrap();
    let body = json!({
        "version": "medtrail/permission-v1", "document": grant,
        "signature": signature(by, &grant, trust),
    });
    let answer = node.send("/v1/permissions", "application/json", body.to_string()).await.unwrap();
    answer.status().as_u16()
}

/// The custodian changes something of a person.
async fn change(node: &Node, trust: &TrustFile, of: Address, event: &str) {
    let code = |code: &str| json!([{ "coding": [{ "code": code }] }]);
    let details = json!({
        "resourceType": "AuditEvent", "action": "U", "id": event,
        "agent": [{ "purposeOfUse": code("TREAT") }],
        "entity": [{ "what": { "reference": "MedicationRequest/m1" } }],
    });
    let report = Report {
        kind: Kind::Change.number(),
        action: b'U',
        // To the millisecond: it happens after the grant of the same second.
        timeMs: SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64,
        subject: of.into_word(),
        record: keccak256(event),
        fromVersion: B256::repeat_byte(1),
        toVersion: B256::repeat_byte(2),
        ..Report::default()
    };
    node.report(&Custodian::fjord().signs(trust, event, report, &details)).await;
}

/// The kinds of a trail's lines, the newest first; none for who may not see it.
async fn trail(node: &Node, token: &str, of: Address) -> Vec<u64> {
    let url = format!("{}/v1/subjects/{of}/trail", node.url);
    let answer = reqwest::Client::new().get(url).bearer_auth(token).send().await.unwrap();
    let page: Value = answer.json().await.unwrap();
    let lines = page["lines"].as_array().into_iter().flatten();
    lines.map(|line| line["report"]["kind"].as_u64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_recovery_the_old_key_permits_nothing_and_the_new_one_does() {
    let options = Options {
        mining: Mining::EverySeconds(1),
        genesis_s: Some(now_s() - 4 * DAY_S),
        ..Options::default()
    };
    let anvil = Anvil::start_with(options).await;
    let site = Site::on(&anvil).await;
    let node = site.serve();
    let trust = node.trust().await;
    let (old, new) = (PrivateKeySigner::random(), PrivateKeySigner::random());
    let (mari, trustee, stranger) = (old.address(), ACCOUNTS[0], ACCOUNTS[1]);
    let fjord = Custodian::fjord().address();
    assert_eq!(give(&node, &trust, mari, &new, fjord).await, 422, "not hers yet");

    // Signed by her and left with the trustee; nobody registers it before it is needed.
    let document = Document::RecoveryPolicy(RecoveryPolicy {
        statement: String::new(),
        subject: mari,
        trustees: vec![trustee],
        needed: 1,
        delayS: 2 * DAY_S,
        epoch: 1,
    });
    let document = worded(document, Language::En).unwrap();
    let by_her = signature(&old, &document, &trust);
    let Document::RecoveryPolicy(RecoveryPolicy { statement, .. }) = document else {
        unreachable!("a policy")
    };
    let policy = |subject| Policy {
        statement: statement.clone(),
        subject,
        trustees: vec![trustee],
        needed: 1,
        delayS: 2 * DAY_S,
        epoch: 1,
    };
    let start = |of, by: Address| {
        let approval = Approval { trustee: by, expiresAt: 0, signature: Bytes::new() };
        let start = startRecoveryCall {
            policy: policy(of),
            policySignature: by_her.clone(),
            newController: new.address(),
            approvals: vec![approval],
        };
        start.abi_encode()
    };
    // Of somebody who prepared none, and by who is no trustee, nothing moves.
    assert!(!send(&anvil, trustee, start(stranger, trustee)).await);
    assert!(!send(&anvil, stranger, start(mari, stranger)).await);
    assert!(send(&anvil, trustee, start(mari, trustee)).await);
    let finish = finishRecoveryCall { subject: mari }.abi_encode();
    assert!(!send(&anvil, stranger, finish.clone()).await, "not before the delay is over");
    assert_eq!(
        give(&node, &trust, mari, &old, stranger).await,
        201,
        "until then nothing has moved"
    );

    anvil.advance_time(2 * DAY_S + 60).await;
    anvil.mine(1).await;
    assert!(send(&anvil, stranger, finish).await);
    until_final(&anvil).await;

    assert_eq!(give(&node, &trust, mari, &old, fjord).await, 422);
    let refused = try_sign_in_as(&node, &old).await;
    assert_eq!(refused["title"], "This key speaks for its address no more", "{refused}");
    let hers = sign_in_as(&node, &new).await;
    assert_eq!(trail(&node, &hers, mari).await, [1, 4], "who looks, and what the old key gave");
    let strangers = sign_in_as(&node, &PrivateKeySigner::random()).await;
    assert!(trail(&node, &strangers, mari).await.is_empty());

    change(&node, &trust, mari, "permitted by nobody").await;
    let waiting = async {
        while trail(&node, &hers, mari).await != [8, 2, 1, 4] {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("a refusal");
    assert_eq!(give(&node, &trust, mari, &new, fjord).await, 201);
    change(&node, &trust, mari, "permitted by the new key").await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(trail(&node, &hers, mari).await, [2, 4, 8, 2, 1, 4], "no refusal follows");
    node.stop();
}
