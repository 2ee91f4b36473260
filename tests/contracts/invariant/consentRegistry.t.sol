// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {ConsentRegistry} from "../../../contracts/ConsentRegistry.sol";
import {IControl} from "../../../contracts/interfaces/IControl.sol";
import {ConsentHandler} from "./ConsentHandler.sol";
import {ConsentModel} from "./ConsentModel.sol";
import {Test} from "forge-std/Test.sol";

/// @notice What must hold after any calls by anybody. That only the controller moves a permission, that none is granted
/// again, that nothing stops a revocation and that no document works twice, handler and model check at each call.
contract ConsentRegistry_Invariant is Test {
    ConsentRegistry private registry;
    ConsentHandler private handler;

    function setUp() external {
        vm.warp(1_800_000_000);
        registry = new ConsentRegistry();
        handler = new ConsentHandler(registry);
        targetContract(address(handler));
    }

    function invariant_EventsTellAllState() external view {
        for (uint256 i = 0; i < 2; ++i) {
            address subject = handler.subjects(i);
            ConsentModel.Model memory model = handler.modelOf(subject);
            assertEq(registry.controllerOf(subject), model.controller, "controller");
            (uint64 frozenUntilS, uint64 freezes) = registry.freezeOf(subject);
            assertEq(frozenUntilS, model.frozenUntilS, "frozen until");
            assertEq(freezes, model.freezes, "freezes");
            IControl.Recovery memory recovery = registry.recoveryOf(subject);
            assertEq(recovery.policy, model.policy, "policy");
            assertEq(recovery.delayS, model.delayS, "delay");
            assertEq(recovery.waitingPolicy, model.waitingPolicy, "waiting policy");
            assertEq(recovery.waitsUntilS, model.waitsUntilS, "waits until");
            assertEq(recovery.epoch, model.policyEpoch, "policy epoch");
            assertEq(recovery.newController, model.newController, "new controller");
            assertEq(recovery.finishesAtS, model.finishesAtS, "finishes at");
            assertEq(recovery.rounds, model.rounds, "rounds");
            for (uint256 j = 0; j < 6; ++j) {
                bytes32 permission = handler.permissions(j);
                (uint64 grantedAt, uint64 revokedAt) = registry.standing(subject, permission);
                (uint64 grantedAt_, uint64 revokedAt_) = handler.standings(subject, permission);
                assertEq(grantedAt, grantedAt_, "granted at");
                assertEq(revokedAt, revokedAt_, "revoked at");
            }
        }
    }

    function invariant_EachSecondHasItsEpoch() external view {
        for (uint256 i = 0; i < 2; ++i) {
            address subject = handler.subjects(i);
            uint64[] memory startsS = handler.epochStartsOf(subject);
            assertEq(registry.epochOf(subject), startsS.length);
            for (uint256 j = 0; j < startsS.length; ++j) {
                // Several may start in one second.
                assertGt(registry.epochAt(subject, startsS[j]), j);
                assertLe(registry.epochAt(subject, startsS[j] - 1), j);
            }
        }
    }

    function invariant_EachSecondHasOneController() external view {
        for (uint256 i = 0; i < 2; ++i) {
            address subject = handler.subjects(i);
            uint64[] memory movesS = handler.movesOf(subject);
            assertEq(controllersAt(subject, 0), 1);
            assertEq(controllersAt(subject, uint64(block.timestamp)), 1);
            for (uint256 j = 0; j < movesS.length; ++j) {
                assertEq(controllersAt(subject, movesS[j]), 1);
                assertEq(controllersAt(subject, movesS[j] - 1), 1);
            }
        }
    }

    function invariant_NoRecoveryRunsWhileAPolicyWaits() external view {
        for (uint256 i = 0; i < 2; ++i) {
            IControl.Recovery memory recovery = registry.recoveryOf(handler.subjects(i));
            assertTrue(recovery.newController == address(0) || recovery.waitingPolicy == 0);
        }
    }

    function controllersAt(address subject, uint64 timeS) private view returns (uint256 count) {
        for (uint256 i = 0; i < 9; ++i) {
            if (registry.controlledAt(subject, handler.people(i), timeS)) ++count;
        }
    }
}
