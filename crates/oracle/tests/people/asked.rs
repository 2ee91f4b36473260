//! Changes that an organisation asks for: approved and then done, declined, taken back, too old;
//! each an entry, and whatever crashes in between.

use crate::permits::{ANNA, KADRI, STRANGER, delegation, grant_for, id};
use crate::safe::{Safe, allergy, anna, approval, bytes, record, version, write};
use crate::support::{CLINIC, FAULTS, Fault, REGISTRIES, World, address_of, now_ms};
use alloy_primitives::B256;
use medtrail_keys::reporter::ReporterKey;
use medtrail_ledger::entry::{commitment, details_hash, event_id};
use medtrail_ledger::proof::Evidence;
use medtrail_ledger::schema::{Report, domain};
use medtrail_ledger::vault::{ChangeRequestDetails, Shelves};
use medtrail_oracle::intake::{ReportError, Submission};
use medtrail_oracle::vault::{Ask, Side, Standing, VaultError, VaultLimits};
use std::sync::atomic::{AtomicU64, Ordering};

const HOUR_MS: u64 = 3_600_000;
const HERS: fn() -> Side = || Side::Person { who: address_of(ANNA), subject: anna() };
const CLINICS: fn() -> Side = || Side::Organisation(address_of(CLINIC));

fn ask(world: &World, by: u8, event: u64, from: char, to: char) -> Ask {
    ask_until(world, by, event, from, to, now_ms() + HOUR_MS)
}

fn ask_until(world: &World, by: u8, event: u64, from: char, to: char, until_ms: u64) -> Ask {
    let key = ReporterKey::from_bytes(&[by; 32]).unwrap();
    let details = serde_json::to_vec(&ChangeRequestDetails {
        version: "medtrail/change-request-v1".to_owned(),
        act: "asked".to_owned(),
        about: Some(allergy(to)),
        bytes: Some(bytes(to).len() as u64),
        why: Some("The reaction was another's.".to_owned()),
        until_ms: Some(until_ms),
        request: None,
        organisation: None,
    });
    let details = details.unwrap();
    let report = Report {
        log: world.log,
        eventId: event_id(key.address(), &event.to_be_bytes()),
        kind: 12,
        timeMs: now_ms(),
        subject: anna(),
        actor: key.address(),
        record: record("penicillin"),
        fromVersion: version(from),
        toVersion: version(to),
        details: details_hash(&details),
        ..Report::default()
    };
    let signature = key.sign(&report, &domain(REGISTRIES.chain_id, REGISTRIES.anchor_registry));
    let evidence = Evidence::Signed(signature);
    let submission = Submission { report, evidence, details: Some(details) };
    Ask { submission, content: Some(bytes(to)) }
}

/// The acts of requests in the log, oldest first.
fn acts(safe: &Safe) -> Vec<String> {
    let told = safe.world.details_of_kind(12).into_iter();
    told.map(|told| told["act"].as_str().unwrap().to_owned()).collect()
}

