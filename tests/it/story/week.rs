//! The week that the demo opens with, as Mari finds it: what happened when, who signed it, and what a
//! stranger's check says of it.

use super::{DEMO, Demo, Person, facts};
use crate::site::PATIENCE;
use alloy::primitives::{Address, B256};
use journeys::medtrail::run;
use medtrail_fhir::reading::sentence;
use medtrail_ledger::entry::event_id;
use medtrail_ledger::proof::Evidence;
use medtrail_ledger::schema::Report;
use medtrail_ledger::trust::TrustFile;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

const DAY_MS: u64 = 24 * 3600 * 1000;
/// What opening the trail may take, on a machine that does something else too.
const OPENED: Duration = Duration::from_secs(5);

/// A line of the story: when on the wall, who signed it (none: the log's own word), and what it says.
type Told = (&'static str, Option<&'static str>, &'static str);

/// From 08:20 of one day to 07:55 of the next, newest first.
const LINES: [Told; 8] = [
    (
        "07:55",
        None,
        "Refused. Harbour Hospital tried to change “Allergy: penicillin” to “No known allergies” without your permission. Nothing changed.",
    ),
    (
        "07:30",
        Some("State Health Insurance"),
        "State Health Insurance was billed for “MRI of the knee” for you on {day}. Was this you?",
    ),
    ("06:10", None, "Tide Sensors stopped answering. Still kept here: 90 days of readings."),
    (
        "23:47",
        Some("Harbour Hospital"),
        "Unusual. A nurse at Harbour Hospital (no. 4417, name not given) read a psychiatric note. No reason given.",
    ),
    (
        "19:12",
        Some("Harbour Hospital"),
        "Emergency. Dr Peeter Saar, Harbour Hospital, opened your allergies and medicines; you could not be asked.",
    ),
    (
        "19:09",
        Some("Harbour Hospital"),
        "Harbour Hospital received your documents from Kalda Family Doctors. To coordinate your care.",
    ),
    (
        "19:09",
        Some("Kalda Family Doctors"),
        "Kalda Family Doctors passed your documents on to Harbour Hospital. To coordinate your care.",
    ),
    (
        "08:20",
        Some("Kalda Family Doctors"),
        "Dr Liis Kask, Kalda Family Doctors, changed your medicines: “Insulin glargine, every evening” from “18 units” to “20 units”. For your treatment.",
    ),
];

/// The clock on this machine's wall.
struct Wall {
    offset_ms: i64,
}

impl Wall {
    fn here() -> Self {
        let told = Command::new("date").arg("+%z").output().unwrap().stdout;
        let zone: i64 = String::from_utf8(told).unwrap().trim().parse().unwrap();
        Self { offset_ms: (zone / 100 * 60 + zone % 100) * 60_000 }
    }

    fn ms(&self, at_ms: u64) -> u64 {
        at_ms.checked_add_signed(self.offset_ms).unwrap()
    }

    fn hour_and_minute(&self, at_ms: u64) -> String {
        let minutes = self.ms(at_ms) / 60_000 % (24 * 60);
        format!("{:02}:{:02}", minutes / 60, minutes % 60)
    }

    fn day(&self, at_ms: u64) -> u64 {
        self.ms(at_ms) / DAY_MS
    }
}

/// A line as its reader has it.
struct Read {
    index: u64,
    report: Report,
    evidence: Evidence,
    words: String,
    is_machine: bool,
    organisation: Option<String>,
    line: Value,
}

fn read(line: &Value, trust: &TrustFile) -> Read {
    let facts = facts(line, trust);
    Read {
        index: line["index"].as_u64().unwrap(),
        report: serde_json::from_value(line["report"].clone()).unwrap(),
        evidence: serde_json::from_value(line["evidence"].clone()).unwrap(),
        words: sentence(&facts),
        is_machine: facts.is_machine,
        organisation: facts.organisation,
        line: line.clone(),
    }
}

/// Who signed a line, by their key in the trust file; none: nobody did.
fn signer<'a>(read: &Read, trust: &'a TrustFile) -> Option<&'a str> {
    let domain = medtrail_ledger::schema::domain(trust.chain_id, trust.registry);
    match &read.evidence {
        Evidence::Relayed => None,
        evidence => {
            assert!(evidence.verify(&read.report, &domain).unwrap(), "{}", read.words);
            let by = trust.organisation_of(read.report.actor, read.report.timeMs);
            Some(by.expect("a known key").name.as_str())
        }
    }
}

