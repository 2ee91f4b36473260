// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {AnchorRegistry} from "../../../contracts/AnchorRegistry.sol";
import {IAnchorRegistry} from "../../../contracts/interfaces/IAnchorRegistry.sol";
import {UniformLog} from "../utils/UniformLog.sol";
import {Test, Vm} from "forge-std/Test.sol";

/// @notice Anybody calls anything on three logs. What the registry says of itself in events is kept as the only model.
contract RegistryHandler is Test, UniformLog {
    uint256 private constant LOGS = 3;

    AnchorRegistry public immutable registry;
    bytes32[] public ids;
    address[] public people;

    mapping(bytes32 log => IAnchorRegistry.Head) private _heads;
    mapping(bytes32 log => IAnchorRegistry.LogInfo) private _infos;
    mapping(bytes32 log => IAnchorRegistry.Anchor[]) private _anchors;

    constructor(AnchorRegistry registry_) {
        registry = registry_;
        vm.recordLogs();
        for (uint256 i = 0; i < 5; ++i) {
            people.push(makeAddr(string.concat("person ", vm.toString(i))));
        }
        for (uint256 i = 0; i < LOGS; ++i) {
            vm.prank(people[i]);
            ids.push(registry.open(vm.toString(i), people[3], bytes32(i), uint32(i)));
        }
        _readEvents();
    }

    /* CALLS */

    /// @dev Several at once, or no run would ever go round the ring.
    function anchor(uint256 who, uint256 which, uint64 growth, uint8 times) external {
        bytes32 log = _log(which);
        // Mostly the operator, or little would ever be anchored.
        address caller = who % 4 == 0 ? _person(who / 4) : _heads[log].operator;
        growth = uint64(bound(growth, 1, 1 << 26));
        for (uint256 i = 0; i <= times % 40; ++i) {
            IAnchorRegistry.Anchor memory old = newest(log);
            uint64 size = old.size + growth;
            _anchor(caller, log, old, size, old.number == 0 ? new bytes32[](0) : consistencyOf(old.size, size));
        }
    }

    function anchorWithoutProof(uint256 which, uint64 size, bytes32[] calldata proof) external {
        bytes32 log = _log(which);
        IAnchorRegistry.Anchor memory old = newest(log);
        vm.assume(old.number != 0);
        address operator = _heads[log].operator;
        vm.prank(operator);
        try registry.anchor(log, old, size, keccak256(abi.encode(size)), proof) {
            assertTrue(false, "anchored a root that no proof led to");
        } catch {}
    }

    function anchorOnAnEarlierHead(uint256 which, uint256 earlier, uint64 growth) external {
        bytes32 log = _log(which);
        uint256 count = _anchors[log].length;
        vm.assume(count > 1);
        IAnchorRegistry.Anchor memory old = _anchors[log][bound(earlier, 0, count - 2)];
        uint64 size = newest(log).size + uint64(bound(growth, 1, 1 << 20));
        _anchor(_heads[log].operator, log, old, size, consistencyOf(old.size, size));
        assertEq(_anchors[log].length, count, "anchored on an earlier head");
    }

    function rotate(uint256 who, uint256 which, uint256 to) external {
        vm.prank(_coldKeyMostly(who));
        try registry.rotate(_log(which), _person(to)) {} catch {}
        _readEvents();
    }

    function cancelRotation(uint256 who, uint256 which) external {
        vm.prank(_coldKeyMostly(who));
        try registry.cancelRotation(_log(which)) {} catch {}
        _readEvents();
    }

    function acceptRotation(uint256 who, uint256 which) external {
        bytes32 log = _log(which);
        address pendingOperator = _infos[log].pendingOperator;
        vm.prank(who % 4 == 0 || pendingOperator == address(0) ? _person(who / 4) : pendingOperator);
        try registry.acceptRotation(log) {} catch {}
        _readEvents();
    }

    function close(uint256 who, uint256 which) external {
        // Rarely, or all three are soon closed.
        vm.assume(which % 8 == 0);
        vm.prank(_person(who));
        try registry.close(_log(which / 8)) {} catch {}
        _readEvents();
    }

    function succeed(uint256 who, uint256 which, uint256 other) external {
        vm.prank(_coldKeyMostly(who));
        try registry.succeed(_log(which), _log(other)) {} catch {}
        _readEvents();
    }

    function wait(uint32 waitS) external {
        skip(waitS % 3 days);
    }

    /* MODEL */

    function headOf(bytes32 log) external view returns (IAnchorRegistry.Head memory) {
        return _heads[log];
    }

    function infoOf(bytes32 log) external view returns (IAnchorRegistry.LogInfo memory) {
        return _infos[log];
    }

    function anchorsOf(bytes32 log) external view returns (IAnchorRegistry.Anchor[] memory) {
        return _anchors[log];
    }

    function newest(bytes32 log) public view returns (IAnchorRegistry.Anchor memory none) {
        uint256 count = _anchors[log].length;
        return count == 0 ? none : _anchors[log][count - 1];
    }

    function _anchor(
        address caller,
        bytes32 log,
        IAnchorRegistry.Anchor memory old,
        uint64 size,
        bytes32[] memory proof
    ) private {
        bytes32 root = rootOf(size);
        bool mayAnchor = caller == _heads[log].operator && caller != address(0) && !_infos[log].closed;
        vm.prank(caller);
        try registry.anchor(log, old, size, root, proof) {
            assertTrue(mayAnchor, "only the operator of an open log anchors");
        } catch {}
        _readEvents();
    }

    /// @dev Applies what the registry emitted since the last time, and nothing else.
    function _readEvents() private {
        Vm.Log[] memory emitted = vm.getRecordedLogs();
        for (uint256 i = 0; i < emitted.length; ++i) {
            assertEq(emitted[i].emitter, address(registry));
            bytes32 log = emitted[i].topics[1];
            bytes32 kind = emitted[i].topics[0];
            assertTrue(kind == IAnchorRegistry.Succeeded.selector || !_infos[log].closed, "a closed log moved");
            _apply(kind, log, emitted[i].topics, emitted[i].data);
        }
    }

    function _apply(bytes32 kind, bytes32 log, bytes32[] memory topics, bytes memory data) private {
        IAnchorRegistry.Head storage head = _heads[log];
        IAnchorRegistry.LogInfo storage info = _infos[log];
        if (kind == IAnchorRegistry.Opened.selector) {
            head.operator = _address(topics[2]);
            info.coldKey = _address(topics[3]);
            (info.noteKey, info.anchorWithinS,) = abi.decode(data, (bytes32, uint32, string));
        } else if (kind == IAnchorRegistry.Anchored.selector) {
            (uint64 size, bytes32 root, uint64 timeS) = abi.decode(data, (uint64, bytes32, uint64));
            uint64 number = uint64(uint256(topics[3]));
            assertEq(_address(topics[2]), head.operator, "anchored by another");
            assertEq(number, head.count + 1, "a number was skipped");
            assertGt(size, head.size, "the log did not grow");
            assertGe(timeS, head.timeS, "time went back");
            _anchors[log].push(IAnchorRegistry.Anchor({number: number, size: size, root: root, timeS: timeS}));
            head.size = uint40(size);
            head.timeS = uint32(timeS);
            head.count = uint24(number);
        } else if (kind == IAnchorRegistry.RotationStarted.selector) {
            info.pendingOperator = _address(topics[3]);
            info.rotatesAtS = abi.decode(data, (uint64));
        } else if (kind == IAnchorRegistry.RotationCancelled.selector) {
            _dropRotation(info);
        } else if (kind == IAnchorRegistry.OperatorRotated.selector) {
            assertEq(_address(topics[3]), info.pendingOperator, "another took over");
            assertGe(block.timestamp, info.rotatesAtS, "took over too early");
            head.operator = _address(topics[3]);
            _dropRotation(info);
        } else if (kind == IAnchorRegistry.Closed.selector) {
            head.operator = address(0);
            info.closed = true;
            _dropRotation(info);
        } else if (kind == IAnchorRegistry.Succeeded.selector) {
            info.successor = topics[2];
        } else {
            assertTrue(false, "an event that the model does not know");
        }
    }

    function _dropRotation(IAnchorRegistry.LogInfo storage info) private {
        info.pendingOperator = address(0);
        info.rotatesAtS = 0;
    }

    function _address(bytes32 topic) private pure returns (address) {
        return address(uint160(uint256(topic)));
    }

    function _log(uint256 which) private view returns (bytes32) {
        return ids[which % LOGS];
    }

    function _person(uint256 who) private view returns (address) {
        return people[who % people.length];
    }

    function _coldKeyMostly(uint256 who) private view returns (address) {
        return who % 4 == 0 ? _person(who / 4) : people[3];
    }
}
