// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {ICohortMarket} from "../../../../contracts/interfaces/ICohortMarket.sol";
import {CohortTest} from "../../utils/CohortTest.sol";
import {Recipient} from "../../utils/Recipient.sol";
import {StrangeToken} from "../../utils/Tokens.sol";

contract Close_Test is CohortTest {
    uint256 private constant ALL = PRICE * PLACES;

    ICohortMarket.Cohort private cohort;

    function setUp() public override {
        super.setUp();
        cohort = cohortOf();
    }

    function test_RevertGiven_TheCohortIsNotOpen() external {
        expectNotOpen();
        close(cohort);
        open(cohort);
        vm.warp(SETTLE_UNTIL + 1);
        close(cohort);
        expectNotOpen();
        close(cohort);
        assertEq(buyer.balance, 100 ether);
    }

    function test_RevertGiven_ItCanStillBeSettled() external {
        open(cohort);
        settleSome(3);
        uint64[3] memory times = [START_S, DELIVER_BY, SETTLE_UNTIL];
        for (uint256 i = 0; i < 3; ++i) {
            vm.warp(times[i]);
            vm.expectRevert(abi.encodeWithSelector(ICohortMarket.ClosableLater.selector, idOf(cohort), SETTLE_UNTIL));
            vm.prank(buyer);
            cohorts.close(cohort);
        }
    }

    function test_GivesTheRestBack() external {
        open(cohort);
        settleSome(3);
        vm.warp(SETTLE_UNTIL + 1);
        vm.expectEmit(address(cohorts));
        emit ICohortMarket.Closed(idOf(cohort), buyer, PRICE);
        close(cohort);
        assertEq(buyer.balance, 100 ether - 3 * PRICE);
        assertEscrow(address(0), 0);
        ICohortMarket.Standing memory held = cohorts.standing(idOf(cohort));
        assertEq(uint8(held.status), uint8(ICohortMarket.Status.CLOSED));
        assertEq(held.paid, 3);
    }

    function test_GivesAllBackWhenNobodyDelivered() external {
        cohort = cohortOf(address(token));
        open(cohort);
        vm.warp(SETTLE_UNTIL + 1);
        close(cohort);
        assertEq(token.balanceOf(buyer), 100 ether);
        assertEscrow(address(token), 0);
    }

    function test_ClosesAtOnceWhenAllPlacesArePaid() external {
        open(cohort);
        settleSome(PLACES);
        vm.expectEmit(address(cohorts));
        emit ICohortMarket.Closed(idOf(cohort), buyer, 0);
        close(cohort);
        assertEq(buyer.balance, 100 ether - ALL);
        assertEscrow(address(0), 0);
    }

    function test_CreditsABuyerWhoCannotBePaid() external {
        open(cohort);
        vm.etch(buyer, address(new Recipient()).code);
        Recipient(payable(buyer)).setWays(Recipient.Ways.REFUSES);
        vm.warp(SETTLE_UNTIL + 1);
        close(cohort);
        assertEq(cohorts.creditOf(buyer, address(0)), ALL);
        vm.prank(buyer);
        cohorts.withdraw(buyer, address(0), stranger);
        assertEq(stranger.balance, ALL);
    }

    function test_CreditsInATokenThatRefuses() external {
        StrangeToken strange = new StrangeToken();
        strange.mint(buyer, ALL);
        vm.prank(buyer);
        strange.approve(address(cohorts), ALL);
        cohort = cohortOf(address(strange));
        open(cohort);
        vm.warp(SETTLE_UNTIL + 1);
        strange.setWays(StrangeToken.Ways.BURNS_GAS);
        vm.expectRevert(abi.encodeWithSelector(ICohortMarket.TooLittleGas.selector, 320_000));
        cohorts.close{gas: 310_000}(cohort);
        cohorts.close{gas: 500_000}(cohort);
        assertEq(cohorts.creditOf(buyer, address(strange)), ALL);
    }

    function test_CreditsABuyerWhoseControlMoved() external {
        open(cohort);
        seller = buyer;
        moveControl();
        vm.warp(SETTLE_UNTIL + 1);
        close(cohort);
        assertEq(buyer.balance, 100 ether - ALL);
        assertEq(cohorts.creditOf(buyer, address(0)), ALL);
        vm.prank(next);
        cohorts.withdraw(buyer, address(0), next);
        assertEq(next.balance, ALL);
    }

    function test_PaysOnceWhenTheBuyerCallsBack() external {
        open(cohort);
        vm.deal(address(cohorts), ALL + 10 ether);
        vm.etch(buyer, address(new Recipient()).code);
        Recipient(payable(buyer)).setCall(address(cohorts), abi.encodeCall(cohorts.close, (cohort)));
        vm.warp(SETTLE_UNTIL + 1);
        close(cohort);
        assertEq(buyer.balance + cohorts.creditOf(buyer, address(0)), 100 ether);
        assertEscrow(address(0), 10 ether + cohorts.creditOf(buyer, address(0)));
    }

    /// @dev The money of a cohort is its own: another's stays.
    function test_LeavesOtherCohortsAlone() external {
        open(cohort);
        ICohortMarket.Cohort memory other = cohortOf();
        (other.salt, other.deliverBy) = ("another", DELIVER_BY + 1 days);
        open(other);
        settleSome(2);
        vm.warp(SETTLE_UNTIL + 1);
        close(cohort);
        assertEscrow(address(0), ALL);
        vm.warp(SETTLE_UNTIL + 1 days + 1);
        close(other);
        assertEscrow(address(0), 0);
    }

    function settleSome(uint256 count) private {
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, count);
        ICohortMarket.Batch memory batch = deliver(cohort, claims);
        assertEq(settle(cohort, batch, claims), count);
    }

    function expectNotOpen() private {
        vm.expectRevert(abi.encodeWithSelector(ICohortMarket.CohortNotOpen.selector, idOf(cohort)));
    }
}
