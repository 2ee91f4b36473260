// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {ICohortMarket} from "../../../../contracts/interfaces/ICohortMarket.sol";
import {CohortTest} from "../../utils/CohortTest.sol";

contract OpenWithPermit_Test is CohortTest {
    bytes32 private constant PERMIT_TYPEHASH =
        keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
    uint256 private constant ALL = PRICE * PLACES;

    uint8 private v;
    bytes32 private r;
    bytes32 private s;

    function setUp() public override {
        super.setUp();
        vm.prank(buyer);
        token.approve(address(cohorts), 0);
    }

    function test_RevertWhen_TheCohortIsInTheChainsOwnCoin() external {
        vm.expectRevert(ICohortMarket.ZeroAddress.selector);
        openPermitted(cohortOf(), START_S);
    }

    function test_RevertWhen_TheCallerIsNotTheBuyer() external {
        permit(buyerKey, ALL, START_S);
        ICohortMarket.Cohort memory cohort = cohortOf(address(token));
        vm.expectRevert(abi.encodeWithSelector(ICohortMarket.NotBuyer.selector, buyer, stranger));
        vm.prank(stranger);
        cohorts.openWithPermit(cohort, START_S, v, r, s);
    }

    function test_RevertWhen_ThePermitIsNoGood() external {
        ICohortMarket.Cohort memory cohort = cohortOf(address(token));
        uint256[3] memory signers = [strangerKey, buyerKey, buyerKey];
        uint256[3] memory amounts = [ALL, ALL, ALL - 1];
        uint256[3] memory deadlines = [uint256(START_S), START_S - 1, START_S];
        for (uint256 i = 0; i < 3; ++i) {
            permit(signers[i], amounts[i], deadlines[i]);
            vm.expectRevert(
                abi.encodeWithSignature("ERC20InsufficientAllowance(address,uint256,uint256)", cohorts, 0, ALL)
            );
            openPermitted(cohort, deadlines[i]);
        }
    }

    function test_OpensWhenSomebodyCarriedThePermitBefore() external {
        permit(buyerKey, ALL, START_S);
        vm.prank(stranger);
        token.permit(buyer, address(cohorts), ALL, START_S, v, r, s);
        openPermitted(cohortOf(address(token)), START_S);
        assertEscrow(address(token), ALL);
    }

    function test_Opens() external {
        ICohortMarket.Cohort memory cohort = cohortOf(address(token));
        permit(buyerKey, ALL, START_S);
        assertEq(openPermitted(cohort, START_S), idOf(cohort));
        assertEscrow(address(token), ALL);
        assertEq(token.allowance(buyer, address(cohorts)), 0);
        assertEq(uint8(cohorts.standing(idOf(cohort)).status), uint8(ICohortMarket.Status.OPEN));
    }

    function permit(uint256 key, uint256 value, uint256 deadline) private {
        bytes32 structHash =
            keccak256(abi.encode(PERMIT_TYPEHASH, buyer, address(cohorts), value, token.nonces(buyer), deadline));
        (v, r, s) = vm.sign(key, keccak256(abi.encodePacked(hex"1901", token.DOMAIN_SEPARATOR(), structHash)));
    }

    function openPermitted(ICohortMarket.Cohort memory cohort, uint256 deadline) private returns (bytes32) {
        vm.prank(buyer);
        return cohorts.openWithPermit(cohort, deadline, v, r, s);
    }
}
