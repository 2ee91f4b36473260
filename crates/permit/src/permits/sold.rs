//! One settled order, judged against one look: the sale is the permission, and there is no other
//! paper of it.

use super::act::{Act, Need};
use super::candidate::{allows_data, allows_purposes};
use super::person::{Person, at};
use super::verdict::Refusal;
use super::world::{Sold, World};
use crate::dataset::{Dataset, Form};
use crate::sale::check::{self, SaleError};
use crate::scopes::{Data, Interactions};
use alloy_primitives::B256;
use medtrail_ledger::entry::Kind;

/// A sale that somebody names as their permission.
pub(super) struct Sale<'a> {
    id: B256,
    sold: &'a Sold,
}

impl<'a> Sale<'a> {
    /// The sale whose order has this id; none, where no market is known.
    pub(super) fn find(id: B256, world: &'a World) -> Option<Self> {
        let market = world.market.as_ref()?;
        let sold = world.sales.iter().find(|sold| sold.order.id(market) == id)?;
        Some(Self { id, sold })
    }

    /// Whether it permits an act that needs these interactions.
    pub(super) fn judge(
        &self,
        act: &Act,
        interactions: Interactions,
        person: &Person<'_>,
    ) -> Result<(), Refusal> {
        self.covers(act, interactions, person)?;
        act.moments().into_iter().try_for_each(|moment| self.stands(moment, person))
    }

    /// What needs no clock. A copy made harmless gives no look: the originals are what it hides.
    fn covers(
        &self,
        act: &Act,
        interactions: Interactions,
        person: &Person<'_>,
    ) -> Result<(), Refusal> {
        let order = &self.sold.order;
        let dataset = Dataset::parse(self.sold.dataset.as_bytes());
        let dataset = dataset.map_err(|_| Refusal::InvalidDocument)?;
        match check::order(order, &dataset) {
            Ok(()) => {}
            Err(SaleError::Statement) => return Err(Refusal::InvalidStatement),
            Err(_) => return Err(Refusal::InvalidDocument),
        }
        if !person.is(order.offer.seller) {
            return Err(Refusal::WrongSubject);
        }
        if !act.party.contains(&order.buyer) {
            return Err(Refusal::WrongGrantee);
        }
        if Kind::from_number(act.report.kind) != Kind::Access {
            return Err(Refusal::NotALook);
        }
        if order.offer.accessS == 0 || dataset.form() != Form::AsItIs {
            return Err(Refusal::DeliveryOnly);
        }
        // A search that found nothing has no data to tell of.
        if !(act.need.is_search && act.need.data.is_empty()) {
            covers_data(&dataset, &act.need, interactions)?;
        }
        allows_purposes(&[order.offer.terms.purpose.as_str()], &act.need)
    }

    /// Whether it stood at a moment: from the block that settled it until its time is over, or its
    /// seller ended it, on the market or in the registry.
    fn stands(&self, moment: u64, person: &Person<'_>) -> Result<(), Refusal> {
        let offer = &self.sold.order.offer;
        let settled = self.sold.settled.ok_or(Refusal::NotSettled)?;
        if !settled.is_final {
            return Err(Refusal::NotFinal);
        }
        let given_ms = at(settled.at_s);
        if given_ms > moment {
            return Err(Refusal::NotYetGiven);
        }
        let is_ended = self.sold.revoked_s.is_some_and(|revoked_s| at(revoked_s) <= moment);
        if is_ended || person.is_revoked(self.id, offer.seller, moment) {
            return Err(Refusal::Revoked);
        }
        // Whoever takes back everything means this too.
        if !person.is_of_one_epoch(offer.seller, given_ms, moment) {
            return Err(Refusal::WrongEpoch);
        }
        if moment >= at(settled.at_s.saturating_add(offer.accessS)) {
            return Err(Refusal::Expired);
        }
        Ok(())
    }
}

fn covers_data(dataset: &Dataset, need: &Need, interactions: Interactions) -> Result<(), Refusal> {
    allows_data(dataset.scopes(), need, interactions)?;
    let codes = dataset.codes();
    let has_code = |data: &Data| {
        let told = data.parameters.iter().filter_map(|one| {
            one.strip_prefix("code=").or_else(|| one.strip_prefix("vaccine-code="))
        });
        told.into_iter().any(|code| codes.iter().any(|sold| sold == code))
    };
    let is_sold = codes.is_empty() || (!need.data.is_empty() && need.data.iter().all(has_code));
    if is_sold { Ok(()) } else { Err(Refusal::WrongScope) }
}
