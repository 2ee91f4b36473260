// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {ICohortMarket} from "../../../../contracts/interfaces/ICohortMarket.sol";
import {IControl} from "../../../../contracts/interfaces/IControl.sol";
import {CohortDocuments} from "../../utils/CohortDocuments.sol";
import {CohortTest} from "../../utils/CohortTest.sol";
import {ReferenceLog} from "../../utils/ReferenceLog.sol";
import {SharedWallet} from "../../utils/Wallets.sol";

/// @notice Who stops being paid by what they say, and until when: `k` is public from the first settlement on.
contract SettleManyBinding_Test is CohortTest {
    ICohortMarket.Cohort private cohort;
    ICohortMarket.Batch private batch;

    function setUp() public override {
        super.setUp();
        cohort = cohortOf();
        open(cohort);
    }

    /// @dev The last of four is paid, the others are not in this batch.
    function settleFirst(ICohortMarket.Claim[] memory claims) private {
        batch = deliver(cohort, claims);
        assertEq(settle(cohort, batch, part(claims, 3, 4)), 1);
    }

    function test_WhoSaysNoAfterTheFirstSettlementIsPaid() external {
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 4);
        settleFirst(claims);
        skip(1);
        freeze();
        revoke(cohort, claims[1]);
        vm.prank(people[2]);
        consents.revokeAll(people[2]);
        skip(1 hours);
        assertEq(settle(cohort, batch, claims), 3);
        for (uint256 i = 0; i < 4; ++i) {
            assertEq(people[i].balance, PRICE);
        }
    }

    function test_WhoSaysNoInItsSecondOrBeforeIsNotPaid() external {
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 4);
        revoke(cohort, claims[0]);
        settleFirst(claims);
        // In the same second, behind it.
        revoke(cohort, claims[1]);
        vm.prank(people[2]);
        consents.revokeAll(people[2]);
        skip(1 hours);
        expectNobodyPaid(cohort);
        settle(cohort, batch, part(claims, 0, 3));
        ICohortMarket.Claim[] memory alone = part(claims, 0, 3);
        for (uint256 i = 0; i < 3; ++i) {
            expectNobodyPaid(cohort);
            settle(cohort, batch, part(alone, i, i + 1));
        }
    }

    /// @dev What a trustee of bad will could take from a seller is the place in the first batch, not the money.
    function test_AFreezeHoldsUpUntilTheFirstSettlementOnly() external {
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 4);
        batch = deliver(cohort, claims);
        freeze();
        ICohortMarket.Skip[] memory reasons = reasonsOf(cohort, batch, claims);
        assertEq(uint8(reasons[0]), uint8(ICohortMarket.Skip.FROZEN));
        assertEq(settle(cohort, batch, claims), 1);
        assertEq(seller.balance, PRICE);
    }

    function test_AnAcceptanceOfAnEpochThatBeganLaterIsSkipped() external {
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 4);
        claims[0].epoch = 1;
        sign(cohort, claims[0], sellerKey);
        settleFirst(claims);
        skip(1);
        vm.prank(seller);
        consents.revokeAll(seller);
        expectNobodyPaid(cohort);
        settle(cohort, batch, part(claims, 0, 1));
    }

    function test_FollowsAMovedControl() external {
        moveControl();
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 4);
        batch = deliver(cohort, claims);
        assertSkipped(cohort, batch, claims, ICohortMarket.Skip.NOT_ACCEPTED);
        sign(cohort, claims[0], nextKey);
        vm.expectEmit(address(cohorts));
        emit ICohortMarket.Credited(seller, address(0), PRICE);
        assertEq(settle(cohort, batch, claims), 4);
        assertEq(seller.balance + next.balance, 0);
        assertEq(cohorts.creditOf(seller, address(0)), PRICE);
        vm.expectRevert(abi.encodeWithSelector(ICohortMarket.NotController.selector, seller, seller));
        vm.prank(seller);
        cohorts.withdraw(seller, address(0), stranger);
        vm.prank(next);
        cohorts.withdraw(seller, address(0), stranger);
        assertEq(stranger.balance, PRICE);
        assertEscrow(address(0), 0);
    }

    function test_TakesWhoControlledAtTheFirstSettlement() external {
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 4);
        settleFirst(claims);
        skip(1);
        moveControl();
        uint256 state = vm.snapshotState();
        assertEq(settle(cohort, batch, claims), 3);
        assertEq(seller.balance, 0);
        assertEq(cohorts.creditOf(seller, address(0)), PRICE);
        vm.revertToState(state);
        // And of who acts now.
        sign(cohort, claims[0], nextKey);
        assertEq(settle(cohort, batch, claims), 3);
        vm.revertToState(state);
        sign(cohort, claims[0], strangerKey);
        assertEq(settle(cohort, batch, claims), 2);
    }

    function test_SkipsWhoLostControlBeforeTheFirstSettlement() external {
        moveControl();
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 4);
        settleFirst(claims);
        skip(1);
        expectNobodyPaid(cohort);
        settle(cohort, batch, part(claims, 0, 1));
    }

    /// @dev As with a revocation: of the two who controlled in that second, the later one counts.
    function test_AMoveOfControlInItsSecondCountsAsBefore() external {
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 4);
        IControl.RecoveryPolicy memory policy = recoveryPolicy();
        vm.prank(seller);
        consents.registerPolicy(policy, NO_SIGNATURE);
        startMoveTo(next);
        settleFirst(claims);
        consents.finishRecovery(seller);
        skip(1);
        assertEq(settle(cohort, batch, claims), 2);
        sign(cohort, claims[0], nextKey);
        assertEq(settle(cohort, batch, claims), 1);
        assertEq(cohorts.creditOf(seller, address(0)), PRICE);
        assertEq(seller.balance, 0);
    }

    function test_TakesAWalletThatControlledItselfThen() external {
        address[] memory owners = new address[](1);
        owners[0] = trustees[0];
        SharedWallet wallet = new SharedWallet(owners, 1);
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 4);
        claims[0].seller = seller = address(wallet);
        claims[0].signature = signed(trusteeKeys[0], wallet.messageOf(idOf(cohort, claims[0])));
        settleFirst(claims);
        skip(1);
        moveControl();
        uint256 state = vm.snapshotState();
        assertEq(settle(cohort, batch, claims), 3);
        assertEq(cohorts.creditOf(address(wallet), address(0)), PRICE);
        vm.revertToState(state);
        claims[0].signature = signed(trusteeKeys[1], wallet.messageOf(idOf(cohort, claims[0])));
        assertEq(settle(cohort, batch, claims), 2);
    }

    function test_SkipsAWalletThatLostControlBefore() external {
        address[] memory owners = new address[](1);
        owners[0] = trustees[0];
        SharedWallet wallet = new SharedWallet(owners, 1);
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 4);
        claims[0].seller = seller = address(wallet);
        claims[0].signature = signed(trusteeKeys[0], wallet.messageOf(idOf(cohort, claims[0])));
        moveControl();
        settleFirst(claims);
        skip(1);
        expectNobodyPaid(cohort);
        settle(cohort, batch, part(claims, 0, 1));
    }

    /// @dev Who sees a batch on its way has `k`, and can settle before it with fewer claims: that binds the others earlier,
    /// and takes nothing from them.
    function test_WhoeverIsFasterThanABatchTakesNobodysMoney() external {
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 4);
        batch = deliver(cohort, claims);
        vm.prank(buyer);
        assertEq(cohorts.settleMany(cohort, batch, part(claims, 3, 4)), 1);
        // In the same second: what comes now is too late for them to be hurt by.
        freeze();
        vm.prank(buyer);
        vm.expectRevert(abi.encodeWithSelector(ICohortMarket.ClosableLater.selector, idOf(cohort), SETTLE_UNTIL));
        cohorts.close(cohort);
        assertEq(settle(cohort, batch, claims), 3);
        for (uint256 i = 0; i < 4; ++i) {
            assertEq(people[i].balance, PRICE);
        }
        assertEscrow(address(0), 0);
    }

    /// @dev A batch that failed has shown its `k`, and one claim of its file that stands binds the cohort to it.
    function test_AKeyThatWasShownBindsThoughAnotherFileWasMade() external {
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 4);
        batch = deliver(cohort, claims);
        revoke(cohort, claims[0]);
        expectNobodyPaid(cohort);
        settle(cohort, batch, part(claims, 0, 1));
        // The log makes another file, without the first seller.
        ICohortMarket.Claim[] memory again = claimsOf(cohort, 4);
        ICohortMarket.Batch memory other = emptyBatch();
        (other.k, other.toVersion) = (keccak256("another key"), keccak256("another file"));
        for (uint256 i = 1; i < 4; ++i) {
            again[i].eventId = keccak256(abi.encode("again", i));
            again[i].index = uint64(leaves.length);
            bytes32 commitment = CohortDocuments.commitment(fieldsOf(cohort, again[i], other.k), other, again[i]);
            leaves.push(ReferenceLog.leaf(commitment));
        }
        anchor();
        again = part(again, 1, 4);
        prove(other, again);
        uint256 state = vm.snapshotState();
        assertEq(settle(cohort, other, again), 3);
        vm.revertToState(state);
        vm.prank(buyer);
        assertEq(cohorts.settleMany(cohort, batch, part(claims, 3, 4)), 1);
        vm.expectRevert(abi.encodeWithSelector(ICohortMarket.AnotherLock.selector, idOf(cohort)));
        settle(cohort, other, again);
        // The file that everybody can open is the one that is paid for.
        assertEq(settle(cohort, batch, claims), 2);
    }

    /// @dev A wallet is asked, and cannot be asked for what it would have said: where control moved from one wallet to
    /// another account, who acts now signs anew.
    function test_AWalletThatControlledAnotherIsNotAskedLater() external {
        address[] memory owners = new address[](1);
        owners[0] = trustees[0];
        SharedWallet wallet = new SharedWallet(owners, 1);
        next = address(wallet);
        moveControl();
        (cohort.deliverBy, cohort.salt) = (DELIVER_BY + 3 days, "longer");
        open(cohort);
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 4);
        claims[0].signature = signed(trusteeKeys[0], wallet.messageOf(idOf(cohort, claims[0])));
        settleFirst(claims);
        skip(1);
        uint256 state = vm.snapshotState();
        assertEq(settle(cohort, batch, claims), 3);
        vm.revertToState(state);
        moveControlTo(stranger);
        assertTrue(consents.controlledAt(seller, address(wallet), cohorts.standing(idOf(cohort)).settledAt));
        assertEq(settle(cohort, batch, claims), 2);
        sign(cohort, claims[0], strangerKey);
        assertEq(settle(cohort, batch, claims), 1);
        assertEq(cohorts.creditOf(seller, address(0)), PRICE);
        assertEq(seller.balance, 0);
    }

    /// @dev One says no before the first batch, one between the first and the second, one before the third.
    function test_FiftyPeopleOfWhomThreeRevokeInBetween() external {
        morePeople(50);
        (cohort.places, cohort.salt) = (50, "fifty");
        uint256 before = buyer.balance;
        uint256 escrow = address(cohorts).balance;
        open(cohort);
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 50);
        batch = deliver(cohort, claims);
        revoke(cohort, claims[7]);
        uint256[5] memory cuts = [uint256(0), 16, 32, 48, 50];
        uint256 paid;
        for (uint256 i = 0; i < 4; ++i) {
            paid += settle(cohort, batch, part(claims, cuts[i], cuts[i + 1]));
            skip(12);
            if (i == 0) revoke(cohort, claims[20]);
            if (i == 1) revoke(cohort, claims[40]);
            assertEq(address(cohorts).balance - escrow, (50 - paid) * PRICE);
        }
        // The later two are bound: the buyer has the key already.
        assertEq(paid, 49);
        assertEq(people[7].balance, 0);
        assertEq(people[20].balance + people[40].balance, 2 * PRICE);
        vm.warp(SETTLE_UNTIL + 1);
        close(cohort);
        assertEq(before - buyer.balance, 49 * PRICE);
        assertEq(address(cohorts).balance, escrow);
    }

    function test_FiftyPeopleOfWhomThreeRevokeBefore() external {
        morePeople(50);
        (cohort.places, cohort.salt, cohort.price) = (50, "fifty", 333_333_333_333_333_331);
        vm.deal(buyer, 50 * cohort.price + 1);
        uint256 escrow = address(cohorts).balance;
        open(cohort);
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 50);
        batch = deliver(cohort, claims);
        uint256[3] memory gone = [uint256(0), 20, 49];
        for (uint256 i = 0; i < 3; ++i) {
            revoke(cohort, claims[gone[i]]);
        }
        uint256[5] memory cuts = [uint256(0), 16, 32, 48, 50];
        uint256 paid;
        for (uint256 i = 0; i < 4; ++i) {
            paid += settle(cohort, batch, part(claims, cuts[i], cuts[i + 1]));
            skip(12);
        }
        assertEq(paid, 47);
        vm.expectRevert(abi.encodeWithSelector(ICohortMarket.ClosableLater.selector, idOf(cohort), SETTLE_UNTIL));
        close(cohort);
        vm.warp(SETTLE_UNTIL + 1);
        close(cohort);
        assertEq(buyer.balance, 3 * cohort.price + 1);
        assertEq(address(cohorts).balance, escrow);
        for (uint256 i = 0; i < 50; ++i) {
            assertEq(people[i].balance, i == 0 || i == 20 || i == 49 ? 0 : cohort.price);
        }
    }
}
