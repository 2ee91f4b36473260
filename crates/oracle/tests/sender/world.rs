//! The ports of one anchorer, made to fail: the node loses answers and lags, the process dies at
//! every boundary, and only the outbox survives.

use crate::model::{Chain, GWEI, Random, Tx, US};
use alloy_primitives::{Address, B256};
use medtrail_ledger::checkpoint::{Checkpoint, SignedCheckpoint};
use medtrail_ledger::edge::RightEdge;
use medtrail_ledger::note::VerifierKey;
use medtrail_ledger::plan::{
    AnchorRecord, Attempt, BlockRef, Call, Intent, IntentState, Plan, PlanChange,
};
use medtrail_ledger::ports::{
    Batch, CommitError, Courier, CourierError, EventKey, Journal, JournalError, Notary,
    NotaryError, Outbox, RegistryError, SubjectTag, Tail, TrailHead, TxFields, Vouched,
};
use medtrail_ledger::tile::TileId;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};

pub(crate) const ORIGIN: &str = "test.example/log";
pub(crate) const LOG: B256 = B256::repeat_byte(0x10);
pub(crate) const HARD_CAP: u128 = 300 * GWEI;

/// A sender that is wrong on purpose. The world makes it so, the code under test stays as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mutant {
    /// What is saved becomes durable only after the send that follows.
    SendsBeforeItPersists,
    /// One block on top is taken for finality.
    CallsOneConfirmationFinal,
    /// A dearer attempt takes the place of the old one.
    ForgetsOldAttempts,
}

/// What happened in a run: a harness in which nothing happens proves nothing.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Counts {
    pub(crate) anchors: u64,
    pub(crate) crashes: u64,
    pub(crate) reorgs: u64,
    pub(crate) old_attempts_mined: u64,
    pub(crate) drops: u64,
    pub(crate) lost_replies: u64,
    pub(crate) failed_sends: u64,
    pub(crate) failed_reads: u64,
    pub(crate) failed_calls: u64,
    pub(crate) replacements: u64,
    pub(crate) fee_spikes: u64,
    pub(crate) hidden_events: u64,
}

pub(crate) struct World {
    pub(crate) mutant: Option<Mutant>,
    inner: Mutex<Inner>,
}

pub(crate) struct Inner {
    pub(crate) chain: Chain,
    pub(crate) random: Random,
    pub(crate) disk: Disk,
    /// Faults may happen.
    pub(crate) is_rough: bool,
    /// The process is dead: nothing it does has any effect until it is started again.
    pub(crate) is_dead: bool,
    pub(crate) violations: Vec<String>,
    pub(crate) counts: Counts,
    /// So many requests for events are answered with none.
    pub(crate) hides_events: u32,
    log: Log,
    /// `min(hard cap, 5 × market)` of the last view.
    pub(crate) cap: u128,
    /// All attempts ever signed, by nonce.
    signed: BTreeMap<u64, Vec<Tx>>,
    /// Where each anchor stood when it was first called final.
    called_final: BTreeMap<u64, AnchorRecord>,
}

/// What survives a crash.
#[derive(Default)]
pub(crate) struct Disk {
    pub(crate) plan: Plan,
    pub(crate) notes: BTreeMap<u64, Vec<u8>>,
    /// The call of each nonce ever saved.
    pub(crate) calls: BTreeMap<u64, Call>,
    /// Only of [`Mutant::SendsBeforeItPersists`].
    unwritten: Vec<PlanChange>,
}

/// The log itself. It has its own tests; here it never fails.
struct Log {
    edge: RightEdge,
    tiles: HashMap<TileId, Vec<u8>>,
    roots: BTreeMap<u64, B256>,
    tail: Tail,
}

impl World {
    pub(crate) fn new(seed: u64, mutant: Option<Mutant>) -> Arc<Self> {
        let log = Log {
            edge: RightEdge::empty(),
            tiles: HashMap::new(),
            roots: BTreeMap::new(),
            tail: Tail::default(),
        };
        let inner = Inner {
            chain: Chain::new("genesis"),
            random: Random::new(seed),
            disk: Disk::default(),
            is_rough: true,
            is_dead: false,
            violations: Vec::new(),
            counts: Counts::default(),
            hides_events: 0,
            log,
            cap: 0,
            signed: BTreeMap::new(),
            called_final: BTreeMap::new(),
        };
        let world = Self { mutant, inner: Mutex::new(inner) };
        world.lock().grow(1);
        Arc::new(world)
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    fn forgets(&self) -> bool {
        self.mutant == Some(Mutant::ForgetsOldAttempts)
    }
}

impl Inner {
    pub(crate) fn now_s(&self) -> u64 {
        self.chain.head().header.time_s
    }

    pub(crate) fn entries(&self) -> u64 {
        self.log.tail.size
    }

    pub(crate) fn root_at(&self, size: u64) -> Option<B256> {
        self.log.roots.get(&size).copied()
    }

