//! Sources: one that dies is told once and so is its return, other bytes are not the same data, who
//! owns it moves it and nobody else, no crash tells anything twice, and no dead host holds up others.

use crate::permits::ANNA;
use crate::support::{CLINIC, FAULTS, World, address_of, now_ms};
use alloy_primitives::{Address, B256, keccak256};
use medtrail_keys::reporter::ReporterKey;
use medtrail_ledger::entry::{details_hash, event_id, subject_of};
use medtrail_ledger::proof::Evidence;
use medtrail_ledger::schema::{Report, domain};
use medtrail_ledger::source::{
    Elsewhere, Fetcher, Registered, Relocated, Told, Unanswered, Whereabouts,
};
use medtrail_oracle::inquiries::Whose;
use medtrail_oracle::intake::{ReportError, Submission};
use medtrail_oracle::organisations::NewOrganisation;
use medtrail_oracle::sources::{SourceRefusal, SourceView, Sources};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const BYTES: B256 = B256::repeat_byte(0x5a);
const DAY_MS: u64 = 24 * 3_600_000;

/// What each URL answers now, and which were asked.
#[derive(Default)]
struct Places {
    answers: Mutex<HashMap<String, Result<B256, Unanswered>>>,
    asked: Mutex<Vec<String>>,
}

impl Places {
    fn set(&self, url: &str, answer: Result<B256, Unanswered>) {
        self.answers.lock().unwrap().insert(url.to_owned(), answer);
    }

    fn times(&self, url: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| *asked == url).count()
    }
}

impl Fetcher for Places {
    fn fetch(&self, url: &str) -> Result<B256, Unanswered> {
        self.asked.lock().unwrap().push(url.to_owned());
        if url.contains("slow.example") {
            std::thread::sleep(Duration::from_secs(3));
            return Err(Unanswered::Late);
        }
        let known = self.answers.lock().unwrap().get(url).copied();
        known.unwrap_or(Err(Unanswered::Unreached))
    }
}

fn watching(places: &Arc<Places>, every_ms: u64) -> Sources {
    Sources { fetcher: places.clone(), every_ms, lost_after: 3 }
}

fn url(text: &str) -> Whereabouts {
    Whereabouts::Url(text.to_owned())
}

/// What the key `seed` signs about `person`.
fn signed(world: &World, seed: u8, person: u8, permission: B256, told: &Told) -> Submission {
    let key = ReporterKey::from_bytes(&[seed; 32]).unwrap();
    let details = serde_json::to_vec(told).unwrap();
    let report = Report {
        log: world.log,
        eventId: event_id(key.address(), &details),
        kind: 7,
        timeMs: 1_767_605_400_000,
        subject: subject_of(address_of(person)),
        actor: key.address(),
        record: keccak256("readings"),
        toVersion: BYTES,
        permission,
        details: details_hash(&details),
        ..Report::default()
    };
    let signature = key.sign(&report, &domain(4242, Address::repeat_byte(0x22)));
    Submission { report, evidence: Evidence::Signed(signature), details: Some(details) }
}

fn registered(world: &World, seed: u8, person: u8, at: &str) -> Submission {
    let told = Registered::new("90 days of readings".into(), "Tide Sensors".into(), url(at));
    signed(world, seed, person, B256::ZERO, &Told::Registered(told))
}

fn moved(world: &World, seed: u8, person: u8, id: B256, from: &str, to: &str) -> Submission {
    let told = Relocated::new(id, url(from), url(to), "Harbour Hospital".into());
    signed(world, seed, person, id, &Told::Moved(told))
}

impl World {
    fn sources_of(&self, person: u8) -> Vec<SourceView> {
        self.service.sources(Whose::Person(address_of(person)), None, 100).unwrap().0
    }

