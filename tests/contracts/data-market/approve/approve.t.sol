// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {IDataMarket} from "../../../../contracts/interfaces/IDataMarket.sol";
import {MarketTest} from "../../utils/MarketTest.sol";

contract Approve_Test is MarketTest {
    function test_RevertWhen_TheCallerDoesNotActForTheSeller() external {
        IDataMarket.Order memory order = orderOf();
        buy(order);
        address[4] memory callers = [stranger, buyer, trustees[0], address(0)];
        for (uint256 i = 0; i < callers.length; ++i) {
            expectNotController(callers[i]);
            vm.prank(callers[i]);
            market.approve(order);
        }
    }

    /// @dev As an `eth_call` without a sender would.
    function test_RevertWhen_NobodyApprovesForNobody() external {
        IDataMarket.Order memory order = orderOf();
        order.offer.seller = address(0);
        vm.expectRevert(abi.encodeWithSelector(IDataMarket.NotController.selector, address(0), address(0)));
        vm.prank(address(0));
        market.approve(order);
    }

    function test_FollowsAMovedControl() external {
        IDataMarket.Order memory order = orderOf();
        buy(order);
        moveControl();
        expectNotController(seller);
        vm.prank(seller);
        market.approve(order);
        vm.prank(next);
        market.approve(order);
    }

    function test_RevertGiven_TheOrderIsNotPaid() external {
        IDataMarket.Order memory order = orderOf();
        expectNotPaid(order, IDataMarket.Status.NONE);
        approve(order);
        sell(order);
        expectNotPaid(order, IDataMarket.Status.SETTLED);
        approve(order);

        order.salt = "another";
        buy(order);
        vm.prank(seller);
        market.decline(order);
        expectNotPaid(order, IDataMarket.Status.REFUNDED);
        approve(order);
    }

    function test_RevertWhen_AFieldDiffers() external {
        IDataMarket.Order memory order = orderOf();
        buy(order);
        order.offer.price -= 1;
        expectNotPaid(order, IDataMarket.Status.NONE);
        approve(order);
    }

    function test_RevertGiven_ItWasApprovedBefore() external {
        IDataMarket.Order memory order = orderOf();
        buy(order);
        approve(order);
        vm.expectRevert(abi.encodeWithSelector(IDataMarket.AlreadyApproved.selector, idOf(order)));
        approve(order);
    }

    function test_RevertGiven_TheSellerIsFrozen() external {
        IDataMarket.Order memory order = orderOf();
        (order.deliverBy, order.offer.expiresAt) = (START_S + 30 days, START_S + 30 days);
        buy(order);
        freeze();
        vm.expectRevert(abi.encodeWithSelector(IDataMarket.SellerFrozen.selector, seller, type(uint64).max));
        approve(order);

        vm.prank(seller);
        consents.unfreeze(seller, NO_SIGNATURE);
        skip(7 days - 1);
        vm.expectRevert(abi.encodeWithSelector(IDataMarket.SellerFrozen.selector, seller, START_S + 7 days));
        approve(order);
        skip(1);
        approve(order);
    }

    function test_RevertGiven_TheOfferIsCancelled() external {
        IDataMarket.Order memory order = orderOf();
        bytes32 offerId = idOf(order.offer);
        buy(order);
        vm.prank(seller);
        market.cancelOffer(seller, offerId);
        vm.expectRevert(abi.encodeWithSelector(IDataMarket.OfferCancelledBefore.selector, seller, offerId));
        approve(order);
    }

    function test_RevertGiven_ALaterEpoch() external {
        IDataMarket.Order memory order = orderOf();
        buy(order);
        vm.prank(seller);
        market.cancelAll(seller);
        vm.expectRevert(abi.encodeWithSelector(IDataMarket.OfferCancelledBefore.selector, seller, idOf(order.offer)));
        approve(order);
    }

    function test_RevertGiven_TheDeadlineHasPassed() external {
        IDataMarket.Order memory order = orderOf();
        buy(order);
        vm.warp(SETTLE_UNTIL + 1);
        vm.expectRevert(abi.encodeWithSelector(IDataMarket.TooLate.selector, idOf(order), SETTLE_UNTIL));
        approve(order);
        vm.warp(SETTLE_UNTIL);
        approve(order);
    }

    /// @dev An approval that stands is a permission given: no freeze reaches back.
    function test_KeepsTheSecond() external {
        IDataMarket.Order memory order = orderOf();
        bytes32 orderId = buy(order);
        skip(5);
        vm.expectEmit(address(market));
        emit IDataMarket.Approved(orderId, seller, buyer);
        approve(order);
        assertEq(
            abi.encode(market.standing(orderId)),
            abi.encode(IDataMarket.Standing(IDataMarket.Status.PAID, START_S, START_S + 5, 0, 0))
        );

        freeze();
        vm.startPrank(seller);
        market.cancelOffer(seller, idOf(order.offer));
        market.cancelAll(seller);
        vm.stopPrank();
        vm.expectRevert(abi.encodeWithSelector(IDataMarket.RefundableLater.selector, orderId, SETTLE_UNTIL));
        refund(order);
        settle(order, noApproval());
        assertEq(seller.balance, PRICE);
    }
}
