// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {IControl} from "../../../contracts/interfaces/IControl.sol";

/// @notice Struct hashes of what is signed under the ConsentRegistry's domain, written out once more for tests.
library Documents {
    string internal constant GRANT =
        "Grant(string statement,address subject,address grantee,string scopes,string purposes,uint64 epoch,uint64 expiresAt,bytes32 salt)";
    string internal constant CHANGE_APPROVAL =
        "ChangeApproval(string statement,address subject,address custodian,bytes32 record,bytes32 fromVersion,bytes32 toVersion,uint64 epoch,uint64 expiresAt,bytes32 salt)";
    string internal constant REVOKE = "Revoke(address subject,bytes32 permission)";
    string internal constant REVOKE_ALL = "RevokeAll(address subject,uint64 epoch)";
    string internal constant RECOVERY_POLICY =
        "RecoveryPolicy(string statement,address subject,address[] trustees,uint8 needed,uint64 delayS,uint64 epoch)";
    string internal constant RECOVERY_APPROVAL =
        "RecoveryApproval(address subject,bytes32 policy,address newController,uint64 round,uint64 expiresAt)";
    string internal constant VETO = "Veto(address subject,uint64 round)";
    string internal constant FREEZE = "Freeze(address subject,uint64 number)";
    string internal constant UNFREEZE = "Unfreeze(address subject,uint64 number)";

    struct Grant {
        string statement;
        address subject;
        address grantee;
        string scopes;
        string purposes;
        uint64 epoch;
        uint64 expiresAt;
        bytes32 salt;
    }

    struct ChangeApproval {
        string statement;
        address subject;
        address custodian;
        bytes32 record;
        bytes32 fromVersion;
        bytes32 toVersion;
        uint64 epoch;
        uint64 expiresAt;
        bytes32 salt;
    }

    function grant(Grant memory document) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256(bytes(GRANT)),
                keccak256(bytes(document.statement)),
                document.subject,
                document.grantee,
                keccak256(bytes(document.scopes)),
                keccak256(bytes(document.purposes)),
                document.epoch,
                document.expiresAt,
                document.salt
            )
        );
    }

    function changeApproval(ChangeApproval memory document) internal pure returns (bytes32) {
        // In two halves, or the stack is too deep.
        bytes memory first = abi.encode(
            keccak256(bytes(CHANGE_APPROVAL)),
            keccak256(bytes(document.statement)),
            document.subject,
            document.custodian,
            document.record
        );
        bytes memory second =
            abi.encode(document.fromVersion, document.toVersion, document.epoch, document.expiresAt, document.salt);
        return keccak256(bytes.concat(first, second));
    }

    function revoke(address subject, bytes32 permission) internal pure returns (bytes32) {
        return keccak256(abi.encode(keccak256(bytes(REVOKE)), subject, permission));
    }

    function revokeAll(address subject, uint64 epoch) internal pure returns (bytes32) {
        return keccak256(abi.encode(keccak256(bytes(REVOKE_ALL)), subject, epoch));
    }

    function recoveryPolicy(IControl.RecoveryPolicy memory document) internal pure returns (bytes32) {
        bytes memory trustees;
        for (uint256 i = 0; i < document.trustees.length; ++i) {
            trustees = bytes.concat(trustees, abi.encode(document.trustees[i]));
        }
        return keccak256(
            abi.encode(
                keccak256(bytes(RECOVERY_POLICY)),
                keccak256(bytes(document.statement)),
                document.subject,
                keccak256(trustees),
                document.needed,
                document.delayS,
                document.epoch
            )
        );
    }

    function recoveryApproval(address subject, bytes32 policy, address newController, uint64 round, uint64 expiresAt)
        internal
        pure
        returns (bytes32)
    {
        return
            keccak256(abi.encode(keccak256(bytes(RECOVERY_APPROVAL)), subject, policy, newController, round, expiresAt));
    }

    function veto(address subject, uint64 round) internal pure returns (bytes32) {
        return keccak256(abi.encode(keccak256(bytes(VETO)), subject, round));
    }

    function freeze(address subject, uint64 number) internal pure returns (bytes32) {
        return keccak256(abi.encode(keccak256(bytes(FREEZE)), subject, number));
    }

    function unfreeze(address subject, uint64 number) internal pure returns (bytes32) {
        return keccak256(abi.encode(keccak256(bytes(UNFREEZE)), subject, number));
    }

    function separator(uint256 chainId, address verifyingContract) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Medtrail"),
                keccak256("1"),
                chainId,
                verifyingContract
            )
        );
    }

    function digest(bytes32 domainSeparator, bytes32 structHash) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", domainSeparator, structHash));
    }
}
