//! What the service answers about offers and sales: read, and believed in nothing that can be held
//! against a signature or the chain.

use super::amounts;
use crate::commands::organisations::time_text;
use crate::exit::Failure;
use crate::render::harmless;
use alloy_primitives::{Address, B256, Bytes, U256};
use medtrail_ledger::signature;
use medtrail_permit::dataset::Dataset;
use medtrail_permit::sale::{Market, Offer, Order};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Why an answer is not believed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(in crate::commands) enum Disbelief {
    #[error("the service shows another {0} than {1}")]
    Other(&'static str, B256),
    #[error("the description of the dataset cannot be read: {0}")]
    Description(String),
    #[error("the description is of another dataset than the offer's")]
    Dataset,
}

/// An offer with all that it takes to check it.
#[derive(Clone, Debug, Deserialize, Serialize)]
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
    pub(in crate::commands) withdrawal: Option<WithdrawalView>,
}

/// The seller wants what was delivered deleted.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::commands) struct WithdrawalView {
    /// `waiting`, `deleted` or `not-answered`.
    pub(in crate::commands) state: String,
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
    /// The description of what is sold, once it and the offer are what their ids say. The id commits
    /// to every field: nothing the service says beside it counts.
    pub(in crate::commands) fn described(
        &self,
        market: &Market,
        id: B256,
    ) -> Result<Dataset, Disbelief> {
        if self.id != id || self.offer.id(market) != id {
            return Err(Disbelief::Other("offer", id));
        }
        described(&self.dataset, self.offer.terms.dataset)
    }

    /// Whether this key signed the offer.
    pub(in crate::commands) fn is_by(&self, market: &Market, key: Address) -> bool {
        let signature = signature::parse(&self.signature);
        signature.and_then(|made| made.recover(self.offer.id(market))).is_ok_and(|by| by == key)
    }
}

impl SaleView {
    /// The description of what was sold, once it and the order are what their ids say.
    pub(in crate::commands) fn described(
        &self,
        market: &Market,
        id: B256,
    ) -> Result<Dataset, Disbelief> {
        if self.id != id || self.order.id(market) != id {
            return Err(Disbelief::Other("order", id));
        }
        described(&self.dataset, self.order.offer.terms.dataset)
    }
}

pub(in crate::commands) fn described(text: &str, id: B256) -> Result<Dataset, Disbelief> {
    let dataset = Dataset::parse(text.as_bytes())
        .map_err(|error| Disbelief::Description(harmless(&error.to_string())))?;
    match dataset.id() == id {
        true => Ok(dataset),
        false => Err(Disbelief::Dataset),
    }
}

/// The price in an answer, in words.
pub(in crate::commands) fn priced(one: &Value) -> String {
    let price = one["price"].as_str().and_then(|text| U256::from_str_radix(text, 10).ok());
    let token = one["token"].as_str().and_then(|text| text.parse().ok());
    match (price, token) {
        (Some(price), Some(token)) => amounts::told(price, token),
        _ => "?".to_owned(),
    }
}

/// Seconds since 1970 in an answer, as a person reads them.
pub(in crate::commands) fn seconds(value: &Value) -> String {
    time_text(&json!(value.as_u64().map(|seconds| seconds.saturating_mul(1000))))
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
