// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {IAnchorRegistry} from "../../../../contracts/interfaces/IAnchorRegistry.sol";
import {RegistryTest} from "../../utils/RegistryTest.sol";

contract Head_Test is RegistryTest {
    function test_IsZeroWhen_TheLogWasNeverOpened() external view {
        assertHead("no log", IAnchorRegistry.Head({operator: address(0), size: 0, timeS: 0, count: 0}));
    }

    function test_IsTheNewestAnchor() external {
        anchorTo(5);
        skip(12);
        anchorTo(9);
        assertHead(logId, IAnchorRegistry.Head({operator: operator, size: 9, timeS: uint32(START_S + 12), count: 2}));
    }

    function test_KeepsAllButTheOperatorWhen_TheLogIsClosed() external {
        anchorTo(5);
        skip(12);
        closeLog();
        assertHead(logId, IAnchorRegistry.Head({operator: address(0), size: 5, timeS: uint32(START_S), count: 1}));
    }

    function assertHead(bytes32 log_, IAnchorRegistry.Head memory expected) private view {
        assertEq(abi.encode(registry.head(log_)), abi.encode(expected));
    }
}
