//! Until when somebody is asked about an emergency change, and what an answer after it is worth.

use super::{Case, counts, not, waits};
use crate::support::{
    DAY_MS, FATHER, HOSPITAL, HOUR_MS, JAAN, LAB, MARI, MOTHER, NEW_KEY, NOON_MS, NOON_S, Scene,
    about_jaan, address, approval, change, guardianship, id, jaan, look, order, revoke, signed,
};
use medtrail_permit::documents::ChangeApproval;
use medtrail_permit::permits::{Basis, Pending, Refusal};

pub(crate) fn cases() -> Vec<Case> {
    [answers(), nobody_to_ask()].into_iter().flatten().collect()
}

const RECEIVED_MS: u64 = NOON_MS + 1000;
const MONTH_MS: u64 = 30 * DAY_MS;

fn urgent() -> Scene {
    change().purpose("BTG")
}

/// Good for a year.
fn long() -> ChangeApproval {
    ChangeApproval { expiresAt: NOON_S + 365 * 86_400, ..approval() }
}

fn no(scene: &Scene, signer: u8) -> medtrail_permit::signed::Signed {
    let subject = match scene.act.report.subject {
        JAAN => jaan(),
        other => medtrail_permit::documents::named(other),
    };
    signed(signer, revoke(subject, scene.act.commitment))
}

fn answers() -> Vec<Case> {
    let confirmed = |later_ms: u64| urgent().at(RECEIVED_MS + later_ms, signed(MARI, long()));
    let denied = |later_ms: u64| urgent().at(RECEIVED_MS + later_ms, no(&urgent(), MARI));
    let until_ms = RECEIVED_MS + MONTH_MS;
    vec![
        waits("nobody answers for a month: it waits", Pending::Emergency, None, urgent())
            .until(until_ms),
        counts("confirmed in the last moment", Basis::Confirmed, id(long()), confirmed(MONTH_MS))
            .until(until_ms),
        counts("confirmed after a month", Basis::Confirmed, id(long()), confirmed(40 * DAY_MS))
            .until(until_ms),
        not("no after a month", Refusal::Contested, None, denied(40 * DAY_MS)).until(until_ms),
        not(
            "confirmed in time and denied after a month",
            Refusal::Contested,
            None,
            confirmed(DAY_MS).at(RECEIVED_MS + 40 * DAY_MS, no(&urgent(), MARI)),
        )
        .until(until_ms),
        waits(
            "reported late, it is asked about from its receipt",
            Pending::Emergency,
            None,
            urgent().late(9 * DAY_MS),
        )
        .until(NOON_MS + MONTH_MS),
        waits(
            "nobody is asked about an emergency look",
            Pending::Emergency,
            None,
            look().purpose("BTG"),
        )
        .until(None),
        not(
            "nobody is asked about emergency treatment",
            Refusal::NoPermission,
            None,
            change().purpose("ETREAT"),
        )
        .until(None),
    ]
}

fn nobody_to_ask() -> Vec<Case> {
    let child = || about_jaan(urgent());
    let mother = || guardianship(MOTHER, "SEE PERMIT");
    let waiting = |name, scene: Scene, until_ms: Option<u64>| {
        waits(name, Pending::Emergency, None, scene).until(until_ms)
    };
    let (day_ms, hour_ms) = (NOON_MS + DAY_MS, NOON_MS + HOUR_MS);
    vec![
        waiting("who has no key cannot be asked", child(), None),
        waits("a change without haste has no clock", Pending::NoKey, None, about_jaan(change()))
            .until(None),
        waiting(
            "asked since the pseudonym was connected",
            child().bound(address(MARI), day_ms),
            Some(day_ms + MONTH_MS),
        ),
        waiting(
            "connected before, asked from the receipt",
            child().bound(address(MARI), NOON_MS - DAY_MS),
            Some(RECEIVED_MS + MONTH_MS),
        ),
        waiting(
            "a guardian is asked from the receipt",
            child().before(DAY_MS, mother()),
            Some(RECEIVED_MS + MONTH_MS),
        ),
        waiting(
            "a guardian who came later is asked since then",
            child().at(day_ms, mother()),
            Some(day_ms + MONTH_MS),
        ),
        waiting(
            "a guardian who may only see is not asked",
            child().before(DAY_MS, guardianship(MOTHER, "SEE")),
            None,
        ),
        waiting(
            "a guardian who was dismissed before is not asked",
            child().before(DAY_MS, mother()).ordered(MOTHER, HOSPITAL, HOUR_MS),
            None,
        ),
        waiting(
            "a guardian who was dismissed afterwards was asked",
            child().before(DAY_MS, mother()).with(|scene| {
                scene.world.ends.push(order(MOTHER, HOSPITAL, NOON_MS + 2 * DAY_MS));
            }),
            Some(RECEIVED_MS + MONTH_MS),
        ),
        waiting(
            "a guardian by another organisation's order stays",
            child().before(DAY_MS, mother()).ordered(MOTHER, LAB, HOUR_MS),
            Some(RECEIVED_MS + MONTH_MS),
        ),
        waiting(
            "of two guardians the first is asked",
            child().at(day_ms, mother()).at(hour_ms, guardianship(FATHER, "PERMIT")),
            Some(hour_ms + MONTH_MS),
        ),
        waiting(
            "a guardian was asked before the child had a key",
            child().at(hour_ms, mother()).bound(address(NEW_KEY), day_ms),
            Some(hour_ms + MONTH_MS),
        ),
        waiting(
            "a guardian who came after the child had a key is not asked",
            child().bound(address(NEW_KEY), hour_ms).at(day_ms, mother()),
            Some(hour_ms + MONTH_MS),
        ),
        not(
            "a guardian says no after a month",
            Refusal::Contested,
            None,
            child().before(DAY_MS, mother()).at(RECEIVED_MS + 40 * DAY_MS, no(&child(), MOTHER)),
        )
        .until(RECEIVED_MS + MONTH_MS),
    ]
}
