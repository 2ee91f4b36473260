//! After a delivery: a seller wants their part deleted. The buyer is told which part and not whose it
//! is, and signs, or is silent.

use super::fair::{FAIR, HOUR_S, Hall};
use super::who::{ROSE, join};
use crate::bazaar::{BOREAL, OTHER, Shop, anna_address};
use crate::erasure::{after, erase, until_done};
use crate::permits::{ANNA, KADRI, STRANGER, signed};
use crate::safe::Safe;
use crate::support::{FAULTS, World, address_of, now_ms, sign_digest};
use alloy_primitives::{B256, hex};
use medtrail_ledger::directory::WithdrawalAnswer;
use medtrail_market::cohort::manifest::ConsentOf;
use medtrail_oracle::calls::trade::OnChain;
use medtrail_oracle::calls::{AskedPart, CallView, CallsError};
use medtrail_oracle::sales::{Deleted, SalesError};
use medtrail_oracle::vault::VaultLimits;
use medtrail_permit::sale::Deletion;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const SELLERS: [u8; 2] = [ANNA, KADRI];
const DAY_MS: u64 = 24 * 3_600_000;

/// Until the key of both's file was shown.
async fn shown(hall: &Hall) -> B256 {
    let (_, id) = hall.full(&SELLERS, 1).await;
    hall.tick().await;
    hall.shop.anchor(1);
    hall.tick().await;
    assert_eq!(hall.state(id).await, "settling");
    id
}

/// Until both are paid, for good.
async fn paid(hall: &Hall, id: B256) {
    hall.fair.carry(&hall.calls.due()[0], false);
    hall.fair.finalise(id);
    hall.fair.put(id, OnChain::Closed { is_bound: true }, true);
    hall.tick().await;
    hall.tick().await;
    assert_eq!(hall.state(id).await, "settled");
}

async fn asked(hall: &Hall, id: B256) -> Vec<AskedPart> {
    hall.calls.call(address_of(BOREAL), id, None).await.unwrap().withdrawals
}

async fn says(hall: &Hall, by: u8, id: B256, deletion: Deletion) -> Result<CallView, CallsError> {
    let signature = sign_digest(by, deletion.id_in_calls(&FAIR));
    hall.calls.deleted(address_of(BOREAL), id, Deleted { deletion, signature }).await
}

