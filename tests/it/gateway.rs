//! An organisation joins by an invite, and its gateway reports for it: through a dead gateway and an
//! absent log, nothing that its software was told of is lost, and nothing stands twice.

use crate::crash::disk_full::SmallDisk;
use crate::site::{Node, PATIENCE, Settings, Site, must, skipped};
use alloy::primitives::Address;
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use journeys::medtrail::Running;
use medtrail_ledger::custodian::{ReportState, Spool, SpoolLimits};
use medtrail_ledger::proof::Evidence;
use medtrail_ledger::receipt::Receipt;
use medtrail_ledger::schema::{Binding, Report, digest, domain};
use medtrail_ledger::trust::TrustFile;
use medtrail_store::SpoolDb;
use reqwest::Client;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How often the gateway is killed under load.
const KILLS: usize = 6;
const CLIENTS: usize = 4;
/// Events of one round that were acknowledged before the gateway dies.
const LOAD: usize = 25;

/// A site whose log says where it is, so that an invite leads to it.
fn site() -> Site {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    Site::new(Settings {
        listen: format!("127.0.0.1:{port}"),
        public_url: format!("http://127.0.0.1:{port}"),
        ..Settings::without_a_chain()
    })
}

fn json_from(said: crate::site::Said) -> Value {
    serde_json::from_str(&must(said)).unwrap()
}

/// Adds an organisation; what its operator is told.
fn add(site: &Site, name: &str) -> Value {
    json_from(site.run(["organisations", "add", name, "--domain", "north.example", "--json"]))
}

/// Joins; what the custodian is told.
fn init(site: &Site, invite: &Value, folder: &str) -> Value {
    let invite = invite["invite"]["url"].as_str().unwrap();
    json_from(site.run(["gateway", "init", invite, "--dir", folder, "--json"]))
}

/// A running gateway.
struct Gateway {
    running: Running,
    url: String,
    http: Client,
}

impl Gateway {
    fn start(site: &Site, folder: &str) -> Self {
        let run = ["gateway", "run", "--dir", folder, "--listen", "127.0.0.1:0"];
        let mut running = Running::start_command(site.command(run));
        let line = running.wait_for("taking the events of ", PATIENCE);
        let (_, at) = line.split_once(" at ").unwrap();
        let url = at.split("/fhir").next().unwrap().to_owned();
        Self { running, url, http: Client::builder().timeout(PATIENCE).build().unwrap() }
    }

    async fn take(&self, event: &Value) {
        let (status, text) = send(&self.http, &self.url, event).await.unwrap();
        assert_eq!(status, 201, "{text}");
    }

