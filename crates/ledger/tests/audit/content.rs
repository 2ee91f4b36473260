//! What only the keys show: entries against their rows, their commitments, their signers and each
//! other.

use crate::assert_found;
use crate::log::{
    CHAIN_ID, HONEST, Log, NOW_MS, REGISTRY, RELAYED, address_of, secret, sign, tags, trust,
};
use alloy_primitives::{Address, B256, Bytes, keccak256};
use medtrail_ledger::audit::content::{LastBatch, Opened, Rules, Word};
use medtrail_ledger::audit::order::{Clock, ErasedLines, Erasures, InOrder, Kinds, Promise};
use medtrail_ledger::audit::rows::SealedRow;
use medtrail_ledger::audit::{Check, Fault, Flaw, Tally};
use medtrail_ledger::entry::{batch_paths, batch_root, commitment};
use medtrail_ledger::ports::RowHeader;
use medtrail_ledger::proof::{BatchEvidence, Evidence};
use medtrail_ledger::schema::{Report, ReportBatch, digest, domain};
use medtrail_ledger::trust::TrustFile;
use medtrail_ledger::verify::Verdict;
use proptest::prelude::*;

fn check_with(entry: &Opened, trust: Option<&TrustFile>) -> Result<Word, Box<Fault>> {
    let operators = &HONEST.history.operators;
    let rules = Rules::new(HONEST.id, domain(CHAIN_ID, REGISTRY), tags(), trust, operators);
    rules.check(entry, &mut LastBatch::default())
}

fn check(entry: &Opened) -> Result<Word, Box<Fault>> {
    check_with(entry, Some(&trust()))
}

fn flaw(entry: &Opened) -> Flaw {
    let fault = check(entry).expect_err("a fault");
    assert_eq!(fault.index, Some(entry.index));
    fault.flaw
}

/// What the operator would have committed to, had it built the log on this.
fn committed(mut entry: Opened) -> Opened {
    entry.commitment = commitment(&entry.report, &entry.place);
    entry
}

#[test]
fn every_entry_of_an_honest_log_is_somebody_s_word() {
    for entry in &HONEST.entries {
        let expected = if entry.index == RELAYED { Word::Relayed } else { Word::Named };
        assert_eq!(check(entry), Ok(expected));
    }
    assert_eq!(check_with(&HONEST.entries[0], None), Ok(Word::Signed));
    assert_eq!(check_with(&HONEST.entries[RELAYED as usize], None), Ok(Word::Relayed));
}

proptest! {
    #[test]
    fn a_changed_byte_of_any_header_is_found(
        row in 0usize..300, byte in 0..RowHeader::BYTES, change in 1u8..,
    ) {
        let mut entry = HONEST.entries[row].clone();
        let mut bytes = entry.header.encode();
        bytes[byte] ^= change;
        match RowHeader::decode(&bytes) {
            None => prop_assert_eq!(byte, 0),
            Some(header) => {
                // A row's number is that of its place.
                (entry.header, entry.place.ordinal) = (header, header.ordinal);
                prop_assert_eq!(check(&entry).unwrap_err().flaw.check(), Check::Content);
                // Also where the operator has committed to it.
                let by_tags = committed(entry);
                if header.ordinal == HONEST.entries[row].header.ordinal {
                    prop_assert_eq!(check(&by_tags).unwrap_err().flaw, Flaw::HeaderDiffers);
                }
            }
        }
    }

    #[test]
    fn a_changed_byte_of_any_commitment_is_found(row in 0usize..300, byte in 0usize..32, change in 1u8..) {
        let mut entry = HONEST.entries[row].clone();
        entry.commitment.0[byte] ^= change;
        prop_assert_eq!(check(&entry).unwrap_err().flaw, Flaw::CommitmentDiffers);
    }

    #[test]
    fn a_changed_byte_of_any_signature_is_found(byte in 0usize..65, change in 1u8..) {
        let mut entry = HONEST.entries[1].clone();
        let Evidence::Signed(bytes) = &entry.evidence else { panic!("signed") };
        let mut bytes = bytes.to_vec();
        bytes[byte] ^= change;
        entry.evidence = Evidence::Signed(bytes.into());
        prop_assert_eq!(check(&entry).unwrap_err().flaw, Flaw::SignatureWrong);
    }
}

