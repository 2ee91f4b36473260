//! `/v1/permissions`: what a person signed, carried by anybody, and how it stands.

use crate::people::Person;
use crate::support::{Answer, CHAIN, CONSENTS, Log, REGISTRY};
use alloy_primitives::{Address, B256};
use medtrail_ledger::consents::{ConsentEvent, ConsentRecord};
use medtrail_ledger::receipt::Receipt;
use medtrail_permit::documents::{Document, Grant, Guardianship, Registries, Revoke};
use medtrail_permit::statements::{Language, worded};
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

const REGISTRIES: Registries =
    Registries { chain_id: CHAIN, consent_registry: CONSENTS, anchor_registry: REGISTRY };

fn grant(subject: Address) -> Document {
    let grant = Grant {
        statement: String::new(),
        subject,
        grantee: Address::repeat_byte(9),
        scopes: "patient/Observation.rs".into(),
        purposes: "TREAT".into(),
        epoch: 0,
        expiresAt: 4_000_000_000,
        salt: B256::repeat_byte(7),
    };
    worded(Document::Grant(grant), Language::En).unwrap()
}

fn carried(by: &Person, document: &Document) -> Value {
    let signature = by.sign_digest(document.id(&REGISTRIES).0);
    json!({ "version": "medtrail/permission-v1", "document": document, "signature": signature })
}

fn carry(log: &Log, body: &Value) -> impl Future<Output = Answer> {
    Answer::of(log.send(Method::POST, "/v1/permissions", body))
}

fn list(log: &Log, person: &Person, token: &str) -> impl Future<Output = Answer> {
    let path = format!("/v1/subjects/{}/permissions", person.address);
    Answer::of(log.get(&path).bearer_auth(token))
}

