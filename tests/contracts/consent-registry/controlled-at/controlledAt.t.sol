// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {IControl} from "../../../../contracts/interfaces/IControl.sol";
import {ConsentTest} from "../../utils/ConsentTest.sol";

contract ControlledAt_Test is ConsentTest {
    function test_IsTheSubjectWithoutARecovery() external view {
        assertEq(registry.controllerOf(subject), subject);
        assertTrue(registry.controlledAt(subject, subject, 0));
        assertTrue(registry.controlledAt(subject, subject, FOR_EVER));
        assertFalse(registry.controlledAt(subject, stranger, START_S));
        assertFalse(registry.controlledAt(subject, address(0), START_S));
        assertFalse(registry.controlledAt(address(0), address(0), START_S));
    }

    function test_ChangesInTheSecondOfTheMove() external {
        moveControl();
        uint64 movedAtS = START_S + DELAY_S;
        assertTrue(registry.controlledAt(subject, subject, 0));
        assertTrue(registry.controlledAt(subject, subject, movedAtS - 1));
        assertFalse(registry.controlledAt(subject, subject, movedAtS));
        assertFalse(registry.controlledAt(subject, next, movedAtS - 1));
        assertTrue(registry.controlledAt(subject, next, movedAtS));
        assertTrue(registry.controlledAt(subject, next, FOR_EVER));
        assertFalse(registry.controlledAt(subject, stranger, movedAtS));
        assertTrue(registry.controlledAt(next, next, 0));
    }

    function testFuzz_IsOneAtEachTime(uint32 firstS, uint32 secondS, uint64 askedS) external {
        IControl.RecoveryPolicy memory policy = registerPolicy(1);
        uint64 first = move(policy, next, firstS);
        uint64 second = move(policy, stranger, secondS);
        askedS = askedS % 2 == 0 ? askedS : uint64(bound(askedS, START_S, second + 100));
        assertEq(registry.controlledAt(subject, subject, askedS), askedS < first);
        assertEq(registry.controlledAt(subject, next, askedS), askedS >= first && askedS < second);
        assertEq(registry.controlledAt(subject, stranger, askedS), askedS >= second);
    }

    function move(IControl.RecoveryPolicy memory policy, address to, uint32 waitS) private returns (uint64) {
        // Approvals are good for a year.
        skip(waitS % 90 days);
        startRecovery(policy, to);
        skip(DELAY_S);
        registry.finishRecovery(subject);
        return uint64(block.timestamp);
    }
}
