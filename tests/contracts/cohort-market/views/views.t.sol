// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {CohortMarket} from "../../../../contracts/CohortMarket.sol";
import {IAnchorRegistry} from "../../../../contracts/interfaces/IAnchorRegistry.sol";
import {ICohortMarket} from "../../../../contracts/interfaces/ICohortMarket.sol";
import {IConsentRegistry} from "../../../../contracts/interfaces/IConsentRegistry.sol";
import {CohortDocuments} from "../../utils/CohortDocuments.sol";
import {CohortTest} from "../../utils/CohortTest.sol";

contract Views_Test is CohortTest {
    function test_RevertWhen_ARegistryHasNoCode() external {
        vm.expectRevert(abi.encodeWithSelector(ICohortMarket.NoContract.selector, stranger));
        new CohortMarket(IAnchorRegistry(stranger), consents);
        vm.expectRevert(abi.encodeWithSelector(ICohortMarket.NoContract.selector, stranger));
        new CohortMarket(anchors, IConsentRegistry(stranger));
    }

    function test_KeepsBothRegistriesAndHasItsDomain() external view {
        assertEq(address(cohorts.ANCHORS()), address(anchors));
        assertEq(address(cohorts.CONSENTS()), address(consents));
        (bytes1 fields, string memory name, string memory version, uint256 chainId, address verifyingContract,,) =
            cohorts.eip712Domain();
        assertEq(fields, hex"0f");
        assertEq(name, "Medtrail");
        assertEq(version, "1");
        assertEq(chainId, block.chainid);
        assertEq(verifyingContract, address(cohorts));
    }

    function testFuzz_IdsAreDigests(ICohortMarket.Cohort memory cohort, CohortDocuments.Acceptance memory acceptance)
        external
        view
    {
        bytes32 cohortId = idOf(cohort);
        assertEq(cohorts.cohortIdOf(cohort), cohortId);
        (acceptance.cohort, acceptance.token) = (cohortId, cohort.token);
        (acceptance.price, acceptance.terms) = (cohort.price, cohort.terms);
        bytes32 acceptanceId = cohortDigest(CohortDocuments.acceptance(acceptance));
        assertEq(
            cohorts.acceptanceIdOf(cohort, acceptance.place, acceptance.seller, acceptance.epoch, acceptance.expiresAt),
            acceptanceId
        );
        assertNotEq(acceptanceId, cohortId);
    }

    function test_NothingStandsOfWhatWasNeverSeen() external view {
        ICohortMarket.Standing memory none;
        assertEq(abi.encode(cohorts.standing("never seen")), abi.encode(none));
        assertEq(cohorts.creditOf(stranger, address(0)), 0);
        assertFalse(cohorts.isPaid("never seen", 0));
        (bool isPaid, uint32 place) = cohorts.placeOf("never seen", stranger);
        assertTrue(!isPaid && place == 0);
    }
}
