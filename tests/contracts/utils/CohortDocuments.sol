// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {ICohortMarket} from "../../../contracts/interfaces/ICohortMarket.sol";
import {SaleDocuments} from "./SaleDocuments.sol";

/// @notice Struct hashes of what is signed under the CohortMarket's domain, and of a delivery's entry, written out once
/// more for tests.
library CohortDocuments {
    string internal constant COHORT =
        "Cohort(address buyer,bytes32 log,address token,uint256 price,uint32 places,bytes32 recipient,uint64 deliverBy,uint64 grace,Terms terms,bytes32 salt)";
    string internal constant ACCEPTANCE =
        "CohortAcceptance(bytes32 cohort,uint32 place,address seller,address token,uint256 price,Terms terms,uint64 epoch,uint64 expiresAt)";

    struct Acceptance {
        bytes32 cohort;
        uint32 place;
        address seller;
        address token;
        uint256 price;
        bytes32 terms;
        uint64 epoch;
        uint64 expiresAt;
    }

    function cohort(ICohortMarket.Cohort memory document) internal pure returns (bytes32) {
        bytes memory first = abi.encode(
            keccak256(bytes.concat(bytes(COHORT), bytes(SaleDocuments.TERMS))),
            document.buyer,
            document.log,
            document.token,
            document.price,
            document.places
        );
        bytes memory second =
            abi.encode(document.recipient, document.deliverBy, document.grace, document.terms, document.salt);
        return keccak256(bytes.concat(first, second));
    }

    function acceptance(Acceptance memory document) internal pure returns (bytes32) {
        bytes memory first = abi.encode(
            keccak256(bytes.concat(bytes(ACCEPTANCE), bytes(SaleDocuments.TERMS))),
            document.cohort,
            document.place,
            document.seller
        );
        bytes memory second =
            abi.encode(document.token, document.price, document.terms, document.epoch, document.expiresAt);
        return keccak256(bytes.concat(first, second));
    }

    /// @dev The entry's fields that the contract makes itself, for tests of one wrong field each.
    struct Fields {
        bytes32 log;
        uint8 kind;
        uint8 action;
        bytes32 subject;
        bytes32 record;
        bytes32 fromVersion;
        bytes32 permission;
    }

    function commitment(Fields memory fields, ICohortMarket.Batch memory batch, ICohortMarket.Claim memory claim)
        internal
        pure
        returns (bytes32)
    {
        bytes memory first = abi.encode(
            keccak256(bytes(SaleDocuments.REPORT)), fields.log, claim.eventId, fields.kind, fields.action, claim.timeMs
        );
        bytes memory second = abi.encode(fields.subject, batch.actor, fields.record, fields.fromVersion);
        bytes memory third = abi.encode(batch.toVersion, fields.permission, claim.details);
        bytes32 report = keccak256(bytes.concat(first, second, third));
        bytes memory typeString =
            bytes.concat(bytes(SaleDocuments.ENTRY), bytes(SaleDocuments.PLACE), bytes(SaleDocuments.REPORT));
        return keccak256(abi.encode(keccak256(typeString), report, claim.entryPlace));
    }
}
