//! The person: control that moved, freezes, own acts, and when a pseudonym became somebody's.

use super::{Case, counts, not, waits};
use crate::support::{
    DAY_MS, HOUR_MS, MARI, MOTHER, NEW_KEY, NOON_MS, NOON_S, STRANGER, Scene, about_jaan, address,
    approval, change, grant, grant_for_jaan, guardianship, id, look, revoke, signed,
};
use medtrail_permit::permits::{Basis, Controller, Freeze, Pending, Refusal};

pub(crate) fn cases() -> Vec<Case> {
    let parts = [control(), freezes(), own(), bound()];
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
