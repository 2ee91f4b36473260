//! Whatever arrives: nothing panics, and nothing is rewritten.

use alloy_primitives::{Address, B256};
use medtrail_fhir::bundle::{event_of, read_batch};
use medtrail_fhir::event::{ISSUES_MAX, read};
use medtrail_fhir::reading::{reading, sentence};
use medtrail_fhir::report::{Reporter, reports};
use medtrail_fhir::search;
use medtrail_ledger::entry::details_hash;
use medtrail_ledger::ports::SecretKey;
use medtrail_ledger::schema::Report;
use proptest::prelude::*;
use serde_json::Value;

const NAMES: [&str; 14] = [
    "patient-read",
    "patient-query",
    "patient-update",
    "patient-create",
    "patient-delete",
    "disclosure-source",
    "break-glass",
    "psychiatric-note-at-night",
    "two-patients",
    "without-patient",
    "machine-read",
    "access-denied",
    "failed-update",
    "everything-r4-allows",
];

fn file(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/fhir");
    std::fs::read(format!("{folder}/{name}.json")).unwrap()
}

/// Every value of a tree, counted in one order.
fn nth<'a>(tree: &'a mut Value, left: &mut usize) -> Option<&'a mut Value> {
    if *left == 0 {
        return Some(tree);
    }
    *left -= 1;
    match tree {
        Value::Array(items) => items.iter_mut().find_map(|item| nth(item, left)),
        Value::Object(members) => members.values_mut().find_map(|member| nth(member, left)),
        _ => None,
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        prop_oneof![
            "Patient/x",
            "https://a/",
            "#p",
            "//_history/",
            "http://Patient/",
            "2026-11-21T23:47:00+02:00"
        ]
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let key =
            prop_oneof!["[a-z]{1,6}", "reference|identifier|value|system|coding|url|_recorded"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// All that is done with bytes from outside.
fn use_all(bytes: &[u8]) -> Result<(), TestCaseError> {
    let key = SecretKey([7; 32]);
    let report = Report { kind: 1, action: b'R', ..Report::default() };
    for is_relayed in [false, true] {
        let told = sentence(&reading(&report, Some(bytes), is_relayed, &|_| None));
        prop_assert!(told.chars().count() < 800, "{told}");
    }
    let _ = event_of(bytes);
    let _ = read_batch(bytes);
    let event = match read(bytes) {
        Ok(event) => event,
        Err(issues) => {
            prop_assert!(!issues.is_empty() && issues.len() <= ISSUES_MAX + 1);
            return Ok(());
        }
    };
    for relayed_for in [None, Some("Kalda")] {
        let (log, organisation) = (B256::ZERO, Address::ZERO);
        let by = Reporter { log, organisation, actor: organisation, key: &key, relayed_for };
        let parts = reports(&event, bytes, &by);
        prop_assert_eq!(parts.len(), event.patients.len().max(1));
        for part in &parts {
            prop_assert_eq!(part.report.details, details_hash(&part.details));
            serde_json::from_slice::<serde::de::IgnoredAny>(&part.details).unwrap();
            let facts =
                reading(&part.report, Some(&part.details), relayed_for.is_some(), &|_| None);
            prop_assert!(sentence(&facts).chars().count() < 800);
        }
        if relayed_for.is_none() && parts.len() == 1 {
            prop_assert_eq!(&parts[0].details[..], bytes);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn events_with_one_value_changed_never_panic(
        name in prop::sample::select(&NAMES[..]), place in 0usize..200, value in any_value(),
    ) {
        let mut tree: Value = serde_json::from_slice(&file(name)).unwrap();
        let mut left = place;
        if let Some(found) = nth(&mut tree, &mut left) {
            *found = value;
        }
        use_all(&serde_json::to_vec(&tree).unwrap())?;
    }

    #[test]
    fn events_with_one_byte_changed_never_panic(
        name in prop::sample::select(&NAMES[..]), place: prop::sample::Index, byte: u8,
    ) {
        let mut bytes = file(name);
        let place = place.index(bytes.len());
        bytes[place] = byte;
        use_all(&bytes)?;
    }

    #[test]
    fn any_bytes_and_any_json_never_panic(bytes: Vec<u8>, value in any_value()) {
        use_all(&bytes)?;
        use_all(&serde_json::to_vec(&value).unwrap())?;
    }

    #[test]
    fn any_search_is_read_or_refused_and_its_next_page_asks_the_same(query in "\\PC{0,60}", known in
        "(patient|date|agent|entity|action|_count|type)=(ge|lt|)[-0-9A-Za-z:T+/%|,]{0,24}"
    ) {
        for query in [&query, &known, &format!("{query}&{known}")] {
            let Ok(first) = search::read(&search::pairs(query), false) else { continue };
            let next = first.next_link("https://log.example/AuditEvent", 9);
            let again = search::read(&search::pairs(next.split_once('?').unwrap().1), true).unwrap();
            prop_assert_eq!(again.cursor, Some(9));
            prop_assert_eq!((again.from_ms, again.until_ms), (first.from_ms, first.until_ms));
            prop_assert_eq!((again.patient, again.agents), (first.patient, first.agents));
        }
    }
}
