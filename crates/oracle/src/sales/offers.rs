//! Listing offers, the catalogue, and the person's standing no to all sales.

use super::{Sales, SalesError};
use crate::opener::EntryError;
use alloy_primitives::{Address, B256, Bytes};
use medtrail_ledger::directory::{DirectoryChange, OfferRow, OptOutRow};
use medtrail_ledger::signature;
use medtrail_market::assemble::{AssembleError, Reason, Sale, assemble};
use medtrail_market::secret::SaleSecret;
use medtrail_market::year_at;
use medtrail_permit::consents;
use medtrail_permit::dataset::Dataset;
use medtrail_permit::documents::Document;
use medtrail_permit::permits::ChainState;
use medtrail_permit::sale::{Offer, check};
use std::collections::BTreeMap;

/// Offers of one seller that can be bought.
const OFFERS_MAX: usize = 64;
/// Offers of one page of the catalogue at most.
const PAGE_MAX: usize = 100;
/// Offers that are looked at for one page: a filter that fits little gives a short page.
const LOOKED_AT_MAX: usize = 2_000;

/// Where a page of the catalogue ends: when an offer was listed, and which.
pub type Ended = (u64, B256);

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

/// An offer in the catalogue: nothing of it tells whose it is.
#[derive(Clone, PartialEq, Debug)]
pub struct Card {
    /// Its id.
    pub id: B256,
    /// When it was listed.
    pub listed_ms: u64,
    /// What it asks and gives.
    pub offer: Offer,
    /// The description of the dataset.
    pub dataset: String,
    /// The types that its scopes name.
    pub types: Vec<String>,
    /// The largest of 1, 2, 5, 10, 20, 50 … that is not above the count.
    pub records_at_least: u64,
}

