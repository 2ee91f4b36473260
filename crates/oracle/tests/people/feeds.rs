use crate::support::{CLINIC, World, address_of, pseudonym};
use medtrail_ledger::entry::subject_of;
use medtrail_oracle::feed::{Feed, FeedItem, MISSED_ENTRIES_MAX};
use medtrail_oracle::trail::TrailQuery;
use std::time::Duration;

const ANNA: u8 = 21;
const BERTA: u8 = 22;

async fn next(feed: &mut Feed) -> Option<FeedItem> {
    tokio::time::timeout(Duration::from_secs(10), feed.next()).await.expect("nothing comes")
}

/// The story: a phone goes through tunnels. It keeps the last index it saw, and comes back with
/// it, while everybody writes. It sees each of its own entries once, in order, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_comes_and_goes_sees_each_entry_once_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    let anna = subject_of(address_of(ANNA));
    world.bind(pseudonym(1), ANNA, "code").await;
    let begun = world.service.head().size;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..6u64 {
        let service = world.service.clone();
        let subjects = [anna, subject_of(address_of(BERTA)), pseudonym(3)];
        let reports: Vec<_> = (0..120)
            .map(|n| world.report(CLINIC, subjects[n as usize % 3], writer * 1000 + n))
            .collect();
        writers.spawn(async move {
            for report in reports {
                service.report(report).await.unwrap();
            }
        });
    }
    let mut seen = vec![begun - 1];
    let wanted = 6 * 40;
    let mut turn = 0;
    while seen.len() <= wanted {
        turn += 1;
        let (service, last) = (world.service.clone(), *seen.last().unwrap());
        let feed = move || service.feed_after(address_of(ANNA), last).unwrap();
        let mut feed = tokio::task::spawn_blocking(feed).await.unwrap();
        for _ in 0..turn % 13 + 1 {
            if seen.len() > wanted {
                break;
            }
            // Dropped half-way now and then, as a server does that has something else to send.
            while tokio::time::timeout(Duration::from_micros(turn % 7 * 50), async {
                match feed.next().await {
                    Some(FeedItem::Entry(entry)) => {
                        assert_eq!(entry.report.subject, anna);
                        seen.push(entry.index);
                    }
                    other => panic!("{other:?}"),
                }
            })
            .await
            .is_err()
            {}
        }
    }
    writers.join_all().await;
    let mut expected: Vec<u64> =
        world.whole(address_of(ANNA)).iter().map(|entry| entry.index).collect();
    expected.reverse();
    expected.retain(|index| *index >= begun - 1);
    assert_eq!(seen, expected);
    world.stop().await;
}

