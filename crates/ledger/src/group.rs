//! Inclusion proofs of entries that stand near each other, with the part that they share walked
//! once: what `MerkleGroup` in the contracts takes. Each proof is an RFC 9162 path cut in two.

use crate::merkle::{Hash, inclusion_ranges, root_of_path};

/// An entry, and its whole path under a root.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Included {
    /// Its place.
    pub index: u64,
    /// Its leaf hash.
    pub leaf: Hash,
    /// From it to the root.
    pub path: Vec<Hash>,
}

/// One inner node that all have above them, and both parts of their proofs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Group {
    /// How many levels above the leaves it stands.
    pub level: u8,
    /// Its position there: the entries' indexes, shifted right by `level`.
    pub position: u64,
    /// Its hash.
    pub node: Hash,
    /// From it to the root.
    pub path: Vec<Hash>,
    /// From each entry to it, in their order.
    pub paths: Vec<Vec<Hash>>,
}

/// The lowest node that entries of a log of `size` share. None: there are no entries, or a path is
/// not of that size, or two of them do not lead to one node.
pub fn group(size: u64, entries: &[Included]) -> Option<Group> {
    let (first, rest) = entries.split_first()?;
    let differing = rest.iter().fold(0, |bits, entry| bits | (entry.index ^ first.index));
    let level = u64::BITS - differing.leading_zeros();
    let position = first.index.checked_shr(level).unwrap_or(0);
    let start = position.checked_shl(level).unwrap_or(0);
    let width = size.checked_sub(start).filter(|width| *width > 0)?;
    let width = 1_u64.checked_shl(level).map_or(width, |full| width.min(full));
    let (mut node, mut above, mut paths) = (None, None, Vec::with_capacity(entries.len()));
    for Included { index, leaf, path } in entries {
        let place = index.checked_sub(start).filter(|place| *place < width)?;
        let below = inclusion_ranges(place, width).len();
        if path.len() != inclusion_ranges(*index, size).len() {
            return None;
        }
        let (below, shared) = path.split_at_checked(below)?;
        let found = root_of_path(width, place, leaf, below).ok()?;
        if *node.get_or_insert(found) != found || *above.get_or_insert(shared) != shared {
            return None;
        }
        paths.push(below.to_vec());
    }
    let (node, path) = (node?, above?.to_vec());
    Some(Group { level: u8::try_from(level).ok()?, position, node, path, paths })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::RightEdge;
    use crate::merkle::{leaf_hash, node_hash, verify_inclusion};
    use proptest::prelude::*;

    fn leaves(size: u64) -> Vec<Hash> {
        (0..size).map(|index| leaf_hash(&[index.to_le_bytes()[0]; 32])).collect()
    }

    fn root(leaves: &[Hash]) -> Hash {
        match leaves {
            [one] => *one,
            more => {
                let half = more.len().next_power_of_two() / 2;
                node_hash(&root(&more[..half]), &root(&more[half..]))
            }
        }
    }

    fn included(leaves: &[Hash], index: u64) -> Included {
        let ranges = inclusion_ranges(index, leaves.len() as u64);
        let path = ranges.into_iter().map(|range| {
            let [from, to] = [range.start, range.end].map(|at| usize::try_from(at).unwrap());
            root(&leaves[from..to])
        });
        let leaf = leaves[usize::try_from(index).unwrap()];
        let path: Vec<Hash> = path.collect();
        verify_inclusion(&root(leaves), leaves.len() as u64, index, &leaf, &path).unwrap();
        Included { index, leaf, path }
    }

    proptest! {
        /// What the contract checks: the node in the tree of its level, each leaf under the node.
        #[test]
        fn both_halves_are_proofs_of_their_own(
            size in 1..90_u64, chosen in prop::collection::btree_set(0..90_u64, 1..17),
        ) {
            let leaves = leaves(size);
            let chosen: Vec<u64> = chosen.into_iter().filter(|index| *index < size).collect();
            prop_assume!(!chosen.is_empty());
            let entries: Vec<_> = chosen.iter().map(|index| included(&leaves, *index)).collect();
            let Group { level, position, node, path, paths } = group(size, &entries).unwrap();
            let above = ((size - 1) >> level) + 1;
            verify_inclusion(&root(&leaves), above, position, &node, &path).unwrap();
            let start = position << level;
            let width = (size - start).min(1 << level);
            for (entry, below) in entries.iter().zip(&paths) {
                prop_assert_eq!(entry.index >> level, position);
                verify_inclusion(&node, width, entry.index - start, &entry.leaf, below).unwrap();
            }
            prop_assert_eq!(level == 0, entries.len() == 1);
        }
    }

    #[test]
    fn what_does_not_belong_together_is_no_group() {
        let (small, tree) = (leaves(9), leaves(13));
        let one = included(&tree, 8);
        assert_eq!(group(13, &[]), None);
        assert_eq!(group(8, std::slice::from_ref(&one)), None);
        let other_tree = included(&small, 8);
        assert_eq!(group(13, &[one.clone(), other_tree]), None);
        let forged = Included { leaf: [7; 32], ..included(&tree, 9) };
        assert_eq!(group(13, &[one, forged]), None);
        let mut edge = RightEdge::empty();
        (0..13_u8).for_each(|index| edge.append(&[index; 32]));
        assert_eq!(edge.root(), root(&tree));
    }
}
