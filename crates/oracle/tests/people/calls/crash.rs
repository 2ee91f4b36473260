//! Deliveries whose writes fail, or happen although the caller is told that they failed; and those
//! that come to nothing.

use super::fair::{FAIR, HOUR_S, Hall, MARGIN_S};
use crate::bazaar::{BOREAL, SAFE, Shop};
use crate::permits::{ANNA, KADRI};
use crate::support::{FAULTS, address_of, now_ms};
use medtrail_ledger::ports::Parcels;
use medtrail_oracle::calls::CallsError;
use medtrail_oracle::calls::trade::OnChain;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const BOTH: [u8; 2] = [ANNA, KADRI];

#[tokio::test(flavor = "multi_thread")]
async fn whatever_write_fails_or_crashes_one_file_is_settled_and_each_is_paid_once() {
    // What is written to: the directory, the files, the log, the keys.
    let writes = [("rows", 3), ("files", 1), ("log", 2), ("keys", 1)];
    for ((what, writes), fault) in
        writes.into_iter().flat_map(|what| FAULTS.map(|fault| (what, fault)))
    {
        for passing in 0..writes {
            let folder = tempfile::tempdir().unwrap();
            let hall = Hall::start(&folder);
            let (cohort, id) = hall.full(&BOTH, 1).await;
            let world = hall.shop.world();
            let faults = match what {
                "rows" => &world.book.faults,
                "files" => &hall.post.faults,
                "log" => &world.disk.faults,
                _ => &world.keys.faults,
            };
            faults.fail_after(passing, fault);
            hall.tick().await;
            let label = format!("{what} {passing} {fault:?}");
            // Two entries may go to the disk together.
            assert!(!faults.is_armed() || (what, passing) == ("log", 1), "{label}");
            let hall = hall.again(&folder).await;
            hall.tick().await;
            hall.tick().await;
            assert_eq!(hall.state(id).await, "ready", "{label}");
            let locks: Vec<_> =
                hall.shop.deliveries().iter().map(|one| one.report.fromVersion).collect();
            assert_eq!(locks, [hall.delivery(id).await.lock.unwrap(); 2], "{label}");
            let bytes = hall.file(id).await;
            hall.shop.anchor(1);
            // Also where the note that the key is shown fails.
            if what == "rows" {
                hall.shop.world().book.faults.fail_after(0, fault);
                hall.tick().await;
                let hall_due = hall.calls.due();
                assert!(hall_due.is_empty() && hall.fair.shown().is_empty(), "{label}");
            }
            let hall = hall.again(&folder).await;
            hall.tick().await;
            assert_eq!(hall.fair.carry(&hall.calls.due()[0], true), [0, 1], "{label}");
            hall.tick().await;
            hall.tick().await;
            assert_eq!(hall.state(id).await, "settled", "{label}");
            let told = [["accepted"; 2], ["settled"; 2]].concat();
            assert_eq!(hall.shop.acts(), told, "{label}");
            hall.opened(&cohort, &bytes).await;
            hall.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_made_anew_is_made_whatever_fails_while_the_old_one_is_destroyed() {
    // Removed, destroyed, drawn, noted; and the same told to have failed.
    for (write, fault) in (0..4).flat_map(|write| FAULTS.map(|fault| (write, fault))) {
        let folder = tempfile::tempdir().unwrap();
        let hall = Hall::start(&folder);
        let (cohort, id) = hall.full(&BOTH, 1).await;
        hall.tick().await;
        let before = hall.delivery(id).await;
        hall.calls.withdraw(address_of(ANNA), id).await.unwrap();
        let world = hall.shop.world();
        let faults = match write {
            0 => &hall.post.faults,
            1 => &world.keys.erasing,
            2 => &world.keys.faults,
            _ => &world.book.faults,
        };
        faults.fail_after(0, fault);
        hall.tick().await;
        assert!(!faults.is_armed() && hall.calls.called().problem.is_some(), "{write} {fault:?}");
        let hall = hall.again(&folder).await;
        hall.tick().await;
        let after = hall.delivery(id).await;
        assert_eq!((after.state, after.sellers), ("ready", 1), "{write} {fault:?}");
        assert_ne!(after.lock, before.lock);
        assert_eq!(Parcels::orders(&*hall.post).unwrap().len(), 1);
        let bytes = hall.file(id).await;
        hall.shop.anchor(1);
        hall.tick().await;
        assert_eq!(hall.fair.carry(&hall.calls.due()[0], true), [1]);
        hall.opened(&cohort, &bytes).await;
        hall.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_lost_is_made_anew_under_another_key() {
    let folder = tempfile::tempdir().unwrap();
    let hall = Hall::start(&folder);
    let (_, id) = hall.full(&BOTH, 1).await;
    hall.tick().await;
    let before = hall.delivery(id).await.lock;
    for name in Parcels::orders(&*hall.post).unwrap() {
        Parcels::remove(&*hall.post, name).unwrap();
    }
    let gone = hall.calls.download(address_of(BOREAL), id).await;
    assert!(matches!(gone, Err(CallsError::NoFile)), "{gone:?}");
    hall.tick().await;
    let after = hall.delivery(id).await;
    assert_eq!((after.state, after.sellers), ("ready", 2));
    assert_ne!(after.lock, before);
    assert_eq!(hall.shop.deliveries().len(), 4);
    hall.stop().await;
}

static AHEAD_MS: AtomicU64 = AtomicU64::new(0);

fn later() -> u64 {
    now_ms() + AHEAD_MS.load(Ordering::SeqCst)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_before_its_time_is_made_of_who_is_there_and_what_is_late_shows_no_key() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::over(&folder, Arc::default(), later);
    let hall = Hall::with(&folder, shop, Arc::default());
    let (_, full) = hall.full(&BOTH, 1).await;
    let (half, none) = (hall.called(2).await.1, hall.called(3).await.1);
    hall.takes(ANNA, half).await;
    hall.tick().await;
    assert_eq!((hall.state(full).await, hall.state(half).await), ("ready", "collecting"));
    // An hour to deliver; some minutes before collecting ends.
    AHEAD_MS.store((HOUR_S - MARGIN_S + 60) * 1000, Ordering::SeqCst);
    hall.tick().await;
    assert_eq!((hall.state(half).await, hall.delivery(half).await.sellers), ("ready", 1));
    assert_eq!(hall.state(none).await, "collecting");
    // Beyond half the grace.
    AHEAD_MS.store((HOUR_S + HOUR_S / 2 + 60) * 1000, Ordering::SeqCst);
    hall.shop.anchor(1);
    hall.tick().await;
    for (id, refusal) in [(full, "late"), (half, "late"), (none, "nobody")] {
        let delivery = hall.delivery(id).await;
        assert_eq!((delivery.state, delivery.refusal), ("over", Some(refusal)));
    }
    assert!(hall.calls.due().is_empty() && hall.fair.shown().is_empty());
    assert!(Parcels::orders(&*hall.post).unwrap().is_empty());
    assert_eq!(hall.own(ANNA, full).await, "ended");
    hall.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_closed_or_never_was_is_delivered_to_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let hall = Hall::start(&folder);
    let (_, id) = hall.full(&BOTH, 1).await;
    hall.tick().await;
    hall.shop.anchor(1);
    // At the newest block only: nothing leaves meanwhile.
    hall.fair.put(id, OnChain::Closed { is_bound: false }, false);
    hall.tick().await;
    assert_eq!((hall.state(id).await, hall.calls.due().len()), ("ready", 0));
    hall.fair.finalise(id);
    hall.tick().await;
    hall.tick().await;
    let delivery = hall.delivery(id).await;
    assert_eq!((delivery.state, delivery.refusal), ("over", Some("closed")));
    assert!(Parcels::orders(&*hall.post).unwrap().is_empty() && hall.fair.shown().is_empty());
    assert_eq!(hall.shop.acts(), ["accepted", "accepted", "closed", "closed"]);
    assert_eq!(hall.calls.called().open, 0);
    // Another whose opening no final block shows, and which then vanishes.
    let cohort = hall.cohort(SAFE, 7);
    hall.fair.open(&cohort, false);
    hall.list(&cohort, SAFE).await.unwrap();
    hall.tick().await;
    hall.fair.forget(cohort.id(&FAIR));
    hall.tick().await;
    assert_eq!(hall.state(cohort.id(&FAIR)).await, "collecting");
    assert_eq!(hall.shop.deliveries().len(), 2, "those of the first");
    hall.stop().await;
}
