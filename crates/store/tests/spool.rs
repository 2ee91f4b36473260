//! The spool survives, keeps what it acknowledged, and does each act whole or not at all: over
//! power losses, failing calls and a full disk.

mod support;

use alloy_primitives::{Address, B256, Bytes};
use medtrail_ledger::custodian::{
    DeskCode, EventRow, NewEvent, NewReport, ReportRow, ReportState, Spool, SpoolError,
    SpoolLimits, Taken, Usage,
};
use medtrail_ledger::ports::JournalError;
use medtrail_store::{FileName, OpenError, SpoolDb};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use support::Dice;
use support::disk::{Disk, Failure};

const LIMITS: SpoolLimits = SpoolLimits { count: 10_000, bytes: 1 << 24 };

/// Something a gateway does.
#[derive(Clone, Debug)]
enum Act {
    Take(Vec<NewEvent>),
    /// Events, and how many reports of each.
    Sign(Vec<(u64, usize)>),
    Replace(u64, Bytes),
    Settle(Vec<(u64, ReportState)>),
    Forget(u64),
    KeepCode(DeskCode),
}

/// Does it. A refusal is an answer like any other.
fn act(spool: &SpoolDb, act: &Act) -> Result<(), SpoolError> {
    let answer = match act {
        Act::Take(events) => spool.take(events).map(drop),
        Act::Sign(events) => {
            let numbers: Vec<_> = events.iter().map(|(number, _)| *number).collect();
            let reports: Vec<_> = events.iter().flat_map(|of| reports_of(*of)).collect();
            spool.sign(&numbers, &reports).map(drop)
        }
        Act::Replace(sequence, document) => spool.replace(*sequence, document.clone()),
        Act::Settle(ends) => spool.settle(ends),
        Act::Forget(before_ms) => spool.forget(*before_ms).map(drop),
        Act::KeepCode(code) => spool.keep_code(code),
    };
    match answer {
        Err(SpoolError::Disk(error)) => Err(SpoolError::Disk(error)),
        _ => Ok(()),
    }
}

fn reports_of((event, count): (u64, usize)) -> Vec<NewReport> {
    let document = |part| Bytes::from(format!("report {part} of event {event}").into_bytes());
    (0..count).map(|part| NewReport { event, document: document(part) }).collect()
}

fn event(id: u64, bytes: impl Into<Bytes>) -> NewEvent {
    NewEvent { id: id_of(id), received_ms: id, bytes: bytes.into() }
}

fn id_of(number: u64) -> B256 {
    B256::left_padding_from(&number.to_be_bytes())
}

/// All that can be read of a spool.
#[derive(Clone, PartialEq, Debug)]
struct Contents {
    usage: Usage,
    events: Vec<Option<EventRow>>,
    unsigned: Vec<EventRow>,
    reports: Vec<ReportRow>,
    waiting: Vec<ReportRow>,
    subject: Option<Address>,
    unused_codes: u64,
}

const PSEUDONYM: B256 = B256::repeat_byte(0x9e);
/// More events than any test takes.
const EVENTS_MAX: u64 = 40;

fn contents(spool: &SpoolDb) -> Contents {
    let usage = spool.usage().unwrap();
    let report = |sequence| spool.report(sequence).unwrap();
    // A gap in the numbers would be an absent row here.
    let reports: Option<Vec<_>> = (1..=usage.sequence).map(report).collect();
    assert_eq!(report(usage.sequence + 1), None);
    let contents = Contents {
        usage,
        events: (1..=EVENTS_MAX).map(|number| spool.event(number).unwrap()).collect(),
        unsigned: spool.unsigned(usize::MAX).unwrap(),
        reports: reports.expect("numbers without gaps"),
        waiting: spool.waiting(usize::MAX, &BTreeSet::new()).unwrap(),
        subject: spool.subject_of(PSEUDONYM).unwrap(),
        unused_codes: spool.unused_codes().unwrap(),
    };
    adds_up(&contents);
    contents
}

