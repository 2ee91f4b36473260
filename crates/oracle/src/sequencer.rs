//! The one writer. Many callers, one thread that owns the end of the log: it alone decides index,
//! place and duplicates, and answers only what is on disk.
//!
//! After any failed commit it knows nothing and starts over from the disk, through the very code
//! that starts it: there is no second recovery path.

use crate::overlay::Overlay;
use crate::pace::Pace;
use crate::row::with_place;
use crate::sealer::{Draw, SubjectKeys};
use crate::subjects::{Subject, Subjects};
use alloy_primitives::B256;
use medtrail_ledger::checkpoint::{Checkpoint, SignedCheckpoint};
use medtrail_ledger::edge::{EdgeError, RightEdge};
use medtrail_ledger::entry::commitment_of;
use medtrail_ledger::merkle::Hash;
use medtrail_ledger::ports::{
    Batch, CommitError, EventKey, Journal, JournalError, KeyFile, KeyTag, Notary, NotaryError,
    RowHeader, SecretKey, SubjectTag, Tail,
};
use medtrail_ledger::schema::Place;
use medtrail_ledger::tile::{TileId, TileReader};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};

/// Entries in one commit at most.
pub(crate) const BATCH_ENTRIES_MAX: usize = 4096;
/// Durable entries that may wait for the filer; above this, reporters are told to come back.
pub const UNFILED_ENTRIES_MAX: u64 = 500_000;
/// Rows read at once while reloading.
const RELOAD_ROWS: u64 = 16_384;
/// How long the writer waits before it looks again at a disk that failed.
const RELOAD_PAUSE: Duration = Duration::from_millis(500);

/// What the writer is asked.
pub(crate) enum Ask {
    /// A place for a report.
    Place(Box<Waiting>),
    /// To take what already waits, and end.
    Stop,
}

/// A report that was checked, hashed and encoded, and waits for its place.
pub(crate) struct Waiting {
    pub(crate) header: RowHeader,
    pub(crate) report_hash: B256,
    pub(crate) subject: B256,
    /// Whether the salt comes from the log's key and the index.
    pub(crate) is_salted_by_index: bool,
    /// Where the index of filed entries has this event, asked when `filed` entries were filed.
    pub(crate) known: Option<u64>,
    pub(crate) filed: u64,
    pub(crate) encoded: Vec<u8>,
    pub(crate) answer: oneshot::Sender<Result<Placed, PlaceError>>,
}

/// Where a report stands now. Durable when it is handed out.
#[derive(Debug)]
pub(crate) enum Placed {
    /// It was appended.
    New(Box<Appended>),
    /// It, or another report of the same event, stands there already.
    Known { index: u64 },
}

/// A fresh entry, with its way into the checkpoint of the same commit.
#[derive(Debug)]
pub(crate) struct Appended {
    pub(crate) index: u64,
    pub(crate) place: Place,
    pub(crate) path: Vec<Hash>,
    pub(crate) head: Arc<Head>,
}

/// The end of the log as everyone may see it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Head {
    /// Entries.
    pub size: u64,
    /// RFC 9162 root over them.
    pub root: Hash,
    /// The signed note.
    pub checkpoint: Vec<u8>,
    /// Newest `receivedMs`.
    pub received_ms: u64,
}

/// Why a report got no place.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// The queue, or what waits for the filer, is full. Nothing was written; come back.
    #[error("the log takes no more reports just now; come back")]
    Busy,
    /// The disk is full. Nothing was written; come back.
    #[error("the disk is full; nothing was written")]
    DiskFull,
    /// It is not known whether the report was written. Send the same report again: it gets the
    /// same place if it was.
    #[error("it is not known whether this was written; send the same report again")]
    OutcomeUnknown,
    /// The writer has stopped; the process is about to end.
    #[error("the log has stopped taking reports")]
    Stopped,
}

/// Why the writer ended. The process must end with it, and start anew from the disk.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SequencerError {
    /// The disk cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A commit failed so that nothing held in memory may be trusted.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// What stands on disk is not what was signed.
    #[error("the log on disk contradicts itself: {0}")]
    Contradiction(String),
    /// No checkpoint can be signed, not even the first.
    #[error(transparent)]
    Notary(#[from] NotaryError),
}

impl From<EdgeError> for SequencerError {
    fn from(error: EdgeError) -> Self {
        Self::Contradiction(error.to_string())
    }
}

/// What the writer works on.
pub(crate) struct Ports {
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) keys: Arc<dyn KeyFile>,
    pub(crate) notary: Arc<dyn Notary>,
    pub(crate) now_ms: fn() -> u64,
}

