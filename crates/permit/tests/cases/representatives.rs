//! Who speaks for whom: delegates, and guardians of people without a key.

use super::{Case, counts, not, waits};
use crate::support::{
    DAY_MS, FATHER, HOSPITAL, HOUR_MS, JAAN, KADRI, LAB, MARI, MOTHER, NOON_S, REGISTRIES,
    STRANGER, Scene, about_jaan, address, approval, change, delegation, grant, grant_for_jaan,
    guardianship, id, jaan, look, order, revoke, revoke_all, sign, signed,
};
use alloy_primitives::B256;
use medtrail_permit::documents::{ChangeApproval, Delegation, Grant, RevokeAll};
use medtrail_permit::permits::{Basis, Freeze, Pending, Refusal};
use medtrail_permit::signed::Signed;

pub(crate) fn cases() -> Vec<Case> {
    [delegates(), guardians()].into_iter().flatten().collect()
}

/// Mari's permissions were frozen from an hour before to an hour after she delegated.
fn frozen(scene: Scene) -> Scene {
    scene.with(|scene| {
        scene.world.chain.freezes.push(Freeze {
            subject: address(MARI),
            from_s: NOON_S - 49 * 3600,
            until_s: Some(NOON_S - 47 * 3600),
        });
    })
}

fn delegates() -> Vec<Case> {
    let of = || id(grant());
    let day = || look().before(2 * DAY_MS, signed(MARI, delegation()));
    let given = |scene: Scene| scene.before(HOUR_MS, signed(KADRI, grant()));
    let dismissed = |signer: u8| signed(signer, revoke(address(MARI), id(delegation())));
    let only = |rights: &str| Delegation { rights: rights.into(), ..delegation() };
    let by_kadri = |scene: Scene| scene.with(|scene| scene.act.signer = Some(address(KADRI)));
    let by_father =
        Delegation { delegate: address(FATHER), salt: B256::repeat_byte(0x64), ..delegation() };
    vec![
        counts("a grant by a delegate", Basis::Grant, of(), given(day())),
        not(
            "a delegation that was given while all was frozen",
            Refusal::NoRight,
            of(),
            frozen(given(day())),
        ),
        not(
            "a grant by a delegate who may only see",
            Refusal::NoRight,
            of(),
            given(look().before(2 * DAY_MS, signed(MARI, only("SEE")))),
        ),
        not(
            "a grant by a delegate before the delegation",
            Refusal::NoRight,
            of(),
            given(look().before(1000, signed(MARI, delegation()))),
        ),
        not(
            "a grant by a delegate who was dismissed",
            Refusal::NoRight,
            of(),
            given(day().before(DAY_MS, dismissed(MARI))),
        ),
        not(
            "what a delegate gave ends with the delegation",
            Refusal::NoRight,
            of(),
            given(day()).before(1000, dismissed(MARI)),
        ),
        not(
            "a delegate who resigned",
            Refusal::NoRight,
            of(),
            given(day()).before(1000, dismissed(KADRI)),
        ),
        counts(
            "a stranger dismisses nobody",
            Basis::Grant,
            of(),
            given(day()).before(1000, dismissed(STRANGER)),
        ),
        not(
            "a delegation that the delegate signed",
            Refusal::NoRight,
            of(),
            given(look().before(2 * DAY_MS, signed(KADRI, delegation()))),
        ),
        not(
            "a delegate's delegate",
            Refusal::NoRight,
            of(),
            day().before(DAY_MS, signed(KADRI, by_father)).before(HOUR_MS, signed(FATHER, grant())),
        ),
        not(
            "a delegation of an epoch that is over, its grant of the next",
            Refusal::NoRight,
            id(Grant { epoch: 1, ..grant() }),
            day()
                .before(DAY_MS, signed(MARI, revoke_all(0)))
                .before(HOUR_MS, signed(KADRI, Grant { epoch: 1, ..grant() })),
        ),
        not(
            "a delegation that had ended",
            Refusal::NoRight,
            of(),
            given(look().before(
                2 * DAY_MS,
                signed(MARI, Delegation { expiresAt: NOON_S, ..delegation() }),
            )),
        ),
        not(
            "a delegate takes back",
            Refusal::Revoked,
            of(),
            look()
                .before(2 * DAY_MS, signed(MARI, delegation()))
                .before(DAY_MS, signed(MARI, grant()))
                .before(HOUR_MS, signed(KADRI, revoke(address(MARI), of()))),
        ),
        counts(
            "a delegate who may only see takes nothing back",
            Basis::Grant,
            of(),
            look()
                .before(2 * DAY_MS, signed(MARI, only("SEE")))
                .before(DAY_MS, signed(MARI, grant()))
                .before(HOUR_MS, signed(KADRI, revoke(address(MARI), of()))),
        ),
        counts(
            "a delegate does not take back everything",
            Basis::Grant,
            of(),
            day()
                .before(DAY_MS, signed(MARI, grant()))
                .before(HOUR_MS, signed(KADRI, revoke_all(0))),
        ),
        counts(
            "a delegation on chain",
            Basis::Grant,
            of(),
            given(look().unrecorded(signed(MARI, delegation())).standing(
                address(MARI),
                id(delegation()),
                Some((NOON_S - 7200, true)),
                None,
            )),
        ),
        not(
            "a delegation on chain, not final",
            Refusal::NoRight,
            of(),
            given(look().unrecorded(signed(MARI, delegation())).standing(
                address(MARI),
                id(delegation()),
                Some((NOON_S - 7200, false)),
                None,
            )),
        ),
        counts(
            "a delegate's grant on chain, under the delegate's name",
            Basis::Grant,
            of(),
            day().unrecorded(Signed { signature: None, ..signed(KADRI, grant()) }).standing(
                address(KADRI),
                of(),
                Some((NOON_S - 60, true)),
                None,
            ),
        ),
        counts("a delegate looks", Basis::Representative, id(delegation()), by_kadri(day())),
        not(
            "a delegate who may only permit looks",
            Refusal::NoPermission,
            None,
            by_kadri(look().before(2 * DAY_MS, signed(MARI, only("PERMIT")))),
        ),
        not(
            "a delegate changes",
            Refusal::NoPermission,
            None,
            by_kadri(change().before(2 * DAY_MS, signed(MARI, delegation()))),
        ),
        not(
            "a delegate who was dismissed looks",
            Refusal::NoPermission,
            None,
            by_kadri(day().before(1000, dismissed(MARI))),
        ),
    ]
}

