// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {IDataMarket} from "../../../../contracts/interfaces/IDataMarket.sol";
import {MarketTest} from "../../utils/MarketTest.sol";
import {Recipient} from "../../utils/Recipient.sol";
import {StrangeToken} from "../../utils/Tokens.sol";

contract Withdraw_Test is MarketTest {
    function test_RevertWhen_TheCallerDoesNotActForTheAccount() external {
        credit();
        address[3] memory callers = [stranger, buyer, relay];
        for (uint256 i = 0; i < callers.length; ++i) {
            expectNotController(callers[i]);
            vm.prank(callers[i]);
            market.withdraw(seller, address(0), callers[i]);
        }
        moveControl();
        expectNotController(seller);
        vm.prank(seller);
        market.withdraw(seller, address(0), stranger);
        vm.prank(next);
        market.withdraw(seller, address(0), stranger);
        assertEq(stranger.balance, 2 * PRICE);
    }

    function test_RevertWhen_ItWouldGoToZero() external {
        credit();
        vm.expectRevert(IDataMarket.ZeroAddress.selector);
        vm.prank(seller);
        market.withdraw(seller, address(0), address(0));
    }

    function test_RevertGiven_NoCredit() external {
        expectNothing(stranger, address(0));
        vm.prank(stranger);
        market.withdraw(stranger, address(0), stranger);
        credit();
        expectNothing(seller, address(token));
        withdraw(stranger, address(token));
        withdraw(stranger, address(0));
        expectNothing(seller, address(0));
        withdraw(stranger, address(0));
    }

    function test_RevertWhen_ItCannotBePaid() external {
        credit();
        Recipient recipient = new Recipient();
        recipient.setWays(Recipient.Ways.REFUSES);
        vm.expectRevert(abi.encodeWithSelector(IDataMarket.PaymentFailed.selector, address(recipient), 2 * PRICE));
        withdraw(address(recipient), address(0));
        assertEq(market.creditOf(seller, address(0)), 2 * PRICE);
    }

    function test_PaysOnceWhenCalledBack() external {
        credit();
        Recipient recipient = new Recipient();
        recipient.setCall(
            address(market), abi.encodeCall(market.withdraw, (address(recipient), address(0), address(recipient)))
        );
        vm.deal(address(market), 10 ether);
        withdraw(address(recipient), address(0));
        assertFalse(recipient.calledBack());
        assertEq(address(recipient).balance, 2 * PRICE);
    }

    function test_PaysAll() external {
        credit();
        vm.expectEmit(address(market));
        emit IDataMarket.Withdrawn(seller, address(0), stranger, 2 * PRICE);
        withdraw(stranger, address(0));
        assertEq(stranger.balance, 2 * PRICE);
        assertEq(market.creditOf(seller, address(0)), 0);
        assertHolds(address(0), 0);
    }

    function test_PaysInAToken() external {
        StrangeToken strange = new StrangeToken();
        strange.mint(buyer, PRICE);
        vm.prank(buyer);
        strange.approve(address(market), PRICE);
        IDataMarket.Order memory order = orderOf(address(strange));
        buy(order);
        strange.setWays(StrangeToken.Ways.PAUSED_OUT);
        settle(order, approvalOf(sellerKey, order));
        vm.expectRevert("paused");
        withdraw(stranger, address(strange));
        strange.setWays(StrangeToken.Ways.RETURNS_FALSE);
        vm.expectRevert(abi.encodeWithSignature("SafeERC20FailedOperation(address)", address(strange)));
        withdraw(stranger, address(strange));
        strange.setWays(StrangeToken.Ways.RETURNS_NOTHING);
        withdraw(stranger, address(strange));
        assertEq(strange.balanceOf(stranger), PRICE);
        assertEq(market.creditOf(seller, address(strange)), 0);
    }

    /// @dev Two orders that could not be paid out, while the seller's account ran code that takes nothing.
    function credit() private {
        IDataMarket.Order memory order = orderOf();
        Recipient recipient = new Recipient();
        vm.etch(seller, address(recipient).code);
        Recipient(payable(seller)).setWays(Recipient.Ways.REFUSES);
        sell(order);
        order.salt = "another";
        sell(order);
        vm.etch(seller, "");
        assertEq(market.creditOf(seller, address(0)), 2 * PRICE);
    }

    function withdraw(address to, address token_) private {
        vm.prank(seller);
        market.withdraw(seller, token_, to);
    }

    function expectNothing(address account, address token_) private {
        vm.expectRevert(abi.encodeWithSelector(IDataMarket.NothingToWithdraw.selector, account, token_));
    }
}
