// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {AnchorRegistry} from "../../../contracts/AnchorRegistry.sol";
import {IAnchorRegistry} from "../../../contracts/interfaces/IAnchorRegistry.sol";
import {UniformLog} from "./UniformLog.sol";
import {Test} from "forge-std/Test.sol";

/// @notice A registry with one open log, whose anchors a test makes with `anchorTo`.
abstract contract RegistryTest is Test, UniformLog {
    string internal constant ORIGIN = "log.example.org/people";
    bytes32 internal constant NOTE_KEY = keccak256("note key");
    uint32 internal constant ANCHOR_WITHIN_S = 1200;
    uint64 internal constant START_S = 1_800_000_000;

    AnchorRegistry internal registry;
    address internal operator = makeAddr("operator");
    address internal coldKey = makeAddr("cold key");
    address internal stranger = makeAddr("stranger");
    bytes32 internal logId;
    /// @dev The log's newest anchor; all zero before the first.
    IAnchorRegistry.Anchor internal newest;

    function setUp() public virtual {
        vm.warp(START_S);
        registry = new AnchorRegistry();
        vm.prank(operator);
        logId = registry.open(ORIGIN, coldKey, NOTE_KEY, ANCHOR_WITHIN_S);
    }

    function anchorTo(uint64 size) internal returns (IAnchorRegistry.Anchor memory) {
        bytes32[] memory proof = newest.number == 0 ? none() : consistencyOf(newest.size, size);
        // Not inside the call's arguments: hashing calls a precompile, which would use up the prank.
        bytes32 root = rootOf(size);
        vm.prank(operator);
        uint64 number = registry.anchor(logId, newest, size, root, proof);
        newest = IAnchorRegistry.Anchor({number: number, size: size, root: root, timeS: uint64(block.timestamp)});
        return newest;
    }

    function closeLog() internal {
        vm.prank(coldKey);
        registry.close(logId);
    }

    /// @dev Puts the log where no test has the time to go: slot 2 holds the logs, each with its head, then its ring.
    function placeAt(IAnchorRegistry.Anchor memory anchor_) internal {
        uint256 slot = uint256(keccak256(abi.encode(logId, uint256(2))));
        uint256 packed = uint256(uint160(operator)) | uint256(anchor_.size) << 160 | uint256(uint32(anchor_.timeS))
            << 200 | uint256(anchor_.number) << 232;
        vm.store(address(registry), bytes32(slot), bytes32(packed));
        vm.store(
            address(registry),
            bytes32(slot + 1 + anchor_.number % 64),
            keccak256(abi.encode(anchor_.size, anchor_.root, anchor_.timeS))
        );
        newest = anchor_;
    }

    function assertNewest(IAnchorRegistry.Anchor memory anchor_) internal view {
        IAnchorRegistry.Head memory head = registry.head(logId);
        assertEq(head.count, anchor_.number, "count");
        assertEq(head.size, anchor_.size, "size");
        assertEq(head.timeS, uint32(anchor_.timeS), "time");
        assertTrue(registry.living(logId, anchor_), "the newest anchor lives");
    }

    function none() internal pure returns (bytes32[] memory) {
        return new bytes32[](0);
    }
}
