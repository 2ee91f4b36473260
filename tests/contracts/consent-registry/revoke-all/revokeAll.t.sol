// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {IConsentRegistry} from "../../../../contracts/interfaces/IConsentRegistry.sol";
import {ConsentTest} from "../../utils/ConsentTest.sol";

contract RevokeAll_Test is ConsentTest {
    function test_RevertWhen_TheCallerIsNotTheController() external {
        expectNotController(stranger);
        vm.prank(stranger);
        registry.revokeAll(subject);
    }

    function test_RevertWhen_ControlHasMoved() external {
        moveControl();
        expectNotController(subject);
        revokeAll();
        vm.prank(next);
        registry.revokeAll(subject);
        assertEq(registry.epochOf(subject), 1);
    }

    function test_AFreezeDoesNotStopIt() external {
        freeze();
        revokeAll();
        assertEq(registry.epochOf(subject), 1);
    }

    function test_StartsTheNextEpoch() external {
        bytes32 permission = grant();
        skip(3);
        vm.expectEmit(address(registry));
        emit IConsentRegistry.EpochStarted(subject, 1, START_S + 3);
        revokeAll();
        assertEq(registry.epochOf(subject), 1);
        assertEq(registry.epochOf(stranger), 0);
        assertStanding(permission, START_S, 0);
    }

    function test_WorksTwiceInOneSecond() external {
        revokeAll();
        revokeAll();
        assertEq(registry.epochOf(subject), 2);
        assertEq(registry.epochAt(subject, START_S), 2);
    }

    function revokeAll() private {
        vm.prank(subject);
        registry.revokeAll(subject);
    }
}
