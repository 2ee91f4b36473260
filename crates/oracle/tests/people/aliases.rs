//! An address that a person sells under joins their own with both keys, once, whatever crashes in
//! between; they see what is reported about it, and nobody learns whose it is.

use crate::permits::{ANNA, KADRI, change, grant, told as worded};
use crate::support::{CLINIC, FAULTS, World, address_of, now_ms, pseudonym, sign, sign_digest};
use alloy_primitives::{Address, B256, Bytes};
use medtrail_ledger::binding::BindingDocumentError;
use medtrail_ledger::binding::alias::{self, AliasDetails, Language};
use medtrail_ledger::consents::ConsentEvent;
use medtrail_ledger::entry::subject_of;
use medtrail_ledger::schema::{digest, domain};
use medtrail_oracle::aliases::{ALIAS_MS_MAX, ALIASES_MAX, AliasError, Joining, OwnAlias};
use medtrail_oracle::bindings::BindingError;
use medtrail_oracle::erasure::{Erasing, Stage};
use medtrail_oracle::feed::{Feed, FeedItem};
use medtrail_oracle::notices::Wanted;
use medtrail_oracle::opener::Entry;
use medtrail_oracle::trail::{TrailPage, TrailQuery};
use medtrail_permit::documents::{Document, Erase};
use std::time::Duration;

/// Fresh addresses.
const ROSE: u8 = 61;
const LILY: u8 = 62;

fn until_s() -> u64 {
    now_ms() / 1000 + 3600
}

fn joining_as(keys: [u8; 2], own: u8, fresh: u8, expires_at_s: u64) -> Joining {
    let language = Language::En;
    let document = alias::document(address_of(own), address_of(fresh), expires_at_s, language);
    let [signature, countersignature] = keys.map(|seed| sign(seed, &document));
    Joining { alias: address_of(fresh), expires_at_s, language, signature, countersignature }
}

fn joining(own: u8, fresh: u8) -> Joining {
    joining_as([own, fresh], own, fresh, until_s())
}

async fn join(world: &World, own: u8, fresh: u8) -> Result<[u64; 2], AliasError> {
    world.service.join_alias(address_of(own), joining(own, fresh)).await
}

fn whole(world: &World, person: u8) -> Vec<Entry> {
    let query = TrailQuery { limit: 1000, ..TrailQuery::default() };
    world.service.whole_trail(subject_of(address_of(person)), &query).unwrap().entries
}

fn indexes(entries: &[Entry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.index).collect()
}

fn bindings(world: &World) -> Vec<Entry> {
    world.all().into_iter().filter(|entry| entry.report.kind == 11).collect()
}

fn names(entry: &Entry, who: u8) -> bool {
    let details = String::from_utf8_lossy(entry.details.as_deref().unwrap_or_default());
    details.to_lowercase().contains(&format!("{:x}", address_of(who)))
}

