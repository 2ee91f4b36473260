//! The vault held against the log, by whoever has the keys: every version that the log's entries
//! made stands in the vault or was refused, no other does, and the bytes are those that were signed.
//!
//! What is looked at are the people of whom the log has an entry of the vault. In memory stand the
//! versions and refusals of the whole log, a few words each.

use crate::erasure::read_done;
use crate::opener::Entry;
use alloy_primitives::{Address, B256};
use medtrail_ledger::entry::{Kind, commitment, subject_of};
use medtrail_ledger::ports::JournalError;
use medtrail_ledger::vault::{
    ChangeRequestDetails, REQUEST_VERSION, RecordRow, Shelves, is_version, version_of,
};
use medtrail_permit::documents::Document;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;

/// What is wrong in the vault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VaultFinding {
    /// A row does not open, or cannot be read.
    Row {
        /// Of a record, or of the person's whole shelf.
        record: Option<B256>,
    },
    /// A shelf lists a record or a request that is not there.
    Missing {
        /// Which.
        id: B256,
    },
    /// The version that counts is not the newest of the record.
    Head {
        /// Which record.
        record: B256,
    },
    /// The bytes of a version that is kept are gone.
    BytesMissing {
        /// Which record.
        record: B256,
        /// Which version.
        version: B256,
    },
    /// They are others than were signed.
    BytesDiffer {
        /// Which record.
        record: B256,
        /// Which version.
        version: B256,
    },
    /// The vault has a version that no entry of the log made.
    NotInLog {
        /// Which record.
        record: B256,
        /// The entry that the vault names.
        index: u64,
    },
    /// An entry of the log made a version that the vault does not have: an older copy was put back.
    NotInVault {
        /// Which record.
        record: B256,
        /// The entry.
        index: u64,
    },
}

impl fmt::Display for VaultFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "vault.redb: ")?;
        match self {
            Self::Row { record: Some(record) } => write!(f, "record {record} does not open"),
            Self::Row { record: None } => write!(f, "somebody's list of records does not open"),
            Self::Missing { id } => write!(f, "{id} is listed and not there"),
            Self::Head { record } => {
                write!(f, "record {record}: what counts is not its newest version")
            }
            Self::BytesMissing { record, version } => {
                write!(f, "record {record}: the bytes of version {version} are gone")
            }
            Self::BytesDiffer { record, version } => {
                write!(f, "record {record}: the bytes kept are not those of version {version}")
            }
            Self::NotInLog { record, index } => {
                write!(f, "record {record}: no version of it is made by entry {index} of the log")
            }
            Self::NotInVault { record, index } => {
                write!(f, "record {record}: the version that entry {index} made is missing")
            }
        }
    }
}

/// What was looked at, and what is wrong.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct VaultReport {
    /// Records.
    pub records: u64,
    /// Versions.
    pub versions: u64,
    /// Those whose bytes were read.
    pub read: u64,
    /// What is wrong.
    pub findings: Vec<VaultFinding>,
}

/// A version that an entry made.
struct Made {
    subject: B256,
    record: B256,
    from: B256,
    to: B256,
    commitment: B256,
    event: (Address, B256),
}

/// The check. It is shown the log's entries in order, and then looks.
#[derive(Default)]
pub struct VaultCheck {
    made: BTreeMap<u64, Made>,
    refused: HashSet<B256>,
    people: BTreeSet<B256>,
}

impl VaultCheck {
    /// One entry of the log, opened.
    pub fn see(&mut self, entry: &Entry) {
        let Entry { index, report, place, details, .. } = entry;
        match Kind::from_number(report.kind) {
            Kind::Change if is_version(details.as_deref()) => {
                self.people.insert(report.subject);
                let made = Made {
                    subject: report.subject,
                    record: report.record,
                    from: report.fromVersion,
                    to: report.toVersion,
                    commitment: commitment(report, place),
                    event: (report.actor, report.eventId),
                };
                self.made.insert(*index, made);
            }
            Kind::Question if is_request(details.as_deref()) => {
                self.people.insert(report.subject);
            }
            Kind::Refusal if !report.permission.is_zero() => {
                self.refused.insert(report.permission);
            }
            Kind::Erasure => self.forget(details.as_deref().unwrap_or_default()),
            _ => {}
        }
    }

