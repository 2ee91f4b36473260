// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {IControl} from "../../../../contracts/interfaces/IControl.sol";
import {ConsentTest} from "../../utils/ConsentTest.sol";
import {Documents} from "../../utils/Documents.sol";

contract Veto_Test is ConsentTest {
    IControl.RecoveryPolicy private policy;

    function setUp() public override {
        super.setUp();
        policy = registerPolicy(1);
    }

    function test_RevertWhen_NoRecoveryRuns() external {
        bytes memory refusal = abi.encodeWithSelector(IControl.NoRecoveryRuns.selector, subject);
        vm.startPrank(subject);
        vm.expectRevert(refusal);
        registry.veto(subject, NO_SIGNATURE);
        vm.stopPrank();

        startRecovery(policy, next);
        vm.startPrank(subject);
        registry.veto(subject, NO_SIGNATURE);
        vm.expectRevert(refusal);
        registry.veto(subject, NO_SIGNATURE);
        vm.stopPrank();
    }

    function test_RevertWhen_TheDelayHasPassed() external {
        startRecovery(policy, next);
        skip(DELAY_S);
        vm.expectRevert(abi.encodeWithSelector(IControl.RecoveryDue.selector, subject, START_S + DELAY_S));
        vm.prank(subject);
        registry.veto(subject, NO_SIGNATURE);
    }

    function test_RevertWhen_TheControllerNeitherCallsNorSigned() external {
        startRecovery(policy, next);
        expectRefusal(relay, NO_SIGNATURE);
        expectRefusal(trustees[0], NO_SIGNATURE);
        expectRefusal(next, NO_SIGNATURE);
        expectRefusal(relay, signed(nextKey, Documents.veto(subject, 1)));
        expectRefusal(relay, signed(trusteeKeys[0], Documents.veto(subject, 1)));
        expectRefusal(relay, signed(subjectKey, Documents.veto(subject, 0)));
        expectRefusal(relay, signed(subjectKey, Documents.veto(subject, 2)));
        expectRefusal(relay, signed(subjectKey, Documents.veto(stranger, 1)));
    }

    function test_RevertWhen_AVetoIsCarriedTwice() external {
        startRecovery(policy, next);
        bytes memory signature = signed(subjectKey, Documents.veto(subject, 1));
        registry.veto(subject, signature);
        startRecovery(policy, next);
        expectInvalid(subject, Documents.veto(subject, 2));
        registry.veto(subject, signature);
    }

    function test_RevertWhen_AnEarlierControllerVetoes() external {
        bytes memory kept = signed(subjectKey, Documents.veto(subject, 2));
        startRecovery(policy, next);
        skip(DELAY_S);
        registry.finishRecovery(subject);
        startRecovery(policy, stranger);
        bytes32 structHash = Documents.veto(subject, 2);
        expectInvalid(next, structHash);
        registry.veto(subject, kept);
        expectInvalid(next, structHash);
        vm.prank(subject);
        registry.veto(subject, NO_SIGNATURE);

        registry.veto(subject, signed(nextKey, structHash));
        assertNoRecovery(2);
    }

    function test_EndsTheRecoveryUpToTheLastSecond() external {
        startRecovery(policy, next);
        skip(DELAY_S - 1);
        bytes memory signature = signed(subjectKey, Documents.veto(subject, 1));
        vm.expectEmit(address(registry));
        emit IControl.RecoveryVetoed(subject, next, 1);
        vm.prank(relay);
        registry.veto(subject, signature);
        assertNoRecovery(1);
        assertEq(registry.controllerOf(subject), subject);

        // Trustees and a thief can go on like this for ever: recovery heals loss, not theft.
        startRecovery(policy, next);
        vm.prank(subject);
        registry.veto(subject, NO_SIGNATURE);
        assertNoRecovery(2);
    }

    function expectRefusal(address caller, bytes memory signature) private {
        expectInvalid(subject, Documents.veto(subject, 1));
        vm.prank(caller);
        registry.veto(subject, signature);
    }
}