    /// The one source of a person, once it stands so.
    async fn until_source(&self, person: u8, state: &str) -> SourceView {
        let mut views = Vec::new();
        for _ in 0..400 {
            views = self.sources_of(person);
            if let [view] = &views[..]
                && view.state() == state
                && view.row.owed.is_none()
                && (state != "here" || view.row.probed_ms.is_some())
            {
                return view.clone();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("not {state}: {views:?}");
    }

    async fn laboratory_signs_with(&self, seed: u8) {
        let new = NewOrganisation {
            name: "Laboratory".into(),
            domain: "lab.example".into(),
            register_number: None,
            address: None,
        };
        let invite = self.service.add_organisation(new).await.unwrap();
        self.service.enrol(&invite.code, address_of(seed)).await.unwrap();
    }

    fn source_acts(&self) -> Vec<String> {
        let details = self.details_of_kind(7).into_iter();
        details.map(|details| details["act"].as_str().unwrap_or("-").to_owned()).collect()
    }
}

const A: &str = "https://tide.example/readings";
const B: &str = "https://harbour.example/readings";

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_dies_is_told_once_and_so_is_its_return() {
    let (folder, places) = (tempfile::tempdir().unwrap(), Arc::<Places>::default());
    let world = World::start_watching(&folder, now_ms, watching(&places, 60));
    places.set(A, Ok(BYTES));
    let submission = registered(&world, CLINIC, ANNA, A);
    let noted = world.service.tell_source(submission.clone()).await.unwrap();
    assert!(noted.is_new);
    let again = world.service.tell_source(submission).await.unwrap();
    assert_eq!(
        (again.id, again.receipt.index, again.is_new),
        (noted.id, noted.receipt.index, false)
    );
    let seen = world.until_source(ANNA, "here").await;
    assert_eq!((seen.row.id, seen.at, seen.keeper.as_str()), (noted.id, url(A), "Tide Sensors"));

    places.set(A, Err(Unanswered::Unreached));
    world.until_source(ANNA, "stale").await;
    let lost = world.until_source(ANNA, "lost").await;
    assert_eq!(lost.kept, Elsewhere::Nowhere);
    // However long it stays away.
    let times = places.times(A);
    while places.times(A) < times + 4 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(world.source_acts(), ["registered", "lost"]);
    places.set(A, Ok(BYTES));
    world.until_source(ANNA, "here").await;
    assert_eq!(world.source_acts(), ["registered", "lost", "back"]);
    let told = &world.details_of_kind(7)[1];
    assert_eq!((&told["tries"], &told["kept"]), (&3.into(), &"nowhere".into()));
    assert_eq!(told["source"]["title"], "90 days of readings");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_bytes_are_not_the_same_data_and_another_place_may_still_have_it() {
    let (folder, places) = (tempfile::tempdir().unwrap(), Arc::<Places>::default());
    let world = World::start_watching(&folder, now_ms, watching(&places, 60));
    places.set(A, Ok(B256::repeat_byte(1)));
    places.set(B, Ok(BYTES));
    world.service.tell_source(registered(&world, ANNA, ANNA, B)).await.unwrap();
    world.until_source(ANNA, "here").await;
    world.service.tell_source(registered(&world, CLINIC, ANNA, A)).await.unwrap();
    let mut found = None;
    for _ in 0..400 {
        found = world.sources_of(ANNA).into_iter().find(|view| view.state() == "changed");
        if found.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(found.unwrap().kept, Elsewhere::Elsewhere);
    assert_eq!(world.source_acts(), ["registered", "registered", "changed"]);
    places.set(A, Ok(BYTES));
    for _ in 0..400 {
        if world.sources_of(ANNA).iter().all(|view| view.state() == "here") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(world.source_acts(), ["registered", "registered", "changed", "back"]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn its_owner_and_the_person_move_it_and_a_stranger_does_not() {
    const STRANGER: u8 = 77;
    let (folder, places) = (tempfile::tempdir().unwrap(), Arc::<Places>::default());
    let world = World::start_watching(&folder, now_ms, watching(&places, 60));
    places.set(B, Ok(BYTES));
    let noted = world.service.tell_source(registered(&world, CLINIC, ANNA, A)).await.unwrap();
    world.until_source(ANNA, "lost").await;

    // Nobody else's key, whomever it names.
    for person in [ANNA, STRANGER] {
        let forged = moved(&world, STRANGER, person, noted.id, A, B);
        let refused = world.service.tell_source(forged).await.unwrap_err();
        let is_refused = match person {
            ANNA => matches!(refused, SourceRefusal::Report { field: "subject", .. }),
            _ => matches!(refused, SourceRefusal::NoSuchSource),
        };
        assert!(is_refused, "{refused}");
    }
    // From where it is not; by another kind of report; with other bytes.
    let wrong = moved(&world, ANNA, ANNA, noted.id, B, A);
    let refused = world.service.tell_source(wrong).await.unwrap_err();
    assert!(matches!(refused, SourceRefusal::Elsewhere), "{refused}");
    // Another organisation that signs it at the other door says so and moves nothing.
    world.laboratory_signs_with(STRANGER).await;
    let taken = world.service.report(moved(&world, STRANGER, ANNA, noted.id, A, B)).await.unwrap();
    assert!(taken.index > noted.receipt.index);
    let refused =
        world.service.tell_source(moved(&world, STRANGER, ANNA, noted.id, A, "https://x.example/"));
    let refused = refused.await.unwrap_err();
    assert!(matches!(refused, SourceRefusal::NoSuchSource), "{refused}");
    assert_eq!(world.until_source(ANNA, "lost").await.at, url(A));

    let told = moved(&world, ANNA, ANNA, noted.id, A, B);
    let done = world.service.tell_source(told.clone()).await.unwrap();
    assert_eq!(done.id, noted.id);
    let here = world.until_source(ANNA, "here").await;
    assert_eq!((here.at, here.keeper.as_str()), (url(B), "Harbour Hospital"));
    assert!(!world.service.tell_source(told).await.unwrap().is_new);
    // And back, by who registered it.
    let back = moved(&world, CLINIC, ANNA, noted.id, B, A);
    world.service.tell_source(back).await.unwrap();
    let moved_back = world.until_source(ANNA, "stale").await;
    assert_eq!(moved_back.at, url(A));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_log_says_that_one_is_lost() {
    let (folder, places) = (tempfile::tempdir().unwrap(), Arc::<Places>::default());
    let world = World::start_watching(&folder, now_ms, watching(&places, 60));
    places.set(A, Ok(BYTES));
    let noted = world.service.tell_source(registered(&world, CLINIC, ANNA, A)).await.unwrap();
    let lie = format!(
        r#"{{"version":"medtrail/source-v1","act":"lost","source":{{"id":"{0}","after":{{"index":{1},"commitment":"{0}"}},"title":"a","keeper":"b"}},"sinceMs":1,"tries":3,"kept":"nowhere"}}"#,
        noted.id, noted.receipt.index
    );
    for lie in [lie.clone(), lie.replace("source-v1", "source-v2"), lie.replace("lost", "back")] {
        let key = ReporterKey::from_bytes(&[CLINIC; 32]).unwrap();
        let honest = registered(&world, CLINIC, ANNA, A).report;
        let details = lie.into_bytes();
        let report = Report {
            eventId: event_id(key.address(), &details),
            details: details_hash(&details),
            permission: noted.id,
            ..honest
        };
        let signature = key.sign(&report, &domain(4242, Address::repeat_byte(0x22)));
        let submission =
            Submission { report, evidence: Evidence::Signed(signature), details: Some(details) };
        let refused = world.service.report(submission.clone()).await.unwrap_err();
        assert!(matches!(refused, ReportError::Word(_)), "{refused}");
        let refused = world.service.tell_source(submission).await.unwrap_err();
        assert!(matches!(refused, SourceRefusal::Form), "{refused}");
    }
    world.until_source(ANNA, "here").await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_save_fails_between_asking_and_entry_it_is_told_once() {
    for fault in FAULTS {
        for (passing, of_the_log) in [(0, true), (0, false), (1, false), (2, false), (3, false)] {
            let (folder, places) = (tempfile::tempdir().unwrap(), Arc::<Places>::default());
            let world = World::start_watching(&folder, now_ms, watching(&places, 40));
            world.service.tell_source(registered(&world, CLINIC, ANNA, A)).await.unwrap();
            world.until_source(ANNA, "stale").await;
            let faults = if of_the_log { &world.disk.faults } else { &world.book.faults };
            faults.fail_after(passing, fault);
            tokio::time::sleep(Duration::from_millis(400)).await;
            world.stop().await;
            let world = World::start_watching(&folder, now_ms, watching(&places, 40));
            world.until_source(ANNA, "lost").await;
            assert_eq!(
                world.source_acts(),
                ["registered", "lost"],
                "{fault:?} {passing} {of_the_log}"
            );
            world.stop().await;
        }
    }
}

/// A clock that stands still between two looks of the tests.
static CLOCK_MS: AtomicU64 = AtomicU64::new(0);

fn set_clock() -> u64 {
    CLOCK_MS.load(Ordering::SeqCst)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_forgets_no_clock() {
    CLOCK_MS.store(now_ms(), Ordering::SeqCst);
    let (folder, places) = (tempfile::tempdir().unwrap(), Arc::<Places>::default());
    places.set(A, Ok(BYTES));
    let world = World::start_watching(&folder, set_clock, watching(&places, DAY_MS));
    world.service.tell_source(registered(&world, CLINIC, ANNA, A)).await.unwrap();
    let seen = world.until_source(ANNA, "here").await;
    assert_eq!(seen.row.due_ms, set_clock() + DAY_MS);
    world.stop().await;
    CLOCK_MS.fetch_add(DAY_MS - 1, Ordering::SeqCst);
    let world = World::start_watching(&folder, set_clock, watching(&places, DAY_MS));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(places.times(A), 1);
    CLOCK_MS.fetch_add(1, Ordering::SeqCst);
    for _ in 0..200 {
        if places.times(A) == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(places.times(A), 2);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_host_holds_up_nobody_else() {
    let (folder, places) = (tempfile::tempdir().unwrap(), Arc::<Places>::default());
    let world = World::start_watching(&folder, now_ms, watching(&places, DAY_MS));
    for number in 0..40 {
        let dead = format!("https://slow.example/{number}");
        world.service.tell_source(registered(&world, CLINIC, ANNA, &dead)).await.unwrap();
    }
    for number in 0..20 {
        let alive = format!("https://alive-{number}.example/");
        places.set(&alive, Ok(BYTES));
        world.service.tell_source(registered(&world, CLINIC, ANNA, &alive)).await.unwrap();
    }
    let mut answered = 0;
    for _ in 0..120 {
        let is_asked = |view: &&SourceView| view.row.probed_ms.is_some() && view.row.failed == 0;
        answered = world.sources_of(ANNA).iter().filter(is_asked).count();
        if answered == 20 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert_eq!(answered, 20, "in three seconds, while the dead ones wait one after the other");
    assert!(places.asked.lock().unwrap().iter().filter(|url| url.contains("slow")).count() <= 3);
    world.stop().await;
}
