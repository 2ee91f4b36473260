// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {IAnchorRegistry} from "../../../../contracts/interfaces/IAnchorRegistry.sol";
import {ReferenceLog} from "../../utils/ReferenceLog.sol";
import {RegistryTest} from "../../utils/RegistryTest.sol";

contract Included_Test is RegistryTest {
    uint64 private constant SIZE = 13;
    bytes32[] private leaves;
    IAnchorRegistry.Anchor private anchored;

    function setUp() public override {
        super.setUp();
        for (uint256 i = 0; i < SIZE; ++i) {
            leaves.push(ReferenceLog.leaf(commitment(i)));
        }
        anchored = IAnchorRegistry.Anchor({number: 1, size: SIZE, root: root(SIZE), timeS: START_S});
        vm.prank(operator);
        registry.anchor(logId, newest, SIZE, anchored.root, none());
    }

    function test_IsFalseWhen_TheLogWasNeverOpened() external view {
        assertFalse(registry.included("no log", anchored, 4, commitment(4), proofOf(4)));
    }

    function test_IsFalseWhen_TheLogHasNoAnchor() external {
        vm.prank(stranger);
        bytes32 empty = registry.open(ORIGIN, coldKey, NOTE_KEY, ANCHOR_WITHIN_S);
        IAnchorRegistry.Anchor memory nothing;
        assertFalse(registry.included(empty, nothing, 0, 0, none()));
        assertFalse(registry.included(empty, anchored, 4, commitment(4), proofOf(4)));
    }

    function test_IsFalseWhen_TheAnchorWasInvented() external view {
        // A tree of one leaf that proves itself, had it been anchored.
        IAnchorRegistry.Anchor memory invented =
            IAnchorRegistry.Anchor({number: 1, size: 1, root: ReferenceLog.leaf("never happened"), timeS: START_S});
        assertFalse(registry.included(logId, invented, 0, "never happened", none()));
    }

    function test_IsFalseWhen_TheAnchorLeftTheRing() external {
        newest = anchored;
        for (uint64 i = 1; i <= 64; ++i) {
            assertTrue(registry.included(logId, anchored, 4, commitment(4), proofOf(4)));
            extend();
        }
        assertFalse(registry.included(logId, anchored, 4, commitment(4), proofOf(4)));
    }

    function test_IsFalseWhen_TheIndexIsTheSizeOrAbove() external view {
        for (uint64 index = SIZE; index < 40; ++index) {
            assertFalse(registry.included(logId, anchored, index, commitment(SIZE - 1), proofOf(SIZE - 1)));
        }
        assertFalse(registry.included(logId, anchored, type(uint64).max, commitment(SIZE - 1), proofOf(SIZE - 1)));
    }

    function test_IsFalseWhen_TheProofIsEmpty() external view {
        assertFalse(registry.included(logId, anchored, 4, commitment(4), none()));
    }

    function test_IsFalseWhen_TheProofIsOneHashShort() external view {
        assertFalse(registry.included(logId, anchored, 4, commitment(4), ReferenceLog.dropLast(proofOf(4))));
    }

    function test_IsFalseWhen_TheProofHasATrailingHash() external view {
        assertFalse(
            registry.included(logId, anchored, 4, commitment(4), ReferenceLog.append(proofOf(4), anchored.root))
        );
    }

    function testFuzz_IsFalseWhen_OneBitIsFlipped(uint64 index, uint256 place, uint8 bit) external view {
        index = uint64(bound(index, 0, SIZE - 1));
        bytes32[] memory proof = proofOf(index);
        proof[place % proof.length] ^= bytes32(uint256(1) << bit);
        assertFalse(registry.included(logId, anchored, index, commitment(index), proof));
    }

    function test_IsFalseWhen_TheCommitmentIsAnotherLeafs() external view {
        for (uint64 index = 0; index < SIZE; ++index) {
            for (uint64 other = 0; other < SIZE; ++other) {
                if (other == index) continue;
                assertFalse(registry.included(logId, anchored, index, commitment(other), proofOf(index)));
                assertFalse(registry.included(logId, anchored, index, commitment(other), proofOf(other)));
            }
        }
    }

    function test_IsFalseWhen_ALeafHashIsOfferedAsACommitment() external view {
        assertFalse(registry.included(logId, anchored, 4, leaves[4], proofOf(4)));
    }

    function test_IsFalseWhen_ANodeIsOfferedAsACommitment() external {
        // The root of two leaves, in a log of one "entry".
        vm.startPrank(stranger);
        bytes32 other = registry.open(ORIGIN, coldKey, NOTE_KEY, ANCHOR_WITHIN_S);
        registry.anchor(other, newest, 1, root(2), none());
        vm.stopPrank();
        IAnchorRegistry.Anchor memory small =
            IAnchorRegistry.Anchor({number: 1, size: 1, root: root(2), timeS: START_S});
        assertTrue(registry.living(other, small));
        assertFalse(registry.included(other, small, 0, root(2), none()));
    }

    function test_IsFalseWhen_TheProofIsForAnotherAnchor() external {
        newest = anchored;
        IAnchorRegistry.Anchor memory later = extend();
        assertTrue(registry.living(logId, later));
        assertFalse(registry.included(logId, later, 4, commitment(4), proofOf(4)));
    }

    function test_IsTrueForEveryEntry() external view {
        for (uint64 index = 0; index < SIZE; ++index) {
            assertTrue(registry.included(logId, anchored, index, commitment(index), proofOf(index)));
        }
    }

    function test_IsTrueForTheOnlyEntry() external {
        vm.startPrank(stranger);
        bytes32 other = registry.open(ORIGIN, coldKey, NOTE_KEY, ANCHOR_WITHIN_S);
        registry.anchor(other, newest, 1, leaves[0], none());
        vm.stopPrank();
        IAnchorRegistry.Anchor memory small =
            IAnchorRegistry.Anchor({number: 1, size: 1, root: leaves[0], timeS: START_S});
        assertTrue(registry.included(other, small, 0, commitment(0), none()));
    }

    function test_IsTrueAfterTheLogWasClosed() external {
        closeLog();
        assertTrue(registry.included(logId, anchored, 4, commitment(4), proofOf(4)));
    }

    function commitment(uint256 index) private pure returns (bytes32) {
        return keccak256(abi.encode("commitment", index));
    }

    function root(uint256 size) private view returns (bytes32) {
        return ReferenceLog.root(leaves, 0, size, ReferenceLog.node);
    }

    function proofOf(uint256 index) private view returns (bytes32[] memory) {
        return ReferenceLog.inclusion(leaves, index, 0, SIZE, ReferenceLog.node);
    }

    /// @dev Anchors one more leaf.
    function extend() private returns (IAnchorRegistry.Anchor memory) {
        uint256 oldSize = leaves.length;
        leaves.push(ReferenceLog.leaf(commitment(oldSize)));
        bytes32 newRoot = root(oldSize + 1);
        bytes32[] memory proof = ReferenceLog.consistency(leaves, oldSize, 0, oldSize + 1, true, ReferenceLog.node);
        vm.prank(operator);
        uint64 number = registry.anchor(logId, newest, uint64(oldSize + 1), newRoot, proof);
        newest = IAnchorRegistry.Anchor({
            number: number, size: uint64(oldSize + 1), root: newRoot, timeS: uint64(block.timestamp)
        });
        return newest;
    }
}
