//! The right edge of a growing tree: all of it that appending needs, a few kilobytes at any size.

use crate::merkle::{Hash, leaf_hash, node_hash, root_of_peaks, subtrees};
use crate::tile::{TILE_BYTES, TILE_HEIGHT, TileId};

/// Appends commitments, and knows what of the tree changed since it was last [settled].
///
/// [settled]: RightEdge::settle
#[derive(Clone, Debug)]
pub struct RightEdge {
    size: u64,
    /// Size when last settled: what stands below is durable, what stands above may be dropped.
    settled: u64,
    /// Complete nodes by height; each layer keeps from the last settled peak on.
    layers: Vec<Layer>,
    /// The open tile of each level as stored, and the full ones since last settled.
    tiles: Vec<OpenTiles>,
}

/// Neighbouring nodes of one height, the first of them at `first`.
#[derive(Clone, Debug, Default)]
struct Layer {
    first: u64,
    nodes: Vec<Hash>,
}

impl Layer {
    fn get(&self, at: u64) -> Option<&Hash> {
        at.checked_sub(self.first).and_then(|place| self.nodes.get(place as usize))
    }
}

#[derive(Clone, Debug, Default)]
struct OpenTiles {
    /// Index of the tile that `bytes` begins with.
    first: u64,
    /// Stored bytes from the start of tile `first`.
    bytes: Vec<u8>,
    /// Bytes that were there when last settled.
    settled: usize,
}

/// Why stored tiles are not the edge of this tail.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EdgeError {
    /// A partial tile is not as wide as the size says.
    #[error("tile {}/{} holds {found} hashes, a log of {size} entries has {needed} there", id.level, id.index)]
    Width {
        /// Which tile.
        id: TileId,
        /// Hashes found.
        found: usize,
        /// Hashes needed.
        needed: usize,
        /// Entries in the log.
        size: u64,
    },
    /// The number of peaks is not that of the size.
    #[error("{found} peaks for a log of {size} entries, which has {needed}")]
    Peaks {
        /// Peaks found.
        found: usize,
        /// Peaks needed.
        needed: usize,
        /// Entries in the log.
        size: u64,
    },
}

impl RightEdge {
    /// The edge of an empty log.
    pub fn empty() -> Self {
        Self { size: 0, settled: 0, layers: Vec::new(), tiles: Vec::new() }
    }

    /// The edge of a log of `size` entries: its peaks, and the stored bytes of the open tile of
    /// each level (`open`, asked once a level; full tiles are not needed).
    pub fn load<E: From<EdgeError>>(
        size: u64,
        peaks: &[Hash],
        mut open: impl FnMut(TileId) -> Result<Option<Vec<u8>>, E>,
    ) -> Result<Self, E> {
        let places = subtrees(0..size);
        if places.len() != peaks.len() {
            let (found, needed) = (peaks.len(), places.len());
            return Err(EdgeError::Peaks { found, needed, size }.into());
        }
        let mut edge = Self { size, settled: size, layers: Vec::new(), tiles: Vec::new() };
        for (&(height, at), peak) in places.iter().zip(peaks) {
            *edge.layer(height) = Layer { first: at, nodes: vec![*peak] };
        }
        for height in 0..edge.layers.len() as u32 {
            let layer = edge.layer(height);
            if layer.nodes.is_empty() {
                layer.first = size >> height;
            }
        }
        let mut level = 0u8;
        while size >> (u32::from(level) * TILE_HEIGHT) > 0 {
            let hashes = size >> (u32::from(level) * TILE_HEIGHT);
            let id = TileId { level, index: hashes >> TILE_HEIGHT };
            let needed = (hashes & 0xff) as usize;
            let bytes = if needed == 0 { Vec::new() } else { open(id)?.unwrap_or_default() };
            if bytes.len() != needed * 32 {
                return Err(EdgeError::Width { id, found: bytes.len() / 32, needed, size }.into());
            }
            edge.tiles.push(OpenTiles { first: id.index, settled: bytes.len(), bytes });
            level += 1;
        }
        Ok(edge)
    }

    /// Entries so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends one entry: about two SHA-256 over 65 bytes, whatever the size.
    pub fn append(&mut self, commitment: &Hash) {
        self.store(0, commitment);
        let mut node = leaf_hash(commitment);
        let mut at = self.size;
        self.size += 1;
        for height in 0.. {
            if height > 0 && height % TILE_HEIGHT == 0 {
                self.store((height / TILE_HEIGHT) as u8, &node);
            }
            let layer = self.layer(height);
            if layer.nodes.is_empty() {
                layer.first = at;
            }
            layer.nodes.push(node);
            if at & 1 == 0 {
                break;
            }
            let left =
                *layer.get(at - 1).expect("a left sibling stays until its parent is settled");
            node = node_hash(&left, &node);
            at >>= 1;
        }
    }

