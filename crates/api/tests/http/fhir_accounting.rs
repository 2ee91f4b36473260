//! `/fhir/Patient/{id}/$accounting`: the accounting of disclosures as AuditEvents.

use crate::people::{Person, World};
use crate::support::{Answer, CHAIN, CONSENTS, Log, REGISTRY};
use alloy_primitives::{B256, keccak256};
use medtrail_ledger::schema::Report;
use medtrail_permit::documents::{Delegation, Document, Registries};
use medtrail_permit::statements::{Language, worded};
use reqwest::Method;
use serde_json::{Value, json};

fn path(person: &Person, query: &str) -> String {
    format!("/fhir/Patient/{}/$accounting{query}", person.address)
}

async fn get(log: &Log, token: &str, path: &str) -> Answer {
    Answer::of(log.get(path).bearer_auth(token)).await
}

/// Lines of one's own that tell of an accounting: their forms, the newest first.
async fn taken(log: &Log, world: &World) -> Vec<(String, Option<String>)> {
    let path = format!("/v1/subjects/{}/trail?kind=access&limit=1000", world.anna.address);
    let page = get(log, &world.anna_token, &path).await.json();
    let lines = page["lines"].as_array().unwrap().iter();
    let details = lines.filter_map(|line| line["details"]["text"].as_str());
    let details = details.filter_map(|text| serde_json::from_str::<Value>(text).ok());
    let word = |value: &Value| value.as_str().map(str::to_owned);
    details
        .filter(|one| one["version"] == "medtrail/accounting-v1")
        .map(|one| (word(&one["form"]).unwrap(), word(&one["reader"])))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_has_the_rows_of_the_table_as_audit_events_and_leaves_a_line() {
    let log = Log::start().await;
    let world = World::new(&log).await;
    let empty = get(&log, &world.anna_token, &path(&world.anna, "")).await;
    assert_eq!(empty.json(), json!({ "resourceType": "Bundle", "type": "searchset" }));
    for event in 1..4 {
        log.report(&log.about(world.anna.address, event)).await.receipt();
    }
    let details = json!({
        "resourceType": "AuditEvent",
        "purposeOfEvent": [{ "coding": [{ "code": "TREAT" }] }],
        "agent": [{ "name": "Dr Saar", "requestor": true }],
        "entity": [{ "what": { "reference": "Observation/o9" } }],
    });
    let details = details.to_string();
    let report = Report {
        kind: 3,
        subject: world.anna.address.into_word(),
        record: keccak256("scan"),
        ..log.fields(0, 9, &details)
    };
    log.report(&log.sign(report, details)).await.receipt();
    log.report(&log.about(Person::new(0x77).address, 8)).await.receipt();

    let query = "?start=1970&end=2200";
    let answer = get(&log, &world.anna_token, &path(&world.anna, query)).await;
    assert_eq!(answer.header("content-type"), Some("application/fhir+json; charset=utf-8"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let bundle = answer.json();
    let table =
        format!("/v1/subjects/{}/accounting?from=0&until=9999999999999", world.anna.address);
    let table = get(&log, &world.anna_token, &table).await.json();
    let rows = table["disclosures"].as_array().unwrap();
    let entries = bundle["entry"].as_array().unwrap();
    assert_eq!((rows.len(), entries.len()), (4, 4), "{bundle:#}");
    for (row, entry) in rows.iter().zip(entries) {
        let event = &entry["resource"];
        // One by this log's own rules.
        let read = medtrail_fhir::event::read(event.to_string().as_bytes()).unwrap();
        assert_eq!(json!(read.recorded_ms), row["timeMs"]);
        assert_eq!(event["id"], row["index"].to_string());
        let line = format!("/v1/entries/{}", row["index"]);
        assert!(entry["fullUrl"].as_str().unwrap().ends_with(&line), "{entry:#}");
        assert_eq!(entry["fullUrl"], event["meta"]["source"]);
        assert_eq!(event["source"]["observer"]["display"], row["organisation"]);
        assert_eq!(event["extension"][0]["valueBoolean"], row["isSigned"]);
        assert_eq!(event["extension"][1]["valueString"], row["commitment"]);
        assert_eq!(event["entity"][0]["what"]["identifier"]["value"], table["subject"]);
        assert_eq!(get(&log, &world.anna_token, &line).await.status, 200);
    }
    let passed_on = entries.iter().find(|one| one["resource"]["type"]["code"] == "110106").unwrap();
    assert_eq!(passed_on["resource"]["purposeOfEvent"][0]["coding"][0]["code"], "TREAT");
    assert_eq!(passed_on["resource"]["agent"][0]["name"], "Dr Saar");

    // Parameters in a body, or me, give the same.
    let body = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "start", "valueDate": "1970-01-01" },
        { "name": "end", "valueDateTime": "2200-01-01T00:00:00Z" },
    ] });
    let me = "/fhir/Patient/me/$accounting";
    let posted = log.send(Method::POST, me, &body).bearer_auth(&world.anna_token);
    assert_eq!(Answer::of(posted).await.json(), bundle);
    let bare = log.http.post(log.url(me)).bearer_auth(&world.anna_token);
    assert_eq!(Answer::of(bare).await.json(), bundle, "six years are enough here");
    let forms: Vec<_> = taken(&log, &world).await.into_iter().map(|(form, _)| form).collect();
    assert_eq!(forms, ["fhir", "fhir", "json", "fhir", "fhir"]);
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_and_who_may_not_see_leave_no_line() {
    let log = Log::start().await;
    let world = World::new(&log).await;
    log.report(&log.about(world.anna.address, 1)).await.receipt();
    let size = log.service.head().size;
    for wrong in
        ["?start=soon", "?start=2026&end=2025", "?start=2200", "?_count=5", "?end=2026&end=2027"]
    {
        let answer = get(&log, &world.anna_token, &path(&world.anna, wrong)).await;
        assert_eq!(answer.status, 400, "{wrong}: {answer:?}");
        assert_eq!(answer.json()["resourceType"], "OperationOutcome");
    }
    let posted = |body: &Value| {
        let request = log.send(Method::POST, &path(&world.anna, ""), body);
        Answer::of(request.bearer_auth(&world.anna_token))
    };
    let strange = json!({ "resourceType": "Parameters", "parameter": [{ "name": "patient" }] });
    assert_eq!(posted(&strange).await.status, 400);
    assert_eq!(posted(&json!({ "resourceType": "Bundle" })).await.status, 422);
    let form = log.http.post(log.url(&path(&world.anna, ""))).bearer_auth(&world.anna_token);
    let form = form.header("content-type", "application/x-www-form-urlencoded").body("start=2026");
    assert_eq!(Answer::of(form).await.status, 415);

    let nobody = Person::new(0x77);
    for token in [
        &world.other_token,
        &world.clinic_token,
        &world.operator_token,
        &world.api_key,
        &world.harbour_token,
    ] {
        // A stranger's parameters are not even looked at.
        for query in ["", "?start=soon"] {
            let hers = get(&log, token, &path(&world.anna, query)).await;
            let absent = get(&log, token, &path(&nobody, query)).await;
            assert_eq!((hers.status.as_u16(), absent.status.as_u16()), (404, 404));
            assert_eq!(hers.body, absent.body);
        }
    }
    assert_eq!(get(&log, &world.api_key, "/fhir/Patient/me/$accounting").await.status, 404);
    assert_eq!(Answer::of(log.get("/fhir/Patient/me/$accounting")).await.status, 401);
    assert_eq!(get(&log, &world.anna_token, "/fhir/Patient/p1/$accounting").await.status, 404);
    assert_eq!(log.service.head().size, size);
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delegate_takes_it_with_see_alone_and_stands_in_the_line() {
    let log = Log::start().await;
    let world = World::new(&log).await;
    let registries =
        Registries { chain_id: CHAIN, consent_registry: CONSENTS, anchor_registry: REGISTRY };
    let (sees, permits) = (Person::new(0xb3), Person::new(0xb4));
    for (to, rights) in [(&sees, "SEE"), (&permits, "PERMIT")] {
        let document = Document::Delegation(Delegation {
            statement: String::new(),
            subject: world.anna.address,
            delegate: to.address,
            rights: rights.into(),
            epoch: 0,
            expiresAt: 4_000_000_000,
            salt: B256::repeat_byte(3),
        });
        let document = worded(document, Language::En).unwrap();
        let signature = world.anna.sign_digest(document.id(&registries).0);
        let body = json!({
            "version": "medtrail/permission-v1", "document": document, "signature": signature,
        });
        let answer = Answer::of(log.send(Method::POST, "/v1/permissions", &body)).await;
        assert_eq!(answer.status, 201, "{answer:?}");
    }
    log.report(&log.about(world.anna.address, 1)).await.receipt();
    let (hers, his) = (sees.sign_in(&log).await, permits.sign_in(&log).await);
    assert_eq!(get(&log, &his, &path(&world.anna, "")).await.status, 404);
    assert_eq!(taken(&log, &world).await, []);
    let bundle = get(&log, &hers, &path(&world.anna, "?start=1970&end=2200")).await.json();
    // What they looked at is in it, as it is in the table.
    assert!(!bundle["entry"].as_array().unwrap().is_empty(), "{bundle:#}");
    let reader = Some(format!("{:#x}", sees.address));
    assert_eq!(taken(&log, &world).await, [("fhir".to_owned(), reader)]);
    log.end().await;
}
