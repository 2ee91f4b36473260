//! Provenance in: what is taken, what is refused and why, and that the record is the one of which
//! the same organisation's AuditEvents tell.

use alloy_primitives::{Address, B256};
use medtrail_fhir::derived::{How, derivations};
use medtrail_fhir::event;
use medtrail_fhir::provenance::read;
use medtrail_fhir::report::{Reporter, reports};
use medtrail_ledger::entry::{Kind, details_hash};
use medtrail_ledger::ports::SecretKey;
use proptest::prelude::*;
use serde_json::{Value, json};

fn provenance(activity: &str) -> Value {
    json!({
        "resourceType": "Provenance",
        "id": "p1",
        "target": [
            { "reference": "Observation/o9" },
            { "type": "Patient", "identifier": { "system": "urn:ee", "value": "38001085718" } },
        ],
        "recorded": "2026-01-05T12:00:00+02:00",
        "activity": { "coding": [{ "code": activity }] },
        "agent": [
            { "type": { "coding": [{ "code": "author" }] }, "who": { "display": "Dr Who" } },
            { "type": { "coding": [{ "code": "custodian" }] }, "who": { "display": "Fjord" } },
        ],
        "entity": [{ "role": "derivation", "what": { "reference": "DiagnosticReport/d1" } }],
    })
}

fn rules(value: &Value) -> Vec<(String, &'static str)> {
    let issues = read(value.to_string().as_bytes()).unwrap_err();
    issues.into_iter().map(|issue| (issue.path, issue.rule)).collect()
}

fn reporter(key: &SecretKey) -> Reporter<'_> {
    Reporter {
        log: B256::repeat_byte(1),
        organisation: Address::repeat_byte(2),
        actor: Address::repeat_byte(2),
        key,
        relayed_for: None,
    }
}

#[test]
fn it_becomes_one_report_of_its_patient_over_the_bytes_as_they_came() {
    let text = format!("{:#}", provenance("extract"));
    let event = read(text.as_bytes()).unwrap();
    let key = SecretKey([7; 32]);
    let parts = reports(&event, text.as_bytes(), &reporter(&key));
    assert_eq!(parts.len(), 1);
    let part = &parts[0];
    assert_eq!((part.report.kind, part.report.action), (Kind::Change.number(), b'C'));
    assert_eq!(part.report.timeMs, 1_767_607_200_000);
    assert_eq!(
        (part.details.as_slice(), part.report.details),
        (text.as_bytes(), details_hash(text.as_bytes()))
    );
    let found = derivations(&part.details);
    assert_eq!((found[0].how, found[0].what.as_str()), (How::Extracted, "DiagnosticReport/d1"));

    // An AuditEvent of the same house about the same record and patient: same trail, same record.
    let audit = json!({
        "resourceType": "AuditEvent", "type": { "code": "rest" }, "action": "U",
        "recorded": "2026-01-05T12:00:00+02:00",
        "agent": [{ "requestor": true }],
        "source": { "observer": { "display": "Fjord" } },
        "entity": [
            { "what": { "reference": "Observation/o9" } },
            { "role": { "code": "1" }, "what":
                { "type": "Patient", "identifier": { "system": "urn:ee", "value": "38001085718" } } },
        ],
    })
    .to_string();
    let event = event::read(audit.as_bytes()).unwrap();
    let audited = reports(&event, audit.as_bytes(), &reporter(&key));
    assert_eq!(audited[0].report.record, part.report.record);
    assert_eq!(audited[0].report.subject, part.report.subject);
}

#[test]
fn each_activity_is_a_change_or_a_hand_over_and_anything_else_is_refused() {
    for (activity, kind, action) in [
        ("CREATE", Kind::Change, b'C'),
        ("originate", Kind::Change, b'C'),
        ("deidentify", Kind::Change, b'C'),
        ("amend", Kind::Change, b'U'),
        ("UPDATE", Kind::Change, b'U'),
        ("destroy", Kind::Change, b'D'),
        ("transmit", Kind::HandOver, b'R'),
        ("disclose", Kind::HandOver, b'R'),
        ("receive", Kind::HandOver, b'C'),
    ] {
        let event = read(provenance(activity).to_string().as_bytes()).unwrap();
        assert_eq!((event.kind, event.action), (kind, action), "{activity}");
    }
    for activity in ["READ", "access", "EXECUTE"] {
        assert_eq!(rules(&provenance(activity)), [("Provenance.activity".into(), "log.activity")]);
    }
    let mut silent = provenance("amend");
    silent.as_object_mut().unwrap().remove("activity");
    assert_eq!(rules(&silent), [("Provenance.activity".into(), "log.activity")]);
}

