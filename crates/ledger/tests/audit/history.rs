//! What the chain says, against itself, `anchors.json` and the checkpoint.

use crate::assert_found;
use crate::log::{ENTRIES, HONEST, Log, address_of, note_key, secret, trust};
use alloy_primitives::{B256, keccak256};
use medtrail_ledger::audit::history::History;
use medtrail_ledger::audit::{Check, Flaw, Tally};
use medtrail_ledger::verify::Verdict;

fn checked(change: impl FnOnce(&mut History)) -> Tally {
    let mut history = HONEST.history.clone();
    change(&mut history);
    let mut tally = Tally::default();
    history.check(&mut tally);
    tally
}

#[test]
fn events_that_contradict_each_other_or_the_registry_are_found() {
    assert_eq!(checked(|_| {}).verdict(), Verdict::Green);
    let found = |change: fn(&mut History), flaw| assert_found(&checked(change), flaw, None);
    found(|history| history.anchors.retain(|seen| seen.anchor.number != 2), Flaw::AnchorNumber);
    found(|history| history.anchors.insert(1, history.anchors[0].clone()), Flaw::AnchorNumber);
    found(|history| history.anchors[1].anchor.size = 100, Flaw::AnchorDoesNotGrow);
    found(|history| history.anchors[1].anchor.time_s -= 10, Flaw::AnchorDoesNotGrow);
    found(|history| history.anchors.truncate(2), Flaw::HeadDiffers);
    found(|history| history.head.size += 1, Flaw::HeadDiffers);
    found(|history| history.ring[2].1 = false, Flaw::RingDiffers);
    found(|history| history.origin.push('x'), Flaw::LogId);
    found(|history| history.chain_id += 1, Flaw::LogId);
}

#[test]
fn an_anchor_of_another_root_is_found_with_its_event() {
    let mut log = HONEST.clone();
    log.history.anchors[1].anchor.root = keccak256("another root");
    log.claims[1].anchor.root = keccak256("another root");
    let tally = log.audit();
    assert_found(&tally, Flaw::RootDiffers, None);
    let fault = tally.first_fault().unwrap();
    assert_eq!(fault.expected, Some(keccak256("another root").to_string()));
    assert_eq!(fault.found, Some(HONEST.history.anchors[1].anchor.root.to_string()));
    assert_eq!(fault.anchor.as_ref(), Some(&log.history.anchors[1]));
    assert_eq!(tally.of(Check::Anchors).unwrap().faults, 1);
}

#[test]
fn a_file_of_anchors_that_says_something_else_than_the_chain_is_found() {
    type Change = fn(&mut Log);
    let changes: [(Change, Flaw); 7] = [
        (|log| log.claims[1].anchor.size -= 1, Flaw::ClaimDiffers),
        (|log| log.claims[1].anchor.root = B256::ZERO, Flaw::ClaimDiffers),
        (|log| log.claims[1].anchor.time_s += 1, Flaw::ClaimDiffers),
        (|log| log.claims[1].tx = B256::ZERO, Flaw::ClaimDiffers),
        (|log| log.claims[1].block.number += 1, Flaw::ClaimDiffers),
        (|log| log.claims.push(log.claims[2].clone()), Flaw::ClaimDiffers),
        (|log| log.claims.retain(|claim| claim.anchor.number != 2), Flaw::ClaimMissing),
    ];
    for (change, flaw) in changes {
        let mut log = HONEST.clone();
        change(&mut log);
        assert_found(&log.audit(), flaw, None);
    }
    for file in [None, Some(&b"{}"[..])] {
        let mut tally = Tally::default();
        HONEST.history.compare_claims(file, &mut tally);
        assert_found(&tally, Flaw::ClaimsUnreadable, None);
    }
    // An older file is no lie; one that knows an anchor before it is final is told.
    let mut log = HONEST.clone();
    log.claims.pop();
    assert_eq!(log.audit().verdict(), Verdict::Green);
    let mut log = HONEST.clone();
    let mut next = log.claims[2].clone();
    next.anchor.number = 4;
    log.claims.push(next);
    assert_eq!(log.audit().of(Check::AnchorsFile).unwrap().verdict(), Verdict::Amber);
}

