//! Every window between the steps of a write or a look: a crash, a full disk, a log that takes
//! nothing. What counts afterwards is what the log says, and never without its person.

use crate::permits::{ANNA, grant_for, id, revoke, signed};
use crate::safe::{Safe, anna, bytes, reason, record, version, write};
use crate::support::{CLINIC, FAULTS, Fault, address_of};
use medtrail_ledger::vault::Shelves;
use medtrail_oracle::intake::ReportError;
use medtrail_oracle::sequencer::PlaceError;
use medtrail_oracle::vault::{Reader, VaultError};
use medtrail_permit::permits::Refusal;
use std::sync::atomic::Ordering;

/// Which file fails, after how many of its writes.
#[derive(Clone, Copy, Debug)]
enum Window {
    /// Before the bytes are durable.
    Staging,
    /// Between the bytes and their entry.
    Entry,
    /// Between the entry and the version that counts.
    Counting,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_step_of_a_write_is_settled_from_the_log_at_the_next_start() {
    for window in [Window::Staging, Window::Entry, Window::Counting] {
        for fault in FAULTS {
            let folder = tempfile::tempdir().unwrap();
            let safe = Safe::start(&folder);
            safe.put(&write(1, ANNA, '0', 'A')).await.unwrap();
            safe.world.give(ANNA, grant_for("patient/*.cruds", 1)).await;
            match window {
                Window::Staging => safe.cellar.faults.fail_after(0, fault),
                Window::Entry => safe.world.disk.faults.fail_after(0, fault),
                Window::Counting => safe.cellar.faults.fail_after(1, fault),
            }
            let put = write(2, CLINIC, 'A', 'B').signed(&safe.world);
            let outcome = safe.vault.put(vec![put.clone()]).await.pop().unwrap();
            assert!(!safe.world.disk.faults.is_armed() && !safe.cellar.faults.is_armed());
            safe.stop().await;

            let safe = Safe::start(&folder);
            let is_in_log = safe.entries_of(2) == 2;
            let expected = if is_in_log { 'B' } else { 'A' };
            assert_eq!(
                safe.own("penicillin").await,
                Some(bytes(expected)),
                "{window:?} {fault:?} {outcome:?}"
            );
            assert!(outcome.is_err() || is_in_log, "what was acknowledged counts");
            let must_be = match window {
                Window::Staging => false,
                Window::Entry => fault == Fault::FailsButPersists,
                Window::Counting => true,
            };
            assert_eq!(is_in_log, must_be, "{window:?} {fault:?}");
            let shelf = safe.cellar.shelf(anna()).unwrap();
            let kept = if is_in_log { 2 } else { 1 } * bytes('A').len() as u64;
            assert_eq!((shelf.staged.len(), shelf.bytes), (0, kept), "{window:?} {fault:?}");
            // The very same again.
            let again = safe.vault.put(vec![put]).await.pop().unwrap().unwrap();
            assert_eq!(again.is_new, !is_in_log);
            assert_eq!(safe.own("penicillin").await, Some(bytes('B')));
            assert_eq!((safe.entries_of(2), safe.told().len()), (2, 0));
            safe.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_outcome_was_not_known_is_settled_without_a_restart_too() {
    for fault in FAULTS {
        let folder = tempfile::tempdir().unwrap();
        let safe = Safe::start(&folder);
        safe.put(&write(1, ANNA, '0', 'A')).await.unwrap();
        safe.world.disk.faults.fail_after(0, fault);
        let put = write(2, ANNA, 'A', 'B').signed(&safe.world);
        let outcome = safe.vault.put(vec![put.clone()]).await.pop().unwrap();
        let unknown = ReportError::Place(PlaceError::OutcomeUnknown).to_string();
        assert_eq!(outcome.unwrap_err().to_string(), unknown);
        // Another one comes in between: whichever was first in the log counts first.
        let other = safe.put(&write(3, ANNA, 'A', 'C')).await;
        let first = if fault == Fault::FailsButPersists { 'B' } else { 'C' };
        assert_eq!(other.is_ok(), first == 'C', "{other:?}");
        assert_eq!(safe.own("penicillin").await, Some(bytes(first)));
        let again = safe.vault.put(vec![put]).await.pop().unwrap();
        match first {
            'B' => assert!(!again.unwrap().is_new),
            _ => assert!(matches!(again, Err(VaultError::Conflict { .. })), "{again:?}"),
        }
        safe.stop().await;
    }
}

/// The grant is taken back after the version got its place and before it was looked at: the log's
/// order decides, and it was permitted where it stands. And the other way round.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_permitted_in_its_place_counts_whatever_comes_before_it_is_settled() {
    for revoked_first in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let safe = Safe::start(&folder);
        let grant = grant_for("patient/*.cruds", 1);
        safe.world.give(ANNA, grant.clone()).await;
        let put = write(1, CLINIC, '0', 'A').signed(&safe.world);
        match revoked_first {
            false => {
                // The bytes and the entry, and then the vault's file fails.
                safe.cellar.faults.fail_after(1, Fault::Fails);
                safe.vault.put(vec![put.clone()]).await.pop().unwrap().unwrap_err();
                safe.world.give(ANNA, revoke(id(&grant))).await;
            }
            true => {
                // The vault looked at the grant, and while the bytes went to the disk it was gone:
                // here the bytes of an unfinished write lie there, and the entry comes after it.
                safe.world.disk.faults.fail_after(0, Fault::Fails);
                safe.vault.put(vec![put.clone()]).await.pop().unwrap().unwrap_err();
                safe.world.give(ANNA, revoke(id(&grant))).await;
                let again = safe.vault.put(vec![put.clone()]).await.pop().unwrap();
                assert!(matches!(again, Err(VaultError::Refused { .. })), "{again:?}");
            }
        }
        safe.stop().await;
        let safe = Safe::start(&folder);
        let expected = (!revoked_first).then(|| bytes('A'));
        assert_eq!(safe.own("penicillin").await, expected);
        assert_eq!(safe.told().len(), usize::from(revoked_first));
        safe.stop().await;
    }
}

/// Between the first look at the permission and the place in the log, the permission goes.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_back_while_bytes_are_on_their_way_permits_neither_write_nor_look() {
    let folder = tempfile::tempdir().unwrap();
    let safe = Safe::start(&folder);
    safe.put(&write(1, ANNA, '0', 'A')).await.unwrap();
    for (salt, is_write) in [(1, true), (2, false)] {
        let grant = grant_for("patient/*.cruds", salt);
        safe.world.give(ANNA, grant.clone()).await;
        let (service, runtime) = (safe.world.service.clone(), tokio::runtime::Handle::current());
        let taken = signed(ANNA, revoke(id(&grant)));
        *safe.cellar.meanwhile.lock().unwrap() = Some(Box::new(move || {
            runtime.block_on(service.record(taken)).unwrap();
        }));
        let attempt = write(10 + u64::from(salt), CLINIC, 'A', 'B').naming(&grant);
        let refused = match is_write {
            true => safe.refused(&attempt).await,
            false => reason(safe.read(CLINIC, &attempt).await.map(drop)),
        };
        assert_eq!(refused, Refusal::Revoked);
    }
    // Both stand in the log with the refusal that names them, and nothing came of either.
    assert_eq!((safe.entries_of(2), safe.entries_of(1)), (2, 1));
    let told = safe.told();
    let words: Vec<_> = told.iter().map(|(what, why)| (what.as_str(), why.as_str())).collect();
    assert_eq!(words, [("write", "revoked"), ("read", "revoked")]);
    let refusals: Vec<_> =
        safe.world.all().into_iter().filter(|entry| entry.report.kind == 8).collect();
    assert!(refusals.iter().all(|entry| !entry.report.permission.is_zero()));
    assert_eq!(safe.own("penicillin").await, Some(bytes('A')));
    let shelf = safe.cellar.shelf(anna()).unwrap();
    assert_eq!((shelf.staged.len(), shelf.bytes), (0, bytes('A').len() as u64));
    safe.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_takes_no_version_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let safe = Safe::start(&folder);
    safe.put(&write(1, ANNA, '0', 'A')).await.unwrap();
    safe.cellar.is_full.store(true, Ordering::SeqCst);
    safe.cellar.faults.fail_after(0, Fault::Fails);
    let full = safe.put(&write(2, ANNA, 'A', 'B')).await.unwrap_err();
    assert!(full.to_string().contains("disk full"), "{full}");
    assert_eq!(safe.entries_of(2), 1);
    assert_eq!(safe.own("penicillin").await, Some(bytes('A')));
    safe.put(&write(2, ANNA, 'A', 'B')).await.unwrap();
    safe.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn if_the_log_cannot_take_the_look_no_bytes_leave() {
    for fault in FAULTS {
        let folder = tempfile::tempdir().unwrap();
        let safe = Safe::start(&folder);
        safe.put(&write(1, ANNA, '0', 'A')).await.unwrap();
        safe.world.give(ANNA, grant_for("patient/*.rs", 1)).await;
        let own = || {
            let reader = Reader::Person(address_of(ANNA));
            safe.vault.read(reader, anna(), record("penicillin"), None, vec![])
        };
        safe.world.disk.faults.fail_after(0, fault);
        let hers = own().await;
        assert!(matches!(hers, Err(VaultError::Report(ReportError::Place(_)))), "{hers:?}");
        safe.world.disk.faults.fail_after(0, fault);
        let theirs = safe.read(CLINIC, &write(2, CLINIC, 'A', 'B')).await;
        assert!(matches!(theirs, Err(VaultError::Report(ReportError::Place(_)))), "{theirs:?}");
        let clinic = Reader::Organisation { id: address_of(CLINIC), name: "Clinic".into() };
        safe.world.disk.faults.fail_after(0, fault);
        let listed = safe.vault.list(clinic, anna(), vec!["TREAT".to_owned()]).await;
        assert!(matches!(listed, Err(VaultError::Report(ReportError::Place(_)))), "{listed:?}");
        assert_eq!(own().await.unwrap().version.version, version('A'));
        safe.stop().await;
    }
}
