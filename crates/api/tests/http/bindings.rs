//! `/v1/bindings`: a pseudonym joins a person, who then sees what was reported under it.

use crate::people::{Person, World};
use crate::support::{Answer, CHAIN, Log, REGISTRY, Sent, now_ms};
use alloy_primitives::B256;
use medtrail_fhir::report::{Part, Reporter, reports};
use medtrail_ledger::directory::code_hash;
use medtrail_ledger::entry::pseudonym;
use medtrail_ledger::schema::{Binding, Report, digest, domain};
use reqwest::Method;
use serde_json::{Value, json};

const CODE: &str = "ABCD-EFGH-2345";

/// The clinic's pseudonym of one patient.
fn subject(log: &Log) -> B256 {
    let key = log.service.key_of(log.custodian.address()).unwrap();
    pseudonym(&key, b"Patient/p1")
}

fn under(log: &Log, subject: B256, event: u64) -> Sent {
    let details = r#"{"resourceType":"AuditEvent"}"#.to_owned();
    let report = Report { subject, ..log.fields(0, event, &details) };
    log.sign(report, details)
}

async fn post(log: &Log, token: &str, path: &str, body: Value) -> Answer {
    Answer::of(log.send(Method::POST, path, &body).bearer_auth(token)).await
}

/// What a wallet signs of typed data, from its message.
fn document(message: &Value) -> Binding {
    let text = |name: &str| message[name].as_str().unwrap();
    Binding {
        statement: text("statement").to_owned(),
        subject: text("subject").parse().unwrap(),
        custodian: text("custodian").parse().unwrap(),
        pseudonym: text("pseudonym").parse().unwrap(),
        expiresAt: text("expiresAt").parse().unwrap(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sign_and_the_person_sees_what_was_reported_under_the_pseudonym() {
    let log = Log::start().await;
    let world = World::new(&log).await;
    let pseudonym = subject(&log);
    let old = log.report(&under(&log, pseudonym, 1)).await.receipt();
    let issue = json!({
        "pseudonym": pseudonym, "codeHash": code_hash(CODE), "expiresMs": now_ms() + 3_600_000,
    });
    let issued = post(&log, &world.clinic_token, "/v1/bindings/codes", issue.clone()).await;
    assert_eq!(issued.status, 204, "{issued:?}");
    assert_eq!(post(&log, &world.clinic_token, "/v1/bindings/codes", issue).await.status, 204);

    let claimed = post(&log, &world.anna_token, "/v1/bindings", json!({ "code": "abcd efgh2345" }));
    let claimed = claimed.await;
    assert_eq!(claimed.status, 200, "{claimed:?}");
    let claimed = claimed.json();
    assert_eq!(claimed["organisation"]["name"], "Clinic");
    let typed = &claimed["typedData"];
    assert_eq!(
        (&typed["primaryType"], &typed["domain"]["chainId"]),
        (&json!("Binding"), &json!(CHAIN))
    );
    let document = document(&typed["message"]);
    assert_eq!((document.subject, document.pseudonym), (world.anna.address, pseudonym));
    let digest = digest(&document, &domain(CHAIN, REGISTRY)).0;
    let id = claimed["id"].as_str().unwrap();

    // The code is hers now.
    let stolen = post(&log, &world.other_token, "/v1/bindings", json!({ "code": CODE })).await;
    stolen.problem(409, "code-used");
    let path = format!("/v1/bindings/{id}/signature");
    let forged = json!({ "signature": Person::new(0xb2).sign_digest(digest) });
    post(&log, &world.anna_token, &path, forged).await.problem(422, "signature-refused");
    let signed = json!({ "signature": world.anna.sign_digest(digest) });
    post(&log, &world.other_token, &path, signed.clone()).await.problem(404, "no-such-binding");
    assert_eq!(post(&log, &world.anna_token, &path, signed.clone()).await.status, 204);

    let list =
        async |token: &str| Answer::of(log.get("/v1/bindings").bearer_auth(token)).await.json();
    assert_eq!(list(&world.anna_token).await["own"][0]["state"], "to-countersign");
    assert_eq!(list(&world.other_token).await, json!({ "own": [], "pending": [] }));
    assert_eq!(list(&world.harbour_token).await["pending"], json!([]));
    let pending = list(&world.clinic_token).await["pending"][0].clone();
    assert_eq!((&pending["id"], &pending["signature"]), (&json!(id), &signed["signature"]));
    assert_eq!(
        (&pending["codeHash"], &pending["pseudonym"]),
        (&json!(code_hash(CODE)), &json!(pseudonym))
    );
    assert_eq!(pending["document"], typed["message"]);

    // A feed that is open learns of the new part.
    let path = format!("/v1/bindings/{id}/countersignature");
    let clinic = json!({ "signature": Person::new(2).sign_digest(digest) });
    let foreign = post(&log, &world.harbour_token, &path, clinic.clone()).await;
    foreign.problem(404, "no-such-binding");
    let entered = post(&log, &world.clinic_token, &path, clinic.clone()).await;
    assert_eq!(entered.status, 200, "{entered:?}");
    let entries = entered.json()["entries"].clone();
    let again = post(&log, &world.clinic_token, &path, clinic).await;
    assert_eq!(again.json()["entries"], entries, "nothing happens twice");
    let own = list(&world.anna_token).await["own"][0].clone();
    assert_eq!((&own["state"], &own["entries"]), (&json!("entered"), &entries));

    let trail = format!("/v1/subjects/{}/trail", world.anna.address);
    let page = Answer::of(log.get(&trail).bearer_auth(&world.anna_token)).await.json();
    let indexes: Vec<_> =
        page["lines"].as_array().unwrap().iter().map(|line| line["index"].as_u64()).collect();
    assert!(indexes.contains(&Some(old.index)), "{indexes:?}");
    let parts = page["parts"].as_array().unwrap();
    assert_eq!(parts.len(), 2);
    let bound = parts.iter().find(|part| part["subject"] == json!(pseudonym)).unwrap();
    assert_eq!(
        (&bound["lines"], &bound["organisation"]),
        (&json!(2), &json!(log.custodian.address()))
    );
    let line =
        Answer::of(log.get(&format!("/v1/entries/{}", old.index)).bearer_auth(&world.anna_token));
    assert!(line.await.json()["place"]["open"].is_object());

    // The organisation's gateways see by what; nobody else does.
    let of = |whose: B256, token: &str| {
        Answer::of(log.get(&format!("/v1/bindings/of/{whose}")).bearer_auth(token))
    };
    let bound = of(pseudonym, &world.clinic_token).await.json();
    let details: medtrail_ledger::binding::BindingDetails =
        serde_json::from_value(bound["details"].clone()).unwrap();
    details.verify(&domain(CHAIN, REGISTRY), bound["timeMs"].as_u64().unwrap() / 1000).unwrap();
    assert_eq!(details.document, document);
    let other = B256::repeat_byte(9);
    for (whose, token) in [
        (pseudonym, &world.harbour_token),
        (other, &world.clinic_token),
        (world.anna.address.into_word(), &world.clinic_token),
    ] {
        of(whose, token).await.problem(404, "no-such-binding");
    }
    of(pseudonym, &world.anna_token).await.problem(403, "not-organisation");
    of(pseudonym, &world.api_key).await.problem(403, "no-signing-key");

    // Reports about the pseudonym are told where to go.
    let size = log.service.head().size;
    let moved = log.report(&under(&log, pseudonym, 2)).await;
    let problem = moved.problem(409, "subject-moved");
    assert_eq!(problem["subject"], json!(world.anna.address.into_word()));
    // An organisation that has only seen the pseudonym is not told whose it is, alone or in a batch.
    let seen = log.by_other(0x44, &under(&log, pseudonym, 3));
    let told = log.report(&seen).await;
    assert_eq!(told.problem(409, "subject-moved").get("subject"), None);
    let lines = format!("{}\n{}\n", seen.body(), under(&log, pseudonym, 2).body());
    let many = Answer::of(log.post("application/x-ndjson", lines)).await;
    let outcomes = String::from_utf8_lossy(&many.body).into_owned();
    let (others, own) = outcomes.split_once('\n').unwrap();
    let address = format!("{:x}", world.anna.address);
    for answer in [String::from_utf8_lossy(&told.body).into_owned(), others.to_owned()] {
        assert!(answer.contains("subject-moved"), "{answer}");
        assert!(!answer.to_lowercase().contains(&address), "{answer}");
    }
    assert!(own.to_lowercase().contains(&address), "{own}");
    assert_eq!(log.service.head().size, size);
    log.report(&under(&log, world.anna.address.into_word(), 2)).await.receipt();
    log.end().await;
}

/// Binds the clinic's pseudonym to Anna.
async fn bind(log: &Log, world: &World, pseudonym: B256, code: &str) {
    let issue = json!({
        "pseudonym": pseudonym, "codeHash": code_hash(code), "expiresMs": now_ms() + 3_600_000,
    });
    assert_eq!(post(log, &world.clinic_token, "/v1/bindings/codes", issue).await.status, 204);
    let claimed =
        post(log, &world.anna_token, "/v1/bindings", json!({ "code": code })).await.json();
    let document = document(&claimed["typedData"]["message"]);
    let digest = digest(&document, &domain(CHAIN, REGISTRY)).0;
    let id = claimed["id"].as_str().unwrap();
    let signed = json!({ "signature": world.anna.sign_digest(digest) });
    let path = format!("/v1/bindings/{id}/signature");
    assert_eq!(post(log, &world.anna_token, &path, signed).await.status, 204);
    let signed = json!({ "signature": Person::new(2).sign_digest(digest) });
    let path = format!("/v1/bindings/{id}/countersignature");
    assert_eq!(post(log, &world.clinic_token, &path, signed).await.status, 200);
}

/// The story: the clinic knows Anna by two numbers, and one event names both.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_about_two_pseudonyms_of_one_person_is_two_lines_however_often_it_is_sent() {
    const TWO: &str = include_str!("../../../../tests/data/fhir/two-patients.json");
    let log = Log::start().await;
    let world = World::new(&log).await;
    let clinic = log.custodian.address();
    let key = log.api_key(&world.operator_token, &clinic.to_string()).await;
    let key = key["key"].as_str().unwrap();
    let shared = log.service.key_of(clinic).unwrap();
    let named = |id: &str| {
        let mut event: Value = serde_json::from_str(TWO).unwrap();
        event["id"] = json!(id);
        event.to_string()
    };
    // By API key, and as a gateway signs it: for the pseudonyms, and anew where they moved.
    let relay = async |id: &str| {
        let create = log.http.post(log.url("/fhir/AuditEvent")).bearer_auth(key);
        let create = create.header("content-type", "application/fhir+json").body(named(id));
        let created = Answer::of(create).await;
        assert_eq!(created.status, 201, "{id}: {created:?}");
    };
    let sign = async |id: &str| {
        let text = named(id);
        let event = medtrail_fhir::event::read(text.as_bytes()).unwrap();
        let by = Reporter {
            log: log.keys.log,
            organisation: clinic,
            actor: clinic,
            key: &shared,
            relayed_for: None,
        };
        for Part { mut report, details, .. } in reports(&event, text.as_bytes(), &by) {
            let details = String::from_utf8(details).unwrap();
            let sent = log.sign(report.clone(), details.clone());
            let mut answer = log.report(&sent).await;
            if answer.status == 409 {
                answer.problem(409, "subject-moved");
                report.subject = world.anna.address.into_word();
                answer = log.report(&log.sign(report, details)).await;
            }
            answer.receipt();
        }
    };
    let send = async |ids: [&str; 2]| {
        let size = log.service.head().size;
        relay(ids[0]).await;
        sign(ids[1]).await;
        log.service.head().size - size
    };
    assert_eq!(send(["before-relayed", "before-signed"]).await, 4);
    let parts = medtrail_fhir::event::read(TWO.as_bytes()).unwrap().patients;
    let codes = ["ABCD-EFGH-2345", "ABCD-EFGH-6789"];
    for (patient, code) in parts.iter().zip(codes) {
        bind(&log, &world, pseudonym(&shared, patient.identifier.as_bytes()), code).await;
        assert_eq!(send(["before-relayed", "before-signed"]).await, 0, "they stand already");
    }
    assert_eq!(send(["after-relayed", "after-signed"]).await, 4);
    for _ in 0..2 {
        assert_eq!(send(["after-relayed", "after-signed"]).await, 0);
        assert_eq!(send(["before-relayed", "before-signed"]).await, 0);
    }
    let found = Answer::of(log.get("/fhir/AuditEvent").bearer_auth(&world.anna_token)).await.json();
    let lines = found["entry"].as_array().unwrap();
    assert_eq!(lines.len(), 8);
    // Other content under the same id is refused, moved or not.
    let other = named("after-relayed").replacen("ward-3", "ward-4", 1);
    let create = log.http.post(log.url("/fhir/AuditEvent")).bearer_auth(key);
    let create = create.header("content-type", "application/fhir+json").body(other);
    assert_eq!(Answer::of(create).await.status, 409);
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relayed_event_follows_its_person() {
    const READ: &str = include_str!("../../../../tests/data/fhir/patient-read.json");
    let log = Log::start().await;
    let world = World::new(&log).await;
    let operator = &world.operator_token;
    // An organisation that reports both ways: it signs, and one of its systems has an API key.
    let clinic = log.custodian.address();
    let key = log.api_key(operator, &clinic.to_string()).await;
    let key = key["key"].as_str().unwrap();
    let named = medtrail_fhir::event::read(READ.as_bytes()).unwrap().patients[0].identifier.clone();
    let shared = log.service.key_of(clinic).unwrap();
    let pseudonym = pseudonym(&shared, named.as_bytes());
    let create = async |body: &str| {
        let create = log.http.post(log.url("/fhir/AuditEvent")).bearer_auth(key);
        let create = create.header("content-type", "application/fhir+json").body(body.to_owned());
        let created = Answer::of(create).await;
        assert_eq!(created.status, 201, "{created:?}");
        created.header("location").unwrap().to_owned()
    };
    let before = {
        let mut event: Value = serde_json::from_str(READ).unwrap();
        event["id"] = json!("before");
        event.to_string()
    };
    let stood = create(&before).await;
    bind(&log, &world, pseudonym, CODE).await;

    create(READ).await;
    assert_eq!(create(&before).await, stood, "repeated after the binding");
    let found = Answer::of(log.get("/fhir/AuditEvent").bearer_auth(&world.anna_token)).await.json();
    assert_eq!(found["entry"].as_array().unwrap().len(), 2);
    let event: Value = serde_json::from_str(READ).unwrap();
    assert_eq!(found["entry"][0]["resource"], event);

    // Who reported them finds them by its own name for the patient; who did not finds nothing.
    let search = format!("/fhir/AuditEvent?patient={}", named.replace('|', "%7C"));
    for (token, count) in [(key, 2), (&*world.clinic_token, 2), (&*world.harbour_token, 0)] {
        let found = Answer::of(log.get(&search).bearer_auth(token)).await.json();
        let entries = found["entry"].as_array().map_or(0, Vec::len);
        assert_eq!(entries, count, "{found}");
        assert!(found.get("total").is_none_or(|total| total == count), "{found}");
    }
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_that_are_wrong_late_or_not_theirs_bind_nobody() {
    let log = Log::start().await;
    let world = World::new(&log).await;
    let pseudonym = subject(&log);
    log.report(&under(&log, pseudonym, 1)).await.receipt();
    let issue = |token: &str, changes: Value| {
        let mut body = json!({
            "pseudonym": pseudonym, "codeHash": code_hash(CODE), "expiresMs": now_ms() + 60_000,
        });
        body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let request = log.send(Method::POST, "/v1/bindings/codes", &body).bearer_auth(token);
        Answer::of(request)
    };
    let clinic = &world.clinic_token;
    let late = issue(clinic, json!({ "expiresMs": 1 })).await.problem(422, "invalid-field");
    assert_eq!(late["field"], "expiresMs");
    let address = json!({ "pseudonym": world.anna.address.into_word() });
    let address = issue(clinic, address).await.problem(422, "invalid-field");
    assert_eq!(address["field"], "pseudonym");
    issue(&world.harbour_token, json!({})).await.problem(403, "foreign-pseudonym");
    issue(&world.api_key, json!({})).await.problem(403, "no-signing-key");
    assert_eq!(issue(clinic, json!({})).await.status, 204);
    let taken = issue(clinic, json!({ "expiresMs": now_ms() + 120_000 })).await;
    taken.problem(409, "code-taken");
    for _ in 0..10 {
        let wrong = post(&log, &world.other_token, "/v1/bindings", json!({ "code": "XXXX" })).await;
        wrong.problem(404, "no-such-code");
    }
    let stopped = post(&log, &world.other_token, "/v1/bindings", json!({ "code": CODE })).await;
    stopped.problem(429, "too-many-tries");
    log.end().await;
}
