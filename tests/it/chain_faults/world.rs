//! A log on disk, its keys, its anchorer, a chain, and a line between them that can be spoiled.

use super::outbox::SpoiledOutbox;
use alloy::primitives::{Address, B256};
use journeys::anvil::{ACCOUNTS, Anvil, Options, SECRETS};
use journeys::rpc_proxy::RpcProxy;
use medtrail_chain::{Chain, Contract, Finality, Rpc, deploy};
use medtrail_keys::note::{NotaryKeys, NoteKey};
use medtrail_keys::operator::OperatorKey;
use medtrail_ledger::checkpoint::{Checkpoint, SignedCheckpoint};
use medtrail_ledger::edge::RightEdge;
use medtrail_ledger::merkle::Hash;
use medtrail_ledger::plan::{Call, Plan};
use medtrail_ledger::ports::{
    Batch, EventKey, Journal, Notary, Outbox, RecordTag, Registry, RowHeader, SubjectTag,
};
use medtrail_ledger::schema;
use medtrail_oracle::anchorer::{Anchorer, Config, Ports, Status};
use medtrail_oracle::sender::Limits;
use medtrail_store::{Store, StoreOptions};
use std::collections::BTreeMap;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::sync::watch;

pub(super) const GWEI: u128 = 1_000_000_000;
/// What the sender may offer at most.
pub(super) const FEE_CAP: u128 = 300 * GWEI;
/// Twice this many blocks make a block final, so that reorganisations can be as deep as on a real
/// chain.
const SLOTS_IN_AN_EPOCH: u64 = 4;
/// Deepest reorganisation that finality allows.
pub(super) const REORG_BLOCKS_MAX: u64 = 2 * SLOTS_IN_AN_EPOCH - 1;
/// More than the anchorer waits before it prepares again what it could not plan.
const TICK_S: u64 = 20;
const ORIGIN: &str = "journeys.example/log";

pub(super) struct World {
    pub(super) anvil: Anvil,
    pub(super) proxy: RpcProxy,
    pub(super) outbox: Arc<SpoiledOutbox>,
    anchorer: Option<(Anchorer<Chain>, watch::Receiver<Status>)>,
    store: Option<Arc<Store>>,
    folder: TempDir,
    operator: Arc<OperatorKey>,
    notary: Arc<NotaryKeys>,
    registry: Address,
    config: Config,
    edge: RightEdge,
    /// The root at every size the log ever had: what an anchor of that size must hold.
    roots: BTreeMap<u64, Hash>,
    now_s: u64,
}

impl World {
    /// A registry on a chain of its own, and a log that was never opened.
    pub(super) async fn new() -> Self {
        let options = Options { slots_in_an_epoch: SLOTS_IN_AN_EPOCH, ..Options::default() };
        let anvil = Anvil::start_with(options).await;
        let registry = deploy_registry(&anvil).await;
        let proxy = RpcProxy::start(anvil.url()).await;
        proxy.enforce_replacement_rule();

        let operator = Arc::new(OperatorKey::from_bytes(&SECRETS[0]).unwrap());
        let note = NoteKey::from_seed(ORIGIN, &[1; 32]).unwrap();
        let log = schema::log_id(anvil.chain_id(), registry, operator.address(), ORIGIN);
        let open = Call::Open {
            origin: ORIGIN.to_owned(),
            cold_key: ACCOUNTS[2],
            note_key: note.public_key(),
            anchor_within_s: 3_600,
        };
        let notary = NotaryKeys::new(note, operator.clone(), log, anvil.chain_id(), registry);
        let config = Config {
            log,
            origin: ORIGIN.to_owned(),
            open: Some(open),
            since_block: 0,
            interval_s: 0,
            entries_max: 1,
            limits: Limits::with_fee_cap(FEE_CAP),
        };
        let folder = tempfile::tempdir().unwrap();
        let mut world = Self {
            anvil,
            proxy,
            outbox: Arc::default(),
            anchorer: None,
            store: None,
            folder,
            operator,
            notary: Arc::new(notary),
            registry,
            config,
            edge: RightEdge::empty(),
            roots: BTreeMap::new(),
            now_s: 1_800_000_000,
        };
        world.start();
        world
    }

    /// A log that is open, and its opening final.
    pub(super) async fn opened() -> Self {
        let mut world = Self::new().await;
        world.tick().await;
        world.anvil.mine(2 * SLOTS_IN_AN_EPOCH + 1).await;
        world.tick().await;
        world
    }

    fn start(&mut self) {
        let store = Arc::new(Store::open(self.folder.path(), StoreOptions::default()).unwrap());
        self.outbox.set_inner(Some(store.clone()));
        let rpc = Rpc::new(&[self.proxy.url()]).unwrap();
        let ports = Ports {
            registry: Chain::new(rpc, self.anvil.chain_id(), self.registry, Finality::Tag),
            journal: store.clone(),
            outbox: self.outbox.clone(),
            notary: self.notary.clone(),
            courier: self.operator.clone(),
        };
        self.store = Some(store);
        self.anchorer = Some(Anchorer::new(ports, self.config.clone()));
    }

    /// Everything in memory is gone; what was on disk comes back.
    pub(super) fn crash(&mut self) {
        self.anchorer = None;
        self.outbox.set_inner(None);
        let store = self.store.take().unwrap();
        assert_eq!(Arc::strong_count(&store), 1, "somebody still holds the store");
        drop(store);
        self.start();
    }

    fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    /// Appends entries to the log, as a commit of the sequencer does.
    pub(super) fn grow(&mut self, entries: u64) {
        let tail = self.store().tail().unwrap();
        let mut rows = Vec::new();
        for index in tail.size..tail.size + entries {
            let mut event = [0; 16];
            event[8..].copy_from_slice(&(index + 1).to_be_bytes());
            let (subject, record) = (SubjectTag([0; 16]), RecordTag([0; 16]));
            let header = RowHeader { subject, ordinal: 0, event: EventKey(event), record };
            rows.push(header.encode().to_vec());
            self.edge.append(&alloy::primitives::keccak256(index.to_be_bytes()).0);
        }
        let (size, root) = (self.edge.size(), self.edge.root());
        let received_ms = tail.received_ms + 1;
        let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), size, root };
        let batch = Batch {
            rows,
            tiles: self.edge.changed_tiles(),
            peaks: self.edge.peaks(),
            checkpoint: self.notary.sign(checkpoint, received_ms).unwrap().to_bytes(),
            received_ms,
        };
        self.store().commit(&tail, &batch).unwrap();
        self.edge.settle();
        self.roots.insert(size, root);
    }

    /// One tick of the anchorer, and what it says of itself.
    pub(super) async fn tick(&mut self) -> Status {
        self.now_s += TICK_S;
        let (anchorer, status) = self.anchorer.as_mut().unwrap();
        anchorer.tick(self.now_s).await;
        status.borrow().clone()
    }

    pub(super) fn plan(&self) -> Plan {
        self.store().load().unwrap()
    }

    /// All forms of the one transaction that is under way.
    pub(super) fn attempts(&self) -> Vec<medtrail_ledger::plan::Attempt> {
        let plan = self.plan();
        plan.intents.last().expect("something was sent").attempts.clone()
    }

    /// The newest form of the transaction under way.
    pub(super) fn newest_attempt(&self) -> medtrail_ledger::plan::Attempt {
        self.attempts().pop().expect("an intent is saved with an attempt")
    }

    /// Heals everything, lets time pass, and holds chain and disk against what was promised. No
    /// call may have failed on the way.
    pub(super) async fn settle(&mut self) {
        assert_eq!(self.settle_and_count_failures().await, 0, "calls that failed");
    }

    /// The same; returns how many calls were mined and failed.
    pub(super) async fn settle_and_count_failures(&mut self) -> usize {
        self.proxy.heal();
        self.outbox.heal();
        let size = self.store().tail().unwrap().size;
        let mut last = Status::default();
        for _ in 0..100 {
            last = self.tick().await;
            if last.settled.is_some_and(|anchor| anchor.size == size) {
                return self.check().await;
            }
            self.anvil.mine(1).await;
        }
        panic!("not anchored to {size} after 100 blocks: {last:#?}\n{:#?}", self.plan());
    }

    /// The promises: the anchors extend each other without a gap, each holds the root that the log
    /// had at its size, all are final, chain and disk agree, each has its signed checkpoint, and every
    /// transaction that succeeded is the opening or one of them.
    async fn check(&self) -> usize {
        let plan = self.plan();
        assert!(plan.anchors.iter().all(|record| record.is_final), "{plan:#?}");
        let mut size = 0;
        for (place, record) in plan.anchors.iter().enumerate() {
            let anchor = record.anchor;
            assert_eq!(anchor.number, place as u64 + 1, "numbers without gaps");
            assert!(anchor.size > size, "anchor {} does not extend {size}", anchor.size);
            size = anchor.size;
            assert_eq!(Some(&anchor.root.0), self.roots.get(&size), "another root at {size}");
            let note = self.store().kept_checkpoint(size).unwrap().expect("a kept checkpoint");
            let signed = SignedCheckpoint::parse(&note).unwrap();
            signed.verify_log(self.notary.verifier()).unwrap();
            assert_eq!(signed.checkpoint.root, anchor.root.0);
        }
        assert_eq!(size, self.store().tail().unwrap().size);

        // Read past the proxy, from block 0: what a stranger sees.
        let rpc = Rpc::new(&[self.anvil.url()]).unwrap();
        let chain = Chain::new(rpc, self.anvil.chain_id(), self.registry, Finality::Tag);
        let head = self.anvil.block_number().await;
        let shown = chain.anchored_between(self.config.log, 0..=head).await.unwrap();
        let place = |record: &medtrail_ledger::plan::AnchorRecord| (record.anchor, record.tx);
        let (shown, known): (Vec<(_, B256)>, Vec<_>) =
            (shown.iter().map(place).collect(), plan.anchors.iter().map(place).collect());
        assert_eq!(shown, known, "chain and disk show different anchors");

        let outcomes = self.anvil.outcomes(self.operator.address()).await;
        let failed = outcomes.iter().filter(|succeeded| !**succeeded).count();
        assert_eq!(outcomes.len() - failed, 1 + plan.anchors.len(), "the opening and the anchors");
        failed
    }
}

async fn deploy_registry(anvil: &Anvil) -> Address {
    anvil.set_automine(true).await;
    let deployer = Arc::new(OperatorKey::from_bytes(&SECRETS[1]).unwrap());
    let rpc = Rpc::new(&[anvil.url()]).unwrap();
    let registry = deploy(&rpc, deployer, Contract::AnchorRegistry).await.unwrap().address;
    anvil.set_automine(false).await;
    // Final before any test begins: a reorganisation must not take the contract away.
    anvil.mine(2 * SLOTS_IN_AN_EPOCH).await;
    registry
}