#[test]
fn what_an_entry_is_held_against_is_named() {
    let entry = |change: fn(&mut Opened)| {
        let mut entry = HONEST.entries[21].clone();
        change(&mut entry);
        entry
    };
    assert_eq!(flaw(&entry(|entry| entry.report.timeMs += 1)), Flaw::CommitmentDiffers);
    assert_eq!(flaw(&entry(|entry| entry.place.salt = B256::ZERO)), Flaw::CommitmentDiffers);
    assert_eq!(flaw(&entry(|entry| entry.place.receivedMs += 1)), Flaw::CommitmentDiffers);
    assert_eq!(flaw(&entry(|entry| entry.report.log = B256::ZERO)), Flaw::OtherLog);
    assert_eq!(flaw(&entry(|entry| entry.details = Some(b"{}".to_vec()))), Flaw::DetailsDiffer);
    assert_eq!(flaw(&entry(|entry| entry.previous = keccak256("another"))), Flaw::PreviousDiffers);
    let is_its_own = |change| flaw(&committed(entry(change)));
    assert_eq!(is_its_own(|entry| entry.report.timeMs += 1), Flaw::SignatureWrong);
    assert_eq!(is_its_own(|entry| entry.place.previous = B256::ZERO), Flaw::PreviousDiffers);
    // A person's entry that stands in no trail.
    assert_eq!(
        is_its_own(|entry| (entry.header.ordinal, entry.place.ordinal) = (0, 0)),
        Flaw::HeaderDiffers
    );
    // What nobody signed is named without an actor.
    assert_eq!(is_its_own(|entry| entry.evidence = Evidence::Relayed), Flaw::HeaderDiffers);
    let relayed = |entry: &mut Opened| {
        let Report { subject, eventId, .. } = entry.report;
        entry.evidence = Evidence::Relayed;
        entry.header.event = tags().event_key(Address::ZERO, subject, eventId);
    };
    assert_eq!(is_its_own(relayed), Flaw::RelayedByOther);
    // No details were sent: nothing to hold against the report.
    assert_eq!(check(&entry(|entry| entry.details = None)), Ok(Word::Named));
}

#[test]
fn a_signer_must_be_named_when_the_entry_was_received() {
    let entry = &HONEST.entries[21];
    let with_key = |from_ms, until_ms| {
        let mut trust = trust();
        let key = &mut trust.organisations[0].keys[0];
        (key.from_ms, key.until_ms) = (from_ms, until_ms);
        check_with(entry, Some(&trust)).map_err(|fault| fault.flaw)
    };
    let (received, hour_ms) = (entry.place.receivedMs, 3_600_000);
    assert_eq!(with_key(received, None), Ok(Word::Named));
    assert_eq!(with_key(1, Some(received + 1)), Ok(Word::Named));
    // The key was looked at a moment before the entry got its place.
    assert_eq!(with_key(1, Some(received - 1)), Ok(Word::Named));
    assert_eq!(with_key(1, Some(received - hour_ms)), Err(Flaw::SignerUnknown));
    assert_eq!(with_key(received + hour_ms, None), Err(Flaw::SignerUnknown));
    let mut nobody = trust();
    nobody.organisations.clear();
    assert_eq!(check_with(entry, Some(&nobody)).unwrap_err().flaw, Flaw::SignerUnknown);
}

