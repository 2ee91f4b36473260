//! Sellers who say no on the way: before the key may have been seen another file is made without
//! them, under another key; afterwards they are paid.

use super::fair::Hall;
use super::who::{ROSE, join};
use crate::bazaar::{Act, BOREAL, anna_address};
use crate::permits::{ANNA, KADRI};
use crate::support::{address_of, now_ms};
use alloy_primitives::B256;
use medtrail_ledger::consents::ConsentEvent;
use medtrail_ledger::ports::Parcels;
use medtrail_oracle::calls::CallsError;
use std::collections::BTreeSet;

const BOTH: [u8; 2] = [ANNA, KADRI];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum No {
    Withdrawn,
    OptedOut,
    Revoked,
    Frozen,
}

impl No {
    /// To be done while the log looks at a call.
    fn act(self, hall: &Hall, id: B256, acceptance: B256) -> Act {
        let (calls, sales) = (hall.calls.clone(), hall.shop.sales.clone());
        let chain = hall.shop.world().chain.clone();
        let runtime = tokio::runtime::Handle::current();
        let at_s = now_ms() / 1000;
        Box::new(move || match self {
            Self::Withdrawn => {
                runtime.block_on(calls.withdraw(anna_address(), id)).unwrap();
            }
            Self::OptedOut => {
                runtime.block_on(sales.set_opt_out(anna_address(), true)).unwrap();
            }
            Self::Revoked => {
                let revoked = ConsentEvent::Revoked { permission: acceptance, at_s };
                chain.record(anna_address(), revoked, false);
            }
            Self::Frozen => chain.record(anna_address(), ConsentEvent::Frozen { at_s }, false),
        })
    }
}

fn acceptance_of(hall: &Hall, seller: u8) -> B256 {
    let subject = address_of(seller).into_word();
    let entries = hall.shop.world().all();
    entries
        .iter()
        .find(|one| one.report.subject == subject && one.report.kind == 5)
        .unwrap()
        .report
        .record
}

