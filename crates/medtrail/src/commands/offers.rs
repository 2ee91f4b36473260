//! `medtrail offers`: the catalogue, for anybody; and what sellers do with their own offers.

use super::market::views::{OfferView, priced, read, seconds};
use super::market::{Acting, market_of};
use super::organisations::time_text;
use super::signing::{Asking, Signing, shown};
use crate::client::Client;
use crate::exit::{Failure, OK, Outcome};
use crate::render::table;
use alloy_primitives::{Address, B256};
use medtrail_chain::market::MarketCall;
use medtrail_permit::dataset::{Dataset, Form};
use medtrail_permit::sale::check;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Looks at what is offered, and ends what you offered yourself.
///
/// Exits with 0, or with 1 where the service or the contract refused.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// The catalogue, newest first. It names no seller; nobody need sign in
    List {
        /// The service
        #[arg(long, value_name = "URL", env = "MEDTRAIL_URL")]
        url: String,
        #[command(flatten)]
        facets: Facets,
        /// Print JSON, as the service answers it
        #[arg(long)]
        json: bool,
    },
    /// Your own offers
    Mine {
        #[command(flatten)]
        asking: Asking,
    },
    /// One offer, with the words that its seller signed
    Show {
        /// The offer
        id: B256,
        #[command(flatten)]
        signing: Signing,
    },
    /// Takes an offer of yours out of the catalogue: what is paid later is not delivered. Costs nothing
    Withdraw {
        /// The offer
        id: B256,
        #[command(flatten)]
        asking: Asking,
    },
    /// Ends an offer of yours on the chain: nobody can pay any more. A transaction
    Cancel {
        /// The offer
        id: B256,
        /// Who sells, if you act for another account; without it yourself
        #[arg(long, value_name = "ADDRESS")]
        seller: Option<Address>,
        #[command(flatten)]
        acting: Acting,
    },
    /// Ends all offers of yours on the chain. A transaction
    CancelAll {
        /// Who sells, if you act for another account; without it yourself
        #[arg(long, value_name = "ADDRESS")]
        seller: Option<Address>,
        #[command(flatten)]
        acting: Acting,
    },
}

/// What is looked for.
#[derive(clap::Args)]
struct Facets {
    /// A FHIR type: Observation
    #[arg(long = "type", value_name = "TYPE")]
    resource: Option<String>,
    /// A code, as system|code
    #[arg(long, value_name = "CODE")]
    code: Option<String>,
    /// Whose word: signed, signed-and-uploaded
    #[arg(long, value_name = "WORD")]
    origin: Option<String>,
    /// In what form: as-it-is, hipaa-safe-harbor-v1, shifted-dates-v1
    #[arg(long, value_name = "WORD")]
    form: Option<String>,
    /// What for, one code of v3-PurposeOfUse
    #[arg(long, value_name = "CODE")]
    purpose: Option<String>,
    /// The page after the one that ended with this (`next`)
    #[arg(long, value_name = "CURSOR")]
    before: Option<String>,
    /// How many at most
    #[arg(long, value_name = "NUMBER")]
    limit: Option<u16>,
}

impl Facets {
    fn query(&self) -> Result<String, Failure> {
        let limit = self.limit.map(|limit| limit.to_string());
        let named = [
            ("type", &self.resource),
            ("code", &self.code),
            ("origin", &self.origin),
            ("form", &self.form),
            ("purpose", &self.purpose),
            ("before", &self.before),
            ("limit", &limit),
        ];
        let named = named.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
        let url = reqwest::Url::parse_with_params("http://service/v1/offers", named)
            .map_err(|error| Failure::new(error.to_string()))?;
        Ok(match url.query().filter(|query| !query.is_empty()) {
            Some(query) => format!("/v1/offers?{query}"),
            None => "/v1/offers".to_owned(),
        })
    }
}

pub(crate) async fn run(args: Args) -> Outcome {
    match args.command {
        Command::List { url, facets, json } => list(&url, &facets, json).await,
        Command::Mine { asking } => {
            let asker = asking.open().await?;
            let told = asker.session.get("/v1/offers?as=seller").await?;
            asker.tell(&told, || {
                let rows = offers(&told).map(mine).collect();
                table(&["offer", "state", "price", "what", "until"], rows);
            })
        }
        Command::Show { id, signing } => show(id, signing).await,
        Command::Withdraw { id, asking } => {
            let asker = asking.open().await?;
            let path = format!("/v1/offers/{id}/withdrawal");
            let told = asker.session.post(&path, &json!({})).await?;
            asker.tell(&told, || {
                println!(
                    "The offer is {}: what is paid later is not delivered.",
                    shown(&told, "state")
                );
            })
        }
        Command::Cancel { id, seller, acting } => {
            let actor = acting.open().await?;
            let seller = seller.unwrap_or_else(|| actor.key.address());
            let call = MarketCall::CancelOffer { seller, offer: id };
            actor.act(&call, "Cancelled: nobody can pay for this offer any more.").await
        }
        Command::CancelAll { seller, acting } => {
            let actor = acting.open().await?;
            let seller = seller.unwrap_or_else(|| actor.key.address());
            let call = MarketCall::CancelAll { seller };
            actor.act(&call, "All your offers are cancelled: nobody can pay any more.").await
        }
    }
}

