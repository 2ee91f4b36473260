// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {IAnchorRegistry} from "../../../../contracts/interfaces/IAnchorRegistry.sol";
import {RegistryTest} from "../../utils/RegistryTest.sol";

contract LogInfo_Test is RegistryTest {
    IAnchorRegistry.LogInfo private expected;

    function test_IsZeroWhen_TheLogWasNeverOpened() external view {
        assertInfo("no log");
    }

    function test_IsWhatTheOpenerSaid() external {
        opened();
        assertInfo(logId);
        anchorTo(5);
        assertInfo(logId);
    }

    function test_TellsAPendingRotation() external {
        vm.prank(coldKey);
        registry.rotate(logId, stranger);
        opened();
        expected.pendingOperator = stranger;
        expected.rotatesAtS = START_S + 2 days;
        assertInfo(logId);
    }

    function test_TellsTheEndAndTheSuccessor() external {
        vm.prank(stranger);
        bytes32 successor = registry.open(ORIGIN, coldKey, NOTE_KEY, ANCHOR_WITHIN_S);
        vm.startPrank(coldKey);
        registry.rotate(logId, stranger);
        registry.close(logId);
        registry.succeed(logId, successor);
        vm.stopPrank();
        opened();
        expected.closed = true;
        expected.successor = successor;
        assertInfo(logId);
    }

    function opened() private {
        expected.coldKey = coldKey;
        expected.noteKey = NOTE_KEY;
        expected.anchorWithinS = ANCHOR_WITHIN_S;
    }

    function assertInfo(bytes32 log_) private view {
        assertEq(abi.encode(registry.logInfo(log_)), abi.encode(expected));
    }
}
