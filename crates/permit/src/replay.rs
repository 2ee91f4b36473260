//! Judges every change of a whole log again, from its entries and the chain alone, and holds the
//! answers against what the log told its people. One more [`InOrder`] of an audit.
//!
//! - A change that does not count and that no refusal names: the operator's fault. Once a refusal
//!   stands, early or late, it is told.
//! - A refusal that names a change which counted: the operator's fault too, unless somebody could
//!   honestly have said so when it was made.
//! - A change that names a permission which does not cover it: whoever reported it is named.
//! - An emergency change about which nobody answered in 30 days has a line that says so, and none
//!   that was answered has.
//! - What happened in the log's own vault must have been permitted: there it is asked for before.
//!
//! - A look of a buyer, and a delivery, must fit the order or the acceptance that it names as the
//!   market shows it.
//!
//! What the engine wrote about itself is not believed: refusals are compared, never used. In memory
//! stand the documents of each trail, orders that were sold, deliveries, what each record of the
//! vault is, and changes that no refusal has told or no person confirmed; what was permitted is
//! forgotten.

mod acts;
mod calls;
mod deliveries;
mod organisations;
mod pseudonyms;
mod readings;
mod refusals;
mod safe;
mod sales;
mod silence;
mod tell;

pub use calls::CallSeen;
pub use readings::EDGE_MS;
pub use sales::OrderSeen;
pub use tell::{Found, OfOne};

use crate::documents::Registries;
use crate::papers::Papers;
use crate::permits::{Act, Need, Refusal, Verdict};
use crate::sale::Market;
use crate::sale::cohort::CohortMarket;
use acts::{Named, act, is_replayed, line, party};
use alloy_primitives::{Address, B256};
use calls::Calls;
use deliveries::{Delivery, Download};
use medtrail_ledger::audit::content::Opened;
use medtrail_ledger::audit::evidence::{Judged, OpenedEntry};
use medtrail_ledger::audit::order::InOrder;
use medtrail_ledger::audit::{Check, Fault, Tally};
use medtrail_ledger::consents::ConsentRecord;
use medtrail_ledger::entry::{Kind, address_of};
use medtrail_ledger::proof::Evidence;
use medtrail_ledger::schema::Report;
use medtrail_ledger::trust::TrustFile;
use organisations::Organisations;
use pseudonyms::{Pseudonyms, is_pseudonym};
use readings::Readings;
use safe::{InVault, Safe, Unpermitted};
use sales::{Sales, is_by_order};
use silence::Clocks;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::convert::Infallible;

/// Changes that no refusal has told yet whose entries are kept whole, for the evidence.
const WHOLE_MAX: usize = 4096;
/// Changes that counted and are kept a while, for the same.
const COUNTED_MAX: usize = 4096;

/// What a replay is told beside the log.
pub struct Setting<'a> {
    /// Whose documents count.
    pub registries: Registries,
    /// The market whose orders may be permissions; none: what names one is counted, and judged by
    /// nobody.
    pub market: Option<Market>,
    /// The market whose calls to many may be; none: likewise.
    pub cohort_market: Option<CohortMarket>,
    /// Who may report.
    pub trust: &'a TrustFile,
    /// What an act needs a permission for, from its report and its details document.
    pub need: fn(&Report, Option<&[u8]>) -> Need,
    /// The time of the newest final block: what happened later the chain may still tell otherwise.
    pub final_ms: u64,
    /// How long a log may take to tell that a change was not permitted.
    pub grace_ms: u64,
}

