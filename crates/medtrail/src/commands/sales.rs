//! `medtrail sales`: what a seller answers to a purchase, and what both sides do with their money.

use super::delivery::input::read_order;
use super::market::views::{OfferView, SaleView, priced, read, refusal_words, seconds};
use super::market::{Acting, Actor, OnChain, Place, amounts, market_of, require_same_market};
use super::signing::{Asker, Asking, Signed, Signing, shown};
use crate::exit::{Failure, OK, Outcome};
use crate::render::table;
use crate::trade::bare_order;
use alloy_primitives::{Address, B256, U256};
use medtrail_chain::At;
use medtrail_chain::market::{MarketCall, Status};
use medtrail_ledger::binding::minute;
use medtrail_market::seal::text_of;
use medtrail_permit::sale::{Order, check};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

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
        how: How,
        #[command(flatten)]
        signing: Signing,
    },
    /// Declines a purchase: it is never delivered. On the chain the money goes back at once
    Decline {
        /// The order
        id: B256,
        #[command(flatten)]
        how: How,
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

/// By a signature that the service carries, or by a transaction.
#[derive(clap::Args)]
struct How {
    /// By a transaction of yours, with --rpc
    #[arg(long, requires = "rpc")]
    on_chain: bool,
    /// A JSON-RPC endpoint of the chain, of your own choice
    #[arg(long, value_name = "URL")]
    rpc: Option<String>,
}

impl How {
    async fn place(self, signed: &Signed) -> Result<(Option<Place>, bool), Failure> {
        let place = match self.rpc {
            Some(rpc) => Some(Place::open(Some(&signed.trust), &OnChain::at(rpc)).await?),
            None => None,
        };
        Ok((place, self.on_chain))
    }
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
                table(&["order", "you are", "state", "price", "paid"], rows);
            })
        }
        Command::Show { id, asking } => {
            let asker = asking.open().await?;
            let told = asker.session.get(&format!("/v1/sales/{id}")).await?;
            asker.tell(&told, || show(&told))
        }
        Command::Approve { id, show, how, signing } => approve(id, show, how, signing).await,
        Command::Decline { id, how, signing } => decline(id, how, signing).await,
        Command::Revoke { id, on, signing } => {
            let signed = signing.open().await?;
            let place = Place::open(Some(&signed.trust), &on).await?;
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
    let names = ["order", "you are", "state", "price", "paid"];
    for (name, value) in names.iter().zip(row(told)) {
        println!("{name:<10} {value}");
    }
    println!("{:<10} {}", "seller", shown(&order["offer"], "seller"));
    println!("{:<10} {}", "buyer", shown(order, "buyer"));
    println!("{:<10} {}", "approved", told["isApproved"].as_bool().unwrap_or(false));
    if let Some(index) = told["delivery"]["index"].as_u64() {
        println!("{:<10} line {index} of the log, {} bytes", "delivery", told["delivery"]["bytes"]);
    }
    println!("\n{}", shown(&order["offer"]["terms"], "statement"));
}

/// A sale as the service shows it, held against the id that was asked for.
async fn sale(
    signed: &Signed,
    id: B256,
) -> Result<(SaleView, medtrail_permit::dataset::Dataset), Failure> {
    let view: SaleView = read(signed.session.get(&format!("/v1/sales/{id}")).await?)?;
    let dataset = view.described(&market_of(&signed.trust), id)?;
    Ok((view, dataset))
}

