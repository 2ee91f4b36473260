//! Sellers whose account is a contract wallet: its word is asked for, and it can change its mind.

use super::fair::{FAIR, Hall};
use crate::bazaar::{SAFE, dataset};
use crate::permits::{ANNA, KADRI};
use crate::support::address_of;
use alloy_primitives::{B256, Bytes};
use medtrail_ledger::plan::Call;
use medtrail_oracle::calls::{Accepted, CallsError};
use medtrail_oracle::sales::SalesError;
use medtrail_permit::sale::{Cohort, CohortAcceptance, cohort};
use medtrail_permit::statements::Language;

/// Longer than a signature by a key.
const WORD: Bytes = Bytes::from_static(&[7; 96]);

/// Whether Kadri's account takes the word for a signature.
fn takes(hall: &Hall, is_taken: bool) {
    let wallet = address_of(KADRI);
    hall.shop.bazaar.takes(wallet, is_taken.then_some(&WORD));
    let mut words = hall.fair.words.lock().unwrap();
    match is_taken {
        true => _ = words.insert(wallet, WORD),
        false => _ = words.remove(&wallet),
    }
}

async fn says_yes(hall: &Hall, id: B256, acceptance: CohortAcceptance) -> Result<(), CallsError> {
    let accepted = Accepted { acceptance, signature: WORD, country: "EE".into() };
    hall.calls.accept(address_of(KADRI), id, accepted).await.map(drop)
}

/// Anna accepts with her key, and Kadri by the word of a wallet.
async fn both(hall: &Hall) -> B256 {
    let cohort = Cohort { places: 2, ..hall.cohort(SAFE, 1) };
    let cohort = cohort::worded(cohort, &dataset(SAFE), Language::En).unwrap();
    let id = hall.fair.open(&cohort, true);
    hall.list(&cohort, SAFE).await.unwrap();
    for (seller, number) in [(ANNA, 1), (KADRI, 2)] {
        hall.shop.keep(seller, number).await;
    }
    let until_s = cohort.settled_by().unwrap();
    let place = |place, seller| cohort.acceptance(&FAIR, place, address_of(seller), 0, until_s);
    hall.accept(ANNA, id, place(0, ANNA)).await.unwrap();
    let unheard = says_yes(hall, id, place(1, KADRI)).await;
    assert!(matches!(unheard, Err(CallsError::Sales(SalesError::Signature))), "{unheard:?}");
    takes(hall, true);
    says_yes(hall, id, place(1, KADRI)).await.unwrap();
    id
}

fn claims(call: &Call) -> usize {
    let Call::SettleMany { claims, .. } = call else { panic!("{call:?}") };
    claims.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_that_says_no_when_it_counts_is_paid_once_it_says_yes_again() {
    let folder = tempfile::tempdir().unwrap();
    let hall = Hall::start(&folder);
    let id = both(&hall).await;
    hall.tick().await;
    assert_eq!(hall.delivery(id).await.sellers, 2);
    hall.shop.anchor(1);
    hall.tick().await;
    let first = hall.calls.due().pop().unwrap();
    // It changes its mind when the batch is on its way: the contract skips it, and pays the other.
    takes(&hall, false);
    hall.fair.skipped.lock().unwrap().insert(address_of(KADRI));
    assert_eq!((claims(&first), hall.fair.carry(&first, true)), (2, vec![0]));
    // As long as it says no, nothing is sent for it.
    hall.tick().await;
    assert!(hall.calls.due().is_empty());
    assert_eq!((hall.state(id).await, hall.own(KADRI, id).await), ("settling", "delivered"));
    takes(&hall, true);
    hall.fair.skipped.lock().unwrap().clear();
    hall.tick().await;
    let second = hall.calls.due().pop().unwrap();
    assert_eq!((claims(&second), hall.fair.carry(&second, true)), (1, vec![1]));
    hall.tick().await;
    hall.tick().await;
    assert_eq!((hall.state(id).await, hall.own(KADRI, id).await), ("settled", "paid"));
    hall.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_that_says_no_before_the_key_is_shown_is_in_no_file_that_is() {
    let folder = tempfile::tempdir().unwrap();
    let hall = Hall::start(&folder);
    let id = both(&hall).await;
    hall.tick().await;
    let lock = hall.delivery(id).await.lock;
    takes(&hall, false);
    hall.shop.anchor(1);
    hall.tick().await;
    let delivery = hall.delivery(id).await;
    assert_eq!((delivery.state, delivery.sellers), ("ready", 1));
    assert_ne!(delivery.lock, lock);
    takes(&hall, true);
    hall.shop.anchor(2);
    hall.tick().await;
    assert_eq!(hall.fair.carry(&hall.calls.due()[0], true), [0], "files only lose sellers");
    hall.tick().await;
    hall.tick().await;
    assert_eq!((hall.state(id).await, hall.own(KADRI, id).await), ("settled", "ended"));
    hall.stop().await;
}
