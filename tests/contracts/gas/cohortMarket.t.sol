// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {IAnchorRegistry} from "../../../contracts/interfaces/IAnchorRegistry.sol";
import {ICohortMarket} from "../../../contracts/interfaces/ICohortMarket.sol";
import {CohortDocuments} from "../utils/CohortDocuments.sol";
import {CohortTest} from "../utils/CohortTest.sol";
import {ReferenceLog} from "../utils/ReferenceLog.sol";

/// @notice What the calls cost as transactions, and that a person of a cohort keeps to a budget.
/// @dev Means something under the release profile only, as in anchorRegistry.t.sol.
contract CohortMarket_Gas is CohortTest {
    string private constant GROUP = "CohortMarket";

    uint256 private constant OPEN_MAX = 54_000;
    uint256 private constant PERSON_MAX = 71_000;
    uint64 private constant FIRST = 777_776;

    function test_OpenAndClose() external {
        ICohortMarket.Cohort memory cohort = cohortOf();
        open(cohort);
        vm.snapshotGasLastCall(GROUP, "open");
        assertLe(vm.lastCallGas().gasTotalUsed, OPEN_MAX);
        vm.warp(SETTLE_UNTIL + 1);
        close(cohort);
        vm.snapshotGasLastCall(GROUP, "close");
        token.mint(address(cohorts), 1);
        cohort = cohortOf(address(token));
        cohort.deliverBy += 3 days;
        open(cohort);
        vm.snapshotGasLastCall(GROUP, "open, ERC-20");
    }

    function test_OnePerson() external {
        settleOf("settle, one person", cohortOf(), 1, true);
    }

    function test_SixteenPeopleKeepToTheBudget() external {
        uint256 gas = settleOf("settle, sixteen people", cohortOf(), 16, true);
        vm.snapshotValue(GROUP, "a person, of sixteen", gas / 16);
        assertLe(gas / 16, PERSON_MAX);
    }

    /// @dev Each a fresh account, which costs 25,000 more.
    function test_SixteenFreshAccountsKeepToTheBudget() external {
        uint256 gas = settleOf("settle, sixteen fresh accounts", cohortOf(), 16, false);
        assertLe(gas / 16, PERSON_MAX + 25_000);
    }

    function test_SixteenPeopleInAToken() external {
        token.mint(address(cohorts), 1);
        settleOf("settle, sixteen people, ERC-20", cohortOf(address(token)), 16, true);
    }

    /// @dev What is not won by the shared part of the proofs: each entry walks all 20 levels by itself.
    function test_SixteenPeopleWithoutASharedNode() external {
        uint256 gas = settleAt("settle, sixteen whole proofs", cohortOf(), 16, true, 20);
        vm.snapshotValue(GROUP, "a person, of sixteen whole proofs", gas / 16);
    }

    function settleOf(string memory name, ICohortMarket.Cohort memory cohort, uint32 count, bool isKnown)
        private
        returns (uint256)
    {
        return settleAt(name, cohort, count, isKnown, count == 1 ? 0 : 4);
    }

    /// @dev A tree of 2^20 leaves: the deliveries from 777,776 on, in one subtree of 16, all others equal.
    function settleAt(string memory name, ICohortMarket.Cohort memory cohort, uint32 count, bool isKnown, uint8 level)
        private
        returns (uint256)
    {
        cohort.places = count;
        morePeople(count);
        open(cohort);
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, count);
        for (uint256 i = 0; i < count && isKnown; ++i) {
            vm.deal(people[i], 1);
            if (cohort.token != address(0)) token.mint(people[i], 1);
        }
        ICohortMarket.Batch memory batch = emptyBatch();
        bytes32[] memory near = new bytes32[](16);
        for (uint256 i = 0; i < 16; ++i) {
            near[i] = ReferenceLog.leaf("another");
            if (i >= count) continue;
            bytes32 commitment = CohortDocuments.commitment(fieldsOf(cohort, claims[i], K), batch, claims[i]);
            near[i] = ReferenceLog.leaf(commitment);
        }
        prove(batch, claims, near, level);
        settle(cohort, batch, claims);
        vm.snapshotGasLastCall(GROUP, name);
        uint256 gas = vm.lastCallGas().gasTotalUsed;
        assertEq(cohorts.standing(idOf(cohort)).paid, count);
        return gas;
    }

    function prove(
        ICohortMarket.Batch memory batch,
        ICohortMarket.Claim[] memory claims,
        bytes32[] memory near,
        uint8 level
    ) private {
        bytes32[] memory upper = new bytes32[](16);
        bytes32 root = ReferenceLog.root(near, 0, 16, ReferenceLog.node);
        bytes32 node = root;
        bytes32 sibling = ReferenceLog.leaf("another");
        for (uint256 i = 0; i < 20; ++i) {
            if (i >= 4) {
                upper[i - 4] = sibling;
                root = FIRST >> i & 1 == 0 ? ReferenceLog.node(root, sibling) : ReferenceLog.node(sibling, root);
            }
            sibling = ReferenceLog.node(sibling, sibling);
        }
        IAnchorRegistry.Anchor memory zero;
        vm.prank(operator);
        anchors.anchor(logId, zero, 1 << 20, root, new bytes32[](0));
        (batch.anchor.number, batch.anchor.size, batch.anchor.root) = (1, 1 << 20, root);
        batch.anchor.timeS = uint64(block.timestamp);
        (batch.level, batch.position) = (level, FIRST >> level);
        batch.node = level == 0 ? near[0] : level == 4 ? node : root;
        if (level == 4) batch.path = upper;
        for (uint64 i = 0; i < claims.length; ++i) {
            claims[i].index = FIRST + i;
            bytes32[] memory lower = ReferenceLog.inclusion(near, i, 0, 16, ReferenceLog.node);
            bytes32[] memory whole = lower;
            for (uint256 j = 0; j < 16; ++j) {
                whole = ReferenceLog.append(whole, upper[j]);
            }
            if (level == 4) claims[i].path = lower;
            if (level == 20) claims[i].path = whole;
            if (level == 0) batch.path = whole;
        }
    }
}
