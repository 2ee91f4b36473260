// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {IAnchorRegistry} from "./IAnchorRegistry.sol";
import {IConsentRegistry} from "./IConsentRegistry.sol";

/// @title ICohortMarket
/// @notice One buyer's paid call to many sellers: its money waits until a log shows what each delivered, and goes to each
/// of them, the rest back.
/// @dev Nobody owns this contract, nobody can pause or change it, and it takes no fee.
/// It is the `verifyingContract` (EIP-712, name "Medtrail", version "1") of
/// `Terms(string statement,string purpose,bytes32 dataset,bytes32 salt)`,
/// `Cohort(address buyer,bytes32 log,address token,uint256 price,uint32 places,bytes32 recipient,uint64 deliverBy,uint64 grace,Terms terms,bytes32 salt)`,
/// `CohortAcceptance(bytes32 cohort,uint32 place,address seller,address token,uint256 price,Terms terms,uint64 epoch,uint64 expiresAt)`.
/// A document's id is its digest. Of Terms this contract sees the struct hash only.
/// Acceptances are signed and carried by whoever settles. Who acts for a seller is the ConsentRegistry's
/// `controllerOf(seller)`. An acceptance ends there: its id revoked, all of its epoch ended, the seller frozen.
/// The first settlement binds all acceptances, as they stand in its second: from then on everybody knows `k`, the buyer
/// can open the file with the data of all, and who revokes or is frozen later is paid nonetheless.
/// Warning: who revokes before that second, but after the file was made, is not paid, and their data are in the file. A
/// log that sees it in time makes another file; one whose transaction is on its way cannot.
/// Warning: `settleMany` shows `k` to everybody who sees the transaction, also where it then fails. If all its sellers
/// have revoked by then, the buyer can open the file for nothing.
/// Warning: whoever has seen `k` can settle with any claim of that file that still stands, and bind the cohort to it. From
/// the first batch that was sent on, also one that failed, no other file can be made for the cohort.
/// Warning: that places are different persons is the log's word. This contract knows addresses, each paid once a cohort; a
/// person can have many.
/// Warning: a paid place shows that the log says the data were delivered and that `k` opens the hash lock, not that the
/// file holds what was promised. Call through logs you would trust with that.
/// Warning: the buyer cannot cancel. The money waits until `deliverBy + grace`, or until all places are paid: a buyer who
/// saw `k` on its way could cancel in front of it.
/// Warning: tokens whose balances move by themselves, and those that can be paused or upgraded, keep their power here. A
/// token can harm those who trade in it, nobody else.
interface ICohortMarket {
    /// @notice A buyer's call.
    /// @param log whose entries show the deliveries
    /// @param token ERC-20, or zero for the chain's own coin
    /// @param price of each place
    /// @param places how many sellers are paid at most
    /// @param recipient whom the data are encrypted to
    /// @param deliverBy in seconds
    /// @param grace seconds after `deliverBy` in which it can still be settled
    /// @param terms struct hash of the Terms
    struct Cohort {
        address buyer;
        bytes32 log;
        address token;
        uint256 price;
        uint32 places;
        bytes32 recipient;
        uint64 deliverBy;
        uint64 grace;
        bytes32 terms;
        bytes32 salt;
    }

    /// @notice What all claims of a batch share.
    /// @dev The delivery's entry of each: the cohort's log, kind 6, action E, the seller as subject, the acceptance's id as
    /// record and permission, SHA-256(k) as fromVersion.
    /// @param k the key of the hash lock, one for the whole cohort
    /// @param toVersion SHA-256 of the file that `k` opens, one for the whole cohort
    /// @param actor of the entries
    /// @param anchor one of the newest 64 of the log
    /// @param level how many levels above the leaves the node stands which all claims have above them; 0 for one claim
    /// @param position of the node on its level: the entries' indexes, shifted right by `level`
    /// @param node its hash
    /// @param path from the node to the root: what an inclusion proof has behind its first part
    struct Batch {
        bytes32 k;
        bytes32 toVersion;
        address actor;
        IAnchorRegistry.Anchor anchor;
        uint8 level;
        uint64 position;
        bytes32 node;
        bytes32[] path;
    }

    /// @notice One seller's acceptance and delivery, as far as they do not follow from cohort and batch.
    /// @param place which the seller takes, from 0 on
    /// @param epoch of the seller in the ConsentRegistry
    /// @param expiresAt of the acceptance
    /// @param signature over the CohortAcceptance, by who acts for the seller: ECDSA (65 bytes, low s), else ERC-1271
    /// @param entryPlace struct hash of the entry's Place
    /// @param index of the delivery's entry
    /// @param path from the entry to the batch's node: the first part of an inclusion proof
    struct Claim {
        uint32 place;
        address seller;
        uint64 epoch;
        uint64 expiresAt;
        bytes signature;
        bytes32 eventId;
        uint64 timeMs;
        bytes32 details;
        bytes32 entryPlace;
        uint64 index;
        bytes32[] path;
    }

    enum Status {
        NONE,
        OPEN,
        CLOSED
    }

    /// @notice Why a claim was not paid.
    enum Skip {
        NONE,
        NO_SUCH_PLACE,
        PLACE_PAID,
        SELLER_PAID,
        EXPIRES_EARLY,
        FROZEN,
        ANOTHER_EPOCH,
        REVOKED,
        NOT_DELIVERED,
        NOT_ACCEPTED
    }

    /// @notice How a cohort stands. Times are block timestamps in seconds, zero for never.
    /// @param settledAt of the first settlement, which binds all acceptances
    /// @param paid places
    struct Standing {
        Status status;
        uint64 openedAt;
        uint64 settledAt;
        uint32 paid;
    }

