//! A bare commit: what any program would pay that makes the same bytes as durable with redb, and
//! does nothing else.

use crate::Burst;
use redb::{Database, TableDefinition};
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

const ROWS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("rows");
const TILES: TableDefinition<'_, (u8, u64), &[u8]> = TableDefinition::new("tiles");
const TAIL: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("tail");
/// Peaks and a signed checkpoint.
const TAIL_BYTES: usize = 1000;

type Ask = oneshot::Sender<()>;

pub(crate) struct Bare {
    queue: mpsc::Sender<Ask>,
    writer: JoinHandle<()>,
}

impl Bare {
    pub(crate) fn start(folder: &Path, row_bytes: usize) -> Self {
        std::fs::create_dir_all(folder).expect("a folder");
        let mut builder = Database::builder();
        builder.set_cache_size(32 << 20);
        let db = builder.create(folder.join("bare.redb")).expect("a database");
        let (queue, asked) = mpsc::channel(8192);
        let writer = std::thread::spawn(move || write(&db, asked, row_bytes));
        Self { queue, writer }
    }

    pub(crate) async fn burst(&self, clients: usize, seconds: u64) -> Burst {
        let started = Instant::now();
        let until = started + Duration::from_secs(seconds);
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..clients {
            let queue = self.queue.clone();
            tasks.spawn(async move {
                let mut waits = Vec::new();
                let mut asked = Instant::now();
                while asked < until {
                    let (answer, answered) = oneshot::channel();
                    queue.send(answer).await.expect("the writer");
                    answered.await.expect("an answer");
                    let answered = Instant::now();
                    waits.push(answered - std::mem::replace(&mut asked, answered));
                }
                waits
            });
        }
        let waits = tasks.join_all().await.concat();
        Burst::of(waits, started.elapsed())
    }

    pub(crate) fn stop(self) {
        drop(self.queue);
        self.writer.join().expect("a clean end");
    }
}

fn write(db: &Database, mut asked: mpsc::Receiver<Ask>, row_bytes: usize) {
    let (row, tail) = (vec![7u8; row_bytes], [7u8; TAIL_BYTES]);
    let mut waiting = Vec::with_capacity(4096);
    let mut size = 0u64;
    while asked.blocking_recv_many(&mut waiting, 4096) > 0 {
        let mut txn = db.begin_write().expect("a transaction");
        // As durable, and as quick to open after a crash, as the log's own commits.
        txn.set_two_phase_commit(true);
        txn.set_quick_repair(true);
        let first = size;
        {
            let mut rows = txn.open_table(ROWS).expect("a table");
            for _ in &waiting {
                rows.insert(size, row.as_slice()).expect("a row");
                size += 1;
            }
            let mut tiles = txn.open_table(TILES).expect("a table");
            // The tiles of each level that the new rows widen.
            let (mut level, mut from, mut hashes) = (0, first, size);
            while hashes > from {
                for tile in from / 256..=(hashes - 1) / 256 {
                    let bytes = vec![7u8; (hashes - tile * 256).min(256) as usize * 32];
                    tiles.insert((level, tile), bytes.as_slice()).expect("a tile");
                }
                (level, from, hashes) = (level + 1, from / 256, hashes / 256);
            }
            let mut tails = txn.open_table(TAIL).expect("a table");
            tails.insert("tail", tail.as_slice()).expect("a tail");
        }
        txn.commit().expect("a commit");
        for answer in waiting.drain(..) {
            let _ = answer.send(());
        }
    }
}

/// How often this disk makes 4 KiB durable in a second.
pub(crate) fn fsync_per_s(folder: &Path) -> f64 {
    let mut file = File::create(folder.join("fsync")).expect("a file");
    let started = Instant::now();
    let mut done = 0u32;
    while started.elapsed() < Duration::from_secs(1) {
        file.seek(SeekFrom::Start(0)).expect("a seek");
        file.write_all(&[done as u8; 4096]).expect("a write");
        file.sync_data().expect("a sync");
        done += 1;
    }
    f64::from(done) / started.elapsed().as_secs_f64()
}