/// Which offers are looked for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Wish {
    /// A FHIR type.
    pub resource: Option<String>,
    /// `system|code`.
    pub code: Option<String>,
    /// `signed` or `signed-and-uploaded`.
    pub origin: Option<String>,
    /// `as-it-is`, or a profile.
    pub form: Option<String>,
    /// A purpose.
    pub purpose: Option<String>,
    /// The `next` of the page before.
    pub before: Option<Ended>,
    /// At most.
    pub limit: usize,
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
        if let Some(row) = self.0.service.0.live.rows().stall.offer(id).cloned() {
            return Ok((self.offer_view(row, OfferState::Open)?, false));
        }
        let dataset = Dataset::parse(text.as_bytes())?;
        check::offer(&offer, &dataset)?;
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
        let live = &self.0.service.0.live;
        let _act = live.begin()?;
        if let Some(row) = live.rows().stall.offer(id).cloned() {
            return Ok((self.offer_view(row, OfferState::Open)?, false));
        }
        let open =
            live.rows().stall.offers_of(row.seller).filter(|one| is_on_sale(one, now_s)).count();
        if open >= OFFERS_MAX {
            return Err(SalesError::TooMany(open));
        }
        live.apply(vec![DirectoryChange::PutOffer(row.clone())])?;
        Ok((self.offer_view(row, OfferState::Open)?, true))
    }

    /// Whether a signature is of who acts for the seller now, and the seller is not frozen.
    pub(super) fn is_by_seller(
        &self,
        seller: Address,
        digest: B256,
        bytes: &Bytes,
        block: B256,
    ) -> Result<bool, SalesError> {
        let chain = self.chain_of(seller)?;
        let controller = chain.controller_of(seller);
        if self.is_frozen(seller, &chain) {
            return Ok(false);
        }
        let by = signature::parse(bytes).and_then(|signature| signature.recover(digest));
        if by == Ok(controller) {
            return Ok(true);
        }
        Ok(self.0.trade.accepts(controller, digest, bytes, block)?)
    }

    pub(super) fn chain_of(&self, seller: Address) -> Result<ChainState, SalesError> {
        let records = self.0.service.0.permissions.consents.about(seller)?;
        Ok(consents::fold(seller, &records))
    }

    pub(super) fn is_frozen(&self, seller: Address, chain: &ChainState) -> bool {
        let now_s = self.now_ms() / 1000;
        let mut freezes = chain.freezes.iter().filter(|freeze| freeze.subject == seller);
        freezes.any(|freeze| freeze.until_s.is_none_or(|until_s| now_s < until_s))
    }

    /// Whether the person behind an address may sell at all.
    fn may_sell(&self, seller: Address) -> Result<(), SalesError> {
        let person = self.person_of(seller);
        if self.is_guarded(person)? {
            return Err(SalesError::Child);
        }
        match self.has_opted_out(person) {
            true => Err(SalesError::OptedOut),
            false => Ok(()),
        }
    }

    /// Whether somebody else acts for the person by a guardianship: a child, or somebody under
    /// guardianship. By any of the names that organisations knew them by, and until it ends by its
    /// own time or by an organisation's word.
    pub(super) fn is_guarded(&self, person: Address) -> Result<bool, EntryError> {
        let service = &self.0.service;
        let now_s = self.now_ms() / 1000;
        for part in service.parts(person) {
            let papers = service.papers(part)?;
            let world = papers.world(service.registries(), ChainState::default());
            let is_ended = |id: B256| world.ends.iter().any(|end| end.guardianship == id);
            let stands = papers.documents().iter().any(|recorded| {
                matches!(&recorded.signed.document, Document::Guardianship(guardianship)
                    if guardianship.expiresAt > now_s && !is_ended(recorded.id))
            });
            if stands {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// How many records are what is offered, and what is there besides.
    fn count(
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
            let row = row.ok_or(SalesError::NoSuchOffer)?;
            let state = sales.state_of(&row)?;
            sales.offer_view(row, state)
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
            let views = own.into_iter().map(|row| {
                let state = sales.state_of(&row)?;
                sales.offer_view(row, state)
            });
            views.collect()
        })
        .await
    }

    /// The addresses that somebody sells under, their own first.
    pub(super) fn names_of(&self, who: Address) -> Vec<Address> {
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
            sales.offer_view(row, OfferState::Withdrawn)
        })
        .await
    }

    fn state_of(&self, row: &OfferRow) -> Result<OfferState, SalesError> {
        if row.withdrawn_ms.is_some() {
            return Ok(OfferState::Withdrawn);
        }
        if row.expires_at_s <= self.now_ms() / 1000 {
            return Ok(OfferState::Expired);
        }
        let block = self.0.trade.tips()?.head.block.hash;
        let is_open = self.0.trade.is_open(&offer_in(row)?, block)?;
        Ok(if is_open { OfferState::Open } else { OfferState::Cancelled })
    }

    fn offer_view(&self, row: OfferRow, otherwise: OfferState) -> Result<OfferView, SalesError> {
        let state = match (row.withdrawn_ms, row.expires_at_s <= self.now_ms() / 1000) {
            (Some(_), _) => OfferState::Withdrawn,
            (None, true) => OfferState::Expired,
            (None, false) => otherwise,
        };
        Ok(OfferView { offer: offer_in(&row)?, row, state })
    }

    /// The catalogue, newest first, and where its next page begins. What was cancelled on the chain
    /// may still stand there until it is looked at.
    ///
    /// # Errors
    /// Where a row makes no sense.
    pub fn catalogue(&self, wish: &Wish) -> Result<(Vec<Card>, Option<Ended>), SalesError> {
        let now_s = self.now_ms() / 1000;
        let limit = wish.limit.clamp(1, PAGE_MAX);
        let rows: Vec<OfferRow> = {
            let rows = self.0.service.0.live.rows();
            let before = wish.before.unwrap_or((u64::MAX, B256::repeat_byte(0xff)));
            rows.stall.offers_before(before).take(LOOKED_AT_MAX).cloned().collect()
        };
        let is_all = rows.len() < LOOKED_AT_MAX;
        let mut cards: Vec<Card> = Vec::new();
        for row in &rows {
            if cards.len() == limit {
                let last = cards.last().map(|card| (card.listed_ms, card.id));
                return Ok((cards, last));
            }
            let is_shown =
                is_on_sale(row, now_s) && !self.has_opted_out(self.person_of(row.seller));
            if is_shown && let Some(card) = card(row)?.filter(|card| fits(wish, card)) {
                cards.push(card);
            }
        }
        let last = rows.last().map(|row| (row.listed_ms, row.id));
        Ok((cards, last.filter(|_| !is_all)))
    }

    pub(super) fn has_opted_out(&self, person: Address) -> bool {
        self.0.service.0.live.rows().stall.opt_out(person).is_some_and(|row| row.is_out)
    }

    /// What a person wants of sales in general, and since when; none: nothing was ever said.
    pub fn opt_out(&self, person: Address) -> Option<(bool, u64)> {
        let row = self.0.service.0.live.rows().stall.opt_out(self.person_of(person));
        row.map(|row| (row.is_out, row.since_ms))
    }

    /// Says no to all sales, or takes that back. Their trail says so; durable when this returns.
    ///
    /// # Errors
    /// [`SalesError`].
    pub async fn set_opt_out(&self, who: Address, is_out: bool) -> Result<u64, SalesError> {
        self.blocking(move |sales| {
            let subject = sales.person_of(who);
            let live = &sales.0.service.0.live;
            let since_ms = {
                let _act = live.begin()?;
                let known = live.rows().stall.opt_out(subject);
                if let Some(row) = known.filter(|row| row.is_out == is_out) {
                    return Ok(row.since_ms);
                }
                let since_ms = sales.now_ms();
                let row = OptOutRow { subject, is_out, since_ms };
                let owed = sales.owe_opt_out(&row)?;
                live.apply(vec![DirectoryChange::PutOptOut(row), owed])?;
                since_ms
            };
            sales.0.service.pay();
            Ok(since_ms)
        })
        .await
    }
}

