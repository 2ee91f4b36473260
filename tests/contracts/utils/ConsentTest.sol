// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {ConsentRegistry} from "../../../contracts/ConsentRegistry.sol";
import {IControl} from "../../../contracts/interfaces/IControl.sol";
import {Documents} from "./Documents.sol";
import {Test} from "forge-std/Test.sol";

/// @notice A registry, a subject with a key, and three trustees in ascending order.
abstract contract ConsentTest is Test {
    uint64 internal constant START_S = 1_800_000_000;
    uint64 internal constant DELAY_S = 7 days;
    uint64 internal constant FOR_EVER = type(uint64).max;
    uint64 internal constant EXPIRES_AT = START_S + 365 days;
    bytes32 internal constant STRUCT_HASH = keccak256("struct hash of a grant");
    bytes internal constant NO_SIGNATURE = "";

    ConsentRegistry internal registry;
    address internal subject;
    uint256 internal subjectKey;
    address internal stranger;
    uint256 internal strangerKey;
    address internal relay = makeAddr("relay");
    address internal next;
    uint256 internal nextKey;
    address[3] internal trustees;
    uint256[3] internal trusteeKeys;

    function setUp() public virtual {
        vm.warp(START_S);
        registry = new ConsentRegistry();
        (subject, subjectKey) = makeAddrAndKey("subject");
        (stranger, strangerKey) = makeAddrAndKey("stranger");
        (next, nextKey) = makeAddrAndKey("next controller");
        for (uint256 i = 0; i < 3; ++i) {
            (trustees[i], trusteeKeys[i]) = makeAddrAndKey(string.concat("trustee ", vm.toString(i)));
        }
        for (uint256 i = 0; i < 3; ++i) {
            for (uint256 j = i + 1; j < 3; ++j) {
                if (trustees[j] >= trustees[i]) continue;
                (trustees[i], trustees[j]) = (trustees[j], trustees[i]);
                (trusteeKeys[i], trusteeKeys[j]) = (trusteeKeys[j], trusteeKeys[i]);
            }
        }
    }

    /* DOCUMENTS */

    /// @dev Not the registry's `idOf`: a test that signs what the contract says would not see a wrong domain.
    function digestOf(bytes32 structHash) internal view returns (bytes32) {
        return Documents.digest(Documents.separator(block.chainid, address(registry)), structHash);
    }

    function signed(uint256 key, bytes32 structHash) internal view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digestOf(structHash));
        return abi.encodePacked(r, s, v);
    }

    /// @dev Two of the three trustees, a week.
    function policyOf(uint64 epoch) internal view returns (IControl.RecoveryPolicy memory policy) {
        policy.statement = "Two of these three may move control of my data to another wallet after 7 days.";
        policy.subject = subject;
        policy.trustees = new address[](3);
        for (uint256 i = 0; i < 3; ++i) {
            policy.trustees[i] = trustees[i];
        }
        policy.needed = 2;
        policy.delayS = DELAY_S;
        policy.epoch = epoch;
    }

    function idOf(IControl.RecoveryPolicy memory policy) internal view returns (bytes32) {
        return digestOf(Documents.recoveryPolicy(policy));
    }

    function signedPolicy(uint256 key, IControl.RecoveryPolicy memory policy) internal view returns (bytes memory) {
        return signed(key, Documents.recoveryPolicy(policy));
    }

    function approvalOf(uint256 which, IControl.RecoveryPolicy memory policy, address newController, uint64 round)
        internal
        view
        returns (IControl.Approval memory)
    {
        bytes32 structHash = Documents.recoveryApproval(policy.subject, idOf(policy), newController, round, EXPIRES_AT);
        return IControl.Approval({
            trustee: trustees[which], expiresAt: EXPIRES_AT, signature: signed(trusteeKeys[which], structHash)
        });
    }

    /// @dev By the first and the last of the three.
    function approvalsOf(IControl.RecoveryPolicy memory policy, address newController, uint64 round)
        internal
        view
        returns (IControl.Approval[] memory approvals)
    {
        approvals = new IControl.Approval[](2);
        approvals[0] = approvalOf(0, policy, newController, round);
        approvals[1] = approvalOf(2, policy, newController, round);
    }

    /* STEPS */

    function grant() internal returns (bytes32 permission) {
        vm.prank(registry.controllerOf(subject));
        return registry.grant(subject, STRUCT_HASH);
    }

    function registerPolicy(uint64 epoch) internal returns (IControl.RecoveryPolicy memory policy) {
        policy = policyOf(epoch);
        vm.prank(registry.controllerOf(subject));
        registry.registerPolicy(policy, NO_SIGNATURE);
    }

    function startRecovery(IControl.RecoveryPolicy memory policy, address newController) internal {
        uint64 round = registry.recoveryOf(policy.subject).rounds + 1;
        IControl.Approval[] memory approvals = approvalsOf(policy, newController, round);
        vm.prank(relay);
        registry.startRecovery(policy, NO_SIGNATURE, newController, approvals);
    }

    /// @dev Policy 1, a recovery, a week.
    function moveControl() internal returns (IControl.RecoveryPolicy memory policy) {
        policy = registerPolicy(1);
        startRecovery(policy, next);
        skip(DELAY_S);
        registry.finishRecovery(subject);
    }

    function freeze() internal {
        vm.prank(registry.controllerOf(subject));
        registry.freeze(subject, NO_SIGNATURE);
    }

    /* ASSERTIONS */

    function expectInvalid(address signer, bytes32 structHash) internal {
        vm.expectRevert(abi.encodeWithSelector(IControl.InvalidSignature.selector, signer, digestOf(structHash)));
    }

    function expectNotController(address caller) internal {
        vm.expectRevert(abi.encodeWithSelector(IControl.NotController.selector, subject, caller));
    }

    function assertStanding(bytes32 permission, uint64 grantedAt, uint64 revokedAt) internal view {
        assertStanding(subject, permission, grantedAt, revokedAt);
    }

    function assertStanding(address whose, bytes32 permission, uint64 grantedAt, uint64 revokedAt) internal view {
        (uint64 grantedAt_, uint64 revokedAt_) = registry.standing(whose, permission);
        assertEq(grantedAt_, grantedAt, "granted at");
        assertEq(revokedAt_, revokedAt, "revoked at");
    }

    function assertFrozenUntil(uint64 frozenUntilS, uint64 freezes) internal view {
        (uint64 frozenUntilS_, uint64 freezes_) = registry.freezeOf(subject);
        assertEq(frozenUntilS_, frozenUntilS, "frozen until");
        assertEq(freezes_, freezes, "freezes");
    }

    function assertNoRecovery(uint64 rounds) internal view {
        IControl.Recovery memory recovery = registry.recoveryOf(subject);
        assertEq(recovery.newController, address(0), "new controller");
        assertEq(recovery.finishesAtS, 0, "finishes at");
        assertEq(recovery.rounds, rounds, "rounds");
    }
}