    /// Roots of the complete subtrees, largest first.
    pub fn peaks(&self) -> Vec<Hash> {
        let places = subtrees(0..self.size);
        places
            .into_iter()
            .map(|(height, at)| *self.layers[height as usize].get(at).expect("every peak is kept"))
            .collect()
    }

    /// The root over everything appended.
    pub fn root(&self) -> Hash {
        root_of_peaks(&self.peaks())
    }

    /// Stored tiles that changed since last settled, each whole.
    pub fn changed_tiles(&self) -> Vec<(TileId, Vec<u8>)> {
        let mut changed = Vec::new();
        for (level, tiles) in self.tiles.iter().enumerate() {
            let untouched = tiles.settled / TILE_BYTES;
            for (place, bytes) in tiles.bytes.chunks(TILE_BYTES).enumerate().skip(untouched) {
                if (place * TILE_BYTES + bytes.len()) > tiles.settled {
                    let id = TileId { level: level as u8, index: tiles.first + place as u64 };
                    changed.push((id, bytes.to_vec()));
                }
            }
        }
        changed
    }

    /// Inclusion paths into the present size, for entries appended since last settled.
    pub fn paths(&self) -> RecentPaths<'_> {
        // The incomplete right end of each height, from the bottom up.
        let mut ragged: Vec<Option<Hash>> = Vec::new();
        let mut below: Option<Hash> = None;
        let mut height = 0u32;
        while height < 64 && (self.size >> height) > 0 {
            ragged.push(below);
            // At this height the last position is incomplete if bits below it are set.
            let complete = self.size >> height;
            if complete & 1 == 1 {
                let peak = self.layers[height as usize].get(complete - 1).expect("a peak");
                below = Some(match below {
                    Some(right) => node_hash(peak, &right),
                    None => *peak,
                });
            }
            height += 1;
        }
        RecentPaths { edge: self, ragged }
    }

    /// Everything so far is durable: forgets what only unsettled entries needed.
    pub fn settle(&mut self) {
        self.settled = self.size;
        for (height, layer) in self.layers.iter_mut().enumerate() {
            let complete = self.size >> height;
            // A left child whose parent is incomplete is a peak: the only node still needed.
            let keep_from = if complete & 1 == 1 { complete - 1 } else { complete };
            let drop = keep_from.saturating_sub(layer.first).min(layer.nodes.len() as u64);
            layer.nodes.drain(..drop as usize);
            layer.first = keep_from;
        }
        for tiles in &mut self.tiles {
            let full = tiles.bytes.len() / TILE_BYTES;
            tiles.bytes.drain(..full * TILE_BYTES);
            tiles.first += full as u64;
            tiles.settled = tiles.bytes.len();
        }
    }

    fn store(&mut self, level: u8, hash: &Hash) {
        if self.tiles.len() <= usize::from(level) {
            self.tiles.push(OpenTiles::default());
        }
        self.tiles[usize::from(level)].bytes.extend_from_slice(hash);
    }

    fn layer(&mut self, height: u32) -> &mut Layer {
        let height = height as usize;
        if self.layers.len() <= height {
            self.layers.resize_with(height + 1, Layer::default);
        }
        &mut self.layers[height]
    }
}

/// Inclusion paths of fresh entries: each is a walk of look-ups, no hashing.
pub struct RecentPaths<'a> {
    edge: &'a RightEdge,
    ragged: Vec<Option<Hash>>,
}

impl RecentPaths<'_> {
    /// The path of `index`, or `None` if it is not among the entries since last settled.
    pub fn path(&self, index: u64) -> Option<Vec<Hash>> {
        let size = self.edge.size;
        if index < self.edge.settled || index >= size {
            return None;
        }
        let mut path = Vec::with_capacity(self.ragged.len());
        let last = size - 1;
        for height in 0..64u32 {
            if last >> height == 0 {
                break;
            }
            let sibling = (index >> height) ^ 1;
            if sibling < size >> height {
                path.push(*self.edge.layers[height as usize].get(sibling)?);
            } else if sibling == last >> height {
                path.push(self.ragged[height as usize]?);
            }
        }
        Some(path)
    }
}
