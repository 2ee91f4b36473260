// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {Test} from "forge-std/Test.sol";

/// @notice Reads a file of signed documents in `tests/vectors`, which other implementations wrote.
abstract contract DocumentVectors is Test {
    string internal json;
    bytes32 internal domainSeparator;

    function load(string memory path) internal {
        json = vm.readFile(path);
        assertEq(vm.parseJsonUint(json, ".version"), 1);
        assertEq(vm.parseJsonString(json, ".domain.name"), "Medtrail");
        assertEq(vm.parseJsonString(json, ".domain.version"), "1");
        domainSeparator = separator("Medtrail", "1", chainIdOfVectors(), contractOfVectors());
        assertEq(vm.parseJsonBytes32(json, ".domainSeparator"), domainSeparator);
    }

    function chainIdOfVectors() internal view returns (uint256) {
        return vm.parseJsonUint(json, ".domain.chainId");
    }

    function contractOfVectors() internal view returns (address) {
        return vm.parseJsonAddress(json, ".domain.verifyingContract");
    }

    function assertDocument(string memory document, string memory typeString, bytes32 structHash) internal view {
        assertEq(vm.parseJsonString(json, string.concat(document, ".typeString")), typeString);
        assertEq(word(document, ".typeHash"), keccak256(bytes(typeString)));
        assertEq(word(document, ".structHash"), structHash);
        assertEq(word(document, ".digest"), keccak256(abi.encodePacked(hex"1901", domainSeparator, structHash)));
    }

    /// @dev The path of the one document of this type.
    function documentOf(string memory primaryType) internal view returns (string memory found) {
        for (uint256 i = 0;; ++i) {
            string memory document = string.concat(".documents[", vm.toString(i), "]");
            if (!vm.keyExistsJson(json, document)) break;
            string memory theirs = vm.parseJsonString(json, string.concat(document, ".primaryType"));
            if (keccak256(bytes(theirs)) != keccak256(bytes(primaryType))) continue;
            assertEq(found, "", "two documents of one type");
            found = document;
        }
        assertNotEq(found, "", string.concat("no ", primaryType));
    }

    function word(string memory path, string memory field) internal view returns (bytes32) {
        return vm.parseJsonBytes32(json, string.concat(path, field));
    }

    function number(string memory path, string memory field) internal view returns (uint256) {
        return vm.parseJsonUint(json, string.concat(path, field));
    }

    function text(string memory path, string memory field) internal view returns (string memory) {
        return vm.parseJsonString(json, string.concat(path, field));
    }

    function account(string memory path, string memory field) internal view returns (address) {
        return vm.parseJsonAddress(json, string.concat(path, field));
    }

    function separator(string memory name, string memory version, uint256 chainId, address verifyingContract)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256(bytes(name)),
                keccak256(bytes(version)),
                chainId,
                verifyingContract
            )
        );
    }
}
