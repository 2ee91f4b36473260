//! The cohort market: how a call to many stands, what happened to it, and its calls.
//!
//! Documents are here as the contract takes them, the terms as their struct hash. What holds of
//! [`crate::market`] holds here: money is decided at `finalized`, and events are read for the
//! cohorts that are asked about.

mod audited;

pub use crate::bindings::cohort_types::{Claim, Cohort};
pub use audited::CallHistory;

use crate::bindings::CohortMarket::{self, CohortMarketEvents};
use crate::bindings::cohort_types;
use crate::follow::Stood;
use crate::{At, Chain};
use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::sol_types::{SolCall, SolEvent};
use medtrail_ledger::plan::{Anchor, BlockRef};
use medtrail_ledger::ports::RegistryError;
use serde_json::json;
use std::ops::RangeInclusive;

/// Events that name their cohort first.
const OF_COHORTS: [B256; 4] = [
    CohortMarket::Opened::SIGNATURE_HASH,
    CohortMarket::Paid::SIGNATURE_HASH,
    CohortMarket::Settled::SIGNATURE_HASH,
    CohortMarket::Closed::SIGNATURE_HASH,
];

/// Where a cohort is on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// Never opened.
    Unknown,
    /// The money of all places that are not paid waits.
    Open,
    /// The buyer has it back, or is credited.
    Closed,
}

/// How a cohort stands. Times are those of the blocks, in seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    /// Where it is.
    pub status: Status,
    /// When it was opened; zero if never.
    pub opened_at_s: u64,
    /// When it was first settled. From then on `k` is public, and all acceptances are bound.
    pub settled_at_s: Option<u64>,
    /// Places paid.
    pub paid: u32,
}

/// What happened to a cohort. That a claim was skipped proves nothing, and is not here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CohortStep {
    /// Opened and paid for: the whole of it.
    Opened(Box<Cohort>),
    /// A seller was paid, or credited.
    Paid {
        /// Whom.
        seller: Address,
        /// For which place.
        place: u32,
    },
    /// A batch was settled.
    Settled {
        /// What opens the hash lock.
        k: B256,
        /// SHA-256 of the file that it opens.
        to_version: B256,
        /// Places paid in this batch.
        paid: u32,
    },
    /// The rest went back.
    Closed {
        /// How much.
        rest: U256,
    },
}

/// A step, where it stands, and whether any reorganisation can still take it back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CohortRecord {
    /// Of which cohort.
    pub cohort: B256,
    /// What happened.
    pub step: CohortStep,
    /// In which block.
    pub block: BlockRef,
    /// In which transaction.
    pub tx: B256,
    /// The block is final.
    pub is_final: bool,
}

impl Chain {
    /// How a cohort stands at `market`.
    pub async fn cohort_standing(
        &self,
        market: Address,
        cohort: B256,
        at: At,
    ) -> Result<Standing, RegistryError> {
        let at = self.id_of(at).await?;
        let held = self.read_from(market, CohortMarket::standingCall { cohort }, &at).await?;
        Ok(Standing {
            status: match held.status {
                0 => Status::Unknown,
                1 => Status::Open,
                2 => Status::Closed,
                other => {
                    let words = format!("cohort {cohort} stands at {other}, which is no status");
                    return Err(RegistryError::Nonsense(words));
                }
            },
            opened_at_s: held.openedAt,
            settled_at_s: (held.settledAt != 0).then_some(held.settledAt),
            paid: held.paid,
        })
    }

    /// The place for which a seller was paid in a cohort.
    pub async fn cohort_place_of(
        &self,
        market: Address,
        cohort: B256,
        seller: Address,
        at: At,
    ) -> Result<Option<u32>, RegistryError> {
        let at = self.id_of(at).await?;
        let held =
            self.read_from(market, CohortMarket::placeOfCall { cohort, seller }, &at).await?;
        Ok(held.paid.then_some(held.place))
    }

    /// What waits for somebody to withdraw it there; a `token` of zero is the chain's own coin.
    pub async fn cohort_credit(
        &self,
        market: Address,
        account: Address,
        token: Address,
        at: At,
    ) -> Result<U256, RegistryError> {
        let at = self.id_of(at).await?;
        self.read_from(market, CohortMarket::creditOfCall { account, token }, &at).await
    }

