//! A delivery in a world where everything happens: crashes before and after each act, payments and
//! anchors that are reorganised away, sellers who change their mind. Whatever the order of it,
//! nothing is delivered unpaid or twice, and nobody loses money who kept to the rules.

mod support;

use alloy_primitives::{Address, B256, U256};
use medtrail_market::delivery::{
    Alarm, Approval, Entered, OnChain, Refusal, Seen, State, Step, fault, step,
};
use medtrail_permit::sale::check::Windows;
use medtrail_permit::sale::{Offer, Order, Terms, words};
use medtrail_permit::statements::Language;

const DELIVER_BY_S: u64 = 1000;
const GRACE_S: u64 = 400;

fn seen() -> Seen {
    Seen {
        now_s: 0,
        deliver_by_s: DELIVER_BY_S,
        grace_s: GRACE_S,
        at_final: Some(OnChain::Paid),
        at_head: Some(OnChain::Paid),
        fault: None,
        approval: Approval::Given,
        opted_out: false,
        is_child: false,
        entered: None,
        is_anchored: false,
        is_kept: false,
    }
}

const FILE: B256 = B256::repeat_byte(1);
const SEALED: State = State::Sealed { file: FILE };
const LOGGED: State = State::Entered { file: FILE, index: 7 };
const SHOWN: State = State::Shown { file: FILE, index: 7 };
const ENTRY: Entered = Entered { index: 7, file: FILE };

fn ready() -> Seen {
    Seen { entered: Some(ENTRY), is_anchored: true, is_kept: true, ..seen() }
}

#[test]
fn a_sale_goes_its_way() {
    assert_eq!(step(&State::New, &seen()), Step::Key);
    assert_eq!(step(&State::Keyed, &seen()), Step::Seal);
    let kept = Seen { is_kept: true, ..seen() };
    assert_eq!(step(&SEALED, &kept), Step::Enter);
    let entered = Seen { entered: Some(ENTRY), ..kept };
    assert_eq!(step(&SEALED, &entered), Step::Adopt(ENTRY), "a crash behind the log's commit");
    assert_eq!(step(&LOGGED, &entered), Step::Wait, "not anchored");
    assert_eq!(step(&LOGGED, &ready()), Step::Settle);
    let settled = Seen { at_final: Some(OnChain::Settled), ..ready() };
    assert_eq!(step(&SHOWN, &settled), Step::Finish);
    assert_eq!(step(&State::Settled, &settled), Step::Wait);
}

#[test]
fn nothing_leaves_unpaid_or_on_the_word_of_a_chain_that_cannot_be_read() {
    for state in [State::New, State::Keyed, SEALED, LOGGED, SHOWN] {
        for at_final in [None, Some(OnChain::None)] {
            assert_eq!(step(&state, &Seen { at_final, ..ready() }), Step::Wait, "{state:?}");
        }
        assert_eq!(step(&state, &Seen { at_head: None, ..ready() }), Step::Wait);
        let back = Seen { at_final: Some(OnChain::Refunded), ..ready() };
        assert_eq!(step(&state, &back), Step::Refuse(Refusal::Refunded));
        let leaving = Seen { at_head: Some(OnChain::Refunded), ..ready() };
        assert_eq!(step(&state, &leaving), Step::Wait);
    }
}

#[test]
fn a_child_an_opt_out_a_withdrawal_and_a_fault_stop_it_until_the_key_is_shown() {
    let stops = [
        (Refusal::Child, Seen { is_child: true, ..ready() }),
        (Refusal::OptedOut, Seen { opted_out: true, ..ready() }),
        (Refusal::Withdrawn, Seen { approval: Approval::Withdrawn, ..ready() }),
        (Refusal::Recipient, Seen { fault: Some(Refusal::Recipient), ..ready() }),
    ];
    for (refusal, seen) in stops {
        for state in [State::New, State::Keyed, SEALED, LOGGED] {
            assert_eq!(step(&state, &seen), Step::Refuse(refusal), "{state:?}");
        }
        // The buyer may have the key already; a contract that refuses shows it for nothing.
        let shown = if refusal == Refusal::Withdrawn { Step::Wait } else { Step::Settle };
        assert_eq!(step(&SHOWN, &seen), shown);
    }
}

