//! What is new in a person's trail, as it comes.

use crate::anchorer::Status;
use crate::inquiries::clerk::is_inquiry;
use crate::opener::{Entry, EntryError};
use crate::recent::Listening;
use crate::service::Service;
use alloy_primitives::{Address, B256};
use medtrail_ledger::entry::{Kind, subject_of};
use medtrail_ledger::plan::{Anchor, AnchorRecord, BlockRef};
use medtrail_ledger::ports::JournalError;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};

/// Entries a feed reads from the past at most; whoever missed more reads the trail anew.
pub const MISSED_ENTRIES_MAX: u64 = 10_000;

/// Something new.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FeedItem {
    /// An entry of the person's trail. Each comes once, in the order of the log.
    Entry(Box<Entry>),
    /// An anchor: the state of every entry below its size has changed.
    Anchored {
        /// The anchor.
        record: AnchorRecord,
        /// Whether its block is final.
        is_final: bool,
    },
}

/// What is new in one person's trail. Ends when its reader lags too far behind, and when the disk
/// cannot be read; the reader begins anew from the last entry it saw.
pub struct Feed {
    service: Service,
    listening: Listening,
    /// Whose whole trail it is, aliases and all; none: what others may see of it.
    whole: Option<B256>,
    missed: VecDeque<u64>,
    /// Under way on a thread that may block. Kept here, since a reader may drop [`Self::next`]
    /// half-way: nothing that was taken off a queue is lost with it.
    opening: Option<JoinHandle<Result<Entry, EntryError>>>,
    looking: Option<JoinHandle<Result<Arc<Vec<AnchorRecord>>, JournalError>>>,
    status: watch::Receiver<Status>,
    /// The anchors that were told, by number; `None` before the first look.
    told: Option<HashMap<u64, (BlockRef, bool)>>,
    anchored: VecDeque<AnchorRecord>,
    is_over: bool,
}

impl Service {
    /// What is new in a person's trail from now on. Parts that are bound while it is open join.
    /// Blocks for a moment.
    pub fn feed(&self, subject: Address) -> Feed {
        self.feed_about(subject_of(subject))
    }

    /// The same by any subject id, for whoever [may see it](Self::may_see), as long as they may.
    pub fn feed_about(&self, subject: B256) -> Feed {
        // Where the disk cannot be read just now, somewhat older entries come too.
        let _ = self.0.recent.reach(self.head().size);
        let (listening, _) = self.listen(subject, false);
        Feed::new(self.clone(), listening)
    }

    /// What is new in the [whole trail](Self::whole_trail) of a person, after entry `last` or from
    /// now on. Blocks.
    ///
    /// # Errors
    /// Where the disk cannot be read.
    pub fn whole_feed(&self, subject: B256, last: Option<u64>) -> Result<Feed, JournalError> {
        let feed = match last {
            Some(last) => self.feed_from(subject, last, true)?,
            None => {
                let _ = self.0.recent.reach(self.head().size);
                let (listening, _) = self.listen(subject, true);
                Feed::new(self.clone(), listening)
            }
        };
        Ok(Feed { whole: Some(subject), ..feed })
    }

    /// The same from after entry `last` on, without a gap and without a double: what was missed is
    /// read first. Blocks.
    ///
    /// # Errors
    /// Where the disk cannot be read.
    pub fn feed_after(&self, subject: Address, last: u64) -> Result<Feed, JournalError> {
        self.feed_about_after(subject_of(subject), last)
    }

    /// The same by any subject id. Blocks.
    ///
    /// # Errors
    /// Where the disk cannot be read.
    pub fn feed_about_after(&self, subject: B256, last: u64) -> Result<Feed, JournalError> {
        self.feed_from(subject, last, false)
    }

    fn feed_from(&self, subject: B256, last: u64, whole: bool) -> Result<Feed, JournalError> {
        self.0.recent.reach(self.head().size)?;
        // Listen first, then read: what comes in between is in the queue.
        let (listening, parts) = self.listen(subject, whole);
        let from = listening.from;
        let (mut missed, mut is_over) = (Vec::new(), false);
        for part in parts {
            match self.part(part)?.between(last.saturating_add(1), from, MISSED_ENTRIES_MAX)? {
                Some(indexes) => missed.extend(indexes),
                None => is_over = true,
            }
        }
        missed.sort_unstable();
        is_over |= missed.len() as u64 > MISSED_ENTRIES_MAX;
        Ok(Feed { missed: missed.into(), is_over, ..Feed::new(self.clone(), listening) })
    }

    fn listen(&self, subject: B256, is_whole: bool) -> (Listening, Vec<B256>) {
        let look = || match is_whole {
            true => self.whole_parts(subject),
            false => self.parts_about(subject),
        };
        loop {
            let parts = look();
            let tags = parts.iter().map(|part| self.0.tags.subject_tag(*part));
            let whole = is_whole.then(|| self.whole_tag(subject));
            let tags: Vec<_> = tags.chain(whole).collect();
            let listening = self.0.recent.listen(&tags);
            // A part bound before we listened is in the second look; one bound after joins.
            if look() == parts {
                return (listening, parts);
            }
        }
    }

