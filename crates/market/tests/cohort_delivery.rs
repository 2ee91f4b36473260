//! A call to many in a world where everything happens: crashes before and after each act, money,
//! batches and anchors that are reorganised away, transactions that are lost, sellers who say no or
//! are frozen at any time. Whatever the order of it: one file under a settled key, no data of who
//! said no in time, everybody paid once who kept to the rules.

use alloy_primitives::{Address, B256, U256};
use medtrail_market::cohort::delivery::{
    Alarm, BATCH_MAX, OnChain, Refusal, Seen, Seller, Standing, State, Step, fault, step,
};
use medtrail_permit::dataset::{Dataset, Form, Layout, Origin, Profile};
use medtrail_permit::sale::check::Windows;
use medtrail_permit::sale::{Cohort, Terms, cohort};
use medtrail_permit::statements::Language;
use std::collections::{BTreeMap, BTreeSet};

const DELIVER_BY_S: u64 = 1000;
const GRACE_S: u64 = 1000;
const SETTLED_BY_S: u64 = DELIVER_BY_S + GRACE_S;
const MARGIN_S: u64 = 400;
const OPEN: OnChain = OnChain::Open { is_bound: false };
const BOUND: OnChain = OnChain::Open { is_bound: true };

fn id(number: u32) -> B256 {
    B256::from(U256::from(1000 + number))
}

fn hash(number: u64) -> B256 {
    B256::from(U256::from(number))
}

fn seller(number: u32) -> Seller {
    Seller {
        acceptance: id(number),
        place: number,
        seller: Address::left_padding_from(&(number + 1).to_be_bytes()),
        standing: Standing::Sure,
        is_barred: false,
        entered: None,
        is_anchored: false,
        is_sent: false,
        is_paid_at_head: false,
        is_paid_at_final: false,
    }
}

fn seen(count: u32) -> Seen {
    Seen {
        now_s: 0,
        final_s: Some(0),
        deliver_by_s: DELIVER_BY_S,
        grace_s: GRACE_S,
        margin_s: MARGIN_S,
        places: 50,
        at_final: Some(OPEN),
        at_head: Some(OPEN),
        fault: None,
        is_kept: true,
        sellers: (0..count).map(seller).collect(),
    }
}

fn ids(numbers: impl IntoIterator<Item = u32>) -> Vec<B256> {
    numbers.into_iter().map(id).collect()
}

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

/// A seller, as chain and log have them.
#[derive(Clone)]
struct Person {
    accepted: bool,
    by_wallet: bool,
    revoked_at_s: Option<u64>,
    frozen: bool,
    /// The log's entries: by lock, the file and its place in time.
    entries: BTreeMap<B256, (B256, u64)>,
}

/// What the contract knows in one block's view.
#[derive(Clone, Default)]
struct Contract {
    opened: bool,
    closed: bool,
    bound_at_s: Option<u64>,
    lock: Option<(B256, B256)>,
    paid: BTreeSet<u32>,
}

struct Tx {
    claims: Vec<u32>,
    lock: B256,
    file: B256,
}

struct World {
    now_s: u64,
    head: Contract,
    at_final: Contract,
    final_s: u64,
    people: Vec<Person>,
    barred: BTreeSet<u32>,
    pool: Vec<Tx>,
    anchored_at_s: Option<u64>,
    /// On disk.
    state: State,
    lock: Option<B256>,
    file: Option<B256>,
    contents: BTreeMap<B256, Vec<u32>>,
    counter: u64,
    /// Keys that strangers may have seen, and the file's sellers at that time.
    shown: BTreeSet<B256>,
    shown_late: bool,
    /// Files whose hash the log named, by lock.
    logged: BTreeMap<B256, BTreeSet<B256>>,
    mood: Mood,
    /// No money before.
    opens_at_s: u64,
    /// No anchor before.
    anchors_from_s: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    Calm,
    Rough,
    /// Few sellers, most of whom say no, slow anchors and late money.
    Harsh,
}