/// At each look of the log at a call, that at which the key would be shown included.
#[tokio::test(flavor = "multi_thread")]
async fn a_no_before_the_key_is_shown_makes_another_file_under_another_key_without_them() {
    for (no, look) in [No::Withdrawn, No::OptedOut, No::Revoked, No::Frozen]
        .into_iter()
        // Before the first look only a key that is drawn already can be too late.
        .flat_map(|no| (if no == No::Withdrawn { 1 } else { 2 }..6).map(move |look| (no, look)))
    {
        let folder = tempfile::tempdir().unwrap();
        let hall = Hall::start(&folder);
        hall.shop.keep(ANNA, 9).await;
        // So that each look asks whether an anchor lives.
        hall.shop.anchor(1);
        let (cohort, id) = hall.full(&BOTH, 1).await;
        let act = no.act(&hall, id, acceptance_of(&hall, ANNA));
        if look < 5 {
            let mut acts: Vec<Act> = vec![act];
            acts.extend((1..look).map(|_| -> Act { Box::new(|| {}) }));
            hall.shop.bazaar.meanwhile(acts);
            hall.tick().await;
        } else {
            hall.tick().await;
            hall.shop.anchor(2);
            hall.shop.bazaar.meanwhile(vec![act]);
            hall.tick().await;
            assert!(hall.fair.shown().is_empty(), "{no:?}");
        }
        hall.tick().await;
        let delivery = hall.delivery(id).await;
        assert_eq!((delivery.state, delivery.sellers), ("ready", 1), "{no:?} {look}");
        assert_eq!(Parcels::orders(&*hall.post).unwrap().len(), 1, "{no:?} {look}");
        let own = if no == No::Withdrawn { "withdrawn" } else { "ended" };
        assert_eq!(hall.own(ANNA, id).await, own);
        let bytes = hall.file(id).await;
        hall.shop.anchor(3);
        hall.tick().await;
        assert_eq!(hall.fair.carry(&hall.calls.due()[0], true), [1]);
        hall.tick().await;
        hall.tick().await;
        assert_eq!(hall.state(id).await, "settled", "{no:?} {look}");
        let (checked, text) = hall.opened(&cohort, &bytes).await;
        assert_eq!(checked.manifest.consents[0].seller, address_of(KADRI));
        assert!(text.contains("2.5") && !text.contains("1.5") && !text.contains("9.5"));
        // An entry of the other file stands under another key.
        let shown = hall.fair.shown().pop().unwrap();
        for entry in hall.shop.deliveries() {
            let is_anna_s = entry.report.subject == anna_address().into_word();
            assert!(!is_anna_s || entry.report.toVersion != shown.file);
            let is_shown = entry.report.fromVersion == delivery.lock.unwrap();
            assert_eq!(is_shown, entry.report.toVersion == shown.file);
        }
        hall.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_no_once_the_key_may_be_out_is_paid_and_cannot_take_it_back() {
    let folder = tempfile::tempdir().unwrap();
    let hall = Hall::start(&folder);
    let (_, id) = hall.full(&BOTH, 1).await;
    hall.tick().await;
    hall.shop.anchor(1);
    hall.tick().await;
    assert_eq!(hall.state(id).await, "settling");
    let late = hall.calls.withdraw(anna_address(), id).await;
    assert!(matches!(late, Err(CallsError::TooLate)), "{late:?}");
    hall.shop.sales.set_opt_out(anna_address(), true).await.unwrap();
    hall.tick().await;
    let due = hall.calls.due().pop().unwrap();
    assert_eq!(hall.fair.carry(&due, true), [0, 1]);
    hall.tick().await;
    hall.tick().await;
    assert_eq!((hall.own(ANNA, id).await, hall.state(id).await), ("paid", "settled"));
    hall.stop().await;
}

/// What binds is the second of the first settlement: what came in it or before counts, later does not.
#[tokio::test(flavor = "multi_thread")]
async fn once_bound_acceptances_stand_as_they_stood_in_that_second() {
    let folder = tempfile::tempdir().unwrap();
    let hall = Hall::start(&folder);
    let sellers = [101, 102, 103, 104, 105, 106];
    let (_, id) = hall.full(&sellers, 1).await;
    hall.tick().await;
    hall.shop.anchor(1);
    hall.tick().await;
    let first = hall.calls.due().pop().unwrap();
    hall.fair.skipped.lock().unwrap().extend(sellers[1..].iter().map(|one| address_of(*one)));
    assert_eq!(hall.fair.carry(&first, true), [0]);
    let (chain, at_s) = (hall.shop.world().chain.clone(), now_ms() / 1000 + 60);
    let acceptance = |seller| acceptance_of(&hall, seller);
    let early_s = now_ms() / 1000 - 60;
    let events = [
        (102, ConsentEvent::Revoked { permission: acceptance(102), at_s }),
        (103, ConsentEvent::EpochStarted { epoch: 1, at_s }),
        (104, ConsentEvent::Frozen { at_s }),
        (105, ConsentEvent::ControlMoved { controller: address_of(99), at_s }),
        (106, ConsentEvent::Revoked { permission: acceptance(106), at_s: early_s }),
    ];
    for (seller, event) in events {
        chain.record(address_of(seller), event, true);
    }
    hall.tick().await;
    hall.fair.skipped.lock().unwrap().clear();
    let second = hall.calls.due().pop().unwrap();
    let gas = match &second {
        medtrail_ledger::plan::Call::SettleMany { gas, .. } => *gas,
        other => panic!("{other:?}"),
    };
    // Where control moved two wallets may be asked.
    assert_eq!(gas, 150_000 + 4 * 380_000 + 200_000);
    let mut paid = hall.fair.carry(&second, true);
    paid.sort_unstable();
    assert_eq!(paid, [1, 2, 3, 4], "who had revoked before is not among them");
    hall.tick().await;
    // Its place can never be paid: it is over once nothing can come any more.
    assert_eq!(hall.state(id).await, "settling");
    hall.shop.bazaar.pass(2 * super::fair::HOUR_S + 60);
    hall.tick().await;
    assert_eq!(hall.state(id).await, "settled");
    hall.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_addresses_that_were_joined_meanwhile_are_one_person_with_the_lower_place() {
    for is_ready in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let hall = Hall::start(&folder);
        let (_, id) = hall.full(&[KADRI, ROSE, ANNA], 1).await;
        if is_ready {
            hall.tick().await;
            assert_eq!(hall.delivery(id).await.sellers, 3);
        }
        join(&hall, ANNA, ROSE).await;
        hall.tick().await;
        if !is_ready {
            // Two persons of three: not full any more.
            assert_eq!(hall.state(id).await, "collecting");
            hall.stop().await;
            continue;
        }
        assert_eq!((hall.state(id).await, hall.delivery(id).await.sellers), ("ready", 2));
        hall.shop.anchor(1);
        hall.tick().await;
        assert_eq!(hall.fair.carry(&hall.calls.due()[0], true), [0, 1]);
        hall.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_all_say_no_nothing_is_delivered_and_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let hall = Hall::start(&folder);
    let (_, id) = hall.full(&BOTH, 1).await;
    hall.tick().await;
    for seller in BOTH {
        hall.calls.withdraw(address_of(seller), id).await.unwrap();
    }
    hall.tick().await;
    hall.tick().await;
    let delivery = hall.delivery(id).await;
    assert_eq!((delivery.state, delivery.refusal), ("over", Some("nobody")));
    assert!(Parcels::orders(&*hall.post).unwrap().is_empty());
    let gone = hall.calls.download(address_of(BOREAL), id).await;
    assert!(matches!(gone, Err(CallsError::NoFile)), "{gone:?}");
    let seen: BTreeSet<&str> = [hall.own(ANNA, id).await].into();
    assert_eq!(seen, BTreeSet::from(["withdrawn"]));
    hall.stop().await;
}
