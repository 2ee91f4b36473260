// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {IAnchorRegistry} from "../../../../contracts/interfaces/IAnchorRegistry.sol";
import {RegistryTest} from "../../utils/RegistryTest.sol";

contract CancelRotation_Test is RegistryTest {
    address private next = makeAddr("next operator");

    function test_RevertWhen_TheCallerIsNotTheColdKey() external {
        start();
        address[3] memory callers = [operator, stranger, next];
        for (uint256 i = 0; i < callers.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IAnchorRegistry.NotColdKey.selector, logId, callers[i]));
            vm.prank(callers[i]);
            registry.cancelRotation(logId);
        }
    }

    function test_RevertWhen_NoRotationIsPending() external {
        vm.expectRevert(abi.encodeWithSelector(IAnchorRegistry.NoRotationPending.selector, logId));
        vm.prank(coldKey);
        registry.cancelRotation(logId);
    }

    function testFuzz_DropsThePendingRotation(uint32 waitS) external {
        start();
        skip(waitS);
        vm.expectEmit(address(registry));
        emit IAnchorRegistry.RotationCancelled(logId, operator, next);
        vm.prank(coldKey);
        registry.cancelRotation(logId);

        assertEq(registry.logInfo(logId).pendingOperator, address(0));
        assertEq(registry.logInfo(logId).rotatesAtS, 0);
        skip(3 days);
        vm.expectRevert(abi.encodeWithSelector(IAnchorRegistry.NotPendingOperator.selector, logId, next));
        vm.prank(next);
        registry.acceptRotation(logId);
    }

    function start() private {
        vm.prank(coldKey);
        registry.rotate(logId, next);
    }
}
