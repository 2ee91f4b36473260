//! Entries as they are judged and filed: which of them are, what each asks a permission for and by
//! whom, and as what a trail's papers take it.

use super::safe::InVault;
use crate::papers::Line;
use crate::permits::{Act, Need};
use alloy_primitives::{Address, B256};
use medtrail_ledger::audit::content::Opened;
use medtrail_ledger::entry::Kind;
use medtrail_ledger::proof::Evidence;
use medtrail_ledger::schema::Report;

/// What is kept of a change that names a permission: enough to see whether that covers it.
#[derive(Clone)]
pub(super) struct Named {
    pub(super) index: u64,
    pub(super) subject: B256,
    pub(super) record: B256,
    pub(super) from: B256,
    pub(super) to: B256,
    pub(super) party: Vec<Address>,
}

impl Named {
    pub(super) fn act(&self) -> Act {
        Act {
            report: Report {
                kind: Kind::Change.number(),
                subject: self.subject,
                record: self.record,
                fromVersion: self.from,
                toVersion: self.to,
                ..Report::default()
            },
            commitment: B256::ZERO,
            index: self.index,
            received_ms: 0,
            in_vault: false,
            signer: None,
            party: self.party.clone(),
            need: Need::default(),
        }
    }
}

pub(super) fn line(entry: &Opened) -> Line<'_> {
    Line {
        index: entry.index,
        report: &entry.report,
        received_ms: entry.place.receivedMs,
        is_relayed: entry.evidence == Evidence::Relayed,
        details: entry.details.as_deref(),
    }
}

pub(super) fn party(entry: &Opened, organisation: Option<Address>) -> Vec<Address> {
    let signer = (entry.evidence != Evidence::Relayed).then_some(entry.report.actor);
    let mut party: Vec<Address> = organisation.into_iter().collect();
    party.extend(signer.filter(|signer| !party.contains(signer)));
    party
}

pub(super) fn act(entry: &Opened, organisation: Option<Address>, need: Need) -> Act {
    Act {
        report: entry.report.clone(),
        commitment: entry.commitment,
        index: entry.index,
        received_ms: entry.place.receivedMs,
        in_vault: InVault::of(entry).is_some(),
        signer: (entry.evidence != Evidence::Relayed).then_some(entry.report.actor),
        party: party(entry, organisation),
        need,
    }
}

/// A change anywhere, and a look into the vault.
pub(super) fn is_replayed(entry: &Opened) -> bool {
    match Kind::from_number(entry.report.kind) {
        Kind::Change => true,
        Kind::Access => InVault::of(entry).is_some(),
        _ => false,
    }
}
