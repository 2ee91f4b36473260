//! The tree against three others: `ct-merkle`, `tlog_tiles`, and the RFC's own recursion.

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use medtrail_ledger::edge::{EdgeError, RightEdge};
use medtrail_ledger::merkle::{
    Hash, PathError, empty_root, leaf_hash, node_hash, verify_consistency, verify_inclusion,
};
use medtrail_ledger::tile::{TILE_BYTES, TileId, TileReader, parse_tile_path};
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use sha2_next::Sha256 as NextSha256;
use std::collections::HashMap;
use std::convert::Infallible;

fn commitment(index: u64) -> Hash {
    Sha256::digest(index.to_be_bytes()).into()
}

/// Stored tiles, grown as the sequencer grows them.
struct Log {
    edge: RightEdge,
    tiles: HashMap<TileId, Vec<u8>>,
}

impl Log {
    fn of(size: u64) -> Self {
        let mut log = Self { edge: RightEdge::empty(), tiles: HashMap::new() };
        log.grow(size, 256);
        log
    }

    fn grow(&mut self, to: u64, batch: u64) {
        while self.edge.size() < to {
            let end = (self.edge.size() + batch).min(to);
            (self.edge.size()..end).for_each(|index| self.edge.append(&commitment(index)));
            self.settle();
        }
    }

    fn settle(&mut self) {
        self.tiles.extend(self.edge.changed_tiles());
        self.edge.settle();
    }

    fn reader(
        &self,
    ) -> TileReader<impl Fn(TileId) -> Result<Option<Vec<u8>>, Infallible> + use<'_>> {
        TileReader::new(|id| Ok(self.tiles.get(&id).cloned()))
    }
}

fn recursive_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [only] => *only,
        _ => {
            let split = 1 << (leaves.len() - 1).ilog2();
            node_hash(&recursive_root(&leaves[..split]), &recursive_root(&leaves[split..]))
        }
    }
}

#[test]
fn roots_and_paths_equal_those_of_ct_merkle_for_every_size_up_to_300() {
    let log = Log::of(300);
    let mut reader = log.reader();
    let mut other = MemoryBackedTree::<NextSha256, Vec<u8>>::new();
    let mut leaves = Vec::new();
    assert_eq!(reader.root(0).unwrap().as_slice(), other.root().as_bytes().as_slice());
    for size in 1..=300u64 {
        other.push(commitment(size - 1).to_vec());
        leaves.push(leaf_hash(&commitment(size - 1)));
        let root = reader.root(size).unwrap();
        assert_eq!(root.as_slice(), other.root().as_bytes().as_slice(), "root of {size}");
        assert_eq!(root, recursive_root(&leaves), "root of {size}");
        for index in 0..size {
            let path = reader.inclusion_path(index, size).unwrap();
            let expected = other.prove_inclusion(index as usize);
            assert_eq!(path.concat(), expected.as_bytes(), "path of {index} in {size}");
            let leaf = leaves[index as usize];
            verify_inclusion(&root, size, index, &leaf, &path).unwrap();
        }
        for old in 1..=size {
            let path = reader.consistency_path(old, size).unwrap();
            let expected = other.prove_consistency((size - old) as usize);
            assert_eq!(path.concat(), expected.as_bytes(), "path from {old} to {size}");
            let old_root = recursive_root(&leaves[..old as usize]);
            verify_consistency(old, size, &old_root, &root, &path).unwrap();
        }
    }
}

