//! Changes about people without a key. Most of what a hospital reports is about them, and about most
//! of them nobody ever gave a document: then nobody can have taken anything back. So the judge knows
//! the pseudonyms about which a document stands, as a set that the directory keeps, and of all
//! others it reads nothing.
//!
//! A pseudonym gets into the set before the entry of its document is passed, so that no later change
//! is judged without it. A log that an older version judged, which knew of none, is read once.

use super::refusal::event_of;
use super::{Judge, Obstacle, Outcome};
use crate::anchorer::Problem;
use crate::behind::SAVE_ENTRIES;
use crate::opener::{Entry, EntryError};
use crate::own::judges_pseudonyms;
use crate::service::Service;
use alloy_primitives::B256;
use medtrail_ledger::directory::DirectoryChange;
use medtrail_ledger::entry::{Kind, address_of};
use medtrail_ledger::ports::JournalError;
use medtrail_ledger::proof::Evidence;
use medtrail_permit::permits::{Act, ChainState, Verdict, World, permits};

/// Where judging begins, and up to where it is known about which pseudonyms documents stand.
///
/// A log that ran before anybody judged is judged from here on: before, nobody could permit
/// anything. Of one that a version judged which judged no pseudonyms, the log itself says that it
/// does from now on: else an audit could not tell what is missing from what nobody looked at.
pub(super) fn begin(service: &Service) -> Result<(u64, u64), JournalError> {
    let (live, size) = (&service.0.live, service.head().size);
    let (judged, until) = match (live.judged(), live.guarded_until()) {
        (Some(judged), Some(until)) => (judged, until),
        (Some(judged), None) => {
            let mut changes = vec![DirectoryChange::Guarded(0)];
            changes.extend((judged > 0).then(|| judges_pseudonyms((service.0.now_ms)())));
            live.apply(changes)?;
            (judged, 0)
        }
        (None, _) => {
            let changes = vec![DirectoryChange::Judged(size), DirectoryChange::Guarded(size)];
            live.apply(changes)?;
            (size, size)
        }
    };
    let judged = judged.min(size);
    Ok((judged, until.min(judged)))
}

/// The pseudonym that a document in the log is about, if it is about one.
fn guarded_by(entry: &Entry) -> Option<B256> {
    let is_document = Kind::from_number(entry.report.kind) == Kind::Permission
        && entry.evidence == Evidence::Relayed;
    let subject = entry.report.subject;
    (is_document && !subject.is_zero() && address_of(subject).is_none()).then_some(subject)
}

impl Service {
    /// Those of these pseudonyms about which a document stands.
    pub(crate) fn guarded_of(&self, all: impl Iterator<Item = B256>) -> Vec<B256> {
        let rows = self.0.live.rows();
        all.filter(|one| rows.guarded.contains(one)).collect()
    }

    /// Makes durable, before it returns, about whom documents stand.
    fn note_guarded(&self, mut all: Vec<B256>, until: Option<u64>) -> Result<(), JournalError> {
        {
            let rows = self.0.live.rows();
            all.retain(|one| !rows.guarded.contains(one));
        }
        let until = until.map(DirectoryChange::Guarded);
        let changes: Vec<_> =
            all.into_iter().map(DirectoryChange::PutGuarded).chain(until).collect();
        if changes.is_empty() {
            return Ok(());
        }
        let _one_at_a_time = self.0.live.begin()?;
        self.0.live.apply(changes)
    }
}

/// What was read of some rows.
#[derive(Default)]
pub(super) struct Seen {
    /// The entries that could be opened.
    pub(super) kinds: Vec<(u64, Kind)>,
    guarded: Vec<B256>,
    /// Every row below was read.
    pub(super) end: u64,
    /// Why no more were.
    pub(super) failed: Option<EntryError>,
}

