//! All that the chain says of one log, for whoever audits it: read backwards from the newest
//! finalized block to the one that opened it, at one block hash where state is read.

use crate::Chain;
use crate::bindings::{Anchored, Opened, OperatorRotated};
use crate::follow::RpcLog;
use crate::view::At;
use alloy::primitives::{Address, B256, U64};
use alloy::sol_types::SolEvent;
use medtrail_ledger::audit::history::History;
use medtrail_ledger::plan::Header;
use medtrail_ledger::ports::RegistryError;
use medtrail_ledger::schema::log_id;
use medtrail_ledger::verify::AnchorSeen;
use serde_json::{Value, json};
use std::time::Duration;

/// Blocks asked for at once at first; many public nodes answer no more.
const SPAN_FIRST: u64 = 10_000;
/// Blocks asked for at once at most.
const SPAN_MAX: u64 = 1 << 20;
/// How often an endpoint that is not heard is asked, and the pause before it is asked again.
const TRIES: u32 = 4;
const TRY_PAUSE: Duration = Duration::from_secs(1);
/// Anchors that the registry's ring holds.
const RING: u64 = 64;

/// Who opened a log, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenedSeen {
    /// The log's id.
    pub log: B256,
    /// Who opened it.
    pub operator: Address,
    /// Under which name.
    pub origin: String,
    /// In which block.
    pub block: u64,
}

