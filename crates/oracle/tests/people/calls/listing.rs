//! What is listed as a call, and when others see it.

use super::fair::{FAIR, HOUR_S, Hall};
use crate::bazaar::{BOREAL, OTHER, SAFE, dataset};
use crate::permits::ANNA;
use crate::support::{address_of, now_ms};
use alloy_primitives::B256;
use medtrail_oracle::calls::CallsError;
use medtrail_oracle::calls::trade::OnChain;
use medtrail_permit::dataset::Form;
use medtrail_permit::sale::Cohort;
use medtrail_permit::sale::check::SaleError;
use medtrail_permit::sale::cohort::{self};
use medtrail_permit::statements::Language;

type Change = fn(&mut Cohort, u64);

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_shown_once_a_final_block_has_its_money() {
    let folder = tempfile::tempdir().unwrap();
    let hall = Hall::start(&folder);
    let cohort = hall.cohort(SAFE, 1);
    let unpaid = hall.list(&cohort, SAFE).await;
    assert!(matches!(unpaid, Err(CallsError::NotOpened)), "{unpaid:?}");
    let id = hall.fair.open(&cohort, false);
    // Of a contract that is younger than the final block: it is kept, and looked at again.
    *hall.fair.is_new.lock().unwrap() = true;
    let (view, is_new) = hall.list(&cohort, SAFE).await.unwrap();
    assert!(is_new);
    assert_eq!((view.state, view.accepted), ("heard", Some(0)));
    hall.tick().await;
    assert!(hall.calls.called().problem.is_some());
    *hall.fair.is_new.lock().unwrap() = false;
    hall.tick().await;
    assert!(hall.calls.called().problem.is_none());
    assert!(hall.cards().is_empty());
    for who in [ANNA, OTHER] {
        let hidden = hall.calls.call(address_of(who), id, None).await;
        assert!(matches!(hidden, Err(CallsError::NoSuchCall)), "{hidden:?}");
    }
    hall.fair.open(&cohort, true);
    hall.tick().await;
    assert_eq!(hall.cards(), [id]);
    assert!(!hall.list(&cohort, SAFE).await.unwrap().1, "the same again is the same");
    // Also after a start.
    let hall = hall.again(&folder).await;
    assert_eq!(hall.cards(), [id]);
    hall.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_opening_vanished_is_forgotten_once_it_can_come_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let hall = Hall::start(&folder);
    let cohort = hall.cohort(SAFE, 1);
    let id = hall.fair.open(&cohort, false);
    hall.list(&cohort, SAFE).await.unwrap();
    hall.fair.forget(id);
    hall.tick().await;
    let buyer = address_of(BOREAL);
    assert_eq!(hall.calls.call(buyer, id, None).await.unwrap().state, "heard");
    hall.shop.bazaar.pass(2 * HOUR_S);
    hall.tick().await;
    assert!(matches!(hall.calls.call(buyer, id, None).await, Err(CallsError::NoSuchCall)));
    assert_eq!(hall.calls.called().open, 0);
    hall.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_another_buyer_log_dataset_or_without_time_is_not_listed() {
    let folder = tempfile::tempdir().unwrap();
    let hall = Hall::start(&folder);
    let text = || String::from_utf8(dataset(SAFE).bytes()).unwrap();
    let good = hall.cohort(SAFE, 1);
    hall.fair.open(&good, true);
    let other = hall.calls.list(address_of(OTHER), good.clone(), text()).await;
    assert!(matches!(other, Err(CallsError::Field { field: "cohort.buyer", .. })), "{other:?}");
    let wrong = hall.list(&good, Form::AsItIs).await;
    assert!(matches!(wrong, Err(CallsError::Document(SaleError::Dataset))), "{wrong:?}");
    let now_s = now_ms() / 1000;
    let changes: [(&str, Change); 4] = [
        ("cohort.log", |cohort, _| cohort.log = B256::repeat_byte(9)),
        ("cohort.recipient", |cohort, _| cohort.recipient = B256::repeat_byte(0xff)),
        ("cohort.deliverBy", |cohort, now_s| cohort.deliverBy = now_s + 60),
        ("cohort.deliverBy", |cohort, _| cohort.grace = 60),
    ];
    for (name, change) in changes {
        let mut cohort = hall.cohort(SAFE, 2);
        change(&mut cohort, now_s);
        let cohort = cohort::worded(cohort, &dataset(SAFE), Language::En).unwrap();
        hall.fair.open(&cohort, true);
        let refused = hall.list(&cohort, SAFE).await;
        let Err(CallsError::Field { field, .. }) = refused else { panic!("{name}: {refused:?}") };
        assert_eq!(field, name);
    }
    // Paid for already, or given back.
    for on_chain in [OnChain::Open { is_bound: true }, OnChain::Closed { is_bound: false }] {
        hall.fair.put(good.id(&FAIR), on_chain, true);
        assert!(matches!(hall.list(&good, SAFE).await, Err(CallsError::TooLate)));
    }
    assert!(hall.cards().is_empty());
    hall.stop().await;
}