/// The verdict of `medtrail verify` on a line's proof, once it is locked.
async fn verdict(demo: &Demo, mari: &Person, rpc: &str, read: &Read) -> String {
    let until = Instant::now() + PATIENCE;
    let path = format!("/v1/entries/{}/proof?open=true", read.index);
    let proof = loop {
        let answer = mari.ask(&path).await;
        if answer.status() == StatusCode::OK {
            break answer.bytes().await.unwrap();
        }
        assert!(Instant::now() < until, "{}: {}", read.words, answer.text().await.unwrap());
        tokio::time::sleep(Duration::from_millis(300)).await;
    };
    let folder = demo.folder.path();
    let file = folder.join("line.json");
    fs::write(&file, proof).unwrap();
    let (file, trust) = (file.to_str().unwrap(), folder.join("trust.json"));
    let flags = ["verify", file, "--rpc", rpc, "--trust", trust.to_str().unwrap(), "--json"];
    let told: Value = serde_json::from_slice(&run(flags).stdout).unwrap();
    told[0]["verdict"].as_str().unwrap_or_else(|| panic!("{told:#}")).to_owned()
}

#[tokio::test]
async fn the_trail_opens_with_the_week_of_the_story() {
    let mut demo = Demo::start(&[]);
    demo.running.wait_for("Running at ", DEMO);
    let marker = demo.marker();
    let rpc = marker["rpc"].as_str().unwrap().to_owned();
    let trust = TrustFile::parse(&fs::read(demo.folder.path().join("trust.json")).unwrap());
    let (trust, wall) = (trust.unwrap(), Wall::here());
    let mari = Person::sign_in(&marker, "Mari Tamm").await;

    // 400 people and about 5,000 lines stand around hers, and hers open at once.
    let said = demo.running.said();
    let told = said.split("seven days of 400 people, ").nth(1).unwrap();
    let count: u64 = told.split(' ').next().unwrap().parse().unwrap();
    assert!((4_800..5_600).contains(&count), "{count}");
    let size = mari.get("/readyz").await["entries"].as_u64().unwrap();
    assert!((count + 80..count + 250).contains(&size), "{size} entries, {count} of others");
    let opened = Instant::now();
    let trail = mari.trail().await;
    let opened = opened.elapsed();
    println!("{} lines of {size} opened in {} ms", trail.len(), opened.as_millis());
    assert!(opened < OPENED, "{opened:?}");

    // What people did, by when they did it; what the demo itself plays comes after the week.
    let mut all: Vec<Read> = trail.iter().map(|line| read(line, &trust)).collect();
    all.sort_by_key(|one| std::cmp::Reverse((one.report.timeMs, one.index)));
    let refused = all.iter().find(|one| one.words.starts_with("Refused. ")).unwrap();
    let last_day = wall.day(refused.report.timeMs);
    let is_told = |one: &&Read| {
        let day = wall.day(one.report.timeMs);
        let is_before = (day, one.report.timeMs) <= (last_day, refused.report.timeMs);
        day + 1 >= last_day && is_before && !one.is_machine
    };
    let week: Vec<&Read> = all.iter().filter(is_told).collect();
    let at = |one: &Read| wall.hour_and_minute(one.report.timeMs);
    let found: Vec<_> = week.iter().map(|one| (at(one), one.words.as_str())).collect();
    assert_eq!(week.len(), LINES.len(), "{found:#?}");
    for (one, (time, by, words)) in week.iter().zip(LINES) {
        let words: Vec<&str> = words.split("{day}").collect();
        assert!(one.words.starts_with(words[0]), "{found:#?}");
        assert!(one.words.ends_with(words.last().unwrap()), "{found:#?}");
        assert_eq!(at(one), time, "{}", one.words);
        let day = last_day - u64::from(time > "08:00");
        assert_eq!(wall.day(one.report.timeMs), day, "{}", one.words);
        assert_eq!(signer(one, &trust), by, "{}", one.words);
        // Reported when it happened.
        let received = one.line["place"]["open"]["receivedMs"].as_u64().unwrap();
        assert!(received - one.report.timeMs < 60_000, "{}", one.words);
        // Whatever the log says itself is no organisation's word, and is amber.
        let expected = if by.is_some() { "green" } else { "amber" };
        assert_eq!(verdict(&demo, &mari, &rpc, one).await, expected, "{}", one.words);
    }
    // The same events every time: their ids are made of the organisations' own.
    let id = |name: &str, event: &str| {
        let accounts = marker["accounts"].as_array().unwrap();
        let account = accounts.iter().find(|one| one["name"] == name).unwrap();
        event_id(account["address"].as_str().unwrap().parse::<Address>().unwrap(), event.as_bytes())
    };
    for (place, name, event) in [
        (3, "Harbour Hospital", "harbour-mari-night"),
        (4, "Harbour Hospital", "harbour-mari-emergency"),
        (7, "Kalda Family Doctors", "kalda-mari-insulin"),
    ] {
        assert_eq!(week[place].report.eventId, id(name, event), "{event}");
    }

    // Both sides of the hand-over are one step.
    let record = week[6].report.record;
    let told = mari.get(&format!("/v1/subjects/{}/chain?record={record}", mari.address)).await;
    let step = &told["chain"]["steps"][0];
    assert_eq!(step["confirmation"], "bothSides", "{told:#}");
    assert_eq!(step["lines"].as_array().unwrap().len(), 2);

    // The laboratory's machine, in one night, signed.
    let checks: Vec<&Read> = all
        .iter()
        .filter(|one| one.is_machine && one.organisation.as_deref() == Some("Lumi Laboratory"))
        .filter(|one| one.report.timeMs < refused.report.timeMs)
        .collect();
    assert_eq!(checks.len(), 42);
    let is_in_night =
        |one: &&Read| wall.day(one.report.timeMs) == last_day - 1 && *at(one) < *"08:00";
    assert!(checks.iter().all(is_in_night));
    assert!(checks.iter().all(|one| signer(one, &trust) == Some("Lumi Laboratory")));

    // Tide sends by API key: nobody signs that; since it went silent, nothing comes.
    let of_tide: Vec<&Read> =
        all.iter().filter(|one| one.words.ends_with("Not signed by Tide Sensors.")).collect();
    assert_eq!(of_tide.len(), 9);
    assert!(of_tide.iter().all(|one| one.evidence == Evidence::Relayed));
    assert!(of_tide.iter().all(|one| one.report.timeMs < week[2].report.timeMs));

    // Its readings are here, the very bytes that it had.
    let sources = mari.get("/v1/sources").await;
    let source = &sources["sources"][0];
    let told = [&source["state"], &source["kept"], &source["keeper"], &source["title"]];
    assert_eq!(told, ["lost", "here", "Tide Sensors", "90 days of readings"], "{sources:#}");
    assert_eq!(sources["sources"].as_array().unwrap().len(), 1);
    let record = source["record"].as_str().unwrap();
    let content = mari.get(&format!("/v1/records/{record}/content")).await;
    let readings = content["valueSampledData"]["data"].as_str().unwrap().split(' ');
    assert_eq!(readings.count(), 90 * 24 * 12);

    sees_her_son_as_nobody_else_does(&mari, &marker, &trust).await;
    assert_eq!(demo.running.interrupt(PATIENCE).code(), Some(0), "{}", demo.running.said());
}

