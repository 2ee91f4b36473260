// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {IDataMarket} from "../../../../contracts/interfaces/IDataMarket.sol";
import {MarketTest} from "../../utils/MarketTest.sol";
import {StrangeToken} from "../../utils/Tokens.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

/// @notice Orders in tokens, of every kind.
contract BuyTokens_Test is MarketTest {
    StrangeToken private strange;

    function setUp() public override {
        super.setUp();
        strange = new StrangeToken();
        strange.mint(buyer, 100 ether);
        vm.prank(buyer);
        strange.approve(address(market), type(uint256).max);
    }

    function test_KeepsThePrice() external {
        IDataMarket.Order memory order = orderOf(address(token));
        bytes32 orderId = buy(order);
        assertEq(orderId, idOf(order));
        assertHolds(address(token), PRICE);
        assertHolds(address(0), 0);
        assertEq(token.balanceOf(buyer), 100 ether - PRICE);
    }

    function test_RevertWhen_CoinsComeAlong() external {
        IDataMarket.Order memory order = orderOf(address(token));
        bytes memory signature = signed(sellerKey, idOf(order.offer));
        uint256[2] memory values = [uint256(1), PRICE];
        for (uint256 i = 0; i < values.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IDataMarket.WrongValue.selector, values[i], 0));
            vm.prank(buyer);
            market.buy{value: values[i]}(order, signature);
        }
    }

    function test_RevertWhen_NothingIsAllowedOrThere() external {
        IDataMarket.Order memory order = orderOf(address(token));
        vm.prank(buyer);
        token.approve(address(market), PRICE - 1);
        expectAnyRevert(order);
        vm.startPrank(buyer);
        token.approve(address(market), PRICE);
        token.transfer(stranger, 100 ether - PRICE + 1);
        vm.stopPrank();
        expectAnyRevert(order);
    }

    /// @dev Else anybody "pays" in a token that is deployed later, and is refunded in it.
    function test_RevertWhen_TheTokenHasNoCode() external {
        address[4] memory codeless = [makeAddr("nobody"), address(1), address(2), address(4)];
        for (uint256 i = 0; i < codeless.length; ++i) {
            expectAnyRevert(orderOf(codeless[i]));
        }
    }

    function test_RevertWhen_TheTokenIsAContractOfOurs() external {
        address[3] memory ours = [address(market), address(anchors), address(consents)];
        for (uint256 i = 0; i < ours.length; ++i) {
            expectAnyRevert(orderOf(ours[i]));
        }
    }

    function test_RevertWhen_AnotherAmountArrives() external {
        IDataMarket.Order memory order = orderOf(address(strange));
        strange.setWays(StrangeToken.Ways.TAKES_A_FEE);
        expectWrongAmount(order, PRICE - 1);
        strange.setWays(StrangeToken.Ways.GIVES_MORE);
        expectWrongAmount(order, PRICE + 1);
        // What stands here already is no payment.
        strange.mint(address(market), 1 ether);
        strange.setWays(StrangeToken.Ways.LIES_TRUE);
        expectWrongAmount(order, 0);
    }

    function test_RevertWhen_TheTokenRefuses() external {
        IDataMarket.Order memory order = orderOf(address(strange));
        StrangeToken.Ways[4] memory ways = [
            StrangeToken.Ways.REVERTS,
            StrangeToken.Ways.RETURNS_FALSE,
            StrangeToken.Ways.RETURNS_TWO,
            StrangeToken.Ways.LIES_FALSE
        ];
        for (uint256 i = 0; i < ways.length; ++i) {
            strange.setWays(ways[i]);
            expectAnyRevert(order);
            assertStatus(order, IDataMarket.Status.NONE);
        }
    }

    function test_TakesATokenThatReturnsNothingOrMuch() external {
        IDataMarket.Order memory order = orderOf(address(strange));
        strange.setWays(StrangeToken.Ways.RETURNS_NOTHING);
        buy(order);
        order.salt = "another";
        strange.setWays(StrangeToken.Ways.HUGE);
        buy(order);
        assertHolds(address(strange), 2 * PRICE);
    }

    /// @dev The order is paid already when the token is called, its money not yet here.
    function test_TheTokenCannotCallBack() external {
        IDataMarket.Order memory order = orderOf(address(strange));
        IDataMarket.Order memory other = orderOf(address(0));
        buy(other);
        strange.mint(address(market), 10 ether);
        bytes memory signature = signed(sellerKey, idOf(order.offer));
        bytes[5] memory calls = [
            abi.encodeCall(market.refund, (order)),
            abi.encodeCall(market.refund, (other)),
            abi.encodeCall(market.buy, (order, signature)),
            abi.encodeCall(market.buyWithPermit, (order, signature, 0, 0, 0, 0)),
            abi.encodeCall(market.withdraw, (address(strange), address(strange), stranger))
        ];
        for (uint256 i = 0; i < calls.length; ++i) {
            uint256 state = vm.snapshotState();
            strange.setCall(address(market), calls[i]);
            buy(order);
            assertFalse(strange.calledBack(), vm.toString(i));
            assertEq(
                bytes4(strange.answer()), ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector, "by the guard"
            );
            assertStatus(order, IDataMarket.Status.PAID);
            assertEq(strange.balanceOf(address(market)), 10 ether + PRICE);
            vm.revertToState(state);
        }
    }

    /// @dev What the guard does not stop during a payment stays without effect on the money.
    function test_ATokenThatCancelsInBetweenLeavesARefund() external {
        seller = address(strange);
        IDataMarket.Order memory order = orderOf(address(strange));
        // Its fallback is no wallet's: by the key of who controls nothing, the offer would be refused.
        bytes32 offerId = idOf(order.offer);
        vm.mockCall(
            address(strange), abi.encodeWithSignature("isValidSignature(bytes32,bytes)"), abi.encode(bytes4(0x1626ba7e))
        );
        strange.setCall(address(market), abi.encodeCall(market.cancelOffer, (seller, offerId)));
        vm.prank(buyer);
        market.buy(order, NO_SIGNATURE);
        assertTrue(strange.calledBack());
        assertStatus(order, IDataMarket.Status.PAID);
        strange.setWays(StrangeToken.Ways.PLAIN);
        refund(order);
        assertEq(strange.balanceOf(buyer), 100 ether);
    }

    function testFuzz_TakesExactlyThePrice(uint256 price) external {
        IDataMarket.Order memory order = orderOf(address(token));
        order.offer.price = price = bound(price, 0, 100 ether);
        buy(order);
        assertHolds(address(token), price);
        assertEq(token.balanceOf(buyer), 100 ether - price);
    }

    function expectWrongAmount(IDataMarket.Order memory order, uint256 amount) private {
        bytes memory signature = signed(sellerKey, idOf(order.offer));
        vm.expectRevert(abi.encodeWithSelector(IDataMarket.WrongAmountArrived.selector, amount, PRICE));
        vm.prank(buyer);
        market.buy(order, signature);
    }

    function expectAnyRevert(IDataMarket.Order memory order) private {
        bytes memory signature = signed(sellerKey, idOf(order.offer));
        vm.expectRevert();
        vm.prank(buyer);
        market.buy(order, signature);
    }
}
