// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {SaleHashes} from "../../../contracts/SaleHashes.sol";
import {ICohortMarket} from "../../../contracts/interfaces/ICohortMarket.sol";
import {Test} from "forge-std/Test.sol";

/// @notice The entries that the log makes of deliveries in a call to many (Rust), and those that the contract asks for.
contract CohortDeliveryVectors_Test is Test {
    uint256 private constant DELIVERIES = 4;

    string private json;

    function setUp() external {
        json = vm.readFile("tests/vectors/cohort-deliveries.json");
        assertEq(vm.parseJsonUint(json, ".version"), 1);
    }

    function test_TheLogEntersWhatTheContractAsksFor() external view {
        for (uint256 i = 0; i < DELIVERIES; ++i) {
            string memory path = string.concat(".deliveries[", vm.toString(i), "]");
            ICohortMarket.Batch memory batch;
            batch.k = word(path, ".k");
            batch.toVersion = word(path, ".toVersion");
            batch.actor = account(path, ".actor");
            ICohortMarket.Claim memory claim;
            claim.seller = account(path, ".seller");
            claim.eventId = word(path, ".eventId");
            claim.timeMs = uint64(vm.parseJsonUint(json, string.concat(path, ".timeMs")));
            claim.details = word(path, ".details");
            claim.entryPlace = word(path, ".entryPlace");
            bytes32 lock = sha256(abi.encode(batch.k));
            assertEq(lock, word(path, ".lock"));
            bytes32 found = this.delivery(word(path, ".log"), word(path, ".acceptance"), lock, batch, claim);
            assertEq(found, word(path, ".commitment"));
        }
        assertFalse(vm.keyExistsJson(json, string.concat(".deliveries[", vm.toString(DELIVERIES), "]")));
    }

    function delivery(
        bytes32 log,
        bytes32 acceptanceId,
        bytes32 lock,
        ICohortMarket.Batch calldata batch,
        ICohortMarket.Claim calldata claim
    ) external pure returns (bytes32) {
        return SaleHashes.delivery(log, acceptanceId, lock, batch, claim);
    }

    function word(string memory path, string memory field) private view returns (bytes32) {
        return vm.parseJsonBytes32(json, string.concat(path, field));
    }

    function account(string memory path, string memory field) private view returns (address) {
        return vm.parseJsonAddress(json, string.concat(path, field));
    }
}
