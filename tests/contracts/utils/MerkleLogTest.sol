// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {MerkleLogHarness} from "./MerkleLogHarness.sol";
import {ReferenceLog} from "./ReferenceLog.sol";
import {Test} from "forge-std/Test.sol";

/// @notice 64 different leaves, and their trees and proofs by definition.
abstract contract MerkleLogTest is Test {
    uint64 internal constant LEAVES_MAX = 64;

    MerkleLogHarness internal merkle = new MerkleLogHarness();
    bytes32[] internal leaves;

    constructor() {
        for (uint256 i = 0; i < LEAVES_MAX; ++i) {
            leaves.push(ReferenceLog.leaf(keccak256(abi.encode("commitment", i))));
        }
    }

    function root(uint256 size) internal view returns (bytes32) {
        return ReferenceLog.root(leaves, 0, size, ReferenceLog.node);
    }

    function inclusion(uint256 index, uint256 size) internal view returns (bytes32[] memory) {
        return ReferenceLog.inclusion(leaves, index, 0, size, ReferenceLog.node);
    }

    function consistency(uint256 oldSize, uint256 size) internal view returns (bytes32[] memory) {
        return ReferenceLog.consistency(leaves, oldSize, 0, size, true, ReferenceLog.node);
    }

    /// @dev Damages a proof in one of the ways a forger would try first, or leaves it alone.
    function tampered(bytes32[] memory proof, uint256 seed) internal pure returns (bytes32[] memory) {
        uint256 way = seed % 6;
        uint256 place = proof.length == 0 ? 0 : (seed >> 8) % proof.length;
        if (way == 1) return ReferenceLog.append(proof, bytes32(seed));
        if (way == 2) return ReferenceLog.prepend(bytes32(seed), proof);
        if (proof.length == 0) return proof;
        if (way == 3) return ReferenceLog.dropLast(proof);
        if (way == 4) proof[place] ^= bytes32(1 << (seed >> 16) % 256);
        if (way == 5) (proof[place], proof[0]) = (proof[0], proof[place]);
        return proof;
    }
}
