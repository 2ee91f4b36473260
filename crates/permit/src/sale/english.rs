//! The English templates of an offer and of a call to many.

use super::words::ether;
use super::{Cohort, Offer};
use crate::dataset::{Dataset, Form, Origin, Profile};
use crate::statements::{english, span};
use alloy_primitives::{Address, U256};
use medtrail_ledger::binding::minute;

pub(super) fn offer(offer: &Offer, dataset: &Dataset, purpose: &str) -> String {
    format!(
        "I offer for sale a copy of health data of {seller}: {data}, from {from} UTC to {to} \
         UTC.{codes} Form: {form}. Origin: {origin}. Only for: {purpose}. Price of each copy: \
         {price}, paid to {seller}. Each sale needs an approval of its own, in which I name the \
         buyer; buyers can pay until {until} UTC.{access} A sold copy cannot be called back. A \
         sale is public forever: both addresses, price and time. (Medtrail sale 1)",
        seller = offer.seller,
        data = data(dataset),
        from = minute(dataset.period_s().start),
        to = minute(dataset.period_s().end),
        codes = codes(dataset),
        form = form(dataset.form()),
        origin = origin(dataset),
        price = price(offer.token, offer.price),
        until = minute(offer.expiresAt),
        access = access(offer.accessS),
    )
}

pub(super) fn cohort(cohort: &Cohort, dataset: &Dataset, purpose: &str) -> String {
    format!(
        "I sell to {buyer} a copy of health data of the person who signs this: {data}, from {from} \
         UTC to {to} UTC.{codes} Form: {form}. Origin: {origin}. Only for: {purpose}. Price: \
         {price}, paid to the address that signs this. The buyer pays up to {places} people alike \
         and gets the data of all in one file, by {until} UTC; the money waits for {hours} hours \
         more. I can take this back until the first of them is paid; after that I am paid, and \
         the copy cannot be called back. The sale is public forever: both addresses, price and \
         time. (Medtrail cohort 1)",
        buyer = cohort.buyer,
        data = data(dataset),
        from = minute(dataset.period_s().start),
        to = minute(dataset.period_s().end),
        codes = codes(dataset),
        form = form(dataset.form()),
        origin = origin(dataset),
        price = price(cohort.token, cohort.price),
        places = cohort.places,
        until = minute(cohort.deliverBy),
        hours = cohort.grace.div_ceil(3600),
    )
}

fn data(dataset: &Dataset) -> String {
    let data: Vec<String> = dataset.scopes().iter().map(english::data).collect();
    data.join("; ")
}

fn codes(dataset: &Dataset) -> String {
    match dataset.codes() {
        [] => String::new(),
        codes => format!(" Only data with one of these codes: {}.", codes.join(", ")),
    }
}

fn price(token: Address, price: U256) -> String {
    if token.is_zero() {
        format!("{} ETH ({price} wei)", ether(price))
    } else {
        format!("{price} smallest units of the token {token}")
    }
}

fn origin(dataset: &Dataset) -> &'static str {
    match dataset.origin() {
        Origin::Signed => "only what organisations signed",
        Origin::SignedAndUploaded => "what organisations signed, and what I added myself",
    }
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
