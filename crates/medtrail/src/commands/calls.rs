//! `medtrail calls`: what buyers call for from many, for anybody; and what sellers answer.

mod accept;
mod deletion;
mod money;

pub(super) use money::read_call;

use super::market::calls::{CallView, standing_words};
use super::market::views::{priced, read, seconds};
use super::market::{Acting, OnChain, Place, cohort_market_of};
use super::offers::what;
use super::organisations::time_text;
use super::sales::deletion::words;
use super::signing::{Asking, Signing, shown};
use crate::client::Client;
use crate::exit::{Failure, OK, Outcome};
use crate::render::table;
use alloy_primitives::{Address, B256};
use medtrail_chain::At;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

/// Looks at calls to many: one buyer pays many people the same price for one file of all their data.
/// Accepts a place, and takes that back.
///
/// To accept and to take it back cost nothing. You are paid by the contract once the log shows that
/// your data were delivered. To open a call: `medtrail call`.
///
/// Exits with 0, or with 1 where the service or the contract refused.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// What is called for now, newest first. Nobody need sign in
    List {
        /// The service
        #[arg(long, value_name = "URL", env = "MEDTRAIL_URL")]
        url: String,
        /// Only calls for this FHIR type: Observation
        #[arg(long = "type", value_name = "TYPE")]
        resource: Option<String>,
        #[command(flatten)]
        page: Page,
        /// Print JSON, as the service answers it
        #[arg(long)]
        json: bool,
    },
    /// The calls that you accepted, or that you opened
    Mine {
        /// Those of one side
        #[arg(long = "as", value_enum, default_value_t = Side::Seller)]
        side: Side,
        #[command(flatten)]
        page: Page,
        #[command(flatten)]
        asking: Asking,
    },
    /// One call, with the words that all its sellers sign
    Show {
        /// The call
        id: B256,
        /// A JSON-RPC endpoint of the chain, of your own choice: says whether the money is there
        #[arg(long, value_name = "URL")]
        rpc: Option<String>,
        #[command(flatten)]
        signing: Signing,
    },
    /// Accepts a place: shows who buys what for how much, and signs it
    Accept(accept::Args),
    /// Takes your acceptance back: your data get into no file that is made after this. Costs nothing;
    /// with --on-chain also a transaction, which nobody can withhold
    Withdraw(accept::WithdrawArgs),
    /// Ends an acceptance of yours on the chain, where no service is needed or heard. A transaction
    Revoke {
        /// The acceptance's id, as `accept` told it
        acceptance: B256,
        /// Who sells, if you act for another account; without it yourself
        #[arg(long, value_name = "ADDRESS")]
        seller: Option<Address>,
        #[command(flatten)]
        acting: Acting,
    },
    /// Asks the buyer to delete what was delivered of yours, and to sign that it is gone. Their silence
    /// is told too; nothing can make them
    AskDeletion {
        /// The call
        id: B256,
        #[command(flatten)]
        asking: Asking,
    },
    /// Says, signed, that you deleted a part of what you bought and every copy of it, where its seller
    /// asked
    Deleted {
        /// The call
        id: B256,
        /// Only this part: what its files begin with, after `person-`. Without it each that was asked
        /// for
        #[arg(long, value_name = "LABEL")]
        part: Option<String>,
        /// The folder that `medtrail call` wrote the file into: its manifest says whether the parts are
        /// those that the service names
        #[arg(long, value_name = "FOLDER")]
        into: Option<PathBuf>,
        /// Only show what you would sign
        #[arg(long)]
        show: bool,
        #[command(flatten)]
        signing: Signing,
    },
    /// Gives the buyer back what was paid for places that nobody was paid for, once it is too late for
    /// them. Anybody may; no service is needed. A transaction
    Close {
        /// The call
        #[arg(required_unless_present = "call")]
        id: Option<B256>,
        /// The call's file, as `medtrail call` wrote it, where the endpoint has no old events
        #[arg(long, value_name = "FILE", conflicts_with = "id")]
        call: Option<PathBuf>,
        #[command(flatten)]
        acting: Acting,
    },
    /// Takes out what the market of calls credited to you because it could not be sent. A transaction
    WithdrawMoney {
        #[command(flatten)]
        what: money::Credit,
        #[command(flatten)]
        acting: Acting,
    },
}

