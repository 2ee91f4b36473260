//! Since when, until when, and who took it back.

use super::{Case, counts, not};
use crate::support::{
    DAY_MS, HOSPITAL, HOUR_MS, MARI, MINUTE_MS, NOON_MS, NOON_S, STRANGER, address, grant, id,
    look, revoke, revoke_all, signed,
};
use alloy_primitives::B256;
use medtrail_permit::documents::{Grant, RevokeAll};
use medtrail_permit::permits::{Basis, Epoch, Refusal};

pub(crate) fn cases() -> Vec<Case> {
    let given = || signed(MARI, grant());
    let of = || id(grant());
    let taken_back = || signed(MARI, revoke(address(MARI), of()));
    let mari = address(MARI);
    let ends_at_noon = Grant { expiresAt: NOON_S, ..grant() };
    let ends_after = Grant { expiresAt: NOON_S + 1, ..grant() };
    let next = Grant { epoch: 1, ..grant() };
    let twin = Grant { salt: B256::repeat_byte(0x77), ..grant() };
    let on_chain = |scene: crate::support::Scene, at_s, is_final| {
        scene.unrecorded(signed(MARI, grant())).standing(mari, of(), Some((at_s, is_final)), None)
    };
    let began = |earlier_s| {
        look().with(|scene| {
            let epoch = Epoch { subject: mari, epoch: 1, at_s: NOON_S - earlier_s };
            scene.world.chain.epochs.push(epoch);
        })
    };
    vec![
        counts("a look that a grant covers", Basis::Grant, of(), look().before(DAY_MS, given())),
        counts(
            "a look that names its grant",
            Basis::Grant,
            of(),
            look().naming(grant()).before(DAY_MS, given()),
        ),
        not("a look that nothing permits", Refusal::NoPermission, None, look()),
        not(
            "a grant that was logged after the look",
            Refusal::NotYetGiven,
            of(),
            look().after(1000, given()),
        ),
        counts(
            "a grant that was logged at the very moment",
            Basis::Grant,
            of(),
            look().before(0, given()),
        ),
        not(
            "a grant that was signed and that no entry records",
            Refusal::NotSigned,
            of(),
            look().naming(grant()).unrecorded(given()),
        ),
        not(
            "a grant that ended at that second",
            Refusal::Expired,
            id(ends_at_noon.clone()),
            look().before(DAY_MS, signed(MARI, ends_at_noon)),
        ),
        counts(
            "a grant that ended a second later",
            Basis::Grant,
            id(ends_after.clone()),
            look().before(DAY_MS, signed(MARI, ends_after.clone())),
        ),
        not(
            "a grant that ended between a look and its late report",
            Refusal::Expired,
            id(ends_after.clone()),
            look()
                .late(0)
                .with(|scene| scene.act.received_ms += 6 * MINUTE_MS)
                .before(DAY_MS, signed(MARI, ends_after)),
        ),
        not(
            "a grant that was taken back before",
            Refusal::Revoked,
            of(),
            look().before(DAY_MS, given()).before(HOUR_MS, taken_back()),
        ),
        counts(
            "a grant that was taken back afterwards",
            Basis::Grant,
            of(),
            look().before(DAY_MS, given()).after(2000, taken_back()),
        ),
        not(
            "a grant that was taken back before anybody saw it",
            Refusal::Revoked,
            of(),
            look().before(DAY_MS, taken_back()).before(HOUR_MS, given()),
        ),
        not(
            "a grant that was taken back and logged once more",
            Refusal::Revoked,
            of(),
            look().before(DAY_MS, given()).before(HOUR_MS, taken_back()).before(1, given()),
        ),
        counts(
            "the same grant with another salt after the first was taken back",
            Basis::Grant,
            id(twin.clone()),
            look()
                .naming(twin.clone())
                .before(DAY_MS, given())
                .before(HOUR_MS, taken_back())
                .before(MINUTE_MS, signed(MARI, twin)),
        ),
        not(
            "the same grant with the same salt after the first was taken back",
            Refusal::Revoked,
            of(),
            look()
                .naming(grant())
                .before(DAY_MS, given())
                .before(HOUR_MS, taken_back())
                .before(MINUTE_MS, given()),
        ),
        counts(
            "a revocation by a stranger",
            Basis::Grant,
            of(),
            look()
                .before(DAY_MS, given())
                .before(HOUR_MS, signed(STRANGER, revoke(mari, of())))
                .before(HOUR_MS, signed(STRANGER, revoke(address(STRANGER), of())))
                .standing(address(STRANGER), of(), None, Some(NOON_S - 60)),
        ),
        counts(
            "a revocation that names another subject",
            Basis::Grant,
            of(),
            look()
                .before(DAY_MS, given())
                .before(HOUR_MS, signed(MARI, revoke(address(STRANGER), of()))),
        ),
        counts(
            "a revocation by who got the grant",
            Basis::Grant,
            of(),
            look().before(DAY_MS, given()).before(HOUR_MS, signed(HOSPITAL, revoke(mari, of()))),
        ),
        not(
            "a report dated back before the revocation",
            Refusal::Revoked,
            of(),
            look().late(10 * MINUTE_MS).before(DAY_MS, given()).before(9 * MINUTE_MS, taken_back()),
        ),
        counts(
            "a report five minutes late, the grant taken back in between",
            Basis::Grant,
            of(),
            look().late(5 * MINUTE_MS).before(DAY_MS, given()).before(4 * MINUTE_MS, taken_back()),
        ),
        not(
            "a report five minutes and a millisecond late, the grant taken back in between",
            Refusal::Revoked,
            of(),
            look()
                .late(5 * MINUTE_MS + 1)
                .before(DAY_MS, given())
                .before(4 * MINUTE_MS, taken_back()),
        ),
        not(
            "a late report of a look before the grant",
            Refusal::NotYetGiven,
            of(),
            look().late(HOUR_MS).before(30 * MINUTE_MS, given()),
        ),
        counts(
            "a late report whose grant stood all the time",
            Basis::Grant,
            of(),
            look().late(DAY_MS).before(2 * DAY_MS, given()),
        ),
        not(
            "in the vault only the receipt counts: taken back a moment before",
            Refusal::Revoked,
            of(),
            look()
                .late(2 * MINUTE_MS)
                .with(|scene| scene.act.in_vault = true)
                .before(DAY_MS, given())
                .before(MINUTE_MS, taken_back()),
        ),
        counts(
            "in the vault only the receipt counts: given a moment before",
            Basis::Grant,
            of(),
            look().late(HOUR_MS).with(|scene| scene.act.in_vault = true).before(MINUTE_MS, given()),
        ),
        counts(
            "a clock five minutes ahead",
            Basis::Grant,
            of(),
            look().before(DAY_MS, given()).with(|scene| {
                scene.act.report.timeMs = scene.act.received_ms + 5 * MINUTE_MS;
            }),
        ),
        not(
            "a clock ahead does not wait for a grant",
            Refusal::NotYetGiven,
            of(),
            look().after(2 * MINUTE_MS, given()).with(|scene| {
                scene.act.report.timeMs = scene.act.received_ms + 4 * MINUTE_MS;
            }),
        ),
        not(
            "a report of what is to come",
            Refusal::Ahead,
            None,
            look().before(DAY_MS, given()).with(|scene| {
                scene.act.report.timeMs = scene.act.received_ms + 5 * MINUTE_MS + 1;
            }),
        ),
        not(
            "a grant of an epoch that is over",
            Refusal::WrongEpoch,
            of(),
            look().before(DAY_MS, given()).before(HOUR_MS, signed(MARI, revoke_all(0))),
        ),
        not(
            "a grant held back and logged after all was taken back",
            Refusal::WrongEpoch,
            of(),
            look().before(DAY_MS, signed(MARI, revoke_all(0))).before(HOUR_MS, given()),
        ),
        not(
            "a grant of an epoch that the chain ended",
            Refusal::WrongEpoch,
            of(),
            look().before(DAY_MS, given()).with(|scene| {
                let epoch = Epoch { subject: mari, epoch: 1, at_s: NOON_S - 60 };
                scene.world.chain.epochs.push(epoch);
            }),
        ),
        not(
            "a grant of the next epoch, of the log's own count, when the chain ends its first",
            Refusal::WrongEpoch,
            id(next.clone()),
            began(60)
                .before(2 * DAY_MS, signed(MARI, revoke_all(0)))
                .before(DAY_MS, signed(MARI, next.clone())),
        ),
        counts(
            "a grant of the next epoch given after log and chain ended the first",
            Basis::Grant,
            id(next.clone()),
            began(3600)
                .before(2 * DAY_MS, signed(MARI, revoke_all(0)))
                .before(MINUTE_MS, signed(MARI, next.clone())),
        ),
        counts(
            "an old revocation of all that the log records once more",
            Basis::Grant,
            id(next.clone()),
            look()
                .before(2 * DAY_MS, signed(MARI, revoke_all(0)))
                .before(DAY_MS, signed(MARI, next.clone()))
                .before(HOUR_MS, signed(MARI, revoke_all(0))),
        ),
        not(
            "a far epoch is ended: all before it are over",
            Refusal::WrongEpoch,
            id(next.clone()),
            look()
                .before(2 * DAY_MS, signed(MARI, revoke_all(7)))
                .before(DAY_MS, signed(MARI, next.clone())),
        ),
        counts(
            "a grant of the epoch that began",
            Basis::Grant,
            id(next.clone()),
            look()
                .before(DAY_MS, signed(MARI, revoke_all(0)))
                .before(HOUR_MS, signed(MARI, next.clone())),
        ),
        not(
            "a grant of an epoch to come",
            Refusal::WrongEpoch,
            id(next.clone()),
            look().before(DAY_MS, signed(MARI, next.clone())),
        ),
        not(
            "a grant that waited for its epoch",
            Refusal::WrongEpoch,
            id(next.clone()),
            look().before(DAY_MS, signed(MARI, next)).before(HOUR_MS, signed(MARI, revoke_all(0))),
        ),
        counts(
            "all taken back by a stranger",
            Basis::Grant,
            of(),
            look().before(DAY_MS, given()).before(HOUR_MS, signed(STRANGER, revoke_all(0))).before(
                HOUR_MS,
                signed(STRANGER, RevokeAll { subject: address(STRANGER), epoch: 0 }),
            ),
        ),
        counts("a grant on chain, final", Basis::Grant, of(), on_chain(look(), NOON_S - 60, true)),
        not(
            "a grant on chain, not final",
            Refusal::NotFinal,
            of(),
            on_chain(look(), NOON_S - 60, false),
        ),
        not(
            "a grant on chain after the look",
            Refusal::NotYetGiven,
            of(),
            on_chain(look(), NOON_S + 1, true),
        ),
        not(
            "a grant on chain under another name",
            Refusal::NotTheController,
            of(),
            look().unrecorded(given()).standing(
                address(STRANGER),
                of(),
                Some((NOON_S - 60, true)),
                None,
            ),
        ),
        not(
            "a grant that the chain says was taken back in that second",
            Refusal::Revoked,
            of(),
            look().before(DAY_MS, given()).standing(mari, of(), None, Some(NOON_S)),
        ),
        counts(
            "a grant that the chain says was taken back a second later",
            Basis::Grant,
            of(),
            look().before(DAY_MS, given()).standing(mari, of(), None, Some(NOON_S + 1)),
        ),
        not(
            "a grant on chain and taken back off chain",
            Refusal::Revoked,
            of(),
            on_chain(look(), NOON_S - 60, true).at(NOON_MS - 1, taken_back()),
        ),
    ]
}
