//! What an operator does to a stopped log: checks it, mends its indexes, takes it elsewhere; and
//! what the commands say.

mod words;

use crate::site::{Custodian, Said, Settings, Site, must, ticking_chain};
use medtrail_ledger::merkle::{leaf_hash, verify_inclusion};
use medtrail_ledger::receipt::Receipt;
use medtrail_ledger::trust::TrustFile;
use serde_json::Value;
use signed_note::{Note, StandardVerifier, VerifierList};
use std::fs;
use std::path::{Path, PathBuf};
use tlog_tiles::{Error, Hash, Tile, TileHashReader, TileReader, prove_record};

/// A full tile, and partial ones on two levels.
const ENTRIES: u64 = 300;

async fn report(site: &Site) -> (TrustFile, Vec<String>, Vec<Receipt>) {
    let node = site.serve();
    let trust = node.trust().await;
    let fjord = Custodian::fjord();
    let bodies: Vec<_> =
        (0..ENTRIES).map(|event| fjord.saw(&trust, event % 7, &event.to_string())).collect();
    let receipts = node.report_all(&bodies).await;
    node.wait_until("filed", |ready| ready["unfiled"] == 0).await;
    node.stop();
    (trust, bodies, receipts)
}

/// The rows of an exported log, still sealed, and their commitments.
fn exported_rows(folder: &Path) -> Vec<(Vec<u8>, Vec<u8>)> {
    let text = fs::read_to_string(folder.join("rows.ndjson")).unwrap();
    let bytes = |value: &Value| alloy::hex::decode(value.as_str().unwrap()).unwrap();
    let rows = text.lines().zip(0..).map(|(line, index)| {
        let row: Value = serde_json::from_str(line).unwrap();
        assert_eq!(row["index"], index);
        (bytes(&row["row"]), bytes(&row["commitment"]))
    });
    rows.collect()
}

/// Both files of a stopped log, to spoil one by one.
struct Copies {
    head: Vec<u8>,
    log: Vec<u8>,
}

impl Copies {
    fn of(site: &Site) -> Self {
        let read = |name| fs::read(site.log_file(name)).unwrap();
        Self { head: read("head.redb"), log: read("log.redb") }
    }

    fn put_back(&self, site: &Site) {
        fs::write(site.log_file("head.redb"), &self.head).unwrap();
        fs::write(site.log_file("log.redb"), &self.log).unwrap();
    }
}

/// Flips a bit wherever these bytes stand: a page may have been written more than once.
fn spoil(file: &mut [u8], bytes: &[u8]) {
    let places: Vec<_> = file
        .windows(bytes.len())
        .enumerate()
        .filter(|(_, window)| *window == bytes)
        .map(|(at, _)| at)
        .collect();
    assert!(!places.is_empty(), "these bytes are not in the file");
    for at in places {
        file[at + bytes.len() / 2] ^= 4;
    }
}

