//! Before anything is anchored: what is on disk, hashed once more.
//!
//! A certificate log died of one flipped bit between its memory and its disk (Yeti 2022): the
//! head was signed, the leaf on disk was another. An anchor cannot be taken back, so the new
//! leaves are read from disk and every stored hash above them is computed again, independently of
//! the writer that put them there.

use alloy_primitives::hex;
use medtrail_ledger::checkpoint::{CheckpointError, SignedCheckpoint};
use medtrail_ledger::merkle::{self, Hash, PathError, leaf_hash, node_hash};
use medtrail_ledger::plan::Anchor;
use medtrail_ledger::ports::{Journal, JournalError, Tail};
use medtrail_ledger::tile::{
    TILE_HASHES, TILE_HEIGHT, TileError, TileId, TileReader, TileSource, hashes,
};
use std::collections::HashMap;

/// Why what is on disk must not be anchored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadBackError {
    /// The disk could not be read, or lacks what it should hold.
    #[error(transparent)]
    Tiles(#[from] TileError<JournalError>),
    /// The signed checkpoint on disk cannot be read.
    #[error("the newest checkpoint on disk: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// A stored hash is not what the leaves below it hash to.
    #[error("tile {}/{} holds a wrong hash at place {place}", id.level, id.index)]
    StoredHash {
        /// Which tile.
        id: TileId,
        /// Which of its hashes.
        place: usize,
    },
    /// The entries on disk up to an anchored size are not those that were anchored.
    #[error(
        "the first {size} entries on disk hash to {}, anchored is {}",
        hex::encode(computed),
        hex::encode(anchored)
    )]
    AnchoredRoot {
        /// Anchored entries.
        size: u64,
        /// From disk.
        computed: Hash,
        /// From the chain.
        anchored: Hash,
    },
    /// The entries on disk are not those of the signed checkpoint.
    #[error(
        "the {size} entries on disk hash to {}, signed is size {signed_size}, root {}",
        hex::encode(computed),
        hex::encode(signed)
    )]
    SignedRoot {
        /// Entries on disk.
        size: u64,
        /// From disk.
        computed: Hash,
        /// Size in the signed checkpoint.
        signed_size: u64,
        /// Root in the signed checkpoint.
        signed: Hash,
    },
    /// The consistency proof built from the stored tiles proves nothing.
    #[error("the consistency proof built from disk is wrong: {0}")]
    Proof(#[from] PathError),
}

/// What goes into an anchor.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ReadBack {
    /// Root over the target size.
    pub(crate) root: Hash,
    /// RFC 9162 consistency proof from the old anchor; empty for the first.
    pub(crate) proof: Vec<Hash>,
}

/// Reads all leaves from the old anchor to the end of the log back, and returns root and proof for
/// `target`, at most `tail.size`. Holds one tile a level in memory, however long the log.
pub(crate) fn read_back(
    journal: &dyn Journal,
    old: &Anchor,
    tail: &Tail,
    target: u64,
) -> Result<ReadBack, ReadBackError> {
    let signed = SignedCheckpoint::parse(&tail.checkpoint)?.checkpoint;
    let mut reader = TileReader::new(|id| journal.tile(id));
    let mut walk = Rehash::from_tile_of(old.size, journal, &mut reader)?;

    walk.append_to(old.size)?;
    let computed = walk.root();
    if old.number > 0 && computed != old.root.0 {
        let (size, anchored) = (old.size, old.root.0);
        return Err(ReadBackError::AnchoredRoot { size, computed, anchored });
    }
    walk.append_to(target)?;
    let root = walk.root();
    walk.append_to(tail.size)?;
    let computed = walk.root();
    if (signed.size, signed.root) != (tail.size, computed) {
        let (signed_size, signed) = (signed.size, signed.root);
        return Err(ReadBackError::SignedRoot { size: tail.size, computed, signed_size, signed });
    }

    if old.number == 0 {
        return Ok(ReadBack { root, proof: Vec::new() });
    }
    let proof = reader.consistency_path(old.size, target)?;
    // Also the contract's own check: better to fail here than in a transaction.
    merkle::verify_consistency(old.size, target, &old.root.0, &root, &proof)?;
    Ok(ReadBack { root, proof })
}

/// Hashes the log forward from a tile boundary, and compares every stored hash it passes.
struct Rehash<'a> {
    journal: &'a dyn Journal,
    size: u64,
    /// Roots of the complete subtrees so far with their heights, largest first.
    peaks: Vec<(u32, Hash)>,
    /// The tile last read, by level.
    tiles: HashMap<u8, (u64, Vec<Hash>)>,
}

impl<'a> Rehash<'a> {
    fn from_tile_of(
        size: u64,
        journal: &'a dyn Journal,
        reader: &mut TileReader<impl TileSource<Error = JournalError>>,
    ) -> Result<Self, ReadBackError> {
        let start = size - size % TILE_HASHES as u64;
        // One complete subtree for each set bit of the size.
        let heights = (0..u64::BITS).rev().filter(|height| start >> height & 1 == 1);
        let peaks = heights.zip(reader.peaks(start)?).collect();
        Ok(Self { journal, size: start, peaks, tiles: HashMap::new() })
    }

    fn append_to(&mut self, size: u64) -> Result<(), ReadBackError> {
        while self.size < size {
            let commitment = self.stored(0, self.size)?;
            let at = self.size;
            self.size += 1;
            self.push(at, leaf_hash(&commitment))?;
        }
        Ok(())
    }

    fn push(&mut self, mut at: u64, mut node: Hash) -> Result<(), ReadBackError> {
        let mut height = 0;
        while let Some((_, left)) = self.peaks.pop_if(|(of, _)| *of == height) {
            node = node_hash(&left, &node);
            height += 1;
            at >>= 1;
            if height % TILE_HEIGHT == 0 {
                let level = (height / TILE_HEIGHT) as u8;
                if self.stored(level, at)? != node {
                    let (id, place) = place_of(level, at);
                    return Err(ReadBackError::StoredHash { id, place });
                }
            }
        }
        self.peaks.push((height, node));
        Ok(())
    }

    fn stored(&mut self, level: u8, at: u64) -> Result<Hash, ReadBackError> {
        let (id, place) = place_of(level, at);
        if self.tiles.get(&level).is_none_or(|(index, _)| *index != id.index) {
            let bytes = self.journal.tile(id).map_err(TileError::Source)?.unwrap_or_default();
            self.tiles.insert(level, (id.index, hashes(&bytes)));
        }
        let tile = &self.tiles[&level].1;
        let short = TileError::Short { id, found: tile.len(), needed: place + 1 };
        tile.get(place).copied().ok_or(short.into())
    }

    fn root(&self) -> Hash {
        let peaks: Vec<Hash> = self.peaks.iter().map(|(_, peak)| *peak).collect();
        merkle::root_of_peaks(&peaks)
    }
}

fn place_of(level: u8, at: u64) -> (TileId, usize) {
    let hashes = TILE_HASHES as u64;
    (TileId { level, index: at / hashes }, (at % hashes) as usize)
}