/// The counts say what the rows say.
fn adds_up(contents: &Contents) {
    let Contents { usage, unsigned, reports, waiting, .. } = contents;
    let is_waiting = |row: &&ReportRow| row.state == ReportState::Waiting;
    assert_eq!(
        waiting.iter().collect::<Vec<_>>(),
        reports.iter().filter(is_waiting).collect::<Vec<_>>()
    );
    let aside =
        |row: &&ReportRow| !is_waiting(row) && !matches!(row.state, ReportState::Receipted(_));
    let counted = Usage {
        unsigned: unsigned.len() as u64,
        unsigned_bytes: unsigned.iter().map(|row| row.bytes.len() as u64).sum(),
        waiting: waiting.len() as u64,
        waiting_bytes: waiting.iter().map(|row| row.report.document.len() as u64).sum(),
        set_aside: reports.iter().filter(aside).count() as u64,
        sequence: usage.sequence,
    };
    assert_eq!(*usage, counted);
}

fn receipt(number: u64) -> ReportState {
    ReportState::Receipted(Bytes::from(format!("receipt {number}").into_bytes()))
}

/// One row of each table and each state; long events, so that the file grows on the way.
fn acts() -> Vec<Act> {
    let code = DeskCode {
        code_hash: B256::repeat_byte(1),
        pseudonym: PSEUDONYM,
        expires_ms: 9,
        subject: None,
    };
    let wrong =
        ReportState::WrongReceipt { answer: Bytes::from_static(b"{}"), reason: "root".to_owned() };
    vec![
        Act::Take((1..=3).map(|id| event(id, vec![id as u8; 3000])).collect()),
        Act::KeepCode(code),
        Act::KeepCode(DeskCode { code_hash: B256::repeat_byte(2), ..code }),
        Act::Sign(vec![(1, 2), (2, 1)]),
        Act::Replace(2, Bytes::from_static(b"signed anew")),
        Act::KeepCode(DeskCode { subject: Some(Address::repeat_byte(7)), ..code }),
        Act::Settle(vec![(1, receipt(1)), (2, receipt(2))]),
        Act::Take(vec![event(4, vec![4; 9000]), event(1, vec![1; 3000])]),
        Act::Sign(vec![(3, 1), (4, 1)]),
        Act::Settle(vec![(3, ReportState::SetAside("422".to_owned())), (4, wrong)]),
        Act::Forget(3),
        Act::Take(vec![event(5, vec![5; 300])]),
    ]
}

/// The contents after the first `count` acts.
fn after(count: usize) -> Contents {
    let disk = Disk::default();
    let spool = SpoolDb::open_on(disk.files(), LIMITS).unwrap();
    acts().iter().take(count).for_each(|one| act(&spool, one).unwrap());
    contents(&spool)
}

/// After each number of acts, none first.
fn steps() -> Vec<Contents> {
    let steps: Vec<_> = (0..=acts().len()).map(after).collect();
    // Else a step too far or too few would not be seen.
    assert!(steps.windows(2).all(|pair| pair[0] != pair[1]));
    steps
}

fn open(disk: &Disk) -> SpoolDb {
    SpoolDb::open_on(disk.files(), LIMITS).unwrap()
}

#[test]
fn an_act_survives_power_loss_at_any_call_whole_or_not_at_all() {
    let steps = steps();
    let calls = {
        let disk = Disk::default();
        let spool = open(&disk);
        acts().iter().for_each(|one| act(&spool, one).unwrap());
        disk.calls()
    };
    let (mut cut_short, mut went_on) = (0, 0);
    for seed in 0..4 {
        let mut dice = Dice(seed);
        for call in 0..calls {
            let disk = Disk::default();
            disk.lose_power_after(call);
            let mut acknowledged = 0;
            if let Ok(spool) = SpoolDb::open_on(disk.files(), LIMITS) {
                for one in &acts() {
                    match act(&spool, one) {
                        Ok(()) => acknowledged += 1,
                        Err(_) => break,
                    }
                }
            }
            cut_short += usize::from(acknowledged < acts().len());
            let spool = open(&disk.after_power_loss(&mut dice));
            let found = contents(&spool);
            let happened = steps[acknowledged..].iter().take(2).position(|step| *step == found);
            let happened = happened.unwrap_or_else(|| panic!("seed {seed} call {call}: {found:?}"));
            went_on += happened;
            // A gateway does again what it did not hear of, and goes on.
            acts()[acknowledged..].iter().for_each(|one| act(&spool, one).unwrap());
            assert_eq!(contents(&spool), steps[acts().len()], "seed {seed} call {call}");
        }
    }
    assert!(cut_short > 100 && went_on > 0, "{cut_short} cut short, {went_on} not heard of");
}

