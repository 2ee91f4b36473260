//! A person's trail: what stands in the index of filed entries and what does not yet, over all
//! parts of the person, newest first.

use crate::intake::AHEAD_MS_MAX;
use crate::opener::{Entry, EntryError};
use crate::recent::Line;
use crate::service::Service;
use alloy_primitives::{Address, B256};
use medtrail_ledger::directory::CorrectionRow;
use medtrail_ledger::entry::{Kind, address_of, subject_of};
use medtrail_ledger::ports::{Journal, JournalError, SubjectTag};
use medtrail_ledger::tile::TileReader;

/// Entries of one page at most.
pub const PAGE_ENTRIES_MAX: usize = 1000;
/// Entries that are opened for one page at most: a filter that fits little gives a short page with
/// a `next`, not a slow one.
const OPENED_MAX: usize = 4000;
/// A page ends at multiples of this where nothing that it shows ends it. Well below
/// [`OPENED_MAX`], so that each page gets further.
const NEXT_STEP: u64 = 1024;
/// Places in the index that are read at once.
const CHUNK: u64 = 128;

/// What of a trail is asked for. The default asks for nothing but the newest entry of all kinds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TrailQuery {
    /// Only entries with a smaller index: the `next` of the page before.
    pub before: Option<u64>,
    /// Only what happened at this time or later, milliseconds since 1970.
    pub from_ms: Option<u64>,
    /// Only what happened before this time, milliseconds since 1970.
    pub until_ms: Option<u64>,
    /// Only these kinds; none means all.
    pub kinds: Vec<Kind>,
    /// Only what this key signed.
    pub actor: Option<Address>,
    /// Only what concerns this record.
    pub record: Option<B256>,
    /// Entries at most; 0 counts as 1, and none above [`PAGE_ENTRIES_MAX`].
    pub limit: usize,
}

impl TrailQuery {
    fn fits(&self, entry: &Entry) -> bool {
        let report = &entry.report;
        self.from_ms.is_none_or(|from| report.timeMs >= from)
            && self.until_ms.is_none_or(|until| report.timeMs < until)
            && (self.kinds.is_empty() || self.kinds.contains(&Kind::from_number(report.kind)))
            && self.actor.is_none_or(|actor| report.actor == actor)
            && self.record.is_none_or(|record| report.record == record)
    }

    /// Nothing older can fit: an entry's time is never far ahead of when it was received, and that
    /// never decreases with the index.
    fn is_over_at(&self, entry: &Entry) -> bool {
        self.from_ms.is_some_and(|from| entry.place.receivedMs + AHEAD_MS_MAX < from)
    }
}

/// A page of a trail.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrailPage {
    /// All parts of the trail, the address's own first.
    pub parts: Vec<TrailPart>,
    /// Newest first, over all parts.
    pub entries: Vec<Entry>,
    /// The `before` of the next page; `None` at the end. A page with a filter may be short, or
    /// empty, and still have a next one.
    pub next: Option<u64>,
    /// Entries that were opened for it: what it cost. Tells of entries that are not shown.
    pub opened: usize,
}

/// One subject id of a person.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrailPart {
    /// The address, left-padded, or a pseudonym.
    pub subject: B256,
    /// Whose pseudonym it was.
    pub organisation: Option<Address>,
    /// Entries in it; their ordinals are 1 to this.
    pub lines: u64,
    /// The last one's commitment.
    pub last: Option<B256>,
}

/// One part, as it stood at one moment.
pub(crate) struct Part<'a> {
    journal: &'a dyn Journal,
    tag: SubjectTag,
    recent: Vec<Line>,
    pub(crate) last: Option<Line>,
}

