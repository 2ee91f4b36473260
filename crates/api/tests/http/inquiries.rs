//! Questions, corrections and claims over HTTP: what each side sends and reads, and what it is
//! refused.

use crate::people::World;
use crate::support::{Answer, Log, Sent};
use alloy_primitives::{B256, keccak256};
use medtrail_ledger::entry::{details_hash, event_id};
use medtrail_ledger::receipt::Receipt;
use medtrail_ledger::schema::Report;
use reqwest::Method;
use serde_json::{Value, json};

async fn post(log: &Log, token: &str, path: &str, body: &Value) -> Answer {
    Answer::of(log.send(Method::POST, path, body).bearer_auth(token)).await
}

async fn get(log: &Log, token: &str, path: &str) -> Answer {
    Answer::of(log.get(path).bearer_auth(token)).await
}

/// A report that the clinic signs, with these details.
fn said(log: &Log, kind: u8, subject: B256, permission: B256, details: &Value) -> Sent {
    let details = details.to_string();
    let report = Report {
        kind,
        action: 0,
        subject,
        permission,
        record: B256::ZERO,
        eventId: event_id(log.custodian.address(), details.as_bytes()),
        details: details_hash(details.as_bytes()),
        ..log.fields(0, 1, &details)
    };
    log.sign(report, details)
}

fn signed(sent: &Sent) -> Value {
    serde_json::from_str(&sent.body()).unwrap()
}

fn commitment_of(receipt: &Receipt) -> B256 {
    medtrail_ledger::entry::commitment_of(receipt.report_hash, receipt.place_hash)
}

