//! `/v1/records` and `/v1/approvals`: the vault through the door.

use crate::people::{Person, World};
use crate::support::{Answer, CHAIN, CONSENTS, Fault, Log, REGISTRY};
use alloy_primitives::{Address, B256, keccak256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use medtrail_ledger::entry::{batch_root, details_hash, event_id};
use medtrail_ledger::receipt::Receipt;
use medtrail_ledger::schema::{Report, ReportBatch, digest, domain};
use medtrail_ledger::vault::version_of;
use medtrail_permit::documents::{ChangeApproval, Document, Grant, Registries};
use medtrail_permit::statements::{Language, worded};
use reqwest::Method;
use serde_json::{Value, json};

const REGISTRIES: Registries =
    Registries { chain_id: CHAIN, consent_registry: CONSENTS, anchor_registry: REGISTRY };

fn bytes(letter: char) -> Vec<u8> {
    format!(r#"{{"resourceType":"Observation","id":"{letter}"}}"#).into_bytes()
}

fn version(letter: char) -> B256 {
    if letter == '0' { B256::ZERO } else { version_of(&bytes(letter)) }
}

fn record(number: u64) -> B256 {
    keccak256(number.to_be_bytes())
}

/// A report of the vault by somebody, and its details as they are sent.
#[derive(Clone)]
struct Signed {
    report: Report,
    details: String,
    signature: String,
    content: Option<String>,
}

impl Signed {
    fn body(&self) -> String {
        let report = serde_json::to_string(&self.report).unwrap();
        let content = json!(self.content);
        format!(
            r#"{{"report":{report},"details":{},"signature":"{}","content":{content}}}"#,
            self.details, self.signature
        )
    }
}

impl Log {
    fn vaults(&self, by: &Person, event: u64, kind: u8, details: Value) -> Report {
        Report {
            log: self.keys.log,
            eventId: event_id(by.address, &event.to_be_bytes()),
            kind,
            timeMs: 1_767_605_400_120,
            actor: by.address,
            details: details_hash(details.to_string().as_bytes()),
            ..Report::default()
        }
    }

    fn write(
        &self,
        by: &Person,
        of: Address,
        event: u64,
        record: B256,
        (from, to): (char, char),
    ) -> Signed {
        let details = json!({
            "version": "medtrail/version-v1",
            "about": {
                "title": format!("Blood count {to}"),
                "mediaType": "application/fhir+json",
                "resourceType": "Observation",
                "confidentiality": null,
                "topics": [],
            },
            "bytes": if to == '0' { 0 } else { bytes(to).len() },
            "purposes": ["TREAT"],
        });
        let action = match (from, to) {
            ('0', _) => b'C',
            (_, '0') => b'D',
            _ => b'U',
        };
        let report = Report {
            subject: of.into_word(),
            action,
            record,
            fromVersion: version(from),
            toVersion: version(to),
            ..self.vaults(by, event, 2, details.clone())
        };
        let content = (to != '0').then(|| STANDARD.encode(bytes(to)));
        sign(by, report, details, content)
    }

    async fn put(&self, sent: &Signed) -> Answer {
        let path = format!("/v1/records/{}/versions", sent.report.record);
        self.post_body(&path, sent.body()).await
    }

    async fn post_body(&self, path: &str, body: String) -> Answer {
        let request = self.http.post(self.url(path)).header("content-type", "application/json");
        Answer::of(request.body(body)).await
    }

    /// Has somebody keep a record; returns its id.
    pub(crate) async fn keep(&self, person: &Person, number: u64) -> String {
        let sent = self.write(person, person.address, 1000 + number, record(number), ('0', 'A'));
        let answer = self.put(&sent).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        record(number).to_string()
    }

    async fn give(&self, by: &Person, document: Document) -> B256 {
        let document = worded(document.clone(), Language::En).unwrap_or(document);
        let id = document.id(&REGISTRIES);
        let signature = by.sign_digest(id.0);
        let version = "medtrail/permission-v1";
        let body = json!({ "version": version, "document": document, "signature": signature });
        let answer = Answer::of(self.send(Method::POST, "/v1/permissions", &body)).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        id
    }
}

fn sign(by: &Person, report: Report, details: Value, content: Option<String>) -> Signed {
    let signature = by.sign_digest(digest(&report, &domain(CHAIN, REGISTRY)).0);
    Signed { report, details: details.to_string(), signature, content }
}

fn grant(of: Address, to: Address, scopes: &str) -> Document {
    Document::Grant(Grant {
        statement: String::new(),
        subject: of,
        grantee: to,
        scopes: scopes.into(),
        purposes: "TREAT".into(),
        epoch: 0,
        expiresAt: 4_000_000_000,
        salt: B256::repeat_byte(7),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_keeps_reads_and_deletes_and_each_answer_says_what_it_did() {
    let log = Log::start().await;
    let anna = Person::new(0xa1);
    let token = anna.sign_in(&log).await;
    let sent = log.write(&anna, anna.address, 1, record(1), ('0', 'A'));
    let first = log.put(&sent).await;
    assert_eq!(first.status, 201, "{first:?}");
    let told = first.json();
    assert_eq!((&told["record"], &told["version"]), (&json!(record(1)), &json!(version('A'))));
    let receipt: Receipt = serde_json::from_value(told["receipt"].clone()).unwrap();
    receipt.verify(&log.keys).unwrap();
    assert_eq!(receipt.report_hash, sent.report.hash());
    assert_eq!(log.put(&sent).await.status, 200, "the same again");

    let ask = |path: String| Answer::of(log.get(&path).bearer_auth(&token));
    let read = ask(format!("/v1/records/{}/content", record(1))).await;
    assert_eq!(read.body, bytes('A'));
    assert_eq!(read.header("etag"), Some(format!("\"{}\"", version('A')).as_str()));
    assert_eq!(read.header("content-type"), Some("application/fhir+json"));
    assert_eq!(read.header("cache-control"), Some("no-store"));
    assert_eq!(read.header("content-disposition"), Some("attachment"));
    let entry: u64 = read.header("medtrail-entry").unwrap().parse().unwrap();
    assert_eq!(log.service.entry(entry).unwrap().report.kind, 1);

    let second = log.write(&anna, anna.address, 2, record(1), ('A', 'B'));
    assert_eq!(log.put(&second).await.status, 201);
    let old = ask(format!("/v1/records/{}/content?version={}", record(1), version('A'))).await;
    assert_eq!(old.body, bytes('A'));
    let lost = log.write(&anna, anna.address, 3, record(1), ('A', 'C'));
    let problem = log.put(&lost).await.problem(409, "version-conflict");
    assert_eq!(problem["current"], json!(version('B')));

    let whole = ask(format!("/v1/records/{}", record(1))).await.json();
    assert_eq!(
        (&whole["version"], &whole["head"]),
        (&json!("medtrail/record-v1"), &json!(version('B')))
    );
    assert_eq!(whole["versions"][1]["title"], "Blood count B");
    assert_eq!(whole["versions"][1]["from"], json!(version('A')));
    assert_eq!(whole["versions"][1]["organisation"], Value::Null);
    let versions = ask(format!("/v1/records/{}/versions", record(1))).await.json();
    assert_eq!(versions, whole["versions"]);
    let listed = ask("/v1/records".to_owned()).await.json();
    assert_eq!(listed["version"], "medtrail/records-v1");
    assert_eq!(
        (&listed["records"][0]["versions"], &listed["records"][0]["current"]["version"]),
        (&json!(2), &json!(version('B')))
    );

    let gone = log.write(&anna, anna.address, 4, record(1), ('B', '0'));
    assert_eq!(log.put(&gone).await.status, 201);
    ask(format!("/v1/records/{}/content", record(1))).await.problem(404, "no-such-record");
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_names_its_field_and_changes_nothing() {
    let log = Log::start().await;
    let anna = Person::new(0xa1);
    let good = log.write(&anna, anna.address, 1, record(1), ('0', 'A'));
    let path = format!("/v1/records/{}/versions", record(1));
    let refused = async |sent: &Signed, status, slug: &str, field: &str| {
        let problem = log.post_body(&path, sent.body()).await.problem(status, slug);
        assert_eq!(problem["field"], field, "{problem}");
    };
    let with = |content: Option<&str>| Signed { content: content.map(Into::into), ..good.clone() };
    refused(&with(Some("not base64!")), 422, "invalid-field", "content").await;
    refused(&with(None), 422, "invalid-field", "content").await;
    let other = STANDARD.encode(bytes('B'));
    refused(&with(Some(&other)), 422, "content-mismatch", "content").await;
    let elsewhere = log.write(&anna, anna.address, 1, record(2), ('0', 'A'));
    refused(&elsewhere, 422, "invalid-field", "report.record").await;
    let resigned = |change: fn(&mut Report)| {
        let mut report = good.report.clone();
        change(&mut report);
        let details = serde_json::from_str(&good.details).unwrap();
        sign(&anna, report, details, good.content.clone())
    };
    refused(&resigned(|report| report.kind = 1), 422, "kind-not-reported", "report.kind").await;
    refused(&resigned(|report| report.action = b'U'), 422, "invalid-field", "report.action").await;
    refused(&resigned(|report| report.log = B256::ZERO), 422, "wrong-log", "report.log").await;
    let unsigned = Signed { signature: format!("0x{}", "11".repeat(65)), ..good.clone() };
    refused(&unsigned, 422, "signature-refused", "signature").await;
    let strangers = log.write(&Person::new(0xb2), anna.address, 1, record(1), ('0', 'A'));
    refused(&strangers, 403, "unknown-custodian", "report.actor").await;
    let untitled: Value = serde_json::from_str(&good.details).unwrap();
    let mut untitled = untitled;
    untitled["about"]["title"] = json!("");
    let report =
        Report { details: details_hash(untitled.to_string().as_bytes()), ..good.report.clone() };
    refused(&sign(&anna, report, untitled, good.content.clone()), 422, "invalid-field", "title")
        .await;
    // Nowhere but here.
    let reported = log.post("application/json", good.body().replace(r#","content""#, r#","x""#));
    assert_eq!(Answer::of(reported).await.status, 422);
    assert_eq!(log.service.head().size, 0);
    assert_eq!(log.put(&good).await.status, 201);
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_of_records_comes_under_one_signature() {
    let log = Log::start().await;
    let anna = Person::new(0xa1);
    log.keep(&anna, 2).await;
    let writes: Vec<_> =
        (1..4).map(|n| log.write(&anna, anna.address, n, record(n), ('0', 'B'))).collect();
    let hashes: Vec<B256> = writes.iter().map(|sent| sent.report.hash()).collect();
    let root = B256::from(batch_root(&hashes));
    let batch = ReportBatch { root, count: 3 };
    let signature = anna.sign_digest(digest(&batch, &domain(CHAIN, REGISTRY)).0);
    let items: Vec<String> = writes
        .iter()
        .map(|sent| {
            let report = serde_json::to_string(&sent.report).unwrap();
            let content = json!(sent.content);
            format!(r#"{{"report":{report},"details":{},"content":{content}}}"#, sent.details)
        })
        .collect();
    let items = items.join(",");
    let body = |root: B256| {
        format!(r#"{{"root":"{root}","count":3,"signature":"{signature}","items":[{items}]}}"#)
    };
    log.post_body("/v1/records", body(B256::ZERO)).await.problem(422, "root-mismatch");
    let answer = log.post_body("/v1/records", body(root)).await;
    let results = answer.json()["results"].clone();
    assert_eq!(results[0]["written"]["record"], json!(record(1)));
    assert_eq!(results[1]["problem"]["type"], "/problems/version-conflict");
    assert!(results[2]["written"]["receipt"].is_object());
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organisation_reads_and_writes_what_was_permitted_and_is_told_nothing_of_the_rest() {
    let log = Log::start().await;
    let world = World::new(&log).await;
    let (anna, clinic) = (&world.anna, Person::new(2));
    let kept = log.keep(anna, 1).await;
    let ask = |record: &str, token: &str| {
        let whose = format!("subject={}&purpose=TREAT", anna.address);
        Answer::of(log.get(&format!("/v1/records/{record}/content?{whose}")).bearer_auth(token))
    };
    let absent = record(9).to_string();
    for token in [&world.clinic_token, &world.api_key] {
        let (hers, none) = (ask(&kept, token).await, ask(&absent, token).await);
        assert_eq!(hers.body, none.body, "whether there is anything is not told");
        assert_eq!(hers.problem(403, "not-permitted")["reason"], "noPermission");
    }
    let (hers, none) =
        (ask(&kept, &world.other_token).await, ask(&absent, &world.other_token).await);
    assert_eq!(hers.body, none.body);
    hers.problem(404, "no-such-record");

    let written = log.write(&clinic, anna.address, 1, record(1), ('A', 'B'));
    let refused = log.put(&written).await.problem(403, "not-permitted");
    assert_eq!(refused["reason"], "noPermission");
    log.give(anna, grant(anna.address, clinic.address, "patient/Observation.rus")).await;
    let written = log.write(&clinic, anna.address, 2, record(1), ('A', 'B'));
    assert_eq!(log.put(&written).await.status, 201);
    assert_eq!(ask(&kept, &world.clinic_token).await.body, bytes('B'));
    ask(&kept, &world.api_key).await.problem(403, "not-permitted");

    // Signed, the report itself is the line.
    let details = json!({ "version": "medtrail/read-v1", "purposes": ["TREAT"] });
    let report = Report {
        subject: anna.address.into_word(),
        action: b'R',
        record: record(1),
        ..log.vaults(&clinic, 3, 1, details.clone())
    };
    let look = sign(&clinic, report, details, None);
    let path = format!("/v1/records/{kept}/content");
    let read = log.post_body(&path, look.body()).await;
    assert_eq!((read.status.as_u16(), read.body.clone()), (200, bytes('B')));
    let entry: u64 = read.header("medtrail-entry").unwrap().parse().unwrap();
    assert_eq!(log.service.entry(entry).unwrap().report, look.report);
    log.post_body(&path, look.body()).await.problem(409, "event-conflict");
    let list = format!("/v1/records?subject={}&purpose=TREAT", anna.address);
    let listed = Answer::of(log.get(&list).bearer_auth(&world.clinic_token)).await.json();
    assert_eq!(listed["records"][0]["record"], json!(record(1)));
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn if_the_log_takes_nothing_no_bytes_leave() {
    let log = Log::start().await;
    let anna = Person::new(0xa1);
    let kept = log.keep(&anna, 1).await;
    let token = anna.sign_in(&log).await;
    log.disk.fail_next(Fault::Full);
    let path = format!("/v1/records/{kept}/content");
    let read = Answer::of(log.get(&path).bearer_auth(&token)).await;
    read.problem(503, "disk-full");
    assert_eq!(Answer::of(log.get(&path).bearer_auth(&token)).await.body, bytes('A'));
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_is_seen_by_the_two_and_answered() {
    let log = Log::start().await;
    let world = World::new(&log).await;
    let (anna, clinic) = (&world.anna, Person::new(2));
    log.keep(anna, 1).await;
    let until_ms =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis()
            as u64
            + 3_600_000;
    let ask = async |event: u64, to: char| {
        let details = json!({
            "version": "medtrail/change-request-v1",
            "act": "asked",
            "about": {
                "title": "Blood count, mended",
                "mediaType": "application/fhir+json",
                "resourceType": "Observation",
                "confidentiality": null,
                "topics": [],
            },
            "bytes": bytes(to).len(),
            "why": "The unit was wrong.",
            "untilMs": until_ms,
        });
        let report = Report {
            subject: anna.address.into_word(),
            record: record(1),
            fromVersion: version('A'),
            toVersion: version(to),
            ..log.vaults(&clinic, event, 12, details.clone())
        };
        let sent = sign(&clinic, report, details, Some(STANDARD.encode(bytes(to))));
        let answer = log.post_body("/v1/approvals", sent.body()).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()["id"].as_str().unwrap().to_owned()
    };
    let first = ask(1, 'B').await;
    let second = ask(2, 'C').await;
    let third = ask(3, 'D').await;
    let get = |path: String, token: &str| Answer::of(log.get(&path).bearer_auth(token));
    for token in [&world.anna_token, &world.clinic_token] {
        let listed = get("/v1/approvals".to_owned(), token).await.json();
        assert_eq!(listed["requests"].as_array().unwrap().len(), 3);
        let one = get(format!("/v1/approvals/{first}"), token).await.json();
        assert_eq!(one["state"], "asked");
        assert_eq!(
            (&one["why"], &one["title"]),
            (&json!("The unit was wrong."), &json!("Blood count, mended"))
        );
        assert_eq!(one["organisation"]["name"], "Clinic");
        let after = get(format!("/v1/approvals/{first}/content"), token).await;
        assert_eq!(after.body, bytes('B'));
    }
    let hidden = get(format!("/v1/approvals/{first}"), &world.harbour_token).await;
    let absent = get(format!("/v1/approvals/{}", record(77)), &world.harbour_token).await;
    assert_eq!(hidden.body, absent.body);
    hidden.problem(404, "no-such-request");

    let post =
        |path: String, token: &str| Answer::of(log.http.post(log.url(&path)).bearer_auth(token));
    let declined = post(format!("/v1/approvals/{second}/decline"), &world.anna_token).await;
    assert_eq!(declined.json()["state"], "declined");
    let late = post(format!("/v1/approvals/{second}/withdraw"), &world.clinic_token).await;
    late.problem(409, "not-waiting");
    let withdrawn = post(format!("/v1/approvals/{third}/withdraw"), &world.clinic_token).await;
    assert_eq!(withdrawn.json()["state"], "withdrawn");

    let approval = Document::ChangeApproval(ChangeApproval {
        statement: String::new(),
        subject: anna.address,
        custodian: clinic.address,
        record: record(1),
        fromVersion: version('A'),
        toVersion: version('B'),
        epoch: 0,
        expiresAt: 4_000_000_000,
        salt: B256::repeat_byte(1),
    });
    let id = log.give(anna, approval).await;
    let approved = get(format!("/v1/approvals/{first}"), &world.clinic_token).await.json();
    assert_eq!((&approved["state"], &approved["permission"]), (&json!("approved"), &json!(id)));
    let write = log.write(&clinic, anna.address, 10, record(1), ('A', 'B'));
    let report = Report { permission: id, ..write.report };
    let details = serde_json::from_str(&write.details).unwrap();
    let write = sign(&clinic, report, details, write.content);
    assert_eq!(log.put(&write).await.status, 201);
    let done = get(format!("/v1/approvals/{first}"), &world.anna_token).await.json();
    assert_eq!(done["state"], "done");
    log.end().await;
}
