//! Our own events, what is caught when they are changed, and the official ones.

use medtrail_fhir::event::{
    EVENT_BYTES_MAX, Event, ISSUES_MAX, ITEMS_MAX, Issue, PATIENTS_MAX, Severity, read,
};
use medtrail_fhir::search;
use serde::Deserialize;
use serde_json::Value;
use std::path::{Path, PathBuf};

fn own() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/fhir")
}

/// Every JSON file of a folder, by name.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read(path).unwrap())
        })
        .filter(|(name, _)| name != "mutations")
        .collect();
    files.sort();
    files
}

fn rules(issues: &[Issue]) -> Vec<&'static str> {
    issues.iter().map(|issue| issue.rule).collect()
}

#[test]
fn every_event_of_ours_is_taken_and_flagged_where_it_should_be() {
    let files = files(&own());
    assert!(files.len() >= 14, "{}", files.len());
    for (name, bytes) in files {
        let event = read(&bytes).unwrap_or_else(|issues| panic!("{name}: {issues:#?}"));
        let expected: &[&str] = match name.as_str() {
            "break-glass" => &["balp.entity.data"],
            "two-patients" => &["balp.entity.patient"],
            "failed-update" => &["balp.outcome"],
            _ => &[],
        };
        assert_eq!(rules(&event.flags), expected, "{name}: {:#?}", event.flags);
    }
}

