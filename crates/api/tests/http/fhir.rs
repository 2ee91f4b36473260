//! `/fhir`: events in by API key, and out again; what clients of all sorts send.

use crate::people::{Person, World};
use crate::support::{Answer, Log};
use medtrail_ledger::entry::details_hash;
use medtrail_ledger::proof::Evidence;
use medtrail_ledger::schema::Report;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

const READ: &str = include_str!("../../../../tests/data/fhir/patient-read.json");
const TWO: &str = include_str!("../../../../tests/data/fhir/two-patients.json");
const NOBODY: &str = include_str!("../../../../tests/data/fhir/without-patient.json");
const BREAK_GLASS: &str = include_str!("../../../../tests/data/fhir/break-glass.json");

fn create(log: &Log, key: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
    let request = log.http.post(log.url("/fhir/AuditEvent")).bearer_auth(key);
    request.header("content-type", "application/fhir+json").body(body)
}

/// An event with another value at a member.
fn changed(event: &str, member: &str, value: Value) -> String {
    let mut event: Value = serde_json::from_str(event).unwrap();
    event[member] = value;
    event.to_string()
}

/// Checks an OperationOutcome; returns its first issue.
#[track_caller]
fn issue(answer: &Answer, status: u16, code: &str) -> Value {
    assert_eq!(answer.status, status, "{}", String::from_utf8_lossy(&answer.body));
    assert_eq!(answer.header("content-type"), Some("application/fhir+json; charset=utf-8"));
    let outcome = answer.json();
    assert_eq!(outcome["resourceType"], "OperationOutcome");
    assert_eq!(outcome["issue"][0]["code"], code, "{outcome}");
    outcome["issue"][0].clone()
}

