//! What is on disk stays readable, and what this version cannot read is refused.

mod support;

use alloy_primitives::{Address, B256, Bytes};
use medtrail_ledger::plan::{
    Anchor, AnchorRecord, Attempt, BlockRef, Call, Cursor, Intent, IntentState, PlanChange,
};
use medtrail_ledger::ports::{
    CommitError, EventKey, Journal, Outbox, RecordTag, RowHeader, SubjectTag,
};
use medtrail_ledger::tile::TileId;
use medtrail_store::{FileName, OpenError, Store, StoreOptions};
use redb::{Database, TableDefinition};
use std::path::{Path, PathBuf};
use support::{Dice, SMALL, Writer, assert_clean};

const STATE: TableDefinition<&str, &[u8]> = TableDefinition::new("state");

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/v1")
}

/// The log of the fixture, made anew: `(store, writer)`.
fn the_same_log(dir: &Path) -> (Store, Writer) {
    let store = Store::open(dir, SMALL).unwrap();
    let mut writer = Writer::resume(&store, Dice(2026));
    writer.row_bytes = 16;
    writer.append(&store, 300);
    store.file_up_to(280).unwrap();
    store.set_meta("origin", b"test.example/log").unwrap();
    store.save(&plan_changes()).unwrap();
    (store, writer)
}

/// One row of each table of the outbox.
fn plan_changes() -> Vec<PlanChange> {
    let block = |number: u64| BlockRef { number, hash: B256::repeat_byte(number as u8) };
    let anchor = |number| Anchor { number, size: 280, root: B256::repeat_byte(3), time_s: 17 };
    let attempt = Attempt {
        hash: B256::repeat_byte(4),
        raw: Bytes::from_static(&[2, 0xf8]),
        tip: 1_000_000_000,
        max_fee: 30_000_000_000,
        built_at_block: 19,
    };
    let call = Call::Anchor {
        log: B256::repeat_byte(5),
        old: anchor(1),
        size: 300,
        root: B256::repeat_byte(6),
        proof: vec![B256::repeat_byte(7)],
    };
    vec![
        PlanChange::PutIntent(Intent {
            account: Address::repeat_byte(8),
            nonce: 9,
            call,
            gas: 120_000,
            state: IntentState::Mined(block(20)),
            made_at_block: 18,
            attempts: vec![attempt],
        }),
        PlanChange::SetCursor(Cursor {
            genesis: B256::repeat_byte(10),
            head: block(21),
            finalized: block(11),
            recent: vec![block(20), block(21)],
        }),
        PlanChange::PutAnchor(AnchorRecord {
            anchor: anchor(1),
            tx: B256::repeat_byte(12),
            block: block(13),
            is_final: true,
        }),
        PlanChange::KeepCheckpoint { size: 280, note: b"kept".to_vec() },
    ]
}

#[test]
fn a_log_of_format_1_still_opens() {
    let dir = tempfile::tempdir().unwrap();
    for name in [FileName::Head, FileName::Log] {
        let name = name.as_str();
        std::fs::copy(fixture().join(name), dir.path().join(name)).unwrap();
    }
    let elsewhere = tempfile::tempdir().unwrap();
    let (made, expected) = the_same_log(elsewhere.path());
    let store = Store::open(dir.path(), SMALL).unwrap();
    assert_eq!(store.rows(0..u64::MAX).unwrap(), expected.acknowledged);
    let tail = store.tail().unwrap();
    assert_eq!((tail.size, tail.epoch), (300, 2));
    assert_eq!(tail.checkpoint, expected.tail.checkpoint);
    assert_eq!(store.filed().unwrap(), 280);
    assert_eq!(store.meta("origin").unwrap().unwrap(), b"test.example/log");
    assert_eq!(store.load().unwrap(), made.load().unwrap());
    assert_eq!(store.load().unwrap().intents.len(), 1);
    assert_eq!(store.kept_checkpoint(280).unwrap().unwrap(), b"kept");
    let id = TileId { level: 0, index: 0 };
    assert_eq!(store.tile(id).unwrap(), made.tile(id).unwrap());
    assert_clean(&store);
    let mut writer = Writer::resume(&store, Dice(1));
    writer.append(&store, 400);
    store.file_up_to(u64::MAX).unwrap();
    assert_clean(&store);
}

/// `cargo test -p medtrail-store --test format -- --ignored` writes the fixture again. A format
/// that released versions wrote must never be written again: add the next one beside it.
#[test]
#[ignore = "writes into the source tree"]
fn write_the_fixture_of_format_1() {
    std::fs::create_dir_all(fixture()).unwrap();
    drop(the_same_log(&fixture()));
    for name in [FileName::Head, FileName::Log] {
        let mut database = Database::open(fixture().join(name.as_str())).unwrap();
        while database.compact().unwrap() {}
    }
}

