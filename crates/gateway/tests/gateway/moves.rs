//! A patient who was connected at another gateway of the organisation: followed where both
//! signatures show it, and nowhere else.

use crate::support::{
    Deed, OWN, READ, SHARED, START_MS, Setup, Site, address_of, is_receipted, sign, trust_of,
};
use alloy_primitives::{Address, B256};
use medtrail_ledger::binding::{BindingDetails, Named, VERSION, document};
use medtrail_ledger::custodian::{ReportState, Spool};
use medtrail_ledger::entry::pseudonym;
use medtrail_ledger::ports::SecretKey;
use medtrail_ledger::trust::{Key, TrustFile};
use serde_json::json;
use std::sync::atomic::Ordering;

/// The organisation's first gateway.
const FIRST: u8 = 5;
const PERSON: u8 = 6;
const STRANGER: u8 = 7;
/// When both signed.
const BOUND_MS: u64 = START_MS - 86_400_000;

fn patient() -> B256 {
    let event = medtrail_fhir::event::read(READ.as_bytes()).unwrap();
    pseudonym(&SecretKey(SHARED), event.patients[0].identifier.as_bytes())
}

/// The enrolment of a second gateway names the first's key, until then.
fn trust(until_ms: Option<u64>) -> TrustFile {
    let mut trust = trust_of(&[1]);
    let first = Key { address: address_of(FIRST), from_ms: 0, until_ms };
    trust.organisations[0].keys.insert(0, first);
    trust
}

fn bound(pseudonym: B256, person: Address, custodian: u8) -> BindingDetails {
    let expires_s = BOUND_MS / 1000 + 3600;
    let document = document("Clinic", address_of(custodian), pseudonym, person, expires_s);
    BindingDetails {
        version: VERSION.to_owned(),
        organisation: Named { id: address_of(OWN), name: "Clinic".to_owned() },
        signature: sign(PERSON, &document),
        countersignature: sign(custodian, &document),
        document,
    }
}

/// A gateway whose log says that everybody moved to the person, and shows this.
async fn shown(trust: TrustFile, details: Option<BindingDetails>, time_ms: u64) -> Site {
    let setup = Setup { trust, ..Setup::new(Deed::Moves(address_of(PERSON))) };
    let site = Site::start(setup).await;
    let bound = details.map(|details| json!({ "timeMs": time_ms, "details": details }));
    *site.log.binding.lock().unwrap() = bound;
    site
}

#[actix_web::test]
async fn a_second_gateway_follows_a_move_that_the_first_countersigned() {
    let person = address_of(PERSON);
    let site = shown(trust(None), Some(bound(patient(), person, FIRST)), BOUND_MS).await;
    assert_eq!(site.send("one", "R").await, 201);
    assert!(site.ends(1).await.iter().all(is_receipted));
    assert_eq!(site.came()[0].0.subject, person.into_word());
    assert_eq!(site.spool.subject_of(patient()).unwrap(), Some(person));
    // What it has seen once it need not be shown again.
    *site.log.binding.lock().unwrap() = None;
    assert_eq!(site.send("two", "R").await, 201);
    assert!(site.ends(2).await.iter().all(is_receipted));
    site.stop().await;
}

#[actix_web::test]
async fn a_move_that_nobody_of_the_organisation_countersigned_is_not_followed_and_nothing_is_lost()
{
    let person = address_of(PERSON);
    let good = || bound(patient(), person, FIRST);
    let altered = |change: fn(&mut BindingDetails)| {
        let mut details = good();
        change(&mut details);
        details
    };
    let ended = trust(Some(BOUND_MS - 1));
    for (trust, details, time_ms, told) in [
        (trust(None), None, BOUND_MS, "shows no binding"),
        (trust(None), Some(bound(patient(), person, STRANGER)), BOUND_MS, "does not name"),
        (trust_of(&[1]), Some(good()), BOUND_MS, "medtrail gateway trust"),
        (ended, Some(good()), BOUND_MS, "does not name"),
        (trust(None), Some(good()), BOUND_MS + 3_601_000, "binds nobody"),
        (
            trust(None),
            Some(bound(B256::repeat_byte(9), person, FIRST)),
            BOUND_MS,
            "another pseudonym's",
        ),
        (
            trust(None),
            Some(bound(patient(), address_of(STRANGER), FIRST)),
            BOUND_MS,
            "another address",
        ),
        (
            trust(None),
            Some(altered(|details| details.signature = details.countersignature.clone())),
            BOUND_MS,
            "binds nobody",
        ),
        (
            trust(None),
            Some(altered(|details| details.countersignature = details.signature.clone())),
            BOUND_MS,
            "binds nobody",
        ),
        (
            trust(None),
            Some(altered(|details| details.document.statement.push('.'))),
            BOUND_MS,
            "binds nobody",
        ),
    ] {
        let site = shown(trust, details, time_ms).await;
        assert_eq!(site.send("one", "R").await, 201);
        let alarm = site.alarm(told).await;
        assert!(alarm.contains("1 reports wait"), "{alarm}");
        assert_eq!(site.spool.report(1).unwrap().unwrap().state, ReportState::Waiting);
        assert_eq!(site.spool.subject_of(patient()).unwrap(), None);
        let came = site.came();
        assert!(came.iter().all(|(report, _)| report.subject == patient()), "{came:?}");
        // It is asked again, and goes on once it is shown.
        if told == "shows no binding" {
            let bound = json!({ "timeMs": BOUND_MS, "details": good() });
            *site.log.binding.lock().unwrap() = Some(bound);
            assert!(site.ends(1).await.iter().all(is_receipted));
            assert_eq!(site.status().await["held"], json!([]));
        }
        site.stop().await;
    }
}

