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

/// The other patient of `two-patients`.
const OTHER: &str = "jaan-tamm";

/// The other patient's id, written in some other way.
fn any_spelling() -> impl Strategy<Value = String> {
    let letters: Vec<_> = OTHER
        .chars()
        .map(|letter| {
            let escaped = format!("\\u{:04x}", letter as u32);
            let over = format!("%25{:02X}", letter as u32);
            let ways = [letter.to_string(), letter.to_uppercase().to_string()];
            prop::sample::select(
                [ways.to_vec(), vec![format!("%{:02x}", letter as u32), over, escaped]].concat(),
            )
        })
        .collect();
    let id = letters.prop_map(|letters| letters.concat());
    let around = prop::sample::select(
        &[
            "{}",
            "Patient/{}",
            "patient/{}",
            "Observation/{}",
            "Observation/ward-{}-3",
            "Observation?patient={}",
            "Observation/o9?subject=Patient/{}",
            "https://ehr.example/fhir/{}/Observation/o9",
            "https://ehr.example/fhir/Patient/{}/_history/2",
            "Encounter/{}/_history/1",
            "Practitioner/{}",
            "#{}",
            "urn:x:{}",
            "https://ehr.example/fhir/Patient/{}/$everything",
        ][..],
    );
    (id, around).prop_map(|(id, around)| around.replace("{}", &id))
}

/// Where an event may name somebody or something.
const NAMING: [&str; 22] = [
    "/id",
    "/type/display",
    "/subtype/0/code",
    "/period/id",
    "/purposeOfEvent/0/text",
    "/agent/0/who/reference",
    "/agent/1/who/identifier/value",
    "/agent/1/who/identifier/assigner/reference",
    "/agent/2/who/display",
    "/agent/2/who/type",
    "/agent/2/altId",
    "/agent/2/name",
    "/agent/0/network/address",
    "/agent/2/policy/0",
    "/agent/2/purposeOfUse/0/coding/0/code",
    "/source/site",
    "/source/observer/reference",
    "/source/observer/identifier/value",
    "/entity/0/what/reference",
    "/entity/0/what/type",
    "/entity/0/securityLabel/0/display",
    "/entity/1/what/display",
];

/// Sets a value at a place, and makes the way there.
fn set(tree: &mut Value, at: &str, value: Value) {
    let mut node = tree;
    for step in at.split('/').skip(1) {
        node = match step.parse::<usize>() {
            Ok(place) => {
                if !node.is_array() {
                    *node = Value::Array(Vec::new());
                }
                let items = node.as_array_mut().unwrap();
                items.resize(items.len().max(place + 1), Value::Null);
                &mut items[place]
            }
            Err(_) => {
                if !node.is_object() {
                    *node = Value::Object(serde_json::Map::new());
                }
                &mut node[step]
            }
        };
    }
    *node = value;
}

/// Every text of a tree, names of members too, as it could be read.
fn texts(tree: &Value, into: &mut String) {
    match tree {
        Value::String(text) => into.extend([text.as_str(), "\n"]),
        Value::Array(items) => items.iter().for_each(|item| texts(item, into)),
        Value::Object(members) => members.iter().for_each(|(name, member)| {
            into.extend([name.as_str(), "\n"]);
            texts(member, into);
        }),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn no_spelling_of_another_patient_survives_in_what_one_is_shown(
        places in prop::collection::vec((prop::sample::select(&NAMING[..]), any_spelling()), 1..4),
    ) {
        let mut tree: Value = serde_json::from_slice(&file("two-patients")).unwrap();
        for (place, spelling) in &places {
            // Escapes are for the text, so that they reach the reader.
            set(&mut tree, place, Value::from(spelling.replace('\\', "\u{1}")));
        }
        let text = serde_json::to_string(&tree).unwrap().replace("\\u0001", "\\");
        let Ok(event) = read(text.as_bytes()) else { return Ok(()) };
        let key = SecretKey([7; 32]);
        let (log, organisation) = (B256::ZERO, Address::ZERO);
        let by = Reporter { log, organisation, actor: organisation, key: &key, relayed_for: None };
        let parts = reports(&event, text.as_bytes(), &by);
        let is_hers = |part: &&medtrail_fhir::report::Part| {
            part.patient.as_deref().is_some_and(|patient| patient.contains("48504120221"))
        };
        let details = &parts.iter().find(is_hers).unwrap().details;
        let mut shown = String::new();
        texts(&serde_json::from_slice(details).unwrap(), &mut shown);
        for (encoded, letter) in OTHER.bytes().map(|byte| (format!("%{byte:02x}"), byte as char)) {
            shown = shown.to_lowercase().replace("%25", "%").replace(&encoded, &letter.to_string());
        }
        prop_assert!(!shown.contains(OTHER), "{}", shown);
        // What she is shown is still an event about her.
        prop_assert_eq!(event_of(details).unwrap().patients.len(), 1);
    }

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
