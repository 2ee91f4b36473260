//! A buyer's call to many: ids, what sellers read, and what makes its documents valid by
//! themselves.
//!
//! The statement is the buyer's to write, since all sellers sign the same terms; it is made of the
//! cohort's fields and the dataset, so that nobody signs other words than the numbers say.

use super::check::{
    GRACE_S_MAX, PLACES_MAX, PRICE_MAX, SaleError, some, terms as check_terms, time,
};
use super::{Cohort, CohortAcceptance, english, estonian};
use crate::check::{NUMBER_MAX, STATEMENT_BYTES_MAX};
use crate::dataset::Dataset;
use crate::purposes;
use crate::statements::Language;
use alloy_primitives::{Address, B256};
use alloy_sol_types::Eip712Domain;
use medtrail_ledger::schema::{digest, domain};
use serde::{Deserialize, Serialize};

/// The contract whose calls they are: the same document for another has another id.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CohortMarket {
    /// The chain.
    pub chain_id: u64,
    /// The cohort market's contract.
    pub cohort_market: Address,
}

impl CohortMarket {
    /// Under which documents of its calls are signed.
    pub fn domain(&self) -> Eip712Domain {
        domain(self.chain_id, self.cohort_market)
    }
}

impl Cohort {
    /// Its id: what the contract keeps the state of.
    pub fn id(&self, market: &CohortMarket) -> B256 {
        digest(self, &market.domain())
    }

    /// The last second at which the contract pays for it; none where no clock reaches.
    pub fn settled_by(&self) -> Option<u64> {
        self.deliverBy.checked_add(self.grace)
    }

    /// When the acceptance ends that is asked of somebody who gave `before` others in this call: each
    /// a second later, since one that was taken back is spent. None where no clock reaches.
    pub fn acceptance_ends(&self, before: usize) -> Option<u64> {
        self.settled_by()?.checked_add(before as u64)
    }

    /// The acceptance that one seller is asked for.
    pub fn acceptance(
        &self,
        market: &CohortMarket,
        place: u32,
        seller: Address,
        epoch: u64,
        expires_at: u64,
    ) -> CohortAcceptance {
        CohortAcceptance {
            cohort: self.id(market),
            place,
            seller,
            token: self.token,
            price: self.price,
            terms: self.terms.clone(),
            epoch,
            expiresAt: expires_at,
        }
    }
}

impl CohortAcceptance {
    /// Its id: what the seller signs, and revokes in the ConsentRegistry; record and permission of
    /// the delivery's entry.
    pub fn id(&self, market: &CohortMarket) -> B256 {
        digest(self, &market.domain())
    }
}

/// The statement of a call for this dataset; none if the fields cannot be told, or the terms name
/// another dataset.
pub fn render(cohort: &Cohort, dataset: &Dataset, language: Language) -> Option<String> {
    if cohort.terms.dataset != dataset.id() {
        return None;
    }
    let purpose = purposes::find(&cohort.terms.purpose)?;
    Some(match language {
        Language::En => english::cohort(cohort, dataset, purpose.english),
        Language::Et => estonian::cohort(cohort, dataset, purpose.estonian),
    })
}

/// The same call with its statement in this language.
pub fn worded(mut cohort: Cohort, dataset: &Dataset, language: Language) -> Option<Cohort> {
    cohort.terms.statement = render(&cohort, dataset, language)?;
    Some(cohort)
}

/// In which language the statement says what the fields say; none: in none.
pub fn language_of(cohort: &Cohort, dataset: &Dataset) -> Option<Language> {
    Language::ALL.into_iter().find(|language| {
        render(cohort, dataset, *language).is_some_and(|text| text == cohort.terms.statement)
    })
}

/// Checks everything of a call that its fields and the dataset decide. Whether its recipient is a
/// key that can be sealed to is not decided here.
pub fn check(cohort: &Cohort, dataset: &Dataset) -> Result<(), SaleError> {
    some("buyer", cohort.buyer.is_zero())?;
    some("log", cohort.log.is_zero())?;
    if cohort.price.is_zero() || cohort.price > PRICE_MAX {
        return Err(SaleError::Price);
    }
    if !(1..=PLACES_MAX).contains(&cohort.places) {
        return Err(SaleError::Places(cohort.places));
    }
    some("recipient", cohort.recipient.is_zero())?;
    time("deliverBy", cohort.deliverBy)?;
    if !(1..=GRACE_S_MAX).contains(&cohort.grace) {
        return Err(SaleError::Grace(cohort.grace));
    }
    let settled_by = cohort.settled_by().ok_or(SaleError::Time("deliverBy"))?;
    time("deliverBy", settled_by)?;
    some("salt", cohort.salt.is_zero())?;
    check_terms(&cohort.terms)?;
    if cohort.terms.dataset != dataset.id() {
        return Err(SaleError::Dataset);
    }
    let is_read = cohort.terms.statement.len() <= STATEMENT_BYTES_MAX;
    if !is_read || language_of(cohort, dataset).is_none() {
        return Err(SaleError::Statement);
    }
    Ok(())
}

/// The same of an acceptance, against the call that it is shown with.
pub fn check_acceptance(
    acceptance: &CohortAcceptance,
    cohort: &Cohort,
    market: &CohortMarket,
    dataset: &Dataset,
) -> Result<(), SaleError> {
    check(cohort, dataset)?;
    let same = |field, is_same: bool| match is_same {
        true => Ok(()),
        false => Err(SaleError::Differs(field)),
    };
    same("cohort", acceptance.cohort == cohort.id(market))?;
    if acceptance.place >= cohort.places {
        return Err(SaleError::Place(acceptance.place, cohort.places));
    }
    some("seller", acceptance.seller.is_zero())?;
    if acceptance.seller == cohort.buyer {
        return Err(SaleError::Oneself);
    }
    same("token", acceptance.token == cohort.token)?;
    same("price", acceptance.price == cohort.price)?;
    // Other terms in the wallet than in the call: the seller would read one sale and sign another.
    same("terms", acceptance.terms == cohort.terms)?;
    if acceptance.epoch > NUMBER_MAX {
        return Err(SaleError::Number("epoch"));
    }
    time("expiresAt", acceptance.expiresAt)?;
    let settled_by = cohort.settled_by().unwrap_or(u64::MAX);
    if acceptance.expiresAt < settled_by {
        return Err(SaleError::EndsEarly(acceptance.expiresAt, settled_by));
    }
    Ok(())
}
