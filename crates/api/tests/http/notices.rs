//! Channels for notices over HTTP: chosen by the person alone, confirmed by who reads the mail.

use crate::people::World;
use crate::support::{Answer, CODE, Log};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

async fn put(log: &Log, token: &str, path: &str, body: &Value) -> Answer {
    Answer::of(log.send(Method::PUT, path, body).bearer_auth(token)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_chooses_channels_and_confirms_the_address_once() {
    let log = Log::start().await;
    let world = World::new(&log).await;
    let path = format!("/v1/subjects/{}/notices", world.anna.address);
    let read = || Answer::of(log.get(&path).bearer_auth(&world.anna_token));
    let none = read().await.json();
    let available = json!({ "email": true, "webhook": true });
    assert_eq!((&none["available"], &none["email"]), (&available, &Value::Null));

    let email = json!({ "address": "mari@example.org", "when": "daily", "language": "et" });
    let webhook = json!({ "url": "https://mari.example/hook" });
    let body = json!({ "email": email, "webhook": webhook });
    let set = put(&log, &world.anna_token, &path, &body).await;
    assert_eq!((set.status.as_u16(), set.header("cache-control")), (200, Some("no-store")));
    let set = set.json();
    assert!(set["webhook"]["secret"].as_str().unwrap().starts_with("whsec_"));
    assert_eq!(
        (&set["email"]["confirmed"], &set["email"]["when"]),
        (&json!(false), &json!("daily"))
    );
    assert_eq!(read().await.json()["webhook"], webhook, "the secret is shown once");
    put(&log, &world.anna_token, &path, &body).await.problem(429, "too-many-requests");

    let mut code = None;
    for _ in 0..200 {
        code = CODE.lock().unwrap().clone();
        if code.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let confirm = |code: &str| {
        Answer::of(log.send(Method::POST, "/v1/notices/confirm", &json!({ "code": code })))
    };
    confirm("00").await.problem(404, "no-such-code");
    let code = code.expect("a mail with a code");
    assert_eq!(confirm(&code).await.status, 204);
    confirm(&code).await.problem(404, "no-such-code");
    assert_eq!(read().await.json()["email"]["confirmed"], json!(true));

    // All at once: what is left out ends.
    let set = put(&log, &world.anna_token, &path, &json!({ "email": email })).await.json();
    assert_eq!((&set["webhook"], &set["email"]["confirmed"]), (&Value::Null, &json!(true)));
    let set = put(&log, &world.anna_token, &path, &json!({})).await.json();
    assert_eq!(set["email"], Value::Null);
    // Nor is a stranger's address flooded by choosing anew.
    put(&log, &world.anna_token, &path, &json!({ "email": email }))
        .await
        .problem(429, "too-many-requests");
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn channels_that_lead_nowhere_good_are_refused() {
    let log = Log::start().await;
    let world = World::new(&log).await;
    let path = format!("/v1/subjects/{}/notices", world.anna.address);
    let email = |address: &str, when: &str, language: &str| json!({ "email": { "address": address, "when": when, "language": language } });
    for (body, field) in [
        (email("mari", "daily", "en"), "email.address"),
        (email("m@e.org\r\nBcc: x@e.org", "daily", "en"), "email.address"),
        (email("mari@example.org", "hourly", "en"), "email.when"),
        (email("mari@example.org", "daily", "english language"), "email.language"),
        (json!({ "webhook": { "url": "http://mari.example/" } }), "webhook.url"),
        (json!({ "webhook": { "url": "https://user@mari.example/" } }), "webhook.url"),
        (json!({ "pigeon": {} }), "pigeon"),
    ] {
        let refused = put(&log, &world.anna_token, &path, &body).await;
        assert_eq!(refused.problem(422, "invalid-field")["field"], field, "{body}");
    }
    for token in [&world.other_token, &world.clinic_token, &world.operator_token, &world.api_key] {
        put(&log, token, &path, &json!({})).await.problem(404, "no-such-trail");
    }
    log.end().await;
}
