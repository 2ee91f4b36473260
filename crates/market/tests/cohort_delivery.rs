//! A call to many in a world where everything happens: crashes before and after each act, money,
//! batches and anchors that are reorganised away, transactions that are lost, sellers who say no or
//! are frozen at any time. Whatever the order of it: one file under a settled key, no data of who
//! said no in time, everybody paid once who kept to the rules.

#[path = "support/steps.rs"]
mod steps;

use alloy_primitives::{B256, U256};
use medtrail_market::cohort::delivery::{
    BATCH_MAX, OnChain, Seen, Seller, Standing, State, Step, step,
};
use std::collections::{BTreeMap, BTreeSet};
use steps::{DELIVER_BY_S, GRACE_S, SETTLED_BY_S, seen, seller};

fn hash(number: u64) -> B256 {
    B256::from(U256::from(number))
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
