// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {IDataMarket} from "../../../../contracts/interfaces/IDataMarket.sol";
import {MarketTest} from "../../utils/MarketTest.sol";
import {Recipient} from "../../utils/Recipient.sol";
import {StrangeToken} from "../../utils/Tokens.sol";

contract Refund_Test is MarketTest {
    function test_RevertGiven_TheOrderIsNotPaid() external {
        IDataMarket.Order memory order = orderOf();
        expectNotPaid(order, IDataMarket.Status.NONE);
        refund(order);
        sell(order);
        vm.warp(SETTLE_UNTIL + 1);
        expectNotPaid(order, IDataMarket.Status.SETTLED);
        refund(order);

        (order.salt, order.deliverBy) = ("another", SETTLE_UNTIL + 2);
        buy(order);
        vm.warp(order.deliverBy + GRACE + 1);
        refund(order);
        expectNotPaid(order, IDataMarket.Status.REFUNDED);
        refund(order);
        assertEq(buyer.balance, 100 ether - PRICE);
    }

    function test_RevertGiven_ItCanStillBeSettled() external {
        IDataMarket.Order memory order = orderOf();
        buy(order);
        uint64[3] memory times = [START_S, DELIVER_BY + 1, SETTLE_UNTIL];
        for (uint256 i = 0; i < times.length; ++i) {
            vm.warp(times[i]);
            address[3] memory callers = [buyer, seller, relay];
            for (uint256 j = 0; j < callers.length; ++j) {
                vm.expectRevert(abi.encodeWithSelector(IDataMarket.RefundableLater.selector, idOf(order), SETTLE_UNTIL));
                vm.prank(callers[j]);
                market.refund(order);
            }
        }
        settle(order, approvalOf(sellerKey, order));
    }

    function test_GivesTheMoneyBackAfterTheDeadline() external {
        IDataMarket.Order memory order = orderOf();
        bytes32 orderId = buy(order);
        approve(order);
        vm.warp(SETTLE_UNTIL + 1);
        vm.expectEmit(address(market));
        emit IDataMarket.Refunded(orderId, seller, buyer);
        refund(order);
        assertEq(buyer.balance, 100 ether);
        assertHolds(address(0), 0);
        assertEq(
            abi.encode(market.standing(orderId)),
            abi.encode(IDataMarket.Standing(IDataMarket.Status.REFUNDED, START_S, START_S, SETTLE_UNTIL + 1, 0))
        );
    }

    function test_GivesATokenBack() external {
        IDataMarket.Order memory order = orderOf(address(token));
        buy(order);
        vm.warp(SETTLE_UNTIL + 1);
        refund(order);
        assertEq(token.balanceOf(buyer), 100 ether);
    }

    function test_GivesItBackAtOnceGivenACancelledOffer() external {
        IDataMarket.Order memory order = orderOf();
        buy(order);
        vm.prank(seller);
        market.cancelOffer(seller, idOf(order.offer));
        refund(order);
        assertEq(buyer.balance, 100 ether);

        order.salt = "another";
        order.offer.price += 1;
        buy(order);
        vm.prank(seller);
        market.cancelAll(seller);
        refund(order);
        assertEq(buyer.balance, 100 ether);
    }

    function test_RevertGiven_ItWasApprovedBeforeTheOfferWasCancelled() external {
        IDataMarket.Order memory order = orderOf();
        buy(order);
        approve(order);
        vm.startPrank(seller);
        market.cancelOffer(seller, idOf(order.offer));
        market.cancelAll(seller);
        vm.stopPrank();
        vm.expectRevert(abi.encodeWithSelector(IDataMarket.RefundableLater.selector, idOf(order), SETTLE_UNTIL));
        refund(order);
    }

    function test_WaitsGivenAFrozenSeller() external {
        IDataMarket.Order memory order = orderOf();
        buy(order);
        freeze();
        vm.expectRevert(abi.encodeWithSelector(IDataMarket.RefundableLater.selector, idOf(order), SETTLE_UNTIL));
        refund(order);
        vm.warp(SETTLE_UNTIL + 1);
        refund(order);
    }

    function test_RevertWhen_AFieldDiffers() external {
        IDataMarket.Order memory order = orderOf();
        buy(order);
        vm.warp(SETTLE_UNTIL + 1);
        (order.buyer, order.offer.price) = (stranger, PRICE);
        expectNotPaid(order, IDataMarket.Status.NONE);
        refund(order);
    }

    function test_CreditsABuyerWhoCannotBePaid() external {
        Recipient.Ways[3] memory ways = [Recipient.Ways.REFUSES, Recipient.Ways.BURNS_GAS, Recipient.Ways.REVERTS_HUGE];
        for (uint256 i = 0; i < ways.length; ++i) {
            Recipient recipient = new Recipient();
            IDataMarket.Order memory order = orderOf();
            order.deliverBy += uint64(i) * 10 days;
            order.buyer = address(recipient);
            vm.deal(address(recipient), PRICE);
            buy(order);
            recipient.setWays(ways[i]);
            vm.warp(order.deliverBy + GRACE + 1);
            refund(order);
            assertEq(market.creditOf(address(recipient), address(0)), PRICE);
        }
    }

    function test_CreditsABuyerWhoseControlMoved() external {
        IDataMarket.Order memory order = orderOf();
        buy(order);
        seller = buyer;
        moveControl();
        vm.warp(SETTLE_UNTIL + 1);
        refund(order);
        assertEq(buyer.balance, 100 ether - PRICE);
        assertEq(market.creditOf(buyer, address(0)), PRICE);
        vm.prank(next);
        market.withdraw(buyer, address(0), next);
        assertEq(next.balance, PRICE);
    }

    function test_CreditsInATokenThatRefuses() external {
        StrangeToken strange = new StrangeToken();
        strange.mint(buyer, PRICE);
        vm.prank(buyer);
        strange.approve(address(market), PRICE);
        IDataMarket.Order memory order = orderOf(address(strange));
        buy(order);
        vm.warp(SETTLE_UNTIL + 1);
        strange.setWays(StrangeToken.Ways.PAUSED_OUT);
        refund(order);
        assertEq(market.creditOf(buyer, address(strange)), PRICE);
        assertStatus(order, IDataMarket.Status.REFUNDED);
    }

    function testFuzz_SettledOrRefundedNeverBoth(uint64 deliverBy, uint64 grace, uint64 timeS) external {
        IDataMarket.Order memory order = orderOf();
        order.deliverBy = uint64(bound(deliverBy, START_S + 1, START_S + 100 days));
        order.grace = uint64(bound(grace, 0, 100 days));
        uint64 settleUntil = order.deliverBy + order.grace;
        order.offer.expiresAt = START_S + 1;
        bytes32 orderId = buy(order);
        IDataMarket.Approval memory approval = approvalOf(sellerKey, order, settleUntil);
        vm.warp(bound(timeS, START_S, START_S + 250 days));
        IDataMarket.Delivery memory delivery = deliveryOf(order);
        uint64 index = logged(commitmentOf(order, delivery));
        bytes32[] memory path = pathTo(index);
        bool isLate = block.timestamp > settleUntil;
        if (isLate) vm.expectRevert(abi.encodeWithSelector(IDataMarket.TooLate.selector, orderId, settleUntil));
        market.settle(order, delivery, newest, index, path, approval);
        if (!isLate) expectNotPaid(order, IDataMarket.Status.SETTLED);
        refund(order);
        assertEq(buyer.balance + seller.balance, 100 ether);
        assertHolds(address(0), 0);
    }
}
