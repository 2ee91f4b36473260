// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

/// @dev The least token that a market takes, all of it its maker's: of each move it keeps a fee, which may be zero, and it
/// moves nothing to one account, which may be nobody's. `Token.hex` is its creation code, before these two, by
/// `solc --bin --optimize --no-cbor-metadata`.
contract Token {
    uint256 private immutable FEE;
    address private immutable BLOCKED;

    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;

    constructor(uint256 fee, address blocked) {
        FEE = fee;
        BLOCKED = blocked;
        balanceOf[msg.sender] = 1_000_000_000;
    }

    function approve(address spender, uint256 amount) external returns (bool) {
        allowance[msg.sender][spender] = amount;
        return true;
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        return _move(msg.sender, to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        allowance[from][msg.sender] -= amount;
        return _move(from, to, amount);
    }

    function _move(address from, address to, uint256 amount) private returns (bool) {
        require(to != BLOCKED, "blocked");
        balanceOf[from] -= amount;
        balanceOf[to] += amount - FEE;
        return true;
    }
}
