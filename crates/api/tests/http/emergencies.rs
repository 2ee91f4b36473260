//! Emergency changes over HTTP: the organisation that made them and their person see until when an
//! answer is hoped for, and nobody else sees anything.

use crate::people::{Person, World};
use crate::support::{Answer, CHAIN, CONSENTS, Log, REGISTRY};
use alloy_primitives::{B256, keccak256};
use medtrail_ledger::schema::Report;
use medtrail_permit::documents::{Document, Registries, Revoke};
use medtrail_permit::permits::CONFIRM_MS;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

const REGISTRIES: Registries =
    Registries { chain_id: CHAIN, consent_registry: CONSENTS, anchor_registry: REGISTRY };

async fn get(log: &Log, token: &str, path: &str) -> Answer {
    Answer::of(log.get(path).bearer_auth(token)).await
}

/// The clinic breaks the glass and changes something of hers.
async fn change(log: &Log, anna: &Person, event: u64) -> u64 {
    let details = json!({ "purpose": "BTG", "n": event }).to_string();
    let report = Report {
        kind: 2,
        action: b'U',
        subject: anna.address.into_word(),
        fromVersion: keccak256("A"),
        toVersion: keccak256("B"),
        ..log.fields(0, event, &details)
    };
    log.report(&log.sign(report, details)).await.receipt().index
}

/// What is listed, once so many are.
async fn listed(log: &Log, token: &str, path: &str, states: &[&str]) -> Vec<Value> {
    let mut seen = Vec::new();
    for _ in 0..300 {
        let answer = get(log, token, path).await.json();
        seen = answer["emergencies"].as_array().unwrap().clone();
        if seen.iter().map(|one| one["state"].as_str().unwrap()).eq(states.iter().copied()) {
            return seen;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_see_an_emergency_its_clock_and_the_answer_and_nobody_else_does() {
    let log = Log::start().await;
    let world = World::new(&log).await;
    let path = "/v1/emergencies?as=person";
    let first = change(&log, &world.anna, 1).await;
    let [seen] = &listed(&log, &world.anna_token, path, &["open"]).await[..] else { panic!() };
    let received_ms = seen["receivedMs"].as_u64().unwrap();
    assert_eq!((&seen["index"], &seen["sinceMs"]), (&json!(first), &json!(received_ms)));
    assert_eq!(seen["dueMs"], json!(received_ms + CONFIRM_MS));
    assert_eq!((&seen["answer"], &seen["unanswered"]), (&Value::Null, &Value::Null));
    assert_eq!(seen["organisation"]["name"], "Clinic");
    assert_eq!(seen["report"]["toVersion"], json!(keccak256("B")));
    let told = get(&log, &world.clinic_token, "/v1/emergencies").await.json();
    assert_eq!(told["version"], "medtrail/emergencies-v1");
    assert_eq!(told["confirmWithinMs"], json!(CONFIRM_MS));
    assert_eq!(told["emergencies"], json!([seen]));
    for token in [&world.harbour_token, &world.other_token, &world.api_key] {
        let told = get(&log, token, "/v1/emergencies").await.json();
        assert_eq!(told["emergencies"], json!([]));
    }

    // She says no; anybody may carry it.
    let id: B256 = seen["id"].as_str().unwrap().parse().unwrap();
    let no = Document::Revoke(Revoke { subject: world.anna.address, permission: id });
    let signature = world.anna.sign_digest(no.id(&REGISTRIES).0);
    let body =
        json!({ "version": "medtrail/permission-v1", "document": no, "signature": signature });
    let carried = Answer::of(log.send(Method::POST, "/v1/permissions", &body)).await;
    assert_eq!(carried.status, 201, "{carried:?}");
    let second = change(&log, &world.anna, 2).await;
    let seen = listed(&log, &world.anna_token, path, &["open", "denied"]).await;
    assert_eq!(seen[1]["answer"]["index"], carried.json()["index"]);
    let open = "/v1/emergencies?state=open";
    let seen = listed(&log, &world.clinic_token, open, &["open"]).await;
    assert_eq!(seen[0]["index"], json!(second));
    let page = get(&log, &world.clinic_token, "/v1/emergencies?limit=1").await.json();
    assert_eq!(page["next"], json!(second));
    let page = format!("/v1/emergencies?limit=1&before={second}");
    assert_eq!(get(&log, &world.clinic_token, &page).await.json()["next"], Value::Null);
    for bad in ["state=late", "as=operator", "limit=0", "limit=201", "mood=good"] {
        let path = format!("/v1/emergencies?{bad}");
        get(&log, &world.anna_token, &path).await.problem(422, "invalid-query");
    }
    let path = format!("/v1/emergencies?subject={}", world.anna.address);
    get(&log, &world.other_token, &path).await.problem(404, "no-such-trail");
    log.end().await;
}
