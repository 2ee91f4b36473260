//! What lies in the log's own vault, as far as the log tells it: of each record what its newest
//! version is. Who changes a record needs a permission for what it was as well as for what it
//! becomes, and a line that says that a record was read does not say what it is.
//!
//! Where that cannot be told (a record that came under a pseudonym, or one erased since), nothing is
//! held against anybody.
//!
//! Here too is judged whether what happened there was permitted.

use super::sales::is_by_order;
use super::{Replay, Standing, WHOLE_MAX, tell};
use crate::permits::{Act, Data, Need, Verdict};
use alloy_primitives::B256;
use medtrail_ledger::audit::content::Opened;
use medtrail_ledger::audit::evidence::{Judged, OpenedEntry};
use medtrail_ledger::audit::{Fault, Flaw, Tally};
use medtrail_ledger::entry::Kind;
use serde::Deserialize;
use std::collections::HashMap;

/// What an entry of the vault is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum InVault {
    Version,
    Look,
}

impl InVault {
    /// Its details say so, and only the vault's routes take such details.
    pub(super) fn of(entry: &Opened) -> Option<Self> {
        #[derive(Deserialize)]
        struct Versioned {
            version: String,
        }
        const NAMES: [(&str, InVault); 2] =
            [("medtrail/version-v1", InVault::Version), ("medtrail/read-v1", InVault::Look)];
        let details = entry.details.as_deref().unwrap_or_default();
        // Most details are long, and none of these.
        let holds = |name: &str| details.windows(name.len()).any(|one| one == name.as_bytes());
        if !NAMES.iter().any(|(name, _)| holds(name)) {
            return None;
        }
        let read = serde_json::from_slice::<Versioned>(details).ok()?;
        NAMES.into_iter().find_map(|(name, what)| (read.version == name).then_some(what))
    }
}

/// What happened in the vault and was not permitted.
pub(super) struct Unpermitted {
    pub(super) index: u64,
    pub(super) flaw: Flaw,
    pub(super) reason: String,
    pub(super) subject: B256,
    /// Of a look under an order: which.
    pub(super) order: Option<B256>,
    pub(super) shown: Option<(OpenedEntry, Judged)>,
}

/// The newest version of a record.
struct Newest {
    data: Option<Data>,
    /// The entry that wrote it, and what it was before: it may be refused yet.
    by: B256,
    before: Option<Data>,
}

/// The records of everybody.
#[derive(Default)]
pub(super) struct Safe(HashMap<B256, HashMap<B256, Newest>>);

impl Safe {
    /// Adds to what an act needs what its document does not tell; false: nobody can tell.
    pub(super) fn complete(&self, what: InVault, entry: &Opened, need: &mut Need) -> bool {
        let report = &entry.report;
        let records = self.0.get(&report.subject);
        let newest = records.and_then(|records| records.get(&report.record));
        let known = newest.and_then(|newest| newest.data.as_ref());
        if let Some(data) = known.filter(|data| !need.data.contains(data)) {
            need.data.push(data.clone());
        }
        what == InVault::Version || known.is_some()
    }

    /// A version that counts, unless a refusal follows. A deletion leaves what it was.
    pub(super) fn put(&mut self, act: &Act, told: Option<Data>) {
        let report = &act.report;
        if Kind::from_number(report.kind) != Kind::Change {
            return;
        }
        let records = self.0.entry(report.subject).or_default();
        let before = records.remove(&report.record).and_then(|newest| newest.data);
        let data = if report.toVersion.is_zero() { before.clone() } else { told };
        records.insert(report.record, Newest { data, by: act.commitment, before });
    }

    /// The entry that wrote it does not count.
    pub(super) fn refused(&mut self, subject: B256, record: B256, by: B256) {
        let newest = self.0.get_mut(&subject).and_then(|records| records.get_mut(&record));
        if let Some(newest) = newest.filter(|newest| newest.by == by) {
            newest.data = newest.before.take();
        }
    }

    /// Something of theirs was erased, or is about to be.
    pub(super) fn forget(&mut self, subject: B256) {
        self.0.remove(&subject);
    }
}

impl Replay<'_> {
    /// Nothing happens there before it is permitted: what was not is the operator's fault, unless it
    /// was taken back by a refusal that names it, as where a permission ended in that very moment.
    /// Nor does anything wait there for its person.
    /// What the operator relayed is its own word for a person's session.
    pub(super) fn take_in_vault(&mut self, what: InVault, entry: &Opened, mut act: Act) {
        self.found.in_vault += 1;
        let told = act.need.data.first().cloned();
        let is_known = self.safe.complete(what, entry, &mut act.need);
        if is_by_order(&act) {
            return self.take_bought(entry, act);
        }
        if act.signer.is_none() {
            self.found.in_vault_relayed += 1;
            self.both.insert(act.commitment);
            return self.safe.put(&act, told);
        }
        let (standing, verdict) = self.standing(&act, act.received_ms);
        let reason = match verdict {
            Verdict::DoesNotCount { reason, .. } => tell::word(reason),
            Verdict::Unconfirmed { reason, .. } => tell::word(reason),
            Verdict::Counts { .. } => String::new(),
        };
        match standing {
            Standing::Refused(_) | Standing::Unconfirmed if is_known => {
                let details = entry.details.as_deref();
                let shown = (self.unpermitted.len() < WHOLE_MAX)
                    .then(|| (OpenedEntry::from(entry), self.judged(&act, details, &verdict)));
                let subject = act.report.subject;
                let (index, flaw) = (act.index, Flaw::VaultUnpermitted);
                let one = Unpermitted { index, flaw, reason, subject, order: None, shown };
                self.unpermitted.insert(act.commitment, one);
            }
            Standing::Counts => {}
            _ => self.found.both += 1,
        }
        self.safe.put(&act, told);
    }

    /// What nothing took back until the end.
    pub(super) fn end_unpermitted(&mut self, tally: &mut Tally) {
        let left = std::mem::take(&mut self.unpermitted).into_values();
        let mut left: Vec<Unpermitted> = left.collect();
        left.sort_by_key(|one| one.index);
        for Unpermitted { index, flaw, reason, order, shown, .. } in left {
            self.found.sale_looks_unpermitted += u64::from(order.is_some());
            let words = match order {
                None => format!(
                    "entry {index} happened in the log's own vault and was not permitted: {reason}."
                ),
                Some(order) => format!(
                    "entry {index} is a look into the log's own vault under order {order}, which \
                     does not permit it: {reason}."
                ),
            };
            self.fault(Fault::new(flaw, words).at(index), shown, tally);
        }
    }
}