/// If this harness did not see what a disk without syncs loses, the test above would mean nothing.
#[test]
fn the_harness_sees_acknowledged_acts_that_were_not_synced() {
    let steps = steps();
    let seen = (0..40).filter(|&seed| {
        let disk = Disk::default();
        let spool = open(&disk);
        disk.lie_about(FileName::Spool);
        acts().iter().for_each(|one| act(&spool, one).unwrap());
        let disk = disk.after_power_loss(&mut Dice(seed));
        SpoolDb::open_on(disk.files(), LIMITS).map_or(true, |spool| contents(&spool) != steps[12])
    });
    assert!(seen.count() >= 20);
}

#[test]
fn a_call_that_fails_happened_or_did_not_and_the_next_access_shows_which() {
    let steps = steps();
    let (mut healed, mut fatal, mut happened) = (0, 0, 0);
    for happens in [false, true] {
        for (step, one) in acts().iter().enumerate() {
            for call in 0.. {
                let disk = Disk::default();
                let spool = open(&disk);
                acts()[..step].iter().for_each(|one| act(&spool, one).unwrap());
                disk.fail(Failure { after: call, happens });
                let answer = act(&spool, one);
                if disk.is_failure_due() {
                    answer.unwrap();
                    break;
                }
                let is_fatal = match &answer {
                    Err(SpoolError::Disk(error)) => error.is_fatal(),
                    _ => false,
                };
                let spool = if is_fatal {
                    fatal += 1;
                    // Nothing comes through again in this process, not even once the disk is well.
                    let again = act(&spool, one);
                    assert!(
                        matches!(&again, Err(SpoolError::Disk(error)) if error.is_fatal()),
                        "{again:?}"
                    );
                    drop(spool);
                    open(&disk.after_kill())
                } else {
                    healed += u32::from(answer.is_err());
                    spool
                };
                let found = contents(&spool);
                match answer {
                    Ok(()) => assert_eq!(found, steps[step + 1], "act {step} call {call}"),
                    Err(_) => {
                        let did = steps[step..].iter().take(2).position(|step| *step == found);
                        happened += did.unwrap_or_else(|| panic!("act {step} call {call}"));
                    }
                }
                acts()[step..].iter().for_each(|one| act(&spool, one).unwrap());
                assert_eq!(contents(&spool), steps[acts().len()], "act {step} call {call}");
            }
        }
    }
    assert!(healed > 5 && fatal > 5 && happened > 0, "{healed} {fatal} {happened}");
}