/// The replay.
pub struct Replay<'a> {
    setting: Setting<'a>,
    organisations: Organisations<'a>,
    pseudonyms: Pseudonyms,
    trails: HashMap<B256, Trail>,
    /// Changes of the millisecond that the log's clock shows: what else comes in it may decide.
    young: Vec<Change>,
    /// Those that did not count or wait for their person, by their commitments.
    open: BTreeMap<B256, Change>,
    /// Those for which both answers are honest.
    both: HashSet<B256>,
    /// The first entry by which the log says that it judges changes about people without a key.
    pseudonyms_from: Option<u64>,
    /// How long people are asked about emergency changes.
    clocks: Clocks,
    /// What lies in the log's vault.
    safe: Safe,
    /// Orders, as the log tells them and as the market shows them.
    sales: Sales,
    /// Calls to many, likewise.
    calls: Calls,
    /// Deliveries so far.
    deliveries: Vec<Delivery>,
    /// What happened there without a permission, by commitment, unless a refusal takes it back.
    unpermitted: BTreeMap<B256, Unpermitted>,
    /// The newest that counted, for the evidence against a refusal of one.
    counted: VecDeque<Act>,
    now_ms: u64,
    found: Found,
    has_fault: bool,
    evidence: Option<(OpenedEntry, Box<Judged>)>,
}

#[derive(Default)]
struct Trail {
    papers: Papers<Named>,
    /// None: nobody has asked for it yet.
    chain: Option<Vec<ConsentRecord>>,
}

/// A change that was judged.
struct Change {
    act: Act,
    organisation: Option<Address>,
    standing: Standing,
    /// Documents that stood in the trail then.
    documents: usize,
    entry: Option<Box<Opened>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Counts,
    Unconfirmed,
    Refused(Refusal),
    /// Both answers are honest.
    Both,
}

impl<'a> Replay<'a> {
    /// Of a log in this setting.
    pub fn new(setting: Setting<'a>) -> Self {
        Self {
            organisations: Organisations::new(setting.trust),
            setting,
            pseudonyms: Pseudonyms::default(),
            trails: HashMap::new(),
            young: Vec::new(),
            open: BTreeMap::new(),
            both: HashSet::new(),
            pseudonyms_from: None,
            clocks: Clocks::default(),
            safe: Safe::default(),
            sales: Sales::default(),
            calls: Calls::default(),
            deliveries: Vec::new(),
            unpermitted: BTreeMap::new(),
            counted: VecDeque::new(),
            now_ms: 0,
            found: Found::default(),
            has_fault: false,
            evidence: None,
        }
    }

    /// Whose records on the chain must be told before this entry is followed; none: nobody's, or
    /// they were.
    pub fn asks(&self, entry: &Opened) -> Option<Address> {
        let subject = address_of(entry.report.subject).filter(|_| is_replayed(entry))?;
        let is_known = self.trails.get(&entry.report.subject).is_some_and(|t| t.chain.is_some());
        (!is_known).then_some(subject)
    }

    /// Tells all that the consent registry has recorded about somebody, in the order of the chain,
    /// up to its newest final block.
    pub fn tell(&mut self, subject: Address, records: Vec<ConsentRecord>) {
        self.trails.entry(subject.into_word()).or_default().chain = Some(records);
    }

    /// What was found.
    pub fn found(&self) -> &Found {
        &self.found
    }

    /// The entry of the first fault of permissions, and all that it was judged by.
    pub fn evidence(self) -> Option<(OpenedEntry, Box<Judged>)> {
        self.evidence
    }

    /// Documents of a trail, and changes that name one.
    fn file(&mut self, entry: &Opened) {
        let kind = Kind::from_number(entry.report.kind);
        let names = kind == Kind::Change && !entry.report.permission.is_zero();
        let ends = match kind {
            Kind::Binding => entry.evidence != Evidence::Relayed,
            Kind::Erasure => entry.evidence == Evidence::Relayed,
            _ => false,
        };
        if !names && !ends && kind != Kind::Permission {
            return;
        }
        let party = party(entry, self.organisations.reporter_of(entry));
        let trail = self.trails.entry(entry.report.subject).or_default();
        trail.papers.take(line(entry), &self.setting.registries, || Named {
            index: entry.index,
            subject: entry.report.subject,
            record: entry.report.record,
            from: entry.report.fromVersion,
            to: entry.report.toVersion,
            party,
        });
    }

