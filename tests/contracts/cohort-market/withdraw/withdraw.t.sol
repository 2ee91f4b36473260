// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {ICohortMarket} from "../../../../contracts/interfaces/ICohortMarket.sol";
import {CohortTest} from "../../utils/CohortTest.sol";
import {Recipient} from "../../utils/Recipient.sol";
import {StrangeToken} from "../../utils/Tokens.sol";

contract Withdraw_Test is CohortTest {
    function test_RevertWhen_TheCallerDoesNotActForTheAccount() external {
        credit(cohortOf());
        address[3] memory callers = [stranger, buyer, relay];
        for (uint256 i = 0; i < callers.length; ++i) {
            expectNotController(seller, callers[i]);
            vm.prank(callers[i]);
            cohorts.withdraw(seller, address(0), callers[i]);
        }
        moveControl();
        expectNotController(seller, seller);
        withdraw(stranger, address(0));
        vm.prank(next);
        cohorts.withdraw(seller, address(0), stranger);
        assertEq(stranger.balance, 2 * PRICE);
    }

    /// @dev The usual sender of an `eth_call`, and an account that controls itself.
    function test_RevertWhen_NobodyWithdrawsForNobody() external {
        expectNotController(address(0), address(0));
        vm.prank(address(0));
        cohorts.withdraw(address(0), address(0), stranger);
    }

    function test_RevertWhen_ItWouldGoToZero() external {
        credit(cohortOf());
        vm.expectRevert(ICohortMarket.ZeroAddress.selector);
        withdraw(address(0), address(0));
    }

    function test_RevertGiven_NoCredit() external {
        expectNothing(address(0));
        withdraw(stranger, address(0));
        credit(cohortOf());
        expectNothing(address(token));
        withdraw(stranger, address(token));
        withdraw(stranger, address(0));
        expectNothing(address(0));
        withdraw(stranger, address(0));
    }

    function test_RevertWhen_ItCannotBePaid() external {
        credit(cohortOf());
        Recipient recipient = new Recipient();
        recipient.setWays(Recipient.Ways.REFUSES);
        vm.expectRevert(abi.encodeWithSelector(ICohortMarket.PaymentFailed.selector, address(recipient), 2 * PRICE));
        withdraw(address(recipient), address(0));
        assertEq(cohorts.creditOf(seller, address(0)), 2 * PRICE);
    }

    function test_PaysOnceWhenCalledBack() external {
        credit(cohortOf());
        Recipient recipient = new Recipient();
        recipient.setCall(
            address(cohorts), abi.encodeCall(cohorts.withdraw, (address(recipient), address(0), address(recipient)))
        );
        vm.deal(address(cohorts), 10 ether);
        withdraw(address(recipient), address(0));
        assertFalse(recipient.calledBack());
        assertEq(address(recipient).balance, 2 * PRICE);
    }

    function test_PaysAll() external {
        credit(cohortOf());
        uint256 held = address(cohorts).balance;
        vm.expectEmit(address(cohorts));
        emit ICohortMarket.Withdrawn(seller, address(0), stranger, 2 * PRICE);
        withdraw(stranger, address(0));
        assertEq(stranger.balance, 2 * PRICE);
        assertEq(cohorts.creditOf(seller, address(0)), 0);
        assertEscrow(address(0), held - 2 * PRICE);
    }

    function test_PaysInAToken() external {
        StrangeToken strange = new StrangeToken();
        strange.mint(buyer, 100 ether);
        vm.prank(buyer);
        strange.approve(address(cohorts), type(uint256).max);
        ICohortMarket.Cohort memory cohort = cohortOf(address(strange));
        open(cohort);
        strange.setWays(StrangeToken.Ways.PAUSED_OUT);
        settleFor(cohort);
        vm.expectRevert("paused");
        withdraw(stranger, address(strange));
        strange.setWays(StrangeToken.Ways.RETURNS_FALSE);
        vm.expectRevert(abi.encodeWithSignature("SafeERC20FailedOperation(address)", address(strange)));
        withdraw(stranger, address(strange));
        strange.setWays(StrangeToken.Ways.RETURNS_NOTHING);
        withdraw(stranger, address(strange));
        assertEq(strange.balanceOf(stranger), PRICE);
    }

    /// @dev Twice, while the seller's account runs code that takes nothing.
    function credit(ICohortMarket.Cohort memory cohort) private {
        vm.etch(seller, address(new Recipient()).code);
        Recipient(payable(seller)).setWays(Recipient.Ways.REFUSES);
        open(cohort);
        settleFor(cohort);
        cohort.salt = "another";
        open(cohort);
        settleFor(cohort);
        vm.etch(seller, "");
        assertEq(cohorts.creditOf(seller, cohort.token), 2 * PRICE);
    }

    function settleFor(ICohortMarket.Cohort memory cohort) private {
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 1);
        ICohortMarket.Batch memory batch = deliver(cohort, claims);
        settle(cohort, batch, claims);
    }

    function withdraw(address to, address token_) private {
        vm.prank(seller);
        cohorts.withdraw(seller, token_, to);
    }

    function expectNotController(address account, address caller) private {
        vm.expectRevert(abi.encodeWithSelector(ICohortMarket.NotController.selector, account, caller));
    }

    function expectNothing(address token_) private {
        vm.expectRevert(abi.encodeWithSelector(ICohortMarket.NothingToWithdraw.selector, seller, token_));
    }
}
