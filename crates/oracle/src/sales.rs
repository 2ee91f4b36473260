//! The operator's side of sales: what people offer, which orders were paid, and each delivery on its
//! way, step by step, to the seller's money.
//!
//! The contract decides about money, the log about what was delivered, `market` what comes next. Here
//! those are asked, and what they say is done; the operator can neither take money nor give it.
//!
//! - [`trade`]: what is asked of the chain
//! - `stall`: offers and sales as they are now
//! - `offers`, `catalogue`: what is listed, and what everybody sees of it
//! - `seller`: whose signature counts for one, and whether they may and want to sell
//! - `orders`, `view`: what was paid, what a seller says to it, and how it looks to both sides
//! - `deliver`, `made`: the way of one delivery, and what is made for it
//! - `told`: the entries of a sale
//! - `access`: what a buyer may look at besides
//! - `withdrawal`: a seller who wants it deleted afterwards, and what the buyer says to that
//! - [`settler`]: the account that pays for settlements

mod access;
mod catalogue;
mod deliver;
mod made;
mod offers;
mod orders;
mod seller;
pub mod settler;
pub(crate) mod stall;
mod told;
pub mod trade;
mod view;
mod withdrawal;

pub(crate) use told::{DOWNLOAD_VERSION, DownloadDetails, HOUR_MS};

pub use catalogue::{Card, Ended, Wish};
pub use offers::{OfferState, OfferView, Offered};
pub use orders::Approved;
pub use view::{SaleView, Side};
pub use withdrawal::{Deleted, WITHDRAWAL_MS};

use crate::anchorer::Problem;
use crate::behind::warn_once;
use crate::intake::ReportError;
use crate::opener::EntryError;
use crate::own::NoRandomness;
use crate::sequencer::PlaceError;
use crate::service::Service;
use crate::vault::{Vault, VaultError, Why};
use alloy_primitives::{Address, B256};
use medtrail_ledger::plan::Call;
use medtrail_ledger::ports::{JournalError, Parcels, RegistryError};
use medtrail_permit::dataset::{DatasetError, Form};
use medtrail_permit::permits::Refusal;
use medtrail_permit::sale::Market;
use medtrail_permit::sale::check::{SaleError, Windows};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use trade::{Standing, Trade};

/// What may be sold in a country.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// Nothing.
    #[default]
    Off,
    /// Only what was made harmless.
    DeIdentified,
    /// Also as it is.
    On,
}

impl Rule {
    pub(crate) fn allows(self, form: Form) -> bool {
        match self {
            Self::Off => false,
            Self::DeIdentified => matches!(form, Form::DeIdentified(..)),
            Self::On => true,
        }
    }
}

/// What the operator allows, and asks of orders.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rules {
    /// Where nothing else is said.
    pub default: Rule,
    /// By country of the seller (ISO 3166-1 alpha-2).
    pub countries: BTreeMap<String, Rule>,
    /// The time that an order must leave.
    pub windows: Windows,
    /// How long a buyer has to say that what was delivered is deleted, in milliseconds.
    pub withdrawal_ms: u64,
}

impl Rules {
    /// The rule of a country.
    pub fn of(&self, country: &str) -> Rule {
        self.countries.get(country).copied().unwrap_or(self.default)
    }
}

/// Why nothing was listed, taken or done. Nothing was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SalesError {
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
    /// Not by who acts for the seller.
    #[error("signature: it is not of who acts for the seller now")]
    Signature,
    /// The operator sells no such thing from there.
    #[error("this operator sells nothing of that form for people who live there")]
    Rule,
    /// A child's, or of somebody who is guarded.
    #[error("the data of children, and of people with a guardian, are never sold")]
    Child,
    /// The person wants nothing sold.
    #[error("the seller has opted out of all sales; opt in first")]
    OptedOut,
    /// The vault has nothing of it.
    #[error("nothing of what is offered is in the seller's vault: {}", told_of(.left_out))]
    Nothing {
        /// What is there and does not count, by reason.
        left_out: Vec<(String, u64)>,
    },
    /// More than fits into a delivery.
    #[error("it is more than one delivery holds: offer a shorter period")]
    TooMuch,
    /// None, or none for this caller.
    #[error("there is no such offer")]
    NoSuchOffer,
    /// None, or none for this caller.
    #[error("there is no such sale")]
    NoSuchSale,
    /// The contract has no money for it.
    #[error("the market contract does not know this order as paid")]
    NotPaid,
    /// Nothing was delivered yet.
    #[error("nothing was delivered yet: decline it")]
    NotDelivered,
    /// The seller did not withdraw.
    #[error("no seller has asked for that to be deleted")]
    NotAsked,
    /// It is too late for that.
    #[error("this sale has gone too far for that")]
    TooLate,
    /// As many offers as a person may have.
    #[error("there are {0} offers of this seller; withdraw one, or wait until one has expired")]
    TooMany(usize),
    /// The order permits its buyer no look now.
    #[error(
        "this sale lets its buyer look at nothing where the data are kept, now: {}",
        ended(why)
    )]
    NoLook {
        /// Why.
        why: Why,
    },
    /// Nothing to download yet, or any more.
    #[error("there is nothing to download")]
    NoFile,
    /// What must be known stands on the chain.
    #[error("the chain, which must tell how this stands, cannot be read just now")]
    ChainUnreadable(#[from] RegistryError),
    /// The vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// An entry got no place.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The log.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// No random bytes.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

impl From<JournalError> for SalesError {
    fn from(error: JournalError) -> Self {
        Self::Entry(error.into())
    }
}

fn told_of(left_out: &[(String, u64)]) -> String {
    match left_out {
        [] => "it is empty".to_owned(),
        some => {
            let some = some.iter().map(|(reason, count)| format!("{count} {reason}"));
            some.collect::<Vec<_>>().join(", ")
        }
    }
}

/// How sales are doing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Selling {
    /// Sales with something left to do, also for the buyer.
    pub open: u64,
    /// What is in the way.
    pub problem: Option<Problem>,
}

