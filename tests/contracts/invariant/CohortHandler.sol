// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {ICohortMarket} from "../../../contracts/interfaces/ICohortMarket.sol";
import {CohortDocuments} from "../utils/CohortDocuments.sol";
import {CohortTest} from "../utils/CohortTest.sol";
import {Recipient} from "../utils/Recipient.sol";
import {ReferenceLog} from "../utils/ReferenceLog.sol";
import {StrangeToken} from "../utils/Tokens.sol";
import {Vm} from "forge-std/Test.sol";

/// @notice Anybody opens, delivers, settles batches, closes, revokes, freezes, recovers and withdraws, in a coin and two
/// tokens, one of them strange; sellers take each other's places, and what was signed or delivered is carried again. A
/// model fed by events says how cohorts and credits stand.
contract CohortHandler is CohortTest {
    uint256 private constant SELLERS = 5;
    uint256 private constant BUYERS = 2;
    uint256 private constant COHORTS_MAX = 12;

    struct Known {
        ICohortMarket.Cohort cohort;
        ICohortMarket.Status status;
        uint64 openedAt;
        uint64 settledAt;
        uint32 paid;
        uint256 paidOut;
        bool isReturned;
    }

    /// @dev A claim that stands in the log, and what the model needs to know of its end.
    struct Delivered {
        ICohortMarket.Claim claim;
        bytes32 cohortId;
        address signer;
    }

    address[2] public buyers;
    address[3] public currencies;
    StrangeToken private _strange;
    bytes32[] public ids;
    mapping(bytes32 cohort => Known) private _known;
    mapping(bytes32 cohort => Delivered[]) private _delivered;
    mapping(bytes32 cohort => mapping(uint32 place => address)) public paidAt;
    mapping(bytes32 cohort => mapping(address seller => bool)) public isSellerPaid;
    mapping(address account => mapping(address token => uint256)) public credits;
    /// @dev All that there is.
    uint256 public coins = BUYERS * 1000 ether;

    constructor() {
        CohortTest.setUp();
        _strange = new StrangeToken();
        currencies = [address(0), address(token), address(_strange)];
        for (uint256 i = 0; i < BUYERS; ++i) {
            buyers[i] = makeAddr(string.concat("cohort buyer ", vm.toString(i)));
            vm.deal(buyers[i], 1000 ether);
            token.mint(buyers[i], 1000 ether);
            _strange.mint(buyers[i], 1000 ether);
            vm.startPrank(buyers[i]);
            token.approve(address(cohorts), type(uint256).max);
            _strange.approve(address(cohorts), type(uint256).max);
            vm.stopPrank();
        }
        morePeople(SELLERS);
        // The second seller and the second buyer take no coins.
        vm.etch(people[1], address(new Recipient()).code);
        Recipient(payable(people[1])).setWays(Recipient.Ways.REFUSES);
        vm.etch(buyers[1], address(new Recipient()).code);
        Recipient(payable(buyers[1])).setWays(Recipient.Ways.BURNS_GAS);
        anchor();
        vm.recordLogs();
        vm.getRecordedLogs();
    }

    /* CALLS */

    function openOne(uint256 who, uint256 what, uint96 price, uint32 window, uint8 wrong) external {
        if (ids.length == COHORTS_MAX) return;
        ICohortMarket.Cohort memory cohort = cohortOf(currencies[what % 3]);
        (cohort.buyer, cohort.price) = (buyers[who % BUYERS], price % 1 ether);
        (cohort.places, cohort.salt) = (uint32(1 + what / 3 % 4), bytes32(ids.length));
        cohort.deliverBy = uint64(block.timestamp + 1 + window % 2 days);
        cohort.grace = window / 7 % 1 days;
        uint256 value = cohort.token == address(0) ? cohort.price * cohort.places : 0;
        if (wrong == 1) ++value;
        vm.deal(cohort.buyer, cohort.buyer.balance + value);
        coins += value;
        bool may = wrong != 1 && wrong != 2
            && (cohort.token != address(_strange) || _strange.ways() != StrangeToken.Ways.RETURNS_FALSE);
        vm.prank(wrong == 2 ? stranger : cohort.buyer);
        try cohorts.open{value: wrong == 2 ? 0 : value}(cohort) returns (bytes32 cohortId) {
            assertTrue(may, "opened with something wrong");
            assertEq(cohortId, idOf(cohort));
            _known[cohortId].cohort = cohort;
            ids.push(cohortId);
        } catch {
            assertFalse(may, "not opened");
            _dropEvents();
        }
        _readEvents();
    }

    /// @dev Some sellers, each with a place of their own choice, of their present epoch.
    function deliverSome(uint256 which, uint256 seed, uint8 many) public {
        if (ids.length == 0) return;
        (bytes32 cohortId, Known storage known) = _pick(which);
        if (_delivered[cohortId].length > 12) return;
        ICohortMarket.Batch memory batch = emptyBatch();
        for (uint256 i = 0; i <= many % 4; ++i) {
            uint256 who = uint256(keccak256(abi.encode(seed, i))) % SELLERS;
            ICohortMarket.Claim memory claim = claimOf(known.cohort, who);
            // Now and then beyond the last, often another's.
            claim.place = uint32(uint256(keccak256(abi.encode(seed, i, "place"))) % (known.cohort.places + 1));
            address controller = consents.controllerOf(claim.seller);
            uint256 key = controller == claim.seller ? keys[who] : nextKey;
            if (seed % 16 == i + 1) key = strangerKey;
            sign(known.cohort, claim, key);
            claim.index = uint64(leaves.length);
            leaves.push(ReferenceLog.leaf(CohortDocuments.commitment(fieldsOf(known.cohort, claim, K), batch, claim)));
            Delivered storage kept = _delivered[cohortId].push();
            (kept.claim, kept.cohortId, kept.signer) = (claim, cohortId, vm.addr(key));
        }
        anchor();
        _dropEvents();
    }

    /// @dev Several cohorts at once, mostly delivered to before, or little would ever be paid.
    function settleSome(uint256 which, uint256 seed, uint8 many) external {
        for (uint256 i = 0; i <= many / 8 % 4 && i < ids.length; ++i) {
            unchecked {
                if (seed % 4 != 0) deliverSome(which + i, seed + i, many);
                _settle(which + i, seed + i, many);
            }
        }
    }

    /// @dev Some of what was ever delivered for it, in any order, twice too, and now and then of another cohort.
    function _settle(uint256 which, uint256 seed, uint8 many) private {
        (bytes32 cohortId, Known storage known) = _pick(which);
        bytes32 source = seed % 16 == 3 ? ids[seed / 16 % ids.length] : cohortId;
        uint256 length = _delivered[source].length;
        if (length == 0) return;
        ICohortMarket.Claim[] memory claims = new ICohortMarket.Claim[](1 + many % 6);
        uint256 good;
        bool[] memory may = new bool[](claims.length);
        for (uint256 i = 0; i < claims.length; ++i) {
            Delivered memory chosen = _delivered[source][uint256(keccak256(abi.encode(seed, i))) % length];
            claims[i] = chosen.claim;
            may[i] = source == cohortId && _mayBePaid(known, cohortId, chosen) && !_isBefore(claims, may, i);
            if (may[i]) ++good;
        }
        ICohortMarket.Batch memory batch = emptyBatch();
        prove(batch, claims);
        bool open_ = known.status == ICohortMarket.Status.OPEN && block.timestamp <= _until(known);
        vm.prank(relay);
        try cohorts.settleMany(known.cohort, batch, claims) returns (uint32 paid) {
            assertTrue(open_, "settled what is not open");
            assertEq(paid, good, "who is paid");
            for (uint256 i = 0; i < claims.length; ++i) {
                if (may[i]) assertTrue(cohorts.isPaid(cohortId, claims[i].place), "not paid");
            }
        } catch {
            assertFalse(open_ && good != 0, "one holds up the others");
            _dropEvents();
        }
        _readEvents();
    }

    function closeOne(uint256 which) external {
        if (ids.length == 0) return;
        (, Known storage known) = _pick(which);
        bool may = known.status == ICohortMarket.Status.OPEN
            && (block.timestamp > _until(known) || known.paid == known.cohort.places);
        vm.prank(relay);
        try cohorts.close(known.cohort) {
            assertTrue(may, "closed");
        } catch {
            assertFalse(may, "nothing stops a close");
            _dropEvents();
        }
        _readEvents();
    }

    function revokeOne(uint256 which, uint256 what) external {
        if (ids.length == 0) return;
        (bytes32 cohortId, Known storage known) = _pick(which);
        uint256 length = _delivered[cohortId].length;
        if (length == 0 || what % 4 != 0) return;
        revoke(known.cohort, _delivered[cohortId][what / 4 % length].claim);
        _dropEvents();
    }

    function revokeAll(uint256 who) external {
        if (who % 8 != 0) return;
        address seller_ = people[who / 8 % SELLERS];
        vm.prank(consents.controllerOf(seller_));
        consents.revokeAll(seller_);
        _dropEvents();
    }

    function freezeOne(uint256 who) external {
        if (who % 8 != 0) return;
        address seller_ = people[who / 8 % SELLERS];
        vm.startPrank(consents.controllerOf(seller_));
        try consents.freeze(seller_, "") {}
        catch {
            try consents.unfreeze(seller_, "") {} catch {}
        }
        vm.stopPrank();
        _dropEvents();
    }

    function recover(uint256 who) external {
        address seller_ = people[who / 32 % SELLERS];
        if (who % 32 != 0 || seller_ != consents.controllerOf(seller_)) return;
        seller = seller_;
        moveControl();
        _dropEvents();
    }

    function withdrawOne(uint256 which, uint256 what, uint256 who) external {
        address account = accountAt(which % (SELLERS + BUYERS));
        address currency = currencies[what % 3];
        address caller = who % 4 == 1 ? stranger : who % 4 == 2 ? account : consents.controllerOf(account);
        uint256 waiting = credits[account][currency];
        vm.prank(caller);
        try cohorts.withdraw(account, currency, makeAddr("purse")) {
            assertEq(caller, consents.controllerOf(account), "withdrawn by another");
            assertGt(waiting, 0, "withdrawn from nothing");
        } catch {
            _dropEvents();
        }
        _readEvents();
    }

    function changeToken(uint8 ways) external {
        StrangeToken.Ways[4] memory some = [
            StrangeToken.Ways.PLAIN,
            StrangeToken.Ways.RETURNS_NOTHING,
            StrangeToken.Ways.RETURNS_FALSE,
            StrangeToken.Ways.PAUSED_OUT
        ];
        _strange.setWays(some[ways % 4]);
    }

    function wait(uint32 waitS) external {
        skip(waitS % 8 hours);
    }

    /* MODEL */

    function count() external view returns (uint256) {
        return ids.length;
    }

    function marketOf() external view returns (ICohortMarket) {
        return cohorts;
    }

    function knownOf(bytes32 cohortId) external view returns (Known memory) {
        return _known[cohortId];
    }

    function accountAt(uint256 place) public view returns (address) {
        return place < SELLERS ? people[place] : buyers[place - SELLERS];
    }

    /// @dev What the market must hold: all places of open cohorts that are not paid, and all that is credited.
    function owed(address currency) external view returns (uint256 sum) {
        for (uint256 i = 0; i < ids.length; ++i) {
            Known storage known = _known[ids[i]];
            if (known.status != ICohortMarket.Status.OPEN || known.cohort.token != currency) continue;
            sum += known.cohort.price * (known.cohort.places - known.paid);
        }
        for (uint256 i = 0; i < SELLERS + BUYERS; ++i) {
            sum += credits[accountAt(i)][currency];
        }
    }

    function held(address currency) external view returns (uint256) {
        return currency == address(0) ? address(cohorts).balance : StrangeToken(currency).balanceOf(address(cohorts));
    }

    /// @dev Those of a call that failed are recorded too.
    function _dropEvents() private {
        vm.getRecordedLogs();
    }

    /// @dev Applies what the market emitted, and nothing else.
    function _readEvents() private {
        Vm.Log[] memory emitted = vm.getRecordedLogs();
        for (uint256 i = 0; i < emitted.length; ++i) {
            // A token's.
            if (emitted[i].emitter != address(cohorts)) continue;
            _apply(emitted[i].topics, emitted[i].data);
        }
    }

    function _apply(bytes32[] memory topics, bytes memory data) private {
        bytes32 kind = topics[0];
        Known storage known = _known[topics[1]];
        if (kind == ICohortMarket.Opened.selector) {
            assertEq(uint8(known.status), uint8(ICohortMarket.Status.NONE), "opened twice");
            (known.status, known.openedAt) = (ICohortMarket.Status.OPEN, uint64(block.timestamp));
        } else if (kind == ICohortMarket.Paid.selector) {
            (address seller_, uint32 place) = (_address(topics[2]), abi.decode(data, (uint32)));
            assertEq(uint8(known.status), uint8(ICohortMarket.Status.OPEN), "paid of what is not open");
            assertEq(paidAt[topics[1]][place], address(0), "a place paid twice");
            assertFalse(isSellerPaid[topics[1]][seller_], "a seller paid twice");
            assertLt(place, known.cohort.places, "no such place");
            paidAt[topics[1]][place] = seller_;
            isSellerPaid[topics[1]][seller_] = true;
            ++known.paidOut;
        } else if (kind == ICohortMarket.Settled.selector) {
            (bytes32 k, bytes32 file, uint32 paid) = abi.decode(data, (bytes32, bytes32, uint32));
            assertTrue(k == K && file == FILE && paid != 0, "settled");
            if (known.settledAt == 0) known.settledAt = uint64(block.timestamp);
            known.paid += paid;
        } else if (kind == ICohortMarket.Closed.selector) {
            assertEq(uint8(known.status), uint8(ICohortMarket.Status.OPEN), "closed what is not open");
            uint256 rest = abi.decode(data, (uint256));
            assertEq(rest, known.cohort.price * (known.cohort.places - known.paid), "the rest");
            (known.status, known.isReturned) = (ICohortMarket.Status.CLOSED, true);
        } else if (kind == ICohortMarket.Credited.selector) {
            credits[_address(topics[1])][_address(topics[2])] += abi.decode(data, (uint256));
        } else if (kind == ICohortMarket.Withdrawn.selector) {
            assertEq(credits[_address(topics[1])][_address(topics[2])], abi.decode(data, (uint256)), "all of it");
            credits[_address(topics[1])][_address(topics[2])] = 0;
        } else {
            assertEq(kind, ICohortMarket.Skipped.selector, "an event that the model does not know");
        }
    }

    /* INTERNAL */

    function _mayBePaid(Known storage known, bytes32 cohortId, Delivered memory chosen) private view returns (bool) {
        ICohortMarket.Claim memory claim = chosen.claim;
        if (claim.place >= known.cohort.places) return false;
        if (isSellerPaid[cohortId][claim.seller] || paidAt[cohortId][claim.place] != address(0)) return false;
        uint64 boundAt = known.settledAt;
        uint64 asOf = boundAt == 0 ? uint64(block.timestamp) : boundAt;
        (uint64 frozenUntilS,) = consents.freezeOf(claim.seller);
        if (boundAt == 0 && frozenUntilS != 0) return false;
        if (consents.epochAt(claim.seller, asOf) != claim.epoch) return false;
        (, uint64 revokedAt) = consents.standing(claim.seller, idOf(known.cohort, claim));
        if (revokedAt != 0 && revokedAt <= asOf) return false;
        return chosen.signer == consents.controllerOf(claim.seller)
            || (boundAt != 0 && consents.controlledAt(claim.seller, chosen.signer, boundAt));
    }

    /// @dev Whether one before it in the batch takes its place, or is its seller's.
    function _isBefore(ICohortMarket.Claim[] memory claims, bool[] memory may, uint256 i) private pure returns (bool) {
        for (uint256 j = 0; j < i; ++j) {
            if (may[j] && (claims[j].seller == claims[i].seller || claims[j].place == claims[i].place)) return true;
        }
        return false;
    }

    function _pick(uint256 which) private view returns (bytes32 cohortId, Known storage known) {
        cohortId = ids[which % ids.length];
        known = _known[cohortId];
    }

    function _until(Known storage known) private view returns (uint256) {
        return uint256(known.cohort.deliverBy) + known.cohort.grace;
    }

    function _address(bytes32 topic) private pure returns (address) {
        return address(uint160(uint256(topic)));
    }
}
