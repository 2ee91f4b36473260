// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {Test} from "forge-std/Test.sol";

/// @notice Only one form of a signature is evidence: 65 bytes, low s, v of 27 or 28. What is refused off chain must be
/// refused by the check that contracts use, and what is accepted must name the same signer.
contract SignatureVectors_Test is Test {
    function test_EverySignatureIsJudgedAsOffChain() external view {
        string memory json = vm.readFile("tests/vectors/signatures.json");
        assertEq(vm.parseJsonUint(json, ".version"), 1);
        uint256 accepted;
        uint256 refused;
        for (uint256 i = 0; vm.keyExistsJson(json, caseAt(i)); ++i) {
            string memory path = caseAt(i);
            string memory name = vm.parseJsonString(json, string.concat(path, ".name"));
            bytes32 digest = vm.parseJsonBytes32(json, string.concat(path, ".digest"));
            bytes memory signature = vm.parseJsonBytes(json, string.concat(path, ".signature"));
            (address signer, ECDSA.RecoverError refusal,) = ECDSA.tryRecover(digest, signature);

            if (vm.keyExistsJson(json, string.concat(path, ".signer"))) {
                assertTrue(refusal == ECDSA.RecoverError.NoError, name);
                assertEq(signature.length, 65, name);
                assertEq(signer, vm.parseJsonAddress(json, string.concat(path, ".signer")), name);
                ++accepted;
            } else {
                assertTrue(refusal != ECDSA.RecoverError.NoError, name);
                assertTrue(vm.keyExistsJson(json, string.concat(path, ".refusal")), name);
                assertEq(signer, address(0), name);
                ++refused;
            }
        }
        // An empty list would prove nothing.
        assertGe(accepted, 2);
        assertGe(refused, 8);
    }

    function caseAt(uint256 i) private pure returns (string memory) {
        return string.concat(".cases[", vm.toString(i), "]");
    }
}