/// The writer. Its state is a copy of the disk's and is thrown away whenever that is in doubt.
pub(crate) struct Sequencer {
    ports: Ports,
    log: B256,
    origin: String,
    log_keys: SubjectKeys,
    heads: watch::Sender<Arc<Head>>,
    tail: Tail,
    edge: RightEdge,
    overlay: Overlay,
    subjects: Subjects,
}

impl Sequencer {
    /// Reads the end of the log from disk; signs the first checkpoint of a new log.
    pub(crate) fn open(
        ports: Ports,
        log: B256,
        origin: String,
        log_key: &SecretKey,
        heads: watch::Sender<Arc<Head>>,
    ) -> Result<Self, SequencerError> {
        let mut sequencer = Self {
            ports,
            log,
            origin,
            log_keys: SubjectKeys::new(log_key),
            heads,
            tail: Tail::default(),
            edge: RightEdge::empty(),
            overlay: Overlay::default(),
            subjects: Subjects::default(),
        };
        sequencer.reload()?;
        if sequencer.tail.checkpoint.is_empty() {
            let checkpoint = sequencer.sign((sequencer.ports.now_ms)())?;
            let received_ms = sequencer.tail.received_ms;
            let first = Batch { checkpoint, received_ms, ..Batch::default() };
            sequencer.tail = sequencer.ports.journal.commit(&sequencer.tail, &first)?;
            sequencer.publish();
        }
        Ok(sequencer)
    }

    /// Takes reports until it is asked to stop, then what still waits, and ends.
    pub(crate) fn run(mut self, mut queue: mpsc::Receiver<Ask>) -> Result<(), SequencerError> {
        let mut asked = Vec::with_capacity(BATCH_ENTRIES_MAX);
        let mut pace = Pace::default();
        while queue.blocking_recv_many(&mut asked, BATCH_ENTRIES_MAX) > 0 {
            pace.gather(&mut queue, &mut asked);
            if asked.iter().any(|ask| matches!(ask, Ask::Stop)) {
                queue.close();
            }
            let (group, started) = (asked.len(), Instant::now());
            self.append(asked.drain(..).filter_map(|ask| match ask {
                Ask::Place(waiting) => Some(*waiting),
                Ask::Stop => None,
            }))?;
            pace.done(group, started.elapsed());
        }
        Ok(())
    }

    /// One group commit. Returns an error only where the process must end.
    fn append(&mut self, waiting: impl Iterator<Item = Waiting>) -> Result<(), SequencerError> {
        let Some(group) = self.admit(waiting)? else { return Ok(()) };
        let received_ms = self.tail.received_ms.max((self.ports.now_ms)());
        match self.commit(group, received_ms) {
            Ok(()) => Ok(()),
            Err(Failed { answers, cause }) => {
                let (told, fatal) = cause.split();
                for answer in answers {
                    let _ = answer.send(Err(told.clone()));
                }
                match fatal {
                    Some(error) => Err(error),
                    None => self.reload_when_possible(),
                }
            }
        }
    }

    /// Answers what needs no place: duplicates, and everything while the filer is far behind.
    fn admit(
        &mut self,
        waiting: impl Iterator<Item = Waiting>,
    ) -> Result<Option<Group>, SequencerError> {
        let filed = self.ports.journal.filed()?;
        self.overlay.forget_below(filed);
        let has_room = self.tail.size - filed < UNFILED_ENTRIES_MAX;
        let mut group = Group::default();
        for report in waiting {
            if let Some(index) = self.find(&report)? {
                let _ = report.answer.send(Ok(Placed::Known { index }));
            } else if !has_room {
                let _ = report.answer.send(Err(PlaceError::Busy));
            } else if let Some(place) = group.events.get(&report.header.event) {
                // Its first copy is in this very commit: it may be told only after that.
                group.doubles.push((*place, report.answer));
            } else {
                group.events.insert(report.header.event, group.reports.len());
                group.reports.push(report);
            }
        }
        Ok((!group.reports.is_empty()).then_some(group))
    }

    fn find(&self, report: &Waiting) -> Result<Option<u64>, JournalError> {
        if report.known.is_some() {
            return Ok(report.known);
        }
        if let Some(index) = self.overlay.find(report.header.event) {
            return Ok(Some(index));
        }
        // What was filed between the reporter's look and now is in the overlay, unless more than
        // a generation was, or the writer has started over since: then the index is asked again.
        if self.overlay.first().is_none_or(|first| first > report.filed) {
            return self.ports.journal.find(report.header.event);
        }
        Ok(None)
    }