    /// What `market` recorded of these cohorts in these blocks, in the order of the chain. Fails
    /// with [`RegistryError::Moved`] if the last of them was reorganised away meanwhile.
    pub async fn cohort_events(
        &self,
        market: Address,
        cohorts: &[B256],
        blocks: RangeInclusive<u64>,
    ) -> Result<Vec<CohortRecord>, RegistryError> {
        let topics = vec![json!([OF_COHORTS, cohorts])];
        let found = self.events_of(market, topics, blocks).await?;
        let record = |stood: Stood<CohortMarketEvents>| {
            let asked = |event| step_of(event).filter(|(cohort, _)| cohorts.contains(cohort));
            let Stood { event: (cohort, step), block, tx, is_final } = stood.read(asked)?;
            Ok(CohortRecord { cohort, step, block, tx, is_final })
        };
        found.into_iter().map(record).collect()
    }
}

fn step_of(event: CohortMarketEvents) -> Option<(B256, CohortStep)> {
    Some(match event {
        CohortMarketEvents::Opened(it) => {
            let cohort = Cohort {
                buyer: it.buyer,
                log: it.log,
                token: it.token,
                price: it.price,
                places: it.places,
                recipient: it.recipient,
                deliverBy: it.deliverBy,
                grace: it.grace,
                terms: it.terms,
                salt: it.salt,
            };
            (it.cohort, CohortStep::Opened(Box::new(cohort)))
        }
        CohortMarketEvents::Paid(it) => {
            (it.cohort, CohortStep::Paid { seller: it.seller, place: it.place })
        }
        CohortMarketEvents::Settled(it) => {
            let step = CohortStep::Settled { k: it.k, to_version: it.toVersion, paid: it.paid };
            (it.cohort, step)
        }
        CohortMarketEvents::Closed(it) => (it.cohort, CohortStep::Closed { rest: it.rest }),
        _ => return None,
    })
}

/// A call of the cohort market, for whoever's wallet or key sends it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CohortCall {
    /// By the buyer, with the price of all places as value if it names no token.
    Open(Cohort),
    /// By anybody.
    Settle(Box<Batch>),
    /// By anybody, once it cannot be settled any more.
    Close(Cohort),
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

/// Deliveries to a cohort that share an inner node of the log's tree, and their proofs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Batch {
    /// The call.
    pub cohort: Cohort,
    /// The key of the hash lock.
    pub k: B256,
    /// SHA-256 of the file that it opens.
    pub to_version: B256,
    /// Of all the entries.
    pub actor: Address,
    /// One of the log's newest 64.
    pub anchor: Anchor,
    /// How many levels above the leaves the shared node stands.
    pub level: u8,
    /// Its position there: the entries' indexes, shifted right by `level`.
    pub position: u64,
    /// Its hash.
    pub node: B256,
    /// From it to the root.
    pub path: Vec<B256>,
    /// One for each seller, its path up to the shared node.
    pub claims: Vec<Claim>,
}

impl CohortCall {
    /// The ABI-encoded call.
    pub fn calldata(&self) -> Bytes {
        let encoded = match self.clone() {
            Self::Open(cohort) => CohortMarket::openCall { cohort }.abi_encode(),
            Self::Settle(it) => {
                let anchor = (&it.anchor).into();
                let Batch {
                    cohort, k, to_version, actor, level, position, node, path, claims, ..
                } = *it;
                let batch = cohort_types::Batch {
                    k,
                    toVersion: to_version,
                    actor,
                    anchor,
                    level,
                    position,
                    node,
                    path,
                };
                CohortMarket::settleManyCall { cohort, batch, claims }.abi_encode()
            }
            Self::Close(cohort) => CohortMarket::closeCall { cohort }.abi_encode(),
            Self::Withdraw { account, token, to } => {
                CohortMarket::withdrawCall { account, token, to }.abi_encode()
            }
        };
        encoded.into()
    }
}

/// The cohort market's own words for a refusal, or the raw bytes.
pub fn refusal(data: &[u8]) -> String {
    crate::bindings::reason_of::<CohortMarket::CohortMarketErrors>(data)
}
