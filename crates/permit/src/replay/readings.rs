//! What an honest judge may have known. Clocks of log and chain may be minutes apart, a block comes
//! later than the time it bears, and two entries may share a millisecond: what lies so close to an
//! act is read both ways, and where that decides, no answer is held against anybody.

use crate::consents::{fold, kinder};
use crate::documents::Document;
use crate::permits::{Act, ChainState, Verdict, World, permits};
use alloy_primitives::Address;
use medtrail_ledger::consents::{ConsentEvent, ConsentRecord};

/// How far the clocks of an honest log and of the chain may be apart, in milliseconds.
pub const EDGE_MS: u64 = 5 * 60_000;
/// How long the vault may take from asking for a permission to the entry, in milliseconds.
pub(super) const VAULT_MS: u64 = 10_000;

/// All answers that may have been given.
pub(super) struct Readings {
    /// By everything that is known.
    pub(super) verdict: Verdict,
    refused: usize,
    waits: usize,
    all: usize,
}

impl Readings {
    /// Of an act, as it was to be judged at `now_ms`. `bare` are the worlds that may have been, first
    /// the one with all that is known; they have nothing of the chain yet, only what erasures ended.
    pub(super) fn of(
        act: &Act,
        bare: Vec<World>,
        subject: Address,
        chain: &[ConsentRecord],
        now_ms: u64,
    ) -> Self {
        let pasts = pasts(chain, act.received_ms, now_ms);
        let folded: Vec<ChainState> = pasts.iter().map(|past| fold(subject, past)).collect();
        let every = |world: &World| {
            let with = |state: &ChainState| with_chain(world, state.clone());
            folded.iter().map(with).collect::<Vec<World>>()
        };
        let mut worlds: Vec<World> = bare.iter().flat_map(every).collect();
        if act.in_vault {
            let asked_ms = act.received_ms.saturating_sub(VAULT_MS);
            let before: Vec<World> =
                worlds.iter().filter_map(|world| untaken(world, asked_ms)).collect();
            worlds.extend(before);
        }
        let verdicts: Vec<Verdict> = worlds.iter().map(|world| permits(act, world)).collect();
        let refused = verdicts.iter().filter(|one| is_refused(one)).count();
        let waits = |one: &&Verdict| matches!(one, Verdict::Unconfirmed { .. });
        let waits = verdicts.iter().filter(waits).count();
        let all = verdicts.len();
        let verdict = verdicts.into_iter().next().expect("one past at least");
        Self { verdict, refused, waits, all }
    }

    /// It does not count, however it is read.
    pub(super) fn is_refused(&self) -> bool {
        self.refused == self.all
    }

    /// Somebody may honestly have said that it counts.
    pub(super) fn may_count(&self) -> bool {
        self.refused + self.waits < self.all
    }

    /// It waits for its person, however it is read.
    pub(super) fn waits(&self) -> bool {
        self.waits == self.all
    }

    /// Somebody may honestly have said that it waits.
    pub(super) fn may_wait(&self) -> bool {
        self.waits > 0
    }

    /// Somebody may honestly have said that it does not count.
    pub(super) fn may_be_refused(&self) -> bool {
        self.refused > 0
    }
}

fn with_chain(world: &World, mut chain: ChainState) -> World {
    chain.epochs.extend(world.chain.epochs.iter().cloned());
    World { chain, ..world.clone() }
}

fn is_refused(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::DoesNotCount { .. })
}

/// When an event was to be seen. An unfreezing acts only from its end on.
fn at_ms(event: &ConsentEvent) -> u64 {
    let at_s = match event {
        ConsentEvent::Granted { at_s, .. }
        | ConsentEvent::Revoked { at_s, .. }
        | ConsentEvent::EpochStarted { at_s, .. }
        | ConsentEvent::ControlMoved { at_s, .. }
        | ConsentEvent::Frozen { at_s } => at_s,
        ConsentEvent::UnfreezeStarted { until_s } => until_s,
    };
    at_s.saturating_mul(1000)
}

