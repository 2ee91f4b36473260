// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {ConsentTest} from "../../utils/ConsentTest.sol";

contract IdOf_Test is ConsentTest {
    function testFuzz_IsTheDigestUnderTheRegistrysDomain(bytes32 structHash, uint64 chainId) external {
        assertEq(registry.idOf(structHash), digestOf(structHash));
        vm.chainId(chainId);
        assertEq(registry.idOf(structHash), digestOf(structHash));
    }
}
