//! Who acts for a person: what delegates and guardians see, that the trail says so, and how it ends.

use crate::feed::Feed;
use crate::people::{Person, World};
use crate::support::{Answer, CHAIN, CONSENTS, Log, REGISTRY, Sent, now_ms};
use alloy_primitives::{Address, B256};
use medtrail_ledger::consents::{ConsentEvent, ConsentRecord};
use medtrail_ledger::directory::code_hash;
use medtrail_ledger::entry::pseudonym;
use medtrail_ledger::schema::{Binding, Report, digest, domain};
use medtrail_permit::documents::{
    Delegation, Document, Grant, Guardianship, Registries, Revoke, RevokeAll, named,
};
use medtrail_permit::statements::{Language, worded};
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

const REGISTRIES: Registries =
    Registries { chain_id: CHAIN, consent_registry: CONSENTS, anchor_registry: REGISTRY };
const LATER_S: u64 = 4_000_000_000;

fn told(document: Document) -> Document {
    worded(document.clone(), Language::En).unwrap_or(document)
}

fn delegation(of: &Person, to: &Person, rights: &str, until_s: u64) -> Document {
    told(Document::Delegation(Delegation {
        statement: String::new(),
        subject: of.address,
        delegate: to.address,
        rights: rights.into(),
        epoch: 0,
        expiresAt: until_s,
        salt: B256::repeat_byte(3),
    }))
}

fn guardianship(child: B256, guardian: &Person, rights: &str) -> Document {
    told(Document::Guardianship(Guardianship {
        statement: String::new(),
        subject: child,
        guardian: guardian.address,
        custodian: clinic().address,
        rights: rights.into(),
        ground: "parent".into(),
        expiresAt: LATER_S,
    }))
}

fn grant_for(child: B256) -> Document {
    told(Document::Grant(Grant {
        statement: String::new(),
        subject: named(child),
        grantee: clinic().address,
        scopes: "patient/Observation.rs".into(),
        purposes: "TREAT".into(),
        epoch: 0,
        expiresAt: LATER_S,
        salt: B256::repeat_byte(7),
    }))
}

fn id(document: &Document) -> B256 {
    document.id(&REGISTRIES)
}

/// The organisation that reports, by its key.
fn clinic() -> Person {
    Person::new(2)
}

async fn record(log: &Log, by: &Person, document: &Document, query: &str) -> Answer {
    let body = json!({
        "version": "medtrail/permission-v1", "document": document,
        "signature": by.sign_digest(id(document).0),
    });
    Answer::of(log.send(Method::POST, &format!("/v1/permissions{query}"), &body)).await
}

async fn guard(log: &Log, document: &Document, guardian: &Person) {
    let digest = id(document).0;
    let body = json!({
        "version": "medtrail/permission-v1", "document": document,
        "signature": guardian.sign_digest(digest),
        "countersignature": clinic().sign_digest(digest),
    });
    let answer = Answer::of(log.send(Method::POST, "/v1/permissions", &body)).await;
    assert_eq!(answer.status, 201, "{answer:?}");
}

async fn get(log: &Log, token: &str, path: &str) -> Answer {
    Answer::of(log.get(path).bearer_auth(token)).await
}

/// Everything that shows a person's lines, for a line of theirs.
fn shown(subject: &str, index: u64) -> Vec<String> {
    let mut paths: Vec<String> = ["trail", "permissions", "accounting"]
        .iter()
        .map(|what| format!("/v1/subjects/{subject}/{what}"))
        .collect();
    paths.push(format!("/v1/subjects/{subject}/chain?record=0x{}", "11".repeat(32)));
    paths.push(format!("/fhir/Patient/{subject}/$accounting"));
    for what in ["", "/receipt"] {
        paths.push(format!("/v1/entries/{index}{what}"));
    }
    for what in ["questions", "claims", "emergencies"] {
        paths.push(format!("/v1/{what}?subject={subject}"));
    }
    paths
}

/// What nobody does for another.
fn never(subject: &str) -> Vec<String> {
    ["notices", "erasure"].iter().map(|what| format!("/v1/subjects/{subject}/{what}")).collect()
}