/// The story: while the past is read, something happens. It is in what is to come.
#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_comes_while_the_past_is_read_comes_once() {
    let folder = tempfile::tempdir().unwrap();
    let anna = subject_of(address_of(ANNA));
    let world = World::start(&folder);
    for event in 0..3 {
        world.service.report(world.report(CLINIC, anna, event)).await.unwrap();
    }
    world.wait_until_filed().await;
    world.stop().await;
    let world = World::start(&folder);
    let (service, report) = (world.service.clone(), world.report(CLINIC, anna, 9));
    let runtime = tokio::runtime::Handle::current();
    *world.disk.meanwhile.lock().unwrap() = Some(Box::new(move || {
        runtime.block_on(service.report(report)).unwrap();
        // Whoever asks for the trail makes the memory of listeners take the entry in.
        let page = service.trail(address_of(ANNA), &TrailQuery::default()).unwrap();
        assert_eq!(page.parts[0].lines, 4);
    }));
    let service = world.service.clone();
    let opening = move || service.feed_after(address_of(ANNA), 0).unwrap();
    let mut feed = tokio::task::spawn_blocking(opening).await.unwrap();
    assert_eq!(world.service.head().size, 4);
    for index in 1..4 {
        let Some(FeedItem::Entry(entry)) = next(&mut feed).await else { panic!("no entry") };
        assert_eq!(entry.index, index);
    }
    let nothing = tokio::time::timeout(Duration::from_millis(300), feed.next()).await;
    assert!(nothing.is_err(), "{nothing:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_lags_is_ended_after_what_it_was_sent_and_goes_on_from_there() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    let anna = subject_of(address_of(ANNA));
    let mut feed = world.service.feed(address_of(ANNA));
    let reports = (0..900).map(|event| world.report(CLINIC, anna, event)).collect();
    world.service.reports(reports).await.into_iter().for_each(|one| {
        one.unwrap();
    });
    let mut seen = Vec::new();
    while let Some(FeedItem::Entry(entry)) = next(&mut feed).await {
        seen.push(entry.index);
    }
    assert!((1..900).contains(&seen.len()), "{}", seen.len());
    drop(feed);
    let mut feed = world.service.feed_after(address_of(ANNA), *seen.last().unwrap()).unwrap();
    while seen.len() < 900 {
        let Some(FeedItem::Entry(entry)) = next(&mut feed).await else { panic!("it ended") };
        seen.push(entry.index);
    }
    assert_eq!(seen, (0..900).collect::<Vec<_>>());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_missed_more_than_a_feed_reads_is_ended_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    let anna = subject_of(address_of(ANNA));
    for first in (0..=MISSED_ENTRIES_MAX).step_by(2000) {
        let events = first..(first + 2000).min(MISSED_ENTRIES_MAX + 2);
        let reports = events.map(|event| world.report(CLINIC, anna, event)).collect();
        world.service.reports(reports).await.into_iter().for_each(|one| {
            one.unwrap();
        });
    }
    assert_eq!(world.service.head().size, MISSED_ENTRIES_MAX + 2);
    let mut feed = world.service.feed_after(address_of(ANNA), 0).unwrap();
    assert_eq!(next(&mut feed).await, None);
    let mut feed = world.service.feed_after(address_of(ANNA), 1).unwrap();
    let Some(FeedItem::Entry(entry)) = next(&mut feed).await else { panic!("no entry") };
    assert_eq!(entry.index, 2);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_is_bound_while_the_feed_is_open_joins_it() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    world.service.report(world.report(CLINIC, pseudonym(1), 1)).await.unwrap();
    let mut feed = world.service.feed(address_of(ANNA));
    let mut other = world.service.feed(address_of(BERTA));
    let entries = world.bind(pseudonym(1), ANNA, "code").await;
    for (index, subject) in entries.into_iter().zip([pseudonym(1), subject_of(address_of(ANNA))]) {
        let Some(FeedItem::Entry(entry)) = next(&mut feed).await else { panic!("no entry") };
        assert_eq!((entry.index, entry.report.subject, entry.report.kind), (index, subject, 11));
    }
    let nothing = tokio::time::timeout(Duration::from_millis(300), other.next()).await;
    assert!(nothing.is_err(), "{nothing:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn anchors_come_as_they_are_mined_and_become_final_and_the_newest_come_first() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    for event in 0..9 {
        world.service.report(world.report(CLINIC, pseudonym(1), event)).await.unwrap();
    }
    let first = world.put_anchor(1, 2, true);
    let second = world.put_anchor(2, 4, true);
    let third = world.put_anchor(3, 6, false);
    assert_eq!(world.service.anchor_of(1).unwrap(), Some((first, true)));
    assert_eq!(world.service.anchor_of(2).unwrap(), Some((second.clone(), true)));
    assert_eq!(world.service.anchor_of(5).unwrap(), Some((third.clone(), false)));
    assert_eq!(world.service.anchor_of(6).unwrap(), None);
    let mut feed = world.service.feed(address_of(ANNA));
    let anchored = |record, is_final| Some(FeedItem::Anchored { record, is_final });
    assert_eq!(next(&mut feed).await, anchored(second, true));
    assert_eq!(next(&mut feed).await, anchored(third, false));
    let fourth = world.put_anchor(4, 9, false);
    assert_eq!(next(&mut feed).await, anchored(fourth, false));
    let third = world.put_anchor(3, 6, true);
    assert_eq!(next(&mut feed).await, anchored(third, true));
    let nothing = tokio::time::timeout(Duration::from_millis(300), feed.next()).await;
    assert!(nothing.is_err(), "{nothing:?}");
    world.stop().await;
}