impl World {
    fn new(random: &mut Random) -> Self {
        let mood = [Mood::Calm, Mood::Rough, Mood::Harsh][random.below(3) as usize];
        let count = 1 + random.below(if mood == Mood::Harsh { 5 } else { 26 });
        let opens_at_s = if mood == Mood::Harsh { random.below(1300) } else { 0 };
        let anchors_from_s = if mood == Mood::Harsh { random.below(1800) } else { 0 };
        let people = (0..count)
            .map(|_| Person {
                accepted: random.one_in(2),
                by_wallet: random.one_in(5),
                revoked_at_s: None,
                frozen: false,
                entries: BTreeMap::new(),
            })
            .collect();
        Self {
            now_s: 0,
            head: Contract::default(),
            at_final: Contract::default(),
            final_s: 0,
            people,
            barred: BTreeSet::new(),
            pool: Vec::new(),
            anchored_at_s: None,
            state: State::Collecting,
            lock: None,
            file: None,
            contents: BTreeMap::new(),
            counter: 0,
            shown: BTreeSet::new(),
            shown_late: false,
            logged: BTreeMap::new(),
            mood,
            opens_at_s,
            anchors_from_s,
        }
    }

    /// As the contract judges it now.
    fn standing(&self, number: u32) -> Standing {
        let person = &self.people[number as usize];
        let as_of_s = self.head.bound_at_s.unwrap_or(self.now_s);
        if person.revoked_at_s.is_some_and(|at_s| at_s <= as_of_s) {
            Standing::Ended
        } else if person.frozen {
            Standing::Frozen
        } else if person.by_wallet {
            Standing::Unsure
        } else {
            Standing::Sure
        }
    }

    fn is_anchored(&self, entered_at_s: u64) -> bool {
        self.anchored_at_s.is_some_and(|at_s| at_s > entered_at_s && at_s + 30 <= self.now_s)
    }

    fn seen(&self, random: &mut Random) -> Seen {
        let is_read = !random.one_in(20);
        let view = |contract: &Contract| match contract {
            Contract { opened: false, .. } => OnChain::None,
            Contract { closed: true, bound_at_s, .. } => {
                OnChain::Closed { is_bound: bound_at_s.is_some() }
            }
            Contract { bound_at_s, .. } => OnChain::Open { is_bound: bound_at_s.is_some() },
        };
        let lock = match &self.state {
            State::Keyed { lock, .. } | State::Sealed { lock, .. } | State::Shown { lock, .. } => {
                Some(*lock)
            }
            _ => None,
        };
        let accepted = (0..).zip(&self.people).filter(|(_, person)| person.accepted);
        let sellers = accepted.map(|(number, person)| {
            let entry = lock.and_then(|lock| person.entries.get(&lock));
            Seller {
                standing: self.standing(number),
                is_barred: self.barred.contains(&number),
                entered: entry.map(|(file, _)| *file),
                is_anchored: entry.is_some_and(|(_, at_s)| self.is_anchored(*at_s)),
                is_sent: self.pool.iter().any(|tx| tx.claims.contains(&number)),
                is_paid_at_head: self.head.paid.contains(&number),
                is_paid_at_final: self.at_final.paid.contains(&number),
                ..seller(number)
            }
        });
        Seen {
            now_s: self.now_s,
            final_s: is_read.then_some(self.final_s),
            places: self.people.len() as u32,
            at_final: is_read.then(|| view(&self.at_final)),
            at_head: is_read.then(|| view(&self.head)),
            is_kept: self.file.is_some() && self.names_kept_file(),
            sellers: sellers.collect(),
            ..seen(0)
        }
    }

    fn names_kept_file(&self) -> bool {
        match self.state {
            State::Sealed { file, .. } | State::Shown { file, .. } => self.file == Some(file),
            _ => false,
        }
    }

