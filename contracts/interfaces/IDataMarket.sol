// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {IAnchorRegistry} from "./IAnchorRegistry.sol";
import {IConsentRegistry} from "./IConsentRegistry.sol";

/// @title IDataMarket
/// @notice Where a buyer's money waits until a log shows that the data were delivered, and goes to the seller, or back.
/// @dev Nobody owns this contract, nobody can pause or change it, and it takes no fee.
/// It is the `verifyingContract` (EIP-712, name "Medtrail", version "1") of Offer, Order and SaleApproval:
/// `Terms(string statement,string purpose,bytes32 dataset,bytes32 salt)`,
/// `Offer(address seller,bytes32 log,address token,uint256 price,uint64 accessS,uint64 expiresAt,uint64 epoch,Terms terms)`,
/// `Order(Offer offer,address buyer,bytes32 recipient,uint64 deliverBy,uint64 grace,bytes32 salt)`,
/// `SaleApproval(bytes32 order,address seller,address buyer,address token,uint256 price,Terms terms,uint64 expiresAt)`.
/// A document's id is its digest. Of Terms this contract sees the struct hash only.
/// Who acts for a seller is the ConsentRegistry's `controllerOf(seller)`; a freeze there stops approving here, by
/// transaction and by a signature that waits to be carried. Nothing stops declining, cancelling and revoking.
/// Money goes to the seller or back to the buyer. It waits for `withdraw` where it cannot be paid out, and where control
/// of the one to be paid has moved: its old key gets nothing.
/// Warning: a settled order shows that the log says the data were delivered and that `k` opens its hash lock. It does not
/// show that the file holds what was promised, or that the seller sold it once. Buy from logs you would trust with that.
/// Warning: that an offer can be bought binds nobody. It may be signed by a key that lost control of the seller, or by a
/// frozen seller: ask `controllerOf` and `freezeOf` before paying. Only an approval sells, and the money comes back.
/// Warning: `settle` shows `k` to everybody who sees the transaction, also where it then fails. What can make it fail
/// meanwhile is the seller's: a decline, a cancellation, a freeze, a wallet that takes its word back. An order
/// approved by transaction is stopped by a decline alone.
/// Warning: tokens whose balances move by themselves, and those that can be paused or upgraded, keep their power here. A
/// token can harm those who trade in it, nobody else.
interface IDataMarket {
    /// @notice What a seller offers to anybody.
    /// @param seller whose data, and who is paid; it may be a fresh address
    /// @param log whose entry shows the delivery
    /// @param token ERC-20, or zero for the chain's own coin
    /// @param accessS how long a settled order permits to read, in seconds from its block; zero for one delivery
    /// @param expiresAt in seconds; it can be bought before this time
    /// @param epoch of the seller in this contract
    /// @param terms struct hash of the Terms
    struct Offer {
        address seller;
        bytes32 log;
        address token;
        uint256 price;
        uint64 accessS;
        uint64 expiresAt;
        uint64 epoch;
        bytes32 terms;
    }

    /// @notice One purchase.
    /// @param recipient whom the data are encrypted to
    /// @param deliverBy in seconds
    /// @param grace seconds after `deliverBy` in which it can still be settled
    struct Order {
        Offer offer;
        address buyer;
        bytes32 recipient;
        uint64 deliverBy;
        uint64 grace;
        bytes32 salt;
    }

    /// @notice What of the delivery's entry does not follow from the order.
    /// @dev The rest: the offer's log, kind 6, action E, the seller as subject, the order as record and permission,
    /// SHA-256(k) as fromVersion.
    /// @param k the key of the hash lock
    /// @param toVersion SHA-256 of the file that `k` opens
    /// @param place struct hash of the entry's Place
    struct Delivery {
        bytes32 k;
        bytes32 eventId;
        uint64 timeMs;
        address actor;
        bytes32 toVersion;
        bytes32 details;
        bytes32 place;
    }

    /// @notice A SaleApproval, as far as it does not follow from the order. Ignored for one that is approved.
    struct Approval {
        uint64 expiresAt;
        bytes signature;
    }

    enum Status {
        NONE,
        PAID,
        SETTLED,
        REFUNDED
    }

    /// @notice How an order stands. Times are block timestamps in seconds, zero for never.
    /// @param approvedAt of the approval by transaction
    /// @param endedAt when it was settled or refunded; of a settled order, when access begins
    /// @param revokedAt when access ended before its time
    struct Standing {
        Status status;
        uint64 paidAt;
        uint64 approvedAt;
        uint64 endedAt;
        uint64 revokedAt;
    }

    /// @notice With the offer, all that the order is made of: whoever pays and forgets is still delivered to, or refunded.
    event Bought(
        bytes32 indexed order,
        address indexed seller,
        address indexed buyer,
        bytes32 offer,
        bytes32 recipient,
        uint64 deliverBy,
        uint64 grace,
        bytes32 salt
    );
    event Approved(bytes32 indexed order, address indexed seller, address indexed buyer);
    /// @notice Refused by the seller; the money went back.
    event Declined(bytes32 indexed order, address indexed seller, address indexed buyer);
    event Settled(bytes32 indexed order, address indexed seller, address indexed buyer, bytes32 k);
    event Refunded(bytes32 indexed order, address indexed seller, address indexed buyer);
    event Revoked(bytes32 indexed order, address indexed seller, address indexed buyer);
    event OfferCancelled(address indexed seller, bytes32 indexed offer);
    /// @notice Every offer of an earlier epoch is dead.
    event AllCancelled(address indexed seller, uint64 indexed epoch);
    /// @notice Could not be paid out, and waits for `withdraw`.
    event Credited(address indexed account, address indexed token, uint256 amount);
    event Withdrawn(address indexed account, address indexed token, address indexed to, uint256 amount);