impl Part<'_> {
    /// Places of the entries with the ordinals `from` to `from + count - 1`, as far as there are.
    pub(crate) fn places(&self, from: u64, count: u64) -> Result<Vec<Line>, JournalError> {
        let unfiled_from = self.recent.first().map_or(u64::MAX, |line| line.ordinal);
        let end = (from + count).min(self.last.map_or(0, |line| line.ordinal) + 1);
        let mut places = Vec::new();
        let from_index = end.min(unfiled_from).saturating_sub(from);
        if from_index > 0 {
            let indexes = self.journal.trail(self.tag, from, from_index as usize)?;
            if indexes.len() as u64 != from_index {
                let what = format!("a trail's index has a gap after ordinal {from}");
                return Err(JournalError::Damaged(what));
            }
            places.extend((from..).zip(indexes).map(|(ordinal, index)| Line { ordinal, index }));
        }
        let in_range = |line: &&Line| (from..end).contains(&line.ordinal);
        places.extend(self.recent.iter().filter(in_range));
        Ok(places)
    }

    /// The index of its first entry.
    pub(crate) fn first(&self) -> Result<Option<u64>, JournalError> {
        Ok(self.places(1, 1)?.first().map(|line| line.index))
    }

    /// The ordinal of the last entry with an index below `before`; 0 if there is none.
    fn ordinal_before(&self, before: u64) -> Result<u64, JournalError> {
        let (mut low, mut high) = (0, self.last.map_or(0, |line| line.ordinal));
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            let is_below = self.places(middle, 1)?.first().is_some_and(|line| line.index < before);
            if is_below { low = middle } else { high = middle - 1 }
        }
        Ok(low)
    }

    /// Places of all entries with indexes in `after..before`, oldest first; `None` above `max`.
    pub(crate) fn between(
        &self,
        after: u64,
        before: u64,
        max: u64,
    ) -> Result<Option<Vec<u64>>, JournalError> {
        let (first, end) = (self.ordinal_before(after)? + 1, self.ordinal_before(before)? + 1);
        let count = end.saturating_sub(first);
        if count > max {
            return Ok(None);
        }
        Ok(Some(self.places(first, count)?.into_iter().map(|line| line.index).collect()))
    }
}

/// Walks one part from the newest entry to the oldest.
struct Walk<'a> {
    part: Part<'a>,
    /// Entries from this ordinal down are still to be fetched.
    below: u64,
    /// Fetched, the next one last.
    fetched: Vec<u64>,
}

impl<'a> Walk<'a> {
    fn new(part: Part<'a>, before: Option<u64>) -> Result<Self, JournalError> {
        let below = match before {
            None => part.last.map_or(0, |line| line.ordinal),
            Some(before) => part.ordinal_before(before)?,
        };
        Ok(Self { part, below, fetched: Vec::new() })
    }

    fn peek(&mut self) -> Result<Option<u64>, JournalError> {
        if self.fetched.is_empty() && self.below > 0 {
            let first = self.below.saturating_sub(CHUNK) + 1;
            let places = self.part.places(first, self.below + 1 - first)?;
            self.fetched = places.into_iter().map(|line| line.index).collect();
            self.below = first - 1;
        }
        Ok(self.fetched.last().copied())
    }
}

/// The `before` of the page after one that ends above `index`. An organisation that reads what it
/// reported must not learn from it where another's entry stands: it is the place of the last entry
/// shown, or a round number in between, from which some entries are looked at again.
fn next_before(index: u64, last_shown: Option<&Entry>) -> u64 {
    let round = (index + 1).next_multiple_of(NEXT_STEP);
    last_shown.map_or(round, |last| round.min(last.index))
}