fn assert_found(said: &Said, file: &str, what: &str) {
    assert_eq!(said.code, Some(1), "{what}: {said:?}");
    let told = format!("{}{}", said.out, said.err);
    assert!(told.contains(file), "{what}: {told}");
    assert!(!told.contains("Nothing is wrong"), "{what}: {told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn planted_damage_is_found_and_its_file_named() {
    let site = Site::new(Settings::without_a_chain());
    let (_, _, receipts) = report(&site).await;
    must(site.run(["export", "--to", "honest"]));
    let rows = exported_rows(&site.path("honest"));
    let whole = Copies::of(&site);
    // Put back as it was it is clean: what is found below was planted.
    whole.put_back(&site);
    let said = site.must_be_clean();
    assert!(said.contains("300 entries, 300 of them filed; 300 were opened"), "{said}");

    let checkpoint = fs::read(site.path("honest/checkpoint")).unwrap();
    let commitment = receipts[17].commitment();
    type Plant<'a> = &'a dyn Fn(&mut Copies);
    let plants: [(&str, &str, Plant<'_>); 9] = [
        ("a sealed row", "log.redb", &|files| spoil(&mut files.log, &rows[123].0[60..92])),
        ("the clear start of a row", "log.redb", &|files| spoil(&mut files.log, &rows[8].0[..33])),
        ("a commitment", "log.redb", &|files| spoil(&mut files.log, commitment.as_slice())),
        ("the checkpoint", "head.redb", &|files| spoil(&mut files.head, &checkpoint)),
        ("the log's first page", "log.redb", &|files| files.log[..64].fill(0)),
        ("the head's first page", "head.redb", &|files| files.head[..64].fill(0)),
        ("half a log", "log.redb", &|files| files.log.truncate(files.log.len() / 2)),
        ("half a head", "head.redb", &|files| files.head.truncate(files.head.len() / 2)),
        ("the log in the head's place", "head.redb", &|files| files.head = files.log.clone()),
    ];
    for (what, file, plant) in plants {
        let mut files = Copies::of(&site);
        files.head.clone_from(&whole.head);
        files.log.clone_from(&whole.log);
        plant(&mut files);
        files.put_back(&site);
        assert_found(&site.run(["fsck"]), file, what);
        assert_found(&site.run(["fsck", "--without-keys"]), file, what);
    }
    for name in ["head.redb", "log.redb"] {
        whole.put_back(&site);
        fs::remove_file(site.log_file(name)).unwrap();
        assert_found(&site.run(["fsck"]), name, "a missing file");
        assert!(!site.log_file(name).exists(), "a check has made {name}");
    }
    whole.put_back(&site);
    site.must_be_clean();
}

/// Whatever byte a disk loses: it is found, or it was none that anything stands on.
#[tokio::test(flavor = "multi_thread")]
async fn a_byte_lost_anywhere_is_found_or_nothing_is_lost() {
    let site = Site::new(Settings::without_a_chain());
    report(&site).await;
    must(site.run(["export", "--to", "honest"]));
    let whole = Copies::of(&site);
    let (mut found, mut harmless) = (0, 0);
    for number in 0..32 {
        let mut files = Copies { head: whole.head.clone(), log: whole.log.clone() };
        let file = if number % 2 == 0 { &mut files.head } else { &mut files.log };
        // Spread over the file, not on page borders only.
        let at = number * file.len() / 32 + 37 * number;
        file[at] ^= 1 << (number % 8);
        files.put_back(&site);
        let said = site.run(["fsck"]);
        if said.code == Some(0) {
            harmless += 1;
            let to = format!("after-{number}");
            must(site.run(["export", "--to", &to]));
            for name in ["checkpoint", "rows.ndjson", "tile/0/000", "tile/0/001.p/44"] {
                let read = |folder: &str| fs::read(site.path(folder).join(name)).unwrap();
                assert_eq!(read(&to), read("honest"), "byte {at}, {name}");
            }
        } else {
            found += 1;
            assert_found(&said, ".redb", &format!("byte {at}"));
        }
    }
    println!("{found} found, {harmless} harmless");
    assert!(found > 0, "nothing was ever found");
}

#[tokio::test(flavor = "multi_thread")]
async fn indexes_made_anew_lead_where_the_old_ones_led() {
    let site = Site::new(Settings::without_a_chain());
    let (_, bodies, receipts) = report(&site).await;
    let said = must(site.run(["reindex"]));
    assert!(said.contains("cover 300 entries"), "{said}");
    site.must_be_clean();

    // Found by their event, each at its place; and new ones go on where the log ended.
    let node = site.serve();
    for (again, first) in node.report_all(&bodies).await.iter().zip(&receipts) {
        assert_eq!((again.index, again.place_hash), (first.index, first.place_hash));
    }
    let body = Custodian::fjord().saw(&node.trust().await, 3, "one more");
    assert_eq!(node.report(&body).await.index, ENTRIES);
    node.stop();
    site.must_be_clean();
}

/// A folder that was exported, read by what knows nothing of ours.
struct Exported(PathBuf);

impl TileReader for Exported {
    fn height(&self) -> u8 {
        8
    }
    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, Error> {
        let path = |tile: &Tile| self.0.join(tile.path().replacen("tile/8/", "tile/", 1));
        Ok(tiles.iter().map(|tile| fs::read(path(tile)).unwrap()).collect())
    }
    fn save_tiles(&self, _: &[Tile], _: &[Vec<u8>]) {}
}

/// The files below a folder, by their paths in it, sorted.
fn files_below(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for item in fs::read_dir(folder).unwrap() {
        let (path, name) = item.map(|item| (item.path(), item.file_name())).unwrap();
        let name = name.into_string().unwrap();
        match path.is_dir() {
            true => found.extend(files_below(&path).iter().map(|below| format!("{name}/{below}"))),
            false => found.push(name),
        }
    }
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exported_log_is_a_tlog_that_others_read_and_holds_every_row() {
    let anvil = ticking_chain().await;
    let site = Site::on(&anvil).await;
    let (trust, _, receipts) = report(&site).await;
    // Anchored after all was reported: the export has the anchor, too.
    let node = site.serve();
    node.wait_until_final(ENTRIES).await;
    let served = node.json("/v1/anchors").await;
    node.stop();
    let said = must(site.run(["export", "--to", "out"]));
    assert!(said.contains("300 entries") && said.contains("keys are not"), "{said}");
    let again = site.run(["export", "--to", "out"]);
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(again.err.contains("not empty") && again.err.contains("out"), "{again:?}");
    let out = Exported(site.path("out"));
    let wanted = [
        "anchors.json",
        "checkpoint",
        "rows.ndjson",
        "tile/0/000",
        "tile/0/001.p/44",
        "tile/1/000.p/1",
        "tile/entries/000",
        "tile/entries/001.p/44",
    ];
    assert_eq!(files_below(&out.0), wanted, "and nothing else: no key, above all");

    let note = fs::read(out.0.join("checkpoint")).unwrap();
    let verifier = StandardVerifier::new(&trust.operator.note_key).unwrap();
    let verifiers = VerifierList::new(vec![Box::new(verifier)]);
    assert_eq!(Note::from_bytes(&note).unwrap().verify(&verifiers).unwrap().0.len(), 1);
    let text = String::from_utf8(note).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!((lines[0], lines[1]), (trust.origin.as_str(), "300"));
    let root = Hash::parse_hash(lines[2]).unwrap();

    let bundles = ["tile/entries/000", "tile/entries/001.p/44"];
    let bundled = bundles.map(|name| fs::read(out.0.join(name)).unwrap()).concat();
    let rows = exported_rows(&out.0);
    assert_eq!((rows.len() as u64, bundled.len()), (ENTRIES, rows.len() * 34));
    let hashes = TileHashReader::new(ENTRIES, root, &out);
    for receipt in &receipts {
        // Within one commit, places need not follow the order of arrival.
        let (row, commitment) = &rows[receipt.index as usize];
        assert_eq!(receipt.commitment().as_slice(), commitment, "entry {}", receipt.index);
        let at = receipt.index as usize * 34;
        assert_eq!(bundled[at..at + 34], [&[0, 32], commitment.as_slice()].concat());
        assert!(row.len() > 100, "a row holds report, signature and details");
        let path = prove_record(ENTRIES, receipt.index, &hashes).unwrap();
        let path: Vec<_> = path.iter().map(|hash| hash.0).collect();
        let leaf = leaf_hash(&receipt.commitment());
        verify_inclusion(&root.0, ENTRIES, receipt.index, &leaf, &path).unwrap();
    }
    // Sealed: what a row is about cannot be read in it.
    let text = fs::read(out.0.join("rows.ndjson")).unwrap();
    let hex_of_a_name = alloy::hex::encode("AuditEvent");
    assert!(!String::from_utf8(text).unwrap().contains(&hex_of_a_name));

    let anchors: Value =
        serde_json::from_slice(&fs::read(out.0.join("anchors.json")).unwrap()).unwrap();
    let newest = anchors.as_array().unwrap().last().unwrap();
    assert_eq!(newest["anchor"]["size"], ENTRIES, "{anchors:#}");
    assert_eq!(newest["anchor"]["root"], served["anchors"][0]["root"], "{anchors:#}");
}
