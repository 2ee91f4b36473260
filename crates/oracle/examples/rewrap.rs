//! How long it takes to wrap 100,000 keys anew under a new master key, with the files of a log.
//!
//! `cargo run --release -p medtrail-oracle --example rewrap [KEYS]`

use alloy_primitives::B256;
use medtrail_keys::masters::{MasterFolder, PRESENT};
use medtrail_keys::wrap::MasterKey;
use medtrail_ledger::ports::{KeyFile, KeyTag, SubjectTag};
use medtrail_store::KeyFileDb;
use std::time::Instant;

fn main() {
    let keys: u64 = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(100_000);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("keys");
    medtrail_keys::file::create_folder(&path).expect("a private folder");
    let log = B256::repeat_byte(1);
    let master = MasterKey::create(&path.join(PRESENT), log).expect("a master key");
    let file = KeyFileDb::open(&path, Box::new(master)).expect("a key file");
    let tag = |number: u64| {
        let mut tag = [0; 16];
        tag[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        KeyTag::Subject(SubjectTag(tag))
    };
    let tags: Vec<_> = (0..keys).map(tag).collect();
    let started = Instant::now();
    tags.chunks(4096).for_each(|some| drop(file.create(some).expect("keys")));
    println!("{keys} keys made in {} ms", started.elapsed().as_millis());
    let started = Instant::now();
    let wrapped = file.rewrap(&MasterFolder::new(&path, log)).expect("a rewrap");
    println!("{wrapped} keys wrapped anew in {} ms", started.elapsed().as_millis());
    assert!(file.open(tags[tags.len() / 2]).expect("the file").is_some());
}
