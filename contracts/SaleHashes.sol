// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {ICohortMarket} from "./interfaces/ICohortMarket.sol";
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
    bytes32 private constant COHORT_TYPEHASH = keccak256(
        "Cohort(address buyer,bytes32 log,address token,uint256 price,uint32 places,bytes32 recipient,uint64 deliverBy,uint64 grace,Terms terms,bytes32 salt)Terms(string statement,string purpose,bytes32 dataset,bytes32 salt)"
    );
    bytes32 private constant COHORT_ACCEPTANCE_TYPEHASH = keccak256(
        "CohortAcceptance(bytes32 cohort,uint32 place,address seller,address token,uint256 price,Terms terms,uint64 epoch,uint64 expiresAt)Terms(string statement,string purpose,bytes32 dataset,bytes32 salt)"
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

    function cohort(ICohortMarket.Cohort calldata cohort_) internal pure returns (bytes32) {
        return keccak256(abi.encode(COHORT_TYPEHASH, cohort_));
    }

    function acceptance(
        ICohortMarket.Cohort calldata cohort_,
        bytes32 cohortId,
        uint32 place,
        address seller,
        uint64 epoch,
        uint64 expiresAt
    ) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                COHORT_ACCEPTANCE_TYPEHASH,
                cohortId,
                place,
                seller,
                cohort_.token,
                cohort_.price,
                cohort_.terms,
                epoch,
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
        return _entry(report, delivery_.place);
    }

    /// @notice Commitment of the entry that says: this seller's data were delivered, in the file of the whole cohort.
    /// @param lock SHA-256(k)
    function delivery(
        bytes32 log,
        bytes32 acceptanceId,
        bytes32 lock,
        ICohortMarket.Batch calldata batch,
        ICohortMarket.Claim calldata claim
    ) internal pure returns (bytes32) {
        Report memory report = Report({
            log: log,
            eventId: claim.eventId,
            kind: KIND_DELIVERY,
            action: ACTION_EXECUTE,
            timeMs: claim.timeMs,
            subject: bytes32(uint256(uint160(claim.seller))),
            actor: batch.actor,
            record: acceptanceId,
            fromVersion: lock,
            toVersion: batch.toVersion,
            permission: acceptanceId,
            details: claim.details
        });
        return _entry(report, claim.entryPlace);
    }

    function _entry(Report memory report, bytes32 place) private pure returns (bytes32) {
        bytes32 reportHash = keccak256(abi.encode(REPORT_TYPEHASH, report));
        return keccak256(abi.encode(ENTRY_TYPEHASH, reportHash, place));
    }
}
