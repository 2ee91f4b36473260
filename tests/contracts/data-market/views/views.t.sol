// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {DataMarket} from "../../../../contracts/DataMarket.sol";
import {IAnchorRegistry} from "../../../../contracts/interfaces/IAnchorRegistry.sol";
import {IConsentRegistry} from "../../../../contracts/interfaces/IConsentRegistry.sol";
import {IDataMarket} from "../../../../contracts/interfaces/IDataMarket.sol";
import {MarketTest} from "../../utils/MarketTest.sol";
import {SaleDocuments} from "../../utils/SaleDocuments.sol";

contract Views_Test is MarketTest {
    /// @dev Else money could be paid in that no log ever releases.
    function test_RevertWhen_ARegistryHasNoCode() external {
        vm.expectRevert(abi.encodeWithSelector(IDataMarket.NoContract.selector, stranger));
        new DataMarket(IAnchorRegistry(stranger), consents);
        vm.expectRevert(abi.encodeWithSelector(IDataMarket.NoContract.selector, stranger));
        new DataMarket(anchors, IConsentRegistry(stranger));
    }

    function test_KeepsBothRegistries() external view {
        assertEq(address(market.ANCHORS()), address(anchors));
        assertEq(address(market.CONSENTS()), address(consents));
    }

    function test_HasItsDomain() external view {
        (bytes1 fields, string memory name, string memory version, uint256 chainId, address verifyingContract,,) =
            market.eip712Domain();
        assertEq(fields, hex"0f");
        assertEq(name, "Medtrail");
        assertEq(version, "1");
        assertEq(chainId, block.chainid);
        assertEq(verifyingContract, address(market));
    }

    function testFuzz_IdsAreDigests(IDataMarket.Order memory order) external view {
        assertEq(market.offerIdOf(order.offer), idOf(order.offer));
        assertEq(market.orderIdOf(order), idOf(order));
    }

    /// @dev One struct hash can stand for one type only: the type's own hash is its first word.
    function testFuzz_NoDocumentPassesForAnother(IDataMarket.Order memory order, uint64 expiresAt) external view {
        bytes32[3] memory ids =
            [idOf(order.offer), idOf(order), digestOf(SaleDocuments.saleApproval(order, idOf(order), expiresAt))];
        assertTrue(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
    }

    function test_NothingStandsOfWhatWasNeverSeen() external view {
        IDataMarket.Standing memory none;
        assertEq(abi.encode(market.standing("never seen")), abi.encode(none));
        assertEq(market.epochOf(stranger), 0);
        assertEq(market.creditOf(stranger, address(0)), 0);
    }

    function test_AnOfferIsOpenUntilItIsCancelled() external {
        IDataMarket.Offer memory offer = offerOf(address(0));
        offer.expiresAt = 0;
        assertTrue(market.isOpen(offer));
        offer.epoch = 1;
        assertFalse(market.isOpen(offer));
        vm.prank(seller);
        market.cancelAll(seller);
        assertTrue(market.isOpen(offer));
        vm.prank(seller);
        market.cancelOffer(seller, idOf(offer));
        assertFalse(market.isOpen(offer));
    }
}
