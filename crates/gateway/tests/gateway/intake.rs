//! What the custodian's software is answered: bad input by its element's path, and nothing of it
//! is kept.

use crate::support::{Deed, READ, ROOM, Site, site};
use medtrail_ledger::custodian::Spool;
use serde_json::{Value, json};

fn read() -> Value {
    serde_json::from_str(READ).unwrap()
}

/// The paths of the outcome, and that nothing waits.
fn refused(site: &Site, (status, outcome): (u16, Value)) -> Vec<String> {
    assert_eq!((status, &outcome["resourceType"]), (422, &json!("OperationOutcome")), "{outcome}");
    let usage = site.spool.usage().unwrap();
    assert_eq!((usage.unsigned, usage.waiting, usage.sequence), (0, 0, 0));
    let issues = outcome["issue"].as_array().unwrap().iter();
    issues.map(|issue| issue["expression"][0].as_str().unwrap().to_owned()).collect()
}

#[actix_web::test]
async fn an_event_that_breaks_r4_is_refused_by_its_element_s_path_and_not_kept() {
    let site = site(|_| Deed::Takes, ROOM).await;
    let mut unknown = read();
    unknown["agent"][0]["colour"] = json!("green");
    let answer = site.post(&unknown).await;
    assert_eq!(refused(&site, answer), ["AuditEvent.agent[0].colour"]);
    let mut timeless = read();
    timeless.as_object_mut().unwrap().remove("recorded");
    let answer = site.post(&timeless).await;
    assert_eq!(refused(&site, answer), ["AuditEvent.recorded"]);
    let mut acts = read();
    acts["action"] = json!("Z");
    let answer = site.post(&acts).await;
    assert_eq!(refused(&site, answer), ["AuditEvent.action"]);
    // All that is wrong is told at once.
    acts["agent"][0]["colour"] = json!("green");
    let answer = site.post(&acts).await;
    assert_eq!(refused(&site, answer).len(), 2);
    site.stop().await;
}

#[actix_web::test]
async fn an_event_ahead_of_the_gateway_s_clock_is_refused_and_not_kept() {
    let site = site(|_| Deed::Takes, ROOM).await;
    // Years ahead, since the clock of these tests runs.
    let mut event = read();
    event["recorded"] = json!("2036-01-01T00:00:00Z");
    let answer = site.post(&event).await;
    assert_eq!(refused(&site, answer), ["AuditEvent.recorded"]);
    let bundle = json!({
        "resourceType": "Bundle", "type": "batch",
        "entry": [
            { "resource": event, "request": { "method": "POST", "url": "AuditEvent" } },
            { "resource": read(), "request": { "method": "POST", "url": "AuditEvent" } },
        ],
    });
    let sent = reqwest::Client::new().post(site.url("/fhir")).json(&bundle);
    let answers: Value = sent.send().await.unwrap().json().await.unwrap();
    let status = |item: usize| answers["entry"][item]["response"]["status"].as_str().unwrap();
    assert!(status(0).starts_with("422") && status(1).starts_with("201"), "{answers}");
    site.stop().await;
}

#[actix_web::test]
async fn an_event_makes_a_report_for_each_patient_and_one_without_a_patient() {
    let site = site(|_| Deed::Takes, ROOM).await;
    let mut reports = 0;
    for (event, more) in [
        (include_str!("../../../../tests/data/fhir/without-patient.json"), 1),
        (include_str!("../../../../tests/data/fhir/two-patients.json"), 2),
    ] {
        let (status, answer) = site.post(&serde_json::from_str(event).unwrap()).await;
        assert_eq!(status, 201, "{answer}");
        reports += more;
        site.settled().await;
        // Coverage is about nobody either, but of another kind.
        let came = site.came();
        let events: Vec<_> = came.iter().filter(|(report, _)| report.kind != 14).collect();
        assert_eq!(events.len() as u64, reports);
        let without = events.iter().filter(|(report, _)| report.subject.is_zero());
        assert_eq!(without.count(), 1);
    }
    site.stop().await;
}

#[actix_web::test]
async fn a_provenance_is_signed_and_forwarded_as_the_change_that_it_tells_of() {
    let site = site(|_| Deed::Takes, ROOM).await;
    let provenance = json!({
        "resourceType": "Provenance", "id": "p1", "recorded": read()["recorded"],
        "target": [{ "reference": "Observation/o9" }, { "reference": "Patient/p1" }],
        "activity": { "coding": [{ "code": "amend" }] },
        "agent": [{ "who": { "display": "Fjord" } }],
    });
    let post = async |path: &str, body: &Value| {
        let sent = reqwest::Client::new().post(site.url(path)).json(body).send().await.unwrap();
        let location = sent.headers().get("location").map(|at| at.to_str().unwrap().to_owned());
        (sent.status().as_u16(), location)
    };
    // Each at its own address.
    assert_eq!(post("/fhir/AuditEvent", &provenance).await.0, 422);
    assert_eq!(post("/fhir/Provenance", &read()).await.0, 422);
    let mut look = provenance.clone();
    look["activity"]["coding"][0]["code"] = "READ".into();
    assert_eq!(post("/fhir/Provenance", &look).await.0, 422);
    assert_eq!(site.spool.usage().unwrap().unsigned, 0);
    let (status, location) = post("/fhir/Provenance", &provenance).await;
    assert_eq!(status, 201);
    assert!(location.unwrap().starts_with("/fhir/Provenance/"));
    site.settled().await;
    let is_change = |report: &medtrail_ledger::schema::Report| {
        (report.kind, report.action) == (medtrail_ledger::entry::Kind::Change.number(), b'U')
    };
    let came = site.came();
    assert_eq!(came.iter().filter(|(report, _)| is_change(report)).count(), 1);
    site.stop().await;
}
