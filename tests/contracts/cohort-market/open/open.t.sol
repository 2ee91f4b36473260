// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {ICohortMarket} from "../../../../contracts/interfaces/ICohortMarket.sol";
import {CohortTest} from "../../utils/CohortTest.sol";
import {StrangeToken} from "../../utils/Tokens.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

contract Open_Test is CohortTest {
    uint256 private constant ALL = PRICE * PLACES;

    function test_RevertWhen_TheCallerIsNotTheBuyer() external {
        vm.deal(stranger, ALL);
        vm.expectRevert(abi.encodeWithSelector(ICohortMarket.NotBuyer.selector, buyer, stranger));
        vm.prank(stranger);
        cohorts.open{value: ALL}(cohortOf());
    }

    function test_RevertGiven_ItWasOpenedBefore() external {
        ICohortMarket.Cohort memory cohort = cohortOf();
        open(cohort);
        expectNotNew(cohort);
        open(cohort);
        vm.warp(SETTLE_UNTIL + 1);
        close(cohort);
        expectNotNew(cohort);
        open(cohort);
    }

    function test_RevertWhen_ItHasNoPlaces() external {
        ICohortMarket.Cohort memory cohort = cohortOf();
        cohort.places = 0;
        vm.expectRevert(ICohortMarket.NoPlaces.selector);
        open(cohort);
    }

    function test_RevertWhen_TheWindowIsOutOfRange() external {
        uint64 most = cohorts.WINDOW_MAX_S();
        assertEq(most, 366 days);
        uint64[2][7] memory windows = [
            [START_S, GRACE],
            [START_S - 1, GRACE],
            [uint64(0), GRACE],
            [START_S + 1, most],
            [START_S * 1000, GRACE],
            [type(uint64).max, type(uint64).max],
            // Their sum, cut to 64 bits, is the next second.
            [type(uint64).max, START_S + 2]
        ];
        ICohortMarket.Cohort memory cohort = cohortOf();
        for (uint256 i = 0; i < windows.length; ++i) {
            (cohort.deliverBy, cohort.grace) = (windows[i][0], windows[i][1]);
            vm.expectRevert(
                abi.encodeWithSelector(ICohortMarket.WindowOutOfRange.selector, cohort.deliverBy, cohort.grace)
            );
            open(cohort);
        }
        (cohort.deliverBy, cohort.grace) = (START_S + 1, most - 1);
        open(cohort);
    }

    function test_RevertWhen_ThePriceIsBeyondAnyNumber() external {
        ICohortMarket.Cohort memory cohort = cohortOf();
        cohort.price = type(uint256).max / PLACES + 1;
        vm.expectRevert(abi.encodeWithSignature("Panic(uint256)", 0x11));
        vm.prank(buyer);
        cohorts.open{value: 0}(cohort);
    }

    function test_RevertWhen_TheValueIsNotThePriceOfAllPlaces() external {
        uint256[4] memory values = [uint256(0), PRICE, ALL - 1, ALL + 1];
        for (uint256 i = 0; i < values.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(ICohortMarket.WrongValue.selector, values[i], ALL));
            vm.prank(buyer);
            cohorts.open{value: values[i]}(cohortOf());
        }
    }

    function test_KeepsThePriceOfAllPlaces() external {
        ICohortMarket.Cohort memory cohort = cohortOf();
        vm.expectEmit(address(cohorts));
        emit ICohortMarket.Opened(
            idOf(cohort),
            buyer,
            logId,
            address(0),
            PRICE,
            PLACES,
            cohort.recipient,
            DELIVER_BY,
            GRACE,
            cohort.terms,
            cohort.salt
        );
        assertEq(open(cohort), idOf(cohort));
        assertEscrow(address(0), ALL);
        assertEq(
            abi.encode(cohorts.standing(idOf(cohort))),
            abi.encode(ICohortMarket.Standing(ICohortMarket.Status.OPEN, START_S, 0, 0))
        );
    }

    function testFuzz_KeepsExactlyThePrice(uint128 price, uint32 places) external {
        ICohortMarket.Cohort memory cohort = cohortOf();
        (cohort.price, cohort.places) = (price, uint32(bound(places, 1, type(uint32).max)));
        uint256 all = uint256(price) * cohort.places;
        vm.deal(buyer, all);
        open(cohort);
        assertEscrow(address(0), all);
        vm.warp(SETTLE_UNTIL + 1);
        close(cohort);
        assertEq(buyer.balance, all);
    }

    /* TOKENS */

    function test_KeepsAToken() external {
        open(cohortOf(address(token)));
        assertEscrow(address(token), ALL);
        assertEscrow(address(0), 0);
    }

    function test_RevertWhen_CoinsComeAlong() external {
        vm.expectRevert(abi.encodeWithSelector(ICohortMarket.WrongValue.selector, 1, 0));
        vm.prank(buyer);
        cohorts.open{value: 1}(cohortOf(address(token)));
    }

    function test_RevertWhen_TheTokenDoesNotPay() external {
        address[4] memory tokens = [makeAddr("nobody"), address(2), address(cohorts), address(consents)];
        for (uint256 i = 0; i < tokens.length; ++i) {
            ICohortMarket.Cohort memory cohort = cohortOf(tokens[i]);
            vm.expectRevert();
            open(cohort);
        }
        vm.prank(buyer);
        token.approve(address(cohorts), ALL - 1);
        ICohortMarket.Cohort memory short = cohortOf(address(token));
        vm.expectRevert();
        open(short);
    }

    function test_RevertWhen_AnotherAmountArrives() external {
        StrangeToken strange = strangeToken();
        ICohortMarket.Cohort memory cohort = cohortOf(address(strange));
        // What stands here already is no payment.
        strange.mint(address(cohorts), 1 ether);
        StrangeToken.Ways[3] memory ways =
            [StrangeToken.Ways.TAKES_A_FEE, StrangeToken.Ways.GIVES_MORE, StrangeToken.Ways.LIES_TRUE];
        uint256[3] memory arrived = [ALL - 1, ALL + 1, 0];
        for (uint256 i = 0; i < 3; ++i) {
            strange.setWays(ways[i]);
            vm.expectRevert(abi.encodeWithSelector(ICohortMarket.WrongAmountArrived.selector, arrived[i], ALL));
            open(cohort);
        }
    }

    function test_TheTokenCannotCallBack() external {
        StrangeToken strange = strangeToken();
        ICohortMarket.Cohort memory cohort = cohortOf(address(strange));
        ICohortMarket.Cohort memory other = cohortOf();
        open(other);
        ICohortMarket.Claim[] memory claims = claimsOf(other, 2);
        ICohortMarket.Batch memory batch = deliver(other, claims);
        bytes[5] memory calls = [
            abi.encodeCall(cohorts.settleMany, (other, batch, claims)),
            abi.encodeCall(cohorts.close, (cohort)),
            abi.encodeCall(cohorts.open, (cohort)),
            abi.encodeCall(cohorts.openWithPermit, (cohort, 0, 0, 0, 0)),
            abi.encodeCall(cohorts.withdraw, (address(strange), address(strange), stranger))
        ];
        for (uint256 i = 0; i < calls.length; ++i) {
            uint256 state = vm.snapshotState();
            strange.setCall(address(cohorts), calls[i]);
            open(cohort);
            assertFalse(strange.calledBack(), vm.toString(i));
            assertEq(
                bytes4(strange.answer()), ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector, "by the guard"
            );
            vm.revertToState(state);
        }
    }

    function strangeToken() private returns (StrangeToken strange) {
        strange = new StrangeToken();
        strange.mint(buyer, 10 ether);
        vm.prank(buyer);
        strange.approve(address(cohorts), type(uint256).max);
    }

    function expectNotNew(ICohortMarket.Cohort memory cohort) private {
        vm.expectRevert(abi.encodeWithSelector(ICohortMarket.CohortNotNew.selector, idOf(cohort)));
    }
}
