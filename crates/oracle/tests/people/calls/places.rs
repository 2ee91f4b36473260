//! Places of a call: accepted, and taken back in time.

use super::fair::{FAIR, Hall};
use crate::bazaar::{BOREAL, Bazaar, OTHER, SAFE, Shop, anna_address, dataset};
use crate::erasure::{after, erase, until_done};
use crate::permits::{ANNA, KADRI, STRANGER, signed};
use crate::safe::Safe;
use crate::support::{FAULTS, World, address_of, now_ms};
use medtrail_ledger::entry::subject_of;
use medtrail_oracle::calls::CallsError;
use medtrail_oracle::calls::trade::OnChain;
use medtrail_oracle::sales::{SalesError, Side};
use medtrail_oracle::vault::VaultLimits;
use medtrail_permit::sale::{Cohort, CohortAcceptance, cohort};
use medtrail_permit::statements::Language;
use std::collections::BTreeSet;
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread")]
async fn two_accept_two_places_and_their_trails_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let hall = Hall::start(&folder);
    hall.shop.keep(ANNA, 4).await;
    hall.shop.keep(STRANGER, 5).await;
    let (_, id) = hall.called(1).await;
    let raced = hall.proposed(STRANGER, id).await.unwrap();
    let first = hall.takes(ANNA, id).await;
    let raced = CohortAcceptance { place: first.place, ..raced };
    let late = hall.accept(STRANGER, id, raced).await;
    assert!(matches!(late, Err(CallsError::Taken(_))), "{late:?}");
    let second = hall.takes(STRANGER, id).await;
    assert_eq!(second.place, 1 - first.place);
    assert!(hall.proposed(KADRI, id).await.is_none(), "all are taken");
    // The same again is the same, and leaves no line.
    let (_, is_new) = hall.accept(ANNA, id, first.clone()).await.unwrap();
    assert!(!is_new);
    hall.tick().await;
    assert_eq!(hall.shop.acts(), ["accepted", "accepted"]);
    let entries = hall.shop.world().all();
    let line = entries.iter().find(|entry| entry.report.record == first.id(&FAIR)).unwrap();
    assert_eq!(line.report.subject, subject_of(anna_address()));
    assert_eq!((line.report.kind, line.report.permission), (5, first.id(&FAIR)));
    // From the line alone the acceptance can be made again.
    let told: serde_json::Value = serde_json::from_slice(line.details.as_deref().unwrap()).unwrap();
    let cohort: Cohort = serde_json::from_value(told["call"].clone()).unwrap();
    let (place, epoch) = (told["place"].as_u64().unwrap() as u32, told["epoch"].as_u64().unwrap());
    let until_s = told["expiresAt"].as_u64().unwrap();
    assert_eq!(cohort.acceptance(&FAIR, place, anna_address(), epoch, until_s), first);
    assert_eq!(told["version"], "medtrail/call-v1");

    // The buyer sees how many, a stranger sees nobody.
    let view = hall.calls.call(address_of(BOREAL), id, None).await.unwrap();
    assert_eq!((view.accepted, view.own.len()), (Some(2), 0));
    let view = hall.calls.call(address_of(OTHER), id, None).await.unwrap();
    assert_eq!((view.accepted, view.own.len()), (None, 0));
    let (own, _) = hall.calls.calls_of(anna_address(), Side::Seller, None, 10).await.unwrap();
    assert_eq!((own.len(), own[0].own.len()), (1, 1));
    let (bought, _) = hall.calls.calls_of(address_of(BOREAL), Side::Buyer, None, 10).await.unwrap();
    assert_eq!(bought.len(), 1);
    assert!(
        hall.calls.calls_of(address_of(OTHER), Side::Seller, None, 10).await.unwrap().0.is_empty()
    );
    hall.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_back_frees_the_place_and_does_not_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let hall = Hall::start(&folder);
    hall.shop.keep(ANNA, 4).await;
    let (cohort, id) = hall.called(1).await;
    let none = hall.calls.withdraw(anna_address(), id).await;
    assert!(matches!(none, Err(CallsError::NotAccepted)), "{none:?}");
    let first = hall.takes(ANNA, id).await;
    let other = hall.calls.withdraw(address_of(OTHER), id).await;
    assert!(matches!(other, Err(CallsError::NotAccepted)), "{other:?}");
    let view = hall.calls.withdraw(anna_address(), id).await.unwrap();
    assert_eq!(view.own[0].state, "withdrawn");
    hall.calls.withdraw(anna_address(), id).await.unwrap();
    assert_eq!(hall.shop.acts(), ["accepted", "withdrawn"]);
    // A replay, by whoever kept it.
    let replayed = hall.accept(ANNA, id, first).await;
    assert!(matches!(replayed, Err(CallsError::Field { field: "acceptance", .. })));
    for more in 1..8 {
        let until_s = cohort.settled_by().unwrap() + more;
        // What is proposed is none of those that are spent.
        let another = hall.proposed(ANNA, id).await.unwrap();
        let place = another.place;
        assert_eq!(another, cohort.acceptance(&FAIR, place, anna_address(), 0, until_s));
        assert!(hall.accept(ANNA, id, another).await.unwrap().1);
        hall.calls.withdraw(anna_address(), id).await.unwrap();
    }
    let another = cohort.acceptance(&FAIR, 0, anna_address(), 0, cohort.settled_by().unwrap() + 8);
    let often = hall.accept(ANNA, id, another).await;
    assert!(matches!(often, Err(CallsError::TooOften(8))), "{often:?}");
    hall.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_taken_back_or_accepted_once_the_newest_block_shows_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let hall = Hall::start(&folder);
    hall.shop.keep(ANNA, 4).await;
    hall.shop.keep(STRANGER, 5).await;
    let (_, id) = hall.called(1).await;
    hall.takes(ANNA, id).await;
    let raced = hall.proposed(STRANGER, id).await.unwrap();
    hall.fair.put(id, OnChain::Open { is_bound: true }, false);
    let late = hall.calls.withdraw(anna_address(), id).await;
    assert!(matches!(late, Err(CallsError::TooLate)), "{late:?}");
    assert!(matches!(hall.accept(STRANGER, id, raced).await, Err(CallsError::TooLate)));
    // Its block is final: who was paid, and who was not.
    hall.fair.pay(id, ANNA, 0);
    hall.fair.put(id, OnChain::Closed { is_bound: true }, true);
    hall.tick().await;
    assert_eq!(hall.shop.acts(), ["accepted", "settled"]);
    let view = hall.calls.call(anna_address(), id, None).await.unwrap();
    assert_eq!((view.state, view.own[0].state), ("closed", "paid"));
    assert!(hall.cards().is_empty());
    // Nobody here showed that key.
    assert!(hall.calls.called().problem.is_some_and(|one| one.what.contains("never shown")));
    hall.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_was_closed_unpaid_says_so_to_who_accepted_and_only_to_them() {
    let folder = tempfile::tempdir().unwrap();
    let hall = Hall::start(&folder);
    hall.shop.keep(ANNA, 4).await;
    hall.shop.keep(STRANGER, 5).await;
    let (_, id) = hall.called(1).await;
    hall.takes(ANNA, id).await;
    hall.takes(STRANGER, id).await;
    hall.calls.withdraw(address_of(STRANGER), id).await.unwrap();
    hall.fair.put(id, OnChain::Closed { is_bound: false }, true);
    hall.tick().await;
    hall.tick().await;
    assert_eq!(hall.shop.acts(), ["accepted", "accepted", "withdrawn", "closed"]);
    hall.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_write_fails_or_crashes_there_is_one_line_for_each_act() {
    for (write, fault) in (0..8).flat_map(|write| FAULTS.map(|fault| (write, fault))) {
        let folder = tempfile::tempdir().unwrap();
        let hall = Hall::start(&folder);
        hall.shop.keep(ANNA, 4).await;
        let (_, id) = hall.called(1).await;
        let acceptance = hall.proposed(ANNA, id).await.unwrap();
        let world = hall.shop.world();
        let (faults, passing) = match write {
            0..2 => (&world.book.faults, write),
            2..4 => (&world.disk.faults, write - 2),
            4..6 => (&world.book.faults, write - 4),
            _ => (&world.disk.faults, write - 6),
        };
        let is_early = write < 4;
        if is_early {
            faults.fail_after(passing, fault);
        }
        let _ = hall.accept(ANNA, id, acceptance.clone()).await;
        let hall = match is_early {
            true => hall.again(&folder).await,
            false => hall,
        };
        hall.tick().await;
        // Whoever was told that it failed asks again.
        hall.accept(ANNA, id, acceptance).await.unwrap();
        assert_eq!(hall.shop.acts(), ["accepted"], "{write} {fault:?}");
        if !is_early {
            let world = hall.shop.world();
            let faults = if write < 6 { &world.book.faults } else { &world.disk.faults };
            faults.fail_after(passing, fault);
        }
        let _ = hall.calls.withdraw(anna_address(), id).await;
        let hall = hall.again(&folder).await;
        hall.tick().await;
        hall.calls.withdraw(anna_address(), id).await.unwrap();
        assert_eq!(hall.shop.acts(), ["accepted", "withdrawn"], "{write} {fault:?}");
        hall.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_is_away_takes_no_acceptance_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let hall = Hall::start(&folder);
    hall.shop.keep(ANNA, 4).await;
    let (_, id) = hall.called(1).await;
    let acceptance = hall.proposed(ANNA, id).await.unwrap();
    hall.shop.bazaar.go(true);
    let away = hall.accept(ANNA, id, acceptance.clone()).await;
    let is_it = matches!(away, Err(CallsError::Sales(SalesError::ChainUnreadable(_))));
    assert!(is_it, "{away:?}");
    let calls = hall.calls.clone();
    assert!(tokio::task::spawn_blocking(move || calls.tick()).await.unwrap().is_err());
    assert!(hall.calls.called().problem.is_some());
    hall.shop.bazaar.go(false);
    assert!(hall.accept(ANNA, id, acceptance).await.unwrap().1);
    hall.tick().await;
    assert!(hall.calls.called().problem.is_none());
    hall.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_seller_had_erased_leaves_no_acceptance_and_frees_the_place() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start_erasing(&folder, now_ms, &[], after(0));
    let safe = Safe::over(&folder, world, VaultLimits::default());
    let shop = Shop::with(&folder, Arc::<Bazaar>::default(), safe);
    let hall = Hall::with(&folder, shop, Arc::default());
    hall.shop.keep(ANNA, 4).await;
    hall.shop.keep(STRANGER, 5).await;
    let (_, id) = hall.called(1).await;
    let taken = hall.takes(ANNA, id).await;
    let alone = hall.proposed(STRANGER, id).await.unwrap().place;
    assert_eq!(alone, 1 - taken.place);
    let world = hall.shop.world();
    world.service.record(signed(ANNA, erase(world, 0))).await.unwrap();
    until_done(world).await;
    let view = hall.calls.call(anna_address(), id, None).await.unwrap();
    assert!(view.own.is_empty());
    assert!(view.proposed.is_some());
    // Both are free: whoever asks is proposed the same again.
    let places = [hall.proposed(STRANGER, id).await, hall.proposed(STRANGER, id).await];
    assert_eq!(places[0], places[1]);
    hall.accept(
        STRANGER,
        id,
        CohortAcceptance { place: taken.place, ..places[0].clone().unwrap() },
    )
    .await
    .unwrap();
    hall.tick().await;
    hall.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_at_the_same_time_is_seldom_proposed_the_same_place() {
    let folder = tempfile::tempdir().unwrap();
    let hall = Hall::start(&folder);
    let cohort = Cohort { places: 1000, ..hall.cohort(SAFE, 1) };
    let cohort = cohort::worded(cohort, &dataset(SAFE), Language::En).unwrap();
    let id = hall.fair.open(&cohort, true);
    hall.list(&cohort, SAFE).await.unwrap();
    let mut places = BTreeSet::new();
    for seller in 100..148 {
        places.insert(hall.proposed(seller, id).await.unwrap().place);
    }
    // Of 48 at a thousand places one or two meet.
    assert!(places.len() > 40, "{places:?}");
    hall.stop().await;
}