    /// The contract's own rules.
    fn mine(&mut self, tx: &Tx) {
        let is_open = self.head.opened && !self.head.closed && self.now_s <= SETTLED_BY_S;
        if !is_open || self.head.lock.is_some_and(|lock| lock != (tx.lock, tx.file)) {
            return;
        }
        let pays: Vec<u32> = tx
            .claims
            .iter()
            .copied()
            .filter(|number| {
                let entry = self.people[*number as usize].entries.get(&tx.lock);
                let is_logged =
                    entry.is_some_and(|(file, at_s)| *file == tx.file && self.is_anchored(*at_s));
                let stands = match self.standing(*number) {
                    Standing::Sure | Standing::Unsure => true,
                    Standing::Frozen => self.head.bound_at_s.is_some(),
                    Standing::Ended => false,
                };
                is_logged && stands && !self.head.paid.contains(number)
            })
            .collect();
        if pays.is_empty() {
            return;
        }
        for number in pays {
            assert!(self.head.paid.insert(number), "paid twice");
        }
        self.head.bound_at_s.get_or_insert(self.now_s);
        self.head.lock = Some((tx.lock, tx.file));
    }

    /// Time passes, and things happen.
    fn turn(&mut self, random: &mut Random) {
        self.now_s += random.below(if self.mood == Mood::Calm { 8 } else { 14 });
        let who = random.below(self.people.len() as u64) as usize;
        let is_troubled = self.mood != Mood::Calm || random.one_in(4);
        match random.below(14) {
            0 if !self.head.opened && self.now_s >= self.opens_at_s => self.head.opened = true,
            // Opened, reorganised away, opened again.
            1 if !self.at_final.opened && is_troubled => self.head = Contract::default(),
            2 | 3 => (self.at_final, self.final_s) = (self.head.clone(), self.now_s),
            // What is not final is reorganised away, and the transactions with it.
            4 if self.at_final.opened && random.one_in(6) && is_troubled => {
                self.head = self.at_final.clone();
            }
            5 | 6 if self.now_s < DELIVER_BY_S => self.people[who].accepted = true,
            7 if random.one_in([60, 12, 2][self.mood as usize]) => {
                self.people[who].revoked_at_s.get_or_insert(self.now_s);
            }
            8 if random.one_in(20) && is_troubled => self.people[who].frozen = true,
            9 => self.people[who].frozen = false,
            10 if random.one_in(60) && is_troubled => drop(self.barred.insert(who as u32)),
            11 | 12 if self.now_s >= self.anchors_from_s => match self.anchored_at_s {
                // Not final yet: it goes.
                Some(at_s) if at_s + 30 > self.now_s && random.one_in(6) => {
                    self.anchored_at_s = None;
                }
                Some(at_s) if at_s + 60 > self.now_s => {}
                _ => self.anchored_at_s = Some(self.now_s),
            },
            _ => {}
        }
        // A transaction is mined, or lost.
        while !self.pool.is_empty() && !random.one_in(3) {
            let tx = self.pool.remove(0);
            if !random.one_in(6) {
                self.mine(&tx);
            }
        }
        // Who has accepted and has a slow anchor waits; the buyer closes when it may.
        if self.now_s > SETTLED_BY_S && self.head.opened && random.one_in(3) {
            self.head.closed = true;
        }
    }

    fn fresh(&mut self) -> B256 {
        self.counter += 1;
        hash(self.counter)
    }

    fn numbers(ids: &[B256]) -> Vec<u32> {
        ids.iter().map(|id| U256::from_be_bytes(id.0).to::<u32>() - 1000).collect()
    }

    fn may_leave(&self, number: u32) -> bool {
        !self.barred.contains(&number)
            && matches!(self.standing(number), Standing::Sure | Standing::Unsure)
    }

