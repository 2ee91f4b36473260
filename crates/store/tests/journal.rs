//! The journal on a healthy disk.

mod support;

use medtrail_ledger::ports::{Batch, CommitError, Journal};
use medtrail_store::{OpenError, Store};
use support::{Dice, SMALL, Writer, commit_in};

#[test]
fn what_was_committed_is_read_back_filed_or_not_and_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), SMALL).unwrap();
    let mut writer = Writer::resume(&store, Dice(1));
    for (rows, file_to) in [(1, 0), (300, 100), (700, 512), (999, 1_400), (1, 2_001)] {
        writer.append(&store, rows);
        assert_eq!(store.file_up_to(file_to).unwrap(), file_to);
        assert_eq!(store.rows(0..u64::MAX).unwrap(), writer.acknowledged);
    }
    let tail = store.tail().unwrap();
    drop(store);

    let store = Store::open(dir.path(), SMALL).unwrap();
    let reopened = store.tail().unwrap();
    assert_eq!(reopened.epoch, tail.epoch + 1);
    assert_eq!((reopened.size, &reopened.checkpoint), (2_001, &tail.checkpoint));
    assert_eq!(store.filed().unwrap(), 2_001);
    assert_eq!(store.rows(0..2_001).unwrap(), writer.acknowledged);
    assert_eq!(store.rows(1_999..5_000).unwrap(), writer.acknowledged[1_999..]);
    assert!(store.rows(2_001..3_000).unwrap().is_empty());
}

#[test]
fn a_second_instance_is_refused_while_the_first_lives() {
    let dir = tempfile::tempdir().unwrap();
    let first = Store::open(dir.path(), SMALL).unwrap();
    let second = Store::open(dir.path(), SMALL);
    assert!(matches!(second, Err(OpenError::AlreadyOpen { .. })), "{second:?}");
    drop(first);
    Store::open(dir.path(), SMALL).unwrap();
}

#[test]
fn a_batch_on_a_moved_tail_is_fenced_and_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), SMALL).unwrap();
    let mut writer = Writer::resume(&store, Dice(2));
    let mut late = writer.clone();
    writer.append(&store, 10);
    let plan = late.plan(3);
    let fenced = late.commit(&store, plan);
    assert!(matches!(fenced, Err(CommitError::Fenced { expected: 0, found: 10 })), "{fenced:?}");

    // Same size, older epoch: what another process held before this one opened the log.
    let mut older = store.tail().unwrap();
    older.epoch -= 1;
    let fenced = store.commit(&older, &Batch::default());
    assert!(matches!(fenced, Err(CommitError::Fenced { .. })), "{fenced:?}");
    assert_eq!(store.rows(0..99).unwrap(), writer.acknowledged);
    assert_eq!(store.tail().unwrap(), writer.tail);
}

#[test]
fn a_commit_in_pieces_is_seen_by_nobody_before_its_end_and_dropped_it_never_was() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), SMALL).unwrap();
    let mut writer = Writer::resume(&store, Dice(3));
    writer.append(&store, 10);
    let tail = store.tail().unwrap();
    let plan = writer.plan(600);
    for _ in 0..2 {
        let mut dropped = store.begin(&tail);
        dropped.push(plan.batch.rows[..500].to_vec(), plan.batch.tiles.clone());
        assert_eq!(store.rows(0..999).unwrap(), writer.acknowledged);
        assert_eq!(store.tail().unwrap(), tail);
    }
    assert_eq!(store.rows(0..999).unwrap(), writer.acknowledged);
    assert_eq!(commit_in(3, &store, &tail, &plan.batch).unwrap().size, 610);
    writer.accept(plan);
    assert_eq!(store.rows(0..999).unwrap(), writer.acknowledged);

    let mut late = store.begin(&tail);
    late.push(vec![b"no row at all".to_vec()], vec![]);
    let fenced = late.finish(Batch::default());
    assert!(matches!(fenced, Err(CommitError::Fenced { expected: 10, found: 610 })), "{fenced:?}");
    let mut malformed = store.begin(&store.tail().unwrap());
    malformed.push(vec![b"no row at all".to_vec()], vec![]);
    let refused = malformed.finish(Batch::default());
    assert!(matches!(refused, Err(CommitError::Malformed(_))), "{refused:?}");
    assert_eq!(store.rows(0..999).unwrap(), writer.acknowledged);
}
