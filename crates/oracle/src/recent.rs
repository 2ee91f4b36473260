//! What the indexes do not know yet, for readers: unfiled entries by subject and by event, and
//! who listens to which subject.
//!
//! The writer never waits for readers: what it tells may be missing, and is then read from the
//! rows. So a query that was preceded by an acknowledgement always sees what was acknowledged.

use crate::sequencer::Committed;
use medtrail_ledger::ports::{EventKey, Journal, JournalError, RowHeader, SubjectTag};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// Entries of one generation, which is forgotten whole once it is filed.
const GENERATION_ENTRIES: u64 = 16_384;
/// Rows read at once where the writer's word is missing.
const ROWS_AT_ONCE: u64 = 1024;
/// Entries that wait for one listener at most; one that is further behind is ended.
pub(crate) const LISTENER_QUEUE: usize = 256;

/// An entry of a trail that may not be filed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Line {
    pub(crate) ordinal: u64,
    pub(crate) index: u64,
}

/// Follows the writer.
pub(crate) struct Recent {
    journal: Arc<dyn Journal>,
    state: Mutex<State>,
}

struct State {
    /// The next entry to take in; everything below is filed or in a generation.
    next: u64,
    generations: VecDeque<Generation>,
    listeners: HashMap<u64, Listener>,
    by_tag: HashMap<SubjectTag, HashSet<u64>>,
    last_listener: u64,
}

struct Generation {
    first: u64,
    trails: HashMap<SubjectTag, Vec<Line>>,
    events: HashMap<EventKey, u32>,
}

struct Listener {
    tags: Vec<SubjectTag>,
    queue: mpsc::Sender<u64>,
}

/// A place in the list of listeners, given up when dropped.
pub(crate) struct Listening {
    recent: Arc<Recent>,
    id: u64,
    /// Indexes of new entries, each once, growing. Ends when the listener lags.
    pub(crate) queue: mpsc::Receiver<u64>,
    /// The first entry that can come by the queue; older ones are to be read.
    pub(crate) from: u64,
}

