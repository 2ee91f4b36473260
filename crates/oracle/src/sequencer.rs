//! The one writer. Many callers, one thread that owns the end of the log: it alone decides index,
//! place and duplicates, and answers only what is on disk.
//!
//! After any failed commit it knows nothing and starts over from the disk, through the very code
//! that starts it: there is no second recovery path.

mod messages;

pub(crate) use messages::{Appended, Ask, Committed, EndEra, Placed, Waiting};
pub use messages::{Head, PlaceError, SequencerError};

use crate::group::{Group, Taken};
use crate::overlay::Overlay;
use crate::pace::Pace;
use crate::row::with_place;
use crate::sealer::{Draw, SubjectKeys};
use crate::signing::Signing;
use crate::subjects::{Subject, Subjects};
use alloy_primitives::B256;
use medtrail_ledger::checkpoint::{Checkpoint, SignedCheckpoint};
use medtrail_ledger::edge::RightEdge;
use medtrail_ledger::entry::commitment_of;
use medtrail_ledger::ports::{
    Batch, CommitError, Journal, JournalError, KeyFile, KeyTag, Notary, NotaryError, RowHeader,
    SecretKey, SubjectTag, Tail,
};
use medtrail_ledger::schema::Place;
use medtrail_ledger::tile::{TileId, TileReader};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

/// Entries in one commit at most.
pub(crate) const BATCH_ENTRIES_MAX: usize = 4096;
/// Durable entries that may wait for the filer; above this, reporters are told to come back.
pub const UNFILED_ENTRIES_MAX: u64 = 500_000;
/// Rows read at once while reloading.
const RELOAD_ROWS: u64 = 16_384;
/// How long the writer waits before it looks again at a disk that failed.
const RELOAD_PAUSE: Duration = Duration::from_millis(500);

