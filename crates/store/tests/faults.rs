//! Calls to the disk fail one by one, each in two ways: it did not happen, or it happened and we
//! were told that it failed. And disks that run full.

mod support;

use medtrail_ledger::ports::{CommitError, Journal, JournalError};
use medtrail_store::{FileName, OpenError, Store, StoreOptions};
use std::path::Path;
use std::process::Command;
use support::disk::{Disk, Failure};
use support::{Dice, SMALL, Writer, assert_clean, commit_in};

/// A log with some history; its next commit is the one to fail.
fn some_log(disk: &Disk) -> (Store, Writer) {
    let store = Store::open_on(disk.files(), SMALL).unwrap();
    let mut writer = Writer::resume(&store, Dice(7));
    writer.append(&store, 700);
    store.file_up_to(650).unwrap();
    (store, writer)
}

#[test]
fn after_a_failed_commit_the_tail_tells_whether_it_happened() {
    let (mut refused, mut fatal, mut happened) = (0, 0, 0);
    for (happens, pieces) in [(false, 0), (true, 0), (false, 2), (true, 2)] {
        for after in 0.. {
            let disk = Disk::default();
            let (store, mut writer) = some_log(&disk);
            let before = writer.tail.clone();
            let plan = writer.plan(90);
            disk.fail(Failure { after, happens });
            let answer = commit_in(pieces, &store, &before, &plan.batch);
            if disk.is_failure_due() {
                assert!(answer.is_ok());
                break;
            }
            let mut expected = writer.acknowledged.clone();
            expected.extend(plan.batch.rows.iter().cloned());
            // `Ok` although a call failed: it was one that the commit does not depend on.
            let failed = answer.is_err();
            if let Err(error) = &answer {
                assert!(
                    matches!(error, CommitError::Unknown(_) | CommitError::Fatal(_)),
                    "{error}"
                );
                if error.is_fatal() {
                    fatal += 1;
                    // No write comes through again in this process.
                    let again = commit_in(pieces, &store, &before, &plan.batch);
                    assert!(again.as_ref().is_err_and(CommitError::is_fatal), "{again:?}");
                    drop(store);
                    let store = Store::open_on(disk.after_kill().files(), SMALL).unwrap();
                    happened += u32::from(goes_on(&store, &expected));
                    // What the kernel did not write it may have dropped.
                    let disk = disk.after_power_loss(&mut Dice(after));
                    goes_on(&Store::open_on(disk.files(), SMALL).unwrap(), &expected);
                    continue;
                }
                refused += 1;
            }
            // The same handle: it opens the file again by itself.
            let tail = store.tail().unwrap();
            assert_eq!(tail.epoch, before.epoch);
            let again = commit_in(pieces, &store, &before, &plan.batch);
            if tail.size == before.size {
                assert!(failed);
                assert_eq!(again.unwrap().size, expected.len() as u64);
            } else {
                happened += u32::from(failed);
                assert!(matches!(again, Err(CommitError::Fenced { .. })), "{again:?}");
            }
            assert_eq!(store.rows(0..u64::MAX).unwrap(), expected);
            goes_on(&store, &expected);
        }
    }
    assert!(refused > 5 && fatal > 2 && happened > 0, "{refused} {fatal} {happened}");
}

/// The log is `rows`, or `rows` without the last batch, and takes more. Returns whether it is all.
fn goes_on(store: &Store, rows: &[Vec<u8>]) -> bool {
    let found = store.rows(0..u64::MAX).unwrap();
    assert_eq!(found.len() as u64, store.tail().unwrap().size);
    assert!(found.len() == rows.len() || found.len() == rows.len() - 90);
    assert_eq!(found, rows[..found.len()]);
    let mut writer = Writer::resume(store, Dice(8));
    writer.append(store, 400);
    store.file_up_to(u64::MAX).unwrap();
    assert_clean(store);
    found.len() == rows.len()
}

#[test]
fn a_failed_filing_leaves_no_hole_and_is_made_up_for() {
    let mut failures = 0;
    for happens in [false, true] {
        for after in 0.. {
            let disk = Disk::default();
            let (store, mut writer) = some_log(&disk);
            // Completes a table, so that dropping from the head is among what fails.
            writer.append(&store, 500);
            disk.fail(Failure { after, happens });
            let answer = store.file_up_to(1_150);
            if disk.is_failure_due() {
                break;
            }
            let store = match &answer {
                Err(JournalError::Fatal(_)) => {
                    drop(store);
                    Store::open_on(disk.after_kill().files(), SMALL).unwrap()
                }
                _ => store,
            };
            failures += u32::from(answer.is_err());
            assert_eq!(store.rows(0..u64::MAX).unwrap(), writer.acknowledged);
            assert_eq!(store.file_up_to(1_150).unwrap(), 1_150);
            assert_eq!(store.rows(0..u64::MAX).unwrap(), writer.acknowledged);
            assert_clean(&store);
        }
    }
    assert!(failures > 20, "{failures}");
}

