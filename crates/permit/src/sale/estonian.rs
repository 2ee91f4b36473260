//! The Estonian templates of an offer and of a call to many.

use super::words::ether;
use super::{Cohort, Offer};
use crate::dataset::{Dataset, Form, Origin, Profile};
use crate::statements::{estonian, span};
use alloy_primitives::{Address, U256};

pub(super) fn offer(offer: &Offer, dataset: &Dataset, purpose: &str) -> String {
    format!(
        "Pakun müügiks koopiat isiku {seller} terviseandmetest, mis hõlmab järgmist: {data}, \
         ajavahemikust {from} kuni {to}.{codes} Kuju: {form}. Päritolu: {origin}. Lubatud eesmärk: \
         {purpose}. Ühe koopia hind: {price}, mille saab {seller}. Iga müük vajab eraldi \
         heakskiitu, milles nimetan ostja; ostjad saavad maksta kuni {until}.{access} Müüdud \
         koopiat ei saa tagasi võtta. Müük jääb igaveseks avalikuks: mõlemad aadressid, hind ja \
         aeg. (Medtrail müük 1)",
        seller = offer.seller,
        data = data(dataset),
        from = estonian::time(dataset.period_s().start),
        to = estonian::time(dataset.period_s().end),
        codes = codes(dataset),
        form = form(dataset.form()),
        origin = origin(dataset),
        price = price(offer.token, offer.price),
        until = estonian::time(offer.expiresAt),
        access = access(offer.accessS),
    )
}

pub(super) fn cohort(cohort: &Cohort, dataset: &Dataset, purpose: &str) -> String {
    format!(
        "Müün ostjale {buyer} koopia selle isiku terviseandmetest, kes sellele alla kirjutab, mis \
         hõlmab järgmist: {data}, ajavahemikust {from} kuni {to}.{codes} Kuju: {form}. Päritolu: \
         {origin}. Lubatud eesmärk: {purpose}. Hind: {price}, mille saab aadress, mis sellele alla \
         kirjutab. Ostja maksab kõigile ühepalju, kuni {places} inimesele, ja saab kõigi andmed \
         ühes failis hiljemalt {until}; raha ootab veel {hours} tundi. Saan selle tagasi võtta, \
         kuni esimesele neist on makstud; pärast seda makstakse ka mulle ja koopiat ei saa tagasi \
         võtta. Müük jääb igaveseks avalikuks: mõlemad aadressid, hind ja aeg. (Medtrail ühismüük 1)",
        buyer = cohort.buyer,
        data = data(dataset),
        from = estonian::time(dataset.period_s().start),
        to = estonian::time(dataset.period_s().end),
        codes = codes(dataset),
        form = form(dataset.form()),
        origin = origin(dataset),
        price = price(cohort.token, cohort.price),
        places = cohort.places,
        until = estonian::time(cohort.deliverBy),
        hours = cohort.grace.div_ceil(3600),
    )
}

fn data(dataset: &Dataset) -> String {
    let data: Vec<String> = dataset.scopes().iter().map(estonian::data).collect();
    data.join("; ")
}

fn codes(dataset: &Dataset) -> String {
    match dataset.codes() {
        [] => String::new(),
        codes => format!(" Ainult andmed, millel on üks neist koodidest: {}.", codes.join(", ")),
    }
}

fn price(token: Address, price: U256) -> String {
    if token.is_zero() {
        format!("{} ETH ({price} wei)", ether(price))
    } else {
        format!("{price} žetooni {token} väikseimat ühikut")
    }
}

fn origin(dataset: &Dataset) -> &'static str {
    match dataset.origin() {
        Origin::Signed => "ainult see, mille on allkirjastanud asutused",
        Origin::SignedAndUploaded => {
            "see, mille on allkirjastanud asutused, ja see, mille olen ise lisanud"
        }
    }
}

fn form(form: Form) -> String {
    let Form::DeIdentified(profile, _) = form else {
        return "muutmata, koos nimede ja kõige muuga, mis neis kirjas on".to_owned();
    };
    let dates = match profile {
        Profile::SafeHarbor => "kuupäevadest ainult aasta",
        Profile::ShiftedDates => "kõik kuupäevad on nihutatud ühe salajase päevade arvu võrra",
    };
    format!(
        "ilma nimede, kohtade, isiklike numbrite ja vabatekstita; {dates} ({name}). Kes minust \
         palju teab, võib mu siiski ära tunda",
        name = profile.word(),
    )
}

fn access(access_s: u64) -> String {
    if access_s == 0 {
        return String::new();
    }
    let (number, unit) = span(access_s);
    // The genitive that "jooksul" takes: the same for one and for many.
    let unit = ["päeva", "tunni", "minuti", "sekundi"][unit];
    format!(
        " Pärast müüki võib ostja {number} {unit} jooksul neid andmeid ka nende hoiukohas vaadata; \
         saan selle igal ajal lõpetada."
    )
}
