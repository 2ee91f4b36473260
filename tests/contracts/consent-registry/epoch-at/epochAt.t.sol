// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {ConsentTest} from "../../utils/ConsentTest.sol";

contract EpochAt_Test is ConsentTest {
    function test_IsZeroWithoutARevokeAll() external view {
        assertEq(registry.epochAt(subject, 0), 0);
        assertEq(registry.epochAt(subject, START_S), 0);
        assertEq(registry.epochAt(subject, FOR_EVER), 0);
    }

    function test_ChangesInTheSecondOfEachRevokeAll() external {
        revokeAll();
        skip(10);
        revokeAll();
        revokeAll();
        assertEq(registry.epochAt(subject, 0), 0);
        assertEq(registry.epochAt(subject, START_S - 1), 0);
        assertEq(registry.epochAt(subject, START_S), 1);
        assertEq(registry.epochAt(subject, START_S + 9), 1);
        assertEq(registry.epochAt(subject, START_S + 10), 3);
        assertEq(registry.epochAt(subject, FOR_EVER), 3);
        assertEq(registry.epochAt(stranger, FOR_EVER), 0);
    }

    function testFuzz_AgreesWithACountByHand(uint8[20] calldata waitsS, uint16 askedS) external {
        uint64 asked = START_S + askedS % 3000;
        uint64 epoch;
        for (uint256 i = 0; i < waitsS.length; ++i) {
            skip(waitsS[i]);
            revokeAll();
            if (block.timestamp <= asked) ++epoch;
        }
        assertEq(registry.epochOf(subject), waitsS.length);
        assertEq(registry.epochAt(subject, asked), epoch);
    }

    function revokeAll() private {
        vm.prank(subject);
        registry.revokeAll(subject);
    }
}
