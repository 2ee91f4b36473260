//! What lies in the log's own vault, as far as the log tells it: of each record what its newest
//! version is. Who changes a record needs a permission for what it was as well as for what it
//! becomes, and a line that says that a record was read does not say what it is.
//!
//! Where that cannot be told (a record that came under a pseudonym, or one erased since), nothing is
//! held against anybody.

use crate::permits::{Act, Data, Need};
use alloy_primitives::B256;
use medtrail_ledger::audit::content::Opened;
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
