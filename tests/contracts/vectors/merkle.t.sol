// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {MerkleLogHarness} from "../utils/MerkleLogHarness.sol";
import {Test} from "forge-std/Test.sol";

/// @notice Every inclusion and consistency proof among 64 leaves, as another implementation wrote them.
contract MerkleVectors_Test is Test {
    MerkleLogHarness private merkle = new MerkleLogHarness();
    bytes32[] private commitments;
    bytes32[] private roots;
    bytes32[] private nodes;
    string private json;

    function setUp() external {
        json = vm.readFile("tests/vectors/merkle.json");
        assertEq(vm.parseJsonUint(json, ".version"), 1);
        commitments = vm.parseJsonBytes32Array(json, ".commitments");
        roots = vm.parseJsonBytes32Array(json, ".roots");
        nodes = vm.parseJsonBytes32Array(json, ".nodes");
        assertEq(commitments.length, 64);
        assertEq(roots.length, 65);
        assertEq(roots[0], sha256(""));
    }

    function test_EveryEntryIsIncluded() external view {
        for (uint64 size = 1; size <= 64; ++size) {
            uint256[][] memory inclusion = proofsOf(".inclusion", size);
            for (uint64 index = 0; index < size; ++index) {
                assertIncluded(index, size, pick(inclusion[index]));
            }
        }
    }

    function test_EveryPrefixIsConsistent() external view {
        for (uint64 size = 1; size <= 64; ++size) {
            uint256[][] memory consistency = proofsOf(".consistency", size);
            for (uint64 oldSize = 1; oldSize <= size; ++oldSize) {
                assertConsistent(oldSize, size, pick(consistency[oldSize - 1]));
            }
        }
    }

    /// @dev As indexes into `nodes`, one list for each entry or older tree of the tree of this size.
    function proofsOf(string memory kind, uint64 size) private view returns (uint256[][] memory proofs) {
        proofs = abi.decode(vm.parseJson(json, string.concat(kind, "[", vm.toString(size - 1), "]")), (uint256[][]));
        assertEq(proofs.length, size);
    }

    function assertIncluded(uint64 index, uint64 size, bytes32[] memory proof) private view {
        bytes32 leaf = merkle.leaf(commitments[index]);
        assertTrue(merkle.verifyInclusion(index, size, leaf, roots[size], proof));
        assertFalse(merkle.verifyInclusion(index, size, leaf, roots[size - 1], proof));
    }

    function assertConsistent(uint64 oldSize, uint64 size, bytes32[] memory proof) private view {
        assertTrue(merkle.verifyConsistency(oldSize, size, roots[oldSize], roots[size], proof));
        assertFalse(merkle.verifyConsistency(oldSize, size, roots[oldSize - 1], roots[size], proof));
    }

    function pick(uint256[] memory chosen) private view returns (bytes32[] memory proof) {
        proof = new bytes32[](chosen.length);
        for (uint256 i = 0; i < chosen.length; ++i) {
            proof[i] = nodes[chosen[i]];
        }
    }
}
