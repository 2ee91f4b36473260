//! Changes: approvals, replays, ordinary care, emergencies.

use super::{Case, counts, not, waits};
use crate::support::{
    DAY_MS, HOUR_MS, LAB, MARI, NOON_S, STRANGER, Scene, address, approval, change, grant, id,
    look, record, revoke, revoke_all, signed, version,
};
use alloy_primitives::{Address, B256, keccak256};
use medtrail_permit::documents::{ChangeApproval, Grant};
use medtrail_permit::permits::{Basis, Freeze, Pending, Refusal, Use};

pub(crate) fn cases() -> Vec<Case> {
    let parts = [approvals(), replays(), grants(), emergencies()];
    parts.into_iter().flatten().collect()
}

fn versions(scene: Scene, from: B256, to: B256, action: u8) -> Scene {
    scene.with(|scene| {
        let report = &mut scene.act.report;
        (report.fromVersion, report.toVersion, report.action) = (from, to, action);
    })
}

fn approved() -> Scene {
    change().naming(approval()).before(HOUR_MS, signed(MARI, approval()))
}

/// An approval that is named and does not allow the change.
fn other(name: &'static str, reason: Refusal, approval: ChangeApproval) -> Case {
    let of = id(approval.clone());
    not(name, reason, of, change().naming(approval.clone()).before(HOUR_MS, signed(MARI, approval)))
}

fn approvals() -> Vec<Case> {
    let of = || id(approval());
    let new = ChangeApproval { fromVersion: B256::ZERO, ..approval() };
    let gone = ChangeApproval { toVersion: B256::ZERO, ..approval() };
    vec![
        counts("a change that was approved", Basis::Approval, of(), approved()),
        counts(
            "a new record that was approved",
            Basis::Approval,
            id(new.clone()),
            versions(change(), B256::ZERO, version('B'), b'C')
                .naming(new.clone())
                .before(HOUR_MS, signed(MARI, new)),
        ),
        counts(
            "a deletion that was approved",
            Basis::Approval,
            id(gone.clone()),
            versions(change(), version('A'), B256::ZERO, b'D')
                .naming(gone.clone())
                .before(HOUR_MS, signed(MARI, gone)),
        ),
        not(
            "an approval that the report does not name",
            Refusal::NoPermission,
            None,
            change().before(HOUR_MS, signed(MARI, approval())),
        ),
        not(
            "an approval given after the change",
            Refusal::NotYetGiven,
            of(),
            change().naming(approval()).after(HOUR_MS, signed(MARI, approval())),
        ),
        other(
            "an approval of another record",
            Refusal::WrongRecord,
            ChangeApproval { record: keccak256("another"), ..approval() },
        ),
        other(
            "an approval of another result",
            Refusal::WrongVersions,
            ChangeApproval { toVersion: version('C'), ..approval() },
        ),
        other(
            "an approval from another version",
            Refusal::WrongVersions,
            ChangeApproval { fromVersion: version('C'), ..approval() },
        ),
        other(
            "an approval to add, used to overwrite",
            Refusal::WrongVersions,
            ChangeApproval { fromVersion: B256::ZERO, ..approval() },
        ),
        other(
            "an approval to somebody else",
            Refusal::WrongGrantee,
            ChangeApproval { custodian: address(LAB), ..approval() },
        ),
        other(
            "an approval of a change of nothing",
            Refusal::InvalidDocument,
            ChangeApproval { toVersion: version('A'), ..approval() },
        ),
        other(
            "an approval about nobody",
            Refusal::InvalidDocument,
            ChangeApproval { subject: Address::ZERO, ..approval() },
        ),
        other(
            "an approval that had ended",
            Refusal::Expired,
            ChangeApproval { expiresAt: NOON_S, ..approval() },
        ),
        not(
            "an approval by a stranger",
            Refusal::NotTheController,
            of(),
            change().naming(approval()).before(HOUR_MS, signed(STRANGER, approval())),
        ),
        not(
            "an approval that was taken back",
            Refusal::Revoked,
            of(),
            approved().before(1, signed(MARI, revoke(address(MARI), of()))),
        ),
        not(
            "an approval of an epoch that is over",
            Refusal::WrongEpoch,
            of(),
            approved().before(1, signed(MARI, revoke_all(0))),
        ),
    ]
}