    /// @notice All that the cohort is made of: whoever pays and forgets is still delivered to, and gets the rest back.
    event Opened(
        bytes32 indexed cohort,
        address indexed buyer,
        bytes32 indexed log,
        address token,
        uint256 price,
        uint32 places,
        bytes32 recipient,
        uint64 deliverBy,
        uint64 grace,
        bytes32 terms,
        bytes32 salt
    );
    /// @notice The seller was paid, or credited.
    event Paid(bytes32 indexed cohort, address indexed seller, uint32 place);
    /// @notice A claim of a batch that paid others was not paid. It may come again.
    /// @dev Anybody can cause one that says anything of anybody: it is for whoever settled, and proves nothing.
    event Skipped(bytes32 indexed cohort, address indexed seller, uint32 place, Skip reason);
    /// @notice A batch was settled. The first binds all acceptances.
    event Settled(bytes32 indexed cohort, bytes32 k, bytes32 toVersion, uint32 paid);
    /// @notice The price of all places that were not paid went back.
    event Closed(bytes32 indexed cohort, address indexed buyer, uint256 rest);
    /// @notice Could not be paid out, and waits for `withdraw`.
    event Credited(address indexed account, address indexed token, uint256 amount);
    event Withdrawn(address indexed account, address indexed token, address indexed to, uint256 amount);

    error ZeroAddress();
    error NoContract(address account);
    error NotBuyer(address buyer, address caller);
    error NotController(address account, address caller);
    error CohortNotNew(bytes32 cohort);
    error CohortNotOpen(bytes32 cohort);
    error NoPlaces();
    /// @notice `deliverBy` has come, or `deliverBy + grace` lies further ahead than `WINDOW_MAX_S`.
    error WindowOutOfRange(uint64 deliverBy, uint64 grace);
    error WrongValue(uint256 value, uint256 expected);
    /// @notice Another amount arrived than the price of all places: the token takes a fee.
    error WrongAmountArrived(uint256 amount, uint256 expected);
    error TooLate(bytes32 cohort, uint256 settleUntil);
    error ClosableLater(bytes32 cohort, uint256 settleUntil);
    /// @notice The cohort's first settlement had another key or file.
    error AnotherLock(bytes32 cohort);
    /// @notice The anchor does not live, or does not hold the batch's node there.
    error NotAnchored(bytes32 cohort);
    /// @notice No claim of the batch can be paid.
    error NobodyPaid(bytes32 cohort);
    error TooLittleGas(uint256 needed);
    error NothingToWithdraw(address account, address token);
    error PaymentFailed(address to, uint256 amount);

    /// @notice Furthest that a cohort's last second may lie ahead when it is opened.
    function WINDOW_MAX_S() external view returns (uint64);

    /// @notice Gas that a payment in the chain's own coin gives the one paid.
    function PUSH_GAS() external view returns (uint256);

    /// @notice Gas that a payment in a token gives the token.
    function TOKEN_GAS() external view returns (uint256);

    /// @notice Gas that a wallet (ERC-1271) may use to answer.
    function WALLET_GAS() external view returns (uint256);

    /// @notice Where logs are anchored.
    function ANCHORS() external view returns (IAnchorRegistry);

    /// @notice Who says who acts for whom, who is frozen and what is revoked.
    function CONSENTS() external view returns (IConsentRegistry);

    /// @notice Opens a call and pays for all its places, in the chain's own coin or in a token by allowance. Only its buyer.
    /// @return cohortId
    function open(Cohort calldata cohort) external payable returns (bytes32 cohortId);

    /// @notice As `open`, with the buyer's ERC-2612 permit of the price of all places.
    /// @dev A permit that somebody carried before is no obstacle: the allowance is what counts.
    function openWithPermit(Cohort calldata cohort, uint256 permitDeadline, uint8 v, bytes32 r, bytes32 s)
        external
        returns (bytes32 cohortId);

    /// @notice Pays each seller whose acceptance stands and whose delivery the log shows, until `deliverBy + grace`. Anybody.
    /// @dev Skips a claim that cannot be paid; reverts if none can. Entries that do not share a node go in several batches;
    /// a node high enough has all of them. Give gas for the worst, beside the transaction's own: 150,000, and for each claim
    /// 150,000, `WALLET_GAS` (twice where control moved) and `PUSH_GAS` or `TOKEN_GAS`. A seller can become the worst after
    /// the estimate. With too little left the batch reverts rather than skip or credit a seller for it, and `k` is shown.
    /// A wallet is asked when its claim is settled, also after the first settlement: it is bound by what it says then.
    /// @return paid how many
    function settleMany(Cohort calldata cohort, Batch calldata batch, Claim[] calldata claims)
        external
        returns (uint32 paid);

    /// @notice Gives the buyer what was not paid out, after `deliverBy + grace`, or once all places are paid. Anybody.
    function close(Cohort calldata cohort) external;

    /// @notice Pays out all that waits for an account. Only who acts for it.
    /// @param to any address; the call to it may use all gas
    function withdraw(address account, address token, address to) external;

    function standing(bytes32 cohort) external view returns (Standing memory);

    /// @notice Whether the seller was paid in this cohort, and for which place.
    function placeOf(bytes32 cohort, address seller) external view returns (bool paid, uint32 place);

    function isPaid(bytes32 cohort, uint32 place) external view returns (bool);

    /// @notice What waits for `withdraw`.
    function creditOf(address account, address token) external view returns (uint256);

    function cohortIdOf(Cohort calldata cohort) external view returns (bytes32);

    /// @notice Also the record and the permission of the delivery's entry.
    function acceptanceIdOf(Cohort calldata cohort, uint32 place, address seller, uint64 epoch, uint64 expiresAt)
        external
        view
        returns (bytes32);
}
