// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {RegistryTest} from "../../utils/RegistryTest.sol";

import {AnchorRegistry} from "../../../../contracts/AnchorRegistry.sol";

contract LogOf_Test is RegistryTest {
    function test_IsTheIdThatOpenReturned() external view {
        assertEq(registry.logOf(operator, ORIGIN), logId);
        assertEq(logId, keccak256(abi.encode(block.chainid, address(registry), operator, ORIGIN)));
    }

    function test_DiffersByChainRegistryOpenerAndOrigin() external {
        assertNotEq(registry.logOf(stranger, ORIGIN), logId);
        assertNotEq(registry.logOf(operator, "log.example.org/peoples"), logId);
        assertNotEq(new AnchorRegistry().logOf(operator, ORIGIN), logId);
        vm.chainId(block.chainid + 1);
        assertNotEq(registry.logOf(operator, ORIGIN), logId);
    }
}
