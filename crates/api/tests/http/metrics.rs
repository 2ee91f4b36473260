//! `/metrics`, on the operator's port alone.

use crate::support::{Answer, Log};

#[tokio::test(flavor = "multi_thread")]
async fn metrics_stand_on_their_own_port_and_nothing_else_does() {
    let log = Log::start().await;
    Answer::of(log.get("/metrics")).await.problem(404, "not-found");
    for path in ["/", "/readyz", "/v1/anchors", "/log/checkpoint"] {
        let answer = Answer::of(log.http.get(format!("http://{}{path}", log.metrics_address)));
        answer.await.problem(404, "not-found");
    }
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_count_what_came_of_reports_and_say_how_far_behind_anchors_are() {
    let log = Log::start().await;
    log.report(&log.sent(1, 1)).await.receipt();
    log.report(&log.sent(1, 1)).await.receipt();
    Answer::of(log.post("application/json", "{")).await.problem(400, "malformed-json");
    log.status.send_modify(|status| status.lag_entries = 17);
    let answer = Answer::of(log.http.get(format!("http://{}/metrics", log.metrics_address))).await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    let text = String::from_utf8(answer.body).unwrap();
    for line in [
        "medtrail_entries 1",
        "medtrail_queued_reports 0",
        "medtrail_anchor_lag_entries 17",
        "medtrail_anchoring{state=\"starting\"} 1",
        "medtrail_anchoring{state=\"failing\"} 0",
        "medtrail_reports_total{outcome=\"taken\"} 2",
        "medtrail_reports_total{outcome=\"malformed-json\"} 1",
        "medtrail_request_seconds_count{method=\"POST\",route=\"/v1/reports\",status=\"201\"} 2",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    let memory = text.lines().find(|line| line.starts_with("process_resident_memory_bytes "));
    let bytes: u64 = memory.unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    assert!(bytes > 1 << 20, "{bytes}");
    assert!(text.ends_with("# EOF\n"));
    log.end().await;
}
