// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// @notice A well-behaved token.
contract PlainToken is ERC20Permit {
    constructor() ERC20("Plain", "PLN") ERC20Permit("Plain") {}

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }
}

/// @notice A token that does to its holders whatever a test wants.
contract StrangeToken {
    enum Ways {
        PLAIN,
        RETURNS_NOTHING,
        RETURNS_FALSE,
        RETURNS_TWO,
        LIES_FALSE,
        LIES_TRUE,
        REVERTS,
        TAKES_A_FEE,
        GIVES_MORE,
        BURNS_GAS,
        HUGE,
        PAUSED_OUT,
        CALLS_BACK,
        LOOKS_AT_GAS
    }

    Ways public ways;
    mapping(address account => uint256) public balanceOf;
    mapping(address account => mapping(address spender => uint256)) public allowance;

    /// @dev What `CALLS_BACK` does in the middle of a transfer.
    address public target;
    bytes public data;
    bool public calledBack;
    bytes public answer;

    function setWays(Ways ways_) external {
        ways = ways_;
    }

    function setCall(address target_, bytes calldata data_) external {
        ways = Ways.CALLS_BACK;
        target = target_;
        data = data_;
    }

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    /// @dev As a rebasing token, or one whose issuer takes back.
    function burn(address from, uint256 amount) external {
        balanceOf[from] -= amount;
    }

    function approve(address spender, uint256 amount) external returns (bool) {
        allowance[msg.sender][spender] = amount;
        return true;
    }

    function permit(address owner, address spender, uint256 value, uint256, uint8, bytes32, bytes32) external {
        require(ways != Ways.REVERTS, "no");
        while (ways == Ways.BURNS_GAS) {}
        allowance[owner][spender] = value;
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        if (ways == Ways.PAUSED_OUT) revert("paused");
        require(ways != Ways.LOOKS_AT_GAS || gasleft() > 290_000, "too little gas");
        return _move(msg.sender, to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        allowance[from][msg.sender] -= amount;
        return _move(from, to, amount);
    }

    function _move(address from, address to, uint256 amount) private returns (bool) {
        Ways way = ways;
        require(way != Ways.REVERTS, "no");
        while (way == Ways.BURNS_GAS) {}
        if (way == Ways.RETURNS_FALSE) return false;
        if (way == Ways.LIES_TRUE) return true;
        balanceOf[from] -= amount;
        if (way == Ways.TAKES_A_FEE) amount -= 1;
        if (way == Ways.GIVES_MORE) amount += 1;
        balanceOf[to] += amount;
        if (way == Ways.CALLS_BACK) (calledBack, answer) = target.call(data);
        assembly ("memory-safe") {
            switch way
            case 1 { return(0, 0) }
            case 3 {
                mstore(0, 2)
                return(0, 0x20)
            }
            case 4 {
                mstore(0, 0)
                return(0, 0x20)
            }
            case 10 {
                // A megabyte that begins well.
                mstore(0x100000, 0)
                mstore(0, 1)
                return(0, 0x100000)
            }
        }
        return true;
    }
}
