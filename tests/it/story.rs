//! The demo's story, act by act, as people meet it: the real binary, by its words and over HTTP.

mod week;

use crate::site::PATIENCE;
use alloy::primitives::{Address, B256};
use journeys::medtrail::{Running, binary};
use medtrail_fhir::reading::{Facts, reading, sentence};
use medtrail_keys::person::PersonKey;
use medtrail_ledger::proof::{Document, Evidence};
use medtrail_ledger::schema::Report;
use medtrail_ledger::trust::TrustFile;
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};
use std::fs;
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Seeding takes seconds, and finality some blocks of 2 s.
const DEMO: Duration = Duration::from_secs(120);
/// What the story promises: press to line.
const PROMISED: Duration = Duration::from_secs(1);
const LOOK: &str = "Dr Liis Kask, Kalda Family Doctors, read your allergies. For your treatment.";

/// A running demo.
struct Demo {
    running: Running,
    folder: TempDir,
}

impl Demo {
    fn start(more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(binary());
        command
            .args(["demo", "--listen", "127.0.0.1:0", "--rpc-port", &free.to_string()])
            .arg("--data-dir")
            .arg(folder.path())
            .args(more)
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        Self { running: Running::start_command(command), folder }
    }

    fn marker(&self) -> Value {
        let text = fs::read(self.folder.path().join("demo.json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    }
}

/// Somebody who is signed in.
struct Person {
    http: Client,
    url: String,
    token: String,
    address: Address,
}

impl Person {
    /// Signs in with the key that the demo tells everybody.
    async fn sign_in(marker: &Value, name: &str) -> Self {
        let accounts = marker["accounts"].as_array().unwrap();
        let account = accounts.iter().find(|one| one["name"] == name).unwrap();
        let secret: B256 = account["privateKey"].as_str().unwrap().parse().unwrap();
        let key = PersonKey::from_bytes(&secret).unwrap();
        let (http, url) = (Client::new(), marker["url"].as_str().unwrap().to_owned());
        let asked = http.get(format!("{url}/v1/session/nonce?address={}", key.address()));
        let challenge: Value = asked.send().await.unwrap().json().await.unwrap();
        let message = challenge["message"].as_str().unwrap();
        let signed =
            json!({ "message": message, "signature": key.sign_text(message), "bearer": true });
        let sent = http.post(format!("{url}/v1/session")).json(&signed).send().await.unwrap();
        assert_eq!(sent.status(), StatusCode::OK);
        let who: Value = sent.json().await.unwrap();
        let token = who["token"].as_str().unwrap().to_owned();
        Self { http, url, token, address: key.address() }
    }

    async fn ask(&self, path: &str) -> Response {
        let request = self.http.request(Method::GET, format!("{}{path}", self.url));
        request.bearer_auth(&self.token).send().await.unwrap()
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.ask(path).await;
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert_eq!(status, StatusCode::OK, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    async fn trail(&self) -> Vec<Value> {
        let page = self.get(&format!("/v1/subjects/{}/trail?limit=1000", self.address)).await;
        assert_eq!(page["next"], Value::Null);
        page["lines"].as_array().unwrap().clone()
    }

    async fn feed(&self) -> Feed {
        let response = self.ask(&format!("/v1/subjects/{}/feed", self.address)).await;
        assert_eq!(response.status(), StatusCode::OK);
        Feed { response, read: String::new() }
    }

    /// Presses "A doctor looks now".
    async fn press(&self) -> Value {
        let pressed = self.http.post(format!("{}/demo/look", self.url)).send().await.unwrap();
        assert_eq!(pressed.status(), StatusCode::OK);
        pressed.json().await.unwrap()
    }
}

/// Server-sent events.
struct Feed {
    response: Response,
    read: String,
}

impl Feed {
    async fn next(&mut self) -> (String, Value) {
        loop {
            if let Some((block, rest)) = self.read.split_once("\n\n") {
                let field = |name: &str| {
                    let mut lines = block.lines();
                    lines
                        .find_map(|line| line.strip_prefix(name))
                        .map(|text| text.trim().to_owned())
                };
                let found = field("event:").zip(field("data:"));
                self.read = rest.to_owned();
                if let Some((kind, data)) = found {
                    return (kind, serde_json::from_str(&data).unwrap());
                }
                continue;
            }
            let bytes = self.response.chunk().await.unwrap().expect("the stream goes on");
            self.read.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }

    /// The next line that reads like this.
    async fn line(&mut self, trust: &TrustFile, words: &str) -> Value {
        let found = async {
            loop {
                let (kind, data) = self.next().await;
                if kind == "line" && sentence(&facts(&data, trust)) == words {
                    return data;
                }
            }
        };
        tokio::time::timeout(PATIENCE, found).await.expect("the line comes")
    }

    /// Waits until an anchor covers the line in this state; the states seen on the way.
    async fn until(&mut self, index: u64, state: &str) -> Vec<String> {
        let mut seen: Vec<String> = Vec::new();
        let found = async {
            loop {
                let (kind, data) = self.next().await;
                if kind != "anchor" || data["size"].as_u64().unwrap() <= index {
                    continue;
                }
                let reached = data["state"].as_str().unwrap().to_owned();
                if seen.last() != Some(&reached) {
                    seen.push(reached);
                }
                if seen.last().is_some_and(|last| last == state) {
                    return;
                }
            }
        };
        tokio::time::timeout(PATIENCE, found).await.expect("the line is locked");
        seen
    }
}

/// What a line says, by what the reader was given and nothing else.
fn facts(line: &Value, trust: &TrustFile) -> Facts {
    let report: Report = serde_json::from_value(line["report"].clone()).unwrap();
    let details: Option<Document> = serde_json::from_value(line["details"].clone()).unwrap();
    let details = details.and_then(|document| document.bytes());
    let names = |address: Address| {
        let named = trust
            .organisations
            .iter()
            .find(|organisation| organisation.keys.iter().any(|key| key.address == address));
        named.map(|organisation| organisation.name.clone())
    };
    reading(&report, details.as_deref(), line["evidence"] == "relayed", &names)
}

#[test]
fn the_terminal_tells_who_is_who_what_runs_where_and_acts_one_four_and_five() {
    let mut demo = Demo::start(&["--tell", "--once"]);
    let status = demo.running.wait_for_end(DEMO);
    demo.running.wait_for("Verified.", PATIENCE);
    let said = demo.running.said();
    assert_eq!(status.code(), Some(0), "{said}");
    let marker = demo.marker();
    let url = marker["url"].as_str().unwrap();
    let mut rest = said.as_str();
    let mut then = |words: &str| match rest.split_once(words) {
        Some((_, after)) => rest = after,
        None => panic!("{words:?} does not follow:\n{said}"),
    };
    then("Invented people. Test money. The chain runs on your machine");
    let gateways = marker["gateways"].as_array().unwrap();
    assert_eq!(gateways.len(), 4);
    for gateway in gateways {
        then(gateway["url"].as_str().unwrap());
        then(gateway["name"].as_str().unwrap());
    }
    then("API key   of Tide Sensors: what comes by it is relayed, not signed");
    then("Mari Tamm is connected to Kalda Family Doctors, Harbour Hospital, Lumi Laboratory");
    then("seven days of 400 people, ");
    then(
        "Jaan Tamm, 9, her son, has no key: Mari acts for him; she and Kalda Family Doctors signed",
    );
    then(&format!("Open {url}"));
    for door in ["I am Mari", "I buy data", "I check", "I run the hospital"] {
        then(door);
    }
    then("known to all, never send real money");
    for account in marker["accounts"].as_array().unwrap() {
        then(account["name"].as_str().unwrap());
        then(account["privateKey"].as_str().unwrap());
    }
    then("Act 1: Watch");
    then("Mari's trail, newest first");
    then(
        "07:55  Refused. Harbour Hospital tried to change “Allergy: penicillin” to “No known allergies” without your permission. Nothing changed.",
    );
    then("07:30  State Health Insurance was billed for “MRI of the knee” for you on ");
    then("06:10  Tide Sensors stopped answering. Still kept here: 90 days of readings.");
    then(
        "23:47  Unusual. A nurse at Harbour Hospital (no. 4417, name not given) read a psychiatric note. No reason given.",
    );
    then(
        "19:12  Emergency. Dr Peeter Saar, Harbour Hospital, opened your allergies and medicines; you could not be asked.",
    );
    then(
        "19:09  Kalda Family Doctors passed your documents on to Harbour Hospital. To coordinate your care. Both confirmed.",
    );
    then(
        "08:20  Dr Liis Kask, Kalda Family Doctors, changed your medicines: “Insulin glargine, every evening” from “18 units” to “20 units”. For your treatment. With your permission.",
    );
    then("  Lumi Laboratory: 42 automatic checks\n");
    then("The trail of Jaan, her son, newest first");
    then("Nurse Anu Sild, Kalda Family Doctors, added to your vaccinations. For your treatment.\n");
    then("You press “A doctor looks now”.");
    then(" ms  ");
    then(LOOK);
    then("signed by Kalda Family Doctors, recorded");
    then("  being locked\n");
    then("  locked\n");
    then("  ✓ report ");
    then("signed by Kalda Family Doctors");
    then("Verified.");
    then("Act 4: Ask, refuse, allow");
    then("You asked Harbour Hospital why: “Why was this note opened?”");
    then("Harbour Hospital answered your question: “The nurse was on night duty");
    then("Harbour Hospital asks you to allow a change in your allergies.");
    then("You approved one change by Harbour Hospital.");
    then("Harbour Hospital changed your allergies. For your treatment.");
    then("Act 5: Sell");
    then("Mari signs an offer and lists it.");
    then("I offer for sale a copy of health data of 0x");
    then("Paid. The money waits in the market contract.");
    then("Mari reads what she is asked.");
    then("Mari approves: a signature, no transaction and no coin.");
    then("Delivered. Waiting for the log's next anchor");
    then("  ✓ opened      Both seals opened");
    then("Verified.");
    then("Boreal opened 25920 readings of Mari's:");
    then("A copy of your data was delivered to a buyer.");
    then("The money for a sale to 0x");
    then("Mari had 0 ETH and has 0.05 ETH.");
    assert!(!said.contains("  ✗ ") && !said.contains("  ! "), "{said}");
}

#[tokio::test]
async fn a_doctor_looks_and_mari_alone_sees_it_until_it_is_locked() {
    let mut demo = Demo::start(&[]);
    demo.running.wait_for("Running at ", DEMO);
    let marker = demo.marker();
    let trust = fs::read(demo.folder.path().join("trust.json")).unwrap();
    let trust = TrustFile::parse(&trust).unwrap();
    let mari = Person::sign_in(&marker, "Mari Tamm").await;
    let kadri = Person::sign_in(&marker, "Kadri, Mari’s sister").await;
    let (mut feed, mut sisters) = (mari.feed().await, kadri.feed().await);

    // Under a second. One try may meet a machine that does something else.
    let mut fastest = Duration::MAX;
    let mut line = Value::Null;
    for _ in 0..3 {
        let pressed = Instant::now();
        let (said, seen) = tokio::join!(mari.press(), feed.line(&trust, LOOK));
        fastest = fastest.min(pressed.elapsed());
        assert!(said["text"].as_str().unwrap().contains("Dr Liis Kask"), "{said}");
        line = seen;
    }
    println!("press to line: {} ms", fastest.as_millis());
    assert!(fastest < PROMISED, "{fastest:?}");

    // Signed by Kalda, recorded; then being locked, then locked.
    let index = line["index"].as_u64().unwrap();
    let report: Report = serde_json::from_value(line["report"].clone()).unwrap();
    let evidence: Evidence = serde_json::from_value(line["evidence"].clone()).unwrap();
    let domain = medtrail_ledger::schema::domain(trust.chain_id, trust.registry);
    assert!(evidence.verify(&report, &domain).unwrap(), "signed, not relayed");
    let signer = trust.organisation_of(report.actor, report.timeMs).unwrap();
    assert_eq!(signer.name, "Kalda Family Doctors");
    assert_eq!((&line["state"], &line["anchor"]), (&json!("recorded"), &Value::Null));
    let seen = feed.until(index, "final").await;
    assert!(seen.iter().rev().eq(["final", "mined"].iter().take(seen.len())), "{seen:?}");
    let now = mari.get(&format!("/v1/entries/{index}")).await;
    assert_eq!(now["state"], "final");
    assert!(now["anchor"]["size"].as_u64().unwrap() > index);

    // Her sister sees nothing of it: no trail, no line, no proof, nothing on her own feed.
    for path in ["trail", "feed"] {
        let foreign = kadri.ask(&format!("/v1/subjects/{}/{path}", mari.address)).await;
        assert_eq!(foreign.status(), StatusCode::NOT_FOUND, "{path}");
    }
    let absent = kadri.ask("/v1/entries/999999").await;
    let (status, nothing) = (absent.status(), absent.text().await.unwrap());
    assert_eq!(status, StatusCode::NOT_FOUND);
    for what in ["", "/receipt", "/proof", "/proof?open=true"] {
        let foreign = kadri.ask(&format!("/v1/entries/{index}{what}")).await;
        assert_eq!(foreign.status(), StatusCode::NOT_FOUND, "{what}");
        let told = foreign.text().await.unwrap().replace(&index.to_string(), "999999");
        assert_eq!(told, nothing, "{what}");
    }
    assert!(kadri.trail().await.is_empty());
    let lines = async { while sisters.next().await.0 != "line" {} };
    let heard = tokio::time::timeout(Duration::from_secs(2), lines).await;
    assert!(heard.is_err(), "a line on her sister's feed");

    // All of it without a coin.
    let rpc = marker["rpc"].as_str().unwrap();
    for (method, nothing) in [("eth_getBalance", "0x0"), ("eth_getTransactionCount", "0x0")] {
        let params = json!([mari.address, "latest"]);
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let answer = mari.http.post(rpc).json(&request).send().await.unwrap();
        assert_eq!(answer.json::<Value>().await.unwrap()["result"], nothing, "{method}");
    }
    assert_eq!(demo.running.interrupt(PATIENCE).code(), Some(0), "{}", demo.running.said());
}

#[tokio::test]
async fn what_came_by_api_key_is_relayed_and_says_so() {
    let mut demo = Demo::start(&["--no-seed"]);
    demo.running.wait_for("Running at ", DEMO);
    let marker = demo.marker();
    let trust = fs::read(demo.folder.path().join("trust.json")).unwrap();
    let trust = TrustFile::parse(&trust).unwrap();
    let mari = Person::sign_in(&marker, "Mari Tamm").await;
    let mut feed = mari.feed().await;

    let key = &marker["custodianApiKeys"][0];
    assert_eq!(key["name"], "Tide Sensors");
    let event = include_str!("../data/fhir/machine-read.json");
    let event: Value = serde_json::from_str(event).unwrap();
    let event = event.to_string().replace("Lumi Laboratory", "Tide Sensors");
    let event: Value = serde_json::from_str(&event).unwrap();
    let mut event = event;
    // As Tide knows her.
    event["entity"][1]["what"] = json!({ "reference": "Patient/mari-tamm" });
    let post = |key: &str| {
        let request = mari.http.post(format!("{}/fhir/AuditEvent", mari.url));
        request
            .bearer_auth(key)
            .header("content-type", "application/fhir+json")
            .body(event.to_string())
    };
    let key = key["key"].as_str().unwrap();
    let sent = post(key).send().await.unwrap();
    assert_eq!(sent.status(), StatusCode::CREATED);
    let words = "Automatic check: Tide Sensors read your measurements. Not signed by Tide Sensors.";
    let line = feed.line(&trust, words).await;
    assert_eq!(line["evidence"], "relayed");
    let operator = trust.operator.keys[0].address;
    assert_eq!(line["report"]["actor"].as_str().unwrap().parse(), Ok(operator));

    // A key that was not given out sends nothing.
    let forged = post(&format!("{}x", &key[..key.len() - 1])).send().await.unwrap();
    assert_eq!(forged.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(demo.running.interrupt(PATIENCE).code(), Some(0), "{}", demo.running.said());
}

#[tokio::test]
async fn the_page_gets_its_story_its_wallet_and_its_first_screen() {
    let mut demo = Demo::start(&["--no-seed"]);
    demo.running.wait_for("Running at ", DEMO);
    let marker = demo.marker();
    let url = marker["url"].as_str().unwrap();
    let get = async |path: &str| {
        let answer = Client::new().get(format!("{url}{path}")).send().await.unwrap();
        let media = answer.headers()["content-type"].to_str().unwrap().to_owned();
        (answer.status(), media, answer.text().await.unwrap())
    };
    let (status, _, story) = get("/demo/story.json").await;
    assert_eq!(status, StatusCode::OK);
    let story: Value = serde_json::from_str(&story).unwrap();
    assert!(story["strip"].as_str().unwrap().starts_with("Invented people. Test money."));
    let acts = story["acts"].as_array().unwrap();
    let open: Vec<_> = acts.iter().filter(|act| act["isOpen"] == true).collect();
    assert_eq!((acts.len(), open.len()), (6, 3));
    let button = json!({ "label": "A doctor looks now", "post": "/demo/look" });
    assert_eq!(open[0]["buttons"], json!([button]));
    let places =
        json!([{ "label": "Sell", "path": "#/sell" }, { "label": "Market", "path": "#/market" }]);
    assert_eq!((&open[2]["places"], &open[2]["buttons"]), (&places, &json!([])));
    let presses = open[1]["buttons"].as_array().unwrap().iter().map(|button| &button["post"]);
    assert_eq!(presses.collect::<Vec<_>>(), ["/demo/answer", "/demo/ask"]);
    assert_eq!(story["accounts"], marker["accounts"]);
    assert_eq!(story["gateways"], marker["gateways"]);
    assert_eq!(story["chain"]["chainId"], marker["chainId"]);
    assert_eq!(story["chain"]["rpcUrl"], marker["rpc"]);

    let (status, media, home) = get("/").await;
    assert_eq!((status, media.as_str()), (StatusCode::OK, "text/html; charset=utf-8"));
    // The wallet comes with the page: neither is there where the page was not built.
    let is_built = !home.contains("The page is not in this binary");
    let (status, media, _) = get(story["wallet"].as_str().unwrap()).await;
    let expected = match is_built {
        true => (StatusCode::OK, "text/javascript; charset=utf-8"),
        false => (StatusCode::NOT_FOUND, "application/problem+json"),
    };
    assert_eq!((status, media.as_str()), expected);
    assert_eq!(get("/demo/other").await.0, StatusCode::NOT_FOUND);

    // Another site in the same browser cannot press the button.
    let press = Client::new().post(format!("{url}/demo/look"));
    let foreign = press.header("sec-fetch-site", "cross-site").send().await.unwrap();
    assert_eq!(foreign.status(), StatusCode::FORBIDDEN);
    assert_eq!(demo.running.interrupt(PATIENCE).code(), Some(0), "{}", demo.running.said());
}
