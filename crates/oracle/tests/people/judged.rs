//! Every change at a custodian is judged: who did not permit it is told, once, whatever crashes in
//! between; who did is not.

use crate::permits::{ANNA, Change, approval, change, grant, grant_for, id, revoke, revoke_all};
use crate::support::{CLINIC, FAULTS, Fault, World, address_of, now_ms, pseudonym};
use alloy_primitives::B256;
use medtrail_ledger::consents::ConsentEvent;
use medtrail_ledger::entry::{commitment, subject_of};
use serde_json::json;
use std::sync::atomic::{AtomicU64, Ordering};

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_a_grant_covers_leaves_no_refusal_and_any_other_leaves_one() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    let before = world.change(&change(1)).await;
    world.until_judged(2).await;
    world.give(ANNA, grant()).await;
    world.change(&change(3)).await;
    world.change(&change(4).naming(&grant())).await;
    let unreasoned = world.change(&Change { purpose: None, ..change(5) }).await;
    world.until_judged(6).await;
    let refused = world.refused();
    let expected = [(before, "noPermission".to_owned()), (unreasoned, "noPurpose".to_owned())];
    assert_eq!(refused, expected);

    let entry = world.service.entry(before).unwrap();
    let told = &world.refusals(address_of(ANNA))[0];
    let expected = json!({
        "version": "medtrail/refusal-v1",
        "refused": "change",
        "index": before,
        "commitment": commitment(&entry.report, &entry.place),
        "reason": "noPermission",
        "organisation": address_of(CLINIC),
    });
    assert_eq!(*told, expected);
    let told = &world.refusals(address_of(ANNA))[1];
    assert_eq!(told["document"], json!(id(&grant())));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_allows_exactly_its_change_and_once() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    let approval = approval("penicillin");
    // Named before anybody has shown it, and for another record: neither uses it up.
    let early = world.change(&change(1).naming(&approval)).await;
    world.until_judged(2).await;
    world.give(ANNA, approval.clone()).await;
    let other = Change { record: "ibuprofen", ..change(3).naming(&approval) };
    let other = world.change(&other).await;
    world.until_judged(4).await;
    let refused = world.refused();
    assert_eq!(refused[0], (early, "unknownDocument".to_owned()));
    assert_eq!(refused[1], (other, "wrongRecord".to_owned()));
    world.stop().await;

    // The first entry that names it and that it covers was the early one: it is used up.
    let world = World::start(&folder);
    let replayed = world.change(&change(5).naming(&approval)).await;
    world.until_judged(6).await;
    assert_eq!(world.refused()[2..], [(replayed, "used".to_owned())]);
    world.stop().await;

    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    world.give(ANNA, approval.clone()).await;
    world.change(&change(1).naming(&approval)).await;
    let second = world.change(&change(2).naming(&approval)).await;
    let unnamed = world.change(&change(3)).await;
    world.until_judged(4).await;
    let expected = [(second, "used".to_owned()), (unnamed, "noPermission".to_owned())];
    assert_eq!(world.refused(), expected);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_back_before_permits_nothing_in_the_log_or_on_chain() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    world.give(ANNA, grant()).await;
    world.give(ANNA, revoke(id(&grant()))).await;
    let in_log = world.change(&change(1).naming(&grant())).await;
    let other = grant_for("patient/*.cruds", 7);
    world.give(ANNA, other.clone()).await;
    world.change(&change(2).naming(&other)).await;
    world.until_judged(3).await;
    let at_s = now_ms() / 1000;
    let revoked = ConsentEvent::Revoked { permission: id(&other), at_s };
    world.chain.record(address_of(ANNA), revoked, true);
    let on_chain = world.change(&change(4).naming(&other)).await;
    world.until_judged(5).await;
    let expected = [(in_log, "revoked".to_owned()), (on_chain, "revoked".to_owned())];
    assert_eq!(world.refused(), expected);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_is_logged_after_everything_was_taken_back_permits_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    world.give(ANNA, revoke_all(0)).await;
    assert!(world.give(ANNA, grant()).await.is_new);
    let refused = world.change(&change(1)).await;
    world.until_judged(2).await;
    assert_eq!(world.refused(), [(refused, "wrongEpoch".to_owned())]);
    world.stop().await;
}

