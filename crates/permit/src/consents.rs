//! From what the consent registry has recorded about a person to what permissions ask of the chain.

use crate::permits::{ChainState, Controller, Epoch, Freeze, Granted, Standing};
use alloy_primitives::{Address, B256};
use medtrail_ledger::consents::{ConsentEvent, ConsentRecord};

/// What a person's records, in the order of the chain, come to.
pub fn fold(subject: Address, records: &[ConsentRecord]) -> ChainState {
    let mut state = ChainState::default();
    for ConsentRecord { event, is_final } in records.iter().copied() {
        match event {
            ConsentEvent::Granted { permission, at_s } => {
                let granted = Granted { at_s, is_final };
                standing(&mut state, subject, permission).granted.get_or_insert(granted);
            }
            ConsentEvent::Revoked { permission, at_s } => {
                standing(&mut state, subject, permission).revoked_s.get_or_insert(at_s);
            }
            ConsentEvent::EpochStarted { epoch, at_s } => {
                state.epochs.push(Epoch { subject, epoch, at_s });
            }
            ConsentEvent::ControlMoved { controller, at_s } => {
                state.controllers.push(Controller { subject, controller, at_s, is_final });
                end(&mut state.freezes, at_s, is_final);
            }
            ConsentEvent::Frozen { at_s } => freeze(&mut state.freezes, subject, at_s),
            ConsentEvent::UnfreezeStarted { until_s } => {
                end(&mut state.freezes, until_s, is_final);
            }
        }
    }
    state
}

fn standing(state: &mut ChainState, subject: Address, id: B256) -> &mut Standing {
    let known = state.standings.iter().position(|standing| standing.id == id);
    let place = known.unwrap_or_else(|| {
        state.standings.push(Standing { subject, id, granted: None, revoked_s: None });
        state.standings.len() - 1
    });
    &mut state.standings[place]
}

/// One that comes while another has not ended stops the other's end: there is one freeze then.
fn freeze(freezes: &mut Vec<Freeze>, subject: Address, from_s: u64) {
    match freezes.last_mut() {
        Some(last) if last.until_s.is_none_or(|until_s| from_s < until_s) => last.until_s = None,
        _ => freezes.push(Freeze { subject, from_s, until_s: None }),
    }
}

/// What gives back waits until no reorganisation takes it away again.
fn end(freezes: &mut [Freeze], until_s: u64, is_final: bool) {
    let last = freezes.last_mut().filter(|_| is_final);
    if let Some(last) = last {
        last.until_s = Some(last.until_s.map_or(until_s, |known| known.min(until_s)));
    }
}