    /// Waits until the log has answered for everything.
    async fn wait_until_sent(&self) {
        let end = Instant::now() + PATIENCE;
        loop {
            let status = self.http.get(format!("{}/status", self.url)).send().await.unwrap();
            let status: Value = status.json().await.unwrap();
            let count = |name: &str| status["spool"][name].as_u64().unwrap();
            if count("unsigned") + count("waiting") == 0 {
                return;
            }
            assert!(Instant::now() < end, "{status:#}\n{}", self.running.said());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn stop(mut self) {
        let status = self.running.terminate(PATIENCE);
        assert_eq!(status.code(), Some(0), "{}", self.running.said());
    }
}

async fn send(http: &Client, url: &str, event: &Value) -> Result<(u16, String), reqwest::Error> {
    let post = http.post(format!("{url}/fhir/AuditEvent"));
    let post = post.header("content-type", "application/fhir+json").body(event.to_string());
    let answer = post.send().await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}

/// Somebody reads something of a patient, now.
fn event(id: &str) -> Value {
    let now = Command::new("date").args(["-u", "+%FT%T.%3NZ"]).output().unwrap();
    json!({
        "resourceType": "AuditEvent",
        "id": id,
        "type": {
            "system": "http://terminology.hl7.org/CodeSystem/audit-event-type", "code": "rest",
        },
        "action": "R",
        "recorded": String::from_utf8(now.stdout).unwrap().trim(),
        "outcome": "0",
        "agent": [{
            "who": {
                "identifier": { "system": "https://registers.example/staff", "value": "E7" },
                "display": "Dr Oskar Nurm",
            },
            "requestor": true,
        }],
        "source": { "observer": { "display": "North Clinic" } },
        "entity": [
            {
                "what": { "reference": "Patient/p7" },
                "type": {
                    "system": "http://terminology.hl7.org/CodeSystem/audit-entity-type",
                    "code": "1",
                },
                "role": {
                    "system": "http://terminology.hl7.org/CodeSystem/object-role", "code": "1",
                },
            },
            {
                "what": { "reference": "Observation/o7" },
                "type": {
                    "system": "http://terminology.hl7.org/CodeSystem/audit-entity-type",
                    "code": "2",
                },
                "role": {
                    "system": "http://terminology.hl7.org/CodeSystem/object-role", "code": "4",
                },
            },
        ],
    })
}

/// What a stopped gateway has kept: each event's id, and its place in the log. Everything must be
/// receipted, by a receipt that verifies under the log's keys.
fn kept(site: &Site, folder: &str, trust: &TrustFile) -> BTreeMap<String, u64> {
    let limits = SpoolLimits { count: 1, bytes: 1 };
    let spool = SpoolDb::open(&site.path(folder), limits).unwrap();
    let usage = spool.usage().unwrap();
    assert_eq!((usage.unsigned, usage.waiting, usage.set_aside), (0, 0, 0), "{usage:?}");
    let keys = trust.log_keys(site.operator).unwrap();
    let mut found = BTreeMap::new();
    for sequence in 1..=usage.sequence {
        let row = spool.report(sequence).unwrap().unwrap();
        let ReportState::Receipted(bytes) = row.state else { panic!("{:?}", row.state) };
        let receipt: Receipt = serde_json::from_slice(&bytes).unwrap();
        receipt.verify(&keys).unwrap();
        // What the gateway says of itself (coverage) is of no event.
        if row.report.event == 0 {
            continue;
        }
        let event = spool.event(row.report.event).unwrap().unwrap();
        let event: Value = serde_json::from_slice(&event.bytes).unwrap();
        let id = event["id"].as_str().unwrap().to_owned();
        assert_eq!(found.insert(id.clone(), receipt.index), None, "{id} was reported twice");
    }
    let places: BTreeSet<_> = found.values().collect();
    assert_eq!(places.len(), found.len(), "two events in one place");
    found
}

/// The session of the key in a keystore of this site.
async fn sign_in(site: &Site, node: &Node, keystore: &str) -> String {
    let passphrase = fs::read_to_string(site.path("passphrase")).unwrap();
    let path = site.path(keystore);
    let wallet = PrivateKeySigner::decrypt_keystore(path, passphrase.trim()).unwrap();
    sign_in_as(node, &wallet).await
}

pub(crate) async fn sign_in_as(node: &Node, wallet: &PrivateKeySigner) -> String {
    let session = try_sign_in_as(node, wallet).await;
    session["token"].as_str().unwrap().to_owned()
}

/// The answer to who signs in: a session, or a problem.
pub(crate) async fn try_sign_in_as(node: &Node, wallet: &PrivateKeySigner) -> Value {
    let nonce = node.json(&format!("/v1/session/nonce?address={}", wallet.address())).await;
    let message = nonce["message"].as_str().unwrap();
    let signature = wallet.sign_message_sync(message.as_bytes()).unwrap().as_bytes();
    let signature = alloy::primitives::hex::encode_prefixed(signature);
    let session = json!({ "message": message, "signature": signature, "bearer": true });
    let post = Client::new().post(format!("{}/v1/session", node.url)).json(&session);
    post.send().await.unwrap().json().await.unwrap()
}

/// Somebody with a code from a desk types it in, signs, and waits for the countersignature.
async fn connect(node: &Node, wallet: &PrivateKeySigner, trust: &TrustFile, code: &Value) {
    let token = sign_in_as(node, wallet).await;
    let post = async |path: String, body: Value| {
        let post = Client::new().post(format!("{}{path}", node.url)).bearer_auth(&token);
        let answer = post.json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap());
        answer.bytes().await.unwrap()
    };
    let claimed = post("/v1/bindings".to_owned(), json!({ "code": code })).await;
    let claimed: Value = serde_json::from_slice(&claimed).unwrap();
    let message = &claimed["typedData"]["message"];
    let text = |name: &str| message[name].as_str().unwrap();
    let document = Binding {
        statement: text("statement").to_owned(),
        subject: text("subject").parse().unwrap(),
        custodian: text("custodian").parse().unwrap(),
        pseudonym: text("pseudonym").parse().unwrap(),
        expiresAt: text("expiresAt").parse().unwrap(),
    };
    let digest = digest(&document, &domain(trust.chain_id, trust.registry));
    let signature = wallet.sign_hash_sync(&digest).unwrap().as_bytes();
    let signature = alloy::primitives::hex::encode_prefixed(signature);
    let id = claimed["id"].as_str().unwrap();
    post(format!("/v1/bindings/{id}/signature"), json!({ "signature": signature })).await;
    let end = Instant::now() + PATIENCE;
    loop {
        let list = Client::new().get(format!("{}/v1/bindings", node.url)).bearer_auth(&token);
        let list: Value = list.send().await.unwrap().json().await.unwrap();
        if list["own"][0]["state"] == "entered" {
            return;
        }
        assert!(Instant::now() < end, "{list:#}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organisation_joins_and_what_its_software_sends_stands_signed_in_the_log() {
    let site = site();
    let node = site.serve();
    let added = add(&site, "North Clinic");
    let joined = init(&site, &added, "north");
    assert_eq!(joined["organisation"], added["id"]);
    let key: Address = joined["key"].as_str().unwrap().parse().unwrap();
    let mode = |name: &str| {
        fs::metadata(site.path("north").join(name)).unwrap().permissions().mode() & 0o777
    };
    let modes = ["", "gateway.json", "enrolment.json", "spool.redb"].map(mode);
    assert_eq!(modes, [0o700, 0o600, 0o600, 0o600]);

    let gateway = Gateway::start(&site, "north");
    gateway.take(&event("first")).await;
    gateway.wait_until_sent().await;
    let trust = node.trust().await;
    gateway.stop();
    let place = kept(&site, "north", &trust)["first"];

    let token = sign_in(&site, &node, "north/gateway.json").await;
    let line = Client::new().get(format!("{}/v1/entries/{place}", node.url)).bearer_auth(token);
    let line: Value = line.send().await.unwrap().json().await.unwrap();
    let report: Report = serde_json::from_value(line["report"].clone()).unwrap();
    let evidence: Evidence = serde_json::from_value(line["evidence"].clone()).unwrap();
    assert_eq!(report.actor, key);
    assert!(evidence.verify(&report, &domain(trust.chain_id, trust.registry)).unwrap());
    assert!(line["details"]["text"].as_str().unwrap().contains("Dr Oskar Nurm"), "{line:#}");

    let listed = must(site.run(["organisations", "list"]));
    let row = listed.lines().find(|row| row.contains("North Clinic")).unwrap();
    assert!(row.contains("its signature") && row.contains("UTC"), "{listed}");
    node.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invite_works_once_and_a_folder_is_joined_once() {
    let site = site();
    let node = site.serve();
    let added = add(&site, "North Clinic");
    init(&site, &added, "north");
    let invite = added["invite"]["url"].as_str().unwrap();
    let again = site.run(["gateway", "init", invite, "--dir", "other"]);
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(again.err.contains("invite was used by another key"), "{again:?}");
    assert!(!site.path("other").join("enrolment.json").exists());
    let again = site.run(["gateway", "init", invite, "--dir", "north"]);
    assert!(again.err.contains("is an enrolled gateway already"), "{again:?}");
    let run = site.run(["gateway", "--dir", "other"]);
    assert!(run.err.contains("is no enrolled gateway"), "{run:?}");
    let none = site.run(["gateway", "init", &node.url, "--dir", "other"]);
    assert!(none.err.contains("this is no invite"), "{none:?}");

    // The attempt that was refused left a key: with a good invite it is used.
    let id = added["id"].as_str().unwrap();
    let further = json_from(site.run(["organisations", "invite", id, "--json"]));
    let joined = init(&site, &further, "other");
    assert_eq!(joined["organisation"], added["id"]);
    fs::remove_file(site.path("other").join("spool.redb")).unwrap();
    let run = site.run(["gateway", "run", "--dir", "other"]);
    assert!(run.err.contains("spool.redb is gone"), "{run:?}");
    let run = site.run(["gateway", "run", "--dir", "north", "--listen", "0.0.0.0:0"]);
    assert!(run.err.contains("--expose"), "{run:?}");
    node.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_operator_gives_api_keys_and_a_revoked_one_opens_nothing() {
    let site = site();
    let silent = site.run(["organisations", "list"]);
    assert_eq!(silent.code, Some(1), "{silent:?}");
    assert!(silent.err.contains("Is it running?"), "{silent:?}");
    let node = site.serve();
    let stranger = Site::new(site.settings.clone());
    let refused = stranger.run(["organisations", "add", "X", "--domain", "x.example"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.err.contains("no key of the operator"), "{refused:?}");

    let added = add(&site, "North Clinic");
    let id = added["id"].as_str().unwrap();
    let made = json_from(site.run(["organisations", "api-key", id, "--json"]));
    let post = |event: Value| {
        let post = Client::new().post(format!("{}/fhir/AuditEvent", node.url));
        let post = post.bearer_auth(made["key"].as_str().unwrap());
        post.header("content-type", "application/fhir+json").body(event.to_string()).send()
    };
    assert_eq!(post(event("by-key")).await.unwrap().status().as_u16(), 201);
    let listed = must(site.run(["organisations", "list"]));
    let row = listed.lines().find(|row| row.contains("North Clinic")).unwrap();
    assert!(row.contains("API key (relayed)"), "{listed}");
    let key_id = made["id"].as_str().unwrap();
    must(site.run(["organisations", "revoke-key", key_id]));
    assert_eq!(post(event("by-revoked-key")).await.unwrap().status().as_u16(), 401);
    let unknown = site.run(["organisations", "revoke-key", "../organisations"]);
    assert!(unknown.err.contains("is no id of an API key"), "{unknown:?}");
    node.stop();
}

/// Sends events until nobody answers any more; each is written down once it was acknowledged.
async fn send_until_death(url: String, client: String, book: Arc<Mutex<BTreeMap<String, Value>>>) {
    let http = Client::builder().timeout(PATIENCE).build().unwrap();
    for number in 0.. {
        let id = format!("{client}-{number}");
        let event = event(&id);
        let Ok((status, text)) = send(&http, &url, &event).await else { return };
        assert_eq!(status, 201, "{text}");
        book.lock().unwrap().insert(id, event);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_of_a_gateway_under_load_loses_no_event_and_doubles_none() {
    let site = site();
    let node = site.serve();
    init(&site, &add(&site, "North Clinic"), "north");
    let book = Arc::new(Mutex::new(BTreeMap::new()));
    for round in 0..KILLS {
        let mut gateway = Gateway::start(&site, "north");
        let before = book.lock().unwrap().len();
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let client = format!("r{round}-c{client}");
                tokio::spawn(send_until_death(gateway.url.clone(), client, book.clone()))
            })
            .collect();
        let end = Instant::now() + PATIENCE;
        while book.lock().unwrap().len() < before + LOAD {
            assert!(Instant::now() < end, "{}", gateway.running.said());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        gateway.running.kill_9();
        for client in clients {
            client.await.unwrap();
        }
    }
    let gateway = Gateway::start(&site, "north");
    let book = book.lock().unwrap().clone();
    // Its software cannot know what was heard last, and sends it again.
    for event in book.values().rev().take(20) {
        let (status, text) = send(&gateway.http, &gateway.url, event).await.unwrap();
        assert!([200, 201].contains(&status), "{status} {text}");
    }
    gateway.wait_until_sent().await;
    let trust = node.trust().await;
    gateway.stop();
    let kept = kept(&site, "north", &trust);
    let lost: Vec<_> = book.keys().filter(|id| !kept.contains_key(*id)).collect();
    assert!(lost.is_empty(), "{lost:?}");
    println!("{} events acknowledged over {KILLS} kills, {} in the log", book.len(), kept.len());
    node.stop();
    site.must_be_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_log_is_away_events_are_taken_and_all_are_forwarded_once_it_is_back() {
    let site = site();
    let node = site.serve();
    init(&site, &add(&site, "North Clinic"), "north");
    let trust = node.trust().await;
    let gateway = Gateway::start(&site, "north");
    gateway.take(&event("before")).await;
    gateway.wait_until_sent().await;
    node.kill_9();
    for number in 0..40 {
        gateway.take(&event(&format!("away-{number}"))).await;
    }
    let node = site.serve();
    gateway.take(&event("after")).await;
    gateway.wait_until_sent().await;
    gateway.stop();
    let kept = kept(&site, "north", &trust);
    assert_eq!(kept.len(), 42);
    node.stop();
    site.must_be_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_gateway_follows_a_patient_whom_the_first_connected() {
    let site = site();
    let node = site.serve();
    let added = add(&site, "North Clinic");
    init(&site, &added, "north");
    let first = Gateway::start(&site, "north");
    let further = ["organisations", "invite", added["id"].as_str().unwrap(), "--json"];
    init(&site, &json_from(site.run(further)), "second");
    let second = Gateway::start(&site, "second");
    let trust = node.trust().await;
    first.take(&event("at-the-first")).await;
    first.wait_until_sent().await;

    // Its key is older than the second's; it alone knows the code that it gives out.
    let asked = first.http.post(format!("{}/desk/codes", first.url));
    let asked = asked.json(&json!({ "identifier": "Patient/p7" })).send().await.unwrap();
    let issued: Value = asked.json().await.unwrap();
    let person = PrivateKeySigner::from_slice(&[0x71; 32]).unwrap();
    connect(&node, &person, &trust, &issued["code"]).await;

    second.take(&event("at-the-second")).await;
    second.wait_until_sent().await;
    let token = sign_in_as(&node, &person).await;
    let trail = format!("{}/v1/subjects/{}/trail?kind=1&limit=9", node.url, person.address());
    let trail = Client::new().get(trail).bearer_auth(token).send().await.unwrap();
    let trail: Value = trail.json().await.unwrap();
    let newest = &trail["lines"][0];
    assert_eq!(newest["report"]["subject"], json!(person.address().into_word()), "{trail:#}");
    assert!(newest["details"]["text"].as_str().unwrap().contains("at-the-second"), "{trail:#}");
    assert_eq!(trail["lines"].as_array().unwrap().len(), 2);
    for gateway in [&first, &second] {
        let status = gateway.http.get(format!("{}/status", gateway.url)).send().await.unwrap();
        let status: Value = status.json().await.unwrap();
        assert_eq!(status["alarms"], json!([]), "{status:#}");
    }
    first.stop();
    second.stop();
    assert_eq!(kept(&site, "second", &trust).len(), 1);
    node.stop();
    site.must_be_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_set_aside_is_sent_once_its_cause_is_mended_and_somebody_says_so() {
    let site = site();
    let node = site.serve();
    init(&site, &add(&site, "North Clinic"), "north");
    let gateway = Gateway::start(&site, "north");
    let running = site.run(["gateway", "retry", "--dir", "north"]);
    assert_eq!(running.code, Some(1), "{running:?}");
    assert!(running.err.contains("is already open"), "{running:?}");
    node.kill_9();
    for id in ["aside", "evidence", "waits"] {
        gateway.take(&event(id)).await;
    }
    // Signed, so that each is a report that can be set aside.
    let end = Instant::now() + PATIENCE;
    loop {
        let status = gateway.http.get(format!("{}/status", gateway.url)).send().await.unwrap();
        let status: Value = status.json().await.unwrap();
        if status["spool"]["waiting"] == 3 {
            break;
        }
        assert!(Instant::now() < end, "{status:#}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    gateway.stop();
    {
        let limits = SpoolLimits { count: 9, bytes: 1 << 20 };
        let spool = SpoolDb::open(&site.path("north"), limits).unwrap();
        let answer = b"{\"index\":7}".to_vec().into();
        let wrong = ReportState::WrongReceipt { answer, reason: "path".to_owned() };
        let aside = ReportState::SetAside("invalid-field: a fault of the log".to_owned());
        spool.settle(&[(1, aside), (2, wrong)]).unwrap();
    }
    let said = json_from(site.run(["gateway", "retry", "--dir", "north", "--json"]));
    let reason = "invalid-field: a fault of the log";
    assert_eq!(said, json!({ "putBack": [{ "number": 1, "reason": reason }] }));
    let none = must(site.run(["gateway", "retry", "--dir", "north"]));
    assert!(none.contains("Nothing was set aside"), "{none}");
    site.write("taken", "");
    let taken = site.run(["gateway", "retry", "--dir", "north", "--evidence", "taken"]);
    assert_eq!(taken.code, Some(1), "{taken:?}");
    let said =
        must(site.run(["gateway", "retry", "--dir", "north", "--evidence", "evidence.ndjson"]));
    assert!(said.contains("2  path") && said.contains("1 reports wait again"), "{said}");
    let evidence = fs::read_to_string(site.path("evidence.ndjson")).unwrap();
    let evidence: Value = serde_json::from_str(&evidence).unwrap();
    assert_eq!((&evidence["number"], &evidence["answer"]), (&json!(2), &json!("{\"index\":7}")));

    let node = site.serve();
    let trust = node.trust().await;
    let gateway = Gateway::start(&site, "north");
    gateway.wait_until_sent().await;
    gateway.stop();
    assert_eq!(kept(&site, "north", &trust).len(), 3);
    let same = must(site.run(["gateway", "trust", "--dir", "north"]));
    assert!(same.contains("names the keys that this gateway believes"), "{same}");
    node.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_learns_of_a_new_key_only_when_somebody_accepts_it() {
    let site = site();
    let node = site.serve();
    let added = add(&site, "North Clinic");
    init(&site, &added, "north");
    let further = ["organisations", "invite", added["id"].as_str().unwrap(), "--json"];
    let second = init(&site, &json_from(site.run(further)), "second");
    let key: Address = second["key"].as_str().unwrap().parse().unwrap();
    let spelled = format!("{key:#x}");
    let before = fs::read_to_string(site.path("north").join("enrolment.json")).unwrap();
    assert!(!before.contains(&spelled));
    let shown = site.run(["gateway", "trust", "--dir", "north"]);
    assert_eq!(shown.code, Some(3), "{shown:?}");
    assert!(shown.out.contains(&format!("North Clinic: new key {key}")), "{shown:?}");
    assert!(shown.out.contains("--accept"), "{shown:?}");
    let enrolment = || fs::read_to_string(site.path("north").join("enrolment.json")).unwrap();
    assert_eq!(enrolment(), before);
    must(site.run(["gateway", "trust", "--dir", "north", "--accept"]));
    assert!(enrolment().contains(&spelled));
    let same = must(site.run(["gateway", "trust", "--dir", "north"]));
    assert!(same.contains("names the keys that this gateway believes"), "{same}");
    node.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_on_a_full_disk_refuses_events_loses_none_and_needs_no_restart() {
    let Some(disk) = SmallDisk::mount() else {
        return skipped("a gateway's full disk: this user may not mount a small one");
    };
    let site = site();
    let node = site.serve();
    let folder = disk.0.path().join("north");
    let folder = folder.to_str().unwrap();
    init(&site, &add(&site, "North Clinic"), folder);
    let gateway = Gateway::start(&site, folder);
    let trust = node.trust().await;
    // An event that needs room.
    let bulky = |number: usize| {
        let mut event = event(&format!("bulky-{number}"));
        event["outcomeDesc"] = json!("x".repeat(60_000));
        event
    };
    let mut taken = Vec::new();
    let filler = disk.fill();
    let refused = loop {
        let event = bulky(taken.len());
        let (status, text) = send(&gateway.http, &gateway.url, &event).await.unwrap();
        if status != 201 {
            break (status, text);
        }
        taken.push(event);
        assert!(taken.len() < 400, "the disk never fills");
    };
    assert_eq!(refused.0, 503, "{refused:?}");
    let outcome: Value = serde_json::from_str(&refused.1).unwrap();
    assert_eq!(
        (&outcome["resourceType"], &outcome["issue"][0]["code"]),
        (&json!("OperationOutcome"), &json!("transient")),
        "{outcome}"
    );
    for _ in 0..3 {
        let (status, _) = send(&gateway.http, &gateway.url, &bulky(taken.len())).await.unwrap();
        assert_eq!(status, 503);
    }
    let status = gateway.http.get(format!("{}/status", gateway.url)).send().await.unwrap();
    assert_eq!(status.status().as_u16(), 200);
    let process = gateway.running.id();

    fs::remove_file(&filler).unwrap();
    let event = bulky(taken.len());
    let end = Instant::now() + PATIENCE;
    while send(&gateway.http, &gateway.url, &event).await.unwrap().0 != 201 {
        assert!(Instant::now() < end, "{}", gateway.running.said());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    taken.push(event);
    gateway.wait_until_sent().await;
    assert!(fs::exists(format!("/proc/{process}")).unwrap(), "the same process");
    gateway.stop();
    assert_eq!(kept(&site, folder, &trust).len(), taken.len());
    node.stop();
    drop(disk);
}
