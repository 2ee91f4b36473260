//! The tree of a log, grown again from its published tiles and held against the chain's anchors.

use super::{Check, Fault, Flaw, Tally, word};
use crate::edge::RightEdge;
use crate::merkle::{Hash, leaf_hash};
use crate::tile::{TILE_BYTES, TILE_HASHES, TileId};
use crate::verify::AnchorSeen;
use std::collections::BTreeMap;
use std::collections::VecDeque;

/// Bytes of one entry in a bundle: its length in two, and a commitment.
const ENTRY_BYTES: usize = 34;
/// The longest published file of a tree: a full bundle.
pub const FILE_BYTES_MAX: usize = TILE_HASHES * ENTRY_BYTES;

/// Which files are needed next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// The tile of level 0.
    pub id: TileId,
    /// Entries in it.
    pub width: usize,
}

/// A tile that follows from those below it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Made {
    /// Which.
    pub id: TileId,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Made {
    /// The path of the file that must hold the same.
    pub fn path(&self) -> String {
        self.id.path(self.bytes.len() / 32)
    }

    /// Holds the published file, or its absence, against what was made.
    pub fn compare(&self, found: Option<&[u8]>, tally: &mut Tally) {
        let path = self.path();
        tally.count(Check::Tiles, 1);
        let Some(found) = found else {
            let words = format!("{path} is missing.");
            return tally.fault(Fault::new(Flaw::FileMissing, words).in_file(path));
        };
        if found.len() != self.bytes.len() {
            return tally.fault(length(&path, self.bytes.len(), found.len()));
        }
        let pairs = self.bytes.as_chunks::<32>().0.iter().zip(found.as_chunks::<32>().0);
        if let Some((place, (made, read))) =
            pairs.enumerate().find(|(_, (made, read))| made != read)
        {
            let words = format!(
                "hash {place} of {path} is {}; from the tiles below follows {}.",
                word(read),
                word(made)
            );
            let fault = Fault::new(Flaw::TileDiffers, words).in_file(path);
            tally.fault(fault.bytes_differ(made, read));
        }
    }
}

fn length(path: &str, expected: usize, found: usize) -> Fault {
    let words = format!("{path} has {found} bytes; at this size of the log it has {expected}.");
    Fault::new(Flaw::FileLength, words).in_file(path).differs(expected, found)
}

/// Grows a tree tile by tile. Holds the right edge and the anchors, whatever the size.
pub struct TreeReplay {
    size: u64,
    edge: RightEdge,
    /// Anchors that the tree has not reached, smallest first.
    ahead: VecDeque<AnchorSeen>,
    /// The open tile of each level above 0 as it was last made.
    open: BTreeMap<TileId, Vec<u8>>,
    made: Vec<Made>,
}

impl TreeReplay {
    /// A tree of `size` entries that must pass through these anchors, smallest first; those beyond
    /// its end are not reached.
    pub fn new(size: u64, anchors: impl IntoIterator<Item = AnchorSeen>) -> Self {
        let ahead = anchors.into_iter().filter(|seen| seen.anchor.size <= size).collect();
        let (open, made) = (BTreeMap::new(), Vec::new());
        Self { size, edge: RightEdge::empty(), ahead, open, made }
    }

    /// Which tile comes next; `None` at the end.
    pub fn wanted(&self) -> Option<Wanted> {
        let id = TileId { level: 0, index: self.edge.size() / TILE_HASHES as u64 };
        (self.edge.size() < self.size).then(|| Wanted { id, width: id.width_at(self.size) })
    }

    /// Takes the entry bundle and the leaf tile that are [wanted](Self::wanted), and returns their
    /// commitments; `None` where the bundle cannot be read: nothing after a gap can be recomputed.
    pub fn take(
        &mut self,
        bundle: Option<&[u8]>,
        leaves: Option<&[u8]>,
        tally: &mut Tally,
    ) -> Option<Vec<Hash>> {
        let Wanted { id, width } = self.wanted()?;
        let first = self.edge.size();
        let commitments = read_bundle(id, width, bundle, first, tally)?;
        let mut made = Vec::with_capacity(width * 32);
        for commitment in &commitments {
            made.extend_from_slice(&leaf_hash(commitment));
            self.edge.append(commitment);
            self.hold_against_anchors(tally);
        }
        compare_leaves(id, width, first, &made, leaves, tally);
        for (id, bytes) in self.edge.changed_tiles() {
            if id.level == 0 {
                continue;
            }
            if bytes.len() == TILE_BYTES {
                self.open.remove(&id);
                self.made.push(Made { id, bytes });
            } else {
                self.open.insert(id, bytes);
            }
        }
        self.edge.settle();
        if self.edge.size() == self.size {
            let open = std::mem::take(&mut self.open);
            self.made.extend(open.into_iter().map(|(id, bytes)| Made { id, bytes }));
        }
        Some(commitments)
    }