impl Recent {
    pub(crate) fn new(journal: Arc<dyn Journal>) -> Result<Self, JournalError> {
        let next = journal.filed()?;
        let state = State {
            next,
            generations: VecDeque::new(),
            listeners: HashMap::new(),
            by_tag: HashMap::new(),
            last_listener: 0,
        };
        Ok(Self { journal, state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what the writer told. Reads rows where it told nothing.
    pub(crate) fn take(&self, committed: Committed) -> Result<(), JournalError> {
        let Committed { first, headers, .. } = committed;
        let mut state = self.state();
        self.read_up_to(&mut state, first)?;
        let known = state.next.saturating_sub(first) as usize;
        for header in headers.iter().skip(known) {
            state.insert(header);
        }
        let filed = self.journal.filed()?;
        state.forget_below(filed);
        Ok(())
    }

    /// Returns once every entry below `size`, all of which must be durable, is filed or known here.
    pub(crate) fn reach(&self, size: u64) -> Result<(), JournalError> {
        self.read_up_to(&mut self.state(), size)
    }

    fn read_up_to(&self, state: &mut State, size: u64) -> Result<(), JournalError> {
        while state.next < size {
            let range = state.next..size.min(state.next + ROWS_AT_ONCE);
            let rows = self.journal.rows(range)?;
            if rows.is_empty() {
                return Err(JournalError::Damaged(format!("row {} is missing", state.next)));
            }
            for row in rows {
                let header = RowHeader::decode(&row).ok_or_else(|| {
                    JournalError::Damaged(format!("row {} has no known header", state.next))
                })?;
                state.insert(&header);
            }
        }
        Ok(())
    }

    /// A subject's unfiled entries, oldest first, and perhaps some filed ones before them.
    pub(crate) fn of(&self, subject: SubjectTag) -> Vec<Line> {
        let state = self.state();
        let lines = state.generations.iter().filter_map(|one| one.trails.get(&subject));
        lines.flatten().copied().collect()
    }

    /// Where an unfiled report stands.
    pub(crate) fn find(&self, event: EventKey) -> Option<u64> {
        let state = self.state();
        state.generations.iter().rev().find_map(|generation| {
            generation.events.get(&event).map(|place| generation.first + u64::from(*place))
        })
    }

    /// Listens to the entries of these subjects from here on.
    pub(crate) fn listen(self: &Arc<Self>, tags: &[SubjectTag]) -> Listening {
        let (queue, indexes) = mpsc::channel(LISTENER_QUEUE);
        let mut state = self.state();
        state.last_listener += 1;
        let id = state.last_listener;
        state.listeners.insert(id, Listener { tags: Vec::new(), queue });
        tags.iter().for_each(|tag| state.add_tag(id, *tag));
        Listening { recent: self.clone(), id, queue: indexes, from: state.next }
    }

    /// Whoever listens to `subject` listens to `part` too from here on.
    pub(crate) fn join(&self, subject: SubjectTag, part: SubjectTag) {
        let mut state = self.state();
        let ids: Vec<u64> = state.by_tag.get(&subject).into_iter().flatten().copied().collect();
        ids.into_iter().for_each(|id| state.add_tag(id, part));
    }
}

impl State {
    fn insert(&mut self, header: &RowHeader) {
        let index = self.next;
        self.next += 1;
        let is_full = |generation: &Generation| index - generation.first >= GENERATION_ENTRIES;
        if self.generations.back().is_none_or(is_full) {
            let (trails, events) = Default::default();
            self.generations.push_back(Generation { first: index, trails, events });
        }
        let newest = self.generations.back_mut().expect("one was just made");
        newest.events.insert(header.event, (index - newest.first) as u32);
        if header.ordinal == 0 {
            return;
        }
        let line = Line { ordinal: header.ordinal, index };
        newest.trails.entry(header.subject).or_default().push(line);
        if let Some(ids) = self.by_tag.get(&header.subject) {
            let is_behind = |id: &u64| self.listeners[id].queue.try_send(index).is_err();
            let behind: Vec<u64> = ids.iter().copied().filter(is_behind).collect();
            behind.into_iter().for_each(|id| self.remove(id));
        }
    }

    fn forget_below(&mut self, filed: u64) {
        while self.generations.get(1).is_some_and(|second| second.first <= filed) {
            self.generations.pop_front();
        }
    }

    fn add_tag(&mut self, id: u64, tag: SubjectTag) {
        let Some(listener) = self.listeners.get_mut(&id) else { return };
        if !listener.tags.contains(&tag) {
            listener.tags.push(tag);
            self.by_tag.entry(tag).or_default().insert(id);
        }
    }

    fn remove(&mut self, id: u64) {
        let Some(listener) = self.listeners.remove(&id) else { return };
        for tag in listener.tags {
            if let Some(ids) = self.by_tag.get_mut(&tag) {
                ids.remove(&id);
                if ids.is_empty() {
                    self.by_tag.remove(&tag);
                }
            }
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.recent.state().remove(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use medtrail_ledger::ports::{Batch, CommitError, RecordTag, SubjectTag, Tail, TrailHead};
    use medtrail_ledger::tile::TileId;
    use std::ops::Range;
    use std::sync::atomic::{AtomicU64, Ordering};

    const SUBJECTS: u64 = 3;

    fn header(index: u64) -> RowHeader {
        let mut event = [0; 16];
        event[..8].copy_from_slice(&index.to_be_bytes());
        RowHeader {
            subject: tag(index),
            ordinal: index / SUBJECTS + 1,
            event: EventKey(event),
            record: RecordTag([0; 16]),
        }
    }

    fn tag(index: u64) -> SubjectTag {
        SubjectTag([(index % SUBJECTS) as u8 + 1; 16])
    }

    /// A log of entries of three subjects in turn; counts the rows that are read.
    #[derive(Default)]
    struct Rows {
        size: AtomicU64,
        filed: AtomicU64,
        read: AtomicU64,
    }

    impl Journal for Rows {
        fn tail(&self) -> Result<Tail, JournalError> {
            unreachable!("readers do not ask")
        }
        fn commit(&self, _: &Tail, _: &Batch) -> Result<Tail, CommitError> {
            unreachable!("readers do not write")
        }
        fn last_of(&self, _: SubjectTag) -> Result<Option<TrailHead>, JournalError> {
            unreachable!("the index is not asked here")
        }
        fn find(&self, _: EventKey) -> Result<Option<u64>, JournalError> {
            unreachable!("the index is not asked here")
        }
        fn trail(&self, _: SubjectTag, _: u64, _: usize) -> Result<Vec<u64>, JournalError> {
            unreachable!("the index is not asked here")
        }
        fn rows(&self, range: Range<u64>) -> Result<Vec<Vec<u8>>, JournalError> {
            let range = range.start..range.end.min(self.size.load(Ordering::SeqCst));
            self.read.fetch_add(range.end.saturating_sub(range.start), Ordering::SeqCst);
            Ok(range.map(|index| header(index).encode().to_vec()).collect())
        }
        fn tile(&self, _: TileId) -> Result<Option<Vec<u8>>, JournalError> {
            unreachable!("no tile is asked here")
        }
        fn filed(&self) -> Result<u64, JournalError> {
            Ok(self.filed.load(Ordering::SeqCst))
        }
        fn file_up_to(&self, _: u64) -> Result<u64, JournalError> {
            unreachable!("readers do not file")
        }
    }

    fn recent(filed: u64) -> (Arc<Rows>, Arc<Recent>) {
        let rows = Arc::new(Rows::default());
        rows.filed.store(filed, Ordering::SeqCst);
        rows.size.store(u64::MAX, Ordering::SeqCst);
        let recent = Arc::new(Recent::new(rows.clone()).unwrap());
        (rows, recent)
    }

    fn commit(range: Range<u64>) -> Committed {
        let (first, headers) = (range.start, range.map(header).collect());
        Committed { first, headers, kinds: Vec::new() }
    }

    #[test]
    fn what_the_writer_did_not_tell_is_read_and_what_it_told_twice_counts_once() {
        let (rows, recent) = recent(10);
        let mut listening = recent.listen(&[tag(0)]);
        recent.take(commit(10..14)).unwrap();
        assert_eq!(rows.read.load(Ordering::SeqCst), 0);
        recent.take(commit(20..22)).unwrap();
        assert_eq!(rows.read.load(Ordering::SeqCst), 6);
        // A query was faster than the writer's word.
        recent.reach(30).unwrap();
        assert_eq!(rows.read.load(Ordering::SeqCst), 14);
        recent.take(commit(22..26)).unwrap();
        recent.take(commit(26..33)).unwrap();
        assert_eq!(rows.read.load(Ordering::SeqCst), 14);
        let expected: Vec<u64> = (10..33).filter(|index| index % SUBJECTS == 0).collect();
        let lines = recent.of(tag(0));
        assert_eq!(lines.iter().map(|line| line.index).collect::<Vec<_>>(), expected);
        assert!(lines.iter().all(|line| line.ordinal == line.index / SUBJECTS + 1));
        let told: Vec<u64> = std::iter::from_fn(|| listening.queue.try_recv().ok()).collect();
        assert_eq!((listening.from, told), (10, expected));
        assert_eq!(recent.find(header(32).event), Some(32));
        assert_eq!(recent.find(header(33).event), None);
    }

    #[test]
    fn only_what_is_filed_is_forgotten() {
        let (rows, recent) = recent(0);
        let size = 3 * GENERATION_ENTRIES;
        recent.take(commit(0..size)).unwrap();
        rows.filed.store(2 * GENERATION_ENTRIES - 1, Ordering::SeqCst);
        recent.take(commit(size..size + 1)).unwrap();
        assert_eq!(recent.find(header(GENERATION_ENTRIES - 1).event), None);
        assert_eq!(recent.find(header(GENERATION_ENTRIES).event), Some(GENERATION_ENTRIES));
        assert_eq!(recent.find(header(size).event), Some(size));
        assert!(recent.of(tag(0)).iter().all(|line| line.index >= GENERATION_ENTRIES));
    }

    #[test]
    fn a_commit_asks_no_listener_but_those_of_its_subjects_and_one_that_lags_is_gone() {
        let (_, recent) = recent(0);
        let other = SubjectTag([9; 16]);
        let mut idle = recent.listen(&[other]);
        let mut lagging = recent.listen(&[tag(0), tag(0)]);
        let count = LISTENER_QUEUE as u64 + 5;
        recent.take(commit(0..count * SUBJECTS)).unwrap();
        let told = std::iter::from_fn(|| lagging.queue.try_recv().ok()).count();
        assert_eq!(told, LISTENER_QUEUE);
        assert_eq!(lagging.queue.try_recv(), Err(mpsc::error::TryRecvError::Disconnected));
        assert_eq!(idle.queue.try_recv(), Err(mpsc::error::TryRecvError::Empty));
        drop((idle, lagging));
        let state = recent.state();
        assert!(state.listeners.is_empty() && state.by_tag.is_empty());
    }
}
