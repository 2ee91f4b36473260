//! Who speaks for whom: control that moved, freezes, delegates, guardians, people without a key.

use super::{Case, counts, not, waits};
use crate::support::{
    DAY_MS, FATHER, HOSPITAL, HOUR_MS, JAAN, KADRI, LAB, MARI, MOTHER, NEW_KEY, NOON_MS, NOON_S,
    REGISTRIES, STRANGER, Scene, about_jaan, address, approval, change, delegation, grant,
    grant_for_jaan, guardianship, id, jaan, look, revoke, revoke_all, sign, signed,
};
use alloy_primitives::B256;
use medtrail_permit::documents::{ChangeApproval, Delegation, Grant, RevokeAll};
use medtrail_permit::permits::{Basis, Controller, Freeze, Pending, Refusal};
use medtrail_permit::signed::Signed;

pub(crate) fn cases() -> Vec<Case> {
    let parts = [control(), freezes(), own(), delegates(), guardians(), bound()];
    parts.into_iter().flatten().collect()
}

/// Mari's control moved to a new key, so long before noon (or after, if negative), in seconds.
fn moved(scene: Scene, earlier_s: i64, is_final: bool) -> Scene {
    scene.with(|scene| {
        scene.world.chain.controllers.push(Controller {
            subject: address(MARI),
            controller: address(NEW_KEY),
            at_s: NOON_S.checked_add_signed(-earlier_s).unwrap(),
            is_final,
        });
    })
}

fn frozen(scene: Scene, from_s: u64, until_s: Option<u64>) -> Scene {
    scene.with(|scene| {
        let freeze = Freeze { subject: address(MARI), from_s, until_s };
        scene.world.chain.freezes.push(freeze);
    })
}

fn control() -> Vec<Case> {
    let of = || id(grant());
    let by = |signer: u8| look().before(HOUR_MS, signed(signer, grant()));
    let taken_back = |signer: u8| signed(signer, revoke(address(MARI), of()));
    vec![
        not(
            "a grant by the key that lost control",
            Refusal::ControlMoved,
            of(),
            moved(by(MARI), 86_400, true),
        ),
        counts(
            "a grant that was given before control moved",
            Basis::Grant,
            of(),
            moved(by(MARI), 60, true),
        ),
        counts("a grant by the new key", Basis::Grant, of(), moved(by(NEW_KEY), 86_400, true)),
        not(
            "a grant by the new key before control moved",
            Refusal::NotTheController,
            of(),
            moved(by(NEW_KEY), 60, true),
        ),
        not(
            "a grant by the new key, its move not final",
            Refusal::NotFinal,
            of(),
            moved(by(NEW_KEY), 86_400, false),
        ),
        not(
            "the old key is void before the move is final",
            Refusal::ControlMoved,
            of(),
            moved(by(MARI), 86_400, false),
        ),
        not(
            "the new key takes back what the old one gave",
            Refusal::Revoked,
            of(),
            moved(by(MARI), 60, true).before(1000, taken_back(NEW_KEY)),
        ),
        counts(
            "the old key takes nothing back any more",
            Basis::Grant,
            of(),
            moved(by(MARI), 60, true).before(1000, taken_back(MARI)),
        ),
    ]
}

fn freezes() -> Vec<Case> {
    let of = || id(grant());
    let given = || look().before(HOUR_MS, signed(MARI, grant()));
    let no = || signed(MARI, revoke(address(MARI), of()));
    vec![
        not(
            "a grant that was given while all was frozen",
            Refusal::Frozen,
            of(),
            frozen(given(), NOON_S - 7200, None),
        ),
        counts(
            "a grant that was given before all was frozen",
            Basis::Grant,
            of(),
            frozen(given(), NOON_S - 60, None),
        ),
        counts(
            "a grant that was given after a freeze",
            Basis::Grant,
            of(),
            frozen(given(), NOON_S - 7200, Some(NOON_S - 3600)),
        ),
        not(
            "a freeze stops no revocation",
            Refusal::Revoked,
            of(),
            frozen(given(), NOON_S - 60, None).before(1000, no()),
        ),
        counts(
            "somebody else's freeze",
            Basis::Grant,
            of(),
            frozen(given(), NOON_S - 7200, None).with(|scene| {
                scene.world.chain.freezes[0].subject = address(STRANGER);
            }),
        ),
        not(
            "a grant on chain while all was frozen",
            Refusal::Frozen,
            of(),
            frozen(
                look().unrecorded(signed(MARI, grant())).standing(
                    address(MARI),
                    of(),
                    Some((NOON_S - 60, true)),
                    None,
                ),
                NOON_S - 7200,
                None,
            ),
        ),
    ]
}

