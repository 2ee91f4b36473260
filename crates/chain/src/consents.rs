//! The consent registry's events about one subject.
//!
//! Read for the one subject that is asked about, never followed for all: anybody may write there
//! about themselves, and what strangers write must not fill our memory.

use crate::Chain;
use crate::bindings::{
    ConsentRegistryEvents, ControlMoved, EpochStarted, Frozen, Granted, Revoked, UnfreezeStarted,
};
use crate::follow::{RpcLog, range};
use crate::history::Walk;
use alloy::primitives::{Address, B256, LogData};
use alloy::sol_types::{SolEvent, SolEventInterface};
use medtrail_ledger::consents::{ConsentEvent, ConsentRecord};
use medtrail_ledger::ports::{RegistryError, Tips};
use serde_json::json;
use std::collections::HashMap;

const SIGNATURES: [B256; 6] = [
    Granted::SIGNATURE_HASH,
    Revoked::SIGNATURE_HASH,
    EpochStarted::SIGNATURE_HASH,
    ControlMoved::SIGNATURE_HASH,
    Frozen::SIGNATURE_HASH,
    UnfreezeStarted::SIGNATURE_HASH,
];

impl Chain {
    /// All that `registry` has recorded about each of `subjects` up to block `until`, a final one,
    /// in the order of the chain. For audits: reads backwards in ranges that the node answers.
    pub async fn consents_until(
        &self,
        registry: Address,
        subjects: &[Address],
        until: u64,
    ) -> Result<HashMap<Address, Vec<ConsentRecord>>, RegistryError> {
        let words: Vec<B256> = subjects.iter().map(|subject| subject.into_word()).collect();
        let mut logs = Vec::new();
        let mut walk = Walk::from(until, registry);
        while let Some(found) = walk.back(self, json!([SIGNATURES, words])).await? {
            logs.extend(found);
        }
        logs.sort_by_key(|log| (log.block_number, log.log_index));
        let mut all: HashMap<_, _> = subjects.iter().map(|one| (*one, Vec::new())).collect();
        for found in logs {
            let about = found.topics.get(1).map(|word| Address::from_word(*word));
            let about = about.filter(|about| all.contains_key(about));
            let about = about.ok_or_else(|| found.stray("about nobody who was asked for"))?;
            let event = self.consent(registry, about, &found).await?;
            let records: &mut Vec<ConsentRecord> = all.entry(about).or_default();
            records.push(ConsentRecord { event, is_final: true });
        }
        Ok(all)
    }

    /// All that `registry` has recorded about `subject`, in the order of the chain. Fails with
    /// [`RegistryError::Moved`] if the head was reorganised away meanwhile.
    pub async fn consents(
        &self,
        registry: Address,
        subject: Address,
    ) -> Result<Vec<ConsentRecord>, RegistryError> {
        let Tips { head, finalized } = self.both_ends().await?;
        let mut filter = range(0..=head.block.number);
        filter["address"] = json!(registry);
        filter["topics"] = json!([SIGNATURES, subject.into_word()]);
        let mut logs: Vec<RpcLog> = self.rpc.need("eth_getLogs", json!([filter])).await?;
        logs.sort_by_key(|log| (log.block_number, log.log_index));
        let mut records = Vec::with_capacity(logs.len());
        for found in logs {
            let event = self.consent(registry, subject, &found).await?;
            let is_final = found.block_number.to::<u64>() <= finalized.block.number;
            records.push(ConsentRecord { event, is_final });
        }
        match self.rpc.block(head.block.number).await? {
            Some(still) if still.block == head.block => Ok(records),
            _ => Err(RegistryError::Moved),
        }
    }

    /// A filter is a request and not a promise: what comes back is checked.
    async fn consent(
        &self,
        registry: Address,
        subject: Address,
        found: &RpcLog,
    ) -> Result<ConsentEvent, RegistryError> {
        if found.address != registry || found.removed {
            return Err(found.stray("not of the consent registry, or removed"));
        }
        let data = LogData::new(found.topics.clone(), found.data.clone())
            .ok_or_else(|| found.stray("too many topics"))?;
        let event = ConsentRegistryEvents::decode_raw_log(data.topics(), &data.data)
            .map_err(|error| found.stray(&error.to_string()))?;
        let (about, event) = match event {
            ConsentRegistryEvents::Granted(Granted { subject, permission, grantedAt }) => {
                (subject, ConsentEvent::Granted { permission, at_s: grantedAt })
            }
            ConsentRegistryEvents::Revoked(Revoked { subject, permission, revokedAt }) => {
                (subject, ConsentEvent::Revoked { permission, at_s: revokedAt })
            }
            ConsentRegistryEvents::EpochStarted(EpochStarted { subject, epoch, startedS }) => {
                (subject, ConsentEvent::EpochStarted { epoch, at_s: startedS })
            }
            ConsentRegistryEvents::ControlMoved(moved) => {
                let (controller, at_s) = (moved.newController, moved.movedAtS);
                (moved.subject, ConsentEvent::ControlMoved { controller, at_s })
            }
            // The one event without a time.
            ConsentRegistryEvents::Frozen(Frozen { subject, .. }) => {
                let block = self.rpc.block(found.block_number.to()).await?;
                let header = block.filter(|header| header.block.hash == found.block_hash);
                let at_s = header.ok_or(RegistryError::Moved)?.time_s;
                (subject, ConsentEvent::Frozen { at_s })
            }
            ConsentRegistryEvents::UnfreezeStarted(started) => {
                (started.subject, ConsentEvent::UnfreezeStarted { until_s: started.unfrozenFromS })
            }
            _ => return Err(found.stray("an event that was not asked for")),
        };
        match about == subject {
            true => Ok(event),
            false => Err(found.stray("about another subject")),
        }
    }
}