fn replays() -> Vec<Case> {
    let of = || id(approval());
    let back = ChangeApproval {
        fromVersion: version('B'),
        toVersion: version('A'),
        salt: B256::repeat_byte(0x62),
        ..approval()
    };
    let again = ChangeApproval { salt: B256::repeat_byte(0x63), ..approval() };
    let used = |approval: B256, index: u64| Use { approval, index };
    vec![
        counts(
            "an approval at the first entry that names it",
            Basis::Approval,
            of(),
            approved().with(|scene| scene.world.uses = vec![used(of(), 100)]),
        ),
        not(
            "an approval that an earlier entry named",
            Refusal::Used,
            of(),
            approved().with(|scene| scene.world.uses = vec![used(of(), 40)]),
        ),
        counts(
            "there, back: the way back by its own approval",
            Basis::Approval,
            id(back.clone()),
            versions(change(), version('B'), version('A'), b'U')
                .naming(back.clone())
                .before(HOUR_MS, signed(MARI, back))
                .with(|scene| scene.world.uses = vec![used(of(), 40)]),
        ),
        not(
            "there, back and there again with the approval of the first time",
            Refusal::Used,
            of(),
            approved().with(|scene| scene.world.uses = vec![used(of(), 40)]),
        ),
        not(
            "there, back: the way back with the approval of the way there",
            Refusal::WrongVersions,
            of(),
            versions(approved(), version('B'), version('A'), b'U'),
        ),
        counts(
            "there again with an approval of its own",
            Basis::Approval,
            id(again.clone()),
            change()
                .naming(again.clone())
                .before(HOUR_MS, signed(MARI, again))
                .with(|scene| scene.world.uses = vec![used(of(), 40)]),
        ),
        not(
            "the same approval signed and logged once more",
            Refusal::Used,
            of(),
            approved()
                .before(1, signed(MARI, approval()))
                .with(|scene| scene.world.uses = vec![used(of(), 40)]),
        ),
    ]
}

fn grants() -> Vec<Case> {
    let with_scopes = |scopes: &str| Grant { scopes: scopes.into(), ..grant() };
    let covered = |name, scopes: &str, scene: Scene| {
        let grant = with_scopes(scopes);
        counts(name, Basis::Grant, id(grant.clone()), scene.before(DAY_MS, signed(MARI, grant)))
    };
    let refused = |name, scopes: &str, scene: Scene| {
        let grant = with_scopes(scopes);
        let of = id(grant.clone());
        not(name, Refusal::WrongScope, of, scene.before(DAY_MS, signed(MARI, grant)))
    };
    let add = || versions(change(), B256::ZERO, version('B'), b'C');
    vec![
        covered("ordinary care: a change by a grant", "patient/AllergyIntolerance.u", change()),
        covered("ordinary care: an addition by a grant", "patient/AllergyIntolerance.c", add()),
        refused("a change with a grant to look", "patient/*.rs", change()),
        refused("an addition with a grant to change", "patient/*.u", add()),
        refused(
            "a deletion with a grant to change",
            "patient/*.u",
            versions(change(), version('A'), B256::ZERO, b'D'),
        ),
        refused(
            "an overwriting that calls itself an addition",
            "patient/*.c",
            versions(change(), version('A'), version('B'), b'C'),
        ),
        refused(
            "a deletion that calls itself a change",
            "patient/*.u",
            versions(change(), version('A'), B256::ZERO, b'U'),
        ),
        refused(
            "a change without an action",
            "patient/*.u",
            versions(change(), version('A'), version('B'), 0),
        ),
        covered(
            "a change without an action, all allowed",
            "patient/*.cud",
            versions(change(), version('A'), version('B'), 0),
        ),
        covered(
            "a change without versions goes by its action",
            "patient/*.u",
            versions(change(), B256::ZERO, B256::ZERO, b'U'),
        ),
        not(
            "a change that calls itself a look",
            Refusal::Contradiction,
            None,
            versions(change(), version('A'), version('B'), b'R')
                .before(DAY_MS, signed(MARI, grant())),
        ),
    ]
}

