//! `/v1/session`: signing in and out.

use crate::people::Person;
use crate::support::{Answer, Log, SITE};
use medtrail_ledger::consents::{ConsentEvent, ConsentRecord};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

fn signed(person: &Person, message: &str, bearer: bool) -> Value {
    json!({ "message": message, "signature": person.sign(message), "bearer": bearer })
}

fn sign_in(log: &Log, body: &Value) -> RequestBuilder {
    log.send(Method::POST, "/v1/session", body)
}

/// The cookie of an answer as a browser sends it back.
fn cookie(answer: &Answer) -> String {
    answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_signs_in_by_cookie_and_out_again() {
    let log = Log::start().await;
    let anna = Person::new(0xa1);
    let message = anna.challenge(&log).await;
    assert!(message.starts_with("medtrail.example wants you to sign in"), "{message}");
    let answer = sign_in(&log, &signed(&anna, &message, false)).header("origin", SITE);
    let answer = Answer::of(answer).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let set = answer.header("set-cookie").unwrap();
    for attribute in [
        "__Host-medtrail=mts_",
        "; HttpOnly",
        "; SameSite=Strict",
        "; Secure",
        "; Path=/",
        "; Max-Age=43200",
    ] {
        assert!(set.contains(attribute), "{attribute}: {set}");
    }
    let who = answer.json();
    assert_eq!(who["address"], json!(anna.address));
    assert_eq!((&who["roles"], &who["organisation"]), (&json!(["person"]), &Value::Null));
    assert_eq!(who.get("token"), None);

    let cookie = cookie(&answer);
    let asked = Answer::of(log.get("/v1/session").header("cookie", &cookie)).await;
    assert_eq!((asked.status.as_u16(), asked.json()), (200, who));

    let out = log.http.delete(log.url("/v1/session")).header("cookie", &cookie);
    let out = Answer::of(out.header("sec-fetch-site", "same-origin")).await;
    assert_eq!(out.status, 204);
    assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"));
    let after = Answer::of(log.get("/v1/session").header("cookie", &cookie)).await;
    after.problem(401, "signed-out");
    assert_eq!(after.header("www-authenticate"), Some("Bearer realm=\"medtrail\""));
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_signs_in_by_token_and_each_role_is_told() {
    let log = Log::start().await;
    for (byte, roles, has_organisation) in [
        (1, json!(["person", "operator"]), false),
        (2, json!(["person", "organisation"]), true),
        (3, json!(["person"]), false),
    ] {
        let person = Person::new(byte);
        let token = person.sign_in(&log).await;
        let answer = Answer::of(log.get("/v1/session").bearer_auth(token)).await;
        let who = answer.json();
        assert_eq!(who["roles"], roles);
        assert_eq!(who["organisation"].is_string(), has_organisation);
        assert_eq!(answer.header("set-cookie"), None);
    }
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_control_was_taken_from_signs_in_no_more_once_that_is_final() {
    let log = Log::start().await;
    let (old, new) = (Person::new(0xa1), Person::new(0xa2));
    let attempt = async |person: &Person| {
        let message = person.challenge(&log).await;
        Answer::of(sign_in(&log, &signed(person, &message, true))).await
    };
    let event = ConsentEvent::ControlMoved { controller: new.address, at_s: 7 };
    log.chain.records.lock().unwrap().push(ConsentRecord { event, is_final: false });
    assert_eq!(attempt(&old).await.status, 200, "a block that may go away takes nothing away");
    log.chain.records.lock().unwrap()[0].is_final = true;
    attempt(&old).await.problem(403, "control-lost");
    assert_eq!(attempt(&new).await.status, 200);
    // An organisation's key and the operator's are not asked: they act for nobody's address.
    assert_eq!(attempt(&Person::new(1)).await.status, 200);
    assert_eq!(attempt(&Person::new(2)).await.status, 200);
    // A message that signed in before is refused for that, and the chain is not asked.
    let message = old.challenge(&log).await;
    log.chain.records.lock().unwrap()[0].is_final = false;
    let sent = signed(&old, &message, true);
    assert_eq!(Answer::of(sign_in(&log, &sent)).await.status, 200);
    log.chain.records.lock().unwrap()[0].is_final = true;
    Answer::of(sign_in(&log, &sent)).await.problem(422, "nonce-unknown");
    // Nobody is shut out because no node answers.
    log.chain.is_away.store(true, Ordering::SeqCst);
    assert_eq!(attempt(&old).await.status, 200);
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_message_signs_in_once() {
    let log = Log::start().await;
    let anna = Person::new(0xa1);
    let message = anna.challenge(&log).await;
    let body = signed(&anna, &message, true);
    assert_eq!(Answer::of(sign_in(&log, &body)).await.status, 200);
    Answer::of(sign_in(&log, &body)).await.problem(422, "nonce-unknown");
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_signed_for_this_place_by_this_person_signs_nobody_in() {
    let log = Log::start().await;
    let (anna, eve) = (Person::new(0xa1), Person::new(0xe1));
    let message = anna.challenge(&log).await;
    let refused = |body: Value| {
        let request = sign_in(&log, &body);
        async move { Answer::of(request).await.problem(422, "sign-in-refused") }
    };
    let of_eve = json!({ "message": message, "signature": eve.sign(&message), "bearer": true });
    assert_eq!(refused(of_eve).await["field"], "signature");
    for (from, to) in [
        ("medtrail.example wants", "evil.example wants"),
        ("URI: https://medtrail", "URI: https://other"),
        ("Chain ID: 4242", "Chain ID: 1"),
    ] {
        let changed = message.replacen(from, to, 1);
        assert_ne!(changed, message);
        assert_eq!(refused(signed(&anna, &changed, true)).await["field"], "message");
    }
    // Eve's own message names her: Anna's nonce is not hers.
    let hers = message.replacen(&anna.address.to_string(), &eve.address.to_string(), 1);
    let stolen = Answer::of(sign_in(&log, &signed(&eve, &hers, true))).await;
    stolen.problem(422, "nonce-unknown");
    // The nonce was tried, by somebody else and in vain: it is used up all the same.
    let late = Answer::of(sign_in(&log, &signed(&anna, &message, true))).await;
    late.problem(422, "nonce-unknown");

    let unknown = json!({ "message": message, "signature": "0x", "more": 1 });
    let answer = Answer::of(sign_in(&log, &unknown)).await;
    assert_eq!(answer.problem(422, "invalid-field")["field"], "more");
    let long = json!({ "message": "x".repeat(20_000), "signature": "0x" });
    Answer::of(sign_in(&log, &long)).await.problem(413, "body-too-long");
    Answer::of(log.get("/v1/session/nonce")).await.problem(422, "invalid-query");
    Answer::of(log.get("/v1/session/nonce?address=0x12")).await.problem(422, "invalid-query");
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_site_s_page_neither_signs_in_nor_out() {
    let log = Log::start().await;
    let anna = Person::new(0xa1);
    for (name, value) in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("accept", "*/*"),
    ] {
        let message = anna.challenge(&log).await;
        let request = sign_in(&log, &signed(&anna, &message, false)).header(name, value);
        Answer::of(request).await.problem(403, "cross-site");
    }
    let message = anna.challenge(&log).await;
    let request = sign_in(&log, &signed(&anna, &message, false)).header("origin", SITE);
    let cookie = cookie(&Answer::of(request).await);
    let out = || log.http.delete(log.url("/v1/session")).header("cookie", &cookie);
    // A page may set neither header; where both stand, the stricter one is believed.
    let mixed = out().header("origin", SITE).header("sec-fetch-site", "cross-site");
    Answer::of(mixed).await.problem(403, "cross-site");
    Answer::of(out()).await.problem(403, "cross-site");
    let still = Answer::of(log.get("/v1/session").header("cookie", &cookie)).await;
    assert_eq!(still.status, 200);
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_none_is_told_so_whatever_it_looks_like() {
    let log = Log::start().await;
    let token = Person::new(0xa1).sign_in(&log).await;
    let almost = format!("{}0", &token[..token.len() - 1]);
    for header in ["Bearer", "Bearer ", "Basic YTpi", "Bearer mts_0", "Bearer mtk_0", "Bearer é"] {
        let answer = Answer::of(log.get("/v1/session").header("authorization", header)).await;
        answer.problem(401, "signed-out");
    }
    if almost != token {
        let answer = Answer::of(log.get("/v1/session").bearer_auth(almost)).await;
        answer.problem(401, "signed-out");
    }
    let right =
        Answer::of(log.get("/v1/session").header("authorization", format!("bearer {token}")));
    assert_eq!(right.await.status, 200);
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_signs_in_too_often_is_told_to_wait_but_others_are_not() {
    let log = Log::start().await;
    let ask = |from: &'static str| {
        let path = "/v1/session/nonce?address=0x00000000000000000000000000000000000000a1";
        Answer::of(log.get(path).header("x-forwarded-for", from))
    };
    let mut last = ask("192.0.2.1").await;
    for _ in 0..400 {
        if last.status != 200 {
            break;
        }
        last = ask("192.0.2.1").await;
    }
    last.problem(429, "too-many-requests");
    assert_eq!(ask("192.0.2.2").await.status, 200);
    log.end().await;
}
