// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {IDataMarket} from "../../../../contracts/interfaces/IDataMarket.sol";
import {MarketTest} from "../../utils/MarketTest.sol";
import {Recipient} from "../../utils/Recipient.sol";
import {StrangeToken} from "../../utils/Tokens.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

contract Decline_Test is MarketTest {
    function test_RevertWhen_TheCallerDoesNotActForTheSeller() external {
        IDataMarket.Order memory order = orderOf();
        buy(order);
        address[3] memory callers = [stranger, buyer, trustees[0]];
        for (uint256 i = 0; i < callers.length; ++i) {
            expectNotController(callers[i]);
            vm.prank(callers[i]);
            market.decline(order);
        }
        moveControl();
        expectNotController(seller);
        decline(order, seller);
        decline(order, next);
    }

    function test_RevertGiven_TheOrderIsNotPaid() external {
        IDataMarket.Order memory order = orderOf();
        expectNotPaid(order, IDataMarket.Status.NONE);
        decline(order, seller);
        sell(order);
        expectNotPaid(order, IDataMarket.Status.SETTLED);
        decline(order, seller);

        order.salt = "another";
        buy(order);
        decline(order, seller);
        expectNotPaid(order, IDataMarket.Status.REFUNDED);
        decline(order, seller);
    }

    function test_GivesTheMoneyBack() external {
        IDataMarket.Order memory order = orderOf();
        bytes32 orderId = buy(order);
        skip(5);
        vm.expectEmit(address(market));
        emit IDataMarket.Declined(orderId, seller, buyer);
        decline(order, seller);
        assertEq(buyer.balance, 100 ether);
        assertHolds(address(0), 0);
        assertEq(
            abi.encode(market.standing(orderId)),
            abi.encode(IDataMarket.Standing(IDataMarket.Status.REFUNDED, START_S, 0, START_S + 5, 0))
        );
    }

    function test_WorksAlsoWhenApprovedFrozenCancelledOrLate() external {
        IDataMarket.Order memory order = orderOf(address(token));
        buy(order);
        approve(order);
        freeze();
        vm.prank(seller);
        market.cancelAll(seller);
        vm.warp(SETTLE_UNTIL + 10 days);
        decline(order, seller);
        assertEq(token.balanceOf(buyer), 100 ether);
    }

    /// @dev Seen by the buyer in time, or not: what was delivered before stays under its lock.
    function test_StopsASettlementThatIsOnItsWay() external {
        IDataMarket.Order memory order = orderOf();
        buy(order);
        IDataMarket.Approval memory approval = approvalOf(sellerKey, order);
        IDataMarket.Delivery memory delivery = deliveryOf(order);
        uint64 index = logged(commitmentOf(order, delivery));
        decline(order, seller);
        bytes32[] memory path = pathTo(index);
        expectNotPaid(order, IDataMarket.Status.REFUNDED);
        market.settle(order, delivery, newest, index, path, approval);
    }

    function test_CreditsABuyerWhoCannotBePaid() external {
        Recipient recipient = new Recipient();
        IDataMarket.Order memory order = orderOf();
        order.buyer = address(recipient);
        vm.deal(address(recipient), PRICE);
        buy(order);
        recipient.setWays(Recipient.Ways.REFUSES);
        vm.expectEmit(address(market));
        emit IDataMarket.Credited(address(recipient), address(0), PRICE);
        decline(order, seller);
        assertEq(market.creditOf(address(recipient), address(0)), PRICE);
        assertHolds(address(0), PRICE);
    }

    function test_PaysABuyerWhoCallsBackOnce() external {
        Recipient recipient = new Recipient();
        IDataMarket.Order memory order = orderOf();
        order.buyer = address(recipient);
        vm.deal(address(recipient), PRICE);
        buy(order);
        order.salt = "another";
        buyFrom(order, 2 * PRICE);
        recipient.setCall(address(market), abi.encodeCall(market.refund, (order)));
        order.salt = keccak256("order salt");
        decline(order, seller);
        assertFalse(recipient.calledBack());
        assertEq(address(recipient).balance, PRICE);
        assertHolds(address(0), PRICE);
    }

    /// @dev Without a guard on `decline`, the other order would be refunded before the first is.
    function test_TheTokenCannotCallBack() external {
        StrangeToken strange = new StrangeToken();
        strange.mint(buyer, PRICE);
        vm.prank(buyer);
        strange.approve(address(market), PRICE);
        IDataMarket.Order memory order = orderOf(address(strange));
        IDataMarket.Order memory other = orderOf();
        buy(order);
        buy(other);
        vm.prank(seller);
        market.cancelOffer(seller, idOf(other.offer));
        strange.setCall(address(market), abi.encodeCall(market.refund, (other)));
        decline(order, seller);
        assertFalse(strange.calledBack());
        assertEq(
            bytes4(strange.answer()), ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector, "by the guard"
        );
        assertEq(strange.balanceOf(buyer), PRICE);
        assertStatus(other, IDataMarket.Status.PAID);
        // Good in itself.
        refund(other);
        assertEq(buyer.balance, 100 ether);
    }

    function buyFrom(IDataMarket.Order memory order, uint256 balance) private {
        vm.deal(order.buyer, balance - PRICE);
        buy(order);
    }

    function decline(IDataMarket.Order memory order, address who) private {
        vm.prank(who);
        market.decline(order);
    }
}
