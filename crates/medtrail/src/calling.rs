//! The cohort market on the configured chain, for the calls to many of a log.

use crate::trade::Asked;
use alloy_primitives::{Address, B256};
use medtrail_chain::cohort::Status;
use medtrail_chain::{At, Chain};
use medtrail_ledger::ports::RegistryError;
use medtrail_oracle::calls::trade::{Calling, OnChain, Standing};
use medtrail_permit::sale::cohort::CohortMarket;

/// A cohort market, asked from threads that may block.
pub(crate) struct CohortOnChain {
    asked: Asked,
    market: Address,
}

impl CohortOnChain {
    /// To be made in the runtime that then reads.
    pub(crate) fn new(chain: Chain, market: Address) -> Self {
        Self { asked: Asked::new(chain), market }
    }
}

impl Calling for CohortOnChain {
    fn market(&self) -> CohortMarket {
        CohortMarket { chain_id: self.asked.chain.chain_id(), cohort_market: self.market }
    }

    fn standing(&self, call: B256, block: B256) -> Result<Standing, RegistryError> {
        let at = At::Block(block);
        let found = self.asked.ask(self.asked.chain.cohort_standing(self.market, call, at))?;
        let is_bound = found.settled_at_s.is_some();
        Ok(Standing {
            on_chain: match found.status {
                Status::Unknown => OnChain::None,
                Status::Open => OnChain::Open { is_bound },
                Status::Closed => OnChain::Closed { is_bound },
            },
            opened_at_s: found.opened_at_s,
            settled_at_s: found.settled_at_s,
        })
    }

    fn paid_place(
        &self,
        call: B256,
        seller: Address,
        block: B256,
    ) -> Result<Option<u32>, RegistryError> {
        let at = At::Block(block);
        self.asked.ask(self.asked.chain.cohort_place_of(self.market, call, seller, at))
    }
}
