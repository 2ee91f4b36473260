//! What a call to many needs next, step by step.

#[path = "support/steps.rs"]
mod steps;

use alloy_primitives::{Address, B256, U256};
use medtrail_market::cohort::delivery::{
    Alarm, BATCH_MAX, OnChain, Refusal, Seen, Seller, Standing, State, Step, fault, step,
};
use medtrail_permit::dataset::{Dataset, Form, Layout, Origin, Profile};
use medtrail_permit::sale::check::Windows;
use medtrail_permit::sale::{Cohort, Terms, cohort};
use medtrail_permit::statements::Language;
use steps::{BOUND, DELIVER_BY_S, GRACE_S, MARGIN_S, OPEN, SETTLED_BY_S, ids, seen};

const LOCK: B256 = B256::repeat_byte(1);
const FILE: B256 = B256::repeat_byte(2);

fn keyed(count: u32) -> State {
    State::Keyed { lock: LOCK, sellers: ids(0..count) }
}

fn sealed(count: u32) -> State {
    State::Sealed { lock: LOCK, file: FILE, sellers: ids(0..count) }
}

fn shown(count: u32) -> State {
    State::Shown { lock: LOCK, file: FILE, sellers: ids(0..count) }
}

fn ready(count: u32) -> Seen {
    let mut seen = seen(count);
    for seller in &mut seen.sellers {
        (seller.entered, seller.is_anchored) = (Some(FILE), true);
    }
    seen
}

#[test]
fn a_call_goes_its_way() {
    let mut now = seen(3);
    assert_eq!(step(&State::Collecting, &now), Step::Wait);
    now.now_s = DELIVER_BY_S - MARGIN_S;
    assert_eq!(step(&State::Collecting, &now), Step::Key(ids(0..3)));
    assert_eq!(step(&keyed(3), &now), Step::Seal(ids(0..3)));
    assert_eq!(step(&sealed(3), &now), Step::Enter(ids(0..3)));
    now.sellers[1].entered = Some(FILE);
    assert_eq!(step(&sealed(3), &now), Step::Enter(ids([0, 2])), "each once");
    let mut now = ready(3);
    now.sellers[2].is_anchored = false;
    assert_eq!(step(&sealed(3), &now), Step::Wait, "all are anchored, or nobody's is shown");
    let mut now = ready(3);
    assert_eq!(step(&sealed(3), &now), Step::Settle(ids(0..3)));
    now.sellers.iter_mut().for_each(|seller| seller.is_paid_at_head = true);
    now.at_head = Some(BOUND);
    assert_eq!(step(&shown(3), &now), Step::Wait, "not final");
    now.sellers.iter_mut().for_each(|seller| seller.is_paid_at_final = true);
    now.at_final = Some(BOUND);
    assert_eq!(step(&shown(3), &now), Step::Finish);
    assert_eq!(step(&State::Settled, &now), Step::Wait);
}

#[test]
fn all_places_taken_end_the_collecting_and_nobody_stands_there_twice() {
    let mut full = Seen { places: 3, ..seen(3) };
    assert_eq!(step(&State::Collecting, &full), Step::Key(ids(0..3)));
    full.sellers[1].standing = Standing::Ended;
    assert_eq!(step(&State::Collecting, &full), Step::Wait, "the place is free again");
    // One place by two, one seller in two places, a place that there is not.
    let mut doubled = Seen { now_s: DELIVER_BY_S, ..seen(4) };
    doubled.sellers[1].place = 0;
    doubled.sellers[2].seller = doubled.sellers[0].seller;
    doubled.sellers[3].place = 50;
    assert_eq!(step(&State::Collecting, &doubled), Step::Key(ids([0])));
    let late = Seen { now_s: DELIVER_BY_S + 1, ..seen(3) };
    assert_eq!(step(&State::Collecting, &late), Step::Refuse(Refusal::Late));
    let nobody = Seen { now_s: DELIVER_BY_S, ..seen(0) };
    assert_eq!(step(&State::Collecting, &nobody), Step::Wait);
    let nobody = Seen { now_s: DELIVER_BY_S + 1, ..seen(0) };
    assert_eq!(step(&State::Collecting, &nobody), Step::Refuse(Refusal::Nobody));
}

