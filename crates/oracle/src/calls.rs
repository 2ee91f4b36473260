//! The operator's side of calls to many: what buyers call for, and who accepted a place.
//!
//! The contract decides about money, and an acceptance is the seller's own signature. Here a call is
//! shown once a final block has its money, and a place is kept for whoever signed for it. Who may
//! sell what is decided as for offers ([`crate::sales`]).
//!
//! - [`trade`]: what is asked of the chain
//! - `board`: calls and acceptances as they are now
//! - `listing`: what is called for, and how it looks to everybody and to its sides
//! - `places`: which place is free, who accepts it, and who takes that back
//! - `follow`: what final blocks show of calls, step by step
//! - `deliver`: the way of one delivery, step by step
//! - `look`, `stand`: all that a step is judged by, of it the sellers' acceptances
//! - `made`, `batch`: what is made for a delivery, and what pays it
//! - `given`: what the buyer is given of it
//! - `withdrawal`: a seller who wants their part deleted afterwards, and what the buyer says to that
//! - `told`: the entries in the sellers' trails

mod batch;
pub(crate) mod board;
mod deliver;
mod follow;
mod given;
mod listing;
mod look;
mod made;
mod places;
mod stand;
mod told;
pub mod trade;
mod withdrawal;

pub use given::{Delivery, Given, Proofs};
pub use listing::{AskedPart, CallCard, CallView, Own, Page};
pub use places::Accepted;

use crate::anchorer::Problem;
use crate::behind::warn_once;
use crate::intake::ReportError;
use crate::opener::EntryError;
use crate::sales::{Sales, SalesError};
use crate::sequencer::PlaceError;
use crate::service::Service;
use alloy_primitives::B256;
use medtrail_ledger::plan::Call;
use medtrail_ledger::ports::{JournalError, Parcels, RegistryError};
use medtrail_permit::dataset::DatasetError;
use medtrail_permit::sale::check::SaleError;
use medtrail_permit::sale::cohort::CohortMarket;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use trade::Calling;

/// Why nothing was listed, accepted or taken back. Nothing was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallsError {
    /// A document breaks a rule.
    #[error("{0}")]
    Document(#[from] SaleError),
    /// The description of the dataset is none.
    #[error("dataset: {0}")]
    Dataset(#[from] DatasetError),
    /// It does not fit this log or market.
    #[error("{field}: {rule}")]
    Field {
        /// Which field.
        field: &'static str,
        /// The rule.
        rule: &'static str,
    },
    /// None, or none for this caller.
    #[error("there is no such call")]
    NoSuchCall,
    /// The contract has no money for it.
    #[error("the cohort market does not know this call as opened")]
    NotOpened,
    /// As many calls as a buyer may have.
    #[error("there are {0} calls of this buyer that are not closed; wait until one is")]
    TooMany(usize),
    /// Its time is over, its file is made, or its money went.
    #[error("this call takes no acceptance, and gives none back, any more")]
    TooLate,
    /// Somebody has that place.
    #[error("place {0} was taken meanwhile")]
    Taken(u32),
    /// Whoever the seller is has a place, by this address or another of theirs.
    #[error("you have accepted this call; a person has one place of a call")]
    Twice,
    /// As often as a person may accept one call.
    #[error(
        "you have accepted this call and taken it back {0} times, which is as often as it goes"
    )]
    TooOften(usize),
    /// Nothing to download yet, or any more.
    #[error("there is nothing to download")]
    NoFile,
    /// The acceptance is not there, or not the caller's.
    #[error("you have not accepted this call")]
    NotAccepted,
    /// Nothing of theirs is in a file whose key was shown.
    #[error("your data are in no file of this call whose key was shown")]
    NotDelivered,
    /// The same as for offers.
    #[error(transparent)]
    Sales(#[from] SalesError),
}

impl From<RegistryError> for CallsError {
    fn from(error: RegistryError) -> Self {
        Self::Sales(error.into())
    }
}

impl From<JournalError> for CallsError {
    fn from(error: JournalError) -> Self {
        Self::Sales(error.into())
    }
}

impl From<EntryError> for CallsError {
    fn from(error: EntryError) -> Self {
        Self::Sales(error.into())
    }
}

impl From<ReportError> for CallsError {
    fn from(error: ReportError) -> Self {
        Self::Sales(error.into())
    }
}

/// How calls are doing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Called {
    /// Calls with something left to do.
    pub open: u64,
    /// What is in the way.
    pub problem: Option<Problem>,
}

/// Calls of a running log. Cheap to clone.
#[derive(Clone)]
pub struct Calls(Arc<Inner>);

struct Inner {
    sales: Sales,
    trade: Arc<dyn Calling>,
    /// Files of calls only: sales sweep theirs.
    parcels: Arc<dyn Parcels>,
    /// Seconds before `deliverBy` at which collecting ends.
    margin_s: u64,
    /// What is in the way of one.
    following: Mutex<Option<Problem>>,
    /// Batches to be sent now, by call.
    settling: Mutex<BTreeMap<B256, Call>>,
    /// Places paid by the final block, when it was asked last.
    paid: Mutex<BTreeMap<B256, u32>>,
    /// Held while the lines of a withdrawal are entered.
    telling: Mutex<()>,
}

impl Calls {
    /// The calls of this log, by the rules of its sales. The files are kept apart from those of sales.
    /// Collecting ends when all places are taken, or `margin_s` before `deliverBy`
    /// ([`medtrail_market::cohort::delivery::MARGIN_S`]).
    pub fn new(
        sales: Sales,
        trade: Arc<dyn Calling>,
        parcels: Arc<dyn Parcels>,
        margin_s: u64,
    ) -> Self {
        let (following, settling, paid, telling) = Default::default();
        Self(Arc::new(Inner {
            sales,
            trade,
            parcels,
            margin_s,
            following,
            settling,
            paid,
            telling,
        }))
    }

    /// Looks at all calls every `poll` until `stop`. A look that is under way is ended first. What it
    /// finds due is sent by the settler ([`crate::sales::settler::Settler::with_calls`]).
    pub async fn run(self, poll: Duration, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let calls = self.clone();
            // What went wrong it has told.
            let _ = crate::dispatch::blocking(move || calls.tick()).await;
            stop.run_until_cancelled(tokio::time::sleep(poll)).await;
        }
    }

    /// The batches to be sent now.
    pub fn due(&self) -> Vec<Call> {
        locked(&self.0.settling).values().cloned().collect()
    }

    /// The market whose calls these are.
    pub fn market(&self) -> CohortMarket {
        self.0.trade.market()
    }

    /// How calls are doing.
    pub fn called(&self) -> Called {
        let open = self.service().0.live.rows().board.open().count() as u64;
        let known = locked(&self.0.following);
        Called { open, problem: known.clone() }
    }

    fn note(&self, problem: Option<Problem>) {
        let mut known = locked(&self.0.following);
        warn_once(known.as_ref(), problem.as_ref());
        *known = problem;
    }

    fn service(&self) -> &Service {
        self.0.sales.service()
    }

    fn now_ms(&self) -> u64 {
        self.service().now_ms()
    }

    /// Runs what blocks off the async threads.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, CallsError> + Send + 'static,
    ) -> Result<T, CallsError> {
        let calls = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&calls)).await;
        done.unwrap_or_else(|_| Err(ReportError::from(PlaceError::Stopped).into()))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
