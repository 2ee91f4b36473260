//! `/healthz` and `/readyz`.

use crate::support::{Answer, Log};
use medtrail_ledger::plan::Anchor;
use medtrail_oracle::anchorer::{Problem, State, Status};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn trouble_with_the_chain_is_told_but_reports_are_still_taken() {
    let log = Log::start().await;
    assert_eq!(Answer::of(log.get("/healthz")).await.json(), json!({ "alive": true }));
    let fresh = Answer::of(log.get("/readyz")).await;
    assert_eq!(fresh.status, 200);
    assert_eq!(fresh.json()["anchoring"]["state"], "starting");
    assert_eq!(fresh.json()["anchoring"]["problem"], json!(null));

    let mined = Anchor { number: 3, size: 40, time_s: 7, ..Anchor::default() };
    log.status.send_replace(Status {
        state: State::Failing,
        problem: Some(Problem { what: "the node is silent".into(), advice: "check the node" }),
        lag_entries: 2,
        lag_s: 61,
        pending: Some(42),
        mined: Some(mined),
        settled: Some(Anchor { number: 2, size: 30, ..mined }),
        ..Status::default()
    });
    log.report(&log.sent(1, 1)).await.receipt();
    let ready = Answer::of(log.get("/readyz")).await;
    assert_eq!(ready.status, 200);
    let ready = ready.json();
    assert_eq!((&ready["ready"], &ready["entries"]), (&json!(true), &json!(1)));
    assert_eq!(
        ready["anchoring"],
        json!({
            "state": "failing",
            "lagEntries": 2,
            "lagS": 61,
            "head": null,
            "pending": 42,
            "mined": { "number": 3, "size": 40, "timeS": 7 },
            "final": { "number": 2, "size": 30, "timeS": 7 },
            "problem": { "what": "the node is silent", "advice": "check the node" },
        })
    );
    log.end().await;
}
