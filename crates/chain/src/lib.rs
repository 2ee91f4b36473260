//! The EVM chain as Medtrail sees it: the anchor registry, read and written through JSON-RPC, and
//! the consent registry and the markets, read.
//!
//! Invariants:
//! - No key is ever here: whoever signs stands behind [`medtrail_ledger::ports::Courier`], or signs
//!   what [`own`] has prepared.
//! - What decides anything is read at a block hash (EIP-1898), never at `pending`, and the block
//!   is looked at again afterwards.
//! - Every request ends: 3 s to connect, 10 s in all, a bounded answer.
//! - The request layer is ours: alloy's provider brings nonces, gas and watchers of its own, and
//!   those are what the sender decides. alloy gives the bindings.

mod bindings;
pub mod cohort;
mod consents;
mod control;
mod deploy;
mod follow;
mod gas;
mod history;
pub mod market;
pub mod own;
mod pool;
mod rpc;
mod view;

pub use bindings::{calldata, domain};
pub use control::{Control, revocation};
pub use deploy::{Contract, DeployError, Deployment, deploy};
pub use history::OpenedSeen;
pub use rpc::{Rpc, RpcError};
pub use view::{At, Finality, LogInfo};

use alloy::primitives::{Address, B256, Bytes};
use medtrail_ledger::plan::{AnchorRecord, BlockRef, Call, ChainView, Header, Watch};
use medtrail_ledger::ports::{PreflightError, Registry, RegistryError, SendError, Target, Tips};
use std::ops::RangeInclusive;
use std::sync::Mutex;
use view::AtFinalized;

/// One registry contract on one chain.
#[derive(Debug)]
pub struct Chain {
    rpc: Rpc,
    chain_id: u64,
    registry: Address,
    finality: Finality,
    /// State at the finalized block of the last view: full nodes drop state after 128 blocks, and
    /// finality may stand still for longer.
    at_finalized: Mutex<Option<AtFinalized>>,
}

impl Chain {
    /// The registry at this address of this chain. Asks nothing yet.
    pub fn new(rpc: Rpc, chain_id: u64, registry: Address, finality: Finality) -> Self {
        Self { rpc, chain_id, registry, finality, at_finalized: Mutex::new(None) }
    }

    /// The registry contract.
    pub fn registry(&self) -> Address {
        self.registry
    }

    /// EIP-155 chain id, as configured.
    pub fn chain_id(&self) -> u64 {
        self.chain_id
    }
}

impl Registry for Chain {
    fn encode(&self, call: &Call) -> Target {
        let to = match call {
            Call::Settle { market, .. } | Call::SettleMany { market, .. } => *market,
            Call::Open { .. } | Call::Anchor { .. } => self.registry,
        };
        Target { chain_id: self.chain_id, to, data: calldata(call) }
    }

    async fn view(&self, watch: &Watch) -> Result<ChainView, RegistryError> {
        self.chain_view(watch).await
    }

    async fn preflight(
        &self,
        at: BlockRef,
        from: Address,
        call: &Call,
    ) -> Result<u64, PreflightError> {
        match call {
            Call::SettleMany { gas, .. } => self.tried_with(*gas, at, from, call).await,
            _ => self.gas_limit(at, from, call).await,
        }
    }

    async fn send(&self, raw: &Bytes) -> Result<(), SendError> {
        self.rpc.broadcast(raw).await
    }

    async fn block(&self, number: u64) -> Result<Option<Header>, RegistryError> {
        Ok(self.rpc.block(number).await?)
    }

    async fn tips(&self) -> Result<Tips, RegistryError> {
        self.both_ends().await
    }

    async fn anchored_in(
        &self,
        log: B256,
        block: BlockRef,
    ) -> Result<Vec<AnchorRecord>, RegistryError> {
        self.anchors_in_block(log, block).await
    }

    async fn anchored_between(
        &self,
        log: B256,
        blocks: RangeInclusive<u64>,
    ) -> Result<Vec<AnchorRecord>, RegistryError> {
        self.anchors_in_range(log, blocks).await
    }
}