async fn list(url: &str, facets: &Facets, is_json: bool) -> Outcome {
    let told = Client::new(url)?.document(&facets.query()?).await?;
    if is_json {
        println!("{told:#}");
        return Ok(ExitCode::from(OK));
    }
    let rows: Vec<_> = offers(&told).map(listed).collect();
    if rows.is_empty() {
        println!("Nothing is offered that fits.");
        return Ok(ExitCode::from(OK));
    }
    table(&["offer", "price", "what", "for", "records", "until"], rows);
    if let Some(next) = told["next"].as_str() {
        println!("More: --before {}", crate::render::harmless(next));
    }
    Ok(ExitCode::from(OK))
}

fn offers(told: &Value) -> impl Iterator<Item = &Value> {
    told["offers"].as_array().into_iter().flatten()
}

fn listed(one: &Value) -> Vec<String> {
    let records =
        one["recordsAtLeast"].as_u64().map_or_else(String::new, |n| format!("{n} or more"));
    let until = seconds(&one["expiresAtS"]);
    vec![shown(one, "id"), priced(one), what(one), shown(one, "purpose"), records, until]
}

fn mine(one: &Value) -> Vec<String> {
    let until = seconds(&one["offer"]["expiresAt"]);
    vec![shown(one, "id"), shown(one, "state"), priced(&one["offer"]), what(one), until]
}

/// Which data, from their own description and not from what the service says of it.
pub(super) fn what(one: &Value) -> String {
    let dataset = one["dataset"].as_str().map(|text| Dataset::parse(text.as_bytes()));
    let Some(Ok(dataset)) = dataset else {
        return "a description that cannot be read".to_owned();
    };
    let scopes: Vec<String> = dataset.scopes().iter().map(ToString::to_string).collect();
    let form = match dataset.form() {
        Form::AsItIs => "as they are",
        Form::DeIdentified(profile, _) => profile.word(),
    };
    let mut parts = vec![scopes.join(" ")];
    parts.extend((!dataset.codes().is_empty()).then(|| dataset.codes().join(" ")));
    parts.push(form.to_owned());
    parts.join(", ")
}

async fn show(id: B256, signing: Signing) -> Outcome {
    let signed = signing.open().await?;
    let answer = signed.session.get(&format!("/v1/offers/{id}")).await?;
    let view: OfferView = read(answer.clone())?;
    check::offer(&view.offer, &view.described(&market_of(&signed.trust), id)?)?;
    signed.tell(&answer, |told| {
        format!(
            "{}\n\nState: {}. Listed {}.",
            view.offer.terms.statement,
            shown(told, "state"),
            time_text(&told["listedMs"])
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_looked_for_is_a_query_and_nothing_else() {
        let none = Facets {
            resource: None,
            code: None,
            origin: None,
            form: None,
            purpose: None,
            before: None,
            limit: None,
        };
        assert_eq!(none.query().unwrap_or_default(), "/v1/offers");
        let some = Facets {
            resource: Some("Observation".to_owned()),
            code: Some("http://loinc.org|15074-8&limit=1".to_owned()),
            limit: Some(5),
            ..none
        };
        let query = some.query().unwrap_or_default();
        assert_eq!(
            query,
            "/v1/offers?type=Observation&code=http%3A%2F%2Floinc.org%7C15074-8%26limit%3D1&limit=5"
        );
    }

    #[test]
    fn a_row_tells_what_the_description_says_and_never_fails() {
        let dataset = r#"{"version":"medtrail/dataset-v1","scopes":"patient/Observation.rs","codes":["http://loinc.org|15074-8"],"fromS":1756512000,"toS":1764288000,"form":"de-identified","profile":"hipaa-safe-harbor-v1","layout":"ndjson","origin":"signed"}"#;
        let one = json!({
            "id": "0x12", "price": "50000000000000000", "token": Address::ZERO, "purpose": "HRESCH",
            "types": ["Patient"], "dataset": dataset, "recordsAtLeast": 50,
            "expiresAtS": 1_795_404_245,
        });
        assert_eq!(
            listed(&one),
            [
                "0x12",
                "0.05 ETH",
                "patient/Observation.rs, http://loinc.org|15074-8, hipaa-safe-harbor-v1",
                "HRESCH",
                "50 or more",
                "2026-11-23 03:24 UTC"
            ]
        );
        let odd = listed(&json!({ "id": "\u{1b}[2J", "dataset": "{}", "price": 5 }));
        assert_eq!(odd[1..3], ["?", "a description that cannot be read"]);
        assert!(!odd[0].contains('\u{1b}'));
    }
}
