// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @notice A wallet of several owners, as a Safe is one: they sign a message of the wallet's own, so that what they sign
/// for one wallet is good for no other.
contract SharedWallet {
    address[] public owners;
    uint256 public immutable needed;

    constructor(address[] memory owners_, uint256 needed_) {
        owners = owners_;
        needed = needed_;
    }

    function messageOf(bytes32 digest) public view returns (bytes32) {
        return keccak256(abi.encode("SharedWalletMessage", block.chainid, address(this), digest));
    }

    /// @dev Signatures of 65 bytes each, their owners in the order of `owners`.
    function isValidSignature(bytes32 digest, bytes calldata signatures) external view returns (bytes4) {
        uint256 signed;
        uint256 next;
        for (uint256 start = 0; start + 65 <= signatures.length; start += 65) {
            address signer = ECDSA.recover(messageOf(digest), signatures[start:start + 65]);
            while (next < owners.length && owners[next] != signer) ++next;
            if (next++ < owners.length) ++signed;
        }
        return signed >= needed ? this.isValidSignature.selector : bytes4(0xffffffff);
    }

    function call(address to, bytes calldata data) external returns (bytes memory answer) {
        bool done;
        (done, answer) = to.call(data);
        if (!done) {
            assembly ("memory-safe") {
                revert(add(answer, 0x20), mload(answer))
            }
        }
    }
}

/// @notice Answers `isValidSignature` with whatever a test wants to hear.
contract StrangeWallet {
    enum Answer {
        YES,
        NO,
        REVERTS,
        NOTHING,
        SHORT,
        DIRTY,
        TRUE,
        HUGE,
        BURNS
    }

    Answer public answer;

    function setAnswer(Answer answer_) external {
        answer = answer_;
    }

    fallback() external payable {
        Answer chosen = answer;
        bytes32 yes = bytes32(bytes4(0x1626ba7e));
        require(chosen != Answer.REVERTS, "no");
        while (chosen == Answer.BURNS) {}
        assembly ("memory-safe") {
            let size := 0x20
            mstore(0, yes)
            switch chosen
            case 1 { mstore(0, 0) }
            case 3 { size := 0 }
            case 4 { size := 4 }
            case 5 { mstore(0, or(yes, 1)) }
            case 6 { mstore(0, 1) }
            case 7 {
                // A megabyte that begins well: a caller who copied it would pay for it.
                size := 0x100000
            }
            return(0, size)
        }
    }
}

/// @notice Says yes and takes money if it has gas for it, and says no if not, which leaves the others what it did not use.
contract ThriftyWallet {
    uint256 private immutable answerGas;
    uint256 private immutable moneyGas;

    constructor(uint256 answerGas_, uint256 moneyGas_) {
        (answerGas, moneyGas) = (answerGas_, moneyGas_);
    }

    function isValidSignature(bytes32, bytes calldata) external view returns (bytes4) {
        return gasleft() < answerGas ? bytes4(0xffffffff) : this.isValidSignature.selector;
    }

    receive() external payable {
        require(gasleft() >= moneyGas, "no");
    }
}

/// @notice Says yes with the last of the gas it is given, and uses up what it is paid with.
contract GreedyWallet {
    function isValidSignature(bytes32, bytes calldata) external view returns (bytes4) {
        while (gasleft() > 1000) {}
        return this.isValidSignature.selector;
    }

    receive() external payable {
        while (true) {}
    }
}
