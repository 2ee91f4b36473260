// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {CohortMarket} from "../../../contracts/CohortMarket.sol";
import {ICohortMarket} from "../../../contracts/interfaces/ICohortMarket.sol";
import {CohortDocuments} from "./CohortDocuments.sol";
import {Documents} from "./Documents.sol";
import {MarketTest} from "./MarketTest.sol";
import {ReferenceLog} from "./ReferenceLog.sol";
import {SaleDocuments} from "./SaleDocuments.sol";
import {PlainToken} from "./Tokens.sol";
import {Vm} from "forge-std/Test.sol";

/// @notice A cohort market beside what MarketTest has, and sellers with keys; the first of them is `seller`.
abstract contract CohortTest is MarketTest {
    uint32 internal constant PLACES = 4;
    bytes32 internal constant FILE = keccak256("the file of the whole cohort");

    CohortMarket internal cohorts;
    address[] internal people;
    uint256[] internal keys;

    function setUp() public virtual override {
        MarketTest.setUp();
        cohorts = new CohortMarket(anchors, consents);
        vm.prank(buyer);
        token.approve(address(cohorts), type(uint256).max);
        (people, keys) = (new address[](0), new uint256[](0));
        people.push(seller);
        keys.push(sellerKey);
        morePeople(PLACES);
    }

    function morePeople(uint256 count) internal {
        while (people.length < count) {
            (address account, uint256 key) = makeAddrAndKey(string.concat("seller ", vm.toString(people.length)));
            people.push(account);
            keys.push(key);
        }
    }

    /* DOCUMENTS */

    /// @dev In the chain's own coin.
    function cohortOf() internal view returns (ICohortMarket.Cohort memory) {
        return cohortOf(address(0));
    }

    function cohortOf(address token_) internal view returns (ICohortMarket.Cohort memory) {
        return ICohortMarket.Cohort({
            buyer: buyer,
            log: logId,
            token: token_,
            price: PRICE,
            places: PLACES,
            recipient: keccak256("age recipient"),
            deliverBy: DELIVER_BY,
            grace: GRACE,
            terms: SaleDocuments.terms("I sell 90 days of glucose.", "HRESCH", keccak256("dataset"), keccak256("salt")),
            salt: keccak256("cohort salt")
        });
    }

    /// @dev Not the market's own: a test that signs what the contract says would not see a wrong domain.
    function cohortDigest(bytes32 structHash) internal view returns (bytes32) {
        return Documents.digest(Documents.separator(block.chainid, address(cohorts)), structHash);
    }

    function idOf(ICohortMarket.Cohort memory cohort) internal view returns (bytes32) {
        return cohortDigest(CohortDocuments.cohort(cohort));
    }

    function acceptanceOf(ICohortMarket.Cohort memory cohort, ICohortMarket.Claim memory claim)
        internal
        view
        returns (CohortDocuments.Acceptance memory)
    {
        return CohortDocuments.Acceptance({
            cohort: idOf(cohort),
            place: claim.place,
            seller: claim.seller,
            token: cohort.token,
            price: cohort.price,
            terms: cohort.terms,
            epoch: claim.epoch,
            expiresAt: claim.expiresAt
        });
    }

    function idOf(ICohortMarket.Cohort memory cohort, ICohortMarket.Claim memory claim)
        internal
        view
        returns (bytes32)
    {
        return cohortDigest(CohortDocuments.acceptance(acceptanceOf(cohort, claim)));
    }

    function sign(ICohortMarket.Cohort memory cohort, ICohortMarket.Claim memory claim, uint256 key) internal view {
        claim.signature = signed(key, idOf(cohort, claim));
    }

    /// @dev Seller `who` takes the place of the same number.
    function claimOf(ICohortMarket.Cohort memory cohort, uint256 who)
        internal
        view
        returns (ICohortMarket.Claim memory claim)
    {
        claim.place = uint32(who);
        claim.seller = people[who];
        claim.epoch = consents.epochOf(people[who]);
        claim.expiresAt = cohort.deliverBy + cohort.grace;
        claim.eventId = keccak256(abi.encode("event", who));
        claim.timeMs = uint64(block.timestamp) * 1000;
        claim.details = keccak256(abi.encode("details", who));
        claim.entryPlace = keccak256(abi.encode("place", who));
        sign(cohort, claim, keys[who]);
    }

    /// @dev Of the first `count` sellers.
    function claimsOf(ICohortMarket.Cohort memory cohort, uint256 count)
        internal
        view
        returns (ICohortMarket.Claim[] memory claims)
    {
        claims = new ICohortMarket.Claim[](count);
        for (uint256 i = 0; i < count; ++i) {
            claims[i] = claimOf(cohort, i);
        }
    }

    function only(ICohortMarket.Claim memory claim) internal pure returns (ICohortMarket.Claim[] memory claims) {
        claims = new ICohortMarket.Claim[](1);
        claims[0] = claim;
    }

    /// @dev The claims from one to before another.
    function part(ICohortMarket.Claim[] memory claims, uint256 from, uint256 to)
        internal
        pure
        returns (ICohortMarket.Claim[] memory some)
    {
        some = new ICohortMarket.Claim[](to - from);
        for (uint256 i = from; i < to; ++i) {
            some[i - from] = claims[i];
        }
    }

    /* THE LOG */

    function fieldsOf(ICohortMarket.Cohort memory cohort, ICohortMarket.Claim memory claim, bytes32 k)
        internal
        view
        returns (CohortDocuments.Fields memory)
    {
        return CohortDocuments.Fields({
            log: cohort.log,
            kind: 6,
            action: uint8(bytes1("E")),
            subject: bytes32(uint256(uint160(claim.seller))),
            record: idOf(cohort, claim),
            fromVersion: sha256(bytes.concat(k)),
            permission: idOf(cohort, claim)
        });
    }

    function emptyBatch() internal view returns (ICohortMarket.Batch memory batch) {
        (batch.k, batch.toVersion, batch.actor) = (K, FILE, operator);
    }

    /// @dev Enters each claim's delivery into the log and anchors it, with an entry behind them.
    function deliver(ICohortMarket.Cohort memory cohort, ICohortMarket.Claim[] memory claims)
        internal
        returns (ICohortMarket.Batch memory batch)
    {
        batch = emptyBatch();
        for (uint256 i = 0; i < claims.length; ++i) {
            bytes32 commitment = CohortDocuments.commitment(fieldsOf(cohort, claims[i], K), batch, claims[i]);
            claims[i].index = uint64(leaves.length);
            leaves.push(ReferenceLog.leaf(commitment));
        }
        leaves.push(ReferenceLog.leaf(keccak256(abi.encode("behind", leaves.length))));
        anchor();
        prove(batch, claims);
    }

    /// @dev Against the newest anchor, under the lowest node that all have above them.
    function prove(ICohortMarket.Batch memory batch, ICohortMarket.Claim[] memory claims) internal view {
        (uint64 low, uint64 high) = (claims[0].index, claims[0].index);
        for (uint256 i = 1; i < claims.length; ++i) {
            if (claims[i].index < low) low = claims[i].index;
            if (claims[i].index > high) high = claims[i].index;
        }
        uint8 level = 0;
        while (low >> level != high >> level) ++level;
        proveAt(batch, claims, level);
    }

    function proveAt(ICohortMarket.Batch memory batch, ICohortMarket.Claim[] memory claims, uint8 level) internal view {
        bytes32[] memory held = leaves;
        uint64 from = claims[0].index >> level << level;
        uint64 to = from + (uint64(1) << level);
        if (to > newest.size) to = newest.size;
        (batch.anchor, batch.level, batch.position) = (newest, level, from >> level);
        batch.node = ReferenceLog.root(held, from, to, ReferenceLog.node);
        for (uint256 i = 0; i < claims.length; ++i) {
            claims[i].path = ReferenceLog.inclusion(held, claims[i].index, from, to, ReferenceLog.node);
        }
        bytes32[] memory whole = ReferenceLog.inclusion(held, claims[0].index, 0, newest.size, ReferenceLog.node);
        uint256 below = claims[0].path.length;
        batch.path = new bytes32[](whole.length - below);
        for (uint256 i = below; i < whole.length; ++i) {
            batch.path[i - below] = whole[i];
        }
    }

    /* STEPS */

    function open(ICohortMarket.Cohort memory cohort) internal returns (bytes32 cohortId) {
        uint256 value = cohort.token == address(0) ? cohort.price * cohort.places : 0;
        vm.prank(cohort.buyer);
        return cohorts.open{value: value}(cohort);
    }

    function settle(
        ICohortMarket.Cohort memory cohort,
        ICohortMarket.Batch memory batch,
        ICohortMarket.Claim[] memory claims
    ) internal returns (uint32) {
        vm.prank(relay);
        return cohorts.settleMany(cohort, batch, claims);
    }

    function close(ICohortMarket.Cohort memory cohort) internal {
        vm.prank(relay);
        cohorts.close(cohort);
    }

    function revoke(ICohortMarket.Cohort memory cohort, ICohortMarket.Claim memory claim) internal {
        bytes32 id = idOf(cohort, claim);
        vm.prank(consents.controllerOf(claim.seller));
        consents.revoke(claim.seller, id);
    }

    /* ASSERTIONS */

    function expectNobodyPaid(ICohortMarket.Cohort memory cohort) internal {
        vm.expectRevert(abi.encodeWithSelector(ICohortMarket.NobodyPaid.selector, idOf(cohort)));
    }

    /// @dev Settles the claims and says why each was skipped.
    function reasonsOf(
        ICohortMarket.Cohort memory cohort,
        ICohortMarket.Batch memory batch,
        ICohortMarket.Claim[] memory claims
    ) internal returns (ICohortMarket.Skip[] memory reasons) {
        reasons = new ICohortMarket.Skip[](claims.length);
        vm.recordLogs();
        settle(cohort, batch, claims);
        Vm.Log[] memory emitted = vm.getRecordedLogs();
        uint256 next;
        for (uint256 i = 0; i < emitted.length; ++i) {
            if (emitted[i].topics[0] == ICohortMarket.Paid.selector) ++next;
            if (emitted[i].topics[0] != ICohortMarket.Skipped.selector) continue;
            assertEq(emitted[i].topics[1], idOf(cohort));
            assertEq(address(uint160(uint256(emitted[i].topics[2]))), claims[next].seller, "skipped another");
            uint32 place;
            (place, reasons[next]) = abi.decode(emitted[i].data, (uint32, ICohortMarket.Skip));
            assertEq(place, claims[next].place);
            ++next;
        }
        assertEq(next, claims.length, "one event a claim");
    }

    /// @dev Beside one that is paid, for else the batch reverts: this claim is skipped for this reason.
    function assertSkipped(
        ICohortMarket.Cohort memory cohort,
        ICohortMarket.Batch memory batch,
        ICohortMarket.Claim[] memory claims,
        ICohortMarket.Skip reason
    ) internal {
        uint256 state = vm.snapshotState();
        ICohortMarket.Skip[] memory reasons = reasonsOf(cohort, batch, claims);
        assertEq(uint8(reasons[0]), uint8(reason), "reason");
        for (uint256 i = 1; i < claims.length; ++i) {
            assertEq(uint8(reasons[i]), uint8(ICohortMarket.Skip.NONE), "others are paid");
        }
        vm.revertToState(state);
        expectNobodyPaid(cohort);
        settle(cohort, batch, part(claims, 0, 1));
    }

    function assertEscrow(address token_, uint256 amount) internal view {
        uint256 held = token_ == address(0) ? address(cohorts).balance : PlainToken(token_).balanceOf(address(cohorts));
        assertEq(held, amount, "escrow");
    }
}
