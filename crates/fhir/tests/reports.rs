//! Reports of events: whose, about whom, and that nobody is shown another patient.

use alloy_primitives::{Address, B256};
use hmac::{Hmac, Mac};
use medtrail_fhir::bundle::{event_of, resource_of};
use medtrail_fhir::event::{EVENT_BYTES_MAX, PARTS_BYTES_MAX, PATIENT_IDS_MAX, read};
use medtrail_fhir::report::{Part, Reporter, reports};
use medtrail_ledger::entry::{details_hash, event_id, pseudonym, record_id};
use medtrail_ledger::ports::SecretKey;
use serde_json::{Value, json};
use sha2::Sha256;

const KEY: SecretKey = SecretKey([7; 32]);

fn file(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/fhir");
    std::fs::read(format!("{folder}/{name}.json")).unwrap()
}

fn parts(bytes: &[u8], relayed_for: Option<&str>) -> Vec<Part> {
    let by = Reporter {
        log: B256::repeat_byte(1),
        organisation: Address::repeat_byte(2),
        actor: Address::repeat_byte(9),
        key: &KEY,
        relayed_for,
    };
    reports(&read(bytes).unwrap(), bytes, &by)
}

#[test]
fn the_details_of_one_patient_are_the_bytes_received() {
    let bytes = [b" \n".to_vec(), file("patient-read"), b"\r\n ".to_vec()].concat();
    let parts = parts(&bytes, None);
    assert_eq!(parts.len(), 1);
    let Part { report, details, patient } = &parts[0];
    assert_eq!(*details, bytes);
    assert_eq!(report.details, details_hash(&bytes));
    let identifier = "https://id.example/person|48504120221";
    assert_eq!(patient.as_deref(), Some(identifier));
    assert_eq!(report.subject, pseudonym(&KEY, identifier.as_bytes()));
    assert_eq!(report.record, record_id(&KEY, b"KALDA-01", b"AllergyIntolerance/a7"));
    assert_eq!(report.eventId, event_id(Address::repeat_byte(2), b"kalda-5101"));
    assert_eq!((report.kind, report.action), (1, b'R'));
    assert_eq!(report.actor, Address::repeat_byte(9));
}

#[test]
fn an_event_without_an_id_is_known_by_its_bytes() {
    let text = String::from_utf8(file("patient-read")).unwrap();
    let bytes = text.replacen("\"id\": \"kalda-5101\",", "", 1).into_bytes();
    let report = &parts(&bytes, None)[0].report;
    assert_eq!(report.eventId, event_id(Address::repeat_byte(2), &bytes));
}

/// The story: a hospital knows somebody by two numbers. Both pseudonyms are bound to one address,
/// and the two reports of one event are about the same subject.
#[test]
fn each_part_of_a_shared_event_has_an_event_id_of_its_own_also_if_the_event_has_an_id() {
    let bytes = file("two-patients");
    let (first, again) = (parts(&bytes, None), parts(&bytes, None));
    assert_eq!(first, again);
    let ids: Vec<B256> = first.iter().map(|part| part.report.eventId).collect();
    assert_ne!(ids[0], ids[1]);
    // Nor is either that of the event, which one report about one patient has.
    let organisation = Address::repeat_byte(2);
    assert!(!ids.contains(&event_id(organisation, b"harbour-773")));
    // HMAC-SHA-256(K, "event" ‖ 00 ‖ uint32 length ‖ patient ‖ id), as docs/formats.md has it.
    for (part, id) in first.iter().zip(ids) {
        let patient = part.patient.as_deref().unwrap();
        let length = (patient.len() as u32).to_be_bytes();
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&KEY.0).unwrap();
        let texts = [b"event\0", length.as_slice(), patient.as_bytes(), b"harbour-773"];
        texts.iter().for_each(|text| mac.update(text));
        assert_eq!(id, event_id(organisation, &mac.finalize().into_bytes()));
    }
    // The id is of the event's id, not of its bytes: other content is a conflict.
    let text = String::from_utf8(bytes).unwrap();
    let other = parts(text.replacen("ward-3", "ward-4", 1).as_bytes(), None);
    for (one, other) in first.iter().zip(other) {
        assert_eq!(one.report.eventId, other.report.eventId);
        assert_ne!(one.report.details, other.report.details);
    }
}

