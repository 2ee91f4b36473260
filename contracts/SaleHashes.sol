// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {IDataMarket} from "./interfaces/IDataMarket.sol";

/// @title SaleHashes
/// @notice Struct hashes (EIP-712) of the documents of a sale, and of the log's entry that shows a delivery.
library SaleHashes {
    bytes32 private constant OFFER_TYPEHASH = keccak256(
        "Offer(address seller,bytes32 log,address token,uint256 price,uint64 accessS,uint64 expiresAt,uint64 epoch,Terms terms)Terms(string statement,string purpose,bytes32 dataset,bytes32 salt)"
    );
    bytes32 private constant ORDER_TYPEHASH = keccak256(
        "Order(Offer offer,address buyer,bytes32 recipient,uint64 deliverBy,uint64 grace,bytes32 salt)Offer(address seller,bytes32 log,address token,uint256 price,uint64 accessS,uint64 expiresAt,uint64 epoch,Terms terms)Terms(string statement,string purpose,bytes32 dataset,bytes32 salt)"
    );
    bytes32 private constant SALE_APPROVAL_TYPEHASH = keccak256(
        "SaleApproval(bytes32 order,address seller,address buyer,address token,uint256 price,Terms terms,uint64 expiresAt)Terms(string statement,string purpose,bytes32 dataset,bytes32 salt)"
    );
    bytes32 private constant REPORT_TYPEHASH = keccak256(
        "Report(bytes32 log,bytes32 eventId,uint8 kind,uint8 action,uint64 timeMs,bytes32 subject,address actor,bytes32 record,bytes32 fromVersion,bytes32 toVersion,bytes32 permission,bytes32 details)"
    );
    bytes32 private constant ENTRY_TYPEHASH = keccak256(
        "Entry(Report report,Place place)Place(uint64 ordinal,bytes32 previous,uint64 receivedMs,bytes32 salt)Report(bytes32 log,bytes32 eventId,uint8 kind,uint8 action,uint64 timeMs,bytes32 subject,address actor,bytes32 record,bytes32 fromVersion,bytes32 toVersion,bytes32 permission,bytes32 details)"
    );
    uint8 private constant KIND_DELIVERY = 6;
    uint8 private constant ACTION_EXECUTE = 0x45;

    struct Report {
        bytes32 log;
        bytes32 eventId;
        uint8 kind;
        uint8 action;
        uint64 timeMs;
        bytes32 subject;
        address actor;
        bytes32 record;
        bytes32 fromVersion;
        bytes32 toVersion;
        bytes32 permission;
        bytes32 details;
    }

    /// @dev A struct of words is encoded as its members, which is what EIP-712 asks for; `terms` is a hash already.
    function offer(IDataMarket.Offer calldata offer_) internal pure returns (bytes32) {
        return keccak256(abi.encode(OFFER_TYPEHASH, offer_));
    }

    function order(IDataMarket.Order calldata order_, bytes32 offerHash) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                ORDER_TYPEHASH, offerHash, order_.buyer, order_.recipient, order_.deliverBy, order_.grace, order_.salt
            )
        );
    }

    function approval(IDataMarket.Order calldata order_, bytes32 orderId, uint64 expiresAt)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(
            abi.encode(
                SALE_APPROVAL_TYPEHASH,
                orderId,
                order_.offer.seller,
                order_.buyer,
                order_.offer.token,
                order_.offer.price,
                order_.offer.terms,
                expiresAt
            )
        );
    }

    /// @notice Commitment of the entry that says: these data were delivered for this order.
    function delivery(IDataMarket.Offer calldata offer_, bytes32 orderId, IDataMarket.Delivery calldata delivery_)
        internal
        pure
        returns (bytes32)
    {
        Report memory report = Report({
            log: offer_.log,
            eventId: delivery_.eventId,
            kind: KIND_DELIVERY,
            action: ACTION_EXECUTE,
            timeMs: delivery_.timeMs,
            subject: bytes32(uint256(uint160(offer_.seller))),
            actor: delivery_.actor,
            record: orderId,
            fromVersion: sha256(abi.encode(delivery_.k)),
            toVersion: delivery_.toVersion,
            permission: orderId,
            details: delivery_.details
        });
        bytes32 reportHash = keccak256(abi.encode(REPORT_TYPEHASH, report));
        return keccak256(abi.encode(ENTRY_TYPEHASH, reportHash, delivery_.place));
    }
}