#[test]
fn a_no_before_the_key_is_shown_makes_another_file_under_another_key() {
    let noes: [fn(&mut Seller); 3] = [
        |seller| seller.standing = Standing::Ended,
        |seller| seller.standing = Standing::Frozen,
        |seller| seller.is_barred = true,
    ];
    for no in noes {
        let mut now = ready(3);
        no(&mut now.sellers[1]);
        assert_eq!(step(&keyed(3), &now), Step::Seal(ids([0, 2])), "no file yet");
        assert_eq!(step(&sealed(3), &now), Step::Key(ids([0, 2])));
        now.sellers.iter_mut().for_each(no);
        assert_eq!(step(&keyed(3), &now), Step::Refuse(Refusal::Nobody));
        assert_eq!(step(&sealed(3), &now), Step::Refuse(Refusal::Nobody));
        now.now_s = DELIVER_BY_S;
        assert_eq!(step(&State::Collecting, &now), Step::Wait);
    }
    let lost = Seen { is_kept: false, ..ready(3) };
    assert_eq!(step(&sealed(3), &lost), Step::Key(ids(0..3)));
    // Of one nothing is known now: nothing leaves.
    for state in [keyed(4), sealed(4), shown(4)] {
        assert_eq!(step(&state, &ready(3)), Step::Wait);
    }
}

#[test]
fn afterwards_nobodys_no_stops_the_others() {
    let mut now = ready(3);
    now.sellers[1].standing = Standing::Ended;
    now.sellers[2].is_barred = true;
    assert_eq!(step(&shown(3), &now), Step::Settle(ids([0, 2])));
    now.sellers[0].standing = Standing::Frozen;
    assert_eq!(step(&shown(3), &now), Step::Settle(ids([2])), "the contract asks for the freeze");
    now.at_head = Some(BOUND);
    assert_eq!(step(&shown(3), &now), Step::Settle(ids([2, 0])), "and once bound no more");
}

#[test]
fn the_first_batch_has_the_sure_ones_and_the_others_wait_until_it_is_mined() {
    let count = 40;
    let mut now = ready(count);
    for seller in &mut now.sellers {
        if seller.place % 2 == 0 {
            seller.standing = Standing::Unsure;
        }
    }
    let first = ids((0..count).filter(|place| place % 2 == 1).take(BATCH_MAX));
    assert_eq!(step(&sealed(count), &now), Step::Settle(first.clone()));
    for seller in &mut now.sellers {
        seller.is_sent = first.contains(&seller.acceptance);
    }
    assert_eq!(step(&shown(count), &now), Step::Wait);
    for seller in &mut now.sellers {
        seller.is_paid_at_head = seller.is_sent;
    }
    now.at_head = Some(BOUND);
    let Step::Settle(second) = step(&shown(count), &now) else { panic!("the second batch") };
    assert_eq!(second.len(), BATCH_MAX);
    assert_eq!(second[..4], ids([33, 35, 37, 39]));
    // It was lost: they come again.
    now.sellers.iter_mut().for_each(|seller| seller.is_sent = false);
    assert_eq!(step(&shown(count), &now), Step::Settle(second));
}

