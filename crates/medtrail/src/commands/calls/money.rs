//! Money of calls that waits: the rest of a call for its buyer, and what was credited.

use crate::calling::bare_cohort;
use crate::commands::market::calls::opened;
use crate::commands::market::{Actor, amounts};
use crate::exit::{Failure, Outcome};
use crate::render::harmless;
use alloy_primitives::{Address, B256, U256};
use medtrail_chain::At;
use medtrail_chain::cohort::{CohortCall, Status};
use medtrail_keys::file;
use medtrail_ledger::binding::minute;
use medtrail_permit::sale::Cohort;
use std::path::{Path, PathBuf};

/// Bytes of a call's file: its statement is the longest part.
const CALL_BYTES_MAX: u64 = 64 << 10;

/// A credit, and where it goes.
#[derive(clap::Args)]
pub(super) struct Credit {
    /// The token; without it the chain's own coin
    #[arg(long, value_name = "ADDRESS", default_value_t = Address::ZERO, hide_default_value = true)]
    token: Address,
    /// Whose credit, if you act for another account; without it yours
    #[arg(long, value_name = "ADDRESS")]
    account: Option<Address>,
    /// Where it goes; without it to yourself
    #[arg(long, value_name = "ADDRESS")]
    to: Option<Address>,
}

pub(super) async fn withdraw(what: Credit, actor: Actor) -> Outcome {
    let Credit { token, account, to } = what;
    let own = actor.key.address();
    let (account, to) = (account.unwrap_or(own), to.unwrap_or(own));
    let market = actor.place.cohort_market().await?.cohort_market;
    let credit = actor.place.chain.cohort_credit(market, account, token, At::Latest).await?;
    if credit.is_zero() {
        return Err(Failure::new(format!("nothing is credited to {account} by calls")));
    }
    let words = format!("{} went to {to}.", amounts::told(credit, token));
    let call = CohortCall::Withdraw { account, token, to };
    actor.transact(market, call.calldata(), &words).await
}

/// The call in a file.
pub(in crate::commands) fn read_call(path: &Path) -> Result<Cohort, Failure> {
    let bytes = file::read(path, CALL_BYTES_MAX)?;
    serde_json::from_slice(&bytes).map_err(|error| {
        let (path, error) = (path.display(), harmless(&error.to_string()));
        Failure::new(format!("{path}: no call: {error}. Give the call's JSON as it was opened."))
    })
}

pub(super) async fn close(id: Option<B256>, call: Option<PathBuf>, actor: Actor) -> Outcome {
    let place = &actor.place;
    let market = place.cohort_market().await?;
    let kept = call.as_deref().map(read_call).transpose()?;
    let id = kept.as_ref().map(|kept| kept.id(&market)).or(id);
    let id = id.ok_or_else(|| Failure::new("name the call, or its file by --call"))?;
    let standing = place.chain.cohort_standing(market.cohort_market, id, At::Latest).await?;
    let no = |words: &str| Err(Failure::new(format!("call {id}: {words}")));
    match standing.status {
        Status::Unknown => return no("it was never opened: nothing is owed"),
        Status::Closed => return no("it is closed already: the rest went back, or is credited"),
        Status::Open => {}
    }
    let cohort = match &kept {
        Some(kept) => bare_cohort(kept),
        None => opened(place, &market, id, &standing).await?,
    };
    let until_s = cohort.deliverBy.saturating_add(cohort.grace);
    let unpaid = cohort.places.saturating_sub(standing.paid);
    if unpaid > 0 && place.now_s().await? <= until_s {
        return no(&format!(
            "{unpaid} of {} places can still be paid until {} UTC: close it after that",
            cohort.places,
            minute(until_s)
        ));
    }
    let rest = cohort.price.saturating_mul(U256::from(unpaid));
    let words = format!(
        "Closed: {} went back to {}, or are credited to it (medtrail calls withdraw-money).",
        amounts::told(rest, cohort.token),
        cohort.buyer
    );
    let call = CohortCall::Close(cohort);
    actor.transact(market.cohort_market, call.calldata(), &words).await
}
