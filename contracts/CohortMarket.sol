// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {MerkleGroup} from "./MerkleGroup.sol";
import {MerkleLog} from "./MerkleLog.sol";
import {SaleHashes} from "./SaleHashes.sol";
import {IAnchorRegistry} from "./interfaces/IAnchorRegistry.sol";
import {ICohortMarket} from "./interfaces/ICohortMarket.sol";
import {IConsentRegistry} from "./interfaces/IConsentRegistry.sol";
import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

/// @title CohortMarket
contract CohortMarket is ICohortMarket, EIP712, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// @inheritdoc ICohortMarket
    uint64 public constant WINDOW_MAX_S = 366 days;

    /// @inheritdoc ICohortMarket
    uint256 public constant PUSH_GAS = 30_000;

    /// @inheritdoc ICohortMarket
    uint256 public constant TOKEN_GAS = 300_000;

    /// @inheritdoc ICohortMarket
    uint256 public constant WALLET_GAS = 200_000;

    /// @dev What must be left before a call: its own price, and what it gives of what the caller may hand on (63 of 64
    /// parts). Whoever settles could otherwise starve a wallet, so that its seller is skipped, or credited.
    uint256 private constant PUSH_GAS_LEFT = 70_000;
    uint256 private constant TOKEN_GAS_LEFT = 320_000;
    uint256 private constant WALLET_GAS_LEFT = 220_000;

    /// @dev One slot. The lock is cut to what fits: whoever could find two keys or files for one would be the log's
    /// operator, who can lie without.
    struct Held {
        uint40 openedAt;
        uint40 settledAt;
        uint32 paid;
        bool isClosed;
        bytes17 lock;
    }

    /// @dev What is the same for all claims of a batch.
    struct Judging {
        bytes32 cohortId;
        bytes32 hashLock;
        uint256 settleUntil;
        /// Of the first settlement, or zero.
        uint40 boundAt;
        /// The second whose standing in the ConsentRegistry counts.
        uint40 asOf;
    }

    /// @inheritdoc ICohortMarket
    IAnchorRegistry public immutable ANCHORS;

    /// @inheritdoc ICohortMarket
    IConsentRegistry public immutable CONSENTS;

    mapping(bytes32 cohort => Held) private _cohorts;
    /// @dev 256 places a word.
    mapping(bytes32 cohort => mapping(uint256 word => uint256)) private _paidPlaces;
    /// @dev The place and one.
    mapping(bytes32 cohort => mapping(address seller => uint256)) private _placesOf;
    mapping(address account => mapping(address token => uint256)) private _credits;

    constructor(IAnchorRegistry anchors, IConsentRegistry consents) EIP712("Medtrail", "1") {
        require(address(anchors).code.length != 0, NoContract(address(anchors)));
        require(address(consents).code.length != 0, NoContract(address(consents)));
        ANCHORS = anchors;
        CONSENTS = consents;
    }

    /* A CALL */

    /// @inheritdoc ICohortMarket
    function open(Cohort calldata cohort) external payable nonReentrant returns (bytes32 cohortId) {
        uint256 price;
        (cohortId, price) = _open(cohort);
        uint256 expected = cohort.token == address(0) ? price : 0;
        require(msg.value == expected, WrongValue(msg.value, expected));
        if (cohort.token != address(0)) _collect(cohort.token, price);
    }

    /// @inheritdoc ICohortMarket
    function openWithPermit(Cohort calldata cohort, uint256 permitDeadline, uint8 v, bytes32 r, bytes32 s)
        external
        nonReentrant
        returns (bytes32 cohortId)
    {
        uint256 price;
        (cohortId, price) = _open(cohort);
        require(cohort.token != address(0), ZeroAddress());
        // Whoever saw it may have carried it before, to make this fail.
        try IERC20Permit(cohort.token).permit(msg.sender, address(this), price, permitDeadline, v, r, s) {} catch {}
        _collect(cohort.token, price);
    }

    /// @inheritdoc ICohortMarket
    function settleMany(Cohort calldata cohort, Batch calldata batch, Claim[] calldata claims)
        external
        nonReentrant
        returns (uint32 paid)
    {
        bytes32 cohortId = cohortIdOf(cohort);
        Held storage held = _opened(cohortId);
        Judging memory judging = _judging(cohort, cohortId, held.settledAt, batch.k);
        bytes17 lock = bytes17(keccak256(abi.encode(judging.hashLock, batch.toVersion)));
        require(judging.boundAt == 0 || held.lock == lock, AnotherLock(cohortId));
        _requireAnchored(cohort.log, cohortId, batch);

        // First all that is kept, then all payments: nobody who is called sees half a batch.
        address[] memory payees = new address[](claims.length);
        uint256 pushed;
        for (uint256 i = 0; i < claims.length; ++i) {
            (bool isTaken, address payee) = _settleOne(cohort, judging, batch, claims[i]);
            if (isTaken) ++paid;
            if (payee != address(0)) payees[pushed++] = payee;
        }
        require(paid != 0, NobodyPaid(cohortId));
        held.paid += paid;
        if (judging.boundAt == 0) (held.settledAt, held.lock) = (judging.asOf, lock);
        emit Settled(cohortId, batch.k, batch.toVersion, paid);
        for (uint256 i = 0; i < pushed; ++i) {
            _pay(payees[i], cohort.token, cohort.price);
        }
    }

    /// @inheritdoc ICohortMarket
    function close(Cohort calldata cohort) external nonReentrant {
        bytes32 cohortId = cohortIdOf(cohort);
        Held storage held = _opened(cohortId);
        uint32 unpaid = cohort.places - held.paid;
        uint256 settleUntil = _settleUntil(cohort);
        require(unpaid == 0 || _hasPassed(settleUntil), ClosableLater(cohortId, settleUntil));
        held.isClosed = true;
        uint256 rest = cohort.price * unpaid;
        emit Closed(cohortId, cohort.buyer, rest);
        if (rest == 0) return;
        if (CONSENTS.controllerOf(cohort.buyer) == cohort.buyer) _pay(cohort.buyer, cohort.token, rest);
        else _credit(cohort.buyer, cohort.token, rest);
    }

    /* CREDITS */

    /// @inheritdoc ICohortMarket
    function withdraw(address account, address token, address to) external nonReentrant {
        // The zero address sends no transaction but is the usual sender of an `eth_call`.
        require(
            msg.sender == CONSENTS.controllerOf(account) && msg.sender != address(0), NotController(account, msg.sender)
        );
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

    /// @inheritdoc ICohortMarket
    function standing(bytes32 cohort) external view returns (Standing memory) {
        Held memory held = _cohorts[cohort];
        Status status = held.openedAt == 0 ? Status.NONE : held.isClosed ? Status.CLOSED : Status.OPEN;
        return Standing({status: status, openedAt: held.openedAt, settledAt: held.settledAt, paid: held.paid});
    }

    /// @inheritdoc ICohortMarket
    function placeOf(bytes32 cohort, address seller) external view returns (bool paid, uint32 place) {
        uint256 held = _placesOf[cohort][seller];
        // forge-lint: disable-next-line(unsafe-typecast)
        return held == 0 ? (false, 0) : (true, uint32(held - 1));
    }

    /// @inheritdoc ICohortMarket
    function isPaid(bytes32 cohort, uint32 place) external view returns (bool) {
        return _isPaid(cohort, place);
    }

    /// @inheritdoc ICohortMarket
    function creditOf(address account, address token) external view returns (uint256) {
        return _credits[account][token];
    }

    /// @inheritdoc ICohortMarket
    function cohortIdOf(Cohort calldata cohort) public view returns (bytes32) {
        return _hashTypedDataV4(SaleHashes.cohort(cohort));
    }

    /// @inheritdoc ICohortMarket
    function acceptanceIdOf(Cohort calldata cohort, uint32 place, address seller, uint64 epoch, uint64 expiresAt)
        external
        view
        returns (bytes32)
    {
        bytes32 cohortId = cohortIdOf(cohort);
        return _hashTypedDataV4(SaleHashes.acceptance(cohort, cohortId, place, seller, epoch, expiresAt));
    }

    /* OPENING */

    function _open(Cohort calldata cohort) private returns (bytes32 cohortId, uint256 price) {
        cohortId = cohortIdOf(cohort);
        require(msg.sender == cohort.buyer, NotBuyer(cohort.buyer, msg.sender));
        Held storage held = _cohorts[cohortId];
        require(held.openedAt == 0, CohortNotNew(cohortId));
        require(cohort.places != 0, NoPlaces());
        require(
            !_hasCome(cohort.deliverBy) && _settleUntil(cohort) <= _nowS() + WINDOW_MAX_S,
            WindowOutOfRange(cohort.deliverBy, cohort.grace)
        );
        // Reverts where it overflows.
        price = cohort.price * cohort.places;
        held.openedAt = _nowS();
        emit Opened(
            cohortId,
            msg.sender,
            cohort.log,
            cohort.token,
            cohort.price,
            cohort.places,
            cohort.recipient,
            cohort.deliverBy,
            cohort.grace,
            cohort.terms,
            cohort.salt
        );
    }

    /// @dev What arrives is counted: a cohort for less than its price would be paid with another's money.
    function _collect(address token, uint256 price) private {
        uint256 before = IERC20(token).balanceOf(address(this));
        IERC20(token).safeTransferFrom(msg.sender, address(this), price);
        uint256 arrived = IERC20(token).balanceOf(address(this)) - before;
        require(arrived == price, WrongAmountArrived(arrived, price));
    }

    /* JUDGING */

    /// @return isTaken whether the seller's place is paid with this
    /// @return payee the seller, if the money is to be pushed
    function _settleOne(Cohort calldata cohort, Judging memory judging, Batch calldata batch, Claim calldata claim)
        private
        returns (bool isTaken, address payee)
    {
        (bytes32 cohortId, address seller, uint32 place) = (judging.cohortId, claim.seller, claim.place);
        address controller = CONSENTS.controllerOf(seller);
        Skip reason = _judge(cohort, judging, batch, claim, controller);
        if (reason != Skip.NONE) {
            emit Skipped(cohortId, seller, place, reason);
            return (false, address(0));
        }
        _paidPlaces[cohortId][place >> 8] |= _bit(place);
        _placesOf[cohortId][seller] = uint256(place) + 1;
        emit Paid(cohortId, seller, place);
        if (controller == seller) return (true, seller);
        // A key that lost control gets nothing.
        _credit(seller, cohort.token, cohort.price);
        return (true, address(0));
    }

    function _opened(bytes32 cohortId) private view returns (Held storage held) {
        held = _cohorts[cohortId];
        require(held.openedAt != 0 && !held.isClosed, CohortNotOpen(cohortId));
    }

    function _judging(Cohort calldata cohort, bytes32 cohortId, uint40 boundAt, bytes32 k)
        private
        view
        returns (Judging memory)
    {
        uint256 settleUntil = _settleUntil(cohort);
        require(!_hasPassed(settleUntil), TooLate(cohortId, settleUntil));
        return Judging({
            cohortId: cohortId,
            hashLock: sha256(abi.encode(k)),
            settleUntil: settleUntil,
            boundAt: boundAt,
            asOf: boundAt == 0 ? _nowS() : boundAt
        });
    }

    function _requireAnchored(bytes32 log, bytes32 cohortId, Batch calldata batch) private view {
        require(
            ANCHORS.living(log, batch.anchor)
                && MerkleGroup.holdsNode(
                    batch.level, batch.position, batch.anchor.size, batch.node, batch.anchor.root, batch.path
                ),
            NotAnchored(cohortId)
        );
    }

    /// @dev What calls a wallet comes last: a claim that fails otherwise burns no gas there.
    function _judge(
        Cohort calldata cohort,
        Judging memory judging,
        Batch calldata batch,
        Claim calldata claim,
        address controller
    ) private view returns (Skip) {
        if (claim.place >= cohort.places) return Skip.NO_SUCH_PLACE;
        if (_placesOf[judging.cohortId][claim.seller] != 0) return Skip.SELLER_PAID;
        if (_isPaid(judging.cohortId, claim.place)) return Skip.PLACE_PAID;
        // At no time, as in the DataMarket: one that ended on the way would show `k` for nothing.
        if (claim.expiresAt < judging.settleUntil) return Skip.EXPIRES_EARLY;
        bytes32 acceptanceId = _hashTypedDataV4(
            SaleHashes.acceptance(cohort, judging.cohortId, claim.place, claim.seller, claim.epoch, claim.expiresAt)
        );
        Skip reason = _standing(judging, claim.seller, claim.epoch, acceptanceId);
        if (reason != Skip.NONE) return reason;
        bytes32 commitment = SaleHashes.delivery(cohort.log, acceptanceId, judging.hashLock, batch, claim);
        if (!_isLogged(batch, claim, commitment)) return Skip.NOT_DELIVERED;
        return _isAccepted(judging.boundAt, claim.seller, controller, acceptanceId, claim.signature)
            ? Skip.NONE
            : Skip.NOT_ACCEPTED;
    }

    /// @dev A freeze tells its past in events only, so that a bound acceptance is not asked for it.
    function _standing(Judging memory judging, address seller, uint64 epoch, bytes32 acceptanceId)
        private
        view
        returns (Skip)
    {
        if (judging.boundAt == 0) {
            (uint64 frozenUntilS,) = CONSENTS.freezeOf(seller);
            if (frozenUntilS != 0) return Skip.FROZEN;
        }
        if (CONSENTS.epochAt(seller, judging.asOf) != epoch) return Skip.ANOTHER_EPOCH;
        (, uint64 revokedAt) = CONSENTS.standing(seller, acceptanceId);
        return revokedAt != 0 && revokedAt <= judging.asOf ? Skip.REVOKED : Skip.NONE;
    }

    function _isLogged(Batch calldata batch, Claim calldata claim, bytes32 commitment) private view returns (bool) {
        return MerkleGroup.holdsLeaf(
            batch.level,
            batch.position,
            batch.anchor.size,
            batch.node,
            claim.index,
            MerkleLog.leaf(commitment),
            claim.path
        );
    }

    /// @dev By who acts for the seller now or, of a bound acceptance, did when it was bound.
    function _isAccepted(uint40 boundAt, address seller, address controller, bytes32 digest, bytes calldata signature)
        private
        view
        returns (bool)
    {
        // Before ERC-1271: checkers that go by code size refuse the own key of an account that delegates by EIP-7702.
        (address recovered, ECDSA.RecoverError refusal,) = ECDSA.tryRecoverCalldata(digest, signature);
        if (refusal == ECDSA.RecoverError.NoError) {
            if (recovered == controller) return true;
            if (boundAt != 0 && CONSENTS.controlledAt(seller, recovered, boundAt)) return true;
        }
        if (_isByWallet(controller, digest, signature)) return true;
        return boundAt != 0 && controller != seller && CONSENTS.controlledAt(seller, seller, boundAt)
            && _isByWallet(seller, digest, signature);
    }

    function _isByWallet(address wallet, bytes32 digest, bytes calldata signature) private view returns (bool accepts) {
        if (wallet.code.length == 0) return false;
        bytes memory data = abi.encodeCall(IERC1271.isValidSignature, (digest, signature));
        bytes32 yes = bytes32(IERC1271.isValidSignature.selector);
        uint256 gasForCallee = WALLET_GAS;
        require(gasleft() >= WALLET_GAS_LEFT, TooLittleGas(WALLET_GAS_LEFT));
        // Solidity's own call would copy whatever comes back.
        assembly ("memory-safe") {
            accepts := staticcall(gasForCallee, wallet, add(data, 0x20), mload(data), 0, 0x20)
            accepts := and(accepts, and(gt(returndatasize(), 0x1f), eq(mload(0), yes)))
        }
    }

    function _isPaid(bytes32 cohortId, uint32 place) private view returns (bool) {
        return _paidPlaces[cohortId][place >> 8] & _bit(place) != 0;
    }

    function _bit(uint32 place) private pure returns (uint256) {
        return uint256(1) << (place & 0xff);
    }

    /* PAYING */

    /// @dev One who cannot be paid must not hold up the others.
    function _pay(address to, address token, uint256 amount) private {
        bool paid = token == address(0) ? _push(to, amount) : _transfer(token, to, amount);
        if (!paid) _credit(to, token, amount);
    }

    function _credit(address to, address token, uint256 amount) private {
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

    /// @dev As `trySafeTransfer`, with an end to what a token may burn of the others' gas.
    function _transfer(address token, address to, uint256 amount) private returns (bool paid) {
        bytes memory data = abi.encodeCall(IERC20.transfer, (to, amount));
        uint256 gasForCallee = TOKEN_GAS;
        require(gasleft() >= TOKEN_GAS_LEFT, TooLittleGas(TOKEN_GAS_LEFT));
        assembly ("memory-safe") {
            paid := call(gasForCallee, token, 0, add(data, 0x20), mload(data), 0, 0x20)
            switch returndatasize()
            case 0 { paid := and(paid, gt(extcodesize(token), 0)) }
            default { paid := and(paid, and(gt(returndatasize(), 0x1f), eq(mload(0), 1))) }
        }
    }

    /* TIME */

    function _settleUntil(Cohort calldata cohort) private pure returns (uint256) {
        return uint256(cohort.deliverBy) + cohort.grace;
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