#[test]
fn a_batch_is_checked_entry_by_entry() {
    let reports: Vec<_> = HONEST.entries[1..4].iter().map(|entry| entry.report.hash()).collect();
    let (root, count) = (B256::from(batch_root(&reports)), 3);
    let paths = batch_paths(&reports);
    let signed_by = |number| {
        let digest = digest(&ReportBatch { root, count }, &domain(CHAIN_ID, REGISTRY));
        Bytes::from(sign(&secret(number), digest))
    };
    let entry = |place: usize, signature: Bytes| {
        let path = paths[place].iter().map(B256::from).collect();
        let batch = BatchEvidence { count, index: place as u64, root, path, signature };
        Opened { evidence: Evidence::Batch(batch), ..HONEST.entries[1 + place].clone() }
    };
    let operators = &HONEST.history.operators;
    let trust = trust();
    let domain = domain(CHAIN_ID, REGISTRY);
    let rules = Rules::new(HONEST.id, domain, tags(), Some(&trust), operators);
    let mut last = LastBatch::default();
    for place in 0..3 {
        assert_eq!(rules.check(&entry(place, signed_by(2)), &mut last), Ok(Word::Named));
    }
    // One after the other: what is remembered of a batch is of that signature only.
    let by_another = rules.check(&entry(1, signed_by(5)), &mut last).unwrap_err();
    assert_eq!(by_another.flaw, Flaw::SignatureWrong);
    assert_eq!(by_another.found, Some(address_of(&secret(5)).to_string()));
    let mut moved = entry(1, signed_by(2));
    let Evidence::Batch(batch) = &mut moved.evidence else { panic!("a batch") };
    batch.index = 2;
    assert_eq!(rules.check(&moved, &mut last).unwrap_err().flaw, Flaw::SignatureWrong);
}

/// Follows a whole log.
fn follow(log: &Log, one: &mut dyn InOrder) -> Tally {
    let mut tally = Tally::default();
    log.entries.iter().for_each(|entry| one.opened(entry, &mut tally));
    one.finish(&mut tally);
    tally
}

#[test]
fn a_clock_that_goes_back_is_found() {
    assert_eq!(follow(&HONEST, &mut Clock::default()).verdict(), Verdict::Green);
    let back = Log::with(|index, _, place| place.receivedMs -= 2 * u64::from(index == 50));
    let tally = follow(&back, &mut Clock::default());
    assert_found(&tally, Flaw::TimeDecreases, 50);
    assert_eq!(tally.of(Check::Times).unwrap().faults, 1);
}

#[test]
fn entries_that_waited_too_long_for_their_anchor_are_told() {
    assert_eq!(follow(&HONEST, &mut Promise::new(&HONEST.history)).verdict(), Verdict::Green);
    let mut history = HONEST.history.clone();
    history.anchors[1].anchor.time_s += 3600;
    history.anchors[2].anchor.time_s += 3600;
    history.finalized.time_s += 3600;
    let tally = follow(&HONEST, &mut Promise::new(&history));
    let promise = tally.of(Check::Promise).unwrap();
    assert_eq!(promise.verdict(), Verdict::Amber);
    assert!(promise.notes[0].starts_with("200 entries, the first of them 100,"), "{promise:?}");
    assert_eq!(NOW_MS / 1000 + 2 + 3600, history.anchors[1].anchor.time_s);
}

#[test]
fn kinds_are_counted_and_unknown_ones_are_other() {
    let log = Log::with(|index, report, _| match index {
        1 => report.kind = 200,
        2 => report.kind = 0,
        3 => report.kind = 7,
        _ => {}
    });
    let mut tally = Tally::default();
    log.check_entries(Some(&trust()), &mut tally);
    assert_eq!(tally.first_fault(), None);
    let mut kinds = Kinds::default();
    follow(&log, &mut kinds);
    let counts: Vec<_> = kinds.counts().iter().map(|(kind, count)| (*kind, *count)).collect();
    assert_eq!(counts, [("access", 297), ("other", 2), ("source", 1)]);
}

