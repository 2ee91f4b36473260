// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {IConsentRegistry} from "../../../../contracts/interfaces/IConsentRegistry.sol";
import {ConsentTest} from "../../utils/ConsentTest.sol";
import {Documents} from "../../utils/Documents.sol";

contract RevokeAllBySig_Test is ConsentTest {
    function test_RevertWhen_TheEpochIsNotTheCurrentOne() external {
        bytes memory signature = signed(subjectKey, Documents.revokeAll(subject, 0));
        registry.revokeAllBySig(subject, 0, signature);
        expectNotCurrent(0, 1);
        registry.revokeAllBySig(subject, 0, signature);

        signature = signed(subjectKey, Documents.revokeAll(subject, 2));
        expectNotCurrent(2, 1);
        registry.revokeAllBySig(subject, 2, signature);
    }

    function test_RevertWhen_AnotherSigned() external {
        expectRefusal(signed(strangerKey, Documents.revokeAll(subject, 0)));
        expectRefusal(signed(subjectKey, Documents.revokeAll(subject, 1)));
        expectRefusal(signed(subjectKey, Documents.revokeAll(stranger, 0)));
        expectRefusal(NO_SIGNATURE);
    }

    function test_RevertWhen_ControlHasMoved() external {
        bytes memory old = signed(subjectKey, Documents.revokeAll(subject, 0));
        moveControl();
        expectInvalid(next, Documents.revokeAll(subject, 0));
        registry.revokeAllBySig(subject, 0, old);
    }

    function test_AFreezeDoesNotStopIt() external {
        freeze();
        carry();
        assertEq(registry.epochOf(subject), 1);
    }

    function test_StartsTheNextEpoch() external {
        vm.expectEmit(address(registry));
        emit IConsentRegistry.EpochStarted(subject, 1, START_S);
        carry();
        assertEq(registry.epochOf(subject), 1);
        assertEq(registry.epochOf(relay), 0);
    }

    function carry() private {
        bytes memory signature = signed(subjectKey, Documents.revokeAll(subject, 0));
        vm.prank(relay);
        registry.revokeAllBySig(subject, 0, signature);
    }

    function expectRefusal(bytes memory signature) private {
        expectInvalid(subject, Documents.revokeAll(subject, 0));
        registry.revokeAllBySig(subject, 0, signature);
    }

    function expectNotCurrent(uint64 epoch, uint64 current) private {
        vm.expectRevert(abi.encodeWithSelector(IConsentRegistry.NotCurrentEpoch.selector, subject, epoch, current));
    }
}