fn gone(part: B256) -> Deletion {
    Deletion::of_part(part, address_of(BOREAL), now_ms() / 1000)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seller_asks_and_the_buyer_is_told_the_part_of_the_file_and_not_whose_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let hall = Hall::start(&folder);
    let (cohort, id) = hall.full(&SELLERS, 1).await;
    hall.tick().await;
    for (who, is_in) in [(ANNA, true), (OTHER, false), (BOREAL, false)] {
        let early = hall.calls.withdraw_part(address_of(who), id).await;
        match early {
            Err(CallsError::NotDelivered) => assert!(is_in, "{who}"),
            Err(CallsError::NotAccepted) => assert!(!is_in, "{who}"),
            other => panic!("{who}: {other:?}"),
        }
    }
    hall.shop.anchor(1);
    hall.tick().await;
    // The key may be out, and nobody is paid yet.
    for _ in 0..2 {
        hall.calls.withdraw_part(anna_address(), id).await.unwrap();
    }
    assert_eq!(hall.shop.acts(), ["accepted", "accepted", "deletion-asked"]);
    let wishes = asked(&hall, id).await;
    let [wish] = &wishes[..] else { panic!("{wishes:?}") };
    for (who, is_told) in [(ANNA, true), (KADRI, false), (STRANGER, false)] {
        let view = hall.calls.call(address_of(who), id, None).await.unwrap();
        assert!(view.withdrawals.is_empty());
        assert_eq!(view.own.iter().any(|own| own.row.withdrawal.is_some()), is_told, "{who}");
    }
    let bytes = hall.file(id).await;
    paid(&hall, id).await;
    let (checked, _) = hall.opened(&cohort, &bytes).await;
    let persons = &checked.manifest.persons;
    let (label, part) = (hex::encode(wish.name.label), wish.name.part);
    let hers = persons.iter().find(|person| person.label == label).unwrap();
    assert_eq!(hers.consent, ConsentOf::Hidden(part));
    // No acceptance of the file is what it is called by, and the buyer reads the day only.
    let own = hall.calls.call(anna_address(), id, None).await.unwrap().own;
    assert_ne!(own[0].row.id, part);
    let kept = own[0].row.withdrawal.clone().unwrap();
    assert_eq!((kept.name, kept.asked.due_ms % DAY_MS), (wish.name, 0));
    assert_eq!(wish.asked_ms, kept.asked.asked_ms - kept.asked.asked_ms % DAY_MS);

    let statement = gone(part);
    for wrong in [
        Deletion { statement: "I have deleted it.".into(), ..statement.clone() },
        Deletion { buyer: address_of(OTHER), ..statement.clone() },
        Deletion { deletedAt: now_ms() / 1000 + 3600, ..statement.clone() },
    ] {
        let refused = says(&hall, BOREAL, id, wrong).await;
        assert!(matches!(refused, Err(CallsError::Sales(SalesError::Field { .. }))));
    }
    // Of an acceptance that is in it, of the part of who did not ask, under another market, by another.
    let kadris = persons.iter().find(|person| person.label != label).unwrap();
    let ConsentOf::Hidden(kadris) = kadris.consent else { panic!("{kadris:?}") };
    for other in [own[0].row.id, kadris] {
        let refused = says(&hall, BOREAL, id, gone(other)).await;
        assert!(matches!(refused, Err(CallsError::Sales(SalesError::NotAsked))), "{refused:?}");
    }
    let signature = sign_digest(BOREAL, statement.id(&crate::bazaar::MARKET));
    let elsewhere = Deleted { deletion: statement.clone(), signature };
    let refused = hall.calls.deleted(address_of(BOREAL), id, elsewhere).await;
    assert!(matches!(refused, Err(CallsError::Sales(SalesError::Signature))));
    let refused = says(&hall, ANNA, id, statement.clone()).await;
    assert!(matches!(refused, Err(CallsError::Sales(SalesError::Signature))));
    let signature = sign_digest(ANNA, statement.id_in_calls(&FAIR));
    let by_seller = Deleted { deletion: statement.clone(), signature };
    let refused = hall.calls.deleted(anna_address(), id, by_seller).await;
    assert!(matches!(refused, Err(CallsError::NoSuchCall)));

    for _ in 0..2 {
        says(&hall, BOREAL, id, statement.clone()).await.unwrap();
    }
    assert_eq!(hall.shop.acts()[3..], ["settled", "settled", "deleted"]);
    let told = hall.shop.world().details_of_kind(5).pop().unwrap();
    assert_eq!(told["deletion"]["document"]["statement"], Deletion::STATEMENT);
    assert_eq!(told["part"], serde_json::json!(part));
    hall.tick().await;
    assert_eq!((hall.calls.called().open, hall.calls.called().problem), (0, None));
    hall.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_a_line_and_a_word_that_comes_later_another() {
    static AHEAD_MS: AtomicU64 = AtomicU64::new(0);
    fn later() -> u64 {
        now_ms() + AHEAD_MS.load(Ordering::SeqCst)
    }
    let folder = tempfile::tempdir().unwrap();
    let hall = Hall::with(&folder, Shop::over(&folder, Arc::default(), later), Arc::default());
    let id = shown(&hall).await;
    paid(&hall, id).await;
    assert_eq!(hall.calls.called().open, 0);
    hall.calls.withdraw_part(anna_address(), id).await.unwrap();
    let lines = hall.shop.acts().len();
    hall.tick().await;
    // All else is over: it is looked at until it is answered.
    assert_eq!((hall.shop.acts().len(), hall.calls.called().open), (lines, 1));
    // The hour, and to the end of that day.
    AHEAD_MS.store(DAY_MS + 3_601_000, Ordering::SeqCst);
    for _ in 0..2 {
        hall.tick().await;
    }
    assert_eq!(hall.shop.acts()[lines..], ["not-answered"]);
    assert_eq!(hall.calls.called().open, 0);
    let part = asked(&hall, id).await[0].name.part;
    for _ in 0..2 {
        says(&hall, BOREAL, id, gone(part)).await.unwrap();
    }
    hall.tick().await;
    assert_eq!(hall.shop.acts()[lines..], ["not-answered", "deleted"]);
    hall.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_write_fails_what_was_asked_and_what_was_said_are_one_line_each() {
    for (write, fault) in (0..8).flat_map(|write| FAULTS.map(|fault| (write, fault))) {
        let folder = tempfile::tempdir().unwrap();
        let hall = Hall::start(&folder);
        let id = shown(&hall).await;
        paid(&hall, id).await;
        let lines = hall.shop.acts().len();
        let fail = |hall: &Hall| {
            let world = hall.shop.world();
            let faults = if write % 4 < 2 { &world.book.faults } else { &world.disk.faults };
            faults.fail_after(write % 2, fault);
        };
        let is_early = write < 4;
        if is_early {
            fail(&hall);
        }
        let _ = hall.calls.withdraw_part(anna_address(), id).await;
        let hall = if is_early { hall.again(&folder).await } else { hall };
        hall.tick().await;
        // Whoever was told that it failed asks again.
        hall.calls.withdraw_part(anna_address(), id).await.unwrap();
        assert_eq!(hall.shop.acts()[lines..], ["deletion-asked"], "{write} {fault:?}");
        let part = asked(&hall, id).await[0].name.part;
        if !is_early {
            fail(&hall);
        }
        let _ = says(&hall, BOREAL, id, gone(part)).await;
        let hall = hall.again(&folder).await;
        hall.tick().await;
        says(&hall, BOREAL, id, gone(part)).await.unwrap();
        assert_eq!(hall.shop.acts()[lines..], ["deletion-asked", "deleted"], "{write} {fault:?}");
        hall.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_erased_afterwards_is_not_told_apart_by_what_they_wanted_deleted() {
    static AHEAD_MS: AtomicU64 = AtomicU64::new(0);
    fn later() -> u64 {
        now_ms() + AHEAD_MS.load(Ordering::SeqCst)
    }
    let folder = tempfile::tempdir().unwrap();
    let world = World::start_erasing(&folder, later, &[], after(0));
    let safe = Safe::over(&folder, world, VaultLimits::default());
    let hall = Hall::with(&folder, Shop::with(&folder, Arc::default(), safe), Arc::default());
    let id = shown(&hall).await;
    paid(&hall, id).await;
    for seller in SELLERS {
        hall.calls.withdraw_part(address_of(seller), id).await.unwrap();
    }
    let before = asked(&hall, id).await;
    assert_eq!(before.len(), 2);
    let world = hall.shop.world();
    world.service.record(signed(ANNA, erase(world, 0))).await.unwrap();
    until_done(world).await;
    let (left, _) = hall.calls.proofs(address_of(BOREAL), id, None, 9).await.unwrap();
    assert_eq!((left.len(), asked(&hall, id).await), (1, before.clone()));
    // Silent or answered, both look alike.
    AHEAD_MS.store(DAY_MS + 3_601_000, Ordering::SeqCst);
    hall.tick().await;
    let answers =
        |asked: Vec<AskedPart>| asked.into_iter().map(|one| one.answer).collect::<Vec<_>>();
    assert_eq!(answers(asked(&hall, id).await), [WithdrawalAnswer::NotAnswered; 2]);
    for part in before {
        says(&hall, BOREAL, id, gone(part.name.part)).await.unwrap();
    }
    assert_eq!(answers(asked(&hall, id).await), [WithdrawalAnswer::Deleted; 2]);
    let hall = hall.again(&folder).await;
    assert_eq!(answers(asked(&hall, id).await), [WithdrawalAnswer::Deleted; 2]);
    assert_eq!(hall.calls.called().open, 0);
    hall.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_in_a_file_that_nobody_was_paid_for_can_ask_too_since_its_key_may_be_out() {
    let folder = tempfile::tempdir().unwrap();
    let hall = Hall::start(&folder);
    let id = shown(&hall).await;
    hall.shop.bazaar.pass(2 * HOUR_S + 60);
    hall.tick().await;
    hall.tick().await;
    assert_eq!(hall.state(id).await, "over");
    let hall = hall.again(&folder).await;
    // A no takes nothing back any more.
    let late = hall.calls.withdraw(anna_address(), id).await;
    assert!(matches!(late, Err(CallsError::TooLate)), "{late:?}");
    hall.calls.withdraw_part(anna_address(), id).await.unwrap();
    assert_eq!(hall.shop.acts().last().map(String::as_str), Some("deletion-asked"));
    let part = asked(&hall, id).await[0].name.part;
    says(&hall, BOREAL, id, gone(part)).await.unwrap();
    assert_eq!(hall.shop.acts().last().map(String::as_str), Some("deleted"));
    hall.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_addresses_that_were_joined_afterwards_ask_for_both_parts_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let hall = Hall::start(&folder);
    let (_, id) = hall.full(&[ROSE, ANNA], 1).await;
    hall.tick().await;
    hall.shop.anchor(1);
    hall.tick().await;
    paid(&hall, id).await;
    join(&hall, ANNA, ROSE).await;
    hall.calls.withdraw_part(anna_address(), id).await.unwrap();
    assert_eq!(asked(&hall, id).await.len(), 2);
    hall.stop().await;
}
