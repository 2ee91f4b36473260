//! What fsck finds, and what reindex makes again.

mod support;

use medtrail_ledger::ports::{EventKey, Journal, RecordTag, RowHeader, SubjectTag};
use medtrail_ledger::tile::TileId;
use medtrail_store::{
    Damage, FileName, Files, OpenError, Place, Store, export, reindex, reindex_on,
};
use redb::{Builder, Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use std::path::Path;
use support::disk::Disk;
use support::{Dice, SMALL, Writer, assert_clean, check_all, commitment_of};

const STATE: TableDefinition<&str, &[u8]> = TableDefinition::new("state");
const ROWS: TableDefinition<u64, &[u8]> = TableDefinition::new("rows");
const HEAD_ROWS: TableDefinition<u64, &[u8]> = TableDefinition::new("rows-000000000002");
const TILES: TableDefinition<&[u8; 9], &[u8]> = TableDefinition::new("tiles");
/// An index is two tables: keys wait in the second for their move to the first.
type Pair<K, V> = [TableDefinition<'static, K, V>; 2];
const TRAILS: Pair<&[u8; 24], u64> =
    [TableDefinition::new("trails"), TableDefinition::new("trails-young")];
const EVENTS: Pair<&[u8; 16], u64> =
    [TableDefinition::new("events"), TableDefinition::new("events-young")];
const RECORDS: Pair<&[u8; 24], ()> =
    [TableDefinition::new("records"), TableDefinition::new("records-young")];

/// 1,300 entries: 1,200 filed, of which 1,024 are dropped from the head.
fn a_log(dir: &Path) -> Vec<Vec<u8>> {
    let store = Store::open(dir, SMALL).unwrap();
    let mut writer = Writer::resume(&store, Dice(3));
    writer.append(&store, 1_300);
    store.file_up_to(1_200).unwrap();
    assert_clean(&store);
    writer.acknowledged
}

fn edit(dir: &Path, name: FileName, edit: impl FnOnce(&WriteTransaction)) {
    let database = Database::open(dir.join(name.as_str())).unwrap();
    let txn = database.begin_write().unwrap();
    edit(&txn);
    txn.commit().unwrap();
}

/// Changes one value, or removes it where `change` answers `None`.
fn change<K: redb::Key>(
    txn: &WriteTransaction,
    table: TableDefinition<K, &'static [u8]>,
    key: K::SelfType<'_>,
    change: impl FnOnce(Vec<u8>) -> Option<Vec<u8>>,
) {
    let mut table = txn.open_table(table).unwrap();
    let value = table.remove(&key).unwrap().expect("something to damage").value().to_vec();
    if let Some(value) = change(value) {
        table.insert(&key, value.as_slice()).unwrap();
    }
}

/// Takes a key out of an index, and puts another value there, if any.
fn index<K: redb::Key + Copy, V: redb::Value>(
    txn: &WriteTransaction,
    pair: Pair<K, V>,
    key: &K::SelfType<'_>,
    value: Option<V::SelfType<'_>>,
) {
    let removed = pair.map(|table| txn.open_table(table).unwrap().remove(key).unwrap().is_some());
    assert_eq!(removed.contains(&true), removed[0] ^ removed[1]);
    if let Some(value) = value {
        txn.open_table(pair[0]).unwrap().insert(key, value).unwrap();
    }
}

fn flip(place: usize) -> impl FnOnce(Vec<u8>) -> Option<Vec<u8>> {
    move |mut value| {
        value[place] ^= 1;
        Some(value)
    }
}

fn tile(level: u8, index: u64) -> (TileId, [u8; 9]) {
    let mut key = [level; 9];
    key[1..].copy_from_slice(&index.to_be_bytes());
    (TileId { level, index }, key)
}

fn tagged(tag: [u8; 16], number: u64) -> [u8; 24] {
    let mut key = [0; 24];
    key[..16].copy_from_slice(&tag);
    key[16..].copy_from_slice(&number.to_be_bytes());
    key
}

fn replace(value: Vec<u8>, old: &[u8], new: &[u8]) -> Option<Vec<u8>> {
    let at = value.windows(old.len()).position(|window| window == old).expect("the old bytes");
    Some([&value[..at], new, &value[at + old.len()..]].concat())
}

type Planted<'a> = (FileName, Box<dyn Fn(&WriteTransaction) + 'a>, Place, Damage);

#[test]
fn fsck_names_each_of_these_damages() {
    use FileName::{Head, Log};
    let original = tempfile::tempdir().unwrap();
    let rows = a_log(original.path());
    let header = |index: usize| RowHeader::decode(&rows[index]).unwrap();
    // An entry with a person and a record, filed and dropped; its neighbours in the same trail.
    let one = (300..).find(|&i| header(i).ordinal > 0 && header(i).record.0 != [0; 16]).unwrap();
    let whose = header(one);
    let (event, trail) = (whose.event, tagged(whose.subject.0, whose.ordinal));
    let last = (1_200..1_300).rev().find(|&i| header(i).ordinal > 0).unwrap();
    let at = one as u64;
    let ff = [0xff; 16];

    let planted: Vec<Planted<'_>> = vec![
        (Log, Box::new(|txn| change(txn, ROWS, at, |_| None)), Place::Row(at), Damage::Missing),
        (Log, Box::new(|txn| change(txn, ROWS, at, flip(0))), Place::Row(at), Damage::Unreadable),
        (
            Log,
            Box::new(|txn| {
                change(txn, ROWS, at, |mut row| {
                    row.push(1);
                    Some(row)
                });
            }),
            Place::Commitment(at),
            Damage::Differs,
        ),
        (
            Log,
            Box::new(|txn| {
                change(txn, ROWS, 1_100, |mut row| {
                    row.push(1);
                    Some(row)
                });
            }),
            Place::Row(1_100),
            Damage::Doubles,
        ),
        (
            Log,
            Box::new(|txn| {
                txn.open_table(ROWS).unwrap().insert(1_250, rows[1_250].as_slice()).unwrap();
            }),
            Place::Row(1_250),
            Damage::Surplus,
        ),
        (
            Head,
            Box::new(|txn| change(txn, HEAD_ROWS, 1_250, |_| None)),
            Place::Row(1_250),
            Damage::Missing,
        ),
        (
            Head,
            Box::new(|txn| {
                txn.open_table(HEAD_ROWS).unwrap().insert(1_300, rows[0].as_slice()).unwrap();
            }),
            Place::Row(1_300),
            Damage::Surplus,
        ),
        // Byte 24 ends the ordinal.
        (
            Head,
            Box::new(move |txn| {
                change(txn, HEAD_ROWS, last as u64, |mut row| {
                    row[24] = row[24].wrapping_add(1);
                    Some(row)
                });
            }),
            Place::Row(last as u64),
            Damage::NotNext,
        ),
        (
            Log,
            Box::new(move |txn| {
                index(txn, TRAILS, &&trail, None);
            }),
            Place::Trail(whose.subject, whose.ordinal),
            Damage::Missing,
        ),
        (
            Log,
            Box::new(move |txn| {
                index(txn, TRAILS, &&trail, Some(7));
            }),
            Place::Trail(whose.subject, whose.ordinal),
            Damage::LeadsTo { found: 7, expected: at },
        ),
        (
            Log,
            Box::new(move |txn| {
                index(txn, TRAILS, &&tagged(ff, 1), Some(7));
            }),
            Place::Trail(SubjectTag(ff), 1),
            Damage::Surplus,
        ),
        (
            Log,
            Box::new(move |txn| {
                index(txn, TRAILS, &&tagged(ff, 2), Some(7));
            }),
            Place::Trail(SubjectTag(ff), 2),
            Damage::NotNext,
        ),
        (
            Log,
            Box::new(move |txn| {
                index(txn, EVENTS, &&event.0, None);
            }),
            Place::Event(event),
            Damage::Missing,
        ),
        (
            Log,
            Box::new(move |txn| {
                index(txn, EVENTS, &&event.0, Some(7));
            }),
            Place::Event(event),
            Damage::LeadsTo { found: 7, expected: at },
        ),
        (
            Log,
            Box::new(move |txn| {
                index(txn, EVENTS, &&ff, Some(7));
            }),
            Place::Event(EventKey(ff)),
            Damage::Surplus,
        ),
        (
            Log,
            Box::new(move |txn| {
                index(txn, RECORDS, &&tagged(whose.record.0, at), None);
            }),
            Place::Record(whose.record, at),
            Damage::Missing,
        ),
        (
            Log,
            Box::new(move |txn| {
                index(txn, RECORDS, &&tagged(ff, 7), Some(()));
            }),
            Place::Record(RecordTag(ff), 7),
            Damage::Surplus,
        ),
        // A commitment changed: the tile above does not follow from it any more.
        (
            Log,
            Box::new(|txn| change(txn, TILES, &tile(0, 1).1, flip(40))),
            Place::Tile(tile(1, 0).0),
            Damage::Differs,
        ),
        (
            Log,
            Box::new(|txn| change(txn, TILES, &tile(0, 1).1, |_| None)),
            Place::Tile(tile(0, 1).0),
            Damage::Missing,
        ),
        (
            Log,
            Box::new(|txn| {
                change(txn, TILES, &tile(0, 1).1, |tile| Some(tile[..255 * 32].to_vec()));
            }),
            Place::Tile(tile(0, 1).0),
            Damage::Width { found: 255, expected: 256 },
        ),
        (
            Log,
            Box::new(|txn| {
                txn.open_table(TILES).unwrap().insert(&tile(0, 9).1, [0; 32].as_slice()).unwrap();
            }),
            Place::Tile(tile(0, 9).0),
            Damage::Surplus,
        ),
        (
            Head,
            Box::new(|txn| {
                txn.open_table(TILES).unwrap().insert(&tile(2, 0).1, [0; 32].as_slice()).unwrap();
            }),
            Place::Tile(tile(2, 0).0),
            Damage::Surplus,
        ),
        (
            Head,
            Box::new(|txn| change(txn, TILES, &tile(1, 0).1, flip(3))),
            Place::Tile(tile(1, 0).0),
            Damage::Differs,
        ),
        (
            Head,
            Box::new(|txn| change(txn, TILES, &tile(0, 5).1, |tile| Some(tile[..32].to_vec()))),
            Place::Tile(tile(0, 5).0),
            Damage::Width { found: 1, expected: 20 },
        ),
        // Version, size, epoch, time, and the number of peaks take the first 8 bytes.
        (
            Head,
            Box::new(|txn| change(txn, STATE, "tail", flip(12))),
            Place::Tail("peaks"),
            Damage::Differs,
        ),
        (
            Head,
            Box::new(|txn| {
                change(txn, STATE, "tail", |row| replace(row, b"\n1300\n", b"\n1301\n"));
            }),
            Place::Tail("checkpoint"),
            Damage::Differs,
        ),
        (
            Head,
            Box::new(|txn| {
                change(txn, STATE, "tail", |row| replace(row, b"\n1300\n", b"\n130x\n"));
            }),
            Place::Tail("checkpoint"),
            Damage::Unreadable,
        ),
    ];
    for (number, (file, plant, place, damage)) in planted.iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        for name in [Head, Log] {
            let name = name.as_str();
            std::fs::copy(original.path().join(name), dir.path().join(name)).unwrap();
        }
        edit(dir.path(), *file, plant);
        let report = check_all(&Store::open(dir.path(), SMALL).unwrap()).unwrap();
        let found = report.findings.iter().any(|f| (f.place, f.damage) == (*place, *damage));
        assert!(found, "damage {number}, {place}: {damage}; found {:?}", report.findings.first());
        assert!(report.findings.len() < 20, "damage {number}: {:?}", &report.findings[..5]);
    }
}

