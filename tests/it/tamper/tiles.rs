//! Tiles that were changed on their way, or by the operator: a reader who holds them against the
//! signed checkpoint, with nothing of ours, refuses each.

use crate::site::{Custodian, Node, Settings, Site};
use medtrail_ledger::merkle::{leaf_hash, node_hash, verify_inclusion};
use signed_note::{Note, StandardVerifier, VerifierList};
use std::collections::HashMap;
use tlog_tiles::{Error, Hash, Tile, TileHashReader, TileReader, prove_record};

/// A full tile, and partial ones on two levels.
const ENTRIES: u64 = 300;

/// All of them.
const TILES: [&str; 3] = ["tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1"];

/// The RFC 9162 root over some hashes, as the RFC writes it down.
fn root_of(hashes: &[[u8; 32]]) -> [u8; 32] {
    match hashes {
        [only] => *only,
        _ => {
            let (left, right) = hashes.split_at(hashes.len().next_power_of_two() / 2);
            node_hash(&root_of(left), &root_of(right))
        }
    }
}

/// What a mirror has of the log, by path, under the names the foreign crate gives tiles.
struct Mirror {
    served: HashMap<String, Vec<u8>>,
}

impl Mirror {
    async fn of(node: &Node) -> Self {
        let mut served = HashMap::new();
        for path in TILES {
            let answer = node.get(&format!("/log/{path}")).await.error_for_status().unwrap();
            served.insert(path.to_owned(), answer.bytes().await.unwrap().to_vec());
        }
        Self { served }
    }

    fn with_a_bit_changed(&self, path: &str, byte: usize) -> Self {
        let mut served = self.served.clone();
        served.get_mut(path).unwrap()[byte] ^= 1 << (byte % 8);
        Self { served }
    }

    /// Holds every tile against the root of the checkpoint; names the one that is wrong.
    fn audit(&self, root: Hash) -> Result<(), String> {
        let [full, partial, above] = TILES.map(|path| {
            let hashes: Vec<_> = self.served[path].as_chunks::<32>().0.to_vec();
            root_of(&hashes)
        });
        let leads_to_root = |left: &[u8; 32]| node_hash(left, &partial) == root.0;
        let wrong = match (leads_to_root(&above), leads_to_root(&full)) {
            (true, true) => return Ok(()),
            (true, false) => TILES[0],
            (false, true) => TILES[2],
            (false, false) => TILES[1],
        };
        Err(wrong.to_owned())
    }

    /// The inclusion path of an entry, from tiles that were held against the root.
    fn path(&self, index: u64, root: Hash) -> Result<Vec<[u8; 32]>, Error> {
        let path = prove_record(ENTRIES, index, &TileHashReader::new(ENTRIES, root, self))?;
        Ok(path.iter().map(|hash| hash.0).collect())
    }
}

impl TileReader for Mirror {
    fn height(&self) -> u8 {
        8
    }
    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, Error> {
        let paths = tiles.iter().map(|tile| tile.path().replacen("tile/8/", "tile/", 1));
        Ok(paths.map(|path| self.served[&path].clone()).collect())
    }
    fn save_tiles(&self, _: &[Tile], _: &[Vec<u8>]) {}
}

