//! The market: how an order stands, what happened to it, and the calls of a sale.
//!
//! Documents are here as the contract takes them, the terms as their struct hash.
//!
//! Invariants:
//! - What moves money or permits anything is read at `finalized`.
//! - Events are read for the orders or sellers that are asked about, never followed for all:
//!   anybody may trade there with themselves.

mod audited;

pub use crate::bindings::market_types::{Approval, Delivery, Offer, Order};
pub use audited::OrderHistory;

use crate::bindings::DataMarket::{self, DataMarketEvents};
use crate::follow::Stood;
use crate::{At, Chain};
use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::sol_types::{SolCall, SolEvent};
use medtrail_ledger::plan::{Anchor, BlockRef};
use medtrail_ledger::ports::RegistryError;
use serde_json::json;
use std::ops::RangeInclusive;

alloy::sol! {
    /// ERC-1271.
    function isValidSignature(bytes32 hash, bytes signature) external view returns (bytes4);
}

/// Events that name their order, seller and buyer.
const OF_ORDERS: [B256; 6] = [
    DataMarket::Bought::SIGNATURE_HASH,
    DataMarket::Approved::SIGNATURE_HASH,
    DataMarket::Declined::SIGNATURE_HASH,
    DataMarket::Settled::SIGNATURE_HASH,
    DataMarket::Refunded::SIGNATURE_HASH,
    DataMarket::Revoked::SIGNATURE_HASH,
];
/// Events that name their seller first.
const OF_SELLERS: [B256; 2] =
    [DataMarket::OfferCancelled::SIGNATURE_HASH, DataMarket::AllCancelled::SIGNATURE_HASH];

/// Where an order is on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// Never bought.
    Unknown,
    /// The money waits.
    Paid,
    /// The seller was paid, or credited; `k` is public.
    Settled,
    /// The buyer has the money back, or is credited.
    Refunded,
}

/// How an order stands. Times are those of the blocks, in seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    /// Where it is.
    pub status: Status,
    /// When it was bought; zero if never.
    pub paid_at_s: u64,
    /// When the seller approved it by transaction.
    pub approved_at_s: Option<u64>,
    /// When it was settled or refunded. Of a settled order: when access begins.
    pub ended_at_s: Option<u64>,
    /// When the seller ended access.
    pub revoked_at_s: Option<u64>,
}

/// What happened to an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Paid for. With the offer this is the whole order.
    Bought {
        /// The offer's id.
        offer: B256,
        /// Whom the data are encrypted to.
        recipient: B256,
        /// In seconds.
        deliver_by: u64,
        /// Seconds after it in which it is still settled.
        grace: u64,
        /// The order's salt.
        salt: B256,
    },
    /// Approved by transaction.
    Approved,
    /// Refused by the seller; the money went back.
    Declined,
    /// Paid out against a delivery.
    Settled {
        /// What opens the hash lock.
        k: B256,
    },
    /// The money went back.
    Refunded,
    /// Access ended before its time.
    Revoked,
}

/// An event of the market.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MarketEvent {
    /// About one order.
    Order {
        /// Its id.
        order: B256,
        /// Who sells.
        seller: Address,
        /// Who buys.
        buyer: Address,
        /// What happened.
        step: Step,
    },
    /// A seller ended one offer.
    OfferCancelled {
        /// Who sells.
        seller: Address,
        /// The offer's id.
        offer: B256,
    },
    /// A seller ended all offers of earlier epochs.
    AllCancelled {
        /// Who sells.
        seller: Address,
        /// The epoch that began.
        epoch: u64,
    },
}

/// An event, where it stands, and whether any reorganisation can still take it back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MarketRecord {
    /// What happened.
    pub event: MarketEvent,
    /// In which block.
    pub block: BlockRef,
    /// In which transaction.
    pub tx: B256,
    /// The block is final.
    pub is_final: bool,
}

