//! `/log/`, as a transparency-log tool that knows nothing of us reads it.

use crate::support::{Answer, Log, ORIGIN};
use medtrail_ledger::merkle::{leaf_hash, verify_inclusion};
use signed_note::{Note, StandardVerifier, VerifierList};
use tlog_tiles::{Tile, TileHashReader, TileReader};

/// Entries in the log under test: a full tile, and a partial one on two levels.
const ENTRIES: u64 = 300;

async fn filled(log: &Log) {
    let mut bodies = Vec::new();
    for event in 0..ENTRIES {
        bodies.push(log.sent(event % 7, event).body());
    }
    let answer = Answer::of(log.post("application/x-ndjson", bodies.join("\n"))).await;
    assert_eq!(answer.status, 200);
    assert_eq!(log.service.head().size, ENTRIES);
}

/// The tiles over HTTP, under the names the foreign crate gives them.
struct Foreign<'a>(&'a Log);

impl TileReader for Foreign<'_> {
    fn height(&self) -> u8 {
        8
    }
    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        let asked = tiles.iter().map(|tile| {
            // Go's names have the tile's height in them, C2SP's do not.
            let path = tile.path().replacen("tile/8/", "/log/tile/", 1);
            let runtime = tokio::runtime::Handle::current();
            let get = Answer::of(self.0.get(&path));
            let answer = tokio::task::block_in_place(|| runtime.block_on(get));
            assert_eq!(answer.status, 200, "{path}");
            assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
            answer.body
        });
        Ok(asked.collect())
    }
    fn save_tiles(&self, _: &[Tile], _: &[Vec<u8>]) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_reader_proves_every_entry_from_checkpoint_and_tiles_alone() {
    let log = Log::start().await;
    filled(&log).await;
    let checkpoint = Answer::of(log.get("/log/checkpoint")).await;
    assert_eq!(checkpoint.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(checkpoint.header("cache-control"), Some("public, max-age=1"));
    let verifier = StandardVerifier::new(&log.keys.note_key.to_string()).unwrap();
    let note = Note::from_bytes(&checkpoint.body).unwrap();
    let (verified, _) = note.verify(&VerifierList::new(vec![Box::new(verifier)])).unwrap();
    assert_eq!(verified.len(), 1);
    let text = String::from_utf8(note.text().to_vec()).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!((lines[0], lines[1]), (ORIGIN, ENTRIES.to_string().as_str()));
    let root = tlog_tiles::Hash::parse_hash(lines[2]).unwrap();

    let bundle = |index: u64, width| {
        let path = match width {
            256 => format!("/log/tile/entries/{index:03}"),
            _ => format!("/log/tile/entries/{index:03}.p/{width}"),
        };
        Answer::of(log.get(&path))
    };
    let bundles = [bundle(0, 256).await.body, bundle(1, 44).await.body].concat();
    let (bundled, rest) = bundles.as_chunks::<34>();
    assert!(rest.is_empty());
    assert_eq!(bundled.len() as u64, ENTRIES);

    let foreign = Foreign(&log);
    let hashes = TileHashReader::new(ENTRIES, root, &foreign);
    for index in 0..ENTRIES {
        let path = tlog_tiles::prove_record(ENTRIES, index, &hashes).unwrap();
        let path: Vec<_> = path.iter().map(|hash| hash.0).collect();
        let entry = &bundled[index as usize];
        assert_eq!(entry[..2], [0, 32]);
        let leaf = leaf_hash(entry[2..].try_into().unwrap());
        verify_inclusion(&root.0, ENTRIES, index, &leaf, &path).unwrap();
    }
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tiles_are_served_up_to_the_checkpoint_in_one_spelling_and_cached_by_width() {
    let log = Log::start().await;
    filled(&log).await;
    for (path, hashes, cached) in [
        ("0/000", 256, "public, max-age=31536000, immutable"),
        ("0/000.p/1", 1, "public, max-age=60"),
        ("0/000.p/255", 255, "public, max-age=60"),
        ("0/001.p/44", 44, "public, max-age=60"),
        ("0/001.p/43", 43, "public, max-age=60"),
        ("1/000.p/1", 1, "public, max-age=60"),
    ] {
        let answer = Answer::of(log.get(&format!("/log/tile/{path}"))).await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (200, hashes * 32), "{path}");
        assert_eq!(answer.header("cache-control"), Some(cached), "{path}");
        let head = Answer::of(log.http.head(log.url(&format!("/log/tile/{path}")))).await;
        assert_eq!((head.status.as_u16(), head.body.len()), (200, 0), "{path}");
        assert_eq!(head.header("content-length"), Some((hashes * 32).to_string().as_str()));
    }
    for path in [
        "0/000.p/0",
        "0/000.p/256",
        "0/000.p/01",
        "0/000.p/+1",
        "0/001",
        "0/001.p/45",
        "0/002.p/1",
        "1/000",
        "1/000.p/2",
        "1/000.p/0",
        "2/000.p/1",
        "0/0",
        "0/00",
        "0/0000",
        "0/x000/000",
        "00/000",
        "+0/000",
        "64/000.p/1",
        "255/000.p/1",
        "256/000",
        "-1/000",
        "8/0/000",
        "0/",
        "0/000/",
        "0/000.p/",
        "0/000.p/1/1",
        "0/x999/x999/x999/x999/x999/x999/x999/999",
        "data/000",
        "entries/001",
        "entries/001.p/45",
        "entries/000.p/0",
        "entries/",
        "entries",
    ] {
        let answer = Answer::of(log.get(&format!("/log/tile/{path}"))).await;
        answer.problem(404, "not-found");
    }
    log.end().await;
}
