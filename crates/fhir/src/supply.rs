//! The supply chain of one record: who held it, who passed it on to whom, what was made of it, and
//! whose signature says so. A pure function of entries, so that service, page and terminal draw the
//! same.
//!
//! **Two signatures, one line.** Both sides of a hand-over report it (IHE BALP
//! `PrivacyDisclosure.Source` and `.Recipient`) under one X-Request-Id. The recipient knows the
//! record by a name of its own, so the chain goes on under that. An id can be copied: only an entry
//! about the same person, by another organisation, in the other direction and within thirty days
//! confirms, and only the first such; whoever comes second stands alone.

use crate::derived::{Derivation, derivations};
use crate::event::Event;
use crate::json::Node;
use crate::reading::reading;
use crate::report::{RELAYED_VERSION, SHARED_VERSION};
use alloy_primitives::{Address, B256};
use medtrail_ledger::entry::Kind;
use medtrail_ledger::schema::Report;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};

/// The version this code writes.
pub const VERSION: &str = "medtrail/supply-chain-v1";
/// How long the other side of a hand-over has before it counts as silent.
pub const CONFIRM_MS: u64 = 24 * 3_600_000;
/// How far the two sides of one hand-over may lie apart.
pub const PAIR_MS_MAX: u64 = 30 * 24 * 3_600_000;

/// An entry of a person's trail.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Its place in the log.
    pub index: u64,
    /// Its commitment.
    pub commitment: B256,
    /// When the log received it.
    pub received_ms: u64,
    /// What was reported.
    pub report: &'a Report,
    /// Its details document.
    pub details: Option<&'a [u8]>,
    /// Nobody signed it: it is the operator's word.
    pub is_relayed: bool,
    /// The organisation whose word it is, by its id.
    pub organisation: Option<Address>,
}

/// All that is known of where a record came from and where it went.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SupplyChain {
    /// [`VERSION`].
    pub version: String,
    /// The record that was asked for.
    pub record: B256,
    /// Who held it, in the order in which they came to it.
    pub holders: Vec<Holder>,
    /// What happened, oldest first.
    pub steps: Vec<Step>,
}

/// An organisation that holds or held the record, under its own name for it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Holder {
    /// Its id; none: nobody knows whose key it was, or it is only named by another side.
    pub organisation: Option<Address>,
    /// Its name, or what another side called it.
    pub name: Option<String>,
    /// Its own id of the record; none: it has not reported any.
    pub record: Option<B256>,
    /// Since when, as far as it is told.
    pub since_ms: u64,
    /// From which holder it has it; none: its own, or nobody knows.
    pub from: Option<usize>,
    /// It has said itself that it holds it.
    pub is_confirmed: bool,
}

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum What {
    /// A record began.
    Created,
    /// It was changed.
    Changed,
    /// It was deleted.
    Deleted,
    /// It went from one holder to another.
    HandedOver,
}

/// Who has said so.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Confirmation {
    /// Only one could: whoever did it.
    OneSide,
    /// Both sides of a hand-over.
    BothSides,
    /// One side of a hand-over; the other has still time.
    Waiting,
    /// One side of a hand-over; the other side has not confirmed it in time.
    NotConfirmed,
}

/// One step, by one entry or by two.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// What happened.
    pub what: What,
    /// When, as reported, in milliseconds since 1970.
    pub at_ms: u64,
    /// Which holder did it, or gave it.
    pub by: usize,
    /// Which holder got it.
    pub to: Option<usize>,
    /// The entries that say so: of a hand-over the giver's first.
    pub lines: Vec<LineOf>,
    /// Who has said so.
    pub confirmation: Confirmation,
    /// SHA-256 of the bytes before; zero where that does not apply.
    pub from_version: B256,
    /// SHA-256 of the bytes after.
    pub to_version: B256,
    /// The permission that the entries name; none: none.
    pub permission: Option<B256>,
    /// The entry in which the log says that its person did not permit it.
    pub not_permitted: Option<u64>,
    /// What it was made of.
    pub derived_from: Vec<Derivation>,
}

/// An entry of a step.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LineOf {
    /// Its place in the log.
    pub index: u64,
    /// Its commitment.
    pub commitment: B256,
    /// The organisation signed it; else it is the operator's word.
    pub is_signed: bool,
}

/// An entry with what is read of it once.
struct Read<'a> {
    entry: Entry<'a>,
    name: Option<String>,
    counterpart: Option<String>,
    /// Of a hand-over: this side received.
    is_receiver: bool,
    request: Option<String>,
    derived_from: Vec<Derivation>,
}

