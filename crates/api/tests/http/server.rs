//! What holds of every answer, and how the server ends.

use crate::support::{Answer, Log};
use medtrail_api::{Extras, Server, ServerError, ServerOptions};
use reqwest::Method;
use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_an_id_of_its_own_and_the_headers_of_a_careful_server() {
    let log = Log::start().await;
    let mut ids = HashSet::new();
    let paths =
        ["/", "/healthz", "/readyz", "/log/checkpoint", "/v1/anchors", "/v1/entries/0/proof"];
    for path in paths.into_iter().chain(["/nothing", "/v1/reports", "/%00", "/../etc/passwd"]) {
        let answer = Answer::of(log.get(path)).await;
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{path}");
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{path}");
        assert!(answer.header("cache-control").is_some(), "{path}");
        assert!(ids.insert(answer.header("x-request-id").unwrap().to_owned()), "{path}");
    }
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_that_a_path_does_not_take_is_told_which_it_does() {
    let log = Log::start().await;
    for (method, path, allowed) in [
        (Method::GET, "/v1/reports", "POST"),
        (Method::PUT, "/v1/reports", "POST"),
        (Method::POST, "/v1/anchors", "GET, HEAD"),
        (Method::DELETE, "/log/checkpoint", "GET, HEAD"),
        (Method::from_bytes(&[b'M'; 60]).unwrap(), "/", "GET, HEAD"),
    ] {
        let answer = Answer::of(log.http.request(method, log.url(path))).await;
        answer.problem(405, "method-not-allowed");
        assert_eq!(answer.header("allow"), Some(allowed), "{path}");
    }
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_named() {
    let log = Log::start().await;
    let options = ServerOptions { listen: log.address, ..ServerOptions::default() };
    let bound = Server::bind(log.service.clone(), options, Extras::default());
    let Err(ServerError::Listen { address, .. }) = bound else { panic!("two servers on one port") };
    assert_eq!(address, log.address);
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_ends_within_a_second_whatever_connections_are_open() {
    let log = Log::start().await;
    // One that never says a word, one in the middle of its head, one in the middle of its body,
    // and one that idles after an answer.
    let connect = || TcpStream::connect(log.address).unwrap();
    let silent = connect();
    let mut in_head = connect();
    in_head.write_all(b"GET / HTTP/1.1\r\nhost:").unwrap();
    let mut in_body = connect();
    in_body.write_all(BODY_TO_COME).unwrap();
    let mut idle = connect();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: log\r\n\r\n").unwrap();
    let mut answer = [0; 4096];
    let read = idle.read(&mut answer).unwrap();
    assert!(answer[..read].starts_with(b"HTTP/1.1 200"));
    Answer::of(log.get("/healthz")).await;
    let took = log.end().await;
    assert!(took < Duration::from_secs(1), "{took:?}");
    let mut answer = String::new();
    in_body.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("/problems/stopped"), "{answer}");
    drop((silent, in_head, idle));
}

/// A head that promises a body of ten bytes, and three of them.
const BODY_TO_COME: &[u8] = b"POST /v1/reports HTTP/1.1\r\nhost: log\r\n\
    content-type: application/json\r\ncontent-length: 10\r\n\r\n{ \"";

#[tokio::test(flavor = "multi_thread")]
async fn a_report_under_way_is_answered_before_the_server_ends() {
    let log = Log::start().await;
    log.disk.shut();
    let sent = log.sent(1, 1);
    let answered = tokio::spawn(Answer::of(log.post("application/json", sent.body())));
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (disk, keys) = (log.disk.clone(), log.keys.clone());
    let opening = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        disk.open();
    });
    let took = log.end().await;
    opening.await.unwrap();
    assert!((300..1300).contains(&took.as_millis()), "{took:?}");
    let answer = answered.await.unwrap();
    answer.receipt().verify(&keys).unwrap();
    assert_eq!(answer.header("connection"), Some("close"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_never_comes_costs_a_connection_only_so_long() {
    let log = Log::start().await;
    let begun = Instant::now();
    let mut slow = TcpStream::connect(log.address).unwrap();
    slow.write_all(BODY_TO_COME).unwrap();
    let answered = tokio::task::spawn_blocking(move || {
        slow.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut answer = [0; 4096];
        let read = slow.read(&mut answer).unwrap();
        String::from_utf8_lossy(&answer[..read]).into_owned()
    });
    let answer = answered.await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("/problems/body-too-slow"), "{answer}");
    assert!(begun.elapsed() < Duration::from_secs(10), "a stranger has less time");
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_never_comes_costs_a_connection_only_so_long() {
    let log = Log::start().await;
    let begun = Instant::now();
    let mut slow = TcpStream::connect(log.address).unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\nhost:").unwrap();
    let closed = tokio::task::spawn_blocking(move || {
        slow.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut answer = Vec::new();
        slow.read_to_end(&mut answer).map(|_| answer)
    });
    let answer = String::from_utf8(closed.await.unwrap().unwrap()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer:?}");
    assert!(begun.elapsed() < Duration::from_secs(20));
    log.end().await;
}
