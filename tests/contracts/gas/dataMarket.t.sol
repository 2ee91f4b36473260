// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {IAnchorRegistry} from "../../../contracts/interfaces/IAnchorRegistry.sol";
import {IDataMarket} from "../../../contracts/interfaces/IDataMarket.sol";
import {MarketTest} from "../utils/MarketTest.sol";
import {ReferenceLog} from "../utils/ReferenceLog.sol";

/// @notice What the calls cost as transactions, and that a sale keeps to its budgets.
/// @dev Means something under the release profile only, as in anchorRegistry.t.sol.
contract DataMarket_Gas is MarketTest {
    string private constant GROUP = "DataMarket";

    uint256 private constant BUY_MAX = 63_000;
    uint256 private constant BUY_TOKEN_MAX = 83_000;
    uint256 private constant SETTLE_MAX = 100_000;
    uint256 private constant FRESH_MAX = 25_000;
    uint256 private constant SALE_MAX = 162_000;

    function test_ASaleKeepsToItsBudgets() external {
        IDataMarket.Order memory order = orderOf();
        vm.deal(seller, 1);
        uint256 bought = buyWithin("buy", order, BUY_MAX);
        uint256 settled = settleWithin("settle", order, SETTLE_MAX);
        vm.snapshotValue(GROUP, "a sale", bought + settled);
        assertLe(bought + settled, SALE_MAX);
    }

    function test_ASellerWithoutAnAccountKeepsToTheBudget() external {
        IDataMarket.Order memory order = orderOf();
        buy(order);
        settleWithin("settle, to a fresh address", order, SETTLE_MAX + FRESH_MAX);
    }

    function test_ATokenKeepsToItsBudgets() external {
        token.mint(address(market), 1);
        IDataMarket.Order memory order = orderOf(address(token));
        buyWithin("buy, ERC-20", order, BUY_TOKEN_MAX);
        settleWithin("settle, ERC-20, to a fresh address", order, SETTLE_MAX + FRESH_MAX);
    }

    function test_ApprovedByTransaction() external {
        IDataMarket.Order memory order = orderOf();
        vm.deal(seller, 1 ether);
        buy(order);
        approve(order);
        vm.snapshotGasLastCall(GROUP, "approve");
        settleWithin("settle, approved by transaction", order, SETTLE_MAX);
        vm.prank(seller);
        market.revoke(order);
        vm.snapshotGasLastCall(GROUP, "revoke");
    }

    function test_WhatEndsAnOrderOtherwise() external {
        IDataMarket.Order memory order = orderOf();
        buy(order);
        vm.prank(seller);
        market.decline(order);
        vm.snapshotGasLastCall(GROUP, "decline");

        order.salt = "another";
        buy(order);
        vm.warp(SETTLE_UNTIL + 1);
        refund(order);
        vm.snapshotGasLastCall(GROUP, "refund");

        vm.prank(seller);
        market.cancelOffer(seller, idOf(order.offer));
        vm.snapshotGasLastCall(GROUP, "cancelOffer, the first");
        vm.prank(seller);
        market.cancelAll(seller);
        vm.snapshotGasLastCall(GROUP, "cancelAll");
    }

    function buyWithin(string memory name, IDataMarket.Order memory order, uint256 most) private returns (uint256 gas) {
        buy(order);
        vm.snapshotGasLastCall(GROUP, name);
        gas = vm.lastCallGas().gasTotalUsed;
        assertLe(gas, most);
    }

    /// @dev A tree of 2^20 leaves: the delivery at 777,777, all others equal.
    function settleWithin(string memory name, IDataMarket.Order memory order, uint256 most)
        private
        returns (uint256 gas)
    {
        IDataMarket.Delivery memory delivery = deliveryOf(order);
        IDataMarket.Approval memory approval = approvalOf(sellerKey, order);
        bytes32[] memory path = new bytes32[](20);
        bytes32 root = ReferenceLog.leaf(commitmentOf(order, delivery));
        bytes32 sibling = ReferenceLog.leaf("another");
        for (uint256 i = 0; i < 20; ++i) {
            path[i] = sibling;
            root = 777_777 >> i & 1 == 0 ? ReferenceLog.node(root, sibling) : ReferenceLog.node(sibling, root);
            sibling = ReferenceLog.node(sibling, sibling);
        }
        IAnchorRegistry.Anchor memory zero;
        vm.prank(operator);
        anchors.anchor(logId, zero, 1 << 20, root, new bytes32[](0));
        newest = IAnchorRegistry.Anchor({number: 1, size: 1 << 20, root: root, timeS: uint64(block.timestamp)});

        vm.prank(relay);
        market.settle(order, delivery, newest, 777_777, path, approval);
        vm.snapshotGasLastCall(GROUP, name);
        gas = vm.lastCallGas().gasTotalUsed;
        assertLe(gas, most);
    }
}
