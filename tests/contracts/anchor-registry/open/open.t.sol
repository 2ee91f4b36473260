// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {IAnchorRegistry} from "../../../../contracts/interfaces/IAnchorRegistry.sol";
import {RegistryTest} from "../../utils/RegistryTest.sol";

contract Open_Test is RegistryTest {
    function test_RevertWhen_TheColdKeyIsZero() external {
        vm.expectRevert(IAnchorRegistry.ZeroAddress.selector);
        registry.open("another", address(0), NOTE_KEY, ANCHOR_WITHIN_S);
    }

    function test_RevertWhen_TheCallerOpenedThisOriginBefore() external {
        vm.expectRevert(abi.encodeWithSelector(IAnchorRegistry.LogAlreadyOpen.selector, logId));
        vm.prank(operator);
        registry.open(ORIGIN, stranger, NOTE_KEY, ANCHOR_WITHIN_S);
    }

    function test_RevertWhen_TheCallerClosedThisOriginBefore() external {
        closeLog();
        vm.expectRevert(abi.encodeWithSelector(IAnchorRegistry.LogAlreadyOpen.selector, logId));
        vm.prank(operator);
        registry.open(ORIGIN, coldKey, NOTE_KEY, ANCHOR_WITHIN_S);
    }

    function test_OpensAnotherLogWhen_AnotherCallerTakesTheSameOrigin() external {
        vm.prank(stranger);
        bytes32 other = registry.open(ORIGIN, coldKey, NOTE_KEY, ANCHOR_WITHIN_S);
        assertNotEq(other, logId);
        assertEq(registry.head(other).operator, stranger);
        assertEq(registry.head(logId).operator, operator);
    }

    function testFuzz_OpensALog(
        address opener,
        string calldata origin,
        address cold,
        bytes32 noteKey,
        uint32 anchorWithinS
    ) external {
        vm.assume(cold != address(0) && opener != operator);
        bytes32 id = registry.logOf(opener, origin);

        vm.expectEmit(address(registry));
        emit IAnchorRegistry.Opened(id, opener, cold, noteKey, anchorWithinS, origin);
        vm.prank(opener);
        assertEq(registry.open(origin, cold, noteKey, anchorWithinS), id);

        IAnchorRegistry.Head memory head = registry.head(id);
        assertEq(head.operator, opener);
        assertEq(head.size, 0);
        assertEq(head.timeS, 0);
        assertEq(head.count, 0);

        IAnchorRegistry.LogInfo memory info = registry.logInfo(id);
        assertEq(info.coldKey, cold);
        assertEq(info.noteKey, noteKey);
        assertEq(info.anchorWithinS, anchorWithinS);
        assertFalse(info.closed);
        assertEq(info.successor, 0);
        assertEq(info.pendingOperator, address(0));
        assertEq(info.rotatesAtS, 0);
    }
}
