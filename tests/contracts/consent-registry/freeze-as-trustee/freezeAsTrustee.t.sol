// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {IControl} from "../../../../contracts/interfaces/IControl.sol";
import {ConsentTest} from "../../utils/ConsentTest.sol";
import {Documents} from "../../utils/Documents.sol";

contract FreezeAsTrustee_Test is ConsentTest {
    function test_RevertWhen_ThePolicyIsNotInForce() external {
        expectNotInForce(policyOf(1));
        registerPolicy(1);
        registerPolicy(2);
        expectNotInForce(policyOf(2));
        skip(DELAY_S);
        expectNotInForce(policyOf(1));
        IControl.RecoveryPolicy memory anothers = policyOf(2);
        anothers.subject = stranger;
        expectNotInForce(anothers);
    }

    function test_RevertWhen_ItIsNotATrustee() external {
        IControl.RecoveryPolicy memory policy = registerPolicy(1);
        address[3] memory others = [stranger, subject, address(0)];
        for (uint256 i = 0; i < others.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IControl.NotTrustee.selector, idOf(policy), others[i]));
            vm.prank(others[i]);
            registry.freezeAsTrustee(policy, others[i], NO_SIGNATURE);
        }
    }

    function test_RevertWhen_TheTrusteeNeitherCallsNorSigned() external {
        registerPolicy(1);
        expectRefusal(relay, NO_SIGNATURE);
        expectRefusal(subject, NO_SIGNATURE);
        expectRefusal(trustees[0], signed(trusteeKeys[0], Documents.freeze(subject, 1)));
        expectRefusal(relay, signed(subjectKey, Documents.freeze(subject, 1)));
        expectRefusal(relay, signed(trusteeKeys[1], Documents.freeze(subject, 2)));
        expectRefusal(relay, signed(trusteeKeys[1], Documents.freeze(stranger, 1)));
    }

    function test_RevertWhen_TheSubjectIsFrozen() external {
        IControl.RecoveryPolicy memory policy = registerPolicy(1);
        freezeBy(policy, 0);
        vm.expectRevert(abi.encodeWithSelector(IControl.AlreadyFrozen.selector, subject));
        vm.prank(trustees[1]);
        registry.freezeAsTrustee(policy, trustees[1], NO_SIGNATURE);
    }

    function test_StopsPermitting() external {
        IControl.RecoveryPolicy memory policy = registerPolicy(1);
        for (uint256 i = 0; i < 3; ++i) {
            uint256 state = vm.snapshotState();
            bytes memory signature = signed(trusteeKeys[i], Documents.freeze(subject, 1));
            vm.expectEmit(address(registry));
            emit IControl.Frozen(subject, trustees[i], 1);
            vm.prank(relay);
            registry.freezeAsTrustee(policy, trustees[i], signature);
            assertFrozenUntil(FOR_EVER, 1);
            vm.revertToState(state);
        }
    }

    function test_StopsAnUnfreezing() external {
        IControl.RecoveryPolicy memory policy = registerPolicy(1);
        freezeBy(policy, 0);
        // A thief of the key:
        vm.prank(subject);
        registry.unfreeze(subject, NO_SIGNATURE);
        skip(DELAY_S - 1);
        freezeBy(policy, 1);
        skip(100 days);
        assertFrozenUntil(FOR_EVER, 2);
    }

    function test_AMaliciousTrusteeIsReplaced() external {
        IControl.RecoveryPolicy memory policy = registerPolicy(1);
        freezeBy(policy, 0);
        IControl.RecoveryPolicy memory later = policyOf(2);
        later.trustees = new address[](1);
        later.trustees[0] = trustees[1];
        later.needed = 1;
        vm.prank(subject);
        registry.registerPolicy(later, NO_SIGNATURE);
        skip(DELAY_S);
        vm.prank(subject);
        registry.unfreeze(subject, NO_SIGNATURE);
        expectNotInForce(policy);
        skip(DELAY_S);
        grant();
    }

    function freezeBy(IControl.RecoveryPolicy memory policy, uint256 which) private {
        vm.prank(trustees[which]);
        registry.freezeAsTrustee(policy, trustees[which], NO_SIGNATURE);
    }

    function expectNotInForce(IControl.RecoveryPolicy memory policy) private {
        vm.expectRevert(abi.encodeWithSelector(IControl.PolicyNotInForce.selector, policy.subject, idOf(policy)));
        vm.prank(trustees[0]);
        registry.freezeAsTrustee(policy, trustees[0], NO_SIGNATURE);
    }

    /// @dev As the second trustee.
    function expectRefusal(address caller, bytes memory signature) private {
        IControl.RecoveryPolicy memory policy = policyOf(1);
        expectInvalid(trustees[1], Documents.freeze(subject, 1));
        vm.prank(caller);
        registry.freezeAsTrustee(policy, trustees[1], signature);
    }
}
