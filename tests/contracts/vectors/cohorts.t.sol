// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {AnchorRegistry} from "../../../contracts/AnchorRegistry.sol";
import {CohortMarket} from "../../../contracts/CohortMarket.sol";
import {ConsentRegistry} from "../../../contracts/ConsentRegistry.sol";
import {ICohortMarket} from "../../../contracts/interfaces/ICohortMarket.sol";
import {CohortDocuments} from "../utils/CohortDocuments.sol";
import {DocumentVectors} from "../utils/DocumentVectors.sol";
import {SaleDocuments} from "../utils/SaleDocuments.sol";

/// @notice The documents of a cohort, hashed from their messages and compared with what viem wrote; and the contract,
/// which must know them by exactly these digests.
contract CohortVectors_Test is DocumentVectors {
    uint256 private constant DOCUMENTS = 6;

    CohortMarket private market;

    function setUp() external {
        load("tests/vectors/cohorts.json");
        vm.chainId(chainIdOfVectors());
        deployCodeTo(
            "CohortMarket.sol:CohortMarket",
            abi.encode(new AnchorRegistry(), new ConsentRegistry()),
            contractOfVectors()
        );
        market = CohortMarket(contractOfVectors());
    }

    function test_EachDocumentHashesAsTheWalletHashesIt() external view {
        for (uint256 i = 0; i < DOCUMENTS; ++i) {
            string memory document = string.concat(".documents[", vm.toString(i), "]");
            string memory message = string.concat(document, ".message");
            if (keccak256(bytes(text(document, ".primaryType"))) == keccak256("Cohort")) {
                string memory typeString = string.concat(CohortDocuments.COHORT, SaleDocuments.TERMS);
                assertDocument(document, typeString, CohortDocuments.cohort(cohort(message)));
                assertEq(market.cohortIdOf(cohort(message)), word(document, ".digest"));
                continue;
            }
            assertEq(text(document, ".primaryType"), "CohortAcceptance");
            CohortDocuments.Acceptance memory read = acceptance(message);
            string memory acceptanceType = string.concat(CohortDocuments.ACCEPTANCE, SaleDocuments.TERMS);
            assertDocument(document, acceptanceType, CohortDocuments.acceptance(read));
            assertEq(
                market.acceptanceIdOf(cohortWithId(read.cohort), read.place, read.seller, read.epoch, read.expiresAt),
                word(document, ".digest")
            );
        }
        assertFalse(vm.keyExistsJson(json, string.concat(".documents[", vm.toString(DOCUMENTS), "]")));
    }

    function cohortWithId(bytes32 id) private view returns (ICohortMarket.Cohort memory) {
        for (uint256 i = 0; i < DOCUMENTS; ++i) {
            string memory document = string.concat(".documents[", vm.toString(i), "]");
            if (word(document, ".digest") == id) return cohort(string.concat(document, ".message"));
        }
        revert("no such cohort");
    }

    function terms(string memory message) private view returns (bytes32) {
        return SaleDocuments.terms(
            text(message, ".terms.statement"),
            text(message, ".terms.purpose"),
            word(message, ".terms.dataset"),
            word(message, ".terms.salt")
        );
    }

    function cohort(string memory message) private view returns (ICohortMarket.Cohort memory) {
        return ICohortMarket.Cohort({
            buyer: account(message, ".buyer"),
            log: word(message, ".log"),
            token: account(message, ".token"),
            price: number(message, ".price"),
            places: uint32(number(message, ".places")),
            recipient: word(message, ".recipient"),
            deliverBy: uint64(number(message, ".deliverBy")),
            grace: uint64(number(message, ".grace")),
            terms: terms(message),
            salt: word(message, ".salt")
        });
    }

    function acceptance(string memory message) private view returns (CohortDocuments.Acceptance memory) {
        return CohortDocuments.Acceptance({
            cohort: word(message, ".cohort"),
            place: uint32(number(message, ".place")),
            seller: account(message, ".seller"),
            token: account(message, ".token"),
            price: number(message, ".price"),
            terms: terms(message),
            epoch: uint64(number(message, ".epoch")),
            expiresAt: uint64(number(message, ".expiresAt"))
        });
    }
}