/// What the writer works on.
pub(crate) struct Ports {
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) keys: Arc<dyn KeyFile>,
    pub(crate) notary: Arc<dyn Notary>,
    pub(crate) now_ms: fn() -> u64,
    /// Told of every commit, but never waited for.
    pub(crate) follower: mpsc::Sender<Committed>,
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
    signing: Signing,
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
        let signing = Signing::start(ports.notary.clone())
            .map_err(|error| NotaryError(format!("no thread: {error}")))?;
        let mut sequencer = Self {
            ports,
            signing,
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
            sequencer.sign_anew()?;
            sequencer.publish();
        }
        Ok(sequencer)
    }

    /// Signs the log as it is, and nothing else. Under a time of its own: a spoiled signature and a
    /// sound one of the same digest would give the key away.
    fn sign_anew(&mut self) -> Result<(), SequencerError> {
        let time_ms = (self.ports.now_ms)().max(self.tail.received_ms + 1);
        let (checkpoint, check) = self.signing.begin(self.checkpoint(), time_ms).wait()?;
        check.wait()?;
        let (peaks, received_ms) = (self.edge.peaks(), self.tail.received_ms);
        let only = Batch { checkpoint, peaks, received_ms, ..Batch::default() };
        self.tail = self.ports.journal.commit(&self.tail, &only)?;
        Ok(())
    }

    /// Takes reports until it is asked to stop, then what still waits, and ends.
    pub(crate) fn run(mut self, mut queue: mpsc::Receiver<Ask>) -> Result<(), SequencerError> {
        let mut asked = Vec::with_capacity(BATCH_ENTRIES_MAX);
        let mut ending = Vec::new();
        let mut pace = Pace::default();
        let journal = self.ports.journal.clone();
        while pace.first(&mut queue, &mut asked) {
            self.signing.get_ready();
            let mut group = self.open_group()?;
            let mut gathering = pace.gathering(asked.len());
            // What has come gets its place while the others are on their way.
            loop {
                for ask in asked.drain(..) {
                    match ask {
                        Ask::Place(waiting) => self.admit(*waiting, &mut group)?,
                        Ask::EndEra(era) => ending.push(era),
                        Ask::Stop => queue.close(),
                    }
                }
                group.hand_over(&*journal, &self.tail);
                if !gathering.more(&mut queue, &mut asked) {
                    break;
                }
            }
            let started = Instant::now();
            self.append(&*journal, group)?;
            pace.done(gathering, started.elapsed());
            // Between two commits no line is on its way under a key that ends.
            for EndEra { subjects, expected, answer } in ending.drain(..) {
                let ended = self.end_eras(&subjects, expected);
                let is_fatal =
                    matches!(ended, Err(JournalError::Damaged(_) | JournalError::Fatal(_)));
                if is_fatal && let Err(error) = ended {
                    return Err(error.into());
                }
                let _ = answer.send(ended);
            }
        }
        Ok(())
    }

    fn end_eras(
        &mut self,
        subjects: &[SubjectTag],
        expected: Option<u64>,
    ) -> Result<Result<Vec<u64>, u64>, JournalError> {
        let mut ends = Vec::with_capacity(subjects.len());
        for tag in subjects {
            let end = match self.overlay.last_of(*tag) {
                Some(end) => Some(end),
                None => self.ports.journal.last_of(*tag)?,
            };
            ends.push(end.map_or(0, |end| end.ordinal));
        }
        if let Some(other) = ends.first().filter(|end| expected.is_some_and(|one| one != **end)) {
            return Ok(Err(*other));
        }
        for (tag, end) in subjects.iter().zip(&ends).filter(|(_, end)| **end > 0) {
            // First: whether it happened, a failed call leaves open, and the old key must not be
            // used for one line more.
            self.subjects.forget(*tag);
            self.ports.keys.end_era(*tag, *end)?;
        }
        Ok(Ok(ends))
    }

    fn open_group<'a>(&mut self) -> Result<Group<'a>, SequencerError> {
        let filed = self.ports.journal.filed()?;
        self.overlay.forget_below(filed);
        self.subjects.age();
        let draw = Draw::fresh().map_err(|error| NotaryError(error.to_string()))?;
        Ok(Group::new(draw, self.tail.size - filed < UNFILED_ENTRIES_MAX))
    }

    /// Answers what needs no place: duplicates, and everything while the filer is far behind.
    /// Places what is about a known subject; the others wait for their keys.
    fn admit(&mut self, report: Waiting, group: &mut Group<'_>) -> Result<(), SequencerError> {
        let known = match self.find(&report) {
            // One look that failed: the file is opened again by the next.
            Err(JournalError::Storage(what) | JournalError::Full(what)) => {
                tracing::warn!("a report is sent back, the index cannot be read: {what}");
                let _ = report.answer.send(Err(PlaceError::Busy));
                return Ok(());
            }
            known => known?,
        };
        if let Some(index) = known {
            let _ = report.answer.send(Ok(Placed::Known { index }));
        } else if !group.has_room {
            let _ = report.answer.send(Err(PlaceError::Busy));
        } else if !group.events.insert(report.header.event) {
            // Its first copy is in this very commit: it may be told only after that.
            group.doubles.push((report.header.event, report.answer));
        } else if report.header.ordinal == 0 || self.subjects.keep(report.header.subject) {
            self.place(report, group);
        } else {
            // Also all later ones of the same subject: its reports keep their order.
            group.strangers.push(report);
        }
        Ok(())
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

    /// Gives a report its place and seals it. Changes the edge and the subject's end before
    /// anything is durable: whoever fails from here on must reload.
    fn place(&mut self, report: Waiting, group: &mut Group<'_>) {
        let Waiting { mut header, report_hash, kind, encoded, answer, .. } = report;
        let is_sealed_by_the_log = report.is_sealed_by_the_log;
        let received_ms = group.received_ms.max(self.tail.received_ms).max((self.ports.now_ms)());
        let index = self.edge.size();
        let log_keys = &self.log_keys;
        let mut person = match header.ordinal {
            0 => None,
            _ => self.subjects.get(header.subject),
        };
        let (keys, ordinal, previous) = match &person {
            Some(person) => (&person.keys, person.ordinal + 1, person.last),
            None => (log_keys, 0, B256::ZERO),
        };
        let salt = match report.is_salted_by_index {
            true => log_keys.salt(self.log, report.subject, index),
            false => keys.salt(self.log, report.subject, ordinal),
        };
        let place_hash = Place { ordinal, previous, receivedMs: received_ms, salt }.hash();
        let commitment = commitment_of(report_hash, place_hash);
        header.ordinal = ordinal;
        let keys = if is_sealed_by_the_log { log_keys } else { keys };
        group.rows.push(keys.seal(self.log, index, &header, group.draw, encoded.len(), |row| {
            with_place(&previous, received_ms, &encoded, row);
        }));
        self.edge.append(&commitment.0);
        if let Some(person) = &mut person {
            (person.ordinal, person.last) = (ordinal, commitment);
        }
        group.received_ms = received_ms;
        group.taken.push(Taken { index, header, place_hash, kind, answer });
    }

    /// One group commit. Returns an error only where the process must end.
    fn append<'a>(
        &mut self,
        journal: &'a dyn Journal,
        mut group: Group<'a>,
    ) -> Result<(), SequencerError> {
        if group.is_empty() {
            return Ok(());
        }
        match self.commit(journal, &mut group) {
            Ok(()) => Ok(()),
            Err(cause) => {
                let (told, fatal) = cause.split();
                group.answers().for_each(|answer| {
                    let _ = answer.send(Err(told.clone()));
                });
                match fatal {
                    Some(error) => Err(error),
                    None => self.reload_when_possible(),
                }
            }
        }
    }

    /// Commits, and answers everyone in the group: only then is it taken out of it.
    fn commit<'a>(&mut self, journal: &'a dyn Journal, group: &mut Group<'a>) -> Result<(), Cause> {
        self.load_subjects(&group.strangers)?;
        for report in std::mem::take(&mut group.strangers) {
            self.place(report, group);
        }
        let checkpoint = self.checkpoint();
        let signature = self.signing.begin(checkpoint, group.received_ms);
        let appending = group.close(journal, &self.tail, self.edge.changed_tiles());
        let (checkpoint, check) = signature.wait()?;
        let end = Batch {
            peaks: self.edge.peaks(),
            checkpoint,
            received_ms: group.received_ms,
            ..Batch::default()
        };
        let first = self.tail.size;
        self.tail = appending.finish(end)?;
        // A spoiled signature is on disk by now, and must get no further. A crash may come before
        // this line: who opens the log looks at its checkpoint too.
        check.wait().map_err(Cause::Spoiled)?;
        let head = self.publish();
        let taken = std::mem::take(&mut group.taken);
        let headers: Vec<RowHeader> = taken.iter().map(|taken| taken.header).collect();
        let kinds = taken.iter().map(|taken| taken.kind).collect();
        let paths = self.edge.paths();
        for Taken { index, place_hash, answer, .. } in taken {
            let path = paths.path(index).expect("appended since last settled");
            let appended = Appended { index, place_hash, path, head: head.clone() };
            let _ = answer.send(Ok(Placed::New(Box::new(appended))));
        }
        // While those who were answered make their next report.
        for (index, header) in (first..).zip(&headers) {
            self.overlay.insert(index, header);
        }
        for (event, answer) in group.doubles.drain(..) {
            let index = self.overlay.find(event).expect("its first copy was in this commit");
            let _ = answer.send(Ok(Placed::Known { index }));
        }
        if !self.ports.follower.is_closed() {
            let committed = Committed { first, headers, kinds };
            let _ = self.ports.follower.try_send(committed);
        }
        self.edge.settle();
        Ok(())
    }

    /// Makes the keys and trail ends of all subjects of a batch known; keys of new subjects are
    /// durable before the commit that uses them, in one commit of the key file.
    fn load_subjects(&mut self, reports: &[Waiting]) -> Result<(), Cause> {
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

    fn checkpoint(&self) -> Checkpoint {
        Checkpoint { origin: self.origin.clone(), size: self.edge.size(), root: self.edge.root() }
    }

    fn publish(&self) -> Arc<Head> {
        let head = Arc::new(Head {
            size: self.tail.size,
            root: self.edge.root(),
            checkpoint: String::from_utf8_lossy(&self.tail.checkpoint).into_owned(),
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
        let mut is_spoiled = false;
        if !tail.checkpoint.is_empty() {
            let signed = SignedCheckpoint::parse(&tail.checkpoint)
                .map_err(|error| SequencerError::Contradiction(error.to_string()))?;
            is_spoiled = !self.ports.notary.is_ours(&signed);
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
        if is_spoiled {
            tracing::error!(
                "the newest checkpoint was signed wrongly or by other keys: signed anew"
            );
            self.sign_anew()?;
        }
        self.publish();
        Ok(())
    }

    /// After a commit that did not happen, or perhaps did: the disk decides, once it can be read.
    fn reload_when_possible(&mut self) -> Result<(), SequencerError> {
        for _ in 0..20 {
            match self.reload() {
                Err(SequencerError::Journal(
                    JournalError::Storage(what) | JournalError::Full(what),
                )) => {
                    tracing::warn!("the disk cannot be read yet: {what}");
                    std::thread::sleep(RELOAD_PAUSE);
                }
                outcome => return outcome,
            }
        }
        self.reload()
    }
}

#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error(transparent)]
    Notary(#[from] NotaryError),
    #[error(transparent)]
    Spoiled(NotaryError),
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
            Self::Spoiled(error) => {
                tracing::error!("a checkpoint was signed wrongly, nobody has seen it: {error}");
                (PlaceError::OutcomeUnknown, None)
            }
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
