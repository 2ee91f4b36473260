// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {AnchorRegistry} from "../../../contracts/AnchorRegistry.sol";
import {ConsentRegistry} from "../../../contracts/ConsentRegistry.sol";
import {DataMarket} from "../../../contracts/DataMarket.sol";
import {IAnchorRegistry} from "../../../contracts/interfaces/IAnchorRegistry.sol";
import {IDataMarket} from "../../../contracts/interfaces/IDataMarket.sol";
import {DocumentVectors} from "../utils/DocumentVectors.sol";
import {Documents} from "../utils/Documents.sol";
import {SaleDocuments} from "../utils/SaleDocuments.sol";

/// @notice The documents of a sale, hashed from their messages and compared with what viem wrote; and the contract, which
/// must ask for exactly these digests.
contract SaleVectors_Test is DocumentVectors {
    uint256 private constant DOCUMENTS = 7;

    DataMarket private market;
    ConsentRegistry private consents;

    function setUp() external {
        json = vm.readFile("tests/vectors/sales.json");
        assertEq(vm.parseJsonUint(json, ".version"), 1);
        vm.chainId(chainIdOfVectors());
        // One offer of the file expires a second later.
        vm.warp(1_799_141_458);
        domainSeparator = Documents.separator(chainIdOfVectors(), contractOfVectors());
        consents = new ConsentRegistry();
        deployCodeTo("DataMarket.sol:DataMarket", abi.encode(new AnchorRegistry(), consents), contractOfVectors());
        market = DataMarket(contractOfVectors());
    }

    function test_TheMarketHasTheDomainOfTheVectors() external view {
        (, string memory name, string memory version, uint256 chainId, address verifyingContract,,) =
            market.eip712Domain();
        assertEq(name, vm.parseJsonString(json, ".domain.name"));
        assertEq(version, vm.parseJsonString(json, ".domain.version"));
        assertEq(separator(name, version, chainId, verifyingContract), domainSeparator);
    }

    function test_EachDocumentHashesAsTheWalletHashesIt() external view {
        for (uint256 i = 0; i < DOCUMENTS; ++i) {
            string memory document = string.concat(".documents[", vm.toString(i), "]");
            string memory message = string.concat(document, ".message");
            bytes32 kind = keccak256(bytes(text(document, ".primaryType")));
            if (kind == keccak256("Terms")) {
                assertDocument(document, SaleDocuments.TERMS, terms(message));
            } else if (kind == keccak256("Offer")) {
                string memory typeString = string.concat(SaleDocuments.OFFER, SaleDocuments.TERMS);
                assertDocument(document, typeString, SaleDocuments.offer(offer(message)));
                assertEq(market.offerIdOf(offer(message)), word(document, ".digest"));
            } else if (kind == keccak256("Order")) {
                string memory typeString = string.concat(SaleDocuments.ORDER, SaleDocuments.OFFER, SaleDocuments.TERMS);
                assertDocument(document, typeString, SaleDocuments.order(order(message)));
                assertEq(market.orderIdOf(order(message)), word(document, ".digest"));
            } else {
                assertEq(kind, keccak256("SaleApproval"));
                string memory typeString = string.concat(SaleDocuments.SALE_APPROVAL, SaleDocuments.TERMS);
                assertDocument(document, typeString, approval(message));
            }
        }
        assertFalse(vm.keyExistsJson(json, string.concat(".documents[", vm.toString(DOCUMENTS), "]")));
    }

    /// @dev Refused without a signature, the contract says over what it wanted one.
    function test_TheMarketAsksForTheseDigests() external {
        for (uint256 i = 0; i < DOCUMENTS; ++i) {
            string memory document = string.concat(".documents[", vm.toString(i), "]");
            if (keccak256(bytes(text(document, ".primaryType"))) != keccak256("SaleApproval")) continue;
            string memory message = string.concat(document, ".message");
            IDataMarket.Order memory ordered = orderWithId(word(message, ".order"));
            for (uint64 epoch = 0; epoch < ordered.offer.epoch; ++epoch) {
                vm.prank(ordered.offer.seller);
                market.cancelAll(ordered.offer.seller);
            }
            expectAsks(ordered.offer.seller, market.offerIdOf(ordered.offer));
            vm.prank(ordered.buyer);
            market.buy(ordered, "");

            // Paid, whatever that takes: slot 2 holds the orders.
            vm.store(address(market), keccak256(abi.encode(word(message, ".order"), uint256(2))), bytes32(uint256(1)));
            IDataMarket.Delivery memory delivery;
            IAnchorRegistry.Anchor memory anchor;
            expectAsks(ordered.offer.seller, word(document, ".digest"));
            market.settle(
                ordered,
                delivery,
                anchor,
                0,
                new bytes32[](0),
                IDataMarket.Approval(uint64(number(message, ".expiresAt")), "")
            );
        }
    }

    function expectAsks(address signer, bytes32 digest) private {
        vm.expectRevert(abi.encodeWithSelector(IDataMarket.InvalidSignature.selector, signer, digest));
    }

    function orderWithId(bytes32 id) private view returns (IDataMarket.Order memory) {
        for (uint256 i = 0; i < DOCUMENTS; ++i) {
            string memory document = string.concat(".documents[", vm.toString(i), "]");
            if (word(document, ".digest") == id) return order(string.concat(document, ".message"));
        }
        revert("no such order");
    }

    function terms(string memory message) private view returns (bytes32) {
        return SaleDocuments.terms(
            text(message, ".statement"), text(message, ".purpose"), word(message, ".dataset"), word(message, ".salt")
        );
    }

    function offer(string memory message) private view returns (IDataMarket.Offer memory) {
        return IDataMarket.Offer({
            seller: account(message, ".seller"),
            log: word(message, ".log"),
            token: account(message, ".token"),
            price: number(message, ".price"),
            accessS: uint64(number(message, ".accessS")),
            expiresAt: uint64(number(message, ".expiresAt")),
            epoch: uint64(number(message, ".epoch")),
            terms: terms(string.concat(message, ".terms"))
        });
    }

    function order(string memory message) private view returns (IDataMarket.Order memory) {
        return IDataMarket.Order({
            offer: offer(string.concat(message, ".offer")),
            buyer: account(message, ".buyer"),
            recipient: word(message, ".recipient"),
            deliverBy: uint64(number(message, ".deliverBy")),
            grace: uint64(number(message, ".grace")),
            salt: word(message, ".salt")
        });
    }

    function approval(string memory message) private view returns (bytes32) {
        IDataMarket.Order memory named;
        named.offer.seller = account(message, ".seller");
        named.buyer = account(message, ".buyer");
        named.offer.token = account(message, ".token");
        named.offer.price = number(message, ".price");
        named.offer.terms = terms(string.concat(message, ".terms"));
        return SaleDocuments.saleApproval(named, word(message, ".order"), uint64(number(message, ".expiresAt")));
    }
}
