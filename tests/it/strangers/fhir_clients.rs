//! FHIR clients that others wrote and hospitals use.

use super::gateway::Gateway;
use super::tools::Stranger;
use super::{World, index_of, own_event};
use serde_json::{Value, json};

/// Events about Patient/p1, by the name of who sends them.
fn about_p1(sender: &str) -> Vec<Value> {
    let mut event = own_event("patient-read");
    let patient = event["entity"].as_array_mut().unwrap().iter_mut();
    let mut patient = patient.filter(|entity| entity["role"]["code"] == "1");
    patient.next().unwrap()["what"] = json!({ "reference": "Patient/p1" });
    assert!(patient.next().is_none());
    drop(patient);
    let named = |number: u32| {
        let mut event = event.clone();
        event["id"] = json!(format!("{sender}-{number}"));
        event["recorded"] = json!(format!("2026-11-21T09:{number:02}:30.120+02:00"));
        event
    };
    (1..=5).map(named).collect()
}

/// Two are created, three come in a batch; a search finds all in pages of two; an event without
/// its time is refused, by the element's name.
async fn works(client: Stranger, name: &str) -> Option<Value> {
    let world = World::start().await;
    let key = world.organisation(name).await;
    let events = about_p1(name);
    let mut broken = events[0].clone();
    broken.as_object_mut().unwrap().remove("recorded");
    broken.as_object_mut().unwrap().remove("id");
    let base = world.url("/fhir");
    let task =
        json!({ "base": base, "key": key, "events": events, "broken": broken, "searches": true });
    let seen = client.run(task).await?;

    assert_eq!(seen["statement"]["resourceType"], "CapabilityStatement", "{seen:#}");
    assert_eq!(seen["statement"]["fhirVersion"], "4.0.1");
    let batched = seen["batched"].as_array().unwrap();
    assert_eq!(batched.len(), 3);
    for response in batched {
        assert!(response["status"].as_str().unwrap().starts_with("201"), "{response}");
    }
    // All five stand there; what was created first is found last.
    let found = world.search(&key, "patient=Patient%2Fp1").await;
    let stored: Vec<_> = found.iter().map(|entry| entry["resource"].clone()).collect();
    let times = |events: &[Value]| -> Vec<String> {
        events.iter().map(|event| event["recorded"].as_str().unwrap().to_owned()).collect()
    };
    let (mut wanted, mut there) = (times(&events), times(&stored));
    assert_eq!(there[3..], [wanted[1].clone(), wanted[0].clone()]);
    wanted.sort();
    there.sort();
    assert_eq!(there, wanted);
    let paged: Vec<Value> = match seen["pages"].as_array() {
        Some(pages) => {
            assert!(pages.iter().all(|page| page.as_array().unwrap().len() <= 2));
            assert!(pages.len() >= 3, "{} pages", pages.len());
            pages.iter().flat_map(|page| page.as_array().unwrap().clone()).collect()
        }
        None => seen["found"].as_array().unwrap().clone(),
    };
    assert_eq!(paged, stored, "what the client read is what stands there");
    world.stop();
    Some(seen)
}

/// The same to an organisation's own gateway, which takes events and answers no searches: what it
/// signed stands in the log.
async fn works_at_a_gateway(client: Stranger, name: &str) -> Option<Value> {
    let world = World::start().await;
    let gateway = Gateway::start(&world, name).await;
    let events = about_p1(name);
    let mut broken = events[0].clone();
    broken.as_object_mut().unwrap().remove("recorded");
    broken.as_object_mut().unwrap().remove("id");
    let base = gateway.url("/fhir");
    let task = json!({
        "base": base, "key": "none", "events": events, "broken": broken, "searches": false,
    });
    let seen = client.run(task).await?;
    assert_eq!(seen["statement"]["resourceType"], "CapabilityStatement", "{seen:#}");
    let batched = seen["batched"].as_array().unwrap();
    assert_eq!(batched.len(), 3);
    for response in batched {
        assert!(response["status"].as_str().unwrap().starts_with("201"), "{response}");
    }
    gateway.wait_until_sent().await;
    let found = world.search(&gateway.session, "patient=Patient%2Fp1").await;
    let times = |events: Vec<&Value>| {
        let times = events.into_iter().map(|event| event["recorded"].as_str().unwrap().to_owned());
        let mut times: Vec<_> = times.collect();
        times.sort();
        times
    };
    let there = found.iter().map(|entry| &entry["resource"]).collect();
    assert_eq!(times(there), times(events.iter().collect()));
    gateway.stop();
    world.stop();
    Some(seen)
}

/// Where each of the two created events stands, as the client was told.
fn assert_places(seen: &Value) {
    let places = seen["created"].as_array().unwrap().iter();
    let places: Vec<_> = places.map(|place| index_of(place.as_str().unwrap())).collect();
    assert_eq!(places.len(), 2);
    assert_eq!(places[1], places[0] + 1);
}

fn assert_names_recorded(outcome: &Value) {
    assert_eq!(outcome["resourceType"], "OperationOutcome", "{outcome}");
    let issue = &outcome["issue"][0];
    assert_eq!(issue["severity"], "error");
    assert!(issue.to_string().contains("AuditEvent.recorded"), "{outcome}");
}

#[tokio::test(flavor = "multi_thread")]
async fn fhir_kit_client_works_unchanged() {
    let client = Stranger::Node("fhir-kit-client.mjs");
    let Some(seen) = works(client, "fhir-kit-client").await else { return };
    assert_places(&seen);
    assert_eq!(seen["smart"], true);
    assert_eq!(seen["refusal"]["status"], 422, "{seen:#}");
    assert_names_recorded(&seen["refusal"]["outcome"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn fhirclient_works_unchanged() {
    let Some(seen) = works(Stranger::Node("fhirclient.mjs"), "fhirclient").await else { return };
    assert_places(&seen);
    assert_eq!(seen["refusal"]["status"], 422, "{seen:#}");
    let message = seen["refusal"]["message"].as_str().unwrap();
    assert!(message.contains("recorded"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn fhirpy_works_unchanged() {
    let Some(seen) = works(Stranger::Python("fhirpy_client.py"), "fhirpy").await else { return };
    let created = seen["created"].as_array().unwrap();
    assert_eq!(created[1]["recorded"], "2026-11-21T09:02:30.120+02:00");
    assert_names_recorded(&seen["refusal"]["outcome"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn fhir_kit_client_works_unchanged_at_a_gateway() {
    let client = Stranger::Node("fhir-kit-client.mjs");
    let Some(seen) = works_at_a_gateway(client, "fhir-kit-client").await else { return };
    assert_eq!(seen["refusal"]["status"], 422, "{seen:#}");
    assert_names_recorded(&seen["refusal"]["outcome"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn fhirclient_works_unchanged_at_a_gateway() {
    let client = Stranger::Node("fhirclient.mjs");
    let Some(seen) = works_at_a_gateway(client, "fhirclient").await else { return };
    assert_eq!(seen["refusal"]["status"], 422, "{seen:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn fhirpy_works_unchanged_at_a_gateway() {
    let client = Stranger::Python("fhirpy_client.py");
    let Some(seen) = works_at_a_gateway(client, "fhirpy").await else { return };
    assert_names_recorded(&seen["refusal"]["outcome"]);
}
