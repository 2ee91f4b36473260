// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {IDataMarket} from "../../../contracts/interfaces/IDataMarket.sol";
import {MarketHandler} from "./MarketHandler.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Test} from "forge-std/Test.sol";

/// @notice What must hold after any calls by anybody. Who may do what, and that nothing stops a refund, a decline or a
/// revocation, the handler checks at each call.
/// A sale has more steps than a permission, so a run is longer here.
/// forge-config: default.invariant.depth = 160
contract DataMarket_Invariant is Test {
    MarketHandler private handler;
    IDataMarket private market;

    function setUp() external {
        handler = new MarketHandler();
        market = handler.marketOf();
        targetContract(address(handler));
        bytes4[] memory skipped = new bytes4[](1);
        skipped[0] = handler.setUp.selector;
        excludeSelector(FuzzSelector(address(handler), skipped));
    }

    function invariant_HoldsWhatIsOpenAndWhatIsCredited() external view {
        for (uint256 i = 0; i < 3; ++i) {
            address currency = handler.currencies(i);
            assertEq(handler.held(currency), handler.owed(currency), "escrow");
        }
    }

    function invariant_EventsTellAllState() external view {
        for (uint256 i = 0; i < handler.count(); ++i) {
            bytes32 orderId = handler.ids(i);
            assertEq(abi.encode(market.standing(orderId)), abi.encode(handler.standingOf(orderId)), "standing");
        }
        for (uint256 i = 0; i < 5; ++i) {
            address account = handler.accountAt(i);
            assertEq(market.epochOf(account), handler.epochs(account), "epoch");
            for (uint256 j = 0; j < 3; ++j) {
                address currency = handler.currencies(j);
                assertEq(market.creditOf(account, currency), handler.credits(account, currency), "credit");
            }
        }
    }

    function invariant_SettledOrRefundedOnce() external view {
        for (uint256 i = 0; i < handler.count(); ++i) {
            bytes32 orderId = handler.ids(i);
            IDataMarket.Status status = market.standing(orderId).status;
            bool ended = status == IDataMarket.Status.SETTLED || status == IDataMarket.Status.REFUNDED;
            assertEq(handler.paidOutOf(orderId), ended ? 1 : 0, "paid out");
        }
    }

    /// @dev All that ever came in is with the market, sellers, buyers, or where they withdrew it to.
    function invariant_NobodyElseIsPaid() external view {
        for (uint256 i = 0; i < 3; ++i) {
            address currency = handler.currencies(i);
            uint256 sum = handler.held(currency) + balanceOf(currency, makeAddrView("purse"));
            for (uint256 j = 0; j < 5; ++j) {
                sum += balanceOf(currency, handler.accountAt(j));
            }
            assertEq(sum, i == 0 ? handler.coins() : 2000 ether, "somebody else");
        }
    }

    function balanceOf(address currency, address account) private view returns (uint256) {
        return currency == address(0) ? account.balance : IERC20(currency).balanceOf(account);
    }

    function makeAddrView(string memory name) private pure returns (address) {
        return vm.addr(uint256(keccak256(bytes(name))));
    }
}
