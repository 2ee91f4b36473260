// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {IAnchorRegistry} from "../../../../contracts/interfaces/IAnchorRegistry.sol";
import {RegistryTest} from "../../utils/RegistryTest.sol";

contract Close_Test is RegistryTest {
    function test_RevertWhen_TheCallerIsNotTheColdKey() external {
        address[2] memory callers = [operator, stranger];
        for (uint256 i = 0; i < callers.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IAnchorRegistry.NotColdKey.selector, logId, callers[i]));
            vm.prank(callers[i]);
            registry.close(logId);
        }
    }

    function test_RevertWhen_TheLogIsClosed() external {
        closeLog();
        vm.expectRevert(abi.encodeWithSelector(IAnchorRegistry.LogClosed.selector, logId));
        closeLog();
    }

    function test_EndsTheLogForEver() external {
        IAnchorRegistry.Anchor memory last = anchorTo(5);
        vm.prank(coldKey);
        registry.rotate(logId, stranger);

        vm.expectEmit(address(registry));
        emit IAnchorRegistry.Closed(logId, operator, 1, 5);
        closeLog();

        assertTrue(registry.logInfo(logId).closed);
        assertTrue(registry.living(logId, last));
        skip(1000 days);
        bytes32 root = rootOf(9);
        bytes32[] memory proof = consistencyOf(5, 9);
        address[4] memory callers = [operator, coldKey, stranger, address(0)];
        for (uint256 i = 0; i < callers.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IAnchorRegistry.LogClosed.selector, logId));
            vm.prank(callers[i]);
            registry.anchor(logId, last, 9, root, proof);
            vm.expectRevert(abi.encodeWithSelector(IAnchorRegistry.NotPendingOperator.selector, logId, callers[i]));
            vm.prank(callers[i]);
            registry.acceptRotation(logId);
        }
    }
}