/// Everything in the three indexes.
type Indexes = (Vec<([u8; 24], u64)>, Vec<([u8; 16], u64)>, Vec<([u8; 24], ())>);

fn indexes(database: &Database) -> Indexes {
    fn rows<const N: usize, V: for<'a> redb::Value<SelfType<'a> = V> + 'static>(
        txn: &redb::ReadTransaction,
        pair: Pair<&'static [u8; N], V>,
    ) -> Vec<([u8; N], V)> {
        let mut rows = Vec::new();
        for table in pair {
            for row in txn.open_table(table).unwrap().iter().unwrap() {
                let (key, value) = row.unwrap();
                rows.push((*key.value(), value.value()));
            }
        }
        rows.sort_by_key(|row| row.0);
        rows
    }
    let txn = database.begin_read().unwrap();
    (rows(&txn, TRAILS), rows(&txn, EVENTS), rows(&txn, RECORDS))
}

#[test]
fn reindex_makes_what_the_filer_made() {
    let dir = tempfile::tempdir().unwrap();
    a_log(dir.path());
    let path = dir.path().join(FileName::Log.as_str());
    let original = indexes(&Database::open(&path).unwrap());
    assert!(original.0.len() > 1_000 && original.1.len() == 1_200 && original.2.len() > 700);
    edit(dir.path(), FileName::Log, |txn| {
        txn.delete_table(TRAILS[0]).unwrap();
        txn.delete_table(RECORDS[1]).unwrap();
        index(txn, TRAILS, &&[9; 24], Some(9));
        index(txn, RECORDS, &&[9; 24], Some(()));
    });
    let mut told = Vec::new();
    let done = reindex(dir.path(), SMALL, |done, of| told.push((done, of))).unwrap();
    assert_eq!(done, 1_200);
    assert_eq!((told.len(), told[0], told[5]), (6, (200, 1_200), (1_200, 1_200)));
    assert!(indexes(&Database::open(&path).unwrap()) == original);
    assert_clean(&Store::open(dir.path(), SMALL).unwrap());
}