#[test]
fn both_signatures_of_the_checkpoint_count() {
    let by_another = HONEST.signed(ENTRIES, [0; 32], &secret(5));
    let log = Log { checkpoint: by_another, ..HONEST.clone() };
    assert_found(&log.audit(), Flaw::CheckpointSignature, None);

    let note = String::from_utf8(HONEST.checkpoint.clone()).unwrap();
    let lines: Vec<_> = note.lines().collect();
    for without in [4, 5] {
        let kept = lines.iter().enumerate().filter(|(at, _)| *at != without);
        let note: String = kept.map(|(_, line)| format!("{line}\n")).collect();
        let log = Log { checkpoint: note.into_bytes(), ..HONEST.clone() };
        assert_found(&log.audit(), Flaw::CheckpointSignature, None);
    }

    let mut log = HONEST.clone();
    log.history.note_key = [9; 32].into();
    let tally = log.audit();
    assert_found(&tally, Flaw::NoteKeyDiffers, None);
}

#[test]
fn an_operator_before_the_present_one_may_have_signed() {
    let mut log = HONEST.clone();
    log.history.operators.insert(0, address_of(&secret(6)));
    assert_eq!(log.audit().verdict(), Verdict::Green);
    // Whom the trust file does not name is the registry's word only.
    log.checkpoint = log.signed(ENTRIES, root_of(&log), &secret(6));
    let tally = log.audit();
    assert_eq!(tally.of(Check::Checkpoint).unwrap().verdict(), Verdict::Amber, "{tally:#?}");
    assert!(trust().is_operator(address_of(&secret(1))));
    assert_eq!(log.history.note_key.0, note_key().verifying_key().to_bytes());
}

fn root_of(log: &Log) -> [u8; 32] {
    log.replay(ENTRIES, &mut Tally::default()).0.unwrap()
}

#[test]
fn a_log_that_was_cut_short_after_an_anchor_is_found_and_an_older_copy_is_told() {
    // A checkpoint over the first 256, as if the anchored rest had never been.
    let short = |later_s: u64| {
        let mut log = HONEST.clone();
        let mut tree = medtrail_ledger::edge::RightEdge::empty();
        log.entries[..256].iter().for_each(|entry| tree.append(&entry.commitment.0));
        log.lines.truncate(256);
        log.checkpoint = log.signed(256, tree.root(), &secret(1));
        log.history.anchors[2].anchor.time_s = log.history.anchors[1].anchor.time_s + later_s;
        log.claims.pop();
        log
    };
    // The tile above lacks its partial neighbour; nothing of it is named in a log of 256.
    let tally = short(3600).audit();
    assert_eq!(tally.of(Check::Anchors).unwrap().verdict(), Verdict::Amber, "{tally:#?}");
    assert!(tally.of(Check::Anchors).unwrap().notes[0].contains("256"));

    let mut log = short(0);
    // Signed an hour after the anchor that it leaves out.
    for seen in &mut log.history.anchors {
        seen.anchor.time_s -= 3600;
    }
    log.claims.iter_mut().for_each(|claim| claim.anchor.time_s -= 3600);
    log.history.opened_s -= 3600;
    let tally = log.audit();
    assert_found(&tally, Flaw::LogShorter, 256);
    assert_eq!(tally.first_fault().unwrap().anchor.as_ref().unwrap().anchor.number, 3);
}

#[test]
fn times_without_an_anchor_are_told() {
    let mut log = HONEST.clone();
    log.history.anchors[2].anchor.time_s += 4000;
    log.claims[2].anchor.time_s += 4000;
    let tally = log.audit();
    let promise = tally.of(Check::Promise).unwrap();
    assert_eq!(promise.verdict(), Verdict::Amber);
    assert!(promise.notes[0].contains("4001 s after anchor 2"), "{promise:?}");
    log.history.anchor_within_s = 0;
    assert_eq!(log.audit().verdict(), Verdict::Green);
}
