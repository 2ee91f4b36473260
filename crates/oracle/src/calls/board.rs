//! Calls and acceptances as they are now, by what they are looked up by. Every change is durable
//! before it shows here.

use alloy_primitives::{Address, B256, U256, keccak256};
use medtrail_ledger::directory::{AcceptanceRow, CallRow, CallState, Contents};
use std::collections::{BTreeSet, HashMap};

/// The rows of the directory that are about calls.
#[derive(Default)]
pub(crate) struct Board {
    calls: HashMap<B256, CallRow>,
    /// By when they were heard of.
    heard: BTreeSet<(u64, B256)>,
    of_buyer: HashMap<Address, BTreeSet<B256>>,
    acceptances: HashMap<B256, AcceptanceRow>,
    of_call: HashMap<B256, BTreeSet<B256>>,
    of_seller: HashMap<Address, BTreeSet<B256>>,
    /// Those with something left to do.
    open: BTreeSet<B256>,
}

impl Board {
    pub(crate) fn of(contents: &mut Contents) -> Self {
        let mut board = Self::default();
        std::mem::take(&mut contents.calls).into_iter().for_each(|row| board.put_call(row));
        let acceptances = std::mem::take(&mut contents.acceptances);
        acceptances.into_iter().for_each(|row| board.put_acceptance(row));
        board
    }

    pub(crate) fn put_call(&mut self, row: CallRow) {
        let id = row.id;
        self.heard.insert((row.heard_ms, id));
        self.of_buyer.entry(row.buyer).or_default().insert(id);
        self.calls.insert(id, row);
        self.sort(id);
    }

    pub(crate) fn put_acceptance(&mut self, row: AcceptanceRow) {
        let call = row.call;
        self.of_call.entry(call).or_default().insert(row.id);
        self.of_seller.entry(row.seller).or_default().insert(row.id);
        self.acceptances.insert(row.id, row);
        self.sort(call);
    }

    pub(crate) fn drop_call(&mut self, id: B256) {
        if let Some(row) = self.calls.remove(&id) {
            self.heard.remove(&(row.heard_ms, id));
            self.of_buyer.entry(row.buyer).or_default().remove(&id);
            self.open.remove(&id);
        }
    }

    pub(crate) fn drop_acceptance(&mut self, id: B256) {
        if let Some(row) = self.acceptances.remove(&id) {
            self.of_call.entry(row.call).or_default().remove(&id);
            self.of_seller.entry(row.seller).or_default().remove(&id);
            self.sort(row.call);
        }
    }

    /// Notes whether something is left to do: a call that is not closed or not at its
    /// end, or an entry that is owed.
    fn sort(&mut self, id: B256) {
        let is_closed = self.calls.get(&id).is_none_or(|row| {
            matches!(row.state, CallState::Closed { .. }) && row.delivery.is_done()
        });
        let is_told = self
            .acceptances_of(id)
            .all(|row| row.accepted_entry.is_some() && row.ended_entry.is_some());
        let is_asked =
            |row: &AcceptanceRow| row.withdrawal.as_ref().is_some_and(|one| one.asked.is_running());
        let is_told = is_told && !self.acceptances_of(id).any(is_asked);
        match is_closed && is_told {
            true => self.open.remove(&id),
            false => self.open.insert(id),
        };
    }

    pub(crate) fn call(&self, id: B256) -> Option<&CallRow> {
        self.calls.get(&id)
    }

    /// Newest first, those that were heard of before a moment.
    pub(crate) fn calls_before(&self, before: (u64, B256)) -> impl Iterator<Item = &CallRow> {
        let ids = self.heard.range(..before).rev().map(|(_, id)| id);
        ids.filter_map(|id| self.calls.get(id))
    }

    pub(crate) fn calls_of(&self, buyer: Address) -> impl Iterator<Item = &CallRow> {
        let own = self.of_buyer.get(&buyer).into_iter().flatten();
        own.filter_map(|id| self.calls.get(id))
    }

    pub(crate) fn acceptance(&self, id: B256) -> Option<&AcceptanceRow> {
        self.acceptances.get(&id)
    }

    /// All of a call, also those that were taken back.
    pub(crate) fn acceptances_of(&self, call: B256) -> impl Iterator<Item = &AcceptanceRow> {
        let own = self.of_call.get(&call).into_iter().flatten();
        own.filter_map(|id| self.acceptances.get(id))
    }

    /// All of a seller, also those that were taken back.
    pub(crate) fn acceptances_by(&self, seller: Address) -> impl Iterator<Item = &AcceptanceRow> {
        let own = self.of_seller.get(&seller).into_iter().flatten();
        own.filter_map(|id| self.acceptances.get(id))
    }

    /// A place that nobody has; none if all are taken. The same for a seller as long as nobody takes
    /// or frees one, and of two who ask at once seldom the same: nothing is kept for who asks.
    pub(crate) fn free_place(&self, call: B256, places: u32, seller: Address) -> Option<u32> {
        let living = self.acceptances_of(call).filter(|row| row.withdrawn_ms.is_none());
        let taken: BTreeSet<u32> = living.map(|row| row.place).collect();
        let free: Vec<u32> = (0..places).filter(|place| !taken.contains(place)).collect();
        let drawn = keccak256([call.as_slice(), seller.as_slice()].concat());
        let count = U256::from(free.len());
        let which = U256::from_be_bytes(drawn.0).checked_rem(count)?;
        free.get(usize::try_from(which).ok()?).copied()
    }

    pub(crate) fn open(&self) -> impl Iterator<Item = &CallRow> {
        self.open.iter().filter_map(|id| self.calls.get(id))
    }
}
