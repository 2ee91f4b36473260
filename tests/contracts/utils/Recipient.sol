// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

/// @notice Takes money, or does whatever a test wants instead.
contract Recipient {
    enum Ways {
        TAKES,
        REFUSES,
        BURNS_GAS,
        HUGE,
        REVERTS_HUGE,
        CALLS_BACK,
        COUNTS_GAS
    }

    Ways public ways;
    address public target;
    bytes public data;
    bool public calledBack;
    uint256 public gasSeen;

    function setWays(Ways ways_) external {
        ways = ways_;
    }

    /// @dev What it does once it is paid.
    function setCall(address target_, bytes calldata data_) external {
        ways = Ways.CALLS_BACK;
        target = target_;
        data = data_;
    }

    receive() external payable {
        uint256 gas = gasleft();
        Ways way = ways;
        require(way != Ways.REFUSES, "no");
        while (way == Ways.BURNS_GAS) {}
        if (way == Ways.COUNTS_GAS) gasSeen = gas;
        // Which fits into the gas of a push only if it is refused at the door.
        if (way == Ways.CALLS_BACK) (calledBack,) = target.call(data);
        assembly ("memory-safe") {
            // What fits into the gas of a push, but is more than its caller wants to copy.
            switch way
            case 3 { return(0, 0x1000) }
            case 4 { revert(0, 0x1000) }
        }
    }
}