#[tokio::test]
async fn a_changed_tile_is_refused_by_a_reader_who_has_the_checkpoint() {
    let site = Site::new(Settings::without_a_chain());
    let node = site.serve();
    let trust = node.trust().await;
    let fjord = Custodian::fjord();
    let bodies: Vec<_> =
        (0..ENTRIES).map(|event| fjord.saw(&trust, event % 7, &event.to_string())).collect();
    let receipts = node.report_all(&bodies).await;

    let note = node.get("/log/checkpoint").await.bytes().await.unwrap();
    let verifier = StandardVerifier::new(&trust.operator.note_key).unwrap();
    let verifiers = VerifierList::new(vec![Box::new(verifier)]);
    let checked = Note::from_bytes(&note).unwrap().verify(&verifiers);
    assert_eq!(checked.unwrap().0.len(), 1);
    let text = String::from_utf8(note.to_vec()).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[1], ENTRIES.to_string());
    let root = Hash::parse_hash(lines[2]).unwrap();
    for at in 0..text.find("\n\n").unwrap() {
        let mut changed = note.to_vec();
        changed[at] ^= 1;
        let checked = Note::from_bytes(&changed).map(|note| note.verify(&verifiers));
        let is_refused = !matches!(checked, Ok(Ok((by, _))) if !by.is_empty());
        assert!(is_refused, "byte {at} of the checkpoint");
    }

    // Whole, it proves every entry that a reporter holds a receipt of.
    let mirror = Mirror::of(&node).await;
    for receipt in &receipts {
        let path = mirror.path(receipt.index, root).unwrap();
        let leaf = leaf_hash(&receipt.commitment());
        verify_inclusion(&root.0, ENTRIES, receipt.index, &leaf, &path).unwrap();
        // Another entry's commitment is not at this place.
        let other =
            leaf_hash(&receipts[(receipt.index as usize + 1) % receipts.len()].commitment());
        verify_inclusion(&root.0, ENTRIES, receipt.index, &other, &path).unwrap_err();
    }

    // One bit anywhere: the tile is named, and no path through it proves what is not so.
    mirror.audit(root).unwrap();
    for (tile, served) in &mirror.served {
        for byte in 0..served.len() {
            let changed = mirror.with_a_bit_changed(tile, byte);
            assert_eq!(changed.audit(root).unwrap_err(), *tile, "byte {byte}");
        }
        let mut refused = 0;
        for byte in (0..served.len()).step_by(served.len().div_ceil(48)) {
            let changed = mirror.with_a_bit_changed(tile, byte);
            for index in [0, 1, 100, 255, 256, 299] {
                let honest = mirror.path(index, root).unwrap();
                let leaf = leaf_hash(&receipts[index as usize].commitment());
                match changed.path(index, root) {
                    Err(error) => {
                        refused += 1;
                        let is_said = matches!(error, Error::InconsistentTile | Error::BadMath);
                        assert!(is_said, "{tile}, byte {byte}, entry {index}: {error:?}");
                    }
                    // This reader (0.2.0) does not hold full tiles against their parents where two
                    // peaks of the tree share a tile: what it then gives out, no root bears out.
                    Ok(path) if path != honest => {
                        refused += 1;
                        verify_inclusion(&root.0, ENTRIES, index, &leaf, &path).unwrap_err();
                    }
                    Ok(_) => {}
                }
            }
        }
        assert!(refused > 0, "{tile}");
    }

    // The same for what the entry bundles say: each commitment is the leaf at its place, or not.
    for (bundle, first, entries) in [("000", 0, 256), ("001.p/44", 256, 44)] {
        let answer = node.get(&format!("/log/tile/entries/{bundle}")).await;
        let bytes = answer.error_for_status().unwrap().bytes().await.unwrap().to_vec();
        assert_eq!(bytes.len(), entries * 34);
        for (place, framed) in bytes.as_chunks::<34>().0.iter().enumerate().step_by(11) {
            let index = first + place as u64;
            let path = mirror.path(index, root).unwrap();
            let stands = |framed: &[u8; 34]| {
                let entry: &[u8; 32] = framed[2..].try_into().unwrap();
                framed[..2] == [0, 32]
                    && verify_inclusion(&root.0, ENTRIES, index, &leaf_hash(entry), &path).is_ok()
            };
            assert!(stands(framed), "entry {index}");
            for byte in 0..34 {
                let mut changed = *framed;
                changed[byte] ^= 0x10;
                assert!(!stands(&changed), "bundle {bundle}, entry {index}, byte {byte}");
            }
        }
    }
    node.stop();
}
