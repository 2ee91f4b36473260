// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {Control} from "./Control.sol";
import {IConsentRegistry} from "./interfaces/IConsentRegistry.sol";

/// @title ConsentRegistry
contract ConsentRegistry is IConsentRegistry, Control {
    bytes32 private constant REVOKE_TYPEHASH = keccak256("Revoke(address subject,bytes32 permission)");
    bytes32 private constant REVOKE_ALL_TYPEHASH = keccak256("RevokeAll(address subject,uint64 epoch)");

    struct Standing {
        uint64 grantedAt;
        uint64 revokedAt;
    }

    mapping(address subject => mapping(bytes32 permission => Standing)) private _standings;

    /// @dev When each epoch after the first began; so its length is the current epoch.
    mapping(address subject => uint64[]) private _epochStartsS;

    /* PERMISSIONS */

    /// @inheritdoc IConsentRegistry
    function grant(address subject, bytes32 structHash) external onlyController(subject) returns (bytes32 permission) {
        permission = idOf(structHash);
        _grant(subject, permission);
    }

    /// @inheritdoc IConsentRegistry
    function grantBySig(address subject, bytes32 structHash, bytes calldata signature)
        external
        returns (bytes32 permission)
    {
        permission = idOf(structHash);
        _requireSignature(controllerOf(subject), permission, signature);
        _grant(subject, permission);
    }

    /// @inheritdoc IConsentRegistry
    function revoke(address subject, bytes32 permission) external onlyController(subject) {
        _revoke(subject, permission);
    }

    /// @inheritdoc IConsentRegistry
    function revokeBySig(address subject, bytes32 permission, bytes calldata signature) external {
        bytes32 structHash = keccak256(abi.encode(REVOKE_TYPEHASH, subject, permission));
        _requireSignature(controllerOf(subject), idOf(structHash), signature);
        _revoke(subject, permission);
    }

    /// @inheritdoc IConsentRegistry
    function revokeAll(address subject) external onlyController(subject) {
        _startEpoch(subject);
    }

    /// @inheritdoc IConsentRegistry
    function revokeAllBySig(address subject, uint64 epoch, bytes calldata signature) external {
        uint64 current = epochOf(subject);
        require(epoch == current, NotCurrentEpoch(subject, epoch, current));
        bytes32 structHash = keccak256(abi.encode(REVOKE_ALL_TYPEHASH, subject, epoch));
        _requireSignature(controllerOf(subject), idOf(structHash), signature);
        _startEpoch(subject);
    }

    /* VIEWS */

    /// @inheritdoc IConsentRegistry
    function standing(address subject, bytes32 permission) external view returns (uint64 grantedAt, uint64 revokedAt) {
        Standing storage held = _standings[subject][permission];
        return (held.grantedAt, held.revokedAt);
    }

    /// @inheritdoc IConsentRegistry
    function epochOf(address subject) public view returns (uint64) {
        return uint64(_epochStartsS[subject].length);
    }

    /// @inheritdoc IConsentRegistry
    function epochAt(address subject, uint64 timeS) external view returns (uint64) {
        uint64[] storage startsS = _epochStartsS[subject];
        uint256 low = 0;
        uint256 high = startsS.length;
        while (low < high) {
            uint256 middle = (low + high) / 2;
            if (startsS[middle] <= timeS) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        return uint64(low);
    }

    /// @inheritdoc IConsentRegistry
    function idOf(bytes32 structHash) public view returns (bytes32) {
        return _hashTypedDataV4(structHash);
    }

    /* INTERNAL */

    function _grant(address subject, bytes32 permission) private {
        _requireNotFrozen(subject);
        Standing storage held = _standings[subject][permission];
        require(held.grantedAt | held.revokedAt == 0, PermissionNotNew(subject, permission));
        uint64 nowS = _nowS();
        held.grantedAt = nowS;
        emit Granted(subject, permission, nowS);
    }

    function _revoke(address subject, bytes32 permission) private {
        Standing storage held = _standings[subject][permission];
        if (held.revokedAt != 0) return;
        uint64 nowS = _nowS();
        held.revokedAt = nowS;
        emit Revoked(subject, permission, nowS);
    }

    function _startEpoch(address subject) private {
        uint64 nowS = _nowS();
        _epochStartsS[subject].push(nowS);
        emit EpochStarted(subject, epochOf(subject), nowS);
    }

    /// @inheritdoc Control
    function _isRevoked(address subject, bytes32 id) internal view override returns (bool) {
        return _standings[subject][id].revokedAt != 0;
    }
}
