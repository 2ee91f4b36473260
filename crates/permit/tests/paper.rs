//! What is asked about a document: whether a log may record it, and how it stands.

mod support;

use alloy_primitives::{Address, B256};
use medtrail_permit::check::check;
use medtrail_permit::documents::{
    ChangeApproval, Document, Grant, Guardianship, RecoveryPolicy, Revoke, RevokeAll,
};
use medtrail_permit::permits::{
    Controller, Epoch, Freeze, Refusal, State, Use, World, epoch, may_record, states,
};
use medtrail_permit::signed::Signed;
use support::{
    FATHER, Given, HOSPITAL, HOUR_MS, JAAN, KADRI, LAB, MARI, MOTHER, NEW_KEY, NOON_MS, NOON_S,
    REGISTRIES, STRANGER, Scene, about_jaan, address, approval, delegation, grant, grant_for_jaan,
    guardianship, id, jaan, look, revoke, revoke_all, sign, signed, signed_for,
};

fn of_mari(signed: &Signed, world: &World) -> Result<(), Refusal> {
    may_record(signed, address(MARI).into_word(), NOON_MS, world)
}

fn known(change: impl FnOnce(Scene) -> Scene) -> World {
    change(look()).world
}

fn moved(is_final: bool) -> World {
    known(|scene| {
        scene.with(|scene| {
            scene.world.chain.controllers.push(Controller {
                subject: address(MARI),
                controller: address(NEW_KEY),
                at_s: NOON_S - 60,
                is_final,
            });
        })
    })
}

#[test]
fn a_person_says_for_themself_what_they_give_and_take_back() {
    let nothing = known(|scene| scene);
    let all: [Given; 5] = [
        grant().into(),
        approval().into(),
        revoke(address(MARI), id(grant())).into(),
        revoke_all(0).into(),
        delegation().into(),
    ];
    for document in all {
        let own = signed(MARI, Given(document.0.clone()));
        assert_eq!(of_mari(&own, &nothing), Ok(()), "{own:?}");
        let strange = signed(STRANGER, document);
        assert_eq!(of_mari(&strange, &nothing), Err(Refusal::NotTheController), "{strange:?}");
        assert_eq!(of_mari(&own, &moved(true)), Err(Refusal::ControlMoved));
    }
    let theirs = signed(STRANGER, Grant { subject: address(STRANGER), ..grant() });
    assert_eq!(of_mari(&theirs, &nothing), Err(Refusal::WrongSubject));
    let new = signed(NEW_KEY, grant());
    assert_eq!(of_mari(&new, &moved(true)), Ok(()));
    assert_eq!(of_mari(&new, &moved(false)), Err(Refusal::NotFinal));
}

#[test]
fn a_document_for_another_registry_is_signed_by_nobody_known() {
    let elsewhere =
        medtrail_permit::documents::Registries { consent_registry: Address::ZERO, ..REGISTRIES };
    let there = signed_for(&elsewhere, MARI, grant());
    assert_eq!(of_mari(&there, &known(|scene| scene)), Err(Refusal::NotTheController));
    let broken = Signed { signature: Some(vec![0; 65].into()), ..there };
    assert_eq!(of_mari(&broken, &known(|scene| scene)), Err(Refusal::InvalidSignature));
}

#[test]
fn who_acts_for_a_person_permits_and_takes_back_but_ends_no_epoch_and_delegates_nothing() {
    let world = known(|scene| scene.before(HOUR_MS, signed(MARI, delegation())));
    assert_eq!(of_mari(&signed(KADRI, grant()), &world), Ok(()));
    assert_eq!(of_mari(&signed(KADRI, revoke(address(MARI), id(grant()))), &world), Ok(()));
    let resigns = signed(KADRI, revoke(address(MARI), id(delegation())));
    assert_eq!(of_mari(&resigns, &world), Ok(()));
    assert!(of_mari(&signed(KADRI, revoke_all(0)), &world).is_err());
    assert!(of_mari(&signed(KADRI, delegation()), &world).is_err());
    let see = medtrail_permit::documents::Delegation { rights: "SEE".into(), ..delegation() };
    let see = known(|scene| scene.before(HOUR_MS, signed(MARI, see)));
    assert_eq!(of_mari(&signed(KADRI, grant()), &see), Err(Refusal::NoRight));
}

