//! What people ask the organisation comes through its gateway, and is answered under its signature.

use crate::support::{Deed, OWN, ROOM, Site, address_of, domain_of, site};
use alloy_primitives::{Address, B256, Bytes};
use medtrail_ledger::entry::details_hash;
use medtrail_ledger::inquiry::Answered;
use medtrail_ledger::proof::Evidence;
use medtrail_ledger::schema::Report;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Sent {
    report: Report,
    details: Box<RawValue>,
    signature: Bytes,
}

async fn post(site: &Site, id: &str, body: &Value) -> (u16, Value) {
    let url = site.url(&format!("/questions/{id}/answer"));
    let answer = reqwest::Client::new().post(url).json(body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_signed_for_its_question_and_its_person() {
    let site = site(|_| Deed::Takes, ROOM).await;
    let id = B256::repeat_byte(9);
    let listed: Value = reqwest::get(site.url("/questions")).await.unwrap().json().await.unwrap();
    assert_eq!(listed["asked"], "as=organisation&state=open");
    let said = json!({ "text": "By mistake. Õnnetus.", "language": "en" });
    let (status, noted) = post(&site, &id.to_string(), &said).await;
    assert_eq!((status, &noted["index"]), (201, &json!(7)));
    let sent = site.log.answers.lock().unwrap()[0].clone();
    let Sent { report, details, signature } = serde_json::from_str(&sent).unwrap();
    assert_eq!(report.details, details_hash(details.get().as_bytes()));
    assert!(Evidence::Signed(signature).verify(&report, &domain_of()).unwrap());
    assert_eq!((report.actor, report.permission), (address_of(OWN), id));
    assert_eq!((report.kind, report.subject), (12, B256::repeat_byte(0xa1)));
    let answered: Answered = serde_json::from_str(details.get()).unwrap();
    let expected = Answered::new(id, "By mistake. Õnnetus.".into(), Some("en".into()));
    assert_eq!(answered, expected);

    // Another answer to it is the same event.
    let (status, _) = post(&site, &id.to_string(), &json!({ "text": "Or not." })).await;
    assert_eq!(status, 409);
    let again = site.log.answers.lock().unwrap()[1].clone();
    let again: Sent = serde_json::from_str(&again).unwrap();
    assert_eq!(again.report.eventId, report.eventId);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_signed_for_another_organisation_or_without_words() {
    let site = site(|_| Deed::Takes, ROOM).await;
    let id = B256::repeat_byte(9).to_string();
    for (id, body, expected) in [
        ("x", json!({ "text": "a" }), 404),
        (id.as_str(), json!({ "text": "" }), 422),
        (id.as_str(), json!({ "text": "a\u{202e}" }), 422),
        (id.as_str(), json!({ "text": "a", "language": "no language" }), 422),
    ] {
        assert_eq!(post(&site, id, &body).await.0, expected, "{body}");
    }
    *site.log.asked_of.lock().unwrap() = Address::repeat_byte(7);
    assert_eq!(post(&site, &id, &json!({ "text": "a" })).await.0, 404);
    assert!(site.log.answers.lock().unwrap().is_empty(), "nothing left the gateway");
    site.stop().await;
}
