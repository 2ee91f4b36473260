// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {IDataMarket} from "../../../../contracts/interfaces/IDataMarket.sol";
import {MarketTest} from "../../utils/MarketTest.sol";

contract Revoke_Test is MarketTest {
    function test_RevertWhen_TheCallerDoesNotActForTheSeller() external {
        IDataMarket.Order memory order = orderOf();
        sell(order);
        address[3] memory callers = [stranger, buyer, trustees[0]];
        for (uint256 i = 0; i < callers.length; ++i) {
            expectNotController(callers[i]);
            revoke(order, callers[i]);
        }
        moveControl();
        expectNotController(seller);
        revoke(order, seller);
        revoke(order, next);
    }

    function test_RevertGiven_TheOrderIsNotSettled() external {
        IDataMarket.Order memory order = orderOf();
        expectNotSettled(order, IDataMarket.Status.NONE);
        buy(order);
        expectNotSettled(order, IDataMarket.Status.PAID);
        vm.prank(seller);
        market.decline(order);
        expectNotSettled(order, IDataMarket.Status.REFUNDED);
    }

    function test_KeepsTheSecond() external {
        IDataMarket.Order memory order = orderOf();
        bytes32 orderId = sell(order);
        freeze();
        skip(5);
        vm.expectEmit(address(market));
        emit IDataMarket.Revoked(orderId, seller, buyer);
        revoke(order, seller);
        IDataMarket.Standing memory expected =
            IDataMarket.Standing(IDataMarket.Status.SETTLED, START_S, 0, START_S, START_S + 5);
        assertEq(abi.encode(market.standing(orderId)), abi.encode(expected));

        skip(5);
        vm.recordLogs();
        revoke(order, seller);
        assertEq(vm.getRecordedLogs().length, 0);
        assertEq(abi.encode(market.standing(orderId)), abi.encode(expected));
    }

    function expectNotSettled(IDataMarket.Order memory order, IDataMarket.Status status) private {
        vm.expectRevert(abi.encodeWithSelector(IDataMarket.OrderNotSettled.selector, idOf(order), status));
        revoke(order, seller);
    }

    function revoke(IDataMarket.Order memory order, address who) private {
        vm.prank(who);
        market.revoke(order);
    }
}
