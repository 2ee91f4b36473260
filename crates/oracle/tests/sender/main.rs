//! Hundreds of random histories of one anchorer on a chain in memory: reorganisations that mine
//! replaced attempts, dropped transactions, lost replies, failed calls, fee spikes, lagging nodes,
//! hidden events, and crashes at each boundary between disk, signer and node.
//!
//! Each history is one number. A broken promise names it; `MEDTRAIL_SEED=n` replays it alone, and
//! `MEDTRAIL_SEEDS=n` runs that many.

mod following;
mod model;
mod node;
mod read_back;
mod world;

use medtrail_ledger::checkpoint::SignedCheckpoint;
use medtrail_ledger::plan::{Call, IntentState};
use medtrail_oracle::anchorer::{Anchorer, Config, Ports, Status};
use medtrail_oracle::sender::Limits;
use model::{GWEI, US};
use node::Node;
use std::sync::Arc;
use std::thread;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch::Receiver;
use world::{Counts, HARD_CAP, LOG, Mutant, ORIGIN, World};

/// Histories in a usual run.
const SEEDS: u64 = 200;
const STEPS: u32 = 250;
/// Rounds of a block and a tick until a quiet chain must have everything final.
const QUIET_ROUNDS: u32 = 120;

fn start(world: &Arc<World>) -> (Anchorer<Node>, Receiver<Status>) {
    let ports = Ports {
        registry: Node(world.clone()),
        journal: world.clone(),
        outbox: world.clone(),
        notary: world.clone(),
        courier: world.clone(),
    };
    let open = Call::Open {
        origin: ORIGIN.to_owned(),
        cold_key: US,
        note_key: LOG,
        anchor_within_s: 3600,
    };
    let config = Config {
        log: LOG,
        origin: ORIGIN.to_owned(),
        open: Some(open),
        since_block: 0,
        interval_s: 60,
        entries_max: 300,
        limits: Limits::with_fee_cap(HARD_CAP),
    };
    Anchorer::new(ports, config)
}

/// A world without faults.
fn quiet() -> Arc<World> {
    let world = World::new(0, None);
    world.lock().calm();
    world
}

/// One history: rough, then quiet until everything is final. What it counted, or what it broke.
fn history(seed: u64, mutant: Option<Mutant>, runtime: &Runtime) -> Result<Counts, String> {
    let world = World::new(seed, mutant);
    let (mut anchorer, mut status) = start(&world);
    let told = |status: &Receiver<Status>| format!("{:?}", status.borrow());
    for _ in 0..STEPS {
        disturb(&world);
        let now_s = world.lock().now_s();
        runtime.block_on(anchorer.tick(now_s));
        world.write_late();
        // The mutant forgets on disk; only a restart makes it forget in memory too.
        if world.lock().is_dead || mutant == Some(Mutant::ForgetsOldAttempts) {
            world.revive();
            (anchorer, status) = start(&world);
        }
        if let Some(broken) = world.lock().violations.first() {
            return Err(format!("{broken}; {}", told(&status)));
        }
    }
    world.lock().calm();
    for _ in 0..QUIET_ROUNDS {
        world.lock().chain.mine(false);
        let now_s = world.lock().now_s();
        runtime.block_on(anchorer.tick(now_s));
        world.write_late();
    }
    let mut inner = world.lock();
    if let Some(broken) = inner.violations.first() {
        return Err(broken.clone());
    }
    inner.judge().map_err(|broken| format!("{broken}; {}", told(&status)))?;
    let (anchors, old) = (inner.chain.head().state.anchors.len(), inner.chain.old_attempts_mined);
    inner.counts.anchors = anchors as u64;
    inner.counts.old_attempts_mined = old;
    Ok(inner.counts)
}

/// One thing that happens between two ticks.
fn disturb(world: &World) {
    let inner = &mut *world.lock();
    match inner.random.below(100) {
        0..60 => {
            let fails = inner.random.percent(5);
            let before = inner.chain.head().state.nonce;
            inner.chain.mine(fails);
            let failed = fails && inner.chain.head().state.nonce > before;
            inner.counts.failed_calls += u64::from(failed);
        }
        60..78 => {
            let entries = 1 + inner.random.below(40);
            inner.grow(entries);
        }
        78..86 => {
            inner.counts.reorgs += 1;
            let depth = 1 + inner.random.below(7);
            inner.chain.reorg(depth, &mut inner.random);
        }
        86..90 => {
            inner.counts.drops += 1;
            inner.chain.drop_pool();
        }
        90..94 => {
            inner.counts.fee_spikes += 1;
            inner.chain.base_fee = (5 + inner.random.below(400) as u128) * GWEI;
        }
        94..97 => inner.chain.base_fee = (1 + inner.random.below(20) as u128) * GWEI,
        _ => inner.chain.is_stuck = !inner.chain.is_stuck,
    }
}

impl world::Inner {
    fn calm(&mut self) {
        self.is_rough = false;
        self.chain.is_stuck = false;
        self.chain.base_fee = 10 * GWEI;
    }

