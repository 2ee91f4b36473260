//! What makes a document of a sale valid by itself, whoever signed it.

use super::{Market, Offer, Order, SaleApproval, Terms, words};
use crate::check::{NUMBER_MAX, STATEMENT_BYTES_MAX, TIME_S_MAX};
use crate::dataset::Dataset;
use crate::purposes;
use alloy_primitives::U256;

/// The longest standing look that a sale may give.
pub const ACCESS_S_MAX: u64 = 10 * 366 * 86_400;
/// The longest grace. Until it is over the buyer's money waits.
pub const GRACE_S_MAX: u64 = 90 * 86_400;
/// The dearest price: 128 bits, more than there is of any token.
pub const PRICE_MAX: U256 = U256::from_limbs([u64::MAX, u64::MAX, 0, 0]);

/// The most places of one call: its file is one, and its sellers are paid in batches.
pub const PLACES_MAX: u32 = 10_000;

/// What is wrong with a document of a sale.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SaleError {
    /// It names nobody or nothing.
    #[error("{0} is zero")]
    Zero(&'static str),
    /// Not one code of a purpose.
    #[error("terms.purpose is {0:?}, it must be one code of HL7 v3 PurposeOfUse")]
    Purpose(String),
    /// The terms are about other data than the description that was shown.
    #[error("terms.dataset is not the hash of this description of a dataset")]
    Dataset,
    /// The seller would have read something else, or in no language that is known.
    #[error("terms.statement is not what the fields say, in English or in Estonian")]
    Statement,
    /// Nothing to pay, or more than there is.
    #[error("price must be from 1 to {PRICE_MAX}")]
    Price,
    /// Longer than is taken.
    #[error("accessS is {0}, at most {ACCESS_S_MAX} are taken")]
    AccessS(u64),
    /// Never, or beyond what a calendar of four digits has.
    #[error("{0} must be from 1 to {TIME_S_MAX}")]
    Time(&'static str),
    /// More than every reader of JSON reads alike.
    #[error("{0} is above {NUMBER_MAX}")]
    Number(&'static str),
    /// Nobody sells to themselves.
    #[error("buyer is the seller")]
    Oneself,
    /// No time to settle, or too much.
    #[error("grace is {0}, it must be from 1 to {GRACE_S_MAX} seconds")]
    Grace(u64),
    /// An approval of another order, or of this one with something changed.
    #[error("{0} is not that of the order, or of the cohort")]
    Differs(&'static str),
    /// Nobody could take part, or more than one call may have.
    #[error("places is {0}, it must be from 1 to {PLACES_MAX}")]
    Places(u32),
    /// Not one of the cohort's places.
    #[error("place is {0}, the cohort has {1}, from 0 on")]
    Place(u32, u32),
    /// It could end before whoever delivers is paid.
    #[error(
        "expiresAt is {0}, it must reach {1}: deliverBy and grace of the order, or of the cohort"
    )]
    EndsEarly(u64, u64),
}

impl SaleError {
    /// The field to blame, as it is called in JSON.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Zero(field) | Self::Time(field) | Self::Number(field) | Self::Differs(field) => {
                field
            }
            Self::Purpose(_) => "purpose",
            Self::Dataset => "dataset",
            Self::Statement => "statement",
            Self::Price => "price",
            Self::AccessS(_) => "accessS",
            Self::Oneself => "buyer",
            Self::Grace(_) => "grace",
            Self::Places(_) => "places",
            Self::Place(..) => "place",
            Self::EndsEarly(..) => "expiresAt",
        }
    }
}

pub(super) fn some(field: &'static str, is_zero: bool) -> Result<(), SaleError> {
    if is_zero { Err(SaleError::Zero(field)) } else { Ok(()) }
}

pub(super) fn time(field: &'static str, time_s: u64) -> Result<(), SaleError> {
    if (1..=TIME_S_MAX).contains(&time_s) { Ok(()) } else { Err(SaleError::Time(field)) }
}