#[test]
fn a_key_is_shown_while_half_the_grace_is_left_and_then_as_long_as_it_pays() {
    let at = |now_s| Seen { now_s, ..ready() };
    let half_s = DELIVER_BY_S + GRACE_S / 2;
    assert_eq!(step(&LOGGED, &at(half_s)), Step::Settle);
    assert_eq!(step(&LOGGED, &at(half_s + 1)), Step::Refuse(Refusal::Late));
    assert_eq!(step(&SHOWN, &at(DELIVER_BY_S + GRACE_S)), Step::Settle);
    assert_eq!(step(&SHOWN, &at(DELIVER_BY_S + GRACE_S + 1)), Step::Wait);
    let late = Seen { entered: None, ..at(DELIVER_BY_S + 1) };
    assert_eq!(step(&SEALED, &late), Step::Refuse(Refusal::Late));
    let silent = Seen { approval: Approval::Waiting, ..late };
    assert_eq!(step(&State::New, &silent), Step::Refuse(Refusal::NotApproved));
    assert_eq!(step(&State::New, &Seen { now_s: 0, ..silent }), Step::Wait);
}

#[test]
fn what_cannot_be_is_told_to_a_person() {
    let other = Seen { entered: Some(Entered { file: B256::ZERO, ..ENTRY }), ..ready() };
    for state in [State::New, State::Keyed, SEALED, LOGGED] {
        assert_eq!(step(&state, &other), Step::Alarm(Alarm::OtherFile), "{state:?}");
    }
    assert_eq!(step(&State::Keyed, &ready()), Step::Alarm(Alarm::OtherFile));
    let lost = Seen { is_kept: false, ..ready() };
    assert_eq!(step(&LOGGED, &lost), Step::Alarm(Alarm::FileLost));
    assert_eq!(step(&SEALED, &Seen { entered: None, ..lost }), Step::Seal);
    let settled = Seen { at_final: Some(OnChain::Settled), ..ready() };
    assert_eq!(step(&LOGGED, &settled), Step::Alarm(Alarm::SettledByOthers));
}

#[test]
fn an_order_with_a_fault_is_known_before_anything_is_drawn() {
    let dataset = support::everything(support::SAFE);
    let offer = Offer {
        seller: Address::repeat_byte(1),
        log: B256::repeat_byte(2),
        price: U256::from(5),
        expiresAt: support::NOON_S,
        terms: Terms {
            purpose: "HRESCH".into(),
            dataset: dataset.id(),
            salt: B256::repeat_byte(3),
            ..Terms::default()
        },
        ..Offer::default()
    };
    let order = Order {
        offer: words::worded(offer, &dataset, Language::Et).unwrap(),
        buyer: Address::repeat_byte(4),
        recipient: B256::repeat_byte(0x11),
        deliverBy: support::NOON_S + 3 * 86_400,
        grace: 86_400,
        salt: B256::repeat_byte(5),
    };
    let found = |order: &Order| fault(order, &dataset, &Windows::DEFAULT, support::NOON_S);
    assert_eq!(found(&order), None);
    // A point of low order: what is sealed to it opens for everybody.
    let mut low = B256::ZERO;
    low.0[0] = 1;
    assert_eq!(found(&Order { recipient: low, ..order.clone() }), Some(Refusal::Recipient));
    let hasty = Order { deliverBy: support::NOON_S + 86_400, ..order.clone() };
    assert_eq!(found(&hasty), Some(Refusal::Windows));
    let mut cheaper = order;
    cheaper.offer.price = U256::ONE;
    assert_eq!(found(&cheaper), Some(Refusal::Documents));
}

/// Numbers from a seed (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }
}

/// The contract, the log and the disk.
struct World {
    now_s: u64,
    at_final: OnChain,
    at_head: OnChain,
    approval: Approval,
    opted_out: bool,
    is_child: bool,
    /// On disk.
    state: State,
    key: Option<u64>,
    file: Option<B256>,
    /// In the log: it takes one event an order.
    entered: Option<Entered>,
    anchored_at_s: Option<u64>,
    /// What strangers may have seen.
    is_key_shown: bool,
    keys_drawn: u64,
    files_sealed: u8,
}

