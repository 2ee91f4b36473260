// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {CohortMarket} from "../../../../contracts/CohortMarket.sol";
import {ICohortMarket} from "../../../../contracts/interfaces/ICohortMarket.sol";
import {CohortDocuments} from "../../utils/CohortDocuments.sol";
import {CohortTest} from "../../utils/CohortTest.sol";
import {Documents} from "../../utils/Documents.sol";
import {ReferenceLog} from "../../utils/ReferenceLog.sol";

contract SettleMany_Test is CohortTest {
    ICohortMarket.Cohort private cohort;

    function setUp() public override {
        super.setUp();
        cohort = cohortOf();
    }

    /* THE BATCH */

    function test_RevertGiven_TheCohortIsNotOpen() external {
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 2);
        ICohortMarket.Batch memory batch = deliver(cohort, claims);
        expectNotOpen();
        settle(cohort, batch, claims);
        open(cohort);
        // One field differs, so it is another cohort, whose money is not here.
        ICohortMarket.Cohort memory other = cohortOf();
        other.price += 1;
        vm.expectRevert(abi.encodeWithSelector(ICohortMarket.CohortNotOpen.selector, idOf(other)));
        settle(other, batch, claims);
        settle(cohort, batch, claims);
        vm.warp(SETTLE_UNTIL + 1);
        close(cohort);
        expectNotOpen();
        settle(cohort, batch, claims);
    }

    function test_RevertGiven_TheDeadlineHasPassed() external {
        open(cohort);
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 2);
        ICohortMarket.Batch memory batch = deliver(cohort, claims);
        vm.warp(SETTLE_UNTIL + 1);
        vm.expectRevert(abi.encodeWithSelector(ICohortMarket.TooLate.selector, idOf(cohort), SETTLE_UNTIL));
        settle(cohort, batch, claims);
        vm.warp(SETTLE_UNTIL);
        assertEq(settle(cohort, batch, claims), 2);
    }

    function test_RevertWhen_TheAnchorDoesNotHoldTheNode() external {
        open(cohort);
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 3);
        deliver(cohort, claims);
        // Beside them, so that their node is not the root.
        for (uint256 i = 0; i < 30; ++i) {
            leaves.push(keccak256(abi.encode("more", i)));
        }
        anchor();
        for (uint256 what = 0; what < 9; ++what) {
            // Afresh: memory is shared, and each change would stay.
            ICohortMarket.Batch memory batch = emptyBatch();
            prove(batch, claims);
            if (what == 0) batch.anchor.number += 1;
            if (what == 1) batch.anchor.size += 1;
            if (what == 2) batch.anchor.root = batch.node;
            if (what == 3) batch.anchor.timeS += 1;
            if (what == 4) batch.node = keccak256("another");
            if (what == 5) batch.level += 1;
            if (what == 6) batch.position += 1;
            if (what == 7) batch.path = ReferenceLog.append(batch.path, keccak256("junk"));
            if (what == 8) batch.level = 64;
            expectNotAnchored(cohort);
            settle(cohort, batch, claims);
        }
        // Another log, which has no such anchor.
        vm.prank(operator);
        cohort.log = anchors.open("log.example.org/others", makeAddr("cold key"), keccak256("note key"), 1200);
        open(cohort);
        claims = claimsOf(cohort, 3);
        ICohortMarket.Batch memory elsewhere = deliver(cohort, claims);
        expectNotAnchored(cohort);
        settle(cohort, elsewhere, claims);
    }

    function test_RevertGiven_TheAnchorLeftTheRing() external {
        open(cohort);
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 2);
        ICohortMarket.Batch memory batch = deliver(cohort, claims);
        for (uint256 i = 0; i < 63; ++i) {
            leaves.push(keccak256(abi.encode("later", i)));
            anchor();
        }
        uint256 state = vm.snapshotState();
        settle(cohort, batch, claims);
        vm.revertToState(state);
        leaves.push(keccak256("the last"));
        anchor();
        expectNotAnchored(cohort);
        settle(cohort, batch, claims);
        prove(batch, claims);
        settle(cohort, batch, claims);
    }

    function test_RevertWhen_TheLockIsAnother() external {
        open(cohort);
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 4);
        ICohortMarket.Batch memory batch = deliver(cohort, part(claims, 0, 2));
        settle(cohort, batch, part(claims, 0, 2));
        bytes32[2] memory ks = [keccak256("another key"), K];
        bytes32[2] memory files = [FILE, keccak256("another file")];
        for (uint256 i = 0; i < 2; ++i) {
            ICohortMarket.Claim[] memory some = part(claims, 2, 4);
            ICohortMarket.Batch memory other = emptyBatch();
            (other.k, other.toVersion) = (ks[i], files[i]);
            for (uint256 j = 0; j < 2; ++j) {
                some[j].index = uint64(leaves.length);
                bytes32 commitment = CohortDocuments.commitment(fieldsOf(cohort, some[j], ks[i]), other, some[j]);
                leaves.push(ReferenceLog.leaf(commitment));
            }
            anchor();
            prove(other, some);
            vm.expectRevert(abi.encodeWithSelector(ICohortMarket.AnotherLock.selector, idOf(cohort)));
            settle(cohort, other, some);
        }
        // The right one goes on.
        batch = deliver(cohort, part(claims, 2, 4));
        assertEq(settle(cohort, batch, part(claims, 2, 4)), 2);
    }

    function test_RevertWhen_NobodyIsPaid() external {
        open(cohort);
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 3);
        ICohortMarket.Batch memory batch = deliver(cohort, claims);
        expectNobodyPaid(cohort);
        settle(cohort, batch, new ICohortMarket.Claim[](0));
        for (uint256 i = 0; i < 3; ++i) {
            revoke(cohort, claims[i]);
        }
        expectNobodyPaid(cohort);
        settle(cohort, batch, claims);
        assertEq(cohorts.standing(idOf(cohort)).settledAt, 0);
        assertEscrow(address(0), PRICE * PLACES);
    }

    /* WHO IS SKIPPED */

    function test_SkipsAPlaceBeyondTheLast() external {
        open(cohort);
        uint32[3] memory places = [PLACES, PLACES + 256, type(uint32).max];
        for (uint256 i = 0; i < 3; ++i) {
            ICohortMarket.Claim[] memory claims = claimsOf(cohort, 3);
            claims[0].place = places[i];
            sign(cohort, claims[0], sellerKey);
            ICohortMarket.Batch memory batch = deliver(cohort, claims);
            assertSkipped(cohort, batch, claims, ICohortMarket.Skip.NO_SUCH_PLACE);
        }
    }

    function test_SkipsWhatComesTwiceInABatch() external {
        open(cohort);
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 4);
        // The third takes the first's place; the first takes another besides; the second comes as it is once more.
        claims[2].place = 0;
        sign(cohort, claims[2], keys[2]);
        claims[3] = claimOf(cohort, 0);
        claims[3].place = 3;
        sign(cohort, claims[3], sellerKey);
        ICohortMarket.Batch memory batch = deliver(cohort, claims);
        ICohortMarket.Claim[] memory five = new ICohortMarket.Claim[](5);
        for (uint256 i = 0; i < 4; ++i) {
            five[i] = claims[i];
        }
        five[4] = claims[1];
        ICohortMarket.Skip[] memory reasons = reasonsOf(cohort, batch, five);
        assertEq(uint8(reasons[0]), uint8(ICohortMarket.Skip.NONE));
        assertEq(uint8(reasons[1]), uint8(ICohortMarket.Skip.NONE));
        assertEq(uint8(reasons[2]), uint8(ICohortMarket.Skip.PLACE_PAID));
        assertEq(uint8(reasons[3]), uint8(ICohortMarket.Skip.SELLER_PAID));
        assertEq(uint8(reasons[4]), uint8(ICohortMarket.Skip.SELLER_PAID));
        assertEq(people[0].balance + people[1].balance, 2 * PRICE);
        assertEscrow(address(0), 2 * PRICE);
        assertEq(cohorts.standing(idOf(cohort)).paid, 2);

        // And in a batch of its own.
        expectNobodyPaid(cohort);
        settle(cohort, batch, part(five, 2, 5));
    }

    function test_SkipsWhatWasPaidBefore() external {
        open(cohort);
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 3);
        ICohortMarket.Batch memory batch = deliver(cohort, claims);
        settle(cohort, batch, part(claims, 0, 2));
        ICohortMarket.Skip[] memory reasons = reasonsOf(cohort, batch, claims);
        assertEq(uint8(reasons[0]), uint8(ICohortMarket.Skip.SELLER_PAID));
        assertEq(uint8(reasons[2]), uint8(ICohortMarket.Skip.NONE));
        expectNobodyPaid(cohort);
        settle(cohort, batch, claims);
        for (uint256 i = 0; i < 3; ++i) {
            assertEq(people[i].balance, PRICE);
        }
    }

    /// @dev One entry of one cohort is good for no other, also of the same seller and buyer.
    function test_SkipsADeliveryOfAnotherCohort() external {
        open(cohort);
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 2);
        ICohortMarket.Batch memory batch = deliver(cohort, claims);
        settle(cohort, batch, claims);
        cohort.salt = "another";
        open(cohort);
        expectNobodyPaid(cohort);
        settle(cohort, batch, claims);
        // With an acceptance of the other cohort, but the old entries.
        for (uint256 i = 0; i < 2; ++i) {
            sign(cohort, claims[i], keys[i]);
        }
        expectNobodyPaid(cohort);
        settle(cohort, batch, claims);
    }

    function test_SkipsAnAcceptanceThatEndsEarly() external {
        open(cohort);
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 2);
        claims[0].expiresAt = SETTLE_UNTIL - 1;
        sign(cohort, claims[0], sellerKey);
        claims[1].expiresAt = type(uint64).max;
        sign(cohort, claims[1], keys[1]);
        ICohortMarket.Batch memory batch = deliver(cohort, claims);
        assertSkipped(cohort, batch, claims, ICohortMarket.Skip.EXPIRES_EARLY);
    }

    function test_SkipsAFrozenSeller() external {
        open(cohort);
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 3);
        ICohortMarket.Batch memory batch = deliver(cohort, claims);
        freeze();
        assertSkipped(cohort, batch, claims, ICohortMarket.Skip.FROZEN);
    }

    function test_SkipsAnotherEpoch() external {
        open(cohort);
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 3);
        ICohortMarket.Batch memory batch = deliver(cohort, claims);
        vm.prank(seller);
        consents.revokeAll(seller);
        assertSkipped(cohort, batch, claims, ICohortMarket.Skip.ANOTHER_EPOCH);
        // Signed for one to come, it does not count before.
        claims[0].epoch = 2;
        sign(cohort, claims[0], sellerKey);
        batch = deliver(cohort, claims);
        assertSkipped(cohort, batch, claims, ICohortMarket.Skip.ANOTHER_EPOCH);
        // Who ended everything can still take part.
        claims[0].epoch = 1;
        sign(cohort, claims[0], sellerKey);
        batch = deliver(cohort, claims);
        assertEq(settle(cohort, batch, claims), 3);
    }

    function test_SkipsARevokedAcceptance() external {
        open(cohort);
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 3);
        ICohortMarket.Batch memory batch = deliver(cohort, claims);
        revoke(cohort, claims[0]);
        assertSkipped(cohort, batch, claims, ICohortMarket.Skip.REVOKED);
        skip(1 hours);
        assertSkipped(cohort, batch, claims, ICohortMarket.Skip.REVOKED);
    }

    function test_AnothersRevocationChangesNothing() external {
        open(cohort);
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 2);
        ICohortMarket.Batch memory batch = deliver(cohort, claims);
        bytes32 id = idOf(cohort, claims[0]);
        vm.prank(stranger);
        consents.revoke(stranger, id);
        vm.prank(seller);
        consents.revoke(seller, idOf(cohort));
        assertEq(settle(cohort, batch, claims), 2);
    }

    function test_SkipsWhenAFieldOfTheEntryIsAnother() external {
        open(cohort);
        for (uint256 what = 0; what < 7; ++what) {
            ICohortMarket.Claim[] memory claims = claimsOf(cohort, 2);
            ICohortMarket.Batch memory batch = emptyBatch();
            for (uint256 i = 0; i < 2; ++i) {
                CohortDocuments.Fields memory fields = fieldsOf(cohort, claims[i], K);
                if (i == 0) {
                    if (what == 0) fields.log = keccak256("another log");
                    if (what == 1) fields.kind = 5;
                    if (what == 2) fields.action = uint8(bytes1("U"));
                    if (what == 3) fields.subject = bytes32(uint256(uint160(people[1])));
                    if (what == 4) fields.record = idOf(cohort);
                    if (what == 5) fields.fromVersion = keccak256(bytes.concat(K));
                    if (what == 6) fields.permission = idOf(cohort, claims[1]);
                }
                claims[i].index = uint64(leaves.length);
                leaves.push(ReferenceLog.leaf(CohortDocuments.commitment(fields, batch, claims[i])));
            }
            anchor();
            prove(batch, claims);
            assertSkipped(cohort, batch, claims, ICohortMarket.Skip.NOT_DELIVERED);
        }
    }

    function test_SkipsWhenTheClaimTellsAnotherEntry() external {
        open(cohort);
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 3);
        deliver(cohort, claims);
        (uint64 index, uint64 timeMs) = (claims[0].index, claims[0].timeMs);
        for (uint256 what = 0; what < 10; ++what) {
            ICohortMarket.Batch memory batch = emptyBatch();
            prove(batch, claims);
            if (what == 0) claims[0].eventId = keccak256("another");
            if (what == 1) claims[0].timeMs += 1;
            if (what == 2) claims[0].details = keccak256("another");
            if (what == 3) claims[0].entryPlace = keccak256("another");
            if (what == 4) claims[0].index = claims[1].index;
            if (what == 5) claims[0].index += uint64(1) << batch.level;
            if (what == 6) claims[0].path = ReferenceLog.append(claims[0].path, keccak256("junk"));
            if (what == 7) claims[0].path = ReferenceLog.dropLast(claims[0].path);
            if (what == 8) claims[0].path = claims[1].path;
            if (what == 9) claims[0].index = type(uint64).max;
            assertSkipped(cohort, batch, claims, ICohortMarket.Skip.NOT_DELIVERED);
            claims[0] = claimOf(cohort, 0);
            (claims[0].index, claims[0].timeMs) = (index, timeMs);
        }
        // Of the batch, for all.
        ICohortMarket.Batch memory other = emptyBatch();
        prove(other, claims);
        other.actor = stranger;
        expectNobodyPaid(cohort);
        settle(cohort, other, claims);
        (other.actor, other.toVersion) = (operator, keccak256("another file"));
        expectNobodyPaid(cohort);
        settle(cohort, other, claims);
        (other.toVersion, other.k) = (FILE, keccak256("another key"));
        expectNobodyPaid(cohort);
        settle(cohort, other, claims);
        other.k = K;
        assertEq(settle(cohort, other, claims), 3);
    }

    function test_SkipsWhatTheSellerDidNotAccept() external {
        open(cohort);
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 2);
        ICohortMarket.Batch memory batch = deliver(cohort, claims);
        CohortDocuments.Acceptance memory right = acceptanceOf(cohort, claims[0]);
        bytes32 digest = idOf(cohort, claims[0]);
        bytes[5] memory signatures = [
            signed(strangerKey, digest),
            signed(buyerKey, digest),
            NO_SIGNATURE,
            claims[1].signature,
            bytes("no signature")
        ];
        for (uint256 i = 0; i < signatures.length; ++i) {
            claims[0].signature = signatures[i];
            assertSkipped(cohort, batch, claims, ICohortMarket.Skip.NOT_ACCEPTED);
        }
        for (uint256 what = 0; what < 8; ++what) {
            CohortDocuments.Acceptance memory other = acceptanceOf(cohort, claims[0]);
            if (what == 0) other.cohort = keccak256("another");
            if (what == 1) other.place += 1;
            if (what == 2) other.seller = stranger;
            if (what == 3) other.token = address(token);
            if (what == 4) other.price -= 1;
            if (what == 5) other.terms = keccak256("another");
            if (what == 6) other.epoch += 1;
            if (what == 7) other.expiresAt += 1;
            claims[0].signature = signed(sellerKey, cohortDigest(CohortDocuments.acceptance(other)));
            assertSkipped(cohort, batch, claims, ICohortMarket.Skip.NOT_ACCEPTED);
        }
        bytes32 structHash = CohortDocuments.acceptance(right);
        bytes32[4] memory digests = [
            structHash,
            Documents.digest(Documents.separator(block.chainid + 1, address(cohorts)), structHash),
            Documents.digest(Documents.separator(block.chainid, address(market)), structHash),
            cohortDigest(CohortDocuments.cohort(cohort))
        ];
        for (uint256 i = 0; i < digests.length; ++i) {
            claims[0].signature = signed(sellerKey, digests[i]);
            assertSkipped(cohort, batch, claims, ICohortMarket.Skip.NOT_ACCEPTED);
        }
    }

    function test_SkipsASignatureOfAnotherForm() external {
        open(cohort);
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 2);
        ICohortMarket.Batch memory batch = deliver(cohort, claims);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(sellerKey, idOf(cohort, claims[0]));
        bytes32 high = bytes32(0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141 - uint256(s));
        bytes[4] memory forms = [
            abi.encodePacked(r, high, v == 27 ? uint8(28) : uint8(27)),
            abi.encodePacked(r, s, v - 27),
            abi.encodePacked(r, bytes32(uint256(s) | (v == 28 ? uint256(1) << 255 : 0))),
            abi.encodePacked(r, s, v, uint8(0))
        ];
        for (uint256 i = 0; i < forms.length; ++i) {
            claims[0].signature = forms[i];
            assertSkipped(cohort, batch, claims, ICohortMarket.Skip.NOT_ACCEPTED);
        }
    }

    /// @dev Nobody signs for the zero address: a failed recovery gives it.
    function test_SkipsTheZeroSeller() external {
        open(cohort);
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 2);
        claims[0].seller = address(0);
        claims[0].signature = new bytes(65);
        ICohortMarket.Batch memory batch = deliver(cohort, claims);
        assertSkipped(cohort, batch, claims, ICohortMarket.Skip.NOT_ACCEPTED);
        claims[0].signature = NO_SIGNATURE;
        assertSkipped(cohort, batch, claims, ICohortMarket.Skip.NOT_ACCEPTED);
    }

    /* WHO IS PAID */

    function test_PaysEachSeller() external {
        open(cohort);
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 3);
        ICohortMarket.Batch memory batch = deliver(cohort, claims);
        skip(1 hours);
        for (uint256 i = 0; i < 3; ++i) {
            vm.expectEmit(address(cohorts));
            emit ICohortMarket.Paid(idOf(cohort), people[i], uint32(i));
        }
        vm.expectEmit(address(cohorts));
        emit ICohortMarket.Settled(idOf(cohort), K, FILE, 3);
        assertEq(settle(cohort, batch, claims), 3);
        for (uint256 i = 0; i < 3; ++i) {
            assertEq(people[i].balance, PRICE);
            assertTrue(cohorts.isPaid(idOf(cohort), uint32(i)));
            (bool paid, uint32 place) = cohorts.placeOf(idOf(cohort), people[i]);
            assertTrue(paid && place == i);
        }
        assertFalse(cohorts.isPaid(idOf(cohort), 3));
        ICohortMarket.Standing memory held = cohorts.standing(idOf(cohort));
        assertEq(
            abi.encode(held),
            abi.encode(ICohortMarket.Standing(ICohortMarket.Status.OPEN, START_S, START_S + 1 hours, 3))
        );
        assertEscrow(address(0), PRICE);
        assertEq(relay.balance + operator.balance, 0);
    }

    /// @dev Each by itself, in any order, at any level, also at the right edge of the tree.
    function test_TakesEntriesThatStandApart() external {
        open(cohort);
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 4);
        for (uint256 i = 0; i < 4; ++i) {
            deliver(cohort, part(claims, i, i + 1));
            for (uint256 j = 0; j < i * 5; ++j) {
                leaves.push(keccak256(abi.encode("between", i, j)));
            }
        }
        ICohortMarket.Batch memory batch = emptyBatch();
        anchor();
        for (uint8 level = 6; level < 10; ++level) {
            uint256 state = vm.snapshotState();
            proveAt(batch, claims, level);
            assertEq(settle(cohort, batch, claims), 4);
            vm.revertToState(state);
        }
        for (uint256 i = 0; i < 4; ++i) {
            ICohortMarket.Claim[] memory one = part(claims, 3 - i, 4 - i);
            proveAt(batch, one, uint8(i));
            assertEq(settle(cohort, batch, one), 1);
        }
        assertEscrow(address(0), 0);
    }

    function test_TakesPlacesOfEachWord() external {
        uint32[4] memory places = [uint32(255), 256, 511, type(uint32).max - 1];
        cohort.places = type(uint32).max;
        cohort.price = 1;
        open(cohort);
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 4);
        for (uint256 i = 0; i < 4; ++i) {
            claims[i].place = places[i];
            sign(cohort, claims[i], keys[i]);
        }
        ICohortMarket.Batch memory batch = deliver(cohort, claims);
        assertEq(settle(cohort, batch, claims), 4);
        for (uint256 i = 0; i < 4; ++i) {
            assertTrue(cohorts.isPaid(idOf(cohort), places[i]));
            assertFalse(cohorts.isPaid(idOf(cohort), places[i] ^ 1));
            (, uint32 place) = cohorts.placeOf(idOf(cohort), people[i]);
            assertEq(place, places[i]);
        }
    }

    function test_PaysWhoWasSkippedOnceTheReasonIsGone() external {
        open(cohort);
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 3);
        ICohortMarket.Batch memory batch = deliver(cohort, claims);
        bytes memory right = claims[1].signature;
        claims[1].signature = NO_SIGNATURE;
        assertEq(settle(cohort, batch, claims), 2);
        claims[1].signature = right;
        assertEq(settle(cohort, batch, claims), 1);
        assertEq(people[1].balance, PRICE);
        assertEq(cohorts.standing(idOf(cohort)).paid, 3);
        assertEq(cohorts.standing(idOf(cohort)).settledAt, START_S);
    }

    function test_ACohortOfAnotherMarketIsAnother() external {
        CohortMarket other = new CohortMarket(anchors, consents);
        assertNotEq(other.cohortIdOf(cohort), cohorts.cohortIdOf(cohort));
        bytes32 here = cohorts.cohortIdOf(cohort);
        vm.chainId(block.chainid + 1);
        assertNotEq(cohorts.cohortIdOf(cohort), here);
    }

    function testFuzz_PaysAsManyAsCan(uint8 revoked, uint8 unsigned, uint256 price) external {
        cohort.price = bound(price, 0, 10 ether);
        open(cohort);
        ICohortMarket.Claim[] memory claims = claimsOf(cohort, 4);
        ICohortMarket.Batch memory batch = deliver(cohort, claims);
        uint256 good;
        for (uint256 i = 0; i < 4; ++i) {
            if (revoked >> i & 1 != 0) revoke(cohort, claims[i]);
            if (unsigned >> i & 1 != 0) claims[i].signature = NO_SIGNATURE;
            if ((revoked | unsigned) >> i & 1 == 0) ++good;
        }
        if (good == 0) expectNobodyPaid(cohort);
        settle(cohort, batch, claims);
        for (uint256 i = 0; i < 4; ++i) {
            assertEq(people[i].balance, (revoked | unsigned) >> i & 1 == 0 ? cohort.price : 0);
        }
        assertEscrow(address(0), (4 - good) * cohort.price);
        vm.warp(SETTLE_UNTIL + 1);
        close(cohort);
        assertEq(buyer.balance, 100 ether - good * cohort.price);
        assertEscrow(address(0), 0);
    }

    function expectNotOpen() private {
        vm.expectRevert(abi.encodeWithSelector(ICohortMarket.CohortNotOpen.selector, idOf(cohort)));
    }

    function expectNotAnchored(ICohortMarket.Cohort memory of_) private {
        vm.expectRevert(abi.encodeWithSelector(ICohortMarket.NotAnchored.selector, idOf(of_)));
    }
}