#[test]
fn what_breaks_base_r4_is_told_with_its_place() {
    let with = |edit: &dyn Fn(&mut Value)| {
        let mut value = provenance("amend");
        edit(&mut value);
        rules(&value)
    };
    for (at, rule, edit) in [
        (
            "Provenance.resourceType",
            "r4.code",
            &(|v: &mut Value| v["resourceType"] = "Patient".into()) as &dyn Fn(&mut Value),
        ),
        ("Provenance.recorded", "r4.required", &|v| {
            drop(v.as_object_mut().unwrap().remove("recorded"));
        }),
        ("Provenance.agent", "r4.required", &|v| drop(v.as_object_mut().unwrap().remove("agent"))),
        ("Provenance.agent[0].who", "r4.required", &|v| {
            v["agent"] = json!([{ "role": [{ "text": "x" }] }]);
        }),
        ("Provenance.entity[0].role", "r4.code", &|v| v["entity"][0]["role"] = "stolen".into()),
        ("Provenance.mood", "r4.unknown", &|v| v["mood"] = 1.into()),
        ("Provenance.target", "r4.empty", &|v| v["target"] = json!([])),
        ("Provenance.occurred[x]", "r4.invariant", &|v| {
            v["occurredDateTime"] = "2026-01-05".into();
            v["occurredPeriod"] = json!({ "start": "2026-01-05" });
        }),
        ("Provenance.signature[0].who", "r4.required", &|v| {
            v["signature"] = json!([{ "type": [{ "code": "x" }], "when": "2026-01-05T12:00:00Z" }]);
        }),
    ] {
        assert!(with(edit).contains(&(at.into(), rule)), "{at}: {:?}", with(edit));
    }
    let twice = provenance("amend").to_string().replacen('{', "{\"id\":\"other\",", 1);
    let issues = read(twice.as_bytes()).unwrap_err();
    assert!(issues.iter().any(|issue| issue.rule == "r4.double"), "{issues:?}");
    assert_eq!(read(b"{").unwrap_err()[0].rule, "r4.json");
    let long = format!("{}{}", provenance("amend"), " ".repeat(event::EVENT_BYTES_MAX));
    assert_eq!(read(long.as_bytes()).unwrap_err()[0].rule, "limit.bytes");
}

#[test]
fn one_record_of_one_patient_is_taken_at_once() {
    let with = |targets: Value| {
        let mut value = provenance("amend");
        value["target"] = targets;
        rules(&value)
    };
    let (record, patient) =
        (json!({ "reference": "Observation/o9" }), json!({ "reference": "Patient/p1" }));
    let at = |rule| ("Provenance.target".to_owned(), rule);
    assert_eq!(with(json!([record])), [at("log.patient")]);
    assert_eq!(with(json!([patient])), [at("log.record")]);
    assert_eq!(with(json!([record, patient, { "reference": "Patient/p2" }])), [at("log.patient")]);
    assert_eq!(with(json!([record, record, patient])), [at("log.record")]);
    assert_eq!(
        with(json!([record, { "type": "Patient", "display": "Mari" }])),
        [at("log.patient")]
    );
    let long = "x".repeat(event::IDENTIFIER_BYTES_MAX + 1);
    let long = json!({ "type": "Patient", "identifier": { "value": long } });
    assert_eq!(with(json!([record, long])), [at("log.patient")]);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(&bytes);
    }

    #[test]
    fn a_provenance_cut_anywhere_is_refused(at in 0usize..700) {
        let text = provenance("amend").to_string();
        prop_assume!(at < text.len());
        prop_assert!(read(&text.as_bytes()[..at]).is_err());
    }
}