pub(super) fn terms(terms: &Terms) -> Result<(), SaleError> {
    if !purposes::is_known(&terms.purpose) {
        let cut = terms.purpose.chars().take(80).collect();
        return Err(SaleError::Purpose(cut));
    }
    some("dataset", terms.dataset.is_zero())?;
    // Without it everybody who can guess the fields finds on the chain what was sold.
    some("salt", terms.salt.is_zero())
}

/// Checks everything of an offer that its fields and the dataset decide.
pub fn offer(offer: &Offer, dataset: &Dataset) -> Result<(), SaleError> {
    some("seller", offer.seller.is_zero())?;
    some("log", offer.log.is_zero())?;
    if offer.price.is_zero() || offer.price > PRICE_MAX {
        return Err(SaleError::Price);
    }
    if offer.accessS > ACCESS_S_MAX {
        return Err(SaleError::AccessS(offer.accessS));
    }
    time("expiresAt", offer.expiresAt)?;
    if offer.epoch > NUMBER_MAX {
        return Err(SaleError::Number("epoch"));
    }
    terms(&offer.terms)?;
    if offer.terms.dataset != dataset.id() {
        return Err(SaleError::Dataset);
    }
    let is_read = offer.terms.statement.len() <= STATEMENT_BYTES_MAX;
    if !is_read || words::language_of(offer, dataset).is_none() {
        return Err(SaleError::Statement);
    }
    Ok(())
}

/// The same of an order. Whether its recipient is a key that can be sealed to is not decided here.
pub fn order(order: &Order, dataset: &Dataset) -> Result<(), SaleError> {
    self::offer(&order.offer, dataset)?;
    some("buyer", order.buyer.is_zero())?;
    if order.buyer == order.offer.seller {
        return Err(SaleError::Oneself);
    }
    some("recipient", order.recipient.is_zero())?;
    time("deliverBy", order.deliverBy)?;
    if !(1..=GRACE_S_MAX).contains(&order.grace) {
        return Err(SaleError::Grace(order.grace));
    }
    let settled_by = order.settled_by().ok_or(SaleError::Time("deliverBy"))?;
    time("deliverBy", settled_by)?;
    some("salt", order.salt.is_zero())
}

/// The same of an approval, against the order that it is shown with.
pub fn approval(
    approval: &SaleApproval,
    order: &Order,
    market: &Market,
    dataset: &Dataset,
) -> Result<(), SaleError> {
    self::order(order, dataset)?;
    let same = |field, is_same: bool| match is_same {
        true => Ok(()),
        false => Err(SaleError::Differs(field)),
    };
    same("order", approval.order == order.id(market))?;
    same("seller", approval.seller == order.offer.seller)?;
    same("buyer", approval.buyer == order.buyer)?;
    same("token", approval.token == order.offer.token)?;
    same("price", approval.price == order.offer.price)?;
    // Other terms in the wallet than in the order: the seller would read one sale and sign another.
    same("terms", approval.terms == order.offer.terms)?;
    time("expiresAt", approval.expiresAt)?;
    let settled_by = order.settled_by().unwrap_or(u64::MAX);
    if approval.expiresAt < settled_by {
        return Err(SaleError::EndsEarly(approval.expiresAt, settled_by));
    }
    Ok(())
}

/// How long an order must leave for what has to happen: the operator's policy, not the contract's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Windows {
    /// From now to deliverBy at least.
    pub delivery_s_min: u64,
    /// Grace at least.
    pub grace_s_min: u64,
}

impl Windows {
    /// 48 and 24 hours: a layer two can withhold a transaction for about a day.
    pub const DEFAULT: Self = Self { delivery_s_min: 48 * 3600, grace_s_min: 24 * 3600 };

    /// Whether an order that is seen now leaves them.
    pub fn leave(&self, order: &Order, now_s: u64) -> bool {
        order.deliverBy >= now_s.saturating_add(self.delivery_s_min)
            && order.grace >= self.grace_s_min
    }
}