fn index_of(answer: &Answer) -> u64 {
    let location = answer.header("location").unwrap();
    location.strip_prefix("/fhir/AuditEvent/").unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_taken_kept_byte_for_byte_and_told_where_it_stands() {
    let log = Log::start().await;
    let world = World::new(&log).await;
    let answer = Answer::of(create(&log, &world.api_key, READ)).await;
    assert_eq!((answer.status.as_u16(), answer.header("etag")), (201, Some("W/\"1\"")));
    assert_eq!(answer.body, READ.as_bytes());
    let index = index_of(&answer);

    let entry = log.service.entry(index).unwrap();
    assert_eq!(entry.evidence, Evidence::Relayed);
    assert_eq!(entry.report.actor, log.keys.operator);
    let details: Value = serde_json::from_slice(entry.details.as_deref().unwrap()).unwrap();
    assert_eq!(
        (&details["version"], &details["name"]),
        (&json!("medtrail/relayed-v1"), &json!("Laboratory"))
    );
    assert_eq!(details["document"], READ);

    let location = answer.header("location").unwrap().to_owned();
    let read = Answer::of(log.get(&location).bearer_auth(&world.api_key)).await;
    assert_eq!((read.status.as_u16(), &*read.body), (200, READ.trim().as_bytes()));
    let other = Answer::of(log.get(&location).bearer_auth(&world.harbour_token)).await;
    issue(&other, 404, "not-found");

    // Sent again, whatever the client prefers to hear.
    for (prefer, length) in [
        ("return=minimal", Some(0)),
        ("return=representation", None),
        ("respond-async, return=OperationOutcome", None),
    ] {
        let again = create(&log, &world.api_key, READ).header("prefer", prefer);
        let again = Answer::of(again).await;
        assert_eq!((again.status.as_u16(), index_of(&again)), (201, index));
        assert!(length.is_none_or(|length: usize| again.body.len() == length));
    }
    let size = log.service.head().size;
    let other = changed(READ, "outcome", json!("4"));
    issue(&Answer::of(create(&log, &world.api_key, other)).await, 409, "conflict");
    assert_eq!(log.service.head().size, size);
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_a_rule_is_told_its_element_and_nothing_is_written() {
    let log = Log::start().await;
    let world = World::new(&log).await;
    let size = log.service.head().size;
    let send = |body: String| Answer::of(create(&log, &world.api_key, body));

    let mut missing: Value = serde_json::from_str(READ).unwrap();
    missing.as_object_mut().unwrap().remove("recorded");
    let told = issue(&send(missing.to_string()).await, 422, "required");
    assert_eq!(told["expression"], json!(["AuditEvent.recorded"]));
    let told = issue(&send(changed(READ, "action", json!("Z"))).await, 422, "code-invalid");
    assert_eq!(told["expression"], json!(["AuditEvent.action"]));
    let told = issue(&send(changed(READ, "colour", json!("red"))).await, 422, "structure");
    assert!(told["expression"][0].as_str().unwrap().contains("colour"), "{told}");
    let ahead = changed(READ, "recorded", json!("2999-01-01T00:00:00Z"));
    let told = issue(&send(ahead).await, 422, "invalid");
    assert!(told["diagnostics"].as_str().unwrap().contains("clock"), "{told}");
    issue(&send("{".into()).await, 400, "structure");
    issue(&send(r#"{"resourceType":"Patient"}"#.into()).await, 422, "code-invalid");
    let long = changed(READ, "outcomeDesc", json!("x".repeat(140_000)));
    issue(&send(long).await, 413, "too-long");
    let most = "x".repeat(5_000_000);
    issue(&send(most).await, 413, "too-long");

    let revoked = create(&log, &world.revoked_key, READ);
    issue(&Answer::of(revoked).await, 401, "login");
    let nobody = log.http.post(log.url("/fhir/AuditEvent")).body(READ);
    let nobody = Answer::of(nobody).await;
    issue(&nobody, 401, "login");
    assert_eq!(nobody.header("www-authenticate"), Some("Bearer realm=\"medtrail\""));
    // An organisation with a key signs; its session alone is not its word.
    let session = Answer::of(create(&log, &world.clinic_token, READ)).await;
    assert!(issue(&session, 403, "forbidden")["diagnostics"].as_str().unwrap().contains("gateway"));
    issue(&Answer::of(log.get("/fhir/Nothing")).await, 404, "not-found");
    let put = Answer::of(log.http.put(log.url("/fhir/AuditEvent"))).await;
    issue(&put, 405, "not-supported");
    assert_eq!(put.header("allow"), Some("GET, HEAD, POST"));
    assert_eq!(log.service.head().size, size, "nothing was written");
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_about_nobody_is_an_entry_and_one_about_two_is_two() {
    let log = Log::start().await;
    let world = World::new(&log).await;
    let nobody = Answer::of(create(&log, &world.api_key, NOBODY)).await;
    assert_eq!(nobody.status, 201);
    let entry = log.service.entry(index_of(&nobody)).unwrap();
    assert!(entry.report.subject.is_zero() && entry.place.ordinal == 0);

    let size = log.service.head().size;
    let two = Answer::of(create(&log, &world.api_key, TWO)).await;
    assert_eq!((two.status.as_u16(), log.service.head().size), (201, size + 2));
    let shared: Vec<_> = (size..size + 2).map(|index| log.service.entry(index).unwrap()).collect();
    assert_ne!(shared[0].report.subject, shared[1].report.subject);
    let documents: Vec<_> = shared
        .iter()
        .map(|entry| String::from_utf8(entry.details.clone().unwrap()).unwrap())
        .collect();
    for (own, other) in [("mari-tamm", "jaan-tamm"), ("jaan-tamm", "mari-tamm")] {
        let hers = documents.iter().filter(|document| document.contains(own));
        let hers: Vec<_> = hers.collect();
        assert_eq!(hers.len(), 1, "{own}");
        assert!(!hers[0].contains(other), "nobody is shown another patient");
    }
    let again = Answer::of(create(&log, &world.api_key, TWO)).await;
    assert_eq!((again.status.as_u16(), log.service.head().size), (201, size + 2));
    log.end().await;
}

/// An event about so many patients, one of whose agents has this name.
fn about(patients: usize, id: usize, name: &str) -> String {
    let mut event: Value = serde_json::from_str(TWO).unwrap();
    event["id"] = json!(format!("event-{id}"));
    event["agent"][1]["name"] = json!(name);
    let entity = |number| json!({"what": {"reference": format!("Patient/number-{number}")}});
    event["entity"] = (0..patients).map(entity).collect();
    event.to_string()
}

/// The story: 4 MB of events about 100 patients each, nearly all of them one agent's name full of
/// quotes, became 780 MB in the server's memory.
#[tokio::test(flavor = "multi_thread")]
async fn events_about_many_patients_stay_within_bounds_alone_and_in_a_batch() {
    let log = Log::start().await;
    let world = World::new(&log).await;
    let size = log.service.head().size;
    // With its escapes, 114 KB of the 120 KB that an event may have.
    let name = "\"".repeat(57_000);
    let long = about(100, 0, &name);
    assert!((115_000..122_880).contains(&long.len()), "{}", long.len());
    let refused = Answer::of(create(&log, &world.api_key, long)).await;
    let told = issue(&refused, 413, "too-long");
    assert!(told["diagnostics"].as_str().unwrap().contains("1048576"), "{told}");

    let bundle = |events: Vec<String>| {
        let entries: Vec<_> =
            events.iter().map(|event| format!(r#"{{"resource":{event}}}"#)).collect();
        let entries = entries.join(",");
        let bundle = format!(r#"{{"resourceType":"Bundle","type":"batch","entry":[{entries}]}}"#);
        let request = log.http.post(log.url("/fhir")).bearer_auth(&world.api_key);
        Answer::of(request.header("content-type", "application/json").body(bundle))
    };
    let mut events: Vec<_> = (0..33).map(|id| about(100, id, &name)).collect();
    events.push(about(100, 99, "Clerk"));
    let answer = bundle(events).await.json();
    let statuses: Vec<_> = answer["entry"].as_array().unwrap().iter().collect();
    assert!(statuses[..33].iter().all(|one| one["response"]["status"] == "413 Content Too Large"));
    assert_eq!(statuses[33]["response"]["status"], "201 Created");
    assert_eq!(log.service.head().size, size + 100);

    // Each patient's part counts, not each event.
    let many = (0..210).map(|id| about(100, 1000 + id, "Clerk")).collect();
    let told = issue(&bundle(many).await, 413, "too-long");
    assert!(told["diagnostics"].as_str().unwrap().contains("at most 20000"), "{told}");
    assert_eq!(log.service.head().size, size + 100);
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_ask_for_json_by_many_names() {
    let log = Log::start().await;
    let world = World::new(&log).await;
    for (number, (media_type, accept)) in [
        ("application/fhir+json", "application/fhir+json"),
        ("application/json", "application/json"),
        ("application/json; charset=utf-8", "fhir+json"),
        ("application/fhir+json;charset=UTF-8", "application/fhir+json, */*; q=0.1"),
        ("APPLICATION/FHIR+JSON", "*/*"),
        ("application/fhir+json; fhirVersion=4.0", "text/html, application/xhtml+xml, */*;q=0.8"),
    ]
    .into_iter()
    .enumerate()
    {
        let event = changed(READ, "id", json!(format!("event-{number}")));
        let path = ["/fhir/AuditEvent", "/fhir/AuditEvent/"][number % 2];
        let request = log.http.post(log.url(path)).bearer_auth(&world.api_key).body(event);
        let request = request.header("content-type", media_type).header("accept", accept);
        let answer = Answer::of(request).await;
        assert_eq!(answer.status, 201, "{media_type} {accept}: {answer:?}");
        let metadata = Answer::of(log.get("/fhir/metadata").header("accept", accept)).await;
        assert_eq!(metadata.json()["resourceType"], "CapabilityStatement", "{accept}");
    }
    for media_type in ["application/fhir+xml", "application/json; charset=latin1", ""] {
        let request = log.http.post(log.url("/fhir/AuditEvent")).bearer_auth(&world.api_key);
        let request = request.header("content-type", media_type).body(READ);
        issue(&Answer::of(request).await, 415, "invalid");
    }
    let xml = log.get("/fhir/metadata").header("accept", "application/fhir+xml");
    issue(&Answer::of(xml).await, 406, "not-supported");
    let smart = Answer::of(log.get("/fhir/.well-known/smart-configuration")).await;
    assert_eq!(smart.json()["token_endpoint"], "https://medtrail.example/v1/session");
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_batch_each_event_stands_or_falls_by_itself() {
    let log = Log::start().await;
    let world = World::new(&log).await;
    let size = log.service.head().size;
    let bad = changed(READ, "action", json!("Z"));
    let request = r#""request":{"method":"POST","url":"AuditEvent"}"#;
    let events = [READ, &bad, NOBODY, BREAK_GLASS];
    let entries = events.map(|event| format!(r#"{{"resource":{event},{request}}}"#)).join(",");
    let bundle = format!(r#"{{"resourceType":"Bundle","type":"batch","entry":[{entries}]}}"#);
    let send = |path: &str, body: String| {
        let request = log.http.post(log.url(path)).bearer_auth(&world.api_key).body(body);
        Answer::of(request.header("content-type", "application/json"))
    };
    let answer = send("/fhir/", bundle.clone()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let told = answer.json();
    assert_eq!(
        (&told["resourceType"], &told["type"]),
        (&json!("Bundle"), &json!("batch-response"))
    );
    let statuses: Vec<_> = told["entry"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["response"]["status"].as_str().unwrap()[..3].to_owned())
        .collect();
    assert_eq!(statuses, ["201", "422", "201", "201"]);
    let wrong = &told["entry"][1]["response"]["outcome"]["issue"][0];
    assert_eq!(wrong["expression"], json!(["AuditEvent.action"]));
    // A missed BALP rule flags the event, and does not refuse it.
    let flagged = &told["entry"][3]["response"]["outcome"]["issue"][0];
    assert_eq!(flagged["severity"], "warning");
    assert_eq!(log.service.head().size, size + 3);
    let again = send("/fhir", bundle).await.json();
    assert_eq!(again["entry"][0]["response"]["location"], told["entry"][0]["response"]["location"]);
    assert_eq!(log.service.head().size, size + 3);

    let empty = send("/fhir", r#"{"resourceType":"Bundle","type":"batch","entry":[]}"#.into());
    issue(&empty.await, 413, "too-long");
    let transaction = r#"{"resourceType":"Bundle","type":"transaction","entry":[{}]}"#;
    issue(&send("/fhir", transaction.into()).await, 422, "code-invalid");
    let many = vec![r#"{"resource":{}}"#; 1001].join(",");
    let many = format!(r#"{{"resourceType":"Bundle","type":"batch","entry":[{many}]}}"#);
    issue(&send("/fhir", many).await, 413, "too-long");
    assert_eq!(log.service.head().size, size + 3);
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_says_what_the_patient_would_read_and_stores_nothing() {
    let log = Log::start().await;
    let world = World::new(&log).await;
    let size = log.service.head().size;
    let check = |key: &str, body: String| {
        let request = log.http.post(log.url("/fhir/AuditEvent?check=true")).bearer_auth(key);
        Answer::of(request.header("content-type", "application/json").body(body))
    };
    let relayed = check(&world.api_key, READ.to_owned()).await.json();
    assert_eq!(relayed["issues"], json!([]));
    assert_eq!(
        (&relayed["facts"]["relayed"], &relayed["facts"]["verb"]),
        (&json!(true), &json!("read"))
    );
    assert!(relayed["sentence"].as_str().unwrap().contains("Laboratory"), "{relayed}");
    let signed = check(&world.clinic_token, READ.to_owned()).await.json();
    assert_eq!(signed["facts"]["relayed"], false);
    assert!(signed["sentence"].as_str().unwrap().contains("Clinic"), "{signed}");
    let flagged = check(&world.api_key, BREAK_GLASS.to_owned()).await.json();
    assert_eq!(flagged["issues"][0]["rule"], "balp.entity.data");
    issue(&check(&world.api_key, "{}".into()).await, 422, "structure");
    issue(&check(&world.anna_token, READ.into()).await, 403, "forbidden");
    assert_eq!(log.service.head().size, size);
    log.end().await;
}

/// A log with signed events about Anna: one an hour, the details being `READ` under ids of its own.
async fn with_events(count: u64) -> (Log, Person, String) {
    let log = Log::start().await;
    let anna = Person::new(0xa1);
    for event in 0..count {
        let hour = 10 + event;
        let mut details: Value = serde_json::from_str(READ).unwrap();
        details["id"] = json!(format!("event-{event}"));
        details["recorded"] = json!(format!("2026-01-05T{hour}:00:00Z"));
        details["action"] = json!(if event % 2 == 0 { "R" } else { "U" });
        let details = details.to_string();
        let report = Report {
            subject: anna.address.into_word(),
            timeMs: 1_767_607_200_000 + event * 3_600_000,
            details: details_hash(details.as_bytes()),
            ..log.fields(0, event, &details)
        };
        log.report(&log.sign(report, details)).await.receipt();
    }
    let token = anna.sign_in(&log).await;
    (log, anna, token)
}

fn ids(bundle: &Value) -> Vec<String> {
    let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
    let matches = entries.iter().filter(|entry| entry["search"]["mode"] == "match");
    matches.map(|entry| entry["resource"]["id"].as_str().unwrap().replace("event-", "")).collect()
}

fn link(bundle: &Value, relation: &str) -> Option<String> {
    let links = bundle["link"].as_array().unwrap();
    let found = links.iter().find(|link| link["relation"] == relation)?;
    let url = found["url"].as_str().unwrap();
    Some(url.strip_prefix("https://medtrail.example").unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_searches_her_own_trail_however_it_is_written() {
    let (log, anna, token) = with_events(6).await;
    log.report(&log.about(Person::new(0xb2).address, 9)).await.receipt();
    let search =
        |query: &str| Answer::of(log.get(&format!("/fhir/AuditEvent{query}")).bearer_auth(&token));
    let found = async |query: &str| {
        let answer = search(query).await;
        assert_eq!(answer.status, 200, "{query}: {answer:?}");
        ids(&answer.json())
    };
    let all = ["5", "4", "3", "2", "1", "0"];
    assert_eq!(found("").await, all);
    assert_eq!(found("?patient=me").await, all);
    assert_eq!(found(&format!("?patient=Patient/{}", anna.address)).await, all);
    assert_eq!(found(&format!("?patient=Patient%2F{:#x}", anna.address)).await, all);
    let event: Value = serde_json::from_str(READ).unwrap();
    let named = medtrail_fhir::event::read(READ.as_bytes()).unwrap().patients[0].identifier.clone();
    let reference = event["entity"].as_array().unwrap().iter().find_map(|entity| {
        entity["what"]["reference"].as_str().filter(|text| text.contains("Patient/"))
    });
    if !named.contains('|') {
        assert_eq!(found(&format!("?patient={}", reference.unwrap())).await, all);
    }
    assert_eq!(found("?patient=Patient/somebody-else").await, [""; 0]);
    assert_eq!(found("?date=ge2026-01-05T12:00:00Z&date=lt2026-01-05T14:00:00Z").await, ["3", "2"]);
    assert_eq!(found("?date=2026-01-05T13:00").await, ["3"]);
    assert_eq!(found("?date=2025").await, [""; 0]);
    assert_eq!(found("?action=U").await, ["5", "3", "1"]);
    assert_eq!(found("?action=R&_count=0").await, [""; 0]);

    let post = log.http.post(log.url("/fhir/AuditEvent/_search")).bearer_auth(&token);
    let post = post.header("content-type", "application/x-www-form-urlencoded");
    let posted = Answer::of(post.body("action=U&patient=me")).await;
    assert_eq!(ids(&posted.json()), ["5", "3", "1"]);

    let by_id = search("?_id=2").await.json();
    assert_eq!(ids(&by_id), ["2"]);
    assert_eq!(by_id["entry"][0]["fullUrl"], "https://medtrail.example/fhir/AuditEvent/2");
    // Somebody else's line is not found, like one that does not exist.
    assert_eq!((found("?_id=6").await, found("?_id=99").await), (vec![], vec![]));

    let lenient = search("?colour=red").await.json();
    assert_eq!(ids(&lenient), all);
    assert!(lenient.to_string().contains("search.unknown"), "{lenient}");
    let strict = log.get("/fhir/AuditEvent?colour=red").bearer_auth(&token);
    let strict = Answer::of(strict.header("prefer", "handling=strict")).await;
    assert_eq!(issue(&strict, 400, "not-supported")["expression"], json!(["http.colour"]));
    let wrong = search("?date=yesterday").await;
    assert_eq!(issue(&wrong, 400, "invalid")["expression"], json!(["http.date"]));
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_a_search_are_linked_and_whole() {
    let (log, _, token) = with_events(7).await;
    for (count, filter) in [(1, ""), (2, ""), (3, "&action=R"), (7, ""), (50, "&action=U")] {
        let mut path = Some(format!("/fhir/AuditEvent?_count={count}{filter}"));
        let (mut seen, mut pages) = (Vec::new(), 0);
        while let Some(asked) = path {
            let page = Answer::of(log.get(&asked).bearer_auth(&token)).await.json();
            let found = ids(&page);
            assert!(found.len() <= count);
            assert_eq!(page["total"], Value::Null, "a total would count what is not shown");
            seen.extend(found);
            path = link(&page, "next");
            pages += 1;
            assert!(pages < 20);
        }
        let expected: Vec<_> = (0..7u64)
            .rev()
            .filter(|event| match filter {
                "&action=R" => event % 2 == 0,
                "&action=U" => event % 2 == 1,
                _ => true,
            })
            .map(|event| event.to_string())
            .collect();
        assert_eq!(seen, expected, "{count} {filter}");
    }
    log.end().await;
}
