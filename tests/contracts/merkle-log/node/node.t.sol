// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {MerkleLog} from "../../../../contracts/MerkleLog.sol";
import {MerkleLogTest} from "../../utils/MerkleLogTest.sol";
import {ReferenceLog} from "../../utils/ReferenceLog.sol";

contract Node_Test is MerkleLogTest {
    function test_RevertWhen_ThePrecompileAnswersNothing() external {
        vm.mockCall(address(2), bytes(""), bytes(""));
        vm.expectRevert(MerkleLog.Sha256Unavailable.selector);
        merkle.node("left", "right");
    }

    function testFuzz_HashesLeftThenRightBehindAOneByte(bytes32 left, bytes32 right) external view {
        assertEq(merkle.node(left, right), sha256(abi.encodePacked(uint8(1), left, right)));
        assertEq(merkle.node(left, right), ReferenceLog.node(left, right));
    }

    function testFuzz_LeavesTheFreeMemoryAsItWas(bytes32 left, bytes32 right, bytes memory kept) external view {
        bytes32 before = keccak256(kept);
        uint256 free;
        assembly ("memory-safe") {
            free := mload(0x40)
        }
        MerkleLog.node(left, right);
        uint256 freeAfter;
        assembly ("memory-safe") {
            freeAfter := mload(0x40)
        }
        assertEq(freeAfter, free);
        assertEq(keccak256(kept), before);
    }
}