    /// What must hold once a quiet chain had its time.
    fn judge(&self) -> Result<(), String> {
        let (state, plan) = (&self.chain.head().state, &self.disk.plan);
        let sizes: Vec<u64> = state.anchors.iter().map(|anchor| anchor.size).collect();
        if !sizes.is_sorted_by(|a, b| a < b) || sizes.last() != Some(&self.entries()) {
            return Err(format!("anchored sizes {sizes:?} of {} entries", self.entries()));
        }
        for anchor in &state.anchors {
            if self.root_at(anchor.size) != Some(anchor.root) {
                return Err(format!("{anchor:?} has a wrong root"));
            }
            let note = self.disk.notes.get(&anchor.size).map(|note| SignedCheckpoint::parse(note));
            match note {
                Some(Ok(kept)) if kept.checkpoint.root == anchor.root.0 => {}
                _ => return Err(format!("no checkpoint is kept for {anchor:?}")),
            }
        }
        let known: Vec<_> = plan.anchors.iter().map(|record| record.anchor).collect();
        if known != state.anchors || !plan.anchors.iter().all(|record| record.is_final) {
            return Err(format!("the disk knows {:?}, not {:?}", plan.anchors, state.anchors));
        }
        for record in &plan.anchors {
            let block = &self.chain.blocks[record.block.number as usize];
            if block.header.block != record.block || !block.txs.contains(&(record.tx, true)) {
                return Err(format!("{record:?} is not where it should be"));
            }
        }
        let unsettled = |state| !matches!(state, IntentState::Final(_));
        if plan.intents.iter().any(|intent| unsettled(intent.state)) {
            return Err(format!("not final: {:?}", plan.intents));
        }
        let nonces: Vec<u64> = self.disk.calls.keys().copied().collect();
        if nonces != (0..state.nonce).collect::<Vec<_>>() {
            return Err(format!("nonces {nonces:?} on disk, {} on the chain", state.nonce));
        }
        Ok(())
    }
}

fn seeds() -> Vec<u64> {
    let number = |name: &str| {
        let text = std::env::var(name).ok()?;
        Some(text.parse::<u64>().unwrap_or_else(|_| panic!("{name} is a number")))
    };
    match number("MEDTRAIL_SEED") {
        Some(seed) => vec![seed],
        None => (1..=number("MEDTRAIL_SEEDS").unwrap_or(SEEDS)).collect(),
    }
}

/// Runs the seeds on two threads, in order of seeds.
fn histories(seeds: &[u64], mutant: Option<Mutant>) -> Vec<(u64, Result<Counts, String>)> {
    let run = |seeds: &[u64]| {
        let runtime = Builder::new_current_thread().build().expect("a runtime");
        let judged = seeds.iter().map(|seed| (*seed, history(*seed, mutant, &runtime)));
        judged.collect::<Vec<_>>()
    };
    let (first, second) = seeds.split_at(seeds.len() / 2);
    thread::scope(|scope| {
        let other = scope.spawn(|| run(second));
        let mut judged = run(first);
        judged.extend(other.join().expect("the other half ends"));
        judged
    })
}

#[test]
fn every_history_ends_with_each_entry_anchored_once_and_final() {
    let mut total = Counts::default();
    let seeds = seeds();
    for (seed, judged) in histories(&seeds, None) {
        match judged {
            Ok(counts) => total.add(counts),
            Err(broken) => panic!("seed {seed}: {broken}\nreplay with MEDTRAIL_SEED={seed}"),
        }
    }
    println!("{} seeds: {total:?}", seeds.len());
    if seeds.len() as u64 >= SEEDS {
        total.assert_everything_happened();
    }
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.anchors += other.anchors;
        self.crashes += other.crashes;
        self.reorgs += other.reorgs;
        self.old_attempts_mined += other.old_attempts_mined;
        self.drops += other.drops;
        self.lost_replies += other.lost_replies;
        self.failed_sends += other.failed_sends;
        self.failed_reads += other.failed_reads;
        self.failed_calls += other.failed_calls;
        self.replacements += other.replacements;
        self.fee_spikes += other.fee_spikes;
        self.hidden_events += other.hidden_events;
    }

    /// A promise is worth something only if what could break it did happen, and often.
    fn assert_everything_happened(&self) {
        let rare = [self.failed_calls, self.old_attempts_mined, self.replacements, self.crashes];
        let often = [
            self.anchors,
            self.reorgs,
            self.drops,
            self.lost_replies,
            self.failed_sends,
            self.failed_reads,
            self.fee_spikes,
            self.hidden_events,
        ];
        assert!(rare.iter().all(|count| *count >= 50), "{self:?}");
        assert!(often.iter().all(|count| *count >= 500), "{self:?}");
    }
}

/// How many of the first 40 seeds see that this sender is wrong.
fn caught(mutant: Mutant) -> usize {
    let seeds: Vec<u64> = (1..=40).collect();
    let judged = histories(&seeds, Some(mutant));
    let first = judged.iter().find_map(|(seed, judged)| Some((seed, judged.as_ref().err()?)));
    let count = judged.iter().filter(|(_, judged)| judged.is_err()).count();
    println!("{mutant:?}: {count} of {} seeds; {first:?}", seeds.len());
    count
}

#[test]
fn a_sender_that_sends_before_it_persists_is_caught() {
    assert!(caught(Mutant::SendsBeforeItPersists) >= 30);
}

#[test]
fn a_sender_that_calls_one_confirmation_final_is_caught() {
    assert!(caught(Mutant::CallsOneConfirmationFinal) >= 30);
}

#[test]
fn a_sender_that_forgets_old_attempts_is_caught() {
    assert!(caught(Mutant::ForgetsOldAttempts) >= 10);
}