/// What the chain may have shown whoever looked between `received_ms` and `now_ms`: first all of it,
/// then, where something lies on the edge, what favours whoever acted and what does not.
fn pasts(chain: &[ConsentRecord], received_ms: u64, now_ms: u64) -> Vec<Vec<ConsentRecord>> {
    let (from_ms, until_ms) =
        (received_ms.saturating_sub(EDGE_MS), now_ms.max(received_ms).saturating_add(EDGE_MS));
    let seen = chain.iter().filter(|record| at_ms(&record.event) <= until_ms);
    let seen: Vec<ConsentRecord> = seen.copied().collect();
    let on_edge = seen.iter().map(|record| ConsentRecord {
        is_final: record.is_final && at_ms(&record.event) <= from_ms,
        ..*record
    });
    let on_edge: Vec<ConsentRecord> = on_edge.collect();
    let more = kinder(&on_edge).into_iter().flatten();
    let more: Vec<_> = more.chain(stricter(&on_edge)).collect();
    std::iter::once(seen).chain(more).collect()
}

/// The opposite of [`kinder`]: what took away had come, what gave had not.
fn stricter(records: &[ConsentRecord]) -> Vec<Vec<ConsentRecord>> {
    if records.iter().all(|record| record.is_final) {
        return Vec::new();
    }
    let with_moves = |moves: bool| {
        let stays = |record: &&ConsentRecord| match record.event {
            _ if record.is_final => true,
            ConsentEvent::Granted { .. } | ConsentEvent::UnfreezeStarted { .. } => false,
            ConsentEvent::ControlMoved { .. } => moves,
            ConsentEvent::Revoked { .. }
            | ConsentEvent::EpochStarted { .. }
            | ConsentEvent::Frozen { .. } => true,
        };
        let kept = records.iter().filter(stays);
        kept.map(|record| ConsentRecord { is_final: true, ..*record }).collect()
    };
    vec![with_moves(true), with_moves(false)]
}

/// The same without what was taken back, ordered or bound in the log while the vault was at work;
/// none: nothing was.
fn untaken(world: &World, asked_ms: u64) -> Option<World> {
    let mut before = world.clone();
    before.documents.retain(|held| {
        let takes = matches!(held.signed.document, Document::Revoke(_) | Document::RevokeAll(_));
        !(takes && held.received_ms.is_some_and(|received_ms| received_ms >= asked_ms))
    });
    before.ends.retain(|end| end.received_ms < asked_ms);
    for one in &mut before.pseudonyms {
        one.bound = one.bound.filter(|bound| bound.received_ms < asked_ms);
    }
    (before != *world).then_some(before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::B256;

    fn settled(event: ConsentEvent) -> ConsentRecord {
        ConsentRecord { event, is_final: true }
    }

    #[test]
    fn what_lies_close_to_an_act_is_read_both_ways_and_what_came_later_not_at_all() {
        let (permission, noon_ms) = (B256::repeat_byte(7), 1_000_000_000);
        let at = |at_ms: u64| at_ms / 1000;
        let before = noon_ms - EDGE_MS;
        let granted = settled(ConsentEvent::Granted { permission, at_s: at(before) });
        let close = settled(ConsentEvent::Revoked { permission, at_s: at(before) + 1 });
        let later = settled(ConsentEvent::Frozen { at_s: at(noon_ms + EDGE_MS) + 1 });
        assert_eq!(pasts(&[granted, later], noon_ms, noon_ms), [vec![granted]]);
        let read = pasts(&[granted, close, later], noon_ms, noon_ms);
        let (with, without) = (vec![granted, close], vec![granted]);
        // All of it; without what took away; without what gave.
        assert_eq!(read, [&with, &without, &without, &with, &with].map(Clone::clone));
        // Who judges later sees it.
        let late = pasts(&[granted, later], noon_ms, noon_ms + EDGE_MS);
        assert!(late.contains(&vec![granted, later]) && late.contains(&vec![granted]));
    }
}
