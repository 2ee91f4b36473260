// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {IDataMarket} from "../../../../contracts/interfaces/IDataMarket.sol";
import {MarketTest} from "../../utils/MarketTest.sol";

contract CancelAll_Test is MarketTest {
    function test_RevertWhen_TheCallerDoesNotActForTheSeller() external {
        address[4] memory callers = [stranger, buyer, trustees[0], address(0)];
        for (uint256 i = 0; i < callers.length; ++i) {
            expectNotController(callers[i]);
            vm.prank(callers[i]);
            market.cancelAll(seller);
        }
        moveControl();
        expectNotController(seller);
        vm.prank(seller);
        market.cancelAll(seller);
        vm.prank(next);
        market.cancelAll(seller);
        assertEq(market.epochOf(seller), 1);
    }

    function test_StartsTheNextEpoch() external {
        IDataMarket.Offer memory offer = offerOf(address(0));
        IDataMarket.Offer memory others = offerOf(address(0));
        others.seller = stranger;
        freeze();
        for (uint64 epoch = 1; epoch < 4; ++epoch) {
            vm.expectEmit(address(market));
            emit IDataMarket.AllCancelled(seller, epoch);
            vm.prank(seller);
            market.cancelAll(seller);
            assertEq(market.epochOf(seller), epoch);
            assertFalse(market.isOpen(offer));
            offer.epoch = epoch;
            assertTrue(market.isOpen(offer));
        }
        assertEq(market.epochOf(stranger), 0);
        assertTrue(market.isOpen(others));
    }
}
