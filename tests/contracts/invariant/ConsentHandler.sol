// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {ConsentRegistry} from "../../../contracts/ConsentRegistry.sol";
import {IControl} from "../../../contracts/interfaces/IControl.sol";
import {Documents} from "../utils/Documents.sol";
import {ConsentModel} from "./ConsentModel.sol";

/// @notice Anybody calls anything for two subjects, by transaction or by signature, and carries again whatever was ever
/// signed. Who stands behind each call is what the model judges the events by.
contract ConsentHandler is ConsentModel {
    uint256 private constant PEOPLE = 9;
    uint256 private constant PERMISSIONS = 6;

    /// @dev Something signed, kept by somebody who carries it again.
    struct Carried {
        bytes data;
        address signer;
        address[] approvers;
        bool hasWorked;
    }

    address[] public people;
    uint256[] private _keys;
    address private _relay = makeAddr("relay");
    Carried[] private _carried;
    IControl.RecoveryPolicy[] private _policies;

    constructor(ConsentRegistry registry_) ConsentModel(registry_) {
        for (uint256 i = 0; i < PEOPLE; ++i) {
            (address person, uint256 key) = makeAddrAndKey(string.concat("person ", vm.toString(i)));
            people.push(person);
            _keys.push(key);
        }
        for (uint256 i = 0; i < 2; ++i) {
            subjects.push(people[i]);
            for (uint256 j = 0; j < PERMISSIONS; ++j) {
                permissions.push(registry.idOf(_structHash(j)));
            }
        }
    }

    /* CALLS */

    function grant(uint256 who, uint256 which, uint256 what, bool isCarried) external {
        (address subject, uint256 signer) = _subjectAndSigner(which, who);
        bytes32 structHash = _structHash(what);
        if (isCarried) {
            _carry(signer, abi.encodeCall(registry.grantBySig, (subject, structHash, _sign(signer, structHash))));
        } else {
            _send(people[signer], abi.encodeCall(registry.grant, (subject, structHash)));
        }
    }

    function revoke(uint256 who, uint256 which, uint256 what, bool isCarried) external {
        (address subject, uint256 signer) = _subjectAndSigner(which, who);
        bytes32 permission = registry.idOf(_structHash(what));
        bool mayRevoke = people[signer] == modelOf(subject).controller;
        bool done;
        if (isCarried) {
            bytes memory signature = _sign(signer, Documents.revoke(subject, permission));
            done = _carry(signer, abi.encodeCall(registry.revokeBySig, (subject, permission, signature)));
        } else {
            done = _send(people[signer], abi.encodeCall(registry.revoke, (subject, permission)));
        }
        assertEq(done, mayRevoke, "nothing stops the controller's revocation, nobody else revokes");
    }

    function revokeAll(uint256 who, uint256 which, bool isCarried) external {
        (address subject, uint256 signer) = _subjectAndSigner(which, who);
        bool mayRevoke = people[signer] == modelOf(subject).controller;
        bool done;
        if (isCarried) {
            uint64 epoch = registry.epochOf(subject);
            bytes memory signature = _sign(signer, Documents.revokeAll(subject, epoch));
            done = _carry(signer, abi.encodeCall(registry.revokeAllBySig, (subject, epoch, signature)));
        } else {
            done = _send(people[signer], abi.encodeCall(registry.revokeAll, (subject)));
        }
        assertEq(done, mayRevoke, "nothing stops the controller's revocation, nobody else revokes");
    }

    function registerPolicy(uint256 who, uint256 which, uint256 shape, bool isCarried) external {
        (address subject, uint256 signer) = _subjectAndSigner(which, who);
        // Seldom while a recovery runs, which it would end.
        if (modelOf(subject).finishesAtS != 0 && which / 2 % 4 != 0) return;
        IControl.RecoveryPolicy memory policy = _newPolicy(subject, shape);
        bytes memory signature = isCarried ? _sign(signer, Documents.recoveryPolicy(policy)) : bytes("");
        bytes memory data = abi.encodeCall(registry.registerPolicy, (policy, signature));
        if (isCarried) _carry(signer, data);
        else _send(people[signer], data);
    }

    function startRecovery(uint256 who, uint256 which, uint256 shape, uint256 approving, uint256 to) external {
        (address subject, uint256 signer) = _subjectAndSigner(which, who);
        IControl.RecoveryPolicy memory policy = _policyFor(subject, shape);
        address newController = people[to % PEOPLE];
        uint64 round = modelOf(subject).rounds + 1;
        bytes32 structHash = Documents.recoveryApproval(
            subject, registry.idOf(Documents.recoveryPolicy(policy)), newController, round, type(uint64).max
        );

        uint256 count;
        IControl.Approval[] memory approvals = new IControl.Approval[](policy.trustees.length);
        for (uint256 i = 0; i < policy.trustees.length; ++i) {
            // Mostly all of them, or little would ever be recovered.
            if (approving % 8 == 0 && approving >> (8 + i) & 1 == 0) continue;
            address trustee = policy.trustees[i];
            approvals[count++] = IControl.Approval(trustee, type(uint64).max, _sign(_placeOf(trustee), structHash));
        }
        assembly ("memory-safe") {
            mstore(approvals, count)
        }
        bytes memory signature = _sign(signer, Documents.recoveryPolicy(policy));
        delete _approvers;
        for (uint256 i = 0; i < count; ++i) {
            _approvers.push(approvals[i].trustee);
        }
        _carry(signer, abi.encodeCall(registry.startRecovery, (policy, signature, newController, approvals)));
        delete _approvers;
        // Often unopposed, or control would seldom move twice.
        if (to / PEOPLE % 2 == 0) _finish(subject, true);
    }

    function veto(uint256 who, uint256 which) external {
        // Rarely, or no recovery would ever be finished.
        if (which % 8 != 0) return;
        (address subject, uint256 signer) = _subjectAndSigner(which / 8, who);
        bytes memory signature = _sign(signer, Documents.veto(subject, modelOf(subject).rounds));
        _carry(signer, abi.encodeCall(registry.veto, (subject, signature)));
    }

    function finishRecovery(uint256 which, bool isPatient) external {
        _finish(subjects[which % 2], isPatient);
    }

    function freeze(uint256 who, uint256 which, bool isCarried) external {
        (address subject, uint256 signer) = _subjectAndSigner(which, who);
        bytes32 structHash = Documents.freeze(subject, modelOf(subject).freezes + 1);
        bytes memory signature = isCarried ? _sign(signer, structHash) : bytes("");
        bytes memory data = abi.encodeCall(registry.freeze, (subject, signature));
        if (isCarried) _carry(signer, data);
        else _send(people[signer], data);
    }

    function freezeAsTrustee(uint256 who, uint256 which, uint256 shape) external {
        (address subject,) = _subjectAndSigner(which, who);
        IControl.RecoveryPolicy memory policy = _policyFor(subject, shape);
        address trustee = who % 4 == 0 ? people[who / 4 % PEOPLE] : policy.trustees[who / 4 % policy.trustees.length];
        uint256 signer = _placeOf(trustee);
        bytes memory signature = _sign(signer, Documents.freeze(subject, modelOf(subject).freezes + 1));
        _carry(signer, abi.encodeCall(registry.freezeAsTrustee, (policy, trustee, signature)));
    }

    function unfreeze(uint256 who, uint256 which) external {
        (address subject, uint256 signer) = _subjectAndSigner(which, who);
        bytes memory signature = _sign(signer, Documents.unfreeze(subject, modelOf(subject).freezes));
        _carry(signer, abi.encodeCall(registry.unfreeze, (subject, signature)));
    }

    function carryAgain(uint256 which) external {
        if (_carried.length == 0) return;
        Carried storage old = _carried[which % _carried.length];
        _approvers = old.approvers;
        uint256 events = _call(_relay, old.signer, old.data);
        delete _approvers;
        assertTrue(events == 0 || !old.hasWorked, "a document worked twice");
        if (events != 0) old.hasWorked = true;
    }

    function wait(uint32 waitS) external {
        skip(waitS % 5 days);
    }

    /* INTERNAL */

    function _finish(address subject, bool isPatient) private {
        uint64 finishesAtS = modelOf(subject).finishesAtS;
        if (isPatient && finishesAtS > block.timestamp) vm.warp(finishesAtS);
        _send(_relay, abi.encodeCall(registry.finishRecovery, (subject)));
    }

    function _send(address caller, bytes memory data) private returns (bool done) {
        _call(caller, caller, data);
        return _done;
    }

    function _carry(uint256 signer, bytes memory data) private returns (bool done) {
        uint256 events = _call(_relay, people[signer], data);
        _carried.push(Carried(data, people[signer], _approvers, events != 0));
        return _done;
    }

    function _subjectAndSigner(uint256 which, uint256 who) private view returns (address subject, uint256 signer) {
        subject = subjects[which % 2];
        // Mostly the controller, or little would ever happen.
        signer = who % 4 == 0 ? who / 4 % PEOPLE : _placeOf(modelOf(subject).controller);
    }

    /// @dev One to three trustees out of six; the delay and the step of the epoch vary as well.
    function _newPolicy(address subject, uint256 shape) private returns (IControl.RecoveryPolicy memory policy) {
        uint256 count = 1 + shape % 3;
        policy.statement = "statement";
        policy.subject = subject;
        policy.trustees = new address[](count);
        for (uint256 i = 0; i < count; ++i) {
            policy.trustees[i] = people[2 + (shape / 3 + i) % 6];
        }
        for (uint256 i = 1; i < count; ++i) {
            for (uint256 j = i; j > 0 && policy.trustees[j] < policy.trustees[j - 1]; --j) {
                (policy.trustees[j], policy.trustees[j - 1]) = (policy.trustees[j - 1], policy.trustees[j]);
            }
        }
        policy.needed = uint8(1 + shape / 18 % count);
        policy.delayS = uint64(2 days + shape / 64 % 6 days);
        policy.epoch = modelOf(subject).policyEpoch + uint64(shape / 128 % 4);
        _policies.push(policy);
        _learn(policy);
    }

    /// @dev Mostly the one in force, else any that was ever made, for whomever.
    function _policyFor(address subject, uint256 shape) private returns (IControl.RecoveryPolicy memory policy) {
        bytes32 inForce = modelOf(subject).policy;
        if (inForce != 0 && shape % 4 != 0) return policyOf(inForce);
        if (_policies.length == 0 || shape % 8 == 0) return _newPolicy(subject, shape / 8);
        return _policies[shape / 8 % _policies.length];
    }

    function _placeOf(address person) private view returns (uint256 place) {
        while (people[place] != person) ++place;
    }

    function _sign(uint256 signer, bytes32 structHash) private view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(_keys[signer], registry.idOf(structHash));
        return abi.encodePacked(r, s, v);
    }

    function _structHash(uint256 what) private pure returns (bytes32) {
        return keccak256(abi.encode("permission", what % PERMISSIONS));
    }
}