    error ZeroAddress();
    error NoContract(address account);
    error NotBuyer(address buyer, address caller);
    error NotController(address account, address caller);
    /// @notice Nobody who acts for `signer` signed `digest`.
    error InvalidSignature(address signer, bytes32 digest);
    error OrderNotNew(bytes32 order);
    error OrderNotPaid(bytes32 order, Status status);
    error OrderNotSettled(bytes32 order, Status status);
    error AlreadyApproved(bytes32 order);
    error OfferExpired(uint64 expiresAt);
    /// @notice The offer was cancelled, or names another epoch than the seller's current one.
    error OfferCancelledBefore(address seller, bytes32 offer);
    /// @notice `deliverBy` has come, or `deliverBy + grace` lies further ahead than `WINDOW_MAX_S`.
    error WindowOutOfRange(uint64 deliverBy, uint64 grace);
    error WrongValue(uint256 value, uint256 expected);
    /// @notice Another amount arrived than the price: the token takes a fee.
    error WrongAmountArrived(uint256 amount, uint256 price);
    error SellerFrozen(address seller, uint64 frozenUntilS);
    error TooLate(bytes32 order, uint256 settleUntil);
    error RefundableLater(bytes32 order, uint256 settleUntil);
    /// @notice It must be good for as long as the order can be settled.
    error ApprovalTooShort(uint64 expiresAt, uint256 settleUntil);
    /// @notice The log's anchor does not hold this entry there, or it does not live any more.
    error NotDelivered(bytes32 order, bytes32 commitment);
    error TooLittleGas(uint256 needed);
    error NothingToWithdraw(address account, address token);
    error PaymentFailed(address to, uint256 amount);

    /// @notice Furthest that an order's last second may lie ahead when it is bought.
    /// @dev A deadline in milliseconds would otherwise lock the money for ever.
    function WINDOW_MAX_S() external view returns (uint64);

    /// @notice Gas that a payment in the chain's own coin gives the one paid.
    function PUSH_GAS() external view returns (uint256);

    /// @notice Where logs are anchored.
    function ANCHORS() external view returns (IAnchorRegistry);

    /// @notice Who says who acts for whom, and who is frozen.
    function CONSENTS() external view returns (IConsentRegistry);

    /// @notice Pays for an order: the price in the chain's own coin, or in a token by allowance. Only its buyer.
    /// @param offerSignature over the Offer by the seller's key, else by who acts for the seller: ECDSA (65 bytes, low s), else ERC-1271
    /// @return orderId
    function buy(Order calldata order, bytes calldata offerSignature) external payable returns (bytes32 orderId);

    /// @notice As `buy`, with the buyer's ERC-2612 permit of the price.
    /// @dev A permit that somebody carried before is no obstacle: the allowance is what counts.
    function buyWithPermit(
        Order calldata order,
        bytes calldata offerSignature,
        uint256 permitDeadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external returns (bytes32 orderId);

    /// @notice Agrees to a paid order. Only who acts for the seller, and not while frozen.
    /// @dev Cannot be taken back; what ends it is `decline`.
    function approve(Order calldata order) external;

    /// @notice Refuses a paid order, approved or not, and gives the money back. Only who acts for the seller.
    function decline(Order calldata order) external;

    /// @notice Pays the seller for a delivery that a log shows, until `deliverBy + grace`. Anybody.
    /// @param anchor one of the newest 64 of the offer's log
    /// @param index of the delivery's entry
    /// @param path RFC 9162 inclusion proof
    /// @param approval what the seller signed; ignored if the order was approved by transaction
    function settle(
        Order calldata order,
        Delivery calldata delivery,
        IAnchorRegistry.Anchor calldata anchor,
        uint64 index,
        bytes32[] calldata path,
        Approval calldata approval
    ) external;

    /// @notice Gives the money back after `deliverBy + grace`; at once if the order was not approved and its offer is
    /// cancelled, since it can never be settled then. Anybody.
    function refund(Order calldata order) external;

    /// @notice Ends what a settled order permits to read. Only who acts for the seller.
    /// @dev A second time changes nothing and does not revert. Revoking the order's id in the ConsentRegistry ends it too.
    function revoke(Order calldata order) external;

    /// @notice Ends an offer, also one that was never seen, and its paid orders that are not approved. Only who acts for the seller.
    /// @dev A second time changes nothing and does not revert.
    function cancelOffer(address seller, bytes32 offer) external;

    /// @notice Ends all offers of the current epoch, as `cancelOffer`, by starting the next. Only who acts for the seller.
    function cancelAll(address seller) external;

    /// @notice Takes out all that is credited to an account. Only who acts for it.
    function withdraw(address account, address token, address to) external;

    function standing(bytes32 order) external view returns (Standing memory);

    /// @notice Whether an order of this offer can still be bought or approved, its expiry aside.
    function isOpen(Offer calldata offer) external view returns (bool);

    /// @notice The seller's current epoch, which a new offer names. The first is 0.
    function epochOf(address seller) external view returns (uint64);

    /// @notice What waits to be withdrawn.
    function creditOf(address account, address token) external view returns (uint256);

    function offerIdOf(Offer calldata offer) external view returns (bytes32);

    function orderIdOf(Order calldata order) external view returns (bytes32);
}