/// The supply chain of `record`, from all changes, hand-overs and refusals of its person's trail in
/// the order of the log; what else stands there is passed over.
pub fn supply_chain(
    record: B256,
    entries: &[Entry<'_>],
    names: &dyn Fn(Address) -> Option<String>,
    now_ms: u64,
) -> SupplyChain {
    let refusals: HashMap<B256, u64> = entries
        .iter()
        .filter(|entry| Kind::from_number(entry.report.kind) == Kind::Refusal && entry.is_relayed)
        .map(|entry| (entry.report.permission, entry.index))
        .collect();
    let is_step = |entry: &&Entry<'_>| {
        matches!(Kind::from_number(entry.report.kind), Kind::Change | Kind::HandOver)
    };
    let read: Vec<Read<'_>> =
        entries.iter().filter(is_step).map(|entry| Read::of(*entry, names)).collect();
    let pairs = pairs(&read);
    let records = records(record, &read, &pairs);
    let mut made = Made { holders: Vec::new(), steps: Vec::new(), now_ms, refusals };
    for (place, one) in read.iter().enumerate() {
        let other = pairs.get(&place).map(|other| &read[*other]);
        let is_of = |one: &Read<'_>| records.contains(&one.entry.report.record);
        if !is_of(one) && !other.is_some_and(is_of) {
            continue;
        }
        // A pair is told where its first entry stands.
        if pairs.get(&place).is_some_and(|other| *other < place) {
            continue;
        }
        match Kind::from_number(one.entry.report.kind) {
            Kind::HandOver => made.hand_over(one, other),
            _ => made.change(one),
        }
    }
    let Made { holders, steps, .. } = made;
    SupplyChain { version: VERSION.to_owned(), record, holders, steps }
}