#[test]
fn no_path_is_accepted_with_a_hash_more_less_or_changed_or_at_another_index() {
    let log = Log::of(70);
    let mut reader = log.reader();
    for size in 1..=70u64 {
        let root = reader.root(size).unwrap();
        for index in 0..size {
            let leaf = leaf_hash(&commitment(index));
            let path = reader.inclusion_path(index, size).unwrap();
            let refused = |path: &[Hash], index| {
                verify_inclusion(&root, size, index, &leaf, path).unwrap_err()
            };
            let longer = [path.as_slice(), &[root]].concat();
            assert!(matches!(refused(&longer, index), PathError::WrongLength { .. }));
            if let Some((_, shorter)) = path.split_last() {
                refused(shorter, index);
            }
            assert!(matches!(refused(&path, size), PathError::IndexBeyondSize { .. }));
            refused(&path, u64::MAX);
            for other in (0..size).filter(|other| *other != index) {
                refused(&path, other);
            }
            for place in 0..path.len() {
                let mut changed = path.clone();
                changed[place][0] ^= 1;
                assert!(matches!(refused(&changed, index), PathError::WrongRoot { .. }));
            }
        }
        for old in 1..=size {
            let old_root = reader.root(old).unwrap();
            let path = reader.consistency_path(old, size).unwrap();
            let refused = |from: u64, path: &[Hash]| {
                verify_consistency(from, size, &old_root, &root, path).unwrap_err()
            };
            let longer = [path.as_slice(), &[root]].concat();
            assert!(matches!(refused(old, &longer), PathError::WrongLength { .. }));
            if let Some((_, shorter)) = path.split_last() {
                refused(old, shorter);
            }
            assert!(matches!(refused(0, &path), PathError::SizesOutOfOrder { .. }));
            assert!(matches!(refused(size + 1, &path), PathError::SizesOutOfOrder { .. }));
            for place in 0..path.len() {
                let mut changed = path.clone();
                changed[place][31] ^= 0x80;
                refused(old, &changed);
            }
        }
    }
}

#[test]
fn equal_sizes_extend_each_other_only_with_equal_roots_and_no_path() {
    let (one, two) = (commitment(1), commitment(2));
    verify_consistency(5, 5, &one, &one, &[]).unwrap();
    assert!(matches!(verify_consistency(5, 5, &one, &two, &[]), Err(PathError::WrongRoot { .. })));
    assert!(matches!(
        verify_consistency(5, 5, &one, &one, &[two]),
        Err(PathError::WrongLength { found: 1 })
    ));
}

/// Reads our stored tiles as the foreign crate wants them.
struct Foreign<'a>(&'a Log);

impl tlog_tiles::TileReader for Foreign<'_> {
    fn height(&self) -> u8 {
        8
    }
    fn read_tiles(&self, tiles: &[tlog_tiles::Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        tiles
            .iter()
            .map(|tile| {
                let id = TileId { level: tile.level(), index: tile.level_index() };
                let stored = self.0.tiles.get(&id).expect("the tile exists");
                let mut bytes = stored[..tile.width() as usize * 32].to_vec();
                if id.level == 0 {
                    let hashed = medtrail_ledger::tile::hashes(&bytes);
                    bytes = hashed.iter().map(leaf_hash).collect::<Vec<_>>().concat();
                }
                Ok(bytes)
            })
            .collect()
    }
    fn save_tiles(&self, _: &[tlog_tiles::Tile], _: &[Vec<u8>]) {}
}

#[test]
fn a_foreign_tile_reader_proves_random_entries_of_a_log_of_70_000() {
    let log = Log::of(70_000);
    let mut reader = log.reader();
    for size in [255, 256, 257, 65_535, 65_536, 65_537, 70_000u64] {
        let root = reader.root(size).unwrap();
        let foreign = Foreign(&log);
        let hashes = tlog_tiles::TileHashReader::new(size, tlog_tiles::Hash(root), &foreign);
        for index in (0..size).step_by((size / 37 + 1) as usize) {
            let theirs = tlog_tiles::prove_record(size, index, &hashes).unwrap();
            let ours = reader.inclusion_path(index, size).unwrap();
            assert_eq!(theirs.iter().map(|hash| hash.0).collect::<Vec<_>>(), ours);
            let leaf = leaf_hash(&commitment(index));
            verify_inclusion(&root, size, index, &leaf, &ours).unwrap();
        }
    }
}

#[test]
fn a_proof_in_a_log_of_70_000_reads_at_most_two_tiles_a_level() {
    let log = Log::of(70_000);
    for index in [0, 255, 256, 65_535, 65_536, 69_999] {
        for size in [65_536, 65_537, 69_888, 70_000u64] {
            let mut reader = log.reader();
            reader.inclusion_path(index, size).unwrap();
            assert!(reader.tiles_read() <= 6, "{} tiles", reader.tiles_read());
        }
    }
}

#[test]
fn a_missing_tile_is_named_and_no_proof_is_made_up() {
    let mut log = Log::of(1_000);
    log.tiles.remove(&TileId { level: 0, index: 2 });
    let error = log.reader().inclusion_path(600, 1_000).unwrap_err();
    assert_eq!(error.to_string(), "tile 0/2 has 0 of the 90 hashes needed");
}

