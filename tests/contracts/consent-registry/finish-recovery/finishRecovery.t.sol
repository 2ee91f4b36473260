// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {IControl} from "../../../../contracts/interfaces/IControl.sol";
import {ConsentTest} from "../../utils/ConsentTest.sol";
import {Documents} from "../../utils/Documents.sol";

contract FinishRecovery_Test is ConsentTest {
    function test_RevertWhen_NoRecoveryRuns() external {
        IControl.RecoveryPolicy memory policy = registerPolicy(1);
        expectNoneRuns();
        startRecovery(policy, next);
        vm.prank(subject);
        registry.veto(subject, NO_SIGNATURE);
        skip(DELAY_S);
        expectNoneRuns();

        startRecovery(policy, next);
        skip(DELAY_S);
        registry.finishRecovery(subject);
        expectNoneRuns();
    }

    function test_RevertWhen_TheDelayHasNotPassed() external {
        startRecovery(registerPolicy(1), next);
        skip(DELAY_S - 1);
        vm.expectRevert(abi.encodeWithSelector(IControl.FinishesLater.selector, subject, START_S + DELAY_S));
        vm.prank(next);
        registry.finishRecovery(subject);
    }

    function test_MovesControl() external {
        bytes32 permission = grant();
        vm.prank(subject);
        registry.revokeAll(subject);
        IControl.RecoveryPolicy memory policy = registerPolicy(1);
        startRecovery(policy, next);
        skip(DELAY_S + 3);
        vm.expectEmit(address(registry));
        emit IControl.ControlMoved(subject, subject, next, 1, START_S + DELAY_S + 3);
        vm.prank(stranger);
        registry.finishRecovery(subject);

        assertEq(registry.controllerOf(subject), next);
        assertEq(registry.controllerOf(next), next);
        assertNoRecovery(1);
        assertStanding(permission, START_S, 0);
        assertEq(registry.epochOf(subject), 1);
        assertEq(registry.recoveryOf(subject).policy, idOf(policy));
        assertEq(registry.recoveryOf(subject).epoch, 1);
    }

    function test_EndsAFreeze() external {
        startRecovery(registerPolicy(1), next);
        freeze();
        skip(DELAY_S);
        registry.finishRecovery(subject);
        assertFrozenUntil(0, 1);
        grant();
    }

    function test_EndsAnUnfreezing() external {
        startRecovery(registerPolicy(1), next);
        freeze();
        skip(DELAY_S);
        vm.prank(subject);
        registry.unfreeze(subject, NO_SIGNATURE);
        registry.finishRecovery(subject);
        assertFrozenUntil(0, 1);
        grant();
    }

    /// @dev Each by itself stands with its function; here a thief who lost control tries all of it.
    function test_LeavesTheOldControllerWithoutEffect() external {
        bytes32 permission = digestOf(STRUCT_HASH);
        bytes[4] memory calls = [
            abi.encodeCall(registry.grantBySig, (subject, STRUCT_HASH, signed(subjectKey, STRUCT_HASH))),
            abi.encodeCall(
                registry.revokeBySig, (subject, permission, signed(subjectKey, Documents.revoke(subject, permission)))
            ),
            abi.encodeCall(registry.revokeAllBySig, (subject, 0, signed(subjectKey, Documents.revokeAll(subject, 0)))),
            abi.encodeCall(registry.freeze, (subject, signed(subjectKey, Documents.freeze(subject, 1))))
        ];
        moveControl();
        for (uint256 i = 0; i < calls.length; ++i) {
            vm.prank(subject);
            (bool done, bytes memory answer) = address(registry).call(calls[i]);
            assertFalse(done);
            assertEq(bytes4(answer), IControl.InvalidSignature.selector);
        }
        assertStanding(permission, 0, 0);
        assertEq(registry.epochOf(subject), 0);
        assertFrozenUntil(0, 0);
    }

    function test_TheSameTrusteesMoveControlAgain() external {
        IControl.RecoveryPolicy memory policy = moveControl();
        startRecovery(policy, stranger);
        skip(DELAY_S);
        vm.expectEmit(address(registry));
        emit IControl.ControlMoved(subject, next, stranger, 2, START_S + 2 * DELAY_S);
        registry.finishRecovery(subject);
        assertEq(registry.controllerOf(subject), stranger);
        expectNotController(next);
        vm.prank(next);
        registry.grant(subject, STRUCT_HASH);
    }

    function expectNoneRuns() private {
        vm.expectRevert(abi.encodeWithSelector(IControl.NoRecoveryRuns.selector, subject));
        registry.finishRecovery(subject);
    }
}
