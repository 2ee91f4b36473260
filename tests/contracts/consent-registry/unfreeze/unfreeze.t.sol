// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {IControl} from "../../../../contracts/interfaces/IControl.sol";
import {ConsentTest} from "../../utils/ConsentTest.sol";
import {Documents} from "../../utils/Documents.sol";

contract Unfreeze_Test is ConsentTest {
    function test_RevertWhen_ThereIsNothingToUnfreeze() external {
        expectNothing();
        freeze();
        unfreeze();
        expectNothing();
        skip(100 days);
        expectNothing();
    }

    function test_RevertWhen_TheControllerNeitherCallsNorSigned() external {
        IControl.RecoveryPolicy memory policy = registerPolicy(1);
        vm.prank(trustees[0]);
        registry.freezeAsTrustee(policy, trustees[0], NO_SIGNATURE);
        expectRefusal(stranger, NO_SIGNATURE);
        expectRefusal(trustees[0], NO_SIGNATURE);
        expectRefusal(relay, signed(trusteeKeys[0], Documents.unfreeze(subject, 1)));
        expectRefusal(relay, signed(subjectKey, Documents.unfreeze(subject, 0)));
        expectRefusal(relay, signed(subjectKey, Documents.unfreeze(subject, 2)));
        expectRefusal(relay, signed(subjectKey, Documents.unfreeze(stranger, 1)));
        expectRefusal(relay, signed(subjectKey, Documents.freeze(subject, 1)));
    }

    function test_RevertWhen_AnUnfreezeIsCarriedTwice() external {
        freeze();
        bytes memory signature = signed(subjectKey, Documents.unfreeze(subject, 1));
        registry.unfreeze(subject, signature);
        freeze();
        expectInvalid(subject, Documents.unfreeze(subject, 2));
        registry.unfreeze(subject, signature);
    }

    function test_TakesAWeekWithoutAPolicy() external {
        freeze();
        bytes memory signature = signed(subjectKey, Documents.unfreeze(subject, 1));
        vm.expectEmit(address(registry));
        emit IControl.UnfreezeStarted(subject, 1, START_S + 7 days);
        vm.prank(relay);
        registry.unfreeze(subject, signature);
        assertFrozenUntil(START_S + 7 days, 1);
        skip(7 days - 1);
        assertFrozenUntil(START_S + 7 days, 1);
        skip(1);
        assertFrozenUntil(0, 1);
    }

    function test_TakesTheDelayOfThePolicyInForce() external {
        IControl.RecoveryPolicy memory policy = policyOf(1);
        policy.delayS = 30 days;
        vm.prank(subject);
        registry.registerPolicy(policy, NO_SIGNATURE);
        // It waits, and its shorter delay with it.
        IControl.RecoveryPolicy memory later = policyOf(2);
        later.delayS = 2 days;
        vm.prank(subject);
        registry.registerPolicy(later, NO_SIGNATURE);

        vm.prank(trustees[0]);
        registry.freezeAsTrustee(policy, trustees[0], NO_SIGNATURE);
        unfreeze();
        assertFrozenUntil(START_S + 30 days, 1);
        skip(30 days);
        freeze();
        unfreeze();
        assertFrozenUntil(START_S + 32 days, 2);
    }

    function unfreeze() private {
        vm.prank(subject);
        registry.unfreeze(subject, NO_SIGNATURE);
    }

    function expectNothing() private {
        vm.expectRevert(abi.encodeWithSelector(IControl.NothingToUnfreeze.selector, subject));
        unfreeze();
    }

    function expectRefusal(address caller, bytes memory signature) private {
        expectInvalid(subject, Documents.unfreeze(subject, 1));
        vm.prank(caller);
        registry.unfreeze(subject, signature);
    }
}
