// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {ConsentTest} from "../../utils/ConsentTest.sol";

contract ConsentEip712Domain_Test is ConsentTest {
    function test_IsTheDomainOfTheSignedDocuments() external {
        assertDomain();
        // After a fork of the chain the old signatures belong to one side only.
        vm.chainId(4242);
        assertDomain();
    }

    function assertDomain() private view {
        (
            bytes1 fields,
            string memory name,
            string memory version,
            uint256 chainId,
            address verifyingContract,
            bytes32 salt,
            uint256[] memory extensions
        ) = registry.eip712Domain();
        assertEq(fields, hex"0f");
        assertEq(name, "Medtrail");
        assertEq(version, "1");
        assertEq(chainId, block.chainid);
        assertEq(verifyingContract, address(registry));
        assertEq(salt, 0);
        assertEq(extensions.length, 0);
    }
}
