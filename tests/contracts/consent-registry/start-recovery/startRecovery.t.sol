// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {IControl} from "../../../../contracts/interfaces/IControl.sol";
import {ConsentTest} from "../../utils/ConsentTest.sol";
import {Documents} from "../../utils/Documents.sol";
import {SharedWallet} from "../../utils/Wallets.sol";

contract StartRecovery_Test is ConsentTest {
    function test_RevertWhen_TheControllerDidNotSignThePolicy() external {
        IControl.RecoveryPolicy memory policy = policyOf(1);
        bytes memory signature = signedPolicy(trusteeKeys[0], policy);
        IControl.Approval[] memory approvals = approvalsOf(policy, next, 1);
        expectInvalid(subject, Documents.recoveryPolicy(policy));
        registry.startRecovery(policy, signature, next, approvals);
    }

    function test_RegistersAPolicyOnTheWay() external {
        IControl.RecoveryPolicy memory policy = policyOf(3);
        bytes memory signature = signedPolicy(subjectKey, policy);
        IControl.Approval[] memory approvals = approvalsOf(policy, next, 1);
        vm.expectEmit(address(registry));
        emit IControl.PolicyRegistered(subject, idOf(policy), 3, DELAY_S, START_S);
        vm.expectEmit(address(registry));
        emit IControl.RecoveryStarted(subject, idOf(policy), next, 1, START_S + DELAY_S);
        vm.prank(relay);
        registry.startRecovery(policy, signature, next, approvals);
        assertEq(registry.recoveryOf(subject).policy, idOf(policy));
        assertEq(registry.recoveryOf(subject).epoch, 3);
    }

    function test_RevertWhen_AnotherPolicyComesAlong() external {
        registerPolicy(2);
        expectNotInForce(policyOf(1));
        expectNotInForce(policyOf(3));
        registerPolicy(3);
        expectNotInForce(policyOf(3));
        skip(DELAY_S);
        expectNotInForce(policyOf(2));
        startRecovery(policyOf(3), next);
    }

    function test_RevertWhen_APolicyWaits() external {
        IControl.RecoveryPolicy memory first = registerPolicy(1);
        IControl.RecoveryPolicy memory second = registerPolicy(2);
        uint64 waitsUntilS = START_S + DELAY_S;
        vm.warp(waitsUntilS - 1);
        expectRefusal(first, abi.encodeWithSelector(IControl.PolicyWaits.selector, subject, idOf(second), waitsUntilS));
        vm.warp(waitsUntilS);
        startRecovery(second, next);
    }

    function test_RevertWhen_ARecoveryRuns() external {
        IControl.RecoveryPolicy memory policy = registerPolicy(1);
        startRecovery(policy, stranger);
        bytes memory refusal = abi.encodeWithSelector(IControl.RecoveryRuns.selector, subject, 1);
        expectRefusal(policy, refusal);
        skip(DELAY_S);
        expectRefusal(policy, refusal);
        registry.finishRecovery(subject);
        assertEq(registry.controllerOf(subject), stranger);
    }

    function test_RevertWhen_TheNewControllerIsRefused() external {
        IControl.RecoveryPolicy memory policy = registerPolicy(1);
        IControl.Approval[] memory approvals = approvalsOf(policy, address(0), 1);
        vm.expectRevert(IControl.ZeroAddress.selector);
        registry.startRecovery(policy, NO_SIGNATURE, address(0), approvals);
        expectControllerRefused(policy, subject, 1);

        startRecovery(policy, next);
        skip(DELAY_S);
        registry.finishRecovery(subject);
        // The subject's own key signed much before it was lost: none of it may come to life again.
        expectControllerRefused(policy, next, 2);
        expectControllerRefused(policy, subject, 2);
        startRecovery(policy, stranger);
        skip(DELAY_S);
        registry.finishRecovery(subject);
        expectControllerRefused(policy, next, 3);
        expectControllerRefused(policy, subject, 3);
    }

    function test_RevertWhen_ThereAreTooFewApprovals() external {
        IControl.RecoveryPolicy memory policy = registerPolicy(1);
        IControl.Approval[] memory approvals = new IControl.Approval[](1);
        approvals[0] = approvalOf(1, policy, next, 1);
        expectRefusal(policy, approvals, abi.encodeWithSelector(IControl.TooFewApprovals.selector, 1, 2));
        approvals = new IControl.Approval[](0);
        expectRefusal(policy, approvals, abi.encodeWithSelector(IControl.TooFewApprovals.selector, 0, 2));
    }

    function test_RevertWhen_OneApprovalComesTwice() external {
        IControl.RecoveryPolicy memory policy = registerPolicy(1);
        IControl.Approval[] memory approvals = new IControl.Approval[](2);
        for (uint256 i = 0; i < 3; ++i) {
            approvals[0] = approvalOf(i, policy, next, 1);
            approvals[1] = approvals[0];
            expectNotTrustee(policy, approvals, trustees[i]);
        }
        // Nor as caller and by signature.
        expectNotTrusteeFrom(trustees[2], policy, approvals, trustees[2]);
    }

    function test_RevertWhen_SomebodyElseApproves() external {
        IControl.RecoveryPolicy memory policy = registerPolicy(1);
        bytes32 structHash = Documents.recoveryApproval(subject, idOf(policy), next, 1, EXPIRES_AT);
        IControl.Approval[] memory approvals = approvalsOf(policy, next, 1);

        approvals[1] = IControl.Approval(stranger, EXPIRES_AT, signed(strangerKey, structHash));
        expectNotTrustee(policy, approvals, stranger);
        expectNotTrusteeFrom(stranger, policy, approvals, stranger);
        approvals[1] = IControl.Approval(subject, EXPIRES_AT, signed(subjectKey, structHash));
        expectNotTrustee(policy, approvals, subject);
        expectNotTrusteeFrom(subject, policy, approvals, subject);
        // More than needed do not hide one that is not.
        approvals = new IControl.Approval[](3);
        approvals[0] = approvalOf(0, policy, next, 1);
        approvals[1] = approvalOf(1, policy, next, 1);
        approvals[2] = IControl.Approval(address(0), EXPIRES_AT, NO_SIGNATURE);
        expectNotTrustee(policy, approvals, address(0));

        approvals = approvalsOf(policy, next, 1);
        (approvals[0], approvals[1]) = (approvals[1], approvals[0]);
        expectNotTrustee(policy, approvals, trustees[0]);
    }

    function test_RevertWhen_AnApprovalIsNotItsTrusteesSignature() external {
        IControl.RecoveryPolicy memory policy = registerPolicy(1);
        bytes32 id = idOf(policy);
        bytes32 asked = Documents.recoveryApproval(subject, id, next, 1, EXPIRES_AT);
        bytes32[6] memory others = [
            Documents.recoveryApproval(stranger, id, next, 1, EXPIRES_AT),
            Documents.recoveryApproval(subject, idOf(policyOf(2)), next, 1, EXPIRES_AT),
            Documents.recoveryApproval(subject, id, stranger, 1, EXPIRES_AT),
            Documents.recoveryApproval(subject, id, next, 2, EXPIRES_AT),
            Documents.recoveryApproval(subject, id, next, 0, EXPIRES_AT),
            Documents.recoveryApproval(subject, id, next, 1, EXPIRES_AT + 1)
        ];
        IControl.Approval[] memory approvals = approvalsOf(policy, next, 1);
        bytes memory refusal = abi.encodeWithSelector(IControl.InvalidSignature.selector, trustees[2], digestOf(asked));
        for (uint256 i = 0; i < others.length; ++i) {
            approvals[1].signature = signed(trusteeKeys[2], others[i]);
            expectRefusal(policy, approvals, refusal);
        }
        approvals[1].signature = signed(trusteeKeys[0], asked);
        expectRefusal(policy, approvals, refusal);
        approvals[1].signature = NO_SIGNATURE;
        expectRefusal(policy, approvals, refusal);
        // A trustee who calls speaks for no other.
        vm.expectRevert(refusal);
        vm.prank(trustees[0]);
        registry.startRecovery(policy, NO_SIGNATURE, next, approvals);

        (uint8 v, bytes32 r, bytes32 s) =
            vm.sign(trusteeKeys[2], Documents.digest(Documents.separator(1, address(registry)), asked));
        approvals[1].signature = abi.encodePacked(r, s, v);
        expectRefusal(policy, approvals, refusal);
    }

    function test_RevertWhen_AnApprovalHasExpired() external {
        IControl.RecoveryPolicy memory policy = registerPolicy(1);
        IControl.Approval[] memory approvals = approvalsOf(policy, next, 1);
        vm.warp(EXPIRES_AT);
        bytes memory refusal = abi.encodeWithSelector(IControl.ApprovalExpired.selector, trustees[0], EXPIRES_AT);
        expectRefusal(policy, approvals, refusal);

        // The caller's own word is today's.
        approvals[0].expiresAt = 0;
        refusal = abi.encodeWithSelector(IControl.ApprovalExpired.selector, trustees[2], EXPIRES_AT);
        vm.expectRevert(refusal);
        vm.prank(trustees[0]);
        registry.startRecovery(policy, NO_SIGNATURE, next, approvals);

        vm.warp(EXPIRES_AT - 1);
        vm.prank(trustees[0]);
        registry.startRecovery(policy, NO_SIGNATURE, next, approvals);
    }

    function test_RevertWhen_AnApprovalIsOfAnotherRound() external {
        IControl.RecoveryPolicy memory policy = registerPolicy(1);
        IControl.Approval[] memory approvals = approvalsOf(policy, next, 1);
        registry.startRecovery(policy, NO_SIGNATURE, next, approvals);
        vm.prank(subject);
        registry.veto(subject, NO_SIGNATURE);
        expectStale(policy, approvals, 2);

        startRecovery(policy, next);
        skip(DELAY_S);
        registry.finishRecovery(subject);
        approvals = approvalsOf(policy, stranger, 2);
        bytes32 asked = Documents.recoveryApproval(subject, idOf(policy), stranger, 3, EXPIRES_AT);
        expectInvalid(trustees[0], asked);
        registry.startRecovery(policy, NO_SIGNATURE, stranger, approvals);
    }

    function test_RunsForThePolicysDelay() external {
        IControl.RecoveryPolicy memory policy = registerPolicy(1);
        // A freeze does not stop it.
        freeze();
        skip(10);
        IControl.Approval[] memory approvals = approvalsOf(policy, next, 1);
        approvals[1].signature = NO_SIGNATURE;
        vm.expectEmit(address(registry));
        emit IControl.RecoveryStarted(subject, idOf(policy), next, 1, START_S + 10 + DELAY_S);
        vm.prank(trustees[2]);
        registry.startRecovery(policy, NO_SIGNATURE, next, approvals);

        IControl.Recovery memory recovery = registry.recoveryOf(subject);
        assertEq(recovery.newController, next);
        assertEq(recovery.finishesAtS, START_S + 10 + DELAY_S);
        assertEq(recovery.rounds, 1);
        assertEq(registry.controllerOf(subject), subject);
        assertEq(registry.recoveryOf(stranger).rounds, 0);
    }

    function test_TakesMoreThanNeeded() external {
        IControl.RecoveryPolicy memory policy = registerPolicy(1);
        IControl.Approval[] memory approvals = new IControl.Approval[](3);
        for (uint256 i = 0; i < 3; ++i) {
            approvals[i] = approvalOf(i, policy, next, 1);
        }
        registry.startRecovery(policy, NO_SIGNATURE, next, approvals);
        assertEq(registry.recoveryOf(subject).newController, next);
    }

    function test_TakesAWalletsApproval() external {
        address[] memory owners = new address[](1);
        owners[0] = stranger;
        SharedWallet wallet = new SharedWallet(owners, 1);
        IControl.RecoveryPolicy memory policy = policyOf(1);
        policy.trustees = new address[](1);
        policy.trustees[0] = address(wallet);
        policy.needed = 1;
        vm.prank(subject);
        registry.registerPolicy(policy, NO_SIGNATURE);

        bytes32 asked = Documents.recoveryApproval(subject, idOf(policy), next, 1, EXPIRES_AT);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(strangerKey, wallet.messageOf(digestOf(asked)));
        IControl.Approval[] memory approvals = new IControl.Approval[](1);
        approvals[0] = IControl.Approval(address(wallet), EXPIRES_AT, abi.encodePacked(r, s, v));
        registry.startRecovery(policy, NO_SIGNATURE, next, approvals);
        assertEq(registry.recoveryOf(subject).newController, next);
    }

    function test_RunsForTheDelayOfAPolicyThatCameIntoForceByItself() external {
        registerPolicy(1);
        IControl.RecoveryPolicy memory second = policyOf(2);
        second.delayS = 30 days;
        vm.prank(subject);
        registry.registerPolicy(second, NO_SIGNATURE);
        skip(DELAY_S);
        startRecovery(second, next);
        assertEq(registry.recoveryOf(subject).finishesAtS, START_S + DELAY_S + 30 days);
    }

    function expectNotInForce(IControl.RecoveryPolicy memory policy) private {
        expectRefusal(policy, abi.encodeWithSelector(IControl.PolicyNotInForce.selector, subject, idOf(policy)));
    }

    function expectControllerRefused(IControl.RecoveryPolicy memory policy, address refused, uint64 round) private {
        IControl.Approval[] memory approvals = approvalsOf(policy, refused, round);
        vm.expectRevert(abi.encodeWithSelector(IControl.ControllerRefused.selector, subject, refused));
        registry.startRecovery(policy, NO_SIGNATURE, refused, approvals);
    }

    function expectNotTrustee(
        IControl.RecoveryPolicy memory policy,
        IControl.Approval[] memory approvals,
        address trustee
    ) private {
        expectNotTrusteeFrom(relay, policy, approvals, trustee);
    }

    function expectNotTrusteeFrom(
        address caller,
        IControl.RecoveryPolicy memory policy,
        IControl.Approval[] memory approvals,
        address trustee
    ) private {
        vm.expectRevert(abi.encodeWithSelector(IControl.NotTrustee.selector, idOf(policy), trustee));
        vm.prank(caller);
        registry.startRecovery(policy, NO_SIGNATURE, next, approvals);
    }

    function expectStale(IControl.RecoveryPolicy memory policy, IControl.Approval[] memory approvals, uint64 round)
        private
    {
        expectInvalid(trustees[0], Documents.recoveryApproval(subject, idOf(policy), next, round, EXPIRES_AT));
        registry.startRecovery(policy, NO_SIGNATURE, next, approvals);
    }

    /// @dev Signed by the controller and approved by enough: refused for this reason alone.
    function expectRefusal(IControl.RecoveryPolicy memory policy, bytes memory refusal) private {
        bytes memory signature = signedPolicy(subjectKey, policy);
        uint64 round = registry.recoveryOf(subject).rounds + 1;
        IControl.Approval[] memory approvals = approvalsOf(policy, next, round);
        vm.expectRevert(refusal);
        vm.prank(relay);
        registry.startRecovery(policy, signature, next, approvals);
    }

    function expectRefusal(
        IControl.RecoveryPolicy memory policy,
        IControl.Approval[] memory approvals,
        bytes memory refusal
    ) private {
        vm.expectRevert(refusal);
        vm.prank(relay);
        registry.startRecovery(policy, NO_SIGNATURE, next, approvals);
    }
}
