//! Listing offers, and how they stand.

use super::{Sales, SalesError};
use crate::opener::EntryError;
use alloy_primitives::{Address, B256, Bytes};
use medtrail_ledger::directory::{DirectoryChange, OfferRow};
use medtrail_market::assemble::{AssembleError, Reason, Sale, assemble};
use medtrail_market::secret::SaleSecret;
use medtrail_market::year_at;
use medtrail_permit::dataset::{Dataset, Form};
use medtrail_permit::sale::{Offer, check};
use std::collections::BTreeMap;

/// Offers of one seller that can be bought.
const OFFERS_MAX: usize = 64;

/// What somebody wants listed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Offered {
    /// The document.
    pub offer: Offer,
    /// The description of the dataset, as its exact text.
    pub dataset: String,
    /// By who acts for the seller.
    pub signature: Bytes,
    /// Where the seller lives.
    pub country: String,
}

/// How an offer stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OfferState {
    /// It can be bought.
    Open,
    /// Its time is over.
    Expired,
    /// On the chain: nobody can buy it.
    Cancelled,
    /// Here: what is paid later is not delivered.
    Withdrawn,
}

/// An offer, whole.
#[derive(Clone, PartialEq, Debug)]
pub struct OfferView {
    /// The row.
    pub row: OfferRow,
    /// The document.
    pub offer: Offer,
    /// How it stands.
    pub state: OfferState,
}

impl Sales {
    /// Lists an offer. The same again is answered alike.
    ///
    /// # Errors
    /// [`SalesError`].
    pub async fn list(&self, offered: Offered) -> Result<(OfferView, bool), SalesError> {
        self.blocking(move |sales| sales.list_now(offered)).await
    }

