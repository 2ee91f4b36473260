//! The node of a world: lags, loses requests and answers, leaves events out.

use crate::model::{BLOCK_S, GWEI, Refusal, Tx};
use crate::world::{HARD_CAP, Inner, Mutant, World};
use alloy_primitives::{Address, B256, Bytes};
use medtrail_ledger::plan::{AnchorRecord, BlockRef, Call, ChainView, Header, Receipt, Watch};
use medtrail_ledger::ports::{PreflightError, Registry, RegistryError, SendError, Target, Tips};
use std::ops::RangeInclusive;
use std::sync::Arc;

/// The node, as the anchorer of this world reaches it.
pub(crate) struct Node(pub(crate) Arc<World>);

impl Node {
    /// The block that this answer takes for the head: a lagging node is a few behind.
    fn ends(&self, inner: &mut Inner) -> (Header, Header) {
        let lag = if inner.strikes(8) { inner.random.below(3) } else { 0 };
        let newest = inner.chain.head().header.block.number;
        let head = newest.saturating_sub(lag).max(inner.chain.finalized);
        let confirmed = match self.0.mutant {
            Some(Mutant::CallsOneConfirmationFinal) => head.saturating_sub(1),
            _ => inner.chain.finalized,
        };
        let header = |number: u64| inner.chain.blocks[number as usize].header;
        (header(head), header(confirmed))
    }
}

impl Registry for Node {
    fn encode(&self, call: &Call) -> Target {
        let data = postcard::to_stdvec(call).unwrap().into();
        Target { chain_id: 1, to: Address::repeat_byte(0xcc), data }
    }

    async fn tips(&self) -> Result<Tips, RegistryError> {
        let mut inner = self.0.lock();
        inner.read_fault()?;
        let (head, finalized) = self.ends(&mut inner);
        Ok(Tips { head, finalized })
    }

    async fn view(&self, watch: &Watch) -> Result<ChainView, RegistryError> {
        let mut inner = self.0.lock();
        inner.read_fault()?;
        let (head, finalized) = self.ends(&mut inner);
        let (state, settled) = (
            inner.chain.by_hash(head.block.hash).unwrap().state.clone(),
            inner.chain.by_hash(finalized.block.hash).unwrap().state.clone(),
        );
        let receipts = watch.attempts.iter().filter_map(|tx| {
            let (block, succeeded) = inner.block_of(*tx)?;
            let is_canonical = block.number <= head.block.number;
            Some(Receipt { tx: *tx, block, is_canonical, succeeded })
        });
        let receipts = receipts.collect();
        let (base_fee, market_tip) = (inner.chain.base_fee, GWEI);
        inner.cap = HARD_CAP.min(5 * (2 * base_fee + market_tip));
        Ok(ChainView {
            head: head.block,
            head_time_s: head.time_s,
            finalized: finalized.block,
            nonce_head: state.nonce,
            nonce_finalized: settled.nonce,
            balance: u128::MAX,
            base_fee,
            market_tip,
            log_head: state.head(),
            log_finalized: settled.head(),
            receipts,
        })
    }

    async fn preflight(
        &self,
        at: BlockRef,
        _: Address,
        call: &Call,
    ) -> Result<u64, PreflightError> {
        let mut inner = self.0.lock();
        inner.read_fault()?;
        let block = inner.chain.by_hash(at.hash).ok_or(RegistryError::Moved)?;
        let (mut state, time_s) = (block.state.clone(), block.header.time_s + BLOCK_S);
        let tried = state.call(call, time_s);
        tried.map(|()| 80_000).map_err(|reason| PreflightError::Reverts(reason.to_owned()))
    }

    async fn send(&self, raw: &Bytes) -> Result<(), SendError> {
        let tx = Tx::parse(raw);
        let answer = {
            let mut inner = self.0.lock();
            let lost = || SendError::Unknown("no answer in time".to_owned());
            if inner.is_dead || inner.dies(3) {
                return Err(lost());
            }
            inner.watch_send(&tx);
            if inner.strikes(10) {
                inner.counts.failed_sends += 1;
                return Err(lost());
            }
            let wants_base_fee = inner.random.percent(50);
            let taken = inner.chain.submit(tx, wants_base_fee);
            if inner.strikes(10) || inner.dies(3) {
                inner.counts.lost_replies += 1;
                return Err(lost());
            }
            taken.map_err(|refusal| match refusal {
                Refusal::Known => SendError::AlreadyKnown,
                Refusal::NonceTooLow => SendError::NonceTooLow,
                Refusal::Underpriced => SendError::Underpriced("underpriced".to_owned()),
            })
        };
        self.0.write_late();
        answer
    }

    async fn block(&self, number: u64) -> Result<Option<Header>, RegistryError> {
        let mut inner = self.0.lock();
        inner.read_fault()?;
        Ok(inner.chain.blocks.get(number as usize).map(|block| block.header))
    }

    async fn anchored_in(
        &self,
        _: B256,
        block: BlockRef,
    ) -> Result<Vec<AnchorRecord>, RegistryError> {
        let mut inner = self.0.lock();
        inner.read_fault()?;
        if inner.hides(2) {
            inner.counts.hidden_events += 1;
            return Ok(Vec::new());
        }
        let found = inner.chain.by_hash(block.hash).ok_or(RegistryError::Moved)?;
        Ok(found.anchored.clone())
    }

    async fn anchored_between(
        &self,
        _: B256,
        blocks: RangeInclusive<u64>,
    ) -> Result<Vec<AnchorRecord>, RegistryError> {
        let mut inner = self.0.lock();
        inner.read_fault()?;
        if inner.hides(5) {
            inner.counts.hidden_events += 1;
            return Ok(Vec::new());
        }
        let found = inner.chain.blocks.iter();
        let inside = found.filter(|block| blocks.contains(&block.header.block.number));
        Ok(inside.flat_map(|block| block.anchored.clone()).collect())
    }
}