    fn commit(&mut self, group: Group, received_ms: u64) -> Result<(), Failed> {
        let Group { mut reports, doubles, .. } = group;
        let built = self.build(&mut reports, received_ms);
        let committed = built.and_then(|(batch, placed)| {
            let tail = self.ports.journal.commit(&self.tail, &batch)?;
            Ok((tail, placed))
        });
        let (tail, placed) = match committed {
            Ok(done) => done,
            Err(cause) => {
                let doubles = doubles.into_iter().map(|(_, answer)| answer);
                let answers = reports.into_iter().map(|report| report.answer).chain(doubles);
                return Err(Failed { answers: answers.collect(), cause });
            }
        };
        let first = self.tail.size;
        self.tail = tail;
        let head = self.publish();
        {
            let paths = self.edge.paths();
            for (index, (report, place)) in (first..).zip(reports.into_iter().zip(placed)) {
                self.overlay.insert(index, &report.header);
                let path = paths.path(index).expect("appended since last settled");
                let appended = Appended { index, place, path, head: head.clone() };
                let _ = report.answer.send(Ok(Placed::New(Box::new(appended))));
            }
        }
        for (place, answer) in doubles {
            let _ = answer.send(Ok(Placed::Known { index: first + place as u64 }));
        }
        self.edge.settle();
        Ok(())
    }

    /// Gives each report its place and seals it. Changes the edge and the subjects' ends before
    /// anything is durable: whoever fails from here on must reload.
    fn build(
        &mut self,
        reports: &mut [Waiting],
        received_ms: u64,
    ) -> Result<(Batch, Vec<Place>), Cause> {
        self.load_subjects(reports)?;
        let draw = Draw::fresh().map_err(|error| NotaryError(error.to_string()))?;
        let mut rows = Vec::with_capacity(reports.len());
        let mut places = Vec::with_capacity(reports.len());
        for report in reports {
            let index = self.edge.size();
            let (keys, ordinal, previous) = match self.subjects.get(report.header.subject) {
                Some(subject) if report.header.ordinal > 0 => {
                    (&subject.keys, subject.ordinal + 1, subject.last)
                }
                _ => (&self.log_keys, 0, B256::ZERO),
            };
            let salt = match report.is_salted_by_index {
                true => self.log_keys.salt(self.log, report.subject, index),
                false => keys.salt(self.log, report.subject, ordinal),
            };
            let place = Place { ordinal, previous, receivedMs: received_ms, salt };
            let commitment = commitment_of(report.report_hash, place.hash());
            report.header.ordinal = ordinal;
            let encoded = std::mem::take(&mut report.encoded);
            rows.push(keys.seal(self.log, index, &report.header, draw, |row| {
                with_place(&previous, received_ms, &encoded, row);
            }));
            places.push(place);
            self.edge.append(&commitment.0);
            if ordinal > 0 {
                self.subjects.advance(report.header.subject, ordinal, commitment);
            }
        }
        let checkpoint = self.sign(received_ms)?;
        let (tiles, peaks) = (self.edge.changed_tiles(), self.edge.peaks());
        Ok((Batch { rows, tiles, peaks, checkpoint, received_ms }, places))
    }

    /// Makes the keys and trail ends of all subjects of a batch known; keys of new subjects are
    /// durable before the commit that uses them, in one commit of the key file.
    fn load_subjects(&mut self, reports: &[Waiting]) -> Result<(), Cause> {
        self.subjects.age();
        let persons = reports.iter().filter(|report| report.header.ordinal > 0);
        let mut missing = HashSet::new();
        let mut new = Vec::new();
        for tag in persons.map(|report| report.header.subject) {
            if self.subjects.keep(tag) || !missing.insert(tag) {
                continue;
            }
            match self.ports.keys.open(KeyTag::Subject(tag))? {
                Some(key) => self.load_subject(tag, &key)?,
                None => new.push(tag),
            }
        }
        if new.is_empty() {
            return Ok(());
        }
        let tags: Vec<KeyTag> = new.iter().map(|tag| KeyTag::Subject(*tag)).collect();
        let keys = self.ports.keys.create(&tags)?;
        for (tag, key) in new.into_iter().zip(&keys) {
            self.load_subject(tag, key)?;
        }
        Ok(())
    }

    fn load_subject(&mut self, tag: SubjectTag, key: &SecretKey) -> Result<(), Cause> {
        let end = match self.overlay.last_of(tag) {
            Some(end) => Some(end),
            None => self.ports.journal.last_of(tag)?,
        };
        let (ordinal, last) = match end {
            None => (0, B256::ZERO),
            Some(end) => (end.ordinal, self.commitment(end.index)?),
        };
        self.subjects.insert(tag, Subject { keys: SubjectKeys::new(key), ordinal, last });
        Ok(())
    }

    fn commitment(&self, index: u64) -> Result<B256, JournalError> {
        let reader = TileReader::new(|id| self.ports.journal.tile(id));
        match reader.commitment(index) {
            Ok(commitment) => Ok(B256::from(commitment)),
            Err(error) => Err(JournalError::Damaged(error.to_string())),
        }
    }

