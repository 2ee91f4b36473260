//! `/v1/subjects/{subject}/trail`.

use crate::people::{Person, World};
use crate::support::{Answer, Log};
use serde_json::{Value, json};

/// A log with lines about Anna, and her token.
async fn with_lines(events: u64) -> (Log, Person, String) {
    let log = Log::start().await;
    let anna = Person::new(0xa1);
    for event in 1..=events {
        log.report(&log.about(anna.address, event)).await.receipt();
        // Somebody else's, between hers.
        log.report(&log.about(Person::new(0xb2).address, event)).await.receipt();
    }
    let token = anna.sign_in(&log).await;
    (log, anna, token)
}

fn indexes(page: &Value) -> Vec<u64> {
    let lines = page["lines"].as_array().unwrap().iter();
    lines.map(|line| line["index"].as_u64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trail_is_read_page_by_page_newest_first_and_is_whole() {
    let (log, anna, token) = with_lines(5).await;
    let path = format!("/v1/subjects/{}/trail", anna.address);
    let ask = |query: String| Answer::of(log.get(&format!("{path}{query}")).bearer_auth(&token));
    let whole = ask(String::new()).await;
    assert_eq!(whole.header("cache-control"), Some("no-store"));
    let whole = whole.json();
    assert_eq!(whole["version"], "medtrail/trail-page-v1");
    assert_eq!(whole["subject"], json!(anna.address.into_word()));
    assert_eq!((indexes(&whole), &whole["next"]), (vec![8, 6, 4, 2, 0], &Value::Null));
    assert_eq!(whole["parts"].as_array().unwrap().len(), 1);
    assert_eq!(whole["parts"][0]["lines"], 5);
    assert_eq!(whole["parts"][0]["organisation"], Value::Null);
    // The newest line is the one the part's last commitment is of.
    let newest = &whole["lines"][0];
    let report = serde_json::from_value(newest["report"].clone()).unwrap();
    let place = serde_json::from_value(newest["place"]["open"].clone()).unwrap();
    let commitment = medtrail_ledger::entry::commitment(&report, &place);
    assert_eq!(whole["parts"][0]["last"], json!(commitment));

    let mut seen = Vec::new();
    let mut query = "?limit=2".to_owned();
    loop {
        let page = ask(query).await.json();
        assert_eq!(page["parts"], whole["parts"]);
        seen.extend(indexes(&page));
        match page["next"].as_u64() {
            Some(next) => query = format!("?limit=2&before={next}"),
            None => break,
        }
    }
    assert_eq!(seen, [8, 6, 4, 2, 0]);

    // The same trail by the 32-byte id, and in other letters.
    let word = format!("/v1/subjects/{}/trail", anna.address.into_word());
    assert_eq!(Answer::of(log.get(&word).bearer_auth(&token)).await.json(), whole);
    let lower = format!("/v1/subjects/{:#x}/trail", anna.address);
    assert_eq!(Answer::of(log.get(&lower).bearer_auth(&token)).await.json(), whole);
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_chosen_by_kind_time_actor_and_record() {
    let (log, anna, token) = with_lines(4).await;
    let path = format!("/v1/subjects/{}/trail", anna.address);
    let ask = |query: String| Answer::of(log.get(&format!("{path}?{query}")).bearer_auth(&token));
    let found = async |query: String| indexes(&ask(query).await.json());
    let time = |event: u64| log.about(anna.address, event).report.timeMs;
    assert_eq!(found(format!("from={}&until={}", time(2), time(4))).await, [4, 2]);
    assert_eq!(found("kind=access".into()).await, [6, 4, 2, 0]);
    assert_eq!(found("kind=change,2".into()).await, [0; 0]);
    assert_eq!(found("kind=change,1".into()).await, [6, 4, 2, 0]);
    assert_eq!(found(format!("actor={}&limit=1", log.custodian.address())).await, [6]);
    assert_eq!(found(format!("actor={}", anna.address)).await, [0; 0]);
    let record = log.about(anna.address, 1).report.record;
    assert_eq!(found(format!("record={record}&before=4")).await, [2, 0]);
    for (query, field) in [
        ("limit=0", Some("limit")),
        ("limit=1001", Some("limit")),
        ("kind=looking", Some("kind")),
        ("counts=hour", Some("counts")),
        ("counts=day&offsetMinutes=841", Some("offsetMinutes")),
        ("before=x", None),
        ("purpose=TREAT", None),
    ] {
        let problem = ask(query.into()).await.problem(422, "invalid-query");
        assert_eq!(problem["field"].as_str(), field, "{query}");
    }
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_counted_by_the_reader_s_day() {
    let log = Log::start().await;
    let anna = Person::new(0xa1);
    // 09:30 UTC on 5 January 2026, and each hour after.
    for event in 0..16 {
        log.report(&log.about(anna.address, event)).await.receipt();
    }
    let token = anna.sign_in(&log).await;
    let path = format!("/v1/subjects/{}/trail?counts=day", anna.address);
    let days = Answer::of(log.get(&path).bearer_auth(&token)).await.json();
    let day = |day: &str, lines: u64| json!({ "day": day, "lines": lines });
    assert_eq!(days["days"], json!([day("2026-01-05", 15), day("2026-01-06", 1)]));
    let ahead = Answer::of(log.get(&format!("{path}&offsetMinutes=120")).bearer_auth(&token));
    let ahead = ahead.await.json();
    assert_eq!(ahead["days"], json!([day("2026-01-05", 13), day("2026-01-06", 3)]));
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_line_has_an_empty_trail() {
    let log = Log::start().await;
    let world = World::new(&log).await;
    let path = format!("/v1/subjects/{}/trail", world.anna.address);
    let page = Answer::of(log.get(&path).bearer_auth(&world.anna_token)).await.json();
    assert_eq!((&page["lines"], &page["next"]), (&json!([]), &Value::Null));
    assert_eq!(page["parts"][0]["lines"], 0);
    assert_eq!(page["parts"][0]["last"], Value::Null);
    log.end().await;
}
