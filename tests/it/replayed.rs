//! An auditor judges every change of a log again: who changed without their person, or claimed a
//! permission that nobody gave, is named; a log that was kept from telling it is red until it has.

use crate::site::{Custodian, Node, Said, Settings, Site, must, ticking_chain};
use alloy::primitives::{Address, B256, Bytes};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use journeys::anvil::Anvil;
use medtrail_chain::Contract;
use medtrail_ledger::audit::Flaw;
use medtrail_ledger::audit::evidence::AuditEvidence;
use medtrail_ledger::entry::Kind;
use medtrail_ledger::schema::Report;
use medtrail_ledger::trust::TrustFile;
use medtrail_permit::documents::{Document, Grant, Guardianship, Registries, Revoke, named};
use medtrail_permit::signed::PermissionDetails;
use medtrail_permit::signed::Signed;
use medtrail_permit::statements::{Language, worded};
use serde_json::Value;
use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis().try_into().unwrap()
}

fn registries(trust: &TrustFile) -> Registries {
    Registries {
        chain_id: trust.chain_id,
        consent_registry: Contract::ConsentRegistry.address(),
        anchor_registry: trust.registry,
    }
}

fn sign(key: &PrivateKeySigner, document: &Document, trust: &TrustFile) -> Bytes {
    let digest = document.id(&registries(trust));
    key.sign_hash_sync(&digest).unwrap().as_bytes().to_vec().into()
}

fn grant(person: &PrivateKeySigner, to: Address, trust: &TrustFile) -> Signed {
    grant_about(person.address(), person, to, trust)
}

fn grant_about(
    subject: Address,
    signer: &PrivateKeySigner,
    to: Address,
    trust: &TrustFile,
) -> Signed {
    let document = Document::Grant(Grant {
        statement: String::new(),
        subject,
        grantee: to,
        scopes: "patient/*.cruds".into(),
        purposes: "TREAT".into(),
        epoch: 0,
        expiresAt: now_ms() / 1000 + 30 * 86_400,
        salt: B256::repeat_byte(0x51),
    });
    let document = worded(document, Language::En).unwrap();
    let signature = Some(sign(signer, &document, trust));
    Signed { document, signature, countersignature: None }
}

/// The custodian changes a medication of a person; the report names `permission`.
fn change(trust: &TrustFile, person: Address, event: &str, permission: B256) -> String {
    change_of(trust, person.into_word(), event, permission)
}

fn change_of(trust: &TrustFile, subject: B256, event: &str, permission: B256) -> String {
    let code = |code: &str| serde_json::json!([{ "coding": [{ "code": code }] }]);
    let details = serde_json::json!({
        "resourceType": "AuditEvent", "action": "U", "id": event,
        "agent": [{ "purposeOfUse": code("TREAT") }],
        "entity": [{ "what": { "reference": "MedicationRequest/m1" } }],
    });
    let report = Report {
        kind: Kind::Change.number(),
        action: b'U',
        timeMs: now_ms(),
        subject,
        record: B256::repeat_byte(0x7e),
        fromVersion: B256::repeat_byte(1),
        toVersion: B256::repeat_byte(2),
        permission,
        ..Report::default()
    };
    Custodian::fjord().signs(trust, event, report, &details)
}

async fn until_size(node: &Node, size: u64) {
    node.wait_until(&format!("{size} entries"), |ready| {
        ready["entries"].as_u64().is_some_and(|found| found >= size)
    })
    .await;
}