/// Jaan has no key: Mari reads his trail, and each day that she does is a line of it.
async fn sees_her_son_as_nobody_else_does(mari: &Person, marker: &Value, trust: &TrustFile) {
    let jaan = &marker["withoutKey"][0];
    assert_eq!(jaan["name"], "Jaan Tamm");
    let pseudonym: B256 = jaan["pseudonym"].as_str().unwrap().parse().unwrap();
    let path = format!("/v1/subjects/{pseudonym}/trail?limit=100");
    for stranger in ["Kadri, Mari’s sister", "Harbour Hospital"] {
        let stranger = Person::sign_in(marker, stranger).await;
        assert_eq!(stranger.ask(&path).await.status(), StatusCode::NOT_FOUND);
    }
    let page = mari.get(&path).await;
    let lines = page["lines"].as_array().unwrap();
    let lines: Vec<Read> = lines.iter().rev().map(|line| read(line, trust)).collect();
    let words: Vec<&str> = lines.iter().map(|one| one.words.as_str()).collect();
    let by_kalda = |one: &&Read| signer(one, trust) == Some("Kalda Family Doctors");
    assert_eq!(lines.iter().filter(by_kalda).count(), 3, "{words:#?}");
    assert!(words[0].starts_with("Dr Liis Kask, Kalda Family Doctors, read"), "{words:#?}");
    assert!(words[2].ends_with(" was named to act for you."), "{words:#?}");
    assert!(words[4].ends_with(" looked at your data for you."), "{words:#?}");
    let guardianship = &lines[2].line["details"];
    let told = serde_json::from_value::<medtrail_ledger::proof::Document>(guardianship.clone());
    let told: Value = serde_json::from_slice(&told.unwrap().bytes().unwrap()).unwrap();
    let document = &told["document"]["guardianship"];
    assert_eq!(document["subject"], json!(pseudonym), "{told:#}");
    assert_eq!(document["guardian"].as_str().unwrap().parse(), Ok(mari.address), "{told:#}");
    assert!(told["countersignature"].is_string(), "{told:#}");
}