#[test]
fn a_reindex_cut_short_is_noticed_and_can_be_finished() {
    let open = |disk: &Disk| {
        let backend = disk.open(FileName::Log).unwrap().unwrap();
        indexes(&Builder::new().create_with_backend(Opaque(backend)).unwrap())
    };
    let (mut untouched, mut refused) = (0, 0);
    for after in (0..).step_by(5) {
        let disk = Disk::default();
        let store = Store::open_on(disk.files(), SMALL).unwrap();
        Writer::resume(&store, Dice(4)).append(&store, 900);
        store.file_up_to(900).unwrap();
        drop(store);
        let original = open(&disk.after_kill());
        disk.lose_power_after(after + 1);
        let done = reindex_on(disk.files(), SMALL, |_, _| ());
        if done.is_ok() {
            break;
        }
        let disk = disk.after_power_loss(&mut Dice(after));
        match Store::open_on(disk.files(), SMALL) {
            Ok(store) => {
                untouched += 1;
                assert_clean(&store);
            }
            Err(error) => {
                assert!(matches!(error, OpenError::IndexesIncomplete { .. }), "{error}");
                refused += 1;
            }
        }
        reindex_on(disk.files(), SMALL, |_, _| ()).unwrap();
        assert!(open(&disk.after_kill()) == original);
        assert_clean(&Store::open_on(disk.files(), SMALL).unwrap());
    }
    assert!(untouched > 0 && refused > 5, "{untouched} {refused}");
}

