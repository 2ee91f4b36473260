//! `POST /v1/reports`, many at a time.

use crate::people::World;
use crate::support::{Answer, Log, Sent};
use alloy_primitives::B256;
use medtrail_ledger::proof::Evidence;
use medtrail_ledger::receipt::Receipt;
use medtrail_ledger::schema::Report;
use medtrail_oracle::room::QUEUE_REPORTS_MAX;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const READ: &str = include_str!("../../../../tests/data/fhir/patient-read.json");

/// Reports whose details `serde_json` spells alike.
fn plain(log: &Log, events: std::ops::Range<u64>) -> Vec<Sent> {
    let one = |event: u64| {
        let details = format!(r#"{{"id":{event}}}"#);
        log.sign(log.fields(event % 5, event, &details), details)
    };
    events.map(one).collect()
}

async fn post_batch(log: &Log, batch: &Value) -> Answer {
    Answer::of(log.post("application/json", batch.to_string())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_under_one_signature_gets_a_receipt_for_each_of_its_reports_in_order() {
    let log = Log::start().await;
    for (round, count) in [1, 2, 3, 100, 257].into_iter().enumerate() {
        let first = round as u64 * 1000;
        let reports = plain(&log, first..first + count);
        let answer = post_batch(&log, &log.batch(&reports)).await;
        assert_eq!(answer.status, 200);
        let outcomes = answer.json()["outcomes"].as_array().unwrap().clone();
        assert_eq!(outcomes.len(), reports.len());
        for (item, (outcome, sent)) in outcomes.iter().zip(&reports).enumerate() {
            assert_eq!((&outcome["item"], &outcome["status"]), (&json!(item), &json!(201)));
            let receipt: Receipt = serde_json::from_value(outcome["receipt"].clone()).unwrap();
            log.assert_binding(&receipt, sent);
            let entry = log.service.entry(receipt.index).unwrap();
            assert_eq!(entry.details.unwrap(), sent.details.as_bytes());
            assert!(entry.evidence.verify(&entry.report, &log.keys.domain()).unwrap());
            assert!(matches!(entry.evidence, Evidence::Batch(_)));
        }
    }
    assert_eq!(log.service.head().size, 1 + 2 + 3 + 100 + 257);
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_report_of_a_batch_stands_or_falls_by_itself() {
    let log = Log::start().await;
    let mut reports = plain(&log, 0..4);
    reports[1].report.kind = 9;
    let conflicting = Report { action: b'U', ..reports[2].report.clone() };
    log.report(&log.sign(conflicting, reports[2].details.clone())).await.receipt();
    let mut batch = log.batch(&reports);
    batch["items"][3]["details"] = json!({ "id": "another" });
    let outcomes = post_batch(&log, &batch).await.json()["outcomes"].clone();
    let told: Vec<_> = (0..4)
        .map(|item| {
            let outcome = &outcomes[item];
            (outcome["status"].as_u64().unwrap(), outcome["problem"]["type"].as_str())
        })
        .collect();
    assert_eq!(
        told,
        [
            (201, None),
            (422, Some("/problems/kind-not-reported")),
            (409, Some("/problems/event-conflict")),
            (422, Some("/problems/details-mismatch")),
        ]
    );
    assert_eq!(outcomes[1]["problem"]["field"], "report.kind");
    assert_eq!(log.service.head().size, 2);
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_not_what_was_signed_is_refused_whole_by_name() {
    let log = Log::start().await;
    let reports = plain(&log, 0..3);
    let good = log.batch(&reports);
    let with = |change: &dyn Fn(&mut Value)| {
        let mut batch = good.clone();
        change(&mut batch);
        batch
    };
    let reversed: Vec<Sent> = reports.iter().rev().cloned().collect();
    let field = "invalid-field";
    let cases = [
        (with(&|b| b["root"] = json!(B256::ZERO)), "root-mismatch", Some("root")),
        (
            with(&|b| b["items"] = log.batch(&reversed)["items"].clone()),
            "root-mismatch",
            Some("root"),
        ),
        (with(&|b| b["items"][1]["report"]["kind"] = json!(2)), "root-mismatch", Some("root")),
        (with(&|b| b["count"] = json!(4)), "count-mismatch", Some("count")),
        (
            with(&|b| drop(b["items"].as_array_mut().unwrap().pop())),
            "count-mismatch",
            Some("count"),
        ),
        (with(&|b| b["items"] = json!([])), field, Some("items")),
        (with(&|b| drop(b.as_object_mut().unwrap().remove("root"))), field, Some("root")),
        (with(&|b| drop(b.as_object_mut().unwrap().remove("count"))), field, Some("count")),
        (with(&|b| b["report"] = json!(reports[0].report)), field, Some("report")),
        (with(&|b| b["details"] = json!(1)), field, Some("details")),
        (with(&|b| b["items"][2]["note"] = json!(1)), field, Some("items[2].note")),
        (
            with(&|b| b["items"][1]["report"]["timeMs"] = json!("x")),
            field,
            Some("items[1].report.timeMs"),
        ),
    ];
    for (batch, slug, blamed) in cases {
        let problem = post_batch(&log, &batch).await.problem(422, slug);
        assert_eq!(problem["field"].as_str(), blamed, "{problem}");
    }
    let many = log.batch(&plain(&log, 0..1001));
    let problem = post_batch(&log, &many).await.problem(413, "too-many-reports");
    assert!(problem["detail"].as_str().unwrap().contains("at most 1000"), "{problem}");
    assert_eq!(log.service.head().size, 0);

    // A wrong signature of the batch is wrong for each of its reports.
    let other = log.batch(&plain(&log, 5..8));
    let answer = post_batch(&log, &with(&|b| b["signature"] = other["signature"].clone())).await;
    for outcome in answer.json()["outcomes"].as_array().unwrap() {
        assert_eq!(outcome["problem"]["type"], "/problems/signer-mismatch");
    }
    assert_eq!(log.service.head().size, 0);
    assert_eq!(post_batch(&log, &good).await.json()["outcomes"][2]["status"], 201);
    assert_eq!(log.service.head().size, 3);
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_line_of_ndjson_is_a_report_of_its_own_with_an_answer_of_its_own() {
    let log = Log::start().await;
    let (one, two, long) = (log.sent(1, 1), log.sent(2, 2), "x".repeat(262_144));
    let body = format!(
        "{}\n\n{{\"report\":1}}\r\nnonsense\n{}\r\n{{\"{long}\":1}}\n  \n{}\n",
        one.body(),
        two.body(),
        log.batch(&plain(&log, 7..8)),
    );
    let answer = Answer::of(log.post("application/x-ndjson", body)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    let text = String::from_utf8(answer.body).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<_> = lines
        .iter()
        .map(|line| (line["line"].as_u64().unwrap(), line["problem"]["type"].as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (1, None),
            (3, Some("/problems/invalid-field")),
            (4, Some("/problems/malformed-json")),
            (5, None),
            (6, Some("/problems/body-too-long")),
            (8, Some("/problems/invalid-field")),
        ]
    );
    assert_eq!(lines[1]["problem"]["field"], "report");
    for (line, sent) in [(0, &one), (3, &two)] {
        let receipt: Receipt = serde_json::from_value(lines[line]["receipt"].clone()).unwrap();
        log.assert_binding(&receipt, sent);
    }
    assert_eq!(log.service.head().size, 2);
    let lines = "\n{}".repeat(1001);
    let answer = Answer::of(log.post("application/x-ndjson", lines)).await;
    answer.problem(413, "too-many-reports");
    log.end().await;
}

/// The story: a gateway runs wild while the disk stands still.
#[tokio::test(flavor = "multi_thread")]
async fn who_holds_half_of_the_queue_is_told_to_come_back_and_others_are_not() {
    let log = Log::start().await;
    let world = World::new(&log).await;
    let begun = log.service.head().size;
    log.disk.shut();
    // One report holds the writer at the gate; whatever follows stays in the queue.
    let held = tokio::spawn(log.post("application/json", log.sent(1, 1).body()).send());
    let mut waiting = Vec::new();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut filled = 0;
    for size in [1000; 8].into_iter().chain([191]) {
        let batch = log.batch(&plain(&log, 10_000 + filled..10_000 + filled + size)).to_string();
        waiting.push(tokio::spawn(log.post("application/json", batch).send()));
        filled += size;
    }
    assert_eq!(1 + filled, QUEUE_REPORTS_MAX as u64 / 2);
    let until = Instant::now() + Duration::from_secs(30);
    let is_queued = async |count: u64| {
        while (log.service.queued() as u64) < count {
            assert!(Instant::now() < until, "{} queued", log.service.queued());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    is_queued(filled).await;
    let refused = log.sent(2, 2);
    log.report(&refused).await.problem(503, "busy");
    let batch = log.batch(&plain(&log, 90_000..90_002));
    let answer = post_batch(&log, &batch).await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (200, Some("1")));
    for outcome in answer.json()["outcomes"].as_array().unwrap() {
        assert_eq!(
            (&outcome["status"], &outcome["problem"]["type"]),
            (&json!(503), &json!("/problems/busy"))
        );
    }
    // Another organisation finds room, by its signature and by its API key.
    let other = log.by_other(0x44, &log.sent(3, 3));
    let others = tokio::spawn(log.post("application/json", other.body()).send());
    let event = log.http.post(log.url("/fhir/AuditEvent")).bearer_auth(&world.api_key);
    let event = event.header("content-type", "application/json");
    let event = tokio::spawn(event.body(READ).send());
    is_queued(filled + 2).await;
    assert_eq!(log.service.head().size, begun);

    log.disk.open();
    assert_eq!(others.await.unwrap().unwrap().status(), 201);
    assert_eq!(event.await.unwrap().unwrap().status(), 201);
    assert_eq!(held.await.unwrap().unwrap().status(), 201);
    for answered in waiting {
        let outcomes: Value = answered.await.unwrap().unwrap().json().await.unwrap();
        assert!(outcomes["outcomes"].as_array().unwrap().iter().all(|one| one["status"] == 201));
    }
    assert_eq!(log.service.head().size, begun + 3 + filled);
    log.assert_binding(&log.report(&refused).await.receipt(), &refused);
    log.end().await;
}