    /// The first anchor that covers the entry at `index`, and whether it is final. Blocks.
    ///
    /// # Errors
    /// Where the disk cannot be read.
    pub fn anchor_of(&self, index: u64) -> Result<Option<(AnchorRecord, bool)>, JournalError> {
        let anchors = self.recent_anchors()?;
        let covering = anchors.partition_point(|record| record.anchor.size <= index);
        Ok(anchors.get(covering).map(|record| (record.clone(), record.is_final)))
    }

    /// The newest anchor that is final and covers entry `index`.
    pub(crate) fn final_anchor_over(&self, index: u64) -> Result<Option<Anchor>, JournalError> {
        let anchors = self.recent_anchors()?;
        let newest = anchors.iter().rev().find(|record| record.is_final);
        Ok(newest.map(|record| record.anchor).filter(|anchor| anchor.size > index))
    }

    /// All anchors, oldest first; read again whenever the anchorer says that they changed.
    pub(crate) fn recent_anchors(&self) -> Result<Arc<Vec<AnchorRecord>>, JournalError> {
        let seen = {
            let status = self.0.status.borrow();
            (status.mined, status.settled)
        };
        let mut cached = self.0.anchors.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*cached {
            Some((at, anchors)) if *at == seen => Ok(anchors.clone()),
            _ => {
                let anchors = Arc::new(self.anchors()?);
                *cached = Some((seen, anchors.clone()));
                Ok(anchors)
            }
        }
    }
}

type Seen = (Option<Anchor>, Option<Anchor>);

/// The anchors as last read, with what the anchorer said then.
#[derive(Default)]
pub(crate) struct Anchors(Mutex<Option<(Seen, Arc<Vec<AnchorRecord>>)>>);

impl Feed {
    fn new(service: Service, listening: Listening) -> Self {
        let mut status = service.0.status.clone();
        status.mark_changed();
        Self {
            service,
            listening,
            whole: None,
            missed: VecDeque::new(),
            opening: None,
            looking: None,
            status,
            told: None,
            anchored: VecDeque::new(),
            is_over: false,
        }
    }

    /// The next item; `None` at the end. May be dropped half-way: nothing is lost.
    ///
    /// The newest anchor, and the newest final one, come first, so that nobody misses what became
    /// of older entries while they were away.
    pub async fn next(&mut self) -> Option<FeedItem> {
        while !self.is_over {
            match self.advance().await {
                Ok(Some(item)) => return Some(item),
                Ok(None) => {}
                Err(Over) => self.is_over = true,
            }
        }
        None
    }

    /// One step: an item, or something from which the next step makes one.
    async fn advance(&mut self) -> Result<Option<FeedItem>, Over> {
        if let Some(looking) = &mut self.looking {
            let anchors = looking.await;
            self.looking = None;
            self.compare(&anchors.map_err(|_| Over)??);
        }
        if let Some(record) = self.anchored.pop_front() {
            let is_final = record.is_final;
            return Ok(Some(FeedItem::Anchored { record, is_final }));
        }
        if let Some(opening) = &mut self.opening {
            let opened = opening.await;
            self.opening = None;
            return match opened.map_err(|_| Over)? {
                Ok(entry) => Ok(Some(FeedItem::Entry(Box::new(entry)))),
                Err(EntryError::Erased(_)) => Ok(None),
                Err(error) => {
                    tracing::warn!("a feed ends: {error}");
                    Err(Over)
                }
            };
        }
        if self.told.is_some()
            && let Some(index) = self.missed.pop_front()
        {
            self.open(index);
            return Ok(None);
        }
        // The anchorer may have ended; then only entries are to come.
        tokio::select! {
            biased;
            Ok(()) = self.status.changed() => {
                let service = self.service.clone();
                self.looking = Some(spawn_blocking(move || service.recent_anchors()));
            }
            index = self.listening.queue.recv() => self.open(index.ok_or(Over)?),
        }
        Ok(None)
    }

    fn open(&mut self, index: u64) {
        let (service, whole) = (self.service.clone(), self.whole);
        self.opening = Some(spawn_blocking(move || {
            let entry = service.open_row(index)?;
            // Whoever is told of a correction is told of what: the clerk may come later.
            if is_inquiry(Kind::from_number(entry.report.kind)) {
                service.note(index)?;
            }
            Ok(match whole {
                Some(subject) => service.shown_whole(subject, entry),
                None => service.shown(entry),
            })
        }));
    }

    /// Queues the anchors that are new or have become final; at first only the newest of each.
    fn compare(&mut self, anchors: &[AnchorRecord]) {
        let is_first = self.told.is_none();
        let told = self.told.get_or_insert_default();
        let newest_final = anchors.iter().rposition(|record| record.is_final);
        for (place, record) in anchors.iter().enumerate() {
            let now = (record.block, record.is_final);
            let is_fresh = told.insert(record.anchor.number, now) != Some(now);
            let is_newest = Some(place) == newest_final || place + 1 == anchors.len();
            if is_fresh && (is_newest || !is_first) {
                self.anchored.push_back(record.clone());
            }
        }
    }
}

/// The feed has ended.
struct Over;

impl From<JournalError> for Over {
    fn from(error: JournalError) -> Self {
        tracing::warn!("a feed ends: {error}");
        Self
    }
}
