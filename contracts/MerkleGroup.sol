// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {MerkleLog} from "./MerkleLog.sol";

/// @title MerkleGroup
/// @notice Inclusion proofs (RFC 9162) of entries that stand near each other, with the part that they share walked once:
/// from each leaf up to one inner node, and from that node up to the root.
/// @dev The node at `position` on `level` covers the leaves from `position << level` on, `1 << level` of them, or those
/// there are at the tree's right edge. Level 0 is a leaf. Both walks together are the one walk of MerkleLog, so a proof is
/// its proof cut in two, and each half has exactly one accepted length.
/// Warning: `holdsNode` says nothing about leaves, and `holdsLeaf` nothing about the tree. Ask both, with one level,
/// position, size and node, and hash the leaf where it is checked.
library MerkleGroup {
    /// @notice Whether `node` stands there in the tree of `size` leaves under `root`.
    function holdsNode(uint8 level, uint64 position, uint64 size, bytes32 node, bytes32 root, bytes32[] calldata proof)
        internal
        view
        returns (bool)
    {
        if (level > 63 || size == 0) return false;
        return MerkleLog.verifyInclusion(position, ((size - 1) >> level) + 1, node, root, proof);
    }

    /// @notice Whether `leafHash` is leaf `index` of the tree, under the node that stands there.
    function holdsLeaf(
        uint8 level,
        uint64 position,
        uint64 size,
        bytes32 node,
        uint64 index,
        bytes32 leafHash,
        bytes32[] calldata proof
    ) internal view returns (bool) {
        if (level > 63 || index >= size || index >> level != position) return false;
        uint64 first = position << level;
        uint64 width = size - first;
        if (width >> level != 0) width = uint64(1) << level;
        return MerkleLog.verifyInclusion(index - first, width, leafHash, node, proof);
    }
}
