//! A chain in memory: blocks, a pool, a base fee, reorganisations that mine old attempts, and the
//! registry contract's rules for one log.

use alloy_primitives::{Address, B256, keccak256};
use medtrail_ledger::merkle;
use medtrail_ledger::plan::{Anchor, AnchorRecord, BlockRef, Call, Header, LogHead};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub(crate) const GWEI: u128 = 1_000_000_000;
pub(crate) const US: Address = Address::repeat_byte(0xaa);
pub(crate) const BLOCK_S: u64 = 12;
/// Blocks behind the head that are final.
pub(crate) const FINAL_DEPTH: u64 = 8;

/// SplitMix64 (Steele, Lea, Flood 2014): one number is the whole run.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(crate) fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
}

/// What the courier's raw bytes mean.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Tx {
    pub(crate) nonce: u64,
    pub(crate) gas: u64,
    pub(crate) tip: u128,
    pub(crate) max_fee: u128,
    pub(crate) call: Call,
}

impl Tx {
    pub(crate) fn raw(&self) -> Vec<u8> {
        postcard::to_stdvec(self).unwrap()
    }

    pub(crate) fn parse(raw: &[u8]) -> Self {
        postcard::from_bytes(raw).unwrap()
    }

    pub(crate) fn hash(&self) -> B256 {
        keccak256(self.raw())
    }
}

/// Everything a block hash stands for.
#[derive(Clone, Default)]
pub(crate) struct State {
    pub(crate) nonce: u64,
    pub(crate) operator: Address,
    pub(crate) anchors: Vec<Anchor>,
}

impl State {
    pub(crate) fn head(&self) -> LogHead {
        let last = self.anchors.last().copied().unwrap_or_default();
        LogHead {
            operator: self.operator,
            size: last.size,
            time_s: last.time_s,
            count: last.number,
        }
    }

    /// The contract's rules; says which one refused.
    pub(crate) fn call(&mut self, call: &Call, time_s: u64) -> Result<(), &'static str> {
        match call {
            Call::Open { .. } if self.operator.is_zero() => self.operator = US,
            Call::Open { .. } => return Err("LogAlreadyOpen"),
            // Another account's, to another contract.
            Call::Settle { .. } | Call::SettleMany { .. } => return Err("NoSuchCall"),
            Call::Anchor { old, size, root, proof, .. } => {
                let last = self.anchors.last().copied().unwrap_or_default();
                let proof: Vec<merkle::Hash> = proof.iter().map(|hash| hash.0).collect();
                let extends = match last.number {
                    0 => proof.is_empty(),
                    _ => {
                        let (from, to) = (last.root.0, root.0);
                        merkle::verify_consistency(last.size, *size, &from, &to, &proof).is_ok()
                    }
                };
                match () {
                    () if self.operator != US => return Err("NotOperator"),
                    () if *old != last => return Err("OldHeadMismatch"),
                    () if *size <= last.size || !extends => return Err("DoesNotExtend"),
                    () => {}
                }
                let (number, size, root) = (last.number + 1, *size, *root);
                self.anchors.push(Anchor { number, size, root, time_s });
            }
        }
        Ok(())
    }
}

#[derive(Clone)]
pub(crate) struct Block {
    pub(crate) header: Header,
    /// Hash and success of each transaction.
    pub(crate) txs: Vec<(B256, bool)>,
    pub(crate) anchored: Vec<AnchorRecord>,
    pub(crate) state: State,
}

/// Why the pool did not take a transaction.
pub(crate) enum Refusal {
    Known,
    NonceTooLow,
    Underpriced,
}

pub(crate) struct Chain {
    pub(crate) blocks: Vec<Block>,
    pool: BTreeMap<u64, Tx>,
    /// Everything the node was ever given: a miner elsewhere may hold any of it.
    seen: BTreeMap<u64, Vec<Tx>>,
    pub(crate) base_fee: u128,
    pub(crate) finalized: u64,
    /// Nothing more becomes final.
    pub(crate) is_final_halted: bool,
    /// Transactions are not mined, whatever they pay.
    pub(crate) is_stuck: bool,
    /// Distinguishes blocks of the same content.
    forks: u64,
    pub(crate) old_attempts_mined: u64,
}

impl Chain {
    pub(crate) fn new(genesis: &str) -> Self {
        let block = BlockRef { number: 0, hash: keccak256(genesis) };
        let header = Header { block, parent: B256::ZERO, time_s: 1_800_000_000 };
        let genesis = Block { header, txs: vec![], anchored: vec![], state: State::default() };
        Self {
            blocks: vec![genesis],
            pool: BTreeMap::new(),
            seen: BTreeMap::new(),
            base_fee: 10 * GWEI,
            finalized: 0,
            is_final_halted: false,
            is_stuck: false,
            forks: 0,
            old_attempts_mined: 0,
        }
    }

