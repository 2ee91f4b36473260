//! `/v1/subjects/{subject}/chain`.

use crate::people::Person;
use crate::support::{Answer, Log, Sent};
use alloy_primitives::{Address, keccak256};
use medtrail_ledger::schema::Report;
use serde_json::{Value, json};

fn handed_over(log: &Log, person: Address, event: u64, request: &str) -> Sent {
    let details = json!({
        "resourceType": "AuditEvent", "id": event.to_string(), "action": "R",
        "type": { "code": "110106" },
        "agent": [{ "type": { "coding": [{ "code": "110152" }] }, "requestor": false,
            "who": { "display": "A lab" } }],
        "entity": [{ "what": { "identifier": { "value": request } },
            "type": { "code": "XrequestId" } }],
    })
    .to_string();
    let report = Report {
        kind: 3,
        subject: person.into_word(),
        record: keccak256("scan"),
        ..log.fields(0, event, &details)
    };
    log.sign(report, details)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_s_way_comes_with_the_lines_that_it_was_read_from_and_with_no_others() {
    let log = Log::start().await;
    let (anna, ben) = (Person::new(0xa1), Person::new(0xb2));
    let receipt = log.report(&handed_over(&log, anna.address, 1, "r1")).await.receipt();
    // The same record's id in another trail, and another record in hers.
    log.report(&handed_over(&log, ben.address, 2, "r1")).await.receipt();
    log.report(&log.about(anna.address, 3)).await.receipt();
    let token = anna.sign_in(&log).await;
    let ask = async |record: &str| {
        let path = format!("/v1/subjects/{}/chain?record={record}", anna.address);
        Answer::of(log.get(&path).bearer_auth(&token)).await
    };
    let told = ask(&keccak256("scan").to_string()).await.json();
    assert_eq!(told["version"], "medtrail/record-chain-v1");
    assert_eq!(
        (&told["isWhole"], &told["subject"]),
        (&json!(true), &json!(anna.address.into_word()))
    );
    let step = &told["chain"]["steps"][0];
    assert_eq!((&step["what"], &step["confirmation"]), (&json!("handedOver"), &json!("waiting")));
    assert_eq!(step["lines"][0]["index"], json!(receipt.index));
    assert_eq!(step["lines"][0]["isSigned"], json!(true));
    let holders = told["chain"]["holders"].as_array().unwrap();
    assert_eq!(holders.len(), 2);
    assert_eq!(holders[1]["isConfirmed"], json!(false), "{told:#}");
    let lines = told["lines"].as_array().unwrap();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["index"], json!(receipt.index));
    assert!(lines[0]["place"]["open"].is_object(), "{told:#}");

    // A record that nobody has told of, and what is no record.
    let none = ask(&keccak256("no such record").to_string()).await.json();
    assert_eq!((&none["chain"]["steps"], &none["lines"]), (&json!([]), &json!([])));
    ask("0x11").await.problem(422, "invalid-query");
    let path = format!("/v1/subjects/{}/chain", anna.address);
    Answer::of(log.get(&path).bearer_auth(&token)).await.problem(422, "invalid-query");
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_was_not_permitted_says_so_in_the_way_of_its_record() {
    let log = Log::start().await;
    let anna = Person::new(0xa1);
    let details = "{}".to_owned();
    let report = Report {
        kind: 2,
        action: b'U',
        subject: anna.address.into_word(),
        record: keccak256("scan"),
        ..log.fields(0, 1, &details)
    };
    log.report(&log.sign(report, details)).await.receipt();
    let token = anna.sign_in(&log).await;
    let path = format!("/v1/subjects/{}/chain?record={}", anna.address, keccak256("scan"));
    let mut told = Value::Null;
    for _ in 0..200 {
        told = Answer::of(log.get(&path).bearer_auth(&token)).await.json();
        if !told["chain"]["steps"][0]["notPermitted"].is_null() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(told["chain"]["steps"][0]["notPermitted"], json!(1), "{told:#}");
    assert_eq!(told["lines"].as_array().unwrap().len(), 2, "the refusal stands beside it");
    log.end().await;
}
