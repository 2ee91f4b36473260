// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {IDataMarket} from "../../../contracts/interfaces/IDataMarket.sol";

/// @notice Struct hashes of what is signed under the DataMarket's domain, and of the delivery's entry, written out once
/// more for tests.
library SaleDocuments {
    string internal constant TERMS = "Terms(string statement,string purpose,bytes32 dataset,bytes32 salt)";
    string internal constant OFFER =
        "Offer(address seller,bytes32 log,address token,uint256 price,uint64 accessS,uint64 expiresAt,uint64 epoch,Terms terms)";
    string internal constant ORDER =
        "Order(Offer offer,address buyer,bytes32 recipient,uint64 deliverBy,uint64 grace,bytes32 salt)";
    string internal constant SALE_APPROVAL =
        "SaleApproval(bytes32 order,address seller,address buyer,address token,uint256 price,Terms terms,uint64 expiresAt)";
    string internal constant REPORT =
        "Report(bytes32 log,bytes32 eventId,uint8 kind,uint8 action,uint64 timeMs,bytes32 subject,address actor,bytes32 record,bytes32 fromVersion,bytes32 toVersion,bytes32 permission,bytes32 details)";
    string internal constant PLACE = "Place(uint64 ordinal,bytes32 previous,uint64 receivedMs,bytes32 salt)";
    string internal constant ENTRY = "Entry(Report report,Place place)";

    /// @dev What the contract has for constants, for tests of one wrong field each.
    struct Fields {
        bytes32 log;
        uint8 kind;
        uint8 action;
        bytes32 subject;
        bytes32 record;
        bytes32 fromVersion;
        bytes32 permission;
    }

    function terms(string memory statement, string memory purpose, bytes32 dataset, bytes32 salt)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(
            abi.encode(keccak256(bytes(TERMS)), keccak256(bytes(statement)), keccak256(bytes(purpose)), dataset, salt)
        );
    }

    function offer(IDataMarket.Offer memory document) internal pure returns (bytes32) {
        bytes memory first = abi.encode(
            keccak256(bytes.concat(bytes(OFFER), bytes(TERMS))),
            document.seller,
            document.log,
            document.token,
            document.price
        );
        bytes memory second = abi.encode(document.accessS, document.expiresAt, document.epoch, document.terms);
        return keccak256(bytes.concat(first, second));
    }

    function order(IDataMarket.Order memory document) internal pure returns (bytes32) {
        bytes memory first = abi.encode(
            keccak256(bytes.concat(bytes(ORDER), bytes(OFFER), bytes(TERMS))), offer(document.offer), document.buyer
        );
        bytes memory second = abi.encode(document.recipient, document.deliverBy, document.grace, document.salt);
        return keccak256(bytes.concat(first, second));
    }

    function saleApproval(IDataMarket.Order memory document, bytes32 orderId, uint64 expiresAt)
        internal
        pure
        returns (bytes32)
    {
        bytes memory first = abi.encode(
            keccak256(bytes.concat(bytes(SALE_APPROVAL), bytes(TERMS))), orderId, document.offer.seller, document.buyer
        );
        bytes memory second = abi.encode(document.offer.token, document.offer.price, document.offer.terms, expiresAt);
        return keccak256(bytes.concat(first, second));
    }

    function fieldsOf(IDataMarket.Order memory document, bytes32 orderId, bytes32 k)
        internal
        pure
        returns (Fields memory)
    {
        return Fields({
            log: document.offer.log,
            kind: 6,
            action: uint8(bytes1("E")),
            subject: bytes32(uint256(uint160(document.offer.seller))),
            record: orderId,
            fromVersion: sha256(bytes.concat(k)),
            permission: orderId
        });
    }

    function commitment(Fields memory fields, IDataMarket.Delivery memory delivery) internal pure returns (bytes32) {
        bytes memory first = abi.encode(
            keccak256(bytes(REPORT)), fields.log, delivery.eventId, fields.kind, fields.action, delivery.timeMs
        );
        bytes memory second = abi.encode(fields.subject, delivery.actor, fields.record, fields.fromVersion);
        bytes memory third = abi.encode(delivery.toVersion, fields.permission, delivery.details);
        bytes32 report = keccak256(bytes.concat(first, second, third));
        return keccak256(
            abi.encode(keccak256(bytes.concat(bytes(ENTRY), bytes(PLACE), bytes(REPORT))), report, delivery.place)
        );
    }
}