    /// How an act stands by what is known at `now_ms`.
    fn judge(&mut self, act: &Act, now_ms: u64) -> Readings {
        let registries = &self.setting.registries;
        let mut nothing = Trail::default();
        // Most people without an address have no document: nothing is kept of them.
        let trail = self.trails.get_mut(&act.report.subject).unwrap_or(&mut nothing);
        let settled =
            trail.papers.settle(registries, |named| Ok::<_, Infallible>(Some(named.act())));
        settled.unwrap_or_else(|never| match never {});
        let before = before(act);
        let mut world = trail.papers.world_before(before, registries.clone(), Default::default());
        let is_silent = world.documents.is_empty();
        world.pseudonyms = self.pseudonyms.of(act.report.subject, &self.organisations, is_silent);
        let subject = Address::from_word(act.report.subject);
        let chain = self.trails.get(&act.report.subject).and_then(|trail| trail.chain.as_deref());
        let worlds = if is_by_order(act) { self.with_sale(act, world) } else { vec![world] };
        Readings::of(act, worlds, subject, chain.unwrap_or_default(), now_ms)
    }

    /// The chain may still tell otherwise. Of a pseudonym it tells nothing.
    fn is_too_new(&self, act: &Act) -> bool {
        !is_pseudonym(act.report.subject)
            && act.received_ms.saturating_add(EDGE_MS) > self.setting.final_ms
    }

    fn standing(&mut self, act: &Act, now_ms: u64) -> (Standing, Verdict) {
        let read = self.judge(act, now_ms);
        let standing = match &read.verdict {
            _ if self.is_too_new(act) || self.is_unknown(act.report.subject) => Standing::Both,
            Verdict::DoesNotCount { reason, .. } if read.is_refused() => Standing::Refused(*reason),
            _ if read.may_be_refused() => Standing::Both,
            Verdict::Unconfirmed { .. } if act.in_vault && read.may_count() => Standing::Both,
            Verdict::Unconfirmed { .. } => Standing::Unconfirmed,
            _ => Standing::Counts,
        };
        (standing, read.verdict)
    }

    fn take_act(&mut self, entry: &Opened, tally: &mut Tally) {
        let subject = entry.report.subject;
        if subject.is_zero() {
            self.found.without_key +=
                u64::from(Kind::from_number(entry.report.kind) == Kind::Change);
            return;
        }
        tally.count(Check::Permissions, 1);
        self.found.unknown_keeper += u64::from(self.is_unknown(subject));
        let organisation = self.organisations.reporter_of(entry);
        let need = (self.setting.need)(&entry.report, entry.details.as_deref());
        let act = act(entry, organisation, need);
        if let Some(what) = InVault::of(entry) {
            return self.take_in_vault(what, entry, act);
        }
        if is_pseudonym(subject) {
            return self.take_keyless(entry, act, organisation);
        }
        let (standing, _) = self.standing(&act, act.received_ms);
        self.found.changes += 1;
        let documents = self.documents(&act);
        let may_be_shown = matches!(standing, Standing::Refused(_) | Standing::Unconfirmed);
        let whole = if may_be_shown { self.kept_whole(entry) } else { None };
        self.young.push(Change { act, organisation, standing, documents, entry: whole });
    }

    /// An entry that may have to be shown.
    fn kept_whole(&self, entry: &Opened) -> Option<Box<Opened>> {
        (self.open.len() < WHOLE_MAX).then(|| Box::new(entry.clone()))
    }

    fn documents(&self, act: &Act) -> usize {
        let trail = self.trails.get(&act.report.subject);
        trail.map_or(0, |trail| trail.papers.documents().len())
    }

    /// The log's clock moves on: nothing more comes in the millisecond of the young.
    fn age(&mut self, now_ms: u64) {
        if now_ms <= self.now_ms {
            return;
        }
        self.now_ms = now_ms;
        self.settle_young();
        self.clocks.age(now_ms);
    }

    fn settle_young(&mut self) {
        for mut change in std::mem::take(&mut self.young) {
            if self.documents(&change.act) > change.documents {
                let (again, _) = self.standing(&change.act, change.act.received_ms);
                let is_refused = |one: Standing| matches!(one, Standing::Refused(_));
                if is_refused(again) != is_refused(change.standing) {
                    change.standing = Standing::Both;
                }
            }
            self.settle(change);
        }
    }

