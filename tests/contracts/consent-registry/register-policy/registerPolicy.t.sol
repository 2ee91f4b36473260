// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {ConsentRegistry} from "../../../../contracts/ConsentRegistry.sol";
import {IControl} from "../../../../contracts/interfaces/IControl.sol";
import {ConsentTest} from "../../utils/ConsentTest.sol";
import {Documents} from "../../utils/Documents.sol";

contract RegisterPolicy_Test is ConsentTest {
    /* FORM */

    function test_RevertWhen_TheNumberOfTrusteesIsOutOfRange() external {
        IControl.RecoveryPolicy memory policy = policyOf(1);
        policy.trustees = new address[](0);
        expectRefusal(policy, abi.encodeWithSelector(IControl.TrusteeCountOutOfRange.selector, 0));
        policy.trustees = manyTrustees(17);
        expectRefusal(policy, abi.encodeWithSelector(IControl.TrusteeCountOutOfRange.selector, 17));

        policy.trustees = manyTrustees(16);
        policy.needed = 16;
        register(policy);
        assertEq(registry.recoveryOf(subject).policy, idOf(policy));
    }

    function test_RevertWhen_ATrusteeIsRefused() external {
        IControl.RecoveryPolicy memory policy = policyOf(1);
        policy.trustees[0] = address(0);
        expectTrusteeRefused(policy, address(0));
        policy.trustees[0] = policy.trustees[1];
        expectTrusteeRefused(policy, policy.trustees[1]);
        policy.trustees[0] = policy.trustees[2];
        expectTrusteeRefused(policy, policy.trustees[1]);

        policy.trustees = new address[](1);
        policy.trustees[0] = subject;
        policy.needed = 1;
        expectTrusteeRefused(policy, subject);
    }

    function test_RevertWhen_NeededIsOutOfRange() external {
        IControl.RecoveryPolicy memory policy = policyOf(1);
        policy.needed = 0;
        expectRefusal(policy, abi.encodeWithSelector(IControl.NeededOutOfRange.selector, 0, 3));
        policy.needed = 4;
        expectRefusal(policy, abi.encodeWithSelector(IControl.NeededOutOfRange.selector, 4, 3));
        policy.needed = 3;
        register(policy);
    }

    function test_RevertWhen_TheDelayIsOutOfRange() external {
        IControl.RecoveryPolicy memory policy = policyOf(1);
        uint64[4] memory delaysS = [0, 2 days - 1, 90 days + 1, FOR_EVER];
        for (uint256 i = 0; i < delaysS.length; ++i) {
            policy.delayS = delaysS[i];
            expectRefusal(policy, abi.encodeWithSelector(IControl.DelayOutOfRange.selector, delaysS[i]));
        }
        policy.delayS = 2 days;
        register(policy);
        policy.delayS = 90 days;
        policy.epoch = 2;
        register(policy);
        skip(2 days);
        assertEq(registry.recoveryOf(subject).delayS, 90 days);
    }

    /* SIGNATURE */

    function test_RevertWhen_TheControllerNeitherCallsNorSigned() external {
        IControl.RecoveryPolicy memory policy = policyOf(1);
        expectInvalidPolicy(policy, NO_SIGNATURE);
        expectInvalidPolicy(policy, signedPolicy(strangerKey, policy));
        expectInvalidPolicy(policy, signedPolicy(trusteeKeys[0], policy));
    }

    function test_RevertWhen_TheSubjectIsZero() external {
        IControl.RecoveryPolicy memory policy = policyOf(1);
        policy.subject = address(0);
        bytes32 id = idOf(policy);
        vm.expectRevert(abi.encodeWithSelector(IControl.InvalidSignature.selector, address(0), id));
        vm.prank(address(0));
        registry.registerPolicy(policy, NO_SIGNATURE);
    }

    function test_RevertWhen_AFieldDiffersFromWhatWasSigned() external {
        bytes memory signature = signedPolicy(subjectKey, policyOf(1));
        for (uint256 i = 0; i < 6; ++i) {
            IControl.RecoveryPolicy memory policy = policyOf(1);
            if (i == 0) policy.statement = "Nobody may.";
            if (i == 1) policy.trustees[2] = address(type(uint160).max);
            if (i == 2) (policy.trustees = manyTrustees(2));
            if (i == 3) policy.needed = 1;
            if (i == 4) policy.delayS = 2 days;
            if (i == 5) policy.epoch = 2;
            expectInvalidPolicy(policy, signature);
        }
        IControl.RecoveryPolicy memory others = policyOf(1);
        others.subject = stranger;
        bytes32 id = idOf(others);
        vm.expectRevert(abi.encodeWithSelector(IControl.InvalidSignature.selector, stranger, id));
        registry.registerPolicy(others, signature);
    }

    function test_RevertWhen_ItWasSignedForElsewhere() external {
        IControl.RecoveryPolicy memory policy = policyOf(1);
        bytes32[2] memory elsewhere = [
            Documents.separator(1, address(registry)),
            Documents.separator(block.chainid, address(new ConsentRegistry()))
        ];
        for (uint256 i = 0; i < elsewhere.length; ++i) {
            bytes32 digest = Documents.digest(elsewhere[i], Documents.recoveryPolicy(policy));
            (uint8 v, bytes32 r, bytes32 s) = vm.sign(subjectKey, digest);
            expectInvalidPolicy(policy, abi.encodePacked(r, s, v));
        }
    }

    function test_RevertWhen_ControlHasMoved() external {
        IControl.RecoveryPolicy memory later = policyOf(2);
        bytes memory old = signedPolicy(subjectKey, later);
        moveControl();
        expectInvalidPolicy(later, old);
        expectInvalid(next, Documents.recoveryPolicy(later));
        vm.prank(subject);
        registry.registerPolicy(later, NO_SIGNATURE);

        registry.registerPolicy(later, signedPolicy(nextKey, later));
        assertEq(registry.recoveryOf(subject).waitingPolicy, idOf(later));
    }

    function test_RevertWhen_ItsIdWasRevokedBefore() external {
        IControl.RecoveryPolicy memory policy = policyOf(1);
        vm.prank(subject);
        registry.revoke(subject, idOf(policy));
        bytes memory refusal = abi.encodeWithSelector(IControl.PolicyRevoked.selector, subject, idOf(policy));
        expectRefusal(policy, refusal);
        bytes memory signature = signedPolicy(subjectKey, policy);
        vm.expectRevert(refusal);
        registry.registerPolicy(policy, signature);
    }

    /* FIRST */

    function test_RevertWhen_TheFirstEpochIsTooLarge() external {
        uint64 step = registry.EPOCH_STEP_MAX();
        expectRefusal(policyOf(step + 1), epochRefusal(step + 1, 0));
        expectRefusal(policyOf(FOR_EVER), epochRefusal(FOR_EVER, 0));
        register(policyOf(step));
    }

    function test_TheFirstIsInForceAtOnce() external {
        // A frozen subject's too: trustees are what a stolen key has to fear.
        freeze();
        IControl.RecoveryPolicy memory policy = policyOf(0);
        bytes memory signature = signedPolicy(subjectKey, policy);
        vm.expectEmit(address(registry));
        emit IControl.PolicyRegistered(subject, idOf(policy), 0, DELAY_S, START_S);
        vm.prank(relay);
        registry.registerPolicy(policy, signature);

        IControl.Recovery memory recovery = registry.recoveryOf(subject);
        assertEq(recovery.policy, idOf(policy));
        assertEq(recovery.delayS, DELAY_S);
        assertEq(recovery.epoch, 0);
        assertEq(recovery.waitingPolicy, 0);
        assertEq(registry.recoveryOf(stranger).policy, 0);
    }

    /* LATER */

    function test_RevertWhen_TheEpochIsNotAboveTheNewest() external {
        registerPolicy(0);
        expectRefusal(policyOf(0), epochRefusal(0, 0));
        registerPolicy(5);
        // Of the waiting one, not of the one in force.
        expectRefusal(policyOf(3), epochRefusal(3, 5));
        skip(DELAY_S);
        expectRefusal(policyOf(0), epochRefusal(0, 5));
        expectRefusal(policyOf(5), epochRefusal(5, 5));
        uint64 last = 5 + registry.EPOCH_STEP_MAX();
        expectRefusal(policyOf(last + 1), epochRefusal(last + 1, 5));
        register(policyOf(last));
    }

    function test_ALaterOneWaitsForTheDelayOfTheOneInForce() external {
        IControl.RecoveryPolicy memory first = registerPolicy(1);
        IControl.RecoveryPolicy memory second = policyOf(2);
        second.delayS = 2 days;
        skip(100);
        uint64 waitsUntilS = START_S + 100 + DELAY_S;
        vm.expectEmit(address(registry));
        emit IControl.PolicyRegistered(subject, idOf(second), 2, 2 days, waitsUntilS);
        register(second);

        vm.warp(waitsUntilS - 1);
        IControl.Recovery memory recovery = registry.recoveryOf(subject);
        assertEq(recovery.policy, idOf(first));
        assertEq(recovery.delayS, DELAY_S);
        assertEq(recovery.waitingPolicy, idOf(second));
        assertEq(recovery.waitsUntilS, waitsUntilS);
        assertEq(recovery.epoch, 2);

        vm.warp(waitsUntilS);
        recovery = registry.recoveryOf(subject);
        assertEq(recovery.policy, idOf(second));
        assertEq(recovery.delayS, 2 days);
        assertEq(recovery.waitingPolicy, 0);
        assertEq(recovery.waitsUntilS, 0);

        // The delay is now the second's.
        register(policyOf(3));
        recovery = registry.recoveryOf(subject);
        assertEq(recovery.policy, idOf(second));
        assertEq(recovery.waitingPolicy, idOf(policyOf(3)));
        assertEq(recovery.delayS, 2 days);
        assertEq(recovery.waitsUntilS, waitsUntilS + 2 days);
    }

    function test_ReplacesOneThatWaits() external {
        IControl.RecoveryPolicy memory first = registerPolicy(1);
        IControl.RecoveryPolicy memory thiefs = policyOf(2);
        thiefs.delayS = 2 days;
        register(thiefs);
        skip(DELAY_S - 1);
        IControl.RecoveryPolicy memory third = registerPolicy(3);
        skip(DELAY_S - 1);
        assertEq(registry.recoveryOf(subject).policy, idOf(first));
        skip(1);
        assertEq(registry.recoveryOf(subject).policy, idOf(third));
    }

    /* RECOVERY */

    function test_EndsARecoveryUnderTheOlderOne() external {
        startRecovery(registerPolicy(1), next);
        skip(DELAY_S - 1);
        vm.expectEmit(address(registry));
        emit IControl.RecoveryVetoed(subject, next, 1);
        registerPolicy(2);
        assertNoRecovery(1);
    }

    function test_RevertWhen_TheTimeToVetoIsOver() external {
        startRecovery(registerPolicy(1), next);
        skip(DELAY_S);
        expectRefusal(policyOf(2), abi.encodeWithSelector(IControl.RecoveryDue.selector, subject, START_S + DELAY_S));
    }

    function test_StaysInForceWhenItsIdIsRevokedLater() external {
        IControl.RecoveryPolicy memory policy = registerPolicy(1);
        vm.prank(subject);
        registry.revoke(subject, idOf(policy));
        startRecovery(policy, next);
        assertEq(registry.recoveryOf(subject).newController, next);
    }

    function register(IControl.RecoveryPolicy memory policy) private {
        vm.prank(subject);
        registry.registerPolicy(policy, NO_SIGNATURE);
    }

    function expectRefusal(IControl.RecoveryPolicy memory policy, bytes memory refusal) private {
        vm.expectRevert(refusal);
        register(policy);
    }

    function expectTrusteeRefused(IControl.RecoveryPolicy memory policy, address trustee) private {
        expectRefusal(policy, abi.encodeWithSelector(IControl.TrusteeRefused.selector, trustee));
    }

    function expectInvalidPolicy(IControl.RecoveryPolicy memory policy, bytes memory signature) private {
        expectInvalid(registry.controllerOf(subject), Documents.recoveryPolicy(policy));
        vm.prank(relay);
        registry.registerPolicy(policy, signature);
    }

    function epochRefusal(uint64 epoch, uint64 newest) private view returns (bytes memory) {
        return abi.encodeWithSelector(IControl.EpochOutOfRange.selector, subject, epoch, newest);
    }

    function manyTrustees(uint160 count) private pure returns (address[] memory many) {
        many = new address[](count);
        for (uint160 i = 0; i < count; ++i) {
            many[i] = address(i + 1);
        }
    }
}