    pub(crate) fn head(&self) -> &Block {
        self.blocks.last().unwrap()
    }

    pub(crate) fn by_hash(&self, hash: B256) -> Option<&Block> {
        self.blocks.iter().rev().find(|block| block.header.block.hash == hash)
    }

    /// geth's pool: a replacement must raise both fees by a tenth.
    pub(crate) fn submit(&mut self, tx: Tx, wants_base_fee: bool) -> Result<(), Refusal> {
        if tx.nonce < self.head().state.nonce {
            return Err(Refusal::NonceTooLow);
        }
        if wants_base_fee && tx.max_fee < self.base_fee {
            return Err(Refusal::Underpriced);
        }
        if let Some(old) = self.pool.get(&tx.nonce) {
            if *old == tx {
                return Err(Refusal::Known);
            }
            if tx.tip * 10 < old.tip * 11 || tx.max_fee * 10 < old.max_fee * 11 {
                return Err(Refusal::Underpriced);
            }
        }
        let known = self.seen.entry(tx.nonce).or_default();
        if !known.contains(&tx) {
            known.push(tx.clone());
        }
        self.pool.insert(tx.nonce, tx);
        Ok(())
    }

    pub(crate) fn drop_pool(&mut self) {
        self.pool.clear();
    }

    /// The next block, with what the pool offers. `fails` makes the calls run out of gas.
    pub(crate) fn mine(&mut self, fails: bool) {
        let mut txs = Vec::new();
        let mut nonce = self.head().state.nonce;
        while let Some(tx) = self.pool.get(&nonce) {
            if self.is_stuck || tx.max_fee < self.base_fee {
                break;
            }
            txs.push(tx.clone());
            nonce += 1;
        }
        self.append(&txs, fails);
        let deep = self.head().header.block.number.saturating_sub(FINAL_DEPTH);
        if !self.is_final_halted {
            self.finalized = self.finalized.max(deep);
        }
    }

    /// Forgets the last `depth` blocks; their transactions do not come back.
    pub(crate) fn rewind(&mut self, depth: usize) {
        self.blocks.truncate(self.blocks.len() - depth);
    }

    /// Replaces the last `depth` blocks by as many others, or one more or less. They hold whatever
    /// attempt, replaced ones included, some miner may have had; the rest may come back or not.
    pub(crate) fn reorg(&mut self, depth: u64, random: &mut Random) {
        let head = self.head().header.block.number;
        let depth = depth.min(head - self.finalized);
        self.blocks.truncate((head - depth + 1) as usize);
        let returned = self.seen.values().filter_map(|attempts| attempts.last()).cloned();
        for tx in returned.collect::<Vec<_>>() {
            if random.percent(50) {
                self.pool.entry(tx.nonce).or_insert(tx);
            }
        }
        for _ in 0..(depth + random.below(3)).saturating_sub(1) {
            let mut txs = Vec::new();
            let mut nonce = self.head().state.nonce;
            while let Some(attempts) = self.seen.get(&nonce)
                && random.percent(50)
            {
                let place = random.below(attempts.len() as u64) as usize;
                self.old_attempts_mined += u64::from(place + 1 < attempts.len());
                txs.push(attempts[place].clone());
                nonce += 1;
            }
            self.append(&txs, random.percent(5));
        }
    }

    fn append(&mut self, txs: &[Tx], fails: bool) {
        let parent = self.head().header;
        self.forks += 1;
        let number = parent.block.number + 1;
        let name = (number, self.forks, parent.block.hash);
        let block = BlockRef { number, hash: keccak256(postcard::to_stdvec(&name).unwrap()) };
        let header = Header { block, parent: parent.block.hash, time_s: parent.time_s + BLOCK_S };
        let mut next =
            Block { header, txs: vec![], anchored: vec![], state: self.head().state.clone() };
        for tx in txs {
            assert_eq!(tx.nonce, next.state.nonce, "the model mines in order of nonces");
            next.state.nonce += 1;
            let before = next.state.anchors.len();
            let succeeded = !fails && next.state.call(&tx.call, header.time_s).is_ok();
            next.txs.push((tx.hash(), succeeded));
            if let Some(anchor) = next.state.anchors.get(before) {
                let (anchor, tx) = (*anchor, tx.hash());
                next.anchored.push(AnchorRecord { anchor, tx, block, is_final: false });
            }
        }
        let nonce = next.state.nonce;
        self.blocks.push(next);
        self.pool.retain(|of, _| *of >= nonce);
    }
}
