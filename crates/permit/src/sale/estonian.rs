//! The Estonian template of an offer.

use super::Offer;
use super::words::ether;
use crate::dataset::{Dataset, Form, Origin, Profile};
use crate::statements::{estonian, span};

pub(super) fn offer(offer: &Offer, dataset: &Dataset, purpose: &str) -> String {
    let data: Vec<String> = dataset.scopes().iter().map(estonian::data).collect();
    let period = dataset.period_s();
    let codes = match dataset.codes() {
        [] => String::new(),
        codes => format!(" Ainult andmed, millel on üks neist koodidest: {}.", codes.join(", ")),
    };
    let price = if offer.token.is_zero() {
        format!("{} ETH ({} wei)", ether(offer.price), offer.price)
    } else {
        format!("{} žetooni {} väikseimat ühikut", offer.price, offer.token)
    };
    format!(
        "Pakun müügiks koopiat isiku {seller} terviseandmetest, mis hõlmab järgmist: {data}, \
         ajavahemikust {from} kuni {to}.{codes} Kuju: {form}. Päritolu: {origin}. Lubatud eesmärk: \
         {purpose}. Ühe koopia hind: {price}, mille saab {seller}. Iga müük vajab eraldi \
         heakskiitu, milles nimetan ostja; ostjad saavad maksta kuni {until}.{access} Müüdud \
         koopiat ei saa tagasi võtta. Müük jääb igaveseks avalikuks: mõlemad aadressid, hind ja \
         aeg. (Medtrail müük 1)",
        seller = offer.seller,
        data = data.join("; "),
        from = estonian::time(period.start),
        to = estonian::time(period.end),
        form = form(dataset.form()),
        origin = match dataset.origin() {
            Origin::Signed => "ainult see, mille on allkirjastanud asutused",
            Origin::SignedAndUploaded => {
                "see, mille on allkirjastanud asutused, ja see, mille olen ise lisanud"
            }
        },
        until = estonian::time(offer.expiresAt),
        access = access(offer.accessS),
    )
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
