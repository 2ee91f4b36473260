//! `medtrail sales`: what a seller answers to a purchase, and what both sides do with their money.

pub(crate) mod answer;
pub(super) mod deletion;
mod look;

use super::delivery::input::read_order;
use super::market::views::{SaleView, priced, read, refusal_words, seconds};
use super::market::{Acting, Actor, OnChain, amounts, enter, market_of};
use super::signing::{Asker, Asking, Signed, Signing, shown};
use crate::exit::{Failure, Outcome};
use crate::render::table;
use crate::trade::bare_order;
use alloy_primitives::{Address, B256, U256};
use medtrail_chain::At;
use medtrail_chain::market::{MarketCall, Status};
use medtrail_permit::dataset::Dataset;
use medtrail_permit::sale::Order;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Shows what you bought and sold; approves or declines a purchase of your data; takes money back or
/// out.
///
/// Nothing of yours is delivered before you approve that one purchase. To approve and to decline cost
/// nothing; with --on-chain they are transactions of yours, which nobody can withhold.
///
/// Exits with 0, or with 1 where the service or the contract refused.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Lists your sales and purchases
    List {
        /// Only those of one side
        #[arg(long = "as", value_enum)]
        side: Option<Side>,
        #[command(flatten)]
        asking: Asking,
    },
    /// One sale
    Show {
        /// The order
        id: B256,
        #[command(flatten)]
        asking: Asking,
    },
    /// Approves one purchase: shows who buys what for how much, and signs it
    Approve {
        /// The order
        id: B256,
        /// Only show what you would sign
        #[arg(long)]
        show: bool,
        #[command(flatten)]
        how: answer::How,
        #[command(flatten)]
        signing: Signing,
    },
    /// Declines a purchase: it is never delivered. On the chain the money goes back at once
    Decline {
        /// The order
        id: B256,
        #[command(flatten)]
        how: answer::How,
        #[command(flatten)]
        signing: Signing,
    },
    /// Looks at what you bought where it is kept, for as long as the sale gives that: lists the records,
    /// or reads one. Each look is a line that the seller sees
    Look {
        /// The order
        id: B256,
        #[command(flatten)]
        what: look::What,
        #[command(flatten)]
        asking: Asking,
    },
    /// Asks the buyer to delete what was delivered, and to sign that it is gone. Their silence is told
    /// too; nothing can make them
    AskDeletion {
        /// The order
        id: B256,
        #[command(flatten)]
        asking: Asking,
    },
    /// Says, signed, that you deleted what you bought and every copy of it, where its seller asked
    Deleted {
        /// The order
        id: B256,
        /// Only show what you would sign
        #[arg(long)]
        show: bool,
        #[command(flatten)]
        signing: Signing,
    },
    /// Ends a buyer's access to data where they are kept. A transaction; the sold copy stays theirs
    Revoke {
        /// The order
        id: B256,
        #[command(flatten)]
        on: OnChain,
        #[command(flatten)]
        signing: Signing,
    },
    /// Takes the money of a purchase back, once it cannot be settled any more. A transaction
    Refund {
        /// The order's file, as `medtrail buy` wrote it
        #[arg(long, value_name = "FILE")]
        order: PathBuf,
        #[command(flatten)]
        acting: Acting,
    },
    /// Takes out what the market credited to you because it could not be sent. A transaction
    WithdrawMoney {
        /// The token; without it the chain's own coin
        #[arg(long, value_name = "ADDRESS", default_value_t = Address::ZERO, hide_default_value = true)]
        token: Address,
        /// Whose credit, if you act for another account; without it yours
        #[arg(long, value_name = "ADDRESS")]
        account: Option<Address>,
        /// Where it goes; without it to yourself
        #[arg(long, value_name = "ADDRESS")]
        to: Option<Address>,
        #[command(flatten)]
        acting: Acting,
    },
    /// Ends all selling: lists no offer of yours, and delivers nothing that was not yet
    OptOut {
        #[command(flatten)]
        asking: Asking,
    },
    /// Takes `opt-out` back
    OptIn {
        #[command(flatten)]
        asking: Asking,
    },
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Side {
    Seller,
    Buyer,
}