#[test]
fn an_event_without_a_patient_is_one_report_without_a_subject() {
    let bytes = file("without-patient");
    let parts = parts(&bytes, None);
    assert_eq!(parts.len(), 1);
    assert_eq!((parts[0].report.subject, &parts[0].patient), (B256::ZERO, &None));
    assert_eq!(parts[0].details, bytes);
}

#[test]
fn nobody_is_shown_another_patient() {
    let bytes = file("two-patients");
    let parts = parts(&bytes, None);
    assert_eq!(parts.len(), 2);
    assert_ne!(parts[0].report.subject, parts[1].report.subject);
    let marks = [["mari-tamm", "Mari", "48504120221"], ["jaan-tamm", "Jaan", "jaan"]];
    for (place, part) in parts.iter().enumerate() {
        let text = String::from_utf8(part.details.clone()).unwrap();
        for other in marks[1 - place] {
            assert!(!text.contains(other), "{other} in {text}");
        }
        assert!(text.contains(marks[place][0]), "{text}");
        assert_eq!(part.report.details, details_hash(&part.details));
        let document: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(document["version"], "medtrail/shared-v1");
        assert_eq!(document["received"].as_str().unwrap().len(), 66);
        assert_eq!(document["patient"], part.patient.clone().unwrap());
        assert_eq!(document["event"]["recorded"], "2026-11-21T11:00:00+02:00");
        assert_eq!(event_of(&part.details).unwrap().patients.len(), 1);
    }
}

/// Mari has all that is in the event but who the other one is.
#[test]
fn nobody_can_try_out_who_the_other_patient_is() {
    let text = String::from_utf8(file("two-patients")).unwrap();
    let mut tree: Value = serde_json::from_str(&text).unwrap();
    tree.as_object_mut().unwrap().remove("id");
    let bytes = serde_json::to_vec(&tree).unwrap();
    let organisation = Address::repeat_byte(2);
    let received = |part: &Part| {
        let document: Value = serde_json::from_slice(&part.details).unwrap();
        document["received"].as_str().unwrap().parse::<B256>().unwrap()
    };
    let of = |key: SecretKey, bytes: &[u8]| {
        let by = Reporter {
            log: B256::repeat_byte(1),
            organisation,
            actor: organisation,
            key: &key,
            relayed_for: None,
        };
        reports(&read(bytes).unwrap(), bytes, &by)
    };
    let parts = of(KEY, &bytes);
    let guessed = of(SecretKey([8; 32]), &bytes);
    for (part, guess) in parts.iter().zip(&guessed) {
        // The right guess of all bytes, without K.
        assert_ne!(received(part), details_hash(&bytes));
        assert_ne!(part.report.eventId, event_id(organisation, &bytes));
        assert_ne!(received(part), received(guess));
        assert_ne!(part.report.eventId, guess.report.eventId);
    }
    // Nor do equal values show that two lines are of one event.
    assert_ne!(received(&parts[0]), received(&parts[1]));
    assert_ne!(parts[0].report.eventId, parts[1].report.eventId);
    // The same bytes are the same reports: they may be sent again.
    assert_eq!(parts, of(KEY, &bytes));
    let other = [bytes.as_slice(), b" "].concat();
    assert_ne!(parts[0].report.eventId, of(KEY, &other)[0].report.eventId);
    let id = event_id(organisation, received(&parts[0]).as_slice());
    assert_eq!(parts[0].report.eventId, id);
}

