//! Documents as the contract takes them: the terms as their hash.

use medtrail_chain::market::{Offer, Order};
use medtrail_permit::sale;

pub(in crate::commands) fn bare_offer(offer: &sale::Offer) -> Offer {
    Offer {
        seller: offer.seller,
        log: offer.log,
        token: offer.token,
        price: offer.price,
        accessS: offer.accessS,
        expiresAt: offer.expiresAt,
        epoch: offer.epoch,
        terms: offer.terms.hash(),
    }
}

pub(in crate::commands) fn bare_order(order: &sale::Order) -> Order {
    Order {
        offer: bare_offer(&order.offer),
        buyer: order.buyer,
        recipient: order.recipient,
        deliverBy: order.deliverBy,
        grace: order.grace,
        salt: order.salt,
    }
}
