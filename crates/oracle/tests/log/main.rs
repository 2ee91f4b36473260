//! Journeys through the engine over the real store: what is acknowledged is there, whole, once,
//! and in its person's trail without a gap.

mod support;

use alloy_primitives::B256;
use medtrail_ledger::entry::details_hash;
use medtrail_ledger::ports::JournalError;
use medtrail_ledger::proof::ShownPlace;
use medtrail_oracle::intake::{DETAILS_BYTES_MAX, ReportError, Submission};
use medtrail_oracle::opener::EntryError;
use medtrail_oracle::room::QUEUE_BYTES_MAX;
use medtrail_oracle::sequencer::{PlaceError, SequencerError};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use support::{Fault, Log};

#[tokio::test(flavor = "multi_thread")]
async fn a_report_gets_a_receipt_that_binds_the_log_and_reads_back_as_it_was_sent() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::start(&folder);
    let sent = log.submission(7, 1);
    let receipt = log.service.report(sent.clone()).await.unwrap();
    log.assert_binding(&receipt, &sent);
    assert_eq!(receipt.index, 0);
    let entry = log.service.entry(0).unwrap();
    assert_eq!((entry.report, entry.details), (sent.report, sent.details));
    assert_eq!(entry.evidence, sent.evidence);
    assert_eq!((entry.place.ordinal, entry.place.previous), (1, B256::ZERO));
    assert_eq!(ShownPlace::Open(entry.place).hash(), receipt.place_hash);
    log.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_of_many_clients_make_trails_without_a_gap_that_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut ends: HashMap<B256, (u64, B256)> = HashMap::new();
    for round in 0..3u64 {
        let log = Log::start(&folder);
        let mut clients = tokio::task::JoinSet::new();
        for client in 0..8u64 {
            let service = log.service.clone();
            let sent: Vec<Submission> = (0..40)
                .map(|n| log.submission((client * 40 + n) % 13, round * 1000 + client * 40 + n))
                .collect();
            clients.spawn(async move {
                let mut answered = Vec::new();
                for submission in sent {
                    answered.push((service.report(submission.clone()).await.unwrap(), submission));
                }
                answered
            });
        }
        let mut indexes = Vec::new();
        for (receipt, submission) in clients.join_all().await.into_iter().flatten() {
            log.assert_binding(&receipt, &submission);
            indexes.push(receipt.index);
        }
        indexes.sort_unstable();
        assert_eq!(indexes, (round * 320..(round + 1) * 320).collect::<Vec<_>>());
        for index in indexes {
            let entry = log.service.entry(index).unwrap();
            let end = ends.entry(entry.report.subject).or_default();
            let expected = match entry.report.subject.is_zero() {
                true => (0, B256::ZERO),
                false => (end.0 + 1, end.1),
            };
            assert_eq!((entry.place.ordinal, entry.place.previous), expected, "entry {index}");
            let commitment = medtrail_ledger::entry::commitment(&entry.report, &entry.place);
            *end = (entry.place.ordinal, commitment);
        }
        log.assert_whole();
        log.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_report_gets_the_same_place_before_and_after_it_is_filed() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::start(&folder);
    let sent = log.submission(7, 1);
    let first = log.service.report(sent.clone()).await.unwrap();
    let at_once = log.service.reports(vec![sent.clone(), sent.clone(), log.submission(7, 2)]).await;
    for again in &at_once[..2] {
        let again = again.as_ref().unwrap();
        assert_eq!((again.index, again.place_hash), (first.index, first.place_hash));
        log.assert_binding(again, &sent);
    }
    wait_until_filed(&log).await;
    let after = log.service.report(sent.clone()).await.unwrap();
    assert_eq!((after.index, after.place_hash), (first.index, first.place_hash));
    log.assert_binding(&after, &sent);
    assert_eq!(log.service.head().size, 2);
    log.stop().await;

    let log = Log::start(&folder);
    let reopened = log.service.report(sent.clone()).await.unwrap();
    assert_eq!(reopened.place_hash, first.place_hash);
    log.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_copies_in_one_commit_get_one_place() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::start(&folder);
    let sent = log.submission(7, 1);
    let both = log.service.reports(vec![sent.clone(), sent]).await;
    let [Ok(one), Ok(two)] = &both[..] else { panic!("{both:?}") };
    assert_eq!((one.index, one.place_hash), (two.index, two.place_hash));
    assert_eq!(log.service.head().size, 1);
    log.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_event_with_another_content_is_refused_and_names_the_entry() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::start(&folder);
    let sent = log.submission(7, 1);
    log.service.report(sent.clone()).await.unwrap();
    let mut other = sent.report.clone();
    other.action = b'U';
    let refused = log.service.report(log.sign(other, sent.details.clone())).await;
    assert!(matches!(refused, Err(ReportError::Conflict { index: 0, .. })), "{refused:?}");
    assert_eq!(log.service.head().size, 1);
    log.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_did_not_happen_leaves_nothing_and_the_same_report_is_taken_again() {
    for fault in [Fault::Fails, Fault::Full] {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::start(&folder);
        log.service.report(log.submission(7, 1)).await.unwrap();
        log.fail_next(fault);
        let lost = log.submission(7, 2);
        let refused = log.service.report(lost.clone()).await.unwrap_err();
        let expected = match fault {
            Fault::Full => PlaceError::DiskFull,
            _ => PlaceError::OutcomeUnknown,
        };
        assert!(matches!(refused, ReportError::Place(told) if told == expected));
        assert_eq!(log.service.head().size, 1);
        let taken = log.service.report(lost.clone()).await.unwrap();
        log.assert_binding(&taken, &lost);
        assert_eq!((taken.index, log.service.entry(1).unwrap().place.ordinal), (1, 2));
        log.assert_whole();
        log.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_happened_though_we_were_told_it_failed_is_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::start(&folder);
    log.service.report(log.submission(7, 1)).await.unwrap();
    log.fail_next(Fault::FailsButPersists);
    let sent = log.submission(7, 2);
    let told = log.service.report(sent.clone()).await.unwrap_err();
    assert!(matches!(told, ReportError::Place(PlaceError::OutcomeUnknown)));
    let again = log.service.report(sent.clone()).await.unwrap();
    log.assert_binding(&again, &sent);
    assert_eq!((again.index, log.service.head().size), (1, 2));
    let next = log.service.report(log.submission(7, 3)).await.unwrap();
    assert_eq!((next.index, log.service.entry(2).unwrap().place.ordinal), (2, 3));
    log.assert_whole();
    log.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_group_that_failed_or_was_told_so_gets_each_its_place_when_sent_again() {
    for fault in [Fault::Fails, Fault::Full, Fault::FailsButPersists] {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::start(&folder);
        for person in 1..=20 {
            log.service.report(log.submission(person, person)).await.unwrap();
        }
        // About known people, about new ones, and about nobody: all in one group.
        let sent: Vec<_> = (0..330).map(|n| log.submission(n % 33, 1000 + n)).collect();
        log.fail_next_large(fault);
        let told = log.service.reports(sent.clone()).await;
        let lost = told.iter().filter(|told| told.is_err()).count() as u64;
        assert!(lost >= 32, "{lost}");

        let again = log.service.reports(sent.clone()).await;
        let mut indexes: Vec<u64> = Vec::new();
        for ((receipt, told), sent) in again.iter().zip(&told).zip(&sent) {
            let receipt = receipt.as_ref().unwrap();
            log.assert_binding(receipt, sent);
            assert!(told.as_ref().is_ok_and(|told| told.index == receipt.index) || told.is_err());
            indexes.push(receipt.index);
        }
        if fault == Fault::FailsButPersists {
            // Reports of one person keep their order, whether their key was at hand or not.
            for person in 1..33 {
                let theirs: Vec<u64> = indexes.iter().skip(person).step_by(33).copied().collect();
                assert!(theirs.is_sorted(), "{theirs:?}");
            }
        }
        indexes.sort_unstable();
        assert_eq!(indexes, (20..350).collect::<Vec<_>>());
        log.assert_whole();
        log.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rule_a_report_breaks_is_named_and_the_corrected_report_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::start(&folder);
    let good = log.submission(7, 1);
    let broken = |change: &dyn Fn(&mut Submission)| {
        let mut submission = good.clone();
        change(&mut submission);
        log.sign(submission.report, submission.details)
    };
    let far_ahead = support::now_ms() + 10 * 60 * 1000;
    let cases: Vec<(Submission, &str)> = vec![
        (broken(&|s| s.report.log = B256::ZERO), "report.log"),
        (broken(&|s| s.report.kind = 9), "report.kind"),
        (broken(&|s| s.report.kind = 0), "report.kind"),
        (broken(&|s| s.report.action = b'Z'), "report.action"),
        (broken(&|s| s.report.eventId = B256::ZERO), "report.eventId"),
        (broken(&|s| s.report.timeMs = far_ahead), "report.timeMs"),
        (broken(&|s| s.details = Some(b"{}".to_vec())), "report.details"),
        (broken(&|s| s.details = Some(vec![b' '; 262_145])), "262145 bytes"),
        (broken(&|s| s.report.actor = Default::default()), "signed by"),
        (
            Submission { evidence: medtrail_ledger::proof::Evidence::Relayed, ..good.clone() },
            "must be signed",
        ),
        (stranger(&log, &good), "report.actor"),
    ];
    for (submission, named) in cases {
        let error = log.service.report(submission).await.unwrap_err().to_string();
        assert!(error.contains(named), "{named}: {error}");
        assert_eq!(log.service.head().size, 0, "{named}");
    }
    log.service.report(good).await.unwrap();
    log.stop().await;
}

/// A well-made report by a key that no organisation has.
fn stranger(log: &Log, good: &Submission) -> Submission {
    let key = medtrail_keys::reporter::ReporterKey::from_bytes(&[5; 32]).unwrap();
    let mut report = good.report.clone();
    report.actor = key.address();
    let signature = key.sign(&report, &log.keys.domain());
    let evidence = medtrail_ledger::proof::Evidence::Signed(signature);
    Submission { report, evidence, details: good.details.clone() }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_is_not_there_or_not_anchored_is_said_to_be_so() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::start(&folder);
    log.service.report(log.submission(7, 1)).await.unwrap();
    assert!(matches!(log.service.entry(1), Err(EntryError::Absent { index: 1, size: 1 })));
    // An index is whatever stands in a URL.
    let last = log.service.receipt(u64::MAX);
    assert!(matches!(last, Err(EntryError::Absent { index: u64::MAX, size: 1 })), "{last:?}");
    let proof = log.service.proof(0);
    assert!(matches!(proof, Err(EntryError::NotAnchored { index: 0, anchored: 0 })));
    log.stop().await;
}

/// The story: a gateway sends the same report twice at once. One copy looks into the index, finds
/// nothing, and is held up on its way to the queue. Meanwhile the other copy is taken and filed,
/// and a commit that fails makes the writer start over with nothing unfiled to remember.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_looked_before_the_other_was_filed_and_a_reload_gets_the_same_place() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::start(&folder);
    let sent = log.submission(7, 1);
    let (looked, release) = log.hold_next_look();
    let (service, copy) = (log.service.clone(), sent.clone());
    let late = tokio::spawn(async move { service.report(copy).await });
    tokio::task::block_in_place(|| looked.recv()).unwrap();

    let first = log.service.report(sent.clone()).await.unwrap();
    wait_until_filed(&log).await;
    log.fail_next(Fault::Fails);
    log.service.report(log.submission(8, 2)).await.unwrap_err();
    release.send(()).unwrap();

    let late = late.await.unwrap().unwrap();
    assert_eq!((late.index, late.place_hash), (first.index, first.place_hash));
    assert_eq!(log.service.head().size, 1);
    log.stop().await;
}

/// A row under a key that is not durable is lost with the next power cut, receipt or not.
#[tokio::test(flavor = "multi_thread")]
async fn a_sync_of_the_key_file_that_fails_ends_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::start(&folder);
    log.fail_next_key(JournalError::Fatal("on purpose".into()));
    let told = log.service.report(log.submission(7, 1)).await.unwrap_err();
    assert!(matches!(told, ReportError::Place(PlaceError::Stopped)), "{told:?}");
    log.ends().await;
    let outcome = log.outcome().await;
    assert!(matches!(outcome, Err(SequencerError::Journal(JournalError::Fatal(_)))), "{outcome:?}");

    let log = Log::start(&folder);
    log.service.report(log.submission(7, 1)).await.unwrap();
    log.assert_whole();
    log.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_file_that_fails_without_a_sync_costs_one_answer() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::start(&folder);
    log.fail_next_key(JournalError::Storage("on purpose".into()));
    let told = log.service.report(log.submission(7, 1)).await.unwrap_err();
    assert!(matches!(told, ReportError::Place(PlaceError::Busy)), "{told:?}");
    assert_eq!(log.service.head().size, 0);
    log.service.report(log.submission(7, 1)).await.unwrap();
    log.assert_whole();
    log.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_that_shows_while_reading_costs_one_answer() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::start(&folder);
    let full = || JournalError::Full("on purpose".into());
    log.fail_next_look_of_the_writer(full());
    let told = log.service.report(log.submission(7, 1)).await.unwrap_err();
    assert!(matches!(told, ReportError::Place(PlaceError::Busy)), "{told:?}");
    assert_eq!(log.service.report(log.submission(7, 1)).await.unwrap().index, 0);
    // Also where the writer starts over after a commit that failed.
    log.fail_next(Fault::Fails);
    log.fail_next_reading(full());
    let told = log.service.report(log.submission(7, 2)).await.unwrap_err();
    assert!(matches!(told, ReportError::Place(PlaceError::OutcomeUnknown)), "{told:?}");
    assert_eq!(log.service.report(log.submission(7, 2)).await.unwrap().index, 1);
    log.assert_whole();
    log.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_that_are_too_long_together_wait_outside_and_others_find_room() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::start(&folder);
    let long = DETAILS_BYTES_MAX;
    let details = [b"\"".as_slice(), &vec![b'x'; long - 2], b"\""].concat();
    // Half of the room is as much as one organisation may hold.
    let count = (QUEUE_BYTES_MAX / 2 / long) as u64;
    let sent: Vec<_> = (0..count)
        .map(|event| {
            let mut report = log.submission(7, event).report;
            report.details = details_hash(&details);
            log.sign(report, Some(details.clone()))
        })
        .collect();
    let told = log.service.reports(sent).await;
    assert_eq!(told.len() as u64, count);
    for one in told {
        assert!(matches!(one, Err(ReportError::Place(PlaceError::Busy))), "{one:?}");
    }
    assert_eq!(log.service.head().size, 0, "nothing was written");
    log.service.report(log.submission(7, 1)).await.unwrap();
    log.stop().await;
}

/// A process whose writer is gone but which never ends takes nothing, and nobody starts it anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_panics_ends_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::start(&folder);
    log.service.report(log.submission(7, 1)).await.unwrap();
    log.panic_at(2);
    let told = log.service.report(log.submission(7, 2)).await.unwrap_err();
    assert!(matches!(told, ReportError::Place(PlaceError::OutcomeUnknown)), "{told:?}");
    log.ends().await;
    let outcome = tokio::time::timeout(Duration::from_secs(10), log.outcome()).await;
    assert!(outcome.expect("both threads end").is_err());

    let log = Log::start(&folder);
    assert_eq!(log.service.report(log.submission(7, 2)).await.unwrap().index, 1);
    log.assert_whole();
    log.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_fails_while_filing_ends_the_log_and_another_fault_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::start(&folder);
    log.fail_next_filing(JournalError::Storage("on purpose".into()));
    log.service.report(log.submission(7, 1)).await.unwrap();
    wait_until_filed(&log).await;
    log.fail_next_filing(JournalError::Fatal("on purpose".into()));
    log.service.report(log.submission(7, 2)).await.unwrap();
    log.ends().await;
    let outcome = log.outcome().await;
    assert!(matches!(outcome, Err(SequencerError::Journal(JournalError::Fatal(_)))), "{outcome:?}");

    let log = Log::start(&folder);
    assert_eq!(log.service.head().size, 2);
    log.assert_whole();
    log.stop().await;
}

/// On one thread: whoever blocks it holds up every other request.
#[tokio::test]
async fn a_relayed_report_that_waits_for_the_disk_holds_up_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::start(&folder);
    let mut sent = log.submission(7, 1);
    sent.report.actor = log.keys.operator;
    sent.evidence = medtrail_ledger::proof::Evidence::Relayed;
    let (looked, release) = log.hold_next_look();
    let service = log.service.clone();
    let relayed = tokio::spawn(async move { service.relay(sent).await });
    let waiting = Instant::now();
    while looked.try_recv().is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(waiting.elapsed() < Duration::from_secs(10), "the thread was blocked");
    release.send(()).unwrap();
    assert_eq!(relayed.await.unwrap().unwrap().index, 0);
    log.stop().await;
}

