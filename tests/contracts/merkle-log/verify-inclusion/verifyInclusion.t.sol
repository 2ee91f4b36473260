// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {MerkleLogTest} from "../../utils/MerkleLogTest.sol";
import {ReferenceLog} from "../../utils/ReferenceLog.sol";
import {UniformLog} from "../../utils/UniformLog.sol";

contract VerifyInclusion_Test is MerkleLogTest, UniformLog {
    function test_RefusesWhen_TheTreeIsEmpty() external view {
        assertFalse(merkle.verifyInclusion(0, 0, leaves[0], leaves[0], new bytes32[](0)));
    }

    function test_RefusesWhen_TheIndexIsTheSizeOrAbove() external view {
        for (uint64 size = 1; size <= 9; ++size) {
            for (uint64 index = size; index <= 17; ++index) {
                // The honest proof of every leaf there is.
                for (uint64 proved = 0; proved < size; ++proved) {
                    assertFalse(
                        merkle.verifyInclusion(index, size, leaves[proved], root(size), inclusion(proved, size))
                    );
                }
            }
        }
        assertFalse(merkle.verifyInclusion(type(uint64).max, 1, leaves[0], leaves[0], new bytes32[](0)));
    }

    function test_RefusesWhen_TheProofHasATrailingHash() external view {
        for (uint64 size = 1; size <= 33; ++size) {
            for (uint64 index = 0; index < size; ++index) {
                bytes32[] memory proof = inclusion(index, size);
                bytes32 honest = root(size);
                // The root that a walk without an end would reach with the junk on either side.
                bytes32 junk = keccak256("junk");
                bytes32[] memory longer = ReferenceLog.append(proof, junk);
                assertFalse(merkle.verifyInclusion(index, size, leaves[index], honest, longer));
                assertFalse(merkle.verifyInclusion(index, size, leaves[index], ReferenceLog.node(honest, junk), longer));
                assertFalse(merkle.verifyInclusion(index, size, leaves[index], ReferenceLog.node(junk, honest), longer));
            }
        }
    }

    function test_RefusesWhen_TheProofIsOneHashShort() external view {
        for (uint64 size = 2; size <= 33; ++size) {
            for (uint64 index = 0; index < size; ++index) {
                bytes32[] memory shorter = ReferenceLog.dropLast(inclusion(index, size));
                assertFalse(merkle.verifyInclusion(index, size, leaves[index], root(size), shorter));
                // The subtree that the shorter proof does reach must not pass for the whole tree.
                uint64 k = uint64(ReferenceLog.split(size));
                bytes32 part = index < k ? root(k) : ReferenceLog.root(leaves, k, size, ReferenceLog.node);
                assertFalse(merkle.verifyInclusion(index, size, leaves[index], part, shorter));
            }
        }
    }

    function testFuzz_RefusesWhen_OneBitIsFlipped(uint64 size, uint64 index, uint256 hashAt, uint8 bit) external view {
        size = uint64(bound(size, 2, LEAVES_MAX));
        index = uint64(bound(index, 0, size - 1));
        bytes32[] memory proof = inclusion(index, size);
        bytes32 flip = bytes32(uint256(1) << bit);
        hashAt = bound(hashAt, 0, proof.length + 1);

        bytes32 leaf = leaves[index];
        bytes32 whole = root(size);
        if (hashAt == proof.length) leaf ^= flip;
        else if (hashAt > proof.length) whole ^= flip;
        else proof[hashAt] ^= flip;
        assertFalse(merkle.verifyInclusion(index, size, leaf, whole, proof));
    }

    function test_RefusesWhen_TheProofIsAnotherLeafs() external view {
        for (uint64 size = 2; size <= 9; ++size) {
            for (uint64 index = 0; index < size; ++index) {
                for (uint64 other = 0; other < size; ++other) {
                    if (other == index) continue;
                    assertFalse(merkle.verifyInclusion(index, size, leaves[other], root(size), inclusion(other, size)));
                    assertFalse(merkle.verifyInclusion(index, size, leaves[index], root(size), inclusion(other, size)));
                }
            }
        }
    }

    function test_RefusesWhen_ANodeIsOfferedAsALeaf() external view {
        // Leaves 0 and 1 of four, offered as leaf 0 with what is left of its proof.
        bytes32 node = ReferenceLog.node(leaves[0], leaves[1]);
        bytes32[] memory rest = ReferenceLog.append(new bytes32[](0), ReferenceLog.node(leaves[2], leaves[3]));
        assertFalse(merkle.verifyInclusion(0, 4, node, root(4), rest));
    }

    function test_RefusesWhen_TheProofIsLongerThan64Hashes() external view {
        assertFalse(merkle.verifyInclusion(0, type(uint64).max, leaves[0], root(1), new bytes32[](65)));
        assertFalse(
            merkle.verifyInclusion(type(uint64).max - 1, type(uint64).max, leaves[0], root(1), new bytes32[](1000))
        );
    }

    function test_AcceptsEveryLeafOfEveryTree() external view {
        for (uint64 size = 1; size <= LEAVES_MAX; ++size) {
            bytes32 whole = root(size);
            uint64 step = size > 20 ? 5 : 1;
            for (uint64 index = 0; index < size; index += step) {
                assertTrue(merkle.verifyInclusion(index, size, leaves[index], whole, inclusion(index, size)));
            }
            assertTrue(merkle.verifyInclusion(size - 1, size, leaves[size - 1], whole, inclusion(size - 1, size)));
        }
    }

    function testFuzz_AcceptsInLargeTrees(uint64 size, uint64 index) external view {
        size = uint64(bound(size, 1, type(uint40).max));
        index = uint64(bound(index, 0, size - 1));
        bytes32 leaf = ReferenceLog.leaf(COMMITMENT);
        assertTrue(merkle.verifyInclusion(index, size, leaf, rootOf(size), inclusionOf(index, size)));
    }

    function testFuzz_AgreesWithTheWordingOfTheRfc(
        uint64 size,
        uint64 index,
        uint64 provedSize,
        uint64 provedIndex,
        uint256 seed
    ) external view {
        provedSize = uint64(bound(provedSize, 1, LEAVES_MAX));
        provedIndex = uint64(bound(provedIndex, 0, provedSize - 1));
        // Half of the time the claim is the proved one.
        size = seed & 0x40 == 0 ? provedSize : uint64(bound(size, 0, LEAVES_MAX + 2));
        index = seed & 0x80 == 0 ? provedIndex : uint64(bound(index, 0, LEAVES_MAX + 2));
        bytes32[] memory proof = tampered(inclusion(provedIndex, provedSize), seed >> 8);

        assertEq(
            merkle.verifyInclusion(index, size, leaves[provedIndex], root(provedSize), proof),
            ReferenceLog.verifyInclusion(index, size, leaves[provedIndex], root(provedSize), proof)
        );
    }

    function testFuzz_WalksTheSameOverKeccak(uint64 size, uint64 index) external view {
        size = uint64(bound(size, 1, LEAVES_MAX));
        index = uint64(bound(index, 0, size - 1));
        bytes32 whole = ReferenceLog.root(leaves, 0, size, ReferenceLog.keccakNode);
        bytes32[] memory proof = ReferenceLog.inclusion(leaves, index, 0, size, ReferenceLog.keccakNode);
        assertTrue(merkle.verifyKeccakInclusion(index, size, leaves[index], whole, proof));
        assertFalse(merkle.verifyKeccakInclusion(index, size, leaves[index], root(size), proof) && size > 1);
    }
}
