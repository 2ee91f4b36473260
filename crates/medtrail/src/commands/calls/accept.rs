//! A seller's yes to a call, and taking it back.
//!
//! What is signed is made of the call that this program checked, never taken as the service proposes
//! it: an acceptance that names a coming epoch, or that holds for longer than the call, would outlive
//! what its seller ends.

use crate::commands::market::calls::{CallView, standing_words};
use crate::commands::market::views::read;
use crate::commands::market::{
    Actor, FeeCap, OnChain, Place, amounts, cohort_market_of, require_same_cohort_market,
};
use crate::commands::offer::country;
use crate::commands::signing::{Signed, Signing};
use crate::exit::{Failure, Outcome};
use alloy_primitives::{Address, B256, U256};
use medtrail_chain::cohort::Status;
use medtrail_chain::{At, Contract, revocation};
use medtrail_ledger::binding::minute;
use medtrail_market::seal::text_of;
use medtrail_permit::sale::cohort::{CohortMarket, check_acceptance};
use medtrail_permit::sale::{Cohort, CohortAcceptance};
use serde_json::{Value, json};

/// How often it asks for another place where somebody was faster.
const TRIES_MAX: u32 = 6;
/// The problem of a place that was taken meanwhile.
const TAKEN: &str = "place-taken";

/// Which call, and as whom.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The call
    id: B256,
    /// The country whose rules hold for you, as two letters
    #[arg(long, value_name = "CODE", value_parser = country)]
    country: String,
    /// Who sells, if you act for another account; without it yourself
    #[arg(long, value_name = "ADDRESS", requires = "rpc")]
    seller: Option<Address>,
    /// Only show what you would sign
    #[arg(long)]
    show: bool,
    /// A JSON-RPC endpoint of the chain, of your own choice: says whether the money is there. Needed
    /// if you ever ended all your permissions on the chain
    #[arg(long, value_name = "URL")]
    rpc: Option<String>,
    #[command(flatten)]
    signing: Signing,
}

/// Which acceptance ends, and where.
#[derive(clap::Args)]
pub(super) struct WithdrawArgs {
    /// The call
    id: B256,
    /// Also by a transaction of yours, with --rpc
    #[arg(long, requires = "rpc")]
    on_chain: bool,
    /// A JSON-RPC endpoint of the chain, of your own choice
    #[arg(long, value_name = "URL")]
    rpc: Option<String>,
    #[command(flatten)]
    fee_cap: FeeCap,
    #[command(flatten)]
    signing: Signing,
}

/// What the chain says of the seller and of the call.
struct Seen {
    epoch: u64,
    money: String,
}

pub(super) async fn run(args: Args) -> Outcome {
    let Args { id, country, seller, show, rpc, signing } = args;
    let signed = signing.open().await?;
    require_same_cohort_market(&signed).await?;
    let market = cohort_market_of(&signed.trust);
    let seller = seller.unwrap_or_else(|| signed.session.address());
    let seen = match rpc {
        Some(rpc) => on_chain(&signed, id, seller, rpc).await?,
        None => Seen {
            epoch: 0,
            money: "so says the service; nobody asked the chain (--rpc URL asks it)".to_owned(),
        },
    };
    let mut is_told = false;
    for _ in 0..TRIES_MAX {
        let view = view(&signed, id, seller).await?;
        let acceptance = match proposed(&view, id, seller, &market, signed.trust.log, seen.epoch)? {
            Answer::Sign(acceptance) => *acceptance,
            Answer::Had(place) => {
                let told = json!({ "call": id, "place": place, "state": "accepted" });
                return signed.tell(&told, |_| format!("You have place {place} of it already."));
            }
        };
        if !is_told {
            signed.say(&words(id, &view.cohort, &acceptance, &seen.money));
            is_told = true;
        }
        if show {
            let told = json!({ "call": id, "acceptance": acceptance, "signed": false });
            let words = "\nNothing was signed: leave out --show.";
            return signed.tell(&told, |_| words.to_owned());
        }
        let body = json!({
            "acceptance": acceptance,
            "signature": signed.session.key().sign_document(&acceptance, &market.domain()),
            "country": country,
        });
        let path = format!("/v1/calls/{id}/acceptances");
        if let Some(answer) = signed.session.post_unless(TAKEN, &path, &body).await? {
            return signed.tell(&answer, |_| {
                format!(
                    "\nAccepted: place {} is yours (acceptance {}). Your data are delivered once all \
                     places are taken, or shortly before the time is over; you are paid with that. \
                     Until then medtrail calls withdraw takes it back.",
                    acceptance.place,
                    acceptance.id(&market)
                )
            });
        }
        signed
            .say(&format!("Somebody took place {} meanwhile: trying another …", acceptance.place));
    }
    Err(Failure::new("others were faster each time: run it again"))
}

async fn view(signed: &Signed, id: B256, seller: Address) -> Result<CallView, Failure> {
    let path = match seller == signed.session.address() {
        true => format!("/v1/calls/{id}"),
        false => format!("/v1/calls/{id}?seller={seller}"),
    };
    read(signed.session.get(&path).await?)
}

