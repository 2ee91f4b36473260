//! One group commit in the making.

use crate::room::Answer;
use crate::sealer::Draw;
use crate::sequencer::Waiting;
use alloy_primitives::B256;
use alloy_primitives::map::HashSet;
use medtrail_ledger::entry::Kind;
use medtrail_ledger::ports::{Appending, EventKey, Journal, RowHeader, Tail};
use medtrail_ledger::tile::TileId;

/// Rows that are handed to the disk at once, while the group gathers. A small group is written in
/// one go at its end.
const HANDED_OVER_ROWS: usize = 32;

/// Reports that will be durable together, or not at all.
pub(crate) struct Group<'a> {
    pub(crate) draw: Draw,
    /// Whether the filer is near enough for more entries.
    pub(crate) has_room: bool,
    /// The newest `receivedMs` in it.
    pub(crate) received_ms: u64,
    /// The commit that has taken the first rows.
    pub(crate) appending: Option<Box<dyn Appending + 'a>>,
    /// Sealed rows that follow those, in index order.
    pub(crate) rows: Vec<Vec<u8>>,
    /// Who waits for each of them.
    pub(crate) taken: Vec<Taken>,
    /// Reports of subjects whose keys and ends the writer must look up first.
    pub(crate) strangers: Vec<Waiting>,
    pub(crate) events: HashSet<EventKey>,
    /// Who sent a report that is in this group already.
    pub(crate) doubles: Vec<(EventKey, Answer)>,
}

/// A report with its place, not durable yet.
pub(crate) struct Taken {
    pub(crate) index: u64,
    pub(crate) header: RowHeader,
    pub(crate) place_hash: B256,
    pub(crate) kind: Kind,
    pub(crate) answer: Answer,
}

impl<'a> Group<'a> {
    pub(crate) fn new(draw: Draw, has_room: bool) -> Self {
        Self {
            draw,
            has_room,
            received_ms: 0,
            appending: None,
            rows: Vec::new(),
            taken: Vec::new(),
            strangers: Vec::new(),
            events: HashSet::default(),
            doubles: Vec::new(),
        }
    }

    /// Whether there is nothing to commit.
    pub(crate) fn is_empty(&self) -> bool {
        self.taken.is_empty() && self.strangers.is_empty()
    }

    /// Lets the disk begin with what is sealed.
    pub(crate) fn hand_over(&mut self, journal: &'a dyn Journal, tail: &Tail) {
        if self.rows.len() < HANDED_OVER_ROWS {
            return;
        }
        let appending = self.appending.get_or_insert_with(|| journal.begin(tail));
        appending.push(std::mem::take(&mut self.rows), Vec::new());
    }

    /// Lets the disk have the rest of it, and the tiles over all of it.
    pub(crate) fn close(
        &mut self,
        journal: &'a dyn Journal,
        tail: &Tail,
        tiles: Vec<(TileId, Vec<u8>)>,
    ) -> Box<dyn Appending + 'a> {
        let mut appending = self.appending.take().unwrap_or_else(|| journal.begin(tail));
        appending.push(std::mem::take(&mut self.rows), tiles);
        appending
    }

    /// Everyone who still waits. What the disk has taken is dropped before, so that it can be read.
    pub(crate) fn answers(self) -> impl Iterator<Item = Answer> {
        drop(self.appending);
        let taken = self.taken.into_iter().map(|taken| taken.answer);
        let strangers = self.strangers.into_iter().map(|report| report.answer);
        let doubles = self.doubles.into_iter().map(|(_, answer)| answer);
        taken.chain(strangers).chain(doubles)
    }
}
