// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {IControl} from "../../../../contracts/interfaces/IControl.sol";
import {ConsentTest} from "../../utils/ConsentTest.sol";
import {Documents} from "../../utils/Documents.sol";

contract Freeze_Test is ConsentTest {
    function test_RevertWhen_TheControllerNeitherCallsNorSigned() external {
        registerPolicy(1);
        expectRefusal(stranger, NO_SIGNATURE);
        expectRefusal(trustees[0], NO_SIGNATURE);
        expectRefusal(relay, signed(strangerKey, Documents.freeze(subject, 1)));
        expectRefusal(relay, signed(subjectKey, Documents.freeze(subject, 0)));
        expectRefusal(relay, signed(subjectKey, Documents.freeze(subject, 2)));
        expectRefusal(relay, signed(subjectKey, Documents.freeze(stranger, 1)));
        expectRefusal(relay, signed(subjectKey, Documents.unfreeze(subject, 1)));
    }

    function test_RevertWhen_NobodyFreezesNobody() external {
        bytes32 digest = digestOf(Documents.freeze(address(0), 1));
        vm.expectRevert(abi.encodeWithSelector(IControl.InvalidSignature.selector, address(0), digest));
        vm.prank(address(0));
        registry.freeze(address(0), NO_SIGNATURE);
    }

    function test_RevertWhen_TheSubjectIsFrozen() external {
        freeze();
        vm.expectRevert(abi.encodeWithSelector(IControl.AlreadyFrozen.selector, subject));
        vm.prank(subject);
        registry.freeze(subject, NO_SIGNATURE);
    }

    function test_RevertWhen_AFreezeIsCarriedTwice() external {
        bytes memory signature = signed(subjectKey, Documents.freeze(subject, 1));
        registry.freeze(subject, signature);
        vm.prank(subject);
        registry.unfreeze(subject, NO_SIGNATURE);
        expectInvalid(subject, Documents.freeze(subject, 2));
        registry.freeze(subject, signature);
    }

    function test_StopsAnUnfreezing() external {
        freeze();
        vm.prank(subject);
        registry.unfreeze(subject, NO_SIGNATURE);
        skip(1 days);
        freeze();
        skip(100 days);
        assertFrozenUntil(FOR_EVER, 2);
    }

    function test_WorksAgainAfterAnUnfreezing() external {
        freeze();
        vm.prank(subject);
        registry.unfreeze(subject, NO_SIGNATURE);
        skip(7 days);
        grant();
        freeze();
        assertFrozenUntil(FOR_EVER, 2);
    }

    function test_StopsPermitting() external {
        bytes memory signature = signed(subjectKey, Documents.freeze(subject, 1));
        vm.expectEmit(address(registry));
        emit IControl.Frozen(subject, subject, 1);
        vm.prank(relay);
        registry.freeze(subject, signature);
        assertFrozenUntil(FOR_EVER, 1);

        vm.expectRevert(abi.encodeWithSelector(IControl.SubjectFrozen.selector, subject, FOR_EVER));
        vm.prank(subject);
        registry.grant(subject, STRUCT_HASH);
        vm.prank(stranger);
        registry.grant(stranger, STRUCT_HASH);
    }

    function expectRefusal(address caller, bytes memory signature) private {
        expectInvalid(subject, Documents.freeze(subject, 1));
        vm.prank(caller);
        registry.freeze(subject, signature);
    }
}
