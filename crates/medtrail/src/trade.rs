//! The market contract on the configured chain, for the sales of a log.

use alloy_primitives::{Address, B256, Bytes};
use medtrail_chain::market::{self, About, MarketCall, MarketEvent, Settlement, Status, Step};
use medtrail_chain::{At, Chain};
use medtrail_ledger::plan::Anchor;
use medtrail_ledger::ports::{Registry, RegistryError, Tips};
use medtrail_market::delivery::OnChain;
use medtrail_oracle::sales::trade::{Bought, Shown, Standing, Trade};
use medtrail_permit::sale::{Market, Offer, Order};
use std::ops::RangeInclusive;
use std::time::Duration;
use tokio::runtime::Handle;

/// How long one question may take.
const LOOK: Duration = Duration::from_secs(8);

/// A chain, asked from threads that may block.
pub(crate) struct Asked {
    pub(crate) chain: Chain,
    runtime: Handle,
}

impl Asked {
    /// To be made in the runtime that then reads.
    pub(crate) fn new(chain: Chain) -> Self {
        Self { chain, runtime: Handle::current() }
    }

    pub(crate) fn ask<T>(
        &self,
        question: impl Future<Output = Result<T, RegistryError>>,
    ) -> Result<T, RegistryError> {
        // The timer is made inside: the thread may be none of the runtime's.
        let answer = self.runtime.block_on(async { tokio::time::timeout(LOOK, question).await });
        answer.unwrap_or_else(|_| {
            Err(RegistryError::Unreachable(format!("not within {} s", LOOK.as_secs())))
        })
    }
}

/// A market contract on it.
pub(crate) struct MarketOnChain {
    asked: Asked,
    market: Address,
}

impl MarketOnChain {
    /// To be made in the runtime that then reads.
    pub(crate) fn new(chain: Chain, market: Address) -> Self {
        Self { asked: Asked::new(chain), market }
    }
}

/// An offer as the contract takes it: the terms as their struct hash.
pub(crate) fn bare_offer(offer: &Offer) -> market::Offer {
    market::Offer {
        seller: offer.seller,
        log: offer.log,
        token: offer.token,
        price: offer.price,
        accessS: offer.accessS,
        expiresAt: offer.expiresAt,
        epoch: offer.epoch,
        terms: offer.terms.hash(),
    }
}

/// An order as the contract takes it.
pub(crate) fn bare_order(order: &Order) -> market::Order {
    market::Order {
        offer: bare_offer(&order.offer),
        buyer: order.buyer,
        recipient: order.recipient,
        deliverBy: order.deliverBy,
        grace: order.grace,
        salt: order.salt,
    }
}

impl Trade for MarketOnChain {
    fn market(&self) -> Market {
        Market { chain_id: self.asked.chain.chain_id(), data_market: self.market }
    }

    fn tips(&self) -> Result<Tips, RegistryError> {
        self.asked.ask(Registry::tips(&self.asked.chain))
    }

    fn bought(
        &self,
        sellers: &[Address],
        blocks: RangeInclusive<u64>,
    ) -> Result<Vec<Bought>, RegistryError> {
        if sellers.is_empty() {
            return Ok(Vec::new());
        }
        let about = About::Sellers(sellers);
        let found = self.asked.ask(self.asked.chain.market_events(self.market, about, blocks))?;
        let bought = found.into_iter().filter_map(|record| match record.event {
            MarketEvent::Order {
                order,
                buyer,
                step: Step::Bought { offer, recipient, deliver_by, grace, salt },
                ..
            } => Some(Bought { order, offer, buyer, recipient, deliver_by, grace, salt }),
            _ => None,
        });
        Ok(bought.collect())
    }

    fn standing(&self, order: B256, block: B256) -> Result<Standing, RegistryError> {
        let at = At::Block(block);
        let found = self.asked.ask(self.asked.chain.order_standing(self.market, order, at))?;
        Ok(Standing {
            on_chain: match found.status {
                Status::Unknown => OnChain::None,
                Status::Paid => OnChain::Paid,
                Status::Settled => OnChain::Settled,
                Status::Refunded => OnChain::Refunded,
            },
            paid_at_s: found.paid_at_s,
            approved_at_s: found.approved_at_s,
            ended_at_s: found.ended_at_s,
            revoked_at_s: found.revoked_at_s,
        })
    }

    fn is_open(&self, offer: &Offer, block: B256) -> Result<bool, RegistryError> {
        let bare = bare_offer(offer);
        self.asked.ask(self.asked.chain.offer_is_open(self.market, &bare, At::Block(block)))
    }

    fn accepts(
        &self,
        account: Address,
        digest: B256,
        signature: &[u8],
        block: B256,
    ) -> Result<bool, RegistryError> {
        self.asked.ask(self.asked.chain.accepts_signature(
            account,
            digest,
            signature,
            At::Block(block),
        ))
    }

    fn is_living(&self, log: B256, anchor: &Anchor, block: B256) -> Result<bool, RegistryError> {
        self.asked.ask(self.asked.chain.living(log, anchor, At::Block(block)))
    }

    fn settle(&self, shown: &Shown<'_>) -> Bytes {
        let Shown { order, report, place, key, anchor, index, .. } = *shown;
        let (until_s, signature) = shown.approval.clone().unwrap_or_default();
        let delivery = market::Delivery {
            k: key,
            eventId: report.eventId,
            timeMs: report.timeMs,
            actor: report.actor,
            toVersion: report.toVersion,
            details: report.details,
            place,
        };
        MarketCall::Settle(Box::new(Settlement {
            order: bare_order(order),
            delivery,
            anchor,
            index,
            path: shown.path.clone(),
            approval: market::Approval { expiresAt: until_s, signature },
        }))
        .calldata()
    }
}
