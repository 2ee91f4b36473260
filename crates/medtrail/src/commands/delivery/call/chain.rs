//! Where the money of a call is, which key the chain shows for which file, and who was paid.

use super::{Given, Settled};
use crate::commands::delivery::step;
use crate::commands::market::amounts;
use crate::commands::market::calls::settlement;
use crate::exit::Failure;
use alloy_primitives::{Address, U256};
use medtrail_chain::cohort::{CohortRecord, CohortStep, Standing, Status};
use medtrail_chain::{At, Chain, Contract, Finality};
use medtrail_ledger::binding::minute;
use medtrail_ledger::ports::Registry;
use medtrail_ledger::verify::{Step, Verdict};
use medtrail_market::seal::LockKey;

/// Adds the steps; what the chain was settled for, if it was.
pub(super) async fn steps(
    given: &Given,
    steps: &mut Vec<Step>,
) -> Result<Option<Settled>, Failure> {
    let market = given.market.cohort_market;
    if !given.rpc.has_code(market).await? {
        let words = format!(
            "No market of calls stands at {market} on chain {}: is it the right endpoint?",
            given.market.chain_id
        );
        steps.push(step("market", Verdict::Red, words));
        return Ok(None);
    }
    let words = format!("The address {market} commits to the code this program knows.");
    steps.push(step("market", Verdict::Green, words));
    let registry = Contract::AnchorRegistry.address();
    let chain = Chain::new(given.rpc.clone(), given.market.chain_id, registry, Finality::Tag);
    let standing = chain.cohort_standing(market, given.id(), At::Latest).await?;
    let first = settlement(&chain, &given.market, given.id(), &standing).await?;
    let (mut counted, mut paid) = (0, Vec::new());
    // Before it is final nobody is paid for good, and the final block may not know the market.
    if first.as_ref().is_some_and(|first| first.is_final) {
        let at = At::Block(chain.tips().await?.finalized.block.hash);
        counted = chain.cohort_standing(market, given.id(), at).await?.paid;
        for seller in given.sellers() {
            let place = chain.cohort_place_of(market, given.id(), seller, at).await?;
            paid.extend(place.map(|place| (place, seller)));
        }
    }
    steps.push(money(given, &standing, first.as_ref()));
    let Some(CohortStep::Settled { k, to_version, .. }) = first.map(|record| record.step) else {
        return Ok(None);
    };
    steps.push(payments(given, counted, &paid));
    Ok(Some(Settled { key: LockKey::new(k.0), file: to_version, paid }))
}

fn money(given: &Given, standing: &Standing, first: Option<&CohortRecord>) -> Step {
    let cohort = &given.cohort;
    let told = |verdict, words: String| step("money", verdict, words);
    if standing.status == Status::Unknown {
        let words = "The market knows no such call: it was never opened, or this is not the call that \
                     was. Nothing is owed for it.";
        return told(Verdict::Red, words.to_owned());
    }
    let opened = format!(
        "{} for each of {} places paid by {} at {} UTC",
        amounts::told(cohort.price, cohort.token),
        cohort.places,
        cohort.buyer,
        minute(standing.opened_at_s)
    );
    let unpaid = cohort.places.saturating_sub(standing.paid);
    let rest = amounts::told(cohort.price.saturating_mul(U256::from(unpaid)), cohort.token);
    let until = cohort.settled_by().map(minute).unwrap_or_default();
    let rest = match standing.status {
        Status::Closed => format!("it is closed, {rest} went back to the buyer"),
        _ if unpaid == 0 => "nothing is left".to_owned(),
        _ => format!("{rest} wait in the market, to be paid until {until} UTC or closed after it"),
    };
    match (standing.settled_at_s, first) {
        (None, _) => told(Verdict::Amber, format!("{opened}. Nobody was paid; {rest}.")),
        (Some(at_s), None) => {
            let words = format!(
                "{opened}. The market says that the first were paid at {} UTC, but your endpoint has \
                 no event of it: ask another one.",
                minute(at_s)
            );
            told(Verdict::Amber, words)
        }
        (Some(at_s), Some(first)) => {
            let (verdict, place) = match first.is_final {
                true => (Verdict::Green, "which is final"),
                false => (Verdict::Amber, "which is not final yet: check again later"),
            };
            let words = format!(
                "{opened}. The first were paid at {} UTC in block {}, {place}, and the key is public; \
                 {rest}.",
                minute(at_s),
                first.block.number
            );
            told(verdict, words)
        }
    }
}

/// Whoever was paid has an entry here, and the other way round.
fn payments(given: &Given, counted: u32, paid: &[(u32, Address)]) -> Step {
    let (sellers, found) = (given.sellers().len(), paid.len());
    if counted as usize > found {
        let words = format!(
            "At the final block {counted} places were paid, {found} of them to sellers who have an \
             entry here: proofs are missing, or somebody was paid for nothing."
        );
        return step("payments", Verdict::Red, words);
    }
    let words =
        format!("Of {sellers} sellers with an entry here {found} are paid at the final block.");
    match found == sellers {
        true => step("payments", Verdict::Green, words),
        false => {
            let words = format!(
                "{words} The data of the others are in the file, and not yours to use before they are \
                 paid."
            );
            step("payments", Verdict::Amber, words)
        }
    }
}
