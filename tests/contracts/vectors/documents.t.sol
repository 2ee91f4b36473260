// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {AnchorRegistry} from "../../../contracts/AnchorRegistry.sol";
import {Test} from "forge-std/Test.sol";

/// @notice The documents that are signed under the registry's domain, hashed from their messages and compared with what
/// other implementations wrote.
contract DocumentVectors_Test is Test {
    string private constant PLACE = "Place(uint64 ordinal,bytes32 previous,uint64 receivedMs,bytes32 salt)";
    string private constant REPORT =
        "Report(bytes32 log,bytes32 eventId,uint8 kind,uint8 action,uint64 timeMs,bytes32 subject,address actor,bytes32 record,bytes32 fromVersion,bytes32 toVersion,bytes32 permission,bytes32 details)";
    string private constant ENTRY = "Entry(Report report,Place place)";
    string private constant REPORT_BATCH = "ReportBatch(bytes32 root,uint64 count)";
    string private constant CHECKPOINT = "Checkpoint(bytes32 log,uint64 size,bytes32 root,uint64 timeMs)";

    string private json;
    bytes32 private domainSeparator;

    function setUp() external {
        json = vm.readFile("tests/vectors/documents.json");
        assertEq(vm.parseJsonUint(json, ".version"), 1);
        assertEq(vm.parseJsonString(json, ".domain.name"), "Medtrail");
        assertEq(vm.parseJsonString(json, ".domain.version"), "1");
        domainSeparator = separator(
            "Medtrail",
            "1",
            vm.parseJsonUint(json, ".domain.chainId"),
            vm.parseJsonAddress(json, ".domain.verifyingContract")
        );
        assertEq(vm.parseJsonBytes32(json, ".domainSeparator"), domainSeparator);
    }

    function test_TheRegistryHasTheDomainOfTheVectors() external {
        vm.chainId(vm.parseJsonUint(json, ".domain.chainId"));
        address at_ = vm.parseJsonAddress(json, ".domain.verifyingContract");
        deployCodeTo("AnchorRegistry.sol:AnchorRegistry", at_);
        (, string memory name, string memory version, uint256 chainId, address verifyingContract,,) =
            AnchorRegistry(at_).eip712Domain();
        assertEq(separator(name, version, chainId, verifyingContract), domainSeparator);
    }

    function test_Report() external view {
        string memory document = documentOf("Report");
        assertDocument(document, REPORT, report(string.concat(document, ".message")));
    }

    function test_Place() external view {
        string memory document = documentOf("Place");
        assertDocument(document, PLACE, place(string.concat(document, ".message")));
    }

    function test_Entry() external view {
        string memory document = documentOf("Entry");
        // Types that a type refers to follow it in alphabetical order.
        string memory typeString = string.concat(ENTRY, PLACE, REPORT);
        assertDocument(
            document,
            typeString,
            keccak256(
                abi.encode(
                    keccak256(bytes(typeString)),
                    report(string.concat(document, ".message.report")),
                    place(string.concat(document, ".message.place"))
                )
            )
        );
    }

    function test_ReportBatch() external view {
        string memory document = documentOf("ReportBatch");
        string memory message = string.concat(document, ".message");
        assertDocument(
            document,
            REPORT_BATCH,
            keccak256(abi.encode(keccak256(bytes(REPORT_BATCH)), word(message, ".root"), number(message, ".count")))
        );
    }

    function test_Checkpoint() external view {
        string memory document = documentOf("Checkpoint");
        string memory message = string.concat(document, ".message");
        assertDocument(
            document,
            CHECKPOINT,
            keccak256(
                abi.encode(
                    keccak256(bytes(CHECKPOINT)),
                    word(message, ".log"),
                    number(message, ".size"),
                    word(message, ".root"),
                    number(message, ".timeMs")
                )
            )
        );
    }

    function report(string memory message) private view returns (bytes32) {
        // A static array encodes as its words, as thirteen arguments would if the stack had room for them.
        bytes32[13] memory words;
        words[0] = keccak256(bytes(REPORT));
        words[1] = word(message, ".log");
        words[2] = word(message, ".eventId");
        words[3] = bytes32(number(message, ".kind"));
        words[4] = bytes32(number(message, ".action"));
        words[5] = bytes32(number(message, ".timeMs"));
        words[6] = word(message, ".subject");
        words[7] = bytes32(uint256(uint160(vm.parseJsonAddress(json, string.concat(message, ".actor")))));
        words[8] = word(message, ".record");
        words[9] = word(message, ".fromVersion");
        words[10] = word(message, ".toVersion");
        words[11] = word(message, ".permission");
        words[12] = word(message, ".details");
        return keccak256(abi.encode(words));
    }

    function place(string memory message) private view returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256(bytes(PLACE)),
                number(message, ".ordinal"),
                word(message, ".previous"),
                number(message, ".receivedMs"),
                word(message, ".salt")
            )
        );
    }

    function assertDocument(string memory document, string memory typeString, bytes32 structHash) private view {
        assertEq(vm.parseJsonString(json, string.concat(document, ".typeString")), typeString);
        assertEq(word(document, ".typeHash"), keccak256(bytes(typeString)));
        assertEq(word(document, ".structHash"), structHash);
        assertEq(word(document, ".digest"), keccak256(abi.encodePacked(hex"1901", domainSeparator, structHash)));
    }

    /// @dev The path of the one document of this type.
    function documentOf(string memory primaryType) private view returns (string memory found) {
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

    function word(string memory path, string memory field) private view returns (bytes32) {
        return vm.parseJsonBytes32(json, string.concat(path, field));
    }

    function number(string memory path, string memory field) private view returns (uint256) {
        return vm.parseJsonUint(json, string.concat(path, field));
    }

    function separator(string memory name, string memory version, uint256 chainId, address verifyingContract)
        private
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