    pub(crate) fn grow(&mut self, entries: u64) {
        let log = &mut self.log;
        for index in log.edge.size()..log.edge.size() + entries {
            log.edge.append(&alloy_primitives::keccak256(index.to_be_bytes()).0);
            log.roots.insert(log.edge.size(), log.edge.root().into());
        }
        log.tiles.extend(log.edge.changed_tiles());
        let (size, root) = (log.edge.size(), log.edge.root());
        let note = signed(&Checkpoint { origin: ORIGIN.to_owned(), size, root });
        log.tail = Tail {
            size,
            epoch: 1,
            peaks: log.edge.peaks(),
            checkpoint: note.to_bytes(),
            received_ms: 0,
        };
    }

    /// Flips one bit of a stored tile.
    pub(crate) fn damage(&mut self, id: TileId, place: usize) {
        self.log.tiles.get_mut(&id).expect("a stored tile")[place * 32] ^= 1;
    }

    fn violation(&mut self, what: impl Into<String>) {
        self.violations.push(what.into());
    }

    pub(crate) fn strikes(&mut self, chance: u64) -> bool {
        self.is_rough && self.random.percent(chance)
    }

    /// What is about to become durable must not break a promise.
    fn watch_save(&mut self, changes: &[PlanChange]) {
        for change in changes {
            match change {
                PlanChange::PutIntent(intent) => self.watch_intent(intent),
                PlanChange::PutAnchor(record) if record.is_final => {
                    let first = self.called_final.entry(record.anchor.number);
                    let first = first.or_insert_with(|| record.clone()).clone();
                    if first != *record {
                        self.violation(format!("{first:?} was final, now it is {record:?}"));
                    }
                }
                PlanChange::DropAnchor { number } if self.called_final.contains_key(number) => {
                    self.violation(format!("anchor {number} was final and is dropped"));
                }
                _ => {}
            }
            self.disk.plan.apply(change);
            if let PlanChange::KeepCheckpoint { size, note } = change {
                self.disk.notes.insert(*size, note.clone());
            }
        }
    }

    fn watch_intent(&mut self, intent: &Intent) {
        let known = self.disk.calls.insert(intent.nonce, intent.call.clone());
        match known {
            Some(call) if call != intent.call => {
                self.violation(format!("nonce {} has two calls", intent.nonce));
            }
            Some(_) => {}
            None => {
                let unmined = self
                    .disk
                    .plan
                    .intents
                    .iter()
                    .find(|other| other.state == IntentState::Pending)
                    .map(|other| other.nonce);
                if let Some(unmined) = unmined {
                    let nonce = intent.nonce;
                    self.violation(format!("nonce {nonce} planned while {unmined} is un-mined"));
                }
            }
        }
    }

    /// What is sent must be on disk, under the cap, and a proper replacement.
    pub(crate) fn watch_send(&mut self, tx: &Tx) {
        let hash = tx.hash();
        let on_disk = self
            .disk
            .plan
            .intents
            .iter()
            .any(|intent| intent.attempts.iter().any(|attempt| attempt.hash == hash));
        if !on_disk {
            self.violation(format!(
                "an attempt of nonce {} was sent before it was saved",
                tx.nonce
            ));
        }
    }

    fn watch_build(&mut self, tx: &Tx) {
        if tx.max_fee > self.cap || tx.tip > tx.max_fee {
            self.violation(format!("nonce {} offers {} above {}", tx.nonce, tx.max_fee, self.cap));
        }
        let before = self.signed.entry(tx.nonce).or_default();
        // A crash before the save may repeat an attempt; a saved one only ever gets dearer.
        if let Some(other) = before.iter().find(|old| old.call != tx.call) {
            // Allowed only if the older call was never saved.
            let was_saved = self.disk.calls.get(&tx.nonce) == Some(&other.call);
            if was_saved {
                self.violations.push(format!("nonce {} was signed for two calls", tx.nonce));
            }
        }
        before.push(tx.clone());
    }

    pub(crate) fn block_of(&self, tx: B256) -> Option<(BlockRef, bool)> {
        self.chain.blocks.iter().rev().find_map(|block| {
            let (_, succeeded) = block.txs.iter().find(|(hash, _)| *hash == tx)?;
            Some((block.header.block, *succeeded))
        })
    }

    pub(crate) fn read_fault(&mut self) -> Result<(), RegistryError> {
        if self.is_dead {
            return Err(RegistryError::Unreachable("the process is dead".to_owned()));
        }
        if self.strikes(2) {
            self.counts.failed_reads += 1;
            return Err(RegistryError::Unreachable("no answer in time".to_owned()));
        }
        Ok(())
    }

    pub(crate) fn hides(&mut self, chance: u64) -> bool {
        let scripted = self.hides_events > 0;
        self.hides_events -= u32::from(scripted);
        scripted || self.strikes(chance)
    }

