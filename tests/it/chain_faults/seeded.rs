//! The same faults, in any order, by a seed that is printed and can be given again:
//! `MEDTRAIL_SEED=17 cargo test --workspace any_order`.

use super::outbox::SaveFault;
use super::world::{GWEI, REORG_BLOCKS_MAX, World};
use journeys::rpc_proxy::Fault;

/// Faults before the log must settle.
const STEPS: u32 = 60;

/// SplitMix64 (Steele, Lea, Flood 2014): eight lines, and the same numbers everywhere for ever.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }
}

async fn step(world: &mut World, random: &mut Random) -> &'static str {
    const METHODS: [&str; 6] = [
        "eth_sendRawTransaction",
        "eth_getBlockByNumber",
        "eth_getTransactionReceipt",
        "eth_getTransactionCount",
        "eth_estimateGas",
        "eth_call",
    ];
    const FAULTS: [Fault; 4] =
        [Fault::Unreachable, Fault::LostReply, Fault::TruncatedJson, Fault::Status(503)];
    match random.below(20) {
        0..=2 => {
            world.grow(1 + random.below(400));
            "grow"
        }
        3..=7 => {
            world.anvil.mine(1 + random.below(2)).await;
            "mine"
        }
        8..=9 => {
            let (method, fault) = (random.one_of(&METHODS), random.one_of(&FAULTS));
            world.proxy.spoil_next(method, fault);
            "spoil a call"
        }
        10..=11 => {
            reorganise(world, random).await;
            "reorganise"
        }
        12..=13 => {
            let sent =
                world.plan().intents.last().and_then(|intent| intent.attempts.last().cloned());
            if let Some(sent) = sent
                && world.anvil.is_pooled(sent.hash).await
            {
                world.anvil.drop_transaction(sent.hash).await;
            }
            "drop"
        }
        14 => {
            world.anvil.mine_full(1 + random.below(4)).await;
            "mine full blocks"
        }
        15 => {
            let gwei = u64::try_from(GWEI).expect("it fits");
            world.anvil.set_next_base_fee(gwei * (1 + random.below(80))).await;
            "change the base fee"
        }
        16 => {
            world.proxy.set_lag(random.below(4));
            "lag"
        }
        17 => {
            world.outbox.spoil(random.one_of(&[SaveFault::NotSaved, SaveFault::SavedAllTheSame]));
            "spoil a saving"
        }
        _ => {
            world.crash();
            "crash"
        }
    }
}

/// Replaces some blocks. Half the time the first of the new ones holds a transaction: any form ever
/// sent of the one that can stand there.
async fn reorganise(world: &World, random: &mut Random) {
    let depth = 1 + random.below(REORG_BLOCKS_MAX);
    let below = world.anvil.block_number().await - depth;
    let plan = world.plan();
    let mut raws = Vec::new();
    for intent in &plan.intents {
        let is_next = intent.nonce == world.anvil.nonce_at(intent.account, below).await;
        if is_next && random.below(2) == 0 {
            let place = random.below(intent.attempts.len() as u64) as usize;
            raws.push(intent.attempts[place].raw.clone());
        }
    }
    world.anvil.reorg(depth, &raws).await;
}

async fn run(seed: u64) {
    let mut random = Random(seed);
    let mut world = World::new().await;
    let mut done = Vec::new();
    for _ in 0..STEPS {
        done.push(step(&mut world, &mut random).await);
        world.tick().await;
    }
    println!("seed {seed}: {}", done.join(", "));
    world.grow(1);
    let failed = world.settle_and_count_failures().await;
    println!("seed {seed}: {} anchors, {failed} failed calls", world.plan().anchors.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_in_any_order_leave_the_anchors_whole() {
    let seeds = match std::env::var("MEDTRAIL_SEED") {
        Ok(seed) => vec![seed.parse().expect("MEDTRAIL_SEED is a number")],
        Err(_) => (1..=4).collect(),
    };
    for seed in seeds {
        println!("MEDTRAIL_SEED={seed}");
        run(seed).await;
    }
}
