// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {ConsentRegistry} from "../../../../contracts/ConsentRegistry.sol";
import {DataMarket} from "../../../../contracts/DataMarket.sol";
import {IDataMarket} from "../../../../contracts/interfaces/IDataMarket.sol";
import {Documents} from "../../utils/Documents.sol";
import {MarketTest} from "../../utils/MarketTest.sol";
import {SaleDocuments} from "../../utils/SaleDocuments.sol";
import {SharedWallet, StrangeWallet} from "../../utils/Wallets.sol";

contract Buy_Test is MarketTest {
    uint256 private constant ORDER_OF_CURVE = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;

    function test_RevertWhen_TheCallerIsNotTheBuyer() external {
        IDataMarket.Order memory order = orderOf();
        bytes memory signature = signed(sellerKey, idOf(order.offer));
        address[3] memory callers = [stranger, seller, relay];
        for (uint256 i = 0; i < callers.length; ++i) {
            vm.deal(callers[i], PRICE);
            vm.expectRevert(abi.encodeWithSelector(IDataMarket.NotBuyer.selector, buyer, callers[i]));
            vm.prank(callers[i]);
            market.buy{value: PRICE}(order, signature);
        }
    }

    function test_RevertGiven_TheOrderWasBoughtBefore() external {
        IDataMarket.Order memory order = orderOf();
        buy(order);
        expectNotNew(order);
        settle(order, approvalOf(sellerKey, order));
        expectNotNew(order);

        order.salt = "another";
        buy(order);
        vm.prank(seller);
        market.decline(order);
        expectNotNew(order);
    }

    function test_RevertGiven_TheOfferHasExpired() external {
        IDataMarket.Order memory order = orderOf();
        order.offer.expiresAt = START_S;
        expectRefusal(order, abi.encodeWithSelector(IDataMarket.OfferExpired.selector, START_S));
        order.offer.expiresAt = 0;
        expectRefusal(order, abi.encodeWithSelector(IDataMarket.OfferExpired.selector, 0));
        order.offer.expiresAt = START_S + 1;
        buy(order);
    }

    function test_RevertWhen_TheWindowIsOutOfRange() external {
        uint64 most = market.WINDOW_MAX_S();
        assertEq(most, 366 days);
        uint64[2][6] memory refused = [
            [START_S, GRACE],
            [uint64(0), 2 * START_S],
            [START_S + 1, most],
            // A time in milliseconds.
            [START_S * 1000, 0],
            [type(uint64).max, type(uint64).max],
            [type(uint64).max, START_S + 2]
        ];
        IDataMarket.Order memory order = orderOf();
        for (uint256 i = 0; i < refused.length; ++i) {
            (order.deliverBy, order.grace) = (refused[i][0], refused[i][1]);
            expectRefusal(
                order, abi.encodeWithSelector(IDataMarket.WindowOutOfRange.selector, order.deliverBy, order.grace)
            );
        }
        (order.deliverBy, order.grace) = (START_S + 1, most - 1);
        buy(order);
        (order.deliverBy, order.grace) = (START_S + 1, 0);
        buy(order);
    }

    function test_RevertGiven_TheOfferIsCancelled() external {
        IDataMarket.Order memory order = orderOf();
        vm.prank(seller);
        market.cancelOffer(seller, idOf(order.offer));
        expectCancelled(order);

        // Another offer of the same seller is not.
        order.offer.price += 1;
        buy(order);
    }

    function test_RevertGiven_TheOfferIsOfAnotherEpoch() external {
        IDataMarket.Order memory order = orderOf();
        order.offer.epoch = 1;
        expectCancelled(order);
        vm.prank(seller);
        market.cancelAll(seller);
        buy(order);
        order.offer.epoch = 0;
        expectCancelled(order);
    }

    /// @dev A new epoch must not forget what was cancelled by id in advance.
    function test_RevertGiven_AnOfferOfALaterEpochWasCancelled() external {
        IDataMarket.Order memory order = orderOf();
        order.offer.epoch = 1;
        vm.startPrank(seller);
        market.cancelOffer(seller, idOf(order.offer));
        market.cancelAll(seller);
        vm.stopPrank();
        expectCancelled(order);
    }

    function test_AnothersCancellationIsNothing() external {
        IDataMarket.Order memory order = orderOf();
        vm.prank(stranger);
        market.cancelOffer(stranger, idOf(order.offer));
        buy(order);
        // Once the seller cancelled one, this one is looked for.
        vm.prank(seller);
        market.cancelOffer(seller, "another offer");
        order.salt = "another";
        buy(order);
    }

    function test_RevertWhen_AnotherSigned() external {
        IDataMarket.Order memory order = orderOf();
        bytes32 offerId = idOf(order.offer);
        expectInvalid(order, signed(strangerKey, offerId));
        expectInvalid(order, signed(buyerKey, offerId));
        expectInvalid(order, NO_SIGNATURE);
    }

    function test_RevertWhen_TheSellerIsZero() external {
        IDataMarket.Order memory order = orderOf();
        order.offer.seller = address(0);
        // What ecrecover answers to nonsense.
        expectInvalid(order, abi.encodePacked(bytes32(0), bytes32(0), uint8(27)));
    }

    function test_RevertWhen_SomethingElseWasSigned() external {
        IDataMarket.Order memory order = orderOf();
        IDataMarket.Order memory other = orderOf();
        other.offer.price += 1;
        expectInvalid(order, signed(sellerKey, idOf(other.offer)));
        expectInvalid(order, signed(sellerKey, idOf(order)));
        expectInvalid(order, signed(sellerKey, order.offer.terms));
        expectInvalid(order, signed(sellerKey, SaleDocuments.offer(order.offer)));
    }

    function test_RevertWhen_ItWasSignedForElsewhere() external {
        IDataMarket.Order memory order = orderOf();
        bytes32 structHash = SaleDocuments.offer(order.offer);
        bytes32[3] memory elsewhere = [
            Documents.separator(1, address(market)),
            Documents.separator(block.chainid, address(new DataMarket(anchors, consents))),
            Documents.separator(block.chainid, address(consents))
        ];
        for (uint256 i = 0; i < elsewhere.length; ++i) {
            expectInvalid(order, signed(sellerKey, Documents.digest(elsewhere[i], structHash)));
        }
    }

    function test_RevertWhen_TheSignatureHasAnotherForm() external {
        IDataMarket.Order memory order = orderOf();
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(sellerKey, idOf(order.offer));
        expectInvalid(order, abi.encodePacked(r, bytes32(uint256(s) | uint256(v - 27) << 255)));
        expectInvalid(order, abi.encodePacked(r, s, v - 27));
        bytes32 high = bytes32(ORDER_OF_CURVE - uint256(s));
        expectInvalid(order, abi.encodePacked(r, high, v == 27 ? uint8(28) : uint8(27)));
        expectInvalid(order, abi.encodePacked(r, s, v, uint8(0)));
        expectInvalid(order, abi.encodePacked(r, s));
    }

    /// @dev After a fork of the chain, money and signature belong to one side.
    function test_RevertWhen_TheChainForked() external {
        IDataMarket.Order memory order = orderOf();
        bytes memory signature = signed(sellerKey, idOf(order.offer));
        vm.chainId(4242);
        expectInvalid(order, signature);
        buy(order);
    }

    function test_EachFieldMakesAnotherOrder() external {
        bytes32[14] memory ids;
        for (uint256 i = 0; i < ids.length; ++i) {
            ids[i] = buy(changed(i));
            assertEq(ids[i], idOf(changed(i)), vm.toString(i));
            for (uint256 j = 0; j < i; ++j) {
                assertNotEq(ids[i], ids[j]);
            }
        }
    }

    function test_TakesTheNewControllersOfferGivenControlHasMoved() external {
        moveControl();
        IDataMarket.Order memory order = orderOf();
        order.deliverBy += 2 days;
        bytes32 offerId = idOf(order.offer);
        vm.prank(buyer);
        market.buy{value: PRICE}(order, signed(nextKey, offerId));
        assertStatus(order, IDataMarket.Status.PAID);

        order.salt = "another";
        vm.prank(buyer);
        vm.expectRevert(abi.encodeWithSelector(IDataMarket.InvalidSignature.selector, next, offerId));
        market.buy{value: PRICE}(order, signed(strangerKey, offerId));

        // The lost key's offer sells nothing: `approve` and `settle` ask who acts now.
        buy(order);
        vm.expectRevert(abi.encodeWithSelector(IDataMarket.NotController.selector, seller, seller));
        vm.prank(seller);
        market.approve(order);
    }

    function test_TakesTheKeyOfASellerThatDelegates() external {
        StrangeWallet delegate = new StrangeWallet();
        for (uint8 i = 1; i <= uint8(StrangeWallet.Answer.BURNS); ++i) {
            uint256 state = vm.snapshotState();
            delegateTo(address(delegate));
            StrangeWallet(payable(seller)).setAnswer(StrangeWallet.Answer(i));
            buy(orderOf());
            assertStatus(orderOf(), IDataMarket.Status.PAID);
            vm.revertToState(state);
        }
    }

    function test_TakesEnoughOwnersOfAWallet() external {
        (SharedWallet wallet, SharedWallet sibling) = (newWallet(), newWallet());
        seller = address(wallet);
        IDataMarket.Order memory order = orderOf();
        bytes32 offerId = idOf(order.offer);
        bytes memory one = signed(trusteeKeys[0], wallet.messageOf(offerId));
        expectInvalid(order, one);
        expectInvalid(
            order,
            bytes.concat(
                signed(trusteeKeys[0], sibling.messageOf(offerId)), signed(trusteeKeys[1], sibling.messageOf(offerId))
            )
        );
        bytes memory both = bytes.concat(one, signed(trusteeKeys[1], wallet.messageOf(offerId)));
        vm.prank(buyer);
        market.buy{value: PRICE}(order, both);
        assertStatus(order, IDataMarket.Status.PAID);
    }

    function test_RevertWhen_TheWalletDoesNotAgree() external {
        StrangeWallet wallet = new StrangeWallet();
        seller = address(wallet);
        IDataMarket.Order memory order = orderOf();
        for (uint8 i = 1; i <= uint8(StrangeWallet.Answer.TRUE); ++i) {
            wallet.setAnswer(StrangeWallet.Answer(i));
            expectInvalid(order, NO_SIGNATURE);
        }
        wallet.setAnswer(StrangeWallet.Answer.BURNS);
        vm.expectRevert(abi.encodeWithSelector(IDataMarket.InvalidSignature.selector, seller, idOf(order.offer)));
        vm.prank(buyer);
        market.buy{value: PRICE, gas: 3_000_000}(order, NO_SIGNATURE);
    }

    function test_RevertWhen_TheValueIsNotThePrice() external {
        IDataMarket.Order memory order = orderOf();
        bytes memory signature = signed(sellerKey, idOf(order.offer));
        uint256[4] memory values = [0, PRICE - 1, PRICE + 1, 2 * PRICE];
        for (uint256 i = 0; i < values.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IDataMarket.WrongValue.selector, values[i], PRICE));
            vm.prank(buyer);
            market.buy{value: values[i]}(order, signature);
        }
    }

    function test_KeepsThePrice() external {
        IDataMarket.Order memory order = orderOf();
        bytes32 orderId = idOf(order);
        vm.expectEmit(address(market));
        emit IDataMarket.Bought(
            orderId, seller, buyer, idOf(order.offer), order.recipient, DELIVER_BY, GRACE, order.salt
        );
        assertEq(buy(order), orderId);
        assertHolds(address(0), PRICE);
        assertEq(buyer.balance, 100 ether - PRICE);
        assertEq(
            abi.encode(market.standing(orderId)),
            abi.encode(IDataMarket.Standing(IDataMarket.Status.PAID, START_S, 0, 0, 0))
        );
    }

    function test_AGiftCostsNothing() external {
        IDataMarket.Order memory order = orderOf();
        order.offer.price = 0;
        sell(order);
        assertStatus(order, IDataMarket.Status.SETTLED);
    }

    function test_RefusesWhatIsSentWithoutAnOrder() external {
        vm.prank(buyer);
        (bool sent,) = address(market).call{value: 1}("");
        assertFalse(sent);
        vm.prank(buyer);
        (sent,) = address(market).call{value: 1}("unknown function");
        assertFalse(sent);
    }

    function testFuzz_OnlyTheSellersKey(uint256 key, uint256 price) external {
        key = bound(key, 1, ORDER_OF_CURVE - 1);
        IDataMarket.Order memory order = orderOf();
        order.offer.price = bound(price, 0, 100 ether);
        bytes32 offerId = idOf(order.offer);
        if (vm.addr(key) != seller) {
            vm.expectRevert(abi.encodeWithSelector(IDataMarket.InvalidSignature.selector, seller, offerId));
        }
        vm.prank(buyer);
        market.buy{value: order.offer.price}(order, signed(key, offerId));
    }

    function testFuzz_RevertWhen_OneBitOfTheSignatureIsFlipped(uint256 bit) external {
        IDataMarket.Order memory order = orderOf();
        bytes memory signature = signed(sellerKey, idOf(order.offer));
        bit = bound(bit, 0, 65 * 8 - 1);
        signature[bit / 8] ^= bytes1(uint8(1 << bit % 8));
        expectInvalid(order, signature);
    }

    function changed(uint256 which) private view returns (IDataMarket.Order memory order) {
        order = orderOf();
        if (which == 1) order.offer.log = "another";
        if (which == 2) order.offer.price -= 1;
        if (which == 3) order.offer.accessS += 1;
        if (which == 4) order.offer.expiresAt += 1;
        if (which == 5) order.offer.terms = "another";
        if (which == 6) order.recipient = "another";
        if (which == 7) order.deliverBy += 1;
        if (which == 8) order.grace += 1;
        if (which == 9) order.salt = "another";
        if (which == 10) order.offer.token = address(token);
        // Moved from one field to its neighbour.
        if (which == 11) (order.deliverBy, order.grace) = (order.deliverBy + 5, order.grace - 5);
        if (which == 12) (order.offer.accessS, order.offer.expiresAt) = (order.offer.expiresAt, order.offer.expiresAt);
        if (which == 13) (order.recipient, order.salt) = (order.salt, order.recipient);
    }

    function delegateTo(address code) private {
        vm.signAndAttachDelegation(code, sellerKey);
        vm.prank(relay);
        (bool sent,) = relay.call("");
        assertTrue(sent);
        assertEq(seller.code, abi.encodePacked(hex"ef0100", code), "not delegated");
    }

    function newWallet() private returns (SharedWallet) {
        address[] memory owners = new address[](2);
        (owners[0], owners[1]) = (trustees[0], trustees[1]);
        return new SharedWallet(owners, 2);
    }

    function expectNotNew(IDataMarket.Order memory order) private {
        expectRefusal(order, abi.encodeWithSelector(IDataMarket.OrderNotNew.selector, idOf(order)));
    }

    function expectCancelled(IDataMarket.Order memory order) private {
        expectRefusal(
            order,
            abi.encodeWithSelector(IDataMarket.OfferCancelledBefore.selector, order.offer.seller, idOf(order.offer))
        );
    }

    function expectInvalid(IDataMarket.Order memory order, bytes memory signature) private {
        vm.expectRevert(
            abi.encodeWithSelector(IDataMarket.InvalidSignature.selector, order.offer.seller, idOf(order.offer))
        );
        vm.prank(buyer);
        market.buy{value: PRICE}(order, signature);
    }

    function expectRefusal(IDataMarket.Order memory order, bytes memory refusal) private {
        bytes memory signature = signed(sellerKey, idOf(order.offer));
        vm.expectRevert(refusal);
        vm.prank(buyer);
        market.buy{value: PRICE}(order, signature);
    }
}