fn damaged(error: &dyn std::fmt::Display) -> medtrail_ledger::ports::JournalError {
    medtrail_ledger::ports::JournalError::Damaged(error.to_string())
}

pub(super) fn offer_in(row: &OfferRow) -> Result<Offer, SalesError> {
    Ok(serde_json::from_slice(&row.document).map_err(|error| damaged(&error))?)
}

pub(super) fn dataset_bytes(row: &OfferRow) -> &[u8] {
    &row.dataset
}

pub(super) fn dataset_in(row: &OfferRow) -> Result<Dataset, SalesError> {
    Ok(Dataset::parse(&row.dataset).map_err(|error| damaged(&error))?)
}

fn is_on_sale(row: &OfferRow, now_s: u64) -> bool {
    row.withdrawn_ms.is_none() && row.expires_at_s > now_s
}

/// Reasons as they are told to the seller.
pub(super) fn told(left_out: &BTreeMap<Reason, u64>) -> Vec<(String, u64)> {
    left_out.iter().map(|(reason, count)| (reason.word().to_owned(), *count)).collect()
}

fn card(row: &OfferRow) -> Result<Option<Card>, SalesError> {
    let dataset = dataset_in(row)?;
    let mut types: Vec<String> =
        dataset.scopes().iter().map(|scope| scope.resource().unwrap_or("*").to_owned()).collect();
    types.sort();
    types.dedup();
    Ok(Some(Card {
        id: row.id,
        listed_ms: row.listed_ms,
        offer: offer_in(row)?,
        dataset: String::from_utf8_lossy(&row.dataset).into_owned(),
        types,
        records_at_least: at_least(row.records),
    }))
}

/// The largest of 1, 2, 5, 10, 20, 50 … not above it.
fn at_least(records: u64) -> u64 {
    let mut step = 1;
    for next in (0..).flat_map(|power| [1, 2, 5].map(|digit| digit * 10_u64.pow(power))) {
        if next > records.max(1) {
            break;
        }
        step = next;
    }
    step
}

fn fits(wish: &Wish, card: &Card) -> bool {
    let Ok(dataset) = Dataset::parse(card.dataset.as_bytes()) else { return false };
    let is = |wished: &Option<String>, is: &dyn Fn(&str) -> bool| wished.as_deref().is_none_or(is);
    is(&wish.resource, &|one| card.types.iter().any(|known| known == one || known == "*"))
        && is(&wish.code, &|one| dataset.codes().iter().any(|known| known == one))
        && is(&wish.origin, &|one| dataset.origin().word() == one)
        && is(&wish.form, &|one| dataset.form().word() == one)
        && is(&wish.purpose, &|one| card.offer.terms.purpose == one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_told_by_steps_and_never_above_what_is_there() {
        let told: Vec<u64> = [1, 2, 4, 5, 9, 10, 49, 50, 99, 100, 12_345].map(at_least).into();
        assert_eq!(told, [1, 2, 2, 5, 5, 10, 20, 50, 50, 100, 10_000]);
    }
}
