//! `/v1/subjects/{subject}/feed`: what is new, live, over connections that are cut.

use crate::people::Person;
use crate::support::{Answer, Log, Sent};
use medtrail_ledger::entry::commitment;
use medtrail_ledger::schema::Report;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// An event as a browser reads it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Event {
    name: String,
    pub(crate) id: Option<u64>,
    pub(crate) data: Value,
}

/// A connection to a feed.
pub(crate) struct Feed {
    response: reqwest::Response,
    buffer: String,
}

impl Feed {
    async fn open(log: &Log, person: &Person, token: &str, last: Option<u64>) -> Self {
        Self::open_of(log, &person.address.to_string(), token, last).await
    }

    pub(crate) async fn open_of(log: &Log, subject: &str, token: &str, last: Option<u64>) -> Self {
        let path = format!("/v1/subjects/{subject}/feed");
        let mut request = log.get(&path).bearer_auth(token);
        if let Some(last) = last {
            request = request.header("last-event-id", last.to_string());
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        Self { response, buffer: String::new() }
    }

    /// The next event; `None` at the end of the stream.
    async fn next(&mut self) -> Option<Event> {
        loop {
            while let Some((block, rest)) = self.buffer.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.buffer = rest;
                let mut event = Event::default();
                for line in block.lines() {
                    match line.split_once(": ") {
                        Some(("event", name)) => event.name = name.to_owned(),
                        Some(("id", id)) => event.id = Some(id.parse().unwrap()),
                        Some(("data", data)) => event.data = serde_json::from_str(data).unwrap(),
                        _ => {}
                    }
                }
                if !event.name.is_empty() {
                    return Some(event);
                }
            }
            let chunk = self.response.chunk().await.ok()??;
            self.buffer.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next line.
    pub(crate) async fn line(&mut self) -> Event {
        let waiting = async {
            loop {
                let event = self.next().await.expect("the stream goes on");
                if event.name == "line" {
                    return event;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("a line")
    }

    /// Waits for the end of the stream.
    pub(crate) async fn ends(&mut self) {
        let waiting = async { while self.next().await.is_some() {} };
        tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("the end");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_is_told_as_it_comes_to_its_person_alone() {
    let log = Log::start().await;
    let (anna, other) = (Person::new(0xa1), Person::new(0xb2));
    let (token, other_token) = (anna.sign_in(&log).await, other.sign_in(&log).await);
    let mut feed = Feed::open(&log, &anna, &token, None).await;
    let header = |name: &str| feed.response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "text/event-stream");
    assert_eq!(
        (header("cache-control"), header("x-accel-buffering")),
        ("no-store".into(), "no".into())
    );
    assert!(feed.response.headers().get("content-encoding").is_none());
    let mut theirs = Feed::open(&log, &other, &other_token, None).await;

    log.report(&log.about(other.address, 1)).await.receipt();
    let sent = log.about(anna.address, 2);
    let receipt = log.report(&sent).await.receipt();
    let event = feed.line().await;
    assert_eq!(event.id, Some(receipt.index));
    assert_eq!(event.data["report"], serde_json::to_value(&sent.report).unwrap());
    let place = serde_json::from_value(event.data["place"]["open"].clone()).unwrap();
    assert_eq!(commitment(&sent.report, &place), receipt.commitment());
    // What the other hears first is the line of the other.
    assert_eq!(theirs.line().await.id, Some(0));

    let line = format!("/v1/entries/{}", receipt.index);
    let line = Answer::of(log.get(&line).bearer_auth(&token)).await.json();
    assert_eq!(event.data, line);
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_connections_that_are_cut_each_line_comes_once_and_in_order() {
    let log = Log::start().await;
    let anna = Person::new(0xa1);
    let token = anna.sign_in(&log).await;
    let reporting = async {
        let mut indexes = Vec::new();
        for event in 0..60 {
            indexes.push(log.report(&log.about(anna.address, event)).await.receipt().index);
            if event % 3 == 0 {
                log.report(&log.about(Person::new(0xb2).address, event)).await.receipt();
            }
        }
        indexes
    };
    let reading = async {
        let (mut seen, mut last) = (Vec::new(), None);
        while seen.len() < 60 {
            // At first from the start of the log; then from the last line seen.
            let mut feed = match last {
                Some(_) => Feed::open(&log, &anna, &token, last).await,
                None => Feed::open(&log, &anna, &token, None).await,
            };
            if last.is_none() {
                // What was there before it listened, it reads as a page does.
                let path = format!("/v1/subjects/{}/trail?limit=1000", anna.address);
                let page = Answer::of(log.get(&path).bearer_auth(&token)).await.json();
                let mut there: Vec<u64> = page["lines"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|line| line["index"].as_u64().unwrap())
                    .collect();
                there.reverse();
                seen.extend(there);
                last = seen.last().copied();
                if last.is_none() {
                    seen.push(feed.line().await.id.unwrap());
                    last = seen.last().copied();
                }
                continue;
            }
            for _ in 0..5 {
                if seen.len() < 60 {
                    seen.push(feed.line().await.id.unwrap());
                }
            }
            last = seen.last().copied();
        }
        seen
    };
    let (reported, seen) = tokio::join!(reporting, reading);
    assert_eq!(seen, reported);
    // The first time a browser cannot set the header.
    let path = format!("/v1/subjects/{}/feed?after={}", anna.address, seen[57]);
    let response = log.get(&path).bearer_auth(&token).send().await.unwrap();
    let mut feed = Feed { response, buffer: String::new() };
    assert_eq!((feed.line().await.id, feed.line().await.id), (Some(seen[58]), Some(seen[59])));
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_anchor_is_told_when_it_is_mined_and_when_it_is_final() {
    let log = Log::start().await;
    let anna = Person::new(0xa1);
    let token = anna.sign_in(&log).await;
    log.report(&log.about(anna.address, 1)).await.receipt();
    let mut feed = Feed::open(&log, &anna, &token, None).await;
    let mut told = async |is_final: bool| {
        let record = log.anchor(1, is_final);
        log.status.send_modify(|status| match is_final {
            true => status.settled = Some(record.anchor),
            false => status.mined = Some(record.anchor),
        });
        let event = feed.next().await.unwrap();
        let expected = json!({
            "number": 1, "size": 1, "state": if is_final { "final" } else { "mined" },
            "tx": record.tx, "block": record.block.number, "timeS": record.anchor.time_s,
        });
        assert_eq!((event.name.as_str(), event.id, event.data), ("anchor", None, expected));
    };
    told(false).await;
    told(true).await;
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_ends_at_sign_out() {
    let log = Log::start().await;
    let anna = Person::new(0xa1);
    let (token, stays) = (anna.sign_in(&log).await, anna.sign_in(&log).await);
    let mut feed = Feed::open(&log, &anna, &token, None).await;
    let mut other = Feed::open(&log, &anna, &stays, None).await;
    let out = log.http.delete(log.url("/v1/session")).bearer_auth(&token);
    assert_eq!(Answer::of(out).await.status, 204);
    feed.ends().await;
    log.report(&log.about(anna.address, 1)).await.receipt();
    assert_eq!(other.line().await.id, Some(0));
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_ends_when_its_session_has_run_out() {
    let log = Log::start_for(Default::default(), 1500).await;
    let anna = Person::new(0xa1);
    let begun = Instant::now();
    let token = anna.sign_in(&log).await;
    let mut feed = Feed::open(&log, &anna, &token, None).await;
    feed.ends().await;
    let took = begun.elapsed();
    assert!((1400..6000).contains(&took.as_millis()), "{took:?}");
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn open_feeds_do_not_hold_up_the_end_of_the_server() {
    let log = Log::start().await;
    let anna = Person::new(0xa1);
    let token = anna.sign_in(&log).await;
    let mut feeds = Vec::new();
    for _ in 0..8 {
        feeds.push(Feed::open(&log, &anna, &token, None).await);
    }
    let took = log.end().await;
    assert!(took < Duration::from_secs(1), "{took:?}");
    for feed in &mut feeds {
        feed.ends().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_has_only_so_many_feeds_and_gets_them_back() {
    let log = Log::start().await;
    let anna = Person::new(0xa1);
    let token = anna.sign_in(&log).await;
    let mut feeds = Vec::new();
    for _ in 0..16 {
        feeds.push(Feed::open(&log, &anna, &token, None).await);
    }
    let path = format!("/v1/subjects/{}/feed", anna.address);
    Answer::of(log.get(&path).bearer_auth(&token)).await.problem(429, "too-many-streams");
    // Signing out ends its streams, and the places are free again.
    let out = log.http.delete(log.url("/v1/session")).bearer_auth(&token);
    assert_eq!(Answer::of(out).await.status, 204);
    for feed in &mut feeds {
        feed.ends().await;
    }
    let token = anna.sign_in(&log).await;
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let response = log.get(&path).bearer_auth(&token).send().await.unwrap();
        if response.status() == 200 {
            break;
        }
        assert!(Instant::now() < deadline, "no place came back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_last_event_id_that_is_none_is_refused() {
    let log = Log::start().await;
    let anna = Person::new(0xa1);
    let token = anna.sign_in(&log).await;
    let path = format!("/v1/subjects/{}/feed", anna.address);
    let request = log.get(&path).bearer_auth(&token).header("last-event-id", "x");
    Answer::of(request).await.problem(422, "invalid-query");
    let head = Answer::of(log.http.head(log.url(&path)).bearer_auth(&token)).await;
    assert_eq!((head.status.as_u16(), head.header("allow")), (405, Some("GET")));
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_without_news_gives_a_sign_of_life() {
    let log = Log::start().await;
    let anna = Person::new(0xa1);
    let token = anna.sign_in(&log).await;
    let mut feed = Feed::open(&log, &anna, &token, None).await;
    let reading = async {
        let mut read = String::new();
        while !read.contains("\n: ") {
            let chunk = feed.response.chunk().await.unwrap().unwrap();
            read.push_str(std::str::from_utf8(&chunk).unwrap());
        }
        read
    };
    let read = tokio::time::timeout(Duration::from_secs(25), reading).await.unwrap();
    assert_eq!(read, "retry: 300\n\n: still here\n\n");
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_missed_too_much_is_told_to_read_the_trail_anew() {
    let log = Log::start().await;
    let anna = Person::new(0xa1);
    let token = anna.sign_in(&log).await;
    let first = log.report(&log.about(anna.address, 0)).await.receipt().index;
    // One more than a feed gives again.
    for start in (1..=10_001).step_by(1000) {
        let events = start..(start + 1000).min(10_002);
        let details = "1";
        let sent: Vec<_> = events
            .map(|event| {
                let subject = anna.address.into_word();
                let report = Report { subject, ..log.fields(0, event, details) };
                Sent { report, details: details.to_owned(), signature: String::new() }
            })
            .collect();
        let answer = Answer::of(log.post("application/json", log.batch(&sent).to_string())).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let newest = log.service.head().size - 1;
    assert_eq!(newest - first, 10_001);
    let mut feed = Feed::open(&log, &anna, &token, Some(first)).await;
    let event = feed.next().await.unwrap();
    assert_eq!((event.name.as_str(), event.id), ("reset", Some(newest)));
    assert!(feed.next().await.is_none(), "and the stream ends");
    // From there on it goes on; and one less is given again.
    let mut feed = Feed::open(&log, &anna, &token, event.id).await;
    let subject = anna.address.into_word();
    let more = Report { subject, ..log.fields(0, 20_000, "1") };
    let next = log.report(&log.sign(more, "1".to_owned())).await.receipt().index;
    assert_eq!(feed.line().await.id, Some(next));
    let mut feed = Feed::open(&log, &anna, &token, Some(first + 2)).await;
    assert_eq!(feed.line().await.id, Some(first + 3));
    log.end().await;
}
