// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {ICohortMarket} from "../../../../contracts/interfaces/ICohortMarket.sol";
import {CohortTest} from "../../utils/CohortTest.sol";
import {Recipient} from "../../utils/Recipient.sol";
import {StrangeToken} from "../../utils/Tokens.sol";
import {GreedyWallet, SharedWallet, StrangeWallet, ThriftyWallet} from "../../utils/Wallets.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

/// @notice Sellers that are no plain key, and payments that do not go smoothly: none of them holds up the others.
contract SettleManyAccounts_Test is CohortTest {
    ICohortMarket.Cohort private cohort;

    function setUp() public override {
        super.setUp();
        cohort = cohortOf();
        open(cohort);
    }

    /* WHO ACCEPTS */

    function test_TakesTheKeyOfASellerThatDelegates() external {
        StrangeWallet delegate = new StrangeWallet();
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 2);
        ICohortMarket.Batch memory batch = deliver(cohort, claims);
        for (uint8 i = 1; i <= uint8(StrangeWallet.Answer.BURNS); ++i) {
            uint256 state = vm.snapshotState();
            delegateTo(address(delegate));
            StrangeWallet(payable(seller)).setAnswer(StrangeWallet.Answer(i));
            assertEq(settle(cohort, batch, claims), 2);
            assertEq(seller.balance + cohorts.creditOf(seller, address(0)), PRICE);
            vm.revertToState(state);
        }
    }

    function test_TakesEnoughOwnersOfAWallet() external {
        address[] memory owners = new address[](2);
        (owners[0], owners[1]) = (trustees[0], trustees[1]);
        SharedWallet wallet = new SharedWallet(owners, 2);
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 2);
        claims[0].seller = address(wallet);
        bytes32 message = wallet.messageOf(idOf(cohort, claims[0]));
        bytes memory one = signed(trusteeKeys[0], message);
        claims[0].signature = one;
        ICohortMarket.Batch memory batch = deliver(cohort, claims);
        assertSkipped(cohort, batch, claims, ICohortMarket.Skip.NOT_ACCEPTED);
        claims[0].signature = bytes.concat(one, signed(trusteeKeys[1], message));
        assertEq(settle(cohort, batch, claims), 2);
        // It takes no coins by itself.
        assertEq(cohorts.creditOf(address(wallet), address(0)), PRICE);
        wallet.call(address(cohorts), abi.encodeCall(cohorts.withdraw, (address(wallet), address(0), stranger)));
        assertEq(stranger.balance, PRICE);
    }

    function test_AStrangeWalletHoldsUpNobody() external {
        StrangeWallet wallet = new StrangeWallet();
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 3);
        claims[1].seller = address(wallet);
        claims[1].signature = NO_SIGNATURE;
        ICohortMarket.Batch memory batch = deliver(cohort, claims);
        for (uint8 i = 0; i <= uint8(StrangeWallet.Answer.BURNS); ++i) {
            StrangeWallet.Answer answer = StrangeWallet.Answer(i);
            // A megabyte that begins well costs more than a wallet is given.
            bool accepts = answer == StrangeWallet.Answer.YES;
            uint256 state = vm.snapshotState();
            wallet.setAnswer(answer);
            vm.prank(relay);
            assertEq(cohorts.settleMany{gas: 2_000_000}(cohort, batch, claims), accepts ? 3 : 2, vm.toString(i));
            vm.revertToState(state);
        }
    }

    /* WHO IS PAID */

    function test_WhoCannotBePaidIsCredited() external {
        Recipient.Ways[3] memory ways = [Recipient.Ways.REFUSES, Recipient.Ways.BURNS_GAS, Recipient.Ways.REVERTS_HUGE];
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 3);
        ICohortMarket.Batch memory batch = deliver(cohort, claims);
        for (uint256 i = 0; i < ways.length; ++i) {
            uint256 state = vm.snapshotState();
            asRecipient(ways[i]);
            assertEq(settle(cohort, batch, claims), 3);
            assertEq(cohorts.creditOf(seller, address(0)), PRICE);
            assertEq(people[1].balance + people[2].balance, 2 * PRICE);
            assertEscrow(address(0), 2 * PRICE);
            vm.revertToState(state);
        }
    }

    function test_APushGivesItsGasAndCopiesNothing() external {
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 2);
        ICohortMarket.Batch memory batch = deliver(cohort, claims);
        uint256 state = vm.snapshotState();
        asRecipient(Recipient.Ways.HUGE);
        settle(cohort, batch, claims);
        assertEq(seller.balance, PRICE);
        vm.revertToState(state);
        asRecipient(Recipient.Ways.COUNTS_GAS);
        settle(cohort, batch, claims);
        uint256 seen = Recipient(payable(seller)).gasSeen();
        assertLe(seen, cohorts.PUSH_GAS() + 2300);
        assertGt(seen, cohorts.PUSH_GAS());
    }

    function test_ASellerWhoCallsBackIsPaidOnce() external {
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 2);
        ICohortMarket.Batch memory batch = deliver(cohort, claims);
        // Another's money, that a second payment would take.
        vm.deal(address(cohorts), address(cohorts).balance + 10 ether);
        bytes[3] memory calls = [
            abi.encodeCall(cohorts.settleMany, (cohort, batch, claims)),
            abi.encodeCall(cohorts.close, (cohort)),
            abi.encodeCall(cohorts.withdraw, (seller, address(0), seller))
        ];
        for (uint256 i = 0; i < calls.length; ++i) {
            uint256 state = vm.snapshotState();
            asRecipient(Recipient.Ways.TAKES);
            Recipient(payable(seller)).setCall(address(cohorts), calls[i]);
            settle(cohort, batch, claims);
            uint256 credit = cohorts.creditOf(seller, address(0));
            assertEq(seller.balance + credit, PRICE);
            assertEq(people[1].balance, PRICE);
            assertEscrow(address(0), 10 ether + 2 * PRICE + credit);
            vm.revertToState(state);
        }
    }

    /* GAS */

    /// @dev Whoever settles chooses the gas: all are paid, or the batch reverts.
    function test_NoGasLimitSkipsOrCreditsASeller() external {
        address[] memory owners = new address[](1);
        owners[0] = trustees[0];
        SharedWallet wallet = new SharedWallet(owners, 1);
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 3);
        claims[2].seller = address(wallet);
        claims[2].signature = signed(trusteeKeys[0], wallet.messageOf(idOf(cohort, claims[2])));
        ICohortMarket.Batch memory batch = deliver(cohort, claims);
        asRecipient(Recipient.Ways.COUNTS_GAS);
        (uint256 refused, uint256 done) = (0, 0);
        for (uint256 gas = 60_000; gas < 700_000; gas += 700) {
            uint256 state = vm.snapshotState();
            try cohorts.settleMany{gas: gas}(cohort, batch, claims) returns (uint32 paid) {
                assertEq(paid, 3, vm.toString(gas));
                assertEq(seller.balance, PRICE, vm.toString(gas));
                ++done;
            } catch {
                ++refused;
            }
            vm.revertToState(state);
        }
        assertGt(refused, 100);
        assertGt(done, 100);
    }

    /// @dev Who burns what it gets leaves nothing to pay or credit with, and hides that a limit is missing; who looks first
    /// does not.
    function test_NoGasLimitMakesAWalletSayNo() external {
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 2);
        claims[1].seller = address(new ThriftyWallet(cohorts.WALLET_GAS() - 2000, 0));
        claims[1].signature = NO_SIGNATURE;
        assertNoGasLimitHurts(claims);
    }

    function test_NoGasLimitMakesASellerRefuse() external {
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 1);
        delegateTo(address(new ThriftyWallet(0, cohorts.PUSH_GAS())));
        assertNoGasLimitHurts(claims);
    }

    function test_NoGasLimitMakesATokenRefuse() external {
        StrangeToken strange = new StrangeToken();
        strangeCohort(strange);
        strange.setWays(StrangeToken.Ways.LOOKS_AT_GAS);
        assertNoGasLimitHurts(claimsOf(cohort, 1));
    }

    function test_NoGasLimitStarvesAToken() external {
        StrangeToken strange = new StrangeToken();
        strangeCohort(strange);
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 2);
        ICohortMarket.Batch memory batch = deliver(cohort, claims);
        (uint256 refused, uint256 done) = (0, 0);
        for (uint256 gas = 60_000; gas < 700_000; gas += 900) {
            uint256 state = vm.snapshotState();
            try cohorts.settleMany{gas: gas}(cohort, batch, claims) {
                assertEq(strange.balanceOf(people[0]) + strange.balanceOf(people[1]), 2 * PRICE, vm.toString(gas));
                ++done;
            } catch {
                ++refused;
            }
            vm.revertToState(state);
        }
        assertGt(refused, 100);
        assertGt(done, 50);
    }

    /// @dev A seller can become the worst between the estimate and the batch, which would show `k` and fail.
    function test_WhatTheInterfaceAsksForIsEnoughForTheWorst() external {
        StrangeToken strange = new StrangeToken();
        for (uint256 way = 0; way < 2; ++way) {
            if (way == 1) strangeCohort(strange);
            ICohortMarket.Claim[] memory claims = claimsOf(cohort, PLACES);
            for (uint256 i = 0; i < PLACES; ++i) {
                claims[i].seller = address(new GreedyWallet());
                claims[i].signature = NO_SIGNATURE;
            }
            ICohortMarket.Batch memory batch = deliver(cohort, claims);
            if (way == 1) strange.setWays(StrangeToken.Ways.BURNS_GAS);
            uint256 worst = cohorts.WALLET_GAS() + (way == 0 ? cohorts.PUSH_GAS() : cohorts.TOKEN_GAS());
            vm.expectRevert();
            cohorts.settleMany{gas: PLACES * worst}(cohort, batch, claims);
            assertEq(cohorts.settleMany{gas: 150_000 + PLACES * (150_000 + worst)}(cohort, batch, claims), PLACES);
            for (uint256 i = 0; i < PLACES; ++i) {
                assertEq(cohorts.creditOf(claims[i].seller, cohort.token), PRICE);
            }
        }
    }

    /* TOKENS */

    function test_PaysInAToken() external {
        cohort = cohortOf(address(token));
        open(cohort);
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 3);
        ICohortMarket.Batch memory batch = deliver(cohort, claims);
        settle(cohort, batch, claims);
        for (uint256 i = 0; i < 3; ++i) {
            assertEq(token.balanceOf(people[i]), PRICE);
        }
        assertEscrow(address(token), PRICE);
    }

    function test_CreditsWhenTheTokenRefuses() external {
        StrangeToken strange = new StrangeToken();
        strangeCohort(strange);
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 3);
        ICohortMarket.Batch memory batch = deliver(cohort, claims);
        StrangeToken.Ways[7] memory ways = [
            StrangeToken.Ways.REVERTS,
            StrangeToken.Ways.RETURNS_FALSE,
            StrangeToken.Ways.RETURNS_TWO,
            StrangeToken.Ways.LIES_FALSE,
            StrangeToken.Ways.PAUSED_OUT,
            StrangeToken.Ways.BURNS_GAS,
            // A megabyte costs more than a token is given.
            StrangeToken.Ways.HUGE
        ];
        for (uint256 i = 0; i < ways.length; ++i) {
            uint256 state = vm.snapshotState();
            strange.setWays(ways[i]);
            vm.prank(relay);
            assertEq(cohorts.settleMany{gas: 2_000_000}(cohort, batch, claims), 3, vm.toString(i));
            for (uint256 j = 0; j < 3; ++j) {
                assertEq(cohorts.creditOf(people[j], address(strange)), PRICE);
            }
            vm.revertToState(state);
        }
        strange.setWays(StrangeToken.Ways.RETURNS_NOTHING);
        strange.burn(address(cohorts), 2 * PRICE);
        settle(cohort, batch, claims);
        assertEq(strange.balanceOf(people[0]) + strange.balanceOf(people[1]), 2 * PRICE);
        assertEq(cohorts.creditOf(people[2], address(strange)), PRICE);
    }

    function test_CreditsWhenTheTokenIsGone() external {
        StrangeToken strange = new StrangeToken();
        strangeCohort(strange);
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 1);
        ICohortMarket.Batch memory batch = deliver(cohort, claims);
        vm.etch(address(strange), "");
        settle(cohort, batch, claims);
        assertEq(cohorts.creditOf(seller, address(strange)), PRICE);
    }

    function test_ATokenThatCallsBackIsRefusedAtTheDoor() external {
        StrangeToken strange = new StrangeToken();
        strangeCohort(strange);
        strange.mint(address(cohorts), 10 ether);
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 3);
        ICohortMarket.Batch memory batch = deliver(cohort, claims);
        bytes[4] memory calls = [
            abi.encodeCall(cohorts.settleMany, (cohort, batch, claims)),
            abi.encodeCall(cohorts.close, (cohort)),
            abi.encodeCall(cohorts.withdraw, (address(strange), address(strange), address(strange))),
            abi.encodeCall(cohorts.open, (cohort))
        ];
        for (uint256 i = 0; i < calls.length; ++i) {
            uint256 state = vm.snapshotState();
            strange.setCall(address(cohorts), calls[i]);
            settle(cohort, batch, claims);
            assertFalse(strange.calledBack());
            assertEq(
                bytes4(strange.answer()), ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector, "by the guard"
            );
            for (uint256 j = 0; j < 3; ++j) {
                assertEq(strange.balanceOf(people[j]), PRICE);
            }
            assertEq(strange.balanceOf(address(cohorts)), 10 ether + PRICE);
            vm.revertToState(state);
        }
    }

    /* INTERNAL */

    /// @dev With each, all are paid and none is credited, or the batch reverts.
    function assertNoGasLimitHurts(ICohortMarket.Claim[] memory claims) private {
        ICohortMarket.Batch memory batch = deliver(cohort, claims);
        (uint256 refused, uint256 done) = (0, 0);
        for (uint256 gas = 60_000; gas < 600_000; gas += 700) {
            uint256 state = vm.snapshotState();
            try cohorts.settleMany{gas: gas}(cohort, batch, claims) returns (uint32 paid) {
                assertEq(paid, claims.length, vm.toString(gas));
                for (uint256 i = 0; i < claims.length; ++i) {
                    assertEq(cohorts.creditOf(claims[i].seller, cohort.token), 0, vm.toString(gas));
                }
                ++done;
            } catch {
                ++refused;
            }
            vm.revertToState(state);
        }
        assertGt(refused, 50);
        assertGt(done, 50);
    }

    function strangeCohort(StrangeToken strange) private {
        cohort = cohortOf(address(strange));
        strange.mint(buyer, PRICE * PLACES);
        vm.prank(buyer);
        strange.approve(address(cohorts), PRICE * PLACES);
        open(cohort);
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