async fn wait_until_filed(log: &Log) {
    let until = Instant::now() + Duration::from_secs(20);
    while log.service.filed().unwrap() < log.service.head().size {
        assert!(Instant::now() < until, "the filer stands still");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A bit of memory that tips over between signing and writing: the entry is durable, and nobody is
/// shown the signature, neither by this writer nor by one that opens the log after a crash.
#[tokio::test(flavor = "multi_thread")]
async fn a_spoiled_signature_is_never_shown_and_what_it_covered_gets_the_same_place() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::start(&folder);
    log.service.report(log.submission(7, 1)).await.unwrap();
    log.spoil_next_signature();
    let told = log.service.report(log.submission(7, 2)).await.unwrap_err();
    assert!(matches!(told, ReportError::Place(PlaceError::OutcomeUnknown)), "{told:?}");
    let receipt = log.service.report(log.submission(7, 2)).await.unwrap();
    assert_eq!(receipt.index, 1);
    log.assert_signed_anew(2);

    log.spoil_next_signature();
    log.die_checking();
    log.service.report(log.submission(7, 3)).await.unwrap_err();
    log.ends().await;
    assert!(log.outcome().await.is_err());
    let log = Log::start(&folder);
    // Before anything else is written: who opens the log has signed it again.
    log.assert_signed_anew(3);
    assert_eq!(log.service.report(log.submission(7, 3)).await.unwrap().index, 2);
    log.assert_whole();
    log.stop().await;
}
