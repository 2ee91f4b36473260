//! Act 5: Mari sells 90 days of glucose to Boreal Therapeutics. By the commands of `medtrail`, each
//! side with its own key, on the demo's chain.

use super::live::Live;
use super::tell::Teller;
use super::trail::{self, Names};
use crate::commands::PassphraseArgs;
use crate::commands::buy::{Buyer, Purchase, Wanted};
use crate::commands::keys::new_buyer;
use crate::commands::market::{OnChain, Place, market_of};
use crate::commands::offer;
use crate::commands::sales::answer::Asked;
use crate::commands::signing::{Signed, in_days, salt};
use crate::exit::Failure;
use crate::session::Session;
use alloy_primitives::{B256, U256};
use medtrail_market::manifest::Manifest;
use medtrail_permit::dataset::{Dataset, Form, Origin};
use medtrail_permit::sale::{Offer, Terms, check, words};
use medtrail_permit::statements::Language;
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};

const GLUCOSE: &str = "http://loinc.org|105272-9";
/// 0.05 ETH.
const PRICE_WEI: u64 = 50_000_000_000_000_000;
const OFFERED_DAYS: u64 = 30;
/// Of the readings: some more than the story tells of.
const PERIOD_DAYS: u64 = 120;
/// In what time Boreal wants it, and for how long Mari may be paid after that.
const WITHIN_S: u64 = 600;
/// How often Mari looks whether somebody bought.
const LOOK: Duration = Duration::from_millis(500);
/// In what time the line of her money follows it.
const LINE_WITHIN: Duration = Duration::from_secs(120);
/// Lines that are told at the end: paid, downloaded, settled.
const NEWEST: usize = 3;

/// Plays it in the terminal, both sides.
pub(crate) async fn play(folder: &Path, live: &Live, teller: Teller) -> Result<(), Failure> {
    let (accounts, trust) = (&live.accounts, &live.trust);
    let signed = async |name: &str| -> Result<Signed, Failure> {
        let session = Session::open(&live.url, accounts.key_of(name)?).await?;
        Ok(Signed::of(session, (**trust).clone()))
    };
    let mari = signed("Mari Tamm").await?;
    let place = async || Place::open(Some(&**trust), &OnChain::to_read(live.rpc.clone())).await;
    let chain = place().await?;
    let held = async || chain.rpc.balance_of(mari.session.address()).await;
    let before = held().await?;
    teller.act_five();

    let (offer, dataset) = glucose(&mari)?;
    offer::list(&mari, &offer, &dataset, "EE").await?;
    teller.offered();

    let identity = folder.join("boreal-key.txt");
    let recipient = new_buyer(&identity, None)?.recipient();
    let bought = folder.join("purchase");
    let mut boreal = Buyer {
        purchase: Purchase::at(bought.clone()),
        identity: Some(identity),
        passphrase: PassphraseArgs::default(),
        trust: folder.join("trust.json"),
        rpc: live.rpc.clone(),
        offer: offer.id(&market_of(trust)),
        signed: signed("Boreal Therapeutics").await?,
        place: place().await?,
    };
    let wanted = Wanted { recipient, deliver_within: WITHIN_S, grace: WITHIN_S };
    let order = boreal.order(&wanted, false).await?;
    let order = order.ok_or_else(|| Failure::new("Boreal made no order"))?;
    let id = order.id(&market_of(trust));
    tokio::try_join!(boreal.follow(&order, true), approve(&mari, id, &chain, teller))?;

    teller.opened(&Readings::of(&bought.join("data"))?);
    let names = Names::read(&mari.session).await?;
    let subject = mari.session.address().into_word();
    // The money came with a block, the line comes when that block is final.
    let is_told = async || trail::find(&mari.session, &names, "The money for a sale").await;
    let until = Instant::now() + LINE_WITHIN;
    while let Err(missing) = is_told().await {
        if Instant::now() > until {
            return Err(missing);
        }
        tokio::time::sleep(LOOK).await;
    }
    teller.newest(&trail::rows(&mari.session, &names, subject).await?, NEWEST);
    teller.paid(U256::from(before), U256::from(held().await?));
    Ok(())
}

