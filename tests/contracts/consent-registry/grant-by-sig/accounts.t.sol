// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {ConsentTest} from "../../utils/ConsentTest.sol";
import {SharedWallet, StrangeWallet} from "../../utils/Wallets.sol";

/// @notice Subjects that are not a plain key: wallets, and accounts that delegate to code.
contract GrantBySigAccounts_Test is ConsentTest {
    function test_RevertWhen_TheWalletDoesNotAgree() external {
        StrangeWallet wallet = new StrangeWallet();
        subject = address(wallet);
        for (uint8 i = 1; i <= uint8(StrangeWallet.Answer.TRUE); ++i) {
            wallet.setAnswer(StrangeWallet.Answer(i));
            expectInvalid(subject, STRUCT_HASH);
            registry.grantBySig(subject, STRUCT_HASH, NO_SIGNATURE);
        }
    }

    function test_RevertWhen_TheWalletBurnsAllGas() external {
        StrangeWallet wallet = new StrangeWallet();
        wallet.setAnswer(StrangeWallet.Answer.BURNS);
        subject = address(wallet);
        expectInvalid(subject, STRUCT_HASH);
        registry.grantBySig{gas: 3_000_000}(subject, STRUCT_HASH, NO_SIGNATURE);
    }

    function test_AHugeAnswerIsNotCopied() external {
        StrangeWallet wallet = new StrangeWallet();
        wallet.setAnswer(StrangeWallet.Answer.HUGE);
        subject = address(wallet);
        // The wallet pays 2.2 million for the memory of its answer. A copy would cost as much again.
        registry.grantBySig{gas: 2_600_000}(subject, STRUCT_HASH, NO_SIGNATURE);
        assertStanding(digestOf(STRUCT_HASH), START_S, 0);
    }

    function test_KeepsTheResultWhenTheWalletChangesItsMind() external {
        StrangeWallet wallet = new StrangeWallet();
        subject = address(wallet);
        bytes32 permission = registry.grantBySig(subject, STRUCT_HASH, NO_SIGNATURE);
        wallet.setAnswer(StrangeWallet.Answer.NO);
        assertStanding(permission, START_S, 0);
    }

    function test_TakesEnoughOwnersOfAWallet() external {
        (SharedWallet wallet, SharedWallet sibling) = (newWallet(), newWallet());
        subject = address(wallet);
        bytes memory one = ownerSigned(wallet, 0);
        bytes memory both = bytes.concat(one, ownerSigned(wallet, 2));
        bytes memory twice = bytes.concat(one, one);
        bytes memory theSiblings = bytes.concat(ownerSigned(sibling, 0), ownerSigned(sibling, 2));
        bytes[3] memory refused = [one, twice, theSiblings];
        for (uint256 i = 0; i < refused.length; ++i) {
            expectInvalid(subject, STRUCT_HASH);
            registry.grantBySig(subject, STRUCT_HASH, refused[i]);
        }

        registry.grantBySig(subject, STRUCT_HASH, both);
        assertStanding(digestOf(STRUCT_HASH), START_S, 0);
    }

    function test_AWalletGrantsByItsOwnTransaction() external {
        SharedWallet wallet = newWallet();
        subject = address(wallet);
        wallet.call(address(registry), abi.encodeCall(registry.grant, (subject, STRUCT_HASH)));
        assertStanding(digestOf(STRUCT_HASH), START_S, 0);
    }

    function test_TakesTheKeyOfAnAccountThatDelegates() external {
        bytes memory signature = signed(subjectKey, STRUCT_HASH);
        StrangeWallet delegate = new StrangeWallet();
        for (uint8 i = 1; i <= uint8(StrangeWallet.Answer.BURNS); ++i) {
            uint256 state = vm.snapshotState();
            delegateTo(address(delegate));
            StrangeWallet(payable(subject)).setAnswer(StrangeWallet.Answer(i));
            registry.grantBySig(subject, STRUCT_HASH, signature);
            assertStanding(digestOf(STRUCT_HASH), START_S, 0);
            vm.revertToState(state);
        }
    }

    /// @dev No signature is asked of the code then, only of the key.
    function test_TheKeysSignatureCallsNoCode() external {
        delegateTo(address(new StrangeWallet()));
        bytes memory signature = signed(subjectKey, STRUCT_HASH);
        vm.expectCall(subject, "", 0);
        registry.grantBySig(subject, STRUCT_HASH, signature);
    }

    function test_RevertWhen_NeitherKeyNorDelegateAgree() external {
        delegateTo(address(new StrangeWallet()));
        StrangeWallet(payable(subject)).setAnswer(StrangeWallet.Answer.NO);
        bytes memory signature = signed(strangerKey, STRUCT_HASH);
        expectInvalid(subject, STRUCT_HASH);
        registry.grantBySig(subject, STRUCT_HASH, signature);
    }

    function test_TakesWhatTheDelegateTakes() external {
        delegateTo(address(new StrangeWallet()));
        registry.grantBySig(subject, STRUCT_HASH, "whatever this delegate accepts");
        assertStanding(digestOf(STRUCT_HASH), START_S, 0);
    }

    function delegateTo(address code) private {
        vm.signAndAttachDelegation(code, subjectKey);
        // Any transaction carries it.
        vm.prank(relay);
        (bool sent,) = relay.call("");
        assertTrue(sent);
        assertEq(subject.code, abi.encodePacked(hex"ef0100", code), "not delegated");
    }

    function newWallet() private returns (SharedWallet) {
        address[] memory owners = new address[](3);
        for (uint256 i = 0; i < 3; ++i) {
            owners[i] = trustees[i];
        }
        return new SharedWallet(owners, 2);
    }

    function ownerSigned(SharedWallet wallet, uint256 which) private view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(trusteeKeys[which], wallet.messageOf(digestOf(STRUCT_HASH)));
        return abi.encodePacked(r, s, v);
    }
}
