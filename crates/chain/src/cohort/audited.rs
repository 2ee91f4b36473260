//! What a cohort market shows of calls up to a final block, for audits: both what it recorded and
//! what it holds.

use super::{CohortMarket, CohortStep, Status, step_of};
use crate::bindings::CohortMarket::CohortMarketEvents;
use crate::history::Walk;
use crate::{At, Chain};
use alloy::primitives::{Address, B256};
use alloy::sol_types::{SolEvent, SolEventInterface};
use medtrail_ledger::plan::Header;
use medtrail_ledger::ports::RegistryError;
use serde_json::json;
use std::collections::HashMap;

/// What an audit asks of a call, up to a final block. Times are those of blocks, in seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CallHistory {
    /// When it was paid for.
    pub opened_s: Option<u64>,
    /// When it was first settled.
    pub settled_s: Option<u64>,
    /// The key that the settlement showed, and SHA-256 of the file that it opens.
    pub shown: Option<(B256, B256)>,
}

impl Chain {
    /// How each of `calls` stood at `until`, a final block, asked for as
    /// [`orders_until`](Chain::orders_until) asks.
    pub async fn calls_until(
        &self,
        market: Address,
        calls: &[B256],
        until: Header,
    ) -> Result<HashMap<B256, CallHistory>, RegistryError> {
        let mut shown = HashMap::new();
        let mut walk = Walk::from(until.block.number, market);
        let settled = [CohortMarket::Settled::SIGNATURE_HASH];
        while let Some(found) = walk.back(self, json!([settled, calls])).await? {
            for log in found {
                let data = log.data_of(market)?;
                let event = CohortMarketEvents::decode_raw_log(data.topics(), &data.data);
                let event = event.map_err(|error| log.stray(&error.to_string()))?;
                match step_of(event).filter(|(call, _)| calls.contains(call)) {
                    // All batches of a call show the same.
                    Some((call, CohortStep::Settled { k, to_version, .. })) => {
                        shown.insert(call, (k, to_version));
                    }
                    _ => return Err(log.stray("about what was not asked for")),
                }
            }
        }
        let mut all = HashMap::new();
        for call in calls {
            let standing = self.cohort_standing(market, *call, At::Latest).await?;
            let shown = shown.get(call).copied();
            let by_then = |at_s: &u64| *at_s <= until.time_s;
            let opened_s = Some(standing.opened_at_s)
                .filter(|_| standing.status != Status::Unknown)
                .filter(by_then);
            // Where several blocks share a second, only the event tells in which it was.
            let is_later =
                |at_s: &u64| !by_then(at_s) || (shown.is_none() && *at_s == until.time_s);
            let settled_s = standing.settled_at_s.filter(|at_s| !is_later(at_s));
            if settled_s.is_some() != shown.is_some() {
                let words = format!(
                    "call {call} stands as {standing:?}, and its events say something else: a node \
                     that has dropped old events cannot be asked"
                );
                return Err(RegistryError::Nonsense(words));
            }
            all.insert(*call, CallHistory { opened_s, settled_s, shown });
        }
        Ok(all)
    }
}
