//! Every change judged again, with what the chain says of its person: asked for as people with
//! changes are met, many at once, up to the final block that the whole audit is held against.

use crate::exit::Failure;
use crate::permission::need;
use alloy_primitives::Address;
use medtrail_chain::{Chain, Contract};
use medtrail_ledger::audit::content::Opened;
use medtrail_ledger::audit::history::History;
use medtrail_ledger::audit::order::InOrder;
use medtrail_ledger::trust::TrustFile;
use medtrail_permit::documents::Registries;
use medtrail_permit::replay::{Replay, Setting};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::runtime::Handle;

/// People asked for at once; many nodes take no longer lists.
const TOGETHER: usize = 200;

pub(super) struct Permissions<'a> {
    pub(super) replay: Replay<'a>,
    chain: &'a Chain,
    final_block: u64,
}

impl<'a> Permissions<'a> {
    pub(super) fn new(
        chain: &'a Chain,
        history: &History,
        trust: &'a TrustFile,
        grace: Duration,
    ) -> Self {
        let setting = Setting {
            registries: Registries {
                chain_id: history.chain_id,
                consent_registry: Contract::ConsentRegistry.address(),
                anchor_registry: history.registry,
            },
            trust,
            need,
            final_ms: history.finalized.time_s.saturating_mul(1000),
            grace_ms: grace.as_millis().try_into().unwrap_or(u64::MAX),
        };
        Self { replay: Replay::new(setting), chain, final_block: history.finalized.block.number }
    }

    pub(super) fn in_order(&mut self) -> &mut dyn InOrder {
        &mut self.replay
    }

    /// Asks the chain about whoever these entries need it for. Blocks.
    pub(super) fn ask<'e>(
        &mut self,
        entries: impl Iterator<Item = &'e Opened>,
    ) -> Result<(), Failure> {
        let asked: BTreeSet<Address> =
            entries.filter_map(|entry| self.replay.asks(entry)).collect();
        let asked: Vec<Address> = asked.into_iter().collect();
        for people in asked.chunks(TOGETHER) {
            let registry = Contract::ConsentRegistry.address();
            let asking = self.chain.consents_until(registry, people, self.final_block);
            for (subject, records) in Handle::current().block_on(asking)? {
                self.replay.tell(subject, records);
            }
        }
        Ok(())
    }
}