fn id(answer: &Answer) -> B256 {
    answer.json()["id"].as_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_asks_the_clinic_signs_its_answer_and_both_read_it() {
    let log = Log::start().await;
    let world = World::new(&log).await;
    let line = log.report(&log.about(world.anna.address, 1)).await.receipt();
    let body = json!({ "index": line.index, "text": "Why was this read?", "language": "en" });
    let asked = post(&log, &world.anna_token, "/v1/questions", &body).await;
    assert_eq!(asked.status, 201, "{asked:?}");
    let asked_index = asked.json()["index"].as_u64().unwrap();
    assert_eq!(post(&log, &world.anna_token, "/v1/questions", &body).await.status, 200);
    let other = json!({ "index": line.index, "wants": "correction" });
    let refused = post(&log, &world.anna_token, "/v1/questions", &other).await;
    assert_eq!(refused.problem(409, "question-open")["field"], "index");

    let listed = get(&log, &world.clinic_token, "/v1/questions?state=open").await.json();
    assert_eq!(listed["version"], "medtrail/questions-v1");
    let seen = &listed["questions"][0];
    let question = id(&asked);
    assert_eq!(seen["id"], json!(question));
    assert_eq!((&seen["state"], &seen["wants"]), (&json!("open"), &json!("reason")));
    assert_eq!(seen["text"], "Why was this read?");
    assert_eq!(seen["line"]["commitment"], json!(commitment_of(&line)));
    assert_eq!(seen["line"]["report"]["record"], json!(keccak256("a record")));
    assert_eq!(seen["organisation"]["name"], "Clinic");
    assert!(seen["dueMs"].as_u64().unwrap() > seen["askedMs"].as_u64().unwrap());
    // The line that asked is theirs to check, the place hashed.
    let entry = get(&log, &world.clinic_token, &format!("/v1/entries/{asked_index}")).await.json();
    assert!(entry["place"]["hash"].is_string(), "{entry}");
    let hidden = format!("/v1/entries/{asked_index}");
    get(&log, &world.harbour_token, &hidden).await.problem(404, "no-such-entry");

    let subject = world.anna.address.into_word();
    let details = json!({ "version": "medtrail/question-v1", "act": "answered",
        "question": question, "text": "By mistake." });
    let sent = said(&log, 12, subject, question, &details);
    let path = format!("/v1/questions/{question}/answer");
    let plain = post(&log, &world.clinic_token, &path, &json!({ "text": "By mistake." })).await;
    plain.problem(403, "sign-yourself");
    // Another organisation cannot carry what the clinic signed.
    for token in [&world.harbour_token, &world.api_key] {
        let refused = post(&log, token, &path, &signed(&sent)).await;
        assert_eq!(refused.problem(422, "inquiry-mismatch")["field"], "report.actor");
    }
    let foreign = log.by_other(0x44, &sent);
    let refused = post(&log, &world.harbour_token, &path, &signed(&foreign)).await;
    refused.problem(404, "no-such-inquiry");
    let answered = post(&log, &world.clinic_token, &path, &signed(&sent)).await;
    assert_eq!(answered.status, 201, "{answered:?}");
    assert_eq!(post(&log, &world.clinic_token, &path, &signed(&sent)).await.status, 200);
    let again = json!({ "version": "medtrail/question-v1", "act": "answered",
        "question": question, "text": "Or not." });
    let again = said(&log, 12, subject, question, &again);
    post(&log, &world.clinic_token, &path, &signed(&again)).await.problem(409, "already-answered");

    let one = get(&log, &world.anna_token, &format!("/v1/questions/{question}")).await.json();
    assert_eq!((&one["state"], &one["answer"]["signed"]), (&json!("answered"), &json!(true)));
    assert_eq!(one["answer"]["text"], "By mistake.");
    assert_eq!(one["answer"]["index"], answered.json()["index"]);
    for token in [&world.other_token, &world.harbour_token, &world.operator_token, &world.api_key] {
        let hidden = get(&log, token, &format!("/v1/questions/{question}")).await;
        hidden.problem(404, "no-such-inquiry");
        assert_eq!(get(&log, token, "/v1/questions").await.json()["questions"], json!([]));
    }
    let open = get(&log, &world.clinic_token, "/v1/questions?state=open").await.json();
    assert_eq!(open["questions"], json!([]));
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_yours_cannot_be_asked_about_and_is_not_there() {
    let log = Log::start().await;
    let world = World::new(&log).await;
    let line = log.report(&log.about(world.anna.address, 1)).await.receipt();
    let size = log.service.head().size;
    for (index, token) in [(line.index, &world.other_token), (999, &world.anna_token)] {
        let refused = post(&log, token, "/v1/questions", &json!({ "index": index })).await;
        refused.problem(404, "no-such-entry");
    }
    for (body, field) in [
        (json!({ "index": line.index, "text": "" }), "text"),
        (json!({ "index": line.index, "text": "x\u{202e}" }), "text"),
        (json!({ "index": line.index, "text": "x".repeat(2001) }), "text"),
        (json!({ "index": line.index, "language": "english!" }), "language"),
        (json!({ "index": line.index, "wants": "money" }), "wants"),
        (json!({ "index": line.index, "mood": 1 }), "mood"),
        (json!({ "index": "1" }), "index"),
    ] {
        let refused = post(&log, &world.anna_token, "/v1/questions", &body).await;
        assert_eq!(refused.problem(422, "invalid-field")["field"], field, "{body}");
    }
    for query in ["state=closed", "limit=0", "limit=201", "as=operator", "as=organisation", "x=1"] {
        let path = format!("/v1/questions?{query}");
        get(&log, &world.anna_token, &path).await.problem(422, "invalid-query");
    }
    assert_eq!(log.service.head().size, size, "nothing was written");
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organisation_without_a_key_answers_and_corrects_by_its_api_key_and_it_is_told_so() {
    let log = Log::start().await;
    let world = World::new(&log).await;
    let event = json!({
        "resourceType": "AuditEvent",
        "id": "e1",
        "type": { "system": "http://terminology.hl7.org/CodeSystem/audit-event-type", "code": "rest" },
        "action": "R",
        "recorded": "2026-01-05T09:30:00Z",
        "agent": [{ "requestor": true, "who": { "display": "Dr Liis Kask" } }],
        "source": { "observer": { "display": "Laboratory" } },
        "entity": [{ "what": { "reference": "Patient/p1" },
            "role": { "system": "http://terminology.hl7.org/CodeSystem/object-role", "code": "1" } }],
    });
    let request = log.send(Method::POST, "/fhir/AuditEvent", &event).bearer_auth(&world.api_key);
    let taken = Answer::of(request).await;
    assert_eq!(taken.status, 201, "{taken:?}");
    let location = taken.headers["location"].to_str().unwrap().to_owned();
    let index: u64 = location.rsplit('/').next().unwrap().parse().unwrap();

    let body = json!({ "index": index, "reason": "The clock was wrong.",
        "fields": [{ "field": "time", "was": "09:30", "is": "10:30" }] });
    for token in [&world.clinic_token, &world.harbour_token] {
        let refused = post(&log, token, "/v1/corrections", &body).await;
        refused.problem(403, "sign-yourself");
    }
    let corrected = post(&log, &world.api_key, "/v1/corrections", &body).await;
    assert_eq!(corrected.status, 201, "{corrected:?}");
    assert_eq!(post(&log, &world.api_key, "/v1/corrections", &body).await.status, 200);
    let by = corrected.json()["index"].as_u64().unwrap();
    let line = get(&log, &world.api_key, &format!("/v1/entries/{index}")).await.json();
    assert_eq!(line["corrections"], json!([{ "index": by, "wrongPerson": false }]));
    let correction = get(&log, &world.api_key, &format!("/v1/entries/{by}")).await.json();
    assert_eq!(
        (&correction["corrects"], &correction["evidence"]),
        (&json!(index), &json!("relayed"))
    );

    for (body, status, slug, field) in [
        (
            json!({ "index": 0, "reason": "x", "mistake": "didNotHappen" }),
            404,
            "no-such-entry",
            None,
        ),
        (json!({ "index": index, "reason": "x" }), 422, "invalid-field", Some("fields")),
        (json!({ "index": index, "mistake": "wrongPerson" }), 422, "invalid-field", Some("reason")),
        (
            json!({ "index": index, "reason": "x", "mistake": "bad" }),
            422,
            "invalid-field",
            Some("mistake"),
        ),
    ] {
        let refused = post(&log, &world.api_key, "/v1/corrections", &body).await;
        assert_eq!(refused.problem(status, slug)["field"].as_str(), field, "{body}");
    }
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_about_somebody_else_keeps_its_place_and_shows_its_content_no_more() {
    let log = Log::start().await;
    let world = World::new(&log).await;
    let sent = log.about(world.anna.address, 1);
    let line = log.report(&sent).await.receipt();
    log.anchor(1, true);
    let path = format!("/v1/entries/{}", line.index);
    let before = get(&log, &world.anna_token, &path).await.json();
    assert_eq!(before["details"]["text"], json!(sent.details));

    let commitment = commitment_of(&line);
    let details = json!({ "version": "medtrail/correction-v1", "act": "corrected",
        "line": { "index": line.index, "commitment": commitment },
        "reason": "Another patient of the same name.", "mistake": "wrongPerson" });
    let subject = world.anna.address.into_word();
    // Another organisation corrects nothing, however it is sent.
    let foreign = log.by_other(0x44, &said(&log, 13, subject, commitment, &details));
    let refused = post(&log, &world.harbour_token, "/v1/corrections", &signed(&foreign)).await;
    refused.problem(404, "no-such-entry");
    assert_eq!(log.report(&foreign).await.status, 201);
    let still = get(&log, &world.anna_token, &path).await.json();
    assert_eq!((&still["details"], &still["corrections"]), (&before["details"], &Value::Null));

    let correction = said(&log, 13, subject, commitment, &details);
    let corrected = log.report(&correction).await.receipt();
    let mut hers = Value::Null;
    for _ in 0..200 {
        hers = get(&log, &world.anna_token, &path).await.json();
        if !hers["corrections"].is_null() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(hers["corrections"], json!([{ "index": corrected.index, "wrongPerson": true }]));
    assert_eq!((&hers["details"], &hers["place"]), (&Value::Null, &before["place"]));
    let trail = format!("/v1/subjects/{}/trail", world.anna.address);
    let trail = get(&log, &world.anna_token, &trail).await.json();
    let lines = trail["lines"].as_array().unwrap();
    let shown = lines.iter().find(|one| one["index"] == json!(line.index)).unwrap();
    assert_eq!(shown["details"], Value::Null);
    let proof = get(&log, &world.anna_token, &format!("{path}/proof?open=true")).await.json();
    assert_eq!(proof["details"], Value::Null);
    let fhir = get(&log, &world.anna_token, &format!("/fhir/AuditEvent/{}", line.index)).await;
    assert_eq!(fhir.status, 404);
    let found = get(&log, &world.anna_token, "/fhir/AuditEvent").await.json();
    assert!(!found.to_string().contains(r#""id":"1""#), "{found}");
    // Whoever reported it still has what it reported.
    let theirs = get(&log, &world.clinic_token, &path).await.json();
    assert_eq!(theirs["details"], before["details"]);
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payer_bills_its_person_is_asked_and_the_payer_reads_the_answer() {
    let log = Log::start().await;
    let world = World::new(&log).await;
    // 2026-01-05 09:30 UTC and an hour, by the clinic: it may account for a bill of the laboratory.
    let visit = log.report(&log.about(world.anna.address, 1)).await.receipt();
    let subject = world.anna.address.into_word();
    let body = |day: &str| {
        json!({ "id": format!("b-{day}"), "subject": subject, "day": day,
            "service": { "text": "Blood count" }, "amount": { "value": "12.50", "currency": "EUR" } })
    };
    let billed = post(&log, &world.api_key, "/v1/claims", &body("2026-01-05")).await;
    assert_eq!(billed.status, 201, "{billed:?}");
    assert_eq!(post(&log, &world.api_key, "/v1/claims", &body("2026-01-05")).await.status, 200);
    let unaccounted = post(&log, &world.api_key, "/v1/claims", &body("2026-01-09")).await;
    let mut imaging = body("2026-01-05");
    imaging["id"] = json!("b-mri");
    imaging["service"] = json!({ "text": "MRI", "resource": "ImagingStudy" });
    post(&log, &world.api_key, "/v1/claims", &imaging).await;

    let mine = get(&log, &world.anna_token, "/v1/claims?state=open").await.json();
    let hints: Vec<_> = mine["claims"].as_array().unwrap().iter().collect();
    let accounted: Vec<&Value> = hints.iter().map(|one| &one["accountedForBy"]).collect();
    assert_eq!(accounted, [&json!([]), &json!([]), &json!([visit.index])]);
    assert_eq!((&hints[0]["service"]["text"], &hints[0]["signed"]), (&json!("MRI"), &json!(false)));

    let path = format!("/v1/claims/{}/answer", id(&unaccounted));
    let no = json!({ "answer": "no", "text": "I was abroad." });
    post(&log, &world.other_token, &path, &no).await.problem(404, "no-such-inquiry");
    let answered = post(&log, &world.anna_token, &path, &no).await;
    assert_eq!(answered.status, 201, "{answered:?}");
    let theirs = get(&log, &world.api_key, "/v1/claims").await.json();
    let told = &theirs["claims"][1];
    assert_eq!((&told["state"], &told["answer"]["answer"]), (&json!("answered"), &json!("no")));
    assert_eq!(told["answer"]["text"], "I was abroad.");
    assert_eq!(told["accountedForBy"], Value::Null, "what is in the trail is not the payer's");
    let entry = format!("/v1/entries/{}", answered.json()["index"]);
    assert_eq!(get(&log, &world.api_key, &entry).await.status, 200);
    get(&log, &world.harbour_token, &entry).await.problem(404, "no-such-entry");
    assert_eq!(get(&log, &world.harbour_token, "/v1/claims").await.json()["claims"], json!([]));

    for (member, value, field) in [
        ("day", json!("2026-02-30"), "day"),
        ("amount", json!({ "value": "many", "currency": "EUR" }), "amount"),
        ("patient", json!("Patient/p1"), "subject"),
        ("id", json!(""), "id"),
        ("report", json!(null), "-"),
    ] {
        let mut bad = body("2026-01-07");
        bad[member] = value;
        let answer = post(&log, &world.api_key, "/v1/claims", &bad).await;
        match field {
            "-" => assert_eq!(answer.status, 201),
            field => assert_eq!(answer.problem(422, "invalid-field")["field"], field, "{member}"),
        }
    }
    let by_patient = json!({ "id": "b9", "patient": "Patient/p1", "day": "2026-01-07",
        "service": { "text": "X-ray" } });
    assert_eq!(post(&log, &world.api_key, "/v1/claims", &by_patient).await.status, 201);

    let details = json!({ "version": "medtrail/claim-v1", "act": "billed", "day": "2026-01-05",
        "service": { "text": "Visit" } });
    let signed_one = said(&log, 15, subject, B256::ZERO, &details);
    let taken = post(&log, &world.clinic_token, "/v1/claims", &signed(&signed_one)).await;
    assert_eq!(taken.status, 201, "{taken:?}");
    let mine = get(&log, &world.anna_token, "/v1/claims?limit=1").await.json();
    assert_eq!(mine["claims"][0]["signed"], json!(true));
    // What it reported itself accounts for nothing that it bills.
    assert_eq!(mine["claims"][0]["accountedForBy"], json!([]));
    log.end().await;
}
