// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {IAnchorRegistry} from "../../../contracts/interfaces/IAnchorRegistry.sol";
import {RegistryTest} from "../utils/RegistryTest.sol";

/// @notice What the calls cost as transactions, and that they keep to their budgets.
/// @dev Means something under the release profile only, which compiles what is deployed and runs each call as a
/// transaction of its own: intrinsic gas, calldata and its floor, cold slots.
contract AnchorRegistry_Gas is RegistryTest {
    string private constant GROUP = "AnchorRegistry";
    uint64 private constant MILLION = 1 << 20;
    uint64 private constant BATCH = 1000;

    uint256 private constant MEAN_MAX = 66_000;
    uint256 private constant WORST_MAX = 72_000;
    uint256 private constant COLD_MAX = 86_000;

    function test_OpeningALog() external {
        vm.prank(stranger);
        registry.open(ORIGIN, coldKey, NOTE_KEY, ANCHOR_WITHIN_S);
        vm.snapshotGasLastCall(GROUP, "open");
    }

    function test_TheFirst64AnchorsKeepToTheirBudget() external {
        for (uint64 i = 0; i < 64; ++i) {
            anchorTo(MILLION - (63 - i) * BATCH);
            assertLe(vm.lastCallGas().gasTotalUsed, COLD_MAX);
            if (i == 0) vm.snapshotGasLastCall(GROUP, "anchor, first of a log");
        }
        vm.snapshotGasLastCall(GROUP, "anchor, 64th, 2^20 leaves");
    }

    function test_LaterAnchorsKeepToTheirBudget() external {
        warmUp(MILLION);
        uint256 sum;
        uint256 most;
        for (uint64 i = 1; i <= 200; ++i) {
            anchorTo(MILLION + i * BATCH);
            uint256 gas = vm.lastCallGas().gasTotalUsed;
            sum += gas;
            if (gas > most) most = gas;
        }
        vm.snapshotValue(GROUP, "anchor, later, mean of 200, 2^20 leaves", sum / 200);
        vm.snapshotValue(GROUP, "anchor, later, most of 200, 2^20 leaves", most);
        assertLe(sum / 200, MEAN_MAX);
        assertLe(most, WORST_MAX);
    }

    /// @dev The old tree's last leaf has a sibling for every level, on its left for all but the lowest: each is hashed twice.
    function test_TheLongestWalkKeepsToItsBudget() external {
        warmUp(MILLION - 1);
        anchorTo(MILLION);
        vm.snapshotGasLastCall(GROUP, "anchor, later, worst at 2^20 leaves");
        assertLe(vm.lastCallGas().gasTotalUsed, WORST_MAX);
    }

    function test_Inclusion() external {
        IAnchorRegistry.Anchor memory million = anchorTo(MILLION);
        bytes32[] memory proof = inclusionOf(777_777, MILLION);
        registry.included(logId, million, 777_777, COMMITMENT, proof);
        vm.snapshotGasLastCall(GROUP, "included, 2^20 leaves, as a view");
    }

    /// @dev A log with a full ring.
    function warmUp(uint64 size) private {
        for (uint64 left = 64; left > 0; --left) {
            anchorTo(size - left + 1);
        }
    }
}
