// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {IAnchorRegistry} from "../../../../contracts/interfaces/IAnchorRegistry.sol";
import {RegistryTest} from "../../utils/RegistryTest.sol";

contract Living_Test is RegistryTest {
    function test_IsFalseWhen_TheLogHasNoAnchor() external view {
        assertFalse(registry.living(logId, newest));
        assertFalse(registry.living("no log", newest));
        for (uint64 number = 0; number <= 65; ++number) {
            IAnchorRegistry.Anchor memory empty;
            empty.number = number;
            assertFalse(registry.living(logId, empty));
        }
    }

    function testFuzz_IsFalseWhen_AFieldDiffers(uint256 field, uint8 bit, uint64 made) external {
        made = uint64(bound(made, 1, 70));
        for (uint64 size = 1; size <= made; ++size) {
            anchorTo(size);
        }
        field = bound(field, 0, 3);
        if (field == 0) newest.number ^= uint64(1) << (bit % 64);
        if (field == 1) newest.size ^= uint64(1) << (bit % 64);
        if (field == 2) newest.root ^= bytes32(uint256(1) << bit);
        if (field == 3) newest.timeS ^= uint64(1) << (bit % 64);
        assertFalse(registry.living(logId, newest));
    }

    function test_IsFalseForAnotherNumberOfTheSameSlot() external {
        for (uint64 size = 1; size <= 70; ++size) {
            anchorTo(size);
        }
        uint64[3] memory others = [newest.number - 64, newest.number + 64, type(uint64).max - 63 + newest.number % 64];
        for (uint256 i = 0; i < others.length; ++i) {
            newest.number = others[i];
            assertFalse(registry.living(logId, newest));
        }
    }

    function test_IsTrueForTheNewest64AndNoneBefore() external {
        IAnchorRegistry.Anchor[] memory made = new IAnchorRegistry.Anchor[](130);
        for (uint64 i = 0; i < made.length; ++i) {
            made[i] = anchorTo(3 * i + 1);
            skip(12);
        }
        for (uint256 i = 0; i < made.length; ++i) {
            assertEq(registry.living(logId, made[i]), i >= made.length - 64);
        }
    }
}