/// What she offers: as it is, for she kept it herself and wants to be paid for the whole curve.
fn glucose(mari: &Signed) -> Result<(Offer, Dataset), Failure> {
    let day = crate::clock::now_ms() / 86_400_000 * 86_400;
    let (from, to) = (day - PERIOD_DAYS * 86_400, day + 86_400);
    let scopes = "patient/Observation.rs";
    let codes = vec![GLUCOSE.to_owned()];
    let origin = Origin::SignedAndUploaded;
    let dataset = Dataset::new(scopes, codes, from, to, Form::AsItIs, origin)?;
    let offer = Offer {
        seller: mari.session.address(),
        log: mari.trust.log,
        price: U256::from(PRICE_WEI),
        expiresAt: in_days(OFFERED_DAYS),
        terms: Terms {
            purpose: "HRESCH".to_owned(),
            dataset: dataset.id(),
            salt: salt()?,
            ..Terms::default()
        },
        ..Offer::default()
    };
    let offer = words::worded(offer, &dataset, Language::En);
    let offer = offer.ok_or_else(|| Failure::new("the offer has no words"))?;
    check::offer(&offer, &dataset)?;
    Ok((offer, dataset))
}

/// Mari waits until somebody paid, reads who it is and what for, and signs.
async fn approve(mari: &Signed, id: B256, place: &Place, teller: Teller) -> Result<(), Failure> {
    let path = format!("/v1/sales/{id}");
    while mari.session.find(&path).await?.is_none_or(|sale| sale["state"] != "waiting") {
        tokio::time::sleep(LOOK).await;
    }
    let asked = Asked::read(mari, id, Some(place)).await?;
    teller.asked(&asked.words());
    asked.approve(mari).await?;
    teller.approved();
    Ok(())
}

/// The readings in an opened delivery.
pub(crate) struct Readings {
    pub(crate) count: usize,
    /// The mean of each day, in mmol/L.
    days: Vec<f64>,
}

impl Readings {
    fn of(folder: &Path) -> Result<Self, Failure> {
        let manifest = Manifest::parse(&std::fs::read(folder.join("manifest.json"))?)?;
        let mut values = Vec::new();
        for file in &manifest.files {
            let told: Value = serde_json::from_slice(&std::fs::read(folder.join(&file.path))?)?;
            let data = told["valueSampledData"]["data"].as_str().unwrap_or_default();
            values.extend(data.split_ascii_whitespace().filter_map(|one| one.parse::<f64>().ok()));
        }
        match values.is_empty() {
            true => Err(Failure::new("the delivery holds no readings")),
            false => Ok(Self::from(&values)),
        }
    }

    fn from(values: &[f64]) -> Self {
        let mean = |day: &[f64]| day.iter().sum::<f64>() / day.len() as f64;
        Self { count: values.len(), days: values.chunks(24 * 12).map(mean).collect() }
    }

    /// A column a day, and what the lowest and the highest of them mean.
    pub(crate) fn curve(&self) -> String {
        const STEPS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
        let low = self.days.iter().copied().fold(f64::INFINITY, f64::min);
        let high = self.days.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let step = |mean: &f64| {
            let part = (mean - low) / (high - low).max(f64::EPSILON);
            STEPS[((part * STEPS.len() as f64) as usize).min(STEPS.len() - 1)]
        };
        let columns: String = self.days.iter().map(step).collect();
        format!("{columns}  days between {low:.1} and {high:.1} mmol/L")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_has_a_column_for_each_day_from_the_lowest_to_the_highest() {
        let day = |value: f64| vec![value; 24 * 12];
        let values = [day(5.0), day(6.0), day(7.0)].concat();
        let readings = Readings::from(&values);
        assert_eq!(readings.count, 864);
        assert_eq!(readings.curve(), "▁▅█  days between 5.0 and 7.0 mmol/L");
        assert_eq!(Readings::from(&day(5.0)).curve(), "▁  days between 5.0 and 5.0 mmol/L");
    }
}
