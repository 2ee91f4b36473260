// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {IControl} from "./interfaces/IControl.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

/// @title Control
/// @notice The part of the ConsentRegistry that knows who acts for a subject.
abstract contract Control is IControl, EIP712 {
    /// @inheritdoc IControl
    uint64 public constant DELAY_MIN_S = 2 days;

    /// @inheritdoc IControl
    uint64 public constant DELAY_MAX_S = 90 days;

    /// @inheritdoc IControl
    uint64 public constant UNFREEZE_DELAY_S = 7 days;

    /// @inheritdoc IControl
    uint256 public constant TRUSTEES_MAX = 16;

    /// @inheritdoc IControl
    uint64 public constant EPOCH_STEP_MAX = 1 << 16;

    uint64 private constant FOR_EVER = type(uint64).max;

    bytes32 private constant POLICY_TYPEHASH = keccak256(
        "RecoveryPolicy(string statement,address subject,address[] trustees,uint8 needed,uint64 delayS,uint64 epoch)"
    );
    bytes32 private constant APPROVAL_TYPEHASH = keccak256(
        "RecoveryApproval(address subject,bytes32 policy,address newController,uint64 round,uint64 expiresAt)"
    );
    bytes32 private constant VETO_TYPEHASH = keccak256("Veto(address subject,uint64 round)");
    bytes32 private constant FREEZE_TYPEHASH = keccak256("Freeze(address subject,uint64 number)");
    bytes32 private constant UNFREEZE_TYPEHASH = keccak256("Unfreeze(address subject,uint64 number)");

    /// @dev One slot, which is all that a grant reads. A controller of zero is the subject itself.
    struct Hold {
        address controller;
        uint64 frozenUntilS;
        uint32 freezes;
    }

    /// @dev A policy that waits is in force once its time has come; nobody has to say so.
    struct Policies {
        bytes32 registered;
        bytes32 waiting;
        uint64 epoch;
        uint64 waitsUntilS;
        uint32 delayS;
        uint32 waitingDelayS;
    }

    struct Move {
        address newController;
        uint64 finishesAtS;
        uint32 rounds;
    }

    struct Span {
        uint64 fromS;
        uint64 untilS;
    }

    mapping(address subject => Hold) private _holds;
    mapping(address subject => Policies) private _policies;
    mapping(address subject => Move) private _moves;
    mapping(address subject => mapping(address controller => Span)) private _spans;

    constructor() EIP712("Medtrail", "1") {}

    modifier onlyController(address subject) {
        _requireController(subject);
        _;
    }

    /* RECOVERY */

    /// @inheritdoc IControl
    function registerPolicy(RecoveryPolicy calldata policy, bytes calldata signature) external {
        _register(policy, _policyId(policy), signature);
    }

    /// @inheritdoc IControl
    function startRecovery(
        RecoveryPolicy calldata policy,
        bytes calldata policySignature,
        address newController,
        Approval[] calldata approvals
    ) external {
        address subject = policy.subject;
        bytes32 id = _policyId(policy);
        Policies storage policies = _policies[subject];
        if (policies.registered == 0) _register(policy, id, policySignature);

        (bytes32 inForce, uint64 delayS) = _inForce(policies);
        require(id == inForce, PolicyNotInForce(subject, id));
        // It would come into force before the recovery is over.
        require(
            policies.waiting == 0 || policies.waiting == inForce,
            PolicyWaits(subject, policies.waiting, policies.waitsUntilS)
        );
        Move storage move = _moves[subject];
        require(move.finishesAtS == 0, RecoveryRuns(subject, move.rounds));
        require(newController != address(0), ZeroAddress());
        require(
            newController != controllerOf(subject) && _spans[subject][newController].untilS == 0,
            ControllerRefused(subject, newController)
        );

        uint32 round = move.rounds + 1;
        _requireApprovals(policy, id, newController, round, approvals);
        uint64 finishesAtS = _nowS() + delayS;
        _moves[subject] = Move({newController: newController, finishesAtS: finishesAtS, rounds: round});
        emit RecoveryStarted(subject, id, newController, round, finishesAtS);
    }

    /// @inheritdoc IControl
    function veto(address subject, bytes calldata signature) external {
        Move storage move = _moves[subject];
        uint64 finishesAtS = move.finishesAtS;
        require(finishesAtS != 0, NoRecoveryRuns(subject));
        require(!_hasCome(finishesAtS), RecoveryDue(subject, finishesAtS));
        _requireActs(controllerOf(subject), keccak256(abi.encode(VETO_TYPEHASH, subject, move.rounds)), signature);
        _dropMove(subject);
    }

    /// @inheritdoc IControl
    function finishRecovery(address subject) external {
        Move storage move = _moves[subject];
        uint64 finishesAtS = move.finishesAtS;
        require(finishesAtS != 0, NoRecoveryRuns(subject));
        require(_hasCome(finishesAtS), FinishesLater(subject, finishesAtS));

        address oldController = controllerOf(subject);
        address newController = move.newController;
        uint64 nowS = _nowS();
        _spans[subject][oldController].untilS = nowS;
        _spans[subject][newController].fromS = nowS;
        _holds[subject].controller = newController;
        _holds[subject].frozenUntilS = 0;
        move.newController = address(0);
        move.finishesAtS = 0;
        emit ControlMoved(subject, oldController, newController, move.rounds, nowS);
    }

    /* FREEZE */

    /// @inheritdoc IControl
    function freeze(address subject, bytes calldata signature) external {
        _freeze(subject, controllerOf(subject), signature);
    }

    /// @inheritdoc IControl
    function freezeAsTrustee(RecoveryPolicy calldata policy, address trustee, bytes calldata signature) external {
        bytes32 id = _policyId(policy);
        (bytes32 inForce,) = _inForce(_policies[policy.subject]);
        require(id == inForce, PolicyNotInForce(policy.subject, id));
        require(_find(policy.trustees, trustee, 0) < policy.trustees.length, NotTrustee(id, trustee));
        _freeze(policy.subject, trustee, signature);
    }

    /// @inheritdoc IControl
    function unfreeze(address subject, bytes calldata signature) external {
        Hold storage hold = _holds[subject];
        require(hold.frozenUntilS == FOR_EVER, NothingToUnfreeze(subject));
        _requireActs(controllerOf(subject), keccak256(abi.encode(UNFREEZE_TYPEHASH, subject, hold.freezes)), signature);

        (bytes32 inForce, uint64 delayS) = _inForce(_policies[subject]);
        uint64 unfrozenFromS = _nowS() + (inForce == 0 ? UNFREEZE_DELAY_S : delayS);
        hold.frozenUntilS = unfrozenFromS;
        emit UnfreezeStarted(subject, hold.freezes, unfrozenFromS);
    }

    /* VIEWS */

    /// @inheritdoc IControl
    function controllerOf(address subject) public view returns (address) {
        address controller = _holds[subject].controller;
        return controller == address(0) ? subject : controller;
    }

    /// @inheritdoc IControl
    function controlledAt(address subject, address who, uint64 timeS) external view returns (bool) {
        Span storage span = _spans[subject][who];
        bool controls = who != address(0) && (who == subject || span.fromS != 0);
        return controls && span.fromS <= timeS && (span.untilS == 0 || timeS < span.untilS);
    }

    /// @inheritdoc IControl
    function freezeOf(address subject) external view returns (uint64 frozenUntilS, uint64 freezes) {
        Hold storage hold = _holds[subject];
        return (_hasCome(hold.frozenUntilS) ? 0 : hold.frozenUntilS, hold.freezes);
    }

    /// @inheritdoc IControl
    function recoveryOf(address subject) external view returns (Recovery memory recovery) {
        Policies storage policies = _policies[subject];
        Move storage move = _moves[subject];
        (recovery.policy, recovery.delayS) = _inForce(policies);
        if (policies.waiting != recovery.policy) {
            recovery.waitingPolicy = policies.waiting;
            recovery.waitsUntilS = policies.waitsUntilS;
        }
        recovery.epoch = policies.epoch;
        recovery.newController = move.newController;
        recovery.finishesAtS = move.finishesAtS;
        recovery.rounds = move.rounds;
    }

    /* INTERNAL */

    /// @dev Whether the person has taken a signed document back before it was ever used.
    function _isRevoked(address subject, bytes32 id) internal view virtual returns (bool);

    function _register(RecoveryPolicy calldata policy, bytes32 id, bytes calldata signature) private {
        address subject = policy.subject;
        _requireWellFormed(policy);
        Policies storage policies = _policies[subject];
        (bytes32 inForce, uint64 delayS) = _inForce(policies);
        uint64 newest = policies.epoch;
        require(
            (inForce == 0 || policy.epoch > newest) && policy.epoch <= newest + EPOCH_STEP_MAX,
            EpochOutOfRange(subject, policy.epoch, newest)
        );
        require(!_isRevoked(subject, id), PolicyRevoked(subject, id));
        _requireSigner(controllerOf(subject), id, signature);

        uint64 finishesAtS = _moves[subject].finishesAtS;
        if (finishesAtS != 0) {
            // Or a stolen key could stop a recovery after the time to veto.
            require(!_hasCome(finishesAtS), RecoveryDue(subject, finishesAtS));
            _dropMove(subject);
        }

        uint64 inForceFromS = _nowS();
        policies.epoch = policy.epoch;
        // Policy delays are at most DELAY_MAX_S.
        // forge-lint: disable-start(unsafe-typecast)
        if (inForce == 0) {
            policies.registered = id;
            policies.delayS = uint32(policy.delayS);
        } else {
            inForceFromS += delayS;
            policies.registered = inForce;
            policies.delayS = uint32(delayS);
            policies.waiting = id;
            policies.waitingDelayS = uint32(policy.delayS);
            policies.waitsUntilS = inForceFromS;
        }
        // forge-lint: disable-end(unsafe-typecast)
        emit PolicyRegistered(subject, id, policy.epoch, policy.delayS, inForceFromS);
    }

    function _requireWellFormed(RecoveryPolicy calldata policy) private pure {
        uint256 count = policy.trustees.length;
        require(count != 0 && count <= TRUSTEES_MAX, TrusteeCountOutOfRange(count));
        require(policy.needed != 0 && policy.needed <= count, NeededOutOfRange(policy.needed, count));
        require(policy.delayS >= DELAY_MIN_S && policy.delayS <= DELAY_MAX_S, DelayOutOfRange(policy.delayS));
        address last = address(0);
        for (uint256 i = 0; i < count; ++i) {
            address trustee = policy.trustees[i];
            // Ascending, so that nobody counts twice. The subject's own key is what trustees are there to replace.
            require(trustee > last && trustee != policy.subject, TrusteeRefused(trustee));
            last = trustee;
        }
    }

    function _requireApprovals(
        RecoveryPolicy calldata policy,
        bytes32 id,
        address newController,
        uint64 round,
        Approval[] calldata approvals
    ) private view {
        require(approvals.length >= policy.needed, TooFewApprovals(approvals.length, policy.needed));
        uint256 next = 0;
        for (uint256 i = 0; i < approvals.length; ++i) {
            Approval calldata approval = approvals[i];
            // From behind the last one found: nobody counts twice.
            next = _find(policy.trustees, approval.trustee, next) + 1;
            require(next <= policy.trustees.length, NotTrustee(id, approval.trustee));
            if (msg.sender == approval.trustee) continue;
            require(!_hasCome(approval.expiresAt), ApprovalExpired(approval.trustee, approval.expiresAt));
            bytes32 structHash =
                keccak256(abi.encode(APPROVAL_TYPEHASH, policy.subject, id, newController, round, approval.expiresAt));
            _requireSignature(approval.trustee, _hashTypedDataV4(structHash), approval.signature);
        }
    }

    function _freeze(address subject, address by, bytes calldata signature) private {
        Hold storage hold = _holds[subject];
        require(hold.frozenUntilS != FOR_EVER, AlreadyFrozen(subject));
        uint32 number = hold.freezes + 1;
        _requireActs(by, keccak256(abi.encode(FREEZE_TYPEHASH, subject, number)), signature);
        hold.frozenUntilS = FOR_EVER;
        hold.freezes = number;
        emit Frozen(subject, by, number);
    }

    function _dropMove(address subject) private {
        Move storage move = _moves[subject];
        emit RecoveryVetoed(subject, move.newController, move.rounds);
        move.newController = address(0);
        move.finishesAtS = 0;
    }

    function _inForce(Policies storage policies) private view returns (bytes32 id, uint64 delayS) {
        return policies.waiting != 0 && _hasCome(policies.waitsUntilS)
            ? (policies.waiting, policies.waitingDelayS)
            : (policies.registered, policies.delayS);
    }

    /// @return the trustee's place from `start` on, or the number of trustees
    function _find(address[] calldata trustees, address trustee, uint256 start) private pure returns (uint256) {
        while (start < trustees.length && trustees[start] != trustee) ++start;
        return start;
    }

    function _policyId(RecoveryPolicy calldata policy) private view returns (bytes32) {
        // Packed, because EIP-712 hashes an array as its elements, each of them a word, without offset and length.
        bytes32 trustees = keccak256(abi.encodePacked(policy.trustees));
        return _hashTypedDataV4(
            keccak256(
                abi.encode(
                    POLICY_TYPEHASH,
                    keccak256(bytes(policy.statement)),
                    policy.subject,
                    trustees,
                    policy.needed,
                    policy.delayS,
                    policy.epoch
                )
            )
        );
    }

    function _requireNotFrozen(address subject) internal view {
        uint64 frozenUntilS = _holds[subject].frozenUntilS;
        require(_hasCome(frozenUntilS), SubjectFrozen(subject, frozenUntilS));
    }

    function _requireController(address subject) private view {
        // The zero address sends no transaction but is the usual sender of an `eth_call`.
        require(msg.sender == controllerOf(subject) && msg.sender != address(0), NotController(subject, msg.sender));
    }

    function _requireActs(address who, bytes32 structHash, bytes calldata signature) private view {
        _requireSigner(who, _hashTypedDataV4(structHash), signature);
    }

    function _requireSigner(address who, bytes32 digest, bytes calldata signature) private view {
        if (msg.sender != who || who == address(0)) _requireSignature(who, digest, signature);
    }

    /// @dev ECDSA first: checkers that go by code size refuse the own key of an account that delegates by EIP-7702.
    function _requireSignature(address signer, bytes32 digest, bytes calldata signature) internal view {
        (address recovered, ECDSA.RecoverError refusal,) = ECDSA.tryRecoverCalldata(digest, signature);
        require(
            (refusal == ECDSA.RecoverError.NoError && recovered == signer)
                || SignatureChecker.isValidERC1271SignatureNowCalldata(signer, digest, signature),
            InvalidSignature(signer, digest)
        );
    }

    /// @dev What a block's maker can shift is nothing beside the delays.
    function _hasCome(uint64 timeS) private view returns (bool) {
        // forge-lint: disable-next-line(block-timestamp)
        return block.timestamp >= timeS;
    }

    function _nowS() internal view returns (uint64) {
        return uint64(block.timestamp);
    }
}