/// Whose events are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum About<'a> {
    /// These orders'.
    Orders(&'a [B256]),
    /// These sellers', with what they cancelled.
    Sellers(&'a [Address]),
}

impl Chain {
    /// How an order stands at `market`.
    pub async fn order_standing(
        &self,
        market: Address,
        order: B256,
        at: At,
    ) -> Result<Standing, RegistryError> {
        let at = self.id_of(at).await?;
        let held = self.read_from(market, DataMarket::standingCall { order }, &at).await?;
        let set = |time_s: u64| (time_s != 0).then_some(time_s);
        Ok(Standing {
            status: match held.status {
                0 => Status::Unknown,
                1 => Status::Paid,
                2 => Status::Settled,
                3 => Status::Refunded,
                other => {
                    let words = format!("order {order} stands at {other}, which is no status");
                    return Err(RegistryError::Nonsense(words));
                }
            },
            paid_at_s: held.paidAt,
            approved_at_s: set(held.approvedAt),
            ended_at_s: set(held.endedAt),
            revoked_at_s: set(held.revokedAt),
        })
    }

    /// Whether an offer can still be bought, its expiry aside: not cancelled, and of the seller's
    /// current epoch.
    pub async fn offer_is_open(
        &self,
        market: Address,
        offer: &Offer,
        at: At,
    ) -> Result<bool, RegistryError> {
        let at = self.id_of(at).await?;
        self.read_from(market, DataMarket::isOpenCall { offer: offer.clone() }, &at).await
    }

    /// Whether the contract at `account` accepts a signature (ERC-1271). False of an account without
    /// code, and of one that answers anything else.
    pub async fn accepts_signature(
        &self,
        account: Address,
        digest: B256,
        signature: &[u8],
        at: At,
    ) -> Result<bool, RegistryError> {
        let at = self.id_of(at).await?;
        let call = isValidSignatureCall { hash: digest, signature: signature.to_vec().into() };
        let data = Bytes::from(call.abi_encode());
        let asked = json!([{ "to": account, "data": data }, at]);
        match self.rpc.need::<Bytes>("eth_call", asked).await {
            Ok(answer) => {
                let magic = isValidSignatureCall::abi_decode_returns_validate(&answer);
                Ok(magic.is_ok_and(|magic| magic == isValidSignatureCall::SELECTOR))
            }
            Err(error) if error.is_failed_call() => Ok(false),
            // A node that cannot tell must not make a sale fail: it is asked again.
            Err(error) => Err(error.into()),
        }
    }

    /// A seller's epoch, which new offers name.
    pub async fn selling_epoch(
        &self,
        market: Address,
        seller: Address,
        at: At,
    ) -> Result<u64, RegistryError> {
        let at = self.id_of(at).await?;
        self.read_from(market, DataMarket::epochOfCall { seller }, &at).await
    }

    /// What waits for somebody to withdraw it; a `token` of zero is the chain's own coin.
    pub async fn market_credit(
        &self,
        market: Address,
        account: Address,
        token: Address,
        at: At,
    ) -> Result<U256, RegistryError> {
        let at = self.id_of(at).await?;
        self.read_from(market, DataMarket::creditOfCall { account, token }, &at).await
    }

    /// What `market` recorded in these blocks, in the order of the chain. Fails with
    /// [`RegistryError::Moved`] if the last of them was reorganised away meanwhile.
    pub async fn market_events(
        &self,
        market: Address,
        about: About<'_>,
        blocks: RangeInclusive<u64>,
    ) -> Result<Vec<MarketRecord>, RegistryError> {
        let topics = match about {
            About::Orders(orders) => vec![json!([OF_ORDERS, orders])],
            About::Sellers(sellers) => {
                let words: Vec<B256> = sellers.iter().map(|seller| seller.into_word()).collect();
                vec![json!([OF_ORDERS, null, words]), json!([OF_SELLERS, words])]
            }
        };
        let found = self.events_of(market, topics, blocks).await?;
        let record = |stood: Stood<DataMarketEvents>| {
            let asked = |event| event_of(event).filter(|event| about.covers(event));
            let Stood { event, block, tx, is_final } = stood.read(asked)?;
            Ok(MarketRecord { event, block, tx, is_final })
        };
        found.into_iter().map(record).collect()
    }
}

impl About<'_> {
    fn covers(self, event: &MarketEvent) -> bool {
        let (seller, order) = match event {
            MarketEvent::Order { order, seller, .. } => (seller, Some(order)),
            MarketEvent::OfferCancelled { seller, .. }
            | MarketEvent::AllCancelled { seller, .. } => (seller, None),
        };
        match self {
            Self::Orders(orders) => order.is_some_and(|order| orders.contains(order)),
            Self::Sellers(sellers) => sellers.contains(seller),
        }
    }
}

