//! The registry's events.

use crate::Chain;
use crate::bindings::Anchored;
use alloy::primitives::{Address, B256, Bytes, Log, LogData, U64};
use alloy::sol_types::{SolEvent, SolEventInterface};
use medtrail_ledger::plan::{Anchor, AnchorRecord, BlockRef};
use medtrail_ledger::ports::RegistryError;
use serde::Deserialize;
use serde_json::{Value, json};
use std::ops::RangeInclusive;

/// What of a log is looked at.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RpcLog {
    pub(crate) address: Address,
    pub(crate) topics: Vec<B256>,
    pub(crate) data: Bytes,
    pub(crate) block_number: U64,
    pub(crate) block_hash: B256,
    pub(crate) transaction_hash: B256,
    pub(crate) log_index: U64,
    #[serde(default)]
    pub(crate) removed: bool,
}

/// An event, and where it stands.
pub(crate) struct Stood<E> {
    pub(crate) event: E,
    pub(crate) block: BlockRef,
    pub(crate) tx: B256,
    pub(crate) is_final: bool,
}

impl<E> Stood<E> {
    /// Something else made of the event; none: it was not asked for.
    pub(crate) fn read<T>(
        self,
        read: impl FnOnce(E) -> Option<T>,
    ) -> Result<Stood<T>, RegistryError> {
        let Self { event, block, tx, is_final } = self;
        let event = read(event).ok_or_else(|| stray(tx, "about what was not asked for"))?;
        Ok(Stood { event, block, tx, is_final })
    }
}

fn stray(tx: B256, detail: &str) -> RegistryError {
    RegistryError::Nonsense(format!("a log of transaction {tx}: {detail}"))
}

impl RpcLog {
    /// What was asked for, this is not.
    pub(crate) fn stray(&self, detail: &str) -> RegistryError {
        stray(self.transaction_hash, detail)
    }

    /// A filter is a request and not a promise: what comes back is checked.
    pub(crate) fn data_of(&self, contract: Address) -> Result<LogData, RegistryError> {
        if self.address != contract || self.removed {
            return Err(self.stray("not of the contract, or removed"));
        }
        let data = LogData::new(self.topics.clone(), self.data.clone());
        data.ok_or_else(|| self.stray("too many topics"))
    }
}

impl Chain {
    pub(crate) async fn anchors_in_block(
        &self,
        log: B256,
        block: BlockRef,
    ) -> Result<Vec<AnchorRecord>, RegistryError> {
        let filter = json!({ "blockHash": block.hash });
        let found = records(self.anchors(filter, log, Value::Null).await?);
        match found.iter().find(|record| record.block != block) {
            None => Ok(found),
            Some(stray) => Err(RegistryError::Nonsense(format!(
                "asked for logs of block {}, got one of {}",
                block.hash, stray.block.hash
            ))),
        }
    }

    pub(crate) async fn anchors_in_range(
        &self,
        log: B256,
        blocks: RangeInclusive<u64>,
    ) -> Result<Vec<AnchorRecord>, RegistryError> {
        Ok(records(self.anchors(range(blocks), log, Value::Null).await?))
    }

    /// An anchor by its number, and the operator who made it.
    pub(crate) async fn numbered_anchor(
        &self,
        log: B256,
        number: u64,
        blocks: RangeInclusive<u64>,
    ) -> Result<Option<(AnchorRecord, Address)>, RegistryError> {
        let topic = B256::left_padding_from(&number.to_be_bytes());
        let found = self.anchors(range(blocks), log, json!(topic)).await?;
        Ok(found.into_iter().find(|(record, _)| record.anchor.number == number))
    }

    /// `Anchored` events of one log in the order of the chain; is_final is the caller's to know.
    async fn anchors(
        &self,
        mut filter: Value,
        log: B256,
        number: Value,
    ) -> Result<Vec<(AnchorRecord, Address)>, RegistryError> {
        filter["address"] = json!(self.registry);
        filter["topics"] = json!([Anchored::SIGNATURE_HASH, log, null, number]);
        let logs = self.logs(filter).await?;
        logs.into_iter().map(|found| self.record(log, found)).collect()
    }

    /// What a node has for this filter, in the order of the chain.
    pub(crate) async fn logs(&self, filter: Value) -> Result<Vec<RpcLog>, RegistryError> {
        let mut logs: Vec<RpcLog> = self.rpc.need("eth_getLogs", json!([filter])).await?;
        logs.sort_by_key(|log| (log.block_number, log.log_index));
        Ok(logs)
    }

    /// What `contract` recorded under any of these topics in these blocks, in the order of the chain.
    /// Fails with [`RegistryError::Moved`] if the last of them was reorganised away meanwhile.
    pub(crate) async fn events_of<E: SolEventInterface>(
        &self,
        contract: Address,
        topics: Vec<Value>,
        blocks: RangeInclusive<u64>,
    ) -> Result<Vec<Stood<E>>, RegistryError> {
        let finalized = self.finalized().await?.block.number;
        let last = self.rpc.block(*blocks.end()).await?.ok_or(RegistryError::Moved)?.block;
        let mut logs = Vec::new();
        for topics in topics {
            let mut filter = range(blocks.clone());
            filter["address"] = json!(contract);
            filter["topics"] = topics;
            logs.extend(self.logs(filter).await?);
        }
        logs.sort_by_key(|log| (log.block_number, log.log_index));
        let stood = |found: &RpcLog| {
            let data = found.data_of(contract)?;
            let event = E::decode_raw_log(data.topics(), &data.data)
                .map_err(|error| found.stray(&error.to_string()))?;
            let block = BlockRef { number: found.block_number.to(), hash: found.block_hash };
            let is_final = block.number <= finalized;
            Ok(Stood { event, block, tx: found.transaction_hash, is_final })
        };
        let events = logs.iter().map(stood).collect::<Result<_, RegistryError>>()?;
        match self.rpc.block(last.number).await? {
            Some(still) if still.block == last => Ok(events),
            _ => Err(RegistryError::Moved),
        }
    }

    pub(crate) fn event<E: SolEvent>(&self, found: &RpcLog) -> Result<E, RegistryError> {
        let data = found.data_of(self.registry)?;
        let event = E::decode_log_validate(&Log { address: found.address, data });
        event.map(|log| log.data).map_err(|error| found.stray(&error.to_string()))
    }

    pub(crate) fn record(
        &self,
        log: B256,
        found: RpcLog,
    ) -> Result<(AnchorRecord, Address), RegistryError> {
        let event = self.event::<Anchored>(&found)?;
        if event.log != log {
            return Err(found.stray("of another Medtrail log"));
        }
        let anchor = Anchor {
            number: event.number,
            size: event.size,
            root: event.root,
            time_s: event.timeS,
        };
        let record = AnchorRecord {
            anchor,
            tx: found.transaction_hash,
            block: BlockRef { number: found.block_number.to(), hash: found.block_hash },
            is_final: false,
        };
        Ok((record, event.operator))
    }
}

fn records(found: Vec<(AnchorRecord, Address)>) -> Vec<AnchorRecord> {
    found.into_iter().map(|(record, _)| record).collect()
}

pub(crate) fn range(blocks: RangeInclusive<u64>) -> Value {
    json!({ "fromBlock": U64::from(*blocks.start()), "toBlock": U64::from(*blocks.end()) })
}