    fn settle(&mut self, change: Change) {
        match change.standing {
            Standing::Counts => self.count(change.act),
            Standing::Both => {
                self.found.both += 1;
                self.both.insert(change.act.commitment);
            }
            Standing::Unconfirmed => {
                self.found.unconfirmed += 1;
                self.begin_clock(&change.act);
                self.open.insert(change.act.commitment, change);
            }
            Standing::Refused(reason) => {
                self.name(&change, reason);
                self.open.insert(change.act.commitment, change);
            }
        }
    }

    fn count(&mut self, act: Act) {
        self.found.permitted += 1;
        if self.counted.len() >= COUNTED_MAX {
            self.counted.pop_front();
        }
        self.counted.push_back(act);
    }

    fn name(&mut self, change: &Change, reason: Refusal) {
        self.found.refused += 1;
        let id = change.organisation.unwrap_or(change.act.report.actor);
        let name = self.organisations.name_of(id);
        self.found.of_one(id, name, &change.act, reason);
    }

    /// Keeps what shows the first fault.
    fn fault(&mut self, fault: Fault, shown: Option<(OpenedEntry, Judged)>, tally: &mut Tally) {
        if !self.has_fault {
            self.has_fault = true;
            self.evidence = shown.map(|(entry, judged)| (entry, Box::new(judged)));
        }
        tally.fault(fault);
    }
}

/// Of what stands from this entry on an act is not judged. About a pseudonym no chain is asked, so
/// that the answer is the one that was to be had at its place, however late it is given.
fn before(act: &Act) -> u64 {
    if is_pseudonym(act.report.subject) { act.index } else { u64::MAX }
}

impl InOrder for Replay<'_> {
    fn opened(&mut self, entry: &Opened, tally: &mut Tally) {
        self.age(entry.place.receivedMs);
        self.organisations.hear(entry);
        self.hear_of_judging(entry);
        let trail = self.trails.get(&entry.report.subject);
        let documents = trail.map_or(&[][..], |trail| trail.papers.documents());
        let registries = &self.setting.registries;
        self.pseudonyms.hear(entry, &self.organisations, documents, registries);
        self.file(entry);
        self.hear_of_sale(entry);
        self.hear_of_call(entry);
        match Kind::from_number(entry.report.kind) {
            _ if is_replayed(entry) => self.take_act(entry, tally),
            Kind::Refusal => self.take_refusal(entry, tally),
            Kind::Question => self.take_silence(entry, tally),
            Kind::Delivery => self.take_delivery(entry, tally),
            Kind::Access if Download::of(entry).is_some() => self.take_delivery(entry, tally),
            Kind::Erasure => self.safe.forget(entry.report.subject),
            _ => {}
        }
    }

    fn finish(&mut self, tally: &mut Tally) {
        let end_ms = self.now_ms;
        self.settle_young();
        self.clocks.age(end_ms);
        self.end_unpermitted(tally);
        self.end_deliveries(tally);
        let mut open: Vec<Change> = std::mem::take(&mut self.open).into_values().collect();
        open.sort_by_key(|change| change.act.index);
        for change in open {
            let Standing::Refused(reason) = change.standing else {
                self.end_unconfirmed(&change, tally);
                continue;
            };
            self.end_refused(change, reason, end_ms, tally);
        }
        self.found.say(self.setting.grace_ms, tally);
    }
}

impl Replay<'_> {
    /// What its person has said since.
    fn end_unconfirmed(&mut self, change: &Change, tally: &mut Tally) {
        let read = self.judge(&change.act, self.setting.final_ms);
        if read.waits() {
            self.end_clock(&change.act, change.entry.as_deref(), tally);
        }
        match read.verdict {
            Verdict::Counts { .. } => {
                self.found.unconfirmed -= 1;
                self.found.confirmed += 1;
            }
            Verdict::DoesNotCount { .. } => {
                self.found.unconfirmed -= 1;
                self.found.contested += 1;
            }
            Verdict::Unconfirmed { .. } => {}
        }
    }
}