pub(crate) async fn run(args: Args) -> Outcome {
    match args.command {
        Command::List { side, asking } => {
            let asker = asking.open().await?;
            let query = match side {
                Some(Side::Seller) => "?as=seller",
                Some(Side::Buyer) => "?as=buyer",
                None => "",
            };
            let told = asker.session.get(&format!("/v1/sales{query}")).await?;
            asker.tell(&told, || {
                let rows = told["sales"].as_array().into_iter().flatten().map(row).collect();
                table(&HEAD, rows);
            })
        }
        Command::Show { id, asking } => {
            let asker = asking.open().await?;
            let told = asker.session.get(&format!("/v1/sales/{id}")).await?;
            asker.tell(&told, || show(&told))
        }
        Command::Approve { id, show, how, signing } => {
            answer::approve(id, show, how, signing).await
        }
        Command::Decline { id, how, signing } => answer::decline(id, how, signing).await,
        Command::Look { id, what, asking } => look::run(id, what, asking).await,
        Command::AskDeletion { id, asking } => deletion::ask(id, asking).await,
        Command::Deleted { id, show, signing } => deletion::deleted(id, show, signing).await,
        Command::Revoke { id, on, signing } => {
            let (signed, place) = enter(signing, &on).await?;
            let (sale, _) = sale(&signed, id).await?;
            let call = MarketCall::Revoke(bare_order(&sale.order));
            let tx = place.act(signed.session.key(), &call, U256::ZERO).await?;
            let words = "The buyer's access is ended. The copy that was sold stays theirs.";
            signed.tell(&json!({ "tx": tx }), |_| words.to_owned())
        }
        Command::Refund { order, acting } => {
            let order = read_order(&order)?;
            let actor = acting.open().await?;
            require_paid(&actor, &order).await?;
            let words = format!(
                "{} went back to {}, or are credited to it (medtrail sales withdraw-money).",
                amounts::told(order.offer.price, order.offer.token),
                order.buyer
            );
            actor.act(&MarketCall::Refund(bare_order(&order)), &words).await
        }
        Command::WithdrawMoney { token, account, to, acting } => {
            let actor = acting.open().await?;
            let own = actor.key.address();
            let (account, to) = (account.unwrap_or(own), to.unwrap_or(own));
            let (chain, market) = (&actor.place.chain, actor.place.market.data_market);
            let credit = chain.market_credit(market, account, token, At::Latest).await?;
            if credit.is_zero() {
                return Err(Failure::new(format!("nothing is credited to {account}")));
            }
            let words = format!("{} went to {to}.", amounts::told(credit, token));
            actor.act(&MarketCall::Withdraw { account, token, to }, &words).await
        }
        Command::OptOut { asking } => opt(asking.open().await?, true).await,
        Command::OptIn { asking } => opt(asking.open().await?, false).await,
    }
}

async fn opt(asker: Asker, is_out: bool) -> Outcome {
    let body = json!({ "isOut": is_out });
    let told = asker.session.put("/v1/market/opt-out", &body).await?;
    asker.tell(&told, || match told["isOut"].as_bool() {
        Some(true) => println!("You sell nothing: no offer is listed, nothing more is delivered."),
        _ => println!("You may sell again. Offers that were taken out are to be made anew."),
    })
}

const HEAD: [&str; 5] = ["order", "you are", "state", "price", "paid"];

fn row(one: &Value) -> Vec<String> {
    let state = match one["refusal"].as_str() {
        Some(word) => format!("{}: {}", shown(one, "state"), refusal_words(word)),
        None => shown(one, "state"),
    };
    let price = priced(&one["order"]["offer"]);
    vec![shown(one, "id"), shown(one, "role"), state, price, seconds(&one["paidAtS"])]
}

fn show(told: &Value) {
    let order = &told["order"];
    for (name, value) in HEAD.iter().zip(row(told)) {
        println!("{name:<10} {value}");
    }
    println!("{:<10} {}", "seller", shown(&order["offer"], "seller"));
    println!("{:<10} {}", "buyer", shown(order, "buyer"));
    println!("{:<10} {}", "approved", told["isApproved"].as_bool().unwrap_or(false));
    if let Some(index) = told["delivery"]["index"].as_u64() {
        println!("{:<10} line {index} of the log, {} bytes", "delivery", told["delivery"]["bytes"]);
    }
    if let Some(words) = deletion::words(&told["withdrawal"]) {
        println!("{:<10} {words}", "deletion");
    }
    println!("\n{}", shown(&order["offer"]["terms"], "statement"));
}

/// A sale as the service shows it, held against the id that was asked for.
async fn sale(signed: &Signed, id: B256) -> Result<(SaleView, Dataset), Failure> {
    let view: SaleView = read(signed.session.get(&format!("/v1/sales/{id}")).await?)?;
    let dataset = view.described(&market_of(&signed.trust), id)?;
    Ok((view, dataset))
}

/// Says where the money is, where it does not wait in the market.
async fn require_paid(actor: &Actor, order: &Order) -> Result<(), Failure> {
    let place = &actor.place;
    let (market, id) = (place.market.data_market, order.id(&place.market));
    let words = match place.chain.order_standing(market, id, At::Latest).await?.status {
        Status::Paid => return Ok(()),
        Status::Unknown => "it was never paid: nothing is owed",
        Status::Settled => "it is settled: the seller was paid, and the key is public",
        Status::Refunded => "the money went back already, or is credited",
    };
    Err(Failure::new(format!("order {id}: {words}")))
}
