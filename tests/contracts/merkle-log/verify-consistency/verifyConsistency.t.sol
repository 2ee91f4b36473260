// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {MerkleLogTest} from "../../utils/MerkleLogTest.sol";
import {ReferenceLog} from "../../utils/ReferenceLog.sol";
import {UniformLog} from "../../utils/UniformLog.sol";

contract VerifyConsistency_Test is MerkleLogTest, UniformLog {
    bytes32 private constant EMPTY_ROOT = sha256("");

    function test_RefusesWhen_TheOldTreeIsEmpty() external view {
        bytes32[] memory nothing = new bytes32[](0);
        assertFalse(merkle.verifyConsistency(0, 0, EMPTY_ROOT, EMPTY_ROOT, nothing));
        assertFalse(merkle.verifyConsistency(0, 0, 0, 0, nothing));
        for (uint64 size = 1; size <= 8; ++size) {
            assertFalse(merkle.verifyConsistency(0, size, EMPTY_ROOT, root(size), nothing));
            assertFalse(merkle.verifyConsistency(0, size, 0, root(size), nothing));
            assertFalse(merkle.verifyConsistency(0, size, root(size), root(size), nothing));
            assertFalse(merkle.verifyConsistency(0, size, EMPTY_ROOT, root(size), consistency(1, size)));
        }
    }

    function test_RefusesWhen_TheOldTreeIsTheLargerOne() external view {
        for (uint64 size = 1; size <= 16; ++size) {
            for (uint64 oldSize = size + 1; oldSize <= 17; ++oldSize) {
                bytes32[] memory backwards = consistency(size, oldSize);
                assertFalse(merkle.verifyConsistency(oldSize, size, root(oldSize), root(size), backwards));
                assertFalse(merkle.verifyConsistency(oldSize, size, root(size), root(oldSize), backwards));
                assertFalse(merkle.verifyConsistency(oldSize, size, root(size), root(size), new bytes32[](0)));
            }
        }
    }

    function test_RefusesWhen_EqualSizesComeWithJunk() external view {
        for (uint64 size = 1; size <= 16; ++size) {
            bytes32[] memory junk = ReferenceLog.append(new bytes32[](0), root(size));
            assertFalse(merkle.verifyConsistency(size, size, root(size), root(size), junk));
        }
    }

    function test_RefusesWhen_EqualSizesHaveDifferentRoots() external view {
        for (uint64 size = 1; size <= 16; ++size) {
            assertFalse(merkle.verifyConsistency(size, size, root(size), root(size + 1), new bytes32[](0)));
            bytes32[] memory other = ReferenceLog.append(new bytes32[](0), root(size + 1));
            assertFalse(merkle.verifyConsistency(size, size, root(size), root(size + 1), other));
        }
    }

    function test_AcceptsWhen_EqualSizesHaveOneRootAndNoProof() external view {
        for (uint64 size = 1; size <= 16; ++size) {
            assertTrue(merkle.verifyConsistency(size, size, root(size), root(size), new bytes32[](0)));
        }
    }

    function test_RefusesWhen_TheProofIsEmpty() external view {
        for (uint64 size = 2; size <= 17; ++size) {
            for (uint64 oldSize = 1; oldSize < size; ++oldSize) {
                assertFalse(merkle.verifyConsistency(oldSize, size, root(oldSize), root(size), new bytes32[](0)));
                assertFalse(merkle.verifyConsistency(oldSize, size, root(oldSize), root(oldSize), new bytes32[](0)));
            }
        }
    }

    function test_RefusesWhen_TheProofHasATrailingHash() external view {
        bytes32 junk = keccak256("junk");
        for (uint64 size = 2; size <= 17; ++size) {
            for (uint64 oldSize = 1; oldSize < size; ++oldSize) {
                bytes32 oldRoot = root(oldSize);
                bytes32 newRoot = root(size);
                bytes32[] memory longer = ReferenceLog.append(consistency(oldSize, size), junk);
                assertFalse(merkle.verifyConsistency(oldSize, size, oldRoot, newRoot, longer));
                assertFalse(merkle.verifyConsistency(oldSize, size, oldRoot, ReferenceLog.node(newRoot, junk), longer));
                assertFalse(
                    merkle.verifyConsistency(
                        oldSize, size, ReferenceLog.node(junk, oldRoot), ReferenceLog.node(junk, newRoot), longer
                    )
                );
            }
        }
    }

    function test_RefusesWhen_TheProofIsOneHashShort() external view {
        for (uint64 size = 2; size <= 17; ++size) {
            for (uint64 oldSize = 1; oldSize < size; ++oldSize) {
                bytes32[] memory shorter = ReferenceLog.dropLast(consistency(oldSize, size));
                assertFalse(merkle.verifyConsistency(oldSize, size, root(oldSize), root(size), shorter));
                // Where the last hash stood right of the old tree, what is left leads to a smaller tree's root.
                uint64 k = uint64(ReferenceLog.split(size));
                assertFalse(merkle.verifyConsistency(oldSize, size, root(oldSize), root(k), shorter));
            }
        }
    }

    function test_RefusesWhen_TheProofRepeatsTheRootOfAPerfectOldTree() external view {
        for (uint64 oldSize = 1; oldSize <= 32; oldSize *= 2) {
            for (uint64 size = oldSize + 1; size <= 40; ++size) {
                bytes32[] memory repeated = ReferenceLog.prepend(root(oldSize), consistency(oldSize, size));
                assertFalse(merkle.verifyConsistency(oldSize, size, root(oldSize), root(size), repeated));
            }
        }
    }

    function testFuzz_RefusesWhen_OneBitIsFlipped(uint64 oldSize, uint64 size, uint256 hashAt, uint8 bit)
        external
        view
    {
        size = uint64(bound(size, 2, LEAVES_MAX));
        oldSize = uint64(bound(oldSize, 1, size - 1));
        bytes32[] memory proof = consistency(oldSize, size);
        bytes32 flip = bytes32(uint256(1) << bit);
        hashAt = bound(hashAt, 0, proof.length + 1);

        bytes32 oldRoot = root(oldSize);
        bytes32 newRoot = root(size);
        if (hashAt == proof.length) oldRoot ^= flip;
        else if (hashAt > proof.length) newRoot ^= flip;
        else proof[hashAt] ^= flip;
        assertFalse(merkle.verifyConsistency(oldSize, size, oldRoot, newRoot, proof));
    }

    function testFuzz_RefusesWhen_AnOldLeafWasReplaced(uint64 oldSize, uint64 size, uint64 replaced) external {
        size = uint64(bound(size, 2, LEAVES_MAX));
        oldSize = uint64(bound(oldSize, 1, size - 1));
        replaced = uint64(bound(replaced, 0, oldSize - 1));
        bytes32 oldRoot = root(oldSize);
        bytes32[] memory honest = consistency(oldSize, size);

        leaves[replaced] = keccak256("another story");
        assertFalse(merkle.verifyConsistency(oldSize, size, oldRoot, root(size), honest));
        assertFalse(merkle.verifyConsistency(oldSize, size, oldRoot, root(size), consistency(oldSize, size)));
    }

    function test_RefusesWhen_TheSizesHaveAnotherShapeThanTheProvedOnes() external view {
        // Seven leaves claimed as five, six or eight, or all nodes taken for trees of two: the same path each time, and no
        // root tells its size.
        for (uint64 size = 1; size <= 16; ++size) {
            for (uint64 oldSize = 1; oldSize <= 16; ++oldSize) {
                bool sameShape = (oldSize == 3 && size >= 5 && size <= 8) || (oldSize == 6 && size >= 9);
                bool accepted = merkle.verifyConsistency(oldSize, size, root(3), root(7), consistency(3, 7));
                assertEq(accepted, sameShape);
            }
        }
    }

    function test_RefusesWhen_TheProofIsLongerThan64Hashes() external view {
        assertFalse(merkle.verifyConsistency(1, type(uint64).max, root(1), root(2), new bytes32[](65)));
        assertFalse(
            merkle.verifyConsistency(type(uint64).max - 1, type(uint64).max, root(1), root(2), new bytes32[](1000))
        );
    }

    function test_AcceptsEveryPrefixOfEveryTree() external view {
        for (uint64 size = 1; size <= LEAVES_MAX; ++size) {
            bytes32 newRoot = root(size);
            for (uint64 oldSize = 1; oldSize <= size; oldSize += size > 20 ? 3 : 1) {
                assertTrue(merkle.verifyConsistency(oldSize, size, root(oldSize), newRoot, consistency(oldSize, size)));
            }
        }
    }

    function testFuzz_AcceptsBetweenLargeTrees(uint64 oldSize, uint64 size) external view {
        size = uint64(bound(size, 1, type(uint40).max));
        oldSize = uint64(bound(oldSize, 1, size));
        assertTrue(merkle.verifyConsistency(oldSize, size, rootOf(oldSize), rootOf(size), consistencyOf(oldSize, size)));
    }

    function testFuzz_AgreesWithTheWordingOfTheRfc(
        uint64 oldSize,
        uint64 size,
        uint64 provedOldSize,
        uint64 provedSize,
        uint256 seed
    ) external view {
        provedSize = uint64(bound(provedSize, 1, LEAVES_MAX));
        provedOldSize = uint64(bound(provedOldSize, 1, provedSize));
        oldSize = seed & 0x40 == 0 ? provedOldSize : uint64(bound(oldSize, 0, LEAVES_MAX + 2));
        size = seed & 0x80 == 0 ? provedSize : uint64(bound(size, 0, LEAVES_MAX + 2));
        bytes32[] memory proof = tampered(consistency(provedOldSize, provedSize), seed >> 8);

        assertEq(
            merkle.verifyConsistency(oldSize, size, root(provedOldSize), root(provedSize), proof),
            ReferenceLog.verifyConsistency(oldSize, size, root(provedOldSize), root(provedSize), proof)
        );
    }

    function testFuzz_WalksTheSameOverKeccak(uint64 oldSize, uint64 size) external view {
        size = uint64(bound(size, 1, LEAVES_MAX));
        oldSize = uint64(bound(oldSize, 1, size));
        assertTrue(
            merkle.verifyKeccakConsistency(
                oldSize,
                size,
                ReferenceLog.root(leaves, 0, oldSize, ReferenceLog.keccakNode),
                ReferenceLog.root(leaves, 0, size, ReferenceLog.keccakNode),
                ReferenceLog.consistency(leaves, oldSize, 0, size, true, ReferenceLog.keccakNode)
            )
        );
    }
}
