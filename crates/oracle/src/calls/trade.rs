//! What calls ask of the chain, besides what sales ask. Whoever implements it reads what is said to
//! be final at a final block, and nothing at `pending`.

use alloy_primitives::{Address, B256, Bytes};
use medtrail_ledger::group::Group;
use medtrail_ledger::plan::Anchor;
use medtrail_ledger::ports::RegistryError;
use medtrail_ledger::schema::Report;
pub use medtrail_market::cohort::delivery::OnChain;
use medtrail_permit::sale::Cohort;
use medtrail_permit::sale::cohort::CohortMarket;

/// How the contract shows a call. Times are those of blocks, in seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    /// Where it is on its way.
    pub on_chain: OnChain,
    /// When it was opened; zero if never.
    pub opened_at_s: u64,
    /// When its first batch was settled.
    pub settled_at_s: Option<u64>,
    /// Places paid.
    pub paid: u32,
}

/// One seller's claim, as far as it does not follow from call and batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claim {
    /// Its acceptance's id.
    pub acceptance: B256,
    /// The place.
    pub place: u32,
    /// Who sells.
    pub seller: Address,
    /// The seller's epoch.
    pub epoch: u64,
    /// Until when the acceptance is good, seconds since 1970.
    pub expires_at_s: u64,
    /// Over the acceptance.
    pub signature: Bytes,
    /// The delivery's report.
    pub report: Report,
    /// Hash of its place in the log.
    pub entry_place: B256,
    /// Its place.
    pub index: u64,
}

/// All that the contract is shown to pay some sellers of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Batch<'a> {
    /// The call.
    pub cohort: &'a Cohort,
    /// What opens the outer seal.
    pub key: B256,
    /// SHA-256 of the file.
    pub file: B256,
    /// Of all these entries.
    pub actor: Address,
    /// The anchor.
    pub anchor: Anchor,
    /// The inner node that these entries share, with a path to it for each claim.
    pub group: &'a Group,
    /// The claims.
    pub claims: &'a [Claim],
}

/// The cohort market on the chain. Blocking; call it off the async threads.
pub trait Calling: Send + Sync {
    /// Which.
    fn market(&self) -> CohortMarket;
    /// A call at this block.
    fn standing(&self, call: B256, block: B256) -> Result<Standing, RegistryError>;
    /// The place for which a seller was paid in a call, at this block.
    fn paid_place(
        &self,
        call: B256,
        seller: Address,
        block: B256,
    ) -> Result<Option<u32>, RegistryError>;
    /// The most gas that one transaction may have now.
    fn gas_max(&self) -> Result<u64, RegistryError>;
    /// The ABI-encoded call that settles. Pure.
    fn settle(&self, batch: &Batch<'_>) -> Bytes;
}
