//! What the store's tests share: logs with real trees, and disks that fail on purpose.
#![allow(dead_code, unreachable_pub, missing_docs)]

pub mod disk;

use medtrail_ledger::checkpoint::Checkpoint;
use medtrail_ledger::edge::{EdgeError, RightEdge};
use medtrail_ledger::ports::{
    Batch, CommitError, EventKey, Journal, JournalError, RecordTag, RowHeader, SubjectTag, Tail,
};
use medtrail_store::{FsckReport, Store, StoreOptions, fsck};
use std::collections::HashMap;

/// Small tables and small filings, so that a test of a few hundred entries crosses every border.
pub const SMALL: StoreOptions = StoreOptions {
    head_cache_bytes: 1 << 20,
    log_cache_bytes: 1 << 20,
    rows_per_table: 512,
    rows_per_filing: 200,
    check_every_page: false,
};

/// Everything checked, each row held against its commitment.
pub fn check_all(store: &Store) -> Result<FsckReport, JournalError> {
    let mut open_row = |_: u64, row: &[u8]| Some(commitment_of(row));
    fsck(store, Some(&mut open_row), |_, _| ())
}

pub fn assert_clean(store: &Store) {
    let report = check_all(store).unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
    assert_eq!(report.opened, report.entries);
}

/// SplitMix64: small, seeded, the same everywhere.
#[derive(Clone, Debug)]
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.roll() % end.max(1)
    }

    pub fn once_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }

    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        self.fill(&mut out);
        out
    }

    pub fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            chunk.copy_from_slice(&self.roll().to_le_bytes()[..chunk.len()]);
        }
    }
}

/// A commitment that a test can compute from the row alone.
pub fn commitment_of(row: &[u8]) -> [u8; 32] {
    let mut dice = Dice(row.len() as u64);
    for chunk in row.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        dice.0 = dice.roll() ^ u64::from_le_bytes(word);
    }
    dice.bytes()
}

/// What a sequencer does, without its queue: makes rows, places and trees, and remembers what was
/// acknowledged.
#[derive(Clone)]
pub struct Writer {
    pub dice: Dice,
    pub tail: Tail,
    edge: RightEdge,
    trails: HashMap<u8, u64>,
    /// Every row that was acknowledged, in order.
    pub acknowledged: Vec<Vec<u8>>,
    pub row_bytes: u64,
    /// At most 20.
    pub subjects: u64,
}

impl Writer {
    /// Takes over a log whose first entries are `acknowledged`.
    pub fn resume(journal: &impl Journal, dice: Dice) -> Self {
        let tail = journal.tail().expect("a tail");
        let edge = RightEdge::load::<Gone>(tail.size, &tail.peaks, |id| Ok(journal.tile(id)?))
            .expect("the right edge of the tail");
        let acknowledged = journal.rows(0..tail.size).expect("all rows");
        let mut trails = HashMap::new();
        for row in &acknowledged {
            let header = RowHeader::decode(row).expect("a header");
            if header.ordinal > 0 {
                trails.insert(header.subject.0[0], header.ordinal);
            }
        }
        Self { dice, tail, edge, trails, acknowledged, row_bytes: 120, subjects: 20 }
    }

    /// A batch of `rows` rows behind the tail. Nothing of the writer changes but its dice: the
    /// edge and trails it would have stand in the plan.
    pub fn plan(&mut self, rows: u64) -> Plan {
        let mut edge = self.edge.clone();
        let mut trails = self.trails.clone();
        let mut batch = Batch::default();
        for place in 0..rows {
            let row = self.row(self.tail.size + place, &mut trails);
            edge.append(&commitment_of(&row));
            batch.rows.push(row);
        }
        batch.tiles = edge.changed_tiles();
        batch.peaks = edge.peaks();
        batch.checkpoint = note(edge.size(), edge.root());
        batch.received_ms = self.tail.received_ms + rows;
        edge.settle();
        Plan { batch, edge, trails }
    }

    fn row(&mut self, index: u64, trails: &mut HashMap<u8, u64>) -> Vec<u8> {
        let dice = &mut self.dice;
        // Spread, as the real tags are: the indexes move by the first byte.
        let subject = dice.below(self.subjects) as u8 * 13;
        // Subject 0 stands for "no person".
        let ordinal = match subject {
            0 => 0,
            _ => trails.entry(subject).and_modify(|last| *last += 1).or_insert(1).to_owned(),
        };
        let mut event = dice.bytes::<16>();
        event[8..].copy_from_slice(&index.to_be_bytes());
        let record = match dice.below(4) {
            0 => [0; 16],
            _ => [dice.below(250) as u8; 16],
        };
        let header = RowHeader {
            subject: SubjectTag([subject; 16]),
            ordinal,
            event: EventKey(event),
            record: RecordTag(record),
        };
        let mut row = header.encode().to_vec();
        row.resize(RowHeader::BYTES + dice.below(self.row_bytes) as usize, 0);
        dice.fill(&mut row[RowHeader::BYTES..]);
        row
    }

    /// Commits a plan, in one go or in pieces, and, if that worked, remembers it as acknowledged.
    pub fn commit(&mut self, journal: &impl Journal, plan: Plan) -> Result<(), CommitError> {
        let pieces = self.dice.below(4) as usize;
        self.tail = commit_in(pieces, journal, &self.tail, &plan.batch)?;
        self.accept(plan);
        Ok(())
    }

    /// Takes a plan as having happened.
    pub fn accept(&mut self, plan: Plan) {
        (self.edge, self.trails) = (plan.edge, plan.trails);
        self.acknowledged.extend(plan.batch.rows);
    }

    pub fn append(&mut self, journal: &impl Journal, rows: u64) {
        let plan = self.plan(rows);
        self.commit(journal, plan).expect("a commit");
    }
}

/// Commits a batch whose rows are handed over in so many pieces before the end; in one go for none.
#[allow(dead_code)]
pub fn commit_in(
    pieces: usize,
    journal: &impl Journal,
    tail: &Tail,
    batch: &Batch,
) -> Result<Tail, CommitError> {
    if pieces == 0 {
        return journal.commit(tail, batch);
    }
    let mut appending = journal.begin(tail);
    let mut rest = batch.clone();
    for _ in 0..pieces {
        let later = rest.rows.split_off(rest.rows.len() / 2);
        appending.push(std::mem::replace(&mut rest.rows, later), vec![]);
    }
    appending.push(std::mem::take(&mut rest.rows), std::mem::take(&mut rest.tiles));
    appending.finish(rest)
}

pub struct Plan {
    pub batch: Batch,
    edge: RightEdge,
    trails: HashMap<u8, u64>,
}

#[derive(Debug)]
#[allow(dead_code)]
enum Gone {
    Journal(JournalError),
    Edge(EdgeError),
}

impl From<JournalError> for Gone {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

impl From<EdgeError> for Gone {
    fn from(error: EdgeError) -> Self {
        Self::Edge(error)
    }
}

/// A note with the right text and one line that looks like a signature; nothing here checks it.
pub fn note(size: u64, root: [u8; 32]) -> Vec<u8> {
    let text = Checkpoint { origin: "test.example/log".to_owned(), size, root }.body();
    format!("{text}\n— test.example/log AAAAAAAA\n").into_bytes()
}