impl Judge {
    /// Reads the next rows below `size`, and notes about whom documents stand in them.
    pub(super) fn read(&self, from: u64, size: u64) -> Result<Seen, Obstacle> {
        let mut seen = Seen { end: from, ..Seen::default() };
        for (index, row) in self.service.rows_from(from, size)? {
            match self.service.0.opener.open(index, &row) {
                Ok(entry) => {
                    seen.kinds.push((index, Kind::from_number(entry.report.kind)));
                    seen.guarded.extend(guarded_by(&entry));
                }
                Err(EntryError::Erased(_)) => {}
                Err(error @ EntryError::Damaged(_)) => {
                    tracing::error!("it is not judged: {error}");
                }
                Err(error) => {
                    seen.failed = Some(error);
                    break;
                }
            }
            seen.end = index + 1;
        }
        self.service.note_guarded(std::mem::take(&mut seen.guarded), None)?;
        Ok(seen)
    }

    /// The same of rows whose kinds were told.
    pub(super) fn note_told(&self, kinds: &[(u64, Kind)]) -> Result<(), Obstacle> {
        let mut guarded = Vec::new();
        for (index, _) in kinds.iter().filter(|(_, kind)| *kind == Kind::Permission) {
            match self.service.open_row(*index) {
                Ok(entry) => guarded.extend(guarded_by(&entry)),
                Err(EntryError::Erased(_) | EntryError::Damaged(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(self.service.note_guarded(guarded, None)?)
    }

    /// Whether an older version judged entries whose documents are not known.
    pub(super) fn is_behind_with_documents(&self) -> bool {
        self.guarded_until < self.began
    }

    /// Reads on in what an older version judged. It is read once, and nothing is judged before.
    pub(super) fn catch_up(&mut self) -> Result<(), Obstacle> {
        let Seen { end, failed, .. } = self.read(self.guarded_until, self.began)?;
        if end == self.began || end / SAVE_ENTRIES > self.guarded_until / SAVE_ENTRIES {
            self.service.note_guarded(Vec::new(), Some(end))?;
        }
        self.guarded_until = end;
        let what = format!(
            "changes wait until the log was read once for documents about people without a key: {end} \
             of {} entries",
            self.began
        );
        self.problem = self.is_behind_with_documents().then_some(Problem {
            what,
            advice: "nothing: an earlier version did not judge these, and it takes some minutes",
        });
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Judges a change about somebody without a key, by what stood in its trail before it: that is
    /// the same however late it is judged, and whoever they became meanwhile. What is said to it
    /// afterwards answers it, and takes nothing back of what is told here.
    pub(super) fn judge_guarded(&self, entry: &Entry, act: &Act) -> Result<Outcome, Obstacle> {
        let pseudonym = entry.report.subject;
        if !self.service.0.live.rows().guarded.contains(&pseudonym) {
            return Ok(Outcome::Done);
        }
        // No chain: a pseudonym has nothing there.
        let registries = self.service.registries();
        let papers = self.service.papers(pseudonym)?;
        let world = papers.world_before(entry.index, registries, ChainState::default());
        if world.documents.is_empty() {
            return Ok(Outcome::Done);
        }
        let kept = match self.service.kept(pseudonym) {
            // Nobody can tell any more who kept it.
            Err(EntryError::Erased(_)) => return Ok(Outcome::Done),
            kept => kept?,
        };
        let world = World { pseudonyms: vec![kept], ..world };
        let Verdict::DoesNotCount { reason, document } = permits(act, &world) else {
            return Ok(Outcome::Done);
        };
        // Held until it is entered: the entry of a binding is the last under the pseudonym.
        let _no_binding_begins = self.service.0.live.begin()?;
        let moved = self.service.0.live.moved().get(&pseudonym).copied();
        if let Some(moved) = moved {
            if !moved.is_settled {
                return Ok(Outcome::NotFinal);
            }
            // Told under the pseudonym, it is not told again to whom that became.
            if self.service.find_own(pseudonym, event_of(act))?.is_some() {
                return Ok(Outcome::Done);
            }
        }
        self.refuse(entry, act, reason, document)?;
        Ok(Outcome::Done)
    }
}