fn guardians() -> Vec<Case> {
    let of = || id(grant_for_jaan());
    let both = |scene: Scene| {
        about_jaan(scene)
            .before(2 * DAY_MS, guardianship(MOTHER, "SEE PERMIT"))
            .before(2 * DAY_MS, guardianship(FATHER, "SEE PERMIT"))
    };
    let by = |signer: u8| signed(signer, grant_for_jaan());
    let no = |signer: u8| signed(signer, revoke(jaan(), of()));
    let ended = |signer: u8| {
        let guardianship = guardianship(FATHER, "SEE PERMIT");
        signed(signer, revoke(jaan(), guardianship.document.id(&REGISTRIES)))
    };
    let countersigned = |seed: u8| {
        let signed = guardianship(MOTHER, "SEE PERMIT");
        let countersignature = Some(sign(seed, signed.document.id(&REGISTRIES)));
        Signed { countersignature, ..signed }
    };
    let approval = ChangeApproval { subject: jaan(), ..approval() };
    let all = || RevokeAll { subject: jaan(), epoch: 0 };
    let commitment = look().act.commitment;
    vec![
        waits("a person without a key", Pending::NoKey, None, about_jaan(look())),
        waits(
            "a pseudonym of which nothing is known",
            Pending::NoKey,
            None,
            look().with(|scene| scene.act.report.subject = JAAN),
        ),
        counts(
            "a grant by a guardian",
            Basis::Grant,
            of(),
            both(look()).before(DAY_MS, by(MOTHER)),
        ),
        not(
            "one parent gives, the other takes back",
            Refusal::Revoked,
            of(),
            both(look()).before(DAY_MS, by(MOTHER)).before(HOUR_MS, no(FATHER)),
        ),
        not(
            "one parent takes back before the other gives",
            Refusal::Revoked,
            of(),
            both(look()).before(DAY_MS, no(FATHER)).before(HOUR_MS, by(MOTHER)),
        ),
        not(
            "one parent takes everything back",
            Refusal::WrongEpoch,
            of(),
            both(look()).before(DAY_MS, by(MOTHER)).before(HOUR_MS, signed(FATHER, all())),
        ),
        counts(
            "a guardian who may only see takes nothing back",
            Basis::Grant,
            of(),
            about_jaan(look())
                .before(2 * DAY_MS, guardianship(MOTHER, "SEE PERMIT"))
                .before(2 * DAY_MS, guardianship(FATHER, "SEE"))
                .before(DAY_MS, by(MOTHER))
                .before(HOUR_MS, signed(FATHER, all()))
                .before(HOUR_MS, no(FATHER)),
        ),
        counts(
            "a stranger takes nothing back for a child",
            Basis::Grant,
            of(),
            both(look()).before(DAY_MS, by(MOTHER)).before(HOUR_MS, no(STRANGER)),
        ),
        counts(
            "a parent whom the hospital dismissed takes nothing back",
            Basis::Grant,
            of(),
            both(look())
                .before(DAY_MS, by(MOTHER))
                .before(HOUR_MS, ended(HOSPITAL))
                .before(1000, no(FATHER)),
        ),
        waits(
            "what a dismissed parent gave ends",
            Pending::NoKey,
            of(),
            both(look()).before(DAY_MS, by(FATHER)).before(HOUR_MS, ended(HOSPITAL)),
        ),
        waits(
            "a parent resigns",
            Pending::NoKey,
            of(),
            both(look()).before(DAY_MS, by(FATHER)).before(HOUR_MS, ended(FATHER)),
        ),
        counts(
            "one parent does not dismiss the other",
            Basis::Grant,
            of(),
            both(look()).before(DAY_MS, by(FATHER)).before(HOUR_MS, ended(MOTHER)),
        ),
        waits(
            "a guardian who may only see",
            Pending::NoKey,
            of(),
            about_jaan(look())
                .before(2 * DAY_MS, guardianship(MOTHER, "SEE"))
                .before(DAY_MS, by(MOTHER)),
        ),
        waits(
            "somebody who is no guardian",
            Pending::NoKey,
            of(),
            both(look()).before(DAY_MS, by(STRANGER)),
        ),
        waits(
            "a guardianship that another organisation countersigned",
            Pending::NoKey,
            of(),
            about_jaan(look()).before(2 * DAY_MS, countersigned(LAB)).before(DAY_MS, by(MOTHER)),
        ),
        waits(
            "a guardianship without a countersignature",
            Pending::NoKey,
            of(),
            about_jaan(look())
                .before(
                    2 * DAY_MS,
                    Signed { countersignature: None, ..guardianship(MOTHER, "SEE PERMIT") },
                )
                .before(DAY_MS, by(MOTHER)),
        ),
        waits(
            "a guardianship by an organisation that does not keep the pseudonym",
            Pending::NoKey,
            of(),
            both(look())
                .with(|scene| scene.world.pseudonyms[0].keepers = vec![address(LAB)])
                .before(DAY_MS, by(MOTHER)),
        ),
        counts(
            "a guardian looks",
            Basis::Representative,
            guardianship(MOTHER, "SEE").document.id(&REGISTRIES),
            about_jaan(look())
                .before(2 * DAY_MS, guardianship(MOTHER, "SEE"))
                .with(|scene| scene.act.signer = Some(address(MOTHER))),
        ),
        waits(
            "what a guardian gave ends with an order",
            Pending::NoKey,
            of(),
            both(look()).before(DAY_MS, by(FATHER)).ordered(FATHER, HOSPITAL, HOUR_MS),
        ),
        counts(
            "an order about one parent leaves what the other gave",
            Basis::Grant,
            of(),
            both(look()).before(DAY_MS, by(MOTHER)).ordered(FATHER, HOSPITAL, HOUR_MS),
        ),
        counts(
            "a parent whose guardianship ended by an order takes nothing back",
            Basis::Grant,
            of(),
            both(look())
                .before(DAY_MS, by(MOTHER))
                .ordered(FATHER, HOSPITAL, HOUR_MS)
                .before(1000, no(FATHER)),
        ),
        counts(
            "what a guardian gave stood until the order came",
            Basis::Grant,
            of(),
            both(look()).before(DAY_MS, by(FATHER)).with(|scene| {
                scene.world.ends.push(order(FATHER, HOSPITAL, NOON_S * 1000 + HOUR_MS));
            }),
        ),
        counts(
            "an order that another organisation signed ends nothing",
            Basis::Grant,
            of(),
            both(look()).before(DAY_MS, by(FATHER)).ordered(FATHER, LAB, HOUR_MS),
        ),
        waits(
            "a guardian whose guardianship ended by an order looks",
            Pending::NoKey,
            None,
            about_jaan(look())
                .before(2 * DAY_MS, guardianship(MOTHER, "SEE PERMIT"))
                .ordered(MOTHER, HOSPITAL, HOUR_MS)
                .with(|scene| scene.act.signer = Some(address(MOTHER))),
        ),
        counts(
            "a guardian confirms a change afterwards",
            Basis::Confirmed,
            id(approval.clone()),
            both(change()).after(DAY_MS, signed(MOTHER, approval.clone())),
        ),
        waits(
            "a change that a guardian approved and that came after the order",
            Pending::NoKey,
            id(approval.clone()),
            both(change().naming(approval.clone()))
                .before(DAY_MS, signed(MOTHER, approval))
                .ordered(MOTHER, HOSPITAL, HOUR_MS),
        ),
        not(
            "a guardian says no afterwards",
            Refusal::Contested,
            None,
            both(look()).after(DAY_MS, signed(FATHER, revoke(jaan(), commitment))),
        ),
        not(
            "a grant of the mother about herself",
            Refusal::WrongSubject,
            id(Grant { subject: address(MOTHER), ..grant() }),
            look()
                .naming(Grant { subject: address(MOTHER), ..grant() })
                .before(DAY_MS, signed(MOTHER, Grant { subject: address(MOTHER), ..grant() })),
        ),
    ]
}
