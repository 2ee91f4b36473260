//! Whether an offer is one to pay for: what the contract takes and never pays out is refused here,
//! before any money moves.

use crate::commands::market::views::{Disbelief, OfferView};
use alloy_primitives::{Address, B256};
use medtrail_chain::Control;
use medtrail_permit::dataset::Dataset;
use medtrail_permit::sale::{Market, check};

/// What the chain says of an offer.
#[derive(Clone, Copy, Debug)]
pub(super) struct OnChain {
    /// Of the seller.
    pub(super) control: Control,
    /// The controller is a contract, and says that it signed this (ERC-1271).
    pub(super) is_accepted: bool,
    /// Not cancelled, and of the current epoch.
    pub(super) is_open: bool,
    /// The newest block's time.
    pub(super) now_s: u64,
}

/// Why nothing is paid.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unfit {
    #[error(transparent)]
    Disbelief(#[from] Disbelief),
    #[error("the offer is not what it must be ({field}): {words}")]
    Invalid { field: &'static str, words: String },
    #[error("the offer is for log {0}, your trust file names another")]
    Log(B256),
    #[error(
        "the offer is not signed by {controller}, who acts for its seller: it could be paid, and \
         never be settled"
    )]
    Signature { controller: Address },
    #[error("the seller is frozen: it could be paid, and not be settled while that lasts")]
    Frozen,
    #[error("the seller cancelled it on the chain")]
    Cancelled,
    #[error("it could be paid until second {0}, which is past")]
    Expired(u64),
    #[error("it is {0} at this service: what is paid now is not delivered")]
    Withdrawn(String),
    #[error("the seller is you")]
    Oneself,
}