#[tokio::test(flavor = "multi_thread")]
async fn anybody_carries_what_a_person_signed_and_gets_a_receipt_with_the_place_hashed() {
    let log = Log::start().await;
    let anna = Person::new(0xa1);
    let body = carried(&anna, &grant(anna.address));
    let first = carry(&log, &body).await;
    assert_eq!((first.status.as_u16(), first.header("location")), (201, Some("/v1/entries/0")));
    let told = first.json();
    assert_eq!(told["index"], 0);
    assert_eq!(told["id"], json!(grant(anna.address).id(&REGISTRIES)));
    let members: Vec<_> = told.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["id", "index", "receipt"], "nothing else of the trail");
    let receipt: Receipt = serde_json::from_value(told["receipt"].clone()).unwrap();
    receipt.verify(&log.keys).unwrap();

    let again = carry(&log, &body).await;
    assert_eq!(again.status, 200);
    let again = again.json();
    assert_eq!((&again["index"], &again["id"]), (&told["index"], &told["id"]));
    assert_eq!(again["receipt"]["placeHash"], told["receipt"]["placeHash"]);

    let token = anna.sign_in(&log).await;
    let line = Answer::of(log.get("/v1/entries/0").bearer_auth(&token)).await.json();
    assert_eq!((&line["report"]["kind"], &line["evidence"]), (&json!(4), &json!("relayed")));
    let details: Value = serde_json::from_str(line["details"]["text"].as_str().unwrap()).unwrap();
    assert_eq!(details, body);
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_reads_how_everything_stands_that_they_gave() {
    let log = Log::start().await;
    let anna = Person::new(0xa1);
    let token = anna.sign_in(&log).await;
    let empty = json!({
        "version": "medtrail/permissions-v1",
        "subject": anna.address.into_word(),
        "controller": json!(anna.address),
        "epoch": 0,
        "permissions": [],
        "chain": "read",
    });
    assert_eq!(list(&log, &anna, &token).await.json(), empty);

    let document = grant(anna.address);
    let id = document.id(&REGISTRIES);
    let body = carried(&anna, &document);
    assert_eq!(carry(&log, &body).await.status, 201);
    let mut told = list(&log, &anna, &token).await.json();
    let received_ms = told["permissions"][0]["receivedMs"].take();
    assert!(received_ms.as_u64().unwrap() > 1_700_000_000_000);
    let standing = json!({
        "id": id,
        "index": 0,
        "receivedMs": null,
        "document": document,
        "signature": body["signature"],
        "state": "standing",
        "revokedMs": null,
        "onChain": null,
    });
    assert_eq!(told["permissions"], json!([standing]));

    // Taken back on chain, in a block that may still go: it acts at once.
    let event = ConsentEvent::Revoked { permission: id, at_s: 1_767_605_400 };
    log.chain.records.lock().unwrap().push(ConsentRecord { event, is_final: false });
    let told = list(&log, &anna, &token).await.json();
    let revoked = &told["permissions"][0];
    assert_eq!(
        (&revoked["state"], &revoked["revokedMs"]),
        (&json!("revoked"), &json!(1_767_605_400_000_u64))
    );
    let on_chain = json!({ "grantedAtS": null, "revokedAtS": 1_767_605_400, "isFinal": false });
    assert_eq!(revoked["onChain"], on_chain);

    log.chain.is_away.store(true, Ordering::SeqCst);
    let revoke = Document::Revoke(Revoke { subject: anna.address, permission: id });
    assert_eq!(carry(&log, &carried(&anna, &revoke)).await.status, 201);
    let told = list(&log, &anna, &token).await.json();
    assert_eq!(told["chain"], "unreadable");
    assert_eq!(told["permissions"].as_array().unwrap().len(), 1, "a revocation gives nothing");
    let revoked = &told["permissions"][0];
    assert_eq!((&revoked["state"], &revoked["onChain"]), (&json!("revoked"), &Value::Null));
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_document_is_told_by_field_and_rule() {
    let log = Log::start().await;
    let (anna, stranger) = (Person::new(0xa1), Person::new(0xa2));
    let good = carried(&anna, &grant(anna.address));
    let without = |member: &str| {
        let mut body = good.clone();
        body.as_object_mut().unwrap().remove(member);
        body
    };
    let with = |member: &str, value: Value| {
        let mut body = good.clone();
        body[member] = value;
        body
    };
    let changed = |field: &str, value: Value| {
        let mut body = good.clone();
        body["document"]["grant"][field] = value;
        body
    };
    let child = Document::Guardianship(Guardianship {
        subject: anna.address.into_word(),
        guardian: anna.address,
        custodian: stranger.address,
        rights: "SEE".into(),
        ground: "parent".into(),
        expiresAt: 4_000_000_000,
        ..Guardianship::default()
    });
    let child = worded(child, Language::En).unwrap();
    for (body, slug, field) in [
        (with("version", json!("medtrail/permission-v2")), "invalid-field", Some("version")),
        (without("document"), "invalid-field", None),
        (with("mood", json!(1)), "invalid-field", Some("mood")),
        (with("document", json!({ "pardon": {} })), "invalid-field", Some("document")),
        (
            with(
                "document",
                json!({ "erase": {
            "statement": "", "subject": anna.address, "log": B256::ZERO, "upToOrdinal": 1,
            "expiresAt": 1 } }),
            ),
            "invalid-field",
            Some("document.erase.log"),
        ),
        (changed("scopes", json!("all")), "invalid-field", Some("document.grant.scopes")),
        (changed("statement", json!("x")), "invalid-field", Some("document.grant.statement")),
        (changed("epoch", json!("0")), "invalid-field", Some("document.grant.epoch")),
        (changed("expiresAt", json!(0)), "invalid-field", Some("document.grant.expiresAt")),
        (carried(&anna, &child), "invalid-field", Some("document.guardianship.subject")),
        (with("signature", json!("0x00")), "signature-refused", Some("signature")),
        (
            with("countersignature", good["signature"].clone()),
            "invalid-field",
            Some("countersignature"),
        ),
        (carried(&stranger, &grant(anna.address)), "not-their-word", Some("signature")),
        (without("signature"), "not-granted", Some("signature")),
    ] {
        let answer = carry(&log, &body).await;
        let told = answer.problem(422, slug);
        assert_eq!(told["field"].as_str(), field, "{told}");
    }
    let long = changed("statement", json!("x".repeat(40_000)));
    carry(&log, &long).await.problem(413, "body-too-long");

    let record = |event, is_final| {
        log.chain.records.lock().unwrap().push(ConsentRecord { event, is_final });
    };
    let id = grant(anna.address).id(&REGISTRIES);
    record(ConsentEvent::Granted { permission: id, at_s: 7 }, false);
    carry(&log, &without("signature")).await.problem(409, "not-final");
    record(ConsentEvent::Frozen { at_s: 7 }, false);
    carry(&log, &good).await.problem(409, "permissions-frozen");
    log.chain.is_away.store(true, Ordering::SeqCst);
    carry(&log, &carried(&stranger, &grant(anna.address))).await.problem(503, "chain-unreadable");
    assert_eq!(log.service.head().size, 0, "nothing was written");
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_carries_without_end_is_told_to_wait_and_nobody_else() {
    let log = Log::start().await;
    let from = |address: &'static str| {
        let request = log.send(Method::POST, "/v1/permissions", &json!({}));
        Answer::of(request.header("x-forwarded-for", address))
    };
    let mut refused = None;
    for _ in 0..200 {
        let answer = from("192.0.2.1").await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
    }
    refused.expect("a limit").problem(429, "too-many-requests");
    from("192.0.2.2").await.problem(422, "invalid-field");
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_wait_to_be_judged_are_counted_and_it_is_told_why() {
    let log = Log::start().await;
    let anna = Person::new(0xa1);
    log.chain.is_away.store(true, Ordering::SeqCst);
    let details = "{}".to_owned();
    let report = medtrail_ledger::schema::Report {
        kind: 2,
        action: b'U',
        subject: anna.address.into_word(),
        ..log.fields(0, 1, &details)
    };
    log.report(&log.sign(report, details)).await.receipt();
    let mut ready = Value::Null;
    for _ in 0..200 {
        ready = Answer::of(log.get("/readyz")).await.json();
        if !ready["judging"]["problem"].is_null() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!((&ready["ready"], &ready["judging"]["waiting"]), (&json!(true), &json!(1)));
    assert!(ready["judging"]["problem"]["what"].as_str().unwrap().contains("no node"), "{ready}");
    let metrics = Answer::of(log.http.get(format!("http://{}/metrics", log.metrics_address))).await;
    let text = String::from_utf8(metrics.body).unwrap();
    assert!(text.lines().any(|line| line == "medtrail_changes_waiting 1"), "{text}");
    log.end().await;
}
