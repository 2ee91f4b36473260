// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {IDataMarket} from "../../../../contracts/interfaces/IDataMarket.sol";
import {MarketTest} from "../../utils/MarketTest.sol";
import {Recipient} from "../../utils/Recipient.sol";
import {SaleDocuments} from "../../utils/SaleDocuments.sol";
import {StrangeToken} from "../../utils/Tokens.sol";
import {SharedWallet, StrangeWallet} from "../../utils/Wallets.sol";

/// @notice Sellers that are not a plain key, and payments that do not go smoothly.
contract SettleAccounts_Test is MarketTest {
    /* WHO APPROVES */

    function test_TakesTheKeyOfASellerThatDelegates() external {
        StrangeWallet delegate = new StrangeWallet();
        IDataMarket.Order memory order = orderOf();
        buy(order);
        for (uint8 i = 1; i <= uint8(StrangeWallet.Answer.BURNS); ++i) {
            uint256 state = vm.snapshotState();
            delegateTo(address(delegate));
            StrangeWallet(payable(seller)).setAnswer(StrangeWallet.Answer(i));
            settle(order, approvalOf(sellerKey, order));
            // The delegate's code is what receives: paid if it takes it, credited if it does not.
            assertEq(seller.balance + market.creditOf(seller, address(0)), PRICE);
            vm.revertToState(state);
        }
    }

    function test_TakesWhatTheDelegateTakes() external {
        IDataMarket.Order memory order = orderOf();
        buy(order);
        delegateTo(address(new StrangeWallet()));
        settle(order, IDataMarket.Approval(SETTLE_UNTIL, "whatever this delegate accepts"));
        assertEq(seller.balance, PRICE);
    }

    function test_TakesEnoughOwnersOfAWallet() external {
        address[] memory owners = new address[](2);
        (owners[0], owners[1]) = (trustees[0], trustees[1]);
        SharedWallet wallet = new SharedWallet(owners, 2);
        IDataMarket.Order memory order = walletsOrder(address(wallet));
        bytes32 message = wallet.messageOf(idOf(order.offer));
        bytes memory both = bytes.concat(signed(trusteeKeys[0], message), signed(trusteeKeys[1], message));
        vm.prank(buyer);
        bytes32 orderId = market.buy{value: PRICE}(order, both);

        bytes32 digest = digestOf(SaleDocuments.saleApproval(order, orderId, SETTLE_UNTIL));
        message = wallet.messageOf(digest);
        bytes memory one = signed(trusteeKeys[0], message);
        IDataMarket.Delivery memory delivery = deliveryOf(order);
        uint64 index = logged(commitmentOf(order, delivery));
        bytes32[] memory path = pathTo(index);
        vm.expectRevert(abi.encodeWithSelector(IDataMarket.InvalidSignature.selector, address(wallet), digest));
        market.settle(order, delivery, newest, index, path, IDataMarket.Approval(SETTLE_UNTIL, one));

        both = bytes.concat(one, signed(trusteeKeys[1], message));
        market.settle(order, delivery, newest, index, path, IDataMarket.Approval(SETTLE_UNTIL, both));
        // It takes no coins by itself.
        assertEq(market.creditOf(address(wallet), address(0)), PRICE);
        wallet.call(address(market), abi.encodeCall(market.withdraw, (address(wallet), address(0), stranger)));
        assertEq(stranger.balance, PRICE);
    }

    function test_AWalletApprovesByItsOwnTransaction() external {
        address[] memory owners = new address[](1);
        owners[0] = trustees[0];
        SharedWallet wallet = new SharedWallet(owners, 1);
        IDataMarket.Order memory order = walletsOrder(address(wallet));
        bytes memory signature = signed(trusteeKeys[0], wallet.messageOf(idOf(order.offer)));
        vm.prank(buyer);
        market.buy{value: PRICE}(order, signature);
        wallet.call(address(market), abi.encodeCall(market.approve, (order)));
        settle(order, noApproval());
        assertEq(market.creditOf(address(wallet), address(0)), PRICE);
    }

    function test_RevertWhen_TheWalletTakesItsWordBack() external {
        StrangeWallet wallet = new StrangeWallet();
        IDataMarket.Order memory order = walletsOrder(address(wallet));
        vm.prank(buyer);
        bytes32 orderId = market.buy{value: PRICE}(order, NO_SIGNATURE);
        IDataMarket.Delivery memory delivery = deliveryOf(order);
        uint64 index = logged(commitmentOf(order, delivery));
        bytes32[] memory path = pathTo(index);
        bytes32 digest = digestOf(SaleDocuments.saleApproval(order, orderId, SETTLE_UNTIL));
        for (uint8 i = 1; i <= uint8(StrangeWallet.Answer.TRUE); ++i) {
            wallet.setAnswer(StrangeWallet.Answer(i));
            vm.expectRevert(abi.encodeWithSelector(IDataMarket.InvalidSignature.selector, address(wallet), digest));
            market.settle(order, delivery, newest, index, path, IDataMarket.Approval(SETTLE_UNTIL, NO_SIGNATURE));
        }
        wallet.setAnswer(StrangeWallet.Answer.BURNS);
        vm.expectRevert(abi.encodeWithSelector(IDataMarket.InvalidSignature.selector, address(wallet), digest));
        market.settle{gas: 3_000_000}(
            order, delivery, newest, index, path, IDataMarket.Approval(SETTLE_UNTIL, NO_SIGNATURE)
        );
        // The buyer waits and loses nothing.
        vm.warp(SETTLE_UNTIL + 1);
        refund(order);
        assertEq(buyer.balance, 100 ether);
    }

    /* WHO IS PAID */

    function test_CreditsASellerWhoCannotBePaid() external {
        Recipient.Ways[3] memory ways = [Recipient.Ways.REFUSES, Recipient.Ways.BURNS_GAS, Recipient.Ways.REVERTS_HUGE];
        IDataMarket.Order memory order = orderOf();
        buy(order);
        for (uint256 i = 0; i < ways.length; ++i) {
            uint256 state = vm.snapshotState();
            asRecipient(ways[i]);
            settle(order, approvalOf(sellerKey, order));
            assertStatus(order, IDataMarket.Status.SETTLED);
            assertEq(market.creditOf(seller, address(0)), PRICE, vm.toString(i));
            assertHolds(address(0), PRICE);
            vm.revertToState(state);
        }
    }

    function test_CopiesNothingThatComesBack() external {
        IDataMarket.Order memory order = orderOf();
        buy(order);
        asRecipient(Recipient.Ways.HUGE);
        settle(order, approvalOf(sellerKey, order));
        assertEq(seller.balance, PRICE);
    }

    function test_APushGivesItsGasAndNoMore() external {
        IDataMarket.Order memory order = orderOf();
        buy(order);
        asRecipient(Recipient.Ways.COUNTS_GAS);
        settle(order, approvalOf(sellerKey, order));
        // One new slot costs 22,100 of it. The stipend comes on top of `PUSH_GAS`.
        uint256 seen = Recipient(payable(seller)).gasSeen();
        assertLe(seen, market.PUSH_GAS() + 2300);
        assertGt(seen, market.PUSH_GAS());
    }

    /// @dev Whoever settles chooses the gas: never so that the seller's wallet starves, and is credited, though it takes money.
    function test_NoGasLimitStarvesTheSeller() external {
        IDataMarket.Order memory order = orderOf();
        buy(order);
        asRecipient(Recipient.Ways.COUNTS_GAS);
        IDataMarket.Approval memory approval = approvalOf(sellerKey, order);
        IDataMarket.Delivery memory delivery = deliveryOf(order);
        uint64 index = logged(commitmentOf(order, delivery));
        bytes32[] memory path = pathTo(index);
        uint256 refused;
        for (uint256 gas = 40_000; gas < 200_000; gas += 500) {
            uint256 state = vm.snapshotState();
            try market.settle{gas: gas}(order, delivery, newest, index, path, approval) {
                assertEq(seller.balance, PRICE, vm.toString(gas));
            } catch {
                ++refused;
            }
            vm.revertToState(state);
        }
        assertGt(refused, 100);
        assertLt(refused, 319);
    }

    function test_ASellerWhoCallsBackIsPaidOnce() external {
        IDataMarket.Order memory order = orderOf();
        buy(order);
        IDataMarket.Approval memory approval = approvalOf(sellerKey, order);
        IDataMarket.Delivery memory delivery = deliveryOf(order);
        uint64 index = logged(commitmentOf(order, delivery));
        bytes32[] memory path = pathTo(index);
        // Another's money, that a second payment would take.
        vm.deal(address(market), address(market).balance + 10 ether);
        bytes[4] memory calls = [
            abi.encodeCall(market.settle, (order, delivery, newest, index, path, approval)),
            abi.encodeCall(market.decline, (order)),
            abi.encodeCall(market.refund, (order)),
            abi.encodeCall(market.withdraw, (seller, address(0), seller))
        ];
        for (uint256 i = 0; i < calls.length; ++i) {
            uint256 state = vm.snapshotState();
            asRecipient(Recipient.Ways.TAKES);
            Recipient(payable(seller)).setCall(address(market), calls[i]);
            market.settle(order, delivery, newest, index, path, approval);
            assertEq(seller.balance + market.creditOf(seller, address(0)), PRICE);
            assertEq(address(market).balance, 10 ether + market.creditOf(seller, address(0)));
            vm.revertToState(state);
        }
    }

    /* TOKENS */

    function test_PaysInAToken() external {
        IDataMarket.Order memory order = orderOf(address(token));
        sell(order);
        assertEq(token.balanceOf(seller), PRICE);
        assertHolds(address(token), 0);
    }

    /// @dev Blocked by the token's list, paused, or worse: the buyer's sale stands, the seller's money waits.
    function test_CreditsWhenTheTokenRefuses() external {
        StrangeToken strange = new StrangeToken();
        IDataMarket.Order memory order = strangeOrder(strange);
        StrangeToken.Ways[5] memory ways = [
            StrangeToken.Ways.REVERTS,
            StrangeToken.Ways.RETURNS_FALSE,
            StrangeToken.Ways.RETURNS_TWO,
            StrangeToken.Ways.LIES_FALSE,
            StrangeToken.Ways.PAUSED_OUT
        ];
        for (uint256 i = 0; i < ways.length; ++i) {
            uint256 state = vm.snapshotState();
            strange.setWays(ways[i]);
            settle(order, approvalOf(sellerKey, order));
            assertStatus(order, IDataMarket.Status.SETTLED);
            assertEq(market.creditOf(seller, address(strange)), PRICE, vm.toString(i));
            vm.revertToState(state);
        }
    }

    function test_CreditsWhenTheTokenIsGone() external {
        StrangeToken strange = new StrangeToken();
        IDataMarket.Order memory order = strangeOrder(strange);
        vm.etch(address(strange), "");
        settle(order, approvalOf(sellerKey, order));
        assertEq(market.creditOf(seller, address(strange)), PRICE);
    }

    function test_CreditsWhenTheTokenHoldsLessThanItDid() external {
        StrangeToken strange = new StrangeToken();
        IDataMarket.Order memory order = strangeOrder(strange);
        strange.burn(address(market), 1);
        settle(order, approvalOf(sellerKey, order));
        assertEq(market.creditOf(seller, address(strange)), PRICE);
    }

    function test_ATokenThatBurnsAllGasIsCreditedOrFails() external {
        StrangeToken strange = new StrangeToken();
        IDataMarket.Order memory order = strangeOrder(strange);
        strange.setWays(StrangeToken.Ways.BURNS_GAS);
        IDataMarket.Approval memory approval = approvalOf(sellerKey, order);
        IDataMarket.Delivery memory delivery = deliveryOf(order);
        uint64 index = logged(commitmentOf(order, delivery));
        bytes32[] memory path = pathTo(index);
        vm.expectRevert();
        market.settle{gas: 1_000_000}(order, delivery, newest, index, path, approval);
        market.settle{gas: 3_000_000}(order, delivery, newest, index, path, approval);
        assertEq(market.creditOf(seller, address(strange)), PRICE);
    }

    function test_ATokenThatCallsBackPaysOnce() external {
        StrangeToken strange = new StrangeToken();
        IDataMarket.Order memory order = strangeOrder(strange);
        strange.mint(address(market), 10 ether);
        IDataMarket.Approval memory approval = approvalOf(sellerKey, order);
        IDataMarket.Delivery memory delivery = deliveryOf(order);
        uint64 index = logged(commitmentOf(order, delivery));
        bytes32[] memory path = pathTo(index);
        bytes[3] memory calls = [
            abi.encodeCall(market.settle, (order, delivery, newest, index, path, approval)),
            abi.encodeCall(market.refund, (order)),
            abi.encodeCall(market.withdraw, (address(strange), address(strange), address(strange)))
        ];
        for (uint256 i = 0; i < calls.length; ++i) {
            uint256 state = vm.snapshotState();
            strange.setCall(address(market), calls[i]);
            market.settle(order, delivery, newest, index, path, approval);
            assertFalse(strange.calledBack());
            assertEq(strange.balanceOf(seller), PRICE);
            assertEq(strange.balanceOf(address(market)), 10 ether);
            vm.revertToState(state);
        }
    }

    /* INTERNAL */

    function walletsOrder(address wallet) private returns (IDataMarket.Order memory) {
        seller = wallet;
        return orderOf();
    }

    function strangeOrder(StrangeToken strange) private returns (IDataMarket.Order memory order) {
        strange.mint(buyer, PRICE);
        vm.prank(buyer);
        strange.approve(address(market), PRICE);
        order = orderOf(address(strange));
        buy(order);
    }

    function delegateTo(address code) private {
        vm.signAndAttachDelegation(code, sellerKey);
        vm.prank(relay);
        (bool sent,) = relay.call("");
        assertTrue(sent);
        assertEq(seller.code, abi.encodePacked(hex"ef0100", code), "not delegated");
    }

    /// @dev The seller keeps its key, and runs this code.
    function asRecipient(Recipient.Ways ways) private {
        delegateTo(address(new Recipient()));
        Recipient(payable(seller)).setWays(ways);
    }
}
