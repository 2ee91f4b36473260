// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

/// @notice Trees and proofs by the recursive definitions of RFC 9162 (2.1.1, 2.1.3.1, 2.1.4.1), and the two verification
/// algorithms step by step as the RFC words them (2.1.3.2, 2.1.4.2): plain, slow, and sharing nothing with MerkleLog.
/// @dev `leaves` are leaf hashes; `from` and `to` bound a half-open range of them.
library ReferenceLog {
    function leaf(bytes32 commitment) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(bytes1(0x00), commitment));
    }

    function node(bytes32 left, bytes32 right) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(bytes1(0x01), left, right));
    }

    function keccakNode(bytes32 left, bytes32 right) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(bytes1(0x01), left, right));
    }

    /// @notice The largest power of two smaller than `count`.
    function split(uint256 count) internal pure returns (uint256 k) {
        k = 1;
        while (k * 2 < count) k *= 2;
    }

    function root(
        bytes32[] memory leaves,
        uint256 from,
        uint256 to,
        function(bytes32, bytes32) pure returns (bytes32) hash
    ) internal pure returns (bytes32) {
        if (to - from == 1) return leaves[from];
        uint256 k = split(to - from);
        return hash(root(leaves, from, from + k, hash), root(leaves, from + k, to, hash));
    }

    function inclusion(
        bytes32[] memory leaves,
        uint256 index,
        uint256 from,
        uint256 to,
        function(bytes32, bytes32) pure returns (bytes32) hash
    ) internal pure returns (bytes32[] memory) {
        if (to - from == 1) return new bytes32[](0);
        uint256 middle = from + split(to - from);
        return index < middle
            ? append(inclusion(leaves, index, from, middle, hash), root(leaves, middle, to, hash))
            : append(inclusion(leaves, index, middle, to, hash), root(leaves, from, middle, hash));
    }

    function consistency(
        bytes32[] memory leaves,
        uint256 oldTo,
        uint256 from,
        uint256 to,
        bool isOldTree,
        function(bytes32, bytes32) pure returns (bytes32) hash
    ) internal pure returns (bytes32[] memory) {
        if (oldTo == to) {
            return isOldTree ? new bytes32[](0) : append(new bytes32[](0), root(leaves, from, to, hash));
        }
        uint256 middle = from + split(to - from);
        return oldTo <= middle
            ? append(consistency(leaves, oldTo, from, middle, isOldTree, hash), root(leaves, middle, to, hash))
            : append(consistency(leaves, oldTo, middle, to, false, hash), root(leaves, from, middle, hash));
    }

    function verifyInclusion(uint256 index, uint256 size, bytes32 leafHash, bytes32 expected, bytes32[] memory proof)
        internal
        pure
        returns (bool)
    {
        if (index >= size) return false;
        uint256 fn = index;
        uint256 sn = size - 1;
        bytes32 r = leafHash;
        for (uint256 i = 0; i < proof.length; ++i) {
            if (sn == 0) return false;
            if (fn % 2 == 1 || fn == sn) {
                r = node(proof[i], r);
                if (fn % 2 == 0) {
                    while (fn % 2 == 0 && fn != 0) {
                        fn /= 2;
                        sn /= 2;
                    }
                }
            } else {
                r = node(r, proof[i]);
            }
            fn /= 2;
            sn /= 2;
        }
        return sn == 0 && r == expected;
    }

    function verifyConsistency(
        uint256 first,
        uint256 second,
        bytes32 firstRoot,
        bytes32 secondRoot,
        bytes32[] memory proof
    ) internal pure returns (bool) {
        if (first == 0 || first > second) return false;
        if (first == second) return proof.length == 0 && firstRoot == secondRoot;
        if (proof.length == 0) return false;
        if (isPowerOfTwo(first)) proof = prepend(firstRoot, proof);

        uint256 fn = first - 1;
        uint256 sn = second - 1;
        while (fn % 2 == 1) {
            fn /= 2;
            sn /= 2;
        }
        bytes32 fr = proof[0];
        bytes32 sr = proof[0];
        for (uint256 i = 1; i < proof.length; ++i) {
            if (sn == 0) return false;
            if (fn % 2 == 1 || fn == sn) {
                fr = node(proof[i], fr);
                sr = node(proof[i], sr);
                if (fn % 2 == 0) {
                    while (fn % 2 == 0 && fn != 0) {
                        fn /= 2;
                        sn /= 2;
                    }
                }
            } else {
                sr = node(sr, proof[i]);
            }
            fn /= 2;
            sn /= 2;
        }
        return fr == firstRoot && sr == secondRoot && sn == 0;
    }

    function isPowerOfTwo(uint256 n) internal pure returns (bool) {
        return n != 0 && n & (n - 1) == 0;
    }

    function append(bytes32[] memory list, bytes32 item) internal pure returns (bytes32[] memory longer) {
        longer = new bytes32[](list.length + 1);
        for (uint256 i = 0; i < list.length; ++i) {
            longer[i] = list[i];
        }
        longer[list.length] = item;
    }

    function prepend(bytes32 item, bytes32[] memory list) internal pure returns (bytes32[] memory longer) {
        longer = new bytes32[](list.length + 1);
        longer[0] = item;
        for (uint256 i = 0; i < list.length; ++i) {
            longer[i + 1] = list[i];
        }
    }

    function dropLast(bytes32[] memory list) internal pure returns (bytes32[] memory shorter) {
        shorter = new bytes32[](list.length - 1);
        for (uint256 i = 0; i < shorter.length; ++i) {
            shorter[i] = list[i];
        }
    }
}