#[test]
fn a_first_start_that_fails_anywhere_is_made_up_for_by_the_next() {
    for happens in [false, true] {
        for after in 0.. {
            let disk = Disk::default();
            disk.fail(Failure { after, happens });
            let first = Store::open_on(disk.files(), SMALL);
            if disk.is_failure_due() {
                assert!(first.is_ok());
                break;
            }
            drop(first);
            let store = Store::open_on(disk.after_kill().files(), SMALL).unwrap();
            assert_eq!(store.tail().unwrap().size, 0);
            Writer::resume(&store, Dice(1)).append(&store, 5);
            drop(store);
            // The power may go at the same place.
            let disk = disk.after_power_loss(&mut Dice(after));
            Store::open_on(disk.files(), SMALL).unwrap();
        }
    }
}

#[test]
fn a_full_disk_refuses_and_after_room_was_made_the_log_goes_on() {
    for room in 0..60 {
        let disk = Disk::default();
        let (store, mut writer) = some_log(&disk);
        disk.limit_blocks(Some(disk.blocks_used() + room));
        let refused = loop {
            let plan = writer.plan(200);
            match writer.commit(&store, plan) {
                Ok(()) => store.file_up_to(writer.tail.size).map(|_| ()).unwrap_or_else(|error| {
                    assert!(matches!(error, JournalError::Full(_)), "{error}");
                }),
                Err(error) => break error,
            }
        };
        assert!(matches!(refused, CommitError::Full(_)), "{refused}");
        // Still full: it can be read, and tells the truth.
        assert_eq!(store.tail().unwrap(), writer.tail);
        assert_eq!(store.rows(0..u64::MAX).unwrap(), writer.acknowledged);
        drop(store);
        let store = match Store::open_on(disk.files(), SMALL) {
            Ok(store) => store,
            Err(error) => {
                assert!(matches!(error, OpenError::Full { .. }), "{error}");
                disk.limit_blocks(None);
                Store::open_on(disk.files(), SMALL).unwrap()
            }
        };
        disk.limit_blocks(None);
        writer.tail = store.tail().unwrap();
        writer.append(&store, 200);
        store.file_up_to(u64::MAX).unwrap();
        assert_eq!(store.rows(0..u64::MAX).unwrap(), writer.acknowledged);
        assert_clean(&store);
    }
}

/// A real file system, which allocates later and elsewhere than the disk above.
struct Tmpfs<'a>(&'a Path);

impl<'a> Tmpfs<'a> {
    fn mount(at: &'a Path) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=16m", "tmpfs"]).arg(at);
        mount.output().is_ok_and(|done| done.status.success()).then_some(Self(at))
    }
}

impl Drop for Tmpfs<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

#[test]
fn a_full_file_system_loses_nothing_that_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let Some(_mounted) = Tmpfs::mount(dir.path()) else {
        eprintln!("SKIPPED: mounting a tmpfs of 16 MiB needs root");
        return;
    };
    let ballast = dir.path().join("ballast");
    std::fs::write(&ballast, vec![0; 4 << 20]).unwrap();
    let options = StoreOptions { rows_per_table: 4_096, ..SMALL };
    let store = Store::open(dir.path(), options).unwrap();
    let mut writer = Writer::resume(&store, Dice(9));
    writer.row_bytes = 1_400;
    let refused = loop {
        let plan = writer.plan(100);
        if let Err(error) = writer.commit(&store, plan) {
            break error;
        }
        if writer.tail.size.is_multiple_of(500) {
            let _ = store.file_up_to(writer.tail.size);
        }
    };
    assert!(matches!(refused, CommitError::Full(_)), "{refused}");
    assert!(writer.acknowledged.len() > 1_000);
    assert_eq!(store.rows(0..u64::MAX).unwrap(), writer.acknowledged);

    // The same handle goes on once there is room again.
    std::fs::remove_file(&ballast).unwrap();
    writer.append(&store, 100);
    drop(store);
    let store = Store::open(dir.path(), options).unwrap();
    assert_eq!(store.rows(0..u64::MAX).unwrap(), writer.acknowledged);
    assert_clean(&store);
}

#[test]
fn a_file_cut_to_nothing_is_not_taken_for_a_new_log() {
    for name in [FileName::Head, FileName::Log] {
        let disk = Disk::default();
        drop(some_log(&disk));
        disk.with_file(name, Vec::clear);
        let opened = Store::open_on(disk.files(), SMALL);
        assert!(matches!(opened, Err(OpenError::Damaged { file, .. }) if file == name));
        disk.remove(name);
        let opened = Store::open_on(disk.files(), SMALL);
        assert!(matches!(opened, Err(OpenError::Missing { file }) if file == name));
    }
}
