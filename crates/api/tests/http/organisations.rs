//! `/v1/organisations`, `/v1/enrolments`, `/v1/api-keys`: who may report, and how they join.

use crate::people::{Person, World};
use crate::support::{Answer, CHAIN, Log, REGISTRY};
use medtrail_keys::reporter::ReporterKey;
use medtrail_ledger::entry::{details_hash, event_id};
use medtrail_ledger::schema::{Report, domain};
use medtrail_ledger::trust::TrustFile;
use reqwest::Method;
use serde_json::{Value, json};
use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

async fn listed(log: &Log, name: &str) -> Value {
    let all = Answer::of(log.get("/v1/organisations")).await.json();
    let all = all["organisations"].as_array().unwrap().clone();
    all.into_iter().find(|one| one["name"] == name).unwrap_or(Value::Null)
}

/// What came of the clinic's numbers, as it is told to whoever has this token.
async fn coverage(log: &Log, token: &str) -> Value {
    let answer = Answer::of(log.get("/v1/organisations").bearer_auth(token)).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"), "for one reader alone");
    let all = answer.json()["organisations"].as_array().unwrap().clone();
    all.into_iter().find(|one| one["name"] == "Clinic").unwrap()["coverage"].clone()
}

async fn enrol(log: &Log, token: &str, code: &Value) -> Answer {
    let body = json!({ "code": code });
    Answer::of(log.send(Method::POST, "/v1/enrolments", &body).bearer_auth(token)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invited_key_joins_reports_and_is_in_the_trust_file() {
    let log = Log::start().await;
    let operator = Person::new(1).sign_in(&log).await;
    let invited = log.add_organisation(&operator, "Harbour").await;
    let code = &invited["invite"]["code"];
    let url = format!("https://medtrail.example/#invite={}", code.as_str().unwrap());
    assert_eq!(invited["invite"]["url"], url);
    let before = listed(&log, "Harbour").await;
    assert_eq!((&before["id"], &before["reportsBy"]), (&invited["id"], &json!("nothing")));

    let key = ReporterKey::from_bytes(&[0x44; 32]).unwrap();
    let token = Person::new(0x44).sign_in(&log).await;
    let joined = enrol(&log, &token, code).await;
    assert_eq!((joined.status.as_u16(), joined.header("cache-control")), (201, Some("no-store")));
    let told = joined.json();
    assert_eq!(told["organisation"]["id"], invited["id"]);
    assert_eq!(told["sharedKey"].as_str().unwrap().len(), 66);
    let trust: TrustFile = serde_json::from_value(told["trust"].clone()).unwrap();
    assert_eq!(trust, *log.service.trust());
    let file = Answer::of(log.get("/.well-known/medtrail.json")).await;
    assert_eq!(TrustFile::parse(&file.body).unwrap(), trust);

    let details = "{}".to_owned();
    let report = Report {
        actor: key.address(),
        eventId: event_id(key.address(), b"1"),
        details: details_hash(details.as_bytes()),
        ..log.fields(1, 1, &details)
    };
    let signature = key.sign(&report, &domain(CHAIN, REGISTRY)).to_string();
    let sent = crate::support::Sent { report, details, signature };
    log.report(&sent).await.receipt();
    let after = listed(&log, "Harbour").await;
    assert_eq!(after["reportsBy"], "signature");
    assert_eq!(after["keys"][0]["address"], json!(key.address()));
    // To the minute: with the checkpoint's growth it would tell which entries are whose.
    assert_eq!(after["lastHeardMs"].as_u64().unwrap() % 60_000, 0, "{after}");
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invite_works_for_one_key_and_what_is_wrong_is_said() {
    let log = Log::start().await;
    let world = World::new(&log).await;
    let invited = log.add_organisation(&world.operator_token, "Second").await;
    let code = &invited["invite"]["code"];
    let first = enrol(&log, &world.anna_token, code).await;
    assert_eq!(first.status, 201);
    // The answer was lost: the same key asks again, and hears the same.
    let again = enrol(&log, &world.anna_token, code).await;
    assert_eq!(again.json()["sharedKey"], first.json()["sharedKey"]);
    enrol(&log, &world.other_token, code).await.problem(409, "invite-used");
    enrol(&log, &world.other_token, &json!("guess")).await.problem(404, "no-such-invite");
    enrol(&log, &world.other_token, &json!(7)).await.problem(422, "invalid-field");

    let add = |body: Value| {
        let request = log.send(Method::POST, "/v1/organisations", &body);
        Answer::of(request.bearer_auth(&world.operator_token))
    };
    let named = |name: &str, domain: &str| json!({ "name": name, "domain": domain });
    add(named("Second", "x.example")).await.problem(409, "organisation-exists");
    assert_eq!(add(named("", "x.example")).await.problem(422, "invalid-field")["field"], "name");
    assert_eq!(add(named("Third", "x y")).await.problem(422, "invalid-field")["field"], "domain");
    let stray = json!({ "name": "Third", "domain": "x.example", "owner": 1 });
    assert_eq!(add(stray).await.problem(422, "invalid-field")["field"], "owner");

    // An invite for one key is not for another.
    let key = Person::new(0x55);
    let body = json!({ "name": "Third", "domain": "x.example", "address": key.address });
    let named = add(body).await.json();
    let code = &named["invite"]["code"];
    enrol(&log, &world.other_token, code).await.problem(403, "invite-for-another");
    let token = key.sign_in(&log).await;
    assert_eq!(enrol(&log, &token, code).await.status, 201);
    assert_eq!(listed(&log, "Third").await["id"], json!(key.address));
    // A further key, by a further invite.
    let path = format!("/v1/organisations/{}/invites", key.address);
    let more = log.http.post(log.url(&path)).bearer_auth(&world.operator_token);
    let more = Answer::of(more).await.json();
    let token = Person::new(0x56).sign_in(&log).await;
    assert_eq!(enrol(&log, &token, &more["invite"]["code"]).await.status, 201);
    let keys = listed(&log, "Third").await["keys"].as_array().unwrap().len();
    assert_eq!(keys, 2);
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_guesses_invites_is_stopped() {
    let log = Log::start().await;
    let token = Person::new(0xa1).sign_in(&log).await;
    for _ in 0..20 {
        enrol(&log, &token, &json!("guess")).await.problem(404, "no-such-invite");
    }
    enrol(&log, &token, &json!("guess")).await.problem(429, "too-many-requests");
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_key_opens_until_it_is_revoked() {
    let log = Log::start().await;
    let operator = Person::new(1).sign_in(&log).await;
    let added = log.add_organisation(&operator, "Laboratory").await;
    let made = log.api_key(&operator, added["id"].as_str().unwrap()).await;
    let key = made["key"].as_str().unwrap();
    assert!(key.starts_with("mtk_"), "{key}");
    assert_eq!(listed(&log, "Laboratory").await["reportsBy"], "apiKey");
    let ask = || Answer::of(log.get("/v1/bindings").bearer_auth(key));
    assert_eq!(ask().await.status, 200);
    let revoke = || {
        let path = format!("/v1/api-keys/{}", made["id"].as_str().unwrap());
        Answer::of(log.http.delete(log.url(&path)).bearer_auth(&operator))
    };
    assert_eq!(revoke().await.status, 204);
    ask().await.problem(401, "signed-out");
    assert_eq!(revoke().await.status, 204, "again changes nothing");
    // Nor does a key with another secret open anything.
    let (id, _) = key.rsplit_once('_').unwrap();
    let request = log.get("/v1/bindings").bearer_auth(format!("{id}_AAAA"));
    Answer::of(request).await.problem(401, "signed-out");
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_of_reports_show_what_did_not_come() {
    let log = Log::start().await;
    let send = async |event: u64, numbers: &'static str| {
        let request = log.post("application/json", log.sent(1, event).body());
        Answer::of(request.header("medtrail-sequence", numbers)).await
    };
    assert_eq!(listed(&log, "Clinic").await.get("coverage"), None);
    let operator = Person::new(1).sign_in(&log).await;
    for (event, numbers) in [(1, "5"), (2, "8"), (3, "7")] {
        send(event, numbers).await.receipt();
    }
    let all = json!({ "from": 5, "to": 8, "gaps": [[6, 6]] });
    assert_eq!(coverage(&log, &operator).await, all);
    assert_eq!(coverage(&log, &Person::new(2).sign_in(&log).await).await, all);
    // How many there are is nobody else's to know.
    let gaps = json!({ "gaps": [[6, 6]] });
    assert_eq!(listed(&log, "Clinic").await["coverage"], gaps);
    let token = Person::new(0xa1).sign_in(&log).await;
    let others = Answer::of(log.get("/v1/organisations").bearer_auth(token)).await.json();
    assert!(!others.to_string().contains("\"from\":"), "{others}");
    let batch = log.batch(
        &(10..13)
            .map(|event| {
                let details = r#"{"a":1}"#.to_owned();
                log.sign(log.fields(1, event, &details), details)
            })
            .collect::<Vec<_>>(),
    );
    let batch = log.post("application/json", batch.to_string());
    assert_eq!(Answer::of(batch.header("medtrail-sequence", "9-11")).await.status, 200);
    assert_eq!(coverage(&log, &operator).await["to"], 11);
    let size = log.service.head().size;
    for wrong in ["x", "0", "3-2", "1-2"] {
        let problem = send(20, wrong).await.problem(422, "invalid-field");
        assert_eq!(problem["field"], "Medtrail-Sequence");
    }
    assert_eq!(log.service.head().size, size);
    // Numbers of a report that was refused are not noted: anybody could send them.
    let mut forged = log.sent(1, 30);
    forged.report.kind = 2;
    let request = log.post("application/json", forged.body()).header("medtrail-sequence", "99");
    assert_eq!(Answer::of(request).await.status, 422);
    assert_eq!(coverage(&log, &operator).await["to"], 11);
    log.end().await;
}

/// The story: a patient has the signed report about her, and sends it again and again.
#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_is_repeated_under_another_number_makes_no_gap() {
    let log = Log::start().await;
    let operator = Person::new(1).sign_in(&log).await;
    let send = async |body: String, numbers: &'static str| {
        let media_type =
            if numbers.contains('-') { "application/x-ndjson" } else { "application/json" };
        let request = log.post(media_type, body).header("medtrail-sequence", numbers);
        assert!(Answer::of(request).await.status.is_success(), "{numbers}");
    };
    let (one, two) = (log.sent(1, 1).body(), log.sent(1, 2).body());
    log.report(&log.sent(1, 1)).await.receipt();
    send(one.clone(), "4611686018427387904").await;
    assert_eq!(coverage(&log, &operator).await, Value::Null, "nothing new came");
    send(two.clone(), "5").await;
    send(log.sent(1, 3).body(), "9").await;
    for numbers in ["1", "99", "4611686018427387904", "7"] {
        send(two.clone(), numbers).await;
    }
    send(format!("{one}\n{two}\n"), "98-99").await;
    // Beside something new of another organisation's, it is that one's number.
    let told = json!({ "from": 5, "to": 9, "gaps": [[6, 6], [8, 8]] });
    assert_eq!(coverage(&log, &operator).await, told);
    let world = World::new(&log).await;
    let others = log.by_other(0x44, &log.sent(1, 4)).body();
    send(format!("{one}\n{others}\n"), "200-201").await;
    assert_eq!(coverage(&log, &world.operator_token).await, told);
    log.end().await;
}

/// The story: the gateway's connection breaks while the log writes.
#[tokio::test(flavor = "multi_thread")]
async fn a_number_counts_also_where_its_client_has_gone() {
    let log = Log::start().await;
    let operator = Person::new(1).sign_in(&log).await;
    let send = |event: u64, number: &'static str| {
        log.post("application/json", log.sent(1, event).body()).header("medtrail-sequence", number)
    };
    assert_eq!(Answer::of(send(1, "1")).await.status, 201);
    log.disk.shut();
    // One holds the writer at the gate, the next waits in the queue, and its client goes.
    let held = tokio::spawn(send(2, "2").send());
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut gone = TcpStream::connect(log.address).unwrap();
    // What it never reads makes its end a reset.
    gone.write_all(b"GET /healthz HTTP/1.1\r\nhost: log\r\n\r\n").unwrap();
    let body = log.sent(1, 3).body();
    let head = format!(
        "POST /v1/reports HTTP/1.1\r\nhost: log\r\ncontent-type: application/json\r\n\
         medtrail-sequence: 3\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    gone.write_all((head + &body).as_bytes()).unwrap();
    let until = Instant::now() + Duration::from_secs(10);
    while log.service.queued() == 0 {
        assert!(Instant::now() < until);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(gone);
    tokio::time::sleep(Duration::from_millis(300)).await;
    log.disk.open();
    let _ = held.await.unwrap();
    while log.service.head().size < 3 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(Answer::of(send(4, "4")).await.status, 201);
    let told = json!({ "from": 1, "to": 4, "gaps": [] });
    while coverage(&log, &operator).await != told {
        assert!(Instant::now() < until, "{}", coverage(&log, &operator).await);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    log.end().await;
}