/// Other pasts that the chain may come to have once all of these records are final or gone, those
/// that favour whoever did something: what was given stays, what was taken away goes, and control
/// moves or does not. None if all is final.
pub fn kinder(records: &[ConsentRecord]) -> Option<[Vec<ConsentRecord>; 2]> {
    if records.iter().all(|record| record.is_final) {
        return None;
    }
    let with_moves = |moves: bool| {
        let stays = |record: &&ConsentRecord| match record.event {
            _ if record.is_final => true,
            ConsentEvent::Granted { .. } | ConsentEvent::UnfreezeStarted { .. } => true,
            ConsentEvent::ControlMoved { .. } => moves,
            ConsentEvent::Revoked { .. }
            | ConsentEvent::EpochStarted { .. }
            | ConsentEvent::Frozen { .. } => false,
        };
        let kept = records.iter().filter(stays);
        kept.map(|record| ConsentRecord { is_final: true, ..*record }).collect()
    };
    Some([with_moves(true), with_moves(false)])
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUBJECT: Address = Address::repeat_byte(1);
    const ID: B256 = B256::repeat_byte(2);

    fn settled(events: &[ConsentEvent]) -> Vec<ConsentRecord> {
        events.iter().map(|event| ConsentRecord { event: *event, is_final: true }).collect()
    }

    fn pending(event: ConsentEvent) -> ConsentRecord {
        ConsentRecord { event, is_final: false }
    }

    fn freezes(records: &[ConsentRecord]) -> Vec<(u64, Option<u64>)> {
        let state = fold(SUBJECT, records);
        assert!(state.freezes.iter().all(|freeze| freeze.subject == SUBJECT));
        state.freezes.iter().map(|freeze| (freeze.from_s, freeze.until_s)).collect()
    }

    #[test]
    fn grant_and_revocation_of_one_document_stand_together() {
        let other = B256::repeat_byte(3);
        let records = [
            ConsentEvent::Revoked { permission: other, at_s: 5 },
            ConsentEvent::Granted { permission: ID, at_s: 6 },
            ConsentEvent::Revoked { permission: ID, at_s: 9 },
        ];
        let mut records = settled(&records);
        let standing = |is_final| Standing {
            subject: SUBJECT,
            id: ID,
            granted: Some(Granted { at_s: 6, is_final }),
            revoked_s: Some(9),
        };
        let never = Standing { subject: SUBJECT, id: other, granted: None, revoked_s: Some(5) };
        assert_eq!(fold(SUBJECT, &records).standings, [never.clone(), standing(true)]);
        records[1].is_final = false;
        assert_eq!(fold(SUBJECT, &records).standings, [never, standing(false)]);
    }

    #[test]
    fn epochs_and_moves_of_control_are_told_one_by_one() {
        let first = Address::repeat_byte(7);
        let mut records = settled(&[
            ConsentEvent::EpochStarted { epoch: 3, at_s: 10 },
            ConsentEvent::ControlMoved { controller: first, at_s: 11 },
        ]);
        let second = Address::repeat_byte(8);
        records.push(pending(ConsentEvent::ControlMoved { controller: second, at_s: 12 }));
        let state = fold(SUBJECT, &records);
        assert_eq!(state.epochs, [Epoch { subject: SUBJECT, epoch: 3, at_s: 10 }]);
        let moved = |controller, at_s, is_final| Controller {
            subject: SUBJECT,
            controller,
            at_s,
            is_final,
        };
        assert_eq!(state.controllers, [moved(first, 11, true), moved(second, 12, false)]);
        assert_eq!(state.controller_of(SUBJECT), second);
    }

    #[test]
    fn a_freeze_lasts_until_it_is_lifted_for_good_or_control_moves() {
        let frozen = |at_s| ConsentEvent::Frozen { at_s };
        let lifted = |until_s| ConsentEvent::UnfreezeStarted { until_s };
        let moved = |at_s| ConsentEvent::ControlMoved { controller: Address::ZERO, at_s };
        assert_eq!(freezes(&settled(&[frozen(10)])), [(10, None)]);
        assert_eq!(freezes(&settled(&[frozen(10), lifted(50)])), [(10, Some(50))]);
        let mut not_final = settled(&[frozen(10)]);
        not_final.push(pending(lifted(50)));
        assert_eq!(freezes(&not_final), [(10, None)]);
        // Frozen again before the end: it has none any more. After it: a freeze of its own.
        assert_eq!(freezes(&settled(&[frozen(10), lifted(50), frozen(49)])), [(10, None)]);
        let again = settled(&[frozen(10), lifted(50), frozen(50)]);
        assert_eq!(freezes(&again), [(10, Some(50)), (50, None)]);
        // A recovery ends it at once, and moves the end of one that had one.
        assert_eq!(freezes(&settled(&[frozen(10), moved(20)])), [(10, Some(20))]);
        assert_eq!(freezes(&settled(&[frozen(10), lifted(50), moved(20)])), [(10, Some(20))]);
        assert_eq!(freezes(&settled(&[frozen(10), lifted(50), moved(60)])), [(10, Some(50))]);
        assert_eq!(freezes(&settled(&[moved(20)])), []);
    }

    #[test]
    fn only_what_is_not_final_yet_may_still_come_otherwise() {
        let granted = ConsentEvent::Granted { permission: ID, at_s: 6 };
        let revoked = ConsentEvent::Revoked { permission: ID, at_s: 9 };
        let moved = ConsentEvent::ControlMoved { controller: Address::ZERO, at_s: 9 };
        assert_eq!(kinder(&settled(&[granted, revoked, moved])), None);
        let records = [pending(granted), pending(revoked), pending(moved)];
        let [moves, stays] = kinder(&records).unwrap();
        assert_eq!((moves, stays), (settled(&[granted, moved]), settled(&[granted])));
    }
}