    /// What stood in the vault before an erasure is gone from it.
    fn forget(&mut self, details: &[u8]) {
        let Some(done) = read_done(details) else { return };
        let mut gone: HashSet<B256> = done.parts.iter().map(|part| part.subject).collect();
        if let Document::Erase(erase) = &done.signed.document {
            gone.insert(subject_of(erase.subject));
        }
        self.made.retain(|_, made| !gone.contains(&made.subject));
    }

    /// Looks at all shelves.
    ///
    /// # Errors
    /// Where the file cannot be read at all.
    pub fn finish(mut self, shelves: &dyn Shelves) -> Result<VaultReport, JournalError> {
        let mut report = VaultReport::default();
        let mut staged = HashSet::new();
        let mut known = HashSet::new();
        for person in std::mem::take(&mut self.people) {
            let Some(shelf) = readable(shelves.shelf(person))? else {
                report.findings.push(VaultFinding::Row { record: None });
                continue;
            };
            staged.extend(shelf.staged.iter().map(|one| (one.actor, one.event)));
            for id in shelf.requests {
                match readable(shelves.request(person, id))? {
                    Some(Some(_)) => {}
                    Some(None) => report.findings.push(VaultFinding::Missing { id }),
                    None => report.findings.push(VaultFinding::Row { record: None }),
                }
            }
            for id in shelf.records {
                let row = match readable(shelves.record(person, id))? {
                    Some(Some(row)) => row,
                    Some(None) => {
                        report.findings.push(VaultFinding::Missing { id });
                        continue;
                    }
                    None => {
                        report.findings.push(VaultFinding::Row { record: Some(id) });
                        continue;
                    }
                };
                known.extend(row.versions.iter().map(|version| version.index));
                self.look_at(person, &row, shelves, &mut report)?;
            }
        }
        let is_missing = |index: &u64, made: &Made| {
            let is_settled = known.contains(index) || self.refused.contains(&made.commitment);
            !is_settled && !staged.contains(&made.event)
        };
        let missing = self.made.iter().filter(|(index, made)| is_missing(index, made));
        report.findings.extend(
            missing.map(|(&index, made)| VaultFinding::NotInVault { record: made.record, index }),
        );
        Ok(report)
    }

    fn look_at(
        &self,
        person: B256,
        row: &RecordRow,
        shelves: &dyn Shelves,
        report: &mut VaultReport,
    ) -> Result<(), JournalError> {
        let record = row.record;
        report.records += 1;
        if row.versions.last().is_none_or(|newest| newest.version != row.head) {
            report.findings.push(VaultFinding::Head { record });
        }
        let mut read = BTreeSet::new();
        for one in &row.versions {
            let (version, index) = (one.version, one.index);
            report.versions += 1;
            let is_it = |made: &Made| {
                (made.record, made.from, made.to) == (record, one.from, version)
                    && !self.refused.contains(&made.commitment)
            };
            if !self.made.get(&index).is_some_and(is_it) {
                report.findings.push(VaultFinding::NotInLog { record, index });
            }
            if !one.is_kept || !read.insert(version) {
                continue;
            }
            report.read += 1;
            match readable(shelves.content(person, record, version))? {
                Some(Some(bytes)) if version_of(&bytes) == version => {}
                Some(Some(_)) => {
                    report.findings.push(VaultFinding::BytesDiffer { record, version });
                }
                Some(None) => report.findings.push(VaultFinding::BytesMissing { record, version }),
                None => report.findings.push(VaultFinding::Row { record: Some(record) }),
            }
        }
        Ok(())
    }
}

fn is_request(details: Option<&[u8]>) -> bool {
    let read = |bytes| serde_json::from_slice::<ChangeRequestDetails>(bytes).ok();
    details.and_then(read).is_some_and(|read| read.version == REQUEST_VERSION)
}

/// None: a row is there that does not open.
fn readable<T>(read: Result<T, JournalError>) -> Result<Option<T>, JournalError> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(JournalError::Damaged(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
