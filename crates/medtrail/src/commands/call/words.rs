//! What somebody who calls for data is told.

use super::next::{Ending, Waiting};
use crate::commands::market::amounts;
use crate::commands::market::calls::CallView;
use crate::render::harmless;
use alloy_primitives::{Address, U256};
use medtrail_ledger::binding::minute;
use medtrail_market::seal::text_of;
use medtrail_permit::sale::Cohort;
use std::path::Path;

/// What is not protected, in the words that every buyer reads.
const PROTECTED: &str = "You are protected against no delivery. You are not protected against poor \
                         or false content, nor against the same data being sold to others. It cannot \
                         be cancelled.";

/// What all places cost.
pub(super) fn whole(cohort: &Cohort) -> U256 {
    cohort.price.saturating_mul(U256::from(cohort.places))
}

/// What is called for, for how much, and what is not protected.
pub(super) fn call(cohort: &Cohort, market: Address) -> String {
    format!(
        "Each seller signs:\n\n{}\n\nPrice: {} for each of up to {} people, {} in all, and gas. It \
         waits in the market contract {market} until the log shows the deliveries; what nobody was \
         paid for goes back to you after {} UTC.\nEncrypted to: {}\n{PROTECTED}",
        cohort.terms.statement,
        amounts::told(cohort.price, cohort.token),
        cohort.places,
        amounts::told(whole(cohort), cohort.token),
        end(cohort),
        text_of(cohort.recipient),
    )
}

/// Until when sellers may be paid.
pub(super) fn end(cohort: &Cohort) -> String {
    cohort.settled_by().map(minute).unwrap_or_default()
}

/// What to do where nothing was given to open it with.
pub(super) fn settled() -> &'static str {
    "The first were paid and the key is public. Open it with the same command and --identity FILE."
}

/// What the file still has though the buyer signed that it is deleted; none: nothing.
pub(super) fn deleted(view: &CallView) -> Option<String> {
    let gone = view.withdrawals.iter().filter(|one| one.state == "deleted");
    let gone: Vec<String> = gone.map(|one| format!("person-{}", harmless(&one.label))).collect();
    let words = "The file still has what you signed as deleted; delete it again:";
    (!gone.is_empty()).then(|| format!("{words} {}.", gone.join(", ")))
}

/// For what it waits.
pub(super) fn waiting(waiting: Waiting) -> &'static str {
    match waiting {
        Waiting::Transaction => "A transaction of yours waits to be mined …",
        Waiting::Final => "Opened. Waiting for the block to be final …",
        Waiting::Acceptances => "Waiting for people who accept …",
        Waiting::Delivery => "Waiting for the file to be made …",
        Waiting::Settlement => {
            "Waiting for the log's next anchor, for the first to be paid, and the key with it …"
        }
        Waiting::SettledFinal => "Settled. Waiting for the block to be final …",
        Waiting::Payments => "Waiting for the others to be paid …",
    }
}

/// Where what is left of the money is.
pub(super) fn rest(cohort: &Cohort, paid: u32) -> String {
    let unpaid = cohort.places.saturating_sub(paid);
    let rest = cohort.price.saturating_mul(U256::from(unpaid));
    format!(
        "{paid} of {} places are paid; {} still wait in the contract. What nobody is paid for by {} \
         UTC goes back to you: run the same command again after that, or medtrail calls close.",
        cohort.places,
        amounts::told(rest, cohort.token),
        end(cohort)
    )
}

/// Why nothing is delivered to a call, in words.
fn refusal(word: &str) -> String {
    match word {
        "documents" => "the call is not what it must be".to_owned(),
        "recipient" => "the recipient is no key that can be sealed to".to_owned(),
        "windows" => "it left too little time to deliver or to settle".to_owned(),
        "nobody" => "nobody accepted who has what you called for".to_owned(),
        "late" => "it was not delivered in time".to_owned(),
        "closed" => "it was closed, and the money went back".to_owned(),
        other => harmless(other),
    }
}

/// How it ended without data.
pub(super) fn ending(ending: &Ending, cohort: &Cohort, file: &Path) -> String {
    match ending {
        Ending::NotPaid => "it was never opened, and now it is too late: nothing is owed. Name \
                            another folder with --into to call anew"
            .to_owned(),
        Ending::Closed => "the money went back to you, or is credited (medtrail calls \
                           withdraw-money); there is no delivery"
            .to_owned(),
        Ending::Refused(word) => format!(
            "it is not delivered: {}. Take the money back after {} UTC with the same command, or \
             medtrail calls close --call {}",
            refusal(word),
            end(cohort),
            file.display()
        ),
    }
}
