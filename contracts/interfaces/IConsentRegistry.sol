// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {IControl} from "./IControl.sol";

/// @title IConsentRegistry
/// @notice Which permissions a subject has given and taken back on chain, and who acts for it (IControl).
/// @dev Nobody owns this contract, nobody can pause or change it, and it takes no fee. Nothing stops a revocation: no
/// freeze, no recovery, no expiry.
/// It is the `verifyingContract` (EIP-712, name "Medtrail", version "1") of Grant, ChangeApproval,
/// `Revoke(address subject,bytes32 permission)`, `RevokeAll(address subject,uint64 epoch)`, RecoveryPolicy and the
/// documents of IControl. A document's id is its digest: no signature is good in another contract, on another chain or
/// for another subject.
/// Warning: of a Grant or ChangeApproval this contract sees the struct hash only. Type, inner subject, grantee, scopes,
/// purposes, statement, epoch and expiry are checks of the verifier, who holds the document: it asks for the standing
/// under the subject that the document names.
/// Warning: most permissions are signed documents in a log and never stand here. That `grantedAt` is zero means nothing;
/// that `revokedAt` is not ends the permission wherever it was given.
/// Warning: a signed document can be carried here by anybody, at any time, as long as its signer controls the subject. Its
/// own expiry and epoch are what ends it.
interface IConsentRegistry is IControl {
    event Granted(address indexed subject, bytes32 indexed permission, uint64 grantedAt);
    event Revoked(address indexed subject, bytes32 indexed permission, uint64 revokedAt);
    /// @notice Every permission of an earlier epoch is dead from `startedS` on.
    event EpochStarted(address indexed subject, uint64 indexed epoch, uint64 startedS);

    /// @notice It was granted or revoked before.
    error PermissionNotNew(address subject, bytes32 permission);
    error NotCurrentEpoch(address subject, uint64 epoch, uint64 currentEpoch);

    /// @notice Gives a permission on chain, once. Only the controller.
    /// @param structHash EIP-712 `hashStruct` of the Grant or ChangeApproval
    /// @return permission the document's id
    function grant(address subject, bytes32 structHash) external returns (bytes32 permission);

    /// @notice As `grant`, by anybody who carries the document with the controller's signature.
    /// @dev What ERC-1271 answers is asked once and the result kept: a wallet that changes its mind has to revoke.
    function grantBySig(address subject, bytes32 structHash, bytes calldata signature)
        external
        returns (bytes32 permission);

    /// @notice Ends a permission for ever, also one that never stood here. Only the controller.
    /// @dev Takes any id, so also a Delegation's of another contract. A second time changes nothing and does not revert,
    /// or whoever carries one revocation could make a batch of several fail.
    function revoke(address subject, bytes32 permission) external;

    /// @notice As `revoke`, by anybody who carries a Revoke with the controller's signature.
    function revokeBySig(address subject, bytes32 permission, bytes calldata signature) external;

    /// @notice Ends all permissions of the current epoch by starting the next. Only the controller.
    function revokeAll(address subject) external;

    /// @notice As `revokeAll`, by anybody who carries a RevokeAll with the controller's signature.
    /// @param epoch the current one, which ends
    function revokeAllBySig(address subject, uint64 epoch, bytes calldata signature) external;

    /// @notice When the permission was given and when taken back on chain, in seconds; zero for never.
    /// @dev Both can be set to one second: then it stood at no time.
    function standing(address subject, bytes32 permission) external view returns (uint64 grantedAt, uint64 revokedAt);

    /// @notice The subject's current epoch, which a new document names. The first is 0.
    function epochOf(address subject) external view returns (uint64);

    /// @notice The subject's epoch at a time in seconds; of a time to come, the current one.
    /// @dev A document is dead at this time if its epoch is lower, and was not yet valid if it is higher.
    function epochAt(address subject, uint64 timeS) external view returns (uint64);

    /// @notice The id of a document with this struct hash.
    function idOf(bytes32 structHash) external view returns (bytes32);
}
