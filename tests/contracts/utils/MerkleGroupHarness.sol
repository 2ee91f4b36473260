// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {MerkleGroup} from "../../../contracts/MerkleGroup.sol";

/// @notice MerkleGroup behind an external function, both halves asked as a market asks them.
contract MerkleGroupHarness {
    struct Group {
        uint8 level;
        uint64 position;
        uint64 size;
        bytes32 node;
        bytes32 root;
        bytes32[] path;
    }

    function holdsNode(Group calldata group) public view returns (bool) {
        return MerkleGroup.holdsNode(group.level, group.position, group.size, group.node, group.root, group.path);
    }

    function holdsLeaf(Group calldata group, uint64 index, bytes32 leafHash, bytes32[] calldata path)
        public
        view
        returns (bool)
    {
        return MerkleGroup.holdsLeaf(group.level, group.position, group.size, group.node, index, leafHash, path);
    }

    function holds(Group calldata group, uint64 index, bytes32 leafHash, bytes32[] calldata path)
        external
        view
        returns (bool)
    {
        return holdsNode(group) && holdsLeaf(group, index, leafHash, path);
    }
}
