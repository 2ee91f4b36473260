//! What the service answers about offers and sales: read, and believed in nothing that can be held
//! against a signature or the chain.

use crate::exit::Failure;
use crate::render::harmless;
use alloy_primitives::{B256, Bytes};
use medtrail_permit::dataset::Dataset;
use medtrail_permit::sale::{Market, Offer, Order};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// An offer with all that it takes to check it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::commands) struct OfferView {
    pub(in crate::commands) id: B256,
    pub(in crate::commands) offer: Offer,
    pub(in crate::commands) dataset: String,
    pub(in crate::commands) signature: Bytes,
    pub(in crate::commands) state: String,
}

/// A sale, as one of its two sides sees it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::commands) struct SaleView {
    pub(in crate::commands) id: B256,
    pub(in crate::commands) order: Order,
    pub(in crate::commands) dataset: String,
    pub(in crate::commands) state: String,
    pub(in crate::commands) refusal: Option<String>,
    pub(in crate::commands) delivery: Option<DeliveryView>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::commands) struct DeliveryView {
    pub(in crate::commands) bytes: u64,
    pub(in crate::commands) file: B256,
    pub(in crate::commands) is_anchored: bool,
}

/// Reads an answer.
pub(in crate::commands) fn read<T: DeserializeOwned>(answer: Value) -> Result<T, Failure> {
    T::deserialize(answer).map_err(|error| {
        let error = harmless(&error.to_string());
        Failure::new(format!("the service's answer cannot be read: {error}"))
    })
}

impl OfferView {
    /// The description of what is sold, once it and the offer are what their ids say.
    pub(in crate::commands) fn described(&self, market: &Market) -> Result<Dataset, Failure> {
        if self.offer.id(market) != self.id {
            return Err(Failure::new("the service shows another offer than it names"));
        }
        described(&self.dataset, self.offer.terms.dataset)
    }
}

impl SaleView {
    /// The description of what was sold, once it and the order are what their ids say.
    pub(in crate::commands) fn described(
        &self,
        market: &Market,
        id: B256,
    ) -> Result<Dataset, Failure> {
        if self.id != id || self.order.id(market) != id {
            return Err(Failure::new("the service shows another order than was asked for"));
        }
        described(&self.dataset, self.order.offer.terms.dataset)
    }
}

fn described(text: &str, id: B256) -> Result<Dataset, Failure> {
    let dataset = Dataset::parse(text.as_bytes()).map_err(|error| {
        let error = harmless(&error.to_string());
        Failure::new(format!("the description of the dataset cannot be read: {error}"))
    })?;
    match dataset.id() == id {
        true => Ok(dataset),
        false => Err(Failure::new("the description is of another dataset than the offer's")),
    }
}

/// Why a sale is not delivered, in words.
pub(in crate::commands) fn refusal_words(word: &str) -> String {
    match word {
        "documents" => "offer or order are not what they must be".to_owned(),
        "recipient" => "the recipient is no key that can be sealed to".to_owned(),
        "windows" => "it left too little time to deliver or to settle".to_owned(),
        "opted-out" => "the seller wants no sale any more".to_owned(),
        "child" => "data of children and of persons with a guardian are not sold".to_owned(),
        "withdrawn" => "the seller withdrew the offer".to_owned(),
        "not-approved" => "the seller did not approve it".to_owned(),
        "nothing" => "there is nothing to deliver".to_owned(),
        "late" => "it was not delivered in time".to_owned(),
        "refunded" => "the money went back".to_owned(),
        other => harmless(other),
    }
}
