// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {AnchorRegistry} from "../../../contracts/AnchorRegistry.sol";
import {ConsentRegistry} from "../../../contracts/ConsentRegistry.sol";
import {DataMarket} from "../../../contracts/DataMarket.sol";
import {IAnchorRegistry} from "../../../contracts/interfaces/IAnchorRegistry.sol";
import {IControl} from "../../../contracts/interfaces/IControl.sol";
import {IDataMarket} from "../../../contracts/interfaces/IDataMarket.sol";
import {Documents} from "./Documents.sol";
import {ReferenceLog} from "./ReferenceLog.sol";
import {SaleDocuments} from "./SaleDocuments.sol";
import {PlainToken} from "./Tokens.sol";
import {Test} from "forge-std/Test.sol";

/// @notice A market, a log, a seller with a key and two trustees, a buyer with money, and an order between them.
abstract contract MarketTest is Test {
    uint64 internal constant START_S = 1_800_000_000;
    uint64 internal constant DELIVER_BY = START_S + 2 days;
    uint64 internal constant GRACE = 1 days;
    uint64 internal constant SETTLE_UNTIL = DELIVER_BY + GRACE;
    uint256 internal constant PRICE = 0.05 ether;
    bytes32 internal constant K = keccak256("the key of the hash lock");
    bytes internal constant NO_SIGNATURE = "";

    AnchorRegistry internal anchors;
    ConsentRegistry internal consents;
    DataMarket internal market;
    PlainToken internal token;
    bytes32 internal logId;
    address internal operator = makeAddr("operator");
    address internal seller;
    uint256 internal sellerKey;
    address internal buyer;
    uint256 internal buyerKey;
    address internal stranger;
    uint256 internal strangerKey;
    address internal next;
    uint256 internal nextKey;
    address internal relay = makeAddr("relay");
    address[2] internal trustees;
    uint256[2] internal trusteeKeys;

    /// @dev Leaf hashes of the log, and its newest anchor.
    bytes32[] internal leaves;
    IAnchorRegistry.Anchor internal newest;

    function setUp() public virtual {
        vm.warp(START_S);
        anchors = new AnchorRegistry();
        consents = new ConsentRegistry();
        market = new DataMarket(anchors, consents);
        token = new PlainToken();
        (seller, sellerKey) = makeAddrAndKey("seller");
        (buyer, buyerKey) = makeAddrAndKey("buyer");
        (stranger, strangerKey) = makeAddrAndKey("stranger");
        (next, nextKey) = makeAddrAndKey("next controller");
        for (uint256 i = 0; i < 2; ++i) {
            (trustees[i], trusteeKeys[i]) = makeAddrAndKey(string.concat("trustee ", vm.toString(i)));
        }
        if (trustees[0] > trustees[1]) {
            (trustees[0], trustees[1]) = (trustees[1], trustees[0]);
            (trusteeKeys[0], trusteeKeys[1]) = (trusteeKeys[1], trusteeKeys[0]);
        }
        vm.deal(buyer, 100 ether);
        token.mint(buyer, 100 ether);
        vm.prank(buyer);
        token.approve(address(market), type(uint256).max);
        vm.prank(operator);
        logId = anchors.open("log.example.org/people", makeAddr("cold key"), keccak256("note key"), 1200);
        for (uint256 i = 0; i < 3; ++i) {
            leaves.push(ReferenceLog.leaf(keccak256(abi.encode("another entry", i))));
        }
    }

    /* DOCUMENTS */

    function offerOf(address token_) internal view returns (IDataMarket.Offer memory) {
        return IDataMarket.Offer({
            seller: seller,
            log: logId,
            token: token_,
            price: PRICE,
            accessS: 30 days,
            expiresAt: START_S + 90 days,
            epoch: market.epochOf(seller),
            terms: SaleDocuments.terms("I sell 90 days of glucose.", "HRESCH", keccak256("dataset"), keccak256("salt"))
        });
    }

    /// @dev In the chain's own coin.
    function orderOf() internal view returns (IDataMarket.Order memory) {
        return orderOf(address(0));
    }

    function orderOf(address token_) internal view returns (IDataMarket.Order memory) {
        return IDataMarket.Order({
            offer: offerOf(token_),
            buyer: buyer,
            recipient: keccak256("age recipient"),
            deliverBy: DELIVER_BY,
            grace: GRACE,
            salt: keccak256("order salt")
        });
    }

    /// @dev Not the market's own: a test that signs what the contract says would not see a wrong domain.
    function digestOf(bytes32 structHash) internal view returns (bytes32) {
        return Documents.digest(Documents.separator(block.chainid, address(market)), structHash);
    }

    function idOf(IDataMarket.Offer memory offer) internal view returns (bytes32) {
        return digestOf(SaleDocuments.offer(offer));
    }

    function idOf(IDataMarket.Order memory order) internal view returns (bytes32) {
        return digestOf(SaleDocuments.order(order));
    }

    function signed(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    function approvalOf(uint256 key, IDataMarket.Order memory order)
        internal
        view
        returns (IDataMarket.Approval memory)
    {
        return approvalOf(key, order, SETTLE_UNTIL);
    }

    function approvalOf(uint256 key, IDataMarket.Order memory order, uint64 expiresAt)
        internal
        view
        returns (IDataMarket.Approval memory)
    {
        bytes32 digest = digestOf(SaleDocuments.saleApproval(order, idOf(order), expiresAt));
        return IDataMarket.Approval({expiresAt: expiresAt, signature: signed(key, digest)});
    }

    function noApproval() internal pure returns (IDataMarket.Approval memory) {
        return IDataMarket.Approval({expiresAt: 0, signature: NO_SIGNATURE});
    }

    /* THE LOG */

    function deliveryOf(IDataMarket.Order memory order) internal view returns (IDataMarket.Delivery memory) {
        return IDataMarket.Delivery({
            k: K,
            eventId: keccak256(abi.encode("event", order.salt)),
            timeMs: uint64(block.timestamp) * 1000,
            actor: operator,
            toVersion: keccak256("outer file"),
            details: keccak256("details"),
            place: keccak256("place")
        });
    }

    function commitmentOf(IDataMarket.Order memory order, IDataMarket.Delivery memory delivery)
        internal
        view
        returns (bytes32)
    {
        return SaleDocuments.commitment(SaleDocuments.fieldsOf(order, idOf(order), delivery.k), delivery);
    }

    /// @dev An entry, one behind it, and an anchor over both.
    function logged(bytes32 commitment) internal returns (uint64 index) {
        index = uint64(leaves.length);
        leaves.push(ReferenceLog.leaf(commitment));
        leaves.push(ReferenceLog.leaf(keccak256(abi.encode("behind", index))));
        anchor();
    }

    function anchor() internal {
        bytes32[] memory held = leaves;
        bytes32 root = ReferenceLog.root(held, 0, held.length, ReferenceLog.node);
        bytes32[] memory proof = newest.number == 0
            ? new bytes32[](0)
            : ReferenceLog.consistency(held, newest.size, 0, held.length, true, ReferenceLog.node);
        vm.prank(operator);
        uint64 number = anchors.anchor(logId, newest, uint64(held.length), root, proof);
        newest = IAnchorRegistry.Anchor({
            number: number, size: uint64(held.length), root: root, timeS: uint64(block.timestamp)
        });
    }

    function pathTo(uint64 index) internal view returns (bytes32[] memory) {
        bytes32[] memory held = leaves;
        return ReferenceLog.inclusion(held, index, 0, newest.size, ReferenceLog.node);
    }

    /* STEPS */

    function buy(IDataMarket.Order memory order) internal returns (bytes32 orderId) {
        bytes memory signature = signed(sellerKey, idOf(order.offer));
        uint256 value = order.offer.token == address(0) ? order.offer.price : 0;
        vm.prank(order.buyer);
        return market.buy{value: value}(order, signature);
    }

    function approve(IDataMarket.Order memory order) internal {
        vm.prank(order.offer.seller);
        market.approve(order);
    }

    /// @dev By whomever, with a delivery that stands in the log.
    function settle(IDataMarket.Order memory order, IDataMarket.Approval memory approval) internal {
        IDataMarket.Delivery memory delivery = deliveryOf(order);
        uint64 index = logged(commitmentOf(order, delivery));
        settleAt(order, delivery, index, approval);
    }

    function settleAt(
        IDataMarket.Order memory order,
        IDataMarket.Delivery memory delivery,
        uint64 index,
        IDataMarket.Approval memory approval
    ) internal {
        bytes32[] memory path = pathTo(index);
        vm.prank(relay);
        market.settle(order, delivery, newest, index, path, approval);
    }

    /// @dev Bought and settled with the seller's signature.
    function sell(IDataMarket.Order memory order) internal returns (bytes32 orderId) {
        orderId = buy(order);
        settle(order, approvalOf(sellerKey, order));
    }

    function refund(IDataMarket.Order memory order) internal {
        vm.prank(relay);
        market.refund(order);
    }

    function freeze() internal {
        vm.prank(consents.controllerOf(seller));
        consents.freeze(seller, NO_SIGNATURE);
    }

    function recoveryPolicy() internal view returns (IControl.RecoveryPolicy memory policy) {
        policy.statement = "statement";
        policy.subject = seller;
        policy.trustees = new address[](2);
        (policy.trustees[0], policy.trustees[1]) = (trustees[0], trustees[1]);
        policy.needed = 1;
        policy.delayS = 2 days;
        policy.epoch = 1;
    }

    /// @dev A policy, a recovery, and its shortest delay.
    function moveControl() internal {
        IControl.RecoveryPolicy memory policy = recoveryPolicy();
        vm.prank(seller);
        consents.registerPolicy(policy, NO_SIGNATURE);
        moveControlTo(next);
    }

    /// @dev Under the policy that is registered.
    function moveControlTo(address to) internal {
        startMoveTo(to);
        consents.finishRecovery(seller);
        assertEq(consents.controllerOf(seller), to);
    }

    /// @dev Until it only has to be finished, by anybody.
    function startMoveTo(address to) internal {
        IControl.Approval[] memory approvals = new IControl.Approval[](1);
        approvals[0].trustee = trustees[0];
        IControl.RecoveryPolicy memory policy = recoveryPolicy();
        vm.prank(trustees[0]);
        consents.startRecovery(policy, NO_SIGNATURE, to, approvals);
        skip(2 days);
    }

    /* ASSERTIONS */

    function expectNotController(address caller) internal {
        vm.expectRevert(abi.encodeWithSelector(IDataMarket.NotController.selector, seller, caller));
    }

    function expectNotPaid(IDataMarket.Order memory order, IDataMarket.Status status) internal {
        vm.expectRevert(abi.encodeWithSelector(IDataMarket.OrderNotPaid.selector, idOf(order), status));
    }

    function assertStatus(IDataMarket.Order memory order, IDataMarket.Status status) internal view {
        assertEq(uint8(market.standing(idOf(order)).status), uint8(status), "status");
    }

    function assertHolds(address token_, uint256 amount) internal view {
        uint256 held = token_ == address(0) ? address(market).balance : PlainToken(token_).balanceOf(address(market));
        assertEq(held, amount, "held");
    }
}