impl Chain {
    /// The log of this origin that `is_it` recognises, newest first; `None` if none was opened.
    /// Anybody may open a log of any name: only a signature tells them apart.
    pub async fn find_opened(
        &self,
        origin: &str,
        is_it: impl Fn(&OpenedSeen) -> bool,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<Option<OpenedSeen>, RegistryError> {
        let finalized = self.finalized().await?.block.number;
        let mut walk = Walk::from(finalized, self.registry);
        while let Some(logs) = walk.back(self, json!([Opened::SIGNATURE_HASH])).await? {
            progress(finalized - walk.left, finalized);
            for found in logs.into_iter().rev() {
                let opened = self.opened(&found)?;
                if opened.origin == origin && is_it(&opened) {
                    return Ok(Some(opened));
                }
            }
        }
        Ok(None)
    }

    /// Everything of one log up to the newest finalized block; `None` if it was never opened.
    /// Tells `progress` (blocks read, of at most).
    pub async fn history(
        &self,
        log: B256,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<Option<History>, RegistryError> {
        let finalized = self.finalized().await?;
        let at = At::Block(finalized.block.hash);
        let info = self.log_info(log, at).await?;
        if info.cold_key.is_zero() {
            return Ok(None);
        }
        let head = self.log_head(log, at).await?;
        let topics =
            [Opened::SIGNATURE_HASH, Anchored::SIGNATURE_HASH, OperatorRotated::SIGNATURE_HASH];
        let (mut anchors, mut operators, mut opened) = (Vec::new(), Vec::new(), None);
        let top = finalized.block.number;
        let mut walk = Walk::from(top, self.registry);
        while opened.is_none() {
            let Some(logs) = walk.back(self, json!([topics, log])).await? else {
                let words = format!("it knows log {log}, but shows no event that opened it");
                return Err(RegistryError::Nonsense(words));
            };
            progress(top - walk.left, top);
            for found in logs.into_iter().rev() {
                match found.topics.first() {
                    Some(topic) if *topic == Anchored::SIGNATURE_HASH => {
                        anchors.push(self.anchor_seen(log, found)?);
                    }
                    Some(topic) if *topic == OperatorRotated::SIGNATURE_HASH => {
                        let event = self.event::<OperatorRotated>(&found)?;
                        operators.push(event.operator);
                    }
                    _ => opened = Some(self.opened(&found)?),
                }
            }
        }
        let opened: OpenedSeen = opened.expect("the loop ends with it");
        anchors.reverse();
        operators.push(opened.operator);
        let ring = self.ring(log, &anchors, at).await?;
        Ok(Some(History {
            chain_id: self.chain_id(),
            registry: self.registry(),
            log,
            finalized,
            opener: opened.operator,
            origin: opened.origin,
            opened_s: self.header(opened.block).await?.time_s,
            operators,
            anchors,
            ring,
            head,
            note_key: info.note_key,
            anchor_within_s: info.anchor_within_s,
        }))
    }

    async fn ring(
        &self,
        log: B256,
        anchors: &[AnchorSeen],
        at: At,
    ) -> Result<Vec<(u64, bool)>, RegistryError> {
        let mut ring = Vec::new();
        for seen in anchors.iter().rev().take(RING as usize) {
            ring.push((seen.anchor.number, self.living(log, &seen.anchor, at).await?));
        }
        Ok(ring)
    }

    async fn header(&self, number: u64) -> Result<Header, RegistryError> {
        let header = self.rpc.block(number).await?;
        header.ok_or_else(|| RegistryError::Nonsense(format!("it has no block {number}")))
    }

    fn opened(&self, found: &RpcLog) -> Result<OpenedSeen, RegistryError> {
        let event = self.event::<Opened>(found)?;
        let id = log_id(self.chain_id, self.registry, event.operator, &event.origin);
        if event.log != id {
            let words = format!("log {} was opened under an id that is not its own", event.log);
            return Err(RegistryError::Nonsense(words));
        }
        let block = found.block_number.to();
        let Opened { log, operator, origin, .. } = event;
        Ok(OpenedSeen { log, operator, origin, block })
    }

    fn anchor_seen(&self, log: B256, found: RpcLog) -> Result<AnchorSeen, RegistryError> {
        let (record, operator) = self.record(log, found)?;
        let (anchor, tx, block) = (record.anchor, record.tx, record.block.number);
        Ok(AnchorSeen { anchor, operator, tx, block })
    }
}

/// Reads events backwards in ranges of as many blocks as the node will answer.
pub(crate) struct Walk {
    /// Whose events.
    address: Address,
    /// Blocks that are not read yet are those below this.
    left: u64,
    span: u64,
    /// A node that refused once is not asked for more again.
    span_max: u64,
}

impl Walk {
    pub(crate) fn from(newest: u64, address: Address) -> Self {
        Self { address, left: newest + 1, span: SPAN_FIRST, span_max: SPAN_MAX }
    }

    fn may_be_too_many(&self, error: &RegistryError) -> bool {
        match error {
            RegistryError::Node { .. } | RegistryError::Nonsense(_) => self.span > 1,
            RegistryError::Unreachable(_) => self.span > SPAN_FIRST,
            _ => false,
        }
    }

    /// The next range's events in the order of the chain; `None` after block 0.
    pub(crate) async fn back(
        &mut self,
        chain: &Chain,
        topics: Value,
    ) -> Result<Option<Vec<RpcLog>>, RegistryError> {
        if self.left == 0 {
            return Ok(None);
        }
        let mut tries = 1;
        loop {
            let first = self.left.saturating_sub(self.span);
            let filter = json!({
                "address": self.address,
                "topics": topics,
                "fromBlock": U64::from(first),
                "toBlock": U64::from(self.left - 1),
            });
            match chain.logs(filter).await {
                Ok(logs) => {
                    self.left = first;
                    self.span = (self.span * 2).min(self.span_max);
                    return Ok(Some(logs));
                }
                // Too many blocks, too many events, too slow: what else it may be shows with fewer.
                Err(error) if self.may_be_too_many(&error) => {
                    tracing::debug!("asking for {} blocks failed: {error}", self.span);
                    self.span /= 2;
                    self.span_max = self.span;
                }
                // One answer among hundreds may be lost.
                Err(RegistryError::Unreachable(what)) if tries < TRIES => {
                    tracing::debug!("asking again: {what}");
                    tries += 1;
                    tokio::time::sleep(TRY_PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        }
    }
}
