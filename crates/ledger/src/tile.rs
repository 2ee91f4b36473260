//! Tiles: the tree in pieces of 256 hashes, as C2SP tlog-tiles cuts it, and proofs out of them.
//!
//! What is stored at level 0 are the entries' **commitments**; their leaf hashes are one SHA-256
//! away, so one stored tile answers both `tile/entries/<N>` and `tile/0/<N>`.

use crate::merkle::{self, Hash, leaf_hash, node_hash};
use rs_merkle::{Hasher, MerkleTree};
use std::collections::HashMap;

/// Hashes in a full tile.
pub const TILE_HASHES: usize = 256;
/// Bytes of a full tile.
pub const TILE_BYTES: usize = TILE_HASHES * 32;
/// Levels of the tree one tile spans.
pub const TILE_HEIGHT: u32 = 8;

/// Which tile: hash `i` of tile (level, index) is the root of the complete subtree of height
/// `8 × level` at position `index × 256 + i`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct TileId {
    /// 0 for entries, each level up spans 256 times as many.
    pub level: u8,
    /// Position from the left.
    pub index: u64,
}

impl TileId {
    /// How many hashes of this tile a log of `size` entries fills.
    pub fn width_at(self, size: u64) -> usize {
        let hashes = size.checked_shr(u32::from(self.level) * TILE_HEIGHT).unwrap_or(0);
        // Saturating: a shift would drop bits and take a tile far beyond the log for its first.
        let first = self.index.saturating_mul(TILE_HASHES as u64);
        hashes.saturating_sub(first).min(TILE_HASHES as u64) as usize
    }

    /// The C2SP path below the log's prefix, of the `width` first hashes. Level 0 is named
    /// `tile/0/…`; its commitments are served under `tile/entries/…`.
    pub fn path(self, width: usize) -> String {
        format!("tile/{}/{}", self.level, tile_path(self.index, width))
    }

    /// The C2SP path of the entry bundle of this position.
    pub fn entries_path(self, width: usize) -> String {
        format!("tile/entries/{}", tile_path(self.index, width))
    }
}

fn tile_path(index: u64, width: usize) -> String {
    let mut path = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1000);
        rest /= 1000;
    }
    if width < TILE_HASHES {
        path.push_str(&format!(".p/{width}"));
    }
    path
}

/// Reads `<N>` or `<N>.p/<W>` of a C2SP tile path: the index and the width.
pub fn parse_tile_path(path: &str) -> Option<(u64, usize)> {
    let (number, width) = match path.split_once(".p/") {
        None => (path, TILE_HASHES),
        Some((number, width)) => {
            let parsed = width.parse::<usize>().ok()?;
            let canonical = parsed.to_string() == width && (1..TILE_HASHES).contains(&parsed);
            (number, canonical.then_some(parsed)?)
        }
    };
    let mut index = 0u64;
    for (position, part) in number.split('/').rev().enumerate() {
        let digits = if position == 0 { part } else { part.strip_prefix('x')? };
        if digits.len() != 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let scale = 1000u64.checked_pow(position as u32)?;
        index = index.checked_add(digits.parse::<u64>().ok()?.checked_mul(scale)?)?;
    }
    // One spelling for each tile: no leading groups of zeros.
    (tile_path(index, width) == path).then_some((index, width))
}

/// Where stored tiles are read from.
pub trait TileSource {
    /// What the source fails with.
    type Error;
    /// The stored bytes of a tile (level 0: commitments), or `None` if nothing of it exists.
    fn stored(&self, id: TileId) -> Result<Option<Vec<u8>>, Self::Error>;
}

impl<E, F: Fn(TileId) -> Result<Option<Vec<u8>>, E>> TileSource for F {
    type Error = E;
    fn stored(&self, id: TileId) -> Result<Option<Vec<u8>>, E> {
        self(id)
    }
}

/// Why no proof could be built.
#[derive(Debug, thiserror::Error)]
pub enum TileError<E> {
    /// The source failed.
    #[error(transparent)]
    Source(E),
    /// A tile is absent or holds fewer hashes than the size asked for needs.
    #[error("tile {}/{} has {found} of the {needed} hashes needed", id.level, id.index)]
    Short {
        /// Which tile.
        id: TileId,
        /// Hashes found.
        found: usize,
        /// Hashes needed.
        needed: usize,
    },
}

/// SHA-256 with the RFC 9162 node prefix, for `rs_merkle`: an odd node rises unchanged, which for
/// at most 256 leaves gives exactly the RFC's tree.
#[derive(Clone)]
struct Rfc9162;

