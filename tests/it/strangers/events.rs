//! The official IHE BALP events, and our own, through an organisation's API key: in, and out again.

use super::gateway::Gateway;
use super::tools::Stranger;
use super::{World, audit_events, foreign, own_events};
use alloy::primitives::hex;
use medtrail_ledger::entry::details_hash;
use serde_json::{Value, json};

/// Who an event is about, as a search names them: `system|value`, or the reference.
fn patients(event: &Value) -> Vec<String> {
    let entities = event["entity"].as_array().into_iter().flatten();
    let patients = entities.filter(|entity| entity["role"]["code"] == "1");
    let named = |entity: &Value| {
        let what = &entity["what"];
        let identifier = &what["identifier"];
        match (identifier["system"].as_str(), identifier["value"].as_str()) {
            (Some(system), Some(value)) => format!("{system}|{value}"),
            _ => what["reference"].as_str().unwrap().to_owned(),
        }
    };
    patients.map(named).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_is_taken_found_again_byte_for_byte_and_read_by_a_foreign_library() {
    let official = foreign("balp").map(|folder| audit_events(&folder)).unwrap_or_default();
    assert!(official.is_empty() || official.len() == 23, "{} official events", official.len());
    let own = own_events();
    assert!(own.len() >= 14, "{} events of our own", own.len());

    let world = World::start().await;
    let key = world.organisation("Strangers' Hospital").await;
    let (mut locations, mut searched) = (Vec::new(), Vec::new());
    for (name, bytes) in own.iter().chain(&official) {
        let event: Value = serde_json::from_slice(bytes).unwrap();
        let about = patients(&event);
        let place = world.create(&key, bytes).await;
        assert_eq!(world.create(&key, bytes).await, place, "{name} stands twice");
        locations.push(place);
        searched.extend(about.iter().cloned());

        // Every byte, blanks around it too, in the document that the log keeps.
        let line = format!("/v1/entries/{place}");
        let line = world.http.get(world.url(&line)).bearer_auth(&key).send().await.unwrap();
        let line = super::json_of(line, 200).await;
        let details: Value =
            serde_json::from_str(line["details"]["text"].as_str().unwrap()).unwrap();
        let document = details["document"].as_str().unwrap();
        let read = format!("/fhir/AuditEvent/{place}");
        let read = world.http.get(world.url(&read)).bearer_auth(&key).send().await.unwrap();
        let read = read.bytes().await.unwrap();
        if about.len() > 1 {
            // Each reads of nobody else, and no bare hash lets them try out who the others are.
            let shared: Value = serde_json::from_str(document).unwrap();
            let bare = hex::encode_prefixed(details_hash(bytes));
            assert_eq!(shared["received"].as_str().unwrap().len(), bare.len(), "{name}");
            assert_ne!(shared["received"], bare, "{name}");
            let text = String::from_utf8(read.to_vec()).unwrap();
            assert!(!text.contains("jaan-tamm"), "{name}: {text}");
        } else {
            assert_eq!(document.as_bytes(), bytes, "{name}");
            assert_eq!(read, bytes.trim_ascii(), "{name}");
        }
    }

    searched.sort();
    searched.dedup();
    let mut by_search = 0;
    for patient in &searched {
        let query = url_encoded(patient);
        by_search += world.search(&key, &format!("patient={query}&_count=4")).await.len();
    }
    let about_somebody = own.iter().chain(&official).map(|(_, bytes)| {
        let event: Value = serde_json::from_slice(bytes).unwrap();
        patients(&event).len()
    });
    assert_eq!(by_search, about_somebody.sum::<usize>(), "each is found once by its patient");

    let task = json!({
        "base": world.url("/fhir"), "key": key, "locations": locations, "patients": searched,
    });
    if let Some(seen) = Stranger::Python("parse_events.py").run(task).await {
        assert_eq!(seen["read"], locations.len());
        assert_eq!(seen["searched"], by_search);
    }
    world.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_goes_through_a_gateway_and_is_found_again_byte_for_byte() {
    let official = foreign("balp").map(|folder| audit_events(&folder)).unwrap_or_default();
    let own = own_events();
    let world = World::start().await;
    let gateway = Gateway::start(&world, "strangers").await;
    for (_, bytes) in own.iter().chain(&official) {
        gateway.create(bytes).await;
    }
    gateway.wait_until_sent().await;

    let checkpoint = world.node.get("/log/checkpoint").await.text().await.unwrap();
    let size: u64 = checkpoint.lines().nth(1).unwrap().parse().unwrap();
    let mut served = Vec::new();
    for index in 0..size {
        let url = world.url(&format!("/fhir/AuditEvent/{index}"));
        let answer = world.http.get(url).bearer_auth(&gateway.session).send().await.unwrap();
        if answer.status() == 200 {
            served.push(answer.bytes().await.unwrap());
        }
    }
    let mut entries = 0;
    for (name, bytes) in own.iter().chain(&official) {
        let event: Value = serde_json::from_slice(bytes).unwrap();
        let about = patients(&event).len();
        entries += about.max(1);
        let is_there = served.iter().any(|one| one == bytes.trim_ascii());
        assert_eq!(is_there, about < 2, "{name}");
    }
    assert_eq!(served.len(), entries, "an entry a patient, or one without");
    gateway.stop();
    world.stop();
}

/// A value of a query.
fn url_encoded(value: &str) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    let encoded = |byte: u8| match is_plain(&byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    value.bytes().map(encoded).collect()
}