/// Which entries are the two sides of one hand-over.
fn pairs(read: &[Read<'_>]) -> HashMap<usize, usize> {
    let mut waiting: HashMap<&str, Vec<usize>> = HashMap::new();
    let mut pairs = HashMap::new();
    for (place, one) in read.iter().enumerate() {
        let is_hand_over = Kind::from_number(one.entry.report.kind) == Kind::HandOver;
        let Some(request) = one.request.as_deref().filter(|_| is_hand_over) else { continue };
        let open = waiting.entry(request).or_default();
        let fits = open.iter().position(|other| read[*other].is_other_side_of(one));
        match fits {
            Some(at) => {
                let other = open.remove(at);
                pairs.insert(place, other);
                pairs.insert(other, place);
            }
            None => open.push(place),
        }
    }
    pairs
}

/// By which ids its holders know the record.
fn records(record: B256, read: &[Read<'_>], pairs: &HashMap<usize, usize>) -> BTreeSet<B256> {
    let mut records = BTreeSet::from([record]);
    loop {
        let before = records.len();
        for (one, other) in pairs {
            let (one, other) = (read[*one].entry.report.record, read[*other].entry.report.record);
            if records.contains(&one) && !other.is_zero() {
                records.insert(other);
            }
        }
        if records.len() == before {
            return records;
        }
    }
}

impl<'a> Read<'a> {
    fn of(entry: Entry<'a>, names: &dyn Fn(Address) -> Option<String>) -> Self {
        let facts = reading(entry.report, entry.details, entry.is_relayed, names);
        let request = entry.details.and_then(request_of);
        Self {
            name: facts.organisation,
            counterpart: facts.counterpart,
            is_receiver: facts.verb == "receive",
            request,
            derived_from: entry.details.map(derivations).unwrap_or_default(),
            entry,
        }
    }

    fn who(&self) -> Option<Address> {
        // The actor of what was relayed is the operator: nobody's signature.
        self.entry.organisation.or((!self.entry.is_relayed).then_some(self.entry.report.actor))
    }

    fn is_other_side_of(&self, other: &Read<'_>) -> bool {
        let apart = self.entry.received_ms.abs_diff(other.entry.received_ms);
        self.is_receiver != other.is_receiver
            && self.who().is_some()
            && other.who().is_some()
            && self.who() != other.who()
            && apart <= PAIR_MS_MAX
    }

    fn line(&self) -> LineOf {
        let Entry { index, commitment, is_relayed, .. } = self.entry;
        LineOf { index, commitment, is_signed: !is_relayed }
    }
}

struct Made {
    holders: Vec<Holder>,
    steps: Vec<Step>,
    now_ms: u64,
    refusals: HashMap<B256, u64>,
}

impl Made {
    /// The holder that made an entry, and whether it is new.
    fn holder(&mut self, one: &Read<'_>) -> usize {
        let (who, record) = (one.who(), one.entry.report.record);
        let record = (!record.is_zero()).then_some(record);
        let known = self.holders.iter().position(|holder| {
            holder.is_confirmed
                && holder.organisation == who
                && (holder.record == record || record.is_none())
        });
        known.unwrap_or_else(|| {
            self.holders.push(Holder {
                organisation: who,
                name: one.name.clone(),
                record,
                since_ms: one.entry.report.timeMs,
                from: None,
                is_confirmed: true,
            });
            self.holders.len() - 1
        })
    }

    /// Somebody whom only the other side has named.
    fn named(&mut self, name: Option<String>, since_ms: u64) -> usize {
        self.holders.push(Holder {
            organisation: None,
            name,
            record: None,
            since_ms,
            from: None,
            is_confirmed: false,
        });
        self.holders.len() - 1
    }

    fn change(&mut self, one: &Read<'_>) {
        let report = one.entry.report;
        let what = match (report.action, report.fromVersion.is_zero(), report.toVersion.is_zero()) {
            (b'C', ..) => What::Created,
            (b'D', ..) => What::Deleted,
            (b'U', ..) => What::Changed,
            (_, true, false) => What::Created,
            (_, false, true) => What::Deleted,
            _ => What::Changed,
        };
        let by = self.holder(one);
        self.push(what, by, None, &[one], Confirmation::OneSide);
    }

    fn hand_over(&mut self, one: &Read<'_>, other: Option<&Read<'_>>) {
        let (giver, receiver) = match (one.is_receiver, other) {
            (true, other) => (other, Some(one)),
            (false, other) => (Some(one), other),
        };
        let since_ms = one.entry.report.timeMs;
        let told = |read: Option<&Read<'_>>| read.and_then(|read| read.counterpart.clone());
        let by = match giver {
            Some(giver) => self.holder(giver),
            None => self.named(told(receiver), since_ms),
        };
        let to = match receiver {
            Some(receiver) => self.holder(receiver),
            None => self.named(told(giver), since_ms),
        };
        // Who made it has it from nobody, also where it comes back later.
        let is_its_own = self.steps.iter().any(|step| step.by == to || step.to == Some(to));
        if by != to && !is_its_own {
            self.holders[to].from = Some(by);
        }
        let waited_ms = self.now_ms.saturating_sub(one.entry.received_ms);
        let confirmation = match other {
            Some(_) => Confirmation::BothSides,
            None if waited_ms < CONFIRM_MS => Confirmation::Waiting,
            None => Confirmation::NotConfirmed,
        };
        let lines: Vec<&Read<'_>> = giver.into_iter().chain(receiver).collect();
        self.push(What::HandedOver, by, Some(to), &lines, confirmation);
    }

    fn push(
        &mut self,
        what: What,
        by: usize,
        to: Option<usize>,
        read: &[&Read<'_>],
        confirmation: Confirmation,
    ) {
        let first = read[0].entry.report;
        let last = read[read.len() - 1].entry.report;
        let shown = |one: B256, other: B256| if one.is_zero() { other } else { one };
        let permissions = read.iter().map(|one| one.entry.report.permission);
        let refused = read.iter().filter_map(|one| self.refusals.get(&one.entry.commitment));
        let mut derived_from: Vec<Derivation> = Vec::new();
        for one in read.iter().flat_map(|one| &one.derived_from) {
            if !derived_from.contains(one) {
                derived_from.push(one.clone());
            }
        }
        let step = Step {
            what,
            at_ms: first.timeMs,
            by,
            to,
            lines: read.iter().map(|one| one.line()).collect(),
            confirmation,
            from_version: first.fromVersion,
            to_version: shown(first.toVersion, last.toVersion),
            permission: permissions.into_iter().find(|id| !id.is_zero()),
            not_permitted: refused.into_iter().next().copied(),
            derived_from,
        };
        self.steps.push(step);
    }
}

/// The X-Request-Id that a details document tells.
fn request_of(details: &[u8]) -> Option<String> {
    let tree = Node::parse(details).ok()?;
    match tree.text("version") {
        Some(RELAYED_VERSION) => {
            let inner = Node::parse(tree.text("document")?.as_bytes()).ok()?;
            request_in(&inner)
        }
        _ => request_in(&tree),
    }
}

fn request_in(tree: &Node<'_>) -> Option<String> {
    let tree = match tree.text("version") {
        Some(SHARED_VERSION) => tree.get("event")?,
        _ => tree,
    };
    let is_event = tree.text("resourceType") == Some("AuditEvent");
    let request = is_event.then(|| Event::of(tree).x_request_id).flatten();
    request.filter(|request| !request.is_empty())
}
