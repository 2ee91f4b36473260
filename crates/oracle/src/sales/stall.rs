//! Offers and sales as they are now, by what they are looked up by. Every change is durable before
//! it shows here.

use alloy_primitives::{Address, B256};
use medtrail_ledger::directory::{
    Contents, MarketCursor, OfferRow, OptOutRow, SaleRow, WithdrawalRow,
};
use std::collections::{BTreeSet, HashMap};

/// The rows of the directory that are about sales.
#[derive(Default)]
pub(crate) struct Stall {
    offers: HashMap<B256, OfferRow>,
    /// By when they were listed.
    listed: BTreeSet<(u64, B256)>,
    of_seller: HashMap<Address, Vec<B256>>,
    sales: HashMap<B256, SaleRow>,
    /// Of each seller and buyer, by when they were heard of.
    of_party: HashMap<Address, BTreeSet<(u64, B256)>>,
    /// Those with something left to do.
    open: BTreeSet<B256>,
    opt_outs: HashMap<Address, OptOutRow>,
    /// Up to which final block the market was read.
    pub(crate) traded: Option<MarketCursor>,
}

impl Stall {
    pub(crate) fn of(contents: &mut Contents) -> Self {
        let mut stall = Self { traded: contents.traded, ..Self::default() };
        std::mem::take(&mut contents.offers).into_iter().for_each(|row| stall.put_offer(row));
        std::mem::take(&mut contents.sales).into_iter().for_each(|row| stall.put_sale(row));
        std::mem::take(&mut contents.opt_outs).into_iter().for_each(|row| stall.put_opt_out(row));
        stall
    }

    pub(crate) fn put_offer(&mut self, row: OfferRow) {
        self.listed.insert((row.listed_ms, row.id));
        let own = self.of_seller.entry(row.seller).or_default();
        if !own.contains(&row.id) {
            own.push(row.id);
        }
        self.offers.insert(row.id, row);
    }

    pub(crate) fn put_sale(&mut self, row: SaleRow) {
        let place = (row.heard_ms, row.id);
        for party in [row.seller, row.buyer] {
            self.of_party.entry(party).or_default().insert(place);
        }
        // Also one that is not delivered, until the money went back and an entry says so; not one
        // whose payment never became final.
        let is_over = row.ended_entry.is_some() || row.paid_entry.is_none();
        let waits = row.withdrawal.as_ref().is_some_and(WithdrawalRow::is_running);
        match row.state.is_done() && is_over && !waits {
            true => self.open.remove(&row.id),
            false => self.open.insert(row.id),
        };
        self.sales.insert(row.id, row);
    }

    pub(crate) fn drop_offer(&mut self, id: B256) {
        if let Some(row) = self.offers.remove(&id) {
            self.listed.remove(&(row.listed_ms, id));
            self.of_seller.entry(row.seller).or_default().retain(|one| *one != id);
        }
    }

    pub(crate) fn drop_sale(&mut self, id: B256) {
        if let Some(row) = self.sales.remove(&id) {
            self.open.remove(&id);
            for party in [row.seller, row.buyer] {
                self.of_party.entry(party).or_default().remove(&(row.heard_ms, id));
            }
        }
    }

    pub(crate) fn is_open(&self, sale: B256) -> bool {
        self.open.contains(&sale)
    }

    pub(crate) fn put_opt_out(&mut self, row: OptOutRow) {
        self.opt_outs.insert(row.subject, row);
    }

    pub(crate) fn offer(&self, id: B256) -> Option<&OfferRow> {
        self.offers.get(&id)
    }

    /// Newest first, those that were listed before a moment.
    pub(crate) fn offers_before(&self, before: (u64, B256)) -> impl Iterator<Item = &OfferRow> {
        let ids = self.listed.range(..before).rev().map(|(_, id)| id);
        ids.filter_map(|id| self.offers.get(id))
    }

    pub(crate) fn offers_of(&self, seller: Address) -> impl Iterator<Item = &OfferRow> {
        let own = self.of_seller.get(&seller).into_iter().flatten();
        own.filter_map(|id| self.offers.get(id))
    }

    /// Those of whose offers one can be bought at this time or later.
    pub(crate) fn sellers_at(&self, time_s: u64) -> Vec<Address> {
        let can_be =
            |id: &B256| self.offers.get(id).is_some_and(|offer| offer.expires_at_s >= time_s);
        let selling = self.of_seller.iter().filter(|(_, ids)| ids.iter().any(can_be));
        selling.map(|(seller, _)| *seller).collect()
    }

    pub(crate) fn sale(&self, id: B256) -> Option<&SaleRow> {
        self.sales.get(&id)
    }

    /// Those of a seller or buyer, newest first.
    pub(crate) fn sales_of(&self, party: Address) -> impl Iterator<Item = &SaleRow> {
        let own = self.of_party.get(&party).into_iter().flatten().rev();
        own.filter_map(|(_, id)| self.sales.get(id))
    }

    pub(crate) fn open(&self) -> impl Iterator<Item = &SaleRow> {
        self.open.iter().filter_map(|id| self.sales.get(id))
    }

    pub(crate) fn opt_out(&self, subject: Address) -> Option<OptOutRow> {
        self.opt_outs.get(&subject).copied()
    }
}
