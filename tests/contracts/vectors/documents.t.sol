// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {AnchorRegistry} from "../../../contracts/AnchorRegistry.sol";
import {DocumentVectors} from "../utils/DocumentVectors.sol";

/// @notice The documents that are signed under the registry's domain, hashed from their messages and compared with what
/// other implementations wrote.
contract DocumentVectors_Test is DocumentVectors {
    string private constant PLACE = "Place(uint64 ordinal,bytes32 previous,uint64 receivedMs,bytes32 salt)";
    string private constant REPORT =
        "Report(bytes32 log,bytes32 eventId,uint8 kind,uint8 action,uint64 timeMs,bytes32 subject,address actor,bytes32 record,bytes32 fromVersion,bytes32 toVersion,bytes32 permission,bytes32 details)";
    string private constant ENTRY = "Entry(Report report,Place place)";
    string private constant REPORT_BATCH = "ReportBatch(bytes32 root,uint64 count)";
    string private constant CHECKPOINT = "Checkpoint(bytes32 log,uint64 size,bytes32 root,uint64 timeMs)";

    function setUp() external {
        load("tests/vectors/documents.json");
    }

    function test_TheRegistryHasTheDomainOfTheVectors() external {
        vm.chainId(chainIdOfVectors());
        address at_ = contractOfVectors();
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
        words[7] = bytes32(uint256(uint160(account(message, ".actor"))));
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
}
