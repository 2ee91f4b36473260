//! `/fhir/Provenance`: in by API key, and out to whom it is about and whoever reported it.

use crate::people::{Person, World};
use crate::support::{Answer, Log};
use alloy_primitives::keccak256;
use medtrail_ledger::schema::Report;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

fn provenance(activity: &str, target: &str) -> Value {
    json!({
        "resourceType": "Provenance",
        "target": [
            { "reference": target },
            { "type": "Patient", "identifier": { "system": "urn:ee", "value": "38001085718" } },
        ],
        "recorded": "2026-01-05T12:00:00Z",
        "activity": { "coding": [{ "code": activity }] },
        "agent": [{ "who": { "display": "Laboratory" } }],
        "entity": [{ "role": "source", "what": { "reference": "Observation/raw" } }],
    })
}

fn create(log: &Log, key: &str, body: &Value, more: &str) -> RequestBuilder {
    let request = log.http.post(log.url(&format!("/fhir/Provenance{more}"))).bearer_auth(key);
    request.header("content-type", "application/fhir+json").body(format!("{body:#}"))
}

fn entries(bundle: &Value) -> Vec<&Value> {
    bundle["entry"]
        .as_array()
        .map(|all| all.iter().map(|one| &one["resource"]).collect())
        .unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provenance_is_taken_kept_byte_for_byte_and_found_by_its_target() {
    let log = Log::start().await;
    let world = World::new(&log).await;
    let size = log.service.head().size;
    let extracted = provenance("extract", "Observation/o9");
    let answer = Answer::of(create(&log, &world.api_key, &extracted, "")).await;
    assert_eq!(answer.status.as_u16(), 201, "{}", String::from_utf8_lossy(&answer.body));
    assert_eq!(answer.body, format!("{extracted:#}").as_bytes());
    let location = answer.header("location").unwrap().to_owned();
    let index: u64 = location.strip_prefix("/fhir/Provenance/").unwrap().parse().unwrap();
    assert_eq!(index, size);
    let entry = log.service.entry(index).unwrap();
    assert_eq!((entry.report.kind, entry.report.action), (2, b'C'));
    let again = Answer::of(create(&log, &world.api_key, &extracted, "")).await;
    assert_eq!(again.header("location"), Some(location.as_str()));
    assert_eq!(log.service.head().size, size + 1);

    let other = provenance("disclose", "Observation/o10");
    Answer::of(create(&log, &world.api_key, &other, "")).await;
    let find = async |query: &str, token: &str| {
        let path = format!("/fhir/Provenance?{query}");
        Answer::of(log.get(&path).bearer_auth(token)).await.json()
    };
    let patient = "patient.identifier=urn:ee|38001085718";
    let all = find(patient, &world.api_key).await;
    assert_eq!(entries(&all).len(), 2, "{all:#}");
    let one = find(&format!("{patient}&target=Observation/o9"), &world.api_key).await;
    assert_eq!(entries(&one), [&extracted]);
    let by_id = find(&format!("{patient}&target={}", entry.report.record), &world.api_key).await;
    assert_eq!(entries(&by_id), [&extracted]);
    let none = find(&format!("{patient}&target=Observation/o11"), &world.api_key).await;
    assert!(entries(&none).is_empty());
    // Page by page, and with what was asked for in the link.
    let first = find(&format!("{patient}&target=Observation/o9&_count=1"), &world.api_key).await;
    assert!(
        first["link"][0]["url"].as_str().unwrap().contains("target=Observation/o9"),
        "{first:#}"
    );

    // Nobody else's, and it is no AuditEvent.
    let read = Answer::of(log.get(&location).bearer_auth(&world.api_key)).await;
    assert_eq!(read.body, format!("{extracted:#}").as_bytes());
    let stranger = Answer::of(log.get(&location).bearer_auth(&world.harbour_token)).await;
    assert_eq!(stranger.status.as_u16(), 404);
    let event =
        Answer::of(log.get(&format!("/fhir/AuditEvent/{index}")).bearer_auth(&world.api_key));
    assert_eq!(event.await.status.as_u16(), 404);
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_a_rule_is_told_and_nothing_is_written() {
    let log = Log::start().await;
    let world = World::new(&log).await;
    let size = log.service.head().size;
    let refused = async |value: &Value, at: &str| {
        let answer = Answer::of(create(&log, &world.api_key, value, "")).await;
        assert_eq!(answer.status.as_u16(), 422, "{}", String::from_utf8_lossy(&answer.body));
        assert_eq!(answer.json()["issue"][0]["expression"], json!([at]));
    };
    refused(&provenance("READ", "Observation/o9"), "Provenance.activity").await;
    let mut two = provenance("amend", "Observation/o9");
    two["target"].as_array_mut().unwrap().push(json!({ "reference": "Observation/o10" }));
    refused(&two, "Provenance.target").await;
    refused(&json!({ "resourceType": "AuditEvent" }), "Provenance.resourceType").await;
    assert_eq!(log.service.head().size, size);
    // Asked what its person would read, the log says it and keeps nothing.
    let checked =
        create(&log, &world.api_key, &provenance("amend", "Observation/o9"), "?check=true");
    let checked = Answer::of(checked).await.json();
    assert!(checked["sentence"].as_str().unwrap().contains("Laboratory"), "{checked:#}");
    assert_eq!(log.service.head().size, size);
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_hand_over_in_another_form_one_is_made_that_says_so() {
    let log = Log::start().await;
    let anna = Person::new(0xa1);
    let details = json!({ "resourceType": "AuditEvent", "id": "e1" }).to_string();
    let report = Report {
        kind: 3,
        subject: anna.address.into_word(),
        record: keccak256("scan"),
        ..log.fields(0, 1, &details)
    };
    let receipt = log.report(&log.sign(report, details)).await.receipt();
    // A look has no Provenance.
    log.report(&log.about(anna.address, 2)).await.receipt();
    let token = anna.sign_in(&log).await;
    let path = format!("/fhir/Provenance?patient=me&target={}", keccak256("scan"));
    let found = Answer::of(log.get(&path).bearer_auth(&token)).await.json();
    let all = entries(&found);
    assert_eq!(all.len(), 1, "{found:#}");
    let made = all[0];
    assert_eq!(made["activity"]["coding"][0]["code"], "disclose");
    assert_eq!(made["recorded"], "2026-01-05T09:30:00.120Z");
    let source = made["meta"]["source"].as_str().unwrap();
    assert!(source.ends_with(&format!("/v1/entries/{}", receipt.index)), "{source}");
    assert_eq!(made["target"][0]["identifier"]["value"], json!(keccak256("scan")));
    // It is one by this log's own rules.
    let text = made.to_string();
    medtrail_fhir::provenance::read(text.as_bytes()).unwrap();
    log.end().await;
}
