//! Follows the chain: which of our anchors stand in it, in which block, and which are final.
//!
//! Its own poll by block hash instead of alloy's `watch_canonical_logs_from`, for it is shorter
//! and survives more: that stream keeps its blocks in memory, so that a reorganisation while we
//! were down is invisible to it; it ends at its first error; and it asks for logs by range, which
//! a lagging node answers with fewer logs and no error. Here the last blocks are on disk by hash,
//! each tick is a fresh start, and an anchor that is missing shows as a gap in the numbers.
//!
//! Finalized blocks that were missed are read by range, the rest block by block by hash. All of a
//! tick's findings are saved in one transaction, or none.

use alloy_primitives::B256;
use medtrail_ledger::plan::{AnchorRecord, BlockRef, Cursor, Plan, PlanChange};
use medtrail_ledger::ports::{Registry, RegistryError, Tips};

/// Finalized blocks asked for at once: common nodes refuse ranges above 10,000.
const RANGE_BLOCKS_MAX: u64 = 10_000;

/// Why the chain could not be followed. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FollowError {
    /// The chain could not be read.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Blocks that were final are not there any more, or block 0 is another: this is not the
    /// chain that the log was anchored in. A local node that was restarted looks like this.
    #[error(
        "block {number} was {expected} and final, now it is {found}: this is another chain, or \
         the same local chain started anew"
    )]
    Vanished {
        /// A block that this disk knows as final.
        number: u64,
        /// Its hash as known here.
        expected: B256,
        /// Its hash on the chain.
        found: B256,
    },
    /// The node has not caught up with what was final here before.
    #[error("the node is at block {head}, but block {finalized} was final before")]
    Behind {
        /// The node's newest block.
        head: u64,
        /// The newest final block known here.
        finalized: u64,
    },
    /// The registry counts more anchors than its events show: a node's log index lags.
    #[error("the registry counts {count} anchors of our log, the node's events show {known}")]
    Missing {
        /// Anchors known from events.
        known: u64,
        /// Anchors by the registry's head slot.
        count: u64,
    },
    /// Anchors are numbered without gaps; the node left one out.
    #[error("the node shows anchor {found} of our log where anchor {expected} should follow")]
    Gap {
        /// The number that should follow.
        expected: u64,
        /// The number the node gave.
        found: u64,
    },
}

impl FollowError {
    /// What the operator should do.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Registry(error) => error.advice(),
            Self::Vanished { .. } => {
                "point chain.rpc at the chain this log was opened on; for a local chain that is \
                 gone, start a new log in a new data folder"
            }
            Self::Behind { .. } => "wait until the node has caught up, or use another node",
            Self::Gap { .. } | Self::Missing { .. } => {
                "nothing at first: the events are read again; if it lasts, the node's log index \
                 is incomplete: let it rebuild, or use another node"
            }
        }
    }
}

/// Where reading begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Resume {
    /// After the newest block that both the cursor and the chain know.
    #[default]
    Cursor,
    /// After the last anchor that is final: a node left events out, so all later ones are read
    /// again.
    LastFinal,
}

/// What has changed on the chain since the plan's cursor: to be saved together, then applied.
///
/// `since` is a block at or before the log's opening; without a cursor, reading starts there.
pub async fn follow<R: Registry>(
    registry: &R,
    log: B256,
    plan: &Plan,
    since: u64,
    resume: Resume,
) -> Result<Vec<PlanChange>, FollowError> {
    let tips = registry.tips().await?;
    let (head, mut finalized) = (tips.head.block, tips.finalized.block);
    if let Some(cursor) = &plan.cursor
        && finalized.number < cursor.finalized.number
    {
        // Another node, a little behind. What was final here stays final.
        finalized = cursor.finalized;
    }
    if let Some(cursor) = &plan.cursor
        && resume == Resume::Cursor
        && (cursor.head, cursor.finalized) == (head, finalized)
    {
        return Ok(Vec::new());
    }
    let (genesis, mut recent) = match &plan.cursor {
        None => (canonical(registry, 0).await?.hash, Vec::new()),
        Some(cursor) => (cursor.genesis, common_part(registry, cursor, &tips).await?),
    };
    if resume == Resume::LastFinal {
        recent.clear();
    }
    let mut anchors = Unfinal::from_plan(plan, recent.last().copied());
    let next =
        recent.last().map_or(anchors.settled_to.map_or(since, |to| to + 1), |b| b.number + 1);
    let mut walk = Walk { recent, next };

    // What is final cannot be reorganised away between two requests: by range.
    if walk.recent.is_empty() || walk.next <= finalized.number {
        let mut first = walk.next;
        while first <= finalized.number {
            let last = finalized.number.min(first + (RANGE_BLOCKS_MAX - 1));
            anchors.add(registry.anchored_between(log, first..=last).await?)?;
            first = last + 1;
        }
        walk = Walk { recent: vec![finalized], next: finalized.number + 1 };
    }
    // What can still change: each block by hash, each the child of the one before.
    while walk.next <= head.number {
        let header = registry.block(walk.next).await?.ok_or(RegistryError::Moved)?;
        if walk.recent.last().is_some_and(|parent| parent.hash != header.parent) {
            return Err(RegistryError::Moved.into());
        }
        anchors.add(registry.anchored_in(log, header.block).await?)?;
        walk.recent.push(header.block);
        walk.next += 1;
    }
    // The two ends were read first: they must be what the walk found, or the chain moved.
    let passed = |end: BlockRef| {
        walk.recent.iter().find(|block| block.number == end.number).is_none_or(|b| *b == end)
    };
    if !passed(head) || !passed(finalized) {
        return Err(RegistryError::Moved.into());
    }
    let surplus = walk.recent.len().saturating_sub(Cursor::RECENT_MAX);
    walk.recent.drain(..surplus);
    let mut changes = anchors.changes(finalized.number);
    changes.push(PlanChange::SetCursor(Cursor { genesis, head, finalized, recent: walk.recent }));
    Ok(changes)
}