const HOUR_MS: u64 = 3_600_000;
/// How far the clock of this file's test of times was put forward.
static AHEAD_MS: AtomicU64 = AtomicU64::new(0);

fn later_ms() -> u64 {
    now_ms() + AHEAD_MS.load(Ordering::SeqCst)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_comes_late_does_not_outlive_its_permission() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start_at(&folder, later_ms);
    let began_ms = later_ms();
    world.give(ANNA, grant()).await;
    AHEAD_MS.store(HOUR_MS, Ordering::SeqCst);
    // An hour late, and it stood all the while.
    world.change(&Change { time_ms: began_ms + 10_000, ..change(1) }).await;
    // Before it was given.
    let before = Change { time_ms: began_ms - HOUR_MS, ..change(2) };
    let before = world.change(&before).await;
    world.give(ANNA, revoke(id(&grant()))).await;
    AHEAD_MS.store(2 * HOUR_MS, Ordering::SeqCst);
    // While it stood, as it says; but it says so after the grant was taken back.
    let back_dated = Change { time_ms: began_ms + 10_000, ..change(3) };
    let back_dated = world.change(&back_dated).await;
    let settled =
        Change { subject: subject_of(address_of(0x66)), time_ms: later_ms(), ..change(4) };
    world.change(&settled).await;
    world.until(|| world.refusals(address_of(0x66)).len() == 1).await;
    let expected = [(before, "notYetGiven".to_owned()), (back_dated, "revoked".to_owned())];
    assert_eq!(world.refused(), expected);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_chain_is_away_changes_are_taken_and_judged_once_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    world.chain.go(true);
    world.give(ANNA, grant()).await;
    world.change(&change(1)).await;
    let refused = world.change(&Change { purpose: Some("HRESCH"), ..change(2) }).await;
    world.until(|| world.service.judging().waiting == 2).await;
    world.until(|| world.service.judging().problem.is_some()).await;
    let problem = world.service.judging().problem.unwrap();
    assert!(problem.what.contains("no node of the chain answers"), "{problem:?}");
    assert_eq!(world.refused(), []);
    world.chain.go(false);
    world.until(|| !world.refused().is_empty()).await;
    world.until(|| world.service.judging() == Default::default()).await;
    assert_eq!(world.refused(), [(refused, "wrongPurpose".to_owned())]);
    world.stop().await;
}

