use crate::support::{CLINIC, FAULTS, Fault, World, address_of, now_ms, pseudonym};
use alloy_primitives::Address;
use medtrail_ledger::directory::organisation_id;
use medtrail_oracle::intake::ReportError;
use medtrail_oracle::organisations::{DirectoryError, INVITE_MS, NewOrganisation, ReportsBy};

fn hospital() -> NewOrganisation {
    NewOrganisation {
        name: "Hospital".into(),
        domain: "hospital.example".into(),
        ..NewOrganisation::default()
    }
}

fn acts(world: &World) -> Vec<String> {
    let operations = world.details_of_kind(16);
    operations.iter().map(|details| details["act"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invited_key_joins_once_reports_at_once_and_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    let key = address_of(5);
    let invite = world.service.add_organisation(hospital()).await.unwrap();
    assert_eq!(invite.organisation, organisation_id("Hospital"));
    let sent = world.report(5, pseudonym(1), 1);
    let early = world.service.report(sent.clone()).await;
    assert!(matches!(early, Err(ReportError::UnknownCustodian(_))), "{early:?}");

    let enrolment = world.service.enrol(&invite.code, key).await.unwrap();
    assert_eq!(enrolment.organisation.reports_by, ReportsBy::Signature);
    assert_eq!(Some(enrolment.shared_key.clone()), world.service.key_of(invite.organisation));
    assert_eq!(enrolment.trust.organisation_of(key, now_ms()).unwrap().name, "Hospital");
    world.service.report(sent).await.unwrap();

    let again = world.service.enrol(&invite.code, key).await.unwrap();
    assert_eq!(again.shared_key, enrolment.shared_key);
    let other = world.service.enrol(&invite.code, address_of(6)).await;
    assert!(matches!(other, Err(DirectoryError::InviteUsed)), "{other:?}");
    assert_eq!(acts(&world), ["organisation-added", "key-enrolled"]);
    let operation = world.all().into_iter().find(|entry| entry.report.kind == 16).unwrap();
    assert_eq!(operation.report.actor, world.operator);
    assert!(operation.report.subject.is_zero());
    world.stop().await;

    let world = World::start(&folder);
    assert_eq!(world.service.key_of(invite.organisation), Some(enrolment.shared_key));
    let listed = world.service.organisations();
    assert_eq!(
        listed.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(),
        ["Clinic", "Hospital"]
    );
    assert!(listed[1].last_heard_ms.is_some_and(|at| at <= now_ms()), "{listed:?}");
    assert_eq!(listed[0].last_heard_ms, None);
    world.service.report(world.report(5, pseudonym(1), 2)).await.unwrap();
    assert_eq!(acts(&world).len(), 2, "nothing is entered twice");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enrolment_that_was_cut_short_anywhere_is_repeated_by_the_same_key() {
    for fault in FAULTS {
        for place in 0..4 {
            let folder = tempfile::tempdir().unwrap();
            let world = World::start(&folder);
            let invite = world.service.add_organisation(hospital()).await.unwrap();
            let (code, key) = (invite.code.as_str(), address_of(5));
            match place {
                0 => world.keys.faults.fail_after(0, fault),
                1 => world.book.faults.fail_after(0, fault),
                // The act stands; its entry, or the note that it is entered, fails.
                2 => world.disk.faults.fail_after(0, fault),
                _ => world.book.faults.fail_after(1, fault),
            }
            let first = world.service.enrol(code, key).await;
            assert_eq!(first.is_ok(), place >= 2, "{fault:?} {place} {first:?}");
            if fault == Fault::FailsButPersists && place == 1 {
                let other = world.service.enrol(code, address_of(6)).await;
                assert!(matches!(other, Err(DirectoryError::InviteUsed)), "{other:?}");
            }
            world.stop().await;

            let world = World::start(&folder);
            let enrolment = world.service.enrol(code, key).await.unwrap();
            assert_eq!(enrolment.organisation.keys.len(), 1, "{fault:?} {place}");
            assert_eq!(world.service.key_of(invite.organisation), Some(enrolment.shared_key));
            world.service.report(world.report(5, pseudonym(1), 1)).await.unwrap();
            assert_eq!(acts(&world), ["organisation-added", "key-enrolled"], "{fault:?} {place}");
            world.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn invites_of_others_unknown_ones_and_old_ones_open_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    let named = NewOrganisation { address: Some(address_of(5)), ..hospital() };
    let invite = world.service.add_organisation(named).await.unwrap();
    assert_eq!(invite.organisation, address_of(5));
    let other = world.service.enrol(&invite.code, address_of(6)).await;
    assert!(matches!(other, Err(DirectoryError::OtherKey { .. })), "{other:?}");
    for taken in [world.operator, address_of(CLINIC)] {
        let refused = world.service.enrol(&invite.code, taken).await;
        assert!(matches!(refused, Err(DirectoryError::KeyTaken(_))), "{refused:?}");
    }
    let unknown = world.service.enrol("no such code", address_of(5)).await;
    assert!(matches!(unknown, Err(DirectoryError::Invite)), "{unknown:?}");
    let twice = world.service.add_organisation(hospital()).await;
    assert!(matches!(twice, Err(DirectoryError::Taken(_))), "{twice:?}");
    for name in ["", " Clinic 2", "a\u{7}b", "a\u{202e}b", "a\u{200b}b"] {
        let bad = NewOrganisation { name: name.into(), ..hospital() };
        let refused = world.service.add_organisation(bad).await;
        assert!(matches!(refused, Err(DirectoryError::Name)), "{refused:?}");
    }
    world.stop().await;

    let world = World::start_at(&folder, || now_ms() + INVITE_MS);
    let old = world.service.enrol(&invite.code, address_of(5)).await;
    assert!(matches!(old, Err(DirectoryError::Invite)), "{old:?}");
    let fresh = world.service.invite(invite.organisation).await.unwrap();
    world.service.enrol(&fresh.code, address_of(5)).await.unwrap();
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configured_organisation_gets_its_key_when_it_is_asked_for_and_may_add_another_signer() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    let clinic = address_of(CLINIC);
    let shared = world.service.key_of(clinic).unwrap();
    assert_eq!(world.service.key_of(Address::repeat_byte(9)), None);
    let invite = world.service.invite(clinic).await.unwrap();
    let enrolment = world.service.enrol(&invite.code, address_of(5)).await.unwrap();
    assert_eq!((enrolment.organisation.id, enrolment.shared_key), (clinic, shared.clone()));
    assert_eq!(world.service.organisation_of(address_of(5)), Some(clinic));
    world.service.report(world.report(5, pseudonym(1), 1)).await.unwrap();
    world.stop().await;
    let world = World::start(&folder);
    assert_eq!(world.service.key_of(clinic), Some(shared));
    world.service.report(world.report(5, pseudonym(1), 2)).await.unwrap();
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_key_opens_until_it_is_revoked_and_its_secret_is_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    let invite = world.service.add_organisation(hospital()).await.unwrap();
    let key = world.service.create_api_key(invite.organisation).await.unwrap();
    let presented = key.to_string();
    let caller = world.service.api_key(&presented).unwrap();
    assert_eq!((caller.organisation, caller.name.as_str()), (invite.organisation, "Hospital"));
    for wrong in ["", "mtk_", "mtk__", &presented[..presented.len() - 1], &presented[4..]] {
        assert_eq!(world.service.api_key(wrong), None, "{wrong}");
    }
    let other = world.service.create_api_key(invite.organisation).await.unwrap();
    assert_eq!(world.service.api_key(&format!("mtk_{}_{}", other.id, key.secret)), None);
    assert_eq!(world.service.listed_by_name("Hospital").reports_by, ReportsBy::ApiKey);
    let unknown = world.service.create_api_key(Address::repeat_byte(9)).await;
    assert!(matches!(unknown, Err(DirectoryError::UnknownOrganisation(_))), "{unknown:?}");
    world.stop().await;

    let stored = std::fs::read(folder.path().join("directory/directory.redb")).unwrap();
    for secret in [&key.secret, &other.secret, &invite.code] {
        let is_there = stored.windows(secret.len()).any(|bytes| bytes == secret.as_bytes());
        assert!(!is_there, "a secret is on disk");
    }
    let world = World::start(&folder);
    assert!(world.service.api_key(&presented).is_some());
    world.service.revoke_api_key(&key.id).await.unwrap();
    assert_eq!(world.service.api_key(&presented), None);
    world.service.revoke_api_key(&key.id).await.unwrap();
    assert!(world.service.api_key(&other.to_string()).is_some());
    let expected = ["organisation-added", "api-key-created", "api-key-created", "api-key-revoked"];
    assert_eq!(acts(&world), expected);
    world.stop().await;
}

/// Whoever has a signed report, its person above all, can send it again.
#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_new_is_a_sign_of_life() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    let sent = world.report(CLINIC, pseudonym(1), 1);
    world.service.report(sent.clone()).await.unwrap();
    let invite = world.service.add_organisation(hospital()).await.unwrap();
    let key = world.service.create_api_key(invite.organisation).await.unwrap().to_string();
    let begun = now_ms();
    world.stop().await;

    let world = World::start_at(&folder, || now_ms() + 3_600_000);
    let heard = |name| world.service.listed_by_name(name).last_heard_ms;
    world.service.report(sent.clone()).await.unwrap();
    let again = world.service.reports(vec![sent.clone(), sent]).await;
    assert!(again.iter().all(Result::is_ok));
    assert!(heard("Clinic").unwrap() <= begun, "a repeat is no sign of life");
    // Nor is a key that only reads.
    let caller = world.service.api_key(&key).unwrap();
    assert_eq!(heard("Hospital"), None);
    world.service.relay_for(caller.organisation, world.relayed(pseudonym(2), 7)).await.unwrap();
    assert!(heard("Hospital").unwrap() > begun);
    world.service.report(world.report(CLINIC, pseudonym(1), 2)).await.unwrap();
    assert!(heard("Clinic").unwrap() > begun);
    world.stop().await;
}

/// The story: between two sendings of the same event the operator gets another key.
#[tokio::test(flavor = "multi_thread")]
async fn a_relayed_event_is_known_again_whichever_key_the_operator_has_by_now() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    let sent = world.relayed(pseudonym(1), 1);
    let first = world.service.relay(sent.clone()).await.unwrap();
    let (id, signed) = world.until_countersignature(pseudonym(2), 21, "code").await;
    world.disk.faults.fail_after(1, Fault::FailsButPersists);
    world.book.faults.fail_after(1, Fault::Fails);
    world.service.countersign(address_of(CLINIC), id, signed.clone()).await.unwrap_err();
    world.stop().await;

    let world = World::start_as(&folder, now_ms, &[7]);
    let mut again = sent.clone();
    again.report.actor = address_of(7);
    let receipt = world.service.relay(again.clone()).await.unwrap();
    assert_eq!((receipt.index, receipt.report_hash), (first.index, first.report_hash));
    again.report.action = b'U';
    let other = world.service.relay(again).await;
    assert!(matches!(other, Err(ReportError::Conflict { index, .. }) if index == first.index));
    // The same holds for what the log itself writes.
    world.service.countersign(address_of(CLINIC), id, signed).await.unwrap();
    assert_eq!(world.details_of_kind(11).len(), 2);
    // Whoever knows another's event cannot have it refused: that was signed.
    let signed = world.report(CLINIC, pseudonym(1), 1);
    assert_eq!(signed.report.eventId, sent.report.eventId);
    let receipt = world.service.report(signed).await.unwrap();
    assert_ne!(receipt.index, first.index);
    world.stop().await;
}

trait ByName {
    fn listed_by_name(&self, name: &str) -> medtrail_oracle::organisations::Listed;
}

impl ByName for medtrail_oracle::service::Service {
    fn listed_by_name(&self, name: &str) -> medtrail_oracle::organisations::Listed {
        self.organisations().into_iter().find(|one| one.name == name).unwrap()
    }
}