/// The dataset of an offer that may be paid for.
pub(super) fn judge(
    view: &OfferView,
    wanted: B256,
    market: &Market,
    log: B256,
    seen: &OnChain,
    buyer: Address,
) -> Result<Dataset, Unfit> {
    let offer = &view.offer;
    let dataset = view.described(market, wanted)?;
    check::offer(offer, &dataset)
        .map_err(|error| Unfit::Invalid { field: error.field(), words: error.to_string() })?;
    if offer.log != log {
        return Err(Unfit::Log(offer.log));
    }
    if offer.seller == buyer {
        return Err(Unfit::Oneself);
    }
    if seen.now_s >= offer.expiresAt {
        return Err(Unfit::Expired(offer.expiresAt));
    }
    if !seen.is_open {
        return Err(Unfit::Cancelled);
    }
    if seen.control.frozen_until_s != 0 {
        return Err(Unfit::Frozen);
    }
    let controller = seen.control.controller;
    if !view.is_by(market, controller) && !seen.is_accepted {
        return Err(Unfit::Signature { controller });
    }
    match view.state.as_str() {
        "open" => Ok(dataset),
        other => Err(Unfit::Withdrawn(crate::render::harmless(other))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::U256;
    use medtrail_keys::person::PersonKey;
    use medtrail_permit::dataset::{Form, Origin};
    use medtrail_permit::sale::{Offer, Terms, words};
    use medtrail_permit::statements::Language;

    const LOG: B256 = B256::repeat_byte(0x10);
    const BUYER: Address = Address::repeat_byte(0xb0);
    const MARKET: Market = Market { chain_id: 31_338, data_market: Address::repeat_byte(0xda) };

    fn key(byte: u8) -> PersonKey {
        PersonKey::from_bytes(&[byte; 32]).unwrap()
    }

    fn dataset() -> Dataset {
        Dataset::new("patient/Observation.rs", vec![], 0, 60, Form::AsItIs, Origin::Signed).unwrap()
    }

    fn offer() -> Offer {
        let offer = Offer {
            seller: key(1).address(),
            log: LOG,
            token: Address::ZERO,
            price: U256::from(50),
            accessS: 0,
            expiresAt: 2_000,
            epoch: 0,
            terms: Terms {
                statement: String::new(),
                purpose: "HRESCH".to_owned(),
                dataset: dataset().id(),
                salt: B256::repeat_byte(7),
            },
        };
        words::worded(offer, &dataset(), Language::En).unwrap()
    }

    fn view(offer: Offer, signer: &PersonKey) -> OfferView {
        OfferView {
            id: offer.id(&MARKET),
            signature: signer.sign_document(&offer, &MARKET.domain()),
            dataset: String::from_utf8(dataset().bytes()).unwrap(),
            state: "open".to_owned(),
            offer,
        }
    }

    fn seen() -> OnChain {
        let control = Control { controller: key(1).address(), frozen_until_s: 0 };
        OnChain { control, is_accepted: false, is_open: true, now_s: 1_000 }
    }

    fn judged(view: &OfferView, seen: &OnChain) -> Result<(), Unfit> {
        judge(view, view.id, &MARKET, LOG, seen, BUYER).map(drop)
    }

    #[test]
    fn an_offer_that_stands_may_be_paid_for() {
        assert_eq!(judged(&view(offer(), &key(1)), &seen()), Ok(()));
    }

    #[test]
    fn a_service_that_shows_something_else_under_the_same_id_gets_no_money() {
        let good = view(offer(), &key(1));
        let dearer = Offer { price: U256::from(51), ..offer() };
        let shown = OfferView { offer: dearer, ..good.clone() };
        let another = Err(Unfit::Disbelief(Disbelief::Other("offer", good.id)));
        assert_eq!(judged(&shown, &seen()), another);
        let elsewhere = Market { data_market: Address::repeat_byte(1), ..MARKET };
        let moved = judge(&good, good.id, &elsewhere, LOG, &seen(), BUYER);
        assert_eq!(moved.map(drop), another);

        let text = good.dataset.replace("Observation", "Immunization");
        let other = OfferView { dataset: text, ..good.clone() };
        assert_eq!(judged(&other, &seen()), Err(Unfit::Disbelief(Disbelief::Dataset)));
        let torn = OfferView { dataset: good.dataset[1..].to_owned(), ..good };
        let refused = judged(&torn, &seen());
        assert!(matches!(refused, Err(Unfit::Disbelief(Disbelief::Description(_)))), "{refused:?}");
    }

    #[test]
    fn words_that_say_another_thing_than_the_fields_are_refused_though_they_are_signed() {
        let mut offer = offer();
        offer.terms.statement = offer.terms.statement.replace("50 wei", "5 wei");
        let refused = judged(&view(offer, &key(1)), &seen()).unwrap_err();
        assert!(matches!(refused, Unfit::Invalid { field: "statement", .. }), "{refused}");
    }

    #[test]
    fn an_offer_that_could_be_paid_and_never_be_settled_is_refused() {
        let good = view(offer(), &key(1));
        // Signed by the seller's own key, which lost control: the contract takes the money.
        let moved = Control { controller: key(2).address(), frozen_until_s: 0 };
        let lost = Unfit::Signature { controller: key(2).address() };
        assert_eq!(judged(&good, &OnChain { control: moved, ..seen() }), Err(lost));
        assert_eq!(judged(&view(offer(), &key(2)), &OnChain { control: moved, ..seen() }), Ok(()));
        let stranger = Unfit::Signature { controller: key(1).address() };
        assert_eq!(judged(&view(offer(), &key(3)), &seen()), Err(stranger));
        let wallet = OnChain { is_accepted: true, ..seen() };
        assert_eq!(judged(&view(offer(), &key(3)), &wallet), Ok(()));

        let frozen = Control { frozen_until_s: 5_000, ..seen().control };
        assert_eq!(judged(&good, &OnChain { control: frozen, ..seen() }), Err(Unfit::Frozen));
        let cancelled = OnChain { is_open: false, ..seen() };
        assert_eq!(judged(&good, &cancelled), Err(Unfit::Cancelled));
        let at_the_end = OnChain { now_s: 2_000, ..seen() };
        assert_eq!(judged(&good, &at_the_end), Err(Unfit::Expired(2_000)));
        let withdrawn = OfferView { state: "withdrawn".to_owned(), ..good.clone() };
        assert_eq!(judged(&withdrawn, &seen()), Err(Unfit::Withdrawn("withdrawn".to_owned())));
        let elsewhere = judge(&good, good.id, &MARKET, B256::ZERO, &seen(), BUYER).map(drop);
        assert_eq!(elsewhere, Err(Unfit::Log(LOG)));
        let own = judge(&good, good.id, &MARKET, LOG, &seen(), key(1).address()).map(drop);
        assert_eq!(own, Err(Unfit::Oneself));
    }
}