    /// Does a step; a crash in between leaves what was durable.
    fn act(&mut self, step: Step, random: &mut Random) {
        let mut crash = || random.one_in(6);
        match step {
            Step::Wait => {}
            Step::Alarm(alarm) => panic!("{alarm:?}"),
            Step::Key(sellers) => {
                assert!(self.at_final.opened && self.head.bound_at_s.is_none());
                assert!(self.shown.is_empty(), "no other key once one was shown");
                if crash() {
                    return;
                }
                let lock = self.fresh();
                (self.lock, self.file) = (Some(lock), None);
                self.state = State::Keyed { lock, sellers };
            }
            Step::Seal(sellers) => {
                assert!(self.at_final.opened, "nothing is sealed unpaid");
                let lock = self.lock.unwrap();
                assert!(!self.logged.contains_key(&lock), "a second file under one key");
                let numbers = Self::numbers(&sellers);
                for number in &numbers {
                    assert!(self.may_leave(*number), "who said no is not in the file");
                }
                if crash() {
                    return;
                }
                let file = self.fresh();
                self.file = Some(file);
                self.contents.insert(file, numbers);
                if !crash() {
                    self.state = State::Sealed { lock, file, sellers };
                }
            }
            Step::Enter(sellers) => {
                let State::Sealed { lock, file, .. } = self.state else {
                    panic!("{:?}", self.state)
                };
                assert_eq!(self.file, Some(file), "the log names what is on disk");
                for number in Self::numbers(&sellers) {
                    assert!(self.contents[&file].contains(&number));
                    // Any part of them may be there after a crash.
                    if crash() {
                        return;
                    }
                    self.logged.entry(lock).or_default().insert(file);
                    let entry =
                        self.people[number as usize].entries.insert(lock, (file, self.now_s));
                    assert!(entry.is_none(), "the log takes one of each under one key");
                }
            }
            Step::Settle(sellers) => {
                assert!((1..=BATCH_MAX).contains(&sellers.len()));
                let (lock, file, all, was_shown) = match self.state.clone() {
                    State::Sealed { lock, file, sellers } => (lock, file, sellers, false),
                    State::Shown { lock, file, sellers } => (lock, file, sellers, true),
                    state => panic!("{state:?}"),
                };
                assert!(self.at_final.opened, "shown before the money is final");
                if !was_shown {
                    assert_eq!(self.file, Some(file), "the buyer can have the file");
                    assert!(self.shown.is_empty());
                    assert!(self.now_s <= DELIVER_BY_S + GRACE_S / 2);
                    for number in Self::numbers(&all) {
                        assert!(self.may_leave(number), "data of who said no are shown");
                        let (theirs, at_s) = self.people[number as usize].entries[&lock];
                        assert!(theirs == file && self.is_anchored(at_s));
                    }
                }
                let claims = Self::numbers(&sellers);
                for number in &claims {
                    assert!(!self.head.paid.contains(number), "settled twice");
                    assert!(!self.pool.iter().any(|tx| tx.claims.contains(number)));
                    assert_eq!(self.people[*number as usize].entries[&lock].0, file);
                    assert_ne!(self.standing(*number), Standing::Ended);
                }
                if self.head.bound_at_s.is_none() {
                    assert!(self.pool.is_empty(), "the first batch goes alone");
                }
                if crash() {
                    return;
                }
                self.state = State::Shown { lock, file, sellers: all };
                if crash() {
                    return;
                }
                self.shown.insert(lock);
                self.pool.push(Tx { claims, lock, file });
            }
            Step::Finish => {
                assert!(self.at_final.bound_at_s.is_some());
                self.state = State::Settled;
            }
            Step::Refuse(refusal) => {
                let can_pay = self.final_s <= SETTLED_BY_S && !self.at_final.closed;
                assert!(self.shown.is_empty() || !can_pay, "{refusal:?}");
                self.shown_late |= !self.shown.is_empty();
                (self.lock, self.file) = (None, None);
                self.state = State::Over(refusal);
            }
        }
    }
}