async fn standing(safe: &Safe, id: B256) -> Standing {
    let hers = safe.vault.request(HERS(), id).await.unwrap();
    let clinics = safe.vault.request(CLINICS(), id).await.unwrap();
    assert_eq!(hers, clinics, "both see the same");
    hers.standing
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_and_approved_can_be_written_and_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let safe = Safe::start(&folder);
    safe.put(&write(1, ANNA, '0', 'A')).await.unwrap();
    let asked = ask(&safe.world, CLINIC, 2, 'A', 'B');
    let (request, receipt) = safe.vault.ask(asked.clone()).await.unwrap();
    let (again, same) = safe.vault.ask(asked).await.unwrap();
    assert_eq!((request, receipt.index), (again, same.index));
    assert_eq!(standing(&safe, request).await, Standing::Asked);
    let (_, proposed) = safe.vault.proposal(HERS(), request).await.unwrap();
    assert_eq!(proposed, bytes('B'));
    let waits = safe.put(&write(3, CLINIC, 'A', 'B')).await;
    assert!(matches!(waits, Err(VaultError::Refused { .. })), "asking is no permission");

    let yes = approval('A', 'B', 1);
    safe.world.give(ANNA, yes.clone()).await;
    let shown = safe.vault.request(CLINICS(), request).await.unwrap();
    assert_eq!((shown.standing, shown.approval), (Standing::Approved, Some(id(&yes))));
    safe.put(&write(4, CLINIC, 'A', 'B').naming(&yes)).await.unwrap();
    assert_eq!(standing(&safe, request).await, Standing::Done);
    assert!(matches!(safe.vault.proposal(HERS(), request).await, Err(VaultError::NotFound)));
    let shelf = safe.cellar.shelf(anna()).unwrap();
    let kept = bytes('A').len() + bytes('B').len();
    assert_eq!((shelf.bytes, shelf.waiting.len()), (kept as u64, 0));
    assert_eq!(acts(&safe), ["asked"]);
    safe.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_no_and_a_withdrawal_end_it_each_as_a_line_once() {
    let folder = tempfile::tempdir().unwrap();
    let safe = Safe::start(&folder);
    let first = safe.vault.ask(ask(&safe.world, CLINIC, 1, '0', 'A')).await.unwrap();
    let second = safe.vault.ask(ask(&safe.world, CLINIC, 2, '0', 'B')).await.unwrap();
    for side in [HERS(), HERS()] {
        let declined = safe.vault.end_request(side, first.0).await.unwrap();
        assert_eq!(declined.standing, Standing::Declined);
    }
    let late = safe.vault.end_request(CLINICS(), first.0).await;
    assert!(matches!(late, Err(VaultError::NotWaiting)), "{late:?}");
    safe.vault.end_request(CLINICS(), second.0).await.unwrap();
    assert_eq!(standing(&safe, second.0).await, Standing::Withdrawn);
    assert_eq!(acts(&safe), ["asked", "asked", "declined", "withdrawn"]);
    let entries = safe.world.all();
    let (asked, declined) = (&entries[0], &entries[2]);
    assert_eq!(declined.report.permission, commitment(&asked.report, &asked.place));
    assert_eq!(safe.cellar.shelf(anna()).unwrap().bytes, 0);
    safe.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_sees_or_answers_and_who_speaks_for_the_person_does() {
    let folder = tempfile::tempdir().unwrap();
    let safe = Safe::start(&folder);
    let (request, _) = safe.vault.ask(ask(&safe.world, CLINIC, 1, '0', 'A')).await.unwrap();
    let strange = Side::Person { who: address_of(STRANGER), subject: anna() };
    let kadris = Side::Person { who: address_of(KADRI), subject: anna() };
    let own = Side::Person { who: address_of(STRANGER), subject: B256::repeat_byte(3) };
    let other = Side::Organisation(address_of(STRANGER));
    for side in [strange, kadris, own, other] {
        let seen = safe.vault.request(side, request).await;
        assert!(matches!(seen, Err(VaultError::NotFound)), "{seen:?}");
        let ended = safe.vault.end_request(side, request).await;
        assert!(matches!(ended, Err(VaultError::NotFound)), "{ended:?}");
        let read = safe.vault.proposal(side, request).await;
        assert!(matches!(read, Err(VaultError::NotFound)), "{read:?}");
    }
    assert_eq!(safe.vault.requests(other).await.unwrap(), []);
    safe.world.give(ANNA, delegation()).await;
    assert_eq!(safe.vault.requests(kadris).await.unwrap().len(), 1);
    safe.vault.end_request(kadris, request).await.unwrap();
    assert_eq!(standing(&safe, request).await, Standing::Declined);

    let unknown = safe.vault.ask(ask(&safe.world, STRANGER, 2, '0', 'A')).await;
    let is_refused = matches!(unknown, Err(VaultError::Report(ReportError::UnknownCustodian(_))));
    assert!(is_refused, "{unknown:?}");
    safe.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_over_an_old_version_or_too_often_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let limits = VaultLimits { waiting_requests: 2, requests: 2, ..VaultLimits::default() };
    let safe = Safe::over(&folder, World::start(&folder), limits);
    safe.put(&write(1, ANNA, '0', 'A')).await.unwrap();
    let old = safe.vault.ask(ask(&safe.world, CLINIC, 2, 'B', 'C')).await;
    assert!(matches!(old, Err(VaultError::Conflict { current: None })), "{old:?}");
    let mut ids = Vec::new();
    for (event, to) in [(3, 'B'), (4, 'C')] {
        ids.push(safe.vault.ask(ask(&safe.world, CLINIC, event, 'A', to)).await.unwrap().0);
    }
    let many = safe.vault.ask(ask(&safe.world, CLINIC, 5, 'A', 'D')).await;
    assert!(matches!(many, Err(VaultError::TooMany(_))), "{many:?}");
    safe.vault.end_request(HERS(), ids[0]).await.unwrap();
    safe.vault.ask(ask(&safe.world, CLINIC, 6, 'A', 'E')).await.unwrap();
    // The one that was answered made room.
    let gone = safe.vault.request(CLINICS(), ids[0]).await;
    assert!(matches!(gone, Err(VaultError::NotFound)));
    assert_eq!(safe.vault.requests(HERS()).await.unwrap().len(), 2);
    safe.stop().await;
}

static AHEAD_MS: AtomicU64 = AtomicU64::new(0);

fn later_ms() -> u64 {
    now_ms() + AHEAD_MS.load(Ordering::SeqCst)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_answers_ends_by_itself_also_over_a_restart_and_a_clock_set_back() {
    let folder = tempfile::tempdir().unwrap();
    let safe = Safe::start_at(&folder, later_ms);
    let until_ms = later_ms() + HOUR_MS;
    let asked = ask_until(&safe.world, CLINIC, 1, '0', 'A', until_ms);
    let (request, _) = safe.vault.ask(asked).await.unwrap();
    safe.vault.tick().unwrap();
    assert_eq!(standing(&safe, request).await, Standing::Asked);
    safe.stop().await;
    AHEAD_MS.store(2 * HOUR_MS, Ordering::SeqCst);
    let safe = Safe::start_at(&folder, later_ms);
    assert_eq!(standing(&safe, request).await, Standing::Expired);
    AHEAD_MS.store(0, Ordering::SeqCst);
    safe.vault.tick().unwrap();
    assert_eq!(standing(&safe, request).await, Standing::Expired);
    let no = safe.vault.end_request(HERS(), request).await;
    assert!(matches!(no, Err(VaultError::NotWaiting)), "{no:?}");
    assert_eq!(acts(&safe), ["asked", "expired"]);
    safe.stop().await;
}

/// Whatever fails at each step of asking and answering, after the next start each act stands once
/// or not at all, and doing it again does it.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_step_leaves_a_request_whole() {
    for fault in FAULTS {
        for (is_log, passing) in [(false, 0), (false, 1), (true, 0)] {
            let folder = tempfile::tempdir().unwrap();
            let safe = Safe::start(&folder);
            let asked = ask(&safe.world, CLINIC, 1, '0', 'A');
            let faults = if is_log { &safe.world.disk.faults } else { &safe.cellar.faults };
            faults.fail_after(passing, fault);
            let outcome = safe.vault.ask(asked.clone()).await;
            assert!(outcome.is_err(), "{is_log} {passing} {fault:?}");
            safe.stop().await;

            let safe = Safe::start(&folder);
            let known = safe.vault.requests(HERS()).await.unwrap();
            assert_eq!(known.len(), safe.entries_of(12), "{is_log} {passing} {fault:?}");
            let is_there = match is_log {
                true => fault == Fault::FailsButPersists,
                false => passing == 1,
            };
            assert_eq!(known.len(), usize::from(is_there));
            let (request, _) = safe.vault.ask(asked).await.unwrap();
            assert_eq!(safe.entries_of(12), 1);

            // Now the answer: its entry, then the request.
            safe.cellar.faults.fail_after(0, fault);
            safe.vault.end_request(HERS(), request).await.unwrap_err();
            safe.stop().await;
            let safe = Safe::start(&folder);
            safe.vault.end_request(HERS(), request).await.unwrap();
            assert_eq!(acts(&safe), ["asked", "declined"]);
            assert_eq!(safe.cellar.shelf(anna()).unwrap().bytes, 0);
            safe.stop().await;
        }
    }
    // A grant is enough to write what nobody was asked for.
    let folder = tempfile::tempdir().unwrap();
    let safe = Safe::start(&folder);
    safe.world.give(ANNA, grant_for("patient/*.c", 1)).await;
    safe.put(&write(1, CLINIC, '0', 'A')).await.unwrap();
    safe.stop().await;
}
