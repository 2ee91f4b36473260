//! The way of a delivery that nobody says no to: one file, an entry for each seller, batches that pay
//! them, and what happens to those on the chain.

use super::fair::{FAIR, Hall};
use crate::bazaar::{BOREAL, OTHER, anna_address};
use crate::permits::{ANNA, KADRI, STRANGER};
use crate::support::{address_of, now_ms};
use alloy_primitives::{Address, B256};
use medtrail_ledger::entry::subject_of;
use medtrail_ledger::plan::{BlockRef, Call, Intent, IntentState, PlanChange};
use medtrail_ledger::ports::Outbox;
use medtrail_oracle::calls::CallsError;
use medtrail_oracle::calls::trade::OnChain;

const SELLERS: [u8; 3] = [ANNA, KADRI, STRANGER];

fn claims(call: &Call) -> Vec<B256> {
    let Call::SettleMany { claims, .. } = call else { panic!("{call:?}") };
    claims.clone()
}

/// What the sender remembers of a batch.
fn sent(hall: &Hall, call: &Call, nonce: u64, state: IntentState) {
    let account = Address::repeat_byte(0x99);
    let (attempts, gas, made_at_block) = (Vec::new(), 1, 1);
    let call = call.clone();
    let intent = Intent { account, nonce, call, gas, state, made_at_block, attempts };
    hall.shop.world().disk.store.save(&[PlanChange::PutIntent(intent)]).unwrap();
}

