// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {IAnchorRegistry} from "../../../../contracts/interfaces/IAnchorRegistry.sol";
import {RegistryTest} from "../../utils/RegistryTest.sol";

contract Rotate_Test is RegistryTest {
    address private next = makeAddr("next operator");

    function test_RevertWhen_TheCallerIsNotTheColdKey() external {
        address[3] memory callers = [operator, stranger, next];
        for (uint256 i = 0; i < callers.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IAnchorRegistry.NotColdKey.selector, logId, callers[i]));
            vm.prank(callers[i]);
            registry.rotate(logId, next);
        }
    }

    function test_RevertWhen_TheLogWasNeverOpened() external {
        vm.expectRevert(abi.encodeWithSelector(IAnchorRegistry.NotColdKey.selector, bytes32("no log"), coldKey));
        vm.prank(coldKey);
        registry.rotate("no log", next);
    }

    function test_RevertWhen_NobodyRotatesWhatNobodyOpened() external {
        vm.expectRevert(abi.encodeWithSelector(IAnchorRegistry.NotColdKey.selector, bytes32("no log"), address(0)));
        vm.prank(address(0));
        registry.rotate("no log", next);
    }

    function test_RevertWhen_TheNewOperatorIsZero() external {
        vm.expectRevert(IAnchorRegistry.ZeroAddress.selector);
        vm.prank(coldKey);
        registry.rotate(logId, address(0));
    }

    function test_RevertWhen_TheLogIsClosed() external {
        closeLog();
        vm.expectRevert(abi.encodeWithSelector(IAnchorRegistry.LogClosed.selector, logId));
        vm.prank(coldKey);
        registry.rotate(logId, next);
    }

    function test_ReplacesAPendingRotation() external {
        vm.startPrank(coldKey);
        registry.rotate(logId, stranger);
        skip(1 days);
        registry.rotate(logId, next);
        vm.stopPrank();

        assertEq(registry.logInfo(logId).pendingOperator, next);
        assertEq(registry.logInfo(logId).rotatesAtS, START_S + 3 days);

        skip(2 days);
        vm.expectRevert(abi.encodeWithSelector(IAnchorRegistry.NotPendingOperator.selector, logId, stranger));
        vm.prank(stranger);
        registry.acceptRotation(logId);
    }

    function test_AnnouncesTheNextOperatorAndKeepsThePresentOne() external {
        vm.expectEmit(address(registry));
        emit IAnchorRegistry.RotationStarted(logId, operator, next, START_S + registry.ROTATION_DELAY_S());
        vm.prank(coldKey);
        registry.rotate(logId, next);

        assertEq(registry.logInfo(logId).pendingOperator, next);
        assertEq(registry.logInfo(logId).rotatesAtS, START_S + 2 days);
        anchorTo(5);
        assertEq(registry.head(logId).operator, operator);
    }
}
