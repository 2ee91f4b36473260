// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {AnchorRegistry} from "../../../contracts/AnchorRegistry.sol";
import {IAnchorRegistry} from "../../../contracts/interfaces/IAnchorRegistry.sol";
import {RegistryHandler} from "./RegistryHandler.sol";
import {Test} from "forge-std/Test.sol";

/// @notice What must hold after any calls by anybody. That sizes and numbers only grow, that only the operator anchors
/// and that a closed log never moves, the handler checks at each event.
contract AnchorRegistry_Invariant is Test {
    AnchorRegistry private registry;
    RegistryHandler private handler;

    function setUp() external {
        vm.warp(1_800_000_000);
        registry = new AnchorRegistry();
        handler = new RegistryHandler(registry);
        targetContract(address(handler));
    }

    function invariant_EventsTellAllState() external view {
        for (uint256 i = 0; i < 3; ++i) {
            bytes32 log = handler.ids(i);
            assertEq(abi.encode(registry.head(log)), abi.encode(handler.headOf(log)), "head");
            assertEq(abi.encode(registry.logInfo(log)), abi.encode(handler.infoOf(log)), "info");
        }
    }

    function invariant_TheNewest64AnchorsLiveAndNoOther() external view {
        for (uint256 i = 0; i < 3; ++i) {
            bytes32 log = handler.ids(i);
            IAnchorRegistry.Anchor[] memory made = handler.anchorsOf(log);
            for (uint256 j = 0; j < made.length; ++j) {
                assertEq(registry.living(log, made[j]), j + 64 >= made.length, "living");
                // Not emitted, in any log.
                made[j].size += 1;
                assertFalse(registry.living(log, made[j]), "an anchor nobody made lives");
            }
        }
    }
}