fn own() -> Vec<Case> {
    let by =
        |scene: Scene, signer: u8| scene.with(|scene| scene.act.signer = Some(address(signer)));
    vec![
        counts("she herself looks", Basis::Own, None, by(look(), MARI)),
        counts("she herself changes", Basis::Own, None, by(change(), MARI)),
        counts(
            "she herself looks while all is frozen",
            Basis::Own,
            None,
            frozen(by(look(), MARI), NOON_S - 60, None),
        ),
        not(
            "she herself changes while all is frozen",
            Refusal::Frozen,
            None,
            frozen(by(change(), MARI), NOON_S - 60, None),
        ),
        not(
            "the key that lost control changes",
            Refusal::NoPermission,
            None,
            moved(by(change(), MARI), 60, true),
        ),
        counts("the new key changes", Basis::Own, None, moved(by(change(), NEW_KEY), 60, true)),
        not(
            "relayed in her name",
            Refusal::NoPermission,
            None,
            look().with(|scene| {
                scene.act.signer = None;
                scene.act.report.actor = address(MARI);
            }),
        ),
    ]
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
                .before(DAY_MS, signed(MARI, revoke_all(1)))
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
                .before(HOUR_MS, signed(KADRI, revoke_all(1))),
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
    let all = || RevokeAll { subject: jaan(), epoch: 1 };
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
        counts(
            "a guardian confirms a change afterwards",
            Basis::Confirmed,
            id(approval.clone()),
            both(change()).after(DAY_MS, signed(MOTHER, approval)),
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

fn bound() -> Vec<Case> {
    let of = || id(grant());
    let mari = address(MARI);
    let late = NOON_MS + DAY_MS;
    let approved = || signed(MARI, approval());
    let child = || {
        about_jaan(look())
            .before(2 * DAY_MS, guardianship(MOTHER, "SEE PERMIT"))
            .before(DAY_MS, signed(MOTHER, grant_for_jaan()))
    };
    vec![
        counts(
            "a grant of the address that a pseudonym became",
            Basis::Grant,
            of(),
            about_jaan(look()).bound(mari, NOON_MS - HOUR_MS).before(DAY_MS, signed(MARI, grant())),
        ),
        counts(
            "a grant of the address that a pseudonym became later",
            Basis::Grant,
            of(),
            about_jaan(look()).bound(mari, late).before(DAY_MS, signed(MARI, grant())),
        ),
        waits(
            "before it was connected nobody could be asked",
            Pending::NoKey,
            None,
            about_jaan(look()).bound(mari, late),
        ),
        not(
            "since it is connected she can be asked",
            Refusal::NoPermission,
            None,
            about_jaan(look()).bound(mari, NOON_MS),
        ),
        counts(
            "she confirms a change from before she was connected",
            Basis::Confirmed,
            id(approval()),
            about_jaan(change()).bound(mari, late).after(2 * DAY_MS, approved()),
        ),
        not(
            "a change since then cannot be confirmed afterwards",
            Refusal::NoPermission,
            None,
            about_jaan(change()).bound(mari, NOON_MS).after(2 * DAY_MS, approved()),
        ),
        not(
            "what a guardian gave ends when the child has a key",
            Refusal::NoRight,
            id(grant_for_jaan()),
            child().bound(address(NEW_KEY), NOON_MS - HOUR_MS),
        ),
        counts(
            "what a guardian gave stood until then",
            Basis::Grant,
            id(grant_for_jaan()),
            child().bound(address(NEW_KEY), late),
        ),
        not(
            "a grant of a pseudonym does not follow to the address",
            Refusal::NoPermission,
            None,
            child()
                .with(|scene| {
                    scene.act.report.subject = address(NEW_KEY).into_word();
                })
                .bound(address(NEW_KEY), NOON_MS - HOUR_MS),
        ),
    ]
}
