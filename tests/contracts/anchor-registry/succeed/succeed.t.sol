// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {IAnchorRegistry} from "../../../../contracts/interfaces/IAnchorRegistry.sol";
import {RegistryTest} from "../../utils/RegistryTest.sol";

contract Succeed_Test is RegistryTest {
    bytes32 private successor;

    function setUp() public override {
        super.setUp();
        successor = openAnother("log.example.org/people-2", coldKey);
    }

    function test_RevertWhen_TheCallerIsNotTheOldLogsColdKey() external {
        closeLog();
        bytes32 theirs = openAnother("theirs", stranger);
        expectRefusal(stranger, theirs, abi.encodeWithSelector(IAnchorRegistry.NotColdKey.selector, logId, stranger));
        expectRefusal(operator, successor, abi.encodeWithSelector(IAnchorRegistry.NotColdKey.selector, logId, operator));
    }

    function test_RevertWhen_TheNewLogIsAnothers() external {
        closeLog();
        bytes32 theirs = openAnother("theirs", stranger);
        expectRefusal(coldKey, theirs, abi.encodeWithSelector(IAnchorRegistry.NotColdKey.selector, theirs, coldKey));
    }

    function test_RevertWhen_TheNewLogWasNeverOpened() external {
        closeLog();
        bytes32 nothing = "no log";
        expectRefusal(coldKey, nothing, abi.encodeWithSelector(IAnchorRegistry.NotColdKey.selector, nothing, coldKey));
    }

    function test_RevertWhen_TheOldLogIsOpen() external {
        expectRefusal(coldKey, successor, abi.encodeWithSelector(IAnchorRegistry.LogNotClosed.selector, logId));
    }

    function test_RevertWhen_TheNewLogIsTheOldOne() external {
        closeLog();
        expectRefusal(coldKey, logId, abi.encodeWithSelector(IAnchorRegistry.LogClosed.selector, logId));
    }

    function test_RevertWhen_SuccessorsWouldRunInACircle() external {
        closeLog();
        vm.startPrank(coldKey);
        registry.succeed(logId, successor);
        registry.close(successor);
        vm.expectRevert(abi.encodeWithSelector(IAnchorRegistry.LogClosed.selector, logId));
        registry.succeed(successor, logId);
        vm.stopPrank();
    }

    function test_RevertWhen_ASuccessorIsNamedAlready() external {
        closeLog();
        vm.prank(coldKey);
        registry.succeed(logId, successor);
        bytes32 third = openAnother("third", coldKey);
        expectRefusal(
            coldKey, third, abi.encodeWithSelector(IAnchorRegistry.LogAlreadySucceeded.selector, logId, successor)
        );
    }

    function test_NamesTheSuccessor() external {
        closeLog();
        vm.expectEmit(address(registry));
        emit IAnchorRegistry.Succeeded(logId, successor);
        vm.prank(coldKey);
        registry.succeed(logId, successor);
        assertEq(registry.logInfo(logId).successor, successor);
        assertEq(registry.logInfo(successor).successor, 0);
    }

    function openAnother(string memory origin, address cold) private returns (bytes32) {
        vm.prank(operator);
        return registry.open(origin, cold, NOTE_KEY, ANCHOR_WITHIN_S);
    }

    function expectRefusal(address caller, bytes32 newLog, bytes memory refusal) private {
        vm.expectRevert(refusal);
        vm.prank(caller);
        registry.succeed(logId, newLog);
    }
}