async fn approve(id: B256, show: bool, how: How, signing: Signing) -> Outcome {
    let signed = signing.open().await?;
    let (place, on_chain) = how.place(&signed).await?;
    require_same_market(&signed).await?;
    let market = market_of(&signed.trust);
    let (sale, dataset) = sale(&signed, id).await?;
    let order = &sale.order;
    require_mine(&signed, order, place.as_ref()).await?;
    let settled_by = order.settled_by().ok_or_else(|| Failure::new("the order never ends"))?;
    let approval = order.approval(&market, settled_by);
    check::approval(&approval, order, &market, &dataset)?;
    if order.offer.log != signed.trust.log {
        return Err(Failure::new("the order is for another log than your trust file's"));
    }
    if let Some(place) = &place {
        let standing = place.chain.order_standing(market.data_market, id, At::Latest).await?;
        if standing.status != Status::Paid {
            return Err(Failure::new(format!(
                "the order is {:?} on the chain, not paid and waiting; nothing was signed",
                standing.status
            )));
        }
    }
    if !signed.json || show {
        println!("{}", words(order, id));
    }
    if show {
        println!("\nNothing was signed: leave out --show.");
        return Ok(ExitCode::from(OK));
    }
    if on_chain {
        let place = place.ok_or_else(|| Failure::new("--on-chain needs --rpc"))?;
        let call = MarketCall::Approve(bare_order(order));
        let tx = place.act(signed.session.key(), &call, U256::ZERO).await?;
        return signed.tell(&json!({ "tx": tx }), |_| "\nApproved, on the chain.".to_owned());
    }
    let signature = signed.session.key().sign_document(&approval, &market.domain());
    let body = json!({ "approval": approval, "signature": signature });
    let answer = signed.session.post(&format!("/v1/sales/{id}/approval"), &body).await?;
    signed.tell(&answer, |told| {
        format!("\nApproved. It is delivered, and you are paid: {} now.", shown(told, "state"))
    })
}

/// What is approved: the words of the offer, and what the wallet shows beside them.
fn words(order: &Order, id: B256) -> String {
    let until = order.settled_by().map(minute).unwrap_or_default();
    format!(
        "You offered:\n\n{}\n\nThis purchase:\n  Buyer      {}\n  Price      {}, to {}\n  Encrypted  \
         to {}\n  Good until {until} UTC\n  Order      {id}",
        order.offer.terms.statement,
        order.buyer,
        amounts::told(order.offer.price, order.offer.token),
        order.offer.seller,
        text_of(order.recipient),
    )
}

/// That the offer of this order is one that this very key signed. The service could show an order of
/// an offer that nobody made: whoever approves it sells.
async fn require_mine(
    signed: &Signed,
    order: &Order,
    place: Option<&Place>,
) -> Result<(), Failure> {
    let own = signed.session.address();
    let seller = order.offer.seller;
    if own != seller {
        let controller = match place {
            Some(place) => place.control(seller).await?.controller,
            None => seller,
        };
        if controller != own {
            return Err(Failure::new(format!(
                "{seller} sells: sign in with its key (--key), or give --rpc if control of it moved to \
                 you"
            )));
        }
    }
    let market = market_of(&signed.trust);
    let offer = order.offer.id(&market);
    let view: OfferView = read(signed.session.get(&format!("/v1/offers/{offer}")).await?)?;
    view.described(&market, offer)?;
    match view.is_by(&market, own) {
        true => Ok(()),
        false => Err(Failure::new(
            "the offer of this order is not signed by your key: you did not make it. Nothing was \
             signed",
        )),
    }
}

async fn decline(id: B256, how: How, signing: Signing) -> Outcome {
    let signed = signing.open().await?;
    let (place, on_chain) = how.place(&signed).await?;
    if let Some(place) = place.filter(|_| on_chain) {
        let (sale, _) = sale(&signed, id).await?;
        let call = MarketCall::Decline(bare_order(&sale.order));
        let tx = place.act(signed.session.key(), &call, U256::ZERO).await?;
        let words = "Declined, on the chain: the money is back with the buyer.";
        return signed.tell(&json!({ "tx": tx }), |_| words.to_owned());
    }
    let path = format!("/v1/sales/{id}/decline");
    let answer = signed.session.post(&path, &json!({})).await?;
    signed.tell(&answer, |_| {
        "Declined: it is never delivered. The buyer takes the money back when the time is over; with \
         --on-chain it would go back at once."
            .to_owned()
    })
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
