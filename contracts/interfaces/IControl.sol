// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

/// @title IControl
/// @notice Who acts for a subject: the address itself, until trustees whom it named move control to another.
/// @dev Where a function takes a `signature`, either the person it asks for sends the transaction and the signature is
/// ignored, or anybody sends it with that person's signature: ECDSA (65 bytes, low s), else ERC-1271. ECDSA comes first,
/// so an account that delegates by EIP-7702 goes on signing with its key. Besides RecoveryPolicy the signed documents are
/// `RecoveryApproval(address subject,bytes32 policy,address newController,uint64 round,uint64 expiresAt)`,
/// `Veto(address subject,uint64 round)`, `Freeze(address subject,uint64 number)` and
/// `Unfreeze(address subject,uint64 number)`.
/// Warning: this heals loss, not theft. Who holds a stolen key can veto every recovery, and can replace the trustees
/// after the delay. A freeze takes permitting from the thief, and so time, no more.
/// Warning: a policy that is not registered protects against loss only: a thief registers one of their own first, and its
/// trustees cannot freeze. Nor can a signed policy be taken back off chain: its trustees may register it, and recover,
/// as long as no later one is registered and its id is not revoked.
/// Warning: enough trustees together take control if nobody vetoes for the length of the delay.
interface IControl {
    /// @notice Whom a person trusts to move control when the key is lost. Its EIP-712 digest is its id.
    /// @param statement what the person read; not checked here
    /// @param trustees ascending, each once, and not the subject
    /// @param needed how many of them start a recovery
    /// @param delayS how long a recovery can be vetoed, and how long a later policy waits
    /// @param epoch orders the policies of one subject, whether registered or not; has nothing to do with the epoch of permissions
    struct RecoveryPolicy {
        string statement;
        address subject;
        address[] trustees;
        uint8 needed;
        uint64 delayS;
        uint64 epoch;
    }

    /// @notice That a trustee wants a recovery: by a RecoveryApproval, or as the caller, who needs no signature.
    /// @param expiresAt in seconds; the signature is good before this time
    struct Approval {
        address trustee;
        uint64 expiresAt;
        bytes signature;
    }

    /// @notice A subject's policies, and the recovery that runs.
    /// @param policy id of the policy in force, or zero
    /// @param delayS of the policy in force
    /// @param waitingPolicy id of the registered policy that comes into force at `waitsUntilS`, or zero
    /// @param waitsUntilS in seconds, zero when none waits
    /// @param epoch of the newest registered policy, which is the waiting one if one waits
    /// @param newController whom the running recovery moves control to, or zero
    /// @param finishesAtS from this time on it can be finished and no longer vetoed, zero when none runs
    /// @param rounds recoveries started so far; the newest has this number
    struct Recovery {
        bytes32 policy;
        uint64 delayS;
        bytes32 waitingPolicy;
        uint64 waitsUntilS;
        uint64 epoch;
        address newController;
        uint64 finishesAtS;
        uint64 rounds;
    }

    /// @notice In force from `inForceFromS` on, in place of the policy in force and of one that waited.
    event PolicyRegistered(
        address indexed subject, bytes32 indexed policy, uint64 epoch, uint64 delayS, uint64 inForceFromS
    );
    event RecoveryStarted(
        address indexed subject, bytes32 indexed policy, address indexed newController, uint64 round, uint64 finishesAtS
    );
    /// @notice The controller refused, by a veto or by registering a later policy.
    event RecoveryVetoed(address indexed subject, address indexed newController, uint64 round);
    /// @notice The recovery is finished. A freeze ends with it.
    event ControlMoved(
        address indexed subject,
        address indexed oldController,
        address indexed newController,
        uint64 round,
        uint64 movedAtS
    );
    /// @notice For ever, until an unfreeze or a recovery.
    event Frozen(address indexed subject, address indexed by, uint64 number);
    event UnfreezeStarted(address indexed subject, uint64 number, uint64 unfrozenFromS);