async fn on_chain(
    signed: &Signed,
    id: B256,
    seller: Address,
    rpc: String,
) -> Result<Seen, Failure> {
    let place = Place::open(Some(&signed.trust), &OnChain::to_read(rpc)).await?;
    let market = place.cohort_market().await?;
    let own = signed.session.address();
    let control = place.control(seller).await?;
    if control.controller != own {
        return Err(Failure::new(format!(
            "{} acts for {seller}, not you: sign in with its key (--key)",
            control.controller
        )));
    }
    let standing = place.chain.cohort_standing(market.cohort_market, id, At::Latest).await?;
    if standing.status != Status::Open || standing.settled_at_s.is_some() {
        let words = standing_words(&standing);
        return Err(Failure::new(format!("call {id}: {words}; nothing was signed")));
    }
    let registry = Contract::ConsentRegistry.address();
    let epoch = place.chain.consent_epoch(registry, seller, At::Latest).await?;
    Ok(Seen { epoch, money: format!("yes, {}", standing_words(&standing)) })
}

/// What there is to do.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Sign(Box<CohortAcceptance>),
    /// A place was taken before.
    Had(u32),
}

/// Why nothing is signed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Unfit {
    #[error("the call is for log {0}, your trust file names another")]
    Log(B256),
    #[error("no place is free, or it is too late to take one (state: {0})")]
    Full(String),
    #[error(
        "the service proposes epoch {proposed}, {seen} is the seller's: ask the chain by --rpc, and if \
         it still differs, do not sign"
    )]
    Epoch { proposed: u64, seen: u64 },
    #[error("the service proposes something else than this call to sign ({0}): nothing was signed")]
    Another(&'static str),
}

fn proposed(
    view: &CallView,
    id: B256,
    seller: Address,
    market: &CohortMarket,
    log: B256,
    epoch: u64,
) -> Result<Answer, Failure> {
    let dataset = view.described(market, id)?;
    let answer = fit(view, seller, market, log, epoch)?;
    if let Answer::Sign(acceptance) = &answer {
        check_acceptance(acceptance, &view.cohort, market, &dataset)?;
    }
    Ok(answer)
}

fn fit(
    view: &CallView,
    seller: Address,
    market: &CohortMarket,
    log: B256,
    epoch: u64,
) -> Result<Answer, Unfit> {
    let cohort = &view.cohort;
    if cohort.log != log {
        return Err(Unfit::Log(cohort.log));
    }
    let is_over = |state: &str| matches!(state, "withdrawn" | "ended");
    if let Some(own) = view.own.iter().find(|own| !is_over(&own.state)) {
        return Ok(Answer::Had(own.place));
    }
    let Some(proposed) = &view.proposed else {
        return Err(Unfit::Full(crate::render::harmless(&view.state)));
    };
    if proposed.epoch != epoch {
        return Err(Unfit::Epoch { proposed: proposed.epoch, seen: epoch });
    }
    let until_s = cohort.acceptance_ends(view.own.len()).ok_or(Unfit::Another("expiresAt"))?;
    // Of what the service proposes only the number of the place counts.
    let own = cohort.acceptance(market, proposed.place, seller, epoch, until_s);
    match own == *proposed {
        true => Ok(Answer::Sign(Box::new(own))),
        false => Err(Unfit::Another("acceptance")),
    }
}

/// The words of the call, and what the wallet shows beside them.
fn words(id: B256, cohort: &Cohort, acceptance: &CohortAcceptance, money: &str) -> String {
    format!(
        "You sign:\n\n{}\n\nThis call:\n  Buyer      {}\n  Price      {}, to {}\n  People     up to \
         {}, paid alike\n  Encrypted  to {}\n  Good until {} UTC\n  Call       {id}\n  Paid       \
         {money}",
        cohort.terms.statement,
        cohort.buyer,
        amounts::told(cohort.price, cohort.token),
        acceptance.seller,
        cohort.places,
        text_of(cohort.recipient),
        minute(acceptance.expiresAt),
    )
}

pub(super) async fn withdraw(args: WithdrawArgs) -> Outcome {
    let WithdrawArgs { id, on_chain, rpc, fee_cap, signing } = args;
    let signed = signing.open().await?;
    let market = cohort_market_of(&signed.trust);
    let path = format!("/v1/calls/{id}");
    let view: CallView = read(signed.session.get(&path).await?)?;
    view.described(&market, id)?;
    let answer = signed.session.delete_from(&format!("{path}/acceptances")).await;
    let Some(rpc) = rpc.filter(|_| on_chain) else {
        return signed.tell(&answer?, |_| {
            "Taken back: your data get into no file that is made after this, and you are not paid."
                .to_owned()
        });
    };
    // The chain needs no yes of the service.
    let told = answer.unwrap_or_else(|failure| {
        eprintln!("medtrail: {failure}");
        Value::Null
    });
    let place = Place::open(Some(&signed.trust), &OnChain { rpc, fee_cap }).await?;
    let registry = Contract::ConsentRegistry.address();
    let mut sent = Vec::new();
    for own in view.own.iter().filter(|own| matches!(own.state.as_str(), "accepted" | "delivered"))
    {
        let made =
            view.cohort.acceptance(&market, own.place, own.seller, own.epoch, own.expires_at_s);
        if made.id(&market) != own.id {
            return Err(Failure::new(format!(
                "the service calls {} your acceptance, which is none of this call: end yours by \
                 medtrail calls revoke and the id that accept told you",
                own.id
            )));
        }
        let data = revocation(own.seller, own.id);
        let tx = place.transact(signed.session.key(), registry, data, U256::ZERO).await?;
        sent.push(json!({ "acceptance": own.id, "tx": tx }));
    }
    if sent.is_empty() {
        return Err(Failure::new("you have accepted nothing of this call that could be ended"));
    }
    let told = json!({ "service": told, "revoked": sent });
    signed.tell(&told, |_| {
        "Taken back, on the chain: unless the first of its people was paid before this, you are not \
         paid, and the contract takes no delivery of yours."
            .to_owned()
    })
}

