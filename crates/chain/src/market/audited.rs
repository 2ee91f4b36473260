//! What a market shows of orders up to a final block, for audits: both what it recorded and what it
//! holds.

use super::{About, MarketEvent, OF_ORDERS, Standing, Status, Step, event_of};
use crate::bindings::DataMarket::DataMarketEvents;
use crate::history::Walk;
use crate::{At, Chain};
use alloy::primitives::{Address, B256};
use alloy::sol_types::SolEventInterface;
use medtrail_ledger::plan::Header;
use medtrail_ledger::ports::RegistryError;
use serde_json::json;
use std::collections::{HashMap, HashSet};

/// All that a market shows of an order up to a final block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OrderHistory {
    /// How it stood then.
    pub standing: Standing,
    /// What opened the hash lock, if it was settled.
    pub key: Option<B256>,
}

/// Which of an order's times an event tells.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Told {
    Bought,
    Approved,
    Ended,
    Revoked,
}

impl Told {
    fn of(step: Step) -> Self {
        match step {
            Step::Bought { .. } => Self::Bought,
            Step::Approved => Self::Approved,
            Step::Declined | Step::Settled { .. } | Step::Refunded => Self::Ended,
            Step::Revoked => Self::Revoked,
        }
    }
}

impl Chain {
    /// How each of `orders` stood at `until`, a final block. For audits: events are read backwards in
    /// ranges that the node answers, states at the newest block, since nodes drop older ones: each
    /// time of an order is written once, so that what came later shows by its time. A node whose
    /// events and states say different things is believed in neither.
    pub async fn orders_until(
        &self,
        market: Address,
        orders: &[B256],
        until: Header,
    ) -> Result<HashMap<B256, OrderHistory>, RegistryError> {
        let (mut keys, mut steps) = (HashMap::new(), HashSet::new());
        let mut walk = Walk::from(until.block.number, market);
        while let Some(found) = walk.back(self, json!([OF_ORDERS, orders])).await? {
            for log in found {
                let data = log.data_of(market)?;
                let event = DataMarketEvents::decode_raw_log(data.topics(), &data.data);
                let event = event.map_err(|error| log.stray(&error.to_string()))?;
                let asked = |event: &MarketEvent| About::Orders(orders).covers(event);
                match event_of(event).filter(asked) {
                    Some(MarketEvent::Order { order, step, .. }) => {
                        if let Step::Settled { k } = step {
                            keys.insert(order, k);
                        }
                        steps.insert((order, Told::of(step)));
                    }
                    Some(_) => {}
                    None => return Err(log.stray("about what was not asked for")),
                }
            }
        }
        let mut all = HashMap::new();
        for order in orders {
            let newest = self.order_standing(market, *order, At::Latest).await?;
            let key = keys.get(order).copied();
            let mut standing = newest.as_of(until.time_s);
            // Where several blocks share a second, only the event tells in which it was.
            let is_later = |at_s: Option<u64>, what: Told| {
                at_s == Some(until.time_s) && !steps.contains(&(*order, what))
            };
            if is_later(standing.revoked_at_s, Told::Revoked) {
                standing.revoked_at_s = None;
            }
            if is_later(standing.ended_at_s, Told::Ended) {
                (standing.status, standing.ended_at_s) = (Status::Paid, None);
            }
            if is_later(Some(standing.paid_at_s), Told::Bought) {
                (standing.status, standing.paid_at_s) = (Status::Unknown, 0);
            }
            if (standing.status == Status::Settled) != key.is_some() {
                let words = format!(
                    "order {order} stands as {:?}, and its events say something else: a node that \
                     has dropped old events cannot be asked",
                    standing.status
                );
                return Err(RegistryError::Nonsense(words));
            }
            all.insert(*order, OrderHistory { standing, key });
        }
        Ok(all)
    }
}

impl Standing {
    /// The same at a block of this time: nothing of an order is ever written twice.
    fn as_of(self, time_s: u64) -> Self {
        let by_then = |at_s: Option<u64>| at_s.filter(|at_s| *at_s <= time_s);
        let is_ended = matches!(self.status, Status::Settled | Status::Refunded);
        let status = match self.status {
            _ if self.paid_at_s > time_s => Status::Unknown,
            _ if is_ended && by_then(self.ended_at_s).is_none() => Status::Paid,
            status => status,
        };
        Self {
            status,
            paid_at_s: by_then(Some(self.paid_at_s)).unwrap_or_default(),
            approved_at_s: by_then(self.approved_at_s),
            ended_at_s: by_then(self.ended_at_s),
            revoked_at_s: by_then(self.revoked_at_s),
        }
    }
}