#[actix_web::test]
async fn a_move_to_another_address_than_the_one_joined_here_waits() {
    let person = address_of(PERSON);
    let site = shown(trust(None), Some(bound(patient(), person, FIRST)), BOUND_MS).await;
    site.spool.keep_subject(patient(), address_of(STRANGER)).unwrap();
    assert_eq!(site.send("one", "R").await, 201);
    site.alarm("here it was joined with").await;
    assert_eq!(site.spool.report(1).unwrap().unwrap().state, ReportState::Waiting);
    site.stop().await;
}

#[actix_web::test]
async fn what_waits_for_a_binding_holds_up_no_other() {
    let site = shown(trust(None), None, BOUND_MS).await;
    assert_eq!(site.send("one", "R").await, 201);
    site.alarm("shows no binding").await;
    let without = include_str!("../../../../tests/data/fhir/without-patient.json");
    assert_eq!(site.post(&serde_json::from_str(without).unwrap()).await.0, 201);
    let ends = site.some_ends(2, 1).await;
    assert_eq!(ends[0].0, 2);
    assert!(is_receipted(&ends[0].1));
    site.stop().await;
}

#[actix_web::test]
async fn a_sign_in_at_another_log_is_not_signed() {
    let site = shown(trust(None), None, BOUND_MS).await;
    *site.log.elsewhere.lock().unwrap() = Some("other-log.example".to_owned());
    let asked = reqwest::Client::new().post(site.url("/desk/codes"));
    let asked = asked.json(&json!({ "identifier": "Patient/p1" })).send().await.unwrap();
    assert_eq!(asked.status().as_u16(), 502);
    let told = asked.text().await.unwrap();
    assert!(told.contains("nothing was signed"), "{told}");
    assert_eq!(site.log.sign_ins.load(Ordering::SeqCst), 0);
    site.stop().await;
}

#[actix_web::test]
async fn a_binding_for_another_gateway_of_the_organisation_is_left_to_it_and_alarms_nobody() {
    let site = shown(trust(None), None, BOUND_MS).await;
    let pending = |custodian: u8| {
        let details = bound(patient(), address_of(PERSON), custodian);
        let document = details.document;
        json!({
            "id": B256::repeat_byte(custodian),
            "codeHash": B256::repeat_byte(custodian),
            "signature": details.signature,
            "document": {
                "statement": document.statement, "subject": document.subject,
                "custodian": document.custodian, "pseudonym": document.pseudonym,
                "expiresAt": document.expiresAt.to_string(),
            },
        })
    };
    *site.log.pending.lock().unwrap() = vec![pending(FIRST)];
    // A code of its own is open, so that it looks.
    let asked = reqwest::Client::new().post(site.url("/desk/codes"));
    let asked = asked.json(&json!({ "identifier": "Patient/p1" })).send().await.unwrap();
    assert_eq!(asked.status().as_u16(), 201);
    let before = site.log.asked.load(Ordering::SeqCst);
    while site.log.asked.load(Ordering::SeqCst) < before + 3 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let alarms = site.status().await["alarms"].to_string();
    assert!(!alarms.contains("countersigned"), "{alarms}");
    // One that is said to be for this one, by a code that it never gave out, is told.
    *site.log.pending.lock().unwrap() = vec![pending(OWN)];
    site.alarm("this desk gave out no such code").await;
    assert_eq!(site.log.countersigned.load(Ordering::SeqCst), 0);
    site.stop().await;
}
