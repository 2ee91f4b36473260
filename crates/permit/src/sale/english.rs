//! The English template of an offer.

use super::Offer;
use super::words::ether;
use crate::dataset::{Dataset, Form, Origin, Profile};
use crate::statements::{english, span};
use medtrail_ledger::binding::minute;

pub(super) fn offer(offer: &Offer, dataset: &Dataset, purpose: &str) -> String {
    let data: Vec<String> = dataset.scopes().iter().map(english::data).collect();
    let period = dataset.period_s();
    let codes = match dataset.codes() {
        [] => String::new(),
        codes => format!(" Only data with one of these codes: {}.", codes.join(", ")),
    };
    let price = if offer.token.is_zero() {
        format!("{} ETH ({} wei)", ether(offer.price), offer.price)
    } else {
        format!("{} smallest units of the token {}", offer.price, offer.token)
    };
    format!(
        "I offer for sale a copy of health data of {seller}: {data}, from {from} UTC to {to} \
         UTC.{codes} Form: {form}. Origin: {origin}. Only for: {purpose}. Price of each copy: \
         {price}, paid to {seller}. Each sale needs an approval of its own, in which I name the \
         buyer; buyers can pay until {until} UTC.{access} A sold copy cannot be called back. A \
         sale is public forever: both addresses, price and time. (Medtrail sale 1)",
        seller = offer.seller,
        data = data.join("; "),
        from = minute(period.start),
        to = minute(period.end),
        form = form(dataset.form()),
        origin = match dataset.origin() {
            Origin::Signed => "only what organisations signed",
            Origin::SignedAndUploaded => "what organisations signed, and what I added myself",
        },
        until = minute(offer.expiresAt),
        access = access(offer.accessS),
    )
}

fn form(form: Form) -> String {
    let Form::DeIdentified(profile, _) = form else {
        return "as they are, with names and all else that stands in them".to_owned();
    };
    let dates = match profile {
        Profile::SafeHarbor => "of dates only the year",
        Profile::ShiftedDates => "all dates moved by one secret number of days",
    };
    format!(
        "without names, places, personal numbers and free text; {dates} ({name}). Who knows much \
         about me may still recognise me",
        name = profile.word(),
    )
}

fn access(access_s: u64) -> String {
    if access_s == 0 {
        return String::new();
    }
    let (number, unit) = span(access_s);
    let units = ["day", "hour", "minute", "second"];
    let plural = if number == 1 { "" } else { "s" };
    format!(
        " For {number} {unit}{plural} after a sale the buyer may also look at these data where \
         they are kept; I can end that at any time.",
        unit = units[unit],
    )
}
