// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {ReferenceLog} from "./ReferenceLog.sol";

/// @notice Logs whose leaves are all equal: roots and real proofs for any size below 2^41, in a few hashes.
/// @dev For whatever depends on size alone. Equal leaves cannot show that an index matters.
abstract contract UniformLog {
    bytes32 internal constant COMMITMENT = keccak256("the commitment of every leaf");

    bytes32[41] private _perfect;

    constructor() {
        _perfect[0] = ReferenceLog.leaf(COMMITMENT);
        for (uint256 level = 1; level < _perfect.length; ++level) {
            _perfect[level] = ReferenceLog.node(_perfect[level - 1], _perfect[level - 1]);
        }
    }

    function rootOf(uint256 size) internal view returns (bytes32) {
        if (ReferenceLog.isPowerOfTwo(size)) return _perfect[_log2(size)];
        uint256 k = ReferenceLog.split(size);
        return ReferenceLog.node(rootOf(k), rootOf(size - k));
    }

    function consistencyOf(uint256 oldSize, uint256 size) internal view returns (bytes32[] memory) {
        return _consistency(oldSize, size, true);
    }

    function inclusionOf(uint256 index, uint256 size) internal view returns (bytes32[] memory) {
        if (size == 1) return new bytes32[](0);
        uint256 k = ReferenceLog.split(size);
        return index < k
            ? ReferenceLog.append(inclusionOf(index, k), rootOf(size - k))
            : ReferenceLog.append(inclusionOf(index - k, size - k), rootOf(k));
    }

    function _consistency(uint256 oldSize, uint256 size, bool isOldTree) private view returns (bytes32[] memory) {
        if (oldSize == size) {
            return isOldTree ? new bytes32[](0) : ReferenceLog.append(new bytes32[](0), rootOf(size));
        }
        uint256 k = ReferenceLog.split(size);
        return oldSize <= k
            ? ReferenceLog.append(_consistency(oldSize, k, isOldTree), rootOf(size - k))
            : ReferenceLog.append(_consistency(oldSize - k, size - k, false), rootOf(k));
    }

    function _log2(uint256 n) private pure returns (uint256 log) {
        while (n >> log != 1) ++log;
    }
}