fn block() -> BlockRef {
    BlockRef { number: 5, hash: B256::repeat_byte(5) }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_all_accepted_is_delivered_in_one_file_and_each_is_paid() {
    let folder = tempfile::tempdir().unwrap();
    let hall = Hall::start(&folder);
    let (cohort, id) = hall.full(&SELLERS, 1).await;
    assert_eq!(hall.state(id).await, "collecting");
    let early = hall.calls.download(address_of(BOREAL), id).await;
    assert!(matches!(early, Err(CallsError::NoFile)), "{early:?}");
    hall.tick().await;
    let delivery = hall.delivery(id).await;
    assert_eq!((delivery.state, delivery.sellers, delivery.paid), ("ready", 3, 0));
    assert_eq!(hall.own(ANNA, id).await, "delivered");
    let entries = hall.shop.deliveries();
    let subjects: Vec<B256> = entries.iter().map(|entry| entry.report.subject).collect();
    assert_eq!(subjects, SELLERS.map(|seller| subject_of(address_of(seller))));
    for entry in &entries {
        assert_eq!(Some(entry.report.fromVersion), delivery.lock);
        assert_eq!(Some(entry.report.toVersion), delivery.file.map(|(file, _)| file));
    }
    // One hour, two downloads: one line in the trail of each, and none for others' tries.
    for who in [anna_address(), address_of(OTHER)] {
        let refused = hall.calls.download(who, id).await;
        assert!(matches!(refused, Err(CallsError::NoSuchCall)), "{refused:?}");
        let refused = hall.calls.proofs(who, id, None, 10).await;
        assert!(matches!(refused, Err(CallsError::NoSuchCall)));
    }
    hall.file(id).await;
    let bytes = hall.file(id).await;
    let reads: Vec<_> =
        hall.shop.world().all().into_iter().filter(|one| one.report.kind == 1).collect();
    assert_eq!(reads.len(), 3);
    for (read, delivered) in reads.iter().zip(&entries) {
        assert_eq!(read.report.subject, delivered.report.subject);
        assert_eq!(read.report.permission, delivered.report.permission);
    }
    // Nothing is shown before an anchor is final.
    hall.tick().await;
    assert!(hall.calls.due().is_empty() && hall.fair.shown().is_empty());
    hall.shop.anchor(1);
    hall.tick().await;
    assert_eq!(hall.state(id).await, "settling");
    let late = hall.calls.withdraw(anna_address(), id).await;
    assert!(matches!(late, Err(CallsError::TooLate)), "{late:?}");
    let due = hall.calls.due();
    assert_eq!((due.len(), claims(&due[0]).len()), (1, 3));
    assert_eq!(hall.fair.carry(&due[0], false), [0, 1, 2]);
    hall.tick().await;
    assert!(hall.calls.due().is_empty());
    assert_eq!((hall.own(ANNA, id).await, hall.delivery(id).await.paid), ("delivered", 0));
    hall.fair.finalise(id);
    hall.tick().await;
    hall.tick().await;
    let delivery = hall.delivery(id).await;
    assert_eq!((delivery.state, delivery.paid), ("settled", 3));
    assert_eq!(hall.own(ANNA, id).await, "paid");
    assert_eq!(hall.shop.acts(), [["accepted"; 3], ["settled"; 3]].concat());
    let (checked, text) = hall.opened(&cohort, &bytes).await;
    assert_eq!((checked.manifest.persons.len(), checked.unpaid.len()), (3, 0));
    for value in ["1.5", "2.5", "3.5"] {
        assert!(text.contains(value), "{value}");
    }
    assert!(!text.to_lowercase().contains("2026-03"), "dates are not told");
    hall.fair.put(id, OnChain::Closed { is_bound: true }, true);
    hall.tick().await;
    assert_eq!((hall.calls.called().open, hall.calls.called().problem), (0, None));
    // Also of a call that is over, after a start.
    let hall = hall.again(&folder).await;
    assert_eq!(hall.delivery(id).await.paid, 3);
    assert_eq!(hall.file(id).await, bytes);
    hall.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_of_sixteen_go_out_one_after_the_other_and_none_is_sent_twice() {
    let folder = tempfile::tempdir().unwrap();
    let hall = Hall::start(&folder);
    let sellers: Vec<u8> = (100..120).collect();
    let (cohort, id) = hall.full(&sellers, 1).await;
    hall.tick().await;
    let bytes = hall.file(id).await;
    hall.shop.anchor(1);
    hall.tick().await;
    let first = hall.calls.due().pop().unwrap();
    assert_eq!(claims(&first).len(), 16);
    // It was sent, whatever the node said: the others wait until it binds.
    sent(&hall, &first, 1, IntentState::Pending);
    hall.tick().await;
    assert!(hall.calls.due().is_empty());
    let hall = hall.again(&folder).await;
    hall.tick().await;
    assert!(hall.calls.due().is_empty(), "also after a start");
    hall.fair.skipped.lock().unwrap().insert(address_of(sellers[3]));
    assert_eq!(hall.fair.carry(&first, false).len(), 15);
    sent(&hall, &first, 1, IntentState::Mined(block()));
    hall.tick().await;
    let second = hall.calls.due().pop().unwrap();
    assert_eq!(claims(&second).len(), 4, "who was skipped waits until that is final");
    // Told that it failed, but it happened; and then a reorganisation takes both away.
    sent(&hall, &second, 2, IntentState::Pending);
    hall.tick().await;
    assert!(hall.calls.due().is_empty());
    assert_eq!(hall.fair.carry(&second, false).len(), 4);
    hall.fair.reorganise(id);
    hall.tick().await;
    assert!(hall.calls.due().is_empty(), "the first may yet be mined");
    hall.fair.carry(&first, true);
    hall.fair.carry(&second, true);
    sent(&hall, &first, 1, IntentState::Final(block()));
    sent(&hall, &second, 2, IntentState::Final(block()));
    hall.tick().await;
    assert_eq!(hall.state(id).await, "settling");
    let third = hall.calls.due().pop().unwrap();
    assert_eq!(claims(&third).len(), 1);
    hall.fair.skipped.lock().unwrap().clear();
    assert_eq!(hall.fair.carry(&third, true), [3]);
    hall.tick().await;
    hall.tick().await;
    assert_eq!((hall.state(id).await, hall.delivery(id).await.paid), ("settled", 20));
    let (checked, _) = hall.opened(&cohort, &bytes).await;
    assert_eq!(checked.manifest.persons.len(), 20);
    let keys = hall.fair.shown().iter().map(|told| (told.key, told.file)).collect::<Vec<_>>();
    assert!(keys.iter().all(|key| *key == keys[0]), "one key, one file");
    // Proofs in pages, by place.
    let (page, next) = hall.calls.proofs(address_of(BOREAL), id, None, 15).await.unwrap();
    assert_eq!((page.len(), next), (15, Some(14)));
    let (rest, next) = hall.calls.proofs(address_of(BOREAL), id, next, 15).await.unwrap();
    assert_eq!((rest.len(), next), (5, None));
    hall.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_has_the_gas_of_the_worst_and_fewer_claims_rather_than_less_gas() {
    let folder = tempfile::tempdir().unwrap();
    let hall = Hall::start(&folder);
    let (_, id) = hall.full(&SELLERS, 1).await;
    hall.tick().await;
    hall.shop.anchor(1);
    // 150,000 and 380,000 for each claim, beside the transaction's own.
    *hall.fair.gas_max.lock().unwrap() = 1_000_000;
    hall.tick().await;
    let Some(Call::SettleMany { claims, gas, data, .. }) = hall.calls.due().pop() else {
        panic!("nothing is due")
    };
    assert_eq!((claims.len(), gas), (2, 150_000 + 2 * 380_000));
    assert!(21_000 + 16 * data.len() as u64 + gas <= 1_000_000);
    *hall.fair.gas_max.lock().unwrap() = 400_000;
    hall.tick().await;
    let problem = hall.calls.called().problem.unwrap();
    assert!(problem.what.contains("gas of one claim"), "{problem:?}");
    *hall.fair.gas_max.lock().unwrap() = 1 << 24;
    hall.tick().await;
    assert_eq!(hall.calls.called().problem, None);
    hall.fair.carry(&hall.calls.due()[0], true);
    hall.tick().await;
    assert_eq!(hall.delivery(id).await.paid, 3);
    hall.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_accepts_while_a_key_is_drawn_is_in_the_file_and_who_comes_later_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let hall = Hall::start(&folder);
    hall.shop.keep(ANNA, 4).await;
    hall.shop.keep(KADRI, 5).await;
    hall.shop.keep(STRANGER, 6).await;
    let (_, id) = hall.called(1).await;
    hall.takes(ANNA, id).await;
    hall.tick().await;
    assert_eq!(hall.state(id).await, "collecting", "not full, and there is time");
    let raced = hall.proposed(STRANGER, id).await.unwrap();
    hall.takes(KADRI, id).await;
    hall.tick().await;
    assert_eq!(hall.delivery(id).await.sellers, 2);
    let late = hall.accept(STRANGER, id, raced).await;
    assert!(matches!(late, Err(CallsError::TooLate)), "{late:?}");
    assert!(hall.proposed(STRANGER, id).await.is_none() && hall.cards().is_empty());
    assert!(now_ms() > 0);
    hall.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_step_survives_a_restart_before_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let hall = Hall::start(&folder);
    let (cohort, id) = hall.full(&SELLERS, 1).await;
    let hall = hall.again(&folder).await;
    hall.tick().await;
    let bytes = hall.file(id).await;
    let hall = hall.again(&folder).await;
    hall.shop.anchor(1);
    hall.tick().await;
    // The key may be out: after a start it is settled, whatever else came.
    let hall = hall.again(&folder).await;
    hall.shop.sales.set_opt_out(anna_address(), true).await.unwrap();
    hall.tick().await;
    assert_eq!(hall.fair.carry(&hall.calls.due()[0], true), [0, 1, 2]);
    let hall = hall.again(&folder).await;
    hall.tick().await;
    hall.tick().await;
    assert_eq!(hall.state(id).await, "settled");
    let (checked, _) = hall.opened(&cohort, &bytes).await;
    assert_eq!(checked.unpaid, [0_u32; 0]);
    assert_eq!(cohort.id(&FAIR), id);
    hall.stop().await;
}
