// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {IAnchorRegistry} from "../../../../contracts/interfaces/IAnchorRegistry.sol";
import {RegistryTest} from "../../utils/RegistryTest.sol";

contract AcceptRotation_Test is RegistryTest {
    address private next = makeAddr("next operator");

    function test_RevertWhen_NoRotationIsPending() external {
        address[2] memory callers = [next, address(0)];
        for (uint256 i = 0; i < callers.length; ++i) {
            expectRefusal(
                abi.encodeWithSelector(IAnchorRegistry.NotPendingOperator.selector, logId, callers[i]), callers[i]
            );
        }
    }

    function test_RevertWhen_TheCallerIsNotThePendingOperator() external {
        start();
        skip(3 days);
        address[3] memory callers = [operator, coldKey, stranger];
        for (uint256 i = 0; i < callers.length; ++i) {
            expectRefusal(
                abi.encodeWithSelector(IAnchorRegistry.NotPendingOperator.selector, logId, callers[i]), callers[i]
            );
        }
    }

    function testFuzz_RevertWhen_TheDelayHasNotPassed(uint64 waitS) external {
        start();
        skip(bound(waitS, 0, 2 days - 1));
        expectRefusal(abi.encodeWithSelector(IAnchorRegistry.RotatesLater.selector, logId, START_S + 2 days), next);
    }

    function test_RevertWhen_TheLogWasClosedMeanwhile() external {
        start();
        closeLog();
        skip(3 days);
        expectRefusal(abi.encodeWithSelector(IAnchorRegistry.NotPendingOperator.selector, logId, next), next);
        assertEq(registry.head(logId).operator, address(0));
    }

    function test_HandsTheLogOver() external {
        anchorTo(5);
        start();
        skip(2 days);
        vm.expectEmit(address(registry));
        emit IAnchorRegistry.OperatorRotated(logId, operator, next);
        vm.prank(next);
        registry.acceptRotation(logId);

        assertEq(
            abi.encode(registry.head(logId)),
            abi.encode(IAnchorRegistry.Head({operator: next, size: 5, timeS: uint32(START_S), count: 1}))
        );
        assertEq(registry.logInfo(logId).pendingOperator, address(0));
        assertEq(registry.logInfo(logId).rotatesAtS, 0);

        bytes32 root = rootOf(9);
        bytes32[] memory proof = consistencyOf(5, 9);
        vm.expectRevert(abi.encodeWithSelector(IAnchorRegistry.NotOperator.selector, logId, operator));
        vm.prank(operator);
        registry.anchor(logId, newest, 9, root, proof);

        vm.expectEmit(address(registry));
        emit IAnchorRegistry.Anchored(logId, next, 2, 9, root, uint64(block.timestamp));
        vm.prank(next);
        registry.anchor(logId, newest, 9, root, proof);
    }

    function start() private {
        vm.prank(coldKey);
        registry.rotate(logId, next);
    }

    function expectRefusal(bytes memory refusal, address caller) private {
        vm.expectRevert(refusal);
        vm.prank(caller);
        registry.acceptRotation(logId);
    }
}
