// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {ConsentRegistry} from "../../../../contracts/ConsentRegistry.sol";
import {IConsentRegistry} from "../../../../contracts/interfaces/IConsentRegistry.sol";
import {IControl} from "../../../../contracts/interfaces/IControl.sol";
import {ConsentTest} from "../../utils/ConsentTest.sol";
import {Documents} from "../../utils/Documents.sol";

contract GrantBySig_Test is ConsentTest {
    uint256 private constant ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;

    function test_RevertWhen_AnotherSigned() external {
        registerPolicy(1);
        expectRefusal(signed(strangerKey, STRUCT_HASH));
        expectRefusal(signed(trusteeKeys[0], STRUCT_HASH));
        expectRefusal(NO_SIGNATURE);
    }

    /// @dev The caller's name is nothing here: what the controller sends itself is `grant`.
    function test_RevertWhen_TheControllerSendsAnothersSignature() external {
        bytes memory signature = signed(strangerKey, STRUCT_HASH);
        expectInvalid(subject, STRUCT_HASH);
        vm.prank(subject);
        registry.grantBySig(subject, STRUCT_HASH, signature);
    }

    function test_RevertWhen_TheSubjectIsZero() external {
        // What ecrecover answers to nonsense.
        bytes memory nonsense = abi.encodePacked(bytes32(0), bytes32(0), uint8(27));
        expectInvalid(address(0), STRUCT_HASH);
        registry.grantBySig(address(0), STRUCT_HASH, nonsense);
    }

    function test_RevertWhen_AnotherStructHashWasSigned() external {
        expectRefusal(signed(subjectKey, keccak256("another")));
    }

    function test_RevertWhen_ItWasSignedForElsewhere() external {
        bytes32[3] memory elsewhere = [
            Documents.separator(1, address(registry)),
            Documents.separator(block.chainid, address(new ConsentRegistry())),
            // The domain of another name: only the registry's own will do.
            keccak256("domain")
        ];
        for (uint256 i = 0; i < elsewhere.length; ++i) {
            (uint8 v, bytes32 r, bytes32 s) = vm.sign(subjectKey, Documents.digest(elsewhere[i], STRUCT_HASH));
            expectRefusal(abi.encodePacked(r, s, v));
        }
    }

    function test_RevertWhen_ItIsCarriedForAnotherSubject() external {
        bytes memory signature = signed(subjectKey, STRUCT_HASH);
        expectInvalid(stranger, STRUCT_HASH);
        registry.grantBySig(stranger, STRUCT_HASH, signature);
    }

    /// @dev After a fork of the chain, a signature belongs to one side.
    function test_RevertWhen_TheChainForked() external {
        bytes memory signature = signed(subjectKey, STRUCT_HASH);
        vm.chainId(4242);
        expectRefusal(signature);
        carry(signed(subjectKey, STRUCT_HASH));
    }

    function test_RevertWhen_ControlHasMoved() external {
        bytes memory old = signed(subjectKey, STRUCT_HASH);
        moveControl();
        expectInvalid(next, STRUCT_HASH);
        registry.grantBySig(subject, STRUCT_HASH, old);
        carry(signed(nextKey, STRUCT_HASH));
    }

    function test_RevertWhen_TheSignatureHasAnotherForm() external {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(subjectKey, digestOf(STRUCT_HASH));
        bytes32 vs = bytes32(uint256(s) | uint256(v - 27) << 255);
        expectRefusal(abi.encodePacked(r, vs));
        expectRefusal(abi.encodePacked(r, s, v - 27));
        expectRefusal(abi.encodePacked(r, bytes32(ORDER - uint256(s)), v == 27 ? uint8(28) : uint8(27)));
        expectRefusal(abi.encodePacked(r, s, v, uint8(0)));
        expectRefusal(abi.encodePacked(r, s));
    }

    function test_RevertWhen_TheIdIsNotNew() external {
        bytes memory signature = signed(subjectKey, STRUCT_HASH);
        bytes32 permission = carry(signature);
        bytes memory refusal = abi.encodeWithSelector(IConsentRegistry.PermissionNotNew.selector, subject, permission);
        vm.expectRevert(refusal);
        registry.grantBySig(subject, STRUCT_HASH, signature);

        vm.prank(subject);
        registry.revoke(subject, permission);
        vm.expectRevert(refusal);
        registry.grantBySig(subject, STRUCT_HASH, signature);
    }

    function test_RevertWhen_TheSubjectIsFrozen() external {
        bytes memory signature = signed(subjectKey, STRUCT_HASH);
        freeze();
        vm.expectRevert(abi.encodeWithSelector(IControl.SubjectFrozen.selector, subject, FOR_EVER));
        registry.grantBySig(subject, STRUCT_HASH, signature);
    }

    function test_KeepsTheSecond() external {
        bytes32 permission = digestOf(STRUCT_HASH);
        vm.expectEmit(address(registry));
        emit IConsentRegistry.Granted(subject, permission, START_S);
        assertEq(carry(signed(subjectKey, STRUCT_HASH)), permission);
        assertStanding(permission, START_S, 0);
        assertStanding(relay, permission, 0, 0);
    }

    function testFuzz_OnlyTheControllersKey(uint256 key, bytes32 structHash) external {
        key = bound(key, 1, ORDER - 1);
        bytes memory signature = signed(key, structHash);
        if (vm.addr(key) != subject) expectInvalid(subject, structHash);
        registry.grantBySig(subject, structHash, signature);
    }

    function testFuzz_RevertWhen_OneBitIsFlipped(uint256 bit) external {
        bytes memory signature = signed(subjectKey, STRUCT_HASH);
        bit = bound(bit, 0, 65 * 8 - 1);
        signature[bit / 8] ^= bytes1(uint8(1 << bit % 8));
        expectRefusal(signature);
    }

    function carry(bytes memory signature) private returns (bytes32) {
        vm.prank(relay);
        return registry.grantBySig(subject, STRUCT_HASH, signature);
    }

    function expectRefusal(bytes memory signature) private {
        expectInvalid(subject, STRUCT_HASH);
        registry.grantBySig(subject, STRUCT_HASH, signature);
    }
}
