//! Compares everything the store holds twice: rows with indexes, tiles with tiles, both with the
//! tail, and what stands in both files with itself.

use crate::db::Fault;
use crate::files::FileName;
use crate::head;
use crate::log;
use crate::store::Store;
use medtrail_ledger::merkle::Hash;
use medtrail_ledger::ports::{EventKey, JournalError, RecordTag, SubjectTag};
use medtrail_ledger::tile::TileId;
use redb::ReadTransaction;
use std::fmt::{self, Display, Formatter};

mod indexes;
mod tree;

/// Findings kept at most; the rest is only counted.
const FINDINGS_MAX: usize = 1_000;

/// Where something is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// The row of an entry.
    Row(u64),
    /// The commitment of an entry, in its level-0 tile.
    Commitment(u64),
    /// A stored tile.
    Tile(TileId),
    /// The trail index.
    Trail(SubjectTag, u64),
    /// The event index.
    Event(EventKey),
    /// The record index.
    Record(RecordTag, u64),
    /// A part of the tail.
    Tail(&'static str),
}

impl Display for Place {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let hex = |tag: &[u8; 16]| tag.map(|byte| format!("{byte:02x}")).concat();
        match self {
            Self::Row(index) => write!(f, "row {index}"),
            Self::Commitment(index) => write!(f, "commitment {index}"),
            Self::Tile(id) => write!(f, "tile {}/{}", id.level, id.index),
            Self::Trail(subject, ordinal) => write!(f, "trail {} {ordinal}", hex(&subject.0)),
            Self::Event(event) => write!(f, "event {}", hex(&event.0)),
            Self::Record(record, index) => write!(f, "record {} {index}", hex(&record.0)),
            Self::Tail(part) => write!(f, "tail, {part}"),
        }
    }
}

/// What is wrong there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// It should be there.
    #[error("missing")]
    Missing,
    /// Nothing of the rest accounts for it.
    #[error("belongs to nothing")]
    Surplus,
    /// It is not in a format this version knows.
    #[error("unreadable")]
    Unreadable,
    /// An index leads elsewhere.
    #[error("leads to entry {found} instead of {expected}")]
    LeadsTo {
        /// Where it leads.
        found: u64,
        /// Where it should lead.
        expected: u64,
    },
    /// A trail's numbers are not 1, 2, 3… in the order of the log.
    #[error("does not follow the trail's entry before it")]
    NotNext,
    /// Head and log both hold it, differently.
    #[error("differs between head and log")]
    Doubles,
    /// It is not what follows from the commitments, or from the row.
    #[error("is not what is computed for it")]
    Differs,
    /// A tile holds another number of hashes than the log's size gives it.
    #[error("holds {found} hashes instead of {expected}")]
    Width {
        /// Hashes found.
        found: usize,
        /// Hashes it should hold.
        expected: usize,
    },
}

/// One thing that is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Finding {
    /// In which file.
    pub file: FileName,
    /// Where in it.
    pub place: Place,
    /// What.
    pub damage: Damage,
}

impl Display for Finding {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.file, self.place, self.damage)
    }
}

/// What a check saw.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FsckReport {
    /// Entries in the log.
    pub entries: u64,
    /// How many of them are filed.
    pub filed: u64,
    /// Rows whose commitment was computed from their content and compared.
    pub opened: u64,
    /// What is wrong, in the order it was met; the first 1,000.
    pub findings: Vec<Finding>,
    /// How many more there were.
    pub more: u64,
}

impl FsckReport {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty() && self.more == 0
    }

    fn found(&mut self, file: FileName, place: Place, damage: Damage) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding { file, place, damage });
        } else {
            self.more += 1;
        }
    }
}

/// Computes an entry's commitment from its sealed row; `None` where the key is gone.
pub type OpenRow<'a> = &'a mut dyn FnMut(u64, &[u8]) -> Option<Hash>;

/// Checks everything that can be checked without keys, and with `open_row` also that the rows are
/// what the log committed to. Tells `progress` (entries done, of).
///
/// It works on one snapshot of each file, so beside a running writer it is right but keeps the
/// files from reusing space. `Err` means that a file could not be read, not that it is wrong; open
/// with [`check_every_page`](crate::StoreOptions::check_every_page) to have redb's own checksums
/// verified too.
pub fn fsck(
    store: &Store,
    mut open_row: Option<OpenRow<'_>>,
    mut progress: impl FnMut(u64, u64),
) -> Result<FsckReport, JournalError> {
    let report = store.head.read(|head| {
        store.log.read(|log| {
            let mut check = Check::new(store, head, log)?;
            check.commitments()?;
            check.rows(&mut open_row, &mut progress)?;
            check.indexes()?;
            check.surplus()?;
            Ok(check.report)
        })
    });
    Ok(report?)
}

struct Check<'a> {
    head: &'a ReadTransaction,
    log: &'a ReadTransaction,
    shape: head::Shape,
    tail: medtrail_ledger::ports::Tail,
    filed: u64,
    kept_from: u64,
    report: FsckReport,
}

impl<'a> Check<'a> {
    fn new(
        store: &Store,
        head: &'a ReadTransaction,
        log: &'a ReadTransaction,
    ) -> Result<Self, Fault> {
        let tail = head::tail(head)?;
        let filed = log::filed(log)?;
        let kept_from = head::kept_from(head)?;
        let report = FsckReport { entries: tail.size, filed, ..FsckReport::default() };
        Ok(Self { head, log, shape: store.shape, tail, filed, kept_from, report })
    }

    fn found(&mut self, file: FileName, place: Place, damage: Damage) {
        self.report.found(file, place, damage);
    }
}
