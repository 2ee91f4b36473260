// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {MerkleLog} from "./MerkleLog.sol";
import {IAnchorRegistry} from "./interfaces/IAnchorRegistry.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

/// @title AnchorRegistry
contract AnchorRegistry is IAnchorRegistry, EIP712 {
    /// @inheritdoc IAnchorRegistry
    uint64 public constant GROWTH_MAX = 1 << 26;

    /// @inheritdoc IAnchorRegistry
    uint64 public constant RING_SIZE = 64;

    /// @inheritdoc IAnchorRegistry
    uint64 public constant ROTATION_DELAY_S = 2 days;

    struct Log {
        Head head;
        bytes32[RING_SIZE] ring;
        LogInfo info;
    }

    mapping(bytes32 log => Log) private _logs;

    constructor() EIP712("Medtrail", "1") {}

    modifier onlyColdKey(bytes32 log) {
        _requireColdKey(log);
        _;
    }

    /* HISTORY */

    /// @inheritdoc IAnchorRegistry
    function open(string calldata origin, address coldKey, bytes32 noteKey, uint32 anchorWithinS)
        external
        returns (bytes32 log)
    {
        require(coldKey != address(0), ZeroAddress());
        log = logOf(msg.sender, origin);
        Log storage opened = _logs[log];
        require(opened.info.coldKey == address(0), LogAlreadyOpen(log));

        opened.head.operator = msg.sender;
        opened.info.coldKey = coldKey;
        opened.info.noteKey = noteKey;
        opened.info.anchorWithinS = anchorWithinS;
        emit Opened(log, msg.sender, coldKey, noteKey, anchorWithinS, origin);
    }

    /// @inheritdoc IAnchorRegistry
    function anchor(
        bytes32 log,
        Anchor calldata oldHead,
        uint64 size,
        bytes32 root,
        bytes32[] calldata consistencyProof
    ) external returns (uint64 number) {
        Log storage anchored = _logs[log];
        Head memory newest = anchored.head;
        if (!_isCaller(newest.operator)) {
            // `close` clears the operator, so only a refused caller pays for reading the flag.
            require(!anchored.info.closed, LogClosed(log));
            revert NotOperator(log, msg.sender);
        }

        bool first = newest.count == 0;
        require(
            oldHead.number == newest.count
                && (first ? _isZero(oldHead) : anchored.ring[newest.count % RING_SIZE] == _commit(oldHead)),
            OldHeadMismatch(log, newest.count)
        );
        require(newest.count < type(uint24).max, TooManyAnchors(log));
        require(size > oldHead.size, DoesNotExtend(log, oldHead.size, size));
        require(size - oldHead.size <= GROWTH_MAX, GrowthTooLarge(log, oldHead.size, size));
        require(size <= type(uint40).max, SizeTooLarge(log, size));
        require(
            first
                ? consistencyProof.length == 0
                : MerkleLog.verifyConsistency(oldHead.size, size, oldHead.root, root, consistencyProof),
            DoesNotExtend(log, oldHead.size, size)
        );

        number = newest.count + 1;
        uint64 timeS = uint64(block.timestamp);
        anchored.ring[number % RING_SIZE] = _commit(size, root, timeS);
        // Size and count are bounded above. The time may wrap, which must not stop a log in the year 2106: the ring keeps
        // it whole.
        // forge-lint: disable-next-item(unsafe-typecast)
        anchored.head = Head({operator: msg.sender, size: uint40(size), timeS: uint32(timeS), count: uint24(number)});
        emit Anchored(log, msg.sender, number, size, root, timeS);
    }

    /// @inheritdoc IAnchorRegistry
    function included(bytes32 log, Anchor calldata anchor_, uint64 index, bytes32 commitment, bytes32[] calldata proof)
        external
        view
        returns (bool)
    {
        return living(log, anchor_)
            && MerkleLog.verifyInclusion(index, anchor_.size, MerkleLog.leaf(commitment), anchor_.root, proof);
    }

    /* CONTROL */

    /// @inheritdoc IAnchorRegistry
    function rotate(bytes32 log, address newOperator) external onlyColdKey(log) {
        require(newOperator != address(0), ZeroAddress());
        Log storage rotated = _logs[log];
        require(!rotated.info.closed, LogClosed(log));

        uint64 rotatesAtS = uint64(block.timestamp) + ROTATION_DELAY_S;
        rotated.info.pendingOperator = newOperator;
        rotated.info.rotatesAtS = rotatesAtS;
        emit RotationStarted(log, rotated.head.operator, newOperator, rotatesAtS);
    }

    /// @inheritdoc IAnchorRegistry
    function cancelRotation(bytes32 log) external onlyColdKey(log) {
        Log storage kept = _logs[log];
        address pendingOperator = kept.info.pendingOperator;
        require(pendingOperator != address(0), NoRotationPending(log));

        _dropRotation(kept);
        emit RotationCancelled(log, kept.head.operator, pendingOperator);
    }

    /// @inheritdoc IAnchorRegistry
    function acceptRotation(bytes32 log) external {
        Log storage rotated = _logs[log];
        require(_isCaller(rotated.info.pendingOperator), NotPendingOperator(log, msg.sender));
        uint64 rotatesAtS = rotated.info.rotatesAtS;
        // What a block's maker can shift is nothing beside the delay.
        // forge-lint: disable-next-line(block-timestamp)
        require(block.timestamp >= rotatesAtS, RotatesLater(log, rotatesAtS));

        address oldOperator = rotated.head.operator;
        rotated.head.operator = msg.sender;
        _dropRotation(rotated);
        emit OperatorRotated(log, oldOperator, msg.sender);
    }

    /// @inheritdoc IAnchorRegistry
    function close(bytes32 log) external onlyColdKey(log) {
        Log storage closed = _logs[log];
        require(!closed.info.closed, LogClosed(log));

        Head memory last = closed.head;
        closed.head.operator = address(0);
        closed.info.closed = true;
        _dropRotation(closed);
        emit Closed(log, last.operator, last.count, last.size);
    }

    /// @inheritdoc IAnchorRegistry
    function succeed(bytes32 log, bytes32 newLog) external onlyColdKey(log) onlyColdKey(newLog) {
        LogInfo storage info = _logs[log].info;
        require(info.closed, LogNotClosed(log));
        require(info.successor == 0, LogAlreadySucceeded(log, info.successor));
        // Also keeps successors from running in a circle.
        require(!_logs[newLog].info.closed, LogClosed(newLog));

        info.successor = newLog;
        emit Succeeded(log, newLog);
    }

    /* VIEWS */

    /// @inheritdoc IAnchorRegistry
    function living(bytes32 log, Anchor calldata anchor_) public view returns (bool) {
        Log storage held = _logs[log];
        uint64 count = held.head.count;
        // The commitment leaves the number out: it says which slot, and each slot holds one living anchor.
        return anchor_.number != 0 && anchor_.number <= count && count - anchor_.number < RING_SIZE
            && held.ring[anchor_.number % RING_SIZE] == _commit(anchor_);
    }

    /// @inheritdoc IAnchorRegistry
    function head(bytes32 log) external view returns (Head memory) {
        return _logs[log].head;
    }

    /// @inheritdoc IAnchorRegistry
    function logInfo(bytes32 log) external view returns (LogInfo memory) {
        return _logs[log].info;
    }

    /// @inheritdoc IAnchorRegistry
    function logOf(address opener, string calldata origin) public view returns (bytes32) {
        return keccak256(abi.encode(block.chainid, address(this), opener, origin));
    }

    /* INTERNAL */

    function _requireColdKey(bytes32 log) private view {
        require(_isCaller(_logs[log].info.coldKey), NotColdKey(log, msg.sender));
    }

    /// @dev An empty slot names the zero address, which sends no transaction but is the usual sender of an `eth_call`.
    function _isCaller(address named) private view returns (bool) {
        return msg.sender == named && named != address(0);
    }

    function _dropRotation(Log storage log) private {
        log.info.pendingOperator = address(0);
        log.info.rotatesAtS = 0;
    }

    function _commit(Anchor calldata anchor_) private pure returns (bytes32) {
        return _commit(anchor_.size, anchor_.root, anchor_.timeS);
    }

    function _commit(uint64 size, bytes32 root, uint64 timeS) private pure returns (bytes32) {
        return keccak256(abi.encode(size, root, timeS));
    }

    function _isZero(Anchor calldata anchor_) private pure returns (bool) {
        return anchor_.number | anchor_.size | anchor_.timeS == 0 && anchor_.root == 0;
    }
}
