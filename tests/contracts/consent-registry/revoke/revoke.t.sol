// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {IConsentRegistry} from "../../../../contracts/interfaces/IConsentRegistry.sol";
import {IControl} from "../../../../contracts/interfaces/IControl.sol";
import {ConsentTest} from "../../utils/ConsentTest.sol";

contract Revoke_Test is ConsentTest {
    bytes32 private constant PERMISSION = keccak256("any id");

    function test_RevertWhen_TheCallerIsNotTheController() external {
        registerPolicy(1);
        address[2] memory callers = [stranger, trustees[0]];
        for (uint256 i = 0; i < callers.length; ++i) {
            expectNotController(callers[i]);
            vm.prank(callers[i]);
            registry.revoke(subject, PERMISSION);
        }
    }

    function test_RevertWhen_NobodyRevokesForNobody() external {
        vm.expectRevert(abi.encodeWithSelector(IControl.NotController.selector, address(0), address(0)));
        vm.prank(address(0));
        registry.revoke(address(0), PERMISSION);
    }

    function test_RevertWhen_ControlHasMoved() external {
        moveControl();
        expectNotController(subject);
        revoke();
        vm.prank(next);
        registry.revoke(subject, PERMISSION);
        assertStanding(PERMISSION, 0, START_S + DELAY_S);
    }

    function test_EndsAGrantedOne() external {
        bytes32 permission = grant();
        skip(5);
        vm.expectEmit(address(registry));
        emit IConsentRegistry.Revoked(subject, permission, START_S + 5);
        vm.prank(subject);
        registry.revoke(subject, permission);
        assertStanding(permission, START_S, START_S + 5);
        assertStanding(stranger, permission, 0, 0);
    }

    function test_EndsOneThatWasNeverSeen() external {
        vm.expectEmit(address(registry));
        emit IConsentRegistry.Revoked(subject, PERMISSION, START_S);
        revoke();
        assertStanding(PERMISSION, 0, START_S);
    }

    function test_ASecondTimeChangesNothing() external {
        revoke();
        skip(1 days);
        vm.recordLogs();
        revoke();
        assertEq(vm.getRecordedLogs().length, 0);
        assertStanding(PERMISSION, 0, START_S);
    }

    function test_AFreezeDoesNotStopIt() external {
        bytes32 permission = grant();
        freeze();
        vm.prank(subject);
        registry.revoke(subject, permission);
        assertStanding(permission, START_S, START_S);
    }

    function test_ARecoveryDoesNotStopIt() external {
        startRecovery(registerPolicy(1), next);
        revoke();
        assertStanding(PERMISSION, 0, START_S);

        skip(DELAY_S + 1 days);
        vm.prank(subject);
        registry.revoke(subject, "another");
        assertStanding("another", 0, START_S + DELAY_S + 1 days);
    }

    function revoke() private {
        vm.prank(subject);
        registry.revoke(subject, PERMISSION);
    }
}