async fn all_answer(log: &Log, token: &str, paths: &[String], status: u16) {
    for path in paths {
        let answer = get(log, token, path).await;
        assert_eq!(answer.status, status, "{path}: {answer:?}");
    }
}

/// Versions of the details of the newest lines of a trail, the newest first.
fn versions(page: &Value) -> Vec<String> {
    let lines = page["lines"].as_array().unwrap().iter();
    let details = lines.map(|line| line["details"]["text"].as_str().unwrap_or("{}").to_owned());
    let version = |text: String| serde_json::from_str::<Value>(&text).unwrap()["version"].clone();
    details.map(|text| version(text).as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delegate_with_see_is_shown_what_the_person_is_and_a_line_says_so_first() {
    let log = Log::start().await;
    let (anna, kadri) = (Person::new(0xa1), Person::new(0xb2));
    let (token, hers) = (anna.sign_in(&log).await, kadri.sign_in(&log).await);
    let line = log.report(&log.about(anna.address, 1)).await.receipt();
    let subject = anna.address.to_string();
    let paths = [shown(&subject, line.index), never(&subject)].concat();
    let nobody = Address::repeat_byte(0x77).to_string();
    for (path, other) in paths.iter().zip([shown(&nobody, 999_999), never(&nobody)].concat()) {
        let (answer, absent) = (get(&log, &hers, path).await, get(&log, &hers, &other).await);
        assert_eq!((answer.status.as_u16(), &answer.body), (404, &absent.body), "{path}");
    }
    assert_eq!(log.service.head().size, 1, "who may not see leaves no line");

    let given = delegation(&anna, &kadri, "SEE", LATER_S);
    assert_eq!(record(&log, &anna, &given, "").await.status, 201);
    // First a look at a single line.
    let seen = get(&log, &hers, &format!("/v1/entries/{}", line.index)).await;
    assert_eq!(seen.json(), get(&log, &token, "/v1/entries/0").await.json());
    assert_eq!(log.service.head().size, 3, "report, delegation, look");
    all_answer(&log, &hers, &shown(&subject, line.index), 200).await;
    all_answer(&log, &hers, &never(&subject), 404).await;
    let feed = Feed::open_of(&log, &subject, &hers, Some(0)).await.line().await;
    assert_eq!(feed.id, Some(1));
    let found = get(&log, &hers, &format!("/fhir/AuditEvent?patient={subject}")).await;
    assert_eq!(found.status, 200);
    assert_eq!(found.json()["total"].as_u64().unwrap_or(1), 1, "{found:?}");

    let page = get(&log, &token, &format!("/v1/subjects/{subject}/trail")).await.json();
    let told = versions(&page);
    let of = |version: &str| told.iter().filter(|one| *one == version).count();
    assert_eq!((of("medtrail/look-v1"), of("medtrail/accounting-v1")), (1, 2), "{told:?}");
    let details = page["lines"][1]["details"]["text"].as_str().unwrap();
    assert!(details.contains(&format!("{:#x}", kadri.address)), "{details}");
    // They are shown the same page.
    let path = format!("/v1/subjects/{subject}/trail");
    assert_eq!(get(&log, &hers, &path).await.json(), page);
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_only_permit_and_who_may_no_more_is_a_stranger() {
    let log = Log::start().await;
    let (anna, kadri, tiit) = (Person::new(0xa1), Person::new(0xb2), Person::new(0xb3));
    let (hers, his) = (kadri.sign_in(&log).await, tiit.sign_in(&log).await);
    let line = log.report(&log.about(anna.address, 1)).await.receipt();
    let subject = anna.address.to_string();
    let see = delegation(&anna, &kadri, "SEE PERMIT", LATER_S);
    assert_eq!(record(&log, &anna, &see, "").await.status, 201);
    let permit = delegation(&anna, &tiit, "PERMIT", LATER_S);
    assert_eq!(record(&log, &anna, &permit, "").await.status, 201);
    // What a stranger signs in her name makes nobody a delegate.
    let forged = delegation(&anna, &tiit, "SEE", LATER_S);
    record(&log, &tiit, &forged, "").await.problem(422, "not-their-word");
    all_answer(&log, &his, &shown(&subject, line.index), 404).await;
    all_answer(&log, &hers, &shown(&subject, line.index), 200).await;

    let revoke = Document::Revoke(Revoke { subject: anna.address, permission: id(&see) });
    let mut feed = Feed::open_of(&log, &subject, &hers, None).await;
    log.report(&log.about(anna.address, 2)).await.receipt();
    feed.line().await;
    assert_eq!(record(&log, &anna, &revoke, "").await.status, 201);
    feed.ends().await;
    all_answer(&log, &hers, &shown(&subject, line.index), 404).await;
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_an_epoch_the_clock_and_the_chain_end_a_look_that_is_open() {
    let log = Log::start().await;
    let (anna, kadri) = (Person::new(0xa1), Person::new(0xb2));
    let hers = kadri.sign_in(&log).await;
    log.report(&log.about(anna.address, 1)).await.receipt();
    let subject = anna.address.to_string();
    let path = format!("/v1/subjects/{subject}/trail");
    let until_s = now_ms() / 1000 + 3;
    let short = delegation(&anna, &kadri, "SEE", until_s);
    assert_eq!(record(&log, &anna, &short, "").await.status, 201);
    let mut feed = Feed::open_of(&log, &subject, &hers, None).await;
    feed.ends().await;
    assert!(now_ms() >= until_s * 1000);
    get(&log, &hers, &path).await.problem(404, "no-such-trail");

    let long = delegation(&anna, &kadri, "SEE", LATER_S);
    assert_eq!(record(&log, &anna, &long, "").await.status, 201);
    assert_eq!(get(&log, &hers, &path).await.status, 200);
    log.chain.is_away.store(true, Ordering::SeqCst);
    get(&log, &hers, &path).await.problem(503, "chain-unreadable");
    let stranger = Person::new(0xb3).sign_in(&log).await;
    get(&log, &stranger, &path).await.problem(404, "no-such-trail");
    log.chain.is_away.store(false, Ordering::SeqCst);

    let mut feed = Feed::open_of(&log, &subject, &hers, None).await;
    let all = Document::RevokeAll(RevokeAll { subject: anna.address, epoch: 0 });
    assert_eq!(record(&log, &anna, &all, "").await.status, 201);
    feed.ends().await;
    get(&log, &hers, &path).await.problem(404, "no-such-trail");
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_control_moved_to_sees_the_trail_once_that_is_final() {
    let log = Log::start().await;
    let (anna, new) = (Person::new(0xa1), Person::new(0xb2));
    let token = new.sign_in(&log).await;
    log.report(&log.about(anna.address, 1)).await.receipt();
    let path = format!("/v1/subjects/{}/trail", anna.address);
    let event = ConsentEvent::ControlMoved { controller: new.address, at_s: now_ms() / 1000 - 9 };
    let moved = |is_final| ConsentRecord { event, is_final };
    log.chain.records.lock().unwrap().push(moved(false));
    get(&log, &token, &path).await.problem(404, "no-such-trail");
    *log.chain.records.lock().unwrap() = vec![moved(true)];
    assert_eq!(get(&log, &token, &path).await.status, 200);
    log.end().await;
}

/// The clinic's pseudonym of a child.
fn child(log: &Log) -> B256 {
    let key = log.service.key_of(log.custodian.address()).unwrap();
    pseudonym(&key, b"Patient/p1")
}

fn under(log: &Log, subject: B256, event: u64) -> Sent {
    let details = r#"{"resourceType":"AuditEvent"}"#.to_owned();
    let report = Report { subject, ..log.fields(0, event, &details) };
    log.sign(report, details)
}

fn ending(log: &Log, subject: B256, event: u64, guardianship: B256, order: &str) -> Sent {
    let version = "medtrail/guardianship-end-v1";
    let details = json!({ "version": version, "guardianship": guardianship, "order": order });
    let details = details.to_string();
    let fields = log.fields(0, event, &details);
    let report = Report { subject, kind: 11, action: b'D', permission: guardianship, ..fields };
    log.sign(report, details)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guardian_sees_a_child_s_trail_until_the_organisation_ends_it_by_an_order() {
    let log = Log::start().await;
    // With another organisation that has a key.
    World::new(&log).await;
    let (mother, father) = (Person::new(0xa1), Person::new(0xb2));
    let (hers, his) = (mother.sign_in(&log).await, father.sign_in(&log).await);
    let child = child(&log);
    let subject = child.to_string();
    let line = log.report(&under(&log, child, 1)).await.receipt();
    all_answer(&log, &hers, &shown(&subject, line.index), 404).await;
    let of_mother = guardianship(child, &mother, "SEE PERMIT");
    let of_father = guardianship(child, &father, "SEE PERMIT");
    guard(&log, &of_mother, &mother).await;
    guard(&log, &of_father, &father).await;
    all_answer(&log, &hers, &shown(&subject, line.index), 200).await;
    all_answer(&log, &his, &shown(&subject, line.index), 200).await;
    all_answer(&log, &hers, &never(&subject), 404).await;

    // One parent gives, the other takes back: who says no is heard.
    let query = format!("?subject={subject}");
    let grant = grant_for(child);
    assert_eq!(record(&log, &mother, &grant, &query).await.status, 201);
    let listed = || async {
        let path = format!("/v1/subjects/{subject}/permissions");
        let told = get(&log, &hers, &path).await.json();
        let all = told["permissions"].as_array().unwrap().clone();
        let is_it = |one: &&Value| one["id"] == json!(id(&grant));
        all.iter().find(is_it).unwrap()["state"].clone()
    };
    assert_eq!(listed().await, "standing");
    let consent = || async {
        let found = get(&log, &hers, &format!("/fhir/Consent?patient={subject}")).await.json();
        let consent = &found["entry"][0]["resource"];
        assert_eq!(consent["patient"]["identifier"]["value"], json!(child));
        assert_eq!(consent["performer"][0]["type"], "RelatedPerson");
        consent["status"].clone()
    };
    assert_eq!(consent().await, "active");
    let no = Document::Revoke(Revoke { subject: named(child), permission: id(&grant) });
    assert_eq!(record(&log, &father, &no, &query).await.status, 201);
    assert_eq!(listed().await, "revoked");
    assert_eq!(consent().await, "inactive");
    // Neither dismisses the other.
    let out = Document::Revoke(Revoke { subject: named(child), permission: id(&of_father) });
    record(&log, &mother, &out, &query).await;
    assert_eq!(get(&log, &his, &format!("/v1/subjects/{subject}/trail")).await.status, 200);

    let mut feed = Feed::open_of(&log, &subject, &his, None).await;
    let good = ending(&log, child, 50, id(&of_father), "Harju Maakohus 2-26-77");
    let size = log.service.head().size;
    // Another organisation's word, another child's, one that is none, and one without an order.
    for (sent, status) in [
        (log.by_other(0x44, &good), 422),
        (ending(&log, child, 51, id(&grant), "Harju Maakohus"), 422),
        (ending(&log, child, 52, B256::repeat_byte(9), "Harju Maakohus"), 422),
        (ending(&log, B256::repeat_byte(0x99), 53, id(&of_father), "Harju Maakohus"), 422),
        (ending(&log, child, 54, id(&of_father), " "), 422),
    ] {
        let answer = log.report(&sent).await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
    assert_eq!(log.service.head().size, size, "nothing was written");
    let receipt = log.report(&good).await.receipt();
    assert_eq!(receipt.index, size);
    feed.ends().await;
    all_answer(&log, &his, &shown(&subject, line.index), 404).await;
    all_answer(&log, &hers, &shown(&subject, line.index), 200).await;
    let late = told(Document::Grant(Grant {
        statement: String::new(),
        salt: B256::repeat_byte(8),
        ..match grant_for(child) {
            Document::Grant(grant) => grant,
            _ => unreachable!("a grant"),
        }
    }));
    record(&log, &father, &late, &query).await.problem(422, "not-their-word");
    let again =
        Document::Revoke(Revoke { subject: named(child), permission: B256::repeat_byte(4) });
    record(&log, &father, &again, &query).await.problem(422, "not-their-word");

    // The guardian can give it up.
    let out = Document::Revoke(Revoke { subject: named(child), permission: id(&of_mother) });
    assert_eq!(record(&log, &mother, &out, &query).await.status, 201);
    all_answer(&log, &hers, &shown(&subject, line.index), 404).await;
    log.end().await;
}

async fn bind(log: &Log, pseudonym: B256, person: &Person) {
    const CODE: &str = "ABCD-EFGH-2345";
    let (desk, token) = (clinic().sign_in(log).await, person.sign_in(log).await);
    let post = |token: String, path: String, body: Value| async move {
        Answer::of(log.send(Method::POST, &path, &body).bearer_auth(token)).await
    };
    let code = json!({
        "pseudonym": pseudonym, "codeHash": code_hash(CODE), "expiresMs": now_ms() + 3_600_000,
    });
    assert_eq!(post(desk.clone(), "/v1/bindings/codes".into(), code).await.status, 204);
    let code = json!({ "code": CODE });
    let claimed = post(token.clone(), "/v1/bindings".into(), code).await.json();
    let message = &claimed["typedData"]["message"];
    let text = |name: &str| message[name].as_str().unwrap();
    let document = Binding {
        statement: text("statement").to_owned(),
        subject: text("subject").parse().unwrap(),
        custodian: text("custodian").parse().unwrap(),
        pseudonym: text("pseudonym").parse().unwrap(),
        expiresAt: text("expiresAt").parse().unwrap(),
    };
    let digest = digest(&document, &domain(CHAIN, REGISTRY)).0;
    let at = format!("/v1/bindings/{}/", claimed["id"].as_str().unwrap());
    let signed = json!({ "signature": person.sign_digest(digest) });
    assert_eq!(post(token, format!("{at}signature"), signed).await.status, 204);
    let signed = json!({ "signature": clinic().sign_digest(digest) });
    let bound = post(desk, format!("{at}countersignature"), signed).await;
    assert_eq!(bound.status, 200, "{bound:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_that_comes_of_age_has_its_trail_alone_and_what_guardians_gave_is_over() {
    let log = Log::start().await;
    let (mother, jaan) = (Person::new(0xa1), Person::new(0xb4));
    let hers = mother.sign_in(&log).await;
    let child = child(&log);
    let subject = child.to_string();
    let line = log.report(&under(&log, child, 1)).await.receipt();
    guard(&log, &guardianship(child, &mother, "SEE PERMIT"), &mother).await;
    let query = format!("?subject={subject}");
    assert_eq!(record(&log, &mother, &grant_for(child), &query).await.status, 201);
    all_answer(&log, &hers, &shown(&subject, line.index), 200).await;
    let mut feed = Feed::open_of(&log, &subject, &hers, None).await;

    bind(&log, child, &jaan).await;
    feed.ends().await;
    // Not under the pseudonym and not under the address; not what was there before either.
    all_answer(&log, &hers, &shown(&subject, line.index), 404).await;
    all_answer(&log, &hers, &shown(&jaan.address.to_string(), line.index), 404).await;
    let late = guardianship(child, &mother, "SEE");
    let body = json!({
        "version": "medtrail/permission-v1", "document": late,
        "signature": mother.sign_digest(id(&late).0),
        "countersignature": clinic().sign_digest(id(&late).0),
    });
    let answer = Answer::of(log.send(Method::POST, "/v1/permissions", &body)).await;
    assert_eq!(answer.status, 409, "{answer:?}");

    // Jaan sees all of it, also who looked for him; nothing that she gave is a permission of his.
    let his = jaan.sign_in(&log).await;
    let page = get(&log, &his, &format!("/v1/subjects/{}/trail", jaan.address)).await.json();
    let told = versions(&page);
    assert!(told.iter().any(|version| version == "medtrail/look-v1"), "{told:?}");
    let path = format!("/v1/subjects/{}/permissions", jaan.address);
    assert_eq!(get(&log, &his, &path).await.json()["permissions"], json!([]));
    for (token, patient) in [(&his, "me"), (&hers, &subject), (&hers, &jaan.address.to_string())] {
        let found = get(&log, token, &format!("/fhir/Consent?patient={patient}")).await.json();
        assert_eq!(found.get("entry"), None, "{found:#}");
    }
    log.end().await;
}