#[test]
fn a_row_without_a_key_is_a_fault_unless_a_later_erasure_names_it() {
    let sealed = |entry: &Opened| SealedRow {
        index: entry.index,
        header: entry.header,
        commitment: entry.commitment,
        previous: entry.previous,
        row: Vec::new(),
    };
    // One entry says that it erased the trail of another entry, up to a number.
    let erasure = |lost: &[u64], at: Option<u64>, whose: u64, through: u64, is_own_key: bool| {
        let log = Log::with(|index, report, _| {
            if Some(index) == at {
                report.kind = 10;
            }
        });
        let subject = log.entries[whose as usize].report.subject;
        let read =
            move |_: &Opened| Some(ErasedLines { parts: vec![(subject, through)], is_own_key });
        let mut erasures = Erasures::new(tags(), Box::new(read));
        let mut tally = Tally::default();
        for entry in &log.entries {
            match lost.contains(&entry.index) {
                true => erasures.unopenable(&sealed(entry)),
                false => erasures.opened(entry, &mut tally),
            }
        }
        erasures.finish(&mut tally);
        tally
    };
    let ordinal = |index: u64| HONEST.entries[index as usize].header.ordinal;
    let verdict = |tally: &Tally| tally.of(Check::Erasures).unwrap().verdict();
    assert_found(&erasure(&[8], None, 8, 99, true), Flaw::RowUnopenable, 8);
    assert_eq!(verdict(&erasure(&[8], Some(16), 8, ordinal(8), true)), Verdict::Green);
    // Signed by a key that is not the address: only the chain says whether it had control.
    assert_eq!(verdict(&erasure(&[8], Some(16), 8, ordinal(8), false)), Verdict::Amber);
    // Of another, up to a line before it, or earlier in the log.
    assert_found(&erasure(&[8], Some(16), 9, 99, true), Flaw::RowUnopenable, 8);
    assert_found(&erasure(&[8], Some(16), 8, ordinal(8) - 1, true), Flaw::RowUnopenable, 8);
    assert_found(&erasure(&[16], Some(8), 16, 99, true), Flaw::RowUnopenable, 16);
    // One that is covered does not cover one that comes later in the same trail.
    let same: Vec<u64> = HONEST
        .entries
        .iter()
        .filter(|entry| entry.report.subject == HONEST.entries[8].report.subject)
        .map(|entry| entry.index)
        .collect();
    let (first, last) = (same[0], *same.last().unwrap());
    let both = erasure(&[first, last], Some(last - 1), first, 99, true);
    assert_found(&both, Flaw::RowUnopenable, last);
}

#[test]
fn who_signs_in_their_own_trail_or_in_a_vault_is_a_person_and_who_signs_elsewhere_is_not() {
    let mut nobody = trust();
    nobody.organisations.clear();
    let signed = |change: &dyn Fn(&mut Opened)| {
        let mut entry = HONEST.entries[21].clone();
        change(&mut entry);
        let report = &entry.report;
        let bytes = sign(&secret(2), digest(report, &domain(CHAIN_ID, REGISTRY)));
        entry.evidence = Evidence::Signed(bytes.to_vec().into());
        entry.header.subject = tags().subject_tag(report.subject);
        entry.header.event = tags().event_key(report.actor, report.subject, report.eventId);
        check_with(&committed(entry), Some(&nobody)).map_err(|fault| fault.flaw)
    };
    let version = br#"{"version":"medtrail/version-v1","about":{"title":"A","mediaType":"text/plain","resourceType":null,"confidentiality":null,"topics":[]},"bytes":1,"purposes":[]}"#;
    let in_vault = |entry: &mut Opened| {
        entry.report.details = medtrail_ledger::entry::details_hash(version);
        entry.details = Some(version.to_vec());
    };
    let other = Address::repeat_byte(0x77).into_word();
    assert_eq!(signed(&|_| {}), Err(Flaw::SignerUnknown));
    assert_eq!(
        signed(&|entry| entry.report.subject = entry.report.actor.into_word()),
        Ok(Word::Person)
    );
    assert_eq!(signed(&|entry| entry.report.subject = other), Err(Flaw::SignerUnknown));
    let elsewhere = |entry: &mut Opened| {
        entry.report.subject = other;
        in_vault(entry);
    };
    assert_eq!(signed(&elsewhere), Ok(Word::Person));
    // Under a pseudonym nobody has a key: only organisations write there.
    assert_eq!(signed(&in_vault), Err(Flaw::SignerUnknown));
}
