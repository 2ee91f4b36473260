// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {MerkleLog} from "./MerkleLog.sol";
import {SaleHashes} from "./SaleHashes.sol";
import {IAnchorRegistry} from "./interfaces/IAnchorRegistry.sol";
import {IConsentRegistry} from "./interfaces/IConsentRegistry.sol";
import {IDataMarket} from "./interfaces/IDataMarket.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

/// @title DataMarket
contract DataMarket is IDataMarket, EIP712, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// @inheritdoc IDataMarket
    uint64 public constant WINDOW_MAX_S = 366 days;

    /// @inheritdoc IDataMarket
    uint256 public constant PUSH_GAS = 30_000;

    /// @dev What must be left before a push: the call's own price to an account that did not exist, and `PUSH_GAS` of
    /// what the caller may hand on (63 of 64 parts). Whoever settles could otherwise starve the seller's wallet.
    uint256 private constant PUSH_GAS_LEFT = 70_000;

    /// @dev One slot, the only one that an order takes.
    struct Held {
        Status status;
        uint40 paidAt;
        uint40 approvedAt;
        uint40 endedAt;
        uint40 revokedAt;
    }

    /// @dev One slot. While `cancelled` is zero, buying need not look for the offer among those cancelled.
    struct Selling {
        uint64 epoch;
        uint64 cancelled;
    }

    /// @inheritdoc IDataMarket
    IAnchorRegistry public immutable ANCHORS;

    /// @inheritdoc IDataMarket
    IConsentRegistry public immutable CONSENTS;

    mapping(bytes32 order => Held) private _orders;
    mapping(address seller => Selling) private _sellings;
    mapping(address seller => mapping(bytes32 offer => bool)) private _cancelled;
    mapping(address account => mapping(address token => uint256)) private _credits;

    constructor(IAnchorRegistry anchors, IConsentRegistry consents) EIP712("Medtrail", "1") {
        require(address(anchors).code.length != 0, NoContract(address(anchors)));
        require(address(consents).code.length != 0, NoContract(address(consents)));
        ANCHORS = anchors;
        CONSENTS = consents;
    }

    modifier onlyController(address account) {
        _requireController(account);
        _;
    }

    /* A SALE */

    /// @inheritdoc IDataMarket
    function buy(Order calldata order, bytes calldata offerSignature)
        external
        payable
        nonReentrant
        returns (bytes32 orderId)
    {
        orderId = _open(order, offerSignature);
        uint256 expected = order.offer.token == address(0) ? order.offer.price : 0;
        require(msg.value == expected, WrongValue(msg.value, expected));
        if (order.offer.token != address(0)) _take(order.offer.token, order.offer.price);
    }

    /// @inheritdoc IDataMarket
    function buyWithPermit(
        Order calldata order,
        bytes calldata offerSignature,
        uint256 permitDeadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external nonReentrant returns (bytes32 orderId) {
        orderId = _open(order, offerSignature);
        (address token, uint256 price) = (order.offer.token, order.offer.price);
        require(token != address(0), ZeroAddress());
        // Whoever saw it may have carried it before, to make this fail.
        try IERC20Permit(token).permit(msg.sender, address(this), price, permitDeadline, v, r, s) {} catch {}
        _take(token, price);
    }

    /// @inheritdoc IDataMarket
    function approve(Order calldata order) external onlyController(order.offer.seller) {
        (bytes32 orderId, bytes32 offerId) = _idsOf(order);
        Held storage held = _paid(orderId);
        require(held.approvedAt == 0, AlreadyApproved(orderId));
        _requireInTime(orderId, order);
        _requireMaySell(order.offer, offerId);
        held.approvedAt = _nowS();
        emit Approved(orderId, order.offer.seller, order.buyer);
    }

    /// @inheritdoc IDataMarket
    function decline(Order calldata order) external nonReentrant onlyController(order.offer.seller) {
        (bytes32 orderId,) = _idsOf(order);
        _end(_paid(orderId), Status.REFUNDED);
        emit Declined(orderId, order.offer.seller, order.buyer);
        _refund(order);
    }

    /// @inheritdoc IDataMarket
    function settle(
        Order calldata order,
        Delivery calldata delivery,
        IAnchorRegistry.Anchor calldata anchor,
        uint64 index,
        bytes32[] calldata path,
        Approval calldata approval
    ) external nonReentrant {
        (bytes32 orderId, bytes32 offerId) = _idsOf(order);
        Held storage held = _paid(orderId);
        _requireInTime(orderId, order);
        address seller = order.offer.seller;
        address controller = CONSENTS.controllerOf(seller);
        if (held.approvedAt == 0) {
            _requireMaySell(order.offer, offerId);
            _requireApproval(order, orderId, controller, approval);
        }
        bytes32 commitment = SaleHashes.delivery(order.offer, orderId, delivery);
        require(
            ANCHORS.living(order.offer.log, anchor)
                && MerkleLog.verifyInclusion(index, anchor.size, MerkleLog.leaf(commitment), anchor.root, path),
            NotDelivered(orderId, commitment)
        );

        _end(held, Status.SETTLED);
        emit Settled(orderId, seller, order.buyer, delivery.k);
        _pay(seller, controller, order.offer);
    }

    /// @inheritdoc IDataMarket
    function refund(Order calldata order) external nonReentrant {
        (bytes32 orderId, bytes32 offerId) = _idsOf(order);
        Held storage held = _paid(orderId);
        require(
            _hasPassed(_settleUntil(order)) || (held.approvedAt == 0 && !_isOpen(order.offer, offerId)),
            RefundableLater(orderId, _settleUntil(order))
        );
        _end(held, Status.REFUNDED);
        emit Refunded(orderId, order.offer.seller, order.buyer);
        _refund(order);
    }

    /// @inheritdoc IDataMarket
    function revoke(Order calldata order) external onlyController(order.offer.seller) {
        (bytes32 orderId,) = _idsOf(order);
        Held storage held = _orders[orderId];
        require(held.status == Status.SETTLED, OrderNotSettled(orderId, held.status));
        if (held.revokedAt != 0) return;
        held.revokedAt = _nowS();
        emit Revoked(orderId, order.offer.seller, order.buyer);
    }

    /* OFFERS */

    /// @inheritdoc IDataMarket
    function cancelOffer(address seller, bytes32 offer) external onlyController(seller) {
        if (_cancelled[seller][offer]) return;
        _cancelled[seller][offer] = true;
        ++_sellings[seller].cancelled;
        emit OfferCancelled(seller, offer);
    }

    /// @inheritdoc IDataMarket
    function cancelAll(address seller) external onlyController(seller) {
        uint64 epoch = ++_sellings[seller].epoch;
        emit AllCancelled(seller, epoch);
    }

    /* CREDITS */

    /// @inheritdoc IDataMarket
    function withdraw(address account, address token, address to) external nonReentrant onlyController(account) {
        require(to != address(0), ZeroAddress());
        uint256 amount = _credits[account][token];
        require(amount != 0, NothingToWithdraw(account, token));
        _credits[account][token] = 0;
        emit Withdrawn(account, token, to, amount);
        if (token == address(0)) {
            // The owner chose whom to call.
            (bool paid,) = to.call{value: amount}("");
            require(paid, PaymentFailed(to, amount));
        } else {
            IERC20(token).safeTransfer(to, amount);
        }
    }

    /* VIEWS */

    /// @inheritdoc IDataMarket
    function standing(bytes32 order) external view returns (Standing memory) {
        Held memory held = _orders[order];
        return Standing({
            status: held.status,
            paidAt: held.paidAt,
            approvedAt: held.approvedAt,
            endedAt: held.endedAt,
            revokedAt: held.revokedAt
        });
    }

    /// @inheritdoc IDataMarket
    function isOpen(Offer calldata offer) external view returns (bool) {
        return _isOpen(offer, offerIdOf(offer));
    }

    /// @inheritdoc IDataMarket
    function epochOf(address seller) external view returns (uint64) {
        return _sellings[seller].epoch;
    }

    /// @inheritdoc IDataMarket
    function creditOf(address account, address token) external view returns (uint256) {
        return _credits[account][token];
    }

    /// @inheritdoc IDataMarket
    function offerIdOf(Offer calldata offer) public view returns (bytes32) {
        return _hashTypedDataV4(SaleHashes.offer(offer));
    }

    /// @inheritdoc IDataMarket
    function orderIdOf(Order calldata order) external view returns (bytes32 orderId) {
        (orderId,) = _idsOf(order);
    }

    /* INTERNAL */

    function _open(Order calldata order, bytes calldata offerSignature) private returns (bytes32 orderId) {
        Offer calldata offer = order.offer;
        bytes32 offerId;
        (orderId, offerId) = _idsOf(order);
        require(msg.sender == order.buyer, NotBuyer(order.buyer, msg.sender));
        require(_orders[orderId].status == Status.NONE, OrderNotNew(orderId));
        require(!_hasCome(offer.expiresAt), OfferExpired(offer.expiresAt));
        uint256 settleUntil = _settleUntil(order);
        require(
            !_hasCome(order.deliverBy) && settleUntil <= _nowS() + WINDOW_MAX_S,
            WindowOutOfRange(order.deliverBy, order.grace)
        );
        require(_isOpen(offer, offerId), OfferCancelledBefore(offer.seller, offerId));
        _requireOffered(offer.seller, offerId, offerSignature);

        Held storage held = _orders[orderId];
        held.status = Status.PAID;
        held.paidAt = _nowS();
        emit Bought(
            orderId, offer.seller, msg.sender, offerId, order.recipient, order.deliverBy, order.grace, order.salt
        );
    }

    /// @dev What arrives is counted: an order for less than its price would be paid with another's money.
    function _take(address token, uint256 price) private {
        uint256 before = IERC20(token).balanceOf(address(this));
        IERC20(token).safeTransferFrom(msg.sender, address(this), price);
        uint256 arrived = IERC20(token).balanceOf(address(this)) - before;
        require(arrived == price, WrongAmountArrived(arrived, price));
    }

    function _refund(Order calldata order) private {
        _pay(order.buyer, CONSENTS.controllerOf(order.buyer), order.offer);
    }

    /// @dev A seller who cannot be paid, or a buyer, must not hold up the other; a key that lost control gets nothing.
    function _pay(address to, address controller, Offer calldata offer) private {
        (address token, uint256 amount) = (offer.token, offer.price);
        bool paid =
            controller == to && (token == address(0) ? _push(to, amount) : IERC20(token).trySafeTransfer(to, amount));
        if (paid) return;
        // A token that used up its 63 of 64 parts leaves enough for this only if it was given more than a million.
        _credits[to][token] += amount;
        emit Credited(to, token, amount);
    }

    function _push(address to, uint256 amount) private returns (bool paid) {
        require(gasleft() >= PUSH_GAS_LEFT, TooLittleGas(PUSH_GAS_LEFT));
        uint256 gasForCallee = PUSH_GAS;
        // Solidity's own call would copy whatever comes back.
        assembly ("memory-safe") {
            paid := call(gasForCallee, to, amount, 0, 0, 0, 0)
        }
    }

    function _end(Held storage held, Status status) private {
        held.status = status;
        held.endedAt = _nowS();
    }

    function _paid(bytes32 orderId) private view returns (Held storage held) {
        held = _orders[orderId];
        require(held.status == Status.PAID, OrderNotPaid(orderId, held.status));
    }

    function _requireInTime(bytes32 orderId, Order calldata order) private view {
        uint256 settleUntil = _settleUntil(order);
        require(!_hasPassed(settleUntil), TooLate(orderId, settleUntil));
    }

    function _requireMaySell(Offer calldata offer, bytes32 offerId) private view {
        (uint64 frozenUntilS,) = CONSENTS.freezeOf(offer.seller);
        require(frozenUntilS == 0, SellerFrozen(offer.seller, frozenUntilS));
        require(_isOpen(offer, offerId), OfferCancelledBefore(offer.seller, offerId));
    }

    function _requireApproval(Order calldata order, bytes32 orderId, address controller, Approval calldata approval)
        private
        view
    {
        uint256 settleUntil = _settleUntil(order);
        require(approval.expiresAt >= settleUntil, ApprovalTooShort(approval.expiresAt, settleUntil));
        bytes32 digest = _hashTypedDataV4(SaleHashes.approval(order, orderId, approval.expiresAt));
        require(
            _isByKey(controller, digest, approval.signature) || _isByWallet(controller, digest, approval.signature),
            InvalidSignature(controller, digest)
        );
    }

    /// @dev The seller's own key first, so that most buyers do not pay for asking who acts for it.
    function _requireOffered(address seller, bytes32 offerId, bytes calldata signature) private view {
        if (_isByKey(seller, offerId, signature)) return;
        address controller = CONSENTS.controllerOf(seller);
        require(
            (controller != seller && _isByKey(controller, offerId, signature))
                || _isByWallet(controller, offerId, signature),
            InvalidSignature(controller, offerId)
        );
    }

    /// @dev Before ERC-1271: checkers that go by code size refuse the own key of an account that delegates by EIP-7702.
    function _isByKey(address signer, bytes32 digest, bytes calldata signature) private pure returns (bool) {
        (address recovered, ECDSA.RecoverError refusal,) = ECDSA.tryRecoverCalldata(digest, signature);
        return refusal == ECDSA.RecoverError.NoError && recovered == signer;
    }

    function _isByWallet(address signer, bytes32 digest, bytes calldata signature) private view returns (bool) {
        return SignatureChecker.isValidERC1271SignatureNowCalldata(signer, digest, signature);
    }

    function _requireController(address account) private view {
        // The zero address sends no transaction but is the usual sender of an `eth_call`.
        require(
            msg.sender == CONSENTS.controllerOf(account) && msg.sender != address(0), NotController(account, msg.sender)
        );
    }

    function _isOpen(Offer calldata offer, bytes32 offerId) private view returns (bool) {
        Selling storage selling = _sellings[offer.seller];
        return selling.epoch == offer.epoch && (selling.cancelled == 0 || !_cancelled[offer.seller][offerId]);
    }

    function _idsOf(Order calldata order) private view returns (bytes32 orderId, bytes32 offerId) {
        bytes32 offerHash = SaleHashes.offer(order.offer);
        return (_hashTypedDataV4(SaleHashes.order(order, offerHash)), _hashTypedDataV4(offerHash));
    }

    function _settleUntil(Order calldata order) private pure returns (uint256) {
        return uint256(order.deliverBy) + order.grace;
    }

    /// @dev What a block's maker can shift is nothing beside the windows.
    function _hasCome(uint64 timeS) private view returns (bool) {
        // forge-lint: disable-next-line(block-timestamp)
        return block.timestamp >= timeS;
    }

    function _hasPassed(uint256 timeS) private view returns (bool) {
        // forge-lint: disable-next-line(block-timestamp)
        return block.timestamp > timeS;
    }

    /// @dev Good for 34,000 years.
    function _nowS() private view returns (uint40) {
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint40(block.timestamp);
    }
}
