//! Opens rows: what the log holds of an entry, for whoever has the keys.

use crate::row::Row;
use crate::sealer::SubjectKeys;
use alloy_primitives::B256;
use medtrail_ledger::entry::{Keyed, Kind, commitment};
use medtrail_ledger::merkle::Hash;
use medtrail_ledger::ports::{Era, JournalError, KeyFile, KeyTag, RowHeader, SecretKey};
use medtrail_ledger::proof::Evidence;
use medtrail_ledger::schema::{Place, Report};
use std::sync::Arc;

/// An entry, opened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Its place in the log.
    pub index: u64,
    /// What was reported.
    pub report: Report,
    /// Its place in the subject's trail.
    pub place: Place,
    /// Whose word it is.
    pub evidence: Evidence,
    /// The details document, if it was sent.
    pub details: Option<Vec<u8>>,
}

/// Why an entry cannot be shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// The log is shorter.
    #[error("the log has {size} entries, so none with index {index}")]
    Absent {
        /// Asked for.
        index: u64,
        /// Entries in the log.
        size: u64,
    },
    /// None that this caller may read: there may be one or not.
    #[error("there is no entry {0} that you may read")]
    Hidden(u64),
    /// Its subject's key was destroyed.
    #[error("the content of entry {0} was erased; its commitment stays in the log")]
    Erased(u64),
    /// Its bytes are not what was sealed.
    #[error("entry {0} is damaged on disk; run `medtrail fsck`")]
    Damaged(u64),
    /// The disk could not be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// No anchor covers it yet.
    #[error("entry {index} is recorded, but no anchor covers it yet ({anchored} entries are)")]
    NotAnchored {
        /// Asked for.
        index: u64,
        /// Anchored entries.
        anchored: u64,
    },
}

/// How the disk names subjects, events and records of the log with this key.
pub fn tags(log_key: &SecretKey) -> Keyed {
    Keyed::derived(log_key, "medtrail tags v1")
}

/// Opens the rows of one log.
pub struct Opener {
    log: B256,
    log_keys: SubjectKeys,
    keys: Arc<dyn KeyFile>,
}

impl Opener {
    /// With the keys of the log `log`; `None` if its own key is not among them.
    pub fn new(log: B256, keys: Arc<dyn KeyFile>) -> Result<Option<Self>, JournalError> {
        let log_key = keys.open(KeyTag::Log)?;
        Ok(log_key.map(|log_key| Self::with_log_key(log, &log_key, keys)))
    }

    pub(crate) fn with_log_key(log: B256, log_key: &SecretKey, keys: Arc<dyn KeyFile>) -> Self {
        Self { log, log_keys: SubjectKeys::new(log_key), keys }
    }

    /// Opens the row that stands at `index`. Blocks.
    pub fn open(&self, index: u64, row: &[u8]) -> Result<Entry, EntryError> {
        let header = RowHeader::decode(row).ok_or(EntryError::Damaged(index))?;
        if header.ordinal == 0 {
            let plain = self.log_keys.open(self.log, index, row);
            return self.read(index, &header, plain, &self.log_keys);
        }
        let present = self.keys.open(KeyTag::Subject(header.subject))?;
        let is_present = present.is_some();
        if let Some(keys) = present.as_ref().map(SubjectKeys::new)
            && let Some(plain) = keys.open(self.log, index, row)
        {
            return self.read(index, &header, Some(plain), &keys);
        }
        // What is told of an erasure outlives it.
        if let Some(plain) = self.log_keys.open(self.log, index, row) {
            let entry = self.read(index, &header, Some(plain), &self.log_keys)?;
            let is_kept = Kind::from_number(entry.report.kind).is_sealed_by_the_log();
            return is_kept.then_some(entry).ok_or(EntryError::Damaged(index));
        }
        match self.keys.era(header.subject, header.ordinal)? {
            Era::Erased => Err(EntryError::Erased(index)),
            Era::Ended(key) => {
                let keys = SubjectKeys::new(&key);
                let plain = keys.open(self.log, index, row);
                self.read(index, &header, plain, &keys)
            }
            Era::Present if is_present => Err(EntryError::Damaged(index)),
            Era::Present => Err(EntryError::Erased(index)),
        }
    }

    /// Reads what stood below the seal of a row that `keys` opened.
    fn read(
        &self,
        index: u64,
        header: &RowHeader,
        plain: Option<Vec<u8>>,
        keys: &SubjectKeys,
    ) -> Result<Entry, EntryError> {
        let row = plain.and_then(|plain| Row::decode(self.log, &plain));
        let row = row.ok_or(EntryError::Damaged(index))?;
        let subject = row.report.subject;
        let is_salted_by_index =
            header.ordinal == 0 || Kind::from_number(row.report.kind).is_salted_by_index();
        let salt = match is_salted_by_index {
            true => self.log_keys.salt(self.log, subject, index),
            false => keys.salt(self.log, subject, header.ordinal),
        };
        let place = row.place(header, salt);
        let Row { report, evidence, details, .. } = row;
        Ok(Entry { index, report, place, evidence, details })
    }

    /// What the log must commit to at `index`; `None` where the key is gone. A row that does not
    /// open under its key commits to nothing, which equals no commitment.
    pub fn commitment(&self, index: u64, row: &[u8]) -> Option<Hash> {
        match self.open(index, row) {
            Ok(entry) => Some(commitment(&entry.report, &entry.place).0),
            Err(EntryError::Erased(_)) => None,
            Err(_) => Some([0; 32]),
        }
    }
}
