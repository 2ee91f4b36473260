// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {IDataMarket} from "../../../../contracts/interfaces/IDataMarket.sol";
import {MarketTest} from "../../utils/MarketTest.sol";
import {PlainToken, StrangeToken} from "../../utils/Tokens.sol";

contract BuyWithPermit_Test is MarketTest {
    bytes32 private constant PERMIT_TYPEHASH =
        keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");

    uint8 private v;
    bytes32 private r;
    bytes32 private s;

    function setUp() public override {
        super.setUp();
        vm.prank(buyer);
        token.approve(address(market), 0);
    }

    function test_RevertWhen_TheOrderIsInTheChainsOwnCoin() external {
        IDataMarket.Order memory order = orderOf();
        vm.expectRevert(IDataMarket.ZeroAddress.selector);
        buyPermitted(order, START_S);
    }

    function test_RevertWhen_ThePermitIsNoGood() external {
        IDataMarket.Order memory order = orderOf(address(token));
        permit(strangerKey, PRICE, START_S);
        expectNoAllowance();
        buyPermitted(order, START_S);
        permit(buyerKey, PRICE, START_S - 1);
        expectNoAllowance();
        buyPermitted(order, START_S - 1);
        permit(buyerKey, PRICE + 1, START_S);
        expectNoAllowance();
        buyPermitted(order, START_S);
        assertStatus(order, IDataMarket.Status.NONE);
    }

    function test_BuysWhenSomebodyCarriedThePermitBefore() external {
        permit(buyerKey, PRICE, START_S);
        vm.prank(stranger);
        token.permit(buyer, address(market), PRICE, START_S, v, r, s);
        buyPermitted(orderOf(address(token)), START_S);
        assertHolds(address(token), PRICE);
    }

    function test_BuysInATokenWithoutPermit() external {
        StrangeToken strange = new StrangeToken();
        strange.mint(buyer, PRICE);
        vm.prank(buyer);
        strange.approve(address(market), PRICE);
        vm.mockCallRevert(address(strange), abi.encodeWithSelector(strange.permit.selector), "a long reason");
        buyPermitted(orderOf(address(strange)), START_S);
        assertEq(strange.balanceOf(address(market)), PRICE);
    }

    function test_RevertWhen_TheTokenHasNoCode() external {
        IDataMarket.Order memory order = orderOf(makeAddr("nobody"));
        vm.expectRevert();
        buyPermitted(order, START_S);
    }

    function test_RevertWhen_TheCallerIsNotTheBuyer() external {
        IDataMarket.Order memory order = orderOf(address(token));
        permit(buyerKey, PRICE, START_S);
        bytes memory signature = signed(sellerKey, idOf(order.offer));
        vm.expectRevert(abi.encodeWithSelector(IDataMarket.NotBuyer.selector, buyer, stranger));
        vm.prank(stranger);
        market.buyWithPermit(order, signature, START_S, v, r, s);
    }

    function test_RevertWhen_TheOfferIsNotTheSellers() external {
        IDataMarket.Order memory order = orderOf(address(token));
        permit(buyerKey, PRICE, START_S);
        bytes memory signature = signed(strangerKey, idOf(order.offer));
        vm.expectRevert(abi.encodeWithSelector(IDataMarket.InvalidSignature.selector, seller, idOf(order.offer)));
        vm.prank(buyer);
        market.buyWithPermit(order, signature, START_S, v, r, s);
    }

    function test_Buys() external {
        IDataMarket.Order memory order = orderOf(address(token));
        permit(buyerKey, PRICE, START_S);
        vm.expectEmit(address(market));
        emit IDataMarket.Bought(
            idOf(order), seller, buyer, idOf(order.offer), order.recipient, DELIVER_BY, GRACE, order.salt
        );
        buyPermitted(order, START_S);
        assertStatus(order, IDataMarket.Status.PAID);
        assertHolds(address(token), PRICE);
        assertEq(token.allowance(buyer, address(market)), 0);
    }

    function permit(uint256 key, uint256 value, uint256 deadline) private {
        bytes32 structHash =
            keccak256(abi.encode(PERMIT_TYPEHASH, buyer, address(market), value, token.nonces(buyer), deadline));
        (v, r, s) = vm.sign(key, keccak256(abi.encodePacked(hex"1901", token.DOMAIN_SEPARATOR(), structHash)));
    }

    function buyPermitted(IDataMarket.Order memory order, uint256 deadline) private {
        bytes memory signature = signed(sellerKey, idOf(order.offer));
        vm.prank(buyer);
        market.buyWithPermit(order, signature, deadline, v, r, s);
    }

    function expectNoAllowance() private {
        vm.expectRevert(
            abi.encodeWithSignature("ERC20InsufficientAllowance(address,uint256,uint256)", market, 0, PRICE)
        );
    }
}
