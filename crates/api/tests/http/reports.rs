//! `POST /v1/reports`, one at a time.

use crate::support::{Answer, CHAIN, Fault, Log, REGISTRY, Sent, now_ms};
use alloy_primitives::B256;
use medtrail_keys::reporter::ReporterKey;
use medtrail_ledger::schema::{Report, domain};
use serde_json::Value;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_answered_with_a_receipt_that_binds_the_log() {
    let log = Log::start().await;
    let sent = log.sent(7, 1);
    let answer = log.report(&sent).await;
    let receipt = answer.receipt();
    log.assert_binding(&receipt, &sent);
    assert_eq!(answer.header("location"), Some("/v1/entries/0"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(log.service.entry(0).unwrap().details.unwrap(), sent.details.as_bytes());

    let again = log.report(&sent).await;
    assert_eq!(again.receipt().place_hash, receipt.place_hash);
    assert_eq!(again.header("location"), Some("/v1/entries/0"));
    assert_eq!(log.service.head().size, 1);
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn details_are_taken_as_the_very_bytes_of_any_json_value_or_not_at_all() {
    let log = Log::start().await;
    let deep = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    let values = [
        "{}",
        "{ \"b\" : 1,\n\t\"a\":1.0e+2,\"a\":\"\\u0000\\/é\" }",
        "\"text\"",
        "-0.00",
        "true",
        "123456789012345678901234567890",
        &deep,
    ];
    for (event, details) in values.iter().enumerate() {
        let report = log.fields(1, event as u64, details);
        let sent = log.sign(report, (*details).to_owned());
        let spaced = sent.body().replace(r#","details":"#, ",\"details\" : \r\n ");
        let answer = Answer::of(log.post("application/json; charset=UTF-8", spaced)).await;
        let receipt = answer.receipt();
        log.assert_binding(&receipt, &sent);
        let entry = log.service.entry(receipt.index).unwrap();
        assert_eq!(entry.details.unwrap(), details.as_bytes());
    }
    for (event, without) in [(100, ""), (101, r#""details":null,"#)] {
        let sent = log.sent(1, event);
        let details = format!(r#""details":{},"#, sent.details);
        let body = sent.body().replace(&details, without);
        let receipt = Answer::of(log.post("application/json", body)).await.receipt();
        assert_eq!(log.service.entry(receipt.index).unwrap().details, None);
    }
    log.end().await;
}

/// What is sent, what it is refused with, which field is blamed, and a word of the detail.
struct Refusal {
    name: &'static str,
    body: Vec<u8>,
    status: u16,
    slug: &'static str,
    field: Option<&'static str>,
    says: String,
}

fn refusal(
    name: &'static str,
    body: impl Into<Vec<u8>>,
    (status, slug): (u16, &'static str),
    field: impl Into<Option<&'static str>>,
    says: impl Into<String>,
) -> Refusal {
    let (body, field, says) = (body.into(), field.into(), says.into());
    Refusal { name, body, status, slug, field, says }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_bad_report_is_refused_by_name_writes_nothing_and_is_taken_once_corrected() {
    let log = Log::start().await;
    let good = log.sent(7, 1);
    let changed = |change: &dyn Fn(&mut Report)| {
        let mut report = good.report.clone();
        change(&mut report);
        log.sign(report, good.details.clone()).body()
    };
    let replaced = |from: &str, to: &str| {
        let body = good.body();
        assert!(body.contains(from), "{from}");
        body.replacen(from, to, 1)
    };
    let far = now_ms() + 10 * 60 * 1000;
    let stranger = ReporterKey::from_bytes(&[5; 32]).unwrap();
    let by_stranger = {
        let report = Report { actor: stranger.address(), ..good.report.clone() };
        let signature = stranger.sign(&report, &domain(CHAIN, REGISTRY)).to_string();
        Sent { report, signature, ..good.clone() }.body()
    };
    let long = format!("\"{}\"", "x".repeat(262_144));
    let too_long = log.sign(log.fields(7, 1, &long), long).body();
    let relayed = r#"{"version":"medtrail/relayed-v1","organisation":"0x11","document":{}}"#;
    let reserved = log.sign(log.fields(7, 1, relayed), relayed.to_owned()).body();
    let report_again = format!(r#"{{"report":{},"#, serde_json::to_string(&good.report).unwrap());

    let (json, field) = ((400, "malformed-json"), (422, "invalid-field"));
    let mut cases = vec![
        refusal("nothing", "", json, None, "line 1"),
        refusal("no JSON", "report", json, None, "line 1 column 1"),
        refusal("cut off", &good.body()[..700], json, None, "EOF"),
        refusal("more behind it", good.body() + "{}", json, None, "trailing"),
        refusal("a NUL byte", replaced("AuditEvent", "Audit\0Event"), json, None, "control"),
        refusal("a NUL byte behind it", good.body() + "\0", json, None, "trailing"),
        refusal(
            "no UTF-8",
            {
                let mut body = good.body().into_bytes();
                let at = body.windows(5).position(|part| part == b"Audit").unwrap();
                body[at] = 0xff;
                body
            },
            json,
            None,
            "unicode",
        ),
        refusal("an array", "[]", field, None, "invalid"),
        refusal("a number", "7", field, None, "invalid type"),
        refusal("an empty object", "{}", field, "signature", "missing field"),
        refusal("no report", r#"{"signature":"0x"}"#, field, "report", "missing"),
        refusal(
            "no signature",
            replaced(r#","signature":"#, r#","items":null,"x":"#),
            field,
            "x",
            "unknown field",
        ),
        refusal(
            "an unknown field",
            replaced(r#"{"report""#, r#"{"note":1,"report""#),
            field,
            "note",
            "unknown field",
        ),
        refusal(
            "an unknown field of the report",
            replaced(r#""kind":"#, r#""mood":1,"kind":"#),
            field,
            "report.mood",
            "unknown field",
        ),
        refusal(
            "a field twice",
            replaced(r#""kind":1"#, r#""kind":1,"kind":1"#),
            field,
            "report.kind",
            "duplicate field",
        ),
        refusal(
            "the report twice",
            replaced(r#"{"#, &report_again),
            field,
            "report",
            "duplicate field",
        ),
        refusal(
            "a missing field",
            replaced(r#""kind":1,"#, ""),
            field,
            "report.kind",
            "missing field",
        ),
        refusal(
            "an integer beyond its type",
            replaced(r#""kind":1"#, r#""kind":256"#),
            field,
            "report.kind",
            "256",
        ),
        refusal(
            "a negative integer",
            replaced(r#""kind":1"#, r#""kind":-1"#),
            field,
            "report.kind",
            "-1",
        ),
        refusal(
            "a fraction",
            replaced(r#""kind":1"#, r#""kind":1.5"#),
            field,
            "report.kind",
            "1.5",
        ),
        refusal(
            "an integer beyond 64 bits",
            replaced("1767605400120", "18446744073709551616"),
            field,
            "report.timeMs",
            "1.8446744073709552e+19",
        ),
        refusal(
            "an integer beyond reason",
            replaced("1767605400120", &"9".repeat(400)),
            json,
            None,
            "number out of range",
        ),
        refusal(
            "an integer as text",
            replaced(r#""kind":1"#, r#""kind":"1""#),
            field,
            "report.kind",
            "string",
        ),
        refusal(
            "too short a hash",
            replaced(r#""record":"0x"#, r#""record":"0x","x":"0x"#),
            field,
            "report.record",
            "string length",
        ),
        refusal(
            "no hex",
            replaced(r#""signature":"0x"#, r#""signature":"0y"#),
            field,
            "signature",
            "invalid",
        ),
        refusal(
            "another log",
            changed(&|r| r.log = B256::ZERO),
            (422, "wrong-log"),
            "report.log",
            "this log is",
        ),
        refusal(
            "the log's own kind",
            changed(&|r| r.kind = 9),
            (422, "kind-not-reported"),
            "report.kind",
            "report.kind is 9",
        ),
        refusal(
            "no kind",
            changed(&|r| r.kind = 0),
            (422, "kind-not-reported"),
            "report.kind",
            "report.kind is 0",
        ),
        refusal(
            "no action",
            changed(&|r| r.action = b'Z'),
            (422, "unknown-action"),
            "report.action",
            "90",
        ),
        refusal(
            "no event id",
            changed(&|r| r.eventId = B256::ZERO),
            (422, "event-id-missing"),
            "report.eventId",
            "zero",
        ),
        refusal(
            "the future",
            changed(&|r| r.timeMs = far),
            (422, "time-ahead"),
            "report.timeMs",
            "300000 ms",
        ),
        refusal(
            "the end of time",
            changed(&|r| r.timeMs = u64::MAX),
            (422, "time-ahead"),
            "report.timeMs",
            "18446744073709551615",
        ),
        refusal(
            "a changed byte of details",
            replaced("1.50e0", "1.51e0"),
            (422, "details-mismatch"),
            "details",
            "SHA-256",
        ),
        refusal(
            "a blank less in details",
            replaced("{ \"resource", "{\"resource"),
            (422, "details-mismatch"),
            "details",
            "SHA-256",
        ),
        refusal(
            "a document of the log's own",
            reserved,
            (422, "details-reserved"),
            "details",
            "medtrail/relayed-v1",
        ),
        refusal(
            "a changed report",
            replaced(r#""kind":1"#, r#""kind":2"#),
            (422, "signer-mismatch"),
            "signature",
            "but the report names",
        ),
        refusal(
            "an unknown custodian",
            by_stranger,
            (403, "unknown-custodian"),
            "report.actor",
            "not a key",
        ),
        refusal("too long", too_long, (413, "body-too-long"), None, "262144"),
        refusal(
            "a batch's count",
            replaced(r#","signature""#, r#","count":1,"signature""#),
            field,
            "count",
            "batch",
        ),
    ];
    let vectors: Value =
        serde_json::from_str(include_str!("../../../../tests/vectors/signatures.json")).unwrap();
    for vector in vectors["cases"].as_array().unwrap() {
        let signature = vector["signature"].as_str().unwrap().to_owned();
        let body = Sent { signature, ..good.clone() }.body();
        let (slug, says) = match vector["refusal"].as_str() {
            Some(refusal) => ("signature-refused", refusal),
            // Another key's, or none's at all: over this digest nobody knows beforehand.
            None => continue,
        };
        cases.push(refusal("a signature vector", body, (422, slug), "signature", says));
    }
    assert!(cases.len() > 50, "the vectors were read");

    for Refusal { name, body, status, slug, field, says } in cases {
        let answer = Answer::of(log.post("application/json", body)).await;
        assert_eq!(answer.status, status, "{name}: {}", String::from_utf8_lossy(&answer.body));
        let problem = answer.problem(status, slug);
        assert_eq!(problem["field"].as_str(), field, "{name}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(&says), "{name}: {problem}");
        assert_eq!(log.service.head().size, 0, "{name}");
    }
    log.assert_binding(&log.report(&good).await.receipt(), &good);
    assert_eq!(log.service.head().size, 1);
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_media_types_are_refused() {
    let log = Log::start().await;
    let good = log.sent(7, 1);
    for media_type in ["text/plain", "application/xml", "application/json; charset=latin1", "json"]
    {
        let answer = Answer::of(log.post(media_type, good.body())).await;
        let problem = answer.problem(415, "media-type");
        assert!(problem["detail"].as_str().unwrap().contains(media_type), "{problem}");
    }
    let bare = log.http.post(log.url("/v1/reports")).body(good.body());
    Answer::of(bare).await.problem(415, "media-type");
    let packed = log.post("application/json", good.body()).header("content-encoding", "gzip");
    Answer::of(packed).await.problem(415, "media-type");
    assert_eq!(log.service.head().size, 0);
    log.report(&good).await.receipt();
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_event_with_another_content_is_a_conflict_that_names_the_entry() {
    let log = Log::start().await;
    log.report(&log.sent(3, 9)).await.receipt();
    let first = log.sent(7, 1);
    log.report(&first).await.receipt();
    let other = Report { action: b'U', ..first.report.clone() };
    let refused = log.report(&log.sign(other, first.details.clone())).await;
    let problem = refused.problem(409, "event-conflict");
    assert_eq!((&problem["index"], &problem["field"]), (&1.into(), &"report.eventId".into()));
    assert_eq!(log.service.head().size, 2);
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_failing_disk_does_is_told_and_the_same_report_is_taken_afterwards() {
    for (fault, slug, written) in [
        (Fault::Fails, "outcome-unknown", 1),
        (Fault::FailsButPersists, "outcome-unknown", 2),
        (Fault::Full, "disk-full", 1),
    ] {
        let log = Log::start().await;
        log.report(&log.sent(7, 1)).await.receipt();
        log.disk.fail_next(fault);
        let sent = log.sent(7, 2);
        log.report(&sent).await.problem(503, slug);
        let until = Instant::now() + Duration::from_secs(10);
        while log.service.head().size < written {
            assert!(Instant::now() < until, "{fault:?}: the writer never looked again");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let receipt = log.report(&sent).await.receipt();
        log.assert_binding(&receipt, &sent);
        assert_eq!((receipt.index, log.service.head().size), (1, 2), "{fault:?}");
        log.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_has_stopped_says_so() {
    let log = Log::start().await;
    log.disk.fail_next(Fault::Fatal);
    log.report(&log.sent(7, 1)).await.problem(503, "outcome-unknown");
    let until = Instant::now() + Duration::from_secs(10);
    while log.service.takes_reports() {
        assert!(Instant::now() < until);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    log.report(&log.sent(7, 1)).await.problem(503, "stopped");
    let ready = Answer::of(log.get("/readyz")).await;
    assert_eq!((ready.status.as_u16(), ready.header("retry-after")), (503, Some("5")));
    assert_eq!(ready.json()["ready"], false);
    assert_eq!(Answer::of(log.get("/healthz")).await.status, 200);
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_long_is_refused_before_and_while_it_is_read() {
    let log = Log::start().await;
    let long = vec![b' '; 5 << 20];
    // Announced, and in chunks of which nobody said how many there are.
    Answer::of(log.post("application/json", long.clone())).await.problem(413, "body-too-long");
    let chunked = raw_post(log.address, &long).await;
    assert!(chunked.starts_with("HTTP/1.1 413"), "{chunked}");
    assert!(chunked.contains("/problems/body-too-long"), "{chunked}");
    log.report(&log.sent(7, 1)).await.receipt();
    log.end().await;
}

/// Sends `body` chunked and returns what comes back.
async fn raw_post(address: std::net::SocketAddr, body: &[u8]) -> String {
    let body = body.to_vec();
    let sending = tokio::task::spawn_blocking(move || {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let head = "POST /v1/reports HTTP/1.1\r\nhost: log\r\nconnection: close\r\n\
                    content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        for chunk in body.chunks(64 << 10) {
            // The server may have answered and closed already: that is the point.
            let size = format!("{:x}\r\n", chunk.len());
            let sent = stream
                .write_all(size.as_bytes())
                .and_then(|()| stream.write_all(chunk))
                .and_then(|()| stream.write_all(b"\r\n"));
            if sent.is_err() {
                break;
            }
        }
        let mut answer = Vec::new();
        let mut piece = [0; 4096];
        while let Ok(read @ 1..) = stream.read(&mut piece) {
            answer.extend_from_slice(&piece[..read]);
        }
        String::from_utf8_lossy(&answer).into_owned()
    });
    sending.await.unwrap()
}
