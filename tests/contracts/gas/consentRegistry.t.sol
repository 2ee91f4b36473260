// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {IControl} from "../../../contracts/interfaces/IControl.sol";
import {ConsentTest} from "../utils/ConsentTest.sol";
import {Documents} from "../utils/Documents.sol";
import {SharedWallet} from "../utils/Wallets.sol";

/// @notice What the calls cost as transactions, and that permitting keeps to its budgets.
/// @dev Means something under the release profile only, as in anchorRegistry.t.sol.
contract ConsentRegistry_Gas is ConsentTest {
    string private constant GROUP = "ConsentRegistry";

    uint256 private constant OWN_MAX = 50_000;
    uint256 private constant RELAYED_MAX = 58_000;

    function test_GrantingKeepsToItsBudget() external {
        grant();
        snapshotWithin("grant", OWN_MAX);
    }

    function test_GrantingBySignatureKeepsToItsBudget() external {
        bytes memory signature = signed(subjectKey, STRUCT_HASH);
        registry.grantBySig(subject, STRUCT_HASH, signature);
        snapshotWithin("grantBySig", RELAYED_MAX);
    }

    /// @dev The slot of who controls is taken, which a subject's first grant reads empty.
    function test_GrantingAfterARecoveryKeepsToItsBudgets() external {
        moveControl();
        grant();
        snapshotWithin("grant, after a recovery", OWN_MAX);
        bytes32 another = keccak256("another");
        bytes memory signature = signed(nextKey, another);
        registry.grantBySig(subject, another, signature);
        snapshotWithin("grantBySig, after a recovery", RELAYED_MAX);
    }

    function test_GrantingByAWallet() external {
        address[] memory owners = new address[](3);
        for (uint256 i = 0; i < 3; ++i) {
            owners[i] = trustees[i];
        }
        SharedWallet wallet = new SharedWallet(owners, 2);
        bytes32 message = wallet.messageOf(digestOf(STRUCT_HASH));
        bytes memory signatures;
        for (uint256 i = 0; i < 2; ++i) {
            (uint8 v, bytes32 r, bytes32 s) = vm.sign(trusteeKeys[i], message);
            signatures = bytes.concat(signatures, abi.encodePacked(r, s, v));
        }
        registry.grantBySig(address(wallet), STRUCT_HASH, signatures);
        vm.snapshotGasLastCall(GROUP, "grantBySig, a wallet of two owners");
    }

    function test_Revoking() external {
        bytes32 permission = grant();
        vm.prank(subject);
        registry.revoke(subject, permission);
        vm.snapshotGasLastCall(GROUP, "revoke");

        bytes32 unseen = keccak256("never seen");
        bytes memory signature = signed(subjectKey, Documents.revoke(subject, unseen));
        registry.revokeBySig(subject, unseen, signature);
        vm.snapshotGasLastCall(GROUP, "revokeBySig, never seen");
    }

    function test_RevokingAll() external {
        vm.prank(subject);
        registry.revokeAll(subject);
        vm.snapshotGasLastCall(GROUP, "revokeAll, first");
        bytes memory signature = signed(subjectKey, Documents.revokeAll(subject, 1));
        registry.revokeAllBySig(subject, 1, signature);
        vm.snapshotGasLastCall(GROUP, "revokeAllBySig, later");
    }

    function test_Recovery() external {
        IControl.RecoveryPolicy memory policy = policyOf(1);
        bytes memory signature = signedPolicy(subjectKey, policy);
        IControl.Approval[] memory approvals = approvalsOf(policy, next, 1);
        registry.startRecovery(policy, signature, next, approvals);
        vm.snapshotGasLastCall(GROUP, "startRecovery, two of three, policy not registered");
        signature = signed(subjectKey, Documents.veto(subject, 1));
        registry.veto(subject, signature);
        vm.snapshotGasLastCall(GROUP, "veto");

        startRecovery(policy, next);
        vm.snapshotGasLastCall(GROUP, "startRecovery, two of three, policy registered");
        skip(DELAY_S);
        registry.finishRecovery(subject);
        vm.snapshotGasLastCall(GROUP, "finishRecovery");
    }

    function test_Policies() external {
        IControl.RecoveryPolicy memory policy = policyOf(1);
        bytes memory signature = signedPolicy(subjectKey, policy);
        registry.registerPolicy(policy, signature);
        vm.snapshotGasLastCall(GROUP, "registerPolicy, first, three trustees");
        policy = policyOf(2);
        signature = signedPolicy(subjectKey, policy);
        registry.registerPolicy(policy, signature);
        vm.snapshotGasLastCall(GROUP, "registerPolicy, later, three trustees");
    }

    function test_Freezing() external {
        IControl.RecoveryPolicy memory policy = registerPolicy(1);
        bytes memory signature = signed(trusteeKeys[0], Documents.freeze(subject, 1));
        registry.freezeAsTrustee(policy, trustees[0], signature);
        vm.snapshotGasLastCall(GROUP, "freezeAsTrustee");
        signature = signed(subjectKey, Documents.unfreeze(subject, 1));
        registry.unfreeze(subject, signature);
        vm.snapshotGasLastCall(GROUP, "unfreeze");
        signature = signed(subjectKey, Documents.freeze(subject, 2));
        registry.freeze(subject, signature);
        vm.snapshotGasLastCall(GROUP, "freeze");
    }

    function snapshotWithin(string memory name, uint256 most) private {
        vm.snapshotGasLastCall(GROUP, name);
        assertLe(vm.lastCallGas().gasTotalUsed, most);
    }
}