#[derive(Deserialize)]
struct Mutation {
    name: String,
    file: String,
    change: Change,
    path: String,
    rule: String,
    severity: Severity,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Change {
    Steps { steps: Vec<Self> },
    Set { set: String, value: Value },
    Remove { remove: String },
    Replace { replace: String, with: String },
}

impl Change {
    fn apply(&self, bytes: &[u8]) -> Vec<u8> {
        let mut tree: Value = serde_json::from_slice(bytes).unwrap();
        let split = |pointer: &str| {
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            (parent.to_owned(), name.to_owned())
        };
        match self {
            Self::Steps { steps } => {
                return steps.iter().fold(bytes.to_vec(), |bytes, step| step.apply(&bytes));
            }
            Self::Replace { replace, with } => {
                let text = String::from_utf8(bytes.to_vec()).unwrap();
                assert!(text.contains(replace), "nothing to replace");
                return text.replacen(replace, with, 1).into_bytes();
            }
            Self::Set { set, value } => {
                let (parent, name) = split(set);
                match tree.pointer_mut(&parent).unwrap() {
                    Value::Object(members) => drop(members.insert(name, value.clone())),
                    Value::Array(items) => items[name.parse::<usize>().unwrap()] = value.clone(),
                    _ => panic!("nothing at {parent}"),
                }
            }
            Self::Remove { remove } => {
                let (parent, name) = split(remove);
                match tree.pointer_mut(&parent).unwrap() {
                    Value::Object(members) => assert!(members.remove(&name).is_some(), "{remove}"),
                    Value::Array(items) => drop(items.remove(name.parse::<usize>().unwrap())),
                    _ => panic!("nothing at {parent}"),
                }
            }
        }
        serde_json::to_vec(&tree).unwrap()
    }
}

#[test]
fn every_mutation_is_caught_by_its_rule_at_its_path() {
    let text = std::fs::read(own().join("mutations.json")).unwrap();
    let mutations: Vec<Mutation> = serde_json::from_slice(&text).unwrap();
    assert!(mutations.len() >= 60);
    let mut missed = Vec::new();
    for mutation in mutations {
        let file = own().join(format!("{}.json", mutation.file));
        let changed = mutation.change.apply(&std::fs::read(file).unwrap());
        let result = read(&changed);
        let refuses = mutation.severity == Severity::Error;
        let issues = match &result {
            Ok(event) => &event.flags,
            Err(issues) => issues,
        };
        let is_caught = issues.iter().any(|issue| {
            let found = (issue.path.as_str(), issue.rule, issue.severity);
            found == (&mutation.path, &mutation.rule, mutation.severity)
        });
        if !is_caught || result.is_err() != refuses {
            missed.push(format!("{}: {issues:#?}", mutation.name));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn all_issues_are_told_at_once() {
    let bytes = std::fs::read(own().join("patient-read.json")).unwrap();
    let mut tree: Value = serde_json::from_slice(&bytes).unwrap();
    let members = tree.as_object_mut().unwrap();
    members.remove("recorded");
    members.insert("action".into(), "Z".into());
    members.insert("mood".into(), "good".into());
    members["agent"][0].as_object_mut().unwrap().remove("requestor");
    let issues = read(&serde_json::to_vec(&tree).unwrap()).unwrap_err();
    let mut found = rules(&issues);
    found.sort_unstable();
    assert_eq!(found, ["r4.code", "r4.required", "r4.required", "r4.unknown"]);
    assert!(issues.iter().all(|issue| !issue.text.is_empty()));
}

#[test]
fn official_balp_events_pass_and_get_no_flag() {
    let data = std::env::var_os("MEDTRAIL_TEST_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let folder = data.join("balp");
    if !folder.is_dir() {
        eprintln!("SKIPPED: no official BALP events in {}", folder.display());
        return;
    }
    let files = files(&folder);
    assert!(files.len() >= 23, "{}", files.len());
    for (name, bytes) in &files {
        let event = read(bytes).unwrap_or_else(|issues| panic!("{name}: {issues:#?}"));
        assert!(event.flags.is_empty(), "{name}: {:#?}", event.flags);
    }
    eprintln!("{} official BALP events pass without a flag", files.len());
}

fn event(name: &str) -> Event {
    read(&std::fs::read(own().join(format!("{name}.json"))).unwrap()).unwrap()
}

#[test]
fn an_event_is_read_narrowly() {
    let read = event("patient-read");
    assert_eq!(read.id.as_deref(), Some("kalda-5101"));
    assert_eq!(read.recorded_ms, 1_795_245_150_120);
    assert_eq!((read.kind.number(), read.action), (1, b'R'));
    assert_eq!(read.patients[0].identifier, "https://id.example/person|48504120221");
    assert_eq!(read.x_request_id.as_deref(), Some("5c1f7d2e-0001"));
    let record = read.record.unwrap();
    assert_eq!(record.external, "AllergyIntolerance/a7");
    assert_eq!(record.source, "KALDA-01");
    let update = event("patient-update");
    assert_eq!(update.record.unwrap().external, "MedicationRequest/insulin-1");
    assert_eq!(update.kind.number(), 2);
    assert_eq!(event("disclosure-source").kind.number(), 3);
    assert!(event("without-patient").patients.is_empty());
    let two: Vec<_> = event("two-patients").patients;
    assert_eq!(two[1].identifier, "Patient/jaan-tamm");
}

#[test]
fn a_contained_patient_is_known_by_its_identifier_and_never_by_its_local_id() {
    let bytes = std::fs::read(own().join("patient-read.json")).unwrap();
    let mut tree: Value = serde_json::from_slice(&bytes).unwrap();
    tree["entity"][1]["what"] = serde_json::json!({"reference": "#p"});
    let with = |tree: &Value| read(&serde_json::to_vec(tree).unwrap()).unwrap().patients;
    assert!(with(&tree).is_empty());
    tree["contained"] = serde_json::json!([
        {"resourceType": "Patient", "id": "p", "identifier": [{"system": "urn:x", "value": "7"}]}
    ]);
    assert_eq!(with(&tree)[0].identifier, "urn:x|7");
}

#[test]
fn a_search_finds_what_it_names() {
    let event = event("patient-query");
    let finds = |query: &str| search::read(&search::pairs(query), true).unwrap().admits(&event);
    let rest = "http%3A%2F%2Fterminology.hl7.org%2FCodeSystem%2Faudit-event-type%7Crest";
    for query in [
        "",
        "action=E",
        "action=R,E",
        "type=rest",
        &format!("type={rest}"),
        "type=other,rest",
        "subtype=search-type",
        "outcome=0",
        "outcome=http://x|0",
        "agent-name=rein",
        "agent.identifier=https://registers.example/staff|L-31",
        "agent.identifier=L-31",
        "date=2026-11-21",
        "date=ge2026-11-21T07:05:00Z&date=lt2026-11-21T07:05:01Z",
        "entity.identifier=https://id.example/person|48504120221",
    ] {
        assert!(finds(query), "{query}");
    }
    for query in [
        "action=R",
        "type=x|rest",
        "subtype=read",
        "outcome=4",
        "agent-name=oja",
        "agent=Device/1",
        "agent.identifier=other|L-31",
        "date=gt2026-11-21",
        "date=lt2026-11-21T07:05:00Z",
        "entity=Observation/o9",
        "action=E&outcome=8",
    ] {
        assert!(!finds(query), "{query}");
    }
}

#[test]
fn everything_has_a_limit() {
    let bytes = std::fs::read(own().join("patient-read.json")).unwrap();
    let tree: Value = serde_json::from_slice(&bytes).unwrap();
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut tree = tree.clone();
        change(&mut tree);
        read(&serde_json::to_vec(&tree).unwrap()).unwrap_err()
    };
    let patient = |number: usize| {
        let mut patient = tree["entity"][1].clone();
        patient["what"] = serde_json::json!({"reference": format!("Patient/{number}")});
        patient
    };
    let long = refused(&|tree| tree["outcomeDesc"] = "x".repeat(EVENT_BYTES_MAX).into());
    assert_eq!(rules(&long), ["limit.bytes"]);
    let crowd = refused(&|tree| {
        tree["entity"] = (0..=PATIENTS_MAX).map(patient).collect();
    });
    assert_eq!(rules(&crowd), ["limit.patients"]);
    let name = refused(&|tree| {
        tree["entity"][1]["what"]["identifier"]["value"] = "x".repeat(2_048).into();
    });
    assert_eq!(rules(&name), ["limit.patients"]);
    let agents = refused(&|tree| {
        tree["agent"] = vec![serde_json::json!({"requestor": false}); ITEMS_MAX + 1].into();
    });
    assert_eq!(rules(&agents), ["limit.items"]);
    let wrong = refused(&|tree| tree["agent"] = vec![serde_json::json!({"x": 1}); 200].into());
    assert_eq!(wrong.len(), ISSUES_MAX + 1);
    assert_eq!(wrong[ISSUES_MAX].rule, "limit.issues");
    assert!(wrong[ISSUES_MAX].text.starts_with("300 "), "{}", wrong[ISSUES_MAX].text);
    let values = refused(&|tree| tree["x"] = vec![0; 20_000].into());
    assert_eq!(rules(&values), ["limit.shape"]);
}