    /// Tiles above the lowest that were completed since last asked, the open ones at the end.
    pub fn made(&mut self) -> Vec<Made> {
        std::mem::take(&mut self.made)
    }

    /// Entries so far.
    pub fn size(&self) -> u64 {
        self.edge.size()
    }

    /// The root over them.
    pub fn root(&self) -> Hash {
        self.edge.root()
    }

    fn hold_against_anchors(&mut self, tally: &mut Tally) {
        let size = self.edge.size();
        while self.ahead.front().is_some_and(|seen| seen.anchor.size <= size) {
            let Some(seen) = self.ahead.pop_front() else { return };
            // An anchor that does not grow was found by the history's check already.
            if seen.anchor.size < size {
                continue;
            }
            tally.count(Check::Anchors, 1);
            let root = self.edge.root();
            if root != seen.anchor.root.0 {
                let words = format!(
                    "anchor {} in block {} holds root {} of {size} entries; the tiles give {}.",
                    seen.anchor.number,
                    seen.block,
                    seen.anchor.root,
                    word(&root)
                );
                let fault = Fault::new(Flaw::RootDiffers, words).against(&seen);
                tally.fault(fault.bytes_differ(seen.anchor.root, root));
            }
        }
    }
}

fn read_bundle(
    id: TileId,
    width: usize,
    bundle: Option<&[u8]>,
    first: u64,
    tally: &mut Tally,
) -> Option<Vec<Hash>> {
    let path = id.entries_path(width);
    tally.count(Check::Tiles, 1);
    let Some(bundle) = bundle else {
        let words = format!("{path} is missing: entries from {first} on cannot be checked.");
        tally.fault(Fault::new(Flaw::FileMissing, words).in_file(path).at(first));
        return None;
    };
    if bundle.len() != width * ENTRY_BYTES {
        tally.fault(length(&path, width * ENTRY_BYTES, bundle.len()).at(first));
        return None;
    }
    let mut commitments = Vec::with_capacity(width);
    for (index, entry) in (first..).zip(bundle.as_chunks::<ENTRY_BYTES>().0) {
        let (framing, commitment) = entry.split_at(2);
        if framing != [0, 32] {
            let words = format!("entry {index} in {path} is not announced with 32 bytes.");
            let fault = Fault::new(Flaw::EntryFraming, words).in_file(&path).at(index);
            tally.fault(fault.bytes_differ([0, 32], framing));
        }
        commitments.push(commitment.try_into().expect("32 bytes follow the two"));
    }
    Some(commitments)
}

fn compare_leaves(
    id: TileId,
    width: usize,
    first: u64,
    made: &[u8],
    leaves: Option<&[u8]>,
    tally: &mut Tally,
) {
    let path = id.path(width);
    tally.count(Check::Tiles, 1);
    let Some(leaves) = leaves else {
        let words = format!("{path} is missing.");
        return tally.fault(Fault::new(Flaw::FileMissing, words).in_file(path).at(first));
    };
    if leaves.len() != made.len() {
        return tally.fault(length(&path, made.len(), leaves.len()).at(first));
    }
    let pairs = made.as_chunks::<32>().0.iter().zip(leaves.as_chunks::<32>().0);
    if let Some((index, (made, read))) = (first..).zip(pairs).find(|(_, (made, read))| made != read)
    {
        let words = format!(
            "leaf {index} in {path} is {}; the commitment in {} gives {}.",
            word(read),
            id.entries_path(width),
            word(made)
        );
        let fault = Fault::new(Flaw::LeafDiffers, words).in_file(path).at(index);
        tally.fault(fault.bytes_differ(made, read));
    }
}