#[test]
fn while_permissions_are_frozen_nothing_is_given_and_anything_taken_back() {
    let world = known(|scene| {
        scene.with(|scene| {
            let freeze = Freeze { subject: address(MARI), from_s: NOON_S - 60, until_s: None };
            scene.world.chain.freezes.push(freeze);
        })
    });
    assert_eq!(of_mari(&signed(MARI, grant()), &world), Err(Refusal::Frozen));
    assert_eq!(of_mari(&signed(MARI, delegation()), &world), Err(Refusal::Frozen));
    assert_eq!(of_mari(&signed(MARI, revoke(address(MARI), id(grant()))), &world), Ok(()));
    assert_eq!(of_mari(&signed(MARI, revoke_all(0)), &world), Ok(()));
}

#[test]
fn without_a_signature_the_registry_must_show_the_document_for_good() {
    let bare = Signed { signature: None, ..signed(MARI, grant()) };
    let on_chain =
        |granted| known(|scene| scene.standing(address(MARI), id(grant()), granted, None));
    assert_eq!(of_mari(&bare, &known(|scene| scene)), Err(Refusal::NotSigned));
    assert_eq!(of_mari(&bare, &on_chain(None)), Err(Refusal::NotSigned));
    assert_eq!(of_mari(&bare, &on_chain(Some((NOON_S - 9, false)))), Err(Refusal::NotFinal));
    assert_eq!(of_mari(&bare, &on_chain(Some((NOON_S - 9, true)))), Ok(()));
    let others =
        known(|scene| scene.standing(address(LAB), id(grant()), Some((NOON_S - 9, true)), None));
    assert_eq!(of_mari(&bare, &others), Err(Refusal::NotSigned));
}

#[test]
fn a_guardian_needs_the_word_of_the_custodian_that_keeps_the_pseudonym() {
    let keeps = about_jaan(look()).world;
    let record = |signed: &Signed, world: &World| may_record(signed, JAAN, NOON_MS, world);
    let mother = guardianship(MOTHER, "SEE PERMIT");
    assert_eq!(record(&mother, &keeps), Ok(()));
    assert_eq!(record(&mother, &look().world), Err(Refusal::WrongSubject));
    let alone = Signed { countersignature: None, ..mother.clone() };
    assert_eq!(record(&alone, &keeps), Err(Refusal::NoRight));
    let by_father =
        Signed { signature: Some(sign(FATHER, mother.document.id(&REGISTRIES))), ..mother.clone() };
    assert_eq!(record(&by_father, &keeps), Err(Refusal::NotTheController));
    let Document::Guardianship(document) = mother.document.clone() else { unreachable!() };
    let lab = Guardianship { custodian: address(LAB), ..document };
    let lab = signed(MOTHER, lab);
    let countersignature = Some(sign(LAB, lab.document.id(&REGISTRIES)));
    assert_eq!(record(&Signed { countersignature, ..lab }, &keeps), Err(Refusal::NoRight));

    let world = about_jaan(look()).before(HOUR_MS, mother.clone()).world;
    assert_eq!(record(&signed(MOTHER, grant_for_jaan()), &world), Ok(()));
    assert_eq!(record(&signed(FATHER, grant_for_jaan()), &world), Err(Refusal::NotTheController));
    let ended = signed(HOSPITAL, revoke(jaan(), id(mother.document)));
    assert_eq!(record(&ended, &world), Ok(()));
    let of_grant = signed(HOSPITAL, revoke(jaan(), id(grant_for_jaan())));
    assert_eq!(record(&of_grant, &world), Err(Refusal::NotTheController));
}

#[test]
fn what_is_no_permission_is_not_recorded_as_one() {
    let policy = RecoveryPolicy { subject: address(MARI), ..RecoveryPolicy::default() };
    let policy = signed(MARI, Given(Document::RecoveryPolicy(policy)));
    assert_eq!(of_mari(&policy, &known(|scene| scene)), Err(Refusal::NotAPermission));
}

fn state_of(document: impl Into<Given>, world: &World) -> Option<State> {
    let id = id(document);
    let states = states(address(MARI).into_word(), NOON_MS, world);
    let mut found = states.iter().filter(|(one, _)| *one == id);
    let state = found.next().map(|(_, state)| *state);
    assert!(found.next().is_none(), "{id} is told twice");
    state
}

