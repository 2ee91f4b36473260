//! `/v1/anchors`.

use crate::support::{Answer, Log};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn anchors_are_listed_newest_first_page_by_page() {
    let log = Log::start().await;
    let none = Answer::of(log.get("/v1/anchors")).await.json();
    assert_eq!(none, json!({ "anchors": [], "next": null }));
    log.report(&log.sent(1, 1)).await.receipt();
    let records: Vec<_> = (1..=5).map(|number| log.anchor(number, number < 4)).collect();
    let all = Answer::of(log.get("/v1/anchors")).await.json();
    let listed = all["anchors"].as_array().unwrap();
    assert_eq!((listed.len(), &all["next"]), (5, &Value::Null));
    for (anchor, record) in listed.iter().rev().zip(&records) {
        assert_eq!(
            anchor,
            &json!({
                "number": record.anchor.number,
                "size": record.anchor.size,
                "root": record.anchor.root,
                "timeS": record.anchor.time_s,
                "tx": record.tx,
                "block": record.block.number,
                "state": if record.is_final { "final" } else { "mined" },
            })
        );
    }
    let mut numbers = Vec::new();
    let mut next = Some("/v1/anchors?limit=2".to_owned());
    while let Some(path) = next {
        let page = Answer::of(log.get(&path)).await.json();
        let anchors = page["anchors"].as_array().unwrap();
        assert!((1..=2).contains(&anchors.len()));
        numbers.extend(anchors.iter().map(|anchor| anchor["number"].as_u64().unwrap()));
        next = page["next"].as_str().map(str::to_owned);
    }
    assert_eq!(numbers, [5, 4, 3, 2, 1]);
    for query in ["limit=0", "limit=1001", "limit=-1", "before=x", "page=2", "limit=1&limit=2"] {
        let answer = Answer::of(log.get(&format!("/v1/anchors?{query}"))).await;
        answer.problem(422, "invalid-query");
    }
    log.end().await;
}
