use crate::support::{CLINIC, FAULTS, World, address_of, now_ms, pseudonym, sign};
use alloy_primitives::{Address, B256};
use medtrail_ledger::binding::{BindingDetails, BindingDocumentError};
use medtrail_ledger::directory::code_hash;
use medtrail_ledger::entry::subject_of;
use medtrail_oracle::bindings::{BindingError, CODE_MS_MAX, Progress, TRIES_MAX};
use medtrail_oracle::feed::FeedItem;
use medtrail_oracle::intake::ReportError;
use medtrail_oracle::opener::Entry;
use medtrail_oracle::organisations::NewOrganisation;
use medtrail_oracle::sequencer::PlaceError;

const ANNA: u8 = 21;
const BERTA: u8 = 22;
const CODE: &str = "K7QM-2XVD-9RTA";

/// Both entries of the one binding: last of the pseudonym's trail, and in the address's.
fn assert_bound(world: &World, person: u8, whose: B256, entries: [u64; 2]) {
    let bindings: Vec<Entry> =
        world.all().into_iter().filter(|entry| entry.report.kind == 11).collect();
    assert_eq!(bindings.iter().map(|entry| entry.index).collect::<Vec<_>>(), entries);
    let subjects = [whose, subject_of(address_of(person))];
    for (entry, subject) in bindings.iter().zip(subjects) {
        assert_eq!((entry.report.subject, entry.report.actor), (subject, world.operator));
        let details: BindingDetails =
            serde_json::from_slice(entry.details.as_deref().unwrap()).unwrap();
        let domain = medtrail_ledger::schema::domain(
            world.service.trust().chain_id,
            world.service.trust().registry,
        );
        details.verify(&domain, entry.report.timeMs / 1000).unwrap();
        assert_eq!(details.subject(), subjects[1]);
        assert_eq!(details.document.pseudonym, whose);
        let id = medtrail_ledger::schema::digest(&details.document, &domain);
        assert_eq!(entry.report.permission, id);
    }
    let last = world.all().into_iter().rfind(|entry| entry.report.subject == whose).unwrap();
    assert_eq!(last.index, entries[0], "the binding is the last of the pseudonym's trail");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pseudonym_becomes_a_person_s_and_later_reports_are_sent_there() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    let (anna, clinic) = (address_of(ANNA), address_of(CLINIC));
    let old = world.report(CLINIC, pseudonym(1), 1);
    let placed = world.service.report(old.clone()).await.unwrap();
    assert!(world.whole(anna).is_empty());

    world.issue(pseudonym(1), CODE).await;
    let typed = CODE.to_lowercase().replace('-', " ");
    let (id, document) = world.service.binding_for(anna, &typed).unwrap();
    assert!(document.statement.starts_with("Clinic ("), "{}", document.statement);
    assert_eq!(world.service.own_bindings(anna)[0].progress, Progress::ToSign);
    assert!(world.service.pending_bindings(clinic).is_empty());
    world.service.sign_binding(anna, id, sign(ANNA, &document)).await.unwrap();
    let pending = world.service.pending_bindings(clinic);
    assert_eq!((pending[0].id, &pending[0].document), (id, &document));
    let entries =
        world.service.countersign(clinic, id, sign(CLINIC, &pending[0].document)).await.unwrap();
    assert_bound(&world, ANNA, pseudonym(1), entries);
    let again = world.service.countersign(clinic, id, sign(CLINIC, &document)).await.unwrap();
    assert_eq!(again, entries);
    assert_eq!(world.service.own_bindings(anna)[0].progress, Progress::Entered(entries));

    let seen: Vec<u64> = world.whole(anna).iter().map(|entry| entry.index).collect();
    assert_eq!(seen, [entries[1], entries[0], placed.index]);
    assert_eq!(world.service.subject_now(pseudonym(1)), subject_of(anna));
    for round in 0..2 {
        // In a batch: this one item, the rest stands.
        let batch = vec![
            world.report(CLINIC, pseudonym(2), 10 + round),
            world.report(CLINIC, pseudonym(1), 20 + round),
            world.report(CLINIC, subject_of(anna), 30 + round),
        ];
        let outcomes = world.service.reports(batch).await;
        outcomes[0].as_ref().unwrap();
        outcomes[2].as_ref().unwrap();
        let moved = &outcomes[1];
        assert!(
            matches!(moved, Err(ReportError::Moved { to }) if *to == subject_of(anna)),
            "{moved:?}"
        );
        // What was taken before the move, and is sent again, has its place.
        let receipt = world.service.report(old.clone()).await.unwrap();
        assert_eq!((receipt.index, receipt.place_hash), (placed.index, placed.place_hash));
        world.wait_until_filed().await;
    }
    world.stop().await;
    let world = World::start(&folder);
    let moved = world.service.report(world.report(CLINIC, pseudonym(1), 40)).await;
    assert!(matches!(moved, Err(ReportError::Moved { .. })), "{moved:?}");
    assert_eq!(world.service.report(old).await.unwrap().index, placed.index);
    assert_eq!(world.service.parts(anna), [subject_of(anna), pseudonym(1)]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_binding_that_was_cut_short_anywhere_is_completed_once() {
    for fault in FAULTS {
        for (place, restarts) in (0..5).flat_map(|place| [(place, false), (place, true)]) {
            let folder = tempfile::tempdir().unwrap();
            let mut world = World::start(&folder);
            world.service.report(world.report(CLINIC, pseudonym(1), 1)).await.unwrap();
            let clinic = address_of(CLINIC);
            let (id, signed) = world.until_countersignature(pseudonym(1), ANNA, CODE).await;
            match place {
                // That both signed; the first entry; the second; that both are entered.
                0 => world.book.faults.fail_after(0, fault),
                1 => world.disk.faults.fail_after(0, fault),
                2 => world.disk.faults.fail_after(1, fault),
                3 => world.book.faults.fail_after(1, fault),
                _ => {}
            }
            let first = world.service.countersign(clinic, id, signed.clone()).await;
            assert_eq!(first.is_err(), place == 0 || place == 3, "{fault:?} {place} {first:?}");
            assert!(!world.disk.faults.is_armed() && !world.book.faults.is_armed());
            if restarts {
                world.stop().await;
                world = World::start(&folder);
            }
            let entries = world.service.countersign(clinic, id, signed).await.unwrap();
            assert_bound(&world, ANNA, pseudonym(1), entries);
            let moved = world.service.report(world.report(CLINIC, pseudonym(1), 2)).await;
            assert!(matches!(moved, Err(ReportError::Moved { .. })), "{moved:?}");
            world.stop().await;
        }
    }
}

/// The story: that both signed was saved, and the log was told that it was not. Meanwhile the person
/// looks at their trail.
#[tokio::test(flavor = "multi_thread")]
async fn an_open_feed_tells_of_a_binding_whose_saving_was_said_to_have_failed() {
    for fault in FAULTS {
        let folder = tempfile::tempdir().unwrap();
        let world = World::start(&folder);
        world.service.report(world.report(CLINIC, pseudonym(9), 1)).await.unwrap();
        let (id, signed) = world.until_countersignature(pseudonym(1), ANNA, CODE).await;
        let (service, last) = (world.service.clone(), world.service.head().size - 1);
        let feed = move || service.feed_after(address_of(ANNA), last).unwrap();
        let mut feed = tokio::task::spawn_blocking(feed).await.unwrap();
        world.book.faults.fail_after(0, fault);
        let clinic = address_of(CLINIC);
        world.service.countersign(clinic, id, signed.clone()).await.unwrap_err();
        let entries = world.service.countersign(clinic, id, signed).await.unwrap();
        for index in entries {
            let told = tokio::time::timeout(std::time::Duration::from_secs(10), feed.next());
            match told.await.expect("the feed tells of it") {
                Some(FeedItem::Entry(entry)) => assert_eq!(entry.index, index, "{fault:?}"),
                other => panic!("{other:?}"),
            }
        }
        drop(feed);
        world.stop().await;
    }
}

/// Nobody comes again after the crash: the log completes what both signed.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_completes_a_binding_that_both_signed() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    let (id, signed) = world.until_countersignature(pseudonym(1), ANNA, CODE).await;
    let fault = crate::support::Fault::FailsButPersists;
    world.book.faults.fail_after(0, fault);
    world.service.countersign(address_of(CLINIC), id, signed).await.unwrap_err();
    assert!(world.details_of_kind(11).is_empty());
    world.stop().await;
    let world = World::start(&folder);
    for _ in 0..200 {
        if let Progress::Entered(entries) = world.service.own_bindings(address_of(ANNA))[0].progress
        {
            assert_bound(&world, ANNA, pseudonym(1), entries);
            world.stop().await;
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the binding was not completed");
}

/// The story: while the desk countersigns, the gateway sends what happened a minute ago. Whatever
/// is acknowledged for the pseudonym stands before the binding; the rest is told where to go.
#[tokio::test(flavor = "multi_thread")]
async fn no_report_lands_behind_the_binding_however_many_are_on_their_way() {
    for round in 0..6u64 {
        let folder = tempfile::tempdir().unwrap();
        let world = World::start(&folder);
        let (id, signed) = world.until_countersignature(pseudonym(1), ANNA, CODE).await;
        let mut senders = tokio::task::JoinSet::new();
        for sender in 0..8u64 {
            let service = world.service.clone();
            let reports: Vec<_> = (0..40)
                .map(|event| world.report(CLINIC, pseudonym(1), 1 + sender * 1000 + event))
                .collect();
            senders.spawn(async move {
                let (mut taken, mut moved) = (Vec::new(), 0);
                for report in reports {
                    match service.report(report).await {
                        Ok(receipt) => taken.push(receipt.index),
                        Err(ReportError::Moved { .. }) => moved += 1,
                        Err(ReportError::Place(PlaceError::Busy)) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
                (taken, moved)
            });
        }
        tokio::time::sleep(std::time::Duration::from_millis(round * 4)).await;
        let entries = world.service.countersign(address_of(CLINIC), id, signed).await.unwrap();
        let outcomes = senders.join_all().await;
        assert!(outcomes.iter().flat_map(|(taken, _)| taken).all(|index| *index < entries[0]));
        assert_bound(&world, ANNA, pseudonym(1), entries);
        let mut ordinal = 0;
        for entry in world.all().iter().filter(|entry| entry.report.subject == pseudonym(1)) {
            ordinal += 1;
            assert_eq!(entry.place.ordinal, ordinal);
        }
        let taken: usize = outcomes.iter().map(|(taken, _)| taken.len()).sum();
        assert_eq!(ordinal as usize, taken + 1, "what was refused is not in the log");
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_one_person_s_for_a_time_and_guessing_is_hopeless() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    let (anna, berta) = (address_of(ANNA), address_of(BERTA));
    world.issue(pseudonym(1), CODE).await;
    let wrong = world.service.binding_for(anna, "K7QM-2XVD-9RTB");
    assert!(matches!(wrong, Err(BindingError::Code)), "{wrong:?}");
    let (id, document) = world.service.binding_for(anna, CODE).unwrap();
    assert_eq!(world.service.binding_for(anna, CODE).unwrap(), (id, document.clone()));
    let other = world.service.binding_for(berta, CODE);
    assert!(matches!(other, Err(BindingError::CodeUsed)), "{other:?}");
    let other = world.service.sign_binding(berta, id, sign(BERTA, &document)).await;
    assert!(matches!(other, Err(BindingError::Unknown)), "{other:?}");
    let forged = world.service.sign_binding(anna, id, sign(BERTA, &document)).await;
    let is_signer = |error: &_| matches!(error, BindingDocumentError::Signer { .. });
    assert!(
        matches!(&forged, Err(BindingError::Document(error)) if is_signer(error)),
        "{forged:?}"
    );
    world.service.sign_binding(anna, id, sign(ANNA, &document)).await.unwrap();
    let forged = world.service.countersign(address_of(CLINIC), id, sign(ANNA, &document)).await;
    assert!(
        matches!(&forged, Err(BindingError::Document(error)) if is_signer(error)),
        "{forged:?}"
    );
    let foreign = world.service.countersign(anna, id, sign(CLINIC, &document)).await;
    assert!(matches!(foreign, Err(BindingError::Unknown)), "{foreign:?}");

    for _ in 0..TRIES_MAX {
        let _ = world.service.binding_for(berta, "guess");
    }
    world.issue(pseudonym(2), "right").await;
    let late = world.service.binding_for(berta, "right");
    assert!(matches!(late, Err(BindingError::TooManyTries)), "{late:?}");
    world.service.binding_for(anna, "right").unwrap();
    world.stop().await;

    let world = World::start_at(&folder, || now_ms() + 3_600_000);
    for code in [CODE, "right"] {
        let old = world.service.binding_for(anna, code);
        assert!(matches!(old, Err(BindingError::Expired)), "{old:?}");
    }
    assert!(world.service.pending_bindings(address_of(CLINIC)).is_empty());
    let old = world.service.countersign(address_of(CLINIC), id, sign(CLINIC, &document)).await;
    let is_expired = |error: &_| matches!(error, BindingDocumentError::Expired { .. });
    assert!(matches!(&old, Err(BindingError::Document(error)) if is_expired(error)), "{old:?}");
    assert_eq!(world.service.subject_now(pseudonym(1)), pseudonym(1));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pseudonym_binds_once_and_its_person_is_told_of_a_second_try() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    let (anna, berta, clinic) = (address_of(ANNA), address_of(BERTA), address_of(CLINIC));
    // Two codes went out before either came back.
    let (id, signed) = world.until_countersignature(pseudonym(1), BERTA, "second").await;
    world.bind(pseudonym(1), ANNA, "first").await;
    let refused = world.service.countersign(clinic, id, signed).await;
    assert!(matches!(refused, Err(BindingError::AlreadyBound)), "{refused:?}");
    let hash = code_hash("third");
    let expires_ms = now_ms() + 1000;
    for _ in 0..2 {
        let refused = world.service.issue_code(clinic, None, pseudonym(1), hash, expires_ms).await;
        assert!(matches!(refused, Err(BindingError::AlreadyBound)), "{refused:?}");
    }
    assert_eq!(world.service.subject_now(pseudonym(1)), subject_of(anna));
    assert!(world.whole(berta).is_empty());
    let told: Vec<Entry> =
        world.whole(anna).into_iter().filter(|entry| entry.report.kind == 8).collect();
    assert_eq!(told.len(), 2, "each try is told once");
    assert!(told.iter().all(|entry| entry.report.subject == subject_of(anna)));
    world.stop().await;
}

/// Two gateways of one organisation: only the one that gave the code out knows it.
#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_countersigned_by_the_key_that_gave_it_out_though_another_is_newer() {
    const SECOND: u8 = 5;
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    let (clinic, anna) = (address_of(CLINIC), address_of(ANNA));
    let invite = world.service.invite(clinic).await.unwrap();
    world.service.enrol(&invite.code, address_of(SECOND)).await.unwrap();
    let (hash, soon) = (code_hash(CODE), now_ms() + 60_000);
    let issue = |by: Option<Address>, whose: B256, hash: B256| {
        world.service.issue_code(clinic, by, whose, hash, soon)
    };
    let refused = issue(Some(address_of(BERTA)), pseudonym(1), hash).await;
    assert!(matches!(refused, Err(BindingError::NotSigning(_))), "{refused:?}");
    issue(Some(clinic), pseudonym(1), hash).await.unwrap();
    issue(Some(clinic), pseudonym(1), hash).await.unwrap();
    // An API key names no signing key: the newest one countersigns, as before.
    issue(None, pseudonym(2), code_hash("other")).await.unwrap();
    world.stop().await;

    let world = World::start(&folder);
    let (_, document) = world.service.binding_for(anna, "other").unwrap();
    assert_eq!(document.custodian, address_of(SECOND));
    let (id, document) = world.service.binding_for(anna, CODE).unwrap();
    assert_eq!(document.custodian, clinic);
    let unknown = world.service.binding_of(clinic, pseudonym(1));
    assert!(matches!(unknown, Err(BindingError::Unknown)), "{unknown:?}");
    world.service.sign_binding(anna, id, sign(ANNA, &document)).await.unwrap();
    let entries = world.service.countersign(clinic, id, sign(CLINIC, &document)).await.unwrap();
    assert_bound(&world, ANNA, pseudonym(1), entries);

    // What the second gateway asks for, to follow by itself.
    let bound = world.service.binding_of(clinic, pseudonym(1)).unwrap();
    let details: BindingDetails = serde_json::from_slice(&bound.details).unwrap();
    assert_eq!((details.subject(), details.document), (subject_of(anna), document));
    let foreign = world.service.binding_of(anna, pseudonym(1));
    assert!(matches!(foreign, Err(BindingError::Unknown)), "{foreign:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_desk_gives_out_codes_for_its_own_pseudonyms_only() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    let clinic = address_of(CLINIC);
    let new = NewOrganisation {
        name: "Hospital".into(),
        domain: "hospital.example".into(),
        ..NewOrganisation::default()
    };
    let invite = world.service.add_organisation(new).await.unwrap();
    let (hash, soon) = (code_hash(CODE), now_ms() + 60_000);
    let issue = |organisation: Address, whose: B256, hash: B256, expires_ms: u64| {
        world.service.issue_code(organisation, None, whose, hash, expires_ms)
    };
    let refused = issue(invite.organisation, pseudonym(1), hash, soon).await;
    assert!(matches!(refused, Err(BindingError::NotSigning(_))), "{refused:?}");
    world.service.enrol(&invite.code, address_of(5)).await.unwrap();
    world.service.report(world.report(CLINIC, pseudonym(1), 1)).await.unwrap();
    let refused = issue(invite.organisation, pseudonym(1), hash, soon).await;
    assert!(matches!(refused, Err(BindingError::Foreign)), "{refused:?}");
    let refused = issue(clinic, subject_of(address_of(ANNA)), hash, soon).await;
    assert!(matches!(refused, Err(BindingError::Pseudonym)), "{refused:?}");
    for expires_ms in [now_ms() - 1, now_ms() + CODE_MS_MAX + 60_000] {
        let refused = issue(clinic, pseudonym(1), hash, expires_ms).await;
        assert!(matches!(refused, Err(BindingError::Expiry)), "{refused:?}");
    }
    for _ in 0..2 {
        issue(clinic, pseudonym(1), hash, soon).await.unwrap();
    }
    let refused = issue(clinic, pseudonym(2), hash, soon).await;
    assert!(matches!(refused, Err(BindingError::CodeTaken)), "{refused:?}");
    world.stop().await;
}