    pub(crate) fn dies(&mut self, chance: u64) -> bool {
        let dies = self.strikes(chance);
        self.counts.crashes += u64::from(dies);
        self.is_dead |= dies;
        dies
    }
}

fn signed(checkpoint: &Checkpoint) -> SignedCheckpoint {
    // The base point's encoding: any valid key does, nobody verifies these notes here.
    let mut key = [0x66; 32];
    key[0] = 0x58;
    let key = VerifierKey::new(ORIGIN, &key).unwrap();
    SignedCheckpoint::assemble(checkpoint.clone(), &key, [0; 64], US, 0, [0; 65])
}

impl Notary for World {
    fn vouch(&self, _: &Checkpoint, time_ms: u64) -> Result<Vouched, NotaryError> {
        Ok(Vouched { time_ms, signature: [0; 65] })
    }

    fn check(&self, _: &Checkpoint, _: &Vouched) -> Result<(), NotaryError> {
        Ok(())
    }

    fn is_ours(&self, _: &SignedCheckpoint) -> bool {
        true
    }

    fn note(&self, _: &Checkpoint) -> [u8; 64] {
        [0; 64]
    }

    fn assemble(&self, checkpoint: Checkpoint, _: [u8; 64], _: Vouched) -> SignedCheckpoint {
        signed(&checkpoint)
    }
}

impl Courier for World {
    fn account(&self) -> Address {
        US
    }

    fn build(&self, fields: &TxFields) -> Result<Attempt, CourierError> {
        let mut inner = self.lock();
        if inner.is_dead {
            return Err(CourierError::Signer("the process is dead".to_owned()));
        }
        let tx = Tx {
            nonce: fields.nonce,
            gas: fields.gas,
            tip: fields.tip,
            max_fee: fields.max_fee,
            call: postcard::from_bytes(&fields.data).unwrap(),
        };
        inner.watch_build(&tx);
        Ok(Attempt {
            hash: tx.hash(),
            raw: tx.raw().into(),
            tip: tx.tip,
            max_fee: tx.max_fee,
            built_at_block: fields.at_block,
        })
    }
}

impl Outbox for World {
    fn load(&self) -> Result<Plan, JournalError> {
        Ok(self.lock().disk.plan.clone())
    }

    fn save(&self, changes: &[PlanChange]) -> Result<(), JournalError> {
        let mut changes = changes.to_vec();
        let mut inner = self.lock();
        let died = || JournalError::Storage("the process is dead".to_owned());
        if inner.is_dead || inner.dies(3) {
            return Err(died());
        }
        for change in &mut changes {
            if let PlanChange::PutIntent(intent) = change {
                inner.counts.replacements +=
                    u64::from(intent.attempts.len() > 1 && intent.state == IntentState::Pending);
                if self.forgets() {
                    let last = intent.attempts.len() - 1;
                    intent.attempts.drain(..last);
                }
            }
        }
        if self.mutant == Some(Mutant::SendsBeforeItPersists) {
            inner.disk.unwritten.extend(changes);
        } else {
            inner.watch_save(&changes);
        }
        // It is on disk, but nobody is told.
        if inner.dies(3) { Err(died()) } else { Ok(()) }
    }

    fn kept_checkpoint(&self, size: u64) -> Result<Option<Vec<u8>>, JournalError> {
        Ok(self.lock().disk.notes.get(&size).cloned())
    }
}

impl World {
    /// Starts the process again after a crash, with what is on disk. The mutant that writes late
    /// loses what it had not written.
    pub(crate) fn revive(&self) {
        let mut inner = self.lock();
        inner.is_dead = false;
        inner.disk.unwritten.clear();
    }

    pub(crate) fn write_late(&self) {
        let mut inner = self.lock();
        let late = std::mem::take(&mut inner.disk.unwritten);
        inner.watch_save(&late);
    }
}

impl Journal for World {
    fn tail(&self) -> Result<Tail, JournalError> {
        Ok(self.lock().log.tail.clone())
    }

    fn tile(&self, id: TileId) -> Result<Option<Vec<u8>>, JournalError> {
        Ok(self.lock().log.tiles.get(&id).cloned())
    }

    fn commit(&self, _: &Tail, _: &Batch) -> Result<Tail, CommitError> {
        unreachable!("the anchorer only reads")
    }
    fn last_of(&self, _: SubjectTag) -> Result<Option<TrailHead>, JournalError> {
        unreachable!("the anchorer knows no subjects")
    }
    fn find(&self, _: EventKey) -> Result<Option<u64>, JournalError> {
        unreachable!("the anchorer knows no events")
    }
    fn trail(&self, _: SubjectTag, _: u64, _: usize) -> Result<Vec<u64>, JournalError> {
        unreachable!("the anchorer knows no subjects")
    }
    fn rows(&self, _: Range<u64>) -> Result<Vec<Vec<u8>>, JournalError> {
        unreachable!("the anchorer reads tiles")
    }
    fn filed(&self) -> Result<u64, JournalError> {
        unreachable!("the anchorer does not file")
    }
    fn file_up_to(&self, _: u64) -> Result<u64, JournalError> {
        unreachable!("the anchorer does not file")
    }
}
