//! The RFC 9162 tree over SHA-256: hashes, and strict verifiers of inclusion and consistency.
//!
//! `rs_merkle` builds trees here ([`crate::tile`]) but never verifies: its verifier accepts
//! trailing hashes and indexes beyond the tree, which these refuse.

use sha2::{Digest, Sha256};

/// A SHA-256 hash of this tree.
pub type Hash = [u8; 32];

/// Longest path any verifier here looks at: sizes are 64-bit.
pub const PATH_HASHES_MAX: usize = 64;

/// `SHA-256(0x00 ‖ commitment)` (RFC 9162 section 2.1.1).
pub fn leaf_hash(commitment: &Hash) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([0x00]);
    hasher.update(commitment);
    hasher.finalize().into()
}

/// `SHA-256(0x01 ‖ left ‖ right)` (RFC 9162 section 2.1.1).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([0x01]);
    hasher.update(left);
    hasher.update(right);
    hasher.finalize().into()
}

/// The root of a log without entries: SHA-256 of nothing.
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// The root over the complete subtrees of a size, largest first.
pub fn root_of_peaks(peaks: &[Hash]) -> Hash {
    let mut smallest_first = peaks.iter().rev();
    match smallest_first.next() {
        None => empty_root(),
        Some(last) => smallest_first.fold(*last, |right, left| node_hash(left, &right)),
    }
}

/// Why a path proves nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// The index is not below the size.
    #[error("entry {index} cannot stand in a log of {size} entries")]
    IndexBeyondSize {
        /// Index asked about.
        index: u64,
        /// Entries in the log.
        size: u64,
    },
    /// A consistency proof must start at one entry or more and not beyond its end.
    #[error("a log of {to} entries cannot extend one of {from}")]
    SizesOutOfOrder {
        /// The older size.
        from: u64,
        /// The newer size.
        to: u64,
    },
    /// A path has exactly one length for given sizes; this one is shorter or longer.
    #[error("the path has {found} hashes, these sizes need another number")]
    WrongLength {
        /// Hashes found.
        found: usize,
    },
    /// The path leads to another root than the one given.
    #[error("the path leads to root {}, not {}", hex(computed), hex(expected))]
    WrongRoot {
        /// The root the path leads to.
        computed: Hash,
        /// The root that was given.
        expected: Hash,
    },
    /// The path does not lead to the older root.
    #[error("the path leads to old root {}, not {}", hex(computed), hex(expected))]
    WrongOldRoot {
        /// The old root the path leads to.
        computed: Hash,
        /// The old root that was given.
        expected: Hash,
    },
}

fn hex(hash: &Hash) -> String {
    alloy_primitives::hex::encode_prefixed(hash)
}

/// Checks that `leaf` is entry `index` of the log of `size` entries with this `root`
/// (RFC 9162 section 2.1.3.2).
pub fn verify_inclusion(
    root: &Hash,
    size: u64,
    index: u64,
    leaf: &Hash,
    path: &[Hash],
) -> Result<(), PathError> {
    let computed = root_of_path(size, index, leaf, path)?;
    if computed != *root {
        return Err(PathError::WrongRoot { computed, expected: *root });
    }
    Ok(())
}

