//! What one client takes too much of, it takes from itself.

use crate::people::{Person, World};
use crate::support::{Answer, Log, now_ms};
use medtrail_ledger::directory::code_hash;
use medtrail_ledger::entry::pseudonym;
use reqwest::Method;
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// A connection that has sent a head, and a body as far as it goes.
fn begin(log: &Log, from: &str, path: &str, framing: &str, body: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(log.address).unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: log\r\nx-forwarded-for: {from}\r\n\
         content-type: application/json\r\n{framing}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    stream
}

/// A batch too long for one report's body.
fn long_batch(log: &Log, first_event: u64) -> String {
    let sent: Vec<_> = (first_event..first_event + 3)
        .map(|event| {
            let details = format!("\"{}\"", "x".repeat(100_000));
            log.sign(log.fields(1, event, &details), details)
        })
        .collect();
    log.batch(&sent).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_bodies_of_an_outsider_keep_no_batch_out() {
    let log = Log::start().await;
    let slow: Vec<_> = (0..40)
        .map(|_| {
            let chunked = "transfer-encoding: chunked";
            begin(&log, "192.0.2.1", "/v1/reports", chunked, b"1\r\n{\r\n")
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let taken = Answer::of(log.post("application/json", long_batch(&log, 1))).await;
    assert_eq!(taken.status, 200, "{taken:?}");
    assert_eq!(log.service.head().size, 3);
    drop(slow);
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn long_bodies_of_strangers_leave_room_for_who_has_reported_before() {
    let log = Log::start().await;
    let from = |address: &'static str, body: String| {
        Answer::of(log.post("application/json", body).header("x-forwarded-for", address))
    };
    let known = "203.0.113.7";
    from(known, log.sent(1, 100).body()).await.receipt();
    // Somebody who only repeats what another one reported is a stranger still.
    let repeats = "203.0.113.8";
    from(repeats, log.sent(1, 100).body()).await.receipt();
    // The same for the batch below, which may be taken before the strangers' bodies have come.
    assert_eq!(from(known, long_batch(&log, 1)).await.status, 200);

    let body = vec![b' '; (4 << 20) - 1];
    let held: Vec<_> = ["192.0.2.1", "192.0.2.2"]
        .into_iter()
        .flat_map(|address| [address; 8])
        .map(|address| begin(&log, address, "/v1/reports", "content-length: 4194304", &body))
        .collect();
    let begun = Instant::now();
    let refused = loop {
        let answer = from(repeats, long_batch(&log, 1)).await;
        if answer.status != 200 || begun.elapsed() > Duration::from_secs(10) {
            break answer;
        }
    };
    refused.problem(503, "busy");
    let taken = from(known, long_batch(&log, 1)).await;
    assert_eq!(taken.status, 200, "{taken:?}");
    // What was held is given back.
    drop(held);
    let begun = Instant::now();
    while from(repeats, long_batch(&log, 1)).await.status != 200 {
        assert!(begun.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_document_s_body_is_refused_before_more_of_it_is_read() {
    let log = Log::start().await;
    let chunk = [b"5000\r\n".as_slice(), &[b' '; 0x5000]].concat();
    for (framing, body) in
        [("content-length: 262144", b"".as_slice()), ("transfer-encoding: chunked", &chunk)]
    {
        let mut stream = begin(&log, "192.0.2.1", "/v1/session", framing, body);
        let answer = tokio::task::spawn_blocking(move || {
            stream.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
            let mut answer = [0; 4096];
            let read = stream.read(&mut answer).expect("an answer before the body has come");
            String::from_utf8_lossy(&answer[..read]).into_owned()
        });
        let answer = answer.await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 413"), "{framing}: {answer}");
    }
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_neighbour_s_wrong_codes_keep_nobody_from_showing_a_right_one() {
    let log = Log::start().await;
    let world = World::new(&log).await;
    let invited = log.add_organisation(&world.operator_token, "Second").await;
    let key = log.service.key_of(log.custodian.address()).unwrap();
    let code = "ABCD-EFGH-2345";
    let issue = json!({
        "pseudonym": pseudonym(&key, b"Patient/p1"),
        "codeHash": code_hash(code),
        "expiresMs": now_ms() + 60_000,
    });
    let send = async |path: &str, token: &str, body| {
        Answer::of(log.send(Method::POST, path, &body).bearer_auth(token)).await
    };
    assert_eq!(send("/v1/bindings/codes", &world.clinic_token, issue).await.status, 204);

    // Desk codes: fewer than one person may try, by several from the same address.
    for guesser in [0xd1, 0xd2, 0xd3, 0xd4] {
        let token = Person::new(guesser).sign_in(&log).await;
        for _ in 0..5 {
            let wrong = send("/v1/bindings", &token, json!({ "code": "XXXX" })).await;
            wrong.problem(404, "no-such-code");
        }
    }
    // The bucket refills, by one in 6 s.
    let token = Person::new(0xd5).sign_in(&log).await;
    for (path, code) in [("/v1/bindings", "XXXX"), ("/v1/enrolments", "guess")] {
        let mut tries = 0;
        let refused = loop {
            let answer = send(path, &token, json!({ "code": code })).await;
            tries += 1;
            if answer.status == 429 || tries == 5 {
                break answer;
            }
        };
        refused.problem(429, "too-many-requests");
    }

    let right = send("/v1/bindings", &world.anna_token, json!({ "code": code })).await;
    assert_eq!(right.status, 200, "{right:?}");
    let right = json!({ "code": invited["invite"]["code"] });
    let right = send("/v1/enrolments", &world.other_token, right).await;
    assert_eq!(right.status, 201, "{right:?}");
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_by_post_are_counted_like_all_that_is_asked() {
    let log = Log::start().await;
    let ask = || {
        let request = log.http.post(log.url("/fhir/AuditEvent/_search"));
        Answer::of(request.header("x-forwarded-for", "192.0.2.1"))
    };
    let begun = Instant::now();
    loop {
        let answers = futures::future::join_all((0..200).map(|_| ask())).await;
        if answers.iter().any(|answer| answer.status == 429) {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "never told to wait");
    }
    log.end().await;
}
