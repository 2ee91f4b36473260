// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

/// @title IAnchorRegistry
/// @notice Where operators anchor their logs. A log can only grow: each anchor proves to this contract that it begins with the one before.
/// @dev Nobody owns this contract, nobody can pause or change it, and it takes no fee.
/// It is also the `verifyingContract` of the documents that custodians and operators sign (EIP-712, name "Medtrail",
/// version "1"); `eip712Domain()` tells the rest.
/// Warning: an anchor shows that a log grew from the one before it. It does not show that the leaves exist, or that what
/// they say is true: the hashes in a proof may be invented. Whoever relies on a log keeps a copy of its tiles.
/// Warning: entries newer than the last anchor are held by the operator's signed checkpoints only.
interface IAnchorRegistry {
    /// @notice A log's state at one anchor.
    /// @param number the anchor's place among the log's anchors, from 1
    /// @param size leaves in the tree
    /// @param root RFC 9162 root of these leaves, SHA-256
    /// @param timeS the anchoring block's timestamp, in seconds
    struct Anchor {
        uint64 number;
        uint64 size;
        bytes32 root;
        uint64 timeS;
    }

    /// @notice What a log's newest anchor left in storage.
    /// @param operator who anchors; zero for a log that is closed or was never opened
    /// @param size leaves at the newest anchor
    /// @param timeS timestamp of the newest anchor in seconds, modulo 2^32
    /// @param count anchors so far, which is the newest anchor's number
    struct Head {
        address operator;
        uint40 size;
        uint32 timeS;
        uint24 count;
    }

    /// @notice What is said about a log beside its anchors.
    /// @param coldKey may replace the operator, close the log and name its successor; never changes
    /// @param noteKey Ed25519 public key of the log's signed notes
    /// @param anchorWithinS the operator's promise: seconds from an entry's receipt to an anchor that covers it; zero promises nothing
    /// @param closed no anchor follows, for ever
    /// @param successor the log that continues a closed one, or zero
    /// @param pendingOperator who may become operator from `rotatesAtS` on, or zero
    /// @param rotatesAtS in seconds, zero when no rotation is pending
    struct LogInfo {
        address coldKey;
        bytes32 noteKey;
        uint32 anchorWithinS;
        bool closed;
        bytes32 successor;
        address pendingOperator;
        uint64 rotatesAtS;
    }

    event Opened(
        bytes32 indexed log,
        address indexed operator,
        address indexed coldKey,
        bytes32 noteKey,
        uint32 anchorWithinS,
        string origin
    );
    event Anchored(
        bytes32 indexed log, address indexed operator, uint64 indexed number, uint64 size, bytes32 root, uint64 timeS
    );
    event RotationStarted(
        bytes32 indexed log, address indexed operator, address indexed pendingOperator, uint64 rotatesAtS
    );
    event RotationCancelled(bytes32 indexed log, address indexed operator, address indexed pendingOperator);
    event OperatorRotated(bytes32 indexed log, address indexed oldOperator, address indexed operator);
    event Closed(bytes32 indexed log, address indexed operator, uint64 count, uint64 size);
    event Succeeded(bytes32 indexed log, bytes32 indexed successor);

    error LogAlreadyOpen(bytes32 log);
    error LogClosed(bytes32 log);
    error LogNotClosed(bytes32 log);
    error LogAlreadySucceeded(bytes32 log, bytes32 successor);
    error ZeroAddress();
    error NotOperator(bytes32 log, address caller);
    error NotColdKey(bytes32 log, address caller);
    error NotPendingOperator(bytes32 log, address caller);
    error NoRotationPending(bytes32 log);
    error RotatesLater(bytes32 log, uint64 rotatesAtS);
    /// @notice `oldHead` is not the log's newest anchor, which has this number.
    error OldHeadMismatch(bytes32 log, uint64 number);
    /// @notice The tree offered does not begin with the anchored one, or the proof does not show it.
    error DoesNotExtend(bytes32 log, uint64 oldSize, uint64 size);
    error GrowthTooLarge(bytes32 log, uint64 oldSize, uint64 size);
    error SizeTooLarge(bytes32 log, uint64 size);
    error TooManyAnchors(bytes32 log);

    /// @notice Most leaves one anchor may add.
    /// @dev A stolen operator key could otherwise anchor an absurd size, which no honest tree ever reaches again.
    function GROWTH_MAX() external view returns (uint64);

    /// @notice Anchors of a log that `living` and `included` still know: the newest 64.
    function RING_SIZE() external view returns (uint64);

    /// @notice Seconds between `rotate` and the earliest `acceptRotation`.
    function ROTATION_DELAY_S() external view returns (uint64);

    /// @notice Opens a log with the caller as operator.
    /// @dev Warning: the contract does not check who stands behind `origin`. Anybody may open a log of any name under
    /// their own address; a verifier names the logs it trusts.
    /// @return log `keccak256(abi.encode(chainid, this contract, caller, origin))`: one for each opener and origin
    function open(string calldata origin, address coldKey, bytes32 noteKey, uint32 anchorWithinS)
        external
        returns (bytes32 log);

    /// @notice Anchors a larger tree. Only the operator.
    /// @param oldHead the log's newest anchor; all zero for the first
    /// @param consistencyProof RFC 9162 proof that the tree begins with `oldHead`'s; empty for the first
    /// @return number of the new anchor
    function anchor(
        bytes32 log,
        Anchor calldata oldHead,
        uint64 size,
        bytes32 root,
        bytes32[] calldata consistencyProof
    ) external returns (uint64 number);

    /// @notice Announces a new operator. Only the cold key; a second call replaces the first and starts the delay again.
    /// @dev The delay gives everybody who watches the log time to leave it. The operator cannot object: its key may be the stolen one.
    /// Warning: this does not heal a log to which a thief has anchored leaves of their own, since the honest tree no longer extends it.
    /// Close that log, open another and name it the successor.
    function rotate(bytes32 log, address newOperator) external;

    /// @notice Drops the pending rotation. Only the cold key.
    function cancelRotation(bytes32 log) external;

    /// @notice Takes over as operator after the delay. Only the pending operator, which so shows that it holds its key.
    function acceptRotation(bytes32 log) external;

    /// @notice Ends a log at once and for ever. Only the cold key. Its last anchors stay provable.
    function close(bytes32 log) external;

    /// @notice Names the open log that continues a closed one, once. Only the cold key of both.
    /// @dev Warning: nothing ties the successor's leaves to the closed log's. This says who speaks for both, no more.
    function succeed(bytes32 log, bytes32 newLog) external;

    /// @notice Whether `commitment` is entry `index` of the log at `anchor_`.
    /// @dev False, never a revert, for whatever does not hold: an anchor that is not living, a wrong index, a wrong proof.
    /// The leaf is hashed here, so no inner node can be passed off as an entry.
    function included(bytes32 log, Anchor calldata anchor_, uint64 index, bytes32 commitment, bytes32[] calldata proof)
        external
        view
        returns (bool);

    /// @notice Whether `anchor_` is, in every field, one of the log's newest 64 anchors.
    /// @dev An older one is proved by a consistency path to a living one, off chain.
    function living(bytes32 log, Anchor calldata anchor_) external view returns (bool);

    /// @notice All zero for a log that was never opened.
    function head(bytes32 log) external view returns (Head memory);

    /// @notice The id that `open` gives, or gave, to this opener's log of this origin.
    function logOf(address opener, string calldata origin) external view returns (bytes32);

    /// @notice All zero for a log that was never opened.
    function logInfo(bytes32 log) external view returns (LogInfo memory);
}
