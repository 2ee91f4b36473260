//! What sales ask of the chain. Whoever implements it reads what is said to be final at a final
//! block, and nothing at `pending`.

use alloy_primitives::{Address, B256, Bytes};
use medtrail_ledger::plan::Anchor;
use medtrail_ledger::ports::{RegistryError, Tips};
use medtrail_ledger::schema::Report;
pub use medtrail_market::delivery::OnChain;

use medtrail_permit::sale::{Market, Offer, Order};
use std::ops::RangeInclusive;

/// How the contract shows an order. Times are those of blocks, in seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    /// Where it is on its way.
    pub on_chain: OnChain,
    /// When it was paid; zero if never.
    pub paid_at_s: u64,
    /// When the seller approved it by transaction.
    pub approved_at_s: Option<u64>,
    /// When it was settled or refunded.
    pub ended_at_s: Option<u64>,
    /// When the seller ended access.
    pub revoked_at_s: Option<u64>,
}

/// An order as the contract's event tells it: with its offer that is the whole order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bought {
    /// Its id.
    pub order: B256,
    /// The offer's.
    pub offer: B256,
    /// Who buys.
    pub buyer: Address,
    /// Whom the data are sealed to.
    pub recipient: B256,
    /// In seconds.
    pub deliver_by: u64,
    /// Seconds after it.
    pub grace: u64,
    /// The order's salt.
    pub salt: B256,
}

/// All that the contract is shown to pay a seller.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shown<'a> {
    /// What was ordered.
    pub order: &'a Order,
    /// The delivery's report.
    pub report: &'a Report,
    /// Hash of its place.
    pub place: B256,
    /// What opens the outer seal.
    pub key: B256,
    /// The anchor.
    pub anchor: Anchor,
    /// The entry's place.
    pub index: u64,
    /// Its inclusion proof under the anchor.
    pub path: Vec<B256>,
    /// The seller's signed approval: until when, and the signature. None: by transaction.
    pub approval: Option<(u64, Bytes)>,
}

/// The market contract on the chain. Blocking; call it off the async threads.
pub trait Trade: Send + Sync {
    /// Which.
    fn market(&self) -> Market;
    /// The newest block and the newest final one.
    fn tips(&self) -> Result<Tips, RegistryError>;
    /// What these sellers' offers were bought for in these blocks, all of them final.
    fn bought(
        &self,
        sellers: &[Address],
        blocks: RangeInclusive<u64>,
    ) -> Result<Vec<Bought>, RegistryError>;
    /// An order at this block.
    fn standing(&self, order: B256, block: B256) -> Result<Standing, RegistryError>;
    /// Whether an offer is neither cancelled nor of another epoch, at this block.
    fn is_open(&self, offer: &Offer, block: B256) -> Result<bool, RegistryError>;
    /// Whether the contract at `account` accepts this signature (ERC-1271), at this block. False of
    /// an account without code.
    fn accepts(
        &self,
        account: Address,
        digest: B256,
        signature: &[u8],
        block: B256,
    ) -> Result<bool, RegistryError>;
    /// Whether the registry still knows this anchor, at this block.
    fn is_living(&self, log: B256, anchor: &Anchor, block: B256) -> Result<bool, RegistryError>;
    /// The ABI-encoded call that settles. Pure.
    fn settle(&self, shown: &Shown<'_>) -> Bytes;
}