#[test]
fn a_document_stands_until_it_is_taken_back_or_over_or_ended() {
    let given = || look().before(2 * HOUR_MS, signed(MARI, grant()));
    let taken = signed(MARI, revoke(address(MARI), id(grant())));
    assert_eq!(state_of(grant(), &look().world), None);
    assert_eq!(state_of(grant(), &given().world), Some(State::Standing));
    let twice = given().before(HOUR_MS, taken.clone()).before(1000, taken.clone()).world;
    let revoked = State::Revoked { at_ms: NOON_MS - HOUR_MS };
    assert_eq!(state_of(grant(), &twice), Some(revoked));
    let later = given().after(1000, taken).world;
    assert_eq!(state_of(grant(), &later), Some(State::Standing));
    let shown_twice = given().before(HOUR_MS, signed(STRANGER, grant())).world;
    assert_eq!(state_of(grant(), &shown_twice), Some(State::Standing));
    let strange = signed(STRANGER, revoke(address(MARI), id(grant())));
    assert_eq!(state_of(grant(), &given().before(1000, strange).world), Some(State::Standing));
    let on_chain = given().standing(address(MARI), id(grant()), None, Some(NOON_S - 5)).world;
    let revoked = State::Revoked { at_ms: (NOON_S - 5) * 1000 };
    assert_eq!(state_of(grant(), &on_chain), Some(revoked));

    let over = Grant { expiresAt: NOON_S, ..grant() };
    let world = look().before(HOUR_MS, signed(MARI, over.clone())).world;
    assert_eq!(state_of(over, &world), Some(State::Expired));
    let ended = given().before(HOUR_MS, signed(MARI, revoke_all(0))).world;
    assert_eq!(state_of(grant(), &ended), Some(State::Ended));
    let too_late = look().before(HOUR_MS, signed(MARI, revoke_all(0)));
    let too_late = too_late.before(1000, signed(MARI, grant())).world;
    assert_eq!(state_of(grant(), &too_late), Some(State::Ended));

    let approved = || look().before(HOUR_MS, signed(MARI, approval()));
    assert_eq!(state_of(approval(), &approved().world), Some(State::Standing));
    let used = Use { approval: id(approval()), index: 3 };
    let used = approved().with(|scene| scene.world.uses.push(used)).world;
    assert_eq!(state_of(approval(), &used), Some(State::Ended));
    assert_eq!(state_of(revoke_all(0), &ended), None);
}

#[test]
fn a_delegate_acts_until_dismissed() {
    let given = || look().before(2 * HOUR_MS, signed(MARI, delegation()));
    assert_eq!(state_of(delegation(), &given().world), Some(State::Standing));
    let dismissed = signed(MARI, revoke(address(MARI), id(delegation())));
    let dismissed = given().before(HOUR_MS, dismissed).world;
    let revoked = State::Revoked { at_ms: NOON_MS - HOUR_MS };
    assert_eq!(state_of(delegation(), &dismissed), Some(revoked));
    let ended = given().before(HOUR_MS, signed(MARI, revoke_all(0))).world;
    assert_eq!(state_of(delegation(), &ended), Some(State::Ended));
}

#[test]
fn the_epoch_is_that_of_log_and_chain_together() {
    let number = |world: &World| epoch(address(MARI).into_word(), NOON_MS, world);
    assert_eq!(number(&look().world), Some(0));
    let ended = look().before(HOUR_MS, signed(MARI, RevokeAll { epoch: 4, ..revoke_all(0) }));
    assert_eq!(number(&ended.world), Some(5));
    let strange = look().before(HOUR_MS, signed(STRANGER, revoke_all(0)));
    assert_eq!(number(&strange.world), Some(0));
    let on_chain = ended.with(|scene| {
        let begun = Epoch { subject: address(MARI), epoch: 7, at_s: NOON_S - 60 };
        scene.world.chain.epochs.push(begun);
    });
    assert_eq!(number(&on_chain.world), Some(7));
}

#[test]
fn what_is_wrong_with_a_document_names_a_field_that_it_has() {
    let wrong = [
        Document::Grant(Grant::default()),
        Document::Grant(Grant { scopes: "x".into(), ..grant() }),
        Document::Grant(Grant { purposes: String::new(), ..grant() }),
        Document::Grant(Grant { expiresAt: 0, ..grant() }),
        Document::ChangeApproval(ChangeApproval {
            toVersion: approval().fromVersion,
            ..approval()
        }),
        Document::Revoke(Revoke { permission: B256::ZERO, ..revoke(address(MARI), B256::ZERO) }),
        Document::Grant(grant()),
    ];
    for document in wrong {
        let field = check(&document).unwrap_err().field();
        let value = serde_json::to_value(&document).unwrap();
        assert!(!value[document.word()][field].is_null(), "{field} of {value}");
    }
}
