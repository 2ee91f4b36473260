// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {MerkleLog} from "../../../contracts/MerkleLog.sol";

/// @notice MerkleLog behind external functions, once as shipped and once over keccak, which symbolic provers can invert.
contract MerkleLogHarness {
    function leaf(bytes32 commitment) external view returns (bytes32) {
        return MerkleLog.leaf(commitment);
    }

    function node(bytes32 left, bytes32 right) external view returns (bytes32) {
        return MerkleLog.node(left, right);
    }

    function verifyInclusion(uint64 index, uint64 size, bytes32 leafHash, bytes32 root, bytes32[] calldata proof)
        external
        view
        returns (bool)
    {
        return MerkleLog.verifyInclusion(index, size, leafHash, root, proof);
    }

    function verifyConsistency(uint64 oldSize, uint64 size, bytes32 oldRoot, bytes32 root, bytes32[] calldata proof)
        external
        view
        returns (bool)
    {
        return MerkleLog.verifyConsistency(oldSize, size, oldRoot, root, proof);
    }

    function verifyKeccakInclusion(uint64 index, uint64 size, bytes32 leafHash, bytes32 root, bytes32[] calldata proof)
        external
        view
        returns (bool)
    {
        return MerkleLog.walkInclusion(index, size, leafHash, root, proof, _keccakNode);
    }

    function verifyKeccakConsistency(
        uint64 oldSize,
        uint64 size,
        bytes32 oldRoot,
        bytes32 root,
        bytes32[] calldata proof
    ) external view returns (bool) {
        return MerkleLog.walkConsistency(oldSize, size, oldRoot, root, proof, _keccakNode);
    }

    function _keccakNode(bytes32 left, bytes32 right) private pure returns (bytes32) {
        return keccak256(abi.encodePacked(bytes1(0x01), left, right));
    }
}