impl World {
    fn new(random: &mut Random) -> Self {
        Self {
            now_s: 0,
            at_final: OnChain::None,
            at_head: OnChain::None,
            approval: if random.one_in(3) { Approval::Waiting } else { Approval::Given },
            opted_out: false,
            is_child: random.one_in(12),
            state: State::New,
            key: None,
            file: None,
            entered: None,
            anchored_at_s: None,
            is_key_shown: false,
            keys_drawn: 0,
            files_sealed: 0,
        }
    }

    fn seen(&self, random: &mut Random) -> Seen {
        let is_read = !random.one_in(20);
        Seen {
            now_s: self.now_s,
            at_final: is_read.then_some(self.at_final),
            at_head: is_read.then_some(self.at_head),
            approval: self.approval,
            opted_out: self.opted_out,
            is_child: self.is_child,
            entered: self.entered,
            is_anchored: self.anchored_at_s.is_some_and(|at_s| at_s + 30 <= self.now_s),
            is_kept: self.file.is_some() && self.names_kept_file(),
            ..seen()
        }
    }

    fn names_kept_file(&self) -> bool {
        match self.state {
            State::Sealed { file } | State::Entered { file, .. } | State::Shown { file, .. } => {
                self.file == Some(file)
            }
            _ => false,
        }
    }

    /// Time passes, and things happen.
    fn turn(&mut self, random: &mut Random) {
        self.now_s += random.below(20);
        match random.below(10) {
            // Paid, reorganised away, paid again.
            0 if self.at_head == OnChain::None => self.at_head = OnChain::Paid,
            1 if self.at_final == OnChain::None => self.at_head = OnChain::None,
            2 | 3 => self.at_final = self.at_head,
            // A settlement that is not final is reorganised away.
            4 if self.at_head == OnChain::Settled && self.at_final == OnChain::Paid => {
                self.at_head = OnChain::Paid;
            }
            5 if self.approval == Approval::Waiting => self.approval = Approval::Given,
            // A decline refunds at once.
            6 if random.one_in(30) => {
                self.approval = Approval::Withdrawn;
                if self.at_head == OnChain::Paid {
                    self.at_head = OnChain::Refunded;
                }
            }
            7 if random.one_in(30) => self.opted_out = true,
            8 if self.entered.is_some() => match self.anchored_at_s {
                None => self.anchored_at_s = Some(self.now_s),
                // Not final yet: it goes.
                Some(at_s) if at_s + 30 > self.now_s && random.one_in(4) => {
                    self.anchored_at_s = None;
                }
                Some(_) => {}
            },
            _ => {}
        }
        let is_over = self.now_s > DELIVER_BY_S + GRACE_S;
        if is_over && self.at_head == OnChain::Paid && random.one_in(3) {
            self.at_head = OnChain::Refunded;
        }
    }

