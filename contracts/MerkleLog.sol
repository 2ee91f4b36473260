// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

/// @title MerkleLog
/// @notice Checks the proofs of an append-only log (RFC 9162, section 2.1): that an entry is in it, and that a larger log begins with a smaller one.
/// @dev A proof has exactly one accepted length, and every loop ends within 64 steps, since sizes are 64 bits wide and each
/// step halves one. Both walks take the node hash as an argument: contracts use SHA-256, as every other reader of
/// the log does; symbolic provers know keccak only.
/// Warning: a root does not tell its size, and sizes of one shape have the same proofs. Take both from one place.
library MerkleLog {
    /// @notice The SHA-256 precompile failed, or this chain has none.
    error Sha256Unavailable();

    /// @notice Leaf hash of an entry's commitment: `SHA-256(0x00 ‖ commitment)`.
    function leaf(bytes32 commitment) internal view returns (bytes32 hash) {
        bool hashed;
        assembly ("memory-safe") {
            mstore8(0x00, 0x00)
            mstore(0x01, commitment)
            hashed := staticcall(gas(), 0x02, 0x00, 0x21, 0x00, 0x20)
            // A call to an empty account succeeds and returns nothing.
            hashed := and(hashed, eq(returndatasize(), 0x20))
            hash := mload(0x00)
        }
        if (!hashed) revert Sha256Unavailable();
    }

    /// @notice Hash of an inner node: `SHA-256(0x01 ‖ left ‖ right)`.
    function node(bytes32 left, bytes32 right) internal view returns (bytes32 hash) {
        bool hashed;
        assembly ("memory-safe") {
            // One byte too long for the scratch space.
            let input := mload(0x40)
            mstore8(input, 0x01)
            mstore(add(input, 0x01), left)
            mstore(add(input, 0x21), right)
            hashed := staticcall(gas(), 0x02, input, 0x41, 0x00, 0x20)
            hashed := and(hashed, eq(returndatasize(), 0x20))
            hash := mload(0x00)
        }
        if (!hashed) revert Sha256Unavailable();
    }

    /// @notice Whether `leafHash` is leaf `index` of the tree of `size` leaves under `root`.
    /// @dev Warning: hash the leaf where it is checked. An inner node given as `leafHash` would pass in a smaller tree.
    function verifyInclusion(uint64 index, uint64 size, bytes32 leafHash, bytes32 root, bytes32[] calldata proof)
        internal
        view
        returns (bool)
    {
        return walkInclusion(index, size, leafHash, root, proof, node);
    }

    /// @notice Whether the tree of `size` leaves under `root` begins with the `oldSize` leaves under `oldRoot`.
    /// @dev An empty tree is refused as the older one: everything extends it, so a proof would say nothing.
    /// Two trees of one size must have one root and an empty proof.
    function verifyConsistency(uint64 oldSize, uint64 size, bytes32 oldRoot, bytes32 root, bytes32[] calldata proof)
        internal
        view
        returns (bool)
    {
        return walkConsistency(oldSize, size, oldRoot, root, proof, node);
    }

    /// @dev RFC 9162, 2.1.3.2, except that a node on the right edge skips the levels where it has no sibling, which give no
    /// hash to the proof, before the next hash and not after the last: the same steps with one condition less.
    function walkInclusion(
        uint64 index,
        uint64 size,
        bytes32 leafHash,
        bytes32 root,
        bytes32[] calldata proof,
        function(bytes32, bytes32) view returns (bytes32) hash
    ) internal view returns (bool) {
        if (index >= size) return false;

        uint256 position = index;
        uint256 last = size - 1;
        bytes32 found = leafHash;
        for (uint256 i = 0; i < proof.length; ++i) {
            if (last == 0) return false;
            if (position == last) {
                // Ends: not zero, so some bit is set.
                while (position & 1 == 0) {
                    position >>= 1;
                    last >>= 1;
                }
            }
            bytes32 sibling = _at(proof, i);
            found = position & 1 != 0 ? hash(sibling, found) : hash(found, sibling);
            position >>= 1;
            last >>= 1;
        }
        return last == 0 && found == root;
    }

    /// @dev RFC 9162, 2.1.4.2, with the right edge as in `walkInclusion`.
    function walkConsistency(
        uint64 oldSize,
        uint64 size,
        bytes32 oldRoot,
        bytes32 root,
        bytes32[] calldata proof,
        function(bytes32, bytes32) view returns (bytes32) hash
    ) internal view returns (bool) {
        if (oldSize == 0 || oldSize > size) return false;
        if (oldSize == size) return proof.length == 0 && oldRoot == root;
        if (proof.length == 0) return false;

        uint256 oldLast = oldSize - 1;
        uint256 last = size - 1;
        while (oldLast & 1 != 0) {
            oldLast >>= 1;
            last >>= 1;
        }
        // Nothing left: the old tree is perfect, so it is itself the first node and the proof does not repeat its root.
        uint256 i = oldLast == 0 ? 0 : 1;
        bytes32 oldFound = i == 0 ? oldRoot : proof[0];
        bytes32 found = oldFound;
        for (; i < proof.length; ++i) {
            if (last == 0) return false;
            if (oldLast == last) {
                while (oldLast & 1 == 0) {
                    oldLast >>= 1;
                    last >>= 1;
                }
            }
            bytes32 sibling = _at(proof, i);
            if (oldLast & 1 != 0) {
                oldFound = hash(sibling, oldFound);
                found = hash(sibling, found);
            } else {
                found = hash(found, sibling);
            }
            oldLast >>= 1;
            last >>= 1;
        }
        return last == 0 && oldFound == oldRoot && found == root;
    }

    /// @dev `proof[i]` without the bounds check, which both loops have just made.
    function _at(bytes32[] calldata proof, uint256 i) private pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            hash := calldataload(add(proof.offset, shl(5, i)))
        }
    }
}
