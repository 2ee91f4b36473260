//! `medtrail offer`: somebody offers data of theirs for sale. The offer sells nothing by itself: each
//! sale takes an approval of its own.

use super::market::data::Data;
use super::market::{OnChain, Place, amounts, market_of, require_same_market};
use super::signing::{Signed, Signing, Words, salt, shown};
use crate::exit::{Failure, OK, Outcome};
use alloy_primitives::Address;
use clap::ArgGroup;
use medtrail_chain::At;
use medtrail_permit::dataset::{Dataset, Form};
use medtrail_permit::sale::{Offer, Terms, check, words};
use medtrail_permit::statements::Language;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Offers data of yours for sale: says what you sign, signs it with your key, and lists it.
///
/// An offer lets buyers pay. Nothing is delivered before you approve that one purchase (`medtrail
/// sales approve`), and you can take it out of the catalogue (`medtrail offers withdraw`) or end it
/// on the chain (`medtrail offers cancel`) at any time.
///
/// Exits with 0, or with 1 where nothing was listed.
#[derive(clap::Args)]
#[command(group(ArgGroup::new("what").required(true).args(["dataset", "scopes"])))]
pub(crate) struct Args {
    #[command(flatten)]
    data: Data,
    /// What for, one code of v3-PurposeOfUse: HRESCH is healthcare research
    #[arg(long, value_name = "CODE")]
    purpose: String,
    /// The price of each copy, in ether (0.05); with --token in its smallest units
    #[arg(long, value_name = "AMOUNT")]
    price: String,
    /// The ERC-20 token that is paid in; without it the chain's own coin
    #[arg(long, value_name = "ADDRESS", default_value_t = Address::ZERO, hide_default_value = true)]
    token: Address,
    /// Until when buyers can pay: a day, a moment, or a span from now (30d)
    #[arg(long, value_name = "WHEN", value_parser = amounts::until)]
    until: u64,
    /// For how long a buyer may also look at the data where they are kept (30d); without it not at all
    #[arg(long, value_name = "SPAN", value_parser = amounts::span)]
    access: Option<u64>,
    /// The country whose rules hold for you, as two letters
    #[arg(long, value_name = "CODE", value_parser = country)]
    country: String,
    /// Who sells, if you act for another account; without it yourself
    #[arg(long, value_name = "ADDRESS")]
    seller: Option<Address>,
    /// The language of what you sign
    #[arg(long, value_enum, default_value_t = Words::En)]
    language: Words,
    /// Only show what you would sign
    #[arg(long)]
    show: bool,
    /// A JSON-RPC endpoint of the chain: needed if you ever ended all your offers there
    #[arg(long, value_name = "URL")]
    rpc: Option<String>,
    #[command(flatten)]
    signing: Signing,
}

pub(super) fn country(text: &str) -> Result<String, String> {
    match text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase()) {
        true => Ok(text.to_owned()),
        false => Err("a country is two letters of ISO 3166-1, as EE".to_owned()),
    }
}

pub(crate) async fn run(args: Args) -> Outcome {
    // Told before anybody is asked for a passphrase.
    let named = args.data.read()?;
    let dataset = named.ok_or_else(|| Failure::new("name the data: --dataset, or --scopes"))?;
    if args.access.is_some_and(|access_s| access_s > 0) && dataset.form() != Form::AsItIs {
        return Err(Failure::new(
            "--access goes with --form as-it-is only: a look would show the originals, which the \
             other forms hide",
        ));
    }
    let price = amounts::price(&args.price, args.token).map_err(Failure::new)?;
    let (country, show, rpc) = (args.country, args.show, args.rpc);
    let language = match args.language {
        Words::En => Language::En,
        Words::Et => Language::Et,
    };
    let signed = args.signing.open().await?;
    let seller = args.seller.unwrap_or_else(|| signed.session.address());
    let offer = Offer {
        seller,
        log: signed.trust.log,
        token: args.token,
        price,
        accessS: args.access.unwrap_or(0),
        expiresAt: args.until,
        epoch: epoch(&signed, seller, rpc).await?,
        terms: Terms {
            statement: String::new(),
            purpose: args.purpose,
            dataset: dataset.id(),
            salt: salt()?,
        },
    };
    let unknown = || Failure::new("--purpose is no code of v3-PurposeOfUse: HRESCH is research");
    let offer = words::worded(offer, &dataset, language).ok_or_else(unknown)?;
    check::offer(&offer, &dataset)?;
    let text = String::from_utf8(dataset.bytes())?;
    if show {
        match signed.json {
            true => println!("{:#}", json!({ "offer": offer, "dataset": text, "signed": false })),
            false => println!(
                "You would sign:\n\n{}\n\nNothing was signed: leave out --show.",
                offer.terms.statement
            ),
        }
        return Ok(ExitCode::from(OK));
    }
    require_same_market(&signed).await?;
    signed.say(&format!("{}\n", offer.terms.statement));
    let answer = list(&signed, &offer, &dataset, &country).await?;
    signed.tell(&answer, |told| {
        format!(
            "Offer {} is in the catalogue. Buyers can pay; nothing is delivered before you approve \
             a purchase (medtrail sales).",
            shown(told, "id")
        )
    })
}

/// Signs an offer that was checked, and lists it; the service's answer.
pub(crate) async fn list(
    signed: &Signed,
    offer: &Offer,
    dataset: &Dataset,
    country: &str,
) -> Result<Value, Failure> {
    let body = json!({
        "offer": offer,
        "dataset": String::from_utf8(dataset.bytes())?,
        "signature": signed.session.key().sign_document(offer, &market_of(&signed.trust).domain()),
        "country": country,
    });
    signed.session.post("/v1/offers", &body).await
}

/// The seller's epoch at the market. Without an endpoint that of somebody who never ended all their
/// offers: an offer of an older epoch cannot even be paid, and the service refuses it.
async fn epoch(signed: &Signed, seller: Address, rpc: Option<String>) -> Result<u64, Failure> {
    let Some(rpc) = rpc else { return Ok(0) };
    let place = Place::open(Some(&signed.trust), &OnChain::to_read(rpc)).await?;
    Ok(place.chain.selling_epoch(place.market.data_market, seller, At::Latest).await?)
}