/// A crash between the change and its refusal: the chain was away when the process ended.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_was_not_judged_before_a_crash_is_judged_after_it_and_once() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    world.until_judged(1).await;
    world.chain.go(true);
    let refused = world.change(&change(2)).await;
    world.until(|| world.service.judging().waiting == 1).await;
    // How far it had judged is not saved either: it is judged again from where it was before.
    world.book.faults.fail_after(0, Fault::Fails);
    world.stop().await;

    for _ in 0..2 {
        let world = World::start(&folder);
        world.until(|| !world.refused().is_empty()).await;
        world.until_judged(now_ms()).await;
        assert_eq!(world.refused(), [(refused, "noPermission".to_owned())]);
        // Nothing is saved: the next start judges all of it again.
        world.book.faults.fail_after(0, Fault::Fails);
        world.stop().await;
    }
    let world = World::start(&folder);
    world.until_judged(now_ms()).await;
    assert_eq!(world.refused().len(), 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_whose_write_fails_is_entered_once() {
    for fault in FAULTS {
        let folder = tempfile::tempdir().unwrap();
        let world = World::start(&folder);
        world.chain.go(true);
        let refused = world.change(&change(1)).await;
        world.until(|| world.service.judging().waiting == 1).await;
        world.disk.faults.fail_after(0, fault);
        world.chain.go(false);
        world.until(|| !world.refused().is_empty()).await;
        assert!(!world.disk.faults.is_armed());
        world.until_judged(2).await;
        assert_eq!(world.refused(), [(refused, "noPermission".to_owned())], "{fault:?}");
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_judging_ended_it_goes_on_and_what_ran_before_anybody_judged_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    world.change(&change(1)).await;
    world.until_judged(2).await;
    world.stop().await;
    let world = World::start(&folder);
    let size = world.service.head().size;
    world.until_judged(3).await;
    assert_eq!(world.service.head().size, size + 2, "one change and its refusal, nothing anew");
    world.stop().await;

    // The directory of a log that nobody judged says nothing of it.
    let directory = folder.path().join("directory/directory.redb");
    let database = redb::Database::open(directory).unwrap();
    let txn = database.begin_write().unwrap();
    let table = redb::TableDefinition::<&[u8; 32], &[u8]>::new("judged");
    assert!(txn.delete_table(table).unwrap());
    txn.commit().unwrap();
    drop(database);
    let world = World::start(&folder);
    let size = world.service.head().size;
    world.until_judged(4).await;
    assert_eq!(world.service.head().size, size + 2);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pseudonym_without_documents_is_not_judged_nor_is_its_past_after_its_binding() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    let pseudonym = pseudonym(7);
    world.change(&Change { subject: pseudonym, ..change(1) }).await;
    world.until_judged(2).await;
    world.bind(pseudonym, ANNA, "K7QM-2XVD-9RTA").await;
    world.until_judged(3).await;
    assert_eq!(world.refused(), []);
    let after = world.change(&change(4)).await;
    world.until_judged(5).await;
    assert_eq!(world.refused(), [(after, "noPermission".to_owned())]);
    world.stop().await;
    let world = World::start(&folder);
    world.until_judged(6).await;
    assert_eq!(world.refused().len(), 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emergency_waits_for_the_person_and_is_refused_where_they_said_no() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    let emergency = Change { purpose: Some("BTG"), ..change(1) };
    world.change(&emergency).await;
    world.until_judged(2).await;
    assert_eq!(world.refused(), []);
    // Said before the log had a chance to judge it: it knows the answer.
    world.chain.go(true);
    let index = world.change(&Change { event: 3, ..emergency }).await;
    let entry = world.service.entry(index).unwrap();
    let no = revoke(commitment(&entry.report, &entry.place));
    world.give(ANNA, no).await;
    world.chain.go(false);
    world.until(|| !world.refused().is_empty()).await;
    assert_eq!(world.refused(), [(index, "contested".to_owned())]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_refusal_rests_on_a_block_that_may_go() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    world.give(ANNA, grant()).await;
    let at_s = now_ms() / 1000;
    let revoked = ConsentEvent::Revoked { permission: id(&grant()), at_s };
    world.chain.record(address_of(ANNA), revoked, false);
    world.change(&change(1)).await;
    let never = Change { permission: B256::repeat_byte(9), ..change(2) };
    let never = world.change(&never).await;
    world.until_judged(3).await;
    // What no block can change is told at once; the other waits.
    assert_eq!(world.refused(), [(never, "unknownDocument".to_owned())]);
    assert_eq!(world.service.judging().waiting, 1);
    assert!(world.service.judging().problem.unwrap().what.contains("final"));
    world.chain.reorganise();
    world.until(|| world.service.judging().waiting == 0).await;
    assert_eq!(world.refused().len(), 1);

    world.chain.record(address_of(ANNA), revoked, false);
    let refused = world.change(&change(4)).await;
    world.until(|| world.service.judging().waiting == 1).await;
    world.chain.finalise();
    world.until(|| world.refused().len() == 2).await;
    assert_eq!(world.refused()[1], (refused, "revoked".to_owned()));
    world.stop().await;
}
