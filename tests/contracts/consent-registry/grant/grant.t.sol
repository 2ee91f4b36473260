// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {IConsentRegistry} from "../../../../contracts/interfaces/IConsentRegistry.sol";
import {IControl} from "../../../../contracts/interfaces/IControl.sol";
import {ConsentTest} from "../../utils/ConsentTest.sol";

contract Grant_Test is ConsentTest {
    function test_RevertWhen_TheCallerIsNotTheController() external {
        registerPolicy(1);
        address[3] memory callers = [stranger, trustees[0], relay];
        for (uint256 i = 0; i < callers.length; ++i) {
            expectNotController(callers[i]);
            vm.prank(callers[i]);
            registry.grant(subject, STRUCT_HASH);
        }
    }

    function test_RevertWhen_NobodyGrantsForNobody() external {
        vm.expectRevert(abi.encodeWithSelector(IControl.NotController.selector, address(0), address(0)));
        vm.prank(address(0));
        registry.grant(address(0), STRUCT_HASH);
    }

    function test_RevertWhen_ControlHasMoved() external {
        moveControl();
        expectNotController(subject);
        vm.prank(subject);
        registry.grant(subject, STRUCT_HASH);
    }

    function test_RevertWhen_TheIdWasGrantedBefore() external {
        bytes32 permission = grant();
        expectNotNew(permission);
        vm.prank(subject);
        registry.grant(subject, STRUCT_HASH);

        vm.startPrank(subject);
        registry.revoke(subject, permission);
        skip(1 days);
        expectNotNew(permission);
        registry.grant(subject, STRUCT_HASH);
        vm.stopPrank();
        assertStanding(permission, START_S, START_S);
    }

    function test_RevertWhen_TheIdWasRevokedBeforeItWasEverSeen() external {
        bytes32 permission = digestOf(STRUCT_HASH);
        vm.startPrank(subject);
        registry.revoke(subject, permission);
        expectNotNew(permission);
        registry.grant(subject, STRUCT_HASH);
        vm.stopPrank();
    }

    function test_RevertWhen_TheSubjectIsFrozen() external {
        freeze();
        vm.startPrank(subject);
        vm.expectRevert(abi.encodeWithSelector(IControl.SubjectFrozen.selector, subject, FOR_EVER));
        registry.grant(subject, STRUCT_HASH);

        registry.unfreeze(subject, NO_SIGNATURE);
        uint64 openS = START_S + registry.UNFREEZE_DELAY_S();
        vm.warp(openS - 1);
        vm.expectRevert(abi.encodeWithSelector(IControl.SubjectFrozen.selector, subject, openS));
        registry.grant(subject, STRUCT_HASH);

        vm.warp(openS);
        registry.grant(subject, STRUCT_HASH);
        vm.stopPrank();
        assertStanding(digestOf(STRUCT_HASH), openS, 0);
    }

    function test_KeepsTheSecondUnderTheDocumentsId() external {
        bytes32 permission = digestOf(STRUCT_HASH);
        vm.expectEmit(address(registry));
        emit IConsentRegistry.Granted(subject, permission, START_S);
        assertEq(grant(), permission);
        assertStanding(permission, START_S, 0);
        assertStanding(stranger, permission, 0, 0);

        // The same document under another's name is another's standing.
        skip(1);
        vm.prank(stranger);
        registry.grant(stranger, STRUCT_HASH);
        assertStanding(stranger, permission, START_S + 1, 0);
        assertStanding(permission, START_S, 0);
    }

    function test_WorksForTheControllerThatARecoveryMade() external {
        moveControl();
        vm.prank(next);
        registry.grant(subject, STRUCT_HASH);
        assertStanding(digestOf(STRUCT_HASH), START_S + DELAY_S, 0);
        assertStanding(next, digestOf(STRUCT_HASH), 0, 0);
    }

    function testFuzz_EachIdOnce(bytes32 structHash, uint32 laterS, bool isRevoked) external {
        vm.startPrank(subject);
        bytes32 permission = registry.grant(subject, structHash);
        skip(laterS);
        if (isRevoked) registry.revoke(subject, permission);
        expectNotNew(permission);
        registry.grant(subject, structHash);
        vm.stopPrank();
        assertStanding(permission, START_S, isRevoked ? START_S + laterS : 0);
    }

    function expectNotNew(bytes32 permission) private {
        vm.expectRevert(abi.encodeWithSelector(IConsentRegistry.PermissionNotNew.selector, subject, permission));
    }
}
