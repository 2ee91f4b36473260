// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {IDataMarket} from "../../../../contracts/interfaces/IDataMarket.sol";
import {MarketTest} from "../../utils/MarketTest.sol";

contract CancelOffer_Test is MarketTest {
    function test_RevertWhen_TheCallerDoesNotActForTheSeller() external {
        IDataMarket.Offer memory offer = offerOf(address(0));
        bytes32 offerId = idOf(offer);
        address[4] memory callers = [stranger, buyer, trustees[0], address(0)];
        for (uint256 i = 0; i < callers.length; ++i) {
            expectNotController(callers[i]);
            vm.prank(callers[i]);
            market.cancelOffer(seller, offerId);
        }
        moveControl();
        expectNotController(seller);
        vm.prank(seller);
        market.cancelOffer(seller, offerId);
        vm.prank(next);
        market.cancelOffer(seller, offerId);
        assertFalse(market.isOpen(offer));
    }

    function test_CancelsIt() external {
        IDataMarket.Offer memory offer = offerOf(address(0));
        IDataMarket.Offer memory other = offerOf(address(token));
        freeze();
        vm.expectEmit(address(market));
        emit IDataMarket.OfferCancelled(seller, idOf(offer));
        vm.prank(seller);
        market.cancelOffer(seller, idOf(offer));
        assertFalse(market.isOpen(offer));
        assertTrue(market.isOpen(other));

        vm.recordLogs();
        vm.prank(seller);
        market.cancelOffer(seller, idOf(offer));
        assertEq(vm.getRecordedLogs().length, 0);
        assertFalse(market.isOpen(offer));
    }
}
