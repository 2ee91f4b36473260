//! What is public of a log: tiles and rows, without any key.

use crate::assert_found;
use crate::log::{HONEST, Log, line};
use medtrail_ledger::audit::rows::Line;
use medtrail_ledger::audit::{Check, Flaw, Tally};
use medtrail_ledger::ports::RowHeader;
use medtrail_ledger::verify::Verdict;
use proptest::prelude::*;

/// Where the row begins in a line: `{"index":…,"commitment":"0x…","row":"0x`.
fn row_starts(line: &[u8]) -> usize {
    let start = b"\"row\":\"0x";
    line.windows(start.len()).position(|window| window == start).unwrap() + start.len()
}

proptest! {
    #[test]
    fn a_changed_byte_of_any_tile_is_found(
        file in any::<prop::sample::Index>(), byte in any::<prop::sample::Index>(), change in 1u8..,
    ) {
        let mut log = HONEST.clone();
        let path = log.files.keys().nth(file.index(log.files.len())).unwrap().clone();
        let bytes = log.files.get_mut(&path).unwrap();
        let at = byte.index(bytes.len());
        bytes[at] ^= change;
        let mut tally = Tally::default();
        log.replay(crate::log::ENTRIES, &mut tally);
        prop_assert_eq!(tally.verdict(), Verdict::Red);
        // A wrong tile is named itself; a wrong commitment by all that it contradicts.
        let tiles = tally.of(Check::Tiles).unwrap().first.clone();
        let named = tiles.and_then(|fault| fault.file);
        let is_bundle = path.starts_with("tile/entries");
        prop_assert!(is_bundle && named.is_some() || named.as_ref() == Some(&path), "{:?}", named);
    }

    #[test]
    fn a_tile_of_another_length_is_found(file in any::<prop::sample::Index>(), more in any::<bool>()) {
        let mut log = HONEST.clone();
        let path = log.files.keys().nth(file.index(log.files.len())).unwrap().clone();
        let bytes = log.files.get_mut(&path).unwrap();
        if more { bytes.push(0) } else { bytes.truncate(bytes.len() - 1) }
        let mut tally = Tally::default();
        log.replay(crate::log::ENTRIES, &mut tally);
        let fault = tally.first_fault().unwrap();
        prop_assert_eq!((fault.flaw, fault.file.as_ref()), (Flaw::FileLength, Some(&path)));
    }

    /// Whose row it is and which event it reports are names that only the keys can check; with them
    /// see `content`. All else of a line is found without.
    #[test]
    fn a_changed_byte_of_any_line_up_to_its_number_is_found(
        row in 0usize..300, byte in any::<prop::sample::Index>(), change in 1u8..,
    ) {
        let mut log = HONEST.clone();
        let line = &mut log.lines[row];
        let start = row_starts(line);
        let version = start..start + 2;
        // A row about nobody stands in no trail that its number could contradict.
        let number = match HONEST.entries[row].header.ordinal {
            0 => 0..0,
            _ => start + 34..start + 50,
        };
        let places: Vec<usize> = (0..start).chain(version).chain(number).collect();
        line[places[byte.index(places.len())]] ^= change;
        let mut tally = Tally::default();
        log.replay(crate::log::ENTRIES, &mut tally);
        let fault = tally.first_fault().expect("a fault");
        prop_assert!(matches!(fault.flaw.check(), Check::Rows | Check::Trails), "{:?}", fault);
    }

    #[test]
    fn no_bytes_make_a_line_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(Line::parse(&bytes), None);
    }

    #[test]
    fn a_line_reads_back_as_it_was_written(row in 0usize..300) {
        let entry = &HONEST.entries[row];
        let read = Line::parse(&line(entry)).unwrap();
        prop_assert_eq!((read.index, read.commitment), (entry.index, entry.commitment.0));
        prop_assert_eq!(RowHeader::decode(&read.row), Some(entry.header));
    }
}

#[test]
fn a_line_has_one_spelling() {
    let honest = String::from_utf8(HONEST.lines[7].clone()).unwrap();
    for other in [
        honest.replace(":7,", ":07,"),
        honest.replace(":7,", ":+7,"),
        honest.replace(":7,", ": 7,"),
        honest.replace("0x", "0X"),
        honest.to_uppercase(),
        format!("{honest} "),
        honest.replace("\"}", "0\"}"),
        honest.replace("\"}", "\",\"more\":1}"),
    ] {
        assert_eq!(Line::parse(other.as_bytes()), None, "{other}");
    }
}

#[test]
fn a_missing_file_is_named() {
    for path in HONEST.files.keys() {
        let mut log = HONEST.clone();
        log.files.remove(path);
        let tally = log.audit();
        let fault = tally.first_fault().unwrap();
        assert_eq!((fault.flaw, fault.file.as_ref()), (Flaw::FileMissing, Some(path)));
    }
}

