//! Reads a log from front to back and feeds it to the checks: one tile and its rows at a time.

use super::events::Events;
use super::folder::{Folder, Rows};
use super::opening::Opening;
use crate::exit::Failure;
use crate::render::Progress;
use medtrail_ledger::audit::rows::{ROWS_FILE, RowsReplay};
use medtrail_ledger::audit::tree::{TreeReplay, Wanted};
use medtrail_ledger::audit::{Check, Tally};
use medtrail_ledger::merkle::Hash;
use medtrail_ledger::verify::AnchorSeen;

/// What a replay came to beside the checks.
pub(super) struct Replayed {
    /// Entries whose commitments were read.
    pub(super) size: u64,
    /// The root over all of them; `None` if the tiles end before the log does.
    pub(super) root: Option<Hash>,
    pub(super) subjects: usize,
}

/// Replays a log of `size` entries; its rows too, unless `rows` is false.
pub(super) fn replay(
    folder: &Folder,
    size: u64,
    anchors: Vec<AnchorSeen>,
    rows: bool,
    opening: &mut Option<Opening<'_>>,
    tally: &mut Tally,
) -> Result<Replayed, Failure> {
    let progress = Progress::new("entries");
    let mut tree = TreeReplay::new(size, anchors);
    let mut lines = match rows {
        true => Some(Lines::open(folder)?),
        false => None,
    };
    while let Some(Wanted { id, width }) = tree.wanted() {
        let bundle = folder.tile(&id.entries_path(width))?;
        let leaves = folder.tile(&id.path(width))?;
        let Some(commitments) = tree.take(bundle.as_deref(), leaves.as_deref(), tally) else {
            break;
        };
        for made in tree.made() {
            let found = folder.tile(&made.path())?;
            made.compare(found.as_deref(), tally);
        }
        if let Some(lines) = &mut lines {
            lines.take(&commitments, opening, tally)?;
        }
        progress.at(tree.size(), size);
    }
    let is_whole = tree.size() == size;
    tally.say(Check::Tiles, "All tiles are what follows from the entries.");
    let mut subjects = 0;
    if let Some(lines) = lines {
        subjects = lines.replay.subjects();
        lines.finish(size, is_whole, opening, tally)?;
    }
    progress.finish();
    Ok(Replayed { size: tree.size(), root: is_whole.then(|| tree.root()), subjects })
}

struct Lines {
    /// `None` if there is no such file.
    file: Option<Rows>,
    replay: RowsReplay,
    events: Events,
}

impl Lines {
    fn open(folder: &Folder) -> Result<Self, Failure> {
        Ok(Self { file: folder.rows()?, replay: RowsReplay::new(), events: Events::default() })
    }

    fn take(
        &mut self,
        commitments: &[Hash],
        opening: &mut Option<Opening<'_>>,
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        for commitment in commitments {
            let line = match &mut self.file {
                Some(file) => file.next()?,
                None => None,
            };
            let Some(row) = self.replay.take(line, commitment, tally) else { return Ok(()) };
            self.events.push(row.header.event, row.index)?;
            tally.count(Check::Events, 1);
            if let Some(opening) = opening {
                opening.push(row, tally)?;
            }
        }
        Ok(())
    }

    fn finish(
        mut self,
        size: u64,
        is_whole: bool,
        opening: &mut Option<Opening<'_>>,
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        if is_whole {
            let line = match &mut self.file {
                Some(file) => file.next()?,
                None => None,
            };
            self.replay.finish(line, tally);
        }
        if let Some(opening) = opening {
            opening.finish(tally)?;
        }
        self.events.finish(tally)?;
        let taken = self.replay.taken();
        if taken < size {
            let checks = [Check::Rows, Check::Trails, Check::Events].into_iter();
            for check in checks.chain(opening.as_ref().map(|_| Check::Content)) {
                tally.note(check, format!("Only the first {taken} of {size} were looked at."));
            }
        }
        let words = format!("{ROWS_FILE} holds every entry in order, with its commitment.");
        tally.say(Check::Rows, words);
        let words = format!(
            "The entries of {} subjects are numbered without a gap.",
            self.replay.subjects()
        );
        tally.say(Check::Trails, words);
        Ok(())
    }
}
