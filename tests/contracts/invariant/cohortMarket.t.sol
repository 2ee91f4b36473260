// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {ICohortMarket} from "../../../contracts/interfaces/ICohortMarket.sol";
import {CohortHandler} from "./CohortHandler.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Test} from "forge-std/Test.sol";

/// @notice What must hold after any calls by anybody. Who is paid, and that nothing stops a close, the handler checks at
/// each call.
/// A cohort has more steps than a permission, so a run is longer here.
/// forge-config: default.invariant.depth = 160
contract CohortMarket_Invariant is Test {
    CohortHandler private handler;
    ICohortMarket private market;

    function setUp() external {
        handler = new CohortHandler();
        market = handler.marketOf();
        targetContract(address(handler));
        bytes4[] memory skipped = new bytes4[](1);
        skipped[0] = handler.setUp.selector;
        excludeSelector(FuzzSelector(address(handler), skipped));
    }

    function invariant_HoldsOpenPlacesAndWhatIsCredited() external view {
        for (uint256 i = 0; i < 3; ++i) {
            address currency = handler.currencies(i);
            assertEq(handler.held(currency), handler.owed(currency), "escrow");
        }
    }

    function invariant_EventsTellAllState() external view {
        for (uint256 i = 0; i < handler.count(); ++i) {
            bytes32 cohortId = handler.ids(i);
            CohortHandler.Known memory known = handler.knownOf(cohortId);
            ICohortMarket.Standing memory expected =
                ICohortMarket.Standing(known.status, known.openedAt, known.settledAt, known.paid);
            assertEq(abi.encode(market.standing(cohortId)), abi.encode(expected), "standing");
            for (uint256 j = 0; j < 5; ++j) {
                address seller = handler.accountAt(j);
                (bool isPaid, uint32 place) = market.placeOf(cohortId, seller);
                assertEq(isPaid, handler.isSellerPaid(cohortId, seller), "seller");
                if (isPaid) assertEq(handler.paidAt(cohortId, place), seller, "place");
            }
        }
        for (uint256 i = 0; i < 7; ++i) {
            for (uint256 j = 0; j < 3; ++j) {
                (address account, address currency) = (handler.accountAt(i), handler.currencies(j));
                assertEq(market.creditOf(account, currency), handler.credits(account, currency), "credit");
            }
        }
    }

    /// @dev Settled or given back, each place once.
    function invariant_EachPlaceIsPaidOnceOrGivenBack() external view {
        for (uint256 i = 0; i < handler.count(); ++i) {
            bytes32 cohortId = handler.ids(i);
            CohortHandler.Known memory known = handler.knownOf(cohortId);
            assertEq(known.paidOut, known.paid, "paid");
            uint256 marked;
            for (uint32 place = 0; place < known.cohort.places; ++place) {
                if (market.isPaid(cohortId, place)) ++marked;
                assertEq(market.isPaid(cohortId, place), handler.paidAt(cohortId, place) != address(0), "marked");
            }
            assertEq(marked, known.paid, "counted");
            assertFalse(market.isPaid(cohortId, known.cohort.places), "beyond the last");
            assertEq(known.isReturned, known.status == ICohortMarket.Status.CLOSED, "returned once");
        }
    }

    /// @dev All that ever came in is with the market, sellers, buyers, or where they withdrew it to.
    function invariant_NobodyElseIsPaid() external view {
        for (uint256 i = 0; i < 3; ++i) {
            address currency = handler.currencies(i);
            uint256 sum = handler.held(currency) + balanceOf(currency, vm.addr(uint256(keccak256("purse"))));
            for (uint256 j = 0; j < 7; ++j) {
                sum += balanceOf(currency, handler.accountAt(j));
            }
            assertEq(sum, i == 0 ? handler.coins() : 2000 ether, "somebody else");
        }
    }

    function balanceOf(address currency, address account) private view returns (uint256) {
        return currency == address(0) ? account.balance : IERC20(currency).balanceOf(account);
    }
}
