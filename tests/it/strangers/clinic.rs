//! A person with a whole record, written and read by a clinic of 400: one event for each time.

use super::{World, foreign, own_event};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};

/// Who works there.
const STAFF: u64 = 400;
/// The same clinic in every run.
const SEED: u64 = 0x6d65_6474_7261_696c;

/// Numbers that look random and are the same every time (SplitMix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// What the person's record holds, as `Type/id`: Synthea's, or a small one.
fn record() -> (String, Vec<String>) {
    let Some(folder) = foreign("synthea") else {
        let kinds = ["Observation", "Condition", "Immunization", "Encounter"];
        let own = (0..40).map(|number| format!("{}/own-{number}", kinds[number % kinds.len()]));
        return ("own-person".to_owned(), own.collect());
    };
    let bundle = std::fs::read(folder.join("transaction-bundle.json")).unwrap();
    let bundle: Value = serde_json::from_slice(&bundle).unwrap();
    let resources: Vec<_> = bundle["entry"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["resource"])
        .map(|resource| {
            let text = |member: &str| resource[member].as_str().unwrap();
            format!("{}/{}", text("resourceType"), text("id"))
        })
        .collect();
    assert_eq!(resources.len(), 744);
    let person = resources.iter().find_map(|one| one.strip_prefix("Patient/")).unwrap();
    (person.to_owned(), resources)
}

/// An event of this kind of ours, made to be about this resource, by this employee.
fn event(like: &Value, number: usize, patient: &str, resource: &str, employee: u64) -> Value {
    let mut event = like.clone();
    event["id"] = json!(format!("clinic-{number}"));
    let (minute, second) = (number / 60, number % 60);
    event["recorded"] =
        json!(format!("2026-11-20T{:02}:{:02}:{second:02}.000Z", 6 + minute / 60, minute % 60));
    for agent in event["agent"].as_array_mut().unwrap() {
        if agent["requestor"] == true {
            agent["who"] = json!({
                "identifier": {
                    "system": "https://registers.example/staff", "value": format!("E{employee:03}"),
                },
                "display": format!("Employee {employee}"),
            });
        }
    }
    for entity in event["entity"].as_array_mut().unwrap() {
        match entity["role"]["code"].as_str() {
            Some("1") => entity["what"] = json!({ "reference": format!("Patient/{patient}") }),
            Some("4") => entity["what"] = json!({ "reference": resource }),
            _ => {}
        }
    }
    event
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_record_is_written_and_read_by_a_clinic_of_four_hundred() {
    let (patient, resources) = record();
    let (create, read) = (own_event("patient-create"), own_event("patient-read"));
    let mut chance = Chance(SEED);
    let mut by_employee: HashMap<u64, HashSet<String>> = HashMap::new();
    let mut events = Vec::new();
    for like in [&create, &read] {
        for resource in &resources {
            let employee = chance.below(STAFF);
            let event = event(like, events.len(), &patient, resource, employee);
            let id = event["id"].as_str().unwrap().to_owned();
            by_employee.entry(employee).or_default().insert(id);
            events.push(event);
        }
    }

    let world = World::start().await;
    let key = world.organisation("Clinic of Four Hundred").await;
    let mut places = Vec::new();
    for some in events.chunks(100) {
        places.extend(world.batch(&key, some).await);
    }
    let all: HashSet<_> = places.iter().collect();
    assert_eq!(all.len(), 2 * resources.len(), "each has a place of its own");

    let ids = |found: &[Value]| -> Vec<String> {
        found.iter().map(|one| one["resource"]["id"].as_str().unwrap().to_owned()).collect()
    };
    let about = format!("patient=Patient/{patient}");
    let found = world.search(&key, &format!("{about}&_count=200")).await;
    assert_eq!(ids(&found).len(), events.len());
    let by_id: HashMap<_, _> = found
        .iter()
        .map(|one| (one["resource"]["id"].as_str().unwrap(), &one["resource"]))
        .collect();
    for event in &events {
        assert_eq!(by_id[event["id"].as_str().unwrap()], event);
    }
    let written = world.search(&key, &format!("{about}&action=C&_count=200")).await;
    assert_eq!(written.len(), resources.len());

    // What one of them did, and nothing of the others.
    let (busiest, did) = by_employee.iter().max_by_key(|(name, did)| (did.len(), **name)).unwrap();
    let agent = format!("{about}&agent.identifier=https://registers.example/staff|E{busiest:03}");
    let theirs: HashSet<_> =
        ids(&world.search(&key, &agent.replace('|', "%7C")).await).into_iter().collect();
    assert_eq!(&theirs, did, "employee {busiest}");
    world.stop();
}
