//! The catalogue: what is on sale, for everybody, without whose it is.

use super::offers::{dataset_in, is_on_sale, offer_in};
use super::{Sales, SalesError};
use alloy_primitives::B256;
use medtrail_ledger::directory::OfferRow;
use medtrail_permit::dataset::Dataset;
use medtrail_permit::sale::Offer;

/// Offers of one page of the catalogue at most.
const PAGE_MAX: usize = 100;
/// Offers that are looked at for one page: a filter that fits little gives a short page.
const LOOKED_AT_MAX: usize = 2_000;

/// Where a page of the catalogue ends: when an offer was listed, and which.
pub type Ended = (u64, B256);

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
            if is_shown {
                let dataset = dataset_in(row)?;
                let card = card(row, &dataset)?;
                if fits(wish, &card, &dataset) {
                    cards.push(card);
                }
            }
        }
        let last = rows.last().map(|row| (row.listed_ms, row.id));
        Ok((cards, last.filter(|_| !is_all)))
    }
}

fn card(row: &OfferRow, dataset: &Dataset) -> Result<Card, SalesError> {
    let mut types: Vec<String> =
        dataset.scopes().iter().map(|scope| scope.resource().unwrap_or("*").to_owned()).collect();
    types.sort();
    types.dedup();
    Ok(Card {
        id: row.id,
        listed_ms: row.listed_ms,
        offer: offer_in(row)?,
        dataset: String::from_utf8_lossy(&row.dataset).into_owned(),
        types,
        records_at_least: at_least(row.records),
    })
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

fn fits(wish: &Wish, card: &Card, dataset: &Dataset) -> bool {
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
