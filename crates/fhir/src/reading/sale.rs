//! What the log tells of sales, of calls to many, and of a buyer who downloads or looks.

use super::{Facts, NAME_LETTERS_MAX, short_of, text};
use crate::json::Node;
use alloy_primitives::Address;

impl Facts {
    /// Adds what happened to a sale, or what a person wants of all sales.
    pub(super) fn take_sale(&mut self, tree: &Node<'_>, names: &dyn Fn(Address) -> Option<String>) {
        let verb = match tree.text("act") {
            Some("paid") => "salePaid",
            Some("settled") => "saleSettled",
            Some("refunded") => "saleRefunded",
            Some("withdrawn") => "saleWithdrawn",
            Some("deleted") => "saleDeleted",
            Some("not-answered") => "saleSilent",
            Some("opted-out") => "saleOptOut",
            Some("opted-in") => "saleOptIn",
            _ => return,
        };
        self.verb = verb.to_owned();
        let buyer = tree.get("order").and_then(|order| order.text("buyer"));
        self.take_buyer(buyer, names);
    }

    /// Adds what happened to the acceptance of a call to many.
    pub(super) fn take_call(&mut self, tree: &Node<'_>, names: &dyn Fn(Address) -> Option<String>) {
        let verb = match tree.text("act") {
            Some("accepted") => "callAccepted",
            Some("withdrawn") => "callWithdrawn",
            Some("settled") => "callSettled",
            Some("closed") => "callClosed",
            Some("deletion-asked") => "saleWithdrawn",
            Some("deleted") => "saleDeleted",
            Some("not-answered") => "saleSilent",
            _ => return,
        };
        self.verb = verb.to_owned();
        let buyer = tree.get("call").and_then(|call| call.text("buyer"));
        self.take_buyer(buyer, names);
    }

    /// Adds who downloaded what was sold.
    pub(super) fn take_download(
        &mut self,
        tree: &Node<'_>,
        names: &dyn Fn(Address) -> Option<String>,
    ) {
        self.relayed = false;
        self.verb = "download".to_owned();
        self.take_buyer(tree.text("reader"), names);
    }

    /// Adds who looked at what was sold, where it is kept.
    pub(super) fn take_sold_look(
        &mut self,
        tree: &Node<'_>,
        names: &dyn Fn(Address) -> Option<String>,
    ) {
        self.verb = "lookSold".to_owned();
        self.take_buyer(tree.text("reader"), names);
    }

    fn take_buyer(&mut self, buyer: Option<&str>, names: &dyn Fn(Address) -> Option<String>) {
        let Some(buyer) = buyer.and_then(|buyer| buyer.parse().ok()) else { return };
        let name = names(buyer).and_then(|name| text(&name, NAME_LETTERS_MAX));
        self.counterpart = name.or_else(|| Some(short_of(buyer)));
    }
}