#[test]
fn a_full_disk_refuses_events_keeps_all_and_goes_on_once_there_is_room() {
    let mut refused_sign = 0;
    for room in 0..40 {
        let disk = Disk::default();
        let spool = open(&disk);
        spool.take(&[event(1, vec![1; 3000])]).unwrap();
        disk.limit_blocks(Some(disk.blocks_used() + room));
        let mut taken = 1;
        let refused = loop {
            match spool.take(&[event(taken + 1, vec![1; 3000])]) {
                Ok(_) => taken += 1,
                Err(error) => break error,
            }
        };
        let is_full = |error: &SpoolError| matches!(error, SpoolError::Disk(JournalError::Full(_)));
        assert!(is_full(&refused), "{refused}");
        // Still full: what was taken can be read, and is known to whoever sends it again.
        assert_eq!(spool.unsigned(usize::MAX).unwrap().len() as u64, taken);
        let signed = spool.sign(&[1], &reports_of((1, 1)));
        if let Err(error) = &signed {
            assert!(is_full(error), "{error}");
            refused_sign += 1;
        }
        disk.limit_blocks(None);
        let again = spool.take(&[event(1, vec![1; 3000]), event(taken + 1, vec![1; 3000])]);
        assert_eq!(again.unwrap(), [Taken::Known(1), Taken::New(taken + 1)]);
        if signed.is_err() {
            assert_eq!(spool.sign(&[1], &reports_of((1, 1))).unwrap(), 1);
        }
        let signed = spool.waiting(usize::MAX, &BTreeSet::new()).unwrap();
        assert_eq!(signed.len(), 1);
        assert_eq!(spool.usage().unwrap().unsigned, taken);
    }
    assert!(refused_sign > 0, "the disk was never full for reports");
}

#[test]
fn what_was_set_aside_waits_again_once_somebody_says_so_and_receipts_stay() {
    let disk = Disk::default();
    let spool = open(&disk);
    acts().iter().for_each(|one| act(&spool, one).unwrap());
    let before = contents(&spool);
    let kept = |rows: &[ReportRow]| rows.iter().map(|row| row.sequence).collect::<Vec<_>>();
    let mut handed = Vec::new();
    let mut keep = |rows: &[ReportRow]| -> Result<(), SpoolError> {
        handed.push(kept(rows));
        Ok(())
    };
    assert_eq!(spool.retry(false, &mut keep).unwrap(), [(3, "422".to_owned())]);
    let after = contents(&spool);
    assert_eq!(kept(&after.waiting), [&[3], &kept(&before.waiting)[..]].concat());
    assert_eq!(after.reports[2].report, before.reports[2].report);
    assert_eq!(after.reports[3], before.reports[3], "evidence stays");
    // Nothing is put back that could not be kept before.
    let refused = spool.retry(true, |_| Err(SpoolError::NotWaiting(4)));
    assert!(matches!(refused, Err(SpoolError::NotWaiting(4))));
    assert_eq!(contents(&spool), after);
    assert_eq!(spool.retry(true, &mut keep).unwrap(), [(4, "root".to_owned())]);
    assert_eq!(spool.retry(true, &mut keep).unwrap(), []);
    assert_eq!(handed[..2], [vec![3], vec![4]]);
    // They end again like any other.
    spool.settle(&[(3, receipt(3)), (4, receipt(4))]).unwrap();
    drop(spool);
    assert_eq!(contents(&open(&disk)).usage.set_aside, 0);
}

#[test]
fn many_that_were_set_aside_wait_again_in_their_order() {
    let disk = Disk::default();
    let spool = open(&disk);
    let count = 1_000;
    spool.sign(&[], &reports_of((0, count))).unwrap();
    let aside = || ReportState::SetAside("no".to_owned());
    let ends: Vec<_> = (1..=count as u64).map(|number| (number, aside())).collect();
    spool.settle(&ends).unwrap();
    let put_back = spool.retry(false, |_| Ok::<_, SpoolError>(())).unwrap();
    assert_eq!(put_back.len(), count);
    let passed_over = (2..=count as u64).filter(|number| number % 2 == 0).collect();
    let waiting = spool.waiting(usize::MAX, &passed_over).unwrap();
    assert!(waiting.iter().map(|row| row.sequence).eq((1..=count as u64).step_by(2)));
    assert_eq!(spool.waiting(2, &passed_over).unwrap().len(), 2);
    contents(&spool);
}