pub(super) async fn revoke(acceptance: B256, seller: Option<Address>, actor: Actor) -> Outcome {
    let seller = seller.unwrap_or_else(|| actor.key.address());
    let registry = Contract::ConsentRegistry.address();
    let words = "Ended, on the chain. If the first of the call's people was paid before this, it \
                 stands: you are paid, and the data are delivered.";
    actor.transact(registry, revocation(seller, acceptance), words).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::market::calls::OwnAcceptance;
    use crate::commands::market::calls::tests::{self, MARKET};
    use medtrail_permit::sale::Terms;

    const SELLER: Address = Address::repeat_byte(0x5e);

    /// What a seller is shown who has not accepted.
    fn view() -> CallView {
        let view = tests::view();
        let until_s = view.cohort.settled_by().unwrap();
        let proposed = view.cohort.acceptance(&MARKET, 3, SELLER, 0, until_s);
        CallView { proposed: Some(proposed), ..view }
    }

    fn fitted(view: &CallView) -> Result<Answer, Unfit> {
        fit(view, SELLER, &MARKET, view.cohort.log, 0)
    }

    #[test]
    fn what_is_signed_is_the_acceptance_of_this_very_call() {
        let good = view();
        let Ok(Answer::Sign(acceptance)) = fitted(&good) else { panic!("nothing to sign") };
        assert_eq!((acceptance.place, acceptance.seller), (3, SELLER));
        let dataset = good.described(&MARKET, good.id);
        let dataset = dataset.unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(check_acceptance(&acceptance, &good.cohort, &MARKET, &dataset), Ok(()));
    }

    #[test]
    fn a_service_that_proposes_something_else_gets_no_signature() {
        let good = view();
        let proposed = good.proposed.clone().unwrap();
        let another = Err(Unfit::Another("acceptance"));
        let cases = [
            // Another call's, another's seller, less money, for longer than the call.
            CohortAcceptance { cohort: B256::ZERO, ..proposed.clone() },
            CohortAcceptance { seller: Address::repeat_byte(9), ..proposed.clone() },
            CohortAcceptance { price: U256::from(4), ..proposed.clone() },
            CohortAcceptance { expiresAt: proposed.expiresAt + 1, ..proposed.clone() },
            CohortAcceptance { terms: Terms::default(), ..proposed },
        ];
        for lie in cases {
            assert_eq!(fitted(&CallView { proposed: Some(lie), ..good.clone() }), another);
        }
        // It would hold after its seller has ended everything.
        let coming = CohortAcceptance { epoch: 1, ..proposed };
        let view = CallView { proposed: Some(coming), ..good.clone() };
        assert_eq!(fitted(&view), Err(Unfit::Epoch { proposed: 1, seen: 0 }));
        let elsewhere = fit(&good, SELLER, &MARKET, B256::ZERO, 0);
        assert_eq!(elsewhere, Err(Unfit::Log(good.cohort.log)));
        let full = CallView { proposed: None, state: "late".into(), ..good };
        assert_eq!(fitted(&full), Err(Unfit::Full("late".into())));
    }

    #[test]
    fn who_has_a_place_signs_no_second_one() {
        let own = |state: &str| OwnAcceptance {
            id: B256::ZERO,
            seller: SELLER,
            place: 1,
            epoch: 0,
            expires_at_s: 0,
            state: state.to_owned(),
        };
        let with = |states: &[&str]| {
            let mut view = view();
            view.own = states.iter().map(|state| own(state)).collect();
            // A second later for each that one had.
            let proposed = view.proposed.as_mut().unwrap();
            proposed.expiresAt += states.len() as u64;
            fitted(&view)
        };
        assert_eq!(with(&["withdrawn", "accepted"]), Ok(Answer::Had(1)));
        assert_eq!(with(&["paid"]), Ok(Answer::Had(1)));
        assert!(matches!(with(&["withdrawn"]), Ok(Answer::Sign(_))));
        // The one that was taken back is spent.
        let spent = CallView { own: vec![own("withdrawn")], ..view() };
        assert!(fitted(&spent).is_err());
    }
}