#[test]
fn whatever_happens_one_file_is_shown_and_everybody_is_paid_once() {
    let (mut settled, mut over, mut anew, mut many, mut unpaid) = (0, 0, 0, 0, 0);
    for seed in 0..4000 {
        let mut random = Random(seed);
        let mut world = World::new(&mut random);
        let mut keys = 0;
        for _ in 0..700 {
            world.turn(&mut random);
            let seen = world.seen(&mut random);
            let step = step(&world.state, &seen);
            keys += u32::from(matches!(step, Step::Key(_)));
            world.act(step, &mut random);
            assert!(world.shown.len() <= 1, "seed {seed}: two keys");
            if matches!(world.state, State::Settled | State::Over(_)) {
                break;
            }
        }
        for files in world.logged.values() {
            assert_eq!(files.len(), 1, "seed {seed}: two files under one key");
        }
        anew += u32::from(keys > 1);
        match world.state {
            State::Settled => {
                settled += 1;
                let (lock, file) = world.at_final.lock.unwrap();
                assert_eq!(world.shown.iter().collect::<Vec<_>>(), [&lock], "seed {seed}");
                many += u32::from(world.at_final.paid.len() > BATCH_MAX);
                let bound_at_s = world.at_final.bound_at_s.unwrap();
                for number in &world.contents[&file] {
                    let person = &world.people[*number as usize];
                    let no_at_s = person.revoked_at_s.unwrap_or(u64::MAX);
                    let is_paid = world.at_final.paid.contains(number);
                    // In that very second either may have been first.
                    assert!(!(no_at_s < bound_at_s && is_paid), "seed {seed}");
                    unpaid += u32::from(no_at_s > bound_at_s && !is_paid);
                }
                for number in &world.at_final.paid {
                    assert!(world.contents[&file].contains(number), "seed {seed}");
                }
            }
            State::Over(_) => {
                assert!(world.at_final.bound_at_s.is_none(), "seed {seed}");
                over += 1;
            }
            State::Collecting if !world.at_final.opened => {}
            state => panic!("seed {seed} ends in {state:?}"),
        }
        if world.shown_late {
            // Shown for nothing only where all of them said no, or are frozen, until the end.
            let file = world.contents.last_key_value().unwrap().1;
            let lost = file.iter().filter(|number| {
                let person = &world.people[**number as usize];
                person.revoked_at_s.is_none() && !person.frozen
            });
            assert_eq!(lost.count(), 0, "seed {seed}");
        }
    }
    assert!(settled > 1500 && over > 200, "{settled} settled, {over} over");
    assert!(anew > 500 && many > 300, "{anew} made anew, {many} in more than one batch");
    // Half the grace was enough for every batch: nobody who stands was left out.
    assert_eq!(unpaid, 0);
}

#[test]
fn in_a_world_without_trouble_all_are_paid() {
    for seed in 0..300 {
        let mut random = Random(seed);
        let mut world = World::new(&mut random);
        world.head.opened = true;
        world.at_final.opened = true;
        world.people.iter_mut().for_each(|person| person.accepted = true);
        for _ in 0..350 {
            world.now_s += 5;
            if world.now_s.is_multiple_of(50) {
                world.anchored_at_s = Some(world.now_s);
            }
            if world.now_s.is_multiple_of(20) {
                (world.at_final, world.final_s) = (world.head.clone(), world.now_s);
            }
            while let Some(tx) = world.pool.pop() {
                world.mine(&tx);
            }
            let seen = world.seen(&mut random);
            // Crashes all the same.
            let step = step(&world.state, &seen);
            world.act(step, &mut random);
        }
        assert_eq!(world.state, State::Settled, "seed {seed}");
        assert_eq!(world.at_final.paid.len(), world.people.len(), "seed {seed}");
    }
}