#[derive(Debug)]
struct Opaque(Box<dyn redb::StorageBackend>);

impl redb::StorageBackend for Opaque {
    fn len(&self) -> std::io::Result<u64> {
        self.0.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        self.0.read(offset, out)
    }
    fn set_len(&self, len: u64) -> std::io::Result<()> {
        self.0.set_len(len)
    }
    fn sync_data(&self) -> std::io::Result<()> {
        self.0.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        self.0.write(offset, data)
    }
}

#[test]
fn an_export_gives_every_entry_with_its_commitment_from_both_files() {
    let dir = tempfile::tempdir().unwrap();
    let rows = a_log(dir.path());
    let store = Store::open(dir.path(), SMALL).unwrap();
    let all: Vec<_> = export(&store, 0..u64::MAX).unwrap().map(Result::unwrap).collect();
    assert_eq!(all.len(), rows.len());
    for (entry, (index, row)) in all.iter().zip((0..).zip(&rows)) {
        assert_eq!((entry.index, &entry.row), (index, row));
        assert_eq!(entry.commitment, commitment_of(row));
    }
    let some: Vec<_> = export(&store, 1_199..1_201).unwrap().map(Result::unwrap).collect();
    assert_eq!(some, all[1_199..1_201]);
}

#[test]
fn an_export_ends_at_the_first_damage_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    a_log(dir.path());
    edit(dir.path(), FileName::Log, |txn| change(txn, ROWS, 600, |_| None));
    let store = Store::open(dir.path(), SMALL).unwrap();
    let all: Vec<_> = export(&store, 0..u64::MAX).unwrap().collect();
    assert_eq!(all.len(), 513);
    assert!(all[512].is_err());
}