/// Both entries of the one alias, and nothing else of kind 11.
fn assert_joined(world: &World, own: u8, fresh: u8, entries: [u64; 2]) {
    let found = bindings(world);
    assert_eq!(indexes(&found), entries);
    for (entry, whose) in found.iter().zip([fresh, own]) {
        assert_eq!(entry.report.subject, subject_of(address_of(whose)));
        let details: AliasDetails =
            serde_json::from_slice(entry.details.as_deref().unwrap()).unwrap();
        let trust = world.service.trust();
        let of = domain(trust.chain_id, trust.registry);
        details.verify(&of, entry.report.timeMs / 1000).unwrap();
        assert_eq!(details.trails(), [fresh, own].map(|seed| subject_of(address_of(seed))));
        // Whoever guesses the other address must not see that they are right.
        let id = digest(&details.document, &of);
        assert!(![entry.report.permission, entry.report.eventId].contains(&id));
        assert_eq!(entry.report.permission, B256::ZERO);
    }
    assert_ne!(found[0].report.eventId, found[1].report.eventId);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_sees_what_is_reported_about_her_alias_and_nothing_moves() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    let (anna, rose) = (address_of(ANNA), address_of(ROSE));
    let mut seen = Vec::new();
    for (event, subject) in [(1, anna), (2, rose)] {
        let submission = world.report(CLINIC, subject_of(subject), event);
        seen.push(world.service.report(submission).await.unwrap().index);
    }
    let entries = join(&world, ANNA, ROSE).await.unwrap();
    assert_joined(&world, ANNA, ROSE, entries);
    assert_eq!(join(&world, ANNA, ROSE).await.unwrap(), entries, "with another document too");
    for event in 10..13 {
        // Nobody is told that it moved: it did not.
        let receipt = world.service.report(world.report(CLINIC, subject_of(rose), event)).await;
        seen.push(receipt.unwrap().index);
    }
    seen.extend(entries);
    seen.sort_unstable_by(|one, other| other.cmp(one));
    let trail = whole(&world, ANNA);
    assert_eq!(indexes(&trail), seen);
    assert!(trail.iter().filter(|entry| entry.report.kind == 11).all(|one| names(one, ROSE)));

    // By the alias's key its own part alone, and not whose it is.
    let its_own = whole(&world, ROSE);
    assert_eq!(its_own.len(), 5);
    assert!(its_own.iter().all(|entry| entry.report.subject == subject_of(rose)));
    assert!(its_own.iter().all(|entry| !names(entry, ANNA)));
    assert!(its_own.iter().any(|entry| entry.index == entries[0]), "the line itself stands there");
    // Whoever only acts for the person sees her own part, and not under what she sells.
    for (whose, other) in [(ANNA, ROSE), (ROSE, ANNA)] {
        let query = TrailQuery { limit: 1000, ..TrailQuery::default() };
        let page = world.service.trail_about(subject_of(address_of(whose)), &query).unwrap();
        assert_eq!(page.parts.len(), 1);
        assert!(page.entries.iter().all(|entry| !names(entry, other)));
    }
    assert_eq!(world.service.subject_now(subject_of(rose)), subject_of(rose));
    assert_eq!(world.service.may_see(anna, subject_of(rose)).unwrap(), None);
    assert_eq!(world.service.may_see(rose, subject_of(anna)).unwrap(), None);
    world.stop().await;

    let world = World::start(&folder);
    assert_eq!(indexes(&whole(&world, ANNA)), seen);
    let own = OwnAlias { alias: rose, entries: Some(entries) };
    assert_eq!(world.service.aliases(anna), [own]);
    assert_eq!(world.service.aliases(rose), []);
    world.stop().await;
}