/// Blocks read so far, and the height to be read next.
struct Walk {
    recent: Vec<BlockRef>,
    next: u64,
}

async fn canonical<R: Registry>(registry: &R, number: u64) -> Result<BlockRef, FollowError> {
    Ok(registry.block(number).await?.ok_or(RegistryError::Moved)?.block)
}

/// The blocks of the cursor that are still in the chain; at least the finalized one.
async fn common_part<R: Registry>(
    registry: &R,
    cursor: &Cursor,
    tips: &Tips,
) -> Result<Vec<BlockRef>, FollowError> {
    let was_final = cursor.finalized;
    if tips.head.block.number < was_final.number {
        let found = canonical(registry, 0).await?.hash;
        return Err(match found == cursor.genesis {
            false => FollowError::Vanished { number: 0, expected: cursor.genesis, found },
            true => {
                FollowError::Behind { head: tips.head.block.number, finalized: was_final.number }
            }
        });
    }
    let found = canonical(registry, was_final.number).await?.hash;
    if found != was_final.hash {
        let (number, expected) = (was_final.number, was_final.hash);
        return Err(FollowError::Vanished { number, expected, found });
    }
    let mut common = cursor.recent.clone();
    while let Some(newest) = common.last() {
        if newest.number <= was_final.number {
            break;
        }
        if registry.block(newest.number).await?.is_some_and(|header| header.block == *newest) {
            return Ok(common);
        }
        common.pop();
    }
    // Deeper than the remembered hashes reach: what is final is where both agree.
    Ok(vec![was_final])
}

/// The anchors that were not final before this tick, as it finds them, oldest first.
struct Unfinal<'a> {
    before: &'a [AnchorRecord],
    now: Vec<AnchorRecord>,
    /// Block of the newest final anchor: two of one log in one block are read together.
    settled_to: Option<u64>,
    /// The number that follows the newest anchor.
    next_number: u64,
}

impl<'a> Unfinal<'a> {
    /// What of the plan stands at or below the last common block.
    fn from_plan(plan: &'a Plan, ancestor: Option<BlockRef>) -> Self {
        let (settled, before) =
            plan.anchors.split_at(plan.anchors.partition_point(|record| record.is_final));
        let last = ancestor.map_or(0, |block| block.number);
        let now: Vec<_> =
            before.iter().filter(|record| record.block.number <= last).cloned().collect();
        let newest = now.last().or(settled.last());
        let next_number = newest.map_or(1, |record| record.anchor.number + 1);
        let settled_to = settled.last().map(|record| record.block.number);
        Self { before, now, settled_to, next_number }
    }

    fn add(&mut self, found: Vec<AnchorRecord>) -> Result<(), FollowError> {
        for record in found {
            let (expected, found) = (self.next_number, record.anchor.number);
            if found != expected {
                return Err(FollowError::Gap { expected, found });
            }
            self.next_number += 1;
            self.now.push(record);
        }
        Ok(())
    }

    /// How the plan gets there.
    fn changes(mut self, finalized: u64) -> Vec<PlanChange> {
        for record in &mut self.now {
            record.is_final = record.block.number <= finalized;
        }
        // Numbers are without gaps, so what a reorganisation took away are the last ones.
        let gone = self.before.iter().map(|record| record.anchor.number);
        let mut changes: Vec<_> = gone
            .filter(|number| *number >= self.next_number)
            .map(|number| PlanChange::DropAnchor { number })
            .collect();
        let fresh = self.now.into_iter().filter(|record| !self.before.contains(record));
        changes.extend(fresh.map(PlanChange::PutAnchor));
        changes
    }
}
