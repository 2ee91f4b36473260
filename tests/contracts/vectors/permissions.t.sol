// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {ConsentRegistry} from "../../../contracts/ConsentRegistry.sol";
import {IControl} from "../../../contracts/interfaces/IControl.sol";
import {DocumentVectors} from "../utils/DocumentVectors.sol";
import {Documents} from "../utils/Documents.sol";

/// @notice The documents that are signed under the ConsentRegistry's domain, hashed from their messages and compared
/// with what other implementations wrote; and the contract, which must ask for exactly these digests.
contract PermissionVectors_Test is DocumentVectors {
    ConsentRegistry private registry;

    function setUp() external {
        load("tests/vectors/permissions.json");
        vm.chainId(chainIdOfVectors());
        vm.warp(1_767_605_400);
        deployCodeTo("ConsentRegistry.sol:ConsentRegistry", contractOfVectors());
        registry = ConsentRegistry(contractOfVectors());
    }

    function test_TheRegistryHasTheDomainOfTheVectors() external view {
        (, string memory name, string memory version, uint256 chainId, address verifyingContract,,) =
            registry.eip712Domain();
        assertEq(separator(name, version, chainId, verifyingContract), domainSeparator);
    }

    function test_Grant() external {
        string memory document = documentOf("Grant");
        string memory message = string.concat(document, ".message");
        bytes32 structHash = Documents.grant(
            Documents.Grant({
                statement: text(message, ".statement"),
                subject: account(message, ".subject"),
                grantee: account(message, ".grantee"),
                scopes: text(message, ".scopes"),
                purposes: text(message, ".purposes"),
                epoch: uint64(number(message, ".epoch")),
                expiresAt: uint64(number(message, ".expiresAt")),
                salt: word(message, ".salt")
            })
        );
        assertDocument(document, Documents.GRANT, structHash);
        vm.prank(account(message, ".subject"));
        assertEq(registry.grant(account(message, ".subject"), structHash), word(document, ".digest"));
    }

    function test_ChangeApproval() external view {
        string memory document = documentOf("ChangeApproval");
        string memory message = string.concat(document, ".message");
        bytes32 structHash = Documents.changeApproval(
            Documents.ChangeApproval({
                statement: text(message, ".statement"),
                subject: account(message, ".subject"),
                custodian: account(message, ".custodian"),
                record: word(message, ".record"),
                fromVersion: word(message, ".fromVersion"),
                toVersion: word(message, ".toVersion"),
                epoch: uint64(number(message, ".epoch")),
                expiresAt: uint64(number(message, ".expiresAt")),
                salt: word(message, ".salt")
            })
        );
        assertDocument(document, Documents.CHANGE_APPROVAL, structHash);
        assertEq(registry.idOf(structHash), word(document, ".digest"));
    }

    function test_Revoke() external {
        string memory document = documentOf("Revoke");
        string memory message = string.concat(document, ".message");
        (address subject, bytes32 permission) = (account(message, ".subject"), word(message, ".permission"));
        assertEq(permission, word(documentOf("Grant"), ".digest"));
        assertDocument(document, Documents.REVOKE, Documents.revoke(subject, permission));
        expectAsks(subject, document);
        registry.revokeBySig(subject, permission, "");
    }

    function test_RevokeAll() external {
        string memory document = documentOf("RevokeAll");
        string memory message = string.concat(document, ".message");
        (address subject, uint64 epoch) = (account(message, ".subject"), uint64(number(message, ".epoch")));
        assertDocument(document, Documents.REVOKE_ALL, Documents.revokeAll(subject, epoch));
        for (uint64 i = 0; i < epoch; ++i) {
            vm.prank(subject);
            registry.revokeAll(subject);
        }
        expectAsks(subject, document);
        registry.revokeAllBySig(subject, epoch, "");
    }

    function test_RecoveryPolicy() external {
        IControl.RecoveryPolicy memory policy = recoveryPolicy();
        string memory document = documentOf("RecoveryPolicy");
        assertDocument(document, Documents.RECOVERY_POLICY, Documents.recoveryPolicy(policy));
        expectAsks(policy.subject, document);
        registry.registerPolicy(policy, "");
    }

    function test_RecoveryApproval() external {
        string memory document = documentOf("RecoveryApproval");
        string memory message = string.concat(document, ".message");
        IControl.RecoveryPolicy memory policy = registeredPolicy();
        address newController = account(message, ".newController");
        assertDocument(
            document,
            Documents.RECOVERY_APPROVAL,
            Documents.recoveryApproval(
                account(message, ".subject"),
                word(message, ".policy"),
                newController,
                uint64(number(message, ".round")),
                uint64(number(message, ".expiresAt"))
            )
        );
        IControl.Approval[] memory approvals = new IControl.Approval[](2);
        for (uint256 i = 0; i < 2; ++i) {
            approvals[i] = IControl.Approval(policy.trustees[i], uint64(number(message, ".expiresAt")), bytes(""));
        }
        expectAsks(policy.trustees[0], document);
        registry.startRecovery(policy, "", newController, approvals);
    }

    function test_Veto() external {
        string memory document = documentOf("Veto");
        string memory message = string.concat(document, ".message");
        address subject = account(message, ".subject");
        assertDocument(document, Documents.VETO, Documents.veto(subject, uint64(number(message, ".round"))));

        IControl.RecoveryPolicy memory policy = registeredPolicy();
        policy.needed = 1;
        policy.epoch += 1;
        vm.prank(subject);
        registry.registerPolicy(policy, "");
        skip(policy.delayS);
        IControl.Approval[] memory approvals = new IControl.Approval[](1);
        approvals[0].trustee = policy.trustees[0];
        vm.prank(policy.trustees[0]);
        registry.startRecovery(policy, "", address(1), approvals);
        expectAsks(subject, document);
        registry.veto(subject, "");
    }

    function test_FreezeAndUnfreeze() external {
        string memory document = documentOf("Freeze");
        string memory message = string.concat(document, ".message");
        address subject = account(message, ".subject");
        assertDocument(document, Documents.FREEZE, Documents.freeze(subject, uint64(number(message, ".number"))));
        expectAsks(subject, document);
        registry.freeze(subject, "");

        vm.prank(subject);
        registry.freeze(subject, "");
        document = documentOf("Unfreeze");
        message = string.concat(document, ".message");
        assertEq(account(message, ".subject"), subject);
        assertDocument(document, Documents.UNFREEZE, Documents.unfreeze(subject, uint64(number(message, ".number"))));
        expectAsks(subject, document);
        registry.unfreeze(subject, "");
    }

    function recoveryPolicy() private view returns (IControl.RecoveryPolicy memory policy) {
        string memory message = string.concat(documentOf("RecoveryPolicy"), ".message");
        policy = IControl.RecoveryPolicy({
            statement: text(message, ".statement"),
            subject: account(message, ".subject"),
            trustees: vm.parseJsonAddressArray(json, string.concat(message, ".trustees")),
            needed: uint8(number(message, ".needed")),
            delayS: uint64(number(message, ".delayS")),
            epoch: uint64(number(message, ".epoch"))
        });
    }

    function registeredPolicy() private returns (IControl.RecoveryPolicy memory policy) {
        policy = recoveryPolicy();
        vm.prank(policy.subject);
        registry.registerPolicy(policy, "");
    }

    /// @dev The refusal of a missing signature names the digest that would have to be signed.
    function expectAsks(address signer, string memory document) private {
        vm.expectRevert(abi.encodeWithSelector(IControl.InvalidSignature.selector, signer, word(document, ".digest")));
    }
}
