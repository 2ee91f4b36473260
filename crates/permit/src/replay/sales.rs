//! Looks of buyers, by the order that they name. The order and the description of its data come from
//! the trail's own lines, which say nothing that the order's id does not bind; whether and when it
//! was settled comes from the market, never from the log.
//!
//! What only the bytes tell (codes, period, origin, marks that no line has) nobody judges here: data
//! are taken as what was sold as far as the log does not say otherwise.

use super::deliveries::Download;
use super::readings::{EDGE_MS, VAULT_MS};
use super::safe::{InVault, Unpermitted};
use super::{Replay, Standing, WHOLE_MAX, tell};
use crate::confidentiality::Confidentiality;
use crate::dataset::Dataset;
use crate::papers::SaleLine;
use crate::permits::{Act, Data, Granted, Refusal, Sold, Verdict, World};
use crate::sale::{Market, Order};
use crate::scopes::{Interactions, SECURITY, Scope};
use alloy_primitives::{Address, B256};
use medtrail_ledger::audit::Flaw;
use medtrail_ledger::audit::content::Opened;
use medtrail_ledger::audit::evidence::OpenedEntry;
use medtrail_ledger::entry::{Kind, details_hash};
use medtrail_ledger::proof::Evidence;
use medtrail_ledger::vault::ReadDetails;
use std::collections::HashMap;

/// How the market shows an order at the audit's final block. Times are those of blocks, in seconds;
/// all none: it has never heard of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OrderSeen {
    /// When it was paid for.
    pub paid_s: Option<u64>,
    /// When it was settled.
    pub settled_s: Option<u64>,
    /// When the money went back.
    pub refunded_s: Option<u64>,
    /// When its seller ended the access.
    pub revoked_s: Option<u64>,
    /// What opened the delivery's lock, as whoever settled showed it.
    pub key: Option<B256>,
}

/// An order, as a line of its seller's trail tells it.
pub(super) struct Told {
    pub(super) order: Order,
    /// The exact text of the description.
    pub(super) dataset: String,
    /// When the log received that its seller wants what was delivered deleted.
    withdrawn_ms: Option<u64>,
}

/// What is known of orders, by their ids.
#[derive(Default)]
pub(super) struct Sales {
    told: HashMap<B256, Told>,
    seen: HashMap<B256, OrderSeen>,
}

impl Sales {
    pub(super) fn seen(&self, order: B256) -> Option<&OrderSeen> {
        self.seen.get(&order)
    }

    pub(super) fn told(&self, order: B256) -> Option<&Told> {
        self.told.get(&order)
    }

    /// An order as [`permits`](crate::permits::permits) takes it, with what ended its access: on the
    /// market until `clock_ms`, in the log until `log_ms`.
    fn sold(&self, id: B256, clock_ms: u64, log_ms: u64) -> Option<Sold> {
        let (told, seen) = (self.told(id)?, self.seen(id).copied().unwrap_or_default());
        let on_chain = seen.revoked_s.filter(|at_s| at_s.saturating_mul(1000) <= clock_ms);
        let in_log = told.withdrawn_ms.filter(|at_ms| *at_ms <= log_ms);
        Some(Sold {
            order: told.order.clone(),
            dataset: told.dataset.clone(),
            settled: seen.settled_s.map(|at_s| Granted { at_s, is_final: true }),
            revoked_s: on_chain.into_iter().chain(in_log.map(|at_ms| at_ms / 1000)).min(),
        })
    }
}

/// The order that an entry names as what it was done by; none: it is neither a look under one nor a
/// delivery, nor a download of one.
fn order_of(entry: &Opened) -> Option<B256> {
    let named = Some(entry.report.permission).filter(|id| !id.is_zero());
    match Kind::from_number(entry.report.kind) {
        Kind::Delivery => named,
        // Whoever signs a look names a document, and people's own sessions name nothing.
        Kind::Access if entry.evidence == Evidence::Relayed => {
            let is_look = || InVault::of(entry) == Some(InVault::Look);
            named.filter(|_| is_look() || Download::of(entry).is_some())
        }
        _ => None,
    }
}

/// Whether the vault would have done it by an order.
pub(super) fn is_by_order(act: &Act) -> bool {
    act.in_vault
        && act.signer.is_none()
        && Kind::from_number(act.report.kind) == Kind::Access
        && !act.report.permission.is_zero()
}

/// What is wrong with a look that an order does not permit.
fn flaw(reason: Refusal) -> Flaw {
    match reason {
        // Nobody has shown such an order, and the market has not settled one of this id.
        Refusal::UnknownDocument
        | Refusal::NotSettled
        | Refusal::NotFinal
        | Refusal::NotYetGiven => Flaw::LookNotSettled,
        Refusal::Expired | Refusal::Revoked | Refusal::WrongEpoch => Flaw::LookAfterEnd,
        Refusal::WrongGrantee => Flaw::LookByOther,
        Refusal::WrongSubject
        | Refusal::WrongScope
        | Refusal::MarkNotNamed
        | Refusal::NoPurpose
        | Refusal::WrongPurpose
        | Refusal::DeliveryOnly => Flaw::LookOutOfScope,
        _ => Flaw::VaultUnpermitted,
    }
}

/// Data of which the log says this, as they may be by their bytes: these may say more, and an
/// honest look was at something that was sold.
fn as_sold(told: &Data, dataset: &Dataset) -> Data {
    let code = dataset.codes().first().map(|code| format!("code={code}"));
    let fits = |scope: &Scope| {
        let mut data = told.clone();
        data.parameters.extend(code.clone());
        match &scope.parameter {
            Some(one) if one.name == SECURITY => mark(&mut data, &one.value),
            Some(one) => data.parameters.push(format!("{}={}", one.name, one.value)),
            None => {}
        }
        let look = Interactions::READ.and(Interactions::SEARCH);
        scope.allows(look, &data).then_some(data)
    };
    dataset.scopes().iter().find_map(fits).unwrap_or_else(|| told.clone())
}