/// The newest of several walks, taken off.
fn newest(walks: &mut [Walk<'_>]) -> Result<Option<u64>, JournalError> {
    let mut best: Option<(usize, u64)> = None;
    for (place, walk) in walks.iter_mut().enumerate() {
        if let Some(index) = walk.peek()?
            && best.is_none_or(|(_, found)| index > found)
        {
            best = Some((place, index));
        }
    }
    Ok(best.map(|(place, index)| {
        walks[place].fetched.pop();
        index
    }))
}

impl Service {
    /// A page of the caller's own trail, over all parts. Blocks.
    ///
    /// Whatever was acknowledged before the call is in it.
    ///
    /// # Errors
    /// [`EntryError::Journal`] or [`EntryError::Damaged`] where the disk cannot be read.
    pub fn trail(&self, caller: Address, query: &TrailQuery) -> Result<TrailPage, EntryError> {
        self.trail_about(subject_of(caller), query)
    }

    /// The same by any subject id, for whoever [may see it](Self::may_see). Blocks.
    ///
    /// # Errors
    /// As for [`Self::trail`].
    pub fn trail_about(&self, subject: B256, query: &TrailQuery) -> Result<TrailPage, EntryError> {
        let page = self.page(self.parts_of(subject), query, |_| true)?;
        let entries = page.entries.into_iter().map(|entry| self.shown(entry)).collect();
        Ok(TrailPage { entries, ..page })
    }

    /// The whole trail of a person, their aliases too: for the person's own address, and the key that
    /// control of it moved to. Blocks.
    ///
    /// # Errors
    /// As for [`Self::trail`].
    pub fn whole_trail(&self, subject: B256, query: &TrailQuery) -> Result<TrailPage, EntryError> {
        let page = self.page(self.whole_parts_of(subject), query, |_| true)?;
        let shown = |entry| self.shown_whole(subject, entry);
        let entries = page.entries.into_iter().map(shown).collect();
        Ok(TrailPage { entries, ..page })
    }

    /// An entry as whoever may see a trail is shown it: what was about somebody else is told by its reporter to
    /// them, and not here any more.
    pub fn shown(&self, entry: Entry) -> Entry {
        self.shown_corrected(Self::without_alias(entry))
    }

    pub(crate) fn shown_corrected(&self, entry: Entry) -> Entry {
        let is_of_another = |row: &CorrectionRow| row.is_wrong_person;
        match self.corrections_of(entry.index).iter().any(is_of_another) {
            true => Entry { details: None, ..entry },
            false => entry,
        }
    }

    /// A page of what an organisation reported about `subject`, by its own key or by an API key; if
    /// a binding moved the subject, of what it reported after that too. Its parts are left out: how
    /// much others reported is not the organisation's to know. Blocks.
    ///
    /// # Errors
    /// As for [`Self::trail`].
    pub fn reported(
        &self,
        organisation: Address,
        subject: B256,
        query: &TrailQuery,
    ) -> Result<TrailPage, EntryError> {
        let mut subjects = vec![(subject, None), (self.subject_now(subject), None)];
        subjects.dedup();
        let is_theirs = |entry: &Entry| self.0.live.reporter_of(entry) == Some(organisation);
        let page = self.page(subjects, query, is_theirs)?;
        Ok(TrailPage { parts: Vec::new(), ..page })
    }

    fn page(
        &self,
        subjects: Vec<(B256, Option<Address>)>,
        query: &TrailQuery,
        is_shown: impl Fn(&Entry) -> bool,
    ) -> Result<TrailPage, EntryError> {
        let limit = query.limit.clamp(1, PAGE_ENTRIES_MAX);
        self.0.recent.reach(self.head().size)?;
        let (mut parts, mut walks) = (Vec::new(), Vec::new());
        for (subject, organisation) in subjects {
            let part = self.part(subject)?;
            let last = part.last.map(|line| self.commitment_at(line.index)).transpose()?;
            let lines = part.last.map_or(0, |line| line.ordinal);
            parts.push(TrailPart { subject, organisation, lines, last });
            walks.push(Walk::new(part, query.before)?);
        }
        let mut entries = Vec::new();
        let (mut opened, mut next) = (0, None);
        while let Some(index) = newest(&mut walks)? {
            if entries.len() == limit || opened == OPENED_MAX {
                next = Some(next_before(index, entries.last()));
                break;
            }
            opened += 1;
            let entry = match self.open_row(index) {
                Ok(entry) => entry,
                // Its commitment stays, and the part's count shows that there was something.
                Err(EntryError::Erased(_)) => continue,
                Err(error) => return Err(error),
            };
            if query.is_over_at(&entry) {
                break;
            }
            if query.fits(&entry) && is_shown(&entry) {
                entries.push(entry);
            }
        }
        Ok(TrailPage { parts, entries, next, opened })
    }

    /// All subject ids of a person: the address itself, then the pseudonyms bound to it.
    pub fn parts(&self, subject: Address) -> Vec<B256> {
        self.parts_about(subject_of(subject))
    }

    /// The same by any subject id; a pseudonym is one part.
    pub fn parts_about(&self, subject: B256) -> Vec<B256> {
        self.parts_of(subject).into_iter().map(|(subject, _)| subject).collect()
    }

    fn parts_of(&self, subject: B256) -> Vec<(B256, Option<Address>)> {
        match address_of(subject) {
            Some(address) => self.0.live.parts(address),
            None => vec![(subject, None)],
        }
    }

    fn whole_parts_of(&self, subject: B256) -> Vec<(B256, Option<Address>)> {
        match address_of(subject) {
            Some(address) => self.0.live.whole_parts(address),
            None => vec![(subject, None)],
        }
    }

    /// All subject ids whose lines a person sees by their own address: also those of aliases.
    pub(crate) fn whole_parts(&self, subject: B256) -> Vec<B256> {
        self.whole_parts_of(subject).into_iter().map(|(subject, _)| subject).collect()
    }

    /// The part of one subject id. What was acknowledged before [`Recent::reach`] was called last
    /// is in it.
    ///
    /// [`Recent::reach`]: crate::recent::Recent::reach
    pub(crate) fn part(&self, subject: B256) -> Result<Part<'_>, JournalError> {
        let tag = self.0.tags.subject_tag(subject);
        // In this order: what is forgotten by the first meanwhile is filed, so the second has it.
        let recent = self.0.recent.of(tag);
        let last = match recent.last() {
            Some(line) => Some(*line),
            None => {
                let filed = self.0.journal.last_of(tag)?;
                filed.map(|head| Line { ordinal: head.ordinal, index: head.index })
            }
        };
        Ok(Part { journal: &*self.0.journal, tag, recent, last })
    }

    fn commitment_at(&self, index: u64) -> Result<B256, JournalError> {
        let reader = TileReader::new(|id| self.0.journal.tile(id));
        let commitment = reader.commitment(index);
        commitment.map(B256::from).map_err(|error| JournalError::Damaged(error.to_string()))
    }

    pub(crate) fn open_row(&self, index: u64) -> Result<Entry, EntryError> {
        let row = self.0.journal.rows(index..index + 1)?.pop();
        self.0.opener.open(index, &row.ok_or(EntryError::Damaged(index))?)
    }

    /// Whether `caller` may read this entry: its subject, through any part, and the organisation
    /// that reported it, or for which it was relayed. Not the operator. `caller` is an address
    /// that signed in, or the id of an organisation that came with an API key.
    pub fn may_read(&self, caller: Address, entry: &Entry) -> bool {
        let subject = entry.report.subject;
        if !subject.is_zero() && self.subject_now(subject) == subject_of(caller) {
            return true;
        }
        let Some(organisation) = self.organisation_of(caller) else { return false };
        self.0.live.reporter_of(entry) == Some(organisation)
    }

    /// The entry at `index`, for somebody who may read it. Blocks.
    ///
    /// # Errors
    /// [`EntryError::Hidden`] alike for one that does not exist, is another's, or was erased and
    /// was another's; [`EntryError::Erased`] only for the caller's own.
    pub fn entry_for(&self, caller: Address, index: u64) -> Result<Entry, EntryError> {
        match self.entry(index) {
            Ok(entry) if self.may_read(caller, &entry) => Ok(entry),
            Err(error @ EntryError::Journal(_)) => Err(error),
            Err(EntryError::Erased(_) | EntryError::Damaged(_))
                if self.is_own(caller, index)? =>
            {
                self.entry(index)
            }
            _ => Err(EntryError::Hidden(index)),
        }
    }

    /// Whether the entry at `index` stands in the caller's own trail, by what its row says in clear:
    /// for one that cannot be opened. Blocks.
    ///
    /// # Errors
    /// [`JournalError`] where the disk cannot be read.
    pub fn is_own(&self, caller: Address, index: u64) -> Result<bool, JournalError> {
        use medtrail_ledger::ports::RowHeader;
        let row = self.0.journal.rows(index..index + 1)?.pop();
        let header = row.as_deref().and_then(RowHeader::decode);
        let is_its_tag = |subject| {
            header.is_some_and(|header| {
                header.ordinal > 0 && header.subject == self.0.tags.subject_tag(subject)
            })
        };
        Ok(self.whole_parts(subject_of(caller)).into_iter().any(is_its_tag))
    }
}
