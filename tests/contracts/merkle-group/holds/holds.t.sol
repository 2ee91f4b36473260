// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {MerkleGroupHarness} from "../../utils/MerkleGroupHarness.sol";
import {ReferenceLog} from "../../utils/ReferenceLog.sol";
import {Test} from "forge-std/Test.sol";

contract Holds_Test is Test {
    uint64 private constant LEAVES_MAX = 40;

    MerkleGroupHarness private merkle = new MerkleGroupHarness();
    bytes32[] private leaves;

    function setUp() external {
        for (uint256 i = 0; i < LEAVES_MAX; ++i) {
            leaves.push(ReferenceLog.leaf(keccak256(abi.encode("leaf", i))));
        }
    }

    function test_HoldsEachEntryOfEachTreeAtEachLevel() external view {
        // Each in a call of its own, or the memory of all proofs would be too much.
        for (uint64 size = 1; size <= 33; ++size) {
            for (uint64 index = 0; index < size; ++index) {
                this.assertHolds(index, size);
            }
        }
    }

    function assertHolds(uint64 index, uint64 size) external view {
        for (uint8 level = 0; level <= 7; ++level) {
            (MerkleGroupHarness.Group memory group, bytes32[] memory path) = proof(index, size, level);
            assertTrue(merkle.holds(group, index, leaves[index], path));
        }
    }

    function test_RefusesWhen_TheLevelOrThePositionIsAnother() external view {
        (MerkleGroupHarness.Group memory group, bytes32[] memory path) = proof(21, 33, 3);
        for (uint256 level = 0; level <= 255; ++level) {
            group.level = uint8(level);
            assertEq(merkle.holds(group, 21, leaves[21], path), level == 3);
        }
        group.level = 3;
        for (uint64 position = 0; position < 40; ++position) {
            group.position = position;
            assertEq(merkle.holds(group, 21, leaves[21], path), position == 2);
        }
        group.position = type(uint64).max;
        assertFalse(merkle.holds(group, 21, leaves[21], path));
    }

    function test_RefusesWhen_TheIndexIsAnother() external view {
        for (uint8 level = 0; level <= 6; ++level) {
            for (uint64 proved = 0; proved < 19; ++proved) {
                (MerkleGroupHarness.Group memory group, bytes32[] memory path) = proof(proved, 19, level);
                for (uint64 index = 0; index < 40; ++index) {
                    assertEq(merkle.holds(group, index, leaves[proved], path), index == proved);
                }
                assertFalse(merkle.holds(group, type(uint64).max, leaves[proved], path));
            }
        }
    }

    /// @dev A walk that is asked for the node alone would take any node; the two must be of one node.
    function test_RefusesWhen_TheNodeIsAnothers() external view {
        (MerkleGroupHarness.Group memory group, bytes32[] memory path) = proof(5, 32, 2);
        (MerkleGroupHarness.Group memory other,) = proof(21, 32, 2);
        assertTrue(merkle.holdsNode(other));
        assertFalse(merkle.holds(other, 5, leaves[5], path));
        (other.position, other.node) = (group.position, group.node);
        assertFalse(merkle.holds(other, 5, leaves[5], path));
        group.node = leaves[5];
        assertFalse(merkle.holds(group, 5, leaves[5], new bytes32[](0)));
    }

    function test_RefusesWhen_AHalfIsLongerOrShorter() external view {
        bytes32 junk = keccak256("junk");
        for (uint64 size = 2; size <= 17; ++size) {
            for (uint64 index = 0; index < size; ++index) {
                for (uint8 level = 0; level <= 5; ++level) {
                    (MerkleGroupHarness.Group memory group, bytes32[] memory path) = proof(index, size, level);
                    bytes32[] memory upper = group.path;
                    assertFalse(merkle.holds(group, index, leaves[index], ReferenceLog.append(path, junk)));
                    if (path.length != 0) {
                        assertFalse(merkle.holds(group, index, leaves[index], ReferenceLog.dropLast(path)));
                    }
                    group.path = ReferenceLog.append(upper, junk);
                    assertFalse(merkle.holds(group, index, leaves[index], path));
                    if (upper.length != 0) {
                        group.path = ReferenceLog.dropLast(upper);
                        assertFalse(merkle.holds(group, index, leaves[index], path));
                    }
                }
            }
        }
    }

    function test_RefusesWhen_TheTreeIsEmpty() external view {
        (MerkleGroupHarness.Group memory group, bytes32[] memory path) = proof(0, 1, 0);
        group.size = 0;
        assertFalse(merkle.holds(group, 0, leaves[0], path));
    }

    /// @dev Whatever is changed: what both halves hold, the one whole proof holds too.
    function testFuzz_HoldsOnlyWhatTheWholeProofProves(uint64 size, uint64 index, uint8 level, uint8 what, uint64 other)
        external
        view
    {
        size = uint64(bound(size, 1, LEAVES_MAX));
        index = uint64(bound(index, 0, size - 1));
        level = uint8(bound(level, 0, 7));
        (MerkleGroupHarness.Group memory group, bytes32[] memory path) = proof(index, size, level);
        bytes32 leafHash = leaves[index];
        other %= 45;
        if (what % 8 == 1) group.level = uint8(other % 8);
        if (what % 8 == 2) group.position = other;
        if (what % 8 == 3) group.size = other;
        if (what % 8 == 4) index = other;
        if (what % 8 == 5) leafHash = leaves[other % LEAVES_MAX];
        if (what % 8 == 6) (group.level, group.position) = (uint8(other % 8), index >> (other % 8));
        if (what % 8 == 7) (index, group.position) = (other, other >> level);
        if (!merkle.holds(group, index, leafHash, path)) return;
        bytes32[] memory whole = path;
        for (uint256 i = 0; i < group.path.length; ++i) {
            whole = ReferenceLog.append(whole, group.path[i]);
        }
        assertTrue(ReferenceLog.verifyInclusion(index, group.size, leafHash, group.root, whole));
    }

    /// @dev A place in a tree: of a leaf in its node's, of the node in the whole, of the leaf in the whole.
    struct Spot {
        uint256 index;
        uint256 size;
    }

    /// @dev An adversary who chooses everything, the root too, in trees of any size: what both halves hold is held by the one
    /// whole proof, and one hash more or less in a half is held by neither.
    function testFuzz_IsTheWholeProofCutInTwo(uint64 size, uint64 index, uint8 level, uint8 longer, bytes32 seed)
        external
        view
    {
        size = uint64(bound(size >> (uint256(seed) % 64), 1, type(uint64).max));
        // Often at the right edge.
        index = uint256(seed) % 3 == 0 ? size - 1 : uint64(bound(index, 0, size - 1));
        level = uint8(bound(level, 0, top(size)));
        uint256 first = uint256(index) >> level << level;
        Spot memory lower = Spot(index - first, size - first < 1 << level ? size - first : 1 << level);
        Spot memory upper = Spot(index >> level, (uint256(size - 1) >> level) + 1);
        assertEq(steps(lower) + steps(upper), steps(Spot(index, size)), "the halves are no whole");

        bytes32 leafHash = keccak256(abi.encode(seed, "leaf"));
        // A hash moved from one half to the other keeps the sum.
        bytes32[] memory path = hashes(seed, "lower", steps(lower) + longer % 3);
        MerkleGroupHarness.Group memory group;
        (group.level, group.position, group.size) = (level, uint64(upper.index), size);
        group.path = hashes(seed, "upper", steps(upper) + longer / 3 % 3);
        (bool isBelow, bool isAbove) = (false, false);
        (isBelow, group.node) = climb(lower, leafHash, path);
        (isAbove, group.root) = climb(upper, group.node, group.path);
        assertEq(merkle.holds(group, index, leafHash, path), isBelow && isAbove, "holds");
        if (!isBelow || !isAbove) return;
        for (uint256 i = 0; i < group.path.length; ++i) {
            path = ReferenceLog.append(path, group.path[i]);
        }
        assertTrue(ReferenceLog.verifyInclusion(index, size, leafHash, group.root, path), "the whole proof");
    }

    /// @dev The level of the root, or the last there is.
    function top(uint64 size) private pure returns (uint256 level) {
        while (level < 63 && (size - 1) >> level != 0) ++level;
    }

    /// @dev How many hashes the proof has: on each level one, but none for a node on the right edge without a sibling.
    function steps(Spot memory spot) private pure returns (uint256 count) {
        (uint256 index, uint256 last) = (spot.index, spot.size - 1);
        for (; last != 0; (index, last) = (index >> 1, last >> 1)) {
            if (index != last || index & 1 == 1) ++count;
        }
    }

    /// @dev One fewer than asked for, if there is one.
    function hashes(bytes32 seed, string memory what, uint256 count) private pure returns (bytes32[] memory list) {
        list = new bytes32[](count == 0 ? 0 : count - 1);
        for (uint256 i = 0; i < list.length; ++i) {
            list[i] = keccak256(abi.encode(seed, what, i));
        }
    }

    /// @dev RFC 9162, 2.1.3.2, with the root that it comes to instead of a comparison.
    function climb(Spot memory spot, bytes32 r, bytes32[] memory path) private pure returns (bool, bytes32) {
        (uint256 fn, uint256 sn) = (spot.index, spot.size - 1);
        for (uint256 i = 0; i < path.length; ++i) {
            if (sn == 0) return (false, r);
            bool isRight = fn % 2 == 1 || fn == sn;
            r = isRight ? ReferenceLog.node(path[i], r) : ReferenceLog.node(r, path[i]);
            while (isRight && fn % 2 == 0 && fn != 0) (fn, sn) = (fn / 2, sn / 2);
            (fn, sn) = (fn / 2, sn / 2);
        }
        return (sn == 0, r);
    }

    function proof(uint64 index, uint64 size, uint8 level)
        private
        view
        returns (MerkleGroupHarness.Group memory group, bytes32[] memory path)
    {
        bytes32[] memory held = leaves;
        uint64 from = index >> level << level;
        uint64 to = from + (uint64(1) << level);
        if (to > size) to = size;
        path = ReferenceLog.inclusion(held, index, from, to, ReferenceLog.node);
        bytes32[] memory whole = ReferenceLog.inclusion(held, index, 0, size, ReferenceLog.node);
        (group.level, group.position, group.size) = (level, index >> level, size);
        group.node = ReferenceLog.root(held, from, to, ReferenceLog.node);
        group.root = ReferenceLog.root(held, 0, size, ReferenceLog.node);
        group.path = new bytes32[](whole.length - path.length);
        for (uint256 i = 0; i < group.path.length; ++i) {
            group.path[i] = whole[path.length + i];
        }
    }
}