    fn list_now(&self, offered: Offered) -> Result<(OfferView, bool), SalesError> {
        let Offered { offer, dataset: text, signature, country } = offered;
        let id = offer.id(&self.market());
        // Looked up before the chain is asked: nobody is to wait for that behind the rows.
        let known = self.0.service.0.live.rows().stall.offer(id).cloned();
        if let Some(row) = known {
            return Ok((self.offer_view(row)?, false));
        }
        let dataset = Dataset::parse(text.as_bytes())?;
        check::offer(&offer, &dataset)?;
        if offer.accessS > 0 && dataset.form() != Form::AsItIs {
            // The originals are what such a copy hides.
            return Err(SalesError::Field {
                field: "offer.accessS",
                rule: "0 where the form is de-identified: a look would show the originals",
            });
        }
        let now_s = self.now_ms() / 1000;
        let fault = |field, rule| Err(SalesError::Field { field, rule });
        if offer.log != self.0.service.trust().log {
            return fault("offer.log", "this log's id");
        }
        if offer.expiresAt <= now_s {
            return fault("offer.expiresAt", "in the future");
        }
        if country.len() != 2 || !country.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return fault("country", "two capital letters (ISO 3166-1): where the seller lives");
        }
        // The signature before all that tells something about the seller.
        let block = self.0.trade.tips()?.head.block.hash;
        if !self.is_by_seller(offer.seller, id, &signature, block)? {
            return Err(SalesError::Signature);
        }
        if !self.0.trade.is_open(&offer, block)? {
            return fault("offer.epoch", "the seller's selling epoch, of an offer not cancelled");
        }
        if !self.0.rules.of(&country).allows(dataset.form()) {
            return Err(SalesError::Rule);
        }
        self.may_sell(offer.seller)?;
        let (records, left_out) = self.count(offer.seller, &dataset)?;
        if records == 0 {
            return Err(SalesError::Nothing { left_out });
        }
        let row = OfferRow {
            id,
            seller: offer.seller,
            document: serde_json::to_vec(&offer).expect("an offer is JSON"),
            dataset: text.into_bytes(),
            signature,
            country,
            expires_at_s: offer.expiresAt,
            listed_ms: self.now_ms(),
            records,
            withdrawn_ms: None,
        };
        let (row, is_new) = self.put_offer(row, now_s)?;
        // Just now the chain said that it is open.
        Ok((OfferView { row, offer, state: OfferState::Open }, is_new))
    }

    /// Puts an offer on the list, unless it stands there by now.
    fn put_offer(&self, row: OfferRow, now_s: u64) -> Result<(OfferRow, bool), SalesError> {
        let live = &self.0.service.0.live;
        let _act = live.begin()?;
        let known = live.rows().stall.offer(row.id).cloned();
        if let Some(known) = known {
            return Ok((known, false));
        }
        let open =
            live.rows().stall.offers_of(row.seller).filter(|one| is_on_sale(one, now_s)).count();
        if open >= OFFERS_MAX {
            return Err(SalesError::TooMany(open));
        }
        live.apply(vec![DirectoryChange::PutOffer(row.clone())])?;
        Ok((row, true))
    }

    /// How many records are what is offered, and what is there besides.
    pub(crate) fn count(
        &self,
        seller: Address,
        dataset: &Dataset,
    ) -> Result<(u64, Vec<(String, u64)>), SalesError> {
        let kept = self.0.vault.all_of(self.person_of(seller))?;
        let records: Vec<_> = kept.iter().map(|one| one.record()).collect();
        // No buyer sees this assembly.
        let secret = SaleSecret::new([0; 32]);
        let year = year_at(self.now_ms() / 1000);
        let sale = Sale { order: B256::ZERO, dataset, secret: &secret, year };
        match assemble(&sale, &records) {
            Ok(made) => Ok((made.manifest.records.len() as u64, told(&made.left_out))),
            Err(AssembleError::Nothing { left_out }) => Ok((0, told(&left_out))),
            Err(AssembleError::TooMuch) => Err(SalesError::TooMuch),
            Err(error) => Err(EntryError::from(damaged(&error)).into()),
        }
    }

    /// An offer, for whoever is signed in. Blocks.
    ///
    /// # Errors
    /// [`SalesError::NoSuchOffer`]; the chain is asked whether it was cancelled.
    pub async fn offer(&self, id: B256) -> Result<OfferView, SalesError> {
        self.blocking(move |sales| {
            let row = sales.0.service.0.live.rows().stall.offer(id).cloned();
            sales.offer_view(row.ok_or(SalesError::NoSuchOffer)?)
        })
        .await
    }

    /// The offers of a person, also under the addresses that they sell under, newest first.
    pub async fn offers_of(&self, who: Address) -> Result<Vec<OfferView>, SalesError> {
        self.blocking(move |sales| {
            let mut own: Vec<OfferRow> = Vec::new();
            for seller in sales.names_of(who) {
                own.extend(sales.0.service.0.live.rows().stall.offers_of(seller).cloned());
            }
            own.sort_by_key(|row| std::cmp::Reverse((row.listed_ms, row.id)));
            own.into_iter().map(|row| sales.offer_view(row)).collect()
        })
        .await
    }

    /// The addresses that somebody sells under, their own first.
    pub(crate) fn names_of(&self, who: Address) -> Vec<Address> {
        let aliases = self.0.service.aliases(who).into_iter().map(|own| own.alias);
        std::iter::once(who).chain(aliases).collect()
    }

    /// Takes an offer out of the catalogue: what is paid after this is not delivered.
    ///
    /// # Errors
    /// [`SalesError::NoSuchOffer`] also for who is not its seller.
    pub async fn withdraw(&self, who: Address, id: B256) -> Result<OfferView, SalesError> {
        self.blocking(move |sales| {
            let live = &sales.0.service.0.live;
            let row = {
                let _act = live.begin()?;
                let row = live.rows().stall.offer(id).cloned();
                let row = row.filter(|row| sales.is_party(who, row.seller));
                let mut row = row.ok_or(SalesError::NoSuchOffer)?;
                if row.withdrawn_ms.is_none() {
                    row.withdrawn_ms = Some(sales.now_ms());
                    live.apply(vec![DirectoryChange::PutOffer(row.clone())])?;
                }
                row
            };
            sales.offer_view(row)
        })
        .await
    }

    /// An offer as it stands: what the chain says too, where the rest does not decide it.
    fn offer_view(&self, row: OfferRow) -> Result<OfferView, SalesError> {
        let offer = offer_in(&row)?;
        let state = if row.withdrawn_ms.is_some() {
            OfferState::Withdrawn
        } else if row.expires_at_s <= self.now_ms() / 1000 {
            OfferState::Expired
        } else {
            let head = self.0.trade.tips()?.head.block.hash;
            match self.0.trade.is_open(&offer, head)? {
                true => OfferState::Open,
                false => OfferState::Cancelled,
            }
        };
        Ok(OfferView { offer, row, state })
    }
}

pub(super) fn damaged(error: &dyn std::fmt::Display) -> medtrail_ledger::ports::JournalError {
    medtrail_ledger::ports::JournalError::Damaged(error.to_string())
}

pub(super) fn offer_in(row: &OfferRow) -> Result<Offer, SalesError> {
    Ok(serde_json::from_slice(&row.document).map_err(|error| damaged(&error))?)
}

pub(super) fn dataset_in(row: &OfferRow) -> Result<Dataset, SalesError> {
    Ok(Dataset::parse(&row.dataset).map_err(|error| damaged(&error))?)
}

pub(super) fn is_on_sale(row: &OfferRow, now_s: u64) -> bool {
    row.withdrawn_ms.is_none() && row.expires_at_s > now_s
}

/// Reasons as they are told to the seller.
pub(super) fn told(left_out: &BTreeMap<Reason, u64>) -> Vec<(String, u64)> {
    left_out.iter().map(|(reason, count)| (reason.word().to_owned(), *count)).collect()
}
