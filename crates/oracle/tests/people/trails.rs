use crate::support::{CLINIC, World, address_of, pseudonym};
use alloy_primitives::{Address, B256, keccak256};
use medtrail_ledger::entry::{Kind, commitment, subject_of};
use medtrail_oracle::opener::{Entry, EntryError};
use medtrail_oracle::trail::TrailQuery;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

const ANNA: u8 = 21;
const BERTA: u8 = 22;

/// Some of everybody's, filed and not, with a pseudonym of Anna's that was bound on the way.
async fn filled(world: &World) {
    let subjects =
        [pseudonym(1), pseudonym(2), subject_of(address_of(ANNA)), subject_of(address_of(BERTA))];
    for event in 0..260u64 {
        if event == 120 {
            world.bind(pseudonym(1), ANNA, "aaaa-bbbb-cccc").await;
            world.wait_until_filed().await;
        }
        let first = usize::from(event >= 120);
        let subject = subjects[first + (event as usize * 7) % (subjects.len() - first)];
        let kind = [1, 2, 3, 15][event as usize % 4];
        let sent = world.report_of_kind(CLINIC, subject, event, kind);
        world.service.report(sent).await.unwrap();
    }
}

/// What the trail must be: every entry of the log about one of these subjects, newest first.
fn expected(all: &[Entry], parts: &[B256], fits: impl Fn(&Entry) -> bool) -> Vec<Entry> {
    let own = all.iter().filter(|entry| parts.contains(&entry.report.subject));
    own.filter(|entry| fits(entry)).rev().cloned().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_in_pages_is_the_whole_trail_whatever_the_filter_and_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    filled(&world).await;
    assert!(world.service.filed().unwrap() > 0);
    // No refusal comes any more.
    world.until_judged(1_000).await;
    let all = world.all();
    let people = [
        (ANNA, vec![subject_of(address_of(ANNA)), pseudonym(1)]),
        (BERTA, vec![subject_of(address_of(BERTA))]),
    ];
    let span = 1_767_605_400_000..1_767_605_400_300u64;
    let strategy = (
        0..people.len(),
        1..40usize,
        prop::option::of(span.clone()),
        prop::option::of(span),
        prop::collection::vec(prop_oneof![Just(1u8), Just(2), Just(3), Just(11), Just(15)], 0..3),
        prop::option::of(0..4u8),
        prop::option::of(any::<bool>()),
        prop::option::of(0..300u64),
    );
    let mut runner = TestRunner::new(Config::with_cases(60));
    tokio::task::block_in_place(|| {
        runner
            .run(&strategy, |(who, limit, from_ms, until_ms, kinds, record, by_clinic, before)| {
                let (person, parts) = &people[who];
                let actor =
                    by_clinic.map(|is| if is { address_of(CLINIC) } else { world.operator });
                let record = record.map(|number| keccak256([number]));
                let query = TrailQuery {
                    before,
                    from_ms,
                    until_ms,
                    kinds: kinds.iter().map(|kind| Kind::from_number(*kind)).collect(),
                    actor,
                    record,
                    limit,
                };
                let walked = world.walk(address_of(*person), &query);
                let wanted = expected(&all, parts, |entry| {
                    let report = &entry.report;
                    before.is_none_or(|before| entry.index < before)
                        && from_ms.is_none_or(|from| from <= report.timeMs)
                        && until_ms.is_none_or(|until| report.timeMs < until)
                        && (kinds.is_empty() || kinds.contains(&report.kind))
                        && actor.is_none_or(|actor| report.actor == actor)
                        && record.is_none_or(|record| report.record == record)
                });
                prop_assert_eq!(walked, wanted);
                Ok(())
            })
            .unwrap();
    });
    let page = world.service.trail(address_of(ANNA), &TrailQuery::default()).unwrap();
    assert_eq!(page.parts.len(), 2);
    assert_eq!(
        (page.parts[0].organisation, page.parts[1].organisation),
        (None, Some(address_of(CLINIC)))
    );
    for part in page.parts {
        let own = expected(&all, &[part.subject], |_| true);
        assert_eq!(part.lines, own.len() as u64);
        let last = own.first().map(|entry| commitment(&entry.report, &entry.place));
        assert_eq!(part.last, last);
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_in_the_trail_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..6u8 {
        let service = world.service.clone();
        let person = 30 + writer;
        let reports: Vec<_> = (0..60u64)
            .map(|event| {
                let event = u64::from(writer) * 1000 + event;
                world.report(CLINIC, subject_of(address_of(person)), event)
            })
            .collect();
        writers.spawn(async move {
            for (count, report) in (1..).zip(reports) {
                let receipt = service.report(report).await.unwrap();
                let (service, person) = (service.clone(), address_of(person));
                let query = TrailQuery { limit: 3, ..TrailQuery::default() };
                let look = move || service.trail(person, &query).unwrap();
                let page = tokio::task::spawn_blocking(look).await.unwrap();
                assert_eq!(page.entries[0].index, receipt.index);
                assert_eq!(page.parts[0].lines, count);
                let ordinals: Vec<u64> =
                    page.entries.iter().map(|entry| entry.place.ordinal).collect();
                let expected: Vec<u64> = (1..=count).rev().take(3).collect();
                assert_eq!(ordinals, expected);
            }
        });
    }
    writers.join_all().await;
    world.stop().await;
    // And after a restart, before anything new comes.
    let world = World::start(&folder);
    assert_eq!(world.whole(address_of(30)).len(), 60);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_never_see_each_other_s_and_an_outsider_learns_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    filled(&world).await;
    let (anna, berta) = (address_of(ANNA), address_of(BERTA));
    let (of_anna, of_berta) = (world.whole(anna), world.whole(berta));
    assert!(of_anna.len() > 20 && of_berta.len() > 20);
    assert!(of_anna.iter().all(|entry| !of_berta.contains(entry)));
    let stranger = Address::repeat_byte(0x77);
    assert!(world.whole(stranger).is_empty());
    let absent = world.service.head().size + 5;
    for entry in &of_anna {
        let read = world.service.entry_for(anna, entry.index).unwrap();
        assert_eq!(read, *entry);
        for other in [berta, stranger, world.operator] {
            assert!(!world.service.may_read(other, entry));
            let told = world.service.entry_for(other, entry.index);
            assert!(matches!(told, Err(EntryError::Hidden(index)) if index == entry.index));
            let told = world.service.entry_for(other, absent);
            assert!(matches!(told, Err(EntryError::Hidden(index)) if index == absent));
        }
        let is_its = entry.report.actor == address_of(CLINIC);
        assert_eq!(world.service.may_read(address_of(CLINIC), entry), is_its);
    }
    // The pseudonym itself is nobody's address: its trail is read by its person only.
    let foreign = of_anna.iter().find(|entry| entry.report.subject == pseudonym(1)).unwrap();
    world.service.entry_for(berta, foreign.index).unwrap_err();
    world.stop().await;
}