#[test]
fn other_patients_hide_nowhere_in_a_shared_event() {
    let mut tree: Value = serde_json::from_slice(&file("two-patients")).unwrap();
    let secret = "SECRET-OF-JAAN";
    let extension = serde_json::json!([{"url": "u", "valueString": secret}]);
    for at in ["/extension", "/agent/0/extension", "/entity/0/extension", "/source/extension"] {
        let (parent, name) = at.rsplit_once('/').unwrap();
        tree.pointer_mut(parent).unwrap()[name] = extension.clone();
    }
    tree["contained"] = serde_json::json!([{"resourceType": "Patient", "id": "x", "name": secret}]);
    tree["outcomeDesc"] = secret.into();
    tree["meta"]["tag"] = serde_json::json!([{"code": secret}]);
    tree["entity"][0]["description"] = secret.into();
    tree["entity"][0]["name"] = secret.into();
    tree["entity"][0]["detail"] = serde_json::json!([{"type": "x", "valueString": secret}]);
    tree["entity"][0]["what"]["display"] = secret.into();
    tree["entity"][2]["description"] = secret.into();
    tree["source"]["observer"] = serde_json::json!({"reference": "Patient/p", "display": secret});
    let agent = serde_json::json!({"who": {"reference": "Patient/jaan-tamm", "display": secret},
        "name": secret, "altId": secret, "requestor": false});
    tree["agent"].as_array_mut().unwrap().push(agent);
    tree["entity"].as_array_mut().unwrap().push(serde_json::json!({
        "what": {"reference": format!("https://x.example/fhir/Patient/{secret}/$everything")},
    }));
    let bytes = serde_json::to_vec(&tree).unwrap();
    let text = String::from_utf8(parts(&bytes, None)[0].details.clone()).unwrap();
    assert!(!text.contains(secret) && !text.contains("jaan"), "{text}");
}

#[test]
fn a_patient_whom_nothing_identifies_is_shown_to_nobody() {
    let mut tree: Value = serde_json::from_slice(&file("two-patients")).unwrap();
    tree["text"] = Value::Null;
    tree.as_object_mut().unwrap().remove("text");
    tree["entity"][2]["what"] = serde_json::json!({"display": "Jaan Tamm"});
    tree["entity"][2]["name"] = "Jaan Tamm".into();
    let parts = parts(&serde_json::to_vec(&tree).unwrap(), None);
    assert_eq!(parts.len(), 1);
    let text = String::from_utf8(parts[0].details.clone()).unwrap();
    assert!(text.contains("48504120221") && !text.contains("Jaan"), "{text}");
}

#[test]
fn one_patient_in_two_elements_is_one_patient() {
    let mut tree: Value = serde_json::from_slice(&file("patient-read")).unwrap();
    tree["entity"][0]["what"] = serde_json::json!({"reference": "Patient/mari-tamm/_history/3"});
    for _ in 0..2 {
        let bytes = serde_json::to_vec(&tree).unwrap();
        let parts = parts(&bytes, None);
        assert_eq!((parts.len(), &parts[0].details), (1, &bytes));
        let identifier = "https://id.example/person|48504120221";
        assert_eq!(parts[0].patient.as_deref(), Some(identifier));
        tree["entity"].as_array_mut().unwrap().swap(0, 1);
    }
}

#[test]
fn two_identifiers_are_two_patients_whatever_the_references_say() {
    let mut tree: Value = serde_json::from_slice(&file("two-patients")).unwrap();
    let reference = tree["entity"][1]["what"]["reference"].clone();
    tree["entity"][2]["what"] = serde_json::json!({
        "reference": reference,
        "identifier": {"system": "https://id.example/person", "value": "51706150000"},
    });
    let parts = parts(&serde_json::to_vec(&tree).unwrap(), None);
    assert_eq!(parts.len(), 2);
    let text = String::from_utf8(parts[0].details.clone()).unwrap();
    assert!(!text.contains("51706150000"), "{text}");
}