fn event_of(event: DataMarketEvents) -> Option<MarketEvent> {
    let of = |order, seller, buyer, step| MarketEvent::Order { order, seller, buyer, step };
    Some(match event {
        DataMarketEvents::Bought(it) => {
            let (offer, recipient, salt) = (it.offer, it.recipient, it.salt);
            let (deliver_by, grace) = (it.deliverBy, it.grace);
            let step = Step::Bought { offer, recipient, deliver_by, grace, salt };
            of(it.order, it.seller, it.buyer, step)
        }
        DataMarketEvents::Approved(it) => of(it.order, it.seller, it.buyer, Step::Approved),
        DataMarketEvents::Declined(it) => of(it.order, it.seller, it.buyer, Step::Declined),
        DataMarketEvents::Settled(it) => {
            of(it.order, it.seller, it.buyer, Step::Settled { k: it.k })
        }
        DataMarketEvents::Refunded(it) => of(it.order, it.seller, it.buyer, Step::Refunded),
        DataMarketEvents::Revoked(it) => of(it.order, it.seller, it.buyer, Step::Revoked),
        DataMarketEvents::OfferCancelled(it) => {
            MarketEvent::OfferCancelled { seller: it.seller, offer: it.offer }
        }
        DataMarketEvents::AllCancelled(it) => {
            MarketEvent::AllCancelled { seller: it.seller, epoch: it.epoch }
        }
        _ => return None,
    })
}

/// A call of a sale, for whoever's wallet or key sends it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MarketCall {
    /// By the buyer, with the price as value if the offer names no token.
    Buy {
        /// What is bought.
        order: Order,
        /// The seller's, over the offer.
        offer_signature: Bytes,
    },
    /// By who acts for the seller.
    Approve(Order),
    /// By who acts for the seller.
    Decline(Order),
    /// By anybody.
    Settle(Box<Settlement>),
    /// By anybody, once it cannot be settled any more.
    Refund(Order),
    /// By who acts for the seller.
    Revoke(Order),
    /// By who acts for the seller.
    CancelOffer {
        /// Who sells.
        seller: Address,
        /// The offer's id.
        offer: B256,
    },
    /// By who acts for the seller.
    CancelAll {
        /// Who sells.
        seller: Address,
    },
    /// By who acts for the account.
    Withdraw {
        /// Whose credit.
        account: Address,
        /// Zero for the chain's own coin.
        token: Address,
        /// Where it goes.
        to: Address,
    },
}

/// A delivery and its proof.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settlement {
    /// What was bought.
    pub order: Order,
    /// The entry's fields that the order does not give, and the key of the lock.
    pub delivery: Delivery,
    /// One of the log's newest 64.
    pub anchor: Anchor,
    /// The entry's place.
    pub index: u64,
    /// Its inclusion proof under the anchor.
    pub path: Vec<B256>,
    /// The seller's, ignored where the order was approved by transaction.
    pub approval: Approval,
}

impl MarketCall {
    /// The ABI-encoded call.
    pub fn calldata(&self) -> Bytes {
        let encoded = match self.clone() {
            Self::Buy { order, offer_signature } => {
                DataMarket::buyCall { order, offerSignature: offer_signature }.abi_encode()
            }
            Self::Approve(order) => DataMarket::approveCall { order }.abi_encode(),
            Self::Decline(order) => DataMarket::declineCall { order }.abi_encode(),
            Self::Settle(it) => {
                let anchor = (&it.anchor).into();
                let Settlement { order, delivery, index, path, approval, .. } = *it;
                DataMarket::settleCall { order, delivery, anchor, index, path, approval }
                    .abi_encode()
            }
            Self::Refund(order) => DataMarket::refundCall { order }.abi_encode(),
            Self::Revoke(order) => DataMarket::revokeCall { order }.abi_encode(),
            Self::CancelOffer { seller, offer } => {
                DataMarket::cancelOfferCall { seller, offer }.abi_encode()
            }
            Self::CancelAll { seller } => DataMarket::cancelAllCall { seller }.abi_encode(),
            Self::Withdraw { account, token, to } => {
                DataMarket::withdrawCall { account, token, to }.abi_encode()
            }
        };
        encoded.into()
    }
}

/// The market's own words for a refusal, or the raw bytes.
pub fn refusal(data: &[u8]) -> String {
    crate::bindings::reason_of::<DataMarket::DataMarketErrors>(data)
}