    /// Does a step; a crash in between leaves what was durable.
    fn act(&mut self, step: Step, random: &mut Random) {
        let mut crash = || random.one_in(6);
        match step {
            Step::Wait => {}
            Step::Alarm(alarm) => panic!("{alarm:?}"),
            Step::Key => {
                assert_eq!(self.at_final, OnChain::Paid);
                // One transaction: key and state.
                if !crash() {
                    self.keys_drawn += 1;
                    self.key = Some(self.keys_drawn);
                    self.state = State::Keyed;
                }
            }
            Step::Seal => {
                assert_eq!(self.at_final, OnChain::Paid, "nothing is sealed unpaid");
                assert!(self.key.is_some() && self.entered.is_none());
                if crash() {
                    return;
                }
                self.files_sealed += 1;
                let file = B256::repeat_byte(self.files_sealed);
                self.file = Some(file);
                if !crash() {
                    self.state = State::Sealed { file };
                }
            }
            Step::Enter => {
                assert!(self.approval == Approval::Given && !self.opted_out && !self.is_child);
                let State::Sealed { file } = self.state else { panic!("{:?}", self.state) };
                assert_eq!(self.file, Some(file), "the log names what is on disk");
                assert!(self.entered.is_none(), "the log takes one");
                if crash() {
                    return;
                }
                self.entered = Some(Entered { index: self.now_s, file });
                if !crash() {
                    self.state = State::Entered { file, index: self.now_s };
                }
            }
            Step::Adopt(Entered { index, file }) => {
                if !crash() {
                    self.state = State::Entered { file, index };
                }
            }
            Step::Settle => {
                let entered = self.entered.unwrap();
                assert_eq!(self.file, Some(entered.file), "the buyer can have the file");
                assert_eq!(self.at_final, OnChain::Paid);
                assert_eq!(self.approval, Approval::Given, "the contract would refuse");
                assert!(self.at_head == OnChain::Paid && self.now_s <= DELIVER_BY_S + GRACE_S);
                if !matches!(self.state, State::Shown { .. }) {
                    assert!(
                        !self.is_key_shown && self.anchored_at_s.is_some(),
                        "the contract would refuse"
                    );
                    assert!(!self.opted_out && !self.is_child);
                    assert!(self.now_s <= DELIVER_BY_S + GRACE_S / 2);
                }
                if crash() {
                    return;
                }
                let Entered { index, file } = entered;
                self.state = State::Shown { file, index };
                if crash() {
                    return;
                }
                self.is_key_shown = true;
                // The transaction is mined, or not yet.
                if self.at_head == OnChain::Paid && !random.one_in(3) {
                    self.at_head = OnChain::Settled;
                }
            }
            Step::Finish => {
                assert_eq!(self.at_final, OnChain::Settled);
                self.state = State::Settled;
            }
            Step::Refuse(refusal) => {
                assert!(refusal == Refusal::Refunded || !self.is_key_shown, "{refusal:?}");
                (self.key, self.file) = (None, None);
                self.state = State::Over(refusal);
            }
        }
    }
}

#[test]
fn whatever_happens_nothing_is_delivered_unpaid_or_twice() {
    let (mut settled, mut over, mut lost) = (0, 0, 0);
    for seed in 0..4000 {
        let mut random = Random(seed);
        let mut world = World::new(&mut random);
        for _ in 0..600 {
            world.turn(&mut random);
            let seen = world.seen(&mut random);
            let step = step(&world.state, &seen);
            world.act(step, &mut random);
            assert!(world.keys_drawn <= 1, "seed {seed}: a second key");
            if world.is_key_shown {
                assert!(world.entered.is_some(), "seed {seed}");
            }
        }
        match world.state {
            State::Settled => settled += 1,
            State::Over(_) => {
                assert_ne!(world.at_final, OnChain::Settled, "seed {seed}");
                over += 1;
                lost += u32::from(world.is_key_shown && world.approval == Approval::Given);
            }
            State::New => assert_ne!(world.at_final, OnChain::Paid, "seed {seed}"),
            state => panic!("seed {seed} ends in {state:?}"),
        }
    }
    assert!(settled > 1500 && over > 500, "{settled} settled, {over} over");
    // A key that was shown while half the grace was left was mined in time, in every run.
    assert_eq!(lost, 0);
}

#[test]
fn in_a_world_without_trouble_every_sale_is_settled() {
    for seed in 0..200 {
        let mut random = Random(seed);
        let mut world = World::new(&mut random);
        (world.is_child, world.approval) = (false, Approval::Given);
        (world.at_final, world.at_head) = (OnChain::Paid, OnChain::Paid);
        for _ in 0..200 {
            world.now_s += 5;
            if world.entered.is_some() && world.anchored_at_s.is_none() {
                world.anchored_at_s = Some(world.now_s);
            }
            if world.now_s.is_multiple_of(20) {
                world.at_final = world.at_head;
            }
            let seen = world.seen(&mut random);
            // Crashes all the same.
            let step = step(&world.state, &seen);
            world.act(step, &mut random);
        }
        assert_eq!(world.state, State::Settled, "seed {seed}");
    }
}
