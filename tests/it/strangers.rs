//! What nobody here wrote works with it unchanged: FHIR clients, the official events, a reader of
//! tiles, two wallets' EIP-712, and a person whom a generator of health records made up.

mod clinic;
mod events;
mod fhir_clients;
mod gateway;
mod tiles;
pub(crate) mod tools;
mod wallets;

use crate::site::{Node, Settings, Site, skipped};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use reqwest::{Client, Response};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::path::{Path, PathBuf};

/// The media type of FHIR.
const FHIR: &str = "application/fhir+json";

/// A running log that says of itself where it really is, and its operator signed in.
struct World {
    site: Site,
    node: Node,
    http: Client,
    operator: String,
}

impl World {
    async fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let site = Site::new(Settings {
            listen: format!("127.0.0.1:{port}"),
            public_url: format!("http://127.0.0.1:{port}"),
            ..Settings::without_a_chain()
        });
        let node = site.serve();
        let http = Client::builder().timeout(crate::site::PATIENCE).build().unwrap();
        let mut world = Self { site, node, http, operator: String::new() };
        world.operator = world.sign_in(&world.site.keys_dir().join("operator.json")).await;
        world
    }

    /// A session of the key in this file, as a wallet that holds it signs in.
    async fn sign_in(&self, keystore: &Path) -> String {
        let passphrase = std::fs::read_to_string(self.site.path("passphrase")).unwrap();
        let wallet = PrivateKeySigner::decrypt_keystore(keystore, passphrase.trim()).unwrap();
        let nonce = self.url(&format!("/v1/session/nonce?address={}", wallet.address()));
        let asked = json_of(self.http.get(nonce).send().await.unwrap(), 200).await;
        let message = asked["message"].as_str().unwrap();
        let signature = wallet.sign_message_sync(message.as_bytes()).unwrap();
        let signature = alloy::primitives::hex::encode_prefixed(signature.as_bytes());
        let session = json!({ "message": message, "signature": signature, "bearer": true });
        let request = self.http.post(self.url("/v1/session")).json(&session);
        let signed_in = json_of(request.send().await.unwrap(), 200).await;
        signed_in["token"].as_str().unwrap().to_owned()
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.node.url)
    }

    /// A new organisation; its API key.
    async fn organisation(&self, name: &str) -> String {
        let new = json!({ "name": name, "domain": "strangers.example" });
        let request = self.http.post(self.url("/v1/organisations")).bearer_auth(&self.operator);
        let made = json_of(request.json(&new).send().await.unwrap(), 201).await;
        let keys = format!("/v1/organisations/{}/api-keys", made["id"].as_str().unwrap());
        let request = self.http.post(self.url(&keys)).bearer_auth(&self.operator);
        let made = json_of(request.send().await.unwrap(), 201).await;
        made["key"].as_str().unwrap().to_owned()
    }

    /// Sends one event with an API key; where it stands.
    async fn create(&self, key: &str, event: &[u8]) -> u64 {
        let request = self.http.post(self.url("/fhir/AuditEvent")).bearer_auth(key);
        let request = request.header("content-type", FHIR).body(event.to_owned());
        let answer = request.send().await.unwrap();
        let (status, at) = (answer.status(), answer.headers().get("location").cloned());
        assert_eq!(status, 201, "{}", answer.text().await.unwrap());
        index_of(at.unwrap().to_str().unwrap())
    }

    /// Sends a batch of events with an API key; where each stands.
    async fn batch(&self, key: &str, events: &[Value]) -> Vec<u64> {
        let entry = |event| {
            json!({
                "resource": event,
                "request": { "method": "POST", "url": "AuditEvent" },
            })
        };
        let entries: Vec<_> = events.iter().map(entry).collect();
        let bundle = json!({ "resourceType": "Bundle", "type": "batch", "entry": entries });
        let request = self.http.post(self.url("/fhir/")).bearer_auth(key);
        let request = request.header("content-type", FHIR).body(bundle.to_string());
        let answer = json_of(request.send().await.unwrap(), 200).await;
        let answers = answer["entry"].as_array().unwrap();
        assert_eq!(answers.len(), events.len());
        let place = |answer: &Value| {
            let response = &answer["response"];
            assert!(response["status"].as_str().unwrap().starts_with("201"), "{response}");
            index_of(response["location"].as_str().unwrap())
        };
        answers.iter().map(place).collect()
    }

    /// Every event that a search finds, over all its pages.
    async fn search(&self, key: &str, query: &str) -> Vec<Value> {
        let mut next = Some(self.url(&format!("/fhir/AuditEvent?{query}")));
        let mut found = Vec::new();
        while let Some(url) = next {
            let page = self.http.get(url).bearer_auth(key).send().await.unwrap();
            let page = json_of(page, 200).await;
            found.extend(page["entry"].as_array().into_iter().flatten().cloned());
            let links = page["link"].as_array().unwrap();
            let link = links.iter().find(|link| link["relation"] == "next");
            next = link.map(|link| link["url"].as_str().unwrap().to_owned());
        }
        found
    }

    fn stop(self) {
        self.node.stop();
    }
}

/// The number at the end of where something stands.
fn index_of(location: &str) -> u64 {
    location.rsplit_once("AuditEvent/").unwrap().1.parse().unwrap()
}

async fn json_of(answer: Response, status: u16) -> Value {
    let (was, text) = (answer.status(), answer.text().await.unwrap());
    assert_eq!(was, status, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// A folder of what somebody else made, if this machine has it.
fn foreign(name: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = std::env::var_os("MEDTRAIL_TEST_DATA").map_or(beside, PathBuf::from).join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    skipped(&format!("no {} (MEDTRAIL_TEST_DATA)", folder.display()));
    None
}

/// The AuditEvents of a folder, by name: the bytes as they stand there.
fn audit_events(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut events: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read(path).unwrap())
        })
        .filter(|(_, bytes)| {
            let event: Value = serde_json::from_slice(bytes).unwrap();
            event["resourceType"] == "AuditEvent"
        })
        .collect();
    events.sort();
    events
}

/// Our own events.
fn own_events() -> Vec<(String, Vec<u8>)> {
    audit_events(&Path::new(env!("CARGO_MANIFEST_DIR")).join("data/fhir"))
}

/// One of our own events as a document.
fn own_event(name: &str) -> Value {
    let events = own_events();
    let (_, bytes) = events.iter().find(|(own, _)| own == name).unwrap();
    serde_json::from_slice(bytes).unwrap()
}
