// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {MerkleLog} from "../../../../contracts/MerkleLog.sol";
import {MerkleLogTest} from "../../utils/MerkleLogTest.sol";
import {ReferenceLog} from "../../utils/ReferenceLog.sol";

contract Leaf_Test is MerkleLogTest {
    function test_RevertWhen_ThePrecompileAnswersNothing() external {
        vm.mockCall(address(2), bytes(""), bytes(""));
        vm.expectRevert(MerkleLog.Sha256Unavailable.selector);
        merkle.leaf("commitment");
    }

    function testFuzz_HashesTheCommitmentBehindAZeroByte(bytes32 commitment) external view {
        assertEq(merkle.leaf(commitment), sha256(abi.encodePacked(uint8(0), commitment)));
        assertEq(merkle.leaf(commitment), ReferenceLog.leaf(commitment));
    }
}
