// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {IAnchorRegistry} from "../../../../contracts/interfaces/IAnchorRegistry.sol";
import {ReferenceLog} from "../../utils/ReferenceLog.sol";
import {RegistryTest} from "../../utils/RegistryTest.sol";

contract Anchor_Test is RegistryTest {
    uint64 private constant GROWTH_MAX = 1 << 26;

    /* WHO */

    function test_RevertWhen_TheCallerIsNotTheOperator() external {
        address pendingOperator = makeAddr("pending operator");
        vm.prank(coldKey);
        registry.rotate(logId, pendingOperator);

        address[3] memory callers = [stranger, coldKey, pendingOperator];
        bytes32 root = rootOf(1);
        for (uint256 i = 0; i < callers.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IAnchorRegistry.NotOperator.selector, logId, callers[i]));
            vm.prank(callers[i]);
            registry.anchor(logId, newest, 1, root, none());
        }
    }

    function testFuzz_RevertWhen_TheLogWasNeverOpened(bytes32 unopened) external {
        vm.assume(unopened != logId);
        bytes32 root = rootOf(1);
        vm.expectRevert(abi.encodeWithSelector(IAnchorRegistry.NotOperator.selector, unopened, operator));
        vm.prank(operator);
        registry.anchor(unopened, newest, 1, root, none());
    }

    function test_RevertWhen_NobodyAnchorsWhatNobodyOpened() external {
        bytes32 root = rootOf(1);
        vm.expectRevert(abi.encodeWithSelector(IAnchorRegistry.NotOperator.selector, bytes32("no log"), address(0)));
        vm.prank(address(0));
        registry.anchor("no log", newest, 1, root, none());
    }

    function test_RevertWhen_TheLogIsClosed() external {
        anchorTo(5);
        closeLog();
        expectRefusal(abi.encodeWithSelector(IAnchorRegistry.LogClosed.selector, logId), 9);
    }

    /* THE FIRST */

    function test_RevertWhen_TheFirstAnchorNamesAnOldHead() external {
        bytes memory mismatch = abi.encodeWithSelector(IAnchorRegistry.OldHeadMismatch.selector, logId, 0);
        newest.number = 1;
        expectRefusal(mismatch, 1, none());
        newest.number = 0;
        newest.size = 1;
        expectRefusal(mismatch, 2, consistencyOf(1, 2));
        newest.size = 0;
        newest.root = rootOf(1);
        expectRefusal(mismatch, 1, none());
        newest.root = 0;
        newest.timeS = START_S;
        expectRefusal(mismatch, 1, none());
    }

    function test_RevertWhen_TheFirstAnchorIsEmpty() external {
        bytes32 emptyRoot = sha256("");
        vm.expectRevert(doesNotExtend(0));
        vm.prank(operator);
        registry.anchor(logId, newest, 0, emptyRoot, none());
    }

    function test_RevertWhen_TheFirstAnchorCarriesAProof() external {
        expectRefusal(doesNotExtend(5), 5, consistencyOf(4, 5));
    }

    function test_RevertWhen_TheFirstAnchorGrowsTooMuch() external {
        expectRefusal(growthTooLarge(GROWTH_MAX + 1), GROWTH_MAX + 1, none());
    }

    function testFuzz_AnchorsTheFirstTree(uint64 size) external {
        size = uint64(bound(size, 1, GROWTH_MAX));
        assertEq(anchorTo(size).number, 1);
        assertNewest(newest);
    }

    /* THE OLD HEAD */

    function test_RevertWhen_TheOldHeadIsAnEarlierAnchor() external {
        IAnchorRegistry.Anchor memory earlier = anchorTo(5);
        skip(12);
        anchorTo(9);
        newest = earlier;
        expectRefusal(abi.encodeWithSelector(IAnchorRegistry.OldHeadMismatch.selector, logId, 2), 12);
    }

    function test_RevertWhen_TheOldHeadIsLeftEmpty() external {
        anchorTo(5);
        delete newest;
        expectRefusal(abi.encodeWithSelector(IAnchorRegistry.OldHeadMismatch.selector, logId, 1), 9, none());
    }

    function testFuzz_RevertWhen_AFieldOfTheOldHeadDiffers(uint256 field, uint8 bit) external {
        anchorTo(5);
        uint256 flip = uint256(1) << bit;
        field = bound(field, 0, 3);
        if (field == 0) newest.number ^= uint64(1) << (bit % 64);
        if (field == 1) newest.size ^= uint64(1) << (bit % 64);
        if (field == 2) newest.root ^= bytes32(flip);
        if (field == 3) newest.timeS ^= uint64(1) << (bit % 64);
        expectRefusal(
            abi.encodeWithSelector(IAnchorRegistry.OldHeadMismatch.selector, logId, 1), 9, consistencyOf(5, 9)
        );
    }

    /* THE SIZE */

    function test_RevertWhen_TheSizeIsTheSame() external {
        anchorTo(5);
        expectRefusal(doesNotExtend(5), 5, none());
    }

    function test_RevertWhen_TheSizeIsSmaller() external {
        anchorTo(5);
        for (uint64 size = 1; size < 5; ++size) {
            expectRefusal(doesNotExtend(size), size, consistencyOf(size, 5));
        }
    }

    function test_RevertWhen_TheTreeGrowsTooMuch() external {
        anchorTo(5);
        expectRefusal(growthTooLarge(5 + GROWTH_MAX + 1), 5 + GROWTH_MAX + 1);
        expectRefusal(growthTooLarge(type(uint64).max), type(uint64).max, none());
    }

    function test_RevertWhen_TheSizeExceeds40Bits() external {
        uint64 size = type(uint40).max;
        placeAt(IAnchorRegistry.Anchor({number: 20_000, size: size, root: rootOf(size), timeS: START_S}));
        expectRefusal(abi.encodeWithSelector(IAnchorRegistry.SizeTooLarge.selector, logId, size + 1), size + 1);
    }

    function test_RevertWhen_NoNumberIsLeft() external {
        placeAt(IAnchorRegistry.Anchor({number: type(uint24).max, size: 5, root: rootOf(5), timeS: START_S}));
        expectRefusal(abi.encodeWithSelector(IAnchorRegistry.TooManyAnchors.selector, logId), 9);
    }

    /* THE PROOF */

    function test_RevertWhen_TheProofIsEmpty() external {
        anchorTo(5);
        expectRefusal(doesNotExtend(9), 9, none());
    }

    function test_RevertWhen_TheProofIsOneHashShort() external {
        anchorTo(5);
        expectRefusal(doesNotExtend(9), 9, ReferenceLog.dropLast(consistencyOf(5, 9)));
    }

    function test_RevertWhen_TheProofHasATrailingHash() external {
        anchorTo(5);
        expectRefusal(doesNotExtend(9), 9, ReferenceLog.append(consistencyOf(5, 9), rootOf(9)));
    }

    function testFuzz_RevertWhen_OneBitIsFlipped(uint64 oldSize, uint64 size, uint256 place, uint8 bit) external {
        oldSize = uint64(bound(oldSize, 1, 1 << 20));
        size = uint64(bound(size, oldSize + 1, 1 << 21));
        anchorTo(oldSize);
        bytes32[] memory proof = consistencyOf(oldSize, size);
        proof[place % proof.length] ^= bytes32(uint256(1) << bit);
        expectRefusal(doesNotExtend(size), size, proof);
    }

    function test_RevertWhen_TheHistoryWasRewritten() external {
        // Nine leaves of another story, with a proof that is honest about them.
        bytes32[] memory leaves = new bytes32[](9);
        for (uint256 i = 0; i < leaves.length; ++i) {
            leaves[i] = ReferenceLog.leaf(COMMITMENT);
        }
        leaves[2] = ReferenceLog.leaf("never happened");
        bytes32 root = ReferenceLog.root(leaves, 0, 9, ReferenceLog.node);
        bytes32[] memory proof = ReferenceLog.consistency(leaves, 5, 0, 9, true, ReferenceLog.node);

        anchorTo(5);
        vm.expectRevert(doesNotExtend(9));
        vm.prank(operator);
        registry.anchor(logId, newest, 9, root, proof);
    }

    /* WHAT EXTENDS */

    function testFuzz_AnchorsWhatExtends(uint64 oldSize, uint64 size, uint32 waitS) external {
        oldSize = uint64(bound(oldSize, 1, GROWTH_MAX));
        size = uint64(bound(size, oldSize + 1, oldSize + GROWTH_MAX));
        IAnchorRegistry.Anchor memory old = anchorTo(oldSize);
        skip(waitS);

        bytes32 root = rootOf(size);
        bytes32[] memory proof = consistencyOf(oldSize, size);
        vm.expectEmit(address(registry));
        emit IAnchorRegistry.Anchored(logId, operator, 2, size, root, uint64(block.timestamp));
        vm.prank(operator);
        assertEq(registry.anchor(logId, old, size, root, proof), 2);

        assertNewest(IAnchorRegistry.Anchor({number: 2, size: size, root: root, timeS: uint64(block.timestamp)}));
        assertTrue(registry.living(logId, old));
        assertEq(registry.head(logId).operator, operator);
    }

    function test_AnchorsTwiceInOneBlock() external {
        IAnchorRegistry.Anchor memory old = anchorTo(5);
        anchorTo(6);
        assertNewest(newest);
        assertTrue(registry.living(logId, old));
    }

    function test_AnchorsUpToTheLastSizeAndNumber() external {
        uint64 size = type(uint40).max;
        placeAt(
            IAnchorRegistry.Anchor({
                number: type(uint24).max - 1, size: size - GROWTH_MAX, root: rootOf(size - GROWTH_MAX), timeS: START_S
            })
        );
        assertEq(anchorTo(size).number, type(uint24).max);
        assertNewest(newest);
    }

    function test_AnchorsAfterTheYear2106() external {
        anchorTo(5);
        vm.warp(uint256(type(uint32).max) + 100);
        anchorTo(9);
        assertEq(newest.timeS, uint256(type(uint32).max) + 100);
        assertEq(registry.head(logId).timeS, 99);
        assertNewest(newest);
        anchorTo(10);
    }

    function test_LeavesOtherLogsAlone() external {
        vm.prank(stranger);
        bytes32 other = registry.open(ORIGIN, coldKey, NOTE_KEY, ANCHOR_WITHIN_S);
        anchorTo(5);
        assertEq(registry.head(other).count, 0);
        assertFalse(registry.living(other, newest));
    }

    function expectRefusal(bytes memory refusal, uint64 size) private {
        expectRefusal(refusal, size, consistencyOf(newest.size, size));
    }

    function expectRefusal(bytes memory refusal, uint64 size, bytes32[] memory proof) private {
        bytes32 root = size < 1 << 41 ? rootOf(size) : bytes32("unreachable");
        vm.expectRevert(refusal);
        vm.prank(operator);
        registry.anchor(logId, newest, size, root, proof);
    }

    function doesNotExtend(uint64 size) private view returns (bytes memory) {
        return abi.encodeWithSelector(IAnchorRegistry.DoesNotExtend.selector, logId, newest.size, size);
    }

    function growthTooLarge(uint64 size) private view returns (bytes memory) {
        return abi.encodeWithSelector(IAnchorRegistry.GrowthTooLarge.selector, logId, newest.size, size);
    }
}