#[test]
fn what_the_tiles_do_not_reach_is_not_called_right() {
    let mut log = HONEST.clone();
    log.files.remove("tile/entries/001.p/44");
    let tally = log.audit();
    assert_found(&tally, Flaw::FileMissing, 256);
    let verdict = |check| tally.of(check).unwrap().verdict();
    assert_eq!(verdict(Check::Anchors), Verdict::Amber);
    assert_eq!(verdict(Check::Checkpoint), Verdict::Amber);
    assert_eq!(tally.of(Check::Anchors).unwrap().notes[0].split(' ').nth(1), Some("2"));
}

#[test]
fn an_entry_that_was_replaced_in_all_tiles_contradicts_the_anchor_over_it() {
    // The tiles agree with each other and with a checkpoint over them: only the chain does not.
    for (index, anchor) in [(0, 1), (99, 1), (100, 2), (255, 2), (256, 3), (279, 3)] {
        let rewritten = Log::with(|at, report, _| {
            if at == index {
                report.timeMs += 1;
            }
        });
        let log = rewritten.claiming(&HONEST);
        let tally = log.audit();
        assert_found(&tally, Flaw::RootDiffers, None);
        let fault = tally.first_fault().unwrap();
        assert_eq!(fault.anchor.as_ref().unwrap().anchor.number, anchor);
        let later = 4 - anchor;
        assert_eq!(tally.of(Check::Anchors).unwrap().faults, later);
    }
}

#[test]
fn an_entry_of_the_tail_that_was_replaced_contradicts_the_checkpoint() {
    let rewritten = Log::with(|at, report, _| report.timeMs += u64::from(at == 290));
    let log = Log { checkpoint: HONEST.checkpoint.clone(), ..rewritten };
    let tally = log.audit();
    assert_found(&tally, Flaw::CheckpointRoot, None);
}

#[test]
fn withheld_rows_are_missed() {
    let mut log = HONEST.clone();
    log.lines.truncate(290);
    assert_found(&log.audit(), Flaw::RowsMissing, 290);
    log.lines.clear();
    assert_found(&log.audit(), Flaw::RowsMissing, 0);

    let mut log = HONEST.clone();
    log.lines.remove(17);
    assert_found(&log.audit(), Flaw::RowOutOfOrder, 17);

    let mut log = HONEST.clone();
    log.lines.insert(17, log.lines[16].clone());
    assert_found(&log.audit(), Flaw::RowOutOfOrder, 17);

    let mut log = HONEST.clone();
    let text = String::from_utf8(log.lines[17].clone()).unwrap();
    let start = row_starts(text.as_bytes());
    log.lines[17] = format!("{}\"}}", &text[..start]).into_bytes();
    assert_found(&log.audit(), Flaw::HeaderUnreadable, 17);
}

#[test]
fn rows_beyond_the_checkpoint_are_told() {
    let mut log = HONEST.clone();
    log.lines.push(log.lines[299].clone());
    assert_found(&log.audit(), Flaw::RowsSurplus, 300);
}

#[test]
fn rows_in_another_order_are_found() {
    // Entries 8 and 16 are of one trail.
    let mut log = HONEST.clone();
    log.lines.swap(8, 16);
    assert_found(&log.audit(), Flaw::RowOutOfOrder, 8);
    // Relabelled, their commitments still stand elsewhere.
    let relabel = |line: &[u8], from: &str, to: &str| {
        String::from_utf8(line.to_vec()).unwrap().replacen(from, to, 1).into_bytes()
    };
    log.lines[8] = relabel(&log.lines[8], ":16,", ":8,");
    log.lines[16] = relabel(&log.lines[16], ":8,", ":16,");
    assert_found(&log.audit(), Flaw::RowCommitment, 8);
}

#[test]
fn a_trail_that_was_committed_to_with_a_gap_or_in_another_order_is_found() {
    let gap = Log::with(|index, _, place| place.ordinal += u64::from(index == 160));
    assert_found(&gap.audit(), Flaw::OrdinalOutOfOrder, 160);
    // One gap, and the return from it.
    assert_eq!(gap.audit().of(Check::Trails).unwrap().faults, 2);

    let reordered = Log::with(|index, _, place| match index {
        8 => place.ordinal = 3,
        16 => place.ordinal = 2,
        _ => {}
    });
    assert_found(&reordered.audit(), Flaw::OrdinalOutOfOrder, 8);

    let begun_late = Log::with(|index, _, place| place.ordinal += u64::from(index == 0));
    assert_found(&begun_late.audit(), Flaw::OrdinalOutOfOrder, 0);

    let again = Log::with(|index, _, place| place.ordinal -= u64::from(index == 160));
    assert_found(&again.audit(), Flaw::OrdinalOutOfOrder, 160);
}
