//! A person asks where a record of theirs came from: two organisations that each signed their side
//! of a hand-over are one line, one that is silent is said to be, and a log that lies is caught.

use crate::site::{Custodian, Settings, Site, must};
use alloy::primitives::{Address, B256};
use medtrail_ledger::entry::Kind;
use medtrail_ledger::schema::Report;
use medtrail_ledger::trust::TrustFile;
use serde_json::{Value, json};
use std::net::TcpListener;
use std::time::{SystemTime, UNIX_EPOCH};

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis().try_into().unwrap()
}

struct Side<'a> {
    by: &'a Custodian,
    record: B256,
    is_import: bool,
    request: &'a str,
}

/// One side's BALP disclosure.
fn side(trust: &TrustFile, person: Address, event: &str, side: &Side<'_>) -> String {
    let code = if side.is_import { ("110107", "C") } else { ("110106", "R") };
    let details = json!({
        "resourceType": "AuditEvent", "id": event, "action": code.1, "type": { "code": code.0 },
        "entity": [{ "what": { "identifier": { "value": side.request } },
            "type": { "code": "XrequestId" } }],
    });
    let report = Report {
        kind: Kind::HandOver.number(),
        action: code.1.as_bytes()[0],
        timeMs: now_ms(),
        subject: person.into_word(),
        record: side.record,
        ..Report::default()
    };
    side.by.signs(trust, event, report, &details)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_sees_where_their_record_went_and_who_signed_it() {
    let (fjord, lab) = (Custodian::fjord(), Custodian::with_key(&[0x1a; 32]));
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut settings = Settings {
        listen: format!("127.0.0.1:{port}"),
        public_url: format!("http://127.0.0.1:{port}"),
        ..Settings::without_a_chain()
    };
    settings.organisations.push(("North Lab".to_owned(), lab.address(), 0));
    let site = Site::new(settings);
    let node = site.serve();
    site.write("trust.json", node.trust_bytes().await);
    let trust = node.trust().await;
    let made =
        must(site.run(["keys", "reporter", "person.json", "--passphrase-file", "passphrase"]));
    let person: Address = made.trim().parse().unwrap();
    let (scan, copy) = (B256::repeat_byte(0x71), B256::repeat_byte(0x72));
    let over = |by, record, is_import, request| Side { by, record, is_import, request };
    let given = over(&fjord, scan, false, "r1");
    node.report(&side(&trust, person, "given", &given)).await;
    node.report(&side(&trust, person, "taken", &over(&lab, copy, true, "r1"))).await;

    let ask = |more: &[&str]| {
        let flags = [
            "trail",
            "--record",
            &scan.to_string(),
            "--url",
            &node.url,
            "--key",
            "person.json",
            "--passphrase-file",
            "passphrase",
            "--trust",
            "trust.json",
        ]
        .map(str::to_owned);
        site.run(flags.into_iter().chain(more.iter().map(|&flag| flag.to_owned())))
    };
    let said = ask(&[]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("Fjord Clinic") && said.out.contains("└─ North Lab"), "{said:?}");
    assert!(said.out.contains("handed over to North Lab; signed by both  (line 0+1)"), "{said:?}");

    // The lab passes it on, and the other side is silent.
    node.report(&side(&trust, person, "on", &over(&lab, copy, false, "r2"))).await;
    let said = ask(&["--json"]);
    assert_eq!(said.code, Some(3), "{said:?}");
    let told: Value = serde_json::from_str(&said.out).unwrap();
    let steps = told["chain"]["steps"].as_array().unwrap();
    assert_eq!((steps.len(), &steps[1]["confirmation"]), (2, &json!("waiting")), "{told:#}");
    assert_eq!(told["checkedLines"], 3);

    // Whom the person's own trust file does not name is not believed, whatever the log says.
    let mut strict: Value = serde_json::from_slice(&node.trust_bytes().await).unwrap();
    let organisations = strict["organisations"].as_array_mut().unwrap();
    organisations.retain(|one| one["name"] != "North Lab");
    site.write("trust.json", strict.to_string());
    let said = ask(&[]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.out.contains("Line 1 is not shown: it is signed by"), "{said:?}");
    assert!(!said.out.contains("signed by both"), "{said:?}");
    node.stop();
}