    error NotController(address subject, address caller);
    /// @notice Neither the caller nor whoever signed `digest` is `signer`.
    error InvalidSignature(address signer, bytes32 digest);
    error ZeroAddress();
    error TrusteeCountOutOfRange(uint256 trustees);
    /// @notice This trustee is not above the one before, is zero or is the subject.
    error TrusteeRefused(address trustee);
    error NeededOutOfRange(uint8 needed, uint256 trustees);
    error DelayOutOfRange(uint64 delayS);
    /// @notice The epoch is not above that of the subject's newest registered policy, or too far above it.
    error EpochOutOfRange(address subject, uint64 epoch, uint64 newestEpoch);
    error PolicyRevoked(address subject, bytes32 policy);
    error PolicyNotInForce(address subject, bytes32 policy);
    error PolicyWaits(address subject, bytes32 waitingPolicy, uint64 waitsUntilS);
    /// @notice Not one of the policy's trustees, named twice, or out of their order.
    error NotTrustee(bytes32 policy, address trustee);
    error TooFewApprovals(uint256 approvals, uint8 needed);
    error ApprovalExpired(address trustee, uint64 expiresAt);
    /// @notice It controls the subject now, or did before. What lost control never has it again.
    error ControllerRefused(address subject, address newController);
    error NoRecoveryRuns(address subject);
    error RecoveryRuns(address subject, uint64 round);
    error FinishesLater(address subject, uint64 finishesAtS);
    /// @notice The time to veto is over; anybody may finish the recovery.
    error RecoveryDue(address subject, uint64 finishesAtS);
    error SubjectFrozen(address subject, uint64 frozenUntilS);
    error AlreadyFrozen(address subject);
    /// @notice Not frozen, or the unfreezing has begun.
    error NothingToUnfreeze(address subject);

    /// @notice The shortest delay of a policy: a veto must get through while a rollup's sequencer is down.
    function DELAY_MIN_S() external view returns (uint64);

    /// @notice The longest delay of a policy: a later one must be able to replace it.
    function DELAY_MAX_S() external view returns (uint64);

    /// @notice Seconds that unfreezing takes when no policy is in force.
    function UNFREEZE_DELAY_S() external view returns (uint64);

    /// @notice Most trustees of a policy.
    function TRUSTEES_MAX() external view returns (uint256);

    /// @notice Most that a registered policy's epoch may exceed the newest one's.
    /// @dev A stolen key could otherwise use up the last epoch, after which no policy is ever replaced.
    function EPOCH_STEP_MAX() external view returns (uint64);

    /// @notice Registers a policy that the controller signed or sends.
    /// @dev The first of a subject is in force at once. A later one waits for the delay of the one in force, so that a
    /// thief cannot put trustees of their own in place at once; one that waited is replaced and the delay starts again. A
    /// recovery under the older one ends, and none starts while a policy waits. Revoking the id of a registered policy
    /// changes nothing.
    function registerPolicy(RecoveryPolicy calldata policy, bytes calldata signature) external;

    /// @notice Starts to move control, with as many approvals as the policy in force needs.
    /// @dev Anybody may carry them. A policy that was never registered is registered on the way, if the subject has none.
    /// Approvals are good for one round, so neither a veto nor the end of a recovery leaves any behind.
    /// @param policySignature the controller's, if the policy is not registered; else ignored
    /// @param approvals in the order of the trustees, by different ones
    function startRecovery(
        RecoveryPolicy calldata policy,
        bytes calldata policySignature,
        address newController,
        Approval[] calldata approvals
    ) external;

    /// @notice Ends the running recovery. Only the controller, until the delay has passed.
    function veto(address subject, bytes calldata signature) external;

    /// @notice Moves control, once the delay has passed. Anybody.
    /// @dev Subject, permissions, epoch and policy stay: the same trustees can move control again, which also heals a
    /// mistyped `newController`. A freeze ends. What the old controller signs from now on is void, and what it signed and
    /// nobody has carried here.
    function finishRecovery(address subject) external;

    /// @notice Stops permitting, at once. Only the controller.
    /// @dev Reading and revoking go on, as do permissions given before.
    /// Warning: who takes signed documents off chain has to ask `freezeOf`; since when and until when stands in the events.
    function freeze(address subject, bytes calldata signature) external;

    /// @notice Stops permitting, at once. Only a trustee of the policy in force.
    function freezeAsTrustee(RecoveryPolicy calldata policy, address trustee, bytes calldata signature) external;

    /// @notice Permits again after the delay of the policy in force, or `UNFREEZE_DELAY_S`. Only the controller, whoever froze.
    /// @dev Another freeze stops it at any time: a thief of the key needs the trustees' silence for the whole delay. A
    /// trustee who freezes out of malice is replaced by a later policy.
    function unfreeze(address subject, bytes calldata signature) external;

    /// @notice Who gives and takes permissions for this subject.
    function controllerOf(address subject) external view returns (address);

    /// @notice Whether `who` controlled the subject at this time, in seconds; of a time to come, as things stand.
    /// @dev Control is held from the second of the move to the second before the next.
    function controlledAt(address subject, address who, uint64 timeS) external view returns (bool);

    /// @return frozenUntilS zero if permitting is open, the largest uint64 if nobody has begun to unfreeze
    /// @return freezes so far; the newest has this number
    function freezeOf(address subject) external view returns (uint64 frozenUntilS, uint64 freezes);

    function recoveryOf(address subject) external view returns (Recovery memory);
}
