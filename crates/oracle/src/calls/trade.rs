//! What calls ask of the chain, besides what sales ask. Whoever implements it reads what is said to
//! be final at a final block, and nothing at `pending`.

use alloy_primitives::{Address, B256};
use medtrail_ledger::ports::RegistryError;
pub use medtrail_market::cohort::delivery::OnChain;
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
}
