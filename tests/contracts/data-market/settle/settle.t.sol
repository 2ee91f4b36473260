// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {DataMarket} from "../../../../contracts/DataMarket.sol";
import {IAnchorRegistry} from "../../../../contracts/interfaces/IAnchorRegistry.sol";
import {IDataMarket} from "../../../../contracts/interfaces/IDataMarket.sol";
import {Documents} from "../../utils/Documents.sol";
import {MarketTest} from "../../utils/MarketTest.sol";
import {ReferenceLog} from "../../utils/ReferenceLog.sol";
import {SaleDocuments} from "../../utils/SaleDocuments.sol";

contract Settle_Test is MarketTest {
    uint256 private constant ORDER_OF_CURVE = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;

    IDataMarket.Order private order;
    bytes32 private orderId;

    function setUp() public override {
        super.setUp();
        order = orderOf();
        orderId = idOf(order);
    }

    function test_RevertGiven_TheOrderIsNotPaid() external {
        IDataMarket.Approval memory approval = approvalOf(sellerKey, order);
        expectSettleRefused(approval, notPaid(IDataMarket.Status.NONE));
        sell(order);
        expectSettleRefused(approval, notPaid(IDataMarket.Status.SETTLED));

        order.salt = "another";
        orderId = buy(order);
        approval = approvalOf(sellerKey, order);
        vm.prank(seller);
        market.decline(order);
        expectSettleRefused(approval, notPaid(IDataMarket.Status.REFUNDED));
    }

    function test_RevertGiven_TheDeadlineHasPassed() external {
        buy(order);
        approve(order);
        vm.warp(SETTLE_UNTIL + 1);
        expectSettleRefused(noApproval(), abi.encodeWithSelector(IDataMarket.TooLate.selector, orderId, SETTLE_UNTIL));
        vm.warp(SETTLE_UNTIL);
        settle(order, noApproval());
    }

    /* THE APPROVAL */

    function test_RevertWhen_TheSellerDidNotApprove() external {
        buy(order);
        expectInvalid(IDataMarket.Approval(SETTLE_UNTIL, NO_SIGNATURE));
        expectInvalid(approvalOf(strangerKey, order));
        expectInvalid(approvalOf(buyerKey, order));
        expectInvalid(approvalOf(trusteeKeys[0], order));
        // Bytes of the right length that recover to nobody.
        expectInvalid(IDataMarket.Approval(SETTLE_UNTIL, abi.encodePacked(bytes32(0), bytes32(0), uint8(27))));
    }

    function test_RevertWhen_SomethingElseWasApproved() external {
        buy(order);
        for (uint256 i = 0; i < 6; ++i) {
            (IDataMarket.Order memory other, bytes32 otherId, uint64 expiresAt) = (orderOf(), orderId, SETTLE_UNTIL);
            if (i == 0) other.buyer = stranger;
            if (i == 1) other.offer.token = address(token);
            if (i == 2) other.offer.price -= 1;
            if (i == 3) other.offer.terms = "other terms";
            if (i == 4) (other.salt, otherId) = ("another", idOf(changedSalt()));
            if (i == 5) expiresAt += 1;
            bytes32 digest = digestOf(SaleDocuments.saleApproval(other, otherId, expiresAt));
            expectInvalid(IDataMarket.Approval(SETTLE_UNTIL, signed(sellerKey, digest)));
        }
        settle(order, approvalOf(sellerKey, order));
    }

    function test_RevertWhen_AnotherDocumentOfTheSellerComesAlong() external {
        buy(order);
        expectInvalid(IDataMarket.Approval(SETTLE_UNTIL, signed(sellerKey, idOf(order.offer))));
        expectInvalid(IDataMarket.Approval(SETTLE_UNTIL, signed(sellerKey, orderId)));
        bytes32 structHash = SaleDocuments.saleApproval(order, orderId, SETTLE_UNTIL);
        expectInvalid(IDataMarket.Approval(SETTLE_UNTIL, signed(sellerKey, structHash)));
    }

    function test_RevertWhen_ItWasApprovedForElsewhere() external {
        buy(order);
        bytes32 structHash = SaleDocuments.saleApproval(order, orderId, SETTLE_UNTIL);
        bytes32[3] memory elsewhere = [
            Documents.separator(1, address(market)),
            Documents.separator(block.chainid, address(new DataMarket(anchors, consents))),
            Documents.separator(block.chainid, address(consents))
        ];
        for (uint256 i = 0; i < elsewhere.length; ++i) {
            bytes memory signature = signed(sellerKey, Documents.digest(elsewhere[i], structHash));
            expectInvalid(IDataMarket.Approval(SETTLE_UNTIL, signature));
        }
    }

    /// @dev The same order, bought in a second market: neither its approval nor its delivery is good here.
    function test_RevertWhen_TheSaleIsAnotherMarkets() external {
        buy(order);
        DataMarket here = market;
        market = new DataMarket(anchors, consents);
        buy(order);
        IDataMarket.Approval memory approval = approvalOf(sellerKey, order);
        IDataMarket.Delivery memory delivery = deliveryOf(order);
        uint64 index = logged(commitmentOf(order, delivery));
        bytes32[] memory path = pathTo(index);
        market.settle(order, delivery, newest, index, path, approval);

        market = here;
        vm.expectRevert(invalid(SETTLE_UNTIL));
        market.settle(order, delivery, newest, index, path, approval);
        approve(order);
        bytes32 commitment = commitmentOf(order, delivery);
        vm.expectRevert(notDelivered(commitment));
        market.settle(order, delivery, newest, index, path, approval);
    }

    function test_RevertWhen_TheSignatureHasAnotherForm() external {
        buy(order);
        bytes32 digest = digestOf(SaleDocuments.saleApproval(order, orderId, SETTLE_UNTIL));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(sellerKey, digest);
        bytes32 high = bytes32(ORDER_OF_CURVE - uint256(s));
        bytes[5] memory forms = [
            abi.encodePacked(r, bytes32(uint256(s) | uint256(v - 27) << 255)),
            abi.encodePacked(r, s, v - 27),
            abi.encodePacked(r, high, v == 27 ? uint8(28) : uint8(27)),
            abi.encodePacked(r, s, v, uint8(0)),
            abi.encodePacked(r, s)
        ];
        for (uint256 i = 0; i < forms.length; ++i) {
            expectInvalid(IDataMarket.Approval(SETTLE_UNTIL, forms[i]));
        }
    }

    function test_RevertWhen_TheApprovalEndsBeforeTheDeadline() external {
        buy(order);
        uint64[3] memory refused = [0, START_S + 1, SETTLE_UNTIL - 1];
        for (uint256 i = 0; i < refused.length; ++i) {
            expectSettleRefused(
                approvalOf(sellerKey, order, refused[i]),
                abi.encodeWithSelector(IDataMarket.ApprovalTooShort.selector, refused[i], SETTLE_UNTIL)
            );
        }
        vm.warp(SETTLE_UNTIL);
        settle(order, approvalOf(sellerKey, order, SETTLE_UNTIL));
    }

    function test_RevertGiven_TheSellerIsFrozen() external {
        buy(order);
        IDataMarket.Approval memory approval = approvalOf(sellerKey, order);
        freeze();
        expectSettleRefused(
            approval, abi.encodeWithSelector(IDataMarket.SellerFrozen.selector, seller, type(uint64).max)
        );
    }

    function test_RevertGiven_TheOfferIsCancelled() external {
        buy(order);
        IDataMarket.Approval memory approval = approvalOf(sellerKey, order);
        bytes memory refusal =
            abi.encodeWithSelector(IDataMarket.OfferCancelledBefore.selector, seller, idOf(order.offer));
        uint256 state = vm.snapshotState();
        vm.prank(seller);
        market.cancelOffer(seller, idOf(order.offer));
        expectSettleRefused(approval, refusal);
        vm.revertToState(state);
        vm.prank(seller);
        market.cancelAll(seller);
        expectSettleRefused(approval, refusal);
    }

    function test_FollowsAMovedControl() external {
        buy(order);
        IDataMarket.Approval memory old = approvalOf(sellerKey, order);
        moveControl();
        bytes32 digest = digestOf(SaleDocuments.saleApproval(order, orderId, SETTLE_UNTIL));
        expectSettleRefused(old, abi.encodeWithSelector(IDataMarket.InvalidSignature.selector, next, digest));
        settle(order, approvalOf(nextKey, order));
        // Nothing to the lost key.
        assertEq(seller.balance, 0);
        assertEq(next.balance, 0);
        assertEq(market.creditOf(seller, address(0)), PRICE);
        vm.prank(next);
        market.withdraw(seller, address(0), next);
        assertEq(next.balance, PRICE);
    }

    function test_CreditsGivenControlMovedAfterTheApproval() external {
        buy(order);
        approve(order);
        moveControl();
        IDataMarket.Delivery memory delivery = deliveryOf(order);
        uint64 index = logged(commitmentOf(order, delivery));
        vm.expectEmit(address(market));
        emit IDataMarket.Credited(seller, address(0), PRICE);
        settleAt(order, delivery, index, noApproval());
        assertEq(seller.balance, 0);
        assertEq(market.creditOf(seller, address(0)), PRICE);
        assertHolds(address(0), PRICE);
    }

    function test_IgnoresTheApprovalOfAnApprovedOrder() external {
        buy(order);
        approve(order);
        settle(order, IDataMarket.Approval(7, "whatever"));
        assertEq(seller.balance, PRICE);
    }

    /* THE DELIVERY */

    function test_RevertWhen_AFieldOfTheEntryDiffers() external {
        buy(order);
        approve(order);
        IDataMarket.Delivery memory delivery = deliveryOf(order);
        for (uint256 i = 0; i < 7; ++i) {
            SaleDocuments.Fields memory fields = SaleDocuments.fieldsOf(order, orderId, K);
            if (i == 0) fields.log = "another log";
            if (i == 1) fields.kind = 5;
            if (i == 2) fields.action = uint8(bytes1("R"));
            if (i == 3) fields.subject = bytes32(uint256(uint160(buyer)));
            if (i == 4) fields.record = "another";
            if (i == 5) fields.fromVersion = K;
            if (i == 6) fields.permission = idOf(order.offer);
            uint64 index = logged(SaleDocuments.commitment(fields, delivery));
            expectNotDelivered(delivery, index, pathTo(index));
        }
    }

    function test_RevertWhen_TheDeliveryOffersAnotherField() external {
        buy(order);
        approve(order);
        uint64 index = logged(commitmentOf(order, deliveryOf(order)));
        for (uint256 i = 0; i < 7; ++i) {
            IDataMarket.Delivery memory delivery = deliveryOf(order);
            if (i == 0) delivery.k = "another key";
            if (i == 1) delivery.eventId = "another";
            if (i == 2) delivery.timeMs += 1;
            if (i == 3) delivery.actor = seller;
            if (i == 4) delivery.toVersion = "another file";
            if (i == 5) delivery.details = "other details";
            if (i == 6) delivery.place = "another place";
            expectNotDelivered(delivery, index, pathTo(index));
        }
    }

    function test_RevertWhen_ThePathIsAnother() external {
        buy(order);
        approve(order);
        IDataMarket.Delivery memory delivery = deliveryOf(order);
        uint64 index = logged(commitmentOf(order, delivery));
        expectNotDelivered(delivery, index + 1, pathTo(index));
        expectNotDelivered(delivery, index, pathTo(index + 1));
        expectNotDelivered(delivery, index + newest.size, pathTo(index));
        expectNotDelivered(delivery, index, new bytes32[](0));
        expectNotDelivered(delivery, index, new bytes32[](65));
        expectNotDelivered(delivery, index, ReferenceLog.append(pathTo(index), bytes32(0)));
    }

    /// @dev A leaf is hashed here: no inner node of the tree passes for an entry.
    function test_RevertWhen_TheEntryIsAnInnerNode() external {
        buy(order);
        approve(order);
        IDataMarket.Delivery memory delivery = deliveryOf(order);
        bytes32 commitment = commitmentOf(order, delivery);
        leaves.push(commitment);
        anchor();
        expectNotDelivered(delivery, 3, pathTo(3));
    }

    function test_RevertWhen_TheAnchorIsNone() external {
        buy(order);
        approve(order);
        IDataMarket.Delivery memory delivery = deliveryOf(order);
        uint64 index = logged(commitmentOf(order, delivery));
        IAnchorRegistry.Anchor memory real = newest;
        bytes32[] memory path = pathTo(index);
        for (uint256 i = 0; i < 4; ++i) {
            newest = real;
            if (i == 0) newest.number += 1;
            if (i == 1) newest.size += 1;
            if (i == 2) newest.root = ReferenceLog.leaf(commitmentOf(order, delivery));
            if (i == 3) newest.timeS += 1;
            expectNotDelivered(delivery, index, path);
        }
        // A tree of one leaf, which nobody anchored.
        newest = IAnchorRegistry.Anchor(1, 1, ReferenceLog.leaf(commitmentOf(order, delivery)), START_S);
        expectNotDelivered(delivery, 0, new bytes32[](0));
    }

    function test_RevertWhen_ItIsAnotherLogsAnchor() external {
        buy(order);
        approve(order);
        IDataMarket.Delivery memory delivery = deliveryOf(order);
        bytes32 commitment = commitmentOf(order, delivery);
        vm.startPrank(stranger);
        bytes32 theirs = anchors.open("log.example.org/people", stranger, 0, 0);
        IAnchorRegistry.Anchor memory zero;
        anchors.anchor(theirs, zero, 1, ReferenceLog.leaf(commitment), new bytes32[](0));
        vm.stopPrank();
        newest = IAnchorRegistry.Anchor(1, 1, ReferenceLog.leaf(commitment), START_S);
        assertTrue(anchors.included(theirs, newest, 0, commitment, new bytes32[](0)));
        expectNotDelivered(delivery, 0, new bytes32[](0));
    }

    function test_RevertGiven_TheAnchorLeftTheRing() external {
        buy(order);
        approve(order);
        IDataMarket.Delivery memory delivery = deliveryOf(order);
        uint64 index = logged(commitmentOf(order, delivery));
        (IAnchorRegistry.Anchor memory first, bytes32[] memory path) = (newest, pathTo(index));
        for (uint256 i = 0; i < 64; ++i) {
            leaves.push(keccak256(abi.encode(i)));
            anchor();
        }
        IAnchorRegistry.Anchor memory last = newest;
        newest = first;
        expectNotDelivered(delivery, index, path);
        newest = last;
        settleAt(order, delivery, index, noApproval());
    }

    function test_RevertWhen_AnotherOrderWasDelivered() external {
        buy(order);
        approve(order);
        IDataMarket.Order memory other = changedSalt();
        buy(other);
        IDataMarket.Delivery memory delivery = deliveryOf(other);
        uint64 index = logged(commitmentOf(other, delivery));
        expectNotDelivered(delivery, index, pathTo(index));
        settleAt(other, delivery, index, approvalOf(sellerKey, other));
    }

    /* PAYING */

    function test_PaysTheSeller() external {
        buy(order);
        skip(5);
        IDataMarket.Delivery memory delivery = deliveryOf(order);
        uint64 index = logged(commitmentOf(order, delivery));
        IDataMarket.Approval memory approval = approvalOf(sellerKey, order);
        vm.expectEmit(address(market));
        emit IDataMarket.Settled(orderId, seller, buyer, K);
        settleAt(order, delivery, index, approval);
        assertEq(seller.balance, PRICE);
        assertEq(buyer.balance, 100 ether - PRICE);
        assertHolds(address(0), 0);
        assertEq(
            abi.encode(market.standing(orderId)),
            abi.encode(IDataMarket.Standing(IDataMarket.Status.SETTLED, START_S, 0, START_S + 5, 0))
        );
    }

    function test_TakesTheLastAnchorOfAClosedLog() external {
        buy(order);
        IDataMarket.Delivery memory delivery = deliveryOf(order);
        uint64 index = logged(commitmentOf(order, delivery));
        vm.prank(makeAddr("cold key"));
        anchors.close(logId);
        settleAt(order, delivery, index, approvalOf(sellerKey, order));
    }

    function test_ExpiryAndCancellationOfTheOfferEndNoApprovedOrder() external {
        order.offer.expiresAt = START_S + 1;
        orderId = buy(order);
        approve(order);
        skip(1 days);
        vm.prank(seller);
        market.cancelAll(seller);
        settle(order, noApproval());
    }

    function testFuzz_TakesEachPlaceAndALaterAnchor(uint8 before, uint8 behind, uint8 later, bytes32 k) external {
        buy(order);
        IDataMarket.Delivery memory delivery = deliveryOf(order);
        delivery.k = k;
        for (uint256 i = 0; i < before % 40; ++i) {
            leaves.push(keccak256(abi.encode("before", i)));
        }
        uint64 index = uint64(leaves.length);
        leaves.push(ReferenceLog.leaf(commitmentOf(order, delivery)));
        for (uint256 i = 0; i < behind % 40; ++i) {
            leaves.push(keccak256(abi.encode("behind", i)));
        }
        anchor();
        if (later % 2 == 1) {
            leaves.push(keccak256("later"));
            anchor();
        }
        settleAt(order, delivery, index, approvalOf(sellerKey, order));
        assertEq(seller.balance, PRICE);
    }

    /* INTERNAL */

    function changedSalt() private view returns (IDataMarket.Order memory other) {
        other = orderOf();
        other.salt = "another";
    }

    function notPaid(IDataMarket.Status status) private view returns (bytes memory) {
        return abi.encodeWithSelector(IDataMarket.OrderNotPaid.selector, orderId, status);
    }

    function notDelivered(bytes32 commitment) private view returns (bytes memory) {
        return abi.encodeWithSelector(IDataMarket.NotDelivered.selector, orderId, commitment);
    }

    function invalid(uint64 expiresAt) private view returns (bytes memory) {
        bytes32 digest = digestOf(SaleDocuments.saleApproval(order, orderId, expiresAt));
        return abi.encodeWithSelector(IDataMarket.InvalidSignature.selector, seller, digest);
    }

    function expectInvalid(IDataMarket.Approval memory approval) private {
        expectSettleRefused(approval, invalid(approval.expiresAt));
    }

    /// @dev All else is as it should be.
    function expectSettleRefused(IDataMarket.Approval memory approval, bytes memory refusal) private {
        IDataMarket.Delivery memory delivery = deliveryOf(order);
        uint64 index = logged(commitmentOf(order, delivery));
        bytes32[] memory path = pathTo(index);
        vm.expectRevert(refusal);
        vm.prank(relay);
        market.settle(order, delivery, newest, index, path, approval);
    }

    function expectNotDelivered(IDataMarket.Delivery memory delivery, uint64 index, bytes32[] memory path) private {
        vm.expectRevert(notDelivered(commitmentOf(order, delivery)));
        vm.prank(relay);
        market.settle(order, delivery, newest, index, path, noApproval());
    }
}