async fn until_far_ahead(anvil: &Anvil) {
    anvil.advance_time(3600).await;
    let mined = anvil.block_number().await + 1;
    while anvil.finalized_number().await < mined {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn audit(site: &Site, anvil: &Anvil, folder: &str, more: &[&str]) -> Said {
    let url = anvil.url();
    let flags = ["audit", folder, "--rpc", &url, "--trust", "trust.json", "--keys-dir", "keys"];
    site.run(flags.iter().chain(more))
}

fn told(site: &Site, anvil: &Anvil, folder: &str, more: &[&str]) -> (Option<i32>, Value) {
    let said = audit(site, anvil, folder, &[more, &["--json"]].concat());
    let value = serde_json::from_str(&said.out);
    (said.code, value.unwrap_or_else(|error| panic!("{error}: {said:?}")))
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_changed_without_permission_is_named_and_a_log_that_did_not_tell_it_is_red() {
    let anvil = ticking_chain().await;
    let mut site = Site::on(&anvil).await;
    let node = site.serve();
    site.write("trust.json", node.trust_bytes().await);
    let trust = node.trust().await;
    let person = PrivateKeySigner::random();
    let (mari, fjord) = (person.address(), Custodian::fjord());

    // One that nobody allowed, one that claims what nobody gave, and one that a grant covers.
    node.report(&change(&trust, mari, "unasked", B256::ZERO)).await;
    until_size(&node, 2).await;
    node.report(&change(&trust, mari, "claimed", B256::repeat_byte(9))).await;
    until_size(&node, 4).await;
    let details = PermissionDetails::of(grant(&person, fjord.address(), &trust));
    let document = serde_json::to_string(&details).unwrap();
    let answer = node.send("/v1/permissions", "application/json", document).await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    node.report(&change(&trust, mari, "allowed", B256::ZERO)).await;
    node.wait_until_final(6).await;
    node.stop();
    until_far_ahead(&anvil).await;
    must(site.run(["export", "--to", "honest"]));
    let (code, value) = told(&site, &anvil, "honest", &["--grace", "0"]);
    assert_eq!(code, Some(3), "{value:#}");
    let found = &value["permissions"];
    for (name, count) in
        [("changes", 3), ("permitted", 1), ("refused", 2), ("told", 2), ("missing", 0), ("both", 0)]
    {
        assert_eq!(found[name], count, "{name}: {value:#}");
    }
    let one = &found["by"][fjord.address().to_string().to_lowercase()];
    assert_eq!((&one["name"], &one["claimed"]), (&"Fjord Clinic".into(), &1.into()), "{value:#}");
    let table = audit(&site, &anvil, "honest", &["--grace", "0"]).out;
    assert!(table.contains("not permitted, and told") && table.contains("Fjord Clinic"), "{table}");
    assert!(table.contains("(unknownDocument)"), "{table}");

    // The judge sees no chain: the change stands, and nobody tells.
    let on_chain = site.settings.rpc.clone();
    site.settings.rpc = Settings::without_a_chain().rpc;
    site.configure();
    let node = site.serve();
    let purpose = change(&trust, mari, "untold", B256::repeat_byte(8));
    node.report(&purpose).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    node.stop();
    must(site.run(["export", "--to", "untold"]));
    let (code, value) = told(&site, &anvil, "untold", &[]);
    assert_eq!((code, &value["permissions"]["untold"]), (Some(3), &1.into()), "{value:#}");
    let flags = ["--grace", "0", "--evidence", "untold.json"];
    let said = audit(&site, &anvil, "untold", &flags);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.out.contains("no refusal tells its"), "{said:?}");
    let kept = AuditEvidence::parse(&fs::read(site.path("untold.json")).unwrap()).unwrap();
    assert_eq!((kept.flaw, kept.index), (Flaw::RefusalMissing, Some(6)));
    let judged = kept.judged.unwrap();
    assert_eq!((judged.verdict.as_str(), judged.documents.len()), ("doesNotCount", 1));
    assert_eq!(kept.entry.unwrap().report.permission, B256::repeat_byte(8));
    assert!(judged.details.unwrap().contains("MedicationRequest/m1"));

    // Told late is told.
    site.settings.rpc = on_chain;
    site.configure();
    let node = site.serve();
    until_size(&node, 8).await;
    node.stop();
    must(site.run(["export", "--to", "late"]));
    let (code, value) = told(&site, &anvil, "late", &["--grace", "0"]);
    assert_eq!((code, &value["permissions"]["told"]), (Some(3), &3.into()), "{value:#}");
}

async fn record(node: &Node, child: B256, signed: Signed) {
    let document = serde_json::to_string(&PermissionDetails::of(signed)).unwrap();
    let path = format!("/v1/permissions?subject={child}");
    let answer = node.send(&path, "application/json", document).await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_guardian_permitted_and_took_back_is_judged_again_from_the_log_alone() {
    let anvil = ticking_chain().await;
    let site = Site::on(&anvil).await;
    let node = site.serve();
    site.write("trust.json", node.trust_bytes().await);
    let trust = node.trust().await;
    let (mother, child) = (PrivateKeySigner::random(), B256::repeat_byte(0x9a));
    let fjord = PrivateKeySigner::from_slice(&[0x4f; 32]).unwrap();

    node.report(&change_of(&trust, child, "before anybody", B256::ZERO)).await;
    let document = Document::Guardianship(Guardianship {
        statement: String::new(),
        subject: child,
        guardian: mother.address(),
        custodian: fjord.address(),
        rights: "SEE PERMIT".into(),
        ground: "parent, population register".into(),
        expiresAt: now_ms() / 1000 + 300 * 86_400,
    });
    let document = worded(document, Language::En).unwrap();
    let signature = Some(sign(&mother, &document, &trust));
    let countersignature = Some(sign(&fjord, &document, &trust));
    record(&node, child, Signed { document, signature, countersignature }).await;
    let given = grant_about(named(child), &mother, fjord.address(), &trust);
    let id = given.document.id(&registries(&trust));
    record(&node, child, given).await;
    node.report(&change_of(&trust, child, "permitted", id)).await;
    let no = Document::Revoke(Revoke { subject: named(child), permission: id });
    let signature = Some(sign(&mother, &no, &trust));
    record(&node, child, Signed { document: no, signature, countersignature: None }).await;
    node.report(&change_of(&trust, child, "all the same", B256::ZERO)).await;
    // The refusal stands beside it, told to whoever looks at the child's trail: all is as it should.
    node.wait_until_final(7).await;
    node.stop();
    until_far_ahead(&anvil).await;
    must(site.run(["export", "--to", "told"]));
    let (code, value) = told(&site, &anvil, "told", &["--grace", "0"]);
    assert_eq!(code, Some(0), "{value:#}");
    assert_eq!(value["permissions"]["withoutKeyTold"], 1, "{value:#}");

    let node = site.serve();
    node.report(&change_of(&trust, child, "claimed", id)).await;
    node.wait_until_final(9).await;
    node.stop();
    until_far_ahead(&anvil).await;
    must(site.run(["export", "--to", "honest"]));
    let (code, value) = told(&site, &anvil, "honest", &["--grace", "0"]);
    assert_eq!(code, Some(3), "{value:#}");
    let found = &value["permissions"];
    let counts = [
        ("withoutKey", 4),
        ("withoutKeyPermitted", 1),
        ("withoutKeyRefused", 2),
        ("withoutKeyTold", 2),
        ("withoutKeyBefore", 0),
        ("unknownKeeper", 0),
        ("both", 0),
        ("missing", 0),
    ];
    for (name, count) in counts {
        assert_eq!(found[name], count, "{name}: {value:#}");
    }
    let one = &found["by"][fjord.address().to_string().to_lowercase()];
    assert_eq!((&one["name"], &one["claimed"]), (&"Fjord Clinic".into(), &1.into()), "{value:#}");
    let table = audit(&site, &anvil, "honest", &["--grace", "0"]).out;
    assert!(table.contains("(revoked)"), "{table}");
    assert!(table.contains("… of these told"), "{table}");
}
