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
use alloy_primitives::B256;
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

/// What an erasure destroyed, as its entry says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ErasedLines {
    /// The subject ids whose lines went, each with the ordinal of the last one.
    pub parts: Vec<(B256, u64)>,
    /// Whether the address's own key signed what was asked for; else another key did.
    pub is_own_key: bool,
}

/// Reads an entry of kind 10: what it says that it destroyed, over a document that somebody signed
/// for this log and this trail; none: no lines, or no such document.
pub type ReadErasure = Box<dyn Fn(&Opened) -> Option<ErasedLines>>;

/// Rows that nobody can open: one trail's, or those of it that stand together.
struct Lost {
    first: u64,
    /// The index of the last one, and its number in the trail.
    last: (u64, u64),
    count: u64,
}

/// A row whose key is gone must be covered by a later erasure entry: one that names its subject and
/// its number, over a document that the person signed. Grows with the number of rows that stand
/// alone between rows that open, and with that of erasures.
pub struct Erasures {
    tags: Keyed,
    read: ReadErasure,
    lost: HashMap<SubjectTag, Vec<Lost>>,
    /// By subject: entries of erasures, and up to which number they erased.
    erased: HashMap<SubjectTag, Vec<(u64, u64)>>,
    /// Erasure entries over a document that another key than the address's signed.
    by_others: Vec<u64>,
}

impl Erasures {
    /// Of a log whose disk names subjects by `tags`.
    pub fn new(tags: Keyed, read: ReadErasure) -> Self {
        let (lost, erased, by_others) = Default::default();
        Self { tags, read, lost, erased, by_others }
    }

    fn is_covered(&self, subject: &SubjectTag, lost: &Lost) -> bool {
        let (last, ordinal) = lost.last;
        let erased = self.erased.get(subject).into_iter().flatten();
        erased.into_iter().any(|(entry, through)| last < *entry && ordinal <= *through)
    }
}

impl InOrder for Erasures {
    fn opened(&mut self, entry: &Opened, _tally: &mut Tally) {
        if Kind::from_number(entry.report.kind) != Kind::Erasure {
            return;
        }
        let Some(ErasedLines { parts, is_own_key }) = (self.read)(entry) else { return };
        if !is_own_key {
            self.by_others.push(entry.index);
        }
        for (subject, through) in parts {
            let tag = self.tags.subject_tag(subject);
            self.erased.entry(tag).or_default().push((entry.index, through));
        }
    }

    fn unopenable(&mut self, row: &SealedRow) {
        let ordinal = row.header.ordinal;
        let lost = self.lost.entry(row.header.subject).or_default();
        match lost.last_mut() {
            Some(one) if one.last.1 + 1 == ordinal => {
                (one.last, one.count) = ((row.index, ordinal), one.count + 1);
            }
            _ => lost.push(Lost { first: row.index, last: (row.index, ordinal), count: 1 }),
        }
    }

    fn finish(&mut self, tally: &mut Tally) {
        let all = self.lost.iter();
        let mut lost: Vec<_> =
            all.flat_map(|(subject, lost)| lost.iter().map(move |lost| (subject, lost))).collect();
        lost.sort_by_key(|(_, lost)| lost.first);
        let mut covered = 0;
        for (subject, lost) in lost {
            tally.count(Check::Erasures, lost.count);
            if self.is_covered(subject, lost) {
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
            _ => tally.say(
                Check::Erasures,
                format!("{covered} rows do not open; later erasure entries name each of them."),
            ),
        }
        if let Some(first) = self.by_others.first() {
            tally.note(
                Check::Erasures,
                format!(
                    "{} erasures, the first of them entry {first}, were signed by another key than the \
                     address's: whether the key that did had control of it stands on the chain.",
                    self.by_others.len()
                ),
            );
        }
    }
}
