//! `/v1/sources`: who keeps a record says where, signed, and its person sees it.

use crate::people::{Person, World};
use crate::support::{Answer, CHAIN, Log, REGISTRY};
use alloy_primitives::{Address, B256, keccak256};
use medtrail_ledger::entry::{details_hash, event_id, subject_of};
use medtrail_ledger::schema::{Report, digest, domain};
use serde_json::{Value, json};

const HERE: &str = "https://tide.example/readings";

fn registered(at: &str) -> Value {
    json!({ "version": "medtrail/source-v1", "act": "registered", "title": "90 days of readings",
        "keeper": "Tide Sensors", "at": { "url": at } })
}

fn moved(id: &Value, from: &str, to: &str) -> Value {
    json!({ "version": "medtrail/source-v1", "act": "moved", "source": id,
        "from": { "url": from }, "to": { "url": to }, "keeper": "Mari Tamm" })
}

impl Log {
    fn tells(&self, by: &Person, of: Address, details: &Value) -> String {
        let permission = details["source"].as_str().map_or(B256::ZERO, |id| id.parse().unwrap());
        let text = details.to_string();
        let report = Report {
            log: self.keys.log,
            eventId: event_id(by.address, text.as_bytes()),
            kind: 7,
            timeMs: 1_767_605_400_120,
            subject: subject_of(of),
            actor: by.address,
            record: keccak256("readings"),
            toVersion: keccak256("bytes"),
            permission,
            details: details_hash(text.as_bytes()),
            ..Report::default()
        };
        let signature = by.sign_digest(digest(&report, &domain(CHAIN, REGISTRY)).0);
        let report = serde_json::to_string(&report).unwrap();
        format!(r#"{{"report":{report},"details":{text},"signature":"{signature}"}}"#)
    }
}

async fn post(log: &Log, body: String) -> Answer {
    let request = log.http.post(log.url("/v1/sources")).header("content-type", "application/json");
    Answer::of(request.body(body)).await
}

async fn list(log: &Log, token: &str, query: &str) -> Value {
    let answer = Answer::of(log.get(&format!("/v1/sources{query}")).bearer_auth(token)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_is_registered_seen_and_moved_by_whose_it_is() {
    let log = Log::start().await;
    let world = World::new(&log).await;
    let (clinic, harbour) = (Person::new(2), Person::new(0x44));
    let anna = world.anna.address;
    let body = log.tells(&clinic, anna, &registered(HERE));
    let first = post(&log, body.clone()).await;
    assert_eq!(first.status, 201, "{first:?}");
    let id = first.json()["id"].clone();
    let again = post(&log, body).await;
    assert_eq!((again.status.as_u16(), &again.json()["id"]), (200, &id));

    // The person sees all of it, who registered it its part, and nobody else anything.
    let told = list(&log, &world.anna_token, "").await;
    let [source] = &told["sources"].as_array().unwrap()[..] else { panic!("{told}") };
    assert_eq!((&source["id"], &source["at"]["url"]), (&id, &json!(HERE)));
    assert_eq!(
        (&source["title"], &source["keeper"]),
        (&json!("90 days of readings"), &json!("Tide Sensors"))
    );
    assert_eq!(source["kept"], "nowhere");
    assert!(source["organisation"]["name"].is_string(), "{source}");
    assert!(["here", "stale"].contains(&source["state"].as_str().unwrap()), "{source}");
    let told = list(&log, &world.clinic_token, "").await;
    assert_eq!((&told["sources"][0]["id"], &told["sources"][0]["kept"]), (&id, &Value::Null));
    for token in [&world.other_token, &world.harbour_token, &world.operator_token] {
        assert_eq!(list(&log, token, "").await["sources"], json!([]));
    }

    let there = "https://home.example/readings";
    let stolen = log.tells(&harbour, anna, &moved(&id, HERE, there));
    post(&log, stolen).await.problem(404, "no-such-source");
    let wrong = log.tells(&world.anna, anna, &moved(&id, there, HERE));
    post(&log, wrong).await.problem(409, "source-elsewhere");
    let own = log.tells(&world.anna, anna, &moved(&id, HERE, there));
    assert_eq!(post(&log, own).await.status, 201);
    let told = list(&log, &world.anna_token, "?limit=1").await;
    assert_eq!(told["sources"][0]["at"]["url"], there);
    assert_eq!(told["next"], Value::Null);
    // Where to is the person's to tell.
    assert_eq!(list(&log, &world.clinic_token, "").await["sources"], json!([]));
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_source_or_not_ones_own_word_is_refused_by_its_field() {
    let log = Log::start().await;
    let (clinic, anna) = (Person::new(2), Person::new(0xa1));
    let of = anna.address;
    for inner in ["http://tide.example/", "https://user@tide.example/", "file:///etc/passwd"] {
        let told = post(&log, log.tells(&clinic, of, &registered(inner))).await;
        assert_eq!(told.problem(422, "invalid-field")["field"], "details.at");
    }
    let lost = json!({ "version": "medtrail/source-v1", "act": "lost" });
    let told = post(&log, log.tells(&clinic, of, &lost)).await;
    assert_eq!(told.problem(422, "invalid-field")["field"], "details");
    // A stranger's key speaks for its own trail alone.
    let stranger = Person::new(0xc3);
    let told = post(&log, log.tells(&stranger, of, &registered(HERE))).await;
    assert_eq!(told.problem(422, "invalid-field")["field"], "report.subject");
    // Signed by another than it says.
    let body = log.tells(&clinic, of, &registered(HERE));
    let mut forged: Value = serde_json::from_str(&body).unwrap();
    forged["report"]["actor"] = json!(of);
    let told = post(&log, forged.to_string()).await;
    assert_eq!(told.status, 422, "{told:?}");
    assert_eq!(log.service.head().size, 0);
    log.end().await;
}