/// Sales of a running log. Cheap to clone.
#[derive(Clone)]
pub struct Sales(Arc<Inner>);

struct Inner {
    service: Service,
    vault: Vault,
    trade: Arc<dyn Trade>,
    parcels: Arc<dyn Parcels>,
    rules: Rules,
    /// Settlements to be sent now, by order.
    settling: Mutex<BTreeMap<B256, Call>>,
    /// As the contract showed orders when it was asked last.
    seen: Mutex<BTreeMap<B256, Ends>>,
    /// What is in the way of a delivery.
    delivering: Mutex<Option<Problem>>,
    /// What is in the way of a settlement.
    sending: Mutex<Option<Problem>>,
    /// When sales that are not delivered were last looked at, seconds since 1970.
    done_looked_s: Mutex<u64>,
    /// Held while the lines of a withdrawal are entered.
    telling: Mutex<()>,
}

/// An order at both ends of what can still change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Ends {
    at_final: Standing,
    at_head: Standing,
}

impl Sales {
    /// The sales of this log, on this market.
    pub fn new(
        service: Service,
        vault: Vault,
        trade: Arc<dyn Trade>,
        parcels: Arc<dyn Parcels>,
        rules: Rules,
    ) -> Self {
        Self(Arc::new(Inner {
            service,
            vault,
            trade,
            parcels,
            rules,
            settling: Mutex::default(),
            seen: Mutex::default(),
            delivering: Mutex::default(),
            sending: Mutex::default(),
            done_looked_s: Mutex::default(),
            telling: Mutex::default(),
        }))
    }

    /// The market whose sales these are.
    pub fn market(&self) -> Market {
        self.0.trade.market()
    }

    /// What the operator allows.
    pub fn rules(&self) -> &Rules {
        &self.0.rules
    }

    /// How sales are doing.
    pub fn selling(&self) -> Selling {
        let open = self.0.service.0.live.rows().stall.open().count() as u64;
        let problem = locked(&self.0.delivering).clone();
        Selling { open, problem: problem.or_else(|| locked(&self.0.sending).clone()) }
    }

    /// Notes how sending settlements goes.
    pub(crate) fn note_sending(&self, problem: Option<Problem>) {
        let mut known = locked(&self.0.sending);
        warn_once(known.as_ref(), problem.as_ref());
        *known = problem;
    }

    /// The settlements to be sent now.
    pub fn due(&self) -> Vec<Call> {
        locked(&self.0.settling).values().cloned().collect()
    }

    pub(crate) fn service(&self) -> &Service {
        &self.0.service
    }

    pub(crate) fn trade(&self) -> &dyn Trade {
        &*self.0.trade
    }

    pub(crate) fn vault(&self) -> &Vault {
        &self.0.vault
    }

    fn now_ms(&self) -> u64 {
        self.0.service.now_ms()
    }

    /// Whose data an address sells: its own, or those of whoever it joined.
    pub(crate) fn person_of(&self, seller: Address) -> Address {
        let service = &self.0.service;
        service.joined_to(seller.into_word()).unwrap_or(seller)
    }

    /// Whether `who` is this party: by the very address, or as the person whose alias it is.
    pub fn is_party(&self, who: Address, party: Address) -> bool {
        who == party || self.person_of(party) == who
    }

    /// Runs what blocks off the async threads.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, SalesError> + Send + 'static,
    ) -> Result<T, SalesError> {
        let sales = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&sales)).await;
        done.unwrap_or_else(|_| Err(ReportError::from(PlaceError::Stopped).into()))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a buyer may not look.
fn ended(why: &Why) -> &'static str {
    match why {
        Why::Refused(Refusal::NotSettled) => "it is not settled",
        Why::Refused(Refusal::NotFinal) => "its settlement is not final yet",
        Why::Refused(Refusal::Expired) => "its time is over",
        Why::Refused(Refusal::Revoked | Refusal::WrongEpoch) => "its seller ended it (revoked)",
        Why::Refused(Refusal::DeliveryOnly) => "a copy was sold, and no time to look",
        _ => "it does not permit it",
    }
}