fn any_act() -> impl Strategy<Value = Act> {
    let events = prop::collection::vec((1..9_u64, 0..3_u8), 0..4);
    let state = prop_oneof![
        Just(receipt(1)),
        Just(ReportState::SetAside("no".to_owned())),
        Just(ReportState::WrongReceipt { answer: Bytes::new(), reason: "no".to_owned() }),
    ];
    let code = (0..3_u8, prop::option::of(0..2_u8)).prop_map(|(hash, subject)| DeskCode {
        code_hash: B256::repeat_byte(hash),
        pseudonym: PSEUDONYM,
        expires_ms: 1,
        subject: subject.map(Address::repeat_byte),
    });
    prop_oneof![
        4 => events.prop_map(|all| {
            Act::Take(all.into_iter().map(|(id, text)| event(id, vec![text; 5])).collect())
        }),
        4 => prop::collection::vec((1..9_u64, 1..3_usize), 0..4).prop_map(Act::Sign),
        1 => (1..12_u64).prop_map(|number| Act::Replace(number, Bytes::from_static(b"anew"))),
        4 => prop::collection::vec((1..12_u64, state), 0..4).prop_map(Act::Settle),
        1 => (0..10_u64).prop_map(Act::Forget),
        1 => code.prop_map(Act::KeepCode),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    /// Whatever is asked for, in whatever order: the counts say what the rows say, an end never
    /// changes, no event disappears that is not receipted, and a restart changes nothing.
    #[test]
    fn whatever_is_asked_the_counts_are_true_and_ends_are_final(
        all in prop::collection::vec(any_act(), 0..25),
    ) {
        let disk = Disk::default();
        let spool = open(&disk);
        let mut before = contents(&spool);
        for one in &all {
            act(&spool, one).unwrap();
            let now = contents(&spool);
            for (old, new) in before.reports.iter().zip(&now.reports) {
                prop_assert!(old.state == ReportState::Waiting || old.state == new.state);
                prop_assert_eq!(old.report.event, new.report.event);
            }
            for (old, new) in before.events.iter().zip(&now.events) {
                let Some(old) = old else { continue };
                if new.is_none() {
                    let of = now.reports.iter().filter(|row| row.report.event == old.number);
                    let states: Vec<_> = of.map(|row| &row.state).collect();
                    prop_assert!(!states.is_empty());
                    prop_assert!(states.iter().all(|state| matches!(state, ReportState::Receipted(_))));
                } else {
                    prop_assert_eq!(new.as_ref(), Some(old));
                }
            }
            prop_assert!(before.subject.is_none() || before.subject == now.subject);
            before = now;
        }
        drop(spool);
        prop_assert_eq!(contents(&open(&disk)), before);
    }
}

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/v1/spool")
}

#[test]
fn a_spool_of_format_1_still_opens() {
    let dir = tempfile::tempdir().unwrap();
    let name = FileName::Spool.as_str();
    std::fs::copy(fixture().join(name), dir.path().join(name)).unwrap();
    let spool = SpoolDb::open(dir.path(), LIMITS).unwrap();
    assert_eq!(contents(&spool), after(acts().len()));
    let known = [event(1, vec![1; 3000]), event(2, vec![0; 9])];
    assert_eq!(spool.take(&known).unwrap(), [Taken::Known(1), Taken::Conflict(2)]);
}

#[test]
fn a_spool_cut_to_nothing_is_not_taken_for_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    drop(SpoolDb::open(dir.path(), LIMITS).unwrap());
    std::fs::write(dir.path().join(FileName::Spool.as_str()), b"").unwrap();
    let opened = SpoolDb::open(dir.path(), LIMITS);
    assert!(matches!(opened, Err(OpenError::Damaged { .. })), "{opened:?}");
}

/// `cargo test -p medtrail-store --test spool -- --ignored` writes the fixture again. A format
/// that released versions wrote must never be written again: add the next one beside it.
#[test]
#[ignore = "writes into the source tree"]
fn write_the_fixture_of_format_1() {
    std::fs::create_dir_all(fixture()).unwrap();
    let spool = SpoolDb::open(&fixture(), LIMITS).unwrap();
    acts().iter().for_each(|one| act(&spool, one).unwrap());
    drop(spool);
    let mut database = redb::Database::open(fixture().join(FileName::Spool.as_str())).unwrap();
    while database.compact().unwrap() {}
}