    fn sign(&self, time_ms: u64) -> Result<Vec<u8>, NotaryError> {
        let (size, root) = (self.edge.size(), self.edge.root());
        let checkpoint = Checkpoint { origin: self.origin.clone(), size, root };
        Ok(self.ports.notary.sign(&checkpoint, time_ms)?.to_bytes())
    }

    fn publish(&self) -> Arc<Head> {
        let head = Arc::new(Head {
            size: self.tail.size,
            root: self.edge.root(),
            checkpoint: self.tail.checkpoint.clone(),
            received_ms: self.tail.received_ms,
        });
        self.heads.send_replace(head.clone());
        head
    }

    /// Forgets everything and reads the end of the log from disk.
    fn reload(&mut self) -> Result<(), SequencerError> {
        let journal = &self.ports.journal;
        let tail = journal.tail()?;
        let edge = RightEdge::load(tail.size, &tail.peaks, |id: TileId| {
            let width = id.width_at(tail.size);
            let stored = journal.tile(id)?;
            // A crash may have left a wider tile only if its commit was durable too: never here.
            Ok::<_, SequencerError>(stored.filter(|bytes| bytes.len() == width * 32))
        })?;
        if !tail.checkpoint.is_empty() {
            let signed = SignedCheckpoint::parse(&tail.checkpoint)
                .map_err(|error| SequencerError::Contradiction(error.to_string()))?;
            let head = signed.checkpoint;
            if head.size != tail.size || head.root != edge.root() || head.origin != self.origin {
                let what = format!(
                    "the checkpoint is of {} with {} entries, the tail is of {} with {}, \
                     or their roots differ",
                    head.origin, head.size, self.origin, tail.size
                );
                return Err(SequencerError::Contradiction(what));
            }
        }
        let mut overlay = Overlay::default();
        let mut index = journal.filed()?;
        while index < tail.size {
            let end = (index + RELOAD_ROWS).min(tail.size);
            for row in journal.rows(index..end)? {
                let header = RowHeader::decode(&row).ok_or_else(|| {
                    JournalError::Damaged(format!("row {index} has no header known here"))
                })?;
                overlay.insert(index, &header);
                index += 1;
            }
            if index < end {
                let what = format!("row {index} of {} is missing", tail.size);
                return Err(JournalError::Damaged(what).into());
            }
        }
        self.subjects = Subjects::default();
        (self.tail, self.edge, self.overlay) = (tail, edge, overlay);
        self.publish();
        Ok(())
    }

    /// After a commit that did not happen, or perhaps did: the disk decides, once it can be read.
    fn reload_when_possible(&mut self) -> Result<(), SequencerError> {
        for _ in 0..20 {
            match self.reload() {
                Err(SequencerError::Journal(JournalError::Storage(what))) => {
                    tracing::warn!("the disk cannot be read yet: {what}");
                    std::thread::sleep(RELOAD_PAUSE);
                }
                outcome => return outcome,
            }
        }
        self.reload()
    }
}

/// Reports of one commit.
#[derive(Default)]
struct Group {
    reports: Vec<Waiting>,
    events: HashMap<EventKey, usize>,
    doubles: Vec<(usize, oneshot::Sender<Result<Placed, PlaceError>>)>,
}

/// A commit that did not come back, and everyone who waits for it.
struct Failed {
    answers: Vec<oneshot::Sender<Result<Placed, PlaceError>>>,
    cause: Cause,
}

#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error(transparent)]
    Notary(#[from] NotaryError),
}

impl Cause {
    /// What the reporters are told, and whether the process must end.
    fn split(self) -> (PlaceError, Option<SequencerError>) {
        match self {
            Self::Commit(CommitError::Full(what)) => {
                tracing::error!("disk full, nothing written: {what}");
                (PlaceError::DiskFull, None)
            }
            Self::Commit(CommitError::Unknown(what)) => {
                tracing::error!("a commit's outcome is unknown, reading the disk: {what}");
                (PlaceError::OutcomeUnknown, None)
            }
            Self::Commit(error) => (PlaceError::OutcomeUnknown, Some(error.into())),
            // Nothing reached the log: keys and signatures come before the commit.
            Self::Notary(error) => {
                tracing::error!("no checkpoint was signed, nothing written: {error}");
                (PlaceError::Busy, None)
            }
            // After a failed sync a key may stand in memory and nowhere else: the next report
            // would be sealed under it, acknowledged, and lost with the next power cut.
            Self::Journal(error @ (JournalError::Damaged(_) | JournalError::Fatal(_))) => {
                (PlaceError::Stopped, Some(error.into()))
            }
            Self::Journal(error) => {
                tracing::error!("nothing written: {error}");
                (PlaceError::Busy, None)
            }
        }
    }
}
