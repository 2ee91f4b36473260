// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {IDataMarket} from "../../../contracts/interfaces/IDataMarket.sol";
import {MarketTest} from "../utils/MarketTest.sol";
import {Recipient} from "../utils/Recipient.sol";
import {StrangeToken} from "../utils/Tokens.sol";
import {Vm} from "forge-std/Test.sol";

/// @notice Anybody buys, approves, declines, delivers, settles, refunds, cancels, freezes, recovers and withdraws, in a
/// coin and two tokens, one of them strange; what was signed or delivered is carried again. A model fed by events says
/// how orders and credits stand.
contract MarketHandler is MarketTest {
    uint256 private constant SELLERS = 3;
    uint256 private constant BUYERS = 2;
    uint256 private constant ORDERS_MAX = 60;

    struct Known {
        IDataMarket.Order order;
        IDataMarket.Standing standing;
        uint64 index;
        bool isDelivered;
        bool isApproved;
        uint8 paidOut;
    }

    /// @dev Someone with a key, who may run code that does not take what comes.
    struct Person {
        address account;
        uint256 key;
    }

    Person[] public sellers;
    Person[] public buyers;
    address[3] public currencies;
    StrangeToken private _strange;
    bytes32[] public ids;
    mapping(bytes32 order => Known) private _known;
    mapping(address account => mapping(address token => uint256)) public credits;
    mapping(address seller => uint64) public epochs;
    mapping(address seller => mapping(bytes32 offer => bool)) public cancelled;
    mapping(address account => bool) private _ours;
    /// @dev All that there is.
    uint256 public coins = BUYERS * 1000 ether;

    constructor() {
        MarketTest.setUp();
        _strange = new StrangeToken();
        currencies = [address(0), address(token), address(_strange)];
        for (uint256 i = 0; i < SELLERS; ++i) {
            (address account, uint256 key) = makeAddrAndKey(string.concat("seller ", vm.toString(i)));
            sellers.push(Person(account, key));
            _ours[account] = true;
        }
        for (uint256 i = 0; i < BUYERS; ++i) {
            (address account, uint256 key) = makeAddrAndKey(string.concat("buyer ", vm.toString(i)));
            buyers.push(Person(account, key));
            vm.deal(account, 1000 ether);
            token.mint(account, 1000 ether);
            _strange.mint(account, 1000 ether);
            vm.startPrank(account);
            token.approve(address(market), type(uint256).max);
            _strange.approve(address(market), type(uint256).max);
            vm.stopPrank();
        }
        // The second seller and the second buyer take no coins.
        vm.etch(sellers[1].account, address(new Recipient()).code);
        Recipient(payable(sellers[1].account)).setWays(Recipient.Ways.REFUSES);
        vm.etch(buyers[1].account, address(new Recipient()).code);
        Recipient(payable(buyers[1].account)).setWays(Recipient.Ways.BURNS_GAS);
        vm.recordLogs();
        vm.getRecordedLogs();
    }

    /* CALLS */

    /// @dev Several at once, or little would ever be sold.
    function buy(uint256 who, uint256 what, uint96 price, uint32 window, uint8 wrong) external {
        for (uint256 i = 0; i <= 1 + wrong / 16 % 4 && ids.length < ORDERS_MAX; ++i) {
            unchecked {
                _buy(who + i, what + i, price, window + uint32(i), i == 0 ? wrong % 16 : 0);
            }
        }
    }

    function approve(uint256 which, uint256 who) external {
        if (ids.length == 0) return;
        (bytes32 orderId, Known storage known) = _pick(which);
        address seller_ = known.order.offer.seller;
        address caller = _actorMostly(seller_, who);
        bool may = caller == consents.controllerOf(seller_) && _isPaid(known) && known.standing.approvedAt == 0
            && block.timestamp <= _until(known) && _isFree(seller_) && _isOpen(known.order.offer);
        vm.prank(caller);
        try market.approve(known.order) {
            assertTrue(may, "approved");
        } catch {
            assertFalse(may, "not approved");
        }
        _readEvents();
        if (may) assertEq(market.standing(orderId).approvedAt, block.timestamp);
    }

    function decline(uint256 which, uint256 who) external {
        if (ids.length == 0 || which % 4 != 0) return;
        (, Known storage known) = _pick(which / 4);
        address caller = _actorMostly(known.order.offer.seller, who);
        bool may = caller == consents.controllerOf(known.order.offer.seller) && _isPaid(known);
        vm.prank(caller);
        try market.decline(known.order) {
            assertTrue(may, "declined");
        } catch {
            assertFalse(may, "nothing stops a decline");
        }
        _readEvents();
    }

    function deliver(uint256 which) public {
        if (ids.length == 0) return;
        (bytes32 orderId, Known storage known) = _pick(which);
        if (known.isDelivered) return;
        known.isDelivered = true;
        known.index = uint64(leaves.length);
        IDataMarket.Delivery memory delivery = _deliveryFor(orderId, known.order);
        leaves.push(keccak256("placeholder"));
        leaves[known.index] = _leaf(commitmentOf(known.order, delivery));
        anchor();
        _dropEvents();
    }

    /// @dev Several at once, with whatever approval: the right one, another order's, another signer's.
    function settle(uint256 which, uint256 what, uint8 signer) external {
        for (uint256 i = 0; i <= 1 + signer / 4 % 4 && i < ids.length; ++i) {
            unchecked {
                _settle(which + i, what + i, i == 0 ? signer : 0);
            }
        }
    }

    function refund(uint256 which) external {
        if (ids.length == 0) return;
        (, Known storage known) = _pick(which);
        bool may = _isPaid(known)
            && (block.timestamp > _until(known) || (known.standing.approvedAt == 0 && !_isOpen(known.order.offer)));
        vm.prank(relay);
        try market.refund(known.order) {
            assertTrue(may, "refunded");
        } catch {
            assertFalse(may, "nothing stops a refund");
        }
        _readEvents();
    }

    function revoke(uint256 which, uint256 who) external {
        if (ids.length == 0) return;
        (, Known storage known) = _pick(which);
        address caller = _actorMostly(known.order.offer.seller, who);
        bool may = caller == consents.controllerOf(known.order.offer.seller)
            && known.standing.status == IDataMarket.Status.SETTLED;
        vm.prank(caller);
        try market.revoke(known.order) {
            assertTrue(may, "revoked");
        } catch {
            assertFalse(may, "nothing stops a revocation");
        }
        _readEvents();
    }

    function cancelOffer(uint256 which, uint256 who) external {
        if (ids.length == 0 || which % 4 != 0) return;
        (, Known storage known) = _pick(which / 4);
        address seller_ = known.order.offer.seller;
        bytes32 offerId = idOf(known.order.offer);
        address caller = _actorMostly(seller_, who);
        bool may = caller == consents.controllerOf(seller_);
        vm.prank(caller);
        try market.cancelOffer(seller_, offerId) {
            assertTrue(may, "cancelled");
        } catch {
            assertFalse(may, "nothing stops a cancellation");
        }
        _readEvents();
    }

    function cancelAll(uint256 which, uint256 who) external {
        if (which % 4 != 0) return;
        address seller_ = sellers[which / 4 % SELLERS].account;
        address caller = _actorMostly(seller_, who);
        bool may = caller == consents.controllerOf(seller_);
        vm.prank(caller);
        try market.cancelAll(seller_) {
            assertTrue(may, "cancelled all");
        } catch {
            assertFalse(may, "nothing stops a cancellation");
        }
        _readEvents();
    }

    function withdraw(uint256 which, uint256 what, uint256 who) external {
        address account = which % 2 == 0 ? sellers[which / 2 % SELLERS].account : buyers[which / 2 % BUYERS].account;
        address currency = currencies[what % 3];
        address caller = _actorMostly(account, who);
        uint256 waiting = credits[account][currency];
        address to = makeAddr("purse");
        vm.prank(caller);
        try market.withdraw(account, currency, to) {
            assertEq(caller, consents.controllerOf(account), "withdrawn by another");
            assertGt(waiting, 0, "withdrawn from nothing");
        } catch {
            _dropEvents();
        }
        _readEvents();
    }

    function freeze(uint256 which) external {
        if (which % 8 != 0) return;
        address seller_ = sellers[which / 8 % SELLERS].account;
        address controller = consents.controllerOf(seller_);
        vm.startPrank(controller);
        try consents.freeze(seller_, "") {}
        catch {
            try consents.unfreeze(seller_, "") {} catch {}
        }
        vm.stopPrank();
        _dropEvents();
    }

    function recover(uint256 which) external {
        if (
            which % 32 != 0
                || sellers[which / 32 % SELLERS].account != consents.controllerOf(sellers[which / 32 % SELLERS].account)
        ) {
            return;
        }
        seller = sellers[which / 32 % SELLERS].account;
        moveControl();
        _dropEvents();
    }

    function changeToken(uint8 ways) external {
        StrangeToken.Ways[4] memory some = [
            StrangeToken.Ways.PLAIN,
            StrangeToken.Ways.RETURNS_NOTHING,
            StrangeToken.Ways.RETURNS_FALSE,
            StrangeToken.Ways.PAUSED_OUT
        ];
        _strange.setWays(some[ways % 4]);
    }

    function wait(uint32 waitS) external {
        skip(waitS % 12 hours);
    }

    /* MODEL */

    function tally(IDataMarket.Status status) external view returns (uint256 sum) {
        for (uint256 i = 0; i < ids.length; ++i) {
            if (_known[ids[i]].standing.status == status) ++sum;
        }
    }

    function count() external view returns (uint256) {
        return ids.length;
    }

    function marketOf() external view returns (IDataMarket) {
        return market;
    }

    function standingOf(bytes32 orderId) external view returns (IDataMarket.Standing memory) {
        return _known[orderId].standing;
    }

    function orderAt(uint256 place) external view returns (IDataMarket.Order memory) {
        return _known[ids[place]].order;
    }

    function paidOutOf(bytes32 orderId) external view returns (uint8) {
        return _known[orderId].paidOut;
    }

    function accountAt(uint256 place) external view returns (address) {
        return place < SELLERS ? sellers[place].account : buyers[place - SELLERS].account;
    }

    /// @dev What the market must hold: all that is open, and all that is credited.
    function owed(address currency) external view returns (uint256 sum) {
        for (uint256 i = 0; i < ids.length; ++i) {
            Known storage known = _known[ids[i]];
            if (_isPaid(known) && known.order.offer.token == currency) sum += known.order.offer.price;
        }
        for (uint256 i = 0; i < SELLERS; ++i) {
            sum += credits[sellers[i].account][currency];
        }
        for (uint256 i = 0; i < BUYERS; ++i) {
            sum += credits[buyers[i].account][currency];
        }
    }

    function held(address currency) external view returns (uint256) {
        return currency == address(0) ? address(market).balance : StrangeToken(currency).balanceOf(address(market));
    }

    /// @dev Those of a call that failed are recorded too.
    function _dropEvents() private {
        vm.getRecordedLogs();
    }

    /// @dev Applies what the market emitted, and nothing else.
    function _readEvents() private {
        Vm.Log[] memory emitted = vm.getRecordedLogs();
        for (uint256 i = 0; i < emitted.length; ++i) {
            // A token's.
            if (emitted[i].emitter != address(market)) continue;
            _apply(emitted[i].topics, emitted[i].data);
        }
    }

    function _apply(bytes32[] memory topics, bytes memory data) private {
        bytes32 kind = topics[0];
        IDataMarket.Standing storage standing = _known[topics[1]].standing;
        uint64 nowS = uint64(block.timestamp);
        if (kind == IDataMarket.Bought.selector) {
            assertEq(uint8(standing.status), uint8(IDataMarket.Status.NONE), "bought twice");
            standing.status = IDataMarket.Status.PAID;
            standing.paidAt = nowS;
        } else if (kind == IDataMarket.Approved.selector) {
            assertEq(uint8(standing.status), uint8(IDataMarket.Status.PAID), "approved what is not paid");
            standing.approvedAt = nowS;
        } else if (
            kind == IDataMarket.Settled.selector || kind == IDataMarket.Refunded.selector
                || kind == IDataMarket.Declined.selector
        ) {
            assertEq(uint8(standing.status), uint8(IDataMarket.Status.PAID), "ended what is not paid");
            standing.status =
                kind == IDataMarket.Settled.selector ? IDataMarket.Status.SETTLED : IDataMarket.Status.REFUNDED;
            standing.endedAt = nowS;
            ++_known[topics[1]].paidOut;
        } else if (kind == IDataMarket.Revoked.selector) {
            assertEq(uint8(standing.status), uint8(IDataMarket.Status.SETTLED), "revoked what is not settled");
            assertEq(standing.revokedAt, 0, "revoked twice");
            standing.revokedAt = nowS;
        } else if (kind == IDataMarket.OfferCancelled.selector) {
            cancelled[_address(topics[1])][topics[2]] = true;
        } else if (kind == IDataMarket.AllCancelled.selector) {
            assertEq(uint256(topics[2]), epochs[_address(topics[1])] + 1, "an epoch was skipped");
            ++epochs[_address(topics[1])];
        } else if (kind == IDataMarket.Credited.selector) {
            credits[_address(topics[1])][_address(topics[2])] += abi.decode(data, (uint256));
        } else if (kind == IDataMarket.Withdrawn.selector) {
            assertEq(credits[_address(topics[1])][_address(topics[2])], abi.decode(data, (uint256)), "all of it");
            credits[_address(topics[1])][_address(topics[2])] = 0;
        } else {
            assertTrue(false, "an event that the model does not know");
        }
    }

    /* INTERNAL */

    function _buy(uint256 who, uint256 what, uint96 price, uint32 window, uint8 wrong) private {
        IDataMarket.Order memory order = _newOrder(who, what, price, window);
        Person memory from = sellers[who % SELLERS];
        bytes memory signature = signed(wrong == 1 ? buyers[0].key : _keyFor(from), idOf(order.offer));
        uint256 value = order.offer.token == address(0) ? order.offer.price : 0;
        if (wrong == 2) ++value;
        vm.deal(order.buyer, order.buyer.balance + value);
        coins += value;
        bool may = (wrong == 0 || wrong > 3) && _isOpen(order.offer)
            && (order.offer.token != address(_strange) || _strange.ways() != StrangeToken.Ways.RETURNS_FALSE);
        vm.prank(wrong == 3 ? stranger : order.buyer);
        try market.buy{value: wrong == 3 ? 0 : value}(order, signature) returns (bytes32 orderId) {
            assertTrue(may, "bought with something wrong");
            assertEq(orderId, idOf(order));
            _known[orderId].order = order;
            ids.push(orderId);
        } catch {
            assertFalse(may, "not bought");
            _dropEvents();
        }
        _readEvents();
    }

    function _settle(uint256 which, uint256 what, uint8 signer) private {
        // Mostly delivered.
        if (what % 8 != 0) deliver(which);
        if (newest.number == 0) return;
        (bytes32 orderId, Known storage known) = _pick(which);
        IDataMarket.Order memory order = known.order;
        address seller_ = order.offer.seller;
        bytes32 approvedId = what % 4 == 1 ? ids[what / 4 % ids.length] : orderId;
        uint256 key = signer % 4 == 1 ? buyers[0].key : signer % 4 == 2 ? sellers[0].key : _keyOf(seller_);
        IDataMarket.Approval memory approval = approvalOf(key, _known[approvedId].order, order.deliverBy + order.grace);
        bool isSigned = approvedId == orderId && vm.addr(key) == consents.controllerOf(seller_);
        bool may = _isPaid(known) && known.isDelivered && block.timestamp <= _until(known)
            && (known.standing.approvedAt != 0 || (isSigned && _isFree(seller_) && _isOpen(order.offer)));
        uint64 index = known.isDelivered ? known.index : uint64(what % newest.size);
        IDataMarket.Delivery memory delivery = _deliveryFor(orderId, order);
        bytes32[] memory path = pathTo(index);
        vm.prank(relay);
        try market.settle(order, delivery, newest, index, path, approval) {
            assertTrue(may, "settled");
        } catch {
            assertFalse(may, "not settled");
        }
        _readEvents();
    }

    function _newOrder(uint256 who, uint256 what, uint96 price, uint32 window)
        private
        view
        returns (IDataMarket.Order memory)
    {
        address seller_ = sellers[who % SELLERS].account;
        return IDataMarket.Order({
            offer: IDataMarket.Offer({
                seller: seller_,
                log: logId,
                token: currencies[what % 3],
                price: price % 1 ether,
                accessS: uint64(window % 5),
                expiresAt: uint64(block.timestamp + 1 + window % 5 days),
                epoch: what % 7 == 0 ? epochs[seller_] + 1 : epochs[seller_],
                // Few, so that several orders share an offer's fate.
                terms: bytes32(what % 2)
            }),
            buyer: buyers[who / SELLERS % BUYERS].account,
            recipient: keccak256("recipient"),
            deliverBy: uint64(block.timestamp + 1 + window % 3 days),
            grace: window / 7 % 2 days,
            salt: bytes32(ids.length)
        });
    }

    function _deliveryFor(bytes32 orderId, IDataMarket.Order memory order)
        private
        view
        returns (IDataMarket.Delivery memory delivery)
    {
        delivery = deliveryOf(order);
        (delivery.k, delivery.timeMs) = (keccak256(abi.encode(orderId)), 7);
    }

    function _leaf(bytes32 commitment) private pure returns (bytes32) {
        return sha256(bytes.concat(bytes1(0x00), commitment));
    }

    function _pick(uint256 which) private view returns (bytes32 orderId, Known storage known) {
        orderId = ids[which % ids.length];
        known = _known[orderId];
    }

    function _isPaid(Known storage known) private view returns (bool) {
        return known.standing.status == IDataMarket.Status.PAID;
    }

    function _until(Known storage known) private view returns (uint256) {
        return uint256(known.order.deliverBy) + known.order.grace;
    }

    function _isFree(address seller_) private view returns (bool) {
        (uint64 frozenUntilS,) = consents.freezeOf(seller_);
        return frozenUntilS == 0;
    }

    function _isOpen(IDataMarket.Offer memory offer) private view returns (bool) {
        return offer.epoch == epochs[offer.seller] && !cancelled[offer.seller][idOf(offer)];
    }

    /// @dev Mostly who acts for it, or little would ever happen.
    function _actorMostly(address account, uint256 who) private view returns (address) {
        if (who % 8 == 1) return account;
        if (who % 8 == 2) return buyers[who / 8 % BUYERS].account;
        if (who % 8 == 3) return stranger;
        return consents.controllerOf(account);
    }

    function _keyFor(Person memory person) private view returns (uint256) {
        return consents.controllerOf(person.account) == person.account ? person.key : nextKey;
    }

    function _keyOf(address seller_) private view returns (uint256) {
        for (uint256 i = 0; i < SELLERS; ++i) {
            if (sellers[i].account == seller_) return _keyFor(sellers[i]);
        }
        revert("no seller");
    }

    function _address(bytes32 topic) private pure returns (address) {
        return address(uint160(uint256(topic)));
    }
}