fn emergencies() -> Vec<Case> {
    let urgent = || change().purpose("BTG");
    let commitment = || change().act.commitment;
    let no = |signer: u8| signed(signer, revoke(address(MARI), commitment()));
    let to_look = Grant { scopes: "patient/*.rs".into(), ..grant() };
    let of = || id(approval());
    let frozen = |scene: Scene| {
        scene.with(|scene| {
            let freeze = Freeze { subject: address(MARI), from_s: NOON_S, until_s: None };
            scene.world.chain.freezes.push(freeze);
        })
    };
    vec![
        waits("an emergency waits", Pending::Emergency, None, urgent()),
        waits("an emergency look waits", Pending::Emergency, None, look().purpose("BTG")),
        waits(
            "an emergency beyond what was granted",
            Pending::Emergency,
            id(to_look.clone()),
            urgent().before(DAY_MS, signed(MARI, to_look)),
        ),
        waits(
            "an emergency after the grant was taken back",
            Pending::Emergency,
            id(grant()),
            urgent()
                .before(DAY_MS, signed(MARI, grant()))
                .before(HOUR_MS, signed(MARI, revoke(address(MARI), id(grant())))),
        ),
        waits("an emergency while all is frozen", Pending::Emergency, None, frozen(urgent())),
        not(
            "emergency treatment does not wait",
            Refusal::NoPermission,
            None,
            change().purpose("ETREAT"),
        ),
        counts(
            "an emergency change that was approved afterwards",
            Basis::Confirmed,
            of(),
            urgent().after(DAY_MS, signed(MARI, approval())),
        ),
        waits(
            "an emergency change of which another was approved",
            Pending::Emergency,
            None,
            urgent().after(
                DAY_MS,
                signed(MARI, ChangeApproval { toVersion: version('C'), ..approval() }),
            ),
        ),
        waits(
            "an emergency change that a stranger approved",
            Pending::Emergency,
            None,
            urgent().after(DAY_MS, signed(STRANGER, approval())),
        ),
        waits(
            "an approval afterwards that came too late itself",
            Pending::Emergency,
            None,
            urgent().after(8 * DAY_MS, signed(MARI, approval())),
        ),
        waits(
            "the same emergency change a second time",
            Pending::Emergency,
            None,
            urgent().after(DAY_MS, signed(MARI, approval())).with(|scene| {
                scene.world.uses = vec![Use { approval: of(), index: 40 }];
            }),
        ),
        counts(
            "an approval of an emergency that was taken back after it was given",
            Basis::Confirmed,
            of(),
            urgent()
                .after(DAY_MS, signed(MARI, approval()))
                .after(2 * DAY_MS, signed(MARI, revoke(address(MARI), of()))),
        ),
        waits(
            "an approval of an emergency that was taken back before it was seen",
            Pending::Emergency,
            None,
            urgent()
                .after(HOUR_MS, signed(MARI, revoke(address(MARI), of())))
                .after(DAY_MS, signed(MARI, approval())),
        ),
        waits(
            "an emergency change whose approval was taken back before it",
            Pending::Emergency,
            of(),
            urgent()
                .naming(approval())
                .before(DAY_MS, signed(MARI, approval()))
                .before(HOUR_MS, signed(MARI, revoke(address(MARI), of()))),
        ),
        waits(
            "an emergency change whose approval had ended before it",
            Pending::Emergency,
            None,
            urgent()
                .before(DAY_MS, signed(MARI, ChangeApproval { expiresAt: NOON_S, ..approval() })),
        ),
        counts(
            "an emergency change that was approved before, and does not say so",
            Basis::Confirmed,
            of(),
            urgent().before(DAY_MS, signed(MARI, approval())),
        ),
        not(
            "an emergency to which the person said no",
            Refusal::Contested,
            None,
            urgent().after(DAY_MS, no(MARI)),
        ),
        not(
            "no and yes to the same emergency: no",
            Refusal::Contested,
            None,
            urgent().after(DAY_MS, signed(MARI, approval())).after(DAY_MS, no(MARI)),
        ),
        not(
            "no on chain",
            Refusal::Contested,
            None,
            urgent().standing(address(MARI), commitment(), None, Some(NOON_S + 60)),
        ),
        waits("a stranger said no", Pending::Emergency, None, urgent().after(DAY_MS, no(STRANGER))),
        counts(
            "no to something that was permitted changes nothing",
            Basis::Approval,
            of(),
            approved().after(DAY_MS, no(MARI)),
        ),
        not(
            "record by record: an emergency elsewhere is none here",
            Refusal::NoPermission,
            None,
            change().with(|scene| scene.act.report.record = record()).purpose("TREAT"),
        ),
    ]
}