fn mark(data: &mut Data, name: &str) {
    let level = match name {
        "V" => Confidentiality::V,
        "R" => Confidentiality::R,
        _ if data.topics.iter().any(|topic| topic == name) => return,
        _ => return data.topics.push(name.to_owned()),
    };
    data.confidentiality = data.confidentiality.max(Some(level));
}

impl Replay<'_> {
    /// Which order of the market must be told before this entry is followed; none: none, or it was.
    pub fn asks_order(&self, entry: &Opened) -> Option<B256> {
        self.setting.market?;
        let is_new = |id: &B256| !self.sales.seen.contains_key(id) && !self.calls.knows(*id);
        order_of(entry).filter(is_new)
    }

    /// Tells how the market shows an order at the audit's final block.
    pub fn tell_order(&mut self, order: B256, seen: OrderSeen) {
        self.sales.seen.insert(order, seen);
    }

    /// What a line of a sale says of its order. It is known by the id that follows from it: a line
    /// that calls another document so tells nothing of that order.
    pub(super) fn hear_of_sale(&mut self, entry: &Opened) {
        let Some(market) = self.setting.market else { return };
        let is_of_sale = Kind::from_number(entry.report.kind) == Kind::Sale;
        if !is_of_sale || entry.evidence != Evidence::Relayed {
            return;
        }
        let details = entry.details.as_deref().unwrap_or_default();
        let Some(SaleLine { act, order, dataset }) = SaleLine::read(details) else { return };
        let id = order.id(&market);
        let named = order.offer.terms.dataset;
        let is_its = details_hash(dataset.as_bytes()) == named;
        let fresh = || Told { order, dataset: dataset.clone(), withdrawn_ms: None };
        let told = self.sales.told.entry(id).or_insert_with(fresh);
        // Another description in an earlier line hides nothing.
        if is_its && told.dataset != dataset {
            told.dataset = dataset;
        }
        if act == "withdrawn" {
            told.withdrawn_ms.get_or_insert(entry.place.receivedMs);
        }
    }

    /// The worlds that a look by an order may be judged in: the first by all that is known, the
    /// other without what its seller ended so close before that the log may not have seen it.
    pub(super) fn with_sale(&self, act: &Act, world: World) -> Vec<World> {
        let id = act.report.permission;
        let known = self.sales.sold(id, u64::MAX, u64::MAX);
        let before = |edge_ms: u64| act.received_ms.saturating_sub(edge_ms);
        let kinder = self.sales.sold(id, before(EDGE_MS), before(VAULT_MS));
        let all = if kinder == known { vec![known] } else { vec![known, kinder] };
        let with = |sold: Option<Sold>| {
            let sales = sold.into_iter().collect();
            World { market: self.setting.market, sales, ..world.clone() }
        };
        all.into_iter().map(with).collect()
    }

    /// By which market and sale an act was judged, if by any.
    pub(super) fn judged_by(&self, act: &Act) -> (Option<Market>, Vec<Sold>) {
        let sold = self.sales.sold(act.report.permission, u64::MAX, u64::MAX);
        match sold {
            Some(sold) => (self.setting.market, vec![sold]),
            None if is_by_order(act) => (self.setting.market, Vec::new()),
            None => (None, Vec::new()),
        }
    }

    /// A look under an order.
    pub(super) fn take_bought(&mut self, entry: &Opened, mut act: Act) {
        self.found.sale_looks += 1;
        let id = act.report.permission;
        self.both.insert(act.commitment);
        let Some(seen) = self.sales.seen(id).filter(|_| self.setting.market.is_some()) else {
            self.found.sale_no_market += 1;
            return;
        };
        let told = self.sales.told(id);
        if told.is_none() && seen.settled_s.is_some() {
            self.found.sale_not_told += 1;
            return;
        }
        let read = ReadDetails::read(entry.details.as_deref().unwrap_or_default()).ok();
        act.party = read.and_then(|read| read.reader).into_iter().collect::<Vec<Address>>();
        let dataset = told.and_then(|told| Dataset::parse(told.dataset.as_bytes()).ok());
        let known = act.need.data.first().filter(|data| data.resource.is_some());
        let known = known.zip(dataset.as_ref()).map(|(data, dataset)| as_sold(data, dataset));
        let is_known = known.is_some();
        // What a list showed, or what nobody told, is no data to hold against anybody.
        act.need.is_search |= !is_known;
        act.need.data = known.into_iter().collect();
        let (standing, verdict) = self.standing(&act, act.received_ms);
        let (flaw, reason) = match verdict {
            Verdict::DoesNotCount { reason, .. } => (flaw(reason), tell::word(reason)),
            Verdict::Unconfirmed { reason, .. } => (Flaw::VaultUnpermitted, tell::word(reason)),
            Verdict::Counts { .. } => (Flaw::VaultUnpermitted, String::new()),
        };
        match standing {
            Standing::Refused(_) | Standing::Unconfirmed => {
                let details = entry.details.as_deref();
                let shown = (self.unpermitted.len() < WHOLE_MAX)
                    .then(|| (OpenedEntry::from(entry), self.judged(&act, details, &verdict)));
                let (index, subject) = (act.index, act.report.subject);
                let one = Unpermitted { index, flaw, reason, subject, order: Some(id), shown };
                self.unpermitted.insert(act.commitment, one);
            }
            Standing::Counts => {
                self.found.sale_looks_permitted += 1;
                self.found.sale_looks_data_not_told += u64::from(!is_known);
            }
            Standing::Both => self.found.both += 1,
        }
    }
}