#[test]
fn what_is_kept_of_a_shared_event_keeps_its_bytes() {
    let text = String::from_utf8(file("two-patients")).unwrap();
    let odd = text.replacen(
        "\"recorded\": \"2026-11-21T11:00:00+02:00\"",
        "\"recorded\":   \"2026-11-21T11:00:00.100\\u002b02:00\"",
        1,
    );
    let part = parts(odd.as_bytes(), None).remove(0);
    let shown = resource_of(&part.details).unwrap().into_owned();
    assert!(shown.contains(r#""recorded":"2026-11-21T11:00:00.100\u002b02:00""#), "{shown}");
}

#[test]
fn a_relayed_document_carries_the_text_and_the_organisation() {
    for name in ["patient-read", "two-patients"] {
        let bytes = file(name);
        let signed = parts(&bytes, None);
        for (relayed, signed) in parts(&bytes, Some("Harbour \"H\"")).iter().zip(signed) {
            let document: Value = serde_json::from_slice(&relayed.details).unwrap();
            assert_eq!(document["version"], "medtrail/relayed-v1");
            let organisation = Address::repeat_byte(2).to_string().to_lowercase();
            assert_eq!(document["organisation"].as_str().unwrap().to_lowercase(), organisation);
            assert_eq!(document["name"], "Harbour \"H\"");
            let inner = document["document"].as_str().unwrap();
            assert_eq!(inner.as_bytes(), signed.details);
            assert_eq!(relayed.report.details, details_hash(&relayed.details));
            assert_eq!(relayed.report.subject, signed.report.subject);
            assert_eq!(event_of(&relayed.details), event_of(&signed.details));
        }
    }
}

#[test]
fn the_largest_event_still_fits_when_relayed() {
    // Every byte of the document may need a second one as text inside another document.
    const DETAILS_BYTES_MAX: usize = 262_144;
    let text = String::from_utf8(file("patient-read")).unwrap();
    let pad = EVENT_BYTES_MAX - text.len() - "\"outcomeDesc\": \"\",".len();
    let desc = format!("\"outcomeDesc\": \"{}\",\"agent\"", "\\\"".repeat(pad / 2));
    let bytes = text.replacen("\"agent\"", &desc, 1).into_bytes();
    assert!(bytes.len() <= EVENT_BYTES_MAX);
    assert!(parts(&bytes, Some("Kalda"))[0].details.len() <= DETAILS_BYTES_MAX);
}

/// An event about so many patients, whose second agent has this name.
fn about(patients: usize, name: &str) -> Vec<u8> {
    let mut tree: Value = serde_json::from_slice(&file("two-patients")).unwrap();
    tree["agent"][1]["name"] = name.into();
    let mut entities = vec![tree["entity"][0].clone()];
    entities.extend((0..patients).map(|number| {
        let mut entity = tree["entity"][2].clone();
        entity["what"] = json!({ "reference": format!("Patient/number-{number}") });
        entity
    }));
    tree["entity"] = entities.into();
    serde_json::to_vec(&tree).unwrap()
}

/// The story: 120 KB about 100 patients, nearly all of it one agent's name, became 23 MB.
#[test]
fn what_many_patients_are_shown_of_one_event_has_a_bound() {
    let small = serde_json::to_vec(&about(100, "")).unwrap().len();
    assert!(small < EVENT_BYTES_MAX);
    let bytes = about(100, &"\"".repeat(45_000));
    assert!(bytes.len() <= EVENT_BYTES_MAX && bytes.len() > 100_000, "{}", bytes.len());
    let issues = read(&bytes).unwrap_err();
    assert_eq!((issues[0].rule, issues.len()), ("limit.parts", 1));
    assert!(issues[0].text.contains("100 patients"), "{}", issues[0].text);

    // As much as is taken stays below the bound, also as text inside of other documents.
    let longest = (0..10_000).rev().step_by(50).find(|length| {
        let bytes = about(100, &"\"".repeat(*length));
        read(&bytes).is_ok()
    });
    let bytes = about(100, &"\"".repeat(longest.unwrap()));
    let kept: usize = parts(&bytes, Some("Kalda")).iter().map(|part| part.details.len()).sum();
    assert!(kept < PARTS_BYTES_MAX + 100 * 200 && kept > PARTS_BYTES_MAX / 2, "{kept}");
    // One patient is shown the whole event, as long as it may be.
    let bytes = about(1, &"\"".repeat(55_000));
    assert_eq!(parts(&bytes, None)[0].details, bytes);
}

#[test]
fn one_patient_in_a_thousand_elements_has_not_a_thousand_names() {
    let mut tree: Value = serde_json::from_slice(&file("two-patients")).unwrap();
    let entities = tree["entity"].as_array_mut().unwrap();
    for number in 0..PATIENT_IDS_MAX {
        let reference = format!("Patient/mari-{number}");
        let identifier = json!({"system": "https://id.example/person", "value": "48504120221"});
        entities.push(json!({"what": {"reference": reference, "identifier": identifier}}));
    }
    let issues = read(&serde_json::to_vec(&tree).unwrap()).unwrap_err();
    assert_eq!(issues[0].rule, "limit.patients");
}

/// What Mari is shown of `two-patients` after a change.
fn shown_to_mari(change: impl FnOnce(&mut Value)) -> (String, Value) {
    let mut tree: Value = serde_json::from_slice(&file("two-patients")).unwrap();
    change(&mut tree);
    let parts = parts(&serde_json::to_vec(&tree).unwrap(), None);
    let is_hers = |part: &&Part| part.patient.as_deref().unwrap().contains("48504120221");
    let text = String::from_utf8(parts.iter().find(is_hers).unwrap().details.clone()).unwrap();
    let event = serde_json::from_str::<Value>(&text).unwrap()["event"].clone();
    (text, event)
}

#[test]
fn a_reference_that_is_more_than_type_and_id_is_not_handed_on() {
    for (reference, kept) in [
        ("Observation?patient=jaan-tamm", None),
        ("Observation?patient=p1", None),
        ("patient/p1", None),
        ("https://x.example/fhir/Patient/p1/$everything", None),
        ("RelatedPerson/r1", None),
        ("https://jaan.example/fhir/Observation/o9", Some("Observation/o9")),
        ("Observation/jaan-tamm.3", None),
        ("Observation/JAAN%2DTAMM", None),
        ("Observation/o9/_history/2", Some("Observation/o9/_history/2")),
    ] {
        let (text, event) =
            shown_to_mari(|tree| tree["entity"][0]["what"]["reference"] = reference.into());
        let found = event["entity"][0]["what"]["reference"].as_str();
        assert_eq!(found, kept, "{reference}");
        assert!(!text.to_lowercase().contains("jaan"), "{text}");
    }
}

#[test]
fn who_took_part_is_told_unless_it_may_be_a_patient() {
    let contained = json!([
        {"resourceType": "Patient", "id": "p2", "name": [{"text": "Jaan Tamm"}]},
        {"resourceType": "Practitioner", "id": "d1"},
    ]);
    let jaan = "Jaan Tamm";
    for (who, display) in [
        (json!({"reference": "#p2", "display": jaan}), None),
        (json!({"reference": "#nobody", "display": jaan}), None),
        (json!({"reference": "patient/p9", "display": jaan}), None),
        (json!({"reference": "RelatedPerson/r1", "display": jaan}), None),
        (json!({"reference": "urn:uuid:61ebe359-bfdc-4613", "display": jaan}), None),
        (json!({"type": "Patient", "display": jaan}), None),
        (json!({"identifier": {"value": "JAAN-TAMM"}, "display": jaan}), None),
        (json!({"reference": "#d1", "display": "Dr Saar"}), Some("Dr Saar")),
        (json!({"reference": "Practitioner/d1", "display": "Dr Saar"}), Some("Dr Saar")),
        (json!({"identifier": {"value": "D1"}, "display": "Dr Saar"}), Some("Dr Saar")),
    ] {
        let (text, event) = shown_to_mari(|tree| {
            tree["contained"] = contained.clone();
            tree["agent"][2]["who"] = who.clone();
            tree["agent"][2]["name"] = who["display"].clone();
        });
        let agent = &event["agent"][2];
        assert_eq!(agent["who"]["display"].as_str(), display, "{who}");
        assert_eq!(agent["name"].as_str(), display, "{who}");
        assert_eq!(agent["requestor"], true);
        assert!(!text.contains("Jaan") && !text.contains("#"), "{text}");
    }
    let (text, event) = shown_to_mari(|tree| {
        tree["agent"][2]["who"]["extension"] = json!([{"url": "u", "valueString": jaan}]);
        tree["agent"][2]["who"]["identifier"]["assigner"] = json!({"display": jaan});
    });
    assert_eq!(event["agent"][2]["who"]["identifier"]["value"], "D00417");
    assert!(!text.contains("Jaan"), "{text}");
}