impl Hasher for Rfc9162 {
    type Hash = Hash;
    fn hash(data: &[u8]) -> Hash {
        use sha2::{Digest, Sha256};
        Sha256::digest(data).into()
    }
    fn concat_and_hash(left: &Hash, right: Option<&Hash>) -> Hash {
        match right {
            Some(right) => node_hash(left, right),
            None => *left,
        }
    }
}

/// The root over up to 256 neighbouring hashes of one tile.
fn root_in_tile(hashes: &[Hash]) -> Hash {
    match hashes {
        [] => merkle::empty_root(),
        [only] => *only,
        _ => MerkleTree::<Rfc9162>::from_leaves(hashes).root().unwrap_or_else(merkle::empty_root),
    }
}

/// Splits stored bytes into hashes; a ragged end is dropped.
pub fn hashes(bytes: &[u8]) -> Vec<Hash> {
    bytes.as_chunks::<32>().0.to_vec()
}

/// One reader of one tree: remembers the tiles it has read, so that a proof reads each once.
pub struct TileReader<S> {
    source: S,
    read: HashMap<TileId, Vec<Hash>>,
}

impl<S: TileSource> TileReader<S> {
    /// A reader that has read nothing yet.
    pub fn new(source: S) -> Self {
        Self { source, read: HashMap::new() }
    }

    /// Tiles read from the source so far.
    pub fn tiles_read(&self) -> usize {
        self.read.len()
    }

    /// The commitment of entry `index`.
    pub fn commitment(&self, index: u64) -> Result<Hash, TileError<S::Error>> {
        let id = TileId { level: 0, index: index >> TILE_HEIGHT };
        let place = (index & 0xff) as usize;
        let stored = self.source.stored(id).map_err(TileError::Source)?.unwrap_or_default();
        hashes(&stored).get(place).copied().ok_or(TileError::Short {
            id,
            found: stored.len() / 32,
            needed: place + 1,
        })
    }

    /// The RFC 9162 root over the first `size` entries.
    pub fn root(&mut self, size: u64) -> Result<Hash, TileError<S::Error>> {
        if size == 0 {
            return Ok(merkle::empty_root());
        }
        self.range_root(0..size)
    }

    /// The peaks of `size`: roots of its complete subtrees, largest first.
    pub fn peaks(&mut self, size: u64) -> Result<Vec<Hash>, TileError<S::Error>> {
        merkle::subtrees(0..size).into_iter().map(|(height, at)| self.node(height, at)).collect()
    }

    /// The inclusion path of `index` in the log of `size` entries; empty if `index >= size`.
    pub fn inclusion_path(
        &mut self,
        index: u64,
        size: u64,
    ) -> Result<Vec<Hash>, TileError<S::Error>> {
        if index >= size {
            return Ok(Vec::new());
        }
        let ranges = merkle::inclusion_ranges(index, size);
        ranges.into_iter().map(|range| self.range_root(range)).collect()
    }

    /// The consistency path from `from` to `to`; empty unless `0 < from < to`.
    pub fn consistency_path(
        &mut self,
        from: u64,
        to: u64,
    ) -> Result<Vec<Hash>, TileError<S::Error>> {
        let ranges = merkle::consistency_ranges(from, to);
        ranges.into_iter().map(|range| self.range_root(range)).collect()
    }

    fn range_root(&mut self, range: std::ops::Range<u64>) -> Result<Hash, TileError<S::Error>> {
        let mut peaks = Vec::new();
        for (height, at) in merkle::subtrees(range) {
            peaks.push(self.node(height, at)?);
        }
        Ok(merkle::root_of_peaks(&peaks))
    }

    /// The root of the complete subtree of `height` at position `at`.
    fn node(&mut self, height: u32, at: u64) -> Result<Hash, TileError<S::Error>> {
        let level = (height / TILE_HEIGHT) as u8;
        let span = 1usize << (height % TILE_HEIGHT);
        let first = at << (height % TILE_HEIGHT);
        let id = TileId { level, index: first >> TILE_HEIGHT };
        let start = (first & 0xff) as usize;
        let tile = self.tile(id)?;
        match tile.get(start..start + span) {
            Some(hashes) => Ok(root_in_tile(hashes)),
            None => Err(TileError::Short { id, found: tile.len(), needed: start + span }),
        }
    }

    fn tile(&mut self, id: TileId) -> Result<&[Hash], TileError<S::Error>> {
        use std::collections::hash_map::Entry;
        match self.read.entry(id) {
            Entry::Occupied(read) => Ok(read.into_mut()),
            Entry::Vacant(slot) => {
                let stored = self.source.stored(id).map_err(TileError::Source)?;
                let mut tile = hashes(&stored.unwrap_or_default());
                if id.level == 0 {
                    tile.iter_mut().for_each(|commitment| *commitment = leaf_hash(commitment));
                }
                Ok(slot.insert(tile))
            }
        }
    }
}
