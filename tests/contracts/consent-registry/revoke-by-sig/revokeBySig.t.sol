// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {IConsentRegistry} from "../../../../contracts/interfaces/IConsentRegistry.sol";
import {ConsentTest} from "../../utils/ConsentTest.sol";
import {Documents} from "../../utils/Documents.sol";

contract RevokeBySig_Test is ConsentTest {
    bytes32 private constant PERMISSION = keccak256("any id");

    function test_RevertWhen_AnotherSigned() external {
        registerPolicy(1);
        expectRefusal(signed(strangerKey, revocation()));
        expectRefusal(signed(trusteeKeys[1], revocation()));
        expectRefusal(NO_SIGNATURE);
    }

    function test_RevertWhen_ItNamesAnother() external {
        expectRefusal(signed(subjectKey, Documents.revoke(subject, "another")));
        expectRefusal(signed(subjectKey, Documents.revoke(stranger, PERMISSION)));
    }

    function test_RevertWhen_OneKeyControlsTwoSubjects() external {
        // The stranger comes to control the subject, and stays its own controller.
        next = stranger;
        moveControl();
        bytes memory own = signed(strangerKey, Documents.revoke(stranger, PERMISSION));
        expectInvalid(stranger, revocation());
        registry.revokeBySig(subject, PERMISSION, own);

        registry.revokeBySig(stranger, PERMISSION, own);
        assertStanding(PERMISSION, 0, 0);
        assertStanding(stranger, PERMISSION, 0, START_S + DELAY_S);
    }

    function test_RevertWhen_TheGrantWasSigned() external {
        bytes memory signature = signed(subjectKey, STRUCT_HASH);
        bytes32 permission = registry.grantBySig(subject, STRUCT_HASH, signature);
        expectInvalid(subject, Documents.revoke(subject, permission));
        registry.revokeBySig(subject, permission, signature);
    }

    function test_RevertWhen_ControlHasMoved() external {
        bytes memory old = signed(subjectKey, revocation());
        moveControl();
        expectInvalid(next, revocation());
        registry.revokeBySig(subject, PERMISSION, old);
        registry.revokeBySig(subject, PERMISSION, signed(nextKey, revocation()));
        assertStanding(PERMISSION, 0, START_S + DELAY_S);
    }

    function test_ASecondTimeChangesNothing() external {
        carry();
        skip(1 days);
        vm.recordLogs();
        carry();
        assertEq(vm.getRecordedLogs().length, 0);
        assertStanding(PERMISSION, 0, START_S);
    }

    function test_AFreezeDoesNotStopIt() external {
        freeze();
        carry();
        assertStanding(PERMISSION, 0, START_S);
    }

    function test_KeepsTheSecond() external {
        bytes32 permission = grant();
        bytes memory signature = signed(subjectKey, Documents.revoke(subject, permission));
        skip(7);
        vm.expectEmit(address(registry));
        emit IConsentRegistry.Revoked(subject, permission, START_S + 7);
        vm.prank(relay);
        registry.revokeBySig(subject, permission, signature);
        assertStanding(permission, START_S, START_S + 7);
    }

    function revocation() private view returns (bytes32) {
        return Documents.revoke(subject, PERMISSION);
    }

    function carry() private {
        bytes memory signature = signed(subjectKey, revocation());
        vm.prank(relay);
        registry.revokeBySig(subject, PERMISSION, signature);
    }

    function expectRefusal(bytes memory signature) private {
        expectInvalid(subject, revocation());
        registry.revokeBySig(subject, PERMISSION, signature);
    }
}