/// Which page of a long list.
#[derive(clap::Args)]
struct Page {
    /// The page after the one that ended with this (`next`)
    #[arg(long, value_name = "CURSOR")]
    before: Option<String>,
    /// How many at most
    #[arg(long, value_name = "NUMBER")]
    limit: Option<u16>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Side {
    Seller,
    Buyer,
}

impl Page {
    /// The list's path, with what is looked for in it.
    fn query(&self, named: [(&str, Option<&str>); 1]) -> Result<String, Failure> {
        let limit = self.limit.map(|limit| limit.to_string());
        let paging = [("before", self.before.as_deref()), ("limit", limit.as_deref())];
        let all = named.into_iter().chain(paging);
        let all = all.filter_map(|(name, value)| Some((name, value?)));
        let url = reqwest::Url::parse_with_params("http://service/v1/calls", all)
            .map_err(|error| Failure::new(error.to_string()))?;
        Ok(match url.query().filter(|query| !query.is_empty()) {
            Some(query) => format!("/v1/calls?{query}"),
            None => "/v1/calls".to_owned(),
        })
    }
}

pub(crate) async fn run(args: Args) -> Outcome {
    match args.command {
        Command::List { url, resource, page, json } => {
            let path = page.query([("type", resource.as_deref())])?;
            let told = Client::new(&url)?.document(&path).await?;
            if json {
                println!("{told:#}");
                return Ok(ExitCode::from(OK));
            }
            let rows: Vec<_> = calls(&told).map(listed).collect();
            match rows.is_empty() {
                true => println!("Nobody calls for anything that fits."),
                false => table(&["call", "price", "people", "what", "for", "until"], rows),
            }
            more(&told);
            Ok(ExitCode::from(OK))
        }
        Command::Mine { side, page, asking } => {
            let asker = asking.open().await?;
            let (side, head) = match side {
                Side::Seller => ("seller", ["call", "state", "price", "what", "place"]),
                Side::Buyer => ("buyer", ["call", "state", "price", "what", "accepted"]),
            };
            let told = asker.session.get(&page.query([("as", Some(side))])?).await?;
            asker.tell(&told, || {
                table(&head, calls(&told).map(|one| mine(one, side)).collect());
                more(&told);
            })
        }
        Command::Show { id, rpc, signing } => show(id, rpc, signing).await,
        Command::Accept(args) => accept::run(args).await,
        Command::Withdraw(args) => accept::withdraw(args).await,
        Command::Revoke { acceptance, seller, acting } => {
            accept::revoke(acceptance, seller, acting.open().await?).await
        }
        Command::AskDeletion { id, asking } => deletion::ask(id, asking).await,
        Command::Deleted { id, part, into, show, signing } => {
            deletion::deleted(id, part, into, show, signing).await
        }
        Command::Close { id, call, acting } => money::close(id, call, acting.open().await?).await,
        Command::WithdrawMoney { what, acting } => {
            money::withdraw(what, acting.open().await?).await
        }
    }
}

fn calls(told: &Value) -> impl Iterator<Item = &Value> {
    told["calls"].as_array().into_iter().flatten()
}

fn more(told: &Value) {
    if let Some(next) = told["next"].as_str() {
        println!("More: --before {}", crate::render::harmless(next));
    }
}

fn listed(one: &Value) -> Vec<String> {
    let people = one["places"].as_u64().map_or_else(String::new, |n| format!("up to {n}"));
    let until = seconds(&one["deliverByS"]);
    vec![shown(one, "id"), priced(one), people, what(one), shown(one, "purpose"), until]
}

fn mine(one: &Value, side: &str) -> Vec<String> {
    let own = one["own"].as_array().into_iter().flatten().next_back();
    let (state, last) = match (side, own) {
        ("seller", Some(own)) => (shown(own, "state"), number(&own["place"])),
        ("buyer", _) => {
            let delivery = shown(&one["delivery"], "state");
            let state = if delivery.is_empty() { shown(one, "state") } else { delivery };
            (state, number(&one["accepted"]))
        }
        _ => (shown(one, "state"), String::new()),
    };
    vec![shown(one, "id"), state, priced(&one["cohort"]), what(one), last]
}

fn number(value: &Value) -> String {
    value.as_u64().map_or_else(String::new, |number| number.to_string())
}

async fn show(id: B256, rpc: Option<String>, signing: Signing) -> Outcome {
    let signed = signing.open().await?;
    let answer = signed.session.get(&format!("/v1/calls/{id}")).await?;
    let view: CallView = read(answer.clone())?;
    let market = cohort_market_of(&signed.trust);
    view.described(&market, id)?;
    let money = match rpc {
        Some(rpc) => {
            let place = Place::open(Some(&signed.trust), &OnChain::to_read(rpc)).await?;
            let address = place.cohort_market().await?.cohort_market;
            let standing = place.chain.cohort_standing(address, id, At::Latest).await?;
            format!("{}; places paid: {}", standing_words(&standing), standing.paid)
        }
        None => "nobody asked the chain (--rpc URL asks it)".to_owned(),
    };
    let mut told = answer.clone();
    told["onChain"] = json!(money);
    signed.tell(&told, |told| {
        let own: Vec<String> = (view.own.iter())
            .map(|own| {
                let state = crate::render::harmless(&own.state);
                format!("\nYours: place {}, {state} (acceptance {})", own.place, own.id)
            })
            .chain(own_deletions(told))
            .chain([deletion::asked(&view.withdrawals)])
            .collect();
        let accepted = view.accepted.map_or_else(String::new, |n| format!(" Accepted: {n}."));
        format!(
            "{}\n\nState: {}. Listed {}.{accepted}\nMoney: {money}.{}",
            view.cohort.terms.statement,
            crate::render::harmless(&view.state),
            time_text(&told["heardMs"]),
            own.concat()
        )
    })
}

/// How it stands with what the caller wanted deleted.
fn own_deletions(told: &Value) -> impl Iterator<Item = String> {
    let own = told["own"].as_array().into_iter().flatten();
    own.filter_map(|own| Some(format!("\nDeletion: {}", words(&own["withdrawal"])?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_looked_for_is_a_query_and_nothing_else() {
        let none = Page { before: None, limit: None };
        assert_eq!(none.query([("type", None)]).unwrap_or_default(), "/v1/calls");
        let some = Page { before: Some("a&limit=1".to_owned()), limit: Some(5) };
        let query = some.query([("as", Some("seller"))]).unwrap_or_default();
        assert_eq!(query, "/v1/calls?as=seller&before=a%26limit%3D1&limit=5");
    }

    #[test]
    fn a_row_tells_what_the_description_says_and_never_fails() {
        let one = json!({
            "id": "0x12", "price": "50000000000000000", "token": Address::ZERO, "places": 40,
            "purpose": "HRESCH", "deliverByS": 1_795_404_245, "dataset": "{}",
        });
        let row = listed(&one);
        assert_eq!(row[1..3], ["0.05 ETH", "up to 40"]);
        assert_eq!(row[5], "2026-11-23 03:24 UTC");
        let odd = json!({ "id": "\u{1b}[2J", "own": "none", "delivery": 5 });
        for row in [listed(&odd), mine(&odd, "seller"), mine(&odd, "buyer")] {
            assert!(!row[0].contains('\u{1b}'));
        }
        let own = json!({ "own": [{ "state": "withdrawn" }, { "state": "paid", "place": 3 }] });
        let row = mine(&own, "seller");
        assert_eq!((row[1].as_str(), row[4].as_str()), ("paid", "3"));
    }
}
