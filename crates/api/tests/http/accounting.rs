//! `/v1/subjects/{subject}/accounting`: who was given what, as a table, and the line that taking it
//! leaves.

use crate::people::{Person, World};
use crate::support::{Answer, Log};
use serde_json::{Value, json};

fn path(person: &Person, query: &str) -> String {
    format!("/v1/subjects/{}/accounting{query}", person.address)
}

fn take(log: &Log, person: &Person, token: &str, query: &str) -> impl Future<Output = Answer> {
    Answer::of(log.get(&path(person, query)).bearer_auth(token))
}

async fn accesses(log: &Log, world: &World) -> Vec<Value> {
    let path = format!("/v1/subjects/{}/trail?kind=access&limit=1000", world.anna.address);
    let page = Answer::of(log.get(&path).bearer_auth(&world.anna_token)).await.json();
    page["lines"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_takes_all_that_was_reported_and_the_taking_is_a_line_of_its_own() {
    let log = Log::start().await;
    let world = World::new(&log).await;
    let mut indexes = Vec::new();
    for event in 1..4 {
        let receipt = log.report(&log.about(world.anna.address, event)).await.receipt();
        indexes.push(receipt.index);
    }
    log.report(&log.about(Person::new(0x77).address, 9)).await.receipt();
    indexes.reverse();
    let query = "?from=0&until=9999999999999";
    let told = take(&log, &world.anna, &world.anna_token, query).await;
    assert_eq!(told.header("cache-control"), Some("no-store"));
    let told = told.json();
    assert_eq!(told["version"], "medtrail/accounting-v1");
    assert_eq!(told["subject"], json!(world.anna.address.into_word()));
    let lines = told["disclosures"].as_array().unwrap();
    let found: Vec<_> = lines.iter().map(|line| line["index"].as_u64().unwrap()).collect();
    assert_eq!(found, indexes, "hers, newest first, and nobody else's");
    assert_eq!(
        (&lines[0]["organisation"], &lines[0]["isSigned"]),
        (&json!("Clinic"), &json!(true))
    );

    let table = take(&log, &world.anna, &world.anna_token, &format!("{query}&format=csv")).await;
    assert!(table.header("content-type").unwrap().starts_with("text/csv"));
    assert!(table.header("content-disposition").unwrap().starts_with("attachment"));
    let table = String::from_utf8(table.body).unwrap();
    let rows: Vec<_> = table.split_terminator("\r\n").collect();
    assert!(rows[0].starts_with("time,organisation,signed,"), "{table}");
    assert_eq!(rows.len(), 4, "{table}");
    assert!(rows[1].contains("Clinic,yes,"), "{table}");
    assert!(rows[1].ends_with(lines[0]["commitment"].as_str().unwrap()), "{table}");

    // Both takings are lines, and neither is in an accounting.
    let taken: Vec<_> = accesses(&log, &world)
        .await
        .into_iter()
        .filter(|line| line["evidence"] == "relayed")
        .map(|line| line["details"]["text"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(taken.len(), 2);
    let newest: Value = serde_json::from_str(&taken[0]).unwrap();
    let expected = json!({
        "version": "medtrail/accounting-v1", "fromMs": 0, "untilMs": 9_999_999_999_999_u64, "form": "csv",
    });
    assert_eq!(newest, expected);
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_time_asked_for_is_in_it_and_what_is_wrong_leaves_no_line() {
    let log = Log::start().await;
    let world = World::new(&log).await;
    let mut times = Vec::new();
    for event in 1..6 {
        let sent = log.about(world.anna.address, event);
        times.push(sent.report.timeMs);
        log.report(&sent).await.receipt();
    }
    times.sort_unstable();
    let query = format!("?from={}&until={}", times[1], times[3]);
    let told = take(&log, &world.anna, &world.anna_token, &query).await.json();
    let mut found: Vec<_> = told["disclosures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["timeMs"].as_u64().unwrap())
        .collect();
    found.sort_unstable();
    assert_eq!(found, times[1..3]);
    let before = accesses(&log, &world).await.len();
    for query in ["?from=7&until=7", "?from=x", "?format=xml", "?since=1"] {
        take(&log, &world.anna, &world.anna_token, query).await.problem(422, "invalid-query");
    }
    take(&log, &world.anna, &world.other_token, "").await.problem(404, "no-such-trail");
    assert_eq!(accesses(&log, &world).await.len(), before);
    log.end().await;
}
