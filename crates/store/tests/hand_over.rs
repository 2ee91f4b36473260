//! Readers beside a writer and a filer: at no moment is an acknowledged entry in neither file.

mod support;

use medtrail_ledger::ports::{Journal, RowHeader};
use medtrail_ledger::tile::TileId;
use medtrail_store::{Store, StoreOptions};
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use support::disk::Disk;
use support::{Dice, SMALL, Writer};

const ENTRIES: u64 = 6_000;

/// The seed of this story: a reader that took its snapshot of the log before that of the head
/// found nothing for an entry that was filed and dropped between the two.
#[test]
fn readers_find_every_acknowledged_entry_while_it_moves() {
    // Every filing drops a table, so that a reader need not be held up long to meet one.
    let options = StoreOptions { rows_per_table: 16, rows_per_filing: 16, ..SMALL };
    let store = Store::open_on(Disk::default().files(), options).unwrap();
    let mut writer = Writer::resume(&store, Dice(5));
    let rows = RwLock::new(Vec::new());
    let acknowledged = AtomicU64::new(0);
    let done = AtomicBool::new(false);
    let reads = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for reader in 0..2 {
            let (store, rows, acknowledged, done, reads) =
                (&store, &rows, &acknowledged, &done, &reads);
            scope.spawn(move || {
                let mut dice = Dice(100 + reader);
                while !done.load(Ordering::SeqCst) {
                    let size = acknowledged.load(Ordering::SeqCst);
                    if size == 0 {
                        continue;
                    }
                    // Around the border, where things move.
                    let border = store.filed().unwrap() + dice.below(48);
                    let start = border.saturating_sub(24).min(size - 1);
                    let end = size.min(start + 1 + dice.below(32));
                    let found = store.rows(start..end).unwrap();
                    let expected: &[Vec<u8>] = &rows.read().unwrap()[start as usize..end as usize];
                    assert!(found == expected, "rows {start}..{end} of {size}");
                    let id = TileId { level: 0, index: start / 256 };
                    let tile = store.tile(id).unwrap();
                    let width = tile.as_ref().map_or(0, |tile| tile.len() / 32);
                    assert!(width >= id.width_at(size), "{id:?} of {size}: {width}");
                    // And the indexes, whose keys move too.
                    let filed = store.filed().unwrap();
                    if start < filed {
                        let header = RowHeader::decode(&found[0]).unwrap();
                        assert_eq!(store.find(header.event).unwrap(), Some(start));
                        if header.ordinal > 0 {
                            let trail = store.trail(header.subject, header.ordinal, 1).unwrap();
                            assert_eq!(trail, [start]);
                            let last = store.last_of(header.subject).unwrap().unwrap();
                            assert!(last.ordinal >= header.ordinal && last.index >= start);
                        }
                    }
                    reads.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                store.file_up_to(acknowledged.load(Ordering::SeqCst)).unwrap();
            }
        });
        while writer.tail.size < ENTRIES {
            let plan = writer.plan(40);
            rows.write().unwrap().extend_from_slice(&plan.batch.rows);
            writer.commit(&store, plan).unwrap();
            acknowledged.store(writer.tail.size, Ordering::SeqCst);
            // Never far ahead, so that the readers meet what is being moved.
            while writer.tail.size - store.filed().unwrap() > 600 {
                std::thread::yield_now();
            }
        }
        done.store(true, Ordering::SeqCst);
    });
    assert!(reads.load(Ordering::SeqCst) > 100);
    assert!(store.filed().unwrap() > ENTRIES / 2);
}
