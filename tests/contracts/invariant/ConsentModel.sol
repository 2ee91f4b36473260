// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {ConsentRegistry} from "../../../contracts/ConsentRegistry.sol";
import {IConsentRegistry} from "../../../contracts/interfaces/IConsentRegistry.sol";
import {IControl} from "../../../contracts/interfaces/IControl.sol";
import {Documents} from "../utils/Documents.sol";
import {Test, Vm} from "forge-std/Test.sol";

/// @notice What the registry says of itself in events, kept as the only model, and whether it was right to say so.
abstract contract ConsentModel is Test {
    struct Model {
        address controller;
        uint64 frozenUntilS;
        uint64 freezes;
        bytes32 policy;
        uint64 delayS;
        bytes32 waitingPolicy;
        uint64 waitingDelayS;
        uint64 waitsUntilS;
        uint64 policyEpoch;
        address newController;
        uint64 finishesAtS;
        uint64 rounds;
    }

    struct Standing {
        uint64 grantedAt;
        uint64 revokedAt;
    }

    ConsentRegistry public immutable registry;
    address[] public subjects;
    bytes32[] public permissions;

    mapping(address subject => Model) private _models;
    mapping(address subject => mapping(bytes32 permission => Standing)) public standings;
    mapping(address subject => uint64[]) private _epochStartsS;
    mapping(address subject => uint64[]) private _movesS;
    mapping(address subject => mapping(address controller => bool)) private _hasControlled;
    mapping(bytes32 id => IControl.RecoveryPolicy) private _policyById;

    /// @dev Who stands behind the present call: its sender, or who signed what it carries; and which trustees signed.
    address private _actor;
    address[] internal _approvers;
    bool internal _done;

    constructor(ConsentRegistry registry_) {
        registry = registry_;
        vm.recordLogs();
    }

    /* STATE */

    function modelOf(address subject) public view returns (Model memory model) {
        model = _models[subject];
        if (model.controller == address(0)) model.controller = subject;
        if (model.frozenUntilS <= block.timestamp) model.frozenUntilS = 0;
        if (model.waitingPolicy != 0 && model.waitsUntilS <= block.timestamp) {
            (model.policy, model.delayS) = (model.waitingPolicy, model.waitingDelayS);
            (model.waitingPolicy, model.waitingDelayS, model.waitsUntilS) = (0, 0, 0);
        }
    }

    function epochStartsOf(address subject) external view returns (uint64[] memory) {
        return _epochStartsS[subject];
    }

    function movesOf(address subject) external view returns (uint64[] memory) {
        return _movesS[subject];
    }

    function policyOf(bytes32 id) internal view returns (IControl.RecoveryPolicy memory) {
        return _policyById[id];
    }

    function _learn(IControl.RecoveryPolicy memory policy) internal {
        _policyById[registry.idOf(Documents.recoveryPolicy(policy))] = policy;
    }

    /* EVENTS */

    /// @return events that the call emitted
    function _call(address caller, address actor, bytes memory data) internal returns (uint256 events) {
        _actor = actor;
        vm.prank(caller);
        (_done,) = address(registry).call(data);
        Vm.Log[] memory emitted = vm.getRecordedLogs();
        // Forge also records what a call took back by reverting.
        if (!_done) return 0;
        for (uint256 i = 0; i < emitted.length; ++i) {
            assertEq(emitted[i].emitter, address(registry));
            _apply(emitted[i].topics, emitted[i].data);
        }
        return emitted.length;
    }

    function _apply(bytes32[] memory topics, bytes memory data) private {
        address subject = _address(topics[1]);
        Model memory model = modelOf(subject);
        uint64 nowS = uint64(block.timestamp);
        bytes32 kind = topics[0];
        if (kind == IConsentRegistry.Granted.selector) {
            Standing storage standing = standings[subject][topics[2]];
            assertEq(_actor, model.controller, "granted by another");
            assertEq(model.frozenUntilS, 0, "granted while frozen");
            assertEq(standing.grantedAt | standing.revokedAt, 0, "granted again");
            standing.grantedAt = abi.decode(data, (uint64));
            assertEq(standing.grantedAt, nowS);
        } else if (kind == IConsentRegistry.Revoked.selector) {
            Standing storage standing = standings[subject][topics[2]];
            assertEq(_actor, model.controller, "revoked by another");
            assertEq(standing.revokedAt, 0, "revoked again");
            standing.revokedAt = abi.decode(data, (uint64));
            assertEq(standing.revokedAt, nowS);
        } else if (kind == IConsentRegistry.EpochStarted.selector) {
            assertEq(_actor, model.controller, "an epoch started by another");
            assertEq(uint256(topics[2]), _epochStartsS[subject].length + 1, "an epoch was skipped");
            _epochStartsS[subject].push(abi.decode(data, (uint64)));
        } else {
            _applyControl(model, topics, data);
            _models[subject] = model;
        }
    }

    function _applyControl(Model memory model, bytes32[] memory topics, bytes memory data) private {
        bytes32 kind = topics[0];
        if (kind == IControl.PolicyRegistered.selector) {
            _applyPolicy(model, topics[2], data);
        } else if (kind == IControl.RecoveryStarted.selector) {
            assertEq(model.newController, address(0), "a recovery ran");
            assertEq(topics[2], model.policy, "another policy's recovery");
            assertEq(model.waitingPolicy, 0, "a policy waits");
            assertGe(_trusteesAmong(topics[2]), policyOf(topics[2]).needed, "too few trustees");
            uint64 round;
            (round, model.finishesAtS) = abi.decode(data, (uint64, uint64));
            assertEq(round, ++model.rounds, "a round was skipped");
            assertEq(model.finishesAtS, block.timestamp + model.delayS);
            model.newController = _address(topics[3]);
        } else if (kind == IControl.RecoveryVetoed.selector) {
            assertEq(_actor, model.controller, "vetoed by another");
            assertEq(_address(topics[2]), model.newController);
            assertEq(abi.decode(data, (uint64)), model.rounds);
            assertLt(block.timestamp, model.finishesAtS, "vetoed too late");
            (model.newController, model.finishesAtS) = (address(0), 0);
        } else if (kind == IControl.ControlMoved.selector) {
            _applyMove(model, topics, data);
        } else if (kind == IControl.Frozen.selector) {
            address by = _address(topics[2]);
            assertEq(_actor, by, "frozen by another");
            assertTrue(by == model.controller || _isTrustee(model.policy, by), "frozen by a stranger");
            assertEq(abi.decode(data, (uint64)), ++model.freezes, "a freeze was skipped");
            model.frozenUntilS = type(uint64).max;
        } else if (kind == IControl.UnfreezeStarted.selector) {
            uint64 number;
            assertEq(_actor, model.controller, "unfrozen by another");
            assertEq(model.frozenUntilS, type(uint64).max, "unfrozen twice");
            (number, model.frozenUntilS) = abi.decode(data, (uint64, uint64));
            assertEq(number, model.freezes);
            assertGe(model.frozenUntilS, block.timestamp + 2 days, "unfrozen at once");
        } else {
            assertTrue(false, "an event that the model does not know");
        }
    }

    function _applyPolicy(Model memory model, bytes32 id, bytes memory data) private {
        (uint64 epoch, uint64 delayS, uint64 inForceFromS) = abi.decode(data, (uint64, uint64, uint64));
        assertEq(_actor, model.controller, "registered by another");
        assertEq(model.newController, address(0), "a recovery outlived its policy");
        if (model.policy == 0) {
            assertEq(inForceFromS, block.timestamp);
            (model.policy, model.delayS) = (id, delayS);
        } else {
            assertGt(epoch, model.policyEpoch, "an older policy came back");
            assertEq(inForceFromS, block.timestamp + model.delayS, "replaced at once");
            (model.waitingPolicy, model.waitingDelayS, model.waitsUntilS) = (id, delayS, inForceFromS);
        }
        model.policyEpoch = epoch;
    }

    function _applyMove(Model memory model, bytes32[] memory topics, bytes memory data) private {
        address subject = _address(topics[1]);
        (uint64 round, uint64 movedAtS) = abi.decode(data, (uint64, uint64));
        assertEq(_address(topics[2]), model.controller);
        assertEq(_address(topics[3]), model.newController, "moved to another");
        assertNotEq(model.newController, address(0));
        assertEq(round, model.rounds);
        assertGe(block.timestamp, model.finishesAtS, "moved too early");
        _hasControlled[subject][model.controller] = true;
        assertFalse(_hasControlled[subject][model.newController], "control came back");
        _movesS[subject].push(movedAtS);
        model.controller = model.newController;
        (model.newController, model.finishesAtS, model.frozenUntilS) = (address(0), 0, 0);
    }

    function _trusteesAmong(bytes32 policy) private view returns (uint256 count) {
        for (uint256 i = 0; i < _approvers.length; ++i) {
            if (_isTrustee(policy, _approvers[i])) ++count;
        }
    }

    function _isTrustee(bytes32 policy, address who) private view returns (bool found) {
        address[] storage trustees = _policyById[policy].trustees;
        for (uint256 i = 0; i < trustees.length; ++i) {
            if (trustees[i] == who) found = true;
        }
    }

    function _address(bytes32 topic) private pure returns (address) {
        return address(uint160(uint256(topic)));
    }
}
