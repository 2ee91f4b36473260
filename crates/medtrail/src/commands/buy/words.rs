//! What somebody who buys is told.

use super::next::{Ending, Waiting};
use super::purchase::Purchase;
use crate::commands::market::amounts;
use crate::commands::market::views::refusal_words;
use alloy_primitives::Address;
use medtrail_ledger::binding::minute;
use medtrail_market::seal::text_of;
use medtrail_permit::sale::Order;

/// What is not protected, in the words that every buyer reads.
const PROTECTED: &str = "You are protected against no delivery. You are not protected against poor \
                         or false content, nor against the same data being sold to others.";

/// What is bought, for how much, and what is not protected.
pub(super) fn order(order: &Order, market: Address) -> String {
    let offer = &order.offer;
    format!(
        "The seller signed:\n\n{}\n\nPrice: {}, and gas. It waits in the market contract {market} \
         until the log shows the delivery; after {} UTC you can take it back.\nEncrypted to: \
         {}\n{PROTECTED}",
        offer.terms.statement,
        amounts::told(offer.price, offer.token),
        end(order),
        text_of(order.recipient),
    )
}

/// Until when the seller may be paid.
fn end(order: &Order) -> String {
    order.settled_by().map(minute).unwrap_or_default()
}

/// What to do where nothing was given to open it with.
pub(super) fn settled() -> &'static str {
    "The seller was paid and the key is public. Open it with the same command and --identity FILE, or \
     with medtrail decrypt."
}

/// For what it waits.
pub(super) fn waiting(waiting: Waiting) -> &'static str {
    match waiting {
        Waiting::Transaction => "A transaction of yours waits to be mined …",
        Waiting::Final => "Paid. Waiting for the block to be final …",
        Waiting::Approval => "Waiting for the seller's approval …",
        Waiting::Delivery => "Waiting for the delivery …",
        Waiting::Anchor => "Delivered. Waiting for the log's next anchor …",
        Waiting::Settlement => {
            "Delivered. Waiting for the seller to be paid, and the key with it …"
        }
        Waiting::SettledFinal => "Settled. Waiting for the block to be final …",
    }
}

/// How it ended without data.
pub(super) fn ending(ending: &Ending, order: &Order, purchase: &Purchase) -> String {
    let until = end(order);
    let refund = format!("medtrail sales refund --order {}", purchase.order_file().display());
    match ending {
        Ending::NotPaid => "it was never paid, and now it is too late: nothing is owed. Name \
                            another folder with --into to order anew"
            .to_owned(),
        Ending::Refunded => "the money went back to you; there is no delivery".to_owned(),
        Ending::TakeBack => {
            format!("it was not settled until {until} UTC: take the money back with {refund}")
        }
        Ending::Refused(word) => format!(
            "it is not delivered: {}. If the seller does not give the money back before, take it \
             back after {until} UTC with {refund}",
            refusal_words(word)
        ),
    }
}
