//! What a seller reads in the wallet. It stands in the terms, and so in the offer and unchanged in
//! every approval: made of what both have, and of the dataset that the terms name.
//!
//! Like every [statement](crate::statements) it ends with its version and never changes.

use super::{Offer, english, estonian};
use crate::dataset::Dataset;
use crate::purposes;
use crate::statements::Language;
use alloy_primitives::U256;

/// The statement of an offer of this dataset; none if the fields cannot be told, or the terms name
/// another dataset.
pub fn render(offer: &Offer, dataset: &Dataset, language: Language) -> Option<String> {
    if offer.terms.dataset != dataset.id() {
        return None;
    }
    let purpose = purposes::find(&offer.terms.purpose)?;
    Some(match language {
        Language::En => english::offer(offer, dataset, purpose.english),
        Language::Et => estonian::offer(offer, dataset, purpose.estonian),
    })
}

/// The same offer with its statement in this language.
pub fn worded(mut offer: Offer, dataset: &Dataset, language: Language) -> Option<Offer> {
    offer.terms.statement = render(&offer, dataset, language)?;
    Some(offer)
}

/// In which language the statement says what the fields say; none: in none.
pub fn language_of(offer: &Offer, dataset: &Dataset) -> Option<Language> {
    Language::ALL.into_iter().find(|language| {
        render(offer, dataset, *language).is_some_and(|text| text == offer.terms.statement)
    })
}

/// An amount of wei in ether, exactly.
pub fn ether(wei: U256) -> String {
    let digits = format!("{wei:0>19}");
    let (whole, fraction) = digits.split_at(digits.len() - 18);
    match fraction.trim_end_matches('0') {
        "" => whole.to_owned(),
        fraction => format!("{whole}.{fraction}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ether_is_told_to_the_last_wei() {
        let ether = |wei: u128| super::ether(U256::from(wei));
        assert_eq!(ether(0), "0");
        assert_eq!(ether(1), "0.000000000000000001");
        assert_eq!(ether(50_000_000_000_000_000), "0.05");
        assert_eq!(ether(1_000_000_000_000_000_000), "1");
        assert_eq!(ether(12_345_000_000_000_000_001), "12.345000000000000001");
        assert_eq!(super::ether(U256::MAX).len(), 79);
    }
}