#[test]
fn a_newer_format_is_refused_by_its_number() {
    for name in [FileName::Head, FileName::Log] {
        let dir = tempfile::tempdir().unwrap();
        drop(Store::open(dir.path(), SMALL).unwrap());
        let set_format = |format: &[u8]| {
            let database = Database::open(dir.path().join(name.as_str())).unwrap();
            let txn = database.begin_write().unwrap();
            txn.open_table(STATE).unwrap().insert("format", format).unwrap();
            txn.commit().unwrap();
        };
        set_format(&2u32.to_le_bytes());
        let refused = Store::open(dir.path(), SMALL).unwrap_err();
        assert!(matches!(refused, OpenError::Newer { found: 2, known: 1, .. }), "{refused}");
        assert_eq!(
            refused.to_string(),
            format!("{name} has format 2, this version knows 1 and older ones")
        );
        set_format(b"?");
        let refused = Store::open(dir.path(), SMALL).unwrap_err();
        assert!(matches!(refused, OpenError::Damaged { file, .. } if file == name), "{refused}");
        set_format(&1u32.to_le_bytes());
        Store::open(dir.path(), SMALL).unwrap();
    }
}

#[test]
fn files_that_do_not_belong_together_are_refused() {
    let log_of = |entries| {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), SMALL).unwrap();
        Writer::resume(&store, Dice(entries)).append(&store, entries);
        store.file_up_to(entries).unwrap();
        dir
    };
    let (young, old) = (log_of(100), log_of(1_100));
    for (head, log) in [(&young, &old), (&old, &young)] {
        let dir = tempfile::tempdir().unwrap();
        for (from, name) in [(head, FileName::Head), (log, FileName::Log)] {
            let name = name.as_str();
            std::fs::copy(from.path().join(name), dir.path().join(name)).unwrap();
        }
        let refused = Store::open(dir.path(), SMALL).unwrap_err();
        assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
    }
}

#[test]
fn a_batch_that_could_not_be_filed_is_refused_at_the_door() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), SMALL).unwrap();
    let mut writer = Writer::resume(&store, Dice(1));
    let good = writer.plan(2).batch;
    let damage: [&dyn Fn(&mut medtrail_ledger::ports::Batch); 4] = [
        &|batch| batch.rows[1][0] = 9,
        &|batch| batch.rows[1].truncate(RowHeader::BYTES - 1),
        &|batch| batch.tiles[0].1.push(0),
        &|batch| batch.tiles[0].1.resize(257 * 32, 0),
    ];
    for damage in damage {
        let mut batch = good.clone();
        damage(&mut batch);
        let refused = store.commit(&writer.tail, &batch);
        assert!(matches!(refused, Err(CommitError::Malformed(_))), "{refused:?}");
        assert_eq!(store.tail().unwrap(), writer.tail);
    }
    store.commit(&writer.tail, &good).unwrap();
}

#[test]
fn indexes_answer_for_filed_entries_only_and_leave_out_what_has_no_subject_or_record() {
    let dir = tempfile::tempdir().unwrap();
    // More filings than the indexes have slices.
    let options = StoreOptions { rows_per_filing: 17, ..SMALL };
    let store = Store::open(dir.path(), options).unwrap();
    let mut writer = Writer::resume(&store, Dice(11));
    writer.append(&store, 800);
    store.file_up_to(700).unwrap();
    let headers: Vec<_> =
        writer.acknowledged.iter().map(|row| RowHeader::decode(row).unwrap()).collect();
    let (filed, unfiled) = headers.split_at(700);
    for (index, header) in (0..).zip(filed) {
        assert_eq!(store.find(header.event).unwrap(), Some(index));
    }
    assert!(unfiled.iter().all(|header| store.find(header.event).unwrap().is_none()));
    assert_eq!(store.find(EventKey([1; 16])).unwrap(), None);

    let places = |is_one: &dyn Fn(&RowHeader) -> bool| -> Vec<u64> {
        (0..).zip(filed).filter(|(_, header)| is_one(header)).map(|(index, _)| index).collect()
    };
    for subject in (1..20).map(|number| SubjectTag([number * 13; 16])) {
        let trail = places(&|header| header.subject == subject);
        assert_eq!(store.trail(subject, 1, usize::MAX).unwrap(), trail);
        assert_eq!(store.trail(subject, 3, 4).unwrap(), trail[2..6]);
        let head = store.last_of(subject).unwrap().unwrap();
        assert_eq!((head.ordinal, head.index), (trail.len() as u64, *trail.last().unwrap()));
    }
    // Entries without a person carry subject 0 and ordinal 0 here.
    assert_eq!(store.last_of(SubjectTag([0; 16])).unwrap(), None);
    assert_eq!(store.last_of(SubjectTag([99; 16])).unwrap(), None);

    let (record, about) = (1..250)
        .map(|number| RecordTag([number; 16]))
        .map(|record| (record, places(&|header| header.record == record)))
        .find(|(_, about)| about.len() > 2)
        .unwrap();
    assert_eq!(store.of_record(record, 0, 99).unwrap(), about);
    assert_eq!(store.of_record(record, about[1], 1).unwrap(), about[1..2]);
    assert!(store.of_record(RecordTag([0; 16]), 0, 9).unwrap().is_empty());
}