#[test]
fn nothing_leaves_unpaid_late_or_on_the_word_of_a_chain_that_cannot_be_read() {
    for state in [State::Collecting, keyed(3), sealed(3), shown(3)] {
        let at = |at_final, at_head| step(&state, &Seen { at_final, at_head, ..ready(3) });
        assert_eq!(at(None, Some(OPEN)), Step::Wait);
        assert_eq!(at(Some(OPEN), None), Step::Wait);
        assert_eq!(at(Some(OnChain::None), Some(OPEN)), Step::Wait);
        assert_eq!(step(&state, &Seen { final_s: None, ..ready(3) }), Step::Wait);
        let closed = OnChain::Closed { is_bound: false };
        assert_eq!(at(Some(closed), Some(closed)), Step::Refuse(Refusal::Closed));
        assert_eq!(at(Some(OPEN), Some(closed)), Step::Wait);
    }
    for state in [State::Collecting, keyed(3), sealed(3)] {
        let wrong = Seen { fault: Some(Refusal::Recipient), ..ready(3) };
        assert_eq!(step(&state, &wrong), Step::Refuse(Refusal::Recipient));
        let theirs = Seen { at_final: Some(BOUND), at_head: Some(BOUND), ..ready(3) };
        assert_eq!(step(&state, &theirs), Step::Alarm(Alarm::SettledByOthers));
        assert_eq!(step(&state, &Seen { at_head: Some(BOUND), ..ready(3) }), Step::Wait);
    }
    let mut other = ready(3);
    other.sellers[1].entered = Some(B256::ZERO);
    assert_eq!(step(&sealed(3), &other), Step::Alarm(Alarm::OtherFile));
    let half_s = DELIVER_BY_S + GRACE_S / 2;
    let at = |now_s| Seen { now_s, ..ready(3) };
    assert_eq!(step(&sealed(3), &at(half_s)), Step::Settle(ids(0..3)));
    for state in [keyed(3), sealed(3)] {
        assert_eq!(step(&state, &at(half_s + 1)), Step::Refuse(Refusal::Late));
    }
    assert_eq!(step(&shown(3), &at(SETTLED_BY_S)), Step::Settle(ids(0..3)));
    assert_eq!(step(&shown(3), &at(SETTLED_BY_S + 1)), Step::Wait);
}

#[test]
fn it_ends_when_no_block_can_pay_anybody_more() {
    let over = Seen { now_s: SETTLED_BY_S + 60, final_s: Some(SETTLED_BY_S + 1), ..ready(3) };
    assert_eq!(step(&shown(3), &over), Step::Refuse(Refusal::Late));
    let bound = Seen { at_final: Some(BOUND), at_head: Some(BOUND), ..over };
    assert_eq!(step(&shown(3), &bound), Step::Finish);
    let early = Seen { final_s: Some(SETTLED_BY_S), ..bound };
    assert_eq!(step(&shown(3), &early), Step::Wait);
    let closed = Some(OnChain::Closed { is_bound: true });
    let closed = Seen { at_final: closed, at_head: closed, ..ready(3) };
    assert_eq!(step(&shown(3), &closed), Step::Finish, "the file is the buyer's");
}

#[test]
fn a_call_with_a_fault_is_known_before_anything_is_drawn() {
    let form = Form::DeIdentified(Profile::SafeHarbor, Layout::Ndjson);
    let dataset =
        Dataset::new("patient/*.rs", Vec::new(), 0, 4_102_444_800, form, Origin::Signed).unwrap();
    let opened_at_s = 1_767_614_400;
    let bare = Cohort {
        buyer: Address::repeat_byte(4),
        log: B256::repeat_byte(2),
        price: U256::from(5),
        places: 3,
        recipient: B256::repeat_byte(0x11),
        deliverBy: opened_at_s + 3 * 86_400,
        grace: 86_400,
        terms: Terms {
            purpose: "HRESCH".into(),
            dataset: dataset.id(),
            salt: B256::repeat_byte(3),
            ..Terms::default()
        },
        salt: B256::repeat_byte(5),
        ..Cohort::default()
    };
    let worded = |bare| cohort::worded(bare, &dataset, Language::En).unwrap();
    let found = |cohort: &Cohort| fault(cohort, &dataset, &Windows::DEFAULT, opened_at_s);
    assert_eq!(found(&worded(bare.clone())), None);
    // A point of low order: what is sealed to it opens for everybody.
    let mut low = B256::ZERO;
    low.0[0] = 1;
    let low = Cohort { recipient: low, ..worded(bare.clone()) };
    assert_eq!(found(&low), Some(Refusal::Recipient));
    for hasty in [
        Cohort { deliverBy: opened_at_s + 86_400, ..bare.clone() },
        Cohort { grace: 3600, ..bare.clone() },
    ] {
        assert_eq!(found(&worded(hasty)), Some(Refusal::Windows));
    }
    let dearer = Cohort { price: U256::from(6), ..worded(bare) };
    assert_eq!(found(&dearer), Some(Refusal::Documents));
}