/// The story: the answer was lost, and the phone sends the same again a day later.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_again_is_answered_alike_also_after_its_end_and_without_the_chain() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    let sent = joining(ANNA, ROSE);
    let anna = address_of(ANNA);
    let entries = world.service.join_alias(anna, sent.clone()).await.unwrap();
    world.stop().await;
    let world = World::start_at(&folder, || now_ms() + 2 * ALIAS_MS_MAX);
    world.chain.go(true);
    assert_eq!(world.service.join_alias(anna, sent.clone()).await.unwrap(), entries);
    // A fresh one with a document of yesterday does not join.
    world.chain.go(false);
    let late = world.service.join_alias(anna, joining(ANNA, LILY)).await;
    let is_late = |error: &_| matches!(error, BindingDocumentError::Expired { .. });
    assert!(matches!(&late, Err(AliasError::Document(error)) if is_late(error)), "{late:?}");
    assert_eq!(bindings(&world).len(), 2);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_both_keys_in_time_and_for_this_log_nothing_joins() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    let anna = address_of(ANNA);
    let zeros = Bytes::from([0; 65]);
    let elsewhere = {
        let document = alias::document(anna, address_of(ROSE), until_s(), Language::En);
        let trust = world.service.trust();
        let by = |seed| sign_digest(seed, digest(&document, &domain(1, trust.registry)));
        Joining { signature: by(ANNA), countersignature: by(ROSE), ..joining(ANNA, ROSE) }
    };
    let hostile = [
        joining_as([ANNA, ANNA], ANNA, ROSE, until_s()),
        joining_as([ROSE, ROSE], ANNA, ROSE, until_s()),
        joining_as([ROSE, ANNA], ANNA, ROSE, until_s()),
        joining_as([ANNA, KADRI], ANNA, ROSE, until_s()),
        joining_as([KADRI, ROSE], ANNA, ROSE, until_s()),
        Joining { signature: zeros.clone(), ..joining(ANNA, ROSE) },
        Joining { countersignature: zeros, ..joining(ANNA, ROSE) },
        // Words in one language are no words in the other.
        Joining { language: Language::Et, ..joining(ANNA, ROSE) },
        // What others signed joins them, not who brings it.
        joining(KADRI, ROSE),
        elsewhere,
        joining_as([ANNA, ROSE], ANNA, ROSE, now_ms() / 1000),
        joining_as([ANNA, ANNA], ANNA, ANNA, until_s()),
    ];
    for (place, hostile) in hostile.into_iter().enumerate() {
        let refused = world.service.join_alias(anna, hostile).await;
        assert!(matches!(refused, Err(AliasError::Document(_))), "{place} {refused:?}");
    }
    let far = joining_as([ANNA, ROSE], ANNA, ROSE, until_s() + ALIAS_MS_MAX / 1000);
    let refused = world.service.join_alias(anna, far).await;
    assert!(matches!(refused, Err(AliasError::Expiry)), "{refused:?}");
    assert_eq!((world.service.head().size, world.service.aliases(anna)), (0, vec![]));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_is_one_persons_and_nothing_but_an_alias() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    join(&world, ANNA, ROSE).await.unwrap();
    let size = world.service.head().size;
    let taken = join(&world, KADRI, ROSE).await;
    assert!(matches!(taken, Err(AliasError::Taken)), "{taken:?}");
    // No chain from either end, and no circle.
    for (own, fresh) in [(ROSE, LILY), (ROSE, ANNA)] {
        let refused = join(&world, own, fresh).await;
        assert!(matches!(refused, Err(AliasError::OfAlias)), "{own} {fresh} {refused:?}");
    }
    let refused = join(&world, KADRI, ANNA).await;
    assert!(matches!(refused, Err(AliasError::NotFresh)), "{refused:?}");
    assert_eq!(world.service.head().size, size);

    // Who has a pseudonym, or is about to, is no address to sell under.
    world.bind(pseudonym(1), KADRI, "one").await;
    world.issue(pseudonym(2), "two").await;
    let (id, document) = world.service.binding_for(address_of(LILY), "two").unwrap();
    for fresh in [KADRI, LILY] {
        let refused = join(&world, ANNA, fresh).await;
        assert!(matches!(refused, Err(AliasError::NotFresh)), "{refused:?}");
    }
    let signed = sign(LILY, &document);
    world.service.sign_binding(address_of(LILY), id, signed).await.unwrap();
    let refused = join(&world, ANNA, LILY).await;
    assert!(matches!(refused, Err(AliasError::NotFresh)), "{refused:?}");
    // Nor does an alias get one: the organisation would learn under what its patient sells.
    world.issue(pseudonym(3), "three").await;
    for code in ["three", "no such code"] {
        let refused = world.service.binding_for(address_of(ROSE), code);
        assert!(matches!(refused, Err(BindingError::Alias)), "{refused:?}");
    }
    world.service.binding_for(address_of(ANNA), "three").unwrap();
    world.stop().await;

    // An hour later nobody can use that code any more.
    let world = World::start_at(&folder, || now_ms() + 3_600_001);
    let sent = joining_as([ANNA, LILY], ANNA, LILY, until_s() + 7200);
    world.service.join_alias(address_of(ANNA), sent).await.unwrap();
    let old = world.service.countersign(address_of(CLINIC), id, sign(CLINIC, &document)).await;
    assert!(matches!(old, Err(BindingError::Unknown)), "{old:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_person_has_so_many_aliases_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    for fresh in 0..ALIASES_MAX as u8 {
        join(&world, ANNA, 100 + fresh).await.unwrap();
    }
    let refused = join(&world, ANNA, ROSE).await;
    assert!(matches!(refused, Err(AliasError::TooMany)), "{refused:?}");
    let again = join(&world, ANNA, 100).await.unwrap();
    assert_eq!(again, [0, 1]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_control_was_taken_from_joins_nothing() {
    for moved in [ANNA, ROSE] {
        let folder = tempfile::tempdir().unwrap();
        let world = World::start(&folder);
        world.chain.go(true);
        let refused = join(&world, ANNA, ROSE).await;
        assert!(matches!(refused, Err(AliasError::ChainUnreadable(_))), "{refused:?}");
        world.chain.go(false);
        let event =
            ConsentEvent::ControlMoved { controller: address_of(KADRI), at_s: 1_700_000_000 };
        world.chain.record(address_of(moved), event, true);
        let refused = join(&world, ANNA, ROSE).await;
        assert!(matches!(refused, Err(AliasError::ControlMoved)), "{refused:?}");
        assert_eq!(world.service.head().size, 0);
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_that_was_cut_short_anywhere_is_completed_once() {
    for fault in FAULTS {
        for (place, restarts) in (0..5).flat_map(|place| [(place, false), (place, true)]) {
            let folder = tempfile::tempdir().unwrap();
            let mut world = World::start(&folder);
            match place {
                // That both keys signed; the first entry; the second; that both are entered.
                0 => world.book.faults.fail_after(0, fault),
                1 => world.disk.faults.fail_after(0, fault),
                2 => world.disk.faults.fail_after(1, fault),
                3 => world.book.faults.fail_after(1, fault),
                _ => {}
            }
            let sent = joining(ANNA, ROSE);
            let first = world.service.join_alias(address_of(ANNA), sent.clone()).await;
            assert_eq!(first.is_err(), place == 0 || place == 3, "{fault:?} {place} {first:?}");
            assert!(!world.disk.faults.is_armed() && !world.book.faults.is_armed());
            if restarts {
                world.stop().await;
                world = World::start(&folder);
            }
            let entries = world.service.join_alias(address_of(ANNA), sent).await.unwrap();
            assert_joined(&world, ANNA, ROSE, entries);
            world.stop().await;
        }
    }
}

/// Nobody comes again after the crash: the log completes what both keys signed.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_completes_an_alias_that_both_keys_signed() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    world.book.faults.fail_after(0, crate::support::Fault::FailsButPersists);
    join(&world, ANNA, ROSE).await.unwrap_err();
    assert!(bindings(&world).is_empty());
    world.stop().await;
    let world = World::start(&folder);
    for _ in 0..200 {
        if let [OwnAlias { entries: Some(entries), .. }] =
            world.service.aliases(address_of(ANNA))[..]
        {
            assert_joined(&world, ANNA, ROSE, entries);
            world.stop().await;
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the alias was not completed");
}

async fn told(feed: &mut Feed) -> Entry {
    loop {
        let next = tokio::time::timeout(Duration::from_secs(10), feed.next());
        match next.await.expect("the feed tells of it") {
            Some(FeedItem::Entry(entry)) => return *entry,
            Some(_) => {}
            None => panic!("the feed ended"),
        }
    }
}

/// The story: Anna's page stands open while she joins the address in another window. Kadri, who acts
/// for her, has hers open too, and so has whoever stole the new key.
#[tokio::test(flavor = "multi_thread")]
async fn open_feeds_tell_the_person_all_and_nobody_else_of_the_alias() {
    for fault in FAULTS {
        let folder = tempfile::tempdir().unwrap();
        let world = World::start(&folder);
        let (anna, rose) = (subject_of(address_of(ANNA)), subject_of(address_of(ROSE)));
        let mut own = world.service.whole_feed(anna, None).unwrap();
        let mut acting = world.service.feed_about(anna);
        let mut thief = world.service.whole_feed(rose, None).unwrap();
        world.book.faults.fail_after(0, fault);
        join(&world, ANNA, ROSE).await.unwrap_err();
        let entries = join(&world, ANNA, ROSE).await.unwrap();
        let sold = world.service.report(world.report(CLINIC, rose, 1)).await.unwrap().index;
        let seen = world.service.report(world.report(CLINIC, anna, 2)).await.unwrap().index;
        for index in [entries[0], entries[1], sold, seen] {
            let entry = told(&mut own).await;
            assert_eq!(entry.index, index, "{fault:?}");
            assert!(entry.report.kind != 11 || names(&entry, ROSE));
        }
        for index in [entries[1], seen] {
            let entry = told(&mut acting).await;
            assert_eq!(entry.index, index, "{fault:?}");
            assert!(!names(&entry, ROSE));
        }
        for index in [entries[0], sold] {
            let entry = told(&mut thief).await;
            assert_eq!(entry.index, index, "{fault:?}");
            assert!(!names(&entry, ANNA));
        }
        // Whoever comes back reads the same of the past.
        let mut again = world.service.whole_feed(anna, Some(entries[1])).unwrap();
        assert_eq!(told(&mut again).await.index, sold);
        let service = world.service.clone();
        let reading = move || service.feed_about_after(anna, 0).unwrap();
        let mut acting = tokio::task::spawn_blocking(reading).await.unwrap();
        assert_eq!(told(&mut acting).await.index, entries[1]);
        assert_eq!(told(&mut acting).await.index, seen);
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn her_channels_tell_of_the_alias_and_its_own_too() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    let hook =
        |name: &str| Wanted { email: None, webhook: Some(format!("https://{name}.example/")) };
    let (anna, rose) = (address_of(ANNA), address_of(ROSE));
    world.service.set_channels(anna, hook("anna")).await.unwrap();
    world.service.set_channels(rose, hook("rose")).await.unwrap();
    join(&world, ANNA, ROSE).await.unwrap();
    world.service.report(world.report(CLINIC, subject_of(rose), 1)).await.unwrap();
    let told = |whose: Address| {
        let notices = world.all().into_iter().filter(move |entry| {
            entry.report.kind == 17 && entry.report.subject == subject_of(whose)
        });
        notices.count()
    };
    // Hers: both lines that join, and the report. The alias's: its line, and the report.
    for _ in 0..400 {
        if (told(anna), told(rose)) == (3, 2) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert_eq!((told(anna), told(rose)), (3, 2));
    // Of which lines they were, nobody but her is shown: who reports about the alias knows its numbers.
    let notices = |page: TrailPage| {
        let of = page.entries.into_iter().filter(|entry| entry.report.kind == 17);
        of.map(|entry| entry.details.is_some()).collect::<Vec<_>>()
    };
    let all = TrailQuery { limit: 100, ..TrailQuery::default() };
    let others = world.service.trail_about(subject_of(anna), &all).unwrap();
    assert_eq!(notices(others), [false; 3]);
    let hers = world.service.whole_trail(subject_of(anna), &all).unwrap();
    assert_eq!(notices(hers), [true; 5]);
    let its = world.service.whole_trail(subject_of(rose), &all).unwrap();
    assert_eq!(notices(its), [true; 2]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_her_own_address_permits_permits_nothing_of_the_alias() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    join(&world, ANNA, ROSE).await.unwrap();
    world.give(ANNA, grant()).await;
    let rose = subject_of(address_of(ROSE));
    let own = world.change(&change(1)).await;
    let sold = world.change(&crate::permits::Change { subject: rose, ..change(2) }).await;
    world.until_judged(world.service.head().size).await;
    let refused = |who| world.refusals(address_of(who));
    assert!(refused(ANNA).is_empty(), "{own}");
    let told = &refused(ROSE)[0];
    assert_eq!(
        (told["index"].as_u64(), told["reason"].as_str()),
        (Some(sold), Some("noPermission"))
    );
    world.stop().await;
}

async fn erase_everything(world: &World, seed: u8) {
    let whose = address_of(seed);
    let service = world.service.clone();
    let asked = tokio::task::spawn_blocking(move || service.erasures(whose)).await.unwrap();
    world
        .give(
            seed,
            worded(Document::Erase(Erase {
                statement: String::new(),
                subject: whose,
                log: world.log,
                upToOrdinal: asked.unwrap().lines,
                expiresAt: 4_000_000_000,
            })),
        )
        .await;
    for _ in 0..400 {
        let service = world.service.clone();
        let asked = tokio::task::spawn_blocking(move || service.erasures(whose)).await.unwrap();
        if matches!(asked.unwrap().erasures[0].stage, Stage::Done(_)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("it is not done");
}

/// Each address is erased by its own key: seeing is no right to destroy, and what is told of an
/// erasure is kept for ever, so it must not name the other address.
#[tokio::test(flavor = "multi_thread")]
async fn what_her_own_address_has_erased_leaves_the_alias_to_its_key_and_names_it_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let erasing = Erasing { wait_ms: 0, keep_ms: 0, ..Erasing::default() };
    let world = World::start_erasing(&folder, now_ms, &[], erasing);
    let (anna, rose) = (subject_of(address_of(ANNA)), subject_of(address_of(ROSE)));
    for (event, subject) in [(1, anna), (2, rose)] {
        world.service.report(world.report(CLINIC, subject, event)).await.unwrap();
    }
    let entries = join(&world, ANNA, ROSE).await.unwrap();
    erase_everything(&world, ANNA).await;
    let left = whole(&world, ANNA);
    assert!(left.iter().all(|entry| entry.report.subject == rose || entry.report.kind == 10));
    assert!(left.iter().any(|entry| entry.index == entries[0] && names(entry, ANNA)));
    assert_eq!(left.iter().filter(|entry| entry.report.subject == rose).count(), 2);
    let told = world.details_of(10);
    assert!(!told.is_empty() && told.iter().all(|entry| !names(entry, ROSE)));

    erase_everything(&world, ROSE).await;
    let left = whole(&world, ANNA);
    assert!(left.iter().all(|entry| entry.report.kind == 10), "{left:?}");
    // Nothing that was kept of the two in the log names both any more.
    let told = world.details_of(10);
    assert!(told.iter().all(|entry| !(names(entry, ANNA) && names(entry, ROSE))));
    world.stop().await;
}

impl World {
    /// Every entry of a kind that opens.
    fn details_of(&self, kind: u8) -> Vec<Entry> {
        let all = (0..self.service.head().size).filter_map(|index| self.service.entry(index).ok());
        all.filter(|entry| entry.report.kind == kind).collect()
    }
}
