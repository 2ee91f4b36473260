//! The cohort market on the configured chain, for the calls of a log.

use crate::trade::Asked;
use alloy_primitives::{Address, B256, Bytes};
use medtrail_chain::cohort::{self, Batch as BareBatch, Claim as BareClaim, CohortCall, Status};
use medtrail_chain::{At, Chain};
use medtrail_ledger::ports::RegistryError;
use medtrail_oracle::calls::trade::{Batch, Calling, Claim, OnChain, Standing};
use medtrail_permit::sale::Cohort;
use medtrail_permit::sale::cohort::CohortMarket;

/// A cohort market, asked from threads that may block.
pub(crate) struct CohortOnChain {
    asked: Asked,
    market: Address,
}

impl CohortOnChain {
    /// The contract at `market`. To be made in the runtime that then reads.
    pub(crate) fn new(chain: Chain, market: Address) -> Self {
        Self { asked: Asked::new(chain), market }
    }
}

/// A call as the contract takes it: the terms as their struct hash.
pub(crate) fn bare_cohort(cohort: &Cohort) -> cohort::Cohort {
    cohort::Cohort {
        buyer: cohort.buyer,
        log: cohort.log,
        token: cohort.token,
        price: cohort.price,
        places: cohort.places,
        recipient: cohort.recipient,
        deliverBy: cohort.deliverBy,
        grace: cohort.grace,
        terms: cohort.terms.hash(),
        salt: cohort.salt,
    }
}

impl Calling for CohortOnChain {
    fn market(&self) -> CohortMarket {
        let (chain_id, cohort_market) = (self.asked.chain.chain_id(), self.market);
        CohortMarket { chain_id, cohort_market }
    }

    fn standing(&self, call: B256, block: B256) -> Result<Standing, RegistryError> {
        let (chain, market) = (&self.asked.chain, self.market);
        let found = self.asked.ask(chain.cohort_standing(market, call, At::Block(block)))?;
        let is_bound = found.settled_at_s.is_some();
        Ok(Standing {
            on_chain: match found.status {
                Status::Unknown => OnChain::None,
                Status::Open => OnChain::Open { is_bound },
                Status::Closed => OnChain::Closed { is_bound },
            },
            opened_at_s: found.opened_at_s,
            settled_at_s: found.settled_at_s,
            paid: found.paid,
        })
    }

    fn paid_place(
        &self,
        call: B256,
        seller: Address,
        block: B256,
    ) -> Result<Option<u32>, RegistryError> {
        let (chain, market) = (&self.asked.chain, self.market);
        self.asked.ask(chain.cohort_place_of(market, call, seller, At::Block(block)))
    }

    fn gas_max(&self) -> Result<u64, RegistryError> {
        self.asked.ask(self.asked.chain.gas_max())
    }

    fn settle(&self, batch: &Batch<'_>) -> Bytes {
        let Batch { cohort, key, file, actor, anchor, group, claims } = *batch;
        let words = |path: &[[u8; 32]]| path.iter().map(B256::from).collect();
        let claim = |(claim, path): (&_, &Vec<_>)| bare_claim(claim, words(path));
        CohortCall::Settle(Box::new(BareBatch {
            cohort: bare_cohort(cohort),
            k: key,
            to_version: file,
            actor,
            anchor,
            level: group.level,
            position: group.position,
            node: group.node.into(),
            path: words(&group.path),
            claims: claims.iter().zip(&group.paths).map(claim).collect(),
        }))
        .calldata()
    }
}

fn bare_claim(claim: &Claim, path: Vec<B256>) -> BareClaim {
    BareClaim {
        place: claim.place,
        seller: claim.seller,
        epoch: claim.epoch,
        expiresAt: claim.expires_at_s,
        signature: claim.signature.clone(),
        eventId: claim.report.eventId,
        timeMs: claim.report.timeMs,
        details: claim.report.details,
        entryPlace: claim.entry_place,
        index: claim.index,
        path,
    }
}