#[test]
fn an_edge_loaded_from_tiles_of_another_size_is_refused() {
    let log = Log::of(1_000);
    let load = |size: u64, peaks: &[Hash]| {
        RightEdge::load(size, peaks, |id| Ok::<_, EdgeError>(log.tiles.get(&id).cloned()))
    };
    let peaks = log.edge.peaks();
    assert!(matches!(load(1_000, &peaks[1..]), Err(EdgeError::Peaks { .. })));
    let peaks_of_996 = log.reader().peaks(996).unwrap();
    assert!(matches!(load(996, &peaks_of_996), Err(EdgeError::Width { .. })));
    load(1_000, &peaks).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn an_edge_grown_in_any_batches_and_reloaded_at_any_time_equals_the_tiles(
        batches in prop::collection::vec((1u64..700, any::<bool>()), 1..8),
    ) {
        let mut log = Log::of(0);
        for (batch, reload) in batches {
            let from = log.edge.size();
            let to = from + batch;
            (from..to).for_each(|index| log.edge.append(&commitment(index)));
            let fresh: Vec<_> = {
                let paths = log.edge.paths();
                prop_assert!(from == 0 || paths.path(from - 1).is_none());
                prop_assert!(paths.path(to).is_none());
                (from..to).map(|index| paths.path(index).unwrap()).collect()
            };
            log.settle();
            let mut reader = log.reader();
            prop_assert_eq!(log.edge.root(), reader.root(to).unwrap());
            prop_assert_eq!(log.edge.peaks(), reader.peaks(to).unwrap());
            for (index, path) in (from..to).zip(&fresh) {
                prop_assert_eq!(path, &reader.inclusion_path(index, to).unwrap());
            }
            for (id, bytes) in &log.tiles {
                prop_assert_eq!(bytes.len(), id.width_at(to) * 32);
                prop_assert!(bytes.len() <= TILE_BYTES);
            }
            drop(reader);
            if reload {
                let (size, peaks) = (log.edge.size(), log.edge.peaks());
                log.edge = RightEdge::load(size, &peaks, |id| {
                    Ok::<_, EdgeError>(log.tiles.get(&id).cloned())
                }).unwrap();
            }
        }
    }

    #[test]
    fn every_consistency_path_between_random_sizes_verifies_and_no_changed_one(
        from in 1u64..20_000, more in 1u64..20_000, flip in any::<(u8, u8)>(),
    ) {
        let to = from + more;
        let log = Log::of(to);
        let mut reader = log.reader();
        let (old, new) = (reader.root(from).unwrap(), reader.root(to).unwrap());
        let mut path = reader.consistency_path(from, to).unwrap();
        verify_consistency(from, to, &old, &new, &path).unwrap();
        let place = flip.0 as usize % path.len();
        path[place][flip.1 as usize % 32] ^= 1;
        prop_assert!(verify_consistency(from, to, &old, &new, &path).is_err());
    }

    #[test]
    fn a_tile_path_reads_back_and_has_no_second_spelling(
        index in 0u64..u64::MAX / 256, width in 1usize..=256, noise in "[x0-9./p]{0,16}",
    ) {
        let path = TileId { level: 3, index }.path(width);
        let rest = path.strip_prefix("tile/3/").unwrap();
        prop_assert_eq!(parse_tile_path(rest), Some((index, width)));
        if let Some((index, width)) = parse_tile_path(&noise) {
            let spelled = TileId { level: 3, index }.path(width);
            prop_assert_eq!(spelled.strip_prefix("tile/3/").unwrap(), noise);
        }
    }
}

#[test]
fn tile_paths_are_those_of_the_c2sp_examples() {
    assert_eq!(TileId { level: 0, index: 1_234_067 }.path(256), "tile/0/x001/x234/067");
    assert_eq!(TileId { level: 0, index: 273 }.path(112), "tile/0/273.p/112");
    assert_eq!(TileId { level: 1, index: 0 }.entries_path(17), "tile/entries/000.p/17");
    for wrong in ["", "1", "0001", "x000/001", "001.p/0", "001.p/256", "001.p/01", "001/x002"] {
        assert_eq!(parse_tile_path(wrong), None, "{wrong}");
    }
}