/// The root that a path of exactly the right length leads to.
pub(crate) fn root_of_path(
    size: u64,
    index: u64,
    leaf: &Hash,
    path: &[Hash],
) -> Result<Hash, PathError> {
    if index >= size {
        return Err(PathError::IndexBeyondSize { index, size });
    }
    let wrong_length = PathError::WrongLength { found: path.len() };
    if path.len() > PATH_HASHES_MAX {
        return Err(wrong_length);
    }
    let (mut node, mut last) = (index, size - 1);
    let mut computed = *leaf;
    for sibling in path {
        if last == 0 {
            return Err(wrong_length);
        }
        if node & 1 == 1 || node == last {
            computed = node_hash(sibling, &computed);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            computed = node_hash(&computed, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(wrong_length);
    }
    Ok(computed)
}

/// Checks that the log of `to` entries begins with the log of `from` entries
/// (RFC 9162 section 2.1.4.2). `from` must be at least 1: everything extends an empty log, so
/// such a proof would say nothing.
pub fn verify_consistency(
    from: u64,
    to: u64,
    from_root: &Hash,
    to_root: &Hash,
    path: &[Hash],
) -> Result<(), PathError> {
    if from == 0 || from > to {
        return Err(PathError::SizesOutOfOrder { from, to });
    }
    let wrong_length = PathError::WrongLength { found: path.len() };
    if from == to {
        return match (path.is_empty(), from_root == to_root) {
            (false, _) => Err(wrong_length),
            (true, true) => Ok(()),
            (true, false) => Err(PathError::WrongRoot { computed: *from_root, expected: *to_root }),
        };
    }
    if path.len() > PATH_HASHES_MAX {
        return Err(wrong_length);
    }
    // Where the old log is one complete subtree, its root is the implied first hash.
    let mut path_hashes = path.iter();
    let seed = if from.is_power_of_two() {
        *from_root
    } else {
        *path_hashes.next().ok_or(wrong_length)?
    };
    let (mut node, mut last) = (from - 1, to - 1);
    while node & 1 == 1 {
        node >>= 1;
        last >>= 1;
    }
    let (mut old, mut new) = (seed, seed);
    for sibling in path_hashes {
        if last == 0 {
            return Err(wrong_length);
        }
        if node & 1 == 1 || node == last {
            old = node_hash(sibling, &old);
            new = node_hash(sibling, &new);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            new = node_hash(&new, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(wrong_length);
    }
    if old != *from_root {
        return Err(PathError::WrongOldRoot { computed: old, expected: *from_root });
    }
    if new != *to_root {
        return Err(PathError::WrongRoot { computed: new, expected: *to_root });
    }
    Ok(())
}

/// The complete subtrees of `range`, as (height, position) from left to right. The range must
/// begin at a multiple of the largest subtree it holds, as every RFC 9162 path node does.
pub(crate) fn subtrees(range: std::ops::Range<u64>) -> Vec<(u32, u64)> {
    let mut found = Vec::new();
    let mut at = range.start;
    while at < range.end {
        let fits = (range.end - at).ilog2();
        let aligned = if at == 0 { fits } else { at.trailing_zeros() };
        let height = fits.min(aligned);
        found.push((height, at >> height));
        at += 1 << height;
    }
    found
}

/// The ranges whose roots are the inclusion path of `index` in a log of `size`, leaf to root.
pub(crate) fn inclusion_ranges(index: u64, size: u64) -> Vec<std::ops::Range<u64>> {
    let (mut start, mut end) = (0, size);
    let mut ranges = Vec::new();
    while end - start > 1 {
        let split = start + split_point(end - start);
        if index < split {
            ranges.push(split..end);
            end = split;
        } else {
            ranges.push(start..split);
            start = split;
        }
    }
    ranges.reverse();
    ranges
}

/// The ranges whose roots are the consistency path between two sizes (RFC 9162 section 2.1.4.1).
pub(crate) fn consistency_ranges(from: u64, to: u64) -> Vec<std::ops::Range<u64>> {
    if from == 0 || from >= to {
        return Vec::new();
    }
    let (mut start, mut end) = (0, to);
    let mut ranges = Vec::new();
    let mut old_is_whole = true;
    // `from` is an absolute end: the old log is 0..from.
    while from != end {
        let split = start + split_point(end - start);
        if from <= split {
            ranges.push(split..end);
            end = split;
        } else {
            ranges.push(start..split);
            start = split;
            old_is_whole = false;
        }
    }
    if !old_is_whole {
        ranges.push(start..end);
    }
    ranges.reverse();
    ranges
}

/// The largest power of two below `width` (RFC 9162's `k`).
fn split_point(width: u64) -> u64 {
    1 << (width - 1).ilog2()
}
