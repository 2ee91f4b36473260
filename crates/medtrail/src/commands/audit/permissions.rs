//! Every change judged again, with what the chain says of its person, and what was done by an order
//! with what the market says of that: asked for as they are met, many at once, up to the final block
//! that the whole audit is held against.

use crate::exit::Failure;
use crate::permission::need;
use alloy_primitives::{Address, B256};
use medtrail_chain::cohort::CallHistory;
use medtrail_chain::market::{OrderHistory, Status};
use medtrail_chain::{Chain, Contract};
use medtrail_ledger::audit::content::Opened;
use medtrail_ledger::audit::history::History;
use medtrail_ledger::audit::order::InOrder;
use medtrail_ledger::plan::Header;
use medtrail_ledger::trust::TrustFile;
use medtrail_permit::documents::Registries;
use medtrail_permit::replay::{CallSeen, OrderSeen, Replay, Setting};
use medtrail_permit::sale::Market;
use medtrail_permit::sale::cohort::CohortMarket;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::runtime::Handle;

/// People, orders or calls asked for at once; many nodes take no longer lists.
const TOGETHER: usize = 200;

/// The markets of this build that stand on the chain. The log is not asked which.
#[derive(Clone, Copy, Default)]
pub(super) struct Markets {
    pub(super) orders: Option<Market>,
    pub(super) calls: Option<CohortMarket>,
}

pub(super) struct Permissions<'a> {
    pub(super) replay: Replay<'a>,
    chain: &'a Chain,
    finalized: Header,
}

impl<'a> Permissions<'a> {
    pub(super) fn new(
        chain: &'a Chain,
        history: &History,
        trust: &'a TrustFile,
        markets: Markets,
        grace: Duration,
    ) -> Self {
        let setting = Setting {
            registries: Registries {
                chain_id: history.chain_id,
                consent_registry: Contract::ConsentRegistry.address(),
                anchor_registry: history.registry,
            },
            market: markets.orders,
            cohort_market: markets.calls,
            trust,
            need,
            final_ms: history.finalized.time_s.saturating_mul(1000),
            grace_ms: grace.as_millis().try_into().unwrap_or(u64::MAX),
        };
        Self { replay: Replay::new(setting), chain, finalized: history.finalized }
    }

    pub(super) fn in_order(&mut self) -> &mut dyn InOrder {
        &mut self.replay
    }

    /// Asks the chain about whoever these entries need it for. Blocks.
    pub(super) fn ask<'e>(
        &mut self,
        entries: impl Iterator<Item = &'e Opened> + Clone,
    ) -> Result<(), Failure> {
        self.ask_market(entries.clone())?;
        self.ask_cohort_market(entries.clone())?;
        let asked: BTreeSet<Address> =
            entries.filter_map(|entry| self.replay.asks(entry)).collect();
        let asked: Vec<Address> = asked.into_iter().collect();
        for people in asked.chunks(TOGETHER) {
            let registry = Contract::ConsentRegistry.address();
            let asking = self.chain.consents_until(registry, people, self.finalized.block.number);
            for (subject, records) in Handle::current().block_on(asking)? {
                self.replay.tell(subject, records);
            }
        }
        Ok(())
    }

    fn ask_market<'e>(&mut self, entries: impl Iterator<Item = &'e Opened>) -> Result<(), Failure> {
        let asked: BTreeSet<B256> =
            entries.filter_map(|entry| self.replay.asks_order(entry)).collect();
        let asked: Vec<B256> = asked.into_iter().collect();
        for orders in asked.chunks(TOGETHER) {
            let market = Contract::DataMarket.address();
            let asking = self.chain.orders_until(market, orders, self.finalized);
            for (order, history) in Handle::current().block_on(asking)? {
                self.replay.tell_order(order, seen(&history));
            }
        }
        Ok(())
    }

    fn ask_cohort_market<'e>(
        &mut self,
        entries: impl Iterator<Item = &'e Opened>,
    ) -> Result<(), Failure> {
        let asked: BTreeSet<B256> =
            entries.filter_map(|entry| self.replay.asks_call(entry)).collect();
        let asked: Vec<B256> = asked.into_iter().collect();
        for calls in asked.chunks(TOGETHER) {
            let market = Contract::CohortMarket.address();
            let asking = self.chain.calls_until(market, calls, self.finalized);
            for (call, history) in Handle::current().block_on(asking)? {
                let CallHistory { opened_s, settled_s, shown } = history;
                self.replay.tell_call(call, CallSeen { opened_s, settled_s, shown });
            }
        }
        Ok(())
    }
}

fn seen(history: &OrderHistory) -> OrderSeen {
    let OrderHistory { standing, key } = history;
    let ended_s = |status| standing.ended_at_s.filter(|_| standing.status == status);
    OrderSeen {
        paid_s: Some(standing.paid_at_s).filter(|at_s| *at_s != 0),
        settled_s: ended_s(Status::Settled),
        refunded_s: ended_s(Status::Refunded),
        revoked_s: standing.revoked_at_s,
        key: *key,
    }
}
