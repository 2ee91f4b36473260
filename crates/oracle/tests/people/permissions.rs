//! What a person signs becomes an entry of their trail, whoever carries it, once, and nobody else's
//! word does.

use crate::permits::{
    ANNA, KADRI, STRANGER, approval, delegation, grant, grant_for, guardianship, id, revoke,
    revoke_all, signed, told,
};
use crate::support::{CLINIC, FAULTS, REGISTRIES, World, address_of, pseudonym, sign_digest};
use alloy_primitives::{Address, B256};
use medtrail_ledger::consents::ConsentEvent;
use medtrail_ledger::entry::subject_of;
use medtrail_ledger::proof::Evidence;
use medtrail_oracle::intake::ReportError;
use medtrail_oracle::permissions::PermissionError;
use medtrail_oracle::sequencer::PlaceError;
use medtrail_permit::documents::{Document, Erase, Grant, RecoveryPolicy, Registries};
use medtrail_permit::permits::{Refusal, State};
use medtrail_permit::signed::{PermissionDetails, Signed};

async fn refused(world: &World, signed: Signed) -> PermissionError {
    world.service.record(signed).await.unwrap_err()
}

async fn is_refused_as(world: &World, signed: Signed, reason: Refusal) {
    let error = refused(world, signed).await;
    assert!(matches!(error, PermissionError::Refused(found) if found == reason), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_signed_becomes_an_entry_of_their_trail_once() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    let documents =
        [grant(), approval("penicillin"), delegation(), revoke(id(&grant())), revoke_all(0)];
    for (place, document) in documents.iter().enumerate() {
        let first = world.give(ANNA, document.clone()).await;
        assert_eq!((first.id, first.is_new), (id(document), true));
        let again = world.give(ANNA, document.clone()).await;
        assert_eq!((again.id, again.is_new), (first.id, false));
        assert_eq!(again.receipt.index, first.receipt.index);
        assert_eq!(again.receipt.place_hash, first.receipt.place_hash);

        let entry = world.service.entry(first.receipt.index).unwrap();
        let report = &entry.report;
        assert_eq!((report.kind, report.subject), (4, subject_of(address_of(ANNA))));
        assert_eq!((report.actor, report.permission), (world.operator, first.id));
        assert_eq!(report.action, if place < 3 { b'C' } else { b'D' });
        assert_eq!(entry.evidence, Evidence::Relayed);
        let kept = PermissionDetails::read(entry.details.as_deref().unwrap()).unwrap();
        assert_eq!(kept, signed(ANNA, document.clone()));
        assert_eq!(kept.signer(&REGISTRIES).unwrap(), Some(address_of(ANNA)));
    }
    assert_eq!(world.whole(address_of(ANNA)).len(), documents.len());
    world.stop().await;

    let world = World::start(&folder);
    let again = world.give(ANNA, grant()).await;
    assert!(!again.is_new);
    assert_eq!(world.whole(address_of(ANNA)).len(), documents.len());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_carry_the_same_document_at_the_same_time_make_one_entry() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    let carried = (0..8).map(|_| {
        let (service, document) = (world.service.clone(), signed(ANNA, grant()));
        tokio::spawn(async move { service.record(document).await.unwrap().receipt.index })
    });
    let mut indexes = Vec::new();
    for one in carried.collect::<Vec<_>>() {
        indexes.push(one.await.unwrap());
    }
    assert!(indexes.iter().all(|index| *index == indexes[0]), "{indexes:?}");
    assert_eq!(world.whole(address_of(ANNA)).len(), 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failed_write_the_same_document_gets_its_one_place() {
    for fault in FAULTS {
        let folder = tempfile::tempdir().unwrap();
        let world = World::start(&folder);
        world.disk.faults.fail_after(0, fault);
        let error = refused(&world, signed(ANNA, grant())).await;
        let unknown = PlaceError::OutcomeUnknown;
        assert!(
            matches!(&error, PermissionError::Report(ReportError::Place(place)) if *place == unknown),
            "{error:?}"
        );
        world.give(ANNA, grant()).await;
        assert_eq!(world.whole(address_of(ANNA)).len(), 1, "{fault:?}");
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_records_nothing_in_anothers_trail() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    for document in [grant(), approval("x"), revoke(id(&grant())), revoke_all(0), delegation()] {
        is_refused_as(&world, signed(STRANGER, document), Refusal::NotTheController).await;
    }
    // Of another chain, of another registry, of another text: another digest, so another signer.
    let elsewhere = [
        Registries { chain_id: 1, ..REGISTRIES },
        Registries { consent_registry: Address::ZERO, ..REGISTRIES },
    ];
    for registries in elsewhere {
        let signature = Some(sign_digest(ANNA, grant().id(&registries)));
        let foreign = Signed { document: grant(), signature, countersignature: None };
        is_refused_as(&world, foreign, Refusal::NotTheController).await;
    }
    let Document::Grant(grant) = grant() else { unreachable!() };
    let other = Grant { statement: grant.statement.replace("data", "DATA"), ..grant.clone() };
    let error = refused(&world, signed(ANNA, Document::Grant(other))).await;
    assert!(matches!(error, PermissionError::Document(_)), "{error:?}");
    let broken = Signed {
        document: Document::Grant(grant.clone()),
        signature: Some(vec![7; 64].into()),
        countersignature: None,
    };
    let error = refused(&world, broken).await;
    assert!(matches!(error, PermissionError::Signature(_)), "{error:?}");
    let countersigned = Signed {
        countersignature: Some(sign_digest(CLINIC, B256::ZERO)),
        ..signed(ANNA, Document::Grant(grant))
    };
    let error = refused(&world, countersigned).await;
    assert!(matches!(error, PermissionError::Countersigned), "{error:?}");
    let policy = Document::RecoveryPolicy(RecoveryPolicy {
        subject: address_of(ANNA),
        ..RecoveryPolicy::default()
    });
    let error = refused(&world, signed(ANNA, policy)).await;
    assert!(matches!(error, PermissionError::Type("recoveryPolicy")), "{error:?}");
    let erase = Document::Erase(Erase { subject: address_of(ANNA), ..Erase::default() });
    let error = refused(&world, signed(ANNA, told(erase))).await;
    assert!(matches!(error, PermissionError::Document(_)), "{error:?}");
    assert_eq!(world.service.head().size, 0, "nothing was written");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delegate_gives_and_takes_back_until_dismissed() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    is_refused_as(&world, signed(KADRI, grant()), Refusal::NotTheController).await;
    world.give(ANNA, delegation()).await;
    world.give(KADRI, grant()).await;
    // The same document by another hand is said anew: what Kadri gave ends with her right.
    let own = world.give(ANNA, grant()).await;
    assert!(own.is_new);
    world.give(ANNA, revoke(id(&delegation()))).await;
    is_refused_as(&world, signed(KADRI, grant_for("patient/*.r", 9)), Refusal::NoRight).await;
    assert_eq!(world.whole(address_of(ANNA)).len(), 4);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_control_by_the_chain_speaks_and_a_lost_key_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    let moved = ConsentEvent::ControlMoved { controller: address_of(KADRI), at_s: 1_700_000_000 };
    world.chain.record(address_of(ANNA), moved, true);
    is_refused_as(&world, signed(ANNA, grant()), Refusal::ControlMoved).await;
    world.give(KADRI, grant()).await;
    assert_eq!(world.service.overview(address_of(ANNA)).unwrap().controller, address_of(KADRI));

    // While the chain is away, what hangs on it waits; the person's first key may still speak, and
    // what it says counts or not once the chain is read.
    world.chain.go(true);
    let error = refused(&world, signed(KADRI, grant_for("patient/*.r", 8))).await;
    assert!(matches!(error, PermissionError::ChainUnreadable(_)), "{error:?}");
    world.give(ANNA, grant_for("patient/*.r", 9)).await;
    world.chain.go(false);
    let overview = world.service.overview(address_of(ANNA)).unwrap();
    let states: Vec<State> = overview.given.iter().map(|one| one.state).collect();
    assert_eq!(states, [State::Ended, State::Standing]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contract_wallet_shows_on_chain_what_it_permits() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    let bare = || Signed { document: grant(), signature: None, countersignature: None };
    is_refused_as(&world, bare(), Refusal::NotSigned).await;
    let granted = ConsentEvent::Granted { permission: id(&grant()), at_s: 1_700_000_000 };
    world.chain.record(address_of(ANNA), granted, false);
    is_refused_as(&world, bare(), Refusal::NotFinal).await;
    world.chain.finalise();
    let entered = world.service.record(bare()).await.unwrap();
    assert!(entered.is_new);
    let overview = world.service.overview(address_of(ANNA)).unwrap();
    assert_eq!(overview.given.len(), 1);
    let given = &overview.given[0];
    assert_eq!((given.state, given.signed.signature.clone()), (State::Standing, None));
    let on_chain = given.on_chain.unwrap();
    assert_eq!((on_chain.granted_at_s, on_chain.is_final), (Some(1_700_000_000), true));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overview_tells_how_each_document_stands() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    let nothing = world.service.overview(address_of(ANNA)).unwrap();
    assert_eq!((nothing.controller, nothing.epoch), (address_of(ANNA), 0));
    assert!(nothing.given.is_empty() && nothing.is_chain_read);

    let (taken, standing) = (grant_for("patient/*.r", 5), grant_for("patient/*.s", 6));
    world.give(ANNA, taken.clone()).await;
    world.give(ANNA, standing.clone()).await;
    let revoked = world.give(ANNA, revoke(id(&taken))).await;
    let told = world.service.overview(address_of(ANNA)).unwrap();
    let states: Vec<(B256, State)> = told.given.iter().map(|one| (one.id, one.state)).collect();
    let at_ms = world.service.entry(revoked.receipt.index).unwrap().place.receivedMs;
    assert_eq!(states, [(id(&standing), State::Standing), (id(&taken), State::Revoked { at_ms })]);
    world.give(ANNA, revoke_all(0)).await;
    world.chain.go(true);
    let told = world.service.overview(address_of(ANNA)).unwrap();
    assert_eq!((told.epoch, told.is_chain_read), (1, false));
    assert_eq!(told.given[0].state, State::Ended);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guardianship_needs_the_custodian_whose_pseudonym_it_is_and_ends_with_a_binding() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    let child = pseudonym(9);
    let document = guardianship(child);
    let both = || {
        let countersignature = Some(sign_digest(CLINIC, id(&document)));
        Signed { countersignature, ..signed(ANNA, document.clone()) }
    };
    // Nobody has reported about this child: it is nobody's pseudonym yet.
    is_refused_as(&world, both(), Refusal::NoRight).await;
    world.service.report(world.report(CLINIC, child, 1)).await.unwrap();
    is_refused_as(&world, signed(ANNA, document.clone()), Refusal::NoRight).await;
    let entered = world.service.record(both()).await.unwrap();
    let entry = world.service.entry(entered.receipt.index).unwrap();
    assert_eq!((entry.report.kind, entry.report.subject), (4, child));
    assert!(!world.service.record(both()).await.unwrap().is_new);

    world.bind(child, ANNA, "K7QM-2XVD-9RTA").await;
    let error = refused(&world, both()).await;
    assert!(matches!(error, PermissionError::Moved), "{error:?}");
    let of_address = guardianship(subject_of(address_of(KADRI)));
    let error = refused(&world, signed(ANNA, of_address)).await;
    assert!(matches!(error, PermissionError::NotAPseudonym), "{error:?}");
    world.stop().await;
}
