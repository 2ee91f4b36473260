//! What a seller answers to one purchase: by a signature that the service carries, or by a
//! transaction, which nobody can withhold.

use super::sale;
use crate::commands::market::views::{OfferView, read};
use crate::commands::market::{FeeCap, OnChain, Place, amounts, market_of, require_same_market};
use crate::commands::signing::{Signed, Signing, shown};
use crate::exit::{Failure, Outcome};
use crate::trade::bare_order;
use alloy_primitives::{B256, U256};
use medtrail_chain::At;
use medtrail_chain::market::{MarketCall, Status};
use medtrail_ledger::binding::minute;
use medtrail_market::seal::text_of;
use medtrail_permit::sale::{Order, SaleApproval, check};
use serde_json::{Value, json};

/// By a signature or by a transaction.
#[derive(clap::Args)]
pub(super) struct How {
    /// By a transaction of yours, with --rpc
    #[arg(long, requires = "rpc")]
    on_chain: bool,
    /// A JSON-RPC endpoint of the chain, of your own choice
    #[arg(long, value_name = "URL")]
    rpc: Option<String>,
    #[command(flatten)]
    fee_cap: FeeCap,
}

impl How {
    /// The chain, if it is to be asked.
    async fn place(&self, signed: &Signed) -> Result<Option<Place>, Failure> {
        let Some(rpc) = self.rpc.clone() else { return Ok(None) };
        let on = OnChain { rpc, fee_cap: self.fee_cap };
        Place::open(Some(&signed.trust), &on).await.map(Some)
    }
}

pub(super) async fn approve(id: B256, show: bool, how: How, signing: Signing) -> Outcome {
    let signed = signing.open().await?;
    let place = how.place(&signed).await?;
    let asked = Asked::read(&signed, id, place.as_ref()).await?;
    signed.say(&asked.words());
    if show {
        let told = json!({ "order": id, "approval": asked.approval, "signed": false });
        let words = "\nNothing was signed: leave out --show.";
        return signed.tell(&told, |_| words.to_owned());
    }
    if let Some(place) = place.filter(|_| how.on_chain) {
        let call = MarketCall::Approve(bare_order(&asked.order));
        let tx = place.act(signed.session.key(), &call, U256::ZERO).await?;
        return signed.tell(&json!({ "tx": tx }), |_| "\nApproved, on the chain.".to_owned());
    }
    let answer = asked.approve(&signed).await?;
    signed.tell(&answer, |told| {
        format!("\nApproved. It is delivered, and you are paid: {} now.", shown(told, "state"))
    })
}

/// A purchase that was held against the offer that this key signed: it can be approved.
pub(crate) struct Asked {
    id: B256,
    order: Order,
    approval: SaleApproval,
    paid: &'static str,
}

impl Asked {
    /// Reads it, and asks the chain whether it is paid, if there is one to ask.
    pub(crate) async fn read(
        signed: &Signed,
        id: B256,
        place: Option<&Place>,
    ) -> Result<Self, Failure> {
        require_same_market(signed).await?;
        let market = market_of(&signed.trust);
        let (sale, dataset) = sale(signed, id).await?;
        let order = sale.order;
        require_mine(signed, &order, place).await?;
        let settled_by = order.settled_by().ok_or_else(|| Failure::new("the order never ends"))?;
        let approval = order.approval(&market, settled_by);
        check::approval(&approval, &order, &market, &dataset)?;
        if order.offer.log != signed.trust.log {
            return Err(Failure::new("the order is for another log than your trust file's"));
        }
        let paid = match place {
            Some(place) => {
                let market = market.data_market;
                let standing = place.chain.order_standing(market, id, At::Latest).await?;
                if standing.status != Status::Paid {
                    return Err(Failure::new(format!(
                        "the order is {:?} on the chain, not paid and waiting; nothing was signed",
                        standing.status
                    )));
                }
                "yes, the market contract holds the money"
            }
            None => "so says the service; nobody asked the chain (--rpc URL asks it)",
        };
        Ok(Self { id, order, approval, paid })
    }

    /// The words of the offer, and what the wallet shows beside them.
    pub(crate) fn words(&self) -> String {
        let Self { id, order, approval, paid } = self;
        format!(
            "You offered:\n\n{}\n\nThis purchase:\n  Buyer      {}\n  Price      {}, to {}\n  \
             Encrypted  to {}\n  Good until {} UTC\n  Order      {id}\n  Paid       {paid}",
            order.offer.terms.statement,
            order.buyer,
            amounts::told(order.offer.price, order.offer.token),
            order.offer.seller,
            text_of(order.recipient),
            minute(approval.expiresAt),
        )
    }

    /// Signs, and lets the service carry it; its answer.
    pub(crate) async fn approve(&self, signed: &Signed) -> Result<Value, Failure> {
        let domain = market_of(&signed.trust).domain();
        let signature = signed.session.key().sign_document(&self.approval, &domain);
        let body = json!({ "approval": self.approval, "signature": signature });
        signed.session.post(&format!("/v1/sales/{}/approval", self.id), &body).await
    }
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

pub(super) async fn decline(id: B256, how: How, signing: Signing) -> Outcome {
    let signed = signing.open().await?;
    let place = how.place(&signed).await?;
    if let Some(place) = place.filter(|_| how.on_chain) {
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
