//! `/v1/subjects/{subject}/erasure` and `/v1/holds`: asking, cancelling, and what stands in the way.

use crate::people::{Person, World};
use crate::support::{Answer, CHAIN, CONSENTS, Log, REGISTRY};
use medtrail_permit::documents::{Document, Erase, Registries};
use medtrail_permit::statements::{Language, worded};
use reqwest::Method;
use serde_json::{Value, json};

const REGISTRIES: Registries =
    Registries { chain_id: CHAIN, consent_registry: CONSENTS, anchor_registry: REGISTRY };
const DAY_MS: u64 = 86_400_000;

fn carried(log: &Log, by: &Person, up_to_ordinal: u64, expires_s: u64) -> Value {
    let document = Document::Erase(Erase {
        statement: String::new(),
        subject: by.address,
        log: log.service.trust().log,
        upToOrdinal: up_to_ordinal,
        expiresAt: expires_s,
    });
    let document = worded(document, Language::En).unwrap();
    let signature = by.sign_digest(document.id(&REGISTRIES).0);
    json!({ "version": "medtrail/permission-v1", "document": document, "signature": signature })
}

fn carry(log: &Log, body: &Value) -> impl Future<Output = Answer> {
    Answer::of(log.send(Method::POST, "/v1/permissions", body))
}

fn path(person: &Person) -> String {
    format!("/v1/subjects/{}/erasure", person.address)
}

async fn state(log: &Log, world: &World) -> Value {
    Answer::of(log.get(&path(&world.anna)).bearer_auth(&world.anna_token)).await.json()
}

async fn cancel(log: &Log, world: &World, token: &str) -> Answer {
    let url = log.url(&path(&world.anna));
    Answer::of(log.http.delete(url).bearer_auth(token)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_asks_reads_the_clock_and_cancels() {
    let log = Log::start().await;
    let world = World::new(&log).await;
    log.report(&log.about(world.anna.address, 1)).await.receipt();
    let told = state(&log, &world).await;
    assert_eq!(told["version"], "medtrail/erasures-v1");
    assert_eq!((&told["lines"], &told["waitMs"]), (&json!(1), &json!(30 * DAY_MS)));
    assert_eq!(told["log"], json!(log.service.trust().log));
    assert_eq!((&told["erasures"], &told["keepsRecords"]), (&json!([]), &Value::Null));
    assert_eq!(told["keepsLines"]["kind"], "retention");

    // Anybody may carry it.
    let body = carried(&log, &world.anna, 0, 4_000_000_000);
    let asked = carry(&log, &body).await;
    assert_eq!(asked.status, 201, "{asked:?}");
    let asked = asked.json();
    assert_eq!(carry(&log, &body).await.status, 200);
    let told = state(&log, &world).await;
    let one = &told["erasures"][0];
    assert_eq!((&one["id"], &one["state"]), (&asked["id"], &json!("waiting")));
    assert_eq!((&one["form"], &one["parts"]), (&json!("records"), &json!([])));
    assert_eq!((&one["document"], &one["signature"]), (&body["document"], &body["signature"]));
    let at = |name: &str| one[name].as_u64().unwrap();
    assert_eq!(at("dueMs") - at("askedMs"), 30 * DAY_MS);
    let second = carried(&log, &world.anna, 0, 4_000_000_001);
    carry(&log, &second).await.problem(409, "erasure-waits");

    cancel(&log, &world, &world.other_token).await.problem(404, "no-such-trail");
    assert_eq!(cancel(&log, &world, &world.anna_token).await.status, 204);
    cancel(&log, &world, &world.anna_token).await.problem(404, "no-such-erasure");
    let told = state(&log, &world).await;
    assert_eq!(told["erasures"][0]["state"], "cancelled");
    assert!(told["erasures"][0]["endedMs"].is_u64());
    let trail = format!("/v1/subjects/{}/trail?kind=erasure", world.anna.address);
    let lines = Answer::of(log.get(&trail).bearer_auth(&world.anna_token)).await.json();
    assert_eq!(lines["lines"].as_array().unwrap().len(), 2);
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_erased_is_refused_with_its_reason() {
    let log = Log::start().await;
    let world = World::new(&log).await;
    log.report(&log.about(world.anna.address, 1)).await.receipt();
    let other = carried(&log, &world.anna, 2, 4_000_000_000);
    let told = carry(&log, &other).await.problem(409, "erasure-lines");
    assert_eq!(told["field"], "document.erase.upToOrdinal");
    let over = carried(&log, &world.anna, 1, 1_700_000_000);
    let told = carry(&log, &over).await.problem(422, "document-expired");
    assert_eq!(told["field"], "document.erase.expiresAt");
    let told = carry(&log, &carried(&log, &world.anna, 1, 4_000_000_000)).await;
    let told = told.problem(409, "erasure-refused");
    let index = told["index"].as_u64().unwrap();
    let line = log.get(&format!("/v1/entries/{index}")).bearer_auth(&world.anna_token);
    let line = Answer::of(line).await.json();
    let details: Value = serde_json::from_str(line["details"]["text"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&details["act"], &details["reason"]["kind"]),
        (&json!("refused"), &json!("retention"))
    );
    let one = &state(&log, &world).await["erasures"][0];
    assert_eq!((&one["state"], &one["reason"]), (&json!("refused"), &details["reason"]));
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_sets_and_lifts_holds_with_a_reason_and_a_name() {
    let log = Log::start().await;
    let world = World::new(&log).await;
    let send = |path: String, body: Value| {
        Answer::of(log.send(Method::POST, &path, &body).bearer_auth(&world.operator_token))
    };
    let good = json!({
        "subject": world.anna.address, "reason": "claim 12/2026", "orderedBy": "Harju court"
    });
    for (name, value) in
        [("subject", json!("me")), ("reason", json!("")), ("orderedBy", json!("a\nb"))]
    {
        let mut body = good.clone();
        body[name] = value;
        let told = send("/v1/holds".into(), body).await.problem(422, "invalid-field");
        assert_eq!(told["field"], name);
    }
    let hold = send("/v1/holds".into(), good).await;
    assert_eq!(hold.status, 201);
    let hold = hold.json();
    assert_eq!(hold["subject"], json!(world.anna.address.into_word()));
    let list = || Answer::of(log.get("/v1/holds").bearer_auth(&world.operator_token));
    assert_eq!(list().await.json()["holds"], json!([hold]));

    let refused = carry(&log, &carried(&log, &world.anna, 0, 4_000_000_000)).await;
    let told = refused.problem(409, "erasure-refused");
    assert!(told["detail"].as_str().unwrap().contains("claim 12/2026"), "{told}");
    let keeps = state(&log, &world).await["keepsRecords"].clone();
    let expected =
        json!({ "kind": "legal-hold", "reason": "claim 12/2026", "orderedBy": "Harju court" });
    assert_eq!(keeps, expected);

    let lift = format!("/v1/holds/{}/lift", hold["id"].as_str().unwrap());
    let why = json!({ "reason": "settled", "orderedBy": "Harju court" });
    assert_eq!(send(lift.clone(), why.clone()).await.status, 204);
    send(lift, why).await.problem(404, "no-such-hold");
    assert_eq!(list().await.json()["holds"], json!([]));
    let again = carry(&log, &carried(&log, &world.anna, 0, 4_000_000_001)).await;
    assert_eq!(again.status, 201);
    log.end().await;
}
