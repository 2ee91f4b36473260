//! From a report to the open page of the person it is about.

use crate::Burst;
use crate::load::{Connection, request};
use crate::reports::Maker;
use alloy_primitives::{Address, hex, keccak256};
use medtrail_ledger::signature::address_of;
use secp256k1::ecdsa::RecoverableSignature;
use secp256k1::{Message, SecretKey};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Streams that one person may have open.
const OF_ONE: usize = 16;

/// Somebody who is signed in.
struct Person {
    address: Address,
    token: String,
}

impl Person {
    async fn sign_in(at: SocketAddr, number: u64) -> Self {
        let mut secret = [0x77; 32];
        secret[24..].copy_from_slice(&number.to_be_bytes());
        let key = SecretKey::from_secret_bytes(secret).expect("a key");
        let address = address_of(&key.public_key());
        let mut connection = Connection::open(at).await;
        let ask = format!(
            "GET /v1/session/nonce?address={address} HTTP/1.1\r\nhost: localhost:8080\r\n\r\n"
        );
        let asked: Value = json_of(connection.ask(ask.as_bytes()).await);
        let message = asked["message"].as_str().expect("a text");
        let prefixed = format!("\x19Ethereum Signed Message:\n{}{message}", message.len());
        let digest = Message::from_digest(keccak256(prefixed).0);
        let signed = RecoverableSignature::sign_ecdsa_recoverable(digest, &key);
        let (recovery, compact) = signed.serialize_compact();
        let signature = hex::encode_prefixed([&compact[..], &[27 + u8::from(recovery)]].concat());
        let body = json!({ "message": message, "signature": signature, "bearer": true });
        let ask = String::from_utf8(request(&body.to_string())).expect("text");
        let ask = ask.replacen("/v1/reports", "/v1/session", 1);
        let signed_in: Value = json_of(connection.ask(ask.as_bytes()).await);
        let token = signed_in["token"].as_str().expect("a token").to_owned();
        Self { address, token }
    }

    async fn open_feed(&self, at: SocketAddr) -> Feed {
        let mut stream = TcpStream::connect(at).await.expect("the node");
        stream.set_nodelay(true).expect("a socket");
        let (address, token) = (self.address, &self.token);
        let ask = format!(
            "GET /v1/subjects/{address}/feed HTTP/1.1\r\nhost: localhost:8080\r\n\
             accept: text/event-stream\r\nauthorization: Bearer {token}\r\n\r\n"
        );
        stream.write_all(ask.as_bytes()).await.expect("the node");
        let mut feed = Feed { stream, buffer: Vec::new() };
        feed.wait_for(b"retry: 300").await;
        feed
    }
}

fn json_of((status, body): (u16, &[u8])) -> Value {
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(body));
    serde_json::from_slice(body).expect("JSON")
}

struct Feed {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Feed {
    /// Reads until this has come; forgets all up to then.
    async fn wait_for(&mut self, text: &[u8]) {
        loop {
            let found = self.buffer.windows(text.len()).position(|part| part == text);
            if let Some(found) = found {
                self.buffer.drain(..found + text.len());
                return;
            }
            let read = self.stream.read_buf(&mut self.buffer).await.expect("the node");
            assert!(read > 0, "the feed ended");
        }
    }
}

/// Everybody's pages; the first person's is watched.
pub(crate) struct Feeds {
    people: Vec<Person>,
    open: Vec<Feed>,
    address: SocketAddr,
}

impl Feeds {
    /// Signs in as many people as `feeds` need, and opens the first one.
    pub(crate) async fn start(address: SocketAddr, feeds: usize) -> Self {
        let mut people = Vec::new();
        for number in 0..=(feeds.div_ceil(OF_ONE) as u64) {
            people.push(Person::sign_in(address, number).await);
        }
        let open = vec![people[0].open_feed(address).await];
        Self { people, open, address }
    }

    /// Opens others until so many are open.
    pub(crate) async fn widen(&mut self, feeds: usize) {
        while self.open.len() < feeds {
            let whose = 1 + (self.open.len() - 1) / OF_ONE;
            let feed = self.people[whose].open_feed(self.address).await;
            self.open.push(feed);
        }
    }

    /// From the first byte of a report to its line in the watched page, so many times, one after
    /// the other.
    pub(crate) async fn watch(&mut self, times: u64, first: u64) -> Burst {
        let maker = Maker::signed(1);
        let person = self.people[0].address.into_word();
        let body = |number| request(&maker.body(maker.about(number, person)));
        let bodies: Vec<_> = (first..first + times).map(body).collect();
        let mut connection = Connection::open(self.address).await;
        let mut waits = Vec::new();
        let started = Instant::now();
        for body in bodies {
            let asked = Instant::now();
            // The line may be there before the receipt: nobody waits for the other.
            let (answer, ()) =
                tokio::join!(connection.ask(&body), self.open[0].wait_for(b"event: line"));
            assert_eq!(answer.0, 201, "{}", String::from_utf8_lossy(answer.1));
            waits.push(asked.elapsed());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Burst::of(waits, started.elapsed())
    }
}
