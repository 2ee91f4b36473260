//! What needs opened entries one after the other, in the order of the log.
//!
//! The replay of permissions is one more [`InOrder`], fed like the others. It lives where permissions
//! and the log meet, in the crate `permit`.

use super::content::Opened;
use super::history::History;
use super::rows::SealedRow;
use super::{Check, Fault, Flaw, Tally};
use crate::entry::{Keyed, Kind};
use crate::ports::SubjectTag;
use std::collections::{BTreeMap, HashMap};

/// Follows the log entry by entry.
pub trait InOrder {
    /// The next entry.
    fn opened(&mut self, entry: &Opened, tally: &mut Tally);
    /// The next entry, whose key is gone.
    fn unopenable(&mut self, _row: &SealedRow) {}
    /// There are no more.
    fn finish(&mut self, tally: &mut Tally);
}

/// The log's clock never goes back.
#[derive(Default)]
pub struct Clock {
    newest_ms: u64,
}

impl InOrder for Clock {
    fn opened(&mut self, entry: &Opened, tally: &mut Tally) {
        tally.count(Check::Times, 1);
        let received = entry.place.receivedMs;
        if received < self.newest_ms {
            let words = format!(
                "entry {} was received at {received} ms, an entry before it at {} ms.",
                entry.index, self.newest_ms
            );
            let fault = Fault::new(Flaw::TimeDecreases, words).at(entry.index);
            tally.fault(fault.differs(self.newest_ms, received));
        }
        self.newest_ms = self.newest_ms.max(received);
    }

    fn finish(&mut self, tally: &mut Tally) {
        tally.say(Check::Times, "The log's clock never goes back.");
    }
}

/// Each entry is anchored within the promised time.
pub struct Promise {
    /// Size and time of each anchor, smallest first.
    anchors: Vec<(u64, u64)>,
    at: usize,
    within_s: u64,
    /// What was not anchored by now is late if it was promised for before.
    now_s: u64,
    late: u64,
    first_late: Option<u64>,
    longest_s: u64,
}

impl Promise {
    /// The promise that stands on the chain, held against the anchors there.
    pub fn new(history: &History) -> Self {
        let anchors = history.anchors.iter().map(|seen| (seen.anchor.size, seen.anchor.time_s));
        Self {
            anchors: anchors.collect(),
            at: 0,
            within_s: history.anchor_within_s.into(),
            now_s: history.finalized.time_s,
            late: 0,
            first_late: None,
            longest_s: 0,
        }
    }
}

impl InOrder for Promise {
    fn opened(&mut self, entry: &Opened, tally: &mut Tally) {
        tally.count(Check::Promise, 1);
        while self.anchors.get(self.at).is_some_and(|(size, _)| *size <= entry.index) {
            self.at += 1;
        }
        let anchored_s = self.anchors.get(self.at).map_or(self.now_s, |(_, time_s)| *time_s);
        let waited_s = anchored_s.saturating_sub(entry.place.receivedMs / 1000);
        self.longest_s = self.longest_s.max(waited_s);
        if self.within_s > 0 && waited_s > self.within_s {
            self.late += 1;
            self.first_late.get_or_insert(entry.index);
        }
    }

    fn finish(&mut self, tally: &mut Tally) {
        let (within, longest) = (self.within_s, self.longest_s);
        match (self.late, self.first_late) {
            (late, Some(first)) => tally.note(
                Check::Promise,
                format!(
                    "{late} entries, the first of them {first}, were not anchored within the \
                     promised {within} s; the longest waited {longest} s."
                ),
            ),
            _ if within == 0 => tally.say(Check::Promise, "The log promises no time to an anchor."),
            _ => tally.say(
                Check::Promise,
                format!(
                    "No entry waits longer for its anchor than the promised {within} s; the longest \
                     waited {longest} s."
                ),
            ),
        }
    }
}

/// Entries by kind; a kind unknown here is counted as "other", never dropped.
#[derive(Default)]
pub struct Kinds(BTreeMap<&'static str, u64>);

impl Kinds {
    /// How many entries there are of each kind.
    pub fn counts(&self) -> &BTreeMap<&'static str, u64> {
        &self.0
    }
}

impl InOrder for Kinds {
    fn opened(&mut self, entry: &Opened, _tally: &mut Tally) {
        *self.0.entry(Kind::from_number(entry.report.kind).word()).or_default() += 1;
    }

    fn finish(&mut self, _tally: &mut Tally) {}
}

/// Rows that nobody can open, in one trail.
struct Lost {
    first: u64,
    last: u64,
    count: u64,
}

/// A row whose key is gone must be covered by a later erasure entry about the same subject. Grows
/// with the number of subjects that have such rows or entries.
pub struct Erasures {
    tags: Keyed,
    lost: HashMap<SubjectTag, Lost>,
    erased: HashMap<SubjectTag, u64>,
}

impl Erasures {
    /// Of a log whose disk names subjects by `tags`.
    pub fn new(tags: Keyed) -> Self {
        Self { tags, lost: HashMap::new(), erased: HashMap::new() }
    }
}

impl InOrder for Erasures {
    fn opened(&mut self, entry: &Opened, _tally: &mut Tally) {
        if Kind::from_number(entry.report.kind) == Kind::Erasure {
            self.erased.insert(self.tags.subject_tag(entry.report.subject), entry.index);
        }
    }

    fn unopenable(&mut self, row: &SealedRow) {
        let lost = self.lost.entry(row.header.subject);
        let lost = lost.or_insert(Lost { first: row.index, last: row.index, count: 0 });
        (lost.last, lost.count) = (row.index, lost.count + 1);
    }

    fn finish(&mut self, tally: &mut Tally) {
        let mut lost: Vec<_> = self.lost.iter().collect();
        lost.sort_by_key(|(_, lost)| lost.first);
        let mut covered = 0;
        for (subject, lost) in lost {
            tally.count(Check::Erasures, lost.count);
            if self.erased.get(subject).is_some_and(|erased| lost.last < *erased) {
                covered += lost.count;
                continue;
            }
            let words = format!(
                "there is no key for row {}, and no erasure entry covers it ({} rows of that trail).",
                lost.first, lost.count
            );
            tally.fault(Fault::new(Flaw::RowUnopenable, words).at(lost.first));
        }
        match covered {
            0 => tally.say(Check::Erasures, "No row lacks its key."),
            _ => tally.note(
                Check::Erasures,
                format!(
                    "{covered} rows do not open; erasure entries cover them, whose documents this \
                     version cannot check."
                ),
            ),
        }
    }
}
